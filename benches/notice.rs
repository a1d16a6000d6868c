//! What an application notices of a backfill: latency of its statements, open loop.
//!
//! `cargo bench -p newcol-benches --bench notice [-- <rows>]`: point reads and updates arrive by chance
//! at a rate, whether or not the ones before them are done, and each is timed from the moment at
//! which it was due. First alone, then while the job runs at its default pace, then beside one plain
//! `UPDATE`, then beside batches of 1000 rows by key without a rest, each on a table made anew; one
//! table with the ratios to the time alone is printed.

use std::{error::Error, num::NonZeroU32, time::Duration};

use newcol_benches::record::Figures;
use newcol_core::{
    bench::{
        arrivals::Arrival,
        load::{Phase, PhaseLoad},
    },
    contract::read::read,
    db::{DatabaseUrl, OpenOptions, Session},
    execute::backfill::{Answer, Backfill, Outcome},
};
use newcol_testkit::{
    ScratchDb, Want,
    bench::drive::{Conductor, Requests, Users},
};

const CONTRACT: &str = "format = 1\ntable = \"t\"\ncolumn = \"c\"\nwhy = \"measure\"\n\
    type = \"bigint\"\nrequired = true\n[old_rows]\nfill = \"a * 7 + b\"\n";

/// Connections of the application.
const CONNECTIONS: NonZeroU32 = NonZeroU32::new(4).unwrap();

/// Statements per second, all together.
const RATE: f64 = 400.0;

/// How long the application is measured alone.
const ALONE: Duration = Duration::from_secs(8);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    Job,
    Plain,
    Batches,
}

impl Beside {
    const ALL: [Self; 4] = [Self::Nothing, Self::Job, Self::Plain, Self::Batches];

    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "alone",
            Self::Job => "the job at its default pace",
            Self::Plain => "one plain `UPDATE`",
            Self::Batches => "batches of 1000 rows by key",
        }
    }
}

/// Every second statement reads a row, every second one updates one.
struct Statements {
    rows: u64,
}

impl Requests for Statements {
    fn statements(&self) -> Vec<(String, f64)> {
        vec![("read".to_owned(), 1.0), ("update".to_owned(), 1.0)]
    }

    fn sql(&self, arrival: &Arrival) -> Result<String, String> {
        let id = arrival.draw % self.rows + 1;
        Ok(match arrival.statement {
            0 => format!("SELECT name FROM t WHERE id = {id}"),
            _ => format!("UPDATE t SET b = b + 1 WHERE id = {id}"),
        })
    }
}

#[expect(clippy::print_stdout, reason = "the table is what the benchmark is for")]
fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return Ok(());
    }
    let rows = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    let db = ScratchDb::new(Want::postgres().private())?;
    newcol_benches::as_in_production(db.url())?;
    let url = DatabaseUrl::parse(db.url())?;
    println!(
        "| {rows} rows, {RATE} statements/s beside | seconds | p50 ms | p99 ms | ratio | max ms | failed |\n\
         |-|-:|-:|-:|-:|-:|-:|"
    );
    let mut figures = Figures::default();
    let mut alone = None;
    for beside in Beside::ALL {
        let seen = measure(&url, rows, beside)?;
        let (name, seconds) = (beside.name(), seen.seconds());
        let met = match seen.percentiles(CONNECTIONS.get()) {
            Ok(Some(met)) => met,
            Ok(None) => return Err(format!("{name}: no statement was due").into()),
            // Whoever came later waited longer, without end: there is no p99 of that.
            Err(saturated) => {
                println!("| {name} | {seconds:.1} | {saturated} | | | | {} |", seen.failed);
                continue;
            }
        };
        let base = *alone.get_or_insert(met.p99);
        println!(
            "| {name} | {seconds:.1} | {:.2} | {:.2} | {:.2} | {:.1} | {} |",
            met.p50,
            met.p99,
            met.p99 / base,
            met.max,
            seen.failed
        );
        if beside != Beside::Nothing {
            figures.time(format!("{rows} rows, p99 beside {name} / alone"), met.p99 / base);
        }
    }
    figures.finish("notice")
}

fn measure(url: &DatabaseUrl, rows: u64, beside: Beside) -> Result<PhaseLoad, Box<dyn Error>> {
    let mut session = Session::open(url, &OpenOptions::write())?;
    for sql in [
        "DROP TABLE IF EXISTS t, __newcol_backfill, __newcol_backfill_part",
        "CREATE TABLE t (id bigint PRIMARY KEY, a bigint NOT NULL, b bigint NOT NULL, name text NOT NULL)",
        &format!(
            "INSERT INTO t SELECT n, n % 1009, n % 7919, 'a name of some length, number ' || n \
             FROM generate_series(1, {rows}::bigint) AS s (n)"
        ),
        "CREATE INDEX ON t (a)",
        "ALTER TABLE t ADD COLUMN c bigint",
        "VACUUM (FREEZE, ANALYZE) t",
        "CHECKPOINT",
    ] {
        session.query(sql)?;
    }
    let requests = Statements { rows };
    let users = Users { url, requests: &requests, connections: CONNECTIONS, seed: 1 };
    let (load, done) = users.during(RATE, |conductor| {
        conductor.enter(Phase::Idle);
        work(conductor, url, rows, beside)
    })?;
    done?;
    Ok(load.phase(Phase::Idle).ok_or("no phase was entered")?)
}

fn work(
    conductor: &Conductor<'_>,
    url: &DatabaseUrl,
    rows: u64,
    beside: Beside,
) -> Result<(), String> {
    let said = |error: &dyn Error| error.to_string();
    match beside {
        Beside::Nothing => {
            if !conductor.rest(ALONE, &|| true) {
                return Err("it was stopped".to_owned());
            }
        }
        Beside::Job => {
            let contract = read(CONTRACT).map_err(|_| "the contract is wrong")?.contract;
            let job = Backfill::new(&contract, url, OpenOptions::write());
            match job.run(&|_| Answer::Go).map_err(|error| said(&error))? {
                Outcome::Done(_) => {}
                other => return Err(format!("the job ended with {other:?}")),
            }
        }
        Beside::Plain => {
            let mut session =
                Session::open(url, &OpenOptions::write()).map_err(|error| said(&error))?;
            session.batch("UPDATE t SET c = a * 7 + b").map_err(|error| said(&error))?;
        }
        Beside::Batches => {
            let mut session =
                Session::open(url, &OpenOptions::write()).map_err(|error| said(&error))?;
            for from in (0..rows).step_by(1000) {
                let to = from + 1000;
                let sql = format!(
                    "UPDATE t SET c = a * 7 + b WHERE id > {from} AND id <= {to} AND c IS NULL"
                );
                session.batch(&sql).map_err(|error| said(&error))?;
            }
        }
    }
    Ok(())
}
