//! A server that follows another one: nothing is filled there, and it holds back who fills.

use std::{sync::Mutex, time::Duration};

use insta::assert_snapshot;
use newcol_core::{
    contract::read::read,
    db::{DatabaseUrl, OpenOptions},
    execute::{
        backfill::{Answer, Backfill, Event, Outcome, Settings},
        pace::{Limit, Settings as Pace},
    },
};
use newcol_testkit::{ScratchDb, Want, scratch::Standby};

use crate::desk;

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, name varchar(60), c varchar(60))";

const CONTRACT: &str = "format = 1\ntable = 't'\ncolumn = 'c'\nwhy = 'a test'\n\
    type = 'varchar(60)'\nrequired = false\n[old_rows]\nfill = 'upper(name)'\n";

/// A primary with a table, and a standby of it.
fn pair() -> Option<(ScratchDb, Standby)> {
    let primary = ScratchDb::require(Want::postgres().version(18).private())?;
    let rows = "INSERT INTO t SELECT n, 'name ' || n FROM generate_series(1, 20000) AS s (n)";
    primary.run(&[TABLE, rows]).unwrap();
    let standby = Standby::of(&primary).unwrap();
    Some((primary, standby))
}

#[test]
fn a_standby_is_verified_and_never_filled() {
    let Some((_primary, standby)) = pair() else { return };
    let create = TABLE.replace(", c varchar(60)", "");
    let project = desk::one_table("postgres", &create, CONTRACT);
    let run = |verb: &str, more: &[&str]| {
        let args = [&[verb, "t.c", "--database-url", standby.url()], more].concat();
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
    let Some((primary, mut standby)) = pair() else { return };
    let url = DatabaseUrl::parse(primary.url()).unwrap();
    let contract = read(CONTRACT).unwrap().contract;
    let max_lag = Some(Duration::from_millis(500));
    let pace = Pace { max_lag, first_rows: 20, max_rows: 20, ..Pace::full_speed() };
    let job = Backfill::new(&contract, &url, OpenOptions::write());
    let job = job.settings(Settings { pace, ..Settings::default() });
    let seen = Mutex::new(Vec::new());
    let state = Mutex::new((&mut standby, Plight::Well, 0));
    let outcome = job.run(&|event| {
        let (standby, plight, held) = &mut *state.lock().unwrap();
        let held_long = match event {
            Event::Waiting(Limit::ReplicaLag | Limit::LostSignal) => {
                *held += 1;
                *held == 2
            }
            Event::Batch { .. } => {
                *held = 0;
                false
            }
            _ => return Answer::Go,
        };
        let next = match plight {
            Plight::Well if *held == 0 => {
                standby.rows("SELECT pg_wal_replay_pause()").unwrap();
                Plight::Paused
            }
            Plight::Paused if held_long => {
                standby.rows("SELECT pg_wal_replay_resume()").unwrap();
                Plight::WellAgain
            }
            Plight::WellAgain if *held == 0 => {
                standby.deafen(true);
                Plight::Silent
            }
            Plight::Silent if held_long => {
                standby.deafen(false);
                Plight::Recovered
            }
            Plight::Recovered if *held == 0 => {
                standby.end();
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
