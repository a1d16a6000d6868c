//! Columns that are unique together: the rows of a table between two others.

use newcol_core::bench::profile::{ConstraintKind, Profile, Statistics};

/// How far the order of values may be that of the rows where the values follow another column's.
const LOOSE: f64 = 0.3;

/// Returns pairs of columns of which the first one's values must differ among rows that have the same
/// value of the second one, as indexes of `columns`: name and statistics of each column that is made.
///
/// Of three columns and more, two that differ enough make all of them differ. Where the order of both
/// is that of the rows, there is no such pair: one would have to give it up.
pub(super) fn pairs(profile: &Profile, columns: &[(&str, &Statistics)]) -> Vec<(usize, usize)> {
    let definition = &profile.definition;
    let constraints = definition
        .constraints
        .iter()
        .filter(|of| matches!(of.kind, ConstraintKind::Primary | ConstraintKind::Unique))
        .map(|of| &of.columns);
    let indexes = definition.indexes.iter().filter(|of| of.is_unique).map(|of| &of.columns);
    let rows = profile.size.rows;
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for names in constraints.chain(indexes).filter(|names| names.len() > 1) {
        let place = |name: &String| columns.iter().position(|(known, _)| known == name);
        let mut places: Vec<usize> = names.iter().filter_map(place).collect();
        let distinct = |at: &usize| columns[*at].1.distinct(rows);
        let order = |at: &usize| columns[*at].1.correlation.unwrap_or(0.0).abs();
        places.retain(|at| columns[*at].1.null_frac == 0.0);
        if places.iter().any(|at| distinct(at) >= 0.98 * rows) {
            continue;
        }
        places.sort_by(|a, b| distinct(b).total_cmp(&distinct(a)));
        if let [one, other, ..] = places.as_slice() {
            let (follows, leads) =
                if order(one) <= order(other) { (*one, *other) } else { (*other, *one) };
            let is_free = pairs.iter().all(|(a, b)| ![*a, *b].contains(&follows) && *a != leads);
            if order(&follows) < LOOSE && is_free {
                pairs.push((follows, leads));
            }
        }
    }
    pairs
}
