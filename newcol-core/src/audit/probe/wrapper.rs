//! The program that Cargo calls in rustc's place for the members of the workspace.
//!
//! Flags of its own reach the members alone: dependencies are neither rebuilt nor warned about, and
//! the project's own flags stay what they are.

use std::{
    ffi::OsString,
    process::{Command, ExitCode},
};

/// Environment variable that makes a program with this wrapper act as one.
pub const ACT_AS_WRAPPER: &str = "NEWCOL_ACT_AS_RUSTC_WRAPPER";

/// Runs rustc as Cargo asks for it, with what the probe wants to know; `args` begin with the path of
/// rustc.
///
/// A program whose path is [`Probe::wrapper`](super::Probe::wrapper) calls this first of all where
/// [`ACT_AS_WRAPPER`] is set, with its arguments behind its own name.
pub fn act(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let Some(rustc) = args.next() else { return ExitCode::FAILURE };
    let mut command = Command::new(rustc);
    // No `allow` and no `--cap-lints` hides it, and no `deny` makes it an error.
    command.args(args).args(["--force-warn", "deprecated"]);
    run(command)
}

#[cfg(unix)]
fn run(mut command: Command) -> ExitCode {
    // Comes back only if there is no such program, which Cargo has just asked for its version.
    drop(std::os::unix::process::CommandExt::exec(&mut command));
    ExitCode::FAILURE
}

#[cfg(not(unix))]
fn run(mut command: Command) -> ExitCode {
    let code = command.status().ok().and_then(|status| status.code());
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
