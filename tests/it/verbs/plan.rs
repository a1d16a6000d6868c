use insta::assert_snapshot;

use super::{LONG, done};
use crate::desk::{self, AND_SO_ON, Tree, newcol, said};

#[test]
fn every_stage_is_shown_and_nothing_touched() {
    let project = desk::one_crate("postgres").build().unwrap();
    done(&project, LONG);
    let before = Tree::of(project.root());
    assert_snapshot!(said(&newcol(&project, &["plan", "users.locale"])), @r#"
    exit code: 0
    ----- stdout -----
    users.locale on PostgreSQL [SERVER], the table as schema.rs shows it
    E-mails go out in the reader's language

    1. expand
       users_locale_expand (in a transaction)
         Adds `users.locale`, NULL for every row there is.
         ACCESS EXCLUSIVE: reads and writes wait, briefly, whatever the size of the table.
           ALTER TABLE "users" ADD COLUMN "locale" text;
         Undo: Drops the column and all its values.
           ALTER TABLE "users" DROP COLUMN "locale";
         Computes `users.locale` for rows of programs that do not know it.
         SHARE ROW EXCLUSIVE: reads go on, writes wait, briefly, whatever the size of the table.
           CREATE FUNCTION "newcol_fill_users_locale"() RETURNS trigger LANGUAGE plpgsql AS $newcol$
           #variable_conflict use_column
           BEGIN
             SELECT (coalesce(settings, 'en')) INTO NEW."locale" FROM (SELECT NEW.*) AS "users";
             RETURN NEW;
           END
           $newcol$;
           CREATE TRIGGER "newcol_fill_users_locale" BEFORE INSERT ON "users"
           FOR EACH ROW WHEN (NEW."locale" IS NULL) EXECUTE FUNCTION "newcol_fill_users_locale"();
         Undo: Drops the trigger.
           DROP TRIGGER "newcol_fill_users_locale" ON "users";
           DROP FUNCTION "newcol_fill_users_locale"();
         Writes down in the database why `users.locale` exists.
         SHARE UPDATE EXCLUSIVE: reads and writes go on; other schema changes wait, briefly, whatever the size of the table.
           COMMENT ON COLUMN "users"."locale" IS 'E-mails go out in the reader''s language';
         Undo: Goes with the column.

    2. backfill
       when `expand` is applied wherever this stage will be
       A job fills the rows that are there already, in batches; it is no migration.
       cargo newcol backfill users.locale --database-url <URL>

    3. index
       when the backfill has left no row empty
       users_locale_index (outside a transaction)
         Builds the index on `users.locale`.
         SHARE UPDATE EXCLUSIVE: reads and writes go on; other schema changes wait, for as long as the table is large; the table is read once.
           CREATE INDEX CONCURRENTLY "users_locale_idx" ON "users" ("locale");
         Undo: Drops the index.
           DROP INDEX CONCURRENTLY "users_locale_idx";

    4. constrain
       when `index` is applied wherever this stage will be
       when the backfill has left no row empty
       users_locale_constrain_leftovers (in a transaction)
         Fills up to 10000 rows that are still empty; more is an error that names the backfill.
         ROW EXCLUSIVE: nobody but writers of the same rows waits, for a bounded number of rows; the table is read once.
           DO $newcol$
           DECLARE
             newcol_trigger record;
             newcol_again text := '';
             newcol_until timestamptz;
             newcol_rows tid[];
             newcol_filled bigint;
           BEGIN
             newcol_rows := ARRAY(SELECT ctid FROM "users" WHERE "locale" IS NULL AND (coalesce(settings, 'en')) IS NOT NULL LIMIT 10000 + 1);
             IF cardinality(newcol_rows) > 10000 THEN
               RAISE EXCEPTION USING MESSAGE = 'newcol users.locale: more than 10000 rows are not filled yet', HINT = 'run `cargo newcol backfill users.locale` first';
             END IF;
             IF EXISTS (SELECT 1 FROM "users" WHERE "locale" IS NULL AND (coalesce(settings, 'en')) IS NULL) THEN
               RAISE EXCEPTION USING MESSAGE = 'newcol users.locale: some rows are still empty after the fill', HINT = 'its expression yields NULL for them: find them with WHERE column IS NULL';
             END IF;
             IF cardinality(newcol_rows) > 0 THEN
               -- Triggers on UPDATE would change other columns, such as updated_at: they are off for this one,
               -- and writers wait until it is committed.
               newcol_until := clock_timestamp() + current_setting('lock_timeout')::interval;
               FOR newcol_trigger IN
                 WITH RECURSIVE newcol_tables (id) AS (
                   SELECT '"users"'::regclass::oid
                   UNION SELECT i.inhrelid FROM pg_inherits i JOIN newcol_tables n ON n.id = i.inhparent
                 )
                 SELECT n.id::regclass AS on_table, t.tgname AS name, CASE t.tgenabled WHEN 'A' THEN 'ALWAYS ' ELSE '' END AS always
                 FROM newcol_tables n JOIN pg_trigger t ON t.tgrelid = n.id
                 JOIN pg_attribute a ON a.attrelid = n.id AND a.attname = 'locale'
                 WHERE t.tgtype & 16 <> 0 AND t.tgenabled IN ('O', 'A') AND t.tgname !~ '^newcol_'
                   AND (t.tgattr::text = '' OR a.attnum = ANY (t.tgattr))
                   AND (NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstraint = 0))
               LOOP
                 EXECUTE format('ALTER TABLE ONLY %s DISABLE TRIGGER %I', newcol_trigger.on_table, newcol_trigger.name);
                 newcol_again := newcol_again || format('ALTER TABLE ONLY %s ENABLE %sTRIGGER %I;', newcol_trigger.on_table, newcol_trigger.always, newcol_trigger.name);
                 PERFORM set_config('lock_timeout', greatest(1, extract(epoch FROM newcol_until - clock_timestamp()) * 1000)::integer::text, true);
               END LOOP;
               UPDATE "users" SET "locale" = (coalesce(settings, 'en')) WHERE "locale" IS NULL AND (coalesce(settings, 'en')) IS NOT NULL AND ctid = ANY (ARRAY(
                 SELECT ctid FROM "users" WHERE "locale" IS NULL AND ctid = ANY (newcol_rows) FOR NO KEY UPDATE SKIP LOCKED));
               GET DIAGNOSTICS newcol_filled = ROW_COUNT;
               EXECUTE newcol_again;
               IF newcol_filled < cardinality(newcol_rows) THEN
                 RAISE EXCEPTION USING ERRCODE = 'serialization_failure', MESSAGE = 'newcol users.locale: rows were changed while they were being filled', HINT = 'run it again';
               END IF;
             END IF;
           END
           $newcol$;
         Undo: Nothing: filled values stay.
       users_locale_constrain_not_null_check (in a transaction)
         Refuses NULL in `users.locale` for rows written from now on.
         ACCESS EXCLUSIVE: reads and writes wait, briefly, whatever the size of the table.
           ALTER TABLE "users" ADD CONSTRAINT "newcol_not_null_users_locale" CHECK ("locale" IS NOT NULL) NOT VALID;
         Undo: Drops the check.
           ALTER TABLE "users" DROP CONSTRAINT "newcol_not_null_users_locale";
       users_locale_constrain_validate_not_null (in a transaction)
         Proves that no row of `users` holds NULL there.
         SHARE UPDATE EXCLUSIVE: reads and writes go on; other schema changes wait, for as long as the table is large; the table is read once.
           ALTER TABLE "users" VALIDATE CONSTRAINT "newcol_not_null_users_locale";
         Undo: Nothing: a proof needs no undoing.
       users_locale_constrain_not_null (in a transaction)
         Makes `users.locale` NOT NULL.
         ACCESS EXCLUSIVE: reads and writes wait, briefly, whatever the size of the table.
           ALTER TABLE "users" ALTER COLUMN "locale" SET NOT NULL;
         Undo: Allows NULL again.
           ALTER TABLE "users" ALTER COLUMN "locale" DROP NOT NULL;
       users_locale_constrain_drop_not_null_check (in a transaction)
         Drops the helper check, which NOT NULL has replaced.
         ACCESS EXCLUSIVE: reads and writes wait, briefly, whatever the size of the table.
           ALTER TABLE "users" DROP CONSTRAINT "newcol_not_null_users_locale";
         Undo: Adds the helper check again.
           ALTER TABLE "users" ADD CONSTRAINT "newcol_not_null_users_locale" CHECK ("locale" IS NOT NULL) NOT VALID;

    5. contract
       when `constrain` is applied wherever this stage will be
       when no running program is older than the column
       users_locale_contract (in a transaction)
         Drops what filled `users.locale` for old programs.
         ACCESS EXCLUSIVE: reads and writes wait, briefly, whatever the size of the table.
           DROP TRIGGER "newcol_fill_users_locale" ON "users";
           DROP FUNCTION "newcol_fill_users_locale"();
         Undo: Creates the trigger again.
           CREATE FUNCTION "newcol_fill_users_locale"() RETURNS trigger LANGUAGE plpgsql AS $newcol$
           #variable_conflict use_column
           BEGIN
             SELECT (coalesce(settings, 'en')) INTO NEW."locale" FROM (SELECT NEW.*) AS "users";
             RETURN NEW;
           END
           $newcol$;
           CREATE TRIGGER "newcol_fill_users_locale" BEFORE INSERT ON "users"
           FOR EACH ROW WHEN (NEW."locale" IS NULL) EXECUTE FUNCTION "newcol_fill_users_locale"();

    Why this plan
     - old rows are computed, and computing them in the migration would hold locks for as long as the table is large: a job fills them in batches
     - programs that do not know the column still insert: a trigger, there from the same transaction on, computes it for their rows
     - SET NOT NULL alone would scan the table while everybody waits: a helper check is proven first, while reads and writes go on
     - the index has a stage of its own: building it takes as long as the table is large, and after the fill it is built once instead of being updated row by row
    ----- stderr -----
    "#);
    assert_eq!(Tree::of(project.root()), before);
}

#[test]
fn sqlite_plans_from_its_replayed_migrations() {
    let project = desk::one_crate("sqlite").build().unwrap();
    done(&project, LONG);
    assert_snapshot!(said(&newcol(&project, &["plan", "users.locale"])), @r#"
    exit code: 0
    ----- stdout -----
    users.locale on SQLite [SERVER], the table as the project's migrations build it
    E-mails go out in the reader's language

    1. expand
       users_locale_expand (in a transaction)
         Adds `users.locale`, NULL for every row there is.
         database write lock: other writers wait, briefly, whatever the size of the table.
           ALTER TABLE "users" ADD COLUMN "locale" text;
         Undo: Drops the column and all its values.
           ALTER TABLE "users" DROP COLUMN "locale";
         Computes `users.locale` for rows of programs that do not know it.
         database write lock: other writers wait, briefly, whatever the size of the table.
           CREATE TRIGGER "newcol_fill_users_locale" AFTER INSERT ON "users" WHEN NEW."locale" IS NULL
           BEGIN
             UPDATE "users" SET "locale" = (coalesce(settings, 'en')) WHERE rowid = NEW.rowid;
           END;
         Undo: Drops the trigger.
           DROP TRIGGER "newcol_fill_users_locale";

    2. backfill
       when `expand` is applied wherever this stage will be
       A job fills the rows that are there already, in batches; it is no migration.
       cargo newcol backfill users.locale --database-url <URL>

    3. index
       when the backfill has left no row empty
       users_locale_index (in a transaction)
         Builds the index on `users.locale`.
         database write lock: other writers wait, for as long as the table is large; the table is read once.
           CREATE INDEX "users_locale_idx" ON "users" ("locale");
         Undo: Drops the index.
           DROP INDEX "users_locale_idx";

    4. constrain
       when `index` is applied wherever this stage will be
       when the backfill has left no row empty
       when no running program is older than the column
       users_locale_constrain_leftovers (in a transaction)
         Fills up to 10000 rows that are still empty; more is an error that names the backfill.
         database write lock: other writers wait, for a bounded number of rows; the table is read once.
           CREATE TEMP TABLE "newcol_guard" (pending INTEGER CONSTRAINT "run cargo newcol backfill users.locale first" CHECK (pending <= 10000), empty INTEGER CONSTRAINT "users.locale is still NULL in some rows" CHECK (empty = 0));
           INSERT INTO temp."newcol_guard" (pending) SELECT count(*) FROM (SELECT 1 FROM "users" WHERE "locale" IS NULL AND (coalesce(settings, 'en')) IS NOT NULL LIMIT 10001);
           UPDATE "users" SET "locale" = (coalesce(settings, 'en')) WHERE "locale" IS NULL AND (coalesce(settings, 'en')) IS NOT NULL;
           INSERT INTO temp."newcol_guard" (empty) SELECT count(*) FROM "users" WHERE "locale" IS NULL;
           DROP TABLE temp."newcol_guard";
         Undo: Nothing: filled values stay.
       users_locale_constrain_rebuild (outside a transaction)
         Rebuilds `users`, so that `users.locale` becomes NOT NULL, without a default.
         database write lock: other writers wait, for as long as the table is large; the table is written anew.
           PRAGMA foreign_keys = OFF;
           PRAGMA legacy_alter_table = ON;
           BEGIN IMMEDIATE;
           CREATE TEMP TABLE "newcol_guard" (
             foreign_keys INTEGER CONSTRAINT "foreign keys are still on" CHECK (foreign_keys = 0),
             missing INTEGER CONSTRAINT "rows went missing" CHECK (missing = 0),
             orphans INTEGER CONSTRAINT "children lost their parent" CHECK (orphans <= 0),
             known INTEGER, seq INTEGER);
           INSERT INTO temp."newcol_guard" (foreign_keys) SELECT foreign_keys FROM pragma_foreign_keys;
           INSERT INTO temp."newcol_guard" (known) SELECT count(*) FROM pragma_foreign_key_check;
           CREATE TABLE "newcol_rebuilt_users" (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, settings TEXT, "locale" text NOT NULL);
           INSERT INTO "newcol_rebuilt_users" ("id", "name", "settings", "locale") SELECT "id", "name", "settings", "locale" FROM "users";
           INSERT INTO temp."newcol_guard" (missing) SELECT (SELECT count(*) FROM "users") - (SELECT count(*) FROM "newcol_rebuilt_users");
           DROP TABLE "users";
           ALTER TABLE "newcol_rebuilt_users" RENAME TO "users";
           CREATE TRIGGER "newcol_fill_users_locale" AFTER INSERT ON "users" WHEN NEW."locale" IS NULL
           BEGIN
             UPDATE "users" SET "locale" = (coalesce(settings, 'en')) WHERE rowid = NEW.rowid;
           END;
           CREATE INDEX "users_locale_idx" ON "users" ("locale");
           INSERT INTO temp."newcol_guard" (orphans) SELECT (SELECT count(*) FROM pragma_foreign_key_check) - (SELECT max(known) FROM temp."newcol_guard");
           DROP TABLE temp."newcol_guard";
           COMMIT;
           PRAGMA legacy_alter_table = OFF;
           PRAGMA foreign_keys = ON;
         Undo: Rebuilds the table as it was.
           PRAGMA foreign_keys = OFF;
           PRAGMA legacy_alter_table = ON;
           BEGIN IMMEDIATE;
           CREATE TEMP TABLE "newcol_guard" (
             foreign_keys INTEGER CONSTRAINT "foreign keys are still on" CHECK (foreign_keys = 0),
             missing INTEGER CONSTRAINT "rows went missing" CHECK (missing = 0),
             orphans INTEGER CONSTRAINT "children lost their parent" CHECK (orphans <= 0),
             known INTEGER, seq INTEGER);
           INSERT INTO temp."newcol_guard" (foreign_keys) SELECT foreign_keys FROM pragma_foreign_keys;
           INSERT INTO temp."newcol_guard" (known) SELECT count(*) FROM pragma_foreign_key_check;
           CREATE TABLE "newcol_rebuilt_users" (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, settings TEXT, "locale" text);
           INSERT INTO "newcol_rebuilt_users" ("id", "name", "settings", "locale") SELECT "id", "name", "settings", "locale" FROM "users";
           INSERT INTO temp."newcol_guard" (missing) SELECT (SELECT count(*) FROM "users") - (SELECT count(*) FROM "newcol_rebuilt_users");
           DROP TABLE "users";
           ALTER TABLE "newcol_rebuilt_users" RENAME TO "users";
           CREATE TRIGGER "newcol_fill_users_locale" AFTER INSERT ON "users" WHEN NEW."locale" IS NULL
           BEGIN
             UPDATE "users" SET "locale" = (coalesce(settings, 'en')) WHERE rowid = NEW.rowid;
           END;
           CREATE INDEX "users_locale_idx" ON "users" ("locale");
           INSERT INTO temp."newcol_guard" (orphans) SELECT (SELECT count(*) FROM pragma_foreign_key_check) - (SELECT max(known) FROM temp."newcol_guard");
           DROP TABLE temp."newcol_guard";
           COMMIT;
           PRAGMA legacy_alter_table = OFF;
           PRAGMA foreign_keys = ON;

    5. contract
       when `constrain` is applied wherever this stage will be
       when no running program is older than the column
       users_locale_contract (in a transaction)
         Drops what filled `users.locale` for old programs.
         database write lock: other writers wait, briefly, whatever the size of the table.
           DROP TRIGGER "newcol_fill_users_locale";
         Undo: Creates the trigger again.
           CREATE TRIGGER "newcol_fill_users_locale" AFTER INSERT ON "users" WHEN NEW."locale" IS NULL
           BEGIN
             UPDATE "users" SET "locale" = (coalesce(settings, 'en')) WHERE rowid = NEW.rowid;
           END;

    Why this plan
     - old rows are computed, and computing them in the migration would hold locks for as long as the table is large: a job fills them in batches
     - programs that do not know the column still insert: a trigger, there from the same transaction on, computes it for their rows
     - SQLite cannot change a column in place: the table is rebuilt in one transaction, with foreign keys off so that no child row is touched
     - the index has a stage of its own: building it takes as long as the table is large, and after the fill it is built once instead of being updated row by row
    ----- stderr -----
    "#);
}

#[test]
fn each_engine_has_its_plan_in_json() {
    let project = desk::three_engines().build().unwrap();
    done(&project, &["add", "users.locale", AND_SO_ON, "--type", "mysql=tinytext"]);
    let output = newcol(&project, &["plan", "users.locale", "--message-format", "json"]).success();
    let plans: Vec<serde_json::Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_snapshot!(serde_json::to_string_pretty(&plans[2]).unwrap(), @r#"
    {
      "backend": "sqlite",
      "column": "users.locale",
      "reason": "newcol-plan",
      "reasons": [
        "old rows may stay NULL, so there is nothing to fill"
      ],
      "server": "SQLite 3.37",
      "stages": [
        {
          "gates": [],
          "migrations": [
            {
              "in_transaction": true,
              "name": "users_locale_expand",
              "steps": [
                {
                  "blocks": "database write lock: other writers wait, briefly, whatever the size of the table.",
                  "brief": true,
                  "down": [
                    "ALTER TABLE \"users\" DROP COLUMN \"locale\""
                  ],
                  "lock": "database write lock",
                  "proofs": [
                    "SELECT EXISTS (SELECT 1 FROM pragma_table_xinfo('users', 'main') WHERE name = 'locale')"
                  ],
                  "rewrites": false,
                  "scans": false,
                  "undo": "Drops the column and all its values.",
                  "up": [
                    "ALTER TABLE \"users\" ADD COLUMN \"locale\" text"
                  ],
                  "what": "Adds `users.locale`, NULL for every row there is."
                }
              ]
            }
          ],
          "stage": "expand"
        }
      ],
      "version": 1,
      "warnings": [],
      "why": "Because"
    }
    "#);
    let backends: Vec<&str> = plans.iter().map(|p| p["backend"].as_str().unwrap()).collect();
    assert_eq!(backends, ["postgres", "mysql", "sqlite"]);
}

/// A default would be one migration, and who does not know that asks for four stages and a job.
#[test]
fn a_fill_that_is_one_value_is_told_of_the_shorter_way() {
    let project = desk::one_crate("postgres").build().unwrap();
    let add = |answers: &[&str]| {
        let add =
            ["add", "users.locale", "--type", "text", "--required", "--why", "x", "--dry-run"];
        newcol(&project, &[&add, answers].concat()).success().stderr
    };
    let told =
        "warning: the fill is the same for every row: `--default \"'en'\" --drop-default` instead";
    assert!(add(&["--fill", "'en'"]).contains(told));
    assert!(!add(&["--fill", "coalesce(settings, 'en')"]).contains("the same for every row"));
    assert!(!add(&["--default", "'en'", "--drop-default"]).contains("the same for every row"));
}
