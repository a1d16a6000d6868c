//! What a pace must keep to, and the default of everything with its reason.

use std::time::Duration;

/// How long a batch takes: a statement that meets one of our row locks waits for half of it on
/// average, which nobody notices, and a commit of a few milliseconds is still a small part of it.
pub const BATCH_TARGET: Duration = Duration::from_millis(20);

/// How long a batch takes at full speed: commits weigh little by then, and a longer batch would
/// gain next to nothing.
pub const FULL_SPEED_TARGET: Duration = Duration::from_millis(100);

/// Share of the time that is work, in percent: on a machine with two cores one of them is then free
/// for half of the time even while the other serves the application.
pub const DUTY: u8 = 50;

/// Rows of the first batch: 20 ms at 10 000 rows per second, which slow machines and tables with many
/// indexes manage; a fast one is at its full size a third of a second later.
pub const FIRST_ROWS: u64 = 200;

/// Fewest rows of a batch: with fewer, the transaction around them costs more than they do.
pub const MIN_ROWS: u64 = 10;

/// Most rows of a batch: no engine changes more in 100 ms, so it only guards against measurements
/// that are wrong.
pub const MAX_ROWS: u64 = 100_000;

/// How long a commit may take: about ten times what a disk in a cloud needs and more than twice a
/// hard disk. Above it the log has a queue, and the application's commits stand in the same one.
pub const MAX_COMMIT: Duration = Duration::from_millis(50);

/// How old a snapshot may be: reports and backups of that length are everyday, and stopping for
/// them would only move the same dead rows to a later hour.
pub const MAX_HORIZON: Duration = Duration::from_secs(10 * 60);

/// What to set as `max_lag` where there are replicas and nobody said more: pages that read what was
/// written a moment ago still find it after a reload, and it is far above what reading it misjudges.
pub const MAX_LAG: Duration = Duration::from_millis(1_500);

/// Bounds of durations and sizes: they keep the arithmetic within its types, and are far from
/// anything useful.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(60);
const ROWS_LIMIT: u64 = 1_000_000_000;

/// What a pace must keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long a batch takes with its commit, from a millisecond to a minute.
    pub target: Duration,
    /// Share of the time that is work, in percent from 1 to 100.
    pub duty: u8,
    /// Rows of the first batch, and most rows of a batch right after a hold.
    pub first_rows: u64,
    /// Fewest rows of a batch, at least one.
    pub min_rows: u64,
    /// Most rows of a batch, up to a billion.
    pub max_rows: u64,
    /// Bytes of log per second; for each of several workers, its part.
    pub wal_per_second: Option<u64>,
    /// How far a replica may be behind. Where it is set, [`Lag::NotAsked`](super::Lag::NotAsked)
    /// counts as lost.
    pub max_lag: Option<Duration>,
    /// How long a commit may take before rests get longer, from a millisecond to a minute.
    pub max_commit: Duration,
    /// How old a snapshot may be before rests get longer.
    pub max_horizon: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            target: BATCH_TARGET,
            duty: DUTY,
            first_rows: FIRST_ROWS,
            min_rows: MIN_ROWS,
            max_rows: MAX_ROWS,
            wal_per_second: None,
            max_lag: None,
            max_commit: MAX_COMMIT,
            max_horizon: Some(MAX_HORIZON),
        }
    }
}

impl Settings {
    /// Larger batches without rests, for a server that has nothing else to do; the limits that
    /// protect others stay.
    pub fn full_speed() -> Self {
        Self { target: FULL_SPEED_TARGET, duty: 100, ..Self::default() }
    }

    /// Moves what is out of its range to the nearest end.
    pub(super) fn within_range(self) -> Self {
        let max_rows = self.max_rows.clamp(1, ROWS_LIMIT);
        let min_rows = self.min_rows.clamp(1, max_rows);
        Self {
            target: self.target.clamp(SHORTEST, LONGEST),
            duty: self.duty.clamp(1, 100),
            first_rows: self.first_rows.clamp(min_rows, max_rows),
            min_rows,
            max_rows,
            wal_per_second: self.wal_per_second.map(|bytes| bytes.max(1)),
            max_commit: self.max_commit.clamp(SHORTEST, LONGEST),
            ..self
        }
    }
}
