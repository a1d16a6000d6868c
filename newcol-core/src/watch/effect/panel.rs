//! Series cut into blocks, all alike, so that the same block can be drawn from each.

use std::collections::BTreeMap;

use super::{DAY, Signal, Split, Thresholds};
use crate::watch::series::{QueryId, Role, Series, Window};

const HOUR: f64 = 3600.0;

/// Which columns a panel has.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Layout {
    /// Blocks of each side; numbers count blocks away from the split.
    Blocks { split: Split, length: f64, before: Vec<i64>, after: Vec<i64> },
    /// Hours of the week (from Thursday on, as the epoch does), the same ones on both sides.
    Hours { split: Split },
}

/// How many hours a week has.
const HOURS: usize = 168;

impl Layout {
    pub(super) fn of(
        treated: &[Series],
        controls: &[Series],
        split: Split,
        thresholds: &Thresholds,
    ) -> Self {
        let windows = || treated.iter().chain(controls).flat_map(|series| &series.windows);
        let from = windows().map(|window| window.from).fold(f64::INFINITY, f64::min);
        let to = windows().map(|window| window.to).fold(f64::NEG_INFINITY, f64::max);
        // A first or last snapshot may be a little late.
        let enough = thresholds.paired_from - HOUR;
        if split.before - from >= enough && to - split.after >= enough {
            return Self::Hours { split };
        }
        let mut sides = [Vec::new(), Vec::new()];
        for window in windows() {
            match side(window, split) {
                Some(Side::Before) => sides[0].push(block(window, split, thresholds.block)),
                Some(Side::After) => sides[1].push(block(window, split, thresholds.block)),
                None => {}
            }
        }
        let [before, after] = sides.map(|mut blocks| {
            blocks.sort_unstable();
            blocks.dedup();
            blocks
        });
        Self::Blocks { split, length: thresholds.block, before, after }
    }

    /// Returns how many columns each side has.
    pub(super) fn columns(&self) -> (usize, usize) {
        match self {
            Self::Blocks { before, after, .. } => (before.len(), after.len()),
            Self::Hours { .. } => (HOURS, HOURS),
        }
    }

    /// Returns the columns of all, once.
    pub(super) fn all(&self) -> Picks {
        let (before, after) = self.columns();
        Picks { before: (0..before).collect(), after: (0..after).collect() }
    }

    /// Draws blocks, or days, with replacement.
    pub(super) fn draw(&self, random: &mut fastrand::Rng) -> Picks {
        match self {
            Self::Blocks { before, after, .. } => {
                let mut draw = |count| (0..count).map(|_| random.usize(..count)).collect();
                Picks { before: draw(before.len()), after: draw(after.len()) }
            }
            Self::Hours { .. } => {
                let days: Vec<usize> = (0..7).map(|_| random.usize(..7)).collect();
                let hours: Vec<_> =
                    days.iter().flat_map(|day| (0..24).map(move |hour| day * 24 + hour)).collect();
                Picks { before: hours.clone(), after: hours }
            }
        }
    }
}

/// Columns of both sides.
#[derive(Debug, Clone)]
pub(super) struct Picks {
    before: Vec<usize>,
    after: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Side {
    Before,
    After,
}

/// Returns the side of a window; one across the split belongs to neither.
fn side(window: &Window, split: Split) -> Option<Side> {
    if window.to <= split.before {
        Some(Side::Before)
    } else {
        (window.from >= split.after).then_some(Side::After)
    }
}

fn block(window: &Window, split: Split, length: f64) -> i64 {
    let middle = f64::midpoint(window.from, window.to);
    let from = if window.to <= split.before { split.before } else { split.after };
    ((middle - from) / length).floor() as i64
}

/// What was counted in one column: the mean is `value / per`.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    value: f64,
    per: f64,
}

impl Cell {
    fn of(window: &Window, signal: Signal) -> Option<Self> {
        let (value, per) = match signal {
            Signal::Time => (window.total_ms, window.calls),
            Signal::Blocks => (window.blocks as f64, window.calls),
            Signal::Rows => (window.rows as f64, window.calls),
            Signal::LogPerRow => (window.wal_bytes? as f64, window.rows),
        };
        (value.is_finite() && value >= 0.0).then_some(Self { value, per: per as f64 })
    }

    fn add(self, other: Self) -> Self {
        Self { value: self.value + other.value, per: self.per + other.per }
    }

    fn log_mean(self, signal: Signal) -> Option<f64> {
        (self.per > 0.0).then(|| (self.value / self.per + signal.offset()).ln())
    }
}

/// One statement, cut into columns.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: QueryId,
    pub(super) role: Role,
    pub(super) calls: (u64, u64),
    signal: Signal,
    paired: bool,
    before: Vec<Cell>,
    after: Vec<Cell>,
}

impl Row {
    fn new(series: &Series, layout: &Layout, signal: Signal) -> Self {
        let (before, after) = layout.columns();
        let mut row = Self {
            id: series.id,
            role: series.role,
            calls: (0, 0),
            signal,
            paired: matches!(layout, Layout::Hours { .. }),
            before: vec![Cell::default(); before],
            after: vec![Cell::default(); after],
        };
        let (Layout::Blocks { split, .. } | Layout::Hours { split }) = layout;
        for window in &series.windows {
            let (Some(side), Some(cell)) = (side(window, *split), Cell::of(window, signal)) else {
                continue;
            };
            let column = match layout {
                Layout::Blocks { before, after, length, .. } => {
                    let columns = if side == Side::Before { before } else { after };
                    columns.binary_search(&block(window, *split, *length)).ok()
                }
                Layout::Hours { .. } => {
                    let week = f64::midpoint(window.from, window.to).rem_euclid(7.0 * DAY);
                    Some(((week / HOUR) as usize).min(HOURS - 1))
                }
            };
            let Some(column) = column else { continue };
            let (cells, calls) = match side {
                Side::Before => (&mut row.before, &mut row.calls.0),
                Side::After => (&mut row.after, &mut row.calls.1),
            };
            cells[column] = cells[column].add(cell);
            *calls += window.calls;
        }
        row
    }

    /// Returns what the statement weighs in its group.
    pub(super) fn weight(&self) -> f64 {
        (self.calls.0 + self.calls.1) as f64
    }

    fn filled(&self) -> (usize, usize) {
        let count = |cells: &[Cell]| cells.iter().filter(|cell| cell.per > 0.0).count();
        (count(&self.before), count(&self.after))
    }

    /// Returns the means of both sides.
    pub(super) fn means(&self) -> (f64, f64) {
        let mean = |cells: &[Cell]| {
            let all = cells.iter().copied().fold(Cell::default(), Cell::add);
            if all.per > 0.0 { all.value / all.per } else { 0.0 }
        };
        (mean(&self.before), mean(&self.after))
    }

    /// Returns the logarithm of after to before, over some columns.
    pub(super) fn change(&self, picks: &Picks) -> Option<f64> {
        if self.paired {
            let pairs = picks.before.iter().filter_map(|at| self.pair(*at));
            let (sum, weight) =
                pairs.fold((0.0, 0.0), |sum, (change, w)| (sum.0 + change * w, sum.1 + w));
            return (weight > 0.0).then(|| sum / weight);
        }
        let side = |cells: &[Cell], picks: &[usize]| {
            let cell = picks.iter().fold(Cell::default(), |sum, at| sum.add(cells[*at]));
            cell.log_mean(self.signal)
        };
        Some(side(&self.after, &picks.after)? - side(&self.before, &picks.before)?)
    }

    /// Returns the change of one hour of the week, and its weight: the fewer of the two sides' calls.
    fn pair(&self, at: usize) -> Option<(f64, f64)> {
        let (before, after) = (self.before[at], self.after[at]);
        let change = after.log_mean(self.signal)? - before.log_mean(self.signal)?;
        Some((change, before.per.min(after.per)))
    }

    /// Returns pieces that are taken for independent, by the side they are of: the logarithms of block
    /// means of each side, or the changes of each day of the week.
    pub(super) fn pieces(&self) -> Vec<BTreeMap<usize, f64>> {
        if self.paired {
            let day = |day: usize| {
                let hours = (day * 24..day * 24 + 24).filter_map(|at| self.pair(at));
                let (sum, weight) = hours.fold((0.0, 0.0), |s, (c, w)| (s.0 + c * w, s.1 + w));
                (weight > 0.0).then(|| (day, sum / weight))
            };
            return vec![(0..7).filter_map(day).collect()];
        }
        let side = |cells: &[Cell]| {
            let means = cells.iter().map(|cell| cell.log_mean(self.signal)).enumerate();
            means.filter_map(|(at, mean)| Some((at, mean?))).collect()
        };
        vec![side(&self.before), side(&self.after)]
    }
}

/// Statements with enough on both sides, and those without.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) rows: Vec<Row>,
    pub(super) thin: Vec<super::Thin>,
}

impl Panel {
    pub(super) fn new(
        series: &[Series],
        layout: &Layout,
        signal: Signal,
        thresholds: &Thresholds,
    ) -> Self {
        let (mut rows, mut thin) = (Vec::new(), Vec::new());
        for series in series {
            let row = Row::new(series, layout, signal);
            let (blocks, calls) = (row.filled(), row.calls);
            let enough = blocks.0.min(blocks.1) >= thresholds.blocks
                && calls.0.min(calls.1) >= thresholds.calls
                && row.change(&layout.all()).is_some();
            if enough {
                rows.push(row);
            } else {
                thin.push(super::Thin { id: row.id, role: row.role, calls, blocks });
            }
        }
        Self { rows, thin }
    }
}
