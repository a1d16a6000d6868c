//! Backfills that meet what production holds: odd keys and values, rows that fail, servers and
//! sessions that stand in the way. Each ends filled, or in a clear message and a state from which
//! the next run goes on; and no other column ever changes.

mod disks;
mod failures;
mod keys;
mod meanwhile;
mod pace;
mod values;

use std::{error::Error, sync::Mutex};

use newcol_core::{
    contract::{Contract, read},
    db::{DatabaseUrl, OpenOptions, Session},
    execute::{
        backfill::{Answer, Backfill, BackfillError, Event, Outcome, Receipt, Settings},
        pace::Settings as Pace,
    },
};
use newcol_testkit::{ScratchDb, Want, redact::redact};

/// A table whose column `c` is there and empty.
struct Case {
    db: ScratchDb,
    contract: Contract,
    settings: Settings,
}

/// An optional column of text, filled with the name in upper case.
const UPPER: &str = "type = 'varchar(60)'\nrequired = false\n[old_rows]\nfill = 'upper(name)'\n";

/// As [`UPPER`], required.
const REQUIRED: &str = "type = 'varchar(60)'\nrequired = true\n[old_rows]\nfill = 'upper(name)'\n";

fn contract(table: &str, column: &str, body: &str) -> Contract {
    read::read(&contract_text(table, column, body)).unwrap().contract
}

fn contract_text(table: &str, column: &str, body: &str) -> String {
    format!("format = 1\ntable = '{table}'\ncolumn = '{column}'\nwhy = 'a test'\n{body}")
}

fn fast() -> Settings {
    Settings { pace: Pace::full_speed(), ..Settings::default() }
}

/// Small batches, so that there is something between two of them.
fn small() -> Settings {
    let pace = Pace { first_rows: 20, max_rows: 20, ..Pace::full_speed() };
    Settings { pace, ..Settings::default() }
}

impl Case {
    /// Makes table `t`, which has a column `c`, by statements; `None` without such a server.
    fn new(want: Want, body: &str, make: &[&str]) -> Option<Self> {
        let db = ScratchDb::require(want)?;
        db.run(make).unwrap();
        Some(Self { db, contract: contract("t", "c", body), settings: fast() })
    }

    fn with(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    fn url(&self) -> DatabaseUrl {
        DatabaseUrl::parse(self.db.url()).unwrap()
    }

    fn session(&self) -> Session {
        Session::open(&self.url(), &OpenOptions::write()).unwrap()
    }

    fn run_telling(
        &self,
        listen: impl Fn(&Event) -> Answer + Sync,
    ) -> Result<Outcome, BackfillError> {
        let url = self.url();
        let job = Backfill::new(&self.contract, &url, OpenOptions::write());
        job.settings(self.settings.clone()).run(&listen)
    }

    fn run(&self) -> Result<Outcome, BackfillError> {
        self.run_telling(|_| Answer::Go)
    }

    /// Fills all there is.
    fn done(&self) -> Receipt {
        receipt(self.run().unwrap())
    }

    /// Returns all that is said of a run that fails, with its causes.
    fn fails(&self) -> String {
        said(&self.run().unwrap_err())
    }

    /// Asks for one value.
    fn value(&self, sql: &str) -> String {
        let rows = self.db.rows(sql).unwrap();
        rows.into_iter().flatten().next().flatten().unwrap_or_else(|| "NULL".to_owned())
    }

    /// Counts the rows for which a condition holds.
    fn count(&self, condition: &str) -> u64 {
        self.value(&format!("SELECT count(*) FROM t WHERE {condition}")).parse().unwrap()
    }
}

fn receipt(outcome: Outcome) -> Receipt {
    match outcome {
        Outcome::Done(receipt) => receipt,
        other => panic!("the job is not done: {other:?}"),
    }
}

/// Writes an error as the command line does, with its way out.
fn said(error: &BackfillError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}\nbecause: {next}");
        cause = next.source();
    }
    let hint = error.hint().map_or_else(String::new, |hint| format!("\nhint: {hint}"));
    redact(&format!("{text}{hint}"))
}

/// Does something at the first event of a kind.
fn at_first(
    wanted: impl Fn(&Event) -> bool + Sync,
    act: impl FnOnce() + Send,
) -> impl Fn(&Event) -> Answer + Sync {
    let act = Mutex::new(Some(act));
    move |event| {
        if wanted(event)
            && let Some(act) = act.lock().unwrap().take()
        {
            act();
        }
        Answer::Go
    }
}

fn is_batch(event: &Event) -> bool {
    matches!(event, Event::Batch { .. })
}

/// Every engine, PostgreSQL also in the version without ways through blocks.
fn engines() -> [Want; 4] {
    let postgres = Want::postgres();
    [postgres.version(18), postgres.version(13), Want::mysql(), Want::sqlite()]
}

/// Returns SQL for so many rows of `t (id, name)`, on every engine.
fn numbered(rows: u32) -> String {
    format!(
        "INSERT INTO t (id, name) WITH RECURSIVE n (i) AS \
         (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 199) \
         SELECT a.i * 200 + b.i + 1, concat('name ', a.i * 200 + b.i + 1) \
         FROM n AS a CROSS JOIN n AS b WHERE a.i * 200 + b.i < {rows}"
    )
}

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, name varchar(60), c varchar(60))";
