//! What was measured of the table and its indexes.

use std::collections::{BTreeMap, BTreeSet};

use super::{IndexUse, Interval, STATEMENT, Side, TablePoint, TableUse};
use crate::watch::{index::Index, series::QueryId};

/// Measures by snapshot, object and name.
pub(super) type Measures<'m> = BTreeMap<(i64, &'m str, &'m str), f64>;

/// Returns how far a counter went between two snapshots; `None` where it is not known or was reset.
fn grown(measures: &Measures<'_>, interval: &Interval, object: &str, name: &str) -> Option<f64> {
    let at = |snapshot: i64| measures.get(&(snapshot, object, name)).copied();
    let (from, to) = (at(interval.ends.0)?, at(interval.ends.1)?);
    (to >= from).then_some(to - from)
}

pub(super) fn percentiles(measures: &Measures<'_>, of: QueryId, last: i64) -> Option<[f64; 3]> {
    let object = format!("{STATEMENT}{of}");
    let value = |name: &str| measures.get(&(last, object.as_str(), name)).copied();
    Some([value("p50_ms")?, value("p95_ms")?, value("p99_ms")?])
}

pub(super) fn table_use(measures: &Measures<'_>, intervals: &[Interval], side: Side) -> TableUse {
    let of_side = || intervals.iter().filter(|i| i.side == Some(side));
    let grown = |name: &str| -> Option<f64> {
        of_side().next()?;
        of_side().map(|interval| grown(measures, interval, "", name)).sum()
    };
    TableUse {
        inserted: grown("n_tup_ins"),
        updated: grown("n_tup_upd"),
        hot: grown("n_tup_hot_upd"),
        changed: grown("rows_changed").zip(grown("rows_changed_x_indexes")),
    }
}

pub(super) fn table_points(measures: &Measures<'_>, intervals: &[Interval]) -> Vec<TablePoint> {
    let point = |interval: &Interval| {
        let updated = grown(measures, interval, "", "n_tup_upd")?;
        let hot = grown(measures, interval, "", "n_tup_hot_upd")?;
        let dead = measures.get(&(interval.ends.1, "", "n_dead_tup")).copied()?;
        Some(TablePoint { at: interval.span.1, hot: hot / updated, dead })
    };
    intervals.iter().filter_map(point).collect()
}

pub(super) fn indexes(
    measures: &Measures<'_>,
    intervals: &[Interval],
    last: i64,
    known: &[Index],
) -> Vec<IndexUse> {
    let of_last = || measures.range((last, "", "")..).take_while(move |(key, _)| key.0 == last);
    let names: BTreeSet<&str> = of_last()
        .map(|((_, object, _), _)| *object)
        .filter(|name| !name.is_empty() && !name.starts_with(STATEMENT))
        .collect();
    let index = |name: &str| {
        let value = |of: &str| measures.get(&(last, name, of)).copied();
        let is = |of: &str| value(of).is_some_and(|value| value != 0.0);
        // An index that came later has no count before.
        let since = |of: &str| -> Option<f64> {
            let after = intervals.iter().filter(|interval| interval.is_after());
            let counts: Vec<f64> =
                after.filter_map(|interval| grown(measures, interval, name, of)).collect();
            (!counts.is_empty()).then(|| counts.iter().sum())
        };
        IndexUse {
            name: name.to_owned(),
            has_column: is("has_column"),
            leads: known.iter().any(|one| one.name == name && one.leads),
            is_valid: is("is_valid") && is("is_ready"),
            is_unique: is("is_unique"),
            is_ignored: is("is_ignored") || is("is_invisible"),
            off: [("is_ignored", "IGNORED"), ("is_invisible", "INVISIBLE")]
                .into_iter()
                .find_map(|(measure, word)| value(measure).map(|_| word)),
            plans: value("plans"),
            rows_read: since("rows_read"),
            bytes: value("bytes"),
            scans: since("idx_scan"),
        }
    };
    names.into_iter().map(index).collect()
}

/// Chooses the index that is judged: one that begins with the column, and that its readers alone need.
pub(super) fn judged(indexes: &[IndexUse]) -> Option<&IndexUse> {
    let of_column = indexes.iter().filter(|index| index.has_column);
    of_column.min_by_key(|index| (!index.leads, index.is_unique))
}
