//! The old release for real: its own revision, its own command, at every stage.

use std::{
    fmt, fs, io,
    process::{Command, Output, Stdio},
};

use camino::{Utf8Path, Utf8PathBuf};
use newcol_core::plan::{Gate, StageKind};

use super::RehearseError;
use crate::{
    life::{self, Life},
    scratch::{BoxError, ScratchDb, error::chain},
};

/// Lines of a command's output that a report repeats.
const TAIL: usize = 20;

/// A release to check out, and what to run there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldRelease {
    /// A directory of the repository: the command runs in the same one of the old release.
    pub dir: Utf8PathBuf,
    /// Any name of a commit that Git understands.
    pub rev: String,
    /// Program and arguments. It gets `DATABASE_URL`, and the stage's name as `NEWCOL_STAGE`.
    pub command: Vec<String>,
    /// Where the checkout and its build may stay: `<work>/tree` is removed in the end,
    /// `<work>/target` is kept, so that a second rehearsal builds nothing.
    pub work: Utf8PathBuf,
}

/// The command at one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldReleaseRun {
    /// The stage that was reached; `None` before the first.
    pub after: Option<StageKind>,
    /// Whether the old release is promised to work there.
    pub promised: bool,
    /// Its exit code; `None` if a signal ended it.
    pub exit: Option<i32>,
    /// The end of what it printed.
    pub tail: String,
}

impl OldReleaseRun {
    /// Reports whether a promise is broken.
    pub fn is_fault(&self) -> bool {
        self.promised && self.exit != Some(0)
    }
}

impl fmt::Display for OldReleaseRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = self.after.map_or("before", StageKind::name);
        match (self.exit, self.promised) {
            (Some(0), _) => write!(f, "{after}: passes"),
            (_, false) => write!(f, "{after}: fails, as it may by then"),
            (exit, true) => {
                let exit = exit.map_or("by a signal".to_owned(), |code| format!("with {code}"));
                let tail = self.tail.replace('\n', "\n    ");
                write!(f, "{after}: the old release's command ends {exit}:\n    {tail}")
            }
        }
    }
}

/// Checks the release out and runs its command before the first stage and after each.
pub(super) fn run(
    old: &OldRelease,
    life: &Life,
    database: &dyn Fn() -> Result<ScratchDb, RehearseError>,
) -> Result<Vec<OldReleaseRun>, RehearseError> {
    let checkout = Checkout::new(old).map_err(RehearseError::OldRelease)?;
    let gone = life.plan.stages.iter().find(|s| s.gates.contains(&Gate::OldWritersGone));
    let gone = gone.map(|stage| stage.kind);
    let acting = life.stages.iter().filter(|stage| !stage.actions.is_empty());
    let mut runs = Vec::new();
    for after in std::iter::once(None).chain(acting.map(|stage| Some(stage.kind))) {
        let db = database()?;
        for (stage, action) in life.actions() {
            if Some(stage) > after {
                break;
            }
            let mut session = life::open(db.url())?;
            action.run(&mut session)?;
        }
        let output = checkout.run(old, after, db.url()).map_err(RehearseError::OldRelease)?;
        let promised = gone.is_none_or(|gone| after.is_none_or(|after| after < gone));
        let exit = output.status.code();
        runs.push(OldReleaseRun { after, promised, exit, tail: tail(&output) });
    }
    Ok(runs)
}

/// Finds the commit, so that a mistake is told before anything takes time.
pub(super) fn find(old: &OldRelease) -> Result<String, RehearseError> {
    let rev =
        git(&old.dir, &["rev-parse", "--verify", "--quiet", &format!("{}^{{commit}}", old.rev)]);
    rev.map_err(|_| {
        let why = format!("`{}` names no commit of the repository at {}", old.rev, old.dir);
        RehearseError::OldRelease(why.into())
    })
}

/// A working tree of the old release, gone when dropped.
struct Checkout {
    repository: Utf8PathBuf,
    tree: Utf8PathBuf,
    dir: Utf8PathBuf,
    target: Utf8PathBuf,
}

impl Checkout {
    fn new(old: &OldRelease) -> Result<Self, BoxError> {
        let top = git(&old.dir, &["rev-parse", "--show-toplevel"])?;
        let below = git(&old.dir, &["rev-parse", "--show-prefix"])?;
        let rev = find(old)?;
        fs::create_dir_all(&old.work).map_err(|error| file_error(&old.work, &error))?;
        let repository = Utf8PathBuf::from(top);
        let tree = old.work.join("tree");
        let checkout =
            Self { dir: tree.join(below), target: old.work.join("target"), repository, tree };
        // What a killed rehearsal left.
        checkout.remove();
        git(&checkout.repository, &["worktree", "add", "--detach", checkout.tree.as_str(), &rev])?;
        Ok(checkout)
    }

    fn run(
        &self,
        old: &OldRelease,
        after: Option<StageKind>,
        url: &str,
    ) -> Result<Output, BoxError> {
        let (program, args) = old.command.split_first().ok_or("no command was given")?;
        Command::new(program)
            .args(args)
            .current_dir(&self.dir)
            .env("DATABASE_URL", url)
            .env("NEWCOL_STAGE", after.map_or("before", StageKind::name))
            .env("CARGO_TARGET_DIR", &self.target)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("could not run `{program}`: {error}").into())
    }

    fn remove(&self) {
        if self.tree.exists() {
            // Git refuses what it does not know; then only the files are in the way.
            if git(&self.repository, &["worktree", "remove", "--force", self.tree.as_str()])
                .is_err()
            {
                fs::remove_dir_all(&self.tree).ok();
            }
        }
        git(&self.repository, &["worktree", "prune"]).ok();
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        self.remove();
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

fn file_error(path: &Utf8Path, error: &io::Error) -> BoxError {
    format!("could not make {path}: {}", chain(error)).into()
}

/// Returns the last lines of what a command printed.
fn tail(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text += &String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}
