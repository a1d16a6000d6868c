//! The statements, what happens to each, and what the audit must say.

use newcol_core::{audit::sql::Origin, backend::Backend};

use super::world::Kind;

/// What happens to a statement when the column comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It worked and fails.
    Fails,
    /// It works and answers otherwise, or leaves other rows.
    Differs,
    /// Nothing.
    Same,
    /// Its rows get a value at their end.
    Wider,
}

/// One statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) engines: &'static str,
    pub(super) kind: Kind,
    pub(super) origin: Origin,
    /// Run first, and not shown to the audit.
    pub(super) setup: &'static [&'static str],
    /// What the audit is shown.
    pub(super) sql: &'static str,
    /// What is run instead, where the audit is shown a definition.
    pub(super) run: &'static str,
    /// Asked afterwards.
    pub(super) ask: &'static str,
    /// Asked once the column is there: how many of its values are wrong.
    pub(super) wrong: &'static str,
    pub(super) fate: Fate,
    /// The rule of the one finding; none for a look-alike.
    pub(super) rule: Option<&'static str>,
}

const fn case(engines: &'static str, sql: &'static str, fate: Fate) -> Case {
    Case {
        engines,
        kind: Kind::Optional,
        origin: Origin::Script,
        setup: &[],
        sql,
        run: "",
        ask: "",
        wrong: "",
        fate,
        rule: None,
    }
}

const fn fails(rule: &'static str, engines: &'static str, sql: &'static str) -> Case {
    Case { rule: Some(rule), ..case(engines, sql, Fate::Fails) }
}

const fn differs(rule: &'static str, engines: &'static str, sql: &'static str) -> Case {
    Case { rule: Some(rule), ..case(engines, sql, Fate::Differs) }
}

const fn same(engines: &'static str, sql: &'static str) -> Case {
    case(engines, sql, Fate::Same)
}

const fn wider(engines: &'static str, sql: &'static str) -> Case {
    case(engines, sql, Fate::Wider)
}

impl Case {
    const fn after(self, setup: &'static [&'static str]) -> Self {
        Self { setup, ..self }
    }

    const fn run(self, run: &'static str) -> Self {
        Self { run, ..self }
    }

    const fn ask(self, ask: &'static str) -> Self {
        Self { ask, ..self }
    }

    const fn wrong(self, wrong: &'static str) -> Self {
        Self { wrong, ..self }
    }

    const fn when(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    pub(super) fn is_for(&self, engine: Backend) -> bool {
        self.engines.contains(match engine {
            Backend::Postgres => 'P',
            Backend::Mysql => 'M',
            Backend::Sqlite => 'S',
        })
    }
}

pub(super) const CASES: &[&[Case]] =
    &[AMBIGUOUS, CAPTURED, TEXTS, JOINS, INSERTS, LISTS, ROUTINES, OTHERS];

const AMBIGUOUS: &[Case] = &[
    fails(
        "NC101",
        "PMS",
        "SELECT users.id, title FROM users JOIN posts ON posts.user_id = users.id",
    ),
    fails(
        "NC101",
        "PMS",
        "SELECT u.id FROM users u, posts p WHERE p.user_id = u.id AND title = 'first'",
    ),
    fails(
        "NC101",
        "PMS",
        "SELECT u.id FROM users u JOIN posts p ON p.user_id = u.id AND title = 'first'",
    ),
    fails(
        "NC101",
        "PMS",
        "SELECT u.id FROM users u JOIN posts p ON p.user_id = u.id ORDER BY lower(title)",
    ),
    fails(
        "NC101",
        "PMS",
        "SELECT u.id FROM users u JOIN posts p ON p.user_id = u.id ORDER BY title",
    ),
    fails(
        "NC101",
        "PMS",
        "SELECT count(*) FROM users u JOIN posts p ON p.user_id = u.id GROUP BY title",
    ),
    fails(
        "NC101",
        "PMS",
        "SELECT count(*) c FROM users u JOIN posts p ON p.user_id = u.id HAVING max(title) > ''",
    ),
    fails(
        "NC101",
        "PMS",
        "SELECT u.id, title FROM (SELECT * FROM users) u JOIN posts p ON p.user_id = u.id",
    ),
    fails(
        "NC101",
        "PMS",
        "WITH u AS (SELECT * FROM users) SELECT u.id, title FROM u JOIN posts p ON p.user_id = u.id",
    ),
    fails("NC101", "PS", "UPDATE posts SET body = title FROM users WHERE users.id = posts.user_id"),
    fails(
        "NC101",
        "M",
        "UPDATE posts JOIN users ON users.id = posts.user_id SET body = upper(title)",
    ),
    fails(
        "NC101",
        "P",
        "DELETE FROM posts USING users WHERE users.id = user_id AND title = 'first'",
    ),
    fails(
        "NC101",
        "PM",
        "SELECT x.title FROM (SELECT u.*, p.title FROM users u JOIN posts p ON p.user_id = u.id) x",
    ),
    fails(
        "NC101",
        "PMS",
        "SELECT id FROM hist WHERE id IN (SELECT u.id FROM users u, posts p WHERE title = 'first')",
    ),
    // Look-alikes.
    same("PMS", "SELECT users.id, posts.title FROM users JOIN posts ON posts.user_id = users.id"),
    same("PMS", "SELECT title FROM posts users"),
    same("PMS", "SELECT title FROM posts WHERE body <> 'users'"),
    same("PMS", "SELECT title /* users */ FROM posts -- users"),
    same(
        "PMS",
        "WITH users AS (SELECT id FROM hist) SELECT title FROM users JOIN posts ON user_id = users.id",
    ),
    // Only `AS` and `*` make names of the result in SQLite.
    fails(
        "NC101",
        "S",
        "SELECT p.title FROM users u JOIN posts p ON p.user_id = u.id ORDER BY title",
    ),
    same("PM", "SELECT p.title FROM users u JOIN posts p ON p.user_id = u.id ORDER BY title"),
    same("PMS", "SELECT p.* FROM users u JOIN posts p ON p.user_id = u.id ORDER BY title"),
    same(
        "PMS",
        "SELECT p.body AS title FROM users u JOIN posts p ON p.user_id = u.id ORDER BY title",
    ),
    same(
        "PMS",
        "SELECT u.id, title FROM (SELECT id, name FROM users) u JOIN posts p ON p.user_id = u.id",
    ),
    same(
        "PMS",
        "SELECT posts.title, users.name FROM users LEFT JOIN posts ON posts.user_id = users.id",
    ),
    same("P", "SELECT u.id, title FROM other.users u JOIN posts p ON p.user_id = u.id").after(&[
        "DROP SCHEMA IF EXISTS other CASCADE",
        "CREATE SCHEMA other",
        "CREATE TABLE other.users (id int)",
    ]),
    same("P", "SELECT u.id, title FROM \"Users\" u JOIN posts p ON p.user_id = u.id")
        .after(&["CREATE TABLE \"Users\" (id int)"]),
];

const CAPTURED: &[Case] = &[
    differs(
        "NC103",
        "PMS",
        "SELECT id FROM posts p WHERE EXISTS (SELECT 1 FROM users u WHERE u.id = p.user_id AND title = 'first')",
    ),
    differs(
        "NC103",
        "PMS",
        "SELECT (SELECT title FROM users u WHERE u.id = p.user_id) FROM posts p",
    ),
    differs(
        "NC103",
        "PMS",
        "DELETE FROM posts WHERE user_id IN (SELECT id FROM users WHERE title = 'first')",
    )
    .ask("SELECT count(*) FROM posts"),
    differs(
        "NC103",
        "P",
        "SELECT x.t FROM posts p, LATERAL (SELECT title AS t FROM users u WHERE u.id = p.user_id) x",
    ),
    same(
        "PMS",
        "SELECT id FROM posts p WHERE EXISTS (SELECT 1 FROM users u WHERE u.id = p.user_id AND p.title = 'first')",
    ),
    same(
        "PMS",
        "SELECT id FROM posts p WHERE title = 'first' AND EXISTS (SELECT 1 FROM users u WHERE u.id = p.user_id)",
    ),
    same("PMS", "SELECT title FROM posts WHERE user_id IN (SELECT id FROM users)"),
];

const TEXTS: &[Case] = &[
    differs("NC103", "S", "SELECT id FROM users WHERE 'p' < \"title\""),
    same("S", "SELECT id FROM users WHERE 'p' < 'title'"),
    same("M", "SELECT id FROM users WHERE 'p' < \"title\""),
    same("S", "SELECT \"name\" FROM users"),
    same("S", "SELECT id FROM hist WHERE name < \"users\" OR name < \"title\""),
];

const JOINS: &[Case] = &[
    differs("NC104", "PMS", "SELECT count(*) FROM users NATURAL JOIN badges"),
    differs(
        "NC104",
        "PMS",
        "SELECT count(*) FROM badges NATURAL LEFT JOIN users WHERE name IS NOT NULL",
    ),
    differs(
        "NC104",
        "S",
        "SELECT posts.id FROM users JOIN badges ON users.id = badges.id JOIN posts USING (title)",
    )
    .after(&["UPDATE badges SET title = 'first'"]),
    same(
        "S",
        "SELECT posts.id FROM badges JOIN users ON users.id = badges.id JOIN posts USING (title)",
    )
    .after(&["UPDATE badges SET title = 'first'"]),
    fails(
        "NC104",
        "PM",
        "SELECT posts.id FROM badges JOIN users ON users.id = badges.id JOIN posts USING (title)",
    )
    .after(&["UPDATE badges SET title = 'first'"]),
    same("PMS", "SELECT count(*) FROM users NATURAL JOIN hist"),
    same("PMS", "SELECT count(*) FROM users JOIN badges USING (id)"),
    same("PMS", "SELECT count(*) FROM posts NATURAL JOIN badges"),
];

const INSERTS: &[Case] = &[
    fails("NC105", "MS", "INSERT INTO users VALUES (3, 'c', 'c')"),
    fails("NC105", "MS", "INSERT INTO users SELECT id + 10, name, email FROM hist"),
    fails("NC105", "MS", "INSERT INTO users SELECT * FROM hist WHERE id > 1"),
    fails("NC105", "MS", "REPLACE INTO users VALUES (1, 'c', 'c')"),
    same("P", "INSERT INTO users VALUES (3, 'c', 'c')").ask("SELECT id FROM users ORDER BY id"),
    same("P", "INSERT INTO users SELECT * FROM hist WHERE id > 1"),
    same("PMS", "INSERT INTO users (id, name, email) VALUES (3, 'c', 'c')"),
    fails("NC117", "P", "INSERT INTO users VALUES (3, 'c', 'c')").when(Kind::Required),
    fails("NC117", "PMS", "INSERT INTO users (id, name) VALUES (3, 'c')").when(Kind::Required),
    fails("NC117", "M", "INSERT INTO users SET id = 3, name = 'c'").when(Kind::Required),
    fails("NC117", "P", "WITH n AS (INSERT INTO users (id) VALUES (3) RETURNING id) SELECT * FROM n").when(Kind::Required),
    same("PMS", "UPDATE users SET name = 'c'").when(Kind::Required),
    differs("NC118", "MS", "REPLACE INTO users (id, name, email) VALUES (1, 'c', 'c')")
        .wrong("SELECT count(*) FROM users WHERE title IS NULL"),
    differs("NC118", "S", "INSERT OR REPLACE INTO users (id, name, email) VALUES (1, 'c', 'c')")
        .wrong("SELECT count(*) FROM users WHERE title IS NULL"),
    same("MS", "REPLACE INTO posts (id, title) VALUES (10, 'users')"),
    differs("NC010", "PS", "INSERT INTO users (id, email) VALUES (1, 'z') ON CONFLICT (id) DO UPDATE SET email = excluded.email")
        .when(Kind::Computed)
        .wrong("SELECT count(*) FROM users WHERE title <> upper(email)"),
    differs("NC010", "M", "INSERT INTO users (id, email) VALUES (1, 'z') ON DUPLICATE KEY UPDATE email = VALUES(email)")
        .when(Kind::Computed)
        .wrong("SELECT count(*) FROM users WHERE title <> upper(email)"),
    same("PS", "INSERT INTO users (id, email) VALUES (1, 'z') ON CONFLICT (id) DO UPDATE SET name = 'q'")
        .when(Kind::Computed)
        .wrong("SELECT count(*) FROM users WHERE title <> upper(email)"),
    same("PS", "INSERT INTO users (id, email) VALUES (1, 'z') ON CONFLICT (id) DO NOTHING").when(Kind::Computed),
];

const LISTS: &[Case] = &[
    fails("NC106", "PMS", "INSERT INTO hist SELECT * FROM users"),
    fails("NC106", "PMS", "INSERT INTO hist (id, name, email) SELECT * FROM users"),
    fails(
        "NC106",
        "PMS",
        "INSERT INTO hist SELECT u.* FROM users u JOIN posts p ON p.user_id = u.id",
    ),
    fails("NC106", "PMS", "SELECT * FROM users UNION ALL SELECT * FROM hist"),
    fails("NC106", "PMS", "SELECT id, name, email FROM hist UNION SELECT * FROM users"),
    fails("NC106", "PMS", "SELECT 1 FROM hist WHERE (id, name, email) IN (SELECT * FROM users)"),
    fails("NC106", "MS", "WITH u (a, b, c) AS (SELECT * FROM users) SELECT a FROM u"),
    fails(
        "NC106",
        "P",
        "WITH gone AS (DELETE FROM users RETURNING *) INSERT INTO hist SELECT * FROM gone",
    ),
    differs("NC106", "P", "INSERT INTO notes SELECT * FROM users").ask("SELECT note FROM notes"),
    same("P", "WITH u (a, b, c) AS (SELECT * FROM users) SELECT a FROM u"),
    same("PMS", "INSERT INTO hist SELECT id, name, email FROM users"),
    same("PMS", "INSERT INTO hist SELECT id, name, email FROM (SELECT * FROM users) x"),
    wider("PMS", "SELECT * FROM users UNION SELECT * FROM users ORDER BY id"),
    wider("PMS", "SELECT * FROM users"),
    wider("PMS", "SELECT p.id, u.* FROM posts p JOIN users u ON p.user_id = u.id"),
    same("PMS", "SELECT count(*) FROM users"),
    same("PMS", "SELECT id FROM posts WHERE EXISTS (SELECT * FROM users)"),
    same("PMS", "SELECT count(*) FROM (SELECT * FROM users) x"),
    same("PMS", "INSERT INTO hist SELECT * FROM hist"),
    same(
        "PMS",
        "WITH users AS (SELECT id, name, email FROM hist) SELECT * FROM users UNION SELECT * FROM hist",
    ),
    fails("NC107", "P", "COPY users FROM PROGRAM 'echo 3,c,c' WITH (FORMAT csv)"),
    same("P", "COPY users (id, name, email) FROM PROGRAM 'echo 3,c,c' WITH (FORMAT csv)"),
    same("P", "COPY hist FROM PROGRAM 'echo 3,users,c' WITH (FORMAT csv)"),
    fails("NC113", "P", "SELECT DISTINCT * FROM users").when(Kind::Json),
    fails("NC113", "P", "SELECT u.* FROM users u UNION SELECT * FROM users").when(Kind::Json),
    wider("P", "SELECT DISTINCT ON (id) * FROM users ORDER BY id").when(Kind::Json),
    wider("P", "SELECT * FROM users UNION ALL SELECT * FROM users").when(Kind::Json),
    same("P", "SELECT DISTINCT id, name FROM users ORDER BY id").when(Kind::Json),
    wider("P", "SELECT DISTINCT * FROM users ORDER BY id"),
];

const ROUTINES: &[Case] = &[
    fails("NC108", "P", "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO hist SELECT OLD.*; RETURN NEW; END $$;
        CREATE TRIGGER keep AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION keep()")
        .run("UPDATE users SET name = 'z'"),
    fails("NC108", "P", "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO hist VALUES ((OLD).*); RETURN NEW; END';
        CREATE TRIGGER keep BEFORE DELETE OR UPDATE ON users FOR EACH ROW EXECUTE PROCEDURE keep()")
        .run("UPDATE users SET name = 'z'"),
    same("P", "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO hist VALUES (OLD.id, OLD.name, OLD.email); RETURN NEW; END $$;
        CREATE TRIGGER keep AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION keep()")
        .run("UPDATE users SET name = 'z'"),
    same("P", "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO hist SELECT (NEW).*; RETURN NEW; END $$;
        CREATE TRIGGER keep AFTER INSERT ON hist FOR EACH ROW WHEN (NEW.name = 'users') EXECUTE FUNCTION keep()")
        .run("UPDATE users SET name = 'z'"),
    fails("NC106", "MS", "CREATE TRIGGER keep AFTER UPDATE ON users FOR EACH ROW BEGIN INSERT INTO hist SELECT * FROM users WHERE id = NEW.id; END")
        .after(&["CREATE TABLE other (id int)"])
        .run("UPDATE users SET name = 'z'"),
    same("MS", "CREATE TRIGGER keep AFTER UPDATE ON users FOR EACH ROW BEGIN INSERT INTO hist (id, name) VALUES (NEW.id, NEW.name); END")
        .run("UPDATE users SET name = 'z'"),
    fails("NC109", "P", "CREATE FUNCTION f() RETURNS SETOF users LANGUAGE sql AS 'SELECT id, name, email FROM users'").run("SELECT id FROM f()"),
    fails("NC109", "P", "CREATE FUNCTION f() RETURNS TABLE (a int, b varchar, c varchar) LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY SELECT * FROM users; END $$").run("SELECT a FROM f()"),
    fails("NC109", "P", "CREATE FUNCTION f() RETURNS TABLE (a int, b varchar, c varchar) LANGUAGE sql AS $$ SELECT * FROM users $$").run("SELECT a FROM f()"),
    fails("NC109", "P", "CREATE FUNCTION f() RETURNS SETOF users LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY SELECT id, name, email FROM users; END $$").run("SELECT id FROM f()"),
    same("P", "CREATE FUNCTION f() RETURNS SETOF users LANGUAGE sql AS 'SELECT * FROM users'").run("SELECT id FROM f()"),
    same("P", "CREATE FUNCTION f() RETURNS SETOF users LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY SELECT * FROM users; END $$").run("SELECT id FROM f()"),
    same("P", "CREATE FUNCTION f() RETURNS TABLE (a int) LANGUAGE sql AS $$ SELECT id FROM users ORDER BY id $$").run("SELECT a FROM f()"),
    same("P", "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ DECLARE r record; n int := 0; BEGIN FOR r IN SELECT * FROM users LOOP n := n + r.id; END LOOP; IF EXISTS (SELECT * FROM users WHERE id = n) THEN RETURN 0; ELSE RETURN n; END IF; END $$").run("SELECT f()"),
    fails("NC101", "P", "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ DECLARE title text := 'ada'; n int; BEGIN SELECT count(*) INTO n FROM users WHERE name = title; RETURN n; END $$").run("SELECT f()"),
    fails("NC101", "P", "CREATE FUNCTION f(title text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 FROM users WHERE name = title; END $$").run("SELECT f('ada')"),
    fails("NC101", "P", "CREATE FUNCTION f() RETURNS TABLE (title text) LANGUAGE plpgsql AS $$ BEGIN title := 'ada'; RETURN QUERY SELECT name::text FROM users WHERE name = title; END $$").run("SELECT * FROM f()"),
    differs("NC103", "P", "CREATE FUNCTION f(title text) RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM users WHERE name = title $$").run("SELECT f('ada')"),
    same("M", "CREATE FUNCTION f(title varchar(50)) RETURNS int READS SQL DATA RETURN (SELECT count(*) FROM users WHERE name = title)").run("SELECT f('ada')"),
    fails("NC101", "M", "CREATE PROCEDURE f() BEGIN DECLARE n int; SELECT count(*) INTO n FROM users u JOIN posts p ON p.user_id = u.id WHERE title = 'first'; SELECT n; END").run("CALL f()"),
    same("P", "CREATE FUNCTION f(wanted text) RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM users WHERE name = wanted $$").run("SELECT f('ada')"),
    fails("NC106", "P", "DO $$ BEGIN INSERT INTO hist SELECT * FROM users; END $$"),
    same("P", "DO $$ DECLARE n int; BEGIN SELECT count(*) INTO n FROM users; END $$"),
];

const OTHERS: &[Case] = &[
    same("PMS", "CREATE VIEW v AS SELECT id, name FROM users").run("SELECT * FROM v"),
    wider("S", "CREATE VIEW v AS SELECT * FROM users").run("SELECT * FROM v"),
    fails("NC106", "S", "CREATE VIEW v (a, b, c) AS SELECT * FROM users").run("SELECT * FROM v"),
    fails(
        "NC101",
        "S",
        "CREATE VIEW v AS SELECT users.id, title FROM users JOIN posts ON posts.user_id = users.id",
    )
    .run("SELECT * FROM v"),
    same(
        "PM",
        "CREATE VIEW v AS SELECT users.id, title FROM users JOIN posts ON posts.user_id = users.id",
    )
    .run("SELECT * FROM v ORDER BY 1"),
    // The view stays as it is, while its table gets the column.
    Case { rule: Some("NC110"), ..same("PM", "CREATE VIEW v AS SELECT * FROM users") }
        .run("SELECT * FROM v ORDER BY id"),
    fails("NC020", "PM", "UPDATE users SET email = 'z'").when(Kind::Replacing),
    fails("NC020", "PM", "SELECT u.email FROM users u").when(Kind::Replacing),
    same("PM", "SELECT h.email FROM users u JOIN hist h ON h.id = u.id").when(Kind::Replacing),
    same("PM", "SELECT id FROM users WHERE EXISTS (SELECT 1 FROM hist WHERE email = 'a')")
        .when(Kind::Replacing),
    same("PM", "SELECT name FROM users WHERE name <> 'email'").when(Kind::Replacing),
    fails("NC020", "PM", "INSERT INTO users (id, email) VALUES (3, 'c')").when(Kind::Replacing),
    fails("NC020", "PM", "SELECT id FROM users ORDER BY email").when(Kind::Replacing),
    // More of what must not be taken for anything.
    same(
        "PMS",
        "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT n.id + 1 FROM n WHERE n.id < 3) SELECT posts.title FROM n JOIN users ON users.id = n.id JOIN posts ON posts.user_id = users.id ORDER BY 1",
    ),
    same(
        "PMS",
        "SELECT p.title, row_number() OVER (PARTITION BY u.name ORDER BY p.id) FROM users u JOIN posts p ON p.user_id = u.id ORDER BY 1",
    ),
    fails(
        "NC101",
        "PMS",
        "SELECT p.id, row_number() OVER (PARTITION BY title ORDER BY p.id) FROM users u JOIN posts p ON p.user_id = u.id",
    ),
    same(
        "PMS",
        "SELECT CASE WHEN u.id = 1 THEN 'title' ELSE p.title END FROM users u LEFT JOIN posts p ON p.user_id = u.id ORDER BY 1",
    ),
    fails(
        "NC101",
        "PMS",
        "SELECT CASE WHEN title = 'first' THEN 1 END FROM users u LEFT JOIN posts p ON p.user_id = u.id",
    ),
    same("PMS", "UPDATE posts SET title = 'z' WHERE user_id IN (SELECT id FROM users)")
        .ask("SELECT title FROM posts ORDER BY id"),
    same("PMS", "DELETE FROM posts WHERE title = 'first' AND user_id IN (SELECT id FROM users)"),
    same(
        "P",
        "INSERT INTO posts AS p (id, title) VALUES (10, 'users') ON CONFLICT (id) DO UPDATE SET title = excluded.title",
    ),
    fails(
        "NC101",
        "PMS",
        "SELECT title FROM (users JOIN hist ON hist.id = users.id) JOIN posts ON posts.user_id = users.id",
    ),
    fails(
        "NC106",
        "PMS",
        "SELECT id FROM hist WHERE id > 0 AND (id, name, email) IN (SELECT u.* FROM users u)",
    ),
    fails("NC106", "PMS", "INSERT INTO hist WITH x AS (SELECT * FROM users) SELECT * FROM x"),
    same("PMS", "INSERT INTO hist WITH x AS (SELECT * FROM users) SELECT id, name, email FROM x"),
    wider("PMS", "SELECT x.* FROM (SELECT * FROM users) x"),
    same(
        "P",
        "SELECT title FROM posts p WHERE EXISTS (SELECT 1 FROM jsonb_array_elements('[1]') e WHERE e IS NOT NULL) -- users",
    ),
];
