//! What a finished backfill leaves: counts of a pass that found nothing pending.

use std::{fmt, str::FromStr};

use super::record::Totals;

/// The result of the last pass over the whole table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Rows of the table, as that pass counted them.
    pub rows: u64,
    /// Of those, NULL: the expression yields nothing for them.
    pub empty: u64,
    /// Of those, not what the expression yields: written by programs that know the column, or
    /// computed from values that changed since. `None` where the expression yields another value
    /// each time.
    pub differing: Option<u64>,
    /// Rows that the job filled.
    pub filled: u64,
    /// Of those, filled by the last pass: programs that do not know the column had inserted them
    /// since the pass before, and insert more.
    pub late: u64,
    /// Passes over the table.
    pub passes: u32,
    /// Version of the tool.
    pub by: String,
}

impl Receipt {
    pub(super) fn of(totals: &Totals, passes: u32, comparable: bool) -> Self {
        Self {
            rows: totals.rows,
            empty: totals.empty,
            differing: comparable.then_some(totals.differing),
            filled: totals.filled,
            late: totals.filled_now,
            passes,
            by: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl fmt::Display for Receipt {
    /// Writes the stored form: `rows=5 empty=0 differing=0 filled=5 late=0 passes=2 by=0.1.0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, empty, differing, filled, late, passes, by } = self;
        let differing = differing.map_or("unknown".to_owned(), |rows| rows.to_string());
        write!(
            f,
            "rows={rows} empty={empty} differing={differing} filled={filled} late={late} passes={passes} by={by}"
        )
    }
}

/// A text that is no receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no receipt of a backfill")]
pub struct BadReceipt(pub String);

impl FromStr for Receipt {
    type Err = BadReceipt;

    fn from_str(text: &str) -> Result<Self, BadReceipt> {
        let field = |name: &str| {
            let mut pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let read = || {
            Some(Self {
                rows: field("rows")?.parse().ok()?,
                empty: field("empty")?.parse().ok()?,
                differing: match field("differing")? {
                    "unknown" => None,
                    rows => Some(rows.parse().ok()?),
                },
                filled: field("filled")?.parse().ok()?,
                late: field("late")?.parse().ok()?,
                passes: field("passes")?.parse().ok()?,
                by: field("by")?.to_owned(),
            })
        };
        read().ok_or_else(|| BadReceipt(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_read_as_it_was_written() {
        for differing in [None, Some(7)] {
            let by = "0.1.0".to_owned();
            let receipt =
                Receipt { rows: 5, empty: 1, differing, filled: 4, late: 1, passes: 2, by };
            assert_eq!(receipt.to_string().parse::<Receipt>().unwrap(), receipt);
        }
        assert!("rows=5".parse::<Receipt>().is_err());
    }
}
