//! The old release for real: its own revision, its own command, at every stage.

mod checkout;

use std::{
    fmt,
    ops::{ControlFlow, RangeInclusive},
    process::Command,
    time::Duration,
};

use camino::Utf8PathBuf;
use newcol_core::{
    plan::{Gate, StageKind},
    render::text,
};

pub(super) use self::checkout::Checkout;
use super::{Progress, RehearseError};
use crate::{
    child::{self, Sign},
    life::{self, Life},
    scratch::ScratchDb,
};

/// How long a command may run without its table, where three times as long as with it is less or
/// more: its first run may have been an instant, or the compiler's.
const PATIENCE: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(300);

/// A release to check out, and what to run there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldRelease {
    /// A directory of the repository: the command runs in the same one of the old release.
    pub dir: Utf8PathBuf,
    /// Any name of a commit that Git understands.
    pub rev: String,
    /// Program and arguments. It gets `DATABASE_URL`, and [`OldReleaseAt::name`] as
    /// `NEWCOL_STAGE`.
    pub command: Vec<String>,
    /// Where its files (`tree`) and its build (`target`) stay, so that a second rehearsal builds
    /// only what differs.
    pub work: Utf8PathBuf,
}

/// Where the command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldReleaseAt {
    /// Before the first stage.
    Before,
    /// The same, but the column's table is gone: a command that passes here would pass whatever the
    /// stages do.
    WithoutTable,
    /// After a stage.
    After(StageKind),
}

impl OldReleaseAt {
    /// Returns its name in reports, and in `NEWCOL_STAGE`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::WithoutTable => "without-table",
            Self::After(stage) => stage.name(),
        }
    }
}

/// The command, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldReleaseRun {
    /// Where it ran.
    pub at: OldReleaseAt,
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
    /// Returns what is wrong, if a promise is broken or the command can prove none.
    pub fn fault(&self) -> Option<String> {
        let passes = self.exit == Some(0);
        let at = self.at.name();
        let so = match self.at {
            OldReleaseAt::WithoutTable if passes => {
                return Some(format!(
                    "{at}: the old release's command passes without the column's table, so that it \
                     proves nothing and no stage was tried"
                ));
            }
            OldReleaseAt::Before if !passes => " without any stage, so that none was tried",
            OldReleaseAt::After(_) if !passes && self.promised => "",
            OldReleaseAt::Before | OldReleaseAt::WithoutTable | OldReleaseAt::After(_) => {
                return None;
            }
        };
        let end = self.exit.map_or("by a signal".to_owned(), |code| format!("with {code}"));
        let tail = self.tail.replace('\n', "\n    ");
        Some(format!("{at}: the old release's command ends {end}{so}:\n    {tail}"))
    }
}

impl fmt::Display for OldReleaseRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self.at, self.exit) {
            (OldReleaseAt::WithoutTable, None) => "comes to no end",
            (_, Some(0)) => "passes",
            (_, _) => "fails",
        };
        write!(f, "{}: {what} in {:.1} s", self.at.name(), self.took.as_secs_f64())?;
        match (self.at, self.exit) {
            (OldReleaseAt::WithoutTable, Some(0)) => write!(f, ", and must not"),
            (OldReleaseAt::WithoutTable, Some(_)) => write!(f, ", as it must"),
            (OldReleaseAt::WithoutTable, None) => Ok(()),
            (_, Some(0)) => Ok(()),
            (_, _) if self.promised => write!(f, ", and must not"),
            (_, _) => write!(f, ", as it may by then"),
        }
    }
}

/// Runs the command before the first stage and after each, as long as that can prove anything.
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
    let stages = acting.map(|stage| OldReleaseAt::After(stage.kind));
    let mut runs: Vec<OldReleaseRun> = Vec::new();
    for at in [OldReleaseAt::Before, OldReleaseAt::WithoutTable].into_iter().chain(stages) {
        if tell(Progress::OldRelease { at }).is_break() {
            return Err(RehearseError::Stopped);
        }
        let db = database()?;
        bring(&db, life, at)?;
        let command = command(old, checkout, at, db.url());
        // Without its table a command may wait for it for ever.
        let limit = match (at, runs.first()) {
            (OldReleaseAt::WithoutTable, Some(before)) => {
                Some((before.took * 3).clamp(*PATIENCE.start(), *PATIENCE.end()))
            }
            _ => None,
        };
        let ended = child::run(command, limit, &mut |sign| {
            tell(match sign {
                Sign::Line(line) => Progress::Line(line),
                Sign::Alive => Progress::Alive,
            })
        });
        let ended = ended.map_err(|error| RehearseError::OldRelease(error.into()))?;
        let child::Ended { exit, tail, took, .. } = ended.ok_or(RehearseError::Stopped)?;
        let promised = match at {
            OldReleaseAt::Before => true,
            OldReleaseAt::WithoutTable => false,
            OldReleaseAt::After(stage) => gone.is_none_or(|gone| stage < gone),
        };
        let run = OldReleaseRun { at, promised, exit, tail, took };
        let is_over = run.fault().is_some() && !matches!(at, OldReleaseAt::After(_));
        runs.push(run);
        if is_over {
            break;
        }
    }
    Ok(runs)
}

/// Takes a fresh database to where the command runs.
fn bring(db: &ScratchDb, life: &Life, at: OldReleaseAt) -> Result<(), RehearseError> {
    let reached = match at {
        OldReleaseAt::Before => return Ok(()),
        OldReleaseAt::WithoutTable => {
            let backend = life.plan.backend();
            let table = text::table(backend, life.plan.contract.table());
            let away = text::quote(backend, "newcol_away");
            return Ok(db.run(&[&format!("ALTER TABLE {table} RENAME TO {away}")])?);
        }
        OldReleaseAt::After(stage) => stage,
    };
    for (_, action) in life.actions().take_while(|(stage, _)| *stage <= reached) {
        let mut session = life::open(db.url())?;
        action.run(&mut session)?;
    }
    Ok(())
}

fn command(old: &OldRelease, checkout: &Checkout, at: OldReleaseAt, url: &str) -> Command {
    let (program, args) = old.command.split_first().expect("`Checkout::new` refuses an empty one");
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(&checkout.dir)
        .env("DATABASE_URL", url)
        .env("NEWCOL_STAGE", at.name())
        .env("CARGO_TARGET_DIR", &checkout.target);
    if checkout.pins_toolchain() {
        // What rustup says there is the toolchain of the project as it is now.
        command.env_remove("RUSTUP_TOOLCHAIN");
    }
    command
}
