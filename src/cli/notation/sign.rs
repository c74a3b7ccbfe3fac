//! `notation sign`

use std::path::{Path, PathBuf};

use crate::cli::authority::Countersigner;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::fsutil;
use crate::sign::SignOptions;
use crate::signature::algorithm::KeySpec;
use crate::signature::x509::{self, Certificate};
use crate::store::SignatureStore as _;
use crate::trust::store::{MAX_STORE_FILE_BYTES, is_root_ca};

use super::flags::{RegistryFlags, SignerFlags, exclusive, gate, only, together};
use super::layout::{Target, Verb};
use super::offline;
use super::texts::{self, unreadable_file};

/// The command, as errors name it.
const NAME: &str = "notation sign";

/// Arguments of `notation sign`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "notation sign [flags] <reference>",
    after_help = "Example:
  NOTATION_EXPERIMENTAL=1 notation sign --oci-layout <path>@<digest>"
)]
pub(super) struct SignArgs {
    #[arg(value_name = "reference")]
    arguments: Vec<String>,
    #[command(flatten)]
    signer: SignerFlags,
    #[command(flatten)]
    timestamp: TimestampFlags,
    // A doc comment would make a link of it.
    #[arg(long, help = "[Experimental] Sign the artifact stored as OCI image layout")]
    oci_layout: bool,
    /// For registries only; refused, dockseal works offline
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = super::usage::parse_bool, value_name = "bool")]
    force_referrers_tag: Option<bool>,
    #[command(flatten)]
    registry: RegistryFlags,
}

impl SignArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let missing = "missing reference to the artifact: use `notation sign --help` to see what \
                       parameters are required";
        let reference = only(&self.arguments, missing)?;
        gate(context, NAME, &[("oci-layout", self.oci_layout)])?;
        self.signer.check()?;
        self.timestamp.check()?;
        let force_tag = ("force-referrers-tag", self.force_referrers_tag.is_some());
        exclusive(&[("oci-layout", self.oci_layout), force_tag])?;
        self.registry.refuse(NAME, &[force_tag])?;
        let signer = self.signer.signer(context)?;
        if !self.oci_layout {
            return Err(offline::sign(reference));
        }
        let target = Target::open(reference)?;
        let options = self.signer.options(context)?;
        let authority = self.timestamp.authority(context)?;
        let resolved = target.resolve(context, Verb::Sign)?;
        let options = SignOptions { expires_in: self.signer.expiry()?, ..options };
        let envelope = signer.sign(&resolved.descriptor, &options).map_err(texts::not_signed)?;
        let envelope = match &authority {
            Some(authority) => authority.countersign(envelope)?.0,
            None => envelope,
        };
        let added = target.layout.add(&resolved.descriptor, &envelope)?;
        context.printer.line(format_args!(
            "Successfully signed {}\nPushed the signature to {}",
            resolved.printed,
            added.location.display()
        ))?;
        Ok(())
    }
}

/// Timestamping while signing.
#[derive(Debug, clap::Args)]
pub(super) struct TimestampFlags {
    /// RFC 3161 Timestamping Authority (TSA) server URL
    #[arg(long, value_name = "string")]
    timestamp_url: Option<String>,
    /// Filepath of timestamp authority root certificate
    #[arg(long, value_name = "string", value_parser = super::usage::path())]
    timestamp_root_cert: Option<PathBuf>,
}

impl TimestampFlags {
    /// Both or none, and none of them empty.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let (url, root) = (&self.timestamp_url, &self.timestamp_root_cert);
        together(&[("timestamp-url", url.is_some()), ("timestamp-root-cert", root.is_some())])?;
        if url.as_ref().is_some_and(String::is_empty) {
            return Err(Failure::usage("timestamping: tsa url cannot be empty"));
        }
        if root.as_ref().is_some_and(|root| root.as_os_str().is_empty()) {
            return Err(Failure::usage("timestamping: tsa root certificate path cannot be empty"));
        }
        Ok(())
    }

    /// The authority to ask, its root checked.
    pub(super) fn authority(&self, context: &Context) -> Result<Option<Countersigner>, Failure> {
        let (Some(url), Some(path)) = (&self.timestamp_url, &self.timestamp_root_cert) else {
            return Ok(None);
        };
        Ok(Some(Countersigner::new(url, root_certificate(path)?, context)?))
    }
}

/// The one root certificate in a file.
fn root_certificate(path: &Path) -> Result<Certificate, Failure> {
    let expecting = "Expecting single x509 root certificate in PEM or DER format from the file";
    let refuse = |message: String| Failure::new(Exit::NotTrusted, message);
    let bytes = fsutil::read_bounded(path, MAX_STORE_FILE_BYTES)
        .map_err(|error| unreadable_file("", error))?;
    let certificates = match x509::certificates_from_bytes(&bytes) {
        Ok(certificates) => certificates,
        Err(x509::BundleError::Empty) => Vec::new(),
        Err(error) => {
            return Err(
                refuse("x509: malformed certificate".to_owned()).with_detail(error.to_string())
            );
        }
    };
    let name = path.display();
    match <[Certificate; 1]>::try_from(certificates) {
        Ok([root]) if is_root_ca(&root) => Ok(root),
        Ok([other]) if !other.is_signed_by_itself() => {
            let reason = match other.key_spec() {
                Some(KeySpec::EcP256 | KeySpec::EcP384 | KeySpec::EcP521) => {
                    "x509: ECDSA verification failure"
                }
                _ => "crypto/rsa: verification error",
            };
            Err(refuse(format!("failed to check root certificate with error: {reason}")))
        }
        Ok(_) => Err(refuse(format!(
            "certificate from \"{name}\" is not a root certificate. {expecting}"
        ))),
        Err(none) if none.is_empty() => {
            Err(refuse(format!("cannot find any certificate from \"{name}\". {expecting}")))
        }
        Err(_) => {
            Err(refuse(format!("found more than one certificates from \"{name}\". {expecting}")))
        }
    }
}
