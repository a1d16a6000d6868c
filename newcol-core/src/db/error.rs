//! What goes wrong between us and a database: [`DbError`] for callers, [`Failure`] for what the
//! server or the driver said.

use camino::Utf8PathBuf;

use super::{
    BoxError,
    url::{DatabaseUrl, UrlError},
};
use crate::backend::Backend;

/// What the server or the driver said, the same for every engine.
#[derive(Debug, Clone, PartialEq, Eq, Default, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The message, with its causes.
    pub message: String,
    /// SQLSTATE (PostgreSQL, MySQL, MariaDB).
    pub sqlstate: Option<String>,
    /// Error number (MySQL, MariaDB).
    pub errno: Option<u16>,
    /// DETAIL line of PostgreSQL.
    pub detail: Option<String>,
    /// HINT line of PostgreSQL.
    pub hint: Option<String>,
    /// Character of the statement at which PostgreSQL points, counted from 1.
    pub position: Option<u32>,
    /// Whether the connection is gone, so that what the statement did is unknown.
    pub lost: bool,
}

impl Failure {
    /// Makes a failure of our own or of a driver that gives only a message.
    pub(super) fn said(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// Reports whether the statement gave up waiting for a lock, so that it did nothing and can be
    /// tried again: `lock_timeout` and `NOWAIT` of PostgreSQL, 1205 and 3572 of MySQL, a busy
    /// SQLite file.
    pub fn is_lock_timeout(&self) -> bool {
        self.sqlstate.as_deref() == Some("55P03")
            || matches!(self.errno, Some(1205 | 3572))
            || (self.sqlstate.is_none()
                && self.errno.is_none()
                && (self.message.contains("database is locked")
                    || self.message.contains("table is locked")))
    }

    /// Reports whether the server broke a deadlock by ending this transaction.
    pub fn is_deadlock(&self) -> bool {
        self.sqlstate.as_deref() == Some("40P01") || self.errno == Some(1213)
    }

    /// Reports whether others changed what this transaction was about, so that it has to be done again
    /// (PostgreSQL).
    pub fn is_overtaken(&self) -> bool {
        self.sqlstate.as_deref() == Some("40001") && self.errno.is_none()
    }
}

/// Why a database could not be opened, asked or changed. URLs are shown without password.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The text is no database URL.
    #[error("could not read the database URL")]
    Url {
        /// What is wrong with it.
        #[from]
        source: UrlError,
    },
    /// The program was built without the driver.
    #[error("this build has no {backend} driver for {url}")]
    NotBuiltIn {
        /// The missing driver; its cargo feature has the same name in lower case.
        backend: Backend,
        /// The URL.
        url: DatabaseUrl,
    },
    /// A parameter of the URL that the driver does not know or cannot honour.
    #[error("parameter `{name}` of {url}: {problem}")]
    Parameter {
        /// The URL.
        url: DatabaseUrl,
        /// The parameter.
        name: String,
        /// What is wrong with its value, or that it is unknown.
        problem: String,
    },
    /// A certificate, key or password file could not be used.
    #[error("could not use {path} to connect to {url}")]
    CredentialFile {
        /// The URL.
        url: DatabaseUrl,
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        source: BoxError,
    },
    /// The SQLite file does not exist, and this access must not create it.
    #[error("there is no file {path}")]
    NoFile {
        /// The file.
        path: Utf8PathBuf,
    },
    /// No connection.
    #[error("could not connect to {url}")]
    Connect {
        /// The URL.
        url: DatabaseUrl,
        /// What was said.
        source: Box<Failure>,
    },
    /// The connection changes its server process between two transactions.
    #[error("{url} is reached through a pooler in transaction mode")]
    Pooler {
        /// The URL.
        url: DatabaseUrl,
    },
    /// The server does not say a version that we can read.
    #[error("could not read the version {text:?} of {url}")]
    Version {
        /// The URL.
        url: DatabaseUrl,
        /// What it said.
        text: String,
    },
    /// A statement failed.
    #[error("`{sql}` failed on {url}")]
    Statement {
        /// The URL.
        url: DatabaseUrl,
        /// The statement, cut to one line.
        sql: String,
        /// What was said.
        source: Box<Failure>,
    },
    /// An answer has another shape than the question.
    #[error("`{sql}` on {url} answered {answer} instead of {wanted}")]
    Answer {
        /// The URL.
        url: DatabaseUrl,
        /// The statement, cut to one line.
        sql: String,
        /// What came.
        answer: String,
        /// What was asked for.
        wanted: &'static str,
    },
    /// A change was asked of a session that was opened to read.
    #[error("{url} was opened to read, not to change it")]
    ReadOnly {
        /// The URL.
        url: DatabaseUrl,
    },
    /// The directory does not hold Diesel migrations.
    #[error("could not read the migrations in {dir}")]
    MigrationSource {
        /// The directory.
        dir: Utf8PathBuf,
        /// What Diesel says.
        source: BoxError,
    },
    /// A migration failed; those before it are applied.
    #[error("migration {name} failed on {url}")]
    Migration {
        /// The URL.
        url: DatabaseUrl,
        /// Name of its directory.
        name: String,
        /// What was said.
        source: Box<Failure>,
    },
}

impl DbError {
    /// What the server or driver said, where it said anything.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Connect { source, .. }
            | Self::Statement { source, .. }
            | Self::Migration { source, .. } => Some(source),
            Self::Url { .. }
            | Self::NotBuiltIn { .. }
            | Self::Parameter { .. }
            | Self::CredentialFile { .. }
            | Self::NoFile { .. }
            | Self::Pooler { .. }
            | Self::Version { .. }
            | Self::Answer { .. }
            | Self::ReadOnly { .. }
            | Self::MigrationSource { .. } => None,
        }
    }

    /// SQLSTATE, where the server gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        self.failure()?.sqlstate.as_deref()
    }

    /// Reports whether the server refused for want of a privilege: not the account itself, which
    /// would have no session.
    pub fn is_denied(&self) -> bool {
        self.sqlstate() == Some("42501")
            || matches!(self.errno(), Some(1044 | 1095 | 1142 | 1143 | 1227 | 1370 | 1419))
    }

    /// Error number, where the server gave one.
    pub fn errno(&self) -> Option<u16> {
        self.failure()?.errno
    }

    /// Returns the way out where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Url { source } => source.hint().map(str::to_owned),
            Self::NotBuiltIn { backend, .. } => {
                Some(format!("install with `--features {}`", backend.name()))
            }
            Self::NoFile { .. } => Some("run `diesel database setup`".to_owned()),
            Self::Connect { url, source } => Some(source.hint.clone().unwrap_or_else(|| {
                match url.backend() {
                    Backend::Sqlite => "name a file that SQLite made, and that you may read",
                    Backend::Postgres | Backend::Mysql => {
                        "check that the server runs, and host, port, user and password of the URL"
                    }
                }
                .to_owned()
            })),
            Self::Statement { source, .. } | Self::Migration { source, .. } => source.hint.clone(),
            Self::Parameter { .. } => Some("correct the parameter, or leave it out".to_owned()),
            Self::CredentialFile { .. } => {
                Some("correct the path, and see who may read the file".to_owned())
            }
            Self::MigrationSource { .. } => {
                Some("each folder in it needs an `up.sql`, and a version of its own".to_owned())
            }
            Self::Pooler { .. } => Some(
                "give the URL of the server itself, or of a pool in session mode: what a session sets would reach others"
                    .to_owned(),
            ),
            Self::Version { .. } | Self::Answer { .. } | Self::ReadOnly { .. } => None,
        }
    }
}

/// Returns a statement on one line, cut where it stops to inform.
pub(crate) fn one_line(sql: &str) -> String {
    const LIMIT: usize = 160;
    let words = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}
