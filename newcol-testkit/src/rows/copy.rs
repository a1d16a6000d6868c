//! Copies rows from a database that is only read, with all that they refer to.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use newcol_core::{
    backend::Backend,
    db::{DbError, Session, written_by_server},
    ident::TableName,
    render::text,
};

use super::{
    RowsError,
    shape::{self, Shape},
};

/// Rows as SQL literals, in the order of the shape's columns.
type Literals = Vec<String>;

/// Copies up to `count` rows of a table, and every row that they refer to, directly or not.
///
/// Both databases have the same schema. The source is read in one transaction that sees one state
/// and can write nothing. In the target, which must be a throwaway, foreign keys and triggers are
/// off meanwhile, so that rows arrive as they are; what is there already stays. Returns how many
/// rows of the table were read.
pub(crate) fn copy(
    source: &mut Session,
    target: &mut Session,
    table: &TableName,
    count: u64,
) -> Result<u64, RowsError> {
    let backend = source.backend();
    let failed = |source| RowsError::Database { table: table.clone(), source: Box::new(source) };
    source
        .batch(match backend {
            Backend::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Backend::Mysql => "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
            Backend::Sqlite => "BEGIN",
        })
        .map_err(failed)?;
    let found = Sample::read(source, target, table, count);
    let ended = source.batch("ROLLBACK").map_err(failed);
    let sample = found?;
    ended?;
    unchecked(target).map_err(failed)?;
    sample.insert(target)?;
    Ok(sample.rows.values().next().map_or(0, |(_, rows)| rows.len() as u64))
}

/// What was read, table by table; the first is the wished one.
#[derive(Default)]
struct Sample {
    rows: BTreeMap<usize, (Shape, BTreeSet<Literals>)>,
}

impl Sample {
    fn read(
        source: &mut Session,
        target: &mut Session,
        table: &TableName,
        count: u64,
    ) -> Result<Self, RowsError> {
        let mut sample = Self::default();
        let mut tables = vec![shape::canonical(target, table)?];
        let mut todo = vec![(0, format!("LIMIT {count}"))];
        while let Some((at, which)) = todo.pop() {
            let (shape, known) = match sample.rows.entry(at) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    entry.insert((shape::read(target, &tables[at])?, BTreeSet::new()))
                }
            };
            let new: Vec<Literals> = select(source, shape, &which)?
                .into_iter()
                .filter(|row| known.insert(row.clone()))
                .collect();
            for reference in shape.references.clone() {
                let keys: BTreeSet<Literals> = new
                    .iter()
                    .map(|row| reference.columns.iter().map(|at| row[*at].clone()).collect())
                    .filter(|key: &Literals| !key.iter().any(|value| value == "NULL"))
                    .collect();
                if keys.is_empty() {
                    continue;
                }
                let parent = shape::canonical(target, &reference.table)?;
                let to = tables.iter().position(|name| *name == parent).unwrap_or(tables.len());
                if to == tables.len() {
                    tables.push(parent);
                }
                let columns = match reference.to.as_slice() {
                    [] => {
                        let shape = shape::read(target, &tables[to])?;
                        shape.key.iter().map(|at| shape.columns[*at].name.to_string()).collect()
                    }
                    names => names.to_vec(),
                };
                todo.push((to, among(source.backend(), &columns, &keys)));
            }
        }
        Ok(sample)
    }

    fn insert(&self, target: &mut Session) -> Result<(), RowsError> {
        let backend = target.backend();
        // What is referred to was found later.
        for (shape, rows) in self.rows.values().rev() {
            let names: Vec<String> =
                shape.columns.iter().map(|column| text::name(backend, &column.name)).collect();
            let (table, names) = (text::table(backend, &shape.table), names.join(", "));
            for row in rows {
                let values = row.join(", ");
                let sql = match backend {
                    Backend::Postgres => format!(
                        "INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE \
                         VALUES ({values}) ON CONFLICT DO NOTHING"
                    ),
                    Backend::Mysql => {
                        format!("INSERT IGNORE INTO {table} ({names}) VALUES ({values})")
                    }
                    Backend::Sqlite => {
                        format!("INSERT OR IGNORE INTO {table} ({names}) VALUES ({values})")
                    }
                };
                target.batch(&sql).map_err(|source| RowsError::Database {
                    table: shape.table.clone(),
                    source: Box::new(source),
                })?;
            }
        }
        Ok(())
    }
}

/// Switches off what would look at copied rows a second time.
fn unchecked(target: &mut Session) -> Result<(), DbError> {
    match target.backend() {
        // A given server may not let us; then parents, which come first, must do.
        Backend::Postgres => {
            target.batch("SET session_replication_role = replica").ok();
            Ok(())
        }
        Backend::Mysql => target.batch("SET foreign_key_checks = 0"),
        Backend::Sqlite => target.batch("PRAGMA foreign_keys = OFF"),
    }
}

fn select(source: &mut Session, shape: &Shape, which: &str) -> Result<Vec<Literals>, RowsError> {
    let backend = source.backend();
    let values = shape.columns.iter().map(|c| written_by_server(backend, &c.name, &c.ty));
    let values: Vec<String> = values.collect();
    let table = text::table(backend, &shape.table);
    let sql = format!("SELECT {} FROM {table} {which}", values.join(", "));
    let rows = source.query(&sql).map_err(|source| RowsError::Database {
        table: shape.table.clone(),
        source: Box::new(source),
    })?;
    let text = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
    Ok(rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect())
}

/// Writes the condition that columns hold one of some keys.
fn among(backend: Backend, columns: &[String], keys: &BTreeSet<Literals>) -> String {
    let quoted: Vec<String> = columns.iter().map(|name| text::quote(backend, name)).collect();
    let conditions: Vec<String> = keys
        .iter()
        .map(|key| {
            let terms = quoted.iter().zip(key).map(|(name, value)| format!("{name} = {value}"));
            format!("({})", terms.collect::<Vec<_>>().join(" AND "))
        })
        .collect();
    format!("WHERE {}", conditions.join(" OR "))
}
