//! Disks that are full, and files that may not grow.
//!
//! A limit on the size of a process's files needs no privilege, so it is tried everywhere. It makes
//! the same write fail in the same place, only with another word of the kernel than a full disk.

use std::{fs, time::Duration};

use insta::assert_snapshot;
use newcol_core::{
    backend::{Backend, Product},
    db::{DatabaseUrl, OpenOptions, Session},
    execute::backfill::{Answer, Backfill, Event},
};
use newcol_testkit::{CommandOutput, Project, ScratchDb, Want, wait::wait_for};

use super::{at_first, contract, contract_text, is_batch, numbered, receipt, said, small};
use crate::{
    desk::{self, wrapped},
    small_disk::SmallDisk,
};

const ROWS: u32 = 8000;
const MEGABYTE: usize = 1 << 20;

/// Fills have another value each time: a row that is filled twice shows.
fn body(random: &str) -> String {
    format!("type = 'text'\nrequired = false\n[old_rows]\nfill = \"{random}\"\n")
}

/// Remembers what is filled.
const REMEMBER: &str = "CREATE TABLE earlier AS SELECT id, c FROM t WHERE c IS NOT NULL";

/// Checks that some rows were filled before, and that all are now, each once.
fn check(db: &ScratchDb) {
    let counts = "SELECT (SELECT count(*) FROM earlier), \
        (SELECT count(*) FROM earlier JOIN t USING (id) WHERE earlier.c = t.c), \
        (SELECT count(c) FROM t)";
    let counts = db.rows(counts).unwrap().concat().into_iter();
    let counts: Vec<u32> = counts.map(|count| count.unwrap().parse().unwrap()).collect();
    let [before, kept, all] = counts.try_into().unwrap();
    assert!(0 < before && before < ROWS, "{before} rows were filled before");
    assert_eq!((kept, all), (before, ROWS));
}

/// Where it stops is not the same each time: in which block and file, or at which statement.
fn stable(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("because: `UPDATE"));
    let mut text = String::new();
    for c in lines.flat_map(|line| line.chars().chain(['\n'])) {
        match c {
            '0'..='9' if text.ends_with('N') => {}
            '0'..='9' => text.push('N'),
            _ => text.push(c),
        }
    }
    text
}

/// Fills a table of a server until it cannot grow, lets it, and goes on.
fn server(db: &ScratchDb, options: &str, stop: impl FnOnce(), go_on: impl FnOnce()) -> String {
    let random = match db.backend() {
        Backend::Postgres => "repeat(gen_random_uuid()::text, 10)",
        Backend::Mysql | Backend::Sqlite => "repeat(uuid(), 10)",
    };
    let contract = contract("t", "c", &body(random));
    let table = "CREATE TABLE t (id int PRIMARY KEY, name varchar(60), c text)";
    db.run(&[&format!("{table} {options}"), &numbered(ROWS)]).unwrap();
    stop();
    let url = DatabaseUrl::parse(db.url()).unwrap();
    let job = Backfill::new(&contract, &url, OpenOptions::write()).settings(small());
    let failed = said(&job.run(&|_| Answer::Go).unwrap_err());
    go_on();
    db.run(&[REMEMBER]).unwrap();
    assert_eq!(receipt(job.run(&|_| Answer::Go).unwrap()).filled, u64::from(ROWS));
    check(db);
    stable(&failed)
}

/// Limits the size of the files of sessions that begin from now on.
fn limit_files(db: &ScratchDb, bytes: &str) {
    limit_files_of(db, "$(head -n 1 postmaster.pid)", bytes);
}

/// Limits the size of the files of processes of the server.
fn limit_files_of(db: &ScratchDb, processes: &str, bytes: &str) {
    let prlimit = format!("for pid in {processes}; do prlimit --fsize={bytes}: --pid $pid; done");
    let copy = format!("COPY said FROM PROGRAM '{prlimit}'");
    db.run(&["CREATE TEMPORARY TABLE said (line text)", &copy]).unwrap();
}

#[test]
fn a_full_disk_of_postgres_is_said_and_gone_on_from() {
    let Some(db) = ScratchDb::require(Want::postgres().version(18).private()) else { return };
    let data = db.rows("SHOW data_directory").unwrap().concat().remove(0).unwrap();
    let Some(disk) = SmallDisk::new(16, &data) else { return };
    db.run(&[&format!("CREATE TABLESPACE small LOCATION '{}'", disk.dir())]).unwrap();
    let failed = server(&db, "TABLESPACE small", || disk.fill(14 * MEGABYTE), || disk.empty());
    assert_snapshot!(failed, @r#"
    a batch of `t.c` was rolled back; it is at block N of `public.t`
    because: could not extend file "pg_tblspc/N/PG_N_N/N/N": No space left on device
    hint: Check free disk space, then run the same command again: it goes on where it stopped
    "#);
}

#[test]
fn a_full_disk_of_mariadb_is_said_and_gone_on_from() {
    let want = Want::mysql().product(Product::Mariadb).private();
    let Some(db) = ScratchDb::require(want) else { return };
    let data = db.rows("SELECT @@datadir").unwrap().concat().remove(0).unwrap();
    let Some(disk) = SmallDisk::new(16, &data) else { return };
    let place = format!("DATA DIRECTORY = '{}'", disk.dir());
    let failed = server(&db, &place, || disk.fill(14 * MEGABYTE), || disk.empty());
    assert_snapshot!(failed, @"
    a batch of `t.c` was rolled back; it is at the rows after N
    because: The table 't' is full
    hint: see what the server says, then run the same command again: it goes on where it stopped
    ");
}

#[test]
fn files_of_postgres_that_may_not_grow_are_said_and_gone_on_from() {
    let Some(db) = ScratchDb::require(Want::postgres().version(18).private()) else { return };
    // Files of the log have 16 MB from the start.
    let large = "ALTER TABLE t ADD COLUMN large char(2000) NOT NULL DEFAULT ''; \
        ALTER TABLE t ALTER COLUMN large SET STORAGE PLAIN; UPDATE t SET large = ''; \
        VACUUM FULL t";
    let stop = || {
        let url = DatabaseUrl::parse(db.url()).unwrap();
        let mut session = Session::open(&url, &OpenOptions::write()).unwrap();
        large.split("; ").for_each(|sql| session.batch(sql).unwrap());
        let sql = "SELECT pg_relation_size('t') + 1000000";
        limit_files(&db, &session.value(sql).unwrap().unwrap());
    };
    let failed = server(&db, "", stop, || limit_files(&db, "unlimited"));
    assert_snapshot!(failed, @r#"
    a batch of `t.c` was rolled back; it is at block N of `public.t`
    because: could not extend file "base/N/N": File too large
    hint: Check free disk space, then run the same command again: it goes on where it stopped
    "#);
}

/// The log has no place to go, so the server dies, and dies again when it recovers.
#[test]
fn a_log_of_postgres_that_cannot_be_written_is_survived() {
    let Some(db) = ScratchDb::require(Want::postgres().version(18).private()) else { return };
    let limit_all = || {
        let sessions = "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity \
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let sessions = db.rows(sessions).unwrap().concat().remove(0).unwrap();
        limit_files_of(&db, &format!("{sessions} $(head -n 1 postmaster.pid)"), "4000000");
    };
    // The log is at 8 MB of its file, far beyond the end of any other.
    let long = "SELECT pg_logical_emit_message(false, '', repeat('x', 8000000))";
    let table = "CREATE TABLE t (id int PRIMARY KEY, name varchar(60), c text)";
    db.run(&[table, &numbered(ROWS), "SELECT pg_switch_wal()", long]).unwrap();
    let contract = contract("t", "c", &body("gen_random_uuid()::text"));
    let url = DatabaseUrl::parse(db.url()).unwrap();
    let job = Backfill::new(&contract, &url, OpenOptions::write()).settings(small());
    let limit = at_first(is_batch, limit_all);
    let failed = job.run(&|event| match event {
        // By itself it would try for 15 seconds.
        Event::Connecting { tries: 4 } => Answer::Stop,
        event => limit(event),
    });
    let failed = failed.unwrap_err();
    wait_for("server", Duration::from_secs(30), || db.crash_server().ok()).unwrap();
    db.run(&[REMEMBER]).unwrap();
    assert_eq!(receipt(job.run(&|_| Answer::Go).unwrap()).filled, u64::from(ROWS));
    check(&db);
    assert_snapshot!(stable(&said(&failed)), @r#"
    the connection was lost, and the server could not be reached again
    because: could not write to log file "N" at offset N, length N: File too large
    hint: run the same command again when the server answers: what was committed stays
    "#);
}

/// A project and a table of SQLite that the tool is to fill.
struct App {
    project: Project,
    db: ScratchDb,
}

impl App {
    fn new() -> Self {
        let db = ScratchDb::sqlite().unwrap();
        let table = "CREATE TABLE t (id integer PRIMARY KEY, name varchar(60))";
        db.run(&[table, "ALTER TABLE t ADD COLUMN c text", &numbered(ROWS)]).unwrap();
        let contract = contract_text("t", "c", &body("hex(randomblob(200))"));
        let project = desk::one_table("sqlite", table, &contract);
        Self { project, db }
    }

    /// Runs the tool inside another program.
    fn run(&self, wrap: &[&str], url: &str) -> CommandOutput {
        let manifest = self.project.root().join("Cargo.toml");
        let args = ["--manifest-path", manifest.as_str(), "--yes", "--database-url", url];
        wrapped(&self.project, wrap, &[&["backfill", "t.c"], args.as_slice()].concat())
    }
}

#[test]
fn a_full_disk_of_sqlite_is_said_and_gone_on_from() {
    let Some(disk) = SmallDisk::new(12, "/proc/self") else { return };
    let app = App::new();
    let there = disk.dir().join("app.db");
    // SQLite follows the link, so only a process that has the disk mounted may open the file.
    let enter = disk.enter();
    let enter: Vec<&str> = enter.iter().map(String::as_str).collect();
    let url = disk.mounted_at().join("app.db");
    fs::copy(app.db.url(), &there).unwrap();
    disk.fill(10 * MEGABYTE);
    let failed = app.run(&enter, url.as_str());
    assert_eq!(failed.code(), Some(101), "{failed}");
    disk.empty();
    fs::copy(&there, app.db.url()).unwrap();
    app.db.run(&[REMEMBER]).unwrap();
    fs::copy(app.db.url(), &there).unwrap();
    let done = app.run(&enter, url.as_str());
    assert_eq!(done.code(), Some(0), "{done}");
    fs::copy(&there, app.db.url()).unwrap();
    check(&app.db);
    assert_snapshot!(stable(&desk::said(&failed)), @"
    exit code: N
    ----- stdout -----
    ----- stderr -----
    pass N: filling rows
    error: a batch of `t.c` was rolled back; it is at the rows after N
      --> SQLite file [TEMP]/app.db
      because: database or disk is full
    help: see what the server says, then run the same command again: it goes on where it stopped
    ");
}

#[test]
fn files_of_sqlite_that_may_not_grow_are_said_and_gone_on_from() {
    let app = App::new();
    let limit = ["sh", "-c", "trap '' XFSZ; ulimit -f 4000; exec \"$@\"", "sh"];
    let failed = app.run(&limit, app.db.url());
    assert_eq!(failed.code(), Some(101), "{failed}");
    app.db.run(&[REMEMBER]).unwrap();
    let done = app.run(&["env"], app.db.url());
    assert_eq!(done.code(), Some(0), "{done}");
    check(&app.db);
    assert_snapshot!(stable(&desk::said(&failed)), @"
    exit code: N
    ----- stdout -----
    ----- stderr -----
    pass N: filling rows
    error: a batch of `t.c` was rolled back; it is at the rows after N
      --> SQLite file [DATABASE_URL]
      because: disk I/O error
    help: see what the server says, then run the same command again: it goes on where it stopped
    ");
}
