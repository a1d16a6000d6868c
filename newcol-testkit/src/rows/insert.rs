//! Puts rows into tables: the statements, and the parents that they need first.

use newcol_core::{
    backend::{Backend, Product},
    db::{DbError, Session},
    ident::TableName,
};

use super::{
    RowsError,
    number::Row,
    recipe::{Link, Recipes},
};
use crate::dump::{quoted, quoted_table};

/// Why a row is not there.
#[derive(Debug)]
pub(super) enum InsertError {
    /// It cannot be made.
    Made(RowsError),
    /// The server does not take it.
    Refused(DbError),
}

impl From<RowsError> for InsertError {
    fn from(error: RowsError) -> Self {
        Self::Made(error)
    }
}

impl InsertError {
    /// Says which table it was.
    pub(super) fn of(self, recipes: &Recipes, at: usize) -> RowsError {
        match self {
            Self::Made(error) => error,
            Self::Refused(source) => refused(recipes, at, source),
        }
    }
}

/// Names the column that the server's words name in quotes, or else as a word.
pub(super) fn refused(recipes: &Recipes, at: usize, source: DbError) -> RowsError {
    let shape = &recipes.tables[at].shape;
    let said = source.failure().map(|said| said.message.clone()).unwrap_or_default();
    let mut words = said.split(|c: char| !c.is_alphanumeric() && c != '_');
    let named = |word: &str| shape.columns.iter().find(|column| column.name.as_str() == word);
    let column = words.find_map(named).map(|column| column.name.clone());
    RowsError::Refused { table: shape.table.clone(), column, source: Box::new(source) }
}

/// Inserts what a row refers to, where it is missing.
pub(super) fn prepare(
    session: &mut Session,
    recipes: &Recipes,
    at: usize,
    row: Row,
) -> Result<(), RowsError> {
    for link in recipes.tables[at].links.iter().filter(|link| !link.cut) {
        prepare_link(session, recipes, link, row)?;
    }
    Ok(())
}

/// Inserts the parent to which one foreign key of a row leads, where it is missing.
pub(super) fn prepare_link(
    session: &mut Session,
    recipes: &Recipes,
    link: &Link,
    row: Row,
) -> Result<(), RowsError> {
    let parent = link.parent(row);
    if is_there(session, recipes, link, parent)? {
        return Ok(());
    }
    prepare(session, recipes, link.table, parent)?;
    let inserted = insert(session, recipes, link.table, parent);
    // A trigger of a grandparent, or somebody else, may have been faster.
    match inserted {
        Err(InsertError::Refused(source)) if is_taken(&source) => {
            match is_there(session, recipes, link, parent) {
                Ok(true) => Ok(()),
                Ok(false) | Err(_) => Err(refused(recipes, link.table, source)),
            }
        }
        inserted => inserted.map_err(|error| error.of(recipes, link.table)),
    }
}

/// Inserts a row whose parents are there.
pub(super) fn insert(
    session: &mut Session,
    recipes: &Recipes,
    at: usize,
    row: Row,
) -> Result<(), InsertError> {
    let recipe = &recipes.tables[at];
    let mut names = Vec::new();
    let mut literals = Vec::new();
    let mut insists = false;
    for (column, found) in recipe.shape.columns.iter().enumerate() {
        names.push(name(session.backend(), found.name.as_str()));
        literals.push(recipes.literal(at, column, row)?);
        insists |= found.always;
    }
    let sql = format!(
        "INSERT INTO {} ({}){} VALUES ({})",
        table_name(session.backend(), &recipe.shape.table),
        names.join(", "),
        if insists { " OVERRIDING SYSTEM VALUE" } else { "" },
        literals.join(", ")
    );
    session.batch(&sql).map_err(InsertError::Refused)
}

/// Changes columns of a row to what they are in another revision of it.
pub(super) fn update(
    session: &mut Session,
    recipes: &Recipes,
    at: usize,
    row: Row,
    columns: &[usize],
) -> Result<(), InsertError> {
    let Some(place) = place(session.backend(), recipes, at, row)? else { return Ok(()) };
    let shape = &recipes.tables[at].shape;
    let mut changes = Vec::new();
    for column in columns {
        let literal = recipes.literal(at, *column, row)?;
        let name = name(session.backend(), shape.columns[*column].name.as_str());
        changes.push(format!("{name} = {literal}"));
    }
    if changes.is_empty() {
        return Ok(());
    }
    let table = table_name(session.backend(), &shape.table);
    let sql = format!("UPDATE {table} SET {} WHERE {place}", changes.join(", "));
    session.batch(&sql).map_err(InsertError::Refused)
}

/// Returns the condition that only this row meets: its key, or else another unique index. What the
/// server counts by itself is no key that we know.
pub(super) fn place(
    backend: Backend,
    recipes: &Recipes,
    at: usize,
    row: Row,
) -> Result<Option<String>, RowsError> {
    let shape = &recipes.tables[at].shape;
    let known = |key: &&Vec<usize>| !key.iter().any(|column| shape.columns[*column].always);
    for key in shape.uniques.iter().filter(known) {
        let place = matching(backend, recipes, at, key, row)?;
        if place.is_some() {
            return Ok(place);
        }
    }
    Ok(None)
}

/// Returns the condition that columns are as in a row; nothing where one of them is NULL.
fn matching(
    backend: Backend,
    recipes: &Recipes,
    at: usize,
    columns: &[usize],
    row: Row,
) -> Result<Option<String>, RowsError> {
    let shape = &recipes.tables[at].shape;
    let mut parts = Vec::new();
    for column in columns {
        let literal = recipes.literal(at, *column, row)?;
        if literal == "NULL" || literal == "DEFAULT" {
            return Ok(None);
        }
        parts.push(format!("{} = {literal}", name(backend, shape.columns[*column].name.as_str())));
    }
    Ok(Some(parts.join(" AND ")))
}

fn is_there(
    session: &mut Session,
    recipes: &Recipes,
    link: &Link,
    parent: Row,
) -> Result<bool, RowsError> {
    let table = &recipes.tables[link.table].shape.table;
    let Some(place) = matching(session.backend(), recipes, link.table, &link.to, parent)? else {
        return Ok(true);
    };
    let sql = format!("SELECT 1 FROM {} WHERE {place}", table_name(session.backend(), table));
    let failed = |source| RowsError::Database { table: table.clone(), source: Box::new(source) };
    Ok(!session.query(&sql).map_err(failed)?.is_empty())
}

/// Reports whether no row has a unique index in common with this one.
pub(super) fn is_free(
    session: &mut Session,
    recipes: &Recipes,
    at: usize,
    row: Row,
) -> Result<bool, RowsError> {
    let shape = &recipes.tables[at].shape;
    let mut places = Vec::new();
    for key in &shape.uniques {
        places.extend(matching(session.backend(), recipes, at, key, row)?);
    }
    if places.is_empty() {
        return Ok(true);
    }
    let table = table_name(session.backend(), &shape.table);
    let sql = format!("SELECT 1 FROM {table} WHERE ({}) LIMIT 1", places.join(") OR ("));
    let failed =
        |source| RowsError::Database { table: shape.table.clone(), source: Box::new(source) };
    Ok(session.query(&sql).map_err(failed)?.is_empty())
}

/// Reads rows that are there, a literal per column.
pub(super) fn existing(
    session: &mut Session,
    recipes: &Recipes,
    at: usize,
) -> Result<Vec<Vec<String>>, RowsError> {
    /// Enough for every row of a rehearsal that needs a parent of its own.
    const LIMIT: u32 = 1000;
    let shape = &recipes.tables[at].shape;
    let backend = session.backend();
    let parts: Vec<String> = shape
        .columns
        .iter()
        .map(|column| {
            let name = name(backend, column.name.as_str());
            let bytes = ["binary", "blob", "bit"].iter().any(|part| column.ty.contains(part));
            match recipes.product {
                Product::Postgres => format!("quote_nullable({name}::text)"),
                Product::Mysql | Product::Mariadb if bytes => {
                    format!("coalesce(concat('x''', hex({name}), ''''), 'NULL')")
                }
                Product::Mysql | Product::Mariadb => format!("quote({name})"),
                Product::Sqlite => format!("quote({name})"),
            }
        })
        .collect();
    let order: Vec<String> = shape
        .key
        .iter()
        .map(|column| name(backend, shape.columns[*column].name.as_str()))
        .collect();
    let order =
        if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
    let table = table_name(backend, &shape.table);
    let sql = format!("SELECT {} FROM {table}{order} LIMIT {LIMIT}", parts.join(", "));
    let failed =
        |source| RowsError::Database { table: shape.table.clone(), source: Box::new(source) };
    let rows = session.query(&sql).map_err(failed)?;
    let text = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
    Ok(rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect())
}

/// Reports whether a row was refused because of one that is there.
pub(super) fn is_taken(error: &DbError) -> bool {
    let said = error.failure().map(|said| said.message.as_str()).unwrap_or_default();
    matches!(error.sqlstate(), Some("23505" | "23P01"))
        || error.errno() == Some(1062)
        || said.starts_with("UNIQUE constraint failed")
}

/// Reports whether a row was refused by a check.
pub(super) fn is_check(error: &DbError) -> bool {
    let said = error.failure().map(|said| said.message.as_str()).unwrap_or_default();
    error.sqlstate() == Some("23514")
        || matches!(error.errno(), Some(3819 | 4025))
        || said.starts_with("CHECK constraint failed")
}

/// Quotes a name.
pub(super) fn name(backend: Backend, name: &str) -> String {
    quoted(name, quote(backend))
}

/// Quotes a table's name.
pub(super) fn table_name(backend: Backend, table: &TableName) -> String {
    quoted_table(table, quote(backend))
}

fn quote(backend: Backend) -> char {
    match backend {
        Backend::Postgres | Backend::Sqlite => '"',
        Backend::Mysql => '`',
    }
}
