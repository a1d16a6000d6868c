//! A server that follows another one.

#[cfg(not(unix))]
mod elsewhere;
#[cfg(unix)]
mod follow;

use newcol_core::{backend::Backend, db::DbError};

#[cfg(not(unix))]
pub use self::elsewhere::Standby;
#[cfg(unix)]
pub use self::follow::Standby;
use super::error::ScratchError;

/// Why there is no standby.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StandbyError {
    /// It is not a server that can have one.
    #[error("{why}")]
    Impossible {
        /// Why not.
        why: &'static str,
    },
    /// A file or a program could not be used.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// The primary does not let itself be copied.
    #[error("could not copy the primary")]
    Copy(#[source] Box<DbError>),
    /// It did not come up with its primary.
    #[error("the standby did not come up with its primary: {why}")]
    Start {
        /// Its last words.
        why: String,
    },
}

impl Standby {
    /// Reports why servers of an engine have none here.
    ///
    /// # Errors
    ///
    /// With the reason.
    pub fn check(backend: Backend) -> Result<(), StandbyError> {
        let why = match backend {
            Backend::Postgres => return Ok(()),
            Backend::Mysql => {
                "MySQL and MariaDB follow by a binary log, which a throwaway server does not write"
            }
            Backend::Sqlite => "SQLite has no server that another one could follow",
        };
        Err(StandbyError::Impossible { why })
    }
}
