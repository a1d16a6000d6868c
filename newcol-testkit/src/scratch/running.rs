//! Servers that run: what their home remembers of them, how they are found and ended.

use std::{fs, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{Pid, Signal, WaitOptions, kill_process};

use super::{
    container,
    error::ScratchError,
    lease::{self, Home},
    server::Address,
};
use crate::wait::wait_until;

/// Longest end of a server that was asked to end; PostgreSQL takes 20 ms.
const POLITE_LIMIT: Duration = Duration::from_secs(10);

/// The same for MariaDB, which is deaf while it starts and leaves nothing behind when killed.
const DEAF_LIMIT: Duration = Duration::from_secs(1);

/// Longest end of a server that was killed.
pub(super) const END_LIMIT: Duration = Duration::from_secs(10);

/// How often a run is searched again for processes that the ended ones had started.
const ROUNDS: u32 = 5;

/// A running server, as its home remembers it.
pub(super) struct State {
    pub(super) address: Address,
    pub(super) run: Utf8PathBuf,
    pub(super) body: Body,
}

/// What runs.
pub(super) enum Body {
    /// A process of this machine on a data directory.
    Process {
        /// Its number.
        pid: i32,
        /// Its data.
        data: Utf8PathBuf,
    },
    /// A container, which has its data inside.
    Container {
        /// Its name.
        name: String,
    },
}

/// Ends whatever runs in a directory, and removes its data.
///
/// If the engine of a container does not answer, the directory stays for the next sweep: it names
/// the container.
pub(super) fn end_run(run: &Utf8Path) {
    let container = lease::read(&run.join("container"));
    if !container.is_empty() && !container::remove(&container) {
        return;
    }
    for _ in 0..ROUNDS {
        let processes = processes_of(run);
        if processes.is_empty() {
            break;
        }
        for (pid, kind) in processes {
            end_process(pid, kind, run);
        }
    }
    let data = run.join("data");
    if let Ok(disk) = data.read_link_utf8() {
        drop(fs::remove_dir_all(disk));
    }
    drop(fs::remove_dir_all(run));
}

/// Nobody needs the data, so it is only asked because PostgreSQL then removes its shared memory.
fn end_process(pid: i32, kind: Kind, run: &Utf8Path) {
    let steps = match kind {
        // Ends by itself, as its input does; killed, it leaves shared memory.
        Kind::PostgresSetup => [
            (None, POLITE_LIMIT),
            (Some(Signal::TERM), DEAF_LIMIT),
            (Some(Signal::KILL), END_LIMIT),
        ],
        Kind::Postgres => [
            (None, Duration::ZERO),
            (Some(Signal::QUIT), POLITE_LIMIT),
            (Some(Signal::KILL), END_LIMIT),
        ],
        Kind::Mysql => [
            (None, Duration::ZERO),
            (Some(Signal::QUIT), DEAF_LIMIT),
            (Some(Signal::KILL), END_LIMIT),
        ],
    };
    for (how, limit) in steps {
        if let Some(how) = how {
            signal(pid, how);
        }
        if wait_until("end of server", limit, || !is_running(pid, run)).is_ok() {
            break;
        }
    }
    reaped(pid);
}

/// What a process of ours is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Postgres,
    /// `initdb`, and the server without connections that it runs.
    PostgresSetup,
    /// The server, or the script that fills its data directory.
    Mysql,
}

/// Returns the processes that run in a directory: those whose command line names it, so that a
/// server is found even if its starter was killed before it could write anything down.
fn processes_of(run: &Utf8Path) -> Vec<(i32, Kind)> {
    let proc = Utf8Path::new("/proc");
    if proc.join("self/cmdline").exists() {
        let pids = lease::dir_names(proc).into_iter().filter_map(|name| name.parse().ok());
        return pids.filter_map(|pid| Some((pid, kind_of(pid, run)?))).collect();
    }
    let pid: Option<i32> = lease::read(&run.join("pid")).parse().ok();
    pid.filter(|pid| is_running(*pid, run)).map(|pid| (pid, Kind::Postgres)).into_iter().collect()
}

/// Returns what a process is, if it is one of this directory.
fn kind_of(pid: i32, run: &Utf8Path) -> Option<Kind> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line);
    if !line.contains(run.as_str()) {
        return None;
    }
    let args: Vec<&str> = line.split('\0').collect();
    // A script's first argument is its shell.
    args.iter().take(2).find_map(|program| match program.rsplit('/').next()? {
        "initdb" => Some(Kind::PostgresSetup),
        "postgres" if args.iter().any(|arg| ["--boot", "--single"].contains(arg)) => {
            Some(Kind::PostgresSetup)
        }
        "postgres" => Some(Kind::Postgres),
        "mysqld" | "mariadbd" | "mariadb-install-db" | "mysql_install_db" => Some(Kind::Mysql),
        _ => None,
    })
}

/// Reports whether the process exists and is a server of this directory, not a later process that
/// got its number.
pub(super) fn is_running(pid: i32, run: &Utf8Path) -> bool {
    if Utf8Path::new("/proc/self/cmdline").exists() {
        return kind_of(pid, run).is_some();
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
        let body = match value("container") {
            Some(name) => Body::Container { name: name.to_owned() },
            None => Body::Process { pid: value("pid")?.parse().ok()?, data: value("data")?.into() },
        };
        let address = Address { prefix: value("prefix")?.to_owned(), suffix: String::new() };
        Some(Self { address, run: value("run")?.into(), body })
    }

    pub(super) fn write(&self, home: &Home) -> Result<(), ScratchError> {
        let Self { address: Address { prefix, .. }, run, body } = self;
        let body = match body {
            // QUIT ends PostgreSQL at once and MySQL in order; both take milliseconds.
            Body::Process { pid, data } => format!("data {data}\npid {pid}\nsignal QUIT\n"),
            Body::Container { name } => format!("container {name}\n"),
        };
        lease::write(&home.dir.join("state"), &format!("prefix {prefix}\nrun {run}\n{body}"))
    }

    pub(super) fn is_running(&self) -> Result<bool, ScratchError> {
        match &self.body {
            Body::Process { pid, .. } => Ok(is_running(*pid, &self.run)),
            Body::Container { name } => container::is_running(name),
        }
    }
}
