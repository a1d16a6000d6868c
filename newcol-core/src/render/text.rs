//! The only place that quotes names and literals.
//!
//! `sql` fills named holes of a text that stands in our source; a hole takes a validated name, a
//! literal (quoted here), or a fragment of the user's that was checked to be closed.

use std::fmt;

use crate::{
    backend::Backend,
    contract::{Expr, SqlType},
    ident::{Ident, TableName},
    plan::volatility,
};

/// SQL, complete and quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlText(String);

impl SqlText {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes SQL that the database itself stored, such as `sqlite_schema.sql`.
    pub(crate) fn stored(sql: impl Into<String>) -> Self {
        Self(sql.into())
    }
}

impl fmt::Display for SqlText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What may fill a hole.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hole<'a> {
    /// A name, quoted.
    Name(&'a Ident),
    /// A table, quoted and with its schema.
    Table(&'a TableName),
    /// A text, quoted as a string literal.
    Literal(&'a str),
    /// A type, as the user spelled it.
    Type(&'a SqlType),
    /// An expression in parentheses.
    Expr(&'a Expr),
    /// A default: literals bare (some engines want them so), all else in parentheses.
    Default(&'a Expr),
    /// SQL that was built here.
    Sql(&'a SqlText),
    /// A number.
    Number(u64),
    /// Keywords chosen from our own source.
    Words(&'static str),
}

/// Fills the holes `{name}` of a template.
///
/// # Panics
///
/// When template and holes do not match: both stand in our source, and a unit test renders every
/// step.
pub(super) fn sql(backend: Backend, template: &'static str, holes: &[(&str, Hole<'_>)]) -> SqlText {
    let mut text = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let end = at + rest[at..].find('}').expect("a hole closes");
        let name = &rest[at + 1..end];
        text.push_str(&rest[..at]);
        let hole = holes.iter().find(|(n, _)| *n == name);
        let (_, hole) = hole.unwrap_or_else(|| unreachable!("hole `{name}` is not filled"));
        text.push_str(&fill(backend, *hole));
        rest = &rest[end + 1..];
    }
    text.push_str(rest);
    SqlText(text)
}

/// Joins statements or list items.
pub(super) fn join<'a>(parts: impl IntoIterator<Item = &'a SqlText>, between: &str) -> SqlText {
    SqlText(parts.into_iter().map(SqlText::as_str).collect::<Vec<_>>().join(between))
}

fn fill(backend: Backend, hole: Hole<'_>) -> String {
    match hole {
        Hole::Name(ident) => name(backend, ident),
        Hole::Table(path) => table(backend, path),
        Hole::Literal(text) => literal(backend, text),
        Hole::Type(ty) => ty.as_str().to_owned(),
        Hole::Expr(expr) => format!("({expr})"),
        Hole::Default(expr) if volatility::is_literal(expr, backend) => expr.to_string(),
        Hole::Default(expr) => format!("({expr})"),
        Hole::Sql(text) => text.0.clone(),
        Hole::Number(number) => number.to_string(),
        Hole::Words(words) => words.to_owned(),
    }
}

/// Returns a name as the engine's SQL writes it, quoted.
pub fn name(backend: Backend, name: &Ident) -> String {
    quote(backend, name.as_str())
}

/// Returns a table's name as the engine's SQL writes it, quoted and with the schema it was given.
pub fn table(backend: Backend, table: &TableName) -> String {
    match &table.schema {
        Some(schema) => format!("{}.{}", name(backend, schema), name(backend, &table.name)),
        None => name(backend, &table.name),
    }
}

/// Quotes a name as the catalog has it: always, so that any name the engine accepts works and keeps
/// its case.
pub fn quote(backend: Backend, name: &str) -> String {
    match backend {
        Backend::Postgres | Backend::Sqlite => format!("\"{}\"", name.replace('"', "\"\"")),
        Backend::Mysql => format!("`{}`", name.replace('`', "``")),
    }
}

/// Quotes a string literal. MySQL reads backslashes as escapes unless NO_BACKSLASH_ESCAPES is set;
/// doubled ones would then stay doubled in a comment, which harms nobody.
fn literal(backend: Backend, text: &str) -> String {
    let quoted = text.replace('\'', "''");
    match backend {
        Backend::Postgres | Backend::Sqlite => format!("'{quoted}'"),
        Backend::Mysql => format!("'{}'", quoted.replace('\\', "\\\\")),
    }
}

/// Returns a text literal that means the same under every setting of the engine.
pub(crate) fn exact_literal(backend: Backend, text: &str) -> String {
    match backend {
        // E'' reads backslashes the same with and without standard_conforming_strings.
        Backend::Postgres => format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        // Hex digits are out of reach of NO_BACKSLASH_ESCAPES and ANSI_QUOTES.
        Backend::Mysql if text.is_empty() => "_utf8mb4''".to_owned(),
        Backend::Mysql => {
            let hex: Vec<String> = text.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("_utf8mb4 0x{}", hex.concat())
        }
        Backend::Sqlite => format!("'{}'", text.replace('\'', "''")),
    }
}
