//! SQL in the program's strings.

use super::super::{Project, SourceFacts, facts::SqlText};
use crate::{
    audit::{
        Fix,
        finding::Finding,
        rules::BUILT_SQL,
        sql::{Origin, Reading, examine},
    },
    plan::StageKind,
};

/// Examines every text that reaches a database, and names those that are made at run time.
pub(super) fn sql(project: &Project<'_>, findings: &mut Vec<Finding>) {
    for file in project.files {
        for text in &file.facts.sql {
            match &text.text {
                Some(sql) => findings.extend(known(project, file, text, sql)),
                None => findings.push(built(file, text)),
            }
        }
    }
}

fn known(project: &Project<'_>, file: &SourceFacts<'_>, at: &SqlText, sql: &str) -> Vec<Finding> {
    let subject = project.subject;
    let origin = match at.sink.as_str() {
        "sql" => Origin::Fragment,
        "sql_query" | "batch_execute" => Origin::Program(Reading::FirstOfName),
        "query_as!" | "query_as_unchecked!" => Origin::Program(Reading::EveryField),
        "query_as" => Origin::Program(Reading::LastOfName),
        _ => Origin::Program(Reading::Unknown),
    };
    let found = examine(sql, &subject.engines, subject, origin).into_iter();
    let placed = |mut found: crate::audit::sql::SqlFinding| match at.offset {
        Some(offset) => {
            found.fix = found.fix.and_then(|fix| within_literal(fix, offset));
            found.in_file(file.source, at.range.start + offset)
        }
        None => {
            found.fix = None;
            found.range = 0..at.range.len();
            found.in_file(file.source, at.range.start)
        }
    };
    found.map(placed).collect()
}

/// Returns a fix as it can stand between the quotes of a literal, which begin so many bytes before.
fn within_literal(mut fix: Fix, offset: usize) -> Option<Fix> {
    let holds = |fix: &Fix, sign: char| fix.edits.iter().any(|edit| edit.text.contains(sign));
    if holds(&fix, '\\') {
        return None;
    }
    // `"`, `r"`, `r#"`: the first has escapes, the second no way to write a quote.
    match offset {
        1 => {
            for edit in &mut fix.edits {
                edit.text = edit.text.replace('"', "\\\"");
            }
            Some(fix)
        }
        2 => (!holds(&fix, '"')).then_some(fix),
        _ => Some(fix),
    }
}

fn built(file: &SourceFacts<'_>, at: &SqlText) -> Finding {
    let message = format!("the SQL that `{}` gets is made while the program runs", at.sink);
    let finding = file.finding(&BUILT_SQL, StageKind::Expand, at.range.clone(), message);
    finding.helped("look whether it speaks of the table")
}
