//! Whatever is planted where the column shows is found, by its own check and with its place.

use insta::assert_snapshot;
use newcol_testkit::Want;

use super::{COALESCE, Desk, HERE, newcol};

const ENGINES: [fn() -> Want; 3] = [Want::postgres, Want::mysql, Want::sqlite];

impl Desk {
    fn file(&self, path: &str) -> camino::Utf8PathBuf {
        self.project.root().join(path)
    }

    /// Returns what the failing checks say; the exit code must agree.
    fn failures(&self) -> String {
        let here = newcol_core::db::DatabaseUrl::parse(self.db.url()).unwrap().describe();
        let said = self.run("verify", &[]);
        let mut lines = said.stdout.lines();
        let mut found = String::new();
        while let Some(line) = lines.next() {
            if line.starts_with("  FAILED") {
                found.extend([line.trim(), "\n", lines.next().unwrap().trim_end(), "\n"]);
            }
        }
        assert_eq!(said.code(), Some(if found.is_empty() { 0 } else { 100 }), "{said}");
        newcol_testkit::redact::redact(&found.replace(&here, "[HERE]"))
    }

    /// Changes a file, returns what fails then, and puts the file back.
    fn with_file(&self, path: &str, change: impl Fn(&str) -> String) -> String {
        let file = self.file(path);
        let before = std::fs::read_to_string(&file).unwrap();
        let after = change(&before);
        assert_ne!(after, before, "{path}");
        std::fs::write(&file, after).unwrap();
        let found = self.failures();
        std::fs::write(&file, before).unwrap();
        assert_eq!(self.failures(), "", "{path}");
        found
    }

    /// Runs SQL, returns what fails then, and takes it back.
    fn with_sql(&self, change: &str, back: &[&str]) -> String {
        self.sql(change);
        let found = self.failures();
        self.db.run(back).unwrap();
        assert_eq!(self.failures(), "", "{change}");
        found
    }

    /// Takes the column to its last stage.
    fn live(&self) {
        self.filled();
        loop {
            let next = self.run("next", &["--confirm-release", "all pods are new"]);
            if next.code() == Some(4) {
                return;
            }
            drop(next.success());
            drop(self.run("apply", &["--yes"]).success());
        }
    }

    fn finish(&self) {
        self.live();
        drop(self.run("finish", &["--yes"]).success());
    }
}

fn without_line(text: &str, part: &str) -> String {
    let lines = text.split_inclusive('\n').filter(|line| !line.contains(part));
    lines.collect()
}

#[test]
fn schema_rs_that_says_something_else_is_found_on_every_engine() {
    let mut first: Option<String> = None;
    for want in ENGINES {
        let Some(desk) = Desk::new(want(), &["--fill", COALESCE]) else { continue };
        desk.filled();
        assert_eq!(desk.failures(), "");
        let schema = |change: &dyn Fn(&str) -> String| desk.with_file("src/schema.rs", change);
        let line = |text: &str| {
            text.lines().find(|line| line.contains("locale ->")).unwrap().trim().to_owned()
        };
        let found = [
            schema(&|text| without_line(&without_line(text, "max_length = 16"), "locale ->")),
            schema(&|text| text.replace(&line(text), "locale -> Nullable<Integer>,")),
            schema(&|text| text.replace(&line(text), "locale -> Text,")),
        ]
        .concat();
        // Engines have names of their own for the type, and one of them has a line more for it.
        let found = found.replace("#[max_length = 16] ", "").replace("Varchar", "Text");
        let found = found.replace(":17:", ":16:");
        assert_eq!(&found, first.get_or_insert_with(|| found.clone()), "{:?}", want());
        desk.live();
        let found = schema(&|text| text.replace(&line(text), "locale -> Nullable<Text>,"));
        assert!(found.contains("`contract` asks for"), "{found}");
    }
    assert_snapshot!(first.unwrap(), @"
    FAILED   schema.rs src/schema.rs:12:5: `expand` asks for `locale -> Nullable<Text>`, found nothing
               write `locale -> Nullable<Text>` there; `diesel print-schema` does on a database that has the stage
    FAILED   schema.rs src/schema.rs:16:9: `expand` asks for `locale -> Nullable<Text>`, found `locale -> Nullable<Integer>`
               write `locale -> Nullable<Text>` there; `diesel print-schema` does on a database that has the stage
    FAILED   schema.rs src/schema.rs:16:9: `expand` asks for `locale -> Nullable<Text>`, found `locale -> Text`
               write `locale -> Nullable<Text>` there; `diesel print-schema` does on a database that has the stage
    ");
}

/// A column of which everything can be changed that an engine keeps.
const EVERYTHING: &[&str] =
    &["--fill", COALESCE, "--default", "'en'", "--index", "--check", "locale <> ''"];

impl Desk {
    /// Changes the database and back again, one after the other; returns what fails meanwhile.
    fn planted(&self, plants: &[(String, &[&str])]) -> String {
        let mut found = String::new();
        for (change, back) in plants {
            self.sql(change);
            let failures = self.failures();
            assert_ne!(failures, "", "{change}");
            found += &failures;
            self.db.run(back).unwrap();
        }
        assert_eq!(self.failures(), "");
        found
    }
}

#[test]
fn what_somebody_changed_in_postgres_is_found() {
    let Some(desk) = Desk::new(Want::postgres(), EVERYTHING) else { return };
    desk.live();
    assert_eq!(desk.failures(), "");
    let alter = |what: &str| format!("ALTER TABLE users {what}");
    let index = "(SELECT indexrelid FROM pg_index WHERE indexrelid = 'users_locale_idx'::regclass)";
    let valid =
        |is: &str| format!("UPDATE pg_index SET indisvalid = {is} WHERE indexrelid = {index}");
    let default = alter("ALTER COLUMN locale SET DEFAULT 'en'");
    let found = desk.planted(&[
        (
            alter("ALTER COLUMN locale TYPE text"),
            &["ALTER TABLE users ALTER COLUMN locale TYPE varchar(16)"],
        ),
        (
            alter("ALTER COLUMN locale DROP NOT NULL"),
            &["ALTER TABLE users ALTER COLUMN locale SET NOT NULL"],
        ),
        (alter("ALTER COLUMN locale SET DEFAULT 'de'"), &[&default]),
        (alter("ALTER COLUMN locale DROP DEFAULT"), &[&default]),
        (
            "COMMENT ON COLUMN users.locale IS NULL".into(),
            &["COMMENT ON COLUMN users.locale IS 'Because'"],
        ),
        (
            alter("DROP CONSTRAINT users_locale_check"),
            &["ALTER TABLE users ADD CONSTRAINT users_locale_check CHECK (locale <> '')"],
        ),
        (valid("false"), &[&valid("true")]),
        (
            "DROP INDEX users_locale_idx".into(),
            &["CREATE INDEX users_locale_idx ON users (locale)"],
        ),
    ]);
    assert_snapshot!(found, @"
    FAILED   database  [HERE]: the type of `users.locale`: planned character varying(16), found text
               change the type of `users.locale` to what is planned; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the check `users_locale_check`: planned CHECK (((locale)::text <> ''::text)), found CHECK ((locale <> ''::text))
               change the check `users_locale_check` to what is planned; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the NOT NULL of `users.locale`: planned NOT NULL, found NULL allowed
               change the NOT NULL of `users.locale` to what is planned; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the default of `users.locale`: planned 'en'::character varying, found 'de'::character varying
               change the default of `users.locale` to what is planned; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the default of `users.locale`: planned 'en'::character varying, found none
               make the default of `users.locale` again as `up.sql` does; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the comment on `users.locale`: planned there, found none
               make the comment on `users.locale` again as `up.sql` does; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the check `users_locale_check`: planned CHECK (((locale)::text <> ''::text)), found none
               make the check `users_locale_check` again as `up.sql` does; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the index `users_locale_idx`: planned USING btree (locale), found one that is not valid
               change the index `users_locale_idx` to what is planned; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the index `users_locale_idx`: planned USING btree (locale), found none
               make the index `users_locale_idx` again as `up.sql` does; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    ");
}

#[test]
fn what_somebody_changed_in_mariadb_is_found() {
    // A server that was not asked may be one that adds no check without a copy.
    let answers = [EVERYTHING, &["--database-url", HERE]].concat();
    let Some(desk) = Desk::new(Want::mysql(), &answers) else { return };
    desk.live();
    assert_eq!(desk.failures(), "");
    // MODIFY keeps nothing that it does not repeat.
    let to = |what: &str| format!("ALTER TABLE users MODIFY locale {what}");
    let back = to("varchar(16) NOT NULL DEFAULT 'en' COMMENT 'Because' CHECK (locale <> '')");
    let back: &[&str] = &[&back];
    let index = &["CREATE INDEX users_locale_idx ON users (locale)"];
    let narrow =
        "ALTER TABLE users DROP INDEX users_locale_idx, ADD INDEX users_locale_idx (name(5))";
    let wide = "ALTER TABLE users DROP INDEX users_locale_idx, ADD INDEX users_locale_idx (locale)";
    let found = desk.planted(&[
        (to("varchar(20) NOT NULL DEFAULT 'en' COMMENT 'Because' CHECK (locale <> '')"), back),
        (to("varchar(16) NULL DEFAULT 'en' COMMENT 'Because' CHECK (locale <> '')"), back),
        (to("varchar(16) NOT NULL DEFAULT 'de' COMMENT 'Because' CHECK (locale <> '')"), back),
        (
            to("varchar(16) NOT NULL DEFAULT lower('EN') COMMENT 'Because' CHECK (locale <> '')"),
            back,
        ),
        (to("varchar(16) NOT NULL COMMENT 'Because' CHECK (locale <> '')"), back),
        (to("varchar(16) NOT NULL DEFAULT 'en' CHECK (locale <> '')"), back),
        (to("varchar(16) NOT NULL DEFAULT 'en' COMMENT 'Because'"), back),
        (
            "ALTER TABLE users ALTER INDEX users_locale_idx IGNORED".into(),
            &["ALTER TABLE users ALTER INDEX users_locale_idx NOT IGNORED"],
        ),
        (narrow.into(), &[wide]),
        ("DROP INDEX users_locale_idx ON users".into(), index),
    ]);
    assert_snapshot!(found, @"
    FAILED   database  [HERE]: the type of `users.locale`: planned Varchar of 16, found Varchar of 20
               change the type of `users.locale` to what is planned; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the NOT NULL of `users.locale`: planned NOT NULL, found NULL allowed
               change the NOT NULL of `users.locale` to what is planned; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the default of `users.locale`: planned 'en', found 'de'
               change the default of `users.locale` to what is planned; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the default of `users.locale`: planned 'en', found lcase('EN')
               change the default of `users.locale` to what is planned; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the default of `users.locale`: planned 'en', found none
               make the default of `users.locale` again as `up.sql` does; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the comment on `users.locale`: planned there, found none
               make the comment on `users.locale` again as `up.sql` does; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the check of `users.locale`: planned there, found none
               make the check of `users.locale` again as `up.sql` does; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the index `users_locale_idx`: planned on locale, found one that queries do not use
               change the index `users_locale_idx` to what is planned; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the index `users_locale_idx`: planned on locale, found on name
               change the index `users_locale_idx` to what is planned; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the index `users_locale_idx`: planned on locale, found none
               make the index `users_locale_idx` again as `up.sql` does; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    ");
}

#[test]
fn what_somebody_changed_in_sqlite_is_found() {
    let Some(desk) = Desk::new(Want::sqlite(), EVERYTHING) else { return };
    desk.live();
    assert_eq!(desk.failures(), "");
    let edit = |from: &str, to: &str| {
        let [from, to] = [from, to].map(|text| text.replace('\'', "''"));
        format!(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '{from}', '{to}') \
             WHERE name = 'users'; PRAGMA writable_schema = RESET"
        )
    };
    let index = &["CREATE INDEX \"users_locale_idx\" ON \"users\" (\"locale\")"];
    let edits = [
        ("varchar(16)", "varchar(20)"),
        ("varchar(16) NOT NULL", "varchar(16)"),
        ("DEFAULT 'en'", "DEFAULT 'de'"),
        ("DEFAULT 'en' CHECK", "CHECK"),
        (" CHECK (locale <> '')", ""),
    ];
    let edits = edits.map(|(from, to)| {
        // So that it is found again.
        let mark = format!("{to}/* */");
        (edit(from, &mark), edit(&mark, from))
    });
    let backs: Vec<[&str; 1]> = edits.iter().map(|(_, back)| [back.as_str()]).collect();
    let mut plants: Vec<(String, &[&str])> =
        edits.iter().zip(&backs).map(|((change, _), back)| (change.clone(), &back[..])).collect();
    let other = ["DROP INDEX users_locale_idx", index[0]];
    plants.extend([
        ("DROP INDEX users_locale_idx".to_owned(), &index[..]),
        (
            "DROP INDEX users_locale_idx; CREATE INDEX users_locale_idx ON users (name)".to_owned(),
            &other,
        ),
    ]);
    let found = desk.planted(&plants);
    assert_snapshot!(found, @"
    FAILED   database  [HERE]: the type of `users.locale`: planned varchar(16), found varchar(20)
               change the type of `users.locale` to what is planned; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the NOT NULL of `users.locale`: planned NOT NULL, found NULL allowed
               change the NOT NULL of `users.locale` to what is planned; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the default of `users.locale`: planned 'en', found 'de'
               change the default of `users.locale` to what is planned; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the default of `users.locale`: planned 'en', found none
               make the default of `users.locale` again as `up.sql` does; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the check of `users.locale`: planned there, found none
               make the check of `users.locale` again as `up.sql` does; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the index `users_locale_idx`: planned as released, found none
               make the index `users_locale_idx` again as `up.sql` does; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    FAILED   database  [HERE]: the index `users_locale_idx`: planned as released, found CREATE INDEX users_locale_idx ON users (name)
               change the index `users_locale_idx` to what is planned; or take the stage back with `cargo newcol undo users.locale --live` and apply it again
    ");
}

#[test]
fn a_foreign_key_that_is_gone_or_another_is_found() {
    const ADD: &[&str] = &[
        "add",
        "posts.editor_id",
        "--type",
        "integer",
        "--optional",
        "--references",
        "users(id)",
        "--on-delete",
        "cascade",
        "--index",
        "--why",
        "Who wrote it",
        "--no-tests",
    ];
    for want in [Want::mysql(), Want::sqlite()] {
        let Some(desk) = Desk::new(want, &["--fill", COALESCE]) else { continue };
        drop(newcol(&desk.project, ADD).success());
        drop(desk.session().run_pending(&desk.file("migrations")).unwrap());
        let verify = || {
            let url = desk.db.url();
            newcol(&desk.project, &["verify", "posts.editor_id", "--database-url", url])
        };
        let said = verify();
        assert!(!said.stdout.contains("FAILED   database"), "{said}");
        for change in match want {
            want if want == Want::mysql() => {
                vec!["ALTER TABLE posts DROP FOREIGN KEY posts_editor_id_fkey"]
            }
            _ => vec![
                "PRAGMA writable_schema = ON; UPDATE sqlite_schema \
                 SET sql = replace(sql, 'ON DELETE CASCADE', 'ON DELETE SET NULL') \
                 WHERE name = 'posts'; PRAGMA writable_schema = RESET",
                "ALTER TABLE posts DROP editor_id; ALTER TABLE posts ADD editor_id integer",
            ],
        } {
            desk.sql(change);
            let said = verify();
            assert!(said.stdout.contains("FAILED   database"), "{change}: {said}");
            assert!(said.stdout.contains("the foreign key"), "{change}: {said}");
        }
    }
}

#[test]
fn rows_and_their_receipt_are_found_on_every_engine() {
    for want in ENGINES {
        let Some(desk) = Desk::new(want(), &["--fill", COALESCE]) else { continue };
        desk.filled();
        let found = desk.with_sql(
            "UPDATE users SET locale = NULL WHERE id = 4",
            &["UPDATE users SET locale = 'it' WHERE id = 4"],
        );
        let lines: Vec<&str> = found.lines().collect();
        assert_eq!(lines[0], "FAILED   values    [HERE]: 1 of 6 rows lack their value");
        assert_eq!(
            lines[2],
            "FAILED   receipt   [HERE]: no longer true: it says 6 rows, 0 of them NULL"
        );
        // The receipt is of another fill than the contract's.
        let found = desk.with_file("newcol/users.locale.toml", |text| {
            text.replace("coalesce(settings, 'en')", "coalesce(settings, 'de')")
        });
        assert!(found.contains("receipt   [HERE]: of a backfill with another"), "{found}");
    }
}

#[test]
fn stages_and_contracts_that_do_not_fit_are_found_on_every_engine() {
    for want in ENGINES {
        let Some(desk) = Desk::new(want(), &["--fill", COALESCE]) else { continue };
        desk.live();
        // A column that had been required when its stages were released.
        let found = desk.with_file("newcol/users.locale.toml", |text| {
            text.replace("required = true", "required = false")
        });
        assert!(found.starts_with("FAILED   contract  newcol/users.locale.toml: its"), "{found}");

        // Another database, which has nothing of it: nothing was looked at, and that is no success.
        let Some(other) = newcol_testkit::ScratchDb::require(want()) else { continue };
        other.run(&["CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, name TEXT)"]).unwrap();
        let said = desk.run_on(other.url(), "verify", &[]);
        assert_eq!(said.code(), Some(100), "{said}");
        assert!(said.stdout.contains("`expand` is not applied, or not all of it"), "{said}");
        assert!(said.stdout.contains("skipped  values    the column is not there"), "{said}");
    }
}

#[test]
fn what_documents_lack_is_found_on_every_engine() {
    for want in ENGINES {
        let Some(desk) = Desk::new(want(), &["--fill", COALESCE]) else { continue };
        desk.finish();
        assert_eq!(desk.failures(), "");
        let found = desk.with_file("docs/columns.md", |text| text.replace("Because", "For fun"));
        assert!(
            found.starts_with("FAILED   document  docs/columns.md:6: the entry lacks `Because`")
        );
        let found = desk.with_file("docs/columns.md", |_| "# Columns\n".to_owned());
        assert!(found.contains("docs/columns.md: no entry `## `users.locale``"), "{found}");
        let (change, back) = match want() {
            want if want == Want::postgres() => (
                "COMMENT ON COLUMN users.locale IS 'other'",
                "COMMENT ON COLUMN users.locale IS 'Because'",
            ),
            want if want == Want::mysql() => (
                "ALTER TABLE users MODIFY locale varchar(16) NOT NULL COMMENT 'other'",
                "ALTER TABLE users MODIFY locale varchar(16) NOT NULL COMMENT 'Because'",
            ),
            // SQLite has no comments.
            _ => continue,
        };
        let found = desk.with_sql(change, &[back]);
        let expected = "document  [HERE]: the comment on `users.locale` says `other`";
        assert!(found.contains(expected), "{found}");
    }
}

/// What a nightly job runs: every column, those under way and those that are finished.
#[test]
fn all_columns_are_checked_at_once() {
    let Some(desk) = Desk::new(Want::sqlite(), &["--fill", COALESCE]) else { return };
    desk.finish();
    let add =
        ["add", "users.nick", "--type", "text", "--why", "Asked for", "--no-tests", "--optional"];
    drop(newcol(&desk.project, &add).success());
    let run = |args: &[&str]| {
        newcol(&desk.project, &[&["verify", "--database-url", desk.db.url()], args].concat())
    };
    let said = run(&[]);
    assert_eq!(said.code(), Some(100), "{said}");
    drop(desk.session().run_pending(&desk.file("migrations")).unwrap());
    let said = run(&["--message-format", "json"]).success();
    let columns: Vec<serde_json::Value> =
        said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |column: &serde_json::Value| {
        let checks = column["checks"].as_array().unwrap().iter();
        let checks = checks.map(|check| format!("{} {}", check["check"], check["state"]));
        format!(
            "{} {}: {}\n",
            column["column"],
            column["failed"],
            checks.collect::<Vec<_>>().join(", ")
        )
    };
    let said: String = columns.iter().map(of).collect::<String>().replace('"', "");
    assert_snapshot!(said, @"
    users.nick 0: stages ok, contract ok, database ok, schema.rs ok, document skipped, values skipped
    users.locale 0: stages ok, contract ok, database ok, schema.rs ok, document ok, values skipped
    ");
}
