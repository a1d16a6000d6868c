//! Releases of an application, as the matrix runs them.
//!
//! A [`Program`] is the code of one release that touches the table, one piece per [`Operation`];
//! [`Code`] makes one of closures over a Diesel connection, [`Statements`] one of the table alone.

#[cfg(feature = "async")]
mod async_code;
mod code;
mod statements;

use std::fmt;

#[cfg(feature = "async")]
pub use self::async_code::AsyncCode;
pub use self::{
    code::Code,
    statements::{Changes, Statements, StatementsError},
};
use crate::scratch::BoxError;

/// Something applications do with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// One new row.
    Insert,
    /// Several new rows in one statement.
    BatchInsert,
    /// A change of an existing row.
    Update,
    /// An insert that meets an existing row and changes it.
    Upsert,
    /// One row by its key.
    Read,
    /// All rows.
    List,
    /// The end of a row.
    Delete,
}

impl Operation {
    /// Every operation, in the order in which the matrix runs them.
    pub const ALL: [Self; 7] = [
        Self::Insert,
        Self::BatchInsert,
        Self::Update,
        Self::Upsert,
        Self::Read,
        Self::List,
        Self::Delete,
    ];

    /// Returns the word used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::BatchInsert => "batch",
            Self::Update => "update",
            Self::Upsert => "upsert",
            Self::Read => "read",
            Self::List => "list",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BatchInsert => "batch insert",
            Self::Insert | Self::Update | Self::Upsert | Self::Read | Self::List | Self::Delete => {
                self.name()
            }
        })
    }
}

/// What a program said of a row it wrote or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It does not know the column, or does not tell.
    Nothing,
    /// The column's value in the engine's own text; `None` is NULL.
    Column(Option<String>),
}

/// Why an operation is no success.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// Its code returned an error.
    #[error("the code failed")]
    Failed(#[source] BoxError),
    /// What it read is not what it had written.
    #[error("read {found} instead of {expected}")]
    Different {
        /// What it had written.
        expected: String,
        /// What it read.
        found: String,
    },
}

/// The code of one release that touches the table.
///
/// Rows are numbered. Programs agree on what row a number means: equal numbers have equal keys.
pub trait Program: Send + Sync {
    /// Reports whether there is code for an operation.
    fn can(&self, operation: Operation) -> bool;

    /// Opens a session, as a pool would.
    fn open(&self, url: &str) -> Result<Box<dyn Running + '_>, BoxError>;

    /// Learns that another program has changed a row, so that it may read differently.
    fn forget(&self, row: u64);
}

/// A session of a program.
pub trait Running {
    /// Runs an operation on rows, in one statement where it is one; says what it wrote or read,
    /// row by row.
    fn act(&mut self, operation: Operation, rows: &[u64]) -> Result<Vec<Said>, ActError>;
}
