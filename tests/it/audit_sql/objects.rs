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
