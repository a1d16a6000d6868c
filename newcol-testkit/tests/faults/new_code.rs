//! New code that reads or writes the column otherwise than it means to.

use diesel::{
    prelude::*,
    sql_query,
    sql_types::{BigInt, Text},
};
use newcol_testkit::program::Code;

use super::scenes::*;
use crate::users::{
    NewUser, RelyingUser, constrained::users as constrained, expanded::users as table,
};

/// Makes new code that leaves the column to the database.
macro_rules! derived {
    ($db:ty) => {
        Code::<$db, NewUser>::new(<$db>::establish, |n| NewUser {
            id: n as i64,
            name: format!("User {n}"),
            locale: Some(format!("user {n}")),
        })
        .insert(|db, user| {
            let given = (table::id.eq(user.id), table::name.eq(&user.name));
            diesel::insert_into(table::table).values(given).execute(db)
        })
        .update(|db, user| {
            user.name += "!";
            user.locale = Some(user.name.to_lowercase());
            let name = table::name.eq(&user.name);
            diesel::update(table::table.find(user.id)).set(name).execute(db)
        })
        .read(|db, user| table::table.find(user.id).select(NewUser::as_select()).first(db))
        .column(|user| user.locale.clone())
    };
}

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "not_null_in_schema_rs_early",
        wrong: "`schema.rs` says NOT NULL while rows are still NULL",
        right: "It says `Nullable` until the column is constrained",
        engine: Engine::Postgres,
        faulty: Scene {
            code: |matrix| {
                matrix.old(users::old::<Postgres>()).new_code(users::relying::<Postgres>())
            },
            ..POSTGRES
        },
        sound: Scene {
            code: |matrix| {
                matrix
                    .old(users::old::<Postgres>())
                    .new_code(users::new::<Postgres>())
                    .relying(users::relying::<Postgres>())
            },
            ..POSTGRES
        },
        caught: Caught { at: "expand", by: Some((New, Warm, Read)), says: "null" },
    },
    Fault {
        name: "none_means_default",
        wrong: "`None` is inserted to mean NULL, and becomes the default",
        right: "The struct says `treat_none_as_default_value = false`",
        engine: Engine::Postgres,
        faulty: Scene { code: |matrix| matrix.new_code(without_locale()), ..OPTIONAL_WITH_DEFAULT },
        sound: Scene {
            code: |matrix| {
                matrix.new_code(without_locale().insert(|db, user| {
                    diesel::insert_into(table::table).values(Exact::from(user)).execute(db)
                }))
            },
            ..OPTIONAL_WITH_DEFAULT
        },
        caught: Caught {
            at: "expand",
            by: Some((New, Warm, Insert)),
            says: "expected NULL, found \"en\"",
        },
    },
    Fault {
        name: "none_leaves_the_value",
        wrong: "`None` in a changeset is meant to clear the column, and leaves it",
        right: "The changeset says `treat_none_as_null = true`",
        engine: Engine::Sqlite,
        faulty: Scene {
            code: |matrix| {
                matrix.new_code(users::new::<Sqlite>().update(|db, user| {
                    user.locale = None;
                    user.name += "!";
                    diesel::update(table::table.find(user.id)).set(&*user).execute(db)
                }))
            },
            ..OPTIONAL_SQLITE
        },
        sound: Scene {
            code: |matrix| {
                matrix.new_code(users::new::<Sqlite>().update(|db, user| {
                    user.locale = None;
                    user.name += "!";
                    let form = Whole { name: &user.name, locale: user.locale.as_deref() };
                    diesel::update(table::table.find(user.id)).set(form).execute(db)
                }))
            },
            ..OPTIONAL_SQLITE
        },
        caught: Caught {
            at: "expand",
            by: Some((New, Warm, Update)),
            says: "expected NULL, found \"eo-",
        },
    },
    Fault {
        name: "none_wipes_the_value",
        wrong: "A form without the column has `treat_none_as_null` and wipes it",
        right: "A form that leaves the column alone does not hold it",
        engine: Engine::Postgres,
        faulty: Scene {
            code: |matrix| {
                matrix.old(users::old::<Postgres>()).new_code(users::new::<Postgres>().update(
                    |db, user| {
                        user.name += "!";
                        let form = Whole { name: &user.name, locale: None };
                        diesel::update(table::table.find(user.id)).set(form).execute(db)
                    },
                ))
            },
            ..POSTGRES
        },
        sound: Scene {
            code: |matrix| {
                matrix.old(users::old::<Postgres>()).new_code(users::new::<Postgres>().update(
                    |db, user| {
                        user.name += "!";
                        let name = table::name.eq(&user.name);
                        diesel::update(table::table.find(user.id)).set(name).execute(db)
                    },
                ))
            },
            ..POSTGRES
        },
        caught: Caught { at: "expand", by: Some((New, Warm, Update)), says: "found NULL" },
    },
    Fault {
        name: "upsert_resets",
        wrong: "An upsert of new code sets the column to what it did not give",
        right: "It sets what it gives",
        engine: Engine::Mariadb,
        faulty: Scene {
            code: |matrix| {
                matrix.new_code(users::new::<Mysql>().upsert(|db, user| {
                    user.name += "?";
                    sql_query(
                        "INSERT INTO users (id, name) VALUES (?, ?)
                         ON DUPLICATE KEY UPDATE name = VALUES(name), locale = VALUES(locale)",
                    )
                    .bind::<BigInt, _>(user.id)
                    .bind::<Text, _>(&user.name)
                    .execute(db)
                }))
            },
            ..OPTIONAL_MARIADB
        },
        sound: Scene { code: |matrix| matrix.new_code(users::new::<Mysql>()), ..OPTIONAL_MARIADB },
        caught: Caught { at: "expand", by: Some((New, Warm, Upsert)), says: "found NULL" },
    },
    Fault {
        name: "upsert_takes_the_triggers_value",
        wrong: "An upsert takes `excluded.locale`, which is what the trigger for old code computed",
        right: "It sets what it gives",
        engine: Engine::Postgres,
        faulty: Scene {
            code: |matrix| {
                matrix.new_code(users::new::<Postgres>().upsert(|db, user| {
                    user.name += "?";
                    sql_query(
                        "INSERT INTO users (id, name) VALUES ($1, $2) ON CONFLICT (id)
                         DO UPDATE SET name = excluded.name, locale = excluded.locale",
                    )
                    .bind::<BigInt, _>(user.id)
                    .bind::<Text, _>(&user.name)
                    .execute(db)
                }))
            },
            ..POSTGRES
        },
        sound: POSTGRES,
        caught: Caught { at: "expand", by: Some((New, Warm, Upsert)), says: "found \"user " },
    },
    Fault {
        name: "parameter_captured",
        wrong: "`use users::dsl::*` captures a parameter of the column's name",
        right: "Columns are named by their table",
        engine: Engine::Postgres,
        faulty: Scene {
            contract: DEFAULTED,
            code: |matrix| {
                matrix.new_code(users::relying::<Postgres>().update(|db, user| {
                    user.name += "!";
                    rename_captured(db, user.id, &user.name)
                }))
            },
            ..POSTGRES
        },
        sound: Scene {
            contract: DEFAULTED,
            code: |matrix| {
                matrix.new_code(users::relying::<Postgres>().update(|db, user| {
                    user.name += "!";
                    let name = constrained::name.eq(&user.name);
                    diesel::update(constrained::table.find(user.id)).set(name).execute(db)
                }))
            },
            ..POSTGRES
        },
        caught: Caught { at: "expand", by: Some((New, Fresh, Update)), says: "no row touched" },
    },
    Fault {
        name: "fields_swapped",
        wrong: "A `Queryable` struct has its fields in another order than the columns",
        right: "It is `Selectable`",
        engine: Engine::Sqlite,
        faulty: Scene {
            code: |matrix| {
                matrix.new_code(users::relying::<Sqlite>().read(|db, user| {
                    let found: Swapped = constrained::table.find(user.id).first(db)?;
                    let Swapped { id, locale, name } = found;
                    QueryResult::Ok(RelyingUser { id, name, locale })
                }))
            },
            contract: DEFAULTED,
            ..SQLITE
        },
        sound: Scene {
            code: |matrix| matrix.new_code(users::relying::<Sqlite>()),
            contract: DEFAULTED,
            ..SQLITE
        },
        caught: Caught { at: "expand", by: Some((New, Warm, Read)), says: "locale: \"User " },
    },
    Fault {
        name: "generated_column_written",
        wrong: "New code writes a generated column",
        right: "It reads it",
        engine: Engine::Sqlite,
        faulty: Scene { contract: GENERATED, ..SQLITE },
        sound: Scene {
            contract: GENERATED,
            code: |matrix| matrix.old(users::old::<Sqlite>()).new_code(derived!(Sqlite)),
            ..SQLITE
        },
        caught: Caught {
            at: "expand",
            by: Some((New, Warm, Insert)),
            says: "cannot INSERT into generated column",
        },
    },
    Fault {
        name: "generated_column_written",
        wrong: "New code writes a generated column",
        right: "It reads it",
        engine: Engine::Mariadb,
        faulty: Scene { contract: GENERATED, ..MARIADB },
        sound: Scene {
            contract: GENERATED,
            code: |matrix| matrix.old(users::old::<Mysql>()).new_code(derived!(Mysql)),
            ..MARIADB
        },
        caught: Caught { at: "expand", by: Some((New, Warm, Insert)), says: "generated column" },
    },
    Fault {
        name: "generated_column_written",
        wrong: "New code writes a generated column",
        right: "It reads it",
        engine: Engine::Postgres18,
        faulty: Scene { contract: GENERATED, ..POSTGRES },
        sound: Scene {
            contract: GENERATED,
            code: |matrix| matrix.old(users::old::<Postgres>()).new_code(derived!(Postgres)),
            ..POSTGRES
        },
        caught: Caught {
            at: "expand",
            by: Some((New, Warm, Insert)),
            says: "cannot insert a non-DEFAULT value into column",
        },
    },
];

const OPTIONAL_WITH_DEFAULT: Scene = Scene {
    contract: contract!(
        "locale",
        "varchar(40)",
        "required = false",
        "[default]",
        "value = \"'en'\""
    ),
    ..POSTGRES
};

const OPTIONAL_SQLITE: Scene = Scene { contract: OPTIONAL, ..SQLITE };

const OPTIONAL_MARIADB: Scene = Scene { contract: OPTIONAL, ..MARIADB };

const GENERATED: &str =
    contract!("locale", "varchar(40)", "required = false", "[generated]", "as = 'lower(name)'");

/// Code for users who have no locale.
fn without_locale() -> Code<Postgres, NewUser> {
    let make = |n| NewUser { id: n as i64, name: format!("User {n}"), locale: None };
    Code::new(Postgres::establish, make)
        .insert(|db, user| diesel::insert_into(table::table).values(user).execute(db))
        .read(|db, user| table::table.find(user.id).select(NewUser::as_select()).first(db))
        .column(|user| user.locale.clone())
}

#[derive(Insertable)]
#[diesel(table_name = table, treat_none_as_default_value = false)]
struct Exact<'a> {
    id: i64,
    name: &'a str,
    locale: Option<&'a str>,
}

impl<'a> From<&'a NewUser> for Exact<'a> {
    fn from(user: &'a NewUser) -> Self {
        Self { id: user.id, name: &user.name, locale: user.locale.as_deref() }
    }
}

#[derive(AsChangeset)]
#[diesel(table_name = table, treat_none_as_null = true)]
struct Whole<'a> {
    name: &'a str,
    locale: Option<&'a str>,
}

#[derive(Queryable)]
struct Swapped {
    id: i64,
    locale: String,
    name: String,
}

/// Written when there was no such column, for a name that happens to be in a parameter `locale`.
#[expect(unused_variables, reason = "that is the fault")]
fn rename_captured(db: &mut Postgres, who: i64, locale: &str) -> QueryResult<usize> {
    use crate::users::constrained::users::dsl::*;
    diesel::update(users.find(who)).set(name.eq(locale)).execute(db)
}
