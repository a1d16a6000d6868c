//! Tables of other shapes, and columns of other kinds.

use newcol_testkit::{ScratchDb, Want};

use super::super::{session, value, whole::App};
use crate::desk::{newcol, one_table};

const OPTIONAL: &str = "format = 1\ntable = 't'\ncolumn = 'c'\nwhy = 'x'\ntype = 'varchar(20)'\n\
                        required = false\n";

/// A table with a column that is applied, and these rows.
fn app(want: Want, create: &str, contract: &str, rows: &[&str]) -> Option<App> {
    let db = ScratchDb::require(want)?;
    let project = one_table(want.backend.name(), create, contract);
    db.run(&["SELECT 1"]).unwrap();
    let app = App { project, db };
    drop(app.apply(&["--all"]).success());
    drop(newcol(&app.project, &["next", "t.c"]).success());
    drop(app.apply(&["--all"]).success());
    app.db.run(rows).unwrap();
    Some(app)
}

impl App {
    /// Exports, drops, adds again and puts back; returns what the tool said.
    fn round(&self) -> String {
        let before = self.db.rows("SELECT id, name, c FROM t ORDER BY id, name").unwrap();
        let undo = ["undo", "t.c", "--live", "--yes", "--accept-loss", "--export", "lost.sql"];
        let said = self.run(&undo).success().stdout;
        drop(self.apply(&["t.c"]).success());
        assert_eq!(value(&self.db, "SELECT count(c) FROM t"), "0");
        let sql = self.project.read("lost.sql").unwrap();
        session(self.db.url(), "import").batch(&sql).unwrap();
        assert_eq!(self.db.rows("SELECT id, name, c FROM t ORDER BY id, name").unwrap(), before);
        said
    }
}

#[test]
fn keys_of_every_kind_find_their_rows() {
    let rows = [
        "INSERT INTO t (id, name, c) VALUES (1, 'A', 'one')",
        "INSERT INTO t (id, name, c) VALUES (1, 'b''', 'two')",
        "INSERT INTO t (id, name, c) VALUES (2, 'A', NULL)",
    ];
    let composite =
        "CREATE TABLE t (id integer NOT NULL, name varchar(20) NOT NULL, PRIMARY KEY (id, name))";
    let without_rowid = format!("{composite} WITHOUT ROWID");
    let partitioned = format!(
        "{composite} PARTITION BY LIST (id); CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1); \
         CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2)"
    );
    for (want, create) in [
        (Want::postgres(), composite),
        (Want::postgres(), &partitioned),
        (Want::mysql(), composite),
        (Want::sqlite(), composite),
        (Want::sqlite(), &without_rowid),
    ] {
        let Some(app) = app(want, create, OPTIONAL, &rows) else { return };
        let said = app.round();
        assert!(said.contains("2 values would be lost, of 3 rows"), "{create}: {said}");
    }
}

/// SQLite numbers the rows of a table anew that has no number for a key.
#[test]
fn rows_are_found_after_a_vacuum() {
    let create = "CREATE TABLE t (id text NOT NULL PRIMARY KEY, name text)";
    let rows = [
        "INSERT INTO t (id, c) VALUES ('a', '1'), ('b', '2'), ('c', '3')",
        "DELETE FROM t WHERE id = 'a'",
    ];
    let Some(app) = app(Want::sqlite(), create, OPTIONAL, &rows) else { return };
    let undo = ["undo", "t.c", "--live", "--yes", "--accept-loss", "--export", "lost.sql"];
    drop(app.run(&undo).success());
    drop(app.apply(&["t.c"]).success());
    app.db.run(&["VACUUM"]).unwrap();
    let sql = app.project.read("lost.sql").unwrap();
    session(app.db.url(), "import").batch(&sql).unwrap();
    let found = app.db.rows("SELECT id, c FROM t ORDER BY id").unwrap();
    let found: Vec<_> = found.into_iter().flatten().flatten().collect();
    assert_eq!(found, ["b", "2", "c", "3"]);
}

/// Nobody can say whose a value was, but how many there are.
#[test]
fn without_a_key_values_are_counted_and_not_exported() {
    let create = "CREATE TABLE t (id integer, name varchar(20))";
    let rows = ["INSERT INTO t (id, name, c) VALUES (1, 'A', 'x'), (1, 'A', 'x'), (1, 'A', NULL)"];
    for want in [Want::postgres(), Want::mysql()] {
        let Some(app) = app(want, create, OPTIONAL, &rows) else { return };
        let dry = app.run(&["undo", "t.c", "--live", "--dry-run"]).success();
        assert!(dry.stdout.contains("2 values would be lost, of 3 rows"), "{dry}");
        let all = ["undo", "t.c", "--live", "--yes", "--accept-loss"];
        let refused = app.run(&[&all[..], &["--export", "lost.csv"]].concat());
        assert_eq!(refused.code(), Some(2), "{refused}");
        assert!(refused.stderr.contains("cannot be exported"), "{refused}");
        assert!(app.project.read("lost.csv").is_err());
        drop(app.run(&all).success());
    }
}

const CREATE: &str = "CREATE TABLE t (id integer PRIMARY KEY, name varchar(20))";

/// Nothing but application code yields its values again.
#[test]
fn values_of_code_are_lost_all() {
    let contract =
        OPTIONAL.to_owned() + "[old_rows]\nrust = 'crate::fill'\n[old_writers]\nby = 'nobody'\n";
    let rows = ["INSERT INTO t (id, name, c) VALUES (1, 'A', 'a'), (2, 'B', NULL)"];
    for want in [Want::postgres(), Want::mysql(), Want::sqlite()] {
        let Some(app) = app(want, CREATE, &contract, &rows) else { return };
        let said = app.round();
        assert!(said.contains("1 value would be lost, of 2 rows: nothing computes"), "{said}");
    }
}

/// A default that stays the same comes again with the column; another value does not.
#[test]
fn a_default_comes_again() {
    let contract = OPTIONAL.to_owned() + "[default]\nvalue = \"'en'\"\nkeep = true\n";
    let rows =
        ["INSERT INTO t (id, name, c) VALUES (1, 'A', 'en'), (2, 'B', 'EN'), (3, 'C', 'de')"];
    for want in [Want::postgres(), Want::mysql(), Want::sqlite()] {
        let Some(app) = app(want, CREATE, &contract, &rows) else { return };
        let dry = app.run(&["undo", "t.c", "--live", "--dry-run"]).success();
        assert!(dry.stdout.contains("2 values would be lost, of 3 rows"), "{dry}");
    }
}

#[test]
fn generated_values_are_not_lost() {
    let contract = OPTIONAL.to_owned() + "[generated]\nas = 'upper(name)'\n";
    let rows = ["INSERT INTO t (id, name) VALUES (1, 'a')"];
    for want in [Want::mysql(), Want::sqlite()] {
        let Some(app) = app(want, CREATE, &contract, &rows) else { return };
        let done = app.run(&["undo", "t.c", "--live", "--yes"]).success();
        assert!(done.stdout.contains("no value is lost: the server computes"), "{done}");
    }
}
