//! An application with users: before, with, and relying on a locale.

use diesel::prelude::*;
use diesel_async::{
    AsyncMysqlConnection, AsyncPgConnection, async_connection_wrapper::AsyncConnectionWrapper,
};
use newcol_testkit::program::Code;

pub(crate) type Postgres = AsyncConnectionWrapper<AsyncPgConnection>;
pub(crate) type Mysql = AsyncConnectionWrapper<AsyncMysqlConnection>;
pub(crate) type Sqlite = SqliteConnection;

mod before {
    diesel::table! { users (id) { id -> BigInt, name -> Text, } }
}

mod expanded {
    diesel::table! { users (id) { id -> BigInt, name -> Text, locale -> Nullable<Text>, } }
}

mod constrained {
    diesel::table! { users (id) { id -> BigInt, name -> Text, locale -> Text, } }
}

#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = before::users)]
pub(crate) struct OldUser {
    id: i64,
    name: String,
}

#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = expanded::users)]
pub(crate) struct NewUser {
    id: i64,
    name: String,
    locale: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = constrained::users)]
pub(crate) struct RelyingUser {
    id: i64,
    name: String,
    locale: String,
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

/// Writes the release for a connection, a schema and a row.
macro_rules! code {
    ($connection:ty, $schema:ident, $row:ty, $make:expr, $upsert:expr) => {
        Code::<$connection, $row>::new(<$connection>::establish, $make)
            .insert(|db, user| diesel::insert_into($schema::users::table).values(user).execute(db))
            .batch_insert(|db, users| {
                diesel::insert_into($schema::users::table).values(users).execute(db)
            })
            .update(|db, user| {
                user.name += "!";
                diesel::update($schema::users::table.find(user.id)).set(&*user).execute(db)
            })
            .upsert($upsert)
            .read(|db, user| {
                $schema::users::table.find(user.id).select(<$row>::as_select()).first(db)
            })
            .list(|db| $schema::users::table.select(<$row>::as_select()).load(db))
            .delete(|db, user| diesel::delete($schema::users::table.find(user.id)).execute(db))
    };
}

macro_rules! application {
    ($connection:ty, $upsert:ident) => {
        impl Application for $connection {
            fn old() -> Code<Self, OldUser> {
                let make = |n| OldUser { id: n as i64, name: format!("User {n}") };
                code!(Self, before, OldUser, make, $upsert!(before))
            }

            fn new() -> Code<Self, NewUser> {
                let make = |n| NewUser {
                    id: n as i64,
                    name: format!("User {n}"),
                    locale: Some(format!("eo-{n}")),
                };
                code!(Self, expanded, NewUser, make, $upsert!(expanded))
                    .column(|user| user.locale.clone())
            }

            fn relying() -> Code<Self, RelyingUser> {
                let make = |n| RelyingUser {
                    id: n as i64,
                    name: format!("User {n}"),
                    locale: format!("ia-{n}"),
                };
                code!(Self, constrained, RelyingUser, make, $upsert!(constrained))
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
