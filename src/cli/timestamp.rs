//! `dockseal timestamp`: RFC 3161 countersignatures by way of files (spec/notation.md §6.4).
//!
//! A token is no part of what is signed, so a host without a network writes a request, somebody
//! carries it to a timestamping authority, and the answer is attached later.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use crate::fsutil::{self, Mode};
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::sign::{self, with_token};
use crate::signature::envelope::{Envelope, SignedContent};
use crate::signature::timestamp::{MAX_TOKEN_BYTES, Request, Response, VerifiedTimestamp};
use crate::signature::x509::CertificateRules;
use crate::store::cache::SignatureCache;
use crate::store::detached::DetachedFiles;
use crate::store::{MAX_ENVELOPE_BYTES, SignatureStore, StoredSignature};

use super::authority::AuthorityArgs;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Tone;
use super::output_file::write_data;
use super::progress::ProgressArgs;
use super::read_input;
use super::subject::{Subject, in_layout};

// Subcommands of `dockseal timestamp`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum TimestampCommand {
    /// Write the request for a timestamp of a signature (application/timestamp-query)
    Request(RequestArgs),
    /// Put the answer (application/timestamp-reply) into the signature file
    Attach(AttachArgs),
    /// Verify the timestamp of a signature
    Verify(VerifyArgs),
}

impl TimestampCommand {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Request(args) => args.run(context),
            Self::Attach(args) => args.run(context),
            Self::Verify(args) => args.run(context),
        }
    }
}

// Which signature is meant.
#[derive(Debug, clap::Args)]
struct SignatureArgs {
    /// The signature file; with --oci-layout the signed image, DIR:TAG or DIR@DIGEST, or a tar in place
    /// of DIR; with --cached the digest of the signed manifest
    #[arg(value_name = "SIGNATURE")]
    place: String,
    /// The signatures are in an OCI image layout or archive, beside the image that SIGNATURE names
    #[arg(long)]
    oci_layout: bool,
    /// The signatures are in the signature cache
    #[arg(long, conflicts_with = "oci_layout")]
    cached: bool,
    /// Of several signatures the one with this digest, as `list` shows it
    #[arg(long, value_name = "DIGEST")]
    only: Option<Digest>,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// A place of signatures.
struct Place {
    store: Box<dyn SignatureStore>,
    /// Whose signatures; of a file that is not known before it is read.
    subject: Descriptor,
}

/// A signature whose integrity is proven.
struct Found {
    stored: StoredSignature,
    envelope: Envelope,
    content: SignedContent,
}

impl Found {
    fn new(stored: StoredSignature, bytes: &[u8]) -> Result<Self, Failure> {
        let envelope = Envelope::decode_any(bytes)?;
        let content = envelope.verify_integrity(CertificateRules::Strict)?;
        Ok(Self { stored, envelope, content })
    }

    fn name(&self) -> impl std::fmt::Display {
        self.stored.location.display()
    }
}

impl SignatureArgs {
    fn is_file(&self) -> bool {
        !self.oci_layout && !self.cached
    }

    /// The file, where it is one.
    fn file(&self) -> Option<&Path> {
        self.is_file().then(|| Path::new(&self.place))
    }

    fn place(&self, context: &Context) -> Result<Place, Failure> {
        if self.oci_layout {
            let subject = in_layout(&self.place)?.reporting(self.progress.bar(context));
            let Subject { layout: Some(layout), descriptor, .. } = subject else {
                return Err(Failure::usage("an image in an OCI layout is needed"));
            };
            return Ok(Place { store: Box::new(layout), subject: descriptor });
        }
        let nothing = |digest| Descriptor::new(String::new(), digest, 0);
        if self.cached {
            let digest: Digest = self.place.parse().map_err(|_| {
                let message = format!("{:?} is not the digest of a manifest", self.place);
                Failure::usage(message).with_hint(Some("dockseal cache list".to_owned()))
            })?;
            let cache = SignatureCache::new(&context.dirs.cache()?);
            return Ok(Place { store: Box::new(cache), subject: nothing(digest) });
        }
        let file = DetachedFiles::new(self.place.clone().into(), None);
        Ok(Place { store: Box::new(file), subject: nothing(Digest::sha256(b"")) })
    }

    /// The signatures of the place, or the one that is asked for. What can't be read is an error:
    /// it might be the one that is meant.
    fn find(&self, context: &Context) -> Result<(Place, Vec<Found>), Failure> {
        let place = self.place(context)?;
        let listed = place.store.list(&place.subject)?;
        let is_meant = |each: &StoredSignature| self.only.as_ref().is_none_or(|it| each.is(it));
        let mut found = Vec::new();
        for stored in listed.into_iter().filter(is_meant) {
            let bytes = match self.file() {
                Some(file) => read_input(file, MAX_ENVELOPE_BYTES)?,
                None => place.store.read(&stored)?,
            };
            let place = stored.location.clone();
            found.push(Found::new(stored, &bytes).map_err(|failure| failure.about(&place))?);
        }
        if found.is_empty() {
            let which = self.only.as_ref().map(|only| format!(" {only}")).unwrap_or_default();
            let message = format!("no signature{which} is associated with {}", self.place);
            return Err(Failure::new(Exit::NoSignature, message));
        }
        Ok((place, found))
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal timestamp request net-monitor.sig -o net-monitor.tsq
  dockseal timestamp request --oci-layout layout:v1 -o net-monitor.tsq")]
pub(super) struct RequestArgs {
    #[command(flatten)]
    signature: SignatureArgs,
    /// Write the request to FILE
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl RequestArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let (_, found) = self.signature.find(context)?;
        let [signature] = found.as_slice() else {
            let failure = Failure::new(Exit::Malformed, "a request is about one signature")
                .with_hint(Some("--only DIGEST".to_owned()));
            let names = found.iter().map(|each| each.name().to_string());
            return Err(names.fold(failure, Failure::with_detail));
        };
        let hash = signature.content.algorithm().hash();
        let request = Request::new(signature.envelope.signature(), hash)
            .map_err(|error| Failure::of(Exit::Internal, &error))?;
        write_data(request.der(), self.output.as_deref(), self.signature.file(), context)
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Of several signatures, the one that the answer is about gets it.

Examples:
  dockseal timestamp attach net-monitor.sig net-monitor.tsr
  dockseal timestamp attach --oci-layout layout:v1 net-monitor.tsr
  dockseal timestamp attach --cached sha256:... net-monitor.tsr --timestamp-root-cert tsa.crt")]
pub(super) struct AttachArgs {
    #[command(flatten)]
    signature: SignatureArgs,
    /// The authority's answer
    #[arg(value_name = "RESPONSE")]
    response: PathBuf,
    #[command(flatten)]
    authority: AuthorityArgs,
    /// Write the signature to FILE [default: in place]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl AttachArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        if self.output.is_none() && self.signature.file().is_some_and(|file| file == "-") {
            return Err(Failure::usage("a signature from standard input needs --output FILE"));
        }
        let (place, found) = self.signature.find(context)?;
        let response = read_input(&self.response, MAX_TOKEN_BYTES as u64)?;
        let response = Response::from_der(&response)?;
        let (mut chosen, mut refused) = (None, None);
        for signature in found {
            match response.token_about(signature.envelope.signature()) {
                Ok(token) => chosen = Some((signature, token)),
                Err(error) => refused = Some(error),
            }
        }
        let Some((signature, token)) = chosen else {
            let error = refused.map(Failure::from);
            return Err(error.unwrap_or_else(|| Failure::usage("no signature is meant")));
        };
        let Found { stored, envelope, content } = &signature;
        let timestamp = self.authority.open(context)?.check(token, envelope, content)?;
        let updated = with_token(envelope, token, CertificateRules::Strict)?;
        if let Some(target) = &self.output {
            fsutil::write_atomic(target, &updated, Mode::Private)?;
            return report(context, "timestamped", &[(target, timestamp)]);
        }
        let updated = Envelope::decode(&updated, envelope.format())?;
        let added = sign::replace(&*place.store, &place.subject, stored, &updated)?;
        report(context, "timestamped", &[(&added.location, timestamp)])
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal timestamp verify --oci-layout layout:v1 --timestamp-root-cert tsa.crt")]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    signature: SignatureArgs,
    #[command(flatten)]
    authority: AuthorityArgs,
}

impl VerifyArgs {
    /// All of several signatures must have one; nothing is reported before the last one has.
    fn run(self, context: &Context) -> Result<(), Failure> {
        let (_, found) = self.signature.find(context)?;
        let mut authority = None;
        let mut verified = Vec::new();
        for Found { stored, envelope, content } in &found {
            let token = envelope.timestamp_token().ok_or_else(|| {
                let message = "no timestamp countersignature was found in the signature envelope";
                let failure = Failure::new(Exit::NoSignature, message);
                match found.len() {
                    1 => failure,
                    _ => failure.prefixed(&stored.location.display().to_string()),
                }
            })?;
            let authority = match &authority {
                Some(authority) => authority,
                None => authority.insert(self.authority.open(context)?),
            };
            verified.push((stored.location.as_path(), authority.check(token, envelope, content)?));
        }
        context.printer.note("who signed was not verified, only when");
        report(context, "trusted", &verified)
    }
}

/// Tells of signatures that were timestamped, or whose timestamps are trusted.
fn report(
    context: &Context,
    verdict: &str,
    timestamps: &[(&Path, VerifiedTimestamp)],
) -> Result<(), Failure> {
    let (what, of) = match verdict {
        "trusted" => ("Successfully verified timestamp", " of"),
        _ => ("Successfully timestamped", ""),
    };
    let mut told = Vec::new();
    for (location, timestamp) in timestamps {
        let (time, by) = (timestamp.generated(), timestamp.chain().leaf().subject());
        let rest = format_args!("{of} {}: {time} by {by}", location.display());
        context.printer.verdict(Tone::Good, what, rest)?;
        told.push(json!({
            "location": location,
            "time": time.to_string(),
            "accuracySeconds": timestamp.accuracy().as_secs_f64(),
            "authority": by.to_string(),
        }));
    }
    Ok(context.printer.json(json!({"verdict": verdict, "timestamps": told}))?)
}
