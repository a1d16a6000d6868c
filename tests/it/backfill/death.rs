//! Law 2: a backfill killed anywhere and resumed equals one never killed.
//!
//! Runs of the real tool, and of an application whose code makes the values, are killed while programs
//! use the table: the process, its session, the server, or the talk between two given statements. Every
//! fill is counted where it happens, so nothing can be filled twice, be missed, or be lost with more
//! than the batch under way.
//!
//! `NEWCOL_KILLS` says how often the runs on PostgreSQL are killed at random, those on the other
//! engines a third of it; from 300 on, every statement of a run has its turn.

mod arena;
mod traffic;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use newcol_core::backend::Backend;
use newcol_testkit::wait::wait_for;

use self::arena::{Arena, Fill, Old, Run, Server};
use crate::{
    chance::{self, Chance},
    relay::{End, Relay},
};

/// Rows of the table are 2 to the power of this.
const DOUBLINGS: u32 = 14;

/// SQLite is faster than the tool starts.
const SQLITE_DOUBLINGS: u32 = 16;

/// A table that takes a few batches.
const FEW_DOUBLINGS: u32 = 9;

/// How long a client may take to the statement at which it is killed.
const LIMIT: Duration = Duration::from_secs(60);

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weapon {
    /// The process of the tool.
    Client,
    /// Its session in the server.
    Session,
    /// The server, at once; it starts again.
    Server,
}

/// What came of the kills.
#[derive(Debug, Default)]
struct Tally {
    clients: u64,
    sessions: u64,
    servers: u64,
    /// Kills that left a transaction open (SQLite, where its journal stays).
    inside: u64,
    rounds: u64,
    /// Runs that ended with an error after their session or server was killed.
    gave_up: u64,
    reconnects: u64,
    /// Rows of batches that were rolled back; the most that may be.
    undone: u64,
    allowed: u64,
    largest: u64,
}

impl Tally {
    fn kills(&self) -> u64 {
        self.clients + self.sessions + self.servers
    }
}

#[test]
fn postgres_survives_kills_at_random_moments() {
    storm(
        Arena::new(Backend::Postgres, Server::Shared),
        &[Weapon::Client, Weapon::Session],
        kills(16, 1, 1),
    );
}

#[test]
fn postgres_survives_crashes_of_the_server() {
    storm(
        Arena::new(Backend::Postgres, Server::Private),
        &[Weapon::Server, Weapon::Client],
        kills(6, 1, 5),
    );
}

#[test]
fn mariadb_survives_kills_at_random_moments() {
    storm(
        Arena::new(Backend::Mysql, Server::Shared),
        &[Weapon::Client, Weapon::Session],
        kills(8, 1, 3),
    );
}

#[test]
fn mariadb_survives_crashes_of_the_server() {
    storm(Arena::new(Backend::Mysql, Server::Private), &[Weapon::Server], kills(2, 1, 30));
}

#[test]
fn sqlite_survives_kills_at_random_moments() {
    storm(Arena::new(Backend::Sqlite, Server::Shared), &[Weapon::Client], kills(15, 1, 3));
}

#[test]
fn code_on_postgres_survives_kills_at_random_moments() {
    let arena = Arena::new(Backend::Postgres, Server::Shared).map(|a| a.filled_by(Fill::Rust));
    storm(arena, &[Weapon::Client, Weapon::Session], kills(8, 1, 3));
}

#[test]
fn code_on_mariadb_survives_kills_at_random_moments() {
    let arena = Arena::new(Backend::Mysql, Server::Shared).map(|a| a.filled_by(Fill::Rust));
    storm(arena, &[Weapon::Client, Weapon::Session], kills(4, 1, 3));
}

#[test]
fn code_on_sqlite_survives_kills_at_random_moments() {
    let arena = Arena::new(Backend::Sqlite, Server::Shared).map(|a| a.filled_by(Fill::Rust));
    storm(arena, &[Weapon::Client], kills(8, 1, 3));
}

#[test]
fn postgres_survives_the_end_of_a_client_between_any_two_statements() {
    sweep(Backend::Postgres, End::Kill, &[]);
}

#[test]
fn mariadb_survives_the_end_of_a_client_between_any_two_statements() {
    sweep(Backend::Mysql, End::Kill, &[]);
}

#[test]
fn postgres_survives_a_broken_connection_before_any_statement() {
    sweep(Backend::Postgres, End::Before, &[]);
}

#[test]
fn postgres_survives_a_broken_connection_before_any_answer() {
    sweep(Backend::Postgres, End::After, &[]);
}

#[test]
fn postgres_by_key_survives_a_broken_connection_before_any_answer() {
    sweep(Backend::Postgres, End::After, &["--by-key"]);
}

#[test]
fn mariadb_survives_a_broken_connection_before_any_statement() {
    sweep(Backend::Mysql, End::Before, &[]);
}

#[test]
fn mariadb_survives_a_broken_connection_before_any_answer() {
    sweep(Backend::Mysql, End::After, &[]);
}

#[test]
fn workers_by_key_look_at_every_row() {
    for (backend, more) in [(Backend::Postgres, &["--by-key"] as &[&str]), (Backend::Mysql, &[])] {
        let Some(arena) = Arena::new(backend, Server::Shared) else { return };
        for _ in 0..4 {
            arena.reset(FEW_DOUBLINGS + 3, Old::Nobody);
            let args = [&["--workers", "3", "--full-speed"], more].concat();
            assert!(arena.start(0, arena.db.url(), &args).wait().success(), "{}", arena.words());
            arena.check();
        }
    }
}

#[test]
fn a_batch_that_ends_its_session_is_not_tried_for_ever() {
    let Some(arena) = Arena::new(Backend::Postgres, Server::Shared) else { return };
    arena.reset(FEW_DOUBLINGS, Old::Nobody);
    let deadly = "CREATE OR REPLACE FUNCTION count_fill() RETURNS trigger LANGUAGE plpgsql AS $$ \
        BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$";
    arena.session().batch(deadly).unwrap();
    let mut run = arena.start(0, arena.db.url(), &[]);
    assert_eq!(run.wait().code(), Some(101), "{}", run.words());
    assert!(run.words().contains("a batch of `t.c` was rolled back 11 times"), "{}", run.words());
    assert_eq!(arena.numbers("SELECT count(c) FROM t"), [0]);
}

#[test]
fn two_machines_may_start_at_once() {
    for backend in [Backend::Postgres, Backend::Mysql, Backend::Sqlite] {
        let Some(arena) = Arena::new(backend, Server::Shared) else { return };
        for _ in 0..8 {
            arena.reset(FEW_DOUBLINGS, Old::Trigger);
            let runs = [0, 1].map(|machine| arena.start(machine, arena.db.url(), &[]));
            for mut run in runs {
                assert!(run.wait().success(), "{backend}: {}", run.words());
            }
            arena.check();
        }
    }
}

/// How many kills the user wants of a test, as a part of all.
fn kills(fewest: u64, part: u64, of: u64) -> u64 {
    wanted().map_or(fewest, |wanted| (wanted * part).div_ceil(of))
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks how long the tests may be")]
fn wanted() -> Option<u64> {
    std::env::var("NEWCOL_KILLS").ok()?.parse().ok()
}

/// Kills at random moments, round after round, until there were enough kills.
fn storm(arena: Option<Arena>, weapons: &[Weapon], kills: u64) {
    let Some(arena) = arena else { return };
    let backend = arena.backend;
    let mut chance = Chance::of(chance::seed());
    let mut tally = Tally::default();
    while tally.kills() < kills {
        // No trigger can call code.
        let served = arena.fill == Fill::Sql && tally.rounds.is_multiple_of(2);
        let old = if served { Old::Trigger } else { Old::Nobody };
        round(&arena, old, weapons, kills, &mut chance, &mut tally);
        tally.rounds += 1;
    }
    eprintln!("{backend}: {tally:?}");
    assert!(tally.undone <= tally.allowed, "more than a batch was lost by a kill: {tally:?}");
}

/// One backfill from the first to the last row.
fn round(
    arena: &Arena,
    old: Old,
    weapons: &[Weapon],
    kills: u64,
    chance: &mut Chance,
    tally: &mut Tally,
) {
    let doublings = if arena.backend == Backend::Sqlite { SQLITE_DOUBLINGS } else { DOUBLINGS };
    arena.reset(doublings, old);
    let before = tally.kills();
    let servers = tally.servers;
    let stop = AtomicBool::new(false);
    let failed = thread::scope(|scope| {
        let (rows, stop) = (1 << doublings, &stop);
        // Commits of programs carry those of the job to the disk; so at times there are none.
        let programs = if tally.rounds % 3 == 2 { 0 } else { 2 };
        let seeds: Vec<u64> = (0..programs).map(|_| chance.next()).collect();
        let programs: Vec<_> = seeds
            .into_iter()
            .map(|seed| scope.spawn(move || traffic::work(arena, old, rows, seed, stop)))
            .collect();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            battle(arena, weapons, kills, chance, tally);
        }));
        stop.store(true, Ordering::SeqCst);
        let failed =
            programs.into_iter().flat_map(|program| program.join().unwrap()).collect::<Vec<_>>();
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
        failed
    });
    if tally.servers == servers {
        assert!(failed.is_empty(), "statements of programs failed: {failed:?}");
    }
    // Rows that came after the last pass.
    arena.finish();
    arena.check();
    let reported = arena.reported();
    tally.reconnects += reported.reconnects;
    tally.largest = tally.largest.max(reported.largest);
    if arena.backend != Backend::Sqlite {
        let (crashes, kills) = (tally.servers - servers, tally.kills() - before);
        let taken = match arena.backend {
            Backend::Postgres => "SELECT last_value FROM tickets",
            Backend::Mysql | Backend::Sqlite => "SELECT nextval(tickets) - 1",
        };
        let taken = arena.numbers(taken)[0];
        let late = arena.numbers("SELECT count(*) FROM t WHERE name = 'old'")[0];
        let used = arena.numbers("SELECT count(*) FROM fills")[0];
        tally.undone += taken.saturating_sub(used + late);
        // The batch under way may be half again as large as the largest known one. A crash ends those
        // of all workers, of whom there are up to four, and skips numbers that were put aside.
        let batch = (reported.largest * 3 / 2).max(200);
        let batches = 2 * (kills - crashes) + 4 * crashes + reported.retries;
        tally.allowed += batches * batch + crashes * 32;
    }
}

/// Kills until the job is done or there were enough kills.
fn battle(arena: &Arena, weapons: &[Weapon], kills: u64, chance: &mut Chance, tally: &mut Tally) {
    let mut runs: Vec<Run> = Vec::new();
    loop {
        // At times two machines work at once, and one of them is killed.
        let wanted = if chance.once_in(3) { 2 } else { 1 };
        while runs.len() < wanted {
            let machine = runs.first().map_or(chance.below(2) as usize, |run| 1 - run.machine);
            let ways = ways(arena.backend, arena.fill);
            let way = ways[chance.below(ways.len() as u64) as usize];
            runs.push(arena.start(machine, arena.db.url(), way));
        }
        let moment = Duration::from_millis(chance.below(300));
        let over = |runs: &mut Vec<Run>| runs.iter_mut().any(|run| run.over().is_some());
        drop(wait_for("end of a run", moment, || over(&mut runs).then_some(())));
        let mut done = false;
        let mut left = Vec::new();
        for mut run in runs {
            match run.over() {
                None => left.push(run),
                Some(status) if status.success() => done = true,
                Some(status) => {
                    assert_eq!(status.code(), Some(101), "{}", run.words());
                    gave_up(&run, tally);
                }
            }
        }
        runs = left;
        if done || tally.kills() >= kills {
            break;
        }
        if runs.is_empty() {
            continue;
        }
        let seen = arena.counts().map_or(0, |(counted, _)| counted);
        match weapons[chance.below(weapons.len() as u64) as usize] {
            Weapon::Client => {
                let victim = chance.below(runs.len() as u64) as usize;
                runs.remove(victim).kill();
                tally.clients += 1;
                tally.inside += u64::from(arena.has_journal());
            }
            Weapon::Session => tally.sessions += u64::from(end_session(arena)),
            Weapon::Server => {
                // Under load what is left of the killed one may be in the way of the next: said, and
                // tried again.
                let start = || arena.db.crash_server().map_err(|error| eprintln!("{error:?}")).ok();
                wait_for("the server", LIMIT, start).unwrap();
                tally.servers += 1;
            }
        }
        if let Some((counted, recorded)) = arena.counts() {
            assert!(counted >= seen, "committed batches are lost: {counted} of {seen}");
            // While every row is looked at, rows that come and go meanwhile are known only about.
            assert!(counted.abs_diff(recorded) <= 50, "{counted} filled, {recorded} recorded");
        }
    }
    for mut run in runs {
        if !run.wait().success() {
            gave_up(&run, tally);
        }
    }
}

/// The ways to run: each goes on with what another one began.
fn ways(backend: Backend, fill: Fill) -> &'static [&'static [&'static str]] {
    match backend {
        Backend::Postgres if fill == Fill::Rust => &[&[], &["--workers", "2"]],
        Backend::Postgres => {
            &[&[], &["--by-key"], &["--workers", "2"], &["--by-key", "--workers", "2"]]
        }
        Backend::Mysql => &[&[], &["--workers", "2"]],
        Backend::Sqlite => &[&[]],
    }
}

/// A run may give up only before it has begun: then it has nothing to lose, and says why.
fn gave_up(run: &Run, tally: &mut Tally) {
    assert!(tally.sessions + tally.servers > 0, "{}", run.words());
    assert!(!run.began(), "a run that had begun gave up: {}", run.words());
    tally.gave_up += 1;
}

/// Ends the session of a worker that is at work; returns whether there was one.
fn end_session(arena: &Arena) -> bool {
    let mut session = arena.session();
    let (find, end) = match (arena.backend, arena.fill) {
        (Backend::Postgres, Fill::Sql) => (
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'cargo newcol' \
             AND datname = current_database() ORDER BY backend_start DESC LIMIT 1",
            "SELECT pg_terminate_backend",
        ),
        // The session is known by its number in the record.
        (Backend::Postgres, Fill::Rust) => (
            "SELECT pid FROM pg_stat_activity \
             WHERE pid::text IN (SELECT worker FROM __newcol_backfill_part) LIMIT 1",
            "SELECT pg_terminate_backend",
        ),
        (Backend::Mysql | Backend::Sqlite, _) => (
            "SELECT id FROM information_schema.processlist \
             WHERE id IN (SELECT worker FROM __newcol_backfill_part) LIMIT 1",
            "KILL",
        ),
    };
    let Some(number) = session.value(find).ok().flatten() else { return false };
    session.batch(&format!("{end} ({number})")).is_ok()
}

/// Ends the talk at one statement after the other, each time in a backfill of its own.
fn sweep(backend: Backend, end: End, way: &[&str]) {
    let Some(arena) = Arena::new(backend, Server::Shared) else { return };
    let whole = {
        arena.reset(FEW_DOUBLINGS, Old::Trigger);
        let relay = Relay::new(backend, arena.db.url(), end, 0);
        let status = arena.start(0, &relay.url, way).wait();
        assert!(status.success(), "{}", arena.words());
        arena.check();
        relay.statements()
    };
    let mut chance = Chance::of(chance::seed());
    let step = if wanted().is_some_and(|kills| kills >= 300) { 1 } else { whole / 5 };
    let mut at = 1 + chance.below(step.max(1));
    let (mut tries, mut gave_up, mut late) = (0, 0, 0);
    while at <= whole {
        arena.reset(FEW_DOUBLINGS, Old::Trigger);
        let relay = Relay::new(backend, arena.db.url(), end, at);
        let mut run = arena.start(0, &relay.url, way);
        if end == End::Kill {
            let reached =
                wait_for("the statement", LIMIT, || match (relay.reached(), run.over()) {
                    (None, None) => None,
                    (reached, _) => Some(reached),
                });
            match reached.unwrap() {
                Some(go_on) => {
                    run.kill();
                    go_on.send(()).ok();
                }
                // It was faster this time.
                None => late += 1,
            }
        } else {
            let status = run.wait();
            // What is asked before the work begins is not asked again.
            gave_up += u64::from(!status.success());
            assert!(status.success() || !run.began(), "statement {at}: {}", run.words());
        }
        // Another machine goes on.
        let status = arena.start(1, arena.db.url(), &[]).wait();
        assert!(status.success(), "statement {at}: {}", arena.words());
        arena.check();
        tries += 1;
        at += step;
    }
    eprintln!("{backend}, {end:?}: {tries} of {whole} statements, {gave_up} gave up, {late} late");
}
