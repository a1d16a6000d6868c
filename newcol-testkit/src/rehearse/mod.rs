//! Rehearses the whole life of a column on throwaway databases, without a line of test code.
//!
//! Four looks at the same stages, each on a copy of the schema with rows of its own: the stage
//! matrix with made-up old and new code, up and down ([`crate::matrix`]); the laws of the scripts,
//! with what each locks, rewrites and scans (`trace`); old and new code writing at the same time
//! while the stages pass by (`traffic`); and, where it is given, the old release's own tests at
//! every stage (`old_release`). A broken promise is a value in the report, never an error.

mod old_release;
mod report;
mod sample;
mod trace;
mod traffic;

use std::ops::ControlFlow;

use camino::Utf8Path;
use newcol_core::{contract::Contract, execute::side_effects::Triggers, plan::Plan};

use self::old_release::Checkout;
pub use self::{
    old_release::{OldRelease, OldReleaseAt, OldReleaseRun},
    report::{Fault, Progress, RehearsalReport, Scene},
    sample::Sample,
    trace::{Law, LockHeld, Traced},
    traffic::{FailedStatement, Traffic},
};
use crate::{
    life::{self, Life, LifeError},
    matrix::{Matrix, MatrixError},
    program::StatementsError,
    rows::RowsError,
    scratch::{AdminError, BoxError, ScratchDb, ScratchError, Want},
};

/// Rows that are copied for the matrix at most: it reads the whole table around every cell.
const MATRIX_SAMPLE: u64 = 10;

/// Why nothing could be rehearsed.
#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    /// There is no throwaway database.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// The stages could not be planned, or a database could not be looked at.
    #[error(transparent)]
    Life(#[from] LifeError),
    /// There is no matrix.
    #[error(transparent)]
    Matrix(#[from] MatrixError),
    /// No code could be made up for the table.
    #[error(transparent)]
    Statements(#[from] StatementsError),
    /// A schema or a table could not be read.
    #[error("could not read a throwaway database")]
    Read(#[from] AdminError),
    /// Rows could not be copied from the given database.
    #[error("could not copy a sample of rows")]
    Sample(#[source] BoxError),
    /// Whoever was told what begins asked to stop.
    #[error("stopped before the end; nothing is left behind")]
    Stopped,
    /// The old release could not be checked out, or its command not be run.
    #[error("could not run the old release")]
    OldRelease(#[source] BoxError),
}

impl RehearseError {
    /// Returns the way out where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Scratch(ScratchError::Build { .. }) => Some(
                "what the application sends before its migrations goes into `--setup`".to_owned(),
            ),
            Self::Life(error) => error.hint(),
            Self::Matrix(error) => error.hint(),
            Self::Statements(error) => error.hint(),
            Self::Sample(error) => RowsError::among(&**error).and_then(RowsError::hint),
            Self::Scratch(_) | Self::Read(_) | Self::Stopped | Self::OldRelease(_) => None,
        }
    }
}

/// A rehearsal to run.
#[derive(Debug)]
pub struct Rehearsal<'a> {
    contract: &'a Contract,
    migrations: &'a Utf8Path,
    want: Want,
    rows: u64,
    setup: Vec<String>,
    triggers: Triggers,
    sample: Option<Sample>,
    old_release: Option<OldRelease>,
}

impl<'a> Rehearsal<'a> {
    /// Prepares the rehearsal of a contract on the schema that a directory of migrations makes.
    pub fn new(contract: &'a Contract, migrations: &'a Utf8Path, want: impl Into<Want>) -> Self {
        let want = want.into();
        Self {
            contract,
            migrations,
            want,
            rows: 100,
            setup: Vec::new(),
            triggers: Triggers::default(),
            sample: None,
            old_release: None,
        }
    }

    /// Makes up that many rows from before the column; 100 unless said.
    #[must_use]
    pub fn rows(self, rows: u64) -> Self {
        Self { rows, ..self }
    }

    /// Sends statements before the project's migrations, in their session, as the application does.
    #[must_use]
    pub fn setup(self, setup: Vec<String>) -> Self {
        Self { setup, ..self }
    }

    /// Chooses what triggers of the table do while old rows are filled; they rest unless said.
    #[must_use]
    pub fn triggers(self, triggers: Triggers) -> Self {
        Self { triggers, ..self }
    }

    /// Copies rows from a database instead of making them up.
    #[must_use]
    pub fn sample(self, sample: Option<Sample>) -> Self {
        Self { sample, ..self }
    }

    /// Also runs a command of the old release at every stage.
    #[must_use]
    pub fn old_release(self, old_release: Option<OldRelease>) -> Self {
        Self { old_release, ..self }
    }

    /// Rehearses; `tell` hears what goes on, and may stop it.
    ///
    /// # Errors
    ///
    /// When there is nothing to look at. Stages and code that fail are part of the report.
    pub fn run(
        &self,
        tell: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<RehearsalReport, RehearseError> {
        // First, so that a mistake is told before anything takes time.
        let old_release = match &self.old_release {
            None => None,
            Some(old) => Some((old, Checkout::new(old).map_err(RehearseError::OldRelease)?)),
        };
        let mut begin = |scene| match tell(Progress::Begins(scene)) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(RehearseError::Stopped),
        };
        begin(Scene::Schema)?;
        let db = self.database()?;
        let life = Life::plan(self.contract, db.url())?
            .with_released(self.migrations)?
            .with_triggers(self.triggers);
        let plan = life.plan.clone();
        begin(Scene::Matrix)?;
        if let Some(sample) = &self.sample {
            let few = Sample { rows: sample.rows.min(MATRIX_SAMPLE), ..sample.clone() };
            sample::copy(&few, &plan, db.url())?;
        }
        let matrix = Matrix::of(self.contract).life(life.clone()).and_back().run(db.url())?;
        drop(db);
        begin(Scene::Laws)?;
        let db = self.filled(&plan)?;
        let laws = trace::run(&life, db.url())?;
        drop(db);
        begin(Scene::Traffic)?;
        let db = self.filled(&plan)?;
        let traffic = traffic::run(&life, db.url())?;
        drop(db);
        let old_release = match &old_release {
            None => Vec::new(),
            Some((old, checkout)) => {
                begin(Scene::OldRelease)?;
                old_release::run(old, checkout, &life, &|| self.filled(&plan), tell)?
            }
        };
        Ok(RehearsalReport { matrix, laws, traffic, old_release, plan })
    }

    /// Makes a database as it is before the column.
    fn database(&self) -> Result<ScratchDb, RehearseError> {
        let (dir, column) = (self.migrations, self.contract.path());
        let db = ScratchDb::from_template(self.want, &self.recipe()?, |url| {
            Ok(life::migrate_before_after(&self.setup, url, dir, column)?)
        })?;
        Ok(db)
    }

    /// Returns all that decides what the schema is, and what Diesel's bookkeeping holds: the
    /// settings, and the migrations that run, each with how.
    fn recipe(&self) -> Result<String, LifeError> {
        let before = life::before(self.want.backend, self.migrations, self.contract.path())?;
        let migrations = before.into_iter().map(|(folder, up)| {
            let how = if folder.in_transaction { "in a transaction" } else { "bare" };
            format!("-- {}, {how}\n{up}", folder.name)
        });
        let settings = self.setup.iter().map(|sql| format!("{sql};"));
        Ok(settings.chain(migrations).collect::<Vec<_>>().join("\n"))
    }

    /// Makes a database as it is before the column, with rows.
    fn filled(&self, plan: &Plan) -> Result<ScratchDb, RehearseError> {
        let db = self.database()?;
        match &self.sample {
            Some(sample) => sample::copy(sample, plan, db.url())?,
            None => sample::make_up(plan, db.url(), self.rows)?,
        }
        Ok(db)
    }
}
