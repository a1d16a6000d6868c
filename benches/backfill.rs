//! The backfill job against one plain `UPDATE`, on a server of its own: speed, log, growth, HOT.
//!
//! `cargo bench -p newcol-benches --bench backfill [-- <rows or engines>...]`: each scenario fills the same
//! table twice, once by one plain `UPDATE`, once by the job at full speed, in turn, from a vacuumed
//! table right after a checkpoint; one table with the ratios is printed. The time of the job
//! includes its proving pass, which the plain `UPDATE` does not have; "filling alone" is the ratio without.

use std::{
    error::Error,
    num::NonZeroU32,
    sync::Mutex,
    time::{Duration, Instant},
};

use newcol_benches::record::Figures;
use newcol_core::{
    backend::Backend,
    contract::{Contract, read::read},
    db::{DatabaseUrl, OpenOptions, Session},
    execute::{
        backfill::{Answer, Backfill, Event, Outcome, Phase, Settings},
        pace,
    },
};
use newcol_testkit::{ScratchDb, Want};

/// What makes a table another one.
#[derive(Debug, Clone, Copy)]
struct Scenario {
    backend: Backend,
    key: Key,
    /// Indexes besides that of the key.
    indexes: usize,
    rows: u64,
    workers: u32,
}

impl Scenario {
    fn name(&self) -> String {
        let Self { backend, key, indexes, rows, workers } = self;
        format!("{backend}, {rows} rows, key {}, {indexes} indexes, {workers} workers", key.name())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Bigint,
    Uuid,
    Composite,
    None,
}

impl Key {
    fn name(self) -> &'static str {
        match self {
            Self::Bigint => "bigint",
            Self::Uuid => "uuid",
            Self::Composite => "composite",
            Self::None => "none",
        }
    }
}

/// What a way of filling cost.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    time: Duration,
    /// Without the passes that look at every row.
    filling: Duration,
    log: f64,
    heap: f64,
    index: f64,
    hot: f64,
}

const CONTRACT: &str = "format = 1\ntable = \"t\"\ncolumn = \"c\"\nwhy = \"measure\"\n\
    type = \"bigint\"\nrequired = true\n[old_rows]\nfill = \"a * 7 + b\"\n";

/// Runs of each way, of which the median by time counts.
const RUNS: usize = 3;

#[expect(clippy::print_stdout, reason = "the table is what the benchmark is for")]
fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return Ok(());
    }
    let sizes: Vec<u64> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![10_000, 100_000, 1_000_000] } else { sizes };
    let contract = read(CONTRACT).map_err(|_| "the contract is wrong")?.contract;
    println!(
        "| engine | key | more indexes | rows | workers | plain rows/s | job rows/s | ratio | filling alone \
         | log B/row | ratio | heap | plain | index | plain | HOT % |\n\
         |-|-|-:|-:|-:|-:|-:|-:|-:|-:|-:|-:|-:|-:|-:|-:|"
    );
    let mut figures = Figures::default();
    let named: Vec<Backend> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    for backend in Backend::ALL.into_iter().filter(|b| named.is_empty() || named.contains(b)) {
        let want = Want::from(backend);
        let want = if backend == Backend::Sqlite { want } else { want.private() };
        let db = ScratchDb::new(want)?;
        if backend == Backend::Postgres {
            newcol_benches::as_in_production(db.url())?;
        }
        for scenario in scenarios(backend, &sizes) {
            let mut costs = [Vec::new(), Vec::new()];
            for _ in 0..RUNS {
                costs[0].push(run(&scenario, &contract, db.url(), Way::Plain)?);
                costs[1].push(run(&scenario, &contract, db.url(), Way::Job)?);
            }
            let [plain, job] = costs.map(median);
            println!("{}", row(&scenario, &plain, &job));
            let name = scenario.name();
            figures.time(format!("{name}: time / plain"), ratio(job.time, plain.time));
        }
    }
    figures.finish("backfill")
}

fn scenarios(backend: Backend, sizes: &[u64]) -> Vec<Scenario> {
    let base = Scenario { backend, key: Key::Bigint, indexes: 0, rows: 0, workers: 1 };
    let mut all = Vec::new();
    for rows in sizes {
        all.push(Scenario { rows: *rows, ..base });
        all.push(Scenario { rows: *rows, indexes: 2, ..base });
    }
    let rows = sizes.iter().copied().filter(|rows| *rows <= 1_000_000).max().unwrap_or(100_000);
    for key in [Key::Uuid, Key::Composite, Key::None] {
        if key != Key::None || backend != Backend::Mysql {
            all.push(Scenario { key, rows, ..base });
        }
    }
    if backend != Backend::Sqlite {
        all.push(Scenario { workers: 2, rows, ..base });
    }
    all
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    Job,
}

fn run(
    scenario: &Scenario,
    contract: &Contract,
    url: &str,
    way: Way,
) -> Result<Cost, Box<dyn Error>> {
    let url = DatabaseUrl::parse(url)?;
    let mut session = Session::open(&url, &OpenOptions::create())?;
    for sql in table(scenario) {
        session.query(&sql).map_err(|error| format!("{error}: {:?}", error.failure()))?;
    }
    let before = Sizes::read(&mut session)?;
    let started = Instant::now();
    let filled = Mutex::new(None);
    match way {
        Way::Plain => session.batch("UPDATE t SET c = a * 7 + b")?,
        Way::Job => {
            let settings = Settings {
                workers: NonZeroU32::new(scenario.workers).unwrap_or(NonZeroU32::MIN),
                pace: pace::Settings::full_speed(),
                ..Settings::default()
            };
            let job = Backfill::new(contract, &url, OpenOptions::write()).settings(settings);
            match job.run(&|event| {
                if let (Event::Pass { phase: Phase::Proving, .. }, Ok(mut filled)) =
                    (event, filled.lock())
                {
                    filled.get_or_insert_with(|| started.elapsed());
                }
                Answer::Go
            })? {
                Outcome::Done(receipt) if receipt.differing == Some(0) => {}
                other => return Err(format!("the job ended with {other:?}").into()),
            }
        }
    }
    let time = started.elapsed();
    let after = Sizes::read(&mut session)?;
    let wrong = session.value("SELECT count(*) FROM t WHERE c IS NULL OR c <> a * 7 + b")?;
    if wrong.as_deref() != Some("0") {
        return Err(format!("{wrong:?} rows are wrong after {way:?}").into());
    }
    let rows = scenario.rows as f64;
    let grown = |before: f64, after: f64| if before > 0.0 { after / before } else { 0.0 };
    let filling = filled.into_inner().ok().flatten().unwrap_or(time);
    Ok(Cost {
        time,
        filling,
        log: (after.log - before.log) / rows,
        heap: grown(before.heap, after.heap),
        index: grown(before.index, after.index),
        hot: 100.0 * (after.hot - before.hot) / rows,
    })
}

/// Statements that make the table anew, as it is right before the backfill.
fn table(scenario: &Scenario) -> Vec<String> {
    let Scenario { backend, key, indexes, rows, .. } = scenario;
    let mut all: Vec<String> = vec!["DROP TABLE IF EXISTS t".to_owned()];
    for name in ["__newcol_backfill", "__newcol_backfill_part"] {
        all.push(format!("DROP TABLE IF EXISTS {name}"));
    }
    let (columns, primary) = match key {
        Key::Bigint => ("id bigint NOT NULL", ", PRIMARY KEY (id)"),
        Key::Uuid if *backend == Backend::Postgres => ("id uuid NOT NULL", ", PRIMARY KEY (id)"),
        Key::Uuid => ("id char(36) NOT NULL", ", PRIMARY KEY (id)"),
        Key::Composite => {
            ("tenant bigint NOT NULL, number bigint NOT NULL", ", PRIMARY KEY (tenant, number)")
        }
        Key::None => ("id bigint NOT NULL", ""),
    };
    all.push(format!(
        "CREATE TABLE t ({columns}, a bigint NOT NULL, b bigint NOT NULL, \
         name varchar(80) NOT NULL{primary})"
    ));
    let value = match (key, backend) {
        (Key::Bigint | Key::None, _) => "n",
        (Key::Uuid, Backend::Postgres) => "md5(n::text)::uuid",
        (Key::Uuid, Backend::Mysql) => "insert(md5(n), 9, 0, '-')",
        (Key::Uuid, Backend::Sqlite) => "printf('%08x-%08x', (n * 2654435761) % 4294967296, n)",
        (Key::Composite, _) => "n % 100, n",
    };
    let source = match backend {
        Backend::Postgres => format!("generate_series(1, {rows}::bigint) AS s (n)"),
        Backend::Mysql => format!("(SELECT seq AS n FROM seq_1_to_{rows}) AS s"),
        Backend::Sqlite => format!(
            "(WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) \
             SELECT n FROM s)"
        ),
    };
    let name = match backend {
        Backend::Postgres | Backend::Sqlite => "'a name of some length, number ' || n",
        Backend::Mysql => "concat('a name of some length, number ', n)",
    };
    all.push(format!("INSERT INTO t SELECT {value}, n % 1009, n % 7919, {name} FROM {source}"));
    for (column, _) in ["a", "b"].iter().zip(0..*indexes) {
        all.push(format!("CREATE INDEX t_{column}_idx ON t ({column})"));
    }
    all.push("ALTER TABLE t ADD COLUMN c bigint".to_owned());
    match backend {
        Backend::Postgres => {
            all.extend(["VACUUM (FREEZE, ANALYZE) t".to_owned(), "CHECKPOINT".to_owned()]);
        }
        Backend::Mysql => all.push("ANALYZE TABLE t".to_owned()),
        Backend::Sqlite => all.push("ANALYZE t".to_owned()),
    }
    all
}

/// Log written so far, and sizes in bytes.
#[derive(Debug, Default)]
struct Sizes {
    log: f64,
    heap: f64,
    index: f64,
    hot: f64,
}

impl Sizes {
    fn read(session: &mut Session) -> Result<Self, Box<dyn Error>> {
        let sql = match session.backend() {
            Backend::Postgres => {
                // The counts of a session that is over arrive a moment later.
                "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0'), \
                 pg_relation_size('t'), pg_indexes_size('t'), pg_stat_get_tuples_hot_updated('t'::regclass)"
            }
            Backend::Mysql => {
                "SELECT (SELECT variable_value FROM information_schema.global_status \
                 WHERE variable_name = 'Innodb_os_log_written'), 0, 0, 0"
            }
            Backend::Sqlite => "SELECT 0, page_count * 4096, 0, 0 FROM pragma_page_count()",
        };
        let row = session.query(sql)?.into_iter().next().unwrap_or_default();
        let mut numbers =
            row.into_iter().map(|v| v.and_then(|v| v.parse::<f64>().ok()).unwrap_or_default());
        let mut next = || numbers.next().unwrap_or_default();
        Ok(Self { log: next(), heap: next(), index: next(), hot: next() })
    }
}

fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by_key(|cost| cost.time);
    costs.get(costs.len() / 2).copied().unwrap_or_default()
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

fn row(scenario: &Scenario, plain: &Cost, job: &Cost) -> String {
    let Scenario { backend, key, indexes, rows, workers } = scenario;
    let speed = |cost: &Cost| *rows as f64 / cost.time.as_secs_f64();
    // What an engine does not count is nothing.
    let counted = |value: f64, digits: usize| match value > 0.0 {
        true => format!("{value:.digits$}"),
        false => "-".to_owned(),
    };
    format!(
        "| {backend} | {} | {indexes} | {rows} | {workers} | {:.0} | {:.0} | {:.2} | {:.2} | {} | {} | {} | {} \
         | {} | {} | {} |",
        key.name(),
        speed(plain),
        speed(job),
        speed(job) / speed(plain),
        plain.time.as_secs_f64() / job.filling.as_secs_f64(),
        counted(job.log, 0),
        counted(job.log / plain.log, 2),
        counted(job.heap, 2),
        counted(plain.heap, 2),
        counted(job.index, 2),
        counted(plain.index, 2),
        counted(job.hot, 0),
    )
}
