//! What PostgreSQL would do on an UPDATE.

use newcol_core::{
    db::{OpenOptions, Session, facts::FactsError},
    execute::side_effects::{Refusal, SideEffects, Triggers},
    plan::Plan,
};
use newcol_testkit::{ScratchDb, Want};

use super::{
    DIESEL_SETUP, SHOUT, care, expand, fill, judged, open, open_url, proposed, refusal, rows, told,
};

/// The newest, the one before parameters could be granted, and the one that first could.
const VERSIONS: [u32; 3] = [18, 13, 15];

const USERS: &str = "
    CREATE TABLE users (id int PRIMARY KEY, name text, updated_at timestamptz NOT NULL DEFAULT '2001-01-01');
    INSERT INTO users VALUES (1, 'ann'), (2, 'bob');";

const DIESEL_TRIGGER: &str = "SELECT diesel_manage_updated_at('users')";

/// Runs a test on every version, on a table with the column.
fn with_users(tables: &[&str], body: &str, test: impl Fn(u32, &ScratchDb, &mut Session, &Plan)) {
    for version in VERSIONS {
        let Some(db) = ScratchDb::require(Want::postgres().version(version)) else { continue };
        let mut session = open(&db);
        for sql in tables {
            session.batch(sql).unwrap();
        }
        let plan = expand(&mut session, body);
        test(version, &db, &mut session, &plan);
    }
}

/// Makes a role that may do with the table what an application does, and becomes it.
fn become_app(session: &mut Session, role: &str) {
    session
        .batch(&format!(
            "DO 'BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object THEN END';
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
             SET ROLE {role}"
        ))
        .unwrap();
}

const TOUCHED: &str = "SELECT id, name, shout, updated_at = '2001-01-01' FROM users ORDER BY id";

#[test]
fn diesels_updated_at_stays() {
    let tables = [USERS, DIESEL_SETUP, DIESEL_TRIGGER];
    with_users(&tables, SHOUT, |version, _, session, plan| {
        let skip = judged(session, plan, Triggers::Skip);
        let fire = judged(session, plan, Triggers::Fire);
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(&skip), @"
            session: SET row_security = off
            before: SET LOCAL session_replication_role = replica
            notice: the trigger `set_updated_at` does not fire for what is filled: batches run with `session_replication_role = replica`
            ");
            insta::assert_snapshot!(told(&fire), @"notice: the trigger `set_updated_at` of `users` fires for what is filled: it sets `updated_at` to the time of the fill");
        }
        fill(session, plan, &skip.unwrap());
        let filled = "1 ann ANN t\n2 bob BOB t\n";
        assert_eq!(rows(session, TOUCHED), filled, "PostgreSQL {version}");

        // The application's own changes are seen as before, in this session too.
        session.batch("UPDATE users SET name = 'Bob' WHERE id = 2").unwrap();
        assert_eq!(rows(session, TOUCHED), "1 ann ANN t\n2 Bob BOB f\n", "PostgreSQL {version}");

        session.batch("UPDATE users SET shout = NULL WHERE id = 1").unwrap();
        session.batch("ALTER TABLE users DISABLE TRIGGER USER; UPDATE users SET updated_at = '2001-01-01'; ALTER TABLE users ENABLE TRIGGER USER").unwrap();
        fill(session, plan, &fire.unwrap());
        assert_eq!(rows(session, TOUCHED), "1 ann ANN f\n2 Bob BOB t\n", "PostgreSQL {version}");
    });
}

#[test]
fn who_may_not_let_triggers_rest_is_told_who_may() {
    let tables = [USERS, DIESEL_SETUP, DIESEL_TRIGGER];
    with_users(&tables, SHOUT, |version, _, session, plan| {
        become_app(session, "newcol_sides_rest");
        let refused = judged(session, plan, Triggers::Skip);
        if version < 15 {
            insta::assert_snapshot!(told(&refused), @"
            filling `users.shout` fires `set_updated_at`, which the role `newcol_sides_rest` may not prevent
            choice: use the URL of a superuser
            choice: pass `--triggers fire`: `set_updated_at` sets `updated_at` to the time of the fill
            ");
        } else {
            insta::allow_duplicates! {
                insta::assert_snapshot!(told(&refused), @r#"
                filling `users.shout` fires `set_updated_at`, which the role `newcol_sides_rest` may not prevent
                choice: let a superuser run `GRANT SET ON PARAMETER session_replication_role TO "newcol_sides_rest"`
                choice: use the URL of a superuser
                choice: pass `--triggers fire`: `set_updated_at` sets `updated_at` to the time of the fill
                "#);
            }
            session.batch("RESET ROLE").unwrap();
            session.batch(&proposed(&refused.unwrap_err(), 0)).unwrap();
            session.batch("SET ROLE newcol_sides_rest").unwrap();
            let care = care(session, plan, Triggers::Skip);
            fill(session, plan, &care);
            assert_eq!(rows(session, TOUCHED), "1 ann ANN t\n2 bob BOB t\n");
            session.batch("RESET ROLE; REVOKE SET ON PARAMETER session_replication_role FROM newcol_sides_rest").unwrap();
        }
    });
}

/// A table without triggers of the user's needs no right and no care.
#[test]
fn nothing_is_set_where_nothing_would_fire() {
    let other = "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql
                   AS 'BEGIN NEW.updated_at = now(); RETURN NEW; END';
                 CREATE TRIGGER named BEFORE UPDATE OF name ON users FOR EACH ROW EXECUTE FUNCTION touch();
                 CREATE TRIGGER inserted BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION touch();
                 CREATE TRIGGER off BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
                 ALTER TABLE users DISABLE TRIGGER off";
    // The foreign keys of other columns are triggers, too.
    let boss = "ALTER TABLE users ADD boss int REFERENCES users (id)";
    with_users(&[USERS, other, boss], SHOUT, |version, _, session, plan| {
        become_app(session, "newcol_sides_plain");
        let judged = judged(session, plan, Triggers::Skip);
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(&judged), @"session: SET row_security = off");
        }
        fill(session, plan, &judged.unwrap());
        assert_eq!(rows(session, TOUCHED), "1 ann ANN t\n2 bob BOB t\n", "PostgreSQL {version}");
    });
}

const KINDS: &str = "
    CREATE TABLE audit (says text);
    CREATE SCHEMA app;
    CREATE FUNCTION app.note() RETURNS trigger LANGUAGE plpgsql
      AS 'BEGIN INSERT INTO public.audit VALUES (TG_NAME); RETURN NEW; END';
    CREATE TRIGGER \"each row\" AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION app.note();
    CREATE TRIGGER statement AFTER UPDATE ON users EXECUTE FUNCTION app.note();
    CREATE TRIGGER of_shout BEFORE UPDATE OF shout ON users FOR EACH ROW EXECUTE FUNCTION app.note();
    CREATE TRIGGER of_name BEFORE UPDATE OF name ON users FOR EACH ROW EXECUTE FUNCTION app.note();";
const PARTITIONED: &str = "
    CREATE TABLE users (id int, name text) PARTITION BY RANGE (id);
    CREATE TABLE low PARTITION OF users FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (id);
    CREATE TABLE \"Lo w\" PARTITION OF low FOR VALUES FROM (0) TO (10);
    INSERT INTO users VALUES (1, 'ann')";

#[test]
fn triggers_of_every_kind_and_place_rest() {
    let own =
        "CREATE TRIGGER own BEFORE UPDATE ON \"Lo w\" FOR EACH ROW EXECUTE FUNCTION app.note();";
    let later =
        "CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON \"Lo w\" DEFERRABLE INITIALLY DEFERRED
                   FOR EACH ROW EXECUTE FUNCTION app.note();";
    with_users(&[PARTITIONED], SHOUT, |version, _, session, plan| {
        session.batch(&format!("{KINDS}{own}{later}")).unwrap();
        let skip = judged(session, plan, Triggers::Skip);
        let fire = judged(session, plan, Triggers::Fire);
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(&skip), @"
            session: SET row_security = off
            before: SET LOCAL session_replication_role = replica
            notice: the triggers `each row`, `later`, `of_shout`, `own` and `statement` do not fire for what is filled: batches run with `session_replication_role = replica`
            ");
            insta::assert_snapshot!(told(&fire), @"
            notice: the trigger `each row` of `users` fires for what is filled: it runs `app.note()`
            notice: the trigger `later` of `Lo w` fires for what is filled: it runs `app.note()`
            notice: the trigger `of_shout` of `users` fires for what is filled: it runs `app.note()`
            notice: the trigger `own` of `Lo w` fires for what is filled: it runs `app.note()`
            notice: the trigger `statement` of `users` fires for what is filled: it runs `app.note()`
            ");
        }
        fill(session, plan, &skip.unwrap());
        assert_eq!(rows(session, "SELECT shout FROM users"), "ANN\n", "PostgreSQL {version}");
        assert_eq!(rows(session, "SELECT * FROM audit"), "", "PostgreSQL {version}");

        session.batch("ALTER TABLE users DISABLE TRIGGER USER; UPDATE users SET shout = NULL; ALTER TABLE users ENABLE TRIGGER USER; DELETE FROM audit").unwrap();
        fill(session, plan, &fire.unwrap());
        assert_eq!(
            rows(session, "SELECT DISTINCT says FROM audit ORDER BY says"),
            "each row\nlater\nof_shout\nown\nstatement\n",
            "PostgreSQL {version}"
        );
    });
}

#[test]
fn triggers_that_never_rest_are_refused() {
    let restless = "
        CREATE TRIGGER always BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION diesel_set_updated_at();
        ALTER TABLE users ENABLE ALWAYS TRIGGER always;
        CREATE TRIGGER replica BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION diesel_set_updated_at();
        ALTER TABLE users ENABLE REPLICA TRIGGER replica;";
    with_users(&[USERS, DIESEL_SETUP, restless], SHOUT, |version, _, session, plan| {
        let refused = judged(session, plan, Triggers::Skip);
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(&refused), @r#"
            filling `users.shout` fires `always` and `replica` even where triggers rest
            choice: run `ALTER TABLE "users" ENABLE TRIGGER "always"` and `ALTER TABLE "users" DISABLE TRIGGER "replica"`, which changes nothing for the application
            choice: pass `--triggers fire`: `always` sets `updated_at` to the time of the fill
            "#);
        }
        let Err(Refusal::RestlessTriggers { edits, .. }) = refused else { panic!("{refused:?}") };
        for edit in edits {
            session.batch(edit.as_str()).unwrap();
        }
        let care = care(session, plan, Triggers::Skip);
        fill(session, plan, &care);
        assert_eq!(rows(session, TOUCHED), "1 ann ANN t\n2 bob BOB t\n", "PostgreSQL {version}");
    });
}

/// What the server checks by triggers would rest with the others.
#[test]
fn constraints_of_the_column_do_not_rest() {
    let constraints = [
        "ALTER TABLE users ADD CONSTRAINT known FOREIGN KEY (shout) REFERENCES words (word)",
        "ALTER TABLE users ADD CONSTRAINT later UNIQUE (shout) DEFERRABLE",
        "ALTER TABLE users ADD CONSTRAINT lowered EXCLUDE (lower(shout) WITH =) DEFERRABLE",
    ];
    let words = "CREATE TABLE words (word varchar(60) PRIMARY KEY)";
    with_users(&[USERS, words, DIESEL_SETUP], SHOUT, |version, _, session, plan| {
        session.batch(&constraints.join(";")).unwrap();
        // Without triggers nothing has to rest, and they are checked.
        assert!(care(session, plan, Triggers::Skip).before.is_empty(), "PostgreSQL {version}");
        session.batch("UPDATE users SET shout = upper(name)").unwrap_err();
        session.batch(DIESEL_TRIGGER).unwrap();
        let refused = judged(session, plan, Triggers::Skip);
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(&refused), @r#"
            if `set_updated_at` rested while `users.shout` is filled, nothing would check `known` on `users`, `later` on `users`, `lowered` on `users`
            choice: run `ALTER TABLE "users" DROP CONSTRAINT "known"` and `ALTER TABLE "users" DROP CONSTRAINT "later"` and `ALTER TABLE "users" DROP CONSTRAINT "lowered"`, to be undone when all is filled
            choice: pass `--triggers fire`: `set_updated_at` sets `updated_at` to the time of the fill
            "#);
        }
        // It is true: they would not be.
        session
            .batch(
                "BEGIN; SET LOCAL session_replication_role = replica;
                 UPDATE users SET shout = 'same'; COMMIT",
            )
            .unwrap();
        assert_eq!(rows(session, "SELECT shout FROM users"), "same\nsame\n");
        session.batch("ALTER TABLE users DROP CONSTRAINT known, DROP CONSTRAINT later, DROP CONSTRAINT lowered").unwrap();
        care(session, plan, Triggers::Skip);
    });
}

#[test]
fn sessions_that_check_nothing_are_refused() {
    let words = "CREATE TABLE words (word varchar(60) PRIMARY KEY)";
    with_users(&[USERS, words], SHOUT, |version, db, session, plan| {
        session.batch("ALTER TABLE users ADD CONSTRAINT known FOREIGN KEY (shout) REFERENCES words (word)").unwrap();
        let name = session.value("SELECT quote_ident(current_database())").unwrap().unwrap();
        session
            .batch(&format!("ALTER DATABASE {name} SET session_replication_role = replica"))
            .unwrap();
        let mut session = open(db);
        let refused = judged(&mut session, plan, Triggers::Fire);
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(&refused), @r#"
            sessions of the role `newcol` start with `session_replication_role = replica`, in which nothing checks `known` on `users` while `users.shout` is filled
            choice: run `ALTER ROLE "newcol" SET session_replication_role = origin`
            choice: use the URL of another role
            "#);
        }
        session.batch("ALTER TABLE users DROP CONSTRAINT known").unwrap();
        let care = care(&mut session, plan, Triggers::Skip);
        fill(&mut session, plan, &care);
        assert_eq!(
            rows(&mut session, TOUCHED),
            "1 ann ANN t\n2 bob BOB t\n",
            "PostgreSQL {version}"
        );
    });
}

#[test]
fn hidden_rows_are_refused() {
    let policy = "CREATE POLICY mine ON users USING (name = 'ann');
                  ALTER TABLE users ENABLE ROW LEVEL SECURITY";
    with_users(&[USERS, policy], SHOUT, |version, _, session, plan| {
        // Superusers see every row.
        care(session, plan, Triggers::Skip);
        become_app(session, "newcol_sides_policy");
        let refused = judged(session, plan, Triggers::Skip);
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(&refused), @r#"
            row-level security hides rows of `users` from the role `newcol_sides_policy`: `users.shout` would stay empty in them
            choice: let a superuser run `ALTER ROLE "newcol_sides_policy" BYPASSRLS`
            choice: use the URL of the table's owner, and run `ALTER TABLE "users" NO FORCE ROW LEVEL SECURITY` where its policies bind the owner too
            "#);
        }
        let bypass = proposed(&refused.unwrap_err(), 0);
        session.batch(&format!("RESET ROLE; {bypass}; SET ROLE newcol_sides_policy")).unwrap();
        let care = care(session, plan, Triggers::Skip);
        fill(session, plan, &care);
        assert_eq!(rows(session, TOUCHED), "1 ann ANN t\n2 bob BOB t\n", "PostgreSQL {version}");
        session.batch("RESET ROLE; ALTER ROLE newcol_sides_policy NOBYPASSRLS").unwrap();
    });
}

/// A policy on another table, which the fill reads, would change what is filled.
#[test]
fn rows_that_a_fill_reads_are_not_hidden_in_silence() {
    let words = "CREATE TABLE words (id int, word text); INSERT INTO words VALUES (1, 'yes');
                 ALTER TABLE words ENABLE ROW LEVEL SECURITY";
    let body = "type = 'text'\n[old_rows]\nfill = '(SELECT count(*) FROM words)::text'\n";
    with_users(&[USERS, words], body, |version, _, session, plan| {
        become_app(session, "newcol_sides_reads");
        let care = care(session, plan, Triggers::Skip);
        for statement in &care.session {
            session.batch(statement.as_str()).unwrap();
        }
        let error = session.batch("UPDATE users SET shout = (SELECT count(*) FROM words)::text");
        let said = error.unwrap_err().failure().unwrap().message.clone();
        assert!(said.contains("row-level security"), "PostgreSQL {version}: {said}");
    });
}

#[test]
fn missing_privileges_are_named_and_can_be_granted() {
    let grants =
        "DO 'BEGIN CREATE ROLE newcol_sides_poor; EXCEPTION WHEN duplicate_object THEN END';
                  GRANT SELECT (id) ON users TO newcol_sides_poor";
    with_users(&[USERS, grants], SHOUT, |version, _, session, plan| {
        session.batch("SET ROLE newcol_sides_poor").unwrap();
        let first = judged(session, plan, Triggers::Skip);
        session.batch("RESET ROLE; GRANT SELECT ON users TO newcol_sides_poor; SET ROLE newcol_sides_poor").unwrap();
        let second = judged(session, plan, Triggers::Skip);
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(&first), @r#"
            the role `newcol_sides_poor` may not fill `users.shout`: it may not read `name`, `updated_at` and `shout` of `users`, nor change `shout` of `users`
            choice: let the owner run `GRANT SELECT, UPDATE ("shout") ON "users" TO "newcol_sides_poor"`
            choice: use the URL of the owner
            "#);
            insta::assert_snapshot!(told(&second), @r#"
            the role `newcol_sides_poor` may not fill `users.shout`: it may not change `shout` of `users`
            choice: let the owner run `GRANT UPDATE ("shout") ON "users" TO "newcol_sides_poor"`
            choice: use the URL of the owner
            "#);
        }
        session.batch("RESET ROLE; REVOKE ALL ON users FROM newcol_sides_poor").unwrap();
        session.batch(&proposed(&first.unwrap_err(), 0)).unwrap();
        session.batch("SET ROLE newcol_sides_poor").unwrap();
        let care = care(session, plan, Triggers::Skip);
        fill(session, plan, &care);
        session
            .batch("SELECT ctid, id FROM users WHERE ctid < '(1,1)' FOR UPDATE SKIP LOCKED")
            .unwrap();
        session.batch("RESET ROLE").unwrap();
        assert_eq!(rows(session, TOUCHED), "1 ann ANN t\n2 bob BOB t\n", "PostgreSQL {version}");
    });
}

/// A batch updates a partition by its own name.
#[test]
fn partitions_have_privileges_of_their_own() {
    with_users(&[PARTITIONED], SHOUT, |_, _, session, plan| {
        session.batch("DO 'BEGIN CREATE ROLE newcol_sides_part; EXCEPTION WHEN duplicate_object THEN END';
                       GRANT SELECT, UPDATE ON users TO newcol_sides_part; SET ROLE newcol_sides_part").unwrap();
        let refused = judged(session, plan, Triggers::Skip);
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(&refused), @r#"
            the role `newcol_sides_part` may not fill `users.shout`: it may not read `id`, `name` and `shout` of `Lo w`, nor change `shout` of `Lo w`
            choice: let the owner run `GRANT SELECT, UPDATE ("shout") ON "Lo w" TO "newcol_sides_part"`
            choice: use the URL of the owner
            "#);
        }
        session.batch("RESET ROLE").unwrap();
        session.batch(&proposed(&refused.unwrap_err(), 0)).unwrap();
        session.batch("SET ROLE newcol_sides_part").unwrap();
        care(session, plan, Triggers::Skip);
    });
}

#[test]
fn rules_are_refused() {
    let rule = "CREATE RULE \"no change\" AS ON UPDATE TO users DO INSTEAD NOTHING";
    with_users(&[USERS, rule], SHOUT, |_, _, session, plan| {
        let refused = judged(session, plan, Triggers::Fire);
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(&refused), @r#"
            a fill of `users.shout` is an UPDATE, and rules make something else of it: `no change` on `users`
            choice: run `ALTER TABLE "users" DISABLE RULE "no change"` until all is filled
            "#);
        }
        session.batch(&proposed(&refused.unwrap_err(), 0)).unwrap();
        care(session, plan, Triggers::Skip);
    });
}

#[test]
fn subscribers_are_thought_of() {
    let tables = "CREATE TABLE users (id int NOT NULL UNIQUE, name text) PARTITION BY RANGE (id);
                  CREATE TABLE low PARTITION OF users FOR VALUES FROM (0) TO (10);
                  INSERT INTO users VALUES (1, 'ann');
                  CREATE PUBLICATION news FOR TABLE users;
                  CREATE PUBLICATION inserts FOR TABLE users WITH (publish = 'insert');";
    with_users(&[tables], SHOUT, |version, _, session, plan| {
        let refused = judged(session, plan, Triggers::Skip);
        // The server's own answer.
        session.batch("UPDATE users SET shout = 'x'").unwrap_err();
        let full = proposed(refused.as_ref().unwrap_err(), 1);
        session.batch(&full).unwrap();
        let whole = judged(session, plan, Triggers::Skip);
        session.batch("ALTER TABLE low REPLICA IDENTITY USING INDEX low_id_key").unwrap();
        let by_index = judged(session, plan, Triggers::Skip);
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(&refused), @r#"
            `users.shout` cannot be filled: the server refuses every UPDATE of `low`, which `news` publishes without a replica identity
            choice: give `low` a primary key
            choice: run `ALTER TABLE "low" REPLICA IDENTITY FULL`, after which an UPDATE sends the whole row
            "#);
            insta::assert_snapshot!(told(&whole), @"
            session: SET row_security = off
            notice: every filled row goes to the subscribers of `news`, whose tables must have `shout`
            ");
        }
        assert_eq!(by_index, whole, "PostgreSQL {version}");
        fill(session, plan, &by_index.unwrap());

        session
            .batch(
                "ALTER TABLE low REPLICA IDENTITY DEFAULT; ALTER TABLE users ADD PRIMARY KEY (id)",
            )
            .unwrap();
        assert_eq!(judged(session, plan, Triggers::Skip), whole, "PostgreSQL {version}");
        session.batch("UPDATE users SET shout = 'x'").unwrap();

        session.batch("ALTER TABLE users DROP CONSTRAINT users_pkey; ALTER TABLE users ADD PRIMARY KEY (id) DEFERRABLE").unwrap();
        let refused = refusal(session, plan, Triggers::Skip);
        assert!(matches!(refused, Refusal::NoIdentity { .. }), "PostgreSQL {version}");
        session.batch("UPDATE users SET shout = 'x'").unwrap_err();
    });
}

#[test]
fn stored_columns_that_follow_are_named() {
    with_users(&[USERS], SHOUT, |version, _, session, plan| {
        session
            .batch(
                "ALTER TABLE users ADD lowered text GENERATED ALWAYS AS (lower(shout)) STORED,
                   ADD named text GENERATED ALWAYS AS (lower(name)) STORED",
            )
            .unwrap();
        let judged = judged(session, plan, Triggers::Skip);
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(&judged), @"
            session: SET row_security = off
            notice: computed from `shout`, and so changed with it: `lowered`
            ");
        }
        fill(session, plan, &judged.unwrap());
        assert_eq!(
            rows(session, "SELECT lowered FROM users"),
            "ann\nbob\n",
            "PostgreSQL {version}"
        );
    });
}

#[test]
fn read_only_databases_are_refused() {
    with_users(&[USERS], SHOUT, |_, db, session, plan| {
        // A session of ours that only reads is no reason.
        let mut reads = open_url(db.url(), &OpenOptions::read());
        care(&mut reads, plan, Triggers::Skip);
        let name = session.value("SELECT quote_ident(current_database())").unwrap().unwrap();
        session
            .batch(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"))
            .unwrap();
        let refused = judged(&mut open(db), plan, Triggers::Skip);
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(&refused), @"
            `users.shout` cannot be filled: `default_transaction_read_only` is on for this database, role or URL
            choice: lift the setting, or use a role for which it is off
            ");
        }
    });
}

/// Ours keep two columns equal, and know what a fill is; unless its value is another each time.
#[test]
fn our_own_triggers_change_nothing() {
    let replaces = "[replaces]\ncolumn = 'name'\nback = 'lower(shout)'\n";
    with_users(&[USERS], &format!("{SHOUT}{replaces}"), |version, _, session, plan| {
        session.batch("ALTER TABLE users DISABLE TRIGGER USER; UPDATE users SET name = 'Ann' WHERE id = 1; ALTER TABLE users ENABLE TRIGGER USER").unwrap();
        become_app(session, "newcol_sides_sync");
        let care = care(session, plan, Triggers::Skip);
        assert!(care.before.is_empty(), "PostgreSQL {version}");
        fill(session, plan, &care);
        assert_eq!(rows(session, TOUCHED), "1 Ann ANN t\n2 bob BOB t\n", "PostgreSQL {version}");
    });
    let volatile = "type = 'text'\n[old_rows]\nfill = 'md5(random()::text)'\n";
    with_users(&[USERS], &format!("{volatile}{replaces}"), |version, _, session, plan| {
        let care = care(session, plan, Triggers::Skip);
        assert_eq!(care.before.len(), 1, "PostgreSQL {version}");
        fill(session, plan, &care);
        let names = rows(session, "SELECT name, shout <> name FROM users ORDER BY id");
        assert_eq!(names, "ann t\nbob t\n", "PostgreSQL {version}");
        become_app(session, "newcol_sides_volatile");
        let refused = refusal(session, plan, Triggers::Skip);
        assert!(matches!(refused, Refusal::Triggers { .. }), "PostgreSQL {version}");
    });
}

#[test]
fn what_is_not_there_is_said() {
    let Some(db) = ScratchDb::require(Want::postgres()) else { return };
    let mut session = open(&db);
    session.batch(USERS).unwrap();
    let plan = expand(&mut session, SHOUT);
    let before = SideEffects::read(&mut session, &plan).unwrap();
    assert_eq!(before, SideEffects::read(&mut session, &plan).unwrap());
    session.batch("ALTER TABLE users DROP shout CASCADE").unwrap();
    let no_column = SideEffects::read(&mut session, &plan).unwrap_err();
    session.batch("DROP TABLE users").unwrap();
    let no_table = SideEffects::read(&mut session, &plan).unwrap_err();
    assert!(matches!(no_table, FactsError::NoTable { .. }), "{no_table}");
    // The rest of the message says where the database is.
    let said = no_column.to_string();
    let (said, _) = said.split_once(" in ").unwrap();
    insta::assert_snapshot!(format!("{said}; {}", no_column.hint().unwrap()), @"there is no column `users.shout`; run the pending migrations: `diesel migration run`");
}
