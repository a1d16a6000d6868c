//! What a command runs in: workspace, environment, clock, resolved once and passed first.

mod facts;
mod gates;
mod project;
mod released;
mod scaffold;

use std::cell::OnceCell;

use camino::{Utf8Path, Utf8PathBuf};
pub(crate) use facts::{Origin, Wish};
pub(crate) use gates::{GateState, Step, Witness, Word, observing};
use newcol_core::{
    db::PgEnv,
    execute::files,
    render::{migrations::Version, patch::FilePatch},
};
pub(crate) use project::{EngineDir, Project, SchemaFile, dir_of, schema_error, stored_version};
pub(crate) use released::{
    Column, Released, contract_of, contracts, done_contract, schema_sources,
};
pub(crate) use scaffold::Tested;

use crate::{
    cli::Global,
    error::{CliError, Exit},
    interrupt,
    output::Output,
};

/// Everything a verb may ask about its surroundings.
pub(crate) struct Context {
    global: Global,
    cwd: Utf8PathBuf,
    now: jiff::Timestamp,
    root: OnceCell<Utf8PathBuf>,
}

/// Whether a command may write files of the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    /// It only shows something.
    Read,
    /// It writes what it shows.
    Write,
}

impl Intent {
    /// What a command with `--dry-run` is about to do.
    pub(crate) fn of_dry_run(dry_run: bool) -> Self {
        if dry_run { Self::Read } else { Self::Write }
    }
}

impl Context {
    pub(crate) fn new(global: &Global) -> Result<Self, CliError> {
        let cwd = std::env::current_dir()
            .ok()
            .and_then(|dir| Utf8PathBuf::from_path_buf(dir).ok())
            .ok_or_else(|| CliError::failed("the current directory has no readable name"))?;
        Ok(Self { global: global.clone(), cwd, now: jiff::Timestamp::now(), root: OnceCell::new() })
    }

    pub(crate) fn global(&self) -> &Global {
        &self.global
    }

    pub(crate) fn cwd(&self) -> &Utf8Path {
        &self.cwd
    }

    /// Returns the root of the project, once it is known.
    pub(crate) fn root(&self) -> Option<&Utf8Path> {
        self.root.get().map(Utf8PathBuf::as_path)
    }

    /// When the command began.
    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.now
    }

    /// Today, in UTC.
    pub(crate) fn today(&self) -> jiff::civil::Date {
        self.now.to_zoned(jiff::tz::TimeZone::UTC).date()
    }

    /// Finds the project. A command that was killed while it wrote is undone first, unless nothing
    /// may be written.
    pub(crate) fn project(&self, out: &mut Output, intent: Intent) -> Result<Project, CliError> {
        let project = Project::find(self)?;
        match intent {
            Intent::Read if files::interrupted(&project.root) => {
                return Err(CliError::failed("a command was killed while it wrote its files")
                    .at(files::JOURNAL)
                    .hint("run that command again: it puts the files back first"));
            }
            Intent::Read => {}
            Intent::Write => {
                for path in files::recover(&project.root)? {
                    let path = project.relative(&path);
                    out.warn(&format!("a command was killed while it wrote {path}: put back"));
                    project.read_anew();
                }
            }
        }
        Ok(project)
    }

    /// Finds the project and leaves alone what a killed command left, which is then reported.
    pub(crate) fn project_as_it_is(&self) -> Result<Project, CliError> {
        Project::find(self)
    }

    /// What libpq would take from the environment.
    pub(crate) fn pg_env(&self) -> PgEnv {
        PgEnv::from_lookup(env)
    }

    /// Returns a version later than every migration of the project, as Diesel compares them: as
    /// text.
    pub(crate) fn version(&self, project: &Project) -> Result<Version, CliError> {
        let text = |at: jiff::Timestamp| at.strftime("%Y-%m-%d-%H%M%S").to_string();
        let now = Version { second: text(self.now), sub: 0 };
        let Some((latest, folder)) = project.latest_version() else { return Ok(now) };
        if now.stored() > latest {
            return Ok(now);
        }
        let digits = latest.get(..14).filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
        let parsed = digits.and_then(|d| jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", d).ok());
        let later = parsed
            .and_then(|at| at.to_zoned(jiff::tz::TimeZone::UTC).ok())
            .map(|at| at.timestamp() + jiff::SignedDuration::from_secs(1))
            .map(|at| Version { second: text(at), sub: 0 })
            .filter(|version| version.stored() > latest);
        later.ok_or_else(|| {
            CliError::usage(format!("the migration version `{latest}` sorts after every date"))
                .at(folder)
                .hint("Diesel compares versions as text; rename that migration first")
        })
    }

    /// Writes the files of a command, or shows them.
    pub(crate) fn commit(
        &self,
        out: &mut Output,
        project: &Project,
        patch: &FilePatch,
        dry_run: bool,
    ) -> Result<Exit, CliError> {
        if patch.is_empty() {
            out.status("nothing to do");
            return Ok(Exit::Nothing);
        }
        if !dry_run {
            let _locks = project.lock()?;
            if interrupt::requested() {
                return Err(CliError::failed("interrupted; nothing was written"));
            }
            files::write(&project.root, patch)?;
        }
        out.files(patch, dry_run);
        Ok(Exit::Done)
    }
}

/// Reads one environment variable.
#[expect(clippy::disallowed_methods, reason = "the context is where configuration is resolved")]
pub(crate) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
