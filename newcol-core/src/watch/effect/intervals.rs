//! Intervals out of resampled blocks.

use super::panel::{Layout, Panel, Picks};

/// Where 95 of 100 samples lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Intervals of each statement and of all together.
pub(super) struct Intervals {
    pub(super) each: Vec<Interval>,
    pub(super) group: Interval,
}

impl Interval {
    /// Draws blocks, the same for statements and controls, so that what moves everyone cancels in
    /// each sample as it does in the estimate.
    pub(super) fn of(
        ours: &Panel,
        theirs: &Panel,
        layout: &Layout,
        weights: &[f64],
        samples: u32,
        random: &mut fastrand::Rng,
    ) -> Intervals {
        let mut each = vec![Vec::with_capacity(samples as usize); ours.rows.len()];
        let mut group = Vec::with_capacity(samples as usize);
        let mut changes = Vec::with_capacity(theirs.rows.len());
        for _ in 0..samples {
            let picks = layout.draw(random);
            let Some(drift) = drift(theirs, &picks, &mut changes) else { continue };
            let (mut sum, mut weight) = (0.0, 0.0);
            for (at, row) in ours.rows.iter().enumerate() {
                // A statement without calls in the blocks of this sample has no value in it.
                let Some(change) = row.change(&picks) else { continue };
                each[at].push(change - drift);
                sum += (change - drift) * weights[at];
                weight += weights[at];
            }
            if weight > 0.0 {
                group.push(sum / weight);
            }
        }
        Intervals { each: each.into_iter().map(percentiles).collect(), group: percentiles(group) }
    }
}

fn drift(theirs: &Panel, picks: &Picks, changes: &mut Vec<f64>) -> Option<f64> {
    changes.clear();
    changes.extend(theirs.rows.iter().filter_map(|row| row.change(picks)));
    let middle = changes.len() / 2;
    (!changes.is_empty()).then(|| *changes.select_nth_unstable_by(middle, f64::total_cmp).1)
}

fn percentiles(mut values: Vec<f64>) -> Interval {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let rank = (share * (values.len() as f64 - 1.0)).round();
        values.get(rank.max(0.0) as usize).copied()
    };
    // No sample, no bound: the placebos alone decide how wide it is.
    Interval {
        low: at(0.025).unwrap_or(f64::INFINITY),
        high: at(0.975).unwrap_or(f64::NEG_INFINITY),
    }
}
