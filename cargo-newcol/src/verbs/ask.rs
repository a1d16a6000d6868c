//! Questions on a terminal.

use dialoguer::{Input, Select};
use newcol_core::contract::Presence;

use crate::error::CliError;

/// Asks for one line.
pub(crate) fn text(question: &str) -> Result<String, CliError> {
    Input::new().with_prompt(question).interact_text().map_err(stopped)
}

/// Asks whether the column may be NULL.
pub(crate) fn presence() -> Result<Presence, CliError> {
    let chosen = Select::new()
        .with_prompt("May the finished column be NULL")
        .items(["no: required", "yes: optional"])
        .default(0)
        .interact()
        .map_err(stopped)?;
    Ok(if chosen == 0 { Presence::Required } else { Presence::Optional })
}

fn stopped(error: dialoguer::Error) -> CliError {
    CliError::failed(format!("no answer: {error}")).hint("answer with flags: `--no-input`")
}
