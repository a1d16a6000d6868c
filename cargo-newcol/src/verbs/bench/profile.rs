//! `bench profile`.

use camino::Utf8PathBuf;
use clap::Args;
use newcol_core::{
    bench::profile::{Profile, Secrecy, TakeError, take},
    db::Access,
    ident::TableName,
};
use serde::Serialize;

use super::{url, write};
use crate::{
    context::Context,
    error::{CliError, Exit},
    output::Output,
};

#[derive(Debug, Args)]
pub(crate) struct ProfileArgs {
    /// Table, as `table` or `schema.table`
    table: TableName,
    /// Database of the table; a pooler in any mode will do
    #[arg(long, value_name = "URL")]
    database_url: String,
    /// File to write; without it, stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<Utf8PathBuf>,
    /// Keep common values and bounds of histograms, which are values of the data
    #[arg(long)]
    with_values: bool,
}

/// A profile on the wire: by itself, for its file has a version of its own.
#[derive(Debug, Serialize)]
struct ProfileJson<'a> {
    profile: &'a Profile,
}

pub(super) fn run(ctx: &Context, out: &mut Output, args: &ProfileArgs) -> Result<Exit, CliError> {
    let url = url(&args.database_url)?;
    let secrecy = if args.with_values { Secrecy::WithValues } else { Secrecy::NoValues };
    let profile = take((&url, &ctx.open_options(Access::Read)), &args.table, secrecy)?;
    out.json("newcol-bench-profile", &ProfileJson { profile: &profile });
    match &args.output {
        Some(path) => {
            write(ctx, path, &profile.to_json())?;
            out.say(&format!("{path}: {}", summary(&profile)));
        }
        None if !out.is_json() => out.raw(profile.to_json().as_bytes()),
        None => {}
    }
    for sentence in &profile.unread {
        out.warn(sentence);
    }
    Ok(Exit::Done)
}

fn summary(profile: &Profile) -> String {
    let known = profile.columns.iter().filter(|column| column.statistics.is_some()).count();
    let pages = profile.size.pages.map(|pages| format!(" in {pages} pages"));
    format!(
        "`{}` of {}, {} rows{}, statistics of {known} of {} columns, {} indexes",
        profile.table,
        profile.server,
        profile.size.rows,
        pages.unwrap_or_default(),
        profile.columns.len(),
        profile.definition.indexes.len()
            + profile.definition.constraints.iter().filter(|of| of.kind.has_index()).count(),
    )
}

impl From<TakeError> for CliError {
    fn from(error: TakeError) -> Self {
        let hint = error.hint();
        match error {
            TakeError::Db(error) => Self::from(error).at("--database-url"),
            TakeError::NoTable { .. } | TakeError::Partitioned { .. } => {
                Self::of(Exit::Usage, &error).hint_maybe(hint)
            }
        }
    }
}
