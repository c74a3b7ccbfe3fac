//! Exit codes: public API, listed in the README, in `dockseal --help` and so in the manual page.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Exit {
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
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Ok,
        Self::Internal,
        Self::Usage,
        Self::NoSignature,
        Self::InvalidSignature,
        Self::NotTrusted,
        Self::ContentMismatch,
        Self::Expired,
        Self::Revoked,
        Self::Malformed,
        Self::NotDeterminable,
        Self::Unavailable,
    ];

    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
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

    /// The code of several works: of the most severe failure. Content that was tampered with comes
    /// before signatures that are no good, those before what is not trusted or not there, and what
    /// could not be judged comes last.
    #[must_use]
    pub(super) fn most_severe(exits: impl IntoIterator<Item = Self>) -> Self {
        const SEVEREST_FIRST: [Exit; 11] = [
            Exit::ContentMismatch,
            Exit::InvalidSignature,
            Exit::Malformed,
            Exit::Revoked,
            Exit::NotTrusted,
            Exit::Expired,
            Exit::NoSignature,
            Exit::NotDeterminable,
            Exit::Unavailable,
            Exit::Usage,
            Exit::Internal,
        ];
        let rank = |exit: &Self| SEVEREST_FIRST.iter().position(|each| each == exit);
        exits.into_iter().filter(|exit| *exit != Self::Ok).min_by_key(rank).unwrap_or(Self::Ok)
    }

    /// Whether something was judged, and found wanting.
    #[must_use]
    pub(super) fn is_denial(self) -> bool {
        matches!(
            self,
            Self::NoSignature
                | Self::InvalidSignature
                | Self::NotTrusted
                | Self::ContentMismatch
                | Self::Expired
                | Self::Revoked
        )
    }

    /// What the number means, for people.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done, verified",
            Self::Internal => "internal error; as a docker plugin or notation every failure",
            Self::Usage => "wrong usage",
            Self::NoSignature => "no signature",
            Self::InvalidSignature => "signature invalid",
            Self::NotTrusted => "not trusted: policy, trust store, identity",
            Self::ContentMismatch => "content does not match; the blob is named",
            Self::Expired => "expired, or not yet valid",
            Self::Revoked => "revoked, or unknown where the policy insists",
            Self::Malformed => "archive, manifest or envelope malformed or ambiguous",
            Self::NotDeterminable => {
                "the pushed manifest can't be determined; the message says what would settle it"
            }
            Self::Unavailable => "store, file or image unavailable",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The table for `--help`.
pub(super) fn table() -> String {
    Exit::ALL.map(|exit| format!("  {:>2}  {}\n", exit.code(), exit.meaning())).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_the_same_table() {
        let readme = include_str!("../../README.md");
        let (_, table) = readme.split_once("| code | meaning |\n|---|---|\n").unwrap();
        let (table, _) = table.split_once("\n\n").unwrap();
        let rows = Exit::ALL.map(|exit| format!("| {} | {} |", exit.code(), exit.meaning()));
        assert_eq!(table, rows.join("\n"));
    }

    #[test]
    fn tampering_is_more_severe_than_absence() {
        let of = |exits: &[Exit]| Exit::most_severe(exits.iter().copied());
        assert_eq!(of(&[]), Exit::Ok);
        assert_eq!(of(&[Exit::Ok, Exit::Unavailable]), Exit::Unavailable);
        assert_eq!(of(&[Exit::Unavailable, Exit::ContentMismatch]), Exit::ContentMismatch);
        assert_eq!(of(&[Exit::NoSignature, Exit::NotTrusted]), Exit::NotTrusted);
        for exit in Exit::ALL {
            assert_eq!(of(&[exit, Exit::Ok]), exit);
        }
    }

    #[test]
    fn numbers_ascend() {
        assert!(Exit::ALL.is_sorted_by(|a, b| a.code() < b.code()));
    }
}
