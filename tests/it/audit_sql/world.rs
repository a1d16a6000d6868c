//! The database that every case starts from, and the subject that describes it.

use std::{cell::RefCell, collections::BTreeSet};

use newcol_core::{
    audit::Subject,
    backend::Backend,
    db::{DatabaseUrl, OpenOptions, Session},
    plan::StageKind,
    schema::SchemaFile,
};
use newcol_testkit::{ScratchDb, Want};

/// `users.title` is the column that comes.
const SCHEMA: &str = r"
diesel::table! { users (id) { id -> Integer, name -> Text, email -> Text, } }
diesel::table! { posts (id) { id -> Integer, user_id -> Integer, title -> Text, body -> Text, } }
diesel::table! { badges (id) { id -> Integer, title -> Text, } }
diesel::table! { hist (id) { id -> Integer, name -> Text, email -> Text, } }
diesel::table! { notes (id) { id -> Integer, name -> Text, email -> Text, note -> Text, } }
";

const TABLES: &[&str] = &[
    "CREATE TABLE users (id int PRIMARY KEY, name varchar(50), email varchar(50))",
    "CREATE TABLE posts (id int PRIMARY KEY, user_id int, title varchar(50), body varchar(50))",
    "CREATE TABLE badges (id int PRIMARY KEY, title varchar(50))",
    "CREATE TABLE hist (id int, name varchar(50), email varchar(50))",
    "CREATE TABLE notes (id int, name varchar(50), email varchar(50), note varchar(50) DEFAULT 'n')",
    "INSERT INTO users (id, name, email) VALUES (1, 'ada', 'a'), (2, 'bob', 'b')",
    "INSERT INTO posts (id, user_id, title, body) VALUES (10, 1, 'first', 'x'), (11, 2, 'second', 'y')",
    "INSERT INTO badges (id, title) VALUES (1, 'gold'), (2, 'new')",
    "INSERT INTO hist (id, name, email) VALUES (1, 'ada', 'a')",
];

/// What the column is in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It may be NULL; old rows are filled.
    Optional,
    /// It must not be NULL, from the constraint on.
    Required,
    /// Of type json.
    Json,
    /// Computed from `email`.
    Computed,
    /// It takes the place of `email`, which goes.
    Replacing,
}

/// Returns what the audit knows of the column.
pub(super) fn subject(kind: Kind, engine: Backend) -> Subject {
    let schema = SchemaFile::parse(SCHEMA).unwrap();
    let path = "users.title".parse().unwrap();
    let engines = BTreeSet::from([engine]);
    let mut subject = Subject::new(&path, None, (SCHEMA, &[]), &schema, engines).unwrap();
    let column = &mut subject.column;
    match kind {
        Kind::Optional => {}
        Kind::Required => {
            column.not_null_from = Some(StageKind::Constrain);
            column.inserts_fail_from = Some(StageKind::Constrain);
        }
        Kind::Json => {
            column.sql_types.insert(engine, "json".to_owned());
        }
        Kind::Computed => {
            column.computed_from.insert("email".to_owned());
        }
        Kind::Replacing => column.replaces = Some("email".to_owned()),
    }
    subject
}

/// Returns the statements that bring the column to its last stage.
fn expand(kind: Kind, engine: Backend) -> Vec<&'static str> {
    let filled = "UPDATE users SET title = 'new'";
    match kind {
        Kind::Optional => vec!["ALTER TABLE users ADD COLUMN title varchar(50)", filled],
        Kind::Computed => vec![
            "ALTER TABLE users ADD COLUMN title varchar(50)",
            "UPDATE users SET title = upper(email)",
        ],
        Kind::Required if engine == Backend::Sqlite => vec![
            "ALTER TABLE users RENAME TO before",
            "CREATE TABLE users (id int PRIMARY KEY, name varchar(50), email varchar(50), title varchar(50) NOT NULL)",
            "INSERT INTO users SELECT before.*, 'new' FROM before",
        ],
        Kind::Required => vec![
            "ALTER TABLE users ADD COLUMN title varchar(50)",
            filled,
            match engine {
                Backend::Mysql => "ALTER TABLE users MODIFY title varchar(50) NOT NULL",
                Backend::Postgres | Backend::Sqlite => "ALTER TABLE users ALTER title SET NOT NULL",
            },
        ],
        Kind::Json => vec!["ALTER TABLE users ADD COLUMN title json"],
        Kind::Replacing => vec![
            "ALTER TABLE users ADD COLUMN title varchar(50)",
            filled,
            "ALTER TABLE users DROP COLUMN email",
        ],
    }
}

/// A server that has one world at a time.
pub(super) struct Server {
    want: Want,
    db: ScratchDb,
    /// Makes the worlds: to connect anew for each step takes longer than the steps.
    maker: RefCell<Session>,
}

impl Server {
    /// Returns one, or `None` where there is none.
    pub(super) fn new(want: Want) -> Option<Self> {
        let db = ScratchDb::require(want)?;
        Some(Self { want, maker: RefCell::new(session(&db)), db })
    }

    /// Makes a world in which the column has not come.
    pub(super) fn world(&mut self, kind: Kind) -> World<'_> {
        let empty = match self.db.backend() {
            Backend::Postgres => "DROP SCHEMA public CASCADE; CREATE SCHEMA public;".to_owned(),
            Backend::Mysql => {
                let url = DatabaseUrl::parse(self.db.url()).unwrap();
                let name = url.database().unwrap().to_owned();
                format!(
                    "DROP DATABASE {name}; CREATE DATABASE {name} CHARACTER SET utf8mb4; USE {name};"
                )
            }
            Backend::Sqlite => {
                self.db = ScratchDb::new(self.want).unwrap();
                self.maker = RefCell::new(session(&self.db));
                String::new()
            }
        };
        let world = World { db: &self.db, maker: &self.maker, kind };
        world.run(&[&(empty + &TABLES.join(";"))]);
        world
    }
}

fn session(db: &ScratchDb) -> Session {
    let url = DatabaseUrl::parse(db.url()).unwrap();
    Session::open(&url, &OpenOptions::create()).unwrap()
}

/// A database as it is before the column comes.
pub(super) struct World<'a> {
    db: &'a ScratchDb,
    maker: &'a RefCell<Session>,
    kind: Kind,
}

impl World<'_> {
    /// Runs statements that must succeed.
    pub(super) fn run(&self, statements: &[&str]) {
        self.try_run(statements).unwrap();
    }

    /// Lets the column come; its fill may meet what a case has left there.
    pub(super) fn expand(&self) -> Result<(), String> {
        self.try_run(&expand(self.kind, self.db.backend()))
    }

    fn try_run(&self, statements: &[&str]) -> Result<(), String> {
        let mut maker = self.maker.borrow_mut();
        statements
            .iter()
            .try_for_each(|sql| maker.batch(sql).map_err(|error| format!("{sql}: {error:?}")))
    }

    /// Opens a new session.
    pub(super) fn session(&self) -> Session {
        session(self.db)
    }
}
