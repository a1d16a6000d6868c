use newcol_core::execute::apply::{Answer, ApplyError, Event, Outcome};
use newcol_testkit::{ScratchDb, Want};

use super::{apply, apply_and, hasty, migration, recorded, session, value};

const CREATE: &str = "CREATE UNIQUE INDEX CONCURRENTLY users_name ON users (lower(name));";

fn users(names: &[&str]) -> Option<ScratchDb> {
    let db = ScratchDb::require(Want::postgres())?;
    db.run(&["CREATE TABLE users (id serial PRIMARY KEY, name text, age integer)"]).unwrap();
    for name in names {
        db.run(&[&format!("INSERT INTO users (name) VALUES ('{name}')")]).unwrap();
    }
    Some(db)
}

/// Returns every index but the key, with whether it is valid.
fn indexes(db: &ScratchDb) -> String {
    let sql = "SELECT c.relname || ' ' || i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
               WHERE i.indrelid = 'users'::regclass AND NOT i.indisprimary ORDER BY 1";
    let rows: Vec<String> = db.rows(sql).unwrap().into_iter().flatten().flatten().collect();
    rows.join(", ")
}

#[test]
fn a_leftover_is_dropped_and_built_again() {
    let Some(db) = users(&["Ann", "ann"]) else { return };
    assert!(db.run(&[CREATE]).is_err());
    assert_eq!(indexes(&db), "users_name false");
    db.run(&["DELETE FROM users WHERE name = 'ann'"]).unwrap();

    let done = apply(db.url(), hasty(), &[migration(1, CREATE, false)]).done();
    assert_eq!(indexes(&db), "users_name true");
    assert!(done[0].notes[0].contains("left invalid"), "{:?}", done[0].notes);
    assert_eq!(recorded(&db), ["1"]);
}

#[test]
fn a_build_that_fails_leaves_nothing() {
    let Some(db) = users(&["Ann", "ann"]) else { return };
    let told = apply(db.url(), hasty(), &[migration(1, CREATE, false)]);
    let Err(ApplyError::Failed { source, .. }) = told.ended else { panic!("{:?}", told.ended) };
    assert_eq!(source.sqlstate(), Some("23505"));
    assert_eq!(indexes(&db), "");
    assert!(recorded(&db).is_empty());
}

/// What Diesel could not write down is not built again, and no valid index is ever dropped.
#[test]
fn a_valid_index_is_used() {
    let Some(db) = users(&["Ann"]) else { return };
    db.run(&[CREATE]).unwrap();
    let oid = "SELECT 'users_name'::regclass::oid";
    let before = value(&db, oid);
    let done = apply(db.url(), hasty(), &[migration(1, CREATE, false)]).done();
    assert_eq!(value(&db, oid), before);
    assert!(done[0].notes[0].contains("was there already"), "{:?}", done[0].notes);

    let twin = "CREATE UNIQUE INDEX CONCURRENTLY other_name ON users USING btree (LOWER( name ));";
    let done = apply(db.url(), hasty(), &[migration(2, twin, false)]).done();
    assert!(done[0].notes[0].contains("`users_name` is the same"), "{:?}", done[0].notes);
    assert_eq!(indexes(&db), "users_name true");
    assert_eq!(recorded(&db), ["1", "2"]);

    let another = "CREATE INDEX CONCURRENTLY users_name ON users (age) WHERE age > 3";
    let told = apply(db.url(), hasty(), &[migration(3, another, false)]);
    assert!(matches!(told.ended, Err(ApplyError::OtherIndex { .. })), "{:?}", told.ended);
    assert_eq!(indexes(&db), "users_name true");
}

/// Whoever stops a build does not wait for others: what is left of it, the next run removes.
#[test]
fn a_build_can_be_stopped() {
    let Some(db) = users(&["Ann"]) else { return };
    let mut old = session(db.url(), "report");
    old.batch("BEGIN ISOLATION LEVEL REPEATABLE READ").unwrap();
    drop(old.query("SELECT * FROM users").unwrap());
    let told = apply_and(db.url(), hasty(), &[migration(1, CREATE, false)], |event| match event {
        Event::Building { waits_for: Some(who), .. } => {
            assert_eq!(who.application, "report");
            Answer::Stop
        }
        _ => Answer::Go,
    });
    assert!(matches!(told.ended, Ok(Outcome::Stopped(_))), "{:?}", told.ended);
    assert_eq!(indexes(&db), "users_name false");
    let left = |event: &Event| matches!(event, Event::Note(text) if text.contains("left invalid"));
    assert!(told.events.iter().any(left), "{:?}", told.events);
    old.batch("COMMIT").unwrap();
    assert!(recorded(&db).is_empty());

    apply(db.url(), hasty(), &[migration(1, CREATE, false)]).done();
    assert_eq!(indexes(&db), "users_name true");
}
