//! What a B-tree index adds to the log of PostgreSQL, per new entry.
//!
//! # Four things are written
//!
//! An index is paid for in log: that is what replicas replay, archives keep and `fsync` waits for. One
//! entry of *T* bytes (`MAXALIGN(8 + key)`) costs, with *k* entries between two checkpoints,
//!
//! ```text
//! entries   k · (48 + T)
//! images    Σ over places  p · (1 − e^(−k·s/p)) · (used bytes of a page)
//! splits    (pages that overflow) · (half a page + its sibling's and its parent's image)
//! merging   (passes over full pages of duplicates) · (52 + 4 for each value)
//! ```
//!
//! **Entries.** 24 bytes of record header, 20 of block reference, 4 of offset and length; then the
//! entry itself.
//!
//! **Images.** The first change of a page after a checkpoint writes the whole page but its hole. Which
//! pages those are depends on the order of keys, so keys are described as [`Keys`]: each share *s* of
//! the entries arrives at *p* pages. Random keys have every leaf for a place; a value so frequent that
//! it fills pages has exactly one, the end of its duplicates, since equal keys are kept in the order of
//! their rows; ascending keys have one in all. That is why an index of a random 33 byte text can cost
//! 2.7 KB for an entry right after a checkpoint, and 96 bytes later.
//!
//! **Splits.** An index that was just built leaves a tenth of each leaf free. Places fill like cells
//! under rain (Poisson), and one that overflows logs the half that moves, and changes the page to its
//! right and the one above. At the right end of the tree a split moves a tenth only. An index of some
//! age splits at a steady rate: one page for each `ln 2` of a page of entries (Yao, *On Random 2-3
//! Trees*, 1978). Its leaves need not be that full on average, as those of an equally young tree fill
//! up together; how full they are is counted, out of its entries and pages.
//!
//! **Merging.** Since PostgreSQL 13 equal keys share one entry with six bytes for each row. A page that
//! fills up is first merged, so it takes many more rows before it splits.
//!
//! # What it is not
//!
//! Of a hash, GIN, GiST or BRIN index it says nothing. Updates that are not HOT insert as `INSERT`s do;
//! deletions and vacuum are not counted. Beside it stands the ratio that pganalyze shows ([`iwo`]): it
//! is one of bytes stored, and says nothing of checkpoints.
//!
//! `tests/it/watch_cost.rs` holds the model against the log of real servers.

mod keys;
mod splits;

use std::fmt;

pub use self::keys::{ColumnStatistics, End, Keys, Place, Predicate};

const PAGE: f64 = 8192.0;
/// Room of a page for entries and their line pointers, after its header and the tree's own 16 bytes.
const ROOM: f64 = 8152.0;
/// Bytes of a record that inserts an entry, but for the entry.
const RECORD: f64 = 48.0;
/// A line pointer.
const POINTER: f64 = 4.0;
/// How full `CREATE INDEX` leaves a leaf.
const BUILT: f64 = 0.9;
/// The same of an inner page.
const BUILT_INNER: f64 = 0.7;

/// A B-tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// Pages of the index, as in `pg_class.relpages`.
    pub pages: f64,
    /// Entries, as in `pg_class.reltuples`.
    pub entries: f64,
    /// The average width of a key, as in `pg_stats.avg_width` (summed over its columns).
    pub key_width: f64,
    /// Where new keys arrive.
    pub keys: Keys,
    /// How long ago it was built.
    pub age: Age,
}

/// How full the leaves are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// As `CREATE INDEX` or `REINDEX` left them.
    Built,
    /// As many inserts left them; how full that is follows from entries and pages.
    Grown,
}

/// Entries between two checkpoints.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    /// Entries that came since the checkpoint, before those that are counted.
    pub already: f64,
    /// Entries to count.
    pub entries: f64,
}

impl Traffic {
    /// Counts everything from one checkpoint to the next.
    #[must_use]
    pub fn per_checkpoint(entries: f64) -> Self {
        Self { already: 0.0, entries }
    }
}

/// What some entries write, by its cause, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// How many entries.
    pub entries: f64,
    /// Their own records.
    pub records: f64,
    /// Pages written whole, being changed for the first time since a checkpoint.
    pub images: f64,
    /// Pages that became two.
    pub splits: f64,
    /// Duplicates merged.
    pub merging: f64,
}

/// A cause of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Term {
    /// [`Cost::records`].
    Records,
    /// [`Cost::images`].
    Images,
    /// [`Cost::splits`].
    Splits,
    /// [`Cost::merging`].
    Merging,
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Records => "the entries themselves",
            Self::Images => "page images after a checkpoint",
            Self::Splits => "page splits",
            Self::Merging => "merging of duplicates",
        })
    }
}

impl Cost {
    /// Returns all bytes.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.records + self.images + self.splits + self.merging
    }

    /// Returns the bytes of one entry.
    #[must_use]
    pub fn per_entry(&self) -> f64 {
        if self.entries > 0.0 { self.total() / self.entries } else { 0.0 }
    }

    /// Returns the largest cause and its share.
    #[must_use]
    pub fn dominating(&self) -> (Term, f64) {
        let terms = [
            (Term::Records, self.records),
            (Term::Images, self.images),
            (Term::Splits, self.splits),
            (Term::Merging, self.merging),
        ];
        let (term, bytes) = terms.into_iter().fold(terms[0], |a, b| if b.1 > a.1 { b } else { a });
        (term, if self.total() > 0.0 { bytes / self.total() } else { 0.0 })
    }
}

/// Bytes of an entry without a key: the header and which of its columns are NULL, aligned.
const NULL_ENTRY: f64 = 16.0;

impl Tree {
    /// Returns what entries write.
    #[must_use]
    pub fn cost(&self, traffic: Traffic) -> Cost {
        let entry = self.entry_bytes();
        let splits = splits::splits(self, traffic);
        // A record with an image has five bytes to describe it, and not the entry, which is in it.
        let images = self
            .places()
            .into_iter()
            .map(|place| touched(&place, traffic) * (self.image_bytes(place.0.end) - entry + 5.0));
        Cost {
            entries: traffic.entries,
            records: traffic.entries * (RECORD + entry),
            images: images.sum(),
            splits: splits.bytes,
            merging: splits.merging,
        }
    }

    /// Returns what the same traffic writes per entry if checkpoints were as many times rarer.
    #[must_use]
    pub fn with_rarer_checkpoints(&self, traffic: Traffic, times: f64) -> Cost {
        self.cost(Traffic { entries: traffic.entries * times, ..traffic })
    }

    /// Returns the bytes of an entry on average: header and key, aligned.
    fn entry_bytes(&self) -> f64 {
        let with_key = ((8.0 + self.key_width) / 8.0).ceil() * 8.0;
        self.keys.null_frac * NULL_ENTRY + (1.0 - self.keys.null_frac) * with_key
    }

    /// Returns the pages that hold entries: not the first one, and not those above.
    fn leaves(&self) -> f64 {
        ((self.pages - 1.0) / (1.0 + 1.0 / self.fanout())).max(1.0)
    }

    /// Returns how many leaves an inner page has under it.
    fn fanout(&self) -> f64 {
        BUILT_INNER * ROOM / (self.entry_bytes() + POINTER)
    }

    /// Returns how many rows an entry with merged duplicates stands for, at most a tenth of a page.
    fn rows_of_a_value(&self) -> f64 {
        self.keys.distinct.map_or(1.0, |distinct| (self.entries / distinct).max(1.0))
    }

    /// Returns the bytes of the largest thing that `CREATE INDEX` puts on a leaf in one piece.
    fn piece(&self) -> f64 {
        let entry = self.entry_bytes();
        let rows = self.rows_of_a_value();
        if rows < 2.0 { entry } else { (entry + 6.0 * rows).min(PAGE / 10.0 - POINTER) }
    }

    /// Returns what is free on a leaf, at least and on average.
    ///
    /// A leaf is full when less than a tenth is free; then its last piece moves on to the next one. Small
    /// pieces leave just the tenth, large ones anything up to it, and the room of the piece.
    fn free(&self) -> (f64, f64) {
        let tenth = PAGE * (1.0 - BUILT);
        let piece = self.piece();
        match self.age {
            Age::Grown => (0.0, ROOM * (1.0 - self.filled())),
            Age::Built if self.rows_of_a_value() < 2.0 => (tenth, tenth),
            Age::Built => (piece, piece + tenth / 2.0),
        }
    }

    /// Returns how full the leaves of a grown tree are, by what lies on them.
    fn filled(&self) -> f64 {
        let rows = self.rows_of_a_value();
        let of_a_value = if self.keys.merged {
            6.0 * rows + (6.0 * rows / self.piece()).ceil() * (self.entry_bytes() + POINTER)
        } else {
            rows * (self.entry_bytes() + POINTER)
        };
        (self.entries / rows * of_a_value / (self.leaves() * ROOM)).clamp(0.5, 0.98)
    }

    /// Returns the bytes of a leaf without its hole; the last one is half full, as good as any guess.
    fn image_bytes(&self, end: End) -> f64 {
        let full = PAGE - self.free().1 + self.entry_bytes() + POINTER;
        match end {
            End::Inner => full,
            End::Right => full / 2.0,
        }
    }

    /// Returns the places with their pages.
    ///
    /// A share of the entries has that share of the leaves. A value that fills a page has one for new
    /// entries, the last of its own; values too rare for that share their pages, and are one place.
    fn places(&self) -> Vec<(Place, f64)> {
        let leaves = self.leaves();
        let pages = |place: &Place| match place.end {
            End::Right => 1.0,
            End::Inner => (place.share * leaves).min(place.values.unwrap_or(leaves)).max(1.0),
        };
        let rare = |place: &Place| match place.end {
            End::Right => false,
            End::Inner => place.share * leaves < place.values.unwrap_or(f64::INFINITY),
        };
        let (rare, frequent): (Vec<Place>, Vec<Place>) =
            self.keys.places.iter().partition(|place| rare(place));
        let together = rare.into_iter().reduce(|one, other| Place {
            share: one.share + other.share,
            values: one.values.zip(other.values).map(|(a, b)| a + b),
            end: End::Inner,
        });
        frequent.into_iter().chain(together).map(|place| (place, pages(&place))).collect()
    }
}

/// Returns how many pages of a place are changed for the first time since the checkpoint.
fn touched((place, pages): &(Place, f64), traffic: Traffic) -> f64 {
    let untouched = |entries: f64| pages * (-entries * place.share / pages).exp();
    untouched(traffic.already) - untouched(traffic.already + traffic.entries)
}

/// Returns the ratio that pganalyze calls index write overhead: bytes of an entry to bytes of a row.
///
/// `all` are the average widths of the table's columns, `indexed` those of the index's.
#[must_use]
pub fn iwo(indexed: &[f64], all: &[f64], selectivity: f64) -> f64 {
    let entry = 8.0 + indexed.iter().sum::<f64>();
    let row = 23.0 + 4.0 + all.iter().sum::<f64>();
    entry / row * selectivity
}

#[cfg(test)]
mod tests;
