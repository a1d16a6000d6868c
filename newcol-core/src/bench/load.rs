//! What the users of a benchmark met, phase by phase.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::latency::{Histogram, Percentiles};

/// What is done to the table meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing yet.
    Idle,
    /// Old rows are filled.
    Backfill,
    /// The index is built.
    Index,
    /// Nothing any more.
    After,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Self; 4] = [Self::Idle, Self::Backfill, Self::Index, Self::After];

    /// Returns the word used in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Backfill => "backfill",
            Self::Index => "index build",
            Self::After => "after",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Requests were due faster than they were answered, so there is no latency to speak of: it grows as
/// long as one looks.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("SATURATED: {achieved:.0} of {target:.0} requests/s were answered")]
pub struct Saturated {
    /// Requests due in a second.
    pub target: f64,
    /// Requests answered in a second.
    pub achieved: f64,
}

/// Of the requests that are due, how many have to be answered for a latency to mean anything.
pub const SUSTAINED: f64 = 0.99;

/// Seconds that a phase has to last for that.
const JUDGED: f64 = 1.0;

/// What was met in one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseLoad {
    /// Which one.
    pub phase: Phase,
    /// When it began, in seconds from the start.
    pub from: f64,
    /// When it ended.
    pub to: f64,
    /// Requests that were due.
    pub due: u64,
    /// Of those, answered before the phase was over.
    pub in_time: u64,
    /// Of those, sent more than a millisecond late, because every connection was busy.
    pub late: u64,
    /// Of those, never sent: the run was over.
    pub skipped: u64,
    /// Of those, refused.
    pub failed: u64,
    /// Of each statement.
    pub statements: Vec<Histogram>,
}

impl PhaseLoad {
    /// Starts an empty one.
    #[must_use]
    pub fn new(phase: Phase, statements: usize) -> Self {
        Self {
            phase,
            from: 0.0,
            to: 0.0,
            due: 0,
            in_time: 0,
            late: 0,
            skipped: 0,
            failed: 0,
            statements: vec![Histogram::default(); statements],
        }
    }

    /// Adds what another client met in the same phase.
    pub fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.in_time += other.in_time;
        self.late += other.late;
        self.skipped += other.skipped;
        self.failed += other.failed;
        for (mine, theirs) in self.statements.iter_mut().zip(&other.statements) {
            mine.add(theirs);
        }
    }

    /// Returns all its latencies, whatever the statement.
    #[must_use]
    pub fn all(&self) -> Histogram {
        let mut all = Histogram::default();
        self.statements.iter().for_each(|one| all.add(one));
        all
    }

    /// Returns how long it was, in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        (self.to - self.from).max(0.0)
    }

    /// Reports whether the server kept up; what it was answering when the phase ended counts for it, and
    /// of less than a second nothing is held against it: latency tells how long its requests waited.
    ///
    /// # Errors
    ///
    /// When less than 99 of 100 requests were answered in time.
    pub fn sustained(&self, connections: u32) -> Result<(), Saturated> {
        let answered = (self.in_time + u64::from(connections)).min(self.due);
        if self.seconds() < JUDGED || answered as f64 >= SUSTAINED * self.due as f64 {
            return Ok(());
        }
        let per_second = |count: u64| count as f64 / self.seconds().max(1e-9);
        Err(Saturated { target: per_second(self.due), achieved: per_second(self.in_time) })
    }

    /// Returns what users met; `None` where there were none.
    ///
    /// # Errors
    ///
    /// When the server did not keep up.
    pub fn percentiles(&self, connections: u32) -> Result<Option<Percentiles>, Saturated> {
        self.sustained(connections)?;
        Ok(Percentiles::of(&self.all()))
    }
}

/// What was met in one second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Second {
    /// Which one, from the start: requests count where they were due.
    pub second: u32,
    /// By which statement.
    pub statement: u16,
    /// How long they took, to two digits.
    pub histogram: Histogram,
}

/// What users met in a whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Requests wished for in a second.
    pub rate: f64,
    /// Connections, so the most requests at a time.
    pub connections: u32,
    /// What was sent, by name.
    pub statements: Vec<String>,
    /// Phase by phase, in order; one may come more than once.
    pub phases: Vec<PhaseLoad>,
    /// Second by second, and statement by statement.
    pub seconds: Vec<Second>,
    /// What was said to the first requests that failed.
    pub failures: Vec<String>,
}

impl Load {
    /// Returns what was met in a phase, all its times together.
    #[must_use]
    pub fn phase(&self, phase: Phase) -> Option<PhaseLoad> {
        let mut times = self.phases.iter().filter(|one| one.phase == phase);
        let mut sum = times.next()?.clone();
        for more in times {
            // Only how long it was counts from here on.
            sum.to += more.seconds();
            sum.add(more);
        }
        Some(sum)
    }

    /// Reports whether the server kept up in every phase.
    ///
    /// # Errors
    ///
    /// With the first phase in which it did not.
    pub fn sustained(&self) -> Result<(), (Phase, Saturated)> {
        let failed = |one: &PhaseLoad| one.sustained(self.connections).err();
        let first = self.phases.iter().find_map(|one| Some((one.phase, failed(one)?)));
        first.map_or(Ok(()), Err)
    }

    /// Returns the latencies of each second, whatever the statement.
    #[must_use]
    pub fn by_second(&self) -> BTreeMap<u32, Histogram> {
        let mut all: BTreeMap<u32, Histogram> = BTreeMap::new();
        for one in &self.seconds {
            let sum = all.entry(one.second).or_insert_with(|| Histogram::with_digits(2));
            sum.add(&one.histogram);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(due: u64, in_time: u64) -> PhaseLoad {
        let mut all = PhaseLoad { to: 10.0, due, in_time, ..PhaseLoad::new(Phase::Idle, 1) };
        all.statements[0].record(std::time::Duration::from_millis(5));
        all
    }

    #[test]
    fn a_server_that_falls_behind_has_no_percentiles() {
        let said = phase(1000, 900).percentiles(8).unwrap_err();
        assert_eq!(said, Saturated { target: 100.0, achieved: 90.0 });
        assert_eq!(said.to_string(), "SATURATED: 90 of 100 requests/s were answered");
        assert!(phase(1000, 989).percentiles(0).is_err());
        assert!(phase(1000, 990).percentiles(0).unwrap().is_some());
    }

    #[test]
    fn of_a_moment_nothing_is_held_against_the_server() {
        let short = PhaseLoad { to: 0.05, ..phase(1000, 500) };
        assert!(short.percentiles(8).unwrap().is_some());
    }

    #[test]
    fn what_is_being_answered_at_the_end_is_no_backlog() {
        assert!(phase(100, 92).percentiles(8).unwrap().is_some());
        assert!(phase(100, 90).percentiles(8).is_err());
    }
}
