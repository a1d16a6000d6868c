//! The times between snapshots, and on which side of the column they lie.

use crate::watch::store::{Store, StoreError, Stored, StoredGap};

/// Before the column came, since it is there, or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Before,
    After,
}

/// Returns the times between the snapshots of the last epoch.
pub(in crate::watch) fn intervals_of(store: &mut Store) -> Result<Vec<Interval>, StoreError> {
    let all = store.snapshots()?;
    let Some(last) = all.last() else { return Ok(Vec::new()) };
    let snapshots: Vec<&Stored> = all.iter().filter(|s| s.epoch == last.epoch).collect();
    Ok(intervals(&snapshots, &store.gaps()?))
}

/// The time between two snapshots.
#[derive(Debug)]
pub(in crate::watch) struct Interval {
    /// Numbers of the two snapshots.
    pub(in crate::watch) ends: (i64, i64),
    pub(in crate::watch) span: (f64, f64),
    /// `None` where the column came in it, or nothing can be said of it.
    pub(super) side: Option<Side>,
    /// Whether something can be said of it.
    pub(super) is_whole: bool,
}

impl Interval {
    pub(in crate::watch) fn seconds(&self) -> f64 {
        self.span.1 - self.span.0
    }

    /// Reports whether the column was there all the time, and something can be said of it.
    pub(in crate::watch) fn is_after(&self) -> bool {
        self.side == Some(Side::After)
    }
}

pub(super) fn intervals(snapshots: &[&Stored], gaps: &[StoredGap]) -> Vec<Interval> {
    let current = snapshots.last().and_then(|last| last.identity.column);
    let interval = |two: &[&Stored]| {
        let [from, to] = two else { return None };
        let is_hidden = gaps.iter().any(|found| {
            found.snapshot == to.id && found.statement.is_none() && found.gap.hides_all()
        });
        let is_whole = from.has_statements && to.has_statements && !is_hidden;
        let is_there = |s: &Stored| current.is_some() && s.identity.column == current;
        let side = match (is_there(from), is_there(to)) {
            (false, false) => Some(Side::Before),
            (true, true) => Some(Side::After),
            _ => None,
        };
        Some(Interval {
            ends: (from.id, to.id),
            span: (from.taken.server, to.taken.server),
            side: side.filter(|_| is_whole),
            is_whole,
        })
    };
    snapshots.windows(2).filter_map(interval).collect()
}
