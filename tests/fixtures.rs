//! Folders that are tests: adding a case needs no code.
//!
//! A case of `fixtures/plan` is a contract with the tables it meets, one file per engine:
//! `fixtures/plan/README.md` tells what each file is.

mod plan_case;

datatest_stable::harness! {
    { test = plan_case::check, root = "fixtures/plan", pattern = r"/(postgres|mysql|sqlite)(-\d+)?\.sql$" },
}
