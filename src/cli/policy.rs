//! `dockseal policy`: the trust policy for images.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::trust::files::{LegacyFile, LegacyOutcome};
use crate::trust::policy::{MAX_POLICY_BYTES, PolicyKind};

use super::cert::confirmed;
use super::context::Context;
use super::failure::Failure;
use super::host_trust::{policy_files, warn_about_files};
use super::output::Format;
use super::read_input;

// Subcommands of `dockseal policy`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum PolicyCommand {
    /// Show the trust policy
    #[command(after_help = "Example:
  dockseal policy show")]
    Show,
    /// Import a trust policy from a JSON file
    Import(ImportArgs),
    /// Write a trust policy with one strict statement
    Init(InitArgs),
}

impl PolicyCommand {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Show => show(context, PolicyKind::Oci),
            Self::Import(args) => args.run(context),
            Self::Init(args) => args.run(context),
        }
    }
}

/// Shows the document as it stands, even an invalid one, and says what is wrong with it.
pub(super) fn show(context: &Context, kind: PolicyKind) -> Result<(), Failure> {
    let files = policy_files(context)?;
    let document = files.read(kind)?;
    context.printer.note(document.path.display());
    if context.printer.format() == Format::Text {
        context.printer.data(&document.bytes)?;
    }
    let warnings = match kind {
        PolicyKind::Oci => files.load_oci()?.warnings,
        PolicyKind::Blob => files.load_blob()?.warnings,
    };
    warn_about_files(context, warnings)?;
    let policy: Option<Value> = serde_json::from_slice(&document.bytes).ok();
    Ok(context.printer.json(json!({"path": document.path, "policy": policy}))?)
}

/// Writes a policy unless somebody objects; says so, with `line` for people, if it did.
pub(super) fn write(
    context: &Context,
    kind: PolicyKind,
    bytes: &[u8],
    force: bool,
    legacy: LegacyFile,
    line: &str,
) -> Result<(), Failure> {
    // What is no policy is refused before anybody is asked about it.
    check(context, kind, bytes)?;
    let files = policy_files(context)?;
    if files.exists(kind) {
        let name = name(kind);
        let question =
            format!("The {name} trust policy file already exists, do you want to overwrite it?");
        let hint = |failure: Failure| failure.with_hint(Some("--force".to_owned()));
        if !confirmed(context, force, &question).map_err(hint)? {
            return Ok(context.printer.json(json!({"verdict": "kept", "path": null}))?);
        }
    }
    let imported = files.import(kind, bytes, legacy)?;
    match imported.legacy {
        LegacyOutcome::Removed => context.printer.note(
            "trustpolicy.json is removed, notation 1.x has no policy now (--also-legacy keeps one)",
        ),
        LegacyOutcome::Stays { path, source } => context.printer.warning(format_args!(
            "{} could not be removed ({source}); notation 1.x would use it",
            path.display()
        )),
        LegacyOutcome::Absent | LegacyOutcome::Written => {}
    }
    context.printer.note(format_args!("wrote {}", imported.path.display()));
    context.printer.line(line)?;
    Ok(context.printer.json(json!({"verdict": "written", "path": imported.path}))?)
}

/// Whether it is a policy; what helps is not the one that there is.
pub(super) fn check(context: &Context, kind: PolicyKind, bytes: &[u8]) -> Result<(), Failure> {
    let checked = policy_files(context)?.check(kind, bytes);
    checked.map_err(|error| Failure::from(error).with_hint(Some("dockseal help policy".to_owned())))
}

/// What a kind of policy is called.
fn name(kind: PolicyKind) -> &'static str {
    match kind {
        PolicyKind::Oci => "OCI",
        PolicyKind::Blob => "blob",
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal policy import trustpolicy.json")]
pub(super) struct ImportArgs {
    /// The policy: a JSON file, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    write: WriteArgs,
}

// How a policy is written.
#[derive(Debug, clap::Args)]
pub(super) struct WriteArgs {
    /// Replace an existing policy without asking
    #[arg(long)]
    force: bool,
    /// Write trustpolicy.json too, for notation 1.x, instead of removing it
    #[arg(long)]
    also_legacy: bool,
}

impl ImportArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let bytes = read_input(&self.file, MAX_POLICY_BYTES as u64)?;
        check(context, PolicyKind::Oci, &bytes).map_err(|failure| failure.about(&self.file))?;
        self.write.write(context, &bytes, "Successfully imported OCI trust policy file.")
    }
}

impl WriteArgs {
    fn write(&self, context: &Context, bytes: &[u8], line: &str) -> Result<(), Failure> {
        let legacy = if self.also_legacy { LegacyFile::Write } else { LegacyFile::Remove };
        write(context, PolicyKind::Oci, bytes, self.force, legacy, line)
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal policy init --name vendor --trust-store ca:vendor \\
      --trusted-identity 'x509.subject: C=US, ST=WA, O=Vendor'")]
pub(super) struct InitArgs {
    /// Name of the statement
    #[arg(long, short, value_name = "NAME")]
    name: String,
    /// Trust store, such as ca:NAME; repeatable
    #[arg(long, required = true, value_name = "TYPE:NAME")]
    trust_store: Vec<String>,
    /// Whose signatures are trusted; repeatable
    #[arg(long, value_name = "IDENTITY", default_value = "*")]
    trusted_identity: Vec<String>,
    /// Repositories the statement is for; repeatable
    #[arg(long, value_name = "REPOSITORY", default_value = "*")]
    scope: Vec<String>,
    #[command(flatten)]
    write: WriteArgs,
}

impl InitArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let document = json!({
            "version": "1.0",
            "trustPolicies": [{
                "name": self.name,
                "registryScopes": self.scope,
                "signatureVerification": {"level": "strict"},
                "trustStores": self.trust_store,
                "trustedIdentities": self.trusted_identity,
            }],
        });
        let name = &self.name;
        let line = format!("Successfully initialized OCI trust policy with statement {name:?}.");
        self.write.write(context, format!("{document:#}\n").as_bytes(), &line)
    }
}
