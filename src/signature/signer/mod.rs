//! Who holds the private key.

pub mod config;
pub mod encrypted;
pub mod keys;
pub mod local;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
mod pkcs12;
mod pkcs12_kdf;

use std::collections::BTreeMap;
use std::error::Error;

use self::encrypted::EncryptedKeyError;
use super::algorithm::KeySpec;
use super::crypto::CryptoError;
use super::envelope::EnvelopeFormat;
use super::x509::{BundleError, Certificate, CertificateError};

/// Something that signs with one key: a key file, a token, a plugin.
pub trait Signer {
    /// The kind of key; it decides the algorithm, which is part of what gets signed.
    fn key_spec(&self) -> KeySpec;

    /// Signs `to_be_signed` (not hashed yet) with the algorithm of [`Self::key_spec`].
    ///
    /// # Errors
    /// When the key can't be used. The result is verified by the caller, an implementation need
    /// not.
    fn sign(&self, to_be_signed: &[u8]) -> Result<RawSignature, SignerError>;

    /// Name and version of a foreign program that signs, for the unsigned attribute
    /// `signingAgent`.
    fn agent(&self) -> Option<String> {
        None
    }
}

/// Something that makes whole envelopes: a plugin that decides about their attributes itself.
pub trait EnvelopeGenerator {
    /// Makes an envelope.
    ///
    /// # Errors
    /// When it can't be made. Whether the result is one, and says what was asked for, is judged by
    /// the caller.
    fn generate(&self, order: &EnvelopeOrder<'_>) -> Result<GeneratedEnvelope, SignerError>;
}

/// The envelope that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct EnvelopeOrder<'a> {
    /// Its format.
    pub format: EnvelopeFormat,
    /// The JSON to be signed.
    pub payload: &'a [u8],
    /// For how many seconds the signature is to be valid; forever when absent.
    pub expires_in: Option<u64>,
}

/// An envelope as it was made, not judged yet.
#[derive(Clone, Debug)]
pub struct GeneratedEnvelope {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Annotations for the signature manifest; they are not signed.
    pub annotations: BTreeMap<String, String>,
}

/// What a signer answers.
#[derive(Clone, Debug)]
pub struct RawSignature {
    /// RSA-PSS with a salt of the hash's length, or ECDSA as fixed-length r || s.
    pub signature: Vec<u8>,
    /// The chain of the key, leaf first, root included. Plugins tell it with the signature.
    pub certificate_chain: Vec<Certificate>,
}

/// Follows the issuers' names from `leaf` among `certificates`, each used once.
fn chain_from(leaf: &Certificate, certificates: &[Certificate]) -> Vec<Certificate> {
    let mut chain = vec![leaf.clone()];
    while let Some(last) = chain.last().filter(|last| !last.is_self_issued()) {
        let next = certificates.iter().find(|candidate| {
            candidate.subject().der() == last.issuer().der() && !chain.contains(candidate)
        });
        let Some(next) = next else { break };
        chain.push(next.clone());
    }
    chain
}

/// Why a signer can't sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// The key file holds no private key.
    #[error("no private key found")]
    NoKey,
    /// The key file is not PEM.
    #[error("private key is not valid PEM: {0}")]
    KeyPem(pem::PemError),
    /// The key is encrypted and no passphrase was given.
    #[error("private key is encrypted")]
    Encrypted,
    /// The encrypted key or key store can't be opened.
    #[error(transparent)]
    EncryptedKey(#[from] EncryptedKeyError),
    /// A certificate in a key store can't be read.
    #[error("certificate in the key store: {0}")]
    KeyStoreCertificate(CertificateError),
    /// No certificate in a key store belongs to the key.
    #[error("key store has no certificate for its private key")]
    NoCertificateForKey,
    /// The certificate file can't be used.
    #[error("certificate chain: {0}")]
    Certificates(#[from] BundleError),
    /// The private key does not belong to the first certificate.
    #[error("private key does not match the certificate {subject:?}")]
    KeyMismatch {
        /// Subject of the first certificate.
        subject: String,
    },
    /// The key can't be read or used.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// A signer outside of this room failed.
    #[error(transparent)]
    External(Box<dyn Error + Send + Sync>),
}

impl SignerError {
    /// What helps, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            #[cfg(feature = "pkcs11")]
            Self::External(error) => error.downcast_ref().and_then(pkcs11::Pkcs11Error::hint),
            _ => None,
        }
    }
}
