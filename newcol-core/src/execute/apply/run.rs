//! One migration, tried until it is done or its time is over.

use std::time::{Duration, Instant};

use super::{
    ApplyError, BlockerPolicy, Direction, Event, MigrationReport, Settings, SqlMigration, Told,
    guard::LockedLook,
    migration::{self, Attempt, Failed, Script},
    watch::Watcher,
};
use crate::{
    backend::{Backend, Product},
    db::{DbError, Session},
    execute::peers::{self, Peer, PeerKind},
};

/// A transaction that has held a lock on the table for longer than this is not queued behind.
const LONG: Duration = Duration::from_secs(1);

/// So many times a lock is asked for without waiting, where the server can do that (MariaDB):
/// whoever waits holds up all that come later, and ends transactions that have read the table and go
/// on to write it, since such a deadlock is always theirs.
const QUIET_TRIES: u32 = 100;

/// The longest rest between two of these.
const QUIET_REST: Duration = Duration::from_millis(200);

/// How one migration ended.
pub(super) enum Ended {
    Done(MigrationReport),
    /// Nothing had to be done.
    AlreadyThere,
    Stopped,
}

/// A run under way.
pub(super) struct Run<'a> {
    pub(super) settings: &'a Settings,
    pub(super) told: &'a Told<'a>,
    pub(super) session: Session,
    pub(super) watcher: Watcher,
    /// Whether the server cancels an autovacuum before we stop waiting for it.
    pub(super) ends_vacuums: bool,
    /// An index that a try has left invalid, as it is written in SQL (PostgreSQL).
    pub(super) left: Option<String>,
    /// What is looked at under a lock before the migration under way drops it, and how long (MariaDB).
    pub(super) look: Option<(&'a LockedLook, Duration)>,
}

impl Run<'_> {
    /// Tries a migration until it is done, or its time is over.
    pub(super) fn one(
        &mut self,
        direction: Direction,
        migration: &SqlMigration,
    ) -> Result<Ended, ApplyError> {
        if self.is_recorded(migration)? == (direction == Direction::Up) {
            return Ok(Ended::AlreadyThere);
        }
        let script = migration.script(direction, self.session.backend())?;
        self.told.tell(&Event::Began { migration: migration.name.clone() });
        let begun = Instant::now();
        let mut ahead = script.report();
        if let Some(ended) = self.build_parts(&script, &mut ahead)? {
            return Ok(ended);
        }
        let mut blockers = std::mem::take(&mut ahead.blockers);
        let started = Instant::now();
        // Tries that stood in the queue.
        let mut loud = 0;
        for tries in 1.. {
            if !self.wait_for_holders(&script, started, tries - 1)? {
                return Ok(Ended::Stopped);
            }
            let quietly = self.asks_quietly(&script, tries);
            let wait = if quietly { Duration::ZERO } else { self.settings.budget.lock_timeout };
            let failed = match self.attempt(&script, wait)? {
                Attempt::Done(mut report) => {
                    report.tries = tries;
                    report.took = begun.elapsed();
                    report.statements.splice(0..0, ahead.statements);
                    report.notes.splice(0..0, ahead.notes);
                    remember(&mut blockers, std::mem::take(&mut report.blockers));
                    return Ok(Ended::Done(MigrationReport { blockers, ..report }));
                }
                Attempt::AlreadyThere => return Ok(Ended::AlreadyThere),
                Attempt::Stopped => return Ok(Ended::Stopped),
                Attempt::Kept(stopped) => {
                    return Err(ApplyError::Kept { migration: migration.name.clone(), stopped });
                }
                Attempt::Failed(failed) => failed,
            };
            remember(&mut blockers, failed.by.clone());
            // Diesel's own runner knows no lock, and may have been faster.
            if !failed.is_lost() && self.is_recorded(migration)? == (direction == Direction::Up) {
                return Ok(Ended::AlreadyThere);
            }
            if !failed.is_passing || !script.may_repeat {
                let (migration, in_part) = (migration.name.clone(), !script.may_repeat);
                let source = Box::new(failed.source);
                return Err(ApplyError::Failed { migration, source, in_part });
            }
            let waited = started.elapsed();
            let rest = if quietly {
                if waited >= self.settings.budget.max_wait {
                    // Nobody was waited for, so nobody has been named yet.
                    let id = self.watcher.id().to_owned();
                    let by = peers::of(&mut self.watcher.session, &id)?;
                    let migration = migration.name.clone();
                    return Err(ApplyError::Busy { migration, tries, waited, by });
                }
                self.told.tell(&Event::Waiting);
                QUIET_REST.mul_f64(fastrand::f64())
            } else {
                loud += 1;
                self.held_up(migration, failed, tries, waited)?;
                self.settings.budget.rest(loud, fastrand::f64())
            };
            if self.told.stop.wait(rest) {
                return Ok(Ended::Stopped);
            }
        }
        unreachable!("tries are counted until something ends them")
    }

    /// Reports whether the next try does not wait for its lock.
    fn asks_quietly(&self, script: &Script<'_>, tries: u32) -> bool {
        script.may_be_quiet
            && self.settings.blockers == BlockerPolicy::Wait
            && self.session.server().product == Product::Mariadb
            && tries <= QUIET_TRIES
    }

    /// Decides whether a try that others held up is followed by another one, and says who they are.
    pub(super) fn held_up(
        &mut self,
        migration: &SqlMigration,
        failed: Failed,
        tries: u32,
        waited: Duration,
    ) -> Result<(), ApplyError> {
        let (migration, by) = (migration.name.clone(), failed.by);
        if self.settings.blockers == BlockerPolicy::Show {
            return Err(ApplyError::Blocked { migration, by });
        }
        if waited >= self.settings.budget.max_wait {
            return Err(ApplyError::Busy { migration, tries, waited, by });
        }
        let why = failed.source.failure().map(|said| said.message.clone()).unwrap_or_default();
        self.told.tell(&Event::Retry { migration, tries, why, by: by.clone() });
        Ok(self.cancel(&by)?)
    }

    pub(super) fn is_recorded(&mut self, migration: &SqlMigration) -> Result<bool, DbError> {
        let sql = migration::recorded(self.session.backend(), &migration.version);
        self.session.query_bool(&sql)
    }

    pub(super) fn cancel(&mut self, by: &[Peer]) -> Result<(), DbError> {
        if self.settings.blockers != BlockerPolicy::Cancel {
            return Ok(());
        }
        self.watcher.cancel(self.told, by)
    }

    /// Waits while a long transaction holds a table: whoever queued behind it would hold up all
    /// that come later. Returns `false` where whoever listens wants to stop.
    fn wait_for_holders(
        &mut self,
        script: &Script<'_>,
        started: Instant,
        tries: u32,
    ) -> Result<bool, ApplyError> {
        /// How often the holders are asked for.
        const ASK: Duration = Duration::from_millis(100);
        let (Backend::Postgres, Some(locking)) = (self.session.backend(), &script.holds_up) else {
            return Ok(true);
        };
        let mut is_told = false;
        loop {
            let id = self.watcher.id().to_owned();
            let session = &mut self.watcher.session;
            let tables = locking.tables(session)?;
            let oids: Vec<&str> = tables.iter().map(|table| table.oid.as_str()).collect();
            let mut by = peers::holders(session, &oids, locking.harmless(), LONG, &id)?;
            by.retain(|peer| {
                !(self.ends_vacuums && peer.kind == PeerKind::Autovacuum { wraparound: false })
            });
            if by.is_empty() {
                return Ok(true);
            }
            let migration = script.migration.name.clone();
            if self.settings.blockers == BlockerPolicy::Show {
                return Err(ApplyError::Blocked { migration, by });
            }
            let waited = started.elapsed();
            if waited >= self.settings.budget.max_wait {
                return Err(ApplyError::Busy { migration, tries, waited, by });
            }
            if std::mem::replace(&mut is_told, true) {
                self.told.tell(&Event::Waiting);
            } else {
                self.told.tell(&Event::Held { migration, by: by.clone() });
            }
            self.cancel(&by)?;
            if self.told.stop.wait(ASK) {
                return Ok(false);
            }
        }
    }
}

/// Adds blockers that are not known yet.
pub(super) fn remember(known: &mut Vec<Peer>, seen: Vec<Peer>) {
    for blocker in seen {
        if !known.iter().any(|one| one.id == blocker.id) {
            known.push(blocker);
        }
    }
}
