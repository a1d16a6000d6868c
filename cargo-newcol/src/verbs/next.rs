//! `cargo newcol next`: the following stage, when its gates are open.

use std::time::Duration;

use clap::Args;
use newcol_core::{db::Access, ident::ColumnPath, render::release::release};

use crate::{
    context::{Column, Context, Intent, Project, Step, Witness, Word, observing},
    error::{CliError, Exit},
    output::Output,
    verbs::{ask, audit, when},
};

/// Release the next stage of a column: write its migrations and its edit of schema.rs
///
/// Refuses while a gate is shut, says which, and what opens it (exit code 3). A database given with
/// `--database-url` is asked for evidence; what it cannot know, you confirm with a reason. The quick
/// audit must not find a statement that will fail or a value that will be lost from then on, unless
/// it is acknowledged.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo newcol next users.locale --database-url postgres://db/app\n  \
    cargo newcol next users.locale --database-url postgres://db/app --observe 5m\n  \
    cargo newcol next users.locale --confirm-release '2.14 replaced every older pod on 2026-11-20'")]
pub(crate) struct NextArgs {
    /// Column to move on, as `table.column`
    column: ColumnPath,
    /// Database that the stages are applied to: asked, never changed
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Vouch for what no database was asked or can tell; the reason is kept in the contract
    #[arg(long, value_name = "REASON", value_parser = ask::reason)]
    confirm_release: Option<String>,
    /// Look so long for programs that do not know the column; where the server counts statements,
    /// seeing none opens the gate; not on SQLite, which sees no other programs
    #[arg(long, value_name = "TIME", value_parser = when::duration, requires = "database_url")]
    observe: Option<Duration>,
    /// Show the files as a diff and write nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &NextArgs) -> Result<Exit, CliError> {
    let project = ctx.project(out, Intent::of_dry_run(args.dry_run))?;
    let column = Column::load(ctx, &project, &args.column, args.database_url.as_deref())?;
    let Some(kind) = column.next() else {
        out.status("nothing to do: every stage is released");
        return Ok(Exit::Nothing);
    };
    let url = args.database_url.as_ref().map(|url| project.url(url)).transpose()?;
    let observe = match &url {
        Some(url) => observing(args.observe, url)?,
        None => Duration::ZERO,
    };
    let mut session = url.map(|url| ctx.session(&url, Access::Read)).transpose()?;
    let word = if args.confirm_release.is_some() { Word::Now } else { Word::None };
    let witness = Witness { session: session.as_mut(), word, observe };
    let gates = column.gates(&project, kind, witness)?;
    column.pass(kind, &gates, &Step::Release { asked: args.database_url.is_some() })?;
    audit::pass(out, &project, &column, kind)?;
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
        out.next_steps(&[how_to_apply(&project, &args.column)]);
    }
    Ok(exit)
}

/// Says how a released stage gets into a database.
pub(super) fn how_to_apply(project: &Project, path: &ColumnPath) -> String {
    let desk = match project.engines.as_slice() {
        [_] => "the stage: `diesel migration run`",
        _ => "the stage to each engine: `diesel migration run --migration-dir ...`",
    };
    format!("apply {desk}, in production `cargo newcol apply {path} --database-url <URL>`")
}
