//! `cargo newcol status`: how far each column is.

use clap::Args;
use newcol_core::{
    db::{Access, AppliedMigration},
    ident::ColumnPath,
    plan::StageKind,
};

use crate::{
    context::{Column, Context, Intent, Project, engine_of, stored_version},
    error::{CliError, Exit},
    output::{Output, StageStatusJson, StatusJson},
};

/// Show how far each column is, and what comes next
///
/// Reads the contracts and the migrations directory; with a database, also which stages are applied
/// there. Writes nothing, anywhere.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo newcol status\n  \
    cargo newcol status --check\n  \
    cargo newcol status users.locale --database-url postgres://db/app")]
pub(crate) struct StatusArgs {
    /// Columns to show; all of them where none is given
    columns: Vec<ColumnPath>,
    /// Database that the stages are applied to: asked, never changed
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Fail when a column's scaffolding is overdue (exit code 100)
    #[arg(long)]
    check: bool,
}

/// How the backfill stands: only its own record knows.
const JOB: &str = "a job, not a migration";

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &StatusArgs) -> Result<Exit, CliError> {
    let project = ctx.project(out, Intent::Read)?;
    let columns = if args.columns.is_empty() {
        Column::all(ctx, &project)?
    } else {
        let load = |path| Column::load(ctx, &project, path, None);
        args.columns.iter().map(load).collect::<Result<_, _>>()?
    };
    if columns.is_empty() {
        out.status("no column is under way; begin one with `cargo newcol add`");
        return Ok(Exit::Nothing);
    }
    let database = match &args.database_url {
        None => None,
        Some(url) => {
            let mut session = ctx.session(&project.url(url)?, Access::Read)?;
            Some((session.backend(), session.migrations()?))
        }
    };
    let mut overdue = false;
    for column in &columns {
        for target in &column.targets {
            let backend = target.plan.backend();
            let applied = database.as_ref().filter(|(b, _)| *b == backend).map(|(_, m)| m);
            let report = report(ctx, &project, column, backend, applied.map(Vec::as_slice));
            overdue |= report.overdue_days.is_some();
            show(out, &report);
        }
    }
    Ok(if overdue && args.check { Exit::Findings } else { Exit::Done })
}

fn report(
    ctx: &Context,
    project: &Project,
    column: &Column,
    backend: newcol_core::backend::Backend,
    applied: Option<&[AppliedMigration]>,
) -> StatusJson {
    let plans = column.plans().filter(|plan| plan.backend() == backend);
    let kinds: Vec<StageKind> = plans.flat_map(|p| &p.stages).map(|s| s.kind).collect();
    let state = |kind: StageKind| {
        let folders: Vec<String> = column
            .released
            .folders(kind)
            .iter()
            .filter(|f| engine_of(project, f).is_some_and(|e| e.backend == backend))
            .map(|f| stored_version(f.file_name().unwrap_or_default()))
            .collect();
        let done = |known: &[AppliedMigration]| {
            folders.iter().filter(|v| known.iter().any(|m| m.version == **v)).count()
        };
        match (kind, applied) {
            (StageKind::Backfill, _) => JOB,
            (_, _) if folders.is_empty() => "in the plan",
            (_, None) => "released",
            (_, Some(known)) if done(known) == folders.len() => "applied",
            (_, Some(known)) if done(known) > 0 => "applied in part",
            (_, Some(_)) => "released, not applied",
        }
    };
    // What is released to the end has no scaffolding left, unless a database still holds it.
    let at_work = kinds.iter().any(|kind| !matches!(state(*kind), JOB | "released" | "applied"));
    let overdue_days = column.contract.answers().retire.and_then(|date| {
        let day = i8::try_from(date.day).ok()?;
        let month = i8::try_from(date.month).ok()?;
        let by = jiff::civil::Date::new(i16::try_from(date.year).ok()?, month, day).ok()?;
        let days = by.until(ctx.today()).ok()?.get_days();
        (at_work && days > 0).then(|| i64::from(days))
    });
    StatusJson {
        column: column.contract.path().to_string(),
        backend: backend.name(),
        stages: kinds
            .iter()
            .map(|kind| StageStatusJson { stage: kind.name(), state: state(*kind) })
            .collect(),
        next: column.next().map(StageKind::name),
        overdue_days,
    }
}

fn show(out: &mut Output, report: &StatusJson) {
    out.json("newcol-status", report);
    out.heading(&report.column, &format!("({})", report.backend));
    for stage in &report.stages {
        out.say(&format!("  {:<10} {}", stage.stage, stage.state));
    }
    match report.next {
        Some(next) => {
            let column = &report.column;
            out.say(&format!("  next: {next}, with `cargo newcol next {column}`"));
            if report.stages.windows(2).any(|two| two[0].state == JOB && two[1].stage == next) {
                out.say(&format!(
                    "  before it: `cargo newcol backfill {column} --database-url <URL>`"
                ));
            }
        }
        None => out.say("  every stage is released"),
    }
    if let Some(days) = report.overdue_days {
        out.warn(&format!("the scaffolding of `{}` is {days} days overdue", report.column));
    }
}
