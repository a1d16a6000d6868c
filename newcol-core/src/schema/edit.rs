//! Edits a `schema.rs` as a change of the database would change what print-schema prints.
//!
//! Every edit reads the text, splices at the ranges found, and leaves all other bytes alone;
//! several edits are made one after the other. A file written by hand keeps its style: paths,
//! indentation, line endings, trailing commas, several columns on one line.

use super::{
    columns,
    diesel_toml::PrintSchemaConfig,
    error::SchemaError,
    joins,
    model::{SchemaFile, Table},
    types::{CustomType, DerivedType},
};
use crate::{
    backend::Product,
    ident::{Ident, TableName},
};

/// One change of a `schema.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaEdit {
    /// Declares a column, with the struct for its type if it needs one.
    AddColumn {
        /// The table.
        table: TableName,
        /// The column.
        column: NewColumn,
    },
    /// Removes a column with its `joinable!`, and the struct for its type if no other column has
    /// that type.
    DropColumn {
        /// The table.
        table: TableName,
        /// The column.
        column: Ident,
    },
    /// Turns `T` into `Nullable<T>`.
    SetNullable {
        /// The table.
        table: TableName,
        /// The column.
        column: Ident,
    },
    /// Turns `Nullable<T>` into `T`.
    SetNotNull {
        /// The table.
        table: TableName,
        /// The column.
        column: Ident,
    },
    /// Takes over the column's comment in the database, as far as `with_docs` prints it.
    SetDocs {
        /// The table.
        table: TableName,
        /// The column.
        column: Ident,
        /// The comment; `None` if there is none.
        docs: Option<String>,
    },
    /// Takes over a new foreign key of one column to the key of another table.
    ///
    /// As in print-schema, a second foreign key between two tables removes the `joinable!` of the
    /// first, and nothing is written for a table that references itself, a table that is not in
    /// the file, or one with a key of several columns.
    AddJoinable {
        /// The table with the foreign key.
        child: TableName,
        /// Its column.
        column: Ident,
        /// The table it points to.
        parent: TableName,
    },
    /// Takes over that a foreign key is gone.
    RemoveJoinable {
        /// The table with the foreign key.
        child: TableName,
        /// Its column.
        column: Ident,
        /// The table it pointed to.
        parent: TableName,
    },
    /// Lets two tables appear in one query, unless they may already. For files written by hand:
    /// in generated ones, `AddJoinable` does what print-schema does.
    AllowTogether {
        /// One table.
        first: TableName,
        /// The other table.
        second: TableName,
    },
    /// Removes an `allow_tables_to_appear_in_same_query!` of exactly these two tables.
    ForbidTogether {
        /// One table.
        first: TableName,
        /// The other table.
        second: TableName,
    },
}

/// A column to be declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewColumn {
    /// Name in the database.
    pub name: Ident,
    /// Type in `table!`, such as `Nullable<Varchar>`.
    pub ty: String,
    /// Value of `#[max_length]`.
    pub max_length: Option<u64>,
    /// The column's comment in the database, printed as far as `with_docs` says.
    pub docs: Option<String>,
    /// Where it stands in the database.
    pub position: Position,
    /// The struct for its type, if print-schema defines one.
    pub custom: Option<CustomType>,
}

impl NewColumn {
    /// Returns a column of the type that does not allow NULL, last in its table.
    pub fn required(name: Ident, ty: &DerivedType) -> Self {
        Self {
            name,
            ty: ty.diesel.clone(),
            max_length: ty.max_length,
            docs: None,
            position: Position::Last,
            custom: ty.custom.clone(),
        }
    }

    /// Returns a column of the type that allows NULL, last in its table.
    pub fn optional(name: Ident, ty: &DerivedType) -> Self {
        Self { ty: ty.nullable(), ..Self::required(name, ty) }
    }
}

/// Where a column stands in the database; `column_sorting = "name"` overrides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// Behind all others.
    Last,
    /// Before all others (`FIRST`, MySQL only).
    First,
    /// Behind a column (`AFTER`, MySQL only).
    After(Ident),
}

/// What decides the form of the text beside the text itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Printer<'a> {
    /// Compares names in its own way when columns are sorted by name.
    pub(super) product: Product,
    pub(super) config: &'a PrintSchemaConfig,
}

/// Makes the edits in their order and returns the new text.
pub fn apply(
    source: &str,
    product: Product,
    config: &PrintSchemaConfig,
    edits: &[SchemaEdit],
) -> Result<String, SchemaError> {
    apply_read(source, None, product, config, edits)
}

/// Makes the edits in a text that has been read already, which is most of the work.
pub fn apply_read(
    source: &str,
    read: Option<&SchemaFile>,
    product: Product,
    config: &PrintSchemaConfig,
    edits: &[SchemaEdit],
) -> Result<String, SchemaError> {
    let printer = Printer { product, config };
    let [edit @ SchemaEdit::AddColumn { table, column }] = edits else {
        let mut text = source.to_owned();
        for edit in edits {
            text = printer.edit(&text, edit)?;
        }
        return readable(&text).map(|()| text);
    };
    // One column is what nearly every command adds.
    let parsed;
    let file = match read {
        Some(file) => file,
        None => {
            parsed = SchemaFile::parse(source)?;
            &parsed
        }
    };
    let text = match &column.custom {
        None => columns::add(&printer, source, file, table, column)?,
        Some(_) => printer.edit(source, edit)?,
    };
    let table = file.table(source, table)?;
    match changed_table(source, table, &text) {
        Some(excerpt) if readable(excerpt).is_ok() => Ok(text),
        Some(_) | None => readable(&text).map(|()| text),
    }
}

fn readable(text: &str) -> Result<(), SchemaError> {
    SchemaFile::parse(text)
        .map(drop)
        .map_err(|error| SchemaError::Unprintable { reason: error.to_string() })
}

/// Returns the new text of a table if nothing outside of it has changed: what is around it read
/// well before, so reading the table again is reading all of it.
fn changed_table<'t>(old: &str, table: &Table, new: &'t str) -> Option<&'t str> {
    let behind = old.get(table.range.end..)?;
    let end = new.len().checked_sub(behind.len())?;
    let excerpt = new.get(table.item..end)?;
    (new.get(..table.item) == old.get(..table.item) && new.get(end..) == Some(behind))
        .then_some(excerpt)
}

impl Printer<'_> {
    fn edit(&self, text: &str, edit: &SchemaEdit) -> Result<String, SchemaError> {
        match edit {
            SchemaEdit::AddColumn { table, column } => {
                columns::add(self, text, &SchemaFile::parse(text)?, table, column)
            }
            SchemaEdit::DropColumn { table, column } => columns::drop(self, text, table, column),
            SchemaEdit::SetNullable { table, column } => columns::set_nullable(text, table, column),
            SchemaEdit::SetNotNull { table, column } => columns::set_not_null(text, table, column),
            SchemaEdit::SetDocs { table, column, docs } => {
                columns::set_docs(self, text, table, column, docs.as_deref())
            }
            SchemaEdit::AddJoinable { child, column, parent } => {
                joins::add(self, text, child, column, parent)
            }
            SchemaEdit::RemoveJoinable { child, column, parent } => {
                joins::remove(self, text, child, column, parent)
            }
            SchemaEdit::AllowTogether { first, second } => joins::allow(text, first, second),
            SchemaEdit::ForbidTogether { first, second } => joins::forbid(text, first, second),
        }
    }
}

/// Reports whether print-schema wrote the file, so that its rules hold over those of style.
pub(super) fn is_generated(text: &str) -> bool {
    text.contains("@generated automatically by Diesel CLI")
}
