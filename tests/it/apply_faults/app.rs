//! A project with all stages of a column, applied to a database again and again.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, ExitStatus, Stdio},
    time::Duration,
};

use newcol_core::{
    backend::Backend,
    db::{DatabaseUrl, OpenOptions, Session},
    execute::apply::{Answer, Apply, SqlMigration},
};
use newcol_testkit::{
    Project, ScratchDb, Want, schema_dump,
    wait::{wait_for, wait_until},
};

use crate::desk::{self, newcol};

/// The tables, that of the column in partitions on two levels.
const PARTITIONED: &str = "\
CREATE TABLE users (id integer PRIMARY KEY, name text NOT NULL, settings text) PARTITION BY RANGE (id);
CREATE TABLE first PARTITION OF users FOR VALUES FROM (0) TO (500);
CREATE TABLE others PARTITION OF users DEFAULT PARTITION BY RANGE (id);
CREATE TABLE second PARTITION OF others FOR VALUES FROM (500) TO (1000);
CREATE TABLE last PARTITION OF others DEFAULT;
";

/// Rows of the table: as many as a migration fills by itself.
const ROWS: u64 = 2_000;

/// The longest that a run, or the end of a session, may take.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// Releases the next stage on a word.
const NEXT: &[&str] = &["next", "users.locale", "--confirm-release", "a test"];

fn wish() -> Vec<&'static str> {
    [desk::LOWER_NAME, &["--index"]].concat()
}

pub(super) struct App {
    pub(super) project: Project,
    pub(super) db: ScratchDb,
    pub(super) migrations: Vec<SqlMigration>,
    /// The schema after none of them, one, and so on.
    pub(super) clean: Vec<String>,
    log: tempfile::TempDir,
}

/// A run of `apply`.
pub(super) struct Run {
    child: Child,
    words: PathBuf,
}

impl Run {
    pub(super) fn words(&self) -> String {
        std::fs::read_to_string(&self.words).unwrap()
    }

    pub(super) fn over(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub(super) fn wait(&mut self) -> ExitStatus {
        wait_for("end of a run", LIMIT, || self.over()).unwrap()
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What is there after a fault.
pub(super) struct Left {
    /// Names and numbers of valid indexes (PostgreSQL).
    valid: Vec<String>,
}

impl App {
    /// A required, computed column with an index, all its stages released.
    pub(super) fn new(want: Want) -> Option<Self> {
        let db = ScratchDb::require(want)?;
        let project = desk::one_crate(want.backend.name()).build().unwrap();
        drop(newcol(&project, &wish()).success());
        while newcol(&project, NEXT).code() == Some(0) {}
        Some(Self::of(project, db))
    }

    /// The same, of a table in partitions, which only a database tells.
    pub(super) fn partitioned(want: Want) -> Option<Self> {
        let db = ScratchDb::require(want)?;
        let start = "migrations/2026-01-01-000000-0000_start";
        let project = desk::one_crate(want.backend.name())
            .file(format!("{start}/up.sql"), PARTITIONED)
            .file(format!("{start}/down.sql"), "DROP TABLE users")
            .build()
            .unwrap();
        let run = |args: &[&str]| newcol(&project, &[args, &["--database-url", db.url()]].concat());
        drop(run(&["apply", "--all", "--yes"]).success());
        drop(newcol(&project, &wish()).success());
        drop(run(&["apply", "--all", "--yes"]).success());
        while run(NEXT).code() == Some(0) {
            drop(run(&["apply", "--all", "--yes"]).success());
        }
        Some(Self::of(project, db))
    }

    /// A project with a history of its own.
    pub(super) fn of(project: Project, db: ScratchDb) -> Self {
        let dir = project.schema_dir().join("migrations");
        let migrations = SqlMigration::in_dir(db.backend(), &dir).unwrap();
        let log = tempfile::tempdir().unwrap();
        let mut app = Self { project, db, migrations, clean: Vec::new(), log };
        app.empty();
        for count in 0..=app.migrations.len() {
            app.apply(count);
            app.clean.push(app.schema());
        }
        app
    }

    /// Applies so many migrations undisturbed, of which some may be there.
    pub(super) fn apply(&self, count: usize) {
        let url = DatabaseUrl::parse(self.db.url()).unwrap();
        let apply = Apply::new(&url, OpenOptions::write());
        drop(apply.run(&self.migrations[..count], &|_| Answer::Go).unwrap());
    }

    fn empty(&self) {
        match self.db.backend() {
            Backend::Postgres => {
                self.db.run(&["DROP SCHEMA public CASCADE", "CREATE SCHEMA public"])
            }
            Backend::Mysql => self.db.run(&[
                "SET FOREIGN_KEY_CHECKS = 0",
                "DROP TABLE IF EXISTS posts",
                "DROP TABLE IF EXISTS users",
                "DROP TABLE IF EXISTS __diesel_schema_migrations",
            ]),
            Backend::Sqlite => {
                for more in ["", "-journal", "-wal", "-shm", "-newcol-lock"] {
                    drop(std::fs::remove_file(format!("{}{more}", self.db.url())));
                }
                self.db.run(&["SELECT 1"])
            }
        }
        .unwrap();
    }

    /// Begins anew with the first migration.
    pub(super) fn begin(&self) {
        self.empty();
        self.apply(1);
    }

    /// Begins anew: the first migration, and rows.
    pub(super) fn reset(&self) {
        self.begin();
        let rows = format!(
            "INSERT INTO users (id, name) WITH RECURSIVE n (i) AS \
             (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99) \
             SELECT a.i * 100 + b.i, concat('Name ', a.i * 100 + b.i) FROM n AS a CROSS JOIN n AS b \
             WHERE a.i * 100 + b.i < {ROWS}"
        );
        self.db.run(&[&rows]).unwrap();
    }

    /// Starts a run.
    pub(super) fn start(&self, url: &str) -> Run {
        self.run(&["apply", "--all", "--yes", "--database-url", url])
    }

    /// Starts to take the last stage back.
    pub(super) fn start_back(&self, url: &str) -> Run {
        self.run(&["undo", "users.locale", "--live", "--yes", "--database-url", url])
    }

    fn run(&self, args: &[&str]) -> Run {
        let number = self.log.path().read_dir().unwrap().count();
        let words = self.log.path().join(format!("{number:05}.words"));
        let mut command = desk::tool(self.project.root(), args).command();
        let file = File::create(&words).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Run { child, words }
    }

    /// Waits until the server has let go of all that a run began.
    pub(super) fn until_left(&self) {
        let sql = match self.db.backend() {
            Backend::Postgres => {
                "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND application_name = 'cargo newcol'"
            }
            Backend::Mysql => {
                "SELECT count(*) FROM information_schema.processlist \
                 WHERE db = database() AND id <> connection_id()"
            }
            Backend::Sqlite => return,
        };
        wait_until("end of sessions", LIMIT, || {
            self.db.rows(sql).is_ok_and(|rows| rows[0][0].as_deref() == Some("0"))
        })
        .unwrap();
    }

    /// Checks what a fault has left: what is written down is there, and where the engine can, nothing
    /// else is.
    pub(super) fn check_left(&self) -> Left {
        let recorded = self.recorded();
        let all = self.versions();
        assert!(all.starts_with(&recorded), "{recorded:?} of {all:?}");
        let next = self.migrations.get(recorded.len());
        let is_whole = match self.db.backend() {
            // Before an index of the whole table there may be some of its partitions.
            Backend::Postgres | Backend::Sqlite => {
                let is_whole = |next: &SqlMigration| {
                    next.in_transaction && !next.up.contains("\nCREATE INDEX")
                };
                next.is_none_or(is_whole)
            }
            Backend::Mysql => false,
        };
        if is_whole {
            assert_eq!(self.schema(), self.clean[recorded.len()], "after {recorded:?}");
        }
        Left { valid: self.indexes("t") }
    }

    /// Checks that everything is as if nothing had happened.
    pub(super) fn check_done(&self, left: &Left) {
        assert_eq!(self.recorded(), self.versions());
        assert_eq!(self.schema(), *self.clean.last().unwrap());
        assert!(self.indexes("f").is_empty(), "{:?}", self.indexes("f"));
        let now = self.indexes("t");
        for index in &left.valid {
            // A stage may drop none either.
            assert!(now.contains(index), "{index} was dropped: {now:?}");
        }
    }

    /// Returns what the runs so far said.
    pub(super) fn words(&self) -> String {
        let files = self.log.path().read_dir().unwrap().map(|entry| entry.unwrap().path());
        files.map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }

    /// Checks that every row has its value.
    pub(super) fn check_rows(&self) {
        let sql = "SELECT count(*) FROM users WHERE locale = lower(name)";
        assert_eq!(self.db.rows(sql).unwrap()[0][0], Some(ROWS.to_string()));
    }

    /// Checks that no row has changed in another column.
    pub(super) fn check_names(&self) {
        let sql = "SELECT count(*) FROM users WHERE name = concat('Name ', id)";
        assert_eq!(self.db.rows(sql).unwrap()[0][0], Some(ROWS.to_string()));
    }

    pub(super) fn versions(&self) -> Vec<String> {
        self.migrations.iter().map(|one| one.version.clone()).collect()
    }

    pub(super) fn recorded(&self) -> Vec<String> {
        let sql = "SELECT version FROM __diesel_schema_migrations ORDER BY version";
        // Killed before there was such a table.
        self.db.rows(sql).unwrap_or_default().into_iter().flatten().flatten().collect()
    }

    pub(super) fn schema(&self) -> String {
        schema_dump(self.db.url()).unwrap()
    }

    fn indexes(&self, valid: &str) -> Vec<String> {
        if self.db.backend() != Backend::Postgres {
            return Vec::new();
        }
        let sql = format!(
            "SELECT concat(c.relname, ' ', c.oid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
             WHERE c.relnamespace = 'public'::regnamespace \
             AND (i.indisvalid AND i.indisready AND i.indislive) = '{valid}'"
        );
        self.db.rows(&sql).unwrap().into_iter().flatten().flatten().collect()
    }

    pub(super) fn session(&self, name: &str) -> Session {
        let url = DatabaseUrl::parse(self.db.url()).unwrap();
        let open = OpenOptions { application_name: Some(name.to_owned()), ..OpenOptions::write() };
        // Statements may be limited to a millisecond, those of opening too.
        wait_for("a session", LIMIT, || Session::open(&url, &open).ok()).unwrap()
    }
}
