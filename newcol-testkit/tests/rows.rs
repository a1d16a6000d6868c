//! Rows of tables with everything that makes a row hard, on real servers.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use newcol_core::{
    backend::Backend,
    db::{DatabaseUrl, OpenOptions, Session},
    ident::{Ident, TableName},
};
use newcol_testkit::{Rows, ScratchDb, Want};

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
    "CREATE TABLE chairs (a boolean, b mood, c mood, d bigint NOT NULL, PRIMARY KEY (a, b, c))",
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

fn quote(backend: Backend, name: &Ident) -> String {
    if backend == Backend::Mysql { format!("`{name}`") } else { format!("\"{name}\"") }
}

fn quote_table(backend: Backend, table: &TableName) -> String {
    let schema = table.schema.as_ref().map(|s| quote(backend, s) + ".").unwrap_or_default();
    schema + &quote(backend, &table.name)
}

/// Inserts rows and changes each twice; returns the first row and its changes.
fn fill(session: &mut Session, table: &str, count: u64) -> String {
    let table: TableName = table.parse().unwrap();
    let backend = session.backend();
    let rows = Rows::of(session, &table).unwrap_or_else(|error| panic!("{}", chain(&error)));
    let columns: Vec<String> = rows.columns().iter().map(|c| quote(backend, c)).collect();
    let target = quote_table(backend, &table);
    let run = |session: &mut Session, sql: String| {
        session.batch(&sql).unwrap_or_else(|error| panic!("{sql}: {}", chain(&error)));
    };
    for n in 1..=count {
        rows.prepare(session, n).unwrap_or_else(|error| panic!("{table} {n}: {}", chain(&error)));
        let literals = rows.literals(n).unwrap();
        let (names, values) = (columns.join(", "), literals.join(", "));
        run(session, format!("INSERT INTO {target} ({names}) VALUES ({values})"));
        for revision in 1..=2 {
            let changed = rows.changed(n, revision).unwrap();
            let changes: Vec<String> = columns
                .iter()
                .zip(changed.iter().zip(&literals))
                .filter(|(_, (new, old))| new != old)
                .map(|(name, (new, _))| format!("{name} = {new}"))
                .collect();
            if changes.is_empty() {
                continue;
            }
            let place = rows.condition(n).unwrap().unwrap();
            run(session, format!("UPDATE {target} SET {} WHERE {place}", changes.join(", ")));
        }
    }
    assert_eq!(
        session
            .value(&format!("SELECT CAST(count(*) AS CHAR(9)) FROM {target}"))
            .unwrap()
            .unwrap()
            .trim(),
        count.to_string()
    );
    let again =
        Rows::of(session, &table).unwrap_or_else(|error| panic!("again: {}", chain(&error)));
    assert_eq!(again.literals(count + 1).unwrap(), rows.literals(count + 1).unwrap());
    let line = |literals: Vec<String>| {
        let pairs = rows.columns().iter().zip(literals);
        pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    format!("{}\n{}", line(rows.literals(1).unwrap()), line(rows.changed(1, 1).unwrap()))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[test]
fn postgres_tables_of_every_kind() {
    for major in [13, 18] {
        let Some(db) = ScratchDb::require(Want::postgres().version(major)) else { continue };
        db.execute(POSTGRES).unwrap();
        let mut session = open(&db);
        let tables = ["audit.log", "members", "events", "events_26", "itself", "fixed", "picky"];
        let mut text = String::new();
        for table in tables {
            // A reader of the table must not see what was tried.
            text += &format!("{table}\n{}\n", fill_fresh(&mut session, table));
        }
        eprintln!("{text}");
    }
}

fn fill_fresh(session: &mut Session, table: &str) -> String {
    let before = session.value(&format!("SELECT count(*) FROM {table}")).unwrap();
    Rows::of(session, &table.parse().unwrap()).unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(session.value(&format!("SELECT count(*) FROM {table}")).unwrap(), before);
    session.batch(&format!("DELETE FROM {table}")).unwrap();
    fill(session, table, 50)
}

#[test]
fn mysql_tables_of_every_kind() {
    let Some(db) = ScratchDb::require(Want::mysql()) else { return };
    db.execute(MYSQL).unwrap();
    let mut session = open(&db);
    for table in ["members", "itself"] {
        eprintln!("{table}\n{}\n", fill_fresh(&mut session, table));
    }
}

#[test]
fn sqlite_tables_of_every_kind() {
    let db = ScratchDb::sqlite().unwrap();
    db.execute(SQLITE).unwrap();
    let mut session = open(&db);
    for table in ["members", "itself", "\"from\"", "touched"] {
        eprintln!("{table}\n{}\n", fill_fresh(&mut session, table));
    }
}
