//! What a silent change leaves behind: the least row, and a test to keep.

use diesel::{connection::SimpleConnection, prelude::*};
use newcol_core::backend::Product;
use newcol_testkit::{
    ScratchDb,
    roundtrip::{Column, Roundtrip},
    values::ColumnType,
};

columns! { SqliteConnection, Product::Sqlite;
    score "DOUBLE", [Double], f64;
    age "INTEGER", [Integer], i32;
}

#[test]
fn the_least_row_and_a_test_to_keep_are_printed() {
    let db = ScratchDb::sqlite().unwrap();
    let mut conn = SqliteConnection::establish(db.url()).unwrap();
    let error = score::property(&mut conn).run(&mut conn).unwrap_err();
    insta::assert_snapshot!("written_by_diesel", error);
    let error = age::property(&mut conn).run(&mut conn).unwrap_err();
    insta::assert_snapshot!("written_by_sql", error);
}
