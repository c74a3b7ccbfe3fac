//! `dockseal version` and `man`: what the program says about itself.

use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use serde_json::json;

use crate::fsutil::{self, Mode};

use super::context::Context;
use super::failure::Failure;
use super::help;

// Arguments of `dockseal man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal man ~/.local/share/man/man1")]
pub(super) struct ManArgs {
    /// Directory for the pages, one per command; those of topics go to man7 beside it, if it is man1
    directory: PathBuf,
}

impl ManArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let mut command = super::Cli::command().disable_help_subcommand(true);
        command.build();
        fsutil::create_public_dir(&self.directory)?;
        write_pages(&command, &self.directory)?;
        for command in super::plugin::manual() {
            write_page(&command, &self.directory)?;
        }
        let verifier = super::containerd_verifier::MANUAL;
        fsutil::write_atomic(&self.directory.join(verifier.0), verifier.1, Mode::Public)?;
        // Where pages are looked for, those of a section have a directory.
        let of_topics = match self.directory.file_name() {
            Some(name) if name == "man1" => self.directory.with_file_name("man7"),
            _ => self.directory.clone(),
        };
        fsutil::create_public_dir(&of_topics)?;
        for topic in &help::TOPICS {
            let path = of_topics.join(format!("dockseal-{}.7", topic.name));
            fsutil::write_atomic(&path, topic.page().as_bytes(), Mode::Public)?;
        }
        let directory = self.directory.display();
        context.printer.note(format_args!("manual pages written to {directory}"));
        let report = json!({"verdict": "written", "path": self.directory});
        Ok(context.printer.json(report)?)
    }
}

/// Writes the page of a command and those of its subcommands.
fn write_pages(command: &clap::Command, directory: &Path) -> Result<(), Failure> {
    write_page(command, directory)?;
    command.get_subcommands().try_for_each(|command| write_pages(command, directory))
}

fn write_page(command: &clap::Command, directory: &Path) -> Result<(), Failure> {
    let man = clap_mangen::Man::new(command.clone());
    let mut page = Vec::new();
    man.render(&mut page)?;
    Ok(fsutil::write_atomic(&directory.join(man.get_filename()), &page, Mode::Public)?)
}

/// What can open a connection: containerd's socket, the client of the Docker engine, to the engine
/// docker would ask, and that of timestamping authorities. Nothing else is linked that could.
const NETWORK_CODE: &[&str] = &[
    #[cfg(feature = "containerd-grpc")]
    "containerd-socket",
    #[cfg(feature = "docker")]
    "docker-engine",
    #[cfg(feature = "timestamp-client")]
    "timestamp-authority",
];

/// What was linked in on demand.
const FEATURES: [(&str, bool); 4] = [
    ("containerd-grpc", cfg!(feature = "containerd-grpc")),
    ("docker", cfg!(feature = "docker")),
    ("pkcs11", cfg!(feature = "pkcs11")),
    ("timestamp-client", cfg!(feature = "timestamp-client")),
];

/// Whether the C library is part of the program.
const LINKING: &str = if cfg!(target_feature = "crt-static") { "static" } else { "dynamic" };

/// The C library, which names of hosts are resolved by.
const LIBC: &str = if cfg!(target_env = "musl") {
    "musl"
} else if cfg!(target_env = "gnu") {
    "gnu"
} else {
    "other"
};

const PROFILE: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

// Arguments of `dockseal version`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal version --format json")]
pub(super) struct VersionArgs {}

impl VersionArgs {
    #[expect(clippy::unused_self, reason = "as every command")]
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        version(context)
    }
}

fn version(context: &Context) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let features: Vec<_> =
        FEATURES.iter().filter(|(_, is_built_in)| *is_built_in).map(|(name, _)| *name).collect();
    let target = format!("{}-{}-{LIBC}", std::env::consts::ARCH, std::env::consts::OS);
    context.printer.json(json!({
        "version": version,
        "goGzip": ["go1.8", "go1.27"],
        "networkCode": NETWORK_CODE,
        "features": features,
        "target": target,
        "linking": LINKING,
        "profile": PROFILE,
    }))?;
    context.printer.line(format_args!("dockseal {version}"))?;
    context.printer.line("gzip generations: go1.8 (Go 1.8 to 1.26), go1.27")?;
    context.printer.line(format_args!("network code: {}", list(NETWORK_CODE)))?;
    context.printer.line(format_args!("features: {}", list(&features)))?;
    Ok(context.printer.line(format_args!("build: {target}, {LINKING}, {PROFILE}"))?)
}

fn list(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}
