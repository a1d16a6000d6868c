//! What somebody changed by hand keeps the next stage back, and is named.

use newcol_testkit::Want;

use super::whole::{App, every_stage};
use crate::desk::{self, newcol};

const VOUCH: &[&str] = &["next", "users.locale", "--confirm-release", "all pods are new"];

const GATE: &str = "the database has what the applied stages planned";

/// Answers that make everything that can be looked at on every engine.
const EVERYTHING: &[&str] = &[
    "add",
    "users.locale",
    "--type",
    "varchar(40)",
    "--required",
    "--fill",
    "lower(name)",
    "--default",
    "'en'",
    "--drop-default",
    "--old-writers",
    "trigger",
    "--unique",
    "--why",
    "x",
    "--no-tests",
];

impl App {
    /// Starts with a column as far as `expand`.
    fn expanded(want: Want, add: &[&str]) -> Option<Self> {
        let app = Self::new(want)?;
        drop(app.apply(&["--all"]).success());
        app.db.run(&["INSERT INTO users (id, name) VALUES (1, 'Ann'), (2, 'Bob')"]).unwrap();
        drop(newcol(&app.project, add).success());
        drop(app.apply(&["users.locale"]).success());
        Some(app)
    }

    /// Takes the next stage up, until there is none of this name.
    fn up_to(&self, stage: &str) {
        drop(self.run(&["backfill", "users.locale", "--yes"]));
        loop {
            let status = self.run(&["status", "users.locale"]).success().stdout;
            let line = status.lines().find(|line| line.trim().starts_with(stage)).unwrap();
            if line.ends_with(" applied") {
                return;
            }
            drop(self.run(VOUCH).success());
            drop(self.apply(&["users.locale", "--confirm-release", "x"]).success());
        }
    }

    /// Returns what `status` says of the gate.
    fn gate(&self) -> String {
        let status = self.run(&["status", "users.locale"]).success();
        let line = status.stdout.lines().find(|line| line.contains(GATE));
        line.unwrap_or(&status.stdout).trim().to_owned()
    }

    /// Changes something by hand, one after the other, and each back again; returns what is said.
    fn by_hand(&self, changes: &[(&str, &str)]) -> String {
        let open = format!("open: {GATE} (nothing differs)");
        assert_eq!(self.gate(), open);
        let mut said = Vec::new();
        for (change, back) in changes {
            self.db.run(&[change]).unwrap();
            said.push(format!("{change}\n  {}", self.gate()));
            if !back.is_empty() {
                self.db.run(&back.split(';').collect::<Vec<_>>()).unwrap();
                assert_eq!(self.gate(), open, "{back}");
            }
        }
        said.join("\n").replace(&format!("shut: {GATE} "), "")
    }
}

#[test]
fn what_is_changed_by_hand_is_named_on_postgres() {
    let Some(app) = App::expanded(Want::postgres(), EVERYTHING) else { return };
    let alter = |what: &str| format!("ALTER TABLE users {what}");
    let [de, en, not_null, null] = [
        "ALTER COLUMN locale SET DEFAULT 'de'",
        "ALTER COLUMN locale SET DEFAULT 'en'",
        "ALTER COLUMN locale SET NOT NULL",
        "ALTER COLUMN locale DROP NOT NULL",
    ]
    .map(alter);
    let [off, on, check, no_check] = [
        "DISABLE TRIGGER newcol_fill_users_locale",
        "ENABLE TRIGGER newcol_fill_users_locale",
        "ADD CONSTRAINT newcol_not_null_users_locale CHECK (locale IS NOT NULL) NOT VALID",
        "DROP CONSTRAINT newcol_not_null_users_locale",
    ]
    .map(alter);
    let other = "CREATE OR REPLACE FUNCTION newcol_fill_users_locale() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'";
    drop(app.run(&["backfill", "users.locale", "--yes"]).success());
    insta::assert_snapshot!(app.by_hand(&[
        (&de, &en),
        (&not_null, &null),
        ("COMMENT ON COLUMN users.locale IS NULL", "COMMENT ON COLUMN users.locale IS 'other'"),
        (&off, &on),
        (&check, &no_check),
        (other, ""),
        ("DROP TRIGGER newcol_fill_users_locale ON users", ""),
        ("ALTER TABLE users DROP COLUMN locale", ""),
    ]), @"
    ALTER TABLE users ALTER COLUMN locale SET DEFAULT 'de'
      (the default of `users.locale`: planned 'en'::character varying, found 'de'::character varying)
    ALTER TABLE users ALTER COLUMN locale SET NOT NULL
      (the NOT NULL of `users.locale`: planned NULL allowed, found NOT NULL)
    COMMENT ON COLUMN users.locale IS NULL
      (the comment on `users.locale`: planned there, found none)
    ALTER TABLE users DISABLE TRIGGER newcol_fill_users_locale
      (the trigger `newcol_fill_users_locale`: planned as released, found `newcol_fill_users_locale` switched off, or at another moment)
    ALTER TABLE users ADD CONSTRAINT newcol_not_null_users_locale CHECK (locale IS NOT NULL) NOT VALID
      (the helper check `newcol_not_null_users_locale`: planned none, found CHECK ((locale IS NOT NULL)) NOT VALID)
    CREATE OR REPLACE FUNCTION newcol_fill_users_locale() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'
      (the trigger `newcol_fill_users_locale`: planned as released, found `newcol_fill_users_locale` with another text than any migration of it)
    DROP TRIGGER newcol_fill_users_locale ON users
      (the trigger `newcol_fill_users_locale`: planned as released, found none)
    ALTER TABLE users DROP COLUMN locale
      (the column `users.locale`: planned there, found none; the trigger `newcol_fill_users_locale`: planned as released, found none)
    ");
}

#[test]
fn index_and_checks_are_named_on_postgres() {
    let add = [EVERYTHING, &["--check", "length(locale) < 30"]].concat();
    let Some(app) = App::expanded(Want::postgres(), &add) else { return };
    app.up_to("constrain");
    let make = "CREATE UNIQUE INDEX users_locale_key ON users (locale)";
    let again = format!("DROP INDEX users_locale_key;{make}");
    let invalid =
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_locale_key'::regclass";
    let valid =
        "UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'users_locale_key'::regclass";
    let check = "ALTER TABLE users DROP CONSTRAINT users_locale_check";
    let checks = "ALTER TABLE users ADD CONSTRAINT users_locale_check CHECK (length(locale) < 30)";
    insta::assert_snapshot!(app.by_hand(&[
        ("DROP INDEX users_locale_key", make),
        ("DROP INDEX users_locale_key; CREATE INDEX users_locale_key ON users (locale)", &again),
        ("DROP INDEX users_locale_key; CREATE UNIQUE INDEX users_locale_key ON users (locale) WHERE id > 7", &again),
        (invalid, valid),
        ("ALTER TABLE users ALTER COLUMN locale DROP NOT NULL", "ALTER TABLE users ALTER COLUMN locale SET NOT NULL"),
        (check, checks),
        (&format!("{check}; {checks} NOT VALID"), "ALTER TABLE users VALIDATE CONSTRAINT users_locale_check"),
        (&format!("{check}; ALTER TABLE users ADD CONSTRAINT users_locale_check CHECK (length(locale) < 31)"), &format!("{check};{checks}")),
    ]), @"
    DROP INDEX users_locale_key
      (the index `users_locale_key`: planned UNIQUE USING btree (locale), found none)
    DROP INDEX users_locale_key; CREATE INDEX users_locale_key ON users (locale)
      (the index `users_locale_key`: planned UNIQUE USING btree (locale), found USING btree (locale))
    DROP INDEX users_locale_key; CREATE UNIQUE INDEX users_locale_key ON users (locale) WHERE id > 7
      (the index `users_locale_key`: planned UNIQUE USING btree (locale), found UNIQUE USING btree (locale) WHERE (id > 7))
    UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_locale_key'::regclass
      (the index `users_locale_key`: planned UNIQUE USING btree (locale), found one that is not valid)
    ALTER TABLE users ALTER COLUMN locale DROP NOT NULL
      (the NOT NULL of `users.locale`: planned NOT NULL, found NULL allowed)
    ALTER TABLE users DROP CONSTRAINT users_locale_check
      (the check `users_locale_check`: planned CHECK ((length((locale)::text) < 30)), found none)
    ALTER TABLE users DROP CONSTRAINT users_locale_check; ALTER TABLE users ADD CONSTRAINT users_locale_check CHECK (length(locale) < 30) NOT VALID
      (the check `users_locale_check`: planned CHECK ((length((locale)::text) < 30)), found CHECK ((length((locale)::text) < 30)) NOT VALID)
    ALTER TABLE users DROP CONSTRAINT users_locale_check; ALTER TABLE users ADD CONSTRAINT users_locale_check CHECK (length(locale) < 31)
      (the check `users_locale_check`: planned CHECK ((length((locale)::text) < 30)), found CHECK ((length((locale)::text) < 31)))
    ");
    // The same index under another name is as good.
    app.db.run(&["ALTER INDEX users_locale_key RENAME TO other"]).unwrap();
    assert_eq!(app.gate(), format!("open: {GATE} (nothing differs)"));
}

#[test]
fn what_is_changed_by_hand_is_named_on_mysql() {
    let Some(app) = App::expanded(Want::mysql(), EVERYTHING) else { return };
    app.up_to("index");
    let modify = |to: &str| format!("ALTER TABLE users MODIFY COLUMN locale {to} COMMENT 'x'");
    let back = modify("varchar(40) NULL DEFAULT 'en'");
    insta::assert_snapshot!(app.by_hand(&[
        (&modify("varchar(20) NULL DEFAULT 'en'"), &back),
        (&modify("varchar(40) NULL"), &back),
        (&modify("varchar(40) NOT NULL DEFAULT 'en'"), &back),
        ("DROP INDEX users_locale_key ON users", "CREATE UNIQUE INDEX users_locale_key ON users (locale)"),
        ("DROP TRIGGER newcol_fill_users_locale", ""),
        ("CREATE TRIGGER newcol_fill_users_locale BEFORE INSERT ON users FOR EACH ROW SET NEW.locale = 'x'", ""),
        ("ALTER TABLE users DROP COLUMN locale", ""),
    ]), @"
    ALTER TABLE users MODIFY COLUMN locale varchar(20) NULL DEFAULT 'en' COMMENT 'x'
      (the type of `users.locale`: planned Varchar of 40, found Varchar of 20)
    ALTER TABLE users MODIFY COLUMN locale varchar(40) NULL COMMENT 'x'
      (the default of `users.locale`: planned 'en', found none)
    ALTER TABLE users MODIFY COLUMN locale varchar(40) NOT NULL DEFAULT 'en' COMMENT 'x'
      (the NOT NULL of `users.locale`: planned NULL allowed, found NOT NULL)
    DROP INDEX users_locale_key ON users
      (the index `users_locale_key`: planned UNIQUE on locale, found none)
    DROP TRIGGER newcol_fill_users_locale
      (the trigger `newcol_fill_users_locale`: planned as released, found none)
    CREATE TRIGGER newcol_fill_users_locale BEFORE INSERT ON users FOR EACH ROW SET NEW.locale = 'x'
      (the trigger `newcol_fill_users_locale`: planned as released, found `newcol_fill_users_locale` with another text than any migration of it)
    ALTER TABLE users DROP COLUMN locale
      (the column `users.locale`: planned there, found none; the trigger `newcol_fill_users_locale`: planned as released, found `newcol_fill_users_locale` with another text than any migration of it; the index `users_locale_key`: planned UNIQUE on locale, found none)
    ");
}

#[test]
fn what_is_changed_by_hand_is_named_on_sqlite() {
    let Some(app) = App::expanded(Want::sqlite(), EVERYTHING) else { return };
    app.up_to("index");
    insta::assert_snapshot!(app.by_hand(&[
        ("DROP INDEX users_locale_key", "CREATE UNIQUE INDEX \"users_locale_key\" ON \"users\" (\"locale\")"),
        ("DROP TRIGGER newcol_fill_users_locale", ""),
        ("CREATE TRIGGER newcol_fill_users_locale AFTER INSERT ON users BEGIN SELECT 1; END", ""),
        ("DROP INDEX users_locale_key; CREATE INDEX users_locale_key ON users (locale)", ""),
        ("DROP TRIGGER newcol_fill_users_locale; DROP INDEX users_locale_key; ALTER TABLE users DROP COLUMN locale; ALTER TABLE users ADD COLUMN locale text DEFAULT 'de'", ""),
    ]), @"
    DROP INDEX users_locale_key
      (the index `users_locale_key`: planned UNIQUE, as released, found none)
    DROP TRIGGER newcol_fill_users_locale
      (the trigger `newcol_fill_users_locale`: planned as released, found none)
    CREATE TRIGGER newcol_fill_users_locale AFTER INSERT ON users BEGIN SELECT 1; END
      (the trigger `newcol_fill_users_locale`: planned as released, found `newcol_fill_users_locale` with another text than any migration of it)
    DROP INDEX users_locale_key; CREATE INDEX users_locale_key ON users (locale)
      (the trigger `newcol_fill_users_locale`: planned as released, found `newcol_fill_users_locale` with another text than any migration of it; the index `users_locale_key`: planned UNIQUE, as released, found CREATE INDEX users_locale_key ON users (locale))
    DROP TRIGGER newcol_fill_users_locale; DROP INDEX users_locale_key; ALTER TABLE users DROP COLUMN locale; ALTER TABLE users ADD COLUMN locale text DEFAULT 'de'
      (the type of `users.locale`: planned varchar(40), found text; the default of `users.locale`: planned none, found 'de'; the trigger `newcol_fill_users_locale`: planned as released, found none; the index `users_locale_key`: planned UNIQUE, as released, found none)
    ");
}

#[test]
fn type_and_foreign_key_are_named_on_postgres() {
    let add = ["add", "users.locale", "--type", "varchar(9)", "--references", "posts(title)"];
    let more = ["--optional", "--on-delete", "cascade", "--index", "--why", "x", "--no-tests"];
    let Some(app) = App::new(Want::postgres()) else { return };
    drop(app.apply(&["--all"]).success());
    app.db.run(&["ALTER TABLE posts ADD UNIQUE (title)"]).unwrap();
    drop(newcol(&app.project, &[&add[..], &more].concat()).success());
    drop(app.apply(&["users.locale"]).success());
    let key = |more: &str| {
        format!(
            "ALTER TABLE users ADD CONSTRAINT users_locale_fkey FOREIGN KEY (locale) REFERENCES posts (title) {more}"
        )
    };
    let [key, not_valid, restrict] =
        ["ON DELETE CASCADE", "ON DELETE CASCADE NOT VALID", "ON DELETE RESTRICT"].map(key);
    let drop = "ALTER TABLE users DROP CONSTRAINT users_locale_fkey";
    let back = "ALTER TABLE users ALTER COLUMN locale TYPE varchar(9)";
    insta::assert_snapshot!(app.by_hand(&[
        ("ALTER TABLE users ALTER COLUMN locale TYPE varchar(10)", back),
        ("ALTER TABLE users ALTER COLUMN locale TYPE varchar(9) COLLATE \"C\"", back),
        (drop, &key),
        (&format!("{drop}; {not_valid}"), "ALTER TABLE users VALIDATE CONSTRAINT users_locale_fkey"),
        (&format!("{drop}; {restrict}"), ""),
    ]), @r#"
    ALTER TABLE users ALTER COLUMN locale TYPE varchar(10)
      (the type of `users.locale`: planned character varying(9), found character varying(10))
    ALTER TABLE users ALTER COLUMN locale TYPE varchar(9) COLLATE "C"
      (the type of `users.locale`: planned character varying(9), found character varying(9) COLLATE "C")
    ALTER TABLE users DROP CONSTRAINT users_locale_fkey
      (the foreign key `users_locale_fkey`: planned proven, found none)
    ALTER TABLE users DROP CONSTRAINT users_locale_fkey; ALTER TABLE users ADD CONSTRAINT users_locale_fkey FOREIGN KEY (locale) REFERENCES posts (title) ON DELETE CASCADE NOT VALID
      (the foreign key `users_locale_fkey`: planned proven, found for new rows only)
    ALTER TABLE users DROP CONSTRAINT users_locale_fkey; ALTER TABLE users ADD CONSTRAINT users_locale_fkey FOREIGN KEY (locale) REFERENCES posts (title) ON DELETE RESTRICT
      (the foreign key `users_locale_fkey`: planned proven, found FOREIGN KEY (locale) REFERENCES posts(title) ON DELETE RESTRICT)
    "#);
}

/// Neither a new stage is released nor a released one applied, whatever the user vouches for.
#[test]
fn nobody_can_vouch_for_what_differs() {
    let Some(app) = App::expanded(Want::postgres(), &every_stage()) else { return };
    drop(app.run(&["backfill", "users.locale", "--yes"]).success());
    app.db.run(&["DROP TRIGGER newcol_fill_users_locale ON users"]).unwrap();
    insta::assert_snapshot!(desk::said(&app.run(VOUCH)), @"
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: `index` of `users.locale` cannot be released yet
      --> newcol/users.locale.toml
      because: not shown that the database has what the applied stages planned (the trigger `newcol_fill_users_locale`: planned as released, found none)
    help: make the trigger `newcol_fill_users_locale` again as `up.sql` does; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    ");
    drop(newcol(&app.project, VOUCH).success());
    let refused = app.apply(&["users.locale", "--confirm-release", "all pods are new"]);
    assert_eq!(refused.code(), Some(3), "{refused}");
    assert!(
        refused
            .stderr
            .contains("the trigger `newcol_fill_users_locale`: planned as released, found none"),
        "{refused}"
    );
    insta::assert_snapshot!(desk::said(&app.run(&["status", "users.locale"])), @"
    exit code: 0
    ----- stdout -----
    users.locale (postgres)
      expand     applied
      backfill   a job, not a migration
      index      released, not applied
      constrain  in the plan
      contract   in the plan
      in PostgreSQL database [DATABASE] on [SERVER]
        shut: the database has what the applied stages planned (the trigger `newcol_fill_users_locale`: planned as released, found none)
        open: the backfill has left no row empty (no row is empty)
        next: make the trigger `newcol_fill_users_locale` again as `up.sql` does; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    ----- stderr -----
    ");
}

/// `constrain` was taken back half: the helper check is there again, and nothing proves it.
#[test]
fn nobody_goes_up_from_the_middle_of_a_stage() {
    let Some(app) = App::expanded(Want::postgres(), &every_stage()) else { return };
    app.up_to("constrain");
    app.db
        .run(&[
            "ALTER TABLE users ADD CONSTRAINT newcol_not_null_users_locale CHECK (locale IS NOT NULL) NOT VALID",
            "ALTER TABLE users ALTER COLUMN locale DROP NOT NULL",
            "DELETE FROM __diesel_schema_migrations WHERE version IN \
             (SELECT version FROM __diesel_schema_migrations ORDER BY version DESC LIMIT 2)",
        ])
        .unwrap();
    let refused = app.apply(&["users.locale"]);
    assert_eq!(refused.code(), Some(3), "{refused}");
    assert!(refused.stderr.contains("the helper check"), "{refused}");
    app.db.run(&["ALTER TABLE users VALIDATE CONSTRAINT newcol_not_null_users_locale"]).unwrap();
    drop(app.apply(&["users.locale"]).success());
}

/// A role that may make no temporary table compares what needs none.
#[test]
fn what_cannot_be_looked_at_is_said() {
    let Some(app) = App::expanded(Want::postgres(), &every_stage()) else { return };
    // Roles are the server's, which other tests share.
    let database = super::value(&app.db, "SELECT current_database()");
    let role = format!("looks_{database}");
    app.db
        .run(&[
            &format!("REVOKE TEMPORARY ON DATABASE {database} FROM public"),
            &format!("CREATE ROLE {role} LOGIN"),
            &format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"),
        ])
        .unwrap();
    let url = app.db.url().replacen("newcol@", &format!("{role}@"), 1);
    let seen = || newcol(&app.project, &["status", "users.locale", "--database-url", &url]);
    let unseen = "nothing differs; not looked at: type, default, checks and index";
    let open = seen();
    assert!(open.stdout.contains(unseen), "{open}");
    app.db.run(&["DROP TRIGGER newcol_fill_users_locale ON users"]).unwrap();
    let shut = seen();
    assert!(shut.stdout.contains("planned as released, found none"), "{shut}");
    app.db.run(&[&format!("DROP OWNED BY {role}"), &format!("DROP ROLE {role}")]).unwrap();
}
