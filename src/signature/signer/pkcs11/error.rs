//! Why a token can't sign.

use std::path::PathBuf;

use crate::signature::algorithm::KeySpec;
use crate::signature::x509::{BundleError, CertificateError};

/// Why a key on a token can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Pkcs11Error {
    /// The library can't be loaded or initialized.
    #[error("PKCS#11 library {}: {cause}", path.display())]
    Module {
        /// Its path.
        path: PathBuf,
        /// What it or the loader says.
        cause: cryptoki::error::Error,
    },
    /// No token fits the URI.
    #[error("no token fits the key URI")]
    NoToken {
        /// All tokens.
        seen: Vec<String>,
    },
    /// Several tokens fit the URI.
    #[error("{} tokens fit the key URI", seen.len())]
    SeveralTokens {
        /// Those.
        seen: Vec<String>,
    },
    /// No private key fits the URI.
    #[error("no private key on the token fits the key URI")]
    NoKey {
        /// All private keys of the token.
        seen: Vec<String>,
    },
    /// Several private keys fit the URI.
    #[error("{} private keys on the token fit the key URI", seen.len())]
    SeveralKeys {
        /// Those.
        seen: Vec<String>,
    },
    /// The key is neither RSA nor on an elliptic curve.
    #[error("key on the token is neither RSA nor EC")]
    KeyKind,
    /// The key wants its PIN for every signature, and the token can't wait for it: it hashes nothing.
    #[error(
        "key on the token wants its PIN for every signature (CKA_ALWAYS_AUTHENTICATE), but the token does not hash for {spec} keys"
    )]
    AlwaysAuthenticate {
        /// The kind of key.
        spec: KeySpec,
    },
    /// The token wants a PIN and none was given.
    #[error("token {token:?} needs its PIN")]
    PinNeeded {
        /// Label of the token.
        token: String,
    },
    /// The PIN is wrong.
    #[error(
        "token {token:?} refuses the PIN{}{}",
        if *is_for_signature { " for a signature" } else { "" },
        if *is_last { "; another wrong one locks it" } else { "" }
    )]
    PinRefused {
        /// Label of the token.
        token: String,
        /// Whether it is the one that a key wants for every signature.
        is_for_signature: bool,
        /// Whether another wrong PIN locks the token.
        is_last: bool,
    },
    /// There were too many wrong PINs.
    #[error("PIN of token {token:?} is locked")]
    PinLocked {
        /// Label of the token.
        token: String,
    },
    /// The token has no certificate with the key's `CKA_ID`.
    #[error("token has no certificate with the id of the key")]
    NoCertificate,
    /// The token has several.
    #[error("token has {} certificates with the id of the key", seen.len())]
    SeveralCertificates {
        /// Those.
        seen: Vec<String>,
    },
    /// A certificate on the token can't be read.
    #[error("certificate on the token: {0}")]
    Certificate(#[from] CertificateError),
    /// The certificate file can't be used.
    #[error("certificate chain: {0}")]
    Certificates(#[from] BundleError),
    /// The certificate's key is of a kind that doesn't sign envelopes.
    #[error("key of the certificate is none of RSA 2048, 3072, 4096, P-256, P-384, P-521")]
    CertificateKey,
    /// The key on the token does not belong to the first certificate.
    #[error("key on the token does not match the certificate {subject:?}")]
    KeyMismatch {
        /// Subject of the first certificate.
        subject: String,
    },
    /// There are more objects than anybody keeps.
    #[error("token has too many objects")]
    TooManyObjects,
    /// The token failed.
    #[error("token: {0}")]
    Token(#[from] cryptoki::error::Error),
}

impl Pkcs11Error {
    /// What there was to choose from.
    #[must_use]
    pub fn seen(&self) -> &[String] {
        match self {
            Self::NoToken { seen }
            | Self::SeveralTokens { seen }
            | Self::NoKey { seen }
            | Self::SeveralKeys { seen }
            | Self::SeveralCertificates { seen } => seen,
            _ => &[],
        }
    }

    /// What helps, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::SeveralTokens { .. } => {
                Some("add serial=SERIAL or slot-id=NUMBER to the key URI")
            }
            Self::SeveralKeys { .. } => Some("add object=LABEL or id=%ID to the key URI"),
            Self::AlwaysAuthenticate { .. } => {
                Some("list what it can: pkcs11-tool --list-mechanisms")
            }
            Self::PinNeeded { .. } => {
                Some("the first line of a file is the PIN: --passphrase-file FILE")
            }
            Self::PinRefused { is_for_signature: true, .. } => Some(
                "the PIN of the token was used; a key with another PIN for signatures can't be used, and every attempt takes one of its tries",
            ),
            Self::NoCertificate | Self::SeveralCertificates { .. } => {
                Some("the chain of the key, leaf first: --cert-file FILE")
            }
            _ => None,
        }
    }
}
