//! `cargo newcol completions`: for the user's shell.

use clap::Args;
use clap_complete::Shell;

use crate::{
    error::{CliError, Exit},
    output::Output,
};

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  cargo newcol completions bash > ~/.local/share/bash-completion/completions/cargo-newcol"
)]
pub(crate) struct CompletionsArgs {
    /// Shell to print them for
    shell: Shell,
}

pub(crate) fn run(out: &mut Output, args: &CompletionsArgs) -> Result<Exit, CliError> {
    let mut bytes = Vec::new();
    let mut command = crate::cli::program();
    clap_complete::generate(args.shell, &mut command, "cargo-newcol", &mut bytes);
    out.raw(&bytes);
    Ok(Exit::Done)
}
