//! Other tables that a statement may use: those that foreign keys lead to, as far as their keys go.
//!
//! The throwaway database has such a table with the columns and rows that the key refers to, so their
//! values are those of the table's own columns. Only PostgreSQL's has it.

use std::{collections::BTreeMap, ops::ControlFlow};

use sqlparser::ast::{
    Ident, ObjectName, SelectItem, SelectItemQualifiedWildcardKind, Statement, TableFactor,
    Visit as _, Visitor,
};

use crate::{
    backend::Backend,
    bench::profile::{ConstraintKind, Profile},
    ident::TableName,
};

/// What a qualified name means.
pub(super) enum Meaning {
    /// It is not of a joined table.
    Own,
    /// It is part of the key of a joined table, and has the values of this column.
    Key(String),
    /// The throwaway database does not have it.
    Missing,
}

/// Tables that foreign keys lead to, as a statement uses them.
#[derive(Default)]
pub(super) struct Joined {
    /// Columns of their keys, each with the column that refers to it.
    parents: BTreeMap<String, BTreeMap<String, String>>,
    /// What they are called in the statement, and their own names.
    names: BTreeMap<String, String>,
}

impl Joined {
    /// Finds those that a statement uses.
    pub(super) fn of(profile: &Profile, backend: Backend, statement: &Statement) -> Self {
        let mut joined = Self::default();
        if backend != Backend::Postgres {
            return joined;
        }
        let foreign = profile.definition.constraints.iter();
        for of in foreign.filter(|of| of.kind == ConstraintKind::Foreign) {
            let Some(references) = &of.references else { continue };
            let Ok(parent) = references.table.parse::<TableName>() else { continue };
            let pairs = references.columns.iter().cloned().zip(of.columns.iter().cloned());
            let name = parent.name.as_str().to_owned();
            joined.parents.entry(name).or_default().extend(pairs);
        }
        let mut names = Names(Vec::new());
        let _: ControlFlow<()> = statement.visit(&mut names);
        let of_parent = |(_, table): &(String, String)| joined.parents.contains_key(table);
        joined.names = names.0.into_iter().filter(of_parent).collect();
        joined
    }

    /// Reports whether a relation is one of them.
    pub(super) fn has(&self, relation: &str) -> bool {
        self.parents.contains_key(relation)
    }

    /// Reports whether the statement uses any.
    pub(super) fn is_any(&self) -> bool {
        !self.names.is_empty()
    }

    /// Says what a column of a relation is.
    pub(super) fn meaning(&self, relation: &str, column: &str) -> Meaning {
        match self.names.get(relation).and_then(|table| self.parents.get(table)) {
            None => Meaning::Own,
            Some(key) => key.get(column).cloned().map_or(Meaning::Missing, Meaning::Key),
        }
    }

    /// Returns what of a joined table a list of columns has that is not its key.
    pub(super) fn all_columns(&self, item: &SelectItem) -> Option<String> {
        let is_all = match item {
            SelectItem::Wildcard(_) => true,
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                last(name).is_some_and(|name| self.names.contains_key(&name))
            }
            _ => false,
        };
        (is_all && self.is_any()).then(|| item.to_string())
    }
}

/// What relations are called in a statement, and their own names.
struct Names(Vec<(String, String)>);

impl Visitor for Names {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, .. } = factor
            && let Some(table) = last(name)
        {
            let called = alias.as_ref().map_or_else(|| table.clone(), |alias| folded(&alias.name));
            self.0.push((called, table));
        }
        ControlFlow::Continue(())
    }
}

fn last(name: &ObjectName) -> Option<String> {
    Some(folded(name.0.last()?.as_ident()?))
}

/// Returns a name as PostgreSQL reads it.
fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        None => ident.value.to_lowercase(),
        Some(_) => ident.value.clone(),
    }
}
