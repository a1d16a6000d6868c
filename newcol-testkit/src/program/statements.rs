//! Code made up from the table alone: the statements that Diesel would send for structs with every
//! column the release knows, prepared once per session as Diesel prepares them.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use newcol_core::{
    backend::Backend,
    contract::{Contract, SqlType},
    db::{DbError, Row, Session},
    ident::{Ident, TableName},
    plan::{
        Plan,
        facts::{ColumnFacts, Volatility},
        volatility::judge,
    },
    render::text,
};

use super::{ActError, Operation, Program, Running, Said};
use crate::{
    life::{self, LifeError},
    matrix::{Side, equals},
    rows::{NewColumn, Rows, RowsError},
    scratch::BoxError,
};

/// Why no code could be made up.
#[derive(Debug, thiserror::Error)]
pub enum StatementsError {
    /// The database could not be looked at.
    #[error(transparent)]
    Life(#[from] LifeError),
    /// No rows could be made for the table.
    #[error(transparent)]
    Rows(#[from] RowsError),
}

impl StatementsError {
    /// Returns the way out where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Life(error) => error.hint(),
            Self::Rows(error) => error.hint(),
        }
    }
}

/// How often each row has been changed, by whichever release: the next change must be another.
#[derive(Debug, Clone, Default)]
pub struct Changes(Arc<Mutex<HashMap<u64, u64>>>);

impl Changes {
    fn counts(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Made-up code of one release.
#[derive(Debug)]
pub struct Statements {
    changes: Changes,
    backend: Backend,
    table: TableName,
    rows: Rows,
    /// Every column that the release reads.
    reads: Vec<Ident>,
    /// The new column, where the release knows it.
    column: Option<Written>,
}

/// How the new column is written.
#[derive(Debug)]
struct Written {
    name: Ident,
    ty: Option<SqlType>,
    /// Its values; `None` where the server refuses any, or the sample would break a promise.
    values: Option<Values>,
}

/// Where values of the new column come from.
#[derive(Debug)]
enum Values {
    /// One expression, because not every value is allowed.
    Always { sql: String, volatility: Volatility },
    /// A sample of the type.
    Sample(Box<NewColumn>),
}

impl Values {
    /// How far the values of a row are from those of its other columns: what the fill makes of them
    /// would pass for what the release has written.
    const APART: u64 = 7;

    fn literal(&self, row: u64, revision: u64) -> Result<String, RowsError> {
        match self {
            Self::Always { sql, .. } => Ok(sql.clone()),
            Self::Sample(values) => values.changed(row + Self::APART, revision),
        }
    }

    /// Inserts what the value of a row refers to.
    fn prepare(&self, session: &mut Session, row: u64) -> Result<(), RowsError> {
        match self {
            Self::Always { .. } => Ok(()),
            Self::Sample(values) => values.prepare(session, row + Self::APART),
        }
    }
}

impl Statements {
    /// Makes up the code of a side, on a database without the column. Releases that meet on one
    /// table share their changes.
    pub fn of(
        plan: &Plan,
        side: Side,
        url: &str,
        changes: &Changes,
    ) -> Result<Self, StatementsError> {
        let (contract, backend) = (&plan.contract, plan.backend());
        let mut session = life::open(url)?;
        let mut rows = Rows::of(&mut session, contract.table())?;
        let replaced = contract.answers().replaces.as_ref().map(|r| &r.column);
        let is_read =
            |column: &&ColumnFacts| side != Side::Relying || Some(&column.name) != replaced;
        let known = plan.facts.columns.iter().filter(|c| c.name != *contract.column());
        let mut reads: Vec<Ident> = known.filter(is_read).map(|c| c.name.clone()).collect();
        let mut column = None;
        if side != Side::Old {
            if let Some(replaced) = replaced {
                rows = rows.without(replaced);
            }
            let values = values(contract, backend, &mut session)?;
            column = Some(Written {
                name: contract.column().clone(),
                ty: contract.sql_type(backend).cloned(),
                values,
            });
            reads.push(contract.column().clone());
        }
        let changes = changes.clone();
        Ok(Self { changes, backend, table: contract.table().clone(), rows, reads, column })
    }

    /// Returns the columns that the release writes.
    fn writes(&self) -> Vec<&Ident> {
        let column = self.column.as_ref().filter(|c| c.values.is_some()).map(|c| &c.name);
        self.rows.columns().iter().chain(column).collect()
    }

    /// Returns what the release writes into a row after so many changes.
    fn literals(&self, row: u64, revision: u64) -> Result<Vec<String>, RowsError> {
        let mut literals = self.rows.changed(row, revision)?;
        if let Some(values) = self.column.as_ref().and_then(|column| column.values.as_ref()) {
            literals.push(values.literal(row, revision)?);
        }
        Ok(literals)
    }

    /// Inserts what a row refers to.
    fn prepare(&self, session: &mut Session, row: u64) -> Result<(), RowsError> {
        self.rows.prepare(session, row)?;
        match self.column.as_ref().and_then(|column| column.values.as_ref()) {
            Some(values) => values.prepare(session, row),
            None => Ok(()),
        }
    }

    /// Returns the literals of a row's key.
    fn key_of(&self, row: u64) -> Result<Vec<String>, RowsError> {
        let literals = self.rows.literals(row)?;
        let place = |name: &Ident| self.rows.columns().iter().position(|c| c == name);
        let places = self.rows.key().iter().filter_map(place);
        Ok(places.map(|at| literals[at].clone()).collect())
    }

    /// Puts a row's literals into the order of an update: what changes, then the key.
    fn changing_then_key(&self, literals: Vec<String>) -> Vec<String> {
        let key = self.rows.key();
        let writes = self.writes();
        let (keys, mut rest): (Vec<_>, Vec<_>) =
            writes.iter().zip(literals).partition(|(name, _)| key.contains(name));
        let place = |name: &Ident| key.iter().position(|k| k == name);
        let mut keys = keys;
        keys.sort_by_key(|(name, _)| place(name));
        rest.extend(keys);
        rest.into_iter().map(|(_, literal)| literal).collect()
    }

    /// Quotes as Diesel does: in SQLite a name in double quotes that is no column's is a text.
    fn name(&self, name: &Ident) -> String {
        match self.backend {
            Backend::Postgres | Backend::Mysql => text::name(self.backend, name),
            Backend::Sqlite => format!("`{}`", name.as_str().replace('`', "``")),
        }
    }

    fn names<'a>(&self, names: impl IntoIterator<Item = &'a Ident>) -> String {
        names.into_iter().map(|name| self.name(name)).collect::<Vec<_>>().join(", ")
    }

    /// Returns the statement of an operation, given what stands in its holes.
    fn statement(&self, operation: Operation, hole: &dyn Fn(usize) -> String) -> String {
        let table = text::table(self.backend, &self.table);
        let writes = self.writes();
        let mut count = 0;
        let mut next = || {
            count += 1;
            hole(count - 1)
        };
        let mut equal = |names: &[&Ident], between| {
            let terms = names.iter().map(|name| format!("{} = {}", self.name(name), next()));
            terms.collect::<Vec<_>>().join(between)
        };
        let key: Vec<&Ident> = self.rows.key().iter().collect();
        match operation {
            Operation::Insert | Operation::BatchInsert | Operation::Upsert => {
                let rows = if operation == Operation::BatchInsert { 2 } else { 1 };
                let tuples: Vec<String> = (0..rows)
                    .map(|_| {
                        let values: Vec<String> = writes.iter().map(|_| next()).collect();
                        format!("({})", values.join(", "))
                    })
                    .collect();
                let columns = self.names(writes.iter().copied());
                let upsert = match operation {
                    Operation::Upsert => self.upsert(&writes),
                    _ => String::new(),
                };
                format!("INSERT INTO {table} ({columns}) VALUES {}{upsert}", tuples.join(", "))
            }
            Operation::Update => {
                let sets = equal(&self.changing(&writes), ", ");
                format!("UPDATE {table} SET {sets} WHERE {}", equal(&key, " AND "))
            }
            Operation::Read => {
                let columns = self.names(&self.reads);
                format!("SELECT {columns} FROM {table} WHERE {}", equal(&key, " AND "))
            }
            Operation::List => format!("SELECT {} FROM {table}", self.names(&self.reads)),
            Operation::Delete => format!("DELETE FROM {table} WHERE {}", equal(&key, " AND ")),
        }
    }

    /// Returns the columns that an update sets: all but the key.
    fn changing<'a>(&self, writes: &[&'a Ident]) -> Vec<&'a Ident> {
        writes.iter().copied().filter(|name| !self.rows.key().contains(name)).collect()
    }

    fn upsert(&self, writes: &[&Ident]) -> String {
        let sets = |value: &dyn Fn(&str) -> String| {
            let set = |name: &&Ident| {
                let name = self.name(name);
                format!("{name} = {}", value(&name))
            };
            self.changing(writes).iter().map(set).collect::<Vec<_>>().join(", ")
        };
        match self.backend {
            Backend::Postgres | Backend::Sqlite => format!(
                " ON CONFLICT ({}) DO UPDATE SET {}",
                self.names(self.rows.key()),
                sets(&|name| format!("excluded.{name}"))
            ),
            Backend::Mysql => {
                format!(" ON DUPLICATE KEY UPDATE {}", sets(&|name| format!("VALUES({name})")))
            }
        }
    }
}

/// Chooses the values of the new column: samples of its type, unless a constraint or the server
/// leaves only the contract's own expression.
fn values(
    contract: &Contract,
    backend: Backend,
    session: &mut Session,
) -> Result<Option<Values>, StatementsError> {
    let answers = contract.answers();
    let Some(ty) = contract.sql_type(backend) else { return Ok(None) };
    if answers.generated.get(backend).is_some() {
        return Ok(None);
    }
    let own = contract.default(backend).or_else(|| {
        // An expression over the row says nothing outside of one.
        let fill = contract.sql_fill(backend)?;
        let columns = newcol_core::plan::volatility::column_refs(fill, backend)?;
        columns.is_empty().then_some(fill)
    });
    if answers.check.get(backend).is_some() {
        return Ok(own.map(|expr| Values::Always {
            sql: format!("({expr})"),
            volatility: judge(expr, backend),
        }));
    }
    let parent = answers.references.as_ref().map(|r| (&r.table, &r.column));
    let values = NewColumn::of(session, contract.path(), ty.as_str(), parent)?;
    let unique = answers.index.as_ref().is_some_and(|i| i.uniqueness.refuses_duplicates());
    Ok(Some(Values::Sample(Box::new(if unique { values.distinct() } else { values }))))
}

impl Program for Statements {
    fn can(&self, operation: Operation) -> bool {
        // A key that the server alone hands out is not known to us.
        let keyed = !self.rows.key().is_empty()
            && self.rows.key().iter().all(|name| self.rows.columns().contains(name));
        match operation {
            Operation::Insert | Operation::BatchInsert | Operation::List => true,
            Operation::Read | Operation::Delete => keyed,
            Operation::Upsert => keyed && !self.changing(&self.writes()).is_empty(),
            // Where keys are all there is, nothing changes.
            Operation::Update => {
                let literals = |revision| self.literals(1, revision).ok();
                keyed && literals(1) != literals(2)
            }
        }
    }

    fn open(&self, url: &str) -> Result<Box<dyn Running + '_>, BoxError> {
        let session = life::open(url)?;
        Ok(Box::new(Prepared { session, code: self, prepared: HashSet::new() }))
    }

    fn forget(&self, _row: u64) {}
}

/// A session of made-up code.
struct Prepared<'a> {
    session: Session,
    code: &'a Statements,
    prepared: HashSet<Operation>,
}

impl Running for Prepared<'_> {
    fn act(&mut self, operation: Operation, rows: &[u64]) -> Result<Vec<Said>, ActError> {
        match operation {
            Operation::List => {
                self.run(operation, &[]).map_err(failed)?;
                Ok(Vec::new())
            }
            Operation::Insert | Operation::BatchInsert => {
                let mut values = Vec::new();
                for row in rows {
                    self.code.prepare(&mut self.session, *row).map_err(failed)?;
                    values.extend(self.code.literals(*row, 0).map_err(failed)?);
                }
                self.run(operation, &values).map_err(failed)?;
                rows.iter().try_for_each(|row| self.check(*row, 0))?;
                Ok(Vec::new())
            }
            Operation::Update | Operation::Upsert => {
                for row in rows {
                    let change = self.code.changes.counts().get(row).map_or(1, |last| last + 1);
                    let written = self.code.literals(*row, change).map_err(failed)?;
                    let values = match operation {
                        Operation::Upsert => written,
                        _ => self.code.changing_then_key(written),
                    };
                    self.run(operation, &values).map_err(failed)?;
                    self.code.changes.counts().insert(*row, change);
                    self.check(*row, change)?;
                }
                Ok(Vec::new())
            }
            Operation::Read => rows.iter().map(|row| self.read(*row)).collect(),
            Operation::Delete => {
                for row in rows {
                    let key = self.code.key_of(*row).map_err(failed)?;
                    self.run(operation, &key).map_err(failed)?;
                }
                Ok(Vec::new())
            }
        }
    }
}

impl Prepared<'_> {
    /// Runs the prepared statement of an operation, preparing it at its first use.
    fn run(&mut self, operation: Operation, values: &[String]) -> Result<Vec<Row>, DbError> {
        let name = format!("newcol_{}", operation.name());
        match self.code.backend {
            Backend::Postgres => {
                if !self.prepared.contains(&operation) {
                    let sql = self.code.statement(operation, &|at| format!("${}", at + 1));
                    self.session.batch(&format!("PREPARE {name} AS {sql}"))?;
                    self.prepared.insert(operation);
                }
                let values = match values {
                    [] => String::new(),
                    values => format!("({})", values.join(", ")),
                };
                self.session.query(&format!("EXECUTE {name}{values}"))
            }
            Backend::Mysql => {
                if !self.prepared.contains(&operation) {
                    let sql = self.code.statement(operation, &|_| "?".to_owned());
                    let sql = sql.replace('\\', "\\\\").replace('\'', "''");
                    self.session.batch(&format!("PREPARE {name} FROM '{sql}'"))?;
                    self.prepared.insert(operation);
                }
                let mut using = Vec::new();
                for (at, value) in values.iter().enumerate() {
                    self.session.batch(&format!("SET @newcol_{at} = {value}"))?;
                    using.push(format!("@newcol_{at}"));
                }
                let using = match using.as_slice() {
                    [] => String::new(),
                    names => format!(" USING {}", names.join(", ")),
                };
                self.session.query(&format!("EXECUTE {name}{using}"))
            }
            // It prepares every statement anew once the schema has changed.
            Backend::Sqlite => {
                let sql = self.code.statement(operation, &|at| values[at].clone());
                self.session.query(&sql)
            }
        }
    }

    /// Reads a row; that what is read is what is there goes without saying, as text from one engine.
    fn read(&mut self, row: u64) -> Result<Said, ActError> {
        let key = self.code.key_of(row).map_err(failed)?;
        if self.run(Operation::Read, &key).map_err(failed)?.is_empty() {
            let (expected, found) = ("the row".to_owned(), "nothing".to_owned());
            return Err(ActError::Different { expected, found });
        }
        Ok(Said::Nothing)
    }

    /// Asks whether the new column holds what was written into a row.
    fn check(&mut self, row: u64, revision: u64) -> Result<(), ActError> {
        let Some(Written { name, values: Some(values), ty, .. }) = &self.code.column else {
            return Ok(());
        };
        // Asked again, it yields something else.
        if matches!(values, Values::Always { volatility, .. } if *volatility != Volatility::Immutable)
        {
            return Ok(());
        }
        let key = self.code.key_of(row).map_err(failed)?;
        if key.is_empty() || key.len() < self.code.rows.key().len() {
            return Ok(());
        }
        let backend = self.code.backend;
        let written = values.literal(row, revision).map_err(failed)?;
        let columns = self.code.rows.key().iter().zip(&key);
        let of_row = columns.map(|(name, value)| format!("{} = {value}", self.code.name(name)));
        let sql = format!(
            "SELECT {} FROM {} WHERE {} AND NOT ({})",
            self.code.name(name),
            text::table(backend, &self.code.table),
            of_row.collect::<Vec<_>>().join(" AND "),
            equals(backend, name, ty.as_ref().map(SqlType::as_str), &written),
        );
        match self.session.query(&sql).map_err(failed)?.into_iter().next() {
            Some(found) => Err(ActError::Different {
                expected: written,
                found: found.into_iter().next().flatten().unwrap_or_else(|| "NULL".to_owned()),
            }),
            None => Ok(()),
        }
    }
}

fn failed(error: impl Into<BoxError>) -> ActError {
    ActError::Failed(error.into())
}
