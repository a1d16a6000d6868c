//! Where new keys arrive in the tree, out of what `pg_stats` says of the column.

/// Where new keys arrive.
#[derive(Debug, Clone, PartialEq)]
pub struct Keys {
    /// Places; their shares add up to one.
    pub places: Vec<Place>,
    /// Share of keys that are NULL.
    pub null_frac: f64,
    /// Different keys, if they repeat.
    pub distinct: Option<f64>,
    /// Whether equal keys share an entry: not in unique indexes, nor of types whose equal values may
    /// differ (`numeric`, `float`, text of a nondeterministic collation).
    pub merged: bool,
}

/// A share of the entries, spread evenly over some values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Of all entries.
    pub share: f64,
    /// Different values; `None`: as many as entries.
    pub values: Option<f64>,
    /// Which end of the tree it is.
    pub end: End,
}

/// Whether a place is the right end of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing follows: a split moves a tenth only.
    Right,
    /// Within.
    Inner,
}

/// What `pg_stats` and the catalog say of an indexed column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnStatistics {
    /// Share of rows without a value.
    pub null_frac: f64,
    /// As there: negative numbers are shares of the rows.
    pub n_distinct: f64,
    /// Between the order of rows and of values; `None` where unknown.
    pub correlation: Option<f64>,
    /// How frequent the most frequent values are.
    pub most_common: Vec<f64>,
}

/// From which correlation on new rows are taken to have the largest key.
const ASCENDING: f64 = 0.99;

impl Keys {
    /// Keys of which each comes once, in any order.
    #[must_use]
    pub fn random() -> Self {
        let place = Place { share: 1.0, values: None, end: End::Inner };
        Self { places: vec![place], null_frac: 0.0, distinct: None, merged: false }
    }

    /// Keys of which each is the largest so far.
    #[must_use]
    pub fn ascending() -> Self {
        let place = Place { share: 1.0, values: Some(1.0), end: End::Right };
        Self { places: vec![place], null_frac: 0.0, distinct: None, merged: false }
    }

    /// Keys that repeat, all equally often, each as often as any other.
    #[must_use]
    pub fn repeated(distinct: f64) -> Self {
        let place = Place { share: 1.0, values: Some(distinct.max(1.0)), end: End::Inner };
        Self {
            places: vec![place],
            null_frac: 0.0,
            distinct: Some(distinct.max(1.0)),
            merged: true,
        }
    }

    /// Reads where keys arrive out of the statistics of a table with that many rows.
    ///
    /// NULLs are keys like others: all equal, at one place. So is each of the most common values.
    #[must_use]
    pub fn from_statistics(statistics: &ColumnStatistics, rows: f64) -> Self {
        let given = statistics.n_distinct;
        let distinct = if given < 0.0 { -given * rows } else { given }.max(1.0);
        let filled = (1.0 - statistics.null_frac).clamp(0.0, 1.0);
        if statistics.null_frac == 0.0 && distinct >= 0.9 * rows {
            return match statistics.correlation {
                Some(correlation) if correlation >= ASCENDING => Self::ascending(),
                _ => Self::random(),
            };
        }
        let one = |share| Place { share, values: Some(1.0), end: End::Inner };
        let mut places: Vec<Place> = Vec::new();
        if statistics.null_frac > 0.0 {
            places.push(one(statistics.null_frac));
        }
        let common = statistics.most_common.iter().copied().filter(|share| *share > 0.0);
        places.extend(common.map(one));
        let rest = filled - statistics.most_common.iter().sum::<f64>();
        let others = (distinct - statistics.most_common.len() as f64).max(1.0);
        if rest > 1e-6 {
            places.push(Place { share: rest, values: Some(others), end: End::Inner });
        }
        let nulls = f64::from(u8::from(statistics.null_frac > 0.0));
        let (null_frac, distinct) = (statistics.null_frac, Some(distinct + nulls));
        Self { places, null_frac, distinct, merged: true }
    }

    /// The same keys where equal ones keep an entry each.
    #[must_use]
    pub fn unmerged(self) -> Self {
        Self { merged: false, ..self }
    }
}

/// Which rows a partial index has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Predicate {
    /// All: the index is not partial.
    Everything,
    /// `column IS NOT NULL`.
    NotNull,
    /// `column IS NULL`.
    Null,
    /// `column = value`, of one of the most common values, by its rank.
    Common(usize),
    /// `column = value`, of any other value.
    Uncommon,
}

impl Predicate {
    /// Returns the share of rows that it holds for: out of statistics, not a rule of thumb.
    #[must_use]
    pub fn selectivity(self, statistics: &ColumnStatistics, rows: f64) -> f64 {
        let common = &statistics.most_common;
        let share = match self {
            Self::Everything => 1.0,
            Self::NotNull => 1.0 - statistics.null_frac,
            Self::Null => statistics.null_frac,
            Self::Common(rank) => common.get(rank).copied().unwrap_or(0.0),
            Self::Uncommon => {
                let given = statistics.n_distinct;
                let distinct = if given < 0.0 { -given * rows } else { given };
                let others = (distinct - common.len() as f64).max(1.0);
                (1.0 - statistics.null_frac - common.iter().sum::<f64>()) / others
            }
        };
        share.clamp(0.0, 1.0)
    }

    /// Returns the statistics of the rows that it holds for.
    #[must_use]
    pub fn narrow(self, statistics: &ColumnStatistics) -> ColumnStatistics {
        let one = |null_frac, most_common| ColumnStatistics {
            null_frac,
            n_distinct: 1.0,
            correlation: None,
            most_common,
        };
        match self {
            Self::Everything => statistics.clone(),
            Self::NotNull => {
                let filled = (1.0 - statistics.null_frac).max(f64::MIN_POSITIVE);
                let given = statistics.n_distinct;
                ColumnStatistics {
                    null_frac: 0.0,
                    n_distinct: if given < 0.0 { (given / filled).max(-1.0) } else { given },
                    correlation: statistics.correlation,
                    most_common: statistics
                        .most_common
                        .iter()
                        .map(|share| share / filled)
                        .collect(),
                }
            }
            Self::Null => one(1.0, Vec::new()),
            Self::Common(_) | Self::Uncommon => one(0.0, vec![1.0]),
        }
    }
}
