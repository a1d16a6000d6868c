//! A whole `cargo newcol add` on a project of 300 tables against `cargo metadata --no-deps` alone.
//!
//! `cargo bench -p newcol-benches --bench command [-- <path of cargo-newcol>]` builds it first; both run
//! alternately; the medians and their ratio are printed. The goal is a ratio below 2.

use std::{
    error::Error,
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};
use newcol_benches::{project, record::Figures};

const TABLES: u64 = 300;
const RUNS: usize = 41;

/// Runs a command that must succeed, without its output, and returns how long it took.
fn time(command: &mut Command) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    let status =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let time = start.elapsed();
    if status.success() { Ok(time) } else { Err(format!("{command:?} failed: {status}").into()) }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Builds the tool in release mode where no path of one is given.
fn tool() -> Result<Utf8PathBuf, Box<dyn Error>> {
    if let Some(path) = std::env::args().skip(1).find(|arg| !arg.starts_with('-')) {
        return Ok(Utf8Path::new(&path).canonicalize_utf8()?);
    }
    let here = Utf8PathBuf::from_path_buf(std::env::current_exe()?).map_err(|_| "odd path")?;
    let target = here.ancestors().nth(3).ok_or("a benchmark lies in target/release/deps")?;
    let mut build = Command::new("cargo");
    build.current_dir(env!("CARGO_MANIFEST_DIR")).env("CARGO_TARGET_DIR", target);
    build.args(["build", "--release", "--locked", "-p", "cargo-newcol"]);
    if !build.status()?.success() {
        return Err(format!("{build:?} failed").into());
    }
    Ok(target.join("release/cargo-newcol"))
}

#[expect(clippy::print_stdout, reason = "the table is what the benchmark is for")]
fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return Ok(());
    }
    let tool = tool()?;
    let dir = tempfile::tempdir()?;
    let root = Utf8Path::from_path(dir.path()).ok_or("odd path")?;
    project(root, TABLES)?;
    let schema = fs::read_to_string(root.join("src/schema.rs"))?;
    let cargo = || {
        let mut command = Command::new("cargo");
        command.current_dir(root).args(["metadata", "--no-deps", "--format-version", "1"]);
        command
    };
    // The same way as a user calls it: through Cargo, which finds it on the path.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let bin = tool.parent().ok_or("the tool has a directory")?;
    let path = std::env::join_paths(
        std::iter::once(bin.as_std_path().to_owned()).chain(std::env::split_paths(&path)),
    )?;
    let newcol = |verb: &[&str]| {
        let mut command = Command::new("cargo");
        command.current_dir(root).env("PATH", &path).arg("newcol").args(verb);
        command
    };
    let add = [
        "add",
        "table_0150.locale",
        "--type",
        "text",
        "--required",
        "--default",
        "'en'",
        "--why",
        "Because",
    ];
    let (mut metadata, mut added, mut direct) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..=RUNS {
        let bare = time(&mut cargo())?;
        let whole = time(&mut newcol(&add))?;
        time(&mut newcol(&["undo", "table_0150.locale", "--yes"]))?;
        let alone = time(Command::new(&tool).current_dir(root).arg("newcol").args(add))?;
        time(&mut newcol(&["undo", "table_0150.locale", "--yes"]))?;
        if fs::read_to_string(root.join("src/schema.rs"))? != schema {
            return Err("the schema is not what it was".into());
        }
        // The first run warms the caches.
        if run > 0 {
            metadata.push(bare);
            added.push(whole);
            direct.push(alone);
        }
    }
    let (metadata, added, direct) = (median(metadata), median(added), median(direct));
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let ratio = |time: Duration| time.as_secs_f64() / metadata.as_secs_f64();
    println!("| {TABLES} tables, medians of {RUNS} alternate runs | ms | ratio |\n|-|-:|-:|");
    println!("| cargo metadata --no-deps | {:.1} | 1.00 |", ms(metadata));
    println!("| cargo newcol add | {:.1} | {:.2} |", ms(added), ratio(added));
    println!("| cargo-newcol newcol add | {:.1} | {:.2} |", ms(direct), ratio(direct));
    let mut figures = Figures::default();
    figures.time("cargo newcol add / cargo metadata", ratio(added));
    figures.time("cargo-newcol newcol add / cargo metadata", ratio(direct));
    figures.finish("command")
}
