//! `notation policy` and `notation blob policy`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use crate::cli::cert::confirmed;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::host_trust::policy_files;
use crate::fsutil;
use crate::trust::files::{LegacyFile, LegacyOutcome, PolicyFileError};
use crate::trust::policy::{MAX_POLICY_BYTES, PolicyError, PolicyKind};

use super::flags::{none, required};
use super::texts::{go_error, reworded, unreadable, unreadable_file};

/// Where notation's specification explains policies.
const SPECIFICATION: &str = "https://github.com/notaryproject/specifications/blob/8cf800c60b7315a43f0adbcae463d848a353b412/specs/trust-store-trust-policy.md";

/// Subcommands of `notation policy`.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Import OCI trust policy configuration from a JSON file
    Import(ImportArgs),
    /// Show OCI trust policy configuration
    Show(ShowArgs),
}

impl PolicyCommand {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Import(args) => args.run(context, PolicyKind::Oci),
            Self::Show(args) => args.run(context, PolicyKind::Oci),
        }
    }
}

/// Subcommands of `notation blob policy`.
#[derive(Debug, Subcommand)]
pub(super) enum BlobPolicyCommand {
    /// Initialize blob trust policy configuration
    Init(InitArgs),
    /// Import blob trust policy configuration from a JSON file
    Import(ImportArgs),
    /// Show blob trust policy configuration
    Show(ShowArgs),
}

impl BlobPolicyCommand {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Init(args) => args.run(context),
            Self::Import(args) => args.run(context, PolicyKind::Blob),
            Self::Show(args) => args.run(context, PolicyKind::Blob),
        }
    }
}

/// What a kind of policy is called, and the command for it.
fn names(kind: PolicyKind) -> (&'static str, &'static str) {
    match kind {
        PolicyKind::Oci => ("OCI", "notation policy"),
        PolicyKind::Blob => ("blob", "notation blob policy"),
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    #[arg(hide = true)]
    arguments: Vec<String>,
}

impl ShowArgs {
    fn run(self, context: &Context, kind: PolicyKind) -> Result<(), Failure> {
        none(&self.arguments)?;
        let (name, command) = names(kind);
        let files = policy_files(context)?;
        let document = files.read(kind).map_err(|error| {
            let message = match &error {
                PolicyFileError::Missing { .. } => format!(
                    "failed to show {name} trust policy as the configuration does not exist.\nYou \
                     can import one using `{command} import <path-to-policy.json>`"
                ),
                PolicyFileError::File(error) => {
                    format!("failed to show {name} trust policy: {}", unreadable(error))
                }
                error => format!("failed to show {name} trust policy: {error}"),
            };
            reworded(error.into(), message)
        })?;
        let Err(error) = files.check(kind, &document.bytes) else {
            return Ok(context.printer.data(&document.bytes)?);
        };
        let chapter = match kind {
            PolicyKind::Oci => "trust-policy-for-oci-artifacts for a trust policy example",
            PolicyKind::Blob => "trust-policy-for-blobs for a blob trust policy example",
        };
        context.printer.say(format_args!(
            "Existing {name} trust policy configuration is invalid, you may update or create a new \
             one via `{command} import <path-to-policy.json>`. See {SPECIFICATION}#{chapter}."
        ));
        context.printer.data(&document.bytes)?;
        Err(error.into())
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    #[arg(value_name = "file_path", value_parser = super::usage::path())]
    arguments: Vec<PathBuf>,
    /// Override the existing trust policy configuration without prompt
    #[arg(long)]
    force: bool,
}

impl ImportArgs {
    fn run(self, context: &Context, kind: PolicyKind) -> Result<(), Failure> {
        let (name, command) = names(kind);
        let [path] = self.arguments.as_slice() else {
            let what = match kind {
                PolicyKind::Oci => "file",
                PolicyKind::Blob => "configuration",
            };
            return Err(Failure::usage(format!(
                "requires 1 argument but received {}.\nUsage: {command} import \
                 <path-to-policy.json>\nPlease specify a trust policy {what} location as the \
                 argument",
                self.arguments.len()
            )));
        };
        let bytes = fsutil::read_bounded(path, MAX_POLICY_BYTES as u64).map_err(|error| {
            let what = match kind {
                PolicyKind::Oci => "failed to read OCI trust policy configuration: ",
                PolicyKind::Blob => "failed to read blob trust policy file: ",
            };
            unreadable_file(what, error)
        })?;
        policy_files(context)?.check(kind, &bytes).map_err(|error| {
            let verb = match &error {
                PolicyError::Malformed { .. } => "parse",
                _ => "validate",
            };
            let text = format!("failed to {verb} {name} trust policy configuration: {error}");
            reworded(error.into(), text)
        })?;
        if let Some(path) = write(context, kind, &bytes, self.force)? {
            context.printer.line(format_args!(
                "Successfully imported {name} trust policy configuration to {}.",
                path.display()
            ))?;
        }
        Ok(())
    }
}

/// Writes a valid policy unless somebody objects; `None` then. Nobody is asked about a policy that
/// is invalid already.
fn write(
    context: &Context,
    kind: PolicyKind,
    bytes: &[u8],
    force: bool,
) -> Result<Option<PathBuf>, Failure> {
    let (name, _) = names(kind);
    let files = policy_files(context)?;
    let exists = files.read(kind).is_ok_and(|document| files.check(kind, &document.bytes).is_ok());
    if force {
        if exists || kind == PolicyKind::Oci {
            context.printer.warning(format_args!(
                "existing {name} trust policy configuration will be overwritten"
            ));
        }
    } else if exists {
        let question = format!(
            "The {name} trust policy configuration already exists, do you want to overwrite it?"
        );
        if !confirmed(context, false, &question)? {
            return Ok(None);
        }
    }
    let imported = files.import(kind, bytes, LegacyFile::Remove).map_err(|error| {
        let text = format!("failed to write {name} trust policy configuration: {error}");
        reworded(error.into(), text)
    })?;
    if let LegacyOutcome::Stays { path, source } = &imported.legacy {
        context.printer.warning(format_args!(
            "failed to clean old trust policy configuration trustpolicy.json: {}",
            go_error("remove", path, source)
        ));
    }
    Ok(Some(imported.path))
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "notation blob policy init [flags] --name <policy_name> --trust-store \
                      \"<store_type>:<store_name>\" --trusted-identity \"<trusted_identity>\"")]
pub(super) struct InitArgs {
    #[arg(hide = true)]
    arguments: Vec<String>,
    /// Name of the blob trust policy
    #[arg(long, short, value_name = "string")]
    name: Option<String>,
    /// Trust store in the format "<store_type>:<store_name>"
    #[arg(long, value_name = "stringArray")]
    trust_store: Vec<String>,
    /// Trusted identity, use the format "x509.subject:<subject_of_signing_certificate>" for x509 CA
    /// scheme and "<signing_authority_identity>" for x509 signingAuthority scheme
    #[arg(long, value_name = "stringArray")]
    trusted_identity: Vec<String>,
    /// Set the policy as the global policy
    #[arg(long)]
    global: bool,
    /// Override the existing blob trust policy configuration, never prompt
    #[arg(long)]
    force: bool,
}

impl InitArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        none(&self.arguments)?;
        required(&[
            ("name", self.name.is_some()),
            ("trust-store", !self.trust_store.is_empty()),
            ("trusted-identity", !self.trusted_identity.is_empty()),
        ])?;
        let mut statement = json!({
            "name": self.name,
            "signatureVerification": {"level": "strict"},
            "trustStores": self.trust_store,
            "trustedIdentities": self.trusted_identity,
        });
        if self.global {
            statement["globalPolicy"] = true.into();
        }
        let document = json!({"version": "1.0", "trustPolicies": [statement]});
        let bytes = format!("{document:#}").into_bytes();
        policy_files(context)?
            .check(PolicyKind::Blob, &bytes)
            .map_err(|error| Failure::new(Exit::Usage, format!("invalid blob policy: {error}")))?;
        if let Some(path) = write(context, PolicyKind::Blob, &bytes, self.force)? {
            context.printer.line(format_args!(
                "Successfully initialized blob trust policy file to {}.",
                Path::display(&path)
            ))?;
        }
        Ok(())
    }
}
