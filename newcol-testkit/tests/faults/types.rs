//! Rust types that are not the column's.

use diesel::{
    data_types::PgTimestamp, dsl::sql, prelude::*, sql_query, sql_types::Nullable as Maybe,
    sql_types::Text as SqlText,
};
use newcol_testkit::scratch::BoxError;

use super::scenes::*;

/// Writes a release whose column is of some type: connection, how it connects, name, SQL type,
/// Rust type, and the value of a number.
macro_rules! release {
    ($name:ident, $db:ty, $connect:expr, [$($sql:tt)+], $rust:ty, $value:expr) => {
        mod $name {
            use super::*;

            diesel::table! {
                users (id) { id -> BigInt, name -> Text, score -> $($sql)+, }
            }

            #[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable, AsChangeset)]
            pub(super) struct User {
                pub(super) id: i64,
                pub(super) name: String,
                pub(super) score: $rust,
            }

            pub(super) fn code() -> newcol_testkit::program::Code<$db, User> {
                let value: fn(u64) -> $rust = $value;
                let make = move |n| User { id: n as i64, name: format!("User {n}"), score: value(n) };
                code!($db, $connect, users, User, name, make)
            }
        }
    };
}

release!(integer, Postgres, Postgres::establish, [Nullable<Integer>], Option<i32>, |n| Some(
    n as i32
));
release!(float, Postgres, Postgres::establish, [Nullable<Float>], Option<f32>, |n| Some(n as f32));
release!(double, Postgres, Postgres::establish, [Nullable<Double>], Option<f64>, |n| {
    Some(n as f64 / 10.0)
});
release!(text, Postgres, Postgres::establish, [Nullable<Text>], Option<String>, |n| {
    Some(format!("eo-{n}"))
});
release!(instant, Postgres, in_berlin, [Nullable<Timestamptz>], Option<PgTimestamp>, |n| {
    Some(PgTimestamp(n as i64 * 1_000_000))
});
release!(my_double, Mysql, Mysql::establish, [Nullable<Double>], Option<f64>, |n| {
    Some(n as f64 + 0.125)
});
release!(my_tenths, Mysql, Mysql::establish, [Nullable<Double>], Option<f64>, |n| {
    Some(n as f64 + 0.1)
});
release!(my_integer, Mysql, Mysql::establish, [Nullable<Integer>], Option<i32>, |n| Some(n as i32));
release!(my_unsigned, Mysql, Mysql::establish, [Nullable<Unsigned<Integer>>], Option<u32>, |n| {
    Some(n as u32)
});
release!(lax, Mysql, not_strict, [Nullable<Text>], Option<String>, |n| {
    Some(format!("Esperanto-{n}"))
});
release!(future, Mysql, Mysql::establish, [Nullable<Text>], Option<String>, |n| {
    Some(format!("2040-01-01 00:00:{:02}", n % 60))
});
release!(small, Sqlite, Sqlite::establish, [Nullable<Integer>], Option<i32>, |n| Some(n as i32));
release!(big, Sqlite, Sqlite::establish, [Nullable<BigInt>], Option<i64>, |n| Some(n as i64));

/// A session whose time zone is not UTC.
fn in_berlin(url: &str) -> Result<Postgres, BoxError> {
    let mut db = Postgres::establish(url)?;
    sql_query("SET TIME ZONE 'Europe/Berlin'").execute(&mut db)?;
    Ok(db)
}

/// A session in which values are made to fit.
fn not_strict(url: &str) -> Result<Mysql, BoxError> {
    let mut db = Mysql::establish(url)?;
    sql_query("SET sql_mode = ''").execute(&mut db)?;
    Ok(db)
}

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "integer_for_real",
        wrong: "A `real` column is `Integer` in `schema.rs`: as many bytes, another number",
        right: "It is `Float`",
        engine: Engine::Postgres,
        faulty: Scene {
            contract: REAL,
            code: |matrix| matrix.new_code(integer::code()),
            ..POSTGRES
        },
        sound: Scene { contract: REAL, code: |matrix| matrix.new_code(float::code()), ..POSTGRES },
        caught: Caught { at: "expand", by: Some((New, Warm, Read)), says: "found User" },
    },
    Fault {
        name: "double_for_real",
        wrong: "A `real` column is `Double` in `schema.rs`",
        right: "The column is `double precision`",
        engine: Engine::Postgres,
        faulty: Scene {
            contract: REAL,
            code: |matrix| matrix.new_code(double::code()),
            ..POSTGRES
        },
        sound: Scene {
            contract: contract!("score", "double precision", "required = false"),
            code: |matrix| matrix.new_code(double::code()),
            ..POSTGRES
        },
        caught: Caught { at: "expand", by: Some((New, Warm, Read)), says: "8 bytes" },
    },
    Fault {
        name: "padded_text",
        wrong: "A `char(10)` column pads what is written",
        right: "The column is `varchar(10)`",
        engine: Engine::Postgres,
        faulty: Scene {
            contract: contract!("score", "char(10)", "required = false"),
            code: |matrix| matrix.new_code(text::code()),
            ..POSTGRES
        },
        sound: Scene {
            contract: contract!("score", "varchar(10)", "required = false"),
            code: |matrix| matrix.new_code(text::code()),
            ..POSTGRES
        },
        caught: Caught { at: "expand", by: Some((New, Warm, Read)), says: "  \"" },
    },
    Fault {
        name: "time_zone_lost",
        wrong: "Instants are written into `timestamp` by a session that is not in UTC",
        right: "The column is `timestamptz`",
        engine: Engine::Postgres,
        faulty: Scene {
            contract: contract!("score", "timestamp", "required = false"),
            code: |matrix| matrix.new_code(instant::code()),
            ..POSTGRES
        },
        sound: Scene {
            contract: contract!("score", "timestamptz", "required = false"),
            code: |matrix| matrix.new_code(instant::code()),
            ..POSTGRES
        },
        caught: Caught { at: "expand", by: Some((New, Warm, Read)), says: "found User" },
    },
    Fault {
        name: "scale_rounds",
        wrong: "A `decimal(12,2)` column rounds what is written",
        right: "The column keeps three places",
        engine: Engine::Mariadb,
        faulty: Scene {
            contract: contract!("score", "decimal(12,2)", "required = false"),
            code: |matrix| matrix.new_code(my_double::code()),
            ..MARIADB
        },
        sound: Scene {
            contract: contract!("score", "decimal(12,3)", "required = false"),
            code: |matrix| matrix.new_code(my_double::code()),
            ..MARIADB
        },
        caught: Caught { at: "expand", by: Some((New, Warm, Read)), says: "found User" },
    },
    Fault {
        name: "float_for_double",
        wrong: "A `float` column is `Double` in `schema.rs`, and rounds what is written",
        right: "The column is `double`",
        engine: Engine::Mariadb,
        faulty: Scene {
            contract: contract!("score", "float", "required = false"),
            code: |matrix| matrix.new_code(my_tenths::code()),
            ..MARIADB
        },
        sound: Scene {
            contract: contract!("score", "double", "required = false"),
            code: |matrix| matrix.new_code(my_tenths::code()),
            ..MARIADB
        },
        caught: Caught { at: "expand", by: Some((New, Warm, Read)), says: "found User" },
    },
    Fault {
        name: "signed_for_unsigned",
        wrong: "An `int unsigned` column is `Integer` in `schema.rs`",
        right: "It is `Unsigned<Integer>`",
        engine: Engine::Mariadb,
        faulty: Scene {
            code: |matrix| matrix.old(users::old::<Mysql>()).new_code(my_integer::code()),
            ..THREE_BILLION
        },
        sound: Scene {
            code: |matrix| matrix.old(users::old::<Mysql>()).new_code(my_unsigned::code()),
            ..THREE_BILLION
        },
        caught: Caught { at: "expand", by: Some((New, Warm, Read)), says: "overflow" },
    },
    Fault {
        name: "cut_to_fit",
        wrong: "A session without strict mode cuts what is too long",
        right: "The column is long enough",
        engine: Engine::Mariadb,
        faulty: Scene {
            contract: contract!("score", "varchar(8)", "required = false"),
            code: |matrix| matrix.new_code(lax::code()),
            ..MARIADB
        },
        sound: Scene {
            contract: contract!("score", "varchar(40)", "required = false"),
            code: |matrix| matrix.new_code(lax::code()),
            ..MARIADB
        },
        caught: Caught { at: "expand", by: Some((New, Warm, Read)), says: "\"Esperant\"" },
    },
    Fault {
        name: "after_2038",
        wrong: "A `timestamp` column ends in 2038",
        right: "The column is `datetime`",
        engine: Engine::Mariadb,
        faulty: Scene {
            contract: contract!("score", "timestamp", "required = false"),
            code: |matrix| {
                matrix.new_code(future::code().read(in_the_future).list(all_in_the_future))
            },
            ..MARIADB
        },
        sound: Scene {
            contract: contract!("score", "datetime", "required = false"),
            code: |matrix| {
                matrix.new_code(future::code().read(in_the_future).list(all_in_the_future))
            },
            ..MARIADB
        },
        caught: Caught {
            at: "expand",
            by: Some((New, Warm, Insert)),
            says: "Incorrect datetime value",
        },
    },
    Fault {
        name: "too_large_for_i32",
        wrong: "Old rows are filled with numbers that `Integer` cuts",
        right: "The column is `BigInt` in `schema.rs`",
        engine: Engine::Sqlite,
        faulty: Scene {
            code: |matrix| {
                let new = small::code().column(|user| user.score.map(|score| score.to_string()));
                matrix.old(users::old::<Sqlite>()).new_code(new)
            },
            ..FIVE_BILLION
        },
        sound: Scene {
            code: |matrix| {
                let new = big::code().column(|user| user.score.map(|score| score.to_string()));
                matrix.old(users::old::<Sqlite>()).new_code(new)
            },
            ..FIVE_BILLION
        },
        caught: Caught {
            at: "expand",
            by: Some((New, Warm, Read)),
            says: "expected \"5000000000\", found \"705032704\" in what was read",
        },
    },
];

/// Reads the time as text, in which it is written.
fn in_the_future(db: &mut Mysql, user: &future::User) -> QueryResult<future::User> {
    use future::users::{id, name, table};
    let score = sql::<Maybe<SqlText>>("CAST(score AS char)");
    table.find(user.id).select((id, name, score)).first(db)
}

fn all_in_the_future(db: &mut Mysql) -> QueryResult<Vec<future::User>> {
    use future::users::{id, name, table};
    table.select((id, name, sql::<Maybe<SqlText>>("CAST(score AS char)"))).load(db)
}

const REAL: &str = contract!("score", "real", "required = false");

const THREE_BILLION: Scene = Scene {
    contract: contract!(
        "score",
        "int unsigned",
        "required = true",
        "[old_rows]",
        "fill = '3000000000'"
    ),
    ..MARIADB
};

const FIVE_BILLION: Scene = Scene {
    contract: contract!("score", "bigint", "required = true", "[old_rows]", "fill = '5000000000'"),
    ..SQLITE
};
