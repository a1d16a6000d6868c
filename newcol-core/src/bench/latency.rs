//! How long requests took, counted from the moment they were due.

pub use crate::histogram::Histogram;

/// What may be said of latencies that users would have met. What too few requests were there for is
/// no number: of fewer than a hundred, the slowest one says nothing of 99 in 100.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentiles {
    /// Requests behind it.
    pub requests: u64,
    /// Half of them were faster, in milliseconds.
    pub p50: f64,
    /// 95 of 100 were.
    pub p95: f64,
    /// 99 of 100 were.
    pub p99: f64,
    /// 999 of 1000 were.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
}

impl Percentiles {
    /// Reads them off; `None` where nothing was counted.
    #[must_use]
    pub fn of(histogram: &Histogram) -> Option<Self> {
        let at = |share: f64| histogram.known_quantile(share);
        (!histogram.is_empty()).then(|| Self {
            requests: histogram.len(),
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn percentiles_are_those_of_the_requests() {
        let mut histogram = Histogram::default();
        for micros in 1..=100_000 {
            histogram.record(Duration::from_micros(micros));
        }
        let said = Percentiles::of(&histogram).unwrap();
        for (found, wanted) in [(said.p50, 50.0), (said.p99, 99.0), (said.max, 100.0)] {
            assert!((found / wanted - 1.0).abs() < 0.002, "{found} for {wanted}");
        }
        assert_eq!(said.requests, 100_000);
    }

    #[test]
    fn nothing_has_no_percentiles() {
        assert_eq!(Percentiles::of(&Histogram::default()), None);
    }

    #[test]
    fn few_requests_say_nothing_of_rare_ones() {
        let mut histogram = Histogram::default();
        histogram.count(5_000, 99);
        let said = Percentiles::of(&histogram).unwrap();
        assert!(said.p99.is_nan() && said.p95 > 4.9 && said.max > 4.9, "{said:?}");
        histogram.count(5_000, 1);
        assert!(Percentiles::of(&histogram).unwrap().p99 > 4.9);
    }
}
