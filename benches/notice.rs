//! What an application notices of a backfill: latency of its statements, open loop.
//!
//! `cargo bench -p newcol-benches --bench notice [-- <rows>]`: point reads and updates arrive at a
//! fixed rate, whether or not the ones before them are done, and each is timed from the moment at
//! which it was due. First alone, then while the job runs at its default pace, then beside one plain
//! `UPDATE`, then beside batches of 1000 rows by key without a rest, each on a table made anew; one
//! table with the ratios to the time alone is printed.

use std::{
    error::Error,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use newcol_benches::record::Figures;
use newcol_core::{
    contract::read::read,
    db::{DatabaseUrl, OpenOptions, Session},
    execute::backfill::{Answer, Backfill, Outcome},
};
use newcol_testkit::{ScratchDb, Want};

const CONTRACT: &str = "format = 1\ntable = \"t\"\ncolumn = \"c\"\nwhy = \"measure\"\n\
    type = \"bigint\"\nrequired = true\n[old_rows]\nfill = \"a * 7 + b\"\n";

/// Connections of the application.
const CONNECTIONS: u64 = 4;

/// Statements per second, all together: every second one reads, every second one updates.
const RATE: u64 = 400;

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

/// What the application saw.
struct Seen {
    latency: Histogram<u64>,
    failed: u64,
    took: Duration,
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
        let ms = |quantile: f64| seen.latency.value_at_quantile(quantile) as f64 / 1e3;
        let p99 = ms(0.99);
        let base = *alone.get_or_insert(p99);
        println!(
            "| {} | {:.1} | {:.2} | {p99:.2} | {:.2} | {:.1} | {} |",
            beside.name(),
            seen.took.as_secs_f64(),
            ms(0.5),
            p99 / base,
            seen.latency.max() as f64 / 1e3,
            seen.failed
        );
        if beside != Beside::Nothing {
            figures.time(format!("{rows} rows, p99 beside {} / alone", beside.name()), p99 / base);
        }
    }
    figures.finish("notice")
}

fn measure(url: &DatabaseUrl, rows: u64, beside: Beside) -> Result<Seen, Box<dyn Error>> {
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
    let over = AtomicBool::new(false);
    let failed = AtomicU64::new(0);
    let started = Instant::now();
    let (latency, took) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                let (over, failed) = (&over, &failed);
                scope.spawn(move || client(url, rows, number, started, over, failed))
            })
            .collect();
        let done = work(url, rows, beside);
        let took = started.elapsed();
        over.store(true, Ordering::SeqCst);
        let mut all = Histogram::new(3).map_err(|error| error.to_string())?;
        for client in clients {
            let seen = client.join().map_err(|_| "a client panicked")??;
            all.add(seen).map_err(|error| error.to_string())?;
        }
        done.map(|()| (all, took))
    })?;
    Ok(Seen { latency, failed: failed.load(Ordering::SeqCst), took })
}

fn work(url: &DatabaseUrl, rows: u64, beside: Beside) -> Result<(), String> {
    let said = |error: &dyn Error| error.to_string();
    match beside {
        Beside::Nothing => {
            let begun = Instant::now();
            while let Some(left) = ALONE.checked_sub(begun.elapsed()) {
                thread::park_timeout(left);
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

/// One connection of the application: statements that are due at moments of their own.
fn client(
    url: &DatabaseUrl,
    rows: u64,
    number: u64,
    started: Instant,
    over: &AtomicBool,
    failed: &AtomicU64,
) -> Result<Histogram<u64>, String> {
    let mut session = Session::open(url, &OpenOptions::write()).map_err(|e| e.to_string())?;
    let mut seen = Histogram::new(3).map_err(|error| error.to_string())?;
    let gap = Duration::from_secs(1) * u32::try_from(CONNECTIONS).unwrap_or(1)
        / u32::try_from(RATE).unwrap_or(1);
    let mut seed = 0x9e37_79b9_7f4a_7c15 ^ (number << 32);
    let mut due = started + gap / 4 * u32::try_from(number).unwrap_or(0);
    let mut count = 0_u64;
    while !over.load(Ordering::Relaxed) {
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            thread::park_timeout(left);
            continue;
        }
        let random = next(&mut seed);
        let id = random % rows + 1;
        let sql = if count.is_multiple_of(2) {
            format!("SELECT name FROM t WHERE id = {id}")
        } else {
            format!("UPDATE t SET b = b + 1 WHERE id = {id}")
        };
        count += 1;
        if session.query(&sql).is_err() {
            failed.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
        seen.saturating_record(micros);
        // Between half and one and a half of the mean gap, so that connections do not beat together.
        due += gap / 2 + gap.mul_f64((next(&mut seed) % 1000) as f64 / 1000.0);
    }
    Ok(seen)
}

/// SplitMix64: the same statements on every machine.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
