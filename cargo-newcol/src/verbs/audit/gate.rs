//! The audit at the release of a stage: quick, and only what is due by then.

use newcol_core::{
    audit::{Judged, Report},
    contract::Contract,
    ident::ColumnPath,
    plan::StageKind,
};

use super::{
    Tally, kept,
    look::{Comments, Known, Look},
    print,
};
use crate::{
    context::{Column, Project, SchemaFile},
    error::{CliError, Exit},
    output::Output,
};

/// Findings that are named in a refusal.
const NAMED: usize = 10;

/// Shows what is due before a stage is released, and refuses where a statement would fail or a value
/// would be lost without anybody having said that it may.
pub(in crate::verbs) fn pass(
    out: &mut Output,
    project: &Project,
    column: &Column,
    kind: StageKind,
) -> Result<(), CliError> {
    let report = report(project, &column.contract, &column.schemas, kind)?;
    for judged in report.open().filter(|judged| !judged.is_harmful()) {
        out.warn(&print::short(judged));
    }
    refusal(column.contract.path(), &report, kind)
        .map_or(Ok(()), |error| Err(error.at(&column.file)))
}

/// Says what nobody but the audit would tell in time.
pub(super) fn refusal(path: &ColumnPath, report: &Report, kind: StageKind) -> Option<CliError> {
    let harmful: Vec<&Judged> = report.open().filter(|judged| judged.is_harmful()).collect();
    let (first, stage) = (harmful.first()?, kind.name());
    let mut causes: Vec<String> = harmful.iter().take(NAMED).map(|one| print::short(one)).collect();
    if harmful.len() > NAMED {
        causes.push(format!("and {} more", harmful.len() - NAMED));
    }
    let error = CliError::failed(format!("`{stage}` of `{path}` cannot be released yet"))
        .hint(format!("see them: `cargo newcol audit {path} --stage {stage}`"))
        .hint(format!(
            "what may stay gets a comment at its place, `// newcol:allow({}): reason`, or goes into \
             the baseline with all the others: `cargo newcol audit {path} --write-baseline`",
            first.finding.rule.id
        ));
    Some(CliError { exit: Exit::GateShut, causes, ..error })
}

/// Says how much is due before the first stage is released.
pub(in crate::verbs) fn due(
    out: &mut Output,
    project: &Project,
    contract: &Contract,
    schemas: &[SchemaFile],
) -> Result<(), CliError> {
    let report = report(project, contract, schemas, StageKind::Expand)?;
    if report.open().next().is_some() {
        let (path, found) = (contract.path(), Tally::of(&report).sentence());
        out.status(&format!(
            "audit: {found} before `expand` is released; `cargo newcol audit {path} --stage expand`"
        ));
    }
    Ok(())
}

fn report(
    project: &Project,
    contract: &Contract,
    schemas: &[SchemaFile],
    kind: StageKind,
) -> Result<Report, CliError> {
    let known = Known::of(project)?;
    let mut look = Look::new(project, (contract.path(), Some(contract)), schemas, known)?;
    look.memory = kept::load(project);
    Ok(look.report(project, &look.sources.files, Comments::Taken).due_by(kind))
}
