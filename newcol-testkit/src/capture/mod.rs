//! The statements that a command, such as `cargo test`, sends to a throwaway database.
//!
//! The database has a server of its own, which logs every statement, whoever sends it and to
//! whichever of its databases. SQLite has no server: there, and where a program does not use the
//! database that it is given, Diesel tells of its statements from within the program, if that has
//! called `install` (feature `capture`).
//!
//! A statement is text as it was sent. Values that it binds are not kept, but for MySQL and
//! MariaDB, whose log has them within the text. What a server runs by itself, in functions and
//! triggers, is not seen.

#[cfg(feature = "capture")]
mod install;
mod mysql;
mod postgres;
mod recorded;

use std::{ops::ControlFlow, process::Command, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use newcol_core::backend::{Backend, Server};

#[cfg(feature = "capture")]
pub use self::install::{InstallError, install, instrumentation};
use crate::{
    child::{self, Sign},
    life,
    scratch::{AdminError, BoxError, ScratchDb, ScratchError, Want},
    wait::WaitError,
};

/// The environment variable that names the file to which Diesel's statements go.
pub const FILE: &str = "NEWCOL_CAPTURE";

/// The most that is kept of a statement, in bytes: what is longer is data.
pub const LONGEST: usize = 1 << 20;

/// A capture to run.
#[derive(Debug)]
pub struct Capture<'a> {
    word: &'a str,
    migrations: &'a Utf8Path,
    want: Want,
    setup: Vec<String>,
}

/// What a capture lets its watcher know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaptureProgress<'a> {
    /// A database is made, and the project's migrations run.
    Schema,
    /// The command begins.
    Command,
    /// The command printed a line.
    Line(&'a str),
    /// The log is read.
    Log,
    /// It goes on.
    Alive,
}

/// What a command has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The server; `None` for SQLite.
    pub server: Option<Server>,
    /// The command's exit code; `None` if a signal ended it.
    pub exit: Option<i32>,
    /// The end of what it printed.
    pub tail: String,
    /// How long it ran.
    pub took: Duration,
    /// How many statements were seen in all, of whatever table.
    pub total: u64,
    /// Those that have the word in them, the first one first.
    pub statements: Vec<SentStatement>,
}

/// A statement that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentStatement {
    /// Its text; bytes that are not UTF-8 are replaced.
    pub sql: String,
    /// How often it ran; 0 if it was prepared only, or refused.
    pub count: u64,
    /// What is known of its sender.
    pub sender: Sender,
    /// The database it went to, where the log says so.
    pub database: Option<String>,
    /// The name by which the session called itself.
    pub application: Option<String>,
    /// Whether the server refused it; MySQL and MariaDB do not log those that they do not understand.
    pub refused: bool,
    /// Whether it was longer than [`LONGEST`], and its end is not kept.
    pub is_cut: bool,
}

/// What is known of who sent a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// Nothing.
    Unknown,
    /// It went through Diesel.
    Diesel,
    /// Diesel keeps it prepared, as it does with what its query builder makes and with nothing else.
    DieselBuilder,
}

/// Why nothing was captured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// There is no throwaway database.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// The project's migrations do not run.
    #[error("the project's migrations do not run on an empty {backend} database")]
    Migrations {
        /// The dialect.
        backend: Backend,
        /// What the server says.
        source: BoxError,
    },
    /// The server would not log, or its log could not be read.
    #[error("could not {action} the log of the throwaway server")]
    Log {
        /// `begin` or `read`.
        action: &'static str,
        /// What the server says.
        source: AdminError,
    },
    /// A statement that was sent did not come to the log.
    #[error("the log of the throwaway server does not come to its end")]
    Late(#[source] WaitError),
    /// The command could not be started.
    #[error("{said}")]
    NotStarted {
        /// Which, and why.
        said: String,
    },
    /// A file of ours could not be used, or the command not be watched.
    #[error("could not use `{path}`")]
    File {
        /// The file.
        path: Utf8PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Whoever was told what goes on asked to stop.
    #[error("stopped before the end; nothing is left behind")]
    Stopped,
}

/// How a server logs.
enum Log<'a> {
    Postgres(postgres::Log<'a>),
    Mysql(mysql::Log<'a>),
    /// No server.
    None,
}

/// What a log holds.
#[derive(Debug, Default)]
struct Logged {
    total: u64,
    statements: Vec<SentStatement>,
}

impl<'a> Capture<'a> {
    /// Prepares a capture of the statements that have a word in them, such as a table's name, on the
    /// schema that a directory of migrations makes.
    pub fn new(word: &'a str, migrations: &'a Utf8Path, want: impl Into<Want>) -> Self {
        Self { word, migrations, want: want.into().private(), setup: Vec::new() }
    }

    /// Sends statements before the project's migrations, in their session, as the application does.
    #[must_use]
    pub fn setup(self, setup: Vec<String>) -> Self {
        Self { setup, ..self }
    }

    /// Runs a command with the database's URL in `DATABASE_URL`; `watch` may stop it.
    ///
    /// # Errors
    ///
    /// When there is no database or no command. A command that fails is none: what it has sent until
    /// then is returned.
    pub fn run(
        &self,
        mut command: Command,
        watch: &mut dyn FnMut(CaptureProgress<'_>) -> ControlFlow<()>,
    ) -> Result<Captured, CaptureError> {
        let mut tell = |progress: CaptureProgress<'_>| match watch(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(CaptureError::Stopped),
        };
        tell(CaptureProgress::Schema)?;
        let db = ScratchDb::new(self.want)?;
        self.migrate(&db)?;
        tell(CaptureProgress::Alive)?;
        let log = Log::begin(&db)?;
        let file = recorded::file()?;
        command.env("DATABASE_URL", db.url()).env(FILE, file.path());
        tell(CaptureProgress::Command)?;
        let ended = child::run(command, None, &mut |sign| {
            watch(match sign {
                Sign::Line(line) => CaptureProgress::Line(line),
                Sign::Alive => CaptureProgress::Alive,
            })
        });
        let ended = ended.map_err(|source| recorded::failed(&file, source))?;
        let ended = ended.ok_or(CaptureError::Stopped)?;
        if !ended.is_started {
            return Err(CaptureError::NotStarted { said: ended.tail });
        }
        if watch(CaptureProgress::Log).is_break() {
            return Err(CaptureError::Stopped);
        }
        let mut logged = log.end(self.word)?;
        recorded::add(&mut logged, &file, self.word)?;
        Ok(Captured {
            server: db.server(),
            exit: ended.exit,
            tail: ended.tail,
            took: ended.took,
            total: logged.total,
            statements: logged.statements,
        })
    }

    fn migrate(&self, db: &ScratchDb) -> Result<(), CaptureError> {
        let failed = |source: BoxError| CaptureError::Migrations { backend: db.backend(), source };
        let mut session = life::open(db.url()).map_err(|error| failed(error.into()))?;
        let all = usize::MAX;
        let ran = session.run_up_to_after(&self.setup, self.migrations, all);
        ran.map(drop).map_err(|error| failed(error.into()))
    }
}

impl<'a> Log<'a> {
    fn begin(db: &'a ScratchDb) -> Result<Self, CaptureError> {
        Ok(match db.backend() {
            Backend::Postgres => Self::Postgres(postgres::Log::begin(db)?),
            Backend::Mysql => Self::Mysql(mysql::Log::begin(db)?),
            Backend::Sqlite => Self::None,
        })
    }

    fn end(self, word: &str) -> Result<Logged, CaptureError> {
        match self {
            Self::Postgres(log) => log.end(word),
            Self::Mysql(log) => log.end(word),
            Self::None => Ok(Logged::default()),
        }
    }
}

/// Returns the text of bytes that a server has written as hexadecimal digits.
fn unhex(digits: &str) -> String {
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    };
    let bytes: Vec<u8> = digits.as_bytes().chunks(2).filter_map(byte).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns a word as the literal of a needle in lower case.
fn needle(word: &str) -> String {
    format!("'{}'", word.to_ascii_lowercase().replace('\'', "''"))
}
