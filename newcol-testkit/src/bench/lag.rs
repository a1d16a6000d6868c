//! How far a standby is behind.

use std::time::Instant;

use newcol_core::{
    bench::{
        load::PhaseLoad,
        replica::{Look as Seen, Replica},
    },
    db::{DatabaseUrl, DbError, Session},
};

use super::{arena::open, counters::numbers, looks::Look};

/// Looks how far the primary has written, and how far the standby has replayed.
pub(super) struct Lagging {
    primary: Session,
    standby: Session,
    looks: Vec<(Instant, f64, f64)>,
    is_lost: bool,
}

impl Lagging {
    /// Gets ready to look.
    pub(super) fn at(primary: &DatabaseUrl, standby: &DatabaseUrl) -> Result<Self, DbError> {
        let (primary, standby) = (open(primary)?, open(standby)?);
        Ok(Self { primary, standby, looks: Vec::new(), is_lost: false })
    }

    /// Returns what was seen since a moment; `None` where the standby was lost meanwhile.
    pub(super) fn seen(&self, origin: Instant, phases: &[PhaseLoad]) -> Option<Replica> {
        let look = |(at, written, replayed): &(Instant, f64, f64)| {
            let at = at.checked_duration_since(origin)?.as_secs_f64();
            Some(Seen { at, written: *written, replayed: *replayed })
        };
        let looks: Vec<Seen> = self.looks.iter().filter_map(look).collect();
        (!self.is_lost).then(|| Replica::of(&looks, phases))
    }

    fn both(&mut self) -> Option<(f64, f64)> {
        let one = |session: &mut Session, place: &str| {
            let sql = format!("SELECT pg_wal_lsn_diff({place}, '0/0')");
            numbers(session, &sql).ok()?.first().copied()
        };
        // What is not flushed is not sent.
        let written = one(&mut self.primary, "pg_current_wal_flush_lsn()")?;
        Some((written, one(&mut self.standby, "pg_last_wal_replay_lsn()")?))
    }
}

impl Look for Lagging {
    fn look(&mut self) -> Option<()> {
        let at = Instant::now();
        let both = self.both();
        self.is_lost = both.is_none();
        let (written, replayed) = both?;
        self.looks.push((at, written, replayed));
        Some(())
    }
}
