//! `dockseal attach` and `dockseal detach`: signatures between files and OCI layouts.

use std::path::PathBuf;

use crate::fsutil::{self, Mode};
use crate::sign::attachable;
use crate::signature::envelope::EnvelopeFormat;
use crate::signature::x509::CertificateRules;
use crate::store::{MAX_ENVELOPE_BYTES, SignatureStore};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::read_input;
use super::sign::ManifestForm;
use super::subject::{Subject, in_layout};

/// Arguments of `dockseal attach`.
#[derive(Debug, clap::Args)]
pub(super) struct AttachArgs {
    /// Files with signatures
    #[arg(required = true, value_name = "SIGNATURE")]
    signatures: Vec<PathBuf>,
    /// The image they sign: DIR:TAG or DIR@DIGEST
    #[arg(long, value_name = "REFERENCE")]
    oci_layout: String,
    /// Form of the signature manifest; notation 1.3 does not see oci1.1
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    signature_manifest: ManifestForm,
}

impl AttachArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let subject = in_layout(&self.oci_layout)?;
        // All are judged before the first is written.
        let mut envelopes = Vec::new();
        for path in &self.signatures {
            let bytes = read_input(path, MAX_ENVELOPE_BYTES)?;
            let envelope = attachable(&subject.descriptor, &bytes, CertificateRules::Strict)
                .map_err(|error| Failure::from(error).prefixed(&path.display().to_string()))?;
            envelopes.push(envelope);
        }
        let Subject { layout: Some(layout), .. } = &subject else { return Ok(()) };
        let store = layout.clone().writing(self.signature_manifest.into());
        for envelope in &envelopes {
            let added = store.add(&subject.descriptor, envelope)?;
            context.printer.note(format_args!("Signature written to {}", added.location.display()));
        }
        let count = envelopes.len();
        let reference = subject.reference();
        Ok(context.printer.line(format_args!("Attached {count} signatures to {reference}"))?)
    }
}

/// Arguments of `dockseal detach`.
#[derive(Debug, clap::Args)]
pub(super) struct DetachArgs {
    /// The signed image: DIR:TAG or DIR@DIGEST
    #[arg(long, value_name = "REFERENCE")]
    oci_layout: String,
    /// Directory to write the files to
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    output: PathBuf,
}

impl DetachArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let subject = in_layout(&self.oci_layout)?;
        let Subject { layout: Some(layout), .. } = &subject else { return Ok(()) };
        let found = layout.list(&subject.descriptor)?;
        if found.is_empty() {
            let message = format!("no signature is associated with {}", subject.reference());
            return Err(Failure::new(Exit::NoSignature, message));
        }
        for signature in &found {
            let bytes = match layout.read(signature) {
                Ok(bytes) => bytes,
                Err(error) => {
                    context.printer.warning(error);
                    continue;
                }
            };
            let Some(format) = EnvelopeFormat::from_content(&bytes) else {
                context.printer.warning(format_args!(
                    "{} is no signature envelope",
                    signature.location.display()
                ));
                continue;
            };
            let digest = crate::image::digest::Digest::sha256(&bytes);
            let path = self.output.join(format!("{}.{format}.sig", digest.hex()));
            fsutil::write_atomic(&path, &bytes, Mode::Private)?;
            context.printer.line(path.display())?;
        }
        Ok(())
    }
}
