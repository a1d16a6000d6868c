//! What statements look like once their values are left out, so that equal ones are known as such.

use std::ops::Range;

use sqlparser::{
    keywords::Keyword,
    tokenizer::{Token, Whitespace},
};

use super::statement::QUERIES;
use crate::{
    backend::Backend,
    sql::{self, Placed, is},
};

/// A statement of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audit) struct Shaped {
    /// Bytes of the text.
    pub(in crate::audit) range: Range<usize>,
    /// As it is written, on one line and without comments.
    pub(in crate::audit) written: String,
    /// The same with `?` for each value of a query, and one row for many.
    pub(in crate::audit) shape: String,
}

/// Returns the statements of a text; none where it cannot be read as SQL.
pub(in crate::audit) fn shapes(text: &str, engine: Backend) -> Vec<Shaped> {
    let statements = sql::statements(text, engine);
    statements.iter().filter_map(|statement| shaped(statement.tokens())).collect()
}

/// Returns the beginning of a text that is no whole SQL as one statement.
pub(in crate::audit) fn shape_of_beginning(text: &str, engine: Backend) -> String {
    let tokens = sql::leading_tokens(text, engine);
    let is_seen = |placed: &Placed| !matches!(placed.token, Token::Whitespace(_) | Token::EOF);
    let tokens: Vec<Placed> = tokens.into_iter().filter(is_seen).collect();
    shaped(&tokens).map_or_else(|| text.trim().to_owned(), |shaped| shaped.shape)
}

/// Returns the comments between slashes of a text, without those that are hints.
pub(in crate::audit) fn comments(text: &str, engine: Backend) -> Vec<String> {
    if !text.contains("/*") {
        return Vec::new();
    }
    let comment = |placed: Placed| match placed.token {
        Token::Whitespace(Whitespace::MultiLineComment(comment)) => Some(comment.trim().to_owned()),
        _ => None,
    };
    let is_said = |comment: &String| !comment.is_empty() && !comment.starts_with(['+', '!']);
    sql::leading_tokens(text, engine).into_iter().filter_map(comment).filter(is_said).collect()
}

/// Reports whether a statement has the form that Diesel's query builder gives it: all names quoted, and
/// all values bound.
pub(in crate::audit) fn is_like_diesel(text: &str, engine: Backend) -> bool {
    let statements = sql::statements(text, engine);
    let [statement] = statements.as_slice() else { return false };
    let tokens = statement.tokens();
    let mut names = 0_usize;
    let bare = tokens.iter().enumerate().any(|(at, placed)| match &placed.token {
        Token::Word(word) if word.quote_style.is_some() => {
            names += 1;
            false
        }
        Token::Word(word) => {
            let is_called = tokens.get(at + 1).is_some_and(|next| next.token == Token::LParen);
            word.keyword == Keyword::NoKeyword && !is_called
        }
        Token::Placeholder(_) => false,
        token => is_value(token),
    });
    names > 0 && !bare
}

fn shaped(tokens: &[Placed]) -> Option<Shaped> {
    let (first, last) = (tokens.first()?, tokens.last()?);
    let is_query = first.token == Token::LParen
        || QUERIES.iter().chain(&["EXPLAIN"]).any(|word| is(&first.token, word));
    let written = |placed: &Placed| Word { gap: false, text: placed.token.to_string() };
    let mut words: Vec<Word> = tokens.iter().map(written).collect();
    for (word, pair) in words.iter_mut().skip(1).zip(tokens.windows(2)) {
        word.gap = pair[1].range.start > pair[0].range.end;
    }
    let as_written = joined(&words);
    if is_query {
        for (word, placed) in words.iter_mut().zip(tokens) {
            if is_value(&placed.token) {
                "?".clone_into(&mut word.text);
            }
        }
        words = one_row(one_of_many(words));
    }
    let range = first.range.start..last.range.end;
    Some(Shaped { range, written: as_written, shape: joined(&words) })
}

struct Word {
    /// Whether something stands before it.
    gap: bool,
    text: String,
}

impl Word {
    fn more() -> Self {
        Self { gap: true, text: "…".to_owned() }
    }
}

fn joined(words: &[Word]) -> String {
    let mut text = String::new();
    for word in words {
        if word.gap {
            text.push(' ');
        }
        text.push_str(&word.text);
    }
    text
}

fn is_value(token: &Token) -> bool {
    matches!(
        token,
        Token::Number(..)
            | Token::Placeholder(_)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::SingleQuotedByteStringLiteral(_)
    )
}

/// Writes `IN (?, …)` for any number of values.
fn one_of_many(words: Vec<Word>) -> Vec<Word> {
    let mut kept: Vec<Word> = Vec::with_capacity(words.len());
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let begins = word.text == "("
            && kept.last().is_some_and(|before| before.text.eq_ignore_ascii_case("in"));
        kept.push(word);
        if !begins {
            continue;
        }
        let mut many = false;
        if let Some(first) = words.next_if(|word| word.text == "?") {
            kept.push(first);
            while let Some(comma) = words.next_if(|word| word.text == ",") {
                if let Some(_value) = words.next_if(|word| word.text == "?") {
                    if !many {
                        kept.push(comma);
                    }
                    many = true;
                } else {
                    kept.push(comma);
                    break;
                }
            }
        }
        if many {
            kept.push(Word::more());
        }
    }
    kept
}

/// Writes `(?, ?), …` for any number of equal rows.
fn one_row(words: Vec<Word>) -> Vec<Word> {
    let mut kept: Vec<Word> = Vec::with_capacity(words.len());
    // Where the last bracket begins that ended just now.
    let mut row: Option<Range<usize>> = None;
    let mut opened: Vec<usize> = Vec::new();
    for word in words {
        match word.text.as_str() {
            "(" => opened.push(kept.len()),
            ")" => {
                let Some(start) = opened.pop() else {
                    kept.push(word);
                    continue;
                };
                kept.push(word);
                let end = kept.len();
                if let Some(before) = &row
                    && is_repeated(&kept, before, start)
                {
                    kept.truncate(before.end);
                    kept.push(Word { gap: false, text: ",".to_owned() });
                    kept.push(Word::more());
                    continue;
                }
                row = Some(start..end);
                continue;
            }
            _ => {}
        }
        kept.push(word);
    }
    kept
}

/// Reports whether what begins at a place is a row that has come before, with a comma between and
/// perhaps the word that there are more.
fn is_repeated(words: &[Word], before: &Range<usize>, start: usize) -> bool {
    let between: Vec<&str> =
        words[before.end..start.max(before.end)].iter().map(|word| word.text.as_str()).collect();
    let same = |one: &[Word], other: &[Word]| {
        one.iter().map(|word| &word.text).eq(other.iter().map(|word| &word.text))
    };
    matches!(between.as_slice(), [","] | [",", "…", ","])
        && same(&words[before.clone()], &words[start..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(text: &str, engine: Backend) -> String {
        let all: Vec<String> = shapes(text, engine).into_iter().map(|one| one.shape).collect();
        all.join("; ")
    }

    #[test]
    fn values_and_white_space_make_no_difference() {
        let pg = |text| shape(text, Backend::Postgres);
        assert_eq!(
            pg("SELECT \"a\".b\n  FROM a /* x */ WHERE id = $1 -- y\n AND n = 'it''s'"),
            "SELECT \"a\".b FROM a WHERE id = ? AND n = ?"
        );
        assert_eq!(
            pg("SELECT 1 FROM a WHERE id IN ($1, $2, $3)"),
            "SELECT ? FROM a WHERE id IN (?, …)"
        );
        assert_eq!(
            pg("SELECT f(1, 2) FROM a WHERE id IN ($1)"),
            "SELECT f(?, ?) FROM a WHERE id IN (?)"
        );
        assert_eq!(
            pg("INSERT INTO a (x, y) VALUES ($1, $2), ($3, $4), ($5, $6) RETURNING x"),
            "INSERT INTO a (x, y) VALUES (?, ?), … RETURNING x"
        );
        assert_eq!(
            pg("INSERT INTO a VALUES ($1), (DEFAULT), (DEFAULT), (1)"),
            "INSERT INTO a VALUES (?), (DEFAULT), …, (?)"
        );
        assert_eq!(
            pg("INSERT INTO a VALUES (1); DELETE FROM a"),
            "INSERT INTO a VALUES (?); DELETE FROM a"
        );
        assert_eq!(
            pg("CREATE TABLE a (x text DEFAULT 'y')"),
            "CREATE TABLE a (x text DEFAULT 'y')"
        );
        assert_eq!(
            shape("SELECT `a` FROM `b` WHERE c = \"d\" AND e = ?", Backend::Mysql),
            "SELECT `a` FROM `b` WHERE c = ? AND e = ?"
        );
        assert_eq!(
            shape_of_beginning("INSERT INTO a VALUES (1, 'b", Backend::Postgres),
            "INSERT INTO a VALUES (?,"
        );
        assert_eq!(
            comments("/*+ hint */ SELECT 1 /* route='%2Fa' */", Backend::Postgres),
            ["route='%2Fa'"]
        );
    }

    #[test]
    fn what_diesel_builds_has_quoted_names_and_no_values() {
        let pg = |text| is_like_diesel(text, Backend::Postgres);
        assert!(pg("SELECT count(*) FROM \"a\" WHERE (\"a\".\"b\" = ANY($1)) LIMIT $2"));
        assert!(!pg("SELECT count(*) FROM \"a\" WHERE (\"a\".\"b\" = 1)"));
        assert!(!pg("SELECT count(*) FROM a WHERE (\"a\".\"b\" = $1)"));
        assert!(!pg("SELECT $1"));
        assert!(!pg("DELETE FROM \"a\"; DELETE FROM \"b\""));
        assert!(is_like_diesel("INSERT INTO `a` (`b`) VALUES (?)", Backend::Mysql));
    }

    proptest! {
        #[test]
        fn any_text_has_a_shape(text in "(?s).{0,80}", parts in "([(),?1 a;]|IN|INSERT|VALUES){0,40}") {
            for engine in Backend::ALL {
                for text in [&text, &parts] {
                    for one in shapes(text, engine) {
                        prop_assert!(text.get(one.range).is_some());
                    }
                    shape_of_beginning(text, engine);
                    comments(text, engine);
                }
            }
        }

        #[test]
        fn the_number_of_rows_makes_no_difference(rows in 2..20_usize, columns in 1..5_usize) {
            let row = format!("({})", vec!["$1"; columns].join(", "));
            let insert = |rows| format!("INSERT INTO a VALUES {}", vec![row.as_str(); rows].join(", "));
            let pg = |text: &str| shape(text, Backend::Postgres);
            prop_assert_eq!(pg(&insert(rows)), pg(&insert(2)));
            prop_assert_ne!(pg(&insert(1)), pg(&insert(2)));
        }
    }
}
