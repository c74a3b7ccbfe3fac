//! Key and certificate files: what Go's `tls.LoadX509KeyPair` takes (spec §4.3), and the encrypted
//! forms people keep keys in offline.

use zeroize::Zeroizing;

use super::encrypted::{self, EncryptedKeyError};
use super::{RawSignature, Signer, SignerError, chain_from, pkcs12};
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
        Self::new(private_key_from_pem(key, None)?, certificate_chain)
    }

    /// As [`Self::from_pem`], for a key that may be encrypted (`ENCRYPTED PRIVATE KEY`, PBES2).
    ///
    /// # Errors
    /// As there; further when the passphrase is wrong, or the key derivation costs too much.
    pub fn from_encrypted_pem(
        key: &[u8],
        passphrase: &[u8],
        certificates: &[u8],
    ) -> Result<Self, SignerError> {
        let certificate_chain = certificates_from_pem(certificates)?;
        Self::new(private_key_from_pem(key, Some(passphrase))?, certificate_chain)
    }

    /// Reads key and chain from a PKCS#12 store (`.p12`, `.pfx`) with one private key.
    ///
    /// Stores keep their certificates in any order, so the chain is put together here: from the
    /// certificate of the key over the issuers' names to the root.
    ///
    /// # Errors
    /// When the store can't be opened, or holds no certificate of its key.
    pub fn from_pkcs12(bytes: &[u8], passphrase: &str) -> Result<Self, SignerError> {
        let store = pkcs12::open(bytes, passphrase)?;
        let key = PrivateKey::from_pkcs8(&store.key)?;
        let certificates = store
            .certificates
            .iter()
            .map(|der| Certificate::from_der(der))
            .collect::<Result<Vec<_>, _>>()
            .map_err(SignerError::KeyStoreCertificate)?;
        let leaf = certificates
            .iter()
            .find(|certificate| certificate.public_key().raw() == key.public_key())
            .ok_or(SignerError::NoCertificateForKey)?;
        Self::new(key, chain_from(leaf, &certificates))
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
fn private_key_from_pem(text: &[u8], passphrase: Option<&[u8]>) -> Result<PrivateKey, SignerError> {
    for block in pem::parse_many(text).map_err(SignerError::KeyPem)? {
        let encrypted = block.headers().get("DEK-Info").is_some();
        let label = block.tag().to_owned();
        let contents = Zeroizing::new(block.into_contents());
        let key = match (label.as_str(), passphrase) {
            ("ENCRYPTED PRIVATE KEY", None) => return Err(SignerError::Encrypted),
            ("ENCRYPTED PRIVATE KEY", Some(passphrase)) => {
                PrivateKey::from_pkcs8(&encrypted::decrypt_pkcs8(&contents, passphrase)?)
            }
            ("RSA PRIVATE KEY" | "EC PRIVATE KEY", None) if encrypted => {
                return Err(SignerError::Encrypted);
            }
            ("RSA PRIVATE KEY" | "EC PRIVATE KEY", Some(_)) if encrypted => {
                return Err(EncryptedKeyError::LegacyPem.into());
            }
            ("PRIVATE KEY", _) => PrivateKey::from_pkcs8(&contents),
            ("RSA PRIVATE KEY", _) => PrivateKey::from_pkcs1(&contents),
            ("EC PRIVATE KEY", _) => PrivateKey::from_sec1(&contents),
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
    fn encrypted_keys_open_with_their_passphrase() {
        let table: [(&[u8], &[u8]); 3] = [
            (testdata!("keys/ec256.pbes2-aes256.key"), EC256),
            (testdata!("keys/rsa2048.pbes2-aes128.key"), RSA2048),
            (testdata!("keys/ec384.pbes2-scrypt.key"), testdata!("notation/valid/ec384.chain.crt")),
        ];
        for (key, chain) in table {
            let open = |passphrase| LocalSigner::from_encrypted_pem(key, passphrase, chain);
            open(b"secret").unwrap();
            for wrong in [&b"Secret"[..], b""] {
                let error = open(wrong).unwrap_err();
                let wrong = EncryptedKeyError::WrongPassphrase;
                assert!(matches!(&error, SignerError::EncryptedKey(found) if *found == wrong));
            }
        }
        // A key that is not encrypted needs none.
        let plain = testdata!("notation/valid/ec256.key");
        LocalSigner::from_encrypted_pem(plain, b"secret", EC256).unwrap();
        let legacy = testdata!("keys/rsa2048.pkcs1-encrypted.key");
        assert!(matches!(
            LocalSigner::from_encrypted_pem(legacy, b"secret", RSA2048),
            Err(SignerError::EncryptedKey(EncryptedKeyError::LegacyPem))
        ));
    }

    #[test]
    fn the_cost_of_opening_a_key_is_bounded() {
        let costly = testdata!("keys/ec256.pbes2-costly.key");
        assert!(matches!(
            LocalSigner::from_encrypted_pem(costly, b"secret", EC256),
            Err(SignerError::EncryptedKey(EncryptedKeyError::TooCostly {
                what: "iteration count",
                found: 20_000_000,
                limit: 5_000_000,
            }))
        ));
    }

    #[test]
    fn key_stores_old_and_new() {
        let table: [(&[u8], &[u8]); 2] =
            [(testdata!("keys/ec256.p12"), EC256), (testdata!("keys/rsa2048.legacy.p12"), RSA2048)];
        for (store, chain) in table {
            let signer = LocalSigner::from_pkcs12(store, "secret").unwrap();
            assert_eq!(signer.certificate_chain(), certificates_from_pem(chain).unwrap());
            assert!(matches!(
                LocalSigner::from_pkcs12(store, "Secret"),
                Err(SignerError::EncryptedKey(EncryptedKeyError::WrongPassphrase))
            ));
            for at in (0..store.len()).step_by(97) {
                let mut damaged = store.to_vec();
                damaged[at] ^= 0x55;
                LocalSigner::from_pkcs12(&damaged, "secret").unwrap_err();
                LocalSigner::from_pkcs12(&store[..at], "secret").unwrap_err();
            }
        }
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
