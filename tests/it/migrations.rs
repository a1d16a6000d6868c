//! `Session::run_pending` leaves what `diesel migration run` leaves: the same schema, the same
//! bookkeeping, and the same halfway state where a migration fails.

use camino::Utf8PathBuf;
use newcol_core::{
    backend::Backend,
    contract::read::read,
    db::{DatabaseUrl, DbError, OpenOptions, Session, migration_folders},
    plan::Transaction,
};
use newcol_testkit::{
    Project, ScratchDb, Want, diesel_cli,
    life::{Action, Life, migrate_before},
    schema_dump,
};

/// Folder, `up.sql`, `metadata.toml`.
type Folder = (&'static str, &'static str, &'static str);

const OUTSIDE: &str = "run_in_transaction = false\n";

/// Diesel takes a file without the key for one that says false.
const WITHOUT_KEY: &str = "disable_checks = []\n";

/// Diesel sorts by version, and takes any text for one.
const GOOD: &[Folder] = &[
    ("2026-01-02-000000-0000_index", "CREATE INDEX by_name ON users (name);", OUTSIDE),
    (
        "2026-01-01-000000_users",
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(20));\n\
         -- é; not the end\nCREATE TABLE posts (id INTEGER PRIMARY KEY);",
        "",
    ),
    ("00000000000000_first", "CREATE TABLE first (id INTEGER PRIMARY KEY);", ""),
    ("it's\\odd_é", "CREATE TABLE odd (id INTEGER PRIMARY KEY);", "run_in_transaction = true\n"),
];

/// Each after `GOOD`, and before one that would run.
const BAD: &[Folder] = &[
    (
        "j_fails",
        "CREATE TABLE left_over (id INTEGER PRIMARY KEY);\nCREATE TABLE users (a INT);",
        "",
    ),
    (
        "j_fails",
        "CREATE TABLE left_over (id INTEGER PRIMARY KEY);\nCREATE TABLE users (a INT);",
        OUTSIDE,
    ),
    (
        "j_fails",
        "CREATE TABLE left_over (id INTEGER PRIMARY KEY);\nCREATE TABLE users (a INT);",
        WITHOUT_KEY,
    ),
    ("j_empty", "", ""),
    // PostgreSQL and SQLite say so at COMMIT; MySQL commits and checks at once.
    (
        "j_deferred",
        "CREATE TABLE child (\n\
         user_id INTEGER, FOREIGN KEY (user_id) REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED);\n\
         INSERT INTO child VALUES (7);",
        "",
    ),
];

fn project(folders: &[Folder]) -> Project {
    let config = "[print_schema]\n[migrations_directory]\ndir = \"migrations\"\n";
    let mut builder = Project::builder().file("diesel.toml", config);
    for (name, up, metadata) in folders {
        let dir = Utf8PathBuf::from("migrations").join(name);
        builder = builder.file(dir.join("up.sql"), *up).file(dir.join("down.sql"), "SELECT 1;");
        if !metadata.is_empty() {
            builder = builder.file(dir.join("metadata.toml"), *metadata);
        }
    }
    builder.build().unwrap()
}

fn open(db: &ScratchDb) -> Session {
    Session::open(&DatabaseUrl::parse(db.url()).unwrap(), &OpenOptions::create()).unwrap()
}

/// Runs Diesel's command line; returns whether it succeeded.
fn diesel(project: &Project, db: &ScratchDb, args: &[&str]) -> bool {
    let tool = diesel_cli().unwrap().arg("migration").args(args).current_dir(project.root());
    tool.env("DATABASE_URL", db.url()).run().unwrap().status.success()
}

/// The schema, the bookkeeping table included, and the versions in it.
fn state(db: &ScratchDb) -> (String, Vec<String>) {
    let versions = open(db).migrations().unwrap().into_iter().map(|m| m.version).collect();
    (schema_dump(db.url()).unwrap(), versions)
}

#[test]
fn running_leaves_what_diesel_leaves() {
    for backend in Backend::ALL {
        let Some(ours) = ScratchDb::require(backend) else { continue };
        let theirs = ScratchDb::new(backend).unwrap();
        let project = project(GOOD);
        assert!(diesel(&project, &theirs, &["run"]));
        let dir = project.root().join("migrations");
        let mut session = open(&ours);
        let first = session.run_up_to(&dir, 1).unwrap();
        assert_eq!(first.versions, ["00000000000000"]);
        let rest = session.run_pending(&dir).unwrap();
        assert_eq!(rest.versions, ["20260101000000", "202601020000000000", "it's\\odd"]);
        assert_eq!(state(&ours), state(&theirs), "{backend}");
        assert!(session.run_pending(&dir).unwrap().versions.is_empty(), "{backend}");
        assert!(diesel(&project, &ours, &["revert", "--all"]), "{backend}");
        assert!(session.migrations().unwrap().is_empty(), "{backend}");
    }
}

#[test]
fn failing_leaves_what_diesel_leaves() {
    for backend in Backend::ALL {
        for bad in BAD {
            let Some(ours) = ScratchDb::require(backend) else { continue };
            let theirs = ScratchDb::new(backend).unwrap();
            let last = ("k_never", "CREATE TABLE never (id INTEGER PRIMARY KEY);", "");
            let project = project(&[GOOD, &[*bad, last]].concat());
            let ran = diesel(&project, &theirs, &["run"]);
            let mut session = open(&ours);
            if backend == Backend::Sqlite {
                // The SQLite that is compiled in has them on, the one of Diesel's command line off.
                session.batch("PRAGMA foreign_keys = OFF").unwrap();
            }
            let run = session.run_pending(&project.root().join("migrations"));
            assert_eq!(run.is_ok(), ran, "{backend} {bad:?} {run:?}");
            if let Err(error) = run {
                assert!(matches!(&error, DbError::Migration { name, .. } if name == bad.0));
            }
            assert_eq!(state(&ours), state(&theirs), "{backend} {bad:?}");
        }
    }
}

/// A COMMIT that fails leaves SQLite inside the transaction; Diesel rolls it back, and so do we.
#[test]
fn a_refused_commit_leaves_no_transaction() {
    let db = ScratchDb::require(Want::sqlite()).unwrap();
    let project = project(&[GOOD[1], BAD[4]]);
    let mut session = open(&db);
    session.batch("PRAGMA foreign_keys = ON").unwrap();
    let error = session.run_pending(&project.root().join("migrations")).unwrap_err();
    assert_eq!(error.failure().unwrap().message, "FOREIGN KEY constraint failed");
    session.batch("BEGIN; COMMIT").unwrap();
    assert_eq!(session.migrations().unwrap().len(), 1);
}

#[test]
fn folders_are_read_as_diesel_reads_them() {
    let project = project(&[GOOD, &[("x_half", "SELECT 1;", WITHOUT_KEY)]].concat());
    let dir = project.root().join("migrations");
    for backend in Backend::ALL {
        let folders = migration_folders(backend, &dir).unwrap();
        let read: Vec<_> =
            folders.iter().map(|f| (&*f.version, &*f.name, f.in_transaction)).collect();
        assert_eq!(
            read,
            [
                ("00000000000000", "00000000000000_first", true),
                ("20260101000000", "2026-01-01-000000_users", true),
                ("202601020000000000", "2026-01-02-000000-0000_index", false),
                ("it's\\odd", "it's\\odd_é", true),
                ("x", "x_half", false),
            ]
        );
        let nowhere = migration_folders(backend, &dir.join("no"));
        assert!(matches!(nowhere, Err(DbError::MigrationSource { .. })), "{nowhere:?}");
    }
}

#[test]
fn released_stages_run_as_diesel_runs_them() {
    const OURS: &str =
        "-- cargo newcol: users.age, stage expand\nALTER TABLE users ADD age INTEGER;";
    let contract = "format = 1\ntable = 'users'\ncolumn = 'age'\nwhy = 'So'\ntype = 'INTEGER'\n\
                    required = false\n";
    let contract = read(contract).unwrap().contract;
    for (metadata, transaction) in
        [("", Transaction::Wrapped), (OUTSIDE, Transaction::Bare), (WITHOUT_KEY, Transaction::Bare)]
    {
        let project = project(&[GOOD, &[("x_age", OURS, metadata)]].concat());
        let dir = project.root().join("migrations");
        let db = ScratchDb::sqlite().unwrap();
        migrate_before(db.url(), &dir, contract.path()).unwrap();
        assert_eq!(open(&db).migrations().unwrap().len(), GOOD.len());
        let life = Life::plan(&contract, db.url()).unwrap().with_released(&dir).unwrap();
        let (_, action) = life.actions().next().unwrap();
        let Action::Migration(script) = action else { panic!("{action:?}") };
        assert_eq!((&*script.name, &*script.up), ("age", OURS));
        assert_eq!(script.transaction, transaction, "{metadata}");
    }
}
