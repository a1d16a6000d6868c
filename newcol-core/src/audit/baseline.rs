//! The baseline: findings that a project knows of and has put off, as a committed file.
//!
//! A finding is known again by its rule, its file and the text of its line, so that code above it may
//! come and go; who edits the line looks at the finding anew. One file holds all columns, sorted, one
//! entry a line, so that it merges as code does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    finding::{Finding, Where},
    sources::Texts,
};
use crate::ident::ColumnPath;

/// The version of the file's form.
const FORMAT: u32 = 1;

/// What the place of an object of the database begins with.
const DATABASE: &str = "database: ";

/// What the place of a statement begins with that was seen.
const STATEMENT: &str = "statement: ";

/// What a finding is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The number of its rule.
    pub rule: String,
    /// Its file, or what else it is about.
    pub place: String,
    /// A hash of its line without the blanks around it; zero where there is no line.
    pub line: u64,
}

/// Known findings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baseline {
    /// How many there are of each mark, by column.
    known: BTreeMap<String, BTreeMap<Mark, usize>>,
}

/// Why a text is no baseline.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It is not the JSON that was expected.
    #[error("the baseline cannot be read: {message}")]
    Syntax {
        /// What is wrong.
        message: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// It was written by a later version.
    #[error("the baseline has format {found}, and this version knows {FORMAT}")]
    Format {
        /// The format it says.
        found: u32,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    format: u32,
    findings: Vec<EntryForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryForm {
    column: String,
    rule: String,
    place: String,
    line: String,
    count: usize,
}

impl Mark {
    /// Returns what a finding is known by.
    pub fn of(finding: &Finding, texts: &Texts<'_>) -> Self {
        let (place, line) = match &finding.place {
            Where::File { path, at } => {
                let text = texts.get(path).unwrap_or_default();
                let line = text.split('\n').nth(at.line.saturating_sub(1)).unwrap_or_default();
                (path.to_string(), fnv1a(line.trim()))
            }
            Where::Database(object) => (format!("{DATABASE}{object}"), 0),
            Where::Package(name) => (format!("package: {name}"), 0),
            Where::Statement { sql, .. } => (format!("{STATEMENT}{sql}"), 0),
        };
        Self { rule: finding.rule.id.to_owned(), place, line }
    }

    /// Reports whether it is about an object of the database.
    pub(super) fn is_of_database(&self) -> bool {
        self.place.starts_with(DATABASE)
    }

    /// Reports whether it is about a statement that was seen.
    pub(super) fn is_of_statement(&self) -> bool {
        self.place.starts_with(STATEMENT)
    }

    /// Returns the mark as one word, for tools that follow findings from run to run.
    pub fn fingerprint(&self) -> String {
        format!("{:016x}", fnv1a(&format!("{}\0{}\0{:016x}", self.rule, self.place, self.line)))
    }
}

impl Baseline {
    /// Reads a file.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        let syntax =
            |message: String, line, column| BaselineError::Syntax { message, line, column };
        let form: FileForm = serde_json::from_str(text).map_err(|error| {
            let message = error.to_string();
            let said = message.split(" at line ").next().unwrap_or_default();
            syntax(said.to_owned(), error.line(), error.column())
        })?;
        if form.format != FORMAT {
            return Err(BaselineError::Format { found: form.format });
        }
        let mut baseline = Self::default();
        for EntryForm { column, rule, place, line, count } in form.findings {
            let Ok(line) = u64::from_str_radix(&line, 16) else {
                let at = text.find(&line).map_or(1, |at| text[..at].matches('\n').count() + 1);
                return Err(syntax(format!("`{line}` is no hash of a line"), at, 1));
            };
            let mark = Mark { rule, place, line };
            *baseline.known.entry(column).or_default().entry(mark).or_default() += count;
        }
        Ok(baseline)
    }

    /// Returns the text of the file.
    pub fn to_text(&self) -> String {
        let marks = self.known.iter().flat_map(|(column, marks)| {
            marks.iter().map(move |(mark, count)| EntryForm {
                column: column.clone(),
                rule: mark.rule.clone(),
                place: mark.place.clone(),
                line: format!("{:016x}", mark.line),
                count: *count,
            })
        });
        let lines: Vec<String> = marks
            .map(|entry| serde_json::to_string(&entry).expect("texts and numbers have JSON forms"))
            .map(|entry| format!("\n    {entry}"))
            .collect();
        let end = if lines.is_empty() { "" } else { "\n  " };
        format!("{{\n  \"format\": {FORMAT},\n  \"findings\": [{}{end}]\n}}\n", lines.join(","))
    }

    /// Returns how many findings of a column are known, by mark.
    pub(super) fn of(&self, column: &ColumnPath) -> BTreeMap<Mark, usize> {
        self.known.get(&column.to_string()).cloned().unwrap_or_default()
    }

    /// Returns the baseline without what is known of a column.
    pub fn without(mut self, column: &ColumnPath) -> Self {
        self.known.remove(&column.to_string());
        self
    }

    /// Reports whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Replaces what is known of a column.
    pub(super) fn set(&mut self, column: &ColumnPath, marks: Vec<Mark>) {
        let mut counted = BTreeMap::new();
        for mark in marks {
            *counted.entry(mark).or_default() += 1;
        }
        self.known.remove(&column.to_string());
        if !counted.is_empty() {
            self.known.insert(column.to_string(), counted);
        }
    }
}

/// FNV-1a, which is the same everywhere and always.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
