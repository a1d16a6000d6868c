//! Rust values of the types that Diesel maps columns to.
//!
//! A strategy is keyed by SQL type and Rust type: it keeps to what the column can hold, and one
//! value in four is an edge of either, which the column or the Rust type may refuse.

#[cfg(feature = "chrono")]
mod chrono;
#[cfg(feature = "network-address")]
mod network;
#[cfg(feature = "numeric")]
mod numeric;
mod plain;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "serde_json")]
mod serde_json;
mod shape;
#[cfg(feature = "time")]
mod time;
#[cfg(feature = "uuid")]
mod uuid;

use std::fmt::Debug;

pub(crate) use self::shape::same;

use proptest::strategy::BoxedStrategy;

use super::{ColumnType, ValueError, kind::Kind, strategy::with_edges};

/// A Rust type of a column.
pub trait ColumnValue: Clone + Debug + 'static {
    /// Returns values for a column of a type.
    ///
    /// Fails where the type is unknown or has no values of this Rust type.
    fn strategy(ty: &ColumnType<'_>) -> Result<BoxedStrategy<Self>, ValueError>;

    /// Returns the same value in SQL; `None` where SQL has none for certain.
    fn literal(&self, ty: &ColumnType<'_>) -> Option<String>;

    /// Returns a Rust expression of the value.
    fn rust(&self) -> String;

    /// Reports whether `read` is what `self` becomes by a loss.
    fn becomes(&self, read: &Self, loss: Loss) -> bool;

    /// Returns the next value of a type whose values can be counted, as bounds of ranges are.
    fn successor(&self) -> Option<Self> {
        None
    }
}

/// A change between writing and reading that a test declares to accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Loss {
    /// A second has so many fractional digits; more are cut or rounded.
    Fraction(u32),
    /// A number has so many digits after the point; more are rounded, fewer filled up.
    Scale(u32),
    /// A decimal number is stored as a binary fraction, to fifteen digits.
    Binary,
    /// A leap second is in the first second of the next minute.
    LeapSecond,
    /// Negative zero is zero.
    NegativeZero,
    /// NaN is NULL.
    NanIsNull,
    /// Blanks at the end of a text are added or removed.
    Blanks,
    /// Zeros at the end of bytes or of a number are added or dropped.
    Zeros,
    /// A fraction in JSON is read to fifteen digits, and negative zero as zero.
    JsonNumber,
    /// A range of countable values includes its first and excludes its last; an empty one is
    /// any empty one.
    RangeForm,
}

/// Returns values of a Rust type for a column of an SQL type.
pub fn of<T: ColumnValue>(ty: &ColumnType<'_>) -> Result<BoxedStrategy<T>, ValueError> {
    T::strategy(ty)
}

/// Returns the error of a Rust type that has no values for a column.
fn mismatch<T>(ty: &ColumnType<'_>) -> ValueError {
    ValueError::NoRust { sql: ty.sql.to_owned(), rust: std::any::type_name::<T>() }
}
