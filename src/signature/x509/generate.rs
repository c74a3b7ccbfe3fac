//! The self-signed test certificate of `cert generate-test` (spec §10.1): same profile as
//! notation's, so that what works with one works with the other.

use der::asn1::ObjectIdentifier;
use jiff::{SignedDuration, Timestamp};

use super::certificate::{Certificate, CertificateError};
use super::der_write::{self as write, Critical};
use crate::signature::algorithm::KeySpec;
use crate::signature::crypto::{self, CryptoError, PrivateKey};
use crate::signature::oid;

/// Validity of a test certificate.
const VALIDITY: SignedDuration = SignedDuration::from_hours(24);

/// A key and a certificate for it, both as PEM.
pub struct TestCertificate {
    /// The private key, PKCS#8. Whoever stores it sets the mode to 0600.
    pub key_pem: String,
    /// The certificate.
    pub certificate_pem: String,
    /// The certificate, parsed.
    pub certificate: Certificate,
}

impl std::fmt::Debug for TestCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestCertificate")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// Why there is no test certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// Only RSA keys are made.
    #[error("test certificates have RSA keys of 2048, 3072 or 4096 bits, not {requested}")]
    KeySpec {
        /// The key that was asked for.
        requested: KeySpec,
    },
    /// The crypto provider failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// The result is not a certificate, for example because the name is too long.
    #[error("generated certificate is not usable: {0}")]
    Certificate(#[from] CertificateError),
    /// A value can't be written as DER.
    #[error("certificate can't be encoded: {0}")]
    Encode(#[from] der::Error),
}

/// Makes a key and a self-signed certificate for `common_name`, valid for 24 hours from `now`.
///
/// Subject and issuer are `C=US,ST=WA,L=Seattle,O=Notary,CN=<common_name>`; digitalSignature
/// (critical) and codeSigning, no basicConstraints, no key identifiers; SHA-256 with RSA.
///
/// # Errors
/// When `key_spec` is not RSA, or the provider fails.
pub fn self_signed(
    common_name: &str,
    key_spec: KeySpec,
    now: Timestamp,
) -> Result<TestCertificate, GenerateError> {
    if !matches!(key_spec, KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096) {
        return Err(GenerateError::KeySpec { requested: key_spec });
    }
    let (key, pkcs8) = PrivateKey::generate_rsa(key_spec)?;
    let algorithm = write::sequence(&[&write::oid(oid::SHA256_WITH_RSA), &write::null()]);
    let name = subject(common_name);
    let end = now.saturating_add(VALIDITY).unwrap_or(Timestamp::MAX);
    // Eight random bytes; the top bit is cleared so that the number has one form only.
    let mut serial = crypto::random::<8>()?;
    serial[0] = (serial[0] & 0x7f) | 0x01;
    let spki = write::sequence(&[
        &write::sequence(&[&write::oid(oid::RSA_ENCRYPTION), &write::null()]),
        &write::bit_string(key.public_key()),
    ]);
    let extensions = write::sequence(&[
        // digitalSignature alone: one bit used, seven unused.
        &write::extension(oid::KEY_USAGE, Critical::Yes, &write::tlv(0x03, &[7, 0x80])),
        &write::extension(
            oid::EXTENDED_KEY_USAGE,
            Critical::No,
            &write::sequence(&[&write::oid(oid::EKU_CODE_SIGNING)]),
        ),
    ]);
    let tbs = write::sequence(&[
        &write::explicit(0, &write::unsigned(&[2])),
        &write::unsigned(&serial),
        &algorithm,
        &name,
        &write::sequence(&[&write::time(now)?, &write::time(end)?]),
        &name,
        &spki,
        &write::explicit(3, &extensions),
    ]);
    let signature = key.sign_pkcs1_sha256(&tbs)?;
    let der = write::sequence(&[&tbs, &algorithm, &write::bit_string(&signature)]);
    let certificate = Certificate::from_der(&der)?;
    Ok(TestCertificate {
        key_pem: to_pem("PRIVATE KEY", pkcs8),
        certificate_pem: to_pem("CERTIFICATE", der),
        certificate,
    })
}

fn subject(common_name: &str) -> Vec<u8> {
    let attribute = |kind: &str, value: &str| {
        let kind = write::oid(ObjectIdentifier::new_unwrap(kind));
        // Go writes PrintableString where it can, so do we.
        let printable =
            value.bytes().all(|b| b.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&b));
        let value = write::tlv(if printable { 0x13 } else { 0x0c }, value.as_bytes());
        write::set(&[&write::sequence(&[&kind, &value])])
    };
    write::sequence(&[
        &attribute("2.5.4.6", "US"),
        &attribute("2.5.4.8", "WA"),
        &attribute("2.5.4.7", "Seattle"),
        &attribute("2.5.4.10", "Notary"),
        &attribute("2.5.4.3", common_name),
    ])
}

fn to_pem(label: &str, der: Vec<u8>) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), config)
}
