//! Pieces of SQL that the user writes: types and expressions.
//!
//! They go into statements as they are (expressions in parentheses), so they are checked token by
//! token to be *one* fragment: it closes what it opens and cannot end the statement around it.

use std::fmt;

use sqlparser::{
    dialect::{Dialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect},
    tokenizer::{Token, Tokenizer, Whitespace},
};

use crate::backend::Backend;

/// Why a text cannot stand inside one of our statements.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    /// Nothing but white space.
    #[error("it is empty")]
    Empty,
    /// The engine's tokens cannot be read.
    #[error("{message}")]
    Tokens {
        /// What the tokenizer says, with its place in the fragment.
        message: String,
    },
    /// No engine takes U+0000 in a statement.
    #[error("it contains the control character U+0000")]
    Nul,
    /// A semicolon would end the statement.
    #[error("a `;` would end the statement around it")]
    Semicolon,
    /// A `--` comment would hide the rest of the statement.
    #[error("a line comment would hide the rest of the statement")]
    LineComment,
    /// A comment that MySQL and MariaDB run.
    #[error("what stands in `/*! */` or `/*M! */` would be run")]
    RunComment,
    /// A closing bracket that closes nothing of the fragment, or the reverse.
    #[error("`{bracket}` has no partner")]
    Unbalanced {
        /// The lonely bracket.
        bracket: String,
    },
    /// A comma outside brackets would start another action.
    #[error("a `,` outside brackets would start another action")]
    Comma,
    /// A type that carries a constraint.
    #[error("`{word}` is not part of a type")]
    NotOfAType {
        /// The word that belongs elsewhere.
        word: String,
    },
}

impl FragmentError {
    /// Returns the way out where it is not plain from the message.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotOfAType { word } => Some(match word.to_ascii_uppercase().as_str() {
                "NOT" | "NULL" => "say `--required` or `--optional`".to_owned(),
                "DEFAULT" => "say `--default`".to_owned(),
                "REFERENCES" => "say `--references`".to_owned(),
                "UNIQUE" => "say `--unique`".to_owned(),
                "CHECK" | "CONSTRAINT" => "say `--check`".to_owned(),
                "GENERATED" | "AS" => "say `--generated`".to_owned(),
                "COMMENT" => "say `--why`".to_owned(),
                word => format!("leave `{word}` out"),
            }),
            Self::Empty => Some("write SQL, or leave it out".to_owned()),
            Self::Nul => Some("leave the character out".to_owned()),
            Self::Tokens { .. } => Some("close what is open, as the engine reads it".to_owned()),
            Self::Semicolon => Some("write one type or one expression, not a statement".to_owned()),
            Self::LineComment => Some("use /* */, or leave the comment out".to_owned()),
            Self::RunComment => Some("write it without the comment".to_owned()),
            Self::Unbalanced { .. } => Some("close every bracket that you open".to_owned()),
            Self::Comma => {
                Some("write one type or one expression, or put it in brackets".to_owned())
            }
        }
    }
}

/// A SQL expression over a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expr(String);

impl Expr {
    /// Takes a text as it is, without surrounding white space.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Returns the user's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reports whether the expression is the bare keyword NULL, in brackets or not.
    pub fn is_null(&self) -> bool {
        let bare = |c: char| c == '(' || c == ')' || c.is_whitespace();
        self.0.trim_matches(bare).eq_ignore_ascii_case("null")
    }

    /// Checks that the engine reads this as one fragment that cannot leave its parentheses.
    pub fn check(&self, backend: Backend) -> Result<(), FragmentError> {
        closed_fragment(&self.0, backend).map(drop)
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SQL type, as the engine spells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SqlType(String);

/// Words that turn `type` into something more than a type.
const CONSTRAINT_WORDS: &[&str] = &[
    "NOT",
    "NULL",
    "DEFAULT",
    "REFERENCES",
    "PRIMARY",
    "UNIQUE",
    "CHECK",
    "CONSTRAINT",
    "GENERATED",
    "AS",
    "AUTOINCREMENT",
    "AUTO_INCREMENT",
    "COMMENT",
    "FIRST",
    "AFTER",
    "STORED",
    "VIRTUAL",
];

impl SqlType {
    /// Takes a text as it is, without surrounding white space.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Returns the user's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks that the engine reads this as a type and nothing more.
    pub fn check(&self, backend: Backend) -> Result<(), FragmentError> {
        for token in closed_fragment(&self.0, backend)? {
            if let Token::Word(word) = token
                && word.quote_style.is_none()
                && CONSTRAINT_WORDS.iter().any(|w| word.value.eq_ignore_ascii_case(w))
            {
                return Err(FragmentError::NotOfAType { word: word.value });
            }
        }
        Ok(())
    }
}

/// Reports whether MySQL stores the type outside of the row, as TEXT, BLOB, JSON and geometries.
pub(crate) fn is_large_object(ty: &SqlType) -> bool {
    let word = ty.as_str().split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let word = word.to_ascii_lowercase();
    ["text", "blob"].iter().any(|suffix| word.ends_with(suffix))
        || ["json", "geometry", "point", "linestring", "polygon"].contains(&word.as_str())
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the parser dialect of an engine.
pub(crate) fn dialect(backend: Backend) -> &'static dyn Dialect {
    match backend {
        Backend::Postgres => &PostgreSqlDialect {},
        Backend::Mysql => &MySqlDialect {},
        Backend::Sqlite => &SQLiteDialect {},
    }
}

/// Returns the tokens of a text that closes all it opens and ends nothing around it.
fn closed_fragment(text: &str, backend: Backend) -> Result<Vec<Token>, FragmentError> {
    if text.trim().is_empty() {
        return Err(FragmentError::Empty);
    }
    if text.contains('\0') {
        return Err(FragmentError::Nul);
    }
    let tokens = Tokenizer::new(dialect(backend), text)
        .tokenize()
        .map_err(|e| FragmentError::Tokens { message: e.to_string() })?;
    let mut open: Vec<&Token> = Vec::new();
    for token in &tokens {
        match token {
            Token::SemiColon => return Err(FragmentError::Semicolon),
            Token::Whitespace(Whitespace::SingleLineComment { .. }) => {
                return Err(FragmentError::LineComment);
            }
            // MySQL and MariaDB run what stands in such a comment.
            Token::Whitespace(Whitespace::MultiLineComment(text))
                if backend == Backend::Mysql && text.starts_with(['!', 'M']) =>
            {
                return Err(FragmentError::RunComment);
            }
            Token::LParen | Token::LBracket | Token::LBrace => open.push(token),
            Token::RParen | Token::RBracket | Token::RBrace => {
                let partner = open.pop();
                let closes = matches!(
                    (partner, token),
                    (Some(Token::LParen), Token::RParen)
                        | (Some(Token::LBracket), Token::RBracket)
                        | (Some(Token::LBrace), Token::RBrace)
                );
                if !closes {
                    return Err(FragmentError::Unbalanced { bracket: token.to_string() });
                }
            }
            Token::Comma if open.is_empty() => {
                return Err(FragmentError::Comma);
            }
            _ => {}
        }
    }
    match open.pop() {
        Some(bracket) => Err(FragmentError::Unbalanced { bracket: bracket.to_string() }),
        None => Ok(tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn injections_are_refused() {
        for backend in Backend::ALL {
            for text in [
                "",
                " ",
                "1); DROP TABLE users; --",
                "1;",
                "1) , (2",
                "1, 2",
                "1 -- no",
                "'open",
                "(1",
                "1)",
                "(1]",
                "a) OR (b",
            ] {
                assert!(Expr::new(text).check(backend).is_err(), "{backend}: {text}");
            }
        }
        assert!(Expr::new("1 # no").check(Backend::Mysql).is_err());
        assert!(Expr::new("1 /*!50000 ) */").check(Backend::Mysql).is_err());
        assert!(Expr::new("1 /*M! ) */").check(Backend::Mysql).is_err());
        assert!(Expr::new("'a\0'").check(Backend::Postgres).is_err());
    }

    #[test]
    fn types_are_only_types() {
        for (backend, text) in [
            (Backend::Postgres, "varchar(16)"),
            (Backend::Postgres, "timestamp(3) with time zone"),
            (Backend::Postgres, "\"Not Null\""),
            (Backend::Postgres, "text[][]"),
            (Backend::Postgres, "text COLLATE \"C\""),
            (Backend::Mysql, "enum('a','b;c')"),
            (Backend::Mysql, "bigint unsigned"),
            (Backend::Sqlite, "INTEGER"),
        ] {
            assert_eq!(SqlType::new(text).check(backend), Ok(()), "{backend}: {text}");
        }
        for text in ["text NOT NULL", "int default 1", "int, add column x int", "int references a"]
        {
            assert!(SqlType::new(text).check(Backend::Postgres).is_err(), "{text}");
        }
    }
}
