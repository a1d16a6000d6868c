//! The queries of a Diesel application before and after its struct got the column are paired.

use diesel::{Connection as _, prelude::*};
use diesel_async::{AsyncPgConnection, async_connection_wrapper::AsyncConnectionWrapper};
use newcol_core::watch::{collect::Purpose, report::Report};

use super::{ADD, World};

type Connection = AsyncConnectionWrapper<AsyncPgConnection>;

macro_rules! application {
    ($module:ident { $($column:ident: $sql:ident, $rust:ty = $value:expr;)* }) => {
        mod $module {
            use super::*;

            diesel::table! {
                users (id) {
                    id -> Integer,
                    $($column -> Nullable<$sql>,)*
                }
            }

            diesel::table! {
                orders (id) {
                    id -> Integer,
                    user_id -> Integer,
                }
            }

            diesel::allow_tables_to_appear_in_same_query!(users, orders);

            #[derive(Queryable, Selectable, Insertable, AsChangeset)]
            #[diesel(table_name = users)]
            struct User {
                id: i32,
                $($column: Option<$rust>,)*
            }

            impl User {
                fn of(id: i32) -> Self {
                    Self { id, $($column: Some($value),)* }
                }
            }

            /// Runs every query of the application, and returns how many there are.
            pub(super) fn run(connection: &mut Connection) -> usize {
                use self::users::dsl as u;
                let all = User::as_select();
                let mut count = 0;
                let mut ran = |done: usize| {
                    std::hint::black_box(done);
                    count += 1;
                };
                ran(u::users.select(all).load::<User>(connection).unwrap().len());
                ran(u::users.find(1).select(all).load::<User>(connection).unwrap().len());
                ran(u::users.load::<User>(connection).unwrap().len());
                ran(u::users.filter(u::name.eq("x")).select(all).load::<User>(connection).unwrap().len());
                ran(u::users.filter(u::age.gt(3)).order(u::id).limit(2).select(all).load::<User>(connection).unwrap().len());
                ran(u::users.order((u::name.desc(), u::id)).offset(1).limit(5).select(all).load::<User>(connection).unwrap().len());
                ran(u::users.filter(u::id.eq_any([1, 2, 3])).select(all).load::<User>(connection).unwrap().len());
                ran(u::users.inner_join(orders::table.on(orders::user_id.eq(u::id))).select(all).load::<User>(connection).unwrap().len());
                ran(u::users.left_join(orders::table.on(orders::user_id.eq(u::id))).select((all, orders::id.nullable())).load::<(User, Option<i32>)>(connection).unwrap().len());
                ran(u::users.filter(u::id.eq_any(orders::table.select(orders::user_id))).select(all).load::<User>(connection).unwrap().len());
                ran(u::users.distinct().select(all).load::<User>(connection).unwrap().len());
                ran(u::users.filter(u::name.like("a%").or(u::age.is_null())).select(all).load::<User>(connection).unwrap().len());
                ran(u::users.for_update().filter(u::id.eq(4)).select(all).load::<User>(connection).unwrap().len());
                let insert = |id| diesel::insert_into(users::table).values(User::of(id));
                ran(insert(2000).execute(connection).unwrap());
                ran(insert(2001).returning(User::as_returning()).get_results::<User>(connection).unwrap().len());
                ran(insert(2001).on_conflict_do_nothing().execute(connection).unwrap());
                ran(insert(2001).on_conflict(u::id).do_update().set(User::of(2001)).execute(connection).unwrap());
                ran(insert(2001).on_conflict(u::id).do_update().set(u::age.eq(5)).returning(User::as_returning()).get_results::<User>(connection).unwrap().len());
                ran(diesel::insert_into(users::table).values(vec![User::of(2002), User::of(2003)]).execute(connection).unwrap());
                ran(diesel::update(u::users.find(2000)).set(User::of(2000)).execute(connection).unwrap());
                ran(diesel::update(u::users.find(2000)).set(User::of(2000)).returning(User::as_returning()).get_results::<User>(connection).unwrap().len());
                ran(diesel::update(u::users.filter(u::age.lt(0))).set(u::name.eq("y")).returning(User::as_returning()).get_results::<User>(connection).unwrap().len());
                ran(diesel::delete(u::users.find(2002)).returning(User::as_returning()).get_results::<User>(connection).unwrap().len());
                ran(diesel::delete(u::users.filter(u::id.ge(2000))).execute(connection).unwrap());
                ran(u::users.count().get_result::<i64>(connection).map(usize::try_from).unwrap().unwrap());
                ran(u::users.select(u::name).load::<Option<String>>(connection).unwrap().len());
                count
            }
        }
    };
}

application!(old {
    name: Text, String = "n".to_owned();
    age: Integer, i32 = 7;
});

application!(new {
    name: Text, String = "n".to_owned();
    age: Integer, i32 = 7;
    locale: Text, String = "en".to_owned();
});

#[test]
fn queries_of_two_releases_are_paired_13() {
    queries_of_two_releases_are_paired(13);
}

#[test]
fn queries_of_two_releases_are_paired_18() {
    queries_of_two_releases_are_paired(18);
}

fn queries_of_two_releases_are_paired(major: u32) {
    let mut world = World::new(major);
    world.run(&["CREATE TABLE orders (id integer PRIMARY KEY, user_id integer NOT NULL)"]);
    let mut connection = Connection::establish(world.db.url()).unwrap();
    let queries = old::run(&mut connection);
    world.take(Purpose::Baseline);
    world.run(&[ADD]);
    world.take(Purpose::Snap);
    assert_eq!(new::run(&mut connection), queries);
    world.take(Purpose::Snap);
    let report = Report::of(&mut world.store()).unwrap().unwrap();
    // Every number that the new release brought, and that is on the table, has one of the old.
    let is_new = |s: &&newcol_core::watch::report::Line| {
        s.on_table && !s.is_of_old && s.after.as_ref().is_some_and(|after| after.calls > 0)
    };
    let new: Vec<_> = report.lines.iter().filter(is_new).collect();
    let unpaired: Vec<&str> =
        new.iter().filter(|s| s.heirs_of.is_empty()).filter_map(|s| s.text.as_deref()).collect();
    assert!(new.len() >= 20, "{} of {queries}", new.len());
    assert!(unpaired.len() * 20 <= new.len(), "{}", unpaired.join("\n"));
    // What of the old one is not in use any more is continued, and by one line only.
    for line in &new {
        for old in &line.heirs_of {
            let old = report.lines.iter().find(|s| s.id == *old).unwrap();
            assert!(old.is_of_old && old.before.is_some(), "{old:?}");
        }
    }
}
