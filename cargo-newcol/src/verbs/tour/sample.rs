//! The sample project: its files, and what a command changed in them.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use newcol_core::{
    backend::Backend,
    execute::files as writer,
    render::patch::{Change, FilePatch},
};

use super::{file_error, read, step::Migration};
use crate::{context::stored_version, error::CliError};

/// Where a file is and what it holds.
pub(super) type Files = BTreeMap<Utf8PathBuf, String>;

/// The migrations' folders.
const USERS: &str = "2026-01-05-090000-0000_create_users";
const POSTS: &str = "2026-01-05-090000-0001_create_posts";

/// Writes the project.
pub(super) fn write(root: &Utf8Path, backend: Backend, url: &str) -> Result<(), CliError> {
    let mut patch = FilePatch::default();
    let mut add = |path: &str, text: String| patch.push(path, None, Some(text));
    add("Cargo.toml", manifest(backend));
    add("diesel.toml", DIESEL_TOML.to_owned());
    add(".env", format!("DATABASE_URL={url}\n"));
    add("build.rs", BUILD.to_owned());
    add("src/lib.rs", lib(backend));
    add("src/schema.rs", schema(backend));
    let (users, posts) = tables(backend);
    add(&format!("migrations/{USERS}/up.sql"), users.to_owned());
    add(&format!("migrations/{USERS}/down.sql"), "DROP TABLE users;\n".to_owned());
    add(&format!("migrations/{POSTS}/up.sql"), posts.to_owned());
    add(&format!("migrations/{POSTS}/down.sql"), "DROP TABLE posts;\n".to_owned());
    Ok(writer::write(root, &patch)?)
}

fn manifest(backend: Backend) -> String {
    let feature = backend.name();
    format!(
        "[package]\nname = \"letters\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [dependencies]\ndiesel = {{ version = \"2.3\", features = [\"{feature}\"] }}\n\
         diesel_migrations = \"2.3\"\n\n\
         # Not part of whatever lies around the temporary directory.\n[workspace]\n"
    )
}

const DIESEL_TOML: &str = "[print_schema]\nfile = \"src/schema.rs\"\n\n\
                           [migrations_directory]\ndir = \"migrations\"\n";

const BUILD: &str = "fn main() {\n    println!(\"cargo:rerun-if-changed=migrations\");\n}\n";

fn lib(backend: Backend) -> String {
    let id = match backend {
        Backend::Sqlite => "i32",
        Backend::Postgres | Backend::Mysql => "i64",
    };
    format!(
        "pub mod schema;\n\nuse diesel::prelude::*;\n\
         use diesel_migrations::{{EmbeddedMigrations, embed_migrations}};\n\n\
         pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!();\n\n\
         #[derive(Queryable, Selectable)]\n#[diesel(table_name = schema::users)]\n\
         pub struct User {{\n    pub id: {id},\n    pub email: String,\n    pub country: String,\n}}\n\n\
         #[derive(Insertable)]\n#[diesel(table_name = schema::users)]\n\
         pub struct NewUser<'a> {{\n    pub email: &'a str,\n    pub country: &'a str,\n}}\n"
    )
}

/// Teaches the program the column.
pub(super) fn learn(root: &Utf8Path) -> Result<(), CliError> {
    let path = "src/lib.rs";
    let before = read(&root.join(path))?;
    let last = "    pub country: &'a str,\n";
    let after = before.replace(last, &format!("{last}    pub locale: &'a str,\n"));
    let mut patch = FilePatch::default();
    patch.push(path, Some(before), Some(after));
    Ok(writer::write(root, &patch)?)
}

/// As `diesel print-schema` writes it after the migrations.
fn schema(backend: Backend) -> String {
    let id = match backend {
        Backend::Sqlite => "Integer",
        Backend::Postgres | Backend::Mysql => "BigInt",
    };
    let text = |length: u32| match backend {
        Backend::Sqlite | Backend::Postgres => String::new(),
        Backend::Mysql => format!("        #[max_length = {length}]\n"),
    };
    let (email, country, title) = (text(255), text(2), text(255));
    format!(
        "// @generated automatically by Diesel CLI.\n\n\
         diesel::table! {{\n    posts (id) {{\n        id -> {id},\n        user_id -> {id},\n\
         {title}        title -> {ty},\n    }}\n}}\n\n\
         diesel::table! {{\n    users (id) {{\n        id -> {id},\n{email}        email -> {ty},\n\
         {country}        country -> {ty},\n    }}\n}}\n\n\
         diesel::joinable!(posts -> users (user_id));\n\n\
         diesel::allow_tables_to_appear_in_same_query!(posts, users,);\n",
        ty = if backend == Backend::Mysql { "Varchar" } else { "Text" },
    )
}

fn tables(backend: Backend) -> (&'static str, &'static str) {
    match backend {
        Backend::Sqlite => (
            "CREATE TABLE users (\n    id INTEGER NOT NULL PRIMARY KEY,\n    \
             email TEXT NOT NULL UNIQUE,\n    country TEXT NOT NULL\n);\n",
            "CREATE TABLE posts (\n    id INTEGER NOT NULL PRIMARY KEY,\n    \
             user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,\n    \
             title TEXT NOT NULL\n);\n",
        ),
        Backend::Postgres => (
            "CREATE TABLE users (\n    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n    \
             email TEXT NOT NULL UNIQUE,\n    country TEXT NOT NULL\n);\n",
            "CREATE TABLE posts (\n    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n    \
             user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,\n    \
             title TEXT NOT NULL\n);\n",
        ),
        Backend::Mysql => (
            "CREATE TABLE users (\n    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,\n    \
             email VARCHAR(255) NOT NULL UNIQUE,\n    country VARCHAR(2) NOT NULL\n);\n",
            "CREATE TABLE posts (\n    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,\n    \
             user_id BIGINT NOT NULL,\n    title VARCHAR(255) NOT NULL,\n    \
             FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE\n);\n",
        ),
    }
}

/// Returns the files of the project that a user reads, without hidden ones and the database.
pub(super) fn files(root: &Utf8Path) -> Result<Files, CliError> {
    let mut files = Files::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in dir.read_dir_utf8().map_err(file_error(&dir))? {
            let entry = entry.map_err(file_error(&dir))?;
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap_or(path).to_owned();
            if entry.file_name().starts_with('.')
                || entry.file_name().starts_with(super::database::FILE)
            {
                continue;
            } else if path.is_dir() {
                dirs.push(path.to_owned());
            } else {
                files.insert(name, read(path)?);
            }
        }
    }
    Ok(files)
}

/// Returns what differs between two states of the project.
pub(super) fn changes(before: &Files, after: &Files) -> Vec<Change> {
    let paths: std::collections::BTreeSet<&Utf8PathBuf> =
        before.keys().chain(after.keys()).collect();
    let mut patch = FilePatch::default();
    for path in paths {
        patch.push(path, before.get(path).cloned(), after.get(path).cloned());
    }
    patch.changes().to_vec()
}

/// Returns the migration with this version, as Diesel ran it.
pub(super) fn migration(root: &Utf8Path, version: &str) -> Result<Option<Migration>, CliError> {
    let dir = root.join("migrations");
    for entry in dir.read_dir_utf8().map_err(file_error(&dir))? {
        let entry = entry.map_err(file_error(&dir))?;
        if stored_version(entry.file_name()) == version {
            let metadata = entry.path().join("metadata.toml");
            let in_transaction =
                !metadata.is_file() || !read(&metadata)?.contains("run_in_transaction = false");
            let sql = read(&entry.path().join("up.sql"))?;
            let name = entry.file_name().to_owned();
            return Ok(Some(Migration { name, in_transaction, sql }));
        }
    }
    Ok(None)
}
