use std::sync::{
    Once,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use newcol_core::{
    contract::read,
    db::{DatabaseUrl, OpenOptions, facts::read_table},
    execute::apply::{Answer, Apply, ApplyError, Event, Outcome, SqlMigration},
    plan::{Plan, facts::TableFacts},
    render::migrations::render,
};
use newcol_testkit::{ScratchDb, Want, schema_dump};

use super::{
    apply, apply_and, hasty, migration, recorded, session, value,
    whole::{App, schema},
};
use crate::desk::one_table;

/// The oldest and the newest supported version, and the one most machines have.
const VERSIONS: [u32; 3] = [13, 15, 18];

/// Partitions on two levels and in two schemas, one of them larger than a migration indexes itself.
const TABLES: &[&str] = &[
    "CREATE SCHEMA shop",
    "CREATE TABLE logs (id bigint, at date NOT NULL, name text NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
    "CREATE TABLE a PARTITION OF logs FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
    "CREATE TABLE b PARTITION OF logs FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (at)",
    "CREATE TABLE shop.\"New year\" PARTITION OF b FOR VALUES IN ('2026-01-01')",
    "CREATE TABLE z PARTITION OF b DEFAULT",
    "INSERT INTO logs SELECT n, '2025-05-05', repeat('x', 900) FROM generate_series(1, 10000) n",
    "INSERT INTO logs SELECT n, '2026-01-01', 'b' FROM generate_series(1, 100) n",
];

/// What a plan makes of an optional column with an index, stage by stage.
struct Logs {
    db: ScratchDb,
    migrations: Vec<SqlMigration>,
}

impl Logs {
    fn on(version: u32) -> Option<Self> {
        Self::planned(version, TABLES, |facts| facts)
    }

    fn planned(
        version: u32,
        tables: &[&str],
        known: impl FnOnce(TableFacts) -> TableFacts,
    ) -> Option<Self> {
        let db = ScratchDb::require(Want::postgres().version(version))?;
        db.run(tables).unwrap();
        let text = "format = 1\ntable = 'logs'\ncolumn = 'kind'\nwhy = 'a test'\ntype = 'text'\nrequired = false\n[index]\n";
        let contract = read::read(text).unwrap().contract;
        let facts = read_table(&mut session(db.url(), "planner"), contract.table()).unwrap();
        let plan = Plan::build(&contract, &known(facts)).unwrap();
        let folders = plan.stages.iter().flat_map(|stage| render(&plan, stage));
        let migrations = folders.zip(1..).map(|(folder, version)| SqlMigration {
            down: Some(folder.down),
            ..migration(version, &folder.up, folder.metadata.contains("true"))
        });
        Some(Self { migrations: migrations.collect(), db })
    }

    /// Applies what comes before the index.
    fn expanded(self) -> Self {
        apply(self.db.url(), hasty(), &self.migrations[..1]).done();
        self
    }

    fn index(&self) -> &SqlMigration {
        &self.migrations[1]
    }

    fn apply(&self) -> super::Told {
        apply(self.db.url(), hasty(), &self.migrations)
    }

    /// Returns the indexes on the new column, with what is wrong with them.
    fn indexes(&self) -> String {
        let sql = "SELECT i.indrelid::regclass || ' ' || c.relname \
                     || CASE WHEN i.indisvalid THEN '' ELSE ' invalid' END \
                     || CASE WHEN i.indrelid = 'logs'::regclass OR c.relispartition THEN '' ELSE ' alone' END \
                   FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
                   JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
                   WHERE a.attname = 'kind' ORDER BY c.relname COLLATE \"C\", 1";
        let rows: Vec<String> =
            self.db.rows(sql).unwrap().into_iter().flatten().flatten().collect();
        rows.join(", ")
    }
}

const WHOLE: &str = "shop.\"New year\" New year_kind_idx, a a_kind_idx, b b_kind_idx, \
                     logs logs_kind_idx, z z_kind_idx";

/// What the migration holds writers up with is no build, and what is taken back leaves nothing.
#[test]
fn partitions_are_indexed_one_by_one() {
    for version in VERSIONS {
        let Some(logs) = Logs::on(version) else { continue };
        let start = schema_dump(logs.db.url()).unwrap();
        let done = logs.apply().done();
        assert_eq!(logs.indexes(), WHOLE);
        let statements = &done[1].statements;
        let built = statements.iter().filter(|s| s.sql.starts_with("CREATE INDEX CONCURRENTLY"));
        assert_eq!(built.count(), 3, "{statements:?}");
        let locks: Vec<_> = statements.iter().flat_map(|statement| &statement.locks).collect();
        for table in ["logs", "a", "b", "shop.\"New year\"", "z"] {
            let lock = locks.iter().find(|lock| lock.table == table && lock.mode == "SHARE");
            assert!(lock.is_some_and(|lock| lock.scans == 0), "{version}: {table}: {locks:?}");
        }
        assert!(
            locks.iter().all(|lock| ["SHARE", "ROW EXCLUSIVE"].contains(&lock.mode)),
            "{locks:?}"
        );
        assert!(done[1].held.is_some());

        let url = DatabaseUrl::parse(logs.db.url()).unwrap();
        let mut back = logs.migrations.clone();
        back.reverse();
        let apply = Apply::new(&url, OpenOptions::write()).settings(hasty());
        apply.revert(&back, &|_| Answer::Go).unwrap();
        let there_and_back = schema_dump(logs.db.url()).unwrap();
        let ours = |line: &&str| !line.contains("__diesel_schema_migrations");
        let there_and_back: Vec<_> = there_and_back.lines().filter(ours).collect();
        assert_eq!(there_and_back, start.lines().collect::<Vec<_>>());
    }
}

/// Diesel alone must not hold writers up for as long as a partition is large.
#[test]
fn without_apply_a_large_partition_is_an_error() {
    for version in VERSIONS {
        let Some(logs) = Logs::on(version).map(Logs::expanded) else { continue };
        let mut diesel = session(logs.db.url(), "diesel");
        let up = format!("BEGIN; {}; COMMIT", logs.index().up);
        let error = diesel.batch(&up).unwrap_err();
        diesel.batch("ROLLBACK").unwrap();
        let said = error.failure().unwrap();
        assert_eq!(
            said.message,
            "newcol logs.kind: partitions of more than 8 MB have no index on it yet"
        );
        let hint = said.hint.clone().unwrap_or_default();
        let by_hand = hint
            .strip_prefix("run `cargo newcol apply logs.kind`, or build them first: ")
            .unwrap_or_else(|| panic!("{hint}"));
        assert_eq!(by_hand.split("; ").count(), 3, "{hint}");
        assert_eq!(logs.indexes(), "");
        for statement in by_hand.split("; ") {
            diesel.batch(statement).unwrap();
        }
        diesel.batch(&up).unwrap();
        assert_eq!(logs.indexes(), WHOLE);
    }
}

/// Whoever writes meanwhile notices nothing.
#[test]
fn programs_write_while_partitions_are_indexed() {
    let Some(logs) = Logs::on(18).map(Logs::expanded) else { return };
    let over = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writes = scope.spawn(|| {
            let mut program = session(logs.db.url(), "program");
            let mut written = 0;
            while !over.load(Ordering::Relaxed) {
                let day = if written % 2 == 0 { "2025-06-06" } else { "2026-01-01" };
                let sql = format!("INSERT INTO logs VALUES ({}, '{day}', 'w')", 100_000 + written);
                program.batch(&sql).unwrap();
                written += 1;
            }
            written
        });
        let told = logs.apply();
        over.store(true, Ordering::Relaxed);
        told.done();
        writes.join().unwrap()
    });
    assert_eq!(logs.indexes(), WHOLE);
    assert_eq!(value(&logs.db, "SELECT count(*) FROM logs WHERE name = 'w'"), written.to_string());
}

/// A run that dies, whenever, is continued by the next one, and no valid index is built twice.
#[test]
fn a_run_that_dies_is_continued() {
    for version in VERSIONS {
        for end in 0.. {
            let Some(logs) = Logs::on(version).map(Logs::expanded) else { break };
            let told = AtomicU32::new(0);
            let at = |event: &Event| {
                let counts = !matches!(event, Event::Building { .. } | Event::Waiting);
                if counts && told.fetch_add(1, Ordering::Relaxed) == end {
                    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
                    drop(session(logs.db.url(), "killer").query(others).unwrap());
                }
                Answer::Go
            };
            let dies = apply_and(logs.db.url(), hasty(), &logs.migrations, at);
            let has_died = dies.ended.is_err();
            let valid = |db: &ScratchDb| {
                let sql = "SELECT coalesce(string_agg(indexrelid::text, ' ' ORDER BY indexrelid), '') FROM pg_index WHERE indisvalid";
                value(db, sql)
            };
            let before = valid(&logs.db);
            if has_died {
                logs.apply().done();
            }
            let after = valid(&logs.db);
            assert!(
                before.split(' ').all(|oid| after.split(' ').any(|o| o == oid)),
                "{before}: {after}"
            );
            assert_eq!(logs.indexes(), WHOLE, "{version}, event {end}");
            assert_eq!(recorded(&logs.db), ["1", "2"]);
            if told.load(Ordering::Relaxed) <= end {
                assert!(end > 3, "only {end} events");
                break;
            }
        }
    }
}

/// A build in the middle is broken off and leaves an invalid index, which the next run removes.
#[test]
fn a_leftover_on_a_partition_is_built_again() {
    for version in VERSIONS {
        let Some(logs) = Logs::on(version).map(Logs::expanded) else { continue };
        let old = std::sync::Mutex::new(session(logs.db.url(), "report"));
        let told = apply_and(logs.db.url(), hasty(), &logs.migrations, |event| match event {
            Event::Note(text) if text.starts_with("partition 2 of 3") => {
                let mut old = old.lock().unwrap();
                old.batch("BEGIN ISOLATION LEVEL REPEATABLE READ").unwrap();
                drop(old.query("SELECT count(*) FROM logs").unwrap());
                Answer::Go
            }
            // A vacuum may be waited for, too.
            Event::Building { waits_for: Some(who), .. } if who.application == "report" => {
                Answer::Stop
            }
            _ => Answer::Go,
        });
        assert!(matches!(told.ended, Ok(Outcome::Stopped(_))), "{:?}", told.ended);
        assert_eq!(logs.indexes(), "a a_kind_idx alone, z z_kind_idx invalid alone");
        assert_eq!(recorded(&logs.db), ["1"]);
        old.lock().unwrap().batch("COMMIT").unwrap();

        let done = logs.apply().done();
        assert_eq!(logs.indexes(), WHOLE);
        let notes = done[0].notes.join("\n");
        assert!(notes.contains("`z_kind_idx` was left invalid"), "{notes}");
        assert!(notes.contains("1 of 3 partitions had the index already"), "{notes}");
    }
}

/// The same index under another name is used, and a name that is taken is left to whoever has it.
#[test]
fn what_is_there_is_used() {
    for version in VERSIONS {
        let Some(logs) = Logs::on(version).map(Logs::expanded) else { continue };
        let by_hand = [
            "CREATE INDEX mine ON a USING btree (\"kind\")",
            "CREATE INDEX z_kind_idx ON z (kind) WHERE kind IS NULL",
            "CREATE TABLE shop.\"New year_kind_idx\" ()",
            "CREATE INDEX \"New year_kind_idx1\" ON shop.\"New year\" USING hash (kind)",
        ];
        logs.db.run(&by_hand).unwrap();
        logs.apply().done();
        assert_eq!(
            logs.indexes(),
            "shop.\"New year\" New year_kind_idx1 alone, shop.\"New year\" New year_kind_idx2, \
             b b_kind_idx, logs logs_kind_idx, a mine, z z_kind_idx alone, z z_kind_idx1"
        );
    }
}

/// The server would take a broken index in, and make the whole of it invalid.
#[test]
fn a_broken_index_of_somebody_else_is_named() {
    for version in VERSIONS {
        let Some(logs) = Logs::on(version).map(Logs::expanded) else { continue };
        logs.db
            .run(&[
                "CREATE INDEX other ON z (kind)",
                "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'other'::regclass",
            ])
            .unwrap();
        let told = logs.apply();
        let Err(ApplyError::Failed { source, .. }) = &told.ended else {
            panic!("{:?}", told.ended)
        };
        assert_eq!(source.hint().as_deref(), Some("DROP INDEX CONCURRENTLY other"));
        assert_eq!(recorded(&logs.db), ["1"]);
        assert!(!logs.indexes().contains("logs_kind_idx"), "{}", logs.indexes());
        logs.db.run(&["DROP INDEX CONCURRENTLY other"]).unwrap();
        logs.apply().done();
        assert_eq!(logs.indexes(), WHOLE);
    }
}

#[test]
fn partitions_come_and_go_meanwhile() {
    for version in VERSIONS {
        let Some(logs) = Logs::on(version).map(Logs::expanded) else { continue };
        let once = Once::new();
        let told = apply_and(logs.db.url(), hasty(), &logs.migrations, |event| {
            if matches!(event, Event::Note(text) if text.starts_with("partition 2 of 3: \"public\".\"z\""))
            {
                once.call_once(|| {
                    logs.db
                        .run(&[
                            "ALTER TABLE b DETACH PARTITION z",
                            "DROP TABLE z",
                            "CREATE TABLE c PARTITION OF logs FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')",
                        ])
                        .unwrap();
                });
            }
            Answer::Go
        });
        let done = told.done();
        assert!(once.is_completed());
        assert!(done[0].notes[0].contains("\"z\" is no partition any more"), "{:?}", done[0].notes);
        let sql = "CREATE INDEX CONCURRENTLY \"c_kind_idx\"";
        assert!(
            done[0].statements.iter().any(|s| s.sql.starts_with(sql)),
            "{:?}",
            done[0].statements
        );
        // Whatever comes later has it by itself.
        logs.db.run(&["CREATE TABLE z PARTITION OF b DEFAULT"]).unwrap();
        assert_eq!(
            logs.indexes(),
            "shop.\"New year\" New year_kind_idx, a a_kind_idx, b b_kind_idx, c c_kind_idx, \
             logs logs_kind_idx, z z_kind_idx"
        );
    }
}

#[test]
fn an_index_of_the_whole_table_is_used_and_not_replaced() {
    let Some(logs) = Logs::on(18).map(Logs::expanded) else { return };
    logs.db.run(&["CREATE INDEX logs_kind_idx ON ONLY logs (kind)"]).unwrap();
    let told = logs.apply();
    assert!(matches!(told.ended, Err(ApplyError::OtherIndex { .. })), "{:?}", told.ended);
    assert_eq!(logs.indexes(), "logs logs_kind_idx invalid");

    logs.db.run(&["DROP INDEX logs_kind_idx", "CREATE INDEX by_hand ON logs (kind)"]).unwrap();
    let before = logs.indexes();
    let done = logs.apply().done();
    assert!(done[0].notes[0].contains("`by_hand` is the same"), "{:?}", done[0].notes);
    assert_eq!(logs.indexes(), before);
    assert_eq!(recorded(&logs.db), ["1", "2"]);
}

/// Foreign partitions have no indexes here; a table with such has no key either.
#[test]
fn a_foreign_partition_needs_no_index() {
    for version in VERSIONS {
        let tables = [
            "CREATE TABLE logs (id bigint, at date NOT NULL) PARTITION BY RANGE (at)",
            "CREATE TABLE a PARTITION OF logs FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
            "CREATE FOREIGN DATA WRAPPER elsewhere",
            "CREATE SERVER archive FOREIGN DATA WRAPPER elsewhere",
            "CREATE FOREIGN TABLE f PARTITION OF logs FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') SERVER archive",
        ];
        let Some(logs) = Logs::planned(version, &tables, |facts| facts) else { continue };
        logs.apply().done();
        assert_eq!(logs.indexes(), "a a_kind_idx, logs logs_kind_idx");
    }
}

/// A plan that was made without a database does not know that a table is partitioned.
#[test]
fn a_plan_that_knows_no_partitions_is_refused_in_words() {
    let unknown = |facts: TableFacts| TableFacts { partitioned: false, ..facts };
    let Some(logs) = Logs::planned(18, TABLES, unknown).map(Logs::expanded) else { return };
    let told = logs.apply();
    let Err(error @ ApplyError::Partitioned { .. }) = &told.ended else {
        panic!("{:?}", told.ended)
    };
    insta::assert_snapshot!(format!("{error}\n{}", error.hint().unwrap_or_default()), @r#"
    index `logs_kind_idx` cannot be built concurrently on "logs", which is partitioned
    take the stage back with `cargo newcol undo`, and release it with `cargo newcol next --database-url <URL>`, which sees the partitions
    "#);
    assert_eq!(recorded(&logs.db), ["1"]);
}

/// From the wish to the last stage and back, by the commands alone.
#[test]
fn the_whole_life_there_and_back() {
    const CREATE: &str =
        "CREATE TABLE t (id integer PRIMARY KEY, name text) PARTITION BY RANGE (id);
        CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (10000);
        CREATE TABLE high PARTITION OF t FOR VALUES FROM (10000) TO (20000);";
    const CONTRACT: &str = "format = 1\ntable = 't'\ncolumn = 'c'\nwhy = 'x'\ntype = 'text'\n\
        required = true\n[old_rows]\nfill = 'upper(name)'\n[index]\nwhere = \"c <> ''\"\n";
    for version in VERSIONS {
        let want = Want::postgres().version(version);
        let Some(db) = ScratchDb::require(want) else { continue };
        let app = App { project: one_table("postgres", CREATE, CONTRACT), db };
        drop(app.apply(&["--all"]).success());
        let rows = "INSERT INTO t SELECT n, repeat('x', 1900) FROM generate_series(7500, 12500) n";
        app.db.run(&[rows]).unwrap();
        let start = schema(&app.db);
        drop(app.run(&["next", "t.c"]).success());
        drop(app.apply(&["t.c"]).success());
        drop(app.run(&["backfill", "t.c", "--yes"]).success());
        while app.run(&["next", "t.c", "--confirm-release", "a test"]).code() == Some(0) {
            drop(app.apply(&["t.c"]).success());
        }
        let sql = "SELECT string_agg(relid || ' ' || indisvalid, ', ' ORDER BY relid::text) \
                   FROM pg_partition_tree('t_c_idx') JOIN pg_index ON indexrelid = relid";
        assert_eq!(value(&app.db, sql), "high_c_idx true, low_c_idx true, t_c_idx true");

        let undo = ["undo", "t.c", "--live", "--yes", "--accept-loss"];
        while app.run(&undo).code() == Some(0) {}
        assert_eq!(schema(&app.db), start, "PostgreSQL {version}");
    }
}
