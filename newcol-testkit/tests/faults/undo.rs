//! Stages that cannot be taken back, or lose something when they are.

use newcol_core::plan::StageKind;

use super::scenes::*;

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "function_left_behind",
        wrong: "`down.sql` leaves the trigger's function behind",
        right: "It drops the function too",
        engine: Engine::Postgres,
        faulty: Scene {
            stages: &[
                (
                    Expand,
                    &[sql!(
                        ADD_WITH_TRIGGER,
                        "DROP TRIGGER fill ON users; ALTER TABLE users DROP COLUMN locale"
                    )],
                ),
                DROP_TRIGGER,
            ],
            ..BACK
        },
        sound: Scene {
            stages: &[
                (
                    Expand,
                    &[sql!(
                        ADD_WITH_TRIGGER,
                        "DROP TRIGGER fill ON users;
                     DROP FUNCTION fill();
                     ALTER TABLE users DROP COLUMN locale"
                    )],
                ),
                DROP_TRIGGER,
            ],
            ..BACK
        },
        caught: Caught { at: "back to before", by: None, says: "+function fill()" },
    },
    Fault {
        name: "trigger_left_behind",
        wrong: "`down.sql` leaves the trigger behind, which then fails for everybody",
        right: "It drops the trigger first",
        engine: Engine::Postgres,
        faulty: Scene {
            stages: &[
                (Expand, &[sql!(ADD_WITH_TRIGGER, "ALTER TABLE users DROP COLUMN locale")]),
                DROP_TRIGGER,
            ],
            ..BACK
        },
        sound: BACK,
        caught: Caught {
            at: "back to before",
            by: Some((Old, Warm, Insert)),
            says: "has no field \"locale\"",
        },
    },
    Fault {
        name: "index_lost_on_the_way_back",
        wrong: "`up.sql` replaces an index by a wider one, and `down.sql` forgets the old one",
        right: "`down.sql` builds the old index again",
        engine: Engine::Postgres,
        faulty: Scene {
            tables: INDEXED,
            stages: &[(Expand, &[sql!(WIDEN, "ALTER TABLE users DROP COLUMN locale")])],
            contract: OPTIONAL,
            ..BACK
        },
        sound: Scene {
            tables: INDEXED,
            stages: &[(
                Expand,
                &[sql!(
                    WIDEN,
                    "ALTER TABLE users DROP COLUMN locale;
                     CREATE INDEX users_name ON users (name)"
                )],
            )],
            contract: OPTIONAL,
            ..BACK
        },
        caught: Caught { at: "back to before", by: None, says: "-index users.users_name" },
    },
    Fault {
        name: "down_fails",
        wrong: "`down.sql` drops something that is not there",
        right: "It drops what `up.sql` made",
        engine: Engine::Mariadb,
        faulty: Scene {
            contract: OPTIONAL,
            stages: &[(
                Expand,
                &[Do::Bare {
                    up: "ALTER TABLE users ADD COLUMN locale varchar(40)",
                    down: "ALTER TABLE users DROP COLUMN lokale",
                }],
            )],
            walk: Walk::AndBack,
            ..MARIADB
        },
        sound: Scene { contract: OPTIONAL, walk: Walk::AndBack, ..MARIADB },
        caught: Caught { at: "back to before", by: None, says: "back fails" },
    },
    Fault {
        name: "other_change_stays",
        wrong: "`up.sql` widens another column on the way, and `down.sql` forgets it",
        right: "`up.sql` does nothing else",
        engine: Engine::Mariadb,
        faulty: Scene {
            contract: OPTIONAL,
            stages: &[(
                Expand,
                &[Do::Bare {
                    up: "ALTER TABLE users ADD COLUMN locale varchar(40),
                         MODIFY name varchar(60) NOT NULL",
                    down: "ALTER TABLE users DROP COLUMN locale",
                }],
            )],
            walk: Walk::AndBack,
            ..MARIADB
        },
        sound: Scene { contract: OPTIONAL, walk: Walk::AndBack, ..MARIADB },
        caught: Caught { at: "back to before", by: None, says: "varchar(60)" },
    },
    Fault {
        name: "values_lost_on_the_way_back",
        wrong: "Taking the rebuild back empties the column",
        right: "The values are copied",
        engine: Engine::Sqlite,
        faulty: Scene {
            stages: &[(
                Constrain,
                &[Do::Bare {
                    up: "SELECT 1",
                    down: "BEGIN;
                           CREATE TABLE rebuilt (id bigint PRIMARY KEY,
                             name varchar(40) NOT NULL, locale varchar(40));
                           INSERT INTO rebuilt SELECT id, name, NULL FROM users;
                           DROP TABLE users;
                           ALTER TABLE rebuilt RENAME TO users;
                           COMMIT",
                }],
            )],
            walk: Walk::AndBack,
            ..SQLITE
        },
        sound: Scene { walk: Walk::AndBack, ..SQLITE },
        caught: Caught { at: "back to backfill", by: None, says: "changes `locale` of" },
    },
    Fault {
        name: "index_lost_by_a_rebuild",
        wrong: "The rebuild forgets an index of the table",
        right: "It makes every index anew",
        engine: Engine::Sqlite,
        faulty: Scene {
            tables: INDEXED,
            stages: &[(
                Expand,
                &[Do::Bare {
                    up: "BEGIN;
                         CREATE TABLE rebuilt (id bigint PRIMARY KEY,
                           name varchar(40) NOT NULL, locale varchar(40));
                         INSERT INTO rebuilt SELECT id, name, NULL FROM users;
                         DROP TABLE users;
                         ALTER TABLE rebuilt RENAME TO users;
                         COMMIT",
                    down: "ALTER TABLE users DROP COLUMN locale",
                }],
            )],
            contract: OPTIONAL,
            walk: Walk::AndBack,
            ..SQLITE
        },
        sound: Scene { tables: INDEXED, walk: Walk::AndBack, ..SQLITE },
        caught: Caught { at: "back to before", by: None, says: "-index users.users_name" },
    },
];

const BACK: Scene = Scene { walk: Walk::AndBack, ..POSTGRES };

const DROP_TRIGGER: (StageKind, &[Do]) = (
    Contract,
    &[sql!(
        "DROP TRIGGER fill ON users",
        "CREATE TRIGGER fill BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION fill()"
    )],
);

const INDEXED: &[&str] = &[USERS, "CREATE INDEX users_name ON users (name)"];

const WIDEN: &str = "ALTER TABLE users ADD COLUMN locale varchar(40);
    CREATE INDEX users_name_locale ON users (name, locale);
    DROP INDEX users_name";

const ADD_WITH_TRIGGER: &str = "ALTER TABLE users ADD COLUMN locale varchar(40);
    CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.locale := coalesce(NEW.locale, lower(NEW.name)); RETURN NEW; END';
    CREATE TRIGGER fill BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION fill()";
