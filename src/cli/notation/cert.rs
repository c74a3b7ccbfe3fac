//! `notation certificate`: dockseal's own commands, with notation's checks of arguments.

use std::path::PathBuf;

use clap::Subcommand;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::{cert, cert_test};
use crate::trust::store::{StoreType, is_file_name};

use super::flags::{none, only, required, surplus};
use super::texts::managing;

/// Subcommands of `notation certificate`.
#[derive(Debug, Subcommand)]
pub(super) enum CertCommand {
    /// Add certificates to the trust store
    Add(AddArgs),
    /// List certificates in the trust store
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show certificate details given trust store type, named store, and certificate file name
    Show(ShowArgs),
    /// Delete certificates from the trust store
    Delete(DeleteArgs),
    /// Generate a test RSA key and a corresponding self-signed certificate
    GenerateTest(GenerateArgs),
    /// Clean up a test RSA key and its corresponding certificate that were generated using the
    /// "generate-test" command
    CleanupTest(CleanupArgs),
}

impl CertCommand {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Add(args) => args.run(context),
            Self::List(args) => args.run(context),
            Self::Show(args) => args.run(context),
            Self::Delete(args) => args.run(context),
            Self::GenerateTest(args) => args.run(context),
            Self::CleanupTest(args) => args.run(context),
        }
    }
}

/// Which trust store.
#[derive(Debug, clap::Args)]
struct StoreFlags {
    /// Specify trust store type, options: ca, signingAuthority, tsa
    #[arg(long = "type", short = 't', value_name = "string")]
    kind: Option<String>,
    /// Specify named store
    #[arg(long, short, value_name = "string")]
    store: Option<String>,
}

impl StoreFlags {
    /// The store; both flags are required.
    fn store(self) -> Result<cert::StoreArgs, Failure> {
        required(&[("store", self.store.is_some()), ("type", self.kind.is_some())])?;
        let kind = store_type(&self.kind.unwrap_or_default())?;
        Ok(cert::StoreArgs { kind, store: self.store.unwrap_or_default() })
    }
}

fn store_type(text: &str) -> Result<StoreType, Failure> {
    StoreType::parse(text).ok_or_else(|| Failure::usage(format!("unsupported store type: {text}")))
}

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "notation certificate add --type <type> --store <name> [flags] <cert_path>..."
)]
pub(super) struct AddArgs {
    #[arg(value_name = "cert_path")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    store: StoreFlags,
}

impl AddArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        if self.files.is_empty() {
            return Err(Failure::usage("missing certificate path"));
        }
        let store = self.store.store()?;
        // notation lists the files below its message, one a line.
        cert::AddArgs { store, files: self.files }.run_with(context, managing).map_err(|failure| {
            match failure.details.is_empty() {
                true => failure,
                false => Failure {
                    message: format!("{}\n{}\n", failure.message, failure.details.join("\n")),
                    details: Vec::new(),
                    ..failure
                },
            }
        })
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[arg(hide = true)]
    arguments: Vec<String>,
    #[command(flatten)]
    store: StoreFlags,
}

impl ListArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        none(&self.arguments)?;
        let StoreFlags { kind, store } = self.store;
        let kind = kind.filter(|kind| !kind.is_empty());
        let kind = kind.as_deref().map(store_type).transpose()?;
        cert::ListArgs { kind, store: store.filter(|store| !store.is_empty()) }.run(context)
    }
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "notation certificate show --type <type> --store <name> [flags] \
                      <cert_fileName>")]
pub(super) struct ShowArgs {
    #[arg(value_name = "cert_fileName")]
    arguments: Vec<String>,
    #[command(flatten)]
    store: StoreFlags,
}

impl ShowArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let file = match self.arguments.as_slice() {
            [file] => file.clone(),
            [] => return Err(Failure::usage("missing certificate file name")),
            _ => return Err(Failure::usage("show only supports single certificate file")),
        };
        let store = self.store.store()?;
        cert::ShowArgs { store, file: file.clone() }.run_with(context, managing).map_err(
            |failure| {
                failure
                    .prefixed(&format!("failed to show details of certificate {file}, with error"))
            },
        )
    }
}

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "notation certificate delete --type <type> --store <name> [flags] (--all | \
                      <cert_fileName>)"
)]
pub(super) struct DeleteArgs {
    #[arg(value_name = "cert_fileName")]
    arguments: Vec<String>,
    #[command(flatten)]
    store: StoreFlags,
    /// Delete all certificates in the named store
    #[arg(long, short)]
    all: bool,
    /// Do not prompt for confirmation
    #[arg(long, short)]
    yes: bool,
}

impl DeleteArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let file = match (self.arguments.as_slice(), self.all) {
            ([], true) => None,
            ([], false) => {
                return Err(Failure::usage(
                    "delete requires either the certificate file name that needs to be deleted or \
                     --all flag to delete all certificates in the given named trust store",
                ));
            }
            (_, true) => {
                return Err(Failure::usage(
                    "cannot delete a single certificate file when --all flag is set. use --help \
                     flag for more details",
                ));
            }
            ([file], false) => Some(file.clone()),
            (more, false) => return Err(surplus(1, more.len())),
        };
        let (all, yes) = (self.all, self.yes);
        cert::DeleteArgs { store: self.store.store()?, all, yes, file }.run_with(context, managing)
    }
}

/// The name of a test certificate.
fn common_name(arguments: &[String], missing: &str, what: &str) -> Result<String, Failure> {
    let name = only(arguments, missing)?;
    if !is_file_name(name) {
        return Err(Failure::usage(format!("{what} follow [a-zA-Z0-9_.-]+ format")));
    }
    Ok(name.clone())
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "notation certificate generate-test [flags] <common_name>")]
pub(super) struct GenerateArgs {
    #[arg(value_name = "common_name")]
    arguments: Vec<String>,
    /// RSA key bits
    #[arg(long, short, value_name = "int", default_value = "2048",
        value_parser = super::usage::parse_int)]
    bits: i64,
    /// Mark as default signing key
    #[arg(long)]
    default: bool,
}

impl GenerateArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let name =
            common_name(&self.arguments, "missing certificate common_name", "name needs to")?;
        if !matches!(self.bits, 2048 | 3072 | 4096) {
            return Err(Failure::usage(format!(
                "RSA key bits {} not supported, options: 2048, 3072, 4096",
                self.bits
            )));
        }
        let bits = self.bits.to_string();
        cert_test::GenerateArgs { name, bits, default: self.default }.run(context)
    }
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "notation certificate cleanup-test [flags] <common_name>")]
pub(super) struct CleanupArgs {
    #[arg(value_name = "common_name")]
    arguments: Vec<String>,
    /// Do not prompt for confirmation
    #[arg(long, short)]
    yes: bool,
}

impl CleanupArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let (missing, what) = ("missing certificate common name", "certificate common name must");
        let name = common_name(&self.arguments, missing, what)?;
        cert_test::CleanupArgs { name, yes: self.yes }.run(context)
    }
}
