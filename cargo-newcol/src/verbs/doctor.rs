//! `cargo newcol doctor`: what in this project will bite.

use clap::Args;

use crate::{
    context::Context,
    error::{CliError, Exit},
    output::Output,
};

/// Say what in this project will bite
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {}

pub(crate) fn run(_: &Context, _: &mut Output, _: &DoctorArgs) -> Result<Exit, CliError> {
    Ok(Exit::Done)
}
