//! Time: the signer's expiry, and whether the certificates were valid when it mattered.
//!
//! Implements spec/notation.md §4.2 and the triggers of §6.2. The time of verification is an
//! argument; nothing here asks a clock.

use jiff::{SignedDuration, Timestamp};

use crate::signature::envelope::{Envelope, SignedContent, SigningScheme};
use crate::signature::timestamp::{self, VerifiedTimestamp};
use crate::signature::x509::{Certificate, CertificateChain};
use crate::trust::level::TimestampRule;
use crate::trust::policy::Statement;
use crate::trust::store::StoreType;

use super::error::CandidateError;
use super::{Verifier, VerifyOptions, revocation};

/// Fails from the moment of expiry on, not only after it.
pub(super) fn expiry(content: &SignedContent, now: Timestamp) -> Result<String, CandidateError> {
    match content.expiry() {
        Some(expiry) if content.is_expired_at(now) => Err(CandidateError::Expired { expiry, now }),
        Some(expiry) => Ok(format!("signature expires at {expiry}")),
        None => Ok("signature has no expiry".to_owned()),
    }
}

/// What is demanded of a signature's age besides the policy, and enforced at every level.
///
/// A policy that only logs expiry accepts signatures of versions that were withdrawn long ago
/// (CVE-2024-23332: rollback).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Freshness {
    /// There must be an expiry, and it must not have passed.
    pub require_expiry: bool,
    /// Longest time since the signature was made. When that was, the signer says.
    pub max_age: Option<SignedDuration>,
}

pub(super) fn fresh(
    content: &SignedContent,
    freshness: &Freshness,
    now: Timestamp,
) -> Result<(), CandidateError> {
    if freshness.require_expiry {
        expiry(content, now)?;
        content.expiry().ok_or(CandidateError::NoExpiry)?;
    }
    let signed = content.signing_time();
    match freshness.max_age {
        // A signature from the future is as old as nobody knows.
        Some(limit) if now.duration_since(signed) > limit || signed > now => {
            Err(CandidateError::Age { signed, now, limit })
        }
        _ => Ok(()),
    }
}

/// Whether all certificates were valid at the moment that counts for the signature's scheme.
pub(super) fn authentic(
    verifier: &Verifier<'_>,
    envelope: &Envelope,
    content: &SignedContent,
) -> Result<String, CandidateError> {
    let Verifier { statement, options, .. } = verifier;
    match content.scheme() {
        SigningScheme::SigningAuthority => {
            valid_at(content, content.signing_time(), "signing time")
        }
        SigningScheme::X509 if needs_timestamp(statement, content, options.now) => {
            countersigned(verifier, envelope, content)
        }
        SigningScheme::X509 => {
            let has_timestamp = envelope.timestamp_token().is_some();
            valid_at(content, options.now, "time of verification").map_err(|error| match error {
                CandidateError::Validity(error) => {
                    CandidateError::NotValidNow { error, has_timestamp }
                }
                error => error,
            })
        }
    }
}

/// Whether a timestamp countersignature proves that the signature was made while the certificates
/// were valid (§6.3). The authority's own certificates must not be revoked (security.md S13), and
/// unknown is not enough: this part is enforced at every level at which the step is.
fn countersigned(
    verifier: &Verifier<'_>,
    envelope: &Envelope,
    content: &SignedContent,
) -> Result<String, CandidateError> {
    let Verifier { options, anchors, .. } = verifier;
    let token = envelope.timestamp_token().ok_or(CandidateError::NoTimestamp)?;
    let timestamp = check_timestamp(
        token,
        envelope.signature(),
        content.chain(),
        anchors.tsa()?,
        options,
        AuthorityRevocation::Check,
    )?;
    Ok(format!(
        "timestamped at {} by {:?}, when all certificates were valid",
        timestamp.generated(),
        timestamp.chain().leaf().subject().to_string()
    ))
}

/// Whether it is checked that the timestamping authority's certificates are not revoked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuthorityRevocation {
    /// It is, and unknown is an error.
    Check,
    /// It is not. Insecure: a stolen key of an authority can date anything (CVE-2024-56138).
    InsecureSkip,
}

/// Whether `token` proves that `signature` was made while all certificates of `chain` were valid,
/// by an authority that leads to one of `roots` (§6.3).
///
/// # Errors
/// [`CandidateError`] for what does not hold.
pub fn check_timestamp(
    token: &[u8],
    signature: &[u8],
    chain: &CertificateChain,
    roots: &[Certificate],
    options: &VerifyOptions,
    authority: AuthorityRevocation,
) -> Result<VerifiedTimestamp, CandidateError> {
    let timestamp = timestamp::verify(token, signature, roots, options.certificate_rules)?;
    chain
        .check_validity(timestamp.earliest(), timestamp.latest())
        .map_err(CandidateError::Validity)?;
    if authority == AuthorityRevocation::Check {
        revocation::check(timestamp.chain(), &options.revocation, None, options.now)
            .map_err(|error| CandidateError::TimestampRevocation(Box::new(error)))?;
    }
    Ok(timestamp)
}

/// Whether the policy demands a timestamp countersignature of this signature (§6.2).
fn needs_timestamp(statement: &Statement, content: &SignedContent, now: Timestamp) -> bool {
    let has_expired =
        || content.chain().certificates().iter().any(|certificate| certificate.not_after() < now);
    statement.stores(StoreType::Tsa).next().is_some()
        && match statement.timestamp_rule() {
            TimestampRule::Always => true,
            TimestampRule::AfterCertExpiry => has_expired(),
        }
}

fn valid_at(
    content: &SignedContent,
    moment: Timestamp,
    name: &str,
) -> Result<String, CandidateError> {
    content.chain().check_validity(moment, moment).map_err(CandidateError::Validity)?;
    Ok(format!("all certificates are valid at the {name}, {moment}"))
}
