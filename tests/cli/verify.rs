//! `dockseal verify`

use snapbox::str;

use crate::{Host, MANIFEST, data};

fn signed(verification: &str) -> Host {
    let host = Host::ready();
    host.policy(verification);
    host.run(&["sign", "--local", "-o", "a.sig", MANIFEST]).code(0);
    host
}

/// security.md S16: a policy that is not there is not permission.
#[test]
fn s16_without_policy_or_store_nothing_is_trusted() {
    let host = signed(r#""strict""#);
    std::fs::remove_file(host.path("config/trustpolicy.oci.json")).unwrap();
    host.run(&["verify", "--local", "-s", "a.sig", MANIFEST]).code(12).stdout_eq(str![]).stderr_eq(
        str![[r#"
error: oci trust policy is not present at [HOST]/config/trustpolicy.oci.json
hint: dockseal policy init --name NAME --trust-store ca:STORE

"#]],
    );
    host.policy(r#""strict""#);
    std::fs::remove_dir_all(host.path("config/truststore")).unwrap();
    host.run(&["verify", "--local", "-s", "a.sig", MANIFEST]).code(12).stdout_eq(str![]).stderr_eq(
        str![[r#"
error: signature a.sig is not trusted: the trust store "notary" of type "ca" does not exist
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal cert add --type ca --store notary ROOT.crt

"#]],
    );
}

#[test]
fn no_signature() {
    let host = Host::ready();
    host.run(&["verify", "--local", MANIFEST]).code(10).stdout_eq(str![]).stderr_eq(str![[r#"
error: no signature is associated with sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal verify --local net-monitor_v1.json --signature FILE

"#]]);
    host.run(&["verify", "--local", "-s", "none.sig", MANIFEST])
        .code(10)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: signature none.sig is not trusted: cannot open none.sig: No such file or directory (os error 2)
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: ls .

"#]]);
}

#[test]
fn untrusted_signer() {
    let host = signed(r#""strict""#);
    host.write(
        "config/trustpolicy.oci.json",
        r#"{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],"signatureVerification":{"level":"strict"},"trustStores":["ca:notary"],"trustedIdentities":["x509.subject: C=US, ST=WA, O=wabbit"]}]}"#,
    );
    host.run(&["verify", "--local", "-s", "a.sig", MANIFEST])
        .code(12)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: signature a.sig is not trusted: signing certificate "CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US" does not match the trusted identities ["x509.subject: C=US, ST=WA, O=wabbit"] of trust policy statement "all"
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal inspect a.sig

"#]]);
}

#[test]
fn s1_other_content_names_both_descriptors() {
    let host = signed(r#""strict""#);
    host.write("other.json", r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#);
    host.run(&["verify", "--local", "-s", "a.sig", "other.json"])
        .code(13)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: content does not match the signature a.sig
  signed: sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 (application/vnd.oci.image.manifest.v1+json, 247 bytes)
  found:  sha256:0a1b17bf6d39f56897a7e8a056d930cf2bde38841a187aeb083d7487e2224573 (application/vnd.oci.image.manifest.v1+json, 58 bytes)
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal help digests

"#]]);
    host.run(&[
        "verify",
        "--local",
        "-s",
        "a.sig",
        "--media-type",
        "application/x",
        "--force-media-type",
        MANIFEST,
    ])
    .code(13)
    .stdout_eq(str![])
    .stderr_eq(str![[r#"
error: content does not match the signature a.sig
  signed: sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 (application/vnd.oci.image.manifest.v1+json, 247 bytes)
  found:  sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 (application/x, 247 bytes)
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal verify --local -s a.sig --media-type application/vnd.oci.image.manifest.v1+json --force-media-type net-monitor_v1.json

"#]]);
}

/// security.md S13: what a weak policy lets pass is said loudly, even when quiet.
#[test]
fn s13_weak_levels_warn() {
    for level in [r#""permissive""#, r#""audit""#, r#""strict","override":{"expiry":"log"}"#] {
        let host = signed(level);
        let output = host.run(&["verify", "-q", "--local", "-s", "a.sig", MANIFEST]).code(0);
        let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(
            stderr.starts_with("warning: trust policy statement \"all\" has level"),
            "{stderr}"
        );
    }
    let host = signed(r#""audit""#);
    std::fs::remove_dir_all(host.path("config/truststore")).unwrap();
    host.run(&["verify", "--local", "-s", "a.sig", MANIFEST])
        .code(0)
        .stdout_eq(str![[r#"
Successfully verified signature for net-monitor_v1.json@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]])
        .stderr_eq(str![[r#"
warning: authenticity was set to "log" and failed with error: the trust store "notary" of type "ca" does not exist
warning: trust policy statement "all" has level audit and does not enforce authenticity, authenticTimestamp, expiry, revocation
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
policy: statement "all" (audit) of [HOST]/config/trustpolicy.oci.json
checked: integrity, expiry, authenticTimestamp, revocation, content, userMetadata; failed: authenticity

"#]]);
}

#[test]
fn skip_is_loud_too() {
    let host = signed(r#""strict""#);
    host.write(
        "config/trustpolicy.oci.json",
        r#"{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],"signatureVerification":{"level":"skip"}}]}"#,
    );
    host.run(&["verify", "--local", MANIFEST]).code(0).stdout_eq(str![[r#"
Trust policy is configured to skip signature verification for net-monitor_v1.json@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]).stderr_eq(str![[r#"
warning: trust policy statement "all" has level skip: nothing was verified
policy: statement "all" (skip) of [HOST]/config/trustpolicy.oci.json

"#]]);
}

#[test]
fn statements_are_selected_by_scope_or_name() {
    let host = signed(r#""strict""#);
    host.write(
        "config/trustpolicy.oci.json",
        r#"{"version":"1.0","trustPolicies":[{"name":"net","registryScopes":["local/net-monitor"],"signatureVerification":{"level":"strict"},"trustStores":["ca:notary"],"trustedIdentities":["*"]}]}"#,
    );
    let verify = ["verify", "--local", "-s", "a.sig", MANIFEST];
    let with = |option: &'static str, value: &'static str| [&verify[..], &[option, value]].concat();
    host.run(&with("--scope", "local/net-monitor")).code(0);
    host.run(&with("--policy-name", "net")).code(0);
    host.run(&verify).code(12).stdout_eq(str![]).stderr_eq(str![[r#"
error: an artifact without a scope has no applicable oci trust policy statement: applicability is determined by registryScopes
hint: dockseal verify --local -s a.sig net-monitor_v1.json --scope REPOSITORY

"#]]);
    host.run(&with("--scope", "local/other")).code(12).stderr_eq(str![[r#"
error: artifact "local/other" has no applicable oci trust policy statement: applicability is determined by registryScopes
hint: dockseal verify --local -s a.sig net-monitor_v1.json --scope REPOSITORY

"#]]);
    host.run(&with("--policy-name", "all")).code(12).stderr_eq(str![[r#"
error: no oci trust policy statement is named "all"; there are: net
hint: dockseal policy show

"#]]);
    host.run(&with("--scope", "nonsense")).code(2);
    host.run(&with("--max-signatures", "0")).code(2);
}

#[test]
fn one_good_signature_of_several_is_enough() {
    let host = signed(r#""strict""#);
    host.write("garbage.sig", "garbage");
    host.run(&["verify", "--local", "-s", "garbage.sig", "-s", "a.sig", MANIFEST]).code(0);
    host.run(&["verify", "--local", "-s", "garbage.sig", "-s", "none.sig", MANIFEST])
        .code(16)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: none of 2 signatures is trusted; the most promising one, garbage.sig: content is neither a JWS nor a COSE envelope
  none.sig: cannot open none.sig: No such file or directory (os error 2)
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal inspect garbage.sig

"#]]);
    host.run(&[
        "verify",
        "--local",
        "--max-signatures",
        "1",
        "-s",
        "garbage.sig",
        "-s",
        "a.sig",
        MANIFEST,
    ])
    .code(16)
    .stdout_eq(str![])
    .stderr_eq(str![[r#"
error: signature garbage.sig is not trusted: content is neither a JWS nor a COSE envelope
  signature evaluation stopped. The configured limit of 1 signatures to verify per artifact exceeded
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal inspect garbage.sig

"#]]);
}

#[test]
fn metadata_is_shown_and_demanded() {
    let host = Host::ready();
    host.run(&["sign", "--local", "-o", "a.sig", "-m", "b=2", "-m", "a=<1>", MANIFEST]).code(0);
    host.run(&["verify", "--local", "-s", "a.sig", "-m", "b=2", MANIFEST])
        .code(0)
        .stdout_eq(str![[r#"
Successfully verified signature for net-monitor_v1.json@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

The artifact was signed with the following user metadata.

KEY   VALUE   
a     <1>     
b     2       

"#]])
        .stderr_eq(str![[r#"
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
checked: integrity, authenticity, expiry, authenticTimestamp, revocation, content, userMetadata

"#]]);
    host.run(&["verify", "--local", "-s", "a.sig", "-m", "b=3", MANIFEST])
        .code(12)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: signature a.sig is not trusted: signed user metadata "b" is "2", expected "3"
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal inspect a.sig

"#]]);
}

fn testdata(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

#[test]
fn expired_signatures_and_certificates() {
    let host = Host::ready();
    let expired =
        data("lt/blobs/sha256/b4d9a9d16280438ef5ce653ef323a575705e1b1f9fa7947c70f2df5c3fcddcb7");
    host.command(&["verify", "--local", MANIFEST, "-s"]).arg(expired).assert().code(12);
    host.command(&["cert", "add", "-t", "ca", "-s", "notary"])
        .arg(testdata("expired/expiring-root.crt"))
        .assert()
        .code(0);
    let verify = |name: &str| {
        let signature = testdata(&format!("expired/{name}.jws.sig"));
        host.command(&["verify", "--local", MANIFEST, "-s"]).arg(signature).assert()
    };
    verify("signature").code(14).stdout_eq(str![]).stderr_eq(str![[r#"
error: signature [REPO]/testdata/expired/signature.jws.sig is not trusted: signature expired at [TIME], it is [TIME]
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: have it signed anew: dockseal sign SOURCE --expiry 720h

"#]]);
    verify("certificate").code(14).stdout_eq(str![]).stderr_eq(str![[r#"
error: signature [REPO]/testdata/expired/certificate.jws.sig is not trusted: authentic timestamp: certificate "CN=short-lived,O=Notary,ST=WA,C=US" is not valid at [TIME]: it expired at [TIME]
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: have it signed anew, with a timestamp that outlives the certificate: dockseal sign SOURCE --timestamp-url URL --timestamp-root-cert ROOT.crt

"#]]);
    // A weaker level says what it lets pass.
    host.policy(r#""permissive""#);
    verify("certificate").code(0).stderr_eq(str![[r#"
warning: authenticTimestamp was set to "log" and failed with error: authentic timestamp: certificate "CN=short-lived,O=Notary,ST=WA,C=US" is not valid at [TIME]: it expired at [TIME]
warning: trust policy statement "all" has level permissive and does not enforce authenticTimestamp, expiry, revocation
signer: CN=short-lived,O=Notary,ST=WA,C=US
policy: statement "all" (permissive) of [HOST]/config/trustpolicy.oci.json
checked: integrity, authenticity, expiry, revocation, content, userMetadata; failed: authenticTimestamp

"#]]);
}

#[test]
fn json_reports_every_check() {
    let host = signed(r#""strict""#);
    host.run(&["verify", "-q", "--format", "json", "--local", "-s", "a.sig", MANIFEST])
        .code(0)
        .stdout_eq(str![[r#"
{
  "schemaVersion": 1,
  "verdict": "trusted",
  "subject": {
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "digest": "sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707",
    "size": 247
  },
  "policy": {
    "path": "[HOST]/config/trustpolicy.oci.json",
    "statement": "all",
    "level": "strict"
  },
  "checks": [
    {
      "id": "integrity",
      "action": "enforce",
      "status": "passed",
      "evidence": "ECDSA-SHA-256 signature by /"CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US/" is intact"
    },
    {
      "id": "authenticity",
      "action": "enforce",
      "status": "passed",
      "evidence": "chain leads to /"CN=root,O=Notary,L=Seattle,ST=WA,C=US/" of the trust stores; any identity is trusted"
    },
    {
      "id": "expiry",
      "action": "enforce",
      "status": "passed",
      "evidence": "signature has no expiry"
    },
    {
      "id": "authenticTimestamp",
      "action": "enforce",
      "status": "passed",
      "evidence": "all certificates are valid at the time of verification, [TIME]"
    },
    {
      "id": "revocation",
      "action": "enforce",
      "status": "passed",
      "evidence": "no certificate of the chain names a CRL or an OCSP responder"
    },
    {
      "id": "content",
      "action": "enforce",
      "status": "passed",
      "evidence": "sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 (application/vnd.oci.image.manifest.v1+json, 247 bytes) is what is signed"
    },
    {
      "id": "userMetadata",
      "action": "enforce",
      "status": "passed",
      "evidence": "none was asked for"
    }
  ],
  "signature": {
    "location": "a.sig",
    "digest": "[..]",
    "signer": "CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US",
    "signingScheme": "notary.x509",
    "signingTime": "[TIME]",
    "expiry": null,
    "userMetadata": {}
  },
  "cosigners": [],
  "rejected": [],
  "content": {
    "checked": "manifest",
    "blobs": []
  }
}

"#]])
        .stderr_eq(str![]);
    host.write("other.json", r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#);
    host.run(&["verify", "-q", "--format", "json", "--local", "-s", "a.sig", "other.json"])
        .code(13)
        .stdout_eq(str![[r#"
{
  "schemaVersion": 1,
  "verdict": "denied",
  "reason": "content does not match the signature a.sig",
  "subject": {
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "digest": "sha256:0a1b17bf6d39f56897a7e8a056d930cf2bde38841a187aeb083d7487e2224573",
    "size": 58
  },
  "policy": {
    "path": "[HOST]/config/trustpolicy.oci.json",
    "statement": "all",
    "level": "strict"
  },
  "checks": [
    {
      "id": "integrity",
      "action": "enforce",
      "status": "passed",
      "evidence": "ECDSA-SHA-256 signature by /"CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US/" is intact"
    },
    {
      "id": "authenticity",
      "action": "enforce",
      "status": "passed",
      "evidence": "chain leads to /"CN=root,O=Notary,L=Seattle,ST=WA,C=US/" of the trust stores; any identity is trusted"
    },
    {
      "id": "expiry",
      "action": "enforce",
      "status": "passed",
      "evidence": "signature has no expiry"
    },
    {
      "id": "authenticTimestamp",
      "action": "enforce",
      "status": "passed",
      "evidence": "all certificates are valid at the time of verification, [TIME]"
    },
    {
      "id": "revocation",
      "action": "enforce",
      "status": "passed",
      "evidence": "no certificate of the chain names a CRL or an OCSP responder"
    },
    {
      "id": "content",
      "action": "enforce",
      "status": "failed",
      "evidence": "signed content is sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 (application/vnd.oci.image.manifest.v1+json, 247 bytes), but this is sha256:0a1b17bf6d39f56897a7e8a056d930cf2bde38841a187aeb083d7487e2224573 (application/vnd.oci.image.manifest.v1+json, 58 bytes)"
    },
    {
      "id": "userMetadata",
      "action": "enforce",
      "status": "notReached",
      "evidence": "an enforced check failed before"
    }
  ],
  "signature": {
    "location": "a.sig"
  },
  "rejected": [],
  "content": {
    "checked": "manifest",
    "blobs": []
  },
  "exitCode": 13,
  "details": [
    "signed: sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 (application/vnd.oci.image.manifest.v1+json, 247 bytes)",
    "found:  sha256:0a1b17bf6d39f56897a7e8a056d930cf2bde38841a187aeb083d7487e2224573 (application/vnd.oci.image.manifest.v1+json, 58 bytes)",
    "policy: statement /"all/" (strict) of [HOST]/config/trustpolicy.oci.json"
  ],
  "hint": "dockseal help digests"
}

"#]])
        .stderr_eq(str![[r#"
error: content does not match the signature a.sig
  signed: sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 (application/vnd.oci.image.manifest.v1+json, 247 bytes)
  found:  sha256:0a1b17bf6d39f56897a7e8a056d930cf2bde38841a187aeb083d7487e2224573 (application/vnd.oci.image.manifest.v1+json, 58 bytes)
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal help digests

"#]]);
}

/// Two policies on one host are one too many (spec/notation.md §5.2).
#[test]
fn two_policies_are_warned_about() {
    let host = signed(r#""strict""#);
    host.write("config/trustpolicy.json", "{}");
    host.run(&["verify", "--local", "-s", "a.sig", MANIFEST])
        .code(0)
        .stdout_eq(str![[r#"
Successfully verified signature for net-monitor_v1.json@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]])
        .stderr_eq(str![[r#"
warning: [HOST]/config/trustpolicy.oci.json is used, [HOST]/config/trustpolicy.json differs from it and is what notation 1.x would use
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
checked: integrity, authenticity, expiry, authenticTimestamp, revocation, content, userMetadata

"#]]);
}

/// What containerd pushed is signed; the tarball was saved elsewhere, with its layers uncompressed.
/// Regenerating can't give the signed manifest, the chain of digests binds it all the same.
#[test]
fn an_image_against_the_manifest_that_was_signed() {
    let host = Host::ready();
    let case = |name: &str| {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/docker");
        std::fs::read(root.join(name)).unwrap()
    };
    host.write("signed.json", case("containerd-28-dup/pushed-manifest.json"));
    host.write("other.json", case("graph-26.1-build/pushed-manifest.json"));
    host.write("image.tar.xz", case("compressed-xz/image.tar"));
    host.run(&["-q", "sign", "--local", "-o", "a.sig", "signed.json"]).code(0);
    host.run(&["-q", "verify", "-s", "a.sig", "image.tar.xz"]).code(13);
    host.run(&["verify", "-s", "a.sig", "--manifest", "signed.json", "image.tar.xz"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully verified signature for image.tar.xz@sha256:21111d66fe15477330df761b1b8892df9e0047c4c14f3991e7812127bab3a259

"#]])
        .stderr_eq(str![[r#"
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
checked: integrity, authenticity, expiry, authenticTimestamp, revocation, content, userMetadata
content: every byte of the image was hashed and is what is signed (blobs by digest: 5)

"#]]);
    host.run(&[
        "-v",
        "verify",
        "--content",
        "manifest",
        "-s",
        "a.sig",
        "--manifest",
        "signed.json",
        "image.tar.xz",
    ])
    .code(0)
    .stdout_eq(str![[r#"
Successfully verified signature for image.tar.xz@sha256:21111d66fe15477330df761b1b8892df9e0047c4c14f3991e7812127bab3a259

"#]])
    .stderr_eq(str![[r#"
note: given; config and layers are those of the archive
integrity: passed: ECDSA-SHA-256 signature by "CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US" is intact
authenticity: passed: chain leads to "CN=root,O=Notary,L=Seattle,ST=WA,C=US" of the trust stores; any identity is trusted
expiry: passed: signature has no expiry
authenticTimestamp: passed: all certificates are valid at the time of verification, [TIME]
revocation: passed: no certificate of the chain names a CRL or an OCSP responder
content: passed: sha256:21111d66fe15477330df761b1b8892df9e0047c4c14f3991e7812127bab3a259 (application/vnd.docker.distribution.manifest.v2+json, 736 bytes) is what is signed
userMetadata: passed: none was asked for
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
checked: integrity, authenticity, expiry, authenticTimestamp, revocation, content, userMetadata
content: sha256:21111d66fe15477330df761b1b8892df9e0047c4c14f3991e7812127bab3a259: sha256:21111d66fe15477330df761b1b8892df9e0047c4c14f3991e7812127bab3a259 by its digest
content: sha256:13622276cb753b0b952effdf0e3f7e7739283759deb53e5a89bdb4ff215bd8d6: 13622276cb753b0b952effdf0e3f7e7739283759deb53e5a89bdb4ff215bd8d6.json by its digest
content: only the manifest was checked, the layers were not hashed

"#]]);
    host.run(&[
        "--format",
        "json",
        "verify",
        "-s",
        "a.sig",
        "--manifest",
        "signed.json",
        "image.tar.xz",
    ])
    .code(0)
    .stdout_eq(str![[r#"
{
  "schemaVersion": 1,
  "verdict": "trusted",
  "subject": {
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "digest": "sha256:21111d66fe15477330df761b1b8892df9e0047c4c14f3991e7812127bab3a259",
    "size": 736
  },
  "policy": {
    "path": "[HOST]/config/trustpolicy.oci.json",
    "statement": "all",
    "level": "strict"
  },
  "checks": [
    {
      "id": "integrity",
      "action": "enforce",
      "status": "passed",
      "evidence": "ECDSA-SHA-256 signature by /"CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US/" is intact"
    },
    {
      "id": "authenticity",
      "action": "enforce",
      "status": "passed",
      "evidence": "chain leads to /"CN=root,O=Notary,L=Seattle,ST=WA,C=US/" of the trust stores; any identity is trusted"
    },
    {
      "id": "expiry",
      "action": "enforce",
      "status": "passed",
      "evidence": "signature has no expiry"
    },
    {
      "id": "authenticTimestamp",
      "action": "enforce",
      "status": "passed",
      "evidence": "all certificates are valid at the time of verification, [TIME]"
    },
    {
      "id": "revocation",
      "action": "enforce",
      "status": "passed",
      "evidence": "no certificate of the chain names a CRL or an OCSP responder"
    },
    {
      "id": "content",
      "action": "enforce",
      "status": "passed",
      "evidence": "sha256:21111d66fe15477330df761b1b8892df9e0047c4c14f3991e7812127bab3a259 (application/vnd.docker.distribution.manifest.v2+json, 736 bytes) is what is signed"
    },
    {
      "id": "userMetadata",
      "action": "enforce",
      "status": "passed",
      "evidence": "none was asked for"
    }
  ],
  "signature": {
    "location": "a.sig",
    "digest": "sha256:[..]",
    "signer": "CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US",
    "signingScheme": "notary.x509",
    "signingTime": "[TIME]",
    "expiry": null,
    "userMetadata": {}
  },
  "cosigners": [],
  "rejected": [],
  "content": {
    "checked": "full",
    "blobs": [
      {
        "member": "sha256:21111d66fe15477330df761b1b8892df9e0047c4c14f3991e7812127bab3a259",
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "digest": "sha256:21111d66fe15477330df761b1b8892df9e0047c4c14f3991e7812127bab3a259",
        "size": 736,
        "diffId": null,
        "boundBy": "digest"
      },
      {
        "member": "13622276cb753b0b952effdf0e3f7e7739283759deb53e5a89bdb4ff215bd8d6.json",
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "digest": "sha256:13622276cb753b0b952effdf0e3f7e7739283759deb53e5a89bdb4ff215bd8d6",
        "size": 588,
        "diffId": null,
        "boundBy": "digest"
      },
      {
        "member": "l0/layer.tar",
        "mediaType": "application/vnd.docker.image.rootfs.diff.tar",
        "digest": "sha256:2aa0cd4f2bf442e5369cd2df006e102ed8cc4bb988e9336def45daa654964980",
        "size": 163840,
        "diffId": "sha256:2aa0cd4f2bf442e5369cd2df006e102ed8cc4bb988e9336def45daa654964980",
        "boundBy": "digest"
      },
      {
        "member": "l1/layer.tar",
        "mediaType": "application/vnd.docker.image.rootfs.diff.tar",
        "digest": "sha256:d2b1d3d46a068aa875cb16f157cf12cd8753aa23f9ee2033a0c25d981add7c91",
        "size": 10240,
        "diffId": "sha256:d2b1d3d46a068aa875cb16f157cf12cd8753aa23f9ee2033a0c25d981add7c91",
        "boundBy": "digest"
      },
      {
        "member": "l2/layer.tar",
        "mediaType": "application/vnd.docker.image.rootfs.diff.tar",
        "digest": "sha256:2aa0cd4f2bf442e5369cd2df006e102ed8cc4bb988e9336def45daa654964980",
        "size": 163840,
        "diffId": "sha256:2aa0cd4f2bf442e5369cd2df006e102ed8cc4bb988e9336def45daa654964980",
        "boundBy": "digest"
      }
    ]
  }
}

"#]]);
    host.run(&["verify", "-s", "a.sig", "--manifest", "other.json", "image.tar.xz"])
        .code(13)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: image.tar.xz: manifest sha256:0dac6c71bef143f37e53f76089074d08e6b74a869be29ac90ea59663e2a1dd62 is not of an image in the archive; it holds config sha256:13622276cb753b0b952effdf0e3f7e7739283759deb53e5a89bdb4ff215bd8d6
hint: what the archive holds: dockseal digest ARCHIVE --explain

"#]]);
    host.run(&["verify", "--content", "manifest", "-s", "a.sig", "image.tar.xz"])
        .code(17)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: image.tar.xz: what a push would send can't be determined: the archive holds no manifest, it follows from every byte of the layers
hint: name the manifest that is carried along: dockseal verify --content manifest -s a.sig image.tar.xz --manifest FILE

"#]]);
    // Signing it is as good: the image is what the manifest names.
    host.run(&["-q", "sign", "--manifest", "signed.json", "-o", "b.sig", "image.tar.xz"]).code(0);
    host.run(&["-q", "verify", "--local", "-s", "b.sig", "signed.json"]).code(0);
    host.run(&["sign", "--manifest", "other.json", "-o", "c.sig", "image.tar.xz"]).code(13);
    assert!(!host.path("c.sig").exists());
}

/// Two of three people have to have signed; one person signing twice is one.
#[test]
fn signatures_of_several_people() {
    let host = Host::ready();
    host.add_key("ec384", &[]);
    for (key, file) in [("ec256", "a.sig"), ("ec256", "b.sig"), ("ec384", "c.sig")] {
        host.run(&["-q", "sign", "--local", "--key", key, "-o", file, MANIFEST]).code(0);
    }
    let verify = ["verify", "--local", "--require", "2", "-s", "a.sig", "-s", "b.sig"];
    host.run(&[&verify[..], &["-s", "c.sig", MANIFEST]].concat()).code(0).stderr_eq(str![[r#"
signer 1: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
signer 2: CN=leaf-ec384,O=Notary,L=Seattle,ST=WA,C=US
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
checked: integrity, authenticity, expiry, authenticTimestamp, revocation, content, userMetadata

"#]]);
    host.run(&[&verify[..], &[MANIFEST]].concat()).code(12).stdout_eq(str![]).stderr_eq(str![[r#"
error: 2 distinct signers are required, trusted signatures are by 1: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal verify --local --require 2 -s a.sig -s b.sig net-monitor_v1.json --signature FILE

"#]]);
}

/// Demands of the command line hold whatever the policy says.
#[test]
fn freshness_and_leniency_are_options() {
    let host = signed(r#""audit""#);
    host.run(&["-q", "verify", "--local", "-s", "a.sig", "--max-age", "1h", MANIFEST]).code(0);
    host.run(&["-q", "verify", "--local", "-s", "a.sig", "--lenient-certs", MANIFEST]).code(0);
    host.run(&["verify", "--local", "-s", "a.sig", "--require-expiry", MANIFEST])
        .code(14)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: signature a.sig is not trusted: signature has no expiry, and --require-expiry demands one
  policy: statement "all" (audit) of [HOST]/config/trustpolicy.oci.json
hint: have it signed anew: dockseal sign SOURCE --expiry 720h

"#]]);
    host.run(&["-q", "sign", "--local", "--lenient-certs", "-e", "1h", "-o", "b.sig", MANIFEST])
        .code(0);
    host.run(&["-q", "verify", "--local", "-s", "b.sig", "--require-expiry", MANIFEST]).code(0);
}
