//! New code that knows the column as `Nullable`, which it is until it is constrained.

mod schema;

use diesel::prelude::*;
use schema::users;

type Conn = SqliteConnection;

mod a_struct_that_selects {
    use super::*;
    #[derive(Queryable, Selectable)]
    #[diesel(table_name = users)]
    struct User {
        nick: Option<String>, //~ NC017
    }
    fn first(c: &mut Conn) -> QueryResult<User> {
        users::table.select(User::as_select()).first(c)
    }
}

mod a_change_to_null {
    use super::*;
    #[derive(AsChangeset)]
    #[diesel(table_name = users, treat_none_as_null = true)]
    struct Form {
        nick: Option<String>, //~ NC017
    }
}

mod a_comparison {
    use super::*;
    fn count(c: &mut Conn) -> QueryResult<i64> {
        users::table.filter(users::nick.ne(None::<String>)).count().get_result(c) //~ NC017
    }
}

mod an_assignment {
    use super::*;
    fn clear(c: &mut Conn) -> QueryResult<usize> {
        diesel::update(users::table).set(users::nick.eq(None::<String>)).execute(c) //~ NC017
    }
}

// From here on, nothing stops compiling.

mod an_insert {
    use super::*;
    #[derive(Insertable)]
    #[diesel(table_name = users)]
    struct NewUser {
        name: String,
        nick: Option<String>,
    }
}

mod a_change {
    use super::*;
    #[derive(AsChangeset)]
    #[diesel(table_name = users)]
    struct Form {
        nick: Option<String>,
    }
}

mod a_question {
    use super::*;
    fn count(c: &mut Conn) -> QueryResult<i64> {
        users::table.filter(users::nick.is_null()).count().get_result(c)
    }
}

mod another_column {
    use super::*;
    #[derive(Queryable, Selectable)]
    #[diesel(table_name = users)]
    struct User {
        email: Option<String>,
    }
    fn first(c: &mut Conn) -> QueryResult<User> {
        users::table.select(User::as_select()).first(c)
    }
    fn clear(c: &mut Conn) -> QueryResult<usize> {
        diesel::update(users::table).set(users::email.eq(None::<String>)).execute(c)
    }
}

fn main() {}
