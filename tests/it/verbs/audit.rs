use std::fs;

use insta::assert_snapshot;
use newcol_testkit::{ScratchDb, Tool, Want, command::CommandOutput, project::Project};

use crate::desk::{self, AND_SO_ON, Tree, newcol, said};

/// A table with all columns that diesel is built for.
fn full_table() -> Project {
    let columns: String = (2..=16).map(|at| format!("        c{at} -> Integer,\n")).collect();
    let schema = format!(
        "diesel::table! {{\n    users (id) {{\n        id -> Integer,\n{columns}    }}\n}}\n"
    );
    desk::one_crate("postgres").schema(schema).file(".gitignore", "/target\n").build().unwrap()
}

/// Runs the audit, which may not change a byte of the project.
fn audit(project: &Project, args: &[&str]) -> CommandOutput {
    let before = Tree::of(project.root());
    let output = newcol(project, &[&["audit", "users.locale"], args].concat());
    assert_eq!(before.changes(&Tree::of(project.root())), "", "the audit has written");
    output
}

/// Starts a project to whose sources nothing happens.
fn calm() -> Project {
    desk::one_crate("postgres").build().unwrap()
}

#[test]
fn nothing_is_found_in_a_calm_project() {
    assert_snapshot!(said(&audit(&calm(), &[])), @"
    exit code: 0
    ----- stdout -----
    nothing to act on
    ----- stderr -----
    read 4 files; the compiler and the database were not asked
    ");
}

#[test]
fn findings_are_drawn_and_end_with_100() {
    assert_snapshot!(said(&audit(&full_table(), &[])), @"
    exit code: 100
    ----- stdout -----
    compile[NC014]: `users` has 17 columns with `locale`, and diesel is built for 16
     --> src/schema.rs:2:5
      |
    2 |     users (id) {
      |     ^^^^^
      |
      = note: to be dealt with before `expand` is released
      = help: enable diesel's feature `32-column-tables`, which costs build time

    1 place to act on (1 compile)
    ----- stderr -----
    read 4 files; the compiler and the database were not asked
    ");
}

#[test]
fn every_format_on_the_command_line() {
    let project = full_table();
    let form = |format| said(&audit(&project, &["--message-format", format]));
    assert_snapshot!(form("short"), @"
    exit code: 100
    ----- stdout -----
    src/schema.rs:2:5: compile[NC014]: `users` has 17 columns with `locale`, and diesel is built for 16
    ----- stderr -----
    read 4 files; the compiler and the database were not asked
    ");
    assert_snapshot!(form("github"), @"
    exit code: 100
    ----- stdout -----
    ::error file=src/schema.rs,line=2,endLine=2,col=5,endColumn=10,title=compile[NC014]%3A column-limit::`users` has 17 columns with `locale`, and diesel is built for 16%0Ato be dealt with before `expand` is released%0Ahelp: enable diesel's feature `32-column-tables`, which costs build time
    ----- stderr -----
    read 4 files; the compiler and the database were not asked
    ");
    assert_snapshot!(form("json"), @r#"
    exit code: 100
    ----- stdout -----
    {"reason":"newcol-audit-finding","version":1,"column":"users.locale","rule":"NC014","name":"column-limit","class":"compile","due":"expand","message":"`users` has 17 columns with `locale`, and diesel is built for 16","help":"enable diesel's feature `32-column-tables`, which costs build time","place":{"kind":"file","file_name":"src/schema.rs","byte_start":21,"byte_end":26,"line_start":2,"line_end":2,"column_start":5,"column_end":10},"acknowledged":null,"fix":null,"fingerprint":"05dd668d1bf1eeed"}
    {"reason":"newcol-audit-summary","version":1,"column":"users.locale","stage":null,"files":4,"compiler":false,"database":false,"compile":1,"runtime":0,"silent":0,"unknown":0,"acknowledged":0,"stale":0}
    ----- stderr -----
    read 4 files; the compiler and the database were not asked
    "#);
    let sarif = audit(&project, &["--message-format", "sarif"]);
    let document: serde_json::Value = serde_json::from_str(&sarif.stdout).unwrap();
    let results = document["runs"][0]["results"].as_array().unwrap();
    assert_eq!((results.len(), sarif.code()), (1, Some(100)));
}

#[test]
fn color_is_drawn_where_it_is_wanted() {
    let project = full_table();
    let output = audit(&project, &["--color", "always"]);
    assert!(output.stdout.contains("\u{1b}["), "{output}");
    assert!(!audit(&project, &[]).stdout.contains('\u{1b}'));
}

#[test]
fn other_verbs_have_no_such_format() {
    let project = calm();
    assert_snapshot!(said(&newcol(&project, &["status", "--message-format", "sarif"])), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: only `audit` has findings in this form
      --> --message-format
    help: every command knows `human` and `json`
    ");
}

#[test]
fn what_is_due_later_is_left_out() {
    let project = full_table();
    assert_snapshot!(said(&audit(&project, &["--stage", "backfill", "--message-format", "short"])), @"
    exit code: 100
    ----- stdout -----
    src/schema.rs:2:5: compile[NC014]: `users` has 17 columns with `locale`, and diesel is built for 16
    ----- stderr -----
    read 4 files; the compiler and the database were not asked
    ");
    assert_snapshot!(said(&audit(&project, &["--stage", "release"])), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value 'release' for '--stage <STAGE>': it is one of `expand`, `backfill`, `index`, `constrain`, `contract`

    For more information, try '--help'.
    ");
}

#[test]
fn files_that_cannot_be_read_are_unknown_and_others_are_left_out() {
    let project = desk::one_crate("postgres")
        .file(".gitignore", "/target\n/generated\n")
        .file("generated/a.rs", "// newcol:allow(NC009)\n")
        .file("target/a.rs", "// newcol:allow(NC009)\n")
        .file(".hidden/a.rs", "// newcol:allow(NC009)\n")
        .file("other/Cargo.toml", "[workspace]\n[package]\nname = \"other\"\n")
        .file("other/src/lib.rs", "// newcol:allow(NC009)\n")
        .build()
        .unwrap();
    for path in ["src/odd.rs", ".sqlx/query-1.json", "seeds/odd.sql", "src/odd.txt"] {
        let path = project.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"\xff\xfe").unwrap();
    }
    assert_snapshot!(said(&audit(&project, &["-v", "--no-cache"])), @"
    exit code: 0
    ----- stdout -----
    unknown[NC203]: the file was left out: it is not UTF-8
    --> .sqlx/query-1.json
     = note: to be looked at before `expand` is released

    unknown[NC203]: the file was left out: it is not UTF-8
    --> seeds/odd.sql
     = note: to be looked at before `expand` is released

    unknown[NC201]: the file was left out: it is not UTF-8
    --> src/odd.rs
     = note: to be looked at before `expand` is released

    nothing to act on; 3 unknown
    ----- stderr -----
    other is of another workspace and was left out
    read 4 files; the compiler and the database were not asked
    ");
}

#[test]
fn comments_that_acknowledge_nothing_are_told() {
    let project = desk::one_crate("postgres")
        .file(
            "src/db.rs",
            "// newcol:allow(NC009): a cache\nfn a() {}\n// newcol:allow(NC010)\n// newcol:allow(NC999): why\n",
        )
        .build()
        .unwrap();
    assert_snapshot!(said(&audit(&project, &[])), @"
    exit code: 0
    ----- stdout -----
    warning: there is no finding of `NC009` here
     --> src/db.rs:1:17
      |
    1 | // newcol:allow(NC009): a cache
      |                 ^^^^^
      |
      = help: remove it from the comment

    warning: the comment gives no reason, and acknowledges nothing without one
     --> src/db.rs:3:4
      |
    3 | // newcol:allow(NC010)
      |    ^^^^^^^^^^^^^^^^^^^
      |
      = help: write `newcol:allow(NC009): reason`

    warning: there is no rule `NC999`
     --> src/db.rs:4:17
      |
    4 | // newcol:allow(NC999): why
      |                 ^^^^^
      |
      = help: `cargo newcol explain` lists them

    nothing to act on
    ----- stderr -----
    read 5 files; the compiler and the database were not asked
    ");
}

/// One comment serves every column; only one that no column needs is told.
#[test]
fn a_comment_that_another_column_needs_is_not_told() {
    let project = full_table();
    let schema = project.read("src/schema.rs").unwrap();
    let schema = schema.replace(
        "    users (id) {",
        "    // newcol:allow(NC014): the feature comes with the next release\n    users (id) {",
    );
    let posts = "diesel::table! {\n    posts (id) {\n        id -> Integer,\n    }\n}\n";
    project.write("src/schema.rs", &format!("{schema}\n{posts}")).unwrap();
    let posts = ["audit", "posts.title"];
    let told = newcol(&project, &posts);
    assert!(told.stdout.contains("there is no finding of `NC014` here"), "{told}");
    drop(newcol(&project, &["add", "users.locale", AND_SO_ON]).success());
    assert_eq!(audit(&project, &[]).code(), Some(0));
    assert_snapshot!(said(&newcol(&project, &posts)), @"
    exit code: 0
    ----- stdout -----
    nothing to act on
    ----- stderr -----
    read 6 files; the compiler and the database were not asked
    ");
}

#[test]
fn a_baseline_is_written_and_known() {
    let project = full_table();
    let write = &["audit", "users.locale", "--write-baseline"];
    assert_snapshot!(said(&newcol(&project, &[write, &["--dry-run"][..]].concat())), @r#"
    exit code: 0
    ----- stdout -----
    --- /dev/null
    +++ b/newcol/baseline.json
    @@ -0,0 +1,6 @@
    +{
    +  "format": 1,
    +  "findings": [
    +    {"column":"users.locale","rule":"NC014","place":"src/schema.rs","line":"1d5f7f6af3021bfc","count":1}
    +  ]
    +}
    ----- stderr -----
    "#);
    assert_snapshot!(said(&newcol(&project, write)), @"
    exit code: 0
    ----- stdout -----
      created newcol/baseline.json
    ----- stderr -----
    ");
    assert_eq!(newcol(&project, write).code(), Some(4));
    assert_snapshot!(said(&audit(&project, &["-v"])), @"
    exit code: 0
    ----- stdout -----
    compile[NC014]: `users` has 17 columns with `locale`, and diesel is built for 16
     --> src/schema.rs:2:5
      |
    2 |     users (id) {
      |     ^^^^^
      |
      = note: to be dealt with before `expand` is released
      = note: acknowledged in the baseline
      = help: enable diesel's feature `32-column-tables`, which costs build time

    nothing to act on; 1 acknowledged
    ----- stderr -----
    read 4 files; the compiler and the database were not asked
    ");
    // The file of another name is the same.
    let named = &["--baseline", "known.json"];
    drop(newcol(&project, &[write, &named[..]].concat()).success());
    assert_eq!(project.read("known.json").unwrap(), project.read("newcol/baseline.json").unwrap());
    assert_eq!(audit(&project, named).code(), Some(0));
    // Lines move, and nothing is new; another column is.
    let schema = project.read("src/schema.rs").unwrap();
    project.write("src/schema.rs", &format!("// moved\n\n{schema}")).unwrap();
    assert_eq!(audit(&project, &[]).code(), Some(0));
    assert_eq!(newcol(&project, &["audit", "users.mail"]).code(), Some(100));
    // What is mended is told.
    project.write("src/schema.rs", &schema.replace("        c16 -> Integer,\n", "")).unwrap();
    assert_snapshot!(said(&audit(&project, &[])), @"
    exit code: 0
    ----- stdout -----
    nothing to act on
    ----- stderr -----
    read 4 files; the compiler and the database were not asked
    1 finding of the baseline is gone; `--write-baseline` drops it
    ");
}

#[test]
fn fixing_wants_a_clean_repository() {
    let project = calm();
    let fix = ["audit", "users.locale", "--fix"];
    let git = |args: &[&str]| {
        let who = ["-c", "user.name=a", "-c", "user.email=a@b.c"];
        let git = Tool::new("git").args(who).args(args).current_dir(project.root());
        drop(git.run().unwrap().success());
    };
    assert_snapshot!(said(&newcol(&project, &fix)), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: there is no Git repository to go back with
      --> [TEMP]
    help: fix nevertheless with `--allow-no-vcs`, or look first with `--dry-run`
    ");
    git(&["init", "--quiet"]);
    assert_snapshot!(said(&newcol(&project, &fix)), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: there are changes that are not committed
      --> [TEMP]
      because: ?? Cargo.toml
      because: ?? diesel.toml
      because: ?? migrations/[VERSION]_start/down.sql
      because: ?? migrations/[VERSION]_start/up.sql
      because: ?? src/lib.rs
      because: and 1 more
    help: commit or stash them, or fix nevertheless with `--allow-dirty`
    ");
    assert_eq!(newcol(&project, &[&fix[..], &["--allow-dirty"]].concat()).code(), Some(0));
    assert_eq!(newcol(&project, &[&fix[..], &["--dry-run"]].concat()).code(), Some(0));
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "start"]);
    assert_snapshot!(said(&newcol(&project, &fix)), @"
    exit code: 0
    ----- stdout -----
    nothing to act on
    ----- stderr -----
    nothing can be fixed without you
    read 4 files; the compiler and the database were not asked
    ");
}

/// Code that reads whole rows, a script, and a database with a trigger that copies them.
#[test]
fn code_scripts_and_a_database_are_looked_at() {
    let Some(db) = ScratchDb::require(Want::sqlite()) else { return };
    db.run(&[
        "CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, settings TEXT)",
        "CREATE TABLE gone (id INTEGER, name TEXT, settings TEXT)",
        "CREATE TRIGGER keep BEFORE DELETE ON users BEGIN \
         INSERT INTO gone SELECT * FROM users WHERE id = OLD.id; END",
    ])
    .unwrap();
    let code = "mod schema;\nuse diesel::prelude::*;\n\n#[derive(Queryable)]\npub struct User {\n    \
                pub id: i32,\n    pub name: String,\n    pub settings: Option<String>,\n}\n\n\
                pub fn all(c: &mut SqliteConnection) -> QueryResult<Vec<User>> {\n    \
                schema::users::table.load(c)\n}\n";
    let seeds = "INSERT INTO users VALUES (1, 'Ann', NULL);\n";
    let project = desk::one_crate("sqlite").lib(code).file("seeds.sql", seeds).build().unwrap();
    let url = db.url().to_owned();
    let args = ["--message-format", "short", "--database-url", url.as_str()];
    assert_snapshot!(said(&audit(&project, &args)), @"
    exit code: 100
    ----- stdout -----
    seeds.sql:1:13: runtime[NC105]: SQLite wants a value for each column, and `users` gets one more
    src/lib.rs:12:26: compile[NC001]: whole rows of `users` are read by position into `User`, which has no `locale`
    trigger keep: runtime[NC106]: `*` brings `locale`, and the target does not have it
    ----- stderr -----
    read 5 files; the compiler was not asked
    ");
    // Code may know what this database does not have yet.
    let mut schema = fs::read_to_string(project.root().join("src/schema.rs")).unwrap();
    let end = schema.find("name -> Text,").unwrap();
    schema.insert_str(end, "locale -> Nullable<Text>, ");
    project.write("src/schema.rs", &schema).unwrap();
    let code = "mod schema;\nuse diesel::prelude::*;\n\n\
                pub fn all(c: &mut SqliteConnection) -> QueryResult<Vec<Option<String>>> {\n    \
                schema::users::table.select(schema::users::locale).load(c)\n}\n";
    project.write("src/lib.rs", code).unwrap();
    let early = "src/lib.rs:5:33: runtime[NC019]: `locale` is named here, and the database does not have it";
    let output = audit(&project, &args);
    assert!(output.stdout.contains(early), "{output}");
    assert!(!audit(&project, &[]).stdout.contains("NC019"));
    newcol_testkit::scratch::run(&url, &["ALTER TABLE users ADD COLUMN locale TEXT"]).unwrap();
    assert!(!audit(&project, &args).stdout.contains("NC019"));
}
