//! One worker: claims a part, runs a batch of it, rests, and claims again.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    BackfillError, Event, Order, Outcome, Phase, Settings, Shared,
    ahead::Ahead,
    batch::{Batch, Ran},
    blame, computed,
    job::Job,
    lag::Gauge,
    pass::{self, Run, Turn},
    record::Record,
    sessions::{self, NAP, Remedy},
    stretch::Stretch,
    tune::Tuner,
};
use crate::{
    backend::Backend,
    db::{DbError, Session},
    execute::pace::{Lag, Observation, Operator, Outcome as PaceOutcome, Pace, Signals},
    ident::TableName,
    plan::facts::Volatility,
};

/// How often the record is asked what is wanted.
const LOOK: Duration = Duration::from_millis(250);

pub(super) struct Worker<'a> {
    pub(super) job: Arc<Job>,
    pub(super) record: &'a Record,
    pub(super) session: Session,
    /// What it is called in the record.
    pub(super) name: String,
    pub(super) tuners: BTreeMap<TableName, Tuned>,
    /// What the last statement worked on.
    pub(super) tried: Option<Stretch>,
    /// Most rows whose values code computes in about a second.
    pub(super) code_rows: u64,
    pub(super) ahead: Ahead,
    pub(super) settings: &'a Settings,
    pub(super) shared: &'a Shared<'a>,
    pace: Pace,
    phase: Phase,
    pass: u32,
    /// The pass that it found.
    first: u32,
    looked: Instant,
    order: Order,
    gauge: Gauge,
    lag: Lag,
    /// Age of the oldest snapshot of others.
    horizon: Option<Duration>,
    /// When it was last seen who waits for rows.
    waited: Instant,
}

/// What a worker knows of a relation.
#[derive(Debug, Clone)]
pub(super) struct Tuned {
    pub(super) tuner: Tuner,
    /// Most rows seen in 1000 blocks.
    pub(super) density: u64,
    /// The server's counts of updated rows and of those that stayed on their page.
    pub(super) counts: (u64, u64),
}

impl<'a> Worker<'a> {
    pub(super) fn new(
        job: &Arc<Job>,
        record: &'a Record,
        settings: &'a Settings,
        shared: &'a Shared<'a>,
        session: Session,
    ) -> Self {
        Self {
            job: Arc::clone(job),
            record,
            session,
            name: String::new(),
            tuners: BTreeMap::new(),
            code_rows: computed::FEWEST,
            ahead: Ahead::default(),
            tried: None,
            settings,
            shared,
            pace: Pace::new(settings.pace),
            phase: Phase::Filling,
            pass: 0,
            first: 0,
            looked: Instant::now(),
            order: Order::Run,
            gauge: Gauge::default(),
            lag: Lag::NotAsked,
            horizon: None,
            waited: Instant::now(),
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
        let Some(rows) = self.shared.wait(self.pace.next()) else {
            let signals = self.signals()?;
            self.pace.recheck(&signals);
            return Ok(Step::Idle);
        };
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
        let run = Run { first: self.first, workers: self.settings.workers.get() };
        match pass::turn(self.record, &mut self.session, &mut self.job, run)? {
            Turn::Over(outcome) => Ok(Step::Over(outcome)),
            Turn::Go { phase, pass, wait } => {
                self.shared.rest(wait);
                self.enter(phase, pass);
                Ok(Step::Idle)
            }
            Turn::Wait => {
                self.shared.rest(NAP);
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
        if self.pass == 0 {
            self.first = pass;
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
            self.lag = self.gauge.read(&mut self.session);
        }
        if self.settings.pace.max_horizon.is_some() {
            self.horizon = sessions::horizon(&mut self.session);
        }
        Ok(())
    }

    fn signals(&mut self) -> Result<Signals, BackfillError> {
        self.look()?;
        let is_paused = self.order == Order::Pause || self.shared.is_paused();
        let operator = if is_paused { Operator::Pause } else { Operator::Go };
        Ok(Signals { lag: self.lag, horizon: self.horizon, operator })
    }

    /// Counts from time to time who waits for rows of the batch that is about to end.
    pub(super) fn waiters(&mut self) -> Result<u32, DbError> {
        if self.waited.elapsed() < LOOK {
            return Ok(0);
        }
        self.waited = Instant::now();
        sessions::waiters(&mut self.session)
    }

    /// Reads how much log the server has written, where a budget wants to know (PostgreSQL).
    ///
    /// What other sessions write meanwhile counts as well: the budget is for the log, not for us.
    pub(super) fn log_written(&mut self) -> Option<u64> {
        if self.settings.pace.wal_per_second.is_none()
            || self.session.backend() != Backend::Postgres
        {
            return None;
        }
        let written = self.session.value("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn");
        written.ok().flatten()?.parse().ok()
    }

    /// Decides whether a failed batch is tried again, and gets ready for that.
    fn recover(&mut self, error: BackfillError, tries: u32) -> Result<(), BackfillError> {
        let BackfillError::Database(error) = error else { return Err(error) };
        let Some(failure) = error.failure() else { return Err(error.into()) };
        match sessions::remedy(&mut self.session, failure, tries) {
            Remedy::Connect => return self.reconnect(error),
            Remedy::Repeat => {}
            Remedy::GiveUp if !failure.lost && blame::is_of_a_row(failure) => {
                return self.row_failed(error, tries);
            }
            Remedy::GiveUp => return Err(self.gave_up(error, tries)),
        }
        self.shared.tell(&Event::Retry { tries, why: failure.message.clone() });
        match self.signals() {
            Ok(signals) => {
                self.pace.observe(&sessions::CONFLICT, &signals);
                Ok(())
            }
            Err(error) => self.recover(error, tries + 1),
        }
    }

    /// Names the row for which a batch failed, or goes on without what fails.
    fn row_failed(&mut self, error: DbError, tries: u32) -> Result<(), BackfillError> {
        if let (Some((row, way)), Some(failure)) = (self.blame(), error.failure()) {
            let (column, source) = (self.record.column().clone(), Box::new(failure.clone()));
            return Err(BackfillError::Row { column, row, way, source });
        }
        // It fails for a row that the application filled: only comparing needs it there.
        if self.job.fill.volatility == Volatility::Immutable {
            Arc::make_mut(&mut self.job).fill.volatility = Volatility::Stable;
            return Ok(());
        }
        Err(self.gave_up(error, tries))
    }

    fn gave_up(&mut self, error: DbError, tries: u32) -> BackfillError {
        let column = self.record.column().clone();
        BackfillError::Batch { column, tries, place: self.place(), source: Box::new(error) }
    }

    /// Connects anew, also where the new connection is lost at once: servers start and stop.
    fn reconnect(&mut self, lost: DbError) -> Result<(), BackfillError> {
        let job = Arc::clone(&self.job);
        let ready = |session: &mut Session| sessions::ready_to_fill(session, &job.care);
        self.session = sessions::reconnect(&self.session, lost, self.shared, &ready)?;
        self.prepare()?;
        self.shared.tell(&Event::Reconnected);
        Ok(())
    }

    /// Makes the session's settings, and finds out what it is called.
    fn prepare(&mut self) -> Result<(), BackfillError> {
        let session = &mut self.session;
        sessions::ready_to_fill(session, &self.job.care)?;
        if self.shared.code.is_some() && session.backend() == Backend::Postgres {
            // Dates as types of Rust read them, whatever the server's setting.
            session.batch("SET DateStyle = 'ISO'; SET IntervalStyle = 'iso_8601'")?;
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

/// How far a value of a row comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storing {
    /// The expression itself fails.
    Computed,
    /// The column does not take what it yields.
    Stored,
}

impl fmt::Display for Storing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Computed => "computed",
            Self::Stored => "stored",
        })
    }
}

enum Step {
    Worked,
    Idle,
    Over(Outcome),
}
