//! What a command sends, seen by the throwaway server or told by Diesel itself.

mod audit;

use std::{ops::ControlFlow, process::Command};

use newcol_testkit::{
    ScratchDb, Want,
    capture::{Capture, CaptureError, CaptureProgress, Captured, LONGEST, Sender},
};

use crate::desk;

const SENDER: &str = env!("CARGO_BIN_EXE_newcol-sender");

fn capture(engine: &str, want: Want, args: &[&str]) -> Captured {
    let project = desk::one_crate(engine).build().unwrap();
    let mut command = Command::new(SENDER);
    command.args(args);
    let migrations = project.root().join("migrations");
    let capture = Capture::new("users", &migrations, want);
    capture.run(command, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Returns each statement as `count sender text`.
fn lines(captured: &Captured) -> Vec<String> {
    let line = |s: &newcol_testkit::capture::SentStatement| {
        let who = match s.sender {
            Sender::Unknown => "unknown",
            Sender::Diesel => "diesel",
            Sender::DieselBuilder => "builder",
        };
        let refused = if s.refused { " refused" } else { "" };
        format!("{} {who}{refused} {}", s.count, s.sql)
    };
    captured.statements.iter().map(line).collect()
}

fn postgres(version: u32) {
    if ScratchDb::require(Want::postgres().version(version)).is_none() {
        return;
    }
    let captured = capture(
        "postgres",
        Want::postgres().version(version),
        &[
            "load",
            "load",
            "insert:1",
            "query:SELECT *\n\tFROM \"users\" /* a=',\"' */ WHERE name = 'it''s ö'",
            "batch:SET application_name = 'web'; SELECT 1 FROM users",
            "batch:SELECT 2 FROM posts",
            // As the log says it of Diesel on libpq.
            "batch:DO $$ BEGIN RAISE LOG 'execute __diesel_stmt_0: SELECT 3 FROM users'; END $$",
            "query:SELECT none FROM users",
            "query:SELEC users",
            "batch:CREATE DATABASE own",
            "database:own?application_name=web",
            "batch:CREATE TABLE users (id int)",
            "exit:3",
        ],
    );
    assert_eq!(captured.exit, Some(3));
    assert_eq!(captured.server.unwrap().major, version);
    let own = captured.statements.iter().find(|sent| sent.sql.starts_with("CREATE TABLE")).unwrap();
    assert_eq!((own.database.as_deref(), own.application.as_deref()), (Some("own"), Some("web")));
    let got = lines(&captured);
    insta::allow_duplicates! { insta::assert_debug_snapshot!(got, @r#"
    [
        "2 unknown SELECT \"users\".\"id\", \"users\".\"name\" FROM \"users\" WHERE (\"users\".\"id\" = $1)",
        "1 unknown INSERT INTO \"users\" (\"id\", \"name\") VALUES ($1, $2)",
        "1 unknown SELECT *\n\tFROM \"users\" /* a=',\"' */ WHERE name = 'it''s ö'",
        "1 unknown SET application_name = 'web'; SELECT 1 FROM users",
        "1 unknown DO $$ BEGIN RAISE LOG 'execute __diesel_stmt_0: SELECT 3 FROM users'; END $$",
        "1 builder SELECT 3 FROM users",
        "0 unknown refused SELECT none FROM users",
        "0 unknown refused SELEC users",
        "1 unknown CREATE TABLE users (id int)",
    ]
    "#) };
}

#[test]
fn postgres_18() {
    postgres(18);
}

#[test]
fn postgres_13() {
    postgres(13);
}

#[test]
fn text_of_any_encoding_and_length_is_kept_as_far_as_it_goes() {
    if ScratchDb::require(Want::postgres()).is_none() {
        return;
    }
    let captured = capture(
        "postgres",
        Want::postgres(),
        &[
            "huge",
            "batch:CREATE DATABASE old TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
            "database:old",
            "batch:CREATE TABLE users (id int)",
            "batch:SELECT 'é' FROM users",
        ],
    );
    let texts: Vec<&str> = captured.statements.iter().map(|s| s.sql.as_str()).collect();
    let [huge, table, latin] = texts.as_slice() else { panic!("{}", texts.len()) };
    // Its end is not kept, and with it the only word that counts.
    assert_eq!(latin, &"SELECT '\u{fffd}' FROM users");
    assert!(huge.starts_with("SELECT 'xxx"));
    assert!(captured.statements[0].is_cut && !captured.statements[1].is_cut);
    assert!((LONGEST - 20..=LONGEST).contains(&huge.len()), "{}", huge.len());
    assert_eq!(table, &"CREATE TABLE users (id int)");
}

#[test]
fn mariadb() {
    if ScratchDb::require(Want::mysql()).is_none() {
        return;
    }
    let captured = capture(
        "mysql",
        Want::mysql(),
        &[
            "load",
            "load",
            "insert:1",
            "query:SELECT *\n\tFROM `users` WHERE name = 'it''s ö'",
            "batch:SELECT 1 FROM users; SELECT 2 FROM posts; SELECT 3 FROM users",
            "nul",
            "huge",
            "query:SELECT none FROM users",
            "query:SELEC users",
            "batch:CREATE DATABASE own",
            "database:own",
            "batch:CREATE TABLE users (id int)",
        ],
    );
    assert_eq!(captured.exit, Some(0));
    let mut got = lines(&captured);
    got.iter_mut().for_each(|line| {
        if line.len() > 200 {
            line.truncate(60)
        }
    });
    insta::assert_debug_snapshot!(got, @r#"
    [
        "0 unknown SELECT `users`.`id`, `users`.`name` FROM `users` WHERE (`users`.`id` = ?)",
        "2 unknown SELECT `users`.`id`, `users`.`name` FROM `users` WHERE (`users`.`id` = 1)",
        "0 unknown INSERT INTO `users` (`id`, `name`) VALUES (?, ?)",
        "1 unknown INSERT INTO `users` (`id`, `name`) VALUES (1, 'a')",
        "0 unknown SELECT *\n\tFROM `users` WHERE name = 'it''s ö'",
        "1 unknown SELECT *\n\tFROM `users` WHERE name = 'it''s ö'",
        "1 unknown SELECT 1 FROM users; SELECT 2 FROM posts; SELECT 3 FROM users",
        "1 unknown SELECT 'a\0b' FROM users",
        "1 unknown SELECT 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "1 unknown CREATE TABLE users (id int)",
    ]
    "#);
}

#[test]
fn sqlite_is_told_of_by_diesel() {
    let captured = capture(
        "sqlite",
        Want::sqlite(),
        &[
            "install",
            "load",
            "load",
            "insert:1",
            "query:SELECT * FROM users -- binds: none",
            "batch:SELECT 1 FROM users;\nSELECT 2 FROM posts",
            "nul",
            "exit:1",
        ],
    );
    assert_eq!(captured.exit, Some(1));
    assert_eq!(captured.total, 6);
    insta::assert_debug_snapshot!(lines(&captured), @r#"
    [
        "2 diesel SELECT `users`.`id`, `users`.`name` FROM `users` WHERE (`users`.`id` = ?)",
        "1 diesel INSERT INTO `users` (`id`, `name`) VALUES (?, ?)",
        "1 diesel SELECT * FROM users -- binds: none",
        "1 diesel SELECT 1 FROM users;\nSELECT 2 FROM posts",
        "1 diesel SELECT 'a\0b' FROM users",
    ]
    "#);
    let silent = capture("sqlite", Want::sqlite(), &["load"]);
    assert_eq!((silent.total, silent.statements.len()), (0, 0));
}

#[test]
fn what_is_told_twice_counts_once() {
    if ScratchDb::require(Want::postgres()).is_none() {
        return;
    }
    let captured =
        capture("postgres", Want::postgres(), &["install", "load", "query:SELECT 1 FROM users"]);
    insta::assert_debug_snapshot!(lines(&captured), @r#"
    [
        "1 diesel SELECT \"users\".\"id\", \"users\".\"name\" FROM \"users\" WHERE (\"users\".\"id\" = $1)",
        "1 diesel SELECT 1 FROM users",
    ]
    "#);
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    let project = desk::one_crate("sqlite").build().unwrap();
    let migrations = project.root().join("migrations");
    let capture = Capture::new("users", &migrations, Want::sqlite());
    let ran = capture.run(Command::new("no-such-program"), &mut |_| ControlFlow::Continue(()));
    let error = ran.unwrap_err().to_string();
    assert!(error.starts_with("could not run `no-such-program`: "), "{error}");
    let stopped = capture.run(Command::new("true"), &mut |progress| match progress {
        CaptureProgress::Command => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(stopped, Err(CaptureError::Stopped)));
}
