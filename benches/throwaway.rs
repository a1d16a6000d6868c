//! How soon a test has its database, from each provider, against plain `initdb` and containers.
//!
//! `cargo bench -p newcol-benches --bench throwaway [--features docker]`: each run is a process of
//! its own in a directory of its own, as a test run is, so that its first database includes the
//! start of the server; all kinds run alternately; the medians and their ratios are printed. Goals:
//! 30 ms for a copy of a template of 60 tables, 300 ms for the first database of a run.

use std::{
    error::Error,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use newcol_benches::record::Figures;
use newcol_testkit::{ScratchDb, Want, scratch, wait::wait_until};

const TABLES: usize = 60;
/// Runs of each kind.
const RUNS: usize = 7;
/// Copies of the template in each run.
const COPIES: usize = 9;

/// Tells the process to be one of the runs.
const AS_RUN: &str = "--as-run";

/// One way to get a database.
struct Kind {
    name: &'static str,
    environment: &'static [(&'static str, &'static str)],
}

const KINDS: [Kind; 3] = [
    Kind { name: "cached data directory", environment: &[("NEWCOL_TEST_PROVIDER", "local")] },
    Kind {
        name: "`initdb` and start",
        // No directory can be made there, so nothing is cached.
        environment: &[("NEWCOL_TEST_PROVIDER", "local"), ("NEWCOL_CACHE_DIR", "/dev/null/none")],
    },
    Kind { name: "container", environment: &[("NEWCOL_TEST_PROVIDER", "docker")] },
];

/// What runs of one kind took.
#[derive(Default)]
struct Times {
    first: Vec<Duration>,
    copy: Vec<Duration>,
}

#[expect(clippy::print_stdout, reason = "the table is what the benchmark is for")]
fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return Ok(());
    }
    if std::env::args().any(|arg| arg == AS_RUN) {
        return run();
    }
    let mut all: [Times; KINDS.len()] = Default::default();
    for number in 0..=RUNS {
        for (kind, times) in KINDS.iter().zip(&mut all) {
            let Some(took) = run_of(kind)? else { continue };
            // The first run fills the cache, and the memory of the disk.
            if number > 0 {
                times.first.push(took[0]);
                times.copy.extend(&took[1..]);
            }
        }
    }
    let [cached, plain, container] = all;
    let all = || KINDS.iter().map(|kind| kind.name).zip([&cached, &plain, &container]);
    println!(
        "| first database of a run, {RUNS} runs | median ms | fastest | ratio |\n|-|-:|-:|-:|"
    );
    for (name, times) in all() {
        println!("{}", row(name, &times.first, &cached.first));
    }
    println!(
        "\n| copy of a template of {TABLES} tables | median ms | fastest | ratio |\n|-|-:|-:|-:|"
    );
    for (name, times) in all() {
        println!("{}", row(name, &times.copy, &cached.copy));
    }
    // What each test would take if it had a server of its own.
    println!("{}", row("a server for each: cached", &cached.first, &cached.copy));
    println!("{}", row("a server for each: `initdb`", &plain.first, &cached.copy));
    println!("{}", row("a server for each: container", &container.first, &cached.copy));
    let mut figures = Figures::default();
    for (name, one, other) in [
        ("first database, cached / `initdb`", &cached.first, &plain.first),
        ("first database, cached / container", &cached.first, &container.first),
        ("copy of a template / first database, cached", &cached.copy, &cached.first),
        ("copy of a template / first database, container", &cached.copy, &container.first),
    ] {
        if let (Some(one), Some(other)) = (median(one), median(other)) {
            figures.time(name, one.as_secs_f64() / other.as_secs_f64());
        }
    }
    figures.finish("throwaway")
}

/// Returns a row of a table: the ratio is of medians, the fastest tells how busy the machine was.
fn row(name: &str, times: &[Duration], base: &[Duration]) -> String {
    let (Some(middle), Some(base)) = (median(times), median(base)) else {
        return format!("| {name} | none here | | |");
    };
    let fastest = times.iter().min().unwrap_or(&middle);
    let ratio = middle.as_secs_f64() / base.as_secs_f64();
    format!("| {name} | {:.1} | {:.1} | {ratio:.2} |", ms(middle), ms(*fastest))
}

fn median(times: &[Duration]) -> Option<Duration> {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Starts a run and returns its times, the first database's first; `None` if the provider has no
/// server.
fn run_of(kind: &Kind) -> Result<Option<Vec<Duration>>, Box<dyn Error>> {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let dir = tempfile::Builder::new().prefix("newcol-bench-").tempdir_in(place)?;
    #[cfg(unix)]
    {
        // A server started by root runs as another user, who must pass through.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(dir.path(), open)?;
    }
    let output = Command::new(std::env::current_exe()?)
        .arg(AS_RUN)
        .env("NEWCOL_TEST_RUN_DIR", dir.path())
        .env("NEWCOL_TEST_IDLE_SECONDS", "0")
        .envs(kind.environment.iter().copied())
        .output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("run with {} failed: {why}", kind.name).into());
    }
    wait_until("end of the server", Duration::from_secs(60), || !has_server(dir.path()))?;
    let said = String::from_utf8(output.stdout)?;
    let times = said.lines().map(|line| line.parse().map(Duration::from_micros));
    let times: Vec<Duration> = times.collect::<Result<_, _>>()?;
    Ok((!times.is_empty()).then_some(times))
}

fn has_server(dir: &Path) -> bool {
    let homes = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let inside = homes.filter_map(|home| std::fs::read_dir(home.path()).ok()).flatten().flatten();
    inside.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("r-"))
}

/// Makes databases and prints how many microseconds each took; nothing if there is no server.
#[expect(clippy::print_stdout, reason = "read by the process that started this one")]
fn run() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let first = match ScratchDb::postgres() {
        Ok(db) => db,
        Err(error) if error.is_missing_server() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    println!("{}", start.elapsed().as_micros());
    let tables: Vec<String> = (0..TABLES).map(table).collect();
    let statements: Vec<&str> = tables.iter().map(String::as_str).collect();
    let copy = || {
        ScratchDb::from_template(Want::postgres(), &tables.concat(), |url| {
            Ok(scratch::run(url, &statements)?)
        })
    };
    // Builds the template.
    let mut kept = vec![first, copy()?];
    for _ in 0..COPIES {
        let start = Instant::now();
        let db = copy()?;
        println!("{}", start.elapsed().as_micros());
        kept.push(db);
    }
    let sql = "SELECT count(*)::text FROM pg_tables WHERE schemaname = 'public'";
    let count = kept.last().map(|db| db.rows(sql)).transpose()?;
    if count != Some(vec![vec![Some(TABLES.to_string())]]) {
        return Err(format!("a copy has {count:?} tables").into());
    }
    Ok(())
}

/// Returns the SQL of a table with three indexes.
fn table(number: usize) -> String {
    format!(
        "CREATE TABLE table_{number:02} (id bigserial PRIMARY KEY, name text NOT NULL, \
         email varchar(255) UNIQUE, active boolean NOT NULL DEFAULT true, settings jsonb, \
         amount numeric(12, 2), created_at timestamptz NOT NULL DEFAULT now()); \
         CREATE INDEX ON table_{number:02} (created_at)"
    )
}
