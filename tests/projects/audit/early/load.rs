//! New code for the column as it will be, with the `schema.rs` of `expand`.

mod schema;

use diesel::prelude::*;
use schema::users;

type Conn = SqliteConnection;

mod a_struct_that_selects {
    use super::*;
    #[derive(Queryable, Selectable)]
    #[diesel(table_name = users)]
    struct User {
        name: String,
        nick: String, //~ NC018
    }
    fn first(c: &mut Conn) -> QueryResult<User> {
        users::table.select(User::as_select()).first(c)
    }
}

mod a_whole_row {
    use super::*;
    #[derive(Queryable, Identifiable)]
    #[diesel(table_name = users)]
    struct Whole {
        id: i32,
        name: String,
        email: Option<String>,
        team: i32,
        nick: String, //~ NC018
    }
    fn first(c: &mut Conn) -> QueryResult<Whole> {
        users::table.first(c)
    }
}

// From here on, nothing stops compiling.

mod an_insert {
    use super::*;
    #[derive(Insertable)]
    #[diesel(table_name = users)]
    struct NewUser {
        nick: String,
    }
    fn add(c: &mut Conn, new: &NewUser) -> QueryResult<usize> {
        diesel::insert_into(users::table).values(new).execute(c)
    }
}

mod a_change {
    use super::*;
    #[derive(AsChangeset)]
    #[diesel(table_name = users)]
    struct Form {
        nick: String,
    }
    fn set(c: &mut Conn, form: &Form) -> QueryResult<usize> {
        diesel::update(users::table).set(form).execute(c)
    }
}

fn main() {}
