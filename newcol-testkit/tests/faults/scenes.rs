//! Scenarios that several faults start from: users who get a locale.

use diesel::prelude::*;
pub(crate) use newcol_core::plan::StageKind::{Backfill, Constrain, Contract, Expand};
use newcol_testkit::program::Code;
pub(crate) use newcol_testkit::{
    matrix::{
        SessionAge::{Fresh, Warm},
        Side::{New, Old},
    },
    program::Operation::{Delete, Insert, List, Read, Update, Upsert},
};

pub(crate) use crate::{
    fault::{Caught, Do, Engine, Fault, Scene, Walk},
    users::{self, Mysql, Postgres, Sqlite},
};

/// Writes a contract from column, type and the lines after them.
macro_rules! contract {
    ($column:literal, $ty:literal $(, $line:literal)*) => {
        concat!(
            "format = 1\ntable = 'users'\nwhy = 'E-mails speak it'\ncolumn = '", $column,
            "'\ntype = '", $ty, "'\n" $(, $line, "\n")*
        )
    };
}

/// Makes a migration of SQL, and optionally of the SQL that takes it back.
macro_rules! sql {
    ($up:expr) => {
        sql!($up, "SELECT 1")
    };
    ($up:expr, $down:expr) => {
        Do::Migration { up: $up, down: $down }
    };
}

pub(crate) const USERS: &str =
    "CREATE TABLE users (id bigint PRIMARY KEY, name varchar(40) NOT NULL)";

pub(crate) const COMPUTED: &str =
    contract!("locale", "varchar(40)", "required = true", "[old_rows]", "fill = 'lower(name)'");

pub(crate) const DEFAULTED: &str = contract!(
    "locale",
    "varchar(40)",
    "required = true",
    "[default]",
    "value = \"'en'\"",
    "keep = false"
);

pub(crate) const OPTIONAL: &str = contract!("locale", "varchar(40)", "required = false");

/// Old and new code on PostgreSQL, as planned.
pub(crate) const POSTGRES: Scene = Scene {
    contract: COMPUTED,
    tables: &[USERS],
    stages: &[],
    code: |matrix| matrix.old(users::old::<Postgres>()).new_code(users::new::<Postgres>()),
    walk: Walk::Forth,
};

/// The same on MariaDB.
pub(crate) const MARIADB: Scene = Scene {
    code: |matrix| matrix.old(users::old::<Mysql>()).new_code(users::new::<Mysql>()),
    ..POSTGRES
};

/// The same on SQLite.
pub(crate) const SQLITE: Scene = Scene {
    code: |matrix| matrix.old(users::old::<Sqlite>()).new_code(users::new::<Sqlite>()),
    ..POSTGRES
};

/// A name that is replaced by a full name.
pub(crate) const REPLACING: Scene = Scene {
    contract: contract!(
        "full_name",
        "varchar(40)",
        "required = true",
        "[old_rows]",
        "fill = 'name'",
        "[replaces]",
        "column = 'name'",
        "back = 'full_name'"
    ),
    tables: &["CREATE TABLE users (id bigint PRIMARY KEY, name varchar(40) NOT NULL DEFAULT '')"],
    stages: &[],
    code: |matrix| matrix.old(users::old::<Postgres>()).new_code(renamed()),
    walk: Walk::Forth,
};

mod replacing {
    diesel::table! { users (id) { id -> BigInt, full_name -> Nullable<Text>, } }
}

#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = replacing::users)]
pub(crate) struct Renamed {
    id: i64,
    full_name: Option<String>,
}

/// Code that only knows the full name.
fn renamed() -> Code<Postgres, Renamed> {
    let make = |n| Renamed { id: n as i64, full_name: Some(format!("Sir {n}")) };
    Code::new(Postgres::establish, make)
        .insert(|db, row| diesel::insert_into(replacing::users::table).values(row).execute(db))
        .update(|db, row| {
            row.full_name.get_or_insert_default().push('!');
            diesel::update(replacing::users::table.find(row.id)).set(&*row).execute(db)
        })
        .read(|db, row| replacing::users::table.find(row.id).select(Renamed::as_select()).first(db))
        .delete(|db, row| diesel::delete(replacing::users::table.find(row.id)).execute(db))
        .column(|row| row.full_name.clone())
}
