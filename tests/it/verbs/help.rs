use insta::assert_snapshot;

use crate::desk::{self, newcol, said};

#[test]
fn help_of_the_tool_and_of_add() {
    let project = desk::one_crate("postgres").build().unwrap();
    assert_snapshot!(said(&newcol(&project, &["add", "-h"])), @r#"
    exit code: 0
    ----- stdout -----
    Write down every decision about a new column, and release its first stage

    Usage: cargo newcol add [OPTIONS] <COLUMN>

    Arguments:
      <COLUMN>  Column to add, as `table.column` or `schema.table.column`

    Options:
          --database-url <URL>  Database with the project's schema: asked, never changed
          --dry-run             Show the files as a diff and write nothing
          --no-tests            Scaffold no test of the column
          --no-input            Ask nothing, even on a terminal
      -h, --help                Print help (see more with '--help')

    Column:
          --type <SQL>        SQL type
          --diesel <TYPE>     Diesel type, where the derived one is not wanted
          --required          The finished column is NOT NULL
          --optional          The finished column may be NULL
          --why <TEXT>        Why the column exists; becomes its comment and documentation
          --retire-by <DATE>  Day by which the scaffolding must be gone, as YYYY-MM-DD

    Values:
          --default <EXPR>     Default
          --drop-default       The default only serves old programs: the last stage drops it
          --fill <EXPR>        What rows get that are there already: SQL over the row
          --fill-rust <PATH>   What rows get that are there already: path to code of the application
          --old-writers <WHO>  Who fills the column for programs that do not know it
          --generated <EXPR>   The value is always computed from the row, and not stored

    Index and constraints:
          --index [<METHOD>]            Build an index, with a method of the engine's if one is given
          --unique[=<AS>]               The index refuses duplicates; `--unique=constraint` makes a
                                        UNIQUE constraint of it
          --index-where <EXPR>          Predicate of a partial index
          --include <COLS>              Columns stored in the index beside the key
          --references <TABLE(COLUMN)>  Foreign key, as `table(column)`
          --on-delete <ACTION>          What happens when the referenced row is deleted
          --check <EXPR>                Condition that every row must meet

    Replacing a column:
          --replaces <COLUMN>  Column that the new one replaces
          --back <EXPR>        SQL over the row that computes the replaced column from the new one

    Project:
          --manifest-path <PATH>  Path to Cargo.toml
      -p, --package <SPEC>        Package whose schema is meant, in a workspace with several Diesel
                                  packages
          --engine <NAME>         Engine of the project, where its manifest does not tell
          --locked                Do not let Cargo change Cargo.lock
          --offline               Do not let Cargo use the network

    Output:
          --message-format <FMT>  Form of the output on stdout [default: human] [possible values: human,
                                  short, json, sarif, github]
          --color <WHEN>          When to use color [env: CARGO_TERM_COLOR=] [default: auto] [possible
                                  values: auto, always, never]
      -q, --quiet...              Say less; twice: errors only
      -v, --verbose...            Say more

    Examples:
      cargo newcol add users.locale --type 'varchar(16)' --required --default "'en'" --why 'Language of
      e-mails'
      cargo newcol add users.locale --type text --required --fill "coalesce(settings->>'locale', 'en')"
      --why 'Language of e-mails'
      cargo newcol add posts.author_id --type bigint --references 'users(id)' --on-delete cascade
      --index --why 'Who wrote it'
      cargo newcol add users.mail --type citext --replaces email --fill email --back mail --why 'Case
      never matters'
    ----- stderr -----
    "#);
    // Without a verb, the same text goes to stderr, as for Cargo's own commands.
    let without = newcol(&project, &[]);
    assert_eq!(without.code(), Some(2));
    assert_eq!(without.stdout, "");
    assert_eq!(without.stderr, newcol(&project, &["-h"]).stdout);
}

#[test]
fn every_verb_has_help_with_an_example() {
    let project = desk::one_crate("postgres").build().unwrap();
    for verb in ["add", "plan", "status", "next", "undo", "explain", "completions", "man"] {
        let output = newcol(&project, &[verb, "--help"]).success();
        assert!(output.stdout.contains("Example"), "{output}");
    }
}

#[test]
fn the_word_newcol_may_be_there_or_not() {
    let project = desk::one_crate("postgres").build().unwrap();
    let (with, without) =
        (newcol(&project, &["newcol", "--version"]), newcol(&project, &["--version"]));
    assert_eq!(with, without);
    assert_snapshot!(said(&with), @"
    exit code: 0
    ----- stdout -----
    cargo-newcol [RELEASE]
    ----- stderr -----
    ");
}
