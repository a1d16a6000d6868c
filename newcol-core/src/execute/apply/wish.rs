//! Takes apart statements that build or drop an index of PostgreSQL.

use std::ops::Range;

use sqlparser::tokenizer::Token;

use crate::sql::{Placed, Statement};

/// `CREATE INDEX CONCURRENTLY` or `DROP INDEX CONCURRENTLY`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Concurrent {
    Create(Wish),
    Drop {
        /// The index, as it is written.
        index: String,
    },
}

/// An index that is to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) is_unique: bool,
    /// Its name.
    pub(super) index: String,
    /// The table, as it is written.
    pub(super) table: String,
    /// What follows the table.
    pub(super) rest: String,
}

/// Takes a statement apart; `None` where it is another one, or names no index.
pub(super) fn concurrent(statement: &Statement, text: &str) -> Option<Concurrent> {
    let start = statement.range().start;
    let mut at = Cursor { tokens: statement.tokens(), at: 0 };
    if at.words(&["DROP", "INDEX", "CONCURRENTLY"]) {
        at.words(&["IF", "EXISTS"]);
        let (_, range) = at.name()?;
        at.words(&["RESTRICT"]);
        let index = text[range.start - start..range.end - start].to_owned();
        return at.tokens.get(at.at).is_none().then_some(Concurrent::Drop { index });
    }
    wish(statement, text, &["INDEX", "CONCURRENTLY"]).map(Concurrent::Create)
}

/// Takes apart a statement that builds an index while writers wait.
pub(super) fn ordinary(statement: &Statement, text: &str) -> Option<Wish> {
    wish(statement, text, &["INDEX"])
}

fn wish(statement: &Statement, text: &str, words: &[&str]) -> Option<Wish> {
    let start = statement.range().start;
    let mut at = Cursor { tokens: statement.tokens(), at: 0 };
    if !at.words(&["CREATE"]) {
        return None;
    }
    let is_unique = at.words(&["UNIQUE"]);
    if !at.words(words) {
        return None;
    }
    at.words(&["IF", "NOT", "EXISTS"]);
    let (index, _) = at.name()?;
    if !at.words(&["ON"]) {
        return None;
    }
    at.words(&["ONLY"]);
    let (_, range) = at.name()?;
    let range = range.start - start..range.end - start;
    let (table, rest) = (text[range.clone()].to_owned(), text[range.end..].to_owned());
    Some(Wish { is_unique, index, table, rest })
}

/// Reads tokens from the left.
struct Cursor<'a> {
    tokens: &'a [Placed],
    at: usize,
}

impl Cursor<'_> {
    /// Passes these words, if all of them are next.
    fn words(&mut self, words: &[&str]) -> bool {
        let next = self.tokens.get(self.at..self.at + words.len()).unwrap_or_default();
        let are_next = next.len() == words.len()
            && words.iter().zip(next).all(|(wanted, placed)| {
                matches!(&placed.token, Token::Word(word)
                    if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
            });
        self.at += if are_next { words.len() } else { 0 };
        are_next
    }

    /// Passes a name; returns its last part as the server stores it, and where it stands.
    fn name(&mut self) -> Option<(String, Range<usize>)> {
        let from = self.tokens.get(self.at)?.range.start;
        loop {
            let placed = self.tokens.get(self.at)?;
            let Token::Word(word) = &placed.token else { return None };
            let name = match word.quote_style {
                Some(_) => word.value.clone(),
                None => word.value.to_lowercase(),
            };
            self.at += 1;
            if self.tokens.get(self.at).map(|placed| &placed.token) != Some(&Token::Period) {
                return Some((name, from..placed.range.end));
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{backend::Backend, sql::statements};

    fn read(text: &str) -> Option<Concurrent> {
        let one = statements(text, Backend::Postgres).remove(0);
        let range = one.range();
        concurrent(&one, &text[range])
    }

    #[test]
    fn statements_are_taken_apart() {
        let text = "-- why\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS Users_Idx ON \"S\".users USING btree (lower(\"on\")) WHERE a > 'x;y';";
        assert_eq!(
            read(text),
            Some(Concurrent::Create(Wish {
                is_unique: true,
                index: "users_idx".to_owned(),
                table: "\"S\".users".to_owned(),
                rest: " USING btree (lower(\"on\")) WHERE a > 'x;y'".to_owned(),
            }))
        );
        for drop in [
            "DROP INDEX CONCURRENTLY \"a b\".c;",
            "drop index concurrently if exists \"a b\".c -- why\n restrict ;",
        ] {
            assert_eq!(read(drop), Some(Concurrent::Drop { index: "\"a b\".c".to_owned() }));
        }
        for other in [
            "CREATE INDEX a ON b (c)",
            "CREATE INDEX CONCURRENTLY ON b (c)",
            "DROP INDEX CONCURRENTLY a CASCADE",
            "DROP INDEX CONCURRENTLY a, b",
            "SELECT 1",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
