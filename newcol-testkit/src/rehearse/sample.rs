//! Rows for a rehearsal: made up, or copied from a database that is only read.

use newcol_core::{
    db::{DatabaseUrl, OpenOptions, Session},
    plan::Plan,
};

use super::RehearseError;
use crate::{
    life::{self, LifeError},
    matrix::Side,
    program::{Changes, Operation, Program as _, Statements},
    rows,
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

/// Copies rows and what they refer to; an empty table gives no rehearsal.
pub(super) fn copy(sample: &Sample, plan: &Plan, url: &str) -> Result<(), RehearseError> {
    let table = plan.contract.table();
    let from = DatabaseUrl::parse(&sample.url).map_err(LifeError::Url)?;
    let mut source = Session::open_direct(&from, &OpenOptions::read()).map_err(LifeError::from)?;
    let mut target = life::open(url)?;
    let copied = rows::copy(&mut source, &mut target, table, sample.rows);
    match copied.map_err(|error| RehearseError::Sample(error.into()))? {
        0 => Err(RehearseError::Sample(format!("`{table}` has no rows there").into())),
        _ => Ok(()),
    }
}
