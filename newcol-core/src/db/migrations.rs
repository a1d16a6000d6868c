//! Diesel's migrations: what is applied, and applying them to databases of our own.
//!
//! Reading asks the bookkeeping table itself, because Diesel's harness sends `CREATE TABLE IF NOT
//! EXISTS` even to look. Running does what `diesel migration run` does, statement for statement, but
//! through a [`Session`]: Diesel's own harness runs only on connections that link a client library.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use camino::Utf8Path;
use diesel::migration::CREATE_MIGRATIONS_TABLE;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
use diesel::{
    backend::Backend as DieselBackend,
    migration::{Migration, MigrationSource},
};
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
use diesel_migrations::FileBasedMigrations;

use super::{DbError, Failure, MysqlDriver, PostgresDriver, Session, SqliteDriver, quote::literal};
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
enum Selection {
    All,
    /// The first so many in the order of versions, applied ones included.
    First(usize),
}

impl Session {
    /// Returns the applied migrations by version, none where Diesel's table is missing. Sends only
    /// SELECT.
    pub fn migrations(&mut self) -> Result<Vec<AppliedMigration>, DbError> {
        if !self.has_migrations_table()? {
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

    /// Reports whether there is a table of applied migrations.
    pub(crate) fn has_migrations_table(&mut self) -> Result<bool, DbError> {
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
        self.query_bool(exists)
    }

    /// Applies every pending migration of a directory, as `diesel migration run` would.
    ///
    /// On PostgreSQL and MySQL this runs on a connection of its own, so settings of this session do
    /// not reach the migrations, nor theirs this session. Without lock budget: for throwaway
    /// databases.
    pub fn run_pending(&mut self, dir: &Utf8Path) -> Result<MigrationRun, DbError> {
        self.migrate(dir, Selection::All, &[])
    }

    /// Applies what is pending of the first `count` migrations in the order of versions.
    pub fn run_up_to(&mut self, dir: &Utf8Path, count: usize) -> Result<MigrationRun, DbError> {
        self.migrate(dir, Selection::First(count), &[])
    }

    /// As [`Self::run_up_to`], after statements on the connection of the migrations: settings that
    /// an application makes before it migrates.
    pub fn run_up_to_after(
        &mut self,
        setup: &[String],
        dir: &Utf8Path,
        count: usize,
    ) -> Result<MigrationRun, DbError> {
        self.migrate(dir, Selection::First(count), setup)
    }

    fn migrate(
        &mut self,
        dir: &Utf8Path,
        selection: Selection,
        setup: &[String],
    ) -> Result<MigrationRun, DbError> {
        self.must_write()?;
        let mut own;
        let session = match self.backend() {
            Backend::Postgres | Backend::Mysql => {
                own = Self::open(&self.url, &self.options)?;
                &mut own
            }
            // A database in memory is reached by its own connection only.
            Backend::Sqlite => self,
        };
        setup.iter().try_for_each(|sql| session.batch(sql))?;
        session.migrate_here(dir, selection)
    }

    fn migrate_here(
        &mut self,
        dir: &Utf8Path,
        selection: Selection,
    ) -> Result<MigrationRun, DbError> {
        let folders = migration_folders(self.backend(), dir)?;
        self.batch(CREATE_MIGRATIONS_TABLE)?;
        let applied: BTreeSet<String> =
            self.migrations()?.into_iter().map(|migration| migration.version).collect();
        let count = match selection {
            Selection::All => folders.len(),
            Selection::First(count) => count,
        };
        let mut run = MigrationRun::default();
        for folder in folders.into_iter().take(count) {
            if applied.contains(&folder.version) {
                continue;
            }
            self.apply(dir, &folder).map_err(|source| DbError::Migration {
                url: self.url.clone(),
                name: folder.name,
                source: Box::new(source),
            })?;
            run.versions.push(folder.version);
        }
        Ok(run)
    }

    fn apply(&mut self, dir: &Utf8Path, folder: &MigrationFolder) -> Result<(), Failure> {
        let up = fs::read_to_string(dir.join(&folder.name).join("up.sql"))
            .map_err(|error| Failure::said(format!("could not read its up.sql: {error}")))?;
        if up.is_empty() {
            return Err(Failure::said("its up.sql is empty"));
        }
        let version = literal(self.backend(), &folder.version);
        let record = format!("INSERT INTO __diesel_schema_migrations (version) VALUES ({version})");
        if !folder.in_transaction {
            self.send(&up)?;
            return self.send(&record);
        }
        self.send("BEGIN")?;
        let done = self
            .send(&up)
            .and_then(|()| self.send(&record))
            // It can fail on a deferred constraint, and then leaves SQLite inside the transaction.
            .and_then(|()| self.send("COMMIT"));
        if done.is_err() {
            // What failed first is the error, whether or not anything was left to roll back.
            drop(self.send("ROLLBACK"));
        }
        done
    }
}

/// One folder of a directory of migrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationFolder {
    /// Its version, as Diesel stores it.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Whether Diesel wraps it in a transaction.
    pub in_transaction: bool,
}

/// Returns the folders of a directory of migrations in the order in which Diesel runs them, read by
/// Diesel itself: of two folders with one version the last wins.
pub fn migration_folders(
    backend: Backend,
    dir: &Utf8Path,
) -> Result<Vec<MigrationFolder>, DbError> {
    let folders = all_migration_folders(backend, dir)?;
    let by_version: BTreeMap<String, MigrationFolder> =
        folders.into_iter().map(|folder| (folder.version.clone(), folder)).collect();
    Ok(by_version.into_values().collect())
}

/// As [`migration_folders`], in no order and with those that Diesel would forget.
pub(crate) fn all_migration_folders(
    backend: Backend,
    dir: &Utf8Path,
) -> Result<Vec<MigrationFolder>, DbError> {
    let folders = match backend {
        Backend::Postgres => PostgresDriver::folders(dir),
        Backend::Mysql => MysqlDriver::folders(dir),
        Backend::Sqlite => SqliteDriver::folders(dir),
    };
    folders.map_err(|source| DbError::MigrationSource { dir: dir.to_owned(), source })
}

/// Reads the folders of a directory, in no order.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub(super) fn folders<DB: DieselBackend>(
    dir: &Utf8Path,
) -> Result<Vec<MigrationFolder>, super::BoxError> {
    let files = FileBasedMigrations::from_path(dir)?;
    let migrations: Vec<Box<dyn Migration<DB>>> = files.migrations()?;
    let folder = |migration: Box<dyn Migration<DB>>| {
        let (name, in_transaction) = (migration.name(), migration.metadata().run_in_transaction());
        let version = name.version().to_string();
        MigrationFolder { version, name: name.to_string(), in_transaction }
    };
    Ok(migrations.into_iter().map(folder).collect())
}
