//! The backfill job's questions and changes as SQL.
//!
//! Pure like all rendering: a [`Fill`] and a place in the table in, SQL out. A row is pending while
//! the column is NULL and the expression yields a value; volatile expressions cannot be asked twice,
//! so for them every NULL is pending.

use std::fmt::Write as _;

use super::text::{self, Hole, SqlText};
use crate::{
    backend::Backend,
    contract::{Expr, SqlType},
    ident::{Ident, TableName},
    keys::{KeyColumn, KeyKind, KeyTuple, KeyValue},
    plan::facts::Volatility,
    row::Form,
};

/// Probabilities are written as so many of this.
pub const CERTAIN: u32 = 1_000_000;

/// What fills a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// The dialect.
    pub backend: Backend,
    /// The table.
    pub table: TableName,
    /// The column.
    pub column: Ident,
    /// Its type.
    pub ty: SqlType,
    /// Where the values come from.
    pub source: Source,
    /// How often the expression must be evaluated: volatile ones cannot be asked twice, and only
    /// immutable ones can be asked again later. The server cannot ask code at all: volatile.
    pub volatility: Volatility,
    /// Columns that are assigned to themselves, because else the server would change them.
    pub kept: Vec<Ident>,
}

/// Where the values of a column come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An expression over the row, which the server evaluates.
    Sql(Expr),
    /// Code of the application.
    Code {
        /// Its path, by which a job is known.
        path: String,
        /// What it reads of a row.
        inputs: Vec<Input>,
        /// The column's type without length, into which values are cast before they are assigned:
        /// a cast to `varchar(3)` would cut what an assignment refuses (PostgreSQL).
        cast: SqlText,
    },
}

/// A column that code reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its name.
    pub name: Ident,
    /// In which form.
    pub form: Form,
}

/// Rows that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// NULL.
    Empty,
    /// NULL, though the expression yields a value.
    Pending,
    /// With a value that is not what the expression yields; only immutable ones can be asked.
    Differing,
}

/// A part of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range<'a> {
    /// Blocks of one relation: the table or one of its partitions (PostgreSQL 14 and later).
    Pages {
        /// The relation.
        relation: &'a TableName,
        /// First block.
        from: u64,
        /// Block after the last one.
        to: u64,
    },
    /// Rows of one block by their number in it (PostgreSQL 14 and later).
    Slots {
        /// The relation.
        relation: &'a TableName,
        /// The block.
        block: u64,
        /// First number.
        from: u64,
        /// Number after the last one.
        to: u64,
    },
    /// Rows by a unique key.
    Keys {
        /// The key.
        key: &'a [KeyColumn],
        /// Rows after this one; all where it is missing.
        after: Option<&'a KeyTuple>,
        /// Up to and including this one; all where it is missing.
        to: Option<&'a KeyTuple>,
    },
}

impl Fill {
    /// Fills the pending rows of a range, each with a chance of `share` in [`CERTAIN`].
    ///
    /// The share is for PostgreSQL, where a page that is visited several times has room for its own
    /// rows: every visit updates some of them, and the next one finds the space of the dead ones.
    pub fn update(&self, range: Range<'_>, share: u32) -> SqlText {
        let some = self.some(share);
        text::sql(
            self.backend,
            "UPDATE {table} SET {set} WHERE {range} AND {pending}{some}",
            &[
                ("table", Hole::Sql(&self.relation(range))),
                ("set", Hole::Sql(&self.set())),
                ("range", Hole::Sql(&self.within(range))),
                ("pending", Hole::Sql(&self.pending())),
                ("some", Hole::Sql(&some)),
            ],
        )
    }

    /// Fills those pending rows of a range that nobody holds (PostgreSQL).
    pub fn update_free(&self, range: Range<'_>) -> SqlText {
        text::sql(
            self.backend,
            "UPDATE {table} SET {set} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {range} AND {pending} FOR NO KEY UPDATE SKIP LOCKED))",
            &[
                ("table", Hole::Sql(&self.relation(range))),
                ("set", Hole::Sql(&self.set())),
                ("range", Hole::Sql(&self.within(range))),
                ("pending", Hole::Sql(&self.pending())),
            ],
        )
    }

    /// Locks those pending rows of a range that nobody holds, and asks for their keys (PostgreSQL,
    /// MySQL, MariaDB).
    pub fn free_rows(&self, range: Range<'_>, key: &[KeyColumn]) -> SqlText {
        let lock = match self.backend {
            Backend::Postgres => "FOR NO KEY UPDATE",
            Backend::Mysql | Backend::Sqlite => "FOR UPDATE",
        };
        text::sql(
            self.backend,
            "SELECT {shown} FROM {table} WHERE {range} AND {pending} {lock} SKIP LOCKED",
            &[
                ("shown", Hole::Sql(&self.shown(key))),
                ("table", Hole::Sql(&self.relation(range))),
                ("range", Hole::Sql(&self.within(range))),
                ("pending", Hole::Sql(&self.pending())),
                ("lock", Hole::Words(lock)),
            ],
        )
    }

    /// Fills those of these rows that are pending.
    pub fn update_rows(&self, key: &[KeyColumn], rows: &[KeyTuple]) -> SqlText {
        let rows: Vec<SqlText> = rows
            .iter()
            .map(|tuple| {
                let values = key.iter().zip(&tuple.0).map(|(c, v)| constant(self.backend, c, v));
                SqlText::stored(format!("({})", values.collect::<Vec<_>>().join(", ")))
            })
            .collect();
        text::sql(
            self.backend,
            "UPDATE {table} SET {set} WHERE ({key}) IN ({rows}) AND {pending}",
            &[
                ("table", Hole::Table(&self.table)),
                ("set", Hole::Sql(&self.set())),
                ("key", Hole::Sql(&self.names(key))),
                ("rows", Hole::Sql(&text::join(&rows, ", "))),
                ("pending", Hole::Sql(&self.pending())),
            ],
        )
    }

    /// Asks whether any row of the whole table is pending, in one statement and so at one moment.
    pub fn any_pending(&self) -> SqlText {
        text::sql(
            self.backend,
            "SELECT EXISTS (SELECT 1 FROM {table} WHERE {pending})",
            &[("table", Hole::Table(&self.table)), ("pending", Hole::Sql(&self.pending()))],
        )
    }

    /// Fills pending rows of a relation wherever they lie, at most so many (PostgreSQL). Rows that
    /// move meanwhile are found where they are then.
    pub fn update_stragglers(&self, relation: &TableName, most: u64) -> SqlText {
        let all = Range::Pages { relation, from: 0, to: 1 };
        text::sql(
            self.backend,
            "UPDATE {table} SET {set} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {pending} LIMIT {most} FOR NO KEY UPDATE))",
            &[
                ("table", Hole::Sql(&self.relation(all))),
                ("set", Hole::Sql(&self.set())),
                ("pending", Hole::Sql(&self.pending())),
                ("most", Hole::Number(most)),
            ],
        )
    }

    /// Asks for four counts of a range: its rows, those that are NULL, those that are pending, and
    /// those whose value is not what the expression yields. The last is NULL where the expression
    /// is not immutable.
    pub fn compare(&self, range: Range<'_>) -> SqlText {
        let differing = match self.volatility {
            Volatility::Immutable => self.count_of(&self.differs()),
            Volatility::Stable | Volatility::Volatile | Volatility::Unknown => {
                text::sql(self.backend, "NULL", &[])
            }
        };
        text::sql(
            self.backend,
            "SELECT count(*), count(*) - count({column}), {pending}, {differing} FROM {table} WHERE {range}",
            &[
                ("column", Hole::Name(&self.column)),
                ("pending", Hole::Sql(&self.count_of(&self.pending()))),
                ("differing", Hole::Sql(&differing)),
                ("table", Hole::Sql(&self.relation(range))),
                ("range", Hole::Sql(&self.within(range))),
            ],
        )
    }

    /// Counts the rows for which a condition is true.
    pub(super) fn count_of(&self, condition: &SqlText) -> SqlText {
        let template = match self.backend {
            Backend::Postgres | Backend::Sqlite => "count(*) FILTER (WHERE {condition})",
            Backend::Mysql => "coalesce(sum({condition}), 0)",
        };
        text::sql(self.backend, template, &[("condition", Hole::Sql(condition))])
    }

    /// Computes the column anew in the rows of a range whose value is not what the expression
    /// yields; where it yields NULL, the value stays, because nothing would be left of it.
    pub fn recompute(&self, range: Range<'_>) -> SqlText {
        text::sql(
            self.backend,
            "UPDATE {table} SET {set} WHERE {range} AND {differs} AND {fill} IS NOT NULL",
            &[
                ("table", Hole::Sql(&self.relation(range))),
                ("set", Hole::Sql(&self.set())),
                ("range", Hole::Sql(&self.within(range))),
                ("differs", Hole::Sql(&self.differs())),
                ("fill", Hole::Expr(self.expr())),
            ],
        )
    }

    /// Asks for the keys of some rows of a range, at most so many; without a key, for their places.
    pub fn rows(&self, range: Range<'_>, which: Which, key: &[KeyColumn], most: u64) -> SqlText {
        let condition = match which {
            Which::Empty => self.sql("{column} IS NULL"),
            Which::Pending => self.pending(),
            Which::Differing => {
                text::join([&self.sql("{column} IS NOT NULL"), &self.differs()], " AND ")
            }
        };
        let order = match range {
            // Blocks are read in their order.
            Range::Pages { .. } | Range::Slots { .. } => text::sql(self.backend, "", &[]),
            Range::Keys { key, .. } => {
                let order = self.order(key, "");
                text::sql(self.backend, " ORDER BY {order}", &[("order", Hole::Sql(&order))])
            }
        };
        text::sql(
            self.backend,
            "SELECT {shown} FROM {table} WHERE {range} AND {condition}{order} LIMIT {most}",
            &[
                ("shown", Hole::Sql(&self.shown_or_place(key))),
                ("table", Hole::Sql(&self.relation(range))),
                ("range", Hole::Sql(&self.within(range))),
                ("condition", Hole::Sql(&condition)),
                ("order", Hole::Sql(&order)),
                ("most", Hole::Number(most)),
            ],
        )
    }

    /// Asks for the keys of rows that are NULL, at most so many; without a key, for their places.
    pub fn empty_rows(&self, key: &[KeyColumn], most: u64) -> SqlText {
        text::sql(
            self.backend,
            "SELECT {shown} FROM {table} WHERE {column} IS NULL LIMIT {most}",
            &[
                ("shown", Hole::Sql(&self.shown_or_place(key))),
                ("table", Hole::Table(&self.table)),
                ("column", Hole::Name(&self.column)),
                ("most", Hole::Number(most)),
            ],
        )
    }

    /// Asks for the keys of the rows of a range that are NULL; without a key, for their places.
    pub fn named(&self, range: Range<'_>, key: &[KeyColumn]) -> SqlText {
        text::sql(
            self.backend,
            "SELECT {shown} FROM {table} WHERE {range} AND {column} IS NULL",
            &[
                ("shown", Hole::Sql(&self.shown_or_place(key))),
                ("table", Hole::Sql(&self.relation(range))),
                ("range", Hole::Sql(&self.within(range))),
                ("column", Hole::Name(&self.column)),
            ],
        )
    }

    /// Computes what the rows of a range that are NULL would get, and changes nothing.
    pub fn compute(&self, range: Range<'_>) -> SqlText {
        let value = match self.backend {
            Backend::Postgres => {
                let holes = [("fill", Hole::Expr(self.expr())), ("type", Hole::Type(&self.ty))];
                text::sql(self.backend, "CAST({fill} AS {type})", &holes)
            }
            Backend::Mysql | Backend::Sqlite => self.sql("{fill}"),
        };
        text::sql(
            self.backend,
            "SELECT count({value}) FROM {table} WHERE {range} AND {column} IS NULL",
            &[
                ("value", Hole::Sql(&value)),
                ("table", Hole::Sql(&self.relation(range))),
                ("range", Hole::Sql(&self.within(range))),
                ("column", Hole::Name(&self.column)),
            ],
        )
    }

    /// Asks whether most of about `looks` of so many rows are NULL: of the first ones by key, and on
    /// PostgreSQL, where new versions of rows lie together, of some from everywhere.
    pub fn mostly_empty(&self, looks: u64, rows: u64) -> SqlText {
        let some = match self.backend {
            Backend::Postgres => {
                let percent = 100.0 * looks as f64 / rows.max(looks) as f64;
                SqlText::stored(format!("TABLESAMPLE SYSTEM ({percent}) LIMIT {}", looks * 2))
            }
            Backend::Mysql | Backend::Sqlite => SqlText::stored(format!("LIMIT {looks}")),
        };
        text::sql(
            self.backend,
            "SELECT count(looked.{column}) * 2 < count(*) FROM (SELECT {column} FROM {table} {some}) AS looked",
            &[
                ("table", Hole::Table(&self.table)),
                ("column", Hole::Name(&self.column)),
                ("some", Hole::Sql(&some)),
            ],
        )
    }

    /// Asks how many rows a range has.
    pub fn row_count(&self, range: Range<'_>) -> SqlText {
        text::sql(
            self.backend,
            "SELECT count(*) FROM {table} WHERE {range}",
            &[
                ("table", Hole::Sql(&self.relation(range))),
                ("range", Hole::Sql(&self.within(range))),
            ],
        )
    }

    /// Asks for the average size in bytes of what the expression yields for some rows on the first
    /// pages, and how many rows these have (PostgreSQL).
    pub fn sample(&self, relation: &TableName, pages: u64) -> SqlText {
        let pages = Range::Pages { relation, from: 0, to: pages };
        text::sql(
            self.backend,
            "SELECT coalesce((SELECT avg(pg_column_size(value)) FROM (SELECT CAST({fill} AS {type}) AS value FROM {table} WHERE {range} AND {column} IS NULL LIMIT 50) AS sampled), 0)::bigint, count(*) FROM {table} WHERE {range}",
            &[
                ("column", Hole::Name(&self.column)),
                ("fill", Hole::Expr(self.expr())),
                ("type", Hole::Type(&self.ty)),
                ("table", Hole::Sql(&self.relation(pages))),
                ("range", Hole::Sql(&self.within(pages))),
            ],
        )
    }

    /// As [`Self::sample`], without evaluating the expression: its size is NULL.
    pub fn count(&self, relation: &TableName, pages: u64) -> SqlText {
        let range = self.within(Range::Pages { relation, from: 0, to: pages });
        text::sql(
            self.backend,
            "SELECT NULL, count(*) FROM ONLY {table} WHERE {range}",
            &[("table", Hole::Table(relation)), ("range", Hole::Sql(&range))],
        )
    }

    /// Asks for the key of the row that is `count` rows further, none where fewer are left.
    pub fn key_after(&self, range: Range<'_>, count: u64) -> SqlText {
        let Range::Keys { key, .. } = range else { unreachable!("pages need no keys") };
        text::sql(
            self.backend,
            "SELECT {shown} FROM {table} WHERE {range} ORDER BY {order} LIMIT 1 OFFSET {count}",
            &[
                ("shown", Hole::Sql(&self.shown(key))),
                ("table", Hole::Table(&self.table)),
                ("range", Hole::Sql(&self.within(range))),
                ("order", Hole::Sql(&self.order(key, ""))),
                ("count", Hole::Number(count.saturating_sub(1))),
            ],
        )
    }

    /// Asks for the largest key.
    pub fn last_key(&self, key: &[KeyColumn]) -> SqlText {
        text::sql(
            self.backend,
            "SELECT {shown} FROM {table} ORDER BY {order} LIMIT 1",
            &[
                ("shown", Hole::Sql(&self.shown(key))),
                ("table", Hole::Table(&self.table)),
                ("order", Hole::Sql(&self.order(key, " DESC"))),
            ],
        )
    }

    fn sql(&self, template: &'static str) -> SqlText {
        let mut holes = vec![("column", Hole::Name(&self.column))];
        if let Source::Sql(expr) = &self.source {
            holes.push(("fill", Hole::Expr(expr)));
        }
        text::sql(self.backend, template, &holes)
    }

    pub(super) fn expr(&self) -> &Expr {
        let Source::Sql(expr) = &self.source else { unreachable!("code is no expression") };
        expr
    }

    /// What an UPDATE assigns.
    fn set(&self) -> SqlText {
        text::join([&self.sql("{column} = {fill}"), &self.kept_too()], "")
    }

    /// Columns that keep their values because they are assigned to themselves.
    pub(super) fn kept_too(&self) -> SqlText {
        let kept = self.kept.iter().map(|name| {
            text::sql(self.backend, ", {name} = {name}", &[("name", Hole::Name(name))])
        });
        text::join(&kept.collect::<Vec<_>>(), "")
    }

    pub(super) fn pending(&self) -> SqlText {
        match self.volatility {
            Volatility::Immutable | Volatility::Stable => {
                self.sql("{column} IS NULL AND {fill} IS NOT NULL")
            }
            Volatility::Volatile | Volatility::Unknown => self.sql("{column} IS NULL"),
        }
    }

    /// The condition of a chance.
    pub(super) fn some(&self, share: u32) -> SqlText {
        let some =
            if share >= CERTAIN { String::new() } else { format!(" AND random() < 0.{share:06}") };
        SqlText::stored(some)
    }

    /// Both sides as text where the type has no equality.
    fn differs(&self) -> SqlText {
        let holes = [
            ("column", Hole::Name(&self.column)),
            ("fill", Hole::Expr(self.expr())),
            ("type", Hole::Type(&self.ty)),
        ];
        let template = match self.backend {
            Backend::Postgres if has_equality(&self.ty) => {
                "{column} IS DISTINCT FROM CAST({fill} AS {type})"
            }
            Backend::Postgres => {
                "CAST({column} AS text) IS DISTINCT FROM CAST(CAST({fill} AS {type}) AS text)"
            }
            Backend::Mysql => "NOT ({column} <=> {fill})",
            Backend::Sqlite => "{column} IS NOT {fill}",
        };
        text::sql(self.backend, template, &holes)
    }

    pub(super) fn relation(&self, range: Range<'_>) -> SqlText {
        match range {
            Range::Pages { relation, .. } | Range::Slots { relation, .. } => {
                // The expression may name the table, whose partitions have other names.
                let holes =
                    [("relation", Hole::Table(relation)), ("name", Hole::Name(&self.table.name))];
                text::sql(self.backend, "ONLY {relation} AS {name}", &holes)
            }
            Range::Keys { .. } => {
                text::sql(self.backend, "{table}", &[("table", Hole::Table(&self.table))])
            }
        }
    }

    pub(super) fn within(&self, range: Range<'_>) -> SqlText {
        match range {
            Range::Pages { from, to, .. } => text::sql(
                self.backend,
                "ctid >= '({from},0)' AND ctid < '({to},0)'",
                &[("from", Hole::Number(from)), ("to", Hole::Number(to))],
            ),
            Range::Slots { block, from, to, .. } => text::sql(
                self.backend,
                "ctid >= '({block},{from})' AND ctid < '({block},{to})'",
                &[
                    ("block", Hole::Number(block)),
                    ("from", Hole::Number(from)),
                    ("to", Hole::Number(to)),
                ],
            ),
            Range::Keys { key, after, to } => {
                let mut terms = Vec::new();
                terms.extend(after.map(|tuple| self.beyond(key, tuple, Side::After)));
                terms.extend(to.map(|tuple| self.beyond(key, tuple, Side::UpTo)));
                if terms.is_empty() {
                    return text::sql(self.backend, "1 = 1", &[]);
                }
                text::join(&terms, " AND ")
            }
        }
    }

    fn beyond(&self, key: &[KeyColumn], tuple: &KeyTuple, side: Side) -> SqlText {
        let names: Vec<String> =
            key.iter().map(|column| text::name(self.backend, &column.name)).collect();
        let values: Vec<String> = key
            .iter()
            .zip(&tuple.0)
            .map(|(column, value)| constant(self.backend, column, value))
            .collect();
        let (strict, weak) = match side {
            Side::After => (">", ">"),
            Side::UpTo => ("<", "<="),
        };
        let sql = match (names.as_slice(), self.backend) {
            ([name], _) => format!("{name} {weak} {}", values[0]),
            (_, Backend::Postgres | Backend::Sqlite) => {
                format!("({}) {weak} ({})", names.join(", "), values.join(", "))
            }
            // MySQL finds no index range in a comparison of rows; the first term gives it one.
            (_, Backend::Mysql) => {
                let bound = if side == Side::After { ">=" } else { "<=" };
                let mut sql = format!("{} {bound} {} AND (", names[0], values[0]);
                for at in 0..names.len() {
                    let operator = if at + 1 == names.len() { weak } else { strict };
                    for before in 0..at {
                        let _ = write!(sql, "{} = {} AND ", names[before], values[before]);
                    }
                    let _ = write!(sql, "{} {operator} {}", names[at], values[at]);
                    if at + 1 < names.len() {
                        sql.push_str(" OR ");
                    }
                }
                sql + ")"
            }
        };
        SqlText::stored(sql)
    }

    fn names(&self, key: &[KeyColumn]) -> SqlText {
        let names = key.iter().map(|column| text::name(self.backend, &column.name));
        SqlText::stored(names.collect::<Vec<_>>().join(", "))
    }

    /// With the table's name: a bare one would mean the key's text where that is what is selected,
    /// and texts have another order.
    fn order(&self, key: &[KeyColumn], direction: &str) -> SqlText {
        let table = text::name(self.backend, &self.table.name);
        let name = |column: &KeyColumn| text::name(self.backend, &column.name);
        let names = key.iter().map(|column| format!("{table}.{}{direction}", name(column)));
        SqlText::stored(names.collect::<Vec<_>>().join(", "))
    }

    /// By what a row is named: its key, or its place where it has none.
    fn shown_or_place(&self, key: &[KeyColumn]) -> SqlText {
        match (key, self.backend) {
            ([], Backend::Postgres) => text::sql(self.backend, "ctid", &[]),
            ([], _) => text::sql(self.backend, "NULL", &[]),
            (key, _) => self.shown(key),
        }
    }

    /// The key's values as text from which [`constant`] makes the same values again.
    pub(super) fn shown(&self, key: &[KeyColumn]) -> SqlText {
        let shown = key.iter().map(|column| {
            let name = text::name(self.backend, &column.name);
            match (self.backend, column.kind) {
                (Backend::Postgres, _) => format!("{name}::text"),
                (Backend::Mysql, KeyKind::Bytes) => format!("hex({name})"),
                // These compare and sort as numbers, and print otherwise.
                (Backend::Mysql, KeyKind::Number)
                    if matches!(column.ty.as_str(), "enum" | "set" | "bit") =>
                {
                    format!("{name} + 0")
                }
                (Backend::Mysql, KeyKind::Integer | KeyKind::Number | KeyKind::Text) => name,
                // `quote` ends a text at a NUL.
                (Backend::Sqlite, _) => format!(
                    "CASE typeof({name}) WHEN 'text' THEN 't' || hex({name}) ELSE quote({name}) END"
                ),
            }
        });
        SqlText::stored(shown.collect::<Vec<_>>().join(", "))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    After,
    UpTo,
}

/// Writes a value of a key as a literal of the column's type.
pub(super) fn constant(backend: Backend, column: &KeyColumn, value: &KeyValue) -> String {
    match (value, backend) {
        (KeyValue::Number(number), _) => number.clone(),
        (KeyValue::Text(text), Backend::Postgres) => {
            format!("CAST({} AS {})", text::exact_literal(backend, text), column.ty)
        }
        (KeyValue::Text(text), Backend::Sqlite) if text.contains('\0') => {
            let hex: Vec<String> = text.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("CAST(x'{}' AS TEXT)", hex.concat())
        }
        (KeyValue::Text(text), _) => text::exact_literal(backend, text),
        (KeyValue::Bytes(hex), _) => format!("x'{hex}'"),
    }
}

/// Types of PostgreSQL without an operator for equality, which `IS DISTINCT FROM` needs.
fn has_equality(ty: &SqlType) -> bool {
    let name = ty.as_str().trim_end_matches("[]").to_ascii_lowercase();
    !matches!(name.as_str(), "json" | "xml" | "point" | "polygon" | "path" | "line")
}
