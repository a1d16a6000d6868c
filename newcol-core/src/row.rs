//! Typed rows: what application code reads of a row, and the value that it computes from it.
//!
//! A session answers text, so reading is parsing. Pure: nothing here asks a database, and no type of
//! a client library is part of it, so it serves applications with any of them, async ones included.

use std::{any::type_name, fmt, str::FromStr};

/// Why a text is not of a type, or code could not compute.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A row as code wants it, built from columns by their names.
///
/// [`row!`](crate::row!) writes this for a struct whose fields are named as the columns.
pub trait FromRow: Sized {
    /// Returns the columns that it reads.
    fn columns() -> Vec<Wanted>;

    /// Reads them.
    fn from_row(row: &RowReader<'_>) -> Result<Self, ReadError>;
}

/// A value of a column as code wants it.
///
/// Implemented for numbers, `bool`, `String`, `Vec<u8>`, `Option` of any of them, and [`Parsed`] for
/// whatever can be parsed from the engine's text.
pub trait FromValue: Sized {
    /// In which form the server is asked for the value.
    const FORM: Form = Form::Text;

    /// Reads it; NULL is `None`.
    fn from_value(text: Option<&str>) -> Result<Self, BoxError>;
}

/// In which form the server is asked for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As the text that the engine makes of it.
    Text,
    /// As hexadecimal digits, for columns of bytes.
    Bytes,
}

/// A column that code reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Its name as the database has it.
    pub name: &'static str,
    /// In which form.
    pub form: Form,
}

impl Wanted {
    /// Asks for a column as a type reads it.
    pub fn of<T: FromValue>(name: &'static str) -> Self {
        Self { name: bare(name), form: T::FORM }
    }
}

/// The values of one row, by the names of their columns.
#[derive(Debug, Clone, Copy)]
pub struct RowReader<'a> {
    columns: &'a [Wanted],
    values: &'a [Option<String>],
}

impl<'a> RowReader<'a> {
    /// Pairs columns with their values, in the same order.
    pub fn new(columns: &'a [Wanted], values: &'a [Option<String>]) -> Self {
        Self { columns, values }
    }

    /// Reads a column as a type.
    pub fn get<T: FromValue>(&self, name: &str) -> Result<T, ReadError> {
        let name = bare(name);
        let failed = |source: BoxError| ReadError {
            column: name.to_owned(),
            ty: short(type_name::<T>()),
            source,
        };
        let at = self.columns.iter().position(|column| column.name == name);
        let value = at.and_then(|at| self.values.get(at));
        let value = value.ok_or_else(|| failed("it was not asked for".into()))?;
        T::from_value(value.as_deref()).map_err(failed)
    }
}

/// A value that is not of the type that code asks for.
#[derive(Debug, thiserror::Error)]
#[error("`{column}` is no `{ty}`")]
pub struct ReadError {
    /// The column.
    pub column: String,
    /// The type.
    pub ty: String,
    /// Why not.
    pub source: BoxError,
}

/// A value of any type that is parsed from the engine's text: dates, UUIDs, JSON, enums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Parsed<T>(pub T);

impl<T> FromValue for Parsed<T>
where
    T: FromStr,
    T::Err: Into<BoxError>,
{
    fn from_value(text: Option<&str>) -> Result<Self, BoxError> {
        given(text)?.parse().map(Self).map_err(Into::into)
    }
}

impl FromValue for String {
    fn from_value(text: Option<&str>) -> Result<Self, BoxError> {
        given(text).map(str::to_owned)
    }
}

impl FromValue for bool {
    fn from_value(text: Option<&str>) -> Result<Self, BoxError> {
        match given(text)? {
            // Bits of MySQL come as they are.
            "t" | "1" | "\u{1}" => Ok(true),
            "f" | "0" | "\0" => Ok(false),
            _ => Err("it is neither true nor false".into()),
        }
    }
}

impl FromValue for Vec<u8> {
    const FORM: Form = Form::Bytes;

    fn from_value(text: Option<&str>) -> Result<Self, BoxError> {
        let hex = given(text)?;
        if !hex.len().is_multiple_of(2) || !hex.is_ascii() {
            return Err("it was not asked for as bytes".into());
        }
        (0..hex.len() / 2).map(|at| Ok(u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16)?)).collect()
    }
}

impl<T: FromValue> FromValue for Option<T> {
    const FORM: Form = T::FORM;

    fn from_value(text: Option<&str>) -> Result<Self, BoxError> {
        text.map(|text| T::from_value(Some(text))).transpose()
    }
}

macro_rules! numbers {
    ($($ty:ty => $variant:ident),*) => {$(
        impl FromValue for $ty {
            fn from_value(text: Option<&str>) -> Result<Self, BoxError> {
                Ok(given(text)?.parse()?)
            }
        }

        impl From<$ty> for Value {
            fn from(number: $ty) -> Self {
                Self::$variant(number.into())
            }
        }
    )*};
}

numbers!(
    i8 => Int, i16 => Int, i32 => Int, i64 => Int, u8 => Int, u16 => Int, u32 => Int, u64 => Int,
    f32 => Float, f64 => Float
);

/// A value that code computes, which the server makes one of the column's type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A floating-point number.
    Float(f64),
    /// A text, or the text of a value of any other type.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Value {
    /// Takes a value of any type by its text: dates, UUIDs, decimals, JSON.
    pub fn text(value: impl fmt::Display) -> Self {
        Self::Text(value.to_string())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

/// Declares a struct that is read from the columns its fields are named as.
///
/// ```
/// newcol_core::row! {
///     /// What the code needs to know of a user.
///     #[derive(Debug, PartialEq)]
///     pub struct User {
///         pub email: String,
///         pub age: Option<i32>,
///     }
/// }
///
/// use newcol_core::row::{FromRow, RowReader};
///
/// let columns = User::columns();
/// let values = [Some("ada@example.org".to_owned()), None];
/// let user = User::from_row(&RowReader::new(&columns, &values)).unwrap();
/// assert_eq!(user, User { email: "ada@example.org".to_owned(), age: None });
/// ```
#[macro_export]
macro_rules! row {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident : $ty:ty),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $ty),*
        }

        impl $crate::row::FromRow for $name {
            fn columns() -> ::std::vec::Vec<$crate::row::Wanted> {
                ::std::vec![$($crate::row::Wanted::of::<$ty>(stringify!($field))),*]
            }

            fn from_row(
                row: &$crate::row::RowReader<'_>,
            ) -> ::std::result::Result<Self, $crate::row::ReadError> {
                ::std::result::Result::Ok(Self { $($field: row.get(stringify!($field))?),* })
            }
        }
    };
}

fn given(text: Option<&str>) -> Result<&str, BoxError> {
    text.ok_or_else(|| "it is NULL".into())
}

/// A field that is named like a keyword is a column without `r#`.
fn bare(name: &str) -> &str {
    name.strip_prefix("r#").unwrap_or(name)
}

/// Returns a type's name without paths.
fn short(name: &str) -> String {
    let mut short = String::new();
    let mut word = 0;
    for c in name.chars() {
        if c == ':' {
            short.truncate(word);
            continue;
        }
        short.push(c);
        if !(c.is_alphanumeric() || c == '_') {
            word = short.len();
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    row! {
        /// Of every kind.
        #[derive(Debug, PartialEq)]
        struct Thing {
            r#type: String,
            size: u16,
            share: f64,
            on: bool,
            image: Option<Vec<u8>>,
            color: Parsed<char>,
        }
    }

    fn read(values: [Option<&str>; 6]) -> Result<Thing, ReadError> {
        let columns = Thing::columns();
        let values = values.map(|value| value.map(str::to_owned));
        Thing::from_row(&RowReader::new(&columns, &values))
    }

    #[test]
    fn a_row_is_read_by_its_types() {
        let columns = Thing::columns();
        assert_eq!(columns[0], Wanted { name: "type", form: Form::Text });
        assert_eq!(columns[4], Wanted { name: "image", form: Form::Bytes });
        let thing =
            read([Some("a"), Some("7"), Some("1.5"), Some("t"), Some("00FF"), Some("x")]).unwrap();
        let image = Some(vec![0, 255]);
        let color = Parsed('x');
        let wanted = Thing { r#type: "a".to_owned(), size: 7, share: 1.5, on: true, image, color };
        assert_eq!(thing, wanted);
    }

    #[test]
    fn what_is_no_value_of_the_type_is_named_with_it() {
        let good = [Some("a"), Some("7"), Some("1.5"), Some("t"), None, Some("x")];
        read(good).unwrap();
        let bad = [None, Some("-7"), Some("x"), Some("yes"), Some("0"), Some("xy")];
        let said = (0..bad.len()).map(|at| {
            let mut values = good;
            values[at] = bad[at];
            let error = read(values).unwrap_err();
            format!("{error}: {}", error.source)
        });
        let said: Vec<String> = said.collect();
        insta::assert_snapshot!(said.join("\n"), @"
        `type` is no `String`: it is NULL
        `size` is no `u16`: invalid digit found in string
        `share` is no `f64`: invalid float literal
        `on` is no `bool`: it is neither true nor false
        `image` is no `Option<Vec<u8>>`: it was not asked for as bytes
        `color` is no `Parsed<char>`: too many characters in string
        ");
    }
}
