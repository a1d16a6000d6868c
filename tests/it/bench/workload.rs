//! Workloads: from what a server has counted to statements that a table like it takes.

use newcol_core::{
    backend::Backend,
    bench::{
        profile::Profile,
        workload::{Parameter, Workload},
    },
    db::{OpenOptions, Session},
};
use newcol_testkit::{ScratchDb, Want, bench::table::fill};

use super::{PEOPLE, url};
use crate::desk;

/// Statements as an application sends them, and how often.
const SENT: &[(&str, u32)] = &[
    ("SELECT id, email FROM people WHERE email = 'secret{n}@example.org'", 40),
    ("SELECT id FROM people WHERE country = 'Wales' ORDER BY created_at DESC LIMIT 5", 20),
    ("UPDATE people SET score = {n}.5, is_active = true WHERE serial = {n}", 15),
    (
        "INSERT INTO people (id, email, country, is_active, data, tags) VALUES \
         (gen_random_uuid(), 'new{n}', 'Spain', true, '{\"a\": 1}', '{x}')",
        10,
    ),
    // Of the table that is joined, the first one needs the key alone.
    ("SELECT count(*) FROM people p JOIN teams t ON t.id = p.team_id WHERE t.id = {n}", 6),
    ("SELECT t.name FROM people p JOIN teams t ON t.id = p.team_id WHERE p.serial = {n}", 5),
    ("DELETE FROM people WHERE serial = 19{n}", 5),
    ("SELECT * FROM people WHERE score BETWEEN 5 AND {n} AND mood = 'glad' LIMIT 3", 5),
];

#[test]
fn what_a_server_has_counted_is_sent_to_a_table_like_its_own() {
    for major in [13, 15, 18] {
        let db = ScratchDb::new(Want::postgres().version(major).private()).unwrap();
        db.run(PEOPLE).unwrap();
        let mut app = Session::open(&url(&db), &OpenOptions::write()).unwrap();
        app.batch("CREATE EXTENSION pg_stat_statements").unwrap();
        app.query("SELECT pg_stat_statements_reset()").unwrap();
        for (sql, times) in SENT {
            for n in 0..*times {
                app.query(&sql.replace("{n}", &n.to_string())).unwrap();
            }
        }
        let dir = tempfile::TempDir::new().unwrap();
        let dir = camino::Utf8Path::from_path(dir.path()).unwrap();
        let bench = |args: &[&str]| {
            let args = [&["bench"], args, &["--database-url", db.url()]].concat();
            desk::tool(dir, &args).run().unwrap()
        };
        assert_eq!(bench(&["profile", "people", "-o", "p.json"]).code(), Some(0));
        let made =
            bench(&["workload", "people", "--profile", "p.json", "-o", "w.json", "--rate", "7"]);
        let said = desk::said(&made);
        assert!(said.contains("it uses `t.name`, and of a joined table"), "{said}");
        let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
        assert!(!read("w.json").contains("secret"), "{}", read("w.json"));
        let workload = Workload::parse(&read("w.json"), Backend::Postgres).unwrap();
        assert_eq!(workload.rate, Some(7.0));
        let weights: Vec<f64> = workload.statements.iter().map(|of| of.weight).collect();
        assert_eq!(weights[..5], [40.0, 20.0, 15.0, 10.0, 6.0], "{said}");
        let limit = Parameter::Constant { sql: "5".to_owned() };
        assert!(workload.statements[1].parameters.contains(&limit), "{workload:?}");

        let other = ScratchDb::new(Want::postgres().version(major)).unwrap();
        let mut session = Session::open(&url(&other), &OpenOptions::write()).unwrap();
        let profile = Profile::parse(&read("p.json")).unwrap();
        let filled = fill(&mut session, &profile, 0.2, 3).unwrap();
        let drawn = filled.drawn(&mut session, (500, 60), 1).unwrap();
        let mut found = 0;
        for part in 0..2 {
            let mut drawn = drawn.part(part, 2);
            for statement in &workload.statements {
                let template = statement.template(Backend::Postgres).unwrap();
                for _ in 0..20 {
                    let sql = template.fill(&statement.draw(&mut drawn).unwrap());
                    found += session.query(&sql).unwrap_or_else(|e| panic!("{sql}: {e:?}")).len();
                }
            }
        }
        assert!(found > 0);
    }
}

#[test]
fn scripts_and_wrong_wishes() {
    let dir = tempfile::TempDir::new().unwrap();
    let dir = camino::Utf8Path::from_path(dir.path()).unwrap();
    std::fs::write(
        dir.join("read.sql"),
        "\\set id random(1, 10)\nSELECT * FROM t WHERE id = :id;\n",
    )
    .unwrap();
    std::fs::write(dir.join("bad.sql"), "SELECT 1;\n\\shell rm\n").unwrap();
    let bench = |args: &[&str]| {
        let args = [&["bench", "workload", "t"], args].concat();
        desk::said(&desk::tool(dir, &args).run().unwrap())
    };
    insta::assert_snapshot!(bench(&["-f", "read.sql@9"]), @r#"
    exit code: 0
    ----- stdout -----
    {
      "version": 1,
      "table": "t",
      "rate": null,
      "statements": [
        {
          "name": "read",
          "sql": "SELECT * FROM t WHERE id = $1;",
          "parameters": [
            {
              "from": "number",
              "least": 1,
              "greatest": 10,
              "spread": "uniform"
            }
          ],
          "weight": 9.0
        }
      ],
      "left_out": []
    }
    ----- stderr -----
    "#);
    insta::assert_snapshot!(bench(&["-f", "bad.sql"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `\shell` is not known here, only `\set` is
      --> bad.sql:2
    ");
    insta::assert_snapshot!(bench(&["-f", "none.sql"]), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: could not read the file
      --> none.sql
      because: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(bench(&["-f", "read.sql", "--rate", "0"]), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value '0' for '--rate <NUMBER>': it is not above 0

    For more information, try '--help'.
    ");
}

#[test]
fn a_test_run_and_the_watch_tell_what_is_sent_too() {
    let db = ScratchDb::new(Want::postgres().version(15).private()).unwrap();
    db.run(&[
        "CREATE EXTENSION pg_stat_statements",
        "CREATE TABLE users (id integer PRIMARY KEY, name text NOT NULL, settings text)",
        "INSERT INTO users SELECT n, 'name ' || n FROM generate_series(1, 500) n",
        "ANALYZE users",
        "SELECT pg_stat_statements_reset()",
        "SELECT name FROM users WHERE id = 1",
        "SELECT name FROM users WHERE id = 2",
        "UPDATE users SET settings = 'x' WHERE name = 'name 7'",
    ])
    .unwrap();
    let contract = "format = 1\ntable = \"users\"\ncolumn = \"locale\"\nwhy = \"a test\"\n\
        type = \"text\"\nrequired = false\n";
    let project =
        desk::one_crate("postgres").file("newcol/users.locale.toml", contract).build().unwrap();
    let run = |args: &[&str]| {
        let ran = desk::newcol(&project, args);
        assert_eq!(ran.code(), Some(0), "{ran}");
    };
    let url = ["--database-url", db.url()];
    run(&[&["watch", "baseline", "users.locale"], &url[..]].concat());
    run(&[&["bench", "profile", "users", "-o", "p.json"], &url[..]].concat());
    let sent = |args: &[&str]| {
        run(&[&["bench", "workload", "users", "--profile", "p.json", "-o", "w.json"], args]
            .concat());
        let text = std::fs::read_to_string(project.root().join("w.json")).unwrap();
        let workload = Workload::parse(&text, Backend::Postgres).unwrap();
        let all = workload.statements.into_iter();
        let all: Vec<(String, f64)> = all.map(|of| (of.sql, of.weight)).collect();
        (all, workload.rate.is_some())
    };
    let of_watch = sent(&["--watch", "users.locale"]);
    let owned = |text: &str, weight| (text.to_owned(), weight);
    let wanted = vec![
        owned("SELECT name FROM users WHERE id = $1", 2.0),
        owned("UPDATE users SET settings = $1 WHERE name = $2", 1.0),
    ];
    assert_eq!(of_watch, (wanted, true));
    let of_run = sent(&["--", env!("CARGO_BIN_EXE_newcol-sender"), "load", "load", "insert:1"]);
    let wanted = vec![
        owned(
            "SELECT \"users\".\"id\", \"users\".\"name\" FROM \"users\" WHERE (\"users\".\"id\" = $1)",
            2.0,
        ),
        owned("INSERT INTO \"users\" (\"id\", \"name\") VALUES ($1, $2)", 1.0),
    ];
    assert_eq!(of_run, (wanted, false));
}
