//! `cargo newcol verify`: compares a column with what its fill yields.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};
use newcol_core::{
    contract::{Contract, OldRows},
    db::{Access, DatabaseUrl},
    execute::{
        backfill::{
            Answer, Backfill, BackfillError, BadChunk, Event, Recorded, Repair, Repaired, Settings,
            Verification,
        },
        pace,
    },
    ident::ColumnPath,
};
use serde::Serialize;

use super::{
    ask,
    backfill::{self, Progress, TriggersArg},
};
use crate::{
    context::{Column, Context, Intent},
    error::{CliError, Exit},
    interrupt,
    output::Output,
};

/// Bad chunks that are shown to people; programs get all of them.
const SHOWN: usize = 20;

/// Compare a column with what its fill yields, and write nothing
///
/// Looks at every row in short read-only transactions, at the pace of a backfill; a role that may
/// only SELECT will do, and so will a replica. Says which rows lack their value, and which have
/// another one than the fill yields: written by a program that knows the column, or computed from
/// values that changed since. Of a fill that is not immutable or is Rust code, only NULL can be
/// found. Exit code 100 when rows lack their value, 3 when it was stopped before the end; rows with a
/// value of their own are no failure.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo newcol verify users.locale --database-url postgres://db/app\n  \
    cargo newcol verify users.locale --database-url postgres://db/app --message-format json\n  \
    cargo newcol verify users.locale --database-url postgres://db/app --repair --yes\n  \
    cargo newcol verify users.locale --database-url postgres://db/app --repair=differing --yes")]
pub(crate) struct VerifyArgs {
    /// Column to look at, as `table.column`
    column: ColumnPath,
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
        default_missing_value = "pending"
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
    column: &'a str,
    state: &'static str,
    rows: u64,
    empty: u64,
    pending: u64,
    differing: Option<u64>,
    bad: Vec<BadJson<'a>>,
    record: RecordJson,
    repaired: Option<RepairedJson>,
}

#[derive(Debug, Serialize)]
struct BadJson<'a> {
    place: String,
    rows: u64,
    empty: u64,
    pending: u64,
    differing: u64,
    lacking_keys: &'a [String],
    differing_keys: &'a [String],
}

#[derive(Debug, Serialize)]
struct RecordJson {
    state: &'static str,
    /// Whether what the receipt says is still so; null without one.
    holds: Option<bool>,
    rows: Option<u64>,
    empty: Option<u64>,
    differing: Option<u64>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct RepairedJson {
    filled: u64,
    replaced: u64,
}

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &VerifyArgs) -> Result<Exit, CliError> {
    let project = ctx.project(out, Intent::Read)?;
    let column = Column::load(ctx, &project, &args.column, None)?;
    let url = project.url(&args.database_url)?;
    if let Some(repair) = args.repair.filter(|_| !args.yes) {
        ask::consent_or(
            out,
            &question(args, repair, &url),
            "without `--repair` nothing is changed",
        )?;
    }
    let access = if args.repair.is_some() { Access::Write } else { Access::Read };
    let open = ctx.open_options(access);
    let job = Backfill::new(&column.contract, &url, open).settings(settings(args));
    let failed = |error: BackfillError| backfill::failed(&error, &url);
    if let Some(what) = args.repair {
        job.check_repair(what.repair()).map_err(failed)?;
    }
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
    let done = job.verify(&listener).and_then(|found| match args.repair {
        Some(what) if found.is_whole => {
            let Repaired { filled, replaced, now } =
                job.repair(&found, what.repair(), &listener)?;
            Ok((now, Some(RepairedJson { filled, replaced })))
        }
        Some(_) | None => Ok((found, None)),
    });
    progress.end();
    let (found, repaired) = done.map_err(failed)?;
    Ok(show(out, &column.contract, &url, &found, repaired))
}

fn question(args: &VerifyArgs, repair: RepairArg, url: &DatabaseUrl) -> String {
    let (column, database) = (&args.column, url.describe());
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
        ..Settings::default()
    }
}

fn show(
    out: &mut Output,
    contract: &Contract,
    url: &DatabaseUrl,
    found: &Verification,
    repaired: Option<RepairedJson>,
) -> Exit {
    let (column, required) = (contract.path().to_string(), found.is_required);
    let (state, exit) = match (found.is_filled(), found.is_whole) {
        (false, true) => ("pending", Exit::Findings),
        (true, true) => ("filled", Exit::Done),
        (_, false) => ("stopped", Exit::GateShut),
    };
    out.json(
        "newcol-verify",
        &VerifiedJson {
            column: &column,
            state,
            rows: found.rows,
            empty: found.empty,
            pending: found.pending,
            differing: found.differing,
            bad: found.bad.iter().map(BadJson::of).collect(),
            record: RecordJson::of(found),
            repaired,
        },
    );
    out.heading(&column, &format!("in {}", url.describe()));
    if let Some(RepairedJson { filled, replaced }) = repaired {
        out.say(&format!("  repaired   {filled} filled, {replaced} replaced"));
    }
    let whole = if found.is_whole { "" } else { " before it was stopped" };
    out.say(&format!("  rows       {}{whole}", found.rows));
    let nothing = match found.empty - found.pending.min(found.empty) {
        0 => String::new(),
        rows => format!(", {rows} for which the fill yields NULL"),
    };
    out.say(&format!("  NULL       {}: {} pending{nothing}", found.empty, found.pending));
    out.say(&match found.differing {
        Some(rows) => format!("  differing  {rows}"),
        None => "  differing  unknown: only NULL can be found".to_owned(),
    });
    out.say(&format!("  record     {}", record(found)));
    for chunk in found.bad.iter().take(SHOWN) {
        out.say(&format!("  {}", described(chunk, required)));
    }
    if found.bad.len() > SHOWN {
        out.say(&format!(
            "  and {} more places; `--message-format json` has them all",
            found.bad.len() - SHOWN
        ));
    }
    out.next_steps(&next(found, contract));
    exit
}

fn described(chunk: &BadChunk, required: bool) -> String {
    let counted = |rows: u64, what: &str, keys: &[String]| {
        let more = if rows > keys.len() as u64 { ", …" } else { "" };
        let names = keys.iter().map(|key| format!("({key})")).collect::<Vec<_>>().join(", ");
        format!("{rows} {what}: {names}{more}")
    };
    let mut parts = Vec::new();
    match chunk.lacking(required) {
        0 => {}
        rows => parts.push(counted(rows, "without their value", &chunk.lacking_keys)),
    }
    if chunk.differing > 0 {
        parts.push(counted(chunk.differing, "with another one", &chunk.differing_keys));
    }
    format!("{}: {}", chunk.place(), parts.join("; "))
}

fn record(found: &Verification) -> String {
    match &found.recorded {
        Recorded::Nothing => "no backfill that this role can see".to_owned(),
        Recorded::Unfinished(phase) => {
            format!("a backfill was begun and is not done ({})", phase.name())
        }
        Recorded::Done(receipt) => {
            let then = format!(
                "the backfill ended with {} rows, {} of them NULL",
                receipt.rows, receipt.empty
            );
            match found.receipt_holds() {
                Some(true) => format!("{then}: still true"),
                Some(false) => format!("{then}: no longer true"),
                None => then,
            }
        }
        Recorded::Other => {
            "a backfill with another type or fill than the contract has now".to_owned()
        }
        Recorded::Newer { made_by } => format!("a backfill by version {made_by}, unreadable here"),
    }
}

fn next(found: &Verification, contract: &Contract) -> Vec<String> {
    let mut steps = Vec::new();
    if !found.is_whole {
        steps.push("run the same command again: it begins anew".to_owned());
    }
    if found.pending > 0 {
        steps.push(match (&contract.answers().old_rows, &found.recorded) {
            (OldRows::Rust(path), _) => format!("fill them from the application, with `{path}`"),
            (OldRows::Sql(_) | OldRows::Unfilled, Recorded::Done(_)) => {
                "fill them with `--repair`".to_owned()
            }
            (
                OldRows::Sql(_) | OldRows::Unfilled,
                Recorded::Nothing
                | Recorded::Unfinished(_)
                | Recorded::Other
                | Recorded::Newer { .. },
            ) => format!(
                "fill them: `cargo newcol backfill {} --database-url <URL>`",
                contract.path()
            ),
        });
    }
    if found.is_required && found.empty > found.pending {
        steps.push(
            "correct the rows for which the fill yields NULL, or the fill in the contract"
                .to_owned(),
        );
    }
    if found.differing.is_some_and(|rows| rows > 0) {
        steps.push(
            "leave values that differ where a program wrote them; `--repair=differing` replaces them all"
                .to_owned(),
        );
    }
    steps
}

impl<'a> BadJson<'a> {
    fn of(chunk: &'a BadChunk) -> Self {
        Self {
            place: chunk.place(),
            rows: chunk.rows,
            empty: chunk.empty,
            pending: chunk.pending,
            differing: chunk.differing,
            lacking_keys: &chunk.lacking_keys,
            differing_keys: &chunk.differing_keys,
        }
    }
}

impl RecordJson {
    fn of(found: &Verification) -> Self {
        let state = match &found.recorded {
            Recorded::Nothing => "nothing",
            Recorded::Unfinished(_) => "unfinished",
            Recorded::Done(_) => "done",
            Recorded::Other => "other",
            Recorded::Newer { .. } => "newer",
        };
        let receipt = match &found.recorded {
            Recorded::Done(receipt) => Some(receipt),
            Recorded::Nothing
            | Recorded::Unfinished(_)
            | Recorded::Other
            | Recorded::Newer { .. } => None,
        };
        Self {
            state,
            holds: found.receipt_holds(),
            rows: receipt.map(|receipt| receipt.rows),
            empty: receipt.map(|receipt| receipt.empty),
            differing: receipt.and_then(|receipt| receipt.differing),
        }
    }
}
