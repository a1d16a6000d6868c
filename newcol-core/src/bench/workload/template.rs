//! A statement's text, taken apart at its parameters.

use std::ops::Range;

use sqlparser::tokenizer::Token;

use crate::{backend::Backend, sql};

/// Why the text of a statement cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It is not closed, or no SQL.
    #[error("its text cannot be read as SQL")]
    Unreadable,
    /// It has a parameter without source.
    #[error("`{parameter}` is not among its {count} parameters")]
    Parameter {
        /// As it is written.
        parameter: String,
        /// How many it has.
        count: usize,
    },
}

/// A text with holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Text before each hole, and which parameter stands there.
    parts: Vec<(String, usize)>,
    rest: String,
}

impl Template {
    /// Takes a text apart.
    pub(super) fn of(text: &str, count: usize, backend: Backend) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut from = 0;
        for (range, written) in placeholders(text, backend).ok_or(TemplateError::Unreadable)? {
            let number = written.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
            let known = number.and_then(|number| number.checked_sub(1)).filter(|at| *at < count);
            let Some(at) = known else {
                return Err(TemplateError::Parameter { parameter: written, count });
            };
            parts.push((text[from..range.start].to_owned(), at));
            from = range.end;
        }
        Ok(Self { parts, rest: text[from..].to_owned() })
    }

    /// Puts literals in the places of the parameters, the first one in that of `$1`.
    pub fn fill(&self, literals: &[String]) -> String {
        let mut text = String::new();
        for (before, at) in &self.parts {
            text.push_str(before);
            text.push_str(literals.get(*at).map_or("NULL", String::as_str));
        }
        text.push_str(&self.rest);
        text
    }
}

/// Returns the places of a text in which values are to stand, with what is written there.
pub(crate) fn placeholders(text: &str, backend: Backend) -> Option<Vec<(Range<usize>, String)>> {
    let tokens = sql::tokens(text, backend)?;
    let placed = tokens.into_iter().filter_map(|placed| match placed.token {
        Token::Placeholder(written) => Some((placed.range, written)),
        // MySQL lets names begin so.
        Token::Word(word) if word.quote_style.is_none() && is_numbered(&word.value) => {
            Some((placed.range, word.value))
        }
        _ => None,
    });
    Some(placed.collect())
}

fn is_numbered(word: &str) -> bool {
    word.strip_prefix('$').is_some_and(|digits| digits.parse::<usize>().is_ok())
}
