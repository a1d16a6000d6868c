//! Literals: of the catalog questions in this module, and of values that a server writes.

pub(crate) use crate::render::text::exact_literal as literal;
use crate::{backend::Backend, ident::Ident, render::text};

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
