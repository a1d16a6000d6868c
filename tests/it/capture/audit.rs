//! `cargo newcol audit --capture`.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use insta::assert_snapshot;
use newcol_testkit::{
    Project, ScratchDb, Want,
    command::CommandOutput,
    wait::{wait_for, wait_until},
};

use super::SENDER;
use crate::desk::{self, Tree, newcol, said, tool};

const LIMIT: Duration = Duration::from_secs(60);

const CODE: &str = r#"pub mod schema;
use diesel::prelude::*;

const SEED: &str = "INSERT INTO users VALUES (1, 'Ann', NULL)";

pub fn seed(conn: &mut SqliteConnection) {
    diesel::sql_query(SEED).execute(conn).unwrap();
    diesel::sql_query("SELECT id, name FROM users WHERE id = 1").execute(conn).unwrap();
}

pub fn sorted(conn: &mut SqliteConnection, by: &str) {
    let sql = format!("SELECT name FROM users ORDER BY {by}");
    diesel::sql_query(sql).execute(conn).unwrap();
}

pub fn never(conn: &mut SqliteConnection, by: &str) {
    diesel::sql_query(format!("SELECT title FROM posts ORDER BY {by}")).execute(conn).unwrap();
}
"#;

/// What the code would send, with a statement that is nowhere in it.
const SENT: [&str; 7] = [
    "load",
    "insert:7",
    "batch:INSERT INTO users VALUES (1, 'Ann', NULL)",
    "query:SELECT id, name FROM users WHERE id = 1",
    "query:SELECT name FROM users ORDER BY name",
    "query:SELECT u.* FROM users u JOIN posts p ON p.user_id = u.id /*route='%2Fposts'*/",
    "batch:SELECT 1 FROM posts",
];

fn project(engine: &str) -> Project {
    desk::one_crate(engine).file("src/lib.rs", CODE).build().unwrap()
}

/// Runs the audit with a capture, which may not change a byte of the project.
fn audit(project: &Project, args: &[&str], sent: &[&str]) -> CommandOutput {
    let before = Tree::of(project.root());
    let head = ["audit", "users.locale", "--capture"];
    let output = newcol(project, &[&head[..], args, &["--", SENDER], sent].concat());
    assert_eq!(before.changes(&Tree::of(project.root())), "", "the audit has written");
    output
}

fn steady(output: &CommandOutput) -> String {
    said(output).replace(SENDER, "[SENDER]")
}

#[test]
fn statements_come_with_their_places_on_sqlite() {
    let output = audit(&project("sqlite"), &[], &[&["install"], &SENT[..]].concat());
    assert_snapshot!(steady(&output), @r#"
    exit code: 100
    ----- stdout -----
    unknown[NC202]: the SQL that `sql_query` gets is made while the program runs
     --> src/lib.rs:7:13
      |
    7 |     diesel::sql_query(SEED).execute(conn).unwrap();
      |             ^^^^^^^^^
      |
      = note: to be looked at before `expand` is released
      = help: look whether it speaks of the table

    unknown[NC202]: the SQL that `sql_query` gets is made while the program runs
      --> src/lib.rs:13:13
       |
    13 |     diesel::sql_query(sql).execute(conn).unwrap();
       |             ^^^^^^^^^
       |
       = note: to be looked at before `expand` is released
       = help: look whether it speaks of the table

    unknown[NC202]: the SQL that `sql_query` gets is made while the program runs
      --> src/lib.rs:17:13
       |
    17 |     diesel::sql_query(format!("SELECT title FROM posts ORDER BY {by}")).execute(conn).unwrap();
       |             ^^^^^^^^^
       |
       = note: to be looked at before `expand` is released
       = help: look whether it speaks of the table

    runtime[NC105]: SQLite wants a value for each column, and `users` gets one more
    --> statement INSERT INTO users VALUES (?, ?, NULL)
     = note: to be dealt with before `expand` is released
     = help: it is written at src/lib.rs:4:20

    7 statements seen on SQLite, 6 kinds on `users`
         1 × SELECT `users`.`id`, `users`.`name` FROM `users` WHERE (`users`.`id` = ?)
             in the form that Diesel builds
             columns: id, name
         1 × INSERT INTO `users` (`id`, `name`) VALUES (?, ?)
             in the form that Diesel builds
             columns: id, name
         1 × INSERT INTO users VALUES (?, ?, NULL)
             written at src/lib.rs:4:20
             columns: all
         1 × SELECT id, name FROM users WHERE id = ?
             written at src/lib.rs:8:23
             columns: id, name
         1 × SELECT name FROM users ORDER BY name
             fits the text at src/lib.rs:12:23
             columns: name
         1 × SELECT u.* FROM users u JOIN posts p ON p.user_id = u.id
             sent by Diesel; its text is nowhere in the sources
             columns: all, id
             tables beside it: posts
             comment: route='%2Fposts'
    src/lib.rs:7:13 makes SQL: 1 kind on `users` seen
    src/lib.rs:13:13 makes SQL: 1 kind on `users` seen
    src/lib.rs:17:13 makes SQL: none on `users` seen

    1 place to act on (1 runtime); 3 unknown
    ----- stderr -----
    capturing on SQLite: the project's migrations
    capturing on SQLite: [SENDER] install load insert:7 batch:INSERT INTO users VALUES (1, 'Ann', NULL) query:SELECT id, name FROM users WHERE id = 1 query:SELECT name FROM users ORDER BY name query:SELECT u.* FROM users u JOIN posts p ON p.user_id = u.id /*route='%2Fposts'*/ batch:SELECT 1 FROM posts
    read 4 files; the compiler and the database were not asked
    "#);
}

#[test]
fn statements_come_with_their_places_on_postgres() {
    if ScratchDb::require(Want::postgres().version(15)).is_none() {
        return;
    }
    let args = ["--server", "15", "--message-format", "json"];
    let output = audit(&project("postgres"), &args, &SENT);
    assert_snapshot!(steady(&output), @r#"
    exit code: 0
    ----- stdout -----
    {"reason":"newcol-audit-finding","version":1,"column":"users.locale","rule":"NC202","name":"built-sql","class":"unknown","due":"expand","message":"the SQL that `sql_query` gets is made while the program runs","help":"look whether it speaks of the table","place":{"kind":"file","file_name":"src/lib.rs","byte_start":161,"byte_end":170,"line_start":7,"line_end":7,"column_start":13,"column_end":22},"acknowledged":null,"fix":null,"fingerprint":"6ba3b4e1e2eafba7"}
    {"reason":"newcol-audit-finding","version":1,"column":"users.locale","rule":"NC202","name":"built-sql","class":"unknown","due":"expand","message":"the SQL that `sql_query` gets is made while the program runs","help":"look whether it speaks of the table","place":{"kind":"file","file_name":"src/lib.rs","byte_start":423,"byte_end":432,"line_start":13,"line_end":13,"column_start":13,"column_end":22},"acknowledged":null,"fix":null,"fingerprint":"7f925fe352c83f68"}
    {"reason":"newcol-audit-finding","version":1,"column":"users.locale","rule":"NC202","name":"built-sql","class":"unknown","due":"expand","message":"the SQL that `sql_query` gets is made while the program runs","help":"look whether it speaks of the table","place":{"kind":"file","file_name":"src/lib.rs","byte_start":531,"byte_end":540,"line_start":17,"line_end":17,"column_start":13,"column_end":22},"acknowledged":null,"fix":null,"fingerprint":"ae976c1329837319"}
    {"reason":"newcol-audit-statement","version":1,"column":"users.locale","engine":"postgres","sql":"SELECT \"users\".\"id\", \"users\".\"name\" FROM \"users\" WHERE (\"users\".\"id\" = ?)","count":1,"refused":false,"tables":["users"],"columns":["id","name"],"all_columns":false,"source":{"kind":"like-diesel","places":[]},"comments":[],"applications":[]}
    {"reason":"newcol-audit-statement","version":1,"column":"users.locale","engine":"postgres","sql":"INSERT INTO \"users\" (\"id\", \"name\") VALUES (?, ?)","count":1,"refused":false,"tables":["users"],"columns":["id","name"],"all_columns":false,"source":{"kind":"like-diesel","places":[]},"comments":[],"applications":[]}
    {"reason":"newcol-audit-statement","version":1,"column":"users.locale","engine":"postgres","sql":"INSERT INTO users VALUES (?, ?, NULL)","count":1,"refused":false,"tables":["users"],"columns":[],"all_columns":true,"source":{"kind":"written","places":[{"file_name":"src/lib.rs","byte_start":60,"byte_end":103,"line_start":4,"line_end":4,"column_start":20,"column_end":63}]},"comments":[],"applications":[]}
    {"reason":"newcol-audit-statement","version":1,"column":"users.locale","engine":"postgres","sql":"SELECT id, name FROM users WHERE id = ?","count":1,"refused":false,"tables":["users"],"columns":["id","name"],"all_columns":false,"source":{"kind":"written","places":[{"file_name":"src/lib.rs","byte_start":223,"byte_end":264,"line_start":8,"line_end":8,"column_start":23,"column_end":64}]},"comments":[],"applications":[]}
    {"reason":"newcol-audit-statement","version":1,"column":"users.locale","engine":"postgres","sql":"SELECT name FROM users ORDER BY name","count":1,"refused":false,"tables":["users"],"columns":["name"],"all_columns":false,"source":{"kind":"template","places":[{"file_name":"src/lib.rs","byte_start":370,"byte_end":408,"line_start":12,"line_end":12,"column_start":23,"column_end":61}]},"comments":[],"applications":[]}
    {"reason":"newcol-audit-statement","version":1,"column":"users.locale","engine":"postgres","sql":"SELECT u.* FROM users u JOIN posts p ON p.user_id = u.id","count":1,"refused":false,"tables":["posts","users"],"columns":["id"],"all_columns":true,"source":{"kind":"unknown","places":[]},"comments":["route='%2Fposts'"],"applications":[]}
    {"reason":"newcol-audit-capture","version":1,"column":"users.locale","engine":"postgres","server":"PostgreSQL [SERVER]","command":["[SENDER]","load","insert:7","batch:INSERT INTO users VALUES (1, 'Ann', NULL)","query:SELECT id, name FROM users WHERE id = 1","query:SELECT name FROM users ORDER BY name","query:SELECT u.* FROM users u JOIN posts p ON p.user_id = u.id /*route='%2Fposts'*/","batch:SELECT 1 FROM posts"],"exit":0,"statements":23,"on_table":6,"built":[{"place":{"file_name":"src/lib.rs","byte_start":161,"byte_end":170,"line_start":7,"line_end":7,"column_start":13,"column_end":22},"on_table":1},{"place":{"file_name":"src/lib.rs","byte_start":423,"byte_end":432,"line_start":13,"line_end":13,"column_start":13,"column_end":22},"on_table":1},{"place":{"file_name":"src/lib.rs","byte_start":531,"byte_end":540,"line_start":17,"line_end":17,"column_start":13,"column_end":22},"on_table":0}]}
    {"reason":"newcol-audit-summary","version":1,"column":"users.locale","stage":null,"files":4,"compiler":false,"database":false,"compile":0,"runtime":0,"silent":0,"unknown":3,"acknowledged":0,"stale":0}
    ----- stderr -----
    capturing on PostgreSQL: the project's migrations
    capturing on PostgreSQL: [SENDER] load insert:7 batch:INSERT INTO users VALUES (1, 'Ann', NULL) query:SELECT id, name FROM users WHERE id = 1 query:SELECT name FROM users ORDER BY name query:SELECT u.* FROM users u JOIN posts p ON p.user_id = u.id /*route='%2Fposts'*/ batch:SELECT 1 FROM posts
    read 4 files; the compiler and the database were not asked
    "#);
}

#[test]
fn statements_come_with_their_places_on_mysql() {
    if ScratchDb::require(Want::mysql()).is_none() {
        return;
    }
    let output = audit(&project("mysql"), &["--message-format", "short"], &SENT);
    assert_snapshot!(steady(&output), @"
    exit code: 100
    ----- stdout -----
    src/lib.rs:7:13: unknown[NC202]: the SQL that `sql_query` gets is made while the program runs
    src/lib.rs:13:13: unknown[NC202]: the SQL that `sql_query` gets is made while the program runs
    src/lib.rs:17:13: unknown[NC202]: the SQL that `sql_query` gets is made while the program runs
    statement INSERT INTO users VALUES (?, ?, NULL): runtime[NC105]: MySQL wants a value for each column, and `users` gets one more
    ----- stderr -----
    capturing on MySQL: the project's migrations
    capturing on MySQL: [SENDER] load insert:7 batch:INSERT INTO users VALUES (1, 'Ann', NULL) query:SELECT id, name FROM users WHERE id = 1 query:SELECT name FROM users ORDER BY name query:SELECT u.* FROM users u JOIN posts p ON p.user_id = u.id /*route='%2Fposts'*/ batch:SELECT 1 FROM posts
    read 4 files; the compiler and the database were not asked
    ");
}

#[test]
fn silence_is_not_taken_for_clean() {
    let project = desk::one_crate("sqlite").build().unwrap();
    assert_snapshot!(steady(&audit(&project, &[], &["load"])), @"
    exit code: 0
    ----- stdout -----
    0 statements seen on SQLite, which proves nothing: none on `users`

    nothing to act on
    ----- stderr -----
    capturing on SQLite: the project's migrations
    capturing on SQLite: [SENDER] load
    read 4 files; the compiler and the database were not asked
    warning: no statement on `users` was seen on SQLite: SQLite has no server that logs: let the tests call `newcol_testkit::capture::install()` (feature `capture`) before they connect
    ");
    assert_snapshot!(steady(&audit(&project, &[], &["install", "batch:SELECT 1", "exit:3"])), @"
    exit code: 101
    ----- stdout -----
    1 statement seen on SQLite, which proves nothing: none on `users`

    nothing to act on
    ----- stderr -----
    capturing on SQLite: the project's migrations
    capturing on SQLite: [SENDER] install batch:SELECT 1 exit:3
    read 4 files; the compiler and the database were not asked
    warning: `[SENDER] install batch:SELECT 1 exit:3` ended with exit code 3: what it would have sent is not seen
    warning: no statement on `users` was seen on SQLite: the command may not use the table, or another database than that of DATABASE_URL
    ");
}

#[test]
fn a_command_that_fails_is_told_and_what_it_sent_is_shown() {
    let project = desk::one_crate("sqlite").build().unwrap();
    let output = audit(&project, &[], &["install", "load", "batch:SELEC users", "exit:3"]);
    assert_snapshot!(steady(&output), @r#"
    exit code: 101
    ----- stdout -----
    2 statements seen on SQLite, 2 kinds on `users`
         1 × SELECT `users`.`id`, `users`.`name` FROM `users` WHERE (`users`.`id` = ?)
             in the form that Diesel builds
             columns: id, name
         1 × SELEC users
             sent by Diesel; its text is nowhere in the sources

    nothing to act on
    ----- stderr -----
    capturing on SQLite: the project's migrations
    capturing on SQLite: [SENDER] install load batch:SELEC users exit:3
      near "SELEC": syntax error
    read 4 files; the compiler and the database were not asked
    warning: `[SENDER] install load batch:SELEC users exit:3` ended with exit code 3: what it would have sent is not seen
    "#);
}

#[test]
fn what_cannot_begin_is_an_error() {
    let project = desk::one_crate("sqlite").build().unwrap();
    let run = |args: &[&str]| said(&newcol(&project, &[&["audit", "users.locale"], args].concat()));
    assert_snapshot!(run(&["--capture", "--", "no-such-program"]), @"
    exit code: 101
    ----- stdout -----
    ----- stderr -----
    capturing on SQLite: the project's migrations
    capturing on SQLite: no-such-program
    error: could not run `no-such-program`: No such file or directory (os error 2)
      --> --capture
    ");
    assert_snapshot!(run(&["--", "true"]), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: the following required arguments were not provided:
      --capture

    Usage: cargo newcol audit --capture <COLUMN> -- <COMMAND>...

    For more information, try '--help'.
    ");
    project.write("migrations/2024-01-02-000000_bad/up.sql", "SELEC 1;").unwrap();
    assert_snapshot!(run(&["--capture", "--", "true"]), @r#"
    exit code: 101
    ----- stdout -----
    ----- stderr -----
    capturing on SQLite: the project's migrations
    error: the project's migrations do not run on an empty SQLite database
      --> --capture
      because: migration [VERSION]_bad failed on [DATABASE_URL]
      because: near "SELEC": syntax error
    help: what the application sends before its migrations goes into `--setup`
    "#);
}

#[test]
fn a_finding_of_the_capture_can_wait_in_the_baseline() {
    let project = desk::one_crate("sqlite").build().unwrap();
    let run = |args: &[&str], sent: &str| {
        let head = ["audit", "users.locale", "--capture"];
        newcol(&project, &[&head, args, &["--", SENDER, "install", sent]].concat())
    };
    let bad = "batch:INSERT INTO users VALUES (1, 'a', NULL)";
    assert_eq!(run(&[], bad).code(), Some(100));
    assert_eq!(run(&["--write-baseline"], bad).code(), Some(0));
    assert_eq!(run(&[], bad).code(), Some(0));
    // It is not gone where nobody has looked.
    let without = newcol(&project, &["audit", "users.locale"]);
    assert!(!without.stderr.contains("baseline"), "{without}");
    assert!(run(&[], "load").stderr.contains("1 finding of the baseline is gone"));
}

#[test]
fn a_finding_of_the_capture_is_acknowledged_where_its_text_stands() {
    let marked = CODE.replace(
        "const SEED",
        "// newcol:allow(NC105): the tests fill an empty database\nconst SEED",
    );
    let project = desk::one_crate("sqlite").file("src/lib.rs", &marked).build().unwrap();
    let sent = ["install", SENT[2]];
    let output = audit(&project, &["--message-format", "json"], &sent);
    assert_eq!(output.code(), Some(0), "{output}");
    let known = r#""from":[{"file_name":"src/lib.rs","byte_start":117,"byte_end":160,"line_start":5,"line_end":5,"column_start":20,"column_end":63}]},"acknowledged":{"by":"comment","reason":"the tests fill an empty database"}"#;
    assert!(output.stdout.contains(known), "{output}");
    // Who has not captured cannot say that the comment is of no use; who has, can.
    let remark = "there is no finding of `NC105` here";
    let without = newcol(&project, &["audit", "users.locale"]);
    assert!(!without.stdout.contains(remark), "{without}");
    let other = audit(&project, &[], &["install", "load"]);
    assert!(other.stdout.contains(remark), "{other}");
    // The same text elsewhere is not acknowledged with it.
    let twice = format!(
        "{marked}\npub const AGAIN: &str = \"INSERT INTO users VALUES (1, 'Ann', NULL)\";\n"
    );
    project.write("src/lib.rs", &twice).unwrap();
    let output = audit(&project, &[], &sent);
    assert_eq!(output.code(), Some(100), "{output}");
    assert!(output.stdout.contains("it is written at src/lib.rs:5:20 and 1 more"), "{output}");
}

#[test]
fn nothing_is_left_of_a_capture_that_is_stopped() {
    if ScratchDb::require(Want::postgres()).is_none() {
        return;
    }
    let project = desk::one_crate("postgres").build().unwrap();
    let out = project.root().join("seen.out");
    let script = format!("sleep 1000 & echo $! $NEWCOL_CAPTURE $DATABASE_URL > {out}; wait");
    let args = ["audit", "users.locale", "--capture", "--", "sh", "-c", &script];
    let mut command = tool(project.root(), &args).command().stderr(Stdio::null()).spawn().unwrap();
    let seen = || fs::read_to_string(&out).unwrap_or_default();
    wait_until("command", LIMIT, || seen().ends_with('\n')).unwrap();
    Command::new("kill").args(["-INT", &command.id().to_string()]).status().unwrap();
    let status = wait_for("end", LIMIT, || command.try_wait().unwrap()).unwrap();
    assert_eq!(status.code(), Some(101));
    let seen = seen();
    let [sleeper, file, url] = seen.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("{seen}");
    };
    let is_alive = Command::new("kill").args(["-0", sleeper]).output().unwrap().status.success();
    assert!(!is_alive);
    assert!(!std::path::Path::new(file).exists());
    let gone = wait_until("end of the server", LIMIT, || {
        newcol_testkit::scratch::rows(url, "SELECT 1").is_err()
    });
    gone.unwrap();
}

#[test]
fn the_tests_of_the_workspace_are_what_runs_unless_said() {
    let project = desk::one_crate("sqlite").build().unwrap();
    let cargo = project.root().join("cargo.sh");
    let script = format!(
        "#!/bin/sh\ncase $1 in test) echo $@; {SENDER} install load;; *) exec cargo $@;; esac\n"
    );
    fs::write(&cargo, script).unwrap();
    Command::new("chmod").args(["+x", cargo.as_str()]).status().unwrap();
    let run = tool(project.root(), &["audit", "users.locale", "--capture", "--offline"])
        .env("CARGO", &cargo)
        .run()
        .unwrap();
    assert!(run.stderr.contains("  test --workspace --no-fail-fast --offline\n"), "{run}");
    assert!(run.stdout.contains("1 statement seen on SQLite, 1 kind on `users`"), "{run}");
}
