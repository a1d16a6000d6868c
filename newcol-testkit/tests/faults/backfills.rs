//! Jobs that fill old rows.

use super::scenes::*;

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "overwrites_newer_values",
        wrong: "The backfill overwrites what new code has written",
        right: "It fills where the column is NULL",
        engine: Engine::Postgres,
        faulty: Scene {
            stages: &[(Backfill, &[Do::Job("UPDATE users SET locale = lower(name)")])],
            ..POSTGRES
        },
        sound: POSTGRES,
        caught: Caught { at: "backfill", by: None, says: "changes `locale` of" },
    },
    Fault {
        name: "overwrites_newer_values",
        wrong: "The backfill overwrites what new code has written",
        right: "It fills where the column is NULL",
        engine: Engine::Sqlite,
        faulty: Scene {
            stages: &[(Backfill, &[Do::Job("UPDATE users SET locale = lower(name)")])],
            ..SQLITE
        },
        sound: SQLITE,
        caught: Caught { at: "backfill", by: None, says: "changes `locale` of" },
    },
    Fault {
        name: "other_expression",
        wrong: "The backfill computes something else than the contract says",
        right: "It computes what the contract says",
        engine: Engine::Postgres,
        faulty: Scene {
            stages: &[(
                Backfill,
                &[Do::Job("UPDATE users SET locale = upper(name) WHERE locale IS NULL")],
            )],
            ..POSTGRES
        },
        sound: POSTGRES,
        caught: Caught {
            at: "backfill",
            by: None,
            says: "without the value of `lower(name)`, the first has \"USER 1\"",
        },
    },
    Fault {
        name: "rows_left_out",
        wrong: "The backfill leaves rows out",
        right: "It fills every row",
        engine: Engine::Postgres,
        faulty: Scene {
            stages: &[(
                Backfill,
                &[Do::Job("UPDATE users SET locale = lower(name) WHERE locale IS NULL AND id > 1")],
            )],
            ..POSTGRES
        },
        sound: POSTGRES,
        caught: Caught { at: "backfill", by: None, says: "1 row without the value" },
    },
    Fault {
        name: "rows_left_out",
        wrong: "The backfill stops after its first batch",
        right: "It goes on until no row is left",
        engine: Engine::Mariadb,
        faulty: Scene {
            stages: &[(
                Backfill,
                &[Do::Job(
                    "UPDATE users SET locale = lower(name) WHERE locale IS NULL ORDER BY id LIMIT 1",
                )],
            )],
            ..MARIADB
        },
        sound: MARIADB,
        caught: Caught { at: "backfill", by: None, says: "1 row without the value" },
    },
    Fault {
        name: "touches_updated_at",
        wrong: "The backfill fires Diesel's own trigger for `updated_at`",
        right: "The trigger rests for the job, and for nobody else",
        engine: Engine::Postgres,
        faulty: Scene {
            stages: &[(
                Backfill,
                &[Do::Job("UPDATE users SET locale = lower(name) WHERE locale IS NULL")],
            )],
            ..TOUCHED
        },
        sound: TOUCHED,
        caught: Caught { at: "backfill", by: None, says: "changes `updated_at` of" },
    },
    Fault {
        name: "touches_updated_at",
        wrong: "The backfill moves a column with ON UPDATE CURRENT_TIMESTAMP",
        right: "It sets that column to itself",
        engine: Engine::Mariadb,
        faulty: Scene {
            tables: WITH_TIME,
            stages: &[(
                Backfill,
                &[Do::Job("UPDATE users SET locale = lower(name) WHERE locale IS NULL")],
            )],
            ..MARIADB
        },
        sound: Scene { tables: WITH_TIME, ..MARIADB },
        caught: Caught { at: "backfill", by: None, says: "changes `updated_at` of" },
    },
];

const TOUCHED: Scene = Scene {
    tables: &[
        "CREATE TABLE users (id bigint PRIMARY KEY, name varchar(40) NOT NULL,
           updated_at timestamptz NOT NULL DEFAULT clock_timestamp())",
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END'",
        "CREATE TRIGGER touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch()",
    ],
    ..POSTGRES
};

const WITH_TIME: &[&str] =
    &["CREATE TABLE users (id bigint PRIMARY KEY, name varchar(40) NOT NULL,
    updated_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6))"];
