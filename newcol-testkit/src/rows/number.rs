//! Which value of a type a row takes where rows must differ. Pure.

/// One row of a table, apart from its values.
///
/// A child whose rows must differ in their parent gives row `n` the parent `n`; a child that
/// references the same table twice gives the second another `slot`, so that the two differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// Which of the rows with this number.
    pub(super) slot: u64,
    /// The number; 0 is the parent that all rows share.
    pub(super) n: u64,
    /// How often it was changed.
    pub(super) revision: u64,
}

impl Row {
    /// Row `n` as it is inserted.
    pub(super) fn new(n: u64) -> Self {
        Self { slot: 0, n, revision: 0 }
    }
}

/// Where a value must be the only one, how it becomes so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Any value will do.
    Plain,
    /// A value per row; the type has so many (`None`: one for every number).
    Distinct { capacity: Option<u64> },
    /// A digit of the row's number, because no column of the index has values enough.
    Digit { divisor: u64, capacity: u64, rows: u64 },
}

/// Types with fewer values cannot tell rows apart by themselves.
pub(super) const WIDE: u64 = 1 << 20;

/// Types with fewer values have none to spare for rows that are there already.
const ROOMY: u64 = 1000;

/// Slots that lead to values of their own.
const SLOTS: u64 = 12;

impl Role {
    /// Returns the number of the value, or how many rows there can be.
    pub(super) fn number(self, row: Row) -> Result<u64, u64> {
        match self {
            Self::Plain => Ok(row.n + row.revision),
            Self::Distinct { capacity } => {
                let (usable, base, stride) = spread(capacity);
                let number = base + row.slot % SLOTS * stride + row.n;
                if number < usable { Ok(number) } else { Err(usable - base) }
            }
            Self::Digit { divisor, capacity, rows } => {
                if row.n < rows {
                    Ok(row.n / divisor % capacity)
                } else {
                    Err(rows)
                }
            }
        }
    }
}

/// Returns how many values may be used, the first one, and how far apart slots are.
///
/// Values start high, so that neither rows that are there nor those that a sequence will make are
/// in the way, and stay in the lower half, above which signed integers turn negative.
fn spread(capacity: Option<u64>) -> (u64, u64, u64) {
    let usable = capacity.map_or(u64::MAX, |count| if count < ROOMY { count } else { count / 2 });
    if usable >= 1 << 30 {
        (usable, 1_000_000, 50_000_000)
    } else if usable >= ROOMY {
        (usable, usable / 4, usable / 16)
    } else {
        (usable, 0, 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rows_and_slots_differ_as_long_as_the_type_has_values() {
        for capacity in [None, Some(1 << 32), Some(65_536), Some(1296)] {
            let role = Role::Distinct { capacity };
            let numbers: HashSet<u64> = (0..3)
                .flat_map(|slot| (0..20).map(move |n| Row { slot, n, revision: 7 }))
                .map(|row| role.number(row).unwrap())
                .collect();
            assert_eq!(numbers.len(), 60, "{capacity:?}");
        }
        assert_eq!(Role::Distinct { capacity: None }.number(Row::new(1)), Ok(1_000_001));
        assert_eq!(Role::Distinct { capacity: Some(2) }.number(Row::new(2)), Err(2));
        let high = Role::Digit { divisor: 2, capacity: 3, rows: 6 };
        let digits: Vec<u64> = (0..6).map(|n| high.number(Row::new(n)).unwrap()).collect();
        assert_eq!(digits, [0, 0, 1, 1, 2, 2]);
        assert_eq!(high.number(Row::new(6)), Err(6));
    }
}
