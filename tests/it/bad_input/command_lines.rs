//! Flags that are wrong, missing or contradict each other, and wishes that cannot be granted.

use super::{Case, On, case, run};

pub(super) const CASES: &[Case] = &[
    case("unknown verb", &["ad", "users.locale"]),
    case("unknown flag", &["add", "users.locale", "...", "--nullable"]),
    case("no column", &["add", "--type", "text", "--optional", "--why", "Because"]),
    case("column without table", &["add", "locale", "..."]),
    case("too many parts", &["add", "a.b.c.d", "..."]),
    case("required and optional", &["add", "users.locale", "...", "--required"]),
    case("neither required nor optional", &["add", "users.locale", "--type", "text", "--why", "x"]),
    case("no type", &["add", "users.locale", "--optional", "--why", "x"]),
    case("no reason", &["add", "users.locale", "--type", "text", "--optional"]),
    case("empty reason", &["add", "users.locale", "--type", "text", "--optional", "--why", " "]),
    case(
        "required without value",
        &["add", "users.locale", "--type", "text", "--required", "--why", "x"],
    ),
    case(
        "required with default NULL",
        &["add", "users.locale", "--type", "text", "--required", "--default", "NULL", "--why", "x"],
    ),
    case(
        "required with default NULL in brackets",
        &[
            "add",
            "users.locale",
            "--type",
            "text",
            "--required",
            "--default",
            "(null)",
            "--why",
            "x",
        ],
    ),
    case(
        "volatile default kept on SQLite",
        &[
            "add",
            "users.token",
            "--type",
            "text",
            "--required",
            "--default",
            "hex(randomblob(16))",
            "--old-writers",
            "default",
            "--why",
            "x",
        ],
    )
    .on(On::Sqlite),
    case("drop default without default", &["add", "users.locale", "...", "--drop-default"]),
    case(
        "two kinds of fill",
        &["add", "users.locale", "...", "--fill", "name", "--fill-rust", "crate::fill"],
    ),
    case(
        "fill path is no path",
        &["add", "users.locale", "...", "--fill-rust", "rm -rf /", "--old-writers", "nobody"],
    ),
    case(
        "Rust fill without old writers",
        &["add", "users.locale", "...", "--fill-rust", "crate::fill"],
    ),
    case("unknown old writers", &["add", "users.locale", "...", "--old-writers", "everybody"]),
    case(
        "old writers want a missing default",
        &["add", "users.locale", "...", "--old-writers", "default"],
    ),
    case(
        "old writers want a missing fill",
        &["add", "users.locale", "...", "--old-writers", "trigger"],
    ),
    case("fill names a missing column", &["add", "users.locale", "...", "--fill", "lower(nam)"]),
    case("check names a missing column", &["add", "users.locale", "...", "--check", "lenth > 3"]),
    case(
        "generated and default",
        &["add", "users.locale", "...", "--generated", "lower(name)", "--default", "'x'"],
    ),
    case(
        "generated on an old PostgreSQL",
        &["add", "users.locale", "...", "--generated", "lower(name)"],
    ),
    case(
        "unknown action on delete",
        &["add", "users.team", "...", "--references", "posts(id)", "--on-delete", "explode"],
    ),
    case(
        "action on delete without reference",
        &["add", "users.team", "...", "--on-delete", "cascade"],
    ),
    case(
        "reference is no table(column)",
        &["add", "users.team", "...", "--references", "posts.id"],
    ),
    case(
        "reference to a missing table",
        &["add", "users.team", "...", "--references", "teams(id)"],
    ),
    case(
        "reference to a misspelled table",
        &["add", "users.team", "...", "--references", "post(id)"],
    ),
    case(
        "reference to a missing column",
        &["add", "users.team", "...", "--references", "posts(idd)"],
    ),
    case(
        "set null on a required column",
        &[
            "add",
            "users.team",
            "--type",
            "integer",
            "--required",
            "--default",
            "1",
            "--references",
            "posts(id)",
            "--on-delete",
            "set-null",
            "--why",
            "x",
        ],
    ),
    case(
        "set default without default",
        &["add", "users.team", "...", "--references", "posts(id)", "--on-delete", "set default"],
    ),
    case(
        "replaces itself",
        &["add", "users.name", "...", "--replaces", "name", "--fill", "name", "--back", "name"],
    ),
    case(
        "replaces without back",
        &["add", "users.nick", "...", "--replaces", "name", "--fill", "name"],
    ),
    case(
        "replaces without fill",
        &["add", "users.nick", "...", "--replaces", "name", "--back", "nick"],
    ),
    case(
        "replaces a missing column",
        &["add", "users.nick", "...", "--replaces", "nam", "--fill", "name", "--back", "nick"],
    ),
    case(
        "replaces what only a database knows",
        &["add", "users.nick", "...", "--replaces", "name", "--fill", "name", "--back", "nick"],
    ),
    case(
        "replaces the primary key",
        &["add", "users.nick", "...", "--replaces", "id", "--fill", "id", "--back", "nick"],
    )
    .on(On::Sqlite),
    case("no calendar has that day", &["add", "users.locale", "...", "--retire-by", "2026-02-30"]),
    case("date in another order", &["add", "users.locale", "...", "--retire-by", "31.12.2026"]),
    case("unknown engine", &["add", "users.locale", "...", "--engine", "oracle"]),
    case("unknown message format", &["status", "--message-format", "xml"]),
    case("unknown color", &["status", "--color", "maybe"]),
    case(
        "serial on a filled table",
        &["add", "users.seq", "--type", "bigserial", "--optional", "--why", "x"],
    ),
    case(
        "type with a constraint",
        &["add", "users.locale", "--type", "text NOT NULL", "--optional", "--why", "x"],
    ),
    case(
        "type that Diesel cannot use",
        &["add", "users.locale", "--type", "text[][", "--optional", "--why", "x"],
    ),
    case("Diesel type that is no type", &["add", "users.locale", "...", "--diesel", "Vec<"]),
    case("index method on SQLite", &["add", "users.locale", "...", "--index", "gin"])
        .on(On::Sqlite),
    case("included columns on SQLite", &["add", "users.locale", "...", "--include", "name"])
        .on(On::Sqlite),
    case("included column is missing", &["add", "users.locale", "...", "--include", "nam"]),
    case(
        "partial index on MySQL",
        &["add", "users.locale", "...", "--index-where", "locale IS NOT NULL"],
    )
    .on(On::Mysql),
    case(
        "fill for another engine only",
        &["add", "users.locale", "...", "--fill", "postgres=name"],
    )
    .on(On::Sqlite),
    case(
        "type for another engine only",
        &["add", "users.locale", "--type", "mysql=text", "--optional", "--why", "x"],
    ),
    case(
        "engines disagree on the Diesel type",
        &["add", "users.locale", "...", "--type", "sqlite=integer"],
    )
    .on(On::ThreeEngines),
    case(
        "generated and required on SQLite",
        &[
            "add",
            "users.low",
            "--type",
            "text",
            "--required",
            "--generated",
            "lower(name)",
            "--why",
            "x",
        ],
    )
    .on(On::Sqlite),
    case(
        "URL of another engine",
        &["add", "users.locale", "...", "--database-url", "mysql://u:geheim@localhost/x"],
    ),
    case(
        "URL of no engine",
        &["add", "users.locale", "...", "--database-url", "oracle://u:geheim@localhost/x"],
    ),
    case(
        "URL with a raw @ in the password",
        &["add", "users.locale", "...", "--database-url", "postgres://u:geheim@geheim@localhost/x"],
    ),
    case(
        "URL with an unknown parameter",
        &[
            "add",
            "users.locale",
            "...",
            "--database-url",
            "postgres://u:geheim@localhost/x?sslmod=require",
        ],
    ),
    case("empty URL", &["add", "users.locale", "...", "--database-url", ""]),
    case(
        "server that does not run",
        &["add", "users.locale", "...", "--database-url", "postgres://u:geheim@127.0.0.1:1/x"],
    )
    .exits(101),
    case(
        "MySQL server that does not run",
        &["add", "users.locale", "...", "--database-url", "mysql://u:geheim@127.0.0.1:1/x"],
    )
    .on(On::Mysql)
    .exits(101),
    case(
        "SQLite file that is missing",
        &["add", "users.locale", "...", "--database-url", "nix.db"],
    )
    .on(On::Sqlite),
    case("SQLite file that is a directory", &["status", "users.locale", "--database-url", "src"])
        .on(On::Sqlite)
        .after(&[&["add", "users.locale", "..."]])
        .exits(101),
    case(
        "SQLite file that is no database",
        &["add", "users.locale", "...", "--database-url", "src/schema.rs"],
    )
    .on(On::Sqlite)
    .exits(101),
    case("database for next is missing", &["next", "users.locale", "--database-url", "nix.db"])
        .on(On::Sqlite)
        .after(&[&["add", "users.locale", "...", "--index"]]),
    case(
        "next with a URL of another engine",
        &["next", "users.locale", "--database-url", "mysql://u:geheim@localhost/x"],
    )
    .after(&[&["add", "users.locale", "...", "--index"]]),
    case(
        "undo with a URL of another engine",
        &["undo", "users.locale", "--database-url", "nix.db"],
    )
    .after(&[&["add", "users.locale", "..."]]),
    case("status with a URL of another engine", &["status", "--database-url", "nix.db"])
        .after(&[&["add", "users.locale", "..."]]),
    case("next with a shut gate", &["next", "users.locale"])
        .after(&[&["add", "users.locale", "...", "--index"]])
        .exits(3),
    case("empty reason to vouch", &["next", "users.locale", "--confirm-release", ""]).after(&[&[
        "add",
        "users.locale",
        "...",
        "--index",
    ]]),
    case("undo without a word", &["undo", "users.locale"])
        .after(&[&["add", "users.locale", "..."]])
        .exits(3),
    case("plan without contract", &["plan", "users.locale"]),
    case("next without contract", &["next", "users.locale"]),
    case("undo without contract", &["undo", "users.locale", "--yes"]),
    case("status without contract", &["status", "users.locale"]),
    case("unknown topic", &["explain", "constraint"]),
    case("manual of an unknown verb", &["man", "ad"]),
    case("manual into a file", &["man", "--out-dir", "Cargo.toml/man"]).exits(101),
    case("completions of an unknown shell", &["completions", "cmd"]),
];

#[test]
fn wrong_command_lines() {
    insta::assert_snapshot!("command_lines", run(CASES));
}
