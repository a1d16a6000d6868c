//! Cuts SQL into tokens and statements, without understanding more of it.

use std::ops::Range;

use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use crate::{backend::Backend, contract::fragment::dialect};

/// How many tokens may follow each other without a comma, and how many queries one another by
/// `UNION`: what is read becomes a tree as deep, and a tree without bound a stack without bound.
const DEEPEST: usize = 1000;

/// A token and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) token: Token,
    /// Bytes of the text.
    pub(crate) range: Range<usize>,
    /// Lines and characters, as the tokenizer counts them.
    pub(crate) span: Span,
}

/// The tokens of one statement, without comments and white space.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    tokens: Vec<Placed>,
}

/// Returns the tokens of a text, white space included; `None` where it cannot be read as SQL.
pub(crate) fn tokens(text: &str, backend: Backend) -> Option<Vec<Placed>> {
    let (tokens, end) = read(text, backend);
    matches!(end, End::OfText).then_some(tokens)
}

/// Returns the tokens of a text as far as it can be read: one that is cut off ends anywhere.
pub(crate) fn leading_tokens(text: &str, backend: Backend) -> Vec<Placed> {
    read(text, backend).0
}

/// Where reading ended.
enum End {
    OfText,
    /// Something is not closed, or no SQL.
    Before,
}

fn read(text: &str, backend: Backend) -> (Vec<Placed>, End) {
    let mut cursor = Cursor { text, at: 0, line: 1, column: 1 };
    let mut tokens = Vec::new();
    let done = Tokenizer::new(dialect(backend), text).tokenize_with_location_into_buf(&mut tokens);
    let placed = |TokenWithSpan { token, span }| {
        let start = cursor.seek(span.start);
        Placed { token, range: start..cursor.seek(span.end), span }
    };
    let end = if done.is_ok() { End::OfText } else { End::Before };
    (tokens.into_iter().map(placed).collect(), end)
}

/// Walks through a text once, since the tokenizer counts lines and characters and we bytes.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
    line: u64,
    column: u64,
}

impl Cursor<'_> {
    /// Returns the byte of a place that is not before the last one asked for.
    fn seek(&mut self, to: Location) -> usize {
        let rest = &self.text[self.at..];
        for c in rest.chars() {
            if (self.line, self.column) >= (to.line, to.column) {
                break;
            }
            self.at += c.len_utf8();
            (self.line, self.column) =
                if c == '\n' { (self.line + 1, 1) } else { (self.line, self.column + 1) };
        }
        self.at
    }
}

/// Returns the statements of a text; none where it cannot be read as SQL.
pub(crate) fn statements(text: &str, backend: Backend) -> Vec<Statement> {
    tokens(text, backend).map(split).unwrap_or_default()
}

/// Cuts tokens into statements.
pub(crate) fn split(tokens: Vec<Placed>) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut tokens_of_one: Vec<Placed> = Vec::new();
    let mut blocks = 0_usize;
    // Whether the statement at hand creates something that may have a body.
    let mut inside = false;
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) | Token::EOF => continue,
            Token::SemiColon if blocks == 0 => {
                inside = false;
                let tokens = std::mem::take(&mut tokens_of_one);
                if !tokens.is_empty() {
                    statements.push(Statement { tokens });
                }
                continue;
            }
            Token::Word(word) if word.quote_style.is_none() => {
                // Bodies of triggers and routines; `BEGIN` alone starts a transaction. `CASE` and
                // the compound statements of MySQL end in `END` too.
                let upper = word.value.to_ascii_uppercase();
                let created = tokens_of_one.first().is_some_and(|first| is(&first.token, "CREATE"));
                inside |= created
                    && matches!(upper.as_str(), "TRIGGER" | "FUNCTION" | "PROCEDURE" | "EVENT");
                if inside && (upper == "BEGIN" || upper == "CASE") {
                    blocks += usize::from(upper == "BEGIN" || blocks > 0);
                } else if inside && upper == "END" {
                    blocks = blocks.saturating_sub(1);
                } else if inside
                    && matches!(upper.as_str(), "IF" | "LOOP" | "REPEAT" | "WHILE")
                    && tokens_of_one.last().is_some_and(|last| is(&last.token, "END"))
                {
                    // `END IF`: its END closed nothing that we had counted.
                    blocks += 1;
                }
            }
            _ => {}
        }
        tokens_of_one.push(token);
    }
    if !tokens_of_one.is_empty() {
        statements.push(Statement { tokens: tokens_of_one });
    }
    statements
}

impl Statement {
    /// Returns its unquoted words in upper case, in order.
    pub(crate) fn words(&self) -> Vec<String> {
        self.tokens
            .iter()
            .filter_map(|token| match &token.token {
                Token::Word(word) if word.quote_style.is_none() => {
                    Some(word.value.to_ascii_uppercase())
                }
                _ => None,
            })
            .collect()
    }

    /// Reports whether it starts with these words.
    pub(crate) fn starts(&self, words: &[&str]) -> bool {
        self.tokens.len() >= words.len()
            && words.iter().zip(&self.tokens).all(|(word, token)| is(&token.token, word))
    }

    /// Reports whether it changes the schema.
    pub(crate) fn is_ddl(&self) -> bool {
        ["CREATE", "ALTER", "DROP", "RENAME", "TRUNCATE"].iter().any(|word| self.starts(&[word]))
    }

    /// Returns the line of its first token, from 1.
    pub(crate) fn line(&self) -> usize {
        let line = self.tokens.first().map_or(1, |token| token.span.start.line);
        usize::try_from(line).unwrap_or(1)
    }

    /// Returns the bytes that it takes of its text.
    pub(crate) fn range(&self) -> Range<usize> {
        let first = self.tokens.first().map_or(0, |token| token.range.start);
        first..self.tokens.last().map_or(first, |token| token.range.end)
    }

    /// Returns its tokens.
    pub(crate) fn tokens(&self) -> &[Placed] {
        &self.tokens
    }

    /// Returns the name that follows these words, `IF [NOT] EXISTS` passed over: without schema,
    /// in lower case.
    pub(crate) fn name_after(&self, words: &[&str]) -> Option<String> {
        self.names_after(words).next()
    }

    /// Returns every name that follows these words.
    pub(crate) fn names_after<'a>(
        &'a self,
        words: &'a [&str],
    ) -> impl Iterator<Item = String> + 'a {
        self.places_after(words).filter_map(|at| self.name_at(at))
    }

    /// Returns the names that follow `REFERENCES` with the action that follows `ON DELETE`.
    pub(crate) fn references(&self) -> Vec<(String, Option<String>)> {
        let places: Vec<usize> = self.places_after(&["REFERENCES"]).collect();
        let mut found = Vec::new();
        for (n, at) in places.iter().enumerate() {
            let end = places.get(n + 1).copied().unwrap_or(self.tokens.len());
            let clause = Self { tokens: self.tokens[*at..end].to_vec() };
            let action =
                clause.places_after(&["ON", "DELETE"]).next().and_then(|at| {
                    match &clause.tokens.get(at)?.token {
                        Token::Word(word) => Some(word.value.to_ascii_uppercase()),
                        _ => None,
                    }
                });
            found.extend(self.name_at(*at).map(|name| (name, action)));
        }
        found
    }

    /// Reports whether it calls a function with a text, whatever else it does.
    pub(crate) fn calls_with(&self, function: &str, text: &str) -> bool {
        self.places_after(&[function]).any(|at| {
            self.tokens[at..].iter().any(|token| {
                matches!(&token.token, Token::SingleQuotedString(found)
                    if found.eq_ignore_ascii_case(text))
            })
        })
    }

    /// Returns where the names are that follow these words, schema included.
    pub(crate) fn name_ranges_after(&self, words: &[&str]) -> Vec<Range<usize>> {
        let range = |at: usize| {
            let mut end = at;
            while self.tokens.get(end + 1).is_some_and(|t| t.token == Token::Period) {
                end += 2;
            }
            Some(self.tokens.get(at)?.range.start..self.tokens.get(end)?.range.end)
        };
        self.places_after(words).filter_map(range).collect()
    }

    fn places_after<'a>(&'a self, words: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
        let ends = words.len()..=self.tokens.len();
        ends.filter(move |end| {
            let tokens = &self.tokens[end - words.len()..*end];
            words.iter().zip(tokens).all(|(word, token)| is(&token.token, word))
        })
    }

    fn name_at(&self, mut at: usize) -> Option<String> {
        while ["IF", "NOT", "EXISTS"]
            .iter()
            .any(|word| self.tokens.get(at).is_some_and(|token| is(&token.token, word)))
        {
            at += 1;
        }
        let mut name = None;
        loop {
            match &self.tokens.get(at)?.token {
                Token::Word(word) => name = Some(word.value.to_lowercase()),
                Token::SingleQuotedString(text) => name = Some(text.to_lowercase()),
                _ => return name,
            }
            match self.tokens.get(at + 1).map(|token| &token.token) {
                Some(Token::Period) => at += 2,
                _ => return name,
            }
        }
    }
}

/// Reports whether a token is a word without quotes, in any case.
pub(crate) fn is(token: &Token, wanted: &str) -> bool {
    matches!(token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

/// Reports whether what a parser makes of tokens would be too deep a tree to walk through.
pub(crate) fn is_too_deep<'t>(tokens: impl Iterator<Item = &'t Token>) -> bool {
    let mut runs = vec![(0_usize, 0_usize)];
    let mut deepest = 0;
    for token in tokens {
        match token {
            Token::LParen => runs.push((0, 0)),
            Token::RParen if runs.len() > 1 => drop(runs.pop()),
            Token::Comma => runs.last_mut().into_iter().for_each(|run| run.0 = 0),
            token => {
                let unites = ["UNION", "INTERSECT", "EXCEPT"].iter().any(|word| is(token, word));
                if let Some(run) = runs.last_mut() {
                    run.0 += 1;
                    run.1 += usize::from(unites) * 10;
                }
            }
        }
        deepest = deepest.max(runs.last().map_or(0, |run| run.0.max(run.1)));
    }
    deepest > DEEPEST
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str, backend: Backend) -> usize {
        statements(text, backend).len()
    }

    #[test]
    fn statements_end_at_semicolons_outside_of_bodies_and_quotes() {
        use Backend::{Mysql, Postgres, Sqlite};
        for (backend, text, wanted) in [
            (Postgres, "SELECT ';'; -- a; b\n/* ; */ SELECT 2;;", 2),
            (Postgres, "CREATE FUNCTION f() RETURNS int AS $$ BEGIN; END; $$ LANGUAGE sql;", 1),
            (Postgres, "BEGIN; SELECT 1; COMMIT;", 3),
            (
                Sqlite,
                "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET b = CASE WHEN 1 THEN 2 END; DELETE FROM c; END; SELECT 1",
                2,
            ),
            (
                Mysql,
                "CREATE PROCEDURE p() BEGIN IF 1 THEN SELECT 1; END IF; SELECT 2; END; SELECT 3;",
                2,
            ),
            (Sqlite, "-- only a comment\n", 0),
        ] {
            assert_eq!(count(text, backend), wanted, "{text}");
        }
    }

    #[test]
    fn tokens_stand_where_they_are() {
        let text = "SELECT 'ä\nö' AS \"ü\" -- é\n, x";
        let seen: Vec<&str> =
            tokens(text, Backend::Postgres).unwrap().into_iter().map(|t| &text[t.range]).collect();
        assert_eq!(seen.concat(), text);
        assert!(seen.contains(&"'ä\nö'") && seen.contains(&"\"ü\""), "{seen:?}");
    }

    #[test]
    fn names_and_references() {
        let one = |text| statements(text, Backend::Sqlite).remove(0);
        let sql = "CREATE TABLE IF NOT EXISTS \"Posts\" (a INT REFERENCES users (id) ON UPDATE CASCADE ON DELETE SET NULL, \
                   b INT REFERENCES x, FOREIGN KEY (a) REFERENCES main.y(id) ON DELETE CASCADE)";
        assert_eq!(one(sql).name_after(&["CREATE", "TABLE"]).as_deref(), Some("posts"));
        let own = |text: &str| text.to_owned();
        assert_eq!(
            one(sql).references(),
            [(own("users"), Some(own("SET"))), (own("x"), None), (own("y"), Some(own("CASCADE")))]
        );
        assert_eq!(
            one("ALTER TABLE a RENAME TO b").name_after(&["RENAME", "TO"]).as_deref(),
            Some("b")
        );
    }
}
