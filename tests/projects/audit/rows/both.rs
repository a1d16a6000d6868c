//! Names that two globs bring.

mod schema;

type Conn = diesel::SqliteConnection;

mod used {
    use super::Conn;
    use crate::schema::{pets::dsl::*, users::dsl::*};
    use diesel::prelude::*;
    fn count(c: &mut Conn) -> QueryResult<i64> {
        let _ = users;
        pets.filter(nick.eq("a")).count().get_result(c) //~ NC013
    }
}

mod not_used {
    use super::Conn;
    use crate::schema::{pets::dsl::*, users::dsl::*};
    use diesel::prelude::*;
    fn count(c: &mut Conn) -> QueryResult<i64> {
        let _ = pets;
        users.filter(email.eq("a")).count().get_result(c)
    }
}

mod said {
    use super::Conn;
    use crate::schema::{pets, users};
    use diesel::prelude::*;
    fn count(c: &mut Conn) -> QueryResult<i64> {
        let _ = users::table;
        pets::table.filter(pets::nick.eq("a")).count().get_result(c)
    }
}

fn main() {}
