//! What an application measures of itself, and the watch on SQLite that lives by it.

use diesel::{prelude::*, sqlite::SqliteConnection};
use newcol_core::measure::{self, Measured, Options};

use super::exposition;
use crate::desk::{self, newcol};

const COLUMN: &str = "users.locale";

mod before {
    diesel::table! {
        users (id) {
            id -> Integer,
            name -> Text,
        }
    }
}

mod after {
    diesel::table! {
        users (id) {
            id -> Integer,
            name -> Text,
            locale -> Nullable<Text>,
        }
    }
}

const SLOW: &str = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 200000) \
    SELECT count(*) FROM n";

/// One test, as Diesel has one default instrumentation in a process.
#[test]
fn an_application_on_sqlite_measures_itself() {
    let contract = "format = 1\ntable = \"users\"\ncolumn = \"locale\"\nwhy = \"a test\"\n\
        type = \"text\"\nrequired = false\n";
    let project =
        desk::one_crate("sqlite").file("newcol/users.locale.toml", contract).build().unwrap();
    let (db, file) = (project.root().join("app.db"), project.root().join("statements.json"));
    measure::install(Options::to(&file)).unwrap();
    assert!(measure::install(Options::to(&file)).is_err());
    let mut app = SqliteConnection::establish(db.as_str()).unwrap();
    let mut run = |sql: &str| diesel::sql_query(sql).execute(&mut app).map(drop);
    run("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)").unwrap();
    run("CREATE VIEW people AS SELECT id, name FROM users").unwrap();
    assert!(run("SELECT nothing FROM nowhere").is_err());
    run(SLOW).unwrap();
    {
        use before::users::dsl::{id, name, users};
        for n in 0..5 {
            diesel::insert_into(users).values((id.eq(n), name.eq("x"))).execute(&mut app).unwrap();
            assert_eq!(users.filter(id.eq(n)).load::<(i32, String)>(&mut app).unwrap().len(), 1);
        }
    }
    measure::write_now().unwrap();
    let measured = Measured::read(file.as_std_path()).unwrap();
    let of = |text: &str| {
        let mut all = measured.statements.iter().filter(|one| one.text == text);
        all.next().unwrap_or_else(|| panic!("{text}: {measured:#?}")).clone()
    };
    let select = of("SELECT `users`.`id`, `users`.`name` FROM `users` WHERE (`users`.`id` = ?)");
    assert_eq!((select.calls, select.errors), (5, 0));
    assert!(select.p50_ms <= select.p99_ms && select.p99_ms <= select.max_ms * 1.02);
    let slow = of(SLOW);
    // Its rows are counted while they are fetched.
    assert!(slow.calls == 1 && slow.mean_ms > 1.0, "{slow:?}");
    assert_eq!(measured.uncounted, 0);
    let samples = exposition::read(&measure::prometheus());
    let count = samples.iter().find(|sample| {
        sample.name == "newcol_statement_seconds_count"
            && sample.labels.iter().any(|(_, value)| value.contains("WHERE (`users`.`id` = ?)"))
    });
    assert_eq!(count.unwrap().value, 5.0);

    let url = ["--database-url", "app.db", "--from", "statements.json"];
    let baseline = newcol(&project, &[&["watch", "baseline", COLUMN][..], &url].concat()).success();
    insta::assert_snapshot!(desk::said(&baseline), @"
    exit code: 0
    ----- stdout -----
    baseline of users.locale in SQLite file app.db: 3 statements on the table
    ----- stderr -----
    ");
    let mut run = |sql: &str| diesel::sql_query(sql).execute(&mut app).map(drop);
    run("ALTER TABLE users ADD COLUMN locale TEXT").unwrap();
    run("CREATE INDEX users_locale ON users (locale)").unwrap();
    measure::write_now().unwrap();
    drop(newcol(&project, &[&["watch", "snap", COLUMN][..], &url].concat()).success());
    {
        use after::users::dsl::{id, locale, users};
        for n in 0..4 {
            let found =
                users.filter(locale.eq("en")).load::<(i32, String, Option<String>)>(&mut app);
            assert_eq!(found.unwrap().len(), 0);
            drop(users.find(n).load::<(i32, String, Option<String>)>(&mut app).unwrap());
            diesel::update(users.filter(id.eq(n))).set(locale.eq("de")).execute(&mut app).unwrap();
        }
    }
    measure::write_now().unwrap();
    drop(newcol(&project, &[&["watch", "snap", COLUMN][..], &url].concat()).success());
    let json = ["watch", "report", COLUMN, "--message-format", "json"];
    let report = newcol(&project, &json).success();
    let lines: Vec<serde_json::Value> =
        report.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = |text: &str| {
        let found = lines.iter().find(|line| line["text"] == text);
        found.unwrap_or_else(|| panic!("{text}: {}", report.stdout)).clone()
    };
    const ALL: &str = "SELECT `users`.`id`, `users`.`name`, `users`.`locale` FROM `users`";
    let filter = line(&format!("{ALL} WHERE (`users`.`locale` = ?)"));
    assert_eq!((&filter["role"], &filter["layer"]), (&"filter".into(), &"text".into()));
    assert_eq!(filter["after"]["calls"], 4);
    assert!(filter["p99_ms"].as_f64().unwrap() > 0.0);
    let projected = line(&format!("{ALL} WHERE (`users`.`id` = ?)"));
    assert_eq!(projected["role"], "projected");
    // The release has only widened its list.
    assert_eq!(projected["continues"].as_array().unwrap().len(), 1, "{projected}");
    assert_eq!(
        line("UPDATE `users` SET `locale` = ? WHERE (`users`.`id` = ?)")["role"],
        "assigned"
    );
    let last = lines.last().unwrap();
    let index = last["indexes"].as_array().unwrap().iter().find(|i| i["name"] == "users_locale");
    assert_eq!(
        (&index.unwrap()["plans"], &index.unwrap()["has_column"]),
        (&1.0.into(), &true.into())
    );
    assert_eq!(last["gaps"].as_array().unwrap().len(), 0, "{last}");
    let wrong = ["watch", "snap", COLUMN, "--database-url", "app.db", "--from", "app.db"];
    insta::assert_snapshot!(desk::said(&newcol(&project, &wrong)), @"
    exit code: 101
    ----- stdout -----
    ----- stderr -----
    error: app.db has no figures of statements
      --> --from
      because: expected value at line 1 column 1
    ");
}
