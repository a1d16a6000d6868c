//! Written names as the server compares them.

use sqlparser::ast::{Expr, Ident, ObjectName};

/// Only PostgreSQL tells names apart by case, and only quoted ones; the others quote with backquotes.
pub(super) fn fold(ident: &Ident) -> String {
    match ident.quote_style {
        None | Some('`') => ident.value.to_lowercase(),
        Some(_) => ident.value.clone(),
    }
}

pub(super) fn parts(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(|part| part.as_ident()).map(fold).collect()
}

pub(in crate::watch) fn own_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(fold(ident)),
        Expr::CompoundIdentifier(idents) => idents.last().map(fold),
        Expr::Cast { expr, .. } => own_name(expr),
        _ => None,
    }
}
