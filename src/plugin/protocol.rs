//! The documents of the contract, version 1.0. The order of members is notation's on the wire.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::PluginConfig;
use super::error::MetadataProblem;
use super::process::MAX_OUTPUT_BYTES;
use crate::image::json::Rules;

pub(super) use semver::Version;

pub(super) const CONTRACT_VERSION: &str = "1.0";

pub(super) const GET_METADATA: &str = "get-plugin-metadata";
pub(super) const DESCRIBE_KEY: &str = "describe-key";
pub(super) const GENERATE_SIGNATURE: &str = "generate-signature";
pub(super) const GENERATE_ENVELOPE: &str = "generate-envelope";
pub(super) const VERIFY_SIGNATURE: &str = "verify-signature";

/// How strictly answers are read (rules N-10 to N-12). Members of later contracts are ignored.
pub(super) const RESPONSE: Rules = Rules {
    max_bytes: MAX_OUTPUT_BYTES,
    max_depth: 32,
    known: &[
        "name",
        "description",
        "version",
        "url",
        "supportedContractVersions",
        "capabilities",
        "keyId",
        "keySpec",
        "signature",
        "signingAlgorithm",
        "certificateChain",
        "signatureEnvelope",
        "signatureEnvelopeType",
        "annotations",
        "verificationResults",
        "processedAttributes",
        "errorCode",
        "errorMessage",
        "errorMetadata",
    ],
    free_maps: &["annotations", "verificationResults", "errorMetadata"],
};

/// The bytes of a request. Requests are made of texts, numbers and maps with text keys, which JSON
/// can always express.
pub(super) fn to_json(request: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(request).expect("a request is always JSON")
}

/// What a plugin can do.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum Capability {
    /// Makes bare signatures; preferred where a plugin can do both.
    SignatureGenerator,
    /// Makes whole envelopes.
    EnvelopeGenerator,
    /// Judges whether the signer is a trusted identity.
    TrustedIdentityVerifier,
    /// Judges whether a certificate of the chain is revoked.
    RevocationCheckVerifier,
    /// Something else.
    Other(String),
}

impl Capability {
    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::SignatureGenerator => "SIGNATURE_GENERATOR.RAW",
            Self::EnvelopeGenerator => "SIGNATURE_GENERATOR.ENVELOPE",
            Self::TrustedIdentityVerifier => "SIGNATURE_VERIFIER.TRUSTED_IDENTITY",
            Self::RevocationCheckVerifier => "SIGNATURE_VERIFIER.REVOCATION_CHECK",
            Self::Other(name) => name,
        }
    }

    /// Whether it is about verifying.
    pub(super) fn is_verifier(&self) -> bool {
        matches!(self, Self::TrustedIdentityVerifier | Self::RevocationCheckVerifier)
    }
}

impl From<String> for Capability {
    fn from(name: String) -> Self {
        const KNOWN: [Capability; 4] = [
            Capability::SignatureGenerator,
            Capability::EnvelopeGenerator,
            Capability::TrustedIdentityVerifier,
            Capability::RevocationCheckVerifier,
        ];
        let known = KNOWN.into_iter().find(|known| known.as_str() == name);
        known.unwrap_or(Self::Other(name))
    }
}

impl From<Capability> for String {
    fn from(capability: Capability) -> Self {
        capability.as_str().to_owned()
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Go sends optional maps only where they hold something.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetadataRequest<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) plugin_config: &'a PluginConfig,
}

/// What a plugin says about itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Its name, that of its directory.
    #[serde(default)]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Its version; SemVer only where versions are compared.
    #[serde(default)]
    pub version: String,
    /// Where it comes from.
    #[serde(default)]
    pub url: String,
    /// Versions of the contract it speaks.
    #[serde(default)]
    pub supported_contract_versions: Vec<String>,
    /// What it can do.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
}

impl Metadata {
    /// Whether it has a capability.
    pub fn can(&self, capability: &Capability) -> bool {
        self.capabilities.contains(capability)
    }

    /// The capabilities as notation lists them.
    pub fn capability_list(&self) -> String {
        let names: Vec<_> = self.capabilities.iter().map(Capability::as_str).collect();
        format!("[{}]", names.join(" "))
    }

    /// Every member is required (spec §8.2), and the name is that of the directory.
    pub(super) fn check(&self, name: &str) -> Result<(), MetadataProblem> {
        for (member, is_empty) in [
            ("name", self.name.is_empty()),
            ("description", self.description.is_empty()),
            ("version", self.version.is_empty()),
            ("url", self.url.is_empty()),
            ("capabilities", self.capabilities.is_empty()),
            ("supportedContractVersions", self.supported_contract_versions.is_empty()),
        ] {
            if is_empty {
                return Err(MetadataProblem::Empty { member });
            }
        }
        if !self.supported_contract_versions.iter().any(|version| version == CONTRACT_VERSION) {
            let found = self.supported_contract_versions.clone();
            return Err(MetadataProblem::Contract { found });
        }
        if self.name != name {
            return Err(MetadataProblem::Name {
                expected: name.to_owned(),
                found: self.name.clone(),
            });
        }
        Ok(())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeKeyRequest<'a> {
    pub(super) contract_version: &'a str,
    pub(super) key_id: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) plugin_config: &'a PluginConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeKeyResponse {
    pub(super) key_id: String,
    pub(super) key_spec: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GenerateSignatureRequest<'a> {
    pub(super) contract_version: &'a str,
    pub(super) key_id: &'a str,
    pub(super) key_spec: &'a str,
    pub(super) hash_algorithm: &'a str,
    pub(super) payload: Base64<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) plugin_config: &'a PluginConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GenerateSignatureResponse {
    pub(super) key_id: String,
    pub(super) signature: String,
    pub(super) signing_algorithm: String,
    pub(super) certificate_chain: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GenerateEnvelopeRequest<'a> {
    pub(super) contract_version: &'a str,
    pub(super) key_id: &'a str,
    pub(super) payload_type: &'a str,
    pub(super) signature_envelope_type: &'a str,
    pub(super) payload: Base64<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expiry_duration_in_seconds: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) plugin_config: &'a PluginConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GenerateEnvelopeResponse {
    pub(super) signature_envelope: String,
    pub(super) signature_envelope_type: String,
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VerifySignatureRequest<'a> {
    pub(super) contract_version: &'a str,
    pub(super) signature: WireSignature<'a>,
    pub(super) trust_policy: WireTrustPolicy<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) plugin_config: &'a PluginConfig,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireSignature<'a> {
    pub(super) critical_attributes: CriticalAttributes<'a>,
    /// Go writes an empty list as `null`.
    pub(super) unprocessed_attributes: Option<Vec<&'a str>>,
    pub(super) certificate_chain: Vec<Base64<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CriticalAttributes<'a> {
    pub(super) content_type: &'a str,
    pub(super) signing_scheme: &'a str,
    pub(super) expiry: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) authentic_signing_time: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) extended_attributes: BTreeMap<&'a str, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireTrustPolicy<'a> {
    pub(super) trusted_identities: &'a [&'a str],
    pub(super) signature_verification: &'a [Capability],
}

/// `verificationResults` has a result, or `null`, for each capability that was asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VerifySignatureResponse {
    pub(super) verification_results: Option<BTreeMap<String, Option<WireResult>>>,
    /// Names; anything else names no attribute.
    pub(super) processed_attributes: Option<Vec<Value>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct WireResult {
    pub(super) success: bool,
    pub(super) reason: Option<String>,
}

/// Bytes, in the standard alphabet with padding.
pub(super) struct Base64<'a>(pub(super) &'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0))
    }
}

/// Reads what [`Base64`] writes, in its only form.
pub(super) fn from_base64(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    STANDARD.decode(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        Metadata {
            name: "p".to_owned(),
            description: "d".to_owned(),
            version: "1.0.0".to_owned(),
            url: "u".to_owned(),
            supported_contract_versions: vec!["2.0".to_owned(), "1.0".to_owned()],
            capabilities: vec![Capability::SignatureGenerator, Capability::Other("X".to_owned())],
        }
    }

    #[test]
    fn metadata_is_complete_and_of_this_contract() {
        type Change = fn(&mut Metadata);
        assert_eq!(metadata().check("p"), Ok(()));
        assert_eq!(metadata().capability_list(), "[SIGNATURE_GENERATOR.RAW X]");
        let changes: [(&str, Change); 8] = [
            ("empty name", |it| it.name.clear()),
            ("empty description", |it| it.description.clear()),
            ("empty version", |it| it.version.clear()),
            ("empty url", |it| it.url.clear()),
            ("empty capabilities", |it| it.capabilities.clear()),
            ("empty supportedContractVersions", |it| it.supported_contract_versions.clear()),
            (
                "contract version \"1.0\" is not in the list of the plugin supported versions \
              [\"2.0\"]",
                |it| it.supported_contract_versions.truncate(1),
            ),
            (
                "plugin executable file name must be \"notation-q\" instead of \"notation-p\"",
                |it| {
                    it.name = "q".to_owned();
                },
            ),
        ];
        for (message, change) in changes {
            let mut metadata = metadata();
            change(&mut metadata);
            assert_eq!(metadata.check("p").unwrap_err().to_string(), message);
        }
    }

    /// The bytes of the reference, as captured (spec §8.3) and as its types say (§8.2).
    #[test]
    fn requests_have_the_members_of_the_reference_in_its_order() {
        let (none, some) = (PluginConfig::new(), PluginConfig::from([("x".into(), "y".into())]));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        assert_eq!(text(to_json(&MetadataRequest { plugin_config: &none })), "{}");
        assert_eq!(
            text(to_json(&MetadataRequest { plugin_config: &some })),
            r#"{"pluginConfig":{"x":"y"}}"#
        );
        let value = Value::from("v");
        let request = VerifySignatureRequest {
            contract_version: CONTRACT_VERSION,
            signature: WireSignature {
                critical_attributes: CriticalAttributes {
                    content_type: "application/vnd.cncf.notary.payload.v1+json",
                    signing_scheme: "notary.x509",
                    expiry: "0001-01-01T00:00:00Z".to_owned(),
                    authentic_signing_time: None,
                    extended_attributes: BTreeMap::from([("example.crit", value)]),
                },
                unprocessed_attributes: Some(vec!["example.crit"]),
                certificate_chain: vec![Base64(b"DER")],
            },
            trust_policy: WireTrustPolicy {
                trusted_identities: &["*"],
                signature_verification: &[
                    Capability::TrustedIdentityVerifier,
                    Capability::RevocationCheckVerifier,
                ],
            },
            plugin_config: &none,
        };
        assert_eq!(
            text(to_json(&request)),
            r#"{"contractVersion":"1.0","signature":{"criticalAttributes":{"contentType":"application/vnd.cncf.notary.payload.v1+json","signingScheme":"notary.x509","expiry":"0001-01-01T00:00:00Z","extendedAttributes":{"example.crit":"v"}},"unprocessedAttributes":["example.crit"],"certificateChain":["REVS"]},"trustPolicy":{"trustedIdentities":["*"],"signatureVerification":["SIGNATURE_VERIFIER.TRUSTED_IDENTITY","SIGNATURE_VERIFIER.REVOCATION_CHECK"]}}"#
        );
    }
}
