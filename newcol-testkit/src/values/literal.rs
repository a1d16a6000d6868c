//! How a value is written in SQL so that each engine reads it back, whatever its settings.

use newcol_core::backend::Product;

/// A value, before it stands in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A number or keyword, as it is.
    Bare(String),
    /// A text; also the text form of every PostgreSQL type.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// An expression that is complete.
    Expression(String),
}

impl Value {
    /// Returns the SQL.
    pub(super) fn literal(&self, product: Product) -> String {
        match self {
            Self::Bare(sql) | Self::Expression(sql) => sql.clone(),
            Self::Text(value) => text(product, value),
            Self::Bytes(value) => bytes(product, value),
        }
    }

    /// Returns the value as PostgreSQL reads it inside an array or a range.
    pub(super) fn element(&self) -> String {
        match self {
            Self::Bare(text) | Self::Text(text) | Self::Expression(text) => {
                format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
            }
            Self::Bytes(value) => format!("\"\\\\x{}\"", hex(value)),
        }
    }
}

/// Writes a text. `MySQL` reads backslashes by its mode, and SQLite ends a text at U+0000, so these
/// are written in hexadecimal.
pub(crate) fn text(product: Product, value: &str) -> String {
    let quoted = || format!("'{}'", value.replace('\'', "''"));
    match product {
        Product::Postgres => quoted(),
        Product::Mysql | Product::Mariadb if value.contains(['\\', '\0']) => {
            format!("_utf8mb4 x'{}'", hex(value.as_bytes()))
        }
        Product::Sqlite if value.contains('\0') => {
            format!("CAST(x'{}' AS TEXT)", hex(value.as_bytes()))
        }
        Product::Mysql | Product::Mariadb | Product::Sqlite => quoted(),
    }
}

/// Writes bytes.
pub(super) fn bytes(product: Product, value: &[u8]) -> String {
    match product {
        Product::Postgres => format!("'\\x{}'", hex(value)),
        Product::Mysql | Product::Mariadb | Product::Sqlite => format!("x'{}'", hex(value)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
