//! Facts from the information schema of MySQL and MariaDB.

use super::{Catalog, FactsError, Fields};
use crate::{
    backend::{Backend, Product},
    db::quote::literal,
    ident::{Ident, TableName},
    plan::facts::{ColumnFacts, Hindrance, Source, TableFacts},
};

pub(super) fn read(catalog: &mut Catalog<'_>) -> Result<TableFacts, FactsError> {
    let Found { place, rows, sql_mode, .. } = find(catalog)?;
    let strict = ["STRICT_TRANS_TABLES", "STRICT_ALL_TABLES"]
        .iter()
        .any(|mode| sql_mode.contains(&format!(",{mode},")));
    Ok(TableFacts {
        server: catalog.session.server(),
        source: Source::Server,
        rows: rows.parse().ok(),
        columns: columns(catalog, &place)?,
        primary_key: primary_key(catalog, &place)?,
        children: children(catalog, &place)?,
        heirs: Vec::new(),
        update_triggers: update_triggers(catalog, &place)?,
        partitioned: false,
        default_volatility: None,
        type_rewrites: None,
        hindrance: hindrance(catalog, &place)?,
        strict,
        sqlite: None,
    })
}

/// A table that takes columns.
pub(crate) struct Found {
    pub(crate) place: Place,
    /// Its schema and name, as the server spells them.
    pub(crate) spelled: [String; 2],
    /// `BASE TABLE`, or `SYSTEM VERSIONED` where MariaDB keeps the history of its rows.
    pub(crate) kind: String,
    rows: String,
    sql_mode: String,
}

/// Looks the table up as the server does.
pub(crate) fn find(catalog: &mut Catalog<'_>) -> Result<Found, FactsError> {
    let wanted = catalog.table.name.as_str();
    let name = literal(Backend::Mysql, wanted);
    let schema = match &catalog.table.schema {
        Some(schema) => literal(Backend::Mysql, schema.as_str()),
        None => "database()".to_owned(),
    };
    // The comparison of the information schema may ignore case where the server does not.
    let found = catalog.ask(&format!(
        "SELECT table_schema, table_name, table_type, table_rows, @@lower_case_table_names, \
           concat(',', @@global.sql_mode, ',') \
         FROM information_schema.tables WHERE table_schema = {schema} AND table_name = {name}"
    ))?;
    let found: Vec<Vec<String>> = found
        .into_iter()
        .map(|row| row.into_iter().map(Option::unwrap_or_default).collect())
        .collect();
    let exact = found.iter().find(|row| row[1] == wanted);
    let Some(row) = exact.or_else(|| found.iter().find(|row| row[4] != "0")) else {
        let all = tables(catalog, &schema)?;
        return Err(catalog.no_table(all));
    };
    match row[2].as_str() {
        "BASE TABLE" | "SYSTEM VERSIONED" => {}
        "VIEW" => return Err(catalog.not_a_table("a view")),
        "SEQUENCE" => return Err(catalog.not_a_table("a sequence")),
        _ => return Err(catalog.not_a_table("a table of the system")),
    }
    Ok(Found {
        place: Place {
            schema: literal(Backend::Mysql, &row[0]),
            name: literal(Backend::Mysql, &row[1]),
        },
        spelled: [row[0].clone(), row[1].clone()],
        kind: row[2].clone(),
        rows: row[3].clone(),
        sql_mode: row[5].clone(),
    })
}

/// Schema and name as literals.
pub(crate) struct Place {
    pub(crate) schema: String,
    pub(crate) name: String,
}

fn columns(catalog: &mut Catalog<'_>, place: &Place) -> Result<Vec<ColumnFacts>, FactsError> {
    let Place { schema, name } = place;
    let rows = catalog.ask(&format!(
        "SELECT column_name, column_type, is_nullable, column_default, extra, column_comment \
         FROM information_schema.columns WHERE table_schema = {schema} AND table_name = {name} \
         ORDER BY ordinal_position"
    ))?;
    let product = catalog.session.server().product;
    let read = |row| {
        let mut fields = Fields::from(row);
        let name = catalog.ident(fields.text())?;
        let sql_type = fields.next();
        let nullable = fields.yes();
        let default = fields.next();
        let extra = fields.text().to_ascii_uppercase();
        let default = if extra.contains("AUTO_INCREMENT") {
            Some("AUTO_INCREMENT".to_owned())
        } else {
            let ty = sql_type.as_deref().unwrap_or_default();
            default.and_then(|told| default_sql(product, told, ty, &extra))
        };
        Ok(ColumnFacts {
            name,
            sql_type,
            nullable,
            default,
            // `DEFAULT_GENERATED` is only a default that is an expression.
            generated: ["STORED GENERATED", "VIRTUAL GENERATED", "PERSISTENT"]
                .iter()
                .any(|word| extra.contains(word)),
            comment: fields.next().filter(|comment| !comment.is_empty()),
        })
    };
    rows.into_iter().map(read).collect()
}

/// Returns the SQL of a default that the information schema tells, `None` where there is none.
///
/// MariaDB tells an expression, and so the word NULL where there is none. MySQL tells the value itself,
/// unless the column is `DEFAULT_GENERATED`: then an expression whose quotes are escaped, as they are
/// kept (seen on MySQL 9.7: `(_utf8mb4'hi')` is told as `_utf8mb4\'hi\'`).
fn default_sql(product: Product, told: String, ty: &str, extra: &str) -> Option<String> {
    if product == Product::Mariadb {
        return (told != "NULL").then_some(told);
    }
    let is_raw = |types: &[&str]| types.iter().any(|name| ty.starts_with(name));
    if !extra.contains("DEFAULT_GENERATED") {
        // Bits are told as `b'101'`, bytes as `0x6162`.
        let is_written =
            is_raw(&["bit"]) || is_raw(&["binary", "varbinary"]) && told.starts_with("0x");
        return Some(match told {
            told if is_written => told,
            // What a backslash is depends on the mode of the server.
            told if told.contains('\\') => literal(Backend::Mysql, &told),
            told => format!("'{}'", told.replace('\'', "''")),
        });
    }
    if told.to_ascii_uppercase().starts_with("CURRENT_TIMESTAMP") {
        return Some(told);
    }
    let mut plain = String::with_capacity(told.len());
    let mut rest = told.chars();
    while let Some(c) = rest.next() {
        plain.extend(if c == '\\' { rest.next() } else { Some(c) });
    }
    Some(format!("({plain})"))
}

fn primary_key(catalog: &mut Catalog<'_>, place: &Place) -> Result<Vec<Ident>, FactsError> {
    let Place { schema, name } = place;
    catalog.idents(&format!(
        "SELECT column_name FROM information_schema.statistics \
         WHERE table_schema = {schema} AND table_name = {name} AND index_name = 'PRIMARY' \
         ORDER BY seq_in_index"
    ))
}

fn children(catalog: &mut Catalog<'_>, place: &Place) -> Result<Vec<TableName>, FactsError> {
    let Place { schema, name } = place;
    catalog.tables(&format!(
        "SELECT DISTINCT CASE WHEN constraint_schema = database() THEN NULL \
           ELSE constraint_schema END AS place, table_name \
         FROM information_schema.referential_constraints \
         WHERE unique_constraint_schema = {schema} AND referenced_table_name = {name} \
         ORDER BY table_name, place"
    ))
}

/// The index counts for more: it stands in the way of every column.
fn hindrance(catalog: &mut Catalog<'_>, place: &Place) -> Result<Option<Hindrance>, FactsError> {
    if catalog.session.server().product != Product::Mariadb {
        return Ok(None);
    }
    let Place { schema, name } = place;
    let mut named = |condition: &str| -> Result<Option<Ident>, FactsError> {
        let found = catalog.idents(&format!(
            "SELECT c.column_name FROM information_schema.columns c \
             WHERE c.table_schema = {schema} AND c.table_name = {name} AND {condition} \
             ORDER BY c.ordinal_position"
        ))?;
        Ok(found.into_iter().next())
    };
    let indexed = named(
        "c.extra LIKE '%VIRTUAL%' AND EXISTS (SELECT 1 FROM information_schema.statistics s \
         WHERE s.table_schema = c.table_schema AND s.table_name = c.table_name \
           AND s.column_name = c.column_name)",
    )?;
    if let Some(column) = indexed {
        return Ok(Some(Hindrance::IndexedVirtual(column)));
    }
    let stored = named("(c.extra LIKE '%STORED%' OR c.extra LIKE '%PERSISTENT%')")?;
    Ok(stored.map(Hindrance::Stored))
}

fn update_triggers(catalog: &mut Catalog<'_>, place: &Place) -> Result<Vec<Ident>, FactsError> {
    let Place { schema, name } = place;
    catalog.idents(&format!(
        "SELECT trigger_name FROM information_schema.triggers \
         WHERE event_object_schema = {schema} AND event_object_table = {name} \
           AND event_manipulation = 'UPDATE' AND trigger_name NOT LIKE 'newcol|_%' ESCAPE '|' \
         ORDER BY trigger_name"
    ))
}

/// Every table that could have been meant.
fn tables(catalog: &mut Catalog<'_>, schema: &str) -> Result<Vec<TableName>, FactsError> {
    catalog.tables(&format!(
        "SELECT CASE WHEN table_schema = database() THEN NULL ELSE table_schema END, table_name \
         FROM information_schema.tables WHERE table_schema IN (database(), {schema}) \
           AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_of_mysql_become_sql() {
        let mysql = |told: &str, ty, extra| {
            default_sql(Product::Mysql, told.to_owned(), ty, extra).unwrap()
        };
        for (told, ty, extra, wanted) in [
            ("", "varchar(10)", "", "''"),
            ("x'y", "varchar(10)", "", "'x''y'"),
            ("5", "int", "", "'5'"),
            ("NULL", "text", "", "'NULL'"),
            (r"a\b", "varchar(3)", "", "_utf8mb4 0x615c62"),
            ("b'101'", "bit(3)", "", "b'101'"),
            ("0x6162", "binary(2)", "", "0x6162"),
            ("CURRENT_TIMESTAMP(3)", "timestamp(3)", "DEFAULT_GENERATED", "CURRENT_TIMESTAMP(3)"),
            ("uuid()", "char(36)", "DEFAULT_GENERATED", "(uuid())"),
            (r"_utf8mb4\'b\\\'c\'", "text", "DEFAULT_GENERATED", r"(_utf8mb4'b\'c')"),
        ] {
            assert_eq!(mysql(told, ty, extra), wanted, "{told}");
        }
        let mariadb = |told: &str| default_sql(Product::Mariadb, told.to_owned(), "text", "");
        assert_eq!(mariadb("NULL"), None);
        assert_eq!(mariadb("'NULL'").as_deref(), Some("'NULL'"));
    }
}
