//! Walks through a statement, with names resolved.

use std::collections::BTreeSet;

use sqlparser::{
    ast::{
        Distinct, Expr, GroupByExpr, JoinConstraint, JoinOperator, LimitClause, OrderByExpr,
        OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
        SetOperator, SetQuantifier, Statement, TableAlias, TableFactor, TableWithJoins, Value,
    },
    tokenizer::Token,
};

use super::{
    catalog::{Catalog, Meaning, Named},
    copy, digest,
    expr::bare_root,
    names::{fold, own_name, parts},
    scope::{Carries, Columns, Out, Relation, Scope},
    text,
};
use crate::{
    sql::{Placed, is},
    watch::series::Role,
};

/// Views within views are followed so far.
const DEEPEST_VIEW: usize = 16;

/// What a statement does with the table.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Uses that its own tree shows.
    pub(super) tree: BTreeSet<Role>,
    /// Uses that its tree leaves open.
    pub(super) beyond: BTreeSet<Role>,
    /// Whether it writes the table.
    pub(super) writes: bool,
    pub(super) on_table: bool,
    /// Whether a view or a partition led there.
    pub(super) by_catalog: bool,
    pub(super) is_command: bool,
    /// What it sets going whose statements are not shown.
    pub(super) hidden: Option<String>,
    /// Why the text does not tell all.
    pub(super) unclear: Option<String>,
}

/// Reads a statement; `None` where it cannot be read.
pub(super) fn read(text: &str, catalog: &Catalog) -> Option<Found> {
    let tokens = text::tokens(text, catalog)?;
    let mut walk = Walk { catalog, found: Found::default(), outside: 0, views: 0 };
    let first = tokens.first()?;
    let starts = |words: &[&str]| words.iter().any(|word| is(&first.token, word));
    let top = Scope::default();
    if starts(&["COPY"]) {
        // Its number is that of its text.
        walk.outside = 1;
        match copy::read(&tokens[1..]) {
            Some(copy) => walk.copy(&copy),
            None => {
                let query = tokens.get(2..tokens.len()).unwrap_or_default();
                let end = closing(query)?;
                walk.result(&text::parse(&query[..end], catalog)?, &top);
            }
        }
    } else if starts(&["TABLE"]) {
        // The parser knows it only within a query.
        let all = format!("SELECT * FROM {}", text.get(first.range.end..)?);
        return read(&all, catalog);
    } else if starts(&["EXPLAIN", "DECLARE", "PREPARE", "CREATE"]) {
        walk.outside = 1;
        let is_query = |at: &usize| {
            ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "VALUES", "MERGE"]
                .iter()
                .any(|word| is(&tokens[*at].token, word))
        };
        let query = (1..tokens.len())
            .find(is_query)
            .filter(|at| !starts(&["CREATE"]) || is(&tokens[at - 1].token, "AS"))
            .and_then(|at| text::parse(&tokens[at..], catalog));
        match query {
            Some(query) => walk.result(&query, &top),
            None => walk.found.is_command = true,
        }
    } else {
        match text::parse(&tokens, catalog) {
            Some(
                statement @ (Statement::Query(_)
                | Statement::Insert(_)
                | Statement::Update(_)
                | Statement::Delete(_)
                | Statement::Merge(_)),
            ) => walk.result(&statement, &top),
            Some(Statement::Call(function)) => {
                walk.outside = 1;
                walk.expressions(&Expr::Function(function), &top);
            }
            Some(_) => walk.found.is_command = true,
            None if is_statement(&first.token) => return None,
            None => walk.found.is_command = true,
        }
    }
    if walk.found.is_command {
        walk.found.on_table = true;
    }
    Some(walk.found)
}

fn is_statement(first: &Token) -> bool {
    ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "VALUES", "MERGE", "TABLE", "CALL"]
        .iter()
        .any(|word| is(first, word))
        || *first == Token::LParen
}

/// Returns where the bracket closes that stood before these tokens.
fn closing(tokens: &[Placed]) -> Option<usize> {
    let mut depth = 1_usize;
    tokens.iter().position(|placed| {
        match placed.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

pub(super) struct Walk<'c> {
    pub(super) catalog: &'c Catalog,
    pub(super) found: Found,
    /// Above zero where the statement's number does not show what is read: commands, views.
    outside: usize,
    views: usize,
}

impl Walk<'_> {
    fn copy(&mut self, copy: &copy::Copy) {
        let (columns, is_target) = self.named(&copy.table);
        self.found.writes |= copy.from && is_target;
        let carries = match &copy.columns {
            None => columns.all(),
            Some(names) => {
                let relation = Relation { name: String::new(), columns };
                let scope = Scope { relations: vec![relation], ..Scope::default() };
                names.iter().fold(Carries::default(), |all, n| all.or(scope.qualified("", n)))
            }
        };
        let named = if copy.from { Role::Inserted } else { Role::Projected };
        let role = if copy.columns.is_none() { Role::Star } else { named };
        self.add(role, carries);
    }

    /// Walks through a whole statement, whose rows go to whoever sent it.
    fn result(&mut self, statement: &Statement, outer: &Scope<'_>) {
        let columns = self.statement(statement, outer);
        self.sent(&columns);
    }

    pub(super) fn sent(&mut self, columns: &Columns) {
        if let Columns::Known(outs) = columns {
            for out in outs {
                let role = if out.carries.star { Role::Star } else { Role::Projected };
                self.add(role, out.carries);
            }
        }
    }

    pub(super) fn add(&mut self, role: Role, carries: Carries) {
        if carries.beyond || (carries.tree && self.outside > 0) {
            self.found.beyond.insert(role);
        } else if carries.tree {
            self.found.tree.insert(role);
        }
    }

    fn statement(&mut self, statement: &Statement, outer: &Scope<'_>) -> Columns {
        match statement {
            Statement::Query(query) => self.query(query, outer),
            Statement::Insert(insert) => self.insert(insert, outer),
            Statement::Update(update) => self.update(update, outer),
            Statement::Delete(delete) => self.delete(delete, outer),
            Statement::Merge(merge) => self.merge(merge, outer),
            _ => Columns::unknown(),
        }
    }

    pub(super) fn query(&mut self, query: &Query, outer: &Scope<'_>) -> Columns {
        let mut scope = Scope::within(outer);
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = fold(&cte.alias.name);
            let names: Vec<String> = cte.alias.columns.iter().map(|c| fold(&c.name)).collect();
            let columns = if query.with.as_ref().is_some_and(|with| with.recursive) {
                let base = match &*cte.query.body {
                    SetExpr::SetOperation { left, .. } => self.set_expr(left, &scope, None),
                    _ => Columns::unknown(),
                };
                let base = base.renamed(names.clone());
                scope.ctes.push((name.clone(), base));
                let columns = self.query(&cte.query, &scope);
                scope.ctes.pop();
                columns
            } else {
                self.query(&cte.query, &scope)
            };
            scope.ctes.push((name, columns.renamed(names)));
        }
        self.set_expr(&query.body, &scope, Some(query))
    }

    pub(super) fn set_expr(
        &mut self,
        body: &SetExpr,
        outer: &Scope<'_>,
        tail: Option<&Query>,
    ) -> Columns {
        match body {
            SetExpr::Select(select) => self.select(select, outer, tail),
            SetExpr::Query(query) => self.query(query, outer),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let left = self.set_expr(left, outer, None);
                let right = self.set_expr(right, outer, None);
                let columns = united(left, right);
                let all = *op == SetOperator::Union
                    && matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
                if !all {
                    self.add(Role::Order, columns.all());
                }
                if let Some(query) = tail {
                    let result = Relation { name: String::new(), columns: columns.clone() };
                    let scope = Scope { relations: vec![result], ..Scope::within(outer) };
                    self.tail(query, &columns, &scope);
                }
                columns
            }
            SetExpr::Values(values) => {
                let mut columns = Vec::new();
                for (n, row) in values.rows.iter().enumerate() {
                    for expr in &row.content {
                        let carries = self.expressions(expr, outer);
                        if n == 0 && digest::is_many(expr) {
                            columns.push(Out::many());
                        } else if n == 0 {
                            columns.push(Out { name: None, carries });
                        }
                    }
                }
                Columns::Known(columns)
            }
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement)
            | SetExpr::Merge(statement) => self.statement(statement, outer),
            SetExpr::Table(table) => {
                let parts = [table.schema_name.as_deref(), table.table_name.as_deref()];
                let parts: Vec<String> =
                    parts.into_iter().flatten().map(str::to_lowercase).collect();
                starred(self.relation(&parts, outer).0)
            }
        }
    }

    fn select(&mut self, select: &Select, outer: &Scope<'_>, tail: Option<&Query>) -> Columns {
        let mut scope = Scope::within(outer);
        for table in &select.from {
            self.table_with_joins(table, &mut scope, outer);
        }
        let columns = self.projection(&select.projection, &scope);
        self.clause(Role::Filter, &select.selection, &scope);
        self.clause(Role::Filter, &select.having, &scope);
        match &select.group_by {
            GroupByExpr::Expressions(keys, _) => {
                for key in keys {
                    self.key(key, &columns, &scope);
                }
            }
            GroupByExpr::All(_) => self.add(Role::Order, columns.all()),
        }
        self.clause(Role::Order, &select.named_window, &scope);
        match &select.distinct {
            Some(Distinct::Distinct) => self.add(Role::Order, columns.all()),
            Some(Distinct::On(keys)) => self.clause(Role::Order, keys, &scope),
            Some(Distinct::All) | None => {}
        }
        if let Some(query) = tail {
            self.tail(query, &columns, &scope);
        }
        columns
    }

    fn tail(&mut self, query: &Query, columns: &Columns, scope: &Scope<'_>) {
        if let Some(order) = &query.order_by
            && let OrderByKind::Expressions(keys) = &order.kind
        {
            for OrderByExpr { expr, .. } in keys {
                self.key(expr, columns, scope);
            }
        }
        match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                self.clause(Role::Filter, limit, scope);
                self.clause(Role::Filter, offset, scope);
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                self.clause(Role::Filter, offset, scope);
                self.clause(Role::Filter, limit, scope);
            }
            None => {}
        }
    }

    /// Weighs a key of `ORDER BY` or `GROUP BY`: an expression, or a column of the result.
    fn key(&mut self, key: &Expr, columns: &Columns, scope: &Scope<'_>) {
        let of_result = match (key, columns) {
            (Expr::Identifier(ident), Columns::Known(outs)) => {
                let name = fold(ident);
                outs.iter().find(|out| out.name.as_deref() == Some(&name))
            }
            (Expr::Value(value), Columns::Known(outs)) => match &value.value {
                Value::Number(number, _) => {
                    number.parse::<usize>().ok().and_then(|at| outs.get(at.checked_sub(1)?))
                }
                _ => None,
            },
            _ => None,
        };
        match of_result {
            Some(out) => self.add(Role::Order, out.carries),
            None => self.clause(Role::Order, key, scope),
        }
    }

    pub(super) fn projection(&mut self, items: &[SelectItem], scope: &Scope<'_>) -> Columns {
        let mut outs = Vec::new();
        let mut is_known = true;
        let mut extend = |columns: Columns| match columns {
            Columns::Known(more) => outs.extend(more),
            Columns::Opaque { .. } => is_known = false,
        };
        for item in items {
            match item {
                SelectItem::Wildcard(_) => {
                    for relation in &scope.relations {
                        extend(starred(relation.columns.clone()));
                    }
                }
                SelectItem::QualifiedWildcard(kind, _) => extend(qualified_star(kind, scope)),
                SelectItem::ExprWithAlias { expr, alias } => {
                    let carries = self.item(expr, scope);
                    extend(Columns::Known(vec![Out { name: Some(fold(alias)), carries }]));
                }
                SelectItem::UnnamedExpr(expr) => {
                    let carries = self.item(expr, scope);
                    extend(Columns::Known(vec![Out { name: own_name(expr), carries }]));
                }
                SelectItem::ExprWithAliases { expr, .. } => {
                    let carries = self.item(expr, scope);
                    extend(Columns::Known(vec![Out { name: None, carries }]));
                }
            }
        }
        if !is_known {
            outs.push(Out::many());
        }
        Columns::Known(outs)
    }

    /// Weighs one expression of a select list.
    fn item(&mut self, expr: &Expr, scope: &Scope<'_>) -> Carries {
        let carries = self.expressions(expr, scope);
        if let Expr::Function(function) = expr
            && carries.any()
            && function.over.is_none()
            && let Some(name) = parts(&function.name).pop()
            && (name == "min" || name == "max")
        {
            // The first or last entry of an index answers it.
            self.add(Role::Order, carries);
        }
        carries
    }

    pub(super) fn table_with_joins(
        &mut self,
        table: &TableWithJoins,
        scope: &mut Scope<'_>,
        outer: &Scope<'_>,
    ) {
        let first = scope.relations.len();
        self.table_factor(&table.relation, scope, outer);
        for join in &table.joins {
            let right = scope.relations.len();
            self.table_factor(&join.relation, scope, outer);
            match constraint(&join.join_operator) {
                Some(JoinConstraint::On(condition)) => self.clause(Role::Join, condition, scope),
                Some(JoinConstraint::Using(columns)) => {
                    for name in columns.iter().filter_map(|name| parts(name).pop()) {
                        self.joined(&name, &scope.relations[first..]);
                    }
                }
                Some(JoinConstraint::Natural) => {
                    let (left, joined) = scope.relations[first..].split_at(right - first);
                    let column = self.catalog.column.clone();
                    if has(left, &column) && has(joined, &column) {
                        self.joined(&column, &scope.relations[first..]);
                    }
                }
                Some(JoinConstraint::None) | None => {}
            }
        }
    }

    fn joined(&mut self, name: &str, relations: &[Relation]) {
        for relation in relations {
            if let Columns::Known(outs) = &relation.columns {
                for out in outs.iter().filter(|out| out.name.as_deref() == Some(name)) {
                    self.add(Role::Join, out.carries);
                }
            }
        }
    }

    pub(super) fn table_factor(
        &mut self,
        factor: &TableFactor,
        scope: &mut Scope<'_>,
        outer: &Scope<'_>,
    ) {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let parts = parts(name);
                let (columns, _) = self.relation(&parts, scope);
                let own = parts.last().cloned().unwrap_or_default();
                push(scope, columns, alias.as_ref(), own);
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let columns = if *lateral {
                    self.query(subquery, scope)
                } else {
                    // Sees the queries that `WITH` has named, and no neighbour.
                    let around = Scope { ctes: scope.ctes.clone(), ..Scope::within(outer) };
                    self.query(subquery, &around)
                };
                push(scope, columns, alias.as_ref(), String::new());
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.table_with_joins(table_with_joins, scope, outer);
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let mut inner = Scope { ctes: scope.ctes.clone(), ..Scope::within(outer) };
                self.table_with_joins(table_with_joins, &mut inner, outer);
                let columns = inner
                    .relations
                    .into_iter()
                    .map(|relation| relation.columns)
                    .reduce(appended)
                    .unwrap_or(Columns::Known(Vec::new()));
                push(scope, columns, alias.as_ref(), String::new());
            }
            TableFactor::Table { name, alias, .. } | TableFactor::Function { name, alias, .. } => {
                if let Some(function) = parts(name).pop() {
                    self.called(function);
                }
                self.clause(Role::Filter, factor, scope);
                push(scope, Columns::unknown(), alias.as_ref(), String::new());
            }
            TableFactor::TableFunction { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::JsonTable { alias, .. }
            | TableFactor::XmlTable { alias, .. } => {
                self.clause(Role::Filter, factor, scope);
                push(scope, Columns::unknown(), alias.as_ref(), String::new());
            }
            _ => {
                self.found.unclear = Some("its FROM could not be read".to_owned());
                self.clause(Role::Filter, factor, scope);
            }
        }
    }

    /// Returns the columns of what a name means, and whether it is the table or a view of it.
    fn relation(&mut self, parts: &[String], scope: &Scope<'_>) -> (Columns, bool) {
        if let [only] = parts
            && let Some(columns) = scope.cte(only)
        {
            return (columns.clone(), false);
        }
        self.named(parts)
    }

    pub(super) fn named(&mut self, parts: &[String]) -> (Columns, bool) {
        match self.catalog.meaning(parts) {
            Meaning::Nothing => (Columns::unknown(), false),
            Meaning::Several => {
                self.found.on_table = true;
                let name = parts.join(".");
                self.found.unclear =
                    Some(format!("several schemas have a `{name}`, and the search path decides"));
                (Columns::unknown(), false)
            }
            Meaning::One(Named::Other { has_column }) => {
                (Columns::Opaque { has_column: *has_column }, false)
            }
            Meaning::One(named @ (Named::Table | Named::Part)) => {
                self.found.on_table = true;
                self.found.by_catalog |= *named == Named::Part;
                let column = &self.catalog.column;
                let out = |name: &String| Out {
                    carries: Carries { tree: name == column, ..Carries::default() },
                    name: Some(name.clone()),
                };
                (Columns::Known(self.catalog.columns.iter().map(out).collect()), true)
            }
            Meaning::One(Named::View(view)) => {
                self.found.on_table = true;
                self.found.by_catalog = true;
                let query = view.query.as_deref().filter(|_| self.views < DEEPEST_VIEW);
                let parsed = query
                    .and_then(|query| text::tokens(query, self.catalog))
                    .and_then(|tokens| text::parse(&tokens, self.catalog));
                let Some(statement) = parsed else {
                    let name = parts.join(".");
                    self.found.hidden = Some(format!("the view `{name}` could not be read"));
                    return (Columns::unknown(), true);
                };
                self.views += 1;
                self.outside += 1;
                let columns = self.statement(&statement, &Scope::default());
                self.outside -= 1;
                self.views -= 1;
                (seen_from_outside(columns), true)
            }
        }
    }

    pub(super) fn called(&mut self, function: String) {
        if self.catalog.functions.contains(&function) {
            self.found.on_table = true;
            self.found.hidden = Some(format!("it calls `{function}`, which names the table"));
        }
    }
}

fn push(scope: &mut Scope<'_>, columns: Columns, alias: Option<&TableAlias>, own: String) {
    let relation = match alias {
        None => Relation { name: own, columns },
        Some(alias) => Relation {
            name: fold(&alias.name),
            columns: columns.renamed(alias.columns.iter().map(|c| fold(&c.name)).collect()),
        },
    };
    scope.relations.push(relation);
}

fn starred(columns: Columns) -> Columns {
    match columns {
        Columns::Known(outs) => {
            let out = |out: Out| Out { carries: out.carries.starred(), ..out };
            Columns::Known(outs.into_iter().map(out).collect())
        }
        opaque @ Columns::Opaque { .. } => opaque,
    }
}

pub(super) fn qualified_star(kind: &SelectItemQualifiedWildcardKind, scope: &Scope<'_>) -> Columns {
    let name = match kind {
        SelectItemQualifiedWildcardKind::ObjectName(name) => parts(name).pop(),
        SelectItemQualifiedWildcardKind::Expr(expr) => match bare_root(expr) {
            Expr::Identifier(ident) => Some(fold(ident)),
            _ => None,
        },
    };
    let relation = name.and_then(|name| scope.relation(&name));
    relation.map_or_else(Columns::unknown, |relation| starred(relation.columns.clone()))
}

/// Returns a view's columns as they are for a statement that names the view.
fn seen_from_outside(columns: Columns) -> Columns {
    match columns {
        Columns::Known(outs) => {
            let out = |out: Out| {
                let carries = Carries { tree: false, beyond: out.carries.any(), star: false };
                Out { carries, ..out }
            };
            Columns::Known(outs.into_iter().map(out).collect())
        }
        opaque @ Columns::Opaque { .. } => opaque,
    }
}

fn united(left: Columns, right: Columns) -> Columns {
    match (left, right) {
        (Columns::Known(mut left), Columns::Known(right)) => {
            for (out, other) in left.iter_mut().zip(right) {
                out.carries = out.carries.or(other.carries);
            }
            Columns::Known(left)
        }
        (known @ Columns::Known(_), _) | (_, known) => known,
    }
}

fn appended(left: Columns, right: Columns) -> Columns {
    match (left, right) {
        (Columns::Known(mut left), Columns::Known(right)) => {
            left.extend(right);
            Columns::Known(left)
        }
        (known @ Columns::Known(_), _) | (_, known) => known,
    }
}

fn has(relations: &[Relation], name: &str) -> bool {
    relations.iter().any(|relation| match &relation.columns {
        Columns::Known(outs) => outs.iter().any(|out| out.name.as_deref() == Some(name)),
        Columns::Opaque { has_column } => *has_column,
    })
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::StraightJoin(constraint) => Some(constraint),
        _ => None,
    }
}
