//! Chooses how a window is visited, from what the windows before it were like (PostgreSQL).
//!
//! Pure: counts in, shape out. Several visits pay as long as most rows of the later ones stay on
//! their page (HOT), which the server counts. They do not where an index needs the column, where
//! rows do not fit, or where an old snapshot keeps the dead versions alive; then one visit is
//! cheaper, and from time to time a window is tried again.

use super::place::Window;

/// Blocks of the first window: its visits come soon after each other, while the pages are cached.
pub(super) const FIRST_SIZE: u64 = 256;

/// Blocks to which a window is made wider so that a visit fills its batches (32 MB).
const WIDE: u64 = 4096;

/// Blocks of the largest window (64 MB): a revisit later than that finds its pages evicted, and a
/// checkpoint between two visits writes whole pages to the log again.
pub(super) const MAX_SIZE: u64 = 8192;

/// Visits of a window. More leave less behind and cost more scans; measured on 1 million rows with
/// 5 to 10, between which speed and growth hardly differ.
pub(super) const VISITS: u32 = 7;

/// Windows after which a fallen-back worker tries several visits again.
const RETRY: u32 = 64;

/// Learns from the windows of one relation.
#[derive(Debug, Clone)]
pub(super) struct Tuner {
    growth: u32,
    size: u64,
    visits: u32,
    /// Windows since it fell back.
    since: u32,
    mode: Mode,
    first: Hot,
    later: Hot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Several visits.
    Strided,
    /// One visit, because rows have room on their pages as it is.
    Roomy,
    /// One visit, because several do not help.
    Plain,
    /// One visit for good: an index needs the column.
    Indexed,
}

#[derive(Debug, Clone, Copy, Default)]
struct Hot {
    rows: u64,
    hot: u64,
}

impl Hot {
    /// Share of rows that stayed on their page, in percent; `None` for too few to say.
    fn percent(self) -> Option<u64> {
        (self.rows >= 100).then(|| self.hot * 100 / self.rows)
    }
}

impl Tuner {
    /// Starts with what a sample of rows says: how many bytes a row has on its page, and how many
    /// the new value adds.
    pub(super) fn new(row: u64, added: u64, indexed: bool) -> Self {
        // A row that stays on its page keeps its old line pointer as a redirection.
        const REDIRECTION: u64 = 4;
        let growth = 1000 + (added + REDIRECTION) * 1000 / row.max(24);
        let (mode, visits) = if indexed { (Mode::Indexed, 1) } else { (Mode::Strided, VISITS) };
        Self {
            growth: growth.min(4000).try_into().unwrap_or(4000),
            size: FIRST_SIZE,
            visits,
            since: 0,
            mode,
            first: Hot::default(),
            later: Hot::default(),
        }
    }

    /// Returns the next window of a part; `wide` is how many blocks fill the batches of its visits.
    pub(super) fn window(&self, start: u64, end: u64, wide: u64) -> Window {
        let size = self.size.max(wide.min(WIDE)).min(end.saturating_sub(start)).max(1);
        Window { start, size, visit: 0, visits: self.visits, growth: self.growth, at: start }
    }

    /// Learns how many rows a batch of a visit updated, and how many of them stayed on their page.
    pub(super) fn learn(&mut self, visit: u32, rows: u64, hot: u64) {
        let sums = if visit == 0 { &mut self.first } else { &mut self.later };
        sums.rows += rows;
        sums.hot += hot;
    }

    /// Ends a window, and decides how the next one is visited.
    pub(super) fn end_window(&mut self) {
        let (first, later) = (self.first.percent(), self.later.percent());
        self.first = Hot::default();
        self.later = Hot::default();
        self.since = self.since.saturating_add(1);
        match self.mode {
            Mode::Indexed => {}
            Mode::Strided => match (first, later) {
                (Some(90..), Some(90..)) => self.become_mode(Mode::Roomy),
                (_, Some(0..50)) if self.size < MAX_SIZE => self.size *= 4,
                (_, Some(0..30)) => self.become_mode(Mode::Plain),
                _ => {}
            },
            Mode::Roomy => {
                if first.is_some_and(|share| share < 80) {
                    self.become_mode(Mode::Strided);
                }
            }
            Mode::Plain => {
                if self.since >= RETRY {
                    self.become_mode(Mode::Strided);
                }
            }
        }
        self.size = self.size.min(MAX_SIZE);
    }

    fn become_mode(&mut self, mode: Mode) {
        self.mode = mode;
        self.since = 0;
        self.size = FIRST_SIZE;
        self.visits = match mode {
            Mode::Strided => VISITS,
            Mode::Roomy | Mode::Plain | Mode::Indexed => 1,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays windows in which so many percent of each visit stay; returns visits and sizes.
    fn play(tuner: &mut Tuner, first: u64, later: u64, windows: usize) -> Vec<(u32, u64)> {
        (0..windows)
            .map(|_| {
                let window = tuner.window(0, 1 << 20, 0);
                for visit in 0..window.visits {
                    let share = if visit == 0 { first } else { later };
                    tuner.learn(visit, 1000, share * 10);
                }
                tuner.end_window();
                (window.visits, window.size)
            })
            .collect()
    }

    #[test]
    fn several_visits_stay_while_they_help() {
        let mut tuner = Tuner::new(100, 8, false);
        assert!(play(&mut tuner, 5, 85, 100).iter().all(|shape| *shape == (VISITS, FIRST_SIZE)));
    }

    #[test]
    fn a_held_snapshot_widens_the_window_and_then_ends_the_visits_for_a_while() {
        let mut tuner = Tuner::new(100, 8, false);
        let shapes = play(&mut tuner, 0, 0, 5);
        assert_eq!(shapes, [(7, 256), (7, 1024), (7, 4096), (7, 8192), (1, 256)]);
        // Later the snapshot is gone.
        let shapes = play(&mut tuner, 5, 85, 70);
        assert_eq!(shapes[68..], [(7, 256), (7, 256)]);
    }

    #[test]
    fn rows_with_room_need_one_visit_until_the_room_ends() {
        let mut tuner = Tuner::new(100, 8, false);
        assert_eq!(play(&mut tuner, 100, 100, 3), [(7, 256), (1, 256), (1, 256)]);
        assert_eq!(play(&mut tuner, 10, 85, 2), [(1, 256), (7, 256)]);
    }

    #[test]
    fn an_indexed_column_is_never_strided() {
        let mut tuner = Tuner::new(100, 8, true);
        assert!(play(&mut tuner, 0, 0, 200).iter().all(|(visits, _)| *visits == 1));
    }
}
