//! Who waits for locks.

use newcol_core::{
    backend::Backend,
    bench::run::Waits,
    db::{DatabaseUrl, DbError, Session},
};

use super::{arena::open, drive, fill, looks::Look};

/// Of whoever waits: whom for, and what that one does.
const POSTGRES: &str = "SELECT w.pid, b.application_name, left(b.query, 80) \
    FROM pg_stat_activity AS w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS p (pid) \
    JOIN pg_stat_activity AS b ON b.pid = p.pid \
    WHERE w.datname = current_database() AND w.wait_event_type = 'Lock'";

/// Looks who waits.
pub(super) struct Waiting {
    session: Session,
    /// What was seen; `None` where looking failed, which harms nobody.
    pub(super) seen: Option<Waits>,
}

impl Waiting {
    /// Gets ready to look; `None` where the engine does not tell.
    pub(super) fn at(url: &DatabaseUrl) -> Result<Option<Self>, DbError> {
        if url.backend() != Backend::Postgres {
            return Ok(None);
        }
        Ok(Some(Self { session: open(url)?, seen: Some(Waits::default()) }))
    }
}

impl Look for Waiting {
    fn look(&mut self) -> Option<()> {
        let mut seen = self.seen.take()?;
        let rows = self.session.query(POSTGRES).ok()?;
        seen.looks += 1;
        seen.seen += u64::from(!rows.is_empty());
        let mut waiting: Vec<_> = rows.iter().map(|row| row.first()).collect();
        waiting.dedup();
        seen.most = seen.most.max(waiting.len() as u64);
        for row in rows {
            let mut values = row.into_iter().skip(1).map(Option::unwrap_or_default);
            let (name, query) = (values.next()?, values.next()?);
            *seen.blockers.entry(blocker(&name, &query)).or_default() += 1;
        }
        self.seen = Some(seen);
        Some(())
    }
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
