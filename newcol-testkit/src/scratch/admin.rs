//! Runs administrative SQL by URL: one connection per call, statements as plain text.
//!
//! The only file that knows a database driver. The PostgreSQL and MySQL drivers block on a runtime
//! of their own, which panics on a thread that already drives one, so each call gets a thread:
//! this is what lets a [`super::ScratchDb`] be made and dropped inside an asynchronous test.

#![cfg_attr(
    not(any(feature = "postgres", feature = "mysql", feature = "sqlite")),
    expect(unused_variables, dead_code, reason = "there is nothing to run SQL with")
)]

use diesel::{
    QueryableByName, RunQueryDsl,
    connection::SimpleConnection,
    deserialize::{self, FromSql},
    row::{Field, NamedRow, Row},
    sql_types::Text,
};
#[cfg(any(feature = "postgres", feature = "mysql"))]
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use newcol_core::backend::Backend;

/// Why a statement did not run.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The server did not take the connection.
    #[error("could not connect to {backend}")]
    Connect {
        /// The dialect spoken.
        backend: Backend,
        /// What the driver says.
        source: diesel::ConnectionError,
    },
    /// The server refused the statement.
    #[error("{backend} refused `{sql}`")]
    Sql {
        /// The dialect spoken.
        backend: Backend,
        /// The statement.
        sql: String,
        /// What the server says.
        source: diesel::result::Error,
    },
    /// The cargo feature of this backend is off.
    #[error("newcol-testkit was built without its `{}` feature", backend.name())]
    NotBuilt {
        /// The dialect asked for.
        backend: Backend,
    },
}

impl AdminError {
    /// Returns the server's own words, where there are any.
    pub(crate) fn server_says(&self) -> String {
        match self {
            Self::Connect { source, .. } => source.to_string(),
            Self::Sql { source, .. } => source.to_string(),
            Self::NotBuilt { .. } => String::new(),
        }
    }
}

/// One row, every value as text; `None` is NULL.
pub(crate) type TextRow = Vec<Option<String>>;

/// Runs statements one after the other on one connection, each in a transaction of its own.
pub(crate) fn exec(url: &str, statements: &[&str]) -> Result<(), AdminError> {
    on_own_thread(|| match Backend::of_url(url) {
        backend @ Backend::Postgres => {
            #[cfg(feature = "postgres")]
            return run::<Postgres>(backend, url, statements);
            #[cfg(not(feature = "postgres"))]
            Err(AdminError::NotBuilt { backend })
        }
        backend @ Backend::Mysql => {
            #[cfg(feature = "mysql")]
            return run::<Mysql>(backend, url, statements);
            #[cfg(not(feature = "mysql"))]
            Err(AdminError::NotBuilt { backend })
        }
        backend @ Backend::Sqlite => {
            #[cfg(feature = "sqlite")]
            return run::<diesel::SqliteConnection>(backend, url, statements);
            #[cfg(not(feature = "sqlite"))]
            Err(AdminError::NotBuilt { backend })
        }
    })
}

/// Asks a question whose every column the SQL has cast to text.
pub(crate) fn query(url: &str, sql: &str) -> Result<Vec<TextRow>, AdminError> {
    on_own_thread(|| match Backend::of_url(url) {
        backend @ Backend::Postgres => {
            #[cfg(feature = "postgres")]
            return ask::<Postgres>(backend, url, sql);
            #[cfg(not(feature = "postgres"))]
            Err(AdminError::NotBuilt { backend })
        }
        backend @ Backend::Mysql => {
            #[cfg(feature = "mysql")]
            return ask::<Mysql>(backend, url, sql);
            #[cfg(not(feature = "mysql"))]
            Err(AdminError::NotBuilt { backend })
        }
        backend @ Backend::Sqlite => {
            #[cfg(feature = "sqlite")]
            return ask::<diesel::SqliteConnection>(backend, url, sql);
            #[cfg(not(feature = "sqlite"))]
            Err(AdminError::NotBuilt { backend })
        }
    })
}

/// Keeps a database in memory alive for as long as it lives.
pub(crate) struct Anchor {
    #[cfg(feature = "sqlite")]
    _connection: std::sync::Mutex<diesel::SqliteConnection>,
}

impl Anchor {
    /// Opens a database in memory that other connections of this process reach by the same URL.
    #[cfg(feature = "sqlite")]
    pub(crate) fn new(url: &str) -> Result<Self, AdminError> {
        let connection = connect::<diesel::SqliteConnection>(Backend::Sqlite, url)?;
        Ok(Self { _connection: std::sync::Mutex::new(connection) })
    }

    /// Says that SQLite is not built in.
    #[cfg(not(feature = "sqlite"))]
    pub(crate) fn new(_url: &str) -> Result<Self, AdminError> {
        Err(AdminError::NotBuilt { backend: Backend::Sqlite })
    }
}

#[cfg(feature = "postgres")]
type Postgres = AsyncConnectionWrapper<diesel_async::AsyncPgConnection>;
#[cfg(feature = "mysql")]
type Mysql = AsyncConnectionWrapper<diesel_async::AsyncMysqlConnection>;

fn on_own_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn connect<C: diesel::Connection>(backend: Backend, url: &str) -> Result<C, AdminError> {
    C::establish(url).map_err(|source| AdminError::Connect { backend, source })
}

fn run<C: diesel::Connection + SimpleConnection>(
    backend: Backend,
    url: &str,
    statements: &[&str],
) -> Result<(), AdminError> {
    let mut connection = connect::<C>(backend, url)?;
    for sql in statements {
        connection.batch_execute(sql).map_err(|source| AdminError::Sql {
            backend,
            sql: (*sql).to_owned(),
            source,
        })?;
    }
    Ok(())
}

fn ask<C>(backend: Backend, url: &str, sql: &str) -> Result<Vec<TextRow>, AdminError>
where
    C: diesel::connection::LoadConnection,
    for<'q> diesel::query_builder::SqlQuery: diesel::query_dsl::LoadQuery<'q, C, Cells>,
{
    let mut connection = connect::<C>(backend, url)?;
    let rows: Vec<Cells> = diesel::sql_query(sql)
        .load(&mut connection)
        .map_err(|source| AdminError::Sql { backend, sql: sql.to_owned(), source })?;
    Ok(rows.into_iter().map(|cells| cells.0).collect())
}

/// A row of any width.
struct Cells(TextRow);

impl<DB> QueryableByName<DB> for Cells
where
    DB: diesel::backend::Backend,
    String: FromSql<Text, DB>,
{
    fn build<'a>(row: &impl NamedRow<'a, DB>) -> deserialize::Result<Self> {
        (0..row.field_count())
            .map(|at| {
                let field = Row::get(row, at).ok_or("a row is narrower than it says")?;
                field.value().map(<String as FromSql<Text, DB>>::from_sql).transpose()
            })
            .collect::<deserialize::Result<TextRow>>()
            .map(Self)
    }
}
