//! The stage matrix: old and new code, in warm and fresh sessions, doing what applications do, at
//! every moment of a column's life.
//!
//! Each moment between two migrations is one at which a deployment may rest, so each gets all
//! cells. What a cell shows is judged from outside: the whole table is read before and after, so
//! that a value that was reset, a row touched by accident or an update that hit nothing is seen
//! although the code was content. What is promised comes from the plan's gates, and a fault is a
//! promise that does not hold ([`MatrixReport::broken`]).
//!
//! ```no_run
//! use newcol_testkit::{ScratchDb, matrix::Matrix};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let contract = newcol_core::contract::read::read_draft("").unwrap();
//! # let contract = newcol_core::contract::Contract::new(contract)?;
//! let db = ScratchDb::postgres()?;
//! db.run(&["CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL)"])?;
//! let report = Matrix::of(&contract).run(db.url())?;
//! report.assert_kept();
//! # Ok(())
//! # }
//! ```

mod between;
mod judge;
mod promise;
mod report;
mod run;
mod view;

use std::fmt;

use newcol_core::contract::Contract;

pub use self::report::{
    Broken, Cell, Direction, MatrixReport, Moment, MomentReport, Outcome, SessionAge, Side, Window,
};
pub(crate) use self::{between::Watch, promise::equals};
use crate::{
    life::{Life, LifeError},
    program::{Changes, Program, Statements, StatementsError},
    rows::RowsError,
    scratch::{AdminError, BoxError},
};

/// Why there is no matrix.
#[derive(Debug, thiserror::Error)]
pub enum MatrixError {
    /// The stages could not be planned, or the database could not be looked at.
    #[error(transparent)]
    Life(#[from] LifeError),
    /// Code for a side could not be made of the table alone.
    #[error("could not make up {} code for the table", side.name())]
    Statements {
        /// Which side.
        side: Side,
        /// Why not.
        source: StatementsError,
    },
    /// A program could not connect before anything was changed.
    #[error("{} code could not connect", side.name())]
    Connect {
        /// Which side.
        side: Side,
        /// What it said.
        source: BoxError,
    },
    /// The rows that should be there before the column could not be inserted.
    #[error("old code could not insert row {row} before the first stage")]
    OldRows {
        /// The row's number.
        row: u64,
        /// What went wrong.
        source: BoxError,
    },
    /// Old rows are computed by application code, which was not given.
    #[error("old rows are computed by `{path}`, which is not at hand")]
    NoBackfill {
        /// What the contract names.
        path: String,
    },
    /// The schema could not be read.
    #[error("could not read the schema")]
    Dump(#[source] AdminError),
}

impl MatrixError {
    /// Returns the way out where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Life(error) => error.hint(),
            Self::Statements { source, .. } => source.hint(),
            Self::OldRows { source, .. } => RowsError::among(&**source).and_then(RowsError::hint),
            Self::NoBackfill { .. } => Some(
                "give that code to the test that `cargo newcol add` writes, in `Matrix::backfill`"
                    .to_owned(),
            ),
            Self::Connect { .. } | Self::Dump(_) => None,
        }
    }
}

type Backfill = dyn Fn(&str) -> Result<(), BoxError> + Send + Sync;

/// The matrix to run.
pub struct Matrix<'a> {
    contract: &'a Contract,
    life: Option<Life>,
    programs: Vec<(Side, Box<dyn Program + 'a>)>,
    backfill: Option<Box<Backfill>>,
    old_rows: u64,
    back: bool,
}

impl<'a> Matrix<'a> {
    /// Starts the matrix of a contract, with code made up from the table for every side.
    pub fn of(contract: &'a Contract) -> Self {
        let programs = Vec::new();
        Self { contract, life: None, programs, backfill: None, old_rows: 3, back: false }
    }

    /// Runs this code as the release before the column.
    #[must_use]
    pub fn old(self, program: impl Program + 'a) -> Self {
        self.side(Side::Old, program)
    }

    /// Runs this code as the release that writes the column.
    #[must_use]
    pub fn new_code(self, program: impl Program + 'a) -> Self {
        self.side(Side::New, program)
    }

    /// Runs this code as the release that relies on the finished column.
    #[must_use]
    pub fn relying(self, program: impl Program + 'a) -> Self {
        self.side(Side::Relying, program)
    }

    /// Walks these stages instead of the planned ones.
    #[must_use]
    pub fn life(mut self, life: Life) -> Self {
        self.life = Some(life);
        self
    }

    /// Fills old rows by application code, given the database's URL.
    #[must_use]
    pub fn backfill<E: Into<BoxError>>(
        mut self,
        run: impl Fn(&str) -> Result<(), E> + Send + Sync + 'static,
    ) -> Self {
        self.backfill = Some(Box::new(move |url| run(url).map_err(Into::into)));
        self
    }

    /// Inserts that many rows by old code before the first stage; 3 unless said.
    #[must_use]
    pub fn old_rows(mut self, count: u64) -> Self {
        self.old_rows = count;
        self
    }

    /// Also takes every stage back in the end, with all cells on the way, and compares the schema.
    #[must_use]
    pub fn and_back(mut self) -> Self {
        self.back = true;
        self
    }

    /// Runs every cell on a database that has the table, and not yet the column.
    ///
    /// Works on a thread of its own, so that it can be called from an asynchronous test.
    ///
    /// # Errors
    ///
    /// When there is no matrix at all. Code or stages that fail are part of the result.
    pub fn run(&self, url: &str) -> Result<MatrixReport, MatrixError> {
        std::thread::scope(|scope| match scope.spawn(|| self.on_this_thread(url)).join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    fn on_this_thread(&self, url: &str) -> Result<MatrixReport, MatrixError> {
        let life = match &self.life {
            Some(life) => life.clone(),
            None => Life::plan(self.contract, url)?,
        };
        let made_up = self.made_up(&life, url)?;
        let given = self.programs.iter().map(|(side, program)| (*side, &**program));
        let made = made_up.iter().map(|(side, program)| (*side, program as &dyn Program));
        let mut programs: Vec<(Side, &dyn Program)> = given.chain(made).collect();
        programs.sort_by_key(|(side, _)| *side);
        run::Run::new(self, &life, url, &programs)?.all()
    }

    /// Makes up the code of every side that has a part in this life and was not given. Who gives
    /// some code has rows of his own, which made-up code cannot know.
    fn made_up(&self, life: &Life, url: &str) -> Result<Vec<(Side, Statements)>, MatrixError> {
        if !self.programs.is_empty() {
            return Ok(Vec::new());
        }
        let changes = Changes::default();
        let sides = Side::ALL
            .into_iter()
            .filter(|s| *s != Side::Relying || promise::relied_from(&life.plan).is_some());
        sides
            .map(|side| {
                let made = Statements::of(&life.plan, side, url, &changes);
                made.map(|made| (side, made))
                    .map_err(|source| MatrixError::Statements { side, source })
            })
            .collect()
    }

    fn side(mut self, side: Side, program: impl Program + 'a) -> Self {
        self.programs.retain(|(other, _)| *other != side);
        self.programs.push((side, Box::new(program)));
        self
    }
}

impl fmt::Debug for Matrix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matrix").field("column", self.contract.path()).finish_non_exhaustive()
    }
}
