//! `bench <table.column>`: the benchmark itself.

use std::{num::NonZeroU32, time::Duration};

use camino::Utf8PathBuf;
use clap::Args;
use newcol_core::{
    bench::{
        load::Phase,
        profile::Profile,
        run::{Run, Way},
        workload::Workload,
    },
    ident::ColumnPath,
};
use newcol_testkit::{
    Want,
    bench::{Bench, BenchError, Pressure, Scene},
    scratch::StandbyError,
};
use serde::Serialize;

use super::{plan, text, write};
use crate::{
    context::{Column, Context, EngineDir, Intent, Project},
    error::{CliError, Exit},
    interrupt,
    output::Output,
    verbs::{add::split, when},
};

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Column to measure, as `table.column`
    #[arg(required = true)]
    column: Option<ColumnPath>,
    /// Shape of the table, as `bench profile` wrote it; without it rows are made up from the schema
    #[arg(long, value_name = "FILE")]
    profile: Option<Utf8PathBuf>,
    /// What users send; without it, reads and updates by key, and inserts, are made up
    #[arg(long, value_name = "FILE", requires = "profile")]
    workload: Option<Utf8PathBuf>,
    /// Rows of the table [default: 100000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    rows: Option<u64>,
    /// Requests that users send in a second [default: the workload's, else `--load 50%`]
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,
    /// The same as a share of what the server can answer, which is found out first
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with = "rate")]
    load: Option<f64>,
    /// Measure without users
    #[arg(long, conflicts_with_all = ["rate", "load", "workload"])]
    no_users: bool,
    /// Connections of users [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=250))]
    connections: Option<u32>,
    /// How long users have the table for themselves before and after the work, such as `2m` [default:
    /// 20s]
    #[arg(long, value_name = "TIME", value_parser = length)]
    duration: Option<Duration>,
    /// Number that decides everything left to chance [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Major version of the throwaway server, such as 16
    #[arg(long, value_name = "MAJOR")]
    server: Option<u32>,
    /// Let a standby follow while users are there, and say how far it is behind (PostgreSQL)
    #[arg(long, conflicts_with = "no_users")]
    standby: bool,
    /// SQL that the application sends before its migrations: `mysql=SET foreign_key_checks = 0`
    #[arg(long, value_name = "SQL")]
    setup: Vec<String>,
    /// Write the report as a page, one file that needs no other
    #[arg(long, value_name = "FILE")]
    html: Option<Utf8PathBuf>,
    /// Write everything that was measured, for `bench compare` and for running it again
    #[arg(long, value_name = "FILE")]
    json: Option<Utf8PathBuf>,
    /// Say what would be done and about how long it takes, and start nothing
    #[arg(long)]
    dry_run: bool,
}

/// Parses requests per second.
fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number of requests per second".to_owned())?;
    if rate > 0.0 && rate <= 1e6 { Ok(rate) } else { Err("not above 0 and up to 1000000".into()) }
}

/// Parses a share: `50%`, or `0.5`.
fn share(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let share = match text.strip_suffix('%') {
        Some(percent) => number(percent).map(|percent| percent / 100.0),
        None => number(text),
    };
    let share = share.ok_or("not a share such as `50%`")?;
    if share > 0.0 && share <= 2.0 {
        Ok(share)
    } else {
        Err("not above 0 % and up to 200 %".into())
    }
}

/// A time that is worth measuring.
fn length(text: &str) -> Result<Duration, String> {
    match when::duration(text)? {
        short if short < Duration::from_secs(1) => Err("at least one second".to_owned()),
        long if long > Duration::from_secs(86_400) => Err("a day at most".to_owned()),
        length => Ok(length),
    }
}

/// A run on the wire: by itself, for its file has a version of its own.
#[derive(Debug, Serialize)]
struct RunJson<'a> {
    run: &'a Run,
}

/// Files that the command names.
struct Files {
    profile: Option<Profile>,
    workload: Option<(Workload, String)>,
}

pub(super) fn run(ctx: &Context, out: &mut Output, args: &RunArgs) -> Result<Exit, CliError> {
    let Some(path) = &args.column else {
        return Err(CliError::usage("no column is named"));
    };
    let project = ctx.project(out, Intent::Read)?;
    let column = Column::load(ctx, &project, path, None)?;
    let engine = engine(ctx, &project)?;
    let files = Files::read(ctx, args, engine)?;
    let rows = args.rows.unwrap_or(100_000);
    let time = args.duration.unwrap_or(Duration::from_secs(20));
    let pressure = match (args.rate, args.load, &files.workload) {
        _ if args.no_users => None,
        (Some(rate), ..) => Some(Pressure::Rate(rate)),
        (None, Some(share), _) => Some(Pressure::Share(share)),
        (None, None, Some((Workload { rate: Some(rate), .. }, _))) => Some(Pressure::Rate(*rate)),
        (None, None, _) => Some(Pressure::Share(0.5)),
    };
    if args.dry_run {
        let more = files.profile.as_ref().map(|profile| profile.size.rows);
        let more = more.filter(|more| *more > rows as f64 * 1.5);
        let size = plan::Size { rows, more, time, pressure, standby: args.standby };
        plan::show(out, &column.contract, engine.backend, size);
        return Ok(Exit::Done);
    }
    let migrations = project.root.join(&engine.dir);
    let for_engine = |text: &String| {
        let (backend, sql) = split(text);
        backend.is_none_or(|backend| backend == engine.backend).then(|| sql.to_owned())
    };
    let connections = NonZeroU32::new(args.connections.unwrap_or(8)).unwrap_or(NonZeroU32::MIN);
    let bench = Bench::new(
        &column.contract,
        &migrations,
        Want { version: args.server, ..Want::from(engine.backend) },
    )
    .rows(rows)
    .setup(args.setup.iter().filter_map(for_engine).collect())
    .profile(files.profile.as_ref())
    .workload(files.workload.as_ref().map(|(workload, name)| (workload, name.clone())))
    .pressure(pressure)
    .time(time)
    .connections(connections)
    .standby(args.standby)
    .seed(args.seed.unwrap_or(1));
    let mut tell = |scene| out.status(&doing(scene));
    let mut run = bench.run(&mut tell, &|| !interrupt::requested())?;
    run.at = ctx.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    run.again = again();
    out.json("newcol-bench", &RunJson { run: &run });
    out.say(text::summary(&run).trim_end());
    if let Some(path) = &args.html {
        write(ctx, path, &run.report().to_html())?;
        out.status(&format!("written: {path}"));
    }
    if let Some(path) = &args.json {
        write(ctx, path, &run.to_json())?;
        out.status(&format!("written: {path}"));
    }
    let saturated = run.load.as_ref().and_then(|load| load.load.sustained().err());
    if let Some((phase, saturated)) = saturated {
        out.warn(&format!("{phase}: {saturated}; try a lower `--rate`, or more `--connections`"));
    }
    Ok(Exit::Done)
}

/// Returns the command line that does the same again.
fn again() -> Vec<String> {
    let args = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned());
    let args = args.skip_while(|arg| arg == "newcol");
    ["cargo", "newcol"].map(str::to_owned).into_iter().chain(args).collect()
}

/// Returns the engine to measure on.
fn engine<'a>(ctx: &Context, project: &'a Project) -> Result<&'a EngineDir, CliError> {
    let wanted =
        |engine: &&EngineDir| ctx.global().engine.is_none_or(|backend| backend == engine.backend);
    let mut engines = project.engines.iter().filter(wanted);
    match (engines.next(), engines.next()) {
        (Some(engine), None) => Ok(engine),
        (Some(_), Some(_)) => Err(CliError::usage("the project has migrations of several engines")
            .hint("choose one of them with `--engine`")),
        (None, _) => Err(CliError::usage("the project has no migrations of that engine")),
    }
}

impl Files {
    fn read(ctx: &Context, args: &RunArgs, engine: &EngineDir) -> Result<Self, CliError> {
        let text = |path: &Utf8PathBuf| super::read(ctx, path);
        let profile = match &args.profile {
            Some(path) => {
                let profile = Profile::parse(&text(path)?);
                Some(profile.map_err(|error| CliError::from(error).at(path))?)
            }
            None => None,
        };
        let workload = match &args.workload {
            Some(path) => {
                let workload = Workload::parse(&text(path)?, engine.backend)
                    .map_err(|error| CliError::of(Exit::Usage, &error).at(path))?;
                Some((workload, path.file_name().unwrap_or(path.as_str()).to_owned()))
            }
            None => None,
        };
        Ok(Self { profile, workload })
    }
}

fn doing(scene: Scene) -> String {
    match scene {
        Scene::Table => "making the table on a server of its own".to_owned(),
        Scene::Fill(way) => match way {
            Way::Stride => "filling old rows as `cargo newcol backfill` does".to_owned(),
            Way::Ranges => "filling in ranges of the key".to_owned(),
            Way::Update => "filling by one UPDATE".to_owned(),
            Way::IndexFirst => "filling with the index there before".to_owned(),
            Way::Helper => "filling with a helper index".to_owned(),
            Way::HeldSnapshot => "filling under an open snapshot".to_owned(),
        },
        Scene::Again => "filling again, for the interval of speed".to_owned(),
        Scene::Smaller => "filling a table with a quarter of the rows".to_owned(),
        Scene::Standby => "starting a standby".to_owned(),
        Scene::Index => "writing and reading with and without the index, in turn".to_owned(),
        Scene::Capacity => "finding out what the server can answer".to_owned(),
        Scene::Load(Phase::Idle) => "users come: nothing is done yet".to_owned(),
        Scene::Load(Phase::Backfill) => "users come: old rows are filled".to_owned(),
        Scene::Load(Phase::Index) => "users come: the index is built".to_owned(),
        Scene::Load(Phase::After) => "users come: everything is done".to_owned(),
    }
}

impl From<BenchError> for CliError {
    fn from(error: BenchError) -> Self {
        let exit = match &error {
            BenchError::NotBySql | BenchError::NothingToSend | BenchError::Workload(_) => {
                Exit::Usage
            }
            BenchError::Standby(StandbyError::Impossible { .. }) => Exit::Usage,
            _ => Exit::Failed,
        };
        let hint = error.hint();
        let stopped = matches!(error, BenchError::Stopped);
        let said = Self::of(exit, &error).hint_maybe(hint);
        if stopped || exit == Exit::Usage {
            said
        } else {
            said.saying("could not run the benchmark")
        }
    }
}
