//! docker CLI plugin: `docker generate manifest`.

use std::process::ExitCode;

fn main() -> ExitCode {
    dockseal::cli::plugin::main()
}
