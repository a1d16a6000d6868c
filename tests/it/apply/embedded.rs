//! Applications that migrate when they start, several of them at once.

use std::thread;

use diesel::{Connection, SqliteConnection, migration::MigrationSource, pg::Pg, sqlite::Sqlite};
use diesel_async::{
    AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _,
    async_connection_wrapper::AsyncConnectionWrapper,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use newcol_core::{
    backend::Backend,
    db::{DatabaseUrl, DbError, OpenOptions},
    execute::apply::{Answer, Apply, ApplyError, Report, SqlMigration},
};
use newcol_testkit::{ScratchDb, Want};

use super::{recorded, value};

const POSTGRES: EmbeddedMigrations = embed_migrations!("it/apply/migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("it/apply/migrations/sqlite");

/// How many programs start at once.
const STARTERS: usize = 5;

/// What an application does before it serves.
fn migrate<DB: diesel::backend::Backend>(
    url: &str,
    embedded: &(impl MigrationSource<DB> + 'static),
) -> Result<Report, ApplyError> {
    let migrations = SqlMigration::of_source::<DB>(embedded)?;
    let url = DatabaseUrl::parse(url).map_err(DbError::from)?;
    let outcome = Apply::new(&url, OpenOptions::write()).run(&migrations, &|_| Answer::Go)?;
    Ok(outcome.report().clone())
}

fn migrate_any(db: &ScratchDb) -> Result<Report, ApplyError> {
    match db.backend() {
        Backend::Postgres => migrate::<Pg>(db.url(), &POSTGRES),
        Backend::Mysql | Backend::Sqlite => migrate::<Sqlite>(db.url(), &SQLITE),
    }
}

/// As Diesel does it by itself.
fn diesel(db: &ScratchDb) -> Result<(), String> {
    fn run<DB: diesel::backend::Backend>(
        harness: &mut impl MigrationHarness<DB>,
        embedded: EmbeddedMigrations,
    ) -> Result<(), String> {
        let ran = harness.run_pending_migrations(embedded);
        ran.map(drop).map_err(|error| error.to_string())
    }
    match db.backend() {
        Backend::Postgres => {
            let connection =
                <AsyncConnectionWrapper<AsyncPgConnection> as Connection>::establish(db.url());
            run(&mut connection.unwrap(), POSTGRES)
        }
        Backend::Mysql | Backend::Sqlite => {
            run(&mut SqliteConnection::establish(db.url()).unwrap(), SQLITE)
        }
    }
}

fn all_is_done_once(db: &ScratchDb) {
    let rows = db.rows("SELECT n FROM log ORDER BY n").unwrap().concat();
    let rows: Vec<String> = rows.into_iter().flatten().collect();
    assert_eq!(rows, ["1", "2", "3"]);
    assert_eq!(recorded(db).len(), 5);
}

fn index_is_valid(db: &ScratchDb) {
    let sql = "SELECT count(*) FROM pg_index WHERE indrelid = 'log'::regclass AND indisvalid";
    assert_eq!(value(db, sql), "1");
}

fn several_start_at_once(want: Want) -> Option<ScratchDb> {
    let db = ScratchDb::require(want)?;
    db.run(&["SELECT 1"]).unwrap();
    let reports: Vec<Report> = thread::scope(|scope| {
        let starters: Vec<_> =
            (0..STARTERS).map(|_| scope.spawn(|| migrate_any(&db).unwrap())).collect();
        starters.into_iter().map(|starter| starter.join().unwrap()).collect()
    });
    assert_eq!(reports.iter().map(|report| report.migrations.len()).sum::<usize>(), 5);
    all_is_done_once(&db);
    Some(db)
}

#[test]
fn several_start_at_once_on_postgres() {
    let Some(db) = several_start_at_once(Want::postgres()) else { return };
    index_is_valid(&db);
}

#[test]
fn several_start_at_once_on_sqlite() {
    several_start_at_once(Want::sqlite());
}

/// With diesel-async, the blocking part has a thread of its own.
#[test]
fn async_programs_start_at_once() {
    let Some(db) = ScratchDb::require(Want::postgres()) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let start = async |url: String| {
        let own = url.clone();
        let migrated = tokio::task::spawn_blocking(move || migrate::<Pg>(&own, &POSTGRES));
        let report = migrated.await.unwrap().unwrap();
        let mut connection = AsyncPgConnection::establish(&url).await.unwrap();
        connection.batch_execute("SELECT n, m FROM log").await.unwrap();
        report.migrations.len()
    };
    let starters = [(); 2].map(|()| runtime.spawn(start(db.url().to_owned())));
    let done: usize = starters.map(|one| runtime.block_on(one).unwrap()).iter().sum();
    assert_eq!(done, 5);
    all_is_done_once(&db);
    index_is_valid(&db);
}

/// Diesel's own runner takes no lock. Where it meets ours, one of the two does a migration and the
/// other takes it for done, or (Diesel's) says what is wrong; nothing is done twice.
fn beside_diesel(want: Want) {
    for round in 0..10 {
        let Some(db) = ScratchDb::require(want) else { return };
        db.run(&["SELECT 1"]).unwrap();
        thread::scope(|scope| {
            let theirs: Vec<_> = (0..2).map(|_| scope.spawn(|| diesel(&db))).collect();
            let ours: Vec<_> = (0..2).map(|_| scope.spawn(|| migrate_any(&db))).collect();
            for one in theirs {
                if let Err(error) = one.join().unwrap() {
                    eprintln!("Diesel in round {round}: {error}");
                }
            }
            for one in ours {
                one.join().unwrap().unwrap();
            }
        });
        all_is_done_once(&db);
        diesel(&db).unwrap();
        all_is_done_once(&db);
    }
}

#[test]
fn beside_diesels_own_runner_on_postgres() {
    beside_diesel(Want::postgres());
}

#[test]
fn beside_diesels_own_runner_on_sqlite() {
    beside_diesel(Want::sqlite());
}
