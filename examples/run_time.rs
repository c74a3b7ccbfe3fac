//! Milliseconds that a command takes, from process start to exit: the mean of N runs in a row.
//!
//! ```text
//! run_time N COMMAND [ARGUMENT...]
//! ```
//!
//! What the command prints goes nowhere. A shell would add its own fork to each run, and a file that
//! takes the messages would be written to the disk that is measured.

use std::error::Error;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [runs, program, arguments @ ..] = arguments.as_slice() else {
        return Err("usage: run_time N COMMAND [ARGUMENT...]".into());
    };
    let runs: u32 = runs.to_string_lossy().parse()?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());

    let start = Instant::now();
    for _ in 0..runs {
        let status = command.status()?;
        if !status.success() {
            return Err(format!("{command:?}: {status}").into());
        }
    }
    let each = start.elapsed() / runs;
    writeln!(std::io::stdout(), "{:.4}", each.as_secs_f64() * 1000.0)?;
    Ok(())
}
