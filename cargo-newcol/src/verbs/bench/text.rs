//! A benchmark for the terminal.

use newcol_core::bench::{
    extrapolate::{Extrapolated, What, extrapolate},
    load::{Load, Phase},
    replica::Replica,
    run::{Fill, Run},
    words::{bytes, lag, ms, seconds, sentences},
};

/// Returns what was measured, on one screen.
pub(super) fn summary(run: &Run) -> String {
    let conditions = &run.conditions;
    let mut lines = vec![
        format!(
            "{} on {}, {} rows ({})",
            conditions.column, conditions.server, conditions.rows, conditions.shape
        ),
        String::new(),
    ];
    lines.extend(sentences(run).into_iter().map(|sentence| format!("- {sentence}")));
    if !run.fills.is_empty() {
        lines.extend([String::new(), fills(&run.fills)]);
    }
    if let Some(loaded) = &run.load {
        lines.extend([String::new(), phases(&loaded.load)]);
        lines.extend(loaded.load.failures.iter().map(|why| format!("refused: {why}")));
        let waits = loaded.waits.iter().map(|waits| {
            let (seen, looks, most) = (waits.seen, waits.looks, waits.most);
            format!("waits for locks: in {seen} of {looks} looks, at most {most} at a time")
        });
        lines.extend(waits);
        if let Some(replica) = &loaded.replica {
            lines.extend([String::new(), behind(replica)]);
        }
    }
    let more = extrapolate(run);
    if !more.is_empty() {
        lines.extend([String::new(), production(&more)]);
    }
    if !run.notes.is_empty() {
        lines.push(String::new());
    }
    lines.extend(run.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

fn fills(fills: &[Fill]) -> String {
    let heading = ["way", "time", "rows/s", "log B/row", "foretold", "HOT %", "table"];
    let rows = fills.iter().map(|fill| {
        let number =
            |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.0}"));
        vec![
            fill.way.name().to_owned(),
            seconds(fill.seconds),
            format!("{:.0}", fill.speed()),
            number(fill.per_row(fill.log)),
            number(fill.per_row(fill.predicted)),
            number(fill.hot.map(|hot| hot * 100.0)),
            fill.heap().map_or("-".to_owned(), |heap| format!("{:.2}x", heap.times())),
        ]
    });
    table(&heading, rows.collect())
}

fn phases(load: &Load) -> String {
    let heading = ["users", "requests", "p50", "p95", "p99", "max"];
    let rows = Phase::ALL.into_iter().filter_map(|phase| load.phase(phase)).map(|phase| {
        let mut row = vec![phase.phase.name().to_owned(), phase.due.to_string()];
        match phase.percentiles(load.connections) {
            Ok(Some(met)) => row.extend([met.p50, met.p95, met.p99, met.max].map(ms)),
            Ok(None) => row.extend(["-"; 4].map(str::to_owned)),
            Err(saturated) => row.push(saturated.to_string()),
        }
        row
    });
    table(&heading, rows.collect())
}

fn behind(replica: &Replica) -> String {
    let heading = ["standby behind", "looks", "p95", "max", "p95 bytes", "max bytes"];
    let rows = replica.phases.iter().map(|of| {
        let mut row = vec![of.phase.name().to_owned(), of.looks.to_string()];
        row.extend([of.seconds.p95, of.seconds.max].map(lag));
        row.extend([of.bytes.p95, of.bytes.max].map(bytes));
        row
    });
    table(&heading, rows.collect())
}

fn production(all: &[Extrapolated]) -> String {
    let heading = ["extrapolated to production", "from", "to", "scales differ"];
    let rows = all.iter().map(|one| {
        let words: fn(f64) -> String = if one.what == What::Time { seconds } else { bytes };
        let label = format!("{}, {}", one.what.name(), one.way);
        if let Some(doubt) = one.doubts.first() {
            return vec![label, format!("not to be trusted: {doubt}")];
        }
        let differ = format!("{:.0} %", one.differ() * 100.0);
        vec![label, words(one.total.low), words(one.total.high), differ]
    });
    table(&heading, rows.collect())
}

/// Lays out columns: the first one to the left, numbers to the right. What is in the last column of a
/// shorter row may be as long as it is.
pub(super) fn table(heading: &[&str], rows: Vec<Vec<String>>) -> String {
    let heading: Vec<String> = heading.iter().map(|name| (*name).to_owned()).collect();
    let all: Vec<Vec<String>> = [heading].into_iter().chain(rows).collect();
    let columns = all.first().map_or(0, Vec::len);
    let width = |at: usize| {
        let cells = all.iter().filter(|row| row.len() == columns).filter_map(|row| row.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
            let is_short = row.len() < columns && at + 1 == row.len();
            match at {
                0 => format!("{cell:<width$}"),
                _ if is_short => format!("  {cell}"),
                _ => format!("  {cell:>width$}"),
            }
        });
        cells.collect::<String>().trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}
