//! Contracts that cannot be read, or that the schema does not know.

use crate::{
    contract::read::{read, read_draft},
    doctor::{Check, Report, Severity, Sources},
    plan::StageKind,
    render::migrations::owner,
    schema::{Place, SchemaError},
};

pub(in crate::doctor) static UNREADABLE: Check =
    Check { id: "unreadable-contract", severity: Severity::Error, run: unreadable };

pub(in crate::doctor) static LOST: Check =
    Check { id: "column-not-in-schema", severity: Severity::Error, run: lost };

fn unreadable(sources: &Sources, report: &mut Report<'_>) {
    for contract in &sources.contracts {
        for complaint in read(&contract.text).err().into_iter().flatten() {
            report.add(
                &contract.path,
                Some(Place::new(&contract.text, complaint.span)),
                complaint.message,
                complaint.hint.unwrap_or_default(),
            );
        }
    }
}

fn lost(sources: &Sources, report: &mut Report<'_>) {
    let readable = sources.schemas.iter().filter_map(|s| Some((&s.text, s.parsed.as_ref().ok()?)));
    let schemas: Vec<_> = readable.collect();
    if schemas.len() < sources.schemas.len() || schemas.is_empty() {
        return;
    }
    for contract in &sources.contracts {
        let Ok(draft) = read_draft(&contract.text) else { continue };
        let path = &draft.path;
        let found: Vec<_> = schemas.iter().map(|(text, s)| s.table(text, &path.table)).collect();
        if found.iter().all(|f| matches!(f, Err(SchemaError::TableMissing { .. }))) {
            report.add(
                &contract.path,
                None,
                format!("no `table!` declares `{}`", path.table),
                "the table was renamed or dropped: finish or remove the contract",
            );
            continue;
        }
        let expanded = sources.migrations.iter().flat_map(|dir| &dir.folders).any(|folder| {
            folder.up.as_deref().and_then(owner) == Some((path.clone(), StageKind::Expand))
        });
        let declared = found.iter().flatten().any(|table| table.column(&path.column).is_some());
        if expanded && !declared {
            report.add(
                &contract.path,
                None,
                format!("`expand` of `{path}` is released, and schema.rs has no such column"),
                "run `diesel print-schema`, or take the stage back with `cargo newcol undo`",
            );
        }
    }
}
