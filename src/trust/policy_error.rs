//! Why there is no policy statement to judge by.

use super::identity::IdentityError;
use super::level::LevelError;
use super::policy::PolicyKind;
use super::scope::ScopeError;
use super::store::StoreRefError;
use crate::image::json::ReadError;

/// Why a policy document is unusable or has no statement for an artifact. The texts are notation's
/// where it has one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The global blob statement skips verification (F3).
    #[error("blob trust policy: global statement {statement:?} can't skip signature verification")]
    GlobalSkip {
        /// Name of the statement.
        statement: String,
    },
    /// Not the JSON that is expected, or JSON that parsers read differently.
    #[error("malformed {kind} trust policy: {source}")]
    Malformed {
        /// Which document.
        kind: PolicyKind,
        /// What is wrong, and where.
        source: Box<ReadError>,
    },
    /// Two statements have the same name.
    #[error(
        "multiple {kind} trust policy statements use the same name {name:?}, statement names must \
         be unique"
    )]
    NameTwice {
        /// Which document.
        kind: PolicyKind,
        /// The name.
        name: String,
    },
    /// No global blob statement, and no name was given.
    #[error("no global blob trust policy")]
    NoGlobalStatement,
    /// A statement has no name.
    #[error(
        "{kind} trust policy: a trust policy statement is missing a name, every statement requires \
         a name"
    )]
    NoName {
        /// Which document.
        kind: PolicyKind,
    },
    /// No statement has the name that was asked for.
    #[error("no {kind} trust policy statement is named {name:?}; there are: {}", known.join(", "))]
    NoNamedStatement {
        /// Which document.
        kind: PolicyKind,
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A statement without registry scopes.
    #[error(
        "oci trust policy statement {statement:?} has zero registry scopes, it must specify \
         registry scopes with at least one value"
    )]
    NoScopes {
        /// Name of the statement.
        statement: String,
    },
    /// Neither a statement for this artifact nor a `*` statement.
    #[error(
        "{} has no applicable oci trust policy statement: applicability is determined by \
         registryScopes", artifact.as_ref().map_or_else(
            || "an artifact without a scope".to_owned(), |name| format!("artifact {name:?}"))
    )]
    NoStatement {
        /// The repository, if one was given.
        artifact: Option<String>,
    },
    /// The document has no statements.
    #[error("{kind} trust policy document can not have zero trust policy statements")]
    NoStatements {
        /// Which document.
        kind: PolicyKind,
    },
    /// The version is absent or empty.
    #[error("{kind} trust policy document has empty version, version must be specified")]
    NoVersion {
        /// Which document.
        kind: PolicyKind,
    },
    /// A registry scope does not follow the grammar.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// A registry scope stands in two statements.
    #[error(
        "registry scope {scope:?} is present in multiple oci trust policy statements, one registry \
         scope value can only be associated with one statement"
    )]
    ScopeTwice {
        /// The scope.
        scope: String,
    },
    /// A statement breaks a rule.
    #[error("{kind} trust policy: trust policy statement {name:?} {problem}")]
    Statement {
        /// Which document.
        kind: PolicyKind,
        /// Name of the statement.
        name: String,
        /// The rule it breaks.
        problem: StatementError,
    },
    /// Two blob statements are global.
    #[error(
        "multiple blob trust policy statements have globalPolicy set to true. Only one trust policy \
         statement should be marked as global policy"
    )]
    TwoGlobal,
    /// The version is not 1.0.
    #[error("{kind} trust policy document uses unsupported version {found:?}")]
    Version {
        /// Which document.
        kind: PolicyKind,
        /// The version found.
        found: String,
    },
    /// `*` beside other scopes.
    #[error(
        "oci trust policy statement {statement:?} uses wildcard registry scope '*', a wildcard \
         scope cannot be used in conjunction with other scope values"
    )]
    WildcardNotAlone {
        /// Name of the statement.
        statement: String,
    },
}

/// Which rule a statement breaks; the text continues "trust policy statement NAME ...".
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// A trusted identity is unusable.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The verification level is unusable.
    #[error("has invalid signatureVerification: {0}")]
    Level(#[from] LevelError),
    /// Stores or identities are missing.
    #[error("is either missing trust stores or trusted identities, both must be specified")]
    NoTrust,
    /// Level `skip`, yet stores or identities are given.
    #[error(
        "is set to skip signature verification but configured with trust stores and/or trusted \
         identities, remove them if signature verification needs to be skipped"
    )]
    SkipWithTrust,
    /// A trust store value is malformed.
    #[error(transparent)]
    Store(#[from] StoreRefError),
}
