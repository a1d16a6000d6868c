//! The code of a project that uses Diesel.

use diesel::prelude::*;

diesel::table! {
    users (id) {
        id -> Integer,
        name -> Text,
    }
}

/// Returns the name of every user.
pub fn names(connection: &mut SqliteConnection) -> QueryResult<Vec<String>> {
    users::table.select(users::name).order(users::id).load(connection)
}
