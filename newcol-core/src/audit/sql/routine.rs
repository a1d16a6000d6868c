//! Functions, procedures, triggers and events: what their heads say of their bodies.

use sqlparser::tokenizer::Token;

use super::{
    body::Body,
    names::mentions,
    output::Output,
    scope::{Scope, Variables},
    source::{Base, Source},
    statement::{Examiner, Rows},
};
use crate::{audit::rules::ROW_FUNCTION, backend::Backend, sql};

/// What a routine gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returns {
    /// Nothing that is weighed here.
    Nothing,
    /// Rows of the table, by its name.
    Rows,
    /// Rows of a list of columns, or of another type.
    List,
}

/// The head of a routine.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) returns: Returns,
    /// What bare names of the body mean besides columns.
    pub(super) variables: Variables,
    pub(super) names: Vec<String>,
    /// Whether `NEW` and `OLD` are rows of the table.
    pub(super) row: bool,
}

impl Examiner<'_> {
    /// Notes the function of a `CREATE TRIGGER … ON` the table.
    pub(super) fn bind_trigger(&mut self, source: &Source<'_>) {
        if !source.is(0, "CREATE") || source.find(1, &["TRIGGER"]).is_none_or(|at| at > 4) {
            return;
        }
        let Some(on) = source.find(1, &["ON"]) else { return };
        let Some(call) = source.find(on, &["FUNCTION", "PROCEDURE"]) else { return };
        if self.names.is_table(&self.name_at(source, on + 1).0) {
            self.row_functions.extend(self.name_at(source, call + 1).0.pop());
        }
    }

    /// `DO $$ … $$`.
    pub(super) fn anonymous_block(&mut self, source: &Source<'_>) {
        if let Some(at) = (1..source.tokens.len()).find(|at| is_text(source.token(*at))) {
            self.block_at(source, at);
        }
    }

    /// `CALL make_triggers('posts', $$ BEGIN … END $$)`: a block that a procedure puts somewhere.
    pub(super) fn handed_blocks(&mut self, source: &Source<'_>) {
        for at in 1..source.tokens.len() {
            let Some(Token::DollarQuotedString(text)) = source.token(at) else { continue };
            let first = text.value.split_whitespace().next().unwrap_or_default();
            let opens = ["BEGIN", "DECLARE"].iter().any(|word| first.eq_ignore_ascii_case(word));
            if opens && mentions(&text.value, &self.names.table) {
                self.block_at(source, at);
            }
        }
    }

    fn block_at(&mut self, source: &Source<'_>, at: usize) {
        let head = Head {
            returns: Returns::Nothing,
            variables: Variables::Clash,
            names: Vec::new(),
            row: false,
        };
        self.quoted_body(source, at, |examiner, source| Body::examine(examiner, source, head));
    }

    /// Examines the body of a routine, whose kind is named at `kind`.
    pub(super) fn routine(&mut self, source: &Source<'_>, kind: usize) {
        match self.engine {
            Backend::Postgres => self.postgres_routine(source, kind),
            Backend::Mysql | Backend::Sqlite => self.compound_routine(source, kind),
        }
    }

    fn postgres_routine(&mut self, source: &Source<'_>, kind: usize) {
        if source.is(kind, "TRIGGER") {
            return;
        }
        let (name, open) = self.name_at(source, kind + 1);
        let close = source.after_bracket(open);
        let mut names = self.parameters(&source.part(open + 1..close.saturating_sub(1)));
        let returns = match source.find(close, &["RETURNS", "AS", "LANGUAGE"]) {
            Some(at) if source.is(at, "RETURNS") => {
                let at = at + 1 + usize::from(source.is(at + 1, "SETOF"));
                if source.is(at, "TABLE") && source.token(at + 1) == Some(&Token::LParen) {
                    let end = source.after_bracket(at + 1);
                    names.extend(self.parameters(&source.part(at + 2..end - 1)));
                    Returns::List
                } else if self.names.is_table(&self.name_at(source, at).0) {
                    Returns::Rows
                } else if ["VOID", "TRIGGER"].iter().any(|word| source.is(at, word)) {
                    Returns::Nothing
                } else {
                    Returns::List
                }
            }
            _ => Returns::Nothing,
        };
        let row = name.last().is_some_and(|name| self.row_functions.contains(name));
        let language =
            source.find(close, &["LANGUAGE"]).and_then(|at| match source.token(at + 1) {
                Some(Token::Word(word)) => Some(word.value.to_lowercase()),
                Some(Token::SingleQuotedString(text)) => Some(text.to_lowercase()),
                _ => None,
            });
        // A body without quotes was understood when it was written, and stays so.
        let body =
            source.find(close, &["AS"]).map(|at| at + 1).filter(|at| is_text(source.token(*at)));
        let Some(body) = body else { return };
        match language.as_deref() {
            Some("sql") => {
                let head = Head { returns, variables: Variables::Yield, names, row };
                self.quoted_body(source, body, |examiner, source| examiner.sql_body(source, &head));
            }
            Some("plpgsql") => {
                let head = Head { returns, variables: Variables::Clash, names, row };
                self.quoted_body(source, body, |examiner, source| {
                    Body::examine(examiner, source, head);
                });
            }
            Some("c" | "internal") => {}
            _ => self.unreadable(source.tokens_range(body..body + 1)),
        }
    }

    /// Triggers, routines and events whose body is one statement or `BEGIN … END`.
    fn compound_routine(&mut self, source: &Source<'_>, kind: usize) {
        let (_, open) = self.name_at(source, kind + 1);
        let mut names = Vec::new();
        let mut start = open;
        let mut row = false;
        if source.is(kind, "TRIGGER") {
            let Some(on) = source.find(open, &["ON"]) else { return };
            let (table, next) = self.name_at(source, on + 1);
            row = self.names.is_table(&table);
            start = next;
        } else if source.token(open) == Some(&Token::LParen) {
            start = source.after_bracket(open);
            names = self.parameters(&source.part(open + 1..start - 1));
        }
        let mut first = vec!["BEGIN", "CALL", "IF", "SET", "RETURN", "DO"];
        first.extend(super::statement::QUERIES);
        // A condition may hold queries; they stand in brackets.
        let mut depth = 0_usize;
        let begin = (start..source.tokens.len()).find(|at| {
            match source.token(*at) {
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && first.iter().any(|word| source.is(*at, word))
        });
        let Some(begin) = begin else { return };
        let head = Head { returns: Returns::Nothing, variables: Variables::Win, names, row };
        Body::examine(self, &source.part(begin..source.tokens.len()), head);
    }

    /// A body of plain statements, the last of which is the result.
    fn sql_body(&mut self, source: &Source<'_>, head: &Head) {
        let scope = head.scope();
        let statements: Vec<Source<'_>> = source
            .tokens
            .split(|placed| placed.token == Token::SemiColon)
            .filter(|tokens| !tokens.is_empty())
            .map(|tokens| Source { tokens: tokens.to_vec(), ..source.clone() })
            .collect();
        for (n, statement) in statements.iter().enumerate() {
            let rows = if head.row { Rows::Trigger } else { Rows::Unread };
            let output = self.dml(statement, &scope, rows);
            if n + 1 == statements.len() {
                self.returned(&output, head, statement);
            }
        }
    }

    /// Weighs what a function gives back against what it promises.
    pub(super) fn returned(&mut self, output: &Output, head: &Head, source: &Source<'_>) {
        let column = self.column();
        match (head.returns, output.first_new()) {
            (Returns::List, Some((star, _))) => {
                let message =
                    format!("`*` brings `{column}`, which is not among what the function returns");
                self.report(&ROW_FUNCTION, star, message);
            }
            (Returns::Rows, None) if output.count() == Some(self.names.columns.len()) => {
                let message = format!(
                    "the function returns rows of `{}`, which get a column that this query does not have",
                    self.table()
                );
                self.report(&ROW_FUNCTION, source.whole(), message);
            }
            _ => {}
        }
    }

    /// Hands on the tokens of a body in quotes.
    fn quoted_body(
        &mut self,
        source: &Source<'_>,
        at: usize,
        examine: impl FnOnce(&mut Self, &Source<'_>),
    ) {
        let Some(placed) = source.tokens.get(at) else { return };
        let whole = source.tokens_range(at..at + 1);
        let (text, base) = match (&placed.token, &source.base) {
            (Token::DollarQuotedString(text), Base::At(_)) => {
                let quote = text.tag.as_ref().map_or(2, |tag| tag.len() + 2);
                (&text.value, Base::At(whole.start + quote))
            }
            (Token::DollarQuotedString(text), Base::Within(_)) => {
                (&text.value, Base::Within(whole.clone()))
            }
            (Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text), _) => {
                (text, Base::Within(whole.clone()))
            }
            _ => return,
        };
        let Some(tokens) = sql::tokens(text, self.engine) else { return self.unreadable(whole) };
        let tokens = tokens
            .iter()
            .filter(|placed| !matches!(placed.token, Token::Whitespace(_) | Token::EOF))
            .collect();
        examine(self, &Source { tokens, base, engine: self.engine });
    }

    /// Returns the names in a list of parameters.
    fn parameters(&self, list: &Source<'_>) -> Vec<String> {
        let name = |parameter: &Source<'_>| {
            let modes = ["IN", "OUT", "INOUT", "VARIADIC"];
            let at = usize::from(modes.iter().any(|mode| parameter.is(0, mode)));
            // A type alone is a parameter without name.
            let named = parameter.tokens.len() > at + 1
                && matches!(parameter.token(at + 1), Some(Token::Word(_)));
            named.then(|| self.name_at(parameter, at).0.pop()).flatten()
        };
        list.split_at_commas().iter().filter_map(name).collect()
    }
}

impl Head {
    /// Returns the scope around every statement of the body.
    pub(super) fn scope(&self) -> Scope<'static> {
        Scope { variables: Some((self.variables, self.names.clone())), ..Scope::default() }
    }
}

fn is_text(token: Option<&Token>) -> bool {
    matches!(
        token,
        Some(
            Token::DollarQuotedString(_)
                | Token::SingleQuotedString(_)
                | Token::EscapedStringLiteral(_)
        )
    )
}
