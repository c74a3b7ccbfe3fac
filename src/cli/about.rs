//! `dockseal version`, `completion` and `man`: what the program says about itself.

use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use serde_json::json;

use crate::fsutil::{self, Mode};

use super::context::Context;
use super::failure::Failure;
use super::output::Format;
use super::report::SCHEMA_VERSION;

// Arguments of `dockseal completion`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal completion bash > ~/.local/share/bash-completion/completions/dockseal")]
pub(super) struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

impl CompletionArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let mut script = Vec::new();
        let mut command = super::Cli::command();
        clap_complete::generate(self.shell, &mut command, "dockseal", &mut script);
        Ok(context.printer.data(&script)?)
    }
}

// Arguments of `dockseal man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal man ~/.local/share/man/man1")]
pub(super) struct ManArgs {
    /// Directory for the pages, one per command
    directory: PathBuf,
}

impl ManArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        // Pages of the help command would only repeat the others.
        let mut command = super::Cli::command().disable_help_subcommand(true);
        command.build();
        fsutil::create_public_dir(&self.directory)?;
        write_pages(&command, &self.directory)?;
        let directory = self.directory.display();
        context.printer.note(format_args!("manual pages written to {directory}"));
        Ok(())
    }
}

/// Writes the page of a command and those of its subcommands.
fn write_pages(command: &clap::Command, directory: &Path) -> Result<(), Failure> {
    let man = clap_mangen::Man::new(command.clone());
    let mut page = Vec::new();
    man.render(&mut page)?;
    fsutil::write_atomic(&directory.join(man.get_filename()), &page, Mode::Public)?;
    command.get_subcommands().try_for_each(|command| write_pages(command, directory))
}

/// What can open a connection: containerd's socket, and the client of the Docker engine, to the
/// engine docker would ask.
const NETWORK_CODE: &[&str] = &[
    #[cfg(feature = "containerd-grpc")]
    "containerd-socket",
    #[cfg(feature = "docker")]
    "docker-engine",
];

/// What was linked in on demand.
const FEATURES: [(&str, bool); 3] = [
    ("containerd-grpc", cfg!(feature = "containerd-grpc")),
    ("docker", cfg!(feature = "docker")),
    ("pkcs11", cfg!(feature = "pkcs11")),
];

/// `dockseal version`
pub(super) fn version(context: &Context) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let features: Vec<_> =
        FEATURES.iter().filter(|(_, is_built_in)| *is_built_in).map(|(name, _)| *name).collect();
    if context.printer.format() == Format::Json {
        let document = json!({
            "schemaVersion": SCHEMA_VERSION,
            "version": version,
            "goGzip": ["go1.8", "go1.27"],
            "networkCode": NETWORK_CODE,
            "features": features,
        });
        return Ok(context.printer.json(&document)?);
    }
    context.printer.line(format_args!("dockseal {version}"))?;
    context.printer.line("gzip generations: go1.8 (Go 1.8 to 1.26), go1.27")?;
    context.printer.line(format_args!("network code: {}", list(NETWORK_CODE)))?;
    Ok(context.printer.line(format_args!("features: {}", list(&features)))?)
}

fn list(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}
