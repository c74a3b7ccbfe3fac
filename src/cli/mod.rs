//! The command line: clap types, output, exit codes, one file per command.

pub mod plugin;

use std::process::ExitCode;

/// Runs the `dockseal` command on the process's own arguments.
pub fn main() -> ExitCode {
    ExitCode::from(1)
}
