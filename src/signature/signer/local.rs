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

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! testdata {
        ($path:literal) => {
            include_bytes!(concat!("../../../testdata/", $path))
        };
    }

    const EC256: &[u8] = testdata!("notation/valid/ec256.chain.crt");
    const RSA2048: &[u8] = testdata!("notation/valid/rsa2048.chain.crt");

    #[test]
    fn pem_forms_of_keys() {
        let table: [(&[u8], &[u8]); 6] = [
            (testdata!("notation/valid/ec256.key"), EC256),
            (testdata!("notation/valid/rsa2048.key"), RSA2048),
            (testdata!("keys/rsa2048.pkcs1.key"), RSA2048),
            (testdata!("keys/ec256.sec1.key"), EC256),
            (testdata!("keys/ec256.params-sec1.key"), EC256),
            (testdata!("keys/ec384.sec1.key"), testdata!("notation/valid/ec384.chain.crt")),
        ];
        for (key, chain) in table {
            let signer = LocalSigner::from_pem(key, chain).unwrap();
            let signed = signer.sign(b"message").unwrap();
            let leaf = &signer.certificate_chain()[0];
            assert_eq!(leaf.key_spec(), Some(signer.key_spec()));
            leaf.public_key().verify_envelope(b"message", &signed.signature).unwrap();
            assert_eq!(signed.certificate_chain, signer.certificate_chain());
        }
    }

    #[test]
    fn the_key_must_match_the_first_certificate() {
        let key = testdata!("notation/valid/ec384.key");
        assert!(matches!(
            LocalSigner::from_pem(key, EC256),
            Err(SignerError::KeyMismatch { subject }) if subject.starts_with("CN=leaf-ec256,")
        ));
        // Same kind of key, another one.
        let other = testdata!("x509/ec256-other.key");
        assert!(matches!(
            LocalSigner::from_pem(other, EC256),
            Err(SignerError::KeyMismatch { .. })
        ));
    }

    #[test]
    fn unusable_key_files_say_why() {
        let load = |key: &[u8]| LocalSigner::from_pem(key, EC256).unwrap_err();
        assert!(matches!(load(b""), SignerError::NoKey));
        assert!(matches!(load(EC256), SignerError::NoKey));
        assert!(matches!(load(testdata!("keys/ec256.pbes2-aes256.key")), SignerError::Encrypted));
        assert!(matches!(
            load(testdata!("keys/rsa2048.pkcs1-encrypted.key")),
            SignerError::Encrypted
        ));
        let damaged = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(matches!(load(damaged), SignerError::Crypto(_)));
        let key = testdata!("notation/valid/ec256.key");
        assert!(matches!(LocalSigner::from_pem(key, b""), Err(SignerError::Certificates(_))));
    }
}
