//! What a server writes as a literal, it reads as the same value.

use newcol_core::{
    backend::Backend,
    db::{DatabaseUrl, OpenOptions, Session, facts::read_table, written_by_server},
    render::text,
};
use newcol_testkit::ScratchDb;

/// Types, each with a value that is easily lost.
const POSTGRES: &[(&str, &str)] = &[
    ("boolean", "true"),
    ("bigint", "-9223372036854775808"),
    ("numeric(40, 20)", "12345678901234567890.00000000000000000001"),
    ("double precision", "0.1 + 0.2"),
    ("real", "'-Infinity'"),
    ("text", r"E'it''s \\ back\nslash é'"),
    ("char(5)", "'a'"),
    ("bytea", r"'\x0027005c'"),
    ("timestamptz", "'2026-10-25 02:30:00.123456+02'"),
    ("interval", "'1 mon -1 day 00:00:00.000001'"),
    ("uuid", "'00000000-0000-4000-8000-00000000000a'"),
    ("jsonb", r#"'{"a": "\"it''s\""}'"#),
    ("bit(3)", "B'101'"),
    ("text[]", r#"ARRAY['a"b', NULL, 'NULL', '{']"#),
    ("int4range", "'[1,5)'"),
];

const MYSQL: &[(&str, &str)] = &[
    ("boolean", "true"),
    ("bigint unsigned", "18446744073709551615"),
    ("decimal(40, 20)", "12345678901234567890.00000000000000000001"),
    ("double", "0.1e0 + 0.2e0"),
    ("varchar(40)", r"'it''s \\ back\nslash é'"),
    ("varchar(40) CHARACTER SET latin1", "'é'"),
    ("char(5)", "'a'"),
    ("varbinary(9)", "x'0027005cff'"),
    ("blob", "''"),
    ("bit(1)", "b'1'"),
    ("bit(9)", "b'100000001'"),
    ("bit(64)", "b'1000000000000000000000000000000000000000000000000000000000000001'"),
    ("datetime(6)", "'2026-10-25 02:30:00.123456'"),
    ("time(6)", "'-838:59:58.999999'"),
    ("year", "2026"),
    ("json", r#"'{"a": "it''s"}'"#),
    ("enum('a', 'it''s')", "'it''s'"),
    ("set('a', 'b')", "'a,b'"),
];

const SQLITE: &[(&str, &str)] = &[
    ("INTEGER", "-9223372036854775808"),
    ("DOUBLE", "0.1 + 0.2"),
    ("TEXT", "'it''s \\ back' || char(10) || 'slash é'"),
    ("BLOB", "x'0027005c'"),
    ("", "'1'"),
    ("ANY", "1.0"),
];

#[test]
fn a_written_value_is_read_as_the_same() {
    for backend in Backend::ALL {
        let Some(db) = ScratchDb::require(backend) else { continue };
        let values = match backend {
            Backend::Postgres => POSTGRES,
            Backend::Mysql => MYSQL,
            Backend::Sqlite => SQLITE,
        };
        let columns: Vec<String> =
            values.iter().enumerate().map(|(at, (ty, _))| format!("c{at} {ty} NULL")).collect();
        let literals: Vec<&str> = values.iter().map(|(_, value)| *value).collect();
        let nulls = vec!["NULL"; values.len()];
        db.run(&[
            &*format!("CREATE TABLE first ({})", columns.join(", ")),
            &*format!("CREATE TABLE second ({})", columns.join(", ")),
            &*format!("INSERT INTO first VALUES ({})", literals.join(", ")),
            &*format!("INSERT INTO first VALUES ({})", nulls.join(", ")),
        ])
        .unwrap();
        let url = DatabaseUrl::parse(db.url()).unwrap();
        let mut session = Session::open(&url, &OpenOptions::write()).unwrap();
        let first = "first".parse().unwrap();
        let facts = read_table(&mut session, &first).unwrap();
        let written: Vec<String> = facts
            .columns
            .iter()
            .map(|c| written_by_server(backend, &c.name, c.sql_type.as_deref().unwrap_or_default()))
            .collect();
        let table = text::table(backend, &first);
        let rows = session.query(&format!("SELECT {} FROM {table}", written.join(", "))).unwrap();
        for row in rows {
            let row: Vec<String> = row.into_iter().map(Option::unwrap).collect();
            session.batch(&format!("INSERT INTO second VALUES ({})", row.join(", "))).unwrap();
        }
        let same = match backend {
            Backend::Postgres => "IS NOT DISTINCT FROM",
            Backend::Mysql => "<=>",
            Backend::Sqlite => "IS",
        };
        for (at, (ty, _)) in values.iter().enumerate() {
            let pairs = format!("first f JOIN second s ON f.c{at} {same} s.c{at}");
            let sql = format!("SELECT count(*) FROM {pairs}");
            assert_eq!(session.value(&sql).unwrap().as_deref(), Some("2"), "{backend}, {ty}");
        }
    }
}
