//! What an application measures of itself: the watch on SQLite lives by it, and that on PostgreSQL where
//! the server's own statistics are out of reach.

use camino::Utf8Path;
use diesel::{prelude::*, sqlite::SqliteConnection};
use diesel_async::{AsyncPgConnection, async_connection_wrapper::AsyncConnectionWrapper};
use newcol_core::measure::{self, Measured, Options};
use newcol_testkit::{ScratchDb, Want};

use super::exposition;
use crate::{
    desk::{self, newcol},
    pooler::Pooler,
};

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

mod behind {
    diesel::table! {
        guests (id) {
            id -> Integer,
            name -> Text,
            locale -> Nullable<Text>,
        }
    }
}

const CONTRACT: &str = "format = 1\ntable = \"users\"\ncolumn = \"locale\"\nwhy = \"a test\"\n\
    type = \"text\"\nrequired = false\n";

const SLOW: &str = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 200000) \
    SELECT count(*) FROM n";

/// One test, as Diesel has one default instrumentation in a process.
#[test]
fn an_application_measures_itself() {
    let project =
        desk::one_crate("sqlite").file("newcol/users.locale.toml", CONTRACT).build().unwrap();
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
    behind_a_pooler(&file);
}

/// Its connections and those of the watch go through pools, and nobody counts statements on the server.
fn behind_a_pooler(file: &Utf8Path) {
    use behind::guests;

    let db = ScratchDb::new(Want::postgres()).unwrap();
    db.run(&[
        "CREATE TABLE guests (id integer PRIMARY KEY, name text NOT NULL)",
        "INSERT INTO guests SELECT n, 'guest ' || n FROM generate_series(1, 2000) n",
        "ANALYZE guests",
    ])
    .unwrap();
    // This pool knows no prepared statements in transactions.
    let [sessions, transactions] =
        ["session", "transaction"].map(|mode| Pooler::before(&db, &format!("pool_mode = {mode}")));
    let contract = CONTRACT.replace("users", "guests");
    let project =
        desk::one_crate("postgres").file("newcol/guests.locale.toml", &contract).build().unwrap();
    let watch = |verb: &str| {
        measure::write_now().unwrap();
        let url = ["--database-url", &transactions.url, "--from", file.as_str()];
        newcol(&project, &[&["watch", verb, "guests.locale"][..], &url].concat()).success()
    };
    let mut app = AsyncConnectionWrapper::<AsyncPgConnection>::establish(&sessions.url).unwrap();
    let old = |n: i32, app: &mut AsyncConnectionWrapper<AsyncPgConnection>| {
        let found = guests::table
            .filter(guests::id.eq(n))
            .select((guests::id, guests::name))
            .load::<(i32, String)>(app);
        assert_eq!(found.unwrap().len(), 1);
    };
    (1..=5).for_each(|n| old(n, &mut app));
    insta::assert_snapshot!(desk::said(&watch("baseline")), @"
    exit code: 0
    ----- stdout -----
    baseline of guests.locale in PostgreSQL database [DATABASE] on [SERVER] 1 statement on the table
    ----- stderr -----
    ");
    db.run(&[
        "ALTER TABLE guests ADD COLUMN locale text",
        "UPDATE guests SET locale = 'l' || id",
        "CREATE INDEX guests_locale ON guests (locale)",
        "ANALYZE guests",
    ])
    .unwrap();
    drop(watch("snap"));
    (1..=3).for_each(|n| old(n, &mut app));
    for n in 1..=4 {
        let of = guests::table.filter(guests::locale.eq(format!("l{n}"))).select((
            guests::id,
            guests::name,
            guests::locale,
        ));
        let found = of.load::<(i32, String, Option<String>)>(&mut app).unwrap();
        assert_eq!(found.len(), 1);
    }
    drop(watch("snap"));
    let json = ["watch", "report", "guests.locale", "--message-format", "json"];
    let report = newcol(&project, &json).success();
    let lines: Vec<serde_json::Value> =
        report.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = |text: &str| {
        let found = lines.iter().find(|line| line["text"] == text);
        found.unwrap_or_else(|| panic!("{text}: {}", report.stdout)).clone()
    };
    const ID: &str = r#"SELECT "guests"."id", "guests"."name""#;
    let filter =
        line(&format!(r#"{ID}, "guests"."locale" FROM "guests" WHERE ("guests"."locale" = $1)"#));
    assert_eq!((&filter["role"], &filter["layer"]), (&"filter".into(), &"text".into()));
    assert_eq!(filter["after"]["calls"], 4);
    assert!(filter["p99_ms"].as_f64().unwrap() > 0.0);
    let kept = line(&format!(r#"{ID} FROM "guests" WHERE ("guests"."id" = $1)"#));
    // Of an application's own figures no number proves anything: its text does.
    assert_eq!((&kept["layer"], &kept["after"]["calls"]), (&"text".into(), &3.into()));
    let last = lines.last().unwrap();
    assert_eq!(last["gaps"].as_array().unwrap().len(), 0, "{last}");
    assert!(
        last["indexes"].as_array().unwrap().iter().any(|i| i["name"] == "guests_locale"),
        "{last}"
    );
}
