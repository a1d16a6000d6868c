//! What a part of the table holds, counted by one question.

use crate::{
    db::{DbError, Session},
    render::backfill::{Fill, Range},
};

/// Counts of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Its rows.
    pub(super) rows: u64,
    /// Of those, NULL.
    pub(super) empty: u64,
    /// Of those, NULL though the expression yields a value.
    pub(super) pending: u64,
    /// Rows whose value is not what the expression yields, pending ones included; none where it
    /// cannot be asked again.
    pub(super) differing: u64,
}

impl Counts {
    pub(super) fn read(
        session: &mut Session,
        fill: &Fill,
        range: Range<'_>,
    ) -> Result<Self, DbError> {
        let rows = session.query(fill.compare(range).as_str())?;
        let mut numbers = rows.into_iter().flatten().map(|value| {
            // MySQL's sums are decimals.
            value.and_then(|text| text.parse().ok()).unwrap_or_default()
        });
        let mut next = || numbers.next().unwrap_or_default();
        Ok(Self { rows: next(), empty: next(), pending: next(), differing: next() })
    }
}
