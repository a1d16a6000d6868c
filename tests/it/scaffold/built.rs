//! Scaffolded tests compile and pass, in projects as they are built by their users.
//!
//! All projects are packages of one workspace, so that what they depend on is compiled once, with our
//! own profile and where we are built ourselves: then most of it is compiled already.

use camino::Utf8Path;
use newcol_testkit::{
    command::Tool,
    project::{Project, ProjectBuilder},
};

use super::{ADD, BIN, FILLED, LIB, SCHEMA, THREE, asynchronous, diesel, package};
use crate::desk::{target, tool};

const PACKAGES: [&str; 7] =
    ["library", "program", "three", "awaited", "schema", "made_up", "filled"];

fn workspace() -> &'static Utf8Path {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Writes the workspace. Its crates are those that we are built with ourselves.
fn projects() -> Project {
    let members = PACKAGES.map(|name| format!("\"{name}\"")).join(", ");
    let root = workspace();
    let own = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let (_, profile) = own.split_once("[profile.dev]").unwrap();
    let manifest = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [{members}, \"app\"]\n\n\
         [patch.crates-io]\nnewcol-testkit = {{ path = \"{root}/newcol-testkit\" }}\n\
         newcol-core = {{ path = \"{root}/newcol-core\" }}\n\n[profile.dev]{profile}"
    );
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).unwrap();
    let add =
        |project: ProjectBuilder, dir: &str, root, dependencies: &str, migrations: &[&str]| {
            package(project, dir, root, dependencies, migrations)
        };
    let project = Project::builder().file("Cargo.toml", manifest).file("Cargo.lock", lock);
    let project = add(project, "library", LIB, &diesel(&["sqlite"]), &[""]);
    let project = add(project, "program", BIN, &diesel(&["postgres"]), &[""]);
    let project = add(project, "three", LIB, &diesel(&["sqlite", "postgres", "mysql"]), &THREE);
    let project = add(project, "awaited", LIB, &asynchronous(), &[""]);
    let project = add(project, "schema", LIB, &diesel(&["mysql"]), &[""]);
    let project = add(project, "filled", LIB, &diesel(&["sqlite"]), &[""]);
    let made_up = "CREATE TABLE teams (id INTEGER NOT NULL PRIMARY KEY);\n\
                   CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(80) NOT NULL, \
                   settings TEXT, team INTEGER NOT NULL REFERENCES teams (id));\n";
    let project = add(project, "made_up", LIB, &diesel(&["sqlite"]), &[""])
        .file(
            "made_up/src/schema.rs",
            SCHEMA.replace("        settings", "        team -> Integer,\n        settings"),
        )
        .file("made_up/migrations/2026-01-01-000000-0000_start/up.sql", made_up);
    let app = super::manifest(
        "app",
        &format!("{}schema = {{ path = \"../schema\" }}\n", diesel(&["mysql"])),
    );
    let project = project
        .file("app/Cargo.toml", app)
        .file("app/src/lib.rs", "pub use schema::schema;\n")
        .build()
        .unwrap();
    for unused in ["diesel.toml", "src", "migrations"] {
        let path = project.root().join(unused);
        drop(std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path)));
    }
    project
}

/// Runs Cargo in the projects' workspace, on crates that are on this machine.
fn cargo(project: &Project, args: &[&str]) {
    // Not where probes are checked, which would wait for us all the while.
    let target = target();
    let target = target.parent().unwrap();
    let ours =
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NEWCOL_"));
    let cargo =
        Tool::new(env!("CARGO")).args(args).arg("--offline").env("CARGO_TARGET_DIR", target);
    let cargo = ours.fold(cargo, |cargo, (name, value)| cargo.env(name, value));
    let limit = std::time::Duration::from_secs(3600);
    drop(cargo.current_dir(project.root()).limit(limit).run().unwrap().success());
}

#[test]
fn scaffolded_tests_pass_from_the_first_stage_to_the_last() {
    let project = projects();
    for (dir, engine) in [
        ("library", "sqlite"),
        ("program", "postgres"),
        ("three", ""),
        ("awaited", "postgres"),
        ("schema", "mysql"),
        ("made_up", "sqlite"),
        ("filled", "sqlite"),
    ] {
        let more: &[&str] = if engine.is_empty() { &[] } else { &["--engine", engine] };
        let dir = project.root().join(dir);
        let add = if dir.ends_with("filled") { FILLED } else { ADD };
        drop(tool(&dir, &[add, more].concat()).run().unwrap().success());
        let formatted = Tool::new("rustfmt")
            .args(["--check", "--edition", "2021", "tests/newcol_users_locale.rs"])
            .current_dir(&dir);
        drop(formatted.run().unwrap().success());
    }
    cargo(&project, &["test", "--workspace", "--no-fail-fast"]);
    let recorded = project.read("library/tests/newcol_users_locale.sqlite.txt").unwrap();
    assert!(recorded.starts_with("expand\n  + "), "{recorded}");

    // With the last stage, schema.rs says that the column is never NULL.
    let next = ["next", "users.locale", "--engine", "sqlite", "--confirm-release", "it runs"];
    let dir = project.root().join("library");
    while tool(&dir, &next).run().unwrap().code() == Some(0) {}
    let schema = project.read("library/src/schema.rs").unwrap();
    assert!(schema.contains("locale -> Text"), "{schema}");
    cargo(&project, &["test", "-p", "library", "--tests"]);
}
