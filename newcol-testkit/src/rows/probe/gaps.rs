//! Finds out where the server takes NULL.

use super::{Keep, Probe};
use crate::rows::{
    RowsError,
    gaps::{self, Gap},
    insert,
    number::Row,
};

/// Ways to be NULL that rows of columns that hang together take in turn.
const WAYS: usize = 8;

/// Rows that are tried in the end, with NULL as it will come.
const ROWS: u64 = 24;

impl Probe<'_> {
    /// Lets columns be NULL in some rows, wherever the server takes such rows.
    pub(super) fn settle_gaps(&mut self) -> Result<(), RowsError> {
        let groups = gaps::groups(&self.recipes.tables[self.at]);
        if groups.is_empty() {
            return Ok(());
        }
        let all = |columns: &Vec<usize>| Gap::in_every_row(columns, vec![true; columns.len()]);
        let all_at_once = self.takes(groups.iter().map(all).collect())?;
        let mut found = Vec::new();
        for columns in groups {
            let mut taken = Vec::new();
            for way in gaps::ways(columns.len()) {
                let known = all_at_once && !way.contains(&false);
                if known || self.takes(vec![Gap::in_every_row(&columns, way.clone())])? {
                    taken.push(way);
                }
                if taken.len() == WAYS {
                    break;
                }
            }
            if !taken.is_empty() {
                found.push(Gap { columns, ways: taken, in_every_row: false });
            }
        }
        let few = self.rows.clone();
        self.rows = self.first_rows()?;
        let settled = self.settle_together(found);
        self.rows = few;
        settled
    }

    /// Keeps what the server takes together: triggers may tie columns that the catalog does not.
    fn settle_together(&mut self, found: Vec<Gap>) -> Result<(), RowsError> {
        if self.takes(found.clone())? {
            self.recipes.tables[self.at].gaps = found;
            return Ok(());
        }
        let mut kept = Vec::new();
        for gap in found {
            kept.push(gap);
            if !self.takes(kept.clone())? {
                kept.pop();
            }
        }
        self.recipes.tables[self.at].gaps = kept;
        Ok(())
    }

    /// Reports whether the server takes rows with NULL in these places; leaves none.
    fn takes(&mut self, gaps: Vec<Gap>) -> Result<bool, RowsError> {
        self.recipes.tables[self.at].gaps = gaps;
        let outcome = self.attempt(Keep::Nothing);
        self.recipes.tables[self.at].gaps = Vec::new();
        match outcome {
            Ok(taken) => Ok(taken.is_ok()),
            Err(RowsError::Exhausted { .. } | RowsError::Type { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Inserts the parents of the first rows and returns those that can be had.
    fn first_rows(&mut self) -> Result<Vec<u64>, RowsError> {
        let first = self.rows.first().copied().unwrap_or(1);
        let mut rows = Vec::new();
        for n in first..first + ROWS {
            match insert::prepare(self.session, self.recipes, self.at, Row::new(n)) {
                Ok(()) => rows.push(n),
                Err(RowsError::Exhausted { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(rows)
    }
}
