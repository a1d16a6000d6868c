//! `cargo newcol plan`: every stage, and nothing touched.

use clap::Args;
use newcol_core::ident::ColumnPath;

use crate::{
    context::{Column, Context, Intent},
    error::{CliError, Exit},
    output::Output,
};

/// Show every stage of a column with its exact SQL, and touch nothing
///
/// For each step: what it does, what it locks and who waits, how it is undone; and why the plan is
/// no shorter. With a database, the plan is for what that database really holds.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo newcol plan users.locale\n  \
    cargo newcol plan users.locale --database-url postgres://db/app --message-format json")]
pub(crate) struct PlanArgs {
    /// Column to plan, as `table.column`
    column: ColumnPath,
    /// Database with the project's schema: asked, never changed
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &PlanArgs) -> Result<Exit, CliError> {
    let project = ctx.project(out, Intent::Read)?;
    let column = Column::load(ctx, &project, &args.column, args.database_url.as_deref())?;
    for plan in column.plans() {
        out.plan(plan);
    }
    Ok(Exit::Done)
}
