//! `COPY`, which is numbered by its text and not by what it reads.

use sqlparser::tokenizer::Token;

use crate::sql::{Placed, is};

/// A `COPY` of a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Copy {
    /// Parts of the table's name, outermost first.
    pub(super) table: Vec<String>,
    /// Its list of columns.
    pub(super) columns: Option<Vec<String>>,
    /// Whether it writes rows.
    pub(super) from: bool,
}

/// Reads a `COPY` of a table, from behind its first word.
pub(super) fn read(tokens: &[Placed]) -> Option<Copy> {
    let mut rest = tokens.iter().map(|placed| &placed.token).peekable();
    let mut table = vec![name(rest.next()?)?];
    while rest.next_if(|token| **token == Token::Period).is_some() {
        table.push(name(rest.next()?)?);
    }
    let mut columns = None;
    if rest.next_if(|token| **token == Token::LParen).is_some() {
        let list = rest.by_ref().take_while(|token| **token != Token::RParen);
        columns = Some(list.filter_map(name).collect());
    }
    let direction = rest.next()?;
    (is(direction, "FROM") || is(direction, "TO")).then(|| Copy {
        table,
        columns,
        from: is(direction, "FROM"),
    })
}

fn name(token: &Token) -> Option<String> {
    match token {
        Token::Word(word) if word.quote_style.is_some() => Some(word.value.clone()),
        Token::Word(word) => Some(word.value.to_lowercase()),
        _ => None,
    }
}
