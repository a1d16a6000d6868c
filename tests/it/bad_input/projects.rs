//! Projects that are not there, not readable, or say two things.

use super::{
    Case,
    Content::{Bytes, Dir, Gone, Text},
    On, case, run,
};

const ADD: &[&str] = &["add", "users.locale", "..."];
const SCHEMA: &str = "src/schema.rs";
const TOML: &str = "diesel.toml";

const CONFLICT: &str = "\
diesel::table! {
    users (id) {
        id -> Integer,
<<<<<<< HEAD
        name -> Text,
=======
        nick -> Text,
>>>>>>> other
    }
}
";

const TWICE: &str = "\
diesel::table! {
    users (id) {
        id -> Integer,
    }
}

diesel::table! {
    users (id) {
        id -> Integer,
    }
}
";

const NO_DIESEL: &str = "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";

pub(super) const CASES: &[Case] = &[
    case("no Cargo project", ADD).with(&[("Cargo.toml", Gone)]),
    case("manifest that is not there", &["add", "users.locale", "...", "--manifest-path", "nix/Cargo.toml"]),
    case("manifest that is no manifest", ADD).with(&[("Cargo.toml", Text("[package\n"))]),
    case("manifest in the form of a URL", &["status", "--manifest-path", "https://example.org/Cargo.toml"]),
    case("no package depends on diesel", ADD).with(&[("Cargo.toml", Text(NO_DIESEL)), (TOML, Gone)]),
    case("package unknown", &["add", "users.locale", "...", "-p", "shop"]).on(On::SchemaCrate),
    case("several diesel.toml", ADD).on(On::SchemaCrate).with(&[("app/diesel.toml", Text("[print_schema]\nfile = \"src/schema.rs\"\n"))]),
    case("nothing tells the engine", ADD).with(&[("Cargo.toml", Text("[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\ndiesel = \"2.3\"\n"))]),
    case("no such table", &["add", "comments.locale", "..."]),
    case("misspelled table", &["add", "user.locale", "..."]),
    case("table given twice", ADD).with(&[(SCHEMA, Text(TWICE))]),
    case("schema.rs is missing", ADD).with(&[(SCHEMA, Gone)]),
    case("no schema.rs and no diesel.toml", ADD).with(&[(SCHEMA, Gone), (TOML, Gone)]),
    case("schema.rs is a directory", ADD).with(&[(SCHEMA, Dir)]).exits(101),
    case("schema.rs is empty", ADD).with(&[(SCHEMA, Text(""))]),
    case("schema.rs is not Rust", ADD).with(&[(SCHEMA, Text("diesel::table! { users (id) {\n"))]),
    case("schema.rs is not UTF-8", ADD).with(&[(SCHEMA, Bytes(b"diesel::table! { users (id) { id -> Integer, \xe9 -> Text, } }"))]),
    case("schema.rs has merge conflicts", ADD).with(&[(SCHEMA, Text(CONFLICT))]),
    case("schema.rs has a type that is none", ADD).with(&[(SCHEMA, Text("diesel::table! {\n    users (id) {\n        id -> 3,\n    }\n}\n"))]),
    case("schema.rs has a column without type", ADD).with(&[(SCHEMA, Text("diesel::table! {\n    users (id) {\n        id,\n    }\n}\n"))]),
    case("diesel.toml is not TOML", ADD).with(&[(TOML, Text("[print_schema\n"))]),
    case("diesel.toml has an unknown key", ADD).with(&[(TOML, Text("[print_schema]\nfil = \"src/schema.rs\"\n"))]),
    case("diesel.toml has a bad pattern", ADD).with(&[(TOML, Text("[print_schema]\nfile = \"src/schema.rs\"\nfilter = { only_tables = [\"(\"] }\n"))]),
    case("diesel.toml has a wrong type", ADD).with(&[(TOML, Text("[print_schema]\nfile = 3\n"))]),
    case("diesel.toml is not UTF-8", ADD).with(&[(TOML, Bytes(b"[print_schema]\nfile = \"\xff\"\n"))]),
    case("patch file is missing", ADD).with(&[(TOML, Text("[print_schema]\nfile = \"src/schema.rs\"\npatch_file = \"src/schema.patch\"\n"))]),
    case("patch file is no patch", ADD).with(&[(TOML, Text("[print_schema]\nfile = \"src/schema.rs\"\npatch_file = \"src/schema.patch\"\n")), ("src/schema.patch", Text("@@ nonsense\n"))]),
    case("patch file made another schema", ADD).with(&[(TOML, Text("[print_schema]\nfile = \"src/schema.rs\"\npatch_file = \"src/schema.patch\"\n")), ("src/schema.patch", Text("--- a\n+++ b\n@@ -1,1 +1,1 @@\n-one\n+two\n"))]),
    case("migrations is a file", ADD).with(&[("migrations", Text("x"))]).exits(101),
    case("a version later than every date", ADD).with(&[("migrations/99999999_last/up.sql", Text("SELECT 1;"))]),
    case("contracts cannot be kept", ADD).with(&[("newcol", Text("x"))]).exits(101),
    case("migrations that do not run", &["add", "users.locale", "--type", "text", "--required", "--fill", "name", "--why", "x"]).on(On::Sqlite).with(&[("migrations/2026-01-02-000000-0000_bad/up.sql", Text("CREATE TABEL x;"))]).exits(101),
    case("migrations without the table", &["add", "users.locale", "--type", "text", "--required", "--fill", "name", "--why", "x"]).on(On::Sqlite).with(&[("migrations/2026-01-01-000000-0000_start/up.sql", Text("SELECT 1;"))]),
    case("migrations without the column", &["add", "users.locale", "--type", "text", "--required", "--fill", "settings", "--why", "x"]).on(On::Sqlite).with(&[("migrations/2026-01-01-000000-0000_start/up.sql", Text("CREATE TABLE users (id INTEGER PRIMARY KEY);"))]),
];

#[test]
fn wrong_projects() {
    insta::assert_snapshot!("projects", run(CASES));
}
