//! PostgreSQL: diesel_cli reads `udt_name`, the name of the type in `pg_type`.

use super::{
    CustomType, DerivedType, Named, StubKind, TypeError, TypeQuery, provided, upper_camel,
};
use crate::backend::Backend;

pub(super) fn derive(query: &TypeQuery<'_>) -> Result<DerivedType, TypeError> {
    let mut written = Written::read(query, query.sql)?;
    let array = written.array;
    let mut udt = built_in(&written);
    let mut schema = written.schema.clone();
    let mut limit = max_length(&written, udt);
    if let Named::DomainOver(base) = query.named {
        let printed_as_itself =
            query.config.pg_domains_as_custom_types.iter().any(|rx| rx.is_match(&written.name));
        let base = Written::read(query, base)?;
        let base_udt = built_in(&base);
        limit = max_length(&base, base_udt);
        if array || base.array {
            // The element of an array keeps its domain; a domain over an array is an array.
            limit = None;
        }
        if !array && !printed_as_itself {
            udt = base_udt;
            schema.clone_from(&base.schema);
            written = base;
        }
    }
    let array = array || written.array;
    let sql_name = udt.map_or_else(|| written.name.clone(), str::to_owned);
    if udt.is_none() && sql_name.is_empty() {
        return Err(query.unreadable("expected the name of a type"));
    }
    let rust_name = upper_camel(&sql_name);
    if sql_name == "bit" {
        return Err(query.unusable(
            "`diesel print-schema` writes `Bit`, an alias of `Binary`, which has another wire \
             format; use `bytea` or an integer",
        ));
    }
    if syn::parse_str::<syn::Ident>(&rust_name).is_err() {
        return Err(query.unusable("its name gives no name of a Rust type"));
    }
    let mut notes = Vec::new();
    if array && matches!(sql_name.as_str(), "varchar" | "citext") {
        notes.push("PostgreSQL does not coerce it to `text[]`, as which Diesel sends it");
    }
    let custom = (!provided(Backend::Postgres, &rust_name) && query.config.defines(&rust_name))
        .then(|| CustomType {
            rust_name: rust_name.clone(),
            sql_name: sql_name.clone(),
            kind: StubKind::Postgres { schema: stub_schema(query, schema.as_deref(), &sql_name) },
        });
    let (rust, features) = if array { (None, &[][..]) } else { rust_type(&sql_name) };
    let diesel = if array { format!("Array<Nullable<{rust_name}>>") } else { rust_name };
    let rust = if array { array_rust_type(&sql_name) } else { rust };
    let features = if array { rust_type(&sql_name).1 } else { features };
    Ok(DerivedType { diesel, max_length: limit, custom, rust, features, notes })
}

/// Returns the schema that is printed with a struct.
fn stub_schema(query: &TypeQuery<'_>, written: Option<&str>, name: &str) -> Option<String> {
    let schema = match (query.named, written) {
        (Named::InSchema(schema), _) => schema,
        (_, Some(schema)) => schema,
        (Named::Unknown | Named::DomainOver(_) | Named::RowidReference, None) => {
            if CATALOG.contains(&name) { "pg_catalog" } else { query.default_schema }
        }
    };
    (schema != query.default_schema).then(|| schema.to_owned())
}

/// Types of `pg_catalog` that Diesel does not provide.
const CATALOG: &[&str] = &[
    "aclitem",
    "bit",
    "box",
    "cid",
    "circle",
    "jsonpath",
    "line",
    "lseg",
    "name",
    "path",
    "pg_snapshot",
    "point",
    "polygon",
    "refcursor",
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
    "tid",
    "timetz",
    "tsquery",
    "tsvector",
    "txid_snapshot",
    "varbit",
    "xid",
    "xid8",
    "xml",
];

/// A type as written.
struct Written {
    schema: Option<String>,
    /// The name: folded to lowercase unless quoted, words joined by one blank.
    name: String,
    quoted: bool,
    /// Text in the brackets.
    args: Option<String>,
    array: bool,
}

impl Written {
    fn read(query: &TypeQuery<'_>, text: &str) -> Result<Self, TypeError> {
        let mut written =
            Self { schema: None, name: String::new(), quoted: false, args: None, array: false };
        let mut rest = text.trim();
        while let Some(c) = rest.chars().next() {
            match c {
                '"' => {
                    let (name, after) = quoted(&rest[1..])
                        .ok_or_else(|| query.unreadable("its quotes are not closed"))?;
                    if !written.name.is_empty() {
                        return Err(query.unreadable("unexpected quoted name"));
                    }
                    written.name = name;
                    written.quoted = true;
                    rest = after;
                }
                '.' if written.schema.is_none() && !written.name.is_empty() => {
                    written.schema = Some(std::mem::take(&mut written.name));
                    written.quoted = false;
                    rest = &rest[1..];
                }
                '(' => {
                    let close = rest
                        .find(')')
                        .ok_or_else(|| query.unreadable("its bracket is not closed"))?;
                    written.args = Some(rest[1..close].trim().to_owned());
                    rest = &rest[close + 1..];
                }
                '[' => {
                    let close = rest
                        .find(']')
                        .ok_or_else(|| query.unreadable("its bracket is not closed"))?;
                    written.array = true;
                    rest = &rest[close + 1..];
                }
                c if c.is_whitespace() => rest = rest.trim_start(),
                c if c.is_alphanumeric() || c == '_' || c == '$' => {
                    let end = rest
                        .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
                        .unwrap_or(rest.len());
                    let word: String =
                        rest[..end].chars().map(|c| c.to_ascii_lowercase()).collect();
                    if word == "array" && !written.name.is_empty() {
                        written.array = true;
                    } else {
                        if !written.name.is_empty() {
                            written.name.push(' ');
                        }
                        written.name.push_str(&word);
                    }
                    rest = &rest[end..];
                }
                _ => return Err(query.unreadable("unexpected character")),
            }
        }
        if written.name.is_empty() {
            return Err(query.unreadable("expected the name of a type"));
        }
        if !written.quoted && written.name.contains(' ') && built_in(&written).is_none() {
            return Err(query.unreadable("no type has a name of these words"));
        }
        Ok(written)
    }
}

/// Reads a quoted name after its opening quote; returns it and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None => return Some((name, rest)),
        }
    }
}

/// Returns the name in `pg_type` for a name that SQL spells differently, or that is the same.
fn built_in(written: &Written) -> Option<&'static str> {
    if written.schema.as_deref().is_some_and(|schema| schema != "pg_catalog") {
        return None;
    }
    if written.quoted || written.schema.is_some() {
        // `"char"` is a type of its own; the others are named as in the catalog.
        return None;
    }
    // `interval day to second` has its fields after the name.
    let first = written.name.split(' ').next().unwrap_or_default();
    if first == "interval" {
        return Some("interval");
    }
    Some(match written.name.as_str() {
        "bool" | "boolean" => "bool",
        "int2" | "smallint" | "smallserial" | "serial2" => "int2",
        "int4" | "int" | "integer" | "serial" | "serial4" => "int4",
        "int8" | "bigint" | "bigserial" | "serial8" => "int8",
        "float4" | "real" => "float4",
        "float8" | "double precision" => "float8",
        "float" => match written.args.as_deref().and_then(|bits| bits.parse::<u32>().ok()) {
            Some(bits) if bits <= 24 => "float4",
            _ => "float8",
        },
        "numeric" | "decimal" | "dec" => "numeric",
        "varchar"
        | "character varying"
        | "char varying"
        | "national character varying"
        | "national char varying"
        | "nchar varying" => "varchar",
        "char" | "character" | "nchar" | "national character" | "national char" | "bpchar" => {
            "bpchar"
        }
        "bit varying" | "varbit" => "varbit",
        "bit" => "bit",
        "time" | "time without time zone" => "time",
        "timetz" | "time with time zone" => "timetz",
        "timestamp" | "timestamp without time zone" => "timestamp",
        "timestamptz" | "timestamp with time zone" => "timestamptz",
        _ => return None,
    })
}

/// Returns `character_maximum_length` of the column.
fn max_length(written: &Written, udt: Option<&str>) -> Option<u64> {
    let length = written.args.as_deref().and_then(|args| args.parse().ok());
    match udt.unwrap_or(&written.name) {
        _ if written.array => None,
        "varchar" | "varbit" => length,
        // Without length, `char` is one long, `bpchar` unlimited.
        "bpchar" if written.name == "bpchar" => length,
        "bpchar" | "bit" => length.or(Some(1)),
        _ => None,
    }
}

fn rust_type(udt: &str) -> (Option<&'static str>, &'static [&'static str]) {
    match udt {
        "bool" => (Some("bool"), &[]),
        "int2" => (Some("i16"), &[]),
        "int4" => (Some("i32"), &[]),
        "int8" => (Some("i64"), &[]),
        "float4" => (Some("f32"), &[]),
        "float8" => (Some("f64"), &[]),
        "numeric" => (Some("bigdecimal::BigDecimal"), &["numeric"]),
        "money" => (Some("diesel::data_types::PgMoney"), &[]),
        "text" | "varchar" | "bpchar" | "citext" => (Some("String"), &[]),
        "bytea" => (Some("Vec<u8>"), &[]),
        "date" => (Some("chrono::NaiveDate"), &["chrono"]),
        "time" => (Some("chrono::NaiveTime"), &["chrono"]),
        "timestamp" => (Some("chrono::NaiveDateTime"), &["chrono"]),
        "timestamptz" => (Some("chrono::DateTime<chrono::Utc>"), &["chrono"]),
        "interval" => (Some("diesel::data_types::PgInterval"), &[]),
        "uuid" => (Some("uuid::Uuid"), &["uuid"]),
        "json" | "jsonb" => (Some("serde_json::Value"), &["serde_json"]),
        "inet" | "cidr" => (Some("ipnetwork::IpNetwork"), &["network-address"]),
        "macaddr" => (Some("[u8; 6]"), &[]),
        "macaddr8" => (Some("[u8; 8]"), &[]),
        "oid" => (Some("u32"), &[]),
        "pg_lsn" => (Some("diesel::pg::data_types::PgLsn"), &[]),
        "int4range" => (Some("(std::ops::Bound<i32>, std::ops::Bound<i32>)"), &[]),
        "int8range" => (Some("(std::ops::Bound<i64>, std::ops::Bound<i64>)"), &[]),
        _ => (None, &[]),
    }
}

fn array_rust_type(udt: &str) -> Option<&'static str> {
    Some(match udt {
        "bool" => "Vec<Option<bool>>",
        "int2" => "Vec<Option<i16>>",
        "int4" => "Vec<Option<i32>>",
        "int8" => "Vec<Option<i64>>",
        "float4" => "Vec<Option<f32>>",
        "float8" => "Vec<Option<f64>>",
        "numeric" => "Vec<Option<bigdecimal::BigDecimal>>",
        "text" | "varchar" | "bpchar" | "citext" => "Vec<Option<String>>",
        "bytea" => "Vec<Option<Vec<u8>>>",
        "date" => "Vec<Option<chrono::NaiveDate>>",
        "time" => "Vec<Option<chrono::NaiveTime>>",
        "timestamp" => "Vec<Option<chrono::NaiveDateTime>>",
        "timestamptz" => "Vec<Option<chrono::DateTime<chrono::Utc>>>",
        "uuid" => "Vec<Option<uuid::Uuid>>",
        "json" | "jsonb" => "Vec<Option<serde_json::Value>>",
        _ => return None,
    })
}
