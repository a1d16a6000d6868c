//! What the catalog says of a table, as far as its rows depend on it.
//!
//! Columns, defaults and the primary key come from `newcol_core`'s own facts; types under domains,
//! enum labels, unique indexes, foreign keys and checks are asked here. Only questions are sent.

mod mysql;
mod postgres;
mod sqlite;

use newcol_core::{
    backend::{Backend, Product},
    db::{
        Row, Session,
        facts::{FactsError, read_table},
    },
    ident::{Ident, TableName},
    plan::facts::{ColumnFacts, TableFacts},
    render::text,
};

use super::{
    RowsError,
    tokens::{Mentions, mentions},
};
use crate::values::text_literal;

/// What rows of a table depend on. Columns are named by their index in `columns`.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// The table.
    pub(super) table: TableName,
    /// Every column that is not computed.
    pub(super) columns: Vec<Column>,
    /// The primary key.
    pub(super) key: Vec<usize>,
    /// Columns of which no two rows may agree in all, the primary key among them.
    pub(super) uniques: Vec<Vec<usize>>,
    /// Foreign keys.
    pub(super) references: Vec<Reference>,
    /// Checks, those of domains among them.
    pub(super) checks: Vec<Check>,
}

/// A column that an insert may set.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// Its name.
    pub(super) name: Ident,
    /// Its type without domains.
    pub(super) ty: String,
    /// Labels of an enum that has a name of its own.
    pub(super) labels: Vec<String>,
    /// The domain it is declared with.
    pub(super) domain: Option<String>,
    /// Whether it takes NULL.
    pub(super) nullable: bool,
    /// What stands for its default in VALUES.
    pub(super) default: Option<String>,
    /// Whether the server refuses a value that does not insist (identity ALWAYS).
    pub(super) always: bool,
    /// A unique index looks only at so many characters.
    pub(super) distinct_within: Option<u64>,
}

/// A foreign key.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    /// Columns here.
    pub(super) columns: Vec<usize>,
    /// The referenced table.
    pub(super) table: TableName,
    /// Columns there, empty for its primary key.
    pub(super) to: Vec<String>,
}

/// A check.
#[derive(Debug, Clone)]
pub(super) struct Check {
    /// Texts by which the server names it in a complaint.
    pub(super) names: Vec<String>,
    /// Columns that it mentions.
    pub(super) columns: Vec<usize>,
    /// What else it mentions.
    pub(super) mentions: Mentions,
}

/// What an engine adds to the facts.
#[derive(Debug, Default)]
struct Found {
    types: Vec<FoundType>,
    /// Parts of unique indexes: columns or expressions.
    uniques: Vec<Vec<String>>,
    /// Columns of which a unique index sees so many characters.
    prefixes: Vec<(String, u64)>,
    references: Vec<FoundReference>,
    checks: Vec<FoundCheck>,
}

/// A type that the facts name only by name.
#[derive(Debug)]
struct FoundType {
    column: String,
    ty: String,
    labels: Vec<String>,
    domain: Option<String>,
}

#[derive(Debug)]
struct FoundReference {
    table: TableName,
    /// Pairs of columns, here and there; there may be none, for the primary key.
    columns: Vec<(String, Option<String>)>,
}

#[derive(Debug)]
struct FoundCheck {
    names: Vec<String>,
    text: String,
    /// The column of a domain's check.
    column: Option<String>,
}

/// Returns the one name of a table that may have been named with or without its schema, or on
/// SQLite in another case. A table that does not exist keeps the name that it was given.
pub(super) fn canonical(session: &mut Session, table: &TableName) -> Result<TableName, RowsError> {
    let product = session.server().product;
    let name = text_literal(product, table.name.as_str());
    let sql = match product {
        Product::Postgres => format!(
            "SELECT CASE WHEN pg_catalog.pg_table_is_visible(c.oid) THEN '' \
               ELSE n.nspname::text END, c.relname \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.oid = to_regclass({})",
            text_literal(product, &text::table(Backend::Postgres, table))
        ),
        Product::Mysql | Product::Mariadb => {
            let Some(schema) = &table.schema else { return Ok(table.clone()) };
            let schema = text_literal(product, schema.as_str());
            format!("SELECT nullif({schema}, database()), {name}")
        }
        Product::Sqlite => match &table.schema {
            Some(schema) if !schema.as_str().eq_ignore_ascii_case("main") => {
                return Ok(table.clone());
            }
            Some(_) | None => format!(
                "SELECT '', name FROM pragma_table_list \
                 WHERE schema = 'main' AND name = {name} COLLATE NOCASE"
            ),
        },
    };
    let mut catalog = Catalog { session, table };
    let found = catalog.ask(&sql)?.into_iter().next();
    match found.as_deref() {
        Some([schema, name]) => catalog.table_name(schema, name),
        _ => Ok(table.clone()),
    }
}

/// Reads one table.
pub(super) fn read(session: &mut Session, table: &TableName) -> Result<Shape, RowsError> {
    let facts =
        read_table(session, table).map_err(|source| RowsError::Facts { source: source.into() })?;
    let backend = session.backend();
    let mut catalog = Catalog { session, table };
    let found = match backend {
        Backend::Postgres => postgres::read(&mut catalog)?,
        Backend::Mysql => mysql::read(&mut catalog)?,
        Backend::Sqlite => sqlite::read(&mut catalog, &facts)?,
    };
    Ok(Shape::new(backend, table, facts, found))
}

/// Reads the table that a column would make by itself: its type, and the checks of a domain.
pub(super) fn read_column(
    session: &mut Session,
    table: &TableName,
    column: &Ident,
    sql: &str,
) -> Result<Shape, RowsError> {
    let mut facts = TableFacts::unknown(session.backend());
    facts.columns.push(ColumnFacts {
        name: column.clone(),
        sql_type: Some(sql.to_owned()),
        nullable: false,
        default: None,
        generated: false,
        comment: None,
    });
    let backend = session.backend();
    let mut catalog = Catalog { session, table };
    let found = match backend {
        Backend::Postgres => postgres::read_type(&mut catalog, column, sql)?,
        Backend::Mysql | Backend::Sqlite => Found::default(),
    };
    Ok(Shape::new(backend, table, facts, found))
}

impl Shape {
    fn new(backend: Backend, table: &TableName, facts: TableFacts, found: Found) -> Self {
        let default = |text: String| match backend {
            Backend::Postgres | Backend::Mysql => "DEFAULT".to_owned(),
            Backend::Sqlite => format!("({text})"),
        };
        let columns: Vec<Column> = facts
            .columns
            .into_iter()
            .filter_map(|column| {
                let always = column.default.as_deref() == Some("GENERATED ALWAYS AS IDENTITY");
                if column.generated && !always {
                    return None;
                }
                let typed = found.types.iter().find(|ty| ty.column == column.name.as_str());
                let prefix = found.prefixes.iter().filter(|(name, _)| name == column.name.as_str());
                Some(Column {
                    ty: typed
                        .map_or_else(|| column.sql_type.unwrap_or_default(), |ty| ty.ty.clone()),
                    labels: typed.map(|ty| ty.labels.clone()).unwrap_or_default(),
                    domain: typed.and_then(|ty| ty.domain.clone()),
                    // SQLite takes NULL in a key, but nobody means it.
                    nullable: column.nullable && !facts.primary_key.contains(&column.name),
                    default: column.default.map(default),
                    always,
                    distinct_within: prefix.map(|(_, length)| *length).min(),
                    name: column.name,
                })
            })
            .collect();
        let mut shape = Self {
            table: table.clone(),
            key: facts.primary_key.iter().filter_map(|k| index(&columns, k.as_str())).collect(),
            columns,
            uniques: Vec::new(),
            references: Vec::new(),
            checks: Vec::new(),
        };
        shape.uniques = vec![shape.key.clone()];
        for parts in found.uniques {
            let columns = parts.iter().flat_map(|part| match index(&shape.columns, part) {
                Some(column) => vec![column],
                None => shape.mentioned(&mentions(backend, part)),
            });
            shape.uniques.push(columns.collect());
        }
        shape.uniques.retain(|columns| !columns.is_empty());
        for reference in found.references {
            let (here, there): (Vec<_>, Vec<_>) = reference.columns.into_iter().unzip();
            let columns: Vec<usize> =
                here.iter().filter_map(|name| index(&shape.columns, name)).collect();
            // A key with a computed column follows from the columns that it is computed from.
            if columns.len() == here.len() {
                let to = there.into_iter().flatten().collect();
                shape.references.push(Reference { columns, table: reference.table, to });
            }
        }
        for check in found.checks {
            let mentions = mentions(backend, &check.text);
            let columns = match &check.column {
                Some(column) => index(&shape.columns, column).into_iter().collect(),
                None => shape.mentioned(&mentions),
            };
            shape.checks.push(Check { names: check.names, columns, mentions });
        }
        shape
    }

    /// Returns the columns among some words, in table order.
    fn mentioned(&self, mentions: &Mentions) -> Vec<usize> {
        let mut columns: Vec<usize> =
            mentions.words.iter().filter_map(|word| index(&self.columns, word)).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }
}

/// Returns the column of a name, as written or else in another case.
pub(super) fn index(columns: &[Column], name: &str) -> Option<usize> {
    columns.iter().position(|column| column.name.as_str() == name).or_else(|| {
        columns.iter().position(|column| column.name.as_str().eq_ignore_ascii_case(name))
    })
}

/// Questions about one table, with its name in every complaint.
struct Catalog<'a> {
    session: &'a mut Session,
    table: &'a TableName,
}

impl Catalog<'_> {
    fn ask(&mut self, sql: &str) -> Result<Vec<Vec<String>>, RowsError> {
        let failed = |source| RowsError::Database { table: self.table.clone(), source };
        let rows = self.session.query(sql).map_err(|source| failed(Box::new(source)))?;
        let text = |row: Row| row.into_iter().map(Option::unwrap_or_default).collect();
        Ok(rows.into_iter().map(text).collect())
    }

    /// Names a table; an empty schema is the session's own.
    fn table_name(&self, schema: &str, name: &str) -> Result<TableName, RowsError> {
        let ident = |text: &str| {
            Ident::new(text).map_err(|source| RowsError::Name { table: self.table.clone(), source })
        };
        let schema = Some(schema).filter(|schema| !schema.is_empty()).map(ident).transpose()?;
        Ok(TableName { schema, name: ident(name)? })
    }

    fn missing(&self) -> RowsError {
        let source = FactsError::NoTable {
            table: self.table.clone(),
            database: self.session.url().describe(),
            similar: Vec::new(),
        };
        RowsError::Facts { source: source.into() }
    }

    /// Reads foreign keys, a row per pair of columns: key, schema, table, column, column there.
    fn references(&mut self, sql: &str) -> Result<Vec<FoundReference>, RowsError> {
        let mut found: Vec<(String, FoundReference)> = Vec::new();
        for row in self.ask(sql)? {
            let [id, schema, name, here, there] = row.as_slice() else { continue };
            let pair = (here.clone(), Some(there.clone()).filter(|there| !there.is_empty()));
            match found.last_mut() {
                Some((last, reference)) if last == id => reference.columns.push(pair),
                _ => {
                    let table = self.table_name(schema, name)?;
                    found.push((id.clone(), FoundReference { table, columns: vec![pair] }));
                }
            }
        }
        Ok(found.into_iter().map(|(_, reference)| reference).collect())
    }

    /// Reads indexes, a row per part: index, column or expression.
    fn uniques(&mut self, sql: &str) -> Result<Vec<Vec<String>>, RowsError> {
        let mut found: Vec<(String, Vec<String>)> = Vec::new();
        for row in self.ask(sql)? {
            let [id, part, ..] = row.as_slice() else { continue };
            match found.last_mut() {
                Some((last, parts)) if last == id => parts.push(part.clone()),
                _ => found.push((id.clone(), vec![part.clone()])),
            }
        }
        Ok(found.into_iter().map(|(_, parts)| parts).collect())
    }
}
