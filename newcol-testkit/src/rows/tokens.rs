//! What an SQL expression mentions: columns, texts and numbers. Nothing here understands it.

use newcol_core::backend::Backend;
use sqlparser::{
    dialect::{Dialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect},
    tokenizer::{Token, Tokenizer},
};

/// The words and constants of an expression, in the order in which they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mentions {
    /// Words and quoted names.
    pub(super) words: Vec<String>,
    /// Texts, without quotes; elements of arrays also by themselves.
    pub(super) texts: Vec<String>,
    /// Numbers without sign.
    pub(super) numbers: Vec<String>,
}

/// Reads an expression; one that the tokenizer does not understand mentions nothing.
pub(super) fn mentions(backend: Backend, sql: &str) -> Mentions {
    let dialect: &dyn Dialect = match backend {
        Backend::Postgres => &PostgreSqlDialect {},
        Backend::Mysql => &MySqlDialect {},
        Backend::Sqlite => &SQLiteDialect {},
    };
    let mut found = Mentions::default();
    for token in Tokenizer::new(dialect, sql).tokenize().unwrap_or_default() {
        match token {
            Token::Word(word) => found.words.push(word.value),
            Token::Number(number, _) => found.numbers.push(number),
            Token::SingleQuotedString(text)
            | Token::EscapedStringLiteral(text)
            | Token::NationalStringLiteral(text) => {
                if let Some(inner) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
                    found.texts.extend(inner.split(',').map(|part| part.trim_matches('"').into()));
                }
                found.texts.push(text);
            }
            Token::DoubleQuotedString(text) => found.words.push(text),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_texts_and_numbers_are_told_apart() {
        let found = mentions(
            Backend::Postgres,
            "((\"A b\" >= 1.5) AND kind = ANY ('{a,b}'::text[]) OR x <> E'it''s')",
        );
        assert_eq!(found.words, ["A b", "AND", "kind", "ANY", "text", "OR", "x"]);
        assert_eq!(found.texts, ["a", "b", "{a,b}", "it's"]);
        assert_eq!(found.numbers, ["1.5"]);
        assert_eq!(mentions(Backend::Mysql, "`a` in (_utf8mb4'x')").words[0], "a");
        assert_eq!(mentions(Backend::Sqlite, "[a]").words, ["a"]);
    }
}
