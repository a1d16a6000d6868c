//! SQLite: every type of Diesel's, its losses, and what it changes silently.

use bigdecimal::BigDecimal;
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use diesel::{connection::SimpleConnection, prelude::*};
use newcol_core::backend::Product;
use newcol_testkit::{
    ScratchDb, Want,
    roundtrip::{Column, Roundtrip, Verdict},
    values::{self, ColumnType, Loss},
};
use serde_json::Value;

use crate::column::{CASES, assert_documented, fate};

type Conn = SqliteConnection;

columns! { Conn, Product::Sqlite;
    c_bool "BOOLEAN", [Bool], bool;
    c_small "SMALLINT", [SmallInt], i16;
    c_int "INTEGER", [Integer], i32;
    c_big "BIGINT", [BigInt], i64;
    c_real "REAL", [Float], f32;
    c_double "DOUBLE", [Double], f64;
    c_numeric "NUMERIC", [Numeric], BigDecimal;
    c_text "TEXT", [Text], String;
    c_blob "BLOB", [Binary], Vec<u8>;
    c_timestamp "TIMESTAMP", [Timestamp], NaiveDateTime;
    c_date "DATE", [Date], NaiveDate;
    c_time "TIME", [Time], NaiveTime;
    c_time_timestamp "TIMESTAMP", [Timestamp], time::PrimitiveDateTime;
    c_json "JSON", [Json], Value;
    c_text_in_numeric "NUMERIC", [Text], String;
}

fn connection() -> (ScratchDb, Conn) {
    let db = ScratchDb::new(Want::sqlite()).unwrap();
    let conn = Conn::establish(db.url()).unwrap();
    (db, conn)
}

#[test]
fn values_come_back_or_are_refused() {
    let (_db, mut conn) = connection();
    holds!(conn;
        c_bool.known("two").known("fraction").known("word");
        c_small.known("fraction").known("wider than 32 bits").known("word");
        c_int.known("fraction").known("wider than 32 bits").known("word");
        c_big.known("fraction").known("word");
        c_real.lossy(Loss::NegativeZero).known("tenth").known("word").known("largest").known("small");
        c_double.lossy(Loss::NegativeZero).known("word").known("64 bits");
        c_text;
        c_blob;
        c_timestamp.known("with offset").known("ISO 8601").known("Julian day").known("seconds");
        c_date.known("with time");
        c_time.known("without seconds");
    );
}

#[test]
fn edges_fare_as_documented() {
    let (_db, mut conn) = connection();
    let lines = fates!(conn, Product::Sqlite;
        c_bool "BOOLEAN" "bool" [];
        c_int "INTEGER" "i32" [];
        c_big "BIGINT" "i64" [];
        c_real "REAL" "f32" ["-0.0" => -0.0, "NaN" => f32::NAN];
        c_double "DOUBLE" "f64" ["-0.0" => -0.0, "NaN" => f64::NAN];
        c_numeric "NUMERIC" "BigDecimal" [
            "23 digits" => "12345678901234567890.123".parse().unwrap(),
            "1.10" => "1.10".parse().unwrap()
        ];
        c_text_in_numeric "NUMERIC" "String" ["007" => "007".to_owned(), "1e3" => "1e3".to_owned()];
        c_text "TEXT" "String" ["NUL" => "a\0b".to_owned()];
        c_timestamp "TIMESTAMP" "NaiveDateTime" [
            "23:59:60.5" => "2016-12-31T23:59:60.5".parse().unwrap(),
            "a nanosecond" => "2024-01-01T00:00:00.000000001".parse().unwrap(),
            "year -44" => "-0044-03-15T00:00:00".parse().unwrap(),
            "year 20000" => "+20000-01-01T00:00:00".parse().unwrap()
        ];
        c_date "DATE" "NaiveDate" [];
        c_time "TIME" "NaiveTime" [];
        c_time_timestamp "TIMESTAMP" "time::PrimitiveDateTime" [];
        c_json "JSON" "serde_json::Value" [];
    );
    assert_documented("SQLite", &lines);
}
