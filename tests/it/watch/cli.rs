//! The watch from the command line, in a project.

use newcol_core::backend::Product;
use newcol_testkit::{Want, project::Project};

use super::{ADD, USERS, World, mysql};
use crate::desk::{self, Tree, newcol, said};

pub(super) const COLUMN: &str = "users.locale";

pub(super) fn project(engine: &str) -> Project {
    let contract = "format = 1\ntable = \"users\"\ncolumn = \"locale\"\nwhy = \"a test\"\n\
        type = \"text\"\nrequired = false\n";
    desk::one_crate(engine).file("newcol/users.locale.toml", contract).build().unwrap()
}

/// What does not change from run to run.
fn told(world: &World, text: &str) -> String {
    text.replace(&world.url().describe(), "[database]")
}

fn watch(project: &Project, world: &World, verb: &str) -> String {
    let url = world.db.url();
    told(world, &said(&newcol(project, &["watch", verb, COLUMN, "--database-url", url])))
}

#[test]
fn from_the_baseline_to_the_report() {
    let mut world = World::new(15);
    let project = project("postgres");
    insta::assert_snapshot!(said(&newcol(&project, &["watch", "report", COLUMN])), @"
    exit code: 4
    ----- stdout -----
    ----- stderr -----
    `users.locale` has no snapshot yet; begin with `cargo newcol watch baseline users.locale --database-url <URL>`
    ");
    insta::assert_snapshot!(watch(&project, &world, "doctor"), @"
    exit code: 0
    ----- stdout -----
    table: `users.locale` is not there yet: a baseline can still be taken
    statements: pg_stat_statements 1.10 counts up to 5000 statements; those of functions are hidden in the statement that calls them
    others: `newcol` sees the statements of every role
    values: `newcol` may read `users`, and so what ANALYZE knows of it and how it is planned
    system: another server behind the same URL would be noticed
    ----- stderr -----
    ");
    let files = Tree::of(project.root());
    world
        .run(&["SELECT id, name FROM users WHERE id = 1", "UPDATE users SET age = 3 WHERE id = 2"]);
    insta::assert_snapshot!(watch(&project, &world, "baseline"), @"
    exit code: 0
    ----- stdout -----
    baseline of users.locale in PostgreSQL database [DATABASE] on [SERVER] 3 statements on the table
    ----- stderr -----
    ");
    world.run(&[ADD]);
    let first = newcol(&project, &["watch", "snap", COLUMN, "--database-url", world.db.url()]);
    assert_eq!(first.code(), Some(0));
    world.run(&[
        "CREATE INDEX users_locale ON users (locale)",
        "UPDATE users SET age = 4 WHERE id = 2",
        "SELECT id, name, locale FROM users WHERE id = 1",
        "SELECT id FROM users WHERE locale = 'en'",
    ]);
    let json = ["--message-format", "json"];
    let snap = ["watch", "snap", COLUMN, "--database-url", world.db.url()];
    let taken = newcol(&project, &[&snap[..], &json].concat());
    let taken: serde_json::Value = serde_json::from_str(taken.stdout.trim()).unwrap();
    assert_eq!(taken["reason"], "newcol-watch-snapshot");
    assert_eq!(taken["file"], "newcol/.watch/users.locale.db");
    assert_eq!(taken["has_baseline"], true);
    let report = newcol(&project, &[&["watch", "report", COLUMN], &json[..]].concat());
    let lines: Vec<serde_json::Value> =
        report.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, statements) = lines.split_last().unwrap();
    assert_eq!(
        (last["reason"].as_str(), last["gaps"].as_array().unwrap().len()),
        (Some("newcol-watch-report"), 0)
    );
    let index = last["indexes"].as_array().unwrap().iter().find(|i| i["name"] == "users_locale");
    assert_eq!(index.unwrap()["has_column"], true);
    assert!(last["own_busy_ms"].as_f64().unwrap() > 0.0);
    let of = |text: &str| {
        statements.iter().find(|s| s["text"] == text).unwrap_or_else(|| panic!("no {text}"))
    };
    // Newer than the baseline, and so judged by its text, at the second snapshot that saw it unread.
    let unread = statements.iter().filter(|s| s["role"] == "unknown").count();
    assert!(unread >= 2, "{statements:#?}");
    let update = of("UPDATE users SET age = $1 WHERE id = $2");
    assert_eq!(
        (update["role"].as_str(), update["layer"].as_str()),
        (Some("writes"), Some("number"))
    );
    assert_eq!(
        (update["before"]["calls"].as_u64(), update["after"]["calls"].as_u64()),
        (Some(1), Some(1))
    );
    assert_eq!(update["before_is_history"], true);
    let human = newcol(&project, &["watch", "report", COLUMN]);
    assert_eq!(human.code(), Some(0));
    for part in [
        "users.locale 3 snapshots from",
        "the column came between",
        "writes UPDATE users SET age",
        "counted before",
        "index users_locale, on the column",
        "watching took at most",
    ] {
        assert!(human.stdout.contains(part), "{part}: {}", human.stdout);
    }
    // Git sees nothing new.
    let changes = files.changes(&Tree::of(project.root()));
    assert!(changes.lines().all(|line| line.contains("newcol/.watch")), "{changes}");
}

#[test]
fn without_a_baseline_it_says_what_is_lost() {
    let mut world = World::new(15);
    world.run(&[ADD]);
    insta::assert_snapshot!(watch(&project("postgres"), &world, "snap"), @"
    exit code: 0
    ----- stdout -----
    snapshot of users.locale in PostgreSQL database [DATABASE] on [SERVER] 1 statement on the table
    ----- stderr -----
    warning: there is no baseline from before `users.locale`: no statement is known for certain not to touch it, the others are judged by their texts, and nothing is known of what they cost without it
    ");
}

#[test]
fn without_the_extension_it_says_what_cannot_be_said() {
    let mut world = World::new(15);
    world.run(&["DROP EXTENSION pg_stat_statements"]);
    let project = project("postgres");
    insta::assert_snapshot!(watch(&project, &world, "doctor"), @"
    exit code: 100
    ----- stdout -----
    table: `users.locale` is not there yet: a baseline can still be taken
    statements: pg_stat_statements is loaded, but not an extension of this database: nothing can be said of statements, only of the table and its indexes
      let its owner run `CREATE EXTENSION pg_stat_statements`: the watch creates nothing
    others: `newcol` sees the statements of every role
    values: `newcol` may read `users`, and so what ANALYZE knows of it and how it is planned
    system: another server behind the same URL would be noticed
    ----- stderr -----
    ");
    insta::assert_snapshot!(watch(&project, &world, "baseline"), @"
    exit code: 0
    ----- stdout -----
    baseline of users.locale in PostgreSQL database [DATABASE] on [SERVER] 0 statements on the table
    ----- stderr -----
    warning: pg_stat_statements is loaded, but not an extension of this database: nothing can be said of statements, only of the table and its indexes
    ");
}

#[test]
fn a_role_that_sees_little_is_told_what_it_lacks() {
    let mut world = World::new(15);
    world.run(&["CREATE ROLE watcher LOGIN", "REVOKE USAGE ON SCHEMA public FROM public"]);
    let (head, tail) = world.db.url().split_once("newcol@").unwrap();
    let url = format!("{head}watcher@{tail}");
    let project = project("postgres");
    let doctor = || said(&newcol(&project, &["watch", "doctor", COLUMN, "--database-url", &url]));
    insta::assert_snapshot!(doctor(), @"
    exit code: 100
    ----- stdout -----
    table: there is no table `users` that `watcher` may see, so nothing can be said
      pass the URL of a database that has it, or grant USAGE on its schema
    statements: pg_stat_statements 1.10 counts up to 5000 statements; those of functions are hidden in the statement that calls them
    others: `watcher` sees only its own statements: of the application's nothing can be said, unless it connects as `watcher`
      GRANT pg_read_all_stats TO watcher
    system: another server behind the same URL would be noticed
    ----- stderr -----
    ");
    world.run(&["GRANT USAGE ON SCHEMA public TO watcher"]);
    insta::assert_snapshot!(doctor(), @"
    exit code: 0
    ----- stdout -----
    table: `users.locale` is not there yet: a baseline can still be taken
    statements: pg_stat_statements 1.10 counts up to 5000 statements; those of functions are hidden in the statement that calls them
    others: `watcher` sees only its own statements: of the application's nothing can be said, unless it connects as `watcher`
      GRANT pg_read_all_stats TO watcher
    values: `watcher` may not read `users`: of how many values are NULL or distinct, and of which statements use an index, nothing can be said
      GRANT SELECT ON users TO watcher
    system: another server behind the same URL would be noticed
    ----- stderr -----
    ");
}

#[test]
fn the_other_engines_say_why_not() {
    let project = project("sqlite");
    let run = newcol(&project, &["watch", "baseline", COLUMN, "--database-url", "app.db"]);
    insta::assert_snapshot!(said(&run), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: SQLite runs inside of the application and keeps no statistics that another program could read
      --> --database-url
    help: let the application measure its statements (docs/watch.md), and use --from
    ");
}

/// MariaDB counts nothing of statements unless it is told to.
#[test]
fn mariadb_without_performance_schema_says_what_is_lost() {
    let want = Want::mysql().product(Product::Mariadb);
    let mut world = World::with(want, mysql::USERS);
    let project = project("mysql");
    insta::assert_snapshot!(watch(&project, &world, "doctor"), @"
    exit code: 100
    ----- stdout -----
    table: `users.locale` is not there yet: a baseline can still be taken
    statements: performance_schema is off, as it is by default: nothing can be said of statements, nor of how indexes are used
      put `performance_schema = ON` into [mysqld] and restart the server
    userstat: userstat is off: how many entries of indexes are written with a row cannot be said
      put `userstat = 1` into [mysqld], or let an administrator run `SET GLOBAL userstat = 1`: the watch sets nothing
    ----- stderr -----
    ");
    insta::assert_snapshot!(watch(&project, &world, "baseline"), @"
    exit code: 0
    ----- stdout -----
    baseline of users.locale in MySQL database [DATABASE] on [SERVER] 0 statements on the table
    ----- stderr -----
    warning: performance_schema is off, as it is by default: nothing can be said of statements, nor of how indexes are used
    warning: userstat is off: how many entries of indexes are written with a row cannot be said
    ");
    world.run(&[mysql::ADD]);
    insta::assert_snapshot!(watch(&project, &world, "snap"), @"
    exit code: 0
    ----- stdout -----
    snapshot of users.locale in MySQL database [DATABASE] on [SERVER] 0 statements on the table
    ----- stderr -----
    warning: performance_schema is off, as it is by default: nothing can be said of statements, nor of how indexes are used
    warning: userstat is off: how many entries of indexes are written with a row cannot be said
    ");
}

#[test]
fn mariadb_from_the_doctor_to_the_verdict() {
    let want = Want::mysql().product(Product::Mariadb).private();
    let mut world = World::with(want, mysql::USERS);
    let project = project("mysql");
    insta::assert_snapshot!(watch(&project, &world, "doctor"), @"
    exit code: 0
    ----- stdout -----
    table: `users.locale` is not there yet: a baseline can still be taken
    statements: up to 5000 digests are counted, of statements that are sent as texts
    userstat: userstat is on: entries of indexes that are written with a row are counted
    texts: digests reach 1024 bytes of a statement: of longer ones, as with many columns, nothing can be said, and several may count as one
      put `max_digest_length = 4096` and `performance_schema_max_digest_length = 4096` into [mysqld] and restart the server
    ----- stderr -----
    ");
    world.run(&["UPDATE users SET age = 3 WHERE id = 2"]);
    insta::assert_snapshot!(watch(&project, &world, "baseline"), @"
    exit code: 0
    ----- stdout -----
    baseline of users.locale in MySQL database [DATABASE] on [SERVER] 2 statements on the table
    ----- stderr -----
    warning: digests reach 1024 bytes of a statement: of longer ones, as with many columns, nothing can be said, and several may count as one
    ");
    world.run(&[mysql::ADD, "CREATE INDEX users_locale ON users (locale)"]);
    drop(newcol(&project, &["watch", "snap", COLUMN, "--database-url", world.db.url()]).success());
    world.run(&[
        "UPDATE users SET age = 4 WHERE id = 2",
        "SELECT id FROM users WHERE locale = 'en'",
    ]);
    drop(
        newcol(&project, &["watch", "baseline", COLUMN, "--database-url", world.db.url()])
            .success(),
    );
    let report = newcol(&project, &["watch", "report", COLUMN]).success();
    for part in [
        "the column came between",
        "writes UPDATE `users` SET `age` = ?",
        "filter SELECT ID FROM `users` WHERE `locale` = ?",
        "rows examined/call",
        "index users_locale, on the column",
        "2.00 entries of indexes were written with each of 1 rows",
        "let the server do without it: ALTER TABLE `users` ALTER INDEX `users_locale` IGNORED",
    ] {
        assert!(report.stdout.contains(part), "{part}: {}", report.stdout);
    }
    let verdict = newcol(&project, &["watch", "verdict", COLUMN]).success();
    assert!(verdict.stdout.contains("UNKNOWN"), "{verdict}");
}

#[test]
fn a_column_without_contract_and_a_damaged_file() {
    let project = project("postgres");
    insta::assert_snapshot!(said(&newcol(&project, &["watch", "report", "users.lcoale"])), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `users.lcoale` has no contract
      --> newcol/users.lcoale.toml
    help: write one with `cargo newcol add users.lcoale ...`
    ");
    let file = project.root().join("newcol/.watch/users.locale.db");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "something else".repeat(500)).unwrap();
    insta::assert_snapshot!(said(&newcol(&project, &["watch", "report", COLUMN])), @"
    exit code: 101
    ----- stdout -----
    ----- stderr -----
    error: newcol/.watch/users.locale.db is damaged: file is not a database
      --> newcol/.watch/users.locale.db
    help: put a backup in its place, or move it away and begin anew: what was seen before the column came is lost then (`mv newcol/.watch/users.locale.db newcol/.watch/users.locale.db.damaged`)
    ");
}

/// `apply` takes the baseline by itself, and goes on where it cannot.
#[test]
fn apply_begins_with_a_baseline() {
    let world = World::with(Want::postgres().private(), &USERS[..1]);
    let project = desk::one_crate("postgres").build().unwrap();
    drop(newcol(&project, &[&["add", COLUMN], desk::GOOD].concat()).success());
    let url = ["--yes", "--database-url", world.db.url()];
    let apply = |args: &[&str]| newcol(&project, &[&["apply", COLUMN], args, &url].concat());
    let run = apply(&[]).success();
    let line = "baseline for `cargo newcol watch`: newcol/.watch/users.locale.db";
    assert!(run.stderr.lines().any(|found| found == line), "{run}");
    let report = newcol(&project, &["watch", "report", COLUMN]).success();
    assert!(report.stdout.contains("1 snapshots from"), "{report}");
    assert!(report.stdout.contains("the column is not there yet"), "{report}");
}

#[test]
fn apply_goes_on_without_a_baseline() {
    for (setup, prepare, why) in [
        (
            &[][..],
            None,
            "no baseline for `cargo newcol watch`: pg_stat_statements is loaded, but not",
        ),
        (
            &USERS[..1],
            Some("newcol/.watch"),
            "no baseline for `cargo newcol watch`: could not write",
        ),
    ] {
        let world = World::with(Want::postgres().private(), setup);
        let project = desk::one_crate("postgres").build().unwrap();
        drop(newcol(&project, &[&["add", COLUMN], desk::GOOD].concat()).success());
        if let Some(file) = prepare {
            std::fs::write(project.root().join(file), "in the way").unwrap();
        }
        let url = ["--yes", "--database-url", world.db.url()];
        let run = newcol(&project, &[&["apply", COLUMN], &url[..]].concat()).success();
        assert!(run.stderr.contains(why), "{run}");
        let there = "SELECT 1 FROM pg_attribute WHERE attname = 'locale'";
        assert_eq!(world.db.rows(there).unwrap().len(), 1);
    }
    let world = World::with(Want::postgres().private(), &USERS[..1]);
    let project = desk::one_crate("postgres").build().unwrap();
    drop(newcol(&project, &[&["add", COLUMN], desk::GOOD].concat()).success());
    let url = ["--yes", "--no-baseline", "--database-url", world.db.url()];
    drop(newcol(&project, &[&["apply", COLUMN], &url[..]].concat()).success());
    assert!(!project.root().join("newcol/.watch").exists());
}
