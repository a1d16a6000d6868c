//! Rows for any existing table, from what the catalog says of it.
//!
//! [`Rows::of`] reads columns, types, keys, unique indexes, foreign keys and checks of a table and
//! of every table that it references, and finds out by trying which values the server takes; the
//! tries are rolled back. After that rows are made without asking again: the same literals for the
//! same number, on every machine. A column that takes NULL holds it in some rows, the second among
//! them, and a value in others, the first among them.
//!
//! ```no_run
//! use newcol_core::db::{DatabaseUrl, OpenOptions, Session};
//! use newcol_testkit::{Rows, ScratchDb};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let db = ScratchDb::sqlite()?;
//! db.run(&["CREATE TABLE users (id INTEGER PRIMARY KEY, mail TEXT NOT NULL UNIQUE)"])?;
//! let mut session = Session::open(&DatabaseUrl::parse(db.url())?, &OpenOptions::write())?;
//! let users = Rows::of(&mut session, &"users".parse()?)?;
//! users.prepare(&mut session, 1)?;
//! session.batch(&format!("INSERT INTO users VALUES ({})", users.literals(1)?.join(", ")))?;
//! # Ok(())
//! # }
//! ```
//!
//! No row of the user's is changed or copied; rows that are there are only referenced, and only
//! where none can be made. Nothing here knows what a value means to an application.

mod candidates;
mod copy;
mod domain;
mod error;
mod gaps;
mod graph;
mod insert;
mod new_column;
mod number;
mod probe;
mod recipe;
mod shape;
mod tokens;

use newcol_core::{
    backend::Backend,
    db::Session,
    ident::{Ident, TableName},
};

pub(crate) use self::copy::copy;
pub use self::{error::RowsError, new_column::NewColumn};
use self::{number::Row, probe::Nulls, recipe::Recipes};

/// Rows of one table, by number.
#[derive(Debug, Clone)]
pub struct Rows {
    recipes: Recipes,
    columns: Vec<Ident>,
    key: Vec<Ident>,
}

impl Rows {
    /// Reads the shape of a table and of every table that it references, directly or not, and tries
    /// rows of them.
    ///
    /// The session must be allowed to write and must not be in a transaction: the tries are in one
    /// of their own, which is rolled back. Tables of engines without transactions (MyISAM) keep
    /// them, so this is for throwaway databases.
    ///
    /// Fails where a table cannot be read, or no row of it can be found that the server takes.
    pub fn of(session: &mut Session, table: &TableName) -> Result<Self, RowsError> {
        let recipes = rolled_back(session, table, |session| {
            graph::settle(session, table, Nulls::InSomeRows)
        })?;
        let mut rows = Self { recipes, columns: Vec::new(), key: Vec::new() };
        if let Some(recipe) = rows.recipes.tables.last() {
            let name = |column: usize| recipe.shape.columns[column].name.clone();
            rows.columns = recipe.settable().map(name).collect();
            rows.key = recipe.shape.key.iter().copied().map(name).collect();
        }
        Ok(rows)
    }

    /// Columns that an insert must or may set, in table order: not those that are computed, and not
    /// identities that are ALWAYS generated.
    pub fn columns(&self) -> &[Ident] {
        &self.columns
    }

    /// Columns of the primary key; empty without one.
    pub fn key(&self) -> &[Ident] {
        &self.key
    }

    /// Returns the SQL of row `n` for [`Self::columns`], in that order: literals, and defaults of
    /// columns for which no value is known.
    ///
    /// It stands in `VALUES` or `SET`. Rows differ in their key and in every unique column; the
    /// same number gives the same row. Numbers start at 1; what row 0 would be is the parent that
    /// other rows share. Fails where a unique column has no values left.
    pub fn literals(&self, n: u64) -> Result<Vec<String>, RowsError> {
        self.changed(n, 0)
    }

    /// Returns row `n` after its `revision`-th change: key, foreign keys and unique columns as they
    /// were, the others different from the revision before where their type and checks have another
    /// value. Revision 0 is the row as inserted.
    pub fn changed(&self, n: u64, revision: u64) -> Result<Vec<String>, RowsError> {
        let row = Row { revision, ..Row::new(n) };
        let at = self.at();
        let columns = self.columns.iter();
        let columns = columns
            .filter_map(|name| shape::index(&self.recipes.tables[at].shape.columns, name.as_str()));
        columns.map(|column| self.recipes.literal(at, column, row)).collect()
    }

    /// Returns the SQL condition that only row `n` meets: its key or, where the server counts that
    /// by itself, another unique index. `None` for a table without either. Fails as
    /// [`Self::literals`] does.
    pub fn condition(&self, n: u64) -> Result<Option<String>, RowsError> {
        insert::place(&self.recipes, self.at(), Row::new(n))
    }

    /// Inserts what row `n` refers to, where it is missing: parents, and what they refer to.
    ///
    /// Fails where the database has changed such that it no longer takes what [`Self::of`] found.
    pub fn prepare(&self, session: &mut Session, n: u64) -> Result<(), RowsError> {
        insert::prepare(session, &self.recipes, self.at(), Row::new(n))
    }

    /// Makes rows that hold NULL only where the table takes nothing else.
    #[must_use]
    pub fn without_nulls(mut self) -> Self {
        let at = self.at();
        self.recipes.tables[at].gaps = Vec::new();
        self
    }

    /// Leaves a column out of [`Self::columns`], as code does that was written before the column
    /// was there.
    #[must_use]
    pub fn without(mut self, column: &Ident) -> Self {
        self.columns.retain(|name| name != column);
        self
    }

    /// The wished table stands after all its parents.
    fn at(&self) -> usize {
        self.recipes.tables.len() - 1
    }
}

/// Tries something in a transaction, and undoes it.
fn rolled_back<T>(
    session: &mut Session,
    table: &TableName,
    work: impl FnOnce(&mut Session) -> Result<T, RowsError>,
) -> Result<T, RowsError> {
    let failed = |source| RowsError::Database { table: table.clone(), source: Box::new(source) };
    // What is checked at the end of a transaction would never be checked in one that is undone.
    session
        .batch(match session.backend() {
            Backend::Postgres => "BEGIN; SET CONSTRAINTS ALL IMMEDIATE",
            Backend::Mysql | Backend::Sqlite => "BEGIN",
        })
        .map_err(failed)?;
    let done = work(session);
    let undone = session.batch("ROLLBACK").map_err(failed);
    let value = done?;
    undone.map(|()| value)
}
