//! MySQL and MariaDB: diesel_cli reads `COLUMN_TYPE`, which differs from what was written.

use super::{
    CustomType, DerivedType, StubKind, TypeError, TypeQuery, column_name, provided, table_name,
    upper_camel,
};
use crate::backend::{Backend, Product};

pub(super) fn derive(query: &TypeQuery<'_>) -> Result<DerivedType, TypeError> {
    let written = Written::read(query)?;
    let Reported { name, max_length } = reported(query, &written)?;
    let unsigned = written.unsigned;
    let rust_name = upper_camel(&name);
    let mut notes = Vec::new();
    let mut diesel = rust_name.clone();
    let mut custom = None;
    if !provided(Backend::Mysql, &rust_name) {
        if name != "enum" && name != "set" {
            return Err(query.unusable(match name.as_str() {
                "mediumint" => {
                    "`diesel print-schema` writes a struct with `mysql_type(name = \"Mediumint\")`, \
                     which does not compile; use `int`"
                }
                "year" => {
                    "`diesel print-schema` writes a struct with `mysql_type(name = \"Year\")`, \
                     which does not compile; use `smallint`"
                }
                _ => {
                    "Diesel has no such type, and the struct that `diesel print-schema` writes \
                     for it does not compile"
                }
            }));
        }
        if query.config.defines(&rust_name) {
            let table = table_name(query.column.table.name.as_str());
            let column = column_name(query.column.column.as_str(), &table);
            diesel = upper_camel(&format!("{table} {column} {rust_name}"));
            if syn::parse_str::<syn::Ident>(&diesel).is_err() {
                return Err(query.unusable(
                    "`diesel print-schema` names a struct after table and column, and these give \
                     no name of a Rust type",
                ));
            }
            custom = Some(CustomType {
                rust_name: diesel.clone(),
                sql_name: name.clone(),
                kind: StubKind::Mysql { table, column },
            });
        }
    }
    if name == "longtext" && written.name == "json" {
        notes.push("MariaDB stores `json` as `longtext`, so Diesel sees text");
    }
    let (rust, features): (Option<&str>, &'static [&'static str]) = match (name.as_str(), unsigned)
    {
        ("bool", _) => (Some("bool"), &[]),
        ("tinyint", false) => (Some("i8"), &[]),
        ("tinyint", true) => (Some("u8"), &[]),
        ("smallint", false) => (Some("i16"), &[]),
        ("smallint", true) => (Some("u16"), &[]),
        ("integer", false) => (Some("i32"), &[]),
        ("integer", true) => (Some("u32"), &[]),
        ("bigint", false) => (Some("i64"), &[]),
        ("bigint", true) => (Some("u64"), &[]),
        ("float", false) => (Some("f32"), &[]),
        ("double", false) => (Some("f64"), &[]),
        ("decimal", false) => (Some("bigdecimal::BigDecimal"), &["numeric"]),
        ("float" | "double" | "decimal", true) => {
            return Err(query.unusable("Diesel has unsigned integers only"));
        }
        ("char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext", _) => {
            (Some("String"), &[])
        }
        ("binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "bit", _) => {
            (Some("Vec<u8>"), &[])
        }
        ("date", _) => (Some("chrono::NaiveDate"), &["chrono"]),
        ("time", _) => (Some("chrono::NaiveTime"), &["chrono"]),
        ("datetime" | "timestamp", _) => (Some("chrono::NaiveDateTime"), &["chrono"]),
        ("json", _) => (Some("serde_json::Value"), &["serde_json"]),
        _ => (None, &[]),
    };
    if unsigned {
        diesel = format!("Unsigned<{diesel}>");
    }
    Ok(DerivedType { diesel, max_length, custom, rust, features, notes })
}

/// A type as written: its words, its arguments, and whether it is unsigned.
struct Written<'a> {
    /// Words before and after the arguments, in lowercase, without attributes.
    name: String,
    /// Text in the brackets.
    args: Option<&'a str>,
    unsigned: bool,
}

impl<'a> Written<'a> {
    fn read(query: &TypeQuery<'a>) -> Result<Self, TypeError> {
        let text = query.sql.trim();
        let (before, args, after) = match text.find('(') {
            Some(open) => {
                let close = closing(text, open)
                    .ok_or_else(|| query.unreadable("its bracket is not closed"))?;
                (&text[..open], Some(&text[open + 1..close]), &text[close + 1..])
            }
            None => (text, None, ""),
        };
        let words = format!("{before} {after}").to_lowercase();
        let mut words = words.split_whitespace();
        let (mut name, mut unsigned) = (Vec::new(), false);
        while let Some(word) = words.next() {
            match word {
                "unsigned" | "zerofill" => unsigned = true,
                "signed" | "binary" if !name.is_empty() => {}
                "ascii" | "unicode" if !name.is_empty() => {}
                "charset" | "collate" => {
                    words.next();
                }
                // `CHARACTER SET x`, but not the type `character` itself.
                "character" if !name.is_empty() && name != ["national"] => {
                    words.next();
                    words.next();
                }
                "set" if name == ["character"] || name == ["char"] => {
                    return Err(query.unreadable("a character set needs a type before it"));
                }
                word => name.push(word),
            }
        }
        let name = name.join(" ");
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_');
        if name.is_empty() || !name.chars().all(plain) {
            return Err(query.unreadable("expected the name of a type"));
        }
        Ok(Self { name, args, unsigned })
    }

    fn length(&self) -> Option<u64> {
        self.args?.trim().parse().ok()
    }
}

/// Returns the bracket that closes the one at `open`, passing over quoted labels.
fn closing(text: &str, open: usize) -> Option<usize> {
    let mut quoted = None;
    for (at, c) in text[open + 1..].char_indices() {
        match (quoted, c) {
            (None, ')') => return Some(open + 1 + at),
            (None, '\'' | '"') => quoted = Some(c),
            (Some(quote), c) if quote == c => quoted = None,
            _ => {}
        }
    }
    None
}

/// What diesel_cli makes of `COLUMN_TYPE` and `CHARACTER_MAXIMUM_LENGTH`.
struct Reported {
    name: String,
    max_length: Option<u64>,
}

fn reported(query: &TypeQuery<'_>, written: &Written<'_>) -> Result<Reported, TypeError> {
    let length = written.length();
    let plain = |name: &str| Ok(Reported { name: name.to_owned(), max_length: None });
    let sized = |name: &str, length| Ok(Reported { name: name.to_owned(), max_length: length });
    match written.name.as_str() {
        "bool" | "boolean" => plain("bool"),
        "tinyint" | "int1" if length == Some(1) && !written.unsigned => plain("bool"),
        "tinyint" | "int1" => plain("tinyint"),
        "smallint" | "int2" => plain("smallint"),
        "mediumint" | "int3" | "middleint" => plain("mediumint"),
        "int" | "integer" | "int4" => plain("integer"),
        "bigint" | "int8" => plain("bigint"),
        "serial" => Err(query.unusable("it is a key of its own; write `bigint unsigned`")),
        "decimal" | "dec" | "numeric" | "fixed" => plain("decimal"),
        // One argument is a precision in bits.
        "float" if length.is_some_and(|bits| bits > 24) => plain("double"),
        "float" | "float4" => plain("float"),
        "double" | "double precision" | "real" | "float8" => plain("double"),
        "varchar"
        | "character varying"
        | "char varying"
        | "nvarchar"
        | "national varchar"
        | "varcharacter"
        | "nchar varchar"
        | "national char varying"
        | "national character varying"
        | "nchar varying" => match length {
            Some(_) => sized("varchar", length),
            None => Err(query.unreadable("it needs a length")),
        },
        "char" | "character" | "nchar" | "national char" | "national character" => {
            sized("char", Some(length.unwrap_or(1)))
        }
        "binary" => sized("binary", Some(length.unwrap_or(1))),
        "varbinary" => match length {
            Some(_) => sized("varbinary", length),
            None => Err(query.unreadable("it needs a length")),
        },
        "text" | "blob" => plain(match (written.name.as_str(), length) {
            // A length chooses the smallest type that holds it; a character takes four bytes.
            ("text", None) => "text",
            ("text", Some(n)) if n * 4 < 1 << 8 => "tinytext",
            ("text", Some(n)) if n * 4 < 1 << 16 => "text",
            ("text", Some(n)) if n * 4 < 1 << 24 => "mediumtext",
            ("text", Some(_)) => "longtext",
            (_, None) => "blob",
            (_, Some(n)) if n < 1 << 8 => "tinyblob",
            (_, Some(n)) if n < 1 << 16 => "blob",
            (_, Some(n)) if n < 1 << 24 => "mediumblob",
            (_, Some(_)) => "longblob",
        }),
        "long" | "long varchar" | "long char varying" | "long character varying" => {
            plain("mediumtext")
        }
        "long varbinary" => plain("mediumblob"),
        "json" => plain(match query.product {
            Product::Mariadb => "longtext",
            Product::Mysql | Product::Postgres | Product::Sqlite => "json",
        }),
        name @ ("enum" | "set") => labels(query, written, name),
        name => plain(name),
    }
}

/// Measures the labels of an enum (the longest) or set (all, joined by commas).
fn labels(query: &TypeQuery<'_>, written: &Written<'_>, name: &str) -> Result<Reported, TypeError> {
    let args = written.args.ok_or_else(|| query.unreadable("it needs its labels"))?;
    if args.to_lowercase().contains("unsigned") {
        return Err(query.unusable(
            "`diesel print-schema` takes the word `unsigned` in a label for an unsigned number",
        ));
    }
    let mut lengths = Vec::new();
    let mut chars = args.chars().peekable();
    while let Some(quote) = chars.next() {
        if quote != '\'' && quote != '"' {
            continue;
        }
        let mut length = 0;
        while let Some(c) = chars.next() {
            match c {
                c if c == quote && chars.peek() == Some(&quote) => {
                    chars.next();
                }
                c if c == quote => break,
                '\\' => {
                    chars.next();
                }
                _ => {}
            }
            length += 1;
        }
        lengths.push(length);
    }
    let max_length = match name {
        "enum" => lengths.iter().copied().max(),
        _ => Some(lengths.iter().sum::<u64>() + (lengths.len() as u64).saturating_sub(1)),
    };
    if lengths.is_empty() {
        return Err(query.unreadable("it needs its labels"));
    }
    Ok(Reported { name: name.to_owned(), max_length })
}
