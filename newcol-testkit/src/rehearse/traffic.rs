//! Old and new code at work, all at once, while the stages pass by.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use newcol_core::{
    execute::backfill::{Answer, Event},
    plan::{Gate, StageKind},
};

use super::RehearseError;
use crate::{
    life::{self, Action, Life},
    matrix::Side,
    program::{Changes, Operation, Program, Running, Statements},
    scratch::error::chain,
    wait::{wait_for, wait_until},
};

/// Sessions of each release.
const SESSIONS: u64 = 2;

/// Statements that every session completes after an action before the next one begins.
const ROUND: u64 = 14;

/// Longest wait for a session to complete a round; a hang is a fault, not an error of ours.
const ROUND_LIMIT: Duration = Duration::from_secs(30);

/// Tries of one migration: its lock timeout may hit while others write, as it may in production.
const TRIES: usize = 30;

/// Row numbers that one session uses at most.
const NUMBERS: u64 = 20_000;

/// A statement that failed while it was promised to work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedStatement {
    /// What was being done to the database, or had been done last.
    pub during: String,
    /// Whose.
    pub side: Side,
    /// Doing what.
    pub operation: Operation,
    /// What was said.
    pub error: String,
}

/// What the sessions went through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Statements that were sent.
    pub statements: u64,
    /// Those that failed.
    pub failed: Vec<FailedStatement>,
    /// How often migrations were tried again because they did not get their lock in time.
    pub retries: usize,
    /// How often batches of the backfill were tried again because of what others did meanwhile.
    pub batch_retries: usize,
    /// The longest statement of an application.
    pub longest: Duration,
    /// Why a stage could not be carried out.
    pub stopped: Option<String>,
}

/// What the threads share.
struct Shared<'a> {
    url: &'a str,
    now: Mutex<String>,
    result: Mutex<Traffic>,
}

/// The sessions of one release.
struct Crew {
    side: Side,
    program: Statements,
    gone: AtomicBool,
    working: AtomicU64,
    rounds: Vec<AtomicU64>,
}

impl Crew {
    fn new(life: &Life, side: Side, url: &str) -> Result<Self, RehearseError> {
        let program = Statements::of(&life.plan, side, url, &Changes::default())?;
        let rounds = (0..SESSIONS).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { side, program, gone: AtomicBool::new(false), working: AtomicU64::new(0), rounds })
    }
}

/// Walks the stages up under the work of old and new sessions.
pub(super) fn run(life: &Life, url: &str) -> Result<Traffic, RehearseError> {
    let shared = Shared { url, now: Mutex::new("before".to_owned()), result: Mutex::default() };
    let gated = |gate| life.plan.stages.iter().find(|s| s.gates.contains(&gate)).map(|s| s.kind);
    let old_gone = gated(Gate::OldWritersGone);
    let new_gone = gated(Gate::ReplacedUnused);
    let old = Crew::new(life, Side::Old, url)?;
    let new = Crew::new(life, Side::New, url)?;
    std::thread::scope(|scope| {
        let start = |crew| {
            for at in 0..SESSIONS {
                let (shared, crew): (_, &Crew) = (&shared, crew);
                crew.working.fetch_add(1, Ordering::SeqCst);
                scope.spawn(move || {
                    work(shared, crew, at);
                    crew.working.fetch_sub(1, Ordering::SeqCst);
                });
            }
        };
        start(&old);
        let mut working = vec![&old];
        settle(&shared, &working);
        let mut last = None;
        for (stage, action) in life.actions() {
            if last != Some(stage) {
                if last == Some(StageKind::Expand) {
                    start(&new);
                    working.push(&new);
                    settle(&shared, &working);
                }
                for (gone, crew) in [(old_gone, &old), (new_gone, &new)] {
                    if gone == Some(stage) {
                        leave(&shared, crew);
                        working.retain(|other| other.side != crew.side);
                    }
                }
            }
            last = Some(stage);
            set(&shared.now, format!("{}, {}", stage.name(), action.name()));
            if let Err(error) = carry_out(&shared, action) {
                let stopped = format!("{}: `{}` fails: {error}", stage.name(), action.name());
                lock(&shared.result).stopped = Some(stopped);
                break;
            }
            settle(&shared, &working);
        }
        for crew in [&old, &new] {
            crew.gone.store(true, Ordering::SeqCst);
        }
    });
    Ok(shared.result.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Runs an action, again where it did not get its lock in time.
fn carry_out(shared: &Shared<'_>, action: &Action) -> Result<(), String> {
    let mut tries = 0;
    let done = wait_for("lock", Duration::from_secs(60), || {
        tries += 1;
        let mut session = match life::open(shared.url) {
            Ok(session) => session,
            Err(error) => return Some(Err(chain(&error))),
        };
        let told = |event: &Event| {
            if let Event::Retry { .. } | Event::Recomputed { .. } = event {
                lock(&shared.result).batch_retries += 1;
            }
            Answer::Go
        };
        match action.run_told(&mut session, &told) {
            Ok(()) => Some(Ok(())),
            Err(error) if tries < TRIES && error.is_conflict() => {
                lock(&shared.result).retries += 1;
                None
            }
            Err(error) => Some(Err(chain(&error))),
        }
    });
    done.unwrap_or_else(|error| Err(error.to_string()))
}

/// Waits until every session has completed a round in the new state.
fn settle(shared: &Shared<'_>, crews: &[&Crew]) {
    for crew in crews {
        let goals: Vec<u64> =
            crew.rounds.iter().map(|n| n.load(Ordering::SeqCst) + ROUND).collect();
        let there = || {
            crew.rounds.iter().zip(&goals).all(|(now, goal)| now.load(Ordering::SeqCst) >= *goal)
        };
        if wait_until("a round of every session", ROUND_LIMIT, there).is_err() {
            let seconds = ROUND_LIMIT.as_secs();
            fail(
                shared,
                crew.side,
                Operation::List,
                format!("a session has not got on for {seconds} s"),
            );
        }
    }
}

/// Sends a release home, and waits for its last statement.
fn leave(shared: &Shared<'_>, crew: &Crew) {
    crew.gone.store(true, Ordering::SeqCst);
    let left = || crew.working.load(Ordering::SeqCst) == 0;
    if wait_until("the end of every session", ROUND_LIMIT, left).is_err() {
        fail(shared, crew.side, Operation::List, "a session does not end".to_owned());
    }
}

/// One session: insert, change, read and delete rows of its own until it is told to leave.
fn work(shared: &Shared<'_>, crew: &Crew, at: u64) {
    let base = (crew.side as u64 * SESSIONS + at + 1) * NUMBERS;
    let mut session = match crew.program.open(shared.url) {
        Ok(session) => session,
        Err(error) => {
            fail(shared, crew.side, Operation::List, format!("could not connect: {error}"));
            return;
        }
    };
    for round in 0..NUMBERS / 4 {
        let first = base + round * 4;
        for operation in Operation::ALL {
            if crew.gone.load(Ordering::SeqCst) {
                return;
            }
            if crew.program.can(operation) {
                let rows = match operation {
                    Operation::BatchInsert => vec![first + 1, first + 2],
                    Operation::List => Vec::new(),
                    Operation::Insert
                    | Operation::Update
                    | Operation::Upsert
                    | Operation::Read
                    | Operation::Delete => vec![first],
                };
                send(shared, crew.side, &mut *session, operation, &rows);
            }
            crew.rounds[at as usize].fetch_add(1, Ordering::SeqCst);
        }
        // Reading all rows stays cheap because few are left behind.
        if crew.program.can(Operation::Delete) {
            for row in [first + 1, first + 2] {
                send(shared, crew.side, &mut *session, Operation::Delete, &[row]);
            }
        }
    }
}

fn send(
    shared: &Shared<'_>,
    side: Side,
    session: &mut dyn Running,
    operation: Operation,
    rows: &[u64],
) {
    let started = Instant::now();
    let done = session.act(operation, rows);
    let took = started.elapsed();
    {
        let mut result = lock(&shared.result);
        result.statements += 1;
        result.longest = result.longest.max(took);
    }
    if let Err(error) = done {
        fail(shared, side, operation, chain(&error));
    }
}

fn fail(shared: &Shared<'_>, side: Side, operation: Operation, error: String) {
    let during = lock(&shared.now).clone();
    lock(&shared.result).failed.push(FailedStatement { during, side, operation, error });
}

fn set(now: &Mutex<String>, text: String) {
    *lock(now) = text;
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
