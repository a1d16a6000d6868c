//! Walks through `INSERT`: its list of columns, what fills it, what it does on a conflict.

use std::ops::Range;

use sqlparser::ast::{
    Assignment, AssignmentTarget, Insert, ObjectName, OnConflictAction, OnInsert, Spanned,
    SqliteOnConflict, TableObject,
};

use super::{
    names::written,
    output::Output,
    query::Walk,
    scope::{Relation, Scope},
};
use crate::{
    audit::{
        Class, Edit, Fix,
        rules::{
            INSERT_WITHOUT_LIST, SQL_INSERT_WITHOUT_REQUIRED, SQL_REPLACE, STALE_COPY,
            STAR_MEETS_LIST,
        },
    },
    backend::Backend,
};

impl Walk<'_, '_, '_> {
    pub(super) fn insert(&mut self, insert: &Insert, outer: &Scope<'_>) -> Output {
        let TableObject::TableName(name) = &insert.table else { return Output::unknown() };
        let parts = self.examiner.names.parts(name).unwrap_or_default();
        // A `WITH` names no table that could be written to.
        let is_table = self.examiner.names.is_table(&parts);
        let source = insert.source.as_deref().map(|query| self.query(query, outer));
        let at = self.source.range(name.span());
        if is_table {
            self.fills_table(insert, source.as_ref(), &at);
        } else if let Some(source) = &source {
            self.fills_other(insert, &parts, source);
        }
        let output = self.named(name, &Scope::default());
        let alias = insert.table_alias.as_ref().map(|alias| self.examiner.names.fold(&alias.alias));
        let own = alias.or_else(|| parts.last().cloned()).unwrap_or_default();
        let mut scope = Scope::within(outer);
        scope.relations.push(Relation { name: own, output, is_table });
        self.on_conflict(insert, &scope, is_table);
        insert.returning.as_ref().map(|items| self.projection(items, &scope)).unwrap_or_default()
    }

    /// Weighs the columns that an `INSERT` into the table names.
    pub(super) fn listed(&mut self, columns: &[ObjectName], at: Range<usize>) {
        let last = |name: &ObjectName| self.examiner.names.parts(name)?.pop();
        let names: Vec<String> = columns.iter().filter_map(last).collect();
        for ident in columns.iter().filter_map(|name| name.0.last()?.as_ident()) {
            self.replaced(ident);
        }
        if !names.contains(&self.examiner.names.column) {
            self.without_required(at);
        }
    }

    fn fills_table(&mut self, insert: &Insert, source: Option<&Output>, at: &Range<usize>) {
        let column = self.examiner.names.column.clone();
        let replaces = insert.replace_into || insert.or == Some(SqliteOnConflict::Replace);
        let assigned: Vec<ObjectName> = insert.assignments.iter().flat_map(targets).collect();
        let listed = if insert.columns.is_empty() { &assigned } else { &insert.columns };
        if !listed.is_empty() {
            self.listed(listed, at.clone());
            let last = |name: &ObjectName| self.examiner.names.parts(name)?.pop();
            let names: Vec<String> = listed.iter().filter_map(last).collect();
            if replaces && !names.contains(&column) {
                self.replaces(at.clone());
            }
            if let Some(source) = source
                && source.gains()
                && source.count_then() != Some(names.len())
            {
                self.too_many(source, names.len());
            }
            return;
        }
        let Some(source) = source else {
            // DEFAULT VALUES.
            return self.without_required(at.clone());
        };
        let columns = self.examiner.names.columns.len();
        let then = source.count_then();
        if then == Some(columns + 1) || (then.is_none() && source.gains()) {
            return;
        }
        match self.examiner.engine {
            // It fills the first columns, and the others with their defaults.
            Backend::Postgres if then.is_some_and(|then| then > columns + 1) => {
                self.too_many(source, columns + 1);
            }
            Backend::Postgres => self.without_required(at.clone()),
            Backend::Mysql | Backend::Sqlite => {
                let message = format!(
                    "{} wants a value for each column, and `{}` gets one more",
                    self.examiner.engine,
                    self.examiner.table()
                );
                // With a list, a row that is replaced would silently lose what the column holds.
                let fix = (!replaces).then(|| self.list_of_today(source, at)).flatten();
                self.examiner.report(&INSERT_WITHOUT_LIST, at.clone(), message).fix = fix;
            }
        }
    }

    /// Returns the list that keeps the meaning, where the order of the columns is certain.
    fn list_of_today(&self, source: &Output, at: &Range<usize>) -> Option<Fix> {
        let columns = &self.examiner.subject.table.columns;
        let names: Vec<&str> = columns.iter().map(|column| column.sql_name.as_str()).collect();
        // `column_sorting = "name"` leaves a schema.rs that does not tell the order.
        let may_be_sorted = columns.is_sorted_by_key(|column| &column.rust_name);
        if source.count() != Some(names.len()) || may_be_sorted || !self.source.is_exact() {
            return None;
        }
        let names: Option<Vec<String>> =
            names.iter().map(|name| written(name, &self.examiner.subject.engines)).collect();
        let names = names?;
        let text = format!(" ({})", names.join(", "));
        let edits = vec![Edit { range: at.end..at.end, text }];
        Some(Fix { message: "name the columns".to_owned(), path: None, edits })
    }

    fn fills_other(&mut self, insert: &Insert, parts: &[String], source: &Output) {
        if !source.gains() {
            return;
        }
        let other = self.examiner.names.other(parts);
        let known = match insert.columns.len() {
            0 => other.map(<[String]>::len),
            listed => Some(listed),
        };
        // The target may be shorter than what fills it, and mend what is wrong by getting the column.
        let has_it = other.is_some_and(|names| names.contains(&self.examiner.names.column));
        let fills_part = insert.columns.is_empty() && self.examiner.engine == Backend::Postgres;
        match (known, source.count_then()) {
            (Some(known), Some(then)) if known == then && (has_it || !fills_part) => {}
            (Some(known), Some(then)) if then <= known && fills_part => {
                let message = format!(
                    "`*` brings `{}`, which goes to a column of the target that was to keep its default",
                    self.examiner.column()
                );
                if let Some((star, false)) = source.first_new() {
                    self.examiner.report(&STAR_MEETS_LIST, star, message).class = Class::Silent;
                }
            }
            (known, _) => self.too_many(source, known.unwrap_or_default()),
        }
    }

    fn too_many(&mut self, source: &Output, known: usize) {
        let takes = match known {
            0 => "the target does not have it".to_owned(),
            1 => "1 column takes it".to_owned(),
            n => format!("{n} columns take it"),
        };
        let message = format!("`*` brings `{}`, and {takes}", self.examiner.column());
        self.star_meets_list(source, message);
    }

    fn without_required(&mut self, at: Range<usize>) {
        let Some(stage) = self.examiner.subject.column.inserts_fail_from else { return };
        let message = format!(
            "this row has no `{}`, which it must have from {} on",
            self.examiner.column(),
            stage.name()
        );
        self.examiner.report(&SQL_INSERT_WITHOUT_REQUIRED, at, message).due = stage;
    }

    fn replaces(&mut self, at: Range<usize>) {
        let message = format!(
            "a row that is replaced loses its `{}`, which becomes {}",
            self.examiner.column(),
            if self.examiner.subject.column.has_default { "the default" } else { "NULL" }
        );
        self.examiner.report(&SQL_REPLACE, at, message);
    }

    fn on_conflict(&mut self, insert: &Insert, scope: &Scope<'_>, is_table: bool) {
        let assignments = match &insert.on {
            Some(OnInsert::DuplicateKeyUpdate(assignments)) => assignments,
            Some(OnInsert::OnConflict(conflict)) => match &conflict.action {
                OnConflictAction::DoUpdate(update) => {
                    self.expressions(&update.selection, scope);
                    &update.assignments
                }
                OnConflictAction::DoNothing => return,
            },
            _ => return,
        };
        for assignment in assignments {
            self.expressions(&assignment.value, scope);
            self.replaced_target(&assignment.target, scope);
        }
        if is_table {
            self.stale_copy(assignments);
        }
    }

    /// Weighs an upsert that changes what the column was computed from, and not the column.
    fn stale_copy(&mut self, assignments: &[Assignment]) {
        let column = &self.examiner.subject.column;
        // Triggers keep both in step.
        if column.replaces.is_some() {
            return;
        }
        let computed_from: Vec<String> =
            column.computed_from.iter().map(|name| name.to_lowercase()).collect();
        let mut sources = Vec::new();
        for name in assignments.iter().flat_map(targets) {
            let Some(last) = self.examiner.names.parts(&name).and_then(|mut parts| parts.pop())
            else {
                return;
            };
            if last == self.examiner.names.column {
                return;
            }
            if computed_from.contains(&last.to_lowercase()) {
                sources.push((last, self.source.range(name.span())));
            }
        }
        if let Some((from, range)) = sources.into_iter().next() {
            let message = format!(
                "a row that is there gets a new `{from}` and keeps the `{}` of the old one",
                self.examiner.column()
            );
            self.examiner.report(&STALE_COPY, range, message).class = Class::Silent;
        }
    }
}

fn targets(assignment: &Assignment) -> Vec<ObjectName> {
    match &assignment.target {
        AssignmentTarget::ColumnName(name) => vec![name.clone()],
        AssignmentTarget::Tuple(names) => names.clone(),
    }
}
