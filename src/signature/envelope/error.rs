//! What can be wrong with an envelope.

use std::fmt;

use super::EnvelopeFormat;
use super::cbor_gate::CborError;
use super::cose::StructureError;
use super::header::{AttributeKey, SigningScheme};
use crate::image::json::JsonError;
use crate::signature::algorithm::SignatureAlgorithm;
use crate::signature::crypto::CryptoError;
use crate::signature::payload::PayloadError;
use crate::signature::x509::{CertificateError, ChainError};

/// Why an envelope is refused: it can't be decoded, or its integrity is broken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Larger than [`MAX_ENVELOPE_BYTES`](super::MAX_ENVELOPE_BYTES).
    #[error("envelope of {found} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Size in bytes.
        found: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The first byte fits neither format.
    #[error("content is neither a JWS nor a COSE envelope")]
    UnknownFormat,
    /// File name or media type say one thing, the content another (N-23).
    #[error("envelope is declared as {declared} but its content is not")]
    FormatMismatch {
        /// The format that was declared.
        declared: EnvelopeFormat,
    },
    /// Not strict JSON.
    #[error("{part}: {cause}")]
    Json {
        /// The part of the envelope.
        part: &'static str,
        /// What the gate objects to.
        cause: JsonError,
    },
    /// JSON of another shape than the envelope's.
    #[error("{part} has an unexpected shape: {cause}")]
    Shape {
        /// The part of the envelope.
        part: &'static str,
        /// What serde objects to.
        cause: serde_json::Error,
    },
    /// Not strict CBOR.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// CBOR that is not the structure of a COSE object.
    #[error(transparent)]
    Cose(#[from] StructureError),
    /// A member is not base64 in its only accepted form (N-14).
    #[error("{member} is not strict base64: {cause}")]
    Base64 {
        /// The member.
        member: &'static str,
        /// What the decoder objects to.
        cause: base64::DecodeError,
    },
    /// A header parameter is not as the specification wants it.
    #[error("{name} {problem}")]
    Attribute {
        /// Name of the parameter.
        name: AttributeKey,
        /// What is wrong.
        problem: AttributeProblem,
    },
    /// The signing scheme is none of the two.
    #[error("signing scheme {found:?} is not supported")]
    UnsupportedScheme {
        /// The value in the envelope.
        found: String,
    },
    /// The payload has another media type.
    #[error("content type is {found:?}, expected {expected:?}")]
    ContentType {
        /// The value in the envelope.
        found: String,
        /// The only accepted one.
        expected: &'static str,
    },
    /// The algorithm in the header is not the one of the leaf's key (spec §2.2).
    #[error("signature algorithm is {found}, the signing certificate's key demands {expected}")]
    AlgorithmMismatch {
        /// What the envelope says.
        found: String,
        /// What the key demands.
        expected: SignatureAlgorithm,
    },
    /// The leaf's key is none of spec §2.2.
    #[error("key of the signing certificate is not supported: {key}")]
    UnsupportedKey {
        /// The key in words.
        key: String,
    },
    /// A critical attribute that nobody processes (N-01).
    #[error("critical attribute {name} is not known, nor processed by a plugin")]
    UnprocessedCritical {
        /// Name of the attribute.
        name: AttributeKey,
    },
    /// Expiry is not after the time of signing.
    #[error("expiry is not after the signing time")]
    ExpiryNotAfterSigning,
    /// There are no certificates.
    #[error("certificate chain is not present")]
    NoCertificates,
    /// The certificates are others than those it was to have.
    #[error("certificate chain is not the signer's")]
    OtherCertificates,
    /// More certificates than are looked at.
    #[error("{found} certificates are more than the limit of {limit}")]
    TooManyCertificates {
        /// Number of certificates.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A certificate can't be read.
    #[error("certificate {index} of the chain: {cause}")]
    Certificate {
        /// Position in the chain; 0 is the leaf.
        index: usize,
        /// What is wrong with it.
        cause: CertificateError,
    },
    /// The chain breaks a rule.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The signature does not fit content and certificate.
    #[error("signature is invalid: {0}")]
    Signature(#[from] CryptoError),
    /// The payload is not one.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The envelope can't have a timestamp: only scheme `notary.x509` knows them.
    #[error("envelopes of scheme {scheme} carry no timestamp")]
    TimestampNotAllowed {
        /// The scheme.
        scheme: SigningScheme,
    },
}

/// What is wrong with a header parameter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AttributeProblem {
    /// It has to be there.
    Missing,
    /// It must not be empty.
    Empty,
    /// It must not be there, or not in this place.
    NotAllowed,
    /// Its value is of another type.
    WrongType {
        /// The type it should have.
        expected: &'static str,
    },
    /// Its value is not a time of the accepted form and range (N-15, N-16, N-18).
    NotATime,
    /// It has to be listed as critical.
    NotCritical,
    /// It must not be listed as critical.
    MustNotBeCritical,
    /// It is listed as critical but not there.
    CriticalButAbsent,
    /// It is listed as critical twice.
    CriticalTwice,
}

impl fmt::Display for AttributeProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::Empty => f.write_str("is empty"),
            Self::NotAllowed => f.write_str("is not allowed here"),
            Self::WrongType { expected } => write!(f, "is not {expected}"),
            Self::NotATime => f.write_str("is not a valid time"),
            Self::NotCritical => f.write_str("is not marked critical"),
            Self::MustNotBeCritical => f.write_str("must not be marked critical"),
            Self::CriticalButAbsent => f.write_str("is marked critical but not present"),
            Self::CriticalTwice => f.write_str("is marked critical twice"),
        }
    }
}

impl EnvelopeError {
    pub(super) fn attribute(name: &str, problem: AttributeProblem) -> Self {
        Self::Attribute { name: AttributeKey::Text(name.to_owned()), problem }
    }
}
