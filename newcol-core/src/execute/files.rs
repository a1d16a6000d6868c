//! Writes a [`FilePatch`]: all files or none, also when the disk fills up or the process is killed.
//!
//! A journal is written first and names every file with its backup. New contents are then written
//! beside their targets, and only when all of them are there are files renamed into place. A
//! journal found later belongs to a killed command: [`recover`] puts the backups back. Once every
//! file is in place the journal gets another name, under which it only says what to clean up.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::render::patch::{Change, FilePatch};

/// Name of the journal, directly below the project's root while files are being replaced.
pub const JOURNAL: &str = ".newcol-journal";

/// Its name while it is being written.
const JOURNAL_NEW: &str = ".newcol-journal.new";

/// Its name once every file is in place.
const JOURNAL_DONE: &str = ".newcol-journal.done";

/// Why files were not written; unless it says otherwise, not a byte has changed.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The file is not what the change was computed from.
    #[error("{path} has changed since it was read")]
    Changed {
        /// The file.
        path: Utf8PathBuf,
    },
    /// Another process holds the journal.
    #[error("another command is writing files of this project")]
    Busy {
        /// The journal.
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
    let work = Work::plan(root, patch)?;
    let journal = work.write_journal(root)?;
    if let Err(error) = work.stage(patch).and_then(|()| work.replace()) {
        work.put_back()?;
        work.discard();
        drop(fs::remove_file(root.join(JOURNAL)));
        drop(journal);
        return Err(error);
    }
    let (running, done) = (root.join(JOURNAL), root.join(JOURNAL_DONE));
    fs::rename(&running, &done).map_err(FilesError::io("rename", &running))?;
    work.clean();
    fs::remove_file(&done).map_err(FilesError::io("remove", &done))?;
    drop(journal);
    Ok(())
}

/// Writes one file outside of any project's keeping, such as a report: wholly, or not at all.
pub fn write_report(path: &Utf8Path, text: &str) -> Result<(), FilesError> {
    let new = Utf8PathBuf::from(format!("{path}.newcol-new"));
    let written = fs::write(&new, text)
        .map_err(FilesError::io("write", path))
        .and_then(|()| fs::rename(&new, path).map_err(FilesError::io("write", path)));
    if written.is_err() {
        // The first error says what is wrong.
        fs::remove_file(&new).ok();
    }
    written
}

/// Reports whether a command was killed while it wrote, so that files may be half there.
pub fn interrupted(root: &Utf8Path) -> bool {
    root.join(JOURNAL).exists()
}

/// Undoes what a killed command left behind. Returns the files that were put back.
pub fn recover(root: &Utf8Path) -> Result<Vec<Utf8PathBuf>, FilesError> {
    // A journal that never got its name describes nothing that happened.
    if let Some((_held, _)) = open_journal(&root.join(JOURNAL_NEW))? {
        remove(&root.join(JOURNAL_NEW))?;
    }
    if let Some((_held, work)) = open_journal(&root.join(JOURNAL_DONE))? {
        work.clean();
        remove(&root.join(JOURNAL_DONE))?;
    }
    let Some((_held, work)) = open_journal(&root.join(JOURNAL))? else { return Ok(Vec::new()) };
    work.put_back()?;
    work.discard();
    remove(&root.join(JOURNAL))?;
    Ok(work.files.into_iter().map(|file| file.target).collect())
}

fn remove(path: &Utf8Path) -> Result<(), FilesError> {
    fs::remove_file(path).map_err(FilesError::io("remove", path))
}

/// Reads a journal and keeps others away from it; `None` where there is none.
fn open_journal(path: &Utf8Path) -> Result<Option<(File, Work)>, FilesError> {
    let held = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FilesError::io("read", path)(error)),
    };
    hold(&held, path)?;
    let text = io::read_to_string(&held).map_err(FilesError::io("read", path))?;
    Ok(Some((held, Work::read(&text))))
}

/// The lock goes with the process, so a journal without one was left by a killed command.
fn hold(file: &File, path: &Utf8Path) -> Result<(), FilesError> {
    match fs4::FileExt::try_lock(file) {
        Ok(()) => Ok(()),
        Err(fs4::TryLockError::WouldBlock) => Err(FilesError::Busy { path: path.to_owned() }),
        Err(fs4::TryLockError::Error(error)) => Err(FilesError::io("lock", path)(error)),
    }
}

/// Every path that a command touches, known before it touches one.
#[derive(Debug, Default, PartialEq, Eq)]
struct Work {
    /// Directories to be made, outermost first.
    dirs: Vec<Utf8PathBuf>,
    files: Vec<FileWork>,
}

#[derive(Debug, PartialEq, Eq)]
struct FileWork {
    target: Utf8PathBuf,
    /// Where the old contents go.
    backup: Utf8PathBuf,
    /// Where the new contents wait; `None` deletes.
    new: Option<Utf8PathBuf>,
    existed: bool,
}

impl Work {
    /// Looks at every target and changes nothing.
    fn plan(root: &Utf8Path, patch: &FilePatch) -> Result<Self, FilesError> {
        let mut work = Self::default();
        for change in patch.changes() {
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
            let missing = parent.ancestors().take_while(|dir| dir.starts_with(root));
            let missing: Vec<&Utf8Path> = missing.take_while(|dir| !dir.exists()).collect();
            for dir in missing.into_iter().rev() {
                if !work.dirs.iter().any(|known| known == dir) {
                    work.dirs.push(dir.to_owned());
                }
            }
            work.files.push(FileWork {
                backup: parent.join(format!(".{name}.newcol-old")),
                new: change.after.as_ref().map(|_| parent.join(format!(".{name}.newcol-new"))),
                existed: change.before.is_some(),
                target,
            });
        }
        Ok(work)
    }

    fn read(text: &str) -> Self {
        let mut work = Self::default();
        for line in text.lines() {
            let mut fields = line.split('\t');
            let (kind, target) = (fields.next(), fields.next().map(Utf8PathBuf::from));
            match (kind, target, fields.next(), fields.next()) {
                (Some("directory"), Some(dir), ..) => work.dirs.push(dir),
                (Some(kind), Some(target), Some(backup), Some(new)) => work.files.push(FileWork {
                    target,
                    backup: backup.into(),
                    new: (!new.is_empty()).then(|| new.into()),
                    existed: kind == "replace",
                }),
                _ => {}
            }
        }
        work
    }

    /// Writes the journal under another name first, so that it is never half there.
    fn write_journal(&self, root: &Utf8Path) -> Result<File, FilesError> {
        let dirs = self.dirs.iter().map(|dir| format!("directory\t{dir}\n"));
        let files = self.files.iter().map(|file| {
            let kind = if file.existed { "replace" } else { "create" };
            let new = file.new.as_deref().unwrap_or(Utf8Path::new(""));
            format!("{kind}\t{}\t{}\t{new}\n", file.target, file.backup)
        });
        let text: String = dirs.chain(files).collect();
        let (path, new) = (root.join(JOURNAL), root.join(JOURNAL_NEW));
        if path.exists() {
            return Err(FilesError::Busy { path });
        }
        let mut file = File::create(&new).map_err(FilesError::io("write", &path))?;
        hold(&file, &new)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&new, &path));
        if let Err(error) = written {
            drop(fs::remove_file(&new));
            return Err(FilesError::io("write", &path)(error));
        }
        Ok(file)
    }

    /// Puts all new contents beside their targets.
    fn stage(&self, patch: &FilePatch) -> Result<(), FilesError> {
        for dir in &self.dirs {
            fs::create_dir(dir).map_err(FilesError::io("create", dir))?;
        }
        for (file, change) in self.files.iter().zip(patch.changes()) {
            let Change { after: Some(text), .. } = change else { continue };
            let new = file.new.as_deref().unwrap_or(&file.target);
            write_new(new, text.as_bytes(), &file.target)
                .map_err(FilesError::io("write", &file.target))?;
        }
        Ok(())
    }

    fn replace(&self) -> Result<(), FilesError> {
        self.files.iter().try_for_each(FileWork::replace)
    }

    /// Restores every target, whether it was replaced yet or not.
    fn put_back(&self) -> Result<(), FilesError> {
        self.files.iter().try_for_each(FileWork::put_back)
    }

    /// Removes contents that never came into place, and directories made for them.
    fn discard(&self) {
        for new in self.files.iter().filter_map(|file| file.new.as_ref()) {
            drop(fs::remove_file(new));
        }
        for dir in self.dirs.iter().rev() {
            // Fails, as it should, for a directory that holds anything else.
            drop(fs::remove_dir(dir));
        }
    }

    /// Removes the former contents, and directories that lost their last file.
    fn clean(&self) {
        for file in &self.files {
            drop(fs::remove_file(&file.backup));
            if file.new.is_none()
                && let Some(parent) = file.target.parent()
            {
                drop(fs::remove_dir(parent));
            }
        }
    }
}

impl FileWork {
    fn replace(&self) -> Result<(), FilesError> {
        let failed = |error| FilesError::io("replace", &self.target)(error);
        if self.existed {
            fs::rename(&self.target, &self.backup).map_err(failed)?;
        }
        if let Some(new) = &self.new {
            fs::rename(new, &self.target).map_err(failed)?;
        }
        Ok(())
    }

    fn put_back(&self) -> Result<(), FilesError> {
        let stuck = |source| FilesError::Stuck {
            path: self.target.clone(),
            backup: self.backup.clone(),
            source,
        };
        if self.existed {
            if self.backup.exists() {
                fs::rename(&self.backup, &self.target).map_err(stuck)?;
            }
        } else if self.new.as_ref().is_some_and(|new| !new.exists()) {
            match fs::remove_file(&self.target) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(stuck(error)),
                Err(_) | Ok(()) => {}
            }
        }
        Ok(())
    }
}

/// Writes new contents, with the permissions of the file they will replace.
///
/// Only what replaces something is written through to the disk: after a power cut, the former
/// contents would be lost with it, while files that were new can be made again.
fn write_new(new: &Utf8Path, bytes: &[u8], target: &Utf8Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(new)?;
    file.write_all(bytes)?;
    if let Ok(metadata) = fs::metadata(target) {
        if metadata.permissions().readonly() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        file.set_permissions(metadata.permissions())?;
        file.sync_all()?;
    }
    Ok(())
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
        for done in 0..=4_usize {
            let (_dir, root) = root();
            start(&root);
            let before = tree(&root);
            let work = Work::plan(&root, &patch()).unwrap();
            drop(work.write_journal(&root).unwrap());
            if done > 0 {
                work.stage(&patch()).unwrap();
            }
            for file in work.files.iter().take(done.saturating_sub(1)) {
                file.replace().unwrap();
            }
            assert!(interrupted(&root));
            recover(&root).unwrap();
            assert_eq!(tree(&root), before, "killed after {done} moves");
        }
    }

    #[test]
    fn a_kill_before_the_clean_up_keeps_what_was_written() {
        let (_dir, root) = root();
        start(&root);
        let work = Work::plan(&root, &patch()).unwrap();
        drop(work.write_journal(&root).unwrap());
        work.stage(&patch()).unwrap();
        work.replace().unwrap();
        fs::rename(root.join(JOURNAL), root.join(JOURNAL_DONE)).unwrap();
        assert_eq!(recover(&root).unwrap(), [""; 0].map(Utf8PathBuf::from));
        assert_eq!(fs::read_to_string(root.join("schema.rs")).unwrap(), "new");
        assert!(tree(&root).iter().all(|(path, _)| !path.contains("newcol")));
    }

    #[test]
    fn a_journal_reads_back() {
        let (_dir, root) = root();
        start(&root);
        let work = Work::plan(&root, &patch()).unwrap();
        drop(work.write_journal(&root).unwrap());
        let text = fs::read_to_string(root.join(JOURNAL)).unwrap();
        assert_eq!(Work::read(&text), work);
    }

    #[test]
    fn a_journal_that_is_held_is_left_alone() {
        let (_dir, root) = root();
        start(&root);
        let work = Work::plan(&root, &patch()).unwrap();
        let _held = work.write_journal(&root).unwrap();
        assert!(matches!(recover(&root), Err(FilesError::Busy { .. })));
        assert!(matches!(write(&root, &patch()), Err(FilesError::Busy { .. })));
        assert!(interrupted(&root));
    }
}
