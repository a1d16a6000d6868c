//! Whom the builds of indexes wait for, how long, and how that ends.

use std::time::Duration;

use newcol_core::execute::apply::{Answer, Budget, Event, Outcome, Settings};
use newcol_testkit::ScratchDb;

use super::{
    Told, apply_and, hasty,
    index::{CREATE, users},
    migration, recorded, session,
};

const LONG: Duration = Duration::from_secs(30);

/// Reports whether somebody was named in front of whom no lock was asked for, or none given.
fn is_held_by(event: &Event, application: &str) -> bool {
    matches!(event, Event::Held { by, .. } if by.iter().any(|one| one.application == application))
}

fn assert_stopped(told: &Told) {
    assert!(matches!(told.ended, Ok(Outcome::Stopped(_))), "{:?}", told.ended);
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
