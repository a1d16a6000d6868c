//! Takes a profile of a server: in one short transaction that can only read, and of what the server
//! knows already. No row is read where it keeps statistics; where it keeps none, a bounded sample.

mod array;
mod hide;
mod mysql;
mod postgres;
mod sample;
mod sqlite;

use self::hide::Hide;
use super::Profile;
use crate::{
    backend::Backend,
    db::{Access, DatabaseUrl, DbError, OpenOptions, Session},
    ident::TableName,
    watch::session::Watcher,
};

/// Whether values of the data are part of the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// None is.
    NoValues,
    /// Common values and bounds are.
    WithValues,
}

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// There is no such table, or the role does not see it.
    #[error("there is no table `{table}`")]
    NoTable {
        /// As it was named.
        table: TableName,
    },
    /// Its rows are in other tables.
    #[error("`{table}` is partitioned: its rows, pages and statistics are those of its partitions")]
    Partitioned {
        /// The table.
        table: TableName,
        /// One of its partitions.
        example: Option<String>,
    },
    /// The server.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl TakeError {
    /// Returns the way out where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoTable { .. } => Some(
                "name it as `schema.table` where it is not on the role's search path".to_owned(),
            ),
            Self::Partitioned { example, .. } => example
                .as_ref()
                .map(|example| format!("take the profile of one, such as `{example}`")),
            Self::Db(error) => error.hint(),
        }
    }
}

/// Takes the profile of a table.
///
/// # Errors
///
/// Where there is no such table, or the server does not answer. What the role may not see is no
/// error: the profile names it.
pub fn take(
    (url, options): (&DatabaseUrl, &OpenOptions),
    table: &TableName,
    secrecy: Secrecy,
) -> Result<Profile, TakeError> {
    let hide = Hide::new(secrecy);
    match url.backend() {
        Backend::Postgres => {
            let mut watcher = Watcher::open(url, options)?;
            let taken = watcher.read(|reading| match postgres::read(reading, table, &hide) {
                Ok(profile) => Ok(Ok(profile)),
                Err(TakeError::Db(error)) => Err(error),
                Err(other) => Ok(Err(other)),
            });
            taken?
        }
        backend @ (Backend::Mysql | Backend::Sqlite) => {
            let options = OpenOptions { access: Access::Read, ..options.clone() };
            let mut session = Session::open(url, &options)?;
            match backend {
                Backend::Sqlite => sqlite::read(&mut session, table, &hide),
                Backend::Postgres | Backend::Mysql => mysql::read(&mut session, table, &hide),
            }
        }
    }
}
