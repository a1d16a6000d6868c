//! Keys of every kind: no row is passed over, none is filled twice, and the next run finds its place.

use std::num::NonZeroU32;

use newcol_core::execute::backfill::{Answer, Outcome, Settings};
use newcol_testkit::Want;

use super::{Case, REQUIRED, is_batch, small};

/// Fills a table in small batches by its key, stopped after each of the first few; each is a run.
fn check(want: Want, columns: &str, values: &[&str]) {
    let make = format!("CREATE TABLE t ({columns}, name varchar(60), c varchar(60))");
    let Some(case) = Case::new(want, REQUIRED, &[&make]) else { return };
    for chunk in values.chunks(50) {
        let rows: Vec<String> = chunk.iter().map(|v| format!("({v}, 'name', NULL)")).collect();
        case.db.run(&[&format!("INSERT INTO t VALUES {}", rows.join(", "))]).unwrap();
    }
    let mut tiny = small();
    (tiny.pace.min_rows, tiny.pace.max_rows, tiny.pace.first_rows) = (1, 3, 3);
    let case = case.with(Settings { by_key: true, ..tiny });
    let mut runs = 0;
    loop {
        let outcome =
            case.run_telling(
                |event| {
                    if is_batch(event) && runs < 2 { Answer::Stop } else { Answer::Go }
                },
            );
        runs += 1;
        match outcome.unwrap_or_else(|error| panic!("{want} {columns}: {}", super::said(&error))) {
            Outcome::Done(receipt) => {
                let rows = values.len() as u64;
                assert_eq!(
                    (receipt.rows, receipt.filled, receipt.empty),
                    (rows, rows, 0),
                    "{want} {columns}"
                );
                break;
            }
            Outcome::Stopped(_) => assert!(runs <= 3, "{want} {columns}: it stops by itself"),
            other @ Outcome::Unfillable { .. } => panic!("{want} {columns}: {other:?}"),
        }
    }
    assert_eq!(case.count("c IS NULL"), 0);
}

fn strings(values: impl IntoIterator<Item = impl ToString>) -> Vec<String> {
    values.into_iter().map(|value| value.to_string()).collect()
}

fn check_owned(want: Want, columns: &str, values: &[String]) {
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    check(want, columns, &values);
}

/// PostgreSQL by its key in both forms of the route.
fn postgres() -> [Want; 2] {
    [Want::postgres().version(18), Want::postgres().version(13)]
}

/// Texts that are hard to write down, different under every collation used here.
const TEXTS: &[&str] = &[
    "''",
    "' '",
    "'a'",
    "'it''s'",
    "'\"'",
    "'`'",
    "'%'",
    "'_'",
    "'a/b'",
    "'a b'",
    "'a,b'",
    "'ä'",
    "'ß'",
    "'日本'",
    "'🦀'",
    "'--'",
    "'/*'",
    "';'",
    "'$1'",
    "'?'",
    "'{x}'",
    "'NULL'",
    "'0'",
    "'-1'",
    "'1e9'",
    "'tab\t'",
    "'line\nbreak'",
    "'t41'",
    "'x''41'''",
    "'~'",
];

#[test]
fn texts_on_postgres() {
    let mut values = TEXTS.to_vec();
    values.retain(|value| *value != "''");
    values.extend([r"'\'", r"'a\'", r"'\x41'", r"'a\n'", "'A'", "'a '", "'B'", "'b'"]);
    for want in postgres() {
        check(want, "id text PRIMARY KEY", &[values.as_slice(), &["''"]].concat());
        check(want, "id varchar(20) COLLATE \"C\" PRIMARY KEY", &values);
    }
    check(Want::postgres().version(18), "id char(12) PRIMARY KEY", &["'a'", "'b '", "'B'", "''"]);
}

#[test]
fn texts_on_mysql() {
    let mut values = TEXTS.to_vec();
    values.retain(|value| *value != "' '");
    values.extend([r"'\\'", r"'a\\'", r"'\\x41'", "'b'", "'Z'"]);
    // Without case and accents these are one.
    let plain = |value: &&str| !matches!(*value, "'ä'" | "'ß'" | "'🦀'");
    let few: Vec<&str> = values.iter().copied().filter(plain).collect();
    check(Want::mysql(), "id varchar(20) PRIMARY KEY", &few);
    check(Want::mysql(), "id varchar(20) COLLATE utf8mb4_unicode_520_ci PRIMARY KEY", &few);
    values.extend(["'B'", "'A'"]);
    check(Want::mysql(), "id varchar(20) COLLATE utf8mb4_bin PRIMARY KEY", &values);
    let latin = ["'a'", "'B'", "'ß'", "'é'", "''"];
    check(Want::mysql(), "id varchar(20) CHARACTER SET latin1 PRIMARY KEY", &latin);
    // Trailing spaces count here.
    let spaces = ["'a'", "'a '", "'a  '", "' a'", "''", "' '"];
    check(Want::mysql(), "id varchar(20) COLLATE utf8mb4_nopad_bin PRIMARY KEY", &spaces);
}

#[test]
fn texts_on_sqlite() {
    let mut values = TEXTS.to_vec();
    values.extend([r"'\'", r"'a\'", "'A'", "'a '"]);
    // A text with a NUL in it goes on after it.
    values.extend(["CAST(x'6100' AS TEXT)", "CAST(x'610062' AS TEXT)", "CAST(x'610063' AS TEXT)"]);
    check(Want::sqlite(), "id text PRIMARY KEY", &values);
    for collation in ["BINARY", "RTRIM"] {
        let mut values = values.clone();
        values.retain(|value| !matches!(*value, "' '" | "'a '"));
        let make = format!("id text COLLATE {collation} PRIMARY KEY");
        check(Want::sqlite(), &make, &values);
    }
}

/// Values of every class, in the order of the file.
#[test]
fn keys_of_sqlite_without_rowid() {
    let make = |columns: &str| format!("{columns} WITHOUT ROWID");
    let tables = [
        (
            "a NOT NULL PRIMARY KEY",
            vec![
                "1",
                "-5",
                "1.5",
                "9e999",
                "-9e999",
                "9007199254740993",
                "0.1",
                "'1'",
                "''",
                "'b'",
                "x''",
                "x'00'",
                "x'ff00'",
                "CAST(x'6100' AS TEXT)",
                "CAST(x'610062' AS TEXT)",
                "1e-300",
            ],
        ),
        ("a text COLLATE NOCASE NOT NULL PRIMARY KEY", vec!["'a'", "'B'", "'c'", "'É'", "'é'"]),
    ];
    for (columns, values) in tables {
        let Some(case) = Case::new(
            Want::sqlite(),
            REQUIRED,
            &[&make(&format!("CREATE TABLE t ({columns}, name text, c text)"))],
        ) else {
            return;
        };
        for value in &values {
            case.db.run(&[&format!("INSERT INTO t VALUES ({value}, 'x', NULL)")]).unwrap();
        }
        let mut tiny = small();
        (tiny.pace.min_rows, tiny.pace.max_rows, tiny.pace.first_rows) = (1, 2, 2);
        let case = case.with(tiny);
        let receipt = case.done();
        assert_eq!(receipt.filled, values.len() as u64, "{columns}");
    }
}

#[test]
fn numbers_times_and_uuids_on_postgres() {
    let uuids = uuids();
    for want in postgres() {
        check_owned(want, "id uuid PRIMARY KEY", &uuids);
        check(want, "id numeric PRIMARY KEY", &["'NaN'", "1.5", "-3", "1e30", "0.000001", "7"]);
        check(want, "id float8 PRIMARY KEY", &["'NaN'", "0.1", "'-Infinity'", "1e300", "3", "4"]);
        check(
            want,
            "id bytea PRIMARY KEY",
            &[r"'\x'", r"'\x00'", r"'\xff5c27'", r"'\x5c'", r"'\x27'"],
        );
        check(
            want,
            "id bigint PRIMARY KEY",
            &["-9223372036854775808", "9223372036854775807", "0", "-1", "5"],
        );
        check(
            want,
            "id timestamptz PRIMARY KEY",
            &[
                "'-infinity'",
                "'2024-02-29 12:00:00.000001+02'",
                "'0044-03-15 12:00 BC'",
                "'infinity'",
                "now()",
            ],
        );
        check(want, "id boolean PRIMARY KEY", &["true", "false"]);
        check(
            want,
            "id interval PRIMARY KEY",
            &["'1 day'", "'-2 mons 3 days 04:05:06'", "'1 year'"],
        );
        check(want, "id int[] PRIMARY KEY", &["'{}'", "'{1,2}'", "'{NULL,3}'", "'{1}'"]);
    }
}

fn uuids() -> Vec<String> {
    strings((0..40_u64).map(|n| {
        format!("'{:08x}-0000-4000-8000-{:012x}'", n.wrapping_mul(2_654_435_761) % (1 << 32), n)
    }))
}

#[test]
fn numbers_times_and_uuids_on_mysql() {
    let uuids = uuids();
    check_owned(Want::mysql(), "id char(36) PRIMARY KEY", &uuids);
    check_owned(Want::mysql(), "id uuid PRIMARY KEY", &uuids);
    check(
        Want::mysql(),
        "id decimal(30,5) PRIMARY KEY",
        &["1.5", "-3", "0.00001", "12345678901234567890.5", "7"],
    );
    check(
        Want::mysql(),
        "id bigint unsigned PRIMARY KEY",
        &["0", "18446744073709551615", "9223372036854775808", "5", "6"],
    );
    check(
        Want::mysql(),
        "id datetime(6) PRIMARY KEY",
        &["'1000-01-01'", "'2024-02-29 12:00:00.000001'", "'9999-12-31 23:59:59.999999'", "now(6)"],
    );
    check(
        Want::mysql(),
        "id time(3) PRIMARY KEY",
        &["'-838:00:00'", "'-1:00'", "'00:00:00.001'", "'838:59:59'", "'2:00'"],
    );
    check(Want::mysql(), "id year PRIMARY KEY", &["1901", "2155", "2024", "2000"]);
    // The order of these is that of their numbers, not of their names.
    check(
        Want::mysql(),
        "id enum('zebra','ant','moth','bee') PRIMARY KEY",
        &["'zebra'", "'ant'", "'moth'", "'bee'"],
    );
    check(
        Want::mysql(),
        "id set('z','a','m') PRIMARY KEY",
        &["''", "'z'", "'a'", "'z,a'", "'m'", "'z,a,m'"],
    );
    check(
        Want::mysql(),
        "id bit(16) PRIMARY KEY",
        &["b'0'", "b'1'", "b'101'", "b'1111111111111111'", "65"],
    );
    check(
        Want::mysql(),
        "id varbinary(20) PRIMARY KEY",
        &["x''", "x'00'", "x'0000'", "x'ff'", "x'5c27'", "'a '", "'a'"],
    );
    check(Want::mysql(), "id binary(16) PRIMARY KEY", &["x'00'", "x'ff'", "x'5c27'", "x'20'"]);
}

#[test]
fn numbers_on_sqlite() {
    check(
        Want::sqlite(),
        "id integer PRIMARY KEY",
        &["-9223372036854775808", "9223372036854775807", "0", "-1", "5", "6"],
    );
}

#[test]
fn composite_keys() {
    let pairs: Vec<String> = (0..60)
        .map(|n| format!("{}, '{}'", n / 20, ["a", "B", "it''s"][n % 3].repeat(n % 20 / 3 + 1)))
        .collect();
    let make = "CREATE TABLE t (a int NOT NULL, b varchar(60) NOT NULL, name varchar(60), \
                c varchar(60), PRIMARY KEY (a, b))";
    for want in super::engines() {
        let Some(case) = Case::new(want, REQUIRED, &[make]) else { continue };
        let rows: Vec<String> = pairs.iter().map(|pair| format!("({pair}, 'x', NULL)")).collect();
        case.db.run(&[&format!("INSERT INTO t VALUES {}", rows.join(", "))]).unwrap();
        let mut tiny = small();
        (tiny.pace.min_rows, tiny.pace.max_rows, tiny.pace.first_rows) = (1, 4, 4);
        let workers = if want == Want::sqlite() { 1 } else { 3 };
        let case = case.with(Settings {
            by_key: true,
            workers: NonZeroU32::new(workers).unwrap(),
            ..tiny
        });
        let receipt = case.done();
        assert_eq!((receipt.rows, receipt.filled), (60, 60), "{want}");
    }
}
