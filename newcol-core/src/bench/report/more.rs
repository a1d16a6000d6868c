//! The sections of a standby, and of more rows than were measured.

use super::{line, phase_marks};
use crate::{
    bench::{
        extrapolate::{What, extrapolate},
        run::{Loaded, Run},
        words::{bytes, seconds},
    },
    page::{Axis, Chart, Plot, Section, Shape, Table, Value},
};

/// How far the standby was behind, second by second.
pub(super) fn behind_over_time(loaded: &Loaded) -> Option<Section> {
    let replica = loaded.replica.as_ref()?;
    let points = replica.seconds.iter().map(|of| (f64::from(of.second), of.seconds)).collect();
    Some(Section {
        heading: "How far the standby was behind, over time".into(),
        text: "The age of the oldest thing that it had not replayed, at most in each second, looked \
            at 20 times. It runs on the same machine, and nobody reads from it: one that is far away \
            or busy is further behind."
            .into(),
        plot: Plot::Chart(Chart {
            axis: Axis::Number("seconds".into()),
            unit: "s".into(),
            shape: Shape::Lines,
            lines: vec![line("behind", points)],
            marks: phase_marks(&loaded.load),
        }),
    })
}

/// How far the standby was behind, by phase.
pub(super) fn behind(loaded: &Loaded) -> Option<Section> {
    let replica = loaded.replica.as_ref()?;
    let rows = replica.phases.iter().map(|of| {
        vec![
            Value::Text(of.phase.name().into()),
            Value::Number(of.looks as f64),
            Value::Number(of.seconds.p95),
            Value::Number(of.seconds.max),
            Value::Number(of.bytes.p95),
            Value::Number(of.bytes.max),
        ]
    });
    let columns =
        ["phase", "looks", "95 of 100 (s)", "most (s)", "95 of 100 (bytes)", "most (bytes)"];
    Some(Section {
        heading: "How far the standby was behind, by phase".into(),
        text: "The backfill goes slower by itself while a standby is far behind, as it does in \
            production."
            .into(),
        plot: Plot::Table(Table::new(&columns, rows.collect())),
    })
}

/// What was measured at two scales, and what that says of production.
pub(super) fn scales(run: &Run) -> Option<Section> {
    let scales = run.scales.as_ref()?;
    let rows = extrapolate(run).into_iter().map(|one| {
        let (unit, words): (f64, fn(f64) -> String) = match one.what {
            What::Log | What::Growth => (1.0, bytes),
            What::Time => (1e6, seconds),
        };
        let said = if one.doubts.is_empty() {
            format!("{} to {}", words(one.total.low), words(one.total.high))
        } else {
            format!("not to be trusted: {}", one.doubts.join("; "))
        };
        vec![
            Value::Text(one.way.name().into()),
            Value::Text(one.what.name().into()),
            Value::Number(one.per_row.0 * unit),
            Value::Number(one.per_row.1 * unit),
            Value::Number(one.differ() * 100.0),
            Value::Text(said),
        ]
    });
    let columns = [
        "way",
        "what",
        "a row, smaller scale (B, µs)",
        "a row, larger scale (B, µs)",
        "differ by (%)",
        "in production",
    ];
    let small = scales.fills.first().map_or(0, |fill| fill.rows);
    let text = format!(
        "Extrapolated, not measured: to the {:.0} rows of the profile, from {small} and {} rows. The \
         range holds what a row costs at the larger scale, the trend from one scale to the other, and \
         how much such figures vary. Where a row costs more than 15 % more or less at one scale than \
         at the other, it is not linear and nothing is said. Time is this machine's.",
        scales.production, run.conditions.rows
    );
    let rows: Vec<Vec<Value>> = rows.collect();
    (!rows.is_empty()).then(|| Section {
        heading: "In production, as far as that can be told".into(),
        text,
        plot: Plot::Table(Table::new(&columns, rows)),
    })
}
