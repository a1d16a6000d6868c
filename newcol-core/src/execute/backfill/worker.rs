//! One worker: claims a part, runs a batch of it, rests, and claims again.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use super::{
    BackfillError, Event, Order, Outcome, Phase, Settings, Shared,
    batch::{Batch, Ran},
    job::Job,
    pass::{self, Turn},
    record::Record,
    tune::Tuner,
};
use crate::{
    backend::Backend,
    db::{DbError, Session},
    execute::pace::{
        Lag, Limit, Next, Observation, Operator, Outcome as PaceOutcome, Pace, Signals,
    },
    ident::TableName,
};

/// How often a batch is tried that others hold up or the server cancels.
const TRIES: u32 = 40;

/// How often a lost connection is made anew, with waits that double up to two seconds: long enough
/// for a server that restarts.
const CONNECTS: u32 = 12;

/// How often a connection may be lost without a batch in between: more often than a failover or
/// two, the batch may be what ends it.
const LOSSES: u32 = 10;

/// How often the record is asked what is wanted.
const LOOK: Duration = Duration::from_millis(250);

/// The longest that a worker sleeps without looking whether it is to stop.
const NAP: Duration = Duration::from_millis(50);

pub(super) struct Worker<'a> {
    pub(super) job: Job,
    pub(super) record: &'a Record,
    pub(super) session: Session,
    /// What it is called in the record.
    pub(super) name: String,
    pub(super) tuners: BTreeMap<TableName, Tuned>,
    settings: &'a Settings,
    shared: &'a Shared<'a>,
    pace: Pace,
    phase: Phase,
    pass: u32,
    looked: Instant,
    order: Order,
    lag: Lag,
}

/// What a worker knows of a relation.
#[derive(Debug, Clone)]
pub(super) struct Tuned {
    pub(super) tuner: Tuner,
    /// Rows per 1000 blocks.
    pub(super) density: u64,
    /// The server's counts of updated rows and of those that stayed on their page.
    pub(super) counts: (u64, u64),
}

impl<'a> Worker<'a> {
    pub(super) fn new(
        job: &Job,
        record: &'a Record,
        settings: &'a Settings,
        shared: &'a Shared<'a>,
        session: Session,
    ) -> Self {
        Self {
            job: job.clone(),
            record,
            session,
            name: String::new(),
            tuners: BTreeMap::new(),
            settings,
            shared,
            pace: Pace::new(settings.pace),
            phase: Phase::Filling,
            pass: 0,
            looked: Instant::now(),
            order: Order::Run,
            lag: Lag::NotAsked,
        }
    }

    /// Works until the job is over or somebody asks to stop.
    pub(super) fn work(&mut self) -> Result<Outcome, BackfillError> {
        if let Err(error) = self.prepare() {
            self.recover(error, 1)?;
        }
        let mut tries = 0;
        loop {
            match self.step(tries) {
                Ok(Step::Worked) => tries = 0,
                Ok(Step::Idle) => {}
                Ok(Step::Over(outcome)) => return Ok(outcome),
                Err(error) => {
                    tries += 1;
                    self.recover(error, tries)?;
                }
            }
        }
    }

    fn step(&mut self, tries: u32) -> Result<Step, BackfillError> {
        self.look()?;
        if self.shared.is_stopped() || self.order == Order::Stop {
            return Ok(Step::Over(Outcome::Stopped(self.record.totals(&mut self.session)?)));
        }
        let decision = self.pace.next();
        self.rest(decision.pause);
        let rows = match decision.next {
            Next::Batch { rows } => rows,
            Next::Recheck => {
                if is_hold(decision.limit) && !decision.pause.is_zero() {
                    self.shared.tell(&Event::Waiting(decision.limit));
                }
                let signals = self.signals()?;
                self.pace.recheck(&signals);
                return Ok(Step::Idle);
            }
        };
        if self.shared.is_stopped() {
            return Ok(Step::Idle);
        }
        match self.batch(rows, tries)? {
            Ran::Batch(batch) => {
                self.learn(&batch)?;
                Ok(Step::Worked)
            }
            Ran::Nothing => self.turn(),
        }
    }

    fn learn(&mut self, batch: &Batch) -> Result<(), BackfillError> {
        let signals = self.signals()?;
        let observation = Observation {
            outcome: PaceOutcome::Done { rows: batch.sized },
            statement: batch.statement,
            commit: batch.commit,
            wal: batch.wal,
            waiters: batch.waiters,
        };
        let decision = self.pace.observe(&observation, &signals);
        self.shared.tell(&Event::Batch {
            filled: batch.filled,
            passed: batch.passed,
            limit: decision.limit,
        });
        Ok(())
    }

    /// Goes on with the next pass, or waits for those who are still at work on this one.
    fn turn(&mut self) -> Result<Step, BackfillError> {
        let workers = self.settings.workers.get();
        match pass::turn(self.record, &mut self.session, &mut self.job, workers)? {
            Turn::Over(outcome) => Ok(Step::Over(outcome)),
            Turn::Go(phase, pass) => {
                self.enter(phase, pass);
                Ok(Step::Idle)
            }
            Turn::Wait => {
                self.rest(NAP);
                self.looked = Instant::now() - LOOK;
                Ok(Step::Idle)
            }
        }
    }

    /// Notices a new pass: looking costs less than filling, so the pace begins anew.
    fn enter(&mut self, phase: Phase, pass: u32) {
        if (phase, pass) == (self.phase, self.pass) {
            return;
        }
        if phase != self.phase {
            self.pace = Pace::new(self.settings.pace);
        }
        (self.phase, self.pass) = (phase, pass);
        self.shared.tell(&Event::Pass { phase, pass });
    }

    /// Asks from time to time what is wanted.
    fn look(&mut self) -> Result<(), BackfillError> {
        if self.pass > 0 && self.looked.elapsed() < LOOK {
            return Ok(());
        }
        self.looked = Instant::now();
        match self.record.read(&mut self.session)? {
            Some(found) => {
                self.order = found.order;
                self.enter(found.phase, found.pass);
            }
            // Somebody removed it.
            None => self.order = Order::Stop,
        }
        if self.settings.pace.max_lag.is_some() {
            self.lag = self.read_lag();
        }
        Ok(())
    }

    fn signals(&mut self) -> Result<Signals, BackfillError> {
        self.look()?;
        let is_paused = self.order == Order::Pause || self.shared.is_paused();
        let operator = if is_paused { Operator::Pause } else { Operator::Go };
        Ok(Signals { lag: self.lag, horizon: None, operator })
    }

    /// Asks how far the slowest replica is behind.
    fn read_lag(&mut self) -> Lag {
        if self.session.backend() != Backend::Postgres {
            return Lag::Lost;
        }
        // A replica that has replayed everything reports no lag after a while of silence.
        let sql = "SELECT CASE WHEN count(*) = 0 THEN NULL \
             ELSE (1000 * extract(epoch FROM max(CASE \
               WHEN replay_lsn >= pg_current_wal_lsn() THEN interval '0' \
               ELSE coalesce(replay_lag, interval '0') END)))::bigint END \
             FROM pg_catalog.pg_stat_replication WHERE state = 'streaming'";
        match self.session.value(sql) {
            Ok(Some(milliseconds)) => milliseconds
                .parse()
                .map_or(Lag::Lost, |milliseconds| Lag::Behind(Duration::from_millis(milliseconds))),
            Ok(None) | Err(_) => Lag::Lost,
        }
    }

    /// Decides whether a failed batch is tried again, and gets ready for that.
    fn recover(&mut self, error: BackfillError, tries: u32) -> Result<(), BackfillError> {
        let BackfillError::Database(error) = error else { return Err(error) };
        let Some(failure) = error.failure() else { return Err(error.into()) };
        let why = failure.message.clone();
        if failure.lost {
            if tries > LOSSES {
                return Err(self.gave_up(error, tries));
            }
            return self.reconnect(error);
        }
        // A killed session may say first that its statement was.
        if let Err(gone) = self.session.batch("ROLLBACK")
            && is_lost(&gone)
        {
            return self.reconnect(gone);
        }
        let held = failure.is_lock_timeout() || failure.is_deadlock();
        let cancelled = matches!(failure.sqlstate.as_deref(), Some("57014" | "40001"))
            || matches!(failure.errno, Some(1317 | 1969 | 3024));
        if !(held || cancelled) || tries >= TRIES {
            return Err(self.gave_up(error, tries));
        }
        self.shared.tell(&Event::Retry { tries, why });
        let signals = match self.signals() {
            Ok(signals) => signals,
            Err(error) => return self.recover(error, tries + 1),
        };
        self.pace.observe(
            &Observation {
                outcome: PaceOutcome::Conflict,
                statement: Duration::ZERO,
                commit: Duration::ZERO,
                wal: None,
                waiters: 0,
            },
            &signals,
        );
        Ok(())
    }

    fn gave_up(&mut self, error: DbError, tries: u32) -> BackfillError {
        let column = self.record.column().clone();
        BackfillError::Batch { column, tries, place: self.place(), source: Box::new(error) }
    }

    /// Connects anew, also where the new connection is lost at once: servers start and stop.
    fn reconnect(&mut self, first: DbError) -> Result<(), BackfillError> {
        let mut wait = Duration::from_millis(50);
        for _ in 0..CONNECTS {
            self.rest(wait);
            wait = (wait * 2).min(Duration::from_secs(2));
            if self.shared.is_stopped() {
                break;
            }
            let Ok(session) = self.session.again() else { continue };
            self.session = session;
            match self.prepare() {
                Ok(()) => {
                    self.shared.tell(&Event::Reconnected);
                    return Ok(());
                }
                Err(BackfillError::Database(error)) if is_lost(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Err(first.into())
    }

    /// Waits, and looks from time to time whether it is to stop.
    #[expect(clippy::disallowed_methods, reason = "a pace is made of rests")]
    fn rest(&self, time: Duration) {
        let begun = Instant::now();
        while !self.shared.is_stopped() {
            let left = time.saturating_sub(begun.elapsed());
            if left.is_zero() {
                break;
            }
            thread::sleep(left.min(NAP));
        }
    }

    /// Makes the session's settings, and finds out what it is called.
    fn prepare(&mut self) -> Result<(), BackfillError> {
        let session = &mut self.session;
        match session.backend() {
            // While we wait for a row, others wait for the rows we hold: not for long. A server that
            // dies may lose the batch under way and no other; replicas need not hear of it first.
            Backend::Postgres => session.batch(
                "SET lock_timeout = '100ms'; SET synchronous_commit = local; \
                 SET idle_in_transaction_session_timeout = '60s'",
            )?,
            // A machine that vanished must not hold rows for hours.
            Backend::Mysql => session.batch(
                "SET SESSION innodb_lock_wait_timeout = 1, SESSION lock_wait_timeout = 1, \
                   SESSION wait_timeout = 60; \
                 SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
            )?,
            Backend::Sqlite => {}
        }
        for sql in &self.job.care.session {
            session.batch(sql.as_str())?;
        }
        let name = match session.backend() {
            Backend::Postgres => session.value("SELECT pg_backend_pid()")?,
            Backend::Mysql => session.value("SELECT connection_id()")?,
            Backend::Sqlite => Some(std::process::id().to_string()),
        };
        self.name = name.unwrap_or_default();
        Ok(())
    }

    /// Says where the worker is, for a message.
    fn place(&mut self) -> String {
        let part = self.record.claim(&mut self.session, &self.name);
        match part {
            Ok(Some(part)) => part.place.describe(),
            Ok(None) | Err(_) => "a place that could not be read".to_owned(),
        }
    }
}

enum Step {
    Worked,
    Idle,
    Over(Outcome),
}

fn is_lost(error: &DbError) -> bool {
    error.failure().is_some_and(|failure| failure.lost)
}

/// Limits that stop the work until they change, as opposed to those that only slow it down.
fn is_hold(limit: Limit) -> bool {
    matches!(limit, Limit::Paused | Limit::LostSignal | Limit::ReplicaLag)
}
