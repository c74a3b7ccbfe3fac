//! Trusted identities: distinguished names of a policy against the subject of a leaf certificate.
//!
//! Implements spec/notation.md §5.3. The grammar is not RFC 4514 but what notation's parser makes
//! of it (separators `,` and `;`, quotes without meaning, literal attribute types). Only the leaf's
//! subject is compared; issuers and alternative names play no part.

use std::collections::BTreeMap;

use crate::signature::x509;

/// The prefix of the only kind of identity there is.
const X509_SUBJECT: &str = "x509.subject";

/// Attributes a name must have, on both sides of the comparison.
const MANDATORY: [&str; 3] = ["C", "ST", "O"];

/// A set of attributes with unique types, among them C, ST and O.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DistinguishedName(BTreeMap<String, String>);

impl DistinguishedName {
    /// Parses the text of a policy.
    ///
    /// # Errors
    /// [`IdentityError`] for every text that notation refuses, and for values written `#...`.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        if text.contains("=#") {
            return Err(IdentityError::HexValue { name: text.to_owned() });
        }
        let mut attributes = BTreeMap::new();
        for part in Splitter::new(text) {
            let (kind, value) = part?;
            if attributes.insert(kind.clone(), value).is_some() {
                return Err(IdentityError::Duplicate { name: text.to_owned(), kind });
            }
        }
        Self::with_mandatory(attributes, text)
    }

    /// Builds the name of a certificate's subject.
    ///
    /// # Errors
    /// [`IdentityError::Subject`] when a type occurs twice (rule N-04: notation lets the last CN
    /// win) or the text form is ambiguous, [`IdentityError::Mandatory`] when C, ST or O is missing.
    pub fn of_subject(subject: &x509::DistinguishedName) -> Result<Self, IdentityError> {
        let attributes = subject.identity_attributes()?;
        let attributes = attributes.iter().map(|each| (each.kind(), each.value().to_owned()));
        Self::with_mandatory(attributes.collect(), &subject.to_string())
    }

    fn with_mandatory(
        attributes: BTreeMap<String, String>,
        text: &str,
    ) -> Result<Self, IdentityError> {
        for kind in MANDATORY {
            if attributes.get(kind).is_none_or(String::is_empty) {
                return Err(IdentityError::Mandatory { name: text.to_owned(), kind });
            }
        }
        Ok(Self(attributes))
    }

    /// Whether every attribute of `self` stands in `other` with the same value, byte for byte. An
    /// empty value equals an absent attribute, as in notation.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.0.iter().all(|(kind, value)| other.0.get(kind).map_or("", String::as_str) == value)
    }
}

/// The `trustedIdentities` of a policy statement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TrustedIdentities {
    /// `*`: every certificate that leads to the trust store.
    Any,
    /// The listed ones.
    Listed {
        /// Certificates whose subject has all attributes of one of these names.
        subjects: Vec<Subject>,
        /// Identities of other kinds, which match no certificate: only a verification plugin knows
        /// what they mean.
        others: Vec<String>,
    },
}

/// Which kinds of identities a policy may list.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum IdentityKinds {
    /// `x509.subject` only: nobody would know what another one means (rule N-25; notation takes it,
    /// and then silently it never matches).
    #[default]
    X509,
    /// Others too: there are plugins.
    ForPlugins,
}

/// One `x509.subject` identity.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    /// The identity as it stands in the policy.
    pub text: String,
    /// Its distinguished name.
    pub name: DistinguishedName,
}

impl TrustedIdentities {
    /// Parses and validates the list (§5.2 rule 6).
    ///
    /// # Errors
    /// [`IdentityError`]; an identity of a kind that is not among `kinds` is one too.
    pub fn parse<S: AsRef<str>>(
        identities: &[S],
        kinds: IdentityKinds,
    ) -> Result<Self, IdentityError> {
        if identities.iter().any(|identity| identity.as_ref() == "*") {
            return match identities.len() {
                1 => Ok(Self::Any),
                _ => Err(IdentityError::WildcardNotAlone),
            };
        }
        let (mut subjects, mut others) = (Vec::new(), Vec::new());
        for identity in identities.iter().map(AsRef::as_ref) {
            match Subject::parse(identity) {
                Err(IdentityError::UnknownPrefix { identity }) if kinds.allow(&identity) => {
                    others.push(identity);
                }
                subject => subjects.push(subject?),
            }
        }
        for (index, first) in subjects.iter().enumerate() {
            for (other, second) in subjects.iter().enumerate() {
                if index != other && first.name.is_subset_of(&second.name) {
                    return Err(IdentityError::Overlap {
                        first: first.text.clone(),
                        second: second.text.clone(),
                    });
                }
            }
        }
        Ok(Self::Listed { subjects, others })
    }

    /// The first identity that `leaf` has all attributes of. `None` for [`Self::Any`] too, which
    /// needs no name.
    pub fn matching(&self, leaf: &DistinguishedName) -> Option<&Subject> {
        match self {
            Self::Any => None,
            Self::Listed { subjects, .. } => {
                subjects.iter().find(|subject| subject.name.is_subset_of(leaf))
            }
        }
    }

    /// The identities as they stand in the policy, those that only plugins know behind the others.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Self::Any => vec!["*"],
            Self::Listed { subjects, others } => {
                let texts = subjects.iter().map(|subject| &subject.text);
                texts.chain(others).map(String::as_str).collect()
            }
        }
    }
}

impl IdentityKinds {
    /// Whether an identity whose prefix is unknown may be listed. One that differs from the known
    /// prefix by case alone is a slip.
    fn allow(self, identity: &str) -> bool {
        let prefix = identity.split(':').next().unwrap_or_default();
        self == Self::ForPlugins && !prefix.eq_ignore_ascii_case(X509_SUBJECT)
    }
}

impl Subject {
    fn parse(text: &str) -> Result<Self, IdentityError> {
        if text.is_empty() {
            return Err(IdentityError::Empty);
        }
        let Some((prefix, value)) = text.split_once(':') else {
            return Err(IdentityError::NoSeparator { identity: text.to_owned() });
        };
        if prefix != X509_SUBJECT {
            return Err(IdentityError::UnknownPrefix { identity: text.to_owned() });
        }
        if value.is_empty() {
            return Err(IdentityError::NoValue { identity: text.to_owned() });
        }
        let name = DistinguishedName::parse(value).map_err(|source| IdentityError::Invalid {
            identity: text.to_owned(),
            source: Box::new(source),
        })?;
        Ok(Self { text: text.to_owned(), name })
    }
}

/// Splits a distinguished name at its unescaped separators and unescapes types and values.
struct Splitter<'a> {
    text: &'a str,
    rest: Option<&'a str>,
}

impl<'a> Splitter<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, rest: Some(text) }
    }

    fn invalid(&self) -> IdentityError {
        IdentityError::NotADn { name: self.text.to_owned() }
    }

    /// Cuts the next relative name off and returns it raw.
    fn next_raw(&mut self) -> Option<Result<&'a str, IdentityError>> {
        let rest = self.rest.take()?;
        let mut escaped = false;
        for (at, character) in rest.char_indices() {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '+' => {
                    return Some(Err(IdentityError::MultiValued { name: self.text.to_owned() }));
                }
                ',' | ';' => {
                    self.rest = Some(&rest[at + 1..]);
                    return Some(Ok(&rest[..at]));
                }
                _ => {}
            }
        }
        Some(Ok(rest))
    }

    fn attribute(&self, raw: &str) -> Result<(String, String), IdentityError> {
        let (kind, value) = raw.split_once('=').ok_or_else(|| self.invalid())?;
        let kind = kind.trim_matches(' ');
        if kind.is_empty() || kind.contains('\\') {
            return Err(self.invalid());
        }
        let kind = if kind == "S" { "ST" } else { kind };
        let value = self.unescape(value)?;
        Ok((kind.to_owned(), value))
    }

    /// Trims unescaped spaces and resolves `\c` and `\hh`.
    fn unescape(&self, raw: &str) -> Result<String, IdentityError> {
        let raw = raw.trim_start_matches(' ');
        if raw.starts_with('#') {
            return Err(IdentityError::HexValue { name: self.text.to_owned() });
        }
        let mut value = Vec::with_capacity(raw.len());
        // Everything up to here was escaped or is not a space: it stays when the end is trimmed.
        let mut keep = 0;
        let mut bytes = raw.bytes();
        while let Some(byte) = bytes.next() {
            if byte != b'\\' {
                value.push(byte);
                if byte != b' ' {
                    keep = value.len();
                }
                continue;
            }
            let next = bytes.next().ok_or_else(|| self.invalid())?;
            if b" \"#+,;<=>\\".contains(&next) {
                value.push(next);
            } else {
                let low = bytes.next().ok_or_else(|| self.invalid())?;
                value.push(hex_byte(next, low).ok_or_else(|| self.invalid())?);
            }
            keep = value.len();
        }
        value.truncate(keep);
        String::from_utf8(value).map_err(|_| self.invalid())
    }
}

impl Iterator for Splitter<'_> {
    type Item = Result<(String, String), IdentityError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_raw()?.and_then(|raw| self.attribute(raw)))
    }
}

fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    Some(digit(high)? << 4 | digit(low)?)
}

/// Why a trusted identity or a subject is unusable. The texts are notation's where it has one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// An attribute type occurs twice.
    #[error(
        "distinguished name (DN) {name:?} has duplicate RDN attribute for {kind:?}, DN can only \
         have unique RDN attributes"
    )]
    Duplicate {
        /// The whole name.
        name: String,
        /// The type that occurs twice.
        kind: String,
    },
    /// The list holds an empty text.
    #[error("has an empty trusted identity")]
    Empty,
    /// A value is written in hexadecimal (`#0c...`).
    #[error(
        "unsupported distinguished name (DN) {name:?}: notation does not support x509.subject \
         identities containing \"=#\""
    )]
    HexValue {
        /// The whole name.
        name: String,
    },
    /// The distinguished name of an identity is unusable.
    #[error("has trusted identity {identity:?} with invalid identity value: {source}")]
    Invalid {
        /// The identity as it stands in the policy.
        identity: String,
        /// What is wrong with its name.
        source: Box<Self>,
    },
    /// C, ST or O is missing.
    #[error(
        "distinguished name (DN) {name:?} has no mandatory RDN attribute for {kind:?}, it must \
         contain 'C', 'ST' or 'S', and 'O' RDN attributes at a minimum"
    )]
    Mandatory {
        /// The whole name.
        name: String,
        /// The type that is missing.
        kind: &'static str,
    },
    /// Two attributes are joined by `+`.
    #[error(
        "distinguished name (DN) {name:?} has multi-valued RDN attributes, remove multi-valued RDN \
         attributes as they are not supported"
    )]
    MultiValued {
        /// The whole name.
        name: String,
    },
    /// There is no colon.
    #[error("has trusted identity {identity:?} missing separator")]
    NoSeparator {
        /// The identity found.
        identity: String,
    },
    /// Nothing follows the colon.
    #[error("has trusted identity {identity:?} without an identity value")]
    NoValue {
        /// The identity found.
        identity: String,
    },
    /// The text does not follow the grammar.
    #[error(
        "distinguished name (DN) {name:?} is not valid, it must contain 'C', 'ST' or 'S', and 'O' \
         RDN attributes at a minimum, and follow RFC 4514 standard"
    )]
    NotADn {
        /// The whole name.
        name: String,
    },
    /// One identity is a subset of another one.
    #[error("has overlapping x509 trustedIdentities, {first:?} overlaps with {second:?}")]
    Overlap {
        /// The more general identity.
        first: String,
        /// The one it includes.
        second: String,
    },
    /// The subject of a certificate can't be compared.
    #[error("certificate subject has no usable identity: {0}")]
    Subject(#[from] x509::IdentityError),
    /// The prefix is not `x509.subject` (rule N-25).
    #[error(
        "has trusted identity {identity:?} with an unknown prefix, only \"x509.subject\" is known"
    )]
    UnknownPrefix {
        /// The identity found.
        identity: String,
    },
    /// `*` beside other identities.
    #[error(
        "uses a wildcard trusted identity '*', a wildcard identity cannot be used in conjunction \
         with other values"
    )]
    WildcardNotAlone,
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
