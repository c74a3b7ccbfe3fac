//! `dockseal cert`

use snapbox::str;

use crate::{Host, MANIFEST, data};

#[test]
fn a_test_certificate_signs_and_is_cleaned_up() {
    let host = Host::empty();
    host.run(&["cert", "generate-test", "--default", "wabbit-networks.io"])
        .code(0)
        .stdout_eq(str![[r#"
generating RSA Key with 2048 bits
generated certificate expiring on [TIME]
wrote key: [HOST]/config/localkeys/wabbit-networks.io.key
wrote certificate: [HOST]/config/localkeys/wabbit-networks.io.crt
Successfully added wabbit-networks.io.crt to named store wabbit-networks.io of type ca
wabbit-networks.io: added to the key list
wabbit-networks.io: marked as default signing key

"#]])
        .stderr_eq(str![]);
    host.run(&["policy", "init", "--name", "test", "--trust-store", "ca:wabbit-networks.io"])
        .code(0);
    host.run(&["sign", "--local", MANIFEST]).code(0);
    host.run(&["verify", "--local", MANIFEST]).code(0);
    host.run(&["cert", "generate-test", "wabbit-networks.io"])
        .code(20)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: signing key with name "wabbit-networks.io" already exists
hint: dockseal cert cleanup-test wabbit-networks.io

"#]]);
    host.run(&["cert", "cleanup-test", "wabbit-networks.io"]).code(2).stdout_eq(str![]).stderr_eq(
        str![[r#"
error: there is no terminal to ask for confirmation
hint: dockseal cert cleanup-test wabbit-networks.io --yes

"#]],
    );
    host.run(&["cert", "cleanup-test", "-y", "wabbit-networks.io"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully deleted wabbit-networks.io.crt from trust store wabbit-networks.io of type ca
Successfully removed key wabbit-networks.io from the key list
Successfully deleted key file: [HOST]/config/localkeys/wabbit-networks.io.key
Successfully deleted certificate file: [HOST]/config/localkeys/wabbit-networks.io.crt
Cleanup completed successfully

"#]])
        .stderr_eq(str![]);
    host.run(&["cert", "cleanup-test", "-y", "wabbit-networks.io"]).code(0).stdout_eq(str![[r#"
Certificate wabbit-networks.io.crt does not exist in trust store wabbit-networks.io of type ca
Key wabbit-networks.io does not exist in the key list
Key file [HOST]/config/localkeys/wabbit-networks.io.key does not exist
Certificate file [HOST]/config/localkeys/wabbit-networks.io.crt does not exist
Cleanup completed successfully

"#]]);
    host.run(&["verify", "--local", MANIFEST]).code(12);
}

#[cfg(unix)]
#[test]
fn private_files_are_private() {
    use std::os::unix::fs::PermissionsExt as _;

    let host = Host::empty();
    host.run(&["cert", "generate-test", "n"]).code(0);
    for (path, mode) in [
        ("config/localkeys/n.key", 0o600),
        ("config/localkeys/n.crt", 0o644),
        ("config/signingkeys.json", 0o600),
        ("config/truststore/x509/ca/n/n.crt", 0o600),
        ("config/truststore/x509/ca/n", 0o700),
        ("config", 0o700),
    ] {
        let found = host.path(path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{path}");
    }
}

#[test]
fn certificates_are_added_listed_shown_and_deleted() {
    let host = Host::empty();
    host.command(&["cert", "add", "-t", "ca", "-s", "notary"])
        .arg(data("valid/root.crt"))
        .arg(data("valid/inter.crt"))
        .assert()
        .code(0)
        .stdout_eq(str![[r#"
Successfully added following certificates to named store notary of type ca:
[DATA]valid/root.crt
[DATA]valid/inter.crt

"#]])
        .stderr_eq(str![]);
    host.command(&["cert", "add", "-t", "ca", "-s", "notary"])
        .arg(data("valid/root.crt"))
        .arg(data("README.md"))
        .assert()
        .code(20)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: Failed to add following certificates to named store notary of type ca:
  [DATA]valid/root.crt, with error "certificate already exists in the Trust Store"
  [DATA]README.md, with error "certificate 0 of the file: certificate is malformed: unknown/unsupported ASN.1 DER tag: 0x23 at DER byte 1"
hint: dockseal cert show --type ca --store notary root.crt

"#]]);
    host.command(&["cert", "add", "-t", "tsa", "-s", "notary"])
        .arg(data("valid/inter.crt"))
        .assert()
        .code(20)
        .stderr_eq(str![[r#"
error: Failed to add following certificates to named store notary of type tsa:
  [DATA]valid/inter.crt, with error "certificate with subject /"CN=inter,O=Notary,L=Seattle,ST=WA,C=US/" is not a root CA certificate"
hint: openssl x509 -noout -text -in [DATA]valid/inter.crt

"#]]);
    host.run(&["cert", "list"])
        .code(0)
        .stdout_eq(str![[r#"
STORE TYPE   STORE NAME   CERTIFICATE   
ca           notary       inter.crt     
ca           notary       root.crt      

"#]])
        .stderr_eq(str![]);
    host.run(&["cert", "ls", "-t", "tsa"]).code(0).stdout_eq(str![[r#"
STORE TYPE   STORE NAME   CERTIFICATE   

"#]]);
    host.run(&["cert", "show", "-t", "ca", "-s", "notary", "root.crt"])
        .code(0)
        .stdout_eq(str![[r#"
Certificate details
--------------------------------------------------------------------------------
Issuer: CN=root,O=Notary,L=Seattle,ST=WA,C=US
Subject: CN=root,O=Notary,L=Seattle,ST=WA,C=US
Valid from: 2026-01-01 00:00:00 +0000 UTC
Valid to: 2046-01-01 00:00:00 +0000 UTC
IsCA: true
SHA256 Thumbprint: c2f8b291fa2ccb697c659c4096f7d416c9fa9cb25e332df0ce91279e3dc62d65

"#]])
        .stderr_eq(str![]);
    host.run(&["cert", "delete", "-t", "ca", "-s", "notary", "-y", "root.crt"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully deleted root.crt from trust store notary of type ca

"#]])
        .stderr_eq(str![]);
    host.run(&["cert", "delete", "-t", "ca", "-s", "notary", "-y", "root.crt"])
        .code(20)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: failed to delete the certificate file: failed to delete [HOST]/config/truststore/x509/ca/notary/root.crt: No such file or directory (os error 2)
hint: dockseal cert list

"#]]);
    host.run(&["cert", "delete", "-t", "ca", "-s", "notary", "-y", "--all"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully deleted [HOST]/config/truststore/x509/ca/notary

"#]])
        .stderr_eq(str![]);
}

/// Rule N-03.
#[test]
fn n03_names_stay_in_their_directories() {
    let host = Host::ready();
    for arguments in [
        &["cert", "show", "-t", "ca", "-s", "..", "x"][..],
        &["cert", "show", "-t", "ca", "-s", "notary", "../../../../signingkeys.json"],
        &["cert", "delete", "-y", "-t", "ca", "-s", "notary", "../../../../signingkeys.json"],
        &["cert", "delete", "-y", "-t", "ca", "-s", ".", "--all"],
        &["cert", "generate-test", "../x"],
        &["cert", "cleanup-test", "-y", ".."],
    ] {
        let output = host.run(arguments);
        assert!(!output.get_output().status.success(), "{arguments:?}");
    }
    assert!(host.path("config/signingkeys.json").exists());
    assert!(host.path("config/truststore/x509/ca/notary/root.crt").exists());
}
