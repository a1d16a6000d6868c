//! What the shape of Rust code tells: no compiler, no types but those that are written.
//!
//! Each file is read into facts that know nothing of the column, in parallel; the rules then
//! look at all of them together. What a name stands for comes from the file's own imports, so what
//! comes through re-exports, generics or macros of other crates is for the compiler probe to find.

mod facts;
mod literals;
mod memory;
mod names;
mod query;
mod read;
mod rules;
mod structs;

use std::{collections::HashMap, ops::Range, sync::Arc};

use camino::Utf8Path;
use rayon::prelude::*;

pub(super) use self::literals::{Literal, Literals, literals};
pub use self::memory::Memory;
use self::{
    facts::{FileFacts, GapKind},
    names::Names,
};
use super::{
    finding::{Class, Finding, Where},
    rules::{GENERATED_TABLE, Rule, UNREADABLE_RUST},
    sources::SourceFile,
    subject::Subject,
};
use crate::{plan::StageKind, schema::Place};

/// Stack of a thread that reads: `syn` goes as deep as the code does. Only what is used takes memory.
const STACK: usize = 256 << 20;

/// A file, and what it tells.
struct SourceFacts<'a> {
    source: &'a SourceFile,
    /// The directory of its package, where that is known.
    package: Option<&'a Utf8Path>,
    facts: Arc<FileFacts>,
}

/// All files, and the column.
struct Project<'a> {
    subject: &'a Subject,
    files: &'a [SourceFacts<'a>],
    /// Structs by name, with their files.
    structs: HashMap<&'a str, Vec<structs::Found<'a>>>,
}

/// Returns what Rust files tell of the column; other files are passed over. What is known of their
/// texts is taken from the memory, and the rest is kept there.
pub fn examine(subject: &Subject, files: &[SourceFile], memory: &Memory) -> Vec<Finding> {
    let rust = |file: &&SourceFile| file.path.extension() == Some("rs");
    let files: Vec<&SourceFile> = files.iter().filter(rust).collect();
    let read = || -> Vec<SourceFacts<'_>> {
        files
            .par_iter()
            .map(|source| SourceFacts {
                source,
                package: structs::package(&source.path),
                facts: memory.facts(&source.text),
            })
            .collect()
    };
    let files = with_stack(read);
    let project = Project::new(subject, &files);
    let mut findings = project.gaps();
    for rule in rules::ALL {
        rule(&project, &mut findings);
    }
    findings
}

/// Reads where there is stack enough.
fn with_stack<T: Send>(read: impl FnOnce() -> T + Send) -> T {
    match rayon::ThreadPoolBuilder::new().stack_size(STACK).build() {
        Ok(pool) => pool.install(read),
        // No thread to be had: this one reads.
        Err(_) => read(),
    }
}

impl<'a> Project<'a> {
    fn new(subject: &'a Subject, files: &'a [SourceFacts<'a>]) -> Self {
        let mut structs: HashMap<&str, Vec<_>> = HashMap::new();
        for file in files {
            for item in &file.facts.structs {
                structs.entry(&item.name).or_default().push((file, item));
            }
        }
        Self { subject, files, structs }
    }

    fn names<'f>(&self, file: &'f SourceFacts<'_>) -> Names<'f>
    where
        'a: 'f,
    {
        Names { facts: &file.facts, subject: self.subject }
    }

    /// Returns what could not be looked into, where it may matter.
    fn gaps(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for file in self.files {
            for gap in &file.facts.gaps {
                let (rule, message, help) = match &gap.kind {
                    GapKind::Syntax(why) => (
                        &UNREADABLE_RUST,
                        format!("this file is not Rust that can be read: {why}"),
                        "nothing in it was looked at; a compiler may say more",
                    ),
                    GapKind::GeneratedTable => (
                        &GENERATED_TABLE,
                        "a macro writes `table!`, so what it declares is not known".to_owned(),
                        "look at what it makes with `cargo expand`",
                    ),
                    GapKind::Include => (
                        &UNREADABLE_RUST,
                        "code that is made while building is included here, and was not looked at"
                            .to_owned(),
                        "`cargo newcol audit --full` lets the compiler look at it",
                    ),
                };
                let finding = file.finding(rule, StageKind::Expand, gap.range.clone(), message);
                findings.push(Finding { help: Some(help.to_owned()), ..finding });
            }
        }
        findings
    }
}

impl SourceFacts<'_> {
    fn path(&self) -> &Utf8Path {
        &self.source.path
    }

    /// Makes a finding in this file.
    fn finding(
        &self,
        rule: &'static Rule,
        due: StageKind,
        range: Range<usize>,
        message: String,
    ) -> Finding {
        Finding {
            rule,
            class: rule.class,
            due,
            place: Where::File {
                path: self.path().to_owned(),
                at: Place::new(&self.source.text, range),
            },
            message,
            help: None,
            fix: None,
        }
    }
}

impl Finding {
    fn helped(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn of_class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }
}

#[cfg(test)]
mod tests;
