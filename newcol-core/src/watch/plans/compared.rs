//! What a statement asks of the column, from its text: it decides which other index would do, and where
//! sample values may stand.

use std::{collections::BTreeSet, ops::ControlFlow};

use sqlparser::ast::{BinaryOperator, Expr, Statement, Value, Visit, Visitor};

use crate::{
    sql::Placed,
    watch::{involve::own_name, verdict::Asked},
};

/// What a statement asks of the column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::watch) struct Compared {
    pub(in crate::watch) asked: Asked,
    /// Parameters that the column is held against, as `$1`.
    pub(in crate::watch) parameters: BTreeSet<String>,
}

/// Reads a statement that looks for the column, or joins or sorts by it.
pub(in crate::watch) fn compared(statement: &Statement, column: &str) -> Compared {
    let mut seen = Seen { column, asked: None, parameters: BTreeSet::new() };
    // Nothing breaks it off.
    let _: ControlFlow<()> = statement.visit(&mut seen);
    Compared { asked: seen.asked.unwrap_or(Asked::Unknown), parameters: seen.parameters }
}

/// Puts a value in the place of parameters.
pub(in crate::watch) fn with_value(
    text: &str,
    tokens: &[Placed],
    parameters: &BTreeSet<String>,
    literal: &str,
) -> String {
    let mut written = String::with_capacity(text.len());
    let mut end = 0;
    for placed in tokens {
        if let sqlparser::tokenizer::Token::Placeholder(name) = &placed.token
            && parameters.contains(name)
        {
            written.push_str(&text[end..placed.range.start]);
            written.push_str(literal);
            end = placed.range.end;
        }
    }
    written.push_str(&text[end..]);
    written
}

impl Asked {
    /// Returns what two statements ask, or two parts of one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Nulls, _) | (_, Self::Nulls) => Self::Nulls,
            (Self::Ranges, Self::Ranges) => Self::Ranges,
            (Self::Ranges | Self::Values, Self::Ranges | Self::Values) => Self::Values,
        }
    }
}

struct Seen<'c> {
    column: &'c str,
    asked: Option<Asked>,
    parameters: BTreeSet<String>,
}

impl Seen<'_> {
    fn is_column(&self, expr: &Expr) -> bool {
        own_name(bare(expr)).is_some_and(|name| name == self.column)
    }

    fn ask(&mut self, asked: Asked) {
        self.asked = Some(self.asked.map_or(asked, |so_far| so_far.and(asked)));
    }

    fn against(&mut self, expr: &Expr) {
        struct Parameters<'p>(&'p mut BTreeSet<String>);
        impl Visitor for Parameters<'_> {
            type Break = ();
            fn pre_visit_value(
                &mut self,
                value: &sqlparser::ast::ValueWithSpan,
            ) -> ControlFlow<()> {
                if let Value::Placeholder(name) = &value.value {
                    self.0.insert(name.clone());
                }
                ControlFlow::Continue(())
            }
        }
        let _: ControlFlow<()> = expr.visit(&mut Parameters(&mut self.parameters));
    }

    fn operation(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr) {
        let other = match (self.is_column(left), self.is_column(right)) {
            (true, true) => return self.ask(Asked::Values),
            (true, false) => right,
            (false, true) => left,
            (false, false) => return,
        };
        match op {
            BinaryOperator::Eq | BinaryOperator::NotEq => self.ask(Asked::Values),
            BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq => self.ask(Asked::Ranges),
            _ => self.ask(Asked::Unknown),
        }
        self.against(other);
    }
}

impl Visitor for Seen<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::BinaryOp { left, op, right } => self.operation(left, op, right),
            Expr::Between { expr, low, high, .. } if self.is_column(expr) => {
                self.ask(Asked::Ranges);
                self.against(low);
                self.against(high);
            }
            Expr::InList { expr, list, .. } if self.is_column(expr) => {
                self.ask(Asked::Values);
                list.iter().for_each(|one| self.against(one));
            }
            Expr::InSubquery { expr, .. } if self.is_column(expr) => {
                self.ask(Asked::Values);
            }
            // Its parameter is a list: no value of the column may stand there.
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, .. } if self.is_column(left) => {
                self.ask(Asked::Values);
            }
            Expr::IsNotNull(inner) if self.is_column(inner) => self.ask(Asked::Values),
            Expr::IsNull(inner) if self.is_column(inner) => self.ask(Asked::Nulls),
            Expr::IsNotDistinctFrom(left, right) | Expr::IsDistinctFrom(left, right)
                if self.is_column(left) || self.is_column(right) =>
            {
                self.ask(Asked::Nulls);
            }
            Expr::Like { expr, .. } | Expr::ILike { expr, .. } if self.is_column(expr) => {
                self.ask(Asked::Values);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn bare(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::involve::{Catalog, parse, tokens};

    fn read(condition: &str) -> (Asked, String, String) {
        let text = format!("SELECT id FROM users u WHERE {condition} AND age = $9 LIMIT $8");
        let any = Catalog::default();
        let tokens = tokens(&text, &any).unwrap();
        let found = compared(&parse(&tokens, &any).unwrap(), "locale");
        let written = with_value(&text, &tokens, &found.parameters, "'x'");
        let parameters = found.parameters.into_iter().collect::<Vec<_>>().join(" ");
        let written =
            written.split(" WHERE ").nth(1).unwrap().replace(" AND age = $9 LIMIT $8", "");
        (found.asked, parameters, written)
    }

    #[test]
    fn what_is_asked_and_where_values_may_stand() {
        let lines: Vec<String> = [
            "locale = $1",
            "u.locale = $1::text",
            "$1 < locale",
            "locale BETWEEN $1 AND $2",
            "locale IN ($1, $2)",
            "locale = ANY ($1)",
            "locale IS NULL",
            "(locale = $1 OR locale IS NULL)",
            "locale IS NOT NULL AND locale > $1",
            "locale LIKE $1",
            "lower(locale) = $1",
            "u.locale = o.locale",
            "name = $1",
        ]
        .into_iter()
        .map(|condition| {
            let (asked, parameters, written) = read(condition);
            format!("{condition}: {asked:?}, [{parameters}] {written}")
        })
        .collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        locale = $1: Values, [$1] locale = 'x'
        u.locale = $1::text: Values, [$1] u.locale = 'x'::text
        $1 < locale: Ranges, [$1] 'x' < locale
        locale BETWEEN $1 AND $2: Ranges, [$1 $2] locale BETWEEN 'x' AND 'x'
        locale IN ($1, $2): Values, [$1 $2] locale IN ('x', 'x')
        locale = ANY ($1): Values, [] locale = ANY ($1)
        locale IS NULL: Nulls, [] locale IS NULL
        (locale = $1 OR locale IS NULL): Nulls, [$1] (locale = 'x' OR locale IS NULL)
        locale IS NOT NULL AND locale > $1: Values, [$1] locale IS NOT NULL AND locale > 'x'
        locale LIKE $1: Values, [] locale LIKE $1
        lower(locale) = $1: Unknown, [] lower(locale) = $1
        u.locale = o.locale: Values, [] u.locale = o.locale
        name = $1: Unknown, [] name = $1
        ");
    }
}
