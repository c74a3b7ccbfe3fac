//! `dockseal sign`

use snapbox::str;

use crate::{Host, KEYS, MANIFEST, data};

#[test]
fn the_line_of_the_original_design() {
    let host = Host::ready();
    host.run(&["sign", "--local", "--output", "net-monitor.sig", MANIFEST])
        .code(0)
        .stdout_eq(str![[r#"
Successfully signed net-monitor_v1.json@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]])
        .stderr_eq(str![[r#"
Signature written to net-monitor.sig

"#]]);
    host.run(&["verify", "--local", "--signature", "net-monitor.sig", MANIFEST])
        .code(0)
        .stdout_eq(str![[r#"
Successfully verified signature for net-monitor_v1.json@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]])
        .stderr_eq(str![[r#"
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
checked: integrity, authenticity, expiry, authenticTimestamp, revocation, content, userMetadata

"#]]);
}

#[test]
fn without_output_the_cache_is_used() {
    let host = Host::ready();
    host.run(&["sign", "--local", MANIFEST]).code(0).stdout_eq(str![[r#"
Successfully signed net-monitor_v1.json@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]);
    assert_eq!(
        std::fs::read_dir(host.path("cache/signature/sha256/09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707/sha256")).unwrap().count(),
        1
    );
    host.run(&["verify", "--local", MANIFEST]).code(0).stdout_eq(str![[r#"
Successfully verified signature for net-monitor_v1.json@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]);
}

#[test]
fn standard_input_and_output() {
    let host = Host::ready();
    let manifest = host.read(MANIFEST);
    let signed = host
        .command(&["sign", "--local", "--output", "-", "-"])
        .stdin(manifest.as_slice())
        .assert()
        .code(0)
        .stderr_eq(str![[r#"
Successfully signed sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]])
        .get_output()
        .stdout
        .clone();
    host.write("net-monitor.jws.sig", signed);
    host.command(&["verify", "--local", "-s", "net-monitor.jws.sig", "-"])
        .stdin(manifest.as_slice())
        .assert()
        .code(0)
        .stdout_eq(str![[r#"
Successfully verified signature for sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]])
        .stderr_eq(str![[r#"
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
checked: integrity, authenticity, expiry, authenticTimestamp, revocation, content, userMetadata

"#]]);
}

#[test]
fn quiet_prints_the_digest_only() {
    let host = Host::ready();
    host.run(&["--quiet", "sign", "--local", MANIFEST])
        .code(0)
        .stdout_eq(str![[r#"
sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]])
        .stderr_eq(str![]);
    host.run(&["verify", "-q", "--local", MANIFEST])
        .code(0)
        .stdout_eq(str![[r#"
sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]])
        .stderr_eq(str![]);
}

#[test]
fn json_says_what_was_signed_and_where_it_is() {
    let host = Host::ready();
    host.run(&["sign", "--format", "json", "--local", "-o", "a.sig", MANIFEST]).code(0).stderr_eq(
        str![[r#"
Signature written to a.sig

"#]],
    );
    let output = host.run(&["sign", "--format", "json", "--local", "-o", "a.sig", MANIFEST]);
    let document: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(document["schemaVersion"], 1);
    assert_eq!(document["verdict"], "signed");
    assert_eq!(document["subject"]["size"], 247);
    assert_eq!(document["signature"]["mediaType"], "application/jose+json");
}

/// Every key type in both formats, with metadata and expiry.
#[test]
fn every_key_signs_in_both_formats() {
    let host = Host::ready();
    for key in KEYS {
        for format in ["jws", "cose"] {
            let file = format!("{key}.{format}.sig");
            host.command(&["sign", "--local", "--signature-format", format, "-o", &file])
                .args(["-m", "build=1", "-e", "24h", MANIFEST, "--key-file"])
                .arg(data(&format!("valid/{key}.key")))
                .arg("--cert-file")
                .arg(data(&format!("valid/{key}.chain.crt")))
                .assert()
                .code(0);
            host.run(&["verify", "--local", "-s", &file, "-m", "build=1", MANIFEST])
                .code(0)
                .stdout_eq(str![[r#"
Successfully verified signature for net-monitor_v1.json@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

The artifact was signed with the following user metadata.

KEY     VALUE   
build   1       

"#]]);
        }
    }
}

#[test]
fn the_format_of_the_configuration_is_used() {
    let host = Host::ready();
    host.write("config/config.json", r#"{"signatureFormat":"COSE"}"#);
    host.run(&["sign", "--local", "-o", "a.sig", MANIFEST]).code(0);
    assert_eq!(host.read("a.sig")[0], 0xd2);
    host.run(&["sign", "--local", "--signature-format", "jws", "-o", "a.cose.sig", MANIFEST])
        .code(2)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: a.cose.sig announces a cose signature, this is a jws signature
hint: dockseal sign --local --signature-format cose -o a.cose.sig net-monitor_v1.json

"#]]);
    host.write("config/config.json", r#"{"signatureFormat":"pgp"}"#);
    host.run(&["sign", "--local", "-o", "b.sig", MANIFEST]).code(20).stderr_eq(str![[r#"
error: malformed [HOST]/config/config.json: signatureFormat is "pgp", expected "jws" or "cose"
hint: dockseal help files

"#]]);
    assert!(!host.path("b.sig").exists());
}

#[test]
fn media_types() {
    let host = Host::ready();
    host.run(&[
        "sign",
        "--local",
        "--media-type",
        "application/vnd.oci.image.index.v1+json",
        "-o",
        "a.sig",
        MANIFEST,
    ])
    .code(16)
    .stdout_eq(str![])
    .stderr_eq(str![[r#"
error: the document says its media type is "application/vnd.oci.image.manifest.v1+json", not "application/vnd.oci.image.index.v1+json"
hint: to sign it all the same: dockseal sign --local --media-type application/vnd.oci.image.index.v1+json -o a.sig net-monitor_v1.json --force-media-type

"#]]);
    assert!(!host.path("a.sig").exists());
    host.write("unknown.json", "{}");
    host.run(&["sign", "--local", "-o", "a.sig", "unknown.json"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully signed unknown.json@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a

"#]])
        .stderr_eq(str![[r#"
warning: nothing says what unknown.json is, it is taken for application/vnd.docker.distribution.manifest.v2+json; --media-type says it
Signature written to a.sig

"#]]);
    host.write("both.json", r#"{"manifests":[],"layers":[]}"#);
    host.run(&["sign", "--local", "-o", "b.sig", "both.json"]).code(16).stderr_eq(str![[r#"
error: document has both "manifests" and "layers" or "config"
hint: dockseal help sources

"#]]);
    host.write("text", "no json");
    host.run(&["sign", "--local", "-o", "b.sig", "text"]).code(16).stderr_eq(str![[r#"
error: not a manifest: invalid JSON: a value expected at byte 0
hint: if it is no manifest: dockseal sign --local -o b.sig text --media-type TYPE

"#]]);
    host.run(&["sign", "--local", "-o", "b.sig", "--media-type", "text/plain", "text"]).code(0);
}

#[test]
fn descriptors() {
    let host = Host::ready();
    let descriptor = r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707","size":247,"platform":{}}"#;
    host.run(&["sign", "--descriptor", descriptor, "-o", "a.sig"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully signed sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]])
        .stderr_eq(str![[r#"
warning: only mediaType, digest and size of a descriptor are signed, not: platform
signed the descriptor only, content was not checked
Signature written to a.sig

"#]]);
    host.write("descriptor.json", descriptor);
    host.run(&["verify", "--descriptor", "@descriptor.json", "-s", "a.sig"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully verified signature for sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]])
        .stderr_eq(str![[r#"
warning: only mediaType, digest and size of a descriptor are signed, not: platform
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
checked: integrity, authenticity, expiry, authenticTimestamp, revocation, content, userMetadata
the descriptor was verified only, content was not hashed

"#]]);
    host.run(&["verify", "--local", "-s", "a.sig", MANIFEST]).code(0);
    for wrong in [
        r#"{"digest":"sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707"}"#,
        r#"{"mediaType":"a/b","digest":"sha1:09ade42fe3e69018a3360bb092265af902f9e7d6","size":1}"#,
        r#"{"mediaType":"a/b","digest":"sha256:09ADE42FE3E69018A3360BB092265AF902F9E7D6013146CF152C82AC3A944707","size":1}"#,
        r#"{"mediaType":"a/b","digest":"sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707","size":-1}"#,
    ] {
        host.run(&["sign", "--descriptor", wrong, "-o", "b.sig"]).code(16);
    }
    assert!(!host.path("b.sig").exists());
}

#[test]
fn refusals() {
    let host = Host::ready();
    for (arguments, code) in [
        (&["sign", "--local", "-m", "novalue", MANIFEST][..], 2),
        (&["sign", "--local", "-m", "io.cncf.notary.x=1", MANIFEST], 2),
        (&["sign", "--local", "-e", "-1h", MANIFEST], 2),
        (&["sign", "--local", "-e", "1500ms", MANIFEST], 2),
        (&["sign", "--local", "--key", "none", MANIFEST], 20),
        (&["sign", "--local", "missing.json"], 20),
        (&["sign", "--local", "-o", MANIFEST, MANIFEST], 2),
        (&["sign", "--local", "--key-file", "k", MANIFEST], 2),
        (&["sign", MANIFEST], 16),
        (&["sign"], 2),
    ] {
        host.run(arguments).code(code).stdout_eq("");
    }
    host.run(&["sign", "--local", "-o", MANIFEST, MANIFEST]).code(2).stderr_eq(str![[r#"
error: the signature would overwrite net-monitor_v1.json, which is to be signed
hint: dockseal sign --help

"#]]);
    host.run(&["sign", "--local", "--key", "none", MANIFEST]).code(20).stderr_eq(str![[r#"
error: signing key none not found
hint: dockseal key list

"#]]);
    host.command(&["sign", "--local", MANIFEST, "--key-file"])
        .arg(data("valid/ec384.key"))
        .arg("--cert-file")
        .arg(data("valid/ec256.chain.crt"))
        .assert()
        .code(20)
        .stderr_eq(str![[r#"
error: private key does not match the certificate "CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US"
  key: [DATA]valid/ec384.key
  certificates: [DATA]valid/ec256.chain.crt
hint: PEM is expected, and the certificate of the key first: head -n 1 [DATA]valid/ec384.key [DATA]valid/ec256.chain.crt

"#]]);
    assert!(!host.path("cache").exists(), "nothing was written");
}

#[test]
fn no_default_key() {
    let host = Host::empty();
    host.run(&["sign", "--local", MANIFEST]).code(20).stdout_eq(str![]).stderr_eq(str![[r#"
error: default signing key not set. Please set default signing key or specify a key name
hint: dockseal key add NAME --key-file FILE --cert-file FILE --default

"#]]);
}

/// Rule N-05: without a home there is no configuration, in particular not `./.notation`.
#[test]
fn n05_no_home_no_configuration() {
    let host = Host::ready();
    host.run(&["sign", "--local", "-o", "a.sig", MANIFEST]).code(0);
    std::fs::rename(host.path("config"), host.path(".notation")).unwrap();
    for command in ["sign", "verify"] {
        host.command(&[command, "--local", MANIFEST])
            .env_remove("NOTATION_CONFIG")
            .assert()
            .code(20)
            .stdout_eq("")
            .stderr_eq(str![[r#"
error: no configuration directory: neither $NOTATION_CONFIG nor $XDG_CONFIG_HOME nor $HOME is set to an absolute path
hint: dockseal help environment

"#]]);
    }
}

/// An archive is signed and verified as the image in it: the manifest that a push sends.
#[test]
fn images_in_archives() {
    let host = Host::ready();
    let case =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/docker/graph-20.10-build");
    host.write("image.tar", std::fs::read(case.join("image.tar")).unwrap());
    host.run(&["-q", "sign", "-o", "a.sig", "image.tar"]).code(0);
    host.run(&["verify", "-s", "a.sig", "image.tar"]).code(0);
    // Signed as an engine of the other encoder generation pushes it.
    host.run(&["sign", "--go-gzip", "go1.27", "-o", "b.sig", "image.tar"]).code(0);
    host.run(&["verify", "-s", "b.sig", "image.tar"]).code(0);
    host.run(&["verify", "--go-gzip", "go1.27", "-s", "b.sig", "image.tar"]).code(0);
    // The generated manifest is the same subject.
    host.run(&["manifest", "image.tar", "-o", "manifest.json"]).code(0);
    host.run(&["verify", "--local", "-s", "a.sig", "manifest.json"]).code(0);
    let mut archive = host.read("image.tar");
    let at = archive.len() / 2;
    archive[at] ^= 1;
    host.write("image.tar", archive);
    let output = host.run(&["verify", "-s", "a.sig", "image.tar"]);
    assert!(matches!(output.get_output().status.code(), Some(13 | 16)));
    host.run(&["sign", MANIFEST]).code(16).stdout_eq("").stderr_eq(str![[r#"
error: net-monitor_v1.json: not an image archive: the data is not a tar archive
hint: a manifest is no image: dockseal sign net-monitor_v1.json --local

"#]]);
}

/// Passphrases come from files or standard input, never from arguments.
#[test]
fn encrypted_keys_and_key_stores() {
    let host = Host::ready();
    host.write("passphrase", "secret\nsecond line\n");
    let keys = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys");
    let sign = |key: &str, more: &[&str]| {
        let command = host.command(&["sign", "--local", "-o", "a.sig", MANIFEST, "--key-file"]);
        command.arg(keys.join(key)).args(more).assert()
    };
    let chain = data("valid/ec256.chain.crt");
    let chain = chain.to_str().unwrap();
    let encrypted = "ec256.pbes2-aes256.key";
    sign(encrypted, &["--cert-file", chain, "--passphrase-file", "passphrase"]).code(0);
    host.run(&["verify", "--local", "-s", "a.sig", MANIFEST]).code(0);
    sign("ec256.p12", &["--passphrase-file", "passphrase"]).code(0);
    let refused = sign(encrypted, &["--cert-file", chain]).code(20).stdout_eq("");
    let stderr = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(
        stderr.contains("hint: its first line is the passphrase: dockseal sign --local "),
        "{stderr}"
    );
    host.write("passphrase", "wrong\n");
    sign(encrypted, &["--cert-file", chain, "--passphrase-file", "passphrase"]).code(20);
    sign("ec256.p12", &["--passphrase-file", "passphrase"]).code(20);
    sign("ec256.sec1.key", &[]).code(2);
}

/// With the feature tests/pkcs11.rs has more.
#[cfg(not(feature = "pkcs11"))]
#[test]
fn a_build_without_tokens_says_so() {
    let host = Host::ready();
    let uri = "pkcs11:token=a?module-path=/m.so&pin-value=secret";
    host.run(&["sign", "--local", MANIFEST, "--key-uri", uri]).code(2).stdout_eq("").stderr_eq(
        str![[r#"
error: this build has no PKCS#11 support
hint: cargo build --features pkcs11

"#]],
    );
}
