//! Which numbers are one query before and after the column: a deploy that only widens lists keeps
//! one continuous series.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, Insert, ObjectName, OnConflictAction, OnInsert, Query,
    Select, SelectItem, SetExpr, Statement, TableFactor, TableObject, TableWithJoins, Update,
    Value, VisitMut, VisitorMut,
};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::{
    catalog::{Catalog, Meaning, Named},
    digest,
    names::{fold, parts},
    text,
};
use crate::contract::fragment::dialect;

/// Returns a text that is the same for statements which differ only in the column's place in lists
/// (select lists, `RETURNING`, columns and values of an `INSERT`, `SET`), in how many rows or constants
/// a list has, and in how names are quoted. What was sent prepared stays apart from what was sent as
/// text, where the server tells them apart. `None` where the statement cannot be read.
pub fn fingerprint(statement: &str, catalog: &Catalog) -> Option<String> {
    let prepared = digest::is_prepared(statement, catalog).then(|| "execute".to_owned());
    let mut statement = text::parse(&text::tokens(statement, catalog)?, catalog)?;
    let mut without = Without { catalog, names: Vec::new() };
    // Nothing breaks it off.
    let _: ControlFlow<()> = VisitMut::visit(&mut statement, &mut without);
    let text = statement.to_string();
    let tokens = Tokenizer::new(dialect(catalog.backend), &text).tokenize().ok()?;
    let words = tokens.iter().filter_map(|token| match token {
        Token::Whitespace(_) => None,
        // Before the alias of a table it may be left out.
        Token::Word(word) if word.keyword == Keyword::AS => None,
        Token::Word(word) if word.quote_style.is_some() => Some(word.value.clone()),
        Token::Word(word) => Some(word.value.to_lowercase()),
        Token::Placeholder(_) => Some("?".to_owned()),
        other => Some(other.to_string()),
    });
    Some(prepared.into_iter().chain(words).collect::<Vec<_>>().join(" "))
}

/// Takes the column out of lists.
struct Without<'c> {
    catalog: &'c Catalog,
    /// By which names the statement knows the table.
    names: Vec<String>,
}

impl Without<'_> {
    fn is_table(&self, name: &ObjectName) -> bool {
        matches!(self.catalog.meaning(&parts(name)), Meaning::One(Named::Table | Named::Part))
    }

    fn note(&mut self, table: &TableWithJoins) {
        let joined = table.joins.iter().map(|join| &join.relation);
        for factor in std::iter::once(&table.relation).chain(joined) {
            match factor {
                TableFactor::Table { name, alias, .. } if self.is_table(name) => {
                    let own = name.0.last().and_then(|part| part.as_ident()).map(fold);
                    self.names.extend(alias.as_ref().map(|alias| fold(&alias.name)).or(own));
                }
                TableFactor::NestedJoin { table_with_joins, .. } => self.note(table_with_joins),
                _ => {}
            }
        }
    }

    fn is_column(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Identifier(name) => fold(name) == self.catalog.column && !self.names.is_empty(),
            Expr::CompoundIdentifier(names) => match names.as_slice() {
                [.., relation, name] => {
                    fold(name) == self.catalog.column && self.names.contains(&fold(relation))
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn narrow(&self, items: &mut Vec<SelectItem>) {
        let is_column = |item: &SelectItem| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                self.is_column(expr)
            }
            _ => false,
        };
        if !items.iter().all(is_column) {
            items.retain(|item| !is_column(item));
        }
    }

    fn narrow_assignments(&self, assignments: &mut Vec<Assignment>) {
        let is_column = |assignment: &Assignment| {
            matches!(&assignment.target, AssignmentTarget::ColumnName(name)
                if self.ends_in_column(name))
        };
        if !assignments.iter().all(is_column) {
            assignments.retain(|assignment| !is_column(assignment));
        }
    }

    fn ends_in_column(&self, name: &ObjectName) -> bool {
        let last = name.0.last().and_then(|part| part.as_ident());
        last.is_some_and(|name| fold(name) == self.catalog.column)
    }

    fn insert(&mut self, insert: &mut Insert) {
        if let Some(SetExpr::Values(values)) = insert.source.as_mut().map(|query| &mut *query.body)
        {
            values.rows.truncate(1);
        }
        let TableObject::TableName(name) = &insert.table else { return };
        if !self.is_table(name) {
            return;
        }
        let own = name.0.last().and_then(|part| part.as_ident()).map(fold);
        self.names.extend(insert.table_alias.as_ref().map(|alias| fold(&alias.alias)).or(own));
        let place = match insert.columns.as_slice() {
            [] => Some(self.catalog.position()),
            listed => listed.iter().position(|name| self.ends_in_column(name)),
        };
        if let Some(place) = place {
            match insert.source.as_mut().map(|query| &mut *query.body) {
                Some(SetExpr::Values(values)) => {
                    for row in &mut values.rows {
                        if place < row.content.len() && row.content.len() > 1 {
                            row.content.remove(place);
                        }
                    }
                }
                Some(SetExpr::Select(select)) if place < select.projection.len() => {
                    let is_star = |item: &SelectItem| {
                        matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
                    };
                    if !select.projection.iter().any(is_star) {
                        select.projection.remove(place);
                    }
                }
                _ => {}
            }
            if place < insert.columns.len() {
                insert.columns.remove(place);
            }
        }
        if let Some(OnInsert::OnConflict(conflict)) = &mut insert.on
            && let OnConflictAction::DoUpdate(change) = &mut conflict.action
        {
            self.narrow_assignments(&mut change.assignments);
        }
        if let Some(items) = &mut insert.returning {
            self.narrow(items);
        }
    }

    fn update(&mut self, update: &mut Update) {
        self.note(&update.table);
        if self.names.is_empty() {
            return;
        }
        self.narrow_assignments(&mut update.assignments);
        if let Some(items) = &mut update.returning {
            self.narrow(items);
        }
    }
}

impl VisitorMut for Without<'_> {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<()> {
        match statement {
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => self.update(update),
            Statement::Delete(delete) => {
                let (sqlparser::ast::FromTable::WithFromKeyword(from)
                | sqlparser::ast::FromTable::WithoutKeyword(from)) = &delete.from;
                from.iter().for_each(|table| self.note(table));
                if let Some(items) = &mut delete.returning {
                    self.narrow(items);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Values(values) = &mut *query.body {
            values.rows.truncate(1);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        select.from.iter().for_each(|table| self.note(table));
        self.narrow(&mut select.projection);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::InList { list, .. } = expr
            && list.iter().all(|item| matches!(item, Expr::Value(_)))
        {
            list.truncate(1);
        }
        if let Expr::Value(value) = expr
            && matches!(value.value, Value::Number(..) | Value::SingleQuotedString(_))
        {
            value.value = Value::Placeholder("$1".to_owned());
        }
        ControlFlow::Continue(())
    }
}
