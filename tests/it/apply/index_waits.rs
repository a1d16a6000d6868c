//! Whom the builds of indexes wait for, how long, and how that ends.

use std::{
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use newcol_core::{
    db::Session,
    execute::apply::{Answer, ApplyError, BlockerPolicy, Budget, Event, Outcome, Settings},
};
use newcol_testkit::{ScratchDb, wait::wait_until};

use super::{
    Told, apply, apply_and, hasty,
    index::{CREATE, indexes, left, users, users_on},
    migration,
    privileges::User,
    recorded, session, value,
};

const LONG: Duration = Duration::from_secs(30);

/// Settings that end soon.
fn brief() -> Settings {
    let budget = Budget {
        max_wait: Duration::from_secs(2),
        index_wait: Duration::from_millis(300),
        ..hasty().budget
    };
    Settings { budget, ..hasty() }
}

/// A program in the middle of its transaction.
fn writer(db: &ScratchDb) -> Session {
    let mut writer = session(db.url(), "billing");
    writer.batch("BEGIN; INSERT INTO users (name) VALUES ('Bob')").unwrap();
    writer
}

/// Reports whether somebody was named in front of whom no lock was asked for, or none given.
fn is_held_by(event: &Event, application: &str) -> bool {
    matches!(event, Event::Held { by, .. } if by.iter().any(|one| one.application == application))
}

fn assert_stopped(told: &Told) {
    assert!(matches!(told.ended, Ok(Outcome::Stopped(_))), "{:?}", told.ended);
}

/// Runs something while an administrator builds the index and waits for a program.
fn beside_a_builder<T>(db: &ScratchDb, work: impl FnOnce(&Mutex<Session>) -> T) -> T {
    let program = Mutex::new(writer(db));
    let mut builder = session(db.url(), "builder");
    thread::scope(|scope| {
        // Whatever fails here, the builder does not wait for ever.
        let program = program;
        let building = scope.spawn(move || builder.batch(CREATE));
        let begun = || indexes(db) == "users_name false";
        wait_until("build", LONG, begun).unwrap();
        let done = work(&program);
        program.lock().unwrap().batch("ROLLBACK").unwrap();
        building.join().unwrap().unwrap();
        done
    })
}

/// A role that sees nothing of others' builds, and may drop what they build.
#[test]
fn a_build_by_somebody_else_is_not_dropped() {
    for version in [13, 18] {
        let Some(db) = users_on(version, &["Ann"]) else { continue };
        let user = User::new(&db, "builds");
        let owns = format!("ALTER TABLE users OWNER TO {}", user.name);
        let creates = format!("GRANT CREATE ON SCHEMA public TO {}", user.name);
        db.run(&[&format!("CREATE ROLE {} LOGIN", user.name), &owns, &creates]).unwrap();
        let before = beside_a_builder(&db, |program| {
            let pid = "SELECT pid FROM pg_stat_activity WHERE application_name = 'builder' \
                       AND datname = current_database()";
            let builder = value(&db, pid);
            let (begun, named) = (Instant::now(), Mutex::new(Vec::new()));
            let told = apply_and(&user.url, hasty(), &[migration(1, CREATE, false)], |event| {
                if let Event::Held { by, .. } = event {
                    named.lock().unwrap().extend(by.iter().map(|one| one.id.clone()));
                }
                // By then the server has looked for a deadlock once, and each would end the builder.
                if begun.elapsed() > Duration::from_millis(1500) {
                    program.lock().unwrap().batch("COMMIT").unwrap();
                }
                Answer::Go
            });
            assert_eq!(named.into_inner().unwrap(), [builder]);
            let done = told.done();
            assert!(done[0].notes[0].contains("was there already"), "{:?}", done[0].notes);
            recorded(&db)
        });
        assert_eq!((before, indexes(&db).as_str()), (vec!["1".to_owned()], "users_name true"));
        db.run(&[&format!("DROP OWNED BY {} CASCADE", user.name)]).unwrap();
        db.run(&[&format!("DROP ROLE {}", user.name)]).unwrap();
    }
}

/// However long somebody else builds, there is an end to waiting, and it is said for whom.
#[test]
fn a_build_by_somebody_else_is_waited_for_within_limits() {
    let Some(db) = users(&["Ann"]) else { return };
    beside_a_builder(&db, |_| {
        let told = apply(db.url(), brief(), &[migration(1, CREATE, false)]);
        let Err(ApplyError::Busy { by, .. }) = told.ended else { panic!("{:?}", told.ended) };
        assert_eq!(by[0].application, "builder");

        let budget = Budget { lock_timeout: Duration::from_millis(500), ..hasty().budget };
        let show = Settings { blockers: BlockerPolicy::Show, budget, ..hasty() };
        let told = apply(db.url(), show, &[migration(1, CREATE, false)]);
        let Err(ApplyError::Blocked { by, .. }) = told.ended else { panic!("{:?}", told.ended) };
        assert_eq!(by[0].application, "builder");

        let told = apply_and(db.url(), hasty(), &[migration(1, CREATE, false)], |event| {
            if is_held_by(event, "builder") { Answer::Stop } else { Answer::Go }
        });
        assert_stopped(&told);
    });
    assert_eq!(indexes(&db), "users_name true");
}

/// Without a limit a build would wait for ever, which nobody means by none.
#[test]
fn no_time_to_wait_is_not_all_the_time() {
    let Some(db) = users(&["Ann"]) else { return };
    let mut program = writer(&db);
    let lock_timeout = Duration::from_millis(200);
    let budget = Budget { lock_timeout, index_wait: Duration::ZERO, ..brief().budget };
    let settings = Settings { budget, ..brief() };
    let told = apply(db.url(), settings, &[migration(1, CREATE, false)]);
    let Err(ApplyError::Busy { by, .. }) = told.ended else { panic!("{:?}", told.ended) };
    assert_eq!(by[0].application, "billing");
    program.batch("COMMIT").unwrap();
}

/// Whoever holds an old snapshot is shown or ended before a build begins that would wait for it.
#[test]
fn old_transactions_are_met_as_wished() {
    let Some(db) = users(&["Ann"]) else { return };
    let user = User::new(&db, "reports");
    db.run(&[&format!("CREATE ROLE {} LOGIN", user.name)]).unwrap();
    let mut old = session(&user.url, "report");
    old.batch("BEGIN ISOLATION LEVEL REPEATABLE READ").unwrap();
    drop(old.query("SELECT 1").unwrap());
    let with = |blockers| {
        let budget = Budget { old: Duration::from_millis(1), ..hasty().budget };
        apply(db.url(), Settings { blockers, budget, ..hasty() }, &[migration(1, CREATE, false)])
    };
    let told = with(BlockerPolicy::Show);
    let Err(ApplyError::Blocked { by, .. }) = told.ended else { panic!("{:?}", told.ended) };
    assert_eq!(by[0].application, "report");
    assert_eq!(indexes(&db), "");

    with(BlockerPolicy::Cancel).done();
    assert_eq!(indexes(&db), "users_name true");
    assert!(old.query("SELECT 1").is_err());
    db.run(&[&format!("DROP ROLE {}", user.name)]).unwrap();
}

/// A transaction that was young when the build began, and does not end, is met as wished too.
#[test]
fn transactions_that_grow_old_meanwhile_are_met_as_wished() {
    let Some(db) = users(&["Ann"]) else { return };
    let user = User::new(&db, "bills");
    let grant = format!("GRANT INSERT, SELECT ON users TO {}", user.name);
    let sequences = format!("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}", user.name);
    db.run(&[&format!("CREATE ROLE {} LOGIN", user.name), &grant, &sequences]).unwrap();
    let patient = Budget { old: Duration::from_millis(1500), ..hasty().budget };
    let hurried = Budget { max_wait: Duration::ZERO, ..patient };
    for (blockers, budget) in [
        (BlockerPolicy::Show, patient),
        (BlockerPolicy::Show, hurried),
        (BlockerPolicy::Cancel, patient),
    ] {
        let program = Mutex::new(session(&user.url, "billing"));
        let batch = |sql: &str| program.lock().unwrap().batch(sql).unwrap();
        batch("BEGIN; INSERT INTO users (name) VALUES ('Bob')");
        let settings = Settings { blockers, budget, ..hasty() };
        let told = apply_and(db.url(), settings, &[migration(1, CREATE, false)], |event| {
            // Who is patient drops what the build has left once the program is done.
            if (blockers, budget) == (BlockerPolicy::Show, patient)
                && matches!(event, Event::Note(text) if text.starts_with("dropping"))
            {
                batch("ROLLBACK");
            }
            Answer::Go
        });
        let begun = |event: &Event| matches!(event, Event::Building { .. } | Event::Held { .. });
        assert!(told.events.iter().any(begun), "{:?}", told.events);
        if blockers == BlockerPolicy::Show {
            let Err(ApplyError::Blocked { by, .. }) = &told.ended else {
                panic!("{:?}", told.ended)
            };
            assert_eq!(by[0].application, "billing");
            if budget == patient {
                assert_eq!((told.left(), indexes(&db).as_str()), (None, ""));
            } else {
                assert_eq!(
                    (told.left(), indexes(&db).as_str()),
                    (Some(left("and it costs nothing but its name")), "users_name false")
                );
                batch("ROLLBACK");
            }
        } else {
            told.done();
            assert_eq!(indexes(&db), "users_name true");
            assert!(program.lock().unwrap().query("SELECT 1").is_err());
        }
    }
    db.run(&[&format!("DROP OWNED BY {0}; DROP ROLE {0}", user.name)]).unwrap();
}

/// No run finds out which index such a statement left: it is tried once, and has its time for that.
#[test]
fn what_has_no_name_is_tried_once() {
    for sql in ["CREATE INDEX CONCURRENTLY ON users (name);", "REINDEX TABLE CONCURRENTLY users;"] {
        let Some(db) = users(&["Ann"]) else { continue };
        let mut program = writer(&db);
        let told = apply(db.url(), brief(), &[migration(1, sql, false)]);
        let Err(ApplyError::Failed { in_part: true, .. }) = told.ended else {
            panic!("{sql}: {:?}", told.ended)
        };
        let says = |event: &Event| matches!(event, Event::Note(text) if text.contains("not valid"));
        assert!(told.events.iter().any(says), "{:?}", told.events);
        let invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid \
                       AND indrelid = 'users'::regclass";
        assert_eq!(value(&db, invalid), "1", "{sql}");
        program.batch("COMMIT").unwrap();

        let program = Mutex::new(writer(&db));
        let (begun, settings) = (Instant::now(), hasty());
        let told = apply_and(db.url(), settings, &[migration(1, sql, false)], |_| {
            if begun.elapsed() > settings.budget.lock_timeout * 10 {
                program.lock().unwrap().batch("COMMIT").unwrap();
            }
            Answer::Go
        });
        assert_eq!(told.done()[0].tries, 1);
    }
}

#[test]
fn an_index_is_dropped_in_any_words() {
    for sql in [
        "DROP INDEX CONCURRENTLY users_name RESTRICT",
        "DROP INDEX CONCURRENTLY IF EXISTS public.users_name /* why */ RESTRICT;",
    ] {
        for version in [13, 18] {
            let Some(db) = users_on(version, &["Ann"]) else { continue };
            db.run(&[CREATE]).unwrap();
            let done = apply(db.url(), hasty(), &[migration(1, sql, false)]).done();
            assert_eq!(done[0].notes, Vec::<String>::new());
            assert_eq!(indexes(&db), "");
        }
    }
}

/// Where the server tells of no progress, a stop is heard all the same, and who is waited for is named.
#[test]
fn whatever_takes_long_can_be_stopped() {
    let valid = "ALTER TABLE users ADD CONSTRAINT adult CHECK (age > 17) NOT VALID";
    let before = |db: &ScratchDb| db.run(&[CREATE, valid]).unwrap();
    for (sql, in_transaction) in [
        ("DROP INDEX CONCURRENTLY users_name", false),
        ("CREATE INDEX CONCURRENTLY users_age ON users (age)", false),
        ("CREATE INDEX CONCURRENTLY ON users (age)", false),
        ("ALTER TABLE users VALIDATE CONSTRAINT adult", true),
        ("ALTER TABLE users VALIDATE CONSTRAINT adult", false),
    ] {
        let Some(db) = users(&["Ann"]) else { return };
        before(&db);
        let mut program = session(db.url(), "billing");
        program.batch("BEGIN; LOCK TABLE users IN SHARE UPDATE EXCLUSIVE MODE").unwrap();
        let budget = Budget { lock_timeout: LONG, ..hasty().budget };
        let settings = Settings { budget, ..hasty() };
        let told = apply_and(db.url(), settings, &[migration(1, sql, in_transaction)], |event| {
            if is_held_by(event, "billing") { Answer::Stop } else { Answer::Go }
        });
        assert_stopped(&told);
        assert!(recorded(&db).is_empty(), "{sql}");
        program.batch("COMMIT").unwrap();
    }
}
