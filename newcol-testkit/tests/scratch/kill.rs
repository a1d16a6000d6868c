//! Runs killed at random moments: the next run removes all that they left, and harms no living one.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, Hasher, RandomState},
    process::Stdio,
    time::Instant,
};

use newcol_core::backend::Backend;
use newcol_testkit::{
    ScratchDb, Want, scratch,
    wait::{wait_for, wait_until},
};

use crate::other::{LIMIT, Other, RunDir};

#[test]
fn local_runs_killed_at_fifty_moments_leave_nothing() {
    kill_at_random_moments("local", 50);
}

#[cfg(feature = "docker")]
#[test]
fn runs_on_containers_killed_at_four_moments_leave_nothing() {
    kill_at_random_moments("docker", 4);
}

fn kill_at_random_moments(provider: &str, times: u32) {
    let dir = RunDir::new();
    let mut clusters = BTreeSet::new();
    // It uses the same server as the runs that are killed, all the time.
    let Some(living) = Other::start(provider, Backend::Postgres, &dir) else { return };
    scratch::run(&living.url, &["CREATE TABLE t (a text)", "INSERT INTO t VALUES ('x')"]).unwrap();
    let busy = || {
        let mut command = dir.command(provider, "kill::a_busy_run");
        command.env("NEWCOL_TESTKIT_BUSY", provider).stdout(Stdio::null()).spawn().unwrap()
    };
    let started = Instant::now();
    assert!(busy().wait().unwrap().success());
    let whole = started.elapsed();
    for _ in 0..times {
        let mut run = busy();
        let moment = whole.mul_f64(random());
        let ended = wait_for("end of a run", moment, || run.try_wait().unwrap());
        run.kill().unwrap();
        run.wait().unwrap();
        clusters.extend(dir.clusters());
        assert!(ended.is_err() || ended.is_ok_and(|status| status.success()), "at {moment:?}");
        let rows = scratch::rows(&living.url, "SELECT a FROM t").unwrap();
        assert_eq!(rows, [[Some("x".to_owned())]], "after a kill at {moment:?}");
    }
    // The next run. An engine may still be making what a killed one had asked for: then it is the
    // run after that.
    let swept = wait_until("sweep of servers", LIMIT, || {
        assert!(busy().wait().unwrap().success());
        dir.servers() == 1
    });
    assert!(swept.is_ok(), "{} servers, one is the living one's", dir.servers());
    let next = Other::start(provider, Backend::Postgres, &dir).unwrap();
    let names = [living.name(), next.name()].map(str::to_owned).into();
    let swept = wait_until("sweep of databases", LIMIT, || databases_of_runs(&living) == names);
    assert!(swept.is_ok(), "{:?}, but only {names:?} live", databases_of_runs(&living));
    next.kill();
    let rows = scratch::rows(&living.url, "SELECT a FROM t").unwrap();
    assert_eq!(rows, [[Some("x".to_owned())]]);
    living.end();

    dir.wait_for_end();
    wait_until("removal of private homes", LIMIT, || {
        !dir.homes().iter().any(|home| home.contains("-x"))
    })
    .unwrap();
    let files = std::fs::read_dir(dir.path().join("tmp")).unwrap().count();
    assert_eq!(files, 0, "temporary files");
    let sqlite = std::fs::read_dir(dir.path().join("sqlite")).unwrap().flatten();
    let names = sqlite.map(|entry| entry.file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with("newcol_d_")).count(), 0);
    assert!(provider != "local" || !clusters.is_empty());
    wait_until("end of shared memory", LIMIT, || lost_shared_memory().is_disjoint(&clusters))
        .unwrap();
}

/// Not a test of its own: what is killed. Uses all that a run can leave behind.
#[test]
fn a_busy_run() {
    if std::env::var_os("NEWCOL_TESTKIT_BUSY").is_none() {
        return;
    }
    let sqlite = ScratchDb::sqlite().unwrap();
    sqlite.run(&["CREATE TABLE t (a text)"]).unwrap();
    let shared = ScratchDb::postgres().unwrap();
    shared.run(&["CREATE TABLE t (a text)"]).unwrap();
    let recipe = format!("{:?}", Instant::now());
    let copy = ScratchDb::from_template(Want::postgres(), &recipe, |url| {
        Ok(scratch::run(url, &["CREATE TABLE t (a text)"])?)
    });
    copy.unwrap().run(&["INSERT INTO t VALUES ('x')"]).unwrap();
    let private = ScratchDb::new(Want::postgres().private()).unwrap();
    private.run(&["CREATE TABLE t (a text)"]).unwrap();
}

/// Returns the databases of runs on the living one's server; templates stay as long as that.
fn databases_of_runs(living: &Other) -> BTreeSet<String> {
    let names = living.databases().into_iter();
    names.filter(|name| name.starts_with("newcol_d_")).collect()
}

/// Returns the keys of the shared memory that no process has.
///
/// PostgreSQL takes the inode of its data directory for a key, so we know ours: other tests kill
/// servers too, and their next runs come later.
fn lost_shared_memory() -> BTreeSet<u32> {
    let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    // key shmid perms size cpid lpid nattch ...
    let lost = rows.filter(|row| row[6] == "0");
    lost.map(|row| row[0].parse::<i32>().unwrap().cast_unsigned()).collect()
}

/// Returns a number from 0 to 1.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(bits).unwrap()) / f64::from(u32::MAX)
}
