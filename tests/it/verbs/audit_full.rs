//! `audit --full`, on a workspace that compiles in no time: its diesel is a macro.

use std::process::Command;

use insta::assert_snapshot;
use newcol_testkit::project::Project;

use crate::desk::{Tree, newcol, said};

/// What `table!` makes here: a module with a function that gives a row.
const DIESEL: &str = "\
pub mod sql_types {
    pub type Integer = i32;
    pub type Text = String;
    pub type Nullable<T> = Option<T>;
}

#[macro_export]
macro_rules! table {
    ($(#[$meta:meta])* $name:ident ($key:ident) { $($column:ident -> $ty:ty,)* }) => {
        $(#[$meta])*
        pub mod $name {
            use $crate::sql_types::*;
            #[allow(unused_parens)]
            pub fn row() -> ($($ty),*) { ($(column::<$ty>(stringify!($column))),*) }
            fn column<T: Default>(_: &str) -> T { T::default() }
        }
    };
}
";

const SCHEMA: &str = "\
diesel::table! {
    users (id) {
        id -> Integer,
        name -> Text,
    }
}
";

const LIB: &str = "pub mod schema;

pub fn name() -> String {
    let (_, name) = schema::users::row();
    name
}
";

fn manifest(name: &str, rest: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"2.3.0\"\nedition = \"2024\"\n{rest}")
}

/// A package with a program and a test, and what stands for diesel.
fn project() -> Project {
    let features = "\n[features]\npostgres = []\n";
    let needs = "\n[dependencies]\ndiesel = { path = \"diesel\", features = [\"postgres\"] }\n\n[workspace]\nmembers = [\"diesel\"]\n";
    Project::builder()
        .file("Cargo.toml", manifest("app", needs))
        .file("diesel/Cargo.toml", manifest("diesel", features))
        .file("diesel/src/lib.rs", DIESEL)
        .file("src/bin/tool.rs", "fn main() {\n    app::name();\n}\n")
        .file("tests/name.rs", "#[test]\nfn it_has_one() {\n    app::name();\n}\n")
        .lib(LIB)
        .schema(SCHEMA)
        .migration(
            "start",
            "CREATE TABLE users (id int PRIMARY KEY, name text);",
            "DROP TABLE users;",
        )
        .build()
        .unwrap()
}

#[test]
fn the_compiler_is_asked_and_each_package_told_once() {
    let project = project();
    let before = Tree::of(project.root());
    let full = ["audit", "users.locale", "--full", "--offline", "--no-cache", "-v"];
    let output = newcol(&project, &full);
    let written = before.changes(&Tree::of(project.root()));
    let sources = written.lines().filter(|line| !line.contains(" target"));
    assert_eq!(sources.collect::<Vec<_>>(), [""; 0]);
    let mut lines: Vec<&str> = output.stderr.lines().collect();
    // Cargo compiles what it likes first.
    lines.sort_unstable();
    assert_snapshot!(lines.join("\n"), @"
    compiled app of the project
    compiled diesel of stage expand
    compiled diesel of the project
    read 7 files; no database was asked
    src/lib.rs:4:36 names column `row`
    the compiler looks at a copy of the workspace; the first time takes as long as `cargo check`
    the compiler sees 1 use of the table in 1 file
    ");
    assert_snapshot!(output.stdout, @"
    compile[NC301]: mismatched types
     --> src/lib.rs:4:9
      |
    4 |     let (_, name) = schema::users::row();
      |         ^^^^^^^^^
      |
      = note: to be dealt with before `expand` is released

    unknown[NC205]: not compiled at stage expand, because something that it needs does not: bin `tool`, test `name`
    --> package app
     = note: to be looked at before `expand` is released
     = help: mend what does not compile, then audit again: more may lie behind it

    1 place to act on (1 compile); 1 unknown
    ");
    assert_eq!(output.code(), Some(100));
}

/// The target of this machine is one like any other; one that is not there is a sentence.
#[test]
fn a_target_is_compiled_for_or_said_not_to_be_there() {
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let project = project();
    let ask = |target: &str| {
        let full = ["audit", "users.locale", "--full", "--offline", "--message-format", "short"];
        newcol(&project, &[&full[..], &["--target", target]].concat())
    };
    let here = ask(host);
    assert!(here.stdout.starts_with("src/lib.rs:4:9: compile[NC301]"), "{here}");
    // No toolchain brings its standard library.
    assert_snapshot!(said(&ask("sparc64-unknown-netbsd")), @"
    exit code: 101
    ----- stdout -----
    ----- stderr -----
    the compiler looks at a copy of the workspace; the first time takes as long as `cargo check`
    error: the target `sparc64-unknown-netbsd` is not installed
      --> --full
    help: install it: `rustup target add <TARGET>`
    ");
    assert_snapshot!(said(&ask("no-such-target")), @"
    exit code: 101
    ----- stdout -----
    ----- stderr -----
    the compiler looks at a copy of the workspace; the first time takes as long as `cargo check`
    error: cargo gave up: failed to run `rustc` to learn about target-specific information
      --> --full
    help: `rustc --print target-list` lists the targets that there are
    ");
}
