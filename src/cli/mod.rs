//! The command line: clap types, output, exit codes, one file per command.
//!
//! A command parses, calls one use case, and prints. How to add one:
//!
//! * A file of its own with a `XArgs` (clap derive) and `fn run(self, &Context) -> Result<(), Failure>`,
//!   and a variant of `Command`. Doc comments are the help, `after_help` has examples; parsing has
//!   no side effects.
//! * `Context` brings what the library must not fetch itself: directories, clock, printer.
//! * All output goes through `Printer`: `data`, `line` and `json` write the result to stdout, exactly
//!   and alone; `note` and `detail` talk on stderr. A reader of stdout that went away is no error,
//!   and binary is not sent to a terminal. `write_data` is for what `-o FILE` may redirect: a file
//!   appears whole or not at all, and never replaces the input.
//! * Errors are returned with `?`. Each type of the library has a `From` in `failure`, which gives it
//!   an [`exit::Exit`] and a hint; commands make a `Failure` of their own only for wrong arguments.
//!   The message says what, where, and expected against found; the hint is one line to paste.
//! * An image is a `source::Source` with `source::ImageArgs`; work of more than a second shows a
//!   `progress_bar::ProgressBar`, of other commands by way of `progress::ProgressArgs`.
//! * `tests/cli` has a snapshot of what it says, with its exit code.

pub mod containerd_verifier;
pub mod exit;
pub mod plugin;

mod about;
mod attach;
mod authority;
mod blob;
mod cache;
mod cert;
mod cert_test;
mod completion;
mod containerd;
mod context;
mod crl;
#[cfg(feature = "docker")]
mod daemon;
#[cfg(not(feature = "docker"))]
#[path = "no_daemon.rs"]
mod daemon;
mod digest;
mod doctor;
mod duration;
mod explain;
mod failure;
mod help;
mod host_trust;
mod image_subject;
mod inspect;
mod key;
mod kit;
mod list;
mod load;
mod manifest;
mod many;
mod nearest;
mod notation;
mod output;
mod output_file;
mod parse;
mod plugins;
mod policy;
mod progress;
mod progress_bar;
mod push;
mod recursive;
mod report;
mod schema;
mod sign;
mod source;
mod subject;
mod timestamp;
mod token;
mod tree;
#[cfg(feature = "timestamp-client")]
mod tsa_client;
#[cfg(not(feature = "timestamp-client"))]
#[path = "no_tsa_client.rs"]
mod tsa_client;
mod usage;
mod verdict;
mod verify;

use std::io;
use std::process::ExitCode;

use clap::{ColorChoice, Parser, Subcommand};
use context::{Context, Dirs};
use exit::Exit;
use failure::Failure;
use output::{Format, Printer, Verbosity};

/// Sign and verify container images where there is no registry.
///
/// Under the name notation (ln -s dockseal notation) it has the verbs, flags, texts and exit codes
/// of the Notary Project's notation, without a registry.
#[derive(Debug, Parser)]
#[command(
    name = "dockseal",
    version,
    disable_help_subcommand = true,
    after_help = help::TOPICS_HINT,
    after_long_help = help::after_help()
)]
struct Cli {
    #[command(flatten)]
    shared: SharedArgs,
    #[command(subcommand)]
    command: Command,
}

// Options of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct SharedArgs {
    /// Form of reports
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    format: Format,
    /// Print the shortest form of the result
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more about what is done
    #[arg(long, short, global = true)]
    verbose: bool,
    /// When messages are colored; auto is on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
    /// Refuse trust policies, trust stores and keys that others than their owner may change,
    /// instead of warning about them
    #[arg(long, global = true)]
    strict_perms: bool,
}

impl SharedArgs {
    fn printer(&self) -> Printer {
        let verbosity = match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        };
        Printer::new(verbosity, self.format).with_color(self.color)
    }
}

// Deferred: arguments are built for the command that is called, not for all, which takes a tenth off the
// time that a process takes to start. Descriptions of types of arguments are plain comments: those for
// documentation would replace the description of the command.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Command {
    /// Print the exact manifest that a push of an image would send
    Manifest(manifest::ManifestArgs),
    /// Print media type, digest and size of that manifest
    Digest(digest::DigestArgs),
    /// Sign a manifest
    Sign(sign::SignArgs),
    /// Verify the signatures of images or manifests
    Verify(Box<many::VerifyManyArgs>),
    /// Verify an image archive and load exactly what was verified
    Load(load::LoadArgs),
    /// List the signatures of a manifest
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show what signatures say
    Inspect(inspect::InspectArgs),
    /// Put signature files beside the image they sign
    Attach(attach::AttachArgs),
    /// Copy the signatures of an image into files
    Detach(attach::DetachArgs),
    /// Manage certificates of the trust stores
    #[command(subcommand, visible_alias = "certificate")]
    Cert(cert::CertCommand),
    /// Manage signing keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Manage the trust policy for images
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Manage notation's plugins, which hold keys or judge signatures
    #[command(subcommand)]
    Plugin(plugins::PluginCommand),
    /// Manage the signature cache
    #[command(subcommand)]
    Cache(cache::CacheCommand),
    /// Sign and verify files
    #[command(subcommand)]
    Blob(blob::BlobCommand),
    /// Timestamp signatures by way of files
    #[command(subcommand)]
    Timestamp(timestamp::TimestampCommand),
    /// Manage revocation lists
    #[command(subcommand)]
    Crl(crl::CrlCommand),
    /// Look for what stands in the way of signing and verifying on this host
    Doctor(doctor::DoctorArgs),
    /// Carry what a host trusts to another one, signed
    #[command(subcommand)]
    Kit(kit::KitCommand),
    /// Print a completion script
    Completion(completion::CompletionArgs),
    /// Write the manual pages
    Man(about::ManArgs),
    /// Print the JSON Schema of the documents of --format json
    Schema(schema::SchemaArgs),
    /// Print the version and what is built in
    Version(about::VersionArgs),
    /// Explain a topic, or a command
    Help(help::HelpArgs),
}

impl Command {
    fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Manifest(args) => args.run(context),
            Self::Digest(args) => args.run(context),
            Self::Sign(args) => args.run(context),
            Self::Verify(args) => args.run(context),
            Self::Load(args) => args.run(context),
            Self::List(args) => args.run(context),
            Self::Inspect(args) => args.run(context),
            Self::Attach(args) => args.run(context),
            Self::Detach(args) => args.run(context),
            Self::Cert(command) => command.run(context),
            Self::Key(command) => command.run(context),
            Self::Policy(command) => command.run(context),
            Self::Plugin(command) => command.run(context),
            Self::Cache(command) => command.run(context),
            Self::Blob(command) => command.run(context),
            Self::Timestamp(command) => command.run(context),
            Self::Crl(command) => command.run(context),
            Self::Doctor(args) => args.run(context),
            Self::Kit(command) => command.run(context),
            Self::Completion(args) => args.run(context),
            Self::Man(args) => args.run(context),
            Self::Schema(args) => args.run(context),
            Self::Version(args) => args.run(context),
            Self::Help(args) => args.run(context),
        }
    }
}

/// Runs the `dockseal` command on the process's own arguments; under the name `notation`, that one.
pub fn main() -> ExitCode {
    if context::called_name().is_some_and(|name| notation::is_name(&name)) {
        return notation::main();
    }
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(exit) = completion::answer(&arguments) {
        return exit;
    }
    let (command, cli) = match parse::parse(&arguments) {
        Ok(parsed) => parsed,
        Err(error) => return usage::tell(error).into(),
    };
    let printer = cli.shared.printer();
    let strict_perms = cli.shared.strict_perms;
    let context = Context { printer, dirs: Dirs::from_env(), strict_perms, now: context::now() };
    match cli.command.run(&context) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            let failure = failure.hinting(&command);
            printer.error(&failure.message, &failure.details, failure.hint().as_deref());
            // Who reads no document reads the message.
            let _ = printer.json(failure.document());
            failure.exit.into()
        }
    }
}

/// Reads a file of at most `limit` bytes, or stdin when it is called `-`.
fn read_input(path: &std::path::Path, limit: u64) -> Result<Vec<u8>, Failure> {
    if path.as_os_str() != "-" {
        return Ok(crate::fsutil::read_bounded(path, limit)?);
    }
    crate::fsutil::read_to_limit(io::stdin().lock(), limit)?.ok_or_else(|| {
        Failure::new(Exit::Malformed, format!("standard input has more than {limit} bytes"))
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// Arguments are built late, and may not take the description away that the command has among
    /// the others: a doc comment on their type would.
    #[test]
    fn commands_are_described_alike_everywhere() {
        fn compare(listed: &clap::Command, built: &clap::Command) {
            let name = built.get_name();
            let text = |command: &clap::Command| command.get_about().map(ToString::to_string);
            assert!(text(built).is_some(), "{name}");
            assert_eq!(text(listed), text(built), "{name}");
            for command in listed.get_subcommands() {
                compare(command, built.find_subcommand(command.get_name()).unwrap());
            }
        }
        let listed = Cli::command();
        let mut built = listed.clone();
        built.build();
        compare(&listed, &built);
        // Those below a deferred command are listed when that is built.
        for command in built.get_subcommands() {
            let help = command.clone().render_help().to_string();
            for below in command.get_subcommands().filter(|it| it.get_name() != "help") {
                let about = below.get_about().map(ToString::to_string).unwrap_or_default();
                let first = about.split([' ', ',']).next().unwrap();
                assert!(help.contains(first) && !about.contains("rguments of"), "{about}");
            }
        }
    }
}
