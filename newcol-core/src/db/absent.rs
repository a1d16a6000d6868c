//! The driver of an engine that was not built in: refuses to open, and so has no other answer.

use camino::Utf8Path;

use super::{DatabaseUrl, DbError, Failure, MigrationRun, OpenOptions, Row, Selection};

/// A connection that cannot exist.
pub(super) enum Absent {}

impl Absent {
    pub(super) fn open(url: &DatabaseUrl, _options: &OpenOptions) -> Result<Self, DbError> {
        Err(DbError::NotBuiltIn { backend: url.backend(), url: url.clone() })
    }

    pub(super) fn batch(&mut self, _sql: &str) -> Result<(), Failure> {
        match *self {}
    }

    pub(super) fn query(&mut self, _sql: &str) -> Result<Vec<Row>, Failure> {
        match *self {}
    }

    pub(super) fn migrate(
        &mut self,
        _url: &DatabaseUrl,
        _options: &OpenOptions,
        _dir: &Utf8Path,
        _selection: Selection,
    ) -> Result<MigrationRun, DbError> {
        match *self {}
    }
}
