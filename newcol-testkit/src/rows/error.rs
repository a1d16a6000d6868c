//! Why no rows can be made.

use std::error::Error;

use newcol_core::{
    db::{DbError, facts::FactsError},
    ident::{Ident, IdentError, TableName},
};

use crate::values::ValueError;

/// Why rows of a table cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The table, or one that it references, could not be read.
    #[error("could not read what a row needs")]
    Facts {
        /// What is wrong, with the table's name.
        source: Box<FactsError>,
    },
    /// A question to the catalog, or a statement around our tries, failed.
    #[error("could not learn what a row of `{table}` needs")]
    Database {
        /// The table.
        table: TableName,
        /// What went wrong.
        source: Box<DbError>,
    },
    /// The catalog holds a name that we refuse.
    #[error("could not read a name of `{table}`")]
    Name {
        /// The table.
        table: TableName,
        /// Why it is refused.
        source: IdentError,
    },
    /// A column that needs a value has a type without any that we know.
    #[error("no value is known for `{table}.{column}`")]
    Type {
        /// The table.
        table: TableName,
        /// The column.
        column: Ident,
        /// Why not.
        source: ValueError,
    },
    /// No row that we can make is taken: checks, triggers, or rows that are there already.
    #[error("{} takes no row that could be made", place(table, column.as_ref()))]
    Refused {
        /// The table.
        table: TableName,
        /// The column that the server named, if any.
        column: Option<Ident>,
        /// What the server said to the most promising row.
        source: Box<DbError>,
    },
    /// A table that a row must refer to has no row, and none could be made.
    #[error("there is no row of `{table}` to refer to")]
    Parent {
        /// The table.
        table: TableName,
        /// Why none could be made.
        source: Box<Self>,
    },
    /// A unique column has too few values.
    #[error("`{table}.{column}` has distinct values for no more than {}", count(*rows))]
    Exhausted {
        /// The table.
        table: TableName,
        /// The column.
        column: Ident,
        /// How many rows there can be.
        rows: u64,
    },
    /// Every row needs another row first.
    #[error("rows of {} need each other first", list(tables))]
    Cycle {
        /// The tables, in the order of their references.
        tables: Vec<TableName>,
    },
}

impl RowsError {
    /// Returns the way out where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Facts { source } => source.hint(),
            Self::Database { source, .. } => source.hint(),
            Self::Name { .. } => None,
            Self::Exhausted { rows, .. } => Some(format!("ask for no higher row than {rows}")),
            Self::Parent { .. } => {
                Some("copy rows of a database that has some: `--sample-from <URL>`".to_owned())
            }
            Self::Type { .. } | Self::Refused { .. } | Self::Cycle { .. } => Some(
                "give your application's own code to the test that `cargo newcol add` writes"
                    .to_owned(),
            ),
        }
    }

    /// Finds the error of this kind among another one and its causes.
    pub(crate) fn among<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        error.downcast_ref().or_else(|| error.source().and_then(Self::among))
    }

    /// Says of why a table has no row that another one needs it.
    pub(super) fn of_parent(self, table: &TableName) -> Self {
        match self {
            Self::Type { .. } | Self::Refused { .. } | Self::Exhausted { .. } => {
                Self::Parent { table: table.clone(), source: Box::new(self) }
            }
            Self::Facts { .. }
            | Self::Database { .. }
            | Self::Name { .. }
            | Self::Cycle { .. }
            | Self::Parent { .. } => self,
        }
    }
}

fn place(table: &TableName, column: Option<&Ident>) -> String {
    match column {
        Some(column) => format!("`{table}`, column `{column}`,"),
        None => format!("`{table}`"),
    }
}

fn count(rows: u64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}

fn list(tables: &[TableName]) -> String {
    let names: Vec<String> = tables.iter().map(|table| format!("`{table}`")).collect();
    names.join(", ")
}
