//! `dockseal blob`: signatures of files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use jiff::SignedDuration;
use serde_json::json;

use crate::fsutil;
use crate::image::digest::Algorithm;
use crate::progress::{Counted, Progress};
use crate::sign::{self, SignOptions};
use crate::signature::envelope::EnvelopeFormat;
use crate::store::SignatureStore as _;
use crate::store::detached::DetachedFiles;
use crate::trust::files::LegacyFile;
use crate::trust::policy::{MAX_POLICY_BYTES, PolicyKind};
use crate::trust::store::TrustStores;
use crate::verify::{Blob, Verdict, Verifier, VerifyOptions};

use super::authority::{TimestampArgs, countersigned};
use super::cert::confirmed;
use super::context::Context;
use super::failure::Failure;
use super::host_trust::{check_stores, policy_files, warn_about_files};
use super::inspect::InspectFileArgs;
use super::output::Verbosity;
use super::plugins::PluginArgs;
use super::progress::ProgressArgs;
use super::report::{self, PolicyInfo};
use super::sign::{FormatArgs, KeyArgs};
use super::subject::user_metadata;
use super::verdict::{self, print_skipped, print_trusted, warn_about};
use super::verify::{RevocationArgs, StrictnessArgs};
use super::{duration, policy, read_input};

/// Media type of a file of which nothing else is known.
pub(super) const DEFAULT_MEDIA_TYPE: &str = "application/octet-stream";

// Subcommands of `dockseal blob`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum BlobCommand {
    /// Sign a file
    Sign(Box<SignArgs>),
    /// Verify a signature of a file
    Verify(VerifyArgs),
    /// Show what a signature file says
    Inspect(InspectFileArgs),
    /// Manage the trust policy for files
    #[command(subcommand)]
    Policy(PolicyCommand),
}

impl BlobCommand {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Sign(args) => args.run(context),
            Self::Verify(args) => args.run(context),
            Self::Inspect(args) => args.run(context),
            Self::Policy(command) => command.run(context),
        }
    }
}

/// Hashes a file, or standard input.
pub(super) fn hash(
    path: &Path,
    media_type: Option<String>,
    progress: &dyn Progress,
) -> Result<Blob, Failure> {
    if path.as_os_str() == "-" {
        let step = progress.step("reading", None);
        return Ok(Blob::read(Counted::new(io::stdin().lock(), &*step), media_type)?);
    }
    let file = fsutil::open(path)?;
    let size = file.metadata().ok().filter(fs::Metadata::is_file).map(|it| it.len());
    let step = progress.step(&path.to_string_lossy(), size);
    Blob::read(Counted::new(file, &*step), media_type)
        .map_err(|source| fsutil::FileError::io("read", path, source).into())
}

// Arguments of `dockseal blob sign`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal blob sign notes.txt
  dockseal blob sign --output notes.sig --expiry 720h notes.txt")]
pub(super) struct SignArgs {
    /// The file to sign, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    format: FormatArgs,
    /// Media type of the file
    #[arg(long, value_name = "TYPE", default_value = DEFAULT_MEDIA_TYPE)]
    media_type: String,
    /// Directory for the signature FILE.FORMAT.sig [default: the file's]
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    signature_directory: Option<PathBuf>,
    /// Write the signature to FILE, or - for standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Metadata to be signed too; repeatable
    #[arg(long, short = 'm', value_name = "KEY=VALUE", value_parser = user_metadata)]
    user_metadata: Vec<(String, String)>,
    /// How long the signature is valid, such as 720h [default: forever]
    #[arg(long, short, value_name = "DURATION", value_parser = duration::parse)]
    expiry: Option<SignedDuration>,
    #[command(flatten)]
    progress: ProgressArgs,
    /// Replace an existing signature file without asking
    #[arg(long)]
    force: bool,
    #[command(flatten, next_help_heading = "Key options")]
    key: KeyArgs,
    #[command(flatten, next_help_heading = "Timestamp options")]
    timestamp: TimestampArgs,
}

impl SignArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let format = self.format.format(context)?;
        let target = self.target(format)?;
        let authority = self.timestamp.open(context)?;
        let signer = self.key.signer(context)?.for_blobs()?;
        let blob = hash(&self.file, Some(self.media_type.clone()), &self.progress.bar(context))?;
        // Blobs are hashed with the algorithm of the key (spec/notation.md §11).
        let hash = signer.key_spec().signature_algorithm().hash();
        let descriptor = blob.descriptor(hash, DEFAULT_MEDIA_TYPE);
        let options = SignOptions {
            format,
            expires_in: self.expiry.filter(|expiry| !expiry.is_zero()),
            user_metadata: self.user_metadata.iter().cloned().collect(),
            ..SignOptions::at(context.now)
        };
        let envelope = sign::sign(&descriptor, &options, &*signer)?;
        let envelope = countersigned(authority.as_ref(), envelope, context)?;
        let printer = context.printer;
        let Some(target) = target else {
            printer.note(format_args!("Successfully signed {}", self.file.display()));
            return Ok(printer.data(&envelope.bytes)?);
        };
        if fs::symlink_metadata(&target).is_ok() && !self.may_replace(context)? {
            return Ok(());
        }
        let added = DetachedFiles::new(target, []).add(&descriptor, &envelope)?;
        printer.json(report::signed(&descriptor, &envelope, &added))?;
        if printer.verbosity() == Verbosity::Quiet {
            return Ok(printer.line(&descriptor.digest)?);
        }
        printer.line(format_args!("Successfully signed {}", self.file.display()))?;
        // The space is notation's.
        let location = added.location.display();
        Ok(printer.line(format_args!(" Signature file written to {location}"))?)
    }

    fn may_replace(&self, context: &Context) -> Result<bool, Failure> {
        let question = "The signature file already exists, do you want to overwrite it?";
        let answer = confirmed(context, self.force, question);
        answer.map_err(|failure| failure.with_hint(Some("--force".to_owned())))
    }

    /// Where the signature goes; `None` is standard output.
    fn target(&self, format: EnvelopeFormat) -> Result<Option<PathBuf>, Failure> {
        match &self.output {
            Some(output) if output.as_os_str() == "-" => return Ok(None),
            Some(output) => return Ok(Some(output.clone())),
            None => {}
        }
        let name = self.file.file_name().filter(|_| self.file.as_os_str() != "-");
        let name = name
            .ok_or_else(|| Failure::usage("a signature of standard input needs --output FILE"))?;
        let mut name = name.to_os_string();
        name.push(format!(".{format}.sig"));
        Ok(Some(match &self.signature_directory {
            Some(directory) => directory.join(name),
            None => self.file.with_file_name(name),
        }))
    }
}

// Arguments of `dockseal blob verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal blob verify notes.txt --signature notes.txt.jws.sig")]
pub(super) struct VerifyArgs {
    /// The signed file, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// File with a signature; repeatable, one trusted signature is enough
    #[arg(long, short, required = true, value_name = "FILE")]
    signature: Vec<PathBuf>,
    /// Media type that must be signed
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,
    /// Name of the policy statement [default: the global one]
    #[arg(long, value_name = "NAME")]
    policy_name: Option<String>,
    /// Metadata that must be signed; repeatable
    #[arg(long, short = 'm', value_name = "KEY=VALUE", value_parser = user_metadata)]
    user_metadata: Vec<(String, String)>,
    #[command(flatten)]
    revocation: RevocationArgs,
    #[command(flatten)]
    strictness: StrictnessArgs,
    /// Show as a tree what was checked
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    plugins: PluginArgs,
}

impl VerifyArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let config = context.dirs.config()?;
        let printer = context.printer;
        let loaded = policy_files(context)?.load_blob()?;
        warn_about_files(context, loaded.warnings)?;
        let statement = loaded.policy.select(self.policy_name.as_deref())?;
        let policy = PolicyInfo {
            path: &loaded.path,
            statement: statement.name(),
            level: statement.level().name().as_str(),
        };
        let blob = hash(&self.file, self.media_type.clone(), &self.progress.bar(context))?;
        let stores = TrustStores::new(&config);
        check_stores(context, &stores, statement)?;
        let options = VerifyOptions {
            user_metadata: self.user_metadata.iter().cloned().collect(),
            revocation: self.revocation.load(context)?,
            plugins: Some(self.plugins.verifiers(context)?),
            ..VerifyOptions::at(context.now)
        };
        let options = self.strictness.apply(options);
        let mut signatures = self.signature.into_iter();
        let Some(first) = signatures.next() else {
            return Err(Failure::usage("--signature FILE is needed"));
        };
        let files = DetachedFiles::new(first, signatures);
        let what = self.file.display().to_string();
        match Verifier::new(statement, &stores, options).verify_blob(&blob, &files) {
            Ok(Verdict::Trusted(trusted)) => {
                warn_about(&trusted, statement, printer);
                let report = report::trusted(&trusted, &policy);
                print_trusted(printer, &what, &trusted, &policy)?;
                if self.explain {
                    verdict::print_tree(printer, &what, &report)?;
                }
                Ok(printer.json(report)?)
            }
            Ok(Verdict::Skipped) => {
                let subject = blob.descriptor(Algorithm::Sha256, DEFAULT_MEDIA_TYPE);
                print_skipped(printer, &what, &subject, &policy)
            }
            Err(error) => {
                let subject = blob.descriptor(Algorithm::Sha256, DEFAULT_MEDIA_TYPE);
                let report = report::denied(&subject, &policy, &error);
                if self.explain {
                    verdict::print_tree(printer, &what, &report)?;
                }
                let failure = verdict::denied_file(error).with_report(report);
                Err(failure.with_detail(policy.describe()))
            }
        }
    }
}

// Subcommands of `dockseal blob policy`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum PolicyCommand {
    /// Show the trust policy
    #[command(after_help = "Example:
  dockseal blob policy show")]
    Show,
    /// Import a trust policy from a JSON file
    Import(ImportArgs),
    /// Write a trust policy with one strict statement
    Init(InitArgs),
}

impl PolicyCommand {
    fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Show => policy::show(context, PolicyKind::Blob),
            Self::Import(args) => args.run(context),
            Self::Init(args) => args.run(context),
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal blob policy import trustpolicy.blob.json")]
pub(super) struct ImportArgs {
    /// The policy: a JSON file, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace an existing policy without asking
    #[arg(long)]
    force: bool,
}

impl ImportArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let bytes = read_input(&self.file, MAX_POLICY_BYTES as u64)?;
        let line = "Successfully imported blob trust policy file.";
        policy::check(context, PolicyKind::Blob, &bytes).map_err(|it| it.about(&self.file))?;
        policy::write(context, PolicyKind::Blob, &bytes, self.force, LegacyFile::Remove, line)
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal blob policy init --name files --global --trust-store ca:vendor \\
      --trusted-identity 'x509.subject: C=US, ST=WA, O=Vendor'")]
pub(super) struct InitArgs {
    /// Name of the statement
    #[arg(long, short, value_name = "NAME")]
    name: String,
    /// Trust store, such as ca:NAME; repeatable
    #[arg(long, required = true, value_name = "TYPE:NAME")]
    trust_store: Vec<String>,
    /// Whose signatures are trusted; repeatable
    #[arg(long, required = true, value_name = "IDENTITY")]
    trusted_identity: Vec<String>,
    /// Make it the statement for files without --policy-name
    #[arg(long)]
    global: bool,
    /// Replace an existing policy without asking
    #[arg(long)]
    force: bool,
}

impl InitArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
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
        let bytes = format!("{document:#}\n").into_bytes();
        let name = &self.name;
        let line = format!("Successfully initialized blob trust policy with statement {name:?}.");
        policy::write(context, PolicyKind::Blob, &bytes, self.force, LegacyFile::Remove, &line)
    }
}
