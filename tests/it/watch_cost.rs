//! The model of what an index writes, against the log of real servers.
//!
//! `cargo nextest run -p newcol-tests watch_cost --no-capture` prints the table of
//! `docs/watch-statistics.md`.

use newcol_core::{
    db::{DatabaseUrl, OpenOptions, Session},
    watch::cost::{Age, ColumnStatistics, Keys, Predicate, Traffic, Tree, iwo},
};
use newcol_testkit::{ScratchDb, Want};

const ROWS: u32 = 100_000;
/// A column of text that nobody indexes.
const PAD: f64 = 61.0;

/// A server with `pg_walinspect`, whose log nobody else writes.
struct Server {
    _db: ScratchDb,
    session: Session,
}

/// What `pg_walinspect` and the catalog say.
struct Truth {
    bytes: f64,
    tree: Tree,
    /// Share of the rows that are in the index.
    selectivity: f64,
    ratio: f64,
}

/// What there is in an index, and how it came there.
#[derive(Clone, Copy)]
struct Kind {
    age: Age,
    predicate: Predicate,
}

const BUILT: Kind = Kind { age: Age::Built, predicate: Predicate::Everything };
const GROWN: Kind = Kind { age: Age::Grown, ..BUILT };
const PARTIAL: Kind = Kind { predicate: Predicate::NotNull, ..BUILT };

impl Server {
    fn start(major: u32) -> Self {
        let db = ScratchDb::new(Want::postgres().version(major).private()).unwrap();
        let url = DatabaseUrl::parse(db.url()).unwrap();
        let mut session = Session::open(&url, &OpenOptions::create()).unwrap();
        session.batch("CREATE EXTENSION pg_walinspect").unwrap();
        // Our servers run without page images. During a backup the server writes them all the same.
        session.batch("SELECT pg_backup_start('images', true)").unwrap();
        Self { _db: db, session }
    }

    fn texts(&mut self, sql: &str) -> Vec<Option<String>> {
        self.session.query(sql).unwrap().remove(0)
    }

    fn numbers(&mut self, sql: &str) -> Vec<f64> {
        let number = |text: Option<String>| text.unwrap().parse().unwrap();
        self.texts(sql).into_iter().map(number).collect()
    }

    /// Makes a table of one indexed column, filled with keys 1 to [`ROWS`], and a checkpoint.
    fn make(&mut self, ty: &str, key: &str, kind: Kind) {
        let filter = match kind.predicate {
            Predicate::NotNull => "WHERE c IS NOT NULL",
            _ => "",
        };
        for sql in [
            "DROP TABLE IF EXISTS t",
            &format!(
                "CREATE TABLE t (id bigserial, c {ty}, pad text) WITH (autovacuum_enabled = off)"
            ),
            &insert(key, 0, ROWS),
            &format!("CREATE INDEX t_c ON t (c) {filter}"),
            "VACUUM (FREEZE, ANALYZE) t",
            "CHECKPOINT",
        ] {
            self.session.batch(sql).unwrap();
        }
    }

    /// Returns what the model may know before anything is written.
    fn known(&mut self, kind: Kind) -> Truth {
        let of_column = self.texts(
            "SELECT null_frac, n_distinct, correlation, avg_width, \
             array_to_string(most_common_freqs, ' ') FROM pg_stats WHERE tablename = 't' \
             AND attname = 'c'",
        );
        let number = |at: usize| of_column[at].as_ref().map(|text| text.parse::<f64>().unwrap());
        let statistics = ColumnStatistics {
            null_frac: number(0).unwrap(),
            n_distinct: number(1).unwrap(),
            correlation: number(2),
            most_common: of_column[4]
                .iter()
                .flat_map(|text| text.split(' '))
                .map(|share| share.parse().unwrap())
                .collect(),
        };
        let index = self.numbers(
            "SELECT pg_relation_size('t_c') / 8192, reltuples FROM pg_class WHERE relname = 't_c'",
        );
        let key_width = number(3).unwrap();
        let rows = f64::from(ROWS);
        let selectivity = kind.predicate.selectivity(&statistics, rows);
        let inside = kind.predicate.narrow(&statistics);
        let keys = Keys::from_statistics(&inside, rows * selectivity);
        let tree = Tree { pages: index[0], entries: index[1], key_width, keys, age: kind.age };
        let ratio = iwo(&[key_width], &[8.0, key_width, PAD], selectivity);
        Truth { bytes: 0.0, tree, selectivity, ratio }
    }

    /// Inserts keys and counts the index's part of the log.
    fn truth(&mut self, key: &str, from: u32, count: u32, kind: Kind) -> Truth {
        let known = self.known(kind);
        let file = self.texts("SELECT pg_relation_filenode('t_c')")[0].clone().unwrap();
        // All that is committed is flushed; the place of the next insert may lie a page header beyond,
        // where `pg_walinspect` does not look.
        let place = "SELECT pg_current_wal_flush_lsn()";
        let start = self.texts(place)[0].clone().unwrap();
        self.session.batch(&insert(key, from, count)).unwrap();
        let end = self.texts(place)[0].clone().unwrap();
        let bytes = self.numbers(&format!(
            "SELECT sum(record_length) FROM pg_get_wal_records_info('{start}', '{end}') \
             WHERE block_ref ~ 'rel \\d+/\\d+/{file} '"
        ))[0];
        Truth { bytes, ..known }
    }
}

fn insert(key: &str, from: u32, count: u32) -> String {
    format!(
        "INSERT INTO t (c, pad) SELECT {key}, repeat('p', {PAD} - 1) \
         FROM generate_series({from} + 1, {from} + {count}) AS s (n)"
    )
}

/// A kind of key: its name, and an expression of `n` for the number behind it.
const ORDERS: [(&str, &str); 5] = [
    ("each once, random", "hashint8(n)::bigint"),
    ("each once, ascending", "n"),
    ("10 values", "(hashint8(n) & 2147483647) % 10"),
    ("1000 values", "(hashint8(n) & 2147483647) % 1000"),
    (
        "70 % NULL, 50 values",
        "CASE WHEN hashint8(n) & 1023 > 307 THEN NULL ELSE (hashint8(-n) & 2147483647) % 50 END",
    ),
];

/// A type of column: its name, and an expression of that type out of a number.
const TYPES: [(&str, &str); 4] = [
    ("int", "({})::int"),
    ("bigint", "({})::bigint"),
    ("text", "lpad(({})::text, 32, '0')"),
    ("uuid", "lpad(to_hex(({})::bigint), 32, '0')::uuid"),
];

fn cells(major: u32) {
    let mut server = Server::start(major);
    eprintln!(
        "| PostgreSQL {major}: keys | type | entries | since checkpoint | log B/entry \
        | model | | most of it | IWO |\n|-|-|-:|-:|-:|-:|-:|-|-:|"
    );
    let mut wrong = Vec::new();
    let mut check = |order: &str, ty: &str, already: u32, count: u32, truth: &Truth| {
        let entries = |rows: u32| f64::from(rows) * truth.selectivity;
        let cost = truth.tree.cost(Traffic { already: entries(already), entries: entries(count) });
        let (measured, model) = (truth.bytes / entries(count), cost.per_entry());
        let off = (model / measured - 1.0) * 100.0;
        let (term, share) = cost.dominating();
        let line = format!(
            "| {order} | {ty} | {count} | {already} | {measured:.0} | {model:.0} | {off:+.1} % \
             | {term}, {:.0} % | {:.2} |",
            share * 100.0,
            truth.ratio
        );
        eprintln!("{line}");
        if off.abs() > 15.0 {
            wrong.push(line);
        }
    };
    for (at, (order, key)) in ORDERS.into_iter().enumerate() {
        for (to, (ty, expression)) in TYPES.into_iter().enumerate() {
            let count = if (at + to) % 2 == 0 { 500 } else { 4000 };
            let key = expression.replace("{}", key);
            server.make(ty, &key, BUILT);
            for already in [0, count] {
                let truth = server.truth(&key, ROWS + already, count, BUILT);
                check(order, ty, already, count, &truth);
            }
        }
    }
    // An index that grew to four times its size, so that its pages are of any fill.
    server.make("int", "hashint8(n)", GROWN);
    for sql in [&insert("hashint8(n)", ROWS, 3 * ROWS), "VACUUM (FREEZE, ANALYZE) t", "CHECKPOINT"]
    {
        server.session.batch(sql).unwrap();
    }
    for (already, count) in [(0, 500), (500, 20_000)] {
        let truth = server.truth("hashint8(n)", 4 * ROWS + already, count, GROWN);
        check("each once, random, grown", "int", already, count, &truth);
    }
    // The 30 % of rows that have a value.
    for (ty, expression) in TYPES {
        let (_, key) = ORDERS[4];
        let key = expression.replace("{}", key);
        server.make(ty, &key, PARTIAL);
        for already in [0, 2000] {
            let truth = server.truth(&key, ROWS + already, 2000, PARTIAL);
            check("50 values, partial: not NULL", ty, already, 2000, &truth);
        }
    }
    assert!(wrong.is_empty(), "more than 15 % off:\n{}", wrong.join("\n"));
}

#[test]
fn the_log_of_an_index_is_predicted_on_15() {
    cells(15);
}

#[test]
fn the_log_of_an_index_is_predicted_on_18() {
    cells(18);
}
