//! Arbitrary inputs for what reads the user's files: the editor of schema.rs and the reader of
//! contracts.
//!
//! The equivalent of `cargo fuzz` on stable Rust: real-looking texts, mutated by bytes and by
//! tokens with a fixed seed, for two seconds each or for `NEWCOL_FUZZ_SECONDS`. What is found
//! is kept as a case below.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use newcol_core::{
    backend::Product,
    contract::{
        edit::write,
        read::{ContractFile, line_col, read},
    },
    ident::Ident,
    schema::{
        NewColumn, Position, SchemaEdit, SchemaError, SchemaFile, apply,
        diesel_toml::{ColumnSorting, PrintSchemaConfig},
    },
};
use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

/// Counts of what a run met.
#[derive(Debug, Default)]
struct Met {
    inputs: u64,
    accepted: u64,
}

/// Feeds a check with inputs until the time is over; the check says whether it took the input.
#[track_caller]
fn fuzz(name: &str, seeds: &[&str], words: &[&str], check: impl Fn(&str, u32) -> bool) {
    let seconds = std::env::var_os("NEWCOL_FUZZ_SECONDS");
    let seconds = seconds.map_or(2, |text| text.into_string().unwrap().parse().unwrap());
    // Long runs go elsewhere each time; short ones are the same everywhere.
    let seed = if seconds > 10 { u64::from(std::process::id()) } else { 0x6e65_7763_6f6c };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut met = Met::default();
    let mut pool: Vec<String> = seeds.iter().map(|s| (*s).to_owned()).collect();
    while Instant::now() < end {
        let mut text = pool[below(&mut rng, pool.len())].clone();
        for _ in 0..=below(&mut rng, 6) {
            text = mutated(&mut rng, &text, words);
        }
        let choice = rng.next_u32();
        met.inputs += 1;
        // Each text parsed is kept by proc-macro2 until its thread ends or it is told otherwise.
        proc_macro2::extra::invalidate_current_thread_spans();
        match catch_unwind(AssertUnwindSafe(|| check(&text, choice))) {
            Ok(true) => {
                met.accepted += 1;
                // What is accepted is worth going on from; the pool stays small.
                if text.len() < 20_000 && below(&mut rng, 4) == 0 {
                    let at = seeds.len() + below(&mut rng, 64);
                    if at < pool.len() {
                        pool[at] = text;
                    } else {
                        pool.push(text);
                    }
                }
            }
            Ok(false) => {}
            Err(_) => panic!("{name}: input {} with choice {choice}:\n{text}", met.inputs),
        }
    }
    eprintln!("fuzz {name}: {} inputs, {} accepted, {seconds} s", met.inputs, met.accepted);
    assert!(met.accepted > 0, "{name}: nothing was accepted, so nothing was checked");
}

fn below(rng: &mut TestRng, end: usize) -> usize {
    rng.next_u32() as usize % end.max(1)
}

/// Returns a place in a text at which it can be cut.
fn place(rng: &mut TestRng, text: &str) -> usize {
    let mut at = below(rng, text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Returns a piece of a text: some bytes, a word, or a line.
fn piece(rng: &mut TestRng, text: &str) -> std::ops::Range<usize> {
    let from = place(rng, text);
    let length = |found: Option<usize>| found.map_or(text.len(), |n| from + n);
    let end = match below(rng, 3) {
        0 => {
            let mut end = (from + 1 + below(rng, 8)).min(text.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            end
        }
        1 => length(text[from..].find(|c: char| !c.is_alphanumeric() && c != '_')).max(from),
        _ => length(text[from..].find('\n').map(|n| n + 1)),
    };
    from..end
}

fn mutated(rng: &mut TestRng, text: &str, words: &[&str]) -> String {
    const ODD: &[&str] = &[
        "\0",
        "\u{feff}",
        "\r\n",
        "\r",
        "\t",
        "é",
        "\u{202e}",
        "😀",
        "\"",
        "'",
        "\\",
        "r#\"",
        "\"#",
        "/*",
        "*/",
        "//",
        "///",
        "//!",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "<",
        ">",
        ",",
        ";",
        "#",
        "!",
        "::",
        "->",
        "=",
        ".",
        "<<<<<<< HEAD\n",
        ">>>>>>> x\n",
    ];
    let mut text = text.to_owned();
    let range = piece(rng, &text);
    match below(rng, 7) {
        0 => text.replace_range(range, ""),
        1 => {
            let copy = text[range].to_owned();
            let at = place(rng, &text);
            text.insert_str(at, &copy);
        }
        2 => {
            let other = piece(rng, &text);
            let copy = text[other].to_owned();
            text.replace_range(range, &copy);
        }
        3 => text.replace_range(range, words[below(rng, words.len())]),
        4 => text.insert_str(range.start, words[below(rng, words.len())]),
        5 => text.insert_str(range.start, ODD[below(rng, ODD.len())]),
        _ => {
            // One byte, as a broken disk would change it.
            let mut bytes = text.into_bytes();
            if !bytes.is_empty() {
                let at = below(rng, bytes.len());
                bytes[at] = rng.next_u32().to_le_bytes()[0];
            }
            text = String::from_utf8_lossy(&bytes).into_owned();
        }
    }
    text
}

const GENERATED: &str = r#"// @generated automatically by Diesel CLI.

pub mod sql_types {
    #[derive(diesel::query_builder::QueryId, diesel::sql_types::SqlType)]
    #[diesel(postgres_type(name = "mood"))]
    pub struct Mood;
}

diesel::table! {
    /// All posts.
    posts (id) {
        id -> Int4,
        user_id -> Int4,
        #[max_length = 255]
        title -> Varchar,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::sql_types::Mood;

    #[sql_name = "Users"]
    users (id, name) {
        id -> Int4,
        /// What to call them.
        name -> Text,
        mood -> Nullable<Mood>,
        #[sql_name = "type"]
        type_ -> Nullable<Array<Nullable<Text>>>,
    }
}

diesel::joinable!(posts -> users (user_id));

diesel::allow_tables_to_appear_in_same_query!(
    posts,
    users,
);
"#;

const BY_HAND: &str = r#"
#![allow(missing_docs)]
use diesel::prelude::*;

// Ours since 2019.
table! { users { id -> Integer, name -> Text /* never empty */ } }

mod audit {
    diesel::table! {
        audit.log (id) {
            id -> BigInt, // counts
            body -> diesel::sql_types::Nullable<Text>
        }
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "sqlite")] {
        table! {
            posts (id) {
                id -> Integer,
                r#type -> Text,
            }
        }
    }
}
"#;

const SCHEMA_WORDS: &[&str] = &[
    "table!",
    "diesel::table!",
    "users",
    "posts",
    "audit.",
    "id",
    "name",
    "locale",
    "locale_",
    "Integer",
    "Nullable<",
    "Nullable<Text>",
    "->",
    "(id)",
    "joinable!(posts -> users (id));",
    "allow_tables_to_appear_in_same_query!(posts, users);",
    "#[sql_name = \"x\"]",
    "#[sql_name = \"locale\"]",
    "#[max_length = 3]",
    "#[cfg(test)]",
    "/// doc\n",
    "// c\n",
    "/* c */",
    "use diesel::sql_types::*;",
    "pub mod sql_types {",
    "pub struct Mood;",
    "#[diesel(postgres_type(name = \"mood\"))]",
    "macro_rules! x { () => {} }",
    "r#type",
    "        ",
    "id -> Integer,",
    "// @generated automatically by Diesel CLI.\n",
];

fn columns(file: &SchemaFile) -> usize {
    file.tables.iter().map(|table| table.columns.len()).sum()
}

/// Any accepted edit reads again with exactly one column more, and undoing it restores the bytes.
fn edits_are_exact(text: &str, choice: u32) -> bool {
    let table = ["users", "Users", "posts", "audit.log"][(choice % 4) as usize].parse().unwrap();
    let name = ["locale", "type", "Id", "mood ring", "é\"\\", "ZZZ"][(choice / 4 % 6) as usize];
    let config = PrintSchemaConfig {
        column_sorting: if choice & 1 << 10 == 0 {
            ColumnSorting::OrdinalPosition
        } else {
            ColumnSorting::Name
        },
        ..PrintSchemaConfig::default()
    };
    let product =
        [Product::Postgres, Product::Mariadb, Product::Sqlite][(choice >> 11) as usize % 3];
    let column = Ident::new(name).unwrap();
    let ty = ["Text", "Nullable<Text>", "Nullable<Array<Nullable<Int4>>>"];
    let add = SchemaEdit::AddColumn {
        table,
        column: NewColumn {
            name: column.clone(),
            ty: ty[(choice >> 13) as usize % 3].to_owned(),
            max_length: (choice & 1 << 15 != 0).then_some(16),
            docs: None,
            position: Position::Last,
            custom: None,
        },
    };
    let SchemaEdit::AddColumn { table, .. } = &add else { unreachable!() };
    let drop = SchemaEdit::DropColumn { table: table.clone(), column };
    let Ok(before) = SchemaFile::parse(text) else {
        assert!(apply(text, product, &config, &[add]).is_err(), "edits what it cannot read");
        return false;
    };
    let edited = match apply(text, product, &config, &[add]) {
        Ok(edited) => edited,
        Err(error) => {
            if let Some(at) = error.place() {
                assert!(at.range.end <= text.len() && at.line > 0 && at.column > 0);
            }
            return false;
        }
    };
    let after = SchemaFile::parse(&edited).unwrap();
    assert_eq!(columns(&after), columns(&before) + 1, "not one column more:\n{edited}");
    assert_eq!(after.tables.len(), before.tables.len());
    match apply(&edited, product, &config, &[drop]) {
        Ok(restored) => assert_eq!(restored, text, "not restored from:\n{edited}"),
        // It was empty, which Diesel does not accept and we do not mend.
        Err(SchemaError::LastColumn { .. }) => {}
        Err(error) => panic!("cannot be undone: {error}\n{edited}"),
    }
    true
}

const CONTRACT: &str = r#"# Ours.
format = 1
table = "users"
column = "locale"
why = "E-mails go out in the reader's language"
type = "varchar(16)"
required = true

[old_rows]
fill = "coalesce(settings->>'locale', 'en')"

[old_writers]
by = "trigger"

[default]
value = "'en'"
keep = false

[index]
method = "btree"
unique = true
where = "locale <> 'en'"
include = ["name"]

[references]
table = "locales"
column = "code"
on_delete = "cascade"

[check]
expr = "length(locale) > 1"

[retire]
by = 2027-03-01

[mysql]
type = "varchar(255)"
fill = "'en'"

[measured]
server = "PostgreSQL 15.4"
default_volatility = "immutable"
type_rewrites = false
partitioned = true
"#;

const SMALL_CONTRACT: &str =
    "format = 1\ntable = 't'\ncolumn = 'c'\nwhy = '''x'''\ntype = 'text'\nrequired = false\n";

const CONTRACT_WORDS: &[&str] = &[
    "format",
    "table",
    "column",
    "why",
    "type",
    "required",
    "diesel",
    "true",
    "false",
    "1",
    "2",
    "[default]\n",
    "[index]\n",
    "[references]\n",
    "[replaces]\n",
    "[generated]\n",
    "as = \"name\"",
    "[retire]\n",
    "[sqlite]\n",
    "[postgres]\n",
    "[[index]]\n",
    "back = \"x\"",
    "keep = true",
    "rust = \"crate::fill\"",
    "by = \"nobody\"",
    "on_delete = \"set null\"",
    "\"\"\"",
    "'''",
    "\"a.b\"",
    "\"\\u0000\"",
    "NULL",
    "'x'",
    "1979-05-27T07:32:00Z",
    "nan",
    "0x1F",
    "{ a = 1 }",
    "unique = true",
    "value = \"1\"",
    "\"varchar(3)\"",
    "= ",
    "\n",
];

/// An accepted contract is written and read again as the same one; places lie in the text.
fn contracts_round_trip(text: &str, _: u32) -> bool {
    match read(text) {
        Ok(file) => {
            let written = write(&file);
            let again: ContractFile = match read(&written) {
                Ok(again) => again,
                Err(complaints) => panic!("is not read again: {complaints:?}\n{written}"),
            };
            assert_eq!(again, file, "is another one now:\n{written}");
            assert_eq!(write(&again), written, "is written in another way now");
            true
        }
        Err(complaints) => {
            assert!(!complaints.is_empty());
            for complaint in complaints {
                assert!(complaint.span.end <= text.len(), "{complaint:?}");
                assert!(!complaint.message.is_empty());
                let (line, column) = line_col(text, complaint.span.start);
                assert!(line > 0 && column > 0);
            }
            false
        }
    }
}

#[test]
fn the_schema_editor_survives_anything() {
    fuzz("schema.rs", &[GENERATED, BY_HAND], SCHEMA_WORDS, edits_are_exact);
}

#[test]
fn the_contract_reader_survives_anything() {
    fuzz("contract", &[CONTRACT, SMALL_CONTRACT], CONTRACT_WORDS, contracts_round_trip);
}

#[test]
fn the_seeds_are_accepted() {
    assert!(edits_are_exact(GENERATED, 0) || edits_are_exact(GENERATED, 2));
    assert!(edits_are_exact(BY_HAND, 3));
    assert!(contracts_round_trip(SMALL_CONTRACT, 0));
    assert!(contracts_round_trip(CONTRACT, 0), "{:?}", read(CONTRACT));
    assert!(matches!(SchemaFile::parse("<<<<<<<\n>>>>>>>"), Err(SchemaError::Conflict { .. })));
}
