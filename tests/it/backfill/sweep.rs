//! A row that moves behind every pass by blocks is filled all the same.

use newcol_core::{
    contract::read,
    db::{DatabaseUrl, OpenOptions, Session},
    execute::{
        backfill::{Answer, Backfill, Event, Outcome, Phase, Settings},
        pace,
    },
};
use newcol_testkit::{ScratchDb, Want};

#[test]
fn a_row_that_moves_behind_every_pass_is_filled() {
    let db = ScratchDb::new(Want::postgres()).unwrap();
    let url = DatabaseUrl::parse(db.url()).unwrap();
    let text = "format = 1\ntable = 't'\ncolumn = 'c'\nwhy = 'a test'\ntype = 'bigint'\n\
        required = true\n[old_rows]\nfill = 'id * 2'\n";
    let contract = read::read(text).unwrap().contract;
    let mut session = Session::open(&url, &OpenOptions::create()).unwrap();
    for sql in [
        "CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL)",
        "INSERT INTO t SELECT n, repeat('x', 500) FROM generate_series(1, 4000) AS s (n)",
        "ALTER TABLE t ADD COLUMN c bigint",
        // Room at the start of the table, to which rows move.
        "DELETE FROM t WHERE id <= 1000",
        "VACUUM (ANALYZE) t",
    ] {
        session.query(sql).unwrap();
    }
    let settings = Settings { pace: pace::Settings::full_speed(), ..Settings::default() };
    let outside = std::sync::Mutex::new(Session::open(&url, &OpenOptions::write()).unwrap());
    let moved = std::sync::atomic::AtomicU64::new(0);
    // As soon as the last look at the table has gone past its first blocks, a program empties one
    // of the last rows and moves it there.
    let listener = |event: &Event| {
        if let Event::Batch { .. } = event {
            let mut outside = outside.lock().unwrap();
            let job = "SELECT phase FROM __newcol_backfill WHERE column_path = 't.c'";
            let is_proving = outside.value(job).unwrap().as_deref() == Some(Phase::Proving.name());
            if is_proving && moved.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
                outside
                    .batch("UPDATE t SET c = NULL, name = repeat('y', 500) WHERE id = 4000")
                    .unwrap();
            }
        }
        Answer::Go
    };
    let job = Backfill::new(&contract, &url, OpenOptions::write()).settings(settings);
    let done = job.run(&listener).unwrap();
    assert!(matches!(&done, Outcome::Done(_)), "{done:?}");
    assert!(moved.into_inner() > 0);
    let block = session.value("SELECT (ctid::text::point)[0] FROM t WHERE id = 4000").unwrap();
    let empty = session.value("SELECT count(*) FROM t WHERE c IS DISTINCT FROM id * 2").unwrap();
    assert_eq!(empty.as_deref(), Some("0"), "the row is in block {block:?}");
}
