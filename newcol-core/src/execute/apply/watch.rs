//! Looks at a session from another one while it works: whom it waits for, and who waits for it.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{Event, Told};
use crate::{
    backend::Backend,
    db::{DbError, Session},
    execute::{
        peers::{self, Peer},
        signal::Signal,
    },
};

/// How often a working session is looked at; ten times as rarely after some seconds.
pub const LOOKS: Duration = Duration::from_millis(25);

/// After so many looks they become rare.
const MANY: u32 = 100;

/// What was seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// How long it waited for locks.
    pub(super) waited: Duration,
    /// For whom, at last.
    pub(super) blockers: Vec<Peer>,
    /// How many waited for it at the same time, where the server tells.
    pub(super) blocked: Option<u32>,
}

/// A session beside the one that works.
pub(super) struct Watcher {
    pub(super) session: Session,
    /// The session that works.
    id: String,
}

/// What a statement may be told meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience<'a> {
    /// It is over in a moment.
    Brief,
    /// It may run for hours, tells how far it is and for whom it waits, and is cancelled by who wants
    /// to stop.
    Long {
        /// The migration that it is of.
        migration: &'a str,
    },
}

impl Watcher {
    /// Opens a session beside another one.
    pub(super) fn beside(session: &mut Session) -> Result<Self, DbError> {
        let id = id_of(session)?;
        Ok(Self { session: session.again()?, id })
    }

    /// Watches another session from now on.
    pub(super) fn turn_to(&mut self, session: &mut Session) -> Result<(), DbError> {
        self.id = id_of(session)?;
        Ok(())
    }

    /// Returns the session that works.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Does the work, and looks at it.
    pub(super) fn during<T>(
        &mut self,
        told: &Told<'_>,
        patience: Patience<'_>,
        work: impl FnOnce() -> T,
    ) -> (T, Seen) {
        if self.session.backend() == Backend::Sqlite {
            return (work(), Seen::default());
        }
        let over = Signal::default();
        thread::scope(|scope| {
            let watching = scope.spawn(|| self.watch(told, patience, &over));
            let done = {
                let _over = RaisedAtEnd(&over);
                work()
            };
            let seen = watching.join();
            (done, seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }

    fn watch(&mut self, told: &Told<'_>, patience: Patience<'_>, over: &Signal) -> Seen {
        let mut seen = Seen::default();
        let mut looks = 0;
        let mut last = Instant::now();
        let mut named = Vec::new();
        while !over.wait(if looks < MANY { LOOKS } else { LOOKS * 10 }) {
            looks += 1;
            let since = std::mem::replace(&mut last, Instant::now()).elapsed();
            // Whoever only looks must not stop the work.
            let blockers = self.blockers().unwrap_or_default();
            if let Patience::Long { migration } = patience {
                self.tell(told, migration, &blockers, &mut named);
                if told.is_stopped() {
                    self.interrupt().ok();
                }
            }
            if !blockers.is_empty() {
                seen.waited += since;
                seen.blockers = blockers;
            }
            let blocked = peers::waiting_for(&mut self.session, &self.id).unwrap_or_default();
            seen.blocked = seen.blocked.max(blocked);
        }
        seen
    }

    /// Tells how far the work is, or else for whom it waits, each time others are in the way.
    fn tell(
        &mut self,
        told: &Told<'_>,
        migration: &str,
        blockers: &[Peer],
        named: &mut Vec<String>,
    ) {
        if let Ok(Some(progress)) = self.progress() {
            told.tell(&progress);
            return;
        }
        let mut ids: Vec<String> = blockers.iter().map(|one| one.id.clone()).collect();
        ids.sort();
        if ids.is_empty() || ids == *named {
            told.tell(&Event::Waiting);
        } else {
            *named = ids;
            let (migration, by) = (migration.to_owned(), blockers.to_vec());
            told.tell(&Event::Held { migration, by });
        }
    }

    /// Returns for whom the session waits now.
    fn blockers(&mut self) -> Result<Vec<Peer>, DbError> {
        let id = self.id.clone();
        match self.session.backend() {
            Backend::Postgres => peers::of(&mut self.session, &id),
            Backend::Mysql => {
                let sql = format!(
                    "SELECT count(*) FROM information_schema.processlist \
                     WHERE id = {id} AND state LIKE 'Waiting for%lock'"
                );
                if self.session.query_bool(&sql)? {
                    peers::of(&mut self.session, &id)
                } else {
                    Ok(Vec::new())
                }
            }
            Backend::Sqlite => Ok(Vec::new()),
        }
    }

    /// Cancels what the session does.
    fn interrupt(&mut self) -> Result<(), DbError> {
        let id = &self.id;
        let sql = match self.session.backend() {
            Backend::Postgres => format!("SELECT pg_cancel_backend({id})"),
            Backend::Mysql => format!("KILL QUERY {id}"),
            Backend::Sqlite => return Ok(()),
        };
        self.session.query(&sql).map(drop)
    }

    /// Reads how far the build of an index is (PostgreSQL).
    fn progress(&mut self) -> Result<Option<Event>, DbError> {
        if self.session.backend() != Backend::Postgres {
            return Ok(None);
        }
        let sql = format!(
            "SELECT phase, \
             CASE WHEN lockers_total > 0 AND phase LIKE 'waiting%' THEN lockers_done::float8 / lockers_total \
               WHEN tuples_total > 0 AND phase LIKE '%loading%' THEN tuples_done::float8 / tuples_total \
               WHEN blocks_total > 0 THEN blocks_done::float8 / blocks_total END, \
             current_locker_pid FROM pg_catalog.pg_stat_progress_create_index WHERE pid = {}",
            self.id
        );
        let Some(row) = self.session.query(&sql)?.into_iter().next() else { return Ok(None) };
        let mut values = row.into_iter();
        let mut next = || values.next().flatten();
        let (phase, done, locker) = (next().unwrap_or_default(), next(), next());
        let waits_for = match locker.filter(|pid| pid != "0") {
            Some(pid) => peers::session_of(&mut self.session, &pid)?,
            None => None,
        };
        let done = done.and_then(|done| done.parse::<f64>().ok());
        Ok(Some(Event::Building { phase, done, waits_for }))
    }
}

/// Ends the watch also where the work panics.
struct RaisedAtEnd<'a>(&'a Signal);

impl Drop for RaisedAtEnd<'_> {
    fn drop(&mut self) {
        self.0.raise();
    }
}

fn id_of(session: &mut Session) -> Result<String, DbError> {
    let sql = match session.backend() {
        Backend::Postgres => "SELECT pg_backend_pid()",
        Backend::Mysql => "SELECT connection_id()",
        Backend::Sqlite => return Ok(String::new()),
    };
    Ok(session.value(sql)?.unwrap_or_default())
}
