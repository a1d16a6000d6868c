//! SQLite: the schema, `sqlite_stat1`, and a sample.

use std::collections::BTreeMap;

use super::{
    super::{Column, Constraint, ConstraintKind, Definition, Index, Profile, Size, VERSION},
    TakeError,
    hide::Hide,
    sample,
};
use crate::{
    backend::Backend,
    db::{DbError, Session, quote::literal},
    ident::TableName,
    render::text,
    watch::session::Fields,
};

/// Rows are counted up to here, where `ANALYZE` has not counted them.
const MOST_COUNTED: u32 = 1_000_000;

const SETTINGS: &[&str] = &[
    "page_size",
    "cache_size",
    "journal_mode",
    "synchronous",
    "auto_vacuum",
    "wal_autocheckpoint",
    "foreign_keys",
];

pub(super) fn read(
    session: &mut Session,
    table: &TableName,
    hide: &Hide,
) -> Result<Profile, TakeError> {
    let name = literal(Backend::Sqlite, table.name.as_str());
    let found = session.query(&format!(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name = {name} COLLATE NOCASE"
    ))?;
    let mut fields = Fields::of(found);
    let Some(found) = fields.maybe() else {
        return Err(TakeError::NoTable { table: table.clone() });
    };
    let mut definition = Definition { table: fields.text(), ..Definition::default() };
    let name = literal(Backend::Sqlite, &found);
    objects(session, &name, &mut definition)?;
    let quoted = text::quote(Backend::Sqlite, &found);
    let mut unread = Vec::new();
    let rows = rows(session, (&name, &quoted), &mut unread)?;
    let mut columns = Vec::new();
    let mut sampled = false;
    for row in session.query(&format!(
        "SELECT name, type, \"notnull\", hidden, pk FROM pragma_table_xinfo({name}) WHERE hidden <> 1"
    ))? {
        let mut fields = Fields::from(row);
        let (name, sql_type) = (fields.text(), fields.text());
        let (not_null, hidden, pk): (u8, u8, u8) =
            (fields.number(), fields.number(), fields.number());
        let statistics = sample::read(session, (&quoted, &name), hide)?;
        sampled |= statistics.is_some();
        columns.push(Column {
            name,
            base_type: sql_type.clone(),
            sql_type,
            labels: Vec::new(),
            is_nullable: not_null == 0 && pk == 0,
            is_generated: hidden > 1,
            statistics,
        });
    }
    if sampled && rows > f64::from(sample::ROWS) {
        unread.push(format!(
            "SQLite keeps no statistics of values: those of the first {} rows stand for all",
            sample::ROWS
        ));
    }
    stat1(session, &name, (rows, &mut columns))?;
    let mut settings = BTreeMap::new();
    for setting in SETTINGS {
        if let Some(value) = session.value(&format!("PRAGMA {setting}"))? {
            settings.insert((*setting).to_owned(), value);
        }
    }
    let page_bytes = settings.get("page_size").and_then(|bytes| bytes.parse().ok());
    Ok(Profile {
        version: VERSION,
        server: session.server().to_string(),
        table: found,
        definition,
        size: Size { rows, page_bytes, ..Size::default() },
        columns,
        settings,
        unread,
    })
}

/// Reads indexes, constraints and triggers. What has no text of its own is part of the table's.
fn objects(session: &mut Session, name: &str, definition: &mut Definition) -> Result<(), DbError> {
    let triggers = session.query(&format!(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = {name} COLLATE NOCASE \
         ORDER BY name"
    ))?;
    definition.triggers = triggers.into_iter().map(|row| Fields::from(row).text()).collect();
    let indexes = session.query(&format!(
        "SELECT l.name, l.\"unique\", l.origin, s.sql, (SELECT group_concat(i.name, char(10)) \
         FROM (SELECT name FROM pragma_index_info(l.name) WHERE name IS NOT NULL ORDER BY seqno) i) \
         FROM pragma_index_list({name}) l LEFT JOIN sqlite_schema s ON s.name = l.name \
         ORDER BY l.name"
    ))?;
    for row in indexes {
        let mut fields = Fields::from(row);
        let (name, unique, origin) = (fields.text(), fields.text(), fields.text());
        let (sql, columns) = (fields.maybe(), fields.text());
        let columns = columns.lines().map(str::to_owned).collect();
        let kind = match origin.as_str() {
            "pk" => Some(ConstraintKind::Primary),
            "u" => Some(ConstraintKind::Unique),
            _ => None,
        };
        match kind {
            Some(kind) => definition.constraints.push(Constraint {
                name,
                kind,
                columns,
                references: None,
                sql: None,
            }),
            None => definition.indexes.push(Index { name, is_unique: unique == "1", columns, sql }),
        }
    }
    let key = session
        .query(&format!("SELECT name FROM pragma_table_info({name}) WHERE pk > 0 ORDER BY pk"))?;
    let key: Vec<String> = key.into_iter().map(|row| Fields::from(row).text()).collect();
    let has_key = definition.constraints.iter().any(|of| of.kind == ConstraintKind::Primary);
    if !key.is_empty() && !has_key {
        definition.constraints.push(Constraint {
            name: "rowid".to_owned(),
            kind: ConstraintKind::Primary,
            columns: key,
            references: None,
            sql: None,
        });
    }
    let foreign = session.query(&format!(
        "SELECT \"table\", group_concat(\"from\", char(10)), group_concat(\"to\", char(10)) \
         FROM pragma_foreign_key_list({name}) GROUP BY id ORDER BY id"
    ))?;
    for row in foreign {
        let mut fields = Fields::from(row);
        let (table, from, to) = (fields.text(), fields.text(), fields.text());
        let list = |text: &str| text.lines().map(str::to_owned).collect();
        definition.constraints.push(Constraint {
            name: format!("to {table}"),
            kind: ConstraintKind::Foreign,
            columns: list(&from),
            references: Some(super::super::References { table, columns: list(&to) }),
            sql: None,
        });
    }
    Ok(())
}

fn rows(
    session: &mut Session,
    (name, quoted): (&str, &str),
    unread: &mut Vec<String>,
) -> Result<f64, DbError> {
    if session.query_bool("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'")? {
        let stat = session.value(&format!(
            "SELECT max(CAST(stat AS INTEGER)) FROM sqlite_stat1 WHERE tbl = {name} COLLATE NOCASE"
        ))?;
        if let Some(rows) = stat.and_then(|stat| stat.parse().ok()) {
            return Ok(rows);
        }
    }
    let count = session
        .value(&format!("SELECT count(*) FROM (SELECT 1 FROM {quoted} LIMIT {MOST_COUNTED})"))?;
    let rows: f64 = count.and_then(|count| count.parse().ok()).unwrap_or_default();
    if rows >= f64::from(MOST_COUNTED) {
        unread.push(format!(
            "the table has {MOST_COUNTED} rows or more: they are not counted further, and `ANALYZE` has not counted them"
        ));
    }
    Ok(rows)
}

/// Takes distinct values of indexed columns from what `ANALYZE` counted of all rows.
fn stat1(
    session: &mut Session,
    name: &str,
    (rows, columns): (f64, &mut [Column]),
) -> Result<(), DbError> {
    if !session.query_bool("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'")? {
        return Ok(());
    }
    let found = session.query(&format!(
        "SELECT (SELECT i.name FROM pragma_index_info(s.idx) i WHERE i.seqno = 0), s.stat \
         FROM sqlite_stat1 s WHERE s.tbl = {name} COLLATE NOCASE AND s.idx IS NOT NULL"
    ))?;
    for row in found {
        let mut fields = Fields::from(row);
        let (column, stat) = (fields.text(), fields.text());
        // Rows of the index, then how many have one value of the first column, of the first two …
        let per_value = stat.split(' ').nth(1).and_then(|number| number.parse::<f64>().ok());
        let column = columns.iter_mut().find(|known| known.name == column);
        if let (Some(statistics), Some(per_value)) =
            (column.and_then(|column| column.statistics.as_mut()), per_value)
            && per_value > 0.0
            && statistics.null_frac == 0.0
        {
            let distinct = (rows / per_value).max(1.0);
            statistics.n_distinct = if per_value <= 1.0 { -1.0 } else { distinct };
        }
    }
    Ok(())
}
