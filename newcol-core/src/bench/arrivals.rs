//! When requests arrive: by chance, as those of many users do who know nothing of each other.

use std::time::Duration;

/// One request to come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arrival {
    /// When, from the start.
    pub at: Duration,
    /// Which statement.
    pub statement: usize,
    /// What its parameters are drawn with.
    pub draw: u64,
}

/// Requests of a Poisson process, without end.
///
/// The gaps are exponential and owe nothing to the answers: who is slow is asked no less often. The
/// same seed gives the same requests.
#[derive(Debug, Clone)]
pub struct Arrivals {
    random: fastrand::Rng,
    /// Requests in a second.
    rate: f64,
    /// Up to which share of the sum each statement goes.
    shares: Vec<f64>,
    at: f64,
}

impl Arrivals {
    /// Starts with a rate in requests per second, and the weights of the statements.
    #[must_use]
    pub fn new(seed: u64, rate: f64, weights: &[f64]) -> Self {
        let mut sum = 0.0;
        let shares = weights.iter().map(|weight| {
            sum += weight.max(0.0);
            sum
        });
        let shares = shares.collect();
        Self { random: fastrand::Rng::with_seed(seed), rate: rate.max(1e-6), shares, at: 0.0 }
    }

    /// Draws a statement by its weight.
    fn statement(&mut self) -> usize {
        let sum = self.shares.last().copied().unwrap_or_default();
        let drawn = self.random.f64() * sum;
        let at = self.shares.partition_point(|share| *share <= drawn);
        at.min(self.shares.len().saturating_sub(1))
    }
}

impl Iterator for Arrivals {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        self.at -= (1.0 - self.random.f64()).ln() / self.rate;
        let statement = self.statement();
        let at = Duration::from_secs_f64(self.at);
        Some(Arrival { at, statement, draw: self.random.u64(..) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_at_their_rate_and_by_their_weights() {
        let all: Vec<_> = Arrivals::new(7, 200.0, &[7.0, 2.0, 1.0]).take(100_000).collect();
        let last = all.last().unwrap().at.as_secs_f64();
        assert!((last - 500.0).abs() < 10.0, "{last}");
        let share = |n| all.iter().filter(|one| one.statement == n).count() as f64 / 1e5;
        for (at, wanted) in [(0, 0.7), (1, 0.2), (2, 0.1)] {
            assert!((share(at) - wanted).abs() < 0.01, "{at}: {}", share(at));
        }
        // Of a Poisson process, as many gaps are shorter than the mean as 1 − 1/e.
        let short = all.windows(2).filter(|two| (two[1].at - two[0].at).as_secs_f64() < 0.005);
        let short = short.count() as f64 / 1e5;
        assert!((short - 0.632).abs() < 0.01, "{short}");
    }

    #[test]
    fn a_seed_is_all_that_decides() {
        let of = |seed| Arrivals::new(seed, 50.0, &[1.0, 1.0]).take(50).collect::<Vec<_>>();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
