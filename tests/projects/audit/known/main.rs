//! New code beside an optional column with a default that stays: what `None` means, and fields that
//! stand elsewhere than their columns.
//!
//! Row 1 is called Ann and has the nick `n` and the e-mail address `e`.

mod schema;
mod support;

use diesel::prelude::*;
use schema::users;

type Conn = SqliteConnection;

fn nick(c: &mut Conn, name: &str) -> QueryResult<Option<String>> {
    users::table.filter(users::name.eq(name)).select(users::nick).first(c)
}

mod none_in_an_insert {
    use super::*;
    #[derive(Insertable)]
    #[diesel(table_name = users)]
    struct NewUser {
        name: String,
        nick: Option<String>, //~ NC006
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let new = NewUser { name: "Eve".to_owned(), nick: None };
        diesel::insert_into(users::table).values(&new).execute(c)?;
        Ok(nick(c, "Eve")?.is_none())
    }
}

mod none_in_a_change {
    use super::*;
    #[derive(AsChangeset)]
    #[diesel(table_name = users)]
    struct Form {
        nick: Option<String>, //~ NC007
        email: Option<String>,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let form = Form { nick: None, email: Some("x".to_owned()) };
        diesel::update(users::table.find(1)).set(&form).execute(c)?;
        // To empty it was the wish.
        Ok(nick(c, "Ann")?.is_none())
    }
}

mod a_form_that_does_not_say {
    use super::*;
    #[derive(AsChangeset)]
    #[diesel(table_name = users, treat_none_as_null = true)]
    struct Form {
        email: Option<String>,
        nick: Option<String>, //~ NC008
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        // An older client sent no nick.
        let form = Form { email: Some("x".to_owned()), nick: None };
        diesel::update(users::table.find(1)).set(&form).execute(c)?;
        Ok(nick(c, "Ann")?.as_deref() == Some("n"))
    }
}

mod a_field_that_does_not_say {
    use super::*;
    #[derive(AsChangeset)]
    #[diesel(table_name = users)]
    struct Form {
        email: Option<String>,
        #[diesel(treat_none_as_null = true)]
        nick: Option<String>, //~ NC008
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let form = Form { email: Some("x".to_owned()), nick: None };
        diesel::update(users::table.find(1)).set(&form).execute(c)?;
        Ok(nick(c, "Ann")?.as_deref() == Some("n"))
    }
}

mod fields_that_are_swapped {
    use super::*;
    #[derive(Queryable)]
    struct User {
        id: i32,
        name: String,
        nick: Option<String>, //~ NC002
        team: i32,
        email: Option<String>,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let user = users::table.find(1).first::<User>(c)?;
        assert_eq!((user.id, user.name.as_str(), user.team), (1, "Ann", 1));
        Ok(user.nick.as_deref() == Some("n") && user.email.as_deref() == Some("e"))
    }
}

mod rows_that_were_stored {
    use super::*;
    #[derive(Queryable, Selectable, serde::Deserialize)]
    #[diesel(table_name = users)]
    struct Cached {
        name: String,
        #[diesel(deserialize_as = Text)]
        nick: Text, //~ NC022
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let row = users::table.find(1).select(Cached::as_select()).first(c)?;
        assert_eq!((row.name.as_str(), row.nick.0.as_deref()), ("Ann", Some("n")));
        stored::<Cached>()
    }
}

mod a_label_that_is_not_known {
    use super::*;
    use diesel::{
        deserialize::{self, FromSql, FromSqlRow},
        sql_types,
        sqlite::{Sqlite, SqliteValue},
    };
    #[derive(Debug, PartialEq, FromSqlRow, diesel::expression::AsExpression)]
    #[diesel(sql_type = sql_types::Text)]
    enum Nick {
        Known,
    }
    impl FromSql<sql_types::Text, Sqlite> for Nick { //~ NC021
        fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
            let text = <String as FromSql<sql_types::Text, Sqlite>>::from_sql(value)?;
            match text.as_str() {
                "k" => Ok(Self::Known),
                _ => Err("an unknown nick".into()),
            }
        }
    }
    #[derive(Queryable, Selectable)]
    #[diesel(table_name = users)]
    struct User {
        nick: Option<Nick>,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        // A newer release wrote it.
        diesel::sql_query("UPDATE users SET nick = 'newer'").execute(c)?;
        let user = users::table.find(1).select(User::as_select()).first(c)?;
        Ok(user.nick.is_some())
    }
}

/// Reads what was stored before there was a nick.
fn stored<T: serde::de::DeserializeOwned>() -> QueryResult<bool> {
    let read = serde_json::from_str::<T>(r#"{"name": "Ann"}"#);
    read.map(|_| true).map_err(|error| diesel::result::Error::DeserializationError(error.into()))
}

/// A text that may be NULL, and no `Option`.
#[derive(serde::Deserialize, Default)]
pub struct Text(Option<String>);

impl diesel::Queryable<diesel::sql_types::Nullable<diesel::sql_types::Text>, diesel::sqlite::Sqlite> for Text {
    type Row = Option<String>;
    fn build(row: Self::Row) -> diesel::deserialize::Result<Self> {
        Ok(Self(row))
    }
}

impl From<Text> for Option<String> {
    fn from(text: Text) -> Self {
        text.0
    }
}

// From here on, all is as it seems.

mod null_in_an_insert {
    use super::*;
    #[derive(Insertable)]
    #[diesel(table_name = users)]
    struct NewUser {
        name: String,
        nick: Option<Option<String>>,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let new = NewUser { name: "Eve".to_owned(), nick: Some(None) };
        diesel::insert_into(users::table).values(&new).execute(c)?;
        Ok(nick(c, "Eve")?.is_none())
    }
}

mod null_as_it_is_said {
    use super::*;
    #[derive(Insertable)]
    #[diesel(table_name = users, treat_none_as_default_value = false)]
    struct NewUser {
        name: String,
        nick: Option<String>,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let new = NewUser { name: "Eve".to_owned(), nick: None };
        diesel::insert_into(users::table).values(&new).execute(c)?;
        Ok(nick(c, "Eve")?.is_none())
    }
}

mod null_in_a_change {
    use super::*;
    #[derive(AsChangeset)]
    #[diesel(table_name = users)]
    struct Form {
        nick: Option<Option<String>>,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        diesel::update(users::table.find(1)).set(&Form { nick: Some(None) }).execute(c)?;
        Ok(nick(c, "Ann")?.is_none())
    }
}

mod a_form_without_it {
    use super::*;
    #[derive(AsChangeset)]
    #[diesel(table_name = users, treat_none_as_null = true)]
    struct Form {
        email: Option<String>,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        diesel::update(users::table.find(1)).set(&Form { email: None }).execute(c)?;
        Ok(nick(c, "Ann")?.as_deref() == Some("n"))
    }
}

mod fields_in_order {
    use super::*;
    #[derive(Queryable)]
    struct User {
        id: i32,
        name: String,
        email: Option<String>,
        team: i32,
        nick: Option<String>,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let user = users::table.find(1).first::<User>(c)?;
        assert_eq!((user.id, user.name.as_str(), user.team), (1, "Ann", 1));
        Ok(user.nick.as_deref() == Some("n") && user.email.as_deref() == Some("e"))
    }
}

mod fields_that_are_named {
    use super::*;
    #[derive(Queryable, Selectable)]
    #[diesel(table_name = users)]
    struct User {
        nick: Option<String>,
        name: String,
        email: Option<String>,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let user = users::table.find(1).select(User::as_select()).first(c)?;
        Ok((user.nick.as_deref(), user.name.as_str(), user.email.as_deref()) == (Some("n"), "Ann", Some("e")))
    }
}

mod rows_that_were_stored_and_have_a_default {
    use super::*;
    #[derive(Queryable, Selectable, serde::Deserialize)]
    #[diesel(table_name = users)]
    struct Cached {
        name: String,
        #[serde(default)]
        #[diesel(deserialize_as = Text)]
        nick: Text,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let row = users::table.find(1).select(Cached::as_select()).first(c)?;
        assert_eq!((row.name.as_str(), row.nick.0.as_deref()), ("Ann", Some("n")));
        stored::<Cached>()
    }
}

mod rows_that_were_stored_without_it {
    use super::*;
    #[derive(Queryable, Selectable, serde::Deserialize)]
    #[diesel(table_name = users)]
    struct Cached {
        name: String,
        nick: Option<String>,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let row = users::table.find(1).select(Cached::as_select()).first(c)?;
        assert_eq!((row.name.as_str(), row.nick.as_deref()), ("Ann", Some("n")));
        stored::<Cached>()
    }
}

cases!(
    none_in_an_insert,
    none_in_a_change,
    a_form_that_does_not_say,
    a_field_that_does_not_say,
    fields_that_are_swapped,
    rows_that_were_stored,
    a_label_that_is_not_known,
    null_in_an_insert,
    null_as_it_is_said,
    null_in_a_change,
    a_form_without_it,
    fields_in_order,
    fields_that_are_named,
    rows_that_were_stored_and_have_a_default,
    rows_that_were_stored_without_it,
);
