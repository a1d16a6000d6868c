//! The catalog of MySQL 8 and MariaDB, whose differences in wording are evened out.

use newcol_core::{backend::Backend, ident::TableName, render::text};
use regex::Regex;

use super::{first_column, literal};
use crate::scratch::{AdminError, rows};

/// Returns one line per object.
pub(super) fn schema(url: &str) -> Result<Vec<String>, AdminError> {
    let first =
        |sql: &str| -> Result<Vec<String>, AdminError> { Ok(first_column(rows(url, sql)?)) };
    let facts = first("SELECT CONCAT(version(), '/', database())")?.concat();
    let (version, database) = facts.split_once('/').unwrap_or((&facts, ""));
    let mariadb = version.contains("MariaDB");
    let mut lines = columns(url, mariadb)?;
    // One question, because every one opens a connection of its own.
    let checks = if mariadb { MARIADB_CHECKS } else { MYSQL_CHECKS };
    let all = [TABLES, KEYS, INDEXES, TRIGGERS, ROUTINES, VIEWS, checks];
    lines.extend(first(&all.map(|sql| format!("({sql})")).join(" UNION ALL "))?);
    // Bodies of views and triggers name the database.
    let here = format!("{}.", text::quote(Backend::Mysql, database));
    Ok(lines.into_iter().map(|line| line.replace(&here, "")).collect())
}

const TABLES: &str = "
    SELECT CAST(CONCAT('table ', table_name, ' engine ', engine, ' collate ', table_collation,
        IF(table_comment = '', '', CONCAT(' comment ', QUOTE(table_comment)))) AS CHAR)
    FROM information_schema.tables
    WHERE table_schema = database() AND table_type = 'BASE TABLE'";

const KEYS: &str = "
    SELECT CAST(CONCAT('constraint ', c.table_name, '.', c.constraint_name, ' ', c.constraint_type,
        ' (', GROUP_CONCAT(k.column_name ORDER BY k.ordinal_position SEPARATOR ', '), ')',
        IF(MAX(k.referenced_table_name) IS NULL, '', CONCAT(
            ' REFERENCES ', MAX(k.referenced_table_name), ' (',
            GROUP_CONCAT(k.referenced_column_name ORDER BY k.ordinal_position SEPARATOR ', '), ')',
            -- MySQL calls the same rule NO ACTION that MariaDB calls RESTRICT.
            ' ON UPDATE ', REPLACE(MAX(r.update_rule), 'NO ACTION', 'RESTRICT'),
            ' ON DELETE ', REPLACE(MAX(r.delete_rule), 'NO ACTION', 'RESTRICT')))) AS CHAR)
    FROM information_schema.table_constraints c
    JOIN information_schema.key_column_usage k
      ON k.constraint_schema = c.constraint_schema AND k.constraint_name = c.constraint_name
     AND k.table_name = c.table_name
    LEFT JOIN information_schema.referential_constraints r
      ON r.constraint_schema = c.constraint_schema AND r.constraint_name = c.constraint_name
     AND r.table_name = c.table_name
    WHERE c.table_schema = database() AND c.constraint_type <> 'CHECK'
    GROUP BY c.table_name, c.constraint_name, c.constraint_type";

const MARIADB_CHECKS: &str = "
    SELECT CAST(CONCAT('constraint ', table_name, '.', constraint_name, ' CHECK (', check_clause, ')')
        AS CHAR)
    FROM information_schema.check_constraints WHERE constraint_schema = database()";

const MYSQL_CHECKS: &str = "
    SELECT CAST(CONCAT('constraint ', c.table_name, '.', c.constraint_name, ' CHECK ',
        k.check_clause, IF(c.enforced = 'YES', '', ' not-enforced')) AS CHAR)
    FROM information_schema.table_constraints c
    JOIN information_schema.check_constraints k
      ON k.constraint_schema = c.constraint_schema AND k.constraint_name = c.constraint_name
    WHERE c.table_schema = database() AND c.constraint_type = 'CHECK'";

const INDEXES: &str = "
    SELECT CAST(CONCAT('index ', table_name, '.', index_name, IF(MAX(non_unique) = 0, ' unique', ''),
        ' ', LOWER(MAX(index_type)), ' (', GROUP_CONCAT(
            CONCAT(COALESCE(column_name, '(expression)'),
                   IF(sub_part IS NULL, '', CONCAT('(', sub_part, ')')),
                   IF(collation = 'D', ' DESC', ''))
            ORDER BY seq_in_index SEPARATOR ', '), ')') AS CHAR)
    FROM information_schema.statistics WHERE table_schema = database()
    GROUP BY table_name, index_name";

const TRIGGERS: &str = "
    SELECT CAST(CONCAT('trigger ', event_object_table, '.', trigger_name, ' ', action_timing, ' ',
        event_manipulation, ' ', action_statement) AS CHAR)
    FROM information_schema.triggers WHERE trigger_schema = database()";

const ROUTINES: &str = "
    SELECT CAST(CONCAT(LOWER(routine_type), ' ', routine_name,
        COALESCE(CONCAT(' returns ', dtd_identifier), ''), ' as ', COALESCE(routine_definition, ''))
        AS CHAR)
    FROM information_schema.routines WHERE routine_schema = database()";

const VIEWS: &str = "
    SELECT CAST(CONCAT('view ', table_name, ' as ', view_definition) AS CHAR)
    FROM information_schema.views WHERE table_schema = database()";

fn columns(url: &str, mariadb: bool) -> Result<Vec<String>, AdminError> {
    let rows = rows(
        url,
        "SELECT CAST(table_name AS CHAR), CAST(column_name AS CHAR),
                CAST(ordinal_position AS CHAR), CAST(column_type AS CHAR),
                CAST(collation_name AS CHAR), CAST(is_nullable AS CHAR),
                CAST(column_default AS CHAR), CAST(extra AS CHAR),
                CAST(generation_expression AS CHAR), CAST(column_comment AS CHAR)
         FROM information_schema.columns WHERE table_schema = database()",
    )?;
    let lines = rows.into_iter().map(|row| {
        let mut cells = row.into_iter();
        let mut next = || cells.next().flatten();
        let mut text = || next().unwrap_or_default();
        let (table, column, at, ty) = (text(), text(), text(), plain_type(&text()));
        let mut line = format!("column {table}.{column} #{at} {ty}");
        let collation = text();
        if !collation.is_empty() {
            line = format!("{line} collate {collation}");
        }
        if text() == "NO" {
            line.push_str(" not null");
        }
        let default = next();
        let extra = next().unwrap_or_default().to_lowercase();
        if let Some(default) = default.as_deref().and_then(|d| plain_default(d, &extra, mariadb)) {
            line = format!("{line} default {default}");
        }
        let extra = plain_now(&extra.replace("default_generated", ""));
        if !extra.trim().is_empty() {
            line = format!("{line} {}", extra.trim());
        }
        for (word, value) in [("as", next()), ("comment", next())] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                line = format!("{line} {word} {}", literal(&value));
            }
        }
        line
    });
    Ok(lines.collect())
}

/// Drops the display width that MariaDB still prints; `tinyint(1)` is the boolean of both.
fn plain_type(ty: &str) -> String {
    let width =
        Regex::new(r"^(tinyint|smallint|mediumint|int|bigint)\((\d+)\)").expect("a pattern");
    match width.captures(ty) {
        Some(found) if &found[1] == "tinyint" && &found[2] == "1" => ty.to_owned(),
        Some(found) => ty.replacen(&found[0], &found[1], 1),
        None => ty.to_owned(),
    }
}

/// Writes a default as an expression: MySQL prints literals without their quotes.
fn plain_default(default: &str, extra: &str, mariadb: bool) -> Option<String> {
    let is_now = default.to_lowercase().starts_with("current_timestamp");
    if mariadb || is_now || extra.contains("default_generated") {
        return (default != "NULL").then(|| plain_now(default));
    }
    Some(if default.parse::<f64>().is_ok() { default.to_owned() } else { literal(default) })
}

/// Writes the current time as both products understand it.
fn plain_now(text: &str) -> String {
    let now = Regex::new(r"(?i)\bcurrent_timestamp\b(?:\(\))?").expect("a pattern");
    now.replace_all(text, "current_timestamp").into_owned()
}

/// Returns the query that prints each row of a table.
pub(super) fn data_sql(url: &str, table: &TableName) -> Result<String, AdminError> {
    let schema = table.schema.as_ref().map_or("database()".to_owned(), |s| literal(s.as_str()));
    let names = rows(
        url,
        &format!(
            "SELECT CAST(column_name AS CHAR), CAST(data_type AS CHAR)
             FROM information_schema.columns WHERE table_schema = {schema} AND table_name = {}
             ORDER BY CAST(column_name AS BINARY)",
            literal(table.name.as_str())
        ),
    )?;
    let parts: Vec<String> = names
        .into_iter()
        .map(|row| {
            let mut cells = row.into_iter().flatten();
            let (name, ty) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
            let column = text::quote(Backend::Mysql, &name);
            // Bytes that are no text in the connection's character set must not be converted.
            let is_bytes = ["binary", "blob", "bit", "geometry", "point", "polygon"]
                .iter()
                .any(|part| ty.contains(part));
            let value = if is_bytes { format!("HEX({column})") } else { column };
            format!("{}, QUOTE({value})", literal(&format!("{name}=")))
        })
        .map(|part| format!("CONCAT({part})"))
        .collect();
    let table = text::table(Backend::Mysql, table);
    Ok(format!("SELECT CAST(CONCAT_WS(' ', {}) AS CHAR) FROM {table}", parts.join(", ")))
}
