//! Signed attributes: what both formats say in their protected headers, and the rules they share
//! (spec §2.1, §3.1, §3.4).

use std::fmt;

use super::error::{AttributeProblem, EnvelopeError};
use super::time::Moment;
use crate::signature::payload;

pub(super) const SIGNING_SCHEME: &str = "io.cncf.notary.signingScheme";
pub(super) const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
pub(super) const AUTHENTIC_SIGNING_TIME: &str = "io.cncf.notary.authenticSigningTime";
pub(super) const EXPIRY: &str = "io.cncf.notary.expiry";
pub(super) const VERIFICATION_PLUGIN: &str = "io.cncf.notary.verificationPlugin";
pub(super) const VERIFICATION_PLUGIN_MIN_VERSION: &str =
    "io.cncf.notary.verificationPluginMinVersion";
pub(super) const TIMESTAMP_SIGNATURE: &str = "io.cncf.notary.timestampSignature";
pub(super) const SIGNING_AGENT: &str = "io.cncf.notary.signingAgent";

/// Who vouches for the time of signing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SigningScheme {
    /// `notary.x509`: the signer says when; a timestamp token may prove it.
    X509,
    /// `notary.x509.signingAuthority`: the signing authority guarantees when.
    SigningAuthority,
}

impl SigningScheme {
    /// The name in the envelope.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X509 => "notary.x509",
            Self::SigningAuthority => "notary.x509.signingAuthority",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::X509, Self::SigningAuthority].into_iter().find(|scheme| scheme.name() == name)
    }

    /// The attribute that holds the time of signing, and the one that must not be there.
    pub(super) fn time_attributes(self) -> (&'static str, &'static str) {
        match self {
            Self::X509 => (SIGNING_TIME, AUTHENTIC_SIGNING_TIME),
            Self::SigningAuthority => (AUTHENTIC_SIGNING_TIME, SIGNING_TIME),
        }
    }
}

impl fmt::Display for SigningScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Name of a header parameter. JWS has text only, COSE integers too.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum AttributeKey {
    /// A text name.
    Text(String),
    /// An integer label (COSE).
    Int(i64),
}

impl AttributeKey {
    /// The name if it is text. Plugins are only told about those.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Int(_) => None,
        }
    }
}

impl fmt::Display for AttributeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Int(label) => write!(f, "{label}"),
        }
    }
}

/// Value of an extended attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    /// A value that JSON can express.
    Json(serde_json::Value),
    /// A CBOR value without a JSON counterpart, encoded.
    Cbor(Vec<u8>),
}

/// Must a verifier understand an attribute?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Criticality {
    /// Yes: who does not process it has to reject the signature.
    Critical,
    /// No.
    NonCritical,
}

/// A signed attribute the specification does not define.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtendedAttribute {
    /// Its name.
    pub key: AttributeKey,
    /// Its value.
    pub value: AttributeValue,
    /// Must it be processed?
    pub criticality: Criticality,
}

/// The plugin a signer demands for verification. Nothing may be executed because of it before the
/// signer is trusted (N-02): the name comes from an unknown signer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PluginRequirement {
    /// Name of the plugin, not validated.
    pub name: String,
    /// Lowest version, not validated.
    pub min_version: Option<String>,
}

/// The protected header as one of the formats found it: types are checked, rules are not.
#[derive(Clone, Debug, Default)]
pub(super) struct ProtectedHeader {
    pub(super) content_type: Option<String>,
    /// In the order of the envelope; empty if absent.
    pub(super) critical: Vec<AttributeKey>,
    pub(super) scheme: Option<String>,
    pub(super) signing_time: Option<Moment>,
    pub(super) authentic_signing_time: Option<Moment>,
    pub(super) expiry: Option<Moment>,
    pub(super) others: Vec<(AttributeKey, AttributeValue)>,
}

/// The signed attributes of an envelope that keeps the rules.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SignedAttributes {
    pub(super) scheme: SigningScheme,
    pub(super) time: Moment,
    pub(super) expiry: Option<Moment>,
    pub(super) plugin: Option<PluginRequirement>,
    pub(super) extended: Vec<ExtendedAttribute>,
}

impl ProtectedHeader {
    /// Applies the rules both formats share.
    pub(super) fn attributes(&self) -> Result<SignedAttributes, EnvelopeError> {
        self.check_content_type()?;
        self.check_critical_entries()?;
        let scheme = self.scheme()?;
        let time = self.time(scheme)?;
        if let Some(expiry) = self.expiry {
            self.demand_critical(EXPIRY)?;
            if expiry.at <= time.at {
                return Err(EnvelopeError::ExpiryNotAfterSigning);
            }
        }
        let plugin = self.plugin()?;
        let extended = self.extended(plugin.is_some());
        Ok(SignedAttributes { scheme, time, expiry: self.expiry, plugin, extended })
    }

    fn check_content_type(&self) -> Result<(), EnvelopeError> {
        match &self.content_type {
            Some(found) if found == payload::MEDIA_TYPE => Ok(()),
            Some(found) => Err(EnvelopeError::ContentType {
                found: found.clone(),
                expected: payload::MEDIA_TYPE,
            }),
            None => Err(EnvelopeError::attribute("content type", AttributeProblem::Missing)),
        }
    }

    /// Every entry of `crit` once, present, and of a kind that may be critical.
    fn check_critical_entries(&self) -> Result<(), EnvelopeError> {
        for (index, key) in self.critical.iter().enumerate() {
            let problem = if self.critical.iter().take(index).any(|earlier| earlier == key) {
                AttributeProblem::CriticalTwice
            } else if is_registered(key) || key.as_text() == Some(SIGNING_TIME) {
                AttributeProblem::MustNotBeCritical
            } else if !self.is_present(key) {
                AttributeProblem::CriticalButAbsent
            } else {
                continue;
            };
            return Err(EnvelopeError::Attribute { name: key.clone(), problem });
        }
        Ok(())
    }

    fn scheme(&self) -> Result<SigningScheme, EnvelopeError> {
        let Some(name) = &self.scheme else {
            return Err(EnvelopeError::attribute(SIGNING_SCHEME, AttributeProblem::Missing));
        };
        self.demand_critical(SIGNING_SCHEME)?;
        SigningScheme::from_name(name)
            .ok_or_else(|| EnvelopeError::UnsupportedScheme { found: name.clone() })
    }

    /// The time of the scheme; the other scheme's must be absent, in COSE too (N-18).
    fn time(&self, scheme: SigningScheme) -> Result<Moment, EnvelopeError> {
        let (own, other) = match scheme {
            SigningScheme::X509 => (self.signing_time, self.authentic_signing_time),
            SigningScheme::SigningAuthority => (self.authentic_signing_time, self.signing_time),
        };
        let (own_name, other_name) = scheme.time_attributes();
        if other.is_some() {
            return Err(EnvelopeError::attribute(other_name, AttributeProblem::NotAllowed));
        }
        let time =
            own.ok_or_else(|| EnvelopeError::attribute(own_name, AttributeProblem::Missing))?;
        if scheme == SigningScheme::SigningAuthority {
            self.demand_critical(own_name)?;
        }
        Ok(time)
    }

    fn plugin(&self) -> Result<Option<PluginRequirement>, EnvelopeError> {
        let Some(name) = self.critical_text(VERIFICATION_PLUGIN)? else { return Ok(None) };
        let min_version = self.critical_text(VERIFICATION_PLUGIN_MIN_VERSION)?;
        Ok(Some(PluginRequirement { name, min_version }))
    }

    /// A text attribute that has to be critical if it is there.
    fn critical_text(&self, name: &str) -> Result<Option<String>, EnvelopeError> {
        let value = self.others.iter().find(|(key, _)| key.as_text() == Some(name));
        let Some((_, value)) = value else { return Ok(None) };
        self.demand_critical(name)?;
        let problem = match value {
            AttributeValue::Json(serde_json::Value::String(text)) if text.trim().is_empty() => {
                AttributeProblem::Empty
            }
            AttributeValue::Json(serde_json::Value::String(text)) => {
                return Ok(Some(text.clone()));
            }
            _ => AttributeProblem::WrongType { expected: "a text" },
        };
        Err(EnvelopeError::attribute(name, problem))
    }

    /// Everything else. The plugin attributes are not part of it, unless there is no plugin: a
    /// lone minimum version is then an attribute nobody processes.
    fn extended(&self, has_plugin: bool) -> Vec<ExtendedAttribute> {
        let plugin_names = [VERIFICATION_PLUGIN, VERIFICATION_PLUGIN_MIN_VERSION];
        let is_plugin =
            |key: &AttributeKey| key.as_text().is_some_and(|name| plugin_names.contains(&name));
        self.others
            .iter()
            .filter(|(key, _)| !(has_plugin && is_plugin(key)))
            .map(|(key, value)| ExtendedAttribute {
                key: key.clone(),
                value: value.clone(),
                criticality: if self.critical.contains(key) {
                    Criticality::Critical
                } else {
                    Criticality::NonCritical
                },
            })
            .collect()
    }

    fn demand_critical(&self, name: &str) -> Result<(), EnvelopeError> {
        if self.critical.iter().any(|key| key.as_text() == Some(name)) {
            return Ok(());
        }
        Err(EnvelopeError::attribute(name, AttributeProblem::NotCritical))
    }

    fn is_present(&self, key: &AttributeKey) -> bool {
        match key.as_text() {
            Some(SIGNING_SCHEME) => self.scheme.is_some(),
            Some(AUTHENTIC_SIGNING_TIME) => self.authentic_signing_time.is_some(),
            Some(EXPIRY) => self.expiry.is_some(),
            _ => self.others.iter().any(|(other, _)| other == key),
        }
    }
}

/// Parameters that JOSE and COSE define themselves: listing them in `crit` is an error there.
/// A COSE envelope never has text labels of these names among its critical ones, a JWS one no
/// integers, so one list serves both.
fn is_registered(key: &AttributeKey) -> bool {
    match key {
        AttributeKey::Text(name) => matches!(name.as_str(), "alg" | "crit" | "cty"),
        AttributeKey::Int(label) => (1..=7).contains(label),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str) -> AttributeKey {
        AttributeKey::Text(name.to_owned())
    }

    fn value(text: &str) -> AttributeValue {
        AttributeValue::Json(text.into())
    }

    fn header(others: &[(AttributeKey, AttributeValue)]) -> ProtectedHeader {
        let moment = Moment::utc(jiff::Timestamp::constant(1_800_000_000, 0));
        let critical = others.iter().map(|(key, _)| key.clone());
        ProtectedHeader {
            content_type: Some(payload::MEDIA_TYPE.to_owned()),
            critical: std::iter::once(text(SIGNING_SCHEME)).chain(critical).collect(),
            scheme: Some(SigningScheme::X509.name().to_owned()),
            signing_time: Some(moment),
            others: others.to_vec(),
            ..ProtectedHeader::default()
        }
    }

    #[test]
    fn n01_a_plugin_hides_no_other_critical_attribute() {
        let attributes = header(&[
            (text(VERIFICATION_PLUGIN), value("foo")),
            (text(VERIFICATION_PLUGIN_MIN_VERSION), value("1.0.0")),
            (AttributeKey::Int(-70_000), value("v")),
            (text("x"), value("v")),
        ])
        .attributes()
        .unwrap();
        assert_eq!(
            attributes.plugin,
            Some(PluginRequirement { name: "foo".into(), min_version: Some("1.0.0".into()) })
        );
        let keys: Vec<_> = attributes.extended.iter().map(|attribute| &attribute.key).collect();
        assert_eq!(keys, [&AttributeKey::Int(-70_000), &text("x")]);
        let critical =
            |attribute: &ExtendedAttribute| attribute.criticality == Criticality::Critical;
        assert!(attributes.extended.iter().all(critical));
    }

    #[test]
    fn n01_a_minimum_version_without_plugin_is_an_unknown_attribute() {
        let lone = header(&[(text(VERIFICATION_PLUGIN_MIN_VERSION), value("1.0.0"))]);
        let attributes = lone.attributes().unwrap();
        assert_eq!(attributes.plugin, None);
        assert_eq!(attributes.extended.len(), 1);
    }

    #[test]
    fn plugin_attributes_are_critical_texts_with_content() {
        let problem = |header: ProtectedHeader| match header.attributes() {
            Err(EnvelopeError::Attribute { problem, .. }) => problem,
            other => panic!("{other:?}"),
        };
        let named = |value| header(&[(text(VERIFICATION_PLUGIN), value)]);
        assert_eq!(problem(named(value(" "))), AttributeProblem::Empty);
        assert_eq!(
            problem(named(AttributeValue::Json(1.into()))),
            AttributeProblem::WrongType { expected: "a text" }
        );
        let mut not_critical = named(value("foo"));
        not_critical.critical.pop();
        assert_eq!(problem(not_critical), AttributeProblem::NotCritical);
    }
}
