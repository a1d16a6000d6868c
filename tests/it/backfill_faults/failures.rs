//! Rows, servers and files that refuse: what is said, and that the next run goes on.

use insta::assert_snapshot;
use newcol_core::{
    db::Access,
    execute::backfill::{Answer, Backfill, Event, Settings},
};
use newcol_testkit::Want;

use super::{Case, REQUIRED, TABLE, UPPER, at_first, engines, is_batch, numbered, said, small};

const DIVIDE: &str = "type = 'bigint'\nrequired = true\n[old_rows]\nfill = '5040 / part'\n";
const PARTS: &str = "CREATE TABLE t (id int PRIMARY KEY, name varchar(60), part int, c bigint)";

/// Runs a job that a row keeps from its end, and one after the row was corrected.
fn check_row(want: Want, body: &str, make: &[&str], correct: &str) -> Option<String> {
    let case = Case::new(want, body, make)?;
    let rows = case.count("1 = 1");
    let failed = case.fails();
    assert!(case.count("c IS NULL") > 0);
    // It says so again, and the rows before it stay.
    let first = |text: &str| text.lines().next().unwrap().to_owned();
    assert_eq!(first(&case.fails()), first(&failed));
    case.db.run(&[correct]).unwrap();
    assert_eq!(case.done().filled, rows, "{want}");
    Some(failed)
}

#[test]
fn the_row_that_cannot_be_computed_is_named() {
    let make = [
        PARTS,
        &numbered(6000),
        "UPDATE t SET part = id % 7 + 1",
        "UPDATE t SET part = 0 WHERE id = 4711",
    ];
    let correct = "UPDATE t SET part = 1 WHERE id = 4711";
    let expected = "`t.c` cannot be computed for the row with key 4711\n\
        because: division by zero\n\
        hint: correct the row, or the fill in the contract (then begin anew with `--restart`), and run the same command again";
    for version in [18, 15, 13] {
        let want = Want::postgres().version(version);
        let Some(failed) = check_row(want, DIVIDE, &make, correct) else { continue };
        assert_eq!(failed, expected, "{version}");
    }
}

/// The first in the order of the job.
#[test]
fn one_of_several_rows_is_named() {
    let make = [PARTS, &numbered(900), "UPDATE t SET part = 1 - sign(id % 100)"];
    let Some(case) = Case::new(Want::postgres().version(18), DIVIDE, &make) else { return };
    let failed = case.fails();
    assert!(failed.starts_with("`t.c` cannot be computed for the row with key 1\n"), "{failed}");
}

#[test]
fn a_row_without_key_is_named_by_its_place() {
    let table = PARTS.replace(" PRIMARY KEY", "");
    let make =
        [&table, &numbered(300), "UPDATE t SET part = 1", "UPDATE t SET part = 0 WHERE id = 47"];
    let Some(case) = Case::new(Want::postgres().version(18), DIVIDE, &make) else { return };
    let failed = case.fails();
    assert!(failed.starts_with("`t.c` cannot be computed for the row with key ("), "{failed}");
}

#[test]
fn a_value_that_the_column_refuses_is_named() {
    let body = "type = 'varchar(5)'\nrequired = true\n[old_rows]\nfill = 'lower(name)'\n";
    let table = "CREATE TABLE t (id int PRIMARY KEY, name varchar(60), c varchar(5))";
    let table_checked =
        "CREATE TABLE t (id int PRIMARY KEY, name varchar(60), c varchar(5) CHECK (length(c) < 6))";
    let mut all = String::new();
    for want in engines() {
        let table = if want == Want::sqlite() { table_checked } else { table };
        let make = [table, &numbered(700), "UPDATE t SET name = 'short' WHERE id <> 311"];
        let correct = "UPDATE t SET name = 'fine' WHERE id = 311";
        let Some(failed) = check_row(want, body, &make, correct) else { continue };
        // MySQL counts the rows of the statement.
        let head: Vec<&str> =
            failed.lines().take(2).map(|line| line.split(" at row").next().unwrap()).collect();
        all.push_str(&format!("{want}: {}\n", head.join("\n")));
    }
    assert_snapshot!(all, @"
    PostgreSQL 18: `t.c` cannot be stored for the row with key 311
    because: value too long for type character varying(5)
    PostgreSQL 13: `t.c` cannot be stored for the row with key 311
    because: value too long for type character varying(5)
    MySQL: `t.c` cannot be stored for the row with key 311
    because: Data too long for column 'c'
    SQLite: `t.c` cannot be stored for the row with key 311
    because: CHECK constraint failed: length(c) < 6
    ");
}

#[test]
fn what_mysql_and_sqlite_cannot_compute_is_named() {
    let body = "type = 'bigint'\nrequired = true\n[old_rows]\nfill = 'abs(part)'\n";
    let make = [
        &PARTS.replace("part int", "part bigint"),
        &numbered(400),
        "UPDATE t SET part = -id",
        "UPDATE t SET part = -9223372036854775808 WHERE id = 77",
    ];
    let correct = "UPDATE t SET part = 1 WHERE id = 77";
    let failed = check_row(Want::sqlite(), body, &make, correct).unwrap();
    assert!(
        failed.starts_with(
            "`t.c` cannot be computed for the row with key 77\nbecause: integer overflow"
        ),
        "{failed}"
    );
    let Some(failed) = check_row(Want::mysql(), body, &make, correct) else { return };
    assert!(failed.starts_with("`t.c` cannot be stored for the row with key 77\n"), "{failed}");
}

/// A value of the application's own is not judged by an expression that fails for its row.
#[test]
fn rows_that_the_application_filled_need_not_be_computable() {
    for version in [18, 13] {
        let make = [
            PARTS,
            &numbered(300),
            "UPDATE t SET part = 1",
            "UPDATE t SET part = 0, c = 5 WHERE id = 7",
        ];
        let want = Want::postgres().version(version);
        let Some(case) = Case::new(want, DIVIDE, &make) else { continue };
        let receipt = case.done();
        assert_eq!((receipt.filled, receipt.differing), (299, None), "{version}");
    }
}

#[test]
fn statements_that_take_too_long_are_tried_smaller() {
    let body = "type = 'bigint'\nrequired = false\n[old_rows]\nfill = 'slow(id)'\n";
    let make = [
        "CREATE FUNCTION slow(int) RETURNS bigint IMMUTABLE LANGUAGE plpgsql COST 10000 AS \
         'BEGIN PERFORM pg_sleep(0.001); RETURN $1; END'",
        // A block has some rows only, and is the least that is looked at.
        &PARTS.replace("part int", "part char(500)"),
        &numbered(150),
        "UPDATE t SET part = 'long'",
    ];
    let Some(case) = Case::new(Want::postgres().version(18), body, &make) else { return };
    let name = case.value("SELECT current_database()");
    case.db.run(&[&format!("ALTER DATABASE {name} SET statement_timeout = '100ms'")]).unwrap();
    assert_eq!(case.done().filled, 150);
}

#[test]
fn a_lost_connection_is_made_again() {
    for want in [Want::postgres().version(18), Want::postgres().version(13), Want::mysql()] {
        let Some(case) = Case::new(want, REQUIRED, &[TABLE, &numbered(600)]) else { continue };
        let case = case.with(small());
        let kill = || {
            let ids = if want == Want::mysql() {
                "SELECT concat('KILL ', id) FROM information_schema.processlist \
                 WHERE db = database() AND id <> connection_id()"
            } else {
                "SELECT 'SELECT pg_terminate_backend(' || pid || ')' FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()"
            };
            for row in case.db.rows(ids).unwrap() {
                // It may have ended by itself.
                case.db.run(&[row[0].as_deref().unwrap()]).ok();
            }
        };
        let lost = std::sync::atomic::AtomicU32::new(0);
        let tell = at_first(is_batch, kill);
        let outcome = case.run_telling(|event| {
            if matches!(event, Event::Reconnected) {
                lost.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
            tell(event)
        });
        assert_eq!(super::receipt(outcome.unwrap()).filled, 600, "{want}");
        assert_eq!(lost.into_inner(), 1, "{want}");
    }
}

#[test]
fn databases_that_take_no_changes_are_refused() {
    let Some(case) = Case::new(Want::postgres().version(18), UPPER, &[TABLE, &numbered(5)]) else {
        return;
    };
    let name = case.value("SELECT current_database()");
    case.db
        .run(&[&format!("ALTER DATABASE {name} SET default_transaction_read_only = on")])
        .unwrap();
    assert_snapshot!(case.fails(), @"
    `t.c` cannot be filled: `default_transaction_read_only` is on for this database, role or URL
    hint: lift the setting, or use a role for which it is off
    ");
}

#[test]
fn a_newer_record_is_left_alone() {
    for want in engines() {
        let Some(case) = Case::new(want, UPPER, &[TABLE, &numbered(50)]) else { continue };
        let stop = case.run_telling(|_| Answer::Stop);
        drop(stop.unwrap());
        case.db
            .run(&[
                "UPDATE __newcol_backfill SET format = 99, made_by = '9.1.0', phase = 'dancing'",
            ])
            .unwrap();
        assert_eq!(
            case.fails(),
            "the backfill of `t.c` was begun by version 9.1.0, whose record this version cannot read\n\
             hint: go on with that version or a later one"
        );
        assert_eq!(case.count("c IS NULL"), 50);
    }
}

#[test]
fn a_record_that_nobody_wrote_is_refused() {
    let Some(case) = Case::new(Want::sqlite(), UPPER, &[TABLE, &numbered(50)]) else { return };
    drop(case.run_telling(|_| Answer::Stop).unwrap());
    case.db
        .run(&["UPDATE __newcol_backfill_part SET place = 'keys - n1; DROP TABLE t 0'"])
        .unwrap();
    assert_snapshot!(case.fails(), @"
    the record of the backfill of `t.c` holds an unknown place `keys - n1; DROP TABLE t 0`
    hint: begin anew with `--restart`; filled rows keep their values
    ");
    let case = Case { settings: Settings { restart: true, ..small() }, ..case };
    assert_eq!(case.done().filled, 50);
}

#[test]
fn another_contract_is_another_job() {
    for want in engines() {
        let Some(case) = Case::new(want, UPPER, &[TABLE, &numbered(200)]) else { continue };
        let case = case.with(small());
        drop(
            case.run_telling(|event| if is_batch(event) { Answer::Stop } else { Answer::Go })
                .unwrap(),
        );
        let begun = case.count("c IS NOT NULL");
        assert!((1..200).contains(&begun), "{want}: {begun}");
        let contract =
            super::contract("t", "c", &UPPER.replace("upper(name)", "substr(name, 1, 3)"));
        let case = Case { contract, ..case };
        assert_eq!(
            case.fails(),
            "the contract of `t.c` changed since its backfill began: rows filled so far hold the values of the old one\n\
             hint: begin anew with `--restart`; filled rows keep their values"
        );
        let case = case.with(Settings { restart: true, ..small() });
        let receipt = case.done();
        assert_eq!((receipt.filled, receipt.differing), (200 - begun, Some(begun)), "{want}");
    }
}

#[test]
fn a_column_that_is_not_there_is_refused() {
    for want in engines() {
        let Some(case) =
            Case::new(want, UPPER, &["CREATE TABLE t (id int PRIMARY KEY, name varchar(60))"])
        else {
            continue;
        };
        let failed = case.fails();
        assert!(failed.starts_with("`t.c` does not exist in "), "{failed}");
        assert!(
            failed.ends_with("hint: apply the expand stage first: `diesel migration run`"),
            "{failed}"
        );
    }
}

#[test]
fn tables_without_a_key() {
    let table = TABLE.replace(" PRIMARY KEY", "");
    for version in [18, 15] {
        let want = Want::postgres().version(version);
        let Some(case) = Case::new(want, REQUIRED, &[&table, &numbered(800)]) else { continue };
        assert_eq!(case.done().filled, 800);
    }
    let sqlite = Case::new(Want::sqlite(), REQUIRED, &[&table, &numbered(800)]).unwrap();
    assert_eq!(sqlite.done().filled, 800);
    for want in [Want::postgres().version(13), Want::mysql()] {
        // A unique key that may be NULL is none.
        let make = [&table, "CREATE UNIQUE INDEX t_id ON t (id)", &numbered(8)];
        let Some(case) = Case::new(want, REQUIRED, &make) else { continue };
        assert_eq!(
            case.fails(),
            "the rows of `t.c`'s table cannot be filled in batches: it has no unique key without NULL\n\
             hint: give the table a primary key, or a unique index on columns that are NOT NULL",
            "{want}"
        );
    }
}

/// From 18 on a column may be called NOT NULL before it is.
#[test]
fn a_key_that_may_still_hold_null_is_none() {
    let make = [
        &TABLE.replace("int PRIMARY KEY", "int UNIQUE"),
        "INSERT INTO t VALUES (NULL, 'x', NULL)",
        "ALTER TABLE t ADD CONSTRAINT id_there NOT NULL id NOT VALID",
        &numbered(20),
    ];
    let Some(case) = Case::new(Want::postgres().version(18), REQUIRED, &make) else { return };
    let case = case.with(Settings { by_key: true, ..small() });
    assert!(case.fails().contains("it has no unique key without NULL"));
    // The server takes no change of that row, so it is named.
    let case = case.with(small());
    let failed = case.fails();
    assert!(failed.starts_with("`t.c` cannot be stored for the row with key (0,1)"), "{failed}");
    case.db.run(&["DELETE FROM t WHERE id IS NULL"]).unwrap();
    assert_eq!(case.done().filled, 20);
}

/// What was written down in the order of one key says nothing of another.
#[test]
fn a_key_that_changes_meanwhile_is_noticed() {
    let make = [TABLE, &numbered(100)];
    let Some(case) = Case::new(Want::postgres().version(18), REQUIRED, &make) else { return };
    let case = case.with(Settings { by_key: true, ..small() });
    let stop = |event: &Event| if is_batch(event) { Answer::Stop } else { Answer::Go };
    drop(case.run_telling(stop).unwrap());
    case.db
        .run(&["ALTER TABLE t DROP CONSTRAINT t_pkey", "ALTER TABLE t ADD PRIMARY KEY (name, id)"])
        .unwrap();
    let failed = case.fails();
    assert!(failed.contains("holds an unknown place `keys fill n20 n100 0`"), "{failed}");
    assert!(failed.contains("--restart"), "{failed}");
    let case = case.with(Settings { by_key: true, restart: true, ..small() });
    assert_eq!(case.done().filled, 80);
}

#[test]
fn sqlite_has_one_writer() {
    let case = Case::new(Want::sqlite(), UPPER, &[TABLE]).unwrap();
    let case = case.with(Settings { workers: 3.try_into().unwrap(), ..small() });
    assert_snapshot!(case.fails(), @"
    SQLite has one writer at a time, so more workers would only wait for each other
    hint: leave `--workers` out
    ");
}

/// Looking writes nothing, whatever the session may do.
#[test]
fn looking_needs_no_right_to_write() {
    for want in engines() {
        let Some(case) = Case::new(want, UPPER, &[TABLE, &numbered(50)]) else { continue };
        let before = newcol_testkit::schema_dump(case.db.url()).unwrap();
        for access in [Access::Read, Access::Write] {
            let open = newcol_core::db::OpenOptions { access, ..Default::default() };
            let url = case.url();
            let job = Backfill::new(&case.contract, &url, open);
            let seen = job.look(&|_| Answer::Go);
            seen.unwrap_or_else(|error| panic!("{want}: {}", said(&error))).unwrap();
            assert_eq!(job.status().unwrap(), None);
        }
        assert_eq!(newcol_testkit::schema_dump(case.db.url()).unwrap(), before, "{want}");
    }
}
