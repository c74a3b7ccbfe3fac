//! `load --output`: an archive of the verified content and nothing else.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use snapbox::str;

use crate::Host;

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
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
note: assuming an engine built with Go 1.8 to 1.26 (--go-gzip go1.8): an archive does not tell
Written to clean.tar
content: every byte of the image was hashed and is what is signed

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
policy: statement "all" (skip) of [HOST]/config/trustpolicy.oci.json
note: assuming an engine built with Go 1.8 to 1.26 (--go-gzip go1.8): an archive does not tell
error: policy statement "all" has level skip: nothing was verified

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
