//! Reads the project's sources: what Git ignores and what Cargo builds is not among them.

use std::{fs, io};

use camino::{Utf8Path, Utf8PathBuf};
use ignore::{DirEntry, WalkBuilder};
use newcol_core::audit::{Finding, SourceFile};

use crate::context::{Project, dir_of};

/// The texts of a project.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Sorted by path.
    pub(super) files: Vec<SourceFile>,
    /// One for each file that could not be read.
    pub(super) unread: Vec<Finding>,
    /// Packages below the root that belong to another workspace.
    pub(super) foreign: Vec<Utf8PathBuf>,
}

impl Sources {
    /// Reads all `*.rs` and `*.sql` files, and the query caches of sqlx.
    pub(super) fn of(project: &Project) -> Self {
        let mut sources = Self::default();
        let members: Vec<Utf8PathBuf> = project.packages.iter().map(dir_of).collect();
        let mut paths = Vec::new();
        let outside = members.iter().filter(|dir| !dir.starts_with(&project.root));
        for top in std::iter::once(&project.root).chain(outside) {
            walk(project, top, &members, &mut paths, &mut sources.foreign);
        }
        paths.sort();
        paths.dedup();
        for path in paths {
            let place = project.relative(&path);
            match fs::read_to_string(&path) {
                Ok(text) => sources.files.push(SourceFile { path: place, text }),
                // Something else is at work here: what is gone has nothing to say.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let why = match error.kind() {
                        io::ErrorKind::InvalidData => "it is not UTF-8".to_owned(),
                        _ => error.to_string(),
                    };
                    sources.unread.push(Finding::unread(place, &why));
                }
            }
        }
        sources
    }
}

fn walk(
    project: &Project,
    top: &Utf8Path,
    members: &[Utf8PathBuf],
    paths: &mut Vec<Utf8PathBuf>,
    foreign: &mut Vec<Utf8PathBuf>,
) {
    let mut builder = WalkBuilder::new(top);
    let target = project.target.clone();
    // `.sqlx` is hidden, and so is much that is not ours.
    builder.hidden(false).require_git(false).filter_entry(move |entry| {
        let name = entry.file_name().to_string_lossy();
        let is_hidden = name.starts_with('.') && name != ".sqlx" && entry.depth() > 0;
        !is_hidden && entry.path() != target
    });
    let mut others: Vec<Utf8PathBuf> = Vec::new();
    for entry in builder.build().filter_map(Result::ok) {
        let Some(path) = Utf8Path::from_path(entry.path()) else { continue };
        if others.iter().any(|dir| path.starts_with(dir)) {
            continue;
        }
        if is_dir(&entry) {
            let is_other = path != project.root && path.join("Cargo.toml").is_file();
            if is_other && !members.iter().any(|member| member == path) {
                foreign.push(project.relative(path));
                others.push(path.to_owned());
            }
        } else if is_source(path) && entry.file_type().is_some_and(|kind| kind.is_file()) {
            paths.push(path.to_owned());
        }
    }
}

fn is_dir(entry: &DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_dir())
}

fn is_source(path: &Utf8Path) -> bool {
    let in_cache = || path.parent().is_some_and(|dir| dir.file_name() == Some(".sqlx"));
    match path.extension() {
        Some("rs" | "sql") => true,
        Some("json") => in_cache(),
        Some(_) | None => false,
    }
}
