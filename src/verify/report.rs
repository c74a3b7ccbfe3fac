//! What was checked, how it ended, and what that means under the policy.

use std::fmt;

use crate::trust::level::{ValidationAction, ValidationType};

/// One thing that is checked of a signature, in the order it is judged.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum CheckId {
    /// One of the five validations of the policy.
    Validation(ValidationType),
    /// The signed descriptor is the artifact's: digest, size and media type. Always enforced.
    Content,
    /// The signed metadata holds what was asked for. Always enforced.
    UserMetadata,
}

impl CheckId {
    /// All checks, in order.
    pub const ALL: [Self; 7] = [
        Self::Validation(ValidationType::Integrity),
        Self::Validation(ValidationType::Authenticity),
        Self::Validation(ValidationType::Expiry),
        Self::Validation(ValidationType::AuthenticTimestamp),
        Self::Validation(ValidationType::Revocation),
        Self::Content,
        Self::UserMetadata,
    ];

    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validation(kind) => kind.as_str(),
            Self::Content => "content",
            Self::UserMetadata => "userMetadata",
        }
    }
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CheckStatus {
    /// What was to be shown is shown.
    Passed,
    /// It is not, or it is not known.
    Failed,
    /// The policy does not want it checked.
    Skipped,
    /// An enforced check failed before it.
    NotReached,
}

impl CheckStatus {
    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::NotReached => "notReached",
        }
    }
}

/// The result of one check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    /// What was checked.
    pub id: CheckId,
    /// What a failure means.
    pub action: ValidationAction,
    /// How it ended.
    pub status: CheckStatus,
    /// Why it ended so, in words.
    pub evidence: String,
}

impl Check {
    /// Whether the check failed and the policy only wants that logged.
    pub fn is_logged_failure(&self) -> bool {
        self.status == CheckStatus::Failed && self.action == ValidationAction::Log
    }
}
