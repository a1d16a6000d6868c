//! What is left of a column's life, in databases and in the sources.

use camino::Utf8PathBuf;
use newcol_core::{
    audit::{Acknowledged, Class, Marker, Where},
    backend::Backend,
    db::{Access, DatabaseUrl, Session},
    execute::backfill,
    plan::{Plan, StageKind},
};
use serde::Serialize;

use super::{FinishArgs, audit};
use crate::{
    context::{Column, Context, Project},
    error::{CliError, Exit},
};

/// Something that should be gone.
#[derive(Debug, Serialize)]
pub(super) struct Leftover {
    /// A file with its line, or a database.
    pub(super) place: String,
    pub(super) what: String,
    pub(super) way_out: String,
}

/// What was found.
pub(super) struct Found {
    pub(super) leftovers: Vec<Leftover>,
    /// Databases that hold the record of the backfill, which `finish` takes away itself.
    pub(super) records: Vec<DatabaseUrl>,
}

impl Leftover {
    fn unasked(column: &Column, backend: Backend) -> Self {
        Self {
            place: column.file.to_string(),
            what: format!("no {backend} database was asked, and the column is planned for one"),
            way_out: "pass its `--database-url` too".to_owned(),
        }
    }

    pub(super) fn unreleased(column: &Column, kind: StageKind) -> Self {
        Self {
            place: column.file.to_string(),
            what: format!("`{}` is not released", kind.name()),
            way_out: format!("release it: `cargo newcol next {}`", column.contract.path()),
        }
    }
}

/// Looks everywhere.
pub(super) fn find(
    ctx: &Context,
    project: &Project,
    column: &Column,
    urls: &[DatabaseUrl],
    args: &FinishArgs,
) -> Result<Found, CliError> {
    let mut found = Found { leftovers: Vec::new(), records: Vec::new() };
    let backends = || column.plans().map(Plan::backend);
    for backend in backends().filter(|_| !urls.is_empty()) {
        if !urls.iter().any(|url| url.backend() == backend) {
            found.leftovers.push(Leftover::unasked(column, backend));
        }
    }
    for url in urls {
        let mut session = ctx.session(url, Access::Read)?;
        in_database(project, column, &mut session, &mut found)?;
        let failed = |error| CliError::of(Exit::Failed, &error);
        if backfill::remains(&mut session, column.contract.path()).map_err(failed)? {
            found.records.push(url.clone());
        }
    }
    let tests = project.test_files(&column.contract, &column.schemas);
    in_sources(project, column, (args, &tests), &mut found.leftovers)?;
    if let Some(path) = tests.first().filter(|_| args.tests.is_none()) {
        found.leftovers.push(Leftover {
            place: path.to_string(),
            what: "the test of the column's stages, which has nothing more to test".to_owned(),
            way_out: "`--tests remove` takes it away, `--tests keep` keeps it".to_owned(),
        });
    }
    Ok(found)
}

/// Stages that are not applied, and what is not as the last one leaves it.
fn in_database(
    project: &Project,
    column: &Column,
    session: &mut Session,
    found: &mut Found,
) -> Result<(), CliError> {
    let path = column.contract.path();
    let database = session.url().describe();
    let known = session.migrations()?;
    let mut whole = true;
    for kind in column.stages() {
        let landed = column.landed(project, session.backend(), kind, &known);
        if !landed.missing.is_empty() {
            whole = false;
            found.leftovers.push(Leftover {
                place: database.clone(),
                what: format!("`{}` is not applied", kind.name()),
                way_out: format!("`cargo newcol apply {path} --database-url <URL>`"),
            });
        }
    }
    if !whole {
        return Ok(());
    }
    for drift in column.drifts(session, project)? {
        found.leftovers.push(Leftover {
            place: database.clone(),
            what: drift.to_string(),
            way_out: drift.hint(),
        });
    }
    Ok(())
}

/// Markers, findings, and what acknowledges them.
fn in_sources(
    project: &Project,
    column: &Column,
    (args, tests): (&FinishArgs, &[Utf8PathBuf]),
    leftovers: &mut Vec<Leftover>,
) -> Result<(), CliError> {
    let path = column.contract.path();
    let seen = audit::last_look(project, column)?;
    for Marker { path: file, at, note, stage, .. } in
        seen.markers.iter().filter(|marker| marker.column == *path)
    {
        let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
        leftovers.push(Leftover {
            place: format!("{file}:{at}"),
            what: format!("code that was to go after `{}`{note}", stage.name()),
            way_out: "remove that code, and the comment".to_owned(),
        });
    }
    for remark in &seen.remarks {
        leftovers.push(Leftover {
            place: format!("{}:{}", remark.path, remark.at),
            what: remark.message.clone(),
            way_out: remark.help.clone(),
        });
    }
    for judged in &seen.report.findings {
        // The test goes, or stays as we wrote it.
        if let Where::File { path, .. } = &judged.finding.place
            && tests.contains(path)
        {
            continue;
        }
        let place = judged.finding.place.to_string();
        let id = judged.finding.rule.id;
        match &judged.acknowledged {
            None if judged.is_open() => leftovers.push(Leftover {
                place,
                what: format!("{} [{id}]", judged.finding.message),
                way_out: format!("`cargo newcol explain {id}` says how to mend it"),
            }),
            Some(_) if args.keep_acknowledged => {}
            // Where nothing can be told, there is nothing to mend either.
            Some(Acknowledged::Baseline) if judged.finding.class == Class::Unknown => {}
            Some(Acknowledged::Comment { reason }) => leftovers.push(Leftover {
                place,
                what: format!("a comment allows {id} ({reason})"),
                way_out: "mend the place and remove the comment, or `--keep-acknowledged`"
                    .to_owned(),
            }),
            Some(Acknowledged::Baseline) => leftovers.push(Leftover {
                place,
                what: format!("{} [{id}], put off in the baseline", judged.finding.message),
                way_out: "mend the place, or `--keep-acknowledged`".to_owned(),
            }),
            None => {}
        }
    }
    Ok(())
}
