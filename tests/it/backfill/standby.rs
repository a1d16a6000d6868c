//! A server that follows another one: nothing is filled there, and it holds back who fills.

use std::{
    fs::File,
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use insta::assert_snapshot;
use newcol_core::{
    contract::read::read,
    db::{DatabaseUrl, OpenOptions, Session},
    execute::{
        backfill::{Answer, Backfill, Event, Outcome, Settings},
        pace::{Limit, Settings as Pace},
    },
};
use newcol_testkit::{ScratchDb, Want, wait::wait_until};

use crate::desk;

const LONG: Duration = Duration::from_secs(30);

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, name varchar(60), c varchar(60))";

const CONTRACT: &str = "format = 1\ntable = 't'\ncolumn = 'c'\nwhy = 'a test'\n\
    type = 'varchar(60)'\nrequired = false\n[old_rows]\nfill = 'upper(name)'\n";

/// A primary with a table, and a standby of it.
struct Pair {
    primary: ScratchDb,
    standby: Child,
    /// Where its files are.
    data: String,
    /// Its process that gets the log.
    receiver: String,
    /// The same database on it.
    url: String,
}

impl Pair {
    fn new() -> Option<Self> {
        let primary = ScratchDb::require(Want::postgres().version(18).private())?;
        let rows = "INSERT INTO t SELECT n, 'name ' || n FROM generate_series(1, 20000) AS s (n)";
        primary.run(&[TABLE, rows]).unwrap();
        let data = primary.rows("SHOW data_directory").unwrap().concat().remove(0).unwrap();
        let copy = format!("{data}-standby");
        copy_while_it_runs(&primary, &data, &copy);

        let (_, database) = primary.url().rsplit_once('/').unwrap();
        let sockets = primary.rows("SHOW unix_socket_directories").unwrap().concat().remove(0);
        let pid = std::fs::read_to_string(format!("{data}/postmaster.pid")).unwrap();
        let program = std::fs::read_link(format!("/proc/{}/exe", pid.lines().next().unwrap()));
        let owner = std::fs::metadata(&data).unwrap();
        let mut server = Command::new(program.unwrap());
        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            server.uid(owner.uid()).gid(owner.gid());
        }
        let log = File::create(format!("{copy}/log")).unwrap();
        let upstream = format!("primary_conninfo=host={} user=newcol", sockets.unwrap());
        let settings = ["-c", "listen_addresses=", "-c", &upstream];
        server.args(["-D", &copy, "-k", &copy]).args(settings);
        let mut pair = Self {
            standby: server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap(),
            url: format!("postgres://newcol@{}/{database}", copy.replace('/', "%2F")),
            data: copy,
            receiver: String::new(),
            primary,
        };
        let streaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        let follows = || pair.primary.rows(streaming).unwrap().concat() == [Some("1".to_owned())];
        wait_until("standby", LONG, || follows() && pair.ask("SELECT 1").is_some()).unwrap();
        let receiver = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walreceiver'";
        pair.receiver = pair.ask(receiver).unwrap();
        Some(pair)
    }

    /// Asks the standby.
    fn ask(&self, sql: &str) -> Option<String> {
        let url = DatabaseUrl::parse(&self.url).unwrap();
        Session::open(&url, &OpenOptions::default()).ok()?.value(sql).ok()?
    }

    /// Stops the process that gets the log, or lets it go on.
    fn signal(&self, name: &str) -> bool {
        let kill = Command::new("kill").args([name, &self.receiver]).stderr(Stdio::null()).status();
        kill.unwrap().success()
    }

    /// Kills the standby.
    fn end(&mut self) {
        drop(self.standby.kill());
        drop(self.standby.wait());
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // A process that is stopped does not notice that its server is gone.
        self.signal("-CONT");
        self.end();
        drop(std::fs::remove_dir_all(&self.data));
    }
}

/// Copies the files of a server as `pg_basebackup` does, which not every installation has.
fn copy_while_it_runs(server: &ScratchDb, from: &str, to: &str) {
    let url = DatabaseUrl::parse(server.url()).unwrap();
    let mut session = Session::open(&url, &OpenOptions::write()).unwrap();
    session.value("SELECT pg_backup_start('standby', true)").unwrap();
    let copied = Command::new("cp").args(["--archive", from, to]).status().unwrap();
    assert!(copied.success());
    let label = session.value("SELECT labelfile FROM pg_backup_stop(false)").unwrap().unwrap();
    let owner = std::fs::metadata(from).unwrap();
    for (file, text) in [("backup_label", label.as_str()), ("standby.signal", "")] {
        let file = format!("{to}/{file}");
        std::fs::write(&file, text).unwrap();
        chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    std::fs::remove_file(format!("{to}/postmaster.pid")).unwrap();
}

#[test]
fn a_standby_is_verified_and_never_filled() {
    let Some(pair) = Pair::new() else { return };
    let create = TABLE.replace(", c varchar(60)", "");
    let project = desk::one_table("postgres", &create, CONTRACT);
    let run = |verb: &str, more: &[&str]| {
        let args = [&[verb, "t.c", "--database-url", &pair.url], more].concat();
        desk::said(&desk::newcol(&project, &args))
    };
    assert_snapshot!(run("backfill", &["--yes"]), @"
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: `t.c` cannot be filled: this server is a standby, which only follows its primary
      --> PostgreSQL database [DATABASE] on [SERVER]
    help: use the URL of the primary
    ");
    assert_snapshot!(run("verify", &[]), @"
    exit code: 100
    ----- stdout -----
    t.c in PostgreSQL database [DATABASE] on [SERVER]
      skipped  stages    this role sees no table of applied migrations
      skipped  database  this role sees no table of applied migrations
      skipped  schema.rs no stage is released
      skipped  document  written by `finish`, which is still to come
      FAILED   values    PostgreSQL database [DATABASE] on [SERVER] 20000 of 20000 rows lack their value
               fill them: `cargo newcol backfill t.c --database-url <URL>`
      skipped  receipt   no backfill that this role can see
      rows       20000
      NULL       20000: 20000 pending
      differing  0
      record     no backfill that this role can see
      blocks 0 to 108 of `public.t`: 20000 without their value: (1), (2), (3), (4), (5), …
    ----- stderr -----
    pass 1: looking at every row
    next: fill them: `cargo newcol backfill t.c --database-url <URL>`
    ");
}

/// What the standby goes through while a job fills the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plight {
    Well,
    /// It gets what is written and does not replay it.
    Paused,
    WellAgain,
    /// It says nothing, and its connection stays.
    Silent,
    Recovered,
    Gone,
}

#[test]
fn a_standby_holds_a_job_back() {
    let Some(mut pair) = Pair::new() else { return };
    let url = DatabaseUrl::parse(pair.primary.url()).unwrap();
    let contract = read(CONTRACT).unwrap().contract;
    let max_lag = Some(Duration::from_millis(500));
    let pace = Pace { max_lag, first_rows: 20, max_rows: 20, ..Pace::full_speed() };
    let job = Backfill::new(&contract, &url, OpenOptions::write());
    let job = job.settings(Settings { pace, ..Settings::default() });
    let seen = Mutex::new(Vec::new());
    let state = Mutex::new((&mut pair, Plight::Well, 0));
    let outcome = job.run(&|event| {
        let (pair, plight, held) = &mut *state.lock().unwrap();
        let held_long = match event {
            Event::Waiting(Limit::ReplicaLag | Limit::LostSignal) => {
                *held += 1;
                *held == 4
            }
            Event::Batch { .. } => {
                *held = 0;
                false
            }
            _ => return Answer::Go,
        };
        let next = match plight {
            Plight::Well if *held == 0 => {
                pair.ask("SELECT pg_wal_replay_pause()");
                Plight::Paused
            }
            Plight::Paused if held_long => {
                pair.ask("SELECT pg_wal_replay_resume()");
                Plight::WellAgain
            }
            Plight::WellAgain if *held == 0 => {
                assert!(pair.signal("-STOP"));
                Plight::Silent
            }
            Plight::Silent if held_long => {
                assert!(pair.signal("-CONT"));
                Plight::Recovered
            }
            Plight::Recovered if *held == 0 => {
                pair.end();
                Plight::Gone
            }
            Plight::Gone if held_long => {
                seen.lock().unwrap().push((Plight::Gone, event.clone()));
                return Answer::Stop;
            }
            _ => return Answer::Go,
        };
        seen.lock().unwrap().push((*plight, event.clone()));
        (*plight, *held) = (next, 0);
        Answer::Go
    });
    assert!(matches!(outcome.unwrap(), Outcome::Stopped(_)));
    let seen = seen.into_inner().unwrap().into_iter();
    let held: Vec<_> = seen.filter(|(_, event)| matches!(event, Event::Waiting(_))).collect();
    let lag = Event::Waiting(Limit::ReplicaLag);
    let lost = Event::Waiting(Limit::LostSignal);
    assert_eq!(held, [(Plight::Paused, lag.clone()), (Plight::Silent, lag), (Plight::Gone, lost)]);
}
