//! Verification of a token (spec §6.3).

use jiff::{SignedDuration, Timestamp};

use super::cms::SignedData;
use super::error::TimestampError;
use super::tst_info::TstInfo;
use super::{MAX_TOKEN_BYTES, path};
use crate::signature::ber;
use crate::signature::x509::{Certificate, CertificateChain, CertificateRules};

/// A proof that a signature existed at a time. There is no other way to get one than [`verify`].
#[derive(Clone, Debug)]
pub struct VerifiedTimestamp {
    generated: Timestamp,
    accuracy: SignedDuration,
    chain: CertificateChain,
}

impl VerifiedTimestamp {
    /// When the authority says the token was made.
    #[must_use]
    pub fn generated(&self) -> Timestamp {
        self.generated
    }

    /// How exact that is, in either direction.
    #[must_use]
    pub fn accuracy(&self) -> SignedDuration {
        self.accuracy
    }

    /// The first moment it may have been.
    #[must_use]
    pub fn earliest(&self) -> Timestamp {
        self.generated.saturating_sub(self.accuracy).unwrap_or(Timestamp::MIN)
    }

    /// The last moment it may have been.
    #[must_use]
    pub fn latest(&self) -> Timestamp {
        self.generated.saturating_add(self.accuracy).unwrap_or(Timestamp::MAX)
    }

    /// The chain of the authority, from its certificate to a trusted root. Its revocation is for
    /// the caller to check.
    #[must_use]
    pub fn chain(&self) -> &CertificateChain {
        &self.chain
    }
}

/// Verifies that `token` is a timestamp of `signature` by an authority that leads to one of
/// `roots`. Certificates are judged at the time the token was made.
///
/// # Errors
/// When the token can't be read, is about something else, or no signer of it can be believed. Of
/// several signers, the error of the last one is given.
pub fn verify(
    token: &[u8],
    signature: &[u8],
    roots: &[Certificate],
    rules: CertificateRules,
) -> Result<VerifiedTimestamp, TimestampError> {
    let der = to_der(token)?;
    let signed = SignedData::from_der(&der)?;
    let info = TstInfo::from_der(signed.content)?;
    if !info.is_about(signature) {
        return Err(TimestampError::ImprintMismatch);
    }
    let mut failure = TimestampError::NoSigner;
    for signer in &signed.signers {
        let chain = signer
            .verify(signed.content, &signed.certificates)
            .and_then(|leaf| path::build(leaf, &signed.certificates, roots, info.generated, rules));
        match chain {
            Ok(chain) => {
                return Ok(VerifiedTimestamp {
                    generated: info.generated,
                    accuracy: info.accuracy,
                    chain,
                });
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// The certificates a token brings and the span of time it claims, **without any proof**: for
/// looking at envelopes, never for decisions.
///
/// # Errors
/// When the token can't be read.
pub fn token_certificates(
    token: &[u8],
) -> Result<(Vec<Certificate>, Timestamp, SignedDuration), TimestampError> {
    let der = to_der(token)?;
    let signed = SignedData::from_der(&der)?;
    let info = TstInfo::from_der(signed.content)?;
    Ok((signed.certificates, info.generated, info.accuracy))
}

/// The DER form of a token, within the limit.
pub(super) fn to_der(token: &[u8]) -> Result<Vec<u8>, TimestampError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TimestampError::TooLarge { found: token.len(), limit: MAX_TOKEN_BYTES });
    }
    ber::to_der(token).map_err(|cause| TimestampError::malformed("timestamp token", cause))
}
