//! Random histories of a column's life against a model: old and new writers, their transactions that
//! stay open, batches of the real backfill, stages forwards and back, in any order that the gates
//! allow; sessions, jobs and servers that die anywhere between.
//!
//! One statement at a time, so that a history can be run again and made smaller; only a stage that
//! waits for an open transaction waits beside it. What it must find is seeded too: stages that are
//! wrong in one place.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod carried;
mod client;
mod model;
mod moves;
mod rows;

use std::{cell::RefCell, time::Instant};

use newcol_core::{
    backend::{Backend, Product},
    contract::read::read,
    execute::backfill::RECORD_TABLES,
    plan::StageKind,
};
use newcol_testkit::{
    ScratchDb, Want,
    life::{Action, Life},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestError, TestRunner},
};

use self::{
    carried::BUDGET,
    client::open,
    model::Machine,
    moves::{Move, Who, moves, moves_with_crashes},
};

const USERS: &str =
    "CREATE TABLE users (id bigint PRIMARY KEY, name varchar(40) NOT NULL DEFAULT '')";

const LIVES: [(&str, &str); 6] = [
    ("required, by a trigger", "required = true\n[old_rows]\nfill = 'lower(name)'"),
    ("optional", "required = false\n[old_rows]\nfill = 'lower(name)'"),
    (
        "required, by nobody",
        "required = true\n[old_rows]\nfill = 'lower(name)'\n[old_writers]\nby = 'nobody'",
    ),
    ("a constant", "required = true\n[default]\nvalue = \"'en'\"\nkeep = false"),
    (
        "in the place of another column",
        "required = true\n[old_rows]\nfill = \"replace(name, 'User', 'Person')\"\n\
         [replaces]\ncolumn = 'name'\nback = \"replace(locale, 'Person', 'User')\"",
    ),
    ("with an index", "required = true\n[old_rows]\nfill = 'lower(name)'\n[index]"),
];

/// A database that histories use one after the other.
struct Place {
    db: ScratchDb,
    life: Life,
}

impl Place {
    fn new(want: Want, text: &str) -> Self {
        let db = ScratchDb::new(want).unwrap();
        db.run(&[USERS]).unwrap();
        let text = format!(
            "format = 1\ntable = 'users'\ncolumn = 'locale'\nwhy = 'E-mails speak it'\n\
             type = 'varchar(40)'\n{text}\n"
        );
        let file = read(&text).unwrap_or_else(|complaints| panic!("{complaints:?}"));
        let life = Life::plan(&file.contract, db.url()).unwrap();
        Self { db, life }
    }

    /// Makes it as it was, whatever happened here; `None` where a new one costs less.
    fn cleared(self, history: &Result<(), String>) -> Option<Self> {
        let records = RECORD_TABLES.map(|table| format!("DROP TABLE IF EXISTS {table}"));
        let [jobs, parts] = records.each_ref().map(String::as_str);
        match (self.db.backend(), history) {
            (Backend::Postgres, _) => {
                self.db
                    .run(&["DROP SCHEMA public CASCADE", "CREATE SCHEMA public", USERS])
                    .unwrap();
            }
            (Backend::Mysql | Backend::Sqlite, Ok(())) => {
                self.db.run(&["DROP TABLE users", jobs, parts, USERS]).unwrap();
            }
            (Backend::Mysql | Backend::Sqlite, Err(_)) => return None,
        }
        Some(self)
    }
}

/// Lets migrations give up sooner where a wait can be as short: most of the time would be waits.
fn with_short_budgets(mut life: Life) -> Life {
    let actions = life.stages.iter_mut().flat_map(|stage| &mut stage.actions);
    for action in actions {
        if let Action::Migration(script) = action {
            for text in [&mut script.up, &mut script.down] {
                *text = text.replace("lock_timeout = '500ms'", "lock_timeout = '30ms'");
                *text = text.replace("busy_timeout = 5000", "busy_timeout = 30");
            }
        }
    }
    life
}

/// How many histories run.
#[derive(Clone, Copy)]
struct Effort {
    /// Until one is wrong.
    cases: u32,
    /// To make that one smaller: most of what a search costs that finds something.
    smaller: u32,
}

/// Runs histories until one is wrong; returns the smallest one found and what is wrong with it.
fn search(
    want: Want,
    effort: Effort,
    histories: &BoxedStrategy<Vec<Move>>,
    text: &str,
    spoil: &dyn Fn(Life) -> Life,
) -> Option<(Vec<Move>, String)> {
    let config = Config {
        cases: effort.cases,
        max_shrink_iters: effort.smaller,
        failure_persistence: None,
        ..Config::default()
    };
    let place = RefCell::new(None::<Place>);
    let run = TestRunner::new(config).run(histories, |history| {
        let here = place.take().unwrap_or_else(|| {
            let Place { db, life } = Place::new(want, text);
            Place { db, life: with_short_budgets(spoil(life)) }
        });
        let holds = Machine::new(&here.life, &here.db).history(&history);
        place.replace(here.cleared(&holds));
        holds.map_err(TestCaseError::fail)
    });
    match run {
        Ok(()) => None,
        Err(TestError::Fail(why, history)) => Some((history, why.to_string())),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

/// What `PROPTEST_CASES` asks for; without it, every engine has as many as it has time for.
fn wished() -> Option<u32> {
    const BUILT_IN: u32 = 256;
    Some(Config::default().cases).filter(|cases| *cases != BUILT_IN)
}

fn every_history_holds(want: Want, cases: u32, histories: fn() -> BoxedStrategy<Vec<Move>>) {
    if ScratchDb::require(want).is_none() {
        return;
    }
    let effort = Effort { cases: wished().unwrap_or(cases), smaller: 40 };
    for (name, text) in LIVES {
        if let Some((history, why)) = search(want, effort, &histories(), text, &|life| life) {
            panic!("{name} on {}: {why}\nafter {history:?}", want.backend);
        }
    }
}

#[test]
fn every_history_holds_on_postgres() {
    every_history_holds(Want::postgres(), 6, moves);
}

#[test]
fn every_history_holds_on_mysql() {
    every_history_holds(Want::mysql(), 3, moves);
}

#[test]
fn every_history_holds_on_sqlite() {
    every_history_holds(Want::sqlite(), 24, moves);
}

#[test]
fn every_history_holds_through_crashes_of_postgres() {
    every_history_holds(Want::postgres().private(), 2, moves_with_crashes);
}

// SQLite has no server that could crash: a process that dies is a session that ends.
#[test]
fn every_history_holds_through_crashes_of_mariadb() {
    every_history_holds(Want::mysql().product(Product::Mariadb).private(), 1, moves_with_crashes);
}

/// New code writes between any two migrations of the last stage, there and back.
#[test]
fn a_replaced_column_comes_back_with_what_new_code_wrote() {
    for backend in Backend::ALL {
        if ScratchDb::require(backend).is_none() {
            continue;
        }
        let place = Place::new(backend.into(), LIVES[4].1);
        let all = place.life.actions().count();
        let last = place.life.actions().filter(|(kind, _)| *kind == StageKind::Contract).count();
        let write = Move::Update(Who::New, 0);
        let mut history = vec![Move::Insert(Who::Old, 0)];
        history.extend(vec![Move::Forward; all - last]);
        for turn in 1..=last {
            for step in [Move::Forward, Move::Back] {
                history.extend([step, write].repeat(turn));
            }
        }
        if let Err(why) = Machine::new(&place.life, &place.db).history(&history) {
            panic!("{backend}: {why}");
        }
    }
}

#[test]
fn a_stage_gives_up_within_its_budget() {
    for backend in Backend::ALL {
        if ScratchDb::require(backend).is_none() {
            continue;
        }
        let Place { db, life } = Place::new(backend.into(), LIVES[0].1);
        let mut writer = open(db.url());
        for sql in ["BEGIN", "INSERT INTO users VALUES (1, 'Ann')"] {
            writer.batch(sql).unwrap();
        }
        let (_, expand) = life.actions().next().unwrap();
        let started = Instant::now();
        let error = expand.run(&mut open(db.url())).unwrap_err();
        assert!(error.is_conflict() && started.elapsed() < BUDGET, "{backend}: {error}");
        writer.batch("INSERT INTO users VALUES (2, 'Bob'); COMMIT").unwrap();
        expand.run(&mut open(db.url())).unwrap();
        let found = db.rows("SELECT name, locale FROM users ORDER BY id").unwrap();
        let names = ["Ann", "Bob"].map(|name| vec![Some(name.to_owned()), None]);
        assert_eq!(found, names, "{backend}");
    }
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

const MISSING: Fault = ("the trigger is missing", 0, |life| {
    edited(life, StageKind::Expand, "BEFORE INSERT ON", "BEFORE DELETE ON")
});

#[test]
fn wrong_stages_are_found() {
    are_found(&[
        ("the trigger overwrites new writers", 0, |life| {
            edited(life, StageKind::Expand, "WHEN (NEW.\"locale\" IS NULL) ", "")
        }),
        ("the trigger computes something else", 0, |life| {
            edited(life, StageKind::Expand, "lower(name)", "upper(name)")
        }),
        MISSING,
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
    ]);
}

#[test]
fn wrong_stages_of_a_replacement_are_found() {
    are_found(&[
        ("the new column does not follow old code", 4, |life| {
            edited(life, StageKind::Expand, "BEFORE INSERT OR UPDATE ON", "BEFORE INSERT ON")
        }),
        ("the old column does not follow new code", 4, |life| {
            edited(life, StageKind::Expand, "INTO NEW.\"name\"", "INTO newcol_filled")
        }),
        ("taking the old column back forgets its values", 4, |life| {
            edited(life, StageKind::Contract, "UPDATE", "SELECT 1; -- UPDATE")
        }),
    ]);
}

fn are_found(faults: &[Fault]) {
    if ScratchDb::require(Want::postgres()).is_none() {
        return;
    }
    let effort = Effort { cases: 200, smaller: 0 };
    for (name, life, spoil) in faults {
        let found = search(Want::postgres(), effort, &moves(), LIVES[*life].1, spoil);
        assert!(found.is_some(), "not found: {name}");
    }
}

#[test]
fn a_history_that_is_wrong_is_made_small() {
    if ScratchDb::require(Want::postgres()).is_none() {
        return;
    }
    let (_, life, spoil) = MISSING;
    let effort = Effort { cases: 200, smaller: 40 };
    let found = search(Want::postgres(), effort, &moves(), LIVES[life].1, &spoil);
    let (history, why) = found.unwrap();
    assert!(history.len() <= 4, "{why} after {history:?}");
}
