//! How each statement uses the column, and what is kept of it.

use std::collections::BTreeMap;

use super::Settings;
use crate::watch::{
    involve::{Catalog, Involvement, Proof, fingerprint, involve, role_name},
    series::{QueryId, Role},
    session::{ALIAS, MARK},
    snapshot::Snapshot,
    store::{Known, Last, Track},
};

/// Finds out of every statement how it uses the column, and returns those of which something new is
/// known.
pub(super) fn judge(
    statements: &mut BTreeMap<QueryId, Known>,
    snapshot: &Snapshot,
    last: Option<&Last>,
    settings: Settings,
) -> Vec<(QueryId, Involvement)> {
    let (Some(texts), Some(catalog)) = (&snapshot.texts, &snapshot.catalog) else {
        return Vec::new();
    };
    let column = snapshot.identity.column;
    let absent_at = last.and_then(|last| last.absent_at);
    let mut totals: BTreeMap<QueryId, f64> = BTreeMap::new();
    let mut since: BTreeMap<QueryId, f64> = BTreeMap::new();
    for counters in snapshot.statements.iter().flatten() {
        *totals.entry(counters.id).or_default() += counters.times.total_ms;
        if let Some(at) = counters.since {
            let first = since.entry(counters.id).or_insert(at);
            *first = first.min(at);
        }
    }
    let mut judged = Vec::new();
    let mut spare = settings
        .controls
        .saturating_sub(statements.values().filter(|known| known.track == Track::Control).count());
    let mut by_time: Vec<(QueryId, f64)> =
        statements.keys().map(|id| (*id, totals.get(id).copied().unwrap_or_default())).collect();
    by_time.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (id, _) in by_time {
        let Some(known) = statements.get_mut(&id) else { continue };
        let is_older = since.get(&id).zip(absent_at).is_some_and(|(since, at)| *since < at);
        known.is_of_old = column.is_none() || known.first_column != column || is_older;
        let text = texts.get(&id).or(known.text.as_ref()).cloned();
        let (track, involvement) = weigh(text.as_deref(), known, catalog, &mut spare);
        known.lineage = text
            .as_deref()
            .filter(|_| track == Track::Table)
            .and_then(|text| fingerprint(text, catalog));
        known.text = text.filter(|_| track.is_kept());
        known.track = track;
        let found = (role_name(involvement.role()).to_owned(), involvement.layer.name().to_owned());
        let is_news = known.judged.as_ref() != Some(&found);
        if is_news {
            known.judged = Some(found);
            judged.push((id, involvement));
        }
    }
    judged
}

/// Says what is done with a statement, and how it uses the column.
fn weigh(
    text: Option<&str>,
    known: &Known,
    catalog: &Catalog,
    spare: &mut usize,
) -> (Track, Involvement) {
    let proof = if known.is_of_old { Proof::Before } else { Proof::Open };
    let involvement = involve(text, proof, catalog);
    let track = match text {
        None => Track::Unread,
        Some(text) if text.contains(MARK) || text.contains(ALIAS) => Track::Own,
        Some(_) if involvement.is_command => Track::Ignored,
        Some(_) if involvement.on_table => Track::Table,
        Some(_) if known.track == Track::Control => Track::Control,
        Some(text) if *spare > 0 && is_query(text) && involvement.role() == Role::Control => {
            *spare -= 1;
            Track::Control
        }
        Some(_) => Track::Ignored,
    };
    (track, involvement)
}

fn is_query(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    ["SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "WITH"]
        .iter()
        .any(|word| first.eq_ignore_ascii_case(word))
}
