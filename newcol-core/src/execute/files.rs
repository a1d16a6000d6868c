//! Writes a [`FilePatch`]: all files or none, also when the disk fills up or the process is killed.
//!
//! New contents are written beside their targets first; then a journal names every target with its
//! backup, and only then are files renamed into place. A journal found later belongs to a killed
//! command: [`recover`] puts the backups back.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::render::patch::{Change, FilePatch};

/// Name of the journal, directly below the project's root while files are being replaced.
pub const JOURNAL: &str = ".newcol-journal";

/// Why files were not written; unless it says otherwise, not a byte has changed.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The file is not what the change was computed from.
    #[error("{path} has changed since it was read")]
    Changed {
        /// The file.
        path: Utf8PathBuf,
    },
    /// A file or directory could not be read, written or renamed.
    #[error("could not {action} {path}")]
    Io {
        /// What was tried, as an infinitive.
        action: &'static str,
        /// On what.
        path: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Writing failed half-way, and so did putting the files back.
    #[error("could not put {path} back; its former contents are in {backup}")]
    Stuck {
        /// The file.
        path: Utf8PathBuf,
        /// Where its former contents are.
        backup: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FilesError {
    fn io(action: &'static str, path: &Utf8Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

/// Writes every change below `root`, or none.
pub fn write(root: &Utf8Path, patch: &FilePatch) -> Result<(), FilesError> {
    if patch.is_empty() {
        return Ok(());
    }
    let mut made = Vec::new();
    let staged = stage(root, patch, &mut made);
    let staged = match staged {
        Ok(staged) => staged,
        Err(error) => {
            for dir in made.iter().rev() {
                drop(fs::remove_dir(dir));
            }
            return Err(error);
        }
    };
    let journal = root.join(JOURNAL);
    if let Err(error) = write_journal(&journal, &staged) {
        drop(fs::remove_file(&journal));
        discard(&staged, &made);
        return Err(error);
    }
    for file in &staged {
        if let Err(error) = replace(file) {
            put_back(&staged)?;
            drop(fs::remove_file(&journal));
            discard(&staged, &made);
            return Err(error);
        }
    }
    fs::remove_file(&journal).map_err(FilesError::io("remove", &journal))?;
    for file in &staged {
        drop(fs::remove_file(&file.backup));
        if file.new.is_none()
            && let Some(parent) = file.target.parent()
        {
            drop(fs::remove_dir(parent));
        }
    }
    Ok(())
}

/// Undoes what a killed command left behind. Returns the files that were put back.
pub fn recover(root: &Utf8Path) -> Result<Vec<Utf8PathBuf>, FilesError> {
    let journal = root.join(JOURNAL);
    let text = match fs::read_to_string(&journal) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FilesError::io("read", &journal)(error)),
    };
    let mut staged = Vec::new();
    for line in text.lines() {
        let mut fields = line.split('\t').map(Utf8PathBuf::from);
        if let (Some(target), Some(backup), Some(new)) =
            (fields.next(), fields.next(), fields.next())
        {
            let new = (!new.as_str().is_empty()).then_some(new);
            staged.push(Staged { target, backup, new, existed: fields.next().is_some() });
        }
    }
    put_back(&staged)?;
    fs::remove_file(&journal).map_err(FilesError::io("remove", &journal))?;
    discard(&staged, &[]);
    Ok(staged.into_iter().map(|s| s.target).collect())
}

/// A change whose new contents lie beside its target.
struct Staged {
    target: Utf8PathBuf,
    /// Where the old contents go.
    backup: Utf8PathBuf,
    /// Where the new contents wait; `None` deletes.
    new: Option<Utf8PathBuf>,
    existed: bool,
}

fn stage(
    root: &Utf8Path,
    patch: &FilePatch,
    made: &mut Vec<Utf8PathBuf>,
) -> Result<Vec<Staged>, FilesError> {
    let mut staged: Vec<Staged> = Vec::new();
    for change in patch.changes() {
        let result = stage_one(root, change, made);
        match result {
            Ok(file) => staged.push(file),
            Err(error) => {
                for file in staged.iter().filter_map(|s| s.new.as_ref()) {
                    drop(fs::remove_file(file));
                }
                return Err(error);
            }
        }
    }
    Ok(staged)
}

fn stage_one(
    root: &Utf8Path,
    change: &Change,
    made: &mut Vec<Utf8PathBuf>,
) -> Result<Staged, FilesError> {
    let target = root.join(&change.path);
    let now = match fs::read(&target) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(FilesError::io("read", &target)(error)),
    };
    if now.as_deref() != change.before.as_ref().map(String::as_bytes) {
        return Err(FilesError::Changed { path: change.path.clone() });
    }
    let name = target.file_name().unwrap_or("file");
    let parent = target.parent().unwrap_or(root);
    make_dirs(parent, made)?;
    let new = match &change.after {
        None => None,
        Some(text) => {
            let new = parent.join(format!(".{name}.newcol-new"));
            let written = write_new(&new, text.as_bytes(), &target);
            if let Err(error) = written {
                drop(fs::remove_file(&new));
                return Err(FilesError::io("write", &target)(error));
            }
            Some(new)
        }
    };
    let backup = parent.join(format!(".{name}.newcol-old"));
    Ok(Staged { target, backup, new, existed: change.before.is_some() })
}

fn make_dirs(dir: &Utf8Path, made: &mut Vec<Utf8PathBuf>) -> Result<(), FilesError> {
    if dir.as_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_dirs(parent, made)?;
    }
    fs::create_dir(dir).map_err(FilesError::io("create", dir))?;
    made.push(dir.to_owned());
    Ok(())
}

/// Writes through to the disk, with the permissions of the file it will replace.
fn write_new(new: &Utf8Path, bytes: &[u8], target: &Utf8Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(new)?;
    file.write_all(bytes)?;
    if let Ok(metadata) = fs::metadata(target) {
        if metadata.permissions().readonly() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        file.set_permissions(metadata.permissions())?;
    }
    file.sync_all()
}

fn write_journal(journal: &Utf8Path, staged: &[Staged]) -> Result<(), FilesError> {
    let lines: String = staged
        .iter()
        .map(|s| {
            let new = s.new.as_deref().unwrap_or(Utf8Path::new(""));
            let existed = if s.existed { "\texisted" } else { "" };
            format!("{}\t{}\t{new}{existed}\n", s.target, s.backup)
        })
        .collect();
    let write = || {
        let mut file = File::create(journal)?;
        file.write_all(lines.as_bytes())?;
        file.sync_all()
    };
    write().map_err(FilesError::io("write", journal))
}

fn replace(file: &Staged) -> Result<(), FilesError> {
    if file.existed {
        fs::rename(&file.target, &file.backup).map_err(FilesError::io("replace", &file.target))?;
    }
    if let Some(new) = &file.new {
        fs::rename(new, &file.target).map_err(FilesError::io("replace", &file.target))?;
    }
    Ok(())
}

/// Restores every target, whether it was replaced yet or not.
fn put_back(staged: &[Staged]) -> Result<(), FilesError> {
    for file in staged {
        let stuck = |source| FilesError::Stuck {
            path: file.target.clone(),
            backup: file.backup.clone(),
            source,
        };
        if file.existed {
            if file.backup.exists() {
                fs::rename(&file.backup, &file.target).map_err(stuck)?;
            }
        } else if file.new.as_ref().is_some_and(|new| !new.exists()) {
            match fs::remove_file(&file.target) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(stuck(error)),
                Err(_) | Ok(()) => {}
            }
        }
    }
    Ok(())
}

/// Removes contents that never came into place, and directories made for them.
fn discard(staged: &[Staged], made: &[Utf8PathBuf]) {
    for file in staged {
        if let Some(new) = &file.new {
            drop(fs::remove_file(new));
        }
        if !file.existed
            && let Some(parent) = file.target.parent()
        {
            // Fails, as it should, for a directory that holds anything else.
            drop(fs::remove_dir(parent));
        }
    }
    for dir in made.iter().rev() {
        drop(fs::remove_dir(dir));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        (dir, path)
    }

    fn tree(root: &Utf8Path) -> Vec<(String, String)> {
        let mut files = Vec::new();
        let mut dirs = vec![root.to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in dir.read_dir_utf8().unwrap() {
                let path = entry.unwrap().into_path();
                if path.is_dir() {
                    files.push((path.to_string(), String::from("(directory)")));
                    dirs.push(path);
                } else {
                    files.push((path.to_string(), fs::read_to_string(&path).unwrap()));
                }
            }
        }
        files.sort();
        files
    }

    fn patch() -> FilePatch {
        let mut patch = FilePatch::default();
        patch.push("schema.rs", Some("old".into()), Some("new".into()));
        patch.push("migrations/1/up.sql", None, Some("up".into()));
        patch.push("gone.rs", Some("gone".into()), None);
        patch
    }

    fn start(root: &Utf8Path) {
        fs::write(root.join("schema.rs"), "old").unwrap();
        fs::write(root.join("gone.rs"), "gone").unwrap();
    }

    #[test]
    fn everything_is_written() {
        let (_dir, root) = root();
        start(&root);
        write(&root, &patch()).unwrap();
        let names: Vec<String> = tree(&root)
            .into_iter()
            .map(|(p, t)| format!("{}={t}", &p[root.as_str().len()..]))
            .collect();
        assert_eq!(
            names,
            [
                "/migrations=(directory)",
                "/migrations/1=(directory)",
                "/migrations/1/up.sql=up",
                "/schema.rs=new"
            ]
        );
    }

    #[test]
    fn a_changed_file_stops_everything() {
        let (_dir, root) = root();
        start(&root);
        fs::write(root.join("gone.rs"), "changed").unwrap();
        let before = tree(&root);
        assert!(matches!(write(&root, &patch()), Err(FilesError::Changed { .. })));
        assert_eq!(tree(&root), before);
    }

    #[test]
    fn a_kill_at_any_moment_is_undone() {
        for done in 0..=3 {
            let (_dir, root) = root();
            start(&root);
            let before = tree(&root);
            let staged = stage(&root, &patch(), &mut Vec::new()).unwrap();
            write_journal(&root.join(JOURNAL), &staged).unwrap();
            for file in &staged[..done] {
                replace(file).unwrap();
            }
            recover(&root).unwrap();
            let after: Vec<_> =
                tree(&root).into_iter().filter(|(p, _)| !p.ends_with("/migrations")).collect();
            assert_eq!(after, before, "killed after {done} files");
        }
    }
}
