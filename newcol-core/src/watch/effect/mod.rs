//! Whether statements became slower or faster, and not merely the whole server.
//!
//! # The question
//!
//! Between the hour before a release and the hour after it, everything changes: load, caches, the
//! neighbour's nightly job. "Slower by 15 %" therefore says nothing. What says something is *slower by
//! 15 % than the statements that cannot have noticed the column*: the **controls**. Such a difference
//! in differences is, for statement *i*,
//!
//! ```text
//! effect_i = Δ log(mean_i) − median over controls of Δ log(mean_c)
//! ```
//!
//! The logarithm makes drift that multiplies all times cancel; the median makes one control that went
//! mad, however many calls it has, weigh no more than any other. The effect of the whole **group** is
//! the mean of the effects, weighted by calls.
//!
//! # How sure
//!
//! A formula for the error would assume that minutes are independent and errors alike, and neither is
//! true. Instead each control is once treated as if it had been a statement of the column (a
//! **placebo**), against the others. What placebos do by chance is what chance does here (Abadie,
//! Diamond and Hainmueller, *Synthetic Control Methods for Comparative Case Studies*, 2010; Conley and
//! Taber, *Inference with "Difference in Differences" with a Small Number of Policy Changes*, 2011).
//! With *m* controls the smallest p-value is `1 / (m + 1)`, hence [`Thresholds::controls`]: with fewer
//! than twenty nothing could ever be significant, and we say so instead of lowering the bar.
//!
//! - *Noisy statements beside quiet ones.* A statement that runs ten times an hour varies more than one
//!   that runs a thousand times, and would look like an effect among quiet placebos. So effects are
//!   divided by their own error before they are compared. That error comes from a handful of blocks, so
//!   it is itself unsure; where it is small, it is drawn towards the median of the controls' errors, as
//!   if that were known from [`Thresholds::prior`] blocks (after Smyth, *Linear Models and Empirical
//!   Bayes Methods*, 2004). Where it is large, it is believed: a noisy statement is not made quiet.
//! - *Minutes that resemble each other.* Windows are gathered in blocks of [`Thresholds::block`]
//!   seconds, and only blocks are taken for independent (Künsch, *The Jackknife and the Bootstrap for
//!   General Stationary Observations*, 1989). The interval resamples blocks, the same for a statement
//!   and its controls, and is widened to what the placebos say where that is more: with four blocks on
//!   a side a bootstrap alone promises too much.
//! - *Many statements.* The p-values of all statements, and that of the group, are corrected together
//!   (Holm, *A Simple Sequentially Rejective Multiple Test Procedure*, 1979). So the chance that a
//!   report on which nothing happened names anything at all is at most [`Thresholds::alpha`]. Half of
//!   that is for the group ("did anything happen?"), half for the statements ("to which?"), and once
//!   the group is found, all of it is theirs.
//! - *Beyond the largest placebo* ranks say no more, yet twice as far is surely less likely. There the
//!   p-value falls with the square of the distance, as slow as any law of finite variance allows.
//! - *Groups* are compared with groups of as many controls, drawn at random, with the same weights.
//! - *Hours of the week.* Where both sides have seven days, each hour of the week is compared with
//!   itself, and days are what is resampled.
//!
//! # What is reported
//!
//! An effect of at least [`Thresholds::least`], a corrected p-value of at most [`Thresholds::alpha`],
//! and at least [`Thresholds::calls`] calls and [`Thresholds::blocks`] blocks on each side. Everything
//! else is kept with its numbers and the reason why it is not reported.
//!
//! The same is done to signals that load does not move: [`Signal::Blocks`] and [`Signal::Rows`] per
//! call tell that a plan changed, even where times are too noisy to say so.
//!
//! `simulation.rs` measures all this on series where the truth is known; `docs/watch-statistics.md` has
//! the figures.

mod intervals;
mod panel;
mod placebo;

use std::fmt;

use self::{
    intervals::Interval,
    panel::{Layout, Panel},
};
use super::series::{QueryId, Role, Series};

/// Everything that decides what is reported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Seconds of a block, the smallest piece that is taken for independent: 15 minutes, longer than
    /// caches, checkpoints and vacuums of a busy server usually take to come round.
    pub block: f64,
    /// Blocks that a side must have: with two, their distance is all that is known of their spread.
    pub blocks: usize,
    /// Calls that a side must have: below, single slow executions are the mean.
    pub calls: u64,
    /// Controls that are needed: with 20 placebos the smallest p-value is 1/21, just below 5 %.
    pub controls: usize,
    /// The smallest effect worth a sentence, as a logarithm: 5 %.
    pub least: f64,
    /// The largest p-value after correction that is called significant.
    pub alpha: f64,
    /// As how many blocks the common error of the controls counts beside a statement's own.
    pub prior: f64,
    /// The smallest error that is believed, as a logarithm: 1 %. Numbers of blocks per call are often
    /// the same to the last digit for hours, which does not make them certain.
    pub floor: f64,
    /// Groups of controls that are drawn.
    pub groups: u32,
    /// Bootstrap samples of an interval.
    pub samples: u32,
    /// Seconds that both sides must have before hours of the week are paired.
    pub paired_from: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            block: 900.0,
            blocks: 3,
            calls: 200,
            controls: 20,
            least: 1.05_f64.ln(),
            alpha: 0.05,
            prior: 6.0,
            floor: 0.01,
            groups: 999,
            samples: 400,
            paired_from: 7.0 * DAY,
        }
    }
}

pub(super) const DAY: f64 = 86_400.0;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Time of one execution.
    Time,
    /// Shared blocks touched by one execution, wherever they were found: load does not move it.
    Blocks,
    /// Rows of one execution.
    Rows,
    /// Bytes of log for one row: what writers pay.
    LogPerRow,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Time, Self::Blocks, Self::Rows, Self::LogPerRow];

    /// Returns what is added to each mean, so that nothing is divided by a mean of zero.
    ///
    /// A hundredth of a block or a row is far below anything that a plan differs by; a nanosecond
    /// below what the server's clock tells.
    fn offset(self) -> f64 {
        match self {
            Self::Time => 1e-6,
            Self::Blocks | Self::Rows => 0.01,
            Self::LogPerRow => 1.0,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Time => "time per call",
            Self::Blocks => "blocks per call",
            Self::Rows => "rows per call",
            Self::LogPerRow => "log per row",
        })
    }
}

/// Where one side ends and the other begins; what lies between belongs to neither.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Split {
    /// The end of the time before, in seconds since the epoch.
    pub before: f64,
    /// The beginning of the time after: past the backfill, if there was one, for it slows everyone.
    pub after: f64,
}

impl Split {
    /// Splits at one moment.
    #[must_use]
    pub fn at(moment: f64) -> Self {
        Self { before: moment, after: moment }
    }
}

/// Why nothing is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Chance cannot be told from effect without statements that saw only chance.
    FewControls {
        /// How many have enough calls and blocks on both sides.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
    /// None of the statements in question has enough calls and blocks on both sides.
    NothingToCompare,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FewControls { found, needed } => {
                write!(f, "{found} controls, {needed} needed")
            }
            Self::NothingToCompare => f.write_str("no statement has enough calls before and after"),
        }
    }
}

/// What became of one statement, or of all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// The logarithm of after to before, less that of the controls.
    pub log_ratio: f64,
    /// The interval of 95 % around it, also as logarithms.
    pub interval: (f64, f64),
    /// The error of `log_ratio`, by its blocks and those of the controls.
    pub error: f64,
    /// How often chance alone gives as much.
    pub p: f64,
    /// The same, corrected for all that was asked at once.
    pub adjusted_p: f64,
    /// The smallest change, as a logarithm, that would have been found in eight of ten cases.
    pub detectable: f64,
    /// Whether it is reported.
    pub finding: Finding,
}

impl Effect {
    /// Returns the effect as a change in percent.
    #[must_use]
    pub fn percent(&self) -> f64 {
        self.log_ratio.exp_m1() * 100.0
    }

    /// Returns how many times as long as so far both sides must be for a change to be found in eight of
    /// ten cases; at most 1 if they are long enough.
    #[must_use]
    pub fn longer_for(&self, log_ratio: f64) -> f64 {
        (self.detectable / log_ratio).powi(2)
    }
}

/// Whether an effect is reported, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It is.
    Changed,
    /// Significant or not: too small to matter.
    Small,
    /// Chance does as much.
    Chance,
}

/// One statement compared with the controls.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Whose.
    pub id: QueryId,
    /// How it uses the column.
    pub role: Role,
    /// Its mean before, in the signal's own unit.
    pub before: f64,
    /// Its mean after.
    pub after: f64,
    /// Calls before and after.
    pub calls: (u64, u64),
    /// What became of it.
    pub effect: Effect,
}

/// A statement with too little on one of the sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thin {
    /// Whose.
    pub id: QueryId,
    /// How it uses the column.
    pub role: Role,
    /// Calls before and after.
    pub calls: (u64, u64),
    /// Blocks with calls, before and after.
    pub blocks: (usize, usize),
}

/// What became of statements, against controls.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What was compared.
    pub signal: Signal,
    /// Each statement with enough on both sides, as given.
    pub queries: Vec<Compared>,
    /// All of them, weighted by calls; `None` if there is but one.
    pub group: Option<Effect>,
    /// Statements with too little to say anything of.
    pub thin: Vec<Thin>,
    /// What placebos did, as logarithms, ascending: the grey band.
    pub placebos: Vec<f64>,
    /// The change of the median control, as a logarithm: what happened to everyone.
    pub drift: f64,
}

impl Comparison {
    /// Returns the statements that are reported.
    pub fn findings(&self) -> impl Iterator<Item = &Compared> {
        self.queries.iter().filter(|query| query.effect.finding == Finding::Changed)
    }

    /// Returns whether anything is reported, be it of the group.
    #[must_use]
    pub fn alarms(&self) -> bool {
        let group = self.group.as_ref().is_some_and(|group| group.finding == Finding::Changed);
        group || self.findings().next().is_some()
    }
}

/// Compares statements with controls, before and after.
///
/// The same arguments give the same answer; `seed` draws groups and samples.
///
/// # Errors
///
/// Refuses with fewer than [`Thresholds::controls`] controls that have enough calls and blocks on both
/// sides, or if no statement has.
pub fn compare(
    treated: &[Series],
    controls: &[Series],
    split: Split,
    signal: Signal,
    thresholds: &Thresholds,
    seed: u64,
) -> Result<Comparison, Refusal> {
    let layout = Layout::of(treated, controls, split, thresholds);
    let panel = |series: &[Series]| Panel::new(series, &layout, signal, thresholds);
    let (ours, theirs) = (panel(treated), panel(controls));
    if theirs.rows.len() < thresholds.controls {
        let (found, needed) = (theirs.rows.len(), thresholds.controls);
        return Err(Refusal::FewControls { found, needed });
    }
    if ours.rows.is_empty() {
        return Err(Refusal::NothingToCompare);
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let reference = placebo::Reference::new(&theirs, &layout, thresholds);
    let single: Vec<_> = ours.rows.iter().map(|row| reference.estimate(row)).collect();
    let weights: Vec<f64> = ours.rows.iter().map(|row| row.weight()).collect();
    let group =
        (single.len() > 1).then(|| reference.group(&single, &weights, thresholds, &mut random));
    let mut raw: Vec<f64> = single.iter().map(|estimate| reference.p(estimate)).collect();
    raw.extend(group.iter().map(|(_, p, _)| *p));
    let mut shares = vec![1.0; single.len()];
    shares.extend(group.iter().map(|_| single.len() as f64));
    let adjusted = placebo::holm(&raw, &shares);
    let intervals =
        Interval::of(&ours, &theirs, &layout, &weights, thresholds.samples, &mut random);
    let effect = |at: usize, estimate: placebo::Estimate, placebos: f64, bootstrap: Interval| {
        let (own, half) = (estimate.log_ratio, placebos * estimate.error);
        // The interval stays around its own estimate, whatever the samples' median is.
        let interval = (bootstrap.low.min(own - half), bootstrap.high.max(own + half));
        let large = own.abs() >= thresholds.least;
        Effect {
            log_ratio: own,
            interval,
            error: estimate.error,
            p: raw[at],
            adjusted_p: adjusted[at],
            detectable: (placebos + EIGHT_OF_TEN) * estimate.error,
            finding: match (large, adjusted[at] <= thresholds.alpha) {
                (true, true) => Finding::Changed,
                (true, false) => Finding::Chance,
                (false, _) => Finding::Small,
            },
        }
    };
    let reach = reference.reach(thresholds.alpha);
    let queries = ours.rows.iter().zip(&single).enumerate().map(|(at, (row, estimate))| {
        let (before, after) = row.means();
        let effect = effect(at, *estimate, reach, intervals.each[at]);
        Compared { id: row.id, role: row.role, before, after, calls: row.calls, effect }
    });
    let queries = queries.collect();
    let group =
        group.map(|(estimate, _, reach)| effect(single.len(), estimate, reach, intervals.group));
    let (placebos, drift) = (reference.placebos(), reference.drift);
    Ok(Comparison { signal, queries, group, thin: ours.thin, placebos, drift })
}

/// The quantile of a normal law below which eight of ten lie.
const EIGHT_OF_TEN: f64 = 0.842;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
