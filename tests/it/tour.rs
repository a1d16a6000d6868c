//! The tour, as somebody takes it who sees the tool for the first time.

use camino::Utf8Path;
use newcol_core::backend::Backend;
use newcol_testkit::ScratchDb;

use crate::desk::tool;

/// Longest line of the output, the tool's own long file names aside.
const WIDTH: usize = 110;

/// Takes the tour with a temporary directory of its own, which must be empty afterwards.
fn tour(args: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    let said = tool(dir, &[&["tour"], args].concat()).env("TMPDIR", dir).run().unwrap().success();
    let left: Vec<String> = dir
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_owned())
        .filter(|name| name.starts_with("newcol-tour-"))
        .collect();
    assert!(left.is_empty(), "the tour left something behind: {left:?}");
    assert_eq!(said.stderr, "");
    said.stdout
}

fn check(backend: Backend) {
    if ScratchDb::require(backend).is_none() {
        return;
    }
    let text = tour(&["--engine", backend.name()]);
    for part in [
        "$ cargo newcol add users.locale --type 'varchar(16)' --required",
        "file newcol/users.locale.toml",
        "_users_locale_expand, ",
        "Next: index",
        "Next: constrain",
        "A gate is shut",
        "(exit code 3)",
        "Next: contract",
        "$ cargo newcol backfill users.locale --database-url \"$DATABASE_URL\" --yes",
        "`users.locale` is filled: ",
        "    1   anna@example.org    DE       NULL",
        "    1   anna@example.org    DE       de",
        "    4   dora@example.org    AT       de",
        "    refused: ",
        "      contract   applied",
        "$ cargo newcol audit users.locale",
        "runtime[NC004]: `NewUser` inserts rows of `users` without `locale`",
        "15. On your own project",
        "  cargo newcol rehearse <table.column> ",
        "  cargo newcol backfill <table.column> ",
    ] {
        assert!(text.contains(part), "{backend}: no `{part}` in\n{text}");
    }
    let long = text.lines().find(|line| line.chars().count() > WIDTH);
    assert_eq!(long, None, "{backend}: too long for a terminal");
}

#[test]
fn sqlite() {
    check(Backend::Sqlite);
}

#[test]
fn postgres() {
    check(Backend::Postgres);
}

#[test]
fn mysql() {
    check(Backend::Mysql);
}

#[test]
fn json_is_one_line_per_step() {
    let text = tour(&["--message-format", "json"]);
    let steps: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(steps.len(), 15);
    for (at, step) in steps.iter().enumerate() {
        assert_eq!(step["reason"], "newcol-tour-step");
        assert_eq!(step["number"], at + 1);
    }
    assert_eq!(steps[2]["command"]["exit_code"], 0);
    assert!(!steps[4]["migrations"].as_array().unwrap().is_empty());
}

#[test]
fn a_kept_project_goes_on_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    let said = tool(dir, &["tour", "--keep"]).env("TMPDIR", dir).run().unwrap().success();
    let kept = said.stderr.lines().find_map(|line| line.strip_prefix("kept: the project in "));
    let kept = Utf8Path::new(kept.expect("it says where"));
    assert!(kept.starts_with(dir) && kept.join("app.db").is_file());
    let status = tool(kept, &["status"]).run().unwrap().success();
    assert!(status.stdout.contains("every stage is released"), "{status}");
    // What the tour writes into schema.rs is what Diesel prints.
    let diesel = newcol_testkit::diesel_cli().unwrap().arg("print-schema");
    let diesel = diesel.env("DATABASE_URL", kept.join("app.db")).current_dir(kept);
    let schema = std::fs::read_to_string(kept.join("src/schema.rs")).unwrap();
    assert_eq!(diesel.run().unwrap().success().stdout, schema);
}

#[test]
fn without_a_server_it_says_what_was_tried() {
    let dir = tempfile::tempdir().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    let said = tool(dir, &["tour", "--engine", "postgres"])
        .env("TMPDIR", dir)
        .env("NEWCOL_TEST_POSTGRES_URL", "postgres://nobody:secret@127.0.0.1:1/none")
        .run()
        .unwrap();
    assert_eq!(said.code(), Some(101), "{said}");
    assert!(said.stderr.contains("NEWCOL_TEST_POSTGRES_URL") && !said.stderr.contains("secret"));
    assert_eq!(said.stdout, "");
}
