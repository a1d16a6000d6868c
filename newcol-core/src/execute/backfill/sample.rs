//! What the first blocks of a relation tell of its rows (PostgreSQL).

use super::{
    job::{Job, Route},
    tune::Tuner,
};
use crate::{
    db::{DbError, Row, Session},
    ident::TableName,
};

/// Blocks that are looked at.
pub(super) const SAMPLE: u64 = 64;

/// Bytes of a page for rows and their line pointers.
const PAGE: u64 = 8168;

/// Fewest rows in 1000 blocks that are reckoned with: PostgreSQL stores values apart that would leave
/// room for less than four rows (`TOAST_TUPLES_PER_PAGE`). Blocks with fewer are emptier than others.
const SPARSE: u64 = 4_000;

/// Bytes of a new value where it cannot be computed just to look at it.
const UNKNOWN: u64 = 16;

/// What was found in the first blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Their rows.
    pub(super) rows: u64,
    /// How many they are, at least one.
    pub(super) blocks: u64,
    /// Average bytes of a new value.
    pub(super) added: u64,
    /// Rows in 1000 blocks of the whole relation, by the server's estimate.
    estimate: u64,
    /// Whether an index needs the column.
    indexed: bool,
}

impl Sample {
    /// Looks at a relation. An expression that fails for one of its rows is an error.
    pub(super) fn read(
        job: &Job,
        session: &mut Session,
        relation: &TableName,
    ) -> Result<Self, DbError> {
        if !job.fill.volatility.is_steady() {
            return Self::count(job, session, relation);
        }
        let sql = job.fill.sample(relation, SAMPLE);
        Ok(Self::of(job, relation, session.query(sql.as_str())?))
    }

    /// As [`Self::read`], without evaluating the expression.
    pub(super) fn count(
        job: &Job,
        session: &mut Session,
        relation: &TableName,
    ) -> Result<Self, DbError> {
        let sql = job.fill.count(relation, SAMPLE);
        Ok(Self::of(job, relation, session.query(sql.as_str())?))
    }

    fn of(job: &Job, relation: &TableName, answer: Vec<Row>) -> Self {
        let row = answer.into_iter().next().unwrap_or_default();
        let mut numbers = row.into_iter().map(|v| v.and_then(|v| v.parse::<u64>().ok()));
        let added = numbers.next().flatten().unwrap_or(UNKNOWN);
        let rows = numbers.next().flatten().unwrap_or_default();
        let known = match &job.route {
            Route::Blocks(relations) => relations.iter().find(|known| known.name == *relation),
            Route::Keys => None,
        };
        let blocks = known.map_or(SAMPLE, |known| known.blocks.clamp(1, SAMPLE));
        let indexed = known.is_some_and(|known| known.indexed);
        let estimate = known.map_or(0, |known| known.density);
        Self { rows, blocks, added, estimate, indexed }
    }

    /// Rows in 1000 blocks that hold more than most: the first blocks may be empty, as they are where
    /// old rows were deleted, and who expects too few rows changes too many at once.
    pub(super) fn density(&self) -> u64 {
        (self.rows * 1000 / self.blocks).max(self.estimate).max(SPARSE)
    }

    /// Average bytes of a row on its page.
    pub(super) fn row(&self) -> u64 {
        self.blocks * PAGE / self.rows.max(1)
    }

    pub(super) fn tuner(&self) -> Tuner {
        Tuner::new(self.row(), self.added, self.indexed)
    }
}
