//! What a fill yields, and the tables it fills.

use newcol_core::execute::backfill::Outcome;
use newcol_testkit::{ScratchDb, Want};

use super::{Case, REQUIRED, TABLE, UPPER, contract, engines, fast, numbered, receipt};

#[test]
fn rows_are_filled_and_looked_at_on_every_engine() {
    for want in engines() {
        let Some(case) = Case::new(want, REQUIRED, &[TABLE, &numbered(3000)]) else { continue };
        case.db.run(&["UPDATE t SET c = 'mine' WHERE id % 10 = 0"]).unwrap();
        let before = case.db.rows("SELECT id, name FROM t ORDER BY id").unwrap();
        let receipt = case.done();
        assert_eq!((receipt.rows, receipt.filled, receipt.empty), (3000, 2700, 0), "{want}");
        assert_eq!((receipt.differing, receipt.late), (Some(300), 0), "{want}");
        assert_eq!(case.count("c = upper(name)"), 2700);
        assert_eq!(case.count("c = 'mine'"), 300);
        assert_eq!(case.db.rows("SELECT id, name FROM t ORDER BY id").unwrap(), before);
        // Nothing is left for a second run.
        assert_eq!(case.done().filled, 2700);
    }
}

#[test]
fn empty_tables_and_single_rows() {
    for want in engines() {
        let Some(case) = Case::new(want, REQUIRED, &[TABLE]) else { continue };
        assert_eq!((case.done().rows, case.done().filled), (0, 0), "{want}");
        case.db.run(&["INSERT INTO t (id, name) VALUES (-7, 'ann')"]).unwrap();
        let receipt = case.done();
        assert_eq!((receipt.rows, receipt.filled), (1, 1), "{want}");
        assert_eq!(case.value("SELECT c FROM t"), "ANN");
    }
}

#[test]
fn rows_without_a_value_are_named_where_one_is_required() {
    for want in engines() {
        let rows = ["UPDATE t SET name = NULL WHERE id IN (17, 400)"];
        let make = [TABLE, &numbered(500), rows[0]];
        let Some(case) = Case::new(want, REQUIRED, &make) else { continue };
        let Outcome::Unfillable { rows, mut keys, totals } = case.run().unwrap() else {
            panic!("{want}: they were filled")
        };
        keys.sort();
        assert_eq!((rows, totals.filled), (2, 498), "{want}");
        assert_eq!(keys, ["17", "400"], "{want}");
        // What is corrected is filled by the next run, which does not trust what it saw before.
        case.db.run(&["UPDATE t SET name = 'x' WHERE name IS NULL"]).unwrap();
        let receipt = case.done();
        assert_eq!((receipt.rows, receipt.filled, receipt.empty), (500, 500, 0), "{want}");
    }
}

#[test]
fn rows_without_a_value_stay_empty_where_that_is_allowed() {
    for want in engines() {
        let make = [TABLE, &numbered(500), "UPDATE t SET name = NULL WHERE id IN (17, 400)"];
        let Some(case) = Case::new(want, UPPER, &make) else { continue };
        let receipt = case.done();
        assert_eq!((receipt.empty, receipt.filled, receipt.differing), (2, 498, Some(0)), "{want}");
        assert_eq!(case.count("c IS NULL"), 2);
    }
}

/// As often as one likes: passes of earlier runs do not count.
#[test]
fn a_job_that_is_done_is_done_again() {
    let Some(case) = Case::new(Want::sqlite(), UPPER, &[TABLE, &numbered(10)]) else { return };
    for _ in 0..30 {
        case.done();
        case.db.run(&["UPDATE t SET c = NULL WHERE id = 5"]).unwrap();
    }
    assert_eq!(case.done().filled, 40);
}

#[test]
fn a_volatile_fill_is_computed_once_for_each_row() {
    let bodies = [
        (Want::postgres().version(18), "type = 'uuid'", "gen_random_uuid()"),
        (Want::postgres().version(13), "type = 'uuid'", "gen_random_uuid()"),
        (Want::mysql(), "type = 'varchar(40)'", "uuid()"),
        (Want::sqlite(), "type = 'text'", "hex(randomblob(16))"),
    ];
    for (want, ty, fill) in bodies {
        let body = format!("{ty}\nrequired = true\n[old_rows]\nfill = '{fill}'\n");
        let ty = ty.split('\'').nth(1).unwrap();
        let table = format!("CREATE TABLE t (id int PRIMARY KEY, name varchar(60), c {ty})");
        let Some(case) = Case::new(want, &body, &[&table, &numbered(1000)]) else { continue };
        let receipt = case.done();
        assert_eq!((receipt.filled, receipt.empty, receipt.differing), (1000, 0, None), "{want}");
        assert_eq!(case.value("SELECT count(DISTINCT c) FROM t"), "1000");
        let before = case.db.rows("SELECT c FROM t ORDER BY id").unwrap();
        case.done();
        assert_eq!(case.db.rows("SELECT c FROM t ORDER BY id").unwrap(), before);
    }
}

#[test]
fn types_without_equality_are_compared_all_the_same() {
    let body =
        "type = 'json'\nrequired = true\n[old_rows]\nfill = 'json_build_object(''n'', name)'\n"
            .replace("''", "\"");
    let body = body.replace("'json_build_object(\"n\", name)'", "\"json_build_object('n', name)\"");
    let table = "CREATE TABLE t (id int PRIMARY KEY, name varchar(60), c json)";
    let make = [table, &numbered(200), "UPDATE t SET c = '1' WHERE id = 1"];
    for version in [13, 18] {
        let want = Want::postgres().version(version);
        let Some(case) = Case::new(want, &body, &make) else { continue };
        let receipt = case.done();
        assert_eq!((receipt.filled, receipt.empty), (199, 0));
        assert!(matches!(receipt.differing, Some(1) | None), "{receipt:?}");
    }
}

#[test]
fn an_index_on_the_column_does_no_harm() {
    for want in engines() {
        let make = [TABLE, "CREATE INDEX t_c ON t (c)", &numbered(2000)];
        let Some(case) = Case::new(want, REQUIRED, &make) else { continue };
        assert_eq!(case.done().filled, 2000, "{want}");
    }
}

/// The expression may name the table; the partitions have other names.
#[test]
fn partitions_are_filled_each() {
    for version in [18, 15, 13] {
        let want = Want::postgres().version(version);
        let body = UPPER.replace("upper(name)", "upper(t.name)");
        let make = [
            "CREATE TABLE t (id int PRIMARY KEY, name varchar(60), c varchar(60)) PARTITION BY RANGE (id)",
            "CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (500)",
            "CREATE TABLE t_high PARTITION OF t FOR VALUES FROM (500) TO (1500) PARTITION BY HASH (id)",
            "CREATE TABLE \"T 0\" PARTITION OF t_high FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
            "CREATE TABLE t_1 PARTITION OF t_high FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
            "CREATE TABLE t_none PARTITION OF t DEFAULT",
            &numbered(1000),
        ];
        let Some(case) = Case::new(want, &body, &make) else { continue };
        let receipt = case.done();
        assert_eq!((receipt.rows, receipt.filled), (1000, 1000), "{version}");
    }
}

#[test]
fn names_with_quotes_and_capitals_are_quoted() {
    for want in engines() {
        let Some(db) = ScratchDb::require(want) else { continue };
        let quote = if want == Want::mysql() { '`' } else { '"' };
        let name = |name: &str| {
            let twice = name.replace(quote, &format!("{quote}{quote}"));
            format!("{quote}{twice}{quote}")
        };
        let table = name("My \"Order's\" `T`");
        let (id, c) = (name("The Id"), name("Große \"C\" `\\"));
        db.run(&[
            &format!(
                "CREATE TABLE {table} ({id} int PRIMARY KEY, name varchar(60), {c} varchar(60))"
            ),
            &format!("INSERT INTO {table} ({id}, name) VALUES (1, 'a'), (2, 'b')"),
        ])
        .unwrap();
        let contract = {
            let text = format!(
                "format = 1\ntable = '''\"My \"\"Order's\"\" `T`\"'''\ncolumn = '''Große \"C\" `\\'''\n\
                 why = 'a test'\n{UPPER}"
            );
            newcol_core::contract::read::read(&text).unwrap().contract
        };
        let case = Case { db, contract, settings: fast() };
        assert_eq!(case.done().filled, 2, "{want}");
        assert_eq!(case.value(&format!("SELECT {c} FROM {table} WHERE {id} = 2")), "B");
    }
}

/// Names that differ in nothing but case are two tables where the engine says so.
#[test]
fn records_of_two_columns_are_apart() {
    for want in engines() {
        let Some(case) = Case::new(want, UPPER, &[TABLE, &numbered(50)]) else { continue };
        case.db.run(&["ALTER TABLE t ADD d varchar(60)"]).unwrap();
        case.done();
        let other = contract("t", "d", &UPPER.replace("upper(name)", "lower(name)"));
        let other = Case { contract: other, ..case };
        assert_eq!(receipt(other.run().unwrap()).filled, 50, "{want}");
        assert_eq!(other.value("SELECT count(*) FROM __newcol_backfill"), "2");
    }
}
