//! `AlgorithmIdentifier` of a signature inside a certificate, CRL, OCSP response or CMS.

use der::{
    Reader, SliceReader, TagMode, TagNumber,
    asn1::{AnyRef, ContextSpecific, ObjectIdentifier},
};

use super::certificate::CertificateError;
use super::public_key::{KeyKind, PublicKey};
use crate::image::digest::Algorithm as HashAlgorithm;
use crate::signature::crypto::{self, CryptoError, Scheme};
use crate::signature::oid;

/// How a certificate is signed, judged by the identifier alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum X509SignatureAlgorithm {
    RsaPkcs1(HashAlgorithm),
    RsaPss(HashAlgorithm),
    Ecdsa(HashAlgorithm),
    Ed25519,
    /// RSA with SHA-1: refused unless the rules are lenient (N-19).
    RsaSha1,
    /// ECDSA with SHA-1: refused unless the rules are lenient (N-19).
    EcdsaSha1,
    /// RSA with MD5: refused always.
    RsaMd5,
    /// Something that is not supported: refused always.
    Unknown(ObjectIdentifier),
}

/// Which weak signatures may still be verified.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum WeakSignatures {
    Refuse,
    /// Keys of 1024 bits and more.
    AllowSmallKeys,
    /// SHA-1, and keys of 1024 bits and more.
    AllowSha1,
}

impl X509SignatureAlgorithm {
    /// Reads the raw TLV of an `AlgorithmIdentifier`.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let malformed =
            |error: der::Error| CertificateError::malformed("signature algorithm", error);
        let mut reader = SliceReader::new(der).map_err(malformed)?;
        let (algorithm, parameters) = reader
            .sequence(|reader| {
                let algorithm: ObjectIdentifier = reader.decode()?;
                let parameters: Option<AnyRef<'_>> = reader.decode()?;
                Ok::<_, der::Error>((algorithm, parameters))
            })
            .map_err(malformed)?;
        reader.finish().map_err(malformed)?;
        Ok(match algorithm {
            oid::SHA256_WITH_RSA => Self::RsaPkcs1(HashAlgorithm::Sha256),
            oid::SHA384_WITH_RSA => Self::RsaPkcs1(HashAlgorithm::Sha384),
            oid::SHA512_WITH_RSA => Self::RsaPkcs1(HashAlgorithm::Sha512),
            oid::ECDSA_WITH_SHA256 => Self::Ecdsa(HashAlgorithm::Sha256),
            oid::ECDSA_WITH_SHA384 => Self::Ecdsa(HashAlgorithm::Sha384),
            oid::ECDSA_WITH_SHA512 => Self::Ecdsa(HashAlgorithm::Sha512),
            oid::RSASSA_PSS => parameters
                .and_then(|parameters| pss_hash(parameters).ok().flatten())
                .map_or(Self::Unknown(algorithm), Self::RsaPss),
            oid::ED25519 if parameters.is_none() => Self::Ed25519,
            oid::SHA1_WITH_RSA => Self::RsaSha1,
            oid::ECDSA_WITH_SHA1 => Self::EcdsaSha1,
            oid::MD5_WITH_RSA => Self::RsaMd5,
            other => Self::Unknown(other),
        })
    }

    /// Is this one of the broken algorithms that N-19 names?
    pub(crate) fn is_broken(self) -> bool {
        matches!(self, Self::RsaSha1 | Self::EcdsaSha1 | Self::RsaMd5)
    }

    /// Name for messages.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::RsaPkcs1(hash) => format!("RSA with {hash}"),
            Self::RsaPss(hash) => format!("RSA-PSS with {hash}"),
            Self::Ecdsa(hash) => format!("ECDSA with {hash}"),
            Self::Ed25519 => "Ed25519".to_owned(),
            Self::RsaSha1 => "RSA with sha1".to_owned(),
            Self::EcdsaSha1 => "ECDSA with sha1".to_owned(),
            Self::RsaMd5 => "RSA with md5".to_owned(),
            Self::Unknown(algorithm) => format!("algorithm {algorithm}"),
        }
    }

    /// [`Self::verify`] without any weak algorithm or key.
    pub(crate) fn verify_strict(
        self,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        self.verify(key, message, signature, WeakSignatures::Refuse)
    }

    /// Verifies `signature` over `message` with `key`.
    pub(crate) fn verify(
        self,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
        weak: WeakSignatures,
    ) -> Result<(), CryptoError> {
        let scheme = match (self, key.kind()) {
            (Self::RsaPkcs1(hash), KeyKind::Rsa { bits }) if bits < 2048 => match weak {
                WeakSignatures::Refuse => return Err(CryptoError::UnsupportedCombination),
                _ => Scheme::RsaPkcs1Weak(hash),
            },
            (Self::RsaPkcs1(hash), KeyKind::Rsa { .. }) => Scheme::RsaPkcs1(hash),
            (Self::RsaPss(hash), KeyKind::Rsa { .. }) => Scheme::RsaPss(hash),
            (Self::Ecdsa(hash), KeyKind::Ec(curve)) => Scheme::EcdsaDer(curve, hash),
            (Self::Ed25519, KeyKind::Ed25519) => Scheme::Ed25519,
            (Self::RsaSha1, KeyKind::Rsa { .. }) if weak == WeakSignatures::AllowSha1 => {
                Scheme::RsaPkcs1Sha1
            }
            (Self::EcdsaSha1, KeyKind::Ec(curve)) if weak == WeakSignatures::AllowSha1 => {
                Scheme::EcdsaDerSha1(curve)
            }
            _ => return Err(CryptoError::UnsupportedCombination),
        };
        crypto::verify(scheme, key.raw(), message, signature)
    }
}

/// The hash of `RSASSA-PSS-params` if they are the usual ones: MGF1 over the same hash, salt as
/// long as the hash, trailer field 1. Go supports no others either.
///
/// ```asn1
/// RSASSA-PSS-params ::= SEQUENCE {
///     hashAlgorithm    [0] HashAlgorithm    DEFAULT sha1,
///     maskGenAlgorithm [1] MaskGenAlgorithm DEFAULT mgf1SHA1,
///     saltLength       [2] INTEGER          DEFAULT 20,
///     trailerField     [3] TrailerField     DEFAULT trailerFieldBC }
/// ```
fn pss_hash(parameters: AnyRef<'_>) -> der::Result<Option<HashAlgorithm>> {
    let explicit = TagMode::Explicit;
    let (hash, mask, salt, trailer) = parameters.sequence(|reader| {
        let hash: Option<AnyRef<'_>> = explicit_any(reader, 0)?;
        let mask: Option<AnyRef<'_>> = explicit_any(reader, 1)?;
        let salt: Option<u32> = reader.context_specific(TagNumber(2), explicit)?;
        let trailer: Option<u32> = reader.context_specific(TagNumber(3), explicit)?;
        Ok::<_, der::Error>((hash, mask, salt, trailer))
    })?;
    let (Some(hash), Some(mask), Some(salt)) = (hash, mask, salt) else { return Ok(None) };
    let Some(hash) = hash_identifier(hash)? else { return Ok(None) };
    let mask_hash = mask.sequence(|reader| {
        let function: ObjectIdentifier = reader.decode()?;
        let inner: AnyRef<'_> = reader.decode()?;
        Ok::<_, der::Error>((function == oid::MGF1).then_some(inner))
    })?;
    let Some(mask_hash) = mask_hash.map(hash_identifier).transpose()?.flatten() else {
        return Ok(None);
    };
    let salt_fits = usize::try_from(salt).is_ok_and(|salt| salt == hash.hex_len() / 2);
    let usual = mask_hash == hash && salt_fits && trailer.unwrap_or(1) == 1;
    Ok(usual.then_some(hash))
}

/// The hash an `AlgorithmIdentifier` names, parameters absent or NULL; `None` for any other.
pub(crate) fn hash_identifier(identifier: AnyRef<'_>) -> der::Result<Option<HashAlgorithm>> {
    identifier.sequence(|reader| {
        let algorithm: ObjectIdentifier = reader.decode()?;
        let parameters: Option<AnyRef<'_>> = reader.decode()?;
        if parameters.is_some_and(|parameters| !parameters.is_null()) {
            return Ok(None);
        }
        Ok::<_, der::Error>(match algorithm {
            oid::SHA256 => Some(HashAlgorithm::Sha256),
            oid::SHA384 => Some(HashAlgorithm::Sha384),
            oid::SHA512 => Some(HashAlgorithm::Sha512),
            _ => None,
        })
    })
}

/// An explicitly tagged field whose content is looked at later.
fn explicit_any<'r, R: Reader<'r>>(reader: &mut R, number: u32) -> der::Result<Option<AnyRef<'r>>> {
    let field = ContextSpecific::<AnyRef<'r>>::decode_explicit(reader, TagNumber(number))?;
    Ok(field.map(|field| field.value))
}
