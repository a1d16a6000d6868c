//! Stages that are taken back in a database.

mod export;
mod meanwhile;
mod tables;
mod words;

use newcol_testkit::{CommandOutput, ScratchDb, Want};

use super::{
    recorded, session, value,
    whole::{App, every_stage, schema},
};
use crate::desk::newcol;

const ROWS: &str = "INSERT INTO users (id, name, settings) VALUES (1, 'Ann', 'x'), (2, 'Bob', NULL), (3, 'Çağ', '')";

const VOUCH: &[&str] = &["next", "users.locale", "--confirm-release", "all pods are new"];

impl App {
    /// Starts with the project's tables and some rows.
    fn with_rows(want: Want) -> Option<Self> {
        let app = Self::new(want)?;
        drop(app.apply(&["--all"]).success());
        app.db.run(&[ROWS]).unwrap();
        Some(app)
    }

    fn undo(&self, args: &[&str]) -> CommandOutput {
        self.run(&[&["undo", "users.locale", "--live"], args].concat())
    }
}

/// All that was there before the column.
fn rest(db: &ScratchDb) -> Vec<Vec<Option<String>>> {
    db.rows("SELECT id, name, settings FROM users ORDER BY id").unwrap()
}

/// Up stage by stage, and down again: each time the schema is met again, and nobody else's values
/// change. Then the way up is free once more.
fn there_and_back(want: Want) {
    let Some(app) = App::with_rows(want) else { return };
    let before = rest(&app.db);
    let state = |app: &App| (schema(&app.db), recorded(&app.db));
    let mut states = vec![state(&app)];
    drop(newcol(&app.project, &every_stage()).success());
    drop(app.apply(&["users.locale"]).success());
    drop(app.run(&["backfill", "users.locale", "--yes"]).success());
    states.push(state(&app));
    while app.run(VOUCH).code() == Some(0) {
        drop(app.apply(&["users.locale"]).success());
        states.push(state(&app));
    }
    states.pop();
    assert!(states.len() >= 4, "{states:?}");
    while let Some(was) = states.pop() {
        drop(app.undo(&["--yes"]).success());
        assert_eq!(state(&app), was);
        assert_eq!(rest(&app.db), before);
    }
    assert_eq!(app.undo(&["--yes"]).code(), Some(4));

    // The files are still there, and so the whole way up.
    drop(app.apply(&["users.locale", "--confirm-release", "as before"]).success());
    let locale = |id: u8| value(&app.db, &format!("SELECT locale FROM users WHERE id = {id}"));
    assert_eq!([locale(1), locale(2)], ["ann", "bob"]);
}

#[test]
fn there_and_back_on_postgres() {
    there_and_back(Want::postgres());
}

#[test]
fn there_and_back_on_mysql() {
    there_and_back(Want::mysql());
}

#[test]
fn there_and_back_on_sqlite() {
    there_and_back(Want::sqlite());
}

/// The column that was replaced comes back with its values, those that were written since included.
fn a_replaced_column_comes_back(want: Want) {
    let Some(app) = App::with_rows(want) else { return };
    let add = [
        "add",
        "users.locale",
        "--type",
        "varchar(40)",
        "--optional",
        "--replaces",
        "settings",
        "--fill",
        "settings",
        "--back",
        "locale",
        "--why",
        "x",
        "--no-tests",
    ];
    drop(app.run(&add).success());
    drop(app.apply(&["users.locale"]).success());
    drop(app.run(&["backfill", "users.locale", "--yes"]).success());
    while app.run(VOUCH).code() == Some(0) {
        drop(app.apply(&["users.locale", "--confirm-release", "x"]).success());
    }
    app.db.run(&["UPDATE users SET locale = 'since' WHERE id = 2"]).unwrap();
    while app.undo(&["--yes"]).code() == Some(0) {}
    let settings = app.db.rows("SELECT settings FROM users ORDER BY id").unwrap();
    let settings: Vec<_> = settings.into_iter().flatten().flatten().collect();
    assert_eq!(settings, ["x", "since", ""]);
    assert_eq!(app.undo(&["--yes"]).code(), Some(4));
}

#[test]
fn a_replaced_column_comes_back_on_postgres() {
    a_replaced_column_comes_back(Want::postgres());
}

#[test]
fn a_replaced_column_comes_back_on_mysql() {
    a_replaced_column_comes_back(Want::mysql());
}

#[test]
fn a_replaced_column_comes_back_on_sqlite() {
    a_replaced_column_comes_back(Want::sqlite());
}

/// What a backfill has proved goes with the values, so that nobody believes it of new ones.
fn the_backfill_is_forgotten(want: Want) {
    let Some(app) = App::with_rows(want) else { return };
    drop(newcol(&app.project, &every_stage()).success());
    drop(app.apply(&["users.locale"]).success());
    let jobs = || value(&app.db, "SELECT count(*) FROM __newcol_backfill");
    drop(app.run(&["backfill", "users.locale", "--yes"]).success());
    assert_eq!(jobs(), "1");
    drop(app.undo(&["--yes"]).success());
    assert_eq!(jobs(), "0");
    assert_eq!(value(&app.db, "SELECT count(*) FROM __newcol_backfill_part"), "0");

    drop(app.apply(&["users.locale"]).success());
    let seen = app.run(&["verify", "users.locale"]);
    assert!(seen.stdout.contains("no backfill that this role can see"), "{seen}");
    drop(app.run(&["backfill", "users.locale", "--yes"]).success());
    let unlike = "SELECT count(*) FROM users WHERE locale IS NULL OR locale <> lower(name)";
    assert_eq!(value(&app.db, unlike), "0");
}

#[test]
fn the_backfill_is_forgotten_on_postgres() {
    the_backfill_is_forgotten(Want::postgres());
}

#[test]
fn the_backfill_is_forgotten_on_mysql() {
    the_backfill_is_forgotten(Want::mysql());
}

#[test]
fn the_backfill_is_forgotten_on_sqlite() {
    the_backfill_is_forgotten(Want::sqlite());
}

/// Where the column stays because others hold the table, so does the record of its backfill; and
/// they are named.
#[test]
fn who_is_in_the_way_is_named_and_nothing_is_lost() {
    let Some(app) = App::with_rows(Want::postgres()) else { return };
    drop(newcol(&app.project, &every_stage()).success());
    drop(app.apply(&["users.locale"]).success());
    drop(app.run(&["backfill", "users.locale", "--yes"]).success());
    let mut pod = session(app.db.url(), "report 7");
    pod.batch("BEGIN; SELECT count(*) FROM users").unwrap();
    let hasty = ["--yes", "--lock-timeout", "50ms", "--max-wait", "300ms"];
    let refused = app.undo(&hasty);
    assert_eq!(refused.code(), Some(3), "{refused}");
    assert!(refused.stderr.contains("report 7"), "{refused}");
    assert_eq!(value(&app.db, "SELECT count(*) FROM __newcol_backfill"), "1");
    pod.batch("COMMIT").unwrap();
    drop(app.undo(&hasty).success());
}
