//! What else hangs on the table: functions, views, triggers, types, rights.

use diesel::{
    deserialize::{FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    prelude::*,
    serialize::{IsNull, Output, ToSql},
    sql_query,
    sql_types::BigInt,
};
use newcol_testkit::{program::Code, scratch::BoxError};
use std::io::Write as _;

use super::scenes::*;
use crate::users::{NewUser, OldUser, before, expanded};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "audit_in_fresh_sessions",
        wrong: "An audit trigger inserts `(NEW).*`, which fails in fresh sessions alone",
        right: "It lists its columns",
        engine: Engine::Postgres,
        faulty: Scene { tables: AUDITED_BY_STAR, ..OLD_ONLY },
        sound: Scene { tables: AUDITED_BY_NAME, ..OLD_ONLY },
        caught: Caught {
            at: "expand",
            by: Some((Old, Fresh, Insert)),
            says: "more expressions than target columns",
        },
    },
    Fault {
        name: "function_returns_rows_of_the_table",
        wrong: "A function RETURNS SETOF the table and selects the columns it knows",
        right: "It RETURNS TABLE of them",
        engine: Engine::Postgres,
        faulty: Scene {
            tables: &[
                USERS,
                "CREATE FUNCTION find_user(bigint) RETURNS SETOF users LANGUAGE plpgsql AS
                 'BEGIN RETURN QUERY SELECT u.id, u.name FROM users u WHERE u.id = $1; END'",
            ],
            ..FOUND_BY_FUNCTION
        },
        sound: Scene {
            tables: &[
                USERS,
                "CREATE FUNCTION find_user(bigint) RETURNS TABLE (id bigint, name varchar)
                 LANGUAGE plpgsql AS
                 'BEGIN RETURN QUERY SELECT u.id, u.name FROM users u WHERE u.id = $1; END'",
            ],
            ..FOUND_BY_FUNCTION
        },
        caught: Caught {
            at: "expand",
            by: Some((Old, Warm, Read)),
            says: "structure of query does not match function result type",
        },
    },
    Fault {
        name: "view_of_star",
        wrong: "New code reads a view made by `SELECT *`, which stays as it was",
        right: "The view is made anew with the column",
        engine: Engine::Postgres,
        faulty: THROUGH_A_VIEW,
        sound: Scene {
            stages: &[(
                Expand,
                &[sql!(
                    "ALTER TABLE users ADD COLUMN locale varchar(40);
                     CREATE OR REPLACE VIEW people AS SELECT * FROM users"
                )],
            )],
            ..THROUGH_A_VIEW
        },
        caught: Caught { at: "expand", by: Some((New, Warm, Read)), says: "does not exist" },
    },
    Fault {
        name: "type_changed_under_warm_sessions",
        wrong: "A column's type is changed in place: prepared statements of warm sessions fail",
        right: "A new column of the new type replaces it",
        engine: Engine::Postgres,
        faulty: Scene {
            contract: OPTIONAL,
            stages: &[(
                Expand,
                &[Do::Planned, sql!("ALTER TABLE users ALTER COLUMN name TYPE text")],
            )],
            ..OLD_ONLY
        },
        sound: REPLACING,
        caught: Caught {
            at: "expand",
            by: Some((Old, Warm, Read)),
            says: "cached plan must not change result type",
        },
    },
    Fault {
        name: "type_narrowed",
        wrong: "A column is narrowed under code that reads the wide type",
        right: "It stays as it is",
        engine: Engine::Postgres,
        faulty: Scene {
            stages: &[(
                Expand,
                &[
                    sql!("ALTER TABLE users ADD COLUMN locale varchar(40)"),
                    sql!("ALTER TABLE users ALTER COLUMN id TYPE integer"),
                ],
            )],
            ..READ_BY_NEWCOMERS
        },
        sound: READ_BY_NEWCOMERS,
        caught: Caught { at: "expand", by: Some((Old, Warm, Read)), says: "8 bytes" },
    },
    Fault {
        name: "label_unknown_to_old_code",
        wrong: "New code writes an enum label that old code cannot read",
        right: "New code writes labels that old code knows",
        engine: Engine::Postgres,
        faulty: Scene {
            code: |matrix| matrix.old(old_ranked()).new_code(ranked(Rank::Gold)),
            ..RANKS
        },
        sound: Scene {
            code: |matrix| matrix.old(old_ranked()).new_code(ranked(Rank::Plain)),
            ..RANKS
        },
        caught: Caught { at: "expand 1/2", by: Some((Old, Warm, Read)), says: "unknown rank" },
    },
    Fault {
        name: "column_rights_missing",
        wrong: "The application's role has rights on columns, and none on the new one",
        right: "The stage grants them",
        engine: Engine::Postgres,
        faulty: BY_COLUMN,
        sound: Scene {
            stages: &[(
                Expand,
                &[
                    Do::Planned,
                    sql!(
                        "GRANT SELECT (locale), INSERT (locale), UPDATE (locale) ON users \
                         TO pg_signal_backend"
                    ),
                ],
            )],
            ..BY_COLUMN
        },
        caught: Caught {
            at: "expand",
            by: Some((New, Warm, Insert)),
            says: "permission denied for table users",
        },
    },
    Fault {
        name: "policy_hides_rows",
        wrong: "A row policy asks for the column before old rows are filled: they are hidden",
        right: "The policy comes with `constrain`",
        engine: Engine::Postgres,
        faulty: Scene { stages: &[(Expand, &[Do::Planned, POLICY])], ..AS_ROLE },
        sound: Scene { stages: &[(Constrain, &[Do::Planned, POLICY])], ..AS_ROLE },
        caught: Caught { at: "expand", by: Some((Old, Warm, Update)), says: "rows changed" },
    },
    Fault {
        name: "parents_missing",
        wrong: "A foreign key is added before the row that the default refers to",
        right: "The row is there first",
        engine: Engine::Postgres,
        faulty: Scene {
            tables: &[USERS, "CREATE TABLE teams (id bigint PRIMARY KEY)"],
            ..IN_TEAMS
        },
        sound: Scene {
            tables: &[
                USERS,
                "CREATE TABLE teams (id bigint PRIMARY KEY)",
                "INSERT INTO teams VALUES (1)",
            ],
            ..IN_TEAMS
        },
        caught: Caught {
            at: "expand 2/3",
            by: Some((Old, Warm, Insert)),
            says: "violates foreign key constraint",
        },
    },
];

const OLD_ONLY: Scene = Scene { code: |matrix| matrix.old(users::old::<Postgres>()), ..POSTGRES };

const AUDITED_BY_STAR: &[&str] = &[
    USERS,
    "CREATE TABLE audit (LIKE users)",
    "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS
     'BEGIN INSERT INTO audit SELECT (NEW).*; RETURN NEW; END'",
    "CREATE TRIGGER audit AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION audit()",
];

const AUDITED_BY_NAME: &[&str] = &[
    USERS,
    "CREATE TABLE audit (LIKE users)",
    "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS
     'BEGIN INSERT INTO audit VALUES (NEW.id, NEW.name); RETURN NEW; END'",
    "CREATE TRIGGER audit AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION audit()",
];

const FOUND_BY_FUNCTION: Scene = Scene {
    code: |matrix| {
        matrix.old(users::old::<Postgres>().read(|db, user| {
            sql_query("SELECT id, name FROM find_user($1)")
                .bind::<BigInt, _>(user.id)
                .get_result::<OldUser>(db)
        }))
    },
    ..POSTGRES
};

diesel::table! { people (id) { id -> BigInt, name -> Text, locale -> Nullable<Text>, } }

const THROUGH_A_VIEW: Scene = Scene {
    contract: OPTIONAL,
    tables: &[USERS, "CREATE VIEW people AS SELECT * FROM users"],
    code: |matrix| {
        matrix.old(users::old::<Postgres>()).new_code(users::new::<Postgres>().read(|db, user| {
            let person: (i64, String, Option<String>) = people::table.find(user.id).first(db)?;
            let (id, name, locale) = person;
            QueryResult::Ok(NewUser { id, name, locale })
        }))
    },
    ..POSTGRES
};

const READ_BY_NEWCOMERS: Scene = Scene {
    contract: OPTIONAL,
    code: |matrix| {
        matrix.old(
            Code::new(Postgres::establish, |n| n as i64)
                .insert(|db, id| {
                    let row = (before::users::id.eq(*id), before::users::name.eq("?"));
                    diesel::insert_into(before::users::table).values(row).execute(db)
                })
                .read(|db, id| {
                    // A statement that is prepared anew each time, so that only the type matters.
                    before::users::table
                        .find(*id)
                        .select(diesel::dsl::sql::<BigInt>("id"))
                        .first::<i64>(db)
                }),
        )
    },
    ..POSTGRES
};

const POLICY: Do = sql!(
    "ALTER TABLE users ENABLE ROW LEVEL SECURITY;
     CREATE POLICY localized ON users USING (locale IS NOT NULL)"
);

/// Connects as a role that every server has and nobody logs in with.
fn as_role(url: &str) -> Result<Postgres, BoxError> {
    let mut db = Postgres::establish(url)?;
    sql_query("SET ROLE pg_signal_backend").execute(&mut db)?;
    Ok(db)
}

fn old_as_role() -> Code<Postgres, OldUser> {
    let make = |n| OldUser { id: n as i64, name: format!("User {n}") };
    code!(Postgres, as_role, before::users, OldUser, name, make)
}

const AS_ROLE: Scene = Scene {
    tables: &[USERS, "GRANT ALL ON users TO pg_signal_backend"],
    code: |matrix| matrix.old(old_as_role()),
    ..POSTGRES
};

const BY_COLUMN: Scene = Scene {
    contract: OPTIONAL,
    tables: &[
        USERS,
        "GRANT SELECT (id, name), INSERT (id, name), UPDATE (name), DELETE ON users \
         TO pg_signal_backend",
    ],
    code: |matrix| {
        let make = |n| NewUser { id: n as i64, name: format!("User {n}"), locale: None };
        let new = code!(Postgres, as_role, expanded::users, NewUser, name, make);
        matrix.old(old_as_role()).new_code(new)
    },
    ..POSTGRES
};

const IN_TEAMS: Scene = Scene {
    contract: contract!(
        "team_id",
        "bigint",
        "required = true",
        "[default]",
        "value = '1'",
        "[references]",
        "table = 'teams'",
        "column = 'id'"
    ),
    code: |matrix| matrix.old(users::old::<Postgres>()),
    ..POSTGRES
};

const RANKS: Scene = Scene {
    contract: OPTIONAL,
    tables: &[
        "CREATE TYPE rank AS ENUM ('plain')",
        "CREATE TABLE users (id bigint PRIMARY KEY, rank rank NOT NULL)",
    ],
    stages: &[(Expand, &[sql!("ALTER TYPE rank ADD VALUE 'gold'"), Do::Planned])],
    ..POSTGRES
};

mod ranks {
    #[derive(diesel::sql_types::SqlType, diesel::query_builder::QueryId)]
    #[diesel(postgres_type(name = "rank"))]
    pub struct Rank;

    diesel::table! {
        use diesel::sql_types::BigInt;
        use super::Rank;
        users (id) { id -> BigInt, rank -> Rank, }
    }
}

/// What old code knows, and the label that new code adds.
#[derive(Debug, Clone, Copy, PartialEq, AsExpression, FromSqlRow)]
#[diesel(sql_type = ranks::Rank)]
enum Rank {
    Plain,
    Gold,
}

impl ToSql<ranks::Rank, Pg> for Rank {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> diesel::serialize::Result {
        out.write_all(match self {
            Self::Plain => b"plain",
            Self::Gold => b"gold",
        })?;
        Ok(IsNull::No)
    }
}

impl FromSql<ranks::Rank, Pg> for Rank {
    fn from_sql(value: PgValue<'_>) -> diesel::deserialize::Result<Self> {
        match value.as_bytes() {
            b"plain" => Ok(Self::Plain),
            _ => Err("unknown rank".into()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable)]
#[diesel(table_name = ranks::users)]
struct Ranked {
    id: i64,
    rank: Rank,
}

/// Code that writes a rank.
fn ranked(rank: Rank) -> Code<Postgres, Ranked> {
    Code::new(Postgres::establish, move |n| Ranked { id: n as i64, rank })
        .insert(|db, row| diesel::insert_into(ranks::users::table).values(row).execute(db))
}

/// Code that reads the ranks it knows.
fn old_ranked() -> Code<Postgres, Ranked> {
    ranked(Rank::Plain)
        .read(|db, row| ranks::users::table.find(row.id).select(Ranked::as_select()).first(db))
}
