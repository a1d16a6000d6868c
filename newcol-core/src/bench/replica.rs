//! How far a standby was behind while users were at work and a column was filled.
//!
//! It is looked at often: how far the primary's log is written, and how far the standby has replayed
//! it. The difference is the lag in bytes. Its lag in time is how long ago the oldest thing was written
//! that it has not replayed, as far as the looks tell; a standby that stands still falls behind by a
//! second each second.

use serde::{Deserialize, Serialize};

use super::load::{Phase, PhaseLoad};

/// One look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// When, in seconds from the start.
    pub at: f64,
    /// Bytes of log that the primary has written.
    pub written: f64,
    /// Bytes of log that the standby has replayed.
    pub replayed: f64,
}

/// A standby, and what it was behind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replica {
    /// In each phase.
    pub phases: Vec<Behind>,
    /// At most in each second.
    pub seconds: Vec<LagOfSecond>,
}

/// What a standby was behind in one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behind {
    /// Which one.
    pub phase: Phase,
    /// How often it was looked.
    pub looks: u64,
    /// In bytes.
    pub bytes: Spread,
    /// In seconds.
    pub seconds: Spread,
}

/// What is shown of many values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// What 95 of 100 stay below.
    pub p95: f64,
    /// The most.
    pub max: f64,
}

/// The most that a standby was behind within one second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LagOfSecond {
    /// Seconds from the start.
    pub second: u32,
    /// In bytes.
    pub bytes: f64,
    /// In seconds.
    pub seconds: f64,
}

/// What it was behind at one look.
#[derive(Debug, Clone, Copy)]
struct Lag {
    at: f64,
    bytes: f64,
    seconds: f64,
}

impl Replica {
    /// Makes sense of looks, which are in their order, and of phases.
    #[must_use]
    pub fn of(looks: &[Look], phases: &[PhaseLoad]) -> Self {
        let lags = lags(looks);
        let within = |phase: &PhaseLoad| {
            let of = lags.iter().filter(|lag| phase.from <= lag.at && lag.at < phase.to);
            let of: Vec<&Lag> = of.collect();
            (!of.is_empty()).then(|| Behind {
                phase: phase.phase,
                looks: of.len() as u64,
                bytes: Spread::of(of.iter().map(|lag| lag.bytes)),
                seconds: Spread::of(of.iter().map(|lag| lag.seconds)),
            })
        };
        let mut seconds: Vec<LagOfSecond> = Vec::new();
        for lag in lags.iter().filter(|lag| lag.at >= 0.0) {
            let second = lag.at as u32;
            match seconds.last_mut().filter(|last| last.second == second) {
                Some(last) => {
                    last.bytes = last.bytes.max(lag.bytes);
                    last.seconds = last.seconds.max(lag.seconds);
                }
                None => {
                    seconds.push(LagOfSecond { second, bytes: lag.bytes, seconds: lag.seconds });
                }
            }
        }
        Self { phases: phases.iter().filter_map(within).collect(), seconds }
    }

    /// Returns what it was behind in a phase.
    #[must_use]
    pub fn phase(&self, phase: Phase) -> Option<&Behind> {
        self.phases.iter().find(|behind| behind.phase == phase)
    }
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * values.len() as f64).ceil().max(1.0) as usize - 1;
            values.get(rank).copied().unwrap_or(f64::NAN)
        };
        Self { p95: at(0.95), max: at(1.0) }
    }
}

fn lags(looks: &[Look]) -> Vec<Lag> {
    // The first look at which more was written than is replayed now.
    let mut oldest = 0;
    let lag = |(at, look): (usize, &Look)| {
        while oldest < at && looks[oldest].written <= look.replayed {
            oldest += 1;
        }
        Lag {
            at: look.at,
            bytes: (look.written - look.replayed).max(0.0),
            seconds: look.at - looks[oldest].at,
        }
    };
    looks.iter().enumerate().map(lag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A primary that writes 1000 bytes a second, seen ten times a second; its standby replays nothing
    /// from the second on, and all at once in the fourth.
    fn stalled() -> Vec<Look> {
        let look = |n: u32| {
            let at = f64::from(n) / 10.0;
            let written = at * 1000.0;
            let replayed = if (1.0..4.0).contains(&at) { 1000.0 } else { written };
            Look { at, written, replayed }
        };
        (0..60).map(look).collect()
    }

    #[test]
    fn a_standby_that_stands_still_falls_behind_by_the_clock() {
        let phase = |phase, from, to| PhaseLoad { from, to, ..PhaseLoad::new(phase, 0) };
        let phases = [
            phase(Phase::Idle, 0.0, 1.0),
            phase(Phase::Backfill, 1.0, 4.0),
            phase(Phase::After, 4.0, 6.0),
            phase(Phase::Index, 6.0, 7.0),
        ];
        let replica = Replica::of(&stalled(), &phases);
        let none = Spread { p95: 0.0, max: 0.0 };
        let of = |phase| replica.phase(phase).unwrap();
        assert_eq!((of(Phase::Idle).looks, of(Phase::Idle).seconds), (10, none));
        assert_eq!((of(Phase::After).bytes, of(Phase::After).seconds), (none, none));
        let behind = of(Phase::Backfill);
        assert_eq!((behind.looks, behind.bytes.max, behind.bytes.p95), (30, 2900.0, 2800.0));
        // What was written after the first look that saw it replayed.
        assert!((behind.seconds.max - 2.8).abs() < 1e-9, "{behind:?}");
        assert_eq!(replica.phase(Phase::Index), None);
        let most: Vec<f64> = replica.seconds.iter().map(|of| of.bytes).collect();
        assert_eq!(most, [0.0, 900.0, 1900.0, 2900.0, 0.0, 0.0]);
    }

    #[test]
    fn a_standby_that_replays_late_is_as_late() {
        let look = |n: u32| {
            let at = f64::from(n) / 10.0;
            Look { at, written: at * 1000.0, replayed: (at * 1000.0 - 500.0).max(0.0) }
        };
        let looks: Vec<Look> = (0..100).map(look).collect();
        let last = lags(&looks).pop().unwrap();
        assert!(last.bytes == 500.0 && (0.35..=0.5).contains(&last.seconds), "{last:?}");
    }
}
