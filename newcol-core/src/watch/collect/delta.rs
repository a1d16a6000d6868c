//! What happened between two snapshots.

use std::collections::{BTreeMap, BTreeSet};

use crate::watch::{
    identity::Gap,
    moments::{Change, Cumulative, Moments, change},
    series::{QueryId, Window},
    snapshot::{Counters, Snapshot, is_mortal},
    store::{Known, Last},
};

/// Returns what counters hold, per statement, since the server began to count.
pub(super) fn history(now: &[Counters], snapshot: &Snapshot) -> BTreeMap<QueryId, Window> {
    let mut windows = BTreeMap::new();
    let begun = snapshot.identity.stats_reset.unwrap_or(snapshot.identity.started);
    for counters in now {
        if let Change::Ran(moments) = change(&Cumulative::NONE, &counters.times) {
            let from = counters.since.unwrap_or(begun);
            let span = (from, snapshot.taken.server);
            add(&mut windows, counters.id, span, moments, (counters, None));
        }
    }
    windows
}

/// What happened between two snapshots.
#[derive(Debug, Default)]
pub(super) struct Delta {
    pub(super) windows: BTreeMap<QueryId, Window>,
    /// Statements whose counters began anew or have gone.
    pub(super) restarted: BTreeSet<QueryId>,
}

impl Delta {
    pub(super) fn between(
        last: &Last,
        snapshot: &Snapshot,
        statements: &BTreeMap<QueryId, Known>,
    ) -> Self {
        let mut delta = Self::default();
        let span = (last.stored.taken.server, snapshot.taken.server);
        let now = snapshot.statements.as_deref().unwrap_or_default();
        // What was hidden is not new when it comes to light.
        let saw_all = last.stored.hidden <= snapshot.hidden;
        let mut seen = BTreeSet::new();
        for counters in now {
            if !statements.get(&counters.id).is_none_or(|known| known.track.is_kept()) {
                continue;
            }
            let key = (counters.id, counters.caller.clone(), counters.is_top);
            let before = last.counters.get(&key);
            seen.insert(key);
            let is_new = counters.since.map_or(saw_all, |since| since >= span.0);
            let (from, is_same) = match before {
                Some(before) => {
                    let apart = |(a, b): (f64, f64)| (a - b).abs() > 1e-3;
                    (&before.times, !before.since.zip(counters.since).is_some_and(apart))
                }
                None if is_new => (&Cumulative::NONE, true),
                None => continue,
            };
            // As many calls as before, in another time: of another life.
            let is_same = is_same
                && !(from.calls == counters.times.calls
                    && from.total_ms != counters.times.total_ms);
            match change(from, &counters.times) {
                Change::Ran(moments) if is_same => {
                    add(&mut delta.windows, counters.id, span, moments, (counters, before));
                }
                Change::Idle if is_same => {}
                Change::Ran(_) | Change::Idle | Change::Reset => {
                    delta.restarted.insert(counters.id);
                }
            }
        }
        let gone = last.counters.keys().filter(|key| !seen.contains(*key));
        // With a process goes what it has measured; those that stay say enough of the times.
        let gone = gone.filter(|(_, caller, _)| !is_mortal(caller)).map(|(id, ..)| *id);
        delta.restarted.extend(gone);
        // A part of what it did is lost.
        delta.windows.retain(|id, _| !delta.restarted.contains(id));
        delta
    }

    /// Says what has happened to digests, which are never thrown out: who truncates them says nothing.
    pub(super) fn truncated(&self, known: &[Gap]) -> Option<Gap> {
        let is_known = known.contains(&Gap::StatsReset);
        (!self.restarted.is_empty() && !is_known).then_some(Gap::StatsReset)
    }

    /// Says what has happened to counters that the server does not explain (13).
    pub(super) fn guessed(&self, last: &Last) -> Option<Gap> {
        let ids: BTreeSet<QueryId> = last.counters.keys().map(|(id, ..)| *id).collect();
        if self.restarted.is_empty() {
            None
        } else if ids.iter().all(|id| self.restarted.contains(id)) {
            Some(Gap::StatsReset)
        } else {
            Some(Gap::Evicted { times: None })
        }
    }
}

/// Adds what one caller did to what the statement did.
fn add(
    windows: &mut BTreeMap<QueryId, Window>,
    id: QueryId,
    (from, to): (f64, f64),
    moments: Moments,
    (after, before): (&Counters, Option<&Counters>),
) {
    let rows = after.rows.saturating_sub(before.map_or(0, |before| before.rows));
    let blocks = after.blocks.saturating_sub(before.map_or(0, |before| before.blocks));
    let old_wal = before.map_or(Some(0), |before| before.wal_bytes);
    let wal = after.wal_bytes.zip(old_wal).map(|(after, before)| after.saturating_sub(before));
    let total = |moments: &Moments| moments.mean_ms * moments.calls as f64;
    match windows.entry(id) {
        std::collections::btree_map::Entry::Vacant(entry) => {
            entry.insert(Window {
                from,
                to,
                calls: moments.calls,
                total_ms: total(&moments),
                sd_ms: moments.sd_ms,
                rows,
                blocks,
                wal_bytes: wal,
            });
        }
        std::collections::btree_map::Entry::Occupied(mut entry) => {
            let window = entry.get_mut();
            let so_far = Moments {
                calls: window.calls,
                mean_ms: window.mean_ms().unwrap_or_default(),
                sd_ms: window.sd_ms,
            };
            let both = so_far.merge(moments);
            window.from = window.from.min(from);
            window.calls = both.calls;
            window.total_ms = total(&both);
            window.sd_ms = both.sd_ms;
            window.rows += rows;
            window.blocks += blocks;
            window.wal_bytes = window.wal_bytes.zip(wal).map(|(a, b)| a + b);
        }
    }
}
