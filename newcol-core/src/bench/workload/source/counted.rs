//! Statements as a server has counted them, or the watch.

use super::Counted;
use crate::{
    backend::Backend,
    db::{DatabaseUrl, DbError, OpenOptions},
    watch::{
        session::{MARK, Watcher},
        store::{Store, StoreError},
    },
};

/// Statements, and in how many seconds they were sent, where that is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// The statements.
    pub statements: Vec<Counted>,
    /// The time.
    pub seconds: Option<f64>,
}

/// Why there are no statements.
#[derive(Debug, thiserror::Error)]
pub enum CountedError {
    /// The engine does not count them for everybody to read.
    #[error("statements are read from PostgreSQL's pg_stat_statements only")]
    Engine(Backend),
    /// The extension is not there, or not loaded.
    #[error("this database has no pg_stat_statements that the role may read")]
    NotCounted,
    /// The server.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The watch's file.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CountedError {
    /// Returns the way out where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Engine(_) => Some(
                "write the statements as scripts of pgbench, and name them with `-f`".to_owned(),
            ),
            Self::NotCounted => Some(
                "`cargo newcol watch doctor` says what is missing; scripts of pgbench do without it"
                    .to_owned(),
            ),
            Self::Db(error) => error.hint(),
            Self::Store(error) => error.hint(),
        }
    }
}

/// Reads what the server has counted since its statistics were reset, in one short transaction that
/// can only read. What functions sent is part of what called them.
///
/// # Errors
///
/// Where the server counts nothing, or does not answer.
pub fn of_server(url: &DatabaseUrl, options: &OpenOptions) -> Result<Sent, CountedError> {
    match url.backend() {
        Backend::Postgres => {}
        other @ (Backend::Mysql | Backend::Sqlite) => return Err(CountedError::Engine(other)),
    }
    let mut watcher = Watcher::open(url, options)?;
    let sent = watcher.read(|reading| reading.sent())?.ok_or(CountedError::NotCounted)?;
    let statements = sent.statements.into_iter().filter(|(text, ..)| !text.contains(MARK));
    let counted = |(sql, calls, rows): (String, u64, u64)| Counted {
        sql,
        calls: calls as f64,
        rows: (calls > 0).then(|| rows as f64 / calls as f64),
    };
    Ok(Sent { statements: statements.map(counted).collect(), seconds: sent.seconds })
}

/// Reads what the watch has kept of one column's table.
///
/// # Errors
///
/// Where the file cannot be read.
pub fn of_watch(store: &mut Store) -> Result<Sent, CountedError> {
    let series = store.series()?;
    let (mut from, mut to) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut statements = Vec::new();
    for statement in store.statements()? {
        let on_table = statement.involvement.as_ref().is_some_and(|of| of.on_table);
        let (Some(sql), true) = (statement.text, on_table) else { continue };
        let later = series.iter().filter(|of| of.id == statement.id).flat_map(|of| &of.windows);
        let (mut calls, mut rows) = (0, 0);
        for window in std::iter::once(&statement.history).chain(later) {
            calls += window.calls;
            rows += window.rows;
            if window.calls > 0 {
                (from, to) = (from.min(window.from), to.max(window.to));
            }
        }
        let calls = calls as f64;
        statements.push(Counted { sql, calls, rows: (calls > 0.0).then(|| rows as f64 / calls) });
    }
    Ok(Sent { statements, seconds: Some(to - from).filter(|seconds| seconds.is_finite()) })
}
