//! Takes the last stage of a column back in a database: what would be lost first, then `down.sql`.

use newcol_core::{
    db::{Access, DatabaseUrl, Session},
    execute::{
        apply::{self, Apply, Outcome, SqlMigration, Stopped},
        backfill::{self, Backfill, BackfillError, Counted, LossError, Losses},
        export::{ExportError, Target},
    },
    plan::StageKind,
};
use serde::Serialize;

use super::UndoArgs;
use crate::{
    context::{Column, Context, Project},
    error::{CliError, Exit},
    interrupt,
    output::Output,
    verbs::{
        apply::{Shown, Way, failed, proofs},
        ask,
        backfill::{Progress, failed as backfill_failed},
    },
};

/// Later migrations that are named; JSON has them all.
const SHOWN: usize = 5;

/// A stage that a database has.
struct Applied<'a> {
    column: &'a Column,
    kind: StageKind,
    /// Its migrations, the newest first.
    migrations: Vec<SqlMigration>,
    /// Migrations of others that came after its first one.
    later: Vec<String>,
    /// The stage before it, which the database has, too.
    before: Option<StageKind>,
}

#[derive(Debug, Serialize)]
struct UndoJson<'a> {
    column: String,
    stage: &'static str,
    database: &'a str,
    migrations: Vec<&'a str>,
    later: &'a [String],
    losses: Option<LossesJson<'a>>,
}

#[derive(Debug, Serialize)]
struct LossesJson<'a> {
    rows: u64,
    lost: u64,
    counted: &'static str,
    export: Option<&'a str>,
}

pub(super) fn run(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    column: &Column,
    (args, url): (&UndoArgs, &str),
) -> Result<Exit, CliError> {
    let url = project.url(url)?;
    let mut session = ctx.session(&url, Access::Read)?;
    let database = url.describe();
    let Some(mut applied) = Applied::find(project, column, &mut session)? else {
        let path = column.contract.path();
        out.status(&format!("nothing to do: no stage of {path} is applied to {database}"));
        return Ok(Exit::Nothing);
    };
    let export = args.export.as_ref().map(|file| Target::new(ctx.cwd().join(file)));
    let export = export.transpose().map_err(|error| export_failed(&error))?;
    let question =
        format!("take back `{}` of {} in {database}", applied.kind.name(), column.contract.path());
    if !args.yes && !args.dry_run && !out.interactive() {
        ask::consent(out, &question)?;
    }
    for warning in applied.warnings() {
        out.warn(&warning);
    }
    let budget = args.waiting.settings().budget;
    let counting = backfill::Settings { budget, ..backfill::Settings::default() };
    let job = Backfill::new(&column.contract, &url, ctx.open_options(Access::Read));
    let job = job.settings(counting);
    let losses = match applied.kind {
        StageKind::Expand => losses(out, &job, &url, export.as_ref())?,
        StageKind::Backfill | StageKind::Index | StageKind::Constrain | StageKind::Contract => None,
    };
    let lost = losses.map_or(0, |losses| losses.lost);
    let unlosing = losses.filter(|losses| losses.is_whole && lost == 0 && !args.accept_loss);
    let guard = unlosing.map(|losses| job.guard(&losses, budget.lock_timeout)).transpose();
    let guard = guard.map_err(|error| loss_failed(out, &error, &url))?.flatten();
    let again = if guard.is_some() { Again::Locked } else { Again::Never };
    show(out, &applied, &database, losses.as_ref().map(|losses| (losses, again)), export.as_ref());
    if losses.is_some_and(|losses| !losses.is_whole) {
        return Err(CliError {
            exit: Exit::GateShut,
            ..CliError::failed("nothing was taken back")
        }
        .hint("run the same command again: it begins anew"));
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    if lost > 0 && !args.accept_loss {
        return Err(refused(&applied, lost, export.as_ref()));
    }
    if !args.yes {
        ask::consent(out, &question)?;
    }
    if applied.kind == StageKind::Expand
        && let Some(forgetting) = backfill::forgetting(&mut session, column.contract.path())?
        && let Some(first) = applied.migrations.last_mut()
    {
        first.begin_down_with(&forgetting);
    }
    drop(session);
    let apply = Apply::new(&url, ctx.open_options(Access::Write)).settings(args.waiting.settings());
    let apply = match &guard {
        Some(guard) => apply.guarded(guard),
        None => apply,
    };
    let shown = Shown::new(out, Way::Down);
    let outcome = apply.revert(&applied.migrations, &|event| {
        shown.show(event);
        if interrupt::requested() { apply::Answer::Stop } else { apply::Answer::Go }
    });
    shown.end();
    let outcome =
        outcome.map_err(|error| match guard.as_ref().and_then(|guard| guard.stopped(&error)) {
            Some(stopped) => applied.stopped(stopped),
            None => failed(out, &error, &url),
        })?;
    match outcome {
        Outcome::Done(_) => {
            out.next_steps(&[applied.next_step()]);
            Ok(Exit::Done)
        }
        Outcome::Stopped(_) => {
            out.say("stopped: what is listed above is taken back, the rest is not");
            out.next_steps(&["run the same command again to go on".to_owned()]);
            Ok(Exit::GateShut)
        }
    }
}

/// Counts what would be lost; `None` where the column is gone already, which an earlier run could not
/// write down.
fn losses(
    out: &mut Output,
    job: &Backfill<'_>,
    url: &DatabaseUrl,
    export: Option<&Target>,
) -> Result<Option<Losses>, CliError> {
    let progress = Progress::new(out, "newcol-undo-event");
    let found = job.losses(export, &|event| {
        progress.show(event);
        if interrupt::requested() { backfill::Answer::Stop } else { backfill::Answer::Go }
    });
    progress.end();
    match found {
        Ok(losses) => Ok(Some(losses)),
        Err(LossError::Backfill(BackfillError::NotExpanded { .. })) => Ok(None),
        Err(error) => Err(loss_failed(out, &error, url)),
    }
}

fn loss_failed(out: &mut Output, error: &LossError, url: &DatabaseUrl) -> CliError {
    match error {
        LossError::Backfill(error) => backfill_failed(out, error, url),
        LossError::Export(error) => export_failed(error),
    }
}

fn export_failed(error: &ExportError) -> CliError {
    let (exit, hint) = match error {
        ExportError::Form { .. } => (Exit::Usage, "name it `.csv` or `.sql`"),
        ExportError::Exists { .. } => {
            (Exit::Usage, "give another name: that one may hold the only copy of values")
        }
        ExportError::Files(_) => {
            (Exit::Failed, "nothing of it was left, and nothing was taken back")
        }
    };
    CliError::of(exit, error).at("--export").hint(hint)
}

fn refused(applied: &Applied<'_>, lost: u64, export: Option<&Target>) -> CliError {
    let path = applied.column.contract.path();
    let error = CliError::failed(format!("{} of `{path}` would be lost", values(lost)));
    let error = match export {
        Some(target) => error.hint(format!("they are in {}", target.path)),
        None => error.hint("save them first with `--export <FILE>`, as `.csv` or `.sql`"),
    };
    CliError { exit: Exit::GateShut, ..error.hint("say `--accept-loss` to go on without them") }
}

fn values(count: u64) -> String {
    if count == 1 { "1 value".to_owned() } else { format!("{count} values") }
}

/// Whether rows are looked at once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// With the table locked, right before the column goes.
    Locked,
    /// What was counted has to do.
    Never,
}

fn show(
    out: &mut Output,
    applied: &Applied<'_>,
    database: &str,
    counted: Option<(&Losses, Again)>,
    export: Option<&Target>,
) {
    let losses = counted.map(|(losses, _)| losses);
    let export = export.filter(|_| losses.is_some_and(|losses| losses.is_whole));
    let column = applied.column.contract.path().to_string();
    out.json(
        "newcol-undo",
        &UndoJson {
            column: column.clone(),
            stage: applied.kind.name(),
            database,
            migrations: applied.migrations.iter().map(|m| m.name.as_str()).collect(),
            later: &applied.later,
            losses: losses.map(|losses| LossesJson {
                rows: losses.rows,
                lost: losses.lost,
                counted: match losses.counted {
                    Counted::Nothing => "nothing",
                    Counted::Differing => "differing",
                    Counted::All => "all",
                },
                export: export.map(|target| target.path.as_str()),
            }),
        },
    );
    out.heading(&column, &format!("`{}`, in {database}", applied.kind.name()));
    for migration in &applied.migrations {
        out.say(&format!("  takes back {}", migration.name));
    }
    let Some(losses) = losses else {
        out.say("  no value of a row is lost");
        return;
    };
    let whole = if losses.is_whole { "" } else { " seen before it was stopped" };
    out.say(&match losses.counted {
        Counted::Nothing => "  no value is lost: the server computes all of them".to_owned(),
        Counted::Differing => format!(
            "  {} would be lost, of {} rows{whole}: others are what the fill yields again",
            values(losses.lost),
            losses.rows
        ),
        Counted::All => format!(
            "  {} would be lost, of {} rows{whole}: nothing computes them again",
            values(losses.lost),
            losses.rows
        ),
    });
    if let Some(target) = export {
        out.say(&format!("  written to {}", target.path));
    }
    match counted {
        Some((_, Again::Locked)) => {
            out.say("  before the column goes, it is looked at once more while nobody can write")
        }
        _ if losses.counted == Counted::Nothing => {}
        _ => out.say("  what programs have written since then, or still write, is not in this"),
    }
}

impl<'a> Applied<'a> {
    /// Finds the last stage of a column that a database has.
    fn find(
        project: &Project,
        column: &'a Column,
        session: &mut Session,
    ) -> Result<Option<Self>, CliError> {
        let backend = session.backend();
        let there = session.migrations()?;
        let mut stages = StageKind::ALL.into_iter().rev().filter_map(|kind| {
            let versions = column.landed(project, backend, kind, &there).there;
            (!versions.is_empty()).then_some((kind, versions))
        });
        let Some((kind, versions)) = stages.next() else { return Ok(None) };
        let before = stages.next().map(|(kind, _)| kind);
        let all = project.sql_migrations(backend)?;
        let later = there
            .iter()
            .map(|migration| &migration.version)
            .filter(|version| versions.iter().min() < Some(version) && !versions.contains(version));
        let name = |version: &String| {
            let known = all.iter().find(|migration| migration.version == *version);
            known.map_or_else(|| format!("{version}, which is not here"), |m| m.name.clone())
        };
        let later = later.map(name).collect();
        let mut migrations = all;
        migrations.retain(|migration| versions.contains(&migration.version));
        migrations.reverse();
        if let Some(plan) = column.plans().find(|plan| plan.backend() == backend) {
            for migration in &mut migrations {
                migration.proofs = proofs(plan, kind, migration).unwrap_or_default();
            }
        }
        if let Some(migration) = migrations.iter().find(|migration| migration.down.is_none()) {
            return Err(CliError::failed(format!("{} has no `down.sql`", migration.name))
                .hint("write one; nothing was taken back"));
        }
        Ok(Some(Self { column, kind, migrations, later, before }))
    }

    /// Says why a value kept it from being taken back.
    fn stopped(&self, stopped: Stopped) -> CliError {
        let path = self.column.contract.path();
        let (message, hint) = match stopped {
            Stopped::Written => (
                format!("a program has written a value of `{path}` since the count"),
                "take back the release that writes the column, then run the same command again",
            ),
            Stopped::TooLarge(time) => (
                format!(
                    "not shown that no value of `{path}` was written since the count: the table is too large to be looked through in {} ms, and nobody may write meanwhile",
                    time.as_millis().max(1)
                ),
                "make sure that no program writes the column",
            ),
        };
        let error = CliError { exit: Exit::GateShut, ..CliError::failed(message) };
        error.hint(hint).hint("say `--accept-loss` to go on all the same")
    }

    /// Says what may go wrong, one sentence each.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.later.is_empty() {
            let mut names = self.later.iter().take(SHOWN).cloned().collect::<Vec<_>>();
            if self.later.len() > SHOWN {
                names.push(format!("and {} more", self.later.len() - SHOWN));
            }
            warnings.push(format!(
                "these were applied later and may depend on it: {}",
                names.join(", ")
            ));
        }
        let path = self.column.contract.path();
        match self.kind {
            StageKind::Expand => warnings
                .push(format!("programs that know {path} fail from then on: take them back first")),
            StageKind::Constrain => warnings.push(format!(
                "programs that rely on {path} never being NULL may meet NULL from then on"
            )),
            StageKind::Backfill | StageKind::Index | StageKind::Contract => {}
        }
        warnings
    }

    fn next_step(&self) -> String {
        let path = self.column.contract.path();
        match self.before {
            Some(before) => format!(
                "go further back, to before `{}`: `cargo newcol undo {path} --live --database-url <URL>`",
                before.name()
            ),
            None => format!(
                "once no database has it, take back its files: `cargo newcol undo {path} --database-url <URL>`"
            ),
        }
    }
}
