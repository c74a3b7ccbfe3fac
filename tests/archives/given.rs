//! An image against a manifest that is carried along: the chain manifest, config, DiffIDs, layers.

use std::io::Cursor;

use dockseal::content::archive::Source;
use dockseal::generate::{
    self, BoundBy, Content, GenerateError, Generated, GivenManifest, Note, Options,
};
use dockseal::image::digest::Digest;
use serde_json::{Value, json};

use crate::build::{
    Members, blob_name, config, containerd, descriptor, docker, docker_of, graph, gzip, layers,
    oci, oci_manifest,
};
use crate::fixtures::Case;
use crate::{MALFORMED, MISMATCH, UNAVAILABLE, Way, exit_code, options};

fn against(
    archive: Source,
    documents: &[&[u8]],
    options: &Options,
) -> Result<Generated, GenerateError> {
    let (target, below) = documents.split_first().unwrap();
    let below = below.iter().map(|document| (*document).into());
    let given = GivenManifest::new(target.to_vec(), below).unwrap();
    generate::against(archive, &given, options, &())
}

fn check(members: &Members, documents: &[&str]) -> Result<Generated, GenerateError> {
    let documents: Vec<&[u8]> = documents.iter().map(|document| document.as_bytes()).collect();
    let archive = Source::Spooled(Box::new(Cursor::new(members.tar())));
    against(archive, &documents, &options())
}

#[track_caller]
fn assert_refused(members: &Members, documents: &[&str], code: u8, message: &str) {
    let error = check(members, documents).expect_err("must be refused");
    let text = error.to_string();
    let found = exit_code(&error);
    assert!(found == code && text.contains(message), "{found} {text}\nexpected: {code} {message}");
}

/// A manifest whose layers a compressor made that is none of the engine's.
pub(crate) fn manifest() -> Value {
    let layers = layers().into_iter().map(|layer| {
        let layer = gzip(&layer);
        let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        descriptor(media_type, &Digest::sha256(&layer), &layer)
    });
    let layers: Vec<_> = layers.collect();
    serde_json::from_str(&oci_manifest(&config(&self::layers()).to_string(), &layers)).unwrap()
}

fn index_of(children: &[Value]) -> String {
    let media_type = "application/vnd.oci.image.index.v1+json";
    json!({"schemaVersion": 2, "mediaType": media_type, "manifests": children}).to_string()
}

fn child(manifest: &str, platform: Option<&str>) -> Value {
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let mut child =
        descriptor(media_type, &Digest::sha256(manifest.as_bytes()), manifest.as_bytes());
    if let Some((os, architecture)) = platform.and_then(|platform| platform.split_once('/')) {
        child["platform"] = json!({"os": os, "architecture": architecture});
    }
    child
}

/// Whatever was pushed is what the archive holds, with nothing compressed again.
#[test]
fn every_pushed_manifest_is_that_of_its_archive() {
    let mut pushed_cases = 0;
    for case in Case::all() {
        let Some(pushed) = case.pushed() else { continue };
        for way in Way::ALL {
            let generated = against(way.source(&case.archive()), &[&pushed], &options())
                .unwrap_or_else(|error| panic!("{} {way:?}: {error}", case.name));
            assert_eq!(generated.bytes, pushed, "{}", case.name);
            let hidden = |note: &Note| matches!(note, Note::Unreferenced(_) | Note::Disguised(_));
            assert!(!generated.notes.iter().any(hidden), "{}: {:?}", case.name, generated.notes);
            assert_eq!(generated.descriptor.digest, Digest::sha256(&pushed));
        }
        pushed_cases += 1;
    }
    assert!(pushed_cases > 40, "{pushed_cases}");
}

/// And no archive passes for the manifest of another image.
#[test]
fn no_pushed_manifest_is_that_of_another_image() {
    let cases: Vec<_> = Case::all().into_iter().filter(|case| case.pushed().is_some()).collect();
    for (case, other) in cases.iter().zip(cases.iter().skip(7)) {
        let pushed = other.pushed().unwrap();
        let text = String::from_utf8(pushed.clone()).unwrap();
        match against(Source::Path(case.archive()), &[&pushed], &options()) {
            Err(GenerateError::OtherImage { available, .. }) => {
                assert!(available.iter().all(|config| !text.contains(config.as_str())), "{text}");
            }
            // The same image, pushed by two engines.
            Ok(generated) => {
                let own = String::from_utf8(case.pushed().unwrap()).unwrap();
                let config = &generated.blobs[1].descriptor.digest.to_string();
                let same = own.contains(config) && text.contains(config);
                assert!(same, "{} {}", case.name, other.name);
            }
            Err(error) => panic!("{} {}: {error}", case.name, other.name),
        }
    }
}

#[test]
fn any_compressor_will_do() {
    let manifest = manifest().to_string();
    for (name, members, by) in [
        ("docker", docker(), BoundBy::DiffId),
        ("graph", graph(), BoundBy::DiffId),
        ("containerd", containerd(), BoundBy::Digest),
        ("oci", oci(), BoundBy::Digest),
    ] {
        let generated = check(&members, &[&manifest]).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(generated.bytes, manifest.as_bytes());
        let bound: Vec<_> = generated.blobs.iter().map(|blob| blob.by).collect();
        assert_eq!(bound, [BoundBy::Digest, BoundBy::Digest, by, by], "{name}");
    }
}

#[test]
fn s3_every_byte_of_config_and_layers_counts() {
    let manifest = manifest().to_string();
    for members in [docker(), graph(), containerd(), oci()] {
        for name in members.names() {
            if matches!(name.as_str(), "manifest.json" | "index.json" | "oci-layout") {
                continue;
            }
            let mut bad = members.clone();
            let bytes = bad.get(&name);
            let at = bytes.len() - 30;
            bytes[at] ^= 1;
            // Another manifest in the archive than the given one has no part in the chain.
            let text = String::from_utf8_lossy(bytes).into_owned();
            let is_manifest = text.contains("\"schemaVersion\"");
            assert!(is_manifest || check(&bad, &[&manifest]).is_err(), "{name}: {text}");
        }
    }
}

#[test]
fn layers_in_another_order_or_number() {
    let [first, second]: [Vec<u8>; 2] = layers().try_into().unwrap();
    let manifest = manifest();
    let config = config(&layers());
    let swapped = docker_of(&[second, first.clone()], &config);
    assert_refused(&swapped, &[&manifest.to_string()], MISMATCH, "(uncompressed) does not match");
    let less = docker_of(&[first], &config);
    assert_refused(&less, &[&manifest.to_string()], MALFORMED, "lists 1 layers");
    let mut short = manifest;
    short["layers"].as_array_mut().unwrap().pop();
    assert_refused(&docker(), &[&short.to_string()], MALFORMED, "lists 1 layers");
}

#[test]
fn sizes_count() {
    let mut wrong = manifest();
    wrong["config"]["size"] = json!(1);
    assert_refused(&docker(), &[&wrong.to_string()], MISMATCH, "config");
    let mut wrong = manifest();
    wrong["layers"][0]["size"] = json!(1);
    assert_refused(&oci(), &[&wrong.to_string()], MISMATCH, "wrong size");
}

#[test]
fn without_an_image_config_there_is_no_chain() {
    let mut artifact = manifest();
    artifact["config"]["mediaType"] = json!("application/vnd.oci.empty.v1+json");
    assert_refused(&docker(), &[&artifact.to_string()], MISMATCH, "not of an image in the archive");
}

#[test]
fn an_index_needs_the_manifest_of_the_image() {
    let manifest = manifest().to_string();
    let other = child(r#"{"schemaVersion":2}"#, Some("linux/arm64"));
    let index = index_of(&[other, child(&manifest, Some("linux/amd64"))]);
    let generated = check(&docker(), &[&index, &manifest]).unwrap();
    assert_eq!(generated.bytes, index.as_bytes());
    assert_eq!(generated.blobs.len(), 5);
    // It is in this archive.
    check(&oci(), &[&index]).unwrap();
    assert_refused(&docker(), &[&index], MISMATCH, "not of an image in the archive");
    // An index in an index.
    let outer = index_of(&[json!({
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": Digest::sha256(index.as_bytes()).to_string(), "size": index.len(),
    })]);
    check(&docker(), &[&outer, &manifest, &index]).unwrap();
    assert_refused(&docker(), &[&outer, &manifest], MISMATCH, "not of an image in the archive");
}

#[test]
fn what_an_index_says_of_its_child_counts() {
    let manifest = manifest().to_string();
    let refused = |child: Value, code, message| {
        assert_refused(&docker(), &[&index_of(&[child]), &manifest], code, message);
    };
    let not_of = "not of an image in the archive";
    refused(child(&manifest, Some("linux/arm64")), MISMATCH, not_of);
    refused(child(&manifest, Some("unknown/unknown")), MISMATCH, not_of);
    let mut attestation = child(&manifest, None);
    attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    refused(attestation, MISMATCH, not_of);
    let mut size = child(&manifest, None);
    size["size"] = json!(1);
    refused(size, MISMATCH, "wrong size");
    let mut kind = child(&manifest, None);
    kind["mediaType"] = json!("application/vnd.docker.distribution.manifest.v2+json");
    refused(kind, MALFORMED, "its descriptor says");
}

#[test]
fn the_image_that_was_named_counts() {
    let manifest = manifest().to_string();
    let named = |name: &str| {
        let options = Options { image: Some(name.parse().unwrap()), ..options() };
        let archive = Source::Spooled(Box::new(Cursor::new(docker().tar())));
        against(archive, &[manifest.as_bytes()], &options)
    };
    assert_eq!(named("test:1").unwrap().names.len(), 1);
    assert_eq!(exit_code(&named("other:1").unwrap_err()), UNAVAILABLE);
    let options = Options { platform: Some("linux/arm64".parse().unwrap()), ..options() };
    let archive = Source::Spooled(Box::new(Cursor::new(docker().tar())));
    let error = against(archive, &[manifest.as_bytes()], &options).unwrap_err();
    assert!(matches!(error, GenerateError::NoSuchPlatform { .. }), "{error}");
}

/// The limited check reads no layer, and still no other image passes.
#[test]
fn only_the_manifest() {
    let options = Options { content: Content::Manifest, ..options() };
    let manifest = manifest().to_string();
    let layer = blob_name(&Digest::sha256(&layers()[0]));
    let mut damaged = graph();
    damaged.get(&layer)[700] ^= 1;
    let archive = |members: &Members| Source::Spooled(Box::new(Cursor::new(members.tar())));
    let generated = against(archive(&damaged), &[manifest.as_bytes()], &options).unwrap();
    assert_eq!(generated.blobs.len(), 2);
    assert!(against(archive(&damaged), &[manifest.as_bytes()], &self::options()).is_err());
    let error = generate::manifest(archive(&graph()), &options, &()).unwrap_err();
    assert!(matches!(error, GenerateError::Undeterminable { .. }), "{error}");
    let stored = generate::manifest(archive(&oci()), &options, &()).unwrap();
    assert_eq!(stored.blobs.len(), 1);
}

/// Indexes that are carried along and list each other: each listing counts, and an index as large as
/// any may be does not reach the limit.
#[test]
fn s11_what_is_listed_again_counts_again() {
    let manifest = manifest().to_string();
    let below = |document: &str, count: usize| {
        let media_type = "application/vnd.oci.image.index.v1+json";
        let digest = Digest::sha256(document.as_bytes());
        index_of(&vec![descriptor(media_type, &digest, document.as_bytes()); count])
    };
    let inner = index_of(&vec![child(&manifest, Some("linux/arm64")); 300]);
    let middle = below(&inner, 300);
    let outer = below(&middle, 300);
    let message = "the number of manifests and configs that are listed";
    assert_refused(&docker(), &[&outer, &middle, &inner, &manifest], MALFORMED, message);
    let mut children = vec![child(&manifest, Some("linux/arm64")); 9_999];
    children.push(child(&manifest, Some("linux/amd64")));
    check(&docker(), &[&index_of(&children), &manifest]).unwrap();
}
