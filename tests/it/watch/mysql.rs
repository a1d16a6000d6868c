//! The watch on a real MariaDB or MySQL, whichever is there: the first does not count what is sent prepared.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel_async::{AsyncMysqlConnection, async_connection_wrapper::AsyncConnectionWrapper};
use newcol_core::{
    backend::Product,
    measure::{self, Options},
    watch::{
        collect::{Purpose, Taken},
        identity::Gap,
        involve::{Layer, role_name},
        report::Report,
        session::ALIAS,
    },
};
use newcol_testkit::Want;

use super::{
    World,
    cli::{COLUMN, project},
};
use crate::desk::newcol;

pub(super) const USERS: &[&str] = &[
    "CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(40), age INT)",
    "INSERT INTO users WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 500) \
     SELECT n, CONCAT('name ', n), n % 90 FROM s",
];

pub(super) const ADD: &str = "ALTER TABLE users ADD COLUMN locale VARCHAR(20)";

const MORE: &[&str] = &[
    "CREATE TABLE orders (id INT PRIMARY KEY, user_id INT, locale VARCHAR(20))",
    "CREATE TABLE audit_log (id INT)",
    "CREATE VIEW people AS SELECT * FROM users",
    "CREATE VIEW adults AS SELECT id, name FROM people WHERE age > 17",
    "CREATE FUNCTION total() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM users)",
    "CREATE TRIGGER log_it AFTER INSERT ON audit_log FOR EACH ROW UPDATE users SET age = 1 WHERE id = 0",
];

/// Statements that run on both sides of the column's coming, as texts, with their use after it.
const BOTH: &[(&str, &str)] = &[
    ("SELECT id, name FROM users WHERE id = 1", "control"),
    ("SELECT name FROM users WHERE age > 80 ORDER BY name LIMIT 3", "control"),
    ("SELECT count(*) FROM users", "control"),
    ("SELECT u.name, o.id FROM users u JOIN orders o ON o.user_id = u.id", "control"),
    ("SELECT o.locale FROM orders o JOIN users u ON u.id = o.user_id", "control"),
    ("SELECT id FROM orders WHERE locale = 'en'", "control"),
    ("SELECT DISTINCT age FROM users WHERE id IN (1, 2, 3)", "control"),
    ("SELECT id FROM users WHERE id = 2 LIMIT 1, 2", "control"),
    ("SELECT CAST(age AS CHAR(10)), INTERVAL 1 DAY + NOW() FROM users WHERE id = 1", "control"),
    ("INSERT IGNORE INTO users (id, name) VALUES (1001, 'x')", "writes"),
    ("INSERT IGNORE INTO users SET id = 1002, name = 'x'", "writes"),
    ("INSERT INTO users (id) VALUES (3) ON DUPLICATE KEY UPDATE name = 'y'", "writes"),
    ("REPLACE INTO users (id, name) VALUES (1003, 'z')", "writes"),
    ("UPDATE users SET name = 'z' WHERE id = 3", "writes"),
    ("UPDATE orders o JOIN users u ON o.user_id = u.id SET u.age = 3", "writes"),
    ("DELETE FROM users WHERE id = -1", "writes"),
    ("DELETE u FROM users u JOIN orders o ON o.user_id = u.id WHERE o.id = -1", "writes"),
    ("SELECT id FROM people WHERE id = 4", "control"),
    ("SELECT * FROM people WHERE id = 5", "control"),
    ("SELECT * FROM adults LIMIT 2", "control"),
    ("SELECT total()", "unknown"),
    ("INSERT INTO audit_log VALUES (1)", "unknown"),
    // The digest stays, and the column comes along: nothing is proved by its age.
    ("SELECT * FROM users WHERE id = 10", "star"),
    ("SELECT u.* FROM users u JOIN orders o ON o.user_id = u.id", "star"),
    ("SELECT 1 FROM users NATURAL JOIN orders", "join"),
    // Before the column the name meant the outer table's.
    ("SELECT (SELECT MAX(locale) FROM users) FROM orders", "order"),
];

/// Statements that only run after it.
const AFTER: &[(&str, &str)] = &[
    ("SELECT id FROM users WHERE locale = 'en'", "filter"),
    ("SELECT id FROM users WHERE locale IN ('en', 'de')", "filter"),
    ("SELECT `users`.`id`, `users`.`locale` FROM `users` WHERE `users`.`id` = 12", "projected"),
    ("SELECT id, name FROM users WHERE id IN (1, 2, 3) ORDER BY LOCALE", "order"),
    ("SELECT locale, count(*) FROM users GROUP BY locale", "order"),
    ("SELECT max(locale) FROM users", "order"),
    ("SELECT u.id FROM users u JOIN orders o ON o.locale = u.locale", "join"),
    ("SELECT u.id FROM users u JOIN orders o USING (locale)", "join"),
    ("UPDATE users SET locale = 'de' WHERE id = 13", "assigned"),
    ("UPDATE orders o JOIN users u ON o.user_id = u.id SET u.locale = 'x'", "assigned"),
    ("UPDATE users u JOIN orders o ON o.user_id = u.id SET o.locale = 'x'", "writes"),
    ("INSERT IGNORE INTO users (id, locale) VALUES (1006, 'fr')", "inserted"),
    ("INSERT IGNORE INTO users SET id = 1007, locale = 'fr'", "inserted"),
    // How many values there are is not told.
    ("INSERT IGNORE INTO users VALUES (1008, 'x', 1, 'fr')", "unknown"),
    ("WITH w AS (SELECT locale AS l FROM users) SELECT count(*) FROM w WHERE l = 'en'", "filter"),
    ("SELECT count(s.id) FROM (SELECT id, locale FROM users) s", "control"),
    (
        "SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM users u WHERE u.locale = o.locale)",
        "filter",
    ),
    ("SELECT tongue FROM speakers", "projected"),
    ("SELECT id FROM speakers WHERE tongue = 'en'", "filter"),
];

fn world() -> World {
    World::with(Want::mysql().private(), USERS)
}

/// The digest that the server makes of a text that it has just run as the only one of its kind.
fn digest(world: &mut World, sql: &str) -> String {
    let all = |world: &mut World| -> Vec<(String, u64)> {
        let rows = world.app.query(
            "SELECT digest_text, count_star FROM performance_schema.events_statements_summary_by_digest \
             WHERE schema_name = DATABASE()",
        );
        let row = |row: Vec<Option<String>>| match row.as_slice() {
            [Some(text), Some(count)] => (text.clone(), count.parse().unwrap()),
            other => panic!("{other:?}"),
        };
        rows.unwrap().into_iter().map(row).collect()
    };
    let before = all(world);
    world.run(&[sql]);
    let mut grown: Vec<String> =
        all(world).into_iter().filter(|one| !before.contains(one)).map(|(text, _)| text).collect();
    grown.retain(|text| !text.contains("events_statements_summary_by_digest"));
    let [one] = grown.as_slice() else { panic!("{sql}: {grown:?}") };
    one.trim_end().to_owned()
}

#[test]
fn every_statement_is_where_it_belongs() {
    let mut world = world();
    world.run(MORE);
    world.run(&["INSERT INTO orders VALUES (1, 10, 'en')"]);
    let first = world.take(Purpose::Baseline);
    assert!(first.has_baseline && first.gaps.is_empty(), "{first:?}");
    for (sql, _) in BOTH.iter().filter(|(sql, _)| !sql.contains("MAX(locale)")) {
        world.run(&[sql]);
    }
    // Refused, and counted all the same: so no digest is proof.
    assert!(world.app.query("SELECT id FROM users WHERE locale = 'en'").is_err());
    world.take(Purpose::Snap);
    world.run(&[ADD, "CREATE VIEW speakers AS SELECT id, locale AS tongue FROM users"]);
    world.take(Purpose::Snap);
    let mut wanted = Vec::new();
    for (sql, role) in BOTH.iter().chain(AFTER) {
        wanted.push((*sql, digest(&mut world, sql), *role));
    }
    world.take(Purpose::Snap);
    let found = world.statements();
    let mut wrong = Vec::new();
    for (sql, digest, role) in &wanted {
        let mut all = found.iter().filter(|s| s.text.as_deref() == Some(digest));
        match (all.next(), all.next()) {
            (Some(one), None) => {
                let involvement = one.involvement.as_ref().unwrap();
                let is = role_name(involvement.role());
                if is != *role {
                    wrong.push(format!("{sql}\n  {digest}\n  {role}, found {is} {involvement:?}"));
                }
                if involvement.layer == Layer::Number {
                    wrong.push(format!("{sql}: by its number"));
                }
            }
            _ => wrong.push(format!("{sql}\n  {digest}\n  not found, or twice")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let ours = found.iter().filter(|s| s.text.as_deref().is_some_and(|t| t.contains(ALIAS)));
    assert_eq!(ours.count(), 0);
}

diesel::table! {
    users (id) {
        id -> Integer,
        age -> Integer,
    }
}

type App = AsyncConnectionWrapper<AsyncMysqlConnection>;

/// Diesel prepares what it sends: of that MariaDB counts only how much it is, so the application has to
/// measure it.
#[test]
fn what_diesel_sends_is_known_from_the_application() {
    const TEXT: &str = "SELECT `users`.`id` FROM `users` WHERE (`users`.`age` = ?)";
    let mut world = world();
    let project = project("mysql");
    let file = project.root().join("statements.json");
    measure::install(Options::to(&file)).unwrap();
    let mut app = App::establish(world.db.url()).unwrap();
    let mut run = |times: i32| {
        for age in 0..times {
            let query = users::table.filter(users::age.eq(age)).select(users::id);
            drop(query.load::<i32>(&mut app).unwrap());
        }
        measure::write_now().unwrap();
    };
    run(3);
    world.take(Purpose::Baseline);
    let product = world.app.server().product;
    let counted = |world: &World| {
        let all = world.statements();
        let prepared = all.iter().find(|s| {
            let text = s.text.as_deref().unwrap_or_default();
            text.starts_with("EXECUTE SELECT") && text.contains("`age` = ?")
        });
        prepared.map(|one| role_name(one.involvement.as_ref().unwrap().role()))
    };
    let by_server = (product == Product::Mysql).then_some("control");
    assert_eq!(counted(&world), by_server);
    let report = Report::of(&mut world.store()).unwrap().unwrap();
    let has_percentiles = report.lines.iter().any(|line| {
        line.percentiles.is_some_and(|[p50, p95, p99]| 0.0 < p50 && p50 <= p95 && p95 <= p99)
    });
    assert_eq!(has_percentiles, product == Product::Mysql, "{:?}", report.lines);
    let url = world.db.url().to_owned();
    let url = ["--database-url", &url];
    let doctor = newcol(&project, &[&["watch", "doctor", COLUMN][..], &url].concat());
    let is_said = doctor.stdout.contains("executions were sent prepared, as Diesel does");
    assert_eq!(is_said, product == Product::Mariadb, "{doctor}");
    let snap = |verb: &str| {
        let args = [&["watch", verb, COLUMN, "--from", "statements.json"][..], &url].concat();
        newcol(&project, &args).success()
    };
    drop(snap("baseline"));
    run(10);
    drop(snap("snap"));
    world.run(&[ADD]);
    drop(snap("snap"));
    run(20);
    drop(snap("snap"));
    let json = ["watch", "report", COLUMN, "--message-format", "json"];
    let report = newcol(&project, &json).success();
    let lines: Vec<serde_json::Value> =
        report.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = lines.iter().find(|line| line["text"] == TEXT).unwrap_or_else(|| panic!("{report}"));
    assert_eq!((&line["role"], &line["layer"]), (&"control".into(), &"text".into()));
    assert_eq!((&line["before"]["calls"], &line["after"]["calls"]), (&10.into(), &20.into()));
    assert!(line["after"]["sd_ms"].is_number(), "{line}");
}

fn gaps(taken: &Taken) -> Vec<&Gap> {
    taken.gaps.iter().filter(|(id, _)| id.is_none()).map(|(_, gap)| gap).collect()
}

#[test]
fn what_breaks_the_counters_is_a_gap() {
    let mut world = world();
    let query = "SELECT name FROM users WHERE id = 1";
    world.run(&[query]);
    world.take(Purpose::Baseline);
    world.run(&[query, query]);
    assert_eq!(gaps(&world.take(Purpose::Snap)), Vec::<&Gap>::new());
    world.run(&["TRUNCATE performance_schema.events_statements_summary_by_digest", query]);
    assert_eq!(gaps(&world.take(Purpose::Snap)), [&Gap::StatsReset]);
    world.run(&[query]);
    assert_eq!(gaps(&world.take(Purpose::Snap)), Vec::<&Gap>::new());
    // Since when it runs is told in whole seconds.
    world.run(&["SELECT SLEEP(2)"]);
    world.db.crash_server().unwrap();
    world.reconnect();
    world.run(&[query]);
    assert_eq!(gaps(&world.take(Purpose::Snap)), [&Gap::ServerStarted, &Gap::StatsReset]);
    world.run(&[query]);
    assert_eq!(gaps(&world.take(Purpose::Snap)), Vec::<&Gap>::new());
    world.run(&["DROP TABLE users"]);
    assert_eq!(gaps(&world.take(Purpose::Snap)), [&Gap::NoTable]);
}

#[test]
fn indexes_and_what_a_row_writes_into_them() {
    let mut world = world();
    world.take(Purpose::Baseline);
    world.run(&["UPDATE users SET age = 1 WHERE id < 101"]);
    world.take(Purpose::Snap);
    world.run(&[
        ADD,
        "UPDATE users SET locale = 'en' WHERE id < 11",
        "CREATE INDEX users_locale ON users (locale)",
    ]);
    world.take(Purpose::Snap);
    world.run(&[
        "UPDATE users SET age = 2 WHERE id < 101",
        "SELECT name FROM users FORCE INDEX (users_locale) WHERE locale = 'en'",
    ]);
    world.take(Purpose::Snap);
    let report = Report::of(&mut world.store()).unwrap().unwrap();
    let index = report.indexes.iter().find(|index| index.name == "users_locale").unwrap();
    assert!(
        index.has_column && index.is_valid && !index.is_unique && !index.is_ignored,
        "{index:?}"
    );
    assert!(index.rows_read.is_some_and(|rows| (10.0..=12.0).contains(&rows)), "{index:?}");
    // MariaDB's `userstat` counts a row and every index of the table.
    let is_mariadb = world.app.server().product == Product::Mariadb;
    assert_eq!(report.table.0.entries_per_row(), is_mariadb.then_some(1.0));
    assert_eq!(report.table.1.entries_per_row(), is_mariadb.then_some(2.0));
    let off = index.trial(&world.column.table).unwrap();
    world.run(&[&off]);
    world.take(Purpose::Snap);
    let report = Report::of(&mut world.store()).unwrap().unwrap();
    assert!(report.indexes.iter().any(|index| index.is_ignored));
}

/// Nothing is written, reset or left behind, and a lock of others is not waited for.
#[test]
fn nothing_on_the_server_changes() {
    const STATE: &str = "SHOW GLOBAL STATUS WHERE variable_name IN ('COM_CREATE_TABLE', \
        'COM_TRUNCATE', 'COM_ALTER_TABLE', 'COM_INSERT', 'COM_UPDATE', 'COM_DELETE')";
    let mut world = world();
    let state = |world: &mut World| -> BTreeSet<Vec<Option<String>>> {
        world.app.query(STATE).unwrap().into_iter().collect()
    };
    let before = state(&mut world);
    world.take(Purpose::Baseline);
    for _ in 1..30 {
        world.take(Purpose::Snap);
    }
    assert_eq!(state(&mut world), before);
    assert_eq!(before.len(), 6, "{before:?}");
    let report = Report::of(&mut world.store()).unwrap().unwrap();
    assert!(report.own.own_ms > 0.0 && report.own.own_ms <= report.own.busy_ms, "{:?}", report.own);
    println!("own {:?}", report.own);
    // Who holds the table does not hold us.
    world.run(&["LOCK TABLES users WRITE"]);
    assert!(gaps(&world.take(Purpose::Snap)).is_empty());
}
