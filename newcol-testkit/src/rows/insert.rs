//! Puts rows into tables: the statements, and the parents that they need first.

use newcol_core::{
    db::{DbError, Session, written_by_server},
    render::text,
};

use super::{
    RowsError,
    number::Row,
    recipe::{Link, Recipes},
};

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
    let sql = insert(recipes, link.table, parent)?;
    match session.batch(&sql) {
        Ok(()) => Ok(()),
        // A trigger of a grandparent, or somebody else, may have been faster.
        Err(source) if is_taken(&source) => match is_there(session, recipes, link, parent) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(refused(recipes, link.table, source)),
        },
        Err(source) => Err(refused(recipes, link.table, source)),
    }
}

/// Returns the statement that inserts a row whose parents are there.
pub(super) fn insert(recipes: &Recipes, at: usize, row: Row) -> Result<String, RowsError> {
    let backend = recipes.backend();
    let recipe = &recipes.tables[at];
    let mut names = Vec::new();
    let mut literals = Vec::new();
    let mut insists = false;
    for (column, found) in recipe.shape.columns.iter().enumerate() {
        names.push(text::name(backend, &found.name));
        literals.push(recipes.literal(at, column, row)?);
        insists |= found.always;
    }
    Ok(format!(
        "INSERT INTO {} ({}){} VALUES ({})",
        text::table(backend, &recipe.shape.table),
        names.join(", "),
        if insists { " OVERRIDING SYSTEM VALUE" } else { "" },
        literals.join(", ")
    ))
}

/// Returns the statement that changes columns of a row to what they are in its revision; `None`
/// where nothing tells the row from others.
pub(super) fn update(
    recipes: &Recipes,
    at: usize,
    row: Row,
    columns: &[usize],
) -> Result<Option<String>, RowsError> {
    let backend = recipes.backend();
    let Some(place) = place(recipes, at, row)? else { return Ok(None) };
    let shape = &recipes.tables[at].shape;
    let mut changes = Vec::new();
    for column in columns {
        let literal = recipes.literal(at, *column, row)?;
        changes.push(format!("{} = {literal}", text::name(backend, &shape.columns[*column].name)));
    }
    let table = text::table(backend, &shape.table);
    let sql = format!("UPDATE {table} SET {} WHERE {place}", changes.join(", "));
    Ok(Some(sql).filter(|_| !changes.is_empty()))
}

/// Returns the condition that only this row meets: its key, or else another unique index. What the
/// server counts by itself is no key that we know.
pub(super) fn place(recipes: &Recipes, at: usize, row: Row) -> Result<Option<String>, RowsError> {
    let shape = &recipes.tables[at].shape;
    let known = |key: &&Vec<usize>| !key.iter().any(|column| shape.columns[*column].always);
    for key in shape.uniques.iter().filter(known) {
        let place = matching(recipes, at, key, row)?;
        if place.is_some() {
            return Ok(place);
        }
    }
    Ok(None)
}

/// Returns the condition that columns are as in a row; nothing where one of them is NULL.
fn matching(
    recipes: &Recipes,
    at: usize,
    columns: &[usize],
    row: Row,
) -> Result<Option<String>, RowsError> {
    let shape = &recipes.tables[at].shape;
    let backend = recipes.backend();
    let mut parts = Vec::new();
    for column in columns {
        let literal = recipes.literal(at, *column, row)?;
        if literal == "NULL" || literal == "DEFAULT" {
            return Ok(None);
        }
        parts.push(format!("{} = {literal}", text::name(backend, &shape.columns[*column].name)));
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
    let Some(place) = matching(recipes, link.table, &link.to, parent)? else {
        return Ok(true);
    };
    let sql = format!("SELECT 1 FROM {} WHERE {place}", text::table(session.backend(), table));
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
        places.extend(matching(recipes, at, key, row)?);
    }
    if places.is_empty() {
        return Ok(true);
    }
    let table = text::table(session.backend(), &shape.table);
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
        .map(|column| written_by_server(backend, &column.name, &column.ty))
        .collect();
    let order: Vec<String> =
        shape.key.iter().map(|column| text::name(backend, &shape.columns[*column].name)).collect();
    let order =
        if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
    let table = text::table(backend, &shape.table);
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
