//! Unique keys: their columns, and the place of a row in their order.
//!
//! A place is stored between batches and read by other programs, so it is text of our own that holds
//! values, never SQL: whoever can change it cannot make us run anything.

use std::{fmt, str::FromStr};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::ident::Ident;

/// One column of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyColumn {
    /// Its name.
    pub name: Ident,
    /// Its type, as the server prints it.
    pub ty: String,
    /// How its values are written.
    pub kind: KeyKind,
}

/// How the values of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// As digits, whole numbers only.
    Integer,
    /// As digits, with point and exponent.
    Number,
    /// As a string.
    Text,
    /// As bytes.
    Bytes,
}

/// One value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyValue {
    /// Digits, with sign, point and exponent.
    Number(String),
    /// A string.
    Text(String),
    /// Bytes, as hexadecimal digits.
    Bytes(String),
}

/// The place of a row: a value for each column of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTuple(pub Vec<KeyValue>);

/// A text that is no place of a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no place of a row")]
pub struct BadPlace(pub String);

impl KeyValue {
    /// Takes a value as the server printed it.
    pub fn of(kind: KeyKind, text: String) -> Result<Self, BadPlace> {
        match kind {
            KeyKind::Integer | KeyKind::Number if is_number(&text) => Ok(Self::Number(text)),
            KeyKind::Bytes if is_hex(&text) => Ok(Self::Bytes(text)),
            KeyKind::Text => Ok(Self::Text(text)),
            KeyKind::Integer | KeyKind::Number | KeyKind::Bytes => Err(BadPlace(text)),
        }
    }

    /// Takes a value as `quote()` of SQLite prints it, a text as `t` and its bytes.
    pub fn of_quoted(text: &str) -> Result<Self, BadPlace> {
        let bad = || BadPlace(text.to_owned());
        if let Some(hex) = text.strip_prefix('t') {
            return unhex(hex)
                .and_then(|b| String::from_utf8(b).ok())
                .map(Self::Text)
                .ok_or_else(bad);
        }
        if let Some(rest) = text.strip_prefix("X'") {
            let inner = rest.strip_suffix('\'').ok_or_else(bad)?;
            return Self::of(KeyKind::Bytes, inner.to_owned());
        }
        Self::of(KeyKind::Number, text.to_owned())
    }
}

impl KeyTuple {
    /// Writes the values for people.
    pub fn describe(&self) -> String {
        let values = self.0.iter().map(|value| match value {
            KeyValue::Number(digits) => digits.clone(),
            KeyValue::Text(text) => format!("'{text}'"),
            KeyValue::Bytes(hex) => format!("0x{hex}"),
        });
        values.collect::<Vec<_>>().join(", ")
    }
}

fn is_number(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'))
        && text.parse::<f64>().is_ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if is_hex(text) { bytes.map(byte).collect() } else { None }
}

fn is_hex(text: &str) -> bool {
    text.len().is_multiple_of(2) && text.chars().all(|c| c.is_ascii_hexdigit())
}

impl fmt::Display for KeyTuple {
    /// Writes the stored form: `n5/tabc%20d/b00ff`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, value) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("/")?;
            }
            match value {
                KeyValue::Number(digits) => write!(f, "n{digits}")?,
                KeyValue::Text(text) => {
                    write!(f, "t{}", utf8_percent_encode(text, NON_ALPHANUMERIC))?;
                }
                KeyValue::Bytes(hex) => write!(f, "b{hex}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for KeyTuple {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        let bad = || BadPlace(text.to_owned());
        let value = |word: &str| {
            let mut rest = word.chars();
            let kind = rest.next();
            let rest = rest.as_str();
            match kind {
                Some('n') => KeyValue::of(KeyKind::Number, rest.to_owned()),
                Some('b') => KeyValue::of(KeyKind::Bytes, rest.to_owned()),
                Some('t') => {
                    let text = percent_decode_str(rest).decode_utf8().map_err(|_| bad())?;
                    Ok(KeyValue::Text(text.into_owned()))
                }
                _ => Err(bad()),
            }
        };
        text.split('/').map(value).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = KeyValue> {
        prop_oneof![
            any::<i64>().prop_map(|n| KeyValue::Number(n.to_string())),
            any::<String>().prop_map(KeyValue::Text),
            any::<Vec<u8>>().prop_map(|bytes| {
                KeyValue::Bytes(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_place_is_read_as_it_was_written(values in prop::collection::vec(values(), 1..4)) {
            let tuple = KeyTuple(values);
            prop_assert_eq!(tuple.to_string().parse::<KeyTuple>().unwrap(), tuple);
        }

        #[test]
        fn no_text_panics(text: String) {
            drop(text.parse::<KeyTuple>());
            drop(KeyValue::of_quoted(&text));
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for text in ["", "n", "n1;drop", "nx", "b0", "bzz", "x", "n1//n2", "n--1", "n1-2", "t%ff"] {
            assert!(text.parse::<KeyTuple>().is_err(), "{text:?}");
        }
        assert_eq!(
            KeyValue::of_quoted("t697427730000").unwrap(),
            KeyValue::Text("it's\0\0".to_owned())
        );
        assert_eq!(KeyValue::of_quoted("X'00FF'").unwrap(), KeyValue::Bytes("00FF".to_owned()));
        assert!(KeyValue::of_quoted("NULL").is_err());
    }
}
