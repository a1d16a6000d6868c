//! Code that uses the column on the database to which `expand` is still to come.
//!
//! Row 1 is called Ann.

mod schema;
mod support;

use diesel::prelude::*;
use schema::{pets, users};

type Conn = SqliteConnection;

mod a_filter {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let found: i64 = users::table.filter(users::nick.is_null()).count().get_result(c)?; //~ NC019
        Ok(found == 2)
    }
}

mod a_struct_that_selects {
    use super::*;
    #[derive(Queryable, Selectable)]
    #[diesel(table_name = users)]
    struct User {
        nick: Option<String>, //~ NC019
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let user = users::table.find(1).select(User::as_select()).first(c)?;
        Ok(user.nick.is_none())
    }
}

mod whole_rows {
    use super::*;
    type Row = (i32, String, Option<String>, i32, Option<String>);
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let rows = users::table.load::<Row>(c)?; //~ NC019
        Ok(rows.len() == 2)
    }
}

mod an_insert_with_a_value {
    use super::*;
    #[derive(Insertable)]
    #[diesel(table_name = users)]
    struct NewUser {
        name: String,
        nick: Option<String>, //~ NC019
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let new = NewUser { name: "Eve".to_owned(), nick: Some("e".to_owned()) };
        Ok(diesel::insert_into(users::table).values(&new).execute(c)? == 1)
    }
}

mod a_change {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let changed = diesel::update(users::table.find(1)).set(users::nick.eq("n")).execute(c)?; //~ NC019
        Ok(changed == 1)
    }
}

mod a_query_in_sql {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        diesel::sql_query("SELECT nick FROM users WHERE id = 1").execute(c)?; //~ NC019
        Ok(true)
    }
}

mod an_insert_in_sql {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        diesel::sql_query("INSERT INTO users (name, nick) VALUES ('Eve', 'e')").execute(c)?; //~ NC019
        Ok(true)
    }
}

mod a_change_in_sql {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        diesel::sql_query("UPDATE users SET nick = 'n' WHERE users.id = 1").execute(c)?; //~ NC019
        Ok(true)
    }
}

// From here on, nothing fails.

mod other_columns {
    use super::*;
    #[derive(Queryable, Selectable)]
    #[diesel(table_name = users)]
    struct User {
        name: String,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let nick = "Ann";
        let user = users::table.find(1).select(User::as_select()).first(c)?;
        Ok(user.name == nick)
    }
}

mod a_count {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        Ok(users::table.count().get_result::<i64>(c)? == 2)
    }
}

mod another_table {
    use super::*;
    pub fn run(_: &mut Conn) -> QueryResult<bool> {
        let select = pets::table.filter(pets::nick.eq("p")).select(pets::nick);
        Ok(diesel::debug_query::<diesel::sqlite::Sqlite, _>(&select).to_string().contains("nick"))
    }
}

mod a_name_of_the_result {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        diesel::sql_query("SELECT lower(name) AS nick FROM users GROUP BY nick HAVING nick > 'a'").execute(c)?;
        diesel::sql_query("SELECT lower(name) AS nick FROM users WHERE nick = 'ann' ORDER BY nick").execute(c)?;
        Ok(true)
    }
}

mod an_insert_without_it {
    use super::*;
    #[derive(Insertable)]
    #[diesel(table_name = users)]
    struct NewUser {
        name: String,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let new = NewUser { name: "Eve".to_owned() };
        Ok(diesel::insert_into(users::table).values(&new).execute(c)? == 1)
    }
}

cases!(
    a_filter,
    a_struct_that_selects,
    whole_rows,
    an_insert_with_a_value,
    a_change,
    a_query_in_sql,
    an_insert_in_sql,
    a_change_in_sql,
    other_columns,
    a_count,
    another_table,
    a_name_of_the_result,
    an_insert_without_it,
);
