//! The stages of a contract as scripts, and running them one by one on a throwaway database.
//!
//! A [`Life`] is planned on the database itself, before the column exists there. Where the project
//! has released a stage, its files stand for the stage, because they are what will run. What it
//! does not do: judge (that is [`crate::matrix`]), or be careful (that is `cargo newcol apply`).

mod action;

use std::{fs, io::ErrorKind};

use camino::{Utf8Path, Utf8PathBuf};
use newcol_core::{
    backend::{Backend, Server},
    contract::Contract,
    db::{
        DatabaseUrl, DbError, MigrationFolder, OpenOptions, Session, UrlError,
        facts::{FactsError, read_for},
        migration_folders,
    },
    execute::{backfill::BackfillError, side_effects::Triggers},
    ident::{ColumnPath, Ident},
    plan::{Plan, PlanError, StageKind, Transaction, volatility::column_refs},
    render::{migrations, text},
};

pub(crate) use self::action::JOB_SESSIONS;
pub use self::action::{Action, Job, Script};

/// Why a life could not be planned or carried out.
#[derive(Debug, thiserror::Error)]
pub enum LifeError {
    /// The URL names no database.
    #[error("could not read the database's URL")]
    Url(#[source] UrlError),
    /// The table could not be looked at.
    #[error("could not read the table of `{column}`")]
    Facts {
        /// The new column.
        column: ColumnPath,
        /// Why not.
        source: FactsError,
    },
    /// The contract cannot be carried out on this engine.
    #[error("could not plan `{column}`")]
    Plan {
        /// The new column.
        column: ColumnPath,
        /// Why not.
        source: Box<PlanError>,
    },
    /// The database refused a question or a statement.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The job that fills old rows stopped.
    #[error(transparent)]
    Backfill(#[from] Box<BackfillError>),
    /// The job filled what it could.
    #[error(
        "the fill of the required `{column}` yields NULL for {rows} {}, the first with key {}{}",
        if *rows == 1 { "row" } else { "rows" },
        keys.first().map_or("unknown", String::as_str),
        because(nulls)
    )]
    Unfillable {
        /// The new column.
        column: ColumnPath,
        /// How many rows.
        rows: u64,
        /// The first of them, by key.
        keys: Vec<String>,
        /// Columns that the fill reads and that are NULL in some of them.
        nulls: Vec<Ident>,
    },
    /// Somebody asked the job to stop.
    #[error("the backfill of `{column}` was asked to stop")]
    Stopped {
        /// The new column.
        column: ColumnPath,
    },
    /// A file of the project could not be read.
    #[error("could not read {path}")]
    File {
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl LifeError {
    /// Says of rows that a job could not fill what may be to blame.
    pub(crate) fn unfillable(
        session: &mut Session,
        contract: &Contract,
        rows: u64,
        keys: Vec<String>,
    ) -> Self {
        let backend = session.backend();
        let fill = contract.sql_fill(backend);
        let table = text::table(backend, contract.table());
        let column = text::name(backend, contract.column());
        let mut nulls = fill.and_then(|fill| column_refs(fill, backend)).unwrap_or_default();
        nulls.retain(|name| {
            let other = text::name(backend, name);
            let sql = format!(
                "SELECT count(*) > 0 FROM {table} WHERE {column} IS NULL AND {other} IS NULL"
            );
            // What is to be said is worse than that this cannot be asked.
            session.query_bool(&sql).unwrap_or(false)
        });
        Self::Unfillable { column: contract.path().clone(), rows, keys, nulls }
    }

    /// Reports whether others were in the way, so that another try may go well.
    pub fn is_conflict(&self) -> bool {
        let Self::Database(error) = self else { return false };
        error
            .failure()
            .is_some_and(|said| said.is_lock_timeout() || said.is_deadlock() || said.is_overtaken())
    }

    /// Returns the way out where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Url(error) => error.hint().map(str::to_owned),
            Self::Facts { source: FactsError::NoTable { similar, .. }, .. }
                if similar.is_empty() =>
            {
                Some("the migrations before the column's own must make its table".to_owned())
            }
            Self::Facts { source, .. } => source.hint(),
            Self::Plan { source, .. } => source.hint(),
            Self::Database(error) => error.hint(),
            Self::Backfill(error) => error.hint(),
            Self::Unfillable { .. } => {
                let way = "give the fill a value for them, as `coalesce(...)` does, or make the \
                           column optional";
                Some(way.to_owned())
            }
            Self::Stopped { .. } | Self::File { .. } => None,
        }
    }
}

fn because(nulls: &[Ident]) -> String {
    let names: Vec<String> = nulls.iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!(": {} is NULL there", names.join(" or ")),
    }
}

/// A stage, as it is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageScript {
    /// Which one.
    pub kind: StageKind,
    /// What it does, in order.
    pub actions: Vec<Action>,
}

/// The stages of one column on one database.
#[derive(Debug, Clone)]
pub struct Life {
    /// The plan they follow.
    pub plan: Plan,
    /// The stages, in order.
    pub stages: Vec<StageScript>,
}

impl Life {
    /// Plans the contract on a database that does not have the column yet.
    pub fn plan(contract: &Contract, url: &str) -> Result<Self, LifeError> {
        let mut session = open(url)?;
        let column = || contract.path().clone();
        let facts = read_for(&mut session, contract)
            .map_err(|source| LifeError::Facts { column: column(), source })?;
        let plan = Plan::build(contract, &facts)
            .map_err(|source| LifeError::Plan { column: column(), source: Box::new(source) })?;
        let stages = plan.stages.iter().map(|stage| planned(&plan, stage)).collect();
        Ok(Self { plan, stages })
    }

    /// Lets the project's own files stand for the stages that it has released.
    pub fn with_released(mut self, migrations: &Utf8Path) -> Result<Self, LifeError> {
        let column = self.plan.contract.path().clone();
        let mut released: Vec<(StageKind, Script)> = Vec::new();
        for folder in migration_folders(self.plan.backend(), migrations)? {
            let up = up(migrations, &folder)?;
            if let Some((path, kind)) = migrations::owner(&up)
                && path == column
            {
                released.push((kind, script(migrations, folder, up)?));
            }
        }
        for stage in &mut self.stages {
            let files: Vec<Action> = released
                .iter()
                .filter(|(kind, _)| *kind == stage.kind)
                .map(|(_, script)| Action::Migration(script.clone()))
                .collect();
            if !files.is_empty() {
                stage.actions = files;
            }
        }
        Ok(self)
    }

    /// Puts other actions in the place of a stage's own.
    #[must_use]
    pub fn with_stage(mut self, kind: StageKind, actions: Vec<Action>) -> Self {
        match self.stages.iter_mut().find(|stage| stage.kind == kind) {
            Some(stage) => stage.actions = actions,
            None => self.stages.push(StageScript { kind, actions }),
        }
        self.stages.sort_by_key(|stage| stage.kind);
        self
    }

    /// Chooses what triggers of the table do while old rows are filled; they rest unless said.
    #[must_use]
    pub fn with_triggers(mut self, triggers: Triggers) -> Self {
        for action in self.stages.iter_mut().flat_map(|stage| &mut stage.actions) {
            if let Action::Backfill(job) = action {
                job.triggers = triggers;
            }
        }
        self
    }

    /// Returns the server it was planned on.
    pub fn server(&self) -> Server {
        self.plan.facts.server
    }

    /// Returns every action with its stage, in order.
    pub fn actions(&self) -> impl Iterator<Item = (StageKind, &Action)> {
        self.stages.iter().flat_map(|stage| stage.actions.iter().map(|a| (stage.kind, a)))
    }
}

/// Applies the project's migrations up to the first one of a column, whose place in the history
/// that is; all of them if none is the column's.
pub fn migrate_before(
    url: &str,
    migrations: &Utf8Path,
    column: &ColumnPath,
) -> Result<(), LifeError> {
    migrate_before_after(&[], url, migrations, column)
}

/// As [`migrate_before`], after statements on the connection of the migrations.
pub(crate) fn migrate_before_after(
    setup: &[String],
    url: &str,
    migrations: &Utf8Path,
    column: &ColumnPath,
) -> Result<(), LifeError> {
    let mut session = open(url)?;
    let count = before(session.backend(), migrations, column)?.len();
    session.run_up_to_after(setup, migrations, count)?;
    Ok(())
}

/// Returns the migrations before the first one of a column, each with its `up.sql`.
pub(crate) fn before(
    backend: Backend,
    migrations: &Utf8Path,
    column: &ColumnPath,
) -> Result<Vec<(MigrationFolder, String)>, LifeError> {
    let mut before = Vec::new();
    for folder in migration_folders(backend, migrations)? {
        let up = up(migrations, &folder)?;
        if migrations::owner(&up).is_some_and(|(path, _)| path == *column) {
            break;
        }
        before.push((folder, up));
    }
    Ok(before)
}

/// Opens a session on a throwaway database.
pub(crate) fn open(url: &str) -> Result<Session, LifeError> {
    let url = DatabaseUrl::parse(url).map_err(LifeError::Url)?;
    Ok(Session::open(&url, &OpenOptions::create())?)
}

fn planned(plan: &Plan, stage: &newcol_core::plan::Stage) -> StageScript {
    let scripts = migrations::render(plan, stage).into_iter().zip(&stage.migrations);
    let mut actions: Vec<Action> = scripts
        .map(|(folder, migration)| {
            Action::Migration(Script {
                name: folder.name,
                up: folder.up,
                down: folder.down,
                transaction: migration.transaction,
            })
        })
        .collect();
    if stage.kind == StageKind::Backfill && plan.fill().is_some() {
        let contract = Box::new(plan.contract.clone());
        actions.push(Action::Backfill(Job { contract, triggers: Triggers::default() }));
    }
    StageScript { kind: stage.kind, actions }
}

fn up(migrations: &Utf8Path, folder: &MigrationFolder) -> Result<String, LifeError> {
    let path = migrations.join(&folder.name).join("up.sql");
    fs::read_to_string(&path).map_err(|source| LifeError::File { path, source })
}

/// Makes the script of a folder, given its `up.sql`; Diesel runs one without `down.sql`, too.
fn script(migrations: &Utf8Path, folder: MigrationFolder, up: String) -> Result<Script, LifeError> {
    let path = migrations.join(&folder.name).join("down.sql");
    let down = match fs::read_to_string(&path) {
        Ok(down) => down,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(source) => return Err(LifeError::File { path, source }),
    };
    let name = folder.name.split_once('_').map_or(folder.name.as_str(), |(_, name)| name);
    let transaction = if folder.in_transaction { Transaction::Wrapped } else { Transaction::Bare };
    Ok(Script { name: name.to_owned(), up, down, transaction })
}
