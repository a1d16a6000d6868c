//! Asks a TOML table for keys, remembering which were asked for and complaining of the rest.

use std::{fmt, ops::Range};

use toml_edit::{Item, Table, TableLike};

use super::{Complaint, Date, span_of};

/// A value with the bytes it was read from.
#[derive(Debug, Clone)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
    /// The full key, such as `default.value`.
    pub(super) key: String,
}

/// A section of the file, which may be absent.
#[derive(Clone, Copy)]
pub(super) struct Section<'t> {
    /// Empty for the top of the file.
    name: &'static str,
    table: Option<&'t dyn TableLike>,
    /// First byte after the span of the section's name; 0 at the top of the file.
    start: usize,
    end: usize,
}

impl Section<'_> {
    pub(super) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// Returns where complaints about something missing in it belong.
    pub(super) fn place(&self) -> Range<usize> {
        self.start..self.end
    }

    pub(super) fn key_span(&self, key: &str) -> Option<Range<usize>> {
        self.table?.key(key)?.span()
    }

    fn full(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

/// Hands out typed values and collects complaints.
pub(super) struct Reader<'t> {
    root: &'t Table,
    text: &'t str,
    complaints: Vec<Complaint>,
    /// Every key asked for, with its section.
    asked: Vec<(&'static str, &'static str)>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(root: &'t Table, text: &'t str) -> Self {
        Self { root, text, complaints: Vec::new(), asked: Vec::new() }
    }

    pub(super) fn root(&self) -> Section<'t> {
        Section { name: "", table: Some(self.root), start: 0, end: 0 }
    }

    pub(super) fn complain(&mut self, span: Range<usize>, message: String, hint: Option<String>) {
        self.complaints.push(Complaint { span, message, hint });
    }

    /// Returns the section of that name, absent when the file has none.
    pub(super) fn section<'s>(&mut self, root: Section<'s>, name: &'static str) -> Section<'s> {
        let absent = Section { name, table: None, start: 0, end: 0 };
        let Some(item) = self.item(root, name) else { return absent };
        match item.as_table_like() {
            Some(table) => {
                let span = root.key_span(name).unwrap_or(0..0);
                Section { name, table: Some(table), start: span.start, end: span.end }
            }
            None => {
                self.complain(
                    root.key_span(name).unwrap_or_else(|| span_of(item)),
                    format!("`{name}` must be a section, found {}", found_type(item)),
                    Some(format!("write `[{name}]` on a line of its own, its keys below")),
                );
                absent
            }
        }
    }

    /// Reports whether a section has a key, whatever its value.
    pub(super) fn holds(&self, section: Section<'_>, key: &str) -> bool {
        section.table.is_some_and(|table| table.contains_key(key))
    }

    /// Complains when a section that is there lacks a key.
    pub(super) fn need(&mut self, section: Section<'_>, key: &str, hint: &str) {
        if section.is_present() && !self.holds(section, key) {
            let message = format!("`{}` is missing", section.full(key));
            self.complain(section.place(), message, Some(hint.to_owned()));
        }
    }

    pub(super) fn string(
        &mut self,
        section: Section<'_>,
        key: &'static str,
    ) -> Option<Found<String>> {
        let item = self.item(section, key)?;
        match item.as_str() {
            Some(text) => Some(Found {
                value: self.line_ends(text, span_of(item)),
                span: span_of(item),
                key: section.full(key),
            }),
            None => self.wrong_type(section, key, item, "a string", None),
        }
    }

    /// Reports whether a key has this very text.
    pub(super) fn is_text(&mut self, section: Section<'_>, key: &'static str, text: &str) -> bool {
        self.item(section, key).and_then(Item::as_str) == Some(text)
    }

    pub(super) fn needed_string(
        &mut self,
        section: Section<'_>,
        key: &'static str,
        hint: &str,
    ) -> Option<Found<String>> {
        self.need(section, key, hint);
        self.string(section, key)
    }

    pub(super) fn bool(&mut self, section: Section<'_>, key: &'static str) -> Option<Found<bool>> {
        let item = self.item(section, key)?;
        if let Some(value) = item.as_bool() {
            return Some(Found { value, span: span_of(item), key: section.full(key) });
        }
        let hint = match item.as_str() {
            Some(text @ ("true" | "false")) => Some(format!("write {text} without quotes")),
            Some(_) | None => None,
        };
        self.wrong_type(section, key, item, "true or false", hint)
    }

    pub(super) fn needed_bool(
        &mut self,
        section: Section<'_>,
        key: &'static str,
        hint: &str,
    ) -> Option<Found<bool>> {
        self.need(section, key, hint);
        self.bool(section, key)
    }

    pub(super) fn needed_integer(
        &mut self,
        section: Section<'_>,
        key: &'static str,
        hint: &str,
    ) -> Option<Found<i64>> {
        self.need(section, key, hint);
        let item = self.item(section, key)?;
        match item.as_integer() {
            Some(value) => Some(Found { value, span: span_of(item), key: section.full(key) }),
            None => self.wrong_type(section, key, item, "a number", Some(hint.to_owned())),
        }
    }

    /// Reads an array of strings; empty when absent.
    pub(super) fn strings(
        &mut self,
        section: Section<'_>,
        key: &'static str,
    ) -> Vec<Found<String>> {
        const WANTED: &str = "an array of strings";
        let Some(item) = self.item(section, key) else { return Vec::new() };
        let Some(array) = item.as_array() else {
            let hint = item.as_str().map(|text| format!("write [{text:?}]"));
            self.wrong_type::<()>(section, key, item, WANTED, hint);
            return Vec::new();
        };
        let mut all = Vec::new();
        for value in array {
            let span = value.span().unwrap_or(0..0);
            match value.as_str() {
                Some(text) => {
                    all.push(Found {
                        value: self.line_ends(text, span.clone()),
                        span,
                        key: section.full(key),
                    });
                }
                None => {
                    let found = with_article(value.type_name());
                    let key = section.full(key);
                    let message = format!("`{key}` must be {WANTED}, but holds {found}");
                    self.complain(span, message, None);
                }
            }
        }
        all
    }

    /// Reads a date, bare or as a string.
    pub(super) fn date(&mut self, section: Section<'_>, key: &'static str) -> Option<Found<Date>> {
        let item = self.item(section, key)?;
        let text = match (item.as_datetime(), item.as_str()) {
            (Some(date), _) => date.to_string(),
            (None, Some(text)) => text.to_owned(),
            (None, None) => return self.wrong_type(section, key, item, "a date", None),
        };
        match Date::parse(&text) {
            Some(value) => Some(Found { value, span: span_of(item), key: section.full(key) }),
            None => {
                let message = format!("`{}` must be a date, found `{text}`", section.full(key));
                self.complain(span_of(item), message, Some("write 2027-03-01".to_owned()));
                None
            }
        }
    }

    /// Reads one word of a closed set.
    pub(super) fn choice<T: Copy>(
        &mut self,
        section: Section<'_>,
        key: &'static str,
        all: &[T],
        name: fn(T) -> &'static str,
    ) -> Option<Found<T>> {
        let found = self.string(section, key)?;
        if let Some(value) = all.iter().copied().find(|value| name(*value) == found.value) {
            return Some(Found { value, span: found.span, key: found.key });
        }
        let words: Vec<&str> = all.iter().map(|value| name(*value)).collect();
        let hint = nearest(&found.value, words.iter().copied())
            .map(|word| format!("did you mean {word:?}?"));
        let message =
            format!("`{}` must be one of {}, found {:?}", found.key, list(&words), found.value);
        self.complain(found.span, message, hint);
        None
    }

    /// Complains of every key nobody asked for, and returns all complaints in order of place.
    pub(super) fn finish(mut self) -> Vec<Complaint> {
        let mut unknown = Vec::new();
        self.unknown_keys("", self.root, &mut unknown);
        for (name, item) in self.root {
            let section = self.asked.iter().find(|(s, k)| s.is_empty() && *k == name);
            if let (Some((_, name)), Some(table)) = (section, item.as_table_like()) {
                self.unknown_keys(name, table, &mut unknown);
            }
        }
        self.complaints.append(&mut unknown);
        self.complaints.sort_by_key(|complaint| complaint.span.start);
        self.complaints
    }

    fn unknown_keys(
        &self,
        section: &'static str,
        table: &dyn TableLike,
        complaints: &mut Vec<Complaint>,
    ) {
        for (key, item) in table.iter() {
            if self.asked.iter().any(|(s, k)| *s == section && *k == key) {
                continue;
            }
            let here = || self.asked.iter().filter(|(s, _)| *s == section).map(|(_, k)| *k);
            let elsewhere = || self.asked.iter().find(|(_, k)| *k == key);
            let hint = match (nearest(key, here()), elsewhere()) {
                (_, Some(("", _))) => format!("`{key}` belongs above the first `[section]`"),
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, Some((other, _))) => format!("`{key}` belongs to `[{other}]`"),
                (None, None) => format!("known here: {}", list(&here().collect::<Vec<_>>())),
            };
            let full = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
            complaints.push(Complaint {
                span: table.key(key).and_then(|k| k.span()).unwrap_or_else(|| span_of(item)),
                message: format!("unknown key `{full}`"),
                hint: Some(hint),
            });
        }
    }

    /// Returns the item of a key, noting that it was asked for.
    fn item<'s>(&mut self, section: Section<'s>, key: &'static str) -> Option<&'s Item> {
        if !self.asked.contains(&(section.name, key)) {
            self.asked.push((section.name, key));
        }
        section.table?.get(key)
    }

    fn wrong_type<T>(
        &mut self,
        section: Section<'_>,
        key: &str,
        item: &Item,
        wanted: &str,
        hint: Option<String>,
    ) -> Option<T> {
        let span = if item.is_value() { item.span() } else { section.key_span(key) };
        let message =
            format!("`{}` must be {wanted}, found {}", section.full(key), found_type(item));
        self.complain(span.unwrap_or(0..0), message, hint);
        None
    }

    /// Reads raw line ends of a multi-line string as `\n`, so that a checkout on Windows does not
    /// change the contract.
    fn line_ends(&self, value: &str, span: Range<usize>) -> String {
        let raw = self.text.get(span).is_some_and(|written| written.contains('\r'));
        if raw { value.replace("\r\n", "\n") } else { value.to_owned() }
    }
}

fn found_type(item: &Item) -> &'static str {
    with_article(item.type_name())
}

fn with_article(type_name: &str) -> &'static str {
    match type_name {
        "string" => "a string",
        "integer" => "an integer",
        "float" => "a float",
        "boolean" => "a boolean",
        "datetime" => "a date",
        "array" => "an array",
        "array of tables" => "an array of tables",
        _ => "a table",
    }
}

fn list<T: fmt::Display>(words: &[T]) -> String {
    words.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// Returns the candidate that takes the fewest edits, if those are few for a word of that length.
fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = word.chars().count().max(3) / 3 + 1;
    let word = word.to_lowercase();
    candidates
        .map(|candidate| (edits(&word, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= most && *edits < candidate.chars().count())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Counts insertions, deletions and substitutions from one word to another (Levenshtein).
fn edits(from: &str, to: &str) -> usize {
    // No known word is longer; a longer text is no misspelling of one.
    const LONGEST: usize = 40;
    if from.chars().count() > LONGEST {
        return usize::MAX;
    }
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let substitution = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}
