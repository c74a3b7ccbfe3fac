//! A plugin as signer: bare signatures (`generate-signature`) or envelopes (`generate-envelope`).
//!
//! Whatever it answers is verified by who asked (spec §8.2); here only form and identity of the
//! answers are checked.

use super::error::PluginError;
use super::protocol::{
    self, Base64, Capability, DescribeKeyRequest, DescribeKeyResponse, GenerateEnvelopeRequest,
    GenerateEnvelopeResponse, GenerateSignatureRequest, GenerateSignatureResponse, Metadata,
};
use super::{Plugin, PluginConfig};
use crate::image::digest::Algorithm;
use crate::signature::algorithm::KeySpec;
use crate::signature::payload;
use crate::signature::signer::{
    EnvelopeGenerator, EnvelopeOrder, GeneratedEnvelope, RawSignature, Signer, SignerError,
};
use crate::signature::x509::Certificate;

/// A key, in the words of its plugin.
#[derive(Clone, Debug)]
pub struct PluginKey {
    /// Its name for the plugin.
    pub id: String,
    /// What the plugin is told besides.
    pub config: PluginConfig,
}

/// A plugin that signs, one way or the other.
#[derive(Debug)]
pub enum PluginSigner {
    /// It makes signatures, we make the envelope.
    Raw(RawPlugin),
    /// It makes the envelope.
    Envelope(EnvelopePlugin),
}

impl PluginSigner {
    /// Asks a plugin how it signs. Bare signatures are preferred, as in notation.
    ///
    /// # Errors
    /// [`PluginError`]: the plugin fails, or can't sign, or doesn't know the key.
    pub fn new(plugin: Plugin, key: PluginKey) -> Result<Self, PluginError> {
        let metadata = plugin.metadata(&key.config)?;
        if metadata.can(&Capability::SignatureGenerator) {
            return Ok(Self::Raw(RawPlugin::new(plugin, key, &metadata)?));
        }
        if metadata.can(&Capability::EnvelopeGenerator) {
            return Ok(Self::Envelope(EnvelopePlugin { plugin, key }));
        }
        let (plugin, found) = (plugin.name().to_owned(), metadata.capability_list());
        Err(PluginError::CannotSign { plugin, found })
    }

    /// The same plugin for signing files, which takes bare signatures (spec §8.2).
    ///
    /// # Errors
    /// [`PluginError::CannotSignBlobs`].
    pub fn for_blobs(self) -> Result<RawPlugin, PluginError> {
        match self {
            Self::Raw(raw) => Ok(raw),
            Self::Envelope(EnvelopePlugin { plugin, .. }) => {
                Err(PluginError::CannotSignBlobs { plugin: plugin.name().to_owned() })
            }
        }
    }
}

/// A key of a plugin that makes bare signatures.
#[derive(Debug)]
pub struct RawPlugin {
    plugin: Plugin,
    key: PluginKey,
    spec: KeySpec,
    version: String,
}

impl RawPlugin {
    fn new(plugin: Plugin, key: PluginKey, metadata: &Metadata) -> Result<Self, PluginError> {
        let request = DescribeKeyRequest {
            contract_version: protocol::CONTRACT_VERSION,
            key_id: &key.id,
            plugin_config: &key.config,
        };
        let command = protocol::DESCRIBE_KEY;
        let response: DescribeKeyResponse = plugin.call(command, &request)?;
        expect(&plugin, command, "keyId", &key.id, response.key_id)?;
        let spec = KeySpec::from_plugin_name(&response.key_spec).ok_or_else(|| {
            let problem = format!("{:?} is not a supported kind of key", response.key_spec);
            value(&plugin, command, "keySpec", problem)
        })?;
        Ok(Self { plugin, key, spec, version: metadata.version.clone() })
    }

    fn generate(&self, to_be_signed: &[u8]) -> Result<RawSignature, PluginError> {
        let algorithm = self.spec.signature_algorithm();
        let request = GenerateSignatureRequest {
            contract_version: protocol::CONTRACT_VERSION,
            key_id: &self.key.id,
            key_spec: self.spec.plugin_name(),
            hash_algorithm: match algorithm.hash() {
                Algorithm::Sha256 => "SHA-256",
                Algorithm::Sha384 => "SHA-384",
                Algorithm::Sha512 => "SHA-512",
            },
            payload: Base64(to_be_signed),
            plugin_config: &self.key.config,
        };
        let (plugin, command) = (&self.plugin, protocol::GENERATE_SIGNATURE);
        let response: GenerateSignatureResponse = plugin.call(command, &request)?;
        expect(plugin, command, "keyId", &self.key.id, response.key_id)?;
        let name = algorithm.plugin_name();
        expect(plugin, command, "signingAlgorithm", name, response.signing_algorithm)?;
        let signature = decode(plugin, command, "signature", &response.signature)?;
        let chain = response.certificate_chain.iter().map(|text| {
            let der = decode(plugin, command, "certificateChain", text)?;
            Certificate::from_der(&der)
                .map_err(|error| value(plugin, command, "certificateChain", error.to_string()))
        });
        Ok(RawSignature { signature, certificate_chain: chain.collect::<Result<_, _>>()? })
    }
}

impl Signer for RawPlugin {
    fn key_spec(&self) -> KeySpec {
        self.spec
    }

    fn sign(&self, to_be_signed: &[u8]) -> Result<RawSignature, SignerError> {
        self.generate(to_be_signed).map_err(|error| SignerError::External(Box::new(error)))
    }

    fn agent(&self) -> Option<String> {
        // What the plugin calls itself goes into the envelope as it is, but for control characters.
        let version: String = self.version.chars().filter(|it| !it.is_control()).collect();
        Some(format!("{}/{version}", self.plugin.name()))
    }
}

/// A key of a plugin that makes envelopes.
#[derive(Debug)]
pub struct EnvelopePlugin {
    plugin: Plugin,
    key: PluginKey,
}

impl EnvelopePlugin {
    fn ask(&self, order: &EnvelopeOrder<'_>) -> Result<GeneratedEnvelope, PluginError> {
        let media_type = order.format.media_type();
        let request = GenerateEnvelopeRequest {
            contract_version: protocol::CONTRACT_VERSION,
            key_id: &self.key.id,
            payload_type: payload::MEDIA_TYPE,
            signature_envelope_type: media_type,
            payload: Base64(order.payload),
            expiry_duration_in_seconds: order.expires_in,
            plugin_config: &self.key.config,
        };
        let (plugin, command) = (&self.plugin, protocol::GENERATE_ENVELOPE);
        let response: GenerateEnvelopeResponse = plugin.call(command, &request)?;
        let found = response.signature_envelope_type;
        expect(plugin, command, "signatureEnvelopeType", media_type, found)?;
        Ok(GeneratedEnvelope {
            bytes: decode(plugin, command, "signatureEnvelope", &response.signature_envelope)?,
            annotations: response.annotations.unwrap_or_default(),
        })
    }
}

impl EnvelopeGenerator for EnvelopePlugin {
    fn generate(&self, order: &EnvelopeOrder<'_>) -> Result<GeneratedEnvelope, SignerError> {
        self.ask(order).map_err(|error| SignerError::External(Box::new(error)))
    }
}

fn expect(
    plugin: &Plugin,
    command: &'static str,
    member: &'static str,
    expected: &str,
    found: String,
) -> Result<(), PluginError> {
    if found == expected {
        return Ok(());
    }
    let (plugin, expected) = (plugin.name().to_owned(), expected.to_owned());
    Err(PluginError::Mismatch { plugin, command, member, expected, found })
}

fn decode(
    plugin: &Plugin,
    command: &'static str,
    member: &'static str,
    text: &str,
) -> Result<Vec<u8>, PluginError> {
    protocol::from_base64(text)
        .map_err(|error| value(plugin, command, member, format!("is not strict base64: {error}")))
}

fn value(
    plugin: &Plugin,
    command: &'static str,
    member: &'static str,
    problem: String,
) -> PluginError {
    PluginError::Value { plugin: plugin.name().to_owned(), command, member, problem }
}
