//! The plan: stages and steps as plain data, free of any dialect.
//!
//! [`build`] is the only place that decides staging policy; [`effect`] says what each step does to
//! the server, [`explain`] says it in words. Nothing here holds SQL of ours: the dialects in
//! [`crate::render`] answer every [`Step`].
//!
//! What an engine cannot do is refused here, with the reason and the nearest contract that it can:
//!
//! ```
//! use newcol_core::{
//!     backend::Backend,
//!     contract::read::read,
//!     plan::{Plan, effect::{Lock, effect}, facts::TableFacts},
//! };
//!
//! let wish = |answers: &str| {
//!     let text = format!(
//!         "format = 1\ntable = 'users'\ncolumn = 'shout'\nwhy = 'Asked for'\ntype = 'text'\n{answers}"
//!     );
//!     read(&text).unwrap().contract
//! };
//! let facts = TableFacts::unknown(Backend::Postgres);
//!
//! let plan = Plan::build(&wish("required = false"), &facts)?;
//! let step = &plan.stages[0].migrations[0].steps[0];
//! assert_eq!(effect(step, &facts).lock, Lock::AccessExclusive);
//! assert!(!effect(step, &facts).rewrite);
//!
//! // PostgreSQL 13 knows only generated columns that are stored, and those rewrite the table.
//! let refused = Plan::build(&wish("required = false\n[generated]\nas = 'upper(name)'"), &facts);
//! assert!(refused.unwrap_err().hint().unwrap().contains("--fill"));
//! # Ok::<(), newcol_core::plan::PlanError>(())
//! ```

pub mod build;
pub mod effect;
mod error;
pub mod explain;
pub mod facts;
mod fill;
mod landed;
mod nullness;
mod refuse;
pub mod volatility;

pub use error::PlanError;
pub use landed::{Landed, Standing};

use crate::{
    backend::Backend,
    contract::{Contract, Expr, OldRows},
    plan::facts::TableFacts,
};

/// Rows that a constrain migration fills itself before it points to the backfill job.
///
/// A development database fits below it; filling as many takes well under a second, so it may
/// share the deployment with other migrations.
pub const LEFTOVERS: u64 = 10_000;

/// Megabytes of partitions that a migration indexes itself before it points to `cargo newcol apply`.
///
/// Writers wait meanwhile: reading and sorting so much takes a tenth of a second.
pub const UNINDEXED_MB: u64 = 8;

/// A point between two releases at which the database changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageKind {
    /// The column appears, and with it what serves old writers.
    Expand,
    /// Old rows are filled, by a job and not by a migration.
    Backfill,
    /// The index is built.
    Index,
    /// What must hold for every row is enforced.
    Constrain,
    /// The scaffolding goes.
    Contract,
}

impl StageKind {
    /// Every stage, in order.
    pub const ALL: [Self; 5] =
        [Self::Expand, Self::Backfill, Self::Index, Self::Constrain, Self::Contract];

    /// Returns the word used in files, flags and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Backfill => "backfill",
            Self::Index => "index",
            Self::Constrain => "constrain",
            Self::Contract => "contract",
        }
    }
}

/// Everything between the wish and the finished column, for one engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The wish.
    pub contract: Contract,
    /// What was known of the table.
    pub facts: TableFacts,
    /// What happens, in order; never empty.
    pub stages: Vec<Stage>,
    /// Why this plan and not a shorter one, one sentence each.
    pub reasons: Vec<String>,
    /// What the user should know before starting, one sentence each.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Returns the engine the plan is for.
    pub fn backend(&self) -> Backend {
        self.facts.server.backend()
    }

    /// Returns the expression by which a job fills the rows that exist: the fill, or the default that
    /// stands in for it. `None` where nothing is filled, or only application code can.
    pub fn fill(&self) -> Option<&Expr> {
        self.stage(StageKind::Backfill)?;
        match self.contract.answers().old_rows {
            OldRows::Unfilled => self.contract.default(self.backend()),
            OldRows::Sql(_) | OldRows::Rust(_) => self.contract.sql_fill(self.backend()),
        }
    }

    /// Returns the stage of a kind, where the plan has it.
    pub fn stage(&self, kind: StageKind) -> Option<&Stage> {
        self.stages.iter().find(|s| s.kind == kind)
    }
}

/// One stage of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Which one.
    pub kind: StageKind,
    /// Its migrations, in order; empty for the backfill.
    pub migrations: Vec<Migration>,
    /// How `schema.rs` changes.
    pub schema: Vec<SchemaChange>,
    /// What must be true before the stage is released.
    pub gates: Vec<Gate>,
}

/// How a migration runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transaction {
    /// Diesel wraps it.
    Wrapped,
    /// It runs bare: `run_in_transaction = false`.
    Bare,
}

/// One Diesel migration of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// What it does, in a word or two for the folder's name.
    pub label: &'static str,
    /// Whether Diesel wraps it in a transaction.
    pub transaction: Transaction,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

impl Migration {
    fn wrapped(label: &'static str, steps: Vec<Step>) -> Self {
        Self { label, transaction: Transaction::Wrapped, steps }
    }

    fn bare(label: &'static str, step: Step) -> Self {
        Self { label, transaction: Transaction::Bare, steps: vec![step] }
    }
}

/// One thing done to the database; the subject is the contract's column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The column is added.
    AddColumn(ColumnShape),
    /// The column gets its comment.
    Comment,
    /// New rows get the default; existing rows are left alone.
    SetDefault,
    /// The default is dropped.
    DropDefault,
    /// A trigger fills the column for writers that do not know it.
    CreateFill,
    /// That trigger goes.
    DropFill,
    /// Triggers keep the column and the one it replaces equal, in both directions.
    CreateSync,
    /// Those triggers go.
    DropSync,
    /// A bounded number of rows is filled; more is an error that names the backfill job.
    FillLeftovers(Leftovers),
    /// A helper check says NOT NULL for new rows only.
    AddNotNullCheck,
    /// The helper check is proven for all rows.
    ValidateNotNullCheck,
    /// The column becomes NOT NULL.
    SetNotNull,
    /// The helper check goes.
    DropNotNullCheck,
    /// The wished check holds for new rows.
    AddCheck,
    /// The wished check is proven for all rows.
    ValidateCheck,
    /// The foreign key holds for new rows.
    AddForeignKey,
    /// The foreign key is proven for all rows.
    ValidateForeignKey,
    /// The index is built without blocking writers.
    CreateIndex(IndexPurpose),
    /// The index of a partitioned table takes in those of its partitions (PostgreSQL).
    CreatePartitionedIndex,
    /// The unique index becomes a constraint (PostgreSQL).
    AddUnique,
    /// The table is rebuilt with another definition of the column (SQLite).
    Rebuild {
        /// The column before.
        from: ColumnShape,
        /// The column after.
        to: ColumnShape,
    },
    /// The replaced column is dropped.
    DropReplaced,
}

/// Why an index is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexPurpose {
    /// The contract asks for it.
    Wished,
    /// The engine would make one for the foreign key, while holding writers up.
    ForeignKey,
}

/// What happens to rows that are not filled when the column is constrained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leftovers {
    /// They are computed; rows that yield NULL are an error.
    Require(Expr),
    /// They are computed; rows that yield NULL stay NULL.
    Allow(Expr),
    /// Only application code can compute them, so any is an error.
    Refuse,
}

/// The column's definition at a moment of its life.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnShape {
    /// `NOT NULL` is part of it.
    pub not_null: bool,
    /// Its default.
    pub default: Option<Expr>,
    /// Its generation expression; always virtual, since stored ones rewrite the table.
    pub generated: Option<Expr>,
    /// Its check is written inline, where the engine cannot add one later without a copy.
    pub inline_check: bool,
    /// Its foreign key is written inline (SQLite).
    pub inline_reference: bool,
}

/// One change of `schema.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaChange {
    /// The column appears as `Nullable<…>`.
    AddNullable,
    /// The column appears, not nullable.
    AddRequired,
    /// `Nullable<…>` goes.
    Require,
    /// The foreign key appears.
    Join,
    /// The replaced column goes.
    DropReplaced,
}

/// What must be true before a stage is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// The migrations of the stage before are applied wherever this one will be.
    StageApplied(StageKind),
    /// No row is pending.
    Backfilled,
    /// No running program is older than the one that writes the column.
    OldWritersGone,
    /// No running program reads or writes the replaced column.
    ReplacedUnused,
    /// What the applied stages brought is there, and nothing of later ones. No plan says so of a
    /// stage: it holds for all of them, and only a database shows it.
    AsPlanned,
}
