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

fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let path = testdata().join(path);
    crate::fsutil::read_bounded(&path, 1 << 20).unwrap_or_else(|e| panic!("{e}"))
}

/// Names of the envelopes in a directory of the test data.
fn envelopes(directory: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(testdata().join(directory))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".sig"))
        .collect();
    names.sort();
    names
}

/// What all vectors sign.
fn target() -> Descriptor {
    Descriptor::new(
        "application/vnd.oci.image.manifest.v1+json",
        "sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707".parse().unwrap(),
        247,
    )
}

fn time(text: &str) -> Timestamp {
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
