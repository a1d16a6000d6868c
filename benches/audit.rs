//! The audit without compiler, as ratio to one `syn` parse of the same files on as many threads, by
//! lines of code: this project's own, as often as it takes, and one module of queries for each file.
//!
//! `again` is the audit after one file has changed, with what the first one has kept: bytes in, bytes
//! out, as ratio to the first. `memory` is the peak of the process, with all texts.
//!
//! `cargo bench -p newcol-benches --bench audit` prints a table of medians; `-- PATH` reads the Rust
//! files below a path instead; `-- --test` runs every size once.

use std::{
    collections::BTreeSet,
    error::Error,
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};
use newcol_benches::record::Figures;
use newcol_core::{
    audit::{
        SourceFile, Subject,
        rust::{self, Memory},
    },
    backend::Backend,
    schema::SchemaFile,
};

const LINES: [usize; 3] = [10_000, 100_000, 1_000_000];

const SCHEMA: &str = "diesel::table! { users (id) { id -> Integer, name -> Text, } }";

const QUERIES: &str = "use crate::schema::users;
use diesel::prelude::*;

#[derive(Queryable)]
pub struct User {
    pub id: i32,
    pub name: String,
}

#[derive(Insertable, AsChangeset)]
#[diesel(table_name = users)]
pub struct NewUser<'a> {
    pub name: &'a str,
}

pub fn by_name(conn: &mut PgConnection, name: &str) -> QueryResult<Vec<User>> {
    users::table.filter(users::name.eq(name)).order(users::id.desc()).limit(10).load(conn)
}

pub fn add(conn: &mut PgConnection, new: &NewUser<'_>) -> QueryResult<usize> {
    diesel::insert_into(users::table).values(new).execute(conn)
}
";

fn read(dir: &Utf8Path, found: &mut Vec<SourceFile>) {
    let Ok(entries) = dir.read_dir_utf8() else { return };
    for entry in entries.flatten() {
        let path = entry.path().to_owned();
        if path.is_dir() && !matches!(entry.file_name(), "target" | ".git") {
            read(&path, found);
        } else if path.extension() == Some("rs")
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            found.push(SourceFile { path, text });
        }
    }
}

/// Returns about so many lines of code.
fn sources(own: &[SourceFile], lines: usize) -> Vec<SourceFile> {
    let mut found = Vec::new();
    let mut count = 0;
    for (number, file) in own.iter().cycle().enumerate() {
        for (text, name) in [(file.text.as_str(), "own"), (QUERIES, "queries")] {
            let path = Utf8PathBuf::from(format!("src/{name}_{number}.rs"));
            // No two texts are the same: what is known of one says nothing of the other.
            found.push(SourceFile { text: format!("{text}// {number}\n"), path });
            count += text.lines().count();
        }
        if count >= lines {
            break;
        }
    }
    found
}

/// Parses every file, on as many threads as there are.
fn parse(files: &[SourceFile]) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for part in 0..threads {
            scope.spawn(move || {
                for file in files.iter().skip(part).step_by(threads) {
                    proc_macro2::extra::invalidate_current_thread_spans();
                    black_box(syn::parse_file(&file.text).is_ok());
                }
            });
        }
    });
}

/// Makes the peak the memory of this moment.
fn forget_peak() {
    drop(std::fs::write("/proc/self/clear_refs", "5"));
}

/// Returns the most memory since, as the kernel says it.
fn peak() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(format!("{} MiB", kib / 1024))
}

fn time(run: impl FnOnce()) -> Duration {
    let started = Instant::now();
    run();
    started.elapsed()
}

#[expect(clippy::print_stdout, reason = "the table is what the benchmark is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let once = args.iter().any(|arg| arg == "--test");
    let given = args.iter().find(|arg| !arg.starts_with("--"));
    let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut own = Vec::new();
    read(given.map_or(root, |path| Utf8Path::new(path)), &mut own);
    own.sort_by(|a, b| a.path.cmp(&b.path));
    let parsed = SchemaFile::parse(SCHEMA).expect("a readable schema");
    let engines = BTreeSet::from([Backend::Postgres]);
    let path = "users.locale".parse().expect("a column");
    let subject = Subject::new(&path, None, (SCHEMA, &["schema".to_owned()]), &parsed, engines)
        .expect("the table is there");
    println!(
        "{:>9}  {:>9}  {:>9}  {:>5}  {:>9}  {:>5}  {:>9}  {:>9}  {:>8}",
        "lines", "parse", "audit", "ratio", "again", "ratio", "kept", "memory", "findings"
    );
    let inputs: Vec<Vec<SourceFile>> = match given {
        Some(_) => vec![own],
        None => LINES.iter().map(|lines| sources(&own, *lines)).collect(),
    };
    let mut figures = Figures::default();
    for mut files in inputs {
        let lines: usize = files.iter().map(|file| file.text.lines().count()).sum();
        let runs = if once { 1 } else { 5 };
        let (mut findings, mut kept, mut memory) = (0, Vec::new(), None);
        let (mut parses, mut audits, mut agains) = (Vec::new(), Vec::new(), Vec::new());
        // By turns: all see the same machine.
        for run in 0..runs {
            parses.push(time(|| parse(&files)));
            forget_peak();
            audits.push(time(|| {
                let memory = Memory::default();
                findings = black_box(rust::examine(&subject, &files, &memory)).len();
                kept = memory.to_store().expect("all is new");
            }));
            memory = peak();
            let changed = run * files.len() / runs;
            files[changed].text.push_str("fn changed() {}\n");
            let stored = kept.clone();
            agains.push(time(|| {
                let memory = Memory::stored(stored);
                let again = black_box(rust::examine(&subject, &files, &memory)).len();
                assert_eq!(again, findings, "a function more changes nothing");
                black_box(memory.to_store().expect("a file is new"));
            }));
        }
        [&mut parses, &mut audits, &mut agains].into_iter().for_each(|times| times.sort());
        let (parse, audit, again) = (parses[runs / 2], audits[runs / 2], agains[runs / 2]);
        let ratio = |one: Duration, other: Duration| one.as_secs_f64() / other.as_secs_f64();
        println!(
            "{lines:>9}  {parse:>9.1?}  {audit:>9.1?}  {:>5.2}  {again:>9.1?}  {:>5.2}  {:>9}  {:>9}  {findings:>8}",
            ratio(audit, parse),
            ratio(again, audit),
            format!("{:.1} MiB", kept.len() as f64 / f64::from(1 << 20)),
            memory.unwrap_or_else(|| "unknown".to_owned()),
        );
        let thousands = lines / 1000;
        figures.time(format!("audit of {thousands} k lines / syn"), ratio(audit, parse));
        figures.time(format!("again of {thousands} k lines / audit"), ratio(again, audit));
    }
    if once || given.is_some() { Ok(()) } else { figures.finish("audit") }
}
