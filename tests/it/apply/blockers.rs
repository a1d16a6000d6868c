//! What every database has at work: vacuums, dumps, replication. Each is waited for and named, and
//! no program stands in a queue for longer than the lock timeout.

use std::{
    io::{Read as _, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use newcol_core::execute::{
    apply::{Answer, ApplyError, BlockerPolicy, Budget, Event, Settings, SqlMigration},
    peers::{Peer, PeerKind},
};
use newcol_testkit::{ScratchDb, Want, wait::wait_until};

use super::{Told, apply, apply_and, migration, recorded, session, value};

const LONG: Duration = Duration::from_secs(30);

/// Much shorter than any of what is waited for here.
const LOCK_TIMEOUT: Duration = Duration::from_millis(200);

/// A machine that has other things to do, too.
const SLACK: Duration = Duration::from_millis(400);

/// A stage of ours, whose table is known beforehand.
const OURS: &str = "-- cargo newcol: users.locale, stage expand\n\
                    SET LOCAL lock_timeout = '500ms';\n\
                    ALTER TABLE users ADD COLUMN locale varchar(16) NULL;";

const INDEX: &str = "CREATE INDEX CONCURRENTLY users_name ON users (name);";

const IS_LOCKED: &str = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
    WHERE l.relation = 'users'::regclass AND l.granted AND ";

fn settings() -> Settings {
    let budget = Budget {
        lock_timeout: LOCK_TIMEOUT,
        max_wait: LONG,
        index_wait: LONG,
        old: Duration::from_millis(1),
    };
    Settings { budget, ..Settings::default() }
}

fn expand() -> [SqlMigration; 1] {
    [migration(1, OURS, true)]
}

/// A table of some megabytes.
fn fill(db: &ScratchDb) {
    db.run(&[
        "CREATE TABLE users (id serial PRIMARY KEY, name text)",
        "INSERT INTO users (name) SELECT repeat('x', 900) FROM generate_series(1, 8000)",
    ])
    .unwrap();
}

/// Does something while a program uses the table; nobody makes the program wait for longer than the
/// lock timeout.
fn beside_a_program<T>(db: &ScratchDb, work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let program = scope.spawn(|| {
            let mut web = session(db.url(), "web");
            let mut longest = Duration::ZERO;
            while !over.load(Ordering::SeqCst) {
                let began = Instant::now();
                web.batch("INSERT INTO users (name) VALUES ('Ann')").unwrap();
                longest = longest.max(began.elapsed());
            }
            longest
        });
        let done = work();
        over.store(true, Ordering::SeqCst);
        let longest = program.join().unwrap();
        assert!(longest < LOCK_TIMEOUT + SLACK, "{longest:?}");
        done
    })
}

/// Everybody whom a run named.
fn named(told: &Told) -> Vec<Peer> {
    let by = told.events.iter().flat_map(|event| match event {
        Event::Held { by, .. } | Event::Retry { by, .. } => by.clone(),
        Event::Building { waits_for: Some(peer), .. } => vec![peer.clone()],
        _ => Vec::new(),
    });
    by.collect()
}

/// A server of our own that vacuums the table, and takes minutes for it.
fn vacuuming(storage: &str) -> Option<ScratchDb> {
    let db = ScratchDb::require(Want::postgres().private())?;
    fill(&db);
    let slowly = format!(
        "ALTER TABLE users SET (autovacuum_vacuum_cost_delay = 100, \
         autovacuum_vacuum_cost_limit = 1, {storage})"
    );
    db.run(&[
        &slowly,
        "ALTER SYSTEM SET autovacuum_naptime = 1",
        "ALTER SYSTEM SET autovacuum = on",
        "DELETE FROM users WHERE id % 2 = 0",
    ])
    .unwrap();
    Some(db)
}

fn wait_for_the_vacuum(db: &ScratchDb) -> String {
    db.run(&["SELECT pg_reload_conf()"]).unwrap();
    let worker = "a.backend_type = 'autovacuum worker' AND l.mode = 'ShareUpdateExclusiveLock'";
    wait_until("vacuum", LONG, || value(db, &format!("{IS_LOCKED}{worker}")) == "1").unwrap();
    value(db, "SELECT pid FROM pg_stat_progress_vacuum WHERE relid = 'users'::regclass")
}

const SOON: &str = "autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0";

/// PostgreSQL ends it itself, early enough where the role may ask for that.
#[test]
fn an_autovacuum_gives_way() {
    let Some(db) = vacuuming(SOON) else { return };
    wait_for_the_vacuum(&db);
    let told = beside_a_program(&db, || apply(db.url(), settings(), &expand()));
    let done = told.done();
    let is_vacuum = |peer: &Peer| peer.kind == PeerKind::Autovacuum { wraparound: false };
    assert!(done[0].blockers.iter().any(is_vacuum), "{done:?}");
    assert!(!told.events.iter().any(|event| matches!(event, Event::Cancelled { .. })));
    assert_eq!(recorded(&db), ["1"]);
}

/// Else it is waited for like anybody.
#[test]
fn an_autovacuum_that_the_role_cannot_end_is_named() {
    let Some(db) = vacuuming(SOON) else { return };
    db.run(&[
        "CREATE ROLE plain LOGIN",
        "GRANT pg_read_all_stats TO plain",
        "GRANT ALL ON SCHEMA public TO plain",
        "ALTER TABLE users OWNER TO plain",
    ])
    .unwrap();
    let vacuum = wait_for_the_vacuum(&db);
    let budget = Budget { max_wait: Duration::from_secs(2), ..settings().budget };
    let cancel = Settings { budget, blockers: BlockerPolicy::Cancel, ..settings() };
    let url = db.url().replacen("newcol@", "plain@", 1);
    let told = beside_a_program(&db, || apply(&url, cancel, &expand()));
    let Err(ApplyError::Busy { by, .. }) = told.ended else { panic!("{:?}", told.ended) };
    assert_eq!((by[0].kind, &by[0].id), (PeerKind::Autovacuum { wraparound: false }, &vacuum));
    assert!(recorded(&db).is_empty());
}

/// Nobody ends the one that keeps the server from running out of transactions, on demand neither.
#[test]
fn a_vacuum_against_wraparound_is_let_be() {
    let Some(db) = vacuuming("autovacuum_freeze_max_age = 100000") else { return };
    db.run(&["DO $$ BEGIN FOR i IN 1..100100 LOOP \
         BEGIN PERFORM pg_current_xact_id(); INSERT INTO users (name) VALUES (''); \
           RAISE EXCEPTION 'next'; EXCEPTION WHEN raise_exception THEN END; \
       END LOOP; END $$"])
        .unwrap();
    let vacuum = wait_for_the_vacuum(&db);
    let budget = Budget { max_wait: Duration::from_secs(2), ..settings().budget };
    let cancel = Settings { budget, blockers: BlockerPolicy::Cancel, ..settings() };
    let told = beside_a_program(&db, || apply(db.url(), cancel, &expand()));
    assert!(!told.events.iter().any(|event| matches!(event, Event::Cancelled { .. })));
    let Err(ApplyError::Busy { by, .. }) = told.ended else { panic!("{:?}", told.ended) };
    assert_eq!((by[0].kind, &by[0].id), (PeerKind::Autovacuum { wraparound: true }, &vacuum));
    assert_eq!(
        value(&db, "SELECT pid FROM pg_stat_progress_vacuum WHERE relid = 'users'::regclass"),
        vacuum
    );
}

/// Returns a program that comes with the server.
fn program(db: &ScratchDb, name: &str) -> PathBuf {
    let data = value(db, "SHOW data_directory");
    let pid = std::fs::read_to_string(format!("{data}/postmaster.pid")).unwrap();
    let server = std::fs::read_link(format!("/proc/{}/exe", pid.lines().next().unwrap())).unwrap();
    server.with_file_name(name)
}

/// `pg_dump` in the middle of the table, because nobody reads what it writes.
struct Dump(Child);

impl Dump {
    fn begin(db: &ScratchDb) -> Self {
        let mut dump = Command::new(program(db, "pg_dump"));
        let dump = dump.args(["--table", "users", db.url()]).stdout(Stdio::piped());
        let dump = Self(dump.spawn().unwrap());
        let copies = "a.application_name = 'pg_dump' AND a.query LIKE 'COPY%'";
        wait_until("dump", LONG, || value(db, &format!("{IS_LOCKED}{copies}")) != "0").unwrap();
        dump
    }

    /// Lets it go on, and returns how many rows it wrote.
    fn end(mut self) -> usize {
        let mut text = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(self.0.wait().unwrap().success());
        text.lines().filter(|line| line.contains("xxx")).count()
    }
}

#[test]
fn a_dump_is_waited_for() {
    let Some(db) = ScratchDb::require(Want::postgres().version(15)) else { return };
    fill(&db);
    for migrations in [expand(), [migration(2, INDEX, false)]] {
        let dump = Mutex::new(Some(Dump::begin(&db)));
        let rows = Mutex::new(0);
        let told = beside_a_program(&db, || {
            apply_and(db.url(), settings(), &migrations, |event| {
                let by_dump = |peer: &Peer| peer.application == "pg_dump";
                let is_named = match event {
                    Event::Held { by, .. } => by.iter().any(by_dump),
                    Event::Building { waits_for: Some(peer), .. } => by_dump(peer),
                    _ => false,
                };
                if is_named && let Some(dump) = dump.lock().unwrap().take() {
                    *rows.lock().unwrap() = dump.end();
                }
                Answer::Go
            })
        });
        told.done();
        assert_eq!(*rows.lock().unwrap(), 8000, "{:?}", named(&told));
    }
    assert_eq!(recorded(&db), ["1", "2"]);
}

/// A program that follows changes; gone when dropped.
struct Replica(Child);

impl Replica {
    fn begin(db: &ScratchDb, name: &str, args: &[&str]) -> Self {
        let (server, database) = db.url().split_once('@').unwrap().1.rsplit_once('/').unwrap();
        let to = format!(
            "host={} user=newcol dbname={database} replication=database application_name=replica",
            server.replace("%2F", "/")
        );
        let mut program = Command::new(program(db, name));
        let program = program.args(["--dbname", &to]).args(args);
        Self(program.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A server that can be followed row by row.
fn logical() -> Option<ScratchDb> {
    let db = ScratchDb::require(Want::postgres().version(15).private())?;
    fill(&db);
    db.run(&[
        "ALTER SYSTEM SET wal_level = logical",
        "CREATE PUBLICATION all_of_it FOR ALL TABLES",
    ])
    .unwrap();
    // Only a start reads it.
    db.crash_server().unwrap();
    wait_until("server", LONG, || db.rows("SELECT 1").is_ok()).unwrap();
    Some(db)
}

/// Who follows the changes holds neither a lock nor a snapshot, however long it takes: nobody waits.
#[test]
fn a_follower_is_not_in_the_way() {
    let Some(db) = logical() else { return };
    let options = ["--option=proto_version=1", "--option=publication_names=all_of_it"];
    let args = ["--slot=follower", "--plugin=pgoutput", "--create-slot", "--start", "--file=-"];
    let replica = Replica::begin(&db, "pg_recvlogical", &[&args[..], &options].concat());
    let follows = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
    wait_until("follower", LONG, || value(&db, follows) == "1").unwrap();
    let told = beside_a_program(&db, || {
        let migrations = [migration(1, OURS, true), migration(2, INDEX, false)];
        apply(db.url(), settings(), &migrations)
    });
    assert_eq!(told.done()[0].tries, 1);
    assert_eq!(value(&db, follows), "1");
    let is_replica = |peer: &Peer| peer.kind == PeerKind::Replication;
    assert!(!named(&told).iter().any(is_replica), "{:?}", told.events);
    drop(replica);
    assert_eq!(recorded(&db), ["1", "2"]);
}

/// Who copies the tables first holds a snapshot, for which the build of an index waits.
#[test]
fn a_follower_that_begins_is_waited_for() {
    let Some(db) = logical() else { return };
    let replica = Replica::begin(&db, "psql", &["--no-psqlrc", "--quiet"]);
    let create = "CREATE_REPLICATION_SLOT follower LOGICAL pgoutput EXPORT_SNAPSHOT;";
    writeln!(replica.0.stdin.as_ref().unwrap(), "{create}").unwrap();
    let exports = "SELECT count(*) FROM pg_stat_activity \
                   WHERE backend_type = 'walsender' AND backend_xmin IS NOT NULL AND state LIKE 'idle%'";
    wait_until("snapshot", LONG, || value(&db, exports) == "1").unwrap();
    let replica = Mutex::new(Some(replica));
    let cancel = Settings { blockers: BlockerPolicy::Cancel, ..settings() };
    let told = beside_a_program(&db, || {
        apply_and(db.url(), cancel, &[migration(1, INDEX, false)], |event| {
            if let Event::Building { waits_for: Some(peer), .. } = event
                && peer.kind == PeerKind::Replication
            {
                // Nothing ends it but itself.
                drop(replica.lock().unwrap().take());
            }
            Answer::Go
        })
    });
    told.done();
    assert!(replica.lock().unwrap().is_none(), "{:?}", told.events);
    assert_eq!(recorded(&db), ["1"]);
}

/// A vacuum of another table has a snapshot too, but no build waits for it.
#[test]
fn a_vacuum_elsewhere_is_not_in_the_way() {
    let Some(db) = ScratchDb::require(Want::postgres()) else { return };
    fill(&db);
    db.run(&["CREATE TABLE other AS SELECT * FROM users", "DELETE FROM other"]).unwrap();
    let mut vacuum = session(db.url(), "vacuum");
    let mut report = session(db.url(), "report");
    report.batch("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").unwrap();
    thread::scope(|scope| {
        let vacuuming = scope.spawn(move || {
            vacuum.batch("SET vacuum_cost_delay = 100").unwrap();
            vacuum.batch("SET vacuum_cost_limit = 1").unwrap();
            vacuum.batch("VACUUM other")
        });
        let at_work = "SELECT count(*) FROM pg_stat_progress_vacuum v JOIN pg_stat_activity a \
                       USING (pid) WHERE a.datname = current_database() AND backend_xmin IS NOT NULL";
        wait_until("vacuum", LONG, || value(&db, at_work) == "1").unwrap();
        let report = Mutex::new(Some(report));
        let told = apply_and(db.url(), settings(), &[migration(1, INDEX, false)], |event| {
            if let Event::Building { waits_for: Some(_), .. } = event {
                drop(report.lock().unwrap().take());
            }
            Answer::Go
        });
        assert_eq!(value(&db, at_work), "1");
        db.run(&["SELECT pg_cancel_backend(pid) FROM pg_stat_progress_vacuum v \
                  JOIN pg_stat_activity a USING (pid) WHERE a.datname = current_database()"])
            .unwrap();
        assert!(vacuuming.join().unwrap().is_err());
        let done = told.done();
        let named: Vec<&str> = done[0].blockers.iter().map(|b| b.application.as_str()).collect();
        assert_eq!(named, ["report"], "{:?}", told.events);
    });
}
