//! The test of a column that `add` writes: its text, what becomes of it, and that it works.

mod built;
mod text;

use newcol_testkit::project::{Project, ProjectBuilder};

/// A table that plain rows fit, without foreign keys.
const SCHEMA: &str = "\
// @generated automatically by Diesel CLI.

diesel::table! {
    users (id) {
        id -> Integer,
        name -> Text,
        settings -> Nullable<Text>,
    }
}
";

const UP: &str = "CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(80) NOT NULL, settings TEXT);\n";

const DIESEL_TOML: &str = "[print_schema]\nfile = \"src/schema.rs\"\n\n\
                           [migrations_directory]\ndir = \"migrations\"\n";

/// A required, computed column: the longest life.
const ADD: &[&str] = &[
    "add",
    "users.locale",
    "--type",
    "varchar(40)",
    "--required",
    "--fill",
    "coalesce(settings, 'en')",
    "--why",
    "Language",
];

/// A column whose old rows application code fills.
const FILLED: &[&str] = &[
    "add",
    "users.locale",
    "--type",
    "text",
    "--required",
    "--fill-rust",
    "app::locale",
    "--old-writers",
    "nobody",
    "--why",
    "Language",
];

/// Returns a manifest with dependencies, one a line.
fn manifest(name: &str, dependencies: &str) -> String {
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n\
         [dependencies]\n{dependencies}"
    )
}

/// Returns a dependency on diesel with features.
fn diesel(features: &[&str]) -> String {
    format!("diesel = {{ version = \"2.3\", default-features = false, features = {features:?} }}\n")
}

/// Returns dependencies of a project that awaits its queries.
fn asynchronous() -> String {
    let wrapped = "diesel-async = { version = \"0.9\", features = [\"postgres\"] }\n";
    diesel(&["postgres_backend"]) + wrapped
}

/// Adds a Diesel package to a directory of a project, with a library or without one.
fn package(
    project: ProjectBuilder,
    dir: &str,
    root: (&str, &str),
    dependencies: &str,
    migrations: &[&str],
) -> ProjectBuilder {
    let at = |path: &str| if dir.is_empty() { path.to_owned() } else { format!("{dir}/{path}") };
    let name = if dir.is_empty() { "app" } else { dir };
    let project = project
        .file(at("Cargo.toml"), manifest(name, dependencies))
        .file(at("diesel.toml"), DIESEL_TOML)
        .file(at("src/schema.rs"), SCHEMA)
        .file(at(root.0), root.1);
    migrations.iter().fold(project, |project, below| {
        let start = at(&format!("migrations{below}/2026-01-01-000000-0000_start"));
        project
            .file(format!("{start}/up.sql"), UP)
            .file(format!("{start}/down.sql"), "DROP TABLE users;\n")
    })
}

const LIB: (&str, &str) = ("src/lib.rs", "pub mod schema;\n");
const BIN: (&str, &str) = ("src/main.rs", "mod schema;\n\nfn main() {}\n");
const THREE: [&str; 3] = ["/sqlite", "/postgresql", "/mysql"];

/// Starts a project of one package at its root.
fn alone(root: (&str, &str), dependencies: &str, migrations: &[&str]) -> ProjectBuilder {
    package(Project::builder(), "", root, dependencies, migrations)
}
