use std::{
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use newcol_core::{
    backend::Product,
    db::{DatabaseUrl, OpenOptions, Session},
    execute::apply::{Answer, ApplyError, BlockerPolicy, Budget, Event, Outcome, Settings},
};
use newcol_testkit::{ScratchDb, Want, wait::wait_until};

use super::{apply, apply_and, hasty, migration, recorded, session, value};

const ADD: &str = "ALTER TABLE users ADD COLUMN locale varchar(16) NULL";

/// The same as a stage of ours, whose table is known beforehand.
const OURS: &str = "-- cargo newcol: users.locale, stage expand\n\
                    SET LOCAL lock_timeout = '500ms';\n\
                    ALTER TABLE users ADD COLUMN locale varchar(16) NULL;";

fn users(want: Want) -> Option<ScratchDb> {
    let db = ScratchDb::require(want)?;
    db.run(&["CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(80))"]).unwrap();
    db.run(&["INSERT INTO users VALUES (1, 'Ann')"]).unwrap();
    Some(db)
}

/// A program that has read the table and not ended its transaction.
fn idle(url: &str) -> Session {
    let mut idle = session(url, "billing");
    idle.batch("BEGIN").unwrap();
    drop(idle.query("SELECT * FROM users").unwrap());
    idle
}

fn waits_and_names(want: Want) {
    let Some(db) = users(want) else { return };
    let (ended, end) = mpsc::channel::<()>();
    let (held, hold) = mpsc::channel();
    thread::scope(|scope| {
        let url = db.url();
        scope.spawn(move || {
            let mut idle = idle(url);
            held.send(()).unwrap();
            end.recv().unwrap();
            idle.batch("COMMIT").unwrap();
        });
        hold.recv().unwrap();
        let once = std::sync::Once::new();
        let told = apply_and(db.url(), hasty(), &[migration(1, ADD, true)], |event| {
            if let Event::Retry { tries: 2, .. } = event {
                once.call_once(|| ended.send(()).unwrap());
            }
            Answer::Go
        });
        let done = told.done();
        assert!(done[0].tries > 2, "{done:?}");
        let by = &done[0].blockers;
        assert_eq!(by.len(), 1, "{by:?}");
        assert_eq!(by[0].state, "idle in transaction");
    });
    assert_eq!(recorded(&db), ["1"]);
}

#[test]
fn whoever_stands_in_the_way_is_waited_for_and_named_on_postgres() {
    waits_and_names(Want::postgres());
}

#[test]
fn whoever_stands_in_the_way_is_waited_for_and_named_on_mysql() {
    waits_and_names(Want::mysql());
}

/// A lock that is asked for holds up all that come later: so it is not, while a long transaction
/// holds the table.
#[test]
fn nobody_queues_behind_a_long_transaction() {
    let Some(db) = users(Want::postgres()) else { return };
    let idle = idle(db.url());
    is_not_queued_behind(&db, idle);
}

/// A change of a partitioned table locks its partitions, too.
#[test]
fn nobody_queues_behind_a_long_transaction_on_a_partition() {
    let Some(db) = ScratchDb::require(Want::postgres()) else { return };
    db.run(&[
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(80)) PARTITION BY RANGE (id)",
        "CREATE TABLE few PARTITION OF users FOR VALUES FROM (0) TO (9) PARTITION BY RANGE (id)",
        "CREATE TABLE fewer PARTITION OF few FOR VALUES FROM (0) TO (3)",
    ])
    .unwrap();
    let mut idle = session(db.url(), "billing");
    idle.batch("BEGIN; INSERT INTO fewer VALUES (1, 'Ann')").unwrap();
    is_not_queued_behind(&db, idle);
}

fn is_not_queued_behind(db: &ScratchDb, mut idle: Session) {
    wait_until("a long transaction", Duration::from_secs(10), || {
        value(db, "SELECT max(now() - xact_start) > '1.1 s' FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'") == "t"
    })
    .unwrap();
    let told = thread::scope(|scope| {
        let (held, hold) = mpsc::channel();
        let run = scope.spawn(|| {
            apply_and(db.url(), hasty(), &[migration(1, OURS, true)], move |event| {
                if let Event::Held { by, .. } = event {
                    held.send(by.clone()).unwrap();
                }
                Answer::Go
            })
        });
        let by = hold.recv().unwrap();
        assert_eq!(by[0].application, "billing");
        assert_eq!(
            value(db, "SELECT count(*) FROM pg_locks WHERE relation IS NOT NULL AND NOT granted"),
            "0"
        );
        idle.batch("COMMIT").unwrap();
        run.join().unwrap()
    });
    assert_eq!(told.done()[0].tries, 1);
    assert!(!told.events.iter().any(|event| matches!(event, Event::Retry { .. })));
}

#[test]
fn it_leaves_when_it_is_to_show_or_its_time_is_over() {
    let Some(db) = users(Want::postgres()) else { return };
    let idle = idle(db.url());
    let show = Settings { blockers: BlockerPolicy::Show, ..hasty() };
    let told = apply(db.url(), show, &[migration(1, ADD, true)]);
    let Err(ApplyError::Blocked { by, .. }) = told.ended else { panic!("{:?}", told.ended) };
    assert_eq!(by[0].application, "billing");

    let budget = Budget { max_wait: Duration::ZERO, ..hasty().budget };
    let told = apply(db.url(), Settings { budget, ..hasty() }, &[migration(1, ADD, true)]);
    let Err(ApplyError::Busy { by, tries, .. }) = told.ended else { panic!("{:?}", told.ended) };
    assert_eq!((by[0].application.as_str(), tries), ("billing", 1));
    drop(idle);
    assert!(recorded(&db).is_empty());
}

/// Only programs of plain users are ended, and only on demand.
#[test]
fn blockers_are_cancelled_on_demand() {
    let Some(db) = users(Want::postgres()) else { return };
    // Roles are the server's, which other tests share.
    let role = format!(
        "plain_{}",
        value(&db, "SELECT oid FROM pg_database WHERE datname = current_database()")
    );
    db.run(&[&format!("CREATE ROLE {role} LOGIN"), &format!("GRANT SELECT ON users TO {role}")])
        .unwrap();
    let cancel = Settings { blockers: BlockerPolicy::Cancel, ..hasty() };

    let mut superuser = idle(db.url());
    let told = apply_and(db.url(), cancel, &[migration(1, ADD, true)], |event| match event {
        Event::Retry { tries: 3.., .. } => Answer::Stop,
        _ => Answer::Go,
    });
    assert!(matches!(told.ended, Ok(Outcome::Stopped(_))), "{:?}", told.ended);
    superuser.batch("COMMIT").unwrap();

    let mut plain = idle(&db.url().replacen("newcol@", &format!("{role}@"), 1));
    let told = apply(db.url(), cancel, &[migration(1, ADD, true)]);
    told.done();
    let cancelled = told.events.iter().any(|event| matches!(event, Event::Cancelled { .. }));
    assert!(cancelled, "{:?}", told.events);
    assert!(plain.query("SELECT 1").is_err());
    db.run(&[&format!("DROP OWNED BY {role}"), &format!("DROP ROLE {role}")]).unwrap();
}

/// Where DDL waits for a table, a transaction that has read it is broken off once it writes. So what
/// takes a moment does not wait at all.
#[test]
fn who_reads_and_then_writes_is_not_broken_off() {
    let Some(db) = users(Want::mysql().product(Product::Mariadb)) else { return };
    let up = "-- cargo newcol: users.locale, stage expand\n\
              SET SESSION lock_wait_timeout = 1;\n\
              -- The column.\n\
              ALTER TABLE users ADD COLUMN locale varchar(16), ALGORITHM=INSTANT;";
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let programs: Vec<_> = (1..=2)
            .map(|id| {
                let (db, stop) = (&db, &stop);
                scope.spawn(move || {
                    let mut web = session(db.url(), "web");
                    web.batch(&format!("INSERT INTO users VALUES (1{id}, 'Bob')")).unwrap();
                    let over = || stop.load(Ordering::SeqCst);
                    while !over() {
                        web.batch("BEGIN").unwrap();
                        drop(web.query("SELECT name FROM users WHERE id = 1").unwrap());
                        drop(wait_until("end", Duration::from_millis(20), over));
                        let write = format!("UPDATE users SET name = 'Cid' WHERE id = 1{id}");
                        web.batch(&write).unwrap();
                        web.batch("COMMIT").unwrap();
                        drop(wait_until("end", Duration::from_millis(40), over));
                    }
                })
            })
            .collect();
        let told = apply(db.url(), hasty(), &[migration(1, up, true)]);
        stop.store(true, Ordering::SeqCst);
        programs.into_iter().for_each(|program| program.join().unwrap());
        told.done();
    });
    assert_eq!(recorded(&db), ["1"]);
}

/// What fails for good is not tried again, and leaves nothing.
#[test]
fn a_failed_statement_is_an_error() {
    for want in [Want::postgres(), Want::sqlite()] {
        let Some(db) = users(want) else { continue };
        let up = format!("{ADD}; ALTER TABLE nowhere ADD COLUMN a integer");
        let told = apply(db.url(), hasty(), &[migration(1, &up, true)]);
        let Err(ApplyError::Failed { in_part, .. }) = told.ended else {
            panic!("{:?}", told.ended)
        };
        assert!(!in_part);
        assert!(recorded(&db).is_empty());
        assert!(db.run(&["SELECT locale FROM users"]).is_err());
    }
}

/// What each statement did to others is reported.
#[test]
fn the_report_is_what_happened() {
    let Some(db) = users(Want::postgres()) else { return };
    let up = "ALTER TABLE users ADD COLUMN a integer; COMMENT ON COLUMN users.a IS ';'; \
              ALTER TABLE users ADD COLUMN b uuid DEFAULT gen_random_uuid(); \
              CREATE TABLE other (id integer PRIMARY KEY)";
    let done = apply(db.url(), hasty(), &[migration(1, up, true)]).done();
    let said: Vec<String> = done[0]
        .statements
        .iter()
        .map(|statement| {
            let locks = statement
                .locks
                .iter()
                .filter(|lock| lock.table == "users")
                .map(|lock| format!(" {} rewritten {}", lock.mode, lock.rewritten));
            format!("{}:{}", statement.sql, locks.collect::<String>())
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    ALTER TABLE users ADD COLUMN a integer: ACCESS EXCLUSIVE rewritten false
    COMMENT ON COLUMN users.a IS ';':
    ALTER TABLE users ADD COLUMN b uuid DEFAULT gen_random_uuid(): ACCESS EXCLUSIVE rewritten true
    CREATE TABLE other (id integer PRIMARY KEY):
    ");
    assert!(done[0].held.is_some());
}

/// The counts of a session run on from one transaction to the next; those of a report do not.
#[test]
fn a_scan_is_reported_once() {
    let Some(db) = users(Want::postgres()) else { return };
    let migrations = [
        migration(1, "ALTER TABLE users ADD CONSTRAINT c CHECK (id > 0) NOT VALID", true),
        migration(2, "ALTER TABLE users VALIDATE CONSTRAINT c", true),
        migration(3, "ALTER TABLE users DROP CONSTRAINT c", true),
    ];
    let done = apply(db.url(), hasty(), &migrations).done();
    let scans: Vec<u64> = done.iter().map(|one| one.statements[0].locks[0].scans).collect();
    assert_eq!(scans, [0, 1, 0]);
}

/// Whoever only asks does not stand still with those that migrations hold up.
#[test]
fn a_session_that_reads_waits_for_no_lock_for_long() {
    let Some(db) = users(Want::postgres()) else { return };
    let url = DatabaseUrl::parse(db.url()).unwrap();
    for open in [Session::open, Session::open_direct] {
        let mut reading = open(&url, &OpenOptions::read()).unwrap();
        assert_eq!(reading.value("SHOW lock_timeout").unwrap().as_deref(), Some("10s"));
    }
}

/// What a file says of the time to wait is for other runners, wherever it stands in it.
#[test]
fn the_time_to_wait_is_the_run_s_own() {
    let many = "COMMENT ON TABLE users IS 'old'; ".repeat(20);
    let postgres = format!(
        "-- cargo newcol: users.locale, stage expand\n{many}SET LOCAL lock_timeout = '500ms' ;\n\
         CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS time"
    );
    let mysql = "-- cargo newcol: users.locale, stage expand\nDELETE FROM users WHERE id > 1;\n\
                 SET SESSION lock_wait_timeout = 1;\n\
                 CREATE TABLE seen AS SELECT @@SESSION.lock_wait_timeout AS time";
    let budget = Budget { lock_timeout: Duration::from_secs(3), ..hasty().budget };
    let settings = Settings { budget, ..hasty() };
    for (want, up, is_whole) in
        [(Want::postgres(), postgres.as_str(), true), (Want::mysql(), mysql, false)]
    {
        let Some(db) = users(want) else { continue };
        apply(db.url(), settings, &[migration(1, up, is_whole)]).done();
        assert_eq!(value(&db, "SELECT time FROM seen").trim_end_matches('s'), "3");
    }
}
