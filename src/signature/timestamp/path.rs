//! From the certificate of a timestamping authority to a trusted root (spec §6.3).
//!
//! Unlike the chain of an envelope, which is taken as given, this one is built: tokens bring their
//! certificates in any order, and the root usually comes from the trust store.

use jiff::Timestamp;

use super::error::TimestampError;
use crate::signature::x509::{
    Certificate, CertificateChain, CertificateRules, ChainError, MAX_CHAIN_LENGTH,
};

/// Candidates that are tried before giving up: a token could bring many certificates of one name.
const MAX_ATTEMPTS: usize = 200;

/// Finds the chain from `leaf` over `intermediates` to one of the `roots` and judges it as the
/// chain of a timestamping authority, at the time the token was made.
pub(super) fn build(
    leaf: &Certificate,
    intermediates: &[Certificate],
    roots: &[Certificate],
    moment: Timestamp,
    rules: CertificateRules,
) -> Result<CertificateChain, TimestampError> {
    let mut search =
        Search { intermediates, roots, moment, rules, attempts: MAX_ATTEMPTS, failure: None };
    match search.extend(&mut vec![leaf.clone()]) {
        Some(chain) => Ok(chain),
        // A chain that reached a root and broke a rule says more than "untrusted".
        None => Err(search.failure.map_or_else(
            || TimestampError::Untrusted { subject: leaf.subject().to_string() },
            TimestampError::Chain,
        )),
    }
}

struct Search<'a> {
    intermediates: &'a [Certificate],
    roots: &'a [Certificate],
    moment: Timestamp,
    rules: CertificateRules,
    attempts: usize,
    failure: Option<ChainError>,
}

impl Search<'_> {
    fn extend(&mut self, path: &mut Vec<Certificate>) -> Option<CertificateChain> {
        let last = path.last()?.clone();
        let (roots, intermediates) = (self.roots, self.intermediates);
        for root in roots.iter().filter(|root| issues(root, &last)) {
            path.push(root.clone());
            let judged = self.judge(path);
            path.pop();
            match judged {
                Ok(chain) => return Some(chain),
                Err(failure) => self.failure = Some(failure),
            }
        }
        if path.len() + 1 >= MAX_CHAIN_LENGTH {
            return None;
        }
        for next in intermediates {
            if self.attempts == 0 || path.contains(next) || !issues(next, &last) {
                continue;
            }
            self.attempts -= 1;
            path.push(next.clone());
            let found = self.extend(path);
            path.pop();
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn judge(&self, path: &[Certificate]) -> Result<CertificateChain, ChainError> {
        let chain = CertificateChain::timestamping(path.to_vec(), self.rules)?;
        chain.check_timestamping_path()?;
        chain.check_validity(self.moment, self.moment)?;
        Ok(chain)
    }
}

fn issues(issuer: &Certificate, certificate: &Certificate) -> bool {
    certificate.issuer().der() == issuer.subject().der()
}
