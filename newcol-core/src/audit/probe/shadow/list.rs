//! Which files of a workspace are copied.

use std::{collections::BTreeMap, fs::Metadata};

use camino::{Utf8Path, Utf8PathBuf};
use ignore::{DirEntry, WalkBuilder};

use super::{super::error::ProbeError, layout::Layout};

/// What is to be in the copy, by its path below [`Layout::base`].
pub(super) type Listing = BTreeMap<Utf8PathBuf, Kind>;

/// What is copied.
#[derive(Debug)]
pub(super) enum Kind {
    Dir,
    File(Metadata),
    Link,
}

/// The file by which a directory says that it can be made again, and how it begins: in every one that
/// Cargo builds in, and in ours.
pub(super) const CACHE_TAG: (&str, &str) =
    ("CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n");

/// Directories of a package that hold what is compiled, also where Git ignores some of it.
const COMPILED: [&str; 5] = ["src", "tests", "examples", "benches", "migrations"];

/// Files beside a package's manifest without which it is another one, also where Git ignores them.
const BESIDE: [&str; 4] = ["Cargo.lock", "build.rs", ".env", "diesel.toml"];

/// Lists what Git does not ignore, and what packages are compiled from.
pub(super) fn list(layout: &Layout) -> Result<Listing, ProbeError> {
    let mut listing = Listing::new();
    for dir in &layout.copied {
        let mut walk = WalkBuilder::new(dir);
        // The project decides, and not what somebody's home directory says.
        walk.ignore(false).git_global(false).require_git(false);
        add(&mut listing, layout, walk)?;
    }
    let packages = layout.members.keys().filter_map(|manifest| manifest.parent());
    for package in packages.chain([layout.root.as_path()]) {
        let dirs = COMPILED.map(|name| package.join(name)).into_iter().filter(|dir| dir.is_dir());
        let files = BESIDE.map(|name| package.join(name)).into_iter().filter(|f| f.is_file());
        for path in dirs.chain(files) {
            let mut walk = WalkBuilder::new(path);
            walk.standard_filters(false);
            add(&mut listing, layout, walk)?;
        }
    }
    Ok(listing)
}

fn add(listing: &mut Listing, layout: &Layout, mut walk: WalkBuilder) -> Result<(), ProbeError> {
    walk.hidden(false).follow_links(false).filter_entry(is_source);
    for entry in walk.build() {
        // What goes away while we look was not needed; what may not be read, Cargo may not either.
        let Ok(entry) = entry else { continue };
        // Cargo cannot name others in its messages.
        let Some(path) = Utf8Path::from_path(entry.path()) else { continue };
        let Ok(below) = path.strip_prefix(&layout.base) else { continue };
        let Some(file_type) = entry.file_type() else { continue };
        let kind = if file_type.is_dir() {
            Kind::Dir
        } else if file_type.is_symlink() {
            Kind::Link
        } else if file_type.is_file() {
            let metadata = entry.metadata().map_err(|error| ProbeError::Io {
                action: "read",
                path: path.to_owned(),
                source: error.into_io_error().unwrap_or_else(|| std::io::ErrorKind::Other.into()),
            })?;
            Kind::File(metadata)
        } else {
            continue;
        };
        listing.insert(below.to_owned(), kind);
    }
    Ok(())
}

/// Reports whether somebody wrote it, as far as its name tells.
fn is_source(entry: &DirEntry) -> bool {
    if entry.depth() == 0 || !entry.file_type().is_some_and(|kind| kind.is_dir()) {
        return true;
    }
    let is_history = [".git", ".jj", ".hg"].iter().any(|name| entry.file_name() == *name);
    !is_history && !entry.path().join(CACHE_TAG.0).exists()
}
