//! The crypto provider: the only file that names aws-lc-rs.
//!
//! Nothing here parses: callers hand over raw public keys (`RSAPublicKey` DER, uncompressed
//! points, Ed25519 bytes) together with the `Scheme` they decided on. A scheme fixes padding,
//! hash and curve, so no input can talk the verifier into another algorithm.

use aws_lc_rs::{
    digest, hmac, rand,
    rsa::KeySize,
    signature::{
        self as lc, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _, RsaKeyPair,
        UnparsedPublicKey, VerificationAlgorithm,
    },
};

use crate::image::digest::Algorithm as HashAlgorithm;
use crate::signature::algorithm::{KeySpec, SignatureAlgorithm};

/// Why a cryptographic operation did not succeed. Deliberately without detail: the reason a
/// signature is wrong is not information anybody may act upon.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CryptoError {
    /// The signature does not fit key and message, or the key is not a valid one.
    #[error("signature does not match key and content")]
    BadSignature,
    /// The combination of key and algorithm is not supported.
    #[error("key and signature algorithm do not go together")]
    UnsupportedCombination,
    /// A private key could not be read or is damaged.
    #[error("private key is damaged or of an unsupported type")]
    BadPrivateKey,
    /// The provider failed (for example: no entropy).
    #[error("crypto provider failed")]
    Provider,
}

/// Elliptic curves with which certificates may be signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

/// What exactly is to be verified with a public key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scheme {
    /// RSASSA-PSS with MGF1 over the same hash and a salt of the hash's length; 2048 to 8192 bits.
    RsaPss(HashAlgorithm),
    /// RSASSA-PKCS1-v1_5; 2048 to 8192 bits.
    RsaPkcs1(HashAlgorithm),
    /// RSASSA-PKCS1-v1_5 with keys down to 1024 bits, only under lenient certificate rules.
    RsaPkcs1Weak(HashAlgorithm),
    /// RSASSA-PKCS1-v1_5 with SHA-1, only under lenient certificate rules.
    RsaPkcs1Sha1,
    /// ECDSA with a DER signature.
    EcdsaDer(Curve, HashAlgorithm),
    /// ECDSA with SHA-1 and a DER signature, only under lenient certificate rules.
    EcdsaDerSha1(Curve),
    /// ECDSA with a fixed-length r || s signature and the curve's own hash.
    EcdsaFixed(Curve),
    /// Ed25519.
    Ed25519,
}

impl Scheme {
    /// The scheme of envelope signatures, spec §2.2.
    pub(crate) fn of_envelope(algorithm: SignatureAlgorithm) -> Self {
        match algorithm.key_spec() {
            KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => {
                Self::RsaPss(algorithm.hash())
            }
            KeySpec::EcP256 => Self::EcdsaFixed(Curve::P256),
            KeySpec::EcP384 => Self::EcdsaFixed(Curve::P384),
            KeySpec::EcP521 => Self::EcdsaFixed(Curve::P521),
        }
    }

    fn provider(self) -> Option<&'static dyn VerificationAlgorithm> {
        use HashAlgorithm::{Sha256, Sha384, Sha512};
        Some(match self {
            Self::RsaPss(Sha256) => &lc::RSA_PSS_2048_8192_SHA256,
            Self::RsaPss(Sha384) => &lc::RSA_PSS_2048_8192_SHA384,
            Self::RsaPss(Sha512) => &lc::RSA_PSS_2048_8192_SHA512,
            Self::RsaPkcs1(Sha256) => &lc::RSA_PKCS1_2048_8192_SHA256,
            Self::RsaPkcs1(Sha384) => &lc::RSA_PKCS1_2048_8192_SHA384,
            Self::RsaPkcs1(Sha512) => &lc::RSA_PKCS1_2048_8192_SHA512,
            Self::RsaPkcs1Weak(Sha256) => &lc::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
            Self::RsaPkcs1Weak(Sha384) => return None,
            Self::RsaPkcs1Weak(Sha512) => &lc::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
            Self::RsaPkcs1Sha1 => &lc::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Self::EcdsaDer(Curve::P256, Sha256) => &lc::ECDSA_P256_SHA256_ASN1,
            Self::EcdsaDer(Curve::P256, Sha384) => &lc::ECDSA_P256_SHA384_ASN1,
            Self::EcdsaDer(Curve::P256, Sha512) => &lc::ECDSA_P256_SHA512_ASN1,
            Self::EcdsaDer(Curve::P384, Sha256) => &lc::ECDSA_P384_SHA256_ASN1,
            Self::EcdsaDer(Curve::P384, Sha384) => &lc::ECDSA_P384_SHA384_ASN1,
            Self::EcdsaDer(Curve::P384, Sha512) => &lc::ECDSA_P384_SHA512_ASN1,
            Self::EcdsaDer(Curve::P521, Sha256) => &lc::ECDSA_P521_SHA256_ASN1,
            Self::EcdsaDer(Curve::P521, Sha384) => &lc::ECDSA_P521_SHA384_ASN1,
            Self::EcdsaDer(Curve::P521, Sha512) => &lc::ECDSA_P521_SHA512_ASN1,
            Self::EcdsaDerSha1(Curve::P256) => &lc::ECDSA_P256_SHA1_ASN1,
            Self::EcdsaDerSha1(Curve::P384) => return None,
            Self::EcdsaDerSha1(Curve::P521) => &lc::ECDSA_P521_SHA1_ASN1,
            Self::EcdsaFixed(Curve::P256) => &lc::ECDSA_P256_SHA256_FIXED,
            Self::EcdsaFixed(Curve::P384) => &lc::ECDSA_P384_SHA384_FIXED,
            Self::EcdsaFixed(Curve::P521) => &lc::ECDSA_P521_SHA512_FIXED,
            Self::Ed25519 => &lc::ED25519,
        })
    }
}

/// Verifies `signature` over `message` with the raw public key `key`.
///
/// # Errors
/// [`CryptoError::BadSignature`] or [`CryptoError::UnsupportedCombination`].
pub(crate) fn verify(
    scheme: Scheme,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), CryptoError> {
    let provider = scheme.provider().ok_or(CryptoError::UnsupportedCombination)?;
    UnparsedPublicKey::new(provider, key)
        .verify(message, signature)
        .map_err(|_| CryptoError::BadSignature)
}

/// Hashes `bytes`; the raw digest.
pub(crate) fn hash(algorithm: HashAlgorithm, bytes: &[u8]) -> Vec<u8> {
    let provider = match algorithm {
        HashAlgorithm::Sha256 => &digest::SHA256,
        HashAlgorithm::Sha384 => &digest::SHA384,
        HashAlgorithm::Sha512 => &digest::SHA512,
    };
    digest::digest(provider, bytes).as_ref().to_vec()
}

/// SHA-256, for fingerprints.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// SHA-1, only for the identifiers OCSP builds from it (spec §5.5); it protects nothing there.
pub(crate) fn sha1_identifier(bytes: &[u8]) -> [u8; 20] {
    let mut out = [0; 20];
    out.copy_from_slice(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref());
    out
}

/// Verifies `tag` as the HMAC of `message`; `None` for the hash means SHA-1, which is all that old
/// key stores have.
///
/// # Errors
/// [`CryptoError::BadSignature`] when it is another one.
pub(crate) fn verify_hmac(
    algorithm: Option<HashAlgorithm>,
    key: &[u8],
    message: &[u8],
    tag: &[u8],
) -> Result<(), CryptoError> {
    let algorithm = match algorithm {
        None => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Some(HashAlgorithm::Sha256) => hmac::HMAC_SHA256,
        Some(HashAlgorithm::Sha384) => hmac::HMAC_SHA384,
        Some(HashAlgorithm::Sha512) => hmac::HMAC_SHA512,
    };
    let key = hmac::Key::new(algorithm, key);
    hmac::verify(&key, message, tag).map_err(|_| CryptoError::BadSignature)
}

/// `N` random bytes from the operating system's generator.
///
/// # Errors
/// [`CryptoError::Provider`] when there is no entropy.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], CryptoError> {
    let mut out = [0; N];
    rand::fill(&mut out).map_err(|_| CryptoError::Provider)?;
    Ok(out)
}

/// A private key of one of the six supported kinds.
pub(crate) struct PrivateKey {
    spec: KeySpec,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl PrivateKey {
    /// Reads a PKCS#8 `PrivateKeyInfo`.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, CryptoError> {
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der) {
            return Self::from_rsa(pair);
        }
        EC_KINDS
            .iter()
            .find_map(|&(spec, signing)| {
                EcdsaKeyPair::from_pkcs8(signing, der).ok().map(|pair| (spec, pair))
            })
            .map(|(spec, pair)| Self { spec, pair: Pair::Ec(pair) })
            .ok_or(CryptoError::BadPrivateKey)
    }

    /// Reads a PKCS#1 `RSAPrivateKey`.
    pub(crate) fn from_pkcs1(der: &[u8]) -> Result<Self, CryptoError> {
        Self::from_rsa(RsaKeyPair::from_der(der).map_err(|_| CryptoError::BadPrivateKey)?)
    }

    /// Reads a SEC 1 `ECPrivateKey` (RFC 5915) that names its curve.
    pub(crate) fn from_sec1(der: &[u8]) -> Result<Self, CryptoError> {
        EC_KINDS
            .iter()
            .find_map(|&(spec, signing)| {
                EcdsaKeyPair::from_private_key_der(signing, der).ok().map(|pair| (spec, pair))
            })
            .map(|(spec, pair)| Self { spec, pair: Pair::Ec(pair) })
            .ok_or(CryptoError::BadPrivateKey)
    }

    /// Makes a new RSA key; the key and its PKCS#8 form.
    pub(crate) fn generate_rsa(spec: KeySpec) -> Result<(Self, Vec<u8>), CryptoError> {
        use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
        let size = match spec {
            KeySpec::Rsa2048 => KeySize::Rsa2048,
            KeySpec::Rsa3072 => KeySize::Rsa3072,
            KeySpec::Rsa4096 => KeySize::Rsa4096,
            _ => return Err(CryptoError::UnsupportedCombination),
        };
        let pair = RsaKeyPair::generate(size).map_err(|_| CryptoError::Provider)?;
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(|_| CryptoError::Provider)?;
        let pkcs8 = der.as_ref().to_vec();
        Ok((Self { spec, pair: Pair::Rsa(pair) }, pkcs8))
    }

    fn from_rsa(pair: RsaKeyPair) -> Result<Self, CryptoError> {
        let spec = match pair.public_modulus_len() {
            256 => KeySpec::Rsa2048,
            384 => KeySpec::Rsa3072,
            512 => KeySpec::Rsa4096,
            _ => return Err(CryptoError::BadPrivateKey),
        };
        Ok(Self { spec, pair: Pair::Rsa(pair) })
    }

    pub(crate) fn spec(&self) -> KeySpec {
        self.spec
    }

    /// The public key as certificates hold it: `RSAPublicKey` DER or the uncompressed point.
    pub(crate) fn public_key(&self) -> &[u8] {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref(),
            Pair::Ec(pair) => pair.public_key().as_ref(),
        }
    }

    /// Signs as envelopes do (spec §2.2): RSA-PSS, or ECDSA as fixed-length r || s.
    pub(crate) fn sign_envelope(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let encoding = match self.spec.signature_algorithm().hash() {
                    HashAlgorithm::Sha256 => &lc::RSA_PSS_SHA256,
                    HashAlgorithm::Sha384 => &lc::RSA_PSS_SHA384,
                    HashAlgorithm::Sha512 => &lc::RSA_PSS_SHA512,
                };
                sign_rsa(pair, encoding, message)
            }
            Pair::Ec(pair) => pair
                .sign(&rand::SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| CryptoError::Provider),
        }
    }

    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256, as the generated test certificates are.
    pub(crate) fn sign_pkcs1_sha256(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        match &self.pair {
            Pair::Rsa(pair) => sign_rsa(pair, &lc::RSA_PKCS1_SHA256, message),
            Pair::Ec(_) => Err(CryptoError::UnsupportedCombination),
        }
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateKey").field("spec", &self.spec).finish_non_exhaustive()
    }
}

fn sign_rsa(
    pair: &RsaKeyPair,
    encoding: &'static dyn lc::RsaEncoding,
    message: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &rand::SystemRandom::new(), message, &mut signature)
        .map_err(|_| CryptoError::Provider)?;
    Ok(signature)
}

static EC_KINDS: [(KeySpec, &EcdsaSigningAlgorithm); 3] = [
    (KeySpec::EcP256, &lc::ECDSA_P256_SHA256_FIXED_SIGNING),
    (KeySpec::EcP384, &lc::ECDSA_P384_SHA384_FIXED_SIGNING),
    (KeySpec::EcP521, &lc::ECDSA_P521_SHA512_FIXED_SIGNING),
];

/// Keys for certificates that tests make.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A key that signs certificates.
    pub(crate) enum CaKey {
        Rsa(RsaKeyPair),
        Ec(EcdsaKeyPair),
    }

    impl CaKey {
        pub(crate) fn p256() -> Self {
            Self::Ec(EcdsaKeyPair::generate(&lc::ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
        }

        pub(crate) fn rsa(pkcs8: &[u8]) -> Self {
            Self::Rsa(RsaKeyPair::from_pkcs8(pkcs8).unwrap())
        }

        pub(crate) fn public_key(&self) -> &[u8] {
            match self {
                Self::Rsa(pair) => pair.public_key().as_ref(),
                Self::Ec(pair) => pair.public_key().as_ref(),
            }
        }

        /// RSA PKCS#1 v1.5 or ECDSA, both with SHA-256.
        pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
            match self {
                Self::Rsa(pair) => sign_rsa(pair, &lc::RSA_PKCS1_SHA256, message).unwrap(),
                Self::Ec(pair) => {
                    pair.sign(&rand::SystemRandom::new(), message).unwrap().as_ref().to_vec()
                }
            }
        }
    }
}
