//! Containers that run servers of ours: found, restarted and removed with `docker`.
//!
//! The program and not an interface of the engine, because the supervisor, a shell, needs it
//! anyway, and because builds without the feature `docker` must still sweep what others left.

use std::{
    io,
    process::{Command, Stdio},
};

use super::error::ScratchError;

/// Reports whether a container runs.
pub(super) fn is_running(name: &str) -> Result<bool, ScratchError> {
    match docker(&["container", "inspect", "--format", "{{.State.Running}}", name]) {
        Ok(said) => Ok(said == "true"),
        Err(error) if is_unknown(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a container with its data; reports whether it is gone.
pub(super) fn remove(name: &str) -> bool {
    match docker(&["rm", "--force", "--volumes", name]) {
        Ok(_) => true,
        Err(error) => is_unknown(&error),
    }
}

/// Kills what runs in a container, and starts it again on the same data.
pub(super) fn restart(name: &str) -> Result<(), ScratchError> {
    docker(&["kill", name])?;
    docker(&["start", name]).map(drop)
}

/// Returns the end of what a container printed, on one line.
pub(super) fn last_words(name: &str) -> String {
    docker(&["logs", "--tail", "4", name]).unwrap_or_default().replace('\n', " | ")
}

/// Runs the program and returns what it prints: on both streams, as `docker logs` does.
pub(super) fn docker(args: &[&str]) -> Result<String, ScratchError> {
    let failed = |why: String| ScratchError::Engine { action: args[0].to_owned(), why };
    let output = Command::new("docker").args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed("there is no `docker` on PATH".to_owned()),
        _ => failed(error.to_string()),
    })?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned();
    if output.status.success() { Ok(said) } else { Err(failed(said)) }
}

fn is_unknown(error: &ScratchError) -> bool {
    matches!(error, ScratchError::Engine { why, .. } if why.contains("No such"))
}
