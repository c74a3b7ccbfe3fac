//! `dockseal inspect` and `dockseal blob inspect`: what envelopes say, as a tree or as JSON.
//!
//! The outputs are notation's (spec/notation.md §10.1). **Nothing shown here is verified**; signed
//! and unsigned attributes are told apart, and annotations of manifests are not shown at all.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use serde_json::{Map, Value, json};

use crate::content::archive;
use crate::fsutil::{self, FileError};
use crate::image::digest::hex;
use crate::signature::envelope::{AttributeValue, Envelope, EnvelopeContent, SigningScheme};
use crate::signature::timestamp::token_certificates;
use crate::signature::x509::Certificate;
use crate::store::MAX_ENVELOPE_BYTES;

use super::containerd::ContainerdArgs;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::image_subject::ImageSubject;
use super::output::Format;
use super::read_input;
use super::source::{ImageArgs, is_in_layout};
use super::subject::{Subject, in_layout};
use super::tree::Tree;

/// Artifact type of signatures.
pub(super) const SIGNATURE_TYPE: &str = "application/vnd.cncf.notary.signature";

/// Go's `time.ANSIC`.
const ANSIC: &str = "%a %b %e %H:%M:%S %Y";

// Arguments of `dockseal inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal inspect image.jws.sig
  dockseal inspect image.tar
  dockseal inspect --oci-layout layout:v1 --format json")]
pub(super) struct InspectArgs {
    /// A signature file, or a signed image: an archive, docker-archive:, oci-archive:, oci:,
    /// containerd:NAME; with --oci-layout DIR:TAG or DIR@DIGEST
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// SOURCE is in an OCI image layout, a directory or a tar
    #[arg(long)]
    oci_layout: bool,
    #[command(flatten, next_help_heading = "Options for images in containerd")]
    containerd: ContainerdArgs,
}

impl InspectArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let source = &*self.source.to_string_lossy();
        if self.oci_layout {
            return inspect_layout(context, &in_layout(source)?);
        }
        let is_named = ["docker-archive:", "containerd:"].iter().any(|it| source.starts_with(it));
        if !is_named && !is_in_layout(source) && !is_image(&self.source)? {
            return inspect_file(context, &self.source);
        }
        let image = &ImageArgs::of_containerd(self.containerd);
        let subject = ImageSubject { source, manifest: &[], image }.resolve_to_list(context)?;
        inspect_layout(context, &subject)
    }
}

/// Whether a file is an image rather than a signature, by how it starts.
fn is_image(path: &Path) -> Result<bool, Failure> {
    if path.as_os_str() == "-" {
        return Ok(false);
    }
    let failed = |error| Failure::from(FileError::io("read", path, error));
    if path.is_dir() {
        return Ok(true);
    }
    let mut start = Vec::with_capacity(512);
    // What can't be opened is said where a signature is read.
    let Ok(file) = fsutil::open_regular(path) else { return Ok(false) };
    file.take(512).read_to_end(&mut start).map_err(failed)?;
    Ok(archive::is_archive(&start))
}

// Arguments of `dockseal blob inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal blob inspect notes.txt.jws.sig")]
pub(super) struct InspectFileArgs {
    /// A signature file
    #[arg(value_name = "SIGNATURE")]
    file: PathBuf,
}

impl InspectFileArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        inspect_file(context, &self.file)
    }
}

fn inspect_file(context: &Context, path: &Path) -> Result<(), Failure> {
    let bytes = read_input(path, MAX_ENVELOPE_BYTES)?;
    let view = View::new(&bytes).map_err(|failure| failure.about(path))?;
    context.printer.json(view.json(Map::new()))?;
    let tree = Tree::new(path.display().to_string(), view.tree());
    Ok(context.printer.text(&tree.render())?)
}

fn inspect_layout(context: &Context, subject: &Subject) -> Result<(), Failure> {
    let store = subject.beside();
    let found = match &store {
        Some(store) => store.list(&subject.descriptor)?,
        None => Vec::new(),
    };
    let mut views = Vec::new();
    for signature in &found {
        let name = signature.manifest.as_ref().map(ToString::to_string).unwrap_or_default();
        let bytes = store.as_ref().map(|store| store.read(signature));
        // One that can't be shown does not hide the others.
        match bytes.map(|bytes| View::new(&bytes?)) {
            Some(Ok(view)) => views.push((name, view)),
            Some(Err(error)) => context.printer.warning(format_args!("{name}: {}", error.message)),
            None => {}
        }
    }
    if views.is_empty() {
        let message = format!("no signature is associated with {}", subject.reference());
        return Err(Failure::new(Exit::NoSignature, message));
    }
    match context.printer.format() {
        Format::Json => {
            let signatures: Vec<_> = views
                .iter()
                .map(|(name, view)| {
                    view.json([("digest".to_owned(), name.as_str().into())].into_iter().collect())
                })
                .collect();
            let media_type = &subject.descriptor.media_type;
            let document = json!({"mediaType": media_type, "signatures": signatures});
            context.printer.json(document)?;
        }
        Format::Text => {
            let nodes = views.iter().map(|(name, view)| Tree::new(name, view.tree())).collect();
            let tree = Tree::new(subject.reference(), vec![Tree::new(SIGNATURE_TYPE, nodes)]);
            context.printer.line("Inspecting all signatures for signed artifact")?;
            context.printer.text(&tree.render())?;
        }
    }
    Ok(())
}

/// An envelope as it is shown.
pub(super) struct View {
    envelope: Envelope,
    content: EnvelopeContent,
}

impl View {
    pub(super) fn new(bytes: &[u8]) -> Result<Self, Failure> {
        let envelope = Envelope::decode_any(bytes)?;
        let content = envelope.unverified_content()?;
        Ok(Self { envelope, content })
    }

    /// Extended attributes as texts.
    fn extended(&self) -> Vec<(String, String)> {
        let text = |value: &AttributeValue| match value {
            AttributeValue::Json(Value::String(text)) => text.clone(),
            AttributeValue::Json(value) => value.to_string(),
            AttributeValue::Cbor(bytes) => hex(bytes),
        };
        let attributes = self.content.extended_attributes();
        attributes
            .iter()
            .map(|attribute| {
                let name = attribute.key.as_text().map(str::to_owned);
                (name.unwrap_or_else(|| attribute.key.to_string()), text(&attribute.value))
            })
            .collect()
    }

    /// The span of time the timestamp token claims, and its certificates.
    fn timestamp(&self) -> Option<Result<(Vec<Certificate>, Span), String>> {
        let token = self.envelope.timestamp_token()?;
        Some(match token_certificates(token) {
            Ok((certificates, at, accuracy)) => Ok((certificates, Span { at, accuracy })),
            Err(error) => Err(error.to_string()),
        })
    }

    pub(super) fn tree(&self) -> Vec<Tree> {
        let content = &self.content;
        let mut signed = vec![
            Tree::leaf("content type", crate::signature::payload::MEDIA_TYPE),
            Tree::leaf("signing scheme", content.scheme()),
            Tree::leaf(time_name(content.scheme()), ansic(&zoned(content))),
        ];
        signed.extend(expiry(content).map(|expiry| Tree::leaf("expiry", ansic(&expiry))));
        if let Some(plugin) = content.verification_plugin() {
            signed.push(Tree::leaf("verification plugin", &plugin.name));
        }
        signed.extend(self.extended().iter().map(|(name, value)| Tree::leaf(name, value)));
        let mut metadata: Vec<_> = content
            .payload()
            .annotations()
            .iter()
            .map(|(key, value)| Tree::leaf(key, value))
            .collect();
        if metadata.is_empty() {
            metadata.push(Tree::new("(empty)", Vec::new()));
        }
        let target = content.payload().target();
        vec![
            Tree::leaf("signature algorithm", content.algorithm()),
            Tree::leaf("signature envelope type", self.envelope.format().media_type()),
            Tree::new("signed attributes", signed),
            Tree::new("user defined attributes", metadata),
            Tree::new("unsigned attributes", self.unsigned_tree()),
            Tree::new(
                "certificates",
                content.certificates().iter().map(certificate_tree).collect(),
            ),
            Tree::new(
                "signed artifact",
                vec![
                    Tree::leaf("media type", &target.media_type),
                    Tree::leaf("digest", &target.digest),
                    Tree::leaf("size", target.size),
                ],
            ),
        ]
    }

    fn unsigned_tree(&self) -> Vec<Tree> {
        let agent = self.envelope.signing_agent();
        let mut nodes: Vec<_> =
            agent.map(|agent| Tree::leaf("signing agent", agent)).into_iter().collect();
        nodes.extend(self.timestamp().map(|timestamp| {
            let nodes = match timestamp {
                Ok((certificates, span)) => {
                    let [from, to] =
                        span.ends().map(|end| ansic(&end.to_zoned_datetime(TimeZone::UTC)));
                    let certificates = certificates.iter().map(certificate_tree).collect();
                    vec![
                        Tree::leaf("timestamp", format!("[{from}, {to}]")),
                        Tree::new("certificates", certificates),
                    ]
                }
                Err(error) => vec![Tree::leaf("error", error)],
            };
            Tree::new("timestamp signature", nodes)
        }));
        nodes
    }

    pub(super) fn json(&self, mut members: Map<String, Value>) -> Value {
        let content = &self.content;
        let mut signed = Map::new();
        signed.insert("contentType".to_owned(), crate::signature::payload::MEDIA_TYPE.into());
        signed.insert("signingScheme".to_owned(), content.scheme().name().into());
        let time = match content.scheme() {
            SigningScheme::X509 => "signingTime",
            SigningScheme::SigningAuthority => "authenticSigningTime",
        };
        signed.insert(time.to_owned(), rfc3339(&zoned(content)).into());
        if let Some(expiry) = expiry(content) {
            signed.insert("expiry".to_owned(), rfc3339(&expiry).into());
        }
        signed.extend(self.extended().into_iter().map(|(name, value)| (name, value.into())));
        let metadata = content.payload().annotations();
        let target = content.payload().target();
        let rest = json!({
            "signatureAlgorithm": content.algorithm().to_string(),
            "signatureEnvelopeType": self.envelope.format().media_type(),
            "signedAttributes": signed,
            "userDefinedAttributes": if metadata.is_empty() { Value::Null } else { json!(metadata) },
            "unsignedAttributes": self.unsigned_json(),
            "certificates":
                content.certificates().iter().map(certificate_json).collect::<Vec<_>>(),
            "signedArtifact": {
                "mediaType": target.media_type,
                "digest": target.digest,
                "size": target.size,
            },
        });
        if let Value::Object(rest) = rest {
            members.extend(rest);
        }
        Value::Object(members)
    }

    fn unsigned_json(&self) -> Value {
        let mut members = Map::new();
        if let Some(agent) = self.envelope.signing_agent() {
            members.insert("signingAgent".to_owned(), agent.into());
        }
        if let Some(timestamp) = self.timestamp() {
            let value = match timestamp {
                Ok((certificates, span)) => {
                    let [from, to] = span.ends();
                    let certificates: Vec<_> = certificates.iter().map(certificate_json).collect();
                    json!({"timestamp": format!("[{from}, {to}]"), "certificates": certificates})
                }
                Err(error) => json!({"error": error}),
            };
            members.insert("timestampSignature".to_owned(), value);
        }
        Value::Object(members)
    }
}

/// When a token says it was made.
struct Span {
    at: Timestamp,
    accuracy: SignedDuration,
}

impl Span {
    fn ends(&self) -> [Timestamp; 2] {
        [
            self.at.saturating_sub(self.accuracy).unwrap_or(Timestamp::MIN),
            self.at.saturating_add(self.accuracy).unwrap_or(Timestamp::MAX),
        ]
    }
}

fn time_name(scheme: SigningScheme) -> &'static str {
    match scheme {
        SigningScheme::X509 => "signing time",
        SigningScheme::SigningAuthority => "authentic signing time",
    }
}

fn zoned(content: &EnvelopeContent) -> ZonedDateTime {
    content.written_signing_time()
}

fn expiry(content: &EnvelopeContent) -> Option<ZonedDateTime> {
    content.written_expiry()
}

fn ansic(time: &ZonedDateTime) -> String {
    time.strftime(ANSIC).to_string()
}

/// RFC 3339 with `Z` for UTC, as Go writes it.
fn rfc3339(time: &ZonedDateTime) -> String {
    let zone = if time.offset().is_zero() { "Z" } else { "%:z" };
    time.strftime(&format!("%Y-%m-%dT%H:%M:%S{zone}")).to_string()
}

fn certificate_tree(certificate: &Certificate) -> Tree {
    let fingerprint = hex(&certificate.sha256_fingerprint());
    Tree::new(
        format!("SHA256 fingerprint: {fingerprint}"),
        vec![
            Tree::leaf("issued to", certificate.subject()),
            Tree::leaf("issued by", certificate.issuer()),
            Tree::leaf("expiry", ansic(&certificate.not_after().to_zoned_datetime(TimeZone::UTC))),
        ],
    )
}

fn certificate_json(certificate: &Certificate) -> Value {
    json!({
        "SHA256Fingerprint": hex(&certificate.sha256_fingerprint()),
        "issuedTo": certificate.subject().to_string(),
        "issuedBy": certificate.issuer().to_string(),
        "expiry": certificate.not_after().to_string(),
    })
}
