//! Rows for a rehearsal: made up, or copied from a database that is only read.

use newcol_core::plan::Plan;

use super::RehearseError;
use crate::{
    matrix::Side,
    program::{Changes, Operation, Program as _, Statements},
};

/// Where to copy rows from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The database, of the same engine and with the same schema.
    pub url: String,
    /// Rows of the table; what they refer to comes along.
    pub rows: u64,
}

/// Inserts made-up rows.
pub(super) fn make_up(plan: &Plan, url: &str, rows: u64) -> Result<(), RehearseError> {
    let program = Statements::of(plan, Side::Old, url, &Changes::default())?;
    let mut session = program.open(url).map_err(RehearseError::Sample)?;
    for row in 1..=rows {
        let done = session.act(Operation::Insert, &[row]);
        done.map_err(|error| RehearseError::Sample(error.into()))?;
    }
    Ok(())
}

/// Copies rows and what they refer to.
pub(super) fn copy(_: &Sample, _: &Plan, _: &str) -> Result<(), RehearseError> {
    todo!("needs the foreign keys of the catalogue")
}
