//! Rows read by position, and not.

mod schema;

use diesel::prelude::*;
use schema::{posts, users};

#[derive(Queryable, Identifiable, AsChangeset)]
#[diesel(table_name = users)]
struct User {
    id: i32,
    name: String,
    email: Option<String>,
    team: i32,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
struct Named {
    id: i32,
    name: String,
}

#[derive(Queryable, Identifiable)]
struct Post {
    id: i32,
    user_id: i32,
    title: String,
}

type Conn = SqliteConnection;

mod expected_by_the_function {
    use super::*;
    fn all(c: &mut Conn) -> QueryResult<Vec<User>> {
        users::table.load(c) //~ NC001
    }
}

mod said_by_the_call {
    use super::*;
    fn one(c: &mut Conn) -> Option<String> {
        let user = users::table.filter(users::id.eq(1)).first::<User>(c).ok()?; //~ NC001
        Some(user.name)
    }
}

mod said_by_the_variable {
    use super::*;
    fn all(c: &mut Conn) -> usize {
        let all: Vec<User> = users::table.order(users::id).load(c).unwrap(); //~ NC001
        all.len()
    }
}

mod found_by_its_key {
    use super::*;
    fn one(c: &mut Conn) -> QueryResult<User> {
        users::table.find(1).get_result(c) //~ NC001
    }
}

mod boxed {
    use super::*;
    fn some(c: &mut Conn, only: bool) -> Vec<User> {
        let mut query = users::table.into_boxed();
        if only {
            query = query.filter(users::id.eq(1));
        }
        query.load(c).unwrap() //~ NC001
    }
}

mod joined {
    use super::*;
    fn both(c: &mut Conn) -> Vec<(Post, User)> {
        posts::table.inner_join(users::table).load(c).unwrap() //~ NC001
    }
}

mod joined_from_the_left {
    use super::*;
    fn both(c: &mut Conn) -> Vec<(Post, Option<User>)> {
        posts::table.left_join(users::table).load(c).unwrap() //~ NC001
    }
}

mod every_column {
    use super::*;
    fn all(c: &mut Conn) -> Vec<User> {
        users::table.select(users::all_columns).load(c).unwrap() //~ NC001
    }
}

mod every_column_beside_others {
    use super::*;
    fn all(c: &mut Conn) -> Vec<(User, String)> {
        users::table.inner_join(posts::table).select((users::all_columns, posts::title)).load(c).unwrap() //~ NC001
    }
}

mod given_back_by_an_insert {
    use super::*;
    fn add(c: &mut Conn) -> QueryResult<User> {
        diesel::insert_into(users::table).values((users::name.eq("a"), users::team.eq(1))).get_result(c) //~ NC001
    }
}

mod given_back_by_an_update {
    use super::*;
    fn rename(c: &mut Conn) -> QueryResult<User> {
        diesel::update(users::table.find(1)).set(users::email.eq("b")).get_result(c) //~ NC001
    }
}

mod given_back_by_a_delete {
    use super::*;
    fn drop(c: &mut Conn) -> QueryResult<Vec<User>> {
        diesel::delete(users::table).get_results(c) //~ NC001
    }
}

mod a_struct_that_can_select {
    use super::*;
    #[derive(Queryable)]
    #[diesel(table_name = users)]
    struct Chosen {
        id: i32,
        name: String,
        email: Option<String>,
        team: i32,
    }
    fn all(c: &mut Conn) -> QueryResult<Vec<Chosen>> {
        users::table.load(c) //~ NC001
    }
    fn add(c: &mut Conn) -> QueryResult<Chosen> {
        diesel::insert_into(users::table).values((users::name.eq("a"), users::team.eq(1))).get_result(c) //~ NC001
    }
}

mod a_struct_of_no_table {
    use super::*;
    #[derive(Queryable, Debug)] struct Loose { id: i32, name: String, email: Option<String>, team: i32 }
    fn first(c: &mut Conn) -> QueryResult<Loose> {
        users::table.filter(users::id.gt(1)).first(c) //~ NC001
    }
}

mod a_struct_that_takes_a_field {
    use super::*;
    #[derive(Queryable)]
    pub struct Taking {
        pub id: i32,
        pub name: String,
        pub email: Option<String>,
        pub team: i32,
    }
    fn both(c: &mut Conn) -> Vec<(Post, Taking)> {
        posts::table.inner_join(users::table).load(c).unwrap() //~ NC001
    }
}

mod a_struct_that_is_built {
    use super::*;
    #[derive(Queryable)]
    struct Made {
        id: i32,
        name: String,
        email: Option<String>,
        team: i32,
    }
    fn none() -> Made {
        Made { id: 0, name: String::new(), email: None, team: 0 }
    }
    fn both(c: &mut Conn) -> Vec<(Post, Made)> {
        posts::table.inner_join(users::table).load(c).unwrap() //~ NC001
    }
}

mod a_tuple {
    use super::*;
    fn all(c: &mut Conn) -> usize {
        users::table.load::<(i32, String, Option<String>, i32)>(c).unwrap().len() //~ NC001
    }
}

mod a_tuple_of_the_function {
    use super::*;
    fn all(c: &mut Conn) -> QueryResult<Vec<(i32, String, Option<String>, i32)>> {
        users::table.load(c) //~ NC001
    }
}

mod another_name {
    use super::Conn;
    use super::schema::users as people;
    use diesel::prelude::*;
    fn all(c: &mut Conn) -> usize {
        people::table.load::<super::User>(c).unwrap().len() //~ NC001
    }
}

mod its_dsl {
    use super::Conn;
    use diesel::prelude::*;
    fn all(c: &mut Conn) -> usize {
        use super::schema::users::dsl::*;
        users.load::<super::User>(c).unwrap().len() //~ NC001
    }
}

mod the_whole_path {
    use super::Conn;
    use diesel::prelude::*;
    fn all(c: &mut Conn) -> usize {
        crate::schema::users::table.load::<super::User>(c).unwrap().len() //~ NC001
    }
}

mod its_own_impl {
    use super::*;
    impl User {
        fn by_name(c: &mut Conn, name: &str) -> Option<Self> {
            users::table.filter(users::name.eq(name)).first::<Self>(c).ok() //~ NC001
        }
    }
}

mod in_a_closure {
    use super::*;
    fn all(c: &mut Conn) -> usize {
        let run = |c: &mut Conn| users::table.load::<User>(c); //~ NC001
        run(c).unwrap().len()
    }
}

mod in_a_macro {
    use super::*;
    macro_rules! on {
        ($c:ident: $body:block) => {{
            let $c = $c;
            $body
        }};
    }
    fn all(c: &mut Conn) -> usize {
        on! { c: { users::table.load::<User>(c).unwrap().len() } } //~ NC001
    }
}

mod embedded {
    use super::*;
    #[derive(Queryable)]
    struct View {
        #[diesel(embed)]
        user: User,
        title: String,
    }
    fn all(c: &mut Conn) -> Vec<View> {
        users::table.inner_join(posts::table).select((users::all_columns, posts::title)).load(c).unwrap() //~ NC001
    }
}

mod combined_with_another_table {
    use super::*;
    fn all(c: &mut Conn) -> usize {
        users::table.union_all(schema::archive::table).load::<(i32, String, Option<String>, i32)>(c).unwrap().len() //~ NC003 NC001
    }
}

mod inserted_elsewhere {
    use super::*;
    fn copy(c: &mut Conn) -> usize {
        users::table.insert_into(schema::archive::table).execute(c).unwrap() //~ NC003
    }
}

// From here on, nothing stops compiling.

mod named {
    use super::*;
    fn all(c: &mut Conn) -> QueryResult<Vec<Named>> {
        users::table.select(Named::as_select()).load(c)
    }
}

mod named_in_a_join {
    use super::*;
    fn all(c: &mut Conn) -> QueryResult<Vec<(Named, String)>> {
        users::table.inner_join(posts::table).select((Named::as_select(), posts::title)).load(c)
    }
}

mod named_and_given_back {
    use super::*;
    fn add(c: &mut Conn) -> QueryResult<Named> {
        diesel::insert_into(users::table).values(users::name.eq("a")).returning(Named::as_returning()).get_result(c)
    }
}

mod some_columns {
    use super::*;
    fn all(c: &mut Conn) -> QueryResult<Vec<(i32, String)>> {
        users::table.select((users::id, users::name)).load(c)
    }
}

mod counted {
    use super::*;
    fn count(c: &mut Conn) -> QueryResult<i64> {
        users::table.count().get_result(c)
    }
}

mod in_a_subquery {
    use super::*;
    fn all(c: &mut Conn) -> QueryResult<Vec<Post>> {
        posts::table.filter(posts::user_id.eq_any(users::table.select(users::id))).load(c)
    }
}

mod of_another_table {
    use super::*;
    fn all(c: &mut Conn) -> QueryResult<Vec<Post>> {
        posts::table.load(c)
    }
    fn of(c: &mut Conn, post: i32) -> QueryResult<Post> {
        posts::table.find(post).first(c)
    }
}

mod combined_with_itself {
    use super::*;
    fn all(c: &mut Conn) -> QueryResult<Vec<(i32, String)>> {
        let few = users::table.select((users::id, users::name));
        few.union(users::table.select((users::id, users::name))).load(c)
    }
}

mod copied_by_name {
    use super::*;
    fn copy(c: &mut Conn) -> QueryResult<usize> {
        let rows = users::table.select((users::id, users::name, users::team));
        rows.insert_into(schema::archive::table)
            .into_columns((schema::archive::id, schema::archive::name, schema::archive::team))
            .execute(c)
    }
}

mod exists {
    use super::*;
    fn any(c: &mut Conn) -> QueryResult<bool> {
        diesel::select(diesel::dsl::exists(users::table.filter(users::id.eq(1)))).get_result(c)
    }
}

mod a_variable_of_the_same_name {
    use super::*;
    struct Shelf;
    impl Shelf {
        fn load<T>(&self, _: i32) -> Option<T> {
            None
        }
    }
    fn all() -> Option<User> {
        let users = Shelf;
        users.load::<User>(1)
    }
}

fn main() {}
