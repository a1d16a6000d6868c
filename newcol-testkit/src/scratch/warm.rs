//! Servers of our own that outlive the process which started them: joined when they run, started
//! when they do not, and swept when nobody can use them any more.
//!
//! What runs, a process or a container, is its starter's business. No server is started twice, none
//! of a living process is ever ended.

use std::{
    fs::{self, File},
    time::Duration,
};

use newcol_core::backend::{Backend, Server as ServerVersion};

use super::{
    admin::{self, AdminError},
    container,
    error::ScratchError,
    lease::{self, Home},
    local,
    running::{Body, State, end_run},
    server::{Address, Owner, Server},
    supervisor::supervise,
    want::Sharing,
};
use crate::wait::wait_for;

/// Longest start of a server, on a machine that is busy.
pub(super) const START_LIMIT: Duration = Duration::from_secs(60);

/// A server that runs, and the lease that keeps it running.
pub(super) struct Warm {
    pub(super) address: Address,
    home: Home,
    lease: File,
    owner: Owner,
}

impl Warm {
    /// Returns the server as this process uses it.
    pub(super) fn server(self, version: ServerVersion) -> Result<Server, ScratchError> {
        let Self { address, home, lease, owner } = self;
        let admin = address.database(admin_database(version.backend()));
        Server::new(version, address, owner, home, lease, admin)
    }
}

/// Returns the database through which the whole server is administered.
pub(super) fn admin_database(backend: Backend) -> &'static str {
    match backend {
        Backend::Postgres => "postgres",
        Backend::Mysql | Backend::Sqlite => "mysql",
    }
}

/// Joins the server of the home that `key` names, starting it if it does not run; a private server
/// gets a home of its own.
pub(super) fn attach(
    key: &str,
    sharing: Sharing,
    start: impl FnOnce(&Home) -> Result<Address, ScratchError>,
) -> Result<Warm, ScratchError> {
    let (home, turn, owner) = match sharing {
        Sharing::Shared => {
            let home = Home::open(key)?;
            let turn = home.lock_start()?;
            (home, turn, Owner::Shared)
        }
        Sharing::Private => {
            let (home, turn) = Home::open_private(key)?;
            (home, turn, Owner::Private)
        }
    };
    let lease = home.join()?;
    let address = match running(&home)? {
        Some(state) => state.address,
        None => {
            lease::remove_file(&home.dir.join("state"));
            sweep(&home);
            start(&home)?
        }
    };
    if !home.is_supervised() {
        supervise(&home, owner);
    }
    drop(turn);
    Ok(Warm { address, home, lease, owner })
}

fn running(home: &Home) -> Result<Option<State>, ScratchError> {
    match State::read(home) {
        Some(state) => Ok(state.is_running()?.then_some(state)),
        None => Ok(None),
    }
}

/// Removes what killed runs left: servers without supervisor in homes that nobody uses, and in our
/// own home, whose turn we have, every server (the living one would be in its state).
fn sweep(home: &Home) {
    for run in home.runs() {
        end_run(&run);
    }
    for other in Home::all().unwrap_or_default() {
        if other.dir == home.dir || other.is_supervised() {
            continue;
        }
        let Some(_whole) = other.take() else { continue };
        if other.is_supervised() || other.keeps_any() {
            continue;
        }
        lease::remove_file(&other.dir.join("state"));
        for run in other.runs() {
            end_run(&run);
        }
        if other.is_private() && other.runs().is_empty() {
            drop(fs::remove_dir_all(&other.dir));
        }
    }
    lease::remove_drafts();
}

/// Ends the server of a home that nobody else uses, and removes its data.
pub(super) fn end(home: &Home) {
    for run in home.runs() {
        end_run(&run);
    }
    if home.runs().is_empty() {
        drop(fs::remove_dir_all(&home.dir));
    }
}

/// Waits until a server answers; `ended` says why it never will.
pub(super) fn answer(url: &str, mut ended: impl FnMut() -> Option<String>) -> Result<(), String> {
    let answered = wait_for("answer", START_LIMIT, || {
        if let Some(why) = ended() {
            return Some(Err(why));
        }
        match admin::query(url, "SELECT version()") {
            Ok(_) => Some(Ok(())),
            Err(error @ AdminError::NotBuilt { .. }) => Some(Err(error.to_string())),
            Err(AdminError::Database(_)) => None,
        }
    });
    answered.unwrap_or_else(|silence| Err(silence.to_string()))
}

/// Kills the server of a private home and starts it again on the same data.
pub(super) fn crash(server: &Server) -> Result<(), ScratchError> {
    let state = State::read(&server.home).ok_or(ScratchError::NotPrivate)?;
    match &state.body {
        Body::Process { pid, data } => local::crash(server, *pid, data, &state),
        Body::Container { name } => {
            container::restart(name)?;
            answer(server.admin_url(), || None).map_err(|why| ScratchError::Start {
                program: name.into(),
                why: format!("{why}; {}", container::last_words(name)),
            })
        }
    }
}
