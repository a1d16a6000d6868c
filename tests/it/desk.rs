//! What the tests of the command line share: projects, the tool, and the tree before and after.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use newcol_testkit::{
    command::{CommandOutput, Tool},
    project::{Layout, Project, ProjectBuilder},
    redact::redact,
};

/// Where tests build projects: what those depend on is compiled once for all of them.
pub(crate) fn target() -> Utf8PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map(|dir| Utf8PathBuf::try_from(std::path::PathBuf::from(dir)).unwrap());
    let workspace = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    target.unwrap_or_else(|| workspace.join("target")).join("projects")
}

/// The answers that make any column a valid, optional one, without a test of its own.
pub(crate) const GOOD: &[&str] =
    &["--type", "text", "--optional", "--why", "Because", "--no-tests"];

/// Stands for [`GOOD`] in a list of arguments.
pub(crate) const AND_SO_ON: &str = "...";

/// The answers that make a required column of which the database can compute the old rows.
pub(crate) const LOWER_NAME: &[&str] = &[
    "add",
    "users.locale",
    "--type",
    "varchar(40)",
    "--required",
    "--fill",
    "lower(name)",
    "--why",
    "E-mails speak it",
    "--no-tests",
];

pub(crate) const SCHEMA: &str = "\
// @generated automatically by Diesel CLI.

diesel::table! {
    posts (id) {
        id -> Integer,
        user_id -> Integer,
        title -> Text,
    }
}

diesel::table! {
    users (id) {
        id -> Integer,
        name -> Text,
        settings -> Nullable<Text>,
    }
}

diesel::joinable!(posts -> users (user_id));

diesel::allow_tables_to_appear_in_same_query!(posts, users,);
";

const UP: &str = "\
CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, settings TEXT);
CREATE TABLE posts (
    id INTEGER NOT NULL PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id),
    title TEXT NOT NULL
);
";

const DOWN: &str = "DROP TABLE posts;\nDROP TABLE users;\n";

/// Returns a manifest that depends on diesel with features.
pub(crate) fn manifest(name: &str, features: &[&str]) -> String {
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n\
         [dependencies]\ndiesel = {{ version = \"2.3\", default-features = false, features = {features:?} }}\n"
    )
}

/// Starts a project of one crate on one engine, with two tables.
pub(crate) fn one_crate(engine: &str) -> ProjectBuilder {
    Project::builder()
        .file("Cargo.toml", manifest("app", &[engine]))
        .schema(SCHEMA)
        .migration("start", UP, DOWN)
}

/// Builds a project of one table, `t (id, name)`, with a contract of its column `c`.
pub(crate) fn one_table(engine: &str, create: &str, contract: &str) -> Project {
    const T: &str = "\
diesel::table! {
    t (id) {
        id -> Integer,
        name -> Nullable<Text>,
    }
}
";
    Project::builder()
        .file("Cargo.toml", manifest("app", &[engine]))
        .schema(T)
        .migration("start", create, "DROP TABLE t")
        .file("newcol/t.c.toml", contract)
        .build()
        .unwrap()
}

/// Starts a project with a schema crate apart.
pub(crate) fn schema_crate(engine: &str) -> ProjectBuilder {
    Project::with_layout(Layout::SchemaCrate)
        .file("schema/Cargo.toml", manifest("schema", &[engine]))
        .schema(SCHEMA)
        .migration("start", UP, DOWN)
}

/// Starts a project with a migrations directory per engine and one schema.
pub(crate) fn three_engines() -> ProjectBuilder {
    let base = Project::builder()
        .file("Cargo.toml", manifest("app", &["sqlite", "mysql", "postgres"]))
        .schema(SCHEMA);
    ["sqlite", "mysql", "postgresql"].into_iter().fold(base, |project, engine| {
        let dir = format!("migrations/{engine}/2026-01-01-000000-0000_start");
        project.file(format!("{dir}/up.sql"), UP).file(format!("{dir}/down.sql"), DOWN)
    })
}

/// Prepares the tool in a directory.
pub(crate) fn tool(dir: &Utf8Path, args: &[&str]) -> Tool {
    let args = args.iter().flat_map(|arg| match *arg {
        AND_SO_ON => GOOD,
        _ => std::slice::from_ref(arg),
    });
    Tool::new(env!("CARGO_BIN_EXE_newcol-under-test")).args(args).current_dir(dir)
}

/// Runs the tool at the root of a project.
pub(crate) fn newcol(project: &Project, args: &[&str]) -> CommandOutput {
    tool(project.root(), args).run().unwrap()
}

/// Runs the tool inside another program: `wrap` and its arguments stand before it.
pub(crate) fn wrapped(project: &Project, wrap: &[&str], args: &[&str]) -> CommandOutput {
    let inner = tool(project.root(), args).command();
    let (program, rest) = wrap.split_first().unwrap();
    let inner = std::iter::once(inner.get_program()).chain(inner.get_args());
    Tool::new(*program)
        .args(rest)
        .args(inner.map(ToOwned::to_owned).collect::<Vec<_>>())
        .current_dir(project.root())
        .run()
        .unwrap()
}

/// Returns all that a run said, fit for a snapshot: without the place of the server.
pub(crate) fn said(output: &CommandOutput) -> String {
    const BEFORE: &str = "[DATABASE] on ";
    let text = redact(&output.to_string());
    let mut parts = text.split(BEFORE);
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| {
        let end = part.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(part.len());
        format!("{text}{BEFORE}[SERVER]{}", &part[end..])
    })
}

/// Every entry below a directory with its kind, permissions and bytes, hidden ones included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tree(BTreeMap<Utf8PathBuf, (u32, Entry)>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Dir,
    File(Vec<u8>),
    Other,
}

impl Tree {
    pub(crate) fn of(root: &Utf8Path) -> Self {
        let mut entries = BTreeMap::new();
        let mut dirs = vec![root.to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in dir.read_dir_utf8().unwrap() {
                let path = entry.unwrap().into_path();
                let metadata = fs::symlink_metadata(&path).unwrap();
                let kind = if metadata.is_dir() {
                    dirs.push(path.clone());
                    Entry::Dir
                } else if metadata.is_file() {
                    Entry::File(fs::read(&path).unwrap())
                } else {
                    Entry::Other
                };
                let name = path.strip_prefix(root).unwrap().to_owned();
                entries.insert(name, (metadata.permissions().mode(), kind));
            }
        }
        Self(entries)
    }

    /// Returns the paths at which two trees differ, one a line, redacted.
    pub(crate) fn changes(&self, after: &Self) -> String {
        let paths: std::collections::BTreeSet<_> = self.0.keys().chain(after.0.keys()).collect();
        let lines = paths.into_iter().filter_map(|path| {
            let what = match (self.0.get(path), after.0.get(path)) {
                (one, other) if one == other => return None,
                (None, _) => "new",
                (_, None) => "gone",
                (Some(_), Some(_)) => "changed",
            };
            Some(format!("{what:>7} {path}\n"))
        });
        redact(&lines.collect::<String>())
    }
}
