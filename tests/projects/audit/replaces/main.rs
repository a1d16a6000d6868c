//! Code that uses a column which another one replaces.

mod schema;
mod support;

use diesel::prelude::*;
use schema::{posts, users};

type Conn = SqliteConnection;

mod a_filter {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let found: i64 = users::table.filter(users::email.eq("e")).count().get_result(c)?; //~ NC020
        Ok(found == 1)
    }
}

mod a_selection {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let email: Option<String> = users::table.find(1).select(users::email).first(c)?; //~ NC020
        Ok(email.as_deref() == Some("e"))
    }
}

mod a_struct {
    use super::*;
    #[derive(Queryable, Selectable)]
    #[diesel(table_name = users)]
    struct User {
        email: Option<String>, //~ NC020
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let user = users::table.find(1).select(User::as_select()).first(c)?;
        Ok(user.email.as_deref() == Some("e"))
    }
}

mod a_change {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        diesel::update(users::table.find(1)).set(users::email.eq("f")).execute(c)?; //~ NC020
        Ok(true)
    }
}

// From here on, nothing fails.

mod other_columns {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let name: String = users::table.find(1).select(users::name).first(c)?;
        Ok(name == "Ann")
    }
}

mod another_table {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let found: i64 = posts::table.filter(posts::title.eq("e")).count().get_result(c)?;
        Ok(found == 0)
    }
}

cases!(a_filter, a_selection, a_struct, a_change, other_columns, another_table);
