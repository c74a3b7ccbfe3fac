//! Signatures of files.

use snapbox::str;

use super::Notation;
use crate::data;

const POLICY: &str = r#"{"version":"1.0","trustPolicies":[
    {"name":"global","globalPolicy":true,"signatureVerification":{"level":"strict"},"trustStores":["ca:notary"],"trustedIdentities":["*"]},
    {"name":"other","signatureVerification":{"level":"strict"},"trustStores":["ca:notary"],"trustedIdentities":["x509.subject: C=US, ST=WA, O=Other"]},
    {"name":"off","signatureVerification":{"level":"skip"}}]}"#;

fn host() -> Notation {
    let notation = Notation::ready();
    notation.host.write("in/blobFile.txt", "hello");
    notation.host.write("out/.keep", "");
    notation.host.write("config/trustpolicy.blob.json", POLICY);
    notation
}

#[test]
fn a_file_is_signed_and_verified() {
    let notation = host();
    notation
        .plain(&["blob", "sign", "in/blobFile.txt"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully signed in/blobFile.txt
 Signature file written to blobFile.txt.jws.sig

"#]])
        .stderr_eq("");
    notation
        .plain(&[
            "blob",
            "sign",
            "--signature-format",
            "cose",
            "--signature-directory",
            "out/",
            "-m",
            "k1=v1",
            "-e",
            "24h",
            "in/blobFile.txt",
        ])
        .code(0)
        .stdout_eq(str![[r#"
Successfully signed in/blobFile.txt
 Signature file written to out/blobFile.txt.cose.sig

"#]])
        .stderr_eq("");
    let verify = ["blob", "verify", "in/blobFile.txt", "--signature"];
    notation
        .plain(&[&verify[..], &["blobFile.txt.jws.sig"]].concat())
        .code(0)
        .stdout_eq(str![[r#"
Successfully verified signature for in/blobFile.txt

"#]])
        .stderr_eq("");
    notation
        .plain(&[&verify[..], &["out/blobFile.txt.cose.sig", "-m", "k1=v1"]].concat())
        .code(0)
        .stdout_eq(str![[r#"
Successfully verified signature for in/blobFile.txt

The artifact was signed with the following user metadata.

KEY   VALUE   
k1    v1      

"#]]);
    notation
        .plain(&[&verify[..], &["blobFile.txt.jws.sig", "--policy-name", "off"]].concat())
        .code(0)
        .stdout_eq(str![[r#"
Trust policy is configured to skip signature verification for in/blobFile.txt

"#]]);
    notation
        .host
        .run(&["blob", "verify", "--signature", "blobFile.txt.jws.sig", "in/blobFile.txt"])
        .code(0);
}

#[test]
fn a_signature_file_is_not_overwritten_unasked() {
    let notation = host();
    let sign = ["blob", "sign", "in/blobFile.txt"];
    notation.plain(&sign).code(0);
    let before = notation.host.read("blobFile.txt.jws.sig");
    notation
        .plain(&sign)
        .code(0)
        .stdout_eq(str!["The signature file already exists, do you want to overwrite it? [y/N] "])
        .stderr_eq("");
    notation.command(&sign).stdin("no\n").assert().code(0);
    assert_eq!(notation.host.read("blobFile.txt.jws.sig"), before);
    notation.command(&sign).stdin("Y\n").assert().code(0).stdout_eq(str![[r#"
The signature file already exists, do you want to overwrite it? [y/N] Successfully signed in/blobFile.txt
 Signature file written to blobFile.txt.jws.sig

"#]]);
    assert_ne!(notation.host.read("blobFile.txt.jws.sig"), before);
    notation
        .plain(&[&sign[..], &["--force"]].concat())
        .code(0)
        .stdout_eq(str![[r#"
Successfully signed in/blobFile.txt
 Signature file written to blobFile.txt.jws.sig

"#]])
        .stderr_eq(str![[r#"
Warning: existing signature file will be overwritten

"#]]);
}

#[test]
fn what_is_wrong_with_signing() {
    let notation = host();
    let lines = [
        "blob sign --signature-format invalid in/blobFile.txt",
        "blob sign --key invalid in/blobFile.txt",
        "blob sign --plugin-config invalid in/blobFile.txt",
        "blob sign --user-metadata invalid in/blobFile.txt",
        "blob sign -e 1500ms in/blobFile.txt",
        "blob sign --signature-directory= in/blobFile.txt",
        "blob sign --timestamp-url dummy in/blobFile.txt",
        "blob sign --timestamp-url= --timestamp-root-cert a in/blobFile.txt",
        "blob sign nofile",
    ];
    snapbox::assert_data_eq!(
        super::errors(&notation, &lines),
        str![[r#"
$ notation blob sign --signature-format invalid in/blobFile.txt
Error: signature format "invalid" not supported
Supported signature envelope formats are "jws" and "cose"
$ notation blob sign --key invalid in/blobFile.txt
Error: signing key invalid not found
$ notation blob sign --plugin-config invalid in/blobFile.txt
Error: could not parse flag plugin-config: key-value pair requires "=" as separator
$ notation blob sign --user-metadata invalid in/blobFile.txt
Error: could not parse flag user-metadata: key-value pair requires "=" as separator
$ notation blob sign -e 1500ms in/blobFile.txt
Error: expiry duration supports minimum granularity of seconds
$ notation blob sign --signature-directory= in/blobFile.txt
Error: signature directory cannot be empty
$ notation blob sign --timestamp-url dummy in/blobFile.txt
Error: if any flags in the group [timestamp-url timestamp-root-cert] are set they must all be set; missing [timestamp-root-cert]
$ notation blob sign --timestamp-url= --timestamp-root-cert a in/blobFile.txt
Error: timestamping: tsa url cannot be empty
$ notation blob sign nofile
Error: open nofile: no such file or directory

"#]]
    );
    notation.plain(&["blob", "sign", ""]).code(1).stdout_eq("").stderr_eq(str![[r#"
Error: blob path cannot be empty

"#]]);
}

#[test]
fn what_is_wrong_with_verifying() {
    let notation = host();
    notation.plain(&["blob", "sign", "in/blobFile.txt"]).code(0);
    let signature = notation.host.read("blobFile.txt.jws.sig");
    for name in ["x.sig", "x.jws.invalid", "x.invalid.sig"] {
        notation.host.write(name, &signature);
    }
    notation.host.write("empty.jws.sig", "");
    notation.host.write("in/other.txt", "other");
    let lines = [
        "blob verify in/blobFile.txt",
        "blob verify --signature= in/blobFile.txt",
        "blob verify -s x.sig in/blobFile.txt",
        "blob verify -s x.jws.invalid in/blobFile.txt",
        "blob verify -s x.invalid.sig in/blobFile.txt",
        "blob verify -s empty.jws.sig in/blobFile.txt",
        "blob verify -s nofile.jws.sig in/blobFile.txt",
        "blob verify -s blobFile.txt.jws.sig nofile",
        "blob verify -s blobFile.txt.jws.sig in/other.txt",
        "blob verify -s blobFile.txt.jws.sig --media-type image/jpeg in/blobFile.txt",
        "blob verify -s blobFile.txt.jws.sig --media-type= in/blobFile.txt",
        "blob verify -s blobFile.txt.jws.sig --plugin-config invalid in/blobFile.txt",
        "blob verify -s blobFile.txt.jws.sig -m invalid in/blobFile.txt",
        "blob verify -s blobFile.txt.jws.sig -m a=b in/blobFile.txt",
        "blob verify -s blobFile.txt.jws.sig --policy-name other in/blobFile.txt",
        "blob verify -s blobFile.txt.jws.sig --policy-name none in/blobFile.txt",
    ];
    snapbox::assert_data_eq!(
        super::errors(&notation, &lines),
        str![[r#"
$ notation blob verify in/blobFile.txt
Error: filepath of the signature cannot be empty
$ notation blob verify --signature= in/blobFile.txt
Error: filepath of the signature cannot be empty
$ notation blob verify -s x.sig in/blobFile.txt
Error: invalid signature filename x.sig. A valid signature file name must contain signature format and .sig file extension
$ notation blob verify -s x.jws.invalid in/blobFile.txt
Error: invalid signature filename x.jws.invalid. The file extension must be .sig
$ notation blob verify -s x.invalid.sig in/blobFile.txt
Error: signature format "invalid" not supported
Supported signature envelope formats are "jws" and "cose"
$ notation blob verify -s empty.jws.sig in/blobFile.txt
Error: signature verification failed: JWS envelope: invalid JSON: a value expected at byte 0
$ notation blob verify -s nofile.jws.sig in/blobFile.txt
Error: open nofile.jws.sig: no such file or directory
$ notation blob verify -s blobFile.txt.jws.sig nofile
Error: open nofile: no such file or directory
$ notation blob verify -s blobFile.txt.jws.sig in/other.txt
Error: signature verification failed: integrity check failed. signature does not match the given blob
$ notation blob verify -s blobFile.txt.jws.sig --media-type image/jpeg in/blobFile.txt
Error: signature verification failed: integrity check failed. signature does not match the given blob
$ notation blob verify -s blobFile.txt.jws.sig --media-type= in/blobFile.txt
Error: --media-type is set but with empty value
$ notation blob verify -s blobFile.txt.jws.sig --plugin-config invalid in/blobFile.txt
Error: could not parse flag plugin-config: key-value pair requires "=" as separator
$ notation blob verify -s blobFile.txt.jws.sig -m invalid in/blobFile.txt
Error: could not parse flag user-metadata: key-value pair requires "=" as separator
$ notation blob verify -s blobFile.txt.jws.sig -m a=b in/blobFile.txt
Error: signature verification failed: signed user metadata "a" is not there, expected "b"
$ notation blob verify -s blobFile.txt.jws.sig --policy-name other in/blobFile.txt
Error: signature verification failed: signing certificate "CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US" does not match the trusted identities ["x509.subject: C=US, ST=WA, O=Other"] of trust policy statement "other"
$ notation blob verify -s blobFile.txt.jws.sig --policy-name none in/blobFile.txt
Error: signature verification failed: no blob trust policy statement is named "none"; there are: global, other, off

"#]]
    );
    std::fs::remove_file(notation.host.path("config/trustpolicy.blob.json")).unwrap();
    let lines = ["blob verify -s blobFile.txt.jws.sig in/blobFile.txt"];
    snapbox::assert_data_eq!(
        super::errors(&notation, &lines),
        str![[r#"
$ notation blob verify -s blobFile.txt.jws.sig in/blobFile.txt
Error: trust policy is not present. To create a trust policy, see: https://notaryproject.dev/docs/quickstart/#create-a-trust-policy

"#]]
    );
}

/// What a signature file says, in notation main's tree and JSON.
#[test]
fn signature_files_are_inspected() {
    let notation = host();
    for format in ["jws", "cose"] {
        let source = data(&format!("valid/ec256.x509-ext.{format}.sig"));
        let name = format!("blob.{format}.sig");
        notation.host.write(&name, std::fs::read(source).unwrap());
    }
    notation
        .plain(&["blob", "inspect", "blob.jws.sig"])
        .code(0)
        .stdout_eq(str![[r#"
blob.jws.sig
├── signature algorithm: ECDSA-SHA-256
├── signature envelope type: application/jose+json
├── signed attributes
│   ├── content type: application/vnd.cncf.notary.payload.v1+json
│   ├── signing scheme: notary.x509
│   ├── signing time: Mon Jun  1 01:02:03 2026
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

"#]])
        .stderr_eq("");
    notation.plain(&["blob", "inspect", "--output", "json", "blob.cose.sig"]).code(0).stdout_eq(
        str![[r#"
{
  "signatureAlgorithm": "ECDSA-SHA-256",
  "signatureEnvelopeType": "application/cose",
  "signedAttributes": {
    "contentType": "application/vnd.cncf.notary.payload.v1+json",
    "signingScheme": "notary.x509",
    "signingTime": "[TIME]",
    "expiry": "[TIME]",
    "example.attr": "v"
  },
  "userDefinedAttributes": null,
  "unsignedAttributes": {
    "signingAgent": "vec/1"
  },
  "certificates": [
    {
      "SHA256Fingerprint": "985a3d98746189301bd49677a54a5ab7d80d385692bfcc503bf91765424a30fb",
      "issuedTo": "CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US",
      "issuedBy": "CN=inter,O=Notary,L=Seattle,ST=WA,C=US",
      "expiry": "[TIME]"
    },
    {
      "SHA256Fingerprint": "cc1d20d642384857f86d73681b0a38e4059788eff417847a37974d105ad43d97",
      "issuedTo": "CN=inter,O=Notary,L=Seattle,ST=WA,C=US",
      "issuedBy": "CN=root,O=Notary,L=Seattle,ST=WA,C=US",
      "expiry": "[TIME]"
    },
    {
      "SHA256Fingerprint": "c2f8b291fa2ccb697c659c4096f7d416c9fa9cb25e332df0ce91279e3dc62d65",
      "issuedTo": "CN=root,O=Notary,L=Seattle,ST=WA,C=US",
      "issuedBy": "CN=root,O=Notary,L=Seattle,ST=WA,C=US",
      "expiry": "[TIME]"
    }
  ],
  "signedArtifact": {
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "digest": "sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707",
    "size": 247
  }
}

"#]],
    );
    notation.host.write("malformed.jws.sig", "{");
    notation.host.write("cose.jws.sig", notation.host.read("blob.cose.sig"));
    let lines = [
        "blob inspect --output unknown blob.jws.sig",
        "blob inspect unknown.sig",
        "blob inspect hello.unknown.sig",
        "blob inspect nofile.jws.sig",
        "blob inspect malformed.jws.sig",
        "blob inspect cose.jws.sig",
    ];
    snapbox::assert_data_eq!(
        super::errors(&notation, &lines),
        str![[r#"
$ notation blob inspect --output unknown blob.jws.sig
Error: unrecognized output format unknown
$ notation blob inspect unknown.sig
Error: invalid signature filename: unknown.sig
$ notation blob inspect hello.unknown.sig
Error: signature format "unknown" not supported
Supported signature envelope formats are "jws" and "cose"
$ notation blob inspect nofile.jws.sig
Error: failed to read signature file: open nofile.jws.sig: no such file or directory
$ notation blob inspect malformed.jws.sig
Error: failed to parse signature: JWS envelope: invalid JSON: a string expected at byte 1
$ notation blob inspect cose.jws.sig
Error: failed to parse signature: envelope is declared as jws but its content is not

"#]]
    );
}
