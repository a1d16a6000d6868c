//! Objects of the database: what the audit says of each, and what becomes of it.

use newcol_core::{
    audit::{Class, objects::examine_objects},
    backend::Backend,
};
use newcol_testkit::Want;

use super::world::{Kind, Server, World, subject};

/// Returns what is said: object, rule and class.
fn said(world: &World<'_>, kind: Kind, engine: Backend) -> Vec<(String, &'static str, Class)> {
    let mut subject = subject(kind, engine);
    subject.column.has_default = true;
    let found = examine_objects(&mut world.session(), &subject).unwrap();
    found.into_iter().map(|f| (f.place.to_string(), f.rule.id, f.class)).collect()
}

fn fails(world: &World<'_>, sql: &str) -> bool {
    world.session().batch(sql).is_err()
}

fn postgres(version: u32) {
    let Some(mut server) = Server::new(Want::postgres().version(version)) else { return };
    let role = format!("newcol_audit_{version}_{}", std::process::id());
    let world = server.world(Kind::Optional);
    world.run(&[
        "CREATE VIEW whole AS SELECT * FROM users",
        "CREATE MATERIALIZED VIEW kept AS SELECT *, 1 AS one FROM users",
        "CREATE VIEW part AS SELECT id, name FROM users",
        "CREATE TABLE snapshots (id int, was users)",
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO hist SELECT OLD.*; RETURN NEW; END $$",
        "CREATE TRIGGER keep AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION keep()",
        "CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO hist SELECT NEW.*; RETURN NEW; END $$",
        "CREATE TRIGGER other AFTER UPDATE ON hist FOR EACH ROW EXECUTE FUNCTION other()",
        "CREATE FUNCTION pair() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM users, posts WHERE title = ''first'''",
        "CREATE FUNCTION fine() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM users'",
        "CREATE PUBLICATION shop FOR TABLE users",
        &format!("CREATE ROLE {role}"),
        &format!("GRANT USAGE ON SCHEMA public TO {role}"),
        &format!("GRANT SELECT (id, name), UPDATE (name) ON users TO {role}"),
        &format!("GRANT UPDATE ON users TO {role}"),
    ]);
    if version >= 15 {
        world.run(&["CREATE PUBLICATION listed FOR TABLE users (id, name)"]);
    }
    let said_of = said(&world, Kind::Optional, Backend::Postgres);
    let with_default = fails(
        &world,
        "BEGIN; ALTER TABLE users ADD COLUMN title varchar(50) DEFAULT 'x'; ROLLBACK",
    );
    world.run(&["ALTER TABLE users ADD COLUMN title varchar(50)"]);
    let truths = [
        ("view whole lacks it", fails(&world, "SELECT title FROM whole")),
        ("view kept lacks it", fails(&world, "SELECT title FROM kept")),
        ("a default is refused", with_default),
        ("the trigger fails", fails(&world, "UPDATE users SET name = 'z'")),
        ("the function fails", fails(&world, "SELECT pair()")),
        (
            "the role may not read it",
            fails(&world, &format!("SET ROLE {role}; SELECT title FROM users")),
        ),
        (
            "the role may read the others",
            !fails(&world, &format!("SET ROLE {role}; SELECT name FROM users")),
        ),
        (
            "the role may write it",
            !fails(&world, &format!("SET ROLE {role}; UPDATE users SET title = 'x' WHERE false")),
        ),
        ("other functions go on", !fails(&world, "SELECT fine()")),
        ("other triggers go on", !fails(&world, "UPDATE hist SET name = 'z'")),
    ];
    world.run(&[&format!("DROP OWNED BY {role}; DROP ROLE {role}")]);
    for (what, truth) in truths {
        assert!(truth, "{what}");
    }
    let mut wanted = vec![
        ("column snapshots.was".to_owned(), "NC112", Class::Runtime),
        ("function keep()".to_owned(), "NC108", Class::Runtime),
        ("function pair()".to_owned(), "NC101", Class::Runtime),
        ("materialized view kept".to_owned(), "NC110", Class::Silent),
    ];
    if version >= 15 {
        wanted.push(("publication listed".to_owned(), "NC116", Class::Silent));
    }
    wanted.extend([
        ("publication shop".to_owned(), "NC116", Class::Runtime),
        (format!("role {role}"), "NC111", Class::Runtime),
        ("view whole".to_owned(), "NC110", Class::Silent),
    ]);
    assert_eq!(said_of, wanted);
}

#[test]
fn of_postgres_18() {
    postgres(18);
}

#[test]
fn of_postgres_15() {
    postgres(15);
}

#[test]
fn of_postgres_13() {
    postgres(13);
}

#[test]
fn of_postgres_that_hold_on_to_what_goes() {
    let Some(mut server) = Server::new(Want::postgres().version(18)) else { return };
    let world = server.world(Kind::Replacing);
    world.run(&[
        "CREATE VIEW addresses AS SELECT id, email FROM users",
        "CREATE VIEW names AS SELECT id, name FROM users",
        "CREATE FUNCTION address(int) RETURNS text LANGUAGE sql AS 'SELECT email FROM users WHERE id = $1'",
    ]);
    let said_of = said(&world, Kind::Replacing, Backend::Postgres);
    assert_eq!(
        said_of,
        [
            ("function address(integer)".to_owned(), "NC020", Class::Runtime),
            ("view addresses".to_owned(), "NC020", Class::Runtime)
        ]
    );
    assert!(fails(&world, "ALTER TABLE users DROP COLUMN email"));
    world.run(&["DROP VIEW addresses", "ALTER TABLE users DROP COLUMN email"]);
    assert!(fails(&world, "SELECT address(1)"));
}

/// Rules leave the column out, heirs and partitions have it with all that hangs on them, and policies
/// go on as they were.
fn rules_and_heirs(version: u32, heir: &[&str]) {
    let Some(mut server) = Server::new(Want::postgres().version(version)) else { return };
    let world = server.world(Kind::Optional);
    world.run(heir);
    world.run(&[
        "INSERT INTO users VALUES (1, 'ada', 'a'), (2, 'bob', 'b') ON CONFLICT DO NOTHING",
        "CREATE RULE route AS ON INSERT TO users WHERE NEW.id > 100 DO INSTEAD INSERT INTO hist VALUES (NEW.*)",
        "CREATE RULE keep AS ON UPDATE TO users DO ALSO INSERT INTO hist VALUES (OLD.*)",
        "CREATE RULE fine AS ON DELETE TO users DO ALSO INSERT INTO hist (id) VALUES (OLD.id)",
        "CREATE RULE never AS ON UPDATE TO users WHERE OLD.id < 0 DO INSTEAD NOTHING",
        "CREATE RULE badge AS ON UPDATE TO posts DO ALSO \
         UPDATE users SET name = (SELECT title FROM badges b WHERE b.id = users.id)",
        "CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO hist SELECT NEW.*; RETURN NEW; END $$",
        "CREATE TRIGGER copy AFTER INSERT ON heir FOR EACH ROW EXECUTE FUNCTION copy()",
        "CREATE VIEW of_heir AS SELECT * FROM heir",
        "CREATE VIEW names_of_heir AS SELECT id, name FROM heir",
        "CREATE TABLE snapshots (was heir)",
        "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY own ON users USING (EXISTS (SELECT FROM posts WHERE title = 'first' AND user_id = users.id))",
    ]);
    let own = |object: &str, rule, class| (object.to_owned(), rule, class);
    assert_eq!(
        said(&world, Kind::Optional, Backend::Postgres),
        [
            own("column snapshots.was", "NC112", Class::Runtime),
            own("function copy()", "NC108", Class::Runtime),
            own("rule keep on users", "NC122", Class::Silent),
            own("rule route on users", "NC122", Class::Silent),
            own("view of_heir", "NC110", Class::Silent),
        ]
    );
    let role = format!("newcol_policy_{version}_{}", std::process::id());
    let as_role = format!("SET ROLE {role}; SELECT name FROM users");
    world.run(&[&format!("CREATE ROLE {role}; GRANT USAGE ON SCHEMA public TO {role}")]);
    world.run(&[&format!("GRANT SELECT ON users, posts TO {role}")]);
    let rows = |sql: &str| world.session().query(sql).unwrap();
    let seen = || {
        let mut session = world.session();
        session.batch(&as_role).unwrap();
        session.query("SELECT id FROM users").unwrap()
    };
    let (new, before) = ("INSERT INTO heir (id) VALUES (50)", seen());
    assert!(!fails(&world, new) && before.len() == 1);
    let with_default = "ALTER TABLE users ADD COLUMN title varchar(50) DEFAULT 'x'";
    assert!(fails(&world, with_default));
    world.run(&["ALTER TABLE users ADD COLUMN title varchar(50)", "DELETE FROM hist"]);
    // Of heirs.
    assert!(fails(&world, "INSERT INTO heir (id) VALUES (51)"));
    assert!(fails(&world, "SELECT title FROM of_heir"));
    // Of rules: no error, and no value.
    world.run(&["ALTER TABLE hist ADD COLUMN title varchar(50)"]);
    world.run(&["INSERT INTO users VALUES (101, 'n', 'e', 'lost')"]);
    assert_eq!(rows("SELECT id, title FROM hist"), [[Some("101".to_owned()), None]]);
    world.run(&["DELETE FROM hist", "UPDATE users SET title = 'kept' WHERE id = 1"]);
    world.run(&["UPDATE users SET title = 'other' WHERE id = 1"]);
    let copied = rows("SELECT title FROM hist");
    assert_eq!(copied, [[None], [None]]);
    // Policies, and rules that name what they mean, go on.
    world.run(&["UPDATE posts SET body = 'z'"]);
    assert_eq!(rows("SELECT name FROM users WHERE id = 1"), [[Some("gold".to_owned())]]);
    assert_eq!(seen(), before);
    world.run(&[&format!("DROP OWNED BY {role}; DROP ROLE {role}")]);
}

const HEIR: &[&str] = &["CREATE TABLE heir () INHERITS (users)"];

const PARTITION: &[&str] = &[
    "DROP TABLE users",
    "CREATE TABLE users (id int PRIMARY KEY, name varchar(50), email varchar(50)) PARTITION BY RANGE (id)",
    "CREATE TABLE middle PARTITION OF users FOR VALUES FROM (0) TO (1000) PARTITION BY RANGE (id)",
    "CREATE TABLE heir PARTITION OF middle FOR VALUES FROM (10) TO (60)",
    "CREATE TABLE rest PARTITION OF middle DEFAULT",
];

#[test]
fn of_postgres_18_with_heirs() {
    rules_and_heirs(18, HEIR);
}

#[test]
fn of_postgres_18_with_partitions() {
    rules_and_heirs(18, PARTITION);
}

#[test]
fn of_postgres_13_with_partitions() {
    rules_and_heirs(13, PARTITION);
}

/// A column that an heir has already is taken for the new one, or refused.
#[test]
fn of_postgres_with_heirs_that_have_the_column() {
    let Some(mut server) = Server::new(Want::postgres().version(18)) else { return };
    let heir =
        "CREATE TABLE heir () INHERITS (users); CREATE TABLE own (title json) INHERITS (heir)";
    let insert = "INSERT INTO own (id, title) VALUES (9, '1')";
    let own = |class| [("table own".to_owned(), "NC123", class)];
    let world = server.world(Kind::Json);
    world.run(&[heir, insert]);
    assert_eq!(said(&world, Kind::Json, Backend::Postgres), own(Class::Silent));
    world.expand().unwrap();
    let filled = "SELECT count(*) FROM users WHERE title IS NOT NULL";
    assert_eq!(world.session().value(filled).unwrap().as_deref(), Some("1"));
    assert_eq!(said(&world, Kind::Json, Backend::Postgres), []);
    let world = server.world(Kind::Json);
    world.run(&[&heir.replace("json", "int")]);
    assert_eq!(said(&world, Kind::Json, Backend::Postgres), own(Class::Runtime));
    assert!(world.expand().is_err());
}

/// What hangs on a column by the catalog keeps it from being dropped.
#[test]
fn of_postgres_that_keep_a_column() {
    let Some(mut server) = Server::new(Want::postgres().version(18)) else { return };
    let holders = [
        ("policy own on table users", "CREATE POLICY own ON users USING (email = 'a')"),
        (
            "policy theirs on table posts",
            "CREATE POLICY theirs ON posts USING (EXISTS (SELECT FROM users WHERE email = body))",
        ),
        (
            "rule keep on table users",
            "CREATE RULE keep AS ON UPDATE TO users DO ALSO INSERT INTO hist (email) VALUES (OLD.email)",
        ),
        (
            "trigger mail on table users",
            "CREATE TRIGGER mail BEFORE UPDATE OF email ON users FOR EACH ROW \
             EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        ),
        (
            "function atomic()",
            "CREATE FUNCTION atomic() RETURNS bigint BEGIN ATOMIC SELECT count(email) FROM users; END",
        ),
        (
            "view of_heir",
            "CREATE TABLE heir () INHERITS (users); CREATE VIEW of_heir AS SELECT email FROM heir",
        ),
    ];
    for (object, create) in holders {
        let world = server.world(Kind::Replacing);
        let others =
            "CREATE POLICY fine ON users USING (name = 'a'); CREATE INDEX ON users (email)";
        world.run(&[create, others, "ALTER TABLE users ADD CHECK (email <> '')"]);
        let wanted = [(object.to_owned(), "NC020", Class::Runtime)];
        assert_eq!(said(&world, Kind::Replacing, Backend::Postgres), wanted);
        assert!(fails(&world, "ALTER TABLE users DROP COLUMN email"), "{object}");
    }
    let world = server.world(Kind::Replacing);
    world.run(&["CREATE INDEX ON users (email)", "ALTER TABLE users ADD CHECK (email <> '')"]);
    assert_eq!(said(&world, Kind::Replacing, Backend::Postgres), []);
    assert!(!fails(&world, "ALTER TABLE users DROP COLUMN email"));
}

#[test]
fn of_mysql() {
    let Some(mut server) = Server::new(Want::mysql()) else { return };
    let user = format!("'newcol_audit_{}'@'localhost'", std::process::id());
    let world = server.world(Kind::Optional);
    world.run(&[
        "CREATE VIEW whole AS SELECT * FROM users",
        "CREATE VIEW part AS SELECT id, name FROM users",
        "CREATE VIEW elsewhere AS SELECT * FROM hist",
        "CREATE TRIGGER keep AFTER UPDATE ON posts FOR EACH ROW INSERT INTO hist SELECT * FROM users",
        "CREATE TRIGGER fine AFTER DELETE ON users FOR EACH ROW INSERT INTO hist (id) VALUES (OLD.id)",
        "CREATE PROCEDURE p() BEGIN SELECT count(*) FROM users, posts WHERE title = 'first'; END",
        &format!("CREATE USER {user}"),
        &format!("GRANT SELECT (id, name), UPDATE (name) ON users TO {user}"),
        &format!("GRANT UPDATE ON users TO {user}"),
        "CREATE EVENT e ON SCHEDULE EVERY 1 YEAR DO INSERT INTO users VALUES (9, 'e', 'e')",
    ]);
    let said_of = said(&world, Kind::Optional, Backend::Mysql);
    let own = |object: &str, rule, class| (object.to_owned(), rule, class);
    assert_eq!(
        said_of,
        [
            own("event e", "NC105", Class::Runtime),
            own("procedure p", "NC101", Class::Runtime),
            own("trigger keep", "NC106", Class::Runtime),
            own(&format!("user {user}"), "NC111", Class::Runtime),
            own("view whole", "NC110", Class::Silent),
        ]
    );
    world.run(&[&format!("DROP USER {user}")]);
    assert!(!fails(&world, "UPDATE posts SET body = 'z'") && !fails(&world, "CALL p()"));
    world.expand().unwrap();
    // MariaDB keeps a trigger as it has run, until it opens the trigger's table anew.
    world.run(&["ALTER TABLE posts COMMENT = 'opened anew'"]);
    for sql in ["SELECT title FROM whole", "UPDATE posts SET body = 'y'", "CALL p()"] {
        assert!(fails(&world, sql), "{sql}");
    }
    assert!(!fails(&world, "DELETE FROM users"));
}

#[test]
fn of_sqlite() {
    let Some(mut server) = Server::new(Want::sqlite()) else { return };
    let world = server.world(Kind::Optional);
    world.run(&[
        "CREATE VIEW whole AS SELECT * FROM users",
        "CREATE VIEW listed (a, b, c) AS SELECT * FROM users",
        "CREATE TRIGGER keep AFTER UPDATE ON posts BEGIN INSERT INTO hist SELECT * FROM users; END",
        "CREATE TRIGGER fine AFTER DELETE ON users BEGIN INSERT INTO hist (id) VALUES (OLD.id); END",
    ]);
    let said_of = said(&world, Kind::Optional, Backend::Sqlite);
    let own = |object: &str, rule, class| (object.to_owned(), rule, class);
    assert_eq!(
        said_of,
        [own("trigger keep", "NC106", Class::Runtime), own("view listed", "NC106", Class::Runtime)]
    );
    world.expand().unwrap();
    assert!(!fails(&world, "SELECT title FROM whole") && !fails(&world, "DELETE FROM users"));
    assert!(fails(&world, "SELECT a FROM listed") && fails(&world, "UPDATE posts SET body = 'y'"));
}
