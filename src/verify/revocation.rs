//! Revocation without a network (spec/notation.md §5.5, decision D-4).
//!
//! A certificate that names neither a CRL nor an OCSP responder can't be revoked. For any other one
//! the answer comes from files; without them it is unknown, and the policy decides. Per
//! certificate: OCSP if it names a responder, else, or if that gives no answer, CRLs if it names
//! any; then every distribution point has to be covered.

use jiff::Timestamp;

use crate::signature::x509::crl::{self, Crl, CrlQuery};
use crate::signature::x509::{Certificate, CertificateChain, RevocationStatus, ocsp};
use crate::trust::crls::RevocationData;

use super::error::CandidateError;

/// What files say about one certificate.
enum Answer {
    /// It can't be revoked: it names no source.
    NonRevocable,
    Good,
    Revoked,
    Unknown(Missing),
}

/// What is not known, and which list would tell.
struct Missing {
    reason: String,
    crl_url: Option<String>,
}

/// Judges every certificate of a chain but the root, which nobody can revoke. `authentic` is the
/// time a signing authority guarantees.
pub(super) fn check(
    chain: &CertificateChain,
    data: &RevocationData,
    authentic: Option<Timestamp>,
    now: Timestamp,
) -> Result<String, CandidateError> {
    let mut unknown = None;
    let mut good = 0_usize;
    for (certificate, issuer) in chain.with_issuers() {
        let query = CrlQuery { certificate, issuer, authentic_signing_time: authentic, now };
        let subject = || certificate.subject().to_string();
        match ask(&query, data) {
            Answer::NonRevocable => {}
            Answer::Good => good += 1,
            // Revoked is worse than unknown, wherever in the chain.
            Answer::Revoked => return Err(CandidateError::Revoked { subject: subject() }),
            Answer::Unknown(Missing { reason, crl_url }) => {
                unknown.get_or_insert_with(|| CandidateError::RevocationUnknown {
                    subject: subject(),
                    reason,
                    crl_url,
                });
            }
        }
    }
    match (unknown, good) {
        (Some(error), _) => Err(error),
        (None, 0) => Ok("no certificate of the chain names a CRL or an OCSP responder".to_owned()),
        (None, count) => Ok(format!("{count} certificates are not revoked, the others can't be")),
    }
}

fn ask(query: &CrlQuery<'_>, data: &RevocationData) -> Answer {
    let certificate = query.certificate;
    let ocsp = match certificate.ocsp_urls() {
        [] => Answer::NonRevocable,
        urls => ask_ocsp(query, urls, &data.ocsp_responses),
    };
    match (ocsp, certificate.crl_urls()) {
        (Answer::NonRevocable | Answer::Unknown(_), urls @ [_, ..]) => ask_crls(query, urls, data),
        (answer, _) => answer,
    }
}

fn ask_ocsp(query: &CrlQuery<'_>, urls: &[String], responses: &[Vec<u8>]) -> Answer {
    let mut reason = format!("no OCSP response of {}", urls.join(", "));
    for response in responses {
        match ocsp::check(query, response) {
            Ok(status) => return status.into(),
            Err(error) => reason = format!("OCSP of {}: {error}", urls.join(", ")),
        }
    }
    Answer::Unknown(Missing { reason, crl_url: None })
}

/// Every distribution point counts: a certificate may be on one list and not on another.
fn ask_crls(query: &CrlQuery<'_>, urls: &[String], data: &RevocationData) -> Answer {
    let mut unknown = None;
    for url in urls {
        match ask_crl(query, url, data) {
            Answer::Revoked => return Answer::Revoked,
            Answer::Unknown(missing) => {
                unknown.get_or_insert(missing);
            }
            Answer::Good | Answer::NonRevocable => {}
        }
    }
    unknown.map_or(Answer::Good, Answer::Unknown)
}

/// The list for one distribution point: the cached one, and those given as files.
fn ask_crl(query: &CrlQuery<'_>, url: &str, data: &RevocationData) -> Answer {
    let mut reason = format!("no CRL of {url}");
    let mut is_good = false;
    match data.cache.as_ref().map(|cache| cache.get(url)) {
        None | Some(Ok(None)) => {}
        // A cache that can't be read is as good as an empty one, but says why.
        Some(Err(error)) => reason = format!("CRL of {url}: {error}"),
        Some(Ok(Some(bundle))) => match crl::check(query, &bundle.base, bundle.delta.as_ref()) {
            Ok(RevocationStatus::Good) => is_good = true,
            Ok(RevocationStatus::Revoked { .. }) => return Answer::Revoked,
            Err(error) => reason = format!("CRL of {url}: {error}"),
        },
    }
    for base in lists_of(query.issuer, data).filter(|list| !list.is_delta()) {
        let delta = lists_of(query.issuer, data).find(|list| list.is_delta());
        match crl::check(query, base, delta) {
            Ok(RevocationStatus::Good) => is_good = true,
            Ok(RevocationStatus::Revoked { .. }) => return Answer::Revoked,
            Err(error) => reason = format!("CRL of {url}: {error}"),
        }
    }
    if is_good {
        return Answer::Good;
    }
    Answer::Unknown(Missing { reason, crl_url: Some(url.to_owned()) })
}

fn lists_of<'d>(issuer: &Certificate, data: &'d RevocationData) -> impl Iterator<Item = &'d Crl> {
    data.crls.iter().filter(move |list| list.is_from(issuer))
}

impl From<RevocationStatus> for Answer {
    fn from(status: RevocationStatus) -> Self {
        match status {
            RevocationStatus::Good => Self::Good,
            RevocationStatus::Revoked { .. } => Self::Revoked,
        }
    }
}
