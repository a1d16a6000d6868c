//! A copy of a workspace that the compiler may be shown changed, while the project stays as it is.
//!
//! The copy is kept between runs: only what has changed is written, so that Cargo compiles only that.

mod layout;
mod list;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
};

use camino::{Utf8Path, Utf8PathBuf};

pub(super) use self::layout::{Layout, normal};
use self::list::{CACHE_TAG, Kind, Listing};
use super::{Answer, Event, Listener, error::ProbeError};

/// Name of the lock file, beside the copy.
const LOCK: &str = "lock";

/// Where the copy is, beside the lock.
///
/// Cargo looks for a workspace around a package up to a directory of this name, where it builds
/// packages of its own: a workspace around the copy is none of its business.
const TREE: &str = "target/package/tree";

/// After so many files whoever listens is asked.
const ASK_AFTER: usize = 256;

/// The copy, ours alone while this value lives.
#[derive(Debug)]
pub(super) struct Shadow {
    layout: Layout,
    tree: Utf8PathBuf,
    _lock: File,
}

impl Shadow {
    /// Brings the copy below `dir` up to date.
    pub(super) fn open(
        dir: &Utf8Path,
        layout: Layout,
        limit: u64,
        listener: &Listener,
    ) -> Result<Self, ProbeError> {
        fs::create_dir_all(dir).map_err(ProbeError::io("create", dir))?;
        // Cargo names files by their true path.
        let dir = dir.canonicalize_utf8().map_err(ProbeError::io("read", dir))?;
        let lock = hold(&dir)?;
        let tag = dir.join(CACHE_TAG.0);
        fs::write(&tag, CACHE_TAG.1).map_err(ProbeError::io("write", &tag))?;
        let shadow = Self { tree: dir.join(TREE), layout, _lock: lock };
        let listing = list::list(&shadow.layout)?;
        within(&listing, limit)?;
        shadow.clean(&listing)?;
        shadow.link()?;
        shadow.copy(&listing, listener)?;
        Ok(shadow)
    }

    /// Returns where a path of the project is in the copy.
    pub(super) fn of(&self, path: &Utf8Path) -> Utf8PathBuf {
        self.tree.join(path.strip_prefix(&self.layout.base).unwrap_or(path))
    }

    /// Returns a file of the project, its path below the project's root.
    pub(super) fn theirs(&self, path: &Utf8Path) -> Utf8PathBuf {
        self.layout.root.join(path)
    }

    /// Returns the path below the project's root of a file in the copy; `None` for other files.
    pub(super) fn origin(&self, path: &Utf8Path) -> Option<Utf8PathBuf> {
        let root = self.of(&self.layout.root);
        let path = normal(&root.join(path));
        if let Ok(below) = path.strip_prefix(&root) {
            return Some(below.to_owned());
        }
        let theirs = self.layout.base.join(path.strip_prefix(&self.tree).ok()?);
        // A member beside the root.
        let up = self.layout.root.ancestors().position(|dir| theirs.starts_with(dir))?;
        let shared = self.layout.root.ancestors().nth(up)?;
        let below = theirs.strip_prefix(shared).ok()?;
        Some(Utf8PathBuf::from("../".repeat(up)).join(below))
    }

    /// Returns the workspace's manifest in the copy.
    pub(super) fn manifest(&self) -> Utf8PathBuf {
        self.of(&self.layout.root).join("Cargo.toml")
    }

    /// Returns the names of the members by their manifests in the copy.
    pub(super) fn members(&self) -> BTreeMap<Utf8PathBuf, String> {
        let members = self.layout.members.iter();
        members.map(|(manifest, name)| (self.of(manifest), name.clone())).collect()
    }

    /// Says of the project what a text says of the copy.
    pub(super) fn as_theirs(&self, text: &str) -> String {
        text.replace(self.tree.as_str(), self.layout.base.as_str())
    }

    /// Gives a file of the copy, its path below the project's root, another text.
    pub(super) fn put(&self, path: &Utf8Path, text: &str) -> Result<(), ProbeError> {
        let path = self.of(&normal(&self.layout.root.join(path)));
        if fs::read(&path).is_ok_and(|now| now == text.as_bytes()) {
            return Ok(());
        }
        remove(&path)?;
        fs::write(&path, text).map_err(ProbeError::io("write", &path))
    }

    /// Removes what the project does not have, or no longer.
    fn clean(&self, listing: &Listing) -> Result<(), ProbeError> {
        let is_linked = |path: &Utf8Path| {
            let theirs = self.layout.base.join(path.strip_prefix(&self.tree).unwrap_or(path));
            (self.layout.linked.contains(&theirs), theirs)
        };
        let lock = self.of(&self.layout.root).join("Cargo.lock");
        let mut dirs = vec![self.tree.clone()];
        while let Some(dir) = dirs.pop() {
            let Ok(entries) = dir.read_dir_utf8() else { continue };
            for entry in entries.filter_map(Result::ok) {
                let path = entry.path();
                let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
                let below = path.strip_prefix(&self.tree).unwrap_or(path);
                let (linked, theirs) = is_linked(path);
                let leads_there = |dir: &Utf8PathBuf| dir.starts_with(&theirs);
                let wanted = match listing.get(below) {
                    Some(Kind::Dir) => is_dir,
                    Some(Kind::File(_) | Kind::Link) => !is_dir,
                    // Where the project keeps none, Cargo's is kept: nothing is resolved twice.
                    None if path == lock => true,
                    None if is_dir => {
                        self.layout.copied.iter().chain(&self.layout.linked).any(leads_there)
                    }
                    None => linked,
                };
                match (wanted, is_dir) {
                    (true, true) => dirs.push(path.to_owned()),
                    (true, false) => {}
                    (false, true) => {
                        fs::remove_dir_all(path).map_err(ProbeError::io("remove", path))?;
                    }
                    (false, false) => remove(path)?,
                }
            }
        }
        Ok(())
    }

    /// Puts what is outside of the workspace where its manifests look for it.
    fn link(&self) -> Result<(), ProbeError> {
        for dir in &self.layout.linked {
            let path = self.of(dir);
            if fs::read_link(&path).is_ok_and(|to| to == *dir) {
                continue;
            }
            remove(&path)?;
            create_parent(&path)?;
            symlink_dir(dir, &path).map_err(ProbeError::io("link", &path))?;
        }
        Ok(())
    }

    fn copy(&self, listing: &Listing, listener: &Listener) -> Result<(), ProbeError> {
        for (at, (below, kind)) in listing.iter().enumerate() {
            if at % ASK_AFTER == 0 {
                let event = Event::Copying { done: at, of: listing.len() };
                if listener(&event) == Answer::Stop {
                    return Err(ProbeError::Stopped);
                }
            }
            let (from, to) = (self.layout.base.join(below), self.tree.join(below));
            match kind {
                Kind::Dir => fs::create_dir_all(&to).map_err(ProbeError::io("create", &to))?,
                Kind::File(metadata) => copy_file(&from, &to, metadata)?,
                Kind::Link => self.copy_link(&from, &to)?,
            }
        }
        Ok(())
    }

    /// A link within the copy stays within it; any other leads where it did.
    fn copy_link(&self, from: &Utf8Path, to: &Utf8Path) -> Result<(), ProbeError> {
        let text = from.read_link_utf8().map_err(ProbeError::io("read", from))?;
        let target = normal(&from.parent().unwrap_or(from).join(&text));
        let copied = self.layout.copied.iter().any(|dir| target.starts_with(dir));
        let target = if copied { self.of(&target) } else { target };
        if fs::read_link(to).is_ok_and(|now| now == target) {
            return Ok(());
        }
        remove(to)?;
        create_parent(to)?;
        if from.is_dir() { symlink_dir(&target, to) } else { symlink_file(&target, to) }
            .map_err(ProbeError::io("link", to))
    }
}

/// The lock goes with the process, whatever becomes of it.
fn hold(dir: &Utf8Path) -> Result<File, ProbeError> {
    let path = dir.join(LOCK);
    let file = File::create(&path).map_err(ProbeError::io("create", &path))?;
    match fs4::FileExt::try_lock(&file) {
        Ok(()) => Ok(file),
        Err(fs4::TryLockError::WouldBlock) => Err(ProbeError::Busy { dir: dir.to_owned() }),
        Err(fs4::TryLockError::Error(error)) => Err(ProbeError::io("lock", &path)(error)),
    }
}

fn within(listing: &Listing, limit: u64) -> Result<(), ProbeError> {
    let mut sizes: BTreeMap<&Utf8Path, u64> = BTreeMap::new();
    for (path, kind) in listing {
        if let Kind::File(metadata) = kind {
            *sizes.entry(path.parent().unwrap_or(path)).or_default() += metadata.len();
        }
    }
    let largest = sizes.iter().max_by_key(|(_, bytes)| **bytes);
    match largest {
        Some((dir, _)) if sizes.values().sum::<u64>() > limit => {
            let largest = if dir.as_str().is_empty() { Utf8Path::new(".") } else { dir };
            Err(ProbeError::TooLarge { limit, largest: largest.to_owned() })
        }
        Some(_) | None => Ok(()),
    }
}

/// Copies a file unless it is there already.
///
/// A new file keeps its time. One that takes another's place is as new as it is: Cargo sees by the
/// time alone that it must compile again.
fn copy_file(from: &Utf8Path, to: &Utf8Path, metadata: &fs::Metadata) -> Result<(), ProbeError> {
    let read = |path| ProbeError::io("read", path);
    let modified = metadata.modified().map_err(read(from))?;
    let present = fs::symlink_metadata(to).ok();
    if let Some(present) = &present {
        let alike = present.is_file() && present.len() == metadata.len();
        if alike && (present.modified().is_ok_and(|time| time == modified) || equal(from, to)?) {
            return Ok(());
        }
        remove(to)?;
    }
    create_parent(to)?;
    let written = ProbeError::io("write", to);
    let mut source = File::open(from).map_err(read(from))?;
    let mut file = File::create_new(to).map_err(ProbeError::io("create", to))?;
    let mut copy = |file: &mut File| {
        io::copy(&mut source, file)?;
        file.set_permissions(metadata.permissions())?;
        if present.is_none() { file.set_modified(modified) } else { Ok(()) }
    };
    copy(&mut file).map_err(written)
}

fn equal(one: &Utf8Path, other: &Utf8Path) -> Result<bool, ProbeError> {
    let open = |path: &Utf8Path| File::open(path).map_err(ProbeError::io("read", path));
    let (mut first, mut second) = (open(one)?, open(other)?);
    let (mut a, mut b) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let n = first.read(&mut a).map_err(ProbeError::io("read", one))?;
        let read = second.read_exact(&mut b[..n]);
        if read.is_err() || a[..n] != b[..n] {
            return Ok(false);
        }
        if n == 0 {
            return Ok(true);
        }
    }
}

fn create_parent(path: &Utf8Path) -> Result<(), ProbeError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(ProbeError::io("create", parent))
}

fn remove(path: &Utf8Path) -> Result<(), ProbeError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ProbeError::io("remove", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(unix)]
use std::os::unix::fs::{symlink as symlink_dir, symlink as symlink_file};
#[cfg(windows)]
use std::os::windows::fs::{symlink_dir, symlink_file};
