//! Literals of MySQL's, MariaDB's and SQLite's types by the number of their value.

use newcol_core::{
    backend::{Backend, Product},
    bench::profile::Column,
};

use crate::values::text_literal;

/// What a column holds, as far as literals differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whole numbers up to one.
    Int(u64),
    /// Numbers with so many digits after the point.
    Decimal(u32),
    /// Texts of about so many characters, the first of which are so many digits.
    Text(usize, usize),
    /// Bytes, as many.
    Bytes(usize),
    Date,
    Instant,
    Time,
    Year,
    Json(usize),
    Uuid,
    /// One of these.
    Labels(Vec<String>),
}

impl Kind {
    /// Reads a type, as the engine's catalog prints it.
    pub(super) fn of(column: &Column, width: f64, distinct: u64) -> Option<Self> {
        let ty = column.base_type.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| ty.contains(word));
        if !column.labels.is_empty() {
            return Some(Self::Labels(column.labels.clone()));
        }
        let limit = number(&ty);
        let digits = (distinct.saturating_mul(10)).max(10).ilog10() as usize + 1;
        let width = (width.round() as usize).max(digits);
        let width = limit.map_or(width, |limit| width.min(limit));
        Some(if has(&["bool"]) || ty == "tinyint(1)" {
            Self::Int(1)
        } else if ty.contains("tinyint") {
            Self::Int(127)
        } else if ty.contains("smallint") {
            Self::Int(32_767)
        } else if ty.contains("mediumint") {
            Self::Int(8_388_607)
        } else if ty.contains("bigint") || (has(&["int"]) && limit.is_none() && ty == "integer") {
            Self::Int(1 << 62)
        } else if has(&["int"]) && !has(&["point", "interval"]) {
            Self::Int(2_147_483_647)
        } else if has(&["year"]) {
            Self::Year
        } else if has(&["datetime", "timestamp"]) {
            Self::Instant
        } else if has(&["date"]) {
            Self::Date
        } else if has(&["time"]) {
            Self::Time
        } else if has(&["json"]) {
            Self::Json(width)
        } else if has(&["uuid"]) {
            Self::Uuid
        } else if has(&["blob", "binary", "bytea"]) || ty.is_empty() {
            Self::Bytes(width.max(8))
        } else if has(&["char", "text", "clob", "varying"]) {
            Self::Text(width, digits.min(width))
        } else if has(&["decimal", "numeric"]) {
            let scale = ty.split_once(',').and_then(|(_, rest)| number(&format!("({rest}")));
            Self::Decimal(scale.unwrap_or(0) as u32)
        } else if has(&["double", "float", "real"]) {
            Self::Decimal(1)
        } else {
            return None;
        })
    }

    /// Returns how many values there are; `None` for more than anybody wants.
    pub(super) fn most(&self) -> Option<u64> {
        match self {
            Self::Int(most) => most.checked_add(1),
            Self::Labels(labels) => Some(labels.len() as u64),
            Self::Year => Some(150),
            _ => None,
        }
    }

    pub(super) fn literal(&self, value: u64, backend: Backend) -> String {
        let product = match backend {
            Backend::Sqlite => Product::Sqlite,
            Backend::Mysql | Backend::Postgres => Product::Mysql,
        };
        match self {
            Self::Int(1) => (value % 2).to_string(),
            Self::Int(most) => ((value + 1) % most.saturating_add(1)).to_string(),
            Self::Decimal(scale) => {
                let one = 10_u64.pow((*scale).min(9));
                if one == 1 {
                    return (value + 1).to_string();
                }
                format!(
                    "{}.{:0>width$}",
                    value / one,
                    value % one,
                    width = (*scale).min(9) as usize
                )
            }
            Self::Text(width, digits) => text_literal(product, &padded(value, *width, *digits)),
            Self::Bytes(width) => {
                let hex: String = padded(value, width.saturating_sub(8), 0)
                    .bytes()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                format!("x'{value:016x}{hex}'")
            }
            Self::Date => text_literal(product, &date(value)),
            Self::Instant => {
                let seconds = value % 86_400;
                let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
                text_literal(product, &format!("{} {h:02}:{m:02}:{s:02}", date(value / 86_400)))
            }
            Self::Time => {
                let s = value % 86_400;
                text_literal(product, &format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60))
            }
            Self::Year => (1950 + value % 150).to_string(),
            Self::Json(width) => {
                let inner = padded(value, width.saturating_sub(9), 0);
                text_literal(product, &format!("{{\"k\":\"{value}{inner}\"}}"))
            }
            Self::Uuid => {
                text_literal(product, &format!("{:08x}-0000-4000-8000-{value:012x}", value >> 12))
            }
            Self::Labels(labels) => {
                let at = (value % labels.len().max(1) as u64) as usize;
                labels.get(at).map_or("NULL".to_owned(), |label| text_literal(product, label))
            }
        }
    }
}

/// Returns digits, and after them letters up to a width.
fn padded(value: u64, width: usize, digits: usize) -> String {
    let mut random = fastrand::Rng::with_seed(value);
    let mut text = if digits == 0 { String::new() } else { format!("{value:0>digits$}") };
    while text.len() < width {
        text.push(random.lowercase());
    }
    text
}

/// Returns a day of years of 336 days, so that no month is too short.
fn date(days: u64) -> String {
    let (year, month, day) = (2000 + days / 336 % 7000, days / 28 % 12 + 1, days % 28 + 1);
    format!("{year}-{month:02}-{day:02}")
}

/// Returns the number in the first parentheses.
fn number(ty: &str) -> Option<usize> {
    let (_, rest) = ty.split_once('(')?;
    rest.split([',', ')']).next()?.trim().parse().ok()
}
