//! The bodies of PL/pgSQL and of the stored programs of MySQL, MariaDB and SQLite.
//!
//! Not parsed as a language: cut at what ends a statement in any of them, and looked into where a
//! query can stand. What is between the cuts goes to the parser.

use sqlparser::{parser::Parser, tokenizer::Token};

use super::{
    output::Output,
    query::Walk,
    routine::Head,
    scope::Variables,
    source::Source,
    statement::{Examiner, QUERIES, Rows},
};
use crate::{audit::rules::BUILT_SQL, sql::Placed};

/// The statements of one body.
pub(super) struct Body<'x, 'a> {
    examiner: &'x mut Examiner<'a>,
    head: Head,
    /// Whether variables are being declared.
    declares: bool,
}

impl<'x, 'a> Body<'x, 'a> {
    /// Examines a body.
    pub(super) fn examine(examiner: &'x mut Examiner<'a>, source: &Source<'_>, head: Head) {
        let mut body = Self { examiner, head, declares: false };
        let mut start = 0;
        let mut depth = 0_usize;
        let mut cases = 0_usize;
        for at in 0..source.tokens.len() {
            let word = |word: &str| source.is(at, word);
            let opens = |words: &[&str]| words.iter().any(|word| source.is(start, word));
            match source.token(at) {
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) => depth = depth.saturating_sub(1),
                _ if depth > 0 => {}
                Some(Token::SemiColon) => {
                    body.segment(&source.part(start..at));
                    start = at + 1;
                    cases = 0;
                }
                _ if cases > 0 && word("END") => cases -= 1,
                _ if at > start && word("CASE") && !opens(&["END"]) => cases += 1,
                _ if cases > 0 => {}
                _ if at == start && body.opens_block(source, at) => start = at + 1,
                _ if word("THEN")
                    && opens(&["IF", "ELSIF", "ELSEIF", "WHEN", "CASE", "EXCEPTION"])
                    || word("LOOP") && opens(&["FOR", "FOREACH", "WHILE"])
                    || word("DO") && opens(&["WHILE"]) =>
                {
                    body.segment(&source.part(start..at));
                    start = at + 1;
                }
                _ => {}
            }
        }
        body.segment(&source.part(start..source.tokens.len()));
    }

    /// Reports whether a token only opens a block.
    fn opens_block(&mut self, source: &Source<'_>, at: usize) -> bool {
        const OPENING: &[&str] = &["BEGIN", "DECLARE", "ELSE", "LOOP", "REPEAT", "ATOMIC"];
        let opens = OPENING.iter().any(|word| source.is(at, word));
        // MySQL declares one by one, and PL/pgSQL in a section.
        let section = source.is(at, "DECLARE") && self.head.variables == Variables::Clash;
        if section {
            self.declares = true;
        } else if source.is(at, "BEGIN") {
            self.declares = false;
        }
        opens && (section || !source.is(at, "DECLARE"))
    }

    fn segment(&mut self, segment: &Source<'_>) {
        if self.declares || segment.is(0, "DECLARE") {
            let at = usize::from(segment.is(0, "DECLARE"));
            self.head.names.extend(self.examiner.name_at(segment, at).0.pop());
        }
        if !self.examiner.concerns(segment) && !self.head.row {
            return;
        }
        let whole = segment.tokens.len();
        if segment.is(0, "EXECUTE") || segment.is(0, "PREPARE") {
            self.dynamic(segment);
        } else if segment.is(0, "RETURN") && segment.is(1, "QUERY") {
            if segment.is(2, "EXECUTE") {
                self.dynamic(segment);
            } else {
                let query = segment.part(2..whole);
                let output = self.statement(&query);
                self.examiner.returned(&output, &self.head, &query);
            }
        } else if QUERIES.iter().any(|word| segment.is(0, word)) {
            self.statement(&without_targets(segment));
        } else if segment.is(0, "PERFORM") {
            self.performed(segment);
        } else if let Some(query) = queries_start(segment) {
            // FOR row IN SELECT …, OPEN c FOR SELECT …, CURSOR FOR SELECT …
            self.statement(&segment.part(query..whole));
        } else if segment.has(QUERIES) {
            self.expression(&segment.part(expression_start(segment)..whole));
        }
    }

    fn statement(&mut self, source: &Source<'_>) -> Output {
        let scope = self.head.scope();
        if self.head.row {
            self.examiner.dml(&source.with_bare_rows(), &scope, Rows::Trigger)
        } else {
            self.examiner.dml(source, &scope, Rows::Unread)
        }
    }

    /// `PERFORM` is a `SELECT` whose rows nobody wants.
    fn performed(&mut self, segment: &Source<'_>) {
        let Some(first) = segment.tokens.first() else { return };
        let select = Placed { token: Token::make_keyword("SELECT"), ..(*first).clone() };
        let mut tokens = vec![&select];
        tokens.extend(&segment.tokens[1..]);
        self.statement(&Source { tokens, base: segment.base.clone(), engine: segment.engine });
    }

    /// Examines what stands behind `IF`, `WHEN`, `RETURN`, `:=`.
    fn expression(&mut self, source: &Source<'_>) {
        let scope = self.head.scope();
        let row = self.head.row;
        match source.parse(Parser::parse_expr) {
            Some(expr) => {
                Walk { examiner: self.examiner, source, row }.expressions(&expr, &scope);
            }
            None => self.examiner.unreadable(source.whole()),
        }
    }

    /// A statement that the body puts together itself.
    fn dynamic(&mut self, segment: &Source<'_>) {
        let table = self.examiner.table();
        let message = if self.examiner.concerns(segment) {
            format!("this statement is built while it runs and mentions `{table}`")
        } else {
            format!("this statement is built while it runs, in a trigger of `{table}`")
        };
        if self.head.row || self.examiner.concerns(segment) {
            self.examiner.report(&BUILT_SQL, segment.whole(), message);
        }
    }
}

/// Returns where the expression starts in `IF …`, `RETURN …`, `x := …`.
fn expression_start(segment: &Source<'_>) -> usize {
    const KEYWORDS: &[&str] =
        &["IF", "ELSIF", "ELSEIF", "WHILE", "WHEN", "RETURN", "CASE", "UNTIL"];
    if KEYWORDS.iter().any(|word| segment.is(0, word)) {
        return 1 + usize::from(segment.is(1, "NEXT"));
    }
    let assigns = |at: &usize| matches!(segment.token(*at), Some(Token::Assignment | Token::Eq));
    (0..segment.tokens.len()).find(assigns).map_or(0, |at| at + 1)
}

/// Returns where the query starts that a cursor or a loop runs through.
fn queries_start(segment: &Source<'_>) -> Option<usize> {
    let before = segment.find(0, &["IN", "FOR"])?;
    let loops = segment.is(0, "FOR") || segment.is(0, "OPEN") || segment.has(&["CURSOR"]);
    (before..segment.tokens.len())
        .find(|at| {
            (segment.is(*at, "IN") || segment.is(*at, "FOR"))
                && (segment.is(at + 1, "SELECT") || segment.is(at + 1, "WITH"))
        })
        .filter(|_| loops)
        .map(|at| at + 1)
}

/// Returns a statement without `INTO a, b`, which is no part of the query.
fn without_targets<'s>(segment: &Source<'s>) -> Source<'s> {
    let mut kept = segment.clone();
    let mut depth = 0_usize;
    let into = (1..segment.tokens.len()).find(|at| {
        match segment.token(*at) {
            Some(Token::LParen) => depth += 1,
            Some(Token::RParen) => depth = depth.saturating_sub(1),
            _ => {}
        }
        let writes = segment.is(at - 1, "INSERT")
            || segment.is(at - 1, "REPLACE")
            || segment.is(at - 1, "MERGE")
            || segment.is(at - 1, "IGNORE");
        depth == 0 && segment.is(*at, "INTO") && !writes && !segment.is(at.saturating_sub(2), "OR")
    });
    let Some(into) = into else { return kept };
    let mut end = into + 1 + usize::from(segment.is(into + 1, "STRICT"));
    let is_name = |at: usize| {
        matches!(segment.token(at), Some(Token::Word(_) | Token::AtSign | Token::Placeholder(_)))
    };
    while is_name(end) {
        end += 1;
        match segment.token(end) {
            Some(Token::Comma | Token::Period) => end += 1,
            _ => break,
        }
    }
    kept.tokens.drain(into..end);
    kept
}
