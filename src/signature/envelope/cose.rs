//! COSE envelopes: `COSE_Sign1_Tagged` (spec §3). The only file that names coset.
//!
//! The gate has refused everything unusual before coset sees a byte; coset keeps the protected
//! header as received, so what is verified is never something that was encoded again.

use std::fmt;

use coset::cbor::value::{Integer, Value};
use coset::{
    CborSerializable as _, ContentType, CoseSign1, CoseSign1Builder, Header, HeaderBuilder, Label,
    RegisteredLabelWithPrivate, TaggedCborSerializable as _,
    iana::{self, EnumI64 as _},
};
use jiff::Timestamp;
use serde_json::Value as Json;

use super::error::{AttributeProblem, EnvelopeError};
use super::header::{
    AUTHENTIC_SIGNING_TIME, AttributeKey, AttributeValue, EXPIRY, ProtectedHeader, SIGNING_AGENT,
    SIGNING_SCHEME, SIGNING_TIME, TIMESTAMP_SIGNATURE,
};
use super::sign::{CriticalOrder, ToSign};
use super::time::Moment;
use super::{MAX_ENCODED_CERTIFICATES, Parts, cbor_gate, time};
use crate::signature::algorithm::KeySpec;
use crate::signature::payload::{self, MemberOrder};

/// Label of the certificate chain (RFC 9360).
const X5CHAIN: i64 = 33;
/// Tag of times in seconds since 1970.
const EPOCH_TAG: u64 = 1;

/// coset could not make sense of a structure that is sound CBOR.
#[derive(Debug)]
pub struct StructureError(coset::CoseError);

impl fmt::Display for StructureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "COSE structure: {}", self.0)
    }
}

impl std::error::Error for StructureError {}

/// Takes an envelope apart.
pub(super) fn decode(bytes: &[u8]) -> Result<Parts, EnvelopeError> {
    let raw = cbor_gate::check(bytes)?;
    let sign1 = CoseSign1::from_tagged_slice(bytes).map_err(StructureError)?;
    let to_be_signed = sign1.tbs_data(&[]);
    let (algorithm, header) = decode_protected(&sign1.protected.header)?;
    let unprotected = &sign1.unprotected;
    refuse_unprotected(unprotected, &sign1.protected.header)?;
    let certificates = match find(unprotected, &Label::Int(X5CHAIN)) {
        None => Vec::new(),
        Some(Value::Array(items)) => certificates(items)?,
        // RFC 9360 allows one bare bstr; notation does not.
        Some(_) => return Err(wrong_type("x5chain", "an array of byte strings")),
    };
    let timestamp_token = match find(unprotected, &text_label(TIMESTAMP_SIGNATURE)) {
        None => None,
        Some(Value::Bytes(token)) if token.is_empty() => {
            return Err(EnvelopeError::attribute(TIMESTAMP_SIGNATURE, AttributeProblem::Empty));
        }
        Some(Value::Bytes(token)) => Some(token.clone()),
        Some(_) => return Err(wrong_type(TIMESTAMP_SIGNATURE, "a byte string")),
    };
    let signing_agent = match find(unprotected, &text_label(SIGNING_AGENT)) {
        None => None,
        Some(Value::Text(agent)) => Some(agent.clone()),
        Some(_) => return Err(wrong_type(SIGNING_AGENT, "a text")),
    };
    Ok(Parts {
        to_be_signed,
        payload: raw.payload.to_vec(),
        signature: raw.signature.to_vec(),
        certificates,
        algorithm,
        header,
        signing_agent,
        timestamp_token,
    })
}

fn certificates(items: &[Value]) -> Result<Vec<Vec<u8>>, EnvelopeError> {
    if items.len() > MAX_ENCODED_CERTIFICATES {
        return Err(EnvelopeError::TooManyCertificates {
            found: items.len(),
            limit: MAX_ENCODED_CERTIFICATES,
        });
    }
    items
        .iter()
        .map(|item| item.as_bytes().cloned().ok_or_else(|| wrong_type("x5chain", "byte strings")))
        .collect()
}

/// Parameters that would mean something if they were protected, and countersignatures, which no
/// Notary signature has and whose content nobody here checks.
fn refuse_unprotected(unprotected: &Header, protected: &Header) -> Result<(), EnvelopeError> {
    let not_allowed = |name| Err(EnvelopeError::attribute(name, AttributeProblem::NotAllowed));
    if unprotected.alg.is_some() {
        return not_allowed("alg");
    }
    if !unprotected.crit.is_empty() {
        return not_allowed("crit");
    }
    if unprotected.content_type.is_some() {
        return not_allowed("content type");
    }
    for header in [unprotected, protected] {
        let countersignature =
            [11, 9, 12].into_iter().any(|label| find(header, &Label::Int(label)).is_some());
        if countersignature || !header.counter_signatures.is_empty() {
            return not_allowed("countersignature");
        }
    }
    if !unprotected.iv.is_empty() && !protected.partial_iv.is_empty()
        || !unprotected.partial_iv.is_empty() && !protected.iv.is_empty()
    {
        return not_allowed("IV");
    }
    // One name, one value: also across the two buckets (RFC 9052 §3).
    for (label, _) in &unprotected.rest {
        if find(protected, label).is_some() {
            let (name, problem) = (key(label), AttributeProblem::NotAllowed);
            return Err(EnvelopeError::Attribute { name, problem });
        }
    }
    Ok(())
}

fn decode_protected(protected: &Header) -> Result<(String, ProtectedHeader), EnvelopeError> {
    let mut header = ProtectedHeader::default();
    let algorithm = match &protected.alg {
        Some(RegisteredLabelWithPrivate::Assigned(algorithm)) => algorithm.to_i64().to_string(),
        Some(RegisteredLabelWithPrivate::PrivateUse(algorithm)) => algorithm.to_string(),
        Some(RegisteredLabelWithPrivate::Text(algorithm)) => format!("{algorithm:?}"),
        None => return Err(EnvelopeError::attribute("alg", AttributeProblem::Missing)),
    };
    header.content_type = match &protected.content_type {
        Some(ContentType::Text(text)) => Some(text.clone()),
        Some(ContentType::Assigned(_)) => return Err(wrong_type("content type", "a text")),
        None => None,
    };
    header.critical = protected
        .crit
        .iter()
        .map(|label| match label {
            RegisteredLabelWithPrivate::Assigned(label) => AttributeKey::Int(label.to_i64()),
            RegisteredLabelWithPrivate::PrivateUse(label) => AttributeKey::Int(*label),
            RegisteredLabelWithPrivate::Text(text) => AttributeKey::Text(text.clone()),
        })
        .collect();
    for (label, value) in &protected.rest {
        match (label, value) {
            (Label::Text(name), _) if name == SIGNING_SCHEME => match value {
                Value::Text(scheme) => header.scheme = Some(scheme.clone()),
                _ => return Err(wrong_type(SIGNING_SCHEME, "a text")),
            },
            (Label::Text(name), _) if name == SIGNING_TIME => {
                header.signing_time = Some(moment(SIGNING_TIME, value)?);
            }
            (Label::Text(name), _) if name == AUTHENTIC_SIGNING_TIME => {
                header.authentic_signing_time = Some(moment(AUTHENTIC_SIGNING_TIME, value)?);
            }
            (Label::Text(name), _) if name == EXPIRY => {
                header.expiry = Some(moment(EXPIRY, value)?);
            }
            _ => header.others.push((key(label), attribute_value(value)?)),
        }
    }
    Ok((algorithm, header))
}

/// Tag 1 around whole seconds. Floats are accepted if they are integral (N-18).
fn moment(name: &str, value: &Value) -> Result<Moment, EnvelopeError> {
    let problem = |problem| EnvelopeError::attribute(name, problem);
    let Value::Tag(EPOCH_TAG, content) = value else {
        return Err(problem(AttributeProblem::WrongType { expected: "a time with tag 1" }));
    };
    let seconds = match content.as_ref() {
        Value::Integer(integer) => i64::try_from(*integer).ok(),
        Value::Float(float) => integral(*float),
        _ => None,
    };
    seconds
        .and_then(time::from_seconds)
        .map(Moment::utc)
        .ok_or_else(|| problem(AttributeProblem::NotATime))
}

/// The integer a float stands for, if it is one between 0 and 2^52.
fn integral(float: f64) -> Option<i64> {
    const LARGEST: f64 = 4_503_599_627_370_496.0;
    if float.fract() != 0.0 || !(0.0..LARGEST).contains(&float) {
        return None;
    }
    // Display writes integral floats without exponent or fraction.
    float.to_string().parse().ok()
}

fn find<'a>(header: &'a Header, label: &Label) -> Option<&'a Value> {
    header.rest.iter().find(|(found, _)| found == label).map(|(_, value)| value)
}

fn key(label: &Label) -> AttributeKey {
    match label {
        Label::Int(label) => AttributeKey::Int(*label),
        Label::Text(text) => AttributeKey::Text(text.clone()),
    }
}

fn text_label(name: &str) -> Label {
    Label::Text(name.to_owned())
}

fn wrong_type(name: &str, expected: &'static str) -> EnvelopeError {
    EnvelopeError::attribute(name, AttributeProblem::WrongType { expected })
}

fn attribute_value(value: &Value) -> Result<AttributeValue, EnvelopeError> {
    if let Some(json) = to_json(value) {
        return Ok(AttributeValue::Json(json));
    }
    let mut bytes = Vec::new();
    coset::cbor::ser::into_writer(value, &mut bytes)
        .map_err(|_| StructureError(coset::CoseError::EncodeFailed))?;
    Ok(AttributeValue::Cbor(bytes))
}

/// The JSON counterpart of a value, if it has an obvious one.
fn to_json(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Integer(integer) => match (i64::try_from(*integer), u64::try_from(*integer)) {
            (Ok(number), _) => Json::from(number),
            (_, Ok(number)) => Json::from(number),
            _ => return None,
        },
        Value::Float(float) => Json::Number(serde_json::Number::from_f64(*float)?),
        Value::Text(text) => Json::from(text.as_str()),
        Value::Bool(value) => Json::from(*value),
        Value::Null => Json::Null,
        Value::Array(items) => Json::Array(items.iter().map(to_json).collect::<Option<_>>()?),
        Value::Map(pairs) => Json::Object(
            pairs
                .iter()
                .map(|(key, value)| Some((key.as_text()?.to_owned(), to_json(value)?)))
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}

fn from_json(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::from(number),
            (_, Some(number)) => Value::from(number),
            _ => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::Array(items.iter().map(from_json).collect()),
        Json::Object(members) => Value::Map(
            members
                .iter()
                .map(|(name, value)| (Value::from(name.as_str()), from_json(value)))
                .collect(),
        ),
    }
}

/// The identifier of the algorithm in the protected header.
pub(super) fn algorithm_name(spec: KeySpec) -> String {
    spec.signature_algorithm().cose_identifier().to_string()
}

/// What will be signed: protected header and payload.
pub(super) struct Unsigned {
    protected: Header,
    payload: Vec<u8>,
}

impl Unsigned {
    pub(super) fn new(content: &ToSign<'_>) -> Result<Self, EnvelopeError> {
        let identifier = content.key_spec.signature_algorithm().cose_identifier();
        let algorithm = iana::Algorithm::from_i64(identifier)
            .ok_or(StructureError(coset::CoseError::UnregisteredIanaValue))?;
        let epoch = |moment: Timestamp| {
            Value::Tag(EPOCH_TAG, Box::new(Value::Integer(Integer::from(moment.as_second()))))
        };
        let (time_name, _) = content.scheme.time_attributes();
        let mut rest = vec![
            (SIGNING_SCHEME.to_owned(), Value::from(content.scheme.name())),
            (time_name.to_owned(), epoch(content.time)),
        ];
        rest.extend(content.expiry.map(|expiry| (EXPIRY.to_owned(), epoch(expiry))));
        rest.extend(content.extended().map(|(name, value)| (name.to_owned(), from_json(value))));
        // Deterministic order of text keys: by length first, then bytewise (RFC 8949 §4.2.1).
        rest.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        let mut builder =
            HeaderBuilder::new().algorithm(algorithm).content_type(payload::MEDIA_TYPE.to_owned());
        for name in content.critical_names(CriticalOrder::TimesFirst) {
            builder = builder.add_critical_label(RegisteredLabelWithPrivate::Text(name.to_owned()));
        }
        for (name, value) in rest {
            builder = builder.text_value(name, value);
        }
        Ok(Self {
            protected: builder.build(),
            payload: content.payload.to_json(MemberOrder::Declaration),
        })
    }

    pub(super) fn to_be_signed(&self) -> Vec<u8> {
        self.builder().build().tbs_data(&[])
    }

    fn builder(&self) -> CoseSign1Builder {
        CoseSign1Builder::new().protected(self.protected.clone()).payload(self.payload.clone())
    }

    /// The envelope with its signature.
    pub(super) fn finish(
        self,
        signature: &[u8],
        certificates: &[&[u8]],
        signing_agent: Option<&str>,
    ) -> Result<Vec<u8>, EnvelopeError> {
        let chain = certificates.iter().map(|der| Value::Bytes(der.to_vec())).collect();
        let mut unprotected = HeaderBuilder::new().value(X5CHAIN, Value::Array(chain));
        if let Some(agent) = signing_agent {
            unprotected = unprotected.text_value(SIGNING_AGENT.to_owned(), Value::from(agent));
        }
        let envelope =
            self.builder().unprotected(unprotected.build()).signature(signature.to_vec()).build();
        Ok(envelope.to_tagged_vec().map_err(StructureError)?)
    }
}

/// The same envelope with this timestamp token (unsigned, so nothing else changes).
pub(super) fn with_timestamp_token(bytes: &[u8], token: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    cbor_gate::check(bytes)?;
    let mut envelope = CoseSign1::from_tagged_slice(bytes).map_err(StructureError)?;
    let label = text_label(TIMESTAMP_SIGNATURE);
    let rest = &mut envelope.unprotected.rest;
    rest.retain(|(found, _)| *found != label);
    rest.push((label, Value::Bytes(token.to_vec())));
    rest.sort_by_key(|(label, _)| encoded_order(label));
    Ok(envelope.to_tagged_vec().map_err(StructureError)?)
}

/// Sorts labels as their encodings do: integers first, texts by length.
fn encoded_order(label: &Label) -> Vec<u8> {
    // A label always encodes; an empty key would only change the order.
    label.clone().to_vec().unwrap_or_default()
}
