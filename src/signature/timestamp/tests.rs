//! Tokens of OpenSSL, tokens inside the reference's envelopes, and tokens with one defect.

use der::asn1::ObjectIdentifier;
use jiff::{SignedDuration, Timestamp};

use super::testing::{Token, reference_to, reference_with, to_ber};
use super::*;
use crate::image::digest::Algorithm as HashAlgorithm;
use crate::signature::envelope::Envelope;
use crate::signature::x509::der_write::{self as write, Critical};
use crate::signature::x509::testing::*;
use crate::signature::x509::{Certificate, CertificateRules, ChainError, certificates_from_bytes};
use crate::signature::{crypto, oid};

macro_rules! testdata {
    ($path:literal) => {
        include_bytes!(concat!("../../../testdata/", $path))
    };
}

pub(super) const STRICT: CertificateRules = CertificateRules::Strict;
/// The envelope in a layout of the reference: its leaf has expired since it was stamped.
const EXPIRED_LEAF: &[u8] = testdata!(
    "notation/lt/blobs/sha256/b4d9a9d16280438ef5ce653ef323a575705e1b1f9fa7947c70f2df5c3fcddcb7"
);
pub(super) const MESSAGE: &[u8] = testdata!("timestamp/message");

fn root() -> Vec<Certificate> {
    certificates_from_bytes(testdata!("timestamp/root.crt")).unwrap()
}

fn token_of(response: &[u8]) -> Vec<u8> {
    Response::from_der(response).unwrap().token_about(MESSAGE).unwrap().to_vec()
}

#[test]
fn tokens_of_openssl() {
    let table: [(&[u8], &str, usize); 2] = [
        (testdata!("timestamp/rsa.tsr"), "CN=rsa,O=N,ST=WA,C=US", 3),
        (testdata!("timestamp/ec.tsr"), "CN=ec,O=N,ST=WA,C=US", 2),
    ];
    for (response, subject, length) in table {
        let token = token_of(response);
        let timestamp = verify(&token, MESSAGE, &root(), STRICT).unwrap();
        assert_eq!(timestamp.chain().leaf().subject().to_string(), subject);
        assert_eq!(timestamp.chain().certificates().len(), length);
        assert_eq!(timestamp.accuracy(), SignedDuration::from_micros(1_500_100));
        assert_eq!(timestamp.latest() - timestamp.generated(), timestamp.accuracy());
        assert_eq!(timestamp.generated() - timestamp.earliest(), timestamp.accuracy());
        assert_eq!(
            verify(&token, b"another signature", &root(), STRICT).unwrap_err(),
            TimestampError::ImprintMismatch
        );
        let others = certificates_from_bytes(testdata!("notation/valid/ts/root.crt")).unwrap();
        for roots in [&others[..], &[]] {
            assert!(matches!(
                verify(&token, MESSAGE, roots, STRICT),
                Err(TimestampError::Untrusted { .. })
            ));
        }
    }
}

#[test]
fn tokens_without_a_usable_reference_or_certificate_are_refused() {
    assert!(matches!(
        verify(&token_of(testdata!("timestamp/v1.tsr")), MESSAGE, &root(), STRICT),
        Err(TimestampError::Invalid { part: "signing certificate attribute", what: "is missing" })
    ));
    assert!(matches!(
        verify(&token_of(testdata!("timestamp/nocert.tsr")), MESSAGE, &root(), STRICT),
        Err(TimestampError::NoSigningCertificate)
    ));
}

#[test]
fn refusals_say_why() {
    let refused = Response::from_der(testdata!("timestamp/refused.tsr")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "timestamping authority answered with status 2: Message digest algorithm is not supported."
    );
}

#[test]
fn timestamps_of_the_reference() {
    let roots = certificates_from_bytes(testdata!("notation/valid/ts/root.crt")).unwrap();
    let table: [(&[u8], &str); 3] = [
        (testdata!("notation/valid/ts/blob.txt.jws.sig"), "2026-11-22T06:20:3"),
        (testdata!("notation/valid/ts/blob.txt.cose.sig"), "2026-11-22T06:20:3"),
        (EXPIRED_LEAF, "2026-11-22T06:19:57Z"),
    ];
    for (bytes, generated) in table {
        let envelope = Envelope::decode_any(bytes).unwrap();
        let content = envelope.verify_integrity(STRICT).unwrap();
        let token = envelope.timestamp_token().unwrap();
        let timestamp = verify(token, content.signature(), &roots, STRICT).unwrap();
        assert!(timestamp.generated().to_string().starts_with(generated));
        assert_eq!(timestamp.accuracy(), SignedDuration::from_secs(1));
        content.chain().check_validity(timestamp.earliest(), timestamp.latest()).unwrap();
        // The payload, or the token of another signature, is not what was stamped.
        verify(token, b"payload", &roots, STRICT).unwrap_err();
        let (certificates, ..) = token_certificates(token).unwrap();
        assert_eq!(certificates.len(), 2);
    }
    let response = Response::from_der(testdata!("notation/valid/ts/last.tsr")).unwrap();
    let cose = Envelope::decode_any(testdata!("notation/valid/ts/blob.txt.cose.sig")).unwrap();
    let jws = Envelope::decode_any(testdata!("notation/valid/ts/blob.txt.jws.sig")).unwrap();
    let stamped = [cose, jws]
        .iter()
        .filter(|envelope| response.token_about(envelope.signature()).is_ok())
        .count();
    assert_eq!(stamped, 1);
}

#[test]
fn requests_have_the_form_notation_sends() {
    // last.tsq of the reference: version 1, SHA-256 with NULL, 20-byte nonce, certReq TRUE.
    let theirs = testdata!("notation/valid/ts/last.tsq");
    let ours = Request::new(b"signature", HashAlgorithm::Sha256).unwrap();
    let skeleton = |der: &[u8]| der[..22].to_vec();
    assert_eq!(skeleton(&theirs[2..]), skeleton(&ours.der()[2..]));
    assert_eq!(ours.der()[ours.der().len() - 3..], [0x01, 0x01, 0xff]);
    assert_ne!(ours, Request::new(b"signature", HashAlgorithm::Sha256).unwrap());
}

/// The error of a token with one thing changed.
fn error_of(change: impl FnOnce(&mut Token)) -> TimestampError {
    let mut token = Token::new();
    change(&mut token);
    token.verdict().unwrap_err()
}

#[test]
fn every_defect_of_a_token_has_its_error() {
    Token::new().verdict().unwrap();
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    assert_eq!(error_of(|t| t.message = b"payload".to_vec()), TimestampError::ImprintMismatch);
    assert_eq!(error_of(|t| t.digest = Some(vec![0; 32])), TimestampError::DigestMismatch);
    assert_eq!(error_of(|t| t.signers = 0), TimestampError::NoSigner);
    assert_eq!(
        error_of(|t| t.certificates = Some(Vec::new())),
        TimestampError::NoSigningCertificate
    );
    assert!(matches!(error_of(|t| t.content_type = oid::SHA256), TimestampError::Invalid { .. }));
    assert!(matches!(
        error_of(|t| t.reference = Some(Vec::new())),
        TimestampError::Invalid { part: "signing certificate attribute", .. }
    ));
    assert_eq!(
        error_of(|t| t.signer = Party::p256("imposter")),
        TimestampError::Signature(crypto::CryptoError::BadSignature)
    );
    let chain = |error| match error {
        TimestampError::Chain(error) => error,
        other => panic!("{other}"),
    };
    let usages = |purposes: &[ObjectIdentifier], critical| {
        chain(error_of(|t| {
            t.leaf = Template::of(&t.signer)
                .key_usage(DIGITAL_SIGNATURE, Critical::Yes)
                .extended_key_usage(purposes, critical);
        }))
    };
    assert!(matches!(
        usages(&[oid::EKU_TIME_STAMPING], Critical::No),
        ChainError::ExtendedKeyUsageNotCritical { .. }
    ));
    assert!(matches!(
        usages(&[oid::EKU_TIME_STAMPING, oid::EKU_CODE_SIGNING], Critical::Yes),
        ChainError::NotForTimestampingOnly { .. }
    ));
    for (generated, moment) in
        [("20251231235959Z", "2025-12-31T23:59:59Z"), ("20460101000001Z", "2046-01-01T00:00:01Z")]
    {
        let error = chain(error_of(|t| t.generated = generated));
        let expected = time(moment);
        assert!(matches!(error, ChainError::NotValidAt { moment, .. } if moment == expected));
    }
    let unknown = ObjectIdentifier::new_unwrap("1.2.3.4");
    assert!(matches!(
        chain(error_of(|t| {
            t.leaf = t.leaf.clone().extension(unknown, Critical::Yes, &write::null());
        })),
        ChainError::UnhandledCriticalExtension { .. }
    ));
}

#[test]
fn purposes_of_certificate_authorities_narrow_downwards() {
    let verdict = |purposes: &[ObjectIdentifier]| {
        let token = Token::new();
        let root = Template::authority(&token.authority)
            .extended_key_usage(purposes, Critical::No)
            .signed_by(&token.authority);
        verify(&token.build(), MESSAGE, &[root], STRICT)
    };
    verdict(&[oid::EKU_CODE_SIGNING, oid::EKU_TIME_STAMPING]).unwrap();
    verdict(&[oid::EKU_ANY]).unwrap();
    assert!(matches!(
        verdict(&[oid::EKU_CODE_SIGNING]),
        Err(TimestampError::Chain(ChainError::CaNotForTimestamping { .. }))
    ));
}

#[test]
fn signers_are_named_by_key_identifier_or_signed_reference() {
    let mut token = Token::new();
    let identifier = write::octet_string(b"key id");
    token.leaf =
        token.leaf.clone().extension(oid::SUBJECT_KEY_IDENTIFIER, Critical::No, &identifier);
    for (identifier, found) in [(&b"key id"[..], true), (b"another", false)] {
        token.identifier = Some(write::tlv(0x80, identifier));
        assert_eq!(token.verdict().is_ok(), found);
    }
    // The signed reference goes before the identifier, which is not signed.
    let leaf = token.leaf.der(&token.authority);
    let issuer = write::sequence(&[&write::explicit(4, &token.authority.name)]);
    for (serial, found) in [(token.leaf.serial, true), (99, false)] {
        let issuer_serial = write::sequence(&[&issuer, &write::unsigned(&[serial])]);
        token.reference = Some(reference_with(&leaf, &issuer_serial));
        token.certificates = Some(vec![leaf.clone()]);
        assert_eq!(token.verdict().is_ok(), found);
    }
}

#[test]
fn one_good_signer_is_enough() {
    let mut token = Token::new();
    token.signers = 3;
    token.verdict().unwrap();
}

#[test]
fn chains_are_built_over_intermediates_in_any_order() {
    let root = Party::p256("tsaroot");
    let middle = Party::p256("middle");
    let mut token = Token::new();
    let intermediate = Template::authority(&middle);
    let root_certificate = Template::authority(&root).signed_by(&root);
    // The authority that issues the leaf is the intermediate one.
    token.authority = middle;
    let leaf = token.leaf.der(&token.authority);
    let intermediate_der = intermediate.der(&root);
    let stray = Template::authority(&Party::p256("stray")).der(&root);
    token.certificates =
        Some(vec![stray, root_certificate.der().to_vec(), intermediate_der, leaf.clone()]);
    // ECDSA signatures differ each time: the reference has to be to this very leaf.
    token.reference = Some(reference_to(&leaf));
    let der = token.build();
    let timestamp = verify(&der, MESSAGE, std::slice::from_ref(&root_certificate), STRICT).unwrap();
    assert_eq!(timestamp.chain().certificates().len(), 3);
    token.certificates = Some(vec![leaf]);
    assert!(matches!(
        verify(&token.build(), MESSAGE, &[root_certificate], STRICT),
        Err(TimestampError::Untrusted { .. })
    ));
}

#[test]
fn s11_many_certificates_of_one_name_do_not_explode() {
    let mut token = Token::new();
    let leaf = token.leaf.der(&token.authority);
    let twins = (100..128u8).map(|serial| {
        // Each could be issued by each other.
        let twin = Party { name: token.authority.name.clone(), key: Party::p256("x").key };
        Template { serial, ..Template::authority(&twin) }.der(&twin)
    });
    token.certificates = Some(twins.chain([leaf.clone()]).collect());
    token.reference = Some(reference_to(&leaf));
    let started = std::time::Instant::now();
    assert!(matches!(
        verify(&token.build(), MESSAGE, &[], STRICT),
        Err(TimestampError::Untrusted { .. })
    ));
    assert!(started.elapsed() < std::time::Duration::from_secs(20));
    token.certificates = Some(vec![leaf; 31]);
    assert!(matches!(token.verdict(), Err(TimestampError::Invalid { .. })));
}

#[test]
fn responses_answer_their_request_only() {
    let request = Request::new(MESSAGE, HashAlgorithm::Sha256).unwrap();
    let other = Request::new(b"other", HashAlgorithm::Sha256).unwrap();
    let with_status = |status: u8, token: &Token| {
        let status = write::sequence(&[&write::unsigned(&[status])]);
        Response::from_der(&write::sequence(&[&status, &token.build()]))
    };
    // Granted, and granted with modifications.
    let response = |token: &Token| with_status(0, token).unwrap();
    with_status(1, &Token::new()).unwrap();
    assert!(matches!(
        with_status(2, &Token::new()),
        Err(TimestampError::Refused { status: 2, .. })
    ));
    let mut token = Token::new();
    assert_eq!(response(&token).token_for(&request), Err(TimestampError::NonceMismatch));
    assert_eq!(response(&token).token_for(&other), Err(TimestampError::ImprintMismatch));
    // The nonce is the INTEGER before the last three bytes.
    let der = request.der();
    token.nonce = der[der.len() - 23..der.len() - 3].to_vec();
    response(&token).token_for(&request).unwrap();
}

#[test]
fn ber_encoding_is_tolerated() {
    let token = token_of(testdata!("timestamp/rsa.tsr"));
    let ber = to_ber(&token);
    assert_ne!(ber, token);
    verify(&ber, MESSAGE, &root(), STRICT).unwrap();
}

#[test]
fn s11_tokens_larger_than_the_limit_are_refused() {
    let large = vec![0x30; MAX_TOKEN_BYTES + 1];
    assert!(matches!(verify(&large, MESSAGE, &[], STRICT), Err(TimestampError::TooLarge { .. })));
}

proptest::proptest! {
    #[test]
    fn damaged_tokens_never_panic_or_prove_anything_else(at: usize, bit in 0u8..8, cut: usize) {
        let mut token = token_of(testdata!("timestamp/ec.tsr"));
        let original = verify(&token, MESSAGE, &root(), STRICT).unwrap();
        let at = at % token.len();
        token[at] ^= 1 << bit;
        if let Ok(timestamp) = verify(&token, MESSAGE, &root(), STRICT) {
            assert_eq!(timestamp.generated(), original.generated());
            assert_eq!(timestamp.accuracy(), original.accuracy());
        }
        token.truncate(cut % token.len());
        let _ = verify(&token, MESSAGE, &root(), STRICT);
        let _ = Response::from_der(&token);
    }
}
