//! Triggers that serve old code, and what they do to others.

use super::scenes::*;

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "overwrites_new_writers",
        wrong: "The trigger for old code overwrites what new code writes",
        right: "It fires where the column is NULL",
        engine: Engine::Postgres,
        faulty: Scene {
            stages: &[(
                Expand,
                &[sql!(
                    "ALTER TABLE users ADD COLUMN locale varchar(40);
                     CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS \
                     'BEGIN NEW.locale := lower(NEW.name); RETURN NEW; END';
                     CREATE TRIGGER fill BEFORE INSERT ON users
                     FOR EACH ROW EXECUTE FUNCTION fill()"
                )],
            )],
            ..POSTGRES
        },
        sound: POSTGRES,
        caught: Caught { at: "expand", by: Some((New, Warm, Insert)), says: "found \"user " },
    },
    Fault {
        name: "overwrites_new_writers",
        wrong: "The trigger for old code overwrites what new code writes",
        right: "It keeps what is not NULL",
        engine: Engine::Mariadb,
        faulty: Scene {
            stages: &[(
                Expand,
                &[
                    sql!("ALTER TABLE users ADD COLUMN locale varchar(40)"),
                    sql!(
                        "CREATE TRIGGER fill BEFORE INSERT ON users FOR EACH ROW \
                         SET NEW.locale = lower(NEW.name)"
                    ),
                ],
            )],
            ..MARIADB
        },
        sound: MARIADB,
        caught: Caught { at: "expand", by: Some((New, Warm, Insert)), says: "found \"user " },
    },
    Fault {
        name: "overwrites_new_writers",
        wrong: "The trigger for old code overwrites what new code writes",
        right: "It fires where the column is NULL",
        engine: Engine::Sqlite,
        faulty: Scene {
            stages: &[(
                Expand,
                &[sql!(
                    "ALTER TABLE users ADD COLUMN locale varchar(40);
                     CREATE TRIGGER fill AFTER INSERT ON users BEGIN
                       UPDATE users SET locale = lower(name) WHERE rowid = NEW.rowid;
                     END"
                )],
            )],
            ..SQLITE
        },
        sound: SQLITE,
        caught: Caught { at: "expand", by: Some((New, Warm, Insert)), says: "found \"user " },
    },
    Fault {
        name: "computes_again_on_update",
        wrong: "The trigger computes the column again whenever old code changes the row",
        right: "It fires on inserts alone",
        engine: Engine::Postgres,
        faulty: Scene {
            stages: &[(
                Expand,
                &[sql!(
                    "ALTER TABLE users ADD COLUMN locale varchar(40);
                     CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS \
                     'BEGIN
                        IF NEW.locale IS NULL OR NEW.name <> OLD.name THEN
                          NEW.locale := lower(NEW.name);
                        END IF;
                        RETURN NEW;
                      END';
                     CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON users
                     FOR EACH ROW EXECUTE FUNCTION fill()"
                )],
            )],
            ..POSTGRES
        },
        sound: POSTGRES,
        caught: Caught { at: "expand", by: Some((Old, Warm, Update)), says: "as before, found" },
    },
    Fault {
        name: "missing_on_insert",
        wrong: "Nothing serves rows that old code inserts after the backfill",
        right: "A trigger fills them until `contract`",
        engine: Engine::Sqlite,
        faulty: Scene {
            stages: &[(Expand, &[sql!("ALTER TABLE users ADD COLUMN locale varchar(40)")])],
            ..SQLITE
        },
        sound: SQLITE,
        caught: Caught {
            at: "expand",
            by: Some((Old, Warm, Insert)),
            says: "expected the value of `lower(name)`, found NULL",
        },
    },
    Fault {
        name: "missing_on_update",
        wrong: "The replacing column follows the replaced one on inserts alone",
        right: "It follows on updates too",
        engine: Engine::Postgres,
        faulty: Scene {
            stages: &[(
                Expand,
                &[sql!(
                    "ALTER TABLE users ADD COLUMN full_name varchar(40);
                     CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS \
                     'BEGIN
                        IF NEW.full_name IS NULL THEN NEW.full_name := NEW.name;
                        ELSE NEW.name := NEW.full_name; END IF;
                        RETURN NEW;
                      END';
                     CREATE TRIGGER follow BEFORE INSERT ON users
                     FOR EACH ROW EXECUTE FUNCTION follow()"
                )],
            )],
            ..REPLACING
        },
        sound: REPLACING,
        caught: Caught {
            at: "expand",
            by: Some((Old, Warm, Update)),
            says: "expected the value of `name`",
        },
    },
    Fault {
        name: "one_direction",
        wrong: "The replacing column follows the replaced one, but not the other way round",
        right: "Both follow each other",
        engine: Engine::Postgres,
        faulty: Scene {
            stages: &[(
                Expand,
                &[sql!(
                    "ALTER TABLE users ADD COLUMN full_name varchar(40);
                     CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS \
                     'BEGIN
                        IF TG_OP = ''INSERT'' THEN
                          NEW.full_name := coalesce(NEW.full_name, NEW.name);
                        ELSIF NEW.name <> OLD.name THEN
                          NEW.full_name := NEW.name;
                        END IF;
                        RETURN NEW;
                      END';
                     CREATE TRIGGER follow BEFORE INSERT OR UPDATE ON users
                     FOR EACH ROW EXECUTE FUNCTION follow()"
                )],
            )],
            ..REPLACING
        },
        sound: REPLACING,
        caught: Caught {
            at: "expand",
            by: Some((New, Warm, Insert)),
            says: "in what the column replaces",
        },
    },
    Fault {
        name: "replaced_column_dropped_early",
        wrong: "The replaced column is dropped while old code lives",
        right: "It is dropped by `contract`",
        engine: Engine::Postgres,
        faulty: Scene {
            stages: &[(
                Backfill,
                &[Do::Planned, sql!("ALTER TABLE users DROP COLUMN name CASCADE")],
            )],
            ..REPLACING
        },
        sound: REPLACING,
        caught: Caught {
            at: "backfill",
            by: Some((Old, Warm, Insert)),
            says: "column \"name\" of relation \"users\" does not exist",
        },
    },
    Fault {
        name: "replaced_column_in_a_view",
        wrong: "The replaced column is dropped under a view that shows it",
        right: "The view is made anew first",
        engine: Engine::Postgres,
        faulty: Scene { tables: WITH_VIEW, ..REPLACING },
        sound: Scene {
            tables: WITH_VIEW,
            stages: &[(
                Contract,
                &[
                    sql!(
                        "DROP VIEW names;
                         CREATE VIEW names AS SELECT id, full_name AS name FROM users"
                    ),
                    Do::Planned,
                ],
            )],
            ..REPLACING
        },
        caught: Caught { at: "contract", by: None, says: "other objects depend on it" },
    },
];

const WITH_VIEW: &[&str] = &[
    "CREATE TABLE users (id bigint PRIMARY KEY, name varchar(40) NOT NULL DEFAULT '')",
    "CREATE VIEW names AS SELECT id, name FROM users",
];
