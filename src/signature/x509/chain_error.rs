//! What can be wrong with a chain, or at least worth telling.

use der::asn1::ObjectIdentifier;
use jiff::Timestamp;

/// Something that is accepted, but worth telling.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainWarning {
    /// basicConstraints of a CA is not marked critical (N-19).
    #[error("basic constraints of CA certificate {subject:?} are not marked critical")]
    BasicConstraintsNotCritical {
        /// Subject of the CA certificate.
        subject: String,
    },
}

/// The rule a chain breaks.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// There is no certificate at all.
    #[error("certificate chain is empty")]
    Empty,
    /// Longer than [`MAX_CHAIN_LENGTH`](super::MAX_CHAIN_LENGTH) (N-20).
    #[error("certificate chain of {found} certificates is longer than the limit of {limit}")]
    TooLong {
        /// Number of certificates.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A chain of one whose certificate is not signed by itself.
    #[error("single certificate {subject:?} is not self-signed")]
    SingleNotSelfSigned {
        /// Subject of the certificate.
        subject: String,
    },
    /// A certificate before the last one is self-signed.
    #[error("certificate {subject:?} is self-signed but not the last of the chain")]
    SelfSignedBeforeRoot {
        /// Subject of the certificate.
        subject: String,
    },
    /// A certificate is not issued by the next one.
    #[error("certificate {subject:?} is not issued by {issuer:?}, the next of the chain")]
    NotIssuedByNext {
        /// Subject of the certificate.
        subject: String,
        /// Subject of the next certificate.
        issuer: String,
    },
    /// The last certificate is not a self-signed root.
    #[error("last certificate {subject:?} is not a self-signed root")]
    RootNotSelfSigned {
        /// Subject of the last certificate.
        subject: String,
    },
    /// A signature with SHA-1 or MD5 (N-19).
    #[error("certificate {subject:?} is signed with {algorithm}, which is broken")]
    BrokenSignatureAlgorithm {
        /// Subject of the certificate.
        subject: String,
        /// The algorithm in words.
        algorithm: String,
    },
    /// A CA key that is too small (N-19).
    #[error("key of CA certificate {subject:?} is too weak: {key}")]
    WeakCaKey {
        /// Subject of the certificate.
        subject: String,
        /// The key in words.
        key: String,
    },
    /// A CA certificate that does not say it is one.
    #[error("certificate {subject:?} issues another one but is not a CA")]
    NotCa {
        /// Subject of the certificate.
        subject: String,
    },
    /// A path length that the chain exceeds.
    #[error("CA certificate {subject:?} allows {allowed} CA certificates below it, found {found}")]
    PathLength {
        /// Subject of the certificate.
        subject: String,
        /// The path length constraint.
        allowed: u8,
        /// CA certificates between it and the leaf.
        found: usize,
    },
    /// keyUsage is missing.
    #[error("certificate {subject:?} has no key usage extension")]
    KeyUsageMissing {
        /// Subject of the certificate.
        subject: String,
    },
    /// keyUsage is not critical.
    #[error("key usage extension of certificate {subject:?} is not marked critical")]
    KeyUsageNotCritical {
        /// Subject of the certificate.
        subject: String,
    },
    /// keyUsage lacks a usage that is necessary.
    #[error("key usage of certificate {subject:?} lacks {usage}")]
    KeyUsageLacks {
        /// Subject of the certificate.
        subject: String,
        /// The usage that is necessary.
        usage: &'static str,
    },
    /// keyUsage of the leaf has a usage it must not have.
    #[error("key usage of certificate {subject:?} must be DigitalSignature only, found {usage}")]
    KeyUsageForbids {
        /// Subject of the certificate.
        subject: String,
        /// The usage in question.
        usage: &'static str,
    },
    /// The leaf is a CA certificate.
    #[error("signing certificate {subject:?} is a CA certificate")]
    LeafIsCa {
        /// Subject of the certificate.
        subject: String,
    },
    /// The leaf's extended key usage has a purpose it must not have.
    #[error("extended key usage of certificate {subject:?} must not contain {purpose}")]
    ExtendedKeyUsageForbids {
        /// Subject of the certificate.
        subject: String,
        /// Name of the purpose.
        purpose: &'static str,
    },
    /// The extended key usage of a timestamping certificate is not timeStamping alone.
    #[error("extended key usage of certificate {subject:?} must be timeStamping and nothing else")]
    NotForTimestampingOnly {
        /// Subject of the certificate.
        subject: String,
    },
    /// The extended key usage of a timestamping certificate is not critical.
    #[error("extended key usage of certificate {subject:?} is not marked critical")]
    ExtendedKeyUsageNotCritical {
        /// Subject of the certificate.
        subject: String,
    },
    /// An intermediate certificate of a timestamping authority is limited to other purposes.
    #[error("CA certificate {subject:?} may not issue timestamping certificates")]
    CaNotForTimestamping {
        /// Subject of the certificate.
        subject: String,
    },
    /// A critical extension on the path of a timestamping authority that is not understood.
    #[error("certificate {subject:?} has a critical extension {extension} that is not supported")]
    UnhandledCriticalExtension {
        /// Subject of the certificate.
        subject: String,
        /// The extension.
        extension: ObjectIdentifier,
    },
    /// The leaf's key is not one of spec §2.2.
    #[error("key of certificate {subject:?} is not supported: {key}")]
    UnsupportedLeafKey {
        /// Subject of the certificate.
        subject: String,
        /// The key in words.
        key: String,
    },
    /// A certificate is not valid at the moment that counts.
    #[error(
        "certificate {subject:?} is not valid at {moment}: it {}",
        if moment > not_after { format!("expired at {not_after}") }
        else { format!("is valid from {not_before} on") }
    )]
    NotValidAt {
        /// Subject of the certificate.
        subject: String,
        /// The moment that counts.
        moment: Timestamp,
        /// First second of validity.
        not_before: Timestamp,
        /// Last second of validity.
        not_after: Timestamp,
    },
}
