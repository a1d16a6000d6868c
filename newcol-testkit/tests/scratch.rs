//! Databases from every provider, shared by processes and swept after killed ones.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use newcol_core::backend::Backend;
use newcol_testkit::{ScratchDb, Want, wait::wait_until};

const LIMIT: Duration = Duration::from_secs(60);

fn one(db: &ScratchDb, sql: &str) -> String {
    db.rows(sql).unwrap().remove(0).remove(0).unwrap()
}

#[test]
fn every_backend_gives_an_empty_database_that_works() {
    for backend in Backend::ALL {
        let Some(db) = ScratchDb::require(backend) else { continue };
        db.run(&["CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (7)"]).unwrap();
        assert_eq!(one(&db, "SELECT CAST(a AS CHAR(1)) FROM t"), "7");
        let other = ScratchDb::new(backend).unwrap();
        assert_ne!(db.url(), other.url());
        assert!(other.rows("SELECT a FROM t").is_err(), "{backend} shares tables");
    }
}

#[test]
fn sqlite_in_memory_is_shared_by_connections() {
    let db = ScratchDb::new(Want::sqlite().in_memory()).unwrap();
    db.run(&["CREATE TABLE t (a TEXT)", "INSERT INTO t VALUES ('x')"]).unwrap();
    assert_eq!(one(&db, "SELECT a FROM t"), "x");
}

#[test]
fn a_dropped_database_goes_away() {
    for backend in [Backend::Postgres, Backend::Mysql] {
        let Some(db) = ScratchDb::require(backend) else { continue };
        let url = db.url().to_owned();
        let watcher = ScratchDb::new(backend).unwrap();
        let name = url.rsplit('/').next().unwrap();
        let count = match backend {
            Backend::Postgres => {
                format!("SELECT count(*)::text FROM pg_database WHERE datname = '{name}'")
            }
            Backend::Mysql | Backend::Sqlite => format!(
                "SELECT CAST(count(*) AS CHAR) FROM information_schema.schemata \
                 WHERE schema_name = '{name}'"
            ),
        };
        assert_eq!(one(&watcher, &count), "1");
        drop(db);
        wait_until("dropped database", LIMIT, || one(&watcher, &count) == "0").unwrap();
    }
}

#[test]
fn a_template_is_built_once_and_copied() {
    let recipe = format!("recipe of {:?}", Instant::now());
    let mut built = 0;
    for _ in 0..3 {
        let made = ScratchDb::from_template(Want::postgres(), &recipe, |url| {
            built += 1;
            newcol_testkit::scratch::run(
                url,
                &["CREATE TABLE t (a text)", "INSERT INTO t VALUES ('x')"],
            )?;
            Ok(())
        });
        let db = match made {
            Ok(db) => db,
            Err(error) if error.is_missing_server() => {
                assert!(ScratchDb::require(Backend::Postgres).is_none());
                return;
            }
            Err(error) => panic!("{error:?}"),
        };
        assert_eq!(one(&db, "SELECT a FROM t"), "x");
        db.run(&["DROP TABLE t"]).unwrap();
    }
    assert_eq!(built, 1);
}

#[test]
fn a_failed_build_names_its_recipe_and_leaves_no_template() {
    if ScratchDb::require(Backend::Postgres).is_none() {
        return;
    }
    let recipe = format!("broken {:?}", Instant::now());
    for _ in 0..2 {
        let error = ScratchDb::from_template(Want::postgres(), &recipe, |_| Err("no".into()));
        assert!(error.unwrap_err().to_string().contains("broken"));
    }
}

#[test]
fn postgres_versions_run_side_by_side() {
    let mut dbs = Vec::new();
    for major in [13, 15, 18] {
        let Some(db) = ScratchDb::require(Want::postgres().version(major)) else { continue };
        assert_eq!(db.server().unwrap().major, major);
        dbs.push((major, db));
    }
    for (major, db) in &dbs {
        assert!(one(db, "SELECT version()").contains(&format!("PostgreSQL {major}")));
    }
}

#[test]
fn a_private_server_survives_a_crash_with_what_was_committed() {
    for backend in [Backend::Postgres, Backend::Mysql] {
        if ScratchDb::require(backend).is_none() {
            continue;
        }
        let db = match ScratchDb::new(Want::from(backend).private()) {
            Ok(db) => db,
            // Only a given server, and no programs to start one of our own.
            Err(error) if error.is_missing_server() => continue,
            Err(error) => panic!("{error:?}"),
        };
        db.run(&["CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (7)"]).unwrap();
        db.crash_server().unwrap();
        assert_eq!(one(&db, "SELECT CAST(a AS CHAR(1)) FROM t"), "7");
    }
}

#[test]
fn a_missing_version_is_reported_with_what_was_tried() {
    let error = ScratchDb::new(Want::postgres().version(7)).unwrap_err();
    assert!(error.is_missing_server());
    let text = error.to_string();
    assert!(text.contains("NEWCOL_TEST_POSTGRES_URL"), "{text}");
    assert!(text.contains("NEWCOL_PG_BIN"), "{text}");
}

#[test]
fn a_failed_test_keeps_its_database() {
    let thread = std::thread::spawn(|| {
        let db = ScratchDb::sqlite().unwrap();
        db.run(&["CREATE TABLE t (a INTEGER)"]).unwrap();
        std::panic::panic_any(db.url().to_owned());
    });
    let url = *thread.join().unwrap_err().downcast::<String>().unwrap();
    assert!(std::fs::exists(&url).unwrap());
    std::fs::remove_dir_all(PathBuf::from(&url).parent().unwrap()).unwrap();
}

#[test]
fn a_database_can_be_made_and_dropped_inside_a_runtime() {
    let Some(db) = ScratchDb::require(Backend::Postgres) else { return };
    drop(db);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let db = ScratchDb::postgres().unwrap();
        assert_eq!(one(&db, "SELECT 'x'"), "x");
    });
}

/// A process of its own that makes a database, prints the URL and lives until it is told to end.
struct Other {
    child: Child,
    /// Kept open: a process that cannot print its result fails.
    _stdout: ChildStdout,
    url: String,
}

impl Other {
    /// Starts a process that looks for servers under a directory of its own.
    fn start(backend: Backend, run_dir: &str) -> Self {
        let none = ["NEWCOL_TEST_POSTGRES_URL", "NEWCOL_TEST_MYSQL_URL"].map(|name| (name, ""));
        Self::start_with(backend, run_dir, none)
    }

    fn start_with(backend: Backend, run_dir: &str, urls: [(&str, &str); 2]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "another_process", "--nocapture"])
            .env("NEWCOL_TESTKIT_OTHER", backend.name())
            .env("NEWCOL_TEST_RUN_DIR", run_dir)
            .env("NEWCOL_TEST_IDLE_SECONDS", "2")
            .envs(urls)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let lines = BufReader::new(&mut stdout).lines();
        let url = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("OTHER ")?.1.to_owned()))
            .unwrap();
        Self { child, _stdout: stdout, url }
    }

    fn server(&self) -> &str {
        self.url.rsplit_once('/').unwrap().0
    }

    fn name(&self) -> &str {
        self.url.rsplit_once('/').unwrap().1
    }

    fn databases(&self) -> Vec<String> {
        databases(&self.url)
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn databases(url: &str) -> Vec<String> {
    let sql = match Backend::of_url(url) {
        Backend::Postgres => "SELECT datname::text FROM pg_database ORDER BY 1",
        Backend::Mysql | Backend::Sqlite => {
            "SELECT CAST(schema_name AS CHAR) FROM information_schema.schemata ORDER BY 1"
        }
    };
    let rows = newcol_testkit::scratch::rows(url, sql).unwrap();
    rows.into_iter().flatten().flatten().collect()
}

/// Not a test of its own: what [`Other`] runs.
#[test]
fn another_process() {
    let Some(backend) = std::env::var_os("NEWCOL_TESTKIT_OTHER") else { return };
    let backend: Backend = backend.to_str().unwrap().parse().unwrap();
    let db = ScratchDb::new(backend).unwrap();
    println!("\nOTHER {}", db.url());
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

fn server_processes(dir: &str) -> usize {
    let proc = std::fs::read_dir("/proc").unwrap().flatten();
    proc.filter(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.contains(dir) && !line.contains("newcol-supervisor")
    })
    .count()
}

fn run_dir() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("newcol-run-").tempdir_in("/dev/shm").unwrap();
    // A server started by root runs as another user, who must pass through.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(dir.path(), open).unwrap();
    dir
}

fn has_server(backend: Backend) -> bool {
    ScratchDb::new(Want::from(backend).private()).map(|_| true).unwrap_or_else(|error| {
        assert!(error.is_missing_server(), "{error}");
        ScratchDb::require(backend).is_some_and(|_| false)
    })
}

#[cfg(target_os = "linux")]
#[test]
fn processes_share_a_server_that_sweeps_the_killed_and_ends_after_the_last() {
    for backend in [Backend::Postgres, Backend::Mysql] {
        if !has_server(backend) {
            continue;
        }
        let dir = run_dir();
        let run = dir.path().to_str().unwrap();
        let first = Other::start(backend, run);
        let second = Other::start(backend, run);
        assert_eq!(first.server(), second.server(), "one server");
        assert_eq!(server_processes(run), 1);

        // The killed one's database is swept by the next start, the living one's is not.
        let gone = second.name().to_owned();
        second.kill();
        let third = Other::start(backend, run);
        wait_until("sweep", LIMIT, || !first.databases().contains(&gone)).unwrap();
        let left = first.databases();
        assert!(left.iter().any(|name| name == first.name()), "{left:?}");
        assert!(left.iter().any(|name| name == third.name()), "{left:?}");

        // Nobody is left, nobody cleaned up: the supervisor does.
        third.kill();
        first.kill();
        wait_until("end of the server", LIMIT, || server_processes(run) == 0).unwrap();
        wait_until("removal of its data", LIMIT, || runs(run) == 0).unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_without_supervisor_is_swept_by_the_next_start_only_when_free() {
    if !has_server(Backend::Postgres) || !has_server(Backend::Mysql) {
        return;
    }
    let dir = run_dir();
    let run = dir.path().to_str().unwrap();
    let postgres = Other::start(Backend::Postgres, run);
    kill_supervisors(run);

    // In use: the start of another server leaves it alone, supervisor or not.
    let mysql = Other::start(Backend::Mysql, run);
    assert_eq!(server_processes(run), 2);
    assert!(postgres.databases().iter().any(|name| name == postgres.name()));
    mysql.kill();
    kill_supervisors(run);
    postgres.kill();
    assert_eq!(server_processes(run), 2, "both orphaned");

    // A home's own next user adopts its server; the start of yet another would sweep it.
    let adopter = Other::start(Backend::Mysql, run);
    assert_eq!(server_processes(run), 2);
    drop(adopter);
    std::fs::remove_file(state_file(run, "mariadb")).unwrap();
    let starter = Other::start(Backend::Mysql, run);
    assert_eq!(server_processes(run), 1, "the free PostgreSQL and the lost MariaDB are swept");
    starter.kill();
    wait_until("end of the server", LIMIT, || server_processes(run) == 0).unwrap();
    wait_until("removal of its data", LIMIT, || runs(run) == 0).unwrap();
}

#[test]
fn a_given_server_is_left_as_it_was() {
    for backend in [Backend::Postgres, Backend::Mysql] {
        if !has_server(backend) {
            continue;
        }
        let server = ScratchDb::new(Want::from(backend).private()).unwrap();
        let dir = run_dir();
        let run = dir.path().to_str().unwrap();
        let urls =
            ["NEWCOL_TEST_POSTGRES_URL", "NEWCOL_TEST_MYSQL_URL"].map(|name| (name, server.url()));
        let start = || Other::start_with(backend, run, urls);
        let first = start();
        assert_eq!(first.server(), server.url().rsplit_once('/').unwrap().0);
        assert_eq!(server_processes(run), 0, "no server of our own");
        let before = first.databases();
        let second = start();
        let killed = second.name().to_owned();
        second.kill();
        let third = start();
        wait_until("sweep", LIMIT, || !first.databases().contains(&killed)).unwrap();
        third.end();
        assert_eq!(first.databases(), before);
        assert!(before.iter().any(|name| name == first.name()));
        first.end();
        let left = databases(server.url());
        assert_eq!(left.iter().filter(|name| name.starts_with("newcol_d_")).count(), 1, "{left:?}");
    }
}

fn runs(dir: &str) -> usize {
    let homes = std::fs::read_dir(dir).unwrap().flatten();
    let inside = homes.filter_map(|home| std::fs::read_dir(home.path()).ok()).flatten().flatten();
    inside.filter(|entry| entry.file_name().to_str().unwrap().starts_with("r-")).count()
}

fn state_file(dir: &str, prefix: &str) -> PathBuf {
    let mut homes = std::fs::read_dir(dir).unwrap().flatten();
    let home = homes.find(|home| home.file_name().to_str().unwrap().starts_with(prefix)).unwrap();
    home.path().join("state")
}

fn kill_supervisors(dir: &str) {
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        if line.contains("newcol-supervisor") && line.contains(dir) {
            let pid = entry.file_name();
            // Its `flock` child waits on the same locks.
            drop(
                Command::new("kill")
                    .arg("-KILL")
                    .arg("--")
                    .arg(format!("-{}", pid.to_str().unwrap()))
                    .status(),
            );
        }
    }
    wait_until("end of supervisors", LIMIT, || {
        !std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.contains("newcol-supervisor") && line.contains(dir)
        })
    })
    .unwrap();
}
