//! The text of the test, the manifest, and what `undo` leaves.

use insta::assert_snapshot;
use newcol_testkit::project::{Layout, Project, ProjectBuilder};

use super::{
    ADD, BIN, DIESEL_TOML, FILLED, LIB, SCHEMA, THREE, UP, alone, asynchronous, diesel, manifest,
};
use crate::desk::{Tree, newcol, said};

const TEST: &str = "tests/newcol_users_locale.rs";

/// Adds the column and returns its test.
#[track_caller]
fn scaffolded(project: ProjectBuilder, path: &str) -> String {
    let project = project.build().unwrap();
    drop(newcol(&project, ADD).success());
    let text = project.read(path).unwrap();
    let long = text.lines().find(|line| line.chars().count() > 100);
    assert_eq!(long, None, "rustfmt cannot shorten it");
    text
}

#[test]
fn a_library_on_sqlite() {
    assert_snapshot!(scaffolded(alone(LIB, &diesel(&["sqlite"]), &[""]), TEST));
}

#[test]
fn a_program_on_postgres() {
    assert_snapshot!(scaffolded(alone(BIN, &diesel(&["postgres"]), &[""]), TEST));
}

#[test]
fn a_schema_crate() {
    let project = Project::with_layout(Layout::SchemaCrate)
        .file("schema/Cargo.toml", manifest("schema", &diesel(&["mysql"])))
        .schema(SCHEMA)
        .migration("start", UP, "DROP TABLE users;\n");
    assert_snapshot!(scaffolded(project, "schema/tests/newcol_users_locale.rs"));
}

#[test]
fn three_engines() {
    let project = alone(LIB, &diesel(&["sqlite", "postgres", "mysql"]), &THREE);
    assert_snapshot!(scaffolded(project, TEST));
}

#[test]
fn queries_that_are_awaited() {
    assert_snapshot!(scaffolded(alone(LIB, &asynchronous(), &[""]), TEST));
}

#[test]
fn a_table_with_triggers_has_its_code_made_up() {
    let trigger = "CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT 1; END;\n";
    let project = alone(LIB, &diesel(&["sqlite"]), &[""])
        .file("migrations/2026-01-02-000000-0000_trigger/up.sql", trigger);
    assert_snapshot!(scaffolded(project, TEST));
}

#[test]
fn why_code_is_made_up() {
    let sqlite = || diesel(&["sqlite"]);
    let with = |text: &str| alone(LIB, &sqlite(), &[""]).schema(text);
    let many: String = (0..12).map(|n| format!("        c{n} -> Integer,\n")).collect();
    let many = SCHEMA.replace("        name", &format!("{many}        name"));
    let up = |text: &str| {
        let path = "migrations/2026-01-01-000000-0000_start/up.sql";
        alone(LIB, &sqlite(), &[""]).file(path, UP.replace("settings TEXT", text))
    };
    let no_connection = diesel(&["sqlite"]).replace("[\"sqlite\"]", "[\"r2d2\"]");
    let cases = [
        ("long", with(&many), &[][..]),
        ("a type of its own", with(&SCHEMA.replace("Nullable<Text>", "Mood")), &[]),
        ("a crate that is not there", with(&SCHEMA.replace("Nullable<Text>", "Timestamp")), &[]),
        ("a keyword", with(&SCHEMA.replace("name ->", "r#type ->")), &[]),
        (
            "looks like a foreign key",
            with(&SCHEMA.replace("name -> Text", "team_id -> Integer")),
            &[],
        ),
        (
            "imports",
            with(&SCHEMA.replace("    users (", "    use crate::types::*;\n\n    users (")),
            &[],
        ),
        ("foreign key", up("settings TEXT REFERENCES teams (id)"), &[]),
        ("check", up("settings TEXT CHECK (settings > '')"), &[]),
        ("generated", up("settings TEXT GENERATED ALWAYS AS (name)"), &[]),
        (
            "another name",
            up("settings TEXT")
                .file("migrations/2026-01-01-000000-0000_start/up.sql", UP.replace("users", "u")),
            &[],
        ),
        ("no connection", alone(LIB, &no_connection, &[""]), &["--engine", "sqlite"]),
        ("checked column", with(SCHEMA), &["--check", "locale > ''"]),
        ("generated column", with(SCHEMA), &["--generated", "lower(name)"]),
    ];
    let mut said_why = String::new();
    for (what, project, more) in cases {
        let project = project.build().unwrap();
        let args: Vec<&str> =
            ["add", "users.locale", "--type", "text", "--optional", "--why", "x", "-v"]
                .iter()
                .chain(more)
                .copied()
                .collect();
        let output = newcol(&project, &args).success();
        let why = output.stderr.lines().find(|line| line.starts_with("the test makes up"));
        said_why += &format!("{what:<26} {}\n", why.unwrap_or(&output.stderr));
    }
    assert_snapshot!(said_why);
}

#[test]
fn rows_that_application_code_fills() {
    let project = alone(LIB, &diesel(&["sqlite"]), &[""]).build().unwrap();
    drop(newcol(&project, FILLED).success());
    let text = project.read(TEST).unwrap();
    let at = text.find("/// Fills old rows").unwrap();
    assert_snapshot!(&text[at..]);
    let args = [
        "add",
        "users.born",
        "--type",
        "date",
        "--required",
        "--fill-rust",
        "app::born",
        "--old-writers",
        "nobody",
        "--why",
        "x",
    ];
    assert_snapshot!(said(&newcol(&project, &args)).split_once("stderr").unwrap().1, @"
     -----
    warning: no test was scaffolded: no value can stand for what `app::born` computes
    next: apply the stage: `diesel migration run`, in production `cargo newcol apply users.born --database-url <URL>`
    next: structs that load every column without `as_select` need a field for it before they compile
    next: this was expand (1 of 3); see the rest with `cargo newcol plan users.born`
    ");
}

#[test]
fn the_manifest_gets_a_dev_dependency() {
    let project = alone(LIB, &diesel(&["sqlite"]), &[""]).build().unwrap();
    let before = Tree::of(project.root());
    assert_snapshot!(said(&newcol(&project, ADD)), @"
    exit code: 0
    ----- stdout -----
      created migrations/[VERSION]_users_locale_expand/up.sql
      created migrations/[VERSION]_users_locale_expand/down.sql
      created migrations/[VERSION]_users_locale_expand/metadata.toml
      changed src/schema.rs
      created newcol/users.locale.toml
      changed Cargo.toml
      created tests/newcol_users_locale.rs
    ----- stderr -----
    next: apply the stage: `diesel migration run`, in production `cargo newcol apply users.locale --database-url <URL>`
    next: structs that load every column without `as_select` need a field for it before they compile
    next: this was expand (1 of 4); see the rest with `cargo newcol plan users.locale`
    next: test old and new code at every stage: `cargo test -p app --test newcol_users_locale`
    ");
    assert_snapshot!(before.changes(&Tree::of(project.root())), @"
    changed Cargo.toml
        new migrations/[VERSION]_users_locale_expand
        new migrations/[VERSION]_users_locale_expand/down.sql
        new migrations/[VERSION]_users_locale_expand/metadata.toml
        new migrations/[VERSION]_users_locale_expand/up.sql
        new newcol
        new newcol/users.locale.toml
    changed src/schema.rs
        new tests
        new tests/newcol_users_locale.rs
    ");
    assert_snapshot!(project.read("Cargo.toml").unwrap(), @r#"
    [package]
    name = "app"
    version = "0.1.0"
    edition = "2024"
    publish = false

    [dependencies]
    diesel = { version = "2.3", default-features = false, features = ["sqlite"] }

    [dev-dependencies]
    newcol-testkit = { version = "0.1.0", default-features = false, features = ["sqlite"] }
    "#);
    let after = Tree::of(project.root());
    assert_eq!(newcol(&project, ADD).code(), Some(4));
    assert_eq!(Tree::of(project.root()), after);
}

#[test]
fn a_dry_run_shows_test_and_manifest() {
    let project = alone(LIB, &asynchronous(), &[""]).build().unwrap();
    let before = Tree::of(project.root());
    let output = newcol(&project, &[ADD, &["--dry-run"]].concat()).success();
    for line in [
        "+newcol-testkit = { version = \"0.1.0\", default-features = false, features = [\"postgres\", \"async\"] }",
        "+++ b/tests/newcol_users_locale.rs",
    ] {
        assert!(output.stdout.lines().any(|one| one == line), "{output}");
    }
    assert_eq!(Tree::of(project.root()), before);
}

#[test]
fn undo_takes_the_test_and_leaves_the_dependency() {
    for project in [
        alone(LIB, &diesel(&["sqlite"]), &[""]),
        alone(LIB, &diesel(&["sqlite", "postgres", "mysql"]), &THREE),
        alone(BIN, &asynchronous(), &[""]),
    ] {
        let project = project.build().unwrap();
        let before = Tree::of(project.root());
        drop(newcol(&project, ADD).success());
        if !project.read("Cargo.toml").unwrap().contains("async") {
            project.write("tests/newcol_users_locale.sqlite.txt", "expand\n").unwrap();
        }
        drop(newcol(&project, &["undo", "users.locale", "--yes"]).success());
        assert_eq!(before.changes(&Tree::of(project.root())), "changed Cargo.toml\n");
    }
}

#[test]
fn a_test_of_the_users_own_stays() {
    let project = alone(LIB, &diesel(&["sqlite"]), &[""]).file(TEST, "// mine\n").build().unwrap();
    let output = newcol(&project, ADD).success();
    assert_snapshot!(said(&output).split_once("stderr").unwrap().1, @"
     -----
    warning: tests/newcol_users_locale.rs is there already, and stays as it is
    next: apply the stage: `diesel migration run`, in production `cargo newcol apply users.locale --database-url <URL>`
    next: structs that load every column without `as_select` need a field for it before they compile
    next: this was expand (1 of 4); see the rest with `cargo newcol plan users.locale`
    ");
    assert_eq!(project.read(TEST).unwrap(), "// mine\n");
    assert_eq!(project.read("Cargo.toml").unwrap(), manifest("app", &diesel(&["sqlite"])));
    let undone = newcol(&project, &["undo", "users.locale", "--yes"]).success();
    assert_snapshot!(said(&undone).split_once("stderr").unwrap().1, @"
     -----
    warning: tests/newcol_users_locale.rs has been changed since it was scaffolded: kept
    ");
    assert_eq!(project.read(TEST).unwrap(), "// mine\n");
}

#[test]
fn projects_that_cannot_use_the_test_kit_are_told() {
    let sqlite = diesel(&["sqlite"]);
    let with = |text: String| alone(LIB, &sqlite, &[""]).file("Cargo.toml", text);
    let whole = manifest("app", &sqlite);
    let cases = [
        with(whole.replace("publish", "rust-version = \"1.85\"\npublish")),
        with(whole.clone()).file("rust-toolchain.toml", "[toolchain]\nchannel = \"1.86\"\n"),
        with(whole.clone()).file("rust-toolchain", "1.87.0\n"),
        with(whole.replace("2024", "2015")),
        with(whole.replace("\"2.3\"", "\"1.4\"")),
        with(whole + "\n[dev-dependencies]\nnewcol-testkit = \"0.1\"\n"),
    ];
    let mut told = String::new();
    for project in cases {
        let project = project.build().unwrap();
        let output = newcol(&project, ADD).success();
        let warnings: Vec<&str> =
            output.stderr.lines().filter(|l| l.starts_with("warning")).collect();
        told += &format!("{}\n", warnings.join("\n"));
    }
    assert_snapshot!(told, @"
    warning: no test was scaffolded: the package promises to build with Rust 1.85.0, the test kit needs 1.88
    warning: no test was scaffolded: the project is built with Rust 1.86.0, the test kit needs 1.88
    warning: no test was scaffolded: the project is built with Rust 1.87.0, the test kit needs 1.88
    warning: no test was scaffolded: the package is of edition 2015
    warning: no test was scaffolded: the package uses diesel ^1.4, the test kit 2.2 or later
    warning: the test needs `sqlite` of newcol-testkit, which app does not ask for
    ");
}

#[test]
fn a_workspace_has_the_say_on_the_version() {
    let workspace = "[workspace]\nresolver = \"3\"\nmembers = [\"app\", \"schema\"]\n\n\
                     [workspace.dependencies]\nnewcol-testkit = { version = \"0.1\", default-features = false }\n";
    let project = Project::with_layout(Layout::SchemaCrate)
        .file("Cargo.toml", workspace)
        .file("schema/Cargo.toml", manifest("schema", &diesel(&["sqlite"])))
        .file("schema/diesel.toml", DIESEL_TOML)
        .schema(SCHEMA)
        .migration("start", UP, "DROP TABLE users;\n")
        .build()
        .unwrap();
    drop(newcol(&project, ADD).success());
    let manifest = project.read("schema/Cargo.toml").unwrap();
    let line = "newcol-testkit = { workspace = true, features = [\"sqlite\"] }";
    assert!(manifest.ends_with(&format!("\n[dev-dependencies]\n{line}\n")), "{manifest}");
}
