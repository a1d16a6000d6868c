//! Why no rows can be made.

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
    /// A unique column has too few values.
    #[error("`{table}.{column}` has distinct values for {rows} rows only")]
    Exhausted {
        /// The table.
        table: TableName,
        /// The column.
        column: Ident,
        /// How many rows there can be.
        rows: u64,
    },
    /// Every row needs another row first.
    #[error("rows of {} need each other first: none can be the first", list(tables))]
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
            Self::Exhausted { rows, .. } => Some(format!("ask for at most {rows} rows")),
            Self::Type { .. } | Self::Refused { .. } | Self::Cycle { .. } => {
                Some("take rows of a database that has some: `--sample-from <URL>`".to_owned())
            }
        }
    }
}

fn place(table: &TableName, column: Option<&Ident>) -> String {
    match column {
        Some(column) => format!("`{table}`, column `{column}`,"),
        None => format!("`{table}`"),
    }
}

fn list(tables: &[TableName]) -> String {
    let names: Vec<String> = tables.iter().map(|table| format!("`{table}`")).collect();
    names.join(", ")
}
