//! containerd image verifier: refuses pulls of images without a trusted signature.

use std::process::ExitCode;

fn main() -> ExitCode {
    dockseal::cli::containerd_verifier::main()
}
