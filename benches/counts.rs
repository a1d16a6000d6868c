//! What filling and indexing a column writes, counted: bytes of log for each row.
//!
//! `cargo bench -p newcol-benches --bench counts`. Counts hardly depend on the machine, so what grows by
//! more than 2 % over the record is an error. Criterion measures them in the place of time, and shows how
//! much they vary.

use std::error::Error;

use criterion::{
    Criterion, SamplingMode, Throughput,
    measurement::{Measurement, ValueFormatter},
};
use newcol_benches::record::Figures;
use newcol_core::{
    contract::read::read,
    db::{DatabaseUrl, OpenOptions, Session},
    execute::{
        backfill::{Answer, Backfill, Outcome, Settings},
        pace,
    },
};
use newcol_testkit::{ScratchDb, Want};

const CONTRACT: &str = "format = 1\ntable = \"t\"\ncolumn = \"c\"\nwhy = \"measure\"\n\
    type = \"bigint\"\nrequired = true\n[old_rows]\nfill = \"a * 7 + b\"\n";

/// What is done to the table.
#[derive(Debug, Clone, Copy)]
enum Work {
    /// One plain `UPDATE`.
    Plain,
    /// The job.
    Job,
    /// One plain `UPDATE`, with the index there before it.
    Indexed,
    /// The index is built on the filled column.
    Build,
}

impl Work {
    const ALL: [Self; 4] = [Self::Plain, Self::Job, Self::Indexed, Self::Build];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "one plain UPDATE",
            Self::Job => "the job",
            Self::Indexed => "one plain UPDATE with the index",
            Self::Build => "build of the index",
        }
    }

    fn rows(self) -> u64 {
        match self {
            Self::Plain | Self::Job | Self::Indexed => 20_000,
            // It writes little, and the catalog's pages come on top.
            Self::Build => 200_000,
        }
    }
}

/// A table in the state before, with so many more indexes.
fn prepare(session: &mut Session, indexes: usize, work: Work) -> Result<(), Box<dyn Error>> {
    let mut all = vec![
        "DROP TABLE IF EXISTS t, __newcol_backfill, __newcol_backfill_part".to_owned(),
        "CREATE TABLE t (id bigint PRIMARY KEY, a bigint NOT NULL, b bigint NOT NULL, name text NOT NULL)"
            .to_owned(),
        format!(
            "INSERT INTO t SELECT n, n % 1009, n % 7919, 'a name of some length, number ' || n \
             FROM generate_series(1, {}::bigint) AS s (n)",
            work.rows()
        ),
    ];
    for (column, _) in ["a", "b"].iter().zip(0..indexes) {
        all.push(format!("CREATE INDEX ON t ({column})"));
    }
    all.push("ALTER TABLE t ADD COLUMN c bigint".to_owned());
    match work {
        Work::Plain | Work::Job => {}
        Work::Indexed => all.push("CREATE INDEX ON t (c)".to_owned()),
        Work::Build => all.push("UPDATE t SET c = a * 7 + b".to_owned()),
    }
    all.extend(["VACUUM (FREEZE, ANALYZE) t".to_owned(), "CHECKPOINT".to_owned()]);
    for sql in all {
        session.query(&sql)?;
    }
    Ok(())
}

/// Returns the bytes of log that the work wrote for each row.
fn log(url: &DatabaseUrl, indexes: usize, work: Work) -> Result<f64, Box<dyn Error>> {
    let mut session = Session::open(url, &OpenOptions::write())?;
    prepare(&mut session, indexes, work)?;
    let place = |session: &mut Session| -> Result<f64, Box<dyn Error>> {
        let place = session.value("SELECT pg_current_wal_insert_lsn() - '0/0'")?;
        Ok(place.unwrap_or_default().parse()?)
    };
    let before = place(&mut session)?;
    match work {
        Work::Plain | Work::Indexed => session.batch("UPDATE t SET c = a * 7 + b")?,
        Work::Build => session.batch("CREATE INDEX ON t (c)")?,
        Work::Job => {
            let contract = read(CONTRACT).map_err(|_| "the contract is wrong")?.contract;
            let settings = Settings { pace: pace::Settings::full_speed(), ..Settings::default() };
            let job = Backfill::new(&contract, url, OpenOptions::write()).settings(settings);
            match job.run(&|_| Answer::Go)? {
                Outcome::Done(receipt) if receipt.differing == Some(0) => {}
                other => return Err(format!("the job ended with {other:?}").into()),
            }
        }
    }
    Ok((place(&mut session)? - before) / work.rows() as f64)
}

/// Bytes of log in the place of time.
struct Log;

impl Measurement for Log {
    type Intermediate = ();
    type Value = f64;

    /// Nothing is measured from here: who runs the work returns what it wrote.
    fn start(&self) -> Self::Intermediate {}

    fn end(&self, (): Self::Intermediate) -> Self::Value {
        0.0
    }

    fn add(&self, one: &f64, other: &f64) -> f64 {
        one + other
    }

    fn zero(&self) -> f64 {
        0.0
    }

    fn to_f64(&self, value: &f64) -> f64 {
        *value
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &Bytes
    }
}

struct Bytes;

impl ValueFormatter for Bytes {
    fn scale_values(&self, _: f64, _: &mut [f64]) -> &'static str {
        "B/row"
    }

    fn scale_throughputs(&self, _: f64, _: &Throughput, _: &mut [f64]) -> &'static str {
        "B/row"
    }

    fn scale_for_machines(&self, _: &mut [f64]) -> &'static str {
        "B/row"
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return Ok(());
    }
    let db = ScratchDb::new(Want::postgres().private())?;
    newcol_benches::as_in_production(db.url())?;
    let url = DatabaseUrl::parse(db.url())?;
    let mut criterion = Criterion::default().with_measurement(Log).configure_from_args();
    let mut figures = Figures::default();
    let mut failed = None;
    for indexes in [0, 2] {
        let mut group = criterion.benchmark_group(format!("log, {indexes} more indexes"));
        group.sampling_mode(SamplingMode::Flat).sample_size(10);
        for work in Work::ALL {
            let mut seen = Vec::new();
            group.bench_function(work.name(), |bencher| {
                bencher.iter_custom(|runs| {
                    let written = (0..runs).map(|_| log(&url, indexes, work));
                    written.fold(0.0, |sum, written| match written {
                        Ok(written) => {
                            seen.push(written);
                            sum + written
                        }
                        Err(error) => {
                            failed.get_or_insert(error);
                            sum
                        }
                    })
                });
            });
            // Whatever else the server writes comes on top.
            if let Some(least) = seen.into_iter().min_by(f64::total_cmp) {
                let name = format!("{}, {indexes} more indexes: B/row", work.name());
                figures.count(name, least);
            }
        }
        group.finish();
    }
    criterion.final_summary();
    match failed {
        Some(error) => Err(error),
        None => figures.finish("counts"),
    }
}
