//! Key specifications and the signature algorithms that follow from them (spec §2.2).
//!
//! The algorithm of an envelope is never a choice: it is derived from the leaf certificate's key,
//! and the header of the envelope has to agree. The table is data; JWS and COSE share it.

use std::fmt;

use crate::image::digest::Algorithm as HashAlgorithm;

/// A key that Notary Project signatures may be made with.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum KeySpec {
    /// RSA, modulus of 256 bytes.
    Rsa2048,
    /// RSA, modulus of 384 bytes.
    Rsa3072,
    /// RSA, modulus of 512 bytes.
    Rsa4096,
    /// Elliptic curve NIST P-256.
    EcP256,
    /// Elliptic curve NIST P-384.
    EcP384,
    /// Elliptic curve NIST P-521.
    EcP521,
}

impl KeySpec {
    /// All key specifications, in the order of the specification's table.
    pub const ALL: [Self; 6] =
        [Self::Rsa2048, Self::Rsa3072, Self::Rsa4096, Self::EcP256, Self::EcP384, Self::EcP521];

    /// The signature algorithm that goes with this key.
    #[must_use]
    pub fn signature_algorithm(self) -> SignatureAlgorithm {
        SignatureAlgorithm { key_spec: self }
    }

    /// The name plugins use (`RSA-2048`, `EC-256`), spec §8.2.
    #[must_use]
    pub fn plugin_name(self) -> &'static str {
        self.row().plugin_key_spec
    }

    /// The key specification a plugin names, if it is one of the table.
    #[must_use]
    pub fn from_plugin_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|spec| spec.plugin_name() == name)
    }

    fn row(self) -> &'static Row {
        match self {
            Self::Rsa2048 => &TABLE[0],
            Self::Rsa3072 => &TABLE[1],
            Self::Rsa4096 => &TABLE[2],
            Self::EcP256 => &TABLE[3],
            Self::EcP384 => &TABLE[4],
            Self::EcP521 => &TABLE[5],
        }
    }
}

impl fmt::Display for KeySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plugin_name())
    }
}

/// The signature algorithm of an envelope: one per [`KeySpec`], there is no other combination.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SignatureAlgorithm {
    key_spec: KeySpec,
}

impl SignatureAlgorithm {
    /// The key specification this algorithm belongs to.
    #[must_use]
    pub fn key_spec(self) -> KeySpec {
        self.key_spec
    }

    /// The hash inside the signature; blob digests and timestamp imprints use the same one.
    #[must_use]
    pub fn hash(self) -> HashAlgorithm {
        self.key_spec.row().hash
    }

    /// The `alg` value in a JWS protected header.
    #[must_use]
    pub fn jws_name(self) -> &'static str {
        self.key_spec.row().jws
    }

    /// The algorithm identifier in a COSE protected header (IANA "COSE Algorithms").
    #[must_use]
    pub fn cose_identifier(self) -> i64 {
        self.key_spec.row().cose
    }

    /// The name notation's `inspect` prints and plugins use as `signingAlgorithm`.
    #[must_use]
    pub fn plugin_name(self) -> &'static str {
        self.key_spec.row().plugin_algorithm
    }

    /// Length of a signature in bytes: the modulus for RSA, r || s for ECDSA.
    #[must_use]
    pub fn signature_len(self) -> usize {
        self.key_spec.row().signature_len
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plugin_name())
    }
}

struct Row {
    jws: &'static str,
    cose: i64,
    hash: HashAlgorithm,
    signature_len: usize,
    plugin_key_spec: &'static str,
    plugin_algorithm: &'static str,
}

const fn row(
    jws: &'static str,
    cose: i64,
    hash: HashAlgorithm,
    signature_len: usize,
    plugin_key_spec: &'static str,
    plugin_algorithm: &'static str,
) -> Row {
    Row { jws, cose, hash, signature_len, plugin_key_spec, plugin_algorithm }
}

/// Spec §2.2, in the order of [`KeySpec::ALL`].
#[rustfmt::skip]
static TABLE: [Row; 6] = [
    row("PS256", -37, HashAlgorithm::Sha256, 256, "RSA-2048", "RSASSA-PSS-SHA-256"),
    row("PS384", -38, HashAlgorithm::Sha384, 384, "RSA-3072", "RSASSA-PSS-SHA-384"),
    row("PS512", -39, HashAlgorithm::Sha512, 512, "RSA-4096", "RSASSA-PSS-SHA-512"),
    row("ES256",  -7, HashAlgorithm::Sha256,  64, "EC-256",   "ECDSA-SHA-256"),
    row("ES384", -35, HashAlgorithm::Sha384,  96, "EC-384",   "ECDSA-SHA-384"),
    row("ES512", -36, HashAlgorithm::Sha512, 132, "EC-521",   "ECDSA-SHA-512"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_spec_finds_its_own_row() {
        let names: Vec<_> =
            KeySpec::ALL.iter().map(|spec| spec.signature_algorithm().jws_name()).collect();
        assert_eq!(names, ["PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]);
        for spec in KeySpec::ALL {
            assert_eq!(KeySpec::from_plugin_name(spec.plugin_name()), Some(spec));
        }
        assert_eq!(KeySpec::from_plugin_name("RSA-1024"), None);
    }
}
