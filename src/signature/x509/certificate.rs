//! One certificate: raw DER in, checked accessors out.

use std::fmt;

use der::{
    Reader, SliceReader, Tag,
    asn1::{BitStringRef, GeneralizedTime, ObjectIdentifier, UintRef, UtcTime},
};
use jiff::Timestamp;

use super::extensions::Extensions;
use super::name::DistinguishedName;
use super::public_key::PublicKey;
use super::signature_algorithm::{WeakSignatures, X509SignatureAlgorithm};
use super::{ExtendedKeyUsage, KeyUsage, MAX_CERTIFICATE_BYTES};
use crate::signature::algorithm::KeySpec;
use crate::signature::crypto;
use crate::signature::crypto::CryptoError;

/// A certificate that is formally correct. Nothing is known about its trustworthiness.
///
/// ```asn1
/// Certificate    ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue BIT STRING }
/// TBSCertificate ::= SEQUENCE {
///     version [0] EXPLICIT INTEGER DEFAULT v1, serialNumber INTEGER,
///     signature AlgorithmIdentifier, issuer Name, validity Validity, subject Name,
///     subjectPublicKeyInfo, issuerUniqueID [1] OPTIONAL, subjectUniqueID [2] OPTIONAL,
///     extensions [3] EXPLICIT OPTIONAL }
/// ```
///
/// Two certificates are equal when their DER is.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    tbs: Vec<u8>,
    serial: Vec<u8>,
    issuer: DistinguishedName,
    subject: DistinguishedName,
    not_before: Timestamp,
    not_after: Timestamp,
    spki: Vec<u8>,
    public_key: PublicKey,
    extensions: Extensions,
    signature_algorithm: X509SignatureAlgorithm,
    signature: Vec<u8>,
}

/// Why bytes are not a certificate.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not DER, or not the structure of a certificate.
    #[error("{part} is malformed: {cause}")]
    Malformed {
        /// The part that could not be read.
        part: &'static str,
        /// What the DER reader objects to.
        cause: der::Error,
    },
    /// A rule of RFC 5280 about one part is broken.
    #[error("{part} {what}")]
    Invalid {
        /// The part in question.
        part: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The subject public key can't be used.
    #[error("public key: {what}")]
    PublicKey {
        /// What is wrong with it.
        what: &'static str,
    },
    /// An extension occurs twice.
    #[error("extension {oid} occurs more than once")]
    DuplicateExtension {
        /// The extension.
        oid: ObjectIdentifier,
    },
    /// A known extension has content that is not its own.
    #[error("extension {oid} is malformed: {cause}")]
    Extension {
        /// The extension.
        oid: ObjectIdentifier,
        /// What the DER reader objects to.
        cause: der::Error,
    },
    /// Larger than [`MAX_CERTIFICATE_BYTES`] (N-20).
    #[error("certificate of {found} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Size in bytes.
        found: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

impl CertificateError {
    pub(crate) fn malformed(part: &'static str, cause: der::Error) -> Self {
        Self::Malformed { part, cause }
    }
}

impl Certificate {
    /// Reads one DER certificate; nothing may follow it.
    ///
    /// # Errors
    /// When the bytes are not strict DER, break a rule of RFC 5280 that Go's parser enforces too
    /// (negative serial, duplicate extensions, differing inner and outer algorithm, ...), or are
    /// more than [`MAX_CERTIFICATE_BYTES`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::TooLarge {
                found: der.len(),
                limit: MAX_CERTIFICATE_BYTES,
            });
        }
        let malformed = |cause| CertificateError::malformed("certificate", cause);
        let mut reader = SliceReader::new(der).map_err(malformed)?;
        let outer = reader
            .sequence(|reader| {
                let tbs = reader.tlv_bytes()?;
                let algorithm = reader.tlv_bytes()?;
                let signature: BitStringRef<'_> = reader.decode()?;
                Ok::<_, der::Error>((tbs, algorithm, signature))
            })
            .map_err(malformed)?;
        reader.finish().map_err(malformed)?;
        let (tbs, algorithm, signature) = outer;
        let fields = TbsFields::parse(tbs).map_err(malformed)?;
        if fields.algorithm != algorithm {
            return Err(CertificateError::Invalid {
                part: "signature algorithm",
                what: "differs between the signed part and the certificate",
            });
        }
        let signature = signature.as_bytes().ok_or(CertificateError::Invalid {
            part: "signature",
            what: "is not a whole number of bytes",
        })?;
        let (not_before, not_after) = fields.validity()?;
        Ok(Self {
            der: der.to_vec(),
            tbs: tbs.to_vec(),
            serial: fields.serial()?,
            issuer: DistinguishedName::from_der(fields.issuer)?,
            subject: DistinguishedName::from_der(fields.subject)?,
            not_before,
            not_after,
            spki: fields.spki.to_vec(),
            public_key: PublicKey::from_der(fields.spki)?,
            extensions: fields
                .extensions
                .map_or_else(|| Ok(Extensions::default()), Extensions::from_der)?,
            signature_algorithm: X509SignatureAlgorithm::from_der(algorithm)?,
            signature: signature.to_vec(),
        })
    }

    /// The DER bytes as received.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of [`Self::der`], the fingerprint notation shows.
    #[must_use]
    pub fn sha256_fingerprint(&self) -> [u8; 32] {
        crypto::sha256(&self.der)
    }

    /// The serial number, big endian, without leading zeros.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// Who is certified.
    #[must_use]
    pub fn subject(&self) -> &DistinguishedName {
        &self.subject
    }

    /// Who certifies.
    #[must_use]
    pub fn issuer(&self) -> &DistinguishedName {
        &self.issuer
    }

    /// First second of validity.
    #[must_use]
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Last second of validity. RFC 5280's "no expiration" (year 9999) is kept as
    /// [`Timestamp::MAX`].
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Is `moment` within the validity, both ends included?
    #[must_use]
    pub fn is_valid_at(&self, moment: Timestamp) -> bool {
        self.not_before <= moment && moment <= self.not_after
    }

    /// The certified key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The `SubjectPublicKeyInfo` as received.
    #[must_use]
    pub fn subject_public_key_info(&self) -> &[u8] {
        &self.spki
    }

    /// The certified key's specification, if it is one envelopes can be signed with.
    #[must_use]
    pub fn key_spec(&self) -> Option<KeySpec> {
        self.public_key.key_spec()
    }

    /// Does basicConstraints say `CA:TRUE`?
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.extensions.basic_constraints.is_some_and(|constraints| constraints.ca)
    }

    /// Are the bytes of issuer and subject the same?
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.issuer.der() == self.subject.der()
    }

    /// Key usage, if the extension is there.
    #[must_use]
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.extensions.key_usage
    }

    /// Extended key usage, if the extension is there.
    #[must_use]
    pub fn extended_key_usage(&self) -> Option<&ExtendedKeyUsage> {
        self.extensions.extended_key_usage.as_ref()
    }

    /// Where OCSP can be asked (authorityInfoAccess), as written.
    #[must_use]
    pub fn ocsp_urls(&self) -> &[String] {
        &self.extensions.ocsp_urls
    }

    /// Where CRLs are found (cRLDistributionPoints), as written.
    #[must_use]
    pub fn crl_urls(&self) -> &[String] {
        &self.extensions.crl_urls
    }

    /// Where delta CRLs are found (freshestCRL), as written.
    #[must_use]
    pub fn freshest_crl_urls(&self) -> &[String] {
        &self.extensions.freshest_crl_urls
    }

    /// The subject key identifier, if the extension is there.
    #[must_use]
    pub fn subject_key_identifier(&self) -> Option<&[u8]> {
        self.extensions.subject_key_identifier.as_deref()
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    pub(crate) fn signature_algorithm(&self) -> X509SignatureAlgorithm {
        self.signature_algorithm
    }

    /// Verifies this certificate's signature with `key`, and nothing else.
    pub(crate) fn verify_signed_by(
        &self,
        key: &PublicKey,
        weak: WeakSignatures,
    ) -> Result<(), CryptoError> {
        self.signature_algorithm.verify(key, &self.tbs, &self.signature, weak)
    }

    /// [`Self::verify_signed_by`] without any weak algorithm or key.
    pub(crate) fn verify_signed_by_strict(&self, key: &PublicKey) -> Result<(), CryptoError> {
        self.verify_signed_by(key, WeakSignatures::Refuse)
    }

    /// Does the certificate verify under its own key? Says nothing about it being a CA.
    #[must_use]
    pub fn is_signed_by_itself(&self) -> bool {
        self.verify_signed_by(&self.public_key, WeakSignatures::Refuse).is_ok()
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.subject.to_string())
            .field("issuer", &self.issuer.to_string())
            .finish_non_exhaustive()
    }
}

/// The fields of a `TBSCertificate` as raw TLVs.
struct TbsFields<'a> {
    version: u8,
    serial: &'a [u8],
    algorithm: &'a [u8],
    issuer: &'a [u8],
    validity: &'a [u8],
    subject: &'a [u8],
    spki: &'a [u8],
    extensions: Option<&'a [u8]>,
}

impl<'a> TbsFields<'a> {
    fn parse(tbs: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(tbs)?;
        let fields = reader.sequence(|reader| {
            let version: Option<u8> = explicit(reader, 0xa0, |reader| reader.decode())?;
            let mut fields = Self {
                version: version.unwrap_or(0),
                serial: reader.tlv_bytes()?,
                algorithm: reader.tlv_bytes()?,
                issuer: reader.tlv_bytes()?,
                validity: reader.tlv_bytes()?,
                subject: reader.tlv_bytes()?,
                spki: reader.tlv_bytes()?,
                extensions: None,
            };
            if matches!(fields.version, 1 | 2) {
                // issuerUniqueID and subjectUniqueID mean nothing to anybody.
                skip_if(reader, 0x81)?;
                skip_if(reader, 0x82)?;
            }
            if fields.version == 2 {
                fields.extensions = explicit(reader, 0xa3, |reader| reader.tlv_bytes())?;
            }
            if fields.version > 2 {
                return Err(Tag::Integer.value_error().into());
            }
            Ok::<_, der::Error>(fields)
        })?;
        reader.finish()?;
        Ok(fields)
    }

    fn serial(&self) -> Result<Vec<u8>, CertificateError> {
        let mut reader = SliceReader::new(self.serial)
            .map_err(|cause| CertificateError::malformed("serial number", cause))?;
        // UintRef refuses negative numbers, as Go does since 1.23.
        reader
            .decode::<UintRef<'_>>()
            .map(|serial| serial.as_bytes().to_vec())
            .map_err(|cause| CertificateError::malformed("serial number", cause))
    }

    fn validity(&self) -> Result<(Timestamp, Timestamp), CertificateError> {
        let malformed = |cause| CertificateError::malformed("validity", cause);
        let mut reader = SliceReader::new(self.validity).map_err(malformed)?;
        reader
            .sequence(|reader| Ok::<_, der::Error>((time(reader)?, time(reader)?)))
            .map_err(malformed)
    }
}

/// `Time ::= CHOICE { UTCTime, GeneralizedTime }`, clamped to what [`Timestamp`] can hold.
pub(crate) fn time<'r, R: Reader<'r>>(reader: &mut R) -> der::Result<Timestamp> {
    let since_epoch = match Tag::peek(reader)? {
        Tag::UtcTime => reader.decode::<UtcTime>()?.to_unix_duration(),
        _ => reader.decode::<GeneralizedTime>()?.to_unix_duration(),
    };
    let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
    Ok(Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX))
}

/// An EXPLICIT field, if `tag` is next.
pub(crate) fn explicit<'r, R, T>(
    reader: &mut R,
    tag: u8,
    content: impl FnOnce(&mut R) -> der::Result<T>,
) -> der::Result<Option<T>>
where
    R: Reader<'r>,
{
    if reader.peek_byte() != Some(tag) {
        return Ok(None);
    }
    let header = reader.decode::<der::Header>()?;
    reader.read_nested(header.length(), content).map(Some)
}

fn skip_if<'r, R: Reader<'r>>(reader: &mut R, tag: u8) -> der::Result<()> {
    if reader.peek_byte() == Some(tag) {
        reader.tlv_bytes()?;
    }
    Ok(())
}
