//! Rust types of Diesel types, and values of a row's number.

use super::{Package, Subject};
use crate::{
    backend::Backend,
    render::{release::canonical, text},
};

/// Why no test could be scaffolded.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    /// Application code fills the old rows, and nothing simple can stand for it.
    #[error("no value can stand for what `{path}` computes")]
    NoStandIn {
        /// The code that the contract names.
        path: String,
    },
}

/// How values of one type look in Rust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    /// The type of a field.
    pub(super) rust: &'static str,
    /// Its value in row `n`.
    pub(super) value: String,
    /// A statement that changes it, after the field's path.
    pub(super) change: Option<&'static str>,
    /// What may be done with it.
    pub(super) kind: Kind,
}

/// What may be done with values of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text: other for every row, and not `Copy`.
    Text,
    /// Other for every row, `Copy`, and printed by Rust as by the database.
    Number,
    /// Other for every row, `Copy`.
    Id,
    /// Anything else.
    Other,
}

/// Returns the sample of a type as `table!` has it, without `Nullable`; `None` where there is no
/// usual one, or the package lacks the crate that it takes.
pub(super) fn sample(
    ty: &str,
    name: &str,
    max_length: Option<u64>,
    package: &Package,
) -> Option<Sample> {
    let plain =
        |rust, value: &str, change, kind| Sample { rust, value: value.to_owned(), change, kind };
    let last = ty.trim().rsplit("::").next().unwrap_or(ty);
    let number = Kind::Number;
    let found = match canonical(last) {
        "SmallInt" | "SmallSerial" => plain("i16", "n as i16", Some(" += 1;"), number),
        "Integer" | "Serial" => plain("i32", "n as i32", Some(" += 1;"), number),
        "BigInt" | "BigSerial" => plain("i64", "n as i64", Some(" += 1;"), number),
        "Text" | "VarChar" => text_sample(name, max_length)?,
        "Bool" => plain("bool", "n % 2 == 0", None, Kind::Other),
        "Float" => plain("f32", "n as f32", Some(" += 1.0;"), Kind::Other),
        "Double" => plain("f64", "n as f64", Some(" += 1.0;"), Kind::Other),
        "Binary" => plain("Vec<u8>", "n.to_be_bytes().to_vec()", Some(".reverse();"), Kind::Other),
        _ => return of_crate(last, package),
    };
    Some(found)
}

fn text_sample(name: &str, max_length: Option<u64>) -> Option<Sample> {
    // What a number of rows and a few changes add.
    const MORE: usize = 24;
    let room = max_length.map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(0));
    let value = if name.len() + MORE <= room {
        format!("format!(\"{name} {{n}}\")")
    } else if room >= 8 {
        "n.to_string()".to_owned()
    } else {
        return None;
    };
    let change = (MORE + name.len() <= room).then_some(".push('!');");
    Some(Sample { rust: "String", value, change, kind: Kind::Text })
}

/// Types that take a crate, and a feature of Diesel.
fn of_crate(ty: &str, package: &Package) -> Option<Sample> {
    const SECONDS: &str = "chrono::DateTime::from_timestamp(n as i64, 0).unwrap()";
    let (krate, feature, rust, value, kind) = match ty {
        "Timestamp" | "Datetime" => {
            let value = format!("{SECONDS}.naive_utc()");
            ("chrono", "chrono", "chrono::NaiveDateTime", value, Kind::Other)
        }
        "Timestamptz" | "TimestamptzSqlite" => {
            let rust = "chrono::DateTime<chrono::Utc>";
            ("chrono", "chrono", rust, SECONDS.to_owned(), Kind::Other)
        }
        "Date" => {
            let value = format!("{SECONDS}.date_naive()");
            ("chrono", "chrono", "chrono::NaiveDate", value, Kind::Other)
        }
        "Time" => {
            let value = format!("{SECONDS}.time()");
            ("chrono", "chrono", "chrono::NaiveTime", value, Kind::Other)
        }
        "Uuid" => {
            ("uuid", "uuid", "uuid::Uuid", "uuid::Uuid::from_u128(n.into())".to_owned(), Kind::Id)
        }
        "Json" | "Jsonb" => {
            let value = "serde_json::json!({ \"n\": n })".to_owned();
            ("serde_json", "serde_json", "serde_json::Value", value, Kind::Other)
        }
        "Numeric" | "Decimal" => {
            let value = "n.into()".to_owned();
            ("bigdecimal", "numeric", "bigdecimal::BigDecimal", value, Kind::Other)
        }
        _ => return None,
    };
    let usable = package.has(krate) && package.has_feature("diesel", feature);
    usable.then_some(Sample { rust, value, change: None, kind })
}

/// Returns a statement that stands for application code which fills old rows.
pub(super) fn stand_in(subject: &Subject<'_>) -> Result<String, ScaffoldError> {
    let contract = subject.contract;
    let answers = contract.answers();
    let unique = answers.index.as_ref().is_some_and(|i| i.uniqueness.refuses_duplicates());
    let bound = unique || !answers.check.is_empty() || answers.references.is_some();
    let none = || ScaffoldError::NoStandIn {
        path: match &answers.old_rows {
            crate::contract::OldRows::Rust(path) => path.clone(),
            crate::contract::OldRows::Sql(_) | crate::contract::OldRows::Unfilled => String::new(),
        },
    };
    let ([engine], Some(table), false) = (subject.engines.as_slice(), &subject.table, bound) else {
        return Err(none());
    };
    let backend = engine.backend;
    let literal = match (canonical(&table.column.diesel), backend) {
        ("Text", _) => "'x'",
        ("SmallInt" | "Integer" | "BigInt" | "Float" | "Double" | "Numeric", _) => "1",
        ("Bool", Backend::Postgres) => "true",
        ("Bool", Backend::Mysql | Backend::Sqlite) => "1",
        _ => return Err(none()),
    };
    let (of, column) =
        (text::table(backend, contract.table()), text::name(backend, contract.column()));
    Ok(format!("UPDATE {of} SET {column} = {literal} WHERE {column} IS NULL"))
}
