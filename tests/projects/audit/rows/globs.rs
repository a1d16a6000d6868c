//! Names that a glob takes.

mod schema;

use diesel::prelude::*;

type Conn = SqliteConnection;

struct Form {
    nick: String,
}

mod a_variable {
    use super::Conn;
    use crate::schema::users::dsl::*;
    use diesel::prelude::*;
    fn find(c: &mut Conn) -> QueryResult<i64> {
        let nick = "a"; //~ NC011
        users.filter(name.eq(nick)).count().get_result(c)
    }
}

mod a_parameter {
    use super::Conn;
    use crate::schema::users::dsl::*;
    use diesel::prelude::*;
    fn find(c: &mut Conn, nick: &str) -> QueryResult<i64> { //~ NC011
        users.filter(name.eq(nick)).count().get_result(c)
    }
}

mod a_closure {
    use crate::schema::users::dsl::*;
    use diesel::prelude::*;
    fn lengths(all: &[String]) -> Vec<usize> {
        let _ = users.filter(id.eq(1));
        all.iter().map(|nick: &String| nick.len()).collect() //~ NC011
    }
}

mod a_pattern {
    use crate::schema::users::columns::*;
    fn first(pair: (String, i32)) -> String {
        let _ = name;
        let (nick, _) = pair; //~ NC011
        nick
    }
}

mod a_match {
    use crate::schema::users::dsl::*;
    fn length(text: Option<String>) -> usize {
        let _ = users;
        match text {
            Some(nick) => nick.len(), //~ NC011
            None => 0,
        }
    }
}

mod a_loop {
    use crate::schema::users::dsl::*;
    fn total(all: Vec<String>) -> usize {
        let _ = users;
        let mut sum = 0;
        for nick in all { //~ NC011
            sum += nick.len();
        }
        sum
    }
}

mod a_short_field {
    use super::Form;
    use crate::schema::users::dsl::*;
    fn take(form: Form) -> String {
        let _ = users;
        let Form { nick } = form; //~ NC011
        nick
    }
}

mod in_the_function {
    use super::Conn;
    use diesel::prelude::*;
    fn find(c: &mut Conn) -> QueryResult<i64> {
        use crate::schema::users::dsl::*;
        let nick = "a"; //~ NC011
        users.filter(name.eq(nick)).count().get_result(c)
    }
}

mod hidden_by_another_type {
    use super::Conn;
    use diesel::prelude::*;
    fn find(c: &mut Conn, nick: &str) -> QueryResult<i64> {
        use crate::schema::users::dsl::*;
        users.filter(name.eq(nick)).count().get_result(c) //~ NC012
    }
}

// From here on, nothing stops compiling.

mod by_name {
    use super::Conn;
    use crate::schema::users;
    use diesel::prelude::*;
    fn find(c: &mut Conn, nick: &str) -> QueryResult<i64> {
        users::table.filter(users::name.eq(nick)).count().get_result(c)
    }
}

mod another_scope {
    use super::Conn;
    use diesel::prelude::*;
    fn find(c: &mut Conn) -> QueryResult<i64> {
        use crate::schema::users::dsl::*;
        users.filter(name.eq("a")).count().get_result(c)
    }
    fn other(nick: &str) -> usize {
        nick.len()
    }
}

mod another_table {
    use crate::schema::posts::dsl::*;
    fn other(nick: &str) -> usize {
        let _ = posts;
        nick.len()
    }
}

mod single_names {
    use crate::schema::users::dsl::{name, users};
    use diesel::prelude::*;
    fn find(c: &mut super::Conn, nick: &str) -> QueryResult<i64> {
        users.filter(name.eq(nick)).count().get_result(c)
    }
}

fn main() {}
