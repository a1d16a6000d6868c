//! The command line of `cargo newcol`; everything it does is in `newcol-core`.

mod cli;
mod context;
mod error;
mod interrupt;
mod output;
mod verbs;

use std::process::ExitCode;

pub use cli::command;
use newcol_core::audit::probe;

/// Runs the tool with the arguments of this process.
pub fn main_impl() -> ExitCode {
    // The audit has Cargo call this very program in rustc's place.
    if std::env::var_os(probe::ACT_AS_WRAPPER).is_some() {
        return probe::act(std::env::args_os().skip(1));
    }
    cli::run(std::env::args_os())
}
