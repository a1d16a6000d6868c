//! Values for a column of any SQL type.
//!
//! [`sample`] makes an SQL literal from a type and a number, the same one every time: what a
//! generator of rows for arbitrary tables needs. [`edges`] lists the values of a type that get lost
//! between programs and databases. Nothing here asks a server or knows a catalog:
//! what a name of the user's own stands for (labels of an enum, the base of a domain) is said by
//! the caller.
//!
//! ```
//! use newcol_core::backend::Product;
//! use newcol_testkit::values::{self, ColumnType};
//!
//! # fn main() -> Result<(), values::ValueError> {
//! let price = ColumnType::new(Product::Postgres, "numeric(10,2)");
//! assert_eq!(values::sample(&price, 1234)?, "12.34");
//!
//! let labels = ["sad".to_owned(), "ok".to_owned()];
//! let mood = ColumnType { labels: &labels, ..ColumnType::new(Product::Postgres, "mood") };
//! assert_eq!(values::sample(&mood, 1)?, "'ok'");
//! # Ok(())
//! # }
//! ```

mod calendar;
mod edges;
mod kind;
mod literal;
mod patterns;
mod sample;
mod written;

use newcol_core::backend::Product;

use self::kind::Kind;
pub(crate) use self::literal::text as text_literal;

/// The type of a column, as far as its values depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnType<'a> {
    /// The server.
    pub product: Product,
    /// The type as it stands in `CREATE TABLE`; for a domain, the type under it.
    pub sql: &'a str,
    /// Texts that a type of the user's own accepts: the labels of an enum. Empty for all others.
    pub labels: &'a [String],
}

impl<'a> ColumnType<'a> {
    /// A type that needs no labels.
    pub fn new(product: Product, sql: &'a str) -> Self {
        Self { product, sql, labels: &[] }
    }
}

/// Why there are no values for a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The name is not one of the engine's, and no labels say what it accepts.
    #[error(
        "no values are known for the type `{sql}`: it is not built in, and no labels are given"
    )]
    Unknown {
        /// The type.
        sql: String,
    },
    /// The text is not a type.
    #[error("`{sql}` is not a type: {reason}")]
    Unreadable {
        /// The text.
        sql: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Returns an SQL literal of a type: distinct for distinct `n`, as far as the type has values.
///
/// It stands where the column's type is known (`VALUES`, `SET`, `DEFAULT`); elsewhere cast it.
/// Values are plain: numbers count up from zero, texts are lowercase ASCII without blanks at their
/// end, times are never in the hour of a clock change. So a check such as `age >= 0`, a
/// case-insensitive collation and any character set let them pass. [`capacity`] says for how many
/// `n` they stay distinct.
pub fn sample(ty: &ColumnType<'_>, n: u64) -> Result<String, ValueError> {
    let kind = Kind::of(ty)?;
    Ok(sample::value(&kind, ty.product, n).literal(ty.product))
}

/// Returns how many distinct values [`sample`] has for a type; `None` is one for every `n`.
pub fn capacity(ty: &ColumnType<'_>) -> Result<Option<u64>, ValueError> {
    Ok(sample::capacity(&Kind::of(ty)?))
}

/// A value of a column in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlValue {
    /// The literal; it stands where the column's type is known.
    pub sql: String,
    /// What is special about it, if it is one of the [`edges`].
    pub edge: Option<&'static str>,
}

/// Returns the values of a type that get lost between programs and databases, simplest first.
///
/// The server takes each of them (a PostgreSQL database in UTF-8; MySQL in strict mode). What it
/// makes of it and what a program then reads is for a test to find out.
pub fn edges(ty: &ColumnType<'_>) -> Result<Vec<SqlValue>, ValueError> {
    let edges = edges::of(&Kind::of(ty)?, ty.product);
    let literal =
        |(name, value): edges::Named| SqlValue { sql: value.literal(ty.product), edge: Some(name) };
    Ok(edges.into_iter().map(literal).collect())
}
