//! Names of database objects, validated once when they are built.
//!
//! A name that exists can be quoted on every backend; nothing here knows how to quote it (that is
//! [`crate::render::text`]) and nothing ever changes its case.
//!
//! ```
//! use newcol_core::ident::ColumnPath;
//!
//! let path: ColumnPath = "app.users.locale".parse()?;
//! assert_eq!(path.table.schema.as_ref().unwrap().as_str(), "app");
//! assert_eq!(path.column.as_str(), "locale");
//! assert!("locale".parse::<ColumnPath>().is_err());
//! # Ok::<(), newcol_core::ident::IdentError>(())
//! ```

use std::{fmt, str::FromStr};

use crate::backend::Backend;

/// Why a text cannot be the name of a database object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentError {
    /// The name, or a part between dots, has no characters.
    #[error("a name in `{text}` is empty")]
    Empty {
        /// The text as given.
        text: String,
    },
    /// No engine stores U+0000 in a name; other control characters only hide mistakes.
    #[error("the name {text:?} contains the control character U+{code:04X}")]
    Control {
        /// The text as given.
        text: String,
        /// Code point of the first control character.
        code: u32,
    },
    /// A quoted part has no closing quote, or text follows it.
    #[error("the quotes in `{text}` do not close around a name")]
    Quotes {
        /// The text as given.
        text: String,
    },
    /// The column of a `table.column` path is missing, or there are more than three parts.
    #[error("`{text}` is not of the form `table.column` or `schema.table.column`")]
    Path {
        /// The text as given.
        text: String,
    },
    /// The engine cuts or rejects names of this length.
    #[error("the name `{text}` has {length} {unit}, {backend} allows {limit}")]
    TooLong {
        /// The text as given.
        text: String,
        /// Its length in `unit`.
        length: usize,
        /// What the engine counts: bytes or characters.
        unit: &'static str,
        /// The most the engine keeps.
        limit: usize,
        /// The engine with that limit.
        backend: Backend,
    },
}

/// One unquoted name: a column, table, schema, index, trigger or constraint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ident(String);

impl Ident {
    /// Validates `text` as one name, taken literally (dots and quotes are part of it).
    pub fn new(text: impl Into<String>) -> Result<Self, IdentError> {
        let text = text.into();
        if text.is_empty() {
            return Err(IdentError::Empty { text });
        }
        if let Some(control) = text.chars().find(|c| c.is_control()) {
            return Err(IdentError::Control { text, code: control.into() });
        }
        Ok(Self(text))
    }

    /// Returns the name as the database stores it, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks the engine's length limit: 63 bytes on PostgreSQL (`NAMEDATALEN`), 64 characters on
    /// MySQL and MariaDB, none on SQLite.
    pub fn fits(&self, backend: Backend) -> Result<(), IdentError> {
        let (length, unit, limit) = match backend {
            Backend::Postgres => (self.0.len(), "bytes", 63),
            Backend::Mysql => (self.0.chars().count(), "characters", 64),
            Backend::Sqlite => return Ok(()),
        };
        if length > limit {
            return Err(IdentError::TooLong { text: self.0.clone(), length, unit, limit, backend });
        }
        Ok(())
    }

    /// Builds a name for one of our own helper objects from its parts, cut to what every engine
    /// keeps (63 bytes) with a hash of the whole name in place of what was cut.
    pub fn derived(parts: &[&str]) -> Self {
        const LIMIT: usize = 63;
        let whole = parts.join("_");
        if whole.len() <= LIMIT {
            return Self(whole);
        }
        let tag = format!("_{:08x}", fnv1a(whole.as_bytes()));
        let mut end = LIMIT - tag.len();
        while !whole.is_char_boundary(end) {
            end -= 1;
        }
        Self(format!("{}{tag}", &whole[..end]))
    }
}

/// FNV-1a, 32 bits: stable across versions of Rust, unlike the standard hasher.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A table, with its schema where one was given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// Schema (PostgreSQL) or database (MySQL); `None` means the connection's own.
    pub schema: Option<Ident>,
    /// The table's name.
    pub name: Ident,
}

impl TableName {
    /// Returns a name such as `users` or `audit.users` for file names and messages.
    pub fn dotted(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", part(schema))?;
        }
        f.write_str(&part(&self.name))
    }
}

impl FromStr for TableName {
    type Err = IdentError;

    /// Reads `table` or `schema.table`; a part that holds a dot is written in double quotes.
    fn from_str(text: &str) -> Result<Self, IdentError> {
        let mut parts = split(text)?;
        match (parts.pop(), parts.pop(), parts.pop()) {
            (Some(name), schema, None) => Ok(Self { schema, name }),
            _ => Err(IdentError::Path { text: text.to_owned() }),
        }
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnPath {
    /// The table.
    pub table: TableName,
    /// The column.
    pub column: Ident,
}

impl fmt::Display for ColumnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.table, part(&self.column))
    }
}

impl FromStr for ColumnPath {
    type Err = IdentError;

    /// Reads `table.column` or `schema.table.column`; a part that holds a dot is written in double
    /// quotes.
    fn from_str(text: &str) -> Result<Self, IdentError> {
        let mut parts = split(text)?;
        match (parts.pop(), parts.pop(), parts.pop(), parts.pop()) {
            (Some(column), Some(name), schema, None) => {
                Ok(Self { table: TableName { schema, name }, column })
            }
            _ => Err(IdentError::Path { text: text.to_owned() }),
        }
    }
}

/// Writes a part so that [`split`] reads it back.
fn part(ident: &Ident) -> String {
    if ident.0.contains(['.', '"']) {
        format!("\"{}\"", ident.0.replace('"', "\"\""))
    } else {
        ident.0.clone()
    }
}

/// Splits at dots outside double quotes.
fn split(text: &str) -> Result<Vec<Ident>, IdentError> {
    let quotes = || IdentError::Quotes { text: text.to_owned() };
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let mut name = String::new();
                let mut chars = quoted.char_indices();
                let end = loop {
                    match chars.next() {
                        Some((at, '"')) if quoted[at + 1..].starts_with('"') => {
                            chars.next();
                            name.push('"');
                        }
                        Some((at, '"')) => break at + 1,
                        Some((_, c)) => name.push(c),
                        None => return Err(quotes()),
                    }
                };
                (name, &quoted[end..])
            }
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        if name.is_empty() {
            return Err(IdentError::Empty { text: text.to_owned() });
        }
        parts.push(Ident::new(name)?);
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(parts),
            None => return Err(quotes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_printed_path_reads_back(parts in proptest::collection::vec("[^\\p{C}]{1,12}", 2..=3)) {
            let mut idents = parts.iter().map(|p| Ident::new(p.as_str()).unwrap());
            let schema = (parts.len() == 3).then(|| idents.next().unwrap());
            let path = ColumnPath {
                table: TableName { schema, name: idents.next().unwrap() },
                column: idents.next().unwrap(),
            };
            prop_assert_eq!(path.to_string().parse::<ColumnPath>().unwrap(), path);
        }

        #[test]
        fn a_derived_name_fits_everywhere(parts in proptest::collection::vec("[^\\p{C}]{1,70}", 1..=3)) {
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            let name = Ident::derived(&parts);
            for backend in Backend::ALL {
                prop_assert_eq!(name.fits(backend), Ok(()));
            }
        }
    }

    #[test]
    fn wrong_names_are_refused() {
        for text in ["", "a.", ".b", "a..b", "\"a", "\"a\"b.c", "a.b.c.d", "a", "a.b\0"] {
            assert!(text.parse::<ColumnPath>().is_err(), "{text:?}");
        }
    }
}
