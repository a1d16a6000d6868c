//! How often each latency came: of users of a benchmark, and of an application's statements.

use std::time::Duration;

use hdrhistogram::Histogram as Hdr;
use serde::{Deserialize, Serialize};

/// How often each latency came, in microseconds, to two or three digits.
///
/// In a file it is the list of latencies with how often each came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Counts", into = "Counts")]
pub struct Histogram(Hdr<u32>);

/// A histogram in a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counts {
    digits: u8,
    micros: Vec<(u64, u32)>,
}

impl From<Histogram> for Counts {
    fn from(histogram: Histogram) -> Self {
        Self { digits: histogram.0.sigfig(), micros: histogram.counts().collect() }
    }
}

impl From<Counts> for Histogram {
    fn from(counts: Counts) -> Self {
        let mut histogram = Self::with_digits(counts.digits);
        for (micros, times) in counts.micros {
            histogram.count(micros, times);
        }
        histogram
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::with_digits(3)
    }
}

impl Histogram {
    /// Starts one that keeps as many digits, from 1 to 5.
    #[must_use]
    pub fn with_digits(digits: u8) -> Self {
        let made = Hdr::new(digits.clamp(1, 5));
        Self(made.expect("one to five digits are all that it takes"))
    }

    /// Counts a latency.
    pub fn record(&mut self, took: Duration) {
        self.count(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), 1);
    }

    /// Counts a latency in microseconds so often.
    pub fn count(&mut self, micros: u64, times: u32) {
        /// An hour: nobody waits longer, and memory grows with the largest.
        const LONGEST: u64 = 3_600_000_000;
        // It grows as it must: the largest value it meets fits.
        self.0.record_n(micros.clamp(1, LONGEST), times).ok();
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        for (micros, times) in other.counts() {
            self.count(micros, times);
        }
    }

    /// How many were counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the latency in milliseconds that so large a share does not exceed.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        if self.is_empty() { f64::NAN } else { self.0.value_at_quantile(share) as f64 / 1e3 }
    }

    /// Returns the same where there are enough to have one beyond it; else no number.
    #[must_use]
    pub fn known_quantile(&self, share: f64) -> f64 {
        let beyond = (1.0 - share) * self.len() as f64;
        if beyond > 0.999_999 { self.quantile(share) } else { f64::NAN }
    }

    /// Returns the longest, in milliseconds.
    #[must_use]
    pub fn max(&self) -> f64 {
        if self.is_empty() { f64::NAN } else { self.0.max() as f64 / 1e3 }
    }

    /// Returns how many were not longer, in microseconds.
    #[cfg(feature = "measure")]
    pub(crate) fn up_to(&self, micros: u64) -> u64 {
        self.0.count_between(0, micros)
    }

    /// Returns each latency that came, in microseconds, and how often.
    pub fn counts(&self) -> impl Iterator<Item = (u64, u32)> {
        self.0.iter_recorded().map(|one| (one.value_iterated_to(), one.count_at_value()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_twice_is_the_same_as_added() {
        let mut one = Histogram::default();
        one.record(Duration::from_secs(2));
        one.record(Duration::from_micros(3));
        let mut again = Histogram::default();
        again.add(&one);
        assert_eq!(again, one);
        let mut sum = one.clone();
        sum.add(&again);
        assert_eq!((sum.len(), sum.max()), (4, one.max()));
    }

    #[test]
    fn a_file_gives_back_what_was_counted() {
        let mut histogram = Histogram::with_digits(2);
        for micros in [1, 70, 70, 12_345, 2_000_000] {
            histogram.count(micros, 3);
        }
        let text = serde_json::to_string(&histogram).unwrap();
        assert_eq!(text, r#"{"digits":2,"micros":[[1,3],[70,6],[12351,3],[2007039,3]]}"#);
        let again: Histogram = serde_json::from_str(&text).unwrap();
        assert_eq!(again.counts().collect::<Vec<_>>(), histogram.counts().collect::<Vec<_>>());
    }
}
