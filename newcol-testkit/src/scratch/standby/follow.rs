//! The server itself.

use std::{
    fs::{self, File},
    io,
    process::{Child, Stdio},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use newcol_core::{
    backend::Backend,
    db::{DatabaseUrl, DbError, OpenOptions, Session},
};
use percent_encoding::utf8_percent_encode;
use rustix::process::Signal;

use super::StandbyError;
use crate::scratch::{
    ScratchDb, ScratchError,
    admin::{self, AdminError},
    lease,
    local::{HOST, last_words},
    postgres::USER,
    running::{Body, State, signal},
    server::Address,
    service::{Service, make_service_dir},
};
use crate::wait::wait_for;

/// How long it may take to come up with its primary.
const LONG: Duration = Duration::from_secs(60);

/// Runs a server for as long as somebody holds the other end of the input: a standby would outlive both
/// its primary and whoever started it.
const KEEPER: &str = r#""$@" & read -r _; kill -s QUIT $!; wait"#;

/// Directories whose files a copy of a running server must not have.
const OWN: &[&str] =
    &["pg_wal", "pg_dynshmem", "pg_notify", "pg_serial", "pg_stat_tmp", "pg_subtrans", STANDBY];

/// Where a standby's files are, within those of its primary, so that they go with them.
const STANDBY: &str = "newcol-standby";

/// A standby of a throwaway PostgreSQL server, ended when this is dropped.
#[derive(Debug)]
pub struct Standby {
    keeper: Child,
    address: String,
    url: String,
    files: Utf8PathBuf,
    sockets: Utf8PathBuf,
    /// The process that gets the log.
    receiver: i32,
}

impl Standby {
    /// Starts one, and waits until it has all that its primary has.
    ///
    /// # Errors
    ///
    /// Where the primary is not a PostgreSQL server of this machine that was wanted for itself, or the
    /// standby does not start.
    pub fn of(primary: &ScratchDb) -> Result<Self, StandbyError> {
        let no = |why| StandbyError::Impossible { why };
        Self::check(primary.backend())?;
        let state = primary.private_home().and_then(State::read);
        let state = state.ok_or_else(|| no("only a server of its own is given a standby"))?;
        let Body::Process { data, .. } = &state.body else {
            return Err(no("the files of a server in a container are out of reach"));
        };
        let (sockets, files) = (state.run.join("standby"), data.join(STANDBY));
        let service = Service::of(Backend::Postgres);
        make_service_dir(&sockets, service)?;
        copy_while_it_runs(primary, (data, &files), service)?;

        let name = primary.url().rsplit('/').next().unwrap_or_default();
        let host = |dir: &Utf8Path| utf8_percent_encode(dir.as_str(), HOST).to_string();
        let address = format!("postgres://{USER}@{}/", host(&sockets));
        let keeper = spawn(&state, (&files, &sockets), service)?;
        let url = format!("{address}{name}");
        let mut standby = Self { keeper, address, url, files, sockets, receiver: 0 };
        standby.wait(primary)?;
        Ok(standby)
    }

    fn wait(&mut self, primary: &ScratchDb) -> Result<(), StandbyError> {
        let has_all = "SELECT pg_current_wal_flush_lsn() <= replay_lsn FROM pg_stat_replication \
            WHERE state = 'streaming'";
        let receiver = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walreceiver'";
        let one = |rows: Result<Vec<Vec<Option<String>>>, AdminError>| rows.ok()?.concat().pop()?;
        let found = wait_for("standby", LONG, || {
            one(primary.rows(has_all)).filter(|said| said == "t")?;
            one(self.rows(receiver))?.parse().ok()
        });
        self.receiver = found.map_err(|_| StandbyError::Start {
            why: last_words(&fs::read(self.sockets.join("log")).unwrap_or_default()),
        })?;
        Ok(())
    }

    /// Returns the URL of the same database on it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the URL of another database on it.
    pub fn url_of(&self, database: &str) -> String {
        Address { prefix: self.address.clone(), suffix: String::new() }.database(database)
    }

    /// Asks it a question, as [`ScratchDb::rows`].
    ///
    /// # Errors
    ///
    /// Where it does not answer, or refuses.
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, AdminError> {
        admin::query(&self.url, sql)
    }

    /// Lets it hear nothing of its primary, though their connection stays, or hear again.
    pub fn deafen(&self, is_deaf: bool) {
        signal(self.receiver, if is_deaf { Signal::STOP } else { Signal::CONT });
    }

    /// Ends it at once.
    pub fn end(&mut self) {
        // A process that is stopped does not notice that its server is gone.
        self.deafen(false);
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        self.end();
        drop(fs::remove_dir_all(&self.files));
        drop(fs::remove_dir_all(&self.sockets));
    }
}

fn spawn(
    state: &State,
    (files, sockets): (&Utf8Path, &Utf8Path),
    service: Service,
) -> Result<Child, ScratchError> {
    let program = lease::read(&state.run.join("program"));
    let log = sockets.join("log");
    let file = File::create(&log).map_err(|source| ScratchError::file(&log, source))?;
    let mut command = service.command("/bin/sh".into());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
        .args(["-c", KEEPER, "newcol-standby", &program, "-D", files.as_str()])
        .args(["-k", sockets.as_str(), "-c", "listen_addresses=", "-c"])
        .arg(format!("primary_conninfo=host={} user={USER}", state.run))
        .current_dir(sockets)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .map_err(|source| ScratchError::file("/bin/sh".into(), source))
}

/// Copies the files of a server as `pg_basebackup` does, which not every installation has.
fn copy_while_it_runs(
    server: &ScratchDb,
    (from, to): (&Utf8Path, &Utf8Path),
    service: Service,
) -> Result<(), StandbyError> {
    let database = |error: DbError| StandbyError::Copy(Box::new(error));
    let url = DatabaseUrl::parse(server.url())
        .map_err(|_| StandbyError::Impossible { why: "its primary has no readable address" })?;
    let mut session = Session::open(&url, &OpenOptions::write()).map_err(database)?;
    let (begin, end) = match session.server().major {
        15.. => ("pg_backup_start('standby', true)", "pg_backup_stop(false)"),
        _ => ("pg_start_backup('standby', true, false)", "pg_stop_backup(false, false)"),
    };
    session.value(&format!("SELECT {begin}")).map_err(database)?;
    copy(from, to, service)?;
    let label = session.value(&format!("SELECT labelfile FROM {end}")).map_err(database)?;
    make_service_dir(&to.join("pg_wal/archive_status"), service)?;
    for (name, text) in
        [("backup_label", label.unwrap_or_default()), ("standby.signal", String::new())]
    {
        let file = to.join(name);
        lease::write(&file, &text)?;
        service.give(&file)?;
    }
    Ok(())
}

/// Copies what is there, for a server that runs makes and drops files.
fn copy(from: &Utf8Path, to: &Utf8Path, service: Service) -> Result<(), ScratchError> {
    make_service_dir(to, service)?;
    let entries = from.read_dir_utf8().map_err(|source| ScratchError::file(from, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| ScratchError::file(from, source))?;
        let (name, target) = (entry.file_name(), to.join(entry.file_name()));
        let failed = |source: io::Error| ScratchError::file(entry.path(), source);
        let kind = match entry.file_type() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            kind => kind.map_err(failed)?,
        };
        if kind.is_dir() {
            match OWN.contains(&name) {
                true if name == STANDBY => {}
                true => make_service_dir(&target, service)?,
                false => copy(entry.path(), &target, service)?,
            }
        } else if kind.is_file() && !name.starts_with("postmaster.") {
            match fs::copy(entry.path(), &target) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                copied => {
                    copied.map_err(failed)?;
                    service.give(&target)?;
                }
            }
        }
    }
    Ok(())
}
