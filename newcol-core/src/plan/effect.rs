//! What a step does to the server: the lock it takes, whether it rewrites or scans the table.
//!
//! Predictions, tested against what servers really do (law 7). Lock names are PostgreSQL's own;
//! the other engines have one lock each that matters here.

use super::{
    ColumnShape, Leftovers, Step,
    facts::{TableFacts, Volatility},
};
use crate::backend::{Backend, Product};

/// The strongest lock a step takes on the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lock {
    /// `ACCESS SHARE`: what every SELECT takes; blocks only DDL.
    AccessShare,
    /// `ROW EXCLUSIVE`: what every UPDATE takes; blocks only DDL.
    RowExclusive,
    /// `SHARE UPDATE EXCLUSIVE`: reads and writes go on.
    ShareUpdateExclusive,
    /// `SHARE`: reads go on, writes wait.
    Share,
    /// `SHARE ROW EXCLUSIVE`: reads go on, writes wait.
    ShareRowExclusive,
    /// `ACCESS EXCLUSIVE`: everything waits.
    AccessExclusive,
    /// MySQL: an exclusive metadata lock at the start and end, reads and writes go on in between.
    MetadataBriefly,
    /// SQLite: the one write lock of the database.
    DatabaseWrite,
}

impl Lock {
    /// Returns the lock's name as its engine's manual spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessShare => "ACCESS SHARE",
            Self::RowExclusive => "ROW EXCLUSIVE",
            Self::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Self::Share => "SHARE",
            Self::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
            Self::MetadataBriefly => "metadata lock",
            Self::DatabaseWrite => "database write lock",
        }
    }
}

/// How long a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// A catalogue change: milliseconds, whatever the table's size.
    Brief,
    /// As long as the table is large.
    Table,
    /// As long as a bounded number of rows takes.
    Bounded,
}

/// What a step does to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    /// The strongest lock on the table.
    pub lock: Lock,
    /// How long it is held.
    pub hold: Hold,
    /// Whether the table is written anew.
    pub rewrite: bool,
    /// Whether the whole table is read.
    pub scan: bool,
}

/// Predicts the effect of a step on a table.
pub fn effect(step: &Step, facts: &TableFacts) -> Effect {
    match facts.server.backend() {
        Backend::Postgres => postgres(step, facts),
        Backend::Mysql => mysql(step, facts.server.product),
        Backend::Sqlite => sqlite(step),
    }
}

/// Predicts whether PostgreSQL rewrites the table when a column with this default is added.
///
/// Since version 11 only a volatile default does, next to stored generated and identity columns
/// (`ATExecAddColumn` in `tablecmds.c`).
pub fn add_column_rewrites(volatility: Volatility) -> bool {
    match volatility {
        Volatility::Immutable | Volatility::Stable => false,
        Volatility::Volatile | Volatility::Unknown => true,
    }
}

fn postgres(step: &Step, facts: &TableFacts) -> Effect {
    let brief = |lock| Effect { lock, hold: Hold::Brief, rewrite: false, scan: false };
    let scan =
        Effect { lock: Lock::ShareUpdateExclusive, hold: Hold::Table, rewrite: false, scan: true };
    match step {
        Step::AddColumn(_)
        | Step::SetDefault
        | Step::DropDefault
        | Step::DropFill
        | Step::DropSync
        | Step::AddNotNullCheck
        | Step::SetNotNull
        | Step::DropNotNullCheck
        | Step::AddCheck
        | Step::AddUnique
        | Step::DropReplaced => brief(Lock::AccessExclusive),
        Step::Comment => brief(Lock::ShareUpdateExclusive),
        Step::CreateFill | Step::CreateSync | Step::AddForeignKey => brief(Lock::ShareRowExclusive),
        // The rows are only read.
        Step::FillLeftovers(Leftovers::Refuse) => Effect { lock: Lock::AccessShare, ..scan },
        // Triggers are switched off for it, which nobody else may see.
        Step::FillLeftovers(_) if !facts.update_triggers.is_empty() => {
            Effect { lock: Lock::ShareRowExclusive, hold: Hold::Bounded, ..scan }
        }
        Step::FillLeftovers(_) => Effect { lock: Lock::RowExclusive, hold: Hold::Bounded, ..scan },
        Step::ValidateNotNullCheck
        | Step::ValidateCheck
        | Step::ValidateForeignKey
        | Step::CreateIndex(_) => scan,
        // On its partitions too.
        Step::CreatePartitionedIndex => Effect { lock: Lock::Share, hold: Hold::Bounded, ..scan },
        Step::Rebuild { .. } => {
            Effect { lock: Lock::AccessExclusive, hold: Hold::Table, rewrite: true, scan: true }
        }
    }
}

fn mysql(step: &Step, product: Product) -> Effect {
    let instant =
        Effect { lock: Lock::MetadataBriefly, hold: Hold::Brief, rewrite: false, scan: false };
    let online = Effect { hold: Hold::Table, scan: true, ..instant };
    match step {
        Step::AddColumn(_)
        | Step::Comment
        | Step::SetDefault
        | Step::DropDefault
        | Step::CreateFill
        | Step::DropFill
        | Step::CreateSync
        | Step::DropSync
        | Step::AddNotNullCheck
        | Step::DropNotNullCheck
        | Step::ValidateNotNullCheck
        | Step::AddCheck
        | Step::ValidateCheck
        | Step::AddUnique
        | Step::ValidateForeignKey => instant,
        Step::FillLeftovers(_) => {
            Effect { lock: Lock::RowExclusive, hold: Hold::Bounded, rewrite: false, scan: true }
        }
        Step::AddForeignKey => Effect { scan: true, ..instant },
        Step::CreateIndex(_) | Step::CreatePartitionedIndex => online,
        // NULL to NOT NULL changes the row format: rebuilt in place, writers go on.
        Step::SetNotNull | Step::Rebuild { .. } => Effect { rewrite: true, ..online },
        Step::DropReplaced => match product {
            Product::Mariadb => instant,
            Product::Postgres | Product::Mysql | Product::Sqlite => {
                Effect { rewrite: true, ..online }
            }
        },
    }
}

fn sqlite(step: &Step) -> Effect {
    let brief =
        Effect { lock: Lock::DatabaseWrite, hold: Hold::Brief, rewrite: false, scan: false };
    match step {
        Step::AddColumn(ColumnShape { inline_check: true, .. }) => {
            Effect { hold: Hold::Table, scan: true, ..brief }
        }
        Step::AddColumn(_)
        | Step::Comment
        | Step::SetDefault
        | Step::DropDefault
        | Step::CreateFill
        | Step::DropFill
        | Step::CreateSync
        | Step::DropSync
        | Step::AddNotNullCheck
        | Step::ValidateNotNullCheck
        | Step::SetNotNull
        | Step::DropNotNullCheck
        | Step::AddCheck
        | Step::ValidateCheck
        | Step::AddUnique
        | Step::AddForeignKey
        | Step::ValidateForeignKey => brief,
        Step::FillLeftovers(_) => Effect { hold: Hold::Bounded, scan: true, ..brief },
        Step::CreateIndex(_) | Step::CreatePartitionedIndex => {
            Effect { hold: Hold::Table, scan: true, ..brief }
        }
        Step::Rebuild { .. } | Step::DropReplaced => {
            Effect { hold: Hold::Table, rewrite: true, scan: true, ..brief }
        }
    }
}
