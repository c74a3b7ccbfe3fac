//! `dockseal policy`

use snapbox::str;

use crate::Host;

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
hint: the same command with --force

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
