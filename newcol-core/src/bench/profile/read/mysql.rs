//! MySQL and MariaDB: `information_schema`, what InnoDB knows of indexes, and a sample.

use std::collections::BTreeMap;

use super::{
    super::{
        Column, Constraint, ConstraintKind, Definition, Index, Profile, References, Size, VERSION,
    },
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

const SETTINGS: &[&str] = &[
    "binlog_format",
    "binlog_row_image",
    "innodb_buffer_pool_size",
    "innodb_flush_log_at_trx_commit",
    "innodb_io_capacity",
    "innodb_log_file_size",
    "innodb_page_size",
    "innodb_redo_log_capacity",
    "sync_binlog",
];

pub(super) fn read(
    session: &mut Session,
    table: &TableName,
    hide: &Hide,
) -> Result<Profile, TakeError> {
    // Each is a session's own; whichever of the two the server does not have it refuses.
    drop(session.batch("SET SESSION max_statement_time = 2"));
    drop(session.batch("SET SESSION max_execution_time = 2000"));
    session.batch("SET SESSION lock_wait_timeout = 1")?;
    let quoted = text::table(Backend::Mysql, table);
    let name = literal(Backend::Mysql, table.name.as_str());
    let schema = match &table.schema {
        Some(schema) => literal(Backend::Mysql, schema.as_str()),
        None => "database()".to_owned(),
    };
    let of = format!("table_schema = {schema} AND table_name = {name}");
    let found = session.query(&format!(
        "SELECT table_rows, data_length, index_length, @@innodb_page_size, engine \
         FROM information_schema.tables WHERE {of} AND table_type = 'BASE TABLE'"
    ))?;
    if found.is_empty() {
        return Err(TakeError::NoTable { table: table.clone() });
    }
    let mut fields = Fields::of(found);
    let (rows, data, index, page): (f64, f64, f64, f64) =
        (fields.number(), fields.number(), fields.number(), fields.number());
    let mut unread = vec![
        "the number of rows and what is said of indexed columns are InnoDB's estimates".to_owned(),
    ];
    let engine = fields.text();
    let pages = |bytes: f64| (engine == "InnoDB" && page > 0.0).then(|| (bytes / page).ceil());
    let size = Size {
        rows,
        pages: pages(data),
        page_bytes: Some(page),
        index_pages: pages(index),
        ..Size::default()
    };
    let mut columns = columns(session, (&of, &quoted), hide)?;
    if rows > f64::from(sample::ROWS) && columns.iter().any(|column| column.statistics.is_some()) {
        unread.push(format!(
            "statistics of values are those of the first {} rows, by the primary key",
            sample::ROWS
        ));
    }
    cardinalities(session, &of, (rows, &mut columns))?;
    let mut fields = session.query(&format!("SHOW CREATE TABLE {quoted}"))?;
    let made = fields.pop().and_then(|row| row.into_iter().nth(1)).flatten().unwrap_or_default();
    let mut definition = Definition { table: made, ..Definition::default() };
    keys(session, &of, &mut definition)?;
    let triggers = session.query(&format!(
        "SELECT trigger_name FROM information_schema.triggers \
         WHERE event_object_schema = {schema} AND event_object_table = {name} ORDER BY 1"
    ))?;
    definition.triggers = triggers.into_iter().map(|row| Fields::from(row).text()).collect();
    let mut settings = BTreeMap::new();
    let names: Vec<String> = SETTINGS.iter().map(|name| format!("'{name}'")).collect();
    let shown = session
        .query(&format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({})", names.join(", ")))?;
    for row in shown {
        let mut fields = Fields::from(row);
        settings.insert(fields.text(), fields.text());
    }
    Ok(Profile {
        version: VERSION,
        server: session.server().to_string(),
        // The database of the benchmark has another name.
        table: table.name.as_str().to_owned(),
        definition,
        size,
        columns,
        settings,
        unread,
    })
}

fn columns(
    session: &mut Session,
    (of, quoted): (&str, &str),
    hide: &Hide,
) -> Result<Vec<Column>, DbError> {
    let found = session.query(&format!(
        "SELECT column_name, column_type, is_nullable, generation_expression, extra \
         FROM information_schema.columns WHERE {of} ORDER BY ordinal_position"
    ))?;
    let mut columns = Vec::new();
    for row in found {
        let mut fields = Fields::from(row);
        let (name, sql_type) = (fields.text(), fields.text());
        let is_nullable = fields.text() == "YES";
        let is_generated = !fields.text().is_empty();
        let statistics = sample::read(session, (quoted, &name), hide)?;
        columns.push(Column {
            labels: labels(&sql_type),
            name,
            base_type: sql_type.clone(),
            sql_type,
            is_nullable,
            is_generated,
            statistics,
        });
    }
    Ok(columns)
}

/// Returns the labels of `enum('a','b')`.
fn labels(ty: &str) -> Vec<String> {
    let inner = ty.strip_prefix("enum(").and_then(|rest| rest.strip_suffix(')'));
    let Some(inner) = inner.and_then(|all| all.strip_prefix('\'')?.strip_suffix('\'')) else {
        return Vec::new();
    };
    inner.split("','").map(|label| label.replace("''", "'")).collect()
}

/// Takes distinct values of columns that lead an index from what the engine knows of it.
fn cardinalities(
    session: &mut Session,
    of: &str,
    (rows, columns): (f64, &mut [Column]),
) -> Result<(), DbError> {
    let found = session.query(&format!(
        "SELECT column_name, max(cardinality) FROM information_schema.statistics \
         WHERE {of} AND seq_in_index = 1 AND column_name IS NOT NULL GROUP BY column_name"
    ))?;
    for row in found {
        let mut fields = Fields::from(row);
        let (name, cardinality) = (fields.text(), fields.maybe_number::<f64>());
        let column = columns.iter_mut().find(|column| column.name == name);
        if let (Some(of), Some(cardinality)) =
            (column.and_then(|c| c.statistics.as_mut()), cardinality)
            && rows > f64::from(sample::ROWS)
        {
            of.n_distinct =
                if cardinality > 0.9 * rows { -(cardinality / rows).min(1.0) } else { cardinality };
        }
    }
    Ok(())
}

fn keys(session: &mut Session, of: &str, definition: &mut Definition) -> Result<(), DbError> {
    let found = session.query(&format!(
        "SELECT index_name, min(non_unique), group_concat(column_name ORDER BY seq_in_index \
         SEPARATOR '\\n') FROM information_schema.statistics WHERE {of} GROUP BY index_name ORDER BY 1"
    ))?;
    for row in found {
        let mut fields = Fields::from(row);
        let (name, is_unique) = (fields.text(), fields.text() == "0");
        let columns: Vec<String> = fields.text().lines().map(str::to_owned).collect();
        if is_unique {
            let kind = match name.as_str() {
                "PRIMARY" => ConstraintKind::Primary,
                _ => ConstraintKind::Unique,
            };
            definition.constraints.push(Constraint {
                name,
                kind,
                columns,
                references: None,
                sql: None,
            });
        } else {
            definition.indexes.push(Index { name, is_unique, columns, sql: None });
        }
    }
    let found = session.query(&format!(
        "SELECT constraint_name, referenced_table_name, \
         group_concat(column_name ORDER BY ordinal_position SEPARATOR '\\n'), \
         group_concat(referenced_column_name ORDER BY ordinal_position SEPARATOR '\\n') \
         FROM information_schema.key_column_usage WHERE {of} AND referenced_table_name IS NOT NULL \
         GROUP BY 1, 2 ORDER BY 1"
    ))?;
    for row in found {
        let mut fields = Fields::from(row);
        let (name, table) = (fields.text(), fields.text());
        let mut list = || fields.text().lines().map(str::to_owned).collect::<Vec<_>>();
        definition.constraints.push(Constraint {
            name,
            kind: ConstraintKind::Foreign,
            columns: list(),
            references: Some(References { table, columns: list() }),
            sql: None,
        });
    }
    Ok(())
}
