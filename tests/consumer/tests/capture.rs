//! An older Diesel tells of its statements, too.

use std::{ops::ControlFlow, path::Path, process::Command};

use diesel::prelude::*;
use newcol_consumer::names;
use newcol_testkit::{
    Want,
    capture::{Capture, FILE, install},
};

/// Runs itself as the command that is captured.
#[test]
fn statements_are_told() {
    if std::env::var_os(FILE).is_some() {
        install().unwrap();
        let url = std::env::var("DATABASE_URL").unwrap();
        let mut connection = SqliteConnection::establish(&url).unwrap();
        assert_eq!(names(&mut connection).unwrap(), [""; 0]);
        return;
    }
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let migrations = migrations.as_path().try_into().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "statements_are_told"]);
    let capture = Capture::new("users", migrations, Want::sqlite());
    let captured = capture.run(command, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(captured.exit, Some(0), "{}", captured.tail);
    let sent: Vec<&str> = captured.statements.iter().map(|sent| sent.sql.as_str()).collect();
    assert_eq!(sent, ["SELECT `users`.`name` FROM `users` ORDER BY `users`.`id`"]);
}
