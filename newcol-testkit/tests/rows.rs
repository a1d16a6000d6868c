//! Rows of tables with everything that makes a row hard, on real servers.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{error::Error, fmt::Write};

use newcol_core::{
    backend::Backend,
    db::{DatabaseUrl, OpenOptions, Session},
    ident::{Ident, TableName},
    render::text,
};
use newcol_testkit::{
    Rows, ScratchDb, Want, data_dump,
    rows::{NewColumn, RowsError},
};

const POSTGRES: &[&str] = &[
    "CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s')",
    "CREATE DOMAIN age AS smallint CHECK (VALUE >= 18) CHECK (VALUE < 130)",
    "CREATE DOMAIN adult AS age CHECK (VALUE <> 21)",
    "CREATE DOMAIN moods AS mood[]",
    "CREATE DOMAIN code AS text CHECK (VALUE ~ '^[A-Z]{3}$')",
    "CREATE SCHEMA audit",
    "CREATE TABLE countries (id char(2) PRIMARY KEY, name varchar(3) NOT NULL)",
    "CREATE TABLE regions (country char(2) REFERENCES countries, no smallint, PRIMARY KEY (country, no))",
    "CREATE TABLE users (
        id serial PRIMARY KEY, name text NOT NULL, email varchar(9), mood mood NOT NULL DEFAULT 'ok',
        age age, other adult NOT NULL, moods moods, code code NOT NULL,
        boss int REFERENCES users, country char(2) NOT NULL, region smallint NOT NULL,
        low text GENERATED ALWAYS AS (lower(name)) STORED, seen timestamptz DEFAULT now(),
        from_day date, to_day date, flag boolean NOT NULL, kind text NOT NULL,
        FOREIGN KEY (country, region) REFERENCES regions, FOREIGN KEY (country) REFERENCES countries,
        CHECK (from_day < to_day), CHECK (kind IN ('a', 'b')), CHECK (length(name) > 12),
        CHECK (flag OR seen IS NOT NULL))",
    "CREATE UNIQUE INDEX users_low ON users (lower(name))",
    "CREATE UNIQUE INDEX users_email ON users (email) WHERE flag",
    "CREATE UNIQUE INDEX users_kind ON users (kind, lower(name))",
    "CREATE TABLE teams (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lead int UNIQUE REFERENCES users,
        title text CHECK (title LIKE 'Team %'), extra jsonb CHECK (jsonb_typeof(extra) = 'object'))",
    "ALTER TABLE users ADD team bigint REFERENCES teams",
    "CREATE TABLE members (team bigint REFERENCES teams, member int REFERENCES users,
        sponsor int NOT NULL REFERENCES users, role text DEFAULT 'x', during int4range,
        PRIMARY KEY (team, member), CHECK (member <> sponsor), EXCLUDE USING gist (during WITH &&))",
    "CREATE TABLE audit.log (id uuid PRIMARY KEY, post int REFERENCES users, team bigint REFERENCES teams,
        member int, of_team bigint, rating int CHECK (rating BETWEEN 1 AND 5),
        kind text, note text,
        FOREIGN KEY (of_team, member) REFERENCES members (team, member),
        CHECK (num_nonnulls(post, team, member) = 1),
        CHECK (kind = 'p' AND post IS NOT NULL OR kind = 't' AND team IS NOT NULL),
        CHECK ((note IS NULL) = (rating IS NULL)))",
    "CREATE TABLE events (id bigint, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
    "CREATE TABLE events_26 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
    "CREATE TABLE chairs (a boolean, b mood, c smallint, d bigint NOT NULL, PRIMARY KEY (a, b, c))",
    "CREATE TABLE itself (id int PRIMARY KEY, root int NOT NULL REFERENCES itself)",
    "CREATE TABLE fixed (id int PRIMARY KEY, made int NOT NULL, touched int)",
    "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.made <> OLD.made THEN RAISE EXCEPTION 'made is made'; END IF; RETURN NEW; END $$",
    "CREATE TRIGGER keep BEFORE UPDATE ON fixed FOR EACH ROW EXECUTE FUNCTION keep()",
    "CREATE TABLE picky (id int PRIMARY KEY, a int, b int)",
    "CREATE FUNCTION picky() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.b IS NOT NULL THEN RAISE EXCEPTION 'no b'; END IF; RETURN NEW; END $$",
    "CREATE TRIGGER picky BEFORE INSERT ON picky FOR EACH ROW EXECUTE FUNCTION picky()",
];

const MYSQL: &[&str] = &[
    "CREATE TABLE countries (id char(2) PRIMARY KEY, name varchar(3) NOT NULL)",
    "CREATE TABLE regions (country char(2), no smallint, PRIMARY KEY (country, no),
        FOREIGN KEY (country) REFERENCES countries (id))",
    "CREATE TABLE users (
        id int unsigned AUTO_INCREMENT PRIMARY KEY, name varchar(200) NOT NULL,
        email text NOT NULL, mood enum('sad', 'ok') NOT NULL DEFAULT 'ok', tags set('a', 'b', 'c'),
        age tinyint unsigned CHECK (age >= 18), boss int unsigned, country char(2) NOT NULL,
        region smallint NOT NULL, low varchar(200) AS (lower(name)) STORED,
        seen timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
        from_day date, to_day date, flag bool NOT NULL, kind varchar(9) NOT NULL,
        extra json, raw varbinary(16) NOT NULL, price decimal(6,2) NOT NULL,
        UNIQUE KEY by_mail (email(4)), UNIQUE KEY by_low (low), UNIQUE KEY by_raw (raw),
        FOREIGN KEY (boss) REFERENCES users (id),
        FOREIGN KEY (country, region) REFERENCES regions (country, no),
        CONSTRAINT days CHECK (from_day < to_day), CHECK (kind IN ('a', 'b')),
        CHECK (char_length(name) > 12), CHECK (price > 5 AND price < 6))",
    "CREATE TABLE teams (id bigint AUTO_INCREMENT PRIMARY KEY, lead int unsigned UNIQUE,
        title varchar(50) CHECK (title LIKE 'Team %'), FOREIGN KEY (lead) REFERENCES users (id))",
    "ALTER TABLE users ADD team bigint, ADD FOREIGN KEY (team) REFERENCES teams (id)",
    "CREATE TABLE members (team bigint, member int unsigned, sponsor int unsigned NOT NULL,
        role varchar(9) DEFAULT 'x', PRIMARY KEY (team, member),
        FOREIGN KEY (team) REFERENCES teams (id), FOREIGN KEY (member) REFERENCES users (id),
        FOREIGN KEY (sponsor) REFERENCES users (id))",
    "CREATE TRIGGER sponsored BEFORE INSERT ON members FOR EACH ROW
        IF NEW.member = NEW.sponsor THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'same'; END IF",
    "CREATE TABLE chairs (a bool, b enum('x', 'y', 'z'), c tinyint, d bigint NOT NULL, PRIMARY KEY (a, b, c))",
    "CREATE TABLE itself (id int PRIMARY KEY, root int NOT NULL, FOREIGN KEY (root) REFERENCES itself (id))",
];

const SQLITE: &[&str] = &[
    "CREATE TABLE countries (id TEXT PRIMARY KEY CHECK (length(id) = 2), name VARCHAR(3) NOT NULL) WITHOUT ROWID",
    "CREATE TABLE regions (country TEXT REFERENCES Countries, no INTEGER, PRIMARY KEY (country, no))",
    "CREATE TABLE users (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, email VARCHAR(9) NOT NULL UNIQUE,
        age INTEGER CHECK (age BETWEEN 18 AND 120), boss INTEGER REFERENCES users, country TEXT NOT NULL,
        region INTEGER NOT NULL, low TEXT AS (lower(name)) STORED,
        seen TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, from_day DATE, to_day DATE,
        flag BOOLEAN NOT NULL CHECK (flag IN (0, 1)), kind TEXT NOT NULL CHECK (kind IN ('a', 'b')),
        raw BLOB NOT NULL, price DOUBLE, json TEXT CHECK (json_valid(json)),
        FOREIGN KEY (country, region) REFERENCES regions (country, no),
        CONSTRAINT days CHECK (from_day < to_day), CHECK (length(name) > 12))",
    "CREATE UNIQUE INDEX by_low ON users (lower(name))",
    "CREATE UNIQUE INDEX by_raw ON users (raw) WHERE flag",
    "CREATE TABLE teams (id INTEGER PRIMARY KEY, lead INTEGER UNIQUE REFERENCES users (id),
        title TEXT CHECK (title LIKE 'Team %')) STRICT",
    "ALTER TABLE users ADD team INTEGER REFERENCES teams (id)",
    "CREATE TABLE members (team INTEGER REFERENCES teams (id), member INTEGER REFERENCES users (id),
        sponsor INTEGER NOT NULL REFERENCES users (id), role TEXT DEFAULT 'x',
        PRIMARY KEY (team, member), CHECK (member <> sponsor))",
    "CREATE TABLE chairs (a BOOLEAN, b SMALLINT, d BIGINT NOT NULL, PRIMARY KEY (a, b))",
    "CREATE TABLE itself (id INTEGER PRIMARY KEY, root INTEGER NOT NULL REFERENCES itself (id))",
    "CREATE TABLE \"from\" (\"select\" TEXT PRIMARY KEY, \"a b\" ANY)",
    "CREATE TABLE touched (id INTEGER PRIMARY KEY, n INTEGER)",
    "CREATE TRIGGER touch BEFORE UPDATE OF n ON touched BEGIN SELECT RAISE(ABORT, 'no'); END",
];

fn open(db: &ScratchDb) -> Session {
    Session::open(&DatabaseUrl::parse(db.url()).unwrap(), &OpenOptions::write()).unwrap()
}

/// Inserts rows and changes each twice; returns the first row and its changes, and in which of the
/// first rows a column is NULL that is not in all.
fn fill(session: &mut Session, table: &str, count: u64) -> String {
    let table: TableName = table.parse().unwrap();
    let backend = session.backend();
    let rows = must(Rows::of(session, &table));
    let columns: Vec<String> = rows.columns().iter().map(|c| text::name(backend, c)).collect();
    let target = text::table(backend, &table);
    for n in 1..=count {
        must(rows.prepare(session, n));
        let literals = rows.literals(n).unwrap();
        let (names, values) = (columns.join(", "), literals.join(", "));
        must(session.batch(&format!("INSERT INTO {target} ({names}) VALUES ({values})")));
        for revision in 1..=2 {
            let before = rows.changed(n, revision - 1).unwrap();
            let changed = rows.changed(n, revision).unwrap();
            let changes: Vec<String> = columns
                .iter()
                .zip(changed.iter().zip(&before))
                .filter(|(_, (new, old))| new != old)
                .map(|(name, (new, _))| format!("{name} = {new}"))
                .collect();
            if changes.is_empty() {
                continue;
            }
            let place = rows.condition(n).unwrap().unwrap();
            must(
                session.batch(&format!("UPDATE {target} SET {} WHERE {place}", changes.join(", "))),
            );
        }
    }
    let again = must(Rows::of(session, &table));
    assert_eq!(again.literals(count + 1).unwrap(), rows.literals(count + 1).unwrap());
    let line = |literals: Vec<String>| {
        let pairs = rows.columns().iter().zip(literals);
        pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    let mut text =
        format!("{}\n{}", line(rows.literals(1).unwrap()), line(rows.changed(1, 1).unwrap()));
    for (at, name) in rows.columns().iter().enumerate() {
        let is_null = |n: &u64| rows.literals(*n).unwrap()[at] == "NULL";
        let nulls: Vec<u64> = (1..=count.min(12)).filter(is_null).collect();
        if !nulls.is_empty() && nulls.len() < 12 {
            write!(text, "\n{name} is NULL in {nulls:?}").unwrap();
        }
    }
    text
}

/// Fails the test with all that an error says.
#[expect(clippy::panic, reason = "fails the calling test, which is its purpose")]
fn must<T>(done: Result<T, impl Error>) -> T {
    done.unwrap_or_else(|error| panic!("{}", chain(&error)))
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Fills tables one after the other; each is emptied first of what others needed.
fn fill_all(session: &mut Session, tables: &[&str]) -> String {
    let mut text = String::new();
    for table in tables {
        let (name, count) = (table.trim_matches('"'), format!("SELECT count(*) FROM {table}"));
        session.batch(&format!("DELETE FROM {table}")).unwrap();
        let rows = fill(session, table, 50);
        assert_eq!(session.value(&count).unwrap().as_deref(), Some("50"), "{table}");
        writeln!(text, "{name}\n{rows}").unwrap();
    }
    text
}

#[test]
fn postgres_tables_of_every_kind() {
    for major in [13, 18] {
        let Some(db) = ScratchDb::require(Want::postgres().version(major)) else { continue };
        db.run(POSTGRES).unwrap();
        let mut session = open(&db);
        let tables = [
            "users",
            "audit.log",
            "members",
            "events",
            "events_26",
            "chairs",
            "itself",
            "fixed",
            "picky",
        ];
        let text = fill_all(&mut session, &tables);
        insta::allow_duplicates! { insta::assert_snapshot!(text, @r#"
        users
        id=1000001 name='0000001000001' email='lflt' mood='ok' age=19 other=20 moods='{"ok"}' code='AAA' boss=NULL country='0' region=0 seen='2000-01-02 12:00:00.000000+00' from_day='2000-01-02' to_day='2000-01-03' flag=true kind='b' team=NULL
        id=1000001 name='0000001000001' email='lflt' mood='it''s' age=NULL other=18 moods=NULL code='AAA' boss=NULL country='0' region=0 seen='2000-01-03 12:00:00.000000+00' from_day=NULL to_day=NULL flag=false kind='b' team=NULL
        email is NULL in [2, 6, 10, 12]
        age is NULL in [2, 6, 8, 10]
        moods is NULL in [2, 6]
        from_day is NULL in [2, 6]
        to_day is NULL in [2, 4, 12]
        audit.log
        id='00000000-0000-4000-8000-0000000f4241' post=NULL team=1000000 member=NULL of_team=1000000 rating=NULL kind=NULL note=NULL
        id='00000000-0000-4000-8000-0000000f4241' post=NULL team=1000000 member=NULL of_team=1000000 rating=NULL kind=NULL note=NULL
        post is NULL in [1, 3, 5, 7, 9, 11]
        team is NULL in [2, 4, 6, 8, 10, 12]
        of_team is NULL in [4, 12]
        members
        team=1000001 member=1000001 sponsor=51000000 role='value 1' during='["268435456","268435456"]'
        team=1000001 member=1000001 sponsor=51000000 role=NULL during='["268435456","268435456"]'
        role is NULL in [2, 6]
        during is NULL in [2, 6, 8, 10]
        events
        id=1000001 at='2026-01-01'
        id=1000001 at='2026-01-01'
        events_26
        id=1000001 at='2026-01-01'
        id=1000001 at='2026-01-01'
        chairs
        a=true b='sad' c=0 d=1
        a=true b='sad' c=0 d=2
        itself
        id=1000001 root=1000001
        id=1000001 root=1000001
        fixed
        id=1000001 made=1 touched=1
        id=1000001 made=1 touched=NULL
        touched is NULL in [2, 6, 10, 12]
        picky
        id=1000001 a=1 b=NULL
        id=1000001 a=NULL b=NULL
        a is NULL in [2, 8]
        "#) }
    }
}

#[test]
fn mysql_tables_of_every_kind() {
    let Some(db) = ScratchDb::require(Want::mysql()) else { return };
    db.run(MYSQL).unwrap();
    insta::assert_snapshot!(fill_all(&mut open(&db), &["users", "members", "chairs", "itself"]), @r#"
    users
    id=1000001 name='0000001000001' email='4i01' mood='ok' tags='a' age=19 boss=NULL country='0' region=0 seen='2000-01-02 12:00:00' from_day='2000-01-02' to_day='2000-01-03' flag=1 kind='b' extra='{"n":1}' raw=x'00000000000f4241' price=5.5 team=NULL
    id=1000001 name='0000001000001' email='4i01' mood='sad' tags=NULL age=NULL boss=NULL country='0' region=0 seen='2000-01-03 12:00:00' from_day=NULL to_day=NULL flag=0 kind='A' extra=NULL raw=x'00000000000f4241' price=5.5 team=NULL
    tags is NULL in [2, 6, 8, 10]
    age is NULL in [2, 8, 10, 12]
    from_day is NULL in [2, 6, 8]
    to_day is NULL in [2, 4, 8, 12]
    extra is NULL in [2, 4, 10, 12]
    members
    team=1000001 member=1000001 sponsor=51000000 role='1'
    team=1000001 member=1000001 sponsor=51000000 role=NULL
    role is NULL in [2, 6]
    chairs
    a=1 b='x' c=0 d=1
    a=1 b='x' c=0 d=2
    itself
    id=1000001 root=1000001
    id=1000001 root=1000001
    "#);
}

#[test]
fn sqlite_tables_of_every_kind() {
    let db = ScratchDb::sqlite().unwrap();
    db.run(SQLITE).unwrap();
    let tables = ["users", "members", "chairs", "itself", "\"from\"", "touched"];
    insta::assert_snapshot!(fill_all(&mut open(&db), &tables), @"
    users
    id=1000001 name='0000001000001' email='lflt' age=19 boss=NULL country='00' region=1000000 seen='2000-01-02 12:00:00' from_day='2000-01-02' to_day='2000-01-03' flag=1 kind='b' raw=x'00000000000f4241' price=0.5 json='1' team=NULL
    id=1000001 name='0000001000001' email='lflt' age=NULL boss=NULL country='00' region=1000000 seen='2000-01-03 12:00:00' from_day=NULL to_day=NULL flag=0 kind='a' raw=x'00000000000f4241' price=NULL json=NULL team=NULL
    age is NULL in [2, 6]
    from_day is NULL in [2, 6, 8]
    to_day is NULL in [2, 4, 8]
    price is NULL in [2, 6, 8, 12]
    json is NULL in [2, 4, 10, 12]
    members
    team=1000001 member=51000001 sponsor=1000000 role='value 1'
    team=1000001 member=51000001 sponsor=1000000 role=NULL
    role is NULL in [2, 6]
    chairs
    a=1 b=0 d=1
    a=1 b=0 d=2
    itself
    id=1000001 root=1000001
    id=1000001 root=1000001
    from
    select='value lflt' a b=1
    select='value lflt' a b=NULL
    a b is NULL in [2, 8]
    touched
    id=1000001 n=1
    id=1000001 n=1
    n is NULL in [2, 8]
    ");
}

#[test]
fn tries_leave_nothing_behind() {
    for backend in Backend::ALL {
        let Some(db) = ScratchDb::require(backend) else { continue };
        db.run(&[
            "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL CHECK (n > 3))",
            "INSERT INTO t VALUES (1, 4)",
        ])
        .unwrap();
        let before = data_dump(db.url(), &"t".parse().unwrap()).unwrap();
        let rows = Rows::of(&mut open(&db), &"t".parse().unwrap()).unwrap();
        assert_eq!(data_dump(db.url(), &"t".parse().unwrap()).unwrap(), before);
        let names = |rows: &Rows| rows.columns().iter().map(Ident::to_string).collect::<Vec<_>>();
        assert_eq!(names(&rows), ["id", "n"]);
        let rows = rows.without(&Ident::new("n").unwrap());
        assert_eq!(
            (names(&rows), rows.literals(3).unwrap()),
            (vec!["id".into()], vec!["1000003".into()])
        );
    }
}

#[test]
fn rows_that_are_there_stand_in_where_none_can_be_made() {
    let db = ScratchDb::sqlite().unwrap();
    db.run(&[
        "CREATE TABLE kinds (id INTEGER PRIMARY KEY, name TEXT)",
        "INSERT INTO kinds VALUES (3, 'it''s'), (4, 'b')",
        "CREATE TRIGGER closed BEFORE INSERT ON kinds BEGIN SELECT RAISE(ABORT, 'closed'); END",
        "CREATE TABLE things (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL REFERENCES kinds)",
        "CREATE TABLE one_each (kind INTEGER PRIMARY KEY REFERENCES kinds)",
    ])
    .unwrap();
    let mut session = open(&db);
    let things = Rows::of(&mut session, &"things".parse().unwrap()).unwrap();
    assert_eq!(things.literals(9).unwrap(), ["1000009", "3"]);
    let kinds = Rows::of(&mut session, &"one_each".parse().unwrap()).unwrap();
    assert_eq!(kinds.literals(1).unwrap(), ["4"]);
    assert!(matches!(kinds.literals(2), Err(RowsError::Exhausted { rows: 2, .. })));
}

#[test]
fn what_cannot_work_is_named() {
    let db = ScratchDb::sqlite().unwrap();
    db.run(&[
        "CREATE TABLE no_way (id INTEGER PRIMARY KEY, code TEXT NOT NULL CHECK (code LIKE 'x' AND code LIKE 'y'))",
        "CREATE TABLE guarded (id INTEGER PRIMARY KEY, code TEXT)",
        "CREATE TRIGGER guard BEFORE INSERT ON guarded BEGIN SELECT RAISE(ABORT, 'code must be paid for'); END",
        "CREATE TABLE hen (id INTEGER PRIMARY KEY, egg INTEGER NOT NULL REFERENCES egg)",
        "CREATE TABLE egg (id INTEGER PRIMARY KEY, hen INTEGER NOT NULL REFERENCES hen)",
        "CREATE TABLE single (id BOOLEAN PRIMARY KEY CHECK (id = 1), n INTEGER)",
    ])
    .unwrap();
    let mut session = open(&db);
    let mut text = String::new();
    for table in ["no_way", "guarded", "hen"] {
        let error = Rows::of(&mut session, &table.parse().unwrap()).unwrap_err();
        let said = error.source().and_then(|error| error.source()).map(ToString::to_string);
        let (said, hint) = (said.unwrap_or_default(), error.hint().unwrap());
        writeln!(text, "{error}; {said}; {hint}").unwrap();
    }
    let nowhere = Rows::of(&mut session, &"nowhere".parse().unwrap());
    assert!(matches!(nowhere, Err(RowsError::Facts { .. })));
    let single = Rows::of(&mut session, &"single".parse().unwrap()).unwrap();
    let error = single.literals(2).unwrap_err();
    let literals = single.literals(1).unwrap();
    write!(text, "{literals:?} {error}; {}", error.hint().unwrap()).unwrap();
    insta::assert_snapshot!(text, @r#"
    `no_way`, column `code`, takes no row that could be made; CHECK constraint failed: code LIKE 'x' AND code LIKE 'y'; give your application's own code to the test that `cargo newcol add` writes
    `guarded`, column `code`, takes no row that could be made; code must be paid for; give your application's own code to the test that `cargo newcol add` writes
    rows of `hen`, `egg` need each other first; ; give your application's own code to the test that `cargo newcol add` writes
    ["1", "1"] `single.id` has distinct values for no more than 1 row; ask for no higher row than 1
    "#);
}

#[test]
fn a_column_that_is_to_come_has_values() {
    let Some(db) = ScratchDb::require(Backend::Postgres) else { return };
    db.run(&[
        "CREATE TYPE mood AS ENUM ('sad', 'ok')",
        "CREATE DOMAIN age AS int CHECK (VALUE >= 18)",
        "CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL)",
    ])
    .unwrap();
    let mut session = open(&db);
    let column = "users.new".parse().unwrap();
    let mut of = |sql: &str| NewColumn::of(&mut session, &column, sql, None);
    assert_eq!(of("mood").unwrap().literal(1).unwrap(), "'ok'");
    assert_eq!(of("age").unwrap().literal(1).unwrap(), "20");
    assert_eq!(of("varchar(3)").unwrap().changed(1, 1).unwrap(), "'2'");
    assert_eq!(of("int").unwrap().distinct().changed(1, 1).unwrap(), "1000001");
    assert!(matches!(of("nothing"), Err(RowsError::Type { .. })));
    let users = "users".parse().unwrap();
    let id = Ident::new("id").unwrap();
    let boss = NewColumn::of(&mut session, &column, "int", Some((&users, &id))).unwrap();
    boss.prepare(&mut session, 1).unwrap();
    boss.clone().distinct().prepare(&mut session, 1).unwrap();
    assert_eq!(
        session.query("SELECT id FROM users ORDER BY id").unwrap().concat(),
        [boss.literal(1).unwrap(), boss.distinct().literal(1).unwrap()].map(Some)
    );
}
