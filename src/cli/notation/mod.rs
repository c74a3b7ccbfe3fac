//! dockseal under the name `notation` (decision D-5): `ln -s dockseal notation`.
//!
//! Other programs call `notation` (`nerdctl --verify=notation`), and scripts do. Under that name
//! the same use cases answer with the verbs, flags and texts of notation main and with its exit
//! codes: 0, and 1 for every error (spec/notation.md §10). What differs, on purpose:
//!
//! * No registry is asked. What a reference of a registry needs is in [`offline`].
//! * Surplus arguments and unknown subcommands are errors; notation ignores them.
//! * Texts that come from Go's runtime or from beneath notation's own code are dockseal's.
//! * The verifier is dockseal's own, with its narrowings (§12.2).
//!
//! A file per group of verbs: clap types with notation's flags, then the steps in notation's order,
//! because the order decides which of two errors is told. [`usage`] words clap's errors as cobra
//! does, [`flags`] has what cobra checks beyond single flags, [`texts`] what notation says.

mod about;
mod blob;
mod cert;
mod flags;
mod inspect;
mod key;
mod layout;
mod list;
mod offline;
mod plugin;
mod policy;
mod sign;
mod texts;
mod usage;
mod verify;

use std::ffi::OsStr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::context::{self, Context, Dirs};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Format, Printer, Verbosity, Voice};

/// Notation - a tool to sign and verify artifacts; this one is dockseal, which works offline
#[derive(Debug, Parser)]
#[command(
    name = "notation",
    bin_name = "notation",
    disable_version_flag = true,
    args_override_self = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    /// Debug mode
    #[arg(long, short, global = true)]
    debug: bool,
    /// Verbose mode
    #[arg(long, short, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sign artifacts
    Sign(sign::SignArgs),
    /// Verify OCI artifacts
    Verify(verify::VerifyArgs),
    /// List signatures of the signed artifact
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Inspect all signatures associated with the signed artifact
    Inspect(inspect::InspectArgs),
    /// Sign, verify and inspect arbitrary blobs
    #[command(subcommand)]
    Blob(blob::BlobCommand),
    /// Manage certificates in trust store
    #[command(subcommand, visible_alias = "cert")]
    Certificate(cert::CertCommand),
    /// Manage keys used for signing
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Manage OCI trust policy configuration for signature verification
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Manage plugins
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Login to registry
    Login(offline::LoginArgs),
    /// Log out from the logged in registries
    Logout(offline::LogoutArgs),
    /// Generate the autocompletion script for the specified shell
    Completion(about::CompletionArgs),
    /// Show the notation version information
    Version(about::VersionArgs),
}

impl Command {
    fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Sign(args) => args.run(context),
            Self::Verify(args) => args.run(context),
            Self::List(args) => args.run(context),
            Self::Inspect(args) => args.run(context),
            Self::Blob(command) => command.run(context),
            Self::Certificate(command) => command.run(context),
            Self::Key(command) => command.run(context),
            Self::Policy(command) => command.run(context),
            Self::Plugin(command) => command.run(context),
            Self::Login(args) => args.run(),
            Self::Logout(args) => args.run(),
            Self::Completion(args) => args.run(context),
            Self::Version(args) => args.run(context),
        }
    }
}

/// Whether the program is called `notation`.
pub(super) fn is_name(name: &OsStr) -> bool {
    name == "notation" || name == "notation.exe"
}

/// Runs the command `notation` on the process's own arguments.
pub(super) fn main() -> ExitCode {
    let cli = match usage::parse() {
        Ok(cli) => cli,
        Err(usage::Stop::Help(text)) => {
            let printed = Printer::new(Verbosity::Normal, Format::Text).data(text.as_bytes());
            return exit(printed.is_ok());
        }
        Err(usage::Stop::Error(text)) => {
            printer(Verbosity::Normal).error(text, &[], None);
            return exit(false);
        }
    };
    let verbosity = if cli.debug || cli.verbose { Verbosity::Verbose } else { Verbosity::Normal };
    let printer = printer(verbosity);
    let now = context::now();
    let context = Context { printer, dirs: Dirs::from_env(), strict_perms: false, now };
    match cli.command.run(&context) {
        Ok(()) => exit(true),
        Err(failure) => {
            let hint = failure.hint.as_ref().map(ToString::to_string);
            printer.error(&failure.message, &failure.details, hint.as_deref());
            exit(false)
        }
    }
}

fn printer(verbosity: Verbosity) -> Printer {
    Printer::new(verbosity, Format::Text).speaking(Voice::Notation)
}

/// notation's exit status is 0 or 1.
fn exit(success: bool) -> ExitCode {
    if success { Exit::Ok.into() } else { Exit::Internal.into() }
}
