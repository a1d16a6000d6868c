//! From a file of snapshots to a verdict.
//!
//! Statements of the table are compared with statements that provably do not touch the column
//! ([`Role::Control`]). A release that only puts the column into its lists sends statements with new
//! numbers: those continue the series of the old ones that they are lineage of, so that there is a
//! "before" to compare with.
//!
//! Plans are not read: who used an index is not known ([`Level::Texts`] at most), so no verdict says
//! that an index pays, or may go.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    benefit::Balance,
    effect::{Comparison, Refusal, Signal, Split, Thresholds, compare},
    gate::{IndexState, Reason, ServerIdentity, Surroundings, closed},
    identity::{Gap, Identity},
    report::{Line, Report},
    series::{QueryId, Role, Series},
    store::{Store, StoreError, Stored},
    verdict::{
        Asked, ColumnFacts, Evidence, IndexEvidence, IndexFacts, Judgement, Level, MonthEnd,
        Replicas, Usage, judge,
    },
};

/// A verdict and what it was made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// The word, with its numbers.
    pub judgement: Judgement,
    /// What was compared.
    pub comparisons: Vec<Comparison>,
    /// What could not be, and why.
    pub refused: Vec<(Signal, Refusal)>,
    /// Where before ends and after begins; `None` while there is no column.
    pub split: Option<Split>,
    /// Statements of the table, as they were compared.
    pub series: Vec<Series>,
    /// What they were compared with.
    pub controls: Vec<Series>,
    /// Texts, as far as they are known.
    pub texts: BTreeMap<QueryId, String>,
}

/// Judges what a file holds; `None` where it has no snapshot. The same file gives the same verdict.
///
/// # Errors
///
/// Where the file cannot be read.
pub fn assess(store: &mut Store) -> Result<Option<Assessment>, StoreError> {
    let Some(report) = Report::of(store)? else { return Ok(None) };
    let snapshots = store.snapshots()?;
    let evictions = store
        .gaps()?
        .iter()
        .any(|found| matches!(found.gap, Gap::Evicted { .. } | Gap::Uncounted { .. }));
    let all = store.series()?;
    let followed: f64 = all.iter().flat_map(|one| &one.windows).map(|window| window.total_ms).sum();
    let (series, controls) = sides(&report, all);
    let split = report
        .present_since
        .map(|after| Split { before: report.absent_until.unwrap_or(after), after });
    let gates = gates(&report, &snapshots, (evictions, followed));
    let (mut comparisons, mut refused) = (Vec::new(), Vec::new());
    if let Some(split) = split {
        for signal in Signal::ALL {
            // The time is the seed: any will do, as long as it stays the same.
            let seed = split.after.to_bits();
            match compare(&series, &controls, split, signal, &Thresholds::default(), seed) {
                Ok(comparison) => comparisons.push(comparison),
                Err(refusal) => refused.push((signal, refusal)),
            }
        }
    }
    let texts: BTreeMap<QueryId, String> =
        report.lines.iter().filter_map(|line| Some((line.id, line.text.clone()?))).collect();
    let evidence = Evidence {
        window: report.span,
        level: if texts.is_empty() { Level::Counters } else { Level::Texts },
        gates,
        comparisons: comparisons.clone(),
        index: index(&report),
    };
    let judgement = judge(&evidence);
    Ok(Some(Assessment { judgement, comparisons, refused, split, series, controls, texts }))
}

/// Divides series into those that may notice the column and those that cannot.
fn sides(report: &Report, all: Vec<Series>) -> (Vec<Series>, Vec<Series>) {
    let of_table: BTreeMap<QueryId, &Line> =
        report.lines.iter().filter(|line| line.on_table).map(|line| (line.id, line)).collect();
    let continued: BTreeSet<QueryId> =
        of_table.values().flat_map(|line| line.heirs_of.iter().copied()).collect();
    let windows: BTreeMap<QueryId, Series> = all.into_iter().map(|one| (one.id, one)).collect();
    let treated =
        of_table.values().filter(|line| !continued.contains(&line.id)).filter_map(|line| {
            let mut series = match line.role {
                Role::Control | Role::Unknown => return None,
                role => Series { id: line.id, role, windows: Vec::new() },
            };
            let ids = line.heirs_of.iter().chain([&line.id]);
            series.windows =
                ids.filter_map(|id| windows.get(id)).flat_map(|s| s.windows.clone()).collect();
            series.windows.sort_by(|a, b| a.from.total_cmp(&b.from));
            (!series.windows.is_empty()).then_some(series)
        });
    let treated = treated.collect();
    let is_control = |one: &&Series| one.role == Role::Control && !continued.contains(&one.id);
    let controls = windows.values().filter(is_control).cloned().collect();
    (treated, controls)
}

/// Returns why nothing can be said, if so.
fn gates(report: &Report, snapshots: &[Stored], (evicted, followed): (bool, f64)) -> Vec<Reason> {
    if report.present_since.is_none() {
        return vec![Reason::NoColumn];
    }
    let (Some(last), Some(first)) = (snapshots.last(), snapshots.first()) else {
        return Vec::new();
    };
    // What came before the last baseline was given up with it.
    let first = snapshots.iter().rfind(|snapshot| snapshot.is_baseline).unwrap_or(first);
    let gap = |from: f64, to: f64, covered: f64| (to - from - covered).max(0.0);
    let before =
        report.absent_until.map_or(0.0, |until| gap(first.taken.server, until, report.covered.0));
    let after =
        report.present_since.map_or(0.0, |since| gap(since, last.taken.server, report.covered.1));
    let index = report.indexes.iter().find(|index| index.has_column);
    closed(&Surroundings {
        identity: (identity(&first.identity), identity(&last.identity)),
        stats_reset: (first.identity.stats_reset, last.identity.stats_reset),
        dealloc: (
            first.identity.evictions.unwrap_or_default(),
            last.identity.evictions.unwrap_or(u64::from(evicted)),
        ),
        // Time stands for calls: the server has a sum of it for all statements.
        matched_calls: (followed * 1000.0) as u64,
        all_calls: (report.own.all_ms * 1000.0) as u64,
        elapsed: (last.taken.server - first.taken.server, last.taken.local - first.taken.local),
        gaps: (before, after),
        sides: report.covered,
        index: index.map(|index| {
            if index.is_ignored {
                IndexState::Ignored
            } else if index.is_valid {
                IndexState::Valid
            } else {
                IndexState::Invalid
            }
        }),
        backfilled: None,
        analyzed: None,
    })
}

fn identity(of: &Identity) -> ServerIdentity {
    ServerIdentity {
        system: of.system.clone(),
        timeline: of.timeline,
        database: of.database.clone(),
        started: of.started,
        version: of.version,
        extension: of.extension.clone(),
    }
}

/// What is known of the column's index without plans.
fn index(report: &Report) -> Option<IndexEvidence> {
    let index = report.indexes.iter().find(|index| index.has_column)?;
    let whole = |value: Option<f64>| value.map_or(0, |value| value.max(0.0) as u64);
    Some(IndexEvidence {
        facts: IndexFacts {
            unique: index.is_unique,
            ..IndexFacts::plain(index.name.clone(), "", whole(index.bytes))
        },
        usage: Usage { counted: whole(index.scans), executed: 0, weighed: 0, planned: 0 },
        replicas: Replicas::Unlisted,
        balance: Balance::default(),
        days: report.covered.1 / 86_400.0,
        month_end: MonthEnd::NotAsked,
        column: ColumnFacts { null_frac: 0.0, correlation: None, asked: Asked::Unknown },
    })
}
