//! The files of the old release, in a small repository that borrows its objects from the project's.
//!
//! Nothing is written to the project's own repository. The files stay for the next rehearsal: what
//! the releases have in common keeps its time stamps, so that Cargo builds only what differs.

use std::{
    fs::{self, File, OpenOptions},
    process::{Command, Stdio},
};

use camino::{Utf8Path, Utf8PathBuf};

use super::OldRelease;
use crate::scratch::{BoxError, error::chain};

/// What Git hands to its hooks, which would lead it back to the project's repository.
const OF_A_HOOK: [&str; 4] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"];

/// A working tree of the old release, which nobody else uses.
pub(in crate::rehearse) struct Checkout {
    /// Its root.
    tree: Utf8PathBuf,
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
        let repository = git(&old.dir, &["rev-parse", "--show-toplevel"])?;
        let below = git(&old.dir, &["rev-parse", "--show-prefix"])?;
        fs::create_dir_all(&old.work).map_err(|error| failed("make", &old.work, &error))?;
        let turn = take_turn(&old.work)?;
        let tree = old.work.join("tree");
        // Whatever is there: another project's, or one whose objects are gone.
        if check_out(&tree, &repository, &rev).is_err() {
            if tree.exists() {
                fs::remove_dir_all(&tree).map_err(|error| failed("remove", &tree, &error))?;
            }
            let clone = ["clone", "--quiet", "--shared", "--no-checkout"];
            git(&old.work, &[&clone[..], &[&repository, tree.as_str()]].concat())?;
            check_out(&tree, &repository, &rev)?;
        }
        Ok(Self { dir: tree.join(below), tree, target: old.work.join("target"), _turn: turn })
    }

    /// Reports whether the release names a toolchain of its own.
    pub(super) fn pins_toolchain(&self) -> bool {
        let names = ["rust-toolchain.toml", "rust-toolchain"];
        let dirs = self.dir.ancestors().take_while(|dir| dir.starts_with(&self.tree));
        dirs.flat_map(|dir| names.map(|name| dir.join(name))).any(|path| path.exists())
    }
}

/// Brings a clone to a commit, with the tags that build scripts ask for.
fn check_out(tree: &Utf8Path, repository: &str, rev: &str) -> Result<(), BoxError> {
    if !tree.join(".git").is_dir() {
        return Err(format!("{tree} is no repository").into());
    }
    let fetch = ["fetch", "--quiet", "--force", "--tags", "--update-shallow"];
    git(tree, &[&fetch[..], &[repository, rev]].concat())?;
    // Build scripts watch Git's own files, which a needless checkout would write.
    let is_there = git(tree, &["rev-parse", "HEAD"])? == rev;
    if !is_there || git(tree, &["diff-index", "--quiet", "HEAD"]).is_err() {
        git(tree, &["checkout", "--quiet", "--force", "--detach", rev])?;
    }
    git(tree, &["clean", "--quiet", "-ffdx"])?;
    Ok(())
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
    let mut command = Command::new("git");
    // Hooks are for people who work in a repository.
    command.args(["-c", "core.hooksPath=/dev/null", "-C"]).arg(dir).args(args);
    for name in OF_A_HOOK {
        command.env_remove(name);
    }
    let output = command.stdin(Stdio::null()).output();
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
