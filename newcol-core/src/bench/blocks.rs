//! With and without the index in turn, and what the difference is.
//!
//! A machine that gets slower while one measures makes whatever comes second look slow. So both are
//! measured in short blocks, one after the other, and each block is only compared with its
//! neighbour. The interval is that of a bootstrap over such pairs.

use serde::{Deserialize, Serialize};

/// One measure, with and without, in neighbouring blocks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pairs {
    /// With and without.
    pub blocks: Vec<(f64, f64)>,
}

/// An estimate with the interval in which 95 of 100 samples lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// Samples of a bootstrap: more would move the bounds by less than they vary anyway.
const SAMPLES: usize = 2000;

impl Pairs {
    /// Estimates how many times as much it is with than without.
    #[must_use]
    pub fn ratio(&self, seed: u64) -> Estimate {
        self.estimate(seed, |with, without| with / without)
    }

    /// Estimates how much more it is with than without, in each block.
    #[must_use]
    pub fn difference(&self, seed: u64) -> Estimate {
        let blocks = self.blocks.len().max(1) as f64;
        self.estimate(seed, |with, without| (with - without) / blocks)
    }

    fn estimate(&self, seed: u64, of: impl Fn(f64, f64) -> f64) -> Estimate {
        let value = self.sum(self.blocks.iter(), &of);
        Estimate::of(value, self.samples(seed, of))
    }

    fn sum<'a>(
        &self,
        picked: impl Iterator<Item = &'a (f64, f64)>,
        of: &impl Fn(f64, f64) -> f64,
    ) -> f64 {
        let (with, without) = picked.fold((0.0, 0.0), |(a, b), (c, d)| (a + c, b + d));
        of(with, without)
    }

    /// Draws blocks again and again, and returns what each sample says.
    pub(super) fn samples(&self, seed: u64, of: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let mut random = fastrand::Rng::with_seed(seed);
        let count = self.blocks.len();
        if count == 0 {
            return Vec::new();
        }
        let mut sample = |_| self.sum((0..count).map(|_| &self.blocks[random.usize(..count)]), &of);
        (0..SAMPLES).map(&mut sample).collect()
    }
}

impl Estimate {
    /// Makes one of a value and what samples say of it.
    pub(super) fn of(value: f64, mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = share * (samples.len().max(1) - 1) as f64;
            samples.get(rank.round() as usize).copied().unwrap_or(f64::NAN)
        };
        Self { value, low: at(0.025), high: at(0.975) }
    }
}

/// From how many lookups for each insert an index pays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BreakEven {
    /// From so many, with an interval where there is one.
    From(Estimate),
    /// Inserts are not slower with it, as far as can be told.
    Always,
    /// Lookups are not faster with it, as far as can be told.
    Never,
}

impl BreakEven {
    /// Weighs what an insert loses against what a lookup gains, both in the same unit.
    ///
    /// `inserts` and `lookups` are times of one operation, with and without the index.
    #[must_use]
    pub fn of(inserts: &Pairs, lookups: &Pairs, seed: u64) -> Self {
        let (loss, change) = (inserts.difference(seed), lookups.difference(seed));
        if change.high.is_nan() || change.high >= 0.0 {
            return Self::Never;
        }
        if loss.low.is_nan() || loss.low <= 0.0 {
            return Self::Always;
        }
        // The loss at its most over the gain at its least, and the other way round.
        Self::From(Estimate {
            value: loss.value / -change.value,
            low: loss.low / -change.low,
            high: loss.high / -change.high,
        })
    }

    /// Says it in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::From(found) => format!(
                "the index pays from {} lookups per insert ({} to {})",
                lookups(found.value),
                lookups(found.low),
                lookups(found.high)
            ),
            Self::Always => {
                "the index pays from the first lookup: no insert was measurably slower \
                             with it"
                    .to_owned()
            }
            Self::Never => {
                "the index never pays: no lookup was measurably faster with it".to_owned()
            }
        }
    }
}

fn lookups(count: f64) -> String {
    match count {
        0.095.. => format!("{count:.1}"),
        0.00095.. => format!("{count:.3}"),
        _ => "less than 0.001".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(blocks: &[(f64, f64)]) -> Pairs {
        Pairs { blocks: blocks.to_vec() }
    }

    /// The machine gets ten times slower meanwhile, and what is compared does not.
    #[test]
    fn drift_cancels() {
        let drifting = (0..10).map(|at| 1.0 + f64::from(at));
        let blocks: Vec<_> = drifting.map(|slow| (1.2 * slow, slow)).collect();
        let found = pairs(&blocks).ratio(1);
        for bound in [found.value, found.low, found.high] {
            assert!((bound - 1.2).abs() < 1e-9, "{found:?}");
        }
    }

    /// Of many series without a difference, about one in twenty has an interval without 1.
    #[test]
    fn the_interval_holds_what_it_promises() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut noise = || 1.0 + 0.1 * ((0..12).map(|_| random.f64()).sum::<f64>() - 6.0);
        let wrong = (0..300).filter(|seed| {
            let blocks: Vec<_> = (0..12).map(|_| (noise(), noise())).collect();
            let found = pairs(&blocks).ratio(*seed);
            found.low > 1.0 || found.high < 1.0
        });
        let wrong = wrong.count();
        // A bootstrap of a dozen pairs is a little too sure of itself.
        assert!((3..=39).contains(&wrong), "{wrong} of 300");
    }

    #[test]
    fn an_index_pays_from_some_lookups_on() {
        let inserts = pairs(&[(1.31, 1.0), (1.30, 1.0), (1.32, 1.0), (1.31, 1.01), (1.31, 1.0)]);
        let fast = pairs(&[(0.1, 0.2), (0.1, 0.2), (0.11, 0.21), (0.1, 0.2), (0.1, 0.2)]);
        let BreakEven::From(found) = BreakEven::of(&inserts, &fast, 1) else { panic!() };
        assert!(
            (found.value - 3.1).abs() < 0.1 && found.low < 3.1 && found.high > 3.05,
            "{found:?}"
        );
        assert!(BreakEven::From(found).sentence().starts_with("the index pays from 3.1 lookups"));

        let same = pairs(&[(0.2, 0.21), (0.21, 0.2), (0.2, 0.2), (0.2, 0.21), (0.21, 0.2)]);
        assert_eq!(BreakEven::of(&inserts, &same, 1), BreakEven::Never);
        assert_eq!(BreakEven::of(&same, &fast, 1), BreakEven::Always);
        assert_eq!(BreakEven::of(&Pairs::default(), &Pairs::default(), 1), BreakEven::Never);
    }
}
