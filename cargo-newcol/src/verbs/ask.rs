//! Questions on a terminal.

use dialoguer::{Confirm, Input, Select};
use newcol_core::contract::Presence;

use crate::{
    error::{CliError, Exit},
    output::Output,
};

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

/// Parses a reason.
pub(crate) fn reason(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() { Err("say why it is safe") } else { Ok(text.to_owned()) }
}

/// Asks before a database is changed; off a terminal only `--yes` will do.
pub(crate) fn consent(out: &Output, what: &str) -> Result<(), CliError> {
    consent_or(out, what, "`--dry-run` shows what would be done")
}

/// As [`consent`], with another way out than `--dry-run`.
pub(crate) fn consent_or(out: &Output, what: &str, way_out: &str) -> Result<(), CliError> {
    let no = |message: String| CliError { exit: Exit::GateShut, ..CliError::failed(message) };
    if !out.interactive() {
        return Err(no(format!("nobody can be asked whether to {what}"))
            .hint(format!("say `--yes`; {way_out}")));
    }
    let question = Confirm::new().with_prompt(format!("{what}?")).default(false);
    match question.interact().map_err(stopped)? {
        true => Ok(()),
        false => Err(no("nothing was done".to_owned())),
    }
}

fn stopped(error: dialoguer::Error) -> CliError {
    CliError::failed(format!("no answer: {error}")).hint("answer with flags: `--no-input`")
}
