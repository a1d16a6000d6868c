//! The control law: what each limit asks for, and how they are put together.
//!
//! Every limit is one function that answers with a [`Demand`] or stays silent. The next batch takes
//! the smallest size and the longest rest of them all; the demand that alone would make the run
//! slowest gives its name.

use std::time::Duration;

use super::{
    Lag, Limit, Observation, Operator, Outcome, Settings, Signals,
    replica::{self, Replica},
};

/// How old signals may be when a batch starts, and how often a hold looks at them: ten rows of a
/// catalog four times a second cost nothing, and a pause file removed is felt at once.
pub(super) const RECHECK: Duration = Duration::from_millis(250);

/// How often a lost signal is asked for: each try may be a new connection.
const RECHECK_LOST: Duration = Duration::from_secs(1);

/// How many times what it may a statement or a commit takes before it counts as stalled. An ordinary overrun is less; what
/// waits for so long waits for something else.
const STALL: u128 = 5;

/// First rest after a stall or a conflict; each further one in a row doubles it.
const BACK_OFF: Duration = Duration::from_millis(250);

/// How often it doubles: to 16 seconds, since a server in trouble for longer needs no more mercy
/// than one tiny batch in that time.
const BACK_OFF_DOUBLINGS: u32 = 6;

/// One batch writes at most what the log's budget grants in this time, so that a small budget is not
/// spent in bursts.
const WAL_SLICE_MS: u128 = 250;

/// The least that a limit with a sliding scale leaves of the speed: the run is to crawl, not to end.
const SLOWEST: u128 = 16;

/// Durations count up to a day, so that products of two fit.
const LONGEST: u128 = 24 * 60 * 60 * NANOS;

const NANOS: u128 = 1_000_000_000;

/// What one limit asks for.
#[derive(Clone, Copy)]
struct Demand {
    limit: Limit,
    rows: u64,
    /// In nanoseconds.
    rest: u128,
}

/// What all limits together ask for.
pub(super) struct Verdict {
    pub(super) rows: u64,
    pub(super) rest: Duration,
    pub(super) limit: Limit,
    pub(super) troubles: u32,
}

/// Judges a batch of which `asked` rows were asked for, after so many troubles in a row.
pub(super) fn judge(
    settings: &Settings,
    asked: u64,
    troubles: u32,
    batch: &Observation,
    horizon: Option<Duration>,
    replica: &Replica,
) -> Verdict {
    let law = Law::new(settings, asked, batch);
    let trouble = law.trouble(batch);
    let troubles = if trouble.is_some() { troubles.saturating_add(1) } else { 0 };
    let usual = law.batch_time();
    let mut verdict = usual;
    let mut strictest = usual;
    let demands = [
        trouble.map(|limit| law.back_off(usual, limit, troubles)),
        law.lock_waiters(usual, batch.waiters),
        law.wal_budget(usual, batch.wal),
        law.replica_lag(usual, replica),
        law.commit_latency(usual),
        law.horizon(usual, horizon),
    ];
    for demand in demands.into_iter().flatten() {
        verdict.rows = verdict.rows.min(demand.rows);
        verdict.rest = verdict.rest.max(demand.rest);
        if law.is_slower(demand, strictest) {
            strictest = demand;
        }
    }
    Verdict { rows: verdict.rows, rest: duration(verdict.rest), limit: strictest.limit, troubles }
}

/// Returns why nothing may run now, and when to look again.
pub(super) fn hold(settings: &Settings, signals: &Signals) -> Option<(Limit, Duration)> {
    match (signals.operator, signals.lag, settings.max_lag) {
        (Operator::Pause, _, _) => Some((Limit::Paused, RECHECK)),
        (Operator::Go, Lag::Lost, _) | (Operator::Go, Lag::NotAsked, Some(_)) => {
            Some((Limit::LostSignal, RECHECK_LOST))
        }
        (Operator::Go, Lag::Behind(lag), Some(max)) if lag > max => {
            Some((Limit::ReplicaLag, RECHECK))
        }
        (Operator::Go, Lag::Behind(_), _) | (Operator::Go, Lag::NotAsked, None) => None,
    }
}

/// One batch, in whole numbers that the law can multiply.
struct Law<'a> {
    settings: &'a Settings,
    asked: u64,
    done: u64,
    statement: u128,
    commit: u128,
}

impl<'a> Law<'a> {
    fn new(settings: &'a Settings, asked: u64, batch: &Observation) -> Self {
        let done = match batch.outcome {
            // An engine that works by pages may do more than it was asked to.
            Outcome::Done { rows } => rows.min(settings.max_rows),
            Outcome::Conflict => 0,
        };
        let [statement, commit] = [nanos(batch.statement), nanos(batch.commit)];
        Self { settings, asked, done, statement, commit }
    }

    /// The size that fills the target, and the rest that keeps the duty; always in force.
    fn batch_time(&self) -> Demand {
        let fits = self.fits_the_target();
        let rows = self.towards(fits);
        let limit = if u128::from(rows) * 3 <= u128::from(fits) * 2 {
            Limit::Growth
        } else if rows == self.settings.max_rows {
            Limit::BatchRows
        } else {
            Limit::BatchTime
        };
        Demand { limit, rows, rest: self.rest_for(1, 1) }
    }

    /// Rows that would have filled the target.
    fn fits_the_target(&self) -> u64 {
        // The commit is part of the time that locks are held. However slow it is by nature, a quarter
        // of the target stays for rows: smaller batches would only mean more commits. But it may be
        // slow because of what the batch wrote, so the quarter melts once it takes too long.
        let target = nanos(self.settings.target);
        let max_commit = nanos(self.settings.max_commit);
        let fits = |seen: u64| {
            let seen = u128::from(seen);
            let whole = seen * target / (self.statement + self.commit).max(1);
            let slow = self.statement.max(1) * self.commit.max(max_commit);
            rows(whole.max(seen * (target / 4) * max_commit / slow))
        };
        if self.done < self.asked {
            // Of the rows that are there to change it says only that these took no longer.
            let shown = fits(self.done).max(self.asked).max(self.settings.first_rows);
            fits(self.asked).min(shown)
        } else {
            fits(self.done).min(self.settings.max_rows)
        }
    }

    /// Says whether others' work, or a server that hangs, was in the way of the batch.
    fn trouble(&self, batch: &Observation) -> Option<Limit> {
        let stalled = |took, may| took > nanos(may) * STALL;
        match batch.outcome {
            Outcome::Conflict => Some(Limit::LockConflict),
            Outcome::Done { .. } => (stalled(self.statement, self.settings.target)
                || stalled(self.commit, self.settings.max_commit))
            .then_some(Limit::Stall),
        }
    }

    /// The smallest batch, after a rest that doubles with each trouble in a row.
    fn back_off(&self, usual: Demand, limit: Limit, troubles: u32) -> Demand {
        let doublings = troubles.saturating_sub(1).min(BACK_OFF_DOUBLINGS);
        let rest = nanos(BACK_OFF) << doublings;
        Demand { limit, rows: self.settings.min_rows, rest: usual.rest + rest }
    }

    /// A batch as much smaller as there are sessions to share the wait, and time for them to pass.
    fn lock_waiters(&self, usual: Demand, waiters: u32) -> Option<Demand> {
        (waiters > 0).then(|| Demand {
            limit: Limit::LockWaiters,
            rows: usual.rows.min(self.towards(self.asked / (u64::from(waiters) + 1))),
            rest: usual.rest.max(self.work()),
        })
    }

    /// The time that the budget needs for the bytes of the batch, less the time the batch took.
    ///
    /// Nothing is saved up: a batch that wrote less than its share leaves no credit.
    fn wal_budget(&self, usual: Demand, wal: Option<u64>) -> Option<Demand> {
        let budget = u128::from(self.settings.wal_per_second?);
        let Some(bytes) = wal else {
            // Only a batch can bring this signal back: the smallest one, once in a while.
            let rest = usual.rest + nanos(RECHECK_LOST);
            return Some(Demand { limit: Limit::LostSignal, rows: self.settings.min_rows, rest });
        };
        let bytes = u128::from(bytes);
        let slice = budget * WAL_SLICE_MS / 1_000;
        let fits = match self.done {
            0 => self.asked,
            done => rows(slice * u128::from(done) / bytes.max(1)),
        };
        let rest = (bytes * NANOS).div_ceil(budget).saturating_sub(self.statement + self.commit);
        Some(Demand {
            limit: Limit::WalBudget,
            rows: usual.rows.min(self.towards(fits)),
            rest: usual.rest.max(rest),
        })
    }

    /// The share of the speed that the slowest replica can follow, in batches that are a small part of
    /// the allowed lag.
    fn replica_lag(&self, usual: Demand, replica: &Replica) -> Option<Demand> {
        let max = self.settings.max_lag?;
        let [share, whole] = [replica.share(max), replica::WHOLE].map(u128::from);
        (share < whole).then(|| {
            let full = self.fits_the_target().clamp(self.settings.min_rows, self.settings.max_rows);
            let cycle = (self.work_of(full) * 100 / u128::from(self.settings.duty)).max(1);
            // As long as they fit into an eighth of the allowed lag, rests are longer; then batches
            // are smaller.
            let longest = cycle.max(nanos(max) / 8);
            let fits = rows(u128::from(full) * share * longest / (cycle * whole)).min(full);
            let rows = self.towards(fits);
            let cycle = cycle * u128::from(rows) * whole / (u128::from(full) * share);
            Demand {
                limit: if replica.is_starting() { Limit::Growth } else { Limit::ReplicaLag },
                rows: usual.rows.min(rows),
                rest: usual.rest.max(cycle.saturating_sub(self.work_of(rows))),
            }
        })
    }

    /// Slower in proportion to how much the commit took too long.
    fn commit_latency(&self, usual: Demand) -> Option<Demand> {
        let max = nanos(self.settings.max_commit);
        (self.commit > max).then(|| Demand {
            limit: Limit::CommitLatency,
            rest: self.rest_for(max, self.commit),
            ..usual
        })
    }

    /// Slower in proportion to how much the oldest snapshot is too old.
    ///
    /// Never a hold: each row leaves one dead version, which is bearable, and a session that someone
    /// forgot would stop the run for ever.
    fn horizon(&self, usual: Demand, age: Option<Duration>) -> Option<Demand> {
        let [age, max] = [nanos(age?), nanos(self.settings.max_horizon?)];
        (age > max).then(|| Demand {
            limit: Limit::Horizon,
            rest: self.rest_for(max, age),
            ..usual
        })
    }

    /// Moves the size towards what fits: down at once; up by a third of the way in time per row,
    /// which is half again at most however much would fit.
    fn towards(&self, fits: u64) -> u64 {
        let [from, to] = [u128::from(self.asked), u128::from(fits)];
        let moved = if to <= from { to } else { (3 * from * to).div_ceil(2 * to + from).min(to) };
        rows(moved).clamp(self.settings.min_rows, self.settings.max_rows)
    }

    /// Returns the rest after which `part` of `whole` of the duty was kept.
    fn rest_for(&self, part: u128, whole: u128) -> u128 {
        let (part, whole) =
            if part * SLOWEST < whole { (1, SLOWEST) } else { (part.max(1), whole) };
        let work = self.work();
        let cycle = work * 100 * whole / (u128::from(self.settings.duty) * part);
        cycle.saturating_sub(work)
    }

    /// Time of the batch as far as it counts as work: what a stall lasts longer was waiting.
    fn work(&self) -> u128 {
        (self.statement + self.commit).min(self.longest_work())
    }

    /// Predicts the time of a batch of so many rows.
    fn work_of(&self, rows: u64) -> u128 {
        let seen = u128::from(self.asked.max(self.done).max(1));
        (self.statement * u128::from(rows) / seen + self.commit).min(self.longest_work())
    }

    fn longest_work(&self) -> u128 {
        (nanos(self.settings.target) + nanos(self.settings.max_commit)) * STALL
    }

    /// Compares what two demands alone would make of the speed.
    fn is_slower(&self, one: Demand, other: Demand) -> bool {
        let cycle =
            |demand: Demand| self.work_of(demand.rows) + demand.rest.min(u128::from(u64::MAX));
        u128::from(one.rows) * cycle(other) < u128::from(other.rows) * cycle(one)
    }
}

pub(super) fn nanos(duration: Duration) -> u128 {
    duration.as_nanos().min(LONGEST)
}

fn duration(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn rows(count: u128) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
