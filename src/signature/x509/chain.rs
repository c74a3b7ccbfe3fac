//! The rules between the certificates of a chain (spec §4.1), and their validity (§4.2).
//!
//! A chain is taken as it is given: leaf first, every certificate signed by the next one, a
//! self-signed root at the end. Nothing is reordered, completed or looked up.

use jiff::Timestamp;

use super::MAX_CHAIN_LENGTH;
use super::certificate::Certificate;
use super::chain_error::{ChainError, ChainWarning};
use super::public_key::KeyKind;
use super::signature_algorithm::WeakSignatures;
use crate::signature::oid;

/// A chain that keeps all rules of spec §4.1. It says nothing about time or trust.
#[derive(Clone, Debug)]
pub struct CertificateChain {
    certificates: Vec<Certificate>,
    warnings: Vec<ChainWarning>,
}

/// How strict certificates are judged (N-19, D-3).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CertificateRules {
    /// anyExtendedKeyUsage on the leaf, SHA-1 signatures and weak CA keys are refused.
    #[default]
    Strict,
    /// What notation accepts is accepted: the three narrowings of N-19 are off.
    Lenient,
}

/// What a chain is for; the leaf's usages depend on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// Signing content.
    CodeSigning,
    /// Signing RFC 3161 timestamps.
    Timestamping,
}

impl CertificateChain {
    /// Judges `certificates` as the chain of a signature.
    ///
    /// # Errors
    /// The first rule of spec §4.1 that is broken.
    pub fn code_signing(
        certificates: Vec<Certificate>,
        rules: CertificateRules,
    ) -> Result<Self, ChainError> {
        Self::build(certificates, Purpose::CodeSigning, rules)
    }

    /// Judges `certificates` as the chain of a timestamp token.
    ///
    /// # Errors
    /// The first rule of spec §4.1 that is broken.
    pub fn timestamping(
        certificates: Vec<Certificate>,
        rules: CertificateRules,
    ) -> Result<Self, ChainError> {
        Self::build(certificates, Purpose::Timestamping, rules)
    }

    fn build(
        certificates: Vec<Certificate>,
        purpose: Purpose,
        rules: CertificateRules,
    ) -> Result<Self, ChainError> {
        if certificates.len() > MAX_CHAIN_LENGTH {
            return Err(ChainError::TooLong { found: certificates.len(), limit: MAX_CHAIN_LENGTH });
        }
        let Some((leaf, authorities)) = certificates.split_first() else {
            return Err(ChainError::Empty);
        };
        let mut warnings = Vec::new();
        if rules == CertificateRules::Strict {
            check_strength(&certificates)?;
        }
        if authorities.is_empty() {
            check_single(leaf, rules)?;
        } else {
            check_links(&certificates, rules)?;
        }
        check_leaf(leaf, purpose, rules)?;
        for (below, authority) in authorities.iter().enumerate() {
            warnings.extend(check_authority(authority, below, purpose)?);
        }
        Ok(Self { certificates, warnings })
    }

    /// All certificates, leaf first.
    #[must_use]
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The certificate whose key signs.
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        // A chain is built from at least one certificate and never changed.
        self.certificates.first().expect("chain is not empty")
    }

    /// The self-signed certificate at the end; the leaf itself in a chain of one.
    #[must_use]
    pub fn root(&self) -> &Certificate {
        self.certificates.last().expect("chain is not empty")
    }

    /// What is worth telling about this chain.
    #[must_use]
    pub fn warnings(&self) -> &[ChainWarning] {
        &self.warnings
    }

    /// Every certificate with the one that issued it; the root, which is revoked by nobody, is
    /// left out.
    pub fn with_issuers(&self) -> impl Iterator<Item = (&Certificate, &Certificate)> {
        self.certificates.iter().zip(self.certificates.iter().skip(1))
    }

    /// Checks that every certificate is valid from `earliest` to `latest`, ends included
    /// (spec §4.2). For one moment, give it twice.
    ///
    /// # Errors
    /// [`ChainError::NotValidAt`] with the end that lies outside.
    pub fn check_validity(&self, earliest: Timestamp, latest: Timestamp) -> Result<(), ChainError> {
        for certificate in &self.certificates {
            for moment in [earliest, latest] {
                if !certificate.is_valid_at(moment) {
                    return Err(ChainError::NotValidAt {
                        subject: subject(certificate),
                        moment,
                        not_before: certificate.not_before(),
                        not_after: certificate.not_after(),
                    });
                }
            }
        }
        Ok(())
    }
}

impl CertificateChain {
    /// What a path that was built, not given, has to keep beyond the chain rules; Go demands it
    /// when it builds one: no critical extension unknown, purposes of CAs narrowing downwards.
    pub(crate) fn check_timestamping_path(&self) -> Result<(), ChainError> {
        let wanted = [oid::EKU_TIME_STAMPING, oid::EKU_ANY];
        for certificate in &self.certificates {
            if let Some(extension) = certificate.extensions().unhandled_critical {
                return Err(ChainError::UnhandledCriticalExtension {
                    subject: subject(certificate),
                    extension,
                });
            }
            let limited = certificate.extended_key_usage().is_some_and(|usage| {
                !usage.purposes().iter().any(|purpose| wanted.contains(purpose))
            });
            if limited {
                return Err(ChainError::CaNotForTimestamping { subject: subject(certificate) });
            }
        }
        Ok(())
    }
}

fn subject(certificate: &Certificate) -> String {
    certificate.subject().to_string()
}

/// N-19: no SHA-1 or MD5 anywhere, no weak CA keys.
fn check_strength(certificates: &[Certificate]) -> Result<(), ChainError> {
    for certificate in certificates {
        let algorithm = certificate.signature_algorithm();
        if algorithm.is_broken() {
            return Err(ChainError::BrokenSignatureAlgorithm {
                subject: subject(certificate),
                algorithm: algorithm.describe(),
            });
        }
    }
    for authority in certificates.iter().skip(1) {
        let weak = match authority.public_key().kind() {
            KeyKind::Rsa { bits } => bits < 2048,
            KeyKind::EcP224 => true,
            _ => false,
        };
        if weak {
            return Err(ChainError::WeakCaKey {
                subject: subject(authority),
                key: authority.public_key().describe(),
            });
        }
    }
    Ok(())
}

/// A chain of one: signed by its own key, issuer and subject equal. It need not be a CA.
fn check_single(certificate: &Certificate, rules: CertificateRules) -> Result<(), ChainError> {
    let weak = match rules {
        CertificateRules::Strict => WeakSignatures::Refuse,
        CertificateRules::Lenient => WeakSignatures::AllowSha1,
    };
    let signed = certificate.verify_signed_by(certificate.public_key(), weak).is_ok();
    if signed && certificate.is_self_issued() {
        return Ok(());
    }
    Err(ChainError::SingleNotSelfSigned { subject: subject(certificate) })
}

/// Signatures and names from the leaf to the root.
fn check_links(certificates: &[Certificate], rules: CertificateRules) -> Result<(), ChainError> {
    let weak = match rules {
        CertificateRules::Strict => WeakSignatures::Refuse,
        CertificateRules::Lenient => WeakSignatures::AllowSmallKeys,
    };
    for (certificate, next) in certificates.iter().zip(certificates.iter().skip(1)) {
        if is_issued_by(certificate, certificate, weak) {
            return Err(ChainError::SelfSignedBeforeRoot { subject: subject(certificate) });
        }
        if !is_issued_by(certificate, next, weak) {
            return Err(ChainError::NotIssuedByNext {
                subject: subject(certificate),
                issuer: subject(next),
            });
        }
    }
    match certificates.last() {
        Some(root) if is_issued_by(root, root, weak) => Ok(()),
        Some(last) => Err(ChainError::RootNotSelfSigned { subject: subject(last) }),
        None => Err(ChainError::Empty),
    }
}

/// Go's `CheckSignatureFrom` together with the byte comparison of the names.
fn is_issued_by(certificate: &Certificate, parent: &Certificate, weak: WeakSignatures) -> bool {
    let may_sign_certificates =
        parent.key_usage().is_none_or(|usage| usage.is_empty() || usage.cert_sign());
    parent.is_ca()
        && may_sign_certificates
        && certificate.issuer().der() == parent.subject().der()
        && certificate.verify_signed_by(parent.public_key(), weak).is_ok()
}

/// Rules for CA certificates; `below` counts the CA certificates between it and the leaf.
fn check_authority(
    authority: &Certificate,
    below: usize,
    purpose: Purpose,
) -> Result<Option<ChainWarning>, ChainError> {
    let constraints = authority
        .extensions()
        .basic_constraints
        .filter(|constraints| constraints.ca)
        .ok_or_else(|| ChainError::NotCa { subject: subject(authority) })?;
    if let Some(allowed) = constraints.path_length
        && usize::from(allowed) < below
    {
        return Err(ChainError::PathLength { subject: subject(authority), allowed, found: below });
    }
    let usage = authority
        .key_usage()
        .ok_or_else(|| ChainError::KeyUsageMissing { subject: subject(authority) })?;
    if purpose == Purpose::CodeSigning && !usage.is_critical() {
        return Err(ChainError::KeyUsageNotCritical { subject: subject(authority) });
    }
    if !usage.cert_sign() {
        return Err(ChainError::KeyUsageLacks { subject: subject(authority), usage: "CertSign" });
    }
    Ok((!constraints.critical)
        .then(|| ChainWarning::BasicConstraintsNotCritical { subject: subject(authority) }))
}

/// Rules for the certificate that signs.
fn check_leaf(
    leaf: &Certificate,
    purpose: Purpose,
    rules: CertificateRules,
) -> Result<(), ChainError> {
    if leaf.is_ca() {
        return Err(ChainError::LeafIsCa { subject: subject(leaf) });
    }
    let usage =
        leaf.key_usage().ok_or_else(|| ChainError::KeyUsageMissing { subject: subject(leaf) })?;
    if purpose == Purpose::CodeSigning && !usage.is_critical() {
        return Err(ChainError::KeyUsageNotCritical { subject: subject(leaf) });
    }
    if !usage.digital_signature() {
        return Err(ChainError::KeyUsageLacks {
            subject: subject(leaf),
            usage: "DigitalSignature",
        });
    }
    if let Some(usage) = usage.beyond_signing().next() {
        return Err(ChainError::KeyUsageForbids { subject: subject(leaf), usage });
    }
    match purpose {
        Purpose::CodeSigning => check_code_signing_purposes(leaf, rules)?,
        Purpose::Timestamping => check_timestamping_purpose(leaf)?,
    }
    if leaf.key_spec().is_none() {
        return Err(ChainError::UnsupportedLeafKey {
            subject: subject(leaf),
            key: leaf.public_key().describe(),
        });
    }
    Ok(())
}

fn check_code_signing_purposes(
    leaf: &Certificate,
    rules: CertificateRules,
) -> Result<(), ChainError> {
    let Some(usage) = leaf.extended_key_usage() else { return Ok(()) };
    let forbidden = [
        (oid::EKU_SERVER_AUTH, "ServerAuth"),
        (oid::EKU_CLIENT_AUTH, "ClientAuth"),
        (oid::EKU_EMAIL_PROTECTION, "EmailProtection"),
        (oid::EKU_TIME_STAMPING, "Timestamping"),
        (oid::EKU_OCSP_SIGNING, "OCSPSigning"),
    ];
    // The specification forbids it too; notation's code does not look (N-19).
    let any = (oid::EKU_ANY, "anyExtendedKeyUsage");
    let any = (rules == CertificateRules::Strict).then_some(any);
    match forbidden.into_iter().chain(any).find(|(oid, _)| usage.purposes().contains(oid)) {
        Some((_, purpose)) => {
            Err(ChainError::ExtendedKeyUsageForbids { subject: subject(leaf), purpose })
        }
        None => Ok(()),
    }
}

fn check_timestamping_purpose(leaf: &Certificate) -> Result<(), ChainError> {
    match leaf.extended_key_usage() {
        Some(usage) if usage.purposes() == [oid::EKU_TIME_STAMPING] => {
            if usage.is_critical() {
                return Ok(());
            }
            Err(ChainError::ExtendedKeyUsageNotCritical { subject: subject(leaf) })
        }
        _ => Err(ChainError::NotForTimestampingOnly { subject: subject(leaf) }),
    }
}
