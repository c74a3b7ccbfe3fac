//! Exit codes: public API, listed in the manual page.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// Done, or verified.
    Ok,
    /// Something that should not happen.
    Internal,
    /// The arguments are wrong.
    Usage,
    /// There is no signature.
    NoSignature,
    /// A signature is invalid.
    InvalidSignature,
    /// A signature is not trusted: policy, trust store or identity.
    NotTrusted,
    /// The content is not what is signed.
    ContentMismatch,
    /// Expired, or not valid yet.
    Expired,
    /// Revoked, or not known whether, under a policy that enforces it.
    Revoked,
    /// An archive, manifest or envelope is malformed or ambiguous.
    Malformed,
    /// The manifest that was or would be pushed can't be determined.
    NotDeterminable,
    /// A store or an image is not available.
    Unavailable,
}

impl Exit {
    /// The number.
    #[must_use]
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::NoSignature => 10,
            Self::InvalidSignature => 11,
            Self::NotTrusted => 12,
            Self::ContentMismatch => 13,
            Self::Expired => 14,
            Self::Revoked => 15,
            Self::Malformed => 16,
            Self::NotDeterminable => 17,
            Self::Unavailable => 20,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
