//! `doctor` on whole projects; each check has its own tests beside it.

use newcol_testkit::{ScratchDb, Tool, command::CommandOutput, project::Project};

use crate::desk::{Tree, one_crate, said, tool};

/// Runs the doctor, which may not change a byte of the project.
fn doctor(project: &Project, args: &[&str], prepare: impl FnOnce(Tool) -> Tool) -> CommandOutput {
    let before = Tree::of(project.root());
    let args = [&["doctor"], args].concat();
    let output = prepare(tool(project.root(), &args)).run().unwrap();
    assert_eq!(before.changes(&Tree::of(project.root())), "", "doctor has written");
    output
}

/// Without a diesel program, so that the machine does not decide what is found.
fn plain(tool: Tool) -> Tool {
    tool.env("NEWCOL_DIESEL_BIN", "/nonexistent/diesel")
}

#[test]
fn a_sound_project() {
    let project = one_crate("sqlite").build().unwrap();
    insta::assert_snapshot!(said(&doctor(&project, &[], plain)), @r#"
    exit code: 0
    ----- stdout -----
    note[drift-not-checked]: not compared with `diesel print-schema`: /nonexistent/diesel: No such file or directory (os error 2)
      --> src/schema.rs

    no errors, no warnings
    ----- stderr -----
    "#);
}

#[test]
fn a_project_with_traps() {
    let project = one_crate("sqlite")
        .file("migrations/2026-01-01-000000-0000_twin/up.sql", "SELECT 1;\n")
        .file("migrations/2026-01-02-000000-0000_bare/up.sql", "SELECT 1;\n")
        .file("migrations/2026-01-02-000000-0000_bare/metadata.toml", "disable_checks = []\n")
        .file("newcol/users.locale.toml", "format = 2\n")
        .file("src/db.rs", "const M: EmbeddedMigrations = embed_migrations!();\n")
        .build()
        .unwrap();
    let output = doctor(&project, &[], plain);
    assert_eq!(output.code(), Some(100));
    insta::assert_snapshot!(said(&output), @r#"
    exit code: 100
    ----- stdout -----
    error[duplicate-version]: `[VERSION]_start` and `[VERSION]_twin` have the version `[VERSION]`: Diesel runs one of them and takes the others for applied
      --> migrations/[VERSION]_twin
      help: rename all but the one that ran, so that the text before the first `_` differs

    error[metadata-without-key]: no key `run_in_transaction`: Diesel runs the migration without a transaction
      --> migrations/[VERSION]_bare/metadata.toml
      help: write out `run_in_transaction = true` or `run_in_transaction = false`

    error[unreadable-contract]: format 2 was written by a newer cargo newcol; this one reads 1
      --> newcol/users.locale.toml:1:10
      help: update with `cargo install cargo-newcol`

    warning[stale-embed]: Cargo does not rebuild this when a migration is added: the program keeps the old list
      --> src/db.rs:1:31
      help: in the build.rs of `app`: println!("cargo:rerun-if-changed=migrations");

    note[drift-not-checked]: not compared with `diesel print-schema`: /nonexistent/diesel: No such file or directory (os error 2)
      --> src/schema.rs

    3 errors, 1 warning
    ----- stderr -----
    "#);
}

#[test]
fn findings_as_json() {
    let project = one_crate("sqlite").schema("<<<<<<< HEAD\n=======\n>>>>>>> x\n").build().unwrap();
    let output = doctor(&project, &["--message-format", "json"], plain);
    assert_eq!(output.code(), Some(100));
    insta::assert_snapshot!(said(&output), @r#"
    exit code: 100
    ----- stdout -----
    {"reason":"newcol-finding","version":1,"check":"unreadable-schema","severity":"error","path":"src/schema.rs","line":1,"column":1,"message":"a merge is not resolved","help":"resolve it, or let `diesel print-schema` write the file"}
    {"reason":"newcol-finding","version":1,"check":"drift-not-checked","severity":"note","path":"src/schema.rs","line":null,"column":null,"message":"not compared with `diesel print-schema`: /nonexistent/diesel: No such file or directory (os error 2)","help":null}
    ----- stderr -----
    "#);
}

#[test]
fn a_drifted_schema() {
    let diesel = newcol_testkit::diesel_cli().unwrap();
    let program = diesel.command().get_program().to_owned();
    let project = one_crate("sqlite").build().unwrap();
    let with_diesel = |tool: Tool| tool.env("NEWCOL_DIESEL_BIN", &program);
    assert_eq!(doctor(&project, &[], with_diesel).stdout, "no findings\n");
    let schema =
        project.read("src/schema.rs").unwrap().replace("title -> Text", "title -> Integer");
    project.write("src/schema.rs", &schema).unwrap();
    insta::assert_snapshot!(said(&doctor(&project, &[], with_diesel)), @r#"
    exit code: 0
    ----- stdout -----
    warning[schema-drift]: differs from what `diesel print-schema` prints: line 7 is `title -> Integer,`, it prints `title -> Text,`
      --> src/schema.rs:7:1
      help: run `diesel print-schema` and commit what changes, or keep it with `patch_file`

    0 errors, 1 warning
    ----- stderr -----
    "#);
}

#[test]
fn a_killed_command_is_reported_and_left_alone() {
    let project = one_crate("sqlite").file(".newcol-journal", "x\ty\tz\n").build().unwrap();
    let output = doctor(&project, &[], plain);
    assert!(output.stdout.contains("error[leftover-journal]"), "{output}");
}

#[test]
fn databases_are_asked_for_keys() {
    for backend in newcol_core::backend::Backend::ALL {
        let Some(db) = ScratchDb::require(backend) else { continue };
        db.run(&["CREATE TABLE log (line INTEGER)", "CREATE TABLE good (id INTEGER PRIMARY KEY)"])
            .unwrap();
        let project = one_crate(backend.name()).build().unwrap();
        let output = doctor(&project, &["--database-url", db.url()], plain);
        assert!(output.stdout.contains("table `log` has no primary key"), "{output}");
        assert!(!output.stdout.contains("`good`"), "{output}");
        assert!(
            output.stdout.contains("1 migration of the project is not applied there"),
            "{output}"
        );
    }
}

#[test]
fn a_url_of_another_engine_is_a_slip() {
    let project = one_crate("postgres").build().unwrap();
    let db = ScratchDb::sqlite().unwrap();
    let output = doctor(&project, &["--database-url", db.url()], plain);
    assert_eq!(output.code(), Some(2), "{output}");
}
