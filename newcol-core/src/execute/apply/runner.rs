//! One runner at a time.

use std::{
    fs::{self, File},
    io,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};

use super::{ApplyError, Event, Others, Told};
use crate::{
    backend::Backend,
    db::{DbError, Session},
    execute::peers::{self, Peer},
};

/// Key of PostgreSQL's advisory lock: "newcol" in bytes.
const KEY: u64 = 0x006e_6577_636f_6c00;

/// How often a runner that waits for another one asks whether it is done.
const ASK: Duration = Duration::from_millis(200);

/// The right to apply migrations, as long as this lives.
#[derive(Debug, Default)]
pub(super) struct Runner {
    /// On SQLite; elsewhere the session that it was taken with holds it.
    _file: Option<LockFile>,
}

/// Waits until no other runner is at work; returns `None` where whoever listens wants to stop.
pub(super) fn take(
    session: &mut Session,
    others: Others,
    told: &Told<'_>,
) -> Result<Option<Runner>, ApplyError> {
    let database = session.url().describe();
    let mut is_told = false;
    loop {
        if let Some(runner) = try_take(session)? {
            return Ok(Some(runner));
        }
        let by: Vec<Peer> = holder(session)?.into_iter().collect();
        if others == Others::Leave {
            return Err(ApplyError::AnotherRunner { database, by });
        }
        if std::mem::replace(&mut is_told, true) {
            told.tell(&Event::Waiting);
        } else {
            told.tell(&Event::Queued { by });
        }
        if told.stop.wait(ASK) {
            return Ok(None);
        }
    }
}

fn try_take(session: &mut Session) -> Result<Option<Runner>, ApplyError> {
    let sql = match session.backend() {
        Backend::Postgres => format!("SELECT pg_try_advisory_lock({KEY})"),
        Backend::Mysql => {
            "SELECT coalesce(get_lock(left(concat('newcol ', database()), 64), 0), 0)".to_owned()
        }
        Backend::Sqlite => {
            let sql = "SELECT file FROM pragma_database_list WHERE name = 'main'";
            let Some(file) = session.value(sql)?.filter(|file| !file.is_empty()) else {
                // Nobody else reaches a database in memory.
                return Ok(Some(Runner::default()));
            };
            let path = Utf8PathBuf::from(format!("{file}-newcol-lock"));
            let taken = LockFile::try_take(&path);
            let taken = taken.map_err(|source| ApplyError::File { path, source })?;
            return Ok(taken.map(|file| Runner { _file: Some(file) }));
        }
    };
    Ok(session.query_bool(&sql)?.then(Runner::default))
}

/// A file that is locked, and removed in the end.
#[derive(Debug)]
struct LockFile {
    path: Utf8PathBuf,
    _held: File,
}

impl LockFile {
    /// `None` where another process holds it.
    fn try_take(path: &Utf8Path) -> io::Result<Option<Self>> {
        let held = File::options().create(true).append(true).open(path)?;
        match fs4::FileExt::try_lock(&held) {
            // Whoever held it may have removed it since it was opened.
            Ok(()) if is_linked(&held)? => Ok(Some(Self { path: path.to_owned(), _held: held })),
            Ok(()) | Err(fs4::TryLockError::WouldBlock) => Ok(None),
            Err(fs4::TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // While it is held: else another one's would be removed.
        drop(fs::remove_file(&self.path));
    }
}

#[cfg(unix)]
fn is_linked(file: &File) -> io::Result<bool> {
    Ok(std::os::unix::fs::MetadataExt::nlink(&file.metadata()?) > 0)
}

#[cfg(not(unix))]
fn is_linked(_: &File) -> io::Result<bool> {
    // A file that is open cannot be removed.
    Ok(true)
}

fn holder(session: &mut Session) -> Result<Option<Peer>, DbError> {
    let sql = match session.backend() {
        Backend::Postgres => format!(
            "SELECT pid FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted \
             AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) \
             AND classid = {} AND objid = {} AND objsubid = 1",
            KEY >> 32,
            KEY & 0xffff_ffff
        ),
        Backend::Mysql => "SELECT is_used_lock(left(concat('newcol ', database()), 64))".to_owned(),
        Backend::Sqlite => return Ok(None),
    };
    match session.value(&sql)? {
        Some(id) => peers::session_of(session, &id),
        None => Ok(None),
    }
}
