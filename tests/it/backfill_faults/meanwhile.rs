//! What others do meanwhile: a second run, locks, snapshots, deadlocks, rows that keep coming.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use newcol_core::{
    db::{OpenOptions, Session},
    execute::{
        apply::Budget,
        backfill::{Answer, Backfill, BackfillError, Event, LossError, Outcome, Phase, Settings},
    },
};
use newcol_testkit::{Want, wait::wait_until};

use crate::side_effects::DIESEL_SETUP;

use super::{
    Case, REQUIRED, TABLE, UPPER, at_first, engines, fast, is_batch, numbered, receipt, small,
};

/// Every engine whose rows can be locked.
fn servers() -> [Want; 3] {
    [Want::postgres().version(18), Want::postgres().version(13), Want::mysql()]
}

/// A table that notes every value that a row got.
const NOTED: &str = "CREATE TABLE noted (id int)";

fn note(want: Want) -> &'static [&'static str] {
    if want.backend == newcol_core::backend::Backend::Postgres {
        &[
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN INSERT INTO noted VALUES (NEW.id); RETURN NULL; END'",
            "CREATE TRIGGER note AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note()",
        ]
    } else if want.backend == newcol_core::backend::Backend::Sqlite {
        &["CREATE TRIGGER note AFTER UPDATE ON t BEGIN INSERT INTO noted VALUES (NEW.id); END"]
    } else {
        &["CREATE TRIGGER note AFTER UPDATE ON t FOR EACH ROW INSERT INTO noted VALUES (NEW.id)"]
    }
}

#[test]
fn two_runs_share_the_work_and_both_finish() {
    for want in engines() {
        let rows = numbered(1500);
        let make = [&[TABLE, &rows, NOTED], note(want)].concat();
        let Some(case) = Case::new(want, REQUIRED, &make) else { continue };
        let triggers = newcol_core::execute::side_effects::Triggers::Fire;
        let workers = if want == Want::sqlite() { 1 } else { 2 };
        let case =
            case.with(Settings { triggers, workers: workers.try_into().unwrap(), ..small() });
        let receipts = thread::scope(|scope| {
            let runs: Vec<_> = (0..3).map(|_| scope.spawn(|| case.run())).collect();
            runs.into_iter().map(|run| receipt(run.join().unwrap().unwrap())).collect::<Vec<_>>()
        });
        for receipt in receipts {
            assert_eq!((receipt.rows, receipt.filled), (1500, 1500), "{want}");
        }
        // No row twice.
        assert_eq!(case.value("SELECT count(*) FROM noted"), "1500", "{want}");
        assert_eq!(case.value("SELECT count(DISTINCT id) FROM noted"), "1500", "{want}");
    }
}

#[test]
fn rows_that_others_hold_are_come_back_to() {
    for want in servers() {
        let Some(case) = Case::new(want, REQUIRED, &[TABLE, &numbered(400)]) else { continue };
        let case = case.with(small());
        let mut other = case.session();
        other.batch("BEGIN").unwrap();
        other.query("SELECT id FROM t WHERE id = 301 FOR UPDATE").unwrap();
        let other = Mutex::new(other);
        let passes = AtomicU32::new(0);
        let outcome = case.run_telling(|event| {
            if let Event::Pass { pass, .. } = event {
                passes.store(*pass, Ordering::SeqCst);
                // By then all others are filled, and only these are looked for.
                if *pass == 3 {
                    let mut other = other.lock().unwrap();
                    let held = "c IS NULL AND id <> 301";
                    assert_eq!(case.count(held), 0, "{want}");
                    other.batch("ROLLBACK").unwrap();
                }
            }
            Answer::Go
        });
        let receipt = receipt(outcome.unwrap());
        assert_eq!((receipt.filled, receipt.empty), (400, 0), "{want}");
        assert!(passes.into_inner() >= 3, "{want}");
    }
}

/// A lock of the whole table is waited for, and nobody waits behind us for long.
#[test]
fn a_locked_table_is_waited_for() {
    for want in servers() {
        let Some(case) = Case::new(want, REQUIRED, &[TABLE, &numbered(100)]) else { continue };
        let other: Mutex<Option<Session>> = Mutex::new(None);
        let lock = if want == Want::mysql() {
            "LOCK TABLES t WRITE"
        } else {
            "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE"
        };
        let unlock = if want == Want::mysql() { "UNLOCK TABLES" } else { "ROLLBACK" };
        let retries = AtomicU32::new(0);
        let outcome = case.run_telling(|event| {
            match event {
                Event::Pass { pass: 1, .. } => {
                    let mut session = case.session();
                    session.batch(lock).unwrap();
                    *other.lock().unwrap() = Some(session);
                }
                Event::Retry { .. } if retries.fetch_add(1, Ordering::SeqCst) == 1 => {
                    other.lock().unwrap().as_mut().unwrap().batch(unlock).unwrap();
                }
                _ => {}
            }
            Answer::Go
        });
        assert_eq!(receipt(outcome.unwrap()).filled, 100, "{want}");
        assert!(retries.into_inner() >= 2, "{want}");
    }
}

/// Who holds the table before anything is begun is waited for no longer than wished, and named.
#[test]
fn a_table_that_is_locked_at_the_start_is_waited_for() {
    let Some(case) = Case::new(Want::postgres(), REQUIRED, &[TABLE, &numbered(100)]) else {
        return;
    };
    let budget = Budget { lock_timeout: Duration::from_millis(50), ..Budget::default() };
    let case = case.with(Settings { budget, ..fast() });
    let open = OpenOptions { application_name: Some("billing".to_owned()), ..OpenOptions::write() };
    let other = Mutex::new(Session::open(&case.url(), &open).unwrap());
    let batch = |sql: &str| other.lock().unwrap().batch(sql).unwrap();
    batch("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
    let outcome = case.run_telling(at_first(is_held, || batch("ROLLBACK")));
    assert_eq!(receipt(outcome.unwrap()).filled, 100);

    batch("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
    let named = Mutex::new(Vec::new());
    let stopped = case.run_telling(|event| match event {
        Event::Held { by, .. } => {
            named.lock().unwrap().extend(by.iter().map(|one| one.application.clone()));
            Answer::Stop
        }
        _ => Answer::Go,
    });
    // What an earlier run did is known all the same.
    let Ok(Outcome::Stopped(totals)) = stopped else { panic!("{stopped:?}") };
    assert_eq!((totals.filled, named.into_inner().unwrap()), (100, vec!["billing".to_owned()]));

    let budget = Budget { max_wait: Duration::ZERO, ..budget };
    let case = case.with(Settings { budget, ..fast() });
    let url = case.url();
    let job = Backfill::new(&case.contract, &url, OpenOptions::read());
    let job = job.settings(case.settings.clone());
    let go = |_: &Event| Answer::Go;
    for ended in [
        case.run().map(drop),
        job.look(&go).map(drop),
        job.verify(&go).map(drop),
        job.losses(None, &go).map(drop).map_err(|error| match error {
            LossError::Backfill(error) => error,
            other => panic!("{other}"),
        }),
    ] {
        let Err(BackfillError::Busy { tries: 2, ref by, .. }) = ended else { panic!("{ended:?}") };
        assert_eq!(by[0].application, "billing");
    }
}

/// While a change has a table for itself, MariaDB's catalog shows none of its columns, and only warns.
#[test]
fn a_table_that_is_changed_at_the_start_is_waited_for() {
    let Some(case) = Case::new(Want::mysql(), REQUIRED, &[TABLE, &numbered(400)]) else { return };
    let mut changer = case.session();
    let id = changer.value("SELECT connection_id()").unwrap().unwrap();
    let named = Mutex::new(Vec::new());
    thread::scope(|scope| {
        // A value takes long to make, and there are many: whoever has seen enough ends it.
        let slow = "ALTER TABLE t ADD COLUMN z varchar(200) \
                    DEFAULT (sha2(repeat(concat(id, 'x'), 3000000), 512)), \
                    ALGORITHM = COPY, LOCK = EXCLUSIVE";
        let change = scope.spawn(move || changer.batch(slow));
        let state = format!("SELECT state FROM information_schema.processlist WHERE id = {id}");
        let changes = || case.value(&state) == "copy to tmp table";
        wait_until("change", Duration::from_secs(30), changes).unwrap();
        let kill = at_first(is_held, || case.session().batch(&format!("KILL QUERY {id}")).unwrap());
        let outcome = case.run_telling(|event| {
            if let Event::Held { by, .. } = event {
                named.lock().unwrap().extend(by.iter().map(|one| one.id.clone()));
            }
            kill(event)
        });
        assert_eq!(receipt(outcome.unwrap()).filled, 400);
        assert!(change.join().unwrap().is_err());
    });
    assert_eq!(named.into_inner().unwrap(), [id]);
}

fn is_held(event: &Event) -> bool {
    matches!(event, Event::Held { .. })
}

#[test]
fn a_deadlock_is_tried_again() {
    for want in servers() {
        let Some(case) = Case::new(want, REQUIRED, &[TABLE, &numbered(300)]) else { continue };
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                // Takes rows in the other direction, again and again.
                let mut session = case.session();
                while !stop.load(Ordering::SeqCst) {
                    let round = [
                        "BEGIN",
                        "UPDATE t SET name = name WHERE id = 290",
                        "UPDATE t SET name = name WHERE id = 3",
                        "COMMIT",
                    ];
                    if round.iter().any(|sql| session.batch(sql).is_err()) {
                        session.batch("ROLLBACK").ok();
                    }
                }
            });
            let receipt = case.run();
            stop.store(true, Ordering::SeqCst);
            assert_eq!(super::receipt(receipt.unwrap()).filled, 300, "{want}");
        });
    }
}

#[test]
fn a_snapshot_that_others_hold_only_costs_space() {
    for version in [18, 15] {
        let want = Want::postgres().version(version);
        let Some(case) = Case::new(want, REQUIRED, &[TABLE, &numbered(20_000)]) else { continue };
        let mut other = case.session();
        other.batch("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t").unwrap();
        assert_eq!(case.done().filled, 20_000);
        assert_eq!(other.value("SELECT count(c) FROM t").unwrap().unwrap(), "0");
    }
}

/// Nothing serves programs that do not know the column, and they insert all the time.
#[test]
fn rows_that_keep_coming_do_not_keep_it_from_ending() {
    for want in engines() {
        let make = [TABLE, &numbered(300), "DELETE FROM t WHERE id % 3 = 0"];
        let Some(case) = Case::new(want, UPPER, &make) else { continue };
        let case = case.with(small());
        let (stop, inserted) = (AtomicBool::new(false), AtomicU32::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut session = case.session();
                let mut id = 1000;
                while !stop.load(Ordering::SeqCst) {
                    // Each moves to the end or into a gap, as the engine likes.
                    let key = if id % 2 == 0 { id } else { (id - 1000) / 2 * 3 };
                    let insert = format!("INSERT INTO t (id, name) VALUES ({key}, 'late')");
                    if session.batch(&insert).is_ok() {
                        inserted.fetch_add(1, Ordering::SeqCst);
                    }
                    id += 1;
                }
            });
            let started = || inserted.load(Ordering::SeqCst) > 10;
            wait_until("inserted row", Duration::from_secs(10), started).unwrap();
            let outcome = case.run();
            stop.store(true, Ordering::SeqCst);
            let receipt = receipt(outcome.unwrap());
            assert!(receipt.filled >= 200, "{want}: {receipt:?}");
            assert!(receipt.passes <= 5, "{want}: {receipt:?}");
        });
        assert_eq!(case.count("c IS NULL AND name <> 'late'"), 0);
    }
}

/// As `diesel setup` writes it, and an application that sets other columns meanwhile.
#[test]
fn no_other_column_changes_with_diesels_own_trigger() {
    for version in [18, 15, 13] {
        let table = "CREATE TABLE t (id int PRIMARY KEY, name varchar(60), \
                     updated_at timestamp NOT NULL DEFAULT '2001-01-01', c varchar(60))";
        let trigger = "SELECT diesel_manage_updated_at('t')";
        let make = [table, &numbered(1000), DIESEL_SETUP, trigger];
        let Some(case) = Case::new(Want::postgres().version(version), REQUIRED, &make) else {
            continue;
        };
        let case = case.with(small());
        let others = "SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM (SELECT id, name, updated_at FROM t) t";
        let before = case.value(others);
        assert_eq!(case.done().filled, 1000);
        assert_eq!(case.value(others), before, "{version}");
        // For the application it fires all the while.
        case.db.run(&["UPDATE t SET name = 'new' WHERE id = 1"]).unwrap();
        assert_eq!(case.count("updated_at > '2002-01-01'"), 1);
    }
}

#[test]
fn an_application_that_changes_rows_meanwhile_wins() {
    for want in engines() {
        let Some(case) = Case::new(want, REQUIRED, &[TABLE, &numbered(500)]) else { continue };
        let case = case.with(small());
        let change = || case.db.run(&["UPDATE t SET c = 'theirs' WHERE id IN (1, 499)"]).unwrap();
        let outcome = case.run_telling(at_first(is_batch, change));
        let receipt = receipt(outcome.unwrap());
        assert_eq!((receipt.rows, receipt.differing), (500, Some(2)), "{want}");
        assert_eq!(case.count("c = 'theirs'"), 2);
    }
}

#[test]
fn what_undoes_the_change_is_not_called_done() {
    let make = [
        TABLE,
        &numbered(30),
        "CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER undo BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.id = 7) EXECUTE FUNCTION undo()",
    ];
    let Some(case) = Case::new(Want::postgres().version(18), UPPER, &make) else { return };
    let triggers = newcol_core::execute::side_effects::Triggers::Fire;
    let case = case.with(Settings { triggers, ..small() });
    let passes = AtomicU32::new(0);
    let outcome = case.run_telling(|event| {
        if matches!(event, Event::Pass { phase: Phase::Proving, .. }) {
            let seen = passes.fetch_add(1, Ordering::SeqCst);
            // It would go on for a while.
            if seen == 3 {
                return Answer::Stop;
            }
        }
        Answer::Go
    });
    assert!(matches!(outcome.unwrap(), newcol_core::execute::backfill::Outcome::Stopped(_)));
    assert_eq!(case.count("c IS NULL"), 1);
}
