//! `dockseal attach` and `dockseal detach`: signatures between files, and OCI layouts, archives and
//! containerd.

use std::path::PathBuf;

use serde_json::json;

use crate::fsutil::{self, Mode};
use crate::image::digest::Digest;
use crate::sign::attachable;
use crate::signature::envelope::{Envelope, EnvelopeFormat};
use crate::signature::x509::CertificateRules;
use crate::store::{MAX_ENVELOPE_BYTES, SignatureStore, StoredSignature};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::image_subject::ImageSubject;
use super::read_input;
use super::sign::ManifestForm;
use super::source::ImageArgs;
use super::subject::{Subject, in_layout};

// Arguments of `dockseal attach`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal attach image.jws.sig --to image.tar
  dockseal attach image.jws.sig --to docker-archive:image.tar:app:1 --manifest manifest.json
  dockseal attach image.jws.sig --oci-layout layout:v1
  dockseal attach image.jws.sig --to containerd:registry.example/app:v1 --namespace k8s.io

An archive that does not hold the signed manifest gets that, too: it still loads into every engine,
and `dockseal verify image.tar` needs nothing else.")]
#[command(group = clap::ArgGroup::new("place").required(true).args(["to", "oci_layout"]))]
pub(super) struct AttachArgs {
    /// Files with signatures
    #[arg(required = true, value_name = "SIGNATURE")]
    signatures: Vec<PathBuf>,
    /// The image they sign: DIR:TAG or DIR@DIGEST; a tar will do for DIR
    #[arg(long, value_name = "REFERENCE")]
    oci_layout: Option<String>,
    /// The image archive to put them into, or the image in containerd to put them beside
    #[arg(long, value_name = "SOURCE")]
    to: Option<String>,
    /// Make an image record REPOSITORY@DIGEST of each signature in containerd, by which it can be
    /// exported and pushed
    #[arg(long, requires = "to")]
    record: bool,
    /// The manifest that was signed, where the archive does not hold it and a push would send another
    /// one; repeatable: an index first, then the manifest below it
    #[arg(long, value_name = "FILE", requires = "to")]
    manifest: Vec<PathBuf>,
    /// Form of the signature manifest; notation 1.3 does not see oci1.1
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    signature_manifest: ManifestForm,
    #[command(flatten, next_help_heading = "Image options")]
    image: ImageArgs,
}

impl AttachArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let envelopes = self.signatures.iter().map(|path| read_input(path, MAX_ENVELOPE_BYTES));
        let envelopes = envelopes.collect::<Result<Vec<_>, _>>()?;
        let (subject, store) = self.place(&envelopes, context)?;
        // All are judged before the first is written.
        let mut attached = Vec::new();
        for (path, bytes) in self.signatures.iter().zip(&envelopes) {
            let envelope = attachable(&subject.descriptor, bytes, CertificateRules::Strict)
                .map_err(|error| Failure::from(error).prefixed(&path.display().to_string()))?;
            attached.push(envelope);
        }
        let mut signatures = Vec::new();
        for envelope in &attached {
            let added = store.add(&subject.descriptor, envelope)?;
            signatures.push(json!({"location": added.location, "digest": added.digest}));
            context.printer.note(format_args!("Signature written to {}", added.location.display()));
        }
        let count = attached.len();
        let reference = subject.reference();
        context.printer.line(format_args!("Attached {count} signatures to {reference}"))?;
        Ok(context.printer.json(json!({
            "verdict": "attached",
            "subject": subject.descriptor,
            "signatures": signatures,
        }))?)
    }

    /// What is signed, and where its signatures go.
    fn place(
        &self,
        envelopes: &[Vec<u8>],
        context: &Context,
    ) -> Result<(Subject, Box<dyn SignatureStore>), Failure> {
        let form = self.signature_manifest.into();
        if let Some(reference) = &self.oci_layout {
            let subject = in_layout(reference)?.reporting(self.image.bar(context));
            let layout = subject.layout.clone().ok_or_else(no_layout)?;
            return Ok((subject, Box::new(layout.writing(form))));
        }
        let source = self.to.as_deref().unwrap_or_default();
        let image = ImageSubject { source, manifest: &self.manifest, image: &self.image };
        image.check_place(self.record)?;
        // An archive may have been signed as more than one manifest; the first signature says which.
        let target = envelopes.first().and_then(|bytes| {
            let content = Envelope::decode_any(bytes).ok()?.unverified_content().ok()?;
            Some(content.payload().target().clone())
        });
        let is_signed = |subject: &Subject| {
            target.as_ref().is_none_or(|it| it.same_content(&subject.descriptor))
        };
        let first = image.resolve(context)?;
        let subject = match is_signed(&first) {
            true => first,
            false => image.other(&first, &is_signed, context)?.unwrap_or(first),
        };
        let store = image.beside(&subject, form, self.record, context)?;
        Ok((subject, store))
    }
}

fn no_layout() -> Failure {
    Failure::new(Exit::Internal, "the image is in no layout")
}

// Arguments of `dockseal detach`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal detach --from image.tar -o signatures
  dockseal detach --from containerd:registry.example/app:v1 --namespace k8s.io
  dockseal detach --oci-layout layout:v1
  dockseal detach --from image.tar --remove \\
      --only sha256:f45b3b4aa0a604722a96d8e2c24cabda061f16a482d26f64612cacaa7bd59092

With --remove nothing leads to them any more once their files are written; the others stay as they are.")]
#[command(group = clap::ArgGroup::new("place").required(true).args(["from", "oci_layout"]))]
pub(super) struct DetachArgs {
    /// The signed image: DIR:TAG or DIR@DIGEST; a tar will do for DIR
    #[arg(long, value_name = "REFERENCE")]
    oci_layout: Option<String>,
    /// The signed image archive, or the signed image in containerd
    #[arg(long, value_name = "SOURCE")]
    from: Option<String>,
    /// Directory to write the files to; it is made if there is none
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    output: PathBuf,
    /// Only this one: the digest of its manifest or of its envelope
    #[arg(long, value_name = "DIGEST")]
    only: Option<Digest>,
    /// Take them away from the image once their files are written
    #[arg(long)]
    remove: bool,
    #[command(flatten, next_help_heading = "Image options")]
    image: ImageArgs,
}

impl DetachArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let subject = match (&self.oci_layout, &self.from) {
            (Some(reference), _) => in_layout(reference)?.reporting(self.image.bar(context)),
            (None, from) => {
                let source = from.as_deref().unwrap_or_default();
                let image = ImageSubject { source, manifest: &[], image: &self.image };
                if self.remove {
                    image.check_place(false)?;
                }
                image.resolve_to_list(context)?
            }
        };
        let store = subject.beside();
        let found = match &store {
            Some(store) => store.list(&subject.descriptor)?,
            None => Vec::new(),
        };
        let is_meant = |each: &StoredSignature| self.only.as_ref().is_none_or(|it| each.is(it));
        let found: Vec<_> = found.into_iter().filter(is_meant).collect();
        let (Some(store), false) = (store, found.is_empty()) else {
            let which = self.only.as_ref().map(|only| format!(" {only}")).unwrap_or_default();
            let message = format!("no signature{which} is associated with {}", subject.reference());
            return Err(Failure::new(Exit::NoSignature, message));
        };
        if let (true, Some(containerd)) = (self.remove, &subject.containerd) {
            containerd.check_writable()?;
        }
        fsutil::create_private_dir(&self.output)?;
        // All are in files before the first is removed, and before the first failure ends it.
        let mut detached = Vec::new();
        let mut failed = None;
        for signature in &found {
            match self.detach(&*store, signature) {
                Ok(path) => detached.push(path),
                Err(failure) => {
                    context.printer.warning(&failure.message);
                    failed.get_or_insert(failure);
                }
            }
        }
        if self.remove && failed.is_none() {
            for signature in &found {
                store.remove(signature)?;
                let place = signature.location.display();
                context.printer.note(format_args!("Signature removed from {place}"));
            }
        }
        let mut files = Vec::new();
        for (path, digest) in &detached {
            context.printer.line(path.display())?;
            files.push(json!({"path": path, "digest": digest}));
        }
        if let Some(first) = failed {
            let (count, all) = (found.len() - detached.len(), found.len());
            let message = format!("{count} of {all} signatures are not in files");
            return Err(Failure { message, ..first });
        }
        Ok(context.printer.json(json!({
            "verdict": "detached",
            "subject": subject.descriptor,
            "files": files,
        }))?)
    }

    /// Writes the file of a signature.
    fn detach(
        &self,
        store: &dyn SignatureStore,
        signature: &StoredSignature,
    ) -> Result<(PathBuf, Digest), Failure> {
        let bytes = store.read(signature)?;
        let format = EnvelopeFormat::from_content(&bytes).ok_or_else(|| {
            let place = signature.location.display();
            Failure::new(Exit::Malformed, format!("{place} is no signature envelope"))
        })?;
        let digest = Digest::sha256(&bytes);
        let path = self.output.join(format!("{}.{format}.sig", digest.hex()));
        fsutil::write_atomic(&path, &bytes, Mode::Private)?;
        Ok((path, digest))
    }
}
