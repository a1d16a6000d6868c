//! A migration that locks several tables: programs wait for all of them together no longer than for one.

use std::{
    thread,
    time::{Duration, Instant},
};

use newcol_testkit::{ScratchDb, Want, wait::wait_until};

use super::{Answer, Budget, Event, Settings, apply_and, hasty, migration, session, value};

/// How long anybody may wait.
const LIMIT: Duration = Duration::from_secs(2);

/// A table with another one in its wake.
struct Case {
    name: &'static str,
    tables: &'static [&'static str],
    up: &'static str,
    /// Hold the one and the other table.
    holds: [&'static str; 2],
    /// Is held up from the first lock to the last.
    program: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "foreign key",
        tables: &[
            "CREATE TABLE teams (id integer PRIMARY KEY)",
            "CREATE TABLE users (id integer PRIMARY KEY, team integer)",
        ],
        up: "ALTER TABLE users ADD CONSTRAINT k FOREIGN KEY (team) REFERENCES teams (id) NOT VALID",
        holds: ["INSERT INTO users VALUES (1, NULL)", "INSERT INTO teams VALUES (1)"],
        program: "INSERT INTO users VALUES (2, NULL)",
    },
    Case {
        name: "partitions",
        tables: &[
            "CREATE TABLE users (id integer, name text) PARTITION BY RANGE (id)",
            "CREATE TABLE low PARTITION OF users FOR VALUES FROM (0) TO (10)",
            "CREATE TABLE high PARTITION OF users FOR VALUES FROM (10) TO (20)",
        ],
        up: "ALTER TABLE users ADD COLUMN team integer",
        holds: ["INSERT INTO low VALUES (1)", "INSERT INTO high VALUES (11)"],
        program: "SELECT count(*) FROM users",
    },
];

fn ours(up: &str) -> String {
    format!("-- cargo newcol: users.team, stage expand\nSET LOCAL lock_timeout = '500ms';\n{up};")
}

fn waiting(db: &ScratchDb, sessions: usize) {
    let sql = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND database = \
               (SELECT oid FROM pg_database WHERE datname = current_database())";
    wait_until("waiting sessions", Duration::from_secs(20), || {
        value(db, sql) == sessions.to_string()
    })
    .unwrap();
}

/// Each case is mostly waiting, so they stand side by side.
#[test]
fn all_locks_share_one_limit() {
    thread::scope(|scope| {
        for version in [13, 18] {
            for case in CASES {
                scope.spawn(move || locks_share_one_limit(version, case));
            }
        }
    });
}

fn locks_share_one_limit(version: u32, case: &Case) {
    let Some(db) = ScratchDb::require(Want::postgres().version(version)) else { return };
    db.run(case.tables).unwrap();
    let budget = Budget { lock_timeout: LIMIT, ..hasty().budget };
    let settings = Settings { budget, ..hasty() };
    let (mut one, mut other) = (session(db.url(), "one"), session(db.url(), "other"));
    one.batch(&format!("BEGIN; {}", case.holds[0])).unwrap();
    let waited = thread::scope(|scope| {
        let url = db.url();
        let migrations = [migration(1, &ours(case.up), true)];
        let run = scope.spawn(move || {
            apply_and(url, settings, &migrations, |event| match event {
                Event::Retry { .. } => Answer::Stop,
                _ => Answer::Go,
            })
        });
        waiting(&db, 1);
        let asked = Instant::now();
        let program = scope.spawn(move || {
            session(url, "web").query(case.program).unwrap();
            asked.elapsed()
        });
        waiting(&db, 2);
        drop(wait_until(
            "most of the limit",
            LIMIT.mul_f64(0.7).saturating_sub(asked.elapsed()),
            || false,
        ));
        other.batch(&format!("BEGIN; {}", case.holds[1])).unwrap();
        one.batch("COMMIT").unwrap();
        let waited = program.join().unwrap();
        other.batch("COMMIT").unwrap();
        drop(run.join().unwrap());
        waited
    });
    let limit = LIMIT.mul_f64(1.3);
    assert!(waited < limit, "{} on PostgreSQL {version}: {waited:?}", case.name);
}

/// No lock is asked for while a long transaction holds one of the tables.
#[test]
fn nobody_queues_behind_a_long_transaction_on_another_table() {
    for case in CASES {
        let Some(db) = ScratchDb::require(Want::postgres()) else { continue };
        db.run(case.tables).unwrap();
        let mut long = session(db.url(), "billing");
        long.batch(&format!("BEGIN; {}", case.holds[1])).unwrap();
        wait_until("a long transaction", Duration::from_secs(10), || {
            value(&db, "SELECT max(now() - xact_start) > '1.1 s' FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'") == "t"
        })
        .unwrap();
        let long = std::sync::Mutex::new(long);
        let migrations = [migration(1, &ours(case.up), true)];
        let told = apply_and(db.url(), hasty(), &migrations, |event| {
            if let Event::Held { by, .. } = event {
                assert_eq!(by[0].application, "billing");
                long.lock().unwrap().batch("COMMIT").unwrap();
            }
            Answer::Go
        });
        assert_eq!(told.done()[0].tries, 1, "{}", case.name);
        let is_held = |event: &Event| matches!(event, Event::Held { .. });
        assert!(told.events.iter().any(is_held), "{}", case.name);
    }
}
