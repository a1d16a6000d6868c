//! The stage matrix on real servers, with Diesel code of an application.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

#[path = "../support/users.rs"]
mod users;

use newcol_core::contract::{Contract, read::read};
use newcol_testkit::{ScratchDb, Want, matrix::Matrix, redact};

use self::users::{Mysql, Postgres, Sqlite};

const REQUIRED: &str = "
    format = 1
    table = 'users'
    column = 'locale'
    why = 'E-mails speak it'
    type = 'varchar(40)'
    required = true

    [old_rows]
    fill = 'lower(name)'
";

fn contract(text: &str) -> Contract {
    read(text).map(|file| file.contract).unwrap_or_else(|complaints| panic!("{complaints:?}"))
}

fn with_users(want: Want) -> Option<ScratchDb> {
    let db = ScratchDb::require(want)?;
    db.run(&["CREATE TABLE users (id bigint PRIMARY KEY, name varchar(40) NOT NULL)"]).unwrap();
    Some(db)
}

#[test]
fn required_and_computed_on_postgres() {
    let Some(db) = with_users(Want::postgres().version(15)) else { return };
    let contract = contract(REQUIRED);
    let report = Matrix::of(&contract)
        .old(users::old::<Postgres>())
        .new_code(users::new::<Postgres>())
        .relying(users::relying::<Postgres>())
        .and_back()
        .run(db.url())
        .unwrap();
    insta::assert_snapshot!(report);
}

#[test]
fn required_and_computed_on_mysql() {
    let Some(db) = with_users(Want::mysql()) else { return };
    let contract = contract(REQUIRED);
    let report = Matrix::of(&contract)
        .old(users::old::<Mysql>())
        .new_code(users::new::<Mysql>())
        .relying(users::relying::<Mysql>())
        .and_back()
        .run(db.url())
        .unwrap();
    insta::assert_snapshot!(redact::redact(&report.to_string()));
}

#[test]
fn required_and_computed_on_sqlite() {
    let Some(db) = with_users(Want::sqlite()) else { return };
    let contract = contract(REQUIRED);
    let report = Matrix::of(&contract)
        .old(users::old::<Sqlite>())
        .new_code(users::new::<Sqlite>())
        .relying(users::relying::<Sqlite>())
        .and_back()
        .run(db.url())
        .unwrap();
    insta::assert_snapshot!(report);
}

#[test]
fn made_up_code_on_postgres() {
    let Some(db) = with_users(Want::postgres()) else { return };
    let report = Matrix::of(&contract(REQUIRED)).and_back().run(db.url()).unwrap();
    report.assert_kept();
}

#[test]
fn made_up_code_on_mysql() {
    let Some(db) = with_users(Want::mysql()) else { return };
    let report = Matrix::of(&contract(REQUIRED)).and_back().run(db.url()).unwrap();
    report.assert_kept();
}

#[test]
fn made_up_code_on_sqlite() {
    let Some(db) = with_users(Want::sqlite()) else { return };
    let report = Matrix::of(&contract(REQUIRED)).and_back().run(db.url()).unwrap();
    report.assert_kept();
}
