//! Trust policy documents: strict reading, validation, and selection of the statement that applies.
//!
//! Implements spec/notation.md §5.2 for OCI and blob documents, in the order and with the texts of
//! notation. Narrower than notation: duplicate or case-variant members, trailing data (N-10 to
//! N-12), the store names `.` and `..` (N-03), unknown identity prefixes (N-25) and a global blob
//! statement with level `skip` (F3) are refused. A parsed document is valid; there is no separate
//! validation step. Where documents lie on disk is [`super::files`]' matter.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use serde::Deserialize;

use crate::image::json::{self, Rules};

use super::identity::{IdentityKinds, TrustedIdentities};
use super::level::{TimestampRule, VerificationLevel};
pub use super::policy_error::{PolicyError, StatementError};
use super::scope::{Repository, Scope};
use super::store::{StoreRef, StoreType};

/// Largest policy document. Real ones have a few kilobytes; notation has no limit.
pub const MAX_POLICY_BYTES: usize = 4 << 20;

/// Deepest nesting of a policy document (N-24).
const MAX_DEPTH: usize = 32;

/// The strict reading of both documents. `override` is a map to notation, its keys are exact.
const RULES: Rules = Rules {
    max_bytes: MAX_POLICY_BYTES,
    max_depth: MAX_DEPTH,
    known: &[
        "version",
        "trustPolicies",
        "name",
        "registryScopes",
        "signatureVerification",
        "level",
        "override",
        "verifyTimestamp",
        "trustStores",
        "trustedIdentities",
        "globalPolicy",
    ],
    free_maps: &["override"],
};

/// The only version of policy documents.
const VERSION: &str = "1.0";

/// Which of the two documents.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum PolicyKind {
    /// Images and other OCI artifacts, selected by registry scope.
    Oci,
    /// Files, selected by statement name.
    Blob,
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Oci => "oci",
            Self::Blob => "blob",
        })
    }
}

/// One statement of a policy: what must hold for a signature to be trusted.
#[derive(Clone, Debug)]
pub struct Statement {
    name: String,
    level: VerificationLevel,
    timestamp_rule: TimestampRule,
    stores: Vec<StoreRef>,
    identities: TrustedIdentities,
}

impl Statement {
    /// Its name, unique in the document.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is enforced, logged or skipped.
    pub fn level(&self) -> &VerificationLevel {
        &self.level
    }

    /// When a timestamp countersignature is demanded.
    pub fn timestamp_rule(&self) -> TimestampRule {
        self.timestamp_rule
    }

    /// The stores of one type, in the order of the document.
    pub fn stores(&self, kind: StoreType) -> impl Iterator<Item = &StoreRef> {
        self.stores.iter().filter(move |store| store.kind() == kind)
    }

    /// The stores of all types, in the order of the document.
    pub fn all_stores(&self) -> &[StoreRef] {
        &self.stores
    }

    /// The identities whose signatures are trusted.
    pub fn identities(&self) -> &TrustedIdentities {
        &self.identities
    }
}

/// A valid OCI document.
#[derive(Clone, Debug)]
pub struct OciPolicy {
    statements: Vec<Statement>,
    scopes: HashMap<Scope, usize>,
}

impl OciPolicy {
    /// Reads a document.
    ///
    /// # Errors
    /// [`PolicyError`] for the first rule that is broken.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        Self::parse_with(bytes, IdentityKinds::default())
    }

    /// As [`Self::parse`], where trusted identities may be of these kinds.
    ///
    /// # Errors
    /// [`PolicyError`] for the first rule that is broken.
    pub fn parse_with(bytes: &[u8], identities: IdentityKinds) -> Result<Self, PolicyError> {
        let kind = PolicyKind::Oci;
        let document = Document::read(bytes, kind)?;
        let statements = document.statements(kind, identities, |_, _| Ok(()))?;
        let mut scopes = HashMap::new();
        for (index, wire) in document.trust_policies().iter().enumerate() {
            for scope in wire.scopes()? {
                if scopes.insert(scope.clone(), index).is_some() {
                    return Err(PolicyError::ScopeTwice { scope: scope.to_string() });
                }
            }
        }
        Ok(Self { statements, scopes })
    }

    /// The statement for `repository`: the one that names it, else the `*` statement. Without a
    /// repository only the `*` statement applies.
    ///
    /// # Errors
    /// [`PolicyError::NoStatement`] when there is neither: no policy is no permission.
    pub fn select(&self, repository: Option<&Repository>) -> Result<&Statement, PolicyError> {
        repository
            .and_then(|repository| self.scopes.get(&Scope::Repository(repository.clone())))
            .or_else(|| self.scopes.get(&Scope::Any))
            .and_then(|index| self.statements.get(*index))
            .ok_or_else(|| PolicyError::NoStatement {
                artifact: repository.map(ToString::to_string),
            })
    }

    /// The statement with this name.
    ///
    /// # Errors
    /// [`PolicyError::NoNamedStatement`].
    pub fn named(&self, name: &str) -> Result<&Statement, PolicyError> {
        find_named(&self.statements, name, PolicyKind::Oci)
    }

    /// All statements, in the order of the document.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }
}

/// A valid blob document.
#[derive(Clone, Debug)]
pub struct BlobPolicy {
    statements: Vec<Statement>,
    global: Option<usize>,
}

impl BlobPolicy {
    /// Reads a document.
    ///
    /// # Errors
    /// [`PolicyError`] for the first rule that is broken.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        Self::parse_with(bytes, IdentityKinds::default())
    }

    /// As [`Self::parse`], where trusted identities may be of these kinds.
    ///
    /// # Errors
    /// [`PolicyError`] for the first rule that is broken.
    pub fn parse_with(bytes: &[u8], identities: IdentityKinds) -> Result<Self, PolicyError> {
        let kind = PolicyKind::Blob;
        let document = Document::read(bytes, kind)?;
        let mut has_global = false;
        let statements = document.statements(kind, identities, |wire, statement| {
            if wire.global_policy != Some(true) {
                return Ok(());
            }
            if has_global {
                return Err(PolicyError::TwoGlobal);
            }
            if statement.level.is_skip() {
                return Err(PolicyError::GlobalSkip { statement: statement.name.clone() });
            }
            has_global = true;
            Ok(())
        })?;
        let global =
            document.trust_policies().iter().position(|wire| wire.global_policy == Some(true));
        Ok(Self { statements, global })
    }

    /// The statement with this name, or without one the global statement.
    ///
    /// # Errors
    /// [`PolicyError::NoNamedStatement`] or [`PolicyError::NoGlobalStatement`].
    pub fn select(&self, name: Option<&str>) -> Result<&Statement, PolicyError> {
        match name {
            Some(name) => find_named(&self.statements, name, PolicyKind::Blob),
            None => self
                .global
                .and_then(|index| self.statements.get(index))
                .ok_or(PolicyError::NoGlobalStatement),
        }
    }

    /// All statements, in the order of the document.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }
}

fn find_named<'a>(
    statements: &'a [Statement],
    name: &str,
    kind: PolicyKind,
) -> Result<&'a Statement, PolicyError> {
    statements.iter().find(|statement| statement.name == name).ok_or_else(|| {
        PolicyError::NoNamedStatement {
            kind,
            name: name.to_owned(),
            known: statements.iter().map(|statement| statement.name.clone()).collect(),
        }
    })
}

/// Both documents on the wire. `null` means absent, as it does to Go; other members are ignored.
#[derive(Deserialize)]
struct Document {
    version: Option<String>,
    #[serde(rename = "trustPolicies")]
    trust_policies: Option<Vec<WireStatement>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireStatement {
    name: Option<String>,
    registry_scopes: Option<Vec<String>>,
    signature_verification: Option<WireVerification>,
    trust_stores: Option<Vec<String>>,
    trusted_identities: Option<Vec<String>>,
    global_policy: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireVerification {
    level: Option<String>,
    r#override: Option<BTreeMap<String, String>>,
    verify_timestamp: Option<String>,
}

impl Document {
    fn read(bytes: &[u8], kind: PolicyKind) -> Result<Self, PolicyError> {
        let document: Self = json::read(bytes, &RULES)
            .map_err(|source| PolicyError::Malformed { kind, source: Box::new(source) })?;
        match document.version.as_deref() {
            None | Some("") => Err(PolicyError::NoVersion { kind }),
            Some(VERSION) if document.trust_policies().is_empty() => {
                Err(PolicyError::NoStatements { kind })
            }
            Some(VERSION) => Ok(document),
            Some(other) => Err(PolicyError::Version { kind, found: other.to_owned() }),
        }
    }

    fn trust_policies(&self) -> &[WireStatement] {
        self.trust_policies.as_deref().unwrap_or_default()
    }

    /// Parses the statements in order; `also` judges each one further before the next is looked at.
    fn statements(
        &self,
        kind: PolicyKind,
        identities: IdentityKinds,
        mut also: impl FnMut(&WireStatement, &Statement) -> Result<(), PolicyError>,
    ) -> Result<Vec<Statement>, PolicyError> {
        let mut names = HashSet::new();
        let mut statements = Vec::with_capacity(self.trust_policies().len());
        for wire in self.trust_policies() {
            let name = wire.name.as_deref().unwrap_or_default();
            if !names.insert(name) {
                return Err(PolicyError::NameTwice { kind, name: name.to_owned() });
            }
            if name.is_empty() {
                return Err(PolicyError::NoName { kind });
            }
            let statement = wire.parse(name, identities).map_err(|problem| {
                PolicyError::Statement { kind, name: name.to_owned(), problem }
            })?;
            also(wire, &statement)?;
            statements.push(statement);
        }
        Ok(statements)
    }
}

impl WireStatement {
    fn parse(&self, name: &str, kinds: IdentityKinds) -> Result<Statement, StatementError> {
        let absent = WireVerification::default();
        let verification = self.signature_verification.as_ref().unwrap_or(&absent);
        let no_overrides = BTreeMap::new();
        let level = VerificationLevel::resolve(
            verification.level.as_deref().unwrap_or_default(),
            verification.r#override.as_ref().unwrap_or(&no_overrides),
        )?;
        let rule = verification.verify_timestamp.as_deref().unwrap_or_default();
        let timestamp_rule = TimestampRule::parse(rule)?;
        let stores = self.trust_stores.as_deref().unwrap_or_default();
        let identities = self.trusted_identities.as_deref().unwrap_or_default();
        if level.is_skip() {
            if !stores.is_empty() || !identities.is_empty() {
                return Err(StatementError::SkipWithTrust);
            }
        } else if stores.is_empty() || identities.is_empty() {
            return Err(StatementError::NoTrust);
        }
        Ok(Statement {
            name: name.to_owned(),
            level,
            timestamp_rule,
            stores: stores.iter().map(|text| StoreRef::parse(text)).collect::<Result<_, _>>()?,
            identities: TrustedIdentities::parse(identities, kinds)?,
        })
    }

    fn scopes(&self) -> Result<Vec<Scope>, PolicyError> {
        let statement = || self.name.clone().unwrap_or_default();
        let texts = self.registry_scopes.as_deref().unwrap_or_default();
        if texts.is_empty() {
            return Err(PolicyError::NoScopes { statement: statement() });
        }
        if texts.len() > 1 && texts.iter().any(|text| text == "*") {
            return Err(PolicyError::WildcardNotAlone { statement: statement() });
        }
        Ok(texts.iter().map(|text| Scope::parse(text)).collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
