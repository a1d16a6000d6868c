//! How long a statement may wait for its lock, and when it is tried again: pure.

use std::time::Duration;

use crate::render::migrations::LOCK_TIMEOUT_MS;

/// The first rest besides the lock timeout, doubled with every try.
const FIRST_REST: Duration = Duration::from_millis(50);

/// The longest rest besides the lock timeout.
const LONGEST_REST: Duration = Duration::from_secs(10);

/// Limits of waiting. There is no last try without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// A statement waits so long for a lock before it leaves the queue: all that come after it wait
    /// as long. Whole seconds on MySQL and MariaDB.
    pub lock_timeout: Duration,
    /// A migration is tried again until this is over.
    pub max_wait: Duration,
    /// The concurrent build of an index waits so long for others, which holds up nobody.
    pub index_wait: Duration,
    /// Transactions older than this are named before such a build begins, which has to wait for them.
    pub old: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            lock_timeout: Duration::from_millis(LOCK_TIMEOUT_MS),
            max_wait: Duration::from_secs(15 * 60),
            index_wait: Duration::from_secs(4 * 60 * 60),
            old: Duration::from_secs(60),
        }
    }
}

impl Budget {
    /// Returns the rest after so many failed tries, given a random number between 0 and 1.
    ///
    /// At least the lock timeout, so that the application has half of the time for itself; above
    /// that full jitter, so that two runners do not meet again and again
    /// ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    pub(in crate::execute) fn rest(&self, tries: u32, random: f64) -> Duration {
        let doubled = FIRST_REST.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1)));
        self.lock_timeout + doubled.min(LONGEST_REST).mul_f64(random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever happened before, the application has its half, and nobody rests for ever.
        #[test]
        fn rests_have_bounds(tries: u32, random in 0.0..=1.0) {
            let budget = Budget::default();
            let rest = budget.rest(tries, random);
            prop_assert!(rest >= budget.lock_timeout);
            prop_assert!(rest <= budget.lock_timeout + LONGEST_REST);
        }

        #[test]
        fn later_rests_are_not_shorter(tries in 1..40_u32, random in 0.0..=1.0) {
            let budget = Budget::default();
            prop_assert!(budget.rest(tries, random) <= budget.rest(tries + 1, random));
        }
    }

    /// A migration is tried 30 times at the very least before its time is over.
    #[test]
    fn there_are_many_tries() {
        let budget = Budget::default();
        let tries = (1..=30).map(|n| budget.rest(n, 1.0) + budget.lock_timeout);
        assert!(tries.sum::<Duration>() < budget.max_wait);
    }
}
