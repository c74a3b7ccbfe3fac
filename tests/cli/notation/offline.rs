//! References of registries, which nobody is asked for.

use snapbox::str;

use super::{DIGEST, Notation, errors};
use crate::MANIFEST;

#[test]
fn what_needs_a_registry_is_told_in_one_line() {
    let notation = Notation::ready();
    let at_digest = format!("registry.example/e2e@{DIGEST}");
    let sign = format!("sign {at_digest}");
    let verify = format!("verify {at_digest}");
    let lines = [
        sign.as_str(),
        "sign --key ec256 registry.example/e2e:v1",
        "sign -u me -p secret registry.example/e2e:v1",
        "sign --force-referrers-tag=false registry.example/e2e:v1",
        "sign e2e:v1",
        "sign registry.example/e2e",
        &verify,
        "verify registry.example/e2e:v1",
        "verify --insecure-registry registry.example/e2e:v1",
        "verify registry.example/E2E:v1",
        "list registry.example/e2e:v1",
        "inspect registry.example/e2e:v1",
        "login registry.example",
        "logout registry.example",
        "plugin install --url plugin.example/a.zip --sha256sum 12",
    ];
    snapbox::assert_data_eq!(
        errors(&notation, &lines),
        str![[r#"
$ notation sign registry.example/e2e@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707
Error: this build is offline and can't get the manifest of registry.example/e2e from the registry: use --oci-layout, or dockseal sign --local with the manifest
$ notation sign --key ec256 registry.example/e2e:v1
Error: this build is offline and can't get the manifest of registry.example/e2e from the registry: use --oci-layout, or dockseal sign --local with the manifest
$ notation sign -u me -p secret registry.example/e2e:v1
Error: flag(s) --username,--password in "notation sign" need a registry, and this build is offline
$ notation sign --force-referrers-tag=false registry.example/e2e:v1
Error: flag(s) --force-referrers-tag in "notation sign" need a registry, and this build is offline
$ notation sign e2e:v1
Error: "e2e:v1": invalid reference: missing registry or repository. Expecting <registry>/<repository>:<tag> or <registry>/<repository>@<digest>
$ notation sign registry.example/e2e
Error: "registry.example/e2e": invalid reference: no tag or digest. Expecting <registry>/<repository>:<tag> or <registry>/<repository>@<digest>
$ notation verify registry.example/e2e@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707
Error: this build is offline and asks no registry, and the signature cache has no signature of registry.example/e2e@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707: use --oci-layout, or dockseal cache add SIGNATURE
$ notation verify registry.example/e2e:v1
Error: this build is offline and can't ask the registry for the digest of the tag "v1": use registry.example/e2e@<digest> with signatures in the signature cache, or --oci-layout
$ notation verify --insecure-registry registry.example/e2e:v1
Error: flag(s) --insecure-registry in "notation verify" need a registry, and this build is offline
$ notation verify registry.example/E2E:v1
Error: "registry.example/E2E:v1": invalid reference: invalid repository "E2E". Expecting <registry>/<repository>:<tag> or <registry>/<repository>@<digest>
$ notation list registry.example/e2e:v1
Error: this build is offline and can't ask the registry for the digest of the tag "v1": use registry.example/e2e@<digest> with signatures in the signature cache, or --oci-layout
$ notation inspect registry.example/e2e:v1
Error: this build is offline and can't ask the registry for the digest of the tag "v1": use registry.example/e2e@<digest> with signatures in the signature cache, or --oci-layout
$ notation login registry.example
Error: "notation login" needs a registry, and this build is offline
$ notation logout registry.example
Error: "notation logout" needs a registry, and this build is offline
$ notation plugin install --url plugin.example/a.zip --sha256sum 12
Error: flag(s) --url in "notation plugin install" need a network, and this build is offline: use --file

"#]]
    );
}

/// `nerdctl --verify=notation` calls this: it resolves the digest itself.
#[test]
fn a_digest_is_verified_with_the_signature_cache() {
    let notation = Notation::ready();
    notation.host.run(&["sign", "--local", "-m", "a=b", MANIFEST]).code(0);
    let sign_cose = ["sign", "--local", "-m", "a=b", "--signature-format", "cose", MANIFEST];
    notation.host.run(&sign_cose).code(0);
    let reference = format!("registry.example:5000/e2e@{DIGEST}");
    notation.plain(&["verify", &reference]).code(0).stdout_eq(str![[r#"

Successfully verified signature for registry.example:5000/e2e@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

The artifact was signed with the following user metadata.

KEY   VALUE   
a     b       

"#]]).stderr_eq(str![[r#"
Warning: registry.example:5000/e2e@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 was not looked up in the registry: its signatures are those of the signature cache, its media type is the signed one

"#]]);
    notation.plain(&["list", &reference]).code(0);
    notation.plain(&["verify", "-m", "a=c", &reference]).code(1).stdout_eq("").stderr_eq(str![[r#"
Warning: registry.example:5000/e2e@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 was not looked up in the registry: its signatures are those of the signature cache, its media type is the signed one
Error: signature verification failed for all the signatures associated with registry.example:5000/e2e@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]);
    let assert = notation.plain(&["inspect", &reference]).code(0);
    let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert!(text.starts_with(&format!(
        "Inspecting all signatures for signed artifact\n{reference}\n└── \
         application/vnd.cncf.notary.signature\n"
    )));
    let assert = notation.plain(&["inspect", "-o", "json", &reference]).code(0);
    let document: serde_json::Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    assert_eq!(document["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(document["signatures"].as_array().unwrap().len(), 2);
    // Another digest has no signatures.
    let other = reference.replace("sha256:09", "sha256:19");
    notation.plain(&["verify", &other]).code(1).stdout_eq("");
}

/// The repository selects the statement, here one that trusts somebody else.
#[test]
fn the_policy_goes_by_the_repository() {
    let notation = Notation::ready();
    notation.host.run(&["sign", "--local", MANIFEST]).code(0);
    notation.host.write(
        "config/trustpolicy.oci.json",
        r#"{"version":"1.0","trustPolicies":[
            {"name":"a","registryScopes":["registry.example/a"],"signatureVerification":{"level":"strict"},"trustStores":["ca:notary"],"trustedIdentities":["*"]},
            {"name":"b","registryScopes":["registry.example/b"],"signatureVerification":{"level":"strict"},"trustStores":["ca:notary"],"trustedIdentities":["x509.subject: C=US, ST=WA, O=Other"]},
            {"name":"c","registryScopes":["registry.example/c"],"signatureVerification":{"level":"skip"}}]}"#,
    );
    let verify =
        |name: &str| notation.plain(&["verify", &format!("registry.example/{name}@{DIGEST}")]);
    verify("a").code(0);
    verify("b").code(1).stdout_eq("").stderr_eq(str![[r#"
Warning: registry.example/b@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 was not looked up in the registry: its signatures are those of the signature cache, its media type is the signed one
Error: signature verification failed for all the signatures associated with registry.example/b@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]);
    verify("c").code(0).stdout_eq(str![[r#"
Trust policy is configured to skip signature verification for registry.example/c@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]).stderr_eq("");
    verify("d").code(1).stdout_eq("").stderr_eq(str![[r#"
Error: signature verification failed: artifact "registry.example/d@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707" has no applicable oci trust policy statement. Trust policy applicability for a given artifact is determined by registryScopes. To create a trust policy, see: https://notaryproject.dev/docs/quickstart/#create-a-trust-policy

"#]]);
}

/// The cache is no trust anchor: what lies there under the wrong digest, or altered, is no
/// signature of that digest.
#[test]
fn s3_the_cache_is_not_believed() {
    let notation = Notation::ready();
    notation.host.run(&["sign", "--local", MANIFEST]).code(0);
    let other = DIGEST.replace("sha256:09", "sha256:19");
    let directory =
        |digest: &str| notation.host.path(&format!("cache/signature/sha256/{}", &digest[7..]));
    std::fs::rename(directory(DIGEST), directory(&other)).unwrap();
    let verify =
        |digest: &str| notation.plain(&["verify", &format!("registry.example/e2e@{digest}")]);
    verify(&other).code(1).stdout_eq("").stderr_eq(str![[r#"
Warning: registry.example/e2e@sha256:19ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 was not looked up in the registry: its signatures are those of the signature cache, its media type is the signed one
Error: signature verification failed for all the signatures associated with registry.example/e2e@sha256:19ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]);
    std::fs::rename(directory(&other), directory(DIGEST)).unwrap();
    verify(DIGEST).code(0);
    let files = directory(DIGEST).join("sha256");
    let file = std::fs::read_dir(files).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.push(b' ');
    std::fs::write(&file, bytes).unwrap();
    verify(DIGEST).code(1).stdout_eq("");
}
