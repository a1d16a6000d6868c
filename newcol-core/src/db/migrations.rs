//! Diesel's migrations: what is applied, and applying them to databases of our own.
//!
//! Reading asks the bookkeeping table itself, because Diesel's harness sends `CREATE TABLE IF NOT
//! EXISTS` even to look. Running goes through Diesel's harness, so it does what `diesel migration
//! run` does.

use camino::Utf8Path;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
use diesel::{
    backend::Backend as DieselBackend,
    migration::{Migration, MigrationSource},
};
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
use diesel_migrations::{FileBasedMigrations, MigrationHarness};

#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
use super::DatabaseUrl;
use super::{DbError, Driver, Session};
use crate::backend::Backend;

/// One row of `__diesel_schema_migrations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedMigration {
    /// Its version, as Diesel stores it.
    pub version: String,
    /// When it was run, as the server prints it.
    pub run_on: String,
}

/// Versions that were just applied, in the order in which they ran.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MigrationRun {
    /// The versions.
    pub versions: Vec<String>,
}

/// Which migrations of a directory may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selection {
    All,
    /// The first so many in the order of versions, applied ones included.
    First(usize),
}

impl Session {
    /// Returns the applied migrations by version, none where Diesel's table is missing. Sends only
    /// SELECT.
    pub fn migrations(&mut self) -> Result<Vec<AppliedMigration>, DbError> {
        let exists = match self.backend() {
            Backend::Postgres => "SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL",
            Backend::Mysql => {
                "SELECT count(*) > 0 FROM information_schema.tables \
                 WHERE table_schema = database() AND table_name = '__diesel_schema_migrations'"
            }
            Backend::Sqlite => {
                "SELECT count(*) > 0 FROM sqlite_schema \
                 WHERE type = 'table' AND name = '__diesel_schema_migrations'"
            }
        };
        if !self.query_bool(exists)? {
            return Ok(Vec::new());
        }
        let sql = "SELECT version, run_on FROM __diesel_schema_migrations ORDER BY version";
        let rows = self.query(sql)?.into_iter();
        Ok(rows
            .map(|row| {
                let mut values = row.into_iter().map(Option::unwrap_or_default);
                AppliedMigration {
                    version: values.next().unwrap_or_default(),
                    run_on: values.next().unwrap_or_default(),
                }
            })
            .collect())
    }

    /// Applies every pending migration of a directory, as `diesel migration run` would.
    ///
    /// On PostgreSQL and MySQL this runs on a connection of its own, so settings of this session do
    /// not reach the migrations, nor theirs this session. Without lock budget: for throwaway
    /// databases.
    pub fn run_pending(&mut self, dir: &Utf8Path) -> Result<MigrationRun, DbError> {
        self.migrate(dir, Selection::All)
    }

    /// Applies what is pending of the first `count` migrations in the order of versions.
    pub fn run_up_to(&mut self, dir: &Utf8Path, count: usize) -> Result<MigrationRun, DbError> {
        self.migrate(dir, Selection::First(count))
    }

    fn migrate(&mut self, dir: &Utf8Path, selection: Selection) -> Result<MigrationRun, DbError> {
        self.must_write()?;
        let (url, options) = (&self.url, &self.options);
        match &mut self.driver {
            Driver::Postgres(driver) => driver.migrate(url, options, dir, selection),
            Driver::Mysql(driver) => driver.migrate(url, options, dir, selection),
            Driver::Sqlite(driver) => driver.migrate(url, options, dir, selection),
        }
    }
}

/// A directory of migrations, cut to a selection.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
struct Selected {
    files: FileBasedMigrations,
    selection: Selection,
}

#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
impl<DB: DieselBackend> MigrationSource<DB> for Selected {
    fn migrations(&self) -> diesel::migration::Result<Vec<Box<dyn Migration<DB>>>> {
        let mut all: Vec<Box<dyn Migration<DB>>> = self.files.migrations()?;
        if let Selection::First(count) = self.selection {
            all.sort_by(|a, b| a.name().version().cmp(&b.name().version()));
            all.truncate(count);
        }
        Ok(all)
    }
}

/// Runs the selected migrations one by one on a Diesel connection.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub(super) fn run<DB: DieselBackend>(
    harness: &mut impl MigrationHarness<DB>,
    url: &DatabaseUrl,
    dir: &Utf8Path,
    selection: Selection,
) -> Result<MigrationRun, DbError> {
    let unreadable = |source| DbError::MigrationSource { dir: dir.to_owned(), source };
    let files = FileBasedMigrations::from_path(dir).map_err(|e| unreadable(e.into()))?;
    let pending = harness.pending_migrations(Selected { files, selection }).map_err(unreadable)?;
    let mut run = MigrationRun::default();
    for migration in &pending {
        let name = || migration.name().to_string();
        let version = harness.run_migration(migration).map_err(|source| DbError::Migration {
            url: url.clone(),
            name: name(),
            source,
        })?;
        run.versions.push(version.to_string());
    }
    Ok(run)
}
