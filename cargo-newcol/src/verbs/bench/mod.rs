//! `cargo newcol bench`: what a column costs on a table like the one in production.

mod compare;
mod plan;
mod profile;
mod run;
mod text;
mod workload;

use std::fs;

use camino::Utf8Path;
use clap::{Args, Subcommand};
use newcol_core::{bench::profile::ProfileError, db::DatabaseUrl};

use crate::{
    context::Context,
    error::{CliError, Exit},
    output::Output,
};

/// Measure on a throwaway server what a column costs on a table like the one in production
///
/// Old rows are filled in several ways on copies of the same table, right and wrong ones, and log,
/// pages and HOT updates are counted; the index is measured with and without in turn; and users come
/// by chance, whether the server is ready or not, while rows are filled and the index is built. No
/// database that anybody uses is touched. A profile says how the table is in production, without its
/// rows: definition, size, and what the server's statistics say of its columns. A workload says what
/// is asked of it.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  \
    cargo newcol bench users.locale --dry-run\n  \
    cargo newcol bench users.locale --html bench.html\n  \
    cargo newcol bench profile users --database-url postgres://db/app -o users.profile.json\n  \
    cargo newcol bench workload users --database-url postgres://db/app -o users.workload.json\n  \
    cargo newcol bench workload users -f read.sql@9 -f write.sql@1 --rate 200\n  \
    cargo newcol bench users.locale --profile users.profile.json --workload users.workload.json\n  \
    cargo newcol bench users.locale --rate 200 --json before.json\n  \
    cargo newcol bench compare before.json after.json"
)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    verb: Option<BenchVerb>,
    #[command(flatten)]
    run: run::RunArgs,
}

#[derive(Debug, Subcommand)]
enum BenchVerb {
    /// Write down the shape of a table in production, without its rows
    ///
    /// Reads the catalog and the server's own statistics in one short transaction that can only
    /// read; MySQL, MariaDB and SQLite, which know less of values, are asked for ten thousand rows
    /// besides. No value of the data gets into the file unless asked for: of common values it has
    /// numbers made with a key that is not kept.
    Profile(profile::ProfileArgs),
    /// Write down what is asked of a table: statements, where their parameters come from, how often
    ///
    /// Takes what PostgreSQL has counted, or the watch, until nine tenths of what is sent to the table
    /// are covered; or scripts of pgbench; or what a command such as `cargo test` sends to a throwaway
    /// database. A parameter gets values of the column that it is compared with or assigned to. What
    /// cannot be sent to the table alone is left out and named with its share. The file is there to be
    /// edited.
    Workload(workload::WorkloadArgs),
    /// Set two runs side by side: better, worse, no difference, or not comparable and why
    ///
    /// Exit code 100 when anything became worse, 101 when nothing can be compared.
    Compare(compare::CompareArgs),
}

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &BenchArgs) -> Result<Exit, CliError> {
    match &args.verb {
        Some(BenchVerb::Profile(args)) => profile::run(ctx, out, args),
        Some(BenchVerb::Workload(args)) => workload::run(ctx, out, args),
        Some(BenchVerb::Compare(args)) => compare::run(ctx, out, args),
        None => run::run(ctx, out, &args.run),
    }
}

/// Parses `--database-url`: a table is measured without the project that uses it.
fn url(text: &str) -> Result<DatabaseUrl, CliError> {
    DatabaseUrl::parse(text).map_err(|error| CliError::from(error).at("--database-url"))
}

/// Writes a file of the benchmark.
fn write(ctx: &Context, path: &Utf8Path, text: &str) -> Result<(), CliError> {
    fs::write(ctx.cwd().join(path), text).map_err(|error| {
        CliError::of(Exit::Failed, &error).saying("could not write the file").at(path)
    })
}

/// Reads a file of the benchmark.
fn read(ctx: &Context, path: &Utf8Path) -> Result<String, CliError> {
    fs::read_to_string(ctx.cwd().join(path)).map_err(|error| {
        CliError::of(Exit::Usage, &error).saying("could not read the file").at(path)
    })
}

impl From<ProfileError> for CliError {
    fn from(error: ProfileError) -> Self {
        Self::of(Exit::Usage, &error).hint(error.hint())
    }
}
