//! The shape of a table in production: its definition, its size, what the server's statistics say of
//! its columns, and the settings that decide what writing costs.
//!
//! A profile is a versioned JSON file. It holds no value of the data unless it was asked for: of a
//! common value it has a number that only tells whether two are equal, made with a key that is
//! nowhere kept.

mod read;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::read::{Secrecy, TakeError, take};

/// The version of the file that this program writes.
pub const VERSION: u32 = 1;

/// The shape of one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Version of the file.
    pub version: u32,
    /// Product and version of the server, as `PostgreSQL 15`.
    pub server: String,
    /// The table, with its schema where it has to be named.
    pub table: String,
    /// How it is made.
    pub definition: Definition,
    /// How large it is.
    pub size: Size,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Settings of the server that decide what reading and writing cost, as the server prints them.
    pub settings: BTreeMap<String, String>,
    /// What could not be read, in sentences.
    pub unread: Vec<String>,
}

/// The statements that make a table, and what is known of it besides.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Statements for what the table needs: schemas, types, sequences.
    pub needs: Vec<String>,
    /// The statement that makes the table, without indexes and constraints of other statements.
    pub table: String,
    /// Statements for defaults and how values are stored.
    pub after: Vec<String>,
    /// Its constraints.
    pub constraints: Vec<Constraint>,
    /// Its indexes but those of constraints.
    pub indexes: Vec<Index>,
    /// Names of its triggers, which are not made again.
    pub triggers: Vec<String>,
    /// How full its pages are made, in percent, where that is set.
    pub fillfactor: Option<u32>,
}

/// A constraint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constraint {
    /// Its name.
    pub name: String,
    /// Of which kind.
    pub kind: ConstraintKind,
    /// Columns that it is about, as far as the catalog says.
    pub columns: Vec<String>,
    /// The table it refers to, and the columns there.
    pub references: Option<References>,
    /// The statement that adds it; none where the table's own statement has it.
    pub sql: Option<String>,
}

/// Kinds of constraints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConstraintKind {
    /// The primary key.
    Primary,
    /// Values that differ.
    Unique,
    /// Rows of another table.
    Foreign,
    /// A condition.
    Check,
    /// Rows that exclude each other.
    Exclusion,
}

impl ConstraintKind {
    /// Reports whether an index stands behind it.
    pub fn has_index(self) -> bool {
        match self {
            Self::Primary | Self::Unique | Self::Exclusion => true,
            Self::Foreign | Self::Check => false,
        }
    }
}

/// Where a foreign key leads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct References {
    /// The table.
    pub table: String,
    /// Columns there, in the order of those here.
    pub columns: Vec<String>,
}

/// An index that no constraint has made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Whether it admits only values that differ.
    pub is_unique: bool,
    /// Columns of its key that are no expressions.
    pub columns: Vec<String>,
    /// The statement that makes it; none where the table's own statement has it.
    pub sql: Option<String>,
}

/// How large a table is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Rows, as the server estimates them.
    pub rows: f64,
    /// Pages of its rows; none where the engine does not count them.
    pub pages: Option<f64>,
    /// How large a page is, in bytes.
    pub page_bytes: Option<f64>,
    /// Pages of which every row is visible to everybody.
    pub all_visible: Option<f64>,
    /// Pages of values that lie outside of their rows.
    pub toast_pages: Option<f64>,
    /// Pages of its indexes.
    pub index_pages: Option<f64>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as the server prints it.
    pub sql_type: String,
    /// Its type without domains, as the server prints it.
    pub base_type: String,
    /// Labels of an enum, in order.
    pub labels: Vec<String>,
    /// Whether it takes NULL.
    pub is_nullable: bool,
    /// Whether the server computes it: nobody writes it.
    pub is_generated: bool,
    /// What the server's statistics say of its values; none where it has or shows none.
    pub statistics: Option<Statistics>,
}

/// What statistics say of a column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statistics {
    /// The share of rows that are NULL.
    pub null_frac: f64,
    /// How many bytes a value takes, on average; none where the engine does not say.
    pub avg_width: Option<f64>,
    /// How many different values there are; below 0 as a share of the rows, such as -1 for all.
    pub n_distinct: f64,
    /// How far the order of the values is that of the rows, from -1 to 1.
    pub correlation: Option<f64>,
    /// The common values, the most frequent one first.
    pub common: Vec<Common>,
    /// Bounds between which equally many of the other values lie, scaled to 0 for the first one and
    /// 1 for the last one; of numbers and times only.
    pub shape: Vec<f64>,
    /// The bounds themselves, where values were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<String>,
    /// How many different elements an array has, on average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elements: Option<f64>,
}

/// A common value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Common {
    /// The share of all rows that have it.
    pub frequency: f64,
    /// A number that is equal for equal values of this file, and for nothing else of use.
    pub hash: String,
    /// The value, where values were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Why a file is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// It is of another version of the program.
    #[error("the profile has version {found}, this program reads version {VERSION}")]
    Version {
        /// Its version.
        found: u32,
    },
    /// It is something else, or was damaged.
    #[error("this is no profile of a table")]
    Json(#[source] serde_json::Error),
}

impl ProfileError {
    /// Returns the way out.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Version { .. } => {
                "take it again with `cargo newcol bench profile`, or update cargo-newcol"
            }
            Self::Json(_) => "take one with `cargo newcol bench profile`",
        }
    }
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Profile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Where it is of another version, or no profile.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let Versioned { version: found } =
            serde_json::from_str(text).map_err(ProfileError::Json)?;
        if found != VERSION {
            return Err(ProfileError::Version { found });
        }
        serde_json::from_str(text).map_err(ProfileError::Json)
    }

    /// Returns the text of its file.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("its keys are texts");
        text.push('\n');
        text
    }

    /// Returns a column.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Returns how many rows fit into a page of a table as it is in production.
    pub fn rows_per_page(&self) -> Option<f64> {
        let pages = self.size.pages.filter(|pages| *pages > 0.0)?;
        Some(self.size.rows / pages)
    }
}

impl Statistics {
    /// Returns how many different values a table of so many rows has, at least one where any row
    /// has a value.
    pub fn distinct(&self, rows: f64) -> f64 {
        let wanted = if self.n_distinct < 0.0 { -self.n_distinct * rows } else { self.n_distinct };
        let filled = (rows * (1.0 - self.null_frac)).max(0.0);
        wanted.max(1.0).min(filled)
    }

    /// Returns the frequencies of the values that are more common than the others of a table of so
    /// many rows; all, where there are no others.
    pub fn outstanding(&self, rows: f64) -> Vec<f64> {
        let distinct = self.distinct(rows);
        let is_whole = distinct <= self.common.len() as f64 * 1.1;
        let average = (1.0 - self.null_frac) / distinct.max(1.0);
        let all = self.common.iter().map(|common| common.frequency);
        all.filter(|frequency| is_whole || *frequency > 1.25 * average).collect()
    }
}

#[cfg(test)]
mod tests;
