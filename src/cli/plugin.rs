//! The docker CLI plugin `docker-generate` (docker/cli plugin protocol 0.1.0).

use std::process::ExitCode;

/// Runs `docker-generate` on the process's own arguments.
pub fn main() -> ExitCode {
    ExitCode::from(1)
}
