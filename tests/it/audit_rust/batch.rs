//! NC016: a batch that just fits one statement, sent by the release before the column and by the one
//! that writes it.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, async_connection_wrapper::AsyncConnectionWrapper};
use newcol_core::{
    audit::{
        SourceFile, Subject, Where,
        rust::{self, Memory},
    },
    backend::Backend,
    schema::SchemaFile,
};
use newcol_testkit::{ScratchDb, Want};

type Postgres = AsyncConnectionWrapper<AsyncPgConnection>;

const CODE: &str = include_str!("batch_code.rs");

const HEAD: &str = "use crate::schema::users;\nuse diesel::prelude::*;\n\
                    #[derive(Insertable)]\n#[diesel(table_name = users)]\n\
                    struct NewUser { id: i32, name: &'static str, team: i32 }\n";

const SCHEMA: &str =
    "diesel::table! { users (id) { id -> Integer, name -> Text, team -> Integer, } }";

/// As many as fit one statement, and some.
const ROWS: i32 = 30_000;

macro_rules! release {
    ($name:ident $conn:ty $(, $nick:ident)?) => {
        mod $name {
            use diesel::prelude::*;

            diesel::table! {
                users (id) {
                    id -> Integer,
                    name -> Text,
                    team -> Integer,
                    $($nick -> Nullable<Text>,)?
                }
            }

            type Conn = $conn;

            #[derive(Insertable)]
            #[diesel(table_name = users)]
            pub(super) struct NewUser {
                id: i32,
                name: &'static str,
                team: i32,
                $($nick: Option<&'static str>,)?
            }

            pub(super) fn rows() -> Vec<NewUser> {
                let row = |id| NewUser { id, name: "n", team: 1, $($nick: Some("x"))? };
                (0..super::ROWS).map(row).collect()
            }

            include!("batch_code.rs");
        }
    };
}

release!(postgres_before super::Postgres);
release!(postgres_after super::Postgres, nick);
release!(sqlite_before SqliteConnection);
release!(sqlite_after SqliteConnection, nick);

/// Returns the marked lines that are found, and the others.
fn found(engine: Backend) -> Vec<(usize, &'static str)> {
    let parsed = SchemaFile::parse(SCHEMA).unwrap();
    let path = "users.nick".parse().unwrap();
    let module = ["schema".to_owned()];
    let subject = Subject::new(&path, None, (SCHEMA, &module), &parsed, BTreeSet::from([engine]));
    let file = SourceFile { path: "src/batch.rs".into(), text: format!("{HEAD}{CODE}") };
    let found = rust::examine(&subject.unwrap(), &[file], &Memory::default());
    let line = |place: &Where| match place {
        Where::File { at, .. } => at.line - HEAD.lines().count(),
        other => panic!("{other:?}"),
    };
    found.iter().map(|finding| (line(&finding.place), finding.rule.id)).collect()
}

fn marked() -> Vec<(usize, &'static str)> {
    let lines = CODE.lines().zip(1..).filter(|(line, _)| line.contains("//~ NC016"));
    lines.map(|(_, number)| (number, "NC016")).collect()
}

const TABLE: &str = "CREATE TABLE users (id integer PRIMARY KEY, name text, team integer)";

/// Empties the table, and gives it the column.
fn expand(db: &ScratchDb) {
    db.run(&["DELETE FROM users", "ALTER TABLE users ADD COLUMN nick text"]).unwrap();
}

fn empty(db: &ScratchDb) {
    db.run(&["DELETE FROM users"]).unwrap();
}

#[test]
fn on_postgres_a_full_batch_fails_with_one_column_more() {
    let Some(db) = ScratchDb::require(Want::postgres()) else { return };
    db.run(&[TABLE]).unwrap();
    let connect = || Postgres::establish(db.url()).unwrap();
    let before = postgres_before::rows();
    assert_eq!(postgres_before::full(&mut connect(), &before), Ok(ROWS as usize));
    expand(&db);
    let after = postgres_after::rows();
    let told = postgres_after::full(&mut connect(), &after).unwrap_err().to_string();
    assert_eq!(told, "error encoding message to server");
    empty(&db);
    assert_eq!(postgres_after::roomy(&mut connect(), &after), Ok(ROWS as usize));
    // The column alone changes nothing for the release that does not know it.
    for send in [postgres_before::full, postgres_before::roomy] {
        empty(&db);
        assert_eq!(send(&mut connect(), &before), Ok(ROWS as usize));
    }
    assert_eq!(found(Backend::Postgres), marked());
}

/// Diesel sends structs to SQLite row by row.
#[test]
fn on_sqlite_no_batch_is_full() {
    let db = ScratchDb::new(Backend::Sqlite).unwrap();
    db.run(&[TABLE]).unwrap();
    let connect = || SqliteConnection::establish(db.url()).unwrap();
    for send in [sqlite_before::full, sqlite_before::roomy] {
        assert_eq!(send(&mut connect(), &sqlite_before::rows()), Ok(ROWS as usize));
        empty(&db);
    }
    expand(&db);
    for send in [sqlite_after::full, sqlite_after::roomy] {
        assert_eq!(send(&mut connect(), &sqlite_after::rows()), Ok(ROWS as usize));
        empty(&db);
    }
    assert_eq!(found(Backend::Sqlite), []);
}
