//! The command line of `cargo newcol`; everything it does is in `newcol-core`.

mod cli;
mod context;
mod error;
mod interrupt;
mod output;
mod verbs;

use std::process::ExitCode;

pub use cli::command;

/// Runs the tool with the arguments of this process.
pub fn main_impl() -> ExitCode {
    cli::run(std::env::args_os())
}
