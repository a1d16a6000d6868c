//! Finds the row for which a fill fails, by halving the range that failed.
//!
//! First the expression is only computed, which changes nothing. What fails no earlier than when it
//! is stored (a length, a constraint, and on MySQL all that strictness is about) is found by updates
//! that are rolled back, of no more rows than the batch had.

use std::sync::Arc;

use super::{
    stretch::Stretch,
    worker::{Storing, Worker},
};
use crate::{
    backend::Backend,
    db::{DbError, Failure},
    ident::TableName,
    keys::KeyTuple,
    render::{
        backfill::{CERTAIN, Range},
        text::SqlText,
    },
};

/// Slots that a page may have at most, whatever its size.
const SLOTS: u64 = 2048;

/// Reports whether a row is to blame, and not the server or another session.
pub(super) fn is_of_a_row(failure: &Failure) -> bool {
    // A cardinality, a value, a constraint, a function's own error, a view's condition.
    const CLASSES: &[&str] = &["21", "22", "23", "38", "39", "44", "45", "P0"];
    // A value that is no number or time, and a CHECK, which MySQL files under "general".
    const NUMBERS: &[u16] = &[1366, 3819, 4025];
    // SQLite tells by its words alone.
    const OTHERS: &[&str] = &["disk", "readonly", "locked", "interrupted", "no such", "syntax"];
    match (&failure.sqlstate, failure.errno) {
        (None, None) => !failure.lost && !OTHERS.iter().any(|word| failure.message.contains(word)),
        (state, number) => {
            let class = state.as_deref().and_then(|state| state.get(..2)).unwrap_or_default();
            CLASSES.contains(&class) || number.is_some_and(|number| NUMBERS.contains(&number))
        }
    }
}

impl Worker<'_> {
    /// Finds the first row of what failed for which the fill fails; `None` where none does by
    /// itself.
    pub(super) fn blame(&mut self) -> Option<(String, Storing)> {
        let tried = self.tried.take()?;
        let ways: &[Storing] = match self.session.backend() {
            Backend::Postgres | Backend::Sqlite => &[Storing::Computed, Storing::Stored],
            Backend::Mysql => &[Storing::Stored],
        };
        let way = ways.iter().copied().find(|way| self.fails(&tried, *way))?;
        let row = match tried {
            Stretch::Pages { relation, from, to } => {
                let pages = |from, to| {
                    let relation = relation.clone();
                    Stretch::Pages { relation, from, to }
                };
                let block = self.halve(from, to, way, pages);
                self.slot(&relation, block, way)
            }
            Stretch::Slots { relation, block, .. } => self.slot(&relation, block, way),
            Stretch::Keys { after, to } => self.key(after, to, way),
        };
        Some((row.ok().flatten()?, way))
    }

    /// Halves a range of numbers in which something fails, down to one.
    fn halve(
        &mut self,
        mut from: u64,
        mut to: u64,
        way: Storing,
        part: impl Fn(u64, u64) -> Stretch,
    ) -> u64 {
        while to - from > 1 {
            let middle = from + (to - from) / 2;
            if self.fails(&part(from, middle), way) {
                to = middle;
            } else {
                from = middle;
            }
        }
        from
    }

    fn slot(
        &mut self,
        relation: &TableName,
        block: u64,
        way: Storing,
    ) -> Result<Option<String>, DbError> {
        let slots = |from, to| {
            let relation = relation.clone();
            Stretch::Slots { relation, block, from, to }
        };
        let slot = self.halve(0, SLOTS, way, slots);
        let found = slots(slot, slot + 1);
        let sql = self.job.fill.named(found.range(&self.job), &self.job.key);
        let row = self.session.query(sql.as_str())?.into_iter().next();
        Ok(row.map(|row| self.job.name(row)))
    }

    fn key(
        &mut self,
        mut after: Option<KeyTuple>,
        mut to: Option<KeyTuple>,
        way: Storing,
    ) -> Result<Option<String>, DbError> {
        let job = Arc::clone(&self.job);
        loop {
            let range = Range::Keys { key: &job.key, after: after.as_ref(), to: to.as_ref() };
            let rows = self.session.value(job.fill.row_count(range).as_str())?;
            let rows: u64 = rows.and_then(|rows| rows.parse().ok()).unwrap_or_default();
            let Ok(middle) = job.key_after(&mut self.session, range, (rows / 2).max(1)) else {
                return Ok(None);
            };
            if rows <= 1 || middle == to {
                return Ok(middle.or(to).map(|key| key.describe()));
            }
            if self.fails(&Stretch::Keys { after: after.clone(), to: middle.clone() }, way) {
                to = middle;
            } else {
                after = middle;
            }
        }
    }

    /// Tries a range, and leaves nothing of it.
    fn fails(&mut self, tried: &Stretch, way: Storing) -> bool {
        let job = &self.job;
        let range = tried.range(job);
        let statement = match way {
            Storing::Computed => job.fill.compute(range),
            Storing::Stored => job.fill.update(range, CERTAIN),
        };
        let mut begin = vec!["BEGIN"];
        begin.extend(job.care.before.iter().map(SqlText::as_str));
        let begin = begin.join("; ");
        let done = (self.session.batch(&begin))
            .and_then(|()| self.session.query(statement.as_str()).map(drop));
        self.session.batch("ROLLBACK").ok();
        done.is_err_and(|error| error.failure().is_some_and(is_of_a_row))
    }
}
