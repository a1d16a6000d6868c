//! `cargo newcol watch`: what a column costs and brings in production.

mod doctor;
mod live;
mod looking;
mod report;
mod serve;
mod take;
mod verdict;

pub(super) use self::take::before_expand;
use camino::Utf8PathBuf;
use clap::{Args, Subcommand};
use newcol_core::{
    backend::{Backend, Product},
    db::{Access, DatabaseUrl, OpenOptions},
    ident::ColumnPath,
    measure::FileError,
    watch::{
        collect::WatchError,
        store::{self, StoreError},
    },
};

use crate::{
    context::{Context, Intent, Project},
    error::{CliError, Exit},
    output::Output,
};

/// Watch in production what a column costs and brings, and change nothing there
///
/// Reads the statistics that PostgreSQL, MySQL or MariaDB keeps anyway, over one connection and in short
/// read-only transactions, and keeps the differences from one snapshot to the next in a file beside the
/// contract. Nothing is reset, created or written on the server. On PostgreSQL,
/// statements that were there before the column cannot touch it, and everywhere what they cost without it is
/// known from before only: so a baseline belongs before the stage `expand`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo newcol watch doctor users.locale --database-url postgres://db/app\n  \
    cargo newcol watch baseline users.locale --database-url postgres://db/app\n  \
    cargo newcol watch snap users.locale --database-url postgres://db/app\n  \
    cargo newcol watch snap users.locale --database-url postgres://db/app --replica-url postgres://db2/app\n  \
    cargo newcol watch snap users.locale --database-url app.db --from statements.json\n  \
    cargo newcol watch report users.locale\n  \
    cargo newcol watch verdict users.locale --fail-on regression,alert --html watch.html\n  \
    cargo newcol watch live users.locale --database-url postgres://db/app\n  \
    cargo newcol watch serve users.locale --database-url postgres://db/app --every 60s")]
pub(crate) struct WatchArgs {
    #[command(subcommand)]
    verb: WatchVerb,
}

#[derive(Debug, Subcommand)]
enum WatchVerb {
    /// Take the snapshot that proves later which statements cannot touch the column
    ///
    /// To be taken before the column is there. What the server has counted by then is what
    /// statements cost without it.
    Baseline(Look),
    /// Take a snapshot: what happened since the last one; every minute to every hour, from cron
    ///
    /// Also plans up to ten statements a minute that look for the column, without executing them, to
    /// see which of them use its index.
    Snap(take::SnapArgs),
    /// Show each statement before and after the column, the table, its indexes, and the watch's own
    /// cost
    ///
    /// Reads only the file of the snapshots.
    Report(Column),
    /// Say in one word what became of the statements and of the column's index
    ///
    /// Compares the time before the column with the time since, against statements that provably do not
    /// touch it, and says UNKNOWN with the reason where that is no comparison. Reads only the file of the
    /// snapshots.
    Verdict(verdict::VerdictArgs),
    /// Look on: one screen that goes on with each snapshot
    ///
    /// For the hour after a deploy. Where stdout is no terminal, a line for each snapshot. The snapshots
    /// are kept as those of `snap` are.
    Live(live::LiveArgs),
    /// Take snapshots and answer Prometheus, until Ctrl-C
    ///
    /// The snapshots are kept as those of `snap` are. While the database does not answer, `newcol_up` is 0
    /// and the rest stays what it was.
    Serve(serve::ServeArgs),
    /// Say what the role can see of the server, and what can therefore be said
    ///
    /// Exit code 100 where nothing can be said of statements.
    Doctor(Asked),
}

#[derive(Debug, Args)]
struct Column {
    /// Column to watch, as `table.column`
    column: ColumnPath,
}

#[derive(Debug, Args)]
struct Asked {
    #[command(flatten)]
    of: Column,
    /// Database whose statistics are read; a pooler in any mode will do
    #[arg(long, value_name = "URL")]
    database_url: String,
}

#[derive(Debug, Args)]
struct Look {
    #[command(flatten)]
    asked: Asked,
    /// Take statements from what the application has measured of itself, one file for each of its
    /// processes; the only way for SQLite
    #[arg(long, value_name = "FILE")]
    from: Vec<Utf8PathBuf>,
}

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &WatchArgs) -> Result<Exit, CliError> {
    let project = ctx.project(out, Intent::Read)?;
    match &args.verb {
        WatchVerb::Baseline(look) => take::baseline(ctx, out, &project, look),
        WatchVerb::Snap(args) => take::snap(ctx, out, &project, args),
        WatchVerb::Report(of) => report::run(out, &project, of),
        WatchVerb::Verdict(args) => verdict::run(ctx, out, &project, args),
        WatchVerb::Live(args) => live::run(ctx, out, &project, args),
        WatchVerb::Serve(args) => serve::run(ctx, out, &project, args),
        WatchVerb::Doctor(asked) => doctor::run(ctx, out, &project, asked),
    }
}

/// Returns where the snapshots of a column are; a column without contract is misspelt.
fn file(project: &Project, column: &ColumnPath) -> Result<Utf8PathBuf, CliError> {
    let contract = project.contract_path(column);
    if project.read(&contract)?.is_none() {
        return Err(CliError::usage(format!("`{column}` has no contract"))
            .at(&contract)
            .hint(format!("write one with `cargo newcol add {column} ...`")));
    }
    let contract = project.root.join(contract);
    Ok(store::path(contract.parent().unwrap_or(&project.root), column))
}

/// Parses the URL, which must be of an engine that can be watched.
fn watched(
    ctx: &Context,
    project: &Project,
    url: &str,
) -> Result<(DatabaseUrl, OpenOptions), CliError> {
    let url = project.url(url)?;
    match url.backend() {
        Backend::Postgres | Backend::Mysql => Ok((url, ctx.open_options(Access::Read))),
        Backend::Sqlite => Err(WatchError::Engine(Product::Sqlite).into()),
    }
}

impl From<FileError> for CliError {
    fn from(error: FileError) -> Self {
        Self::of(Exit::Failed, &error).at("--from")
    }
}

impl From<WatchError> for CliError {
    fn from(error: WatchError) -> Self {
        let hint = error.hint();
        match error {
            WatchError::Engine(_) => {
                Self::of(Exit::Usage, &error).at("--database-url").hint_maybe(hint)
            }
            WatchError::Store(error) => error.into(),
            WatchError::Db(error) => Self::from(error).at("--database-url"),
        }
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        Self::of(Exit::Failed, &error).at(error.path()).hint_maybe(error.hint())
    }
}
