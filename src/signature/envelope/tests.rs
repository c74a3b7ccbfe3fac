//! The vectors of the reference, property tests, round trips.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::image::descriptor::Descriptor;
use crate::signature::algorithm::KeySpec;

const STRICT: CertificateRules = CertificateRules::Strict;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/notation")
}

pub(super) fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let path = testdata().join(path);
    crate::fsutil::read_bounded(&path, 1 << 20).unwrap_or_else(|e| panic!("{e}"))
}

/// Names of the envelopes in a directory of the test data.
pub(super) fn envelopes(directory: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(testdata().join(directory))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".sig"))
        .collect();
    names.sort();
    names
}

/// What all vectors sign.
pub(super) fn target() -> Descriptor {
    Descriptor::new(
        "application/vnd.oci.image.manifest.v1+json",
        "sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707".parse().unwrap(),
        247,
    )
}

pub(super) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The complete verifier but for trust, time and policy.
fn verdict(bytes: &[u8], format: EnvelopeFormat) -> Result<SignedContent, String> {
    let envelope = Envelope::decode(bytes, format).map_err(|e| e.to_string())?;
    let content = envelope.verify_integrity(STRICT).map_err(|e| e.to_string())?;
    if content.verification_plugin().is_some() {
        return Err("verification plugin is not available".to_owned());
    }
    Ok(content)
}

#[test]
fn valid_vectors_have_the_right_attributes() {
    let names = envelopes("valid");
    assert_eq!(names.len(), 68);
    for name in names {
        let format = EnvelopeFormat::from_file_name(&name).unwrap();
        let envelope = Envelope::decode(&read(format!("valid/{name}")), format).unwrap();
        let content = match envelope.verify_integrity(STRICT) {
            Ok(content) => {
                assert!(!name.contains("critext"), "{name}");
                content
            }
            // Nobody processes the critical attribute of these.
            Err(EnvelopeError::UnprocessedCritical { name: attribute }) => {
                assert!(name.contains("critext"), "{name}");
                assert_eq!(attribute.as_text(), Some("example.crit"));
                envelope.verify_signature(STRICT).unwrap()
            }
            Err(error) => panic!("{name}: {error}"),
        };
        check_attributes(&name, &content);
    }
}

fn check_attributes(name: &str, content: &SignedContent) {
    assert!(content.payload().target().same_content(&target()), "{name}");
    assert_eq!(content.signing_time(), time("2026-06-01T01:02:03Z"), "{name}");
    let authority = name.contains(".sa");
    let scheme = if authority { SigningScheme::SigningAuthority } else { SigningScheme::X509 };
    assert_eq!(content.scheme(), scheme, "{name}");
    assert_eq!(content.authentic_signing_time().is_some(), authority, "{name}");
    let key = name.split('.').next().unwrap();
    let spec = match key {
        "rsa2048" => KeySpec::Rsa2048,
        "rsa3072" => KeySpec::Rsa3072,
        "rsa4096" => KeySpec::Rsa4096,
        "ec256" => KeySpec::EcP256,
        "ec384" => KeySpec::EcP384,
        _ => KeySpec::EcP521,
    };
    assert_eq!(content.algorithm().key_spec(), spec, "{name}");
    assert_eq!(content.chain().certificates().len(), 3, "{name}");
    let expected = format!("CN=leaf-{key},O=Notary,L=Seattle,ST=WA,C=US");
    assert_eq!(content.chain().leaf().subject().to_string(), expected, "{name}");
    println!(
        "{name}: expiry {:?} ext {:?} plugin {:?} annotations {:?}",
        content.expiry(),
        content.extended_attributes(),
        content.verification_plugin(),
        content.payload().annotations(),
    );
}

#[test]
fn mutated_vectors_get_the_recommended_verdict() {
    let verdicts: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_slice(&read("verdicts.json")).unwrap();
    assert_eq!(verdicts.len(), 146);
    let mut wrong = Vec::new();
    for (name, expected) in &verdicts {
        let bytes = read(format!("mutated/{name}.sig"));
        let format = EnvelopeFormat::from_file_name(&format!("{name}.sig")).unwrap();
        let verdict = verdict(&bytes, format);
        println!("{name}: {}", verdict.as_ref().map_or_else(String::as_str, |_| "accepted"));
        if verdict.is_ok() != (expected["dockseal"] == "accept") {
            wrong.push(format!("{name}: {verdict:?}"));
        }
        // The verdicts are about the envelope alone. What it signs is the known image in all
        // accepted ones, but for the one about the number itself.
        if let Ok(content) = verdict {
            let matches = content.payload().target().same_content(&target());
            assert_eq!(matches, name != "a7-big-size.jws", "{name}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

const PLAIN: [&str; 2] = ["valid/ec256.x509.jws.sig", "valid/ec256.x509.cose.sig"];

pub(super) fn decode(name: &str) -> Envelope {
    Envelope::decode(&read(name), EnvelopeFormat::from_file_name(name).unwrap()).unwrap()
}

/// Every key's envelopes in both formats.
fn envelopes_of_all_keys() -> impl Iterator<Item = String> {
    ["rsa2048", "rsa3072", "rsa4096", "ec256", "ec384", "ec521"]
        .into_iter()
        .flat_map(|key| ["jws", "cose"].map(|format| format!("valid/{key}.x509.{format}.sig")))
}

/// Positions of everything that is signed, and of the signature.
fn signed_positions(bytes: &[u8], envelope: &Envelope) -> Vec<usize> {
    let find = |part: &[u8]| {
        let start = bytes.windows(part.len()).position(|window| window == part).unwrap();
        start..start + part.len()
    };
    if envelope.format() == EnvelopeFormat::Jws {
        let wire: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        let parts = ["payload", "protected", "signature"];
        return parts.iter().flat_map(|it| find(wire[it].as_str().unwrap().as_bytes())).collect();
    }
    // The protected header follows the tag, the array head and its own two-byte head.
    let unprotected = bytes.windows(3).position(|window| window == [0xa2, 0x18, 33]).unwrap();
    let parts = [&envelope.parts.payload, &envelope.parts.signature];
    (4..unprotected).chain(parts.iter().flat_map(|part| find(part))).collect()
}

#[test]
fn every_flipped_bit_of_the_signed_parts_is_refused() {
    for name in envelopes_of_all_keys() {
        let (bytes, envelope) = (read(&name), decode(&name));
        verdict(&bytes, envelope.format()).unwrap();
        let signed = signed_positions(&bytes, &envelope);
        assert!(signed.len() > 350, "{name}: {}", signed.len());
        for at in signed {
            // Every bit of every byte for one key, of the others a bit of every byte.
            let bits = if PLAIN.contains(&name.as_str()) { 0..8 } else { at % 8..at % 8 + 1 };
            for bit in bits {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert!(verdict(&damaged, envelope.format()).is_err(), "{name}: {at} bit {bit}");
            }
        }
    }
}

/// No part of one valid envelope fits another one: neither what is signed, nor the chain, nor the
/// signature. All pairs of one format, also those of one key that differ in attributes only.
#[test]
fn no_part_of_another_valid_envelope_fits() {
    let others = ["x509-ext", "sa"].map(|it| format!("valid/ec256.{it}"));
    let names: Vec<String> = envelopes_of_all_keys()
        .chain(others.iter().flat_map(|it| ["jws", "cose"].map(|f| format!("{it}.{f}.sig"))))
        .collect();
    let mut tried = 0;
    for (a, b) in names.iter().flat_map(|a| names.iter().map(move |b| (a, b))) {
        let (first, second) = (decode(a), decode(b));
        if first.format() != second.format() {
            continue;
        }
        let is_same_key = a.split('.').next() == b.split('.').next();
        let swaps: [fn(&mut Parts, &Parts); 3] = [
            |parts, other| parts.signature.clone_from(&other.signature),
            |parts, other| parts.to_be_signed.clone_from(&other.to_be_signed),
            |parts, other| parts.certificates.clone_from(&other.certificates),
        ];
        for (number, swap) in swaps.iter().enumerate() {
            let mut mixed = first.clone();
            swap(&mut mixed.parts, &second.parts);
            let accepted = mixed.verify_integrity(STRICT).is_ok();
            // One key has one chain.
            let is_same = a == b || (number == 2 && is_same_key);
            assert_eq!(accepted, is_same, "{a} with part {number} of {b}");
            tried += 1;
        }
    }
    assert_eq!(tried, 2 * 8 * 8 * 3);
}

proptest::proptest! {
    /// A change anywhere is refused, or changes nothing that is signed.
    #[test]
    fn flipped_bits_never_change_what_is_signed(format in 0usize..2, at: usize, bit in 0u8..8) {
        let mut bytes = read(PLAIN[format]);
        let original = decode(PLAIN[format]).verify_integrity(STRICT).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(content) = Envelope::decode_any(&bytes).and_then(|e| e.verify_integrity(STRICT)) {
            assert_eq!(content.payload, original.payload);
            assert_eq!(content.attributes, original.attributes);
            assert_eq!(content.signature, original.signature);
            assert_eq!(content.certificates[0], original.certificates[0]);
        }
    }

    #[test]
    fn no_input_panics(format in 0usize..2, cut: usize, noise: Vec<u8>) {
        let mut bytes = read(PLAIN[format]);
        bytes.truncate(cut % bytes.len());
        bytes.extend_from_slice(&noise);
        let _ = Envelope::decode_any(&bytes).and_then(|e| e.verify_integrity(STRICT));
        let _ = Envelope::decode_any(&noise);
    }
}

#[test]
fn parts_of_two_valid_envelopes_do_not_mix() {
    // Same key, other attributes: every part on its own is genuine.
    let names = ["valid/ec256.x509.jws.sig", "valid/ec256.x509-ext.jws.sig"];
    let wires = names.map(|name| -> serde_json::Map<String, serde_json::Value> {
        serde_json::from_slice(&read(name)).unwrap()
    });
    for member in ["protected", "signature"] {
        let mut mixed = wires[0].clone();
        mixed[member] = wires[1][member].clone();
        let bytes = serde_json::to_vec(&mixed).unwrap();
        assert!(verdict(&bytes, EnvelopeFormat::Jws).is_err(), "{member}");
    }
    // Another signer's chain, a payload of another key's envelope.
    let other: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&read("valid/ec384.x509.jws.sig")).unwrap();
    for member in ["header", "protected", "signature"] {
        let mut mixed = wires[0].clone();
        mixed[member] = other[member].clone();
        let bytes = serde_json::to_vec(&mixed).unwrap();
        assert!(verdict(&bytes, EnvelopeFormat::Jws).is_err(), "{member}");
    }
    let stamped: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&read("valid/ts/blob.txt.jws.sig")).unwrap();
    let mut mixed = wires[0].clone();
    mixed["payload"] = stamped["payload"].clone();
    let bytes = serde_json::to_vec(&mixed).unwrap();
    assert!(verdict(&bytes, EnvelopeFormat::Jws).is_err());
}

#[test]
fn n23_format_and_content_have_to_agree() {
    for (name, format) in [(PLAIN[0], EnvelopeFormat::Cose), (PLAIN[1], EnvelopeFormat::Jws)] {
        assert!(matches!(
            Envelope::decode(&read(name), format),
            Err(EnvelopeError::FormatMismatch { declared }) if declared == format
        ));
    }
    assert!(matches!(Envelope::decode_any(b""), Err(EnvelopeError::UnknownFormat)));
    assert!(matches!(Envelope::decode_any(b"eyJ"), Err(EnvelopeError::UnknownFormat)));
    let table = [
        ("x.jws.sig", Some(EnvelopeFormat::Jws)),
        ("a.b.COSE.SIG", Some(EnvelopeFormat::Cose)),
        ("jws.sig", None),
        ("x.sig", None),
        ("x.jws", None),
        ("", None),
    ];
    for (name, format) in table {
        assert_eq!(EnvelopeFormat::from_file_name(name), format, "{name}");
    }
}

#[test]
fn s11_envelopes_larger_than_the_limit_are_refused() {
    let bytes = vec![b'{'; MAX_ENVELOPE_BYTES + 1];
    assert!(matches!(Envelope::decode_any(&bytes), Err(EnvelopeError::TooLarge { .. })));
    let deep = [&b"{\"payload\":"[..], &vec![b'['; 100_000]].concat();
    assert!(matches!(Envelope::decode_any(&deep), Err(EnvelopeError::Json { .. })));
}

#[test]
fn n01_a_plugin_settles_critical_attributes() {
    let content = decode("valid/ec256.x509-critext.jws.sig").verify_signature(STRICT).unwrap();
    content.require_processed(&[]).unwrap_err();
    content.require_processed(&["other"]).unwrap_err();
    content.require_processed(&["other", "example.crit"]).unwrap();
}

#[test]
fn a_timestamp_token_changes_nothing_else() {
    for name in PLAIN {
        let envelope = decode(name);
        let first = envelope.with_timestamp_token(b"token").unwrap();
        let second = decode_again(&envelope, &first).with_timestamp_token(b"other").unwrap();
        let stamped = decode_again(&envelope, &second);
        assert_eq!(stamped.timestamp_token(), Some(&b"other"[..]));
        assert_eq!(stamped.parts.to_be_signed, envelope.parts.to_be_signed);
        stamped.verify_integrity(STRICT).unwrap();
    }
    let authority = decode("valid/ec256.sa.jws.sig").with_timestamp_token(b"token");
    assert!(matches!(authority, Err(EnvelopeError::TimestampNotAllowed { .. })));
}

fn decode_again(like: &Envelope, bytes: &[u8]) -> Envelope {
    Envelope::decode(bytes, like.format()).unwrap()
}

#[test]
fn degenerate_signatures_are_refused() {
    // r or s zero, or the order of the curve: values some implementations let through.
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&order[2 * at..2 * at + 2], 16).unwrap()).collect();
    let one = [&[0; 31][..], &[1]].concat();
    let zero = vec![0; 32];
    let mut envelope = decode(PLAIN[0]);
    for (r, s) in [(&zero, &zero), (&zero, &one), (&one, &zero), (&order, &one), (&one, &order)] {
        envelope.parts.signature = [&r[..], s].concat();
        assert!(matches!(envelope.verify_integrity(STRICT), Err(EnvelopeError::Signature(_))));
    }
    for key in ["rsa2048", "rsa3072", "rsa4096", "ec384", "ec521"] {
        let mut envelope = decode(&format!("valid/{key}.x509.cose.sig"));
        envelope.parts.signature.fill(0);
        assert!(matches!(envelope.verify_integrity(STRICT), Err(EnvelopeError::Signature(_))));
        envelope.parts.signature.clear();
        assert!(matches!(envelope.verify_integrity(STRICT), Err(EnvelopeError::Signature(_))));
    }
}

/// Not a test of correctness: how long one verification takes, by key type. Run it in release mode.
#[test]
#[ignore = "a measurement"]
fn measure_verifications_per_second() {
    for key in ["rsa2048", "rsa3072", "rsa4096", "ec256", "ec384", "ec521"] {
        for format in ["jws", "cose"] {
            let bytes = read(format!("valid/{key}.x509.{format}.sig"));
            let start = std::time::Instant::now();
            let rounds = 500u32;
            for _ in 0..rounds {
                Envelope::decode_any(&bytes).unwrap().verify_integrity(STRICT).unwrap();
            }
            println!("{key} {format}: {:?} each", start.elapsed() / rounds);
        }
    }
}

#[test]
fn critical_entries_say_what_is_wrong_with_them() {
    use AttributeProblem::{CriticalButAbsent, CriticalTwice, MustNotBeCritical, NotCritical};
    let table = [
        ("09-crit-missing-scheme.jws", NotCritical),
        ("10-crit-names-absent.jws", CriticalButAbsent),
        ("11-crit-dup.jws", CriticalTwice),
        ("12-crit-alg.jws", MustNotBeCritical),
        ("14-crit-signingTime.jws", MustNotBeCritical),
        ("20-expiry-notcrit.jws", NotCritical),
        ("23-crit-missing-scheme.cose", NotCritical),
        ("27-crit-dup.cose", CriticalTwice),
        ("40-expiry-notcrit.cose", NotCritical),
    ];
    for (name, expected) in table {
        let error = decode(&format!("mutated/{name}.sig")).verify_integrity(STRICT).unwrap_err();
        assert!(
            matches!(&error, EnvelopeError::Attribute { problem, .. } if *problem == expected),
            "{name}: {error}"
        );
    }
}
