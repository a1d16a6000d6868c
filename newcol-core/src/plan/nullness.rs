//! Finds what makes an expression NULL, as far as its text shows it.
//!
//! A lower bound: what is not known to hand a NULL on (`CASE`, functions of the project) counts as
//! having an answer to it. A key that a JSON value lacks is a NULL too.

use std::fmt;

use sqlparser::ast::{
    BinaryOperator, Expr as Sql, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    Ident as Name, UnaryOperator,
};

use super::{facts::ColumnFacts, volatility};
use crate::{backend::Backend, contract::Expr, ident::Ident};

/// Functions of every engine that are NULL when an argument is.
const STRICT: [&str; 19] = [
    "abs",
    "btrim",
    "ceil",
    "char_length",
    "floor",
    "initcap",
    "json_unquote",
    "left",
    "length",
    "lower",
    "ltrim",
    "md5",
    "replace",
    "right",
    "round",
    "rtrim",
    "substr",
    "trim",
    "upper",
];

/// Functions that are NULL when a JSON value lacks what they look for.
const LOOKUPS: [&str; 3] = ["json_extract", "json_value", "jsonb_path_query_first"];

/// Why an expression may be NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NullWhere {
    /// A column is.
    Column(Ident),
    /// A JSON value lacks a key.
    NoKey,
}

impl fmt::Display for NullWhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(column) => write!(f, "where `{column}` is NULL"),
            Self::NoKey => write!(f, "where the JSON value lacks the key"),
        }
    }
}

/// Returns why an expression may be NULL, or `None` where nothing shows that it may.
pub(super) fn null_where(
    expr: &Expr,
    backend: Backend,
    columns: &[ColumnFacts],
) -> Option<NullWhere> {
    Search { columns, depth: 0 }.expr(&volatility::parse(expr, backend)?)
}

#[derive(Clone, Copy)]
struct Search<'a> {
    columns: &'a [ColumnFacts],
    depth: u8,
}

impl Search<'_> {
    fn any<'s>(self, parts: impl IntoIterator<Item = &'s Sql>) -> Option<NullWhere> {
        parts.into_iter().find_map(|part| self.expr(part))
    }

    fn expr(self, sql: &Sql) -> Option<NullWhere> {
        // A chain of operators is a tree as deep as it is long; no fill is near this.
        const DEEPEST: u8 = 200;
        if self.depth == DEEPEST {
            return None;
        }
        Self { depth: self.depth + 1, ..self }.parts(sql)
    }

    fn parts(self, sql: &Sql) -> Option<NullWhere> {
        match sql {
            Sql::Identifier(name) => self.column(name),
            Sql::CompoundIdentifier(names) => self.column(names.last()?),
            Sql::Nested(x)
            | Sql::UnaryOp {
                op: UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not,
                expr: x,
            }
            | Sql::Cast { expr: x, .. }
            | Sql::Collate { expr: x, .. }
            | Sql::Ceil { expr: x, .. }
            | Sql::Floor { expr: x, .. }
            | Sql::Extract { expr: x, .. }
            | Sql::Substring { expr: x, .. }
            | Sql::Trim { expr: x, .. } => self.expr(x),
            Sql::BinaryOp { left, op, right } => match op {
                BinaryOperator::Arrow
                | BinaryOperator::LongArrow
                | BinaryOperator::HashArrow
                | BinaryOperator::HashLongArrow => Some(NullWhere::NoKey),
                BinaryOperator::Plus
                | BinaryOperator::Minus
                | BinaryOperator::Multiply
                | BinaryOperator::StringConcat => self.any([&**left, &**right]),
                _ => None,
            },
            Sql::Function(function) => self.function(function),
            _ => None,
        }
    }

    fn column(self, name: &Name) -> Option<NullWhere> {
        let is = |column: &&ColumnFacts| column.name.as_str().eq_ignore_ascii_case(&name.value);
        let column = self.columns.iter().find(is)?;
        column.nullable.then(|| NullWhere::Column(column.name.clone()))
    }

    fn function(self, function: &Function) -> Option<NullWhere> {
        let name = function.name.to_string().to_ascii_lowercase();
        if LOOKUPS.contains(&name.as_str()) {
            return Some(NullWhere::NoKey);
        }
        let FunctionArguments::List(list) = &function.args else { return None };
        let args = list.args.iter().filter_map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) => Some(arg),
            _ => None,
        });
        STRICT.contains(&name.as_str()).then(|| self.any(args)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(expr: &str) -> String {
        let column = |name: &str, nullable| ColumnFacts {
            name: Ident::new(name).unwrap(),
            sql_type: None,
            nullable,
            default: None,
            generated: false,
            comment: None,
        };
        let columns = [column("title", true), column("name", false)];
        let found = null_where(&Expr::new(expr), Backend::Postgres, &columns);
        found.map(|found| found.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_null_is_followed_as_far_as_it_is_handed_on() {
        for expr in ["title", "lower(TITLE)", "name || ' ' || title", "(users.title)::text"] {
            assert_eq!(found(expr), "where `title` is NULL", "{expr}");
        }
        for expr in ["settings->>'locale'", "lower(settings #>> '{a,b}')"] {
            assert_eq!(found(expr), "where the JSON value lacks the key", "{expr}");
        }
    }

    #[test]
    fn what_has_an_answer_to_null_is_not_one() {
        for expr in [
            "name",
            "lower(name)",
            "coalesce(title, name)",
            "coalesce(settings->>'locale', 'en')",
            "concat(title, name)",
            "CASE WHEN title IS NULL THEN 'x' ELSE title END",
            "title IS NULL",
            "app.words_of(title)",
            "'title'",
        ] {
            assert_eq!(found(expr), "", "{expr}");
        }
    }
}
