//! PostgreSQL's concurrent statements, which must be alone and outside of a transaction.

use super::line;
use crate::{
    backend::Backend,
    doctor::{Check, Report, Severity, Sources},
    sql::Statement,
};

pub(in crate::doctor) static WRAPPED: Check = Check {
    id: "concurrently-in-transaction",
    severity: Severity::Error,
    run: |sources, report| {
        each(sources, report, |in_transaction, _| {
            in_transaction.then_some((
                "a CONCURRENTLY statement fails in a transaction, and Diesel runs this migration in one",
                "add a metadata.toml with `run_in_transaction = false`",
            ))
        });
    },
};

pub(in crate::doctor) static COMPANY: Check = Check {
    id: "concurrently-in-company",
    severity: Severity::Error,
    run: |sources, report| {
        each(sources, report, |in_transaction, count| {
            (!in_transaction && count > 1).then_some((
                "PostgreSQL runs several statements of one file as one transaction, in which CONCURRENTLY fails",
                "give the statement a migration of its own",
            ))
        });
    },
};

fn each(
    sources: &Sources,
    report: &mut Report<'_>,
    judge: fn(bool, usize) -> Option<(&'static str, &'static str)>,
) {
    for dir in sources.migrations.iter().filter(|dir| dir.backend == Backend::Postgres) {
        for folder in &dir.folders {
            let statements = folder.statements(dir.backend);
            let Some(first) = statements.iter().find(|s| is_concurrent(s)) else { continue };
            if let Some((message, help)) = judge(folder.in_transaction(), statements.len()) {
                let text = folder.up.as_deref().unwrap_or_default();
                report.add(dir.up(folder), Some(line(text, first.line())), message, help);
            }
        }
    }
}

/// A materialized view may be refreshed concurrently in a transaction.
fn is_concurrent(statement: &Statement) -> bool {
    let words = statement.words();
    let at = |word: &str| words.iter().position(|w| w == word);
    match words.first().map(String::as_str) {
        Some("CREATE" | "DROP") => at("INDEX")
            .is_some_and(|index| words.get(index + 1).is_some_and(|w| w == "CONCURRENTLY")),
        Some("REINDEX") => at("CONCURRENTLY").is_some(),
        Some("ALTER") => at("DETACH").is_some() && at("CONCURRENTLY").is_some(),
        _ => false,
    }
}
