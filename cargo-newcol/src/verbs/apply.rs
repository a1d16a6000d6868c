//! `cargo newcol apply`: runs pending migrations on a live database, and nobody notices.

mod pending;
mod record;
mod shown;

use std::{sync::Mutex, time::Duration};

use clap::Args;
use newcol_core::{
    db::{Access, DatabaseUrl, Session},
    execute::apply::{Answer, Apply, ApplyError, Event, Outcome, SqlMigration},
    ident::ColumnPath,
    plan::StageKind,
    render::patch::FilePatch,
};

use self::pending::Pending;
pub(super) use self::{
    pending::proofs,
    shown::{Shown, Way, is_news},
};
use super::{ask, waiting::Waiting, watch, when};
use crate::{
    context::{Column, Context, GateState, Intent, Project, Step, Witness, Word, observing},
    error::{CliError, Exit},
    interrupt,
    output::Output,
};

/// Apply pending migrations to a live database without holding anybody up
///
/// As `diesel migration run`, and with the same table of what is applied. No statement waits longer
/// for its lock than the lock timeout, and so nobody waits longer behind it; what gets no lock is
/// tried again, and whoever stands in the way is named. An index that is built concurrently goes on
/// after any interruption. Stages of a column wait at their gates: exit code 3, with what is missing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo newcol apply --all --database-url postgres://db/app --dry-run\n  \
    cargo newcol apply users.locale --database-url postgres://db/app --yes\n  \
    cargo newcol apply --all --database-url postgres://db/app --yes --lock-timeout 200ms --max-wait 1h\n  \
    cargo newcol apply --all --database-url postgres://db/app --yes --blockers show")]
pub(crate) struct ApplyArgs {
    /// Column whose stages are applied, with the pending migrations before them
    #[arg(required_unless_present = "all")]
    column: Option<ColumnPath>,
    /// Apply every pending migration
    #[arg(long, conflicts_with = "column")]
    all: bool,
    /// Database to change
    #[arg(long, value_name = "URL")]
    database_url: String,
    /// Vouch that no program is at work that does not know the column; the reason is kept in the
    /// contract
    #[arg(long, value_name = "REASON", value_parser = ask::reason)]
    confirm_release: Option<String>,
    /// Look so long for programs that do not know the column; where the server counts statements,
    /// seeing none opens the gate; not on SQLite, which sees no other programs
    #[arg(long, value_name = "TIME", value_parser = when::duration)]
    observe: Option<Duration>,
    /// Show what would run; changes nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Keep the report beside the contract, in `newcol/<table>.<column>.applied.jsonl`
    #[arg(long)]
    record: bool,
    /// Take no baseline for `watch` before a column comes
    #[arg(long)]
    no_baseline: bool,
    #[command(flatten)]
    waiting: Waiting,
}

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &ApplyArgs) -> Result<Exit, CliError> {
    let project = ctx.project(out, Intent::of_dry_run(args.dry_run))?;
    let url = project.url(&args.database_url)?;
    let observe = observing(args.observe, &url)?;
    let mut session = ctx.session(&url, Access::Read)?;
    if !args.dry_run {
        // Says in words what reading Diesel's table would say in the server's.
        permitted(out, &mut session, &[])?;
    }
    let wanted = args.column.as_ref().filter(|_| !args.all);
    let pending = Pending::find(ctx, &project, &mut session, wanted)?;
    for warning in &pending.warnings {
        out.warn(warning);
    }
    if pending.steps.is_empty() {
        out.status("nothing to do: every migration is applied");
        return Ok(Exit::Nothing);
    }
    if args.dry_run {
        shown::plan(out, &url, &pending);
        return Ok(Exit::Done);
    }
    let migrations: Vec<SqlMigration> =
        pending.steps.iter().flat_map(|step| step.migrations.clone()).collect();
    for unseen in permitted(out, &mut session, &migrations)? {
        out.status(&format!("note: {unseen}"));
    }
    if !args.yes {
        let (count, database) = (pending.count(), url.describe());
        let are = if count == 1 { "migration" } else { "migrations" };
        ask::consent(out, &format!("apply {count} {are} to {database}"))?;
    }
    let open = ctx.open_options(Access::Write);
    let apply = Apply::new(&url, open).settings(args.waiting.settings());
    for step in &pending.steps {
        if let Some((column, kind)) = pending.stage_of(step) {
            let witness =
                Witness { session: Some(&mut session), word: word(args, column, kind), observe };
            let gates = column.gates(&project, kind, witness)?;
            column.pass(kind, &gates, &Step::Apply { url: &url })?;
            let vouched = gates.iter().any(GateState::is_of_programs);
            if let Some(reason) = args.confirm_release.as_ref().filter(|_| vouched) {
                confirm(ctx, out, &project, column, kind, reason)?;
            }
            if kind == StageKind::Expand && !args.no_baseline {
                watch::before_expand(ctx, out, &project, column.contract.path(), &url);
            }
        }
        let done = Mutex::new(Vec::new());
        let shown = Shown::new(out, Way::Up);
        let outcome = apply.run(&step.migrations, &|event| {
            shown.show(event);
            if let (Event::Done(report), Ok(mut done)) = (event, done.lock()) {
                done.push(report.clone());
            }
            if interrupt::requested() { Answer::Stop } else { Answer::Go }
        });
        shown.end();
        let outcome = outcome.map_err(|error| failed(out, &error, &url));
        let kept = match (args.record, pending.stage_of(step)) {
            // Also of a run that failed: what it did before is done.
            (true, Some((column, _))) => {
                let done = done.into_inner().unwrap_or_default();
                record::append(ctx, out, &project, column, &url, &done)
            }
            _ => Ok(()),
        };
        let outcome = match (outcome, kept) {
            (Err(error), Err(kept)) => return Err(error.also(&kept)),
            (outcome, kept) => kept.and(outcome)?,
        };
        match outcome {
            Outcome::Done(_) => {}
            Outcome::Stopped(_) => {
                out.say("stopped: what is listed above is applied, the rest is not");
                out.next_steps(&["run the same command again to go on".to_owned()]);
                return Ok(Exit::GateShut);
            }
        }
    }
    out.next_steps(&pending.next_steps());
    Ok(Exit::Done)
}

/// Refuses what the user may not do, before anything is asked or run; returns what it cannot see.
fn permitted(
    out: &mut Output,
    session: &mut Session,
    migrations: &[SqlMigration],
) -> Result<Vec<String>, CliError> {
    let url = session.url().clone();
    Apply::check(session, migrations).map_err(|error| failed(out, &error, &url))
}

/// What the user says of old programs, now or in the contract.
fn word(args: &ApplyArgs, column: &Column, kind: StageKind) -> Word {
    if args.confirm_release.is_some() {
        Word::Now
    } else if column.confirmed.iter().any(|(stage, _)| *stage == kind) {
        Word::Before
    } else {
        Word::None
    }
}

/// Writes down in the contract why a stage was applied.
fn confirm(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    column: &Column,
    kind: StageKind,
    reason: &str,
) -> Result<(), CliError> {
    // An earlier stage of this run may have changed the file.
    let column = Column::load(ctx, project, column.contract.path(), None)?;
    let mut patch = FilePatch::default();
    column.confirm(&mut patch, kind, Some(&format!("{}: {reason}", ctx.today())))?;
    ctx.commit(out, project, &patch, false)?;
    Ok(())
}

pub(super) fn failed(out: &mut Output, error: &ApplyError, url: &DatabaseUrl) -> CliError {
    for blocker in error.blockers() {
        out.status(&format!("  {blocker}"));
    }
    let exit = match error {
        ApplyError::AnotherRunner { .. }
        | ApplyError::Busy { .. }
        | ApplyError::Blocked { .. }
        | ApplyError::Kept { .. } => Exit::GateShut,
        ApplyError::Twins { .. }
        | ApplyError::NotSql { .. }
        | ApplyError::OtherSource { .. }
        | ApplyError::NoDown { .. } => Exit::Usage,
        ApplyError::Database(_)
        | ApplyError::File { .. }
        | ApplyError::Failed { .. }
        | ApplyError::OtherIndex { .. }
        | ApplyError::Privilege { .. }
        | ApplyError::Partitioned { .. }
        | ApplyError::ReadOnly { .. } => Exit::Failed,
    };
    CliError::of(exit, error).at(url.describe()).hint_maybe(error.hint())
}
