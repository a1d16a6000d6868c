use std::{sync::mpsc, thread};

use newcol_core::{
    backend::Backend,
    execute::apply::{Answer, ApplyError, Event, Others, Settings},
};
use newcol_testkit::{ScratchDb, Want};

use super::{apply, apply_and, hasty, migration, recorded, value};

/// However many start at once, each migration runs once.
fn each_runs_once(want: Want) {
    let Some(db) = ScratchDb::require(want) else { return };
    db.run(&["CREATE TABLE log (n INTEGER NOT NULL)"]).unwrap();
    let migrations: Vec<_> = (1..=5)
        .map(|n| migration(n, &format!("INSERT INTO log VALUES ({n})"), n % 2 == 0))
        .collect();
    let tolds = thread::scope(|scope| {
        let runs: Vec<_> =
            (0..6).map(|_| scope.spawn(|| apply(db.url(), hasty(), &migrations))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect::<Vec<_>>()
    });
    let done: usize = tolds.iter().map(|told| told.done().len()).sum();
    assert_eq!(done, migrations.len());
    assert_eq!(value(&db, "SELECT count(*) FROM log"), "5");
    assert_eq!(recorded(&db), ["1", "2", "3", "4", "5"]);
}

#[test]
fn each_migration_runs_once_on_postgres() {
    each_runs_once(Want::postgres());
}

#[test]
fn each_migration_runs_once_on_mysql() {
    each_runs_once(Want::mysql());
}

#[test]
fn each_migration_runs_once_on_sqlite() {
    each_runs_once(Want::sqlite());
}

fn a_second_runner_leaves(want: Want) {
    let Some(db) = ScratchDb::require(want) else { return };
    let (begun, begin) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    thread::scope(|scope| {
        scope.spawn(|| {
            apply_and(db.url(), hasty(), &[migration(1, "SELECT 1", true)], |event| {
                if let Event::Began { .. } = event {
                    begun.send(()).unwrap();
                    wait.lock().unwrap().recv().unwrap();
                }
                Answer::Go
            })
            .done()
        });
        begin.recv().unwrap();
        let leave = Settings { others: Others::Leave, ..hasty() };
        let told = apply(db.url(), leave, &[migration(1, "SELECT 1", true)]);
        let Err(ApplyError::AnotherRunner { by, .. }) = told.ended else {
            panic!("{:?}", told.ended)
        };
        assert_eq!(by.len(), 1);
        go.send(()).unwrap();
    });
    assert_eq!(recorded(&db), ["1"]);
}

#[test]
fn a_second_runner_leaves_on_demand_on_postgres() {
    a_second_runner_leaves(Want::postgres());
}

#[test]
fn a_second_runner_leaves_on_demand_on_mysql() {
    a_second_runner_leaves(Want::mysql());
}

/// The right to run is a session's: once that is lost, another runner may be at work.
#[test]
fn who_lost_the_right_to_run_leaves() {
    for want in [Want::postgres(), Want::mysql()] {
        let Some(db) = ScratchDb::require(want) else { continue };
        let end = match want.backend {
            Backend::Postgres => {
                "SELECT pg_terminate_backend(pid) FROM pg_locks \
                 WHERE locktype = 'advisory' AND database = \
                 (SELECT oid FROM pg_database WHERE datname = current_database())"
            }
            Backend::Mysql | Backend::Sqlite => {
                "BEGIN NOT ATOMIC EXECUTE IMMEDIATE \
                 concat('KILL ', is_used_lock(left(concat('newcol ', database()), 64))); END"
            }
        };
        let migrations = [migration(1, "SELECT 1", true), migration(2, "SELECT 1", true)];
        let told = apply_and(db.url(), hasty(), &migrations, |event| {
            if let Event::Done(done) = event
                && done.version == "1"
            {
                db.run(&[end]).unwrap();
            }
            Answer::Go
        });
        assert!(matches!(told.ended, Err(ApplyError::Database(_))), "{:?}", told.ended);
        assert_eq!(recorded(&db), ["1"]);
        apply(db.url(), hasty(), &migrations).done();
        assert_eq!(recorded(&db), ["1", "2"]);
    }
}
