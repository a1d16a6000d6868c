//! What filling a column writes to the log of PostgreSQL, per row, foretold from the table.
//!
//! A row that is updated is written anew. Where the new version goes decides what it costs:
//!
//! ```text
//! stays on its page (HOT)   79 + added
//! moves to another one      127 + row + added, and a new entry in every index
//! ```
//!
//! Of these, 73 bytes are the record of an update itself. One that stays says which bytes of the old
//! row it shares; one that moves holds the whole row, and 54 bytes before it lock the old version.
//! Besides, every page of the table is written whole when it is changed for the first time since a
//! checkpoint, which is once in a fill that is faster than checkpoints come. What entries of indexes
//! cost, [`Tree`] knows.
//!
//! A page full of rows has no room for a first new version, so one `UPDATE` and ranges of a key move
//! every row. In strides, the first visit moves its part of each page, and later ones find its place
//! free.

use super::run::Way;
use crate::watch::cost::{Traffic, Tree};

/// A table that is to be filled, as the catalog knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Heap {
    /// Rows.
    pub rows: f64,
    /// Pages.
    pub pages: f64,
    /// Bytes that the value adds to a row.
    pub added: f64,
    /// Its indexes.
    pub indexes: Vec<Tree>,
}

const PAGE: f64 = 8192.0;
/// What a page keeps for itself.
const PAGE_HEADER: f64 = 24.0;
/// What the log leaves out of a row: its header and line pointer, but for the five bytes that differ.
const NOT_LOGGED: f64 = 23.0;
const UPDATE: f64 = 73.0;
/// How the new row differs from the old one on the same page.
const DIFFERENCE: f64 = 6.0;
const LOCK: f64 = 54.0;
/// What pruning writes for each row whose old version goes.
const PRUNED: f64 = 6.0;
/// What the row's line pointer and the redirection to it take.
const POINTERS: f64 = 4.0;

/// Visits of a window that is filled in strides, as in the backfill.
const VISITS: f64 = 7.0;

impl Heap {
    /// Returns the bytes of a row on its page.
    #[must_use]
    pub fn row(&self) -> f64 {
        (PAGE - PAGE_HEADER) * self.pages / self.rows.max(1.0)
    }

    /// Returns the share of rows that find no room on their own page.
    #[must_use]
    pub fn moving(&self, way: Way) -> f64 {
        match way {
            Way::Stride => {
                // A page holds fewer rows once they have grown, and while a visit goes on, its part of
                // the old versions as well.
                let grown = self.row() / (self.row() + self.added + POINTERS);
                1.0 - (1.0 - 1.0 / VISITS) * grown
            }
            // In strides each row would leave its place to the next; an index on the column, or a
            // snapshot that still sees it, forbids that.
            Way::Ranges | Way::Update | Way::IndexFirst | Way::Helper | Way::HeldSnapshot => 1.0,
        }
    }

    /// Returns the bytes of log that a row costs. `column` is the index on the column itself, for
    /// ways that keep it up to date meanwhile.
    #[must_use]
    pub fn log_per_row(&self, way: Way, column: Option<&Tree>) -> f64 {
        let moving = self.moving(way);
        let moved = UPDATE + LOCK + (self.row() - NOT_LOGGED).max(0.0) + self.added;
        let stays = UPDATE + DIFFERENCE + PRUNED + self.added;
        let image = PAGE * self.pages / self.rows.max(1.0);
        let heap = moving * moved + (1.0 - moving) * stays + image;
        let traffic = Traffic::per_checkpoint(moving * self.rows);
        let all = self.indexes.iter().chain(column);
        let indexes: f64 = all.map(|tree| tree.cost(traffic).total()).sum();
        heap + indexes / self.rows.max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As measured on PostgreSQL 15 for a packed table without indexes: 214 bytes a row of log of the
    /// table itself for one `UPDATE`, 175 in strides, of which 65 of 100 rows stayed on their page.
    #[test]
    fn the_heap_is_foretold() {
        let heap = Heap { rows: 20_000.0, pages: 128.0, added: 13.0, indexes: Vec::new() };
        assert!((heap.moving(Way::Stride) - 0.354).abs() < 0.01, "{}", heap.moving(Way::Stride));
        for (way, measured) in [(Way::Update, 214.0), (Way::Stride, 175.0)] {
            let off = heap.log_per_row(way, None) / measured - 1.0;
            assert!(off.abs() < 0.05, "{way}: {off:+.2}");
        }
    }
}
