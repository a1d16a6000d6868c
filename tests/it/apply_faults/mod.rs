//! Law: whatever ends a run of `apply`, the next one completes it; and so with `undo`.
//!
//! Runs of the tool lose their process, a session, the server, a statement, or the talk between two
//! given statements. Then no index is left invalid, no valid one is dropped, and Diesel's table says
//! what is there.
//!
//! `NEWCOL_KILLS` says how many faults a test makes; from 300 on, every statement of a run has its
//! turn.

mod app;
mod back;
mod phases;

use std::time::Duration;

use newcol_core::backend::{Backend, Product};
use newcol_testkit::{
    Want,
    wait::{wait_for, wait_until},
};

use self::app::{App, LIMIT, Run};
use crate::{
    chance::{self, Chance},
    relay::{End, Relay},
};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The process of the tool is killed.
    Client,
    /// One of its sessions, or both, are ended in the server.
    Session,
    /// What the server does for it is cancelled.
    Cancel,
    /// The server allows statements only some milliseconds.
    Timeout,
    /// The server is killed, and starts again.
    Server,
}

/// How many faults the user wants, as a part of all.
fn faults(fewest: u64, part: u64, of: u64) -> u64 {
    wanted().map_or(fewest, |wanted| (wanted * part).div_ceil(of))
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks how long the tests may be")]
fn wanted() -> Option<u64> {
    std::env::var("NEWCOL_KILLS").ok()?.parse().ok()
}

#[test]
fn postgres_is_completed_after_faults_at_random_moments() {
    let all = [Fault::Client, Fault::Session, Fault::Cancel, Fault::Timeout];
    storm(App::new(Want::postgres()), &all, faults(8, 1, 1));
}

#[test]
fn postgres_is_completed_after_crashes_of_the_server() {
    storm(App::new(Want::postgres().private()), &[Fault::Server], faults(2, 1, 5));
}

#[test]
fn partitions_are_completed_after_faults_at_random_moments() {
    let all = [Fault::Client, Fault::Session, Fault::Cancel, Fault::Timeout];
    storm(App::partitioned(Want::postgres()), &all, faults(4, 1, 2));
}

#[test]
fn mariadb_is_completed_after_faults_at_random_moments() {
    let want = Want::mysql().product(Product::Mariadb);
    storm(App::new(want), &[Fault::Client, Fault::Session, Fault::Cancel], faults(4, 1, 2));
}

#[test]
fn mariadb_is_completed_after_crashes_of_the_server() {
    storm(
        App::new(Want::mysql().product(Product::Mariadb).private()),
        &[Fault::Server],
        faults(1, 1, 20),
    );
}

#[test]
fn sqlite_is_completed_after_faults_at_random_moments() {
    storm(App::new(Want::sqlite()), &[Fault::Client], faults(8, 1, 2));
}

#[test]
fn postgres_is_completed_from_any_statement() {
    sweep(App::new(Want::postgres()));
}

#[test]
fn partitions_are_completed_from_any_statement() {
    sweep(App::partitioned(Want::postgres().version(13)));
}

#[test]
fn mariadb_is_completed_from_any_statement() {
    sweep(App::new(Want::mysql().product(Product::Mariadb)));
}

/// Faults at random moments, each in a run from the first stage to the last.
fn storm(app: Option<App>, kinds: &[Fault], count: u64) {
    let Some(app) = app else { return };
    let backend = app.db.backend();
    let mut chance = Chance::of(chance::seed());
    app.reset();
    let started = std::time::Instant::now();
    let (whole, status) = through(&app, |run, _| run.wait());
    assert!(status.success(), "{}", app.words());
    let whole_time = started.elapsed();
    let (mut hits, mut late, mut survived) = (0, 0, 0);
    while hits < count {
        app.reset();
        let fault = kinds[chance.below(kinds.len() as u64) as usize];
        if fault == Fault::Timeout {
            limit_statements(&app, 1 + chance.below(20));
        }
        let moment = chance.below(whole.max(1)) + 1;
        let more = Duration::from_millis(chance.below(8));
        let by_time = Duration::from_millis(chance.below(whole_time.as_millis() as u64));
        let (_, (hit, status)) = through(&app, |run, relay| {
            let is_there = || match relay {
                Some(relay) => relay.statements() >= moment,
                None => false,
            };
            let limit = if relay.is_some() { LIMIT } else { by_time };
            let over = |run: &mut Run| run.over().is_some();
            drop(wait_until("the moment", limit, || is_there() || over(run)));
            drop(wait_until("end", more, || over(run)));
            let hit = run.over().is_none();
            if hit {
                strike(&app, fault, run, &mut chance);
            }
            (hit, run.wait())
        });
        let hit = if fault == Fault::Timeout {
            limit_statements(&app, 0);
            !status.success()
        } else {
            hit
        };
        hits += u64::from(hit);
        late += u64::from(!hit);
        survived += u64::from(hit && status.success());
        complete(&app, &format!("{fault:?} at {moment}"), chance.once_in(2));
    }
    eprintln!("{backend}: {hits} faults, {survived} of them survived; {late} came late");
}

/// Ends the talk at one statement after the other.
fn sweep(app: Option<App>) {
    let Some(app) = app else { return };
    let backend = app.db.backend();
    let mut chance = Chance::of(chance::seed());
    app.reset();
    let (whole, status) = through(&app, |run, _| run.wait());
    assert!(status.success(), "{}", app.words());
    let mut tries = 0;
    for end in [End::Kill, End::Before, End::After] {
        let step = if wanted().is_some_and(|wanted| wanted >= 300) { 1 } else { whole / 2 };
        let mut at = 1 + chance.below(step.max(1));
        while at <= whole {
            app.reset();
            cut_off(&app, end, at, App::start);
            complete(&app, &format!("{end:?} at {at}"), chance.once_in(2));
            tries += 1;
            at += step.max(1);
        }
    }
    eprintln!("{backend}: {tries} ends of the talk, {whole} statements");
}

/// Kills a run at one of its statements, of which the server hears or not.
fn cut_off(app: &App, end: End, at: u64, start: fn(&App, &str) -> Run) {
    let relay = Relay::new(app.db.backend(), app.db.url(), end, at);
    let mut run = start(app, &relay.url);
    let reached = wait_for("the statement", LIMIT, || match (relay.reached(), run.over()) {
        (None, None) => None,
        (reached, _) => Some(reached),
    });
    if let Some(go_on) = reached.unwrap() {
        run.kill();
        go_on.send(()).ok();
    }
}

/// Starts a run whose statements are counted, where there is a server; returns their number.
fn through<T>(app: &App, act: impl FnOnce(&mut Run, Option<&Relay>) -> T) -> (u64, T) {
    let backend = app.db.backend();
    let relay =
        (backend != Backend::Sqlite).then(|| Relay::new(backend, app.db.url(), End::Before, 0));
    let mut run = app.start(relay.as_ref().map_or(app.db.url(), |relay| &relay.url));
    let done = act(&mut run, relay.as_ref());
    (relay.map_or(0, |relay| relay.statements()), done)
}

/// Checks what is left, runs `apply` again, and checks all.
fn complete(app: &App, after: &str, at_once: bool) {
    // What a dead client began may go on in the server while the next run begins.
    if !at_once {
        app.until_left();
    }
    let left = (!at_once).then(|| app.check_left());
    let mut run = app.start(app.db.url());
    let status = run.wait();
    let is_done = status.success() || status.code() == Some(4);
    assert!(is_done, "after {after}, at once {at_once}: {status}: {}", run.words());
    app.until_left();
    let left = left.unwrap_or_else(|| app.check_left());
    app.check_done(&left);
    app.check_rows();
}

fn strike(app: &App, fault: Fault, run: &mut Run, chance: &mut Chance) {
    let sessions = match app.db.backend() {
        Backend::Postgres => {
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = 'cargo newcol' ORDER BY 1"
        }
        Backend::Mysql | Backend::Sqlite => {
            "SELECT id FROM information_schema.processlist \
             WHERE db = database() AND id <> connection_id() ORDER BY 1"
        }
    };
    let end = match (app.db.backend(), fault) {
        (Backend::Postgres, Fault::Session) => "SELECT pg_terminate_backend",
        (Backend::Postgres, Fault::Cancel) => "SELECT pg_cancel_backend",
        (_, Fault::Session) => "KILL CONNECTION",
        (_, Fault::Cancel) => "KILL QUERY",
        (_, Fault::Client) => return run.kill(),
        // It is at work already.
        (_, Fault::Timeout) => return,
        (_, Fault::Server) => {
            // Under load what is left of the killed one may be in the way of the next.
            let start = || app.db.crash_server().map_err(|error| eprintln!("{error:?}")).ok();
            return wait_for("the server", LIMIT, start).unwrap();
        }
    };
    let ids: Vec<String> = app.db.rows(sessions).unwrap().into_iter().flatten().flatten().collect();
    let both = chance.once_in(2);
    let one = chance.below(ids.len().max(1) as u64) as usize;
    for (at, id) in ids.iter().enumerate() {
        if both || at == one {
            // It may have ended by itself.
            drop(app.db.run(&[&format!("{end} ({id})")]));
        }
    }
}

/// Lets no statement of later sessions take longer than that, 0 for ever (PostgreSQL).
fn limit_statements(app: &App, milliseconds: u64) {
    let name = app.db.rows("SELECT current_database()").unwrap()[0][0].clone().unwrap();
    let limit = format!("ALTER DATABASE {name} SET statement_timeout = {milliseconds}");
    app.session("admin").batch(&format!("SET statement_timeout = 0; {limit}")).unwrap();
}
