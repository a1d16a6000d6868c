use insta::assert_snapshot;
use newcol_testkit::{ScratchDb, Want, command::diesel_cli, project::ProjectBuilder};

use super::{LONG, VOUCH, done};
use crate::desk::{self, AND_SO_ON, Tree, newcol, said};

const UNDO: &[&str] = &["undo", "users.locale", "--yes"];

/// Releases every stage and takes them back one by one: each tree is met again, byte for byte.
#[track_caller]
fn there_and_back(project: ProjectBuilder, add: &[&str]) {
    let project = project.build().unwrap();
    let mut trees = vec![Tree::of(project.root())];
    done(&project, add);
    trees.push(Tree::of(project.root()));
    while newcol(&project, VOUCH).code() == Some(0) {
        trees.push(Tree::of(project.root()));
    }
    assert_eq!(trees.last(), Some(&Tree::of(project.root())));
    trees.pop();
    while let Some(tree) = trees.pop() {
        let output = newcol(&project, UNDO).success();
        assert_eq!(tree.changes(&Tree::of(project.root())), "", "{output}");
    }
    assert_eq!(newcol(&project, UNDO).code(), Some(2));
}

#[test]
fn every_stage_comes_back_byte_for_byte() {
    let teams = "diesel::table! {\n    teams (id) {\n        id -> Integer,\n    }\n}\n\n";
    let at = desk::SCHEMA.find("diesel::table! {\n    users").unwrap();
    for engine in ["postgres", "mysql", "sqlite"] {
        there_and_back(desk::one_crate(engine), LONG);
        for parent in ["users(id)", "teams(id)", "posts(id)"] {
            let add = ["add", "users.locale", AND_SO_ON, "--references", parent, "--index"];
            let schema = [&desk::SCHEMA[..at], teams, &desk::SCHEMA[at..]].concat();
            there_and_back(desk::one_crate(engine).schema(schema), &add);
        }
    }
    let typed = [&["--type", "mysql=varchar(9)"], &LONG[..0]].concat();
    there_and_back(desk::three_engines(), &[LONG, &typed].concat());
    there_and_back(desk::schema_crate("postgres"), LONG);
}

#[test]
fn what_finish_wrote_of_it_goes_with_the_column() {
    let project = desk::one_crate("sqlite").build().unwrap();
    let before = Tree::of(project.root());
    done(&project, &["add", "users.locale", AND_SO_ON]);
    let finish = ["finish", "users.locale", "--yes"];
    done(&project, &finish);
    assert!(project.read("docs/columns.md").unwrap().contains("## `users.locale`"));
    let [done_file, file] = ["newcol/done/users.locale.toml", "newcol/users.locale.toml"]
        .map(|path| project.root().join(path));
    std::fs::rename(done_file, file).unwrap();
    done(&project, UNDO);
    let changes = before.changes(&Tree::of(project.root()));
    // Directories stay where they are.
    assert!(!changes.contains(".md") && !changes.contains(".toml"), "{changes}");
}

/// Which tables change with theirs only a database tells; the contract keeps it for later stages.
#[test]
fn partitions_go_with_their_parent() {
    let Some(db) = ScratchDb::require(Want::postgres()) else { return };
    db.run(&[
        "CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL) PARTITION BY RANGE (id)",
        "CREATE TABLE users_low PARTITION OF users FOR VALUES FROM (0) TO (10)",
    ])
    .unwrap();
    let table = |name: &str| {
        format!(
            "diesel::table! {{\n    {name} (id) {{\n        id -> Int8,\n        name -> Text,\n    }}\n}}\n\n"
        )
    };
    let schema = table("users") + &table("users_low");
    let builder = desk::one_crate("postgres").schema(schema.as_str());
    let old_rows = ["--required", "--fill", "upper(name)", "--index", "--database-url", db.url()];
    let add = [&["add", "users.locale", "--type", "text", "--why", "x"], &old_rows[..]].concat();
    let project = builder.build().unwrap();
    let count = |what: &str| project.read("src/schema.rs").unwrap().matches(what).count();
    done(&project, &add);
    assert_eq!(count("locale -> Nullable<Text>,"), 2);
    done(&project, VOUCH);
    let files = project.files().unwrap();
    let is_of_index = |name: &str| name.contains("users_locale_index") && name.ends_with("up.sql");
    let (_, index) = files.iter().find(|(name, _)| is_of_index(name.as_str())).unwrap();
    assert!(index.contains("\nCREATE INDEX \"users_locale_idx\" ON \"users\""), "{index}");
    done(&project, VOUCH);
    assert_eq!(count("locale -> Text,"), 2);
    done(&project, UNDO);
    assert_eq!(count("locale -> Nullable<Text>,"), 2);
    done(&project, UNDO);
    done(&project, UNDO);
    assert_eq!(project.read("src/schema.rs").unwrap(), schema);
}

#[test]
fn a_custom_type_goes_with_its_column() {
    let add = [
        "add",
        "users.locale",
        "--type",
        "mood",
        "--required",
        "--default",
        "'ok'",
        "--drop-default",
        "--why",
        "x",
        "--no-tests",
    ];
    there_and_back(desk::one_crate("postgres"), &add);
}

#[test]
fn a_dry_run_needs_no_yes() {
    let project = desk::one_crate("sqlite").build().unwrap();
    done(&project, &["add", "users.locale", AND_SO_ON]);
    let before = Tree::of(project.root());
    assert_snapshot!(said(&newcol(&project, &["undo", "users.locale", "--dry-run"])), @r#"
    exit code: 0
    ----- stdout -----
    --- a/migrations/[VERSION]_users_locale_expand/down.sql
    +++ /dev/null
    @@ -1,5 +0,0 @@
    --- cargo newcol: users.locale, stage expand
    -PRAGMA busy_timeout = 5000;
    -
    --- Drops the column and all its values.
    -ALTER TABLE "users" DROP COLUMN "locale";
    --- a/migrations/[VERSION]_users_locale_expand/metadata.toml
    +++ /dev/null
    @@ -1 +0,0 @@
    -run_in_transaction = true
    --- a/migrations/[VERSION]_users_locale_expand/up.sql
    +++ /dev/null
    @@ -1,6 +0,0 @@
    --- cargo newcol: users.locale, stage expand
    -PRAGMA busy_timeout = 5000;
    -
    --- Adds `users.locale`, NULL for every row there is.
    --- database write lock: other writers wait, briefly, whatever the size of the table.
    -ALTER TABLE "users" ADD COLUMN "locale" text;
    --- a/src/schema.rs
    +++ b/src/schema.rs
    @@ -13,7 +13,6 @@
             id -> Integer,
             name -> Text,
             settings -> Nullable<Text>,
    -        locale -> Nullable<Text>,
         }
     }
    --- a/newcol/users.locale.toml
    +++ /dev/null
    @@ -1,11 +0,0 @@
    -# Every decision about one new column, kept by `cargo newcol`; see `cargo newcol plan`.
    -format = 1
    -table = "users"
    -column = "locale"
    -# Why it exists: becomes the column's comment in the database.
    -why = "Because"
    -type = "text"
    -# true: NOT NULL in the end.
    -required = false
    -
    -# Who fills the column while programs that do not know it still insert: nobody, unless [old_writers] says otherwise.
    ----- stderr -----
    "#);
    assert_eq!(Tree::of(project.root()), before);
}

#[test]
fn what_is_applied_stays() {
    let project = desk::one_crate("sqlite").build().unwrap();
    done(&project, &["add", "users.locale", AND_SO_ON]);
    let run = ["migration", "run", "--database-url", "app.db"];
    drop(diesel_cli().unwrap().args(run).current_dir(project.root()).run().unwrap().success());
    let before = Tree::of(project.root());
    let undo = ["undo", "users.locale", "--database-url", "app.db"];
    assert_snapshot!(said(&newcol(&project, &undo)), @"
    exit code: 3
    ----- stdout -----
    ----- stderr -----
    error: `expand` is applied to SQLite file app.db
      --> migrations/[VERSION]_users_locale_expand
    help: take it back there first: `cargo newcol undo users.locale --live --database-url <URL>`
    ");
    assert_eq!(Tree::of(project.root()), before);
    let revert = ["migration", "revert", "--database-url", "app.db"];
    drop(diesel_cli().unwrap().args(revert).current_dir(project.root()).run().unwrap().success());
    let schema = project.read("src/schema.rs").unwrap();
    assert_eq!(schema, desk::SCHEMA, "diesel took the column out of schema.rs");
    assert_snapshot!(said(&newcol(&project, &undo)), @"
    exit code: 0
    ----- stdout -----
      removed migrations/[VERSION]_users_locale_expand/down.sql
      removed migrations/[VERSION]_users_locale_expand/metadata.toml
      removed migrations/[VERSION]_users_locale_expand/up.sql
      removed newcol/users.locale.toml
    ----- stderr -----
    ");
}
