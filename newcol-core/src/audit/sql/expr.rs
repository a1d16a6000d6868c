//! Walks through expressions: bare names, and the subqueries among them.

use std::ops::ControlFlow;

use sqlparser::ast::{AssignmentTarget, Expr, Ident, ObjectName, Query, Visit, Visitor};

use super::{
    Origin,
    query::Walk,
    scope::{Meaning, Scope, Variables},
};
use crate::{
    audit::{
        Class,
        rules::{AMBIGUOUS_COLUMN, CAPTURED_BY_SUBQUERY, REPLACED_IN_USE, USED_BEFORE_EXPAND},
    },
    backend::Backend,
    plan::StageKind,
};

impl Walk<'_, '_, '_> {
    /// Walks through all expressions of a node.
    pub(super) fn expressions(&mut self, node: &impl Visit, scope: &Scope<'_>) {
        let mut names = InExpression { walk: self, scope, depth: 0, counted: Vec::new() };
        // Nothing breaks it off.
        let _: ControlFlow<()> = node.visit(&mut names);
    }

    /// Weighs a column that an `UPDATE` sets.
    pub(super) fn replaced_target(&mut self, target: &AssignmentTarget, scope: &Scope<'_>) {
        let names: &[ObjectName] = match target {
            AssignmentTarget::ColumnName(name) => std::slice::from_ref(name),
            AssignmentTarget::Tuple(names) => names,
        };
        for name in names {
            let is_table = scope.relations.first().is_some_and(|relation| relation.is_table);
            if let Some(ident) = name.0.last().and_then(|part| part.as_ident())
                && is_table
            {
                self.replaced(ident);
            }
        }
    }

    /// Says that a column of the table is used that is on its way out, or not there yet.
    pub(super) fn replaced(&mut self, ident: &Ident) {
        let name = self.examiner.names.fold(ident);
        if name == self.examiner.names.column {
            self.early(ident);
        }
        if self.examiner.subject.column.replaces.as_deref() == Some(name.as_str()) {
            let message =
                format!("`{name}` goes when `{}` has taken its place", self.examiner.column());
            let range = self.source.range(ident.span);
            self.examiner.report(&REPLACED_IN_USE, range, message).due = StageKind::Contract;
        }
    }

    /// Says that the program names the column while the database does not have it.
    fn early(&mut self, ident: &Ident) {
        let is_program = matches!(self.examiner.origin, Origin::Program(_));
        if !is_program || !self.examiner.subject.column.is_missing {
            return;
        }
        let column = self.examiner.column();
        let message = format!("`{column}` is named here, and the database does not have it");
        let range = self.source.range(ident.span);
        self.examiner.report(&USED_BEFORE_EXPAND, range, message);
    }

    fn bare(&mut self, ident: &Ident, scope: &Scope<'_>) {
        let name = self.examiner.names.fold(ident);
        if scope.means_column_of_table(&name) {
            self.replaced(ident);
        }
        if name != self.examiner.names.column {
            return;
        }
        let table = self.examiner.table();
        let range = self.source.range(ident.span);
        // SQLite takes a name in double quotes that nothing has for a text.
        if self.examiner.engine == Backend::Sqlite
            && ident.quote_style == Some('"')
            && scope.gains()
            && !scope.may_hold(&name)
        {
            let message =
                format!("`\"{name}\"` is a text today and will mean the column of `{table}`");
            self.examiner.report(&CAPTURED_BY_SUBQUERY, range, message);
            return;
        }
        let clash = |other: String| match other.as_str() {
            "" => format!("`{name}` will mean a column of `{table}` too"),
            other => {
                format!("`{name}` means a column of `{other}` and will mean one of `{table}` too")
            }
        };
        let (rule, class, message) = match scope.meaning(&name) {
            Meaning::Fine => {
                if scope.finds_new(&name) {
                    self.early(ident);
                }
                return;
            }
            Meaning::Variable(Variables::Win) => return,
            Meaning::Two(other) => (&AMBIGUOUS_COLUMN, Class::Runtime, clash(other)),
            Meaning::PerhapsTwo(other) => {
                let other =
                    if other.is_empty() { "the others".to_owned() } else { format!("`{other}`") };
                let message = format!(
                    "`{name}` will mean a column of `{table}`, and the columns of {other} are not known"
                );
                (&AMBIGUOUS_COLUMN, Class::Unknown, message)
            }
            Meaning::Captured(other) => {
                let message = format!(
                    "`{name}` means the column of `{other}` around this query and will mean that of `{table}` in it"
                );
                (&CAPTURED_BY_SUBQUERY, Class::Silent, message)
            }
            Meaning::Variable(Variables::Clash) => {
                let message =
                    format!("`{name}` means a variable and will mean a column of `{table}` too");
                (&AMBIGUOUS_COLUMN, Class::Runtime, message)
            }
            Meaning::Variable(Variables::Yield) => {
                let message =
                    format!("`{name}` means a parameter and will mean the column of `{table}`");
                (&CAPTURED_BY_SUBQUERY, Class::Silent, message)
            }
        };
        self.examiner.report(rule, range, message).class = class;
    }

    fn qualified(&mut self, idents: &[Ident], scope: &Scope<'_>) {
        let [.., qualifier, ident] = idents else { return };
        let qualifier = self.examiner.names.fold(qualifier);
        let Some(relation) = scope.relation(&qualifier) else { return };
        if relation.is_table {
            self.replaced(ident);
        }
        let name = self.examiner.names.fold(ident);
        if name == self.examiner.names.column && relation.output.twice(&name).is_some() {
            let message = format!("`{qualifier}` will have two columns `{name}`");
            self.examiner.report(&AMBIGUOUS_COLUMN, self.source.range(ident.span), message);
        }
    }

    fn subquery(&mut self, query: &Query, scope: &Scope<'_>, wanted: Option<usize>) {
        let output = self.query(query, scope);
        if let Some(wanted) = wanted
            && output.gains()
            && output.count_then() != Some(wanted)
        {
            let columns = if wanted == 1 { "one column" } else { "as many columns as it names" };
            let message =
                format!("`*` brings `{}` where {columns} must come", self.examiner.column());
            self.star_meets_list(&output, message);
        }
    }
}

/// The expressions of one scope; subqueries have scopes of their own.
struct InExpression<'x, 'w, 'a, 's> {
    walk: &'x mut Walk<'w, 'a, 's>,
    scope: &'x Scope<'x>,
    depth: usize,
    /// Subqueries of which the number of columns matters, and that number.
    counted: Vec<(*const Query, usize)>,
}

impl Visitor for InExpression<'_, '_, '_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.depth == 0 {
            let here = |(counted, _): &&(*const Query, usize)| std::ptr::eq(*counted, query);
            let wanted = self.counted.iter().find(here).map(|(_, wanted)| *wanted);
            self.walk.subquery(query, self.scope, wanted);
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::Identifier(ident) => self.walk.bare(ident, self.scope),
            Expr::CompoundIdentifier(idents) => self.walk.qualified(idents, self.scope),
            Expr::Subquery(query) => self.counted.push((&raw const **query, 1)),
            Expr::InSubquery { expr, subquery, .. } => {
                let wanted = match &**expr {
                    Expr::Tuple(parts) => parts.len(),
                    _ => 1,
                };
                self.counted.push((&raw const **subquery, wanted));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
