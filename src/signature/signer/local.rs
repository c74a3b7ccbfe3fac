//! Key and certificate files (spec §4.3): what Go's `tls.LoadX509KeyPair` takes.

use super::{RawSignature, Signer, SignerError};
use crate::signature::algorithm::KeySpec;
use crate::signature::crypto::PrivateKey;
use crate::signature::x509::{Certificate, certificates_from_pem};

/// A private key with its chain, from PEM files.
#[derive(Debug)]
pub struct LocalSigner {
    key: PrivateKey,
    certificate_chain: Vec<Certificate>,
}

impl LocalSigner {
    /// Reads a private key (`PRIVATE KEY`, `RSA PRIVATE KEY` or `EC PRIVATE KEY`) and its chain.
    /// The chain is used as it is given, it is never completed or reordered; whether it may sign
    /// is judged when it does.
    ///
    /// # Errors
    /// When one of them can't be read, or the key is not the first certificate's.
    pub fn from_pem(key: &[u8], certificates: &[u8]) -> Result<Self, SignerError> {
        let certificate_chain = certificates_from_pem(certificates)?;
        Self::new(private_key_from_pem(key)?, certificate_chain)
    }

    fn new(key: PrivateKey, certificate_chain: Vec<Certificate>) -> Result<Self, SignerError> {
        let fits = certificate_chain.first().is_some_and(|leaf| {
            leaf.key_spec() == Some(key.spec()) && leaf.public_key().raw() == key.public_key()
        });
        if fits {
            return Ok(Self { key, certificate_chain });
        }
        let subject = certificate_chain.first().map(|leaf| leaf.subject().to_string());
        Err(SignerError::KeyMismatch { subject: subject.unwrap_or_default() })
    }

    /// The chain, leaf first.
    #[must_use]
    pub fn certificate_chain(&self) -> &[Certificate] {
        &self.certificate_chain
    }
}

impl Signer for LocalSigner {
    fn key_spec(&self) -> KeySpec {
        self.key.spec()
    }

    fn sign(&self, to_be_signed: &[u8]) -> Result<RawSignature, SignerError> {
        Ok(RawSignature {
            signature: self.key.sign_envelope(to_be_signed)?,
            certificate_chain: self.certificate_chain.clone(),
        })
    }
}

/// The first private key of a PEM text.
fn private_key_from_pem(text: &[u8]) -> Result<PrivateKey, SignerError> {
    for block in pem::parse_many(text).map_err(SignerError::KeyPem)? {
        let encrypted = block.headers().get("DEK-Info").is_some();
        let key = match block.tag() {
            "ENCRYPTED PRIVATE KEY" => return Err(SignerError::Encrypted),
            "RSA PRIVATE KEY" | "EC PRIVATE KEY" if encrypted => {
                return Err(SignerError::Encrypted);
            }
            "PRIVATE KEY" => PrivateKey::from_pkcs8(block.contents()),
            "RSA PRIVATE KEY" => PrivateKey::from_pkcs1(block.contents()),
            "EC PRIVATE KEY" => PrivateKey::from_sec1(block.contents()),
            _ => continue,
        };
        return Ok(key?);
    }
    Err(SignerError::NoKey)
}
