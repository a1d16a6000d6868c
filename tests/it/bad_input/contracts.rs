//! Contract files that were edited into something else, or never were contracts.

use super::{
    Case,
    Content::{Bytes, Dir, Text},
    On, case, run,
};

const FILE: &str = "newcol/users.locale.toml";
const ADD: &[&str] = &["add", "users.locale", "..."];
const ADD_INDEXED: &[&str] = &["add", "users.locale", "...", "--index"];
const NEXT: &[&str] = &["next", "users.locale", "--confirm-release", "rolled out"];

pub(super) const CASES: &[Case] = &[
    case("another wish for the same column", &["add", "users.locale", "--type", "integer", "--optional", "--why", "Because"]).after(&[ADD]),
    case("add after the contract was edited", ADD).after(&[ADD]).edited(&[(FILE, "\"text\"", "\"integer\"")]),
    case("unknown key", &["status"]).after(&[ADD]).edited(&[(FILE, "required", "requird")]),
    case("unknown section", &["status"]).after(&[ADD]).edited(&[(FILE, "required = false", "required = false\n[indx]")]),
    case("wrong type of a value", NEXT).after(&[ADD_INDEXED]).edited(&[(FILE, "required = false", "required = \"no\"")]),
    case("newer format", &["plan", "users.locale"]).after(&[ADD]).edited(&[(FILE, "format = 1", "format = 2")]),
    case("no format", &["plan", "users.locale"]).after(&[ADD]).edited(&[(FILE, "format = 1\n", "")]),
    case("renamed file", &["status"]).with(&[("newcol/users.lang.toml", Text("format = 1\ntable = \"users\"\ncolumn = \"locale\"\nwhy = \"x\"\ntype = \"text\"\nrequired = false\n"))]),
    case("not TOML", &["status"]).with(&[(FILE, Text("format = \n"))]),
    case("empty file", &["status"]).with(&[(FILE, Text(""))]),
    case("merge conflict", &["status"]).with(&[(FILE, Text("<<<<<<< HEAD\nformat = 1\n=======\nformat = 1\n>>>>>>> other\n"))]),
    case("not UTF-8", &["status"]).with(&[(FILE, Bytes(b"format = 1\nwhy = \"\xff\"\n"))]),
    case("a directory in its place", &["plan", "users.locale"]).with(&[(FILE, Dir)]).exits(101),
    case("several complaints at once", &["plan", "users.locale"]).with(&[(FILE, Text("format = 1\ntabel = \"users\"\ncolumn = 3\nwhy = \"x\"\ntype = \"text\"\n[default]\nkeep = false\n"))]),
    case("table that does not exist", &["plan", "users.locale"]).after(&[ADD]).edited(&[("src/schema.rs", "users (id)", "people (id)")]),
    case("injection in a type", NEXT).after(&[ADD_INDEXED]).edited(&[(FILE, "type = \"text\"", "type = \"text; DROP TABLE x\"")]),
    case("injection in a predicate", NEXT).after(&[ADD_INDEXED]).edited(&[(FILE, "[index]", "[index]\nwhere = \"true); DROP TABLE x; --\"")]),
    case("contradiction", &["plan", "users.locale"]).after(&[ADD]).edited(&[(FILE, "required = false", "required = true")]),
    case("day that does not exist", &["plan", "users.locale"]).after(&[ADD]).edited(&[(FILE, "required = false", "required = false\n[retire]\nby = \"2026-13-01\"\n")]),
    case("impossible on the engine", &["plan", "users.locale"]).on(On::Sqlite).after(&[ADD_INDEXED]).edited(&[(FILE, "[index]", "[index]\nmethod = \"gin\"")]),
    case("fill of a missing column", &["plan", "users.locale"]).after(&[ADD]).edited(&[(FILE, "required = false", "required = false\n[old_rows]\nfill = \"nam\"\n")]),
    case("control character in a name", &["status"]).with(&[(FILE, Text("format = 1\ntable = \"users\"\ncolumn = \"lo\\ncale\"\nwhy = \"x\"\ntype = \"text\"\nrequired = false\n"))]),
    case("NUL in an expression", &["status"]).with(&[(FILE, Text("format = 1\ntable = \"users\"\ncolumn = \"locale\"\nwhy = \"x\"\ntype = \"text\"\nrequired = true\n[default]\nvalue = \"'a\\u0000b'\"\n"))]),
    case("edited between two stages", NEXT).after(&[ADD_INDEXED]).edited(&[(FILE, "required = false", "required = true\n[default]\nvalue = \"NULL\"\n")]),
];

#[test]
fn wrong_contracts() {
    insta::assert_snapshot!("contracts", run(CASES));
}
