//! Certificate revocation lists (RFC 5280 §5), judged as notation does (spec §5.5).
//!
//! Pure functions: bytes, certificates and the time in, status out. Where lists come from, and
//! whether all of a certificate's distribution points are covered, is the caller's business.

use std::cmp::Ordering;

use der::{
    Decode, Reader, SliceReader, Tag,
    asn1::{BitStringRef, ObjectIdentifier, UintRef},
};
use jiff::Timestamp;
use x509_cert::ext::pkix::CrlDistributionPoints;

use super::certificate::{Certificate, CertificateError};
use super::crl_wire::{Entries, Entry, TbsFields};
use super::extensions::{RawExtension, distribution_points};
use super::name::DistinguishedName;
use super::revocation::{RevocationReason, RevocationStatus};
use super::signature_algorithm::X509SignatureAlgorithm;
use crate::signature::crypto::CryptoError;
use crate::signature::oid;

/// Largest list that is looked at, in bytes (spec §5.5: 32 MiB).
pub const MAX_CRL_BYTES: usize = 32 * 1024 * 1024;

const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
const DELTA_CRL_INDICATOR: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.27");
const ISSUING_DISTRIBUTION_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");

/// A list that can be read. It is believed only for the issuer that signed it.
///
/// ```asn1
/// CertificateList ::= SEQUENCE { tbsCertList, signatureAlgorithm, signature BIT STRING }
/// TBSCertList     ::= SEQUENCE {
///     version INTEGER, signature AlgorithmIdentifier, issuer Name, thisUpdate Time,
///     nextUpdate Time OPTIONAL, revokedCertificates SEQUENCE OF Entry OPTIONAL,
///     crlExtensions [0] EXPLICIT Extensions OPTIONAL }
/// Entry ::= SEQUENCE { serial INTEGER, revocationDate Time, extensions OPTIONAL }
/// ```
#[derive(Clone, Debug)]
pub struct Crl {
    der: Vec<u8>,
    tbs: Vec<u8>,
    algorithm: X509SignatureAlgorithm,
    signature: Vec<u8>,
    issuer: DistinguishedName,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    /// Content of the SEQUENCE of entries; every entry has been read once.
    entries: Vec<u8>,
    number: Option<Vec<u8>>,
    delta_base: Option<Vec<u8>>,
    freshest_crl_urls: Vec<String>,
    unknown_critical: Option<ObjectIdentifier>,
}

/// Why a list gives no answer. Every one of these means "revocation status unknown".
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlError {
    /// Larger than [`MAX_CRL_BYTES`].
    #[error("CRL of {found} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Size in bytes.
        found: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A PEM file without exactly one CRL.
    #[error("PEM file does not hold exactly one CRL")]
    NotOnePem,
    /// Not a CRL.
    #[error("CRL is malformed: {cause}")]
    Malformed {
        /// What the DER reader objects to.
        cause: der::Error,
    },
    /// A part of it is not what it should be.
    #[error("CRL: {0}")]
    Part(#[from] CertificateError),
    /// It is somebody else's list.
    #[error("CRL is issued by {found:?}, not by {expected:?}")]
    OtherIssuer {
        /// Issuer of the list.
        found: String,
        /// Issuer of the certificate.
        expected: String,
    },
    /// The issuer's certificate does not allow it to sign lists.
    #[error("certificate {issuer:?} may not sign CRLs")]
    IssuerMayNotSign {
        /// Subject of the issuer.
        issuer: String,
    },
    /// The signature is wrong.
    #[error("signature of the CRL is invalid: {0}")]
    Signature(#[from] CryptoError),
    /// The list does not say until when it is current.
    #[error("CRL has no next update")]
    NoNextUpdate,
    /// The list is no longer current.
    #[error("CRL expired at {next_update}")]
    Expired {
        /// When a newer list was due.
        next_update: Timestamp,
    },
    /// A critical extension of the list or of the certificate's entry that is not understood.
    #[error("CRL has a critical extension {extension} that is not supported")]
    UnknownCritical {
        /// The extension.
        extension: ObjectIdentifier,
    },
    /// A delta list is announced but was not given.
    #[error("a delta CRL is announced but missing")]
    DeltaMissing,
    /// The delta list does not go with the base.
    #[error("delta CRL does not continue the base CRL: {what}")]
    DeltaMismatch {
        /// What does not fit.
        what: &'static str,
    },
}

/// What revocation is asked for.
#[derive(Clone, Copy, Debug)]
pub struct CrlQuery<'a> {
    /// The certificate in question.
    pub certificate: &'a Certificate,
    /// The next certificate of the chain.
    pub issuer: &'a Certificate,
    /// The time a signing authority guarantees; never the time of a timestamp (spec §5.5).
    pub authentic_signing_time: Option<Timestamp>,
    /// The time it is.
    pub now: Timestamp,
}

impl Crl {
    /// Reads a list from a file: PEM (`X509 CRL`) or DER.
    ///
    /// # Errors
    /// As [`Self::from_der`]; [`CrlError::NotOnePem`] when PEM holds none or several.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CrlError> {
        const BEGIN: &[u8] = b"-----BEGIN ";
        if bytes.len() > MAX_CRL_BYTES || !bytes.trim_ascii_start().starts_with(BEGIN) {
            return Self::from_der(bytes);
        }
        let blocks = pem::parse_many(bytes).map_err(|_| CrlError::NotOnePem)?;
        match &blocks[..] {
            [block] if block.tag() == "X509 CRL" => Self::from_der(block.contents()),
            _ => Err(CrlError::NotOnePem),
        }
    }

    /// Reads a DER list.
    ///
    /// # Errors
    /// When it is not one, or too large.
    pub fn from_der(der: &[u8]) -> Result<Self, CrlError> {
        if der.len() > MAX_CRL_BYTES {
            return Err(CrlError::TooLarge { found: der.len(), limit: MAX_CRL_BYTES });
        }
        let malformed = |cause| CrlError::Malformed { cause };
        let mut reader = SliceReader::new(der).map_err(malformed)?;
        let (tbs, algorithm, signature) = reader
            .sequence(|reader| {
                let tbs = reader.tlv_bytes()?;
                let algorithm = reader.tlv_bytes()?;
                let signature: BitStringRef<'_> = reader.decode()?;
                let signature = signature
                    .as_bytes()
                    .ok_or_else(|| der::Error::from(Tag::BitString.value_error()))?;
                Ok::<_, der::Error>((tbs, algorithm, signature))
            })
            .map_err(malformed)?;
        reader.finish().map_err(malformed)?;
        let fields = TbsFields::read(tbs).map_err(malformed)?;
        if fields.algorithm != algorithm {
            return Err(CrlError::Malformed { cause: Tag::Sequence.value_error().into() });
        }
        let mut crl = Self {
            der: der.to_vec(),
            tbs: tbs.to_vec(),
            algorithm: X509SignatureAlgorithm::from_der(algorithm)?,
            signature: signature.to_vec(),
            issuer: DistinguishedName::from_der(fields.issuer)?,
            this_update: fields.this_update,
            next_update: fields.next_update,
            entries: fields.entries.to_vec(),
            number: None,
            delta_base: None,
            freshest_crl_urls: Vec::new(),
            unknown_critical: None,
        };
        for entry in Entries::new(fields.entries) {
            entry.map_err(malformed)?;
        }
        if let Some(extensions) = fields.extensions {
            for extension in RawExtension::list(extensions)? {
                crl.take_extension(&extension).map_err(malformed)?;
            }
        }
        Ok(crl)
    }

    fn take_extension(&mut self, extension: &RawExtension<'_>) -> der::Result<()> {
        let number = |value| UintRef::from_der(value).map(|number| number.as_bytes().to_vec());
        match extension.oid {
            CRL_NUMBER => self.number = Some(number(extension.value)?),
            DELTA_CRL_INDICATOR => self.delta_base = Some(number(extension.value)?),
            oid::FRESHEST_CRL => {
                let points = CrlDistributionPoints::from_der(extension.value)?;
                self.freshest_crl_urls = distribution_points(&points.0);
            }
            // Tolerated, and not interpreted, as in notation.
            ISSUING_DISTRIBUTION_POINT => {}
            other if extension.critical => self.unknown_critical = Some(other),
            _ => {}
        }
        Ok(())
    }

    /// The DER bytes as received.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Who issued it.
    #[must_use]
    pub fn issuer(&self) -> &DistinguishedName {
        &self.issuer
    }

    /// When it was issued.
    #[must_use]
    pub fn this_update(&self) -> Timestamp {
        self.this_update
    }

    /// When a newer one is due.
    #[must_use]
    pub fn next_update(&self) -> Option<Timestamp> {
        self.next_update
    }

    /// Compares the numbers; a list that has none stands before those that have one.
    #[must_use]
    pub fn cmp_number(&self, other: &Self) -> Ordering {
        match (&self.number, &other.number) {
            (Some(own), Some(number)) => compare(own, number),
            (own, number) => own.is_some().cmp(&number.is_some()),
        }
    }

    /// Its number in hexadecimal digits, if it has one.
    #[must_use]
    pub fn number(&self) -> Option<String> {
        self.number.as_deref().map(hex)
    }

    /// The number that a delta list continues, in hexadecimal digits; complete lists have none.
    #[must_use]
    pub fn base_number(&self) -> Option<String> {
        self.delta_base.as_deref().map(hex)
    }

    /// Is it a delta list?
    #[must_use]
    pub fn is_delta(&self) -> bool {
        self.delta_base.is_some()
    }

    /// Where its delta lists are found.
    #[must_use]
    pub fn freshest_crl_urls(&self) -> &[String] {
        &self.freshest_crl_urls
    }

    /// Number of entries.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        Entries::new(&self.entries).count()
    }

    /// Is this the list of `issuer`, by name and signature? Says nothing about being current.
    #[must_use]
    pub fn is_from(&self, issuer: &Certificate) -> bool {
        self.check_issuer(issuer).is_ok()
    }

    fn check_issuer(&self, issuer: &Certificate) -> Result<(), CrlError> {
        if self.issuer.der() != issuer.subject().der() {
            return Err(CrlError::OtherIssuer {
                found: self.issuer.to_string(),
                expected: issuer.subject().to_string(),
            });
        }
        let may_sign = issuer.key_usage().is_none_or(|usage| usage.is_empty() || usage.crl_sign());
        if !issuer.is_ca() || !may_sign {
            return Err(CrlError::IssuerMayNotSign { issuer: issuer.subject().to_string() });
        }
        self.algorithm.verify_strict(issuer.public_key(), &self.tbs, &self.signature)?;
        Ok(())
    }

    fn check_usable(&self, query: &CrlQuery<'_>) -> Result<(), CrlError> {
        self.check_issuer(query.issuer)?;
        let next_update = self.next_update.ok_or(CrlError::NoNextUpdate)?;
        if query.now > next_update {
            return Err(CrlError::Expired { next_update });
        }
        match self.unknown_critical {
            Some(extension) => Err(CrlError::UnknownCritical { extension }),
            None => Ok(()),
        }
    }

    /// Does `delta` continue this list (RFC 5280 §5.2.4)?
    ///
    /// # Errors
    /// [`CrlError::DeltaMismatch`].
    pub fn check_delta(&self, delta: &Self) -> Result<(), CrlError> {
        let mismatch = |what| Err(CrlError::DeltaMismatch { what });
        if self.issuer.der() != delta.issuer.der() {
            return mismatch("it has another issuer");
        }
        let (Some(base), Some(number)) = (&self.number, &delta.number) else {
            return mismatch("a CRL number is missing");
        };
        let Some(indicator) = &delta.delta_base else {
            return mismatch("it has no delta CRL indicator");
        };
        if compare(number, base) != Ordering::Greater {
            return mismatch("its number is not greater");
        }
        if compare(indicator, base) == Ordering::Greater {
            return mismatch("it starts from a later base");
        }
        Ok(())
    }
}

/// What `base`, with the changes of `delta`, says about a certificate.
///
/// # Errors
/// When a list is not the issuer's, not current, not understood, or a delta list is missing.
pub fn check(
    query: &CrlQuery<'_>,
    base: &Crl,
    delta: Option<&Crl>,
) -> Result<RevocationStatus, CrlError> {
    base.check_usable(query)?;
    if base.is_delta() {
        return Err(CrlError::DeltaMismatch { what: "the base is a delta CRL itself" });
    }
    let announced =
        !base.freshest_crl_urls.is_empty() || !query.certificate.freshest_crl_urls().is_empty();
    match delta {
        Some(delta) => {
            delta.check_usable(query)?;
            base.check_delta(delta)?;
        }
        None if announced => return Err(CrlError::DeltaMissing),
        None => {}
    }
    // Temporary entries: the latest one counts. Of equal dates the first, as in notation.
    let mut temporary: Option<Entry<'_>> = None;
    let lists = std::iter::once(base).chain(delta);
    for entry in lists.flat_map(|list| Entries::new(&list.entries)) {
        let entry = entry.map_err(|cause| CrlError::Malformed { cause })?;
        if entry.serial != query.certificate.serial() {
            continue;
        }
        let details = entry.details()?;
        if let (Some(signed), Some(invalid)) = (query.authentic_signing_time, details.invalidity)
            && signed < invalid
        {
            return Ok(RevocationStatus::Good);
        }
        match details.reason {
            Some(RevocationReason::CERTIFICATE_HOLD | RevocationReason::REMOVE_FROM_CRL) => {
                if temporary.as_ref().is_none_or(|earlier| earlier.date < entry.date) {
                    temporary = Some(entry);
                }
            }
            reason => return Ok(RevocationStatus::Revoked { since: entry.date, reason }),
        }
    }
    let Some(entry) = temporary else { return Ok(RevocationStatus::Good) };
    match entry.details()?.reason {
        Some(RevocationReason::CERTIFICATE_HOLD) => Ok(RevocationStatus::Revoked {
            since: entry.date,
            reason: Some(RevocationReason::CERTIFICATE_HOLD),
        }),
        _ => Ok(RevocationStatus::Good),
    }
}

/// Compares big-endian numbers without leading zeros.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn hex(number: &[u8]) -> String {
    number.iter().map(|byte| format!("{byte:02x}")).collect()
}
