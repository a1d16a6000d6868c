//! Old code that writes, beside a column that is required and filled from the name.

mod schema;
mod support;

use diesel::prelude::*;
use schema::{posts, users};

type Conn = SqliteConnection;

diesel::table! {
    /// What a look from outside sees.
    seen (id) {
        id -> Integer,
        name -> Text,
        nick -> Nullable<Text>,
    }
}

#[derive(QueryableByName)]
#[diesel(table_name = seen)]
struct Seen {
    name: String,
    nick: Option<String>,
}

/// Reports whether every row still says what the fill says; before the backfill, it does.
fn fits(c: &mut Conn) -> QueryResult<bool> {
    let column: i64 = diesel::sql_query("SELECT count(*) AS n FROM pragma_table_info('users') WHERE name = 'nick'")
        .get_result::<Count>(c)?
        .n;
    if column == 0 {
        return Ok(true);
    }
    let rows: Vec<Seen> = diesel::sql_query("SELECT * FROM users WHERE id < 3").load(c)?;
    if rows.iter().all(|row| row.nick.is_none()) {
        return Ok(true);
    }
    Ok(rows.iter().all(|row| row.nick.as_deref() == Some(row.name.to_lowercase().as_str())))
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    n: i64,
}

mod a_struct {
    use super::*;
    #[derive(Insertable)]
    #[diesel(table_name = users)]
    struct NewUser<'a> { //~ NC004
        name: &'a str,
        team: i32,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        diesel::insert_into(users::table).values(&NewUser { name: "Eve", team: 1 }).execute(c)?;
        Ok(true)
    }
}

mod a_struct_in_a_batch {
    use super::*;
    #[derive(Insertable)]
    #[diesel(table_name = schema::users)]
    struct Row { //~ NC004
        name: String,
        email: Option<String>,
        team: i32,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let rows: Vec<Row> =
            (0..3).map(|n| Row { name: format!("Eve {n}"), email: None, team: 1 }).collect();
        diesel::insert_into(users::table).values(&rows).execute(c)?;
        Ok(true)
    }
}

mod a_tuple {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        diesel::insert_into(users::table).values((users::name.eq("Eve"), users::team.eq(1))).execute(c)?; //~ NC004
        Ok(true)
    }
}

mod one_column {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        diesel::insert_into(users::table).values(users::name.eq("Eve")).execute(c)?; //~ NC004
        Ok(true)
    }
}

mod several_tuples {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        diesel::insert_into(users::table)
            .values(&[(users::name.eq("Eve"), users::team.eq(1)), (users::name.eq("Mia"), users::team.eq(1))]) //~ NC004
            .execute(c)?;
        Ok(true)
    }
}

mod nothing_but_defaults {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        diesel::insert_into(users::table).default_values().execute(c)?; //~ NC005
        Ok(true)
    }
}

mod written_anew {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        diesel::replace_into(users::table).values((users::id.eq(1), users::name.eq("Ann"))).execute(c)?; //~ NC009
        fits(c)
    }
}

mod written_anew_from_a_variable {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let row = (users::id.eq(1), users::name.eq("Ann"), users::team.eq(1));
        diesel::replace_into(users::table).values(row).execute(c)?; //~ NC009
        fits(c)
    }
}

mod a_copy_that_goes_stale {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        diesel::update(users::table.find(1)).set(users::name.eq("Eve")).execute(c)?; //~ NC010
        fits(c)
    }
}

mod a_copy_of_a_form {
    use super::*;
    #[derive(AsChangeset)]
    #[diesel(table_name = users)]
    struct Form {
        name: String,
    }
    fn save(c: &mut Conn, form: &Form) -> QueryResult<usize> {
        diesel::update(users::table.filter(users::id.eq(1))).set(form).execute(c) //~ NC010
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        save(c, &Form { name: "Eve".to_owned() })?;
        fits(c)
    }
}

// From here on, nothing goes wrong.

mod other_columns {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        diesel::update(users::table.find(1)).set(users::email.eq("e@x")).execute(c)?;
        fits(c)
    }
}

mod another_table {
    use super::*;
    #[derive(Insertable)]
    #[diesel(table_name = posts)]
    struct NewPost<'a> {
        user_id: i32,
        title: &'a str,
    }
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        diesel::insert_into(posts::table).values(&NewPost { user_id: 1, title: "a" }).execute(c)?;
        diesel::insert_into(posts::table).values((posts::user_id.eq(1), posts::title.eq("b"))).execute(c)?;
        diesel::replace_into(posts::table)
            .values((posts::id.eq(1), posts::user_id.eq(1), posts::title.eq("c")))
            .execute(c)?;
        fits(c)
    }
}

mod deletes {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        diesel::delete(users::table.find(2)).execute(c)?;
        fits(c)
    }
}

mod reads {
    use super::*;
    pub fn run(c: &mut Conn) -> QueryResult<bool> {
        let names: Vec<String> = users::table.select(users::name).order(users::id).load(c)?;
        Ok(names.len() == 2)
    }
}

cases!(
    a_struct,
    a_struct_in_a_batch,
    a_tuple,
    one_column,
    several_tuples,
    nothing_but_defaults,
    written_anew,
    written_anew_from_a_variable,
    a_copy_that_goes_stale,
    a_copy_of_a_form,
    other_columns,
    another_table,
    deletes,
    reads,
);
