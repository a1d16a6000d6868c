//! Names and SQL that try to get out of their quotes, and names that no engine or no Rust holds.
//!
//! Names that an engine does accept work quoted; that they do is shown where servers run.

use super::{Case, On, case, run};

pub(super) const CASES: &[Case] = &[
    case("table with an injection", &["add", "\"users\"\"; DROP TABLE x; --\".locale", "..."]),
    case("table with backticks", &["add", "`users`.locale", "..."]),
    case("table in another case", &["add", "Users.locale", "..."]),
    case("column with a newline", &["add", "users.lo\ncale", "..."]),
    case("column with a tab", &["add", "users.lo\tcale", "..."]),
    case("column with an escape sequence", &["add", "users.\u{1b}[31mred", "..."]),
    case(
        "column of 64 bytes",
        &["add", "users.a234567890123456789012345678901234567890123456789012345678901234", "..."],
    ),
    case(
        "column of 64 bytes in 16 characters",
        &["add", "users.😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀", "..."],
    ),
    case(
        "column of 65 characters on MySQL",
        &["add", "users.a2345678901234567890123456789012345678901234567890123456789012345", "..."],
    )
    .on(On::Mysql),
    case("empty column", &["add", "users.", "..."]),
    case("empty table", &["add", ".locale", "..."]),
    case("quotes that do not close", &["add", "users.\"locale", "..."]),
    case("name that table! uses: star", &["add", "users.star", "..."]),
    case("name that table! uses: dsl", &["add", "users.dsl", "..."]),
    case("name that table! uses: all_columns", &["add", "users.all_columns", "..."]),
    case("column that exists", &["add", "users.name", "..."]),
    case("column that exists in another case", &["add", "users.NAME", "..."]).on(On::Sqlite),
    case(
        "type with an injection",
        &["add", "users.locale", "--type", "text; DROP TABLE x", "--optional", "--why", "x"],
    ),
    case(
        "type with a comment",
        &["add", "users.locale", "--type", "text --", "--optional", "--why", "x"],
    ),
    case(
        "type with a second action",
        &["add", "users.locale", "--type", "text, DROP COLUMN name", "--optional", "--why", "x"],
    ),
    case(
        "type with a second action behind brackets",
        &["add", "users.locale", "--type", "numeric(1), ADD x text", "--optional", "--why", "x"],
    )
    .on(On::Mysql),
    case("empty type", &["add", "users.locale", "--type", "", "--optional", "--why", "x"]),
    case(
        "default with an injection",
        &["add", "users.locale", "...", "--default", "'a'); DROP TABLE x; --"],
    ),
    case("default that opens a quote", &["add", "users.locale", "...", "--default", "'a"]),
    case("default that opens a dollar quote", &["add", "users.locale", "...", "--default", "$$a"]),
    case("default that opens a comment", &["add", "users.locale", "...", "--default", "1 /* x"]),
    case("default that is empty", &["add", "users.locale", "...", "--default", ""]),
    case(
        "default with a comment that MySQL runs",
        &["add", "users.locale", "...", "--default", "1 /*!50000 ), ADD x int */"],
    )
    .on(On::Mysql),
    case(
        "fill with an injection",
        &["add", "users.locale", "...", "--fill", "name) WHERE 1; DROP TABLE x"],
    ),
    case("fill with a second expression", &["add", "users.locale", "...", "--fill", "name, 1"]),
    case(
        "fill with a query of another table",
        &["add", "users.locale", "...", "--fill", "(SELECT max(title) FROM posts"],
    ),
    case(
        "check with an injection",
        &["add", "users.locale", "...", "--check", "true); DROP TABLE x; --"],
    ),
    case(
        "generated with an injection",
        &["add", "users.locale", "...", "--generated", "name) STORED, ADD y int; --"],
    )
    .on(On::Sqlite),
    case(
        "back with an injection",
        &[
            "add",
            "users.nick",
            "...",
            "--replaces",
            "name",
            "--fill",
            "name",
            "--back",
            "nick; DROP TABLE x",
        ],
    ),
    case(
        "index predicate with an injection",
        &["add", "users.locale", "...", "--index-where", "true; DROP TABLE x"],
    ),
    case(
        "index method with an injection",
        &["add", "users.locale", "...", "--index", "gin (id); DROP TABLE x; --"],
    ),
    case("index method that MySQL lacks", &["add", "users.locale", "...", "--index", "gin"])
        .on(On::Mysql),
    case(
        "included column with an injection",
        &["add", "users.locale", "...", "--include", "name); DROP TABLE x; --"],
    ),
    case("included column that is empty", &["add", "users.locale", "...", "--include", "name,"]),
    case(
        "reference with an injection",
        &["add", "users.team", "...", "--references", "posts(id); DROP TABLE x; --(id)"],
    ),
    case(
        "reference that ends nowhere",
        &["add", "users.team", "...", "--references", "posts(id); --"],
    ),
    case("reference without column", &["add", "users.team", "...", "--references", "posts()"]),
    case(
        "replaced column with an injection",
        &[
            "add",
            "users.nick",
            "...",
            "--replaces",
            "name\"; --",
            "--fill",
            "name",
            "--back",
            "nick",
        ],
    ),
    case(
        "reason with a control character",
        &["add", "users.locale", "--type", "text", "--optional", "--why", "a\u{1}b"],
    ),
];

#[test]
fn wrong_names_and_injections() {
    insta::assert_snapshot!("names", run(CASES));
}
