//! What a backfill costs on PostgreSQL, in counts: log, blocks, rows that stayed on their page. Each
//! against one plain `UPDATE` of the same table on the same server.

use std::num::NonZeroU32;

use newcol_core::{
    contract::{Contract, read},
    db::{DatabaseUrl, OpenOptions, Session},
    execute::{
        backfill::{Answer, Backfill, Outcome, Settings},
        pace,
    },
};
use newcol_testkit::{ScratchDb, Want};

const ROWS: u64 = 60_000;

fn contract() -> Contract {
    let text = "format = 1\ntable = 't'\ncolumn = 'c'\nwhy = 'a test'\ntype = 'bigint'\n\
        required = true\n[old_rows]\nfill = 'a * 7 + b'\n";
    read::read(text).unwrap().contract
}

/// A server whose log nobody else writes.
fn server() -> (ScratchDb, DatabaseUrl) {
    let db = ScratchDb::new(Want::postgres().private()).unwrap();
    let url = DatabaseUrl::parse(db.url()).unwrap();
    (db, url)
}

fn open(url: &DatabaseUrl) -> Session {
    Session::open(url, &OpenOptions::create()).unwrap()
}

#[derive(Debug)]
struct Cost {
    log: u64,
    blocks: u64,
    hot: u64,
}

/// Makes the table with some storage parameters and statements after it, and fills it.
fn cost(url: &DatabaseUrl, with: &str, also: &[&str], fill: impl FnOnce()) -> Cost {
    let mut session = open(url);
    let make = format!(
        "CREATE TABLE t (id bigint PRIMARY KEY, a bigint NOT NULL, b bigint NOT NULL, \
         name text NOT NULL) {with}"
    );
    let insert = format!(
        "INSERT INTO t SELECT n, n % 1009, n % 7919, 'a name of some length, number ' || n \
         FROM generate_series(1, {ROWS}) AS s (n)"
    );
    let drop = "DROP TABLE IF EXISTS t, __newcol_backfill, __newcol_backfill_part";
    for sql in [drop, &make, &insert, "ALTER TABLE t ADD COLUMN c bigint"] {
        session.batch(sql).unwrap();
    }
    for sql in also.iter().chain(&["VACUUM (FREEZE, ANALYZE) t", "CHECKPOINT"]) {
        session.batch(sql).unwrap();
    }
    let numbers = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint, \
        pg_relation_size('t') / 8192, pg_stat_get_tuples_hot_updated('t'::regclass)";
    let mut read = || -> Vec<u64> {
        session.batch("SELECT pg_stat_clear_snapshot()").unwrap();
        let row = session.query(numbers).unwrap().remove(0);
        row.into_iter().map(|value| value.unwrap().parse().unwrap()).collect()
    };
    let before = read();
    fill();
    let wrong = "SELECT count(*) = 0 FROM t WHERE c IS DISTINCT FROM a * 7 + b";
    assert!(open(url).query_bool(wrong).unwrap());
    let after = read();
    Cost {
        log: after[0] - before[0],
        blocks: after[1] * 100 / before[1],
        hot: (after[2] - before[2]) * 100 / ROWS,
    }
}

fn plain(url: &DatabaseUrl) {
    // Its counts arrive when it is over.
    open(url).batch("UPDATE t SET c = a * 7 + b").unwrap();
}

fn job(url: &DatabaseUrl) {
    let settings = Settings {
        workers: NonZeroU32::MIN,
        pace: pace::Settings::full_speed(),
        ..Settings::default()
    };
    let contract = contract();
    let job = Backfill::new(&contract, url, OpenOptions::write()).settings(settings);
    let done = job.run(&|_| Answer::Go).unwrap();
    assert!(matches!(&done, Outcome::Done(receipt) if receipt.rows == ROWS), "{done:?}");
}

#[test]
fn a_backfill_logs_less_and_grows_less_than_a_plain_update() {
    let (_db, url) = server();
    for also in [&[][..], &["CREATE INDEX ON t (a)", "CREATE INDEX ON t (b)"]] {
        let plain = cost(&url, "", also, || plain(&url));
        let job = cost(&url, "", also, || job(&url));
        assert_eq!(plain.hot, 0, "{plain:?}");
        assert!(plain.blocks > 200, "{plain:?}");
        assert!(job.hot >= 70, "{job:?}");
        assert!(job.blocks <= 132, "{job:?}");
        assert!(job.log * 100 <= plain.log * 70, "{job:?} against {plain:?}");
    }
}

#[test]
fn rows_with_room_on_their_page_stay_there() {
    let (_db, url) = server();
    let job = cost(&url, "WITH (fillfactor = 45)", &[], || job(&url));
    assert!(job.hot >= 95, "{job:?}");
    assert!(job.blocks <= 102, "{job:?}");
}

#[test]
fn where_visits_cannot_help_a_backfill_costs_no_more_than_a_plain_update() {
    let (_db, url) = server();
    // An index that needs the column.
    let indexed = &["CREATE INDEX ON t (c)"];
    let plain_cost = cost(&url, "", indexed, || plain(&url));
    let job_cost = cost(&url, "", indexed, || job(&url));
    assert!(job_cost.log * 100 <= plain_cost.log * 115, "{job_cost:?} against {plain_cost:?}");
    // A snapshot that keeps every version alive.
    let mut reader = open(&url);
    reader.batch("BEGIN ISOLATION LEVEL REPEATABLE READ").unwrap();
    reader.value("SELECT count(*) FROM pg_class").unwrap();
    let plain_cost = cost(&url, "", &[], || plain(&url));
    let job_cost = cost(&url, "", &[], || job(&url));
    assert!(job_cost.blocks <= plain_cost.blocks + 5, "{job_cost:?} against {plain_cost:?}");
    assert!(job_cost.log * 100 <= plain_cost.log * 125, "{job_cost:?} against {plain_cost:?}");
}
