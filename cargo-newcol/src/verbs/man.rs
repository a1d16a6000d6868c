//! `cargo newcol man`: the manual in roff.

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;

use crate::{
    error::{CliError, Exit},
    output::Output,
};

/// Print the manual page of a verb, or write all of them into a directory
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo newcol man add | man -l -\n  \
    cargo newcol man --out-dir ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Verb whose page is printed; the tool's own page where none is given
    verb: Option<String>,
    /// Directory to write every page into
    #[arg(long, value_name = "DIR", conflicts_with = "verb")]
    out_dir: Option<Utf8PathBuf>,
}

pub(crate) fn run(out: &mut Output, args: &ManArgs) -> Result<Exit, CliError> {
    let command = crate::command();
    if let Some(dir) = &args.out_dir {
        write_pages(&command, dir).map_err(|error| {
            CliError::of(Exit::Failed, &error)
                .saying("could not write the manual pages")
                .at(dir)
                .hint("name a directory that exists and that you may write to")
        })?;
        return Ok(Exit::Done);
    }
    let command = match &args.verb {
        None => command,
        Some(verb) => command
            .find_subcommand(verb)
            .map(|found| found.clone().display_name(format!("cargo-newcol-{verb}")))
            .ok_or_else(|| {
                CliError::usage(format!("there is no verb `{verb}`"))
                    .at("[VERB]")
                    .hint("`cargo newcol --help` lists them")
            })?,
    };
    let mut bytes = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut bytes)
        .map_err(|error| CliError::of(Exit::Failed, &error))?;
    out.raw(&bytes);
    Ok(Exit::Done)
}

/// Writes a page for each verb but `help`, which would have a second one for each of the others.
fn write_pages(command: &clap::Command, dir: &Utf8Path) -> Result<(), std::io::Error> {
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        write_pages(verb, dir)?;
    }
    clap_mangen::Man::new(command.clone()).generate_to(dir).map(drop)
}
