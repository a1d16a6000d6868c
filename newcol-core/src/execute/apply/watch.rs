//! Looks at a session from another one while it works: whom it waits for, and who waits for it.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{BlockerPolicy, Event, Told};
use crate::{
    backend::Backend,
    db::{DbError, Session},
    execute::{
        peers::{self, Peer, PeerKind},
        signal::Signal,
    },
};

/// How often a working session is looked at; ten times as rarely after some seconds.
pub const LOOKS: Duration = Duration::from_millis(25);

/// After so many looks they become rare.
const MANY: u32 = 100;

/// What was seen.
#[derive(Debug, Clone, Default)]
pub(in crate::execute) struct Seen {
    /// How long it waited for locks.
    pub(super) waited: Duration,
    /// For whom, at last.
    pub(in crate::execute) blockers: Vec<Peer>,
    /// How many waited for it at the same time, where the server tells.
    pub(super) blocked: Option<u32>,
    /// Whether it was cancelled rather than wait any longer.
    pub(super) is_left: bool,
}

/// A session beside the one that works.
pub(in crate::execute) struct Watcher {
    pub(super) session: Session,
    /// The session that works.
    id: String,
    /// Whether it was said why somebody is not ended.
    is_left_alone: bool,
}

/// What is done about a transaction that the concurrent build or drop of an index waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::execute) struct Meeting {
    pub(super) policy: BlockerPolicy,
    /// From this age on.
    pub(super) age: Duration,
}

/// What a statement may be told meanwhile.
#[derive(Clone, Copy)]
pub(in crate::execute) enum Patience<'a> {
    /// It is over in a moment.
    Brief,
    /// It may run for hours, tells how far it is and for whom it waits, and is cancelled by who wants
    /// to stop.
    Long {
        /// Who is told.
        told: &'a Told<'a>,
        /// The migration that it is of.
        migration: &'a str,
        /// What is done about transactions that it waits for (PostgreSQL).
        meeting: Option<Meeting>,
    },
}

impl Watcher {
    /// Opens a session beside another one.
    pub(in crate::execute) fn beside(session: &mut Session) -> Result<Self, DbError> {
        let id = id_of(session)?;
        Ok(Self { session: session.again()?, id, is_left_alone: false })
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

    /// Ends those that may be ended, and says once why others are left alone.
    pub(super) fn cancel(&mut self, told: &Told<'_>, by: &[Peer]) -> Result<(), DbError> {
        let ended = peers::cancel(&mut self.session, by)?;
        if !ended.is_empty() {
            told.tell(&Event::Cancelled { by: ended });
        }
        let why = by.iter().find_map(|peer| match peer.kind {
            PeerKind::Hidden => Some(
                "nobody is ended of whom this user sees nothing: that takes GRANT pg_read_all_stats",
            ),
            PeerKind::Suspect => Some(
                "nobody is ended, since the server does not tell who holds the table: that takes \
                 SELECT on performance_schema and its instrument wait/lock/metadata/sql/mdl, or \
                 MariaDB's plugin metadata_lock_info",
            ),
            PeerKind::Client
            | PeerKind::Autovacuum { .. }
            | PeerKind::Replication
            | PeerKind::Prepared => None,
        });
        if let Some(why) = why
            && !std::mem::replace(&mut self.is_left_alone, true)
        {
            told.tell(&Event::Note(why.to_owned()));
        }
        Ok(())
    }

    /// Does the work, and looks at it.
    pub(in crate::execute) fn during<T>(
        &mut self,
        patience: Patience<'_>,
        work: impl FnOnce() -> T,
    ) -> (T, Seen) {
        if self.session.backend() == Backend::Sqlite {
            return (work(), Seen::default());
        }
        let over = Signal::default();
        thread::scope(|scope| {
            let watching = scope.spawn(|| self.watch(patience, &over));
            let done = {
                let _over = RaisedAtEnd(&over);
                work()
            };
            let seen = watching.join();
            (done, seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }

    fn watch(&mut self, patience: Patience<'_>, over: &Signal) -> Seen {
        let mut seen = Seen::default();
        let mut looks = 0;
        let mut last = Instant::now();
        let mut named = Vec::new();
        while !over.wait(if looks < MANY { LOOKS } else { LOOKS * 10 }) {
            looks += 1;
            let since = std::mem::replace(&mut last, Instant::now()).elapsed();
            // Whoever only looks must not stop the work.
            let blockers = self.blockers().unwrap_or_default();
            if let Patience::Long { told, migration, meeting } = patience {
                self.tell(told, migration, &blockers, &mut named);
                if let Some(meeting) = meeting {
                    seen.is_left |= self.meet(told, meeting, &blockers).unwrap_or_default();
                }
                if told.is_stopped() || seen.is_left {
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

    /// Does as wished with old transactions that the session waits for. Returns whether it is to leave
    /// because of them.
    ///
    /// Who holds a lock on the table may build an index too, and is left alone.
    fn meet(
        &mut self,
        told: &Told<'_>,
        meeting: Meeting,
        blockers: &[Peer],
    ) -> Result<bool, DbError> {
        let is_old = |peer: &&Peer| peer.age.is_some_and(|age| age >= meeting.age);
        let old: Vec<Peer> = blockers.iter().filter(is_old).cloned().collect();
        if old.is_empty() || meeting.policy == BlockerPolicy::Wait {
            return Ok(false);
        }
        let for_transactions = format!(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks \
             WHERE pid = {} AND NOT granted AND locktype = 'virtualxid')",
            self.id
        );
        if !self.session.query_bool(&for_transactions)? {
            return Ok(false);
        }
        if meeting.policy == BlockerPolicy::Show {
            return Ok(true);
        }
        self.cancel(told, &old)?;
        Ok(false)
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
