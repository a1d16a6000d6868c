//! Who uses what: directories, locks and tokens that die with their process.
//!
//! Everything rests on `flock`: the kernel releases it when its holder dies, however it dies. Each
//! server has a home directory with
//!
//! - `start.lock`, held while a process looks for the server or starts it,
//! - `lease`, held *shared* by every process that uses the server,
//! - `alive`, held by the supervisor that ends the server when nobody has the lease,
//! - `p/<token>`, one file per process, held by it: a database whose token is free is an orphan,
//! - `slots/<number>`, held by whoever has a database: so many there may be at once,
//! - `kept/<database>`, a database that a failed test left for its reader.
//!
//! Lock files are never removed while others may open them; they are empty.

use std::{
    fs::{self, File, OpenOptions},
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, Write as _},
    net::TcpListener,
    sync::OnceLock,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};

use super::error::ScratchError;
use crate::{settings, wait::wait_until};

/// How long a database kept by a failed test stays, and with it its server.
pub(crate) const KEEP_FOR: Duration = Duration::from_secs(60 * 60);

/// Longest wait for another process that starts or ends the server, and may fetch its image first.
const START_LIMIT: Duration = Duration::from_secs(300);

/// What the names of private homes have in them.
const PRIVATE: &str = "-x";

/// After how long a file that was being written belongs to nobody.
const DRAFT_AGE: Duration = Duration::from_secs(60);

/// Prefix of every database we create; nothing else is ever dropped.
const DATABASE_PREFIX: &str = "newcol_d_";

/// The directory of one server, shared by all processes of this user.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub(crate) dir: Utf8PathBuf,
}

impl Home {
    /// Opens or creates the home with this name.
    pub(crate) fn open(name: &str) -> Result<Self, ScratchError> {
        Self::open_in(&base_dir()?, name)
    }

    /// Opens or creates a home in another place than the usual one.
    pub(crate) fn open_in(parent: &Utf8Path, name: &str) -> Result<Self, ScratchError> {
        let dir = parent.join(name);
        for dir in [&dir, &dir.join("p"), &dir.join("kept")] {
            make_dir(dir)?;
        }
        Ok(Self { dir })
    }

    /// Opens a home that only this process uses, and takes its turn there.
    pub(crate) fn open_private(key: &str) -> Result<(Self, File), ScratchError> {
        loop {
            let home = Self::open(&format!("{key}{PRIVATE}{}", random_tag()))?;
            let turn = home.lock_start()?;
            // A sweep may have taken the home between the two calls and removed it.
            if home.dir.join("start.lock").exists() {
                return Ok((home, turn));
            }
        }
    }

    /// Reports whether the home was opened for one process only.
    pub(crate) fn is_private(&self) -> bool {
        self.dir.file_name().is_some_and(|name| name.contains(PRIVATE))
    }

    /// Returns the homes that exist.
    pub(crate) fn all() -> Result<Vec<Self>, ScratchError> {
        let base = base_dir()?;
        Ok(dir_names(&base)
            .into_iter()
            .map(|name| Self { dir: base.join(name) })
            .filter(|home| home.dir.join("start.lock").exists())
            .collect())
    }

    /// Waits for its turn to look for the server or to start it.
    pub(crate) fn lock_start(&self) -> Result<File, ScratchError> {
        self.lock("start.lock", "turn to start the server")
    }

    /// Waits for its turn at something all processes do one after the other.
    pub(crate) fn lock(&self, name: &str, what: &str) -> Result<File, ScratchError> {
        let path = self.dir.join(name);
        let file = open(&path)?;
        bounded(&path, what, || try_exclusive(&file))?;
        Ok(file)
    }

    /// Joins the users of the server, after a supervisor that is just ending it has finished.
    pub(crate) fn join(&self) -> Result<File, ScratchError> {
        let path = self.dir.join("lease");
        let file = open(&path)?;
        bounded(&path, "end of the previous server", || {
            fs4::FileExt::try_lock_shared(&file).is_ok()
        })?;
        // Restarts the countdown of a supervisor: it compares this file over its idle time.
        write(&self.dir.join("last"), &random_tag())?;
        Ok(file)
    }

    /// Takes the whole home, or `None` when anybody uses it.
    pub(crate) fn take(&self) -> Option<(File, File)> {
        let start = open(&self.dir.join("start.lock")).ok().filter(try_exclusive)?;
        let lease = open(&self.dir.join("lease")).ok().filter(try_exclusive)?;
        Some((start, lease))
    }

    /// Reports whether a supervisor looks after the server.
    pub(crate) fn is_supervised(&self) -> bool {
        // Shared, so that two processes that ask do not take each other for a supervisor.
        open(&self.dir.join("alive"))
            .is_ok_and(|file| fs4::FileExt::try_lock_shared(&file).is_err())
    }

    /// Marks a database as left for its reader.
    pub(crate) fn keep(&self, database: &str) -> Result<(), ScratchError> {
        write(&self.dir.join("kept").join(database), "")
    }

    /// Reports whether a database is still left for its reader; forgets it when its time is over.
    pub(crate) fn is_kept(&self, database: &str) -> bool {
        let mark = self.dir.join("kept").join(database);
        if !mark.exists() {
            return false;
        }
        if age(&mark).unwrap_or_default() < KEEP_FOR {
            return true;
        }
        remove_file(&mark);
        false
    }

    /// Reports whether any database here is still left for its reader.
    pub(crate) fn keeps_any(&self) -> bool {
        dir_names(&self.dir.join("kept")).iter().any(|database| self.is_kept(database))
    }

    /// Returns the directories of servers started here, living or not.
    pub(crate) fn runs(&self) -> Vec<Utf8PathBuf> {
        dir_names(&self.dir)
            .into_iter()
            .filter(|name| name.starts_with("r-"))
            .map(|name| self.dir.join(name))
            .collect()
    }

    /// Takes a token that names this process until it dies.
    pub(crate) fn token(&self) -> Result<Token, ScratchError> {
        loop {
            let tag = random_tag();
            let path = self.dir.join("p").join(&tag);
            let file = open(&path)?;
            // A sweep may have taken the file between the two calls and removed it.
            if try_exclusive(&file) && path.exists() {
                return Ok(Token { tag, _file: file });
            }
        }
    }

    /// Returns the databases among `names` whose process is dead and which nobody keeps.
    pub(crate) fn orphans(&self, names: &[String]) -> Vec<String> {
        names
            .iter()
            .filter(|name| {
                token_of(name).is_some_and(|tag| self.is_dead(tag)) && !self.is_kept(name)
            })
            .cloned()
            .collect()
    }

    /// Forgets the tokens of dead processes that own none of `names`.
    pub(crate) fn forget_dead_tokens(&self, names: &[String]) {
        for tag in dir_names(&self.dir.join("p")) {
            let path = self.dir.join("p").join(&tag);
            let owns = names.iter().any(|name| token_of(name) == Some(&tag));
            if !owns && let Some(_held) = open(&path).ok().filter(try_exclusive) {
                remove_file(&path);
            }
        }
    }

    fn is_dead(&self, tag: &str) -> bool {
        let path = self.dir.join("p").join(tag);
        match OpenOptions::new().write(true).open(&path) {
            Ok(file) => try_exclusive(&file),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}

/// Names a process; its file lock goes with the process.
#[derive(Debug)]
pub(crate) struct Token {
    tag: String,
    _file: File,
}

impl Token {
    /// Returns the name of this process's database number `number`.
    pub(crate) fn database(&self, number: usize) -> String {
        format!("{DATABASE_PREFIX}{}_{}_{number}", machine(), self.tag)
    }
}

/// Returns the pattern, for SQL `LIKE`, of databases that processes of this machine and user made.
pub(crate) fn database_pattern() -> String {
    format!("{DATABASE_PREFIX}{}_%", machine()).replace('_', "\\_")
}

/// Returns the token in a database name of this machine and user.
fn token_of(database: &str) -> Option<&str> {
    let rest = database.strip_prefix(DATABASE_PREFIX)?.strip_prefix(machine())?;
    let (tag, number) = rest.strip_prefix('_')?.split_once('_')?;
    number.parse::<usize>().is_ok().then_some(tag)
}

/// Names this machine, user and directory of homes, so that on a server shared with others only our
/// own are swept.
pub(crate) fn machine() -> &'static str {
    static TAG: OnceLock<String> = OnceLock::new();
    TAG.get_or_init(|| {
        let base = base_dir().map(|dir| dir.to_string()).unwrap_or_default();
        format!("{:08x}", hash([host(), &base].concat().as_bytes()) >> 32)
    })
}

/// Names this machine and user, so that on an engine shared with others only our own are swept.
pub(crate) fn host() -> &'static str {
    static TAG: OnceLock<String> = OnceLock::new();
    TAG.get_or_init(|| {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let home = settings::cache_dir().or_else(|| base_dir().ok()).unwrap_or_default();
        let id = home.join("machine");
        if !id.exists() && fs::create_dir_all(&home).is_ok() {
            // Two first runs at once: the first link wins, both read the same file.
            let mine = home.join(random_tag());
            if write(&mine, &random_tag()).is_ok() {
                drop(fs::hard_link(&mine, &id));
                remove_file(&mine);
            }
        }
        let text = [read(id.as_str()), read("/proc/sys/kernel/hostname"), user()].concat();
        format!("{:08x}", hash(text.as_bytes()) >> 32)
    })
}

/// Returns the directory of all homes: on a RAM disk where there is one.
pub(crate) fn base_dir() -> Result<Utf8PathBuf, ScratchError> {
    let dir = settings::run_dir().unwrap_or_else(|| {
        // `/tmp` rather than `TMPDIR`: the same for every process, and short enough for the path
        // of a socket, which has about a hundred bytes.
        let fixed =
            ["/dev/shm", "/tmp"].map(Utf8PathBuf::from).into_iter().find(|dir| dir.is_dir());
        fixed.unwrap_or_else(settings::temp_dir).join(format!("newcol-{}", user()))
    });
    make_dir(&dir)?;
    check_owner(&dir)?;
    Ok(dir)
}

/// Returns a directory of ours for data: the base, or temporary files where the base is a RAM disk
/// with less than a gigabyte free (a container's is 64 MB).
pub(crate) fn roomy_dir() -> Result<Utf8PathBuf, ScratchError> {
    let base = base_dir()?;
    if has_room(&base) {
        return Ok(base);
    }
    let dir = settings::temp_dir().join(format!("newcol-{}", user()));
    make_dir(&dir)?;
    check_owner(&dir)?;
    Ok(dir)
}

/// Reports whether a directory has room for the data of a server.
#[cfg(unix)]
pub(crate) fn has_room(dir: &Utf8Path) -> bool {
    const ROOM: u64 = 1 << 30;
    rustix::fs::statvfs(dir.as_std_path()).is_ok_and(|fs| fs.f_bavail * fs.f_frsize > ROOM)
}

#[cfg(not(unix))]
pub(crate) fn has_room(_dir: &Utf8Path) -> bool {
    true
}

#[cfg(unix)]
fn user() -> String {
    rustix::process::geteuid().as_raw().to_string()
}

#[cfg(not(unix))]
fn user() -> String {
    settings::var("USERNAME").unwrap_or_default()
}

/// Refuses a directory under a world-writable parent that somebody else made first.
#[cfg(unix)]
fn check_owner(dir: &Utf8Path) -> Result<(), ScratchError> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::symlink_metadata(dir).map_err(|source| ScratchError::file(dir, source))?;
    if meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let why = io::Error::new(io::ErrorKind::PermissionDenied, "belongs to another user");
    Err(ScratchError::file(dir, why))
}

#[cfg(not(unix))]
fn check_owner(_dir: &Utf8Path) -> Result<(), ScratchError> {
    Ok(())
}

/// Makes a directory that others may pass through (a server started by root runs as another user)
/// but not read.
pub(crate) fn make_dir(dir: &Utf8Path) -> Result<(), ScratchError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o711);
    builder.create(dir).map_err(|source| ScratchError::file(dir, source))
}

/// Writes a file of ours, which may hold a password, whole or not at all.
pub(crate) fn write(path: &Utf8Path, text: &str) -> Result<(), ScratchError> {
    let next = path.with_extension(format!("new{}", random_tag()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(&next)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&next, path))
        .map_err(|source| ScratchError::file(path, source))
}

/// Removes what killed processes were about to write: drafts of files, in the base and its homes.
pub(crate) fn remove_drafts() {
    let Ok(base) = base_dir() else { return };
    let homes = dir_names(&base).into_iter().map(|name| base.join(name)).filter(|d| d.is_dir());
    for dir in homes.chain([base.clone()]) {
        for draft in dir_names(&dir).into_iter().map(|name| dir.join(name)) {
            let is_draft = draft.extension().is_some_and(|end| end.starts_with("new"));
            if is_draft && age(&draft).is_some_and(|age| age > DRAFT_AGE) {
                remove_file(&draft);
            }
        }
    }
}

/// Returns how long ago a file or directory was last changed.
pub(crate) fn age(path: &Utf8Path) -> Option<Duration> {
    fs::metadata(path).ok()?.modified().ok()?.elapsed().ok()
}

/// Asks the system for a port that is free now.
pub(crate) fn free_port() -> Result<u16, ScratchError> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| ScratchError::file(Utf8Path::new("127.0.0.1:0"), source))
}

/// Returns a file of ours without its line ends, nothing if it cannot be read.
pub(crate) fn read(path: &Utf8Path) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// Removes a file that may be gone already.
pub(crate) fn remove_file(path: &Utf8Path) {
    drop(fs::remove_file(path));
}

/// Returns the names in a directory, sorted; none if it cannot be read.
pub(crate) fn dir_names(dir: &Utf8Path) -> Vec<String> {
    let Ok(entries) = dir.read_dir_utf8() else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_owned()).collect();
    names.sort();
    names
}

/// Returns ten characters that no other process draws.
pub(crate) fn random_tag() -> String {
    // The standard hasher's keys are the only random source in std.
    format!("{:010x}", RandomState::new().build_hasher().finish() & 0xff_ffff_ffff)
}

/// FNV-1a, 64 bits: the same in every process and release.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

/// Opens a lock file.
pub(crate) fn open(path: &Utf8Path) -> Result<File, ScratchError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|source| ScratchError::file(path, source))
}

/// Locks a file, if nobody else has.
pub(crate) fn try_exclusive(file: &File) -> bool {
    fs4::FileExt::try_lock(file).is_ok()
}

fn bounded(path: &Utf8Path, what: &str, probe: impl FnMut() -> bool) -> Result<(), ScratchError> {
    wait_until(what, START_LIMIT, probe)
        .map_err(|source| ScratchError::Busy { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_have_a_token() {
        let ours = format!("newcol_d_{}_abc_7", machine());
        assert_eq!(token_of(&ours), Some("abc"));
        for other in ["newcol_d_00000000_abc_7", "production", "newcol_d_", &format!("{ours}x")] {
            assert_eq!(token_of(other), None, "{other}");
        }
    }
}
