//! Profiles of tables: what is in them, and what must not be.

use std::time::{Duration, Instant};

use newcol_core::{
    backend::Backend,
    bench::profile::{ConstraintKind, Profile, Secrecy, take},
    db::{OpenOptions, Session},
};
use newcol_testkit::{ScratchDb, Want};

use super::{PEOPLE, profile};
use crate::desk;

fn people(major: u32) -> ScratchDb {
    let db = ScratchDb::new(Want::postgres().version(major)).unwrap();
    db.run(PEOPLE).unwrap();
    db
}

#[test]
fn no_value_of_the_data_leaves_the_server_unless_asked_for() {
    for major in [13, 15, 18] {
        let db = people(major);
        let shut = profile(&db, "people", Secrecy::NoValues).to_json();
        let open = profile(&db, "people", Secrecy::WithValues).to_json();
        for secret in ["ecret", "Wales", "2020-", "1950-", "\"value\"", "\"bounds\""] {
            assert!(!shut.contains(secret), "{major}: {secret}");
            assert!(open.contains(secret), "{major}: {secret}");
        }
        // The same value has the same number in one file, and another one in the next.
        let hash = |profile: &Profile| {
            profile.column("country").unwrap().statistics.as_ref().unwrap().common[0].hash.clone()
        };
        let (one, other) = (Profile::parse(&shut).unwrap(), Profile::parse(&open).unwrap());
        assert_ne!(hash(&one), hash(&other));
    }
}

#[test]
fn a_profile_says_what_the_catalog_says() {
    for major in [13, 15, 18] {
        let db = people(major);
        let profile = profile(&db, "public.people", Secrecy::NoValues);
        assert_eq!(profile.table, "people");
        assert_eq!(profile.server, format!("PostgreSQL {major}"));
        assert_eq!(profile.size.rows, 20_000.0);
        assert_eq!(profile.definition.fillfactor, Some(90));
        assert_eq!(profile.unread, Vec::<String>::new());
        let of = |kind| profile.definition.constraints.iter().filter(|c| c.kind == kind).count();
        let kinds = [
            ConstraintKind::Primary,
            ConstraintKind::Unique,
            ConstraintKind::Check,
            ConstraintKind::Foreign,
        ];
        assert_eq!(kinds.map(of), [1, 1, 1, 1]);
        assert_eq!(profile.definition.indexes.len(), 3);
        let statistics = |name: &str| profile.column(name).unwrap().statistics.clone().unwrap();
        assert_eq!(statistics("serial").n_distinct, -1.0);
        assert!((statistics("bio").null_frac - 1.0 / 3.0).abs() < 0.01);
        assert!((statistics("country").common[0].frequency - 0.5).abs() < 0.02);
        assert!(statistics("created_at").correlation.unwrap() > 0.99);
        let shape = statistics("created_at").shape;
        assert_eq!((shape.first(), shape.last()), (Some(&0.0), Some(&1.0)));
        assert!((shape[shape.len() / 2] - 0.5).abs() < 0.05, "{shape:?}");
        assert!(profile.settings.contains_key("full_page_writes"));
    }
}

#[test]
fn what_a_role_may_not_see_is_named() {
    // Roles are of the whole server.
    let db = ScratchDb::new(Want::postgres().version(15).private()).unwrap();
    db.run(PEOPLE).unwrap();
    db.run(&["CREATE ROLE reader LOGIN", "GRANT SELECT (id, country, age) ON people TO reader"])
        .unwrap();
    let (head, tail) = db.url().split_once("newcol@").unwrap();
    let url = format!("{head}reader@{tail}");
    let dir = tempfile::TempDir::new().unwrap();
    let dir = camino::Utf8Path::from_path(dir.path()).unwrap();
    let bench = |args: &[&str]| {
        let args = [&["bench", "profile", "--database-url", &url], args].concat();
        desk::said(&desk::tool(dir, &args).run().unwrap())
    };
    insta::assert_snapshot!(bench(&["people", "-o", "people.json"]), @"
    exit code: 0
    ----- stdout -----
    people.json: `people` of PostgreSQL [SERVER], 20000 rows in 1073 pages, statistics of 3 of 18 columns, 5 indexes
    ----- stderr -----
    warning: the role may not read `serial`: nothing is known of its values
    warning: the role may not read `email`: nothing is known of its values
    warning: the role may not read `bio`: nothing is known of its values
    warning: the role may not read `score`: nothing is known of its values
    warning: the role may not read `tags`: nothing is known of its values
    warning: the role may not read `data`: nothing is known of its values
    warning: the role may not read `mood`: nothing is known of its values
    warning: the role may not read `is_active`: nothing is known of its values
    warning: the role may not read `born`: nothing is known of its values
    warning: the role may not read `created_at`: nothing is known of its values
    warning: the role may not read `price`: nothing is known of its values
    warning: the role may not read `weight`: nothing is known of its values
    warning: the role may not read `raw`: nothing is known of its values
    warning: the role may not read `code`: nothing is known of its values
    warning: the role may not read `team_id`: nothing is known of its values
    ");
    insta::assert_snapshot!(bench(&["persons"]), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: there is no table `persons`
    help: name it as `schema.table` where it is not on the role's search path
    ");
    let file = std::fs::read_to_string(dir.join("people.json")).unwrap();
    let known = Profile::parse(&file).unwrap();
    let known = known.columns.iter().filter(|column| column.statistics.is_some());
    assert_eq!(
        known.map(|column| column.name.as_str()).collect::<Vec<_>>(),
        ["id", "country", "age"]
    );
}

#[test]
fn reading_takes_no_transaction_number_and_waits_for_nobody() {
    // Numbers of transactions are of the whole server.
    let db = ScratchDb::new(Want::postgres().version(15).private()).unwrap();
    db.run(PEOPLE).unwrap();
    let number = || db.rows("SELECT pg_snapshot_xmax(pg_current_snapshot())").unwrap();
    let before = number();
    profile(&db, "people", Secrecy::NoValues);
    assert_eq!(number(), before);
    let mut migration = Session::open(&super::url(&db), &OpenOptions::write()).unwrap();
    migration.batch("BEGIN; LOCK TABLE people IN ACCESS EXCLUSIVE MODE").unwrap();
    let watch = Instant::now();
    let ended = take(
        (&super::url(&db), &OpenOptions::read()),
        &"people".parse().unwrap(),
        Secrecy::NoValues,
    );
    assert!(watch.elapsed() < Duration::from_secs(3), "{ended:?}");
    migration.batch("ROLLBACK").unwrap();
}

/// A file has a version of its own, which is not that of the line.
#[test]
fn a_profile_and_a_workload_stand_by_themselves_in_their_lines() {
    let db = ScratchDb::sqlite().unwrap();
    db.run(&["CREATE TABLE things (id INTEGER PRIMARY KEY)", "INSERT INTO things VALUES (1)"])
        .unwrap();
    let dir = tempfile::TempDir::new().unwrap();
    let dir = camino::Utf8Path::from_path(dir.path()).unwrap();
    std::fs::write(dir.join("read.sql"), "SELECT * FROM things WHERE id = 1;").unwrap();
    for (args, file) in [
        (&["profile", "things"][..], "profile"),
        (&["workload", "things", "-f", "read.sql", "--rate", "5"], "workload"),
    ] {
        let wire = ["--message-format", "json", "--database-url", db.url()];
        let ended = desk::tool(dir, &[&["bench"], args, &wire].concat()).run().unwrap();
        let line: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(line["reason"], format!("newcol-bench-{file}"));
        assert!(line["version"].is_u64() && line[file]["version"].is_u64(), "{line}");
        assert_eq!(ended.stdout.matches("\"version\"").count(), 2);
    }
}

#[test]
fn engines_that_know_less_say_so() {
    for (want, table) in [
        (
            Want::from(Backend::Sqlite),
            "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT, amount REAL, bought DATE)",
        ),
        (
            Want::mysql(),
            "CREATE TABLE things (id INTEGER PRIMARY KEY, name VARCHAR(60) NOT NULL UNIQUE, kind VARCHAR(20), amount DOUBLE, bought DATE)",
        ),
    ] {
        let db = ScratchDb::new(want).unwrap();
        let row = |n: u32| {
            let kind =
                if n.is_multiple_of(4) { "NULL".to_owned() } else { format!("'secret{}'", n % 3) };
            format!("({n}, 'secret {n}', {kind}, {n}.5, '2024-01-{:02}')", 1 + n % 28)
        };
        let rows: Vec<String> = (1..=2000).map(row).collect();
        db.run(&[
            table,
            &format!("INSERT INTO things VALUES {}", rows.join(", ")),
            "CREATE INDEX things_kind ON things (kind)",
            match db.backend() {
                Backend::Sqlite => "ANALYZE",
                _ => "ANALYZE TABLE things",
            },
        ])
        .unwrap();
        let profile = profile(&db, "things", Secrecy::NoValues);
        assert!((profile.size.rows - 2000.0).abs() < 200.0, "{}", profile.size.rows);
        let of = |name: &str| profile.column(name).unwrap().statistics.clone().unwrap();
        assert_eq!((of("id").n_distinct, of("id").null_frac), (-1.0, 0.0));
        assert_eq!((of("kind").n_distinct, of("kind").null_frac), (3.0, 0.25));
        assert_eq!(of("bought").n_distinct, 28.0);
        assert_eq!(profile.definition.indexes.len(), 1);
        let kinds: Vec<_> = profile.definition.constraints.iter().map(|of| of.kind).collect();
        assert!(
            kinds.contains(&ConstraintKind::Primary) && kinds.contains(&ConstraintKind::Unique)
        );
        assert!(!profile.to_json().contains("secret"));
        assert!(
            take(
                (&super::url(&db), &OpenOptions::read()),
                &"none".parse().unwrap(),
                Secrecy::NoValues
            )
            .is_err()
        );
    }
}
