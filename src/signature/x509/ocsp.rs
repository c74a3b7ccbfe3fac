//! OCSP responses (RFC 6960) given as files; nothing is ever asked over a network (D-4).

use der::{
    Reader, SliceReader, Tag,
    asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef, UintRef},
};
use jiff::Timestamp;

use super::certificate::{Certificate, CertificateError, explicit, time};
use super::extensions::RawExtension;
use super::revocation::{RevocationReason, RevocationStatus};
use super::signature_algorithm::X509SignatureAlgorithm;
use super::{crl, crl_wire};
use crate::image::digest::Algorithm as HashAlgorithm;
use crate::signature::crypto::{self, CryptoError};
use crate::signature::oid;

/// Largest response that is looked at, in bytes (spec §5.5: 20 KiB).
pub const MAX_RESPONSE_BYTES: usize = 20 * 1024;

const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
const INVALIDITY_DATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.24");

/// Why a response gives no answer. Every one of these means "revocation status unknown".
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OcspError {
    /// Larger than [`MAX_RESPONSE_BYTES`].
    #[error("OCSP response of {found} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Size in bytes.
        found: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not an OCSP response.
    #[error("OCSP response is malformed: {cause}")]
    Malformed {
        /// What the DER reader objects to.
        cause: der::Error,
    },
    /// A part of it is not what it should be.
    #[error("OCSP response: {0}")]
    Part(#[from] CertificateError),
    /// The responder could not answer.
    #[error("OCSP responder answered with status {status}")]
    Unsuccessful {
        /// The response status.
        status: u8,
    },
    /// The response is of another type than the basic one.
    #[error("OCSP response is not a basic one")]
    NotBasic,
    /// The response is not about the certificate.
    #[error("OCSP response is not about certificate {subject:?}")]
    OtherCertificate {
        /// Subject of the certificate in question.
        subject: String,
    },
    /// The responder is neither the issuer nor authorised by it.
    #[error("OCSP responder is not authorised by the issuer")]
    UnauthorizedResponder,
    /// The signature is wrong.
    #[error("signature of the OCSP response is invalid: {0}")]
    Signature(#[from] CryptoError),
    /// The answer is no longer current; without a next update it never is.
    #[error("OCSP response expired")]
    Expired {
        /// When a newer one was due.
        next_update: Option<Timestamp>,
    },
    /// The responder does not know the certificate.
    #[error("OCSP responder does not know the certificate")]
    Unknown,
    /// A critical extension that is not understood.
    #[error("OCSP response has a critical extension {extension} that is not supported")]
    UnknownCritical {
        /// The extension.
        extension: ObjectIdentifier,
    },
}

/// Whether it is a DER response that says something, about whichever certificate.
///
/// # Errors
/// [`OcspError`].
pub fn check_form(response: &[u8]) -> Result<(), OcspError> {
    let malformed = |cause| OcspError::Malformed { cause };
    Basic::read(basic_response(response)?).map_err(malformed).map(drop)
}

/// What a DER response says about the certificate of `query`.
///
/// # Errors
/// When the response is not about it, not signed by its issuer or a responder the issuer
/// authorised, not current, or the responder does not know.
pub fn check(query: &crl::CrlQuery<'_>, response: &[u8]) -> Result<RevocationStatus, OcspError> {
    if response.len() > MAX_RESPONSE_BYTES {
        return Err(OcspError::TooLarge { found: response.len(), limit: MAX_RESPONSE_BYTES });
    }
    let malformed = |cause| OcspError::Malformed { cause };
    let basic = basic_response(response)?;
    let basic = Basic::read(basic).map_err(malformed)?;
    basic.check_signature(query)?;
    let single = basic.singles.iter().find(|single| single.is_about(query)).ok_or_else(|| {
        OcspError::OtherCertificate { subject: query.certificate.subject().to_string() }
    })?;
    if single.next_update.is_none_or(|next_update| query.now > next_update) {
        return Err(OcspError::Expired { next_update: single.next_update });
    }
    let invalidity = single.invalidity_date()?;
    match single.status {
        Status::Good => Ok(RevocationStatus::Good),
        Status::Unknown => Err(OcspError::Unknown),
        Status::Revoked { since, reason } => {
            let after_signing = query
                .authentic_signing_time
                .zip(invalidity)
                .is_some_and(|(signed, invalid)| signed < invalid);
            if after_signing {
                return Ok(RevocationStatus::Good);
            }
            Ok(RevocationStatus::Revoked { since, reason })
        }
    }
}

/// ```asn1
/// OCSPResponse ::= SEQUENCE { responseStatus ENUMERATED, responseBytes [0] EXPLICIT
///     SEQUENCE { responseType OBJECT IDENTIFIER, response OCTET STRING } OPTIONAL }
/// ```
fn basic_response(response: &[u8]) -> Result<&[u8], OcspError> {
    let malformed = |cause| OcspError::Malformed { cause };
    let mut reader = SliceReader::new(response).map_err(malformed)?;
    let (status, bytes) = reader
        .sequence(|reader| {
            let status: AnyRef<'_> = reader.decode()?;
            der::Tagged::tag(&status).assert_eq(Tag::Enumerated)?;
            let bytes = explicit(reader, 0xa0, |reader| {
                reader.sequence(|reader| {
                    let kind: ObjectIdentifier = reader.decode()?;
                    let bytes: &OctetStringRef = reader.decode()?;
                    Ok::<_, der::Error>((kind, bytes.as_bytes()))
                })
            })?;
            Ok::<_, der::Error>((status.value(), bytes))
        })
        .map_err(malformed)?;
    reader.finish().map_err(malformed)?;
    match (status, bytes) {
        ([0], Some((BASIC, bytes))) => Ok(bytes),
        ([0], _) => Err(OcspError::NotBasic),
        (status, _) => {
            Err(OcspError::Unsuccessful { status: status.last().copied().unwrap_or_default() })
        }
    }
}

/// ```asn1
/// BasicOCSPResponse ::= SEQUENCE {
///     tbsResponseData, signatureAlgorithm, signature BIT STRING,
///     certs [0] EXPLICIT SEQUENCE OF Certificate OPTIONAL }
/// ResponseData ::= SEQUENCE {
///     version [0] EXPLICIT DEFAULT v1, responderID, producedAt GeneralizedTime,
///     responses SEQUENCE OF SingleResponse, responseExtensions [1] EXPLICIT OPTIONAL }
/// ```
struct Basic<'a> {
    tbs: &'a [u8],
    responder: Responder<'a>,
    singles: Vec<Single<'a>>,
    extensions: Option<&'a [u8]>,
    algorithm: &'a [u8],
    signature: &'a [u8],
    certificates: Vec<&'a [u8]>,
}

enum Responder<'a> {
    Name(&'a [u8]),
    KeyHash(&'a [u8]),
}

impl<'a> Basic<'a> {
    fn read(der: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(der)?;
        let basic = reader.sequence(|reader| {
            let tbs = reader.tlv_bytes()?;
            let algorithm = reader.tlv_bytes()?;
            let signature: BitStringRef<'_> = reader.decode()?;
            let certificates = explicit(reader, 0xa0, |reader| {
                reader.sequence(|reader| {
                    let mut list = Vec::new();
                    while !reader.is_finished() {
                        list.push(reader.tlv_bytes()?);
                    }
                    Ok::<_, der::Error>(list)
                })
            })?;
            let signature = signature
                .as_bytes()
                .ok_or_else(|| der::Error::from(Tag::BitString.value_error()))?;
            let (responder, singles, extensions) = Self::read_data(tbs)?;
            Ok::<_, der::Error>(Self {
                tbs,
                responder,
                singles,
                extensions,
                algorithm,
                signature,
                certificates: certificates.unwrap_or_default(),
            })
        })?;
        reader.finish()?;
        Ok(basic)
    }

    #[expect(clippy::type_complexity, reason = "three fields of the struct that calls it")]
    fn read_data(tbs: &'a [u8]) -> der::Result<(Responder<'a>, Vec<Single<'a>>, Option<&'a [u8]>)> {
        let mut reader = SliceReader::new(tbs)?;
        let data = reader.sequence(|reader| {
            explicit(reader, 0xa0, |reader| reader.decode::<u8>())?;
            let name = explicit(reader, 0xa1, |reader| reader.tlv_bytes())?.map(Responder::Name);
            let key = explicit(reader, 0xa2, |reader| reader.decode::<&OctetStringRef>())?
                .map(|hash| Responder::KeyHash(hash.as_bytes()));
            let responder =
                name.or(key).ok_or_else(|| der::Error::from(Tag::Sequence.value_error()))?;
            time(reader)?;
            let singles = reader.sequence(|reader| {
                let mut singles = Vec::new();
                while !reader.is_finished() {
                    singles.push(reader.sequence(Single::read)?);
                }
                Ok::<_, der::Error>(singles)
            })?;
            let extensions = explicit(reader, 0xa1, |reader| reader.tlv_bytes())?;
            Ok::<_, der::Error>((responder, singles, extensions))
        })?;
        reader.finish()?;
        Ok(data)
    }

    /// Signed by the issuer, or by a certificate the issuer signed for OCSP.
    fn check_signature(&self, query: &crl::CrlQuery<'_>) -> Result<(), OcspError> {
        refuse_critical(self.extensions, &[])?;
        let algorithm = X509SignatureAlgorithm::from_der(self.algorithm)?;
        let issuer = query.issuer;
        if self.responder.is(issuer) {
            algorithm.verify_strict(issuer.public_key(), self.tbs, self.signature)?;
            return Ok(());
        }
        for der in &self.certificates {
            let delegate = Certificate::from_der(der)?;
            if self.responder.is(&delegate) {
                check_delegate(&delegate, query)?;
                algorithm.verify_strict(delegate.public_key(), self.tbs, self.signature)?;
                return Ok(());
            }
        }
        Err(OcspError::UnauthorizedResponder)
    }
}

fn check_delegate(delegate: &Certificate, query: &crl::CrlQuery<'_>) -> Result<(), OcspError> {
    let may_sign_responses = delegate
        .extended_key_usage()
        .is_some_and(|usage| usage.purposes().contains(&oid::EKU_OCSP_SIGNING));
    let issued = delegate.issuer().der() == query.issuer.subject().der()
        && delegate.verify_signed_by_strict(query.issuer.public_key()).is_ok();
    if may_sign_responses && issued && delegate.is_valid_at(query.now) {
        return Ok(());
    }
    Err(OcspError::UnauthorizedResponder)
}

impl Responder<'_> {
    fn is(&self, certificate: &Certificate) -> bool {
        match self {
            Self::Name(name) => certificate.subject().der() == *name,
            Self::KeyHash(hash) => crypto::sha1_identifier(certificate.public_key().raw()) == *hash,
        }
    }
}

/// ```asn1
/// SingleResponse ::= SEQUENCE {
///     certID SEQUENCE { hashAlgorithm, issuerNameHash, issuerKeyHash OCTET STRING, serial },
///     certStatus CHOICE { good [0], revoked [1] SEQUENCE { time, reason [0] }, unknown [2] },
///     thisUpdate, nextUpdate [0] EXPLICIT OPTIONAL, singleExtensions [1] EXPLICIT OPTIONAL }
/// ```
struct Single<'a> {
    hash: AnyRef<'a>,
    name_hash: &'a [u8],
    key_hash: &'a [u8],
    serial: &'a [u8],
    status: Status,
    next_update: Option<Timestamp>,
    extensions: Option<&'a [u8]>,
}

#[derive(Clone, Copy)]
enum Status {
    Good,
    Revoked { since: Timestamp, reason: Option<RevocationReason> },
    Unknown,
}

impl<'a> Single<'a> {
    fn read(reader: &mut SliceReader<'a>) -> der::Result<Self> {
        let (hash, name_hash, key_hash, serial) = reader.sequence(|reader| {
            let hash: AnyRef<'_> = reader.decode()?;
            let name: &OctetStringRef = reader.decode()?;
            let key: &OctetStringRef = reader.decode()?;
            let serial: UintRef<'_> = reader.decode()?;
            Ok::<_, der::Error>((hash, name.as_bytes(), key.as_bytes(), serial.as_bytes()))
        })?;
        let status = match reader.peek_byte() {
            Some(0x80) => {
                reader.tlv_bytes()?;
                Status::Good
            }
            Some(0x82) => {
                reader.tlv_bytes()?;
                Status::Unknown
            }
            _ => explicit(reader, 0xa1, |reader| {
                let since = time(reader)?;
                let reason = explicit(reader, 0xa0, |reader| reader.tlv_bytes())?;
                let reason = reason.map(crl_wire::reason).transpose()?;
                Ok(Status::Revoked { since, reason })
            })?
            .ok_or_else(|| der::Error::from(Tag::Sequence.value_error()))?,
        };
        time(reader)?;
        let next_update = explicit(reader, 0xa0, time)?;
        let extensions = explicit(reader, 0xa1, |reader| reader.tlv_bytes())?;
        Ok(Self { hash, name_hash, key_hash, serial, status, next_update, extensions })
    }

    /// Is it about this very certificate of this very issuer?
    fn is_about(&self, query: &crl::CrlQuery<'_>) -> bool {
        let name = query.issuer.subject().der();
        let key = query.issuer.public_key().raw();
        let hashes = match self.hash_algorithm() {
            Some(IdentifierHash::Sha1) => {
                [name, key].map(|bytes| crypto::sha1_identifier(bytes).to_vec())
            }
            Some(IdentifierHash::Sha2(hash)) => [name, key].map(|bytes| crypto::hash(hash, bytes)),
            None => return false,
        };
        let [name_hash, key_hash] = hashes;
        self.serial == query.certificate.serial()
            && self.name_hash == name_hash
            && self.key_hash == key_hash
    }

    fn hash_algorithm(&self) -> Option<IdentifierHash> {
        let sha1 = self.hash.sequence(|reader| {
            let algorithm: ObjectIdentifier = reader.decode()?;
            let _parameters: Option<AnyRef<'_>> = reader.decode()?;
            Ok::<_, der::Error>(algorithm == oid::SHA1)
        });
        // An identifier that can't be read names no certificate.
        if sha1.unwrap_or(false) {
            return Some(IdentifierHash::Sha1);
        }
        super::hash_identifier(self.hash).ok().flatten().map(IdentifierHash::Sha2)
    }

    fn invalidity_date(&self) -> Result<Option<Timestamp>, OcspError> {
        let list = refuse_critical(self.extensions, &[INVALIDITY_DATE])?;
        list.iter()
            .find(|extension| extension.oid == INVALIDITY_DATE)
            .map(|extension| crl_wire::date(extension.value))
            .transpose()
            .map_err(|cause| OcspError::Malformed { cause })
    }
}

#[derive(Clone, Copy)]
enum IdentifierHash {
    Sha1,
    Sha2(HashAlgorithm),
}

fn refuse_critical<'a>(
    extensions: Option<&'a [u8]>,
    known: &[ObjectIdentifier],
) -> Result<Vec<RawExtension<'a>>, OcspError> {
    let list = extensions.map_or_else(|| Ok(Vec::new()), RawExtension::list)?;
    match list.iter().find(|extension| extension.critical && !known.contains(&extension.oid)) {
        Some(extension) => Err(OcspError::UnknownCritical { extension: extension.oid }),
        None => Ok(list),
    }
}
