//! The property of a column: what is written comes back equal or is refused, never silently
//! changed.
//!
//! A test gives the column and its own ways to write and read it through Diesel; [`Roundtrip`]
//! draws values ([`ColumnValue`]), a batch per case, and asks three witnesses of each:
//!
//! 1. the value read back through the same mapping, and through every other [reader] (the old
//!    `schema.rs`, an older struct);
//! 2. the column's text as plain SQL shows it, against the text of the same value written as an
//!    SQL literal;
//! 3. the other way round, a literal written by plain SQL, read through Diesel and written again,
//!    must leave the same text.
//!
//! Sessions speak New York time and refuse zero dates, so that what depends on either shows. Each
//! batch is rolled back: one database serves a whole property. A change that is meant is declared
//! ([`Roundtrip::lossy`], [`Roundtrip::known`]); any other fails, shrunk to one row, with a test to
//! keep.
//!
//! ```no_run
//! # #[cfg(feature = "sqlite")] mod doc {
//! use diesel::prelude::*;
//! use newcol_core::backend::Product;
//! use newcol_testkit::{
//!     roundtrip::{Column, Roundtrip},
//!     values::ColumnType,
//! };
//!
//! diesel::table! { users (id) { id -> BigInt, bio -> Text, } }
//!
//! # fn test(conn: &mut SqliteConnection) {
//! let column = Column {
//!     table: "users",
//!     id: "id",
//!     name: "bio",
//!     ty: ColumnType::new(Product::Sqlite, "TEXT"),
//! };
//! Roundtrip::<SqliteConnection, String>::new(
//!     column,
//!     |conn, rows| {
//!         let rows: Vec<_> = rows.iter().map(|(i, b)| (users::id.eq(i), users::bio.eq(b))).collect();
//!         diesel::insert_into(users::table).values(rows).execute(conn)
//!     },
//!     |conn| users::table.load(conn),
//! )
//! .unwrap()
//! .check(conn);
//! # }
//! # }
//! ```
//!
//! [reader]: Roundtrip::reader

mod attempt;
mod ready;
mod session;
mod verdict;

use std::collections::HashMap;

use diesel::{
    Connection, QueryResult, RunQueryDsl, connection::LoadConnection, query_builder::SqlQuery,
    query_dsl::LoadQuery,
};
use proptest::{
    strategy::{BoxedStrategy, Strategy, ValueTree},
    test_runner::{Config, TestRunner},
};

pub use self::attempt::TextRow;
pub use self::verdict::{At, Changed, How, Report, RoundtripError, Verdict};
use crate::values::{self, ColumnType, ColumnValue, Loss, SqlValue, ValueError};

/// A column and its table; names stand as in SQL, quoted where they need it.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    /// The table; empty, apart from the property's rows.
    pub table: &'a str,
    /// Its key, a number.
    pub id: &'a str,
    /// The column.
    pub name: &'a str,
    /// The column's type.
    pub ty: ColumnType<'a>,
}

/// The property of one column, read and written as one Rust type.
pub struct Roundtrip<'a, C, T> {
    column: Column<'a>,
    strategy: BoxedStrategy<T>,
    literals: BoxedStrategy<SqlValue>,
    insert: Insert<'a, C, T>,
    load: Load<'a, C, T>,
    texts: fn(&mut C, &str) -> QueryResult<Vec<TextRow>>,
    readers: Vec<Reader<'a, C, T>>,
    losses: Vec<Loss>,
    known: Vec<&'static str>,
    cases: u32,
    batch: usize,
    /// What was refused alone; it would fail every batch that it is in.
    refused: HashMap<String, Verdict>,
}

type Insert<'a, C, T> = Box<dyn FnMut(&mut C, &[(i64, T)]) -> QueryResult<usize> + 'a>;
type Load<'a, C, T> = Box<dyn FnMut(&mut C) -> QueryResult<Vec<(i64, T)>> + 'a>;
/// Reads the table and returns, for each row given, what it read if that disagrees.
type Disagreements<'a, C, T> =
    Box<dyn FnMut(&mut C, &[(i64, T)]) -> QueryResult<Vec<Option<String>>> + 'a>;

/// The verdict on each value of a batch.
type Verdicts = Result<Vec<Verdict>, RoundtripError>;

/// Another way to read the column.
struct Reader<'a, C, T> {
    name: &'static str,
    ask: Disagreements<'a, C, T>,
    /// It has refused a value, so it is asked about few: each may have to be asked about alone.
    choosy: bool,
}

impl<'a, C, T> Roundtrip<'a, C, T>
where
    C: Connection + LoadConnection,
    T: ColumnValue,
    for<'q> SqlQuery: LoadQuery<'q, C, TextRow>,
{
    /// States the property of a column, given how Diesel writes rows of key and value and how it
    /// reads them all.
    ///
    /// Fails where the type is unknown or has no values of the Rust type.
    pub fn new(
        column: Column<'a>,
        insert: impl FnMut(&mut C, &[(i64, T)]) -> QueryResult<usize> + 'a,
        load: impl FnMut(&mut C) -> QueryResult<Vec<(i64, T)>> + 'a,
    ) -> Result<Self, ValueError> {
        Ok(Self {
            column,
            strategy: T::strategy(&column.ty)?,
            literals: values::sql(&column.ty)?,
            insert: Box::new(insert),
            load: Box::new(load),
            texts: |conn, sql| diesel::sql_query(sql).load(conn),
            readers: Vec::new(),
            losses: Vec::new(),
            known: Vec::new(),
            // Read from `PROPTEST_CASES`, like every property's.
            cases: Config::default().cases,
            batch: 64,
            refused: HashMap::new(),
        })
    }

    /// Draws other values than those of the types.
    #[must_use]
    pub fn values(self, strategy: impl Strategy<Value = T> + 'static) -> Self {
        Self { strategy: strategy.boxed(), ..self }
    }

    /// Also reads the column in another way: by the mapping before or after a change of the
    /// schema. What it reads must agree with what was written, or be refused.
    #[must_use]
    pub fn reader<R: std::fmt::Debug>(
        mut self,
        name: &'static str,
        mut load: impl FnMut(&mut C) -> QueryResult<Vec<(i64, R)>> + 'a,
        agrees: impl Fn(&T, &R) -> bool + 'a,
    ) -> Self {
        let ask = move |conn: &mut C, rows: &[(i64, T)]| {
            let read: HashMap<i64, R> = load(conn)?.into_iter().collect();
            let disagreement = |(id, wrote): &(i64, T)| match read.get(id) {
                Some(read) if agrees(wrote, read) => None,
                Some(read) => Some(format!("{read:?}")),
                None => Some("no such row".to_owned()),
            };
            Ok(rows.iter().map(disagreement).collect())
        };
        self.readers.push(Reader { name, ask: Box::new(ask), choosy: false });
        self
    }

    /// Declares a loss as meant.
    #[must_use]
    pub fn lossy(mut self, loss: Loss) -> Self {
        self.losses.push(loss);
        self
    }

    /// Declares that an edge of plain SQL, by its name in [`values::edges`], is read as another
    /// value.
    #[must_use]
    pub fn known(mut self, edge: &'static str) -> Self {
        self.known.push(edge);
        self
    }

    /// Draws so many batches, instead of as many as `PROPTEST_CASES` says or 256.
    #[must_use]
    pub fn cases(self, cases: u32) -> Self {
        Self { cases, ..self }
    }

    /// Puts at most so many values into a batch, instead of 64.
    #[must_use]
    pub fn batch(self, batch: usize) -> Self {
        Self { batch: batch.clamp(1, 256), ..self }
    }

    /// Writes values by Diesel and literals by plain SQL, and fails the test at a silent change.
    ///
    /// # Panics
    ///
    /// At a silent change, with the smallest row that shows it and a test to keep; and when the
    /// database cannot be used.
    #[expect(clippy::panic, reason = "fails the calling test, which is its purpose")]
    pub fn check(mut self, conn: &mut C) -> Report {
        match self.run(conn) {
            Ok(report) => report,
            Err(error) => panic!("{error}"),
        }
    }

    /// Writes values by Diesel and literals by plain SQL.
    ///
    /// Fails at the first silent change, shrunk, and when the database cannot be used.
    pub fn run(&mut self, conn: &mut C) -> Result<Report, RoundtripError> {
        self.prepare(conn)?;
        let mut report = Report::default();
        let done =
            self.run_values(conn, &mut report).and_then(|()| self.run_literals(conn, &mut report));
        session::restore(conn, self.column.ty.product)?;
        done.map(|()| report)
    }

    /// Judges one value written by Diesel.
    pub fn judge(&mut self, conn: &mut C, value: &T) -> Result<Verdict, RoundtripError> {
        self.prepare(conn)?;
        let verdicts = self.judge_values(conn, std::slice::from_ref(value));
        session::restore(conn, self.column.ty.product)?;
        verdicts.map(Verdict::of_one)
    }

    /// Judges one literal written by plain SQL.
    pub fn judge_sql(&mut self, conn: &mut C, value: &SqlValue) -> Result<Verdict, RoundtripError> {
        self.prepare(conn)?;
        let verdicts = self.judge_literals(conn, std::slice::from_ref(value));
        session::restore(conn, self.column.ty.product)?;
        verdicts.map(Verdict::of_one)
    }

    fn prepare(&mut self, conn: &mut C) -> Result<(), RoundtripError> {
        self.refused.clear();
        session::prepare(conn, self.column.ty.product)
    }

    fn run_values(&mut self, conn: &mut C, report: &mut Report) -> Result<(), RoundtripError> {
        let strategy = self.strategy.clone();
        let found = self.find(conn, report, &strategy, |v| format!("{v:?}"), Self::judge_values)?;
        match found {
            Some((value, verdict)) => Err(self.changed(verdict, &value.rust(), None)),
            None => Ok(()),
        }
    }

    fn run_literals(&mut self, conn: &mut C, report: &mut Report) -> Result<(), RoundtripError> {
        let strategy = self.literals.clone();
        let found = self.find(conn, report, &strategy, |v| v.sql.clone(), Self::judge_literals)?;
        match found {
            Some((value, verdict)) => Err(self.changed(verdict, &value.sql, value.edge)),
            None => Ok(()),
        }
    }

    /// Draws batches until one holds a silent change, and shrinks that; else fills the report.
    fn find<V: Clone + std::fmt::Debug + 'static>(
        &mut self,
        conn: &mut C,
        report: &mut Report,
        strategy: &BoxedStrategy<V>,
        name: fn(&V) -> String,
        judge: fn(&mut Self, &mut C, &[V]) -> Verdicts,
    ) -> Result<Option<(V, Verdict)>, RoundtripError> {
        let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
        self.refused.clear();
        for case in 0..self.cases {
            let mut trees = self.draw(strategy, &mut runner, case)?;
            let values: Vec<V> = trees.iter().map(ValueTree::current).collect();
            let verdicts = judge(self, conn, &values)?;
            let Some(at) = verdicts.iter().position(Verdict::is_changed) else {
                report.add(values.iter().map(name), verdicts);
                if report.is_hopeless() {
                    return Err(RoundtripError::AllRefused { report: Box::new(report.clone()) });
                }
                continue;
            };
            let mut least = (values[at].clone(), verdicts[at].clone());
            shrink(&mut trees.swap_remove(at), |value| {
                let verdict = Verdict::of_one(judge(self, conn, std::slice::from_ref(value))?);
                let changed = verdict.is_changed();
                if changed {
                    least = (value.clone(), verdict);
                }
                Ok::<_, RoundtripError>(changed)
            })?;
            return Ok(Some(least));
        }
        Ok(None)
    }

    /// Draws the values of a case: the first ones are small, so that a mapping that is wrong for
    /// every value is found at once.
    fn draw<V: std::fmt::Debug + 'static>(
        &self,
        strategy: &BoxedStrategy<V>,
        runner: &mut TestRunner,
        case: u32,
    ) -> Result<Vec<Box<dyn ValueTree<Value = V>>>, RoundtripError> {
        let size = self.batch.min(1 << case.min(16));
        (0..size)
            .map(|_| strategy.new_tree(runner))
            .collect::<Result<_, _>>()
            .map_err(|reason| RoundtripError::Strategy { reason: reason.to_string() })
    }

    fn changed(&self, verdict: Verdict, wrote: &str, edge: Option<&'static str>) -> RoundtripError {
        let Verdict::Changed { read, how } = verdict else {
            return RoundtripError::Strategy { reason: "a change was not repeated".to_owned() };
        };
        let test = ready::test(&self.column, wrote, &how);
        let column = format!("{}.{}", self.column.table, self.column.name);
        let ty = self.column.ty.sql.to_owned();
        let wrote = wrote.to_owned();
        RoundtripError::Changed(Box::new(Changed { column, ty, wrote, edge, read, how, test }))
    }
}

/// Simplifies a value for as long as it still fails.
fn shrink<V: std::fmt::Debug, E>(
    tree: &mut Box<dyn ValueTree<Value = V>>,
    mut fails: impl FnMut(&V) -> Result<bool, E>,
) -> Result<(), E> {
    /// Enough for every number to be halved to its least.
    const STEPS: usize = 512;
    for _ in 0..STEPS {
        if !tree.simplify() {
            break;
        }
        while !fails(&tree.current())? {
            if !tree.complicate() {
                return Ok(());
            }
        }
    }
    Ok(())
}
