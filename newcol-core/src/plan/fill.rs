//! Decides what fills rows that exist already, and whether a job must.

use super::{build::Builder, error::PlanError, facts::Volatility, volatility};
use crate::{
    backend::Product,
    contract::{Answer, Expr, OldRows, fragment::is_large_object},
};

/// What fills rows that exist already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fill {
    /// Nothing has to: they are NULL, hold the default, or are generated.
    None,
    /// An expression.
    Sql(Expr),
    /// Application code.
    Rust,
}

impl Builder<'_> {
    /// Decides what fills existing rows, and whether a job must.
    pub(super) fn fill(&mut self) -> Result<Fill, PlanError> {
        let backend = self.backend();
        let answers = self.contract.answers();
        match &answers.old_rows {
            OldRows::Sql(_) => {
                let Some(fill) = self.contract.sql_fill(backend).cloned() else {
                    return Err(self.unable(
                        Answer::OldRows,
                        "fill old rows",
                        "the contract has a fill for other engines only",
                        format!("give one with `--fill {}=<SQL>`", backend.name()),
                    ));
                };
                self.because(
                    "old rows are computed, and computing them in the migration would hold locks for as long as the table is large: a job fills them in batches",
                );
                return Ok(Fill::Sql(fill));
            }
            OldRows::Rust(path) => {
                self.because(format!(
                    "old rows are computed by `{path}`, which only the application can run: a job fills them"
                ));
                return Ok(Fill::Rust);
            }
            OldRows::Unfilled => {}
        }
        let Some(default) = self.contract.default(backend).cloned() else {
            if answers.default.is_some() && self.contract.required() {
                return Err(self.unable(
                    Answer::Default,
                    "fill a required column",
                    "the contract has a default for other engines only",
                    format!("give one with `--default {}=<SQL>`", backend.name()),
                ));
            }
            if answers.generated.get(backend).is_some() {
                self.because("the value is always computed from the row: a virtual column stores nothing, so there is nothing to fill");
            } else {
                self.because("old rows may stay NULL, so there is nothing to fill");
            }
            return Ok(Fill::None);
        };
        if self.default_is_instant(&default) { Ok(Fill::None) } else { Ok(Fill::Sql(default)) }
    }

    /// Whether the engine can give every existing row this default without touching it.
    fn default_is_instant(&mut self, default: &Expr) -> bool {
        let backend = self.backend();
        let literal = volatility::is_literal(default, backend);
        let large = self.contract.sql_type(backend).is_some_and(is_large_object);
        let measured = self.facts.default_volatility;
        let judged = measured.unwrap_or_else(|| volatility::judge(default, backend));
        let (instant, reason) = match self.facts.server.product {
            Product::Postgres => match judged {
                Volatility::Immutable => (
                    true,
                    format!(
                        "`{default}` is one value for every old row, which the server keeps beside the table: no row is touched"
                    ),
                ),
                Volatility::Stable => (
                    true,
                    format!(
                        "`{default}` is evaluated once, when the migration runs; every old row gets that one value and none is touched"
                    ),
                ),
                Volatility::Volatile => (
                    false,
                    format!(
                        "`{default}` gives each row a value of its own, so adding it at once would rewrite the table while everybody waits: the default is set for new rows, a job fills the old ones"
                    ),
                ),
                Volatility::Unknown => (
                    false,
                    format!(
                        "only a server can tell whether `{default}` gives each row a value of its own; the plan assumes it does (pass `--database-url` to find out)"
                    ),
                ),
            },
            Product::Mariadb => match judged {
                Volatility::Immutable | Volatility::Stable => (
                    true,
                    format!(
                        "`{default}` is one value for every old row: ADD COLUMN is instant, and asserted to be"
                    ),
                ),
                Volatility::Volatile | Volatility::Unknown => (
                    false,
                    format!(
                        "`{default}` may give each row a value of its own, which copies the table: a job fills old rows"
                    ),
                ),
            },
            Product::Mysql if large => (
                false,
                "MySQL gives a column of this type no literal default, so the default is set for new rows and a job fills the old ones".to_owned(),
            ),
            Product::Mysql => (
                literal,
                if literal {
                    "a literal default is kept beside the table: ADD COLUMN is instant, and asserted to be".to_owned()
                } else {
                    format!(
                        "`{default}` is an expression, for which MySQL rebuilds the table: a job fills old rows"
                    )
                },
            ),
            Product::Sqlite if literal && self.inline_reference() => (
                false,
                "SQLite adds a column with a foreign key only if it starts as NULL: a job fills old rows".to_owned(),
            ),
            Product::Sqlite => (
                literal,
                if literal {
                    "SQLite keeps a literal default beside the table: no row is touched".to_owned()
                } else {
                    format!(
                        "SQLite adds columns with literal defaults only, and `{default}` is an expression: a job fills old rows"
                    )
                },
            ),
        };
        self.because(reason);
        instant
    }
}
