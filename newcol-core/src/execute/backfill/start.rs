//! What a run begins with, where others hold the table: its reads are asked for again and again.
//!
//! Nothing is filled and nothing is held between two tries, so the limits are those of migrations,
//! and whoever stands in the way is named.

use std::time::Instant;

use super::{
    BackfillError, Event, Shared,
    job::{Job, Route},
};
use crate::{
    backend::Backend,
    db::{DbError, Failure, Session},
    execute::apply::{Budget, Patience, Watcher},
    ident::ColumnPath,
    keys::KeyTuple,
};

/// Does the first work of a run within limits of waiting; `None` where whoever listens wants to stop.
///
/// Who stands in the way is seen from another session, which is opened once somebody does.
pub(super) fn patiently<T>(
    session: &mut Session,
    column: &ColumnPath,
    budget: &Budget,
    shared: &Shared<'_>,
    mut work: impl FnMut(&mut Session) -> Result<T, BackfillError>,
) -> Result<Option<T>, BackfillError> {
    let started = Instant::now();
    let mut watcher: Option<Watcher> = None;
    let mut tries = 0;
    loop {
        tries += 1;
        limit(session, budget)?;
        let (done, by) = match &mut watcher {
            None => (work(session), Vec::new()),
            Some(watcher) => {
                let (done, seen) = watcher.during(Patience::Brief, || work(session));
                (done, seen.blockers)
            }
        };
        let said = match &done {
            Err(error) => error.failure().filter(|said| is_held_up(said)),
            Ok(_) => None,
        };
        let Some(why) = said.map(|said| said.message.clone()) else { return done.map(Some) };
        // Outside of a transaction there is nothing to take back.
        session.batch("ROLLBACK").ok();
        if watcher.is_none() {
            watcher = Some(Watcher::beside(session)?);
            continue;
        }
        let waited = started.elapsed();
        if waited >= budget.max_wait {
            return Err(BackfillError::Busy { column: column.clone(), tries, waited, by });
        }
        shared.tell(&Event::Held { tries, why, by });
        shared.rest(budget.rest(tries, fastrand::f64()));
        if shared.is_stopped() {
            return Ok(None);
        }
    }
}

/// Reads where a walk ends that goes by key.
pub(super) fn last(job: &Job, session: &mut Session) -> Result<Option<KeyTuple>, BackfillError> {
    match job.route {
        Route::Keys if !job.key.is_empty() => job.last_key(session),
        Route::Keys | Route::Blocks(_) => Ok(None),
    }
}

/// Lets a session wait so long for a lock, and no longer.
fn limit(session: &mut Session, budget: &Budget) -> Result<(), DbError> {
    let wait = budget.lock_timeout;
    match session.backend() {
        Backend::Postgres => {
            session.batch(&format!("SET lock_timeout = {}", wait.as_millis().max(1)))
        }
        Backend::Mysql => {
            let seconds = wait.as_secs_f64().ceil().max(1.0);
            session.batch(&format!(
                "SET SESSION lock_wait_timeout = {seconds}, SESSION innodb_lock_wait_timeout = {seconds}"
            ))
        }
        // A session of ours waits five seconds for whoever writes, and holds up nobody meanwhile.
        Backend::Sqlite => Ok(()),
    }
}

fn is_held_up(said: &Failure) -> bool {
    !said.lost && (said.is_lock_timeout() || said.is_deadlock())
}
