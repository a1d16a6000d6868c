//! How `diesel print-schema` names things in Rust.
//!
//! Mirrors `inference.rs` of diesel_cli 2.3 and, for type names, the upper camel case of the
//! `heck` crate that it uses.

/// Names that `table!` generates beside the columns and that print-schema does not evade: a
/// column of this name makes the schema fail to compile.
const UNGUARDED: &[&str] = &["star", "all_columns", "dsl", "SqlType", "BoxedQuery"];

/// Returns the Rust name that print-schema gives a column of the table called `table` in Rust.
pub fn column_name(sql: &str, table: &str) -> String {
    let name = mapped(sql);
    if is_reserved(&name) || name == table { format!("{name}_") } else { name }
}

/// Returns the Rust name that print-schema gives a table or a schema.
pub fn table_name(sql: &str) -> String {
    let name = mapped(sql);
    if is_reserved(&name) { format!("{name}_") } else { name }
}

/// Returns the column's name as `joinable!` repeats it: print-schema asks twice whether the name
/// is reserved, so a name that is reserved even with its underscore gets a second one.
pub(super) fn joinable_column(sql: &str, table: &str) -> String {
    let name = column_name(sql, table);
    if is_reserved(&name) { format!("{name}_") } else { name }
}

/// Reports whether `table!` cannot hold a column, given its name in SQL and in Rust: it generates
/// an item of that name itself, or takes the start of the name for Rust's `r#` and drops it.
pub fn breaks_table(sql: &str, rust: &str) -> bool {
    UNGUARDED.contains(&rust) || sql.starts_with("r#")
}

fn is_reserved(name: &str) -> bool {
    syn::parse_str::<syn::Ident>(name).is_err()
        || ["table", "columns", "is_nullable"].contains(&name)
        || (name.starts_with("__") && !name.ends_with('_'))
}

/// Replaces each run of characters outside `[a-zA-Z0-9_]` by one underscore.
fn mapped(sql: &str) -> String {
    let mut out = String::new();
    let mut underscore = false;
    // A leading digit gets an underscore, and from there on runs count it in.
    if sql.starts_with(|c: char| c.is_ascii_digit()) {
        out.push('_');
        underscore = true;
    }
    for c in sql.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            out.push(c);
            underscore = false;
        } else {
            if !underscore {
                out.push('_');
            }
            underscore = true;
        }
    }
    out
}

/// Returns a string literal as print-schema writes it: raw if the text holds a quote, and never
/// escaped.
pub(super) fn string_literal(text: &str) -> String {
    if text.contains('"') {
        let hashes = "#".repeat(text.matches('#').count() + 1);
        format!("r{hashes}\"{text}\"{hashes}")
    } else {
        format!("\"{text}\"")
    }
}

/// Returns `text` in upper camel case, with the word boundaries of `heck` 0.5.
pub fn upper_camel(text: &str) -> String {
    #[derive(Clone, Copy, PartialEq)]
    enum Mode {
        Boundary,
        Lower,
        Upper,
    }
    let mut out = String::new();
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        let mut chars = word.char_indices().peekable();
        let mut start = 0;
        let mut mode = Mode::Boundary;
        while let Some((at, c)) = chars.next() {
            let Some(&(next_at, next)) = chars.peek() else {
                capitalize(&word[start..], &mut out);
                break;
            };
            let next_mode = if c.is_lowercase() {
                Mode::Lower
            } else if c.is_uppercase() {
                Mode::Upper
            } else {
                mode
            };
            if next_mode == Mode::Lower && next.is_uppercase() {
                capitalize(&word[start..next_at], &mut out);
                start = next_at;
                mode = Mode::Boundary;
            } else if mode == Mode::Upper && c.is_uppercase() && next.is_lowercase() {
                capitalize(&word[start..at], &mut out);
                start = at;
                mode = Mode::Boundary;
            } else {
                mode = next_mode;
            }
        }
    }
    out
}

fn capitalize(word: &str, out: &mut String) {
    let mut chars = word.chars();
    if let Some(first) = chars.next() {
        out.extend(first.to_uppercase());
        let mut rest = chars.peekable();
        while let Some(c) = rest.next() {
            if c == 'Σ' && rest.peek().is_none() {
                out.push('ς');
            } else {
                out.extend(c.to_lowercase());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_as_print_schema_renames_them() {
        for (sql, rust) in [
            ("locale", "locale"),
            ("type", "type_"),
            ("self", "self_"),
            ("users", "users_"),
            ("table", "table_"),
            ("columns", "columns_"),
            ("is_nullable", "is_nullable_"),
            ("__x", "__x_"),
            ("__x_", "__x_"),
            ("MixedCase", "MixedCase"),
            ("a-b  c", "a_b_c"),
            ("-", "__"),
            ("1st", "_1st"),
            ("1-2", "_1_2"),
            ("größe", "gr_e"),
            ("_", "__"),
            ("a-_b", "a__b"),
        ] {
            assert_eq!(column_name(sql, "users"), rust, "{sql}");
        }
    }

    #[test]
    fn camel_case_as_heck_writes_it() {
        for (text, camel) in [
            ("int4", "Int4"),
            ("pg_lsn", "PgLsn"),
            ("users mood enum", "UsersMoodEnum"),
            ("HTTPServer", "HttpServer"),
            ("xmlHTTPRequest2go", "XmlHttpRequest2go"),
            ("my-type.x", "MyTypeX"),
            ("", ""),
        ] {
            assert_eq!(upper_camel(text), camel);
        }
    }

    #[test]
    fn literals_turn_raw_for_a_quote() {
        assert_eq!(string_literal("a#b"), "\"a#b\"");
        assert_eq!(string_literal("a\"#b"), "r##\"a\"#b\"##");
    }
}
