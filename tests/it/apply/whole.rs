use newcol_core::{
    backend::Backend,
    db::{DatabaseUrl, OpenOptions, Session},
};
use newcol_testkit::{CommandOutput, Project, ScratchDb, Want, schema_dump};

use super::recorded;
use crate::desk::{self, newcol};

/// The answers that make a column with every stage there is.
pub(super) fn every_stage() -> Vec<&'static str> {
    [desk::LOWER_NAME, &["--index"]].concat()
}

pub(super) struct App {
    pub(super) project: Project,
    pub(super) db: ScratchDb,
}

impl App {
    pub(super) fn new(want: Want) -> Option<Self> {
        let db = ScratchDb::require(want)?;
        let project = desk::one_crate(want.backend.name()).build().unwrap();
        // A file appears with the first statement.
        db.run(&["SELECT 1"]).unwrap();
        Some(Self { project, db })
    }

    pub(super) fn run(&self, args: &[&str]) -> CommandOutput {
        newcol(&self.project, &[args, &["--database-url", self.db.url()]].concat())
    }

    pub(super) fn apply(&self, args: &[&str]) -> CommandOutput {
        self.run(&[&["apply", "--yes"], args].concat())
    }
}

/// The schema without the record of the backfill.
pub(super) fn schema(db: &ScratchDb) -> Vec<String> {
    let dump = schema_dump(db.url()).unwrap();
    dump.lines().filter(|line| !line.contains("__newcol_backfill")).map(str::to_owned).collect()
}

/// From the first migration to the last stage, and what is there in the end is what Diesel makes of
/// the same files.
fn the_whole_life(want: Want) {
    let Some(app) = App::new(want) else { return };
    drop(app.apply(&["--all"]).success());
    app.db.run(&["INSERT INTO users (id, name) VALUES (1, 'Ann'), (2, 'Bob')"]).unwrap();
    drop(newcol(&app.project, &every_stage()).success());
    drop(app.apply(&["users.locale", "--record"]).success());
    let record = app.project.root().join("newcol/users.locale.applied.jsonl");
    let lines = std::fs::read_to_string(&record).unwrap();
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert!(first["name"].as_str().unwrap().contains("users_locale_expand"), "{first}");
    assert_eq!(app.apply(&["users.locale"]).code(), Some(4));
    drop(app.run(&["backfill", "users.locale", "--yes"]).success());
    while app.run(&["next", "users.locale", "--confirm-release", "all pods are new"]).code()
        == Some(0)
    {
        drop(app.apply(&["users.locale"]).success());
    }
    let names = "SELECT locale FROM users ORDER BY id";
    let names: Vec<_> = app.db.rows(names).unwrap().into_iter().flatten().flatten().collect();
    assert_eq!(names, ["ann", "bob"]);

    let other = ScratchDb::require(want).unwrap();
    let url = DatabaseUrl::parse(other.url()).unwrap();
    let mut session = Session::open(&url, &OpenOptions::create()).unwrap();
    drop(session.run_pending(&app.project.schema_dir().join("migrations")).unwrap());
    assert_eq!(schema(&app.db), schema(&other));
    assert_eq!(recorded(&app.db), recorded(&other));

    // A new developer's empty database gets all of it at once.
    let app = App { project: app.project, db: ScratchDb::require(want).unwrap() };
    app.db.run(&["SELECT 1"]).unwrap();
    drop(app.apply(&["--all"]).success());
    assert_eq!(schema(&app.db), schema(&other));
}

#[test]
fn the_whole_life_on_postgres() {
    the_whole_life(Want::postgres());
}

#[test]
fn the_whole_life_on_mysql() {
    the_whole_life(Want::mysql());
}

#[test]
fn the_whole_life_on_sqlite() {
    the_whole_life(Want::sqlite());
}

/// MySQL commits a statement before Diesel's table can say so: whoever dies in between left a
/// migration that Diesel itself can never run again.
#[test]
fn what_was_done_and_not_written_down_is_written_down() {
    let Some(app) = App::new(Want::mysql()) else { return };
    drop(app.apply(&["--all"]).success());
    drop(newcol(&app.project, &every_stage()).success());
    loop {
        let before = recorded(&app.db);
        drop(app.apply(&["users.locale"]).success());
        let versions = recorded(&app.db);
        for last in (before.len()..versions.len()).rev() {
            // One after the other, as whoever dies leaves only one.
            let forget = format!(
                "DELETE FROM __diesel_schema_migrations WHERE version >= '{}'",
                versions[last]
            );
            app.db.run(&[&forget]).unwrap();
            let output = app.apply(&["users.locale"]).success();
            assert!(output.stdout.contains("could not write it down"), "{output}");
            assert_eq!(recorded(&app.db), versions);
        }
        if app.run(&["next", "users.locale", "--confirm-release", "a test"]).code() != Some(0) {
            break;
        }
    }
}

/// What has landed is asked of the server that is there, not of the one that was planned for.
#[test]
fn a_default_for_old_writers_is_set() {
    let Some(app) = App::new(Want::mysql()) else { return };
    drop(app.apply(&["--all"]).success());
    let default = ["--default", "'en'", "--old-writers", "default"];
    drop(newcol(&app.project, &[&every_stage()[..], &default].concat()).success());
    drop(app.apply(&["users.locale"]).success());
    app.db.run(&["INSERT INTO users (id, name) VALUES (1, 'Ann')"]).unwrap();
    assert_eq!(super::value(&app.db, "SELECT locale FROM users"), "en");
}

#[test]
fn gates_and_other_refusals_in_words() {
    let Some(app) = App::new(Want::sqlite()) else { return };
    assert_eq!(app.db.backend(), Backend::Sqlite);
    insta::assert_snapshot!(desk::said(&app.run(&["apply", "--all"])), @"
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: nobody can be asked whether to apply 1 migration to SQLite file [DATABASE_URL]
    help: say `--yes`; `--dry-run` shows what would be done
    ");
    insta::assert_snapshot!(desk::said(&app.run(&["apply", "--all", "--dry-run"])), @"
    exit code: 0
    ----- stdout -----
    pending in SQLite file [DATABASE_URL]
      [VERSION]_start
    ----- stderr -----
    ");
    drop(app.apply(&["--all"]).success());
    drop(newcol(&app.project, &every_stage()).success());
    drop(app.apply(&["--all"]).success());
    drop(newcol(&app.project, &["next", "users.locale", "--confirm-release", "x"]).success());
    drop(newcol(&app.project, &["next", "users.locale", "--confirm-release", "x"]).success());
    app.db
        .run(&["DROP TRIGGER newcol_fill_users_locale", "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO users (id, name) SELECT i, 'n' || i FROM n"])
        .unwrap();
    insta::assert_snapshot!(desk::said(&app.apply(&["--all"])), @"
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: `index` of `users.locale` cannot be applied to SQLite file [DATABASE_URL] yet
      --> newcol/users.locale.toml
      because: not shown that the database has what the applied stages planned (the trigger `newcol_fill_users_locale`: planned as released, found none)
      because: not shown that the backfill has left no row empty (more than 10000 rows are empty)
    help: make the trigger `newcol_fill_users_locale` again as `up.sql` does; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    help: fill them first: `cargo newcol backfill users.locale --database-url <URL>`
    ");
}
