use insta::assert_snapshot;
use newcol_testkit::{Want, redact::redact};

use super::super::whole::{App, every_stage};
use crate::desk::{newcol, said};

#[test]
fn what_would_be_lost_in_words() {
    let Some(app) = App::with_rows(Want::sqlite()) else { return };
    drop(newcol(&app.project, &every_stage()).success());
    assert_snapshot!(said(&app.undo(&["--yes"])), @"
    exit code: 4
    ----- stdout -----
    ----- stderr -----
    nothing to do: no stage of users.locale is applied to SQLite file [DATABASE_URL]
    ");
    drop(app.apply(&["users.locale"]).success());
    drop(app.run(&["backfill", "users.locale", "--yes"]).success());
    app.db.run(&["UPDATE users SET locale = 'de' WHERE id = 2"]).unwrap();
    let file = "2099-01-01-000000-0000_later";
    let dir = app.project.root().join("migrations").join(file);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("up.sql"), "CREATE VIEW v AS SELECT id FROM users;\n").unwrap();
    drop(app.apply(&["--all"]).success());

    assert_snapshot!(said(&app.undo(&[])), @"
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: nobody can be asked whether to take back `expand` of users.locale in SQLite file [DATABASE_URL]
    help: say `--yes`; `--dry-run` shows what would be done
    ");
    assert_snapshot!(said(&app.undo(&["--dry-run"])), @"
    exit code: 0
    ----- stdout -----
    users.locale `expand`, in SQLite file [DATABASE_URL]
      takes back [VERSION]_users_locale_expand
      1 value would be lost, of 3 rows: others are what the fill yields again
      what programs have written since then, or still write, is not in this
    ----- stderr -----
    warning: these were applied later and may depend on it: [VERSION]_later
    warning: programs that know users.locale fail from then on: take them back first
    pass 1: looking at every row
    ");
    assert_snapshot!(said(&app.undo(&["--yes"])), @"
    exit code: 3
    ----- stdout -----
    users.locale `expand`, in SQLite file [DATABASE_URL]
      takes back [VERSION]_users_locale_expand
      1 value would be lost, of 3 rows: others are what the fill yields again
      what programs have written since then, or still write, is not in this
    ----- stderr -----
    warning: these were applied later and may depend on it: [VERSION]_later
    warning: programs that know users.locale fail from then on: take them back first
    pass 1: looking at every row
    error: 1 value of `users.locale` would be lost
    help: save them first with `--export <FILE>`, as `.csv` or `.sql`
    help: say `--accept-loss` to go on without them
    ");
    assert_snapshot!(said(&app.undo(&["--yes", "--export", "lost.sql"])), @"
    exit code: 3
    ----- stdout -----
    users.locale `expand`, in SQLite file [DATABASE_URL]
      takes back [VERSION]_users_locale_expand
      1 value would be lost, of 3 rows: others are what the fill yields again
      written to [TEMP]/lost.sql
      what programs have written since then, or still write, is not in this
    ----- stderr -----
    warning: these were applied later and may depend on it: [VERSION]_later
    warning: programs that know users.locale fail from then on: take them back first
    pass 1: looking at every row
    error: 1 value of `users.locale` would be lost
    help: they are in lost.sql
    help: say `--accept-loss` to go on without them
    ");
    assert_snapshot!(app.project.read("lost.sql").unwrap(), @r#"
    -- Puts values of users.locale back, once the column is there again.
    BEGIN;
    UPDATE "users" SET "locale" = 'de' WHERE "id" = 2;
    COMMIT;
    "#);
    assert_snapshot!(said(&app.undo(&["--yes", "--export", "lost.sql"])), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: lost.sql exists already
      --> --export
    help: give another name: that one may hold the only copy of values
    ");
    assert_snapshot!(said(&app.undo(&["--yes", "--export", "lost.txt"])), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: an export is a file `.csv` or `.sql`, and lost.txt is neither
      --> --export
    help: name it `.csv` or `.sql`
    ");
    assert_snapshot!(said(&app.run(&["undo", "users.locale"])), @"
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: `expand` is applied to SQLite file [DATABASE_URL]
      --> migrations/[VERSION]_users_locale_expand
    help: take it back there first: `cargo newcol undo users.locale --live --database-url <URL>`
    ");
    let json = app.undo(&["--yes", "--accept-loss", "--message-format", "json"]).success();
    let says = |reason: &str| {
        let found = json.stdout.lines().find(|line| line.contains(&format!("\"{reason}\"")));
        redact(found.unwrap_or_default())
    };
    assert_snapshot!(says("newcol-undo"), @r#"{"reason":"newcol-undo","version":1,"column":"users.locale","stage":"expand","database":"SQLite file [DATABASE_URL]","migrations":["[VERSION]_users_locale_expand"],"later":["[VERSION]_later"],"losses":{"rows":3,"lost":1,"counted":"differing","export":null}}"#);
    assert!(says("newcol-taken-back").contains("_users_locale_expand"), "{json}");
    let files = app.run(&["undo", "users.locale"]);
    assert_eq!(files.code(), Some(0), "{files}");
}

#[test]
fn later_stages_come_first_in_words() {
    let Some(app) = App::with_rows(Want::postgres()) else { return };
    drop(newcol(&app.project, &every_stage()).success());
    drop(app.apply(&["users.locale"]).success());
    drop(app.run(&["backfill", "users.locale", "--yes"]).success());
    for _ in 0..2 {
        drop(app.run(super::VOUCH).success());
        drop(app.apply(&["users.locale"]).success());
    }
    assert_snapshot!(said(&app.undo(&["--dry-run"])), @"
    exit code: 0
    ----- stdout -----
    users.locale `constrain`, in PostgreSQL database [DATABASE] on [SERVER]
      takes back [VERSION]_users_locale_constrain_drop_not_null_check
      takes back [VERSION]_users_locale_constrain_not_null
      takes back [VERSION]_users_locale_constrain_validate_not_null
      takes back [VERSION]_users_locale_constrain_not_null_check
      takes back [VERSION]_users_locale_constrain_leftovers
      no value of a row is lost
    ----- stderr -----
    warning: programs that rely on users.locale never being NULL may meet NULL from then on
    ");
    drop(app.undo(&["--yes"]).success());
    assert_snapshot!(said(&app.undo(&["--yes"])), @"
    exit code: 0
    ----- stdout -----
    users.locale `index`, in PostgreSQL database [DATABASE] on [SERVER]
      takes back [VERSION]_users_locale_index
      no value of a row is lost
    [VERSION]_users_locale_index taken back in [DURATION]
    ----- stderr -----
    next: go further back, to before `expand`: `cargo newcol undo users.locale --live --database-url <URL>`
    ");
    assert_snapshot!(said(&app.undo(&["--dry-run"])), @"
    exit code: 0
    ----- stdout -----
    users.locale `expand`, in PostgreSQL database [DATABASE] on [SERVER]
      takes back [VERSION]_users_locale_expand
      0 values would be lost, of 3 rows: others are what the fill yields again
      before the column goes, it is looked at once more while nobody can write
    ----- stderr -----
    warning: programs that know users.locale fail from then on: take them back first
    pass 1: looking at every row
    ");
}

/// A fill that cannot be asked any more hides no loss.
#[test]
fn a_fill_that_fails_counts_every_value() {
    let Some(app) = App::with_rows(Want::postgres()) else { return };
    let fill = ["--fill", "1 / (id - 2)", "--why", "x", "--no-tests"];
    let add = ["add", "users.locale", "--type", "integer", "--optional"];
    drop(newcol(&app.project, &[&add[..], &fill].concat()).success());
    drop(app.apply(&["users.locale"]).success());
    app.db.run(&["UPDATE users SET locale = 1 WHERE id = 2"]).unwrap();
    let output = app.undo(&["--dry-run"]).success();
    assert!(
        output.stdout.contains("1 value would be lost, of 3 rows: nothing computes"),
        "{output}"
    );
}
