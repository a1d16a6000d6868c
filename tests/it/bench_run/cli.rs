//! The command itself: what it writes, what it compares, and what it leaves behind.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use insta::assert_snapshot;
use newcol_testkit::{Project, ScratchDb, Want, wait::wait_until};

use super::engines::{CONTRACT, CREATE};
use crate::desk::{self, Tree, newcol, said};

fn project(engine: &str) -> Project {
    desk::one_table(engine, CREATE, CONTRACT)
}

#[test]
fn a_dry_run_says_what_it_would_do_and_starts_nothing() {
    let project = project("postgres");
    let before = Tree::of(project.root());
    let run =
        newcol(&project, &["bench", "t.c", "--rows", "1000000", "--rate", "200", "--dry-run"]);
    assert_snapshot!(said(&run), @"
    exit code: 0
    ----- stdout -----
    would measure t.c:
      start a PostgreSQL server of its own, and make a table of 1 000 000 rows
      fill it with nobody else there, each time a copy: cargo newcol backfill, ranges of the key, one UPDATE, index before backfill, helper index on IS NULL, a snapshot held meanwhile
      insert and look up with and without the index, in turn
      let users come with 200 requests/s: [DURATION] before, while it is filled and indexed, [DURATION] after
      about 2 min to 33 min
    ----- stderr -----
    ");
    assert_eq!(Tree::of(project.root()), before);
}

#[test]
fn a_run_is_written_down_and_compared() {
    let project = project("sqlite");
    let run = |rows: &str, file: &str| {
        let args = ["bench", "t.c", "--rows", rows, "--duration", "1s", "--rate", "20"];
        newcol(&project, &[&args[..], &["--json", file, "--html", "page.html"]].concat()).success()
    };
    let told = said(&run("300", "a.json"));
    assert!(told.contains("note: SQLite has no log of its own to count"), "{told}");
    assert!(told.contains("note: rows are made up from the schema"), "{told}");
    let page = project.read("page.html").unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("Benchmark of t.c"));
    let compare = |a: &str, b: &str| newcol(&project, &["bench", "compare", a, b]);
    let same = compare("a.json", "a.json");
    assert_eq!(same.code(), Some(0), "{}", said(&same));
    let args = ["bench", "t.c", "--rows", "10", "--no-users", "--message-format", "json"];
    let line = newcol(&project, &args).success().stdout;
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&line["reason"], &line["run"]["conditions"]["rows"]),
        (&"newcol-bench".into(), &10.into())
    );
    drop(run("400", "b.json"));
    assert_snapshot!(said(&compare("a.json", "b.json")), @"
    exit code: 101
    ----- stdout -----
    not comparable:
    - another scale: `300 rows` and `400 rows`
    ----- stderr -----
    ");
    assert_snapshot!(said(&compare("a.json", "Cargo.toml")), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: this is no run of the benchmark
      --> Cargo.toml
      because: expected value at line 1 column 2
    help: write one with `cargo newcol bench <table.column> --json FILE`
    ");
    assert_snapshot!(said(&compare("a.json", "c.json")), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: could not read the file
      --> c.json
      because: No such file or directory (os error 2)
    ");
}

#[test]
fn what_cannot_be_measured_is_said() {
    let other = CONTRACT.replace("fill = 'lower(name)'", "rust = 'crate::locale'");
    let other = other.replace("by = 'trigger'", "by = 'nobody'");
    let project = desk::one_table("sqlite", CREATE, &other);
    assert_snapshot!(said(&newcol(&project, &["bench", "t.c", "--rows", "10"])), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: old rows are computed by code of the application, which a benchmark does not run
    help: measure it with `[old_rows] fill`, a SQL expression that costs as much
    ");
    assert_snapshot!(said(&newcol(&project, &["bench"])), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: the following required arguments were not provided:
      <COLUMN>

    Usage: cargo newcol bench <COLUMN>

    For more information, try '--help'.
    ");
    let sqlite = desk::one_table("sqlite", CREATE, CONTRACT);
    assert_snapshot!(said(&newcol(&sqlite, &["bench", "t.c", "--standby"])), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: no standby can be started
      because: SQLite has no server that another one could follow
    help: measure without `--standby`
    ");
    let args = ["bench", "t.c", "--load", "half"];
    assert_snapshot!(said(&newcol(&project, &args)), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value 'half' for '--load <SHARE>': not a share such as `50%`

    For more information, try '--help'.
    ");
}

#[test]
fn ctrl_c_leaves_no_server_behind() {
    if ScratchDb::require(Want::postgres().version(15)).is_none() {
        return;
    }
    let project = project("postgres");
    let home = tempfile::Builder::new().prefix("newcol-bench-").tempdir_in("/dev/shm").unwrap();
    // A server started by root runs as another user, who must pass through.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(home.path(), open).unwrap();
    let args =
        ["bench", "t.c", "--rows", "2000", "--rate", "20", "--duration", "10m", "--server", "15"];
    let mut bench: Command = desk::tool(project.root(), &args).command();
    let bench = bench.env("NEWCOL_TEST_RUN_DIR", home.path()).env("NEWCOL_TEST_IDLE_SECONDS", "0");
    let mut bench = bench.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(bench.stderr.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line == "users come: nothing is done yet").unwrap();
    assert!(servers(home.path()) > 0);
    let id = bench.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(bench.wait().unwrap().code(), Some(101), "{rest:?}");
    assert_eq!(rest, ["error: stopped before the end; nothing is left behind"]);
    let gone = || servers(home.path()) == 0;
    wait_until("end of the server", Duration::from_secs(30), gone).unwrap();
}

/// Counts servers that run below a directory.
fn servers(home: &Path) -> usize {
    let homes = std::fs::read_dir(home).into_iter().flatten().flatten();
    let inside = homes.filter_map(|home| std::fs::read_dir(home.path()).ok()).flatten().flatten();
    inside.filter(|entry| entry.file_name().to_string_lossy().starts_with("r-")).count()
}
