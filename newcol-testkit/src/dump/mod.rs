//! What a database holds, as sorted text that two servers of different versions agree on.
//!
//! Read from the catalog, not from a dump tool: no client is needed, and nothing in the text names
//! an object number, a database or a run. One line per object, so that a diff of two dumps is a
//! list of what changed. Texts that servers themselves reword between versions (view bodies) are
//! printed as the server prints them.

mod mysql;
mod postgres;
pub(crate) mod sqlite;

use std::collections::BTreeSet;

use newcol_core::{backend::Backend, execute::backfill::RECORD_TABLES, ident::TableName};

use crate::scratch::{AdminError, rows};

/// Returns every table, column, constraint, index, trigger, function, type and view of the
/// database, one per line, sorted; without the records of backfills, which are no more a part of
/// the application's schema than `diesel print-schema` says they are.
pub fn schema_dump(url: &str) -> Result<String, AdminError> {
    let mut lines = match Backend::of_url(url) {
        Backend::Postgres => postgres::schema(url)?,
        Backend::Mysql => mysql::schema(url)?,
        Backend::Sqlite => sqlite::schema(url)?,
    };
    lines.retain(|line| !is_of_a_record(line));
    Ok(sorted(lines))
}

/// Reports whether a line is of a table that a backfill keeps its record in: its second word names
/// the table, maybe with a schema before it and a column or a constraint after it.
fn is_of_a_record(line: &str) -> bool {
    let object = line.split(' ').nth(1).unwrap_or_default();
    object.split('.').take(2).any(|name| RECORD_TABLES.contains(&name))
}

/// Returns every row of a table, one per line, sorted: `column='value'` in the order of column
/// names, so that neither the physical order of rows nor that of columns matters.
pub fn data_dump(url: &str, table: &TableName) -> Result<String, AdminError> {
    let sql = match Backend::of_url(url) {
        Backend::Postgres => postgres::data_sql(url, table)?,
        Backend::Mysql => mysql::data_sql(url, table)?,
        Backend::Sqlite => sqlite::data_sql(url, table)?,
    };
    Ok(sorted(first_column(rows(url, &sql)?)))
}

/// Returns the lines by which a dump differs from an earlier one: what went with `-`, what came with
/// `+`.
pub(crate) fn differences<'a>(before: &'a str, after: &'a str) -> Vec<(char, &'a str)> {
    let lines = |text: &'a str| text.lines().collect::<BTreeSet<&str>>();
    let (old, new) = (lines(before), lines(after));
    let gone = before.lines().filter(|line| !new.contains(line)).map(|line| ('-', line));
    let come = after.lines().filter(|line| !old.contains(line)).map(|line| ('+', line));
    gone.chain(come).collect()
}

/// Writes a line per object, line breaks inside it escaped.
fn sorted(lines: Vec<String>) -> String {
    let mut lines: Vec<String> = lines
        .into_iter()
        .map(|line| line.trim_end().replace("\r\n", "\\n").replace('\n', "\\n") + "\n")
        .collect();
    lines.sort();
    lines.concat()
}

/// Returns the first value of each row, NULL as nothing.
fn first_column(rows: Vec<Vec<Option<String>>>) -> Vec<String> {
    rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect()
}

/// Writes a text as an SQL literal.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
