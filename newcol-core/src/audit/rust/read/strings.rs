//! Texts that reach a database.

use proc_macro2::TokenStream;
use syn::parse::Parser as _;

use super::{Reader, first_text};
use crate::audit::rust::facts::{Bytes, Call, SqlText, Value};

/// Functions and methods whose first text argument is SQL, of Diesel, sqlx, rusqlite and
/// tokio-postgres.
const SINKS: &[&str] = &[
    "sql_query",
    "sql",
    "batch_execute",
    "simple_query",
    "raw_sql",
    "query",
    "query_as",
    "query_scalar",
    "query_one",
    "query_opt",
    "query_raw",
    "query_typed",
    "prepare",
    "prepare_typed",
    "prepare_cached",
    "execute",
    "execute_batch",
    "copy_in",
    "copy_out",
    "query_row",
    "query_map",
];

/// Sinks whose argument is SQL whatever it is made of; others take much else.
const SURE: &[&str] = &["sql_query", "sql", "batch_execute", "simple_query", "raw_sql"];

/// Macros of sqlx whose first text is SQL.
const MACROS: &[&str] =
    &["query", "query_as", "query_scalar", "query_unchecked", "query_as_unchecked"];

pub(super) fn is_query_macro(name: &str) -> bool {
    MACROS.contains(&name)
}

/// Reads the SQL of a macro's arguments: the first text, behind a type where there is one.
pub(super) fn of_tokens(name: &str, tokens: &TokenStream, at: Bytes) -> Option<SqlText> {
    let sink = format!("{name}!");
    if let Ok(text) = first_text.parse2(tokens.clone()) {
        return Some(of_literal(&sink, &text));
    }
    let behind_type = |input: syn::parse::ParseStream<'_>| {
        input.parse::<syn::Type>()?;
        input.parse::<syn::Token![,]>()?;
        first_text(input)
    };
    match behind_type.parse2(tokens.clone()) {
        Ok(text) => Some(of_literal(&sink, &text)),
        Err(_) => Some(SqlText { sink, text: None, range: at, offset: None }),
    }
}

/// Reads a literal.
pub(super) fn of_literal(sink: &str, literal: &syn::LitStr) -> SqlText {
    let written = literal.token().to_string();
    let text = literal.value();
    // Raw strings and those without escapes are as they are written.
    let offset = written.find('"').map(|quote| quote + 1);
    let offset = offset.filter(|at| written[*at..].starts_with(&text));
    SqlText { sink: sink.to_owned(), text: Some(text), range: literal.span().byte_range(), offset }
}

/// Reports whether a text begins as a statement does.
fn is_sql(text: &SqlText) -> bool {
    const FIRST: &[&str] = &[
        "alter", "begin", "call", "copy", "create", "delete", "do", "drop", "explain", "grant",
        "insert", "merge", "replace", "select", "truncate", "update", "values", "with",
    ];
    let text = text.text.as_deref().unwrap_or_default();
    let word = text.trim_start_matches(['(', ' ', '\n', '\t']).split(|c: char| !c.is_alphabetic());
    word.into_iter().next().is_some_and(|word| FIRST.contains(&word.to_lowercase().as_str()))
}

/// Notes the SQL that calls are given.
pub(super) fn note_calls(reader: &mut Reader, calls: &[Call]) {
    for call in calls {
        if !SINKS.contains(&call.name.as_str()) {
            continue;
        }
        let sure = SURE.contains(&call.name.as_str());
        let text = call.args.iter().find_map(|arg| match arg {
            Value::Text(text) if sure || is_sql(text) => {
                Some(SqlText { sink: call.name.clone(), ..text.clone() })
            }
            _ => None,
        });
        let included = || call.args.contains(&Value::Included);
        let built = || sure && !call.args.is_empty() && !included();
        match text {
            Some(text) => reader.facts.sql.push(text),
            None if built() => reader.facts.sql.push(SqlText {
                sink: call.name.clone(),
                text: None,
                range: call.range.clone(),
                offset: None,
            }),
            None => {}
        }
    }
}
