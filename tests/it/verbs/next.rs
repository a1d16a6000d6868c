use insta::assert_snapshot;

use super::{LONG, VOUCH, done};
use crate::desk::{self, AND_SO_ON, Tree, newcol, said};
use newcol_testkit::command::diesel_cli;

#[test]
fn a_shut_gate_says_what_opens_it() {
    let project = desk::one_crate("postgres").build().unwrap();
    done(&project, LONG);
    let before = Tree::of(project.root());
    assert_snapshot!(said(&newcol(&project, &["next", "users.locale"])), @r#"
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: `index` of `users.locale` cannot be released yet
      --> newcol/users.locale.toml
      because: not shown that the backfill has left no row empty (no database was asked)
    help: pass `--database-url` of the database the stages are applied to
    help: vouch for it with `--confirm-release "reason"`
    "#);
    assert_eq!(Tree::of(project.root()), before);
}

#[test]
fn vouching_walks_through_every_stage() {
    let project = desk::one_crate("postgres").build().unwrap();
    done(&project, LONG);
    let mut all = String::new();
    for _ in 0..4 {
        all.push_str(&said(&newcol(&project, VOUCH)));
    }
    assert_snapshot!(all, @"
    exit code: 0
    ----- stdout -----
      created migrations/[VERSION]_users_locale_index/up.sql
      created migrations/[VERSION]_users_locale_index/down.sql
      created migrations/[VERSION]_users_locale_index/metadata.toml
      changed newcol/users.locale.toml
    ----- stderr -----
    next: apply the stage: `diesel migration run`, in production `cargo newcol apply users.locale --database-url <URL>`
    exit code: 0
    ----- stdout -----
      created migrations/[VERSION]_users_locale_constrain_leftovers/up.sql
      created migrations/[VERSION]_users_locale_constrain_leftovers/down.sql
      created migrations/[VERSION]_users_locale_constrain_leftovers/metadata.toml
      created migrations/[VERSION]_users_locale_constrain_not_null_check/up.sql
      created migrations/[VERSION]_users_locale_constrain_not_null_check/down.sql
      created migrations/[VERSION]_users_locale_constrain_not_null_check/metadata.toml
      created migrations/[VERSION]_users_locale_constrain_validate_not_null/up.sql
      created migrations/[VERSION]_users_locale_constrain_validate_not_null/down.sql
      created migrations/[VERSION]_users_locale_constrain_validate_not_null/metadata.toml
      created migrations/[VERSION]_users_locale_constrain_not_null/up.sql
      created migrations/[VERSION]_users_locale_constrain_not_null/down.sql
      created migrations/[VERSION]_users_locale_constrain_not_null/metadata.toml
      created migrations/[VERSION]_users_locale_constrain_drop_not_null_check/up.sql
      created migrations/[VERSION]_users_locale_constrain_drop_not_null_check/down.sql
      created migrations/[VERSION]_users_locale_constrain_drop_not_null_check/metadata.toml
      changed src/schema.rs
      changed newcol/users.locale.toml
    ----- stderr -----
    next: apply the stage: `diesel migration run`, in production `cargo newcol apply users.locale --database-url <URL>`
    exit code: 0
    ----- stdout -----
      created migrations/[VERSION]_users_locale_contract/up.sql
      created migrations/[VERSION]_users_locale_contract/down.sql
      created migrations/[VERSION]_users_locale_contract/metadata.toml
      changed newcol/users.locale.toml
    ----- stderr -----
    next: apply the stage: `diesel migration run`, in production `cargo newcol apply users.locale --database-url <URL>`
    exit code: 4
    ----- stdout -----
    ----- stderr -----
    nothing to do: every stage is released
    ");
    let before = Tree::of(project.root());
    assert_eq!(newcol(&project, VOUCH).code(), Some(4));
    assert_eq!(Tree::of(project.root()), before);
}

#[test]
fn a_dry_run_shows_a_diff_and_writes_nothing() {
    let project = desk::one_crate("sqlite").build().unwrap();
    done(&project, &["add", "users.locale", AND_SO_ON, "--index"]);
    let before = Tree::of(project.root());
    let args = [VOUCH, &["--dry-run"]].concat();
    assert_snapshot!(said(&newcol(&project, &args)), @r#"
    exit code: 0
    ----- stdout -----
    --- /dev/null
    +++ b/migrations/[VERSION]_users_locale_index/up.sql
    @@ -0,0 +1,6 @@
    +-- cargo newcol: users.locale, stage index
    +PRAGMA busy_timeout = 5000;
    +
    +-- Builds the index on `users.locale`.
    +-- database write lock: other writers wait, for as long as the table is large; the table is read once.
    +CREATE INDEX "users_locale_idx" ON "users" ("locale");
    --- /dev/null
    +++ b/migrations/[VERSION]_users_locale_index/down.sql
    @@ -0,0 +1,5 @@
    +-- cargo newcol: users.locale, stage index
    +PRAGMA busy_timeout = 5000;
    +
    +-- Drops the index.
    +DROP INDEX "users_locale_idx";
    --- /dev/null
    +++ b/migrations/[VERSION]_users_locale_index/metadata.toml
    @@ -0,0 +1 @@
    +run_in_transaction = true
    --- a/newcol/users.locale.toml
    +++ b/newcol/users.locale.toml
    @@ -12,3 +12,6 @@

     # Built after old rows are filled.
     [index]
    +
    +[confirmed]
    +index = "[DATE]: 2.14 runs everywhere"
    ----- stderr -----
    "#);
    assert_eq!(Tree::of(project.root()), before);
}

/// The database is asked: what is applied, and how many rows are empty.
#[test]
fn a_database_opens_the_gates_it_can() {
    let project = desk::one_crate("sqlite").build().unwrap();
    let diesel = |args: &[&str]| {
        let tool = diesel_cli().unwrap().args(args).args(["--database-url", "app.db"]);
        drop(tool.current_dir(project.root()).run().unwrap().success());
    };
    diesel(&["migration", "run"]);
    done(&project, LONG);
    let next = ["next", "users.locale", "--database-url", "app.db"];
    let mut all = said(&newcol(&project, &next));
    diesel(&["migration", "run"]);
    all.push_str(&said(&newcol(&project, &next)));
    diesel(&["migration", "run"]);
    all.push_str(&said(&newcol(&project, &next)));
    all.push_str(&said(&newcol(&project, &[&next[..], &["--observe", "1s"]].concat())));
    assert_snapshot!(all, @r#"
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: `index` of `users.locale` cannot be released yet
      --> newcol/users.locale.toml
      because: not shown that `expand` is applied wherever this stage will be (1 of its migrations is not applied to SQLite file app.db)
    help: apply it first: `cargo newcol apply users.locale --database-url <URL>`
    exit code: 0
    ----- stdout -----
      created migrations/[VERSION]_users_locale_index/up.sql
      created migrations/[VERSION]_users_locale_index/down.sql
      created migrations/[VERSION]_users_locale_index/metadata.toml
    ----- stderr -----
    next: apply the stage: `diesel migration run`, in production `cargo newcol apply users.locale --database-url <URL>`
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: `constrain` of `users.locale` cannot be released yet
      --> newcol/users.locale.toml
      because: not shown that no running program is older than the column (SQLite sees no other programs, so only you can know)
    help: stop or replace every older program
    help: vouch for it with `--confirm-release "reason"`
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: nobody can be observed in SQLite file app.db: SQLite sees no other programs and counts no statements
      --> --observe
    help: leave it out; once every program from before the column is stopped or replaced, say so to `next` with `--confirm-release "reason"`
    "#);
}

/// What the audit finds is shown; only what fails or loses values at run time shuts the gate.
#[test]
fn the_audit_is_asked_before_a_stage_is_released() {
    let columns: String = (2..=16).map(|at| format!("        c{at} -> Integer,\n")).collect();
    let schema = format!(
        "diesel::table! {{\n    users (id) {{\n        id -> Integer,\n{columns}    }}\n}}\n"
    );
    let project = desk::one_crate("postgres").schema(schema).build().unwrap();
    let added = newcol(&project, &["add", "users.locale", AND_SO_ON, "--index"]);
    assert_snapshot!(added.stderr, @"
    warning: `users` then has 17 columns, and diesel is built for 16: src/schema.rs does not compile (`cargo newcol doctor` names the feature)
    audit: 1 place to act on (1 compile) before `expand` is released; `cargo newcol audit users.locale --stage expand`
    next: apply the stage: `diesel migration run`, in production `cargo newcol apply users.locale --database-url <URL>`
    next: structs that load every column without `as_select` need a field for it before they compile
    next: this was expand (1 of 2); see the rest with `cargo newcol plan users.locale`
    ");
    assert_snapshot!(said(&newcol(&project, VOUCH)), @"
    exit code: 0
    ----- stdout -----
      created migrations/[VERSION]_users_locale_index/up.sql
      created migrations/[VERSION]_users_locale_index/down.sql
      created migrations/[VERSION]_users_locale_index/metadata.toml
      changed newcol/users.locale.toml
    ----- stderr -----
    warning: src/schema.rs:2:5: compile[NC014]: `users` has 17 columns with `locale`, and diesel is built for 16
    next: apply the stage: `diesel migration run`, in production `cargo newcol apply users.locale --database-url <URL>`
    ");
}
