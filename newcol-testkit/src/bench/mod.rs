//! What a column will cost: a table of the shape of a production table on a server of its own, filled
//! and indexed in several ways, while users are at work.
//!
//! [`Bench::run`] starts the server, makes the table, and works on copies of it, so that every
//! measurement begins with the same pages. What can be counted (log, pages, HOT) is counted with
//! nobody else there, because then it is exact and the same each time; what users meet is measured on
//! a further copy, at the usual pace of the backfill.

mod arena;
mod check;
mod counters;
mod draw;
pub mod drive;
mod fill;
mod index;
mod lag;
mod literal;
mod looks;
mod ordinals;
mod others;
mod pairs;
mod postgres;
mod requests;
mod run;
mod scale;
mod scenes;
pub mod table;
mod trees;
mod value;
mod waits;

use camino::Utf8PathBuf;
use newcol_core::{
    backend::Backend,
    bench::workload::WorkloadError,
    db::{DbError, Session, UrlError},
    ident::TableName,
    render::text,
};

pub use self::run::{Bench, Pressure, Scene};
use self::table::FillError;
use crate::{
    life::LifeError,
    rows::RowsError,
    scratch::{ScratchError, StandbyError},
};

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// There is no server to be had that nobody else uses.
    #[error(transparent)]
    Scratch(Box<ScratchError>),
    /// The throwaway database has no readable address.
    #[error("could not read the address of the throwaway database")]
    Url(#[source] UrlError),
    /// The stages could not be planned or carried out.
    #[error(transparent)]
    Life(#[from] LifeError),
    /// The throwaway database refused a question or a statement.
    #[error(transparent)]
    Database(#[from] DbError),
    /// No rows could be made up.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// No table of the shape of the profile could be made.
    #[error(transparent)]
    Fill(#[from] FillError),
    /// The workload cannot be sent.
    #[error("the workload cannot be sent")]
    Workload(#[source] WorkloadError),
    /// No statement could be made up for users.
    #[error("no statement could be made up for users of the table: it has no key to find rows by")]
    NothingToSend,
    /// Code of the application computes the old rows.
    #[error("old rows are computed by code of the application, which a benchmark does not run")]
    NotBySql,
    /// No server can be made to follow the throwaway one.
    #[error("no standby can be started")]
    Standby(#[from] StandbyError),
    /// A file could not be copied.
    #[error("could not copy the database to {path}")]
    Copy {
        /// Where to.
        path: Utf8PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Whoever was told what begins asked to stop.
    #[error("stopped before the end; nothing is left behind")]
    Stopped,
}

impl BenchError {
    /// Returns the way out where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Life(error) => error.hint(),
            Self::Rows(error) => error.hint(),
            Self::Database(error) => error.hint(),
            Self::NothingToSend => Some("name what users send with `--workload FILE`".to_owned()),
            Self::NotBySql => Some(
                "measure it with `[old_rows] fill`, a SQL expression that costs as much".to_owned(),
            ),
            Self::Standby(_) => Some("measure without `--standby`".to_owned()),
            Self::Scratch(_)
            | Self::Url(_)
            | Self::Fill(_)
            | Self::Workload(_)
            | Self::Copy { .. }
            | Self::Stopped => None,
        }
    }
}

/// Puts a table into the state that all measurements begin with.
fn settle(session: &mut Session, table: &TableName) -> Result<(), BenchError> {
    let backend = session.backend();
    let name = text::table(backend, table);
    session.batch(&match backend {
        Backend::Postgres => format!("VACUUM (FREEZE, ANALYZE) {name}"),
        Backend::Mysql => format!("ANALYZE TABLE {name}"),
        Backend::Sqlite => format!("ANALYZE {name}"),
    })?;
    Ok(())
}
