//! A test of a project: a scratch database, reached by the project's own Diesel.

use std::path::Path;

use diesel::prelude::*;
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use newcol_consumer::names;
use newcol_core::db::{DatabaseUrl, OpenOptions, Session};
use newcol_testkit::{ScratchDb, Want};

#[test]
fn the_projects_diesel_and_ours_see_one_database() {
    for want in [Want::sqlite(), Want::sqlite().in_memory()] {
        let db = ScratchDb::new(want).unwrap();
        let mut connection = SqliteConnection::establish(db.url()).unwrap();
        let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let source = FileBasedMigrations::from_path(&migrations).unwrap();

        let url = DatabaseUrl::parse(db.url()).unwrap();
        let mut session = Session::open(&url, &OpenOptions::create()).unwrap();
        let run = session.run_pending(migrations.as_path().try_into().unwrap()).unwrap();
        assert_eq!(run.versions, ["20260101000000"]);
        assert!(!connection.has_pending_migration(source.clone()).unwrap());

        db.run(&["INSERT INTO users VALUES (1, 'Ada')"]).unwrap();
        assert_eq!(names(&mut connection).unwrap(), ["Ada"]);
        assert_eq!(db.rows("SELECT name FROM users").unwrap(), [[Some("Ada".to_owned())]]);

        connection.revert_all_migrations(source).unwrap();
        assert!(session.migrations().unwrap().is_empty());
    }
}
