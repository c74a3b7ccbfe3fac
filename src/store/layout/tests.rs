//! Tests of [`super`] with the layouts of the reference and damaged copies of them.

use std::sync::Barrier;

use tempfile::TempDir;

use super::*;
use crate::fsutil;
use crate::image::digest::Algorithm;
use crate::image::media_type;

pub(super) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/notation").join(name)
}

/// A copy of a reference layout.
pub(super) fn copy(name: &str) -> TempDir {
    let target = tempfile::tempdir().unwrap();
    fs::create_dir_all(target.path().join("blobs/sha256")).unwrap();
    for file in ["oci-layout", "index.json"] {
        fs::copy(data(name).join(file), target.path().join(file)).unwrap();
    }
    for blob in fs::read_dir(data(name).join("blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        let name = path.file_name().unwrap();
        fs::copy(&path, target.path().join("blobs/sha256").join(name)).unwrap();
    }
    target
}

pub(super) fn tag(text: &str) -> LayoutTarget {
    LayoutTarget::Tag(text.to_owned())
}

pub(super) fn envelope(content: &[u8]) -> NewSignature {
    NewSignature {
        bytes: content.to_vec(),
        media_type: "application/jose+json",
        annotations: [("k".to_owned(), "v".to_owned())].into(),
    }
}

/// Puts a blob and an entry for it into a layout.
fn put(layout: &TempDir, bytes: &str, media_type: &str, more: &str) -> Digest {
    let digest = Digest::sha256(bytes.as_bytes());
    let path = layout.path().join("blobs/sha256").join(digest.hex());
    fsutil::write_atomic(&path, bytes.as_bytes(), fsutil::Mode::Public).unwrap();
    let entry = format!(
        r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{}{more}}}"#,
        bytes.len()
    );
    let index = layout.path().join("index.json");
    let text = String::from_utf8(fsutil::read_bounded(&index, 1 << 20).unwrap()).unwrap();
    let text = text.replacen("\"manifests\":[", &format!("\"manifests\":[{entry},"), 1);
    fsutil::write_atomic(&index, text.as_bytes(), fsutil::Mode::Public).unwrap();
    digest
}

#[test]
fn references_are_split_at_the_last_separator() {
    let digest = Digest::sha256(b"");
    for (text, path, target) in [
        ("lay:v1", "lay", tag("v1")),
        ("a:b:v1", "a:b", tag("v1")),
        (&format!("a/b@{digest}"), "a/b", LayoutTarget::Digest(digest.clone())),
        (&format!("a@b@{digest}"), "a@b", LayoutTarget::Digest(digest)),
    ] {
        let expected = LayoutReference { path: path.into(), target };
        assert_eq!(LayoutReference::parse(text).unwrap(), expected);
    }
    for text in ["lay", "lay:", ":v1", "lay@", "lay@v1", "lay@sha256:../../x", "a:b/c", ""] {
        assert!(LayoutReference::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn targets_are_resolved_and_hashed() {
    let layout = OciLayout::open(&data("lay0")).unwrap();
    let by_tag = layout.resolve(&tag("v1")).unwrap().descriptor;
    assert_eq!(by_tag.size, 247);
    let by_digest = layout.resolve(&LayoutTarget::Digest(by_tag.digest.clone())).unwrap();
    assert!(by_digest.descriptor.same_content(&by_tag));
    assert!(matches!(layout.resolve(&tag("v2")), Err(LayoutError::NoTag { .. })));
    let none = LayoutTarget::Digest(Digest::sha256(b"none"));
    assert!(matches!(layout.resolve(&none), Err(LayoutError::NoDigest { .. })));
    assert!(matches!(OciLayout::open(&data("valid")), Err(LayoutError::NotALayout { .. })));
}

/// Rule N-08: notation verifies a layout whose target is missing.
#[test]
fn n08_a_missing_or_altered_target_is_refused() {
    let layout = copy("lay0");
    let open = OciLayout::open(layout.path()).unwrap();
    let digest = open.resolve(&tag("v1")).unwrap().descriptor.digest;
    let blob = open.blob_path(&digest);
    let mut bytes = fsutil::read_bounded(&blob, 1 << 20).unwrap();
    bytes[100] ^= 1;
    fsutil::write_atomic(&blob, &bytes, fsutil::Mode::Public).unwrap();
    assert!(matches!(open.resolve(&tag("v1")), Err(LayoutError::Altered { .. })));
    fs::remove_file(&blob).unwrap();
    assert!(open.resolve(&tag("v1")).unwrap_err().is_not_found());
}

/// Rule N-06: a digest that nothing leads to is only taken if its blob says what it is.
#[test]
fn n06_unlisted_digests() {
    let layout = copy("lay0");
    let open = OciLayout::open(layout.path()).unwrap();
    for (text, is_taken) in [
        (r#"{"schemaVersion":2,"config":{},"layers":[]}"#, false),
        ("no json", false),
        (
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#,
            true,
        ),
    ] {
        let digest = Digest::sha256(text.as_bytes());
        let path = open.blob_path(&digest);
        fsutil::write_atomic(&path, text.as_bytes(), fsutil::Mode::Public).unwrap();
        let result = open.resolve(&LayoutTarget::Digest(digest));
        assert_eq!(result.is_ok(), is_taken, "{text}: {result:?}");
    }
}

#[test]
fn signatures_of_both_notations_are_found() {
    for (name, count) in [("lay0", 0), ("lay", 2), ("lay1", 1), ("lc", 1), ("lt", 1)] {
        let layout = OciLayout::open(&data(name)).unwrap();
        let target = layout.resolve(&tag("v1")).unwrap().descriptor;
        let found = layout.list(&target).unwrap();
        assert_eq!(found.len(), count, "{name}");
        for signature in &found {
            assert!(!layout.read(signature).unwrap().is_empty(), "{name}");
        }
        let mut other = target.clone();
        other.size += 1;
        assert!(layout.list(&other).unwrap().is_empty(), "subject of another size, {name}");
    }
}

/// The four forms of §9.1, an index between, and the referrers tag.
#[test]
fn all_four_forms_are_read_wherever_index_json_leads() {
    let layout = copy("lay0");
    let open = OciLayout::open(layout.path()).unwrap();
    let target = open.resolve(&tag("v1")).unwrap().descriptor;
    let subject = format!(
        r#""subject":{{"mediaType":"{}","digest":"{}","size":247}}"#,
        target.media_type, target.digest
    );
    let envelope = Digest::sha256(b"{}");
    let blob =
        format!(r#"[{{"mediaType":"application/jose+json","digest":"{envelope}","size":2}}]"#);
    let config =
        |kind: &str| format!(r#""config":{{"mediaType":"{kind}","digest":"{envelope}","size":2}}"#);
    let notary = r#""artifactType":"application/vnd.cncf.notary.signature""#;
    let oci = media_type::OCI_MANIFEST;
    let artifact = "application/vnd.oci.artifact.manifest.v1+json";
    let signature = config(SIGNATURE_TYPE);
    let empty = config("application/vnd.oci.empty.v1+json");
    let forms = [
        (oci, format!(r#"{{"schemaVersion":2,{signature},"layers":{blob},{subject}}}"#)),
        (oci, format!(r#"{{"schemaVersion":2,{notary},{empty},"layers":{blob},{subject}}}"#)),
        (oci, format!(r#"{{"schemaVersion":2,{notary},{signature},"layers":{blob},{subject}}}"#)),
        (artifact, format!(r#"{{"mediaType":"{artifact}",{notary},"blobs":{blob},{subject}}}"#)),
    ];
    put(&layout, "{}", "application/jose+json", "");
    for (index, (media_type, manifest)) in forms.iter().enumerate() {
        put(&layout, manifest, media_type, "");
        assert_eq!(open.list(&target).unwrap().len(), index + 1, "{manifest}");
    }
    // The same manifests again through an index, as the referrers tag has them: each once.
    let (media_type, manifest) = &forms[0];
    let child = format!(
        r#"{{"mediaType":"{media_type}","digest":"{}","size":{}}}"#,
        Digest::sha256(manifest.as_bytes()),
        manifest.len()
    );
    let referrers = format!(r#"{{"schemaVersion":2,"manifests":[{child}]}}"#);
    let tag = format!(r#","annotations":{{"{REF_NAME}":"sha256-{}"}}"#, target.digest.hex());
    put(&layout, &referrers, media_type::OCI_INDEX, &tag);
    assert_eq!(open.list(&target).unwrap().len(), 4);
    // Something else that refers to the target is no signature.
    let sbom = format!(
        r#"{{"schemaVersion":2,"artifactType":"a/sbom",{empty},"layers":{blob},{subject}}}"#
    );
    put(&layout, &sbom, oci, "");
    assert_eq!(open.list(&target).unwrap().len(), 4);
}

/// Rule F5: one signature manifest that can't be used does not hide the others.
#[test]
fn f5_defective_signatures_are_listed_with_their_defect() {
    let layout = copy("lay1");
    let open = OciLayout::open(layout.path()).unwrap();
    let target = open.resolve(&tag("v1")).unwrap().descriptor;
    let subject = format!(
        r#""subject":{{"mediaType":"{}","digest":"{}","size":247}}"#,
        target.media_type, target.digest
    );
    let config = format!(
        r#""config":{{"mediaType":"{SIGNATURE_TYPE}","digest":"{}","size":2}}"#,
        Digest::sha256(b"{}")
    );
    let manifest = format!(r#"{{"schemaVersion":2,{config},"layers":[],{subject}}}"#);
    put(&layout, &manifest, media_type::OCI_MANIFEST, "");
    let hint = format!(r#","artifactType":"{SIGNATURE_TYPE}""#);
    put(&layout, "no json", media_type::OCI_MANIFEST, &hint);
    let found = open.list(&target).unwrap();
    assert_eq!(found.len(), 3);
    let readable: Vec<_> = found.iter().filter(|each| open.read(each).is_ok()).collect();
    assert_eq!(readable.len(), 1);
    let error = open.read(&found[1]).unwrap_err().to_string();
    assert!(error.contains("it has 0 layers, expected one"), "{error}");
}

#[test]
fn an_altered_envelope_is_refused() {
    let layout = copy("lay1");
    let open = OciLayout::open(layout.path()).unwrap();
    let target = open.resolve(&tag("v1")).unwrap().descriptor;
    let found = open.list(&target).unwrap();
    let blob = open.blob_path(found[0].digest.as_ref().unwrap());
    fsutil::write_atomic(&blob, b"{}", fsutil::Mode::Public).unwrap();
    assert!(matches!(open.read(&found[0]), Err(StoreError::Layout(LayoutError::Altered { .. }))));
}

/// The bytes of forms A and B (§9.1, observed).
#[test]
fn manifests_are_written_as_notation_does() {
    let layout = copy("lay0");
    let open = OciLayout::open(layout.path()).unwrap();
    let target = open.resolve(&tag("v1")).unwrap().descriptor;
    open.add(&target, &envelope(b"one")).unwrap();
    open.clone().writing(SignatureManifest::Oci11).add(&target, &envelope(b"two")).unwrap();
    let found = open.list(&target).unwrap();
    assert_eq!(found.len(), 2);
    let one = Digest::sha256(b"one");
    let two = Digest::sha256(b"two");
    let tail = format!(
        r#""subject":{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":247}},"annotations":{{"k":"v"}}}}"#,
        target.digest
    );
    for (signature, expected) in found.iter().zip([
        format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.cncf.notary.signature","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}},"layers":[{{"mediaType":"application/jose+json","digest":"{one}","size":3}}],{tail}"#
        ),
        format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.cncf.notary.signature","config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"data":"e30="}},"layers":[{{"mediaType":"application/jose+json","digest":"{two}","size":3}}],{tail}"#
        ),
    ]) {
        let path = open.blob_path(signature.manifest.as_ref().unwrap());
        let bytes = fsutil::read_bounded(&path, 1 << 20).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
    let before = fsutil::read_bounded(&data("lay0/index.json"), 1 << 20).unwrap();
    let after = fsutil::read_bounded(&layout.path().join("index.json"), 1 << 20).unwrap();
    let kept = before.len() - 2;
    assert_eq!(after[..kept], before[..kept], "entries that were there stay as they were");
}

#[test]
fn twenty_concurrent_writers_leave_twenty_signatures() {
    const WRITERS: usize = 20;
    let layout = copy("lay0");
    let target = OciLayout::open(layout.path()).unwrap().resolve(&tag("v1")).unwrap().descriptor;
    let barrier = Barrier::new(WRITERS);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (barrier, target, path) = (&barrier, &target, layout.path());
            scope.spawn(move || {
                let open = OciLayout::open(path).unwrap();
                barrier.wait();
                open.add(target, &envelope(format!("envelope {writer}").as_bytes())).unwrap();
            });
        }
    });
    let open = OciLayout::open(layout.path()).unwrap();
    assert_eq!(open.list(&target).unwrap().len(), WRITERS);
    assert!(open.resolve(&tag("v1")).is_ok());
}

#[test]
fn targets_may_have_other_digest_algorithms() {
    let layout = copy("lay0");
    let open = OciLayout::open(layout.path()).unwrap();
    let manifest = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let target = Descriptor::of(media_type::OCI_INDEX, Algorithm::Sha512, manifest);
    let path = open.blob_path(&target.digest);
    create_dir(path.parent().unwrap()).unwrap();
    fsutil::write_atomic(&path, manifest, fsutil::Mode::Public).unwrap();
    let resolved = open.resolve(&LayoutTarget::Digest(target.digest.clone())).unwrap();
    assert!(resolved.descriptor.same_content(&target));
    open.add(&target, &envelope(b"x")).unwrap();
    assert_eq!(open.list(&target).unwrap().len(), 1);
}
