//! The tool as the tests run it: the same code, at a path that Cargo itself tells.

use std::process::ExitCode;

fn main() -> ExitCode {
    cargo_newcol::main_impl()
}
