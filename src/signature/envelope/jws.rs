//! JWS envelopes: flattened JSON serialisation (spec §2).
//!
//! ```json
//! {"payload":"<b64url>","protected":"<b64url>",
//!  "header":{"io.cncf.notary.timestampSignature":"<b64>","x5c":["<b64>"],
//!            "io.cncf.notary.signingAgent":"…"},
//!  "signature":"<b64url>"}
//! ```
//!
//! The signing input is `protected.payload` exactly as the two strings stand in the file.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::{AttributeProblem, EnvelopeError};
use super::header::{
    AUTHENTIC_SIGNING_TIME, AttributeKey, AttributeValue, EXPIRY, ProtectedHeader, SIGNING_AGENT,
    SIGNING_SCHEME, SIGNING_TIME, TIMESTAMP_SIGNATURE, VERIFICATION_PLUGIN,
    VERIFICATION_PLUGIN_MIN_VERSION,
};
use super::sign::{CriticalOrder, ToSign};
use super::time::Moment;
use super::{MAX_DEPTH, MAX_ENCODED_CERTIFICATES, MAX_ENVELOPE_BYTES, Parts, time};
use crate::image::json::{self, Rules};
use crate::signature::algorithm::KeySpec;
use crate::signature::payload::MemberOrder;

/// Members whose case variants are refused everywhere (N-11).
const ENVELOPE_RULES: Rules = Rules {
    max_bytes: MAX_ENVELOPE_BYTES,
    max_depth: MAX_DEPTH,
    known: &[
        "payload",
        "protected",
        "header",
        "signature",
        "x5c",
        "alg",
        "crit",
        "b64",
        TIMESTAMP_SIGNATURE,
        SIGNING_AGENT,
    ],
    free_maps: &[],
};

const PROTECTED_RULES: Rules = Rules {
    max_bytes: MAX_ENVELOPE_BYTES,
    max_depth: MAX_DEPTH,
    known: &[
        "alg",
        "crit",
        "cty",
        SIGNING_SCHEME,
        SIGNING_TIME,
        AUTHENTIC_SIGNING_TIME,
        EXPIRY,
        VERIFICATION_PLUGIN,
        VERIFICATION_PLUGIN_MIN_VERSION,
    ],
    free_maps: &[],
};

/// The file, in the order notation writes it.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    payload: String,
    protected: String,
    header: Map<String, Value>,
    signature: String,
}

/// Takes an envelope apart.
pub(super) fn decode(bytes: &[u8]) -> Result<Parts, EnvelopeError> {
    let wire = read_wire(bytes)?;
    let to_be_signed = format!("{}.{}", wire.protected, wire.payload).into_bytes();
    let protected = base64url("protected", &wire.protected)?;
    let (algorithm, header) = decode_protected(&protected)?;
    let unprotected = Unprotected::decode(&wire.header)?;
    Ok(Parts {
        to_be_signed,
        payload: base64url("payload", &wire.payload)?,
        signature: base64url("signature", &wire.signature)?,
        certificates: unprotected.certificates,
        algorithm,
        header,
        signing_agent: unprotected.signing_agent,
        timestamp_token: unprotected.timestamp_token,
    })
}

fn read_wire(bytes: &[u8]) -> Result<Wire, EnvelopeError> {
    let part = "JWS envelope";
    json::check(bytes, &ENVELOPE_RULES).map_err(|cause| EnvelopeError::Json { part, cause })?;
    serde_json::from_slice(bytes).map_err(|cause| EnvelopeError::Shape { part, cause })
}

struct Unprotected {
    certificates: Vec<Vec<u8>>,
    timestamp_token: Option<Vec<u8>>,
    signing_agent: Option<String>,
}

impl Unprotected {
    /// Unknown members are allowed, except those that would mean something if they were protected
    /// (N-13).
    fn decode(header: &Map<String, Value>) -> Result<Self, EnvelopeError> {
        if let Some(name) =
            ["alg", "crit", "b64"].into_iter().find(|name| header.contains_key(*name))
        {
            return Err(EnvelopeError::attribute(name, AttributeProblem::NotAllowed));
        }
        let certificates = match header.get("x5c") {
            None => Vec::new(),
            Some(Value::Array(encoded)) => {
                if encoded.len() > MAX_ENCODED_CERTIFICATES {
                    return Err(EnvelopeError::TooManyCertificates {
                        found: encoded.len(),
                        limit: MAX_ENCODED_CERTIFICATES,
                    });
                }
                encoded
                    .iter()
                    .map(|value| base64_standard("x5c", value))
                    .collect::<Result<_, _>>()?
            }
            Some(_) => {
                let problem = AttributeProblem::WrongType { expected: "an array" };
                return Err(EnvelopeError::attribute("x5c", problem));
            }
        };
        let timestamp_token = header
            .get(TIMESTAMP_SIGNATURE)
            .map(|value| base64_standard(TIMESTAMP_SIGNATURE, value))
            .transpose()?;
        if timestamp_token.as_ref().is_some_and(Vec::is_empty) {
            return Err(EnvelopeError::attribute(TIMESTAMP_SIGNATURE, AttributeProblem::Empty));
        }
        let signing_agent =
            header.get(SIGNING_AGENT).map(|value| text(SIGNING_AGENT, value)).transpose()?;
        Ok(Self { certificates, timestamp_token, signing_agent })
    }
}

fn decode_protected(bytes: &[u8]) -> Result<(String, ProtectedHeader), EnvelopeError> {
    let part = "JWS protected header";
    json::check(bytes, &PROTECTED_RULES).map_err(|cause| EnvelopeError::Json { part, cause })?;
    let members: Map<String, Value> =
        serde_json::from_slice(bytes).map_err(|cause| EnvelopeError::Shape { part, cause })?;
    let mut header = ProtectedHeader::default();
    let mut algorithm = None;
    for (name, value) in members {
        match name.as_str() {
            "alg" => algorithm = Some(text("alg", &value)?),
            "cty" => header.content_type = Some(text("cty", &value)?),
            "crit" => header.critical = critical(&value)?,
            SIGNING_SCHEME => header.scheme = Some(text(SIGNING_SCHEME, &value)?),
            SIGNING_TIME => header.signing_time = Some(moment(SIGNING_TIME, &value)?),
            AUTHENTIC_SIGNING_TIME => {
                header.authentic_signing_time = Some(moment(AUTHENTIC_SIGNING_TIME, &value)?);
            }
            EXPIRY => header.expiry = Some(moment(EXPIRY, &value)?),
            _ => header.others.push((AttributeKey::Text(name), AttributeValue::Json(value))),
        }
    }
    let algorithm =
        algorithm.ok_or_else(|| EnvelopeError::attribute("alg", AttributeProblem::Missing))?;
    Ok((algorithm, header))
}

fn critical(value: &Value) -> Result<Vec<AttributeKey>, EnvelopeError> {
    let Value::Array(entries) = value else {
        let problem = AttributeProblem::WrongType { expected: "an array" };
        return Err(EnvelopeError::attribute("crit", problem));
    };
    if entries.is_empty() {
        return Err(EnvelopeError::attribute("crit", AttributeProblem::Empty));
    }
    entries.iter().map(|entry| text("crit", entry).map(AttributeKey::Text)).collect()
}

fn text(name: &str, value: &Value) -> Result<String, EnvelopeError> {
    value.as_str().map(str::to_owned).ok_or_else(|| {
        EnvelopeError::attribute(name, AttributeProblem::WrongType { expected: "a text" })
    })
}

fn moment(name: &str, value: &Value) -> Result<Moment, EnvelopeError> {
    value
        .as_str()
        .and_then(time::from_rfc3339)
        .ok_or_else(|| EnvelopeError::attribute(name, AttributeProblem::NotATime))
}

fn base64url(member: &'static str, text: &str) -> Result<Vec<u8>, EnvelopeError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|cause| EnvelopeError::Base64 { member, cause })
}

fn base64_standard(member: &'static str, value: &Value) -> Result<Vec<u8>, EnvelopeError> {
    STANDARD.decode(text(member, value)?).map_err(|cause| EnvelopeError::Base64 { member, cause })
}

/// The name of the algorithm in the protected header.
pub(super) fn algorithm_name(spec: KeySpec) -> String {
    spec.signature_algorithm().jws_name().to_owned()
}

/// What will be signed: the strings `protected` and `payload`.
pub(super) struct Unsigned {
    protected: String,
    payload: String,
}

impl Unsigned {
    pub(super) fn new(content: &ToSign<'_>) -> Self {
        // Sorted by name, as notation writes it; readers don't depend on it.
        let mut header = BTreeMap::new();
        header.insert("alg", Value::from(algorithm_name(content.key_spec)));
        header.insert("cty", Value::from(crate::signature::payload::MEDIA_TYPE));
        header.insert(SIGNING_SCHEME, Value::from(content.scheme.name()));
        let (time_name, _) = content.scheme.time_attributes();
        header.insert(time_name, Value::from(time::to_rfc3339(content.time)));
        if let Some(expiry) = content.expiry {
            header.insert(EXPIRY, Value::from(time::to_rfc3339(expiry)));
        }
        header.insert("crit", Value::from(content.critical_names(CriticalOrder::ExtendedFirst)));
        for (name, value) in content.extended() {
            header.insert(name, value.clone());
        }
        let json = serde_json::to_vec(&header).expect("maps with string keys are JSON");
        Self {
            protected: URL_SAFE_NO_PAD.encode(json),
            payload: URL_SAFE_NO_PAD.encode(content.payload.to_json(MemberOrder::Alphabetical)),
        }
    }

    pub(super) fn to_be_signed(&self) -> Vec<u8> {
        format!("{}.{}", self.protected, self.payload).into_bytes()
    }

    /// The envelope with its signature.
    pub(super) fn finish(
        self,
        signature: &[u8],
        certificates: &[&[u8]],
        signing_agent: Option<&str>,
    ) -> Vec<u8> {
        let mut header = Map::new();
        let encoded: Vec<String> = certificates.iter().map(|der| STANDARD.encode(der)).collect();
        header.insert("x5c".to_owned(), Value::from(encoded));
        if let Some(agent) = signing_agent {
            header.insert(SIGNING_AGENT.to_owned(), Value::from(agent));
        }
        let signature = URL_SAFE_NO_PAD.encode(signature);
        to_vec(&Wire { payload: self.payload, protected: self.protected, header, signature })
    }
}

/// The same envelope with this timestamp token (unsigned, so nothing else changes).
pub(super) fn with_timestamp_token(bytes: &[u8], token: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    let mut wire = read_wire(bytes)?;
    wire.header.insert(TIMESTAMP_SIGNATURE.to_owned(), Value::from(STANDARD.encode(token)));
    Ok(to_vec(&wire))
}

fn to_vec(wire: &Wire) -> Vec<u8> {
    serde_json::to_vec(wire).expect("strings and maps with string keys are JSON")
}
