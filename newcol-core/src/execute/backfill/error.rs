//! Why a backfill could not begin, or stopped.

use std::time::Duration;

use super::Storing;
use crate::{
    db::{DbError, Failure, facts::FactsError},
    execute::{peers::Peer, side_effects::Refusal},
    ident::ColumnPath,
    keys::BadPlace,
    plan::PlanError,
    render::computed::NoLiteral,
    row::{BoxError, ReadError},
};

/// Why a backfill could not begin, or stopped before its end. Whatever it says, what was committed
/// stays, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// The table could not be looked at.
    #[error("could not read the table of `{column}`")]
    Facts {
        /// The column.
        column: ColumnPath,
        /// Why not.
        source: FactsError,
    },
    /// Others held the table until the time was over. Nothing was begun.
    #[error("the table of `{column}` could not be read within {waited:.0?} and {tries} tries")]
    Busy {
        /// The column.
        column: ColumnPath,
        /// How often it was tried.
        tries: u32,
        /// How long.
        waited: Duration,
        /// Who stood in the way at last, where the server tells.
        by: Vec<Peer>,
    },
    /// The contract cannot be carried out on this engine.
    #[error("could not plan `{column}`")]
    Plan {
        /// The column.
        column: ColumnPath,
        /// Why not.
        source: Box<PlanError>,
    },
    /// The column is not there yet.
    #[error("`{column}` does not exist in {database}")]
    NotExpanded {
        /// The column.
        column: ColumnPath,
        /// The database, without password.
        database: String,
    },
    /// The plan has no backfill.
    #[error("nothing has to be filled in `{column}`")]
    NothingToFill {
        /// The column.
        column: ColumnPath,
    },
    /// Only application code can compute the values.
    #[error("`{column}` is filled by `{path}`, which only the application can run")]
    RustFill {
        /// The column.
        column: ColumnPath,
        /// The function.
        path: String,
    },
    /// The contract needs no code.
    #[error("`{column}` is filled by SQL, so no code is asked")]
    SqlFill {
        /// The column.
        column: ColumnPath,
    },
    /// The code reads a column that is not there.
    #[error(
        "the code that fills `{column}` reads `{input}`, which is no other column of its table"
    )]
    NoInput {
        /// The column that is filled.
        column: ColumnPath,
        /// What the code reads.
        input: String,
    },
    /// A value is not what the code takes it for.
    #[error("in the row {key}, the code that fills `{column}` cannot read what it needs")]
    Input {
        /// The column that is filled.
        column: ColumnPath,
        /// The row's key.
        key: String,
        /// Which column is not of which type.
        source: ReadError,
    },
    /// The code failed. Nothing of the batch was written.
    #[error("the code that fills `{column}` failed on the batch that begins with the row {key}")]
    Code {
        /// The column.
        column: ColumnPath,
        /// Key of the batch's first row.
        key: String,
        /// What it said.
        source: BoxError,
    },
    /// The code does not say which value is whose. Nothing of the batch was written.
    #[error(
        "the code that fills `{column}` made {values} values of the {rows} rows that begin with the row {key}"
    )]
    Values {
        /// The column.
        column: ColumnPath,
        /// Key of the batch's first row.
        key: String,
        /// Rows it was given.
        rows: usize,
        /// Values it returned.
        values: usize,
    },
    /// The code made a value that the engine cannot take.
    #[error("the code that fills `{column}` made a value that cannot be stored")]
    Value {
        /// The column.
        column: ColumnPath,
        /// What the engine lacks.
        source: NoLiteral,
    },
    /// Something else would change, or the server would refuse.
    #[error(transparent)]
    SideEffects(#[from] Refusal),
    /// Rows cannot be told apart.
    #[error(
        "the rows of `{column}`'s table cannot be filled in batches: it has no unique key without NULL"
    )]
    NoKey {
        /// The column.
        column: ColumnPath,
    },
    /// Values cannot be written down, for nobody could say whose they are.
    #[error("values of `{column}` cannot be exported: its table has no unique key without NULL")]
    Nameless {
        /// The column.
        column: ColumnPath,
    },
    /// More workers than the engine can use.
    #[error("SQLite has one writer at a time, so more workers would only wait for each other")]
    OneWriter,
    /// The record is of a newer version of the tool.
    #[error(
        "the backfill of `{column}` was begun by version {made_by}, whose record this version cannot read"
    )]
    TooNew {
        /// The column.
        column: ColumnPath,
        /// The other version.
        made_by: String,
    },
    /// The record holds something that no version wrote.
    #[error("the record of the backfill of `{column}` holds an unknown {what}")]
    Record {
        /// The column.
        column: ColumnPath,
        /// What it is.
        what: String,
    },
    /// The contract changed while the job was under way.
    #[error(
        "the contract of `{column}` changed since its backfill began: rows filled so far hold the values of the old one"
    )]
    Changed {
        /// The column.
        column: ColumnPath,
    },
    /// A key cannot be written down.
    #[error("the table of `{column}` has a key that cannot be written down")]
    Key {
        /// The column.
        column: ColumnPath,
        /// What was read.
        source: BadPlace,
    },
    /// A batch was rolled back more often than it is worth trying.
    #[error("a batch of `{column}` was rolled back{}; it is at {place}", times(*.tries))]
    Batch {
        /// The column.
        column: ColumnPath,
        /// How often.
        tries: u32,
        /// Where in the table.
        place: String,
        /// The last reason.
        source: Box<DbError>,
    },
    /// A part of the table could not be read.
    #[error("could not look at `{column}` in {place}")]
    Look {
        /// The column.
        column: ColumnPath,
        /// Where in the table.
        place: String,
        /// Why not.
        source: Box<DbError>,
    },
    /// Values cannot be compared with what the fill yields.
    #[error(
        "which values of `{column}` are wrong cannot be told: its fill is not known to yield the same value each time"
    )]
    NotComparable {
        /// The column.
        column: ColumnPath,
    },
    /// The expression fails for a row, or what it yields cannot be stored.
    #[error("`{column}` cannot be {way} for the row with key {row}")]
    Row {
        /// The column.
        column: ColumnPath,
        /// The row's key.
        row: String,
        /// What failed.
        way: Storing,
        /// What the server says.
        source: Box<Failure>,
    },
    /// Rows have a value and do not take it.
    #[error(
        "after {passes} passes {rows} rows of `{column}` are still empty: other sessions hold them, or something undoes the change"
    )]
    Left {
        /// The column.
        column: ColumnPath,
        /// How many.
        rows: u64,
        /// Passes over the table.
        passes: u32,
    },
    /// The connection was lost for good.
    #[error("the connection was lost, and the server could not be reached again")]
    Gone {
        /// How it was lost.
        source: Box<DbError>,
    },
    /// A question failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

fn times(tries: u32) -> String {
    if tries > 1 { format!(" {tries} times") } else { String::new() }
}

impl BackfillError {
    /// Returns what the server said, where it is why.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Facts {
                source: FactsError::Database { source, .. } | FactsError::Probe { source, .. },
                ..
            }
            | Self::Batch { source, .. }
            | Self::Look { source, .. }
            | Self::Gone { source } => source.failure(),
            Self::Row { source, .. } => Some(source),
            Self::Database(source) => source.failure(),
            _ => None,
        }
    }

    /// Returns who stands in the way.
    pub fn blockers(&self) -> &[Peer] {
        match self {
            Self::Busy { by, .. } => by,
            _ => &[],
        }
    }

    /// Returns the way out.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Facts { source, .. } => source.hint(),
            Self::Plan { source, .. } => source.hint(),
            Self::SideEffects(refusal) => Some(refusal.hint()),
            Self::Busy { .. } => Some(
                "run it again when those who hold the table are done, or wait longer with `--max-wait`"
                    .to_owned(),
            ),
            Self::NotExpanded { .. } => {
                Some("apply the expand stage first: `diesel migration run`".to_owned())
            }
            Self::NothingToFill { .. } => None,
            Self::RustFill { .. } => Some(
                "run it from the application with `newcol_core::execute::backfill::Backfill::rust`"
                    .to_owned(),
            ),
            Self::SqlFill { .. } => Some("leave `Backfill::rust` out".to_owned()),
            Self::NoInput { .. } => {
                Some("name the fields of the row as the columns are named".to_owned())
            }
            Self::Input { .. } => {
                Some("choose a type that holds every value of the column; `Option` for NULL".to_owned())
            }
            Self::Values { .. } => {
                Some("return one value for each row, in their order; `None` for none".to_owned())
            }
            Self::Code { .. } | Self::Value { .. } => {
                Some("correct the code, then run it again: it goes on where it stopped".to_owned())
            }
            Self::NoKey { .. } => {
                Some("give the table a primary key, or a unique index on columns that are NOT NULL".to_owned())
            }
            Self::Nameless { .. } => Some("copy the table instead".to_owned()),
            Self::OneWriter => Some("leave `--workers` out".to_owned()),
            Self::TooNew { .. } => Some("go on with that version or a later one".to_owned()),
            Self::Record { .. } | Self::Changed { .. } => {
                Some("begin anew with `--restart`; filled rows keep their values".to_owned())
            }
            Self::Key { .. } => None,
            Self::Batch { source, .. } => {
                let first = source.hint();
                let first = first.as_deref().unwrap_or("see what the server says");
                let first = first.trim_end_matches('.');
                Some(format!("{first}, then run the same command again: it goes on where it stopped"))
            }
            Self::Look { source, .. } if source.sqlstate() == Some("42501") => {
                Some("use the URL of a role that may read every row of the table".to_owned())
            }
            Self::Look { source, .. } => source.hint(),
            Self::NotComparable { .. } => {
                Some("leave values as they are: `--repair` fills what is NULL".to_owned())
            }
            Self::Row { .. } => Some(
                "correct the row, or the fill in the contract (then begin anew with `--restart`), and run the same command again"
                    .to_owned(),
            ),
            Self::Left { .. } => Some(
                "let long transactions on the table end, see what its triggers do to an UPDATE, then run the same command again"
                    .to_owned(),
            ),
            Self::Gone { .. } => Some(
                "run the same command again when the server answers: what was committed stays"
                    .to_owned(),
            ),
            Self::Database(source) => source.hint(),
        }
    }
}
