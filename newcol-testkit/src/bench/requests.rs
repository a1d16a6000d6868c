//! What users send: the statements of a workload, or made-up ones for any table.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use newcol_core::{
    backend::Backend,
    bench::{
        arrivals::Arrival,
        workload::{Template, Values, Workload},
    },
    db::Session,
    ident::{ColumnPath, Ident, TableName},
    render::text,
};

use super::{BenchError, drive::Requests};
use crate::{rows::Rows, scratch::error::chain};

/// Keys that made-up statements ask for.
const KEYS: usize = 5_000;

/// A statement of a workload: its place in the file, and its text.
type Filled = (usize, Template);

/// The statements of a workload, with values of the table.
pub(super) struct OfWorkload<'a, V> {
    workload: &'a Workload,
    templates: Vec<Filled>,
    values: Mutex<V>,
}

impl<'a, V: Values> OfWorkload<'a, V> {
    pub(super) fn new(
        workload: &'a Workload,
        backend: Backend,
        values: V,
    ) -> Result<Self, BenchError> {
        let template = |(at, statement): (usize, &newcol_core::bench::workload::Statement)| {
            Ok((at, statement.template(backend)?))
        };
        let templates = workload.statements.iter().enumerate().map(template);
        let templates = templates.collect::<Result<_, _>>().map_err(BenchError::Workload)?;
        Ok(Self { workload, templates, values: Mutex::new(values) })
    }
}

impl<V: Values + Send> Requests for OfWorkload<'_, V> {
    fn statements(&self) -> Vec<(String, f64)> {
        let named = |statement: &newcol_core::bench::workload::Statement| {
            (statement.name.clone(), statement.weight)
        };
        self.workload.statements.iter().map(named).collect()
    }

    fn sql(&self, arrival: &Arrival) -> Result<String, String> {
        let (at, template) = &self.templates[arrival.statement];
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let drawn = self.workload.statements[*at].draw(&mut *values);
        Ok(template.fill(&drawn.map_err(|error| chain(&error))?))
    }
}

/// Statements as an application has them that finds a row by its key, changes it, and adds rows.
pub(super) struct MadeUp {
    /// Name, weight, and what stands before and after the condition.
    statements: Vec<(&'static str, f64, Kind)>,
    table: String,
    /// Conditions of which each holds for one row.
    keys: Vec<String>,
    /// What an update changes, to what it was.
    touched: String,
    rows: Rows,
    columns: String,
    next: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Read,
    Update,
    Insert,
}

impl MadeUp {
    /// Makes them up for code that was written before the column was there; `rows` is the number of
    /// the last row that the table has.
    pub(super) fn new(
        session: &mut Session,
        column: &ColumnPath,
        rows: u64,
    ) -> Result<Self, BenchError> {
        let table = &column.table;
        let made = Rows::of(session, table)?.without_nulls().without(&column.column);
        let keys = keys(session, table, made.key())?;
        let mut statements = Vec::new();
        let backend = session.backend();
        let touched = made.columns().iter().find(|name| !made.key().contains(name));
        let touched = touched.map(|name| text::name(backend, name));
        if !keys.is_empty() {
            statements.push(("read by key", 70.0, Kind::Read));
            if touched.is_some() {
                statements.push(("update by key", 20.0, Kind::Update));
            }
        }
        let names: Vec<String> = made.columns().iter().map(|c| text::name(backend, c)).collect();
        let made_up = Self {
            statements,
            table: text::table(backend, table),
            keys,
            touched: touched.unwrap_or_default(),
            columns: names.join(", "),
            rows: made,
            next: AtomicU64::new(rows + 1),
        };
        made_up.with_inserts(session)
    }

    /// Inserts, too, where a row needs no parent of its own.
    fn with_inserts(mut self, session: &mut Session) -> Result<Self, BenchError> {
        let first = self.next.load(Ordering::Relaxed);
        self.rows.prepare(session, first)?;
        session.batch("BEGIN")?;
        let taken = (first..first + 2)
            .all(|n| self.insert(n, None).is_ok_and(|sql| session.batch(&sql).is_ok()));
        session.batch("ROLLBACK")?;
        if taken {
            self.statements.push(("insert", 10.0, Kind::Insert));
        }
        if self.statements.is_empty() { Err(BenchError::NothingToSend) } else { Ok(self) }
    }

    /// Returns the statement that inserts a row, with a value of a further column.
    pub(super) fn insert(
        &self,
        number: u64,
        more: Option<(&str, &str)>,
    ) -> Result<String, BenchError> {
        let (name, value) = more.map_or(("", ""), |more| more);
        let comma = if more.is_some() { ", " } else { "" };
        let literals = self.rows.literals(number)?.join(", ");
        Ok(format!(
            "INSERT INTO {} ({}{comma}{name}) VALUES ({literals}{comma}{value})",
            self.table, self.columns
        ))
    }

    /// Returns a number that no row has yet.
    pub(super) fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

impl Requests for MadeUp {
    fn statements(&self) -> Vec<(String, f64)> {
        self.statements.iter().map(|(name, weight, _)| ((*name).to_owned(), *weight)).collect()
    }

    fn sql(&self, arrival: &Arrival) -> Result<String, String> {
        let Self { table, touched, .. } = self;
        let key = || &self.keys[(arrival.draw % self.keys.len() as u64) as usize];
        match self.statements[arrival.statement].2 {
            Kind::Read => Ok(format!("SELECT * FROM {table} WHERE {}", key())),
            Kind::Update => Ok(format!("UPDATE {table} SET {touched} = {touched} WHERE {}", key())),
            Kind::Insert => self.insert(self.next(), None).map_err(|error| chain(&error)),
        }
    }
}

/// Returns conditions of rows from everywhere in the table.
fn keys(
    session: &mut Session,
    table: &TableName,
    key: &[Ident],
) -> Result<Vec<String>, BenchError> {
    if key.is_empty() {
        return Ok(Vec::new());
    }
    let backend = session.backend();
    let names: Vec<String> = key.iter().map(|name| text::name(backend, name)).collect();
    let literals = names.iter().map(|name| literal(backend, name)).collect::<Vec<_>>().join(", ");
    let order = match backend {
        Backend::Postgres => format!("hashtextextended(({})::text, 7)", names.join(", ")),
        Backend::Mysql => format!("crc32(concat_ws(',', {}))", names.join(", ")),
        Backend::Sqlite => "random()".to_owned(),
    };
    let rows = session.query(&format!(
        "SELECT {literals} FROM {} ORDER BY {order} LIMIT {KEYS}",
        text::table(backend, table)
    ))?;
    let condition = |row: Vec<Option<String>>| {
        let equal = names.iter().zip(row).map(|(name, value)| {
            format!("{name} = {}", value.unwrap_or_else(|| "NULL".to_owned()))
        });
        equal.collect::<Vec<_>>().join(" AND ")
    };
    Ok(rows.into_iter().map(condition).collect())
}

/// Returns the expression for the literal of a column's value.
pub(super) fn literal(backend: Backend, column: &str) -> String {
    match backend {
        Backend::Postgres => format!("quote_nullable({column}::text)"),
        Backend::Mysql | Backend::Sqlite => format!("quote({column})"),
    }
}
