//! `cargo newcol verify`: holds a column against its contract, wherever it shows.

mod checks;
mod values;

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};
use newcol_core::{
    contract::Contract,
    db::{Access, DatabaseUrl},
    execute::{
        backfill::{Answer, Backfill, BackfillError, Event, Repair, Repaired, Settings},
        pace,
    },
    ident::ColumnPath,
};
use serde::Serialize;

use self::{
    checks::{Check, Looked, State},
    values::{RepairedJson, Values, ValuesJson},
};
use super::{
    ask,
    backfill::{self, Progress, TriggersArg},
    waiting::Locks,
};
use crate::{
    context::{Column, Context, Intent, Project},
    error::{CliError, Exit},
    interrupt,
    output::Output,
};

/// Hold a column against its contract: database, schema.rs, values, documents; write nothing
///
/// One command for a nightly job. Checks that the stages are applied and that nobody changed the column
/// by hand since (type, NULL, default, comment, triggers, checks, foreign key, index, and that the index
/// is valid); that schema.rs says what the released stages ask for; that every row has its value, and
/// that the receipt of the backfill still holds; of a finished column, that docs/columns.md and the
/// comment in the database say why it is there. Each check is one line; one that fails names the place
/// and the way out. Without a column, all of them are checked, finished ones too.
///
/// Values are looked at row by row in short read-only transactions, at the pace of a backfill; a role
/// that may only SELECT will do, and so will a replica. Rows with another value than the fill yields are
/// counted and are no failure: a program wrote them, or what they were computed from has changed. Of a
/// fill that is not immutable or is Rust code, only NULL can be found.
///
/// Exit code 100 when a check fails, 3 when it was stopped before the end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo newcol verify --database-url postgres://db/app\n  \
    cargo newcol verify users.locale --database-url postgres://db/app\n  \
    cargo newcol verify users.locale --database-url postgres://db/app --message-format json\n  \
    cargo newcol verify users.locale --database-url postgres://db/app --repair --yes\n  \
    cargo newcol verify users.locale --database-url postgres://db/app --repair=differing --yes")]
pub(crate) struct VerifyArgs {
    /// Column to look at, as `table.column`; all of them where none is given
    column: Option<ColumnPath>,
    /// Database to look at
    #[arg(long, value_name = "URL")]
    database_url: String,
    /// Then fill again, only where it found rows that need it, and look there again; this writes
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "pending",
        requires = "column"
    )]
    repair: Option<RepairArg>,
    /// Do not ask before a repair
    #[arg(long, requires = "repair")]
    yes: bool,
    /// What triggers do that a repair would fire
    #[arg(long, value_enum, default_value_t = TriggersArg::Skip, requires = "repair")]
    triggers: TriggersArg,
    /// Go through the table by its key, also where blocks would do
    #[arg(long)]
    by_key: bool,
    /// Larger batches without rests, for a server that has nothing else to do
    #[arg(long, help_heading = "Pace")]
    full_speed: bool,
    /// Wait while this file exists
    #[arg(long, value_name = "FILE", help_heading = "Pace")]
    pause_file: Option<Utf8PathBuf>,
    #[command(flatten)]
    locks: Locks,
}

/// Which rows are filled again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RepairArg {
    /// Rows that are NULL though the fill yields a value
    Pending,
    /// Also rows with another value, whoever wrote it: what the application wrote is replaced
    Differing,
}

impl RepairArg {
    fn repair(self) -> Repair {
        match self {
            Self::Pending => Repair::Pending,
            Self::Differing => Repair::Differing,
        }
    }
}

#[derive(Debug, Serialize)]
struct VerifiedJson<'a> {
    column: String,
    database: String,
    /// Checks that failed.
    failed: usize,
    checks: &'a [Check],
    #[serde(flatten)]
    values: ValuesJson<'a>,
}

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &VerifyArgs) -> Result<Exit, CliError> {
    let project = ctx.project(out, Intent::Read)?;
    let columns = match &args.column {
        Some(path) => vec![Column::load_any(ctx, &project, path)?],
        None => Column::all_any(ctx, &project)?,
    };
    if columns.is_empty() {
        out.status(
            "the project has no column that newcol knows; begin one with `cargo newcol add`",
        );
        return Ok(Exit::Nothing);
    }
    let url = project.url(&args.database_url)?;
    if let (Some(repair), Some(column)) = (args.repair.filter(|_| !args.yes), &args.column) {
        ask::consent_or(
            out,
            &question(column, repair, &url),
            "without `--repair` nothing is changed",
        )?;
    }
    let mut exit = Exit::Done;
    for column in &columns {
        exit = worse(exit, one(ctx, out, &project, column, (args, &url))?);
        if interrupt::requested() {
            break;
        }
    }
    Ok(exit)
}

/// A run that was stopped proves nothing; a finding is one whatever else was found.
fn worse(one: Exit, other: Exit) -> Exit {
    let order = |exit: &Exit| match exit {
        Exit::Done => 0,
        Exit::Findings => 1,
        _ => 2,
    };
    std::cmp::max_by_key(one, other, order)
}

/// Makes every check of a column.
fn one(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    column: &Column,
    (args, url): (&VerifyArgs, &DatabaseUrl),
) -> Result<Exit, CliError> {
    let place = url.describe();
    let mut session = ctx.session(url, Access::Read)?;
    let Looked { mut checks, has_column } = checks::look(ctx, project, column, &mut session)?;
    drop(session);
    let values = match (column.is_finished(), has_column) {
        (true, _) => {
            Err("the column is finished, so its values are the application's alone".to_owned())
        }
        (false, false) => Err("the column is not there".to_owned()),
        (false, true) => compare(ctx, out, &column.contract, (args, url))?,
    };
    let values = match values {
        Ok(values) => {
            checks.push(values.check(&place));
            let found = &values.found;
            checks.push(checks::receipt(column, &found.recorded, found.receipt_holds(), &place));
            Some(values)
        }
        Err(why) => {
            checks.push(Check::skipped(values::VALUES, why));
            None
        }
    };
    let failed = checks.iter().filter(|check| check.state == State::Failed).count();
    out.json(
        "newcol-verify",
        &VerifiedJson {
            column: column.contract.path().to_string(),
            database: place.clone(),
            failed,
            checks: &checks,
            values: values.as_ref().map(Values::json).unwrap_or_default(),
        },
    );
    out.heading(&column.contract.path().to_string(), &format!("in {place}"));
    for check in &checks {
        let at = check.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        let text = format!("{:<9} {at}{}", check.check, check.found);
        out.outcome(check.state.mark(), check.state.name(), &text);
        if let Some(way_out) = &check.way_out {
            out.say(&format!("           {way_out}"));
        }
    }
    if let Some(values) = &values {
        values.show(out);
    }
    let exit = if failed == 0 { Exit::Done } else { Exit::Findings };
    Ok(worse(exit, values.map_or(Exit::Done, |values| values.exit())))
}

/// Compares the values with what the fill yields; or says why there is nothing to compare.
fn compare<'a>(
    ctx: &Context,
    out: &mut Output,
    contract: &'a Contract,
    (args, url): (&VerifyArgs, &DatabaseUrl),
) -> Result<Result<Values<'a>, String>, CliError> {
    let access = if args.repair.is_some() { Access::Write } else { Access::Read };
    let open = ctx.open_options(access);
    let job = Backfill::new(contract, url, open).settings(settings(args));
    let progress = Progress::new(out, "newcol-verify-event");
    let paused = args.pause_file.as_ref().map(|file| ctx.cwd().join(file));
    let listener = |event: &Event| {
        progress.show(event);
        if interrupt::requested() {
            Answer::Stop
        } else if paused.as_ref().is_some_and(|file| file.exists()) {
            Answer::Pause
        } else {
            Answer::Go
        }
    };
    let ready = args.repair.map_or(Ok(()), |what| job.check_repair(what.repair(), &listener));
    let done = ready.and_then(|()| job.verify(&listener)).and_then(|found| match args.repair {
        Some(what) if found.is_whole => {
            let Repaired { filled, replaced, now } =
                job.repair(&found, what.repair(), &listener)?;
            Ok((now, Some(RepairedJson { filled, replaced })))
        }
        Some(_) | None => Ok((found, None)),
    });
    progress.end();
    match done {
        Ok((found, repaired)) => Ok(Ok(Values { contract, found, repaired })),
        Err(error @ (BackfillError::NothingToFill { .. } | BackfillError::NoKey { .. }))
            if args.repair.is_none() =>
        {
            Ok(Err(error.to_string()))
        }
        Err(error) => Err(backfill::failed(out, &error, url)),
    }
}

fn question(column: &ColumnPath, repair: RepairArg, url: &DatabaseUrl) -> String {
    let database = url.describe();
    match repair {
        RepairArg::Pending => {
            format!("fill rows of `{column}` that lack their value in {database}")
        }
        RepairArg::Differing => format!(
            "replace every value of `{column}` that is not what its fill yields, those that the application wrote included, in {database}"
        ),
    }
}

fn settings(args: &VerifyArgs) -> Settings {
    Settings {
        pace: if args.full_speed {
            pace::Settings::full_speed()
        } else {
            pace::Settings::default()
        },
        triggers: args.triggers.choice(),
        by_key: args.by_key,
        budget: args.locks.budget(),
        ..Settings::default()
    }
}
