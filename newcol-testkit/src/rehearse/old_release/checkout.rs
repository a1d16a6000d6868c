//! The files of the old release, in a working tree that Git knows only while the rehearsal runs.
//!
//! Between two rehearsals the files wait beside it: what the releases have in common keeps its time
//! stamps, so that Cargo builds only what differs.

use std::{
    fs::{self, File, OpenOptions},
    process::{Command, Stdio},
};

use camino::{Utf8Path, Utf8PathBuf};

use super::OldRelease;
use crate::scratch::{BoxError, error::chain};

/// A working tree of the old release, unknown to Git again when dropped.
pub(in crate::rehearse) struct Checkout {
    repository: Utf8PathBuf,
    /// Its root.
    tree: Utf8PathBuf,
    /// Where its files are between two rehearsals.
    kept: Utf8PathBuf,
    /// Where commands run.
    pub(super) dir: Utf8PathBuf,
    /// Where Cargo builds.
    pub(super) target: Utf8PathBuf,
    _turn: File,
}

impl Checkout {
    /// Checks the release out, unless another rehearsal uses the place.
    pub(in crate::rehearse) fn new(old: &OldRelease) -> Result<Self, BoxError> {
        if old.command.is_empty() {
            return Err("no command was given".into());
        }
        let rev = find(old)?;
        let repository = Utf8PathBuf::from(git(&old.dir, &["rev-parse", "--show-toplevel"])?);
        let below = git(&old.dir, &["rev-parse", "--show-prefix"])?;
        fs::create_dir_all(&old.work).map_err(|error| failed("make", &old.work, &error))?;
        let turn = take_turn(&old.work)?;
        let (tree, kept) = (old.work.join("tree"), old.work.join("kept"));
        let dir = tree.join(below);
        let target = old.work.join("target");
        let checkout = Self { repository, tree, kept, dir, target, _turn: turn };
        // A killed rehearsal left it.
        checkout.put_away();
        checkout.set_up(&rev)?;
        Ok(checkout)
    }

    fn set_up(&self, rev: &str) -> Result<(), BoxError> {
        let add = ["worktree", "add", "--detach"];
        if !self.kept.exists() {
            git(&self.repository, &[&add[..], &[self.tree.as_str(), rev]].concat())?;
            return Ok(());
        }
        git(&self.repository, &[&add[..], &["--no-checkout", self.tree.as_str(), rev]].concat())?;
        let link = self.tree.join(".git");
        fs::rename(&link, self.kept.join(".git")).map_err(|e| failed("move", &link, &e))?;
        fs::remove_dir(&self.tree).map_err(|error| failed("remove", &self.tree, &error))?;
        fs::rename(&self.kept, &self.tree).map_err(|e| failed("move", &self.kept, &e))?;
        // Compares contents first, so that only what differs is written.
        git(&self.tree, &["reset", "--quiet"])?;
        git(&self.tree, &["reset", "--quiet", "--hard"])?;
        git(&self.tree, &["clean", "--quiet", "-ffdx"])?;
        Ok(())
    }

    /// Makes Git forget the tree, and keeps its files.
    fn put_away(&self) {
        if !self.tree.exists() {
            return;
        }
        fs::remove_dir_all(&self.kept).ok();
        fs::rename(&self.tree, &self.kept).ok();
        fs::remove_file(self.kept.join(".git")).ok();
        // Where the files could not be moved they go, and the next build is a longer one.
        git(&self.repository, &["worktree", "remove", "--force", self.tree.as_str()]).ok();
        fs::remove_dir_all(&self.tree).ok();
    }

    /// Reports whether the release names a toolchain of its own.
    pub(super) fn pins_toolchain(&self) -> bool {
        let names = ["rust-toolchain.toml", "rust-toolchain"];
        let dirs = self.dir.ancestors().take_while(|dir| dir.starts_with(&self.tree));
        dirs.flat_map(|dir| names.map(|name| dir.join(name))).any(|path| path.exists())
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        self.put_away();
    }
}

/// Finds the commit.
fn find(old: &OldRelease) -> Result<String, BoxError> {
    let rev =
        git(&old.dir, &["rev-parse", "--verify", "--quiet", &format!("{}^{{commit}}", old.rev)]);
    rev.map_err(|_| {
        format!("`{}` names no commit of the repository at {}", old.rev, old.dir).into()
    })
}

/// Keeps other rehearsals away until the file is closed, however this process ends.
fn take_turn(work: &Utf8Path) -> Result<File, BoxError> {
    let path = work.join("lock");
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let file = file.map_err(|error| failed("open", &path, &error))?;
    match fs4::FileExt::try_lock(&file) {
        Ok(()) => Ok(file),
        Err(_) => Err(format!("another rehearsal is using {work}").into()),
    }
}

fn git(dir: &Utf8Path, args: &[&str]) -> Result<String, BoxError> {
    let output = Command::new("git").arg("-C").arg(dir).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("could not run `git`: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`git {}` said: {}", args.join(" "), said.trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn failed(action: &str, path: &Utf8Path, error: &std::io::Error) -> BoxError {
    format!("could not {action} {path}: {}", chain(error)).into()
}
