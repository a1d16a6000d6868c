//! `cargo newcol backfill`: fills a column in rows that exist already.

mod progress;

use std::{num::NonZeroU32, time::Duration};

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};
use newcol_core::{
    backend::Backend,
    db::{Access, DatabaseUrl},
    execute::{
        backfill::{
            Answer, Backfill, BackfillError, Estimate, Order, Outcome, Route, Settings, Totals,
        },
        pace,
        side_effects::Triggers,
    },
    ident::ColumnPath,
};
use serde::Serialize;

pub(super) use self::progress::Progress;
use crate::{
    context::{Column, Context, Intent},
    error::{CliError, Exit},
    interrupt,
    output::Output,
    verbs::{
        ask,
        waiting::Locks,
        when::{self, Deadline},
    },
};

/// Fill a column in rows that exist already, in small batches that nobody notices
///
/// Resumable anywhere: run the same command again after Ctrl-C, a crash or a restart of the server.
/// Several runs, also on several machines, share the work. No other column changes; triggers rest
/// for the job and for nobody else, or it refuses and says what you can choose. Ends when a pass over
/// the whole table finds nothing left to fill. Exit code 3 when it was stopped before that, 100 when
/// rows of a required column cannot be filled.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo newcol backfill users.locale --database-url postgres://db/app --dry-run\n  \
    cargo newcol backfill users.locale --database-url postgres://db/app --yes\n  \
    cargo newcol backfill users.locale --database-url postgres://db/app --yes --full-speed --workers 4\n  \
    cargo newcol backfill users.locale --database-url postgres://db/app --yes --max-lag 2s --until 06:00\n  \
    cargo newcol backfill users.locale --database-url postgres://db/app --order pause")]
pub(crate) struct BackfillArgs {
    /// Column to fill, as `table.column`
    column: ColumnPath,
    /// Database to fill it in
    #[arg(long, value_name = "URL")]
    database_url: String,
    /// Say what would be done, how long it may take and what it may write; writes nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Connections that work at the same time
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::MIN, help_heading = "Pace")]
    workers: NonZeroU32,
    /// Larger batches without rests, for a server that has nothing else to do
    #[arg(long, help_heading = "Pace")]
    full_speed: bool,
    /// Wait while a replica is further behind: `500ms`, `2s` (PostgreSQL)
    #[arg(long, value_name = "TIME", value_parser = when::duration, help_heading = "Pace")]
    max_lag: Option<Duration>,
    /// Write no more of the server's log each second: `8MB` (PostgreSQL)
    #[arg(long, value_name = "SIZE", value_parser = when::bytes, help_heading = "Pace")]
    wal_budget: Option<u64>,
    /// Stop at this time of day, in the machine's time zone
    #[arg(long, value_name = "HH:MM", value_parser = when::time_of_day, help_heading = "Pace")]
    until: Option<jiff::civil::Time>,
    /// Wait while this file exists
    #[arg(long, value_name = "FILE", help_heading = "Pace")]
    pause_file: Option<Utf8PathBuf>,
    /// What triggers do that an UPDATE of the column would fire
    #[arg(long, value_enum, default_value_t = TriggersArg::Skip)]
    triggers: TriggersArg,
    /// Go through the table by its key, also where blocks would do
    #[arg(long)]
    by_key: bool,
    /// Forget how far an earlier run was; rows that are filled stay as they are
    #[arg(long)]
    restart: bool,
    /// Ask the runs that are at work, wherever they are, and leave
    #[arg(long, value_name = "WHAT", conflicts_with_all = ["dry_run", "restart"])]
    order: Option<OrderArg>,
    #[command(flatten)]
    locks: Locks,
}

/// What triggers do meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TriggersArg {
    /// They rest, for the job and for nobody else
    Skip,
    /// They fire for every row
    Fire,
}

impl TriggersArg {
    pub(super) fn choice(self) -> Triggers {
        match self {
            Self::Skip => Triggers::Skip,
            Self::Fire => Triggers::Fire,
        }
    }
}

/// What runs are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OrderArg {
    /// Wait until `run`
    Pause,
    /// Go on
    Run,
    /// Leave after the batch that is under way
    Stop,
}

#[derive(Debug, Serialize)]
struct EstimateJson<'a> {
    column: String,
    database: &'a str,
    rows: Option<u64>,
    route: &'static str,
    log_bytes: Option<u64>,
    table_bytes: Option<u64>,
    grown_bytes: Option<u64>,
    seconds: Option<(u64, u64)>,
    notices: &'a [String],
}

#[derive(Debug, Serialize)]
struct DoneJson {
    column: String,
    state: &'static str,
    filled: u64,
    rows: Option<u64>,
    empty: Option<u64>,
    differing: Option<u64>,
    late: Option<u64>,
    unfillable: Vec<String>,
}

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &BackfillArgs) -> Result<Exit, CliError> {
    let project = ctx.project(out, Intent::Read)?;
    let column = Column::load(ctx, &project, &args.column, None)?;
    let url = project.url(&args.database_url)?;
    let backend = url.backend();
    check(args, backend)?;
    let access = if args.dry_run { Access::Read } else { Access::Write };
    let open = ctx.open_options(access);
    let settings = settings(args);
    let backfill = Backfill::new(&column.contract, &url, open).settings(settings);
    if let Some(order) = args.order {
        let ordered = self::order(out, &backfill, order, args);
        return ordered.map_err(|error| failed(out, &error, &url));
    }
    if args.dry_run {
        let progress = Progress::new(out, "newcol-backfill-event");
        let seen = backfill.look(&|event| {
            progress.show(event);
            if interrupt::requested() { Answer::Stop } else { Answer::Go }
        });
        progress.end();
        let Some((job, estimate)) = seen.map_err(|error| failed(out, &error, &url))? else {
            out.say("stopped: nothing was looked at");
            return Ok(Exit::GateShut);
        };
        estimated(out, args, &url, &job.route, &estimate, &job.care.notices);
        return Ok(Exit::Done);
    }
    if !args.yes {
        let database = url.describe();
        ask::consent(out, &format!("fill `{}` in {database}", args.column))?;
    }
    let deadline = args.until.map(|time| Deadline::next(ctx.now(), time));
    let (progress, paused) = (
        Progress::new(out, "newcol-backfill-event"),
        args.pause_file.as_ref().map(|file| ctx.cwd().join(file)),
    );
    let outcome = backfill.run(&|event| {
        progress.show(event);
        if interrupt::requested() || deadline.as_ref().is_some_and(Deadline::is_over) {
            Answer::Stop
        } else if paused.as_ref().is_some_and(|file| file.exists()) {
            Answer::Pause
        } else {
            Answer::Go
        }
    });
    progress.end();
    let outcome = outcome.map_err(|error| failed(out, &error, &url))?;
    Ok(ended(out, args, &outcome))
}

/// Refuses what an engine does not tell, so that no limit is believed that nobody keeps.
fn check(args: &BackfillArgs, backend: Backend) -> Result<(), CliError> {
    let only_postgres = |flag: &str, what: &str| {
        Err(CliError::usage(format!("{backend} does not tell {what} on this connection"))
            .at(flag)
            .hint(format!(
                "leave {flag} out; `--pause-file` lets a monitor of yours pause the job"
            )))
    };
    if backend != Backend::Postgres {
        if args.max_lag.is_some() {
            return only_postgres("--max-lag", "how far its replicas are behind");
        }
        if args.wal_budget.is_some() {
            return only_postgres("--wal-budget", "how much log a batch writes");
        }
    }
    Ok(())
}

fn settings(args: &BackfillArgs) -> Settings {
    let pace =
        if args.full_speed { pace::Settings::full_speed() } else { pace::Settings::default() };
    let share = |bytes: u64| bytes / u64::from(args.workers.get());
    Settings {
        workers: args.workers,
        pace: pace::Settings {
            max_lag: args.max_lag,
            wal_per_second: args.wal_budget.map(share),
            ..pace
        },
        budget: args.locks.budget(),
        triggers: args.triggers.choice(),
        by_key: args.by_key,
        restart: args.restart,
    }
}

fn order(
    out: &mut Output,
    backfill: &Backfill<'_>,
    order: OrderArg,
    args: &BackfillArgs,
) -> Result<Exit, BackfillError> {
    let order = match order {
        OrderArg::Pause => Order::Pause,
        OrderArg::Run => Order::Run,
        OrderArg::Stop => Order::Stop,
    };
    if !backfill.order(order)? {
        out.status(&format!("no backfill of `{}` was begun there", args.column));
        return Ok(Exit::Nothing);
    }
    out.status(&format!("runs of `{}` are asked to {}", args.column, order.name()));
    Ok(Exit::Done)
}

fn estimated(
    out: &mut Output,
    args: &BackfillArgs,
    url: &DatabaseUrl,
    route: &Route,
    estimate: &Estimate,
    notices: &[String],
) {
    let database = url.describe();
    let route = match route {
        Route::Blocks(_) => "blocks",
        Route::Keys => "key",
    };
    let seconds = estimate.seconds;
    out.json(
        "newcol-backfill-estimate",
        &EstimateJson {
            column: args.column.to_string(),
            database: &database,
            rows: estimate.rows,
            route,
            log_bytes: estimate.log,
            table_bytes: estimate.table,
            grown_bytes: estimate.grown,
            seconds,
            notices,
        },
    );
    out.heading(&args.column.to_string(), &format!("in {database}"));
    let unknown = || "unknown".to_owned();
    let rows = estimate.rows.map_or_else(unknown, |rows| format!("about {rows}"));
    out.say(&format!("  rows         {rows}, gone through by {route}"));
    let time =
        |(least, most): (u64, u64)| format!("{} to {}", when::shown(least), when::shown(most));
    out.say(&format!("  time         {}", seconds.map_or_else(unknown, time)));
    let log = estimate.log.map_or_else(unknown, when::shown_bytes);
    out.say(&format!("  log written  {log}"));
    if let (Some(table), Some(grown)) = (estimate.table, estimate.grown) {
        let (table, grown) = (when::shown_bytes(table), when::shown_bytes(grown));
        out.say(&format!("  table        {table}, grows by about {grown}"));
    }
    for notice in notices {
        out.say(&format!("  note         {notice}"));
    }
    out.say("  nothing was written; these are estimates from the table's size, not measurements");
}

fn ended(out: &mut Output, args: &BackfillArgs, outcome: &Outcome) -> Exit {
    let column = args.column.to_string();
    let stopped = |totals: &Totals| DoneJson {
        column: column.clone(),
        state: "stopped",
        filled: totals.filled,
        rows: None,
        empty: None,
        differing: None,
        late: None,
        unfillable: Vec::new(),
    };
    match outcome {
        Outcome::Done(receipt) => {
            out.json(
                "newcol-backfill",
                &DoneJson {
                    state: "done",
                    rows: Some(receipt.rows),
                    empty: Some(receipt.empty),
                    differing: receipt.differing,
                    late: Some(receipt.late),
                    ..stopped(&Totals { filled: receipt.filled, ..Totals::default() })
                },
            );
            let also = match receipt.differing {
                Some(0) | None => String::new(),
                Some(rows) => format!(", {rows} with a value of their own"),
            };
            out.say(&format!(
                "`{column}` is filled: {} rows by this job, {} rows looked at, {} NULL{also}",
                receipt.filled, receipt.rows, receipt.empty
            ));
            if receipt.late > 0 {
                out.warn(&format!(
                    "{} of these rows were inserted empty while it ran, and more may come: programs that do not know the column are at work",
                    receipt.late
                ));
            }
            out.next_steps(&[format!(
                "release the next stage: `cargo newcol next {column} --database-url <URL>`"
            )]);
            Exit::Done
        }
        Outcome::Stopped(totals) => {
            out.json("newcol-backfill", &stopped(totals));
            out.say(&format!("stopped: {} rows of `{column}` are filled so far", totals.filled));
            out.next_steps(&["run the same command again to go on".to_owned()]);
            Exit::GateShut
        }
        Outcome::Unfillable { rows, keys, totals } => {
            out.json(
                "newcol-backfill",
                &DoneJson {
                    state: "unfillable",
                    empty: Some(*rows),
                    unfillable: keys.clone(),
                    ..stopped(totals)
                },
            );
            out.say(&format!(
                "{} rows of `{column}` are filled, {rows} cannot be: the fill yields NULL for them",
                totals.filled
            ));
            for key in keys {
                out.say(&format!("  {key}"));
            }
            out.next_steps(&[
                "correct these rows, then run the same command again".to_owned(),
                "or correct the fill in the contract, then begin anew with `--restart`".to_owned(),
            ]);
            Exit::Findings
        }
    }
}

pub(super) fn failed(out: &mut Output, error: &BackfillError, url: &DatabaseUrl) -> CliError {
    for blocker in error.blockers() {
        out.status(&format!("  {blocker}"));
    }
    let exit = match error {
        BackfillError::NothingToFill { .. } => Exit::Nothing,
        BackfillError::Plan { .. }
        | BackfillError::RustFill { .. }
        | BackfillError::SqlFill { .. }
        | BackfillError::NoInput { .. }
        | BackfillError::OneWriter
        | BackfillError::NotComparable { .. }
        | BackfillError::NoKey { .. }
        | BackfillError::Nameless { .. } => Exit::Usage,
        BackfillError::NotExpanded { .. }
        | BackfillError::Busy { .. }
        | BackfillError::SideEffects(_)
        | BackfillError::Changed { .. } => Exit::GateShut,
        BackfillError::Facts { .. }
        | BackfillError::TooNew { .. }
        | BackfillError::Record { .. }
        | BackfillError::Key { .. }
        | BackfillError::Batch { .. }
        | BackfillError::Look { .. }
        | BackfillError::Gone { .. }
        | BackfillError::Input { .. }
        | BackfillError::Code { .. }
        | BackfillError::Values { .. }
        | BackfillError::Value { .. }
        | BackfillError::Row { .. }
        | BackfillError::Left { .. }
        | BackfillError::Database(_) => Exit::Failed,
    };
    CliError::of(exit, error).at(url.describe()).hint_maybe(error.hint())
}
