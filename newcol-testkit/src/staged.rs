//! A column of a project on a throwaway database: what a project's own test of it starts from.
//!
//! The database is made by the project's migrations up to the column, and the stages it then goes
//! through are those that the project has released, with the plan's for the rest. A stage that the
//! project changes is so tested as it is.

use std::{fmt::Write as _, fs};

use camino::Utf8PathBuf;
use newcol_core::contract::{Contract, read::read as read_contract};

use crate::{
    dump::{differences, schema_dump},
    life::{self, Life, LifeError, migrate_before},
    matrix::Matrix,
    recorded,
    scratch::{AdminError, ScratchDb, ScratchError, Want, error::chain},
};

/// Why a column could not be set up or taken through its stages.
#[derive(Debug, thiserror::Error)]
pub enum StagedError {
    /// The contract could not be read.
    #[error("could not read {path}")]
    File {
        /// The contract's file.
        path: Utf8PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The contract is not valid.
    #[error("{path} is no valid contract: {complaints}")]
    Contract {
        /// The contract's file.
        path: Utf8PathBuf,
        /// What is wrong with it.
        complaints: String,
    },
    /// There is no database.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// The stages could not be planned.
    #[error(transparent)]
    Life(#[from] LifeError),
    /// A stage failed.
    #[error("could not carry out `{action}`")]
    Stage {
        /// Which part of it.
        action: String,
        /// Why not.
        source: LifeError,
    },
    /// The schema could not be read.
    #[error("could not read the schema")]
    Dump(#[source] AdminError),
}

/// Where the files of a column are: relative to the package whose test it is.
///
/// ```no_run
/// use newcol_testkit::{ColumnFiles, Want};
///
/// const LOCALE: ColumnFiles = ColumnFiles {
///     package: "/app", // env!("CARGO_MANIFEST_DIR")
///     contract: "newcol/users.locale.toml",
///     migrations: "migrations",
/// };
///
/// let Some(locale) = LOCALE.on(Want::sqlite()) else { return };
/// locale.matrix().run(locale.url()).unwrap().assert_kept();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnFiles<'a> {
    /// Directory of the package: `env!("CARGO_MANIFEST_DIR")`.
    pub package: &'a str,
    /// The contract.
    pub contract: &'a str,
    /// The migrations directory of the engine.
    pub migrations: &'a str,
}

impl ColumnFiles<'_> {
    /// Sets the column up on a new database, or returns `None` after recording the test as skipped,
    /// as [`ScratchDb::require`] does.
    ///
    /// # Panics
    ///
    /// When it could not be set up, with the reason.
    #[expect(clippy::panic, reason = "fails the calling test, which is its purpose")]
    pub fn on(&self, want: impl Into<Want>) -> Option<StagedColumn> {
        let db = ScratchDb::require(want)?;
        match self.in_database(db) {
            Ok(column) => Some(column),
            Err(error) => panic!("{}", chain(&error)),
        }
    }

    /// Sets the column up on a new database.
    pub fn try_on(&self, want: impl Into<Want>) -> Result<StagedColumn, StagedError> {
        self.in_database(ScratchDb::new(want)?)
    }

    /// Carries out every stage on a new database, and ends the test unless each changes in the
    /// schema what a file below the package records. The first run writes the file
    /// ([`recorded::compare`]).
    ///
    /// # Panics
    ///
    /// When a stage changes something else, or fails.
    #[expect(clippy::panic, reason = "fails the calling test, which is its purpose")]
    pub fn assert_changes(&self, want: impl Into<Want>, recorded: &str) {
        let Some(column) = self.on(want) else { return };
        match column.schema_changes() {
            Ok(text) => {
                recorded::assert_recorded(Utf8PathBuf::from(self.package).join(recorded), &text);
            }
            Err(error) => panic!("{}", chain(&error)),
        }
    }

    /// Reads the contract.
    pub fn read_contract(&self) -> Result<Contract, StagedError> {
        let path = Utf8PathBuf::from(self.package).join(self.contract);
        let text = fs::read_to_string(&path)
            .map_err(|source| StagedError::File { path: path.clone(), source })?;
        match read_contract(&text) {
            Ok(file) => Ok(file.contract),
            Err(complaints) => {
                let complaints: Vec<String> = complaints.into_iter().map(|c| c.message).collect();
                Err(StagedError::Contract { path, complaints: complaints.join("; ") })
            }
        }
    }

    fn in_database(&self, db: ScratchDb) -> Result<StagedColumn, StagedError> {
        let contract = self.read_contract()?;
        let migrations = Utf8PathBuf::from(self.package).join(self.migrations);
        // As on `ScratchDb::require`, this may be called from an asynchronous test.
        let life = std::thread::scope(|scope| {
            let planned = scope.spawn(|| {
                migrate_before(db.url(), &migrations, contract.path())?;
                Life::plan(&contract, db.url())?.with_released(&migrations)
            });
            planned.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        Ok(StagedColumn { contract, life, db })
    }
}

/// A column of a project, on a database that has everything but the column.
#[derive(Debug)]
pub struct StagedColumn {
    contract: Contract,
    life: Life,
    db: ScratchDb,
}

impl StagedColumn {
    /// Returns the contract.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// Returns the stages.
    pub fn life(&self) -> &Life {
        &self.life
    }

    /// Returns the database's URL.
    pub fn url(&self) -> &str {
        self.db.url()
    }

    /// Starts the matrix of the column: old and new code at every stage.
    pub fn matrix(&self) -> Matrix<'_> {
        Matrix::of(&self.contract).life(self.life.clone())
    }

    /// Carries out every stage and returns what each changes in the schema: the lines of
    /// [`schema_dump`] that go (`-`) and come (`+`).
    ///
    /// # Errors
    ///
    /// When a stage fails.
    pub fn schema_changes(&self) -> Result<String, StagedError> {
        std::thread::scope(|scope| match scope.spawn(|| self.changes()).join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    fn changes(&self) -> Result<String, StagedError> {
        let mut session = life::open(self.url())?;
        let mut text = String::new();
        let mut before = schema_dump(self.url()).map_err(StagedError::Dump)?;
        for stage in &self.life.stages {
            for action in &stage.actions {
                action.run(&mut session).map_err(|source| StagedError::Stage {
                    action: action.name().to_owned(),
                    source,
                })?;
            }
            let after = schema_dump(self.url()).map_err(StagedError::Dump)?;
            let lines = differences(&before, &after);
            let nothing = if lines.is_empty() { " changes nothing" } else { "" };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}{nothing}", stage.kind.name());
            for (sign, line) in lines {
                let _ = writeln!(text, "  {sign} {line}");
            }
            before = after;
        }
        Ok(text)
    }
}
