use insta::assert_snapshot;
use newcol_testkit::{command::diesel_cli, project::Project};

use super::{LONG, done};
use crate::desk::{self, AND_SO_ON, Tree, newcol, said, tool};

#[test]
fn the_first_stage_is_written() {
    let project = desk::one_crate("postgres").build().unwrap();
    let before = Tree::of(project.root());
    let output = newcol(&project, LONG);
    assert_snapshot!(said(&output), @"
    exit code: 0
    ----- stdout -----
      created migrations/[VERSION]_users_locale_expand/up.sql
      created migrations/[VERSION]_users_locale_expand/down.sql
      created migrations/[VERSION]_users_locale_expand/metadata.toml
      changed src/schema.rs
      created newcol/users.locale.toml
    ----- stderr -----
    next: apply the stage: `diesel migration run`, in production `cargo newcol apply users.locale --database-url <URL>`
    next: structs that load every column without `as_select` need a field for it before they compile
    next: this was expand (1 of 5); see the rest with `cargo newcol plan users.locale`
    ");
    assert_snapshot!(before.changes(&Tree::of(project.root())), @"
        new migrations/[VERSION]_users_locale_expand
        new migrations/[VERSION]_users_locale_expand/down.sql
        new migrations/[VERSION]_users_locale_expand/metadata.toml
        new migrations/[VERSION]_users_locale_expand/up.sql
        new newcol
        new newcol/users.locale.toml
    changed src/schema.rs
    ");
    assert_snapshot!(project.read("newcol/users.locale.toml").unwrap(), @r#"
    # Every decision about one new column, kept by `cargo newcol`; see `cargo newcol plan`.
    format = 1
    table = "users"
    column = "locale"
    # Why it exists: becomes the column's comment in the database.
    why = "E-mails go out in the reader's language"
    type = "text"
    # true: NOT NULL in the end.
    required = true

    # What rows written before the column get: SQL over the row.
    [old_rows]
    fill = "coalesce(settings, 'en')"

    # Who fills the column while programs that do not know it still insert: trigger, unless [old_writers] says otherwise.

    # Built after old rows are filled.
    [index]
    "#);
}

#[test]
fn a_dry_run_shows_a_diff_and_writes_nothing() {
    let project = desk::one_crate("sqlite").build().unwrap();
    let before = Tree::of(project.root());
    let args = [
        "add",
        "users.locale",
        "--type",
        "text",
        "--required",
        "--default",
        "'en'",
        "--why",
        "E-mails go out in the reader's language",
        "--no-tests",
        "--dry-run",
    ];
    assert_snapshot!(said(&newcol(&project, &args)), @r#"
    exit code: 0
    ----- stdout -----
    --- /dev/null
    +++ b/migrations/[VERSION]_users_locale_expand/up.sql
    @@ -0,0 +1,6 @@
    +-- cargo newcol: users.locale, stage expand
    +PRAGMA busy_timeout = 5000;
    +
    +-- Adds `users.locale`, NOT NULL, with 'en' for every row there is.
    +-- database write lock: other writers wait, briefly, whatever the size of the table.
    +ALTER TABLE "users" ADD COLUMN "locale" text NOT NULL DEFAULT 'en';
    --- /dev/null
    +++ b/migrations/[VERSION]_users_locale_expand/down.sql
    @@ -0,0 +1,5 @@
    +-- cargo newcol: users.locale, stage expand
    +PRAGMA busy_timeout = 5000;
    +
    +-- Drops the column and all its values.
    +ALTER TABLE "users" DROP COLUMN "locale";
    --- /dev/null
    +++ b/migrations/[VERSION]_users_locale_expand/metadata.toml
    @@ -0,0 +1 @@
    +run_in_transaction = true
    --- a/src/schema.rs
    +++ b/src/schema.rs
    @@ -13,6 +13,7 @@
             id -> Integer,
             name -> Text,
             settings -> Nullable<Text>,
    +        locale -> Text,
         }
     }
    --- /dev/null
    +++ b/newcol/users.locale.toml
    @@ -0,0 +1,15 @@
    +# Every decision about one new column, kept by `cargo newcol`; see `cargo newcol plan`.
    +format = 1
    +table = "users"
    +column = "locale"
    +# Why it exists: becomes the column's comment in the database.
    +why = "E-mails go out in the reader's language"
    +type = "text"
    +# true: NOT NULL in the end.
    +required = true
    +
    +# Who fills the column while programs that do not know it still insert: default, unless [old_writers] says otherwise.
    +
    +# The column's default, in SQL: text has its own quotes.
    +[default]
    +value = "'en'"
    ----- stderr -----
    "#);
    assert_eq!(Tree::of(project.root()), before);
}

#[test]
fn json_has_one_object_a_line() {
    let project = desk::one_crate("sqlite").build().unwrap();
    let args = ["add", "users.locale", AND_SO_ON, "--dry-run", "--message-format", "json"];
    let output = newcol(&project, &args).success();
    let lines: Vec<serde_json::Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let short: Vec<String> = lines
        .iter()
        .map(|l| format!("{} {} {} {}", l["reason"], l["version"], l["action"], l["path"]))
        .collect();
    assert_snapshot!(newcol_testkit::redact::redact(&short.join("\n")), @r#"
    "newcol-file" 1 "create" "migrations/[VERSION]_users_locale_expand/up.sql"
    "newcol-file" 1 "create" "migrations/[VERSION]_users_locale_expand/down.sql"
    "newcol-file" 1 "create" "migrations/[VERSION]_users_locale_expand/metadata.toml"
    "newcol-file" 1 "change" "src/schema.rs"
    "newcol-file" 1 "create" "newcol/users.locale.toml"
    "#);
}

#[test]
fn an_error_is_json_too() {
    let project = desk::one_crate("sqlite").build().unwrap();
    let args = ["add", "user.locale", AND_SO_ON, "--message-format", "json"];
    assert_snapshot!(said(&newcol(&project, &args)), @r#"
    exit code: 2
    ----- stdout -----
    {"reason":"newcol-error","version":1,"exit_code":2,"message":"no `table!` declares `user`","place":"src/schema.rs","causes":[],"also":[],"help":["did you mean `users`?"]}
    ----- stderr -----
    error: no `table!` declares `user`
      --> src/schema.rs
    help: did you mean `users`?
    "#);
}

#[test]
fn twice_changes_nothing() {
    let project = desk::one_crate("postgres").build().unwrap();
    done(&project, LONG);
    let before = Tree::of(project.root());
    assert_snapshot!(said(&newcol(&project, LONG)), @"
    exit code: 4
    ----- stdout -----
    ----- stderr -----
    nothing to do: the column has this very contract
    ");
    assert_eq!(Tree::of(project.root()), before);
}

#[test]
fn several_engines_share_a_schema() {
    let project = desk::three_engines().build().unwrap();
    let before = Tree::of(project.root());
    let args = [
        "add",
        "users.locale",
        "--type",
        "text",
        "--type",
        "mysql=varchar(255)",
        "--required",
        "--default",
        "'en'",
        "--why",
        "Language",
        "--no-tests",
    ];
    assert_snapshot!(said(&newcol(&project, &args)), @"
    exit code: 0
    ----- stdout -----
      created migrations/postgresql/[VERSION]_users_locale_expand/up.sql
      created migrations/postgresql/[VERSION]_users_locale_expand/down.sql
      created migrations/postgresql/[VERSION]_users_locale_expand/metadata.toml
      created migrations/mysql/[VERSION]_users_locale_expand/up.sql
      created migrations/mysql/[VERSION]_users_locale_expand/down.sql
      created migrations/mysql/[VERSION]_users_locale_expand/metadata.toml
      created migrations/sqlite/[VERSION]_users_locale_expand/up.sql
      created migrations/sqlite/[VERSION]_users_locale_expand/down.sql
      created migrations/sqlite/[VERSION]_users_locale_expand/metadata.toml
      changed src/schema.rs
      created newcol/users.locale.toml
    ----- stderr -----
    next: apply the stage to each engine: `diesel migration run --migration-dir ...`, in production `cargo newcol apply users.locale --database-url <URL>`
    next: structs that load every column without `as_select` need a field for it before they compile
    ");
    assert_snapshot!(before.changes(&Tree::of(project.root())), @"
        new migrations/mysql/[VERSION]_users_locale_expand
        new migrations/mysql/[VERSION]_users_locale_expand/down.sql
        new migrations/mysql/[VERSION]_users_locale_expand/metadata.toml
        new migrations/mysql/[VERSION]_users_locale_expand/up.sql
        new migrations/postgresql/[VERSION]_users_locale_expand
        new migrations/postgresql/[VERSION]_users_locale_expand/down.sql
        new migrations/postgresql/[VERSION]_users_locale_expand/metadata.toml
        new migrations/postgresql/[VERSION]_users_locale_expand/up.sql
        new migrations/sqlite/[VERSION]_users_locale_expand
        new migrations/sqlite/[VERSION]_users_locale_expand/down.sql
        new migrations/sqlite/[VERSION]_users_locale_expand/metadata.toml
        new migrations/sqlite/[VERSION]_users_locale_expand/up.sql
        new newcol
        new newcol/users.locale.toml
    changed src/schema.rs
    ");
}

#[test]
fn one_engine_of_several_can_be_meant() {
    let project = desk::three_engines().build().unwrap();
    let args = ["add", "users.locale", AND_SO_ON, "--engine", "mysql"];
    assert_snapshot!(said(&newcol(&project, &args)), @"
    exit code: 0
    ----- stdout -----
      created migrations/mysql/[VERSION]_users_locale_expand/up.sql
      created migrations/mysql/[VERSION]_users_locale_expand/down.sql
      created migrations/mysql/[VERSION]_users_locale_expand/metadata.toml
      changed src/schema.rs
      created newcol/users.locale.toml
    ----- stderr -----
    next: apply the stage: `diesel migration run`, in production `cargo newcol apply users.locale --database-url <URL>`
    next: structs that load every column without `as_select` need a field for it before they compile
    ");
}

#[test]
fn a_schema_crate_is_found_from_everywhere() {
    for (dir, more) in [("", &["-p", "schema"][..]), ("app", &[]), ("schema/src", &[])] {
        let project = desk::schema_crate("postgres").build().unwrap();
        let args: Vec<&str> =
            ["add", "users.locale", AND_SO_ON].iter().chain(more).copied().collect();
        let output = tool(&project.root().join(dir), &args).run().unwrap();
        insta::allow_duplicates! {
            assert_snapshot!(said(&output), @"
            exit code: 0
            ----- stdout -----
              created schema/migrations/[VERSION]_users_locale_expand/up.sql
              created schema/migrations/[VERSION]_users_locale_expand/down.sql
              created schema/migrations/[VERSION]_users_locale_expand/metadata.toml
              changed schema/src/schema.rs
              created schema/newcol/users.locale.toml
            ----- stderr -----
            next: apply the stage: `diesel migration run`, in production `cargo newcol apply users.locale --database-url <URL>`
            next: structs that load every column without `as_select` need a field for it before they compile
            ");
        }
    }
}

#[test]
fn a_manifest_path_moves_the_start() {
    let project = desk::schema_crate("postgres").build().unwrap();
    let manifest = project.root().join("schema/Cargo.toml");
    let args = ["add", "users.locale", AND_SO_ON, "--manifest-path", manifest.as_str()];
    let elsewhere = tempfile::tempdir().unwrap();
    let elsewhere = camino::Utf8Path::from_path(elsewhere.path()).unwrap();
    drop(tool(elsewhere, &args).run().unwrap().success());
    assert!(project.root().join("schema/newcol/users.locale.toml").is_file());
}

#[test]
fn a_hand_written_schema_needs_no_diesel_toml() {
    let schema = "\
use diesel::table;

// The accounts, as the billing system numbers them.
table! {
    users (id) {
        id -> Integer, // never reused
        name -> Text,
    }
}
";
    let project = Project::builder()
        .file("Cargo.toml", desk::manifest("app", &["sqlite"]))
        .file("src/db/schema.rs", schema)
        .file("src/schema.rs", "// moved to db\n")
        .build()
        .unwrap();
    std::fs::remove_file(project.root().join("diesel.toml")).unwrap();
    let args = ["add", "users.locale", AND_SO_ON];
    assert_snapshot!(said(&newcol(&project, &args)), @"
    exit code: 0
    ----- stdout -----
      created migrations/[VERSION]_users_locale_expand/up.sql
      created migrations/[VERSION]_users_locale_expand/down.sql
      created migrations/[VERSION]_users_locale_expand/metadata.toml
      changed src/db/schema.rs
      created newcol/users.locale.toml
    ----- stderr -----
    next: apply the stage: `diesel migration run`, in production `cargo newcol apply users.locale --database-url <URL>`
    next: structs that load every column without `as_select` need a field for it before they compile
    ");
    assert_snapshot!(project.read("src/db/schema.rs").unwrap(), @"
    use diesel::table;

    // The accounts, as the billing system numbers them.
    table! {
        users (id) {
            id -> Integer, // never reused
            name -> Text,
            locale -> Nullable<Text>,
        }
    }
    ");
}

#[test]
fn a_patch_file_stays_applicable() {
    let patched = desk::SCHEMA.replace("settings -> Nullable<Text>", "settings -> Nullable<Json>");
    let patch = "\
--- a/src/schema.rs
+++ b/src/schema.rs
@@ -11,10 +11,10 @@
 diesel::table! {
     users (id) {
         id -> Integer,
         name -> Text,
-        settings -> Nullable<Text>,
+        settings -> Nullable<Json>,
     }
 }
 
 diesel::joinable!(posts -> users (user_id));
 
";
    let config = "[print_schema]\nfile = \"src/schema.rs\"\npatch_file = \"src/schema.patch\"\n";
    let project = desk::one_crate("sqlite")
        .schema(patched)
        .file("src/schema.patch", patch)
        .file("diesel.toml", config)
        .build()
        .unwrap();
    assert_snapshot!(said(&newcol(&project, &["add", "users.locale", AND_SO_ON])), @"
    exit code: 0
    ----- stdout -----
      created migrations/[VERSION]_users_locale_expand/up.sql
      created migrations/[VERSION]_users_locale_expand/down.sql
      created migrations/[VERSION]_users_locale_expand/metadata.toml
      changed src/schema.rs
      changed src/schema.patch
      created newcol/users.locale.toml
    ----- stderr -----
    next: apply the stage: `diesel migration run`, in production `cargo newcol apply users.locale --database-url <URL>`
    next: structs that load every column without `as_select` need a field for it before they compile
    ");
    assert_snapshot!(project.read("src/schema.patch").unwrap(), @"
    --- a/src/schema.rs
    +++ b/src/schema.rs
    @@ -12,7 +12,7 @@
         users (id) {
             id -> Integer,
             name -> Text,
    -        settings -> Nullable<Text>,
    +        settings -> Nullable<Json>,
             locale -> Nullable<Text>,
         }
     }
    ");
    // What the diesel CLI prints after the migration, through its own patch, is our schema.rs.
    let ours = project.read("src/schema.rs").unwrap();
    let run = ["migration", "run", "--database-url", "app.db"];
    drop(diesel_cli().unwrap().args(run).current_dir(project.root()).run().unwrap().success());
    assert_eq!(project.read("src/schema.rs").unwrap(), ours);
}

#[test]
fn a_schema_that_had_drifted_before_is_warned_of() {
    let project = desk::one_crate("sqlite").build().unwrap();
    let diesel = diesel_cli().unwrap().current_dir(project.root());
    let program = diesel.command().get_program().to_owned();
    drop(diesel.args(["migration", "run", "--database-url", "app.db"]).run().unwrap().success());
    let drifted = desk::SCHEMA.replace("title -> Text", "title -> Nullable<Text>");
    project.write("src/schema.rs", &drifted).unwrap();
    let args = ["add", "users.locale", AND_SO_ON, "--database-url", "app.db", "--dry-run", "-q"];
    let add = desk::tool(project.root(), &args).env("NEWCOL_DIESEL_BIN", program);
    assert_snapshot!(said(&add.run().unwrap()).split_once("stderr").unwrap().1, @"
     -----
    warning: src/schema.rs:7:1 differs from what `diesel print-schema` prints: line 7 is `title -> Nullable<Text>,`, it prints `title -> Text,`; run `diesel print-schema` and commit what changes, or keep it with `patch_file`
    ");
}

#[test]
fn versions_come_after_those_that_are_there() {
    let project = desk::one_crate("sqlite")
        .file("migrations/2099-12-31-235959-0000_late/up.sql", "SELECT 1;")
        .build()
        .unwrap();
    let output = newcol(&project, &["add", "users.locale", AND_SO_ON]).success();
    assert!(output.stdout.contains("migrations/2100-01-01-000000-0000_users_locale"), "{output}");
}

#[test]
fn a_foreign_key_off_the_primary_key_is_warned_of() {
    let project = desk::one_crate("postgres").build().unwrap();
    let args = ["add", "users.team", AND_SO_ON, "--references", "posts(title)", "--dry-run", "-q"];
    assert_snapshot!(said(&newcol(&project, &args)).split_once("stderr").unwrap().1, @"
     -----
    warning: `title` is not the primary key of `posts`: the foreign key needs a unique index on it
    warning: `joinable!(posts -> users (user_id))` leaves src/schema.rs: with two foreign keys between the tables diesel cannot choose one; joins say `.inner_join(users::table.on(posts::user_id.eq(users::<key>)))`
    ");
}

#[test]
fn a_referenced_table_may_be_kept_out_of_the_schema() {
    let config = "[print_schema]\nfile = \"src/schema.rs\"\n\
                  filter = { only_tables = [\"^users$\", \"^posts$\"] }\n";
    let project = desk::one_crate("postgres").file("diesel.toml", config).build().unwrap();
    let args = ["add", "users.team", AND_SO_ON, "--references", "teams(id)", "--dry-run", "-q"];
    assert_snapshot!(said(&newcol(&project, &args)).split_once("stderr").unwrap().1, @"
     -----
    warning: nothing shows that `teams` exists: diesel.toml keeps it out of schema.rs
    ");
}

/// An expression is quoted in a comment of the migration; its second line once left that comment.
#[test]
fn no_expression_leaves_the_comment_that_quotes_it() {
    for engine in ["postgres", "mysql", "sqlite"] {
        let project = desk::one_crate(engine).build().unwrap();
        for (flag, value) in [
            ("--default", "'a\nDROP TABLE users; --'"),
            ("--fill", "name || 'a\r\nDROP TABLE users; --'"),
        ] {
            let column = format!("users.by{}", flag.trim_start_matches('-'));
            let args = [
                "add",
                &column,
                "--type",
                "text",
                "--required",
                flag,
                value,
                "--why",
                "x\nDROP TABLE users; --",
            ];
            done(&project, &args);
        }
        for (path, text) in project.files().unwrap() {
            if path.as_str().contains("_users_by") && path.file_name() != Some("metadata.toml") {
                // Without comments and strings, nothing of it is left.
                let bare: String = text
                    .split('\'')
                    .step_by(2)
                    .flat_map(str::lines)
                    .map(|l| l.split("--").next().unwrap_or(""))
                    .collect();
                assert!(!bare.contains("DROP TABLE"), "{engine} {path}:\n{text}");
            }
        }
    }
}

#[test]
fn a_required_column_wants_a_value_from_every_row() {
    let add = |fill| {
        let project = desk::one_crate("sqlite").build().unwrap();
        let required = ["--type", "text", "--required", "--why", "Because", "--no-tests"];
        let args = [&["add", "users.locale", "--fill", fill], &required[..]].concat();
        newcol(&project, &args).success().stderr
    };
    let told = "warning: the fill has no value for a row where `settings` is NULL, and \
                `users.locale` is required: such a row keeps `constrain` back, and cannot be \
                inserted after it; `coalesce(...)` gives it one\n";
    assert!(add("lower(settings)").contains(told));
    assert!(!add("coalesce(lower(settings), name)").contains("warning"));
}

/// A unique index may be a constraint too, where the engine can have one later.
#[test]
fn an_index_is_unique_in_one_way_or_the_other() {
    let index = |engine: &str, unique: &[&str]| {
        let project = desk::one_crate(engine).build().unwrap();
        let output = newcol(&project, &[&["add", "users.locale", AND_SO_ON], unique].concat());
        let contract = std::fs::read_to_string(project.root().join("newcol/users.locale.toml"));
        let contract = contract.unwrap_or_default();
        let written = contract.lines().filter(|line| line.starts_with("unique"));
        let written: String = written.map(|line| format!("{line}\n")).collect();
        format!("{unique:?} on {engine}: {written}{}\n", output.stderr)
    };
    let all = [
        index("postgres", &["--unique"]),
        index("postgres", &["--unique=constraint"]),
        index("mysql", &["--unique=constraint"]),
        index("sqlite", &["--unique=constraint"]),
        index("postgres", &["--unique=both"]),
    ];
    let errors_only = all.map(|text| {
        let lines = text.lines().filter(|line| !line.starts_with("next: ") && !line.is_empty());
        lines.collect::<Vec<_>>().join("\n")
    });
    assert_snapshot!(errors_only.join("\n"), @r#"
    ["--unique"] on postgres: unique = true
    ["--unique=constraint"] on postgres: unique = "constraint"
    ["--unique=constraint"] on mysql: unique = "constraint"
    ["--unique=constraint"] on sqlite: error: SQLite 3.37 cannot add a UNIQUE constraint to a table: it knows them in CREATE TABLE only
      --> --index
    help: write `unique = true`: a unique index refuses the same rows, and `ON CONFLICT (column)` finds it
    ["--unique=both"] on postgres: error: invalid value 'both' for '--unique[=<AS>]': it is `index` or `constraint`
    For more information, try '--help'.
    "#);
}
