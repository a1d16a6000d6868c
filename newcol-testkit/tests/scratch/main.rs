//! Databases from every provider, shared by processes and swept after killed ones.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[cfg(target_os = "linux")]
mod kill;
mod other;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use newcol_core::backend::Backend;
use newcol_testkit::{ScratchDb, Want, wait::wait_until};

use self::other::{LIMIT, Other, PROVIDERS, RunDir, databases};

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

fn has_server(backend: Backend) -> bool {
    ScratchDb::new(Want::from(backend).private()).map(|_| true).unwrap_or_else(|error| {
        assert!(error.is_missing_server(), "{error}");
        ScratchDb::require(backend).is_some_and(|_| false)
    })
}

/// What a container does as well as a local server: run with each provider.
#[cfg(feature = "docker")]
#[test]
fn containers_do_what_local_servers_do() {
    let dir = RunDir::new();
    let tests = [
        "a_database_can_be_made_and_dropped_inside_a_runtime",
        "a_dropped_database_goes_away",
        "a_failed_build_names_its_recipe_and_leaves_no_template",
        "a_private_server_survives_a_crash_with_what_was_committed",
        "a_template_is_built_once_and_copied",
        "every_backend_gives_an_empty_database_that_works",
        "postgres_versions_run_side_by_side",
    ];
    let mut command = dir.command("docker", tests[0]);
    let output = command.args(&tests[1..]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complaints}");
    assert!(said.contains("7 passed"), "{said}");
    dir.wait_for_end();
}

#[test]
fn only_so_many_databases_live_at_once() {
    let dir = RunDir::new();
    let start = || {
        let mut command = dir.command("local", "other::another_process");
        Other::start_with(command.env("NEWCOL_TEST_MAX_DATABASES", "2"), Backend::Postgres)
    };
    let Some(first) = start() else { return };
    let second = start().unwrap();
    let waiting = std::thread::scope(|scope| {
        let third = scope.spawn(|| start().unwrap());
        let comes = wait_until("third", Duration::from_millis(500), || third.is_finished());
        assert!(comes.is_err(), "a third database beside {} and {}", first.url, second.url);
        second.kill();
        third.join().unwrap()
    });
    waiting.end();
    first.end();
    dir.wait_for_end();
}

#[test]
fn an_unknown_provider_is_refused_with_the_known_ones() {
    let dir = RunDir::new();
    let output = dir
        .command("podman", "other::another_process")
        .env("NEWCOL_TESTKIT_OTHER", "postgres")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("`podman`, but must be one of given, local, docker"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn processes_share_a_server_that_sweeps_the_killed_and_ends_after_the_last() {
    for provider in PROVIDERS {
        for backend in [Backend::Postgres, Backend::Mysql] {
            let dir = RunDir::new().without_idling();
            let start = || Other::start(provider, backend, &dir);
            let Some(first) = start() else { continue };
            let second = start().unwrap();
            assert_eq!(first.server(), second.server(), "one server");
            assert_eq!(dir.servers(), 1);

            // The killed one's database is swept by the next start, the living one's is not.
            let gone = second.name().to_owned();
            second.kill();
            let third = start().unwrap();
            wait_until("sweep", LIMIT, || !first.databases().contains(&gone)).unwrap();
            let left = first.databases();
            assert!(left.iter().any(|name| name == first.name()), "{left:?}");
            assert!(left.iter().any(|name| name == third.name()), "{left:?}");

            // Nobody is left, nobody cleaned up: the supervisor does.
            third.kill();
            first.kill();
            dir.wait_for_end();
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_without_supervisor_is_swept_by_the_next_start_only_when_free() {
    for provider in PROVIDERS {
        let dir = RunDir::new();
        let start = |backend| Other::start(provider, backend, &dir);
        let Some(postgres) = start(Backend::Postgres) else { continue };
        dir.kill_supervisors();

        // In use: the start of another server leaves it alone, supervisor or not.
        let Some(mysql) = start(Backend::Mysql) else { continue };
        assert_eq!(dir.servers(), 2);
        assert!(postgres.databases().iter().any(|name| name == postgres.name()));
        let state = dir.path().join(home_of(&dir, mysql.server())).join("state");
        mysql.kill();
        dir.kill_supervisors();
        postgres.kill();
        assert_eq!(dir.servers(), 2, "both orphaned");

        // A home's own next user adopts its server; the start of yet another would sweep it.
        let adopter = start(Backend::Mysql).unwrap();
        assert_eq!(dir.servers(), 2);
        drop(adopter);
        std::fs::remove_file(state).unwrap();
        let starter = start(Backend::Mysql).unwrap();
        assert_eq!(dir.servers(), 1, "the free PostgreSQL and the lost MariaDB are swept");
        starter.kill();
        dir.wait_for_end();
    }
}

/// Returns the home whose server has this address.
fn home_of(dir: &RunDir, server: &str) -> String {
    let mut homes = dir.homes().into_iter();
    let state = |home: &String| std::fs::read_to_string(dir.path().join(home).join("state"));
    homes.find(|home| state(home).is_ok_and(|text| text.contains(server))).unwrap()
}

#[test]
fn a_given_server_is_left_as_it_was() {
    for backend in [Backend::Postgres, Backend::Mysql] {
        if !has_server(backend) {
            continue;
        }
        let server = ScratchDb::new(Want::from(backend).private()).unwrap();
        let dir = RunDir::new();
        let urls =
            ["NEWCOL_TEST_POSTGRES_URL", "NEWCOL_TEST_MYSQL_URL"].map(|name| (name, server.url()));
        let start = || {
            let mut command = dir.command("given", "other::another_process");
            Other::start_with(command.envs(urls), backend).unwrap()
        };
        let first = start();
        assert_eq!(first.server(), server.url().rsplit_once('/').unwrap().0);
        assert_eq!(dir.servers(), 0, "no server of our own");
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
