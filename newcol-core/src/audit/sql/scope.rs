//! The names that an expression can see.

use std::rc::Rc;

use super::output::{Has, Output, Piece};

/// A table, view or subquery of a `FROM`, under the name by which it is known there.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) name: String,
    pub(super) output: Output,
    /// Whether it is the table itself.
    pub(super) is_table: bool,
}

/// What the variables of a routine do to a column of their name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variables {
    /// The statement fails: PL/pgSQL.
    Clash,
    /// The column is taken: functions in SQL.
    Yield,
    /// The variable is taken: MySQL, MariaDB.
    Win,
}

/// The queries that a `WITH` has named.
pub(super) type Ctes = Rc<Vec<(String, Output)>>;

/// The relations of a query, and the scope around it.
#[derive(Debug, Default)]
pub(super) struct Scope<'a> {
    pub(super) relations: Vec<Relation>,
    /// Names that `USING` and `NATURAL` have merged into one.
    pub(super) merged: Vec<String>,
    pub(super) outer: Option<&'a Scope<'a>>,
    pub(super) ctes: Ctes,
    /// Names of a routine's parameters and variables, if this is its body.
    pub(super) variables: Option<(Variables, Vec<String>)>,
    /// Names that the result gives to its columns; some engines take them for columns elsewhere.
    pub(super) aliases: Vec<String>,
}

/// What becomes of a bare name that is also the new column's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing, or what its writer wanted: the new column.
    Fine,
    /// It means two columns; the other one's relation.
    Two(String),
    /// It may mean two: the columns of this relation are not known.
    PerhapsTwo(String),
    /// It means a column of a query around this one, and will mean the new one.
    Captured(String),
    /// It means a parameter or variable of the routine.
    Variable(Variables),
}

impl<'a> Scope<'a> {
    /// Returns an empty scope within another.
    pub(super) fn within(outer: &'a Self) -> Self {
        Self { outer: Some(outer), ctes: Rc::clone(&outer.ctes), ..Self::default() }
    }

    /// Says what a bare name means that is the new column's.
    pub(super) fn meaning(&self, column: &str) -> Meaning {
        let gaining = self.relations.iter().any(|relation| relation.output.gains());
        if !gaining {
            // It means what it means today, or the question is one of the scope around.
            return match self.outer {
                Some(outer) if self.holder(column, Has::Yes).is_none() => outer.meaning(column),
                _ => Meaning::Fine,
            };
        }
        if self.merged.iter().any(|name| name == column) {
            return Meaning::Fine;
        }
        if let Some(holder) = self.holder(column, Has::Yes) {
            return Meaning::Two(holder.to_owned());
        }
        match self.around(column) {
            Some(found) => found,
            None => self
                .holder(column, Has::Perhaps)
                .map_or(Meaning::Fine, |holder| Meaning::PerhapsTwo(holder.to_owned())),
        }
    }

    /// Finds a relation by the name by which it is known here or around.
    pub(super) fn relation(&self, name: &str) -> Option<&Relation> {
        let here = self.relations.iter().find(|relation| relation.name == name);
        here.or_else(|| self.outer?.relation(name))
    }

    /// Reports whether a bare name means a column of the table itself.
    pub(super) fn means_column_of_table(&self, name: &str) -> bool {
        match self.relations.iter().find(|relation| relation.output.has(name) == Has::Yes) {
            Some(relation) => relation.is_table,
            None => self.outer.is_some_and(|outer| outer.means_column_of_table(name)),
        }
    }

    /// Reports whether a bare name that no relation has may be found in one of them.
    pub(super) fn may_hold(&self, name: &str) -> bool {
        let variable = |(_, names): &(Variables, Vec<String>)| names.iter().any(|n| n == name);
        self.relations.iter().any(|relation| relation.output.has(name) != Has::No)
            || self.variables.as_ref().is_some_and(variable)
            || self.outer.is_some_and(|outer| outer.may_hold(name))
    }

    /// Reports whether the new column can be seen.
    pub(super) fn gains(&self) -> bool {
        self.relations.iter().any(|relation| relation.output.gains())
            || self.outer.is_some_and(Scope::gains)
    }

    /// Reports whether a bare name that means nothing else is the new column of the table itself.
    pub(super) fn finds_new(&self, name: &str) -> bool {
        self.relations.iter().any(|relation| relation.is_table && relation.output.gains())
            && !self.merged.iter().chain(&self.aliases).any(|other| other == name)
    }

    /// Returns all columns of its relations.
    pub(super) fn output(&self) -> Output {
        let pieces = self.relations.iter().flat_map(|relation| relation.output.0.iter().cloned());
        Output(pieces.collect::<Vec<Piece>>())
    }

    /// Finds the query that a `WITH` has given a name.
    pub(super) fn cte(&self, name: &str) -> Option<&Output> {
        self.ctes.iter().rev().find(|(found, _)| found == name).map(|(_, output)| output)
    }

    fn around(&self, column: &str) -> Option<Meaning> {
        if let Some((variables, names)) = &self.variables
            && names.iter().any(|name| name == column)
        {
            return Some(Meaning::Variable(*variables));
        }
        let outer = self.outer?;
        match outer.holder(column, Has::Yes) {
            Some(holder) => Some(Meaning::Captured(holder.to_owned())),
            None => outer.around(column),
        }
    }

    fn holder(&self, column: &str, has: Has) -> Option<&str> {
        let found = self.relations.iter().find(|relation| relation.output.has(column) == has)?;
        Some(&found.name)
    }
}
