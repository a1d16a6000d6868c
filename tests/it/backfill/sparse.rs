//! Batches are no larger than asked for where rows to fill lie unevenly: nobody waits for ten thousand
//! rows because the first blocks of a table were empty.

use std::sync::Mutex;

use newcol_core::{
    backend::Backend,
    contract::read,
    db::{DatabaseUrl, OpenOptions},
    execute::{
        backfill::{Answer, Backfill, Event, Outcome, Phase, Settings},
        pace,
    },
};
use newcol_testkit::{ScratchDb, Want};

const ROWS: u64 = 40_000;

/// Runs the job, whose pace may ask for so many rows at most, however fast the server is; returns how
/// many its largest batch filled, in each phase.
fn largest(db: &ScratchDb, asked: u64) -> (u64, u64) {
    let text = "format = 1\ntable = 't'\ncolumn = 'c'\nwhy = 'a test'\ntype = 'bigint'\n\
        required = true\n[old_rows]\nfill = 'id * 2'\n";
    let contract = read::read(text).unwrap().contract;
    let pace = pace::Settings { max_rows: asked, ..pace::Settings::full_speed() };
    let settings = Settings { pace, ..Settings::default() };
    let url = DatabaseUrl::parse(db.url()).unwrap();
    let job = Backfill::new(&contract, &url, OpenOptions::write()).settings(settings);
    let seen = Mutex::new((Phase::Filling, 0, 0));
    let listener = |event: &Event| {
        let mut seen = seen.lock().unwrap();
        match event {
            Event::Pass { phase, .. } => seen.0 = *phase,
            Event::Batch { filled, .. } if seen.0 == Phase::Filling => seen.1 = seen.1.max(*filled),
            Event::Batch { filled, .. } => seen.2 = seen.2.max(*filled),
            _ => {}
        }
        Answer::Go
    };
    let done = job.run(&listener).unwrap();
    assert!(matches!(&done, Outcome::Done(_)), "{done:?}");
    let (_, filling, proving) = seen.into_inner().unwrap();
    (filling, proving)
}

fn table(db: &ScratchDb) {
    let filled = match db.backend() {
        Backend::Postgres => format!("generate_series(1, {ROWS}) AS s (id)"),
        Backend::Mysql => format!("(SELECT seq AS id FROM seq_1_to_{ROWS}) AS s"),
        Backend::Sqlite => format!(
            "(WITH RECURSIVE s (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM s LIMIT {ROWS}) SELECT id FROM s)"
        ),
    };
    db.run(&[
        "CREATE TABLE t (id bigint NOT NULL PRIMARY KEY, name varchar(40) NOT NULL)",
        &format!("INSERT INTO t SELECT id, 'a name of some length' FROM {filled}"),
        "ALTER TABLE t ADD COLUMN c bigint",
    ])
    .unwrap();
}

#[test]
fn a_table_whose_first_blocks_are_empty_is_filled_in_batches_all_the_same() {
    let db = ScratchDb::new(Want::postgres()).unwrap();
    table(&db);
    db.run(&[&format!("DELETE FROM t WHERE id <= {}", ROWS / 2), "VACUUM (ANALYZE) t"]).unwrap();
    let (filling, _) = largest(&db, 500);
    assert!((1..=1_250).contains(&filling), "{filling} rows at once");
}

#[test]
fn rows_that_are_filled_already_do_not_make_the_batches_after_them_larger() {
    for want in [Want::postgres(), Want::mysql(), Want::sqlite()] {
        let db = ScratchDb::new(want).unwrap();
        table(&db);
        db.run(&[&format!("UPDATE t SET c = id * 2 WHERE id <= {}", ROWS * 3 / 4)]).unwrap();
        let (filling, _) = largest(&db, 2_000);
        assert!((1..=4_000).contains(&filling), "{filling} rows at once");
        // What is looked at costs less than what is changed.
        db.run(&[&format!("UPDATE t SET c = NULL WHERE id > {}", ROWS * 3 / 4)]).unwrap();
        let (_, proving) = largest(&db, 2_000);
        assert!((1..=250).contains(&proving), "{proving} rows at once");
    }
}

/// Whoever drops the column and adds it again tells nobody; its rows are as many as the first time.
#[test]
fn a_column_that_was_added_anew_is_filled_as_it_was_at_first() {
    for want in [Want::postgres(), Want::mysql(), Want::sqlite()] {
        let db = ScratchDb::new(want).unwrap();
        table(&db);
        let (first, _) = largest(&db, 2_000);
        db.run(&["ALTER TABLE t DROP COLUMN c", "ALTER TABLE t ADD COLUMN c bigint"]).unwrap();
        let (again, proving) = largest(&db, 2_000);
        assert!(again * 2 > first, "{:?}: {again} rows at once, {first} before", db.backend());
        assert_eq!(proving, 0);
    }
}
