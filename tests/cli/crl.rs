//! `dockseal crl`, and revocation in `dockseal verify` (spec/notation.md §5.5).

use std::path::{Path, PathBuf};

use snapbox::str;

use crate::{Host, MANIFEST};

const URL: &str = "http://crl.example/root.crl";
const VERIFY: [&str; 5] = ["verify", "--local", "-s", "a.sig", MANIFEST];

fn list(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/crl").join(name)
}

/// A host with a signature by a certificate that can be revoked.
fn host() -> Host {
    let host = Host::ready();
    let command = host.command(&["cert", "add", "-t", "ca", "-s", "notary"]);
    std::fs::copy(list("root.crt"), host.path("revoking.crt")).unwrap();
    command.arg("revoking.crt").assert().code(0);
    host.command(&["sign", "--local", "-o", "a.sig", MANIFEST, "--key-file"])
        .arg(list("leaf.key"))
        .arg("--cert-file")
        .arg(list("leaf.chain.crt"))
        .assert()
        .code(0);
    host
}

fn import(host: &Host, name: &str) {
    host.command(&["crl", "import", "--url", URL]).arg(list(name)).assert().code(0);
}

#[test]
fn s13_without_data_revocation_is_unknown_and_the_policy_decides() {
    let host = host();
    host.run(&VERIFY).code(15).stdout_eq(str![]).stderr_eq(str![[r#"
error: signature a.sig is not trusted: signing certificate with subject "CN=revocable,O=Notary,ST=WA,C=US" revocation status is unknown: no CRL of http://crl.example/root.crl
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal crl import --url http://crl.example/root.crl FILE.crl

"#]]);
    host.policy(r#""permissive""#);
    host.run(&VERIFY).code(0).stdout_eq(str![[r#"
Successfully verified signature for net-monitor_v1.json@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]).stderr_eq(str![[r#"
warning: revocation was set to "log" and failed with error: signing certificate with subject "CN=revocable,O=Notary,ST=WA,C=US" revocation status is unknown: no CRL of http://crl.example/root.crl
warning: trust policy statement "all" has level permissive and does not enforce authenticTimestamp, expiry, revocation
signer: CN=revocable,O=Notary,ST=WA,C=US
policy: statement "all" (permissive) of [HOST]/config/trustpolicy.oci.json
checked: integrity, authenticity, expiry, authenticTimestamp, content, userMetadata; failed: revocation

"#]]);
    host.policy(r#""strict","override":{"revocation":"skip"}"#);
    host.run(&VERIFY).code(0);
}

#[test]
fn lists_of_the_cache_decide() {
    let host = host();
    import(&host, "good.crl");
    host.run(&VERIFY).code(0).stdout_eq(str![[r#"
Successfully verified signature for net-monitor_v1.json@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]);
    host.run(&["crl", "list"]).code(0).stdout_eq(str![[r#"
ISSUER                                 THIS UPDATE            NEXT UPDATE            ENTRIES   DELTA   FILE                                                               
CN=revoking root,O=Notary,ST=WA,C=US   [TIME]   [TIME]   0         no      3a6c7c43216426d6c40e2028dd4dda2d7a1144556aa08e95082925e8c5c31d45   

"#]]).stderr_eq(str![]);
    import(&host, "revoked.crl");
    host.run(&VERIFY).code(15).stdout_eq(str![]).stderr_eq(str![[r#"
error: signature a.sig is not trusted: signing certificate with subject "CN=revocable,O=Notary,ST=WA,C=US" is revoked
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal inspect a.sig

"#]]);
    host.command(&["crl", "import", "--force", "--url", URL])
        .arg(list("expired.crl"))
        .assert()
        .code(0);
    host.run(&VERIFY).code(15).stdout_eq(str![]).stderr_eq(str![[r#"
error: signature a.sig is not trusted: signing certificate with subject "CN=revocable,O=Notary,ST=WA,C=US" revocation status is unknown: CRL of http://crl.example/root.crl: CRL expired at [TIME]
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal crl import --url http://crl.example/root.crl FILE.crl

"#]]);
}

#[test]
fn lists_from_files_decide_and_revoked_wins() {
    let host = host();
    let verify = |lists: &[&str]| {
        let mut command = host.command(&VERIFY);
        for name in lists {
            command = command.arg("--crl").arg(list(name));
        }
        command.assert()
    };
    verify(&["good.crl"]).code(0);
    verify(&["good.crl.pem"]).code(0);
    verify(&["expired.crl"]).code(15);
    verify(&["expired.crl", "good.crl"]).code(0);
    verify(&["good.crl", "revoked.crl"]).code(15);
    import(&host, "good.crl");
    verify(&["revoked.crl"]).code(15);
    verify(&["root.crt"]).code(16);
}

#[test]
fn what_is_no_list_is_not_imported() {
    let host = host();
    host.command(&["crl", "import", "--url", URL])
        .arg(list("root.crt"))
        .assert()
        .code(16)
        .stdout_eq("");
    let import = host.command(&["crl", "import", "--url", URL]).arg(list("expired.crl")).assert();
    import
        .code(0)
        .stdout_eq(str![[r#"
Successfully imported the CRL of http://crl.example/root.crl

"#]])
        .stderr_eq(str![[r#"
warning: the CRL expired at [TIME], it will not be believed
wrote [HOST]/cache/crl/3a6c7c43216426d6c40e2028dd4dda2d7a1144556aa08e95082925e8c5c31d45

"#]]);
}

/// The cache is notation's: its file names and members.
#[test]
fn the_cache_has_notations_form() {
    let host = host();
    import(&host, "good.crl");
    // printf %s http://crl.example/root.crl | sha256sum
    let name = "3a6c7c43216426d6c40e2028dd4dda2d7a1144556aa08e95082925e8c5c31d45";
    let bytes = host.read(&format!("cache/crl/{name}"));
    let entry: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert!(entry["baseCRL"].as_str().unwrap().starts_with("MI"));
    assert!(entry.get("deltaCRL").is_none());
}

/// What was revoked stays revoked (a rollback): only on demand an older list replaces a newer one.
#[test]
fn an_older_list_replaces_no_newer_one() {
    let host = host();
    import(&host, "revoked.crl");
    host.run(&VERIFY).code(15);
    let good = || host.command(&["crl", "import", "--url", URL]).arg(list("good.crl"));
    good().assert().code(12).stdout_eq("").stderr_eq(str![[r#"
error: [REPO]/testdata/crl/good.crl is older than the CRL of http://crl.example/root.crl in the cache
  cached: CRL number 0x03 of CN=revoking root,O=Notary,ST=WA,C=US, issued at [TIME]
  found:  CRL number 0x01 of CN=revoking root,O=Notary,ST=WA,C=US, issued at [TIME]
hint: if the older one is meant all the same: dockseal crl import --url http://crl.example/root.crl [REPO]/testdata/crl/good.crl --force

"#]]);
    host.run(&VERIFY).code(15);
    // The same list again is no other one.
    import(&host, "revoked.crl");
    // Of another URL nothing is known.
    host.command(&["crl", "import", "--url", "http://crl.example/other.crl"])
        .arg(list("good.crl"))
        .assert()
        .code(0);
    good().arg("--force").assert().code(0);
    host.run(&VERIFY).code(0);
    // What can't be read is no newer list.
    let name = "3a6c7c43216426d6c40e2028dd4dda2d7a1144556aa08e95082925e8c5c31d45";
    host.write(&format!("cache/crl/{name}"), "no list");
    import(&host, "good.crl");
    host.run(&VERIFY).code(0);
}
