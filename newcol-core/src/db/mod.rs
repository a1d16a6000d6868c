//! Sessions with a database: run a statement, ask a question, replay migrations, read facts.
//!
//! Three drivers behind one [`Session`], each behind the cargo feature of its name and all pure
//! Rust or compiled in (`docs/clients.md`). Nothing here decides what to run, prints, or reads the
//! environment: what libpq takes from it comes as [`PgEnv`]. Every value of a row is text, because
//! all we ask are names, counts and yes or no.
//!
//! Sessions are synchronous and own their runtime. From async code, open and use them inside
//! `tokio::task::spawn_blocking`.

#[cfg(any(not(feature = "postgres"), not(feature = "mysql"), not(feature = "sqlite")))]
mod absent;
mod direct;
mod error;
pub mod facts;
mod migrations;
#[cfg(feature = "mysql")]
mod mysql;
mod pg_env;
#[cfg(feature = "postgres")]
mod postgres;
pub mod probe;
pub(crate) mod quote;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "postgres")]
mod tls;
mod url;

use std::fmt;

use camino::Utf8Path;

#[cfg(not(feature = "mysql"))]
use self::absent::Absent as MysqlDriver;
#[cfg(not(feature = "postgres"))]
use self::absent::Absent as PostgresDriver;
#[cfg(not(feature = "sqlite"))]
use self::absent::Absent as SqliteDriver;
pub(crate) use self::error::one_line;
pub(crate) use self::migrations::all_migration_folders;
#[cfg(feature = "mysql")]
use self::mysql::MysqlDriver;
#[cfg(feature = "postgres")]
use self::postgres::PostgresDriver;
#[cfg(feature = "sqlite")]
use self::sqlite::SqliteDriver;
pub use self::{
    error::{DbError, Failure},
    migrations::{AppliedMigration, MigrationFolder, MigrationRun, migration_folders},
    pg_env::PgEnv,
    quote::written_by_server,
    url::{DatabaseUrl, UrlError},
};
use crate::backend::{Backend, Server};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes a session of PostgreSQL refuse every change, and wait for no lock for long: what it reads
/// takes the weakest one, which only DDL that is held up keeps away.
const READING: &str =
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; SET lock_timeout = '10s';";

/// What Diesel puts between a statement and what it binds, when it shows both.
const BINDS: &str = " -- binds: [";

/// Returns a statement as Diesel shows it, without what it binds.
pub fn without_binds(shown: &str) -> &str {
    shown.find(BINDS).map_or(shown, |at| &shown[..at])
}

/// One row of an answer: every column as text, NULL as `None`.
pub type Row = Vec<Option<String>>;

/// What a session may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// The server refuses every change; a missing SQLite file stays missing.
    #[default]
    Read,
    /// Changes are allowed; a missing SQLite file is an error.
    Write,
    /// As [`Access::Write`], and a missing SQLite file is created.
    Create,
}

/// How to open a session.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// What the session may do.
    pub access: Access,
    /// Name shown in the server's list of sessions, where the URL gives none (PostgreSQL).
    pub application_name: Option<String>,
    /// What libpq would take from the environment where the URL is silent (PostgreSQL).
    pub pg_env: PgEnv,
    /// What the session sets of itself when it is opened (PostgreSQL).
    pub settings: Settings,
}

/// What a session sets of itself when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Settings {
    /// Time zone, encoding, and what its access says.
    #[default]
    Usual,
    /// Nothing: behind a pooler in transaction mode it would reach others. Each transaction says by
    /// itself what it may do.
    None,
}

impl OpenOptions {
    /// Options for reading commands.
    pub fn read() -> Self {
        Self::default()
    }

    /// Options for commands that change an existing database.
    pub fn write() -> Self {
        Self { access: Access::Write, ..Self::default() }
    }

    /// Options for throwaway databases.
    pub fn create() -> Self {
        Self { access: Access::Create, ..Self::default() }
    }
}

/// A connection to one database.
pub struct Session {
    url: DatabaseUrl,
    options: OpenOptions,
    server: Server,
    driver: Driver,
}

enum Driver {
    Postgres(Box<PostgresDriver>),
    Mysql(MysqlDriver),
    Sqlite(SqliteDriver),
}

impl Session {
    /// Connects, and asks the server for its version.
    ///
    /// Like Diesel's own connections, the session speaks UTC and UTF-8.
    pub fn open(url: &DatabaseUrl, options: &OpenOptions) -> Result<Self, DbError> {
        let driver = match url.backend() {
            Backend::Postgres => Driver::Postgres(Box::new(PostgresDriver::open(url, options)?)),
            Backend::Mysql => Driver::Mysql(MysqlDriver::open(url, options)?),
            Backend::Sqlite => Driver::Sqlite(SqliteDriver::open(url, options)?),
        };
        let backend = url.backend();
        let mut session = Self {
            url: url.clone(),
            options: options.clone(),
            server: Server::oldest(backend),
            driver,
        };
        let text = session.value(match backend {
            Backend::Postgres | Backend::Mysql => "SELECT version()",
            Backend::Sqlite => "SELECT sqlite_version()",
        })?;
        let text = text.unwrap_or_default();
        session.server = Server::parse(backend, &text)
            .ok_or_else(|| DbError::Version { url: url.clone(), text })?;
        Ok(session)
    }

    /// Opens another session with the same database and the same options.
    pub fn again(&self) -> Result<Self, DbError> {
        Self::open(&self.url, &self.options)
    }

    /// The engine.
    pub fn backend(&self) -> Backend {
        self.url.backend()
    }

    /// Product and version of the server.
    pub fn server(&self) -> Server {
        self.server
    }

    /// Where this session leads.
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// What this session may do.
    pub fn access(&self) -> Access {
        self.options.access
    }

    /// Runs one or more statements and drops their rows, as Diesel runs a migration: on PostgreSQL
    /// several statements are one implicit transaction.
    pub fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        self.send(sql).map_err(|source| self.failed(sql, source))
    }

    /// Runs one statement and returns how many rows it changed.
    pub fn execute(&mut self, sql: &str) -> Result<u64, DbError> {
        let changed = match &mut self.driver {
            Driver::Postgres(driver) => driver.execute(sql),
            Driver::Mysql(driver) => driver.execute(sql),
            Driver::Sqlite(driver) => driver.execute(sql),
        };
        changed.map_err(|source| self.failed(sql, source))
    }

    /// Runs one statement and returns its rows.
    ///
    /// Values are the text that the engine makes of them (`t` and `f` on PostgreSQL); bytes that
    /// are not UTF-8 come as `\x…`.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Row>, DbError> {
        let rows = match &mut self.driver {
            Driver::Postgres(driver) => driver.query(sql),
            Driver::Mysql(driver) => driver.query(sql),
            Driver::Sqlite(driver) => driver.query(sql),
        };
        rows.map_err(|source| self.failed(sql, source))
    }

    /// Returns the first value of the first row; `None` for NULL and for no row.
    pub fn value(&mut self, sql: &str) -> Result<Option<String>, DbError> {
        Ok(self.query(sql)?.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
    }

    /// Asks a proof: a query with one boolean. No row and NULL are a no.
    pub fn query_bool(&mut self, proof: &str) -> Result<bool, DbError> {
        match self.value(proof)?.as_deref() {
            Some("t" | "true" | "1") => Ok(true),
            Some("f" | "false" | "0") | None => Ok(false),
            Some(answer) => Err(self.odd_answer(proof, answer, "yes or no")),
        }
    }

    /// Refuses where the session was opened to read.
    pub(crate) fn must_write(&self) -> Result<(), DbError> {
        match self.options.access {
            Access::Read => Err(DbError::ReadOnly { url: self.url.clone() }),
            Access::Write | Access::Create => Ok(()),
        }
    }

    fn send(&mut self, sql: &str) -> Result<(), Failure> {
        match &mut self.driver {
            Driver::Postgres(driver) => driver.batch(sql),
            Driver::Mysql(driver) => driver.batch(sql),
            Driver::Sqlite(driver) => driver.batch(sql),
        }
    }

    fn failed(&self, sql: &str, source: Failure) -> DbError {
        DbError::Statement { url: self.url.clone(), sql: one_line(sql), source: Box::new(source) }
    }

    pub(crate) fn odd_answer(&self, sql: &str, answer: &str, wanted: &'static str) -> DbError {
        let answer = format!("{answer:?}");
        DbError::Answer { url: self.url.clone(), sql: one_line(sql), answer, wanted }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("url", &self.url)
            .field("server", &self.server)
            .field("access", &self.options.access)
            .finish_non_exhaustive()
    }
}

/// Returns the bytes of a value as text, in hexadecimal where they are not UTF-8.
#[cfg(any(feature = "mysql", feature = "sqlite"))]
fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let hex: Vec<String> = error.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("\\x{}", hex.concat())
    })
}

/// Opens a SQLite database in memory and applies a project's migrations to it.
pub fn sqlite_replay(migrations: &Utf8Path) -> Result<Session, DbError> {
    let mut session = Session::open(&DatabaseUrl::memory(), &OpenOptions::create())?;
    session.run_pending(migrations)?;
    Ok(session)
}
