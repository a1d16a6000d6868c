//! Holds the statistics of a table that was made against those it was to have.

use newcol_core::bench::profile::{Profile, Statistics};

/// A statistic of the profile beside that of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// The column; none for the whole table.
    pub column: Option<String>,
    /// Which statistic.
    pub what: What,
    /// What the profile says, for a table of this many rows.
    pub wanted: f64,
    /// What the table's own statistics say.
    pub found: f64,
    /// How far the two may be apart.
    pub within: f64,
}

/// Which statistic is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Rows.
    Rows,
    /// Rows of a page.
    RowsPerPage,
    /// The share of NULL.
    Nulls,
    /// Bytes of a value.
    Width,
    /// Different values.
    Distinct,
    /// The share of the most common value.
    MostCommon,
    /// The share of all common values together.
    Common,
    /// The order of values in that of rows.
    Correlation,
    /// How numbers or times lie between the least and the greatest one.
    Shape,
}

/// How far statistics may be apart, as a share of what is wanted.
const NEAR: f64 = 0.1;

/// How far shares may be apart besides: what chance does to one of thirty thousand rows.
const CHANCE: f64 = 0.01;

impl What {
    /// Returns the words for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::RowsPerPage => "rows per page",
            Self::Nulls => "share of NULL",
            Self::Width => "average width",
            Self::Distinct => "distinct values",
            Self::MostCommon => "share of the most common value",
            Self::Common => "share of all common values",
            Self::Correlation => "correlation",
            Self::Shape => "shape of the histogram",
        }
    }
}

impl Check {
    /// Reports whether they are near enough.
    pub fn holds(&self) -> bool {
        (self.wanted - self.found).abs() <= self.within
    }
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, wanted, found, .. } = self;
        if let Some(column) = &self.column {
            write!(f, "{} of `{column}`", what.name())?;
        } else {
            write!(f, "{} of the table", what.name())?;
        }
        write!(f, ": {} wanted, {} found", brief(*wanted), brief(*found))
    }
}

fn brief(number: f64) -> String {
    if number.abs() >= 100.0 { format!("{number:.0}") } else { format!("{number:.3}") }
}

/// Compares a table with its profile; `rows` is how many it was to have.
pub(super) fn compare(wanted: &Profile, found: &Profile, rows: f64) -> Vec<Check> {
    let mut checks = vec![near(None, What::Rows, rows, found.size.rows, 0.0)];
    if let (Some(wanted), Some(found)) = (wanted.rows_per_page(), found.rows_per_page()) {
        // Of a table of a few pages the last one counts too much.
        let pages = rows / wanted;
        if pages >= 10.0 {
            checks.push(near(None, What::RowsPerPage, wanted, found, 0.0));
        }
    }
    for column in &wanted.columns {
        let other = found.column(&column.name).and_then(|column| column.statistics.as_ref());
        if let (Some(one), Some(other), false) = (&column.statistics, other, column.is_generated) {
            of_column(&column.name, (one, other), rows, &mut checks);
        }
    }
    checks
}

fn of_column(
    name: &str,
    (wanted, found): (&Statistics, &Statistics),
    rows: f64,
    checks: &mut Vec<Check>,
) {
    let mut add = |what, wanted, found, at_least| {
        checks.push(near(Some(name), what, wanted, found, at_least));
    };
    add(What::Nulls, wanted.null_frac, found.null_frac, CHANCE);
    if wanted.null_frac >= 1.0 {
        return;
    }
    if let (Some(wanted), Some(found)) = (wanted.avg_width, found.avg_width) {
        // The server rounds to whole bytes.
        add(What::Width, wanted, found, 1.0);
    }
    add(What::Distinct, wanted.distinct(rows), found.distinct(rows), 1.0);
    let common = wanted.outstanding(rows);
    if let (Some(one), Some(other)) = (common.first(), found.common.first()) {
        add(What::MostCommon, *one, other.frequency, CHANCE);
        // As many of the most common ones as both have.
        let first = found.common.iter().map(|common| common.frequency).take(common.len());
        let both = common.iter().take(found.common.len()).sum();
        add(What::Common, both, first.sum(), CHANCE);
    }
    if let (Some(wanted), Some(found)) = (wanted.correlation, found.correlation) {
        add(What::Correlation, wanted, found, NEAR);
    }
    let at = |shape: &[f64], place: f64| {
        shape.get((place * (shape.len() - 1) as f64).round() as usize).copied().unwrap_or_default()
    };
    // Where a list of common values holds any ones, such as the first of many equal ones, the
    // histogram is that of the others, and says nothing of the column.
    let is_clear = |of: &Statistics| of.outstanding(rows).len() == of.common.len();
    let has_shape = |of: &Statistics| of.shape.len() > 10 && is_clear(of);
    if has_shape(wanted) && has_shape(found) {
        let places = (1..10).map(|tenth| f64::from(tenth) / 10.0);
        let apart = |place: &f64| (at(&wanted.shape, *place) - at(&found.shape, *place)).abs();
        let worst = places.max_by(|a, b| apart(a).total_cmp(&apart(b))).unwrap_or_default();
        add(What::Shape, at(&wanted.shape, worst), at(&found.shape, worst), NEAR);
    }
}

pub(super) fn near(
    column: Option<&str>,
    what: What,
    wanted: f64,
    found: f64,
    at_least: f64,
) -> Check {
    let within = (wanted.abs() * NEAR).max(at_least);
    Check { column: column.map(str::to_owned), what, wanted, found, within }
}
