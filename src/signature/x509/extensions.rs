//! The certificate extensions that matter, and the form of those that only have to be well formed.

use der::{
    Decode, Reader, SliceReader,
    asn1::{BitStringRef, ObjectIdentifier, OctetStringRef},
};
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints as WireBasicConstraints,
    CertificatePolicies, CrlDistributionPoints, NameConstraints, SubjectAltName,
    crl::dp::DistributionPoint,
    name::{DistributionPointName, GeneralName},
};

use super::certificate::CertificateError;
use crate::signature::oid;

/// `keyUsage` (RFC 5280 §4.2.1.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyUsage {
    bits: u16,
    critical: bool,
}

impl KeyUsage {
    /// Names in the order of the bits; the ones Go and notation print.
    const NAMES: [&'static str; 9] = [
        "DigitalSignature",
        "ContentCommitment",
        "KeyEncipherment",
        "DataEncipherment",
        "KeyAgreement",
        "CertSign",
        "CRLSign",
        "EncipherOnly",
        "DecipherOnly",
    ];

    /// Is the extension marked critical?
    #[must_use]
    pub fn is_critical(self) -> bool {
        self.critical
    }

    /// May the key sign content?
    #[must_use]
    pub fn digital_signature(self) -> bool {
        self.has(0)
    }

    /// May the key sign certificates?
    #[must_use]
    pub fn cert_sign(self) -> bool {
        self.has(5)
    }

    /// May the key sign CRLs?
    #[must_use]
    pub fn crl_sign(self) -> bool {
        self.has(6)
    }

    /// Are no bits set at all?
    pub(crate) fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// Usages besides digitalSignature and contentCommitment: a leaf must have none (spec §4.1).
    pub(crate) fn beyond_signing(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .zip(0..)
            .filter(move |&(_, bit)| bit >= 2 && self.has(bit))
            .map(|(name, _)| name)
    }

    fn has(self, bit: u32) -> bool {
        self.bits & (1 << bit) != 0
    }
}

/// `extKeyUsage` (RFC 5280 §4.2.1.12).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExtendedKeyUsage {
    purposes: Vec<ObjectIdentifier>,
    critical: bool,
}

impl ExtendedKeyUsage {
    /// The purposes, in the order they stand in.
    #[must_use]
    pub fn purposes(&self) -> &[ObjectIdentifier] {
        &self.purposes
    }

    /// Is the extension marked critical?
    #[must_use]
    pub fn is_critical(&self) -> bool {
        self.critical
    }
}

/// `basicConstraints` (RFC 5280 §4.2.1.9).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct BasicConstraints {
    pub(crate) ca: bool,
    pub(crate) path_length: Option<u8>,
    pub(crate) critical: bool,
}

/// All extensions of one certificate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extensions {
    pub(crate) basic_constraints: Option<BasicConstraints>,
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) extended_key_usage: Option<ExtendedKeyUsage>,
    pub(crate) ocsp_urls: Vec<String>,
    pub(crate) crl_urls: Vec<String>,
    pub(crate) freshest_crl_urls: Vec<String>,
    pub(crate) subject_key_identifier: Option<Vec<u8>>,
    /// Every extension there is, known or not.
    pub(crate) present: Vec<ObjectIdentifier>,
    /// A critical extension whose meaning is not enforced here, if there is one.
    pub(crate) unhandled_critical: Option<ObjectIdentifier>,
}

/// One extension on the wire.
///
/// ```asn1
/// Extension ::= SEQUENCE {
///     extnID OBJECT IDENTIFIER, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }
/// ```
pub(crate) struct RawExtension<'a> {
    pub(crate) oid: ObjectIdentifier,
    pub(crate) critical: bool,
    pub(crate) value: &'a [u8],
}

impl<'a> RawExtension<'a> {
    /// Reads a `SEQUENCE OF Extension` without duplicates.
    pub(crate) fn list(der: &'a [u8]) -> Result<Vec<Self>, CertificateError> {
        let malformed = |cause| CertificateError::malformed("extensions", cause);
        let mut reader = SliceReader::new(der).map_err(malformed)?;
        let list = reader
            .sequence(|reader| {
                let mut list = Vec::new();
                while !reader.is_finished() {
                    list.push(reader.sequence(|reader| {
                        let oid: ObjectIdentifier = reader.decode()?;
                        let critical: Option<bool> = reader.decode()?;
                        let value: &OctetStringRef = reader.decode()?;
                        let critical = critical.unwrap_or(false);
                        Ok::<_, der::Error>(RawExtension { oid, critical, value: value.as_bytes() })
                    })?);
                }
                Ok::<_, der::Error>(list)
            })
            .map_err(malformed)?;
        reader.finish().map_err(malformed)?;
        for (index, extension) in list.iter().enumerate() {
            if list.iter().take(index).any(|earlier| earlier.oid == extension.oid) {
                return Err(CertificateError::DuplicateExtension { oid: extension.oid });
            }
        }
        Ok(list)
    }
}

/// Critical extensions that a built path may have: what they say is enforced, or is about names
/// and places that play no part in it.
const ENFORCED: [ObjectIdentifier; 6] = [
    oid::BASIC_CONSTRAINTS,
    oid::KEY_USAGE,
    oid::EXTENDED_KEY_USAGE,
    oid::SUBJECT_ALT_NAME,
    oid::CERTIFICATE_POLICIES,
    oid::CRL_DISTRIBUTION_POINTS,
];

impl Extensions {
    /// Reads the `SEQUENCE OF Extension` of a certificate.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let mut all = Self::default();
        for extension in RawExtension::list(der)? {
            let oid = extension.oid;
            all.present.push(oid);
            all.take(&extension).map_err(|cause| CertificateError::Extension { oid, cause })?;
            if extension.critical && !ENFORCED.contains(&oid) {
                all.unhandled_critical = Some(oid);
            }
            // Go's parser refuses these when critical.
            let never_critical = [
                oid::AUTHORITY_KEY_IDENTIFIER,
                oid::SUBJECT_KEY_IDENTIFIER,
                oid::AUTHORITY_INFO_ACCESS,
            ];
            if extension.critical && never_critical.contains(&oid) {
                return Err(CertificateError::Invalid {
                    part: "key identifier or information access extension",
                    what: "is marked critical",
                });
            }
        }
        Ok(all)
    }

    fn take(&mut self, extension: &RawExtension<'_>) -> der::Result<()> {
        let RawExtension { oid, critical, value } = *extension;
        match oid {
            oid::BASIC_CONSTRAINTS => {
                let wire = WireBasicConstraints::from_der(value)?;
                self.basic_constraints = Some(BasicConstraints {
                    ca: wire.ca,
                    path_length: wire.path_len_constraint,
                    critical,
                });
            }
            oid::KEY_USAGE => {
                let bits = BitStringRef::from_der(value)?;
                let bits = bits
                    .bits()
                    .take(9)
                    .zip(0u32..)
                    .fold(0u16, |all, (set, bit)| if set { all | (1 << bit) } else { all });
                self.key_usage = Some(KeyUsage { bits, critical });
            }
            oid::EXTENDED_KEY_USAGE => {
                let purposes = Vec::<ObjectIdentifier>::from_der(value)?;
                self.extended_key_usage = Some(ExtendedKeyUsage { purposes, critical });
            }
            oid::AUTHORITY_INFO_ACCESS => {
                self.ocsp_urls = AuthorityInfoAccessSyntax::from_der(value)?
                    .0
                    .into_iter()
                    .filter(|access| access.access_method == oid::ACCESS_OCSP)
                    .filter_map(|access| url(&access.access_location))
                    .collect();
            }
            oid::CRL_DISTRIBUTION_POINTS => {
                self.crl_urls = distribution_points(&CrlDistributionPoints::from_der(value)?.0);
            }
            oid::FRESHEST_CRL => {
                self.freshest_crl_urls =
                    distribution_points(&CrlDistributionPoints::from_der(value)?.0);
            }
            oid::SUBJECT_KEY_IDENTIFIER => {
                let identifier = <&OctetStringRef>::from_der(value)?;
                self.subject_key_identifier = Some(identifier.as_bytes().to_vec());
            }
            // Not interpreted, but Go refuses the certificate if they can't be read.
            oid::AUTHORITY_KEY_IDENTIFIER => {
                AuthorityKeyIdentifier::from_der(value)?;
            }
            oid::SUBJECT_ALT_NAME => {
                SubjectAltName::from_der(value)?;
            }
            oid::NAME_CONSTRAINTS => {
                NameConstraints::from_der(value)?;
            }
            oid::CERTIFICATE_POLICIES => {
                CertificatePolicies::from_der(value)?;
            }
            // Unknown extensions are ignored even if critical (spec §4.1).
            _ => {}
        }
        Ok(())
    }
}

/// The URLs of all distribution points, in order.
pub(crate) fn distribution_points(points: &[DistributionPoint]) -> Vec<String> {
    points
        .iter()
        .filter_map(|point| match &point.distribution_point {
            Some(DistributionPointName::FullName(names)) => Some(names),
            _ => None,
        })
        .flatten()
        .filter_map(url)
        .collect()
}

fn url(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::UniformResourceIdentifier(url) => Some(url.to_string()),
        _ => None,
    }
}
