//! Runs administrative SQL by URL: one connection per call, statements as plain text.
//!
//! A [`Session`] blocks on a runtime of its own, which panics on a thread that already drives one,
//! so each call gets a thread: this is what lets a [`super::ScratchDb`] be made and dropped inside
//! an asynchronous test.

use std::sync::Mutex;

use newcol_core::{
    backend::Backend,
    db::{DatabaseUrl, DbError, OpenOptions, Session},
};

/// Why a statement did not run.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The cargo feature of this backend is off.
    #[error("newcol-testkit was built without its `{}` feature", backend.name())]
    NotBuilt {
        /// The dialect asked for.
        backend: Backend,
    },
    /// The database could not be opened, or refused the statement.
    #[error(transparent)]
    Database(DbError),
}

impl AdminError {
    /// Returns the server's own words, where there are any.
    pub(crate) fn server_says(&self) -> &str {
        match self {
            Self::NotBuilt { .. } => "",
            Self::Database(error) => error.failure().map_or("", |said| &said.message),
        }
    }
}

impl From<DbError> for AdminError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::NotBuiltIn { backend, .. } => Self::NotBuilt { backend },
            error => Self::Database(error),
        }
    }
}

/// One row, every value as text; `None` is NULL.
pub(crate) type TextRow = Vec<Option<String>>;

/// Runs statements one after the other on one connection, each in a transaction of its own.
pub(crate) fn exec(url: &str, statements: &[&str]) -> Result<(), AdminError> {
    on_own_thread(|| {
        let mut session = open(url)?;
        for sql in statements {
            session.batch(sql)?;
        }
        Ok(())
    })
}

/// Asks a question; values are the text that the server makes of them.
pub(crate) fn query(url: &str, sql: &str) -> Result<Vec<TextRow>, AdminError> {
    on_own_thread(|| Ok(open(url)?.query(sql)?))
}

/// Keeps a database in memory alive for as long as it lives.
pub(crate) struct Anchor {
    _session: Box<Mutex<Session>>,
}

impl Anchor {
    /// Opens a database in memory that other connections of this process reach by the same URL.
    pub(crate) fn new(url: &str) -> Result<Self, AdminError> {
        Ok(Self { _session: Box::new(Mutex::new(open(url)?)) })
    }
}

fn open(url: &str) -> Result<Session, AdminError> {
    let url = DatabaseUrl::parse(url).map_err(DbError::from)?;
    Ok(Session::open(&url, &OpenOptions::create())?)
}

fn on_own_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
