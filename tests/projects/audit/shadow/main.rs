//! Variables that a glob in an inner block hides, once the table has the column.
//!
//! Row 1 has the e-mail address `e`; after the backfill, its nick is another.

mod schema;
mod support;

use diesel::prelude::*;

type Conn = SqliteConnection;

fn one(c: &mut Conn, count: impl Fn(&mut Conn, &str) -> QueryResult<i64>) -> QueryResult<bool> {
    Ok(count(c, "e")? == 1)
}

mod a_parameter {
    use super::*;
    fn count(c: &mut Conn, nick: &str) -> QueryResult<i64> {
        use schema::users::dsl::*;
        users.filter(email.eq(nick)).count().get_result(c) //~ NC012
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        one(c, count)
    }
}

mod an_outer_variable {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let nick = "e";
        let found: i64 = {
            use schema::users::dsl::*;
            users.filter(email.eq(nick)).count().get_result(c)? //~ NC012
        };
        Ok(found == 1)
    }
}

mod a_closures_parameter {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let count = |c: &mut Conn, nick: &str| -> QueryResult<i64> {
            use schema::users::columns::*;
            schema::users::table.filter(email.eq(nick)).count().get_result(c) //~ NC012
        };
        one(c, count)
    }
}

mod written_by_the_wrong_one {
    use super::*;
    fn change(c: &mut Conn, nick: &str) -> QueryResult<usize> {
        use schema::users::dsl::*;
        diesel::update(users.find(1)).set(email.eq(nick)).execute(c) //~ NC012
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        change(c, "Eve")?;
        let now: Option<String> = schema::users::table.find(1).select(schema::users::email).first(c)?;
        Ok(now.as_deref() == Some("Eve"))
    }
}

// From here on, nothing changes its meaning.

mod another_name {
    use super::*;
    fn count(c: &mut Conn, wanted: &str) -> QueryResult<i64> {
        use schema::users::dsl::*;
        users.filter(email.eq(wanted)).count().get_result(c)
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        one(c, count)
    }
}

mod single_names {
    use super::*;
    fn count(c: &mut Conn, nick: &str) -> QueryResult<i64> {
        use schema::users::dsl::{email, users};
        users.filter(email.eq(nick)).count().get_result(c)
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        one(c, count)
    }
}

mod used_outside {
    use super::*;
    fn count(c: &mut Conn, nick: &str) -> QueryResult<i64> {
        let all = {
            use schema::users::dsl::*;
            users.filter(id.gt(0)).into_boxed()
        };
        all.filter(schema::users::email.eq(nick)).count().get_result(c)
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        one(c, count)
    }
}

cases!(
    a_parameter,
    an_outer_variable,
    a_closures_parameter,
    written_by_the_wrong_one,
    another_name,
    single_names,
    used_outside,
);
