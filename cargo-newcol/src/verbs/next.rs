//! `cargo newcol next`: the following stage, when its gates are open.

use clap::Args;
use newcol_core::{
    contract::OldRows,
    db::{Access, Session},
    ident::ColumnPath,
    plan::{Gate, LEFTOVERS, StageKind, explain},
    render::release::release,
};

use crate::{
    context::{Column, Context, Intent, Project, engine_of, stored_version},
    error::{CliError, Exit},
    output::Output,
};

/// Release the next stage of a column: write its migrations and its edit of schema.rs
///
/// Refuses while a gate is shut, says which, and what opens it (exit code 3). A database given with
/// `--database-url` is asked for evidence; what it cannot know, you confirm with a reason.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo newcol next users.locale --database-url postgres://db/app\n  \
    cargo newcol next users.locale --confirm-release '2.14 replaced every older pod on 2026-11-20'")]
pub(crate) struct NextArgs {
    /// Column to move on, as `table.column`
    column: ColumnPath,
    /// Database that the stages are applied to: asked, never changed
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Vouch for what no database was asked or can tell; the reason is kept in the contract
    #[arg(long, value_name = "REASON", value_parser = reason)]
    confirm_release: Option<String>,
    /// Show the files as a diff and write nothing
    #[arg(long)]
    dry_run: bool,
}

fn reason(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() { Err("say why it is safe") } else { Ok(text.to_owned()) }
}

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &NextArgs) -> Result<Exit, CliError> {
    let project = ctx.project(out, Intent::of_dry_run(args.dry_run))?;
    let column = Column::load(ctx, &project, &args.column, args.database_url.as_deref())?;
    let Some(kind) = column.next() else {
        out.status("nothing to do: every stage is released");
        return Ok(Exit::Nothing);
    };
    let shut = shut_gates(ctx, &project, &column, kind, args)?;
    if !shut.is_empty() {
        return Err(gate_error(&column, kind, &shut, args));
    }
    for plan in column.plans() {
        for warning in &plan.warnings {
            out.warn(warning);
        }
        for reason in &plan.reasons {
            out.detail(reason);
        }
    }
    let sources = column.schema_sources(&project)?;
    let version = ctx.version(&project)?;
    let mut patch = release(&column.targets, &sources, kind, &version)
        .map_err(|error| column.wish().blame_release(error))?;
    if let Some(reason) = &args.confirm_release {
        column.confirm(&mut patch, kind, Some(&format!("{}: {reason}", ctx.today())))?;
    }
    let exit = ctx.commit(out, &project, &patch, args.dry_run)?;
    if !args.dry_run {
        out.next_steps(&["apply the stage: `diesel migration run`".to_owned()]);
    }
    Ok(exit)
}

/// A gate that nothing opens, with what was found.
struct Shut {
    gate: Gate,
    found: String,
}

fn shut_gates(
    ctx: &Context,
    project: &Project,
    column: &Column,
    kind: StageKind,
    args: &NextArgs,
) -> Result<Vec<Shut>, CliError> {
    let mut gates: Vec<Gate> = Vec::new();
    for stage in column.plans().filter_map(|plan| plan.stage(kind)) {
        for gate in &stage.gates {
            if !gates.contains(gate) {
                gates.push(*gate);
            }
        }
    }
    let mut session = match &args.database_url {
        Some(url) => Some(ctx.session(&project.url(url)?, Access::Read)?),
        None => None,
    };
    let mut shut = Vec::new();
    for gate in gates {
        let found = match (&mut session, gate) {
            (Some(session), Gate::StageApplied(before)) => {
                applied(session, project, column, before)?
            }
            (Some(session), Gate::Backfilled) => {
                // Without the column there are no rows to count.
                match applied(session, project, column, StageKind::Expand)? {
                    Some(missing) => {
                        shut.push(Shut {
                            gate: Gate::StageApplied(StageKind::Expand),
                            found: missing,
                        });
                        None
                    }
                    None => backfilled(session, column)?,
                }
            }
            (_, _) if args.confirm_release.is_some() => None,
            (None, Gate::StageApplied(_) | Gate::Backfilled) => {
                Some("no database was asked".to_owned())
            }
            (_, Gate::OldWritersGone | Gate::ReplacedUnused) => {
                Some("only you can know".to_owned())
            }
        };
        shut.extend(found.map(|found| Shut { gate, found }));
    }
    Ok(shut)
}

/// Tells which migrations of a stage are missing in the database.
fn applied(
    session: &mut Session,
    project: &Project,
    column: &Column,
    before: StageKind,
) -> Result<Option<String>, CliError> {
    let known = session.migrations()?;
    let missing = column
        .released
        .folders(before)
        .iter()
        .filter(|folder| engine_of(project, folder).is_some_and(|e| e.backend == session.backend()))
        .filter(|folder| {
            let version = stored_version(folder.file_name().unwrap_or_default());
            !known.iter().any(|m| m.version == version)
        })
        .count();
    let are = if missing == 1 { "is" } else { "are" };
    Ok((missing > 0).then(|| {
        format!("{missing} of its migrations {are} not applied to {}", session.url().describe())
    }))
}

/// Counts rows that the fill has not reached, up to a bound.
fn backfilled(session: &mut Session, column: &Column) -> Result<Option<String>, CliError> {
    let target = column.targets.iter().find(|t| t.plan.backend() == session.backend());
    let Some(question) = target.and_then(|t| newcol_core::render::pending(&t.plan)) else {
        return Ok(None);
    };
    let rows = session.value(question.as_str())?.unwrap_or_default();
    let rows: u64 = rows.parse().unwrap_or(u64::MAX);
    let Some(target) = target else { return Ok(None) };
    // The migration computes a bounded number of rows itself, where SQL can.
    let bound = match target.plan.contract.answers().old_rows {
        OldRows::Rust(_) => 0,
        OldRows::Sql(_) | OldRows::Unfilled => LEFTOVERS,
    };
    Ok((rows > bound).then(|| match rows {
        1 => "1 row is empty".to_owned(),
        rows if rows > LEFTOVERS => format!("more than {LEFTOVERS} rows are empty"),
        rows => format!("{rows} rows are empty"),
    }))
}

fn gate_error(column: &Column, kind: StageKind, shut: &[Shut], args: &NextArgs) -> CliError {
    let path = column.contract.path();
    let mut error = CliError {
        exit: Exit::GateShut,
        message: format!("`{}` of `{path}` cannot be released yet", kind.name()),
        place: Some(column.file.to_string()),
        causes: shut
            .iter()
            .map(|s| format!("not shown that {} ({})", explain::gate(s.gate), s.found))
            .collect(),
        also: Vec::new(),
        hints: Vec::new(),
    };
    for gate in shut.iter().map(|s| s.gate).filter(|_| args.database_url.is_some()) {
        error.hints.extend(match gate {
            Gate::StageApplied(_) => Some("apply it first: `diesel migration run`".to_owned()),
            Gate::Backfilled => Some(format!(
                "fill them first: `cargo newcol backfill {path} --database-url <URL>`"
            )),
            Gate::OldWritersGone | Gate::ReplacedUnused => None,
        });
    }
    if args.database_url.is_none() {
        error
            .hints
            .push("pass `--database-url` of the database the stages are applied to".to_owned());
    }
    if shut.iter().any(|s| matches!(s.gate, Gate::OldWritersGone | Gate::ReplacedUnused))
        || args.database_url.is_none()
    {
        error.hints.push("vouch for it with `--confirm-release \"reason\"`".to_owned());
    }
    error
}
