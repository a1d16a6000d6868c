use std::sync::atomic::{AtomicU32, Ordering};

use diesel::{
    backend::Backend,
    connection::BoxableConnection,
    migration::{
        Migration, MigrationMetadata, MigrationName, MigrationSource, MigrationVersion, Result,
    },
};
use diesel_migrations::FileBasedMigrations;
use newcol_core::execute::apply::{ApplyError, SqlMigration};
use newcol_testkit::{Project, ScratchDb, Want};

use super::{apply, hasty, recorded};
use crate::desk;

/// A source of Diesel's is read as the directory is, and runs.
#[test]
fn sources_and_directories_are_the_same() {
    let project: Project = desk::one_crate("sqlite").build().unwrap();
    let dir = project.schema_dir().join("migrations");
    let source = FileBasedMigrations::from_path(&dir).unwrap();
    let read = SqlMigration::of_source::<diesel::sqlite::Sqlite>(&source).unwrap();
    let listed = SqlMigration::in_dir(newcol_core::backend::Backend::Sqlite, &dir).unwrap();
    assert_eq!(read, listed);
    let Some(db) = ScratchDb::require(Want::sqlite()) else { return };
    db.run(&["SELECT 1"]).unwrap();
    apply(db.url(), hasty(), &read).done();
    assert_eq!(recorded(&db), [read[0].version.clone()]);
}

/// A migration in Rust, and what it has the connection do, one call each.
#[derive(Clone, Copy)]
struct Coded(&'static [&'static str]);

/// How often one has been run, there or back.
static RUNS: AtomicU32 = AtomicU32::new(0);

impl<DB: Backend> Migration<DB> for Coded {
    fn run(&self, conn: &mut dyn BoxableConnection<DB>) -> Result<()> {
        RUNS.fetch_add(1, Ordering::SeqCst);
        for sql in self.0 {
            // Code may well pass over what fails.
            conn.batch_execute(sql).ok();
        }
        Ok(())
    }

    fn revert(&self, _: &mut dyn BoxableConnection<DB>) -> Result<()> {
        RUNS.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn metadata(&self) -> &dyn MigrationMetadata {
        self
    }

    fn name(&self) -> &dyn MigrationName {
        self
    }
}

impl MigrationMetadata for Coded {}

impl MigrationName for Coded {
    fn version(&self) -> MigrationVersion<'_> {
        MigrationVersion::from("1")
    }
}

impl std::fmt::Display for Coded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("1_coded")
    }
}

impl<DB: Backend> MigrationSource<DB> for Coded {
    fn migrations(&self) -> Result<Vec<Box<dyn Migration<DB>>>> {
        Ok(vec![Box::new(*self)])
    }
}

/// Code does more than what a connection hears of it, so it is not run to find out what it is.
#[test]
fn code_is_refused_and_not_run() {
    for calls in [&[][..], &["SELECT 1"], &["SELECT 1", "SELECT 2"]] {
        let refused = SqlMigration::of_source::<diesel::sqlite::Sqlite>(&Coded(calls));
        let Err(ApplyError::OtherSource { name }) = refused else { panic!("{refused:?}") };
        assert!(name.ends_with("::Coded"), "{name}");
    }
    assert_eq!(RUNS.load(Ordering::SeqCst), 0);
    // Where somebody says by mistake that it is SQL, it shows at once.
    for calls in [&[][..], &["SELECT 1", "SELECT 2"]] {
        let refused = SqlMigration::of_sql_source::<diesel::sqlite::Sqlite>(&Coded(calls));
        assert!(matches!(refused, Err(ApplyError::NotSql { .. })), "{refused:?}");
    }
    let vouched = SqlMigration::of_sql_source::<diesel::sqlite::Sqlite>(&Coded(&["SELECT 1"]));
    assert_eq!(vouched.unwrap()[0].up, "SELECT 1");
}

/// Diesel itself would run one of the two, and never the other.
#[test]
fn two_migrations_of_one_version_are_refused() {
    let project = desk::one_crate("sqlite")
        .file("migrations/2026-03-01-000000_one/up.sql", "SELECT 1;")
        .file("migrations/2026-03-01-000000_two/up.sql", "SELECT 2;")
        .build()
        .unwrap();
    let dir = project.schema_dir().join("migrations");
    let listed = SqlMigration::in_dir(newcol_core::backend::Backend::Sqlite, &dir);
    let source = FileBasedMigrations::from_path(&dir).unwrap();
    let read = SqlMigration::of_source::<diesel::sqlite::Sqlite>(&source);
    for refused in [listed, read] {
        let Err(ApplyError::Twins { one, other }) = refused else { panic!("{refused:?}") };
        assert_eq!([one, other], ["2026-03-01-000000_one", "2026-03-01-000000_two"]);
    }
}
