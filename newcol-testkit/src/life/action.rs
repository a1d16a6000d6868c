//! What a stage does: migrations as Diesel runs them, and the job that fills old rows.

use newcol_core::{
    backend::Backend,
    contract::Contract,
    db::{DbError, OpenOptions, Session},
    execute::{
        backfill::{Answer, Backfill, Listener, Outcome, Settings},
        side_effects::Triggers,
    },
    plan::Transaction,
};

use super::LifeError;

/// What the sessions of a job are called at the server.
pub(crate) const JOB_SESSIONS: &str = "newcol-testkit job";

/// One migration, as Diesel runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Its folder's name without the version.
    pub name: String,
    /// `up.sql`.
    pub up: String,
    /// `down.sql`.
    pub down: String,
    /// Whether Diesel wraps it in a transaction.
    pub transaction: Transaction,
}

impl Script {
    /// Makes a migration that runs in a transaction.
    pub fn new(name: &str, up: &str, down: &str) -> Self {
        let [name, up, down] = [name, up, down].map(str::to_owned);
        Self { name, up, down, transaction: Transaction::Wrapped }
    }

    /// Makes the migration run bare, as `run_in_transaction = false` does.
    #[must_use]
    pub fn bare(self) -> Self {
        Self { transaction: Transaction::Bare, ..self }
    }
}

/// One thing a stage does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A migration.
    Migration(Script),
    /// The job that fills old rows, as `cargo newcol backfill` runs it.
    Backfill(Job),
    /// Statements in the place of that job.
    Statements {
        /// What they are called in reports.
        name: String,
        /// The statements: one transaction, except on MySQL.
        sql: Vec<String>,
    },
}

/// The job that fills old rows. Nothing undoes it, because undoing the column does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The column.
    pub contract: Box<Contract>,
    /// What triggers of the table do meanwhile.
    pub triggers: Triggers,
}

impl Action {
    /// Returns the name used in reports.
    pub fn name(&self) -> &str {
        match self {
            Self::Migration(script) => &script.name,
            Self::Backfill(_) => "backfill",
            Self::Statements { name, .. } => name,
        }
    }

    /// Carries it out. A job opens sessions of its own.
    pub fn run(&self, session: &mut Session) -> Result<(), LifeError> {
        self.run_told(session, &|_event| Answer::Go)
    }

    /// As [`Self::run`]; `told` hears of every event of a job.
    pub fn run_told(&self, session: &mut Session, told: &Listener<'_>) -> Result<(), LifeError> {
        match self {
            Self::Migration(script) => as_migration(session, &script.up, script.transaction)?,
            Self::Backfill(job) => job.run(session, told)?,
            // As the migration that fills the rest does it.
            Self::Statements { sql, .. } => {
                let transaction = match session.backend() {
                    Backend::Mysql => Transaction::Bare,
                    Backend::Postgres | Backend::Sqlite => Transaction::Wrapped,
                };
                as_migration(session, &sql.join(";\n"), transaction)?;
            }
        }
        Ok(())
    }

    /// Takes it back.
    pub fn undo(&self, session: &mut Session) -> Result<(), LifeError> {
        match self {
            Self::Migration(script) => Ok(as_migration(session, &script.down, script.transaction)?),
            Self::Backfill(_) | Self::Statements { .. } => Ok(()),
        }
    }
}

impl Job {
    fn run(&self, session: &mut Session, told: &Listener<'_>) -> Result<(), LifeError> {
        let open =
            OpenOptions { application_name: Some(JOB_SESSIONS.to_owned()), ..OpenOptions::write() };
        let settings = Settings { triggers: self.triggers, ..Settings::default() };
        let backfill = Backfill::new(&self.contract, session.url(), open).settings(settings);
        match backfill.run(told).map_err(Box::new)? {
            Outcome::Done(_) => Ok(()),
            Outcome::Stopped(_) => Err(LifeError::Stopped { column: self.contract.path().clone() }),
            Outcome::Unfillable { rows, keys, .. } => {
                Err(LifeError::unfillable(session, &self.contract, rows, keys))
            }
        }
    }
}

/// Runs a script as Diesel's harness does.
fn as_migration(session: &mut Session, sql: &str, transaction: Transaction) -> Result<(), DbError> {
    match transaction {
        Transaction::Bare => session.batch(sql),
        Transaction::Wrapped => {
            session.batch("BEGIN")?;
            let done = session.batch(sql).and_then(|()| session.batch("COMMIT"));
            if done.is_err() {
                // The script's error says what went wrong; a lost connection has rolled back.
                session.batch("ROLLBACK").ok();
            }
            done
        }
    }
}
