//! How long to wait for eight chances in ten to tell.
//!
//! An interval narrows with the square root of the time, so what is now `half` wide and has to be
//! narrower than `margin` needs `(half / margin)²` times as long; and `(1 + 0.842 / 1.96)²` of that, so
//! that not every second but four of five such waits end with an answer.

use crate::watch::{
    benefit::Balance,
    effect::{Comparison, Effect, Signal},
};

/// How much longer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Longer {
    /// Hours from now.
    pub hours: f64,
    /// Calls of the statements in question, at the pace so far.
    pub calls: Option<u64>,
}

/// For eight of ten instead of five of ten.
const POWER: f64 = 1.0 + 0.842 / 1.96;
/// Beyond a year nobody waits: it says "never" as well, and is no number to print.
const LONGEST: f64 = 365.0 * 24.0;

/// Returns the smallest change of the times of all statements that would have been found.
pub(super) fn detectable(comparisons: &[Comparison]) -> Option<f64> {
    let times = comparisons.iter().find(|comparison| comparison.signal == Signal::Time)?;
    let single = times.queries.first().map(|query| &query.effect);
    times.group.as_ref().or(single).map(|effect: &Effect| effect.detectable)
}

/// Returns how much longer benefit and cost have to be watched until their intervals part.
pub(super) fn longer(balance: &Balance, comparisons: &[Comparison], hours: f64) -> Option<Longer> {
    let (benefit, cost) = (balance.benefit, balance.cost);
    let margin = (benefit.ms - cost.ms).abs();
    let half = if benefit.ms >= cost.ms {
        (benefit.ms - benefit.low) + (cost.high - cost.ms)
    } else {
        (benefit.high - benefit.ms) + (cost.ms - cost.low)
    };
    let times = (POWER * half / margin).powi(2).max(1.0);
    let more = hours * (times - 1.0);
    if !more.is_finite() || more > LONGEST {
        return None;
    }
    let compared = comparisons.iter().find(|comparison| comparison.signal == Signal::Time)?;
    let calls: u64 = compared.queries.iter().map(|query| query.calls.0 + query.calls.1).sum();
    Some(Longer { hours: more, calls: Some((calls as f64 * (times - 1.0)).ceil() as u64) })
}
