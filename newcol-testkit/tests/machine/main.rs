//! Random histories of a column's life against a model: old and new writers, batches of a backfill,
//! batches that die, stages forwards and back, in any order that the gates allow.
//!
//! One statement at a time, so that a history can be run again and made smaller. What it must find
//! is seeded too: stages that are wrong in one place.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod model;

use newcol_core::{backend::Backend, contract::read::read, plan::StageKind};
use newcol_testkit::{
    ScratchDb, Want,
    life::{Action, Life},
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestError, TestRunner},
};

use self::model::{Machine, Move};

const USERS: &str = "CREATE TABLE users (id bigint PRIMARY KEY, name varchar(40) NOT NULL)";

const LIVES: [(&str, &str); 4] = [
    ("required, by a trigger", "required = true\n[old_rows]\nfill = 'lower(name)'"),
    ("optional", "required = false\n[old_rows]\nfill = 'lower(name)'"),
    (
        "required, by nobody",
        "required = true\n[old_rows]\nfill = 'lower(name)'\n[old_writers]\nby = 'nobody'",
    ),
    ("a constant", "required = true\n[default]\nvalue = \"'en'\"\nkeep = false"),
];

fn life(text: &str, db: &ScratchDb) -> Life {
    let text = format!(
        "format = 1\ntable = 'users'\ncolumn = 'locale'\nwhy = 'E-mails speak it'\n\
         type = 'varchar(40)'\n{text}\n"
    );
    let file = read(&text).unwrap_or_else(|complaints| panic!("{complaints:?}"));
    Life::plan(&file.contract, db.url()).unwrap()
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let row = 0..6_u64;
    let one = prop_oneof![
        3 => row.clone().prop_map(Move::OldInsert),
        2 => row.clone().prop_map(Move::OldUpdate),
        1 => row.clone().prop_map(Move::OldDelete),
        3 => row.clone().prop_map(Move::NewInsert),
        2 => row.clone().prop_map(Move::NewUpdate),
        1 => row.prop_map(Move::NewDelete),
        2 => Just(Move::Fill),
        1 => Just(Move::FillThatDies),
        3 => Just(Move::Forward),
        1 => Just(Move::Back),
    ];
    vec(one, 1..40)
}

/// Runs histories until one is wrong; returns the smallest one found and what is wrong with it.
fn search(
    want: Want,
    cases: u32,
    text: &str,
    spoil: &dyn Fn(Life) -> Life,
) -> Option<(Vec<Move>, String)> {
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 128, ..Config::default() };
    let run = TestRunner::new(config).run(&moves(), |history| {
        let db = ScratchDb::new(want).unwrap();
        db.run(&[USERS]).unwrap();
        let life = spoil(life(text, &db));
        Machine::new(&life, db.url()).history(&history).map_err(TestCaseError::fail)
    });
    match run {
        Ok(()) => None,
        Err(TestError::Fail(why, history)) => Some((history, why.to_string())),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

fn every_history_holds(backend: Backend, cases: u32) {
    if ScratchDb::require(backend).is_none() {
        return;
    }
    for (name, text) in LIVES {
        if let Some((history, why)) = search(backend.into(), cases, text, &|life| life) {
            panic!("{name} on {backend}: {why}\nafter {history:?}");
        }
    }
}

#[test]
fn every_history_holds_on_postgres() {
    every_history_holds(Backend::Postgres, 24);
}

#[test]
fn every_history_holds_on_mysql() {
    every_history_holds(Backend::Mysql, 12);
}

#[test]
fn every_history_holds_on_sqlite() {
    every_history_holds(Backend::Sqlite, 48);
}

/// Replaces a text in every migration and job of a stage.
fn edited(mut life: Life, kind: StageKind, from: &str, to: &str) -> Life {
    let mut found = false;
    for action in life.stages.iter_mut().filter(|s| s.kind == kind).flat_map(|s| &mut s.actions) {
        let texts: Vec<&mut String> = match action {
            Action::Migration(script) => vec![&mut script.up, &mut script.down],
            Action::Statements { sql, .. } => sql.iter_mut().collect(),
            Action::Backfill(_) => Vec::new(),
        };
        for text in texts {
            found |= text.contains(from);
            *text = text.replace(from, to);
        }
    }
    assert!(found, "{from}");
    life
}

/// What is wrong, in which of the lives, and how that gets it.
type Fault = (&'static str, usize, fn(Life) -> Life);

#[test]
fn wrong_stages_are_found() {
    if ScratchDb::require(Backend::Postgres).is_none() {
        return;
    }
    let faults: [Fault; 6] = [
        ("the trigger overwrites new writers", 0, |life| {
            edited(life, StageKind::Expand, "WHEN (NEW.\"locale\" IS NULL) ", "")
        }),
        ("the trigger computes something else", 0, |life| {
            edited(life, StageKind::Expand, "lower(name)", "upper(name)")
        }),
        ("the trigger is missing", 0, |life| {
            edited(life, StageKind::Expand, "BEFORE INSERT ON", "BEFORE DELETE ON")
        }),
        ("taking expand back leaves the function", 0, |life| {
            edited(life, StageKind::Expand, "DROP FUNCTION", "SELECT 1; -- DROP FUNCTION")
        }),
        ("rows that are left are filled anew", 2, |life| {
            edited(
                life,
                StageKind::Constrain,
                "WHERE \"locale\" IS NULL AND (lower(name)) IS NOT NULL;",
                "WHERE (lower(name)) IS NOT NULL;",
            )
        }),
        ("the constraint comes with the column", 0, |life| {
            edited(
                life,
                StageKind::Expand,
                "ADD COLUMN \"locale\" varchar(40)",
                "ADD COLUMN \"locale\" varchar(40) NOT NULL DEFAULT ''",
            )
        }),
    ];
    for (name, life, spoil) in faults {
        let found = search(Want::postgres(), 200, LIVES[life].1, &spoil);
        let (history, _) = found.unwrap_or_else(|| panic!("not found: {name}"));
        assert!(history.len() <= 16, "{name} was not made small: {history:?}");
    }
}
