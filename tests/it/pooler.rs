//! PgBouncer between the tool and the server: a pool in transaction mode is refused before anything
//! is set that the application would meet there; one in session mode will do.

use std::{
    fs,
    io::Read as _,
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    process::{Child, Command, Stdio},
    time::Duration,
};

use newcol_core::{
    db::{DatabaseUrl, OpenOptions, Session},
    execute::apply::{Answer, Apply, SqlMigration},
};
use newcol_testkit::{CommandOutput, ScratchDb, Want, wait::wait_until};
use tempfile::TempDir;

use crate::{
    apply::migration,
    desk::{self, newcol},
};

pub(crate) struct Pooler {
    program: Child,
    pub(crate) url: String,
    _files: TempDir,
}

impl Pooler {
    /// Puts a pool before a server of ours.
    pub(crate) fn before(db: &ScratchDb, settings: &str) -> Self {
        let (_, database) = db.url().rsplit_once('/').unwrap();
        let sockets = db.rows("SHOW unix_socket_directories").unwrap().concat().remove(0).unwrap();
        let files = TempDir::new().unwrap();
        let dir = files.path().to_str().unwrap().to_owned();
        let file = format!("{dir}/pgbouncer.ini");
        let text = format!(
            "[databases]\n{database} = host={sockets} user=newcol\n\
             [pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = {dir}\n\
             auth_type = any\nserver_login_retry = 1\nquery_wait_timeout = 5\n{settings}\n"
        );
        fs::write(&file, text).unwrap();
        let mut program = Command::new("pgbouncer");
        // It must reach the server's socket, and refuses to be root.
        let owner = fs::metadata(&sockets).unwrap();
        if owner.uid() != fs::metadata(&dir).unwrap().uid() {
            chown(&dir, Some(owner.uid()), Some(owner.gid())).unwrap();
            program.uid(owner.uid()).gid(owner.gid());
        }
        let program = program
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("pgbouncer does not start, `tests/run` installs it: {error}")
            });
        let url = format!("postgres://newcol@{}:6432/{database}", dir.replace('/', "%2F"));
        let mut pooler = Self { program, url, _files: files };
        let parsed = DatabaseUrl::parse(&pooler.url).unwrap();
        let write = OpenOptions::write();
        let is_there = || Session::open(&parsed, &write).is_ok();
        if let Err(error) = wait_until("answer of pgbouncer", Duration::from_secs(10), is_there) {
            pooler.program.kill().unwrap();
            let mut said = String::new();
            pooler.program.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("{error}: {said}");
        }
        pooler
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.program.kill().unwrap();
        self.program.wait().unwrap();
    }
}

fn users() -> Option<ScratchDb> {
    let db = ScratchDb::require(Want::postgres())?;
    db.run(&["CREATE TABLE log (n integer NOT NULL)"]).unwrap();
    Some(db)
}

fn migrations() -> Vec<SqlMigration> {
    vec![
        migration(1, "ALTER TABLE log ADD COLUMN m integer", true),
        migration(2, "CREATE INDEX CONCURRENTLY log_m ON log (m)", false),
    ]
}

/// Whichever of its connections a pool hands out, and whoever is at work.
#[test]
fn transaction_mode_is_found_in_every_kind_of_pool() {
    let Some(db) = users() else { return };
    for settings in [
        "pool_mode = transaction",
        "pool_mode = transaction\nserver_round_robin = 1",
        "pool_mode = transaction\ndefault_pool_size = 1",
        "pool_mode = transaction\nmin_pool_size = 5",
        "pool_mode = transaction\nmin_pool_size = 5\nserver_round_robin = 1",
    ] {
        let pooler = Pooler::before(&db, settings);
        let url = DatabaseUrl::parse(&pooler.url).unwrap();
        let mut app = Session::open(&url, &OpenOptions::write()).unwrap();
        for _ in 0..5 {
            let refused =
                Apply::new(&url, OpenOptions::write()).run(&migrations(), &|_| Answer::Go);
            let refused = refused.unwrap_err().to_string();
            assert!(refused.ends_with("through a pooler in transaction mode"), "{refused}");
            app.batch("INSERT INTO log VALUES (1)").unwrap();
        }
    }
    assert_eq!(db.rows("SELECT to_regclass('__diesel_schema_migrations')").unwrap(), [[None]]);
}

#[test]
fn a_pool_in_session_mode_will_do() {
    let Some(db) = users() else { return };
    let pooler = Pooler::before(&db, "pool_mode = session");
    let url = DatabaseUrl::parse(&pooler.url).unwrap();
    let done = Apply::new(&url, OpenOptions::write()).run(&migrations(), &|_| Answer::Go).unwrap();
    assert_eq!(done.report().migrations.len(), 2);
    // Settings went with their sessions.
    Session::open(&url, &OpenOptions::write())
        .unwrap()
        .batch("INSERT INTO log VALUES (1)")
        .unwrap();
}

/// Why it is refused: what our session sets stays in the pool.
#[test]
fn a_session_that_reads_would_stop_the_application() {
    let Some(db) = users() else { return };
    let pooler = Pooler::before(&db, "pool_mode = transaction");
    let url = DatabaseUrl::parse(&pooler.url).unwrap();
    let mut app = Session::open(&url, &OpenOptions::write()).unwrap();
    app.batch("INSERT INTO log VALUES (1)").unwrap();
    drop(Session::open(&url, &OpenOptions::read()).unwrap());
    let harmed = app.batch("INSERT INTO log VALUES (1)").unwrap_err();
    assert_eq!(harmed.sqlstate(), Some("25006"), "{harmed:?}");
}

/// No command leaves anything in the pool that an application's write would meet.
#[test]
fn every_command_refuses_and_leaves_nothing() {
    let Some(db) = ScratchDb::require(Want::postgres()) else { return };
    let project = desk::one_crate("postgres").build().unwrap();
    let on = |url: &str, args: &[&str]| -> CommandOutput {
        newcol(&project, &[args, &["--database-url", url]].concat())
    };
    drop(on(db.url(), &["apply", "--all", "--yes"]).success());
    drop(newcol(&project, desk::LOWER_NAME).success());
    drop(on(db.url(), &["apply", "users.locale", "--yes"]).success());
    let pooler = Pooler::before(&db, "pool_mode = transaction\nmin_pool_size = 2");
    let url = DatabaseUrl::parse(&pooler.url).unwrap();
    let mut app = Session::open(&url, &OpenOptions::write()).unwrap();
    for (id, args) in [
        &["apply", "users.locale", "--yes"][..],
        &["apply", "--all", "--dry-run"],
        &["backfill", "users.locale", "--yes"],
        &["backfill", "users.locale", "--dry-run"],
        &["verify", "users.locale"],
        &["status", "users.locale"],
        &["plan", "users.locale"],
        &["next", "users.locale"],
    ]
    .into_iter()
    .enumerate()
    {
        let refused = on(&pooler.url, args);
        assert_ne!(refused.code(), Some(0), "{args:?}: {refused}");
        assert!(
            refused.stderr.contains("through a pooler in transaction mode"),
            "{args:?}: {refused}"
        );
        app.batch(&format!("INSERT INTO users (id, name) VALUES ({id}, 'Ann')")).unwrap();
    }
}
