//! Names of the objects that a column brings with it.
//!
//! What stays is named as PostgreSQL itself would name it; scaffolding starts with `newcol_`, so
//! that it is recognised anywhere.

use crate::{
    contract::Contract,
    ident::{Ident, TableName},
};

pub(crate) struct Names {
    pub(crate) index: Ident,
    pub(crate) foreign_key_index: Ident,
    pub(crate) foreign_key: Ident,
    pub(crate) check: Ident,
    pub(crate) not_null_check: Ident,
    /// Trigger and trigger function that serve old writers.
    pub(crate) fill: Ident,
    /// Triggers (and trigger function) that keep two columns equal: on insert and on update.
    pub(crate) sync: Ident,
    pub(crate) sync_insert: Ident,
    pub(crate) sync_update: Ident,
    pub(crate) sync_back: Ident,
    /// The table while it is rebuilt.
    pub(crate) rebuilt: TableName,
    /// Temporary table whose check constraint stops a migration.
    pub(crate) guard: Ident,
    /// Its check constraint that stops where too many rows are left: the message.
    pub(crate) backfill_first: Ident,
}

impl Names {
    pub(crate) fn of(contract: &Contract) -> Self {
        let table = contract.table().name.as_str();
        let column = contract.column().as_str();
        let of = |suffix| Ident::derived(&[table, column, suffix]);
        let ours = |what| Ident::derived(&["newcol", what, table, column]);
        let index = contract.answers().index.as_ref();
        let unique = index.is_some_and(|i| i.uniqueness.refuses_duplicates());
        let named = index.and_then(|i| i.name.clone());
        Self {
            index: named.unwrap_or_else(|| of(if unique { "key" } else { "idx" })),
            foreign_key_index: of("idx"),
            foreign_key: of("fkey"),
            check: of("check"),
            not_null_check: ours("not_null"),
            fill: ours("fill"),
            sync: ours("sync"),
            sync_insert: ours("sync_insert"),
            sync_update: ours("sync_update"),
            sync_back: ours("sync_back"),
            rebuilt: TableName {
                schema: contract.table().schema.clone(),
                name: Ident::derived(&["newcol_rebuilt", table]),
            },
            guard: Ident::derived(&["newcol_guard"]),
            backfill_first: Ident::derived(&[&format!(
                "run cargo newcol backfill {} first",
                contract.path()
            )]),
        }
    }
}
