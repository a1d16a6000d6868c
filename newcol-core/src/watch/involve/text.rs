//! Statements as the server prints them, parsed.

use sqlparser::{
    ast::Statement,
    keywords::Keyword,
    parser::Parser,
    tokenizer::{Token, TokenWithSpan},
};

use crate::{
    contract::fragment::dialect,
    sql::{self, Placed, is_too_deep},
};

use super::{catalog::Catalog, digest};

/// Longer texts are not read: they are no queries that somebody wrote.
const LONGEST: usize = 100_000;

/// Returns the tokens of one statement, without comments and white space.
pub(in crate::watch) fn tokens(text: &str, catalog: &Catalog) -> Option<Vec<Placed>> {
    if text.len() > LONGEST {
        return None;
    }
    let text = digest::readable(text, catalog);
    let mut tokens = sql::tokens(&text, catalog.backend)?;
    tokens.retain(|placed| {
        !matches!(placed.token, Token::Whitespace(_) | Token::EOF | Token::SemiColon)
    });
    Some(tokens)
}

/// Reads tokens as one statement.
pub(in crate::watch) fn parse(tokens: &[Placed], catalog: &Catalog) -> Option<Statement> {
    if is_too_deep(tokens.iter().map(|placed| &placed.token)) {
        return None;
    }
    let kept = tokens.iter().enumerate().filter(|(at, _)| !types_a_parameter(tokens, *at));
    let kept =
        kept.map(|(_, placed)| TokenWithSpan { token: placed.token.clone(), span: placed.span });
    let mut parser =
        Parser::new(dialect(catalog.backend)).with_tokens_with_locations(kept.collect());
    let statement = parser.parse_statement().ok()?;
    (parser.peek_token().token == Token::EOF).then_some(statement)
}

/// Reports whether a token is the type of a constant that has become a parameter: `date $1`.
pub(crate) fn types_a_parameter(tokens: &[Placed], at: usize) -> bool {
    let Token::Word(word) = &tokens[at].token else { return false };
    let before_parameter =
        matches!(tokens.get(at + 1).map(|next| &next.token), Some(Token::Placeholder(_)));
    let follows_cast = at
        .checked_sub(1)
        .is_some_and(|before| matches!(tokens[before].token, Token::DoubleColon | Token::Period));
    before_parameter
        && !follows_cast
        && matches!(
            word.keyword,
            Keyword::DATE
                | Keyword::TIME
                | Keyword::TIMESTAMP
                | Keyword::TIMESTAMPTZ
                | Keyword::TIMETZ
                | Keyword::JSON
                | Keyword::JSONB
                | Keyword::UUID
                | Keyword::BYTEA
                | Keyword::NUMERIC
        )
}
