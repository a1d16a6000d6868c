//! Which statements are slower than before, window by window.

use std::collections::BTreeMap;

use super::{Alert, alert, last_two};
use crate::watch::{
    history::{History, Moment},
    series::{QueryId, Role},
};

/// Growth that is said.
pub(super) const SLOWER: f64 = 0.2;
/// Controls that are needed: 1/21 is the largest 1/(m+1) below 5 %.
const CONTROLS: usize = 20;
/// Executions below which a mean is chance, in a window.
const FEW_CALLS: u64 = 20;
/// The same of all time before.
const FEW_BEFORE: u64 = 200;

/// Finds statements that are slower in both of the last windows than before the column.
pub(super) fn slower(history: &History) -> Vec<Alert> {
    let Some([first, second]) = last_two(history) else { return Vec::new() };
    let then = means_before(history);
    let first = significant(history, &then, first.1);
    let second = significant(history, &then, second.1);
    let both =
        second.into_iter().filter_map(|(id, effect)| Some((id, effect.min(*first.get(&id)?))));
    both.map(|(id, effect)| {
        let sentence = format!(
            "statement {id} takes {:.0} % more than before the column, against statements of other tables, in two windows",
            effect * 100.0
        );
        let found = alert("slower", (effect, SLOWER), "means between snapshots, p <= 0.05", sentence);
        Alert { statement: Some(id), ..found }
    })
    .collect()
}

fn means_before(history: &History) -> BTreeMap<QueryId, f64> {
    let mut sums: BTreeMap<QueryId, (f64, u64)> = BTreeMap::new();
    for moment in history.moments.iter().filter(|moment| !moment.has_column) {
        for (id, window) in &moment.windows {
            let sum = sums.entry(*id).or_default();
            sum.0 += window.total_ms;
            sum.1 += window.calls;
        }
    }
    let enough = sums.into_iter().filter(|(_, (_, calls))| *calls >= FEW_BEFORE);
    enough.map(|(id, (total, calls))| (id, total / calls as f64)).collect()
}

/// Returns the growth, against the controls, of statements that no more than 5 % of the controls show
/// by chance.
fn significant(
    history: &History,
    then: &BTreeMap<QueryId, f64>,
    moment: &Moment,
) -> BTreeMap<QueryId, f64> {
    let log_ratio = |id: &QueryId| {
        let window = moment.windows.get(id).filter(|window| window.calls >= FEW_CALLS)?;
        let (now, then) = (window.mean_ms()?, *then.get(id)?);
        (now > 0.0 && then > 0.0).then(|| (now / then).ln())
    };
    let of_role = |wanted: bool| {
        let ids = history.roles.iter().filter(move |(_, role)| (**role == Role::Control) == wanted);
        ids.filter_map(|(id, _)| Some((*id, log_ratio(id)?))).collect::<Vec<_>>()
    };
    let controls = of_role(true);
    if controls.len() < CONTROLS {
        return BTreeMap::new();
    }
    let mut sorted: Vec<f64> = controls.iter().map(|(_, ratio)| *ratio).collect();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    let as_much = |effect: f64| sorted.iter().filter(|ratio| **ratio - median >= effect).count();
    let p = |effect: f64| (as_much(effect) + 1) as f64 / (sorted.len() + 1) as f64;
    of_role(false)
        .into_iter()
        .filter(|(id, _)| history.roles.get(id) != Some(&Role::Unknown))
        .map(|(id, ratio)| (id, ratio - median))
        .filter(|(_, effect)| effect.exp_m1() >= SLOWER && p(*effect) <= 0.05)
        .map(|(id, effect)| (id, effect.exp_m1()))
        .collect()
}
