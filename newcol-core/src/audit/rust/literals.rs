//! Texts that code holds, wherever they stand.

use std::ops::Range;

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use rayon::prelude::*;

use super::{read, with_stack};
use crate::audit::sources::SourceFile;

/// The texts of a file.
#[derive(Debug, Default)]
pub(in crate::audit) struct Literals {
    pub(in crate::audit) literals: Vec<Literal>,
    lets: Vec<Let>,
    /// What stands in round brackets.
    brackets: Vec<Range<usize>>,
}

/// A text.
#[derive(Debug)]
pub(in crate::audit) struct Literal {
    pub(in crate::audit) text: String,
    /// Bytes of the file.
    pub(in crate::audit) range: Range<usize>,
    /// Whether it is what a call that takes SQL gets, and nothing else.
    pub(in crate::audit) is_examined: bool,
}

/// A variable or constant that is given a value.
#[derive(Debug)]
struct Let {
    name: String,
    is_const: bool,
    range: Range<usize>,
    /// The brackets in which it can be seen.
    scope: Range<usize>,
}

/// Returns the texts of Rust files, one entry for each; none of those that cannot be read.
pub(in crate::audit) fn literals(files: &[&SourceFile]) -> Vec<Literals> {
    with_stack(|| files.par_iter().map(|file| of_text(&file.text)).collect())
}

fn of_text(text: &str) -> Literals {
    if !text.contains('"') {
        return Literals::default();
    }
    let facts = read::read(text);
    proc_macro2::extra::invalidate_current_thread_spans();
    let mut found = Literals::default();
    let Ok(tokens) = text.parse::<TokenStream>() else { return found };
    let mut within = vec![(tokens, 0..text.len())];
    while let Some((tokens, scope)) = within.pop() {
        found.tokens(tokens, &scope, &mut within);
    }
    for literal in &mut found.literals {
        let known = facts.sql.iter().filter(|sql| sql.text.is_some());
        literal.is_examined = known.into_iter().any(|sql| sql.range == literal.range);
    }
    found
}

impl Literals {
    fn tokens(
        &mut self,
        tokens: TokenStream,
        scope: &Range<usize>,
        within: &mut Vec<(TokenStream, Range<usize>)>,
    ) {
        // The `let` that has not ended, and its variable.
        let mut open: Option<(Ident, Option<String>)> = None;
        for token in tokens {
            match token {
                TokenTree::Group(group) => {
                    let range = group.span().byte_range();
                    if group.delimiter() == Delimiter::Parenthesis {
                        self.brackets.push(range.clone());
                    }
                    let inner = match group.delimiter() {
                        Delimiter::Brace => range,
                        Delimiter::Parenthesis | Delimiter::Bracket | Delimiter::None => {
                            scope.clone()
                        }
                    };
                    within.push((group.stream(), inner));
                }
                TokenTree::Ident(ident)
                    if ident == "let" || ident == "const" || ident == "static" =>
                {
                    open = Some((ident, None));
                }
                TokenTree::Ident(ident) if ident == "fn" => open = None,
                TokenTree::Ident(ident) => {
                    if let Some((_, name @ None)) = &mut open
                        && ident != "mut"
                    {
                        *name = Some(ident.to_string());
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' => {
                    if let Some((word, Some(name))) = open.take() {
                        let range = word.span().byte_range().start..punct.span().byte_range().end;
                        let is_const = word != "let";
                        self.lets.push(Let { name, is_const, range, scope: scope.clone() });
                    }
                }
                TokenTree::Punct(_) => {}
                TokenTree::Literal(literal) => {
                    let range = literal.span().byte_range();
                    if let syn::Lit::Str(text) = syn::Lit::new(literal) {
                        let text = text.value();
                        self.literals.push(Literal { text, range, is_examined: false });
                    }
                }
            }
        }
    }

    /// Reports whether a text stands in a call, whose name `code` is, or is given to a variable that
    /// is named there.
    pub(in crate::audit) fn feeds(
        &self,
        text: &Range<usize>,
        code: &Range<usize>,
        file: &str,
    ) -> bool {
        let is_within = |outer: &Range<usize>, inner: &Range<usize>| {
            outer.start <= inner.start && inner.end <= outer.end
        };
        let call = self.brackets.iter().find(|brackets| brackets.start == code.end);
        let code = &(code.start..call.map_or(code.end, |brackets| brackets.end));
        if is_within(code, text) {
            return true;
        }
        let written = file.get(code.clone()).unwrap_or_default();
        let words = written.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.filter(|word| !word.is_empty()).any(|word| {
            let seen = self.lets.iter().filter(|one| {
                let is_before = one.is_const || one.range.end <= code.start;
                one.name == word && is_before && is_within(&one.scope, code)
            });
            // Of several variables of one name, the last one is meant.
            seen.max_by_key(|one| one.range.start).is_some_and(|one| is_within(&one.range, text))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = r##"
const ALL: &str = "SELECT * FROM users";
fn a(conn: &mut C) {
    let sql = format!("SELECT {} FROM users", 1);
    sql_query(sql).execute(conn);
    sql_query("SELECT 1 FROM users").execute(conn);
    sql_query(ALL).execute(conn);
}
fn b(sql: String) {
    sql_query(sql).execute(conn);
    { let sql = "inner"; }
    other!(r#"in a "macro""#, b"bytes", 'c');
}
"##;

    #[test]
    fn texts_are_found_wherever_they_stand() {
        let mut found = of_text(CODE).literals;
        found.sort_by_key(|literal| literal.range.start);
        let texts: Vec<_> = found.iter().map(|l| (l.text.as_str(), l.is_examined)).collect();
        assert_eq!(
            texts,
            [
                ("SELECT * FROM users", false),
                ("SELECT {} FROM users", false),
                ("SELECT 1 FROM users", true),
                ("inner", false),
                ("in a \"macro\"", false),
            ]
        );
    }

    #[test]
    fn a_text_feeds_the_call_that_gets_its_variable() {
        let found = of_text(CODE);
        let calls = |text: &str| {
            let text = found.literals.iter().find(|literal| literal.text.contains(text)).unwrap();
            let names = CODE.match_indices("sql_query").map(|(at, name)| at..at + name.len());
            names.map(|name| found.feeds(&text.range, &name, CODE)).collect::<Vec<_>>()
        };
        assert_eq!(calls("{}"), [true, false, false, false]);
        assert_eq!(calls("SELECT 1"), [false, true, false, false]);
        assert_eq!(calls("*"), [false, false, true, false]);
    }
}
