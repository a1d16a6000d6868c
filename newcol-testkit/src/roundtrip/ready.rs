//! The test that a silent change leaves behind.
//!
//! It stands on its own but for three functions that the property was given or made from:
//! `connection`, `insert` and `load`.

use super::{Column, attempt::insert_sql, session, verdict::How};

/// Returns a test that fails as long as a value changes.
pub(super) fn test(column: &Column<'_>, wrote: &str, how: &How) -> String {
    let name = test_name(column);
    let body = match how {
        How::Read => format!(
            "    let row = (1, {wrote});\n    \
                 insert(&mut conn, &[row.clone()]).unwrap();\n    \
                 let read = load(&mut conn).unwrap();\n    \
                 assert_eq!(format!(\"{{read:?}}\"), format!(\"{{:?}}\", [row]));\n"
        ),
        How::Reader { name } => format!(
            "    let wrote = {wrote};\n    \
                 insert(&mut conn, &[(1, wrote.clone())]).unwrap();\n    \
                 // `load` of the reader {name:?}; an error is fine, another value is not.\n    \
                 if let Ok(read) = load(&mut conn) {{\n        \
                     assert_eq!(format!(\"{{:?}}\", read[0].1), format!(\"{{wrote:?}}\"));\n    \
                 }}\n"
        ),
        How::Literal { literal, .. } => format!(
            "    insert(&mut conn, &[(1, {wrote})]).unwrap();\n    \
                 conn.batch_execute({}).unwrap();\n{}",
            raw(&insert_sql(column, &[(2, literal)])),
            same_texts(column)
        ),
        How::Rewritten { .. } => format!(
            "    conn.batch_execute({}).unwrap();\n    \
                 let read = load(&mut conn).unwrap().remove(0).1;\n    \
                 insert(&mut conn, &[(2, read)]).unwrap();\n{}",
            raw(&insert_sql(column, &[(1, wrote)])),
            same_texts(column)
        ),
    };
    let uses = match how {
        How::Read | How::Reader { .. } => "",
        How::Literal { .. } | How::Rewritten { .. } => {
            "    use diesel::{connection::SimpleConnection, prelude::*};\n"
        }
    };
    format!("#[test]\nfn {name}() {{\n{uses}    let mut conn = connection();\n{body}}}\n")
}

fn test_name(column: &Column<'_>) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = format!("{}_{}", column.table, column.name).chars().map(plain).collect();
    format!("{}_comes_back_as_it_was_written", name.trim_matches('_'))
}

/// Compares the texts of both rows.
fn same_texts(column: &Column<'_>) -> String {
    format!(
        "    let texts: Vec<newcol_testkit::roundtrip::TextRow> = diesel::sql_query({}).load(&mut conn).unwrap();\n    \
             assert_eq!(texts[0].value, texts[1].value);\n",
        raw(&(session::texts(column) + " ORDER BY 1"))
    )
}

/// Writes a text as a raw string of Rust.
fn raw(text: &str) -> String {
    let mut hashes = String::new();
    while text.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    if hashes.is_empty() && !text.contains('\\') {
        return format!("{text:?}");
    }
    format!("r{hashes}\"{text}\"{hashes}")
}
