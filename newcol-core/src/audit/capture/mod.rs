//! Statements that a program was seen to send: which of them touch the table, where they come from,
//! and what the column does to those that nothing in the sources shows.
//!
//! Statements that differ in their values only are one. Where one comes from is said only where its
//! text is in the sources; of what a query builder makes, no place is known. A statement that never
//! ran was not seen: what is found here is true, and what is not found proves nothing.

mod places;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use camino::Utf8PathBuf;

pub use self::places::Places;
use super::{
    Finding, Subject, Where,
    rules::{
        BUILT_SQL, DEFAULT_VALUES, INSERT_WITHOUT_REQUIRED, REPLACE_INTO, Rule,
        SQL_INSERT_WITHOUT_REQUIRED, SQL_REPLACE, UNREADABLE_SQL,
    },
    sql::{
        Origin, Reading, Usage, comments, examine, is_like_diesel, shape_of_beginning, shapes,
        usage,
    },
};
use crate::{backend::Backend, plan::StageKind, schema::Place};

/// Texts of one statement that are held against the sources.
const VARIANTS: usize = 20;

/// Comments and names of sessions that are kept of one statement.
const NOTES: usize = 5;

/// A text that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// One or more statements.
    pub sql: String,
    /// How often it ran.
    pub count: u64,
    /// What is known of its sender.
    pub sender: Sender,
    /// The name by which the session called itself.
    pub application: Option<String>,
    /// Whether the server refused it.
    pub refused: bool,
    /// Whether its end was not kept.
    pub is_cut: bool,
}

/// What is known of who sent a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// Nothing.
    Unknown,
    /// It went through Diesel.
    Diesel,
    /// It is what Diesel's query builder makes.
    DieselBuilder,
}

/// A statement that touches the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenStatement {
    /// Its text without values.
    pub sql: String,
    /// How often it ran.
    pub count: u64,
    /// Whether the server refused it at least once.
    pub refused: bool,
    /// Tables that it names.
    pub tables: Vec<String>,
    /// Columns of the table that it names.
    pub columns: Vec<String>,
    /// Whether it means all columns of the table without naming them.
    pub all_columns: bool,
    /// Where it comes from.
    pub source: Source,
    /// What comments in it say.
    pub comments: Vec<String>,
    /// The names by which its sessions called themselves.
    pub applications: Vec<String>,
}

/// Where a statement comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Its very text is in the sources, at each of these places.
    Written(Vec<(Utf8PathBuf, Place)>),
    /// It fits texts with holes, as `format!` takes them.
    Template(Vec<(Utf8PathBuf, Place)>),
    /// Diesel's query builder has made it.
    Diesel,
    /// Diesel's query builder makes such ones, and no call in the sources is given its text.
    LikeDiesel,
    /// It went through Diesel, and no text in the sources is like it.
    ThroughDiesel,
    /// Nothing is known.
    Unknown,
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// Statements that touch the table, the first one first.
    pub statements: Vec<SeenStatement>,
    /// What the column does to statements that are not examined in the sources.
    pub findings: Vec<Finding>,
}

/// Examines what was sent to one engine; `known` is what the sources tell.
pub fn examine_sent(
    subject: &Subject,
    places: &Places<'_>,
    engine: Backend,
    sent: &[Sent],
    known: &[Finding],
) -> Captured {
    let mut captured = Captured::default();
    let mut of_diesel = Vec::new();
    for group in groups(subject, engine, sent) {
        let source = group.source(places, engine);
        let found = group.findings(subject, engine, &source);
        match source {
            _ if group.is_examined(places, engine) => {}
            Source::Diesel | Source::LikeDiesel => of_diesel.extend(found),
            Source::Written(_) | Source::Template(_) | Source::ThroughDiesel | Source::Unknown => {
                captured.findings.extend(found);
            }
        }
        captured.statements.push(SeenStatement {
            sql: group.shape,
            count: group.count,
            refused: group.refused,
            tables: group.usage.tables.into_iter().collect(),
            columns: group.usage.columns.into_iter().collect(),
            all_columns: group.usage.all_columns,
            source,
            comments: group.comments.into_iter().collect(),
            applications: group.applications.into_iter().collect(),
        });
    }
    captured.findings.extend(unknown(of_diesel, known));
    captured
}

/// Returns the findings in what Diesel has built that do not stand for code of which the same is said:
/// those of a rule that is found in the code less often.
fn unknown(found: Vec<Finding>, known: &[Finding]) -> Vec<Finding> {
    let in_code = |rule: &'static Rule| {
        let twins: &[&Rule] = match rule {
            _ if *rule == SQL_REPLACE => &[&REPLACE_INTO],
            _ if *rule == SQL_INSERT_WITHOUT_REQUIRED => {
                &[&INSERT_WITHOUT_REQUIRED, &DEFAULT_VALUES]
            }
            _ => &[rule],
        };
        let is_of_code = |finding: &&Finding| {
            matches!(&finding.place, Where::File { path, .. } if path.extension() == Some("rs"))
                && twins.contains(&finding.rule)
        };
        known.iter().filter(is_of_code).count()
    };
    let of_rule = |rule| found.iter().filter(|finding| finding.rule == rule).count();
    let is_new = |finding: &&Finding| in_code(finding.rule) < of_rule(finding.rule);
    found.iter().filter(is_new).cloned().collect()
}

impl Captured {
    /// Returns the statements that came from a place where SQL is made at run time.
    pub fn made_at<'a>(&'a self, finding: &Finding, places: &Places<'_>) -> Vec<&'a SeenStatement> {
        let Where::File { path, at } = &finding.place else { return Vec::new() };
        if *finding.rule != BUILT_SQL {
            return Vec::new();
        }
        let comes_from = |statement: &&SeenStatement| match &statement.source {
            Source::Written(found) | Source::Template(found) => found
                .iter()
                .any(|(file, text)| file == path && places.feeds(path, &text.range, &at.range)),
            Source::Diesel | Source::LikeDiesel | Source::ThroughDiesel | Source::Unknown => false,
        };
        self.statements.iter().filter(comes_from).collect()
    }
}

/// Statements that differ in their values only.
struct Group {
    shape: String,
    /// One of them, whole.
    sample: String,
    is_cut: bool,
    written: BTreeSet<String>,
    count: u64,
    sender: Sender,
    refused: bool,
    usage: Usage,
    comments: BTreeSet<String>,
    applications: BTreeSet<String>,
}

/// Returns the statements that touch the table in the order in which they were seen first.
fn groups(subject: &Subject, engine: Backend, sent: &[Sent]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    // Where each shape stands; none that does not touch the table.
    let mut known: BTreeMap<String, Option<usize>> = BTreeMap::new();
    for text in sent {
        let notes = comments(&text.sql, engine);
        for piece in pieces(text, engine) {
            let at = *known.entry(piece.shape.clone()).or_insert_with(|| {
                let usage = usage_of(&piece, text, engine, subject)?;
                groups.push(Group {
                    shape: piece.shape.clone(),
                    sample: text.sql.get(piece.range.clone()).unwrap_or_default().to_owned(),
                    is_cut: text.is_cut,
                    written: BTreeSet::new(),
                    count: 0,
                    sender: Sender::Unknown,
                    refused: false,
                    usage,
                    comments: BTreeSet::new(),
                    applications: BTreeSet::new(),
                });
                Some(groups.len() - 1)
            });
            let Some(group) = at.and_then(|at| groups.get_mut(at)) else { continue };
            group.count += text.count;
            group.sender = group.sender.max(text.sender);
            group.refused |= text.refused;
            add(&mut group.written, VARIANTS, [piece.written]);
            add(&mut group.comments, NOTES, notes.iter().cloned());
            add(&mut group.applications, NOTES, text.application.clone());
        }
    }
    groups
}

struct Piece {
    range: Range<usize>,
    written: String,
    shape: String,
}

fn pieces(text: &Sent, engine: Backend) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = shapes(&text.sql, engine)
        .into_iter()
        .map(|one| Piece { range: one.range, written: one.written, shape: one.shape })
        .collect();
    if pieces.is_empty() && !text.sql.trim().is_empty() {
        let shape = shape_of_beginning(&text.sql, engine);
        pieces.push(Piece { range: 0..text.sql.len(), written: text.sql.clone(), shape });
    }
    pieces
}

/// Returns what a statement names; of one that cannot be read, that it has the table's name in it.
fn usage_of(piece: &Piece, text: &Sent, engine: Backend, subject: &Subject) -> Option<Usage> {
    let sql = text.sql.get(piece.range.clone()).unwrap_or_default();
    if shapes(sql, engine).is_empty() {
        let name = subject.path.table.name.as_str().to_lowercase();
        let tables = BTreeSet::from([subject.path.table.dotted()]);
        return sql.to_lowercase().contains(&name).then(|| Usage { tables, ..Usage::default() });
    }
    usage(sql, engine, subject)
}

fn add(to: &mut BTreeSet<String>, most: usize, more: impl IntoIterator<Item = String>) {
    for one in more {
        if to.len() < most {
            to.insert(one);
        }
    }
}

impl Group {
    fn source(&self, places: &Places<'_>, engine: Backend) -> Source {
        if self.sender == Sender::DieselBuilder {
            return Source::Diesel;
        }
        let is_like_diesel = self.written.iter().any(|text| is_like_diesel(text, engine));
        // Else it is what a test expects of Diesel.
        if is_like_diesel && !self.is_examined(places, engine) {
            return Source::LikeDiesel;
        }
        let written = self.written.iter().flat_map(|text| places.written(engine, text));
        let written: Vec<_> = unique(written.map(|(place, _)| place));
        if !written.is_empty() {
            return Source::Written(written);
        }
        let fitting = unique(self.written.iter().flat_map(|text| places.fitting(text)));
        if !fitting.is_empty() {
            return Source::Template(fitting);
        }
        if self.sender == Sender::Diesel { Source::ThroughDiesel } else { Source::Unknown }
    }

    /// Reports whether the audit of the sources has looked at its text.
    fn is_examined(&self, places: &Places<'_>, engine: Backend) -> bool {
        self.written.iter().flat_map(|text| places.written(engine, text)).any(|(_, known)| known)
    }

    fn findings(&self, subject: &Subject, engine: Backend, source: &Source) -> Vec<Finding> {
        let (word, places) = match source {
            Source::Written(found) => ("is written at", found.as_slice()),
            Source::Template(found) => ("fits the text at", found.as_slice()),
            Source::Diesel | Source::LikeDiesel | Source::ThroughDiesel | Source::Unknown => {
                ("", &[][..])
            }
        };
        let from = places.first().map(|(path, at)| match places.len() {
            1 => format!("it {word} {path}:{at}"),
            all => format!("it {word} {path}:{at} and {} more", all - 1),
        });
        let place = Where::Statement { sql: self.shape.clone(), from: places.to_vec() };
        if self.is_cut {
            let message = format!(
                "a statement that has `{}` in it is too long to be kept, and was not read",
                subject.path.table.dotted()
            );
            let (rule, due, fix) = (&UNREADABLE_SQL, StageKind::Expand, None);
            return vec![Finding { rule, class: rule.class, due, place, message, help: from, fix }];
        }
        let origin = Origin::Program(Reading::Unknown);
        let found = examine(&self.sample, &BTreeSet::from([engine]), subject, origin);
        let finding = |found: super::sql::SqlFinding| {
            let help = match (&from, found.help) {
                (Some(from), Some(help)) => Some(format!("{help}; {from}")),
                (from, help) => help.or_else(|| from.clone()),
            };
            Finding {
                rule: found.rule,
                class: found.class,
                due: found.due,
                place: place.clone(),
                message: found.message,
                help,
                fix: None,
            }
        };
        found.into_iter().map(finding).collect()
    }
}

fn unique(found: impl Iterator<Item = (Utf8PathBuf, Place)>) -> Vec<(Utf8PathBuf, Place)> {
    let mut found: Vec<_> = found.collect();
    found.sort_by(|(a, at), (b, other)| (a, at.range.start).cmp(&(b, other.range.start)));
    found.dedup();
    found
}
