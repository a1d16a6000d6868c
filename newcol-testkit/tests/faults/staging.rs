//! Stages in the wrong order, or in the wrong form.

use super::scenes::*;

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "default_dropped_early",
        wrong: "The default is dropped while old code inserts",
        right: "It is dropped by `contract`",
        engine: Engine::Postgres,
        faulty: Scene {
            contract: DEFAULTED,
            stages: &[(
                Expand,
                &[Do::Planned, sql!("ALTER TABLE users ALTER COLUMN locale DROP DEFAULT")],
            )],
            ..POSTGRES
        },
        sound: Scene { contract: DEFAULTED, ..POSTGRES },
        caught: Caught {
            at: "expand",
            by: Some((Old, Warm, Insert)),
            says: "null value in column \"locale\"",
        },
    },
    Fault {
        name: "default_dropped_early",
        wrong: "The default is dropped while old code inserts",
        right: "It is dropped by `contract`",
        engine: Engine::Mariadb,
        faulty: Scene {
            contract: DEFAULTED,
            stages: &[(
                Expand,
                &[Do::Planned, sql!("ALTER TABLE users ALTER COLUMN locale DROP DEFAULT")],
            )],
            ..MARIADB
        },
        sound: Scene { contract: DEFAULTED, ..MARIADB },
        caught: Caught {
            at: "expand",
            by: Some((Old, Warm, Insert)),
            says: "Field 'locale' doesn't have a default value",
        },
    },
    Fault {
        name: "not_null_before_backfill",
        wrong: "NOT NULL comes before the old rows are filled",
        right: "It comes with `constrain`",
        engine: Engine::Postgres,
        faulty: Scene {
            stages: &[(
                Expand,
                &[Do::Planned, sql!("ALTER TABLE users ALTER COLUMN locale SET NOT NULL")],
            )],
            ..POSTGRES
        },
        sound: POSTGRES,
        caught: Caught { at: "expand", by: None, says: "contains null values" },
    },
    Fault {
        name: "not_null_at_once",
        wrong: "The column arrives NOT NULL: the server fills old rows with the empty text",
        right: "It arrives nullable and is filled by the backfill",
        engine: Engine::Mariadb,
        faulty: Scene {
            stages: &[(
                Expand,
                &[sql!(
                    "ALTER TABLE users ADD COLUMN locale varchar(40) NOT NULL;
                     CREATE TRIGGER locale_of_old BEFORE INSERT ON users FOR EACH ROW
                     SET NEW.locale = coalesce(nullif(NEW.locale, ''), lower(NEW.name))"
                )],
            )],
            ..MARIADB
        },
        sound: MARIADB,
        caught: Caught { at: "backfill", by: None, says: "the first has \"\"" },
    },
    Fault {
        name: "constraint_before_trigger",
        wrong: "The constraint is there a migration before the trigger that serves old code",
        right: "The trigger is there from the same transaction on as the column",
        engine: Engine::Postgres,
        faulty: Scene {
            stages: &[(
                Expand,
                &[
                    sql!(
                        "ALTER TABLE users ADD COLUMN locale varchar(40);
                         ALTER TABLE users ADD CHECK (locale IS NOT NULL) NOT VALID"
                    ),
                    sql!(
                        "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS \
                         'BEGIN NEW.locale := coalesce(NEW.locale, lower(NEW.name)); RETURN NEW; END';
                         CREATE TRIGGER fill BEFORE INSERT ON users
                         FOR EACH ROW EXECUTE FUNCTION fill()"
                    ),
                ],
            )],
            ..POSTGRES
        },
        sound: POSTGRES,
        caught: Caught {
            at: "expand 1/2",
            by: Some((Old, Warm, Insert)),
            says: "violates check constraint",
        },
    },
    Fault {
        name: "constraint_before_backfill",
        wrong: "An unproven constraint refuses every change of a row that is not filled yet",
        right: "It is added when the backfill is done",
        engine: Engine::Postgres,
        faulty: Scene {
            stages: &[(
                Expand,
                &[
                    Do::Planned,
                    sql!("ALTER TABLE users ADD CHECK (locale IS NOT NULL) NOT VALID"),
                ],
            )],
            ..POSTGRES
        },
        sound: POSTGRES,
        caught: Caught {
            at: "expand",
            by: Some((Old, Warm, Update)),
            says: "violates check constraint",
        },
    },
    Fault {
        name: "not_null_while_old_code_inserts",
        wrong: "The table is rebuilt with NOT NULL while old code inserts",
        right: "It is rebuilt by `constrain`, when old code is gone",
        engine: Engine::Sqlite,
        faulty: Scene {
            stages: &[(
                Backfill,
                &[
                    Do::Planned,
                    Do::Bare {
                        up: "BEGIN;
                             CREATE TABLE rebuilt (id bigint PRIMARY KEY,
                               name varchar(40) NOT NULL, locale varchar(40) NOT NULL);
                             INSERT INTO rebuilt SELECT id, name, locale FROM users;
                             DROP TABLE users;
                             ALTER TABLE rebuilt RENAME TO users;
                             COMMIT",
                        down: "SELECT 1",
                    },
                ],
            )],
            ..SQLITE
        },
        sound: SQLITE,
        caught: Caught {
            at: "backfill",
            by: Some((Old, Warm, Insert)),
            says: "NOT NULL constraint failed",
        },
    },
    Fault {
        name: "rebuild_in_transaction",
        wrong: "A rebuild in Diesel's transaction cannot switch foreign keys off: children are deleted",
        right: "The rebuild runs bare, and has a transaction of its own",
        engine: Engine::Sqlite,
        faulty: Scene {
            stages: &[(
                Constrain,
                &[sql!(
                    "PRAGMA foreign_keys = OFF;
                     CREATE TABLE rebuilt (id bigint PRIMARY KEY, name varchar(40) NOT NULL,
                       locale varchar(40) NOT NULL);
                     INSERT INTO rebuilt SELECT id, name, locale FROM users;
                     DROP TABLE users;
                     ALTER TABLE rebuilt RENAME TO users;
                     PRAGMA foreign_keys = ON"
                )],
            )],
            ..WITH_CHILDREN
        },
        sound: WITH_CHILDREN,
        caught: Caught { at: "constrain", by: None, says: "loses 1 of 1 rows of `posts`" },
    },
    Fault {
        name: "rebuild_skips_rows",
        wrong: "The rebuild skips rows that its new NOT NULL refuses",
        right: "It stops at them",
        engine: Engine::Sqlite,
        faulty: Scene {
            stages: &[(
                Backfill,
                &[
                    Do::Bare {
                        up: "BEGIN;
                             CREATE TABLE rebuilt (id bigint PRIMARY KEY,
                               name varchar(40) NOT NULL, locale varchar(40) NOT NULL);
                             INSERT OR IGNORE INTO rebuilt SELECT id, name, locale FROM users;
                             DROP TABLE users;
                             ALTER TABLE rebuilt RENAME TO users;
                             COMMIT",
                        down: "SELECT 1",
                    },
                ],
            )],
            ..SQLITE
        },
        sound: SQLITE,
        caught: Caught { at: "backfill", by: None, says: "loses" },
    },
    Fault {
        name: "value_missing_for_old_rows",
        wrong: "The fill yields NULL for some row, and the column becomes NOT NULL",
        right: "The fill yields a value for every row",
        engine: Engine::Postgres,
        faulty: Scene { contract: NULL_FOR_ADA, tables: WITH_ADA, ..POSTGRES },
        sound: Scene { tables: WITH_ADA, ..POSTGRES },
        caught: Caught { at: "backfill", by: None, says: "yields NULL for 1 row" },
    },
    Fault {
        name: "job_of_its_own_does_not_tell",
        wrong: "A job of its own leaves rows NULL and says nothing, and the column becomes NOT NULL",
        right: "The job tells which rows it cannot fill",
        engine: Engine::Postgres,
        faulty: Scene {
            contract: NULL_FOR_ADA,
            tables: WITH_ADA,
            stages: &[(Backfill, &[Do::Job(FILLED_BUT_FOR_ADA)])],
            ..POSTGRES
        },
        sound: Scene { tables: WITH_ADA, ..POSTGRES },
        caught: Caught { at: "constrain 1/5", by: None, says: "still empty after the fill" },
    },
    Fault {
        name: "value_missing_for_old_rows",
        wrong: "The fill yields NULL for some row, and the column becomes NOT NULL",
        right: "The fill yields a value for every row",
        engine: Engine::Mariadb,
        faulty: Scene { contract: NULL_FOR_ADA, tables: WITH_ADA, ..MARIADB },
        sound: Scene { tables: WITH_ADA, ..MARIADB },
        caught: Caught { at: "backfill", by: None, says: "yields NULL for 1 row" },
    },
    Fault {
        name: "job_of_its_own_does_not_tell",
        wrong: "A job of its own leaves rows NULL and says nothing, and the column becomes NOT NULL",
        right: "The job tells which rows it cannot fill",
        engine: Engine::Mariadb,
        faulty: Scene {
            contract: NULL_FOR_ADA,
            tables: WITH_ADA,
            stages: &[(Backfill, &[Do::Job(FILLED_BUT_FOR_ADA)])],
            ..MARIADB
        },
        sound: Scene { tables: WITH_ADA, ..MARIADB },
        caught: Caught { at: "constrain", by: None, says: "Data truncated for column" },
    },
    Fault {
        name: "check_refuses_old_rows",
        wrong: "Old rows are filled with what the check refuses",
        right: "The check allows what the fill yields",
        engine: Engine::Postgres,
        faulty: Scene {
            contract: contract!(
                "locale", "varchar(40)", "required = true", "[old_rows]", "fill = 'lower(name)'",
                "[check]", "expr = 'length(locale) > 3'"
            ),
            tables: WITH_ADA,
            ..POSTGRES
        },
        sound: Scene {
            contract: contract!(
                "locale", "varchar(40)", "required = true", "[old_rows]", "fill = 'lower(name)'",
                "[check]", "expr = 'length(locale) > 2'"
            ),
            tables: WITH_ADA,
            ..POSTGRES
        },
        caught: Caught { at: "constrain", by: None, says: "is violated by some row" },
    },
    Fault {
        name: "unique_on_a_default",
        wrong: "A unique index is built on a column with one default for all",
        right: "The index is a plain one",
        engine: Engine::Postgres,
        faulty: Scene {
            contract: contract!(
                "locale", "varchar(40)", "required = true", "[default]", "value = \"'en'\"",
                "[index]", "unique = true"
            ),
            ..POSTGRES
        },
        sound: Scene {
            contract: contract!(
                "locale", "varchar(40)", "required = true", "[default]", "value = \"'en'\"",
                "[index]"
            ),
            ..POSTGRES
        },
        caught: Caught { at: "index", by: None, says: "could not create unique index" },
    },
    Fault {
        name: "label_used_at_once",
        wrong: "An enum's new label is used in the transaction that adds it",
        right: "It is added by a migration of its own",
        engine: Engine::Postgres,
        faulty: Scene {
            stages: &[(
                Expand,
                &[sql!(
                    "ALTER TYPE mood ADD VALUE 'merry';
                     ALTER TABLE users ADD COLUMN mood mood CHECK (mood <> 'merry')"
                )],
            )],
            ..MOODS
        },
        sound: Scene {
            stages: &[(
                Expand,
                &[
                    sql!("ALTER TYPE mood ADD VALUE 'merry'"),
                    sql!("ALTER TABLE users ADD COLUMN mood mood CHECK (mood <> 'merry')"),
                ],
            )],
            ..MOODS
        },
        caught: Caught { at: "expand", by: None, says: "unsafe use of new value" },
    },
    Fault {
        name: "row_type_used_elsewhere",
        wrong: "A column with a default is added to a table whose row type another table uses",
        right: "The column is added without one, and the default set after it",
        engine: Engine::Postgres,
        faulty: Scene { contract: DEFAULTED, tables: WITH_HISTORY, ..POSTGRES },
        sound: Scene { tables: WITH_HISTORY, ..POSTGRES },
        caught: Caught { at: "expand", by: None, says: "uses its row type" },
    },
];

const NULL_FOR_ADA: &str = contract!(
    "locale",
    "varchar(40)",
    "required = true",
    "[old_rows]",
    "fill = \"nullif(lower(name), 'ada')\""
);

const WITH_ADA: &[&str] = &[USERS, "INSERT INTO users VALUES (1000, 'Ada')"];

const WITH_HISTORY: &[&str] = &[USERS, "CREATE TABLE history (id bigint, was users)"];

const WITH_CHILDREN: Scene = Scene {
    tables: &[
        USERS,
        "CREATE TABLE posts (id integer PRIMARY KEY,
           user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE)",
        "INSERT INTO users VALUES (1000, 'Ada')",
        "INSERT INTO posts VALUES (1, 1000)",
    ],
    ..SQLITE
};

const MOODS: Scene = Scene {
    contract: contract!("mood", "mood", "required = false"),
    tables: &[USERS, "CREATE TYPE mood AS ENUM ('calm')"],
    code: |matrix| matrix.old(users::old::<Postgres>()),
    ..POSTGRES
};

const FILLED_BUT_FOR_ADA: &str =
    "UPDATE users SET locale = nullif(lower(name), 'ada') WHERE locale IS NULL";
