//! `cargo newcol bench`: what a column costs on a table like the one in production.

mod compare;
mod plan;
mod run;
mod text;

use std::fs;

use camino::Utf8Path;
use clap::{Args, Subcommand};
use newcol_core::bench::profile::ProfileError;

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
/// rows.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  \
    cargo newcol bench users.locale --dry-run\n  \
    cargo newcol bench users.locale --html bench.html\n  \
    cargo newcol bench users.locale --profile users.profile.json --rows 1000000 --rate 200\n  \
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
    /// Set two runs side by side: better, worse, no difference, or not comparable and why
    ///
    /// Exit code 100 when anything became worse, 101 when nothing can be compared.
    Compare(compare::CompareArgs),
}

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &BenchArgs) -> Result<Exit, CliError> {
    match &args.verb {
        Some(BenchVerb::Compare(args)) => compare::run(ctx, out, args),
        None => run::run(ctx, out, &args.run),
    }
}

/// Reads a file that the user names.
fn read(ctx: &Context, path: &Utf8Path) -> Result<String, CliError> {
    fs::read_to_string(ctx.cwd().join(path)).map_err(|error| {
        CliError::of(Exit::Usage, &error).saying("could not read the file").at(path)
    })
}

/// Writes a file of the benchmark.
fn write(ctx: &Context, path: &Utf8Path, text: &str) -> Result<(), CliError> {
    fs::write(ctx.cwd().join(path), text).map_err(|error| {
        CliError::of(Exit::Failed, &error).saying("could not write the file").at(path)
    })
}

impl From<ProfileError> for CliError {
    fn from(error: ProfileError) -> Self {
        let hint = error.hint();
        Self::of(Exit::Usage, &error).hint(hint)
    }
}
