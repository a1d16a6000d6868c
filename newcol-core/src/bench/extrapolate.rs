//! What filling costs in production, where there are more rows than were measured.
//!
//! Two scales are measured, one a quarter of the other. If a row costs the same at both, it costs that
//! at the next scale too, or as much more as the trend from one to the other says: between the two lies
//! the range that is told. Where a row costs more than [`LINEAR`] more or less at one than at the other,
//! nothing is told: what makes it so may do anything further out.

use super::{
    blocks::Estimate,
    run::{Fill, Run, Scales, Way},
};

/// How much the figures for a row may differ between the two scales.
pub const LINEAR: f64 = 0.15;

/// How much counts vary from run to run.
const COUNTS: f64 = 0.03;

/// The same of times that were taken once.
const TIMES: f64 = 0.15;

/// What is foretold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Bytes of the server's log.
    Log,
    /// Seconds at full speed.
    Time,
    /// Bytes by which the table grows.
    Growth,
}

impl What {
    /// Returns the words used in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Time => "time",
            Self::Growth => "growth of the table",
        }
    }
}

/// A figure of production that was not measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Extrapolated {
    /// The way of filling.
    pub way: Way,
    /// What it is.
    pub what: What,
    /// For each row at the smaller and at the larger scale.
    pub per_row: (f64, f64),
    /// For all rows of production, with its range.
    pub total: Estimate,
    /// Why it is not to be trusted.
    pub doubts: Vec<String>,
}

impl Extrapolated {
    /// Returns how much the figures for a row differ between the scales, as a share.
    #[must_use]
    pub fn differ(&self) -> f64 {
        (self.per_row.1 / self.per_row.0 - 1.0).abs()
    }
}

/// Foretells what the ways of filling cost in production.
#[must_use]
pub fn extrapolate(run: &Run) -> Vec<Extrapolated> {
    let Some(scales) = &run.scales else { return Vec::new() };
    let mut all = Vec::new();
    for small in &scales.fills {
        let Some(large) = run.fill(small.way).filter(|large| large.rows > small.rows) else {
            continue;
        };
        let found = [What::Time, What::Log, What::Growth];
        let found = found.into_iter().filter_map(|what| of(what, scales, (small, large)));
        let mut found: Vec<Extrapolated> = found.collect();
        doubt_log(scales, &mut found);
        all.extend(found);
    }
    all
}

fn of(what: What, scales: &Scales, (small, large): (&Fill, &Fill)) -> Option<Extrapolated> {
    let value = |fill: &Fill| match what {
        What::Log => fill.per_row(fill.log),
        What::Time => fill.per_row(Some(fill.seconds)),
        What::Growth => fill.per_row(fill.heap().map(|heap| heap.after - heap.before)),
    };
    let per_row = (value(small)?, value(large)?);
    if per_row.0 <= 0.0 || per_row.1 <= 0.0 {
        return None;
    }
    let varies = match (what, large.speeds()) {
        (What::Time, Some(speeds)) => (speeds.high / speeds.value - 1.0).max(COUNTS),
        (What::Time, None) => TIMES,
        _ => COUNTS,
    };
    // As many steps further as from the smaller scale to the larger one.
    let rows = large.rows as f64;
    let steps = (scales.production / rows).ln() / (rows / small.rows as f64).ln();
    let trend = per_row.1 * (per_row.1 / per_row.0).powf(steps);
    let bounds = [per_row.1, trend].map(|value| value * scales.production);
    let total = Estimate {
        value: per_row.1 * scales.production,
        low: bounds[0].min(bounds[1]) * (1.0 - varies),
        high: bounds[0].max(bounds[1]) * (1.0 + varies),
    };
    let mut found = Extrapolated { way: large.way, what, per_row, total, doubts: Vec::new() };
    let differ = found.differ();
    if differ > LINEAR {
        found.doubts.push(format!(
            "not linear: for a row it differs by {:.0} % between {} and {} rows, and {:.0} % is the \
             most",
            differ * 100.0,
            small.rows,
            large.rows,
            LINEAR * 100.0
        ));
    }
    if what == What::Time {
        found.doubts.extend(scales.otherwise.iter().cloned());
    }
    Some(found)
}

/// Page images come again after each checkpoint, of which there was one here.
fn doubt_log(scales: &Scales, found: &mut [Extrapolated]) {
    let of = |what| found.iter().position(|one| one.what == what);
    let (Some(time), Some(log)) = (of(What::Time), of(What::Log)) else { return };
    let (seconds, Some(every)) = (found[time].total.high, scales.checkpoints) else { return };
    if seconds > every {
        found[log].doubts.push(format!(
            "it takes longer than the {every:.0} s between checkpoints in production, and pages that \
             are changed again after one are logged whole again: more log than that"
        ));
    }
}

#[cfg(test)]
mod tests;
