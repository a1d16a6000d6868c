//! Finds the speed that the slowest replica can follow.
//!
//! Lag tells late: it is how old the changes are that the replica applies now, and what was written
//! since is still on its way. Who runs until the lag is too high and stops then has written several
//! times too much. So the speed is a share that starts low, grows while there is no lag, and is then
//! led to the share at which the lag stays at half of what it may be.

use std::time::Duration;

use super::{Lag, law::nanos};

/// The whole of the speed; shares are fractions of it.
pub(super) const WHOLE: u64 = 1 << 32;

/// Where a run starts: a replica that replays more than a hundred times slower than we write is rare,
/// and the whole speed is ten steps of half again away.
const START: u64 = WHOLE / 64;

/// The least share: the run is to crawl, not to end, when others alone cause the lag.
const LEAST: u64 = WHOLE / 1024;

/// How long a step takes at most while there is no lag, however much of it is allowed.
const LONGEST_STEP: Duration = Duration::from_secs(5);

/// The share of the speed that a replica can follow, as far as we know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replica {
    share: u64,
    lag: Duration,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No lag has been seen yet.
    Starting,
    /// The share follows the lag.
    Following,
    /// The lag was too high when it was last seen.
    Held,
}

impl Replica {
    pub(super) fn new() -> Self {
        Self { share: START, lag: Duration::ZERO, stage: Stage::Starting }
    }

    /// Learns the lag, so much time after it was learned before.
    pub(super) fn learn(&mut self, lag: Lag, max: Option<Duration>, since: Duration) {
        let (Lag::Behind(lag), Some(max)) = (lag, max) else { return };
        self.lag = lag;
        let [part, whole] = [nanos(lag), nanos(max).max(1)];
        let is_little = part <= whole / 8;
        // What is changed now shows after the lag, so a high one must be followed slowly.
        let step = if is_little { whole.min(nanos(LONGEST_STEP)) } else { whole };
        let since = nanos(since).min(step);
        let share = u128::from(self.share);
        let share = match self.stage {
            Stage::Held if part > whole => share,
            _ if part > whole => {
                self.stage = Stage::Held;
                share / 2
            }
            // Half again in each step.
            Stage::Starting if is_little => share + share * since / step / 2,
            // What we write by now is more than the replica can follow.
            Stage::Starting => {
                self.stage = Stage::Following;
                share / 2
            }
            // In each step, up or down by a quarter of the distance from half of the allowed lag.
            Stage::Following | Stage::Held => {
                self.stage = Stage::Following;
                let up = share + share * since / step / 8;
                up.saturating_sub(share * part / whole * since / step / 4)
            }
        };
        self.share = u64::try_from(share).unwrap_or(WHOLE).clamp(LEAST, WHOLE);
    }

    /// Returns the share to keep to now.
    ///
    /// The distance from half of the allowed lag counts at once, and so dampens what
    /// [`learn`](Self::learn) does with time.
    pub(super) fn share(&self, max: Duration) -> u64 {
        let max = nanos(max).max(1);
        let scale = (3 * max / 2).saturating_sub(nanos(self.lag));
        let share = u128::from(self.share) * scale / max;
        u64::try_from(share).unwrap_or(WHOLE).clamp(LEAST, WHOLE)
    }

    pub(super) fn is_starting(&self) -> bool {
        self.stage == Stage::Starting
    }
}
