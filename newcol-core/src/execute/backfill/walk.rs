//! Goes through chunks of a table piece by piece, each in a transaction, at a pace.
//!
//! What others hold up is tried again, and a lost connection is made anew. A piece counts once its
//! transaction is committed. Nothing is stored: who is stopped begins anew.

use std::time::Instant;

use super::{
    BackfillError, Event, Settings, Shared,
    chunk::Chunk,
    job::Job,
    lag::Gauge,
    sessions::{self, Remedy},
    tune::MAX_SIZE,
};
use crate::{
    backend::Backend,
    db::{Access, DbError, Session},
    execute::{
        pace::{self, Lag, Observation, Operator, Outcome, Pace, Signals},
        side_effects::Care,
    },
    render::{backfill::Range, text::SqlText},
};

/// What a walk does to the rows it meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Look,
    Change,
}

impl Purpose {
    fn prepare(self, session: &mut Session, care: &Care) -> Result<(), DbError> {
        match self {
            Self::Look => sessions::ready_to_look(session),
            Self::Change => sessions::ready_to_fill(session, care),
        }
    }
}

/// What came of a piece.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Passed {
    /// Rows in it.
    pub(super) rows: u64,
    /// Rows that were changed.
    pub(super) changed: u64,
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// All was gone through.
    Whole,
    /// Somebody asked to stop.
    Stopped,
}

/// A session on its way through a table.
pub(super) struct Walk<'a> {
    pub(super) job: &'a Job,
    session: Session,
    shared: &'a Shared<'a>,
    settings: pace::Settings,
    pace: Pace,
    gauge: Gauge,
    purpose: Purpose,
    /// Rows and blocks of the last piece, where it went by blocks.
    density: (u64, u64),
}

impl<'a> Walk<'a> {
    /// Prepares a session: one that was opened to read will only look.
    pub(super) fn new(
        job: &'a Job,
        session: Session,
        settings: &Settings,
        shared: &'a Shared<'a>,
    ) -> Result<Self, DbError> {
        let (purpose, settings) = match session.access() {
            // Who writes nothing keeps no replica behind.
            Access::Read => (Purpose::Look, pace::Settings { max_lag: None, ..settings.pace }),
            Access::Write | Access::Create => (Purpose::Change, settings.pace),
        };
        let pace = Pace::new(settings);
        let (gauge, density) = (Gauge::default(), (1, 1));
        let mut walk = Self { job, session, shared, settings, pace, gauge, purpose, density };
        walk.purpose.prepare(&mut walk.session, &walk.job.care)?;
        Ok(walk)
    }

    /// Does a work in every piece of a chunk, and hands over what came of it once it is committed.
    pub(super) fn through<T>(
        &mut self,
        chunk: &Chunk,
        mut work: impl FnMut(&mut Session, &Chunk, u32) -> Result<(Passed, T), BackfillError>,
        mut done: impl FnMut(T),
    ) -> Result<Ended, BackfillError> {
        let mut left = Some(chunk.clone());
        let mut tries = 0;
        while let Some(ahead) = &left {
            if self.shared.is_stopped() {
                return Ok(Ended::Stopped);
            }
            let Some(rows) = self.shared.wait(self.pace.next()) else {
                let signals = self.signals();
                self.pace.recheck(&signals);
                continue;
            };
            match self.piece(ahead, rows, tries, &mut work) {
                Ok((came, rest)) => {
                    done(came);
                    (left, tries) = (rest, 0);
                }
                Err(error) => {
                    tries += 1;
                    self.recover(error, tries, ahead)?;
                }
            }
        }
        Ok(Ended::Whole)
    }

    /// Runs one piece from the front of what is ahead; returns what is left.
    fn piece<T>(
        &mut self,
        ahead: &Chunk,
        rows: u64,
        tries: u32,
        work: &mut impl FnMut(&mut Session, &Chunk, u32) -> Result<(Passed, T), BackfillError>,
    ) -> Result<(T, Option<Chunk>), BackfillError> {
        let started = Instant::now();
        let care = &self.job.care;
        let (before, after): (&[SqlText], &[SqlText]) = match self.purpose {
            Purpose::Look => (&[], &[]),
            Purpose::Change => (&care.before, &care.after),
        };
        let begin = [self.begin()].into_iter().chain(before.iter().map(SqlText::as_str));
        self.session.batch(&begin.collect::<Vec<_>>().join("; "))?;
        let (piece, rest) = self.split(ahead, rows)?;
        let (passed, came) = work(&mut self.session, &piece, tries)?;
        let statement = started.elapsed();
        let started = Instant::now();
        let end = after.iter().map(SqlText::as_str).chain(["COMMIT"]);
        self.session.batch(&end.collect::<Vec<_>>().join("; "))?;
        if let Chunk::Blocks { from, to, .. } = &piece {
            self.density = (passed.rows, to - from);
        }
        // What was small because nothing was left, or because rows lie far apart, says nothing of
        // how many could be done.
        let sized = if rest.is_some() { passed.rows.max(rows) } else { passed.rows };
        let observation = Observation {
            outcome: Outcome::Done { rows: sized },
            statement,
            commit: started.elapsed(),
            wal: None,
            waiters: 0,
        };
        let signals = self.signals();
        let limit = self.pace.observe(&observation, &signals).limit;
        self.shared.tell(&Event::Batch { filled: passed.changed, passed: passed.rows, limit });
        Ok((came, rest))
    }

    /// Takes about so many rows off the front.
    fn split(&mut self, ahead: &Chunk, rows: u64) -> Result<(Chunk, Option<Chunk>), BackfillError> {
        match ahead {
            Chunk::Blocks { relation, from, to } => {
                let (seen, blocks) = self.density;
                let wanted = rows.saturating_mul(blocks) / seen.max(1);
                // Rows may lie closer together further on.
                let most = blocks.saturating_mul(4).min(MAX_SIZE);
                Ok(Chunk::split_blocks(relation, *from, *to, wanted.min(most)))
            }
            Chunk::Keys { after, to } => {
                let range = Range::Keys { key: &self.job.key, after: after.as_ref(), to: Some(to) };
                let middle = self.job.key_after(&mut self.session, range, rows)?;
                Ok(Chunk::split_keys(after.as_ref(), to, middle))
            }
        }
    }

    fn begin(&self) -> &'static str {
        match (self.purpose, self.session.backend()) {
            (Purpose::Look, Backend::Postgres) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            (Purpose::Look, Backend::Mysql) => {
                "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
            }
            (Purpose::Change, Backend::Postgres | Backend::Mysql)
            | (Purpose::Look, Backend::Sqlite) => "BEGIN",
            (Purpose::Change, Backend::Sqlite) => "BEGIN IMMEDIATE",
        }
    }

    fn signals(&mut self) -> Signals {
        let operator = if self.shared.is_paused() { Operator::Pause } else { Operator::Go };
        let lag = match self.settings.max_lag {
            Some(_) => self.gauge.read(&mut self.session),
            None => Lag::NotAsked,
        };
        Signals { lag, horizon: None, operator }
    }

    fn recover(
        &mut self,
        error: BackfillError,
        tries: u32,
        at: &Chunk,
    ) -> Result<(), BackfillError> {
        let BackfillError::Database(error) = error else { return Err(error) };
        let Some(failure) = error.failure() else { return Err(error.into()) };
        match sessions::remedy(&mut self.session, failure, tries) {
            Remedy::Connect => {
                let (purpose, care) = (self.purpose, &self.job.care);
                let ready = |session: &mut Session| purpose.prepare(session, care);
                self.session = sessions::reconnect(&self.session, error, self.shared, &ready)?;
                self.shared.tell(&Event::Reconnected);
            }
            Remedy::Repeat => {
                self.shared.tell(&Event::Retry { tries, why: failure.message.clone() });
                let signals = self.signals();
                self.pace.observe(&sessions::CONFLICT, &signals);
            }
            Remedy::GiveUp => {
                let column = self.job.plan.contract.path().clone();
                let (place, source) = (at.describe(), Box::new(error));
                return Err(match self.purpose {
                    Purpose::Look => BackfillError::Look { column, place, source },
                    Purpose::Change => BackfillError::Batch { column, tries, place, source },
                });
            }
        }
        Ok(())
    }
}
