//! `dockseal blob` and `dockseal inspect`

use snapbox::str;

use crate::{Host, KEYS, data};

/// A host with a file, and a global policy for files.
fn host() -> Host {
    let host = Host::ready();
    host.write("net-monitor.tar", "content");
    host.run(&[
        "blob",
        "policy",
        "init",
        "--name",
        "files",
        "--global",
        "--trust-store",
        "ca:notary",
        "--trusted-identity",
        "x509.subject: C=US, ST=WA, O=Notary",
    ])
    .code(0);
    host
}

#[test]
fn a_file_is_signed_and_verified() {
    let host = host();
    host.run(&["blob", "sign", "net-monitor.tar"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully signed net-monitor.tar
 Signature file written to net-monitor.tar.jws.sig

"#]])
        .stderr_eq(str![]);
    host.run(&["blob", "verify", "-s", "net-monitor.tar.jws.sig", "net-monitor.tar"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully verified signature for net-monitor.tar

"#]])
        .stderr_eq(str![[r#"
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
policy: statement "files" (strict) of [HOST]/config/trustpolicy.blob.json
checked: integrity, authenticity, expiry, authenticTimestamp, revocation, content, userMetadata

"#]]);
    host.run(&["blob", "sign", "net-monitor.tar"]).code(2).stdout_eq(str![]).stderr_eq(str![[r#"
error: there is no terminal to ask for confirmation
hint: dockseal blob sign net-monitor.tar --force

"#]]);
    host.run(&["blob", "sign", "--force", "net-monitor.tar"]).code(0);
    host.write("net-monitor.tar", "Content");
    host.run(&["blob", "verify", "-s", "net-monitor.tar.jws.sig", "net-monitor.tar"])
        .code(13)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: content does not match the signature net-monitor.tar.jws.sig
  signed: sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73 (application/octet-stream, 7 bytes)
  found:  sha256:47bd29075f8b8019f0beec6d86beda7c9bf67aaf05053dcbe0b3bcb63968517f (application/octet-stream, 7 bytes)
  policy: statement "files" (strict) of [HOST]/config/trustpolicy.blob.json
hint: dockseal inspect net-monitor.tar.jws.sig

"#]]);
}

/// The algorithm of the digest is the key's (spec/notation.md §11).
#[test]
fn every_key_signs_files_with_its_own_hash() {
    let host = host();
    for key in KEYS {
        for format in ["jws", "cose"] {
            let file = format!("{key}.{format}.sig");
            let output = host
                .command(&["-q", "blob", "sign", "-o", &file, "--signature-format", format])
                .args(["net-monitor.tar", "--key-file"])
                .arg(data(&format!("valid/{key}.key")))
                .arg("--cert-file")
                .arg(data(&format!("valid/{key}.chain.crt")))
                .assert()
                .code(0);
            let digest = String::from_utf8(output.get_output().stdout.clone()).unwrap();
            let algorithm = match key {
                "rsa2048" | "ec256" => "sha256:",
                "rsa3072" | "ec384" => "sha384:",
                _ => "sha512:",
            };
            assert!(digest.starts_with(algorithm), "{key}: {digest}");
            let verified =
                host.run(&["-q", "blob", "verify", "-s", &file, "net-monitor.tar"]).code(0);
            assert_eq!(verified.get_output().stdout, digest.as_bytes());
        }
    }
}

#[test]
fn standard_input_and_output() {
    let host = host();
    let signed = host
        .command(&["blob", "sign", "-o", "-", "-"])
        .stdin("content")
        .assert()
        .code(0)
        .get_output()
        .stdout
        .clone();
    host.write("a.sig", signed);
    host.command(&["blob", "verify", "-s", "a.sig", "-"]).stdin("content").assert().code(0);
    host.command(&["blob", "verify", "-s", "a.sig", "-"]).stdin("contents").assert().code(13);
    host.command(&["blob", "sign", "-"]).stdin("content").assert().code(2).stderr_eq(str![[r#"
error: a signature of standard input needs --output FILE
hint: dockseal blob sign --help

"#]]);
}

#[test]
fn media_type_and_statement_are_compared_when_asked_for() {
    let host = host();
    host.run(&["blob", "sign", "--media-type", "text/plain", "-o", "a.sig", "net-monitor.tar"])
        .code(0);
    let verify = ["blob", "verify", "-s", "a.sig", "net-monitor.tar"];
    for (option, value, code) in [
        ("--media-type", "text/plain", 0),
        ("--media-type", "text/html", 13),
        ("--policy-name", "files", 0),
        ("--policy-name", "none", 12),
        ("-m", "a=b", 12),
    ] {
        host.run(&[&verify[..], &[option, value]].concat()).code(code);
    }
}

/// Rule F3: notation crashes here.
#[test]
fn f3_a_skip_statement_skips_and_can_not_be_global() {
    let host = host();
    let statement = r#""name":"s","signatureVerification":{"level":"skip"}"#;
    let policy =
        |more: &str| format!(r#"{{"version":"1.0","trustPolicies":[{{{statement}{more}}}]}}"#);
    host.write("config/trustpolicy.blob.json", policy(""));
    host.run(&["blob", "verify", "--policy-name", "s", "-s", "none.sig", "net-monitor.tar"])
        .code(0)
        .stdout_eq(str![[r#"
Trust policy is configured to skip signature verification for net-monitor.tar

"#]])
        .stderr_eq(str![[r#"
warning: trust policy statement "s" has level skip: nothing was verified
policy: statement "s" (skip) of [HOST]/config/trustpolicy.blob.json

"#]]);
    host.write("config/trustpolicy.blob.json", policy(r#","globalPolicy":true"#));
    host.run(&["blob", "verify", "-s", "none.sig", "net-monitor.tar"])
        .code(12)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: blob trust policy: global statement "s" can't skip signature verification (in [HOST]/config/trustpolicy.blob.json)
hint: dockseal blob policy import POLICY.json

"#]]);
}

#[test]
fn the_policy_for_files() {
    let host = Host::ready();
    host.run(&["blob", "policy", "show"]).code(12).stdout_eq(str![]).stderr_eq(str![[r#"
error: blob trust policy is not present at [HOST]/config/trustpolicy.blob.json
hint: dockseal blob policy init --name NAME --global --trust-store ca:STORE --trusted-identity ID

"#]]);
    host.run(&["blob", "policy", "init", "--name", "a", "--trust-store", "ca:x"]).code(2);
    host.write("p.json", r#"{"version":"1.0","trustPolicies":[{"name":"a","signatureVerification":{"level":"skip"}}]}"#);
    host.run(&["blob", "policy", "import", "p.json"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully imported blob trust policy file.

"#]])
        .stderr_eq(str![[r#"
wrote [HOST]/config/trustpolicy.blob.json

"#]]);
    host.run(&["blob", "policy", "show"]).code(0).stdout_eq(str![[r#"{"version":"1.0","trustPolicies":[{"name":"a","signatureVerification":{"level":"skip"}}]}"#]]).stderr_eq(str![[r#"
[HOST]/config/trustpolicy.blob.json

"#]]);
}

#[test]
fn signatures_are_shown_as_notation_does() {
    let host = host();
    for name in ["blob.txt.jws.sig", "blob.txt.cose.sig"] {
        host.write(name, std::fs::read(data(&format!("valid/ts/{name}"))).unwrap());
    }
    host.run(&["blob", "inspect", "blob.txt.jws.sig"])
        .code(0)
        .stdout_eq(str![[r#"
blob.txt.jws.sig
├── signature algorithm: RSASSA-PSS-SHA-256
├── signature envelope type: application/jose+json
├── signed attributes
│   ├── content type: application/vnd.cncf.notary.payload.v1+json
│   ├── signing scheme: notary.x509
│   └── signing time: Sun Nov 22 06:20:34 2026
├── user defined attributes
│   └── (empty)
├── unsigned attributes
│   ├── signing agent: notation-go/1.3.0+unreleased
│   └── timestamp signature
│       ├── timestamp: [Sun Nov 22 06:20:33 2026, Sun Nov 22 06:20:35 2026]
│       └── certificates
│           ├── SHA256 fingerprint: 70e0ab46cb6d7e095b23d28621a4196483fed61a32ca6d284388eaa00b9b138e
│           │   ├── issued to: CN=tsa,O=Notary,ST=WA,C=US
│           │   ├── issued by: CN=tsaroot,O=Notary,ST=WA,C=US
│           │   └── expiry: Mon Jan  1 00:00:00 2046
│           └── SHA256 fingerprint: bce7d69bb6ab3317b4dead6cd161b09529ab34543b5c631bc81ada8392bb729f
│               ├── issued to: CN=tsaroot,O=Notary,ST=WA,C=US
│               ├── issued by: CN=tsaroot,O=Notary,ST=WA,C=US
│               └── expiry: Mon Jan  1 00:00:00 2046
├── certificates
│   ├── SHA256 fingerprint: b2b066d02baa15294d3a18db7ac43e9e7ecd326e8bc9db7bfd21067828a19314
│   │   ├── issued to: CN=csleaf,O=Notary,ST=WA,C=US
│   │   ├── issued by: CN=csroot,O=Notary,ST=WA,C=US
│   │   └── expiry: Mon Jan  1 00:00:00 2046
│   └── SHA256 fingerprint: 4f4927776c562f78f14f6a065278e248e8e3c79d6100d128ed828c37c4a491c2
│       ├── issued to: CN=csroot,O=Notary,ST=WA,C=US
│       ├── issued by: CN=csroot,O=Notary,ST=WA,C=US
│       └── expiry: Mon Jan  1 00:00:00 2046
└── signed artifact
    ├── media type: application/octet-stream
    ├── digest: sha256:a0639d03e7e77d7630dffce7bfe26d51813d4c799f13821e5b6786e2736baaed
    └── size: 11

"#]])
        .stderr_eq(str![]);
    host.run(&["inspect", "--format", "json", "blob.txt.cose.sig"])
        .code(0)
        .stdout_eq(str![[r#"
{
  "schemaVersion": 1,
  "signatureAlgorithm": "RSASSA-PSS-SHA-256",
  "signatureEnvelopeType": "application/cose",
  "signedAttributes": {
    "contentType": "application/vnd.cncf.notary.payload.v1+json",
    "signingScheme": "notary.x509",
    "signingTime": "[TIME]"
  },
  "userDefinedAttributes": null,
  "unsignedAttributes": {
    "signingAgent": "notation-go/1.3.0+unreleased",
    "timestampSignature": {
      "timestamp": "[[TIME], [TIME]]",
      "certificates": [
        {
          "SHA256Fingerprint": "70e0ab46cb6d7e095b23d28621a4196483fed61a32ca6d284388eaa00b9b138e",
          "issuedTo": "CN=tsa,O=Notary,ST=WA,C=US",
          "issuedBy": "CN=tsaroot,O=Notary,ST=WA,C=US",
          "expiry": "[TIME]"
        },
        {
          "SHA256Fingerprint": "bce7d69bb6ab3317b4dead6cd161b09529ab34543b5c631bc81ada8392bb729f",
          "issuedTo": "CN=tsaroot,O=Notary,ST=WA,C=US",
          "issuedBy": "CN=tsaroot,O=Notary,ST=WA,C=US",
          "expiry": "[TIME]"
        }
      ]
    }
  },
  "certificates": [
    {
      "SHA256Fingerprint": "b2b066d02baa15294d3a18db7ac43e9e7ecd326e8bc9db7bfd21067828a19314",
      "issuedTo": "CN=csleaf,O=Notary,ST=WA,C=US",
      "issuedBy": "CN=csroot,O=Notary,ST=WA,C=US",
      "expiry": "[TIME]"
    },
    {
      "SHA256Fingerprint": "4f4927776c562f78f14f6a065278e248e8e3c79d6100d128ed828c37c4a491c2",
      "issuedTo": "CN=csroot,O=Notary,ST=WA,C=US",
      "issuedBy": "CN=csroot,O=Notary,ST=WA,C=US",
      "expiry": "[TIME]"
    }
  ],
  "signedArtifact": {
    "mediaType": "application/octet-stream",
    "digest": "sha256:a0639d03e7e77d7630dffce7bfe26d51813d4c799f13821e5b6786e2736baaed",
    "size": 11
  }
}

"#]])
        .stderr_eq(str![]);
    host.command(&["inspect"]).arg(data("valid/ec256.sa-ext.jws.sig")).assert().code(0).stdout_eq(
        str![[r#"
[DATA]valid/ec256.sa-ext.jws.sig
├── signature algorithm: ECDSA-SHA-256
├── signature envelope type: application/jose+json
├── signed attributes
│   ├── content type: application/vnd.cncf.notary.payload.v1+json
│   ├── signing scheme: notary.x509.signingAuthority
│   ├── authentic signing time: Mon Jun  1 01:02:03 2026
│   ├── expiry: Fri Jun  1 01:02:03 2046
│   └── example.attr: v
├── user defined attributes
│   └── (empty)
├── unsigned attributes
│   └── signing agent: vec/1
├── certificates
│   ├── SHA256 fingerprint: 985a3d98746189301bd49677a54a5ab7d80d385692bfcc503bf91765424a30fb
│   │   ├── issued to: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
│   │   ├── issued by: CN=inter,O=Notary,L=Seattle,ST=WA,C=US
│   │   └── expiry: Mon Jan  1 00:00:00 2046
│   ├── SHA256 fingerprint: cc1d20d642384857f86d73681b0a38e4059788eff417847a37974d105ad43d97
│   │   ├── issued to: CN=inter,O=Notary,L=Seattle,ST=WA,C=US
│   │   ├── issued by: CN=root,O=Notary,L=Seattle,ST=WA,C=US
│   │   └── expiry: Mon Jan  1 00:00:00 2046
│   └── SHA256 fingerprint: c2f8b291fa2ccb697c659c4096f7d416c9fa9cb25e332df0ce91279e3dc62d65
│       ├── issued to: CN=root,O=Notary,L=Seattle,ST=WA,C=US
│       ├── issued by: CN=root,O=Notary,L=Seattle,ST=WA,C=US
│       └── expiry: Mon Jan  1 00:00:00 2046
└── signed artifact
    ├── media type: application/vnd.oci.image.manifest.v1+json
    ├── digest: sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707
    └── size: 247

"#]],
    );
    host.write("garbage", "garbage");
    host.run(&["inspect", "garbage"]).code(16).stdout_eq(str![]).stderr_eq(str![[r#"
error: garbage: content is neither a JWS nor a COSE envelope
hint: dockseal help signatures

"#]]);
    host.command(&["inspect", "--oci-layout"])
        .arg(format!("{}:v1", data("lay1").display()))
        .assert()
        .code(0)
        .stdout_eq(str![[r#"
Inspecting all signatures for signed artifact
[DATA]lay1@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707
└── application/vnd.cncf.notary.signature
    └── sha256:6e7008a1af702f04cae82d184f6faac2ca3910540fca80cc4a283cd56ee31234
        ├── signature algorithm: RSASSA-PSS-SHA-256
        ├── signature envelope type: application/jose+json
        ├── signed attributes
        │   ├── content type: application/vnd.cncf.notary.payload.v1+json
        │   ├── signing scheme: notary.x509
        │   └── signing time: Sun Nov 22 06:13:28 2026
        ├── user defined attributes
        │   └── a.b: c<&>d
        ├── unsigned attributes
        │   └── signing agent: notation-go/1.3.2
        ├── certificates
        │   └── SHA256 fingerprint: cdc25ccc65780bd23fbece6c1705ff9f98a7bd65b5fc29e7c38d23632afecc71
        │       ├── issued to: CN=wabbit-networks.io,O=Notary,L=Seattle,ST=WA,C=US
        │       ├── issued by: CN=wabbit-networks.io,O=Notary,L=Seattle,ST=WA,C=US
        │       └── expiry: Mon Nov 23 06:12:52 2026
        └── signed artifact
            ├── media type: application/vnd.oci.image.manifest.v1+json
            ├── digest: sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707
            └── size: 247

"#]]);
}
