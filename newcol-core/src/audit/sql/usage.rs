//! Which tables a statement names, and which columns of the one that is audited.

use std::{collections::BTreeSet, ops::ControlFlow};

use sqlparser::{
    ast::{
        Assignment, AssignmentTarget, Expr, Insert, ObjectName, OnConflictAction, OnInsert, Query,
        Select, SelectItem, SelectItemQualifiedWildcardKind, Statement, TableFactor, TableObject,
        Visit as _, Visitor,
    },
    parser::Parser,
    tokenizer::Token,
};

use super::{
    names::{Names, mentions},
    source::{Base, Source},
    statement::QUERIES,
};
use crate::{audit::Subject, backend::Backend, sql};

/// What a statement names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::audit) struct Usage {
    /// Tables and views, as far as they can be told.
    pub(in crate::audit) tables: BTreeSet<String>,
    /// Columns of the table.
    pub(in crate::audit) columns: BTreeSet<String>,
    /// Whether it means all columns without naming them.
    pub(in crate::audit) all_columns: bool,
}

/// Returns what one statement names, or `None` if the table is not among it.
///
/// A statement that the parser does not know is taken to be about the table if it names it.
pub(in crate::audit) fn usage(text: &str, engine: Backend, subject: &Subject) -> Option<Usage> {
    let names = Names::new(subject, engine);
    let statements = sql::statements(text, engine);
    let tokens = statements.first()?.tokens();
    let source = Source { tokens: tokens.iter().collect(), base: Base::At(0), engine };
    let is_query =
        QUERIES.iter().any(|word| source.is(0, word)) || source.token(0) == Some(&Token::LParen);
    let parsed = if is_query { source.parse(Parser::parse_statement) } else { None };
    let Some(statement) = parsed else {
        let is_table = |token: &Token| match token {
            Token::Word(word) => word.value.eq_ignore_ascii_case(&names.table),
            // A body, which runs later.
            Token::DollarQuotedString(text) => mentions(&text.value, &names.table),
            _ => false,
        };
        let named = source.tokens.iter().any(|placed| is_table(&placed.token));
        let columns = match source.is(0, "COPY") {
            true => listed(&source, &names),
            false => BTreeSet::new(),
        };
        let table = subject.path.table.dotted();
        return named.then(|| Usage {
            tables: BTreeSet::from([table]),
            columns,
            ..Usage::default()
        });
    };
    let mut known: BTreeSet<String> = names.columns.iter().cloned().collect();
    known.insert(names.column.clone());
    let mut look = Look {
        names,
        known,
        own: BTreeSet::new(),
        ctes: BTreeSet::new(),
        usage: Usage::default(),
        bare: BTreeSet::new(),
        qualified: BTreeSet::new(),
        touched: false,
    };
    let _: ControlFlow<()> = statement.visit(&mut look);
    look.done()
}

/// Returns the columns of the table in the first list of a statement.
fn listed(source: &Source<'_>, names: &Names) -> BTreeSet<String> {
    let Some(open) = source.tokens.iter().position(|one| one.token == Token::LParen) else {
        return BTreeSet::new();
    };
    let list = source.part(open..source.after_bracket(open));
    let words = list.tokens.iter().filter_map(|one| match &one.token {
        Token::Word(word) => Some(word.value.clone()),
        _ => None,
    });
    words.filter(|word| names.columns.contains(word) || *word == names.column).collect()
}

struct Look {
    names: Names,
    /// Columns of the table, the new one too.
    known: BTreeSet<String>,
    /// What the table is called in the statement.
    own: BTreeSet<String>,
    ctes: BTreeSet<String>,
    bare: BTreeSet<String>,
    qualified: BTreeSet<(String, String)>,
    usage: Usage,
    touched: bool,
}

impl Look {
    fn done(mut self) -> Option<Usage> {
        let own = &self.own;
        let mine = self.qualified.into_iter().filter(|(table, _)| own.contains(table));
        let names = self.bare.into_iter().chain(mine.map(|(_, column)| column));
        self.usage.columns.extend(names.filter(|name| self.known.contains(name)));
        self.touched.then_some(self.usage)
    }

    fn is_table(&self, name: &ObjectName) -> bool {
        let parts = self.names.parts(name).unwrap_or_default();
        let hidden = matches!(parts.as_slice(), [only] if self.ctes.contains(only));
        !hidden && self.names.is_table(&parts)
    }

    fn is_table_factor(&self, factor: &TableFactor) -> bool {
        matches!(factor, TableFactor::Table { name, args: None, .. } if self.is_table(name))
    }

    fn items(&mut self, items: &[SelectItem], has_table: bool) {
        for item in items {
            self.usage.all_columns |= match item {
                SelectItem::Wildcard(_) => has_table,
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    _,
                ) => {
                    let parts = self.names.parts(name).unwrap_or_default();
                    parts
                        .last()
                        .is_some_and(|last| self.own.contains(last) || *last == self.names.table)
                }
                _ => false,
            };
        }
    }

    fn targets(&mut self, assignments: &[Assignment]) {
        for assignment in assignments {
            let names = match &assignment.target {
                AssignmentTarget::ColumnName(name) => std::slice::from_ref(name),
                AssignmentTarget::Tuple(names) => names,
            };
            self.written(names);
        }
    }

    fn written(&mut self, names: &[ObjectName]) {
        let last = |name: &ObjectName| self.names.parts(name)?.pop();
        let names: Vec<String> = names.iter().filter_map(last).collect();
        self.bare.extend(names);
    }

    fn insert(&mut self, insert: &Insert) {
        let TableObject::TableName(name) = &insert.table else { return };
        if !self.is_table(name) {
            return;
        }
        self.usage.all_columns |=
            insert.columns.is_empty() && insert.assignments.is_empty() && insert.source.is_some();
        self.written(&insert.columns);
        self.targets(&insert.assignments);
        match &insert.on {
            Some(OnInsert::DuplicateKeyUpdate(assignments)) => self.targets(assignments),
            Some(OnInsert::OnConflict(conflict)) => {
                if let OnConflictAction::DoUpdate(update) = &conflict.action {
                    self.targets(&update.assignments);
                }
            }
            _ => {}
        }
        if let Some(alias) = &insert.table_alias {
            self.own.insert(self.names.fold(&alias.alias));
        }
        self.items(insert.returning.as_deref().unwrap_or_default(), true);
    }
}

impl Visitor for Look {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        match statement {
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => {
                if self.is_table_factor(&update.table.relation) {
                    self.targets(&update.assignments);
                }
                let has_table = self.is_table_factor(&update.table.relation);
                self.items(update.returning.as_deref().unwrap_or_default(), has_table);
            }
            Statement::Delete(delete) => {
                self.items(delete.returning.as_deref().unwrap_or_default(), true);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.ctes.insert(self.names.fold(&cte.alias.name));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let factors = select.from.iter().flat_map(|table| {
            std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation))
        });
        let mut has_table = false;
        for factor in factors.filter(|factor| self.is_table_factor(factor)).collect::<Vec<_>>() {
            has_table = true;
            self.alias(factor);
        }
        self.items(&select.projection, has_table);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let parts = self.names.parts(relation).unwrap_or_default();
        let is_cte = matches!(parts.as_slice(), [only] if self.ctes.contains(only));
        if !is_cte && !parts.is_empty() {
            if self.names.is_table(&parts) {
                self.touched = true;
                self.own.extend(parts.last().cloned());
            }
            self.usage.tables.insert(parts.join("."));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if self.is_table_factor(factor) {
            self.alias(factor);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => {
                self.bare.insert(self.names.fold(ident));
            }
            Expr::CompoundIdentifier(idents) => {
                if let [.., table, column] = idents.as_slice() {
                    self.qualified.insert((self.names.fold(table), self.names.fold(column)));
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Look {
    fn alias(&mut self, factor: &TableFactor) {
        if let TableFactor::Table { alias: Some(alias), .. } = factor {
            self.own.insert(self.names.fold(&alias.name));
        }
    }
}
