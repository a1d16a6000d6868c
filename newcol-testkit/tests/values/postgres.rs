//! PostgreSQL: every type of Diesel's, its losses, and what it changes silently.

use std::ops::Bound;

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use diesel::{
    connection::SimpleConnection,
    data_types::{PgInterval, PgMoney},
    pg::data_types::PgLsn,
    prelude::*,
};
use diesel_async::{AsyncPgConnection, async_connection_wrapper::AsyncConnectionWrapper};
use ipnetwork::IpNetwork;
use newcol_core::backend::{Backend, Product};
use newcol_testkit::{
    ScratchDb,
    roundtrip::{Column, How, Roundtrip, Verdict},
    values::{self, ColumnType, Loss},
};
use serde_json::Value;
use uuid::Uuid;

use crate::column::{CASES, assert_documented, fate};

type Conn = AsyncConnectionWrapper<AsyncPgConnection>;

columns! { Conn, Product::Postgres;
    c_bool "bool", [Bool], bool;
    c_int2 "smallint", [Int2], i16;
    c_int4 "integer", [Int4], i32;
    c_int8 "bigint", [Int8], i64;
    c_float4 "real", [Float4], f32;
    c_float8 "double precision", [Float8], f64;
    c_numeric "numeric", [Numeric], BigDecimal;
    c_numeric_10_1 "numeric(10,1)", [Numeric], BigDecimal;
    c_money "money", [Money], PgMoney;
    c_text "text", [Text], String;
    c_varchar_3 "varchar(3)", [Varchar], String;
    c_char_5 "char(5)", [Bpchar], String;
    c_citext "citext", [Citext], String;
    c_bytea "bytea", [Bytea], Vec<u8>;
    c_date "date", [Date], NaiveDate;
    c_time "time", [Time], NaiveTime;
    c_timestamp "timestamp", [Timestamp], NaiveDateTime;
    c_timestamp_0 "timestamp(0)", [Timestamp], NaiveDateTime;
    c_timestamptz "timestamptz", [Timestamptz], DateTime<Utc>;
    c_timestamptz_naive "timestamptz", [Timestamp], NaiveDateTime;
    c_time_date "date", [Date], time::Date;
    c_time_time "time", [Time], time::Time;
    c_time_timestamp "timestamp", [Timestamp], time::PrimitiveDateTime;
    c_time_timestamptz "timestamptz", [Timestamptz], time::OffsetDateTime;
    c_interval "interval", [Interval], PgInterval;
    c_interval_duration "interval", [Interval], chrono::Duration;
    c_uuid "uuid", [Uuid], Uuid;
    c_json "json", [Json], Value;
    c_jsonb "jsonb", [Jsonb], Value;
    c_inet "inet", [Inet], IpNetwork;
    c_cidr "cidr", [Cidr], IpNetwork;
    c_macaddr "macaddr", [MacAddr], [u8; 6];
    c_macaddr8 "macaddr8", [MacAddr8], [u8; 8];
    c_oid "oid", [Oid], u32;
    c_lsn "pg_lsn", [PgLsn], PgLsn;
    c_bools "bool[]", [Array<Nullable<Bool>>], Vec<Option<bool>>;
    c_ints "integer[]", [Array<Nullable<Int4>>], Vec<Option<i32>>;
    c_floats "double precision[]", [Array<Nullable<Float8>>], Vec<Option<f64>>;
    c_numerics "numeric[]", [Array<Nullable<Numeric>>], Vec<Option<BigDecimal>>;
    c_texts "text[]", [Array<Nullable<Text>>], Vec<Option<String>>;
    c_byteas "bytea[]", [Array<Nullable<Bytea>>], Vec<Option<Vec<u8>>>;
    c_timestamptzs "timestamptz[]", [Array<Nullable<Timestamptz>>], Vec<Option<DateTime<Utc>>>;
    c_uuids "uuid[]", [Array<Nullable<Uuid>>], Vec<Option<Uuid>>;
    c_jsonbs "jsonb[]", [Array<Nullable<Jsonb>>], Vec<Option<Value>>;
    c_int4range "int4range", [Int4range], (Bound<i32>, Bound<i32>);
    c_int8range "int8range", [Int8range], (Bound<i64>, Bound<i64>);
    c_daterange "daterange", [Daterange], (Bound<NaiveDate>, Bound<NaiveDate>);
    c_tsrange "tsrange", [Tsrange], (Bound<NaiveDateTime>, Bound<NaiveDateTime>);
    c_numrange "numrange", [Numrange], (Bound<BigDecimal>, Bound<BigDecimal>);
    c_float4_in_float8 "double precision", [Float4], f32;
}

pub(crate) fn connection() -> Option<(ScratchDb, Conn)> {
    let db = ScratchDb::require(Backend::Postgres)?;
    let mut conn = Conn::establish(db.url()).unwrap();
    conn.batch_execute("CREATE EXTENSION citext").unwrap();
    Some((db, conn))
}

/// Fractions beyond what the column keeps, and seconds beyond the minute.
const CUT: Loss = Loss::Fraction(6);

#[test]
fn scalars_come_back_or_are_refused() {
    let Some((_db, mut conn)) = connection() else { return };
    holds!(conn;
        c_bool;
        c_int2;
        c_int4;
        c_int8;
        c_float4;
        c_float8;
        c_numeric.lossy(Loss::Zeros);
        c_numeric_10_1.lossy(Loss::Scale(1));
        c_money;
        c_text;
        c_varchar_3.lossy(Loss::Blanks);
        c_char_5.lossy(Loss::Blanks);
        c_citext;
        c_bytea;
        c_uuid;
        c_inet;
        c_cidr;
        c_macaddr;
        c_macaddr8;
        c_oid;
        c_lsn;
    );
}

#[test]
fn times_come_back_or_are_refused() {
    let Some((_db, mut conn)) = connection() else { return };
    holds!(conn;
        c_date;
        c_time.lossy(CUT).lossy(Loss::LeapSecond).known("end of the day").known("leap second");
        c_timestamp.lossy(CUT).lossy(Loss::LeapSecond);
        c_timestamp_0.lossy(Loss::Fraction(0)).lossy(Loss::LeapSecond);
        c_timestamptz.lossy(CUT).lossy(Loss::LeapSecond);
        c_time_date;
        c_time_time.lossy(CUT).known("end of the day").known("leap second");
        c_time_timestamp.lossy(CUT);
        c_time_timestamptz.lossy(CUT);
        c_interval;
    );
}

#[test]
fn documents_arrays_and_ranges_come_back_or_are_refused() {
    let Some((_db, mut conn)) = connection() else { return };
    let micros = |(a, b): (i32, i32)| {
        let at = |n: i32| DateTime::from_timestamp_micros(i64::from(n) * 1000).unwrap().naive_utc();
        (Bound::Included(at(a.min(b))), Bound::Excluded(at(a.max(b))))
    };
    let ranges =
        proptest::strategy::Strategy::prop_map(proptest::arbitrary::any::<(i32, i32)>(), micros);
    holds!(conn;
        c_json.lossy(Loss::JsonNumber).known("blanks").known("order of keys").known("duplicate keys")
            .known("surrogates").known("trailing zero").known("integer of 23 digits")
            .known("many digits").known("beyond f64");
        c_jsonb.lossy(Loss::JsonNumber).known("trailing zero").known("integer of 23 digits")
            .known("many digits").known("negative zero");
        c_bools.known("other bounds");
        c_ints.known("other bounds");
        c_floats.known("other bounds");
        c_numerics.lossy(Loss::Zeros).known("other bounds");
        c_texts.known("other bounds");
        c_byteas.known("other bounds");
        c_timestamptzs.lossy(CUT).lossy(Loss::LeapSecond).known("other bounds");
        c_uuids.known("other bounds");
        c_jsonbs.lossy(Loss::JsonNumber).known("other bounds");
        c_int4range.lossy(Loss::RangeForm);
        c_int8range.lossy(Loss::RangeForm);
        c_daterange.lossy(Loss::RangeForm);
        c_tsrange.values(ranges).lossy(Loss::RangeForm);
        c_numrange.lossy(Loss::Zeros).lossy(Loss::RangeForm);
    );
}

fn at(text: &str) -> NaiveDateTime {
    text.parse().unwrap()
}

fn decimal(text: &str) -> BigDecimal {
    text.parse().unwrap()
}

#[test]
fn edges_fare_as_documented() {
    let Some((_db, mut conn)) = connection() else { return };
    let lines = fates!(conn, Product::Postgres;
        c_float8 "double precision" "f64" ["NaN" => f64::NAN, "-0.0" => -0.0];
        c_float4_in_float8 "double precision" "f32" ["0.1" => 0.1];
        c_numeric "numeric" "BigDecimal" ["1.10" => decimal("1.10"), "1e40" => decimal("1e40")];
        c_numeric_10_1 "numeric(10,1)" "BigDecimal" ["1.25" => decimal("1.25")];
        c_text "text" "String" ["NUL" => "a\0b".to_owned()];
        c_varchar_3 "varchar(3)" "String" ["three letters, two blanks" => "abc  ".to_owned()];
        c_char_5 "char(5)" "String" ["three letters" => "abc".to_owned()];
        c_date "date" "NaiveDate" [];
        c_time_date "date" "time::Date" [];
        c_time "time" "NaiveTime" ["23:59:60.5" => at("2016-12-31T23:59:60.5").time()];
        c_timestamp "timestamp" "NaiveDateTime" [
            "a nanosecond" => at("2024-01-01T00:00:00.000000001"),
            "23:59:60.5" => at("2016-12-31T23:59:60.5")
        ];
        c_timestamp_0 "timestamp(0)" "NaiveDateTime" ["0.6 s" => at("2024-01-01T00:00:00.6")];
        c_timestamptz_naive "timestamptz" "NaiveDateTime" [
            "noon" => at("2024-01-01T12:00:00"),
            "skipped hour" => at("2024-03-10T02:30:00")
        ];
        c_time_timestamp "timestamp" "time::PrimitiveDateTime" [];
        c_interval "interval" "PgInterval" [];
        c_interval_duration "interval" "chrono::Duration" [];
        c_json "json" "serde_json::Value" [];
        c_jsonb "jsonb" "serde_json::Value" [
            "3.568962372829095e-76" => serde_json::json!(3.568962372829095e-76)
        ];
        c_inet "inet" "IpNetwork" [];
        c_ints "integer[]" "Vec<Option<i32>>" [];
        c_int4range "int4range" "(Bound, Bound)" [
            "[1,2]" => (Bound::Included(1), Bound::Included(2)),
            "(1,2), which is empty" => (Bound::Excluded(1), Bound::Excluded(2))
        ];
    );
    assert_documented("PostgreSQL", &lines);
}

/// Reads a column by a mapping of another type, as old code does after a change of the type.
macro_rules! reads {
    ($($reader:ident $table:ident [$($diesel:tt)+] $rust:ty;)+) => {
        $(fn $reader(conn: &mut Conn) -> QueryResult<Vec<(i64, $rust)>> {
            diesel::table! {
                use diesel::sql_types::*;
                use diesel::pg::sql_types::*;
                $table (id) { id -> BigInt, c -> $($diesel)+, }
            }
            $table::table.load(conn)
        })+
    };
}

reads! {
    int4_as_bool c_int4 [Bool] bool;
    int4_as_text c_int4 [Text] String;
    int4_as_int8 c_int4 [Int8] i64;
    int8_as_int4 c_int8 [Int4] i32;
    float8_as_int8 c_float8 [Int8] i64;
    float8_as_float4 c_float8 [Float4] f32;
    numeric_as_float8 c_numeric [Float8] f64;
    text_as_int4 c_text [Int4] i32;
    timestamptz_as_timestamp c_timestamptz [Timestamp] NaiveDateTime;
    jsonb_as_text c_jsonb [Text] String;
}

#[test]
fn the_old_reader_of_a_retyped_column_is_refused_or_caught() {
    let Some((_db, mut conn)) = connection() else { return };
    macro_rules! caught {
        ($name:ident, $reader:ident, $value:expr, |$new:ident, $old:ident| $agrees:expr) => {{
            let property = $name::property(&mut conn);
            let mut property = property.reader(stringify!($reader), $reader, |$new, $old| $agrees);
            let verdict = property.judge(&mut conn, &$value).unwrap();
            conn.batch_execute(concat!("DROP TABLE ", stringify!($name))).unwrap();
            match verdict {
                Verdict::Changed { read, how: How::Reader { name } } => {
                    format!("{name}: {read}")
                }
                // The reader refused, which is all that is asked of it.
                Verdict::Equal => format!("{}: refused or equal", stringify!($reader)),
                other => format!("{other:?}"),
            }
        }};
    }
    let same = |a: &dyn ToString, b: &dyn ToString| a.to_string() == b.to_string();
    let seen = [
        caught!(c_int4, int4_as_bool, 1, |new, old| (*new != 0) == *old),
        caught!(c_int4, int4_as_text, 1, |new, old| same(new, old)),
        caught!(c_int4, int4_as_int8, 1, |new, old| same(new, old)),
        caught!(c_int8, int8_as_int4, 1, |new, old| same(new, old)),
        caught!(c_float8, float8_as_int8, 1.0, |new, old| same(new, old)),
        caught!(c_float8, float8_as_float4, 1.0, |new, old| same(new, old)),
        caught!(c_numeric, numeric_as_float8, decimal("1"), |new, old| same(new, old)),
        caught!(c_text, text_as_int4, "1234".to_owned(), |new, old| same(new, old)),
        caught!(
            c_timestamptz,
            timestamptz_as_timestamp,
            at("2024-01-01T12:00:00").and_utc(),
            |new, old| new
                .with_timezone(&chrono::FixedOffset::west_opt(5 * 3600).unwrap())
                .naive_local()
                == *old
        ),
        caught!(c_jsonb, jsonb_as_text, Value::Null, |new, old| same(new, old)),
    ];
    assert_eq!(
        seen,
        [
            "int4_as_bool: false",
            "int4_as_text: \"\\0\\0\\0\\u{1}\"",
            "int4_as_int8: refused or equal",
            "int8_as_int4: refused or equal",
            "float8_as_int8: 4607182418800017408",
            "float8_as_float4: refused or equal",
            "numeric_as_float8: refused or equal",
            "text_as_int4: 825373492",
            "timestamptz_as_timestamp: 2024-01-01T12:00:00",
            "jsonb_as_text: \"\\u{1}null\"",
        ]
    );
}
