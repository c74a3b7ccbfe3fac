//! Signature envelopes: JWS and COSE (spec §2, §3).
//!
//! ```text
//! bytes ── Envelope::decode ──> Envelope            form is strict, nothing is proven
//! Envelope ── verify_integrity ──> SignedContent    signature, headers, payload, chain rules hold
//! ```
//!
//! "Integrity" is the first of the verification steps (spec §5.4). It proves that the content was
//! signed by the key of the leaf certificate and that the chain is well formed; who that is, and
//! whether time and policy agree, is for others to say.

mod cbor_gate;
mod cose;
#[cfg(test)]
mod cose_tests;
mod error;
mod header;
mod jws;
mod sign;
#[cfg(test)]
mod sign_tests;
#[cfg(test)]
mod tests;
mod time;

use std::fmt;

use jiff::{Timestamp, ZonedDateTime};

pub use cbor_gate::{CborError, CborProblem};
pub use cose::StructureError;
pub use error::{AttributeProblem, EnvelopeError};
pub use header::{
    AttributeKey, AttributeValue, Criticality, ExtendedAttribute, PluginRequirement, SigningScheme,
};
pub use sign::{SignError, SignRequest, check_generated, sign};

use self::header::{ProtectedHeader, SignedAttributes};
use crate::signature::algorithm::SignatureAlgorithm;
use crate::signature::payload::Payload;
use crate::signature::x509::{Certificate, CertificateChain, CertificateRules};

/// Largest envelope from any source, in bytes (spec §2.4).
pub const MAX_ENVELOPE_BYTES: usize = 32 * 1024 * 1024;

/// Deepest nesting of JSON or CBOR inside an envelope (N-24).
pub const MAX_DEPTH: usize = 32;

/// Certificates that are looked at while an envelope is decoded (spec §2.4); the limit of a chain
/// (N-20) applies later.
pub const MAX_ENCODED_CERTIFICATES: usize = 100;

/// The two formats of envelopes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EnvelopeFormat {
    /// JSON Web Signature, flattened JSON serialisation.
    Jws,
    /// COSE_Sign1, tagged.
    Cose,
}

impl EnvelopeFormat {
    /// Media type of a blob with such an envelope.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jws => "application/jose+json",
            Self::Cose => "application/cose",
        }
    }

    /// The format a media type names; exact, as notation compares.
    #[must_use]
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        [Self::Jws, Self::Cose].into_iter().find(|format| format.media_type() == media_type)
    }

    /// The name in options and file names: `jws` or `cose`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Jws => "jws",
            Self::Cose => "cose",
        }
    }

    /// The format a file name announces: `….jws.sig` or `….cose.sig`, case does not count.
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<Self> {
        let mut parts = name.rsplit('.');
        let is = |part: Option<&str>, text: &str| {
            part.is_some_and(|part| part.eq_ignore_ascii_case(text))
        };
        if !is(parts.next(), "sig") {
            return None;
        }
        let format = parts.next();
        // Something has to stand before it.
        parts.next()?;
        [Self::Jws, Self::Cose].into_iter().find(|candidate| is(format, candidate.name()))
    }

    /// The format content of this kind starts like: `{` is JWS, tag 18 is COSE.
    #[must_use]
    pub fn from_content(bytes: &[u8]) -> Option<Self> {
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        match (bytes.first(), first) {
            (Some(0xd2), _) => Some(Self::Cose),
            (_, Some(b'{')) => Some(Self::Jws),
            _ => None,
        }
    }
}

impl fmt::Display for EnvelopeFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A decoded envelope. Its form is strict; nothing in it is proven.
#[derive(Clone, Debug)]
pub struct Envelope {
    format: EnvelopeFormat,
    bytes: Vec<u8>,
    parts: Parts,
}

/// What both formats consist of.
#[derive(Clone, Debug)]
struct Parts {
    /// The bytes the signature is over, made from what was received without encoding it anew.
    to_be_signed: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
    certificates: Vec<Vec<u8>>,
    /// The algorithm as the header names it.
    algorithm: String,
    header: ProtectedHeader,
    signing_agent: Option<String>,
    timestamp_token: Option<Vec<u8>>,
}

impl Envelope {
    /// Decodes an envelope whose format is known, by its media type or file name.
    ///
    /// # Errors
    /// When the bytes are not strictly of that format, or exceed a limit.
    pub fn decode(bytes: &[u8], format: EnvelopeFormat) -> Result<Self, EnvelopeError> {
        if bytes.len() > MAX_ENVELOPE_BYTES {
            return Err(EnvelopeError::TooLarge { found: bytes.len(), limit: MAX_ENVELOPE_BYTES });
        }
        if EnvelopeFormat::from_content(bytes).is_some_and(|found| found != format) {
            return Err(EnvelopeError::FormatMismatch { declared: format });
        }
        let parts = match format {
            EnvelopeFormat::Jws => jws::decode(bytes)?,
            EnvelopeFormat::Cose => cose::decode(bytes)?,
        };
        Ok(Self { format, bytes: bytes.to_vec(), parts })
    }

    /// Decodes an envelope of either format, told by its first byte.
    ///
    /// # Errors
    /// As [`Self::decode`]; [`EnvelopeError::UnknownFormat`] if it starts like neither.
    pub fn decode_any(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let format = EnvelopeFormat::from_content(bytes).ok_or(EnvelopeError::UnknownFormat)?;
        Self::decode(bytes, format)
    }

    /// The format.
    #[must_use]
    pub fn format(&self) -> EnvelopeFormat {
        self.format
    }

    /// The bytes as received.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bare signature; what a timestamp token is about.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.parts.signature
    }

    /// The program that claims to have signed. **Not signed**, anybody can change it.
    #[must_use]
    pub fn signing_agent(&self) -> Option<&str> {
        self.parts.signing_agent.as_deref()
    }

    /// The RFC 3161 token. Not signed, but it carries its own proof.
    #[must_use]
    pub fn timestamp_token(&self) -> Option<&[u8]> {
        self.parts.timestamp_token.as_deref()
    }

    /// What the envelope says, **without any proof that it was signed**: for looking at envelopes,
    /// never for decisions.
    ///
    /// # Errors
    /// When headers, payload or certificates are not what they have to be.
    pub fn unverified_content(&self) -> Result<EnvelopeContent, EnvelopeError> {
        self.content_with(self.certificates()?)
    }

    fn content_with(
        &self,
        certificates: Vec<Certificate>,
    ) -> Result<EnvelopeContent, EnvelopeError> {
        let algorithm = self.algorithm(&certificates)?;
        let attributes = self.parts.header.attributes()?;
        let payload = Payload::from_json(&self.parts.payload)?;
        let signature = self.parts.signature.clone();
        let payload_json = self.parts.payload.clone();
        Ok(EnvelopeContent {
            payload,
            payload_json,
            attributes,
            algorithm,
            certificates,
            signature,
        })
    }

    /// Verifies that the content is signed by the key of the leaf certificate and that headers,
    /// payload and chain keep the rules (spec §2.5, steps 4 to 8, and the payload of §1).
    ///
    /// A critical attribute that nobody can process is refused (N-01). If the envelope names a
    /// verification plugin, that plugin may process them, so the caller **must** settle it with
    /// [`EnvelopeContent::require_processed`] after the plugin ran, or refuse.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify_integrity(
        &self,
        rules: CertificateRules,
    ) -> Result<SignedContent, EnvelopeError> {
        let content = self.verify_signature(rules)?;
        if content.verification_plugin().is_none() {
            content.require_processed(&[])?;
        }
        Ok(content)
    }

    /// Everything of [`Self::verify_integrity`] but the rule about critical attributes.
    fn verify_signature(&self, rules: CertificateRules) -> Result<SignedContent, EnvelopeError> {
        let content = self.signed_content(self.certificates()?)?;
        let chain = CertificateChain::code_signing(content.certificates.clone(), rules)?;
        Ok(SignedContent { content, chain })
    }

    /// As [`Self::verify_signature`], of an envelope that has to have just this chain, which was
    /// judged before.
    fn verify_signature_by(&self, chain: CertificateChain) -> Result<SignedContent, EnvelopeError> {
        let expected = chain.certificates().iter().map(Certificate::der);
        if !self.parts.certificates.iter().map(Vec::as_slice).eq(expected) {
            return Err(EnvelopeError::OtherCertificates);
        }
        let content = self.signed_content(chain.certificates().to_vec())?;
        Ok(SignedContent { content, chain })
    }

    /// What the key of the first certificate signed.
    fn signed_content(
        &self,
        certificates: Vec<Certificate>,
    ) -> Result<EnvelopeContent, EnvelopeError> {
        self.algorithm(&certificates)?;
        let leaf = certificates.first().ok_or(EnvelopeError::NoCertificates)?;
        leaf.public_key().verify_envelope(&self.parts.to_be_signed, &self.parts.signature)?;
        self.content_with(certificates)
    }

    /// The same envelope with another timestamp token, or its first one. The token is not judged.
    ///
    /// # Errors
    /// When the scheme knows no timestamps.
    pub fn with_timestamp_token(&self, token: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
        let scheme = self.parts.header.attributes()?.scheme;
        if scheme != SigningScheme::X509 {
            return Err(EnvelopeError::TimestampNotAllowed { scheme });
        }
        match self.format {
            EnvelopeFormat::Jws => jws::with_timestamp_token(&self.bytes, token),
            EnvelopeFormat::Cose => cose::with_timestamp_token(&self.bytes, token),
        }
    }

    fn certificates(&self) -> Result<Vec<Certificate>, EnvelopeError> {
        if self.parts.certificates.is_empty() {
            return Err(EnvelopeError::NoCertificates);
        }
        self.parts
            .certificates
            .iter()
            .enumerate()
            .map(|(index, der)| {
                Certificate::from_der(der)
                    .map_err(|cause| EnvelopeError::Certificate { index, cause })
            })
            .collect()
    }

    /// The algorithm of the leaf's key, which the header has to name too.
    fn algorithm(&self, certificates: &[Certificate]) -> Result<SignatureAlgorithm, EnvelopeError> {
        let leaf = certificates.first().ok_or(EnvelopeError::NoCertificates)?;
        let spec = leaf
            .key_spec()
            .ok_or_else(|| EnvelopeError::UnsupportedKey { key: leaf.public_key().describe() })?;
        let expected = match self.format {
            EnvelopeFormat::Jws => jws::algorithm_name(spec),
            EnvelopeFormat::Cose => cose::algorithm_name(spec),
        };
        if self.parts.algorithm != expected {
            return Err(EnvelopeError::AlgorithmMismatch {
                found: self.parts.algorithm.clone(),
                expected: spec.signature_algorithm(),
            });
        }
        Ok(spec.signature_algorithm())
    }
}

/// What an envelope says: payload, signed attributes, certificates, signature.
///
/// On its own it is a claim; inside [`SignedContent`] it is proven.
#[derive(Clone, Debug)]
pub struct EnvelopeContent {
    payload: Payload,
    payload_json: Vec<u8>,
    attributes: SignedAttributes,
    algorithm: SignatureAlgorithm,
    certificates: Vec<Certificate>,
    signature: Vec<u8>,
}

impl EnvelopeContent {
    /// The artifact and the signer's annotations.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The JSON of the payload as it was signed, whatever else it contains.
    #[must_use]
    pub fn payload_json(&self) -> &[u8] {
        &self.payload_json
    }

    /// Who vouches for the time of signing.
    #[must_use]
    pub fn scheme(&self) -> SigningScheme {
        self.attributes.scheme
    }

    /// The time of signing, whoever vouches for it.
    #[must_use]
    pub fn signing_time(&self) -> Timestamp {
        self.attributes.time.at
    }

    /// The time a signing authority guarantees; `None` under `notary.x509`, where the signer
    /// claims what it likes.
    #[must_use]
    pub fn authentic_signing_time(&self) -> Option<Timestamp> {
        (self.scheme() == SigningScheme::SigningAuthority).then_some(self.attributes.time.at)
    }

    /// When the signature expires.
    #[must_use]
    pub fn expiry(&self) -> Option<Timestamp> {
        self.attributes.expiry.map(|expiry| expiry.at)
    }

    /// The time of signing in the zone the signer wrote it in; for showing only.
    #[must_use]
    pub fn written_signing_time(&self) -> ZonedDateTime {
        self.attributes.time.zoned()
    }

    /// The expiry in the zone the signer wrote it in; for showing only.
    #[must_use]
    pub fn written_expiry(&self) -> Option<ZonedDateTime> {
        self.attributes.expiry.map(time::Moment::zoned)
    }

    /// Has it expired? From the very second of expiry on (spec §4.2).
    #[must_use]
    pub fn is_expired_at(&self, now: Timestamp) -> bool {
        self.expiry().is_some_and(|expiry| now >= expiry)
    }

    /// Signed attributes beyond the specification, in the order of the envelope.
    #[must_use]
    pub fn extended_attributes(&self) -> &[ExtendedAttribute] {
        &self.attributes.extended
    }

    /// The plugin the signer demands, if any.
    #[must_use]
    pub fn verification_plugin(&self) -> Option<&PluginRequirement> {
        self.attributes.plugin.as_ref()
    }

    /// The algorithm of the signature.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The certificates, leaf first.
    #[must_use]
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The bare signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Checks that every critical attribute is among those a verification plugin `processed`
    /// (N-01). Attributes with integer labels are never told to plugins and so never processed.
    ///
    /// # Errors
    /// [`EnvelopeError::UnprocessedCritical`] with the first that is not.
    pub fn require_processed(&self, processed: &[&str]) -> Result<(), EnvelopeError> {
        let unprocessed = self.attributes.extended.iter().find(|attribute| {
            attribute.criticality == Criticality::Critical
                && !attribute.key.as_text().is_some_and(|name| processed.contains(&name))
        });
        match unprocessed {
            Some(attribute) => {
                Err(EnvelopeError::UnprocessedCritical { name: attribute.key.clone() })
            }
            None => Ok(()),
        }
    }
}

/// Content whose integrity is proven. There is no other way to get one than
/// [`Envelope::verify_integrity`].
#[derive(Clone, Debug)]
pub struct SignedContent {
    content: EnvelopeContent,
    chain: CertificateChain,
}

impl SignedContent {
    /// The chain, which keeps the rules of spec §4.1. Nobody has said yet that it is trusted.
    #[must_use]
    pub fn chain(&self) -> &CertificateChain {
        &self.chain
    }
}

impl std::ops::Deref for SignedContent {
    type Target = EnvelopeContent;

    fn deref(&self) -> &EnvelopeContent {
        &self.content
    }
}
