//! What names mean: which of them is the table, the column, another table.

use std::collections::{BTreeSet, HashMap};

use sqlparser::{
    ast::{Ident, ObjectName, ObjectNamePart},
    keywords::ALL_KEYWORDS,
};

use crate::{audit::Subject, backend::Backend, render::text::quote};

/// The names of a subject as one engine compares them.
pub(super) struct Names {
    engine: Backend,
    schema: Option<String>,
    pub(super) table: String,
    /// The column that comes.
    pub(super) column: String,
    /// The table's columns without it.
    pub(super) columns: Vec<String>,
    others: HashMap<String, Vec<String>>,
    /// Whether a table of another schema has the name, which is then meant by the bare one.
    bare_is_other: bool,
}

impl Names {
    pub(super) fn new(subject: &Subject, engine: Backend) -> Self {
        let own = |name: &str| stored(name, engine);
        let columns = |table: &crate::audit::Table| {
            table.columns.iter().map(|column| own(&column.sql_name)).collect::<Vec<_>>()
        };
        let others: HashMap<_, _> =
            subject.others.iter().map(|other| (own(&other.sql_name), columns(other))).collect();
        let table = own(subject.path.table.name.as_str());
        let schema = subject.path.table.schema.as_ref().map(|schema| own(schema.as_str()));
        Self {
            engine,
            bare_is_other: schema.is_some() && others.contains_key(&table),
            schema,
            column: own(subject.path.column.as_str()),
            columns: columns(&subject.table),
            table,
            others,
        }
    }

    /// Returns a written name as the engine compares it.
    pub(super) fn fold(&self, ident: &Ident) -> String {
        match self.engine {
            Backend::Postgres if ident.quote_style.is_some() => ident.value.clone(),
            Backend::Postgres | Backend::Mysql | Backend::Sqlite => ident.value.to_lowercase(),
        }
    }

    /// Returns the parts of a name, outermost first; `None` if a part of it is computed.
    pub(super) fn parts(&self, name: &ObjectName) -> Option<Vec<String>> {
        let part = |part: &ObjectNamePart| Some(self.fold(part.as_ident()?));
        name.0.iter().map(part).collect()
    }

    /// Reports whether the parts of a name mean the table.
    pub(super) fn is_table(&self, parts: &[String]) -> bool {
        let Some((name, before)) = parts.split_last() else { return false };
        *name == self.table
            && match (before.last(), &self.schema) {
                (None, _) => !self.bare_is_other,
                (Some(written), Some(schema)) => written == schema,
                (Some(written), None) => match self.engine {
                    Backend::Postgres => written == "public",
                    Backend::Sqlite => written == "main",
                    // The connection's own database, whose name we do not know.
                    Backend::Mysql => true,
                },
            }
    }

    /// Returns the columns of another table, if it is one of the project's.
    pub(super) fn other(&self, parts: &[String]) -> Option<&[String]> {
        match parts {
            [name] => self.others.get(name).map(Vec::as_slice),
            // We do not know the schemas of the others.
            _ => None,
        }
    }
}

/// Returns a name of the database as [`Names::fold`] returns a written one.
fn stored(name: &str, engine: Backend) -> String {
    match engine {
        Backend::Postgres => name.to_owned(),
        Backend::Mysql | Backend::Sqlite => name.to_lowercase(),
    }
}

/// Names of columns that need no quotes in any engine, although parsers know them as words.
const BARE: &[&str] = &[
    "id",
    "name",
    "title",
    "value",
    "status",
    "type",
    "role",
    "text",
    "date",
    "time",
    "data",
    "content",
    "location",
    "owner",
    "password",
    "level",
    "action",
    "version",
    "comment",
    "url",
    "description",
    "language",
    "locale",
    "email",
    "label",
    "message",
    "active",
    "body",
    "state",
];

/// Returns a column's name as it can be written for all of these engines; `None` where they want
/// different quotes.
pub(super) fn written(name: &str, engines: &BTreeSet<Backend>) -> Option<String> {
    let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let upper = name.to_ascii_uppercase();
    let is_word = ALL_KEYWORDS.binary_search(&upper.as_str()).is_ok();
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(small);
    if is_plain && (BARE.contains(&name) || !is_word) {
        return Some(name.to_owned());
    }
    let quoted: BTreeSet<String> = engines.iter().map(|engine| quote(*engine, name)).collect();
    quoted.into_iter().next().filter(|_| {
        let mysql = engines.contains(&Backend::Mysql);
        !mysql || engines.len() == 1
    })
}

/// Reports whether a text holds a word, in any case; no more than a first sieve.
pub(super) fn mentions(text: &str, word: &str) -> bool {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    let Some(first) = word.first() else { return false };
    let within = |at: Option<&u8>| at.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    text.iter().enumerate().any(|(at, b)| {
        b.eq_ignore_ascii_case(first)
            && text.get(at..at + word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word))
            && !within(at.checked_sub(1).and_then(|before| text.get(before)))
            && !within(text.get(at + word.len()))
    })
}
