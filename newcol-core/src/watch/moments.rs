//! Mean and spread of one window, out of counters that only ever grow.
//!
//! `pg_stat_statements` keeps for each statement the number of its executions, the sum of their times,
//! their mean and their standard deviation, all since the last reset. What happened between two
//! snapshots is the difference, and the spread can be subtracted as well: squared deviations of two
//! parts add up to those of the whole, once the distance between the two means is paid for (Chan,
//! Golub and LeVeque, *Updating Formulae and a Pairwise Algorithm for Computing Sample Variances*,
//! 1979). Read backwards, with `M2 = calls · stddev²` (the server divides by `calls`, not by one less):
//!
//! ```text
//! n      = calls_b − calls_a
//! mean_w = (total_b − total_a) / n
//! M2_w   = M2_b − M2_a − (mean_w − mean_a)² · calls_a · n / calls_b
//! ```
//!
//! The textbook way (`Σx² − n · mean²`) would subtract numbers as large as the square of the mean; here
//! only deviations are subtracted. A window whose deviations are below what a double can keep of the
//! older ones has no spread that could be told, and none is made up.

/// Counters of one statement as the server shows them, since its last reset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cumulative {
    /// Executions.
    pub calls: u64,
    /// Their times together.
    pub total_ms: f64,
    /// The mean of their times.
    pub mean_ms: f64,
    /// Their standard deviation, as of a whole population; `None` where the server does not know it.
    pub stddev_ms: Option<f64>,
}

impl Cumulative {
    /// A statement that the server has not seen yet.
    pub const NONE: Self = Self { calls: 0, total_ms: 0.0, mean_ms: 0.0, stddev_ms: Some(0.0) };

    fn squares(&self) -> Option<f64> {
        self.stddev_ms.map(|stddev| self.calls as f64 * stddev * stddev)
    }
}

/// What happened between two snapshots.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// Nothing.
    Idle,
    /// The statement was executed.
    Ran(Moments),
    /// The counters began anew: what happened before that is lost, so nothing can be said.
    Reset,
}

/// Number, mean and spread of the executions of one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// Executions, at least one.
    pub calls: u64,
    /// The mean of their times.
    pub mean_ms: f64,
    /// Their standard deviation; `None` where rounding leaves nothing of it.
    pub sd_ms: Option<f64>,
}

impl Moments {
    /// Returns the moments of two windows together.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let (a, b) = (self.calls as f64, other.calls as f64);
        let calls = self.calls + other.calls;
        let distance = other.mean_ms - self.mean_ms;
        let squares =
            |x: f64, y: f64| a * x * x + b * y * y + distance * distance * a * b / (a + b);
        Self {
            calls,
            mean_ms: self.mean_ms + distance * b / (a + b),
            sd_ms: self.sd_ms.zip(other.sd_ms).map(|(x, y)| (squares(x, y) / (a + b)).sqrt()),
        }
    }
}

/// How many roundings separate what the server added up from what we subtract.
const ROUNDINGS: f64 = 64.0;

/// Returns what happened between two snapshots of the same statement.
///
/// Counters that went down, or are no numbers, are a reset: also a total that fell while the calls grew,
/// as after a reset that more calls followed than there were before.
#[must_use]
pub fn change(before: &Cumulative, after: &Cumulative) -> Change {
    let sound = |c: &Cumulative| {
        let spread = c.stddev_ms.unwrap_or_default();
        [c.total_ms, c.mean_ms, spread].iter().all(|value| value.is_finite() && *value >= 0.0)
    };
    let slack = 1.0 - ROUNDINGS * f64::EPSILON;
    let fell = after.calls < before.calls || after.total_ms < before.total_ms * slack;
    if !sound(before) || !sound(after) || fell {
        return Change::Reset;
    }
    let calls = after.calls - before.calls;
    if calls == 0 {
        return Change::Idle;
    }
    let n = calls as f64;
    let mean = (after.total_ms - before.total_ms).max(0.0) / n;
    let distance = if before.calls == 0 { 0.0 } else { mean - before.mean_ms };
    let between = distance * distance * before.calls as f64 * n / after.calls as f64;
    let Some((older, newer)) = before.squares().zip(after.squares()) else {
        return Change::Ran(Moments { calls, mean_ms: mean, sd_ms: None });
    };
    let squares = newer - older - between;
    // Squares that fell by more than rounding are of another life of the counters.
    let noise = ROUNDINGS * f64::EPSILON * (newer + older + between);
    let lost = noise + 1e-6 * (older + between);
    if squares < -lost {
        return Change::Reset;
    }
    let sd_ms = (squares > noise || before.calls == 0 || calls == 1)
        .then(|| if calls == 1 { 0.0 } else { (squares.max(0.0) / n).sqrt() });
    Change::Ran(Moments { calls, mean_ms: mean, sd_ms })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As `pg_stat_statements.c` adds one execution (Welford 1962).
    fn add(counters: &mut Cumulative, squares: &mut f64, time: f64) {
        counters.calls += 1;
        counters.total_ms += time;
        let old = counters.mean_ms;
        counters.mean_ms += (time - old) / counters.calls as f64;
        *squares += (time - old) * (time - counters.mean_ms);
        counters.stddev_ms = Some((*squares / counters.calls as f64).sqrt());
    }

    fn seen(times: &[f64]) -> (Cumulative, f64) {
        let (mut counters, mut squares) = (Cumulative::NONE, 0.0);
        times.iter().for_each(|time| add(&mut counters, &mut squares, *time));
        (counters, squares)
    }

    fn directly(times: &[f64]) -> (f64, f64) {
        let n = times.len() as f64;
        let mean = times.iter().sum::<f64>() / n;
        (mean, (times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / n).sqrt())
    }

    fn near(a: f64, b: f64, within: f64) -> bool {
        (a - b).abs() <= within
    }

    fn times(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f64>> {
        (0.001..1000.0_f64, 0.01..2.0_f64).prop_flat_map(move |(scale, spread)| {
            prop::collection::vec(0.0..1.0_f64, count.clone())
                .prop_map(move |parts| parts.iter().map(|p| scale * (1.0 + spread * p)).collect())
        })
    }

    proptest! {
        #[test]
        fn a_window_is_what_was_in_it(old in times(0..300), new in times(1..300)) {
            let (before, mut squares) = seen(&old);
            let mut after = before;
            new.iter().for_each(|time| add(&mut after, &mut squares, *time));
            let (mean, sd) = directly(&new);
            let Change::Ran(window) = change(&before, &after) else {
                panic!("{before:?} {after:?}");
            };
            prop_assert_eq!(window.calls, new.len() as u64);
            let scale = after.total_ms / after.calls as f64 + mean;
            prop_assert!(near(window.mean_ms, mean, 1e-9 * scale), "{} {mean}", window.mean_ms);
            // What is lost is what a double cannot keep beside the older deviations.
            let kept = 1e-6 * (sd + before.stddev_ms.unwrap() * (before.calls as f64).sqrt() + scale);
            if let Some(found) = window.sd_ms {
                prop_assert!(near(found, sd, kept), "{found} {sd}");
            } else {
                prop_assert!(sd < kept, "{sd} was to be told");
            }
        }

        #[test]
        fn windows_side_by_side_are_one(first in times(1..100), second in times(1..100)) {
            let window = |times: &[f64]| match change(&Cumulative::NONE, &seen(times).0) {
                Change::Ran(moments) => moments,
                other => panic!("{other:?}"),
            };
            let merged = window(&first).merge(window(&second));
            let whole = window(&[first, second].concat());
            prop_assert_eq!(merged.calls, whole.calls);
            prop_assert!(near(merged.mean_ms, whole.mean_ms, 1e-9 * whole.mean_ms));
            let sds = (merged.sd_ms.unwrap(), whole.sd_ms.unwrap());
            prop_assert!(near(sds.0, sds.1, 1e-7 * whole.mean_ms), "{sds:?}");
        }

        #[test]
        fn a_reset_is_never_a_window_of_fewer_calls(old in times(2..200), new in times(0..200)) {
            let fell = |a: &Cumulative, b: &Cumulative| {
                b.calls < a.calls || b.total_ms < a.total_ms * 0.999
            };
            let (mut before, mut after) = (seen(&old).0, seen(&new).0);
            if !fell(&before, &after) {
                (before, after) = (after, before);
            }
            prop_assume!(fell(&before, &after));
            prop_assert_eq!(change(&before, &after), Change::Reset);
        }

        #[test]
        fn no_counters_give_a_number_that_is_none(raw in prop::array::uniform8(any::<f64>()),
            calls in prop::array::uniform2(any::<u64>())) {
            let of = |at: usize, calls| Cumulative {
                calls, total_ms: raw[at], mean_ms: raw[at + 1], stddev_ms: Some(raw[at + 2]),
            };
            if let Change::Ran(window) = change(&of(0, calls[0]), &of(4, calls[1])) {
                prop_assert!(!window.mean_ms.is_nan() && window.mean_ms >= 0.0);
                prop_assert!(!window.sd_ms.is_some_and(f64::is_nan));
            }
        }
    }

    #[test]
    fn nothing_happened() {
        let (counters, _) = seen(&[1.0, 2.0, 4.0]);
        assert_eq!(change(&counters, &counters), Change::Idle);
        assert_eq!(change(&Cumulative::NONE, &Cumulative::NONE), Change::Idle);
    }

    #[test]
    fn a_window_after_millions_of_calls_keeps_its_own_mean() {
        // Ten million calls of 5 ± 1 ms, then a thousand of 7 ± 0.5 ms.
        let before =
            Cumulative { calls: 10_000_000, total_ms: 5e7, mean_ms: 5.0, stddev_ms: Some(1.0) };
        let n = 1000.0;
        let squares: f64 = 1e7 + 0.25 * n + 4.0 * 1e7 * n / (1e7 + n);
        let after = Cumulative {
            calls: 10_001_000,
            total_ms: 5e7 + 7000.0,
            mean_ms: (5e7 + 7000.0) / 10_001_000.0,
            stddev_ms: Some((squares / 10_001_000.0).sqrt()),
        };
        let Change::Ran(window) = change(&before, &after) else { panic!() };
        assert!(near(window.mean_ms, 7.0, 1e-6), "{window:?}");
        assert!(near(window.sd_ms.unwrap(), 0.5, 1e-3), "{window:?}");
    }

    #[test]
    fn a_spread_that_nobody_keeps_is_none() {
        let of = |calls, total_ms| Cumulative { calls, total_ms, mean_ms: 0.0, stddev_ms: None };
        assert_eq!(
            change(&of(10, 50.0), &of(30, 150.0)),
            Change::Ran(Moments { calls: 20, mean_ms: 5.0, sd_ms: None })
        );
        let first = Change::Ran(Moments { calls: 10, mean_ms: 5.0, sd_ms: None });
        assert_eq!(change(&Cumulative::NONE, &of(10, 50.0)), first);
        assert_eq!(change(&of(10, 50.0), &of(30, 40.0)), Change::Reset);
    }

    #[test]
    fn the_squares_of_another_life_are_a_reset() {
        // Reset, then as many calls and more time, but far less spread.
        let before = Cumulative { calls: 100, total_ms: 500.0, mean_ms: 5.0, stddev_ms: Some(4.0) };
        let after = Cumulative { calls: 120, total_ms: 720.0, mean_ms: 6.0, stddev_ms: Some(0.1) };
        assert_eq!(change(&before, &after), Change::Reset);
    }
}
