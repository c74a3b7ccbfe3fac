//! scripts/get-manifest, sign and verify: the faults of the scripts they replace, one by one
//! (spec/containerd.md §11.1).
//!
//! `ctr` is a script here, because most faults are about what is done with its answers; the engine
//! lab has the real one.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dockseal::image::digest::Digest;

const MANIFEST: &[u8] = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;
const TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const NAME: &str = "registry.example/single:v1";

/// Answers from files: `rows` is what a filter finds, `blobs/<digest>` the content.
const CTR: &str = r#"#!/bin/bash
printf '%q ' "$@" >>"$HOST/log"; echo >>"$HOST/log"
[[ ! -e $HOST/down ]] || { echo 'ctr: failed to dial' >&2; exit 1; }
namespace=default
while [[ $1 == --* ]]; do namespace=$2; shift 2; done
case "$1 $2 $3" in
    'images check '*)
        echo 'REF TYPE DIGEST STATUS SIZE UNPACKED'
        [[ $namespace != default ]] || cat "$HOST/rows" ;;
    'images ls --quiet')
        [[ ! -e $HOST/names-$namespace ]] || cat "$HOST/names-$namespace" ;;
    'namespaces ls --quiet') printf 'default\nk8s.io\n' ;;
    'content get '*) cat "$HOST/blobs/$3" ;;
    *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"#;

struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        fs::create_dir(host.path("blobs")).unwrap();
        fs::write(host.path("ctr"), CTR).unwrap();
        fs::set_permissions(host.path("ctr"), fs::Permissions::from_mode(0o755)).unwrap();
        host.add(NAME, TYPE, MANIFEST, "complete");
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn add(&self, name: &str, media_type: &str, bytes: &[u8], status: &str) {
        let digest = Digest::sha256(bytes).to_string();
        fs::write(self.path(&format!("blobs/{digest}")), bytes).unwrap();
        let row = format!("{name} {media_type} {digest} {status} (1/1) 1.0/1.0 true\n");
        fs::write(self.path("rows"), row).unwrap();
    }

    fn run(&self, script: &str, arguments: &[&str]) -> Output {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
        Command::new(scripts.join(script))
            .args(arguments)
            .current_dir(self.0.path())
            .env("HOST", self.0.path())
            .env("HOME", self.0.path())
            .env("CTR", self.path("ctr"))
            .env("DOCKSEAL", env!("CARGO_BIN_EXE_dockseal"))
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("NOTATION_CONFIG")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// The script refuses, says so on stderr alone, and leaves no file.
    #[track_caller]
    fn refuses(&self, name: &str, status: i32, message: &str) {
        fs::write(self.path("manifest.json"), "stale").unwrap();
        let output = self.run("get-manifest", &[name, "manifest.json"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{name}: {stderr}");
        assert!(stderr.contains(message), "{name}: {stderr}");
        assert!(output.stdout.is_empty(), "{name}: nothing on stdout");
        assert_eq!(fs::read(self.path("manifest.json")).unwrap(), b"stale", "not touched");
        let left = fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = left.filter(|it| it.to_string_lossy().contains(".json.")).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

#[test]
fn the_manifest_and_its_descriptor() {
    let host = Host::new();
    let output = host.run("get-manifest", &[NAME, "manifest.json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = format!("{TYPE}\t{}\t{}\n", Digest::sha256(MANIFEST), MANIFEST.len());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    assert_eq!(fs::read(host.path("manifest.json")).unwrap(), MANIFEST);
}

/// Faults 1 and 8: names that are more than a name.
#[test]
fn names_are_not_expressions() {
    let host = Host::new();
    fs::write(host.path("registry.example"), "a file that a pattern would match").unwrap();
    for name in [
        "registry.example/single:v1 name==registry.example/multi:v1",
        "registry.example/n*",
        "registry.example*",
        "x\",name==\"y",
        "x,labels.\"a\"==b",
        "a b",
        "-q",
        "$(touch injected)",
        "x;touch injected",
        "",
    ] {
        host.refuses(name, 2, "not the name of an image");
    }
    assert_eq!(host.log(), "", "ctr was not even asked");
    assert!(!host.path("injected").exists());
    host.run("get-manifest", &[NAME, "manifest.json"]);
    assert!(host.log().contains(r#"name==\"registry.example/single:v1\""#), "{}", host.log());
    assert_eq!(host.run("get-manifest", &[NAME]).status.code(), Some(2));
    assert_eq!(host.run("get-manifest", &[]).status.code(), Some(2));
}

/// Fault 2: not found is an exit status and a message on stderr, and an old file stays what it was.
#[test]
fn what_is_not_found_is_told_with_a_hint() {
    let host = Host::new();
    fs::write(host.path("rows"), "").unwrap();
    host.refuses("typo:v1", 1, "no image typo:v1");
    fs::write(host.path("names-default"), "docker.io/library/busy:v1\n").unwrap();
    host.refuses("busy:v1", 1, "a name such as docker.io/library/busy:v1");
    fs::write(host.path("names-k8s.io"), "registry.example/there:v1\n").unwrap();
    host.refuses("registry.example/there:v1", 1, "--namespace k8s.io");
    // Nothing is signed either: the status of the first step counts.
    let output = host.run("sign", &["typo:v1", "-o", "a.sig"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!host.path("a.sig").exists());
}

/// Fault 3: whatever ctr fails at is a failure.
#[test]
fn a_failing_ctr_is_a_failure() {
    let host = Host::new();
    fs::remove_file(host.path(&format!("blobs/{}", Digest::sha256(MANIFEST)))).unwrap();
    host.refuses(NAME, 5, "cannot read sha256:");
    fs::write(host.path("down"), "").unwrap();
    host.refuses(NAME, 5, "images check failed");
}

/// Faults 3, 4 and 10: rows that are not a complete image of a known type.
#[test]
fn rows_that_cannot_be_signed() {
    let host = Host::new();
    host.add(NAME, TYPE, MANIFEST, "incomplete");
    host.refuses(NAME, 4, "is incomplete");
    host.add(NAME, TYPE, MANIFEST, "unavailable");
    host.refuses(NAME, 4, "is unavailable");
    let schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    host.add(NAME, schema1, MANIFEST, "complete");
    host.refuses(NAME, 4, "no manifest that could be signed");
    for digest in ["md5:900150983cd24fb0d6963f7d28e17f72", "sha256:../../x", "sha256:AB", "-"] {
        fs::write(host.path("rows"), format!("{NAME} {TYPE} {digest} complete (1/1)\n")).unwrap();
        host.refuses(NAME, 4, "digest");
    }
    let row = format!("{NAME} {TYPE} {} complete (1/1)\n", Digest::sha256(MANIFEST));
    fs::write(host.path("rows"), row.repeat(2)).unwrap();
    host.refuses(NAME, 3, "more than one image");
    // A filter that finds another image is no match.
    host.add("registry.example/multi:v1", TYPE, MANIFEST, "complete");
    host.refuses(NAME, 1, "no image");
}

/// Fault 5: bytes that are not those of the record.
#[test]
fn s3_altered_content_is_refused() {
    let host = Host::new();
    let blob = host.path(&format!("blobs/{}", Digest::sha256(MANIFEST)));
    fs::write(&blob, b"{}").unwrap();
    host.refuses(NAME, 4, "has another digest: 44136fa355b3678a");
    let output = host.run("sign", &[NAME, "-o", "a.sig"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(!host.path("a.sig").exists());
}

/// Faults 6, 7 and 11: keys are those of who runs the script, ctr's options are given, and the
/// commands exist.
#[test]
fn sign_and_verify() {
    let host = Host::new();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/notation/valid");
    let (key, chain) = (data.join("ec256.key"), data.join("ec256.chain.crt"));
    let key = ["--key-file", key.to_str().unwrap(), "--cert-file", chain.to_str().unwrap()];
    let output = host.run("sign", &[&[NAME, "-o", "a.jws.sig"], &key[..]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let config = host.path(".config/notation");
    fs::create_dir_all(config.join("truststore/x509/ca/acme")).unwrap();
    fs::copy(data.join("root.crt"), config.join("truststore/x509/ca/acme/root.crt")).unwrap();
    let policy = r#"{"version":"1.0","trustPolicies":[{"name":"p","registryScopes":["*"],"signatureVerification":{"level":"strict"},"trustStores":["ca:acme"],"trustedIdentities":["*"]}]}"#;
    fs::write(config.join("trustpolicy.json"), policy).unwrap();
    let verify = |name: &str| host.run("verify", &[name, "-s", "a.jws.sig"]);
    let output = verify(NAME);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Another image of the same name later is another image.
    host.add(NAME, TYPE, &[MANIFEST, b"\n"].concat(), "complete");
    assert_eq!(verify(NAME).status.code(), Some(13));
    assert_eq!(host.run("verify", &["-s", "a.jws.sig"]).status.code(), Some(2));
}
