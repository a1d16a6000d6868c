//! What a new column does to a piece of SQL: a string of the program, a script, a migration, the body
//! of a trigger.
//!
//! Only statements that mention the table are parsed, each by `sqlparser` in the dialect of its engine.
//! That parser is pure Rust and knows our three dialects. `pg_query` is PostgreSQL's own parser and
//! exact for it, but needs a C compiler to build and says nothing about the other two; what we cannot
//! read we report as [`UNREADABLE_SQL`], so that its lead costs a look and no truth. Statements whose
//! form the parser covers poorly (routines, grants, `COPY`) are taken apart here by their tokens, and
//! only the queries in them are parsed.
//!
//! Names are resolved as the engines do, in scopes: a finding needs a name that has a meaning today
//! and gets another. Pure; ranges are bytes of the text that was given.

mod body;
mod ddl;
mod expr;
mod from;
mod insert;
mod names;
mod output;
mod psql;
mod query;
mod routine;
mod scope;
mod shape;
mod source;
mod sqlx_cache;
mod statement;
#[cfg(test)]
mod tests;
mod usage;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

pub use self::sqlx_cache::examine_cache;
use self::statement::Examiner;
pub(super) use self::{
    shape::{comments, is_like_diesel, shape_of_beginning, shapes},
    usage::{Usage, usage},
};
use super::{
    Class, Fix, Subject,
    rules::{Rule, UNREADABLE_SQL},
};
use crate::{backend::Backend, plan::StageKind};

/// A [`Finding`](super::Finding) of which only the place in the SQL is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlFinding {
    /// The rule that found it.
    pub rule: &'static Rule,
    /// What happens if nothing is done.
    pub class: Class,
    /// The stage before whose release it must be dealt with.
    pub due: StageKind,
    /// Bytes of the text that was examined.
    pub range: Range<usize>,
    /// What is wrong at this place, in one sentence.
    pub message: String,
    /// The way out, where there is more to say than the rule does.
    pub help: Option<String>,
    /// What may be done by a machine; its ranges are bytes of the text, too.
    pub fix: Option<Fix>,
}

/// Where a piece of SQL comes from, which decides what is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A statement that the program sends, and how it reads the rows.
    Program(Reading),
    /// A part of a statement that the program hands to Diesel, such as `sql("users.*")`.
    Fragment,
    /// A file that somebody or something runs, again and again.
    Script,
    /// A migration that runs before the column comes: only what it leaves behind counts.
    OldMigration,
    /// A migration that runs after the column has come.
    NewMigration,
    /// The definition of an object of the database.
    Object,
}

/// How a program reads the columns of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// By name, and of two columns with one name the first: Diesel, tokio-postgres.
    FirstOfName,
    /// By name, and of two columns with one name the last: sqlx with `FromRow`.
    LastOfName,
    /// By position: tuples of sqlx, `row.get(3)`.
    Position,
    /// By a struct that must have a field for each: `query_as!` of sqlx.
    EveryField,
    /// Not known.
    Unknown,
}

/// Examines a text of one or more statements for every engine that may run it.
///
/// What one engine cannot read and another can is taken for the other's.
pub fn examine(
    text: &str,
    engines: &BTreeSet<Backend>,
    subject: &Subject,
    origin: Origin,
) -> Vec<SqlFinding> {
    let passes: Vec<Vec<SqlFinding>> =
        engines.iter().map(|engine| Examiner::new(subject, *engine, origin).text(text)).collect();
    merged(&passes)
}

/// Examines migrations that run before the column comes, in the order in which they run: what they
/// have made and not dropped again. Each finding comes with the place of its text.
///
/// What `DROP … CASCADE` takes along is not followed.
pub fn examine_history<'t>(
    texts: impl IntoIterator<Item = &'t str> + Clone,
    engines: &BTreeSet<Backend>,
    subject: &Subject,
) -> Vec<(usize, SqlFinding)> {
    let mut of_text: BTreeMap<usize, Vec<Vec<SqlFinding>>> = BTreeMap::new();
    for (pass, engine) in engines.iter().enumerate() {
        let examiner = Examiner::new(subject, *engine, Origin::OldMigration);
        for (text, finding) in examiner.history(texts.clone()) {
            let passes = of_text.entry(text).or_insert_with(|| vec![Vec::new(); engines.len()]);
            passes[pass].push(finding);
        }
    }
    let merge = |(text, passes): (usize, Vec<Vec<SqlFinding>>)| {
        merged(&passes).into_iter().map(move |finding| (text, finding))
    };
    of_text.into_iter().flat_map(merge).collect()
}

/// Returns what the engines said of one text as one list.
fn merged(passes: &[Vec<SqlFinding>]) -> Vec<SqlFinding> {
    let unreadable = |finding: &SqlFinding| *finding.rule == UNREADABLE_SQL;
    let somewhere_readable = |range: &Range<usize>| {
        !passes.iter().all(|pass| pass.iter().any(|f| unreadable(f) && f.range == *range))
    };
    let mut all: Vec<SqlFinding> = passes
        .iter()
        .flatten()
        .filter(|f| !(unreadable(f) && somewhere_readable(&f.range)))
        .cloned()
        .collect();
    all.sort_by_key(|f| (f.range.start, f.range.end, f.rule.id, f.class));
    all.dedup_by(|a, b| a.rule == b.rule && a.range == b.range);
    all
}
