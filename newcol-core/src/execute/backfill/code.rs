//! Code of the application that computes a column's values, a batch of typed rows at a time.
//!
//! It sees rows and returns values: it has no part in transactions, and no connection.

use std::{fmt, marker::PhantomData};

use crate::row::{BoxError, FromRow, ReadError, RowReader, Value, Wanted};

/// Computes a column's values in application code.
///
/// Called by every worker with its own batches, outside of any transaction. A batch that is rolled
/// back or whose rows changed is computed again, so the code should have no effect besides.
/// [`per_row`] makes one of a function of a single row.
pub trait RowFill: Sync {
    /// A row as the code wants it; [`row!`](crate::row!) declares one.
    type Row: FromRow;

    /// Returns a value for each of the rows, in their order; `None` leaves a row NULL.
    ///
    /// # Errors
    ///
    /// An error ends the run. What was committed stays, and the next run goes on from there.
    fn fill(&self, rows: &[Self::Row]) -> Result<Vec<Option<Value>>, BoxError>;
}

/// Computes the value of one row after the other.
///
/// ```
/// use newcol_core::execute::backfill::per_row;
///
/// newcol_core::row! {
///     struct User {
///         email: String,
///     }
/// }
///
/// /// A function of the application.
/// fn locale_of(email: &str) -> Option<&'static str> {
///     email.ends_with(".de").then_some("de")
/// }
///
/// let fill = per_row(|user: &User| Ok(locale_of(&user.email)));
/// # fn takes(_: &impl newcol_core::execute::backfill::RowFill) {}
/// # takes(&fill);
/// ```
pub fn per_row<R, V, F>(compute: F) -> PerRow<R, F>
where
    R: FromRow,
    V: Into<Value>,
    F: Fn(&R) -> Result<Option<V>, BoxError> + Sync,
{
    PerRow { compute, row: PhantomData }
}

/// A [`RowFill`] of single rows; see [`per_row`].
pub struct PerRow<R, F> {
    compute: F,
    row: PhantomData<fn(R)>,
}

impl<R, F> fmt::Debug for PerRow<R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerRow").finish_non_exhaustive()
    }
}

impl<R, V, F> RowFill for PerRow<R, F>
where
    R: FromRow,
    V: Into<Value>,
    F: Fn(&R) -> Result<Option<V>, BoxError> + Sync,
{
    type Row = R;

    fn fill(&self, rows: &[R]) -> Result<Vec<Option<Value>>, BoxError> {
        rows.iter().map(|row| Ok((self.compute)(row)?.map(Into::into))).collect()
    }
}

/// The application's code, whatever its type of rows.
#[derive(Clone, Copy)]
pub(super) struct Filler<'a>(&'a dyn Code);

impl<'a> Filler<'a> {
    pub(super) fn new<F: RowFill>(fill: &'a F) -> Self {
        Self(fill)
    }

    /// Returns the columns that it reads.
    pub(super) fn wanted(self) -> Vec<Wanted> {
        self.0.wanted()
    }

    /// Computes the values of rows, given as texts in the order of [`Self::wanted`].
    pub(super) fn compute(self, rows: &[&[Option<String>]]) -> Result<Vec<Option<Value>>, Failed> {
        self.0.compute(rows)
    }
}

impl fmt::Debug for Filler<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filler").field(&self.0.wanted()).finish()
    }
}

/// Why there are no values.
pub(super) enum Failed {
    /// The row of this number is not of the types that it asks for.
    Row(usize, ReadError),
    /// The code says so.
    Code(BoxError),
    /// It returned so many values.
    Values(usize),
}

trait Code: Sync {
    fn wanted(&self) -> Vec<Wanted>;
    fn compute(&self, rows: &[&[Option<String>]]) -> Result<Vec<Option<Value>>, Failed>;
}

impl<F: RowFill> Code for F {
    fn wanted(&self) -> Vec<Wanted> {
        F::Row::columns()
    }

    fn compute(&self, rows: &[&[Option<String>]]) -> Result<Vec<Option<Value>>, Failed> {
        let columns = F::Row::columns();
        let typed = rows.iter().enumerate().map(|(at, row)| {
            F::Row::from_row(&RowReader::new(&columns, row)).map_err(|error| Failed::Row(at, error))
        });
        let typed = typed.collect::<Result<Vec<_>, _>>()?;
        let values = self.fill(&typed).map_err(Failed::Code)?;
        if values.len() != rows.len() {
            return Err(Failed::Values(values.len()));
        }
        Ok(values)
    }
}
