//! Rows for application code and the values that it computed, as SQL.
//!
//! Pure like all rendering. Every row is read with a mark by which the server tells later whether it
//! is still the same: on PostgreSQL the place and the transaction of its version, elsewhere what the
//! code read of it, made by one expression both times. An UPDATE joins the values by that mark, so a
//! row that changed meanwhile is left alone.

use std::fmt::Write as _;

use super::{
    backfill::{Fill, Input, Range, Source, constant},
    text::{self, Hole, SqlText, exact_literal},
};
use crate::{
    backend::{Backend, Product},
    keys::{KeyColumn, KeyTuple},
    row::{Form, Value},
};

/// Rows and bytes of one statement: small enough for every server's limit on statements.
const MOST_ROWS: usize = 2_000;
const MOST_BYTES: usize = 500_000;

/// Which rows are meant.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'a> {
    /// All of a range.
    Within(Range<'a>),
    /// Those with these keys, at least one.
    These(&'a [KeyColumn], &'a [KeyTuple]),
}

/// Who else may hold the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Rows that others hold are waited for.
    Wait,
    /// They are left out (PostgreSQL).
    Skip,
}

/// A value for a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Computed<'a> {
    /// The row's key; none where the table has none.
    pub key: &'a KeyTuple,
    /// Its mark, as it was read.
    pub mark: &'a str,
    /// The value.
    pub value: &'a Value,
}

/// A value that the engine has no literal for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{backend} has no {what}")]
pub struct NoLiteral {
    /// The engine.
    pub backend: Backend,
    /// What it does not have.
    pub what: &'static str,
}

impl Fill {
    /// Asks for the pending rows, each with a chance of `share`: columns of the key, the mark, and
    /// what the code reads. At most so many where that is given.
    pub fn read(
        &self,
        key: &[KeyColumn],
        rows: Rows<'_>,
        share: u32,
        most: Option<u64>,
    ) -> SqlText {
        let mut shown = Vec::new();
        if !key.is_empty() {
            shown.push(self.shown(key));
        }
        shown.push(self.shown_mark(key));
        shown.extend(self.inputs().iter().map(|input| self.shown_input(input)));
        let limit = most.map_or_else(
            || text::sql(self.backend, "", &[]),
            |most| text::sql(self.backend, " LIMIT {most}", &[("most", Hole::Number(most))]),
        );
        text::sql(
            self.backend,
            "SELECT {shown} FROM {table} WHERE {rows} AND {pending}{some}{limit}",
            &[
                ("shown", Hole::Sql(&text::join(&shown, ", "))),
                ("table", Hole::Sql(&self.table_of(rows))),
                ("rows", Hole::Sql(&self.meant(rows))),
                ("pending", Hole::Sql(&self.pending())),
                ("some", Hole::Sql(&self.some(share))),
                ("limit", Hole::Sql(&limit)),
            ],
        )
    }

    /// Counts those of the rows that are still pending.
    pub fn still_pending(&self, rows: Rows<'_>) -> SqlText {
        text::sql(
            self.backend,
            "SELECT count(*) FROM {table} WHERE {rows} AND {pending}",
            &[
                ("table", Hole::Sql(&self.table_of(rows))),
                ("rows", Hole::Sql(&self.meant(rows))),
                ("pending", Hole::Sql(&self.pending())),
            ],
        )
    }

    /// Gives rows their values, as far as they are pending and did not change since they were read.
    pub fn assign(
        &self,
        product: Product,
        key: &[KeyColumn],
        rows: Rows<'_>,
        values: &[Computed<'_>],
        held: Held,
    ) -> Result<Vec<SqlText>, NoLiteral> {
        let mut statements = Vec::new();
        let (mut list, mut bytes) = (Vec::new(), 0);
        for computed in values {
            let row = self.listed(product, key, computed, list.is_empty())?;
            bytes += row.as_str().len();
            list.push(row);
            if list.len() >= MOST_ROWS || bytes >= MOST_BYTES {
                statements.push(self.update_listed(product, key, rows, &list, held));
                list.clear();
                bytes = 0;
            }
        }
        if !list.is_empty() {
            statements.push(self.update_listed(product, key, rows, &list, held));
        }
        Ok(statements)
    }

    fn update_listed(
        &self,
        product: Product,
        key: &[KeyColumn],
        rows: Rows<'_>,
        list: &[SqlText],
        held: Held,
    ) -> SqlText {
        let list = text::join(list, ", ");
        let (table, meant) = (self.table_of(rows), self.meant(rows));
        let (mark, pending, kept) = (self.mark(key), self.pending(), self.kept_too());
        let (same_key, key_names) = self.same_key(key);
        let free = match held {
            Held::Wait => text::sql(self.backend, "", &[]),
            Held::Skip => text::sql(
                self.backend,
                " AND ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {rows} AND {pending} FOR NO KEY UPDATE SKIP LOCKED))",
                &[
                    ("table", Hole::Sql(&table)),
                    ("rows", Hole::Sql(&meant)),
                    ("pending", Hole::Sql(&pending)),
                ],
            ),
        };
        let cast = self.cast();
        let template = match product {
            Product::Postgres => {
                "UPDATE {table} SET {column} = CAST(__newcol_value AS {cast}){kept} FROM (VALUES {list}) AS __newcol (__newcol_table, __newcol_at, __newcol_by, __newcol_value) WHERE {rows} AND {pending} AND tableoid = __newcol_table AND ctid = __newcol_at AND xmin = __newcol_by{free}"
            }
            // The server's own column names of a list of values differ between the two.
            Product::Mariadb => {
                "UPDATE {table} JOIN (WITH __newcol_list (__newcol_mark, __newcol_value) AS (VALUES {list}) SELECT * FROM __newcol_list) AS __newcol ON __newcol_mark = {mark} SET {column} = __newcol_value{kept} WHERE {rows} AND {pending}"
            }
            Product::Mysql => {
                "UPDATE {table} JOIN (VALUES {list}) AS __newcol (__newcol_mark, __newcol_value) ON __newcol_mark = {mark} SET {column} = __newcol_value{kept} WHERE {rows} AND {pending}"
            }
            Product::Sqlite => {
                "WITH __newcol ({keys}__newcol_mark, __newcol_value) AS (VALUES {list}) UPDATE {table} SET {column} = __newcol_value{kept} FROM __newcol WHERE {rows} AND {same}__newcol_mark = {mark} AND {pending}"
            }
        };
        text::sql(
            self.backend,
            template,
            &[
                ("table", Hole::Sql(&table)),
                ("column", Hole::Name(&self.column)),
                ("cast", Hole::Sql(&cast)),
                ("kept", Hole::Sql(&kept)),
                ("list", Hole::Sql(&list)),
                ("rows", Hole::Sql(&meant)),
                ("pending", Hole::Sql(&pending)),
                ("mark", Hole::Sql(&mark)),
                ("keys", Hole::Sql(&key_names)),
                ("same", Hole::Sql(&same_key)),
                ("free", Hole::Sql(&free)),
            ],
        )
    }

    /// One row of the list of values. The first one of a list tells PostgreSQL the types.
    fn listed(
        &self,
        product: Product,
        key: &[KeyColumn],
        computed: &Computed<'_>,
        is_first: bool,
    ) -> Result<SqlText, NoLiteral> {
        let Computed { key: tuple, mark, value } = computed;
        let backend = self.backend;
        let value = literal(backend, value)?;
        let sql = match product {
            Product::Postgres => {
                let types = if is_first { ["::oid", "::tid", "::xid"] } else { [""; 3] };
                let mut parts = mark.splitn(3, ' ').zip(types);
                let mut part = || {
                    let (part, ty) = parts.next().unwrap_or_default();
                    format!("{}{ty}", exact_literal(backend, part))
                };
                format!("({}, {}, {}, {value})", part(), part(), part())
            }
            Product::Mariadb => format!("({}, {value})", hex_literal(mark)),
            Product::Mysql => format!("ROW({}, {value})", hex_literal(mark)),
            Product::Sqlite => {
                let mut sql = "(".to_owned();
                for (column, value) in key.iter().zip(&tuple.0) {
                    sql.push_str(&constant(backend, column, value));
                    sql.push_str(", ");
                }
                sql + &exact_literal(backend, mark) + ", " + &value + ")"
            }
        };
        Ok(SqlText::stored(sql))
    }

    fn inputs(&self) -> &[Input] {
        match &self.source {
            Source::Code { inputs, .. } => inputs,
            Source::Sql(_) => &[],
        }
    }

    fn cast(&self) -> SqlText {
        match &self.source {
            Source::Code { cast, .. } => cast.clone(),
            Source::Sql(_) => unreachable!("the server computes what is SQL"),
        }
    }

    fn shown_input(&self, input: &Input) -> SqlText {
        let template = match (input.form, self.backend) {
            (Form::Text, _) => "{name}",
            (Form::Bytes, Backend::Postgres) => "encode({name}, 'hex')",
            // SQLite's hex() makes NULL empty.
            (Form::Bytes, Backend::Sqlite) => "CASE WHEN {name} IS NOT NULL THEN hex({name}) END",
            (Form::Bytes, Backend::Mysql) => "hex({name})",
        };
        text::sql(self.backend, template, &[("name", Hole::Name(&input.name))])
    }

    /// The mark as text.
    fn shown_mark(&self, key: &[KeyColumn]) -> SqlText {
        match self.backend {
            Backend::Postgres => {
                text::sql(self.backend, "concat(tableoid::oid, ' ', ctid, ' ', xmin)", &[])
            }
            Backend::Mysql => {
                text::sql(self.backend, "hex({mark})", &[("mark", Hole::Sql(&self.mark(key)))])
            }
            Backend::Sqlite => self.mark(key),
        }
    }

    /// What the code read of a row, in one value that compares byte by byte.
    fn mark(&self, key: &[KeyColumn]) -> SqlText {
        let name = |name| text::name(self.backend, name);
        let inputs = self.inputs().iter().map(|input| name(&input.name));
        let sql = match self.backend {
            // The row's version has a mark of its own.
            Backend::Postgres => String::new(),
            // With the key, because rows are found by it. A digest of each, because columns of
            // different character sets cannot be joined, and long ones only up to a limit.
            Backend::Mysql => {
                let of = |name| format!("coalesce(sha1(concat({name})), '-')");
                let keys = key.iter().map(|column| name(&column.name));
                let all: Vec<String> = keys.chain(inputs).map(of).collect();
                format!("unhex(sha1(concat_ws(',', {})))", all.join(", "))
            }
            Backend::Sqlite => {
                let all: Vec<String> = inputs.map(|name| format!("quote({name})")).collect();
                if all.is_empty() { "''".to_owned() } else { all.join(" || ',' || ") }
            }
        };
        SqlText::stored(sql)
    }

    /// SQLite finds rows by their key: the condition, and the names of the list's columns.
    fn same_key(&self, key: &[KeyColumn]) -> (SqlText, SqlText) {
        let table = text::name(self.backend, &self.table.name);
        let (mut same, mut names) = (String::new(), String::new());
        if self.backend == Backend::Sqlite {
            for (at, column) in key.iter().enumerate() {
                let name = text::name(self.backend, &column.name);
                let _ = write!(same, "{table}.{name} = __newcol_key{at} AND ");
                let _ = write!(names, "__newcol_key{at}, ");
            }
        }
        (SqlText::stored(same), SqlText::stored(names))
    }

    fn table_of(&self, rows: Rows<'_>) -> SqlText {
        match rows {
            Rows::Within(range) => self.relation(range),
            // A row that changed may be in another partition.
            Rows::These(..) => {
                text::sql(self.backend, "{table}", &[("table", Hole::Table(&self.table))])
            }
        }
    }

    fn meant(&self, rows: Rows<'_>) -> SqlText {
        let (key, tuples) = match rows {
            Rows::Within(range) => return self.within(range),
            Rows::These(key, tuples) => (key, tuples),
        };
        let names: Vec<String> =
            key.iter().map(|column| text::name(self.backend, &column.name)).collect();
        let tuple = |tuple: &KeyTuple| {
            let values = key.iter().zip(&tuple.0);
            let values = values.map(|(column, value)| constant(self.backend, column, value));
            values.collect::<Vec<_>>().join(", ")
        };
        let tuples = tuples.iter().map(tuple);
        let sql = match (names.as_slice(), self.backend) {
            ([name], _) => format!("{name} IN ({})", tuples.collect::<Vec<_>>().join(", ")),
            (names, backend) => {
                let tuples: Vec<String> = tuples.map(|tuple| format!("({tuple})")).collect();
                // SQLite compares rows with those of a query only.
                let word = if backend == Backend::Sqlite { "VALUES " } else { "" };
                format!("({}) IN ({word}{})", names.join(", "), tuples.join(", "))
            }
        };
        SqlText::stored(sql)
    }
}

fn hex_literal(digits: &str) -> String {
    format!("x'{digits}'")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a computed value. PostgreSQL takes all of them as text and casts it; the others convert
/// by the literal's kind.
fn literal(backend: Backend, value: &Value) -> Result<String, NoLiteral> {
    let none = |what| Err(NoLiteral { backend, what });
    match (value, backend) {
        (Value::Bool(value), Backend::Postgres) => Ok(exact_literal(backend, &value.to_string())),
        (Value::Bool(value), _) => Ok(u8::from(*value).to_string()),
        (Value::Int(number), Backend::Postgres) => Ok(exact_literal(backend, &number.to_string())),
        (Value::Int(number), _) => Ok(number.to_string()),
        (Value::Float(number), Backend::Postgres) => {
            Ok(exact_literal(backend, &number.to_string()))
        }
        (Value::Float(number), _) if number.is_finite() => Ok(format!("{number:e}")),
        (Value::Float(_), _) => none("number that is infinite or not one"),
        (Value::Text(text), Backend::Postgres) if text.contains('\0') => {
            none("text with the character U+0000")
        }
        (Value::Text(text), Backend::Sqlite) if text.contains('\0') => {
            Ok(format!("CAST(x'{}' AS text)", hex(text.as_bytes())))
        }
        (Value::Text(text), _) => Ok(exact_literal(backend, text)),
        (Value::Bytes(bytes), Backend::Postgres) => {
            Ok(exact_literal(backend, &format!("\\x{}", hex(bytes))))
        }
        (Value::Bytes(bytes), _) => Ok(hex_literal(&hex(bytes))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::SqlType,
        ident::Ident,
        keys::{KeyKind, KeyValue},
        plan::facts::Volatility,
    };

    fn name(text: &str) -> Ident {
        Ident::new(text).unwrap()
    }

    fn fill(product: Product) -> Fill {
        let input = |text: &str, form| Input { name: name(text), form };
        Fill {
            backend: match product {
                Product::Postgres => Backend::Postgres,
                Product::Mariadb | Product::Mysql => Backend::Mysql,
                Product::Sqlite => Backend::Sqlite,
            },
            table: "users".parse().unwrap(),
            column: name("badge"),
            ty: SqlType::new("varchar(9)"),
            source: Source::Code {
                path: "crate::badge".to_owned(),
                inputs: vec![input("name", Form::Text), input("image", Form::Bytes)],
                cast: SqlText::stored("character varying"),
            },
            volatility: Volatility::Volatile,
            kept: vec![name("at")],
        }
    }

    #[test]
    fn rows_are_read_with_a_mark_and_written_by_it() {
        let kind = KeyKind::Number;
        let column = |text: &str| KeyColumn { name: name(text), ty: "bigint".to_owned(), kind };
        let key = [column("a"), column("b")];
        let tuple =
            KeyTuple(vec![KeyValue::Number("1".to_owned()), KeyValue::Number("2".to_owned())]);
        let tuples = [tuple.clone()];
        let rows = Rows::These(&key, &tuples);
        let mut sql = Vec::new();
        for product in [Product::Postgres, Product::Mariadb, Product::Mysql, Product::Sqlite] {
            let fill = fill(product);
            let mark = if product == Product::Postgres { "16384 (0,1) 735" } else { "00ff" };
            let value = Value::text("it's");
            let computed = [Computed { key: &tuple, mark, value: &value }];
            sql.push(fill.read(&key, rows, super::super::backfill::CERTAIN, Some(5)));
            sql.extend(fill.assign(product, &key, rows, &computed, Held::Wait).unwrap());
        }
        let fill = fill(Product::Postgres);
        let range = Range::Pages { relation: &fill.table, from: 0, to: 8 };
        let value = Value::Bytes(vec![0, 255]);
        let computed = [
            Computed { key: &tuple, mark: "1 (0,1) 7", value: &value },
            Computed { key: &tuple, mark: "1 (0,2) 7", value: &value },
        ];
        let rows = Rows::Within(range);
        sql.extend(fill.assign(Product::Postgres, &key, rows, &computed, Held::Skip).unwrap());
        let sql: Vec<&str> = sql.iter().map(SqlText::as_str).collect();
        insta::assert_snapshot!(sql.join("\n"), @r#"
        SELECT "a"::text, "b"::text, concat(tableoid::oid, ' ', ctid, ' ', xmin), "name", encode("image", 'hex') FROM "users" WHERE ("a", "b") IN ((1, 2)) AND "badge" IS NULL LIMIT 5
        UPDATE "users" SET "badge" = CAST(__newcol_value AS character varying), "at" = "at" FROM (VALUES (E'16384'::oid, E'(0,1)'::tid, E'735'::xid, E'it''s')) AS __newcol (__newcol_table, __newcol_at, __newcol_by, __newcol_value) WHERE ("a", "b") IN ((1, 2)) AND "badge" IS NULL AND tableoid = __newcol_table AND ctid = __newcol_at AND xmin = __newcol_by
        SELECT `a`, `b`, hex(unhex(sha1(concat_ws(',', coalesce(sha1(concat(`a`)), '-'), coalesce(sha1(concat(`b`)), '-'), coalesce(sha1(concat(`name`)), '-'), coalesce(sha1(concat(`image`)), '-'))))), `name`, hex(`image`) FROM `users` WHERE (`a`, `b`) IN ((1, 2)) AND `badge` IS NULL LIMIT 5
        UPDATE `users` JOIN (WITH __newcol_list (__newcol_mark, __newcol_value) AS (VALUES (x'00ff', _utf8mb4 0x69742773)) SELECT * FROM __newcol_list) AS __newcol ON __newcol_mark = unhex(sha1(concat_ws(',', coalesce(sha1(concat(`a`)), '-'), coalesce(sha1(concat(`b`)), '-'), coalesce(sha1(concat(`name`)), '-'), coalesce(sha1(concat(`image`)), '-')))) SET `badge` = __newcol_value, `at` = `at` WHERE (`a`, `b`) IN ((1, 2)) AND `badge` IS NULL
        SELECT `a`, `b`, hex(unhex(sha1(concat_ws(',', coalesce(sha1(concat(`a`)), '-'), coalesce(sha1(concat(`b`)), '-'), coalesce(sha1(concat(`name`)), '-'), coalesce(sha1(concat(`image`)), '-'))))), `name`, hex(`image`) FROM `users` WHERE (`a`, `b`) IN ((1, 2)) AND `badge` IS NULL LIMIT 5
        UPDATE `users` JOIN (VALUES ROW(x'00ff', _utf8mb4 0x69742773)) AS __newcol (__newcol_mark, __newcol_value) ON __newcol_mark = unhex(sha1(concat_ws(',', coalesce(sha1(concat(`a`)), '-'), coalesce(sha1(concat(`b`)), '-'), coalesce(sha1(concat(`name`)), '-'), coalesce(sha1(concat(`image`)), '-')))) SET `badge` = __newcol_value, `at` = `at` WHERE (`a`, `b`) IN ((1, 2)) AND `badge` IS NULL
        SELECT CASE typeof("a") WHEN 'text' THEN 't' || hex("a") ELSE quote("a") END, CASE typeof("b") WHEN 'text' THEN 't' || hex("b") ELSE quote("b") END, quote("name") || ',' || quote("image"), "name", CASE WHEN "image" IS NOT NULL THEN hex("image") END FROM "users" WHERE ("a", "b") IN (VALUES (1, 2)) AND "badge" IS NULL LIMIT 5
        WITH __newcol (__newcol_key0, __newcol_key1, __newcol_mark, __newcol_value) AS (VALUES (1, 2, '00ff', 'it''s')) UPDATE "users" SET "badge" = __newcol_value, "at" = "at" FROM __newcol WHERE ("a", "b") IN (VALUES (1, 2)) AND "users"."a" = __newcol_key0 AND "users"."b" = __newcol_key1 AND __newcol_mark = quote("name") || ',' || quote("image") AND "badge" IS NULL
        UPDATE ONLY "users" AS "users" SET "badge" = CAST(__newcol_value AS character varying), "at" = "at" FROM (VALUES (E'1'::oid, E'(0,1)'::tid, E'7'::xid, E'\\x00ff'), (E'1', E'(0,2)', E'7', E'\\x00ff')) AS __newcol (__newcol_table, __newcol_at, __newcol_by, __newcol_value) WHERE ctid >= '(0,0)' AND ctid < '(8,0)' AND "badge" IS NULL AND tableoid = __newcol_table AND ctid = __newcol_at AND xmin = __newcol_by AND ctid = ANY(ARRAY(SELECT ctid FROM ONLY "users" AS "users" WHERE ctid >= '(0,0)' AND ctid < '(8,0)' AND "badge" IS NULL FOR NO KEY UPDATE SKIP LOCKED))
        "#);
    }

    #[test]
    fn a_value_is_a_literal_of_the_engine_or_refused() {
        let values: [Value; 9] = [
            true.into(),
            (-7_i64).into(),
            u64::MAX.into(),
            1.5_f64.into(),
            f64::NAN.into(),
            "it's \\".into(),
            "a\0b".into(),
            vec![0_u8, 255].into(),
            "".into(),
        ];
        let said = Backend::ALL.map(|backend| {
            let said = values.iter().map(|value| match literal(backend, value) {
                Ok(sql) => sql,
                Err(error) => error.to_string(),
            });
            said.collect::<Vec<_>>().join("\n")
        });
        insta::assert_snapshot!(said.join("\n\n"), @r"
        E'true'
        E'-7'
        E'18446744073709551615'
        E'1.5'
        E'NaN'
        E'it''s \\'
        PostgreSQL has no text with the character U+0000
        E'\\x00ff'
        E''

        1
        -7
        18446744073709551615
        1.5e0
        MySQL has no number that is infinite or not one
        _utf8mb4 0x69742773205c
        _utf8mb4 0x610062
        x'00ff'
        _utf8mb4''

        1
        -7
        18446744073709551615
        1.5e0
        SQLite has no number that is infinite or not one
        'it''s \'
        CAST(x'610062' AS text)
        x'00ff'
        ''
        ");
    }

    #[test]
    fn many_values_are_several_statements() {
        let fill = fill(Product::Sqlite);
        let tuple = KeyTuple(Vec::new());
        let value = Value::text("x".repeat(1_000));
        let values: Vec<Computed<'_>> =
            (0..1_000).map(|_| Computed { key: &tuple, mark: "", value: &value }).collect();
        let range = Range::Keys { key: &[], after: None, to: None };
        let rows = Rows::Within(range);
        let statements = fill.assign(Product::Sqlite, &[], rows, &values, Held::Wait).unwrap();
        assert_eq!(statements.len(), 3);
        assert!(statements.iter().all(|sql| sql.as_str().len() < MOST_BYTES + 10_000));
    }
}
