//! Who waits for locks, looked at 20 times a second.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use newcol_core::{
    backend::Backend,
    bench::run::Waits,
    db::{DatabaseUrl, DbError, Session},
};

use super::{arena::open, drive, fill};

const EVERY: Duration = Duration::from_millis(50);

/// Of whoever waits: whom for, and what that one does.
const POSTGRES: &str = "SELECT w.pid, b.application_name, left(b.query, 80) \
    FROM pg_stat_activity AS w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS p (pid) \
    JOIN pg_stat_activity AS b ON b.pid = p.pid \
    WHERE w.datname = current_database() AND w.wait_event_type = 'Lock'";

/// Looks while `work` is done; `None` where the engine does not tell.
pub(super) fn during<T>(
    url: &DatabaseUrl,
    work: impl FnOnce() -> T,
) -> Result<(Option<Waits>, T), DbError> {
    if url.backend() != Backend::Postgres {
        return Ok((None, work()));
    }
    let session = open(url)?;
    let ended = Ended::default();
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| look(session, &ended));
        let end = EndOnDrop(&ended);
        let done = work();
        drop(end);
        let waits = looking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((waits, done))
    })
}

#[derive(Default)]
struct Ended(Mutex<bool>, Condvar);

struct EndOnDrop<'a>(&'a Ended);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }
}

impl Ended {
    /// Waits for the next look; returns whether there is one.
    fn wait(&self) -> bool {
        let ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = self.1.wait_timeout_while(ended, EVERY, |ended| !*ended);
        !*ended.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Returns what was seen; `None` where looking failed, which harms nobody.
fn look(mut session: Session, ended: &Ended) -> Option<Waits> {
    let mut waits = Waits::default();
    while ended.wait() {
        let rows = session.query(POSTGRES).ok()?;
        waits.looks += 1;
        waits.seen += u64::from(!rows.is_empty());
        let mut waiting: Vec<_> = rows.iter().map(|row| row.first()).collect();
        waiting.dedup();
        waits.most = waits.most.max(waiting.len() as u64);
        for row in rows {
            let mut values = row.into_iter().skip(1).map(Option::unwrap_or_default);
            let (name, query) = (values.next()?, values.next()?);
            *waits.blockers.entry(blocker(&name, &query)).or_default() += 1;
        }
    }
    Some(waits)
}

/// Names who is waited for.
fn blocker(name: &str, query: &str) -> String {
    let verb = query.split_whitespace().next().unwrap_or("nothing").to_ascii_uppercase();
    match name {
        drive::SESSIONS => format!("another user: {verb}"),
        fill::SESSIONS => format!("the backfill: {verb}"),
        _ => format!("the index build: {verb}"),
    }
}
