//! No statement is said to touch the column that does not, and none that does is missed.

use newcol_core::watch::{
    collect::Purpose,
    involve::{Layer, role_name},
    series::QueryId,
    store::Measured,
};
use newcol_testkit::Want;

use super::{ADD, World};

const MORE: &[&str] = &[
    "CREATE TABLE orders (id integer PRIMARY KEY, user_id integer, locale text)",
    "CREATE TABLE audit_log (id integer)",
    "CREATE SCHEMA other",
    "CREATE TABLE other.users (id integer, locale text)",
    "CREATE VIEW people AS SELECT * FROM users",
    "CREATE VIEW adults AS SELECT id, name FROM users WHERE age > 17",
    "CREATE FUNCTION total() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM users'",
    "CREATE FUNCTION described(users) RETURNS text LANGUAGE sql AS 'SELECT $1.name'",
    "CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE users SET age = 1 WHERE id = 0; RETURN NULL; END'",
    "CREATE TRIGGER log_it AFTER INSERT ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION log_it()",
    "CREATE TABLE parted (id integer, locale text) PARTITION BY RANGE (id)",
];

/// Statements that run on both sides of the column's coming, with their use after it.
///
/// `SELECT *` and its like are other statements after it: their old numbers are checked apart.
const BOTH: &[(&str, &str)] = &[
    ("SELECT id, name FROM users WHERE id = 1", "control"),
    ("SELECT name FROM users WHERE age > 80 ORDER BY name LIMIT 3", "control"),
    ("SELECT count(*) FROM users", "control"),
    ("SELECT u.name, o.id FROM users u JOIN orders o ON o.user_id = u.id", "control"),
    ("SELECT o.locale FROM orders o JOIN users u ON u.id = o.user_id", "control"),
    ("SELECT id FROM orders WHERE locale = 'en'", "control"),
    ("SELECT id FROM other.users WHERE locale = 'en'", "control"),
    ("INSERT INTO users (id, name) VALUES (1001, 'x') ON CONFLICT DO NOTHING", "writes"),
    ("INSERT INTO users VALUES (1002, 'x', 1) ON CONFLICT DO NOTHING", "writes"),
    ("INSERT INTO users (id) VALUES (1003) ON CONFLICT (id) DO UPDATE SET name = 'y'", "writes"),
    ("INSERT INTO users (id) VALUES (1004) ON CONFLICT DO NOTHING RETURNING id", "writes"),
    ("UPDATE users SET name = 'z' WHERE id = 3", "writes"),
    ("UPDATE users u SET age = o.id FROM orders o WHERE o.user_id = u.id", "writes"),
    ("DELETE FROM users WHERE id = -1", "writes"),
    (
        "WITH gone AS (DELETE FROM users WHERE id = -2 RETURNING id) SELECT count(*) FROM gone",
        "writes",
    ),
    ("SELECT id FROM people WHERE id = 4", "control"),
    ("SELECT * FROM people WHERE id = 5", "control"),
    ("SELECT * FROM adults LIMIT 2", "control"),
    ("SELECT total()", "unknown"),
    ("INSERT INTO audit_log VALUES (1)", "unknown"),
    // What their trees leave open: the number stays, and the column comes along.
    ("SELECT u FROM users u WHERE id = 6", "star"),
    ("SELECT row_to_json(u) FROM users u WHERE id = 7", "star"),
    ("SELECT count(u.*) FROM users u", "star"),
    ("SELECT described(u) FROM users u WHERE id = 8", "star"),
    ("SELECT (u).name FROM users u WHERE id = 9", "control"),
    ("COPY users (id, name) TO '/dev/null'", "control"),
    ("COPY users TO '/dev/null'", "star"),
];

/// Statements whose number changes, as their `*` brings the column.
const STARS: &[&str] = &[
    "SELECT * FROM users WHERE id = 10",
    "SELECT u.* FROM users u JOIN orders o ON o.user_id = u.id",
    "INSERT INTO users (id) VALUES (1005) ON CONFLICT DO NOTHING RETURNING *",
    "UPDATE users SET age = 2 WHERE id = 11 RETURNING users.*",
];

/// Statements that only run after it.
const AFTER: &[(&str, &str)] = &[
    ("SELECT id FROM users WHERE locale = 'en'", "filter"),
    (
        "SELECT \"users\".\"id\", \"users\".\"locale\" FROM \"users\" WHERE \"users\".\"id\" = 12",
        "projected",
    ),
    ("SELECT id, name FROM users WHERE id IN (1, 2, 3) ORDER BY locale", "order"),
    ("SELECT locale, count(*) FROM users GROUP BY locale", "order"),
    ("SELECT max(locale) FROM users", "order"),
    ("SELECT u.id FROM users u JOIN orders o ON o.locale = u.locale", "join"),
    ("SELECT count(*) FROM users NATURAL JOIN orders", "join"),
    ("UPDATE users SET locale = 'de' WHERE id = 13", "assigned"),
    ("INSERT INTO users (id, locale) VALUES (1006, 'fr') ON CONFLICT DO NOTHING", "inserted"),
    ("INSERT INTO users VALUES (1007, 'x', 1, 'fr') ON CONFLICT DO NOTHING", "inserted"),
    ("DELETE FROM users WHERE id = -3 RETURNING locale", "projected"),
    ("WITH w AS (SELECT locale AS l FROM users) SELECT count(*) FROM w WHERE l = 'en'", "filter"),
    ("SELECT count(s.id) FROM (SELECT id, locale FROM users) s", "control"),
    (
        "SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM users u WHERE u.locale = o.locale)",
        "filter",
    ),
    ("SELECT age FROM users WHERE date '2026-01-01' > now() AND age = 5", "control"),
    ("SELECT tongue FROM speakers", "projected"),
    ("SELECT id FROM speakers WHERE tongue = 'en'", "filter"),
    ("SELECT id FROM adults WHERE id = 14", "filter"),
    ("COPY (SELECT id FROM users WHERE locale = 'it') TO '/dev/null'", "filter"),
    ("SELECT 1", "control"),
];

#[test]
fn every_statement_is_where_it_belongs_13() {
    every_statement_is_where_it_belongs(13);
}

#[test]
fn every_statement_is_where_it_belongs_15() {
    every_statement_is_where_it_belongs(15);
}

#[test]
fn every_statement_is_where_it_belongs_18() {
    every_statement_is_where_it_belongs(18);
}

fn every_statement_is_where_it_belongs(major: u32) {
    let mut world = World::new(major);
    world.run(MORE);
    let both: Vec<&str> = BOTH.iter().map(|(sql, _)| *sql).collect();
    world.run(&both);
    world.run(STARS);
    let first = world.take(Purpose::Baseline);
    assert!(first.has_baseline && first.gaps.is_empty(), "{first:?}");
    world.run(&[
        ADD,
        "CREATE VIEW speakers AS SELECT id, locale AS tongue FROM users",
        // The number of what reads it stays, what it reads does not.
        "CREATE OR REPLACE VIEW adults AS SELECT id, name FROM users WHERE locale IS NULL",
    ]);
    world.take(Purpose::Snap);
    // Twice, so that a statement is told from those that ran before.
    for _ in 0..3 {
        world.run(&both);
        world.run(STARS);
        world.run(&AFTER.iter().map(|(sql, _)| *sql).collect::<Vec<_>>());
        // The trap: its number is that of the `SELECT *` of old, whose text stays.
        world.run(&["SELECT id, name, age FROM users WHERE id = 10"]);
    }
    world.take(Purpose::Snap);
    let found = world.statements();
    let series = world.store().series().unwrap();
    let ran = |id: QueryId| {
        series.iter().find(|s| s.id == id).map_or(0, |s| s.windows.last().unwrap().calls)
    };
    let mut wrong = Vec::new();
    let mut check = |sql: &str, wanted: &str| {
        let text = normal(sql);
        let mut all = found
            .iter()
            .filter(|s| s.text.as_deref().is_some_and(|t| normal(t) == text) && ran(s.id) == 3);
        let (Some(one), None) = (all.next(), all.next()) else {
            // `SELECT 1` and its like are no controls worth keeping where many are there.
            wrong.push(format!("{sql}: not found, or twice"));
            return;
        };
        let involvement = one.involvement.as_ref().unwrap();
        let role = role_name(involvement.role());
        if role != wanted {
            wrong.push(format!("{sql}: {wanted}, found {role} by {}", involvement.layer));
        }
    };
    for (sql, wanted) in BOTH.iter().chain(AFTER) {
        let wanted = if sql.contains("FROM adults") { "filter" } else { wanted };
        check(sql, wanted);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for sql in STARS {
        let text = normal(sql);
        let of_text = found.iter().filter(|s| s.text.as_deref().is_some_and(|t| normal(t) == text));
        let mut roles: Vec<(&str, Layer, u64)> = of_text
            .map(|s| {
                let involvement = s.involvement.as_ref().unwrap();
                (role_name(involvement.role()), involvement.layer, ran(s.id))
            })
            .collect();
        roles.sort();
        let old = if sql.starts_with("SELECT") { "control" } else { "writes" };
        // Of the first, the old number lives on as the explicit list.
        let old_calls = if *sql == STARS[0] { 3 } else { 0 };
        assert_eq!(
            roles,
            {
                let mut wanted = [(old, Layer::Number, old_calls), ("star", Layer::Text, 3)];
                wanted.sort();
                wanted.to_vec()
            },
            "{sql}"
        );
    }
    assert!(BOTH.len() + STARS.len() + AFTER.len() >= 30);
}

/// Returns a statement as `pg_stat_statements` prints it, numbers of parameters left out.
fn normal(sql: &str) -> String {
    let mut text = String::new();
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        if c == '\'' {
            let end = rest[1..].find('\'').map_or(rest.len(), |at| at + 2);
            text.push('?');
            rest = &rest[end..];
        } else if c == '$' || (c.is_ascii_digit() && !text.ends_with(|p: char| p.is_alphanumeric()))
        {
            rest = rest[1..].trim_start_matches(|c: char| c.is_ascii_digit());
            if text.ends_with('-') {
                text.pop();
            }
            text.push('?');
        } else {
            text.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    // 18 squeezes lists.
    text.replace("? /*, ... */", "?, ?, ?").trim().to_owned()
}

/// Partitions are the table, and a bare name is what the stored search paths make of it.
#[test]
fn partitions_and_schemas() {
    const SETUP: &[&str] = &[
        "CREATE EXTENSION pg_stat_statements",
        "CREATE TABLE users (id integer, name text) PARTITION BY RANGE (id)",
        "CREATE TABLE low PARTITION OF users FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (id)",
        "CREATE TABLE lowest PARTITION OF low FOR VALUES FROM (0) TO (10)",
        "CREATE SCHEMA tenant",
        "CREATE TABLE tenant.users (id integer, locale text)",
    ];
    let mut world = World::with(Want::postgres().version(15).private(), SETUP);
    world.take(Purpose::Baseline);
    let bare = "SELECT id FROM users WHERE locale = 'en'";
    let part = "SELECT id FROM lowest WHERE locale = 'en'";
    world.run(&[ADD, bare, part, "INSERT INTO users (id) VALUES (1), (2)"]);
    world.run(&["SELECT pg_stat_force_next_flush()"]);
    let role = |world: &mut World, sql: &str| {
        world.take(Purpose::Snap);
        let text = normal(sql);
        let all = world.statements();
        let found = all.iter().find(|s| s.text.as_deref().is_some_and(|t| normal(t) == text));
        let involvement = found.unwrap().involvement.clone().unwrap();
        (role_name(involvement.role()), involvement.layer)
    };
    assert_eq!(role(&mut world, bare), ("filter", Layer::Text));
    assert_eq!(role(&mut world, part), ("filter", Layer::Catalog));
    let inserted = |m: &Measured| m.measure.name == "n_tup_ins" && m.measure.object.is_empty();
    // Of a partitioned table itself, nothing is counted.
    let measures = world.store().measures().unwrap();
    assert_eq!(measures.iter().rfind(|m| inserted(m)).unwrap().measure.value, 2.0);
    world.run(&["ALTER DATABASE postgres SET search_path = tenant"]);
    world.run(&["SELECT id FROM public.users WHERE locale = 'en'"]);
    assert_eq!(role(&mut world, bare), ("filter", Layer::Text));
    // One role of this database means another table by it.
    world.run(&["CREATE ROLE tenant SUPERUSER", "ALTER ROLE tenant SET search_path = tenant"]);
    assert_eq!(role(&mut world, bare), ("unknown", Layer::Catalog));
    assert_eq!(role(&mut world, part), ("filter", Layer::Catalog));
}
