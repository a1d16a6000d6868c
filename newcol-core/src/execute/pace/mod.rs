//! Decides how many rows the next batch of a backfill has, and how long to rest before it.
//!
//! Pure: durations and counts in, decision out; no clock, no connection. Limits come in three kinds:
//! some ask for a *size* (the smallest wins), some for a *rest* (the longest wins), some for a
//! *hold* (any of them stops the work, and only a new look at the signals ends it). `docs/pace.md`
//! has the law in words, with its reasons.
//!
//! Invariants, for any input at all: sizes stay within the settings and grow by half at most; no
//! batch is asked for while a signal that it must heed is lost; no pause is longer than a second, so
//! that signals are never older than that when a batch starts. All of it is whole numbers: nothing
//! can overflow, divide by zero or be no number.

mod law;
mod replica;
mod settings;

use std::{fmt, time::Duration};

use self::replica::Replica;
pub use self::settings::{
    BATCH_TARGET, DUTY, FIRST_ROWS, FULL_SPEED_TARGET, MAX_COMMIT, MAX_HORIZON, MAX_LAG, MAX_ROWS,
    MIN_ROWS, Settings,
};

/// The pace of one worker.
///
/// ```
/// # use std::time::Duration;
/// use newcol_core::execute::pace::{Next, Observation, Outcome, Pace, Settings, Signals};
///
/// let mut pace = Pace::new(Settings::default());
/// let mut decision = pace.next();
/// for _ in 0..20 {
///     // Wait for `decision.pause` here, and read the signals.
///     let signals = Signals::default();
///     decision = match decision.next {
///         Next::Recheck => pace.recheck(&signals),
///         Next::Batch { rows } => {
///             // Run the batch here, in one transaction; this server needs 10 µs for a row.
///             let batch = Observation {
///                 outcome: Outcome::Done { rows },
///                 statement: Duration::from_micros(10 * rows),
///                 commit: Duration::from_millis(2),
///                 wal: None,
///                 waiters: 0,
///             };
///             pace.observe(&batch, &signals)
///         }
///     };
/// }
/// // 18 ms of 10 µs each, and as much rest as work.
/// assert!(matches!(decision.next, Next::Batch { rows: 1_750..=1_800 }));
/// assert_eq!(decision.limit.to_string(), "batch time");
/// ```
#[derive(Debug, Clone)]
pub struct Pace {
    settings: Settings,
    /// Rows of the next batch.
    rows: u64,
    /// The rest that is due before it.
    owed: Duration,
    /// Stalls and conflicts since the last batch that went well.
    troubles: u32,
    replica: Replica,
    /// What the last batch was limited by.
    limit: Limit,
    standing: Decision,
}

impl Pace {
    /// Begins a run; settings out of their range are moved to its nearest end.
    ///
    /// The first decision is to look at the signals, whatever the settings.
    pub fn new(settings: Settings) -> Self {
        let settings = settings.within_range();
        let limit = Limit::Growth;
        Self {
            settings,
            rows: settings.first_rows,
            owed: Duration::ZERO,
            troubles: 0,
            replica: Replica::new(),
            limit,
            standing: Decision { pause: Duration::ZERO, next: Next::Recheck, limit },
        }
    }

    /// Returns the decision that stands.
    pub fn next(&self) -> Decision {
        self.standing
    }

    /// Learns from a batch, whether it was committed or rolled back, and decides what comes next.
    pub fn observe(&mut self, batch: &Observation, signals: &Signals) -> Decision {
        let since =
            self.standing.pause.saturating_add(batch.statement).saturating_add(batch.commit);
        self.replica.learn(signals.lag, self.settings.max_lag, since);
        let verdict = law::judge(
            &self.settings,
            self.rows,
            self.troubles,
            batch,
            signals.horizon,
            &self.replica,
        );
        self.rows = verdict.rows;
        self.troubles = verdict.troubles;
        self.limit = verdict.limit;
        self.owed = self.unpaid().saturating_add(verdict.rest);
        self.decide(signals)
    }

    /// Looks at the signals again after a pause without a batch, and decides what comes next.
    pub fn recheck(&mut self, signals: &Signals) -> Decision {
        self.replica.learn(signals.lag, self.settings.max_lag, self.standing.pause);
        self.owed = self.unpaid();
        self.decide(signals)
    }

    /// Returns what is left of the rest that is due, now that the last pause is over.
    fn unpaid(&self) -> Duration {
        self.owed.saturating_sub(self.standing.pause)
    }

    fn decide(&mut self, signals: &Signals) -> Decision {
        self.standing = match law::hold(&self.settings, signals) {
            Some((limit, pause)) => {
                // Nobody knows what the server is like after a hold: begin as at the start.
                self.rows = self.rows.min(self.settings.first_rows);
                Decision { pause, next: Next::Recheck, limit }
            }
            None if self.owed > law::RECHECK => {
                Decision { pause: law::RECHECK, next: Next::Recheck, limit: self.limit }
            }
            None => Decision {
                pause: self.owed,
                next: Next::Batch { rows: self.rows },
                limit: self.limit,
            },
        };
        self.standing
    }
}

/// What a worker does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// How long to wait first; longer is always allowed, and a stop may cut it short.
    pub pause: Duration,
    /// What to do then.
    pub next: Next,
    /// What limits the run now, for the progress line.
    pub limit: Limit,
}

/// What follows a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Run a batch and report it to [`Pace::observe`].
    Batch {
        /// About how many rows, at least one.
        rows: u64,
    },
    /// Run nothing; read the signals and call [`Pace::recheck`].
    Recheck,
}

/// What a batch was like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// How it ended.
    pub outcome: Outcome,
    /// How long its statement took, or all of its statements together.
    pub statement: Duration,
    /// How long its commit took, or its rollback.
    pub commit: Duration,
    /// Bytes written to the log since the batch began, also if it was rolled back; `None` where the
    /// engine does not tell.
    pub wal: Option<u64>,
    /// The most sessions seen waiting for locks of the batch.
    pub waiters: u32,
}

/// How a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Committed.
    Done {
        /// Rows that were changed; fewer than asked for where few were left to change.
        rows: u64,
    },
    /// Rolled back because others held its rows: lock timeout, deadlock, serialization failure.
    Conflict,
}

/// What the surroundings were like when a batch or a pause had ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signals {
    /// How far the slowest replica is behind.
    pub lag: Lag,
    /// How long the oldest snapshot has kept dead rows alive; `None` if there is none, or the engine
    /// does not tell.
    pub horizon: Option<Duration>,
    /// What the people in charge want.
    pub operator: Operator,
}

/// How far the slowest replica is behind: how old the changes are that it applies now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lag {
    /// Nobody asks: there is no replica, or its lag does not matter.
    #[default]
    NotAsked,
    /// By so much.
    Behind(Duration),
    /// It was asked and there is no answer.
    Lost,
}

/// What the people in charge want.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Operator {
    /// Work.
    #[default]
    Go,
    /// A pause file exists, or a pause was asked for in another way.
    Pause,
}

/// What limits a run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// The batch takes as long as it may, the usual state.
    BatchTime,
    /// More rows would fit into the time, but batches are not to have more.
    BatchRows,
    /// More rows would fit, and batches are growing towards that.
    Growth,
    /// The log may not be written faster.
    WalBudget,
    /// A replica is behind by more than half of what it may be.
    ReplicaLag,
    /// A signal that a limit needs does not come.
    LostSignal,
    /// Other sessions waited for locks of the batch.
    LockWaiters,
    /// Commits are slow: the log's disk, or a synchronous replica, cannot follow.
    CommitLatency,
    /// An old snapshot keeps dead rows alive.
    Horizon,
    /// The last batch took several times as long as it should.
    Stall,
    /// The last batch was rolled back because others held its rows.
    LockConflict,
    /// People in charge asked for a pause.
    Paused,
}

impl Limit {
    /// Every limit, in the order of `docs/pace.md`.
    pub const ALL: [Self; 12] = [
        Self::BatchTime,
        Self::BatchRows,
        Self::Growth,
        Self::WalBudget,
        Self::ReplicaLag,
        Self::LostSignal,
        Self::LockWaiters,
        Self::CommitLatency,
        Self::Horizon,
        Self::Stall,
        Self::LockConflict,
        Self::Paused,
    ];

    /// Returns its name on the progress line.
    pub fn name(self) -> &'static str {
        match self {
            Self::BatchTime => "batch time",
            Self::BatchRows => "batch rows",
            Self::Growth => "warming up",
            Self::WalBudget => "log budget",
            Self::ReplicaLag => "replica lag",
            Self::LostSignal => "lost signal",
            Self::LockWaiters => "lock waiters",
            Self::CommitLatency => "commit latency",
            Self::Horizon => "old snapshot",
            Self::Stall => "stall",
            Self::LockConflict => "lock conflict",
            Self::Paused => "paused",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
