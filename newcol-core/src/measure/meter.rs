//! Counts the executions of one connection into what all share.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use diesel::connection::{Instrumentation, InstrumentationEvent};

use super::{
    LONGEST, MOST,
    file::{Measured, MeasuredStatement},
};
use crate::{db::without_binds, histogram::Histogram};

/// Measures one connection.
pub struct Meter {
    one_in: u32,
    meters: &'static Mutex<Meters>,
    /// When the statement began that is running, if it is one that is measured.
    begun: Option<Instant>,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("one_in", &self.one_in).finish_non_exhaustive()
    }
}

impl Meter {
    pub(super) fn new(one_in: u32, meters: &'static Mutex<Meters>) -> Self {
        Self { one_in, meters, begun: None }
    }
}

impl Instrumentation for Meter {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            // By chance: every tenth would be the same one of a transaction of ten.
            InstrumentationEvent::StartQuery { .. } => {
                let is_measured = self.one_in <= 1 || fastrand::u32(0..self.one_in) == 0;
                self.begun = is_measured.then(Instant::now);
            }
            InstrumentationEvent::FinishQuery { query, error, .. } => {
                let Some(begun) = self.begun.take() else { return };
                let took = begun.elapsed();
                let shown = query.to_string();
                let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
                meters.count(without_binds(&shown), took, error.is_some());
            }
            _ => {}
        }
    }
}

/// What is known of one statement.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) calls: u64,
    errors: u64,
    pub(super) total_ms: f64,
    mean_ms: f64,
    squares: f64,
    pub(super) times: Histogram,
}

/// What is known of all.
#[derive(Debug)]
pub(super) struct Meters {
    begun: f64,
    pub(super) statements: BTreeMap<String, Counted>,
    /// Executions of statements that were too many, or too long.
    uncounted: u64,
}

impl Meters {
    pub(super) fn begun(begun: f64) -> Self {
        Self { begun, statements: BTreeMap::new(), uncounted: 0 }
    }

    pub(super) fn count(&mut self, text: &str, took: Duration, failed: bool) {
        if !self.statements.contains_key(text) {
            if self.statements.len() >= MOST || text.len() > LONGEST {
                self.uncounted += 1;
                return;
            }
            let times = Histogram::with_digits(2);
            let counted =
                Counted { calls: 0, errors: 0, total_ms: 0.0, mean_ms: 0.0, squares: 0.0, times };
            self.statements.insert(text.to_owned(), counted);
        }
        let Some(counted) = self.statements.get_mut(text) else { return };
        if failed {
            counted.errors += 1;
            return;
        }
        let ms = took.as_secs_f64() * 1000.0;
        counted.calls += 1;
        counted.total_ms += ms;
        // Welford 1962: the spread of numbers that are never seen again.
        let apart = ms - counted.mean_ms;
        counted.mean_ms += apart / counted.calls as f64;
        counted.squares += apart * (ms - counted.mean_ms);
        counted.times.record(took);
    }

    pub(super) fn measured(&self, now: f64, one_in: u32) -> Measured {
        let statement = |(text, counted): (&String, &Counted)| {
            // One that only failed has none.
            let known = |ms: f64| if counted.times.is_empty() { 0.0 } else { ms };
            let quantile = |share: f64| known(counted.times.quantile(share));
            MeasuredStatement {
                text: text.clone(),
                calls: counted.calls,
                errors: counted.errors,
                total_ms: counted.total_ms,
                mean_ms: counted.mean_ms,
                stddev_ms: (counted.squares / (counted.calls.max(1)) as f64).max(0.0).sqrt(),
                p50_ms: quantile(0.5),
                p95_ms: quantile(0.95),
                p99_ms: quantile(0.99),
                max_ms: known(counted.times.max()),
            }
        };
        Measured {
            format: Measured::FORMAT,
            process: format!("{} {:.3}", std::process::id(), self.begun),
            begun: self.begun,
            written: now,
            one_in,
            uncounted: self.uncounted,
            statements: self.statements.iter().map(statement).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_moments_and_percentiles() {
        let mut meters = Meters::begun(1.0);
        for n in 1..=1000 {
            meters.count("SELECT 1", Duration::from_micros(n * 10), false);
        }
        meters.count("SELECT 1", Duration::from_secs(9), true);
        let measured = meters.measured(2.0, 1);
        let [one] = measured.statements.as_slice() else { panic!("{measured:?}") };
        assert_eq!((one.calls, one.errors), (1000, 1));
        let near = |a: f64, b: f64, within: f64| assert!((a - b).abs() <= within, "{a} {b}");
        near(one.mean_ms, 5.005, 1e-9);
        near(one.stddev_ms, ((1000.0_f64 * 1000.0 - 1.0) / 12.0).sqrt() / 100.0, 1e-9);
        // Two digits.
        near(one.p50_ms, 5.0, 0.05);
        near(one.p99_ms, 9.9, 0.1);
        near(one.max_ms, 10.0, 0.1);
    }

    #[test]
    fn too_many_and_too_long_are_counted_as_such() {
        let mut meters = Meters::begun(1.0);
        for n in 0..=MOST {
            meters.count(&format!("SELECT {n}"), Duration::from_millis(1), false);
        }
        meters.count(&"x".repeat(LONGEST + 1), Duration::from_millis(1), false);
        let measured = meters.measured(2.0, 1);
        assert_eq!((measured.statements.len(), measured.uncounted), (MOST, 2));
    }
}
