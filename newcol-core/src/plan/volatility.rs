//! Judges an expression without a server: how often it must be evaluated, whether it is a literal,
//! and which columns it reads.
//!
//! The judgement is an upper bound: a call that is stable for some argument types and immutable
//! for others counts as stable unless literals and casts decide. What nobody can know from the text
//! (functions of the project, casts to its types, subqueries) is [`Volatility::Unknown`], never a
//! guess. Columns count as immutable: their value is fixed within a row.

mod functions;
mod types;

use std::ops::ControlFlow;

use sqlparser::{
    ast::{
        AccessExpr, BinaryOperator, Expr as Sql, Function, FunctionArg, FunctionArgExpr,
        FunctionArgOperator, FunctionArguments, Ident as Name, ObjectNamePart, Subscript,
        UnaryOperator, Value, Visit, Visitor,
    },
    parser::Parser,
    tokenizer::{Token, Tokenizer},
};

use self::types::Kind;
use super::facts::Volatility;
use crate::{
    backend::Backend,
    contract::{Expr, fragment::dialect},
    ident::Ident,
};

/// Judges how often an engine must evaluate an expression.
pub fn judge(expr: &Expr, backend: Backend) -> Volatility {
    match parse(expr, backend) {
        Some(sql) => Judge { backend, depth: 0 }.expr(&sql),
        None => Volatility::Unknown,
    }
}

/// Reports whether an expression is one literal other than NULL, with at most one sign before a
/// number: no cast, no parentheses, no `CURRENT_TIMESTAMP`.
///
/// Only such a default may come with `NOT NULL` in SQLite's `ADD COLUMN`, and only such a default
/// needs no parentheses on MySQL.
pub fn is_literal(expr: &Expr, backend: Backend) -> bool {
    let Ok(tokens) = Tokenizer::new(dialect(backend), expr.as_str()).tokenize() else {
        return false;
    };
    let tokens: Vec<_> =
        tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    match tokens.as_slice() {
        [Token::Plus | Token::Minus, Token::Number(..)] => true,
        [one] => match one {
            Token::Number(..) | Token::SingleQuotedString(_) | Token::HexStringLiteral(_) => true,
            Token::Word(word) => {
                let is = |name| word.value.eq_ignore_ascii_case(name);
                word.quote_style.is_none() && (is("true") || is("false"))
            }
            // Outside MySQL, double quotes hold a name.
            Token::DoubleQuotedString(_) | Token::SingleQuotedByteStringLiteral(_) => {
                backend == Backend::Mysql
            }
            Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::DollarQuotedString(_) => backend == Backend::Postgres,
            Token::NationalStringLiteral(_) => backend != Backend::Sqlite,
            _ => false,
        },
        _ => false,
    }
}

/// Returns the columns an expression mentions, in order and once each; `None` when it cannot be
/// read or holds a subquery, whose columns may belong elsewhere.
///
/// PostgreSQL folds unquoted names to lower case, and so does this; the other engines compare
/// column names without case, and the caller must too. SQLite reads a double-quoted name that is
/// no column as text.
pub fn column_refs(expr: &Expr, backend: Backend) -> Option<Vec<Ident>> {
    let sql = parse(expr, backend)?;
    let mut columns = Columns { backend, found: Vec::new(), units: Vec::new() };
    match sql.visit(&mut columns) {
        ControlFlow::Continue(()) => Some(columns.found),
        ControlFlow::Break(()) => None,
    }
}

/// Parses the whole text as one expression.
pub(super) fn parse(expr: &Expr, backend: Backend) -> Option<Sql> {
    // Bounds the parser's work and the depth of its tree; no default is near this.
    const TOKENS: usize = 2000;
    let tokens = Tokenizer::new(dialect(backend), expr.as_str()).tokenize_with_location().ok()?;
    if tokens.len() > TOKENS {
        return None;
    }
    let mut parser = Parser::new(dialect(backend)).with_tokens_with_locations(tokens);
    let sql = parser.parse_expr().ok()?;
    (parser.peek_token().token == Token::EOF).then_some(sql)
}

/// Combines the parts of an expression: one volatile part decides, then one unknown part.
fn worst(parts: impl IntoIterator<Item = Volatility>) -> Volatility {
    let rank = |v: &Volatility| match v {
        Volatility::Immutable => 0,
        Volatility::Stable => 1,
        Volatility::Unknown => 2,
        Volatility::Volatile => 3,
    };
    parts.into_iter().max_by_key(rank).unwrap_or(Volatility::Immutable)
}

#[derive(Clone, Copy)]
struct Judge {
    backend: Backend,
    depth: u8,
}

impl Judge {
    fn all<'a>(self, parts: impl IntoIterator<Item = &'a Sql>) -> Volatility {
        worst(parts.into_iter().map(|part| self.expr(part)))
    }

    fn expr(self, sql: &Sql) -> Volatility {
        // A chain of operators is a tree as deep as it is long; no default is near this.
        const DEEPEST: u8 = 200;
        if self.depth == DEEPEST {
            return Volatility::Unknown;
        }
        Self { depth: self.depth + 1, ..self }.parts(sql)
    }

    fn parts(self, sql: &Sql) -> Volatility {
        match sql {
            Sql::Value(value) => match value.value {
                Value::Placeholder(_) => Volatility::Unknown,
                _ => Volatility::Immutable,
            },
            Sql::Identifier(name) => self.identifier(name),
            Sql::CompoundIdentifier(_) | Sql::TypedString(_) | Sql::Prefixed { .. } => {
                Volatility::Immutable
            }
            Sql::CompoundFieldAccess { root, access_chain } => {
                let accesses = access_chain.iter().map(|access| match access {
                    AccessExpr::Dot(_) => Volatility::Immutable,
                    AccessExpr::Subscript(Subscript::Index { index }) => self.expr(index),
                    AccessExpr::Subscript(Subscript::Slice {
                        lower_bound,
                        upper_bound,
                        stride,
                    }) => self.all(lower_bound.iter().chain(upper_bound).chain(stride)),
                });
                worst(accesses.chain([self.expr(root)]))
            }
            Sql::IsFalse(x)
            | Sql::IsNotFalse(x)
            | Sql::IsTrue(x)
            | Sql::IsNotTrue(x)
            | Sql::IsNull(x)
            | Sql::IsNotNull(x)
            | Sql::IsUnknown(x)
            | Sql::IsNotUnknown(x)
            | Sql::Nested(x)
            | Sql::UnaryOp {
                op: UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not,
                expr: x,
            } => self.expr(x),
            Sql::UnaryOp { expr, .. }
            | Sql::IsNormalized { expr, .. }
            | Sql::IsJson { expr, .. }
            | Sql::Collate { expr, .. } => self.expr(expr),
            Sql::IsDistinctFrom(a, b) | Sql::IsNotDistinctFrom(a, b) => {
                worst([self.operator(a, &BinaryOperator::Eq, b), self.all([&**a, &**b])])
            }
            Sql::BinaryOp { left, op, right } => {
                worst([self.operator(left, op, right), self.all([&**left, &**right])])
            }
            Sql::AnyOp { left, right, .. } | Sql::AllOp { left, right, .. } => {
                self.all([&**left, &**right])
            }
            Sql::InList { expr, list, .. } => self.all(list.iter().chain([&**expr])),
            Sql::Between { expr, low, high, .. } => worst([
                self.operator(expr, &BinaryOperator::GtEq, low),
                self.operator(expr, &BinaryOperator::LtEq, high),
                self.all([&**expr, &**low, &**high]),
            ]),
            Sql::Like { expr, pattern, escape_char, .. }
            | Sql::ILike { expr, pattern, escape_char, .. }
            | Sql::SimilarTo { expr, pattern, escape_char, .. } => {
                self.all([&**expr, &**pattern].into_iter().chain(escape_char.as_deref()))
            }
            Sql::RLike { expr, pattern, .. } => self.all([&**expr, &**pattern]),
            Sql::Cast { expr, data_type, .. } => {
                worst([types::cast(self.backend, expr, data_type), self.expr(expr)])
            }
            Sql::Convert { expr, styles, .. } => self.all(styles.iter().chain([&**expr])),
            Sql::AtTimeZone { timestamp, time_zone } => {
                let timetz = types::kind(self.backend, timestamp) == Kind::TimeTz;
                let own = if timetz { Volatility::Stable } else { Volatility::Immutable };
                worst([own, self.all([&**timestamp, &**time_zone])])
            }
            Sql::Extract { expr, .. } => {
                worst([types::field_of(self.backend, expr), self.expr(expr)])
            }
            Sql::Ceil { expr, .. } | Sql::Floor { expr, .. } => self.expr(expr),
            Sql::Position { expr, r#in } => self.all([&**expr, &**r#in]),
            Sql::Substring { expr, substring_from, substring_for, .. } => self.all(
                [&**expr]
                    .into_iter()
                    .chain(substring_from.as_deref())
                    .chain(substring_for.as_deref()),
            ),
            Sql::Trim { expr, trim_what, trim_characters, .. } => self.all(
                [&**expr]
                    .into_iter()
                    .chain(trim_what.as_deref())
                    .chain(trim_characters.iter().flatten()),
            ),
            Sql::Overlay { expr, overlay_what, overlay_from, overlay_for } => self.all(
                [&**expr, &**overlay_what, &**overlay_from]
                    .into_iter()
                    .chain(overlay_for.as_deref()),
            ),
            Sql::Case { operand, conditions, else_result, .. } => {
                let branches = conditions.iter().flat_map(|when| [&when.condition, &when.result]);
                self.all(branches.chain(operand.as_deref()).chain(else_result.as_deref()))
            }
            Sql::Tuple(parts) => self.all(parts),
            Sql::Array(array) => self.all(&array.elem),
            Sql::Interval(interval) => self.expr(&interval.value),
            Sql::MemberOf(member) => self.all([&*member.value, &*member.array]),
            Sql::Function(function) => self.function(function),
            _ => Volatility::Unknown,
        }
    }

    /// Judges a bare word: a column, or a keyword or variable that the parser takes for one.
    fn identifier(self, name: &Name) -> Volatility {
        match self.backend {
            _ if is_keyword(self.backend, name) => Volatility::Stable,
            Backend::Mysql if is_variable(name) => Volatility::Unknown,
            Backend::Postgres | Backend::Mysql | Backend::Sqlite => Volatility::Immutable,
        }
    }

    /// Judges an operator itself. PostgreSQL's are immutable, but for those that need the session's
    /// time zone; the other engines have none that are not.
    fn operator(self, left: &Sql, op: &BinaryOperator, right: &Sql) -> Volatility {
        let kinds = [types::kind(self.backend, left), types::kind(self.backend, right)];
        let stable = self.backend == Backend::Postgres
            && match op {
                BinaryOperator::Plus | BinaryOperator::Minus => {
                    kinds.contains(&Kind::Interval)
                        && kinds.iter().any(|k| matches!(k, Kind::TimestampTz | Kind::Unknown))
                }
                BinaryOperator::Eq
                | BinaryOperator::NotEq
                | BinaryOperator::Lt
                | BinaryOperator::LtEq
                | BinaryOperator::Gt
                | BinaryOperator::GtEq => {
                    kinds.contains(&Kind::TimestampTz)
                        && kinds.iter().any(|k| matches!(k, Kind::Date | Kind::Timestamp))
                }
                // Of arrays it appends; of text and anything else it prints.
                BinaryOperator::StringConcat => {
                    (!kinds.contains(&Kind::Array) || kinds.contains(&Kind::Text))
                        && kinds.iter().any(|k| k.prints_by_session())
                }
                BinaryOperator::AtAt => kinds.contains(&Kind::Text),
                BinaryOperator::Custom(_) | BinaryOperator::PGCustomBinaryOperator(_) => {
                    return Volatility::Unknown;
                }
                _ => false,
            };
        if stable { Volatility::Stable } else { Volatility::Immutable }
    }

    fn function(self, function: &Function) -> Volatility {
        let plain = function.over.is_none()
            && function.filter.is_none()
            && function.within_group.is_empty()
            && matches!(function.parameters, FunctionArguments::None);
        let (true, Some((schema, name))) = (plain, self.called(function)) else {
            return Volatility::Unknown;
        };
        let args = match &function.args {
            FunctionArguments::None => Vec::new(),
            FunctionArguments::Subquery(_) => return Volatility::Unknown,
            FunctionArguments::List(list) => {
                let args: Option<Vec<&Sql>> = list
                    .args
                    .iter()
                    .map(|arg| match arg {
                        FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) => Some(arg),
                        // `make_interval(days => 1)`, but not `json_object('a': 1)`.
                        FunctionArg::Named {
                            arg: FunctionArgExpr::Expr(arg), operator, ..
                        }
                        | FunctionArg::ExprNamed {
                            arg: FunctionArgExpr::Expr(arg),
                            operator,
                            ..
                        } if matches!(
                            operator,
                            FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment
                        ) =>
                        {
                            Some(arg)
                        }
                        FunctionArg::Named { .. }
                        | FunctionArg::ExprNamed { .. }
                        | FunctionArg::Unnamed(_) => None,
                    })
                    .collect();
                match args {
                    Some(args) if list.clauses.is_empty() => args,
                    Some(_) | None => return Volatility::Unknown,
                }
            }
        };
        let own = functions::judge(self.backend, schema.as_deref(), &name, &args);
        // The unit of `TIMESTAMPADD(HOUR, …)` is parsed as a name, and names count as immutable.
        worst([own, self.all(args)])
    }

    /// Returns schema and name of a called function as the engine looks them up.
    fn called(self, function: &Function) -> Option<(Option<String>, String)> {
        let mut parts = function.name.0.iter().map(|part| match part {
            ObjectNamePart::Identifier(name) => Some(match (self.backend, name.quote_style) {
                (Backend::Postgres | Backend::Mysql, Some(_)) => name.value.clone(),
                (Backend::Postgres | Backend::Mysql, None) | (Backend::Sqlite, _) => {
                    name.value.to_ascii_lowercase()
                }
            }),
            ObjectNamePart::Function(_) => None,
        });
        match (parts.next()?, parts.next(), parts.next()) {
            (name, None, None) => Some((None, name?)),
            (schema, Some(name), None) => Some((Some(schema?), name?)),
            _ => None,
        }
    }
}

/// Keywords of the session that the parser takes for names.
fn is_keyword(backend: Backend, name: &Name) -> bool {
    const POSTGRES: [&str; 3] = ["current_role", "current_schema", "system_user"];
    const MYSQL: [&str; 4] = ["current_user", "utc_date", "utc_time", "utc_timestamp"];
    let words: &[&str] = match backend {
        Backend::Postgres => &POSTGRES,
        Backend::Mysql => &MYSQL,
        Backend::Sqlite => &[],
    };
    name.quote_style.is_none() && words.iter().any(|word| name.value.eq_ignore_ascii_case(word))
}

/// Recognises MySQL's `@variable`.
fn is_variable(name: &Name) -> bool {
    name.quote_style.is_none() && name.value.starts_with('@')
}

struct Columns {
    backend: Backend,
    found: Vec<Ident>,
    /// Words of the expression that stand where a column could but are units of time.
    units: Vec<Name>,
}

impl Columns {
    fn add(&mut self, name: &Name) -> ControlFlow<()> {
        let text = match (self.backend, name.quote_style) {
            (Backend::Postgres, None) => name.value.to_lowercase(),
            _ => name.value.clone(),
        };
        let Ok(column) = Ident::new(text) else { return ControlFlow::Break(()) };
        if !self.found.contains(&column) {
            self.found.push(column);
        }
        ControlFlow::Continue(())
    }
}

impl Visitor for Columns {
    type Break = ();

    fn pre_visit_query(&mut self, _: &sqlparser::ast::Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, sql: &Sql) -> ControlFlow<()> {
        match sql {
            Sql::Identifier(name) if is_keyword(self.backend, name) => ControlFlow::Continue(()),
            Sql::Identifier(name) if self.backend == Backend::Mysql && is_variable(name) => {
                ControlFlow::Continue(())
            }
            Sql::Identifier(name) => {
                match self.units.iter().position(|unit| unit.span == name.span) {
                    Some(_) => ControlFlow::Continue(()),
                    None => self.add(name),
                }
            }
            Sql::CompoundIdentifier(parts) => match parts.last() {
                Some(name) => self.add(name),
                None => ControlFlow::Continue(()),
            },
            // The field of a composite value is parsed as a name of its own.
            Sql::CompoundFieldAccess { access_chain, .. } => {
                self.units.extend(access_chain.iter().filter_map(|access| match access {
                    AccessExpr::Dot(Sql::Identifier(field)) => Some(field.clone()),
                    AccessExpr::Dot(_) | AccessExpr::Subscript(_) => None,
                }));
                ControlFlow::Continue(())
            }
            Sql::Function(function) if self.backend == Backend::Mysql => {
                self.units.extend(unit_of(function).cloned());
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Returns the unit of MySQL's `TIMESTAMPADD(unit, …)` and `TIMESTAMPDIFF(unit, …)`.
fn unit_of(function: &Function) -> Option<&Name> {
    let name = function.name.0.last()?.as_ident()?;
    let takes_unit = ["timestampadd", "timestampdiff"];
    if !takes_unit.iter().any(|f| name.value.eq_ignore_ascii_case(f)) {
        return None;
    }
    match &function.args {
        FunctionArguments::List(list) => match list.args.first()? {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Sql::Identifier(unit))) => Some(unit),
            _ => None,
        },
        FunctionArguments::None | FunctionArguments::Subquery(_) => None,
    }
}

#[cfg(test)]
mod tests;
