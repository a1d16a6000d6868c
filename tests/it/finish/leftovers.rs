//! Each leftover shuts the door, and is named with its place and the way out.

use insta::assert_snapshot;
use newcol_testkit::{CommandOutput, ScratchDb, Want};

use super::App;
use crate::desk::{self, AND_SO_ON, LOWER_NAME, Tree, newcol, said};

/// A column whose every stage is released and applied.
fn whole() -> Option<App> {
    let app = App::new(Want::postgres())?;
    app.live(LOWER_NAME);
    Some(app)
}

fn write(app: &App, path: &str, text: &str) {
    let path = app.project.root().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Finishing is refused, and leaves the tree as it is.
fn refusal(app: &App, args: &[&str]) -> String {
    let before = Tree::of(app.project.root());
    let output = app.finish(args);
    assert_eq!(output.code(), Some(3), "{output}");
    assert_eq!(before.changes(&Tree::of(app.project.root())), "");
    let checked = app.run(&["finish", "users.locale", "--check"]);
    assert_eq!(checked.code(), Some(100), "{checked}");
    said(&output)
}

/// What was said, whatever the day.
fn undated(output: &CommandOutput) -> String {
    let said = said(output);
    let mut parts = said.split("| finished | ");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| {
        format!("{text}| finished | [DAY]{}", &part["2026-11-23".len()..])
    })
}

#[test]
fn a_stage_that_is_not_released() {
    let Some(app) = App::new(Want::postgres()) else { return };
    drop(app.run(LOWER_NAME).success());
    assert_snapshot!(refusal(&app, &[]), @"
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: `users.locale` is still under way: `constrain` is next
      --> newcol/users.locale.toml
    help: release it: `cargo newcol next users.locale`
    ");
}

#[test]
fn a_stage_that_a_database_does_not_have() {
    let Some(app) = App::new(Want::postgres()) else { return };
    drop(app.run(LOWER_NAME).success());
    for _ in 0..2 {
        let next = ["next", "users.locale", "--confirm-release", "x"];
        drop(newcol(&app.project, &next).success());
    }
    assert_snapshot!(refusal(&app, &[]), @"
    exit code: 3
    ----- stdout -----
    users.locale has 3 leftovers
      PostgreSQL database [DATABASE] on [SERVER] `expand` is not applied
        `cargo newcol apply users.locale --database-url <URL>`
      PostgreSQL database [DATABASE] on [SERVER] `constrain` is not applied
        `cargo newcol apply users.locale --database-url <URL>`
      PostgreSQL database [DATABASE] on [SERVER] `contract` is not applied
        `cargo newcol apply users.locale --database-url <URL>`
    ----- stderr -----
    error: `users.locale` is not finished: nothing was changed
      --> newcol/users.locale.toml
    ");
}

#[test]
fn a_trigger_that_is_back() {
    let Some(app) = whole() else { return };
    let up = app.project.files().unwrap();
    let (_, up) = up.iter().find(|(name, _)| name.as_str().ends_with("expand/up.sql")).unwrap();
    let trigger = up[up.find("CREATE FUNCTION").unwrap()..].to_owned();
    app.db.run(&[&trigger]).unwrap();
    assert_snapshot!(refusal(&app, &[]), @"
    exit code: 3
    ----- stdout -----
    users.locale has 1 leftover
      PostgreSQL database [DATABASE] on [SERVER] the trigger `newcol_fill_users_locale`: planned none, found as released
        take the trigger `newcol_fill_users_locale` away: no stage that is applied here leaves it there
    ----- stderr -----
    error: `users.locale` is not finished: nothing was changed
      --> newcol/users.locale.toml
    ");
}

#[test]
fn a_default_that_is_back() {
    let Some(app) = whole() else { return };
    app.db.run(&["ALTER TABLE users ALTER locale SET DEFAULT 'x'"]).unwrap();
    assert_snapshot!(refusal(&app, &[]), @"
    exit code: 3
    ----- stdout -----
    users.locale has 1 leftover
      PostgreSQL database [DATABASE] on [SERVER] the default of `users.locale`: planned none, found 'x'::character varying
        take the default of `users.locale` away: no stage that is applied here leaves it there
    ----- stderr -----
    error: `users.locale` is not finished: nothing was changed
      --> newcol/users.locale.toml
    ");
}

#[test]
fn code_that_was_to_go() {
    let Some(app) = whole() else { return };
    let code = "fn shown(l: Option<&str>) -> &str {\n    // newcol:until(users.locale, constrain): old rows\n    l.unwrap_or(\"en\")\n}\n";
    write(&app, "src/fallback.rs", code);
    assert_snapshot!(refusal(&app, &[]), @"
    exit code: 3
    ----- stdout -----
    users.locale has 1 leftover
      src/fallback.rs:2:8: code that was to go after `constrain` (old rows)
        remove that code, and the comment
    ----- stderr -----
    error: `users.locale` is not finished: nothing was changed
      --> newcol/users.locale.toml
    ");
    let status = newcol(&app.project, &["status", "users.locale"]);
    assert_snapshot!(said(&status), @"
    exit code: 0
    ----- stdout -----
    users.locale (postgres)
      expand     released
      backfill   a job, not a migration
      constrain  released
      contract   released
      every stage is released
      code that has to go
        after constrain: src/fallback.rs:2:8 (old rows)
    ----- stderr -----
    ");
    write(&app, "src/fallback.rs", "// newcol:until(users.locale)\n");
    assert_snapshot!(refusal(&app, &[]), @"
    exit code: 3
    ----- stdout -----
    users.locale has 1 leftover
      src/fallback.rs:1:4: the comment does not name a column and a stage in brackets
        write `newcol:until(users.locale, contract)`: the column, and the stage after which this goes
    ----- stderr -----
    error: `users.locale` is not finished: nothing was changed
      --> newcol/users.locale.toml
    ");
    // Another column's is none of its business.
    write(&app, "src/fallback.rs", "// newcol:until(users.age, contract)\n");
    drop(app.finish(&[]).success());
}

#[test]
fn findings_and_what_allows_them() {
    let Some(app) = whole() else { return };
    let code = |comment: &str| {
        format!(
            "fn all() {{\n    {comment}\n    diesel::sql_query(\"INSERT INTO users VALUES (1, 'x', NULL)\");\n}}\n"
        )
    };
    write(&app, "src/raw.rs", &code(""));
    assert_snapshot!(refusal(&app, &[]), @"
    exit code: 3
    ----- stdout -----
    users.locale has 1 leftover
      src/raw.rs:3:36: this row has no `locale`, which it must have from contract on [NC117]
        `cargo newcol explain NC117` says how to mend it
    ----- stderr -----
    error: `users.locale` is not finished: nothing was changed
      --> newcol/users.locale.toml
    ");
    write(&app, "src/raw.rs", &code("// newcol:allow(NC117): it is dead code"));
    assert_snapshot!(refusal(&app, &[]), @"
    exit code: 3
    ----- stdout -----
    users.locale has 1 leftover
      src/raw.rs:3:36: a comment allows NC117 (it is dead code)
        mend the place and remove the comment, or `--keep-acknowledged`
    ----- stderr -----
    error: `users.locale` is not finished: nothing was changed
      --> newcol/users.locale.toml
    ");
    drop(app.run(&["finish", "users.locale", "--check", "--keep-acknowledged"]).success());
    write(&app, "src/raw.rs", &code(""));
    // Of a statement that is made while the program runs, nothing can be told: it is no leftover.
    let made = "fn made(sql: String) {\n    diesel::sql_query(sql);\n}\n";
    write(&app, "src/made.rs", made);
    let baseline = ["audit", "users.locale", "--write-baseline"];
    drop(newcol(&app.project, &baseline));
    assert!(app.project.read("newcol/baseline.json").unwrap().contains("src/made.rs"));
    assert_snapshot!(refusal(&app, &[]), @"
    exit code: 3
    ----- stdout -----
    users.locale has 1 leftover
      src/raw.rs:3:36: this row has no `locale`, which it must have from contract on [NC117], put off in the baseline
        mend the place, or `--keep-acknowledged`
    ----- stderr -----
    error: `users.locale` is not finished: nothing was changed
      --> newcol/users.locale.toml
    ");
    drop(app.finish(&["--keep-acknowledged"]).success());
    // What the baseline knew of the column is gone with its contract.
    assert!(!app.project.root().join("newcol/baseline.json").exists());
}

#[test]
fn the_test_of_its_stages() {
    let Some(app) = whole() else { return };
    write(&app, "tests/newcol_users_locale.rs", "// reads newcol/users.locale.toml\n");
    assert_snapshot!(refusal(&app, &[]), @"
    exit code: 3
    ----- stdout -----
    users.locale has 1 leftover
      tests/newcol_users_locale.rs: the test of the column's stages, which has nothing more to test
        `--tests remove` takes it away, `--tests keep` keeps it
    ----- stderr -----
    error: `users.locale` is not finished: nothing was changed
      --> newcol/users.locale.toml
    ");
    drop(app.finish(&["--tests", "keep"]).success());
    let kept = app.project.read("tests/newcol_users_locale.rs").unwrap();
    assert_eq!(kept, "// reads newcol/done/users.locale.toml\n");
}

#[test]
fn nobody_was_asked() {
    let Some(app) = whole() else { return };
    assert_snapshot!(said(&newcol(&app.project, &["finish", "users.locale"])), @"
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: no database was asked whether every stage is applied
      --> newcol/users.locale.toml
    help: pass `--database-url` for each of them, or say `--yes`
    ");
    assert_snapshot!(said(&newcol(&app.project, &["finish"])), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: the following required arguments were not provided:
      <COLUMN>

    Usage: cargo newcol finish <COLUMN>

    For more information, try '--help'.
    ");
    // The record of the backfill is still there, and only its removal is asked about.
    assert_snapshot!(said(&app.run(&["finish", "users.locale"])), @"
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: nobody can be asked whether to remove the record of the backfill of users.locale from PostgreSQL database [DATABASE] on [SERVER]
    help: say `--yes`; `--dry-run` shows what would be done
    ");
}

#[test]
fn what_is_done_is_shown_first_and_done_once() {
    let Some(app) = whole() else { return };
    let before = Tree::of(app.project.root());
    assert_snapshot!(undated(&app.run(&["finish", "users.locale", "--dry-run", "--owner", "team mail"])), @r#"
    exit code: 0
    ----- stdout -----
    --- /dev/null
    +++ b/docs/columns.md
    @@ -0,0 +1,16 @@
    +# Columns
    +
    +What each column is for, since when, and how its old rows got their value. `cargo newcol finish`
    +writes the entries; what is written around them stays.
    +
    +## `users.locale`
    +
    +E-mails speak it
    +
    +| | |
    +|---|---|
    +| type | `varchar(40)`, required |
    +| old rows | `lower(name)` |
    +| since | `[VERSION]_users_locale_expand` |
    +| owner | team mail |
    +| finished | [DAY] |
    --- /dev/null
    +++ b/newcol/done/users.locale.toml
    @@ -0,0 +1,25 @@
    +# Every decision about one new column, kept by `cargo newcol`; see `cargo newcol plan`.
    +format = 1
    +table = "users"
    +column = "locale"
    +# Why it exists: becomes the column's comment in the database.
    +why = "E-mails speak it"
    +type = "varchar(40)"
    +# true: NOT NULL in the end.
    +required = true
    +
    +# What rows written before the column get: SQL over the row.
    +[old_rows]
    +fill = "lower(name)"
    +
    +# Who fills the column while programs that do not know it still insert: trigger, unless [old_writers] says otherwise.
    +
    +# What a server told; written by `cargo newcol`.
    +[measured]
    +server = "PostgreSQL [SERVER]"
    +default_volatility = "immutable"
    +type_rewrites = false
    +
    +[confirmed]
    +constrain = "[DATE]: all pods are new"
    +contract = "[DATE]: all pods are new"
    --- a/newcol/users.locale.toml
    +++ /dev/null
    @@ -1,25 +0,0 @@
    -# Every decision about one new column, kept by `cargo newcol`; see `cargo newcol plan`.
    -format = 1
    -table = "users"
    -column = "locale"
    -# Why it exists: becomes the column's comment in the database.
    -why = "E-mails speak it"
    -type = "varchar(40)"
    -# true: NOT NULL in the end.
    -required = true
    -
    -# What rows written before the column get: SQL over the row.
    -[old_rows]
    -fill = "lower(name)"
    -
    -# Who fills the column while programs that do not know it still insert: trigger, unless [old_writers] says otherwise.
    -
    -# What a server told; written by `cargo newcol`.
    -[measured]
    -server = "PostgreSQL [SERVER]"
    -default_volatility = "immutable"
    -type_rewrites = false
    -
    -[confirmed]
    -constrain = "[DATE]: all pods are new"
    -contract = "[DATE]: all pods are new"
    ----- stderr -----
    the record of the backfill would go from PostgreSQL database [DATABASE] on [SERVER]
    "#);
    assert_eq!(before.changes(&Tree::of(app.project.root())), "");
    assert_snapshot!(undated(&app.finish(&["--owner", "team mail", "--message-format", "json"])), @r#"
    exit code: 0
    ----- stdout -----
    {"reason":"newcol-finish","version":1,"column":"users.locale","finished":true,"overdue_days":null,"leftovers":[]}
    {"reason":"newcol-file","version":1,"path":"docs/columns.md","action":"create","written":true,"diff":"--- /dev/null\n+++ b/docs/columns.md\n@@ -0,0 +1,16 @@\n+# Columns\n+\n+What each column is for, since when, and how its old rows got their value. `cargo newcol finish`\n+writes the entries; what is written around them stays.\n+\n+## `users.locale`\n+\n+E-mails speak it\n+\n+| | |\n+|---|---|\n+| type | `varchar(40)`, required |\n+| old rows | `lower(name)` |\n+| since | `[VERSION]_users_locale_expand` |\n+| owner | team mail |\n+| finished | [DAY] |\n"}
    {"reason":"newcol-file","version":1,"path":"newcol/done/users.locale.toml","action":"create","written":true,"diff":"--- /dev/null\n+++ b/newcol/done/users.locale.toml\n@@ -0,0 +1,25 @@\n+# Every decision about one new column, kept by `cargo newcol`; see `cargo newcol plan`.\n+format = 1\n+table = \"users\"\n+column = \"locale\"\n+# Why it exists: becomes the column's comment in the database.\n+why = \"E-mails speak it\"\n+type = \"varchar(40)\"\n+# true: NOT NULL in the end.\n+required = true\n+\n+# What rows written before the column get: SQL over the row.\n+[old_rows]\n+fill = \"lower(name)\"\n+\n+# Who fills the column while programs that do not know it still insert: trigger, unless [old_writers] says otherwise.\n+\n+# What a server told; written by `cargo newcol`.\n+[measured]\n+server = \"PostgreSQL [SERVER]\"\n+default_volatility = \"immutable\"\n+type_rewrites = false\n+\n+[confirmed]\n+constrain = \"[DATE]: all pods are new\"\n+contract = \"[DATE]: all pods are new\"\n"}
    {"reason":"newcol-file","version":1,"path":"newcol/users.locale.toml","action":"remove","written":true,"diff":"--- a/newcol/users.locale.toml\n+++ /dev/null\n@@ -1,25 +0,0 @@\n-# Every decision about one new column, kept by `cargo newcol`; see `cargo newcol plan`.\n-format = 1\n-table = \"users\"\n-column = \"locale\"\n-# Why it exists: becomes the column's comment in the database.\n-why = \"E-mails speak it\"\n-type = \"varchar(40)\"\n-# true: NOT NULL in the end.\n-required = true\n-\n-# What rows written before the column get: SQL over the row.\n-[old_rows]\n-fill = \"lower(name)\"\n-\n-# Who fills the column while programs that do not know it still insert: trigger, unless [old_writers] says otherwise.\n-\n-# What a server told; written by `cargo newcol`.\n-[measured]\n-server = \"PostgreSQL [SERVER]\"\n-default_volatility = \"immutable\"\n-type_rewrites = false\n-\n-[confirmed]\n-constrain = \"[DATE]: all pods are new\"\n-contract = \"[DATE]: all pods are new\"\n"}
    ----- stderr -----
    next: commit the files
    "#);
    let tables = "SELECT count(*) FROM pg_class WHERE relname LIKE '\\_\\_newcol%'";
    assert_eq!(app.db.rows(tables).unwrap(), [[Some("0".to_owned())]]);
    assert_snapshot!(said(&app.finish(&[])), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `users.locale` is finished
      --> newcol/done/users.locale.toml
    help: to take it up again, move its contract back to newcol/users.locale.toml
    ");
}

/// The tables of the record stay while the backfill of another column is in them.
#[test]
fn the_record_of_another_column_stays() {
    let Some(app) = whole() else { return };
    let other = [
        "add",
        "users.nick",
        "--type",
        "text",
        "--optional",
        "--fill",
        "name",
        "--why",
        "x",
        "--no-tests",
    ];
    drop(app.run(&other).success());
    drop(app.run(&["apply", "users.nick", "--yes"]).success());
    drop(app.run(&["backfill", "users.nick", "--yes"]).success());
    drop(app.finish(&[]).success());
    let left = app.db.rows("SELECT column_path FROM __newcol_backfill").unwrap();
    assert_eq!(left, [[Some("users.nick".to_owned())]]);
}

#[test]
fn columns_that_are_overdue_fail_the_check() {
    let Some(app) = App::new(Want::sqlite()) else { return };
    let days = |text: String| {
        let (head, rest) = text.split_once("finished ").unwrap();
        format!("{head}finished [N]{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
    };
    drop(app.run(&[LOWER_NAME, &["--retire-by", "2020-02-29"]].concat()).success());
    let other = ["add", "users.nick", "--type", "text", "--optional", "--why", "x", "--no-tests"];
    drop(app.run(&other).success());
    assert_snapshot!(days(said(&newcol(&app.project, &["finish", "--check"]))), @"
    exit code: 100
    ----- stdout -----
    users.locale is under way: `constrain` is next
    users.nick has nothing left in the sources; no database was asked
    ----- stderr -----
    warning: `users.locale` should have been finished [N] days ago
    ");
}

/// A project of three engines lives in three databases.
#[test]
fn an_engine_whose_database_was_not_asked() {
    let Some(db) = ScratchDb::require(Want::sqlite()) else { return };
    db.run(&["SELECT 1"]).unwrap();
    let project = desk::three_engines().build().unwrap();
    let run = |args: &[&str]| newcol(&project, &[args, &["--database-url", db.url()]].concat());
    drop(run(&["apply", "--yes", "--all"]).success());
    drop(newcol(&project, &["add", "users.nick", AND_SO_ON]).success());
    drop(run(&["apply", "users.nick", "--yes"]).success());
    let output = run(&["finish", "users.nick", "--yes"]);
    assert_eq!(output.code(), Some(3), "{output}");
    for engine in ["MySQL", "PostgreSQL"] {
        let said = format!("no {engine} database was asked");
        assert!(output.stdout.contains(&said), "{output}");
    }
}
