//! Texts of the sources that a statement may have come from.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use camino::{Utf8Path, Utf8PathBuf};
use regex::Regex;

use crate::{
    audit::{
        Subject,
        rust::{Literal, Literals, literals},
        sources::SourceFile,
        sql::shapes,
    },
    backend::Backend,
    schema::Place,
};

/// Characters beside its holes that a text must have, to be told from any other.
const LEAST: usize = 12;

/// A place, and whether the audit of the sources looks at the text there.
type Known = ((Utf8PathBuf, Place), bool);

/// The texts of the sources.
pub struct Places<'a> {
    /// By engine and text.
    written: BTreeMap<(Backend, String), Vec<Known>>,
    templates: Vec<(Regex, (Utf8PathBuf, Place))>,
    rust: BTreeMap<&'a Utf8Path, (&'a str, Literals)>,
}

impl<'a> Places<'a> {
    /// Reads the texts that may be about the table of a subject.
    pub fn of(subject: &Subject, engines: &BTreeSet<Backend>, files: &'a [SourceFile]) -> Self {
        let table = subject.path.table.name.as_str().to_lowercase();
        let mut places =
            Self { written: BTreeMap::new(), templates: Vec::new(), rust: BTreeMap::new() };
        let (rust, others): (Vec<_>, Vec<_>) =
            files.iter().partition(|file| file.path.extension() == Some("rs"));
        for file in others.into_iter().filter(|file| file.path.extension() == Some("sql")) {
            if file.text.to_lowercase().contains(&table) {
                places.add(engines, file, &file.text, &|range| range, true);
            }
        }
        for (file, found) in rust.iter().zip(literals(&rust)) {
            for literal in &found.literals {
                if literal.text.to_lowercase().contains(&table) {
                    // A place within a literal is not worth the escapes.
                    let whole = |_| literal.range.clone();
                    places.add(engines, file, &literal.text, &whole, literal.is_examined);
                }
                places.templates.extend(template(file, literal));
            }
            places.rust.insert(&file.path, (&file.text, found));
        }
        places
    }

    fn add(
        &mut self,
        engines: &BTreeSet<Backend>,
        file: &SourceFile,
        text: &str,
        place: &dyn Fn(Range<usize>) -> Range<usize>,
        is_examined: bool,
    ) {
        for engine in engines {
            for statement in shapes(text, *engine) {
                let at = Place::new(&file.text, place(statement.range));
                let known = ((file.path.clone(), at), is_examined);
                self.written.entry((*engine, statement.written)).or_default().push(known);
            }
        }
    }

    /// Returns where a text is written, as it is on one line.
    pub(super) fn written(&self, engine: Backend, text: &str) -> Vec<Known> {
        self.written.get(&(engine, text.to_owned())).cloned().unwrap_or_default()
    }

    /// Returns the texts with holes that fit a statement.
    pub(super) fn fitting(&self, text: &str) -> Vec<(Utf8PathBuf, Place)> {
        let fits = |(regex, _): &&(Regex, _)| regex.is_match(text);
        self.templates.iter().filter(fits).map(|(_, place)| place.clone()).collect()
    }

    /// Reports whether a text of a file goes into a piece of code of it.
    pub(super) fn feeds(&self, path: &Utf8Path, text: &Range<usize>, code: &Range<usize>) -> bool {
        self.rust.get(path).is_some_and(|(file, found)| found.feeds(text, code, file))
    }
}

/// Returns what a text with holes fits, if it begins as SQL and says enough.
fn template(file: &SourceFile, literal: &Literal) -> Option<(Regex, (Utf8PathBuf, Place))> {
    const FIRST: [&str; 7] = ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"];
    let pieces = pieces(&literal.text)?;
    let first = pieces.first()?.split_whitespace().next()?.to_ascii_uppercase();
    let words: usize = pieces.iter().map(|piece| piece.split_whitespace().count()).sum();
    let letters: usize = pieces.iter().map(String::len).sum();
    if !FIRST.contains(&first.as_str()) || words < 3 || letters < LEAST {
        return None;
    }
    let last = pieces.len() - 1;
    let pieces: Vec<String> = pieces
        .iter()
        .enumerate()
        .map(|(n, piece)| {
            let piece = if n == 0 { piece.trim_start() } else { piece };
            let piece = if n == last { piece.trim_end().trim_end_matches(';') } else { piece };
            let words: Vec<String> = piece.split_whitespace().map(regex::escape).collect();
            // What stood between words stands between them on one line too.
            let start = if piece.starts_with(char::is_whitespace) { r"\s*" } else { "" };
            let end = if piece.ends_with(char::is_whitespace) { r"\s*" } else { "" };
            format!("{start}{}{}", words.join(r"\s+"), if words.is_empty() { "" } else { end })
        })
        .collect();
    let regex = Regex::new(&format!("(?s)^{}$", pieces.join(".*"))).ok()?;
    let place = Place::new(&file.text, literal.range.clone());
    Some((regex, (file.path.clone(), place)))
}

/// Returns what stands around the holes of a text for `format!`; none where it has no hole.
fn pieces(text: &str) -> Option<Vec<String>> {
    let mut pieces = vec![String::new()];
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let doubled = (c == '{' || c == '}') && rest.next_if_eq(&c).is_some();
        if c == '{' && !doubled {
            rest.find(|c| *c == '}')?;
            pieces.push(String::new());
        } else if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    (pieces.len() > 1).then_some(pieces)
}
