//! Literals: of the catalog questions in this module, and of values that a server writes.

use crate::{backend::Backend, ident::Ident, render::text};

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

/// Returns an expression by which the server itself writes a column's value as a literal of its own
/// dialect, given the column's type as the catalog names it; NULL is the word NULL.
pub fn written_by_server(backend: Backend, column: &Ident, ty: &str) -> String {
    let name = text::name(backend, column);
    match backend {
        Backend::Postgres => format!("quote_nullable({name}::text)"),
        Backend::Sqlite => format!("quote({name})"),
        Backend::Mysql => {
            let ty = ty.to_ascii_lowercase();
            if ty.starts_with("bit") {
                format!("coalesce(concat('b''', bin({name}), ''''), 'NULL')")
            } else if ty.contains("binary") || ty.contains("blob") {
                format!("coalesce(concat('x''', hex({name}), ''''), 'NULL')")
            } else {
                format!("quote({name})")
            }
        }
    }
}
