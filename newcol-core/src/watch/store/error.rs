use camino::{Utf8Path, Utf8PathBuf};

use crate::db::DbError;

/// Why the file of a column could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A directory or file beside it.
    #[error("could not write {path}")]
    File {
        /// What was written.
        path: Utf8PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another watcher writes to it.
    #[error("another watcher is writing to {path}")]
    Busy {
        /// The file.
        path: Utf8PathBuf,
    },
    /// It is damaged, or was cut off.
    #[error("{path} is damaged: {said}")]
    Damaged {
        /// The file.
        path: Utf8PathBuf,
        /// What SQLite says of it.
        said: String,
    },
    /// Another program's file.
    #[error("{path} is not a file of `cargo newcol watch`")]
    Foreign {
        /// The file.
        path: Utf8PathBuf,
    },
    /// A later version has written it.
    #[error("{path} was written by a later version of cargo-newcol (format {found})")]
    Newer {
        /// The file.
        path: Utf8PathBuf,
        /// The version of its tables.
        found: i64,
    },
    /// It holds what was seen of another column.
    #[error("{path} is of `{of}`")]
    OtherColumn {
        /// The file.
        path: Utf8PathBuf,
        /// That column.
        of: String,
    },
    /// Anything else.
    #[error("could not use {path}")]
    Other {
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        source: Box<DbError>,
    },
}

impl StoreError {
    pub(super) fn of(path: &Utf8Path, source: DbError) -> Self {
        let path = path.to_owned();
        let Some(failure) = source.failure() else {
            return Self::Other { path, source: Box::new(source) };
        };
        let says = |words: &str| failure.message.contains(words);
        if failure.is_lock_timeout() {
            Self::Busy { path }
        } else if says("not a database") || says("malformed") || says("disk I/O error") {
            Self::Damaged { path, said: failure.message.clone() }
        } else {
            Self::Other { path, source: Box::new(source) }
        }
    }

    /// Returns the file or directory.
    pub fn path(&self) -> &Utf8Path {
        match self {
            Self::File { path, .. }
            | Self::Busy { path }
            | Self::Damaged { path, .. }
            | Self::Foreign { path }
            | Self::Newer { path, .. }
            | Self::OtherColumn { path, .. }
            | Self::Other { path, .. } => path,
        }
    }

    /// Returns the way out.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::File { .. } => "see who may write there".to_owned(),
            Self::Busy { .. } => "wait until it is done, then run the command again".to_owned(),
            Self::Damaged { path, .. } => format!(
                "put a backup in its place, or move it away and begin anew: what was seen before the column came is lost then (`mv {path} {path}.damaged`)"
            ),
            Self::Foreign { .. } | Self::OtherColumn { .. } => {
                "move it away; the next snapshot begins a new one".to_owned()
            }
            Self::Newer { .. } => "use that version".to_owned(),
            Self::Other { source, .. } => return source.hint(),
        })
    }
}
