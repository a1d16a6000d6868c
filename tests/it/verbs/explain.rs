use insta::assert_snapshot;

use crate::desk::{self, newcol, said};

#[test]
fn topics_are_listed_and_each_is_explained() {
    let project = desk::one_crate("postgres").build().unwrap();
    let list = newcol(&project, &["explain"]).success();
    assert_snapshot!(said(&list), @"
    exit code: 0
    ----- stdout -----
    contract
    expand
    backfill
    index
    constrain
    gates
    old-writers
    exit-codes
    ----- stderr -----
    ");
    for topic in list.stdout.lines() {
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
