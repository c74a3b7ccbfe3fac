//! `load --output`: an archive of the verified content and nothing else.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use dockseal::image::digest::Digest;
use snapbox::str;

use crate::Host;
use crate::engine::{self, Loading, Mock, Running};

fn case(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/docker");
    std::fs::read(root.join(name)).unwrap()
}

fn members(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut members = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        assert!(members.insert(name, bytes).is_none(), "each name once");
    }
    members
}

/// Appends a member to a tar.
fn with_member(archive: &[u8], name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut header = entry.header().clone();
        let name = entry.path().unwrap().into_owned();
        out.append_data(&mut header, name, &mut entry).unwrap();
    }
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    out.append_data(&mut header, name, bytes).unwrap();
    out.into_inner().unwrap()
}

/// Whatever the archive was, the clean one is the same image to whoever signed it, and holds
/// nothing that nobody looked at.
#[test]
fn the_clean_archive_is_the_same_image() {
    for name in [
        "graph-20.10-build",
        "graph-26.1-build",
        "containerd-28-dup",
        "containerd-28-gzl",
        "containerd-28-multi-index",
        "containerd-28-bx-index",
        "compressed-zstd",
        "compressed-xz",
    ] {
        let host = Host::ready();
        let mut archive = case(&format!("{name}/image.tar"));
        if !name.starts_with("compressed") {
            archive = with_member(&archive, "blobs/sha256/stowaway", b"never looked at");
        }
        host.write("image.tar", archive);
        host.run(&["-q", "sign", "-o", "a.sig", "image.tar"]).code(0);
        host.run(&["-q", "load", "-s", "a.sig", "image.tar", "-o", "clean.tar"]).code(0);
        let verified = host.run(&["-q", "verify", "-s", "a.sig", "clean.tar"]);
        let code = verified.get_output().status.code();
        assert_eq!(code, Some(0), "{name}: {:?}", verified.get_output());
        let clean = members(&host.read("clean.tar"));
        assert!(clean.keys().all(|name| !name.contains("stowaway")), "{name}: {:?}", clean.keys());
        // Cleaning is final.
        host.run(&["-q", "load", "-s", "a.sig", "clean.tar", "-o", "again.tar"]).code(0);
        assert!(host.read("clean.tar") == host.read("again.tar"), "{name}");
    }
}

#[test]
fn names_are_not_signed() {
    let host = Host::ready();
    host.write("image.tar", case("graph-20.10-build/image.tar"));
    host.run(&["-q", "sign", "-o", "a.sig", "image.tar"]).code(0);
    let load = ["load", "-s", "a.sig", "image.tar", "-o", "clean.tar", "--name", "net/app:7"];
    host.run(&load).code(0).stdout_eq(str![[r#"
Successfully verified signature for image.tar@sha256:1c6d26af62e206883e56c442ad0191ec429a1bad4344597153752e11d5da069a

"#]]).stderr_eq(str![[r#"
note: assuming an engine built with Go 1.8 to 1.26 (--go-gzip go1.8): an archive does not tell
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
checked: integrity, authenticity, expiry, authenticTimestamp, revocation, content, userMetadata
content: every byte of the image was hashed and is what is signed (blobs by digest: 1, by digest once compressed: 3)
Written to clean.tar

"#]]);
    let clean = members(&host.read("clean.tar"));
    let manifest: serde_json::Value = serde_json::from_slice(&clean["manifest.json"]).unwrap();
    assert_eq!(manifest[0]["RepoTags"], serde_json::json!(["net/app:7"]));
}

#[test]
fn standard_input_is_held_for_a_second_look() {
    let host = Host::ready();
    let archive = case("graph-20.10-build/image.tar");
    host.write("image.tar", &archive);
    host.run(&["-q", "sign", "-o", "a.sig", "image.tar"]).code(0);
    let load = host.command(&["-q", "load", "-s", "a.sig", "-", "-o", "clean.tar"]);
    load.stdin(archive).assert().code(0);
    host.run(&["-q", "verify", "-s", "a.sig", "clean.tar"]).code(0);
}

/// What is not verified leaves nothing behind.
#[test]
fn nothing_that_is_not_verified_is_written() {
    let host = Host::ready();
    let mut archive = case("graph-20.10-build/image.tar");
    host.write("image.tar", &archive);
    host.run(&["-q", "sign", "-o", "a.sig", "image.tar"]).code(0);
    archive = with_member(&archive, "manifest.json", b"[]");
    host.write("other.tar", archive);
    host.run(&["load", "-s", "a.sig", "other.tar", "-o", "clean.tar"]).code(16);
    host.run(&["load", "image.tar", "-o", "clean.tar"]).code(10).stdout_eq(str![]);
    host.run(&["load", "-s", "a.sig", "--content", "manifest", "image.tar", "-o", "clean.tar"])
        .code(2)
        .stdout_eq(str![]);
    host.run(&["load", "-s", "a.sig", "image.tar", "-o", "image.tar"]).code(2);
    host.write(
        "config/trustpolicy.oci.json",
        r#"{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],"signatureVerification":{"level":"skip"}}]}"#,
    );
    host.run(&["load", "-s", "a.sig", "image.tar", "-o", "clean.tar"])
        .code(12)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
note: assuming an engine built with Go 1.8 to 1.26 (--go-gzip go1.8): an archive does not tell
error: policy statement "all" has level skip: nothing was verified
hint: dockseal policy show

"#]]);
    assert!(!host.path("clean.tar").exists());
    host.run(&["load", "image.tar"]).code(2);
}

#[test]
fn the_report_says_what_was_loaded() {
    let host = Host::ready();
    host.write("image.tar", case("graph-20.10-build/image.tar"));
    host.run(&["-q", "sign", "-o", "a.sig", "image.tar"]).code(0);
    let load = ["--format", "json", "load", "-s", "a.sig", "image.tar", "-o", "clean.tar"];
    let output = host.run(&load).code(0).get_output().stdout.clone();
    let report: serde_json::Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(report["verdict"], "trusted");
    assert_eq!(report["content"]["checked"], "full");
    assert_eq!(report["loaded"]["output"], "clean.tar");
}

/// A host with an image and its signature, for an engine.
fn signed() -> Host {
    let host = Host::ready();
    host.write("image.tar", case("graph-20.10-dup/image.tar"));
    host.run(&["-q", "sign", "-o", "a.sig", "image.tar"]).code(0);
    host
}

const LOAD: [&str; 6] = ["load", "image.tar", "-s", "a.sig", "--into", "docker"];

fn into(host: &Host, engine: &Running) -> snapbox::cmd::OutputAssert {
    host.command(&LOAD).env("DOCKER_HOST", engine.host()).assert()
}

/// The engine gets the clean archive, and is asked what it has then.
#[test]
fn an_engine_gets_what_was_verified() {
    let host = signed();
    let engine = engine::start(Mock::graph("go1.19.8", "graph-20.10-dup"));
    into(&host, &engine)
        .code(0)
        .stdout_eq(str![[r#"
Successfully verified signature for image.tar@sha256:[..]

"#]])
        .stderr_eq(str![[r#"
note: assuming an engine built with Go 1.8 to 1.26 (--go-gzip go1.8): an archive does not tell
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
checked: integrity, authenticity, expiry, authenticTimestamp, revocation, content, userMetadata
content: every byte of the image was hashed and is what is signed (blobs by digest: 1, by digest once compressed: 3)
Loaded lab/dup:1

"#]]);
    host.run(&["-q", "load", "image.tar", "-s", "a.sig", "-o", "clean.tar"]).code(0);
    assert_eq!(engine.loaded(), [Ok(host.read("clean.tar"))]);
    let asked = engine.requests();
    assert!(asked[asked.len() - 1].ends_with("/images/lab/dup:1/json"), "{asked:?}");
}

/// First the verdict, and what was done by it after that.
#[test]
fn the_verdict_comes_first() {
    let host = signed();
    let engine = engine::start(Mock::graph("go1.19.8", "graph-20.10-dup"));
    let load = host.command(&LOAD).env("DOCKER_HOST", engine.host()).stderr_to_stdout();
    load.assert().code(0).stdout_eq(str![[r#"
note: assuming an engine built with Go 1.8 to 1.26 (--go-gzip go1.8): an archive does not tell
Successfully verified signature for image.tar@sha256:a396e62de3a778a2ea2b26c4602184997f81356fae79a854bd1e83eeab10a42b
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
checked: integrity, authenticity, expiry, authenticTimestamp, revocation, content, userMetadata
content: every byte of the image was hashed and is what is signed (blobs by digest: 1, by digest once compressed: 3)
Loaded lab/dup:1

"#]]);
}

#[test]
fn an_engine_that_does_not_take_it_is_believed() {
    for (loading, said) in
        [(Loading::Fails, "invalid tar"), (Loading::Refuses, "no space left on device")]
    {
        let mut mock = Mock::graph("go1.19.8", "graph-20.10-dup");
        mock.loading = loading;
        let (host, engine) = (signed(), engine::start(mock));
        let output = into(&host, &engine).code(20).stdout_eq("");
        let error = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert!(error.contains(&format!("error: docker load: {said}")), "{error}");
    }
    // Or that says it did, and has something else.
    let mut mock = Mock::graph("go1.19.8", "graph-20.10-dup");
    let other = format!("sha256:{}", "b".repeat(64));
    mock.image.as_mut().unwrap()["Id"] = other.clone().into();
    let (host, engine) = (signed(), engine::start(mock));
    let output = into(&host, &engine).code(13).stdout_eq("");
    let error = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(error.contains("has another image as lab/dup:1") && error.contains(&other), "{error}");
    let nowhere = host.command(&LOAD).env("DOCKER_HOST", "unix:///nonexistent.sock").assert();
    nowhere.code(20).stdout_eq("");
}

/// security.md S14: what changes between the verification and the engine never gets there whole.
#[test]
fn s14_a_file_that_changes_meanwhile_is_not_loaded() {
    let layer: Vec<u8> = (0..24_u32 << 18).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
    let diff_id = Digest::sha256(&layer);
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    })
    .to_string();
    let config_name = format!("{}.json", Digest::sha256(config.as_bytes()).hex());
    let manifest = serde_json::json!([{
        "Config": config_name, "RepoTags": ["lab/dup:1"], "Layers": ["a/layer.tar"],
    }]);
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in [
        ("a/layer.tar", layer.as_slice()),
        (&config_name, config.as_bytes()),
        ("manifest.json", manifest.to_string().as_bytes()),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes).unwrap();
    }
    let host = Host::ready();
    host.write("image.tar", archive.into_inner().unwrap());
    host.run(&["-q", "sign", "-o", "a.sig", "image.tar"]).code(0);
    let mut mock = Mock::graph("go1.19.8", "graph-20.10-dup");
    mock.loading = Loading::Meddled(host.path("image.tar"), layer.len() as u64 - 9);
    let engine = engine::start(mock);
    let output = into(&host, &engine).code(13).stdout_eq("");
    let error = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(error.contains("changed after it was verified"), "{error}");
    let loaded = engine.loaded();
    let [Err(begun)] = loaded.as_slice() else { panic!("an archive with an end arrived") };
    assert!(!begun.windows(13).any(|it| it == b"manifest.json"), "what makes it an image arrived");
}
