//! How a statement uses the column, and which evidence decided it.
//!
//! The server numbers a statement by its tree, in which columns are resolved: a number that was seen
//! while the column did not exist cannot name it, whatever the text says (the first text of a number
//! stays, and `SELECT *` of yesterday may today be the text of a list that happens to be equal). That
//! does not reach what a tree leaves open, measured on PostgreSQL 13, 15 and 18: whole rows (`f(u)`),
//! `COPY` and other commands, views that were replaced, functions. There the text is read also for
//! numbers of old.
//!
//! This is not the audit's walk through SQL: that one asks what a column that is to come would do to
//! names, from `schema.rs`; this one where a column that is there is used, from the catalog. Pure.

mod catalog;
mod copy;
mod digest;
mod expr;
mod lineage;
mod names;
mod scope;
pub(crate) mod text;
mod walk;
mod write;

use std::{collections::BTreeSet, fmt};

pub(super) use self::catalog::words;
pub use self::{
    catalog::{Catalog, Named, View},
    lineage::fingerprint,
};
pub(super) use self::{
    names::own_name,
    text::{parse, tokens},
};
use super::series::Role;

/// What is known of a statement's number before its text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// It was seen while the column did not exist.
    Before,
    /// It was not.
    Open,
}

/// Which evidence decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The number was there before the column.
    Number,
    /// The text, with its names resolved.
    Text,
    /// The catalog: views, partitions, functions, schemas.
    Catalog,
    /// None.
    Nothing,
}

impl Layer {
    /// Returns its name in reports and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Text => "text",
            Self::Catalog => "catalog",
            Self::Nothing => "nothing",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a statement uses the column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Involvement {
    /// Every use, that of which an index could gain first; none of it is [`Role::Control`].
    pub uses: BTreeSet<Role>,
    /// Which evidence decided.
    pub layer: Layer,
    /// Whether it reads or writes the table, if only through a view.
    pub on_table: bool,
    /// Whether it is a command instead of a query: nothing that is called over and over.
    pub is_command: bool,
    /// What more there is to say, as a fragment.
    pub why: Option<String>,
}

impl Involvement {
    /// Returns the use that counts most.
    pub fn role(&self) -> Role {
        self.uses.first().copied().unwrap_or(Role::Control)
    }

    fn elsewhere(layer: Layer) -> Self {
        Self { uses: BTreeSet::new(), layer, on_table: false, is_command: false, why: None }
    }

    fn unknown(layer: Layer, why: impl Into<String>) -> Self {
        Self {
            uses: BTreeSet::from([Role::Unknown]),
            on_table: true,
            why: Some(why.into()),
            ..Self::elsewhere(layer)
        }
    }
}

/// Every use with its name.
const ROLES: [(Role, &str); 10] = [
    (Role::Filter, "filter"),
    (Role::Join, "join"),
    (Role::Order, "order"),
    (Role::Assigned, "assigned"),
    (Role::Inserted, "inserted"),
    (Role::Projected, "projected"),
    (Role::Star, "star"),
    (Role::Writes, "writes"),
    (Role::Control, "control"),
    (Role::Unknown, "unknown"),
];

/// Returns a use's name in files and reports.
pub fn role_name(role: Role) -> &'static str {
    ROLES.iter().find(|(of, _)| *of == role).map_or("unknown", |(_, name)| name)
}

/// Reads what [`role_name`] has written; what it does not know is [`Role::Unknown`].
pub fn role_of(name: &str) -> Role {
    ROLES.iter().find(|(_, of)| *of == name).map_or(Role::Unknown, |(role, _)| *role)
}

/// Says how a statement uses the column.
pub fn involve(text: Option<&str>, proof: Proof, catalog: &Catalog) -> Involvement {
    // A digest is a number of words: it stays the same when `*` or a bare name come to mean more, and
    // statements that failed for want of the column have one, too.
    let proof = if catalog.proves { proof } else { Proof::Open };
    let Some(text) = text else {
        return Involvement::unknown(Layer::Nothing, "the server does not show its text");
    };
    if digest::is_cut(text, catalog) {
        return Involvement::unknown(Layer::Nothing, "its text is cut off");
    }
    if !catalog.is_mentioned(text) {
        return Involvement::elsewhere(match proof {
            Proof::Before => Layer::Number,
            Proof::Open => Layer::Text,
        });
    }
    let Some(found) = walk::read(text, catalog) else {
        return Involvement::unknown(Layer::Nothing, "its text could not be read");
    };
    let mut uses = found.beyond;
    let mut why = None;
    let mut layer = match (proof, found.by_catalog) {
        (Proof::Before, false) => Layer::Number,
        (Proof::Open, false) => Layer::Text,
        (_, true) => Layer::Catalog,
    };
    match proof {
        Proof::Before if uses.is_empty() => layer = Layer::Number,
        Proof::Before => layer = layer.max(Layer::Text),
        Proof::Open => uses.extend(found.tree),
    }
    if found.writes {
        uses.insert(Role::Writes);
    }
    if uses.first().is_none_or(|role| *role == Role::Writes) {
        let open = found.unclear.filter(|_| proof == Proof::Open);
        if let Some(reason) = found.hidden.or(open) {
            uses.insert(Role::Unknown);
            uses.remove(&Role::Writes);
            layer = Layer::Catalog;
            why = Some(reason);
        }
    }
    if found.is_command {
        uses = BTreeSet::from([Role::Unknown]);
        why = Some("a command, no query of rows".to_owned());
    }
    Involvement { uses, layer, on_table: found.on_table, is_command: found.is_command, why }
}

#[cfg(test)]
mod tests;
