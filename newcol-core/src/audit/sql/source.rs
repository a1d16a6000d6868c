//! A run of tokens that is parsed as one piece, and where its parts stand in the text.

use std::ops::Range;

use sqlparser::{
    parser::{Parser, ParserError},
    tokenizer::{Location, Span, Token, TokenWithSpan},
};

use crate::{
    backend::Backend,
    contract::fragment::dialect,
    sql::{Placed, is, is_too_deep},
};

/// Where the text of a piece stands in the text that was given.
#[derive(Debug, Clone)]
pub(super) enum Base {
    /// From this byte on, unchanged.
    At(usize),
    /// Somewhere in these bytes: quotes were taken off within.
    Within(Range<usize>),
}

impl Base {
    pub(super) fn range(&self, range: Range<usize>) -> Range<usize> {
        match self {
            Self::At(start) => start + range.start..start + range.end,
            Self::Within(whole) => whole.clone(),
        }
    }
}

/// A run of tokens.
#[derive(Debug, Clone)]
pub(super) struct Source<'a> {
    pub(super) tokens: Vec<&'a Placed>,
    pub(super) base: Base,
    pub(super) engine: Backend,
}

impl<'a> Source<'a> {
    /// Returns a part of it.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        let tokens = self.tokens.get(range).unwrap_or_default().to_vec();
        Self { tokens, base: self.base.clone(), engine: self.engine }
    }

    /// Reads it as what `read` reads, and nothing else.
    pub(super) fn parse<T>(
        &self,
        read: impl FnOnce(&mut Parser<'a>) -> Result<T, ParserError>,
    ) -> Option<T> {
        if is_too_deep(self.tokens.iter().map(|placed| &placed.token)) {
            return None;
        }
        let token =
            |placed: &&Placed| TokenWithSpan { token: placed.token.clone(), span: placed.span };
        let tokens = self.tokens.iter().map(token).collect();
        let mut parser = Parser::new(dialect(self.engine)).with_tokens_with_locations(tokens);
        let read = read(&mut parser).ok()?;
        (parser.peek_token().token == Token::EOF).then_some(read)
    }

    /// Returns the bytes of a part of what was read; those of the whole where it has no place.
    pub(super) fn range(&self, span: Span) -> Range<usize> {
        let at = |location: Location| {
            let key = |placed: &&Placed| {
                let start = placed.span.start;
                (start.line, start.column).cmp(&(location.line, location.column))
            };
            self.tokens.binary_search_by(key)
        };
        if span == Span::empty() {
            return self.whole();
        }
        let first = at(span.start).unwrap_or_else(|after| after.saturating_sub(1));
        // The place after the last character; the token that ends there is the one before.
        let last = at(span.end).unwrap_or_else(|after| after).saturating_sub(1).max(first);
        self.tokens_range(first..last + 1)
    }

    /// Returns the bytes of some of its tokens.
    pub(super) fn tokens_range(&self, range: Range<usize>) -> Range<usize> {
        let start = self.tokens.get(range.start).map_or(0, |placed| placed.range.start);
        let last = self.tokens.get(range.end.saturating_sub(1));
        self.base.range(start..last.map_or(start, |placed| placed.range.end))
    }

    /// Returns its bytes.
    pub(super) fn whole(&self) -> Range<usize> {
        self.tokens_range(0..self.tokens.len())
    }

    /// Reports whether its bytes are those of the text that was given, one by one.
    pub(super) fn is_exact(&self) -> bool {
        matches!(self.base, Base::At(_))
    }

    /// Reports whether a token is this word.
    pub(super) fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|placed| is(&placed.token, word))
    }

    /// Returns a token.
    pub(super) fn token(&self, at: usize) -> Option<&'a Token> {
        self.tokens.get(at).map(|placed| &placed.token)
    }

    /// Returns where one of these words stands, from a place on.
    pub(super) fn find(&self, from: usize, words: &[&str]) -> Option<usize> {
        (from..self.tokens.len()).find(|at| words.iter().any(|word| self.is(*at, word)))
    }

    /// Reports whether one of these words is in it.
    pub(super) fn has(&self, words: &[&str]) -> bool {
        self.find(0, words).is_some()
    }

    /// Returns the place after the bracket that closes the one at `open`.
    pub(super) fn after_bracket(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for at in open..self.tokens.len() {
            match self.token(at) {
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return at + 1;
                    }
                }
                _ => {}
            }
        }
        self.tokens.len()
    }

    /// Returns it with `NEW.*` for `(NEW).*`, which the parser does not read everywhere.
    pub(super) fn with_bare_rows(&self) -> Self {
        let in_brackets = |open: usize| {
            self.token(open) == Some(&Token::LParen)
                && (self.is(open + 1, "NEW") || self.is(open + 1, "OLD"))
                && self.token(open + 2) == Some(&Token::RParen)
                && self.token(open + 3) == Some(&Token::Period)
        };
        let bracket = |at: usize| in_brackets(at) || at.checked_sub(2).is_some_and(in_brackets);
        let kept = self.tokens.iter().enumerate().filter(|(at, _)| !bracket(*at));
        Self { tokens: kept.map(|(_, placed)| *placed).collect(), ..self.clone() }
    }

    /// Returns the parts between commas that stand in no bracket.
    pub(super) fn split_at_commas(&self) -> Vec<Self> {
        let mut depth = 0_usize;
        let mut start = 0;
        let mut parts = Vec::new();
        for at in 0..self.tokens.len() {
            match self.token(at) {
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) => depth = depth.saturating_sub(1),
                Some(Token::Comma) if depth == 0 => {
                    parts.push(self.part(start..at));
                    start = at + 1;
                }
                _ => {}
            }
        }
        parts.push(self.part(start..self.tokens.len()));
        parts
    }
}
