//! The values that go with a column when it is dropped, as SQL that finds them and puts them back.
//!
//! A value is lost unless the fill yields the very same one again. What an engine takes for equal
//! is not the same: collations pass over case, and numbers over zeros at their end.

use std::{slice, time::Duration};

use super::{
    backfill::{Fill, Range, Source, constant},
    text::{self, Hole, SqlText},
};
use crate::{
    backend::Backend,
    ident::Ident,
    keys::{KeyColumn, KeyValue},
    plan::facts::Volatility,
};

/// Types of MySQL and MariaDB whose values are compared by a collation.
const TEXTS: &[&str] =
    &["char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"];

impl Fill {
    /// Reports whether nothing is what fills the column.
    pub fn is_null(&self) -> bool {
        matches!(&self.source, Source::Sql(expr) if expr.is_null())
    }

    /// Asks for two counts of a range: its rows, and those whose value would be lost.
    pub fn count_lost(&self, range: Range<'_>, value: &KeyColumn) -> SqlText {
        text::sql(
            self.backend,
            "SELECT count(*), {lost} FROM {table} WHERE {range}",
            &[
                ("lost", Hole::Sql(&self.count_of(&self.lost(value)))),
                ("table", Hole::Sql(&self.relation(range))),
                ("range", Hole::Sql(&self.within(range))),
            ],
        )
    }

    /// Asks for the rows of a range whose value would be lost: their keys, then their values.
    pub fn lost_rows(&self, range: Range<'_>, key: &[KeyColumn], value: &KeyColumn) -> SqlText {
        text::sql(
            self.backend,
            "SELECT {key}, {value} FROM {table} WHERE {range} AND {lost}",
            &[
                ("key", Hole::Sql(&self.shown(key))),
                ("value", Hole::Sql(&self.shown_value(value))),
                ("table", Hole::Sql(&self.relation(range))),
                ("range", Hole::Sql(&self.within(range))),
                ("lost", Hole::Sql(&self.lost(value))),
            ],
        )
    }

    /// Begins a transaction that drops the column: takes the table's lock, then stops with a message
    /// where a row would lose its value. On PostgreSQL each of the two has its time; on SQLite nobody
    /// else writes anyway.
    pub fn stop_where_lost(
        &self,
        value: &KeyColumn,
        message: &str,
        [wait, look]: [Duration; 2],
    ) -> SqlText {
        let lost = self.lost(value);
        let guard = Ident::derived(&["newcol_guard"]);
        let stop = Ident::derived(&[message]);
        let tag = ["$newcol$", "$newcol1$", "$newcol2$", "$newcol3$"]
            .into_iter()
            .find(|tag| !lost.as_str().contains(tag))
            .unwrap_or("$newcol4$");
        let milliseconds = |time: Duration| {
            Hole::Number(u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1))
        };
        let holes = [
            ("table", Hole::Table(&self.table)),
            ("lost", Hole::Sql(&lost)),
            ("message", Hole::Literal(message)),
            ("wait", milliseconds(wait)),
            ("look", milliseconds(look)),
            ("tag", Hole::Words(tag)),
            ("guard", Hole::Name(&guard)),
            ("stop", Hole::Name(&stop)),
        ];
        let template = match self.backend {
            Backend::Postgres => {
                "SELECT set_config('lock_timeout', '{wait}', true), set_config('row_security', 'off', true);
LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;
SELECT set_config('statement_timeout', '{look}', true);
DO {tag}
BEGIN
  IF EXISTS (SELECT 1 FROM {table} WHERE {lost}) THEN
    RAISE EXCEPTION USING MESSAGE = {message};
  END IF;
END
{tag};
SELECT set_config('statement_timeout', '0', true);
"
            }
            Backend::Sqlite => {
                "CREATE TEMP TABLE {guard} (lost INTEGER CONSTRAINT {stop} CHECK (lost = 0));
INSERT INTO temp.{guard} SELECT EXISTS (SELECT 1 FROM {table} WHERE {lost});
DROP TABLE temp.{guard};
"
            }
            // What drops the column there is no part of a transaction.
            Backend::Mysql => "",
        };
        text::sql(self.backend, template, &holes)
    }

    /// Locks the table and others for this session alone, until it unlocks all of them (MariaDB).
    pub fn lock_with(&self, others: &[&str]) -> SqlText {
        let others = others.iter().map(|name| format!(", {name} WRITE")).collect::<String>();
        text::sql(
            self.backend,
            "LOCK TABLES {table} WRITE{others}",
            &[("table", Hole::Table(&self.table)), ("others", Hole::Sql(&SqlText::stored(others)))],
        )
    }

    /// Asks whether any row would lose its value.
    pub fn is_any_lost(&self, value: &KeyColumn) -> SqlText {
        text::sql(
            self.backend,
            "SELECT EXISTS (SELECT 1 FROM {table} WHERE {lost})",
            &[("table", Hole::Table(&self.table)), ("lost", Hole::Sql(&self.lost(value)))],
        )
    }

    /// Puts a value back into its row.
    pub fn put_back(
        &self,
        key: &[KeyColumn],
        row: &[KeyValue],
        value: (&KeyColumn, &KeyValue),
    ) -> SqlText {
        let parts = key.iter().zip(row).map(|(column, part)| {
            let name = text::name(self.backend, &column.name);
            format!("{name} = {}", constant(self.backend, column, part))
        });
        let row = SqlText::stored(parts.collect::<Vec<_>>().join(" AND "));
        let value = SqlText::stored(constant(self.backend, value.0, value.1));
        text::sql(
            self.backend,
            "UPDATE {table} SET {column} = {value} WHERE {row}",
            &[
                ("table", Hole::Table(&self.table)),
                ("column", Hole::Name(&self.column)),
                ("value", Hole::Sql(&value)),
                ("row", Hole::Sql(&row)),
            ],
        )
    }

    /// The value as text from which [`constant`] makes the very same one again.
    fn shown_value(&self, value: &KeyColumn) -> SqlText {
        let name = text::name(self.backend, &value.name);
        match (self.backend, value.ty.as_str()) {
            (Backend::Mysql, "enum" | "set") => SqlText::stored(name),
            // It is printed with six digits, of which it has more.
            (Backend::Mysql, "float") => SqlText::stored(format!("{name} + 0e0")),
            _ => self.shown(slice::from_ref(value)),
        }
    }

    /// The condition of rows whose value would be lost.
    fn lost(&self, value: &KeyColumn) -> SqlText {
        let is_there = text::sql(
            self.backend,
            "{column} IS NOT NULL",
            &[("column", Hole::Name(&self.column))],
        );
        match self.volatility {
            Volatility::Immutable => text::join([&is_there, &self.is_another(value)], " AND "),
            Volatility::Stable | Volatility::Volatile | Volatility::Unknown => is_there,
        }
    }

    /// Whether the value is not the very one that the expression yields.
    fn is_another(&self, value: &KeyColumn) -> SqlText {
        let holes = [
            ("column", Hole::Name(&self.column)),
            ("fill", Hole::Expr(self.expr())),
            ("type", Hole::Type(&self.ty)),
        ];
        let template = match self.backend {
            Backend::Postgres => {
                "CAST({column} AS text) IS DISTINCT FROM CAST(CAST({fill} AS {type}) AS text)"
            }
            Backend::Mysql if TEXTS.contains(&value.ty.as_str()) => {
                "NOT (CAST(CONVERT({column} USING utf8mb4) AS BINARY) <=> CAST(CONVERT({fill} USING utf8mb4) AS BINARY))"
            }
            Backend::Mysql => "NOT ({column} <=> {fill})",
            Backend::Sqlite => "{column} COLLATE BINARY IS NOT {fill}",
        };
        text::sql(self.backend, template, &holes)
    }
}
