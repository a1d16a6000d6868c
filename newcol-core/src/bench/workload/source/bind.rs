//! Finds out for each parameter of a statement which column's values it takes.
//!
//! Pure, and only as far as the text shows: a parameter that is compared with a column, assigned to it
//! or stands in its place of a new row takes its values. What a text does not show is not guessed.

mod joined;

use std::{collections::BTreeSet, ops::ControlFlow};

use sqlparser::{
    ast::{
        Assignment, AssignmentTarget, BinaryOperator, Expr, FunctionArg, FunctionArgExpr,
        FunctionArguments, Insert, LimitClause, ObjectName, OnConflictAction, OnInsert, Query,
        Select, SelectItem, SetExpr, Statement, TableObject, Value, Visit as _, Visitor,
    },
    parser::Parser,
    tokenizer::{Token, TokenWithSpan},
};

use self::joined::{Joined, Meaning};
use super::Counted;
use crate::{
    backend::Backend,
    bench::{
        profile::{ConstraintKind, Profile},
        workload::{Parameter, template::placeholders},
    },
    contract::fragment::dialect,
    sql::{self, is_too_deep},
    watch::involve::text::types_a_parameter,
};

/// What becomes of a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// It is sent.
    Sent {
        /// What it does: `select`, `insert`.
        verb: &'static str,
        /// Its text, with `$1` for parameters.
        sql: String,
        /// Where their values come from.
        parameters: Vec<Parameter>,
    },
    /// It is left out, with the reason.
    Not(String),
}

/// Binds the parameters of a statement; `None` where it is not on the table.
pub fn bind(counted: &Counted, profile: &Profile, backend: Backend) -> Option<Bound> {
    let table = table_name(profile);
    let mentions = counted.sql.to_lowercase().contains(&table.to_lowercase());
    if !mentions {
        return None;
    }
    let Some(sql) = numbered(&counted.sql, backend) else {
        return Some(Bound::Not("its text cannot be read".to_owned()));
    };
    let Some(statement) = parse(&sql, backend) else {
        return Some(Bound::Not("its text cannot be read".to_owned()));
    };
    let verb = match &statement {
        Statement::Query(_) => "select",
        Statement::Insert(_) => "insert",
        Statement::Update(_) => "update",
        Statement::Delete(_) => "delete",
        _ => return Some(Bound::Not("it is a command, no query of rows".to_owned())),
    };
    let mut look = Look::new(profile, backend, counted);
    look.joined = Joined::of(profile, backend, &statement);
    let _: ControlFlow<()> = statement.visit(&mut look);
    look.relations.retain(|name| !look.ctes.contains(name));
    if !look.relations.contains(&table) {
        return None;
    }
    let is_there = |name: &&String| **name == table || look.joined.has(name);
    if let Some(other) = look.relations.iter().find(|name| !is_there(name)) {
        return Some(Bound::Not(format!(
            "it uses `{other}` too, which the throwaway database does not have"
        )));
    }
    if look.joined.is_any() && verb != "select" {
        return Some(Bound::Not("it joins another table to what it changes".to_owned()));
    }
    if let Some(missing) = look.missing {
        return Some(Bound::Not(format!(
            "it uses `{missing}`, and of a joined table the throwaway database has only the key that \
             the table refers to"
        )));
    }
    let numbers = placeholders(&sql, backend)?;
    let numbers = numbers.iter().filter_map(|(_, written)| written[1..].parse::<usize>().ok());
    let count = numbers.clone().max().unwrap_or(0);
    let used: BTreeSet<usize> = numbers.collect();
    let mut parameters = Vec::new();
    for number in 1..=count {
        let found = look.found.iter().find(|(of, _)| *of == number);
        parameters.push(match found {
            Some((_, parameter)) => parameter.clone(),
            None if !used.contains(&number) => Parameter::Constant { sql: "NULL".to_owned() },
            None => {
                return Some(Bound::Not(format!(
                    "its text does not show which column's values `${number}` takes"
                )));
            }
        });
    }
    Some(Bound::Sent { verb, sql, parameters })
}

/// Returns the last part of the table's name, folded.
fn table_name(profile: &Profile) -> String {
    let table: Result<crate::ident::TableName, _> = profile.table.parse();
    table.map_or_else(|_| profile.table.clone(), |table| table.name.as_str().to_owned())
}

/// Numbers parameters that are only marked.
fn numbered(text: &str, backend: Backend) -> Option<String> {
    let mut made = String::with_capacity(text.len());
    let mut from = 0;
    let mut next = 1;
    for (range, written) in placeholders(text, backend)? {
        made.push_str(&text[from..range.start]);
        if written == "?" {
            made.extend(["$", &next.to_string()]);
            next += 1;
        } else if written.strip_prefix('$').is_some_and(|digits| digits.parse::<usize>().is_ok()) {
            made.push_str(&written);
        } else {
            return None;
        }
        from = range.end;
    }
    made.push_str(&text[from..]);
    Some(made.trim().trim_end_matches(';').to_owned())
}

fn parse(text: &str, backend: Backend) -> Option<Statement> {
    let tokens = sql::tokens(text, backend)?;
    if is_too_deep(tokens.iter().map(|placed| &placed.token)) {
        return None;
    }
    let mut tokens = tokens;
    tokens.retain(|placed| !matches!(placed.token, Token::Whitespace(_) | Token::EOF));
    let kept: Vec<sql::Placed> = tokens
        .iter()
        .enumerate()
        .filter(|(at, _)| !types_a_parameter(&tokens, *at))
        .map(|(_, placed)| placed.clone())
        .collect();
    let tokens = kept.into_iter().map(|placed| {
        // In MySQL's dialect `$1` is a name.
        let token = match placed.token {
            Token::Word(word)
                if word.quote_style.is_none()
                    && word.value.strip_prefix('$').is_some_and(|d| d.parse::<usize>().is_ok()) =>
            {
                Token::Placeholder(word.value)
            }
            other => other,
        };
        TokenWithSpan { token, span: placed.span }
    });
    let mut parser = Parser::new(dialect(backend)).with_tokens_with_locations(tokens.collect());
    let statement = parser.parse_statement().ok()?;
    (parser.peek_token().token == Token::EOF).then_some(statement)
}

struct Look<'p> {
    profile: &'p Profile,
    backend: Backend,
    counted: &'p Counted,
    relations: BTreeSet<String>,
    ctes: BTreeSet<String>,
    found: Vec<(usize, Parameter)>,
    joined: Joined,
    /// What of a joined table is not there.
    missing: Option<String>,
}

impl<'p> Look<'p> {
    fn new(profile: &'p Profile, backend: Backend, counted: &'p Counted) -> Self {
        Self {
            profile,
            backend,
            counted,
            relations: BTreeSet::new(),
            ctes: BTreeSet::new(),
            found: Vec::new(),
            joined: Joined::default(),
            missing: None,
        }
    }

    fn fold(&self, ident: &sqlparser::ast::Ident) -> String {
        match (self.backend, ident.quote_style) {
            (Backend::Postgres, None) => ident.value.to_lowercase(),
            _ => ident.value.clone(),
        }
    }

    /// Returns the column of the table that has a name, as the profile writes it.
    fn known(&self, name: &str) -> Option<String> {
        let same = |known: &str| match self.backend {
            Backend::Postgres => known == name,
            Backend::Mysql | Backend::Sqlite => known.eq_ignore_ascii_case(name),
        };
        let column = self.profile.columns.iter().find(|column| same(&column.name));
        column.map(|column| column.name.clone())
    }

    fn named(&self, name: &ObjectName) -> Option<String> {
        self.known(&self.fold(name.0.last()?.as_ident()?))
    }

    /// Returns the column that an expression is about.
    fn column(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Identifier(ident) => self.known(&self.fold(ident)),
            Expr::CompoundIdentifier(idents) => {
                let column = self.fold(idents.last()?);
                match self.meaning(idents, &column) {
                    Meaning::Own => self.known(&column),
                    Meaning::Key(own) => Some(own),
                    Meaning::Missing => None,
                }
            }
            Expr::Nested(inner) => self.column(inner),
            Expr::Cast { expr, .. } | Expr::Collate { expr, .. } => self.column(expr),
            Expr::Function(function) => {
                let FunctionArguments::List(list) = &function.args else { return None };
                let keeps = ["lower", "upper", "coalesce", "trim", "date", "date_trunc"];
                let name = function.name.to_string().to_lowercase();
                keeps.contains(&name.as_str()).then_some(())?;
                list.args.iter().find_map(|arg| match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => self.column(expr),
                    _ => None,
                })
            }
            _ => None,
        }
    }

    fn meaning(&self, idents: &[sqlparser::ast::Ident], column: &str) -> Meaning {
        let relation = idents.len().checked_sub(2).map(|at| self.fold(&idents[at]));
        relation.map_or(Meaning::Own, |relation| self.joined.meaning(&relation, column))
    }

    /// Takes down what a statement uses of a joined table that is not there.
    fn look_for_missing(&mut self, expr: &Expr) {
        if !self.joined.is_any() {
            return;
        }
        let is_missing = match expr {
            // Whose it is only the server knows.
            Expr::Identifier(ident) => self.known(&self.fold(ident)).is_none(),
            Expr::CompoundIdentifier(idents) => idents.last().is_some_and(|last| {
                matches!(self.meaning(idents, &self.fold(last)), Meaning::Missing)
            }),
            _ => false,
        };
        if is_missing {
            self.missing.get_or_insert_with(|| expr.to_string());
        }
    }

    /// Returns the number of the parameter that an expression is.
    fn number(expr: &Expr) -> Option<usize> {
        match expr {
            Expr::Value(value) => match &value.value {
                Value::Placeholder(written) => written.strip_prefix('$')?.parse().ok(),
                _ => None,
            },
            Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => Self::number(inner),
            Expr::Function(function) => {
                let FunctionArguments::List(list) = &function.args else { return None };
                let name = function.name.to_string().to_lowercase();
                match (name.as_str(), list.args.as_slice()) {
                    ("lower" | "upper", [FunctionArg::Unnamed(FunctionArgExpr::Expr(only))]) => {
                        Self::number(only)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn set(&mut self, expr: &Expr, parameter: impl FnOnce() -> Parameter) {
        if let Some(number) = Self::number(expr)
            && self.found.iter().all(|(of, _)| *of != number)
        {
            self.found.push((number, parameter()));
        }
    }

    fn constant(&mut self, expr: &Expr, sql: &str) {
        self.set(expr, || Parameter::Constant { sql: sql.to_owned() });
    }

    /// Draws values of one side from the column on the other.
    fn compared(&mut self, one: &Expr, other: &Expr) {
        for (one, other) in [(one, other), (other, one)] {
            if let Some(column) = self.column(one) {
                self.set(other, || Parameter::Column { column });
            }
        }
        if let (Expr::Tuple(left), Expr::Tuple(right)) = (one, other) {
            for (one, other) in left.iter().zip(right) {
                self.compared(one, other);
            }
        }
    }

    /// A column of which no two rows agree takes values that no row has.
    fn assigned(&mut self, column: &str, expr: &Expr) {
        let one = |columns: &[String]| matches!(columns, [only] if only == column);
        let definition = &self.profile.definition;
        let is_unique = definition.constraints.iter().any(|of| {
            matches!(of.kind, ConstraintKind::Primary | ConstraintKind::Unique) && one(&of.columns)
        }) || definition.indexes.iter().any(|of| of.is_unique && one(&of.columns));
        let column = column.to_owned();
        self.set(expr, || match is_unique {
            true => Parameter::New { column },
            false => Parameter::Column { column },
        });
    }

    fn assignments(&mut self, assignments: &[Assignment]) {
        for assignment in assignments {
            match &assignment.target {
                AssignmentTarget::ColumnName(name) => {
                    let Some(column) = self.named(name) else { continue };
                    self.assigned(&column, &assignment.value);
                    // A counter goes up by one.
                    if let Expr::BinaryOp { left, op, right } = &assignment.value
                        && matches!(op, BinaryOperator::Plus | BinaryOperator::Minus)
                        && self.column(left).is_some_and(|of| of == column && self.is_number(&of))
                    {
                        self.constant(right, "1");
                    }
                }
                AssignmentTarget::Tuple(names) => {
                    if let Expr::Tuple(values) = &assignment.value {
                        for (name, value) in names.iter().zip(values) {
                            if let Some(column) = self.named(name) {
                                self.assigned(&column, value);
                            }
                        }
                    }
                }
            }
        }
    }

    fn is_number(&self, column: &str) -> bool {
        let ty = self.profile.column(column).map(|of| of.base_type.to_lowercase());
        ty.is_some_and(|ty| {
            ["int", "numeric", "decimal", "real", "double", "float"]
                .iter()
                .any(|name| ty.contains(name))
        })
    }

    fn insert(&mut self, insert: &Insert) {
        let TableObject::TableName(_) = &insert.table else { return };
        let columns: Vec<Option<String>> = if insert.columns.is_empty() {
            self.profile.columns.iter().map(|column| Some(column.name.clone())).collect()
        } else {
            insert.columns.iter().map(|name| self.named(name)).collect()
        };
        let source = insert.source.as_deref().map(|query| query.body.as_ref());
        if let Some(SetExpr::Values(values)) = source {
            for row in &values.rows {
                for (column, value) in columns.iter().zip(row.iter()) {
                    if let Some(column) = column {
                        self.assigned(column, value);
                    }
                }
            }
        } else if let Some(SetExpr::Select(select)) = source {
            for (column, item) in columns.iter().zip(&select.projection) {
                if let (Some(column), SelectItem::UnnamedExpr(value)) = (column, item) {
                    self.assigned(column, value);
                }
            }
        }
        match &insert.on {
            Some(OnInsert::DuplicateKeyUpdate(assignments)) => self.assignments(assignments),
            Some(OnInsert::OnConflict(conflict)) => {
                if let OnConflictAction::DoUpdate(update) = &conflict.action {
                    self.assignments(&update.assignments);
                }
            }
            _ => {}
        }
    }
}

impl Visitor for Look<'_> {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        match statement {
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => self.assignments(&update.assignments),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.ctes.insert(self.fold(&cte.alias.name));
        }
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            // As many rows as it gave on average: what it asked for is not known.
            let rows = self.counted.rows.map_or(1.0, |rows| rows.ceil().max(1.0));
            if let Some(limit) = limit {
                self.constant(limit, &format!("{rows:.0}"));
            }
            if let Some(offset) = offset {
                self.constant(&offset.value, "0");
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        // Which columns these compare is not written.
        let joins = select.from.iter().flat_map(|from| &from.joins).map(ToString::to_string);
        let unwritten = joins.filter(|join| join.contains(" USING(") || join.contains("NATURAL "));
        let all = select.projection.iter().filter_map(|item| self.joined.all_columns(item));
        if let Some(missing) = all.chain(unwritten.filter(|_| self.joined.is_any())).next() {
            self.missing.get_or_insert(missing);
        }
        for item in &select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                self.constant(expr, "1");
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        if let Some(last) = relation.0.last().and_then(|part| part.as_ident()) {
            self.relations.insert(self.fold(last));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.look_for_missing(expr);
        match expr {
            Expr::BinaryOp { left, op, right } => {
                use BinaryOperator as Op;
                if matches!(
                    op,
                    Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq | Op::Spaceship
                ) {
                    self.compared(left, right);
                }
            }
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.compared(left, right);
            }
            Expr::Between { expr, low, high, .. } => {
                self.compared(expr, low);
                self.compared(expr, high);
            }
            Expr::InList { expr, list, .. } => {
                for one in list {
                    self.compared(expr, one);
                }
            }
            Expr::Like { expr, pattern, .. } | Expr::ILike { expr, pattern, .. } => {
                self.compared(expr, pattern);
            }
            Expr::AnyOp { left, right, .. } => {
                if let Some(column) = self.column(left) {
                    let count =
                        self.counted.rows.map_or(1.0, |rows| rows.round().clamp(1.0, 1000.0));
                    self.set(right, || Parameter::List { column, count: count as u32 });
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
