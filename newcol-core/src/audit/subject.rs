//! What is audited: a column that comes, and what the project and its contract say of it.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use sqlparser::tokenizer::Token;

use crate::{
    backend::Backend,
    contract::{Contract, OldRows, OldWriters},
    ident::ColumnPath,
    plan::StageKind,
    schema::{self, Place, SchemaError, SchemaFile, names},
    sql,
};

/// The column, the table as it is without it, and the tables beside it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Names in the database.
    pub path: ColumnPath,
    /// The table, without the column.
    pub table: Table,
    /// The column.
    pub column: Column,
    /// The other tables of the project.
    pub others: Vec<Table>,
    /// The engines of the project.
    pub engines: BTreeSet<Backend>,
    /// Where the table is declared; without it, nothing is said of the declaration itself.
    pub declaration: Option<Declaration>,
    /// The table's name in the text that the subject was read from.
    name: Place,
}

/// The `table!`, and what diesel can make of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// The schema.rs, below the project's root.
    pub path: Utf8PathBuf,
    /// The table's name in it.
    pub at: Place,
    /// Columns that a table may have with the diesel features that are on.
    pub column_limit: usize,
}

/// A table of a `schema.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Name in Rust.
    pub rust_name: String,
    /// Name in the database, without schema.
    pub sql_name: String,
    /// Modules around the `table!`, outermost first, from the file's own.
    pub module: Vec<String>,
    /// Columns in the order of the file.
    pub columns: Vec<TableColumn>,
    /// Rust names of the key's columns.
    pub key: Vec<String>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Name in Rust.
    pub rust_name: String,
    /// Name in the database.
    pub sql_name: String,
    /// Diesel type, as written.
    pub ty: String,
}

/// What is known of the column that comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name in Rust.
    pub rust_name: String,
    /// Name in the database.
    pub sql_name: String,
    /// Diesel type where schema.rs has the column already.
    pub ty: Option<String>,
    /// Types in the database, where there is a contract that says them.
    pub sql_types: BTreeMap<Backend, String>,
    /// Its place among the table's columns, where schema.rs has it already.
    pub position: Option<usize>,
    /// The stage from whose schema.rs on it is not `Nullable`; `None` if it stays so.
    pub not_null_from: Option<StageKind>,
    /// The stage from which on an `INSERT` without it fails; `None` if none does.
    pub inserts_fail_from: Option<StageKind>,
    /// Whether it has a default, if only for a while.
    pub has_default: bool,
    /// Names in the database of the columns from which old rows are filled.
    pub computed_from: BTreeSet<String>,
    /// The column that it replaces, which goes in the end.
    pub replaces: Option<String>,
    /// Whether there is no such column in the database as yet, as far as is known.
    pub is_missing: bool,
    /// Whether the database still allows NULL, as far as is known.
    pub is_nullable: bool,
}

impl Subject {
    /// Reads the tables of a schema.rs, whose text and module path are given, and what the contract
    /// says of the column.
    ///
    /// Without contract the column is taken for what schema.rs makes of it, with no default; where
    /// schema.rs does not have it either, for an optional one.
    pub fn new(
        path: &ColumnPath,
        contract: Option<&Contract>,
        (text, module): (&str, &[String]),
        schema: &SchemaFile,
        engines: BTreeSet<Backend>,
    ) -> Result<Self, SchemaError> {
        let found = schema.table(text, &path.table)?;
        let mut table = Table::of(found, module);
        let position = table.columns.iter().position(|c| c.sql_name == path.column.as_str());
        let present = position.map(|at| table.columns.remove(at));
        let mut column = Column {
            rust_name: present.as_ref().map_or_else(
                || names::column_name(path.column.as_str(), &table.rust_name),
                |column| column.rust_name.clone(),
            ),
            sql_name: path.column.as_str().to_owned(),
            ty: present.map(|column| column.ty),
            sql_types: BTreeMap::new(),
            position,
            not_null_from: None,
            inserts_fail_from: None,
            has_default: false,
            computed_from: BTreeSet::new(),
            replaces: None,
            is_missing: position.is_none(),
            is_nullable: false,
        };
        match contract {
            Some(contract) => column.heed(contract, &table, &engines),
            None => {
                let required = column.ty.as_ref().is_some_and(|ty| !ty.contains("Nullable"));
                column.not_null_from = required.then_some(StageKind::Expand);
                column.inserts_fail_from = required.then_some(StageKind::Expand);
            }
        }
        let others = schema.tables.iter().filter(|other| !std::ptr::eq(*other, found));
        Ok(Self {
            path: path.clone(),
            table,
            column,
            others: others.map(|other| Table::of(other, module)).collect(),
            engines,
            declaration: None,
            name: Place::new(text, found.name_range.clone()),
        })
    }

    /// Says which stages the project has released: the last of them, if there is one.
    pub fn released(mut self, last: Option<StageKind>) -> Self {
        self.column.is_nullable = self.column.not_null_from.is_some_and(|from| last < Some(from));
        self
    }

    /// Says that the database was asked, and does not have the column.
    pub fn missing(mut self) -> Self {
        self.column.is_missing = true;
        self
    }

    /// Says which file the subject was read from, and how many columns diesel is built for.
    pub fn declared_in(self, path: impl Into<Utf8PathBuf>, column_limit: usize) -> Self {
        let declaration = Declaration { path: path.into(), at: self.name.clone(), column_limit };
        Self { declaration: Some(declaration), ..self }
    }
}

impl Column {
    /// Reports whether its values cannot be compared with each other, as those of PostgreSQL's `json`.
    pub fn is_json_on(&self, engine: Backend) -> bool {
        let written = |ty: &String| ty.trim().eq_ignore_ascii_case("json");
        let in_rust = |ty: &String| {
            ty.trim_start_matches("Nullable<").trim_end_matches('>').rsplit(':').next()
                == Some("Json")
        };
        engine == Backend::Postgres
            && self
                .sql_types
                .get(&engine)
                .map_or_else(|| self.ty.as_ref().is_some_and(in_rust), written)
    }

    fn heed(&mut self, contract: &Contract, table: &Table, engines: &BTreeSet<Backend>) {
        let answers = contract.answers();
        self.has_default = answers.default.is_some();
        self.replaces = answers.replaces.as_ref().map(|old| old.column.as_str().to_owned());
        for engine in engines {
            if let Some(ty) = contract.sql_type(*engine) {
                self.sql_types.insert(*engine, ty.as_str().to_owned());
            }
            let fill = contract.sql_fill(*engine);
            let tokens = fill.and_then(|fill| sql::tokens(fill.as_str(), *engine));
            let words = tokens.into_iter().flatten().filter_map(|placed| match placed.token {
                Token::Word(word) => Some(word.value),
                _ => None,
            });
            self.computed_from.extend(words.filter(|word| table.has(word)));
        }
        if !contract.required() {
            return;
        }
        let constant = self.has_default && answers.old_rows == OldRows::Unfilled;
        self.not_null_from = Some(if constant { StageKind::Expand } else { StageKind::Constrain });
        self.inserts_fail_from = match contract.old_writers() {
            OldWriters::Nobody => self.not_null_from,
            OldWriters::Default if contract.default_is_transitional() => Some(StageKind::Contract),
            OldWriters::Default => None,
            // There, a trigger fills a row after NOT NULL has refused it.
            OldWriters::Trigger if engines.contains(&Backend::Sqlite) => Some(StageKind::Constrain),
            OldWriters::Trigger => Some(StageKind::Contract),
        };
    }
}

impl Table {
    /// Reads a table of a schema.rs.
    pub fn of(table: &schema::Table, module: &[String]) -> Self {
        let columns = table.columns.iter().map(|column| TableColumn {
            rust_name: column.rust_name.clone(),
            sql_name: column.sql_name.clone(),
            ty: column.ty.clone(),
        });
        Self {
            rust_name: table.rust_name.clone(),
            sql_name: table.sql_name.clone(),
            module: module.iter().chain(&table.module).cloned().collect(),
            columns: columns.collect(),
            key: table.primary_key.clone(),
        }
    }

    /// Reports whether it has a column of a name in the database.
    pub fn has(&self, sql_name: &str) -> bool {
        self.columns.iter().any(|column| column.sql_name.eq_ignore_ascii_case(sql_name))
    }
}
