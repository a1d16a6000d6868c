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

/// The second test above, pasted: it compiles, and fails as long as the change happens.
mod pasted {
    use super::{
        SqliteConnection,
        age::{insert, load},
    };

    fn connection() -> SqliteConnection {
        use diesel::{connection::SimpleConnection, prelude::*};
        let mut conn = SqliteConnection::establish(":memory:").unwrap();
        conn.batch_execute("CREATE TABLE age (id bigint PRIMARY KEY, c INTEGER)").unwrap();
        conn
    }

    #[test]
    #[should_panic(expected = "real 1.9")]
    fn age_c_comes_back_as_it_was_written() {
        use diesel::{connection::SimpleConnection, prelude::*};
        let mut conn = connection();
        conn.batch_execute("INSERT INTO age (id, c) VALUES (1, 1.9)").unwrap();
        let read = load(&mut conn).unwrap().remove(0).1;
        insert(&mut conn, &[(2, read)]).unwrap();
        let texts: Vec<newcol_testkit::roundtrip::TextRow> = diesel::sql_query("SELECT CAST(id AS BIGINT) AS id, typeof(c) || ' ' || quote(c) || ' ' || length(CAST(c AS BLOB)) AS value FROM age ORDER BY 1").load(&mut conn).unwrap();
        assert_eq!(texts[0].value, texts[1].value);
    }
}
