//! An application with users: before, with, and relying on a locale.

use diesel::prelude::*;
use diesel_async::{
    AsyncMysqlConnection, AsyncPgConnection, async_connection_wrapper::AsyncConnectionWrapper,
};
use newcol_testkit::program::Code;

pub(crate) type Postgres = AsyncConnectionWrapper<AsyncPgConnection>;
pub(crate) type Mysql = AsyncConnectionWrapper<AsyncMysqlConnection>;
pub(crate) type Sqlite = SqliteConnection;

pub(crate) mod before {
    diesel::table! { users (id) { id -> BigInt, name -> Text, } }
}

pub(crate) mod expanded {
    diesel::table! { users (id) { id -> BigInt, name -> Text, locale -> Nullable<Text>, } }
}

pub(crate) mod constrained {
    diesel::table! { users (id) { id -> BigInt, name -> Text, locale -> Text, } }
}

#[derive(
    Debug, Clone, PartialEq, Queryable, QueryableByName, Selectable, Insertable, AsChangeset,
)]
#[diesel(table_name = before::users)]
pub(crate) struct OldUser {
    pub(crate) id: i64,
    pub(crate) name: String,
}

#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = expanded::users)]
pub(crate) struct NewUser {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) locale: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = constrained::users)]
pub(crate) struct RelyingUser {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) locale: String,
}

/// A connection that the application may be built for; each has its own way to upsert.
pub(crate) trait Application: Connection + 'static {
    fn old() -> Code<Self, OldUser>;
    fn new() -> Code<Self, NewUser>;
    fn relying() -> Code<Self, RelyingUser>;
}

pub(crate) fn old<C: Application>() -> Code<C, OldUser> {
    C::old()
}

pub(crate) fn new<C: Application>() -> Code<C, NewUser> {
    C::new()
}

pub(crate) fn relying<C: Application>() -> Code<C, RelyingUser> {
    C::relying()
}

/// Writes the code of a release for a connection, how it is opened, a table, a row, the text in it
/// that changes, and what the row of a number is.
macro_rules! code {
    ($db:ty, $connect:expr, $($table:ident)::+, $row:ty, $text:ident, $make:expr) => {
        newcol_testkit::program::Code::<$db, $row>::new($connect, $make)
            .insert(|db, row| diesel::insert_into($($table)::+::table).values(row).execute(db))
            .batch_insert(|db, rows| {
                diesel::insert_into($($table)::+::table).values(rows).execute(db)
            })
            .update(|db, row| {
                row.$text += "!";
                diesel::update($($table)::+::table.find(row.id)).set(&*row).execute(db)
            })
            .read(|db, row| {
                $($table)::+::table.find(row.id).select(<$row>::as_select()).first(db)
            })
            .list(|db| $($table)::+::table.select(<$row>::as_select()).load(db))
            .delete(|db, row| diesel::delete($($table)::+::table.find(row.id)).execute(db))
    };
}

macro_rules! application {
    ($connection:ty, $upsert:ident) => {
        impl Application for $connection {
            fn old() -> Code<Self, OldUser> {
                let make = |n| OldUser { id: n as i64, name: format!("User {n}") };
                code!(Self, Self::establish, before::users, OldUser, name, make)
                    .upsert($upsert!(before))
            }

            fn new() -> Code<Self, NewUser> {
                let make = |n| NewUser {
                    id: n as i64,
                    name: format!("User {n}"),
                    locale: Some(format!("eo-{n}")),
                };
                code!(Self, Self::establish, expanded::users, NewUser, name, make)
                    .upsert($upsert!(expanded))
                    .column(|user| user.locale.clone())
            }

            fn relying() -> Code<Self, RelyingUser> {
                let make = |n| RelyingUser {
                    id: n as i64,
                    name: format!("User {n}"),
                    locale: format!("ia-{n}"),
                };
                code!(Self, Self::establish, constrained::users, RelyingUser, name, make)
                    .upsert($upsert!(constrained))
                    .column(|user| Some(user.locale.clone()))
            }
        }
    };
}

macro_rules! on_conflict {
    ($schema:ident) => {
        |db, user| {
            user.name += "?";
            diesel::insert_into($schema::users::table)
                .values(&*user)
                .on_conflict($schema::users::id)
                .do_update()
                .set(&*user)
                .execute(db)
        }
    };
}

macro_rules! on_duplicate_key {
    ($schema:ident) => {
        |db, user| {
            user.name += "?";
            diesel::insert_into($schema::users::table)
                .values(&*user)
                .on_conflict(diesel::dsl::DuplicatedKeys)
                .do_update()
                .set(&*user)
                .execute(db)
        }
    };
}

application!(Postgres, on_conflict);
application!(Mysql, on_duplicate_key);
application!(Sqlite, on_conflict);
