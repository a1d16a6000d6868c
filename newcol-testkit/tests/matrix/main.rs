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

const REPLACING: &str = "
    format = 1
    table = 'users'
    column = 'called'
    why = 'Everybody is called something'
    type = 'varchar(40)'
    required = true

    [old_rows]
    fill = 'coalesce(name, mail)'

    [replaces]
    column = 'name'
    back = 'called'
";

fn contract(text: &str) -> Contract {
    read(text).map(|file| file.contract).unwrap_or_else(|complaints| panic!("{complaints:?}"))
}

fn with_users(want: Want) -> Option<ScratchDb> {
    let db = ScratchDb::require(want)?;
    db.run(&["CREATE TABLE users (id bigint PRIMARY KEY, name varchar(40) NOT NULL)"]).unwrap();
    Some(db)
}

/// Users who may have no name.
fn with_nullable(want: Want) -> Option<ScratchDb> {
    let db = ScratchDb::require(want)?;
    db.run(&["CREATE TABLE users (id bigint PRIMARY KEY, name varchar(40), \
              mail varchar(40) NOT NULL)"])
        .unwrap();
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

/// Runs made-up code with a column that is computed from others.
fn made_up_code(want: Want) {
    let Some(db) = with_users(want) else { return };
    Matrix::of(&contract(REQUIRED)).and_back().run(db.url()).unwrap().assert_kept();
}

/// Runs made-up code on a table of which rows may lack what the fill reads.
fn made_up_code_with_nulls(want: Want) {
    let Some(db) = with_nullable(want) else { return };
    let report = Matrix::of(&contract(REQUIRED)).run(db.url()).unwrap();
    let broken: Vec<String> = report.broken().iter().map(ToString::to_string).collect();
    let [broken] = broken.as_slice() else { panic!("{report}") };
    assert!(broken.starts_with("backfill: "), "{broken}");
    let why = "fill of the required `users.locale` yields NULL for ";
    assert!(broken.contains(why) && broken.ends_with(": `name` is NULL there"), "{broken}");
    let db = with_nullable(want).unwrap();
    let coalesced = contract(&REQUIRED.replace("lower(name)", "lower(coalesce(name, mail))"));
    Matrix::of(&coalesced).run(db.url()).unwrap().assert_kept();
}

/// Runs made-up code that replaces a column which may be NULL, another standing in for it.
fn made_up_code_that_replaces(want: Want) {
    let Some(db) = with_nullable(want) else { return };
    Matrix::of(&contract(REPLACING)).and_back().run(db.url()).unwrap().assert_kept();
}

#[test]
fn made_up_code_on_postgres() {
    made_up_code(Want::postgres());
}

#[test]
fn made_up_code_on_mysql() {
    made_up_code(Want::mysql());
}

#[test]
fn made_up_code_on_sqlite() {
    made_up_code(Want::sqlite());
}

#[test]
fn made_up_code_with_nulls_on_postgres() {
    made_up_code_with_nulls(Want::postgres());
}

#[test]
fn made_up_code_that_replaces_on_postgres() {
    made_up_code_that_replaces(Want::postgres());
}

#[test]
fn made_up_code_with_nulls_on_mysql() {
    made_up_code_with_nulls(Want::mysql());
}

#[test]
fn made_up_code_that_replaces_on_mysql() {
    made_up_code_that_replaces(Want::mysql());
}

#[test]
fn made_up_code_with_nulls_on_sqlite() {
    made_up_code_with_nulls(Want::sqlite());
}

#[test]
fn made_up_code_that_replaces_on_sqlite() {
    made_up_code_that_replaces(Want::sqlite());
}
