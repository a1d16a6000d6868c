//! SQLite: diesel_cli looks for parts of the declared type's name, in this order.

use super::{DerivedType, Named, TypeError, TypeQuery, column_name, table_name};

pub(super) fn derive(query: &TypeQuery<'_>) -> Result<DerivedType, TypeError> {
    let name = declared(query)?;
    let has = |part: &str| name.contains(part);
    let (diesel, rust, features): (_, _, &'static [&'static str]) =
        if name == "boolean" || name == "bool" || has("tiny") && has("int") {
            ("Bool", "bool", &[])
        } else if name == "int2" || has("small") && has("int") {
            ("SmallInt", "i16", &[])
        } else if name == "int8" || has("big") && has("int") {
            ("BigInt", "i64", &[])
        } else if has("int") {
            // diesel_cli looks the reference up under the Rust name, so it misses a renamed column.
            let column = query.column.column.as_str();
            let renamed =
                column_name(column, &table_name(query.column.table.name.as_str())) != column;
            if query.named == Named::RowidReference
                && !renamed
                && query.config.sqlite_integer_primary_key_is_bigint == Some(true)
            {
                ("BigInt", "i64", &[])
            } else {
                ("Integer", "i32", &[])
            }
        } else if has("char") || has("clob") || has("text") {
            ("Text", "String", &[])
        } else if has("blob") || has("binary") || name.is_empty() {
            ("Binary", "Vec<u8>", &[])
        } else if has("float") || has("real") {
            ("Float", "f32", &[])
        } else if has("double") || has("num") || has("dec") {
            ("Double", "f64", &[])
        } else if name == "datetime" || name == "timestamp" {
            ("Timestamp", "chrono::NaiveDateTime", &["chrono"])
        } else if name == "date" {
            ("Date", "chrono::NaiveDate", &["chrono"])
        } else if name == "time" {
            ("Time", "chrono::NaiveTime", &["chrono"])
        } else {
            return Err(query.unusable(
                "`diesel print-schema` stops at a SQLite type whose name holds none of int, char, \
             text, clob, blob, binary, real, float, double, num, dec, and is not bool, date, \
             time, datetime or timestamp; name it after how it is stored, such as `text`",
            ));
        };
    let mut notes = Vec::new();
    if diesel == "Integer" && !matches!(name.as_str(), "int" | "integer") {
        notes.push("read as a 32-bit integer because the name of the type holds `int`");
    } else if diesel == "Integer" {
        notes.push("Diesel reads 32 bits; declare `bigint` for larger numbers");
    } else if diesel == "Float" {
        notes.push("Diesel reads 32 bits, SQLite stores 64; declare `double` for all of them");
    } else if has("num") || has("dec") {
        notes.push("SQLite stores decimal numbers as floating point");
    }
    Ok(DerivedType {
        diesel: diesel.to_owned(),
        max_length: None,
        custom: None,
        rust: Some(rust),
        features,
        notes,
    })
}

/// Returns the type as `table_xinfo` reports it, in lowercase: words joined by one blank, quotes
/// of a single quoted name removed.
fn declared(query: &TypeQuery<'_>) -> Result<String, TypeError> {
    let text = query.sql.trim();
    if text.contains(';') || text.matches('(').count() != text.matches(')').count() {
        return Err(query.unreadable("brackets or semicolons do not belong to a type's name"));
    }
    let bare = ['"', '`', '\'']
        .iter()
        .find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']'))
        .unwrap_or(text);
    let name = bare.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    // diesel_cli takes the words of an untyped generated column for its type.
    Ok(if name == "generated always" { String::new() } else { name })
}
