//! Verification levels: which of the five validations are enforced, logged or skipped.
//!
//! Implements spec/notation.md §5.2 rule 2 and the table of §5.4. A level is resolved once, when
//! the policy document is read; nothing here fails at verification time.

use std::collections::BTreeMap;
use std::fmt;

/// One of the five things a verification establishes, in the order they are judged (§5.4).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ValidationType {
    /// The envelope is well formed, its signature is valid under its leaf certificate and its
    /// certificate chain is sound.
    Integrity,
    /// The chain leads to a trust store of the policy, and the leaf is a trusted identity.
    Authenticity,
    /// The certificates were valid when the signature was made.
    AuthenticTimestamp,
    /// The signature has not passed the expiry its signer gave it.
    Expiry,
    /// No certificate of the chain is revoked.
    Revocation,
}

impl ValidationType {
    /// All types, in the order they are judged.
    pub const ALL: [Self; 5] = [
        Self::Integrity,
        Self::Authenticity,
        Self::AuthenticTimestamp,
        Self::Expiry,
        Self::Revocation,
    ];

    /// The name used in policy documents and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Integrity => "integrity",
            Self::Authenticity => "authenticity",
            Self::AuthenticTimestamp => "authenticTimestamp",
            Self::Expiry => "expiry",
            Self::Revocation => "revocation",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    fn index(self) -> usize {
        match self {
            Self::Integrity => 0,
            Self::Authenticity => 1,
            Self::AuthenticTimestamp => 2,
            Self::Expiry => 3,
            Self::Revocation => 4,
        }
    }
}

impl fmt::Display for ValidationType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happens when a validation fails.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ValidationAction {
    /// Verification fails.
    Enforce,
    /// Verification goes on; the failure is reported as a warning.
    Log,
    /// The validation is not carried out.
    Skip,
}

impl ValidationAction {
    /// The name used in policy documents and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Log => "log",
            Self::Skip => "skip",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Enforce, Self::Log, Self::Skip].into_iter().find(|action| action.as_str() == name)
    }
}

impl fmt::Display for ValidationAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a verification level.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LevelName {
    /// Everything is enforced.
    Strict,
    /// Integrity and authenticity are enforced, the rest is logged.
    Permissive,
    /// Integrity is enforced, the rest is logged.
    Audit,
    /// Nothing is verified.
    Skip,
    /// One of the first three with overrides.
    Custom,
}

impl LevelName {
    /// The name used in policy documents and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Permissive => "permissive",
            Self::Audit => "audit",
            Self::Skip => "skip",
            Self::Custom => "custom",
        }
    }
}

impl fmt::Display for LevelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A verification level: an action for every validation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VerificationLevel {
    name: LevelName,
    actions: [ValidationAction; 5],
}

/// The four predefined levels (§5.4), as data.
const PREDEFINED: [VerificationLevel; 4] = {
    use ValidationAction::{Enforce, Log, Skip};
    [
        VerificationLevel { name: LevelName::Strict, actions: [Enforce; 5] },
        VerificationLevel {
            name: LevelName::Permissive,
            actions: [Enforce, Enforce, Log, Log, Log],
        },
        VerificationLevel { name: LevelName::Audit, actions: [Enforce, Log, Log, Log, Log] },
        VerificationLevel { name: LevelName::Skip, actions: [Skip; 5] },
    ]
};

impl VerificationLevel {
    /// Resolves `level` and `override` of a policy statement.
    ///
    /// # Errors
    /// [`LevelError`] when a name is unknown or the combination is forbidden: integrity can't be
    /// overridden, only revocation can be skipped, and `skip` takes no overrides.
    pub fn resolve(level: &str, overrides: &BTreeMap<String, String>) -> Result<Self, LevelError> {
        if level.is_empty() {
            return Err(LevelError::Missing);
        }
        let base = PREDEFINED
            .into_iter()
            .find(|known| known.name.as_str() == level)
            .ok_or_else(|| LevelError::Unknown { level: level.to_owned() })?;
        if overrides.is_empty() {
            return Ok(base);
        }
        if base.name == LevelName::Skip {
            return Err(LevelError::SkipCustomised);
        }
        let mut custom = Self { name: LevelName::Custom, ..base };
        for (key, value) in overrides {
            let kind = ValidationType::parse(key)
                .ok_or_else(|| LevelError::UnknownType { name: key.clone() })?;
            let action = ValidationAction::parse(value)
                .ok_or_else(|| LevelError::UnknownAction { name: value.clone() })?;
            if kind == ValidationType::Integrity {
                return Err(LevelError::IntegrityOverridden);
            }
            if action == ValidationAction::Skip && kind != ValidationType::Revocation {
                return Err(LevelError::NotSkippable { kind });
            }
            custom.actions[kind.index()] = action;
        }
        Ok(custom)
    }

    /// The name of the level; `custom` once anything is overridden.
    pub fn name(&self) -> LevelName {
        self.name
    }

    /// What happens when `kind` fails.
    pub fn action(&self, kind: ValidationType) -> ValidationAction {
        self.actions[kind.index()]
    }

    /// Whether nothing is verified at all.
    pub fn is_skip(&self) -> bool {
        self.name == LevelName::Skip
    }

    /// The validations whose failure would not be an error; empty for `strict`.
    pub fn unenforced(&self) -> impl Iterator<Item = ValidationType> + '_ {
        ValidationType::ALL
            .into_iter()
            .filter(|kind| self.action(*kind) != ValidationAction::Enforce)
    }
}

/// A `signatureVerification` member that means nothing. The texts are notation's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LevelError {
    /// No level is given.
    #[error("signature verification level is empty or missing in the trust policy statement")]
    Missing,
    /// The level is none of the four.
    #[error("invalid signature verification level {level:?}")]
    Unknown {
        /// The level found.
        level: String,
    },
    /// `skip` with overrides.
    #[error(
        "signature verification level \"skip\" can't be used to customize signature verification"
    )]
    SkipCustomised,
    /// An override names no validation.
    #[error(
        "verification type {name:?} in custom signature verification is not supported, supported \
         values are [\"integrity\" \"authenticity\" \"authenticTimestamp\" \"expiry\" \"revocation\"]"
    )]
    UnknownType {
        /// The name found.
        name: String,
    },
    /// An override names no action.
    #[error(
        "verification action {name:?} in custom signature verification is not supported, supported \
         values are [\"enforce\" \"log\" \"skip\"]"
    )]
    UnknownAction {
        /// The name found.
        name: String,
    },
    /// Integrity is overridden.
    #[error("\"integrity\" verification can not be overridden in custom signature verification")]
    IntegrityOverridden,
    /// A validation other than revocation is skipped.
    #[error("\"{kind}\" verification can not be skipped in custom signature verification")]
    NotSkippable {
        /// The validation.
        kind: ValidationType,
    },
    /// `verifyTimestamp` is none of its values.
    #[error("verifyTimestamp must be \"always\" or \"afterCertExpiry\", but got {found:?}")]
    UnknownTimestampRule {
        /// The value found.
        found: String,
    },
}

/// When a timestamp countersignature is demanded (§5.2 rule 3, §6.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TimestampRule {
    /// Whenever the statement lists a `tsa` store.
    #[default]
    Always,
    /// Only when a certificate of the chain has expired.
    AfterCertExpiry,
}

impl TimestampRule {
    /// Parses `verifyTimestamp`; the empty text means [`TimestampRule::Always`].
    ///
    /// # Errors
    /// [`LevelError::UnknownTimestampRule`].
    pub fn parse(text: &str) -> Result<Self, LevelError> {
        match text {
            "" | "always" => Ok(Self::Always),
            "afterCertExpiry" => Ok(Self::AfterCertExpiry),
            _ => Err(LevelError::UnknownTimestampRule { found: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ValidationAction::{Enforce, Log, Skip};

    fn overrides(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn predefined_levels_are_the_table_of_the_specification() {
        for (name, actions) in [
            ("strict", [Enforce, Enforce, Enforce, Enforce, Enforce]),
            ("permissive", [Enforce, Enforce, Log, Log, Log]),
            ("audit", [Enforce, Log, Log, Log, Log]),
            ("skip", [Skip, Skip, Skip, Skip, Skip]),
        ] {
            let level = VerificationLevel::resolve(name, &BTreeMap::new()).unwrap();
            assert_eq!(level.name().as_str(), name);
            assert_eq!(ValidationType::ALL.map(|kind| level.action(kind)), actions, "{name}");
        }
    }

    #[test]
    fn overrides_change_only_what_they_name() {
        let level = VerificationLevel::resolve(
            "strict",
            &overrides(&[("revocation", "skip"), ("expiry", "log")]),
        )
        .unwrap();
        assert_eq!(level.name(), LevelName::Custom);
        assert_eq!(
            ValidationType::ALL.map(|kind| level.action(kind)),
            [Enforce, Enforce, Enforce, Log, Skip]
        );
        let level = VerificationLevel::resolve("audit", &overrides(&[("authenticity", "enforce")]))
            .unwrap();
        assert_eq!(level.action(ValidationType::Authenticity), Enforce);
        assert_eq!(level.unenforced().count(), 3);
    }

    #[test]
    fn forbidden_levels_and_overrides_are_refused() {
        for (level, pairs, message) in [
            (
                "",
                &[][..],
                "signature verification level is empty or missing in the trust policy statement",
            ),
            ("Strict", &[], "invalid signature verification level \"Strict\""),
            ("custom", &[], "invalid signature verification level \"custom\""),
            (
                "skip",
                &[("expiry", "log")],
                "signature verification level \"skip\" can't be used to customize signature verification",
            ),
            (
                "strict",
                &[("integrity", "log")],
                "\"integrity\" verification can not be overridden in custom signature verification",
            ),
            (
                "strict",
                &[("authenticity", "skip")],
                "\"authenticity\" verification can not be skipped in custom signature verification",
            ),
            (
                "strict",
                &[("expiry", "skip")],
                "\"expiry\" verification can not be skipped in custom signature verification",
            ),
            (
                "strict",
                &[("expirY", "log")],
                "verification type \"expirY\" in custom signature verification is not supported, supported values are [\"integrity\" \"authenticity\" \"authenticTimestamp\" \"expiry\" \"revocation\"]",
            ),
            (
                "strict",
                &[("expiry", "warn")],
                "verification action \"warn\" in custom signature verification is not supported, supported values are [\"enforce\" \"log\" \"skip\"]",
            ),
        ] {
            let error = VerificationLevel::resolve(level, &overrides(pairs)).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn timestamp_rule_has_three_spellings() {
        assert_eq!(TimestampRule::parse(""), Ok(TimestampRule::Always));
        assert_eq!(TimestampRule::parse("always"), Ok(TimestampRule::Always));
        assert_eq!(TimestampRule::parse("afterCertExpiry"), Ok(TimestampRule::AfterCertExpiry));
        assert!(TimestampRule::parse("aftercertexpiry").is_err());
    }
}
