use insta::assert_snapshot;
use newcol_core::audit::rules::RULES;

use crate::desk::{self, newcol, said};

#[test]
fn topics_are_listed_and_each_is_explained() {
    let project = desk::one_crate("postgres").build().unwrap();
    let list = newcol(&project, &["explain"]).success();
    let (rules, topics): (Vec<&str>, Vec<&str>) =
        list.stdout.lines().partition(|topic| topic.starts_with("NC"));
    assert_snapshot!(topics.join("\n"), @"
    contract
    expand
    backfill
    index
    constrain
    audit
    gates
    old-writers
    exit-codes
    ");
    let known: Vec<String> =
        RULES.iter().map(|rule| format!("{} {}", rule.id, rule.name)).collect();
    assert_eq!(rules, known);
    for topic in topics {
        let output = newcol(&project, &["explain", topic]).success();
        assert!(output.stdout.len() > 80, "{output}");
    }
    assert_snapshot!(said(&newcol(&project, &["explain", "exit-codes"])), @"
    exit code: 0
    ----- stdout -----
      0  what was asked for is done
      2  the command line or a file of the project does not say what is wanted
      3  a gate is shut; the output says what opens it
      4  there was nothing to do
    100  there are findings, or a check failed
    101  it could not be completed; nothing was left half done
    ----- stderr -----
    ");
}

#[test]
fn a_rule_is_explained_by_number_or_name() {
    let project = desk::one_crate("postgres").build().unwrap();
    let output = newcol(&project, &["explain", "column-limit"]).success();
    assert_snapshot!(said(&output), @r#"
    exit code: 0
    ----- stdout -----
    # NC014: column-limit

    Diesel implements its traits for tables of up to 32 columns. The features `64-column-tables` and
    `128-column-tables` go further and cost build time; without default features it is 16. One column
    more, and `schema.rs` itself stops compiling.

    The limit is read from the features that the workspace asks diesel for, directly or through a feature
    of its own.

    Breaks with the 33rd column:

    ```toml
    [dependencies]
    diesel = { version = "2.3", features = ["postgres"] }
    ```

    Mended:

    ```toml
    [dependencies]
    diesel = { version = "2.3", features = ["postgres", "64-column-tables"] }
    ```
    ----- stderr -----
    "#);
    for rule in RULES {
        let explained = newcol(&project, &["explain", &rule.id.to_lowercase()]).success();
        assert_eq!(explained.stdout.trim_end(), rule.text.trim_end());
    }
}
