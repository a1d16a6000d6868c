//! What a fault is: a scenario done wrong, the same done right, and the promise that must break.

use newcol_core::{backend::Product, contract::read::read, plan::StageKind};
use newcol_testkit::{
    ScratchDb, Want,
    life::{Action, Life, Script},
    matrix::{Broken, Matrix, MatrixReport, SessionAge, Side},
    program::Operation,
    scratch::BoxError,
};

/// A deliberate mistake and its sound counterpart.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    /// The test's name.
    pub(crate) name: &'static str,
    /// What is done wrong, in a sentence without its period.
    pub(crate) wrong: &'static str,
    /// What is done instead.
    pub(crate) right: &'static str,
    pub(crate) engine: Engine,
    pub(crate) faulty: Scene,
    pub(crate) sound: Scene,
    pub(crate) caught: Caught,
}

/// Where it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Engine {
    Postgres,
    /// Versions before 18 know no virtual columns.
    Postgres18,
    Mariadb,
    Sqlite,
}

/// The first promise that must break.
#[derive(Clone, Copy)]
pub(crate) struct Caught {
    /// The moment, as reports write it.
    pub(crate) at: &'static str,
    /// The code that suffers; `None` where the stage itself does.
    pub(crate) by: Option<(Side, SessionAge, Operation)>,
    /// A part of what the report says.
    pub(crate) says: &'static str,
}

/// A database, an application and a life.
#[derive(Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) contract: &'static str,
    /// What there is before.
    pub(crate) tables: &'static [&'static str],
    /// Stages that are not as planned.
    pub(crate) stages: &'static [(StageKind, &'static [Do])],
    /// Gives the application's releases to the matrix.
    pub(crate) code: for<'a> fn(Matrix<'a>) -> Matrix<'a>,
    pub(crate) walk: Walk,
}

/// How far the matrix goes.
#[derive(Clone, Copy)]
pub(crate) enum Walk {
    Forth,
    AndBack,
}

/// One thing that a stage does.
#[derive(Clone, Copy)]
pub(crate) enum Do {
    /// All that is planned for it.
    Planned,
    /// A migration in a transaction.
    Migration { up: &'static str, down: &'static str },
    /// A migration without one.
    Bare { up: &'static str, down: &'static str },
    /// A job that fills rows.
    Job(&'static str),
}

impl Engine {
    /// Returns the word for tables and test names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres | Self::Postgres18 => "PostgreSQL",
            Self::Mariadb => "MariaDB",
            Self::Sqlite => "SQLite",
        }
    }

    fn want(self) -> Want {
        match self {
            Self::Postgres => Want::postgres(),
            Self::Postgres18 => Want::postgres().version(18),
            Self::Mariadb => Want::mysql().product(Product::Mariadb),
            Self::Sqlite => Want::sqlite(),
        }
    }
}

impl Fault {
    /// Runs both and returns what broke first, in a line; `None` without a server.
    pub(crate) fn check(&self) -> Result<Option<String>, BoxError> {
        let Some(faulty) = self.faulty.run(self.engine)? else { return Ok(None) };
        let broken = faulty.broken();
        let Some(first) = broken.first() else {
            return Err(format!("{} is not caught:\n{faulty}", self.wrong).into());
        };
        if !self.caught.is(first) {
            let Caught { at, by, says } = self.caught;
            return Err(format!("caught otherwise than {at} {by:?} {says:?}:\n{faulty}").into());
        }
        let Some(sound) = self.sound.run(self.engine)? else { return Ok(None) };
        if !sound.broken().is_empty() {
            return Err(format!("{} is not kept:\n{sound}", self.right).into());
        }
        Ok(Some(first.to_string().replace("\n  ", " ")))
    }
}

impl Caught {
    fn is(&self, broken: &Broken) -> bool {
        broken.moment.to_string() == self.at
            && broken.code == self.by
            && broken.what.contains(self.says)
    }
}

impl Scene {
    fn run(&self, engine: Engine) -> Result<Option<MatrixReport>, BoxError> {
        let Some(db) = ScratchDb::require(engine.want()) else { return Ok(None) };
        db.run(self.tables)?;
        let file = read(self.contract).map_err(|complaints| format!("{complaints:?}"))?;
        let mut life = Life::plan(&file.contract, db.url())?;
        for (kind, todo) in self.stages {
            let planned = life.stages.iter().find(|stage| stage.kind == *kind);
            let planned = planned.map(|stage| stage.actions.clone()).unwrap_or_default();
            let actions = todo.iter().enumerate().flat_map(|(at, todo)| todo.actions(at, &planned));
            life = life.with_stage(*kind, actions.collect());
        }
        let matrix = (self.code)(Matrix::of(&file.contract)).life(life).old_rows(2);
        let matrix = match self.walk {
            Walk::Forth => matrix,
            Walk::AndBack => matrix.and_back(),
        };
        Ok(Some(matrix.run(db.url())?))
    }
}

impl Do {
    fn actions(&self, at: usize, planned: &[Action]) -> Vec<Action> {
        let name = format!("by_hand_{}", at + 1);
        match *self {
            Self::Planned => planned.to_vec(),
            Self::Migration { up, down } => vec![Action::Migration(Script::new(&name, up, down))],
            Self::Bare { up, down } => vec![Action::Migration(Script::new(&name, up, down).bare())],
            Self::Job(sql) => vec![Action::Statements { name, sql: vec![sql.to_owned()] }],
        }
    }
}
