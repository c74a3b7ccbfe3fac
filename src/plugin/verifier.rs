//! A plugin as verifier: the trusted identity, and revocation (spec §8.3).
//!
//! Who calls this has established integrity, and that the signer's chain leads to a trust store
//! (rule N-02): the name of the plugin comes from the signer.

use std::collections::BTreeMap;

use super::error::{PluginError, printable};
use super::protocol::{
    self, Base64, Capability, CriticalAttributes, VerifySignatureRequest, VerifySignatureResponse,
    Version, WireResult, WireSignature, WireTrustPolicy,
};
use super::{Plugin, PluginConfig, PluginDirectory};
use crate::signature::envelope::{AttributeKey, AttributeValue, PluginRequirement, SignedContent};
use crate::signature::payload;

/// What notation sends for a signature that doesn't expire: Go's zero time.
const NO_EXPIRY: &str = "0001-01-01T00:00:00Z";

/// The plugins that may be asked, and what each of them is told besides.
#[derive(Clone, Debug)]
pub struct VerifierPlugins {
    directory: PluginDirectory,
    config: PluginConfig,
}

/// The plugin that a signature demands: installed, new enough, and able to verify something.
#[derive(Debug)]
pub struct VerificationPlugin<'a> {
    plugin: Plugin,
    config: &'a PluginConfig,
    capabilities: Vec<Capability>,
}

/// What a plugin found.
#[derive(Debug)]
pub struct PluginVerdict {
    plugin: String,
    results: BTreeMap<String, Option<WireResult>>,
    processed: Vec<String>,
}

impl VerifierPlugins {
    /// The plugins of a directory.
    pub fn new(directory: PluginDirectory, config: PluginConfig) -> Self {
        Self { directory, config }
    }

    /// Finds the plugin that a signature demands, and asks it what it can do.
    ///
    /// # Errors
    /// [`VerifierError`] when it isn't there or can't be run, is older than demanded, or can't
    /// verify anything.
    pub fn open(
        &self,
        requirement: &PluginRequirement,
    ) -> Result<VerificationPlugin<'_>, VerifierError> {
        let plugin = self.directory.find(&requirement.name)?;
        let name = || plugin.name().to_owned();
        let needed = requirement.min_version.as_deref().map(|text| {
            Version::parse(text)
                .map_err(|_| VerifierError::MinVersion { plugin: name(), found: text.to_owned() })
        });
        let needed = needed.transpose()?;
        let metadata = plugin.metadata(&self.config)?;
        let version = Version::parse(&metadata.version).map_err(|_| VerifierError::Version {
            plugin: name(),
            found: metadata.version.clone(),
        })?;
        // Build metadata does not count.
        if let Some(needed) = needed
            && version.cmp_precedence(&needed).is_lt()
        {
            let (found, needed) = (version.to_string(), needed.to_string());
            return Err(VerifierError::TooOld { plugin: name(), found, needed });
        }
        let mut capabilities = Vec::new();
        for capability in &metadata.capabilities {
            if capability.is_verifier() && !capabilities.contains(capability) {
                capabilities.push(capability.clone());
            }
        }
        if capabilities.is_empty() {
            let found = metadata.capability_list();
            return Err(VerifierError::NoVerifier { plugin: name(), found });
        }
        Ok(VerificationPlugin { plugin, config: &self.config, capabilities })
    }
}

impl VerificationPlugin<'_> {
    /// What it can verify, in its own order.
    pub fn capabilities(&self) -> &[Capability] {
        &self.capabilities
    }

    /// Whether it verifies this.
    pub fn can(&self, capability: &Capability) -> bool {
        self.capabilities.contains(capability)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.plugin.name()
    }

    /// Asks for a verdict about `wanted`.
    ///
    /// # Errors
    /// [`VerifierError`] when the plugin fails, or has not processed an extended attribute, critical
    /// or not (as notation demands). Attributes with integer labels are not told to plugins; whether
    /// there is a critical one among them is for the caller to settle (rule N-01).
    pub fn verify(
        &self,
        content: &SignedContent,
        identities: &[&str],
        wanted: &[Capability],
    ) -> Result<PluginVerdict, VerifierError> {
        let attributes = self.attributes(content)?;
        let names: Vec<&str> = content
            .extended_attributes()
            .iter()
            .filter_map(|attribute| attribute.key.as_text())
            .collect();
        let authentic = content.authentic_signing_time();
        let request = VerifySignatureRequest {
            contract_version: protocol::CONTRACT_VERSION,
            signature: WireSignature {
                critical_attributes: CriticalAttributes {
                    content_type: payload::MEDIA_TYPE,
                    signing_scheme: content.scheme().name(),
                    expiry: content
                        .written_expiry()
                        .map_or_else(|| NO_EXPIRY.to_owned(), |expiry| rfc3339(&expiry)),
                    authentic_signing_time: authentic
                        .map(|_| rfc3339(&content.written_signing_time())),
                    extended_attributes: attributes,
                },
                unprocessed_attributes: (!names.is_empty()).then(|| names.clone()),
                certificate_chain: content
                    .certificates()
                    .iter()
                    .map(|certificate| Base64(certificate.der()))
                    .collect(),
            },
            trust_policy: WireTrustPolicy {
                trusted_identities: identities,
                signature_verification: wanted,
            },
            plugin_config: self.config,
        };
        let response: VerifySignatureResponse =
            self.plugin.call(protocol::VERIFY_SIGNATURE, &request)?;
        let processed: Vec<String> = response
            .processed_attributes
            .unwrap_or_default()
            .into_iter()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect();
        if let Some(name) = names.iter().find(|name| !processed.iter().any(|it| it == *name)) {
            let (plugin, attribute) = (self.name().to_owned(), (*name).to_owned());
            return Err(VerifierError::NotProcessed { plugin, attribute });
        }
        Ok(PluginVerdict {
            plugin: self.name().to_owned(),
            results: response.verification_results.unwrap_or_default(),
            processed,
        })
    }

    /// The values of the extended attributes, as far as JSON can express them.
    fn attributes<'c>(
        &self,
        content: &'c SignedContent,
    ) -> Result<BTreeMap<&'c str, serde_json::Value>, VerifierError> {
        let mut attributes = BTreeMap::new();
        for attribute in content.extended_attributes() {
            match (&attribute.key, &attribute.value) {
                (AttributeKey::Text(name), AttributeValue::Json(value)) => {
                    // Go keeps no order in objects, and writes them sorted.
                    let mut value = value.clone();
                    value.sort_all_objects();
                    attributes.insert(name.as_str(), value);
                }
                (AttributeKey::Text(name), AttributeValue::Cbor(_)) => {
                    let (plugin, attribute) = (self.name().to_owned(), name.clone());
                    return Err(VerifierError::Inexpressible { plugin, attribute });
                }
                (AttributeKey::Int(_), _) => {}
            }
        }
        Ok(attributes)
    }
}

impl PluginVerdict {
    /// The plugin's answer about one capability: nothing, or why not.
    ///
    /// # Errors
    /// [`VerifierError::Refused`], or [`VerifierError::Inconclusive`] when it gives none.
    pub fn of(&self, capability: &Capability) -> Result<(), VerifierError> {
        let (plugin, capability) = (self.plugin.clone(), capability.clone());
        match self.results.get(capability.as_str()) {
            Some(Some(WireResult { success: true, .. })) => Ok(()),
            Some(Some(WireResult { reason, .. })) => {
                let reason = printable(reason.as_deref().unwrap_or_default().as_bytes());
                Err(VerifierError::Refused { plugin, capability, reason })
            }
            Some(None) | None => Err(VerifierError::Inconclusive { plugin, capability }),
        }
    }

    /// The extended attributes it processed.
    pub fn processed(&self) -> Vec<&str> {
        self.processed.iter().map(String::as_str).collect()
    }
}

/// A time as Go writes it: with the zone of the envelope, `Z` where that is UTC.
fn rfc3339(time: &jiff::ZonedDateTime) -> String {
    let format = match time.offset().seconds() {
        0 => "%Y-%m-%dT%H:%M:%S%.fZ",
        _ => "%Y-%m-%dT%H:%M:%S%.f%:z",
    };
    time.strftime(format).to_string()
}

/// Why a plugin vouches for nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierError {
    /// It can't be found or run, or fails.
    #[error("verification is inconclusive without the demanded plugin: {0}")]
    Plugin(#[from] PluginError),
    /// The signer demands a version that is none.
    #[error("signature demands plugin {plugin:?} in version {found:?}, which is no valid SemVer")]
    MinVersion {
        /// The plugin.
        plugin: String,
        /// What the signature says.
        found: String,
    },
    /// Its version can't be compared.
    #[error("plugin {plugin:?} has version {found:?}, which is no valid SemVer")]
    Version {
        /// The plugin.
        plugin: String,
        /// What it says.
        found: String,
    },
    /// It is older than the signer demands.
    #[error(
        "found plugin {plugin:?} with version {found} but signature verification needs plugin \
         version greater than or equal to {needed}"
    )]
    TooOld {
        /// The plugin.
        plugin: String,
        /// Its version.
        found: String,
        /// The lowest version that will do.
        needed: String,
    },
    /// It verifies nothing.
    #[error("plugin {plugin:?} has no capability for verifying, it has {found}")]
    NoVerifier {
        /// The plugin.
        plugin: String,
        /// What it can do.
        found: String,
    },
    /// It gives no answer to what it was asked.
    #[error("verification plugin {plugin:?} failed to verify {capability}")]
    Inconclusive {
        /// The plugin.
        plugin: String,
        /// What it was asked.
        capability: Capability,
    },
    /// It says no.
    #[error("verification plugin {plugin:?} refuses {capability}: {reason:?}")]
    Refused {
        /// The plugin.
        plugin: String,
        /// What it was asked.
        capability: Capability,
        /// Its words.
        reason: String,
    },
    /// It doesn't know what the signer wants to be known (rule N-01).
    #[error(
        "extended attribute {attribute:?} was not processed by the verification plugin {plugin:?}"
    )]
    NotProcessed {
        /// The plugin.
        plugin: String,
        /// The attribute.
        attribute: String,
    },
    /// An attribute can't be told to a plugin.
    #[error(
        "extended attribute {attribute:?} can't be told to the plugin {plugin:?}: it is no JSON"
    )]
    Inexpressible {
        /// The plugin.
        plugin: String,
        /// The attribute.
        attribute: String,
    },
}

impl VerifierError {
    /// Whether the plugin was asked about this and did not say yes.
    pub fn is_about(&self, asked: &Capability) -> bool {
        match self {
            Self::Inconclusive { capability, .. } | Self::Refused { capability, .. } => {
                capability == asked
            }
            _ => false,
        }
    }

    /// A command that helps, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Plugin(PluginError::NotFound { .. }) | Self::TooOld { .. } => {
                Some("dockseal plugin install --file FILE".to_owned())
            }
            Self::Plugin(error) => error.hint(),
            Self::NoVerifier { .. } => Some("dockseal plugin list".to_owned()),
            _ => None,
        }
    }
}
