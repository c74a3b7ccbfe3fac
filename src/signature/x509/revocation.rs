//! What CRLs and OCSP responses say about a certificate.

use std::fmt;

use jiff::Timestamp;

/// The answer of revocation data that can be believed. That there is no such data is an error of
/// the function that was asked, never an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RevocationStatus {
    /// Not revoked, or only after the authentic time of signing.
    Good,
    /// Revoked.
    Revoked {
        /// Since when.
        since: Timestamp,
        /// Why, if it is said.
        reason: Option<RevocationReason>,
    },
}

/// `CRLReason` (RFC 5280 §5.3.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RevocationReason(u8);

impl RevocationReason {
    pub(super) const CERTIFICATE_HOLD: Self = Self(6);
    pub(super) const REMOVE_FROM_CRL: Self = Self(8);

    pub(super) fn new(code: u8) -> Self {
        Self(code)
    }

    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        self.0
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            0 => "unspecified",
            1 => "keyCompromise",
            2 => "cACompromise",
            3 => "affiliationChanged",
            4 => "superseded",
            5 => "cessationOfOperation",
            6 => "certificateHold",
            8 => "removeFromCRL",
            9 => "privilegeWithdrawn",
            10 => "aACompromise",
            other => return write!(f, "reason {other}"),
        };
        f.write_str(name)
    }
}
