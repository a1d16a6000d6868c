//! Windows of many statements, gathered so that a chart can be read.

use crate::watch::{
    effect::{Signal, Split},
    series::{Series, Window},
};

/// How many moments a chart has.
const BINS: usize = 120;

/// Equal parts of the time that was watched, none shorter than its windows.
pub(super) struct Bins {
    from: f64,
    length: f64,
    count: usize,
}

impl Bins {
    pub(super) fn over<'a>(series: impl Iterator<Item = &'a Series>) -> Self {
        let windows = series.flat_map(|series| &series.windows);
        let (mut from, mut to, mut longest) = (f64::INFINITY, f64::NEG_INFINITY, 0.0_f64);
        for window in windows {
            (from, to) = (from.min(window.from), to.max(window.to));
            longest = longest.max(window.to - window.from);
        }
        let span = to - from;
        if !(span.is_finite() && span > 0.0) {
            return Self { from: 0.0, length: 1.0, count: 0 };
        }
        let length = (span / BINS as f64).max(longest);
        Self { from, length, count: (span / length).ceil() as usize }
    }

    fn of(&self, window: &Window) -> Option<usize> {
        let middle = f64::midpoint(window.from, window.to);
        let at = ((middle - self.from) / self.length).floor();
        (at >= 0.0 && at < self.count as f64).then_some(at as usize)
    }

    /// Returns the sums of a value, by the middle of each part.
    pub(super) fn sums<'a>(
        &self,
        series: impl Iterator<Item = &'a Series>,
        value: impl Fn(&Window) -> f64,
    ) -> Vec<(f64, f64)> {
        let mut sums = vec![0.0; self.count];
        for window in series.flat_map(|series| &series.windows) {
            if let Some(at) = self.of(window) {
                sums[at] += value(window);
            }
        }
        let middle = |at: usize| self.from + (at as f64 + 0.5) * self.length;
        sums.into_iter().enumerate().map(|(at, sum)| (middle(at), sum)).collect()
    }

    /// Turns sums into rates.
    pub(super) fn per_second(&self, sums: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
        sums.into_iter().map(|(at, sum)| (at, sum / self.length)).collect()
    }

    /// Returns a statement's means as multiples of its mean before, if it has one.
    pub(super) fn relative(
        &self,
        series: &Series,
        signal: Signal,
        split: Split,
    ) -> Option<Vec<(f64, f64)>> {
        let value = |window: &Window| match signal {
            Signal::Time => window.total_ms,
            Signal::Blocks => window.blocks as f64,
            Signal::Rows => window.rows as f64,
            Signal::LogPerRow => window.wal_bytes.unwrap_or(0) as f64,
        };
        let per = |window: &Window| match signal {
            Signal::Time | Signal::Blocks | Signal::Rows => window.calls as f64,
            Signal::LogPerRow => window.rows as f64,
        };
        let before = series.windows.iter().filter(|window| window.to <= split.before);
        let (all, times) = before.fold((0.0, 0.0), |(a, b), w| (a + value(w), b + per(w)));
        let mean = all / times;
        if !(mean.is_finite() && mean > 0.0) {
            return None;
        }
        let values = self.sums(std::iter::once(series), value);
        let calls = self.sums(std::iter::once(series), per);
        let points = values.into_iter().zip(calls);
        Some(points.map(|((at, value), (_, calls))| (at, value / calls / mean)).collect())
    }
}

/// Returns the median of lines with the same moments.
pub(super) fn median(lines: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    let moments = lines.first().map_or(&[][..], Vec::as_slice).iter().enumerate();
    moments
        .map(|(at, (moment, _))| {
            let mut here: Vec<f64> =
                lines.iter().map(|line| line[at].1).filter(|value| value.is_finite()).collect();
            here.sort_by(f64::total_cmp);
            let middle = here.get(here.len() / 2).copied().unwrap_or(f64::NAN);
            (*moment, middle)
        })
        .collect()
}
