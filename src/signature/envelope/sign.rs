//! Making envelopes: to-be-signed bytes, the signer, assembly, and a look at the own result.

use jiff::Timestamp;
use serde_json::Value;

use super::error::EnvelopeError;
use super::header::{
    AUTHENTIC_SIGNING_TIME, AttributeKey, AttributeValue, Criticality, EXPIRY, ExtendedAttribute,
    SIGNING_SCHEME, SigningScheme,
};
use super::{Envelope, EnvelopeFormat, SignedContent, cose, jws, time};
use crate::signature::algorithm::KeySpec;
use crate::signature::payload::Payload;
use crate::signature::signer::{Signer, SignerError};
use crate::signature::x509::{CertificateChain, CertificateRules, ChainError};

/// What is to be signed, and with which attributes.
#[derive(Clone, Debug)]
pub struct SignRequest {
    /// The artifact and the user's metadata.
    pub payload: Payload,
    /// The time of signing; fractions of seconds are dropped.
    pub signing_time: Timestamp,
    /// Until when the signature is to be valid.
    pub expiry: Option<Timestamp>,
    /// Who vouches for the time. notation itself only makes [`SigningScheme::X509`].
    pub scheme: SigningScheme,
    /// Attributes beyond the specification: text names, JSON values.
    pub extended: Vec<ExtendedAttribute>,
    /// Name and version of the program that signs; not signed itself.
    pub signing_agent: Option<String>,
    /// How strictly the signer's certificates are judged.
    pub rules: CertificateRules,
}

impl SignRequest {
    /// A request as the commands make it: scheme `notary.x509`, no expiry, no further attributes.
    #[must_use]
    pub fn new(payload: Payload, signing_time: Timestamp) -> Self {
        Self {
            payload,
            signing_time,
            expiry: None,
            scheme: SigningScheme::X509,
            extended: Vec::new(),
            signing_agent: None,
            rules: CertificateRules::Strict,
        }
    }
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The signer failed.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// Expiry has to be after the time of signing.
    #[error("expiry {expiry} is not after the signing time {signing_time}")]
    Expiry {
        /// The expiry that was asked for.
        expiry: Timestamp,
        /// The time of signing.
        signing_time: Timestamp,
    },
    /// An extended attribute that can't be written.
    #[error("extended attribute {name} needs a text name of its own and a JSON value")]
    ExtendedAttribute {
        /// Name of the attribute.
        name: AttributeKey,
    },
    /// The certificate chain of the signer breaks a rule, or is not valid at the time of signing.
    #[error("certificate chain of the signer: {0}")]
    Chain(#[from] ChainError),
    /// The signer announced another kind of key than its certificate has.
    #[error("signer announced a key {announced}, its certificate has {found}")]
    KeySpec {
        /// What the signer announced.
        announced: KeySpec,
        /// The certificate's key in words.
        found: String,
    },
    /// The envelope can't be encoded, or does not verify: the signer's signature is wrong.
    #[error("generated signature failed verification: {0}")]
    OwnResult(#[from] EnvelopeError),
    /// The envelope verifies but says something else than was to be signed.
    #[error("generated signature has another payload than requested")]
    OtherPayload,
}

/// Signs `request` and returns the envelope, with what was read when it was decoded and verified.
///
/// # Errors
/// When the request can't be expressed, the signer fails, its chain breaks a rule of spec §4.1, a
/// certificate is not valid at the signing time (§4.2), or the result does not verify.
pub fn sign(
    format: EnvelopeFormat,
    request: &SignRequest,
    signer: &dyn Signer,
) -> Result<(Vec<u8>, SignedContent), SignError> {
    let content = ToSign::new(request, signer.key_spec())?;
    let unsigned = match format {
        EnvelopeFormat::Jws => Unsigned::Jws(jws::Unsigned::new(&content)),
        EnvelopeFormat::Cose => Unsigned::Cose(cose::Unsigned::new(&content)?),
    };
    let signed = signer.sign(&unsigned.to_be_signed())?;
    let chain = CertificateChain::code_signing(signed.certificate_chain, request.rules)?;
    chain.check_validity(content.time, content.time)?;
    if chain.leaf().key_spec() != Some(content.key_spec) {
        return Err(SignError::KeySpec {
            announced: content.key_spec,
            found: chain.leaf().public_key().describe(),
        });
    }
    let certificates: Vec<&[u8]> =
        chain.certificates().iter().map(|certificate| certificate.der()).collect();
    let agent = request.signing_agent.as_deref();
    let bytes = match unsigned {
        Unsigned::Jws(unsigned) => unsigned.finish(&signed.signature, &certificates, agent),
        Unsigned::Cose(unsigned) => unsigned.finish(&signed.signature, &certificates, agent)?,
    };
    let content = check_own_result(format, request, chain, &bytes)?;
    Ok((bytes, content))
}

fn check_own_result(
    format: EnvelopeFormat,
    request: &SignRequest,
    chain: CertificateChain,
    bytes: &[u8],
) -> Result<SignedContent, SignError> {
    let envelope = Envelope::decode(bytes, format)?;
    // A critical attribute nobody here knows may have been asked for; that is not an error of
    // the result, so the signature is verified without that rule.
    let content = envelope.verify_signature_by(chain)?;
    if content.payload() != &request.payload {
        return Err(SignError::OtherPayload);
    }
    Ok(content)
}

/// Judges an envelope that a plugin made as a whole (spec §8.2, `generate-envelope`).
///
/// It has to verify, its certificates have to be valid at its signing time, and it has to sign
/// what `payload` says: the same artifact, all of the annotations. The plugin may add annotations,
/// but no other members.
///
/// # Errors
/// The first of these that does not hold.
pub fn check_generated(
    format: EnvelopeFormat,
    bytes: &[u8],
    payload: &Payload,
    rules: CertificateRules,
) -> Result<SignedContent, SignError> {
    let content = Envelope::decode(bytes, format)?.verify_signature(rules)?;
    content.chain().check_validity(content.signing_time(), content.signing_time())?;
    let generated = content.payload();
    let kept = payload
        .annotations()
        .iter()
        .all(|(key, value)| generated.annotations().get(key) == Some(value));
    if !kept || !generated.target().same_content(payload.target()) {
        return Err(SignError::OtherPayload);
    }
    Payload::refuse_unknown_members(content.payload_json())
        .map_err(|cause| SignError::OwnResult(cause.into()))?;
    Ok(content)
}

enum Unsigned {
    Jws(jws::Unsigned),
    Cose(cose::Unsigned),
}

impl Unsigned {
    fn to_be_signed(&self) -> Vec<u8> {
        match self {
            Self::Jws(unsigned) => unsigned.to_be_signed(),
            Self::Cose(unsigned) => unsigned.to_be_signed(),
        }
    }
}

/// What follows the signing scheme in `crit`. Nothing depends on it; it is how notation writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CriticalOrder {
    /// JWS: extended attributes, then times (spec §2.1).
    ExtendedFirst,
    /// COSE: times, then extended attributes.
    TimesFirst,
}

/// A request that can be expressed in an envelope.
pub(super) struct ToSign<'a> {
    pub(super) payload: &'a Payload,
    pub(super) key_spec: KeySpec,
    pub(super) scheme: SigningScheme,
    pub(super) time: Timestamp,
    pub(super) expiry: Option<Timestamp>,
    extended: Vec<(&'a str, &'a Value, Criticality)>,
}

impl<'a> ToSign<'a> {
    pub(super) fn new(request: &'a SignRequest, key_spec: KeySpec) -> Result<Self, SignError> {
        let time = time::truncate(request.signing_time);
        let expiry = request.expiry.map(time::truncate);
        if let Some(expiry) = expiry.filter(|expiry| *expiry <= time) {
            return Err(SignError::Expiry { expiry, signing_time: time });
        }
        let mut extended: Vec<(&str, &Value, Criticality)> = Vec::new();
        for attribute in &request.extended {
            let refused = || SignError::ExtendedAttribute { name: attribute.key.clone() };
            let (AttributeKey::Text(name), AttributeValue::Json(value)) =
                (&attribute.key, &attribute.value)
            else {
                return Err(refused());
            };
            if extended.iter().any(|(earlier, ..)| earlier == name) {
                return Err(refused());
            }
            extended.push((name, value, attribute.criticality));
        }
        let content = Self {
            payload: &request.payload,
            key_spec,
            scheme: request.scheme,
            time,
            expiry,
            extended,
        };
        // A name of the specification's own would be written twice, or mean something else.
        let own = content.extended().find(|(name, _)| is_own_name(name));
        match own {
            Some((name, _)) => {
                Err(SignError::ExtendedAttribute { name: AttributeKey::Text(name.to_owned()) })
            }
            None => Ok(content),
        }
    }

    /// Entries of `crit`, in the order in which notation writes them in this format.
    pub(super) fn critical_names(&self, order: CriticalOrder) -> Vec<&'a str> {
        let critical =
            |&&(.., criticality): &&(_, _, Criticality)| criticality == Criticality::Critical;
        let extended = self.extended.iter().filter(critical).map(|&(name, ..)| name);
        let authentic =
            (self.scheme == SigningScheme::SigningAuthority).then_some(AUTHENTIC_SIGNING_TIME);
        let times = authentic.into_iter().chain(self.expiry.map(|_| EXPIRY));
        let scheme = std::iter::once(SIGNING_SCHEME);
        match order {
            CriticalOrder::ExtendedFirst => scheme.chain(extended).chain(times).collect(),
            CriticalOrder::TimesFirst => scheme.chain(times).chain(extended).collect(),
        }
    }

    pub(super) fn extended(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.extended.iter().map(|&(name, value, _)| (name, value))
    }
}

/// Names that only the specification gives a meaning to.
fn is_own_name(name: &str) -> bool {
    const OWN: [&str; 9] = [
        "alg",
        "crit",
        "cty",
        "b64",
        SIGNING_SCHEME,
        super::header::SIGNING_TIME,
        AUTHENTIC_SIGNING_TIME,
        EXPIRY,
        super::header::TIMESTAMP_SIGNATURE,
    ];
    OWN.iter().any(|own| own.eq_ignore_ascii_case(name))
}
