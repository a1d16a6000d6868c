//! From a file of snapshots to a verdict.
//!
//! Statements of the table are compared with statements that provably do not touch the column
//! ([`Role::Control`]). A release that only puts the column into its lists sends statements with new
//! numbers: those continue the series of the old ones that they are lineage of, so that there is a
//! "before" to compare with.
//!
//! The index is weighed by another comparison: the time since the column is there and before the index
//! was, with the time since. What came before the column is not in it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    attribution::Attribution,
    benefit::{Balance, balance, can_gain, may_pay},
    effect::{Comparison, Refusal, Signal, Split, Thresholds, compare},
    gate::{IndexState, Reason, ServerIdentity, Surroundings, closed},
    identity::{Gap, Identity},
    index::Index,
    plans::asked,
    report::{Line, Report, TablePoint},
    series::{QueryId, Role, Series},
    store::{Store, StoreError, Stored},
    verdict::{
        Asked, ColumnFacts, Evidence, IndexEvidence, IndexFacts, Judgement, Level, MonthEnd,
        Replicas, Usage, Verdict, judge, judge_index,
    },
};
use crate::ident::ColumnPath;

/// What no statistics say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Said {
    /// Somebody said that the server has no replica.
    pub no_replicas: bool,
    /// The index may be for what happens at the end of a month.
    pub monthly: bool,
}

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
    /// The word on the index, where the verdict is one on statements.
    pub beside: Option<Verdict>,
    /// The index that was judged, by its name, and who used it.
    pub used: Option<(String, Attribution)>,
    /// What the index saves and costs, where it was weighed.
    pub balance: Option<Balance>,
    /// The table over time.
    pub table: Vec<TablePoint>,
}

/// Judges what a file holds; `None` where it has no snapshot. The same file gives the same verdict.
///
/// # Errors
///
/// Where the file cannot be read.
pub fn assess(store: &mut Store) -> Result<Option<Assessment>, StoreError> {
    assess_with(store, Said::default())
}

/// Does the same with what somebody said.
///
/// # Errors
///
/// Where the file cannot be read.
pub fn assess_with(store: &mut Store, said: Said) -> Result<Option<Assessment>, StoreError> {
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
            let treated = of_signal(&series, signal);
            match compare(&treated, &controls, split, signal, &Thresholds::default(), seed) {
                Ok(comparison) => comparisons.push(comparison),
                Err(refusal) => refused.push((signal, refusal)),
            }
        }
    }
    let texts: BTreeMap<QueryId, String> =
        report.lines.iter().filter_map(|line| Some((line.id, line.text.clone()?))).collect();
    let times = comparisons.iter().find(|comparison| comparison.signal == Signal::Time);
    let weighed = report
        .used
        .as_ref()
        .and_then(|(_, used)| weigh(used, (&series, &controls), report.present_since?, times));
    let index = index(store, &report, (said, weighed.as_ref()), &texts)?;
    let used = report.used.as_ref().map(|(_, used)| used);
    let has_plans = used.is_some_and(|used| used.no_plans().is_none() && used.seconds > 0.0);
    let evidence = Evidence {
        window: report.span,
        level: match (texts.is_empty(), has_plans) {
            (true, _) => Level::Counters,
            (false, false) => Level::Texts,
            (false, true) => Level::Plans,
        },
        no_plans: used.and_then(Attribution::no_plans),
        gates,
        comparisons: comparisons.clone(),
        index,
    };
    let judgement = judge(&evidence);
    let is_of_statements = matches!(judgement.verdict, Verdict::Regression { .. });
    Ok(Some(Assessment {
        beside: judge_index(&evidence).filter(|_| is_of_statements),
        judgement,
        comparisons,
        refused,
        split,
        series,
        controls,
        texts,
        used: report.used,
        balance: weighed.map(|weighed| weighed.balance),
        table: report.table_points,
    }))
}

/// What the index saves and costs, and whose use is in it.
struct Weighed {
    balance: Balance,
    users: BTreeSet<QueryId>,
}

/// Compares the time with the column and without the index with the time with both.
///
/// Where the index came with the column there is no such time: then only what writers pay can be told,
/// from `times` before and after the column.
fn weigh(
    used: &Attribution,
    (series, controls): (&[Series], &[Series]),
    present_since: f64,
    times: Option<&Comparison>,
) -> Option<Weighed> {
    let hours = used.seconds / 3600.0;
    if hours <= 0.0 {
        return None;
    }
    let is_user = |id: QueryId| used.statements.iter().any(|one| one.id == id && one.is_user());
    // What became faster without the index is not saved by it; and who is not asked about does not
    // make chance look larger.
    let is_weighed = |id: QueryId, role: Role| may_pay(role) || (can_gain(role) && is_user(id));
    let since = |all: &mut dyn Iterator<Item = &Series>| -> Vec<Series> {
        let with_column = |one: &Series| {
            let windows = one.windows.iter().filter(|window| window.from >= present_since - 1e-3);
            Series { windows: windows.cloned().collect(), ..one.clone() }
        };
        all.map(with_column).collect()
    };
    let split = used.absent_until.map(|before| Split { before, after: used.since });
    let compared = split.and_then(|split| {
        let series = since(&mut series.iter().filter(|one| is_weighed(one.id, one.role)));
        let controls = since(&mut controls.iter());
        let seed = split.after.to_bits();
        compare(&series, &controls, split, Signal::Time, &Thresholds::default(), seed).ok()
    });
    let mut compared = compared.or_else(|| times.cloned())?;
    compared.queries.retain(|query| is_weighed(query.id, query.role));
    let users = compared.queries.iter().map(|query| query.id).filter(|id| is_user(*id)).collect();
    Some(Weighed { balance: balance(&compared, hours), users })
}

/// Returns the statements of which a signal tells something: what reading logs (hints, pruning) is what
/// writers before it left to do.
fn of_signal(series: &[Series], signal: Signal) -> Vec<Series> {
    let tells = |one: &&Series| signal != Signal::LogPerRow || may_pay(one.role);
    series.iter().filter(tells).cloned().collect()
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
    let index = report.judged_index();
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

/// Gathers what is known of the column's index.
fn index(
    store: &mut Store,
    report: &Report,
    (said, weighed): (Said, Option<&Weighed>),
    texts: &BTreeMap<QueryId, String>,
) -> Result<Option<IndexEvidence>, StoreError> {
    let Some(index) = report.judged_index() else { return Ok(None) };
    let whole = |value: Option<f64>| value.map_or(0, |value| value.max(0.0) as u64);
    let known = store.column_indexes()?.into_iter().find(|one: &Index| one.name == index.name);
    let facts = known.map_or_else(
        || IndexFacts { unique: index.is_unique, ..IndexFacts::plain(index.name.clone(), "", 0) },
        |known| known.facts,
    );
    let facts = IndexFacts { bytes: whole(index.bytes), ..facts };
    let last: BTreeMap<String, f64> = {
        let measures = store.measures()?;
        let newest = measures.last().map(|found| found.snapshot);
        let of_table = measures
            .into_iter()
            .filter(|found| Some(found.snapshot) == newest && found.measure.object.is_empty());
        of_table.map(|found| (found.measure.name, found.measure.value)).collect()
    };
    let used = report.used.as_ref().map(|(_, used)| used);
    let usage = used.map_or(Usage { counted: whole(index.scans), ..Usage::default() }, |used| {
        let users = weighed.map(|weighed| weighed.users.clone()).unwrap_or_default();
        Usage { weighed: used.of(&users), ..used.usage }
    });
    let replicas = match used.map(|used| used.replicas.clone()).unwrap_or_default() {
        asked if !asked.is_empty() => Replicas::Asked(asked),
        _ if said.no_replicas => Replicas::None,
        _ => Replicas::Unlisted,
    };
    let seconds = used.map_or(0.0, |used| match replicas {
        Replicas::Asked(_) => used.replica_seconds,
        Replicas::None | Replicas::Unlisted => used.seconds,
    });
    let span = used.map(|used| (used.since, report.span.1));
    let is_btree = facts.definition.contains(" USING btree ");
    Ok(Some(IndexEvidence {
        usage,
        replicas,
        balance: weighed.map(|weighed| weighed.balance.clone()).unwrap_or_default(),
        days: seconds / 86_400.0,
        month_end: match (said.monthly, span) {
            (false, _) => MonthEnd::NotAsked,
            (true, Some(span)) if month(span.0) != month(span.1) => MonthEnd::Seen,
            (true, _) => MonthEnd::Missing,
        },
        column: ColumnFacts {
            null_frac: last.get("null_frac").copied().unwrap_or_default(),
            correlation: last.get("correlation").copied().filter(|_| is_btree),
            asked: of_users(store, used, texts)?,
        },
        rebuild_bytes: 2 * whole(last.get("bytes").copied()) + 2 * facts.bytes,
        facts,
    }))
}

/// Returns what the users of the index ask of the column.
fn of_users(
    store: &mut Store,
    used: Option<&Attribution>,
    texts: &BTreeMap<QueryId, String>,
) -> Result<Asked, StoreError> {
    let subject = store.subject()?;
    let Ok(column) = subject.parse::<ColumnPath>() else { return Ok(Asked::Unknown) };
    let roles: BTreeMap<QueryId, BTreeSet<Role>> = store
        .statements()?
        .into_iter()
        .filter_map(|statement| Some((statement.id, statement.involvement?.uses)))
        .collect();
    let one = |id: &QueryId| {
        // In order come rows without a value as well.
        if roles.get(id).is_some_and(|uses| uses.contains(&Role::Order)) {
            return Asked::Nulls;
        }
        texts.get(id).and_then(|text| asked(text, column.column.as_str())).unwrap_or(Asked::Unknown)
    };
    let users = used.map(|used| used.statements.iter().filter(|one| one.is_user()));
    let all = users.into_iter().flatten().map(|user| one(&user.id)).reduce(Asked::and);
    Ok(all.unwrap_or(Asked::Unknown))
}

/// Returns the month of a time, counted from some month, by the calendar of UTC.
fn month(seconds: f64) -> i64 {
    // Days since March 1st of the year 0: months of leap years end alike from there.
    let days = (seconds / 86_400.0).floor() as i64 + 719_468;
    let era = days.div_euclid(146_097);
    let day = days.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    12 * (era * 400 + year) + (5 * day_of_year + 2) / 153
}

#[cfg(test)]
mod tests {
    use super::month;

    #[test]
    fn months_end_where_the_calendar_says() {
        // 2024-02-29 23:59:59 and a second later; 2026-12-31 and 2027-01-01.
        for (end, next) in [(1_709_251_199.0, 1_709_251_200.0), (1_798_761_599.0, 1_798_761_600.0)]
        {
            assert_eq!(month(end) + 1, month(next));
        }
        assert_eq!(month(1_709_251_200.0), month(1_711_929_599.0));
        assert_eq!(month(1_709_251_200.0) + 12, month(1_740_787_200.0));
    }
}
