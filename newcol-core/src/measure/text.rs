//! The text format of Prometheus.

use std::fmt::Write as _;

use super::meter::{Counted, Meters};
use crate::watch::metrics::escaped;

/// Bounds of the buckets, in microseconds, as they are written.
const BOUNDS: &[(u64, &str)] = &[
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (10_000_000, "10"),
];

/// How many statements are shown: each is 15 time series.
const MOST: usize = 50;

pub(super) fn families(meters: &Meters) -> String {
    let mut all: Vec<(&String, &Counted)> =
        meters.statements.iter().filter(|(_, counted)| counted.calls > 0).collect();
    all.sort_by(|a, b| b.1.total_ms.total_cmp(&a.1.total_ms));
    let mut text = String::from(
        "# HELP newcol_statement_seconds Time of statements, as the application measures it.\n\
         # TYPE newcol_statement_seconds histogram\n",
    );
    for (statement, counted) in all.into_iter().take(MOST) {
        let label = escaped(statement);
        let name = "newcol_statement_seconds";
        for (bound, le) in BOUNDS {
            let count = counted.times.up_to(*bound);
            // Writing to a string does not fail.
            writeln!(text, "{name}_bucket{{statement=\"{label}\",le=\"{le}\"}} {count}").ok();
        }
        let calls = counted.calls;
        writeln!(text, "{name}_bucket{{statement=\"{label}\",le=\"+Inf\"}} {calls}").ok();
        writeln!(text, "{name}_sum{{statement=\"{label}\"}} {}", counted.total_ms / 1000.0).ok();
        writeln!(text, "{name}_count{{statement=\"{label}\"}} {calls}").ok();
    }
    text
}
