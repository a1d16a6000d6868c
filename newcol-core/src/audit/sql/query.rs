//! Walks through queries: scopes going down, columns coming up.

use std::{ops::Range, rc::Rc};

use sqlparser::ast::{
    Delete, Distinct, Expr, FromTable, Ident, LimitClause, Merge, ObjectName, OrderByKind, Query,
    Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier,
    Spanned, Statement, Update, UpdateTableFromKind, Values, WildcardAdditionalOptions,
};

use super::{
    Origin,
    names::written,
    output::{Output, Piece},
    scope::{Relation, Scope},
    source::Source,
    statement::Examiner,
};
use crate::{
    audit::{
        Class,
        rules::{NO_EQUALITY, ROW_IN_TRIGGER, Rule, STAR_MEETS_LIST},
    },
    backend::Backend,
};

/// A walk through one statement.
pub(super) struct Walk<'w, 'a, 's> {
    pub(super) examiner: &'w mut Examiner<'a>,
    pub(super) source: &'w Source<'s>,
    /// Whether `NEW` and `OLD` are rows of the table.
    pub(super) row: bool,
}

impl Walk<'_, '_, '_> {
    /// Walks through a statement; what comes up are the rows that it returns.
    pub(super) fn statement(&mut self, statement: &Statement, outer: &Scope<'_>) -> Output {
        match statement {
            Statement::Query(query) => self.query(query, outer),
            Statement::Insert(insert) => self.insert(insert, outer),
            Statement::Update(update) => self.update(update, outer),
            Statement::Delete(delete) => self.delete(delete, outer),
            Statement::Merge(merge) => self.merge(merge, outer),
            _ => Output::unknown(),
        }
    }

    /// Walks through a query.
    pub(super) fn query(&mut self, query: &Query, outer: &Scope<'_>) -> Output {
        let mut scope = Scope::within(outer);
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = self.examiner.names.fold(&cte.alias.name);
            let names: Vec<String> =
                cte.alias.columns.iter().map(|c| self.examiner.names.fold(&c.name)).collect();
            let recursive = query.with.as_ref().is_some_and(|with| with.recursive);
            if recursive {
                let known =
                    if names.is_empty() { Output::unknown() } else { Output::of_names(&names) };
                Rc::make_mut(&mut scope.ctes).push((name.clone(), known));
            }
            let output = self.query(&cte.query, &scope);
            let output = self.aliased(output, names, &cte.alias.name);
            Rc::make_mut(&mut scope.ctes).push((name, output));
        }
        self.set_expr(&query.body, &scope, Some(query))
    }

    fn set_expr(&mut self, body: &SetExpr, outer: &Scope<'_>, tail: Option<&Query>) -> Output {
        match body {
            SetExpr::Select(select) => self.select(select, outer, tail),
            SetExpr::Query(query) => self.query(query, outer),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let left = self.set_expr(left, outer, None);
                let right = self.set_expr(right, outer, None);
                let all = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
                self.united(&left, &right, *op, all);
                let mut output = left;
                if !output.gains() && right.gains() {
                    output = Output::unknown();
                }
                output
            }
            SetExpr::Values(values) => self.values(values, outer),
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement)
            | SetExpr::Merge(statement) => self.statement(statement, outer),
            SetExpr::Table(table) => {
                let name = [table.schema_name.as_deref(), table.table_name.as_deref()];
                let name = ObjectName::from(
                    name.into_iter().flatten().map(Ident::new).collect::<Vec<_>>(),
                );
                self.named(&name, outer).starred(&self.source.whole())
            }
        }
    }

    fn select(&mut self, select: &Select, outer: &Scope<'_>, tail: Option<&Query>) -> Output {
        let mut scope = Scope::within(outer);
        for table in &select.from {
            self.table_with_joins(table, &mut scope, outer);
        }
        scope.aliases = self.aliases(&select.projection);
        let output = self.projection(&select.projection, &scope);
        self.expressions(&select.selection, &scope);
        self.expressions(&select.group_by, &scope);
        self.expressions(&select.having, &scope);
        self.expressions(&select.named_window, &scope);
        match &select.distinct {
            Some(Distinct::Distinct) => self.compared(&output, "DISTINCT"),
            Some(Distinct::On(columns)) => self.expressions(columns, &scope),
            Some(Distinct::All) | None => {}
        }
        if let Some(query) = tail {
            self.tail(query, (&select.projection, &output), &scope);
        }
        output
    }

    /// Reports whether a bare key of `ORDER BY` means a column of the result, and only one.
    fn is_of_result(&self, key: &Expr, (items, output): (&[SelectItem], &Output)) -> bool {
        let Expr::Identifier(ident) = key else { return false };
        let name = self.examiner.names.fold(ident);
        if output.twice(&name).is_some() {
            return false;
        }
        let named = Piece::Column(Some(name));
        let unnamed = |item: &&SelectItem| match item {
            SelectItem::UnnamedExpr(expr) => {
                self.unnamed(expr, &Scope::default()).0.contains(&named)
            }
            _ => false,
        };
        let all = output.0.iter().filter(|piece| **piece == named).count();
        match self.examiner.engine {
            // There, `AS` and `*` give a name to a column of the result, and `posts.title` does not.
            Backend::Sqlite => all > items.iter().filter(unnamed).count(),
            Backend::Postgres | Backend::Mysql => all > 0,
        }
    }

    /// Walks through a select list or a `RETURNING`.
    pub(super) fn projection(&mut self, items: &[SelectItem], scope: &Scope<'_>) -> Output {
        let mut pieces = Vec::new();
        for item in items {
            match item {
                SelectItem::Wildcard(options) => {
                    let at = self.source.range(options.wildcard_token.0.span);
                    if scope.merged.is_empty() && is_bare(options) {
                        self.name_star(&at, &scope.relations);
                    }
                    pieces.extend(scope.output().starred(&at).0);
                }
                SelectItem::QualifiedWildcard(kind, options) => {
                    let at = self.source.range(item.span());
                    if is_bare(options)
                        && let SelectItemQualifiedWildcardKind::ObjectName(name) = kind
                        && let Some([only]) = self.examiner.names.parts(name).as_deref()
                        && let Some(of) = scope.relations.iter().position(|one| one.name == *only)
                    {
                        self.name_star(&at, &scope.relations[of..=of]);
                    }
                    pieces.extend(self.qualified_star(kind, &at, scope).0);
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    self.expressions(expr, scope);
                    pieces.push(Piece::Column(Some(self.examiner.names.fold(alias))));
                }
                SelectItem::UnnamedExpr(expr) => {
                    self.expressions(expr, scope);
                    pieces.extend(self.unnamed(expr, scope).0);
                }
                SelectItem::ExprWithAliases { expr, .. } => {
                    self.expressions(expr, scope);
                    pieces.push(Piece::Many);
                }
            }
        }
        Output(pieces)
    }

    /// Notes the columns that a `*` stands for, where they and their order are certain.
    fn name_star(&mut self, at: &Range<usize>, relations: &[Relation]) {
        let is_ours = matches!(self.examiner.origin, Origin::Program(_) | Origin::Script);
        if !is_ours || !self.source.is_exact() {
            return;
        }
        let engines = &self.examiner.subject.engines;
        let mut columns = Vec::new();
        for relation in relations {
            let mut own = Vec::new();
            for piece in &relation.output.0 {
                match piece {
                    Piece::Column(Some(name)) => own.push(name.as_str()),
                    Piece::New { .. } => {}
                    Piece::Column(None) | Piece::Many => return,
                }
            }
            // `column_sorting = "name"` leaves a schema.rs that does not tell the order.
            if own.is_sorted() {
                return;
            }
            let of = match relation.name.as_str() {
                "" if relations.len() == 1 => String::new(),
                "" => return,
                name => match written(name, engines) {
                    Some(name) => format!("{name}."),
                    None => return,
                },
            };
            for name in own {
                let Some(name) = written(name, engines) else { return };
                columns.push(format!("{of}{name}"));
            }
        }
        self.examiner.stars.push((at.clone(), columns.join(", ")));
    }

    fn aliases(&self, items: &[SelectItem]) -> Vec<String> {
        let alias = |item: &SelectItem| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(self.examiner.names.fold(alias)),
            _ => None,
        };
        items.iter().filter_map(alias).collect()
    }

    fn unnamed(&self, expr: &Expr, scope: &Scope<'_>) -> Output {
        let name = match expr {
            Expr::Identifier(ident) => Some(self.examiner.names.fold(ident)),
            Expr::CompoundIdentifier(idents) => {
                idents.last().map(|last| self.examiner.names.fold(last))
            }
            Expr::QualifiedWildcard(name, _) => {
                let kind = SelectItemQualifiedWildcardKind::ObjectName(name.clone());
                return self.qualified_star(&kind, &self.source.range(expr.span()), scope);
            }
            _ => None,
        };
        Output(vec![Piece::Column(name)])
    }

    fn qualified_star(
        &self,
        kind: &SelectItemQualifiedWildcardKind,
        at: &Range<usize>,
        scope: &Scope<'_>,
    ) -> Output {
        let row = Output(vec![Piece::Many, Piece::New { star: at.clone(), row: true }]);
        match kind {
            SelectItemQualifiedWildcardKind::ObjectName(name) => {
                let parts = self.examiner.names.parts(name).unwrap_or_default();
                let Some(last) = parts.last() else { return Output::unknown() };
                match scope.relation(last) {
                    Some(relation) => relation.output.starred(at),
                    None if self.row && is_row(last) => row,
                    None => Output::unknown(),
                }
            }
            SelectItemQualifiedWildcardKind::Expr(expr) => {
                let mut inner = expr;
                while let Expr::Nested(nested) = inner {
                    inner = nested;
                }
                match inner {
                    Expr::Identifier(ident) => {
                        let name = self.examiner.names.fold(ident);
                        match scope.relation(&name) {
                            Some(relation) => relation.output.starred(at),
                            None if self.row && is_row(&name) => row,
                            None => Output::unknown(),
                        }
                    }
                    _ => Output::unknown(),
                }
            }
        }
    }

    fn values(&mut self, values: &Values, scope: &Scope<'_>) -> Output {
        let mut output = Output::default();
        for (n, row) in values.rows.iter().enumerate() {
            self.expressions(&row.content, scope);
            if n == 0 {
                let pieces = row.content.iter().flat_map(|expr| self.unnamed(expr, scope).0);
                output = Output(pieces.collect());
            }
        }
        output
    }

    /// Walks through what stands behind a select list.
    fn tail(&mut self, query: &Query, result: (&[SelectItem], &Output), scope: &Scope<'_>) {
        if let Some(order) = &query.order_by
            && let OrderByKind::Expressions(keys) = &order.kind
        {
            for key in keys {
                if !self.is_of_result(&key.expr, result) {
                    self.expressions(&key.expr, scope);
                }
            }
        }
        match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                self.expressions(limit, scope);
                self.expressions(offset, scope);
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                self.expressions(offset, scope);
                self.expressions(limit, scope);
            }
            None => {}
        }
    }

    fn united(&mut self, left: &Output, right: &Output, op: SetOperator, all: bool) {
        let evens = match (left.count_then(), right.count_then()) {
            (Some(left), Some(right)) => left == right,
            _ => left.news() == right.news(),
        };
        if !evens {
            let (more, less) =
                if left.news() > right.news() { (left, right) } else { (right, left) };
            let known = less.count_then();
            let message = format!(
                "`*` brings `{}`, and the other side of {op} {}",
                self.examiner.column(),
                match known {
                    Some(1) => "has 1 column".to_owned(),
                    Some(n) => format!("has {n} columns"),
                    None => "does not get it".to_owned(),
                },
            );
            self.star_meets_list(more, message);
        } else if !all {
            self.compared(left, &op.to_string());
        }
    }

    /// Says that rows are compared that hold a value which cannot be.
    fn compared(&mut self, output: &Output, by: &str) {
        let Some((star, _)) = output.first_new() else { return };
        if self.examiner.subject.column.is_json_on(self.examiner.engine) {
            let column = self.examiner.column();
            let message =
                format!("{by} compares `{column}`, which is of type json and knows no equality");
            self.examiner.report(&NO_EQUALITY, star, message);
        }
    }

    /// Says that a `*` brings more columns than what takes them has.
    pub(super) fn star_meets_list(&mut self, output: &Output, message: String) {
        let Some((star, row)) = output.first_new() else { return };
        let rule: &'static Rule = if row { &ROW_IN_TRIGGER } else { &STAR_MEETS_LIST };
        let finding = self.examiner.report(rule, star, message);
        finding.class = Class::Runtime;
        if row {
            finding.help = Some(
                "sessions that have run the function before the column came go on; new ones fail"
                    .to_owned(),
            );
        }
    }

    fn update(&mut self, update: &Update, outer: &Scope<'_>) -> Output {
        let mut scope = Scope::within(outer);
        self.table_with_joins(&update.table, &mut scope, outer);
        if let Some(UpdateTableFromKind::AfterSet(from) | UpdateTableFromKind::BeforeSet(from)) =
            &update.from
        {
            for table in from {
                self.table_with_joins(table, &mut scope, outer);
            }
        }
        for assignment in &update.assignments {
            self.expressions(&assignment.value, &scope);
            self.replaced_target(&assignment.target, &scope);
        }
        self.expressions(&update.selection, &scope);
        self.expressions(&update.order_by, &scope);
        self.expressions(&update.limit, &scope);
        update.returning.as_ref().map(|items| self.projection(items, &scope)).unwrap_or_default()
    }

    fn delete(&mut self, delete: &Delete, outer: &Scope<'_>) -> Output {
        let mut scope = Scope::within(outer);
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        for table in from.iter().chain(delete.using.iter().flatten()) {
            self.table_with_joins(table, &mut scope, outer);
        }
        self.expressions(&delete.selection, &scope);
        self.expressions(&delete.order_by, &scope);
        self.expressions(&delete.limit, &scope);
        delete.returning.as_ref().map(|items| self.projection(items, &scope)).unwrap_or_default()
    }

    fn merge(&mut self, merge: &Merge, outer: &Scope<'_>) -> Output {
        let mut scope = Scope::within(outer);
        self.table_factor(&merge.table, &mut scope, outer);
        let is_table = scope.relations.first().is_some_and(|relation| relation.is_table);
        self.table_factor(&merge.source, &mut scope, outer);
        self.expressions(&*merge.on, &scope);
        for clause in &merge.clauses {
            self.expressions(clause, &scope);
            if is_table && let sqlparser::ast::MergeAction::Insert(insert) = &clause.action {
                let at = self.source.range(insert.insert_token.0.span);
                self.listed(&insert.columns, at);
            }
        }
        Output::unknown()
    }
}

/// Reports whether a `*` is without `EXCEPT` and the like.
fn is_bare(options: &WildcardAdditionalOptions) -> bool {
    options.opt_ilike.is_none()
        && options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_replace.is_none()
        && options.opt_rename.is_none()
}

fn is_row(name: &str) -> bool {
    name == "new" || name == "old"
}
