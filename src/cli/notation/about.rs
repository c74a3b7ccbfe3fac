//! `notation version` and `notation completion`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::context::Context;
use crate::cli::failure::Failure;

use super::flags::none;

#[derive(Debug, clap::Args)]
pub(super) struct VersionArgs {
    #[arg(hide = true)]
    arguments: Vec<String>,
}

impl VersionArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        none(&self.arguments)?;
        // Scripts read the line `Version:`; what follows the plus is build metadata.
        Ok(context.printer.line(concat!(
            "Notation - a tool to sign and verify artifacts.\n\n",
            "Version:     v",
            env!("CARGO_PKG_VERSION"),
            "+dockseal"
        ))?)
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  notation completion bash > ~/.local/share/bash-completion/completions/notation")]
pub(super) struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
    /// Disable completion descriptions; accepted, and without effect
    #[arg(long)]
    no_descriptions: bool,
}

impl CompletionArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::Cli::command(), "notation", &mut script);
        Ok(context.printer.data(&script)?)
    }
}
