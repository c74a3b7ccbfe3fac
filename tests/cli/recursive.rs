//! `--recursive`: an index, its platforms, its attestations.

use std::fs;
use std::path::Path;

use dockseal::image::digest::Digest;
use serde_json::{Value, json};
use snapbox::str;

use crate::Host;

/// A host with an image index of two platforms as the layout `lay`.
fn host(case: &str) -> Host {
    let host = Host::ready();
    host.write("image.tar", archive(case));
    let mut archive = tar::Archive::new(fs::File::open(host.path("image.tar")).unwrap());
    archive.unpack(host.path("lay")).unwrap();
    host
}

fn archive(case: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/docker");
    fs::read(root.join(case).join("image.tar")).unwrap()
}

#[test]
fn an_index_and_its_platforms_in_a_layout() {
    let host = host("containerd-28-multi-index");
    host.run(&["sign", "--recursive", "--oci-layout", "lay:1"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully signed lay@sha256:7a38505c17293f52aec505b0735043d7abcdf5a34eeafb760781ddeafd832087 (index)
Successfully signed lay@sha256:ad86b1f5c7bd248fe5da127f63ccbd4b89def13768fe36e419aaa572713f2a37 (linux/amd64)
Successfully signed lay@sha256:bc7243d623c2d4ef796aa561f18e33fd8b4853ce76225ec6611f5323e181ec87 (linux/arm64)
Successfully signed lay@sha256:58cd5754da2304e422718deba944002452725b567ab0fcfa8173ca453ece5676 (attestation)
Successfully signed lay@sha256:7926a49de12ecaff0b387e7514ba31c6f5b6a0c70848a30df54986691df7e0f9 (attestation)

"#]])
        .stderr_eq(str![]);
    host.run(&["verify", "--recursive", "--oci-layout", "lay:1"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully verified signature for lay@sha256:7a38505c17293f52aec505b0735043d7abcdf5a34eeafb760781ddeafd832087 (index)
Successfully verified signature for lay@sha256:ad86b1f5c7bd248fe5da127f63ccbd4b89def13768fe36e419aaa572713f2a37 (linux/amd64)
Successfully verified signature for lay@sha256:bc7243d623c2d4ef796aa561f18e33fd8b4853ce76225ec6611f5323e181ec87 (linux/arm64)
Successfully verified signature for lay@sha256:58cd5754da2304e422718deba944002452725b567ab0fcfa8173ca453ece5676 (attestation)
Successfully verified signature for lay@sha256:7926a49de12ecaff0b387e7514ba31c6f5b6a0c70848a30df54986691df7e0f9 (attestation)

"#]])
        .stderr_eq(str![[r#"
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json

"#]]);
    let json = ["--format", "json", "verify", "--recursive=platforms", "--oci-layout", "lay:1"];
    let output = host.run(&json).code(0).get_output().stdout.clone();
    let report: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(report["verdict"], "trusted");
    // The index may be anybody's.
    assert!(report["subject"].is_null() && report["index"].is_object(), "{report}");
    let parts = report["manifests"].as_array().unwrap();
    let kinds: Vec<_> = parts.iter().map(|part| (&part["kind"], &part["verdict"])).collect();
    assert_eq!(
        serde_json::json!(kinds),
        serde_json::json!([["linux/amd64", "trusted"], ["linux/arm64", "trusted"]])
    );
}

/// The index is signed, one platform is not: the report says which.
#[test]
fn each_part_needs_a_signature_of_its_own() {
    let host = host("containerd-28-multi-index");
    host.run(&["-q", "sign", "--oci-layout", "lay:1"]).code(0);
    host.run(&["-q", "verify", "--oci-layout", "lay:1"]).code(0);
    host.run(&["verify", "--recursive", "--oci-layout", "lay:1"])
        .code(10)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: 4 of 5 manifests of lay@sha256:7a38505c17293f52aec505b0735043d7abcdf5a34eeafb760781ddeafd832087 are not verified
  index sha256:7a38505c17293f52aec505b0735043d7abcdf5a34eeafb760781ddeafd832087: verified
  linux/amd64 sha256:ad86b1f5c7bd248fe5da127f63ccbd4b89def13768fe36e419aaa572713f2a37: no signature is associated with sha256:ad86b1f5c7bd248fe5da127f63ccbd4b89def13768fe36e419aaa572713f2a37
  linux/arm64 sha256:bc7243d623c2d4ef796aa561f18e33fd8b4853ce76225ec6611f5323e181ec87: no signature is associated with sha256:bc7243d623c2d4ef796aa561f18e33fd8b4853ce76225ec6611f5323e181ec87
  attestation sha256:58cd5754da2304e422718deba944002452725b567ab0fcfa8173ca453ece5676: no signature is associated with sha256:58cd5754da2304e422718deba944002452725b567ab0fcfa8173ca453ece5676
  attestation sha256:7926a49de12ecaff0b387e7514ba31c6f5b6a0c70848a30df54986691df7e0f9: no signature is associated with sha256:7926a49de12ecaff0b387e7514ba31c6f5b6a0c70848a30df54986691df7e0f9
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal help signatures

"#]]);
    host.run(&["verify", "--recursive=platforms", "--oci-layout", "lay:1"])
        .code(10)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: 2 of 2 manifests of lay@sha256:7a38505c17293f52aec505b0735043d7abcdf5a34eeafb760781ddeafd832087 are not verified
  linux/amd64 sha256:ad86b1f5c7bd248fe5da127f63ccbd4b89def13768fe36e419aaa572713f2a37: no signature is associated with sha256:ad86b1f5c7bd248fe5da127f63ccbd4b89def13768fe36e419aaa572713f2a37
  linux/arm64 sha256:bc7243d623c2d4ef796aa561f18e33fd8b4853ce76225ec6611f5323e181ec87: no signature is associated with sha256:bc7243d623c2d4ef796aa561f18e33fd8b4853ce76225ec6611f5323e181ec87
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal help signatures

"#]]);
}

#[test]
fn an_archive_with_the_signature_cache() {
    let host = host("containerd-28-multi-index");
    host.run(&["sign", "--recursive", "image.tar"]).code(0).stdout_eq(str![[r#"
Successfully signed image.tar@sha256:7a38505c17293f52aec505b0735043d7abcdf5a34eeafb760781ddeafd832087 (index)
Successfully signed image.tar@sha256:ad86b1f5c7bd248fe5da127f63ccbd4b89def13768fe36e419aaa572713f2a37 (linux/amd64)
Successfully signed image.tar@sha256:bc7243d623c2d4ef796aa561f18e33fd8b4853ce76225ec6611f5323e181ec87 (linux/arm64)
Successfully signed image.tar@sha256:58cd5754da2304e422718deba944002452725b567ab0fcfa8173ca453ece5676 (attestation)
Successfully signed image.tar@sha256:7926a49de12ecaff0b387e7514ba31c6f5b6a0c70848a30df54986691df7e0f9 (attestation)

"#]]);
    host.run(&["verify", "--recursive", "image.tar"]).code(0).stdout_eq(str![[r#"
Successfully verified signature for image.tar@sha256:7a38505c17293f52aec505b0735043d7abcdf5a34eeafb760781ddeafd832087 (index)
Successfully verified signature for image.tar@sha256:ad86b1f5c7bd248fe5da127f63ccbd4b89def13768fe36e419aaa572713f2a37 (linux/amd64)
Successfully verified signature for image.tar@sha256:bc7243d623c2d4ef796aa561f18e33fd8b4853ce76225ec6611f5323e181ec87 (linux/arm64)
Successfully verified signature for image.tar@sha256:58cd5754da2304e422718deba944002452725b567ab0fcfa8173ca453ece5676 (attestation)
Successfully verified signature for image.tar@sha256:7926a49de12ecaff0b387e7514ba31c6f5b6a0c70848a30df54986691df7e0f9 (attestation)

"#]]).stderr_eq(str![[r#"
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
content: every byte of the image was hashed and is what is signed (blobs by digest: 19)

"#]]);
    // No file takes several signatures.
    host.run(&["sign", "--recursive", "-o", "a.sig", "image.tar"]).code(2);
}

/// What was not pulled is not signed, and nothing is claimed of it.
#[test]
fn platforms_that_are_not_here() {
    let host = host("containerd-29-partial-index");
    host.run(&["sign", "--recursive", "--oci-layout", "lay:t"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully signed lay@sha256:c6121062cda0c693e85429072bc9ad56435131ca42dcef747a1daf2e2cf06112 (index)
Successfully signed lay@sha256:cb62d991385843fd284fe8a5ce42470173d9a387bfa6f0fd9e034ae57a4d53e9 (linux/amd64)
Successfully signed lay@sha256:0cfaea5898657e876b91985b43ff13320db06c0fe8e8364b028146269305d847 (attestation)

"#]])
        .stderr_eq(str![[r#"
warning: linux/arm64 sha256:f4cb57fe806775c9eaa7d7e642a3ff795c64256bdfc044c67554c76ccd68eb59 is not here and was not signed
warning: attestation sha256:c2fd33f1379881ce5760f5a2176c858a53cc020720b4b529a50689484794d15c is not here and was not signed

"#]]);
    host.run(&["verify", "--recursive", "--oci-layout", "lay:t"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully verified signature for lay@sha256:c6121062cda0c693e85429072bc9ad56435131ca42dcef747a1daf2e2cf06112 (index)
Successfully verified signature for lay@sha256:cb62d991385843fd284fe8a5ce42470173d9a387bfa6f0fd9e034ae57a4d53e9 (linux/amd64)
Successfully verified signature for lay@sha256:0cfaea5898657e876b91985b43ff13320db06c0fe8e8364b028146269305d847 (attestation)

"#]])
        .stderr_eq(str![[r#"
linux/arm64 sha256:f4cb57fe806775c9eaa7d7e642a3ff795c64256bdfc044c67554c76ccd68eb59 is not here, nothing was verified
attestation sha256:c2fd33f1379881ce5760f5a2176c858a53cc020720b4b529a50689484794d15c is not here, nothing was verified
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json

"#]]);
}

#[test]
fn below_a_manifest_file_nothing_is_known() {
    let host = Host::ready();
    host.run(&["sign", "--local", "--recursive", crate::MANIFEST])
        .code(2)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: what is below an index is in the image: name that
hint: dockseal verify --recursive --oci-layout DIR:TAG

"#]]);
}

/// A layout with an index that nobody signed, of manifests that somebody did, and of one, `evil`,
/// that nobody did.
struct Unsigned {
    host: Host,
    evil: Value,
    arm64: Value,
}

impl Unsigned {
    fn new() -> Self {
        let host = host("containerd-28-multi-index");
        // The view of engines without a containerd store.
        fs::remove_file(host.path("lay/manifest.json")).unwrap();
        host.run(&["-q", "sign", "--recursive", "--oci-layout", "lay:1"]).code(0);
        let read =
            |digest: &str| -> Value { serde_json::from_slice(&host.read(&blob(digest))).unwrap() };
        let top: Value = serde_json::from_slice(&host.read("lay/index.json")).unwrap();
        let index = read(top["manifests"][0]["digest"].as_str().unwrap());
        let arm64 = index["manifests"][1].clone();
        assert_eq!(arm64["platform"]["architecture"], "arm64");
        let mut manifest = read(index["manifests"][0]["digest"].as_str().unwrap());
        manifest["annotations"] = json!({"evil": "yes"});
        let evil = write(&host, "application/vnd.oci.image.manifest.v1+json", &manifest);
        Self { host, evil, arm64 }
    }

    /// `evil` as an index has it.
    fn evil(&self, os: &str, architecture: &str) -> Value {
        let mut evil = self.evil.clone();
        evil["platform"] = json!({"os": os, "architecture": architecture});
        evil
    }

    /// The layout has another image, `lay:evil`, and `evil.tar` is that.
    fn list(&self, manifests: &[&Value]) {
        let media_type = "application/vnd.oci.image.index.v1+json";
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
        let mut entry = write(&self.host, media_type, &index);
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": "evil"});
        let mut top: Value = serde_json::from_slice(&self.host.read("lay/index.json")).unwrap();
        let entries = top["manifests"].as_array_mut().unwrap();
        entries.retain(|it| it["annotations"]["org.opencontainers.image.ref.name"].is_null());
        entries.push(entry);
        self.host.write("lay/index.json", top.to_string());
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_dir_all(".", self.host.path("lay")).unwrap();
        self.host.write("evil.tar", archive.into_inner().unwrap());
    }
}

fn blob(digest: &str) -> String {
    format!("lay/blobs/{}", digest.replace(':', "/"))
}

/// Adds a document to the layout.
fn write(host: &Host, media_type: &str, document: &Value) -> Value {
    let bytes = document.to_string();
    let digest = Digest::sha256(bytes.as_bytes()).to_string();
    host.write(&blob(&digest), &bytes);
    json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
}

/// An index that nobody signed exempts no manifest that somebody would take.
#[test]
fn an_unsigned_index_hides_no_platform() {
    let it = Unsigned::new();
    let annotated = |mut evil: Value| {
        evil["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
        evil
    };
    let (unknown, amd64) = (it.evil("unknown", "unknown"), it.evil("linux", "amd64"));
    for (manifests, code) in [
        (vec![&it.arm64], 0),
        // Nobody looks for this platform.
        (vec![&unknown, &it.arm64], 0),
        (vec![&annotated(unknown.clone()), &it.arm64], 0),
        (vec![&amd64, &it.arm64], 10),
        (vec![&annotated(amd64.clone()), &it.arm64], 10),
        (vec![&unknown, &amd64, &it.arm64], 10),
        (vec![&amd64, &unknown, &it.arm64], 10),
        (vec![&annotated(it.evil.clone()), &it.arm64], 10),
        (vec![&unknown], 10),
    ] {
        it.list(&manifests);
        for image in [&["--oci-layout", "lay:evil"][..], &["oci-archive:evil.tar:evil"]] {
            it.host.run(&[&["verify", "--recursive=platforms"], image].concat()).code(code);
        }
    }
    // Two for one platform: who takes the first takes another one than is verified.
    for evil in [it.evil("linux", "arm64"), annotated(it.evil("linux", "arm64"))] {
        it.list(&[&evil, &it.arm64]);
        let arm64 = ["verify", "--platform", "linux/arm64", "oci-archive:evil.tar:evil"];
        it.host.run(&arm64).code(17);
    }
}

/// Nobody is told the digest of an index that nobody signed as one that was verified.
#[test]
fn many_vouch_for_what_was_signed() {
    let it = Unsigned::new();
    it.list(&[&it.arm64]);
    let index: Value = serde_json::from_slice(&it.host.read("lay/index.json")).unwrap();
    let index = index["manifests"].as_array().unwrap().last().unwrap()["digest"].clone();
    let verify = ["verify", "--recursive=platforms", "--junit", "report.xml", "evil.tar"];
    let said = it.host.run(&verify).code(0).get_output().stdout.clone();
    let said =
        String::from_utf8(said).unwrap() + &String::from_utf8(it.host.read("report.xml")).unwrap();
    assert!(!said.contains(index.as_str().unwrap()), "{said}");
    assert_eq!(said.matches(it.arm64["digest"].as_str().unwrap()).count(), 2, "{said}");
    let report = [&["--format", "json"], &verify[..]].concat();
    let report = it.host.run(&report).code(0).get_output().stdout.clone();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["images"][0]["index"]["digest"], index);
    assert!(report["images"][0]["subject"].is_null(), "{report}");
}

/// A manifest alone is what was verified, however it is asked for.
#[test]
fn a_single_manifest_is_the_subject() {
    let host = Host::ready();
    host.write("image.tar", archive("graph-20.10-dup"));
    host.run(&["-q", "sign", "image.tar"]).code(0);
    let verify = ["--format", "json", "verify", "--recursive=platforms", "image.tar"];
    let report = host.run(&verify).code(0).get_output().stdout.clone();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert!(report["subject"].is_object() && report["index"].is_null(), "{report}");
}

/// What an index that nobody signed says stays in its line.
#[test]
fn names_of_platforms_forge_nothing() {
    let it = Unsigned::new();
    let mut arm64 = it.arm64.clone();
    let forged = "arm64)\nSuccessfully verified signature for app:1 (linux/amd64\u{1b}[31m";
    arm64["platform"]["architecture"] = json!(forged);
    it.list(&[&arm64]);
    let verify = ["verify", "--recursive=platforms", "--oci-layout", "lay:evil"];
    let said = it.host.run(&verify).code(0).get_output().stdout.clone();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("linux/arm64)\\nSuccessfully"), "{said}");
}
