//! What can be wrong with a timestamp.

use crate::signature::crypto::CryptoError;
use crate::signature::x509::{CertificateError, ChainError};

/// Why there is no timestamp, or none that can be believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampError {
    /// Larger than [`MAX_TOKEN_BYTES`](super::MAX_TOKEN_BYTES).
    #[error("timestamp of {found} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Size in bytes.
        found: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not the structure it should be.
    #[error("{part} is malformed: {cause}")]
    Malformed {
        /// The part that can't be read.
        part: &'static str,
        /// What the reader objects to.
        cause: der::Error,
    },
    /// A part has a value that is not allowed.
    #[error("{part}: {what}")]
    Invalid {
        /// The part in question.
        part: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The authority refused.
    #[error("timestamping authority answered with status {status}{}", detail(.text))]
    Refused {
        /// The PKIStatus.
        status: u8,
        /// What the authority says about it, may be empty.
        text: String,
    },
    /// The token is about other content.
    #[error("timestamp is not about this signature")]
    ImprintMismatch,
    /// The response is not the answer to this request.
    #[error("nonce of the timestamp is not the one of the request")]
    NonceMismatch,
    /// There is no signer.
    #[error("timestamp has no signer")]
    NoSigner,
    /// The signer's certificate is not in the token.
    #[error("certificate of the timestamp's signer is not in the token")]
    NoSigningCertificate,
    /// The signed reference to the certificate (SigningCertificateV2) does not fit it.
    #[error("timestamp refers to another signing certificate")]
    CertificateMismatch,
    /// The signed digest is not the one of the content.
    #[error("digest in the timestamp is not the one of its content")]
    DigestMismatch,
    /// The signature of the token is wrong.
    #[error("signature of the timestamp is invalid: {0}")]
    Signature(#[from] CryptoError),
    /// A certificate in the token can't be read.
    #[error("certificate in the timestamp: {0}")]
    Certificate(#[from] CertificateError),
    /// The chain does not lead to a trusted root of a timestamping authority.
    #[error("certificate {subject:?} of the timestamping authority leads to no trusted root")]
    Untrusted {
        /// Subject of the signing certificate.
        subject: String,
    },
    /// The chain leads to a trusted root, but breaks a rule.
    #[error("certificate chain of the timestamping authority: {0}")]
    Chain(#[from] ChainError),
}

fn detail(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

impl TimestampError {
    pub(super) fn malformed(part: &'static str, cause: der::Error) -> Self {
        Self::Malformed { part, cause }
    }
}
