//! What the audit says: one value per place.

use std::{fmt, ops::Range};

use camino::Utf8PathBuf;

use super::rules::{Rule, UNREADABLE_RUST, UNREADABLE_SQL};
use crate::{plan::StageKind, schema::Place};

/// What happens at a place if nothing is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// It stops compiling: found by everyone, and at a bad moment.
    Compile,
    /// It compiles, and a statement fails.
    Runtime,
    /// It compiles, no statement fails, and a value is wrong or lost.
    Silent,
    /// It cannot be told from here.
    Unknown,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Compile, Self::Runtime, Self::Silent, Self::Unknown];

    /// Returns the word used in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compile => "compile",
            Self::Runtime => "runtime",
            Self::Silent => "silent",
            Self::Unknown => "unknown",
        }
    }
}

/// One place that the column touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule that found it.
    pub rule: &'static Rule,
    /// What happens if nothing is done.
    pub class: Class,
    /// The stage before whose release it must be dealt with.
    pub due: StageKind,
    /// Where it is.
    pub place: Where,
    /// What is wrong at this place, in one sentence.
    pub message: String,
    /// The way out, where there is more to say than the rule does.
    pub help: Option<String>,
    /// What may be done by a machine; certain to keep the program's meaning.
    pub fix: Option<Fix>,
}

impl Finding {
    /// Says that a file could not be read, and why: what is in it, nobody knows.
    pub fn unread(path: Utf8PathBuf, why: &str) -> Self {
        let rule = if path.extension() == Some("rs") { &UNREADABLE_RUST } else { &UNREADABLE_SQL };
        Self {
            rule,
            class: rule.class,
            due: StageKind::Expand,
            place: Where::File { path, at: Place { range: 0..0, line: 1, column: 1 } },
            message: format!("the file was left out: {why}"),
            help: None,
            fix: None,
        }
    }
}

/// Where a finding is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Where {
    /// In a file of the project.
    File {
        /// Below the project's root.
        path: Utf8PathBuf,
        /// In the file.
        at: Place,
    },
    /// An object of the database, such as `view active_users`.
    Database(String),
    /// A package that could not be looked at.
    Package(String),
    /// A statement that was seen on its way to a database.
    Statement {
        /// Without its values.
        sql: String,
        /// The texts of the sources that it comes from, where they are known.
        from: Vec<(Utf8PathBuf, Place)>,
    },
}

/// Characters of a statement that a line of text shows of it.
const SHOWN: usize = 100;

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, at } => write!(f, "{path}:{at}"),
            Self::Database(object) => write!(f, "{object}"),
            Self::Package(name) => write!(f, "package {name}"),
            Self::Statement { sql, .. } => {
                let end = sql.char_indices().nth(SHOWN).map_or(sql.len(), |(at, _)| at);
                let more = if end < sql.len() { "…" } else { "" };
                write!(f, "statement {}{more}", &sql[..end])
            }
        }
    }
}

/// Changes of one file that mend a finding together, or let another fix do so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// What they do, in a few words.
    pub message: String,
    /// The file, where it is not that of the finding.
    pub path: Option<Utf8PathBuf>,
    /// What is put where; the ranges do not overlap.
    pub edits: Vec<Edit>,
}

/// Bytes of a file, and what takes their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Bytes of the file that go.
    pub range: Range<usize>,
    /// What comes.
    pub text: String,
}
