//! Verifying with plugins (spec/notation.md §8.3).

use std::fs;

use serde_json::{Value, json};
use snapbox::str;

use super::{ENVELOPE, IDENTITY, REVOCATION, key_id};
use crate::{Host, MANIFEST, data};

/// A host with a signature `a.sig` that demands the plugin `v`, and with attributes.
fn host(extended: &Value, authority: bool) -> Host {
    let host = Host::empty();
    host.trust_root();
    host.command(&["cert", "add", "-t", "signingAuthority", "-s", "notary"])
        .arg(data("valid/root.crt"))
        .assert()
        .success();
    let mut attributes = json!({"io.cncf.notary.verificationPlugin": ["v", true]});
    for (name, value) in extended.as_object().unwrap() {
        attributes[name] = value.clone();
    }
    let signing =
        json!({"capabilities": [ENVELOPE], "extended": attributes, "authority": authority});
    host.plugin("s", &signing);
    let id = key_id("ec256");
    let sign = ["sign", "--local", "--plugin", "s", "--id", &id, "-e", "24h", "-o", "a.sig"];
    host.run(&[&sign[..], &[MANIFEST]].concat()).code(0);
    statement(&host, r#"{"level":"strict"}"#, r#"["*"]"#);
    host
}

fn statement(host: &Host, verification: &str, identities: &str) {
    host.write(
        "config/trustpolicy.oci.json",
        format!(
            r#"{{"version":"1.0","trustPolicies":[{{"name":"all","registryScopes":["*"],"signatureVerification":{verification},"trustStores":["ca:notary","signingAuthority:notary"],"trustedIdentities":{identities}}}]}}"#
        ),
    );
}

const VERIFY: [&str; 5] = ["verify", "--local", "--signature", "a.sig", MANIFEST];

fn refused(host: &Host, exit: i32, message: &str) {
    let output = host.run(&VERIFY).code(exit).stdout_eq(str![]);
    let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(error.contains(message), "{message}: {error}");
}

#[test]
fn a_demanded_plugin_judges_identity_and_revocation() {
    let host = host(&json!({}), false);
    refused(&host, 12, "verification is inconclusive without the demanded plugin: ");
    host.plugin("v", &json!({}));
    host.run(&[&VERIFY[..], &["-v", "--plugin-config", "a=b"]].concat())
        .code(0)
        .stderr_eq(str![[r#"
integrity: passed: ECDSA-SHA-256 signature by "CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US" is intact
expiry: passed: signature expires at [TIME]
authenticTimestamp: passed: [..]
authenticity: passed: chain leads to "CN=root,O=Notary,L=Seattle,ST=WA,C=US" of the trust stores; plugin "v" takes the signer for a trusted identity
revocation: passed: plugin "v" says that no certificate is revoked
content: passed: [..]
userMetadata: passed: none was asked for
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
checked: integrity, expiry, authenticTimestamp, authenticity, revocation, content, userMetadata

"#]]);
    let requests = host.requests("v");
    assert_eq!(requests[0], ("get-plugin-metadata".into(), json!({"pluginConfig": {"a": "b"}})));
    assert_eq!(requests[1].0, "verify-signature");
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].1["pluginConfig"], json!({"a": "b"}));
    assert_eq!(requests[1].1["signature"]["unprocessedAttributes"], Value::Null);
    assert_eq!(requests[1].1["signature"]["certificateChain"].as_array().unwrap().len(), 3);
}

/// What the plugin takes over is not judged here: an identity that isn't ours, say.
#[test]
fn a_plugin_replaces_the_checks_it_is_capable_of_and_no_others() {
    let host = host(&json!({}), false);
    let other = r#"["x509.subject: C=DE, ST=x, O=y"]"#;
    statement(&host, r#"{"level":"strict"}"#, other);
    for (capabilities, exit) in [
        (json!([IDENTITY, REVOCATION]), 0),
        (json!([IDENTITY]), 0),
        (json!([REVOCATION]), 12),
        (json!(["SIGNATURE_GENERATOR.RAW"]), 12),
        (json!([IDENTITY, IDENTITY]), 0),
    ] {
        host.plugin("v", &json!({"capabilities": capabilities}));
        host.run(&VERIFY).code(exit);
        let wanted: Vec<Value> = host
            .requests("v")
            .into_iter()
            .filter(|(command, _)| command == "verify-signature")
            .map(|(_, request)| request["trustPolicy"].clone())
            .collect();
        host.commands("v");
        if exit != 0 {
            assert!(wanted.is_empty(), "{capabilities}");
            continue;
        }
        let mut asked = capabilities.as_array().unwrap().clone();
        asked.dedup();
        let identities = json!(["x509.subject: C=DE, ST=x, O=y"]);
        assert_eq!(
            wanted,
            [json!({"trustedIdentities": identities, "signatureVerification": asked})]
        );
    }
}

/// rule N-25: an identity that only a plugin knows is for the plugin; without any nobody does.
#[test]
fn n25_identities_that_only_plugins_know() {
    let host = host(&json!({}), false);
    let identities = ["acme.group:release", "x509.subject: C=DE, ST=x, O=y"];
    statement(&host, r#"{"level":"strict"}"#, &json!(identities).to_string());
    host.plugin("v", &json!({}));
    host.run(&VERIFY).code(0);
    let (_, request) = host.requests("v").pop().unwrap();
    let mut asked: Vec<_> = request["trustPolicy"]["trustedIdentities"].as_array().unwrap().clone();
    asked.sort_by_key(ToString::to_string);
    assert_eq!(asked, identities);
    // Judged here, it matches nobody.
    host.plugin("v", &json!({"capabilities": [REVOCATION]}));
    refused(&host, 12, "does not match the trusted identities");
    for name in ["s", "v"] {
        host.run(&["plugin", "uninstall", "--yes", name]).code(0);
    }
    refused(&host, 12, "with an unknown prefix, only \"x509.subject\" is known");
}

#[test]
fn a_plugin_that_says_no_is_believed() {
    let host = host(&json!({}), false);
    for (capability, exit, message) in [
        (
            IDENTITY,
            12,
            "verification plugin \"v\" refuses SIGNATURE_VERIFIER.TRUSTED_IDENTITY: \"x\"",
        ),
        (
            REVOCATION,
            15,
            "verification plugin \"v\" refuses SIGNATURE_VERIFIER.REVOCATION_CHECK: \"x\"",
        ),
    ] {
        host.plugin("v", &json!({"results": {capability: [false, "x"]}}));
        refused(&host, exit, message);
        host.plugin("v", &json!({"results": {capability: "none"}}));
        refused(&host, exit, &format!("verification plugin \"v\" failed to verify {capability}"));
    }
    // The policy decides what a no means, but not what no answer means.
    statement(&host, r#"{"level":"audit"}"#, r#"["*"]"#);
    host.plugin("v", &json!({"results": {IDENTITY: [false, "x"], REVOCATION: [false, "y"]}}));
    let output = host.run(&VERIFY).code(0);
    let talk = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    for kind in ["authenticity", "revocation"] {
        assert!(talk.contains(&format!("warning: {kind} was set to \"log\"")), "{talk}");
    }
    host.plugin("v", &json!({"results": {IDENTITY: "none"}}));
    refused(&host, 12, "failed to verify");
}

#[test]
fn versions_are_compared_as_semver() {
    let version =
        |version: &str| json!({"io.cncf.notary.verificationPluginMinVersion": [version, true]});
    for (needed, installed, message) in [
        ("1.0.0", "1.0.0", None),
        ("1.0.0", "1.0.0+build", None),
        ("1.0.0+z", "1.0.0+a", None),
        ("1.9.0", "1.10.0", None),
        ("1.0.0-rc.1", "1.0.0", None),
        ("1.0.0", "1.0.0-rc.1", Some("needs plugin version greater than or equal to 1.0.0")),
        ("1.10.0", "1.9.0", Some("found plugin \"v\" with version 1.9.0 but")),
        ("1.0", "1.0.0", Some("demands plugin \"v\" in version \"1.0\", which is no valid SemVer")),
        ("v1.0.0", "1.0.0", Some("which is no valid SemVer")),
        ("1.0.0", "v1.0.0", Some("plugin \"v\" has version \"v1.0.0\", which is no valid SemVer")),
        ("1.0.0", "1", Some("which is no valid SemVer")),
    ] {
        let host = host(&version(needed), false);
        host.plugin("v", &json!({"version": installed}));
        match message {
            None => drop(host.run(&VERIFY).code(0)),
            Some(message) => refused(&host, 12, message),
        }
    }
}

/// N-01, and the reference's demand that the plugin knows the non-critical ones too.
#[test]
fn n01_extended_attributes_are_processed_or_refused() {
    let host =
        host(&json!({"example.crit": ["v", true], "example.noncrit": [{"a": 1}, false]}), false);
    host.plugin("v", &json!({}));
    host.run(&VERIFY).code(0);
    let (_, request) = host.requests("v").pop().unwrap();
    let attributes = &request["signature"]["criticalAttributes"];
    assert_eq!(
        attributes["extendedAttributes"],
        json!({"example.crit": "v", "example.noncrit": {"a": 1}})
    );
    assert_eq!(
        request["signature"]["unprocessedAttributes"],
        json!(["example.crit", "example.noncrit"])
    );
    for (processed, missing) in [
        (json!([]), "example.crit"),
        (json!(["example.crit"]), "example.noncrit"),
        (json!(["example.noncrit"]), "example.crit"),
        (json!(["EXAMPLE.CRIT", 1, null]), "example.crit"),
    ] {
        host.plugin("v", &json!({"processed": processed}));
        refused(&host, 12, &format!("extended attribute \"{missing}\" was not processed by"));
    }
    // Where the policy leaves nothing to ask, nobody processes anything (notation accepts that).
    statement(&host, r#"{"level":"strict","override":{"revocation":"skip"}}"#, r#"["*"]"#);
    host.plugin("v", &json!({"capabilities": [REVOCATION]}));
    host.commands("v");
    refused(
        &host,
        11,
        "critical attribute \"example.crit\" is not known, nor processed by a plugin",
    );
    assert_eq!(host.commands("v"), ["get-plugin-metadata"]);
}

#[test]
fn what_the_policy_skips_is_not_asked() {
    let host = host(&json!({}), false);
    statement(&host, r#"{"level":"strict","override":{"revocation":"skip"}}"#, r#"["*"]"#);
    host.plugin("v", &json!({"results": {REVOCATION: [false, "revoked"]}}));
    host.run(&VERIFY).code(0);
    let (_, request) = host.requests("v").pop().unwrap();
    assert_eq!(request["trustPolicy"]["signatureVerification"], json!([IDENTITY]));
    statement(&host, r#"{"level":"skip"}"#, "[]");
    host.commands("v");
    host.write(
        "config/trustpolicy.oci.json",
        r#"{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],"signatureVerification":{"level":"skip"}}]}"#,
    );
    host.run(&VERIFY).code(0);
    assert!(host.commands("v").is_empty());
}

#[test]
fn times_are_told_as_the_envelope_has_them() {
    for authority in [false, true] {
        let host = host(&json!({}), authority);
        host.plugin("v", &json!({}));
        host.run(&VERIFY).code(0);
        let (_, request) = host.requests("v").pop().unwrap();
        let attributes = request["signature"]["criticalAttributes"].as_object().unwrap();
        let members: Vec<_> = attributes.keys().map(String::as_str).collect();
        let expiry = attributes["expiry"].as_str().unwrap();
        assert!(expiry.starts_with("20") && expiry.ends_with('Z'), "{expiry}");
        match authority {
            false => assert_eq!(members, ["contentType", "signingScheme", "expiry"]),
            true => assert_eq!(
                members,
                ["contentType", "signingScheme", "expiry", "authenticSigningTime"]
            ),
        }
    }
    // The reference's own envelopes have no expiry; Go's zero time is sent.
    let host = Host::ready();
    host.plugin("foo", &json!({}));
    fs::copy(data("valid/ec256.x509-plugin.jws.sig"), host.path("a.sig")).unwrap();
    host.run(&VERIFY).code(0);
    let (_, request) = host.requests("foo").pop().unwrap();
    assert_eq!(request["signature"]["criticalAttributes"]["expiry"], "0001-01-01T00:00:00Z");
}

/// All of the reference's envelopes that demand a plugin.
#[test]
fn envelopes_of_the_reference_verify_with_their_plugin() {
    let host = Host::empty();
    host.trust_root();
    host.command(&["cert", "add", "-t", "signingAuthority", "-s", "notary"])
        .arg(data("valid/root.crt"))
        .assert()
        .success();
    statement(&host, r#"{"level":"strict"}"#, r#"["*"]"#);
    host.plugin("foo", &json!({}));
    let mut count = 0;
    for file in fs::read_dir(data("valid")).unwrap() {
        let path = file.unwrap().path();
        if !path.to_str().unwrap().contains("-plugin.") {
            continue;
        }
        let verify = host.command(&["verify", "--local", "--signature"]);
        verify.arg(&path).arg(MANIFEST).assert().code(0);
        count += 1;
    }
    assert_eq!(count, 16);
    host.plugin("foo", &json!({"version": "0.9.0"}));
    let verify = host.command(&["verify", "--local", "--signature"]);
    verify.arg(data("valid/ec256.sa-plugin.cose.sig")).arg(MANIFEST).assert().code(12);
}

/// security.md S17, N-02, F1: no program runs for a stranger, whatever it is called.
#[test]
fn s17_no_plugin_runs_before_the_signer_is_known() {
    let host = host(&json!({}), false);
    host.plugin("v", &json!({}));
    for verification in [r#"{"level":"strict"}"#, r#"{"level":"audit"}"#] {
        statement(&host, verification, r#"["*"]"#);
        fs::rename(host.path("config/truststore"), host.path("config/away")).unwrap();
        host.run(&VERIFY).code(12).stdout_eq(str![]);
        fs::create_dir(host.path("config/truststore")).unwrap();
        host.command(&["cert", "add", "-t", "ca", "-s", "notary"])
            .arg(data("valid/ts/root.crt"))
            .assert()
            .success();
        host.run(&VERIFY).code(12).stdout_eq(str![]);
        assert!(host.commands("v").is_empty(), "{verification}");
        fs::remove_dir_all(host.path("config/truststore")).unwrap();
        fs::rename(host.path("config/away"), host.path("config/truststore")).unwrap();
        host.run(&VERIFY).code(0);
        assert_eq!(host.commands("v"), ["get-plugin-metadata", "verify-signature"]);
    }
    // A broken signature.
    let mut signature = host.read("a.sig");
    let at = signature.len() - 20;
    signature[at] = if signature[at] == b'A' { b'B' } else { b'A' };
    host.write("a.sig", signature);
    host.run(&VERIFY).code(11);
    assert!(host.commands("v").is_empty());
    // The envelope that makes notation run `config/evil`, of a signer who is trusted.
    let host = Host::ready();
    host.executable("config/evil", "touch ran");
    host.executable("config/plugins/notation-../../evil", "touch ran");
    fs::copy(data("mutated/vp2.jws.sig"), host.path("a.sig")).unwrap();
    refused(&host, 12, "\"../../evil\" is no name of a plugin");
    assert!(!host.path("ran").exists());
}

#[test]
fn hostile_verifiers_vouch_for_nothing() {
    let metadata = format!(
        r#"{{"name":"v","description":"d","version":"1.0.0","url":"u","supportedContractVersions":["1.0"],"capabilities":["{IDENTITY}"]}}"#
    );
    for (answer, message) in [
        ("exec sleep 600", "has not ended after 1 seconds and was killed"),
        ("echo true", "unexpected content"),
        ("echo '{}'", "failed to verify"),
        ("echo null", "unexpected content"),
        (r#"echo '{"verificationResults":null,"processedAttributes":null}'"#, "failed to verify"),
        (&format!(r#"echo '{{"verificationResults":{{"{IDENTITY}":null}}}}'"#), "failed to verify"),
        (
            &format!(r#"echo '{{"verificationResults":{{"{IDENTITY}":{{}}}}}}'"#),
            "missing field `success`",
        ),
        (
            &format!(r#"echo '{{"verificationResults":{{"{IDENTITY}":{{"success":"true"}}}}}}'"#),
            "unexpected content",
        ),
        (
            &format!(
                r#"echo '{{"verificationResults":{{"{IDENTITY}":{{"success":false}},"{IDENTITY}":{{"success":true}}}}}}'"#
            ),
            "duplicate member",
        ),
        (
            &format!(
                r#"echo '{{"verificationResults":{{"{IDENTITY}":{{"success":false,"success":true}}}}}}'"#
            ),
            "duplicate member",
        ),
        (
            &format!(
                r#"echo '{{"verificationResults":{{"{}":{{"success":true}}}}}}'"#,
                IDENTITY.to_lowercase()
            ),
            "failed to verify",
        ),
        (
            &format!(
                r#"echo '{{"verificationResults":{{"{IDENTITY}":{{"success":true}}}}}}'; exit 1"#
            ),
            "ended with exit status: 1",
        ),
        (
            r#"echo '{"errorCode":"ERROR","errorMessage":"\u001b[2Jcleared"}' >&2; exit 1"#,
            "failed: ERROR:  [2Jcleared",
        ),
    ] {
        let host = host(&json!({}), false);
        let script = format!("case $1 in get*) echo '{metadata}';; *) {answer};; esac");
        host.script("v", &script);
        let verify = [&VERIFY[..], &["--plugin-timeout", "1s"]].concat();
        let output = host.run(&verify).code(12).stdout_eq(str![]);
        let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(error.contains(message), "{answer}: {error}");
    }
}
