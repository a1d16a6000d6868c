//! Says in plain words what a step does, what waits for it, and how it is undone.

use super::{
    Gate, IndexPurpose, LEFTOVERS, Leftovers, Step, Transaction, UNINDEXED_MB,
    effect::{Effect, Hold, Lock},
};
use crate::contract::Contract;

/// Returns one sentence on what the step does.
pub fn what(step: &Step, contract: &Contract) -> String {
    let column = contract.path();
    let table = contract.table();
    match step {
        Step::AddColumn(shape) if shape.generated.is_some() => {
            format!("Adds `{column}`, computed from its row whenever it is read.")
        }
        Step::AddColumn(shape) => match (&shape.default, shape.not_null) {
            (Some(default), true) => {
                format!("Adds `{column}`, NOT NULL, with {default} for every row there is.")
            }
            (Some(default), false) => {
                format!("Adds `{column}` with {default} for every row there is.")
            }
            (None, _) => format!("Adds `{column}`, NULL for every row there is."),
        },
        Step::Comment => format!("Writes down in the database why `{column}` exists."),
        Step::SetDefault => format!("Gives rows inserted from now on a default for `{column}`."),
        Step::DropDefault => format!("Drops the default of `{column}`."),
        Step::CreateFill => {
            format!("Computes `{column}` for rows of programs that do not know it.")
        }
        Step::DropFill => format!("Drops what filled `{column}` for old programs."),
        Step::CreateSync => {
            format!("Keeps `{column}` and the column it replaces equal, whichever is written.")
        }
        Step::DropSync => "Drops what kept the two columns equal.".to_owned(),
        Step::FillLeftovers(Leftovers::Refuse) => {
            format!("Stops with an error if a row of `{table}` is not filled yet.")
        }
        Step::FillLeftovers(_) => format!(
            "Fills up to {LEFTOVERS} rows that are still empty; more is an error that names the backfill."
        ),
        Step::AddNotNullCheck => {
            format!("Refuses NULL in `{column}` for rows written from now on.")
        }
        Step::ValidateNotNullCheck => format!("Proves that no row of `{table}` holds NULL there."),
        Step::SetNotNull => format!("Makes `{column}` NOT NULL."),
        Step::DropNotNullCheck => "Drops the helper check, which NOT NULL has replaced.".to_owned(),
        Step::AddCheck => format!("Checks `{column}` for rows written from now on."),
        Step::ValidateCheck => "Proves the check for the rows that were there before.".to_owned(),
        Step::AddForeignKey => format!("Adds the foreign key of `{column}`."),
        Step::ValidateForeignKey => {
            "Proves the foreign key for the rows that were there before.".to_owned()
        }
        Step::CreateIndex(IndexPurpose::Wished) => format!("Builds the index on `{column}`."),
        Step::CreateIndex(IndexPurpose::ForeignKey) => {
            format!("Builds the index that the foreign key of `{column}` needs.")
        }
        Step::CreatePartitionedIndex => format!(
            "Makes the index on `{column}` of those that `cargo newcol apply` has built on the partitions; what is missing it builds itself, up to {UNINDEXED_MB} MB of rows."
        ),
        Step::AddUnique => format!("Makes a constraint of the unique index on `{column}`."),
        Step::Rebuild { to, .. } => {
            let becomes = match (to.not_null, &to.default) {
                (true, Some(_)) => "NOT NULL with its default",
                (true, None) => "NOT NULL, without a default",
                (false, Some(_)) => "one with a default",
                (false, None) => "one without a default",
            };
            format!("Rebuilds `{table}`, so that `{column}` becomes {becomes}.")
        }
        Step::DropReplaced => match &contract.answers().replaces {
            Some(replaces) => {
                format!("Drops `{}`, which `{column}` has replaced.", replaces.column)
            }
            None => "Drops the replaced column.".to_owned(),
        },
    }
}

/// Returns one sentence on who waits for the step, and how long.
pub fn blocks(effect: &Effect) -> String {
    let who = match effect.lock {
        Lock::AccessShare => "reads and writes go on; schema changes wait",
        Lock::RowExclusive => "nobody but writers of the same rows waits",
        Lock::ShareUpdateExclusive => "reads and writes go on; other schema changes wait",
        Lock::Share | Lock::ShareRowExclusive => "reads go on, writes wait",
        Lock::AccessExclusive => "reads and writes wait",
        Lock::MetadataBriefly => "reads and writes wait for a moment at the start and the end",
        Lock::DatabaseWrite => "other writers wait",
    };
    let long = match effect.hold {
        Hold::Brief => "briefly, whatever the size of the table",
        Hold::Table => "for as long as the table is large",
        Hold::Bounded => "for a bounded number of rows",
    };
    let work = match (effect.rewrite, effect.scan) {
        (true, _) => "; the table is written anew",
        (false, true) => "; the table is read once",
        (false, false) => "",
    };
    format!("{}: {who}, {long}{work}.", effect.lock.name())
}

/// Returns a sentence on how the migration is undone.
pub fn undo(step: &Step) -> &'static str {
    match step {
        Step::AddColumn(_) => "Drops the column and all its values.",
        Step::Comment => "Goes with the column.",
        Step::SetDefault => "Drops the default.",
        Step::DropDefault => "Sets the default again.",
        Step::CreateFill | Step::CreateSync => "Drops the trigger.",
        Step::DropFill => "Creates the trigger again.",
        Step::DropSync => "Keeps the two columns equal again.",
        Step::FillLeftovers(_) => "Nothing: filled values stay.",
        Step::AddNotNullCheck | Step::AddCheck => "Drops the check.",
        Step::ValidateNotNullCheck | Step::ValidateCheck | Step::ValidateForeignKey => {
            "Nothing: a proof needs no undoing."
        }
        Step::SetNotNull => "Allows NULL again.",
        Step::DropNotNullCheck => "Adds the helper check again.",
        Step::AddForeignKey => "Drops the foreign key.",
        Step::CreateIndex(_) => "Drops the index.",
        Step::CreatePartitionedIndex => {
            "Drops the index and those of all partitions; reads and writes wait, briefly."
        }
        Step::AddUnique => {
            "Nothing: the constraint goes with its index, while reads and writes wait, briefly."
        }
        Step::Rebuild { .. } => "Rebuilds the table as it was.",
        Step::DropReplaced => "Adds the column again and computes its values back.",
    }
}

/// Returns a sentence on what must be true first.
pub fn gate(gate: Gate) -> String {
    match gate {
        Gate::StageApplied(stage) => {
            format!("`{}` is applied wherever this stage will be", stage.name())
        }
        Gate::Backfilled => "the backfill has left no row empty".to_owned(),
        Gate::OldWritersGone => "no running program is older than the column".to_owned(),
        Gate::ReplacedUnused => "no running program reads or writes the replaced column".to_owned(),
        Gate::AsPlanned => "the database has what the applied stages planned".to_owned(),
    }
}

/// Returns how Diesel runs the migration, in words.
pub fn transaction(transaction: Transaction) -> &'static str {
    match transaction {
        Transaction::Wrapped => "in a transaction",
        Transaction::Bare => "outside a transaction",
    }
}
