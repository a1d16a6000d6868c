//! The old release for real: its own revision, its own command, at every stage.

mod checkout;
mod child;

use std::{fmt, ops::ControlFlow, process::Command, time::Duration};

use camino::Utf8PathBuf;
use newcol_core::plan::{Gate, StageKind};

pub(super) use self::checkout::Checkout;
use self::child::Sign;
use super::{Progress, RehearseError};
use crate::{
    life::{self, Life},
    scratch::ScratchDb,
};

/// A release to check out, and what to run there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldRelease {
    /// A directory of the repository: the command runs in the same one of the old release.
    pub dir: Utf8PathBuf,
    /// Any name of a commit that Git understands.
    pub rev: String,
    /// Program and arguments. It gets `DATABASE_URL`, and the stage's name as `NEWCOL_STAGE`.
    pub command: Vec<String>,
    /// Where its files and its build stay, so that a second rehearsal builds only what differs. Git
    /// knows of `<work>/tree` only while the rehearsal runs.
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
    /// How long it ran.
    pub took: Duration,
}

impl OldReleaseRun {
    /// Reports whether a promise is broken.
    pub fn is_fault(&self) -> bool {
        self.promised && self.exit != Some(0)
    }
}

impl fmt::Display for OldReleaseRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", moment(self.after))?;
        let took = self.took.as_secs_f64();
        match self.exit {
            Some(0) => return write!(f, "passes in {took:.1} s"),
            Some(_) | None if !self.promised => {
                return write!(f, "fails in {took:.1} s, as it may by then");
            }
            Some(code) => write!(f, "the old release's command ends with {code}")?,
            None => write!(f, "the old release's command ends by a signal")?,
        }
        if self.after.is_none() {
            write!(f, " without any stage, so that none was tried")?;
        }
        write!(f, ":\n    {}", self.tail.replace('\n', "\n    "))
    }
}

/// Returns a moment's name.
fn moment(after: Option<StageKind>) -> &'static str {
    after.map_or("before", StageKind::name)
}

/// Runs the command before the first stage and, where it passes there, after each.
pub(super) fn run(
    old: &OldRelease,
    checkout: &Checkout,
    life: &Life,
    database: &dyn Fn() -> Result<ScratchDb, RehearseError>,
    tell: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Vec<OldReleaseRun>, RehearseError> {
    let gone = life.plan.stages.iter().find(|s| s.gates.contains(&Gate::OldWritersGone));
    let gone = gone.map(|stage| stage.kind);
    let acting = life.stages.iter().filter(|stage| !stage.actions.is_empty());
    let mut runs: Vec<OldReleaseRun> = Vec::new();
    for after in std::iter::once(None).chain(acting.map(|stage| Some(stage.kind))) {
        if tell(Progress::OldRelease { after }).is_break() {
            return Err(RehearseError::Stopped);
        }
        let db = database()?;
        for (stage, action) in life.actions() {
            if Some(stage) > after {
                break;
            }
            let mut session = life::open(db.url())?;
            action.run(&mut session).map_err(life::LifeError::from)?;
        }
        let command = command(old, checkout, after, db.url());
        let ended = child::run(command, &mut |sign| {
            tell(match sign {
                Sign::Line(line) => Progress::Line(line),
                Sign::Alive => Progress::Alive,
            })
        });
        let ended = ended.map_err(|error| RehearseError::OldRelease(error.into()))?;
        let child::Ended { exit, tail, took } = ended.ok_or(RehearseError::Stopped)?;
        let promised = gone.is_none_or(|gone| after.is_none_or(|after| after < gone));
        runs.push(OldReleaseRun { after, promised, exit, tail, took });
        if after.is_none() && exit != Some(0) {
            break;
        }
    }
    Ok(runs)
}

fn command(old: &OldRelease, checkout: &Checkout, after: Option<StageKind>, url: &str) -> Command {
    let (program, args) = old.command.split_first().expect("`Checkout::new` refuses an empty one");
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(&checkout.dir)
        .env("DATABASE_URL", url)
        .env("NEWCOL_STAGE", moment(after))
        .env("CARGO_TARGET_DIR", &checkout.target);
    if checkout.pins_toolchain() {
        // What rustup says there is the toolchain of the project as it is now.
        command.env_remove("RUSTUP_TOOLCHAIN");
    }
    command
}
