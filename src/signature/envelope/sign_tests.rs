//! Making envelopes: round trips, the byte form of notation, what is refused.

use std::collections::BTreeMap;

use super::sign::ToSign;
use super::tests::{decode, envelopes, read, target, time};
use super::*;
use crate::signature::algorithm::KeySpec;
use crate::signature::crypto::CryptoError;
use crate::signature::signer::local::LocalSigner;
use crate::signature::signer::{RawSignature, Signer, SignerError};
use crate::signature::x509::ChainError;

const KEYS: [(&str, KeySpec); 6] = [
    ("rsa2048", KeySpec::Rsa2048),
    ("rsa3072", KeySpec::Rsa3072),
    ("rsa4096", KeySpec::Rsa4096),
    ("ec256", KeySpec::EcP256),
    ("ec384", KeySpec::EcP384),
    ("ec521", KeySpec::EcP521),
];
const FORMATS: [EnvelopeFormat; 2] = [EnvelopeFormat::Jws, EnvelopeFormat::Cose];
const STRICT: CertificateRules = CertificateRules::Strict;

fn signer(key: &str) -> LocalSigner {
    let chain = read(format!("valid/{key}.chain.crt"));
    LocalSigner::from_pem(&read(format!("valid/{key}.key")), &chain).unwrap()
}

fn request() -> SignRequest {
    let metadata = BTreeMap::from([("build".to_owned(), "42 <&> é".to_owned())]);
    let payload = Payload::new(&target(), metadata).unwrap();
    SignRequest {
        expiry: Some(time("2027-06-01T01:02:03.7Z")),
        signing_agent: Some("dockseal/test".to_owned()),
        ..SignRequest::new(payload, time("2026-06-01T01:02:03.9Z"))
    }
}

#[test]
fn round_trip_of_six_keys_and_two_formats() {
    for (key, spec) in KEYS {
        for format in FORMATS {
            let request = request();
            let (bytes, _) = sign(format, &request, &signer(key)).unwrap();
            let envelope = Envelope::decode_any(&bytes).unwrap();
            assert_eq!((envelope.format(), envelope.bytes()), (format, &bytes[..]));
            assert_eq!(envelope.signing_agent(), Some("dockseal/test"));
            assert_eq!(envelope.timestamp_token(), None);
            let content = envelope.verify_integrity(STRICT).unwrap();
            assert_eq!(content.payload(), &request.payload);
            assert_eq!(content.signing_time(), time("2026-06-01T01:02:03Z"));
            assert_eq!(content.expiry(), Some(time("2027-06-01T01:02:03Z")));
            assert_eq!(content.algorithm().key_spec(), spec);
            assert_eq!(content.signature().len(), content.algorithm().signature_len());
        }
    }
}

/// The request that makes the same envelope again.
fn request_of(content: &EnvelopeContent) -> SignRequest {
    let mut extended = content.extended_attributes().to_vec();
    let mut push = |name: &str, value: &str| {
        extended.push(ExtendedAttribute {
            key: AttributeKey::Text(name.to_owned()),
            value: AttributeValue::Json(value.into()),
            criticality: Criticality::Critical,
        });
    };
    if let Some(plugin) = content.verification_plugin() {
        push(header::VERIFICATION_PLUGIN, &plugin.name);
        push(header::VERIFICATION_PLUGIN_MIN_VERSION, plugin.min_version.as_ref().unwrap());
    }
    SignRequest {
        scheme: content.scheme(),
        expiry: content.expiry(),
        extended,
        ..SignRequest::new(content.payload().clone(), content.signing_time())
    }
}

#[test]
fn signed_bytes_have_the_form_notation_writes() {
    for name in envelopes("valid") {
        let envelope = decode(&format!("valid/{name}"));
        let content = envelope.unverified_content().unwrap();
        let request = request_of(&content);
        let to_sign = ToSign::new(&request, content.algorithm().key_spec()).unwrap();
        let bytes = match envelope.format() {
            EnvelopeFormat::Jws => jws::Unsigned::new(&to_sign).to_be_signed(),
            EnvelopeFormat::Cose => cose::Unsigned::new(&to_sign).unwrap().to_be_signed(),
        };
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            String::from_utf8_lossy(&envelope.parts.to_be_signed),
            "{name}"
        );
        assert_eq!(bytes, envelope.parts.to_be_signed, "{name}");
    }
}

#[test]
fn assembled_envelopes_have_the_form_notation_writes() {
    for name in envelopes("valid") {
        let envelope = decode(&format!("valid/{name}"));
        let content = envelope.unverified_content().unwrap();
        let request = request_of(&content);
        let to_sign = ToSign::new(&request, content.algorithm().key_spec()).unwrap();
        let certificates: Vec<&[u8]> =
            content.certificates().iter().map(Certificate::der).collect();
        let agent = envelope.signing_agent();
        let bytes = match envelope.format() {
            EnvelopeFormat::Jws => {
                jws::Unsigned::new(&to_sign).finish(content.signature(), &certificates, agent)
            }
            EnvelopeFormat::Cose => cose::Unsigned::new(&to_sign)
                .unwrap()
                .finish(content.signature(), &certificates, agent)
                .unwrap(),
        };
        assert!(bytes == envelope.bytes(), "{name}");
    }
}

#[test]
fn times_have_to_fit() {
    let refused = |change: fn(&mut SignRequest)| {
        let mut request = request();
        change(&mut request);
        sign(EnvelopeFormat::Jws, &request, &signer("ec256")).unwrap_err()
    };
    assert!(matches!(
        refused(|request| request.expiry = Some(time("2026-06-01T01:02:03Z"))),
        SignError::Expiry { .. }
    ));
    for moment in ["2025-12-31T23:59:59Z", "2046-01-01T00:00:01Z"] {
        let mut request = request();
        request.signing_time = time(moment);
        request.expiry = None;
        assert!(matches!(
            sign(EnvelopeFormat::Cose, &request, &signer("ec256")),
            Err(SignError::Chain(ChainError::NotValidAt { .. }))
        ));
    }
}

#[test]
fn attributes_of_the_specification_are_not_extended_ones() {
    for name in ["alg", "CRIT", "io.cncf.notary.expiry", "io.cncf.notary.signingTime"] {
        let mut request = request();
        request.extended = vec![ExtendedAttribute {
            key: AttributeKey::Text(name.to_owned()),
            value: AttributeValue::Json(1.into()),
            criticality: Criticality::NonCritical,
        }];
        assert!(matches!(
            sign(EnvelopeFormat::Jws, &request, &signer("ec256")),
            Err(SignError::ExtendedAttribute { .. })
        ));
    }
}

/// A signer that does something wrong.
struct Wrong {
    announced: KeySpec,
    inner: LocalSigner,
    damage: fn(&mut RawSignature),
}

impl Signer for Wrong {
    fn key_spec(&self) -> KeySpec {
        self.announced
    }

    fn sign(&self, to_be_signed: &[u8]) -> Result<RawSignature, SignerError> {
        let mut signed = self.inner.sign(to_be_signed)?;
        (self.damage)(&mut signed);
        Ok(signed)
    }
}

#[test]
fn what_a_signer_returns_is_verified() {
    let wrong = |announced, damage| {
        let signer = Wrong { announced, inner: signer("ec256"), damage };
        FORMATS.map(|format| sign(format, &request(), &signer).unwrap_err())
    };
    for error in wrong(KeySpec::EcP384, |_| {}) {
        assert!(matches!(error, SignError::KeySpec { announced: KeySpec::EcP384, .. }));
    }
    for error in wrong(KeySpec::EcP256, |signed| signed.signature[0] ^= 1) {
        assert!(matches!(
            error,
            SignError::OwnResult(EnvelopeError::Signature(CryptoError::BadSignature))
        ));
    }
    for error in wrong(KeySpec::EcP256, |signed| signed.certificate_chain.truncate(1)) {
        assert!(matches!(error, SignError::Chain(ChainError::SingleNotSelfSigned { .. })));
    }
    for error in wrong(KeySpec::EcP256, |signed| signed.certificate_chain.reverse()) {
        assert!(matches!(error, SignError::Chain(_)));
    }
}

#[test]
fn envelopes_of_plugins_sign_what_was_asked() {
    let asked = request();
    let generated = |metadata: &[(&str, &str)], time_text: &str| {
        let pairs = metadata.iter().map(|(key, value)| ((*key).into(), (*value).into()));
        let payload = Payload::new(&target(), pairs.collect()).unwrap();
        SignRequest::new(payload, time(time_text))
    };
    let check = |request: &SignRequest| {
        let (bytes, _) = sign(EnvelopeFormat::Cose, request, &signer("ec256")).unwrap();
        check_generated(EnvelopeFormat::Cose, &bytes, &asked.payload, STRICT).map(drop)
    };
    let build = ("build", "42 <&> é");
    check(&generated(&[build], "2026-06-01T00:00:00Z")).unwrap();
    check(&generated(&[build, ("more", "x")], "2026-06-01T00:00:00Z")).unwrap();
    for metadata in [&[][..], &[("build", "43")]] {
        assert!(matches!(
            check(&generated(metadata, "2026-06-01T00:00:00Z")),
            Err(SignError::OtherPayload)
        ));
    }
    let other = Payload::new(
        &crate::image::descriptor::Descriptor::of(
            "a/b",
            crate::image::digest::Algorithm::Sha256,
            b"",
        ),
        BTreeMap::new(),
    );
    let bytes =
        sign(EnvelopeFormat::Jws, &generated(&[], "2026-06-01T00:00:00Z"), &signer("ec256"));
    assert!(matches!(
        check_generated(EnvelopeFormat::Jws, &bytes.unwrap().0, &other.unwrap(), STRICT),
        Err(SignError::OtherPayload)
    ));
    let with_more = format!(
        r#"{{"targetArtifact":{{"mediaType":"a/b","digest":"{}","size":1,"urls":[]}}}}"#,
        target().digest
    );
    Payload::from_json(with_more.as_bytes()).unwrap();
    Payload::refuse_unknown_members(with_more.as_bytes()).unwrap_err();
}
