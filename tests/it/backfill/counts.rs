//! What a column costs MariaDB from its first stage to its last one, in counts: statements, commits, rows
//! that are read and changed, row locks. The server is its own, as other tests want one that does not count.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::Mutex,
    time::{Duration, Instant},
};

use newcol_core::{
    backend::Product,
    contract::read::read,
    db::{DatabaseUrl, OpenOptions, Session, facts::read_table},
    execute::{
        apply::{Answer as Go, Apply, SqlMigration},
        backfill::{Answer, Backfill, Event, Outcome, Settings},
        pace,
    },
    plan::{Plan, StageKind},
    render::migrations::render,
};
use newcol_testkit::{ScratchDb, Want, wait::wait_for};

use crate::apply::migration;

const ROWS: u64 = 2000;

/// Rows of a batch that fills.
const BATCH: u64 = 100;

type Counts = BTreeMap<String, u64>;

struct Bench {
    db: ScratchDb,
    /// A user that nobody else is.
    user: String,
}

impl Bench {
    fn new() -> Option<Self> {
        let db = ScratchDb::require(Want::mysql().private())?;
        let mut session = open(db.url());
        if session.server().product != Product::Mariadb {
            return None;
        }
        let name = session.value("SELECT database()").unwrap().unwrap();
        let user = format!("c{}", &name[name.len().saturating_sub(20)..]);
        for sql in [
            &format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'secret'"),
            &format!("GRANT ALL ON *.* TO '{user}'@'%'"),
            "CREATE TABLE t (id bigint PRIMARY KEY, a bigint NOT NULL, b bigint NOT NULL)",
            &format!("INSERT INTO t SELECT seq, seq % 1009, seq % 7919 FROM seq_1_to_{ROWS}"),
        ] {
            session.batch(sql).unwrap();
        }
        Some(Self { db, user })
    }

    fn url(&self) -> DatabaseUrl {
        let (scheme, rest) = self.db.url().split_once("://").unwrap();
        let (_, place) = rest.rsplit_once('@').unwrap();
        DatabaseUrl::parse(&format!("{scheme}://{}:secret@{place}", self.user)).unwrap()
    }

    /// Returns what the server has counted by now.
    fn read(&self) -> Counts {
        let mut session = open(self.db.url());
        let of_user = ["SELECT_COMMANDS", "UPDATE_COMMANDS", "COMMIT_TRANSACTIONS", "ROWS_UPDATED"];
        let of_table = ["ROWS_READ", "ROWS_CHANGED"];
        let mut counts = Counts::new();
        for (names, from) in [
            (&of_user[..], format!("user_statistics WHERE user = '{}'", self.user)),
            (
                &of_table[..],
                "table_statistics WHERE table_schema = database() AND table_name = 't'".to_owned(),
            ),
        ] {
            let sql = format!("SELECT {} FROM information_schema.{from}", names.join(", "));
            let row = session.query(&sql).unwrap().into_iter().next().unwrap_or_default();
            for (name, value) in names.iter().zip(row) {
                counts.insert((*name).to_owned(), value.unwrap().parse().unwrap());
            }
        }
        counts
    }

    /// Returns what some work adds to the counts.
    fn during(&self, work: impl FnOnce()) -> Counts {
        let before = self.read();
        work();
        let mut after = self.read();
        for (name, count) in &mut after {
            *count -= before.get(name).copied().unwrap_or_default();
        }
        after
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.db.run(&[&format!("DROP USER IF EXISTS '{}'@'%'", self.user)]).ok();
    }
}

fn open(url: &str) -> Session {
    Session::open(&DatabaseUrl::parse(url).unwrap(), &OpenOptions::write()).unwrap()
}

#[test]
fn statements_rows_and_locks_of_a_life_on_mariadb() {
    let Some(bench) = Bench::new() else { return };
    let text = "format = 1\ntable = 't'\ncolumn = 'c'\nwhy = 'a test'\ntype = 'bigint'\n\
        required = true\n[old_rows]\nfill = 'a * 7 + b'\n[old_writers]\nby = 'trigger'\n";
    let contract = read(text).unwrap().contract;
    let facts = read_table(&mut open(bench.db.url()), contract.table()).unwrap();
    let plan = Plan::build(&contract, &facts).unwrap();
    let url = bench.url();
    let stage = |kind: StageKind| {
        let folders = plan.stage(kind).into_iter().flat_map(|stage| render(&plan, stage));
        let migrations: Vec<SqlMigration> = folders
            .zip(kind as u32 * 100..)
            .map(|(folder, version)| {
                migration(version, &folder.up, folder.metadata.contains("true"))
            })
            .collect();
        bench.during(|| {
            let done = Apply::new(&url, OpenOptions::write()).run(&migrations, &|_| Go::Go);
            assert_eq!(done.unwrap().report().migrations.len(), migrations.len());
        })
    };

    // No row is read, however many there are.
    let expand = stage(StageKind::Expand);
    assert_eq!((expand["ROWS_READ"], expand["ROWS_CHANGED"]), (0, 0), "{expand:?}");

    let pace =
        pace::Settings { first_rows: BATCH, max_rows: BATCH, ..pace::Settings::full_speed() };
    let settings = Settings { workers: NonZeroU32::MIN, pace, ..Settings::default() };
    let (batches, locked) = (Mutex::new(0_u64), Mutex::new(Vec::new()));
    let began = Instant::now();
    let fill = bench.during(|| {
        let job = Backfill::new(&contract, &url, OpenOptions::write()).settings(settings);
        let done = job.run(&|event| {
            match event {
                // The server shows transactions as they were up to 100 ms ago.
                Event::Committing { session } if *batches.lock().unwrap() == 0 => {
                    let sql = format!(
                        "SELECT trx_rows_locked, trx_tables_locked, trx_rows_modified \
                         FROM information_schema.innodb_trx \
                         WHERE trx_mysql_thread_id = {session} AND trx_rows_modified > 0"
                    );
                    let mut other = open(bench.db.url());
                    let seen = || other.query(&sql).unwrap().into_iter().next();
                    let row = wait_for("transaction", Duration::from_secs(10), seen).unwrap();
                    let row = row.into_iter().map(|n| n.unwrap().parse().unwrap());
                    *locked.lock().unwrap() = row.collect::<Vec<u64>>();
                }
                Event::Batch { .. } => *batches.lock().unwrap() += 1,
                _ => {}
            }
            Answer::Go
        });
        assert!(matches!(&done, Ok(Outcome::Done(receipt)) if receipt.filled == ROWS), "{done:?}");
    });
    // Each row is read once to be filled and once to be looked at, and a few to find the ends of batches.
    assert_eq!(fill["ROWS_CHANGED"], ROWS, "{fill:?}");
    assert!((2 * ROWS..=5 * ROWS / 2).contains(&fill["ROWS_READ"]), "{fill:?}");
    // As many batches look as fill; a slow machine makes them smaller. Besides the rows, each writes how
    // far it is.
    let batches = batches.into_inner().unwrap();
    assert!((2 * ROWS / BATCH..=4 * ROWS / BATCH).contains(&batches), "{batches}");
    assert!(fill["ROWS_UPDATED"] <= ROWS + 3 * batches / 2, "{fill:?}");
    assert!(fill["UPDATE_COMMANDS"] <= 2 * batches, "{fill:?}");
    // What is wanted is asked for four times a second.
    let asked = 4 * batches + 12 * (1 + began.elapsed().as_secs());
    assert!(fill["SELECT_COMMANDS"] <= asked, "{fill:?}");
    // Its own rows are locked and that of the record, and no gap behind them.
    let [rows, tables, changed] = locked.into_inner().unwrap()[..] else { panic!("no batch") };
    assert_eq!((rows, tables, changed), (BATCH + 1, 2, BATCH));

    // That no row is empty is looked for before NOT NULL, and seen again by the server.
    let constrain = stage(StageKind::Constrain);
    assert_eq!(constrain["ROWS_CHANGED"], 0, "{constrain:?}");
    assert!(constrain["ROWS_READ"] <= 2 * ROWS, "{constrain:?}");

    let end = stage(StageKind::Contract);
    assert_eq!((end["ROWS_READ"], end["ROWS_CHANGED"]), (0, 0), "{end:?}");
}
