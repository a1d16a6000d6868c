//! Faults in each phase of the concurrent build of an index.

use std::time::Duration;

use newcol_core::db::Session;
use newcol_testkit::{
    Project, ScratchDb, Want,
    wait::{wait_for, wait_until},
};

use super::{
    Fault,
    app::{App, LIMIT, Run},
    faults, strike,
};
use crate::{
    chance::{self, Chance},
    desk,
};

/// The phases that a build can be held in.
const PHASES: &[&str] = &[
    "waiting for writers before build",
    "building index",
    "waiting for writers before validation",
    "index validation: scanning table",
    "waiting for old snapshots",
];

const TABLE: &str = "\
CREATE TABLE users (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE other (id integer);
CREATE INDEX users_name ON users (name);
CREATE FUNCTION slow(x text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(0.002);
    RETURN x;
END $$;
INSERT INTO users SELECT i, 'n' || i FROM generate_series(1, 150) AS i;
";

const BARE: &str = "run_in_transaction = false\n";

/// A table whose index takes its time.
fn app(want: Want) -> Option<App> {
    let db = ScratchDb::require(want)?;
    let dir = "migrations/2026-02-02-000000-0000_index";
    let project = Project::builder()
        .file("Cargo.toml", desk::manifest("app", &["postgres"]))
        .migration("start", TABLE, "DROP TABLE users")
        .file(
            format!("{dir}/up.sql"),
            "CREATE INDEX CONCURRENTLY users_slow ON users (public.slow(name));",
        )
        .file(format!("{dir}/down.sql"), "DROP INDEX CONCURRENTLY users_slow;")
        .file(format!("{dir}/metadata.toml"), BARE);
    Some(App::of(project.build().unwrap(), db))
}

/// A build is cut off in one phase after the other.
fn cut(want: Want, kinds: &[Fault], count: u64) {
    let Some(app) = app(want) else { return };
    let mut chance = Chance::of(chance::seed());
    let mut hits = 0;
    while hits < count as usize {
        let (phase, fault) = (PHASES[hits % PHASES.len()], kinds[hits % kinds.len()]);
        app.begin();
        let mut held = Held::before(&app, phase);
        let mut run = app.start(app.db.url());
        if phase.contains("validat") && until(&app, &mut run, "building index") {
            held.meanwhile(phase);
        }
        // What is written too late is not waited for; then there is another try.
        if until(&app, &mut run, phase) {
            strike(&app, fault, &mut run, &mut chance);
            hits += 1;
        }
        // One that is still there, as when only the session beside it was lost, waits for them.
        drop(wait_until("end of the run", Duration::from_millis(200), || run.over().is_some()));
        drop(held);
        run.wait();
        app.until_left();
        let left = app.check_left();
        let mut run = app.start(app.db.url());
        let status = run.wait();
        let is_done = status.success() || status.code() == Some(4);
        assert!(is_done, "{fault:?} during {phase}: {status}: {}", run.words());
        app.check_done(&left);
    }
    eprintln!("{hits} builds were cut off");
}

/// Waits for a phase, whose rest the progress may tell; returns `false` where the run is over before.
fn until(app: &App, run: &mut Run, phase: &str) -> bool {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_progress_create_index WHERE starts_with(phase, '{phase}')"
    );
    wait_for(phase, LIMIT, || {
        let is_there = app.db.rows(&sql).unwrap()[0][0].as_deref() == Some("1");
        (is_there || run.over().is_some()).then_some(is_there)
    })
    .unwrap()
}

/// Programs that hold a build in a phase.
struct Held(Session);

impl Held {
    fn before(app: &App, phase: &str) -> Self {
        let mut session = app.session("billing");
        let sql = match phase {
            "waiting for writers before build" => "INSERT INTO users VALUES (0, 'early')",
            // A snapshot, and no lock on the table.
            "waiting for old snapshots" => "SELECT count(*) FROM other",
            _ => return Self(session),
        };
        session.batch("BEGIN ISOLATION LEVEL REPEATABLE READ").unwrap();
        session.execute(sql).unwrap();
        Self(session)
    }

    /// Writes while the index is built.
    fn meanwhile(&mut self, phase: &str) {
        if phase.starts_with("waiting") {
            self.0.batch("BEGIN").unwrap();
        }
        let rows = "INSERT INTO users SELECT i, 'm' || i FROM generate_series(1001, 1100) AS i";
        self.0.batch(rows).unwrap();
    }
}

#[test]
fn a_build_is_completed_from_any_phase() {
    let all = [Fault::Client, Fault::Session, Fault::Cancel];
    cut(Want::postgres(), &all, faults(5, 1, 2));
}

#[test]
fn a_build_is_completed_from_any_phase_on_an_old_server() {
    cut(Want::postgres().version(13), &[Fault::Session, Fault::Client], faults(5, 1, 4));
}

#[test]
fn a_build_is_completed_after_a_crash_in_any_phase() {
    cut(Want::postgres().private(), &[Fault::Server], faults(2, 1, 10));
}
