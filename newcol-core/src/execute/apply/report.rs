//! What was done, statement by statement, as a value.

use std::time::Duration;

use crate::execute::peers::Peer;

/// Everything that a run did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The migrations, in the order in which they ran.
    pub migrations: Vec<MigrationReport>,
}

/// What one migration did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationReport {
    /// Its version, as Diesel stores it.
    pub version: String,
    /// Its name, with the version.
    pub name: String,
    /// How often it was tried, the time that went well included.
    pub tries: u32,
    /// From the first try to the end.
    pub took: Duration,
    /// How long it held its strongest lock: from when it was granted to the end of the transaction.
    /// `None` where it took none that holds up programs, or the engine does not tell.
    pub held: Option<Duration>,
    /// Its statements, of the time that went well.
    pub statements: Vec<StatementReport>,
    /// Who stood in the way, each named once.
    pub blockers: Vec<Peer>,
    /// What else is worth knowing, one sentence each.
    pub notes: Vec<String>,
}

/// What one statement did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatementReport {
    /// The statement, on one line; all of them where there are many.
    pub sql: String,
    /// How long it took, the wait included.
    pub took: Duration,
    /// How long it waited for locks, to the resolution of [`super::LOOKS`].
    pub waited: Duration,
    /// The strongest lock on each table at its end, where it is new (PostgreSQL, in a transaction).
    pub locks: Vec<LockTaken>,
    /// Sessions that were seen waiting for this one at the same time; `None` where nobody could see,
    /// or looked before it was over.
    pub blocked: Option<u32>,
}

/// The strongest lock that a transaction holds on a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockTaken {
    /// The table, as the server names it.
    pub table: String,
    /// The lock, as its engine's manual spells it.
    pub mode: &'static str,
    /// Whether the table was written anew.
    pub rewritten: bool,
    /// How often the whole table was read.
    pub scans: u64,
}
