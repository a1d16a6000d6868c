//! The audit at the release of a stage: quick, and only what is due by then.

use newcol_core::{
    audit::{Judged, Marker, Remark, Report, markers},
    contract::Contract,
    ident::ColumnPath,
    plan::StageKind,
    render::patch::FilePatch,
};

use super::{
    Tally,
    collect::Sources,
    kept,
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

/// What the sources say of a column when it is to be finished.
pub(in crate::verbs) struct LastLook {
    pub(in crate::verbs) report: Report,
    pub(in crate::verbs) markers: Vec<Marker>,
    /// Markers that cannot be read.
    pub(in crate::verbs) remarks: Vec<Remark>,
}

/// Audits the sources once all stages are released.
pub(in crate::verbs) fn last_look(
    project: &Project,
    column: &Column,
) -> Result<LastLook, CliError> {
    let contract = (column.contract.path(), Some(&column.contract));
    let look = Look::new(project, contract, &column.schemas, Known::of(project)?)?;
    let (markers, remarks) = markers(&look.sources.files);
    let report = look.report(project, &look.sources.files, Comments::Taken);
    Ok(LastLook { report, markers, remarks })
}

/// Finds the markers of transitional code, of all columns.
pub(in crate::verbs) fn markers_of(project: &Project) -> Vec<Marker> {
    markers(&Sources::of(project).files).0
}

/// Takes what the baseline knows of a column out of it; an empty one goes.
pub(in crate::verbs) fn push_baseline_without(
    project: &Project,
    column: &ColumnPath,
    patch: &mut FilePatch,
) -> Result<(), CliError> {
    let Known { path, text, baseline } = Known::of(project)?;
    if let Some(text) = text {
        let left = baseline.clone().without(column);
        if left != baseline {
            let after = (!left.is_empty()).then(|| left.to_text());
            patch.push(&path, Some(text), after);
        }
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
