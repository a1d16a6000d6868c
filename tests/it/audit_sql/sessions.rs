//! What the rules say of sessions, transactions and rows read by name.

use diesel::{
    Connection, ExpressionMethods, JoinOnDsl, QueryDsl, QueryableByName, RunQueryDsl,
    SqliteConnection,
    dsl::sql,
    sql_query,
    sql_types::{Integer, Text},
};
use newcol_core::backend::Backend;
use newcol_testkit::{ScratchDb, Want};

use super::world::{Kind, Server};

fn servers() -> impl Iterator<Item = Server> {
    VERSIONS.into_iter().filter_map(|version| Server::new(Want::postgres().version(version)))
}

const VERSIONS: [u32; 2] = [13, 18];

/// NC108: a trigger that has run in a session goes on in it.
#[test]
fn rows_in_triggers_fail_in_new_sessions() {
    for mut server in servers() {
        let world = server.world(Kind::Optional);
        world.run(&[
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO hist SELECT (OLD).*; RETURN NEW; END $$",
            "CREATE TRIGGER keep AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION keep()",
        ]);
        let update = "UPDATE users SET name = 'z'";
        let mut warm = world.session();
        warm.batch(update).unwrap();
        world.run(&["ALTER TABLE users ADD COLUMN title varchar(50)"]);
        warm.batch(update).unwrap();
        let said = format!("{:?}", world.session().batch(update).unwrap_err());
        assert!(said.contains("INSERT has more expressions than target columns"), "{said}");
    }
}

/// NC119: a statement that was prepared fails for good; one of a new session does not.
#[test]
fn a_type_in_place_fails_what_was_prepared() {
    for mut server in servers() {
        let world = server.world(Kind::Optional);
        let mut warm = world.session();
        warm.batch("PREPARE names AS SELECT name FROM users").unwrap();
        warm.batch("EXECUTE names").unwrap();
        world.run(&["ALTER TABLE users ADD COLUMN title varchar(50)"]);
        warm.batch("EXECUTE names").unwrap();
        world.run(&["ALTER TABLE users ALTER COLUMN name TYPE text"]);
        for _ in 0..2 {
            let said = format!("{:?}", warm.batch("EXECUTE names").unwrap_err());
            assert!(said.contains("cached plan must not change result type"), "{said}");
        }
        world.session().batch("PREPARE names AS SELECT name FROM users; EXECUTE names").unwrap();
    }
}

/// NC120: a label cannot be used in the transaction that adds it to a type of before.
#[test]
fn a_label_is_of_use_to_the_next_transaction() {
    for mut server in servers() {
        let world = server.world(Kind::Optional);
        world.run(&["CREATE TYPE mood AS ENUM ('sad')", "ALTER TABLE users ADD COLUMN mood mood"]);
        let both = "ALTER TYPE mood ADD VALUE 'calm'; UPDATE users SET mood = 'calm'";
        let said = format!("{:?}", world.session().batch(both).unwrap_err());
        assert!(said.contains("unsafe use of new value"), "{said}");
        world.run(&["ALTER TYPE mood ADD VALUE 'calm'", "UPDATE users SET mood = 'calm'"]);
        let with_type = "CREATE TYPE tone AS ENUM ('low'); ALTER TYPE tone ADD VALUE 'high'; \
            ALTER TABLE users ADD COLUMN tone tone; UPDATE users SET tone = 'high'";
        let mut session = world.session();
        assert_eq!(session.batch(with_type).is_ok(), session.server().at_least(17, 0));
    }
}

diesel::table! { users (id) { id -> Integer, name -> Text, } }
diesel::table! { posts (id) { id -> Integer, user_id -> Integer, title -> Text, } }
diesel::allow_tables_to_appear_in_same_query!(users, posts);

/// A database in which `users` has no title yet.
fn untitled() -> ScratchDb {
    let db = ScratchDb::new(Backend::Sqlite).unwrap();
    db.run(&[
        "CREATE TABLE users (id integer, name text)",
        "CREATE TABLE posts (id integer, user_id integer, title text)",
        "INSERT INTO users VALUES (1, 'ada')",
        "INSERT INTO posts VALUES (10, 1, 'first')",
    ])
    .unwrap();
    db
}

/// Gives `users` its title.
fn title(db: &ScratchDb) {
    db.run(&["ALTER TABLE users ADD COLUMN title text", "UPDATE users SET title = 'new'"]).unwrap();
}

/// NC114: what stands behind `users.*` is read from the place where it was.
#[test]
fn raw_stars_move_what_stands_behind() {
    let db = untitled();
    let read = || {
        let mut connection = SqliteConnection::establish(db.url()).unwrap();
        let joined = users::table.inner_join(posts::table.on(posts::user_id.eq(users::id)));
        let star = sql::<(Integer, Text)>("users.*");
        let pair: ((i32, String), String) =
            joined.select((star.clone(), posts::title)).first(&mut connection).unwrap();
        let alone: (i32, String) = users::table.select(star).first(&mut connection).unwrap();
        (pair.1, alone.1)
    };
    assert_eq!(read(), ("first".to_owned(), "ada".to_owned()));
    title(&db);
    assert_eq!(read(), ("new".to_owned(), "ada".to_owned()));
}

#[derive(QueryableByName)]
struct Titled {
    #[diesel(sql_type = Integer)]
    #[expect(dead_code, reason = "the row has more than the value that is looked at")]
    user_id: i32,
    #[diesel(sql_type = Text)]
    title: String,
}

/// NC102: of two columns with one name, Diesel takes the first.
#[test]
fn rows_by_name_hold_the_first_of_two() {
    let db = untitled();
    let titles = |sql: &str| {
        let mut connection = SqliteConnection::establish(db.url()).unwrap();
        let rows: Vec<Titled> = sql_query(sql).load(&mut connection).unwrap();
        rows.into_iter().map(|row| row.title).collect::<Vec<_>>()
    };
    let users_first = "SELECT * FROM users JOIN posts ON posts.user_id = users.id";
    let users_last = "SELECT posts.*, users.* FROM users JOIN posts ON posts.user_id = users.id";
    assert_eq!(
        (titles(users_first), titles(users_last)),
        (vec!["first".into()], vec!["first".into()])
    );
    title(&db);
    assert_eq!(
        (titles(users_first), titles(users_last)),
        (vec!["new".into()], vec!["first".into()])
    );
}
