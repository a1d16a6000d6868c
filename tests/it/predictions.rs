//! Law 7: what planning predicts of PostgreSQL (lock, rewrite, scan) is what the server does.
//!
//! Each statement runs in a transaction on a table with rows; what it holds and what it did is
//! read from inside that transaction.

use std::{thread, time::Duration};

use newcol_core::{
    backend::Backend,
    contract::{Contract, Expr, SqlType, read},
    db::{DatabaseUrl, OpenOptions, Session, facts::read_table, probe::probe_default},
    plan::{
        Plan, Step,
        effect::{Effect, Lock, add_column_rewrites, effect},
        facts::Volatility,
        volatility,
    },
    render,
};
use newcol_testkit::{ScratchDb, Want, wait::wait_for};

/// The oldest and the newest supported version, and the one most machines have.
const VERSIONS: [u32; 3] = [13, 15, 18];

const TABLES: &str = "
    CREATE TABLE teams (id bigint PRIMARY KEY, title text NOT NULL);
    CREATE TABLE users (id bigint PRIMARY KEY, name varchar(60) DEFAULT 'nobody', email text);
    INSERT INTO teams VALUES (1, 'red'), (2, 'blue');
    INSERT INTO users SELECT n, 'name ' || n, 'mail' || n FROM generate_series(1, 200) n;";

/// Every step that PostgreSQL knows for a table without partitions occurs in one of these; the part of each that differs.
const CONTRACTS: [&str; 7] = [
    "required = true\ntype = 'text'\n[old_rows]\nfill = 'upper(name)'\n[index]\n\
     [check]\nexpr = \"extra <> ''\"",
    "required = true\ntype = 'bigint'\n[old_rows]\nfill = '1 + id % 2'\n\
     [references]\ntable = 'teams'\ncolumn = 'id'\n[default]\nvalue = '1'\nkeep = false",
    "required = true\ntype = 'integer'\n[default]\nvalue = '7'\nkeep = false",
    "required = false\ntype = 'text'\n[old_rows]\nfill = 'lower(email)'\n[index]\nunique = true",
    "required = false\ntype = 'text'\n[index]\nunique = 'constraint'\ninclude = ['name']",
    "required = true\ntype = 'varchar(60)'\n[old_rows]\nfill = 'name'\n\
     [replaces]\ncolumn = 'name'\nback = 'extra'",
    "required = true\ntype = 'text'\n[old_rows]\nrust = 'crate::fill'\n[old_writers]\nby = 'nobody'",
];

/// Changes another column whenever a row is updated.
const TRIGGER: &str = "
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql
      AS 'BEGIN NEW.email = NEW.email || ''!''; RETURN NEW; END';
    CREATE TRIGGER touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();";

#[test]
fn every_step_does_what_is_predicted() {
    let mut seen = Vec::new();
    for version in VERSIONS {
        let mut wrong = Vec::new();
        for (body, trigger) in
            CONTRACTS.map(|body| (body, "")).into_iter().chain([(CONTRACTS[0], TRIGGER)])
        {
            let Some(db) = ScratchDb::require(Want::postgres().version(version)) else { continue };
            let mut session = open(&db);
            session.batch(TABLES).unwrap();
            session.batch(trigger).unwrap();
            let contract = contract(body);
            let facts = read_table(&mut session, contract.table()).unwrap();
            let plan = Plan::build(&contract, &facts).unwrap();
            for migration in plan.stages.iter().flat_map(|stage| &stage.migrations) {
                for step in &migration.steps {
                    prepare(&mut session, step);
                    let wanted = effect(step, &facts);
                    let found = match step {
                        Step::CreateIndex(_) => built_concurrently(&db, step, &plan),
                        _ => ran(&mut session, step, &plan),
                    };
                    if !found.is(&wanted) {
                        wrong.push(format!("{step:?}: predicted {wanted:?}, found {found:?}"));
                    }
                    seen.push(name(step));
                }
            }
        }
        assert!(wrong.is_empty(), "PostgreSQL {version}:\n{}", wrong.join("\n"));
    }
    seen.sort();
    seen.dedup();
    // Where no server is at hand, the test is among the skipped.
    if !seen.is_empty() {
        assert_eq!(
            seen.join(" "),
            "AddCheck AddColumn AddForeignKey AddNotNullCheck AddUnique Comment CreateFill CreateIndex \
             CreateSync DropDefault DropFill DropNotNullCheck DropReplaced DropSync FillLeftovers \
             SetDefault SetNotNull ValidateCheck ValidateForeignKey ValidateNotNullCheck"
        );
    }
}

/// An index of partitions locks them as it locks their table, and reads those without one.
#[test]
fn a_partitioned_index_does_what_is_predicted() {
    const SCANS: &str = "SELECT coalesce((SELECT seq_scan FROM pg_stat_xact_user_tables \
                         WHERE relid = 'low'::regclass), 0)";
    const FILE: &str = "SELECT pg_relation_filenode('low'::regclass)";
    for version in VERSIONS {
        let Some(db) = ScratchDb::require(Want::postgres().version(version)) else { continue };
        let mut session = open(&db);
        session
            .batch(
                "CREATE TABLE users (id bigint PRIMARY KEY) PARTITION BY RANGE (id);
                 CREATE TABLE low PARTITION OF users FOR VALUES FROM (0) TO (1000);
                 INSERT INTO users SELECT generate_series(1, 200)",
            )
            .unwrap();
        let contract = contract("required = false\ntype = 'text'\n[index]");
        let facts = read_table(&mut session, contract.table()).unwrap();
        let plan = Plan::build(&contract, &facts).unwrap();
        session.batch("ALTER TABLE users ADD COLUMN extra text").unwrap();
        let pid = session.value("SELECT pg_backend_pid()").unwrap().unwrap();
        session.batch("BEGIN").unwrap();
        let (file, scans) = (session.value(FILE).unwrap(), session.value(SCANS).unwrap());
        let step = Step::CreatePartitionedIndex;
        for statement in render::up(&step, &plan) {
            session.batch(statement.sql.as_str()).unwrap();
        }
        for table in ["users", "low"] {
            let found = Found {
                lock: strongest_on(&mut session, &pid, table),
                rewrite: session.value(FILE).unwrap() != file,
                scan: session.value(SCANS).unwrap() != scans,
            };
            let wanted = effect(&step, &facts);
            assert!(found.is(&wanted), "{version}: {table}: {wanted:?}, found {found:?}");
        }
    }
}

/// Fills what only application code can fill, as it would have by then.
fn prepare(session: &mut Session, step: &Step) {
    if matches!(step, Step::FillLeftovers(newcol_core::plan::Leftovers::Refuse)) {
        session.batch("UPDATE users SET extra = 'x'").unwrap();
    }
}

fn name(step: &Step) -> String {
    let text = format!("{step:?}");
    text.split(['(', ' ']).next().unwrap_or_default().to_owned()
}

fn contract(body: &str) -> Contract {
    let text = format!("format = 1\ntable = 'users'\ncolumn = 'extra'\nwhy = 'a test'\n{body}\n");
    read::read(&text).unwrap().contract
}

fn open(db: &ScratchDb) -> Session {
    Session::open(&DatabaseUrl::parse(db.url()).unwrap(), &OpenOptions::write()).unwrap()
}

/// What a server did.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    lock: String,
    rewrite: bool,
    scan: bool,
}

impl Found {
    fn is(&self, wanted: &Effect) -> bool {
        self.lock == wanted.lock.name()
            && self.rewrite == wanted.rewrite
            && self.scan == wanted.scan
    }
}

const FILE: &str = "SELECT pg_relation_filenode('users'::regclass)";
/// Reading through an index counts too: the planner is free to find rows to fill that way.
const SCANS: &str = "SELECT coalesce((SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_xact_user_tables \
                     WHERE relid = 'users'::regclass), 0)";

/// Runs all statements of a step in one transaction.
fn ran(session: &mut Session, step: &Step, plan: &Plan) -> Found {
    let pid = session.value("SELECT pg_backend_pid()").unwrap().unwrap();
    session.batch("BEGIN").unwrap();
    let (file, scans) = (session.value(FILE).unwrap(), session.value(SCANS).unwrap());
    for statement in render::up(step, plan) {
        session.batch(statement.sql.as_str()).unwrap();
    }
    let lock = strongest(session, &pid);
    let rewrite = session.value(FILE).unwrap() != file;
    let scan = session.value(SCANS).unwrap() != scans;
    session.batch("COMMIT").unwrap();
    Found { lock, rewrite, scan }
}

/// Builds an index while another transaction keeps it waiting, so that its locks can be seen.
fn built_concurrently(db: &ScratchDb, step: &Step, plan: &Plan) -> Found {
    const READ: &str = "SELECT coalesce(seq_scan, 0) FROM pg_stat_user_tables \
                        WHERE relid = 'users'::regclass";
    let statement = render::up(step, plan).remove(0);
    let (mut builder, mut writer, mut watcher) = (open(db), open(db), open(db));
    let pid = builder.value("SELECT pg_backend_pid()").unwrap().unwrap();
    let before = watcher.value(READ).unwrap();
    writer.batch("BEGIN; UPDATE users SET email = email WHERE id = 1").unwrap();
    let limit = Duration::from_secs(20);
    let lock = thread::scope(|scope| {
        let builds = scope.spawn(|| builder.batch(statement.sql.as_str()));
        wait_for("lock of the build", limit, || {
            let lock = strongest(&mut watcher, &pid);
            (!lock.is_empty() && lock != "ACCESS SHARE").then_some(lock)
        })
        .inspect(|_| {
            writer.batch("COMMIT").unwrap();
            builds.join().unwrap().unwrap();
        })
        .unwrap()
    });
    drop(builder);
    let scan = wait_for("statistics of the build", limit, || {
        (watcher.value(READ).unwrap() != before).then_some(())
    });
    Found { lock, rewrite: false, scan: scan.is_ok() }
}

/// Returns the strongest lock of a session on the table, in the manual's spelling.
fn strongest(session: &mut Session, pid: &str) -> String {
    strongest_on(session, pid, "users")
}

fn strongest_on(session: &mut Session, pid: &str, table: &str) -> String {
    let sql = format!(
        "SELECT mode FROM pg_locks WHERE pid = {pid} AND granted AND locktype = 'relation' \
         AND relation = '{table}'::regclass AND database = \
         (SELECT oid FROM pg_database WHERE datname = current_database())"
    );
    let rank = ["", "ACCESS SHARE", "ROW SHARE"]
        .into_iter()
        .chain([Lock::RowExclusive, Lock::ShareUpdateExclusive].map(Lock::name))
        .chain(["SHARE", Lock::ShareRowExclusive.name(), "EXCLUSIVE"])
        .chain([Lock::AccessExclusive.name()])
        .collect::<Vec<_>>();
    let modes = session.query(&sql).unwrap().into_iter().flatten().flatten();
    // `ShareUpdateExclusiveLock` in the catalog.
    let plain = |text: &str| text.replace(' ', "").to_lowercase() + "lock";
    let found = modes.map(|mode| rank.iter().position(|r| plain(r) == mode.to_lowercase()));
    rank[found.flatten().max().unwrap_or_default()].to_owned()
}

const SETUP: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE DOMAIN plain_text AS text;
    CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
    CREATE DOMAIN filled AS text NOT NULL;
    CREATE DOMAIN small_positive AS positive;
    CREATE DOMAIN seven AS integer DEFAULT 7;
    CREATE SEQUENCE numbers;
    CREATE FUNCTION always() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 3';
    CREATE FUNCTION steady() RETURNS integer LANGUAGE sql STABLE AS 'SELECT 3';
    CREATE FUNCTION loose() RETURNS integer LANGUAGE sql VOLATILE AS 'SELECT 3';
    CREATE FUNCTION procedural() RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN 3; END';
    CREATE FUNCTION called_always() RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 3; END';
    CREATE FUNCTION called_steady() RETURNS integer LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 3; END';
    CREATE FUNCTION hides() RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT clock_timestamp()::text';";

/// Types and defaults, most of them judged wrongly by some linter.
const DEFAULTS: &[(&str, &str)] = &[
    ("integer", "7"),
    ("integer", "-7 + 2 * 3"),
    ("text", "'x'"),
    ("text", "NULL"),
    ("text", "'a' || 'b'"),
    ("text", "lower('AB')"),
    ("boolean", "false"),
    ("mood", "'ok'::mood"),
    ("mood", "'ok'"),
    ("jsonb", "'{}'::jsonb"),
    ("jsonb", "jsonb_build_object('a', 1)"),
    ("json", "'[]'"),
    ("text[]", "'{}'"),
    ("integer[]", "ARRAY[1, 2]"),
    ("text[]", "ARRAY[]::text[]"),
    ("uuid", "'7a3c5a0e-96a0-4a7d-8f5c-000000000000'"),
    ("uuid", "gen_random_uuid()"),
    ("timestamptz", "now()"),
    ("timestamptz", "current_timestamp"),
    ("timestamptz", "transaction_timestamp()"),
    ("timestamptz", "statement_timestamp()"),
    ("timestamptz", "clock_timestamp()"),
    ("timestamptz", "'2026-01-02 03:04:05+00'"),
    ("timestamptz", "'2026-01-02'::timestamptz"),
    ("timestamptz", "now() + interval '1 day'"),
    ("timestamp", "localtimestamp"),
    ("timestamp", "timezone('utc', now())"),
    ("date", "current_date"),
    ("date", "CURRENT_DATE - 1"),
    ("interval", "'1 day'"),
    ("text", "timeofday()"),
    ("double precision", "random()"),
    ("integer", "(random() * 10)::int"),
    ("text", "md5(random()::text)"),
    ("bigint", "nextval('numbers')"),
    ("integer", "always()"),
    ("integer", "steady()"),
    ("integer", "loose()"),
    ("integer", "procedural()"),
    ("integer", "called_always()"),
    ("integer", "called_steady()"),
    ("text", "hides()"),
    ("integer", "coalesce(always(), 1)"),
    ("text", "current_user"),
    ("text", "current_setting('server_version')"),
    ("text", "to_char(now(), 'YYYY')"),
    ("text", "CASE WHEN true THEN 'a' ELSE clock_timestamp()::text END"),
    ("numeric(12,2)", "1.5::numeric"),
    ("varchar(2)", "'ab'"),
    ("bytea", "'\\x00'"),
    ("inet", "'10.0.0.1'::inet"),
    ("int8range", "int8range(1, 2)"),
    ("plain_text", "'x'"),
    ("positive", "1"),
    ("filled", "'x'"),
    ("small_positive", "1"),
    ("seven", "8"),
    ("bigint", "txid_current()"),
    ("integer", "pg_backend_pid()"),
];

#[test]
fn defaults_are_judged_as_the_server_treats_them() {
    let mut tables = Vec::new();
    for version in VERSIONS {
        let Some(db) = ScratchDb::require(Want::postgres().version(version)) else { continue };
        let mut session = open(&db);
        session.batch(TABLES).unwrap();
        session.batch(SETUP).unwrap();
        let lines = DEFAULTS.iter().map(|(ty, default)| judged(&mut session, ty, default));
        tables.push((version, lines.collect::<Vec<_>>().join("\n")));
    }
    for (version, table) in &tables {
        assert_eq!(tables[0].1, *table, "PostgreSQL {version} differs from {}", tables[0].0);
    }
    if let Some((_, table)) = tables.first() {
        insta::assert_snapshot!(table, @r"
        integer 7: judged Immutable, probed Immutable: kept, value beside the table
        integer -7 + 2 * 3: judged Immutable, probed Immutable: kept, value beside the table
        text 'x': judged Immutable, probed Immutable: kept, value beside the table
        text NULL: judged Immutable, probed Immutable: kept
        text 'a' || 'b': judged Immutable, probed Immutable: kept, value beside the table
        text lower('AB'): judged Immutable, probed Immutable: kept, value beside the table
        boolean false: judged Immutable, probed Immutable: kept, value beside the table
        mood 'ok'::mood: judged Immutable, probed Immutable: kept, value beside the table
        mood 'ok': judged Immutable, probed Immutable: kept, value beside the table
        jsonb '{}'::jsonb: judged Immutable, probed Immutable: kept, value beside the table
        jsonb jsonb_build_object('a', 1): judged Stable, probed Stable: kept, value beside the table
        json '[]': judged Immutable, probed Immutable: kept, value beside the table
        text[] '{}': judged Immutable, probed Immutable: kept, value beside the table
        integer[] ARRAY[1, 2]: judged Immutable, probed Immutable: kept, value beside the table
        text[] ARRAY[]::text[]: judged Immutable, probed Immutable: kept, value beside the table
        uuid '7a3c5a0e-96a0-4a7d-8f5c-000000000000': judged Immutable, probed Immutable: kept, value beside the table
        uuid gen_random_uuid(): judged Volatile, probed Volatile: rewritten
        timestamptz now(): judged Stable, probed Stable: kept, value beside the table
        timestamptz current_timestamp: judged Stable, probed Stable: kept, value beside the table
        timestamptz transaction_timestamp(): judged Stable, probed Stable: kept, value beside the table
        timestamptz statement_timestamp(): judged Stable, probed Stable: kept, value beside the table
        timestamptz clock_timestamp(): judged Volatile, probed Volatile: rewritten
        timestamptz '2026-01-02 03:04:05+00': judged Immutable, probed Immutable: kept, value beside the table
        timestamptz '2026-01-02'::timestamptz: judged Immutable, probed Immutable: kept, value beside the table
        timestamptz now() + interval '1 day': judged Stable, probed Stable: kept, value beside the table
        timestamp localtimestamp: judged Stable, probed Stable: kept, value beside the table
        timestamp timezone('utc', now()): judged Stable, probed Stable: kept, value beside the table
        date current_date: judged Stable, probed Stable: kept, value beside the table
        date CURRENT_DATE - 1: judged Stable, probed Stable: kept, value beside the table
        interval '1 day': judged Immutable, probed Immutable: kept, value beside the table
        text timeofday(): judged Volatile, probed Volatile: rewritten
        double precision random(): judged Volatile, probed Volatile: rewritten
        integer (random() * 10)::int: judged Volatile, probed Volatile: rewritten
        text md5(random()::text): judged Volatile, probed Volatile: rewritten
        bigint nextval('numbers'): judged Volatile, probed Volatile: rewritten
        integer always(): judged Unknown, probed Immutable: kept, value beside the table
        integer steady(): judged Unknown, probed Immutable: kept, value beside the table
        integer loose(): judged Unknown, probed Immutable: kept, value beside the table
        integer procedural(): judged Unknown, probed Volatile: rewritten
        integer called_always(): judged Unknown, probed Immutable: kept, value beside the table
        integer called_steady(): judged Unknown, probed Stable: kept, value beside the table
        text hides(): judged Unknown, probed Immutable: kept, value beside the table
        integer coalesce(always(), 1): judged Unknown, probed Immutable: kept, value beside the table
        text current_user: judged Stable, probed Stable: kept, value beside the table
        text current_setting('server_version'): judged Stable, probed Stable: kept, value beside the table
        text to_char(now(), 'YYYY'): judged Stable, probed Stable: kept, value beside the table
        text CASE WHEN true THEN 'a' ELSE clock_timestamp()::text END: judged Volatile, probed Immutable: kept, value beside the table
        numeric(12,2) 1.5::numeric: judged Immutable, probed Immutable: kept, value beside the table
        varchar(2) 'ab': judged Immutable, probed Immutable: kept, value beside the table
        bytea '\x00': judged Immutable, probed Immutable: kept, value beside the table
        inet '10.0.0.1'::inet: judged Immutable, probed Immutable: kept, value beside the table
        int8range int8range(1, 2): judged Immutable, probed Immutable: kept, value beside the table
        plain_text 'x': judged Immutable, probed Immutable: kept, value beside the table
        positive 1: judged Immutable, probed Stable: rewritten for its type
        filled 'x': judged Immutable, probed Stable: rewritten for its type
        small_positive 1: judged Immutable, probed Stable: rewritten for its type
        seven 8: judged Immutable, probed Immutable: kept, value beside the table
        bigint txid_current(): judged Stable, probed Stable: kept, value beside the table
        integer pg_backend_pid(): judged Stable, probed Stable: kept, value beside the table
        ");
    }
}

/// Adds a column for real, compares with what was claimed, and returns one line of all of it.
fn judged(session: &mut Session, ty: &str, text: &str) -> String {
    let (sql_type, default) = (SqlType::new(ty), Expr::new(text));
    let probe = probe_default(session, &sql_type, Some(&default)).unwrap();
    let judged = volatility::judge(&default, Backend::Postgres);
    let (rewrite, missing) = added(session, &format!("{ty} DEFAULT ({text})"));
    let (type_rewrite, _) = added(session, ty);
    let case = format!("{ty} default {text}");
    assert_eq!(probe.rewrites, rewrite, "{case}: the probe");
    assert_eq!(probe.type_rewrites, type_rewrite, "{case}: the probe of the type");
    if !type_rewrite {
        assert_eq!(add_column_rewrites(probe.volatility), rewrite, "{case}: what follows from it");
        assert!(!rewrite || add_column_rewrites(judged), "{case}: judged {judged:?} from the text");
        let claims_more = probe.volatility == Volatility::Stable && judged == Volatility::Immutable;
        assert!(!claims_more, "{case}: judged {judged:?} from the text");
    }
    let rewrite = match (type_rewrite, rewrite) {
        (true, _) => "rewritten for its type",
        (false, true) => "rewritten",
        (false, false) => "kept",
    };
    let missing = if missing { ", value beside the table" } else { "" };
    format!("{ty} {text}: judged {judged:?}, probed {:?}: {rewrite}{missing}", probe.volatility)
}

/// Adds a column in a transaction that is taken back: was the table rewritten, is there a value for
/// rows that do not hold the column?
fn added(session: &mut Session, definition: &str) -> (bool, bool) {
    let pid = session.value("SELECT pg_backend_pid()").unwrap().unwrap();
    session.batch("BEGIN; DELETE FROM users WHERE false").unwrap();
    // A domain that refuses NULL cannot be added without a default where there are rows.
    session.batch("SAVEPOINT added").unwrap();
    let file = session.value(FILE).unwrap();
    let add = format!("ALTER TABLE users ADD COLUMN probed {definition}");
    if session.batch(&add).is_err() {
        session.batch("ROLLBACK TO added; DELETE FROM users").unwrap();
        session.batch(&add).unwrap();
    }
    let rewrite = session.value(FILE).unwrap() != file;
    assert_eq!(strongest(session, &pid), Lock::AccessExclusive.name(), "{definition}");
    let missing = session
        .query_bool(
            "SELECT atthasmissing FROM pg_attribute \
             WHERE attrelid = 'users'::regclass AND attname = 'probed'",
        )
        .unwrap();
    session.batch("ROLLBACK").unwrap();
    (rewrite, missing)
}

#[test]
fn what_always_rewrites_cannot_be_wished_for() {
    for version in VERSIONS {
        let Some(db) = ScratchDb::require(Want::postgres().version(version)) else { continue };
        let mut session = open(&db);
        session.batch(TABLES).unwrap();
        for definition in [
            "bigint GENERATED BY DEFAULT AS IDENTITY",
            "bigint GENERATED ALWAYS AS IDENTITY",
            "integer GENERATED ALWAYS AS (length(name)) STORED",
        ] {
            let (rewrite, missing) = added(&mut session, definition);
            assert!(rewrite && !missing, "PostgreSQL {version}: {definition}");
            let refused = SqlType::new(definition).check(Backend::Postgres);
            assert!(refused.is_err(), "`{definition}` is taken for a type");
        }
    }
}
