//! Makes a table of the shape that a profile tells, fills it, and checks it against the profile.

use std::collections::BTreeMap;

use newcol_core::{
    backend::{Backend, Server},
    bench::profile::{Profile, TakeError},
    db::{DbError, Session},
    ident::{IdentError, TableName},
};

pub use super::{
    check::{Check, What},
    draw::Drawn,
};
use super::{draw::New, others, postgres};
use crate::rows::RowsError;

/// A table that was made, and how near it comes to its profile.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Filled {
    /// The table.
    pub table: TableName,
    /// Its rows.
    pub rows: u64,
    /// Each statistic of the profile beside that of the table.
    pub checks: Vec<Check>,
    /// What of the profile was not made, in sentences.
    pub left_out: Vec<String>,
    /// How values are made that no row has, by column.
    pub(super) new: BTreeMap<String, New>,
    /// Columns with values of their own, and their types.
    pub(super) types: Vec<(String, String)>,
}

/// Why there is no table of the wanted shape.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FillError {
    /// The profile is of another engine.
    #[error("the profile is of {server}, the throwaway database of {engine}")]
    Engine {
        /// Server of the profile.
        server: String,
        /// Engine of the database.
        engine: Backend,
    },
    /// The profile names a table as nothing can be named.
    #[error("the profile is of no table")]
    Name(#[from] IdentError),
    /// The server refuses a statement.
    #[error("could not make a table like `{table}`")]
    Database {
        /// The table.
        table: String,
        /// What the server says.
        source: Box<DbError>,
    },
    /// Nothing is known that stands in a column.
    #[error("no value is known for `{column}`, which is `{ty}`")]
    Type {
        /// The column.
        column: String,
        /// Its type.
        ty: String,
        /// What was tried last, where rows were.
        source: Option<Box<RowsError>>,
    },
    /// The table's statistics could not be read again.
    #[error("could not read the statistics of the table that was made")]
    Statistics(#[source] Box<TakeError>),
    /// The table is another one than was wanted.
    #[error("the table that was made is not like `{table}`: {}", list(off))]
    Unlike {
        /// The table.
        table: String,
        /// What is off.
        off: Vec<Check>,
    },
}

fn list(off: &[Check]) -> String {
    let all: Vec<String> = off.iter().map(ToString::to_string).collect();
    all.join("; ")
}

/// Makes the table and fills it with `scale` times as many rows as it has in production. The same
/// seed gives the same rows.
///
/// # Errors
///
/// Where the database refuses it, or its statistics are not near those of the profile.
pub fn fill(
    session: &mut Session,
    profile: &Profile,
    scale: f64,
    seed: u64,
) -> Result<Filled, FillError> {
    let filled = made(session, profile, scale, seed)?;
    let off: Vec<Check> = filled.checks.iter().filter(|check| !check.holds()).cloned().collect();
    if off.is_empty() {
        Ok(filled)
    } else {
        Err(FillError::Unlike { table: profile.table.clone(), off })
    }
}

/// As [`fill`], but leaves it to the caller what to make of statistics that are off.
///
/// # Errors
///
/// Where the database refuses it.
pub fn made(
    session: &mut Session,
    profile: &Profile,
    scale: f64,
    seed: u64,
) -> Result<Filled, FillError> {
    let backend = Server::parse_display(&profile.server).map(|server| server.backend());
    if backend != Some(session.backend()) {
        let (server, engine) = (profile.server.clone(), session.backend());
        return Err(FillError::Engine { server, engine });
    }
    let rows = ((profile.size.rows * scale).round() as u64).max(1);
    match session.backend() {
        Backend::Postgres => postgres::fill(session, profile, rows, seed),
        Backend::Mysql | Backend::Sqlite => others::fill(session, profile, rows, seed),
    }
}
