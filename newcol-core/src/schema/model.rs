//! A `schema.rs` as data: what it declares, and the bytes of each declaration.

use std::ops::Range;

use super::error::{Place, SchemaError};
use crate::ident::{Ident, TableName};

/// What a `schema.rs` declares, in the order of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaFile {
    /// Every `table!`.
    pub tables: Vec<Table>,
    /// Every `joinable!` of the form `child -> parent (column)`.
    pub joinables: Vec<Joinable>,
    /// Every `allow_tables_to_appear_in_same_query!`.
    pub together: Vec<Together>,
    /// Every struct bound to a type of the database, in `sql_types` or elsewhere.
    pub stubs: Vec<Stub>,
    /// Every module named `sql_types`.
    pub stub_modules: Vec<StubModule>,
}

/// One `table!`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Name in Rust, as written.
    pub rust_name: String,
    /// Name in the database.
    pub sql_name: String,
    /// Schema written before the name.
    pub schema: Option<String>,
    /// Rust names of the key columns; `id` where none are written.
    pub primary_key: Vec<String>,
    /// The columns.
    pub columns: Vec<Column>,
    /// `use` lines inside the macro.
    pub uses: Vec<Use>,
    /// Attributes and doc comments inside the macro, before the name.
    pub attrs: Vec<Attr>,
    /// Text of the `cfg` attributes on the macro.
    pub cfgs: Vec<String>,
    /// Path before `table!`, such as `diesel::`.
    pub prefix: String,
    /// Path of the enclosing modules.
    pub module: Vec<String>,
    /// Bytes of the whole invocation, without the attributes on it.
    pub range: Range<usize>,
    /// First byte of the attributes on the invocation, or of the invocation.
    pub item: usize,
    /// Bytes between the braces of the macro.
    pub body: Range<usize>,
    /// First byte after the `use` lines: of an attribute, a doc comment or the name.
    pub header: usize,
    /// Bytes of the name.
    pub name_range: Range<usize>,
    /// Bytes between the braces around the columns.
    pub block: Range<usize>,
}

/// One column of a `table!`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name in Rust, as written.
    pub rust_name: String,
    /// Name in the database.
    pub sql_name: String,
    /// Type, as written.
    pub ty: String,
    /// Bytes of `T` if the type is `Nullable<T>`.
    pub nullable: Option<Range<usize>>,
    /// Value of `#[max_length]`.
    pub max_length: Option<u64>,
    /// Lines of the doc comment.
    pub docs: Vec<String>,
    /// Attributes and doc comments.
    pub attrs: Vec<Attr>,
    /// Bytes from the first attribute to the type, without the comma.
    pub range: Range<usize>,
    /// Bytes of the name.
    pub name_range: Range<usize>,
    /// Bytes of the type.
    pub ty_range: Range<usize>,
    /// Bytes of the comma.
    pub comma: Option<Range<usize>>,
}

/// An outer attribute or one line of a doc comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attr {
    /// First word of its path (`doc` for a doc comment).
    pub name: String,
    /// Literal after `=`.
    pub value: Option<String>,
    /// Bytes of the attribute.
    pub range: Range<usize>,
}

/// A `use` line inside `table!`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// What is imported, as written.
    pub path: String,
    /// Bytes of the line, with the semicolon.
    pub range: Range<usize>,
}

/// One `joinable!`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joinable {
    /// Rust name of the table with the foreign key.
    pub child: String,
    /// Rust name of the table it points to.
    pub parent: String,
    /// Rust name of its column.
    pub column: String,
    /// Path of the enclosing modules.
    pub module: Vec<String>,
    /// Path before `joinable!`.
    pub prefix: String,
    /// Bytes of the invocation, with the semicolon.
    pub range: Range<usize>,
}

/// One `allow_tables_to_appear_in_same_query!`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Together {
    /// Rust names of the tables.
    pub tables: Vec<String>,
    /// Path of the enclosing modules.
    pub module: Vec<String>,
    /// Path before the macro's name.
    pub prefix: String,
    /// Bytes of the invocation, with the semicolon.
    pub range: Range<usize>,
}

/// A struct that stands for a type of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stub {
    /// Name of the struct.
    pub rust_name: String,
    /// Path of the enclosing modules.
    pub module: Vec<String>,
    /// Bytes from the first attribute to the semicolon.
    pub range: Range<usize>,
}

/// A module named `sql_types`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StubModule {
    /// Path of the enclosing modules.
    pub module: Vec<String>,
    /// Lines of its doc comment.
    pub docs: Vec<String>,
    /// Bytes from the first attribute to the closing brace.
    pub range: Range<usize>,
    /// Bytes between the braces.
    pub inside: Range<usize>,
}

impl SchemaFile {
    /// Finds the one `table!` of a table by its name in the database.
    ///
    /// A schema that is given must be written in the macro, or be that of the enclosing module,
    /// or be `public`, which print-schema leaves out. A name without schema finds a table of the
    /// default schema first, then the only table of that name.
    pub fn table(&self, source: &str, name: &TableName) -> Result<&Table, SchemaError> {
        let wanted = name.schema.as_ref().map(Ident::as_str);
        let (mut exact, mut near) = (Vec::new(), Vec::new());
        for table in self.tables.iter().filter(|table| table.sql_name == name.name.as_str()) {
            match (wanted, table.schema.as_deref()) {
                (wanted, written) if wanted == written => exact.push(table),
                (Some(wanted), None) => {
                    if wanted == "public" || table.module.last().is_some_and(|m| m == wanted) {
                        near.push(table);
                    }
                }
                (None, Some(_)) => near.push(table),
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        let found = if exact.is_empty() { near } else { exact };
        match found.as_slice() {
            [] => Err(SchemaError::TableMissing { table: name.clone() }),
            [table] => Ok(table),
            [first, second, ..] => Err(SchemaError::TwoTables {
                table: name.clone(),
                first: Place::new(source, first.range.clone()),
                second: Place::new(source, second.range.clone()),
            }),
        }
    }
}

impl Table {
    /// Finds a column by its name in the database.
    pub fn column(&self, sql_name: &Ident) -> Option<&Column> {
        self.columns.iter().find(|column| column.sql_name == sql_name.as_str())
    }

    /// Returns the name as print-schema writes it in doc comments: with the schema, if one is
    /// written.
    pub fn full_sql_name(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{schema}.{}", self.sql_name),
            None => self.sql_name.clone(),
        }
    }
}

impl Column {
    /// Reports whether the type is `Nullable<…>`.
    pub fn is_nullable(&self) -> bool {
        self.nullable.is_some()
    }
}
