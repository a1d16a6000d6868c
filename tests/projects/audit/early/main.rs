//! New code whose `schema.rs` says NOT NULL before the column is constrained.
//!
//! Row 1 is called Ann and has the nick `n`, and row 2 is called Bob and has none until the backfill.

mod schema;
mod support;

use diesel::prelude::*;
use schema::{pets, users};

type Conn = SqliteConnection;

mod a_struct_that_selects {
    use super::*;
    #[derive(Queryable, Selectable)]
    #[diesel(table_name = users)]
    struct User {
        name: String,
        nick: String, //~ NC018
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let all = users::table.order(users::id).select(User::as_select()).load(c)?;
        Ok(all.len() == 2 && (all[0].name.as_str(), all[0].nick.as_str()) == ("Ann", "n"))
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
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let bob = users::table.find(2).first::<Whole>(c)?;
        Ok((bob.id, bob.name.as_str(), bob.email, bob.team, bob.nick.is_empty()) == (2, "Bob", None, 1, false))
    }
}

// From here on, nothing fails.

mod another_column {
    use super::*;
    #[derive(Queryable, Selectable)]
    #[diesel(table_name = users)]
    struct User {
        name: String,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let all = users::table.select(User::as_select()).load(c)?;
        Ok(all.iter().map(|user| user.name.as_str()).eq(["Ann", "Bob"]))
    }
}

mod another_table {
    use super::*;
    #[derive(Queryable, Selectable)]
    #[diesel(table_name = pets)]
    struct Pet {
        nick: String,
    }
    pub fn run(_: &mut Conn) -> QueryResult<bool> {
        let select = pets::table.select(Pet::as_select());
        let pet = Pet { nick: "p".to_owned() };
        Ok(!pet.nick.is_empty() && !diesel::debug_query::<diesel::sqlite::Sqlite, _>(&select).to_string().is_empty())
    }
}

mod an_insert {
    use super::*;
    #[derive(Insertable)]
    #[diesel(table_name = users)]
    struct NewUser {
        name: String,
        nick: String,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let new = NewUser { name: "Eve".to_owned(), nick: "e".to_owned() };
        Ok(diesel::insert_into(users::table).values(&new).execute(c)? == 1)
    }
}

mod a_change {
    use super::*;
    #[derive(AsChangeset)]
    #[diesel(table_name = users)]
    struct Form {
        nick: String,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let form = Form { nick: "b".to_owned() };
        Ok(diesel::update(users::table.find(2)).set(&form).execute(c)? == 1)
    }
}

cases!(
    a_struct_that_selects,
    a_whole_row,
    another_column,
    another_table,
    an_insert,
    a_change,
);
