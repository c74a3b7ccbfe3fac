//! `notation blob sign` and `notation blob verify`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::cli::blob::{DEFAULT_MEDIA_TYPE, hash};
use crate::cli::cert::confirmed;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::host_trust::policy_files;
use crate::fsutil;
use crate::sign::{self, SignOptions};
use crate::store::SignatureStore as _;
use crate::store::detached::DetachedFiles;
use crate::trust::store::TrustStores;
use crate::verify::{Blob, Verifier, VerifyOptions};

use super::flags::{SignerFlags, envelope_format, only, pairs, plugins};
use super::inspect::InspectBlobArgs;
use super::policy::BlobPolicyCommand;
use super::sign::TimestampFlags;
use super::texts;
use super::verify::cached_crls;

/// Subcommands of `notation blob`.
#[derive(Debug, Subcommand)]
pub(super) enum BlobCommand {
    /// Produce a detached signature for a given blob
    Sign(SignArgs),
    /// Verify a signature associated with a blob
    Verify(VerifyArgs),
    /// Inspect a signature associated with a blob
    Inspect(InspectBlobArgs),
    /// Manage trust policy configuration for arbitrary blob signature verification
    #[command(subcommand)]
    Policy(BlobPolicyCommand),
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

/// Hashes a file. A file called `-` is a file.
fn hash_file(path: &Path, media_type: Option<String>) -> Result<Blob, Failure> {
    fsutil::open(path).map_err(|error| texts::unreadable_file("", error))?;
    let here = Path::new(".").join(path);
    hash(if path.as_os_str() == "-" { &here } else { path }, media_type, &())
}

/// Arguments of `notation blob sign`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "notation blob sign [flags] <blob_path>",
    after_help = "Example:
  notation blob sign --signature-directory <directory_path> <blob_path>"
)]
pub(super) struct SignArgs {
    #[arg(value_name = "blob_path", value_parser = super::usage::path())]
    arguments: Vec<PathBuf>,
    #[command(flatten)]
    signer: SignerFlags,
    #[command(flatten)]
    timestamp: TimestampFlags,
    /// Media type of the blob
    #[arg(long, value_name = "string", default_value = DEFAULT_MEDIA_TYPE)]
    media_type: String,
    /// Directory where the blob signature needs to be placed
    #[arg(long, value_name = "string", default_value = ".", value_parser = super::usage::path())]
    signature_directory: PathBuf,
    /// Override the existing signature file, never prompt
    #[arg(long)]
    force: bool,
}

impl SignArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let missing = "missing file path to the blob artifact: use `notation blob sign --help` to \
                       see what parameters are required";
        let path = only(&self.arguments, missing)?;
        self.signer.check()?;
        self.timestamp.check()?;
        if path.as_os_str().is_empty() {
            return Err(Failure::usage("blob path cannot be empty"));
        }
        if self.signature_directory.as_os_str().is_empty() {
            return Err(Failure::usage("signature directory cannot be empty"));
        }
        let signer = self.signer.signer(context)?.for_blobs()?;
        let options = self.signer.options(context)?;
        let authority = self.timestamp.authority(context)?;
        let blob = hash_file(path, Some(self.media_type))?;
        // Blobs are hashed with the algorithm of the key (spec/notation.md §11).
        let hash = signer.key_spec().signature_algorithm().hash();
        let descriptor = blob.descriptor(hash, DEFAULT_MEDIA_TYPE);
        let options = SignOptions { expires_in: self.signer.expiry()?, ..options };
        let envelope = sign::sign(&descriptor, &options, &*signer).map_err(texts::not_signed)?;
        let envelope = match &authority {
            Some(authority) => authority.countersign(envelope)?.0,
            None => envelope,
        };
        let target = signature_path(path, &self.signature_directory, options.format.name())?;
        if self.force {
            context.printer.warning("existing signature file will be overwritten");
        } else if fs::symlink_metadata(&target).is_ok() {
            let question = "The signature file already exists, do you want to overwrite it?";
            if !confirmed(context, false, question)? {
                return Ok(());
            }
        }
        let added = DetachedFiles::new(target, []).add(&descriptor, &envelope)?;
        // The space is notation's.
        context.printer.line(format_args!(
            "Successfully signed {}\n Signature file written to {}",
            path.display(),
            added.location.display()
        ))?;
        Ok(())
    }
}

/// `{directory}/{name}.{format}.sig`, as Go joins it: without `./` before it.
fn signature_path(path: &Path, directory: &Path, format: &str) -> Result<PathBuf, Failure> {
    let name = path
        .file_name()
        .ok_or_else(|| Failure::usage(format!("{} is not the name of a file", path.display())))?;
    let mut name = name.to_os_string();
    name.push(format!(".{format}.sig"));
    let directory = directory.strip_prefix(".").unwrap_or(directory);
    Ok(directory.join(name))
}

/// Arguments of `notation blob verify`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "notation blob verify [flags] --signature <signature_path> <blob_path>",
    after_help = "Example:
  notation blob verify --signature <signature_path> <blob_path>"
)]
pub(super) struct VerifyArgs {
    #[arg(value_name = "blob_path", value_parser = super::usage::path())]
    arguments: Vec<PathBuf>,
    /// Filepath of the signature to be verified
    #[arg(long, short, value_name = "string", value_parser = super::usage::path())]
    signature: Option<PathBuf>,
    /// {key}={value} pairs that are passed as it is to a plugin, if the verification is associated
    /// with a verification plugin, refer plugin documentation to set appropriate values
    #[arg(long, value_name = "stringArray")]
    plugin_config: Vec<String>,
    /// Media type of the blob to verify
    #[arg(long, value_name = "string")]
    media_type: Option<String>,
    /// Policy name to verify against. If not provided, the global policy is used if exists
    #[arg(long, value_name = "string")]
    policy_name: Option<String>,
    /// User defined {key}={value} pairs that must be present in the signature for successful
    /// verification if provided
    #[arg(long, short = 'm', value_name = "stringArray")]
    user_metadata: Vec<String>,
}

impl VerifyArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let missing = "missing path to the blob artifact: use `notation blob verify --help` to see \
                       what parameters are required";
        let path = only(&self.arguments, missing)?;
        let signature = self.signature.filter(|path| !path.as_os_str().is_empty());
        let signature =
            signature.ok_or_else(|| Failure::usage("filepath of the signature cannot be empty"))?;
        if self.media_type.as_ref().is_some_and(String::is_empty) {
            return Err(Failure::usage("--media-type is set but with empty value"));
        }
        for file in [path, &signature] {
            fsutil::open(file).map_err(|error| texts::unreadable_file("", error))?;
        }
        let config = context.dirs.config()?;
        let policy = texts::load(context, policy_files(context)?.load_blob())?.policy;
        let plugins = plugins(&self.plugin_config)?.verifiers(context)?;
        let options = VerifyOptions {
            plugins: Some(plugins),
            user_metadata: pairs(&self.user_metadata, "user-metadata")?,
            revocation: cached_crls(context),
            ..VerifyOptions::at(context.now)
        };
        check_name(&signature)?;
        let name = self.policy_name.as_deref().filter(|name| !name.is_empty());
        let statement = policy.select(name).map_err(|error| {
            let message = format!("signature verification failed: {error}");
            texts::reworded(error.into(), message)
        })?;
        let stores = TrustStores::new(&config);
        let blob = hash_file(path, self.media_type)?;
        let verdict = Verifier::new(statement, &stores, options)
            .verify_blob(&blob, &DetachedFiles::new(signature, []))
            .map_err(texts::blob_not_verified)?;
        texts::verified(context.printer, &verdict, &path.display().to_string(), false)
    }
}

/// The name of a signature file ends with its format and `.sig`.
fn check_name(path: &Path) -> Result<(), Failure> {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let parts: Vec<_> = name.split('.').collect();
    let invalid =
        |reason: &str| Failure::usage(format!("invalid signature filename {name}. {reason}"));
    match parts.as_slice() {
        [_, .., format, extension] if extension.eq_ignore_ascii_case("sig") => {
            envelope_format(&format.to_lowercase()).map(drop)
        }
        [_, extension] if extension.eq_ignore_ascii_case("sig") => Err(invalid(
            "A valid signature file name must contain signature format and .sig file extension",
        )),
        _ => Err(invalid("The file extension must be .sig")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_called_after_file_and_format() {
        for (path, directory, signature) in [
            ("a.txt", ".", "a.txt.jws.sig"),
            ("d/a.txt", ".", "a.txt.jws.sig"),
            ("d/a.txt", "./e", "e/a.txt.jws.sig"),
            ("d/a.txt", "/e/", "/e/a.txt.jws.sig"),
        ] {
            let found = signature_path(Path::new(path), Path::new(directory), "jws").unwrap();
            assert_eq!(found, Path::new(signature), "{path} {directory}");
        }
    }

    #[test]
    fn names_of_signature_files_say_the_format() {
        for name in ["a.jws.sig", "a/b.c.COSE.SIG"] {
            assert!(check_name(Path::new(name)).is_ok(), "{name}");
        }
        for (name, reason) in [
            ("a.sig", "A valid signature file name must contain signature format"),
            ("a.jws", "The file extension must be .sig"),
            ("a", "The file extension must be .sig"),
            ("a.x.sig", "signature format \"x\" not supported"),
        ] {
            let message = check_name(Path::new(name)).unwrap_err().message;
            assert!(message.contains(reason), "{name}: {message}");
        }
    }
}
