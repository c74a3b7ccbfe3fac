//! Revocation without a network (spec/notation.md §5.5, decision D-4).
//!
//! A certificate that names neither a CRL nor an OCSP responder can't be revoked. For any other one
//! the answer has to come from files; without them it is unknown, and the policy decides.

use crate::signature::envelope::SignedContent;

use super::error::CandidateError;

/// Judges every certificate of the chain but the root, which nobody can revoke.
pub(super) fn check(content: &SignedContent) -> Result<String, CandidateError> {
    for (certificate, _issuer) in content.chain().with_issuers() {
        let urls: Vec<&str> = certificate
            .crl_urls()
            .iter()
            .chain(certificate.ocsp_urls())
            .map(String::as_str)
            .collect();
        if !urls.is_empty() {
            return Err(CandidateError::RevocationUnknown {
                subject: certificate.subject().to_string(),
                reason: format!("no revocation data for {}", urls.join(", ")),
            });
        }
    }
    Ok("no certificate of the chain names a CRL or an OCSP responder".to_owned())
}
