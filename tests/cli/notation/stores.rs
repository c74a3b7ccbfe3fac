//! Trust stores and policies.

use snapbox::str;

use super::{Notation, errors};
use crate::data;

#[test]
fn certificates_of_trust_stores() {
    let notation = Notation::ready();
    notation.host.write("inter.crt", std::fs::read(data("valid/inter.crt")).unwrap());
    let add = ["cert", "add", "-t", "ca", "-s", "notary", "inter.crt"];
    notation
        .plain(&add)
        .code(0)
        .stdout_eq(str![[r#"
Successfully added following certificates to named store notary of type ca:
inter.crt

"#]])
        .stderr_eq("");
    notation.plain(&add).code(1).stdout_eq("").stderr_eq(str![[r#"
Error: Failed to add following certificates to named store notary of type ca:
inter.crt, with error "certificate already exists in the Trust Store"


"#]]);
    notation.plain(&[&add[..6], &["nofile"]].concat()).code(1).stdout_eq("").stderr_eq(str![[r#"
Error: Failed to add following certificates to named store notary of type ca:
nofile, with error "open [HOST]/nofile: no such file or directory"


"#]]);
    notation
        .plain(&["cert", "ls"])
        .code(0)
        .stdout_eq(str![[r#"
STORE TYPE   STORE NAME   CERTIFICATE   
ca           notary       inter.crt     
ca           notary       root.crt      

"#]])
        .stderr_eq("");
    notation.plain(&["cert", "list", "--type", "ca", "--store", "notary"]).code(0).stdout_eq(str![
        [r#"
STORE TYPE   STORE NAME   CERTIFICATE   
ca           notary       inter.crt     
ca           notary       root.crt      

"#]
    ]);
    let show = ["cert", "show", "-t", "ca", "-s", "notary"];
    notation.plain(&[&show[..], &["root.crt"]].concat()).code(0).stdout_eq(str![[r#"
Certificate details
--------------------------------------------------------------------------------
Issuer: CN=root,O=Notary,L=Seattle,ST=WA,C=US
Subject: CN=root,O=Notary,L=Seattle,ST=WA,C=US
Valid from: 2026-01-01 00:00:00 +0000 UTC
Valid to: 2046-01-01 00:00:00 +0000 UTC
IsCA: true
SHA256 Thumbprint: c2f8b291fa2ccb697c659c4096f7d416c9fa9cb25e332df0ce91279e3dc62d65

"#]]);
    notation.plain(&[&show[..], &["nofile"]].concat()).code(1).stderr_eq(str![[r#"
Error: failed to show details of certificate nofile, with error: open [HOST]/config/truststore/x509/ca/notary/nofile: no such file or directory

"#]]);
    let delete = ["cert", "delete", "-t", "ca", "-s", "notary"];
    notation.plain(&[&delete[..], &["root.crt"]].concat()).code(0).stdout_eq(str![[
        r#"Are you sure you want to delete "root.crt" in "notary" of type "ca"? [y/N] "#
    ]]);
    notation.plain(&[&delete[..], &["nofile", "-y"]].concat()).code(1).stderr_eq(str![[r#"
Error: failed to delete the certificate file: stat [HOST]/config/truststore/x509/ca/notary/nofile: no such file or directory

"#]]);
    let command = notation.command(&[&delete[..], &["inter.crt"]].concat());
    command.stdin("y\n").assert().code(0).stdout_eq(str![[r#"
Are you sure you want to delete "inter.crt" in "notary" of type "ca"? [y/N] Successfully deleted inter.crt from trust store notary of type ca

"#]]);
    notation.plain(&[&delete[..], &["-a", "-y"]].concat()).code(0).stdout_eq(str![[r#"
Successfully deleted [HOST]/config/truststore/x509/ca/notary

"#]]);
    notation.plain(&[&delete[..], &["-a", "-y"]].concat()).code(1).stderr_eq(str![[r#"
Error: failed to delete the named trust store: the trust store "notary" of type "ca" does not exist

"#]]);
}

const SKIP: &str = r#"{"version":"1.0","trustPolicies":[{"name":"skip","registryScopes":["*"],"signatureVerification":{"level":"skip"}}]}"#;

#[test]
fn the_policy_for_images() {
    let notation = Notation::empty();
    notation.plain(&["policy", "show"]).code(1).stdout_eq("").stderr_eq(str![[r#"
Error: failed to show OCI trust policy as the configuration does not exist.
You can import one using `notation policy import <path-to-policy.json>`

"#]]);
    notation.host.write("malformed.json", "{");
    notation.host.write("scope.json", SKIP.replace('*', "no scope"));
    notation.host.write("skip.json", SKIP);
    notation.host.write("other.json", SKIP.replace("skip\",", "other\","));
    let lines =
        ["policy import nofile", "policy import malformed.json", "policy import scope.json"];
    snapbox::assert_data_eq!(
        errors(&notation, &lines),
        str![[r#"
$ notation policy import nofile
Error: failed to read OCI trust policy configuration: open nofile: no such file or directory
$ notation policy import malformed.json
Error: failed to parse OCI trust policy configuration: malformed oci trust policy: invalid JSON: a string expected at byte 1
$ notation policy import scope.json
Error: failed to validate OCI trust policy configuration: registry scope "no scope" is not valid, make sure it is a fully qualified repository without the scheme, protocol or tag. For example domain.com/my/repository or a local scope like local/myOCILayout

"#]]
    );
    notation
        .plain(&["policy", "import", "skip.json"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully imported OCI trust policy configuration to [HOST]/config/trustpolicy.oci.json.

"#]])
        .stderr_eq("");
    let import = ["policy", "import", "other.json"];
    notation
        .plain(&import)
        .code(0)
        .stdout_eq(str![
            "The OCI trust policy configuration already exists, do you want to overwrite it? [y/N] "
        ])
        .stderr_eq("");
    notation.command(&import).stdin("N\n").assert().code(0);
    notation.plain(&["policy", "show"]).code(0).stdout_eq(SKIP).stderr_eq("");
    notation.command(&import).stdin("Y\n").assert().code(0).stdout_eq(str![[r#"
The OCI trust policy configuration already exists, do you want to overwrite it? [y/N] Successfully imported OCI trust policy configuration to [HOST]/config/trustpolicy.oci.json.

"#]]);
    notation
        .plain(&["policy", "import", "--force", "skip.json"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully imported OCI trust policy configuration to [HOST]/config/trustpolicy.oci.json.

"#]])
        .stderr_eq(str![[r#"
Warning: existing OCI trust policy configuration will be overwritten

"#]]);
    // What is invalid is shown all the same, and replaced without a question.
    notation.host.write("config/trustpolicy.oci.json", "{");
    notation.plain(&["policy", "show"]).code(1).stdout_eq("{").stderr_eq(str![[r#"
Existing OCI trust policy configuration is invalid, you may update or create a new one via `notation policy import <path-to-policy.json>`. See https://github.com/notaryproject/specifications/blob/8cf800c60b7315a43f0adbcae463d848a353b412/specs/trust-store-trust-policy.md#trust-policy-for-oci-artifacts for a trust policy example.
Error: malformed oci trust policy: invalid JSON: a string expected at byte 1

"#]]);
    notation.plain(&["policy", "import", "skip.json"]).code(0).stdout_eq(str![[r#"
Successfully imported OCI trust policy configuration to [HOST]/config/trustpolicy.oci.json.

"#]]);
}

#[test]
fn an_old_policy_that_stays_is_told() {
    let notation = Notation::empty();
    notation.host.write("config/trustpolicy.json/placeholder", "");
    notation.host.write("skip.json", SKIP);
    notation
        .plain(&["policy", "import", "--force", "skip.json"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully imported OCI trust policy configuration to [HOST]/config/trustpolicy.oci.json.

"#]])
        .stderr_eq(str![[r#"
Warning: existing OCI trust policy configuration will be overwritten
Warning: failed to clean old trust policy configuration trustpolicy.json: remove [HOST]/config/trustpolicy.json: is a directory

"#]]);
}

#[test]
fn the_policy_for_files() {
    let notation = Notation::empty();
    notation.plain(&["blob", "policy", "show"]).code(1).stdout_eq("").stderr_eq(str![[r#"
Error: failed to show blob trust policy as the configuration does not exist.
You can import one using `notation blob policy import <path-to-policy.json>`

"#]]);
    let lines = [
        "blob policy import",
        "blob policy import a b",
        "blob policy import nofile",
        "blob policy init",
        "blob policy init --name p --trusted-identity *",
        "blob policy init --name p --trust-store ca:e2e",
        "blob policy init --name p --trust-store ca:e2e --trusted-identity x",
    ];
    snapbox::assert_data_eq!(
        errors(&notation, &lines),
        str![[r#"
$ notation blob policy import
Error: requires 1 argument but received 0.
Usage: notation blob policy import <path-to-policy.json>
Please specify a trust policy configuration location as the argument
$ notation blob policy import a b
Error: requires 1 argument but received 2.
Usage: notation blob policy import <path-to-policy.json>
Please specify a trust policy configuration location as the argument
$ notation blob policy import nofile
Error: failed to read blob trust policy file: open nofile: no such file or directory
$ notation blob policy init
Error: required flag(s) "name", "trust-store", "trusted-identity" not set
$ notation blob policy init --name p --trusted-identity *
Error: required flag(s) "trust-store" not set
$ notation blob policy init --name p --trust-store ca:e2e
Error: required flag(s) "trusted-identity" not set
$ notation blob policy init --name p --trust-store ca:e2e --trusted-identity x
Error: invalid blob policy: blob trust policy: trust policy statement "p" has trusted identity "x" missing separator

"#]]
    );
    let init = [
        "blob",
        "policy",
        "init",
        "--global",
        "--name",
        "testpolicy",
        "--trust-store",
        "ca:testcert",
        "--trusted-identity",
        "x509.subject: CN=testcert,O=Notary,L=Seattle,ST=WA,C=US",
    ];
    notation
        .plain(&init)
        .code(0)
        .stdout_eq(str![[r#"
Successfully initialized blob trust policy file to [HOST]/config/trustpolicy.blob.json.

"#]])
        .stderr_eq("");
    notation.plain(&["blob", "policy", "show"]).code(0).stdout_eq(str![[r#"
{
  "version": "1.0",
  "trustPolicies": [
    {
      "name": "testpolicy",
      "signatureVerification": {
        "level": "strict"
      },
      "trustStores": [
        "ca:testcert"
      ],
      "trustedIdentities": [
        "x509.subject: CN=testcert,O=Notary,L=Seattle,ST=WA,C=US"
      ],
      "globalPolicy": true
    }
  ]
}
"#]]);
    notation.plain(&init).code(0).stdout_eq(str!["The blob trust policy configuration already exists, do you want to overwrite it? [y/N] "]).stderr_eq("");
    notation
        .plain(&[&init[..], &["--force"]].concat())
        .code(0)
        .stdout_eq(str![[r#"
Successfully initialized blob trust policy file to [HOST]/config/trustpolicy.blob.json.

"#]])
        .stderr_eq(str![[r#"
Warning: existing blob trust policy configuration will be overwritten

"#]]);
    let bytes = notation.host.read("config/trustpolicy.blob.json");
    notation.host.write("policy.json", bytes);
    let import = ["blob", "policy", "import", "policy.json"];
    notation.command(&import).stdin("yes\n").assert().code(0).stdout_eq(str![[r#"
The blob trust policy configuration already exists, do you want to overwrite it? [y/N] Successfully imported blob trust policy configuration to [HOST]/config/trustpolicy.blob.json.

"#]]);
    notation.host.write("config/trustpolicy.blob.json", "{");
    notation.plain(&["blob", "policy", "show"]).code(1).stdout_eq("{").stderr_eq(str![[r#"
Existing blob trust policy configuration is invalid, you may update or create a new one via `notation blob policy import <path-to-policy.json>`. See https://github.com/notaryproject/specifications/blob/8cf800c60b7315a43f0adbcae463d848a353b412/specs/trust-store-trust-policy.md#trust-policy-for-blobs for a blob trust policy example.
Error: malformed blob trust policy: invalid JSON: a string expected at byte 1

"#]]);
    notation
        .plain(&import)
        .code(0)
        .stdout_eq(str![[r#"
Successfully imported blob trust policy configuration to [HOST]/config/trustpolicy.blob.json.

"#]])
        .stderr_eq("");
}
