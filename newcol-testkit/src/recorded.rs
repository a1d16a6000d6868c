//! Compares a text with the one recorded in a file.
//!
//! For tests that are written before their text can be known: the first run records it, every
//! later one compares. What a test compares belongs into version control, so where nobody would
//! see a new file (`CI=true`), a missing one fails the test.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use crate::{scratch::error::chain, settings};

/// Why a text is not the recorded one.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    /// It is another text.
    #[error(
        "{path} has another text; if the new one is right, delete the file and run the test again\n{diff}"
    )]
    Different {
        /// The file.
        path: Utf8PathBuf,
        /// Its lines that are missing (`-`) and those that are new (`+`).
        diff: String,
    },
    /// There is no file, and nobody to look at a new one.
    #[error("{path} is missing; run the test at a desk, and commit the file that it writes")]
    Missing {
        /// The file.
        path: Utf8PathBuf,
    },
    /// The file could not be read or written.
    #[error("could not use {path}")]
    File {
        /// The file.
        path: Utf8PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Compares a text with a file, which is written if it is not there yet.
///
/// # Errors
///
/// When the file holds another text, or is missing although `CI` is set.
pub fn compare(path: impl AsRef<Utf8Path>, text: &str) -> Result<(), RecordedError> {
    let path = path.as_ref();
    let failed = |source| RecordedError::File { path: path.to_owned(), source };
    let recorded = match fs::read_to_string(path) {
        Ok(recorded) => recorded.replace("\r\n", "\n"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if settings::is_unattended() {
                return Err(RecordedError::Missing { path: path.to_owned() });
            }
            return fs::write(path, text).map_err(failed);
        }
        Err(error) => return Err(failed(error)),
    };
    if recorded == text {
        return Ok(());
    }
    Err(RecordedError::Different { path: path.to_owned(), diff: differences(&recorded, text) })
}

/// Ends the test unless a text is the recorded one, as [`compare`] does.
///
/// # Panics
///
/// When it is another one, with the difference.
#[expect(clippy::panic, reason = "fails the calling test, which is its purpose")]
pub fn assert_recorded(path: impl AsRef<Utf8Path>, text: &str) {
    if let Err(error) = compare(path, text) {
        panic!("{}", chain(&error));
    }
}

fn differences(recorded: &str, text: &str) -> String {
    let missing = |from: &str, line: &&str| !from.lines().any(|other| other == *line);
    let gone = recorded.lines().filter(|line| missing(text, line)).map(|line| format!("-{line}\n"));
    let new = text.lines().filter(|line| missing(recorded, line)).map(|line| format!("+{line}\n"));
    gone.chain(new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_text_is_recorded_and_later_ones_compared() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("text");
        fs::write(&path, "expand\n  + locale\n").unwrap();
        compare(&path, "expand\n  + locale\n").unwrap();
        let error = compare(&path, "expand\n  + locale text\n").unwrap_err().to_string();
        assert!(error.ends_with("\n-  + locale\n+  + locale text\n"), "{error}");
        fs::remove_file(&path).unwrap();
        let first = compare(&path, "new\n");
        if settings::is_unattended() {
            assert!(matches!(first, Err(RecordedError::Missing { .. })));
        } else {
            first.unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        }
    }
}
