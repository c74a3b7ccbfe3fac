//! Use case: a descriptor becomes a signature envelope in a signature store.
//!
//! ```text
//! Descriptor + metadata -> payload -> to-be-signed -> Signer -> envelope, verified -> SignatureStore
//! ```
//!
//! Implements spec/notation.md §1.1 and the signing half of §4.2. What is signed is exactly media
//! type, digest and size of the descriptor, and the user's metadata; whether the descriptor
//! describes anything is for the caller to know (§11). The clock is an argument.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::image::descriptor::Descriptor;
use crate::image::digest::hex;
use crate::signature::crypto::CryptoError;
use crate::signature::envelope::{
    self, Envelope, EnvelopeContent, EnvelopeError, EnvelopeFormat, SignRequest, SignedContent,
};
use crate::signature::payload::{MemberOrder, Payload, PayloadError};
use crate::signature::signer::{EnvelopeGenerator, EnvelopeOrder, Signer};
use crate::signature::timestamp::{Request, Response, TimestampError};
use crate::signature::x509::CertificateRules;
use crate::store::{Added, NewSignature, SignatureStore, StoreError, StoredSignature};

/// What the unsigned attribute `signingAgent` says.
const SIGNING_AGENT: &str = concat!("dockseal/", env!("CARGO_PKG_VERSION"));

/// Annotation with the fingerprints of the certificates, leaf first.
const THUMBPRINT: &str = "io.cncf.notary.x509chain.thumbprint#S256";

/// Annotation with the time of signing.
const CREATED: &str = "org.opencontainers.image.created";

/// How a signature is made.
#[derive(Clone, Debug)]
pub struct SignOptions {
    /// The format of the envelope.
    pub format: EnvelopeFormat,
    /// The time of signing.
    pub now: Timestamp,
    /// How long the signature is to be valid; forever when absent.
    pub expires_in: Option<SignedDuration>,
    /// Metadata to be signed with the artifact.
    pub user_metadata: BTreeMap<String, String>,
    /// How strict the signer's certificates are judged.
    pub certificate_rules: CertificateRules,
}

impl SignOptions {
    /// A JWS without expiry and metadata, signed at a moment.
    pub fn at(now: Timestamp) -> Self {
        Self {
            format: EnvelopeFormat::Jws,
            now,
            expires_in: None,
            user_metadata: BTreeMap::new(),
            certificate_rules: CertificateRules::Strict,
        }
    }
}

/// Signs `subject` and returns the envelope, which has been decoded and verified.
///
/// # Errors
/// [`SignError`]: the metadata is not allowed, the expiry can't be expressed, the signer fails, or
/// a certificate is not valid now.
pub fn sign(
    subject: &Descriptor,
    options: &SignOptions,
    signer: &dyn Signer,
) -> Result<NewSignature, SignError> {
    let payload = Payload::new(subject, options.user_metadata.clone())?;
    let mut request = SignRequest::new(payload, options.now);
    request.expiry =
        options.expires_in.map(|duration| expiry(options.now, duration)).transpose()?;
    request.signing_agent = Some(match signer.agent() {
        Some(agent) => format!("{SIGNING_AGENT} {agent}"),
        None => SIGNING_AGENT.to_owned(),
    });
    request.rules = options.certificate_rules;
    let (bytes, content) = envelope::sign(options.format, &request, signer)?;
    Ok(to_store(options.format, bytes, &content, BTreeMap::new()))
}

/// As [`sign`], with a whole envelope that somebody else makes (§8.2, `generate-envelope`). It must
/// sign what was asked for and verify; annotations come with it, and never replace ours.
///
/// # Errors
/// [`SignError`]; further when the envelope has no expiry although one was asked for.
pub fn generate(
    subject: &Descriptor,
    options: &SignOptions,
    generator: &dyn EnvelopeGenerator,
) -> Result<NewSignature, SignError> {
    let payload = Payload::new(subject, options.user_metadata.clone())?;
    let expires_in = options
        .expires_in
        .map(|duration| {
            expiry(options.now, duration)?;
            u64::try_from(duration.as_secs()).map_err(|_| SignError::Expiry { duration })
        })
        .transpose()?;
    let order = EnvelopeOrder {
        format: options.format,
        payload: &payload.to_json(MemberOrder::Declaration),
        expires_in,
    };
    let made = generator.generate(&order).map_err(envelope::SignError::from)?;
    let rules = options.certificate_rules;
    let content = envelope::check_generated(options.format, &made.bytes, &payload, rules)?;
    if expires_in.is_some() && content.expiry().is_none() {
        return Err(SignError::NoExpiry);
    }
    Ok(to_store(options.format, made.bytes, &content, made.annotations))
}

/// Asks a timestamping authority to countersign a signature (§6.1): `ask` carries the request, DER,
/// to it and returns its answer, `judge` verifies the token that answers it. How it gets there and
/// whom to believe is the caller's; what is returned verifies as `signature` did.
///
/// # Errors
/// What `ask` and `judge` return; [`SignError`] when the answer is none to this request, or the
/// signature can't have a timestamp.
pub fn countersign<T, E: From<SignError>>(
    signature: NewSignature,
    rules: CertificateRules,
    ask: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
    judge: impl FnOnce(&[u8], &Envelope, &SignedContent) -> Result<T, E>,
) -> Result<(NewSignature, T), E> {
    let envelope = Envelope::decode_any(&signature.bytes).map_err(SignError::from)?;
    let content = envelope.verify_integrity(rules).map_err(SignError::from)?;
    let request = Request::new(envelope.signature(), content.algorithm().hash())
        .map_err(SignError::Random)?;
    let answer = ask(request.der())?;
    let response = Response::from_der(&answer).map_err(SignError::from)?;
    let token = response.token_for(&request).map_err(SignError::from)?;
    let judged = judge(token, &envelope, &content)?;
    let bytes = with_token(&envelope, token, rules)?;
    Ok((NewSignature { bytes, ..signature }, judged))
}

/// The envelope with a token, which was judged. It verifies as it did without.
///
/// # Errors
/// [`SignError`] when the signature can't have a timestamp.
pub fn with_token(
    envelope: &Envelope,
    token: &[u8],
    rules: CertificateRules,
) -> Result<Vec<u8>, SignError> {
    let bytes = envelope.with_timestamp_token(token)?;
    Envelope::decode(&bytes, envelope.format())?.verify_integrity(rules)?;
    Ok(bytes)
}

/// Puts an envelope in the place of one that is stored, such as the same signature with a
/// timestamp. The old one goes when the new one is there: whenever this stops, one of them is left.
///
/// # Errors
/// [`SignError`] when the store can't be written, or the envelope can't be read.
pub fn replace(
    store: &dyn SignatureStore,
    subject: &Descriptor,
    old: &StoredSignature,
    envelope: &Envelope,
) -> Result<Added, SignError> {
    let content = envelope.unverified_content()?;
    let bytes = envelope.bytes().to_vec();
    let new = to_store(envelope.format(), bytes, &content, old.annotations.clone());
    let added = store.add(subject, &new)?;
    if added.location != old.location {
        store.remove(old)?;
    }
    Ok(added)
}

/// Attaches an envelope that exists to `subject`, which it must have signed. Whether it is trusted
/// is for who verifies it.
///
/// # Errors
/// [`AttachError`] when the envelope's integrity is broken, or it signs something else.
pub fn attachable(
    subject: &Descriptor,
    bytes: &[u8],
    rules: CertificateRules,
) -> Result<NewSignature, AttachError> {
    let envelope = Envelope::decode_any(bytes)?;
    let content = envelope.verify_integrity(rules)?;
    let signed = content.payload().target();
    if !signed.same_content(subject) {
        return Err(AttachError::ContentMismatch {
            signed: Box::new(signed.clone()),
            found: Box::new(subject.clone()),
        });
    }
    Ok(to_store(envelope.format(), bytes.to_vec(), &content, BTreeMap::new()))
}

/// The envelope with the annotations that notation gives signature manifests (§9.1), over those
/// it came with.
fn to_store(
    format: EnvelopeFormat,
    bytes: Vec<u8>,
    content: &EnvelopeContent,
    mut annotations: BTreeMap<String, String>,
) -> NewSignature {
    let thumbprints: Vec<_> = content
        .certificates()
        .iter()
        .map(|certificate| format!("\"{}\"", hex(&certificate.sha256_fingerprint())))
        .collect();
    annotations.insert(THUMBPRINT.to_owned(), format!("[{}]", thumbprints.join(",")));
    annotations.insert(CREATED.to_owned(), content.signing_time().to_string());
    NewSignature { bytes, media_type: format.media_type(), annotations }
}

/// Signs `subject` and keeps the envelope in a store.
///
/// # Errors
/// [`SignError`], as [`sign`]; or the store can't be written, and then nothing was.
pub fn sign_into(
    store: &dyn SignatureStore,
    subject: &Descriptor,
    options: &SignOptions,
    signer: &dyn Signer,
) -> Result<Added, SignError> {
    Ok(store.add(subject, &sign(subject, options, signer)?)?)
}

fn expiry(now: Timestamp, duration: SignedDuration) -> Result<Timestamp, SignError> {
    let refused = || SignError::Expiry { duration };
    if duration.is_negative() || duration.subsec_nanos() != 0 {
        return Err(refused());
    }
    now.checked_add(duration).map_err(|_| refused())
}

/// Why something was not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The envelope can't be made.
    #[error(transparent)]
    Envelope(#[from] envelope::SignError),
    /// The own result can't be read.
    #[error(transparent)]
    OwnResult(#[from] EnvelopeError),
    /// The expiry is negative, has fractions of seconds, or lies beyond the calendar.
    #[error(
        "expiry duration {duration:#} must be a positive number of whole seconds, and end before the \
         year 10000"
    )]
    Expiry {
        /// The duration that was asked for.
        duration: SignedDuration,
    },
    /// An envelope that was made elsewhere lacks the expiry that was asked for.
    #[error("generated signature has no expiry, although one was asked for")]
    NoExpiry,
    /// The artifact or the metadata can't be signed.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// There is no randomness for a request.
    #[error("no nonce for the timestamp: {0}")]
    Random(CryptoError),
    /// The signature could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What a timestamping authority answered is not what it was asked for.
    #[error(transparent)]
    Timestamp(#[from] TimestampError),
}

/// Why an envelope can't be attached to something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// It signs something else.
    #[error("the signature is for {signed}, not for {found}")]
    ContentMismatch {
        /// What it signs.
        signed: Box<Descriptor>,
        /// What it was to be attached to.
        found: Box<Descriptor>,
    },
    /// It is no envelope, or its integrity is broken.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
}
