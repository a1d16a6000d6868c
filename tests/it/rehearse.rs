//! `cargo newcol rehearse` on every engine, with stages that hold and with stages that do not.

mod old_release;

use camino::Utf8PathBuf;
use insta::assert_snapshot;
use newcol_testkit::{Project, ScratchDb, Want, command::CommandOutput};

use crate::desk::{self, AND_SO_ON, LOWER_NAME as REQUIRED, Tree, newcol, said};

fn project(engine: &str, add: &[&str]) -> Project {
    let project = desk::one_crate(engine).build().unwrap();
    drop(newcol(&project, add).success());
    project
}

/// Leaves out what differs from run to run.
fn steady(output: &CommandOutput) -> String {
    let is_told = |line: &&str| !line.starts_with("Old and new code at work meanwhile");
    said(output).lines().filter(is_told).map(|line| format!("{line}\n")).collect()
}

/// Puts a text in the place of another in the one `up.sql` of ours.
fn spoil(project: &Project, from: &str, to: &str) {
    let ours =
        |path: &Utf8PathBuf| path.as_str().contains("users_locale") && path.ends_with("up.sql");
    let files = project.files().unwrap();
    let (path, text) = files.iter().find(|(path, _)| ours(path)).unwrap();
    assert!(text.contains(from), "{text}");
    project.write(path, &text.replace(from, to)).unwrap();
}

#[test]
fn everything_holds_on_sqlite() {
    let project = project("sqlite", REQUIRED);
    let before = Tree::of(project.root());
    assert_snapshot!(steady(&newcol(&project, &["rehearse", "users.locale"])));
    assert_eq!(Tree::of(project.root()), before);
}

#[test]
fn everything_holds_on_postgres() {
    if ScratchDb::require(Want::postgres().version(15)).is_none() {
        return;
    }
    let project = project("postgres", REQUIRED);
    let run = newcol(&project, &["rehearse", "users.locale", "--server", "15"]);
    assert_snapshot!(steady(&run));
}

#[test]
fn each_column_has_the_schema_that_was_there_before_it() {
    if ScratchDb::require(Want::postgres().version(15)).is_none() {
        return;
    }
    let project = project("postgres", REQUIRED);
    let second = ["add", "users.tongue", "--fill", "lower(locale)", AND_SO_ON];
    drop(newcol(&project, &second).success());
    for column in ["users.locale", "users.tongue"] {
        drop(newcol(&project, &["rehearse", column, "--server", "15"]).success());
    }
}

#[test]
fn everything_holds_on_mysql() {
    if ScratchDb::require(Want::mysql()).is_none() {
        return;
    }
    let project = project("mysql", REQUIRED);
    drop(newcol(&project, &["rehearse", "users.locale"]).success());
}

#[test]
fn the_job_is_refused_as_in_production() {
    if ScratchDb::require(Want::mysql()).is_none() {
        return;
    }
    let project = project("mysql", REQUIRED);
    let files = project.files().unwrap();
    let (path, up) = files.iter().find(|(path, _)| path.as_str().contains("start/up.sql")).unwrap();
    let trigger = "CREATE TRIGGER seen BEFORE UPDATE ON users FOR EACH ROW SET @seen = NEW.id;\n";
    project.write(path, &format!("{up}\n{trigger}")).unwrap();
    let run = newcol(&project, &["rehearse", "users.locale"]);
    assert_eq!(run.code(), Some(100));
    let refused = "- [traffic] backfill: `backfill` fails: filling `users.locale` fires `seen`";
    assert!(run.stdout.contains(refused), "{run}");
    drop(newcol(&project, &["rehearse", "users.locale", "--triggers", "fire"]).success());
}

#[test]
fn a_fill_that_has_no_value_for_some_rows_is_caught() {
    let rehearsed = |fill: &str| {
        let add = REQUIRED.iter().map(|arg| if *arg == "lower(name)" { fill } else { arg });
        let project = project("sqlite", &add.collect::<Vec<_>>());
        newcol(&project, &["rehearse", "users.locale"])
    };
    let run = rehearsed("lower(settings)");
    assert_eq!(run.code(), Some(100));
    let broken = "- [matrix] backfill: `backfill` fails: the fill of the required `users.locale` \
                  yields NULL for ";
    assert!(run.stdout.contains(broken), "{run}");
    assert!(run.stdout.contains(": `settings` is NULL there"), "{run}");
    drop(rehearsed("coalesce(lower(settings), name)").success());
}

#[test]
fn a_stage_that_was_edited_wrongly_is_caught() {
    if ScratchDb::require(Want::postgres().version(15)).is_none() {
        return;
    }
    let project = project("postgres", REQUIRED);
    spoil(&project, "WHEN (NEW.\"locale\" IS NULL)", "WHEN (NEW.\"locale\" IS NOT NULL)");
    let run = newcol(&project, &["rehearse", "users.locale", "--server", "15"]);
    assert_eq!(run.code(), Some(100));
    let broken = "expand: old code, warm session, insert: expected the value of `lower(name)`, \
                  found NULL";
    assert!(run.stdout.contains(broken), "{run}");
}

#[test]
fn a_stage_that_changes_other_columns_breaks_a_law() {
    let project = project("sqlite", &["add", "users.locale", AND_SO_ON]);
    let and_more = "UPDATE users SET settings = 'lost' WHERE id % 2 = 0;\nALTER TABLE";
    spoil(&project, "ALTER TABLE", and_more);
    let run = newcol(&project, &["rehearse", "users.locale", "--message-format", "json"]);
    assert_eq!(run.code(), Some(100));
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let broken = json["broken"].as_array().unwrap().iter().filter(|b| b["scene"] == "laws");
    let laws: Vec<_> = broken.map(|broken| broken["what"].as_str().unwrap()).collect();
    assert_snapshot!(laws.join("\n"), @r#"
    expand: `users_locale_expand` changes `settings` of 50 rows, the first from NULL to "lost"
    the way up and back changes `settings` of 50 rows, the first from NULL to "lost"
    "#);
}

#[test]
fn programs_read_json_and_junit() {
    let project = project("sqlite", &["add", "users.locale", AND_SO_ON]);
    let run = newcol(
        &project,
        &["rehearse", "users.locale", "--message-format", "json", "--junit", "report.xml"],
    );
    let json: serde_json::Value = serde_json::from_str(&run.success().stdout).unwrap();
    assert_eq!(json["reason"], "newcol-rehearsal");
    assert_eq!(json["broken"], serde_json::json!([]));
    let cells = json["moments"][0]["cells"].as_array().unwrap();
    assert!(cells.iter().any(|cell| cell["outcome"] == "works"), "{cells:?}");
    let xml = std::fs::read_to_string(project.root().join("report.xml")).unwrap();
    assert!(xml.contains("failures=\"0\"") && xml.contains("name=\"traffic\""), "{xml}");
}

#[test]
fn rows_can_be_copied() {
    let project = project("sqlite", REQUIRED);
    let source = ScratchDb::sqlite().unwrap();
    let tables = "CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, \
                  settings TEXT)";
    let copied = |project: &Project| {
        newcol(project, &["rehearse", "users.locale", "--sample-from", source.url()])
    };
    source.run(&[tables]).unwrap();
    assert_snapshot!(said(&copied(&project)).replace(source.url(), "[DB]"), @"
    exit code: 101
    ----- stdout -----
    ----- stderr -----
    rehearsing on SQLite: the project's migrations
    rehearsing on SQLite: old and new code at every moment, up and down
    error: could not rehearse on SQLite
      because: could not copy a sample of rows
      because: `users` has no rows there
    ");
    source.run(&["INSERT INTO users VALUES (1, 'Ada', NULL), (2, 'Ève''s', x'00')"]).unwrap();
    let before = source.rows("SELECT count(*) || '' FROM sqlite_schema").unwrap();
    let run = copied(&project);
    assert!(run.success().stdout.contains("Every migration and job, on 2 rows"));
    assert_eq!(source.rows("SELECT count(*) || '' FROM sqlite_schema").unwrap(), before);
}

#[test]
fn what_cannot_be_rehearsed_is_said() {
    let project = project("sqlite", REQUIRED);
    assert_snapshot!(said(&newcol(&project, &["rehearse", "users.nothing"])), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `users.nothing` has no contract
      --> newcol/users.nothing.toml
    help: write one with `cargo newcol add users.nothing ...`
    ");
    let files = project.files().unwrap();
    let path = files.keys().find(|path| path.as_str().contains("start/up.sql")).unwrap();
    project.write(path, "CREATE TABEL users (id INTEGER);").unwrap();
    assert_snapshot!(said(&newcol(&project, &["rehearse", "users.locale"])), @r#"
    exit code: 101
    ----- stdout -----
    ----- stderr -----
    error: migration [VERSION]_start failed on :memory:
      --> migrations
      because: near "TABEL": syntax error
    help: the project's own migrations must run on an empty database; or pass `--database-url`
    "#);
}

#[test]
fn each_error_has_the_way_out_of_its_own() {
    let nobody = ["--old-writers", "nobody", AND_SO_ON];
    let by_rust = [&["add", "users.locale", "--fill-rust", "app::locale_of"], &nobody[..]].concat();
    let project = project("sqlite", &by_rust);
    assert_snapshot!(said(&newcol(&project, &["rehearse", "users.locale"])), @"
    exit code: 101
    ----- stdout -----
    ----- stderr -----
    rehearsing on SQLite: the project's migrations
    rehearsing on SQLite: old and new code at every moment, up and down
    error: could not rehearse on SQLite
      because: old rows are computed by `app::locale_of`, which is not at hand
    help: give that code to the test that `cargo newcol add` writes, in `Matrix::backfill`
    ");
    // Its only row cannot be made up.
    let tables = "CREATE TABLE kinds (id INTEGER PRIMARY KEY CHECK (id = 7));\n\
                  CREATE TRIGGER closed BEFORE INSERT ON kinds WHEN NEW.id <> 7\n\
                  BEGIN SELECT RAISE(ABORT, 'closed'); END;\n\
                  CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL,\n\
                  settings TEXT, kind INTEGER NOT NULL DEFAULT 7 REFERENCES kinds);";
    let project = self::project("sqlite", &["add", "users.locale", AND_SO_ON]);
    let files = project.files().unwrap();
    let path = files.keys().find(|path| path.as_str().contains("start/up.sql")).unwrap();
    project.write(path, tables).unwrap();
    assert_snapshot!(said(&newcol(&project, &["rehearse", "users.locale"])), @r#"
    exit code: 101
    ----- stdout -----
    ----- stderr -----
    rehearsing on SQLite: the project's migrations
    rehearsing on SQLite: old and new code at every moment, up and down
    error: could not rehearse on SQLite
      because: could not make up old code for the table
      because: there is no row of `kinds` to refer to
      because: `kinds` takes no row that could be made
      because: `INSERT INTO "kinds" ("id") VALUES (1000001)` failed on [DATABASE_URL]
      because: closed
    help: copy rows of a database that has some: `--sample-from <URL>`
    "#);
    let source = ScratchDb::sqlite().unwrap();
    let row = "INSERT INTO users VALUES (1, 'Ada', NULL, 7)";
    source.run(&[tables, "INSERT INTO kinds VALUES (7)", row]).unwrap();
    let args = ["rehearse", "users.locale", "--sample-from", source.url()];
    drop(newcol(&project, &args).success());
    let guarded = "CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL,\n\
                   settings TEXT);\n\
                   CREATE TRIGGER guard BEFORE INSERT ON users\n\
                   BEGIN SELECT RAISE(ABORT, 'users must be paid for'); END;";
    project.write(path, guarded).unwrap();
    assert_snapshot!(said(&newcol(&project, &["rehearse", "users.locale"])), @r#"
    exit code: 101
    ----- stdout -----
    ----- stderr -----
    rehearsing on SQLite: the project's migrations
    rehearsing on SQLite: old and new code at every moment, up and down
    error: could not rehearse on SQLite
      because: could not make up old code for the table
      because: `users` takes no row that could be made
      because: `INSERT INTO "users" ("id", "name", "settings") VALUES (1000001, 'value 1', 'value 1')` failed on [DATABASE_URL]
      because: users must be paid for
    help: give your application's own code to the test that `cargo newcol add` writes
    "#);
}
