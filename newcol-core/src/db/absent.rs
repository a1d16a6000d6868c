//! The driver of an engine that was not built in: refuses to open, and so has no other answer.

use camino::Utf8Path;

use super::{BoxError, DatabaseUrl, DbError, Failure, OpenOptions, Row, migrations::Folders};

/// A connection that cannot exist.
pub(super) enum Absent {}

impl Absent {
    pub(super) fn open(url: &DatabaseUrl, _options: &OpenOptions) -> Result<Self, DbError> {
        Err(DbError::NotBuiltIn { backend: url.backend(), url: url.clone() })
    }

    pub(super) fn batch(&mut self, _sql: &str) -> Result<(), Failure> {
        match *self {}
    }

    pub(super) fn execute(&mut self, _sql: &str) -> Result<u64, Failure> {
        match *self {}
    }

    pub(super) fn query(&mut self, _sql: &str) -> Result<Vec<Row>, Failure> {
        match *self {}
    }

    pub(super) fn folders(&self, _dir: &Utf8Path) -> Result<Folders, BoxError> {
        match *self {}
    }
}
