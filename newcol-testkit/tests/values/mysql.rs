//! MySQL and MariaDB: every type of Diesel's, its losses, and what it changes silently.

use bigdecimal::BigDecimal;
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use diesel::{connection::SimpleConnection, prelude::*};
use diesel_async::{AsyncMysqlConnection, async_connection_wrapper::AsyncConnectionWrapper};
use newcol_core::backend::{Backend, Product};
use newcol_testkit::{
    ScratchDb, Want,
    roundtrip::{Column, Roundtrip, Verdict},
    values::{self, ColumnType, Loss},
};

use crate::column::{CASES, assert_documented, fate};

type Conn = AsyncConnectionWrapper<AsyncMysqlConnection>;

columns! { Conn, Product::Mariadb;
    c_bool "bool", [Bool], bool;
    c_tiny "tinyint", [TinyInt], i8;
    c_utiny "tinyint unsigned", [Unsigned<TinyInt>], u8;
    c_small "smallint", [SmallInt], i16;
    c_usmall "smallint unsigned", [Unsigned<SmallInt>], u16;
    c_int "int", [Integer], i32;
    c_uint "int unsigned", [Unsigned<Integer>], u32;
    c_big "bigint", [BigInt], i64;
    c_ubig "bigint unsigned", [Unsigned<BigInt>], u64;
    c_float "float", [Float], f32;
    c_float_64 "float", [Double], f64;
    c_double "double", [Double], f64;
    c_decimal "decimal(10,1)", [Decimal], BigDecimal;
    c_char "char(5)", [Char], String;
    c_varchar "varchar(20)", [Varchar], String;
    c_text "text", [Text], String;
    c_longtext "longtext", [Longtext], String;
    c_binary "binary(3)", [Binary], Vec<u8>;
    c_varbinary "varbinary(20)", [Varbinary], Vec<u8>;
    c_blob "blob", [Blob], Vec<u8>;
    c_bit "bit(16)", [Bit], Vec<u8>;
    c_date "date", [Date], NaiveDate;
    c_time "time(6)", [Time], NaiveTime;
    c_datetime "datetime(6)", [Datetime], NaiveDateTime;
    c_datetime_0 "datetime", [Datetime], NaiveDateTime;
    c_timestamp "timestamp(6)", [Timestamp], NaiveDateTime;
    c_time_datetime "datetime(6)", [Datetime], time::PrimitiveDateTime;
    c_json "json", [Longtext], String;
    c_date_as_timestamp "date", [Timestamp], NaiveDateTime;
    c_int_as_text "int", [Text], String;
}

fn connection() -> Option<(ScratchDb, Conn)> {
    // What is documented is MariaDB's; MySQL differs in rounding.
    let want = Want::from(Backend::Mysql).product(Product::Mariadb);
    let db = ScratchDb::require(want)?;
    let conn = Conn::establish(db.url()).unwrap();
    Some((db, conn))
}

#[test]
fn values_come_back_or_are_refused() {
    let Some((_db, mut conn)) = connection() else { return };
    let day = proptest::strategy::Strategy::prop_map(1_i64..20_000, |day| {
        NaiveDate::default().and_time(NaiveTime::default()) + chrono::Duration::days(day)
    });
    holds!(conn;
        c_bool.known("two").known("negative");
        c_tiny;
        c_utiny;
        c_small;
        c_usmall;
        c_int;
        c_uint;
        c_big;
        c_ubig;
        c_float.lossy(Loss::NegativeZero);
        c_double.lossy(Loss::NegativeZero);
        c_decimal.lossy(Loss::Scale(1));
        c_char.lossy(Loss::Blanks);
        c_varchar.lossy(Loss::Blanks);
        c_text;
        c_longtext;
        c_binary.lossy(Loss::Zeros);
        c_varbinary;
        c_blob;
        c_bit;
        c_date;
        c_time.lossy(Loss::Fraction(6)).lossy(Loss::LeapSecond).known("end of the day").known("longest");
        c_datetime.lossy(Loss::Fraction(6));
        c_datetime_0.lossy(Loss::Fraction(0));
        c_timestamp.values(day);
        c_time_datetime.lossy(Loss::Fraction(6));
        c_json;
    );
}

fn at(text: &str) -> NaiveDateTime {
    text.parse().unwrap()
}

#[test]
fn edges_fare_as_documented() {
    let Some((_db, mut conn)) = connection() else { return };
    let lines = fates!(conn, Product::Mariadb;
        c_bool "bool" "bool" [];
        c_ubig "bigint unsigned" "u64" ["last" => u64::MAX];
        c_float "float" "f32" ["-0.0" => -0.0, "NaN" => f32::NAN];
        c_float_64 "float" "f64" ["0.1" => 0.1];
        c_double "double" "f64" ["-0.0" => -0.0, "NaN" => f64::NAN];
        c_decimal "decimal(10,1)" "BigDecimal" ["1.25" => "1.25".parse().unwrap()];
        c_char "char(5)" "String" ["trailing blank" => "a ".to_owned()];
        c_varchar "varchar(20)" "String" ["blanks beyond the limit" => "x".repeat(20) + "  "];
        c_binary "binary(3)" "Vec<u8>" ["one byte" => vec![1]];
        c_date "date" "NaiveDate" ["year -44" => NaiveDate::from_ymd_opt(-44, 3, 15).unwrap(),
            "year 20000" => NaiveDate::from_ymd_opt(20_000, 1, 1).unwrap()];
        c_time "time(6)" "NaiveTime" ["23:59:60.5" => at("2016-12-31T23:59:60.5").time()];
        c_datetime "datetime(6)" "NaiveDateTime" [
            "a nanosecond" => at("2024-01-01T00:00:00.000000001"),
            "23:59:60.5" => at("2016-12-31T23:59:60.5"),
            "year 20000" => at("+20000-01-01T00:00:00")
        ];
        c_datetime_0 "datetime" "NaiveDateTime" ["0.999999 s" => at("2024-01-01T00:00:00.999999")];
        c_timestamp "timestamp(6)" "NaiveDateTime" [
            "year 1969" => at("1969-12-31T00:00:00"),
            "year 2039" => at("2039-01-01T00:00:00"),
            "skipped hour" => at("2024-03-10T02:30:00")
        ];
        c_json "json" "String" [];
        c_date_as_timestamp "date" "NaiveDateTime" ["noon" => at("2024-01-01T12:00:00")];
        c_int_as_text "int" "String" ["a digit" => "7".to_owned()];
    );
    assert_documented("MariaDB", &lines);
}
