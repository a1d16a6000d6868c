//! Why there is no database, and what is said about it.

use std::{error::Error, fmt, fs::OpenOptions, io, io::Write as _};

use camino::{Utf8Path, Utf8PathBuf};

use super::{admin::AdminError, want::Want};
use crate::{settings, wait::WaitError};

/// Any error, as the caller's own functions return it.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// Why a test got no database.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// No provider has a server as wanted.
    #[error("found no {want} server for tests ({}); {remedy}", list(tried))]
    NoServer {
        /// What was wanted.
        want: Want,
        /// Everything that was looked at.
        tried: Vec<Tried>,
        /// The one thing that helps.
        remedy: String,
    },
    /// The given server cannot be used; another one would not be what was asked for.
    #[error("could not use the server given by `{variable}`")]
    Given {
        /// The environment variable.
        variable: &'static str,
        /// What went wrong there.
        source: AdminError,
    },
    /// The variable `NEWCOL_TEST_PROVIDER` names none.
    #[error("`NEWCOL_TEST_PROVIDER` is `{name}`, but must be one of {}", known.join(", "))]
    Provider {
        /// What it says.
        name: String,
        /// What it may say.
        known: Vec<&'static str>,
    },
    /// The Docker engine does not answer, or not as it should.
    #[error("`docker {action}` failed: {why}")]
    Engine {
        /// What the engine was asked for.
        action: String,
        /// What it says.
        why: String,
    },
    /// The Docker engine has no such image and cannot pull it.
    #[error("could not get the image `{image}`: {why}")]
    Image {
        /// The image with its tag.
        image: String,
        /// What the engine says.
        why: String,
    },
    /// The server refused to make, copy or drop a database.
    #[error("could not {action} a test database")]
    Database {
        /// `create`, `copy`, `seal` or `drop`.
        action: &'static str,
        /// What the server says.
        source: AdminError,
    },
    /// The caller's function that fills a database failed.
    #[error("could not build the database of recipe `{recipe}`")]
    Build {
        /// First line of the recipe.
        recipe: String,
        /// What the function says.
        source: BoxError,
    },
    /// A server program or container ended or stayed silent.
    #[error("could not start `{program}`: {why}")]
    Start {
        /// The program or image.
        program: Utf8PathBuf,
        /// Its last words.
        why: String,
    },
    /// Another process held a lock for too long.
    #[error("could not get `{path}`")]
    Busy {
        /// The lock file.
        path: Utf8PathBuf,
        /// For what and how long we waited.
        source: WaitError,
    },
    /// Other tests, or this one, hold all the databases that may live on a server at once.
    #[error("more than {slots} test databases at once (`NEWCOL_TEST_MAX_DATABASES` allows more)")]
    TooMany {
        /// How many there may be.
        slots: u64,
        /// For how long we waited.
        source: WaitError,
    },
    /// A file of ours could not be read or written.
    #[error("could not use `{path}`")]
    File {
        /// The file or directory.
        path: Utf8PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The server is used by others too, or is not ours.
    #[error("only a server of its own can be killed: ask for `Want::private`")]
    NotPrivate,
}

impl ScratchError {
    /// Reports whether the machine simply has no such server.
    pub fn is_missing_server(&self) -> bool {
        matches!(self, Self::NoServer { .. })
    }

    pub(crate) fn file(path: &Utf8Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }
}

/// One place where a server was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// A variable, directory or program.
    pub place: String,
    /// Why it did not serve.
    pub why: String,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.why)
    }
}

fn list(tried: &[Tried]) -> String {
    tried.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Returns an error with all its causes on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Returns what a recipe is called in a message.
pub(crate) fn brief(recipe: &str) -> String {
    recipe.lines().next().unwrap_or_default().chars().take(60).collect()
}

/// Records the running test as skipped, where the run prints it at its end.
pub(crate) fn record_skipped(error: &ScratchError) {
    let line = format!("{}: {error}\n", settings::test_name());
    let written = settings::skipped_file().is_some_and(|path| {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).is_ok()
    });
    if !written {
        #[expect(clippy::print_stderr, reason = "a skipped test must not be silent")]
        {
            eprint!("newcol-testkit: skipped {line}");
        }
    }
}
