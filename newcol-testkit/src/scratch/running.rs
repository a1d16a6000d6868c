//! Servers that run: what their home remembers of them, how they are found and ended.

use std::{fs, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{Pid, Signal, WaitOptions, kill_process};

use super::{
    error::ScratchError,
    lease::{self, Home},
    server::Address,
};
use crate::wait::wait_until;

/// Longest end of a server that was asked to end; PostgreSQL takes 20 ms.
const POLITE_LIMIT: Duration = Duration::from_secs(1);

/// Longest end of a server that was killed.
pub(super) const END_LIMIT: Duration = Duration::from_secs(10);

/// A running server, as its home remembers it.
pub(super) struct State {
    pub(super) address: Address,
    pub(super) run: Utf8PathBuf,
    pub(super) data: Utf8PathBuf,
    pub(super) pid: i32,
}

pub(super) fn end_run(run: &Utf8Path) {
    for pid in pids_of(run) {
        // Nobody needs its data, so it is only asked because PostgreSQL then removes its shared
        // memory; MariaDB is deaf while it starts.
        for (how, limit) in [(Signal::QUIT, POLITE_LIMIT), (Signal::KILL, END_LIMIT)] {
            signal(pid, how);
            if wait_until("end of server", limit, || !is_running(pid, run)).is_ok() {
                break;
            }
        }
        reaped(pid);
    }
    let data = run.join("data");
    if let Ok(disk) = data.read_link_utf8() {
        drop(fs::remove_dir_all(disk));
    }
    drop(fs::remove_dir_all(run));
}

/// Returns the servers that run in a directory: those whose command line names it, so that a
/// server is found even if its starter was killed before it could write anything down.
fn pids_of(run: &Utf8Path) -> Vec<i32> {
    let proc = Utf8Path::new("/proc");
    if proc.join("self/cmdline").exists() {
        let pids = lease::dir_names(proc).into_iter().filter_map(|name| name.parse().ok());
        return pids.filter(|pid| is_running(*pid, run)).collect();
    }
    lease::read(&run.join("pid")).parse().ok().into_iter().collect()
}

/// Reports whether the process exists and is a server of this directory, not a later process that
/// got its number.
pub(super) fn is_running(pid: i32, run: &Utf8Path) -> bool {
    if Utf8Path::new("/proc/self/cmdline").exists() {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let needle = run.as_str().as_bytes();
        let mut args = line.split(|byte| *byte == 0);
        let is_server = args.next().is_some_and(|program| {
            ["postgres", "mysqld", "mariadbd"].iter().any(|s| program.ends_with(s.as_bytes()))
        });
        return is_server && line.windows(needle.len()).any(|part| part == needle);
    }
    Pid::from_raw(pid).is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

pub(super) fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // Gone already is as good.
        kill_process(pid, signal).ok();
    }
}

/// Takes the exit status of a child of this process, whose number would otherwise stay in use;
/// reports whether none is left.
pub(super) fn reaped(pid: i32) -> bool {
    let Some(pid) = Pid::from_raw(pid) else { return true };
    // An error says that it is not our child: then its parent does this.
    !matches!(rustix::process::waitpid(Some(pid), WaitOptions::NOHANG), Ok(None))
}

impl State {
    pub(super) fn read(home: &Home) -> Option<Self> {
        let text = fs::read_to_string(home.dir.join("state")).ok()?;
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.split_once(' ').filter(|(k, _)| *k == key))
                .map(|(_, v)| v)
        };
        Some(Self {
            address: Address { prefix: value("prefix")?.to_owned(), suffix: String::new() },
            run: value("run")?.into(),
            data: value("data")?.into(),
            pid: value("pid")?.parse().ok()?,
        })
    }

    pub(super) fn write(&self, home: &Home) -> Result<(), ScratchError> {
        let Self { address: Address { prefix, .. }, run, data, pid } = self;
        // QUIT ends PostgreSQL at once and MySQL in order; both take milliseconds.
        lease::write(
            &home.dir.join("state"),
            &format!("prefix {prefix}\nrun {run}\ndata {data}\npid {pid}\nsignal QUIT\n"),
        )
    }

    pub(super) fn is_running(&self) -> bool {
        is_running(self.pid, &self.run)
    }
}
