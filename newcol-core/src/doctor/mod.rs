//! Says what in a project will bite: mistakes that Diesel, an engine or `cargo newcol` meets late.
//!
//! Pure: [`Sources`] in, findings out. One file per check in `checks`; a check never guesses, so
//! what its sources do not tell, it does not report.

mod checks;
mod sources;

use std::cmp::Reverse;

use camino::{Utf8Path, Utf8PathBuf};

pub use self::sources::{
    ContractSource, DatabaseFacts, DieselUse, Embed, Folder, MigrationsDir, PackageFacts, Printed,
    Printing, SchemaSource, Sources, Toolchain,
};
use crate::schema::Place;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Note,
    /// Bites under circumstances that cannot be seen from here.
    Warning,
    /// Does not work, or not as its author believes.
    Error,
}

impl Severity {
    /// Returns the word used in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that will bite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check that found it.
    pub check: &'static Check,
    /// File or folder below the project's root, or the name of a database.
    pub path: Utf8PathBuf,
    /// Place in the file.
    pub at: Option<Place>,
    /// What is wrong and what it does, in plain words.
    pub message: String,
    /// The way out.
    pub help: Option<String>,
}

/// One kind of finding.
pub struct Check {
    /// Name in output.
    pub id: &'static str,
    /// How much its findings matter.
    pub severity: Severity,
    run: fn(&Sources, &mut Report<'_>),
}

impl PartialEq for Check {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Check {}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Every check, in the order in which they run.
pub static CHECKS: &[&Check] = &[
    &checks::journal::CHECK,
    &checks::versions::DUPLICATE,
    &checks::versions::ORDER,
    &checks::versions::LATE,
    &checks::folders::MISSING_UP,
    &checks::folders::EMPTY_UP,
    &checks::metadata::KEY,
    &checks::metadata::VALUE,
    &checks::concurrently::WRAPPED,
    &checks::concurrently::COMPANY,
    &checks::rebuild::CHECK,
    &checks::mysql_ddl::CHECK,
    &checks::replay::CHECK,
    &checks::keyless::CHECK,
    &checks::unreadable::CHECK,
    &checks::reserved::CHECK,
    &checks::columns::OVER,
    &checks::columns::FULL,
    &checks::features::CHECK,
    &checks::drift::DRIFT,
    &checks::drift::FAILED,
    &checks::drift::UNCHECKED,
    &checks::embed::CHECK,
    &checks::toolchain::CHECK,
    &checks::contracts::UNREADABLE,
    &checks::contracts::LOST,
];

/// Runs every check. Findings come the worst first, then by path and place.
pub fn examine(sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    for check in CHECKS {
        (check.run)(sources, &mut Report { check, findings: &mut findings });
    }
    let start = |f: &Finding| f.at.as_ref().map_or(0, |at| at.range.start);
    findings.sort_by(|a, b| {
        let key = |f: &Finding| (Reverse(f.check.severity), f.path.clone(), start(f));
        key(a).cmp(&key(b))
    });
    findings
}

/// Says where a `schema.rs` is not what `diesel print-schema` prints, and runs no other check.
pub fn drift(sources: &Sources) -> Vec<Finding> {
    let check = &checks::drift::DRIFT;
    let mut findings = Vec::new();
    (check.run)(sources, &mut Report { check, findings: &mut findings });
    findings
}

/// Takes the findings of one check.
struct Report<'a> {
    check: &'static Check,
    findings: &'a mut Vec<Finding>,
}

impl Report<'_> {
    fn add(
        &mut self,
        path: impl AsRef<Utf8Path>,
        at: Option<Place>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let help: String = help.into();
        self.findings.push(Finding {
            check: self.check,
            path: path.as_ref().to_owned(),
            at,
            message: message.into(),
            help: (!help.is_empty()).then_some(help),
        });
    }
}
