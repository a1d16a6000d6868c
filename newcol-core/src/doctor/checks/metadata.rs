//! `metadata.toml` that does not say what its author believes.

use crate::doctor::{Check, Report, Severity, Sources, sources::Said};

pub(in crate::doctor) static KEY: Check = Check {
    id: "metadata-without-key",
    severity: Severity::Error,
    run: |sources, report| {
        each(
            sources,
            report,
            Said::Nothing,
            "no key `run_in_transaction`: Diesel runs the migration without a transaction",
        );
    },
};

pub(in crate::doctor) static VALUE: Check = Check {
    id: "metadata-unreadable",
    severity: Severity::Error,
    run: |sources, report| {
        each(
            sources,
            report,
            Said::Garbage,
            "Diesel cannot read this, says nothing, and runs the migration in a transaction",
        );
    },
};

fn each(sources: &Sources, report: &mut Report<'_>, said: Said, message: &str) {
    for dir in &sources.migrations {
        for folder in dir.folders.iter().filter(|f| f.said() == Some(said)) {
            report.add(
                dir.path.join(&folder.name).join("metadata.toml"),
                None,
                message,
                "write out `run_in_transaction = true` or `run_in_transaction = false`",
            );
        }
    }
}
