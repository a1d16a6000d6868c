//! `bench --dry-run`: what would be done, and about how long it takes.

use std::time::Duration;

use newcol_core::{
    backend::Backend,
    bench::{
        run::Way,
        words::{rows as grouped, seconds},
    },
    contract::{Contract, OldRows},
};
use newcol_testkit::bench::Pressure;
use serde::Serialize;

use crate::output::Output;

#[derive(Debug, Serialize)]
struct PlanJson {
    column: String,
    engine: &'static str,
    rows: u64,
    steps: Vec<String>,
    seconds_least: f64,
    seconds_most: f64,
}

/// Rows that are made up, and filled, in a second: slow and fast machines.
const MADE: (f64, f64) = (10_000.0, 60_000.0);
const FILLED: (f64, f64) = (10_000.0, 200_000.0);

/// How much is measured.
pub(super) struct Size {
    pub(super) rows: u64,
    /// Rows in production, if it has more.
    pub(super) more: Option<f64>,
    pub(super) time: Duration,
    pub(super) pressure: Option<Pressure>,
    pub(super) standby: bool,
}

pub(super) fn show(
    out: &mut Output,
    contract: &Contract,
    engine: Backend,
    Size { rows, more, time, pressure, standby }: Size,
) {
    let (count, idle) = (rows as f64, time.as_secs_f64());
    let mut steps = vec![format!(
        "start a {engine} server of its own, and make a table of {} rows",
        grouped(rows)
    )];
    let (mut least, mut most) = (2.0 + count / MADE.1, 10.0 + count / MADE.0);
    let mut takes = |a: f64, b: f64| {
        least += a;
        most += b;
    };
    let fills = contract.answers().old_rows != OldRows::Unfilled;
    if fills {
        let all =
            |way: &&Way| engine == Backend::Postgres || matches!(way, Way::Stride | Way::Update);
        let ways: Vec<&str> = Way::ALL.iter().filter(all).map(|way| way.name()).collect();
        // The right ways are gone three times.
        let times = ways.len() as f64 + if engine == Backend::Postgres { 6.0 } else { 4.0 };
        takes(times * count / FILLED.1, times * (count / FILLED.0 + 2.0));
        steps
            .push(format!("fill it with nobody else there, each time a copy: {}", ways.join(", ")));
    }
    if let Some(more) = more.filter(|_| fills) {
        takes(6.0 * count / 4.0 / MADE.1, 6.0 * (count / 4.0 / MADE.0 + 2.0));
        steps.push(format!(
            "fill a table with a quarter of the rows, and tell from both what {} rows will cost",
            grouped(more as u64)
        ));
    }
    if contract.answers().index.is_some() && fills {
        takes(2.0 + 3.0 * count / FILLED.1, 10.0 + 3.0 * count / FILLED.0);
        steps.push("insert and look up with and without the index, in turn".to_owned());
    }
    if let Some(pressure) = pressure {
        let rate = match pressure {
            Pressure::Rate(rate) => format!("{rate} requests/s"),
            Pressure::Share(share) => {
                takes(3.0, 5.0);
                format!("{:.0} % of what the server can answer", share * 100.0)
            }
        };
        takes(2.0 * idle + 2.0 * count / FILLED.1, 2.0 * idle + 10.0 + 3.0 * count / FILLED.0);
        if standby {
            takes(1.0, 20.0);
            steps.push("let a standby follow, and look how far it is behind".to_owned());
        }
        steps.push(format!(
            "let users come with {rate}: {} before, while it is filled and indexed, {} after",
            seconds(idle),
            seconds(idle)
        ));
    }
    out.json(
        "newcol-bench-plan",
        &PlanJson {
            column: contract.path().to_string(),
            engine: engine.name(),
            rows,
            steps: steps.clone(),
            seconds_least: least,
            seconds_most: most,
        },
    );
    out.say(&format!("would measure {}:", contract.path()));
    for step in steps {
        out.say(&format!("  {step}"));
    }
    out.say(&format!("  about {} to {}", seconds(least), seconds(most)));
}
