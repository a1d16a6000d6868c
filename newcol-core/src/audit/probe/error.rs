//! Why the compiler could not be asked.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::schema::SchemaError;

/// Why the compiler could not be asked. The project is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// A program could not be run.
    #[error("could not run `{program}`")]
    Start {
        /// The program.
        program: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Cargo gave up before it compiled anything.
    #[error("cargo gave up: {}", told.lines().next().unwrap_or("it does not say why"))]
    Cargo {
        /// What it said.
        told: String,
    },
    /// There is no standard library for a target.
    #[error("the target `{target}` is not installed")]
    Target {
        /// The triple.
        target: String,
    },
    /// Another probe uses the copy.
    #[error("another audit uses {dir}")]
    Busy {
        /// Where the copy is.
        dir: Utf8PathBuf,
    },
    /// The workspace is larger than whoever called allows.
    #[error("the workspace has more than {} MB, the most of them in {largest}", limit / 1_000_000)]
    TooLarge {
        /// Bytes that are allowed.
        limit: u64,
        /// The directory that holds most of them.
        largest: Utf8PathBuf,
    },
    /// A file could not be read, or the copy not be written.
    #[error("could not {action} {path}")]
    Io {
        /// What was tried, as an infinitive.
        action: &'static str,
        /// On what.
        path: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The table is not in schema.rs as we know it.
    #[error("could not mark the table in {path}")]
    Schema {
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        source: SchemaError,
    },
    /// Whoever listens wanted to stop.
    #[error("stopped before the compiler was done")]
    Stopped,
}

impl ProbeError {
    pub(super) fn io(action: &'static str, path: &Utf8Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// Returns the way out, as a sentence for a hint.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Start { .. } => Some("install Rust with rustup: https://rustup.rs"),
            Self::Cargo { told } => Some(way_out(told)),
            Self::Target { .. } => Some("install it: `rustup target add <TARGET>`"),
            Self::Busy { .. } => Some("wait until it is done"),
            Self::TooLarge { .. } => Some("name what no build needs in .gitignore"),
            Self::Io { .. } => None,
            Self::Schema { source, .. } => Some(source.hint()),
            Self::Stopped => Some("run it again: what is compiled already stays compiled"),
        }
    }
}

/// Finds the way out of what Cargo says.
fn way_out(told: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| told.contains(word));
    if says(&["toolchain"]) && says(&["is not installed"]) {
        "install the toolchain that the project pins: `rustup toolchain install`"
    } else if says(&["could not find specification for target", "target specification"]) {
        "`rustc --print target-list` lists the targets that there are"
    } else if says(&["--locked was passed", "--frozen"]) {
        "bring Cargo.lock up to date with `cargo update --workspace`, or run without `--locked`"
    } else if says(&["--offline", "offline mode", "CARGO_NET_OFFLINE"]) {
        "fetch what is missing with `cargo fetch`, or run without `--offline`"
    } else if says(&["failed to download", "could not resolve host", "network", "failed to get"]) {
        "connect to the network, or fetch with `cargo fetch` and run with `--offline`"
    } else if says(&["does not contain this feature", "none of the selected packages contains"]) {
        "name features that the packages have"
    } else {
        "see what `cargo check --workspace --all-targets` says, and mend that first"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_says_has_a_way_out() {
        let toolchain = "error: toolchain '1.70.0-x86_64-unknown-linux-gnu' is not installed";
        assert!(way_out(toolchain).contains("rustup toolchain install"));
        let lock = "error: cannot update the lock file Cargo.lock because --locked was passed to \
                    prevent this\nhelp: to generate the lock file without accessing the network, \
                    remove the --locked flag and use --offline instead.";
        assert!(way_out(lock).contains("cargo update"));
        let lost = "error: no matching package named `x` found\nAs a reminder, you're using offline \
                    mode (--offline)";
        assert!(way_out(lost).contains("cargo fetch"));
    }
}
