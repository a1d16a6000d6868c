//! The reports that stay in the project: a line for each migration that was applied anywhere.

use newcol_core::{db::DatabaseUrl, execute::apply::MigrationReport, render::patch::FilePatch};
use serde::Serialize;

use super::shown::AppliedJson;
use crate::{
    context::{Column, Context, Project},
    error::CliError,
    output::Output,
};

#[derive(Debug, Serialize)]
struct LineJson<'a> {
    at: String,
    database: &'a str,
    #[serde(flatten)]
    applied: AppliedJson<'a>,
}

/// Appends reports to the file beside a contract.
pub(super) fn append(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    column: &Column,
    url: &DatabaseUrl,
    reports: &[MigrationReport],
) -> Result<(), CliError> {
    let file = column.file.with_extension("applied.jsonl");
    let before = project.read(&file)?;
    let mut text = before.clone().unwrap_or_default();
    let (at, database) = (ctx.now().to_string(), url.describe());
    for report in reports {
        let applied = AppliedJson::of(report);
        let line = LineJson { at: at.clone(), database: &database, applied };
        let line = serde_json::to_string(&line).expect("it holds nothing that JSON has not");
        text.push_str(&line);
        text.push('\n');
    }
    if reports.is_empty() {
        return Ok(());
    }
    let mut patch = FilePatch::default();
    patch.push(&file, before, Some(text));
    ctx.commit(out, project, &patch, false)?;
    Ok(())
}
