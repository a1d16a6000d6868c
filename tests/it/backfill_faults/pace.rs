//! What the pace hears of others on PostgreSQL: sessions that wait for rows, and old snapshots.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use newcol_core::{
    db::{DatabaseUrl, OpenOptions, Session},
    execute::{
        backfill::{Answer, Event, Outcome, Settings},
        pace::{Limit, Settings as Pace},
    },
};
use newcol_testkit::{ScratchDb, Want, wait::wait_until};

use super::{Case, REQUIRED, TABLE, numbered, receipt, small};

const LONG: Duration = Duration::from_secs(30);

/// Runs a job; returns how it ended and what limited its batches.
fn limits(case: &Case) -> (Outcome, BTreeSet<&'static str>) {
    let limits = Mutex::new(BTreeSet::new());
    let outcome = case.run_telling(|event| {
        if let Event::Batch { limit, .. } = event {
            limits.lock().unwrap().insert(limit.name());
        }
        Answer::Go
    });
    (outcome.unwrap(), limits.into_inner().unwrap())
}

/// The fill of row 10 takes until somebody waits for a row before it.
#[test]
fn a_batch_hears_who_waits_for_its_rows() {
    let body = "type = 'bigint'\nrequired = false\n[old_rows]\nfill = 'held(id)'\n";
    let held = "CREATE FUNCTION held(id int) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN \
        WHILE id = 10 AND clock_timestamp() < now() + '20s' LOOP \
          EXIT WHEN clock_timestamp() > now() + '500ms' AND EXISTS (SELECT FROM pg_locks \
            JOIN pg_stat_activity USING (pid) \
            WHERE locktype = 'transactionid' AND NOT granted AND datname = current_database()); \
          PERFORM pg_sleep(0.01); \
        END LOOP; RETURN id; END $$";
    let table = "CREATE TABLE t (id int PRIMARY KEY, name varchar(60), c bigint)";
    for version in [18, 13] {
        let want = Want::postgres().version(version);
        let Some(case) = Case::new(want, body, &[table, held, &numbered(60)]) else { continue };
        // As long as the batch takes, that is no stall.
        let pace = Pace { target: Duration::from_secs(60), ..small().pace };
        let case = case.with(Settings { pace, by_key: true, ..small() });
        let over = AtomicBool::new(false);
        let (outcome, limits) = thread::scope(|scope| {
            scope.spawn(|| {
                let mut session = case.session();
                wait_until("end of the job", LONG, || {
                    // The row stays where it is, before the one that takes long.
                    session
                        .batch("BEGIN; UPDATE t SET name = name WHERE id = 1; ROLLBACK")
                        .unwrap();
                    over.load(Ordering::SeqCst)
                })
                .unwrap();
            });
            let ended = limits(&case);
            over.store(true, Ordering::SeqCst);
            ended
        });
        assert_eq!(receipt(outcome).filled, 60, "{version}");
        assert!(limits.contains(Limit::LockWaiters.name()), "{version}: {limits:?}");
    }
}

#[test]
fn only_snapshots_that_keep_rows_alive_slow_a_job_down() {
    const HOLD: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class";
    for version in [18, 13] {
        let want = Want::postgres().version(version);
        let make =
            [TABLE, &numbered(100), "CREATE TABLE large AS SELECT generate_series(1, 100000)"];
        let Some(case) = Case::new(want, REQUIRED, &make) else { continue };
        let pace = Pace { max_horizon: Some(Duration::from_millis(1)), ..small().pace };
        let case = case.with(Settings { pace, restart: true, ..small() });
        let is_slow = || {
            case.db.run(&["UPDATE t SET c = NULL"]).unwrap();
            let (outcome, limits) = limits(&case);
            assert_eq!(receipt(outcome).filled, 100, "{version}");
            limits.contains(Limit::Horizon.name())
        };
        assert!(!is_slow(), "{version}: there is none");

        let mut reader = case.session();
        reader.batch(HOLD).unwrap();
        assert!(is_slow(), "{version}: a session holds one");
        reader.batch("ROLLBACK").unwrap();

        let other = ScratchDb::new(want).unwrap();
        let url = DatabaseUrl::parse(other.url()).unwrap();
        let mut reader = Session::open(&url, &OpenOptions::write()).unwrap();
        reader.batch(HOLD).unwrap();
        assert!(!is_slow(), "{version}: it is of another database");

        thread::scope(|scope| {
            scope.spawn(|| {
                let mut session = case.session();
                session
                    .batch("SET vacuum_cost_delay = '100ms'; SET vacuum_cost_limit = 1")
                    .unwrap();
                session.batch("VACUUM large").unwrap_err();
            });
            let vacuum = "FROM pg_stat_progress_vacuum WHERE datname = current_database()";
            let begun = || case.value(&format!("SELECT count(*) {vacuum}")) == "1";
            wait_until("VACUUM", LONG, begun).unwrap();
            let is_slow = is_slow();
            case.value(&format!("SELECT pg_terminate_backend(pid) {vacuum}"));
            assert!(!is_slow, "{version}: a VACUUM keeps nothing alive");
        });
    }
}
