//! What can be wrong with a `schema.rs` or with an edit of it, and where.

use std::{fmt, ops::Range};

use crate::ident::{Ident, TableName};

/// A place in a text: bytes for machines, line and column for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// Line of the first byte, from 1.
    pub line: usize,
    /// Column of the first byte in characters, from 1.
    pub column: usize,
}

impl Place {
    /// Returns the place of `range` in `text`; a range outside the text is moved to its end.
    pub fn new(text: &str, range: Range<usize>) -> Self {
        let mut start = range.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].trim_start_matches('\u{feff}').chars().count() + 1,
            range: start..range.end.clamp(start, text.len()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl SchemaError {
    /// Returns the place in the text, where the error has one.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Conflict { at }
            | Self::Syntax { at, .. }
            | Self::ColumnExists { at, .. }
            | Self::JoinableExists { at, .. } => Some(at),
            Self::TwoTables { second, .. } => Some(second),
            Self::TableMissing { .. }
            | Self::ColumnMissing { .. }
            | Self::ColumnReserved { .. }
            | Self::LastColumn { .. }
            | Self::JoinableMissing { .. }
            | Self::NotAType { .. }
            | Self::Unprintable { .. } => None,
        }
    }

    /// Returns the way out, as a sentence for a hint.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "resolve the merge first",
            Self::Syntax { .. } => "make the file compile first: `cargo check`",
            Self::TwoTables { .. } => {
                "keep one of them, or say which one with its schema: `schema.table.column`"
            }
            Self::TableMissing { .. } => {
                "create the table first, and let `diesel print-schema` write schema.rs"
            }
            Self::ColumnExists { .. } | Self::ColumnReserved { .. } => {
                "choose another name for the column"
            }
            Self::ColumnMissing { .. } | Self::JoinableMissing { .. } => {
                "bring schema.rs in line with the database first: `diesel print-schema`"
            }
            Self::LastColumn { .. } => "a table keeps at least one column",
            Self::JoinableExists { .. } => "remove it, or leave the foreign key out",
            Self::NotAType { .. } => "name a type of `diesel::sql_types` or a path to your own",
            Self::Unprintable { .. } => "choose a name that Rust can hold in a string",
        }
    }
}

/// Why a `schema.rs` could not be read or edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The file holds an unresolved merge.
    #[error("merge conflict marker at {at}")]
    Conflict {
        /// Place of the first marker.
        at: Place,
    },
    /// The text is not Rust, or a macro of Diesel's is not of the form that Diesel accepts.
    #[error("{message} at {at}")]
    Syntax {
        /// Place of the offending token.
        at: Place,
        /// What was expected or found.
        message: String,
    },
    /// Two `table!` of the file claim the name; we cannot know which one is meant.
    #[error("table `{table}` is declared twice, at {first} and {second}")]
    TwoTables {
        /// The table.
        table: TableName,
        /// Place of the first declaration.
        first: Place,
        /// Place of the second declaration.
        second: Place,
    },
    /// No `table!` of the file declares the table.
    #[error("no `table!` declares `{table}`")]
    TableMissing {
        /// The table.
        table: TableName,
    },
    /// The table has a column of this name, in SQL or in Rust.
    #[error("column `{column}` of `{table}` is already declared at {at}")]
    ColumnExists {
        /// The table.
        table: TableName,
        /// The column that was to be added.
        column: Ident,
        /// Place of the present one.
        at: Place,
    },
    /// The table has no such column.
    #[error("`table!` of `{table}` has no column `{column}`")]
    ColumnMissing {
        /// The table.
        table: TableName,
        /// The column.
        column: Ident,
    },
    /// `table!` generates an item of this name itself, so the schema would not compile, or reads
    /// the name as another one (`r#x` as `x`).
    #[error("`table!` of `{table}` cannot hold a column named `{column}`")]
    ColumnReserved {
        /// The table.
        table: TableName,
        /// The column.
        column: Ident,
    },
    /// The edit would remove the last column, which `table!` does not accept.
    #[error("`{column}` is the only column of `{table}`")]
    LastColumn {
        /// The table.
        table: TableName,
        /// The column.
        column: Ident,
    },
    /// The foreign key has its `joinable!` already.
    #[error("`joinable!` for `{child}.{column}` is already declared at {at}")]
    JoinableExists {
        /// The table with the foreign key.
        child: TableName,
        /// Its column.
        column: Ident,
        /// Place of the present one.
        at: Place,
    },
    /// No `joinable!` for the foreign key.
    #[error("no `joinable!` for `{child}.{column}`")]
    JoinableMissing {
        /// The table with the foreign key.
        child: TableName,
        /// Its column.
        column: Ident,
    },
    /// The type is not a Rust type path, so it cannot stand in `table!`.
    #[error("`{ty}` is not a Diesel type")]
    NotAType {
        /// The text given as type.
        ty: String,
    },
    /// The edited file would not be readable Rust, for example for a backslash in a name, which
    /// `diesel print-schema` writes without escaping it.
    #[error("edited schema is not valid Rust: {reason}")]
    Unprintable {
        /// What is wrong with it.
        reason: String,
    },
}
