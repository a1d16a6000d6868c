//! Law: a column that went through all its stages is the column that was there from the start, in the
//! database, in `schema.rs` and in the tree.
//!
//! One test for each kind of wish, on each engine that can have it.

use newcol_core::backend::Backend;
use newcol_testkit::{ScratchDb, Want, schema_dump};

use super::App;
use crate::desk::Tree;

const WHY: &str = "E-mails go out in it";

/// A wish, and the table as it would have been made with it.
struct Wish {
    add: &'static [&'static str],
    /// What stands in `CREATE TABLE users`: the old columns are left out, and so is the comment.
    users: &'static str,
    /// What is made besides, by engine.
    also: fn(Backend) -> Vec<&'static str>,
}

fn engines() -> [Want; 3] {
    [Want::postgres(), Want::mysql(), Want::sqlite()]
}

fn ends_as_if_it_had_always_been_there(wish: &Wish) {
    for want in engines() {
        let Some(app) = App::new(want) else { continue };
        let before = Tree::of(app.project.root());
        let add = [&["add", "users.locale", "--why", WHY], wish.add].concat();
        app.live(&add);
        let output = app.finish(&["--tests", "remove"]).success();

        let backend = want.backend;
        let native = ScratchDb::require(want).unwrap();
        let comment = match backend {
            Backend::Mysql => format!(" COMMENT '{WHY}'"),
            Backend::Postgres | Backend::Sqlite => String::new(),
        };
        let mut users = wish.users.replace("...", PLAIN).replace(" --", &comment);
        if backend == Backend::Mysql {
            // MariaDB names the check of a column as the column.
            users = users.replace(" CONSTRAINT users_locale_check", "");
        }
        let mut sql = vec![
            "CREATE TABLE teams (id INTEGER NOT NULL PRIMARY KEY)".to_owned(),
            format!("CREATE TABLE users ({users})"),
            "CREATE TABLE posts (id INTEGER NOT NULL PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id), title TEXT NOT NULL)".to_owned(),
        ];
        sql.extend((wish.also)(backend).into_iter().map(str::to_owned));
        if backend == Backend::Postgres {
            sql.push(format!("COMMENT ON COLUMN users.locale IS '{WHY}'"));
        }
        native.run(&sql.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        assert_eq!(dump(&app.db), dump(&native), "{output}");

        let schema = app.project.read("src/schema.rs").unwrap();
        assert_eq!(schema.trim_end(), app.printed(&native).trim_end());

        // Documentation and history are all that is new.
        let changes = before.changes(&Tree::of(app.project.root()));
        let left: Vec<&str> =
            changes.lines().filter(|line| !line.contains(" migrations/")).collect();
        let (done, docs) = ("    new newcol/done/users.locale.toml", "    new docs/columns.md");
        assert_eq!(
            left,
            [
                "    new docs",
                docs,
                "    new newcol",
                "    new newcol/done",
                done,
                "changed src/schema.rs"
            ]
        );
    }
}

/// The schema without Diesel's own table.
fn dump(db: &ScratchDb) -> Vec<String> {
    let dump = schema_dump(db.url()).unwrap();
    let lines = dump.lines().filter(|line| !line.contains("__diesel_schema_migrations"));
    lines.map(str::to_owned).collect()
}

const PLAIN: &str = "id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, settings TEXT";

#[test]
fn optional_without_values_for_old_rows() {
    ends_as_if_it_had_always_been_there(&Wish {
        add: &["--type", "varchar(40)", "--optional", "--index"],
        users: "..., locale varchar(40) --",
        also: |_| vec!["CREATE INDEX users_locale_idx ON users (locale)"],
    });
}

#[test]
fn required_with_a_default_that_stays() {
    ends_as_if_it_had_always_been_there(&Wish {
        add: &["--type", "varchar(40)", "--required", "--default", "'en'"],
        users: "..., locale varchar(40) NOT NULL DEFAULT 'en' --",
        also: |_| Vec::new(),
    });
}

#[test]
fn required_with_a_default_for_old_rows() {
    ends_as_if_it_had_always_been_there(&Wish {
        add: &["--type", "varchar(40)", "--required", "--default", "'en'", "--drop-default"],
        users: "..., locale varchar(40) NOT NULL --",
        also: |_| Vec::new(),
    });
}

#[test]
fn required_and_computed() {
    ends_as_if_it_had_always_been_there(&Wish {
        add: &["--type", "varchar(40)", "--required", "--fill", "lower(name)", "--index"],
        users: "..., locale varchar(40) NOT NULL --",
        also: |_| vec!["CREATE INDEX users_locale_idx ON users (locale)"],
    });
}

#[test]
fn optional_and_computed() {
    ends_as_if_it_had_always_been_there(&Wish {
        add: &["--type", "varchar(40)", "--optional", "--fill", "lower(name)"],
        users: "..., locale varchar(40) --",
        also: |_| Vec::new(),
    });
}

#[test]
fn in_place_of_another() {
    const ADD: &[&str] = &[
        "--type",
        "varchar(40)",
        "--optional",
        "--replaces",
        "settings",
        "--fill",
        "substr(settings, 1, 40)",
        "--back",
        "locale",
    ];
    ends_as_if_it_had_always_been_there(&Wish {
        add: ADD,
        users: "id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, locale varchar(40) --",
        also: |_| Vec::new(),
    });
}

#[test]
fn with_a_check_and_a_unique_index() {
    ends_as_if_it_had_always_been_there(&Wish {
        add: &["--type", "varchar(40)", "--optional", "--check", "locale <> ''", "--unique"],
        users: "..., locale varchar(40) -- CONSTRAINT users_locale_check CHECK (locale <> '')",
        also: |_| vec!["CREATE UNIQUE INDEX users_locale_key ON users (locale)"],
    });
}

#[test]
fn with_a_foreign_key() {
    ends_as_if_it_had_always_been_there(&Wish {
        add: &["--type", "integer", "--optional", "--references", "teams(id)"],
        users: "..., locale integer -- CONSTRAINT users_locale_fkey REFERENCES teams (id)",
        also: |backend| match backend {
            // It makes one for the foreign key.
            Backend::Mysql => vec!["CREATE INDEX users_locale_idx ON users (locale)"],
            Backend::Postgres | Backend::Sqlite => Vec::new(),
        },
    });
}

#[test]
fn derived_from_the_row() {
    ends_as_if_it_had_always_been_there(&Wish {
        add: &["--type", "varchar(40)", "--optional", "--generated", "lower(name)"],
        users: "..., locale varchar(40) GENERATED ALWAYS AS (lower(name)) VIRTUAL --",
        also: |_| Vec::new(),
    });
}
