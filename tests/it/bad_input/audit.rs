//! Audits of what is not there or not readable, and baselines that are none.

use super::{
    Case,
    Content::{Bytes, Dir, Gone, Text},
    case, run,
};

const AUDIT: &[&str] = &["audit", "users.locale"];
const BASELINE: &str = "newcol/baseline.json";
const SCHEMA: &str = "src/schema.rs";

const ENTRY: &str = "{\"format\": 1, \"findings\": [\n  {\"column\": \"users.locale\", \"rule\": \
                     \"NC009\", \"place\": \"a.rs\", \"line\": \"nix\", \"count\": 1}\n]}\n";

pub(super) const CASES: &[Case] = &[
    case("audit of no column", &["audit", "users"]),
    case("audit of a missing table", &["audit", "comments.locale"]),
    case("audit of a misspelled table", &["audit", "user.locale"]),
    case("audit without schema.rs", AUDIT).with(&[(SCHEMA, Gone), ("diesel.toml", Gone)]),
    case("audit of a schema.rs that is not UTF-8", AUDIT).with(&[(SCHEMA, Bytes(b"\xff"))]),
    case("audit with a broken contract", AUDIT)
        .with(&[("newcol/users.locale.toml", Text("format = 1\n"))]),
    case("audit of an unknown stage", &["audit", "users.locale", "--stage", "release"]),
    case("audit quick and full", &["audit", "users.locale", "--quick", "--full"]),
    case("audit in an unknown form", &["audit", "users.locale", "--message-format", "xml"]),
    case("findings of another verb", &["status", "--message-format", "sarif"]),
    case("fix and baseline", &["audit", "users.locale", "--fix", "--write-baseline"]),
    case("dirty without fix", &["audit", "users.locale", "--allow-dirty"]),
    case("fix without repository", &["audit", "users.locale", "--fix"]),
    case("baseline is missing", &["audit", "users.locale", "--baseline", "known.json"]),
    case("baseline is a directory", AUDIT).with(&[(BASELINE, Dir)]).exits(101),
    case("baseline is not JSON", AUDIT).with(&[(BASELINE, Text("<<<<<<< HEAD\n"))]),
    case("baseline is not UTF-8", AUDIT).with(&[(BASELINE, Bytes(b"{\xff}"))]),
    case("baseline has an unknown key", AUDIT)
        .with(&[(BASELINE, Text("{\"format\": 1, \"findings\": [], \"rules\": []}"))]),
    case("baseline has no hash", AUDIT).with(&[(BASELINE, Text(ENTRY))]),
    case("baseline of a later version", AUDIT)
        .with(&[(BASELINE, Text("{\"format\": 2, \"findings\": []}"))]),
    case("broken baseline at a release", &["next", "users.locale", "--confirm-release", "why"])
        .after(&[
            &["add", "users.locale", "...", "--index"],
            &["audit", "users.locale", "--write-baseline"],
        ])
        .edited(&[(BASELINE, "\"format\": 1", "\"format\": 0")]),
    case("explain an unknown rule", &["explain", "NC999"]),
];

#[test]
fn wrong_audits() {
    insta::assert_snapshot!("audits", run(CASES));
}
