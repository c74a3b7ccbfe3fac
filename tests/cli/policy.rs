//! `dockseal policy`

use snapbox::str;

use crate::{Host, MANIFEST};

const POLICY: &str = r#"{"version":"1.0","trustPolicies":[{"name":"a","registryScopes":["*"],"signatureVerification":{"level":"skip"}}]}"#;

#[test]
fn a_policy_is_initialised_shown_and_replaced() {
    let host = Host::empty();
    host.run(&["policy", "show"]).code(12).stdout_eq(str![]).stderr_eq(str![[r#"
error: oci trust policy is not present at [HOST]/config/trustpolicy.oci.json
hint: dockseal policy init --name NAME --trust-store ca:STORE

"#]]);
    host.run(&[
        "policy",
        "init",
        "--name",
        "net",
        "--trust-store",
        "ca:notary",
        "--trusted-identity",
        "x509.subject:C=US,ST=WA,O=Notary",
        "--scope",
        "local/net-monitor",
    ])
    .code(0)
    .stdout_eq(str![[r#"
Successfully initialized OCI trust policy with statement "net".

"#]])
    .stderr_eq(str![[r#"
wrote [HOST]/config/trustpolicy.oci.json

"#]]);
    host.run(&["policy", "show"])
        .code(0)
        .stdout_eq(str![[r#"
{
  "version": "1.0",
  "trustPolicies": [
    {
      "name": "net",
      "registryScopes": [
        "local/net-monitor"
      ],
      "signatureVerification": {
        "level": "strict"
      },
      "trustStores": [
        "ca:notary"
      ],
      "trustedIdentities": [
        "x509.subject:C=US,ST=WA,O=Notary"
      ]
    }
  ]
}

"#]])
        .stderr_eq(str![[r#"
[HOST]/config/trustpolicy.oci.json

"#]]);
    host.run(&["policy", "init", "--name", "net", "--trust-store", "ca:notary"])
        .code(2)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: there is no terminal to ask for confirmation
hint: dockseal policy init --name net --trust-store ca:notary --force

"#]]);
    host.write("new.json", POLICY);
    host.write("config/trustpolicy.json", POLICY);
    host.run(&["policy", "import", "--force", "new.json"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully imported OCI trust policy file.

"#]])
        .stderr_eq(str![[r#"
trustpolicy.json is removed, notation 1.x has no policy now (--also-legacy keeps one)
wrote [HOST]/config/trustpolicy.oci.json

"#]]);
    assert_eq!(host.read("config/trustpolicy.oci.json"), POLICY.as_bytes());
    assert!(!host.path("config/trustpolicy.json").exists());
    host.run(&["policy", "import", "--force", "--also-legacy", "new.json"]).code(0);
    assert_eq!(host.read("config/trustpolicy.json"), POLICY.as_bytes());
}

#[test]
fn what_is_no_policy_is_not_imported() {
    let host = Host::empty();
    for (text, _) in [
        ("no json", 0),
        (r#"{"version":"1.0","trustPolicies":[]}"#, 0),
        (r#"{"version":"1.0","version":"1.0","trustPolicies":[]}"#, 0),
    ] {
        host.write("new.json", text);
        host.run(&["policy", "import", "--force", "new.json"]).code(12).stdout_eq("");
    }
    host.run(&["policy", "init", "--name", "a", "--trust-store", "ca:.."])
        .code(12)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: oci trust policy: trust policy statement "a" uses an unsupported trust store name ".." in trust store value "ca:..". Named store name needs to follow [a-zA-Z0-9_.-]+ format
hint: dockseal help policy

"#]]);
    assert!(!host.path("config").exists());
}

#[test]
fn an_invalid_policy_is_shown_with_its_fault() {
    let host = Host::empty();
    host.write("config/trustpolicy.json", r#"{"version":"1.0"}"#);
    host.run(&["policy", "show"]).code(12).stdout_eq(str![[r#"{"version":"1.0"}"#]]).stderr_eq(str![[r#"
[HOST]/config/trustpolicy.json
error: oci trust policy document can not have zero trust policy statements (in [HOST]/config/trustpolicy.json)
hint: dockseal policy import POLICY.json

"#]]);
}

/// rule N-26: who else may write there decides whom is trusted.
#[cfg(unix)]
#[test]
fn n26_trust_that_others_may_change_is_told_or_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let host = Host::ready();
    host.run(&["sign", "--local", MANIFEST]).code(0);
    let change = |path: &str, mode: u32| {
        std::fs::set_permissions(host.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let verify = ["verify", "--local", MANIFEST];
    let strict = [&verify[..], &["--strict-perms"]].concat();
    host.run(&strict).code(0);
    let certificate = std::fs::read_dir(host.path("config/truststore/x509/ca/notary"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .next()
        .unwrap();
    let certificate = format!("config/truststore/x509/ca/notary/{certificate}");
    for (path, mode, good) in [
        ("config", 0o720, 0o700),
        ("config/trustpolicy.oci.json", 0o602, 0o600),
        ("config/truststore", 0o770, 0o700),
        ("config/truststore/x509", 0o770, 0o700),
        ("config/truststore/x509/ca", 0o707, 0o700),
        ("config/truststore/x509/ca/notary", 0o770, 0o700),
        (&certificate, 0o664, 0o644),
    ] {
        change(path, mode);
        let told = format!(
            "{} can be changed by others than its owner (mode {mode:04o})",
            host.path(path).display()
        );
        let output = host.run(&verify).code(0);
        let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert!(said.contains(&format!("warning: {told}\n")), "{path}: {said}");
        let output = host.run(&strict).code(12).stdout_eq("");
        let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert!(said.contains(&format!("error: {told}\nhint: chmod go-w ")), "{path}: {said}");
        change(path, good);
        host.run(&strict).code(0);
    }
    // What signs is no less precious.
    let sign = ["sign", "--local", MANIFEST, "--strict-perms"];
    host.run(&sign).code(0);
    change("config/signingkeys.json", 0o620);
    host.run(&sign).code(12).stdout_eq("");
    change("config/signingkeys.json", 0o600);
    // A store that the policy does not name is not looked at.
    host.command(&["cert", "add", "-t", "ca", "-s", "other"])
        .arg(crate::data("valid/root.crt"))
        .assert()
        .code(0);
    change("config/truststore/x509/ca/other", 0o777);
    host.run(&strict).code(0);
}
