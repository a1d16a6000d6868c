//! Sessions that are known to be one of the server's own.
//!
//! A pooler in transaction mode gives each transaction to any of its connections: what a session
//! sets (that it only reads, that triggers rest, a lock that it holds) then reaches whoever comes
//! next, and the application's writes fail.

use super::{Access, DatabaseUrl, DbError, OpenOptions, Session};
use crate::{backend::Backend, render::text::exact_literal};

const PID: &str = "SELECT pg_backend_pid()";

/// Which of two transactions ends first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    One,
    Two,
}

impl Session {
    /// As [`Session::open`], and refuses a pooler in transaction mode before anything is set
    /// (PostgreSQL). Opens a second session for a moment.
    ///
    /// # Errors
    ///
    /// [`DbError::Pooler`] where sessions are shared, and where there is no session.
    pub fn open_direct(url: &DatabaseUrl, options: &OpenOptions) -> Result<Self, DbError> {
        if url.backend() != Backend::Postgres {
            return Self::open(url, options);
        }
        // Even what a session that reads sets of itself would reach others.
        let plain = OpenOptions { access: Access::Write, ..options.clone() };
        let mut session = Self::open(url, &plain)?;
        if is_shared(&mut session, &mut Self::open(url, &plain)?)? {
            return Err(DbError::Pooler { url: url.clone() });
        }
        if options.access == Access::Read {
            session.batch(super::READING)?;
            session.options.access = Access::Read;
        }
        Ok(session)
    }
}

/// Reports whether two sessions are less than two of the server's, or change theirs.
fn is_shared(one: &mut Session, two: &mut Session) -> Result<bool, DbError> {
    const MARK: &str = "SELECT coalesce(current_setting('newcol.session', true), '')";
    let pid = one.value(PID)?;
    let mark = exact_literal(Backend::Postgres, pid.as_deref().unwrap_or_default());
    one.query(&format!("SELECT set_config('newcol.session', {mark}, false)"))?;
    two.batch("BEGIN")?;
    let is_shared = two.value(MARK)? == pid || one.value(PID)? != pid || one.value(MARK)? != pid;
    two.batch("COMMIT")?;
    // Pools hand out what came back last, or what has rested longest: one of the two is seen.
    Ok(is_shared || changes(one, two, First::One)? || changes(one, two, First::Two)?)
}

/// Reports whether a session has another process of the server after both were busy.
fn changes(one: &mut Session, two: &mut Session, first: First) -> Result<bool, DbError> {
    one.batch("BEGIN")?;
    let before = one.value(PID)?;
    two.batch("BEGIN")?;
    let (first, second) = match first {
        First::One => (&mut *one, two),
        First::Two => (two, &mut *one),
    };
    first.batch("COMMIT")?;
    second.batch("COMMIT")?;
    Ok(one.value(PID)? != before)
}
