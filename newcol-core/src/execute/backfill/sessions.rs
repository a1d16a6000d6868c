//! What the sessions of a job are set to, and what their failures mean.

use std::time::Duration;

use super::{BackfillError, Event, Shared};
use crate::{
    backend::Backend,
    db::{DbError, Failure, Session},
    execute::{
        pace::{Observation, Outcome},
        side_effects::Care,
    },
    render::care,
};

/// How often a batch is tried that others hold up or the server cancels.
const TRIES: u32 = 40;

/// How often a lost connection is made anew, with waits that double up to two seconds: long enough
/// for a server that restarts.
const CONNECTS: u32 = 12;

/// How often a connection may be lost without a batch in between: more often than a failover or
/// two, the batch may be what ends it.
const LOSSES: u32 = 10;

/// How long a worker waits for others, or before it connects anew.
pub(super) const NAP: Duration = Duration::from_millis(50);

/// Makes the settings of a session that fills.
pub(super) fn ready_to_fill(session: &mut Session, care: &Care) -> Result<(), DbError> {
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
    care.session.iter().try_for_each(|sql| session.batch(sql.as_str()))
}

/// Makes the settings of a session that only looks: all answers of a transaction are of one moment,
/// and rows that a policy hides are an error, because nobody could say anything of them.
pub(super) fn ready_to_look(session: &mut Session) -> Result<(), DbError> {
    match session.backend() {
        Backend::Postgres => {
            session.batch(
                "SET lock_timeout = '100ms'; SET idle_in_transaction_session_timeout = '60s'",
            )?;
            session.batch(care::no_row_is_hidden().as_str())
        }
        Backend::Mysql => session.batch(
            "SET SESSION lock_wait_timeout = 1; \
             SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        ),
        Backend::Sqlite => Ok(()),
    }
}

/// Opens a session in the place of one whose connection is lost by an error, and makes it ready, also
/// where the new one is lost at once: servers start and stop.
pub(super) fn reconnect(
    session: &Session,
    lost: DbError,
    shared: &Shared<'_>,
    ready: &dyn Fn(&mut Session) -> Result<(), DbError>,
) -> Result<Session, BackfillError> {
    let mut wait = NAP;
    for tries in 1..=CONNECTS {
        shared.tell(&Event::Connecting { tries });
        shared.rest(wait);
        wait = (wait * 2).min(Duration::from_secs(2));
        if shared.is_stopped() {
            break;
        }
        let Ok(mut session) = session.again() else { continue };
        match ready(&mut session) {
            Ok(()) => return Ok(session),
            Err(error) if is_lost(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(BackfillError::Gone { source: Box::new(lost) })
}

/// Reports whether the connection is gone.
fn is_lost(error: &DbError) -> bool {
    error.failure().is_some_and(|failure| failure.lost)
}

/// What helps after a failed transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The connection is gone.
    Connect,
    /// It did nothing, and may go well the next time.
    Repeat,
    /// Nothing.
    GiveUp,
}

/// Ends a failed transaction, and says what helps after so many tries.
pub(super) fn remedy(session: &mut Session, failure: &Failure, tries: u32) -> Remedy {
    // A killed session may say first that its statement was.
    let is_gone = failure.lost || session.batch("ROLLBACK").is_err_and(|error| is_lost(&error));
    match is_gone {
        true if tries > LOSSES => Remedy::GiveUp,
        true => Remedy::Connect,
        false if is_passing(failure) && tries < TRIES => Remedy::Repeat,
        false => Remedy::GiveUp,
    }
}

/// What a pace learns from a transaction that others held up.
pub(super) const CONFLICT: Observation = Observation {
    outcome: Outcome::Conflict,
    statement: Duration::ZERO,
    commit: Duration::ZERO,
    wal: None,
    waiters: 0,
};

/// Reports whether others held a transaction up, or the server cancelled it.
fn is_passing(failure: &Failure) -> bool {
    failure.is_lock_timeout()
        || failure.is_deadlock()
        || matches!(failure.sqlstate.as_deref(), Some("57014" | "40001"))
        || matches!(failure.errno, Some(1317 | 1969 | 3024))
}

/// Asks for how long the oldest snapshot of another session has kept dead rows alive (PostgreSQL);
/// `None` without one, or where the role may not see it.
///
/// Those of other databases and of a VACUUM keep no rows of ours.
pub(super) fn horizon(session: &mut Session) -> Option<Duration> {
    if session.backend() != Backend::Postgres {
        return None;
    }
    let sql = "SELECT (1000 * extract(epoch FROM max(clock_timestamp() - xact_start)))::bigint \
         FROM pg_catalog.pg_stat_activity \
         WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() \
           AND datname = current_database() \
           AND pid NOT IN (SELECT pid FROM pg_catalog.pg_stat_progress_vacuum)";
    session.value(sql).ok().flatten()?.parse().ok().map(Duration::from_millis)
}

/// Counts the sessions that wait for rows of the transaction that is under way (PostgreSQL).
pub(super) fn waiters(session: &mut Session) -> Result<u32, DbError> {
    if session.backend() != Backend::Postgres {
        return Ok(0);
    }
    let count = session.value(
        "SELECT count(*) FROM pg_catalog.pg_locks waits \
         JOIN pg_catalog.pg_locks holds USING (locktype, transactionid) \
         WHERE locktype = 'transactionid' AND NOT waits.granted \
           AND holds.granted AND holds.pid = pg_backend_pid()",
    )?;
    Ok(count.and_then(|text| text.parse().ok()).unwrap_or_default())
}
