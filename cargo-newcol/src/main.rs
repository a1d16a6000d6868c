//! The `cargo newcol` subcommand.

use std::process::ExitCode;

fn main() -> ExitCode {
    cargo_newcol::main_impl()
}
