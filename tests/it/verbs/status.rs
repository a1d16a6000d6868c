use insta::assert_snapshot;

use super::{LONG, VOUCH, done};
use crate::desk::{self, AND_SO_ON, Tree, newcol, said};

#[test]
fn nothing_is_under_way() {
    let project = desk::one_crate("postgres").build().unwrap();
    assert_snapshot!(said(&newcol(&project, &["status"])), @"
    exit code: 4
    ----- stdout -----
    ----- stderr -----
    no column is under way; begin one with `cargo newcol add`
    ");
}

#[test]
fn every_column_is_shown_and_nothing_touched() {
    let project = desk::one_crate("postgres").build().unwrap();
    done(&project, LONG);
    done(&project, VOUCH);
    done(&project, &["add", "posts.slug", AND_SO_ON]);
    let before = Tree::of(project.root());
    assert_snapshot!(said(&newcol(&project, &["status"])), @"
    exit code: 0
    ----- stdout -----
    posts.slug (postgres)
      expand     released
      every stage is released
    users.locale (postgres)
      expand     released
      backfill   a job, not a migration
      index      released
      constrain  in the plan
      contract   in the plan
      next: constrain, with `cargo newcol next users.locale`
    ----- stderr -----
    ");
    assert_snapshot!(said(&newcol(&project, &["status", "--message-format", "json"])), @r#"
    exit code: 0
    ----- stdout -----
    {"reason":"newcol-status","version":1,"column":"posts.slug","backend":"postgres","stages":[{"stage":"expand","state":"released"}],"next":null,"overdue_days":null,"markers":[],"database":null}
    {"reason":"newcol-status","version":1,"column":"users.locale","backend":"postgres","stages":[{"stage":"expand","state":"released"},{"stage":"backfill","state":"a job, not a migration"},{"stage":"index","state":"released"},{"stage":"constrain","state":"in the plan"},{"stage":"contract","state":"in the plan"}],"next":"constrain","overdue_days":null,"markers":[],"database":null}
    ----- stderr -----
    "#);
    assert_eq!(Tree::of(project.root()), before);
}

#[test]
fn overdue_scaffolding_fails_the_check() {
    let project = desk::one_crate("postgres").build().unwrap();
    let days = |text: String| {
        let (head, rest) = text.split_once("` is ").unwrap();
        format!("{head}` is [N]{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
    };
    done(&project, &[LONG, &["--retire-by", "2020-02-29"]].concat());
    assert_snapshot!(days(said(&newcol(&project, &["status", "--check"]))), @"
    exit code: 100
    ----- stdout -----
    users.locale (postgres)
      expand     released
      backfill   a job, not a migration
      index      in the plan
      constrain  in the plan
      contract   in the plan
      next: index, with `cargo newcol next users.locale`
      before it: `cargo newcol backfill users.locale --database-url <URL>`
    ----- stderr -----
    warning: the scaffolding of `users.locale` is [N] days overdue
    ");
    assert_eq!(newcol(&project, &["status"]).code(), Some(0));
}

#[test]
fn what_is_not_due_passes_the_check() {
    let project = desk::one_crate("postgres").build().unwrap();
    done(&project, &[LONG, &["--retire-by", "9999-12-31"]].concat());
    assert_eq!(newcol(&project, &["status", "--check"]).code(), Some(0));
}

/// Once the last stage is released, no scaffolding is left to be overdue.
#[test]
fn a_finished_column_is_never_overdue() {
    let project = desk::one_crate("postgres").build().unwrap();
    done(&project, &[LONG, &["--retire-by", "2020-02-29"]].concat());
    while newcol(&project, VOUCH).code() == Some(0) {}
    assert_snapshot!(said(&newcol(&project, &["status", "--check"])), @"
    exit code: 0
    ----- stdout -----
    users.locale (postgres)
      expand     released
      backfill   a job, not a migration
      index      released
      constrain  released
      contract   released
      every stage is released
    ----- stderr -----
    ");
}
