//! Each statement before and after the column.

use std::collections::{BTreeMap, BTreeSet};

use super::{Interval, Line, Side, Spell};
use crate::watch::{
    involve::Layer,
    moments::Moments,
    series::{QueryId, Role, Window},
    store::{Statement, StoredGap},
};

pub(super) fn lines(
    statements: &[Statement],
    windows: &BTreeMap<QueryId, Vec<Window>>,
    intervals: &[Interval],
    gaps: &[StoredGap],
) -> Vec<Line> {
    let of_interest =
        |s: &&Statement| s.involvement.as_ref().is_none_or(|involvement| involvement.on_table);
    let mut heirs: BTreeMap<&str, Vec<QueryId>> = BTreeMap::new();
    for statement in statements.iter().filter(of_interest).filter(|s| s.is_of_old) {
        if let Some(lineage) = &statement.lineage {
            heirs.entry(lineage).or_default().push(statement.id);
        }
    }
    let line = |statement: &Statement| {
        let own = windows.get(&statement.id).map(Vec::as_slice).unwrap_or_default();
        let missing: BTreeSet<i64> = gaps
            .iter()
            .filter(|found| found.statement == Some(statement.id))
            .map(|found| found.snapshot)
            .collect();
        let spell = |side| spell(own, intervals, &missing, side);
        let mut before = spell(Side::Before);
        let history = Some(&statement.history).filter(|h| statement.is_of_old && h.calls > 0);
        let is_history = before.is_none() && history.is_some();
        if let Some(history) = history.filter(|_| is_history) {
            before = Some(Spell {
                seconds: history.to - history.from,
                calls: history.calls,
                mean_ms: history.mean_ms().unwrap_or_default(),
                sd_ms: history.sd_ms,
                rows: history.rows,
                blocks: history.blocks,
                wal_bytes: history.wal_bytes,
            });
        }
        let involvement = statement.involvement.as_ref();
        let heirs_of = statement.lineage.as_deref().filter(|_| !statement.is_of_old);
        Line {
            id: statement.id,
            text: statement.text.clone(),
            role: involvement.map_or(Role::Unknown, |i| i.role()),
            uses: involvement.map(|i| i.uses.clone()).unwrap_or_default(),
            layer: involvement.map_or(Layer::Nothing, |i| i.layer),
            why: involvement.and_then(|i| i.why.clone()),
            on_table: involvement.is_some_and(|i| i.on_table),
            is_of_old: statement.is_of_old,
            before,
            is_history,
            after: spell(Side::After),
            percentiles: None,
            heirs_of: heirs_of.and_then(|own| heirs.get(own)).cloned().unwrap_or_default(),
        }
    };
    let mut lines: Vec<Line> = statements.iter().filter(of_interest).map(line).collect();
    let time = |line: &Line| {
        let all = [line.after, line.before].into_iter().flatten();
        all.map(|spell| spell.calls as f64 * spell.mean_ms).sum::<f64>()
    };
    lines.sort_by(|a, b| a.role.cmp(&b.role).then(time(b).total_cmp(&time(a))));
    lines
}

/// Adds up what a statement did on one side; `None` where it was not seen there.
fn spell(
    windows: &[Window],
    intervals: &[Interval],
    missing: &BTreeSet<i64>,
    side: Side,
) -> Option<Spell> {
    let mut all: Option<(Moments, u64, u64, Option<u64>)> = None;
    let mut seconds = 0.0;
    for interval in intervals.iter().filter(|interval| interval.side == Some(side)) {
        if missing.contains(&interval.ends.1) {
            continue;
        }
        seconds += interval.seconds();
        let near = |window: &&Window| (window.to - interval.span.1).abs() < 1e-3;
        let Some(window) = windows.iter().find(near) else { continue };
        let Some(mean_ms) = window.mean_ms() else { continue };
        let moments = Moments { calls: window.calls, mean_ms, sd_ms: window.sd_ms };
        all = Some(match all {
            None => (moments, window.rows, window.blocks, window.wal_bytes),
            Some((so_far, rows, blocks, wal)) => (
                so_far.merge(moments),
                rows + window.rows,
                blocks + window.blocks,
                wal.zip(window.wal_bytes).map(|(a, b)| a + b),
            ),
        });
    }
    all.map(|(moments, rows, blocks, wal_bytes)| Spell {
        seconds,
        calls: moments.calls,
        mean_ms: moments.mean_ms,
        sd_ms: moments.sd_ms,
        rows,
        blocks,
        wal_bytes,
    })
}
