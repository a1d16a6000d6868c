//! Filling a row is no change of it: whatever triggers and `ON UPDATE` clauses there are, the fill
//! inside a migration changes no other column.

use newcol_core::{
    backend::Backend,
    contract::{Contract, read},
    db::{DatabaseUrl, OpenOptions, Session, facts::read_table},
    plan::{Plan, Step, Transaction, facts::TableFacts},
    render,
};
use newcol_testkit::{ScratchDb, Want};

fn contract(body: &str) -> Contract {
    let head = "format = 1\ntable = 'users'\ncolumn = 'shout'\nwhy = 'a test'\nrequired = true\n";
    read::read(&format!("{head}{body}")).unwrap().contract
}

const SHOUT: &str = "type = 'varchar(60)'\n[old_rows]\nfill = 'upper(name)'\n";

fn open(db: &ScratchDb) -> Session {
    Session::open(&DatabaseUrl::parse(db.url()).unwrap(), &OpenOptions::create()).unwrap()
}

/// Runs the migrations of a plan up to the one that fills, each as Diesel does.
fn fill(session: &mut Session, plan: &Plan) {
    for migration in plan.stages.iter().flat_map(|stage| &stage.migrations) {
        let statements = migration.steps.iter().flat_map(|step| render::up(step, plan));
        let sql: String = statements.map(|statement| format!("{};\n", statement.sql)).collect();
        let sql = match migration.transaction {
            Transaction::Wrapped => format!("BEGIN;\n{sql}COMMIT;"),
            Transaction::Bare => sql,
        };
        session.batch(&sql).unwrap();
        if migration.steps.iter().any(|step| matches!(step, Step::FillLeftovers(_))) {
            return;
        }
    }
}

fn rows(session: &mut Session, sql: &str) -> String {
    let text = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
    let rows = session.query(sql).unwrap().into_iter();
    rows.map(|row| row.into_iter().map(text).collect::<Vec<_>>().join(" ") + "\n").collect()
}

/// Partitions have copies of their parent's triggers and some of their own.
const PARTITIONED: &str = "
    CREATE TABLE users (id int, name text, touched text) PARTITION BY RANGE (id);
    CREATE TABLE low PARTITION OF users FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (id);
    CREATE TABLE \"Lo w\" PARTITION OF low FOR VALUES FROM (0) TO (10);
    CREATE TABLE high PARTITION OF users FOR VALUES FROM (10) TO (20);";
const PLAIN: &str = "
    CREATE TABLE users (id int, name text, touched text);
    CREATE TABLE high () INHERITS (users);";
const TRIGGERS: &str = "
    CREATE TABLE audit (says text);
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql
      AS 'BEGIN NEW.touched = TG_NAME; RETURN NEW; END';
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql
      AS 'BEGIN INSERT INTO audit VALUES (TG_NAME); RETURN NULL; END';
    CREATE TRIGGER \"on all\" BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
    CREATE TRIGGER always AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION note();
    ALTER TABLE users ENABLE ALWAYS TRIGGER always;
    CREATE TRIGGER off BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
    ALTER TABLE users DISABLE TRIGGER off;
    CREATE TRIGGER replica BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
    ALTER TABLE users ENABLE REPLICA TRIGGER replica;
    CREATE TRIGGER other AFTER UPDATE OF name ON users FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER statement AFTER UPDATE ON users EXECUTE FUNCTION note();
    CREATE TRIGGER own BEFORE UPDATE ON high FOR EACH ROW EXECUTE FUNCTION touch();
    INSERT INTO users VALUES (1, 'ann', 'a'), (2, 'bob', 'b');
    INSERT INTO high VALUES (11, 'eve', 'c');";
const STATES: &str = "SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger \
                      WHERE tgname !~ '^newcol_' ORDER BY 1, 2";

#[test]
fn postgres_triggers_rest_and_are_as_they_were() {
    for version in [13, 15, 18] {
        for tables in [PLAIN, PARTITIONED] {
            let Some(db) = ScratchDb::require(Want::postgres().version(version)) else { continue };
            let mut session = open(&db);
            // The owner of the tables and nobody else: a superuser may do more.
            session
                .batch(
                    "CREATE SCHEMA app; GRANT ALL ON SCHEMA app TO PUBLIC; SET search_path = app",
                )
                .unwrap();
            session
                .batch("DO 'BEGIN CREATE ROLE newcol_owner; EXCEPTION WHEN OTHERS THEN END'")
                .unwrap();
            session.batch("SET ROLE newcol_owner").unwrap();
            session.batch(tables).unwrap();
            session.batch(TRIGGERS).unwrap();
            let contract = contract(SHOUT);
            let facts = read_table(&mut session, contract.table()).unwrap();
            let names: Vec<String> =
                facts.update_triggers.iter().map(ToString::to_string).collect();
            assert_eq!(names, ["always", "on all", "statement"], "PostgreSQL {version}");
            let before = rows(&mut session, STATES);
            fill(&mut session, &Plan::build(&contract, &facts).unwrap());
            assert_eq!(
                rows(&mut session, "SELECT id, touched, shout FROM users ORDER BY id"),
                "1 a ANN\n2 b BOB\n11 c EVE\n",
                "PostgreSQL {version}: {tables}"
            );
            assert_eq!(rows(&mut session, "SELECT * FROM audit"), "", "PostgreSQL {version}");
            assert_eq!(rows(&mut session, STATES), before, "PostgreSQL {version}: {tables}");
        }
    }
}

#[test]
fn sqlite_triggers_rest_and_are_as_they_were() {
    let Some(db) = ScratchDb::require(Want::sqlite()) else { return };
    let mut session = open(&db);
    session
        .batch(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, touched TEXT);
             CREATE TRIGGER \"on all\" AFTER UPDATE ON users
               BEGIN UPDATE users SET touched = 'all' WHERE id = NEW.id; END;
             CREATE TRIGGER other AFTER UPDATE OF name ON users
               BEGIN UPDATE users SET touched = 'other' WHERE id = NEW.id; END;
             INSERT INTO users VALUES (1, 'ann', 'a'), (2, 'bob', 'b');",
        )
        .unwrap();
    let contract = contract(SHOUT);
    let facts = read_table(&mut session, contract.table()).unwrap();
    let triggers = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' \
                    AND name NOT LIKE 'newcol%' ORDER BY name";
    let before = rows(&mut session, triggers);
    fill(&mut session, &Plan::build(&contract, &facts).unwrap());
    assert_eq!(rows(&mut session, "SELECT id, touched, shout FROM users"), "1 a ANN\n2 b BOB\n");
    assert_eq!(rows(&mut session, triggers), before);
}

/// Which no fill makes of any name: the name follows, and what was written stays as it is.
#[test]
fn what_new_code_writes_stays() {
    let replaces = "type = 'varchar(60)'\n[old_rows]\nfill = 'upper(name)'\n\
                    [replaces]\ncolumn = 'name'\nback = 'lower(shout)'\n";
    let contract = contract(replaces);
    for backend in Backend::ALL {
        let Some(db) = ScratchDb::require(backend) else { continue };
        let mut session = open(&db);
        session
            .batch(
                "CREATE TABLE users (id bigint PRIMARY KEY, name varchar(60) NOT NULL DEFAULT '')",
            )
            .unwrap();
        let facts = read_table(&mut session, contract.table()).unwrap();
        let plan = Plan::build(&contract, &facts).unwrap();
        for step in plan.stages[0].migrations.iter().flat_map(|migration| &migration.steps) {
            for statement in render::up(step, &plan) {
                session.batch(statement.sql.as_str()).unwrap();
            }
        }
        session.batch("INSERT INTO users (id, shout) VALUES (1, 'Ann'), (2, 'BOB')").unwrap();
        let now = |session: &mut Session| rows(session, "SELECT * FROM users ORDER BY id");
        assert_eq!(now(&mut session), "1 ann Ann\n2 bob BOB\n", "{backend}");
        session.batch("UPDATE users SET shout = 'Eve' WHERE id = 2").unwrap();
        assert_eq!(now(&mut session), "1 ann Ann\n2 eve Eve\n", "{backend}");
        session.batch("UPDATE users SET name = 'Ada' WHERE id = 1").unwrap();
        assert_eq!(now(&mut session), "1 Ada ADA\n2 eve Eve\n", "{backend}");
    }
}

/// Without a database at hand the plan does not know of `ON UPDATE`: the server says so later.
#[test]
fn mysql_keeps_times_that_were_not_known_of() {
    let fill_with_backslash = "type = 'varchar(60)'\n[old_rows]\n\
                               fill = \"concat(upper(name), '\\\\\\\\', '`')\"\n";
    for (mode, shout) in [("''", "ANN\\`"), ("'NO_BACKSLASH_ESCAPES'", "ANN\\\\`")] {
        let Some(db) = ScratchDb::require(Want::mysql()) else { return };
        let mut session = open(&db);
        session
            .batch(
                "CREATE TABLE users (id int PRIMARY KEY, name varchar(60),
                   `at ``1` timestamp(3) NULL ON UPDATE CURRENT_TIMESTAMP(3),
                   at2 datetime DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP,
                   next datetime AS (at2 + INTERVAL 1 DAY) STORED);
                 INSERT INTO users (id, name, `at ``1`, at2) VALUES
                   (1, 'ann', '2001-01-01 00:00:00.123', NULL);",
            )
            .unwrap();
        session.batch(&format!("SET SESSION sql_mode = {mode}")).unwrap();
        let contract = contract(fill_with_backslash);
        let plan = Plan::build(&contract, &TableFacts::unknown(Backend::Mysql)).unwrap();
        fill(&mut session, &plan);
        assert_eq!(
            rows(&mut session, "SELECT `at ``1`, at2, next, shout FROM users"),
            format!("2001-01-01 00:00:00.123 NULL NULL {shout}\n"),
            "sql_mode {mode}"
        );
    }
}
