//! Time: the signer's expiry, and whether the certificates were valid when it mattered.
//!
//! Implements spec/notation.md §4.2 and the triggers of §6.2. The time of verification is an
//! argument; nothing here asks a clock.

use jiff::Timestamp;

use crate::signature::envelope::{Envelope, SignedContent, SigningScheme};
use crate::trust::level::TimestampRule;
use crate::trust::policy::Statement;
use crate::trust::store::StoreType;

use super::error::CandidateError;

/// Fails from the moment of expiry on, not only after it.
pub(super) fn expiry(content: &SignedContent, now: Timestamp) -> Result<String, CandidateError> {
    match content.expiry() {
        Some(expiry) if content.is_expired_at(now) => Err(CandidateError::Expired { expiry, now }),
        Some(expiry) => Ok(format!("signature expires at {expiry}")),
        None => Ok("signature has no expiry".to_owned()),
    }
}

/// Whether all certificates were valid at the moment that counts for the signature's scheme.
pub(super) fn authentic(
    statement: &Statement,
    envelope: &Envelope,
    content: &SignedContent,
    now: Timestamp,
) -> Result<String, CandidateError> {
    match content.scheme() {
        SigningScheme::SigningAuthority => {
            valid_at(content, content.signing_time(), "signing time")
        }
        SigningScheme::X509 if needs_timestamp(statement, content, now) => {
            Err(CandidateError::Timestamp {
                reason: match envelope.timestamp_token() {
                    None => "no timestamp countersignature was found in the signature envelope",
                    Some(_) => "timestamp countersignatures can't be verified by this version",
                }
                .to_owned(),
            })
        }
        SigningScheme::X509 => valid_at(content, now, "time of verification"),
    }
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
