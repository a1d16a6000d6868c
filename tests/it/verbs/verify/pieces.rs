//! Many rows, gone through in small pieces.

use std::sync::Mutex;

use insta::assert_snapshot;
use newcol_core::{
    backend::Backend,
    contract::{Contract, read},
    db::{DatabaseUrl, OpenOptions, Session},
    execute::{
        backfill::{Answer, Backfill, BackfillError, Event, Repair, Settings, Verification},
        pace,
    },
};
use newcol_testkit::{ScratchDb, Want};

fn table(want: Want, rows: u32) -> Option<ScratchDb> {
    let db = ScratchDb::require(want)?;
    let series = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT i, concat('n', i), concat('N', i) FROM n"
    );
    let insert = match db.backend() {
        Backend::Sqlite => format!(
            "INSERT INTO users {}",
            series.replace("concat('n', i)", "'n' || i").replace("concat('N', i)", "'N' || i")
        ),
        _ => format!("INSERT INTO users {series}"),
    };
    db.run(&[
        "CREATE TABLE users (id int PRIMARY KEY, name varchar(20), shout varchar(20))",
        &insert,
    ])
    .unwrap();
    Some(db)
}

fn contract() -> Contract {
    let text = "format = 1\ntable = 'users'\ncolumn = 'shout'\nwhy = 'a test'\nrequired = true\ntype = 'varchar(20)'\n[old_rows]\nfill = 'upper(name)'\n";
    read::read(text).unwrap().contract
}

fn with<T>(db: &ScratchDb, by_key: bool, run: impl FnOnce(&Backfill<'_>) -> T) -> T {
    let contract = contract();
    let url = DatabaseUrl::parse(db.url()).unwrap();
    let pace = pace::Settings {
        first_rows: 10,
        min_rows: 10,
        max_rows: 10,
        ..pace::Settings::full_speed()
    };
    let settings = Settings { pace, by_key, ..Settings::default() };
    run(&Backfill::new(&contract, &url, OpenOptions::write()).settings(settings))
}

fn told(found: &Verification) -> String {
    let Verification { rows, empty, pending, differing, bad, .. } = found;
    let mut text =
        format!("{rows} rows, {empty} NULL, {pending} pending, {differing:?} differing\n");
    for chunk in bad {
        text += &format!(
            "{}: {} rows, {:?} lack it, {:?} differ\n",
            chunk.place(),
            chunk.rows,
            chunk.lacking_keys,
            chunk.differing_keys
        );
    }
    // PostgreSQL's keys are text.
    text.replace('\'', "")
}

#[test]
fn what_lies_side_by_side_is_one_place() {
    for want in [Want::postgres(), Want::postgres().version(13), Want::mysql(), Want::sqlite()] {
        let Some(db) = table(want, 200) else { continue };
        db.run(&[
            "UPDATE users SET shout = NULL WHERE id BETWEEN 31 AND 55 OR id = 171",
            "UPDATE users SET shout = 'own' WHERE id IN (42, 99)",
        ])
        .unwrap();
        with(&db, true, |backfill| {
            let found = backfill.verify(&|_| Answer::Go).unwrap();
            insta::allow_duplicates! {
                assert_snapshot!(told(&found), @r#"
                200 rows, 25 NULL, 25 pending, Some(2) differing
                rows after 30 up to 40: 10 rows, ["31", "32", "33", "34", "35"] lack it, [] differ
                rows after 40 up to 50: 10 rows, ["41", "43", "44", "45", "46"] lack it, ["42"] differ
                rows after 50 up to 60: 10 rows, ["51", "52", "53", "54", "55"] lack it, [] differ
                rows after 90 up to 100: 10 rows, [] lack it, ["99"] differ
                rows after 170 up to 180: 10 rows, ["171"] lack it, [] differ
                "#);
            }
            let mut batches = 0;
            let listener = Mutex::new(&mut batches);
            let repaired = backfill
                .repair(&found, Repair::Pending, &|event| {
                    if matches!(event, Event::Batch { filled: 1.., .. }) {
                        **listener.lock().unwrap() += 1;
                    }
                    Answer::Go
                })
                .unwrap();
            assert_eq!((repaired.filled, repaired.replaced), (25, 0));
            // Small transactions, and only where something is to be done.
            assert_eq!(batches, 4);
            insta::allow_duplicates! {
                assert_snapshot!(told(&repaired.now), @r#"
                200 rows, 0 NULL, 0 pending, Some(2) differing
                rows after 90 up to 100: 10 rows, [] lack it, ["99"] differ
                rows after 40 up to 50: 10 rows, [] lack it, ["42"] differ
                "#);
            }
            assert_eq!(
                told(&backfill.verify(&|_| Answer::Go).unwrap()).lines().next(),
                told(&repaired.now).lines().next()
            );
            let repaired =
                backfill.repair(&repaired.now, Repair::Differing, &|_| Answer::Go).unwrap();
            assert_eq!((repaired.filled, repaired.replaced), (0, 2));
            assert!(repaired.now.bad.is_empty());
        });
    }
}

/// Keys of many lengths: their order is not that of their text.
#[test]
fn a_backfill_by_key_leaves_nothing_out() {
    for want in [Want::postgres(), Want::postgres().version(13), Want::mysql(), Want::sqlite()] {
        let Some(db) = table(want, 200) else { continue };
        db.run(&["UPDATE users SET shout = NULL"]).unwrap();
        with(&db, true, |backfill| {
            drop(backfill.run(&|_| Answer::Go).unwrap());
            let found = backfill.verify(&|_| Answer::Go).unwrap();
            assert_eq!((found.rows, found.receipt_holds()), (200, Some(true)));
        });
    }
}

#[test]
fn blocks_add_up_to_the_table() {
    let Some(db) = table(Want::postgres(), 3000) else { return };
    db.run(&["UPDATE users SET shout = NULL WHERE id IN (1, 1500, 3000)"]).unwrap();
    with(&db, false, |backfill| {
        let found = backfill.verify(&|_| Answer::Go).unwrap();
        assert_eq!((found.rows, found.pending, found.differing), (3000, 3, Some(0)));
        let repaired = backfill.repair(&found, Repair::Pending, &|_| Answer::Go).unwrap();
        assert_eq!(repaired.filled, 3);
        assert!(repaired.now.is_filled());
        assert_eq!(backfill.verify(&|_| Answer::Go).unwrap().pending, 0);
    });
}

#[test]
fn it_stops_between_two_pieces() {
    for want in [Want::postgres(), Want::postgres().version(13), Want::mysql(), Want::sqlite()] {
        let Some(db) = table(want, 200) else { continue };
        with(&db, true, |backfill| {
            let found = backfill
                .verify(&|event| match event {
                    Event::Batch { .. } => Answer::Stop,
                    _ => Answer::Go,
                })
                .unwrap();
            assert!(!found.is_whole);
            assert_eq!(found.rows, 10);
        });
    }
}

/// A session that was opened to read must not repair.
#[test]
fn a_repair_needs_a_session_that_writes() {
    let Some(db) = table(Want::sqlite(), 5) else { return };
    db.run(&["UPDATE users SET shout = NULL"]).unwrap();
    with(&db, true, |backfill| {
        let found = backfill.verify(&|_| Answer::Go).unwrap();
        let contract = contract();
        let url = DatabaseUrl::parse(db.url()).unwrap();
        let reading = Backfill::new(&contract, &url, OpenOptions::read());
        let refused = reading.repair(&found, Repair::Pending, &|_| Answer::Go).unwrap_err();
        assert!(matches!(refused, BackfillError::Database(_)), "{refused}");
    });
}

/// Others hold the rows, or the table, for a while: it waits, tries again, and ends.
#[test]
fn what_others_hold_up_is_tried_again() {
    let Some(db) = table(Want::postgres(), 50) else { return };
    let url = DatabaseUrl::parse(db.url()).unwrap();
    with(&db, true, |backfill| {
        let other = Mutex::new(None);
        let found = backfill
            .verify(&|event| {
                match event {
                    Event::Pass { .. } => {
                        let mut session = Session::open(&url, &OpenOptions::write()).unwrap();
                        session.batch("BEGIN; LOCK TABLE users").unwrap();
                        *other.lock().unwrap() = Some(session);
                    }
                    Event::Retry { .. } => *other.lock().unwrap() = None,
                    _ => {}
                }
                Answer::Go
            })
            .unwrap();
        assert_eq!((found.rows, found.is_whole), (50, true));
    });
}
