//! The values that go with a column when it is dropped, as SQL that finds them and puts them back.
//!
//! A value is lost unless the fill yields the very same one again. What an engine takes for equal
//! is not the same: collations pass over case, and numbers over zeros at their end.

use std::slice;

use super::{
    backfill::{Fill, Range, Source, constant},
    text::{self, Hole, SqlText},
};
use crate::{
    backend::Backend,
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
