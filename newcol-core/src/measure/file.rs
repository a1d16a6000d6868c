//! The file that an application writes and the watch reads.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// What one process has measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Version of the file.
    pub format: u32,
    /// Which process, with the time of its start.
    pub process: String,
    /// Since when, in seconds since the epoch.
    pub begun: f64,
    /// When it was written.
    pub written: f64,
    /// One execution in how many was measured.
    pub one_in: u32,
    /// Executions of statements that were too many or too long to be told apart.
    pub uncounted: u64,
    /// Statements in the order of their texts.
    pub statements: Vec<MeasuredStatement>,
}

/// One statement since the process began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredStatement {
    /// Its text, without what it binds.
    pub text: String,
    /// Executions that were measured and did not fail.
    pub calls: u64,
    /// Those that failed.
    pub errors: u64,
    /// Their times together, errors left out.
    pub total_ms: f64,
    /// Their mean.
    pub mean_ms: f64,
    /// Their standard deviation, as of a whole population.
    pub stddev_ms: f64,
    /// Half of them took no longer, to two digits.
    pub p50_ms: f64,
    /// 95 of 100.
    pub p95_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// All.
    pub max_ms: f64,
}

/// Why a file was not written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It could not be written.
    #[error("could not write the figures of statements to {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It could not be read.
    #[error("could not read the figures of statements in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is none of ours.
    #[error("{} has no figures of statements", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It is of a later version.
    #[error("{} was written by a later version (format {found})", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

impl Measured {
    /// The version that is written and read.
    pub const FORMAT: u32 = 1;

    /// Writes it whole or not at all: who reads sees the old one until then.
    ///
    /// # Errors
    ///
    /// When the file or its directory cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let failed = |source| FileError::Write { path: path.to_owned(), source };
        let text = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}.tmp", std::process::id()));
        let draft = PathBuf::from(draft);
        let done = fs::write(&draft, text).and_then(|()| fs::rename(&draft, path));
        if done.is_err() {
            fs::remove_file(&draft).ok();
        }
        done.map_err(failed)
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is none.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let text =
            fs::read(path).map_err(|source| FileError::Read { path: path.to_owned(), source })?;
        let measured: Self = serde_json::from_slice(&text)
            .map_err(|source| FileError::Foreign { path: path.to_owned(), source })?;
        if measured.format == Self::FORMAT {
            Ok(measured)
        } else {
            Err(FileError::Newer { path: path.to_owned(), found: measured.format })
        }
    }
}
