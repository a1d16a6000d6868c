//! Names and texts of the catalog questions in this module.

use crate::{backend::Backend, ident::TableName};

/// Returns a text literal that means the same under every setting of the engine.
pub(crate) fn literal(backend: Backend, text: &str) -> String {
    match backend {
        // E'' reads backslashes the same with and without standard_conforming_strings.
        Backend::Postgres => format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        // Hex digits are out of reach of NO_BACKSLASH_ESCAPES and ANSI_QUOTES.
        Backend::Mysql if text.is_empty() => "_utf8mb4''".to_owned(),
        Backend::Mysql => {
            let hex: Vec<String> = text.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("_utf8mb4 0x{}", hex.concat())
        }
        Backend::Sqlite => format!("'{}'", text.replace('\'', "''")),
    }
}

/// Returns a table as `to_regclass` reads it: quoted, with its schema where it has one.
pub(super) fn pg_table(table: &TableName) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    match &table.schema {
        Some(schema) => format!("{}.{}", quoted(schema.as_str()), quoted(table.name.as_str())),
        None => quoted(table.name.as_str()),
    }
}
