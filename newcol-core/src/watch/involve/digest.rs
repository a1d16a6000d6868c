//! Statements as the digests of MariaDB and MySQL print them.
//!
//! Every token is printed by itself: names in backquotes, or in capitals where a keyword was meant as
//! a name; constants as `?`, lists of them as `(...)`, and what did not fit as `...` at the end. Words
//! that the parser takes for one are printed as one of them. Seen on MariaDB 10.11 and MySQL 9.7, by a
//! column of the name of each of their keywords. What MySQL was sent prepared stands behind `EXECUTE`.

use std::borrow::Cow;

use sqlparser::ast::Expr;

use super::{catalog::Catalog, names::parts};
use crate::backend::Backend;

/// Stands for constants whose number is not told.
const MANY: &str = "cargo_newcol_many";

/// What is printed, and what may have been written.
const SYNONYMS: &[(&str, &str)] = &[
    ("FIELDS", "columns"),
    ("GEOMETRYCOLLECTION", "geomcollection"),
    ("NDBCLUSTER", "ndb"),
    ("SCHEMA", "database"),
    ("SOME", "any"),
    ("SLAVE", "replica"),
    ("SLAVES", "replicas"),
    ("SLAVE_POS", "replica_pos"),
    ("RELAY_THREAD", "io_thread"),
    ("SYSTEM_USER", "user"),
    ("WEEK", "sql_tsi_week"),
    ("YEAR", "sql_tsi_year"),
];

/// Types whose size is a constant, and so not told.
const SIZED: &[&str] =
    &["CHARACTER", "CHAR", "VARCHARACTER", "BINARY", "DECIMAL", "DATETIME", "TIME", "FLOAT"];

/// What MySQL prints before a statement that was sent prepared.
const PREPARED: &str = "EXECUTE ";

/// Reports whether a statement was sent prepared: then its text is in another digest than its twin that was
/// sent as a text.
pub(super) fn is_prepared(text: &str, catalog: &Catalog) -> bool {
    catalog.backend == Backend::Mysql && text.starts_with(PREPARED)
}

/// Reports whether the end of a text is missing.
pub(super) fn is_cut(text: &str, catalog: &Catalog) -> bool {
    // `?, ...` are constants.
    let text = text.trim_end();
    catalog.backend == Backend::Mysql && text.ends_with("...") && !text.ends_with("?, ...")
}

/// Returns a digest's text as a statement that can be parsed.
pub(super) fn readable<'t>(text: &'t str, catalog: &Catalog) -> Cow<'t, str> {
    if catalog.backend != Backend::Mysql || text.contains('\'') {
        // What has constants is no digest.
        return Cow::Borrowed(text);
    }
    let mut words: Vec<Cow<'_, str>> = Vec::new();
    let text = text.strip_prefix(PREPARED).unwrap_or(text);
    for word in text.split_whitespace() {
        let last = words.last().map_or("", |word| &**word);
        let read = match word {
            "(?)" | "(...)" if SIZED.contains(&last) => continue,
            "(...)" => Cow::Owned(format!("({MANY}())")),
            "..." if last == "?," => {
                words.pop();
                Cow::Borrowed("?")
            }
            "(unknown)" | "@?" => Cow::Borrowed("?"),
            "DISTINCTROW" => Cow::Borrowed("DISTINCT"),
            word => match word.strip_prefix("SQL_TSI_") {
                Some(unit) => Cow::Borrowed(unit),
                None => Cow::Borrowed(written(word, catalog).unwrap_or(word)),
            },
        };
        words.push(read);
    }
    Cow::Owned(words.join(" "))
}

/// Returns what stands for a word that is printed, where the table or its columns have that name.
fn written(word: &str, catalog: &Catalog) -> Option<&'static str> {
    let (_, name) = SYNONYMS.iter().find(|(printed, _)| *printed == word)?;
    let is_name = catalog.relations.contains_key(*name)
        || catalog.columns.iter().any(|column| column == name);
    is_name.then_some(name)
}

/// Reports whether an expression stands for constants whose number is not told.
pub(super) fn is_many(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(function) if parts(&function.name) == [MANY])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::ColumnPath;

    fn catalog(column: &str) -> Catalog {
        let path: ColumnPath = format!("t.{column}").parse().unwrap();
        Catalog { backend: Backend::Mysql, ..Catalog::plain(&path, &["id", column]) }
    }

    #[test]
    fn words_are_read_as_they_were_written() {
        let read = |text: &str| readable(text, &catalog("columns")).into_owned();
        assert_eq!(
            read(
                "SELECT DISTINCTROW `a` , CAST ( `b` AS CHARACTER (?) ) , INTERVAL ? SQL_TSI_DAY FROM `t` "
            ),
            "SELECT DISTINCT `a` , CAST ( `b` AS CHARACTER ) , INTERVAL ? DAY FROM `t`"
        );
        assert_eq!(
            read("WHERE ID IN (...) LIMIT ?, ... "),
            "WHERE ID IN (cargo_newcol_many()) LIMIT ?"
        );
        // A column that is called like a keyword which has another name.
        assert_eq!(read("SELECT FIELDS FROM `t`"), "SELECT columns FROM `t`");
        let other = readable("SELECT FIELDS FROM `t`", &catalog("fields")).into_owned();
        assert_eq!(other, "SELECT FIELDS FROM `t`");
        assert_eq!(read("EXECUTE SELECT ID FROM `t`"), "SELECT ID FROM `t`");
        // What the application measured is as it was written.
        assert_eq!(read("SELECT '  (...)'"), "SELECT '  (...)'");
    }

    #[test]
    fn what_is_cut_off_is_known_by_its_end() {
        let cut = |text: &str| is_cut(text, &catalog("columns"));
        assert!(cut("SELECT `a` , `b` ..."));
        assert!(!cut("SELECT `a` FROM `t` LIMIT ?, ... "));
        assert!(!cut("SELECT `a` FROM `t` WHERE `a` IN (...)"));
    }
}
