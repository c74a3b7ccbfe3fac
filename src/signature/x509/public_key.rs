//! `SubjectPublicKeyInfo`: which key a certificate certifies.

use der::{
    Decode, Reader, SliceReader,
    asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef},
};

use super::certificate::CertificateError;
use crate::signature::algorithm::KeySpec;
use crate::signature::crypto::{CryptoError, Curve, Scheme};
use crate::signature::{crypto, oid};

/// A public key as it stands in a certificate.
///
/// ```asn1
/// SubjectPublicKeyInfo ::= SEQUENCE {
///     algorithm         AlgorithmIdentifier,
///     subjectPublicKey  BIT STRING }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicKey {
    kind: KeyKind,
    raw: Vec<u8>,
}

/// What kind of key it is, as far as this crate cares.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeyKind {
    /// RSA; the size is the modulus' length in whole bytes, times eight, as notation counts.
    Rsa {
        /// Size in bits.
        bits: usize,
    },
    /// A curve signatures can be verified with.
    Ec(Curve),
    /// NIST P-224: known, supported by nobody.
    EcP224,
    /// Ed25519: may sign certificates, never envelopes.
    Ed25519,
    /// Anything else.
    Unknown(ObjectIdentifier),
}

impl PublicKey {
    /// Parses a DER `SubjectPublicKeyInfo`.
    pub(crate) fn from_der(spki: &[u8]) -> Result<Self, CertificateError> {
        let malformed = |error: der::Error| CertificateError::malformed("public key", error);
        let mut reader = SliceReader::new(spki).map_err(malformed)?;
        let (algorithm, parameters, key) = reader
            .sequence(|reader| {
                let (algorithm, parameters) = reader.sequence(|reader| {
                    let algorithm: ObjectIdentifier = reader.decode()?;
                    let parameters: Option<AnyRef<'_>> = reader.decode()?;
                    Ok::<_, der::Error>((algorithm, parameters))
                })?;
                let key: BitStringRef<'_> = reader.decode()?;
                Ok::<_, der::Error>((algorithm, parameters, key))
            })
            .map_err(malformed)?;
        reader.finish().map_err(malformed)?;
        let raw = key.as_bytes().ok_or(CertificateError::PublicKey { what: "unused bits" })?;
        let kind = kind_of(algorithm, parameters, raw)?;
        Ok(Self { kind, raw: raw.to_vec() })
    }

    /// The key specification, if envelopes may be signed with this key (spec §2.2).
    #[must_use]
    pub fn key_spec(&self) -> Option<KeySpec> {
        match self.kind {
            KeyKind::Rsa { bits: 2048 } => Some(KeySpec::Rsa2048),
            KeyKind::Rsa { bits: 3072 } => Some(KeySpec::Rsa3072),
            KeyKind::Rsa { bits: 4096 } => Some(KeySpec::Rsa4096),
            KeyKind::Ec(Curve::P256) => Some(KeySpec::EcP256),
            KeyKind::Ec(Curve::P384) => Some(KeySpec::EcP384),
            KeyKind::Ec(Curve::P521) => Some(KeySpec::EcP521),
            _ => None,
        }
    }

    /// Type and size in words, for messages: `RSA 2560`, `EC P-224`, `Ed25519`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self.kind {
            KeyKind::Rsa { bits } => format!("RSA {bits}"),
            KeyKind::Ec(Curve::P256) => "EC P-256".to_owned(),
            KeyKind::Ec(Curve::P384) => "EC P-384".to_owned(),
            KeyKind::Ec(Curve::P521) => "EC P-521".to_owned(),
            KeyKind::EcP224 => "EC P-224".to_owned(),
            KeyKind::Ed25519 => "Ed25519".to_owned(),
            KeyKind::Unknown(algorithm) => format!("algorithm {algorithm}"),
        }
    }

    pub(crate) fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The bytes inside the BIT STRING.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Verifies an envelope signature made with the algorithm of `spec`.
    pub(crate) fn verify_envelope(
        &self,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        let spec = self.key_spec().ok_or(CryptoError::UnsupportedCombination)?;
        let scheme = Scheme::of_envelope(spec.signature_algorithm());
        crypto::verify(scheme, &self.raw, message, signature)
    }
}

fn kind_of(
    algorithm: ObjectIdentifier,
    parameters: Option<AnyRef<'_>>,
    raw: &[u8],
) -> Result<KeyKind, CertificateError> {
    match algorithm {
        oid::RSA_ENCRYPTION => {
            // Go: "x509: RSA key missing NULL parameters".
            if !parameters.is_some_and(AnyRef::is_null) {
                return Err(CertificateError::PublicKey { what: "RSA parameters are not NULL" });
            }
            let modulus = rsa_modulus_len(raw)
                .map_err(|error| CertificateError::malformed("RSA public key", error))?;
            Ok(KeyKind::Rsa { bits: modulus.saturating_mul(8) })
        }
        oid::EC_PUBLIC_KEY => {
            let curve = parameters
                .and_then(|parameters| parameters.decode_as::<ObjectIdentifier>().ok())
                .ok_or(CertificateError::PublicKey { what: "EC curve is not a named one" })?;
            match curve {
                oid::SECP224R1 => Ok(KeyKind::EcP224),
                oid::SECP256R1 => ec(Curve::P256, 32, raw),
                oid::SECP384R1 => ec(Curve::P384, 48, raw),
                oid::SECP521R1 => ec(Curve::P521, 66, raw),
                _ => Err(CertificateError::PublicKey { what: "unknown EC curve" }),
            }
        }
        oid::ED25519 => {
            if parameters.is_some() || raw.len() != 32 {
                return Err(CertificateError::PublicKey { what: "Ed25519 key of a wrong form" });
            }
            Ok(KeyKind::Ed25519)
        }
        other => Ok(KeyKind::Unknown(other)),
    }
}

/// Points are uncompressed: 04 || x || y. Whether the point is on the curve shows on use.
fn ec(curve: Curve, field_bytes: usize, raw: &[u8]) -> Result<KeyKind, CertificateError> {
    if raw.first() != Some(&4) || raw.len() != 1 + 2 * field_bytes {
        return Err(CertificateError::PublicKey { what: "EC point is not an uncompressed one" });
    }
    Ok(KeyKind::Ec(curve))
}

/// Bytes of the modulus without leading zeros.
fn rsa_modulus_len(raw: &[u8]) -> der::Result<usize> {
    let mut reader = SliceReader::new(raw)?;
    let length = reader.sequence(|reader| {
        let modulus = UintRef::decode(reader)?;
        let _exponent = UintRef::decode(reader)?;
        Ok::<_, der::Error>(modulus.as_bytes().len())
    })?;
    reader.finish()?;
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::x509::der_write as write;

    #[test]
    fn forms_of_public_keys() {
        let key = |algorithm: &[&[u8]], raw: &[u8]| {
            let spki = write::sequence(&[&write::sequence(algorithm), &write::bit_string(raw)]);
            PublicKey::from_der(&spki)
        };
        let describe = |key: Result<PublicKey, _>| key.ok().map(|key| key.describe());
        let rsa = write::oid(oid::RSA_ENCRYPTION);
        let ec = write::oid(oid::EC_PUBLIC_KEY);
        let p256 = write::oid(oid::SECP256R1);
        let ed25519 = write::oid(oid::ED25519);
        let null = write::null();
        let numbers = |modulus: &[u8]| {
            write::sequence(&[&write::unsigned(modulus), &write::unsigned(&[1, 0, 1])])
        };
        let point = [&[4][..], &[7; 64]].concat();
        // A modulus of 2047 bits fills 256 bytes and counts as 2048 (spec §2.2).
        let short = numbers(&[&[0x7f][..], &[1; 255]].concat());
        assert_eq!(describe(key(&[&rsa, &null], &short)).as_deref(), Some("RSA 2048"));
        assert_eq!(describe(key(&[&ec, &p256], &point)).as_deref(), Some("EC P-256"));
        assert_eq!(describe(key(&[&ed25519], &[7; 32])).as_deref(), Some("Ed25519"));

        for (algorithm, raw) in [
            (&[&rsa[..]][..], &short[..]),
            (&[&rsa, &p256], &short),
            (&[&rsa, &null], &[1]),
            (&[&ec], &point),
            (&[&ec, &null], &point),
            (&[&ec, &rsa], &point),
            (&[&ec, &p256], &point[..64]),
            (&[&ec, &p256], &[point.as_slice(), &[7]].concat()),
            // Compressed, and something else of the right length.
            (&[&ec, &p256], &[&[2][..], &[7; 32]].concat()),
            (&[&ec, &p256], &[&[2][..], &[7; 64]].concat()),
            (&[&ed25519, &null], &[7; 32]),
            (&[&ed25519], &[7; 31]),
        ] {
            key(algorithm, raw).unwrap_err();
        }
    }
}
