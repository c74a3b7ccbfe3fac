//! `dockseal key`

use snapbox::str;

use crate::{Host, data};

#[test]
fn keys_are_added_listed_made_default_and_deleted() {
    let host = Host::empty();
    host.run(&["key", "list"])
        .code(0)
        .stdout_eq(str![[r#"
NAME   KEY PATH   CERTIFICATE PATH   ID   PLUGIN NAME   

"#]])
        .stderr_eq(str![]);
    for (name, options) in [("ec256", &[][..]), ("rsa2048", &["--default"])] {
        host.command(&["key", "add", name, "--key-file"])
            .arg(data(&format!("valid/{name}.key")))
            .arg("--cert-file")
            .arg(data(&format!("valid/{name}.chain.crt")))
            .args(options)
            .assert()
            .code(0)
            .stderr_eq(str![]);
    }
    host.run(&[
        "key",
        "add",
        "hsm",
        "--plugin",
        "com.example.hsm",
        "--id",
        "k1",
        "--plugin-config",
        "a=b",
    ])
    .code(0)
    .stdout_eq(str![[r#"
hsm

"#]]);
    // The columns are as wide as the paths, which differ from host to host.
    let list = host.run(&["key", "ls"]).code(0).stderr_eq(str![]).get_output().stdout.clone();
    let list = String::from_utf8(list).unwrap();
    let widths: Vec<usize> = list.lines().map(str::len).collect();
    assert!(widths.iter().all(|width| *width == widths[0]), "{list}");
    let list = list.replace(&data("").display().to_string(), "DATA/");
    let words: Vec<Vec<&str>> =
        list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        words,
        [
            &["NAME", "KEY", "PATH", "CERTIFICATE", "PATH", "ID", "PLUGIN", "NAME"][..],
            &["ec256", "DATA/valid/ec256.key", "DATA/valid/ec256.chain.crt"],
            &["*", "rsa2048", "DATA/valid/rsa2048.key", "DATA/valid/rsa2048.chain.crt"],
            &["hsm", "k1", "com.example.hsm"],
        ]
    );
    host.run(&["key", "update", "--default", "ec256"]).code(0).stdout_eq(str![[r#"
ec256: marked as default

"#]]);
    host.run(&["key", "update", "ec256"]).code(0).stdout_eq(str![]).stderr_eq(str![[r#"
warning: --default flag is not set, nothing is updated

"#]]);
    host.run(&["key", "update", "--default", "none"]).code(20).stderr_eq(str![[r#"
error: signing key none not found
hint: dockseal key list

"#]]);
    host.run(&["key", "delete", "hsm", "none"]).code(20).stdout_eq(str![]).stderr_eq(str![[r#"
error: signing key none not found
hint: dockseal key list

"#]]);
    host.run(&["key", "delete", "hsm", "ec256"])
        .code(0)
        .stdout_eq(str![[r#"
Removed hsm from the key list. The source key still exists.
Removed default key ec256 from the key list. The source key still exists.

"#]])
        .stderr_eq(str![]);
    assert_eq!(
        String::from_utf8(host.read("config/signingkeys.json")).unwrap(),
        format!(
            "{{\n    \"keys\": [\n        {{\n            \"name\": \"rsa2048\",\n            \"keyPath\": \"{}\",\n            \"certPath\": \"{}\"\n        }}\n    ]\n}}\n",
            data("valid/rsa2048.key").display(),
            data("valid/rsa2048.chain.crt").display()
        )
    );
}

#[test]
fn a_pair_that_does_not_fit_is_not_added() {
    let host = Host::empty();
    host.command(&["key", "add", "x", "--key-file"])
        .arg(data("valid/ec256.key"))
        .arg("--cert-file")
        .arg(data("valid/rsa2048.chain.crt"))
        .assert()
        .code(20)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: private key does not match the certificate "CN=leaf-rsa2048,O=Notary,L=Seattle,ST=WA,C=US"
  key: [DATA]valid/ec256.key
  certificates: [DATA]valid/rsa2048.chain.crt
hint: PEM is expected, and the certificate of the key first: head -n 1 [DATA]valid/ec256.key [DATA]valid/rsa2048.chain.crt

"#]]);
    for arguments in [
        &["key", "add", "x"][..],
        &["key", "add", "x", "--key-file", "k"],
        &["key", "add", "x", "--plugin", "p"],
        &["key", "add", "x", "--id", "p"],
        &["key", "delete"],
    ] {
        host.run(arguments).code(2).stdout_eq("");
    }
    assert!(!host.path("config/signingkeys.json").exists());
}

#[test]
fn s6_a_malformed_list_is_refused() {
    let host = Host::empty();
    host.write("config/signingkeys.json", r#"{"keys":[{"name":"a","Name":"b"}]}"#);
    host.run(&["key", "list"]).code(20).stdout_eq(str![]).stderr_eq(str![[r#"
error: malformed [HOST]/config/signingkeys.json: member "Name" differs only in letter case from "name" at byte 21
hint: dockseal doctor

"#]]);
}
