//! Controls in the role of treated statements: what chance does.

use std::collections::BTreeMap;

use super::{
    Thresholds,
    panel::{Layout, Panel, Picks, Row},
};

/// What is known of one statement, or of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    pub(super) log_ratio: f64,
    pub(super) error: f64,
}

impl Estimate {
    /// Returns the effect in units of its error.
    fn statistic(self) -> f64 {
        (self.log_ratio / self.error).abs()
    }
}

/// The controls, ready to be compared with.
pub(super) struct Reference {
    pub(super) drift: f64,
    all: Picks,
    /// The controls' changes, ascending, each with its error.
    changes: Vec<(f64, f64)>,
    /// What moved all of them, piece by piece.
    common: Vec<BTreeMap<usize, f64>>,
    /// The square of the error that is usual here.
    usual: f64,
    prior: f64,
    floor: f64,
    /// Placebos' effects.
    effects: Vec<Estimate>,
    /// Their statistics, ascending.
    statistics: Vec<f64>,
}

impl Reference {
    pub(super) fn new(controls: &Panel, layout: &Layout, thresholds: &Thresholds) -> Self {
        let all = layout.all();
        let pieces: Vec<_> = controls.rows.iter().map(Row::pieces).collect();
        let sides = pieces.first().map_or(0, Vec::len);
        let common = (0..sides).map(|side| common(pieces.iter().map(|row| &row[side]))).collect();
        let mut reference = Self {
            drift: 0.0,
            all,
            changes: Vec::new(),
            common,
            usual: 0.0,
            prior: thresholds.prior,
            floor: thresholds.floor,
            effects: Vec::new(),
            statistics: Vec::new(),
        };
        let own: Vec<_> = pieces.iter().map(|row| reference.own(row)).collect();
        let mut squares: Vec<f64> = own.iter().map(|(square, _)| *square).collect();
        squares.sort_by(f64::total_cmp);
        reference.usual = median(&squares);
        let change = |row: &Row| row.change(&reference.all).unwrap_or_default();
        let mut changes: Vec<_> = controls
            .rows
            .iter()
            .zip(own)
            .map(|(row, own)| (change(row), reference.error(own)))
            .collect();
        changes.sort_by(|a, b| a.0.total_cmp(&b.0));
        reference.changes = changes;
        reference.drift = reference.median_without(&[]);
        reference.effects = (0..reference.changes.len())
            .map(|at| {
                let (change, error) = reference.changes[at];
                Estimate { log_ratio: change - reference.median_without(&[at]), error }
            })
            .collect();
        reference.statistics = reference.effects.iter().map(|e| e.statistic()).collect();
        reference.statistics.sort_by(f64::total_cmp);
        reference
    }

    /// Returns the median change of the controls but some, given by ascending rank.
    fn median_without(&self, without: &[usize]) -> f64 {
        let left = self.changes.len() - without.len();
        let nth = |mut nth: usize| {
            for taken in without {
                nth += usize::from(*taken <= nth);
            }
            self.changes[nth].0
        };
        f64::midpoint(nth((left - 1) / 2), nth(left / 2))
    }

    /// Returns the square of a statement's own error, and how many pieces it is known from.
    fn own(&self, pieces: &[BTreeMap<usize, f64>]) -> (f64, f64) {
        let sides = pieces.iter().zip(&self.common).map(|(side, common)| {
            let rest: Vec<f64> = side
                .iter()
                .map(|(at, value)| value - common.get(at).copied().unwrap_or(0.0))
                .collect();
            let n = rest.len() as f64;
            let mean = rest.iter().sum::<f64>() / n;
            let squares: f64 = rest.iter().map(|value| (value - mean).powi(2)).sum();
            (squares / (n - 1.0).max(1.0) / n, n - 1.0)
        });
        sides.fold((0.0, 0.0), |sum, side| (sum.0 + side.0, sum.1 + side.1))
    }

    /// Returns an error: a statement's own, but no smaller than what is usual here would make it.
    fn error(&self, (square, known): (f64, f64)) -> f64 {
        let drawn = (self.prior * self.usual + known * square) / (self.prior + known);
        (drawn.max(square) + self.floor * self.floor).sqrt()
    }

    pub(super) fn estimate(&self, row: &Row) -> Estimate {
        let change = row.change(&self.all).unwrap_or_default();
        let error = self.error(self.own(&row.pieces()));
        Estimate { log_ratio: change - self.drift, error }
    }

    /// Returns how often a placebo does as much; beyond the largest one by the square of the distance.
    pub(super) fn p(&self, estimate: &Estimate) -> f64 {
        p(&self.statistics, estimate.statistic())
    }

    /// Returns how many errors away chance stays, but for a share `alpha` of cases.
    pub(super) fn reach(&self, alpha: f64) -> f64 {
        reach(&self.statistics, alpha)
    }

    /// Returns the effect of a group, how often groups of controls show as much, and how many errors
    /// away these stay, but for a share `alpha`.
    pub(super) fn group(
        &self,
        members: &[Estimate],
        weights: &[f64],
        thresholds: &Thresholds,
        random: &mut fastrand::Rng,
    ) -> (Estimate, f64, f64) {
        let estimate = together(members.iter().copied().zip(weights.iter().copied()));
        let statistics = self.draw_groups(members.len(), weights, thresholds.groups, random);
        let reach = reach(&statistics, thresholds.alpha);
        (estimate, p(&statistics, estimate.statistic()), reach)
    }

    /// Returns the statistics of random groups of controls, ascending.
    ///
    /// No more than half of the controls are taken, so that the other half can be compared with; a
    /// smaller group varies more, which errs on the side of silence.
    fn draw_groups(
        &self,
        members: usize,
        weights: &[f64],
        groups: u32,
        random: &mut fastrand::Rng,
    ) -> Vec<f64> {
        let mut heaviest = weights.to_vec();
        heaviest.sort_by(|a, b| b.total_cmp(a));
        heaviest.truncate(members.min(self.changes.len() / 2));
        let mut deck: Vec<usize> = (0..self.changes.len()).collect();
        let mut drawn = |_| {
            for at in 0..heaviest.len() {
                let other = random.usize(at..deck.len());
                deck.swap(at, other);
            }
            let chosen = &deck[..heaviest.len()];
            let mut sorted = chosen.to_vec();
            sorted.sort_unstable();
            let median = self.median_without(&sorted);
            let member = |at: &usize| {
                let (change, error) = self.changes[*at];
                Estimate { log_ratio: change - median, error }
            };
            together(chosen.iter().map(member).zip(heaviest.iter().copied())).statistic()
        };
        let mut statistics: Vec<f64> = (0..groups).map(&mut drawn).collect();
        statistics.sort_by(f64::total_cmp);
        statistics
    }

    /// Returns what placebos did, ascending.
    pub(super) fn placebos(&self) -> Vec<f64> {
        let mut effects: Vec<f64> = self.effects.iter().map(|effect| effect.log_ratio).collect();
        effects.sort_by(f64::total_cmp);
        effects
    }
}

fn together(members: impl Iterator<Item = (Estimate, f64)>) -> Estimate {
    let (mut sum, mut square, mut weight) = (0.0, 0.0, 0.0);
    for (member, w) in members {
        sum += member.log_ratio * w;
        square += (member.error * w).powi(2);
        weight += w;
    }
    Estimate { log_ratio: sum / weight, error: square.sqrt() / weight }
}

/// Returns, for each piece, how far the median row is from its own middle.
fn common<'a>(rows: impl Iterator<Item = &'a BTreeMap<usize, f64>>) -> BTreeMap<usize, f64> {
    let mut pieces: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for row in rows {
        let mean = row.values().sum::<f64>() / row.len() as f64;
        for (at, value) in row {
            pieces.entry(*at).or_default().push(value - mean);
        }
    }
    pieces
        .into_iter()
        .map(|(at, mut values)| {
            values.sort_by(f64::total_cmp);
            (at, median(&values))
        })
        .collect()
}

/// Returns the median of ascending values, of which there is one at least.
fn median(ascending: &[f64]) -> f64 {
    let count = ascending.len();
    f64::midpoint(ascending[(count - 1) / 2], ascending[count / 2])
}

fn p(ascending: &[f64], statistic: f64) -> f64 {
    let as_much = ascending.len() - ascending.partition_point(|placebo| *placebo < statistic);
    let step = 1.0 / (ascending.len() as f64 + 1.0);
    if as_much > 0 {
        return (as_much as f64 + 1.0) * step;
    }
    // Placebos that never moved do not make one error's distance impossible.
    let largest = ascending.last().map_or(f64::INFINITY, |largest| largest.max(1.0));
    step * (largest / statistic).min(1.0).powi(2)
}

fn reach(ascending: &[f64], alpha: f64) -> f64 {
    let count = ascending.len();
    let rank = ((count as f64 + 1.0) * (1.0 - alpha)).ceil() as usize;
    ascending[rank.clamp(1, count) - 1]
}

/// Returns p-values corrected for their number, each with its share of the permitted error
/// (Holm 1979, with weights).
pub(super) fn holm(raw: &[f64], shares: &[f64]) -> Vec<f64> {
    let due = |at: usize| raw[at] / shares[at];
    let mut order: Vec<usize> = (0..raw.len()).collect();
    order.sort_by(|a, b| due(*a).total_cmp(&due(*b)));
    let mut adjusted = vec![1.0; raw.len()];
    let (mut left, mut least): (f64, f64) = (shares.iter().sum(), 0.0);
    for at in order {
        least = least.max(due(at) * left).min(1.0);
        adjusted[at] = least;
        left -= shares[at];
    }
    adjusted
}
