//! Old code that does not name the columns it means.

use diesel::{
    dsl::sql,
    prelude::*,
    sql_query,
    sql_types::{BigInt, Text},
};
use newcol_testkit::program::Code;

use super::scenes::*;
use crate::users::{OldUser, before::users as table};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "star_read_by_position",
        wrong: "Raw `SELECT users.*, …` is read by position",
        right: "Raw SQL lists its columns",
        engine: Engine::Postgres,
        faulty: Scene {
            code: |matrix| matrix.old(titled("SELECT users.*, 'Dr.' FROM users WHERE id = ")),
            ..OPTIONAL_POSTGRES
        },
        sound: Scene {
            code: |matrix| matrix.old(titled("SELECT id, name, 'Dr.' FROM users WHERE id = ")),
            ..OPTIONAL_POSTGRES
        },
        caught: Caught { at: "expand", by: Some((Old, Warm, Read)), says: "null" },
    },
    Fault {
        name: "insert_by_position",
        wrong: "Raw `INSERT INTO users VALUES (…)` lists no columns",
        right: "It lists them",
        engine: Engine::Sqlite,
        faulty: Scene {
            code: |matrix| {
                matrix.old(users::old::<Sqlite>().insert(|db, user| {
                    sql_query("INSERT INTO users VALUES (?, ?)")
                        .bind::<BigInt, _>(user.id)
                        .bind::<Text, _>(&user.name)
                        .execute(db)
                }))
            },
            ..SQLITE
        },
        sound: Scene {
            code: |matrix| {
                matrix.old(users::old::<Sqlite>().insert(|db, user| {
                    sql_query("INSERT INTO users (id, name) VALUES (?, ?)")
                        .bind::<BigInt, _>(user.id)
                        .bind::<Text, _>(&user.name)
                        .execute(db)
                }))
            },
            ..SQLITE
        },
        caught: Caught {
            at: "expand",
            by: Some((Old, Warm, Insert)),
            says: "has 3 columns but 2 values were supplied",
        },
    },
    Fault {
        name: "insert_by_position",
        wrong: "Raw `INSERT INTO users VALUES (…)` lists no columns",
        right: "It lists them",
        engine: Engine::Mariadb,
        faulty: Scene {
            code: |matrix| {
                matrix.old(users::old::<Mysql>().insert(|db, user| {
                    sql_query("INSERT INTO users VALUES (?, ?)")
                        .bind::<BigInt, _>(user.id)
                        .bind::<Text, _>(&user.name)
                        .execute(db)
                }))
            },
            ..MARIADB
        },
        sound: Scene {
            code: |matrix| {
                matrix.old(users::old::<Mysql>().insert(|db, user| {
                    sql_query("INSERT INTO users (id, name) VALUES (?, ?)")
                        .bind::<BigInt, _>(user.id)
                        .bind::<Text, _>(&user.name)
                        .execute(db)
                }))
            },
            ..MARIADB
        },
        caught: Caught {
            at: "expand 1/2",
            by: Some((Old, Warm, Insert)),
            says: "Column count doesn't match",
        },
    },
    Fault {
        name: "replace_into",
        wrong: "Old code upserts with `replace_into`, which resets the column",
        right: "It upserts with ON DUPLICATE KEY UPDATE",
        engine: Engine::Mariadb,
        faulty: Scene {
            code: |matrix| {
                let old = users::old::<Mysql>().upsert(|db, user| {
                    user.name += "?";
                    diesel::replace_into(table::table).values(&*user).execute(db)
                });
                matrix.old(old).new_code(users::new::<Mysql>())
            },
            ..MARIADB
        },
        sound: MARIADB,
        caught: Caught {
            at: "expand 1/2",
            by: Some((Old, Warm, Upsert)),
            says: "as before, found NULL",
        },
    },
    Fault {
        name: "replace_into",
        wrong: "Old code upserts with `replace_into`, which resets the column",
        right: "It upserts with ON CONFLICT DO UPDATE",
        engine: Engine::Sqlite,
        faulty: Scene {
            code: |matrix| {
                let old = users::old::<Sqlite>().upsert(|db, user| {
                    user.name += "?";
                    diesel::replace_into(table::table).values(&*user).execute(db)
                });
                matrix.old(old).new_code(users::new::<Sqlite>())
            },
            ..SQLITE
        },
        sound: SQLITE,
        caught: Caught {
            at: "expand",
            by: Some((Old, Warm, Upsert)),
            says: "as before, found \"user ",
        },
    },
    Fault {
        name: "distinct_over_json",
        wrong: "`SELECT DISTINCT *` meets a `json` column, which has no equality",
        right: "The column is `jsonb`",
        engine: Engine::Postgres,
        faulty: Scene { contract: contract!("prefs", "json", "required = false"), ..DISTINCT },
        sound: Scene { contract: contract!("prefs", "jsonb", "required = false"), ..DISTINCT },
        caught: Caught {
            at: "expand",
            by: Some((Old, Warm, List)),
            says: "could not identify an equality operator",
        },
    },
    Fault {
        name: "ambiguous_in_a_join",
        wrong: "A raw join names a column of the other table without its table",
        right: "It names the table too",
        engine: Engine::Postgres,
        faulty: Scene {
            tables: WITH_SETTINGS,
            code: |matrix| {
                matrix.old(users::old::<Postgres>().read(|db, user| {
                    sql_query(
                        "SELECT id, name FROM users LEFT JOIN settings
                         ON user_id = id AND locale = 'de' WHERE id = $1",
                    )
                    .bind::<BigInt, _>(user.id)
                    .get_result(db)
                }))
            },
            ..POSTGRES
        },
        sound: Scene {
            tables: WITH_SETTINGS,
            code: |matrix| {
                matrix.old(users::old::<Postgres>().read(|db, user| {
                    sql_query(
                        "SELECT id, name FROM users LEFT JOIN settings
                         ON user_id = id AND settings.locale = 'de' WHERE id = $1",
                    )
                    .bind::<BigInt, _>(user.id)
                    .get_result(db)
                }))
            },
            ..POSTGRES
        },
        caught: Caught { at: "expand", by: Some((Old, Warm, Read)), says: "ambiguous" },
    },
    Fault {
        name: "captured_in_a_subquery",
        wrong: "A name in a subquery means the outer table, until the inner one has such a column",
        right: "It names its table",
        engine: Engine::Mariadb,
        faulty: Scene {
            tables: WITH_ONE_SETTING,
            code: |matrix| {
                matrix.old(users::old::<Mysql>().read(|db, user| {
                    sql_query(
                        "SELECT ? AS id, (SELECT name FROM users
                         WHERE id = ? AND locale = 'de') AS name FROM settings",
                    )
                    .bind::<BigInt, _>(user.id)
                    .bind::<BigInt, _>(user.id)
                    .get_result(db)
                }))
            },
            ..MARIADB
        },
        sound: Scene {
            tables: WITH_ONE_SETTING,
            code: |matrix| {
                matrix.old(users::old::<Mysql>().read(|db, user| {
                    sql_query(
                        "SELECT ? AS id, (SELECT name FROM users
                         WHERE id = ? AND settings.locale = 'de') AS name FROM settings",
                    )
                    .bind::<BigInt, _>(user.id)
                    .bind::<BigInt, _>(user.id)
                    .get_result(db)
                }))
            },
            ..MARIADB
        },
        caught: Caught { at: "expand 1/2", by: Some((Old, Warm, Read)), says: "null" },
    },
    Fault {
        name: "natural_join",
        wrong: "A NATURAL JOIN joins by the new column too",
        right: "The join names its columns",
        engine: Engine::Sqlite,
        faulty: Scene {
            tables: WITH_PROFILES,
            code: |matrix| {
                matrix.old(users::old::<Sqlite>().read(|db, user| {
                    sql_query("SELECT id, name FROM users NATURAL JOIN profiles WHERE id = ?")
                        .bind::<BigInt, _>(user.id)
                        .get_result(db)
                }))
            },
            ..SQLITE
        },
        sound: Scene {
            tables: WITH_PROFILES,
            code: |matrix| {
                matrix.old(users::old::<Sqlite>().read(|db, user| {
                    sql_query("SELECT id, name FROM users JOIN profiles USING (id) WHERE id = ?")
                        .bind::<BigInt, _>(user.id)
                        .get_result(db)
                }))
            },
            ..SQLITE
        },
        caught: Caught { at: "expand", by: Some((Old, Warm, Read)), says: "not found" },
    },
    Fault {
        name: "rows_copied_by_position",
        wrong: "Deleted rows are kept by `INSERT INTO gone SELECT * FROM users`",
        right: "The copy lists its columns",
        engine: Engine::Postgres,
        faulty: Scene {
            tables: WITH_GONE,
            code: |matrix| {
                matrix.old(users::old::<Postgres>().delete(|db, user| {
                    sql_query("INSERT INTO gone SELECT * FROM users WHERE id = $1")
                        .bind::<BigInt, _>(user.id)
                        .execute(db)?;
                    diesel::delete(table::table.find(user.id)).execute(db)
                }))
            },
            ..POSTGRES
        },
        sound: Scene {
            tables: WITH_GONE,
            code: |matrix| {
                matrix.old(users::old::<Postgres>().delete(|db, user| {
                    sql_query("INSERT INTO gone SELECT id, name FROM users WHERE id = $1")
                        .bind::<BigInt, _>(user.id)
                        .execute(db)?;
                    diesel::delete(table::table.find(user.id)).execute(db)
                }))
            },
            ..POSTGRES
        },
        caught: Caught {
            at: "expand",
            by: Some((Old, Warm, Delete)),
            says: "more expressions than target columns",
        },
    },
];

const OPTIONAL_POSTGRES: Scene = Scene { contract: OPTIONAL, ..POSTGRES };

const DISTINCT: Scene = Scene {
    code: |matrix| {
        matrix.old(
            users::old::<Postgres>().list(|db| sql_query("SELECT DISTINCT * FROM users").load(db)),
        )
    },
    ..POSTGRES
};

const WITH_SETTINGS: &[&str] =
    &[USERS, "CREATE TABLE settings (user_id bigint, locale varchar(40))"];

const WITH_ONE_SETTING: &[&str] = &[
    USERS,
    "CREATE TABLE settings (user_id bigint, locale varchar(40))",
    "INSERT INTO settings VALUES (1, 'de')",
];

const WITH_PROFILES: &[&str] = &[
    USERS,
    "CREATE TABLE profiles (id bigint PRIMARY KEY, locale varchar(40))",
    "CREATE TRIGGER profile AFTER INSERT ON users BEGIN
       INSERT INTO profiles VALUES (NEW.id, 'de');
     END",
];

const WITH_GONE: &[&str] = &[USERS, "CREATE TABLE gone (id bigint, name varchar(40))"];

/// Old code that reads users with their title, by position.
fn titled(select: &'static str) -> Code<Postgres, OldUser> {
    users::old::<Postgres>().read(move |db, user| {
        let read = sql::<(BigInt, Text, Text)>(select).bind::<BigInt, _>(user.id);
        let (id, name, title): (i64, String, String) = read.get_result(db)?;
        QueryResult::Ok(OldUser { id, name: name + title.trim_start_matches("Dr.") })
    })
}
