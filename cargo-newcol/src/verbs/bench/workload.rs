//! `bench workload`.

use std::{ops::ControlFlow, process::Command};

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use newcol_core::{
    backend::{Backend, Server},
    bench::{
        profile::{Profile, Secrecy, take},
        workload::{
            VERSION, Workload, WorkloadError,
            source::{
                Counted,
                counted::{CountedError, Sent, of_server, of_watch},
                of_counted, pgbench,
            },
        },
    },
    db::{Access, OpenOptions, Settings},
    ident::{ColumnPath, TableName},
    watch::store::{self, Store},
};
use newcol_testkit::{
    Want,
    capture::{Capture, CaptureProgress, SentStatement},
};
use serde::Serialize;

use super::{read, url, write};
use crate::{
    context::{Context, Intent},
    error::{CliError, Exit},
    interrupt,
    output::Output,
};

#[derive(Debug, Args)]
pub(crate) struct WorkloadArgs {
    /// Table, as `table` or `schema.table`
    table: TableName,
    /// Database whose statistics of statements are read, and the shape of the table without `--profile`
    #[arg(long, value_name = "URL", required_unless_present_any = ["script", "profile"])]
    database_url: Option<String>,
    /// Profile of the table, as `bench profile` writes it
    #[arg(long, value_name = "FILE")]
    profile: Option<Utf8PathBuf>,
    /// Take the statements that `cargo newcol watch` has kept for this column
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["script", "command"])]
    watch: Option<ColumnPath>,
    /// Take a script of pgbench, once in as many as its weight says; may be repeated
    #[arg(short = 'f', long = "file", value_name = "SCRIPT[@WEIGHT]", conflicts_with = "command")]
    script: Vec<String>,
    /// Statements per second, in place of those that were counted
    #[arg(long, value_name = "NUMBER", value_parser = rate)]
    rate: Option<f64>,
    /// File to write; without it, stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<Utf8PathBuf>,
    /// Command whose statements are recorded on a throwaway database, such as `cargo test`
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|rate| *rate > 0.0 && rate.is_finite());
    number.ok_or_else(|| "it is not above 0".to_owned())
}

/// A workload on the wire: by itself, for its file has a version of its own.
#[derive(Debug, Serialize)]
struct WorkloadJson<'a> {
    workload: &'a Workload,
}

pub(super) fn run(ctx: &Context, out: &mut Output, args: &WorkloadArgs) -> Result<Exit, CliError> {
    let (mut workload, backend) = if args.script.is_empty() {
        let profile = profile(ctx, args)?;
        let backend = backend(&profile)?;
        let Sent { statements, seconds } = sent(ctx, out, args, backend)?;
        (of_counted(&statements, &profile, backend, seconds), backend)
    } else {
        let (least, backend) = scripts(ctx, args)?;
        (least, backend)
    };
    workload.rate = args.rate.or(workload.rate);
    workload.check(backend)?;
    out.json("newcol-bench-workload", &WorkloadJson { workload: &workload });
    match &args.output {
        Some(path) => {
            write(ctx, path, &workload.to_json())?;
            out.say(&format!("{path}: {}", summary(&workload)));
        }
        None if !out.is_json() => out.raw(workload.to_json().as_bytes()),
        None => {}
    }
    for left in &workload.left_out {
        let share = left.share * 100.0;
        let sql: String = left.sql.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown: String = sql.chars().take(100).collect();
        let more = if shown.len() < sql.len() { "…" } else { "" };
        out.warn(&format!("left out, {share:.1} % of all: {shown}{more}: {}", left.why));
    }
    Ok(Exit::Done)
}

fn summary(workload: &Workload) -> String {
    let left: f64 = workload.left_out.iter().map(|left| left.share).sum();
    let rate = workload
        .rate
        .map_or("a rate that is not known".to_owned(), |rate| format!("{rate:.1} per second"));
    let count = workload.statements.len();
    let statements = if count == 1 { "statement" } else { "statements" };
    format!("{count} {statements} at {rate}, {:.1} % of what is sent", (1.0 - left) * 100.0)
}

fn profile(ctx: &Context, args: &WorkloadArgs) -> Result<Profile, CliError> {
    if let Some(path) = &args.profile {
        let profile = Profile::parse(&read(ctx, path)?).map_err(|e| CliError::from(e).at(path))?;
        let is_same = profile.table.parse::<TableName>().is_ok_and(|of| of.name == args.table.name);
        return if is_same {
            Ok(profile)
        } else {
            Err(CliError::usage(format!("the profile is of `{}`", profile.table)).at(path))
        };
    }
    let text = args.database_url.as_deref().unwrap_or_default();
    let options = ctx.open_options(Access::Read);
    Ok(take((&url(text)?, &options), &args.table, Secrecy::NoValues)?)
}

fn backend(profile: &Profile) -> Result<Backend, CliError> {
    let server = Server::parse_display(&profile.server);
    server.map(|server| server.backend()).ok_or_else(|| {
        CliError::usage(format!("the profile is of `{}`, which is no engine", profile.server))
            .at("--profile")
    })
}

/// Reads statements from wherever they are.
fn sent(
    ctx: &Context,
    out: &mut Output,
    args: &WorkloadArgs,
    backend: Backend,
) -> Result<Sent, CliError> {
    if let Some(column) = &args.watch {
        let project = ctx.project(out, Intent::Read)?;
        let contract = project.root.join(project.contract_path(column));
        let file = store::path(contract.parent().unwrap_or(&project.root), column);
        let store = Store::read(&file, column)?;
        let mut store = store.ok_or_else(|| {
            CliError::usage(format!("`{column}` has no snapshot yet"))
                .at("--watch")
                .hint(format!("begin with `cargo newcol watch baseline {column}`"))
        })?;
        return Ok(of_watch(&mut store)?);
    }
    if !args.command.is_empty() {
        return recorded(ctx, out, args, backend);
    }
    let text = args.database_url.as_deref().ok_or_else(|| {
        CliError::usage("there is nothing to take statements from")
            .hint("pass `--database-url`, `--watch`, `-f`, or a command after `--`")
    })?;
    let options = OpenOptions { settings: Settings::None, ..ctx.open_options(Access::Read) };
    Ok(of_server(&url(text)?, &options)?)
}

/// Runs a command on a throwaway database with the project's schema, and returns what it sent.
fn recorded(
    ctx: &Context,
    out: &mut Output,
    args: &WorkloadArgs,
    backend: Backend,
) -> Result<Sent, CliError> {
    let project = ctx.project(out, Intent::Read)?;
    let engine = project.engines.iter().find(|engine| engine.backend == backend);
    let engine = engine.ok_or_else(|| {
        CliError::usage(format!("the profile is of {backend}, which the project does not use"))
    })?;
    let migrations: &Utf8Path = &project.root.join(&engine.dir);
    let (program, rest) =
        args.command.split_first().ok_or_else(|| CliError::usage("no command"))?;
    let mut command = Command::new(program);
    command.args(rest).current_dir(ctx.cwd());
    let capture = Capture::new(args.table.name.as_str(), migrations, Want::from(backend));
    let done = capture.run(command, &mut |progress| {
        if interrupt::requested() {
            return ControlFlow::Break(());
        }
        match progress {
            CaptureProgress::Schema => out.status("recording: the project's migrations"),
            CaptureProgress::Command => {
                out.status(&format!("recording: {}", args.command.join(" ")));
            }
            CaptureProgress::Line(line) => out.status(&format!("  {line}")),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    let done = done.map_err(|error| CliError::of(Exit::Failed, &error))?;
    if done.exit != Some(0) {
        out.warn("the command failed: what it sent until then is taken");
    }
    let is_whole = |of: &SentStatement| !of.refused && !of.is_cut && of.count > 0;
    let statements = done.statements.into_iter().filter(is_whole).map(|of| Counted {
        sql: of.sql,
        calls: of.count as f64,
        rows: None,
    });
    Ok(Sent { statements: statements.collect(), seconds: None })
}

/// Reads scripts; they are of the engine of the profile or the database, if there is one.
fn scripts(ctx: &Context, args: &WorkloadArgs) -> Result<(Workload, Backend), CliError> {
    let backend = match (&args.profile, &args.database_url) {
        (Some(_), _) => backend(&profile(ctx, args)?)?,
        (None, Some(text)) => url(text)?.backend(),
        (None, None) => Backend::Postgres,
    };
    let mut statements = Vec::new();
    for argument in &args.script {
        let (file, weight) = pgbench::weighted(argument);
        let text = read(ctx, file.into())?;
        let script = pgbench::read(file, &text, weight);
        statements.push(script.map_err(|error| {
            CliError::usage(error.why.clone()).at(format!("{}:{}", error.file, error.line))
        })?);
    }
    let table = args.table.dotted();
    let workload =
        Workload { version: VERSION, table, rate: None, statements, left_out: Vec::new() };
    Ok((workload, backend))
}

impl From<CountedError> for CliError {
    fn from(error: CountedError) -> Self {
        let hint = error.hint();
        match error {
            CountedError::Db(error) => Self::from(error).at("--database-url"),
            CountedError::Store(error) => error.into(),
            CountedError::Engine(_) | CountedError::NotCounted => {
                Self::of(Exit::Usage, &error).at("--database-url").hint_maybe(hint)
            }
        }
    }
}

impl From<WorkloadError> for CliError {
    fn from(error: WorkloadError) -> Self {
        let hint = match &error {
            WorkloadError::Empty { left_out: 0 } => {
                Some("nothing was sent to the table while statements were counted".to_owned())
            }
            WorkloadError::Empty { .. } => Some(
                "write what the table is asked as scripts of pgbench, and name them with `-f`"
                    .to_owned(),
            ),
            WorkloadError::Version { .. }
            | WorkloadError::Json(_)
            | WorkloadError::Template { .. }
            | WorkloadError::Frequency { .. } => None,
        };
        Self::of(Exit::Usage, &error).hint_maybe(hint)
    }
}
