//! What somebody should look at now: from the last snapshots to alerts. Pure.
//!
//! | alert | said when |
//! |---|---|
//! | `slower` | a statement on the table takes 20 % more than before, against the controls, in two windows one after the other, each with p ≤ 0.05 |
//! | `log` | statements that write the table log 25 % more a row than before, in two windows |
//! | `hot` | 15 points fewer of the updates are HOT than before, in two windows |
//! | `invalid-index` | an index is not valid for more than 10 minutes |
//! | `unused-index` | the column's index was not used for a day in which statements ran that look for the column |
//! | `replica-lag` | a replica is more than 10 s behind |
//! | `slot` | a replication slot holds more log than is reserved |
//! | `dead-rows` | more than 20 % as many rows are dead as alive |
//! | `lock-wait` | somebody waits for a lock on the table for more than a second |
//! | `stuck-build` | the build of an index waits for the same session for more than a minute |
//! | `old-snapshot` | a transaction holds a snapshot for more than 5 minutes, so nothing can be cleaned up |
//! | `coverage` | less than 90 % of the time of all statements can be followed, since some were thrown out |

mod effect;

#[cfg(test)]
mod tests;

use std::fmt;

use super::{
    gate::COVERAGE,
    history::{History, Moment},
    identity::Gap,
    series::{QueryId, Role},
};

/// Growth of the log of a row that is said.
const LOG: f64 = 0.25;
/// Share of HOT updates that may be lost.
const HOT: f64 = 0.15;
/// Seconds for which an index may be invalid: its build, and whoever looks at it.
const INVALID: f64 = 600.0;
/// Seconds for which an index may be unused.
const UNUSED: f64 = 86_400.0;
/// Seconds that a replica may be behind.
const LAG: f64 = 10.0;
/// Dead rows to living ones.
const DEAD: f64 = 0.2;
/// Dead rows that a small table may have.
const FEW_DEAD: f64 = 1000.0;
/// Seconds that somebody may wait for a lock.
const LOCK: f64 = 1.0;
/// Seconds that a build may wait for the same session.
const STUCK: f64 = 60.0;
/// Seconds that a snapshot may be held.
const SNAPSHOT: f64 = 300.0;
/// Updates below which their share of HOT ones is chance.
const FEW_UPDATES: f64 = 100.0;
/// Rows below which the log of one is chance.
const FEW_ROWS: u64 = 100;

/// Something to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its name in files and metrics.
    pub name: &'static str,
    /// What it is of: an index, or nothing.
    pub object: String,
    /// The statement, if it is of one.
    pub statement: Option<QueryId>,
    /// What was seen.
    pub value: f64,
    /// Beyond what it is said.
    pub threshold: f64,
    /// Where the number comes from.
    pub source: &'static str,
    /// What is so, as a sentence.
    pub sentence: String,
}

/// Every alert's name.
pub const NAMES: [&str; 12] = [
    "slower",
    "log",
    "hot",
    "invalid-index",
    "unused-index",
    "replica-lag",
    "slot",
    "dead-rows",
    "lock-wait",
    "stuck-build",
    "old-snapshot",
    "coverage",
];

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.sentence, self.source)
    }
}

/// Says what somebody should look at, as of the last snapshot.
pub fn alerts(history: &History) -> Vec<Alert> {
    let Some(last) = history.moments.last() else { return Vec::new() };
    let mut all = effect::slower(history);
    all.extend(log(history));
    all.extend(hot(history));
    all.extend(last.indexes().filter_map(|index| invalid(history, index)));
    all.extend(last.indexes().filter_map(|index| unused(history, index)));
    all.extend(states(last));
    all.extend(stuck(history));
    all.extend(coverage(last));
    all
}

fn alert(
    name: &'static str,
    (value, threshold): (f64, f64),
    source: &'static str,
    sentence: String,
) -> Alert {
    Alert { name, object: String::new(), statement: None, value, threshold, source, sentence }
}

/// What the last snapshot alone shows.
fn states(last: &Moment) -> Vec<Alert> {
    let above = |name: &str, limit: f64| last.measure("", name).filter(|value| *value > limit);
    let mut all = Vec::new();
    if let Some(lag) = above("replica_lag_s", LAG) {
        let sentence = format!("a replica is {lag:.0} s behind");
        all.push(alert("replica-lag", (lag, LAG), "pg_stat_replication.replay_lag", sentence));
    }
    if let Some(slots) = above("slots_not_reserved", 0.0) {
        let sentence = format!(
            "{slots:.0} replication slots hold more log than is reserved: they may be given up"
        );
        all.push(alert("slot", (slots, 0.0), "pg_replication_slots.wal_status", sentence));
    }
    if let Some(seconds) = above("lock_wait_s", LOCK) {
        let sentence = format!("somebody waits for a lock on the table for {seconds:.0} s");
        all.push(alert("lock-wait", (seconds, LOCK), "pg_locks", sentence));
    }
    if let Some(seconds) = above("oldest_snapshot_s", SNAPSHOT) {
        let sentence = format!(
            "a transaction holds its snapshot for {:.0} minutes: dead rows are not cleaned up, and updates cannot be HOT for long",
            seconds / 60.0
        );
        all.push(alert(
            "old-snapshot",
            (seconds, SNAPSHOT),
            "pg_stat_activity.backend_xmin",
            sentence,
        ));
    }
    if let Some((dead, live)) = above("n_dead_tup", FEW_DEAD).zip(last.measure("", "n_live_tup"))
        && dead > live * DEAD
    {
        let share = if live > 0.0 { dead / live } else { f64::INFINITY };
        let sentence = format!("{dead:.0} rows are dead and {live:.0} alive");
        all.push(alert("dead-rows", (share, DEAD), "pg_stat_user_tables.n_dead_tup", sentence));
    }
    all
}

/// Returns the two last windows, if nothing stands between and the column is there.
fn last_two(history: &History) -> Option<[(&Moment, &Moment); 2]> {
    let [.., a, b, c] = history.moments.as_slice() else { return None };
    let is_sound = |moment: &Moment| moment.has_column && !moment.gaps.iter().any(Gap::hides_all);
    (a.has_column && is_sound(b) && is_sound(c)).then_some([(a, b), (b, c)])
}

/// Adds up what a figure is made of over the time without the column.
fn before(history: &History, of: impl Fn(&Moment, &Moment) -> Option<(f64, f64)>) -> (f64, f64) {
    let pairs = history.moments.windows(2).filter(|two| !two[0].has_column && !two[1].has_column);
    let sums = pairs.filter_map(|two| of(&two[0], &two[1]));
    sums.fold((0.0, 0.0), |all, (part, whole)| (all.0 + part, all.1 + whole))
}

fn log(history: &History) -> Option<Alert> {
    let of = |_: &Moment, moment: &Moment| {
        let writes = |id: &QueryId| {
            matches!(history.roles.get(id), Some(Role::Inserted | Role::Assigned | Role::Writes))
        };
        let windows = moment.windows.iter().filter(|(id, _)| writes(id)).map(|(_, window)| window);
        windows.map(|window| Some((window.wal_bytes? as f64, window.rows as f64))).sum_pairs()
    };
    let (bytes, rows) = before(history, of);
    let mut least = f64::INFINITY;
    for (from, to) in last_two(history)? {
        let (bytes, rows) = of(from, to).filter(|(_, rows)| *rows >= FEW_ROWS as f64)?;
        least = least.min(bytes / rows);
    }
    let then = (rows >= FEW_ROWS as f64 && bytes > 0.0).then(|| bytes / rows)?;
    let growth = least / then - 1.0;
    (growth >= LOG).then(|| {
        let sentence = format!(
            "statements that write the table log {least:.0} B a row, {then:.0} before the column"
        );
        alert("log", (growth, LOG), "pg_stat_statements.wal_bytes", sentence)
    })
}

fn hot(history: &History) -> Option<Alert> {
    let of = |from: &Moment, to: &Moment| {
        Some((to.growth(from, "", "n_tup_hot_upd")?, to.growth(from, "", "n_tup_upd")?))
    };
    let (part, whole) = before(history, of);
    let then = (whole >= FEW_UPDATES).then(|| part / whole)?;
    let mut most = 0.0_f64;
    for (from, to) in last_two(history)? {
        let (part, whole) = of(from, to).filter(|(_, whole)| *whole >= FEW_UPDATES)?;
        most = most.max(part / whole);
    }
    (then - most >= HOT).then(|| {
        let sentence = format!(
            "{:.0} % of the updates are HOT, {:.0} % before the column",
            most * 100.0,
            then * 100.0
        );
        alert("hot", (then - most, HOT), "pg_stat_user_tables.n_tup_hot_upd", sentence)
    })
}

/// Returns for how long something is so without a break, up to the last snapshot.
fn lasting(history: &History, is_so: impl Fn(&Moment) -> bool) -> Option<f64> {
    let last = history.moments.last()?.at;
    let first = history.moments.iter().rev().take_while(|moment| is_so(moment)).last()?;
    Some(last - first.at)
}

fn invalid(history: &History, index: &str) -> Option<Alert> {
    let seconds = lasting(history, |moment| moment.measure(index, "is_valid") == Some(0.0))?;
    (seconds > INVALID).then(|| {
        let minutes = seconds / 60.0;
        let sentence = format!(
            "the index {index} is not valid for {minutes:.0} minutes: its build goes on or has failed"
        );
        let found = alert("invalid-index", (seconds, INVALID), "pg_index.indisvalid", sentence);
        Alert { object: index.to_owned(), ..found }
    })
}

fn unused(history: &History, index: &str) -> Option<Alert> {
    let last = history.moments.last()?;
    let name = if last.measure(index, "idx_scan").is_some() { "idx_scan" } else { "rows_read" };
    let count = last.measure(index, name)?;
    if last.measure(index, "has_column") != Some(1.0) {
        return None;
    }
    let is_unused = |moment: &Moment| {
        moment.measure(index, "is_valid") == Some(1.0) && moment.measure(index, name) == Some(count)
    };
    let seconds = lasting(history, is_unused).filter(|seconds| *seconds >= UNUSED)?;
    let could_use = |id: &QueryId| {
        matches!(history.roles.get(id), Some(Role::Filter | Role::Join | Role::Order))
    };
    let since = history.moments.iter().filter(|moment| moment.at > last.at - seconds);
    let windows = since.flat_map(|moment| &moment.windows).filter(|(id, _)| could_use(id));
    let calls: u64 = windows.map(|(_, window)| window.calls).sum();
    (calls > 0).then(|| {
        let sentence = format!(
            "the index {index} was not used for {:.0} hours, in which statements that look for its column ran {calls} times",
            seconds / 3600.0
        );
        let source = "pg_stat_user_indexes.idx_scan";
        let source = if name == "idx_scan" { source } else { "table_io_waits_summary_by_index_usage" };
        let found = alert("unused-index", (seconds, UNUSED), source, sentence);
        Alert { object: index.to_owned(), ..found }
    })
}

fn stuck(history: &History) -> Option<Alert> {
    let pid = history.moments.last()?.measure("", "build_waits_for")?;
    let seconds = lasting(history, |moment| moment.measure("", "build_waits_for") == Some(pid))?;
    (seconds > STUCK).then(|| {
        let sentence =
            format!("the build of an index waits for session {pid:.0} for {seconds:.0} s");
        alert("stuck-build", (seconds, STUCK), "pg_stat_progress_create_index", sentence)
    })
}

fn coverage(last: &Moment) -> Option<Alert> {
    let is_evicted = |gap: &Gap| matches!(gap, Gap::Evicted { .. } | Gap::Uncounted { .. });
    let (all, followed) = last.counted_ms;
    let share = if all > 0.0 { followed / all } else { 1.0 };
    (last.gaps.iter().any(is_evicted) && share < COVERAGE).then(|| {
        let sentence = format!(
            "only {:.0} % of the time of all statements can be followed: some were thrown out",
            share * 100.0
        );
        let source = if last.gaps.iter().any(|gap| matches!(gap, Gap::Uncounted { .. })) {
            "events_statements_summary_by_digest"
        } else {
            "pg_stat_statements_info.dealloc"
        };
        alert("coverage", (share, COVERAGE), source, sentence)
    })
}

/// Adds up pairs of which none may be missing.
trait SumPairs {
    fn sum_pairs(self) -> Option<(f64, f64)>;
}

impl<I: Iterator<Item = Option<(f64, f64)>>> SumPairs for I {
    fn sum_pairs(mut self) -> Option<(f64, f64)> {
        self.try_fold((0.0, 0.0), |all, next| {
            let (a, b) = next?;
            Some((all.0 + a, all.1 + b))
        })
    }
}
