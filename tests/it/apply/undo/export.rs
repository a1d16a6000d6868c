use std::fs;

use camino::Utf8Path;
use newcol_core::{
    contract::read::read,
    db::{DatabaseUrl, OpenOptions},
    execute::{
        backfill::{Answer, Backfill},
        export::Target,
    },
};
use newcol_testkit::{ScratchDb, Want};

use super::super::{session, value, whole::App};
use crate::{desk::newcol, small_disk::SmallDisk};

/// What is exported, dropped, added again and put back is the same, to the last bit.
fn round_trip(want: Want, types: &[(&str, &[&str])], bits: &str) {
    let Some(db) = ScratchDb::require(want) else { return };
    let name = |at: usize| format!("c{at}");
    let columns = types.iter().enumerate().map(|(at, (ty, _))| format!(", {} {ty}", name(at)));
    db.run(&[&format!(
        "CREATE TABLE users (id integer PRIMARY KEY{})",
        columns.collect::<String>()
    )])
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::parse(db.url()).unwrap();
    for (at, (ty, values)) in types.iter().enumerate() {
        let column = name(at);
        db.run(&["DELETE FROM users"]).unwrap();
        for (id, value) in values.iter().chain(&["NULL"]).enumerate() {
            let insert = format!("INSERT INTO users (id, {column}) VALUES ({id}, {value})");
            db.run(&[&insert]).unwrap();
        }
        let bits = bits.replace("{}", &column);
        let all = || db.rows(&format!("SELECT id, {bits} FROM users ORDER BY id")).unwrap();
        let before = all();
        let text = format!(
            "format = 1\ntable = 'users'\ncolumn = '{column}'\nwhy = 'x'\ntype = '{ty}'\n\
             required = false\n"
        );
        let contract = read(&text).map_err(|_| "unreadable").unwrap().contract;
        let file = Utf8Path::from_path(dir.path()).unwrap().join(format!("{at}.sql"));
        let target = Target::new(file.clone()).unwrap();
        let job = Backfill::new(&contract, &url, OpenOptions::read());
        let losses = job.losses(Some(&target), &|_| Answer::Go).unwrap();
        assert_eq!(losses.lost, values.len() as u64, "{ty}");
        db.run(&[
            &format!("ALTER TABLE users DROP COLUMN {column}"),
            &format!("ALTER TABLE users ADD COLUMN {column} {ty}"),
        ])
        .unwrap();
        assert_eq!(value(&db, &format!("SELECT count({column}) FROM users")), "0", "{ty}");
        let sql = fs::read_to_string(&file).unwrap();
        assert_eq!(sql.matches("UPDATE").count(), values.len(), "{sql}");
        session(db.url(), "import").batch(&sql).unwrap();
        assert_eq!(all(), before, "{ty}: {sql}");
    }
}

/// As [`round_trip`], by the commands alone.
#[test]
fn round_trip_by_commands() {
    let Some(app) = App::with_rows(Want::postgres()) else { return };
    let add = ["add", "users.c", "--type", "text", "--optional", "--why", "x", "--no-tests"];
    drop(newcol(&app.project, &add).success());
    drop(app.apply(&["users.c"]).success());
    app.db.run(&["UPDATE users SET c = upper(name) WHERE id < 3"]).unwrap();
    let all = || app.db.rows("SELECT id, c FROM users ORDER BY id").unwrap();
    let before = all();
    let undo = ["undo", "users.c", "--live", "--yes", "--accept-loss", "--export", "lost.sql"];
    let said = app.run(&undo).success();
    assert!(said.stdout.contains("  2 values"), "{said}");
    drop(app.apply(&["users.c"]).success());
    assert_eq!(value(&app.db, "SELECT count(c) FROM users"), "0");
    session(app.db.url(), "import").batch(&app.project.read("lost.sql").unwrap()).unwrap();
    assert_eq!(all(), before);
}

const TEXTS: &[&str] =
    &["''", "'a,b'", "'it''s'", "'Ünï ☃ 𝄞'", "'two\nlines\r\n'", "' ends in spaces  '", "'NULL'"];

#[test]
fn round_trip_on_postgres() {
    let types: &[(&str, &[&str])] = &[
        ("text", &[TEXTS, &[r"'back\slash'", r"E'\\x00'"]].concat()),
        ("varchar(9)", &["'Aa'", "'b '"]),
        ("char(3)", &["'x'"]),
        ("double precision", &["0.1::float8 + 0.2", "'NaN'", "'-Infinity'", "1e-300", "-0.0"]),
        ("real", &["16777217::real / 3"]),
        ("numeric(20,6)", &["12345678901234.000100", "'NaN'"]),
        ("bigint", &["-9223372036854775808"]),
        ("bytea", &[r"'\x00ff41'", "''"]),
        ("jsonb", &[r#"'{"a": "it''s", "b": [1.50, null]}'"#]),
        ("timestamptz", &["'2024-02-29 23:59:59.123456+05:30'", "'infinity'", "'0044-03-15 BC'"]),
        ("interval", &["'-1 year 2 days -03:04:05.6'"]),
        ("text[]", &[r#"ARRAY['a,b', NULL, '"', '\']"#, "'{}'"]),
        ("boolean", &["true", "false"]),
        ("uuid", &["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"]),
    ];
    round_trip(Want::postgres(), types, "md5({}::text)");
}

#[test]
fn round_trip_on_mysql() {
    let types: &[(&str, &[&str])] = &[
        ("text", &[TEXTS, &[r"'back\\slash'"]].concat()),
        ("varchar(9)", &["'Aa'", "'b '"]),
        ("double", &["0.1e0 + 0.2e0", "1e-300"]),
        ("float", &["16777215e0 / 3", "0.1"]),
        ("decimal(20,6)", &["12345678901234.000100"]),
        ("bigint unsigned", &["18446744073709551615"]),
        ("varbinary(20)", &["x'00ff41'", "''"]),
        ("json", &[r#"'{"a": "it''s", "b": [1.5, null]}'"#]),
        ("datetime(6)", &["'2024-02-29 23:59:59.123456'"]),
        ("time(3)", &["'-101:02:03.004'"]),
        ("bit(9)", &["b'100000001'"]),
        ("boolean", &["true", "false"]),
    ];
    round_trip(Want::mysql(), types, "hex({}), hex(concat({}))");
}

#[test]
fn round_trip_on_sqlite() {
    let types: &[(&str, &[&str])] = &[
        ("text", &[TEXTS, &[r"'back\slash'", "'nul' || char(0) || 'l'"]].concat()),
        ("double", &["0.1 + 0.2", "1e-300", "9e999"]),
        ("bigint", &["-9223372036854775808"]),
        ("blob", &["x'00ff41'", "x''"]),
        ("boolean", &["1", "0"]),
    ];
    round_trip(Want::sqlite(), types, "typeof({}), quote({}), hex({})");
}

/// The form that other programs read, with the key.
#[test]
fn values_for_other_programs() {
    for want in [Want::postgres(), Want::mysql(), Want::sqlite()] {
        let Some(app) = App::with_rows(want) else { return };
        let add = ["add", "users.locale", "--type", "varchar(40)", "--required"];
        let fill = ["--fill", "lower(name)", "--why", "x", "--no-tests"];
        drop(newcol(&app.project, &[&add[..], &fill].concat()).success());
        drop(app.apply(&["users.locale"]).success());
        drop(app.run(&["backfill", "users.locale", "--yes"]).success());
        // One differs by nothing but case, which some collations pass over.
        app.db
            .run(&[
                "UPDATE users SET locale = 'ANN' WHERE id = 1",
                "UPDATE users SET locale = 'a \"b\", c' WHERE id = 3",
            ])
            .unwrap();
        let refused = app.undo(&["--yes", "--export", "lost.csv"]);
        assert_eq!(refused.code(), Some(3), "{refused}");
        let csv = "id,locale\r\n1,ANN\r\n3,\"a \"\"b\"\", c\"\r\n";
        assert_eq!(app.project.read("lost.csv").unwrap(), csv);
        assert_eq!(value(&app.db, "SELECT count(locale) FROM users"), "3");
        let again = app.undo(&["--yes", "--export", "lost.csv", "--accept-loss"]);
        assert_eq!(again.code(), Some(2), "{again}");
        drop(app.undo(&["--yes", "--accept-loss"]).success());
    }
}

/// Nothing of a file stays that could not be written whole, and then nothing is dropped.
#[test]
fn a_full_disk_loses_nothing() {
    let Some(app) = App::with_rows(Want::sqlite()) else { return };
    let add = ["add", "users.locale", "--type", "text", "--optional", "--why", "x", "--no-tests"];
    drop(newcol(&app.project, &add).success());
    drop(app.apply(&["users.locale"]).success());
    app.db.run(&["UPDATE users SET locale = hex(zeroblob(1000000))"]).unwrap();
    let Some(disk) = SmallDisk::new(1, app.project.root().as_str()) else { return };
    let file = disk.dir().join("lost.sql");
    let refused = app.undo(&["--yes", "--accept-loss", "--export", file.as_str()]);
    assert_eq!(refused.code(), Some(101), "{refused}");
    assert!(refused.stderr.contains("No space left"), "{refused}");
    assert_eq!(disk.dir().read_dir_utf8().unwrap().count(), 0);
    assert_eq!(value(&app.db, "SELECT count(locale) FROM users"), "3");
}

/// Who stops it finds no file and a table as it was.
#[test]
fn what_is_stopped_leaves_no_file() {
    let Some(app) = App::with_rows(Want::sqlite()) else { return };
    let add = ["add", "users.locale", "--type", "text", "--optional", "--why", "x", "--no-tests"];
    drop(newcol(&app.project, &add).success());
    drop(app.apply(&["users.locale"]).success());
    let text = app.project.read("newcol/users.locale.toml").unwrap();
    let contract = read(&text).map_err(|_| "unreadable").unwrap().contract;
    let url = DatabaseUrl::parse(app.db.url()).unwrap();
    let target = Target::new(app.project.root().join("lost.csv")).unwrap();
    let job = Backfill::new(&contract, &url, OpenOptions::write());
    let before = fs::read_dir(app.project.root()).unwrap().count();
    let found = job.losses(Some(&target), &|_| Answer::Stop).unwrap();
    assert!(!found.is_whole);
    assert_eq!(fs::read_dir(app.project.root()).unwrap().count(), before);
}
