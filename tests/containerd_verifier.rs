//! `dockseal-containerd-verifier` called as containerd calls it: flags, a descriptor on standard
//! input, an empty environment, `/` as the working directory.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const VERIFIER: &str = env!("CARGO_BIN_EXE_dockseal-containerd-verifier");

const DIGEST: &str = "sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707";
const MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const SIZE: u64 = 247;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/notation").join(name)
}

/// A node: what would be `/etc/dockseal`.
struct Node(tempfile::TempDir);

impl Node {
    fn new(policy: &str) -> Self {
        let node = Self(tempfile::tempdir().unwrap());
        node.write("trustpolicy.json", policy.as_bytes());
        node.write("truststore/x509/ca/acme/root.crt", &fs::read(data("valid/root.crt")).unwrap());
        node
    }

    /// With one statement for a scope.
    fn with_scope(scope: &str) -> Self {
        Self::new(&format!(
            r#"{{"version":"1.0","trustPolicies":[{{"name":"nodes","registryScopes":["{scope}"],
            "signatureVerification":{{"level":"strict"}},"trustStores":["ca:acme"],
            "trustedIdentities":["*"]}}]}}"#
        ))
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn signed(self) -> Self {
        let signature = fs::read(data("valid/ec256.x509.jws.sig")).unwrap();
        let directory = DIGEST.replace(':', "/");
        self.write(&format!("signatures/{directory}/release.jws.sig"), &signature);
        self
    }

    /// Exit status and reason.
    fn pull(&self, name: &str) -> (i32, String) {
        self.ask(name, DIGEST, &descriptor(DIGEST, MEDIA_TYPE, SIZE))
    }

    fn ask(&self, name: &str, digest: &str, stdin: &str) -> (i32, String) {
        let media_type = "application/vnd.oci.descriptor.v1+json";
        let mut child = Command::new(VERIFIER)
            .args(["-name", name, "-digest", digest, "-stdin-media-type", media_type])
            .env_clear()
            .env("DOCKSEAL_VERIFIER_ROOT", self.0.path())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A verifier that has refused by then reads no more.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let reason = String::from_utf8(output.stdout).unwrap();
        assert_eq!(reason.matches('\n').count(), 1, "one line: {reason:?}");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap(), reason.trim_end().to_owned())
    }
}

fn descriptor(digest: &str, media_type: &str, size: u64) -> String {
    format!("{{\"mediaType\":\"{media_type}\",\"digest\":\"{digest}\",\"size\":{size}}}\n")
}

#[track_caller]
fn assert_refused(answer: (i32, String), reason: &str) {
    assert!(answer.0 == 1 && answer.1.contains(reason), "{answer:?}\nexpected: {reason}");
}

#[test]
fn signed_images_are_allowed_and_others_are_not() {
    let node = Node::with_scope("registry.example/app").signed();
    let (status, reason) = node.pull("registry.example/app:v1");
    assert_eq!(
        (status, reason.as_str()),
        (
            0,
            "dockseal: registry.example/app@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf\
             152c82ac3a944707 is allowed: signed by CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US, \
             policy \"nodes\""
        )
    );
    assert_refused(node.pull("registry.example/other:v1"), "no applicable");
    let unsigned = Node::with_scope("registry.example/app");
    assert_refused(unsigned.pull("registry.example/app:v1"), "no signature is associated");
}

/// Between the steps of an import of a kit it is undecided what is trusted.
#[test]
fn nothing_is_allowed_while_a_kit_is_imported() {
    let node = Node::with_scope("registry.example/app").signed();
    node.write("kits/journal.json", b"{}");
    assert_refused(node.pull("registry.example/app:v1"), "dockseal kit resume");
    fs::remove_dir_all(node.0.path().join("kits")).unwrap();
    assert_eq!(node.pull("registry.example/app:v1").0, 0);
    // What can't be told is not no.
    node.write("kits", b"");
    assert_refused(node.pull("registry.example/app:v1"), "kits/journal.json");
}

/// The registry's word for size and media type is a claim: what is signed counts.
#[test]
fn s1_all_three_members_of_the_descriptor_count() {
    let node = Node::with_scope("*").signed();
    for (media_type, size) in
        [(MEDIA_TYPE, 248), ("application/vnd.docker.distribution.manifest.v2+json", SIZE)]
    {
        let stdin = descriptor(DIGEST, media_type, size);
        assert_refused(node.ask("registry.example/app:v1", DIGEST, &stdin), "signed content is");
    }
    let other = DIGEST.replace("09ade42f", "19ade42f");
    let stdin = descriptor(&other, MEDIA_TYPE, SIZE);
    assert_refused(node.ask("x:1", &other, &stdin), "no signature is associated");
    assert_refused(node.ask("x:1", DIGEST, &stdin), "the descriptor says");
    assert_refused(node.ask("x:1", DIGEST, "{"), "descriptor");
}

/// security.md S16: what is missing is no permission.
#[test]
fn s16_without_configuration_nothing_is_allowed() {
    let node = Node::with_scope("*").signed();
    fs::remove_file(node.0.path().join("trustpolicy.json")).unwrap();
    assert_refused(node.pull("x:1"), "trust policy is not present");
    let node = Node::with_scope("*").signed();
    fs::remove_dir_all(node.0.path().join("truststore")).unwrap();
    assert_refused(node.pull("x:1"), "does not exist");
    let node = Node::with_scope("*").signed();
    node.write("verifier.json", br#"{"signatures":["relative"]}"#);
    assert_refused(node.pull("x:1"), "is not absolute");
    node.write("verifier.json", br#"{"signature":[]}"#);
    assert_refused(node.pull("x:1"), "verifier.json");
}

#[test]
fn other_places_of_signatures() {
    let node = Node::with_scope("*").signed();
    let signatures = node.0.path().join("signatures");
    let moved = node.0.path().join("elsewhere");
    fs::rename(&signatures, &moved).unwrap();
    assert_refused(node.pull("x:1"), "no signature");
    let layout = data("lay1");
    for place in [&moved, &layout] {
        let config = format!("{{\"signatures\":[{:?},{place:?}]}}", node.0.path().join("none"));
        node.write("verifier.json", config.as_bytes());
        let (status, reason) = node.pull("x:1");
        assert_eq!(status, if place == &layout { 1 } else { 0 }, "{reason}");
        // Found in the layout, which another root's signer signed.
        let expected =
            if place == &layout { "is in none of the trust stores" } else { "signed by" };
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn a_policy_that_skips_allows() {
    let node = Node::new(
        r#"{"version":"1.0","trustPolicies":[{"name":"none","registryScopes":["*"],
        "signatureVerification":{"level":"skip"}}]}"#,
    );
    let (status, reason) = node.pull("x:1");
    assert!(status == 0 && reason.contains("level skip"), "{reason}");
}

#[test]
fn hostile_names_stay_one_line() {
    let node = Node::with_scope("*").signed();
    for name in ["x\ny:1", "x:1\u{1b}[2J", &"a".repeat(5000), "../../x", "-digest"] {
        let (status, reason) = node.pull(name);
        assert_eq!(status, 1, "{reason}");
        assert!(reason.len() < 2100 && !reason.chars().any(char::is_control), "{reason:?}");
    }
}
