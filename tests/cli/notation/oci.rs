//! Artifacts in OCI layouts.

use snapbox::str;

use super::{DIGEST, Notation};
use crate::data;

fn at_digest() -> String {
    format!("lay@{DIGEST}")
}

#[test]
fn layouts_are_experimental() {
    let notation = Notation::ready();
    let reference = at_digest();
    notation.plain(&["sign", "--oci-layout", &reference]).code(1).stdout_eq("").stderr_eq(str![[r#"
Error: flag(s) --oci-layout in "notation sign" is experimental and not enabled by default. To use, please set NOTATION_EXPERIMENTAL=1 environment variable

"#]]);
    notation
        .plain(&["verify", "--oci-layout", "--scope", "local/e2e", &reference])
        .code(1)
        .stdout_eq("")
        .stderr_eq(str![[r#"
Error: flag(s) --oci-layout,--scope in "notation verify" is experimental and not enabled by default. To use, please set NOTATION_EXPERIMENTAL=1 environment variable

"#]]);
    notation.plain(&["ls", "--oci-layout", &reference]).code(1).stdout_eq("").stderr_eq(str![[r#"
Error: flag(s) --oci-layout in "notation list" is experimental and not enabled by default. To use, please set NOTATION_EXPERIMENTAL=1 environment variable

"#]]);
    notation
        .command(&["list", "--oci-layout", &reference])
        .env("NOTATION_EXPERIMENTAL", "true")
        .assert()
        .code(1);
    notation.run(&["verify", "--oci-layout", &reference]).code(1).stdout_eq("").stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"
Error: if any flags in the group [oci-layout scope] are set they must all be set; missing [scope]

"#]]);
    notation.run(&["verify", "--scope", "a/b", "lay:v1"]).code(1).stdout_eq("").stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"
Error: if any flags in the group [oci-layout scope] are set they must all be set; missing [oci-layout]

"#]]);
}

#[test]
fn a_layout_is_signed_listed_and_verified() {
    let notation = Notation::ready();
    let reference = at_digest();
    let verify = ["verify", "--oci-layout", "--scope", "local/e2e"];
    notation.run(&["list", "--oci-layout", &reference]).code(0).stdout_eq(str![[r#"
lay@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 has no associated signatures

"#]]);
    notation.run(&[&verify[..], &[&reference]].concat()).code(1).stdout_eq("").stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"
Error: signature verification failed: no signature is associated with "local/e2e@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707", make sure the artifact was signed successfully

"#]]);
    notation.run(&["sign", "--oci-layout", &reference]).code(0).stdout_eq(str![[r#"
Successfully signed lay@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707
Pushed the signature to lay@sha256:[..]

"#]]).stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"

"#]]);
    notation
        .run(&["sign", "--oci-layout", "--signature-format", "cose", "-e", "1.5h", "lay:v1"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully signed lay@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707
Pushed the signature to lay@sha256:[..]

"#]])
        .stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"
Warning: Always sign the artifact using digest(@sha256:...) rather than a tag(:v1) because tags are mutable and a tag reference can point to a different artifact than the one signed.

"#]]);
    notation.run(&["list", "--oci-layout", "lay:v1"]).code(0).stdout_eq(str![[r#"
lay@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707
└── application/vnd.cncf.notary.signature
    ├── sha256:[..]
    └── sha256:[..]

"#]]).stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"
Warning: Always list the artifact using digest(@sha256:...) rather than a tag(:v1) because resolved digest may not point to the same signed artifact, as tags are mutable.

"#]]);
    notation
        .run(&["list", "--oci-layout", "--max-signatures", "1", &reference])
        .code(0)
        .stdout_eq(str![[r#"
lay@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707
└── application/vnd.cncf.notary.signature
    └── sha256:[..]

"#]])
        .stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"
Warning: exceeded configured limit of max signatures 1 to examine

"#]]);
    notation
        .run(&[&verify[..], &[&reference]].concat())
        .code(0)
        .stdout_eq(str![[r#"
Successfully verified signature for lay@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]])
        .stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"

"#]]);
    notation.run(&[&verify[..], &["lay:v1"]].concat()).code(0).stdout_eq(str![[r#"

Successfully verified signature for lay@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]).stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"
Warning: Always verify the artifact using digest(@sha256:...) rather than a tag(:v1) because resolved digest may not point to the same signed artifact, as tags are mutable.

"#]]);
}

#[test]
fn metadata_is_demanded_and_shown() {
    let notation = Notation::ready();
    let reference = at_digest();
    notation
        .run(&["sign", "--oci-layout", "-m", "a=b", "-m", "io.example.k=v", &reference])
        .code(0);
    let verify = ["verify", "--oci-layout", "--scope", "local/e2e", reference.as_str()];
    notation.run(&[&verify[..], &["-m", "a=b"]].concat()).code(0).stdout_eq(str![[r#"
Successfully verified signature for lay@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

The artifact was signed with the following user metadata.

KEY            VALUE   
a              b       
io.example.k   v       

"#]]);
    notation.run(&[&verify[..], &["-m", "a=c"]].concat()).code(1).stdout_eq("").stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"
Error: signature verification failed for all the signatures associated with lay@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]);
    notation.run(&[&verify[..], &["-m", "a"]].concat()).code(1).stdout_eq("").stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"
Error: could not parse flag user-metadata: key-value pair requires "=" as separator

"#]]);
    notation
        .run(&["sign", "--oci-layout", "-m", "io.cncf.notary.x=y", &reference])
        .code(1)
        .stdout_eq("")
        .stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"
Error: error adding user metadata: metadata key io.cncf.notary.x has reserved prefix io.cncf.notary

"#]]);
}

#[test]
fn levels_of_the_policy() {
    let notation = Notation::ready();
    let reference = at_digest();
    notation.run(&["sign", "--oci-layout", &reference]).code(0);
    let verify = ["verify", "--oci-layout", "--scope", "local/e2e", reference.as_str()];
    std::fs::rename(
        notation.host.path("config/truststore/x509/ca/notary"),
        notation.host.path("config/truststore/x509/ca/other"),
    )
    .unwrap();
    notation.run(&verify).code(1).stdout_eq("").stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"
Error: the trust store "notary" of type "ca" does not exist. Use command 'notation cert add' to create and add trusted certificates to the trust store

"#]]);
    notation.host.policy(r#""audit""#);
    notation.run(&verify).code(0).stdout_eq(str![[r#"

Successfully verified signature for lay@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]).stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"
Warning: authenticity was set to "log" and failed with error: the trust store "notary" of type "ca" does not exist

"#]]);
    notation.host.write(
        "config/trustpolicy.oci.json",
        r#"{"version":"1.0","trustPolicies":[{"name":"s","registryScopes":["local/e2e"],"signatureVerification":{"level":"skip"}}]}"#,
    );
    notation.run(&verify).code(0).stdout_eq(str![[r#"
Trust policy is configured to skip signature verification for lay@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]).stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"

"#]]);
    notation
        .run(&["verify", "--oci-layout", "--scope", "local/x", &reference])
        .code(1)
        .stdout_eq("")
        .stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"
Error: signature verification failed: artifact "local/x@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707" has no applicable oci trust policy statement. Trust policy applicability for a given artifact is determined by registryScopes. To create a trust policy, see: https://notaryproject.dev/docs/quickstart/#create-a-trust-policy

"#]]);
    notation
        .run(&["verify", "--oci-layout", "--scope", "local", &reference])
        .code(1)
        .stdout_eq("")
        .stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"
Error: signature verification failed: registry scope "local" is not valid, make sure it is a fully qualified repository without the scheme, protocol or tag. For example domain.com/my/repository or a local scope like local/myOCILayout

"#]]);
    notation.host.write("config/trustpolicy.oci.json", "{");
    notation.run(&verify).code(1).stdout_eq("").stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"
Error: malformed trust policy. To create a trust policy, see: https://notaryproject.dev/docs/quickstart/#create-a-trust-policy

"#]]);
    std::fs::remove_file(notation.host.path("config/trustpolicy.oci.json")).unwrap();
    notation.run(&verify).code(1).stdout_eq("").stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"
Error: trust policy is not present. To create a trust policy, see: https://notaryproject.dev/docs/quickstart/#create-a-trust-policy

"#]]);
}

/// What is not trusted is told in one line; why, with --debug.
#[test]
fn signatures_that_are_not_trusted() {
    let notation = Notation::ready();
    let reference = at_digest();
    notation.run(&["sign", "--oci-layout", &reference]).code(0);
    std::fs::remove_dir_all(notation.host.path("config/truststore")).unwrap();
    let add = ["cert", "add", "-t", "ca", "-s", "notary"];
    let command = notation.host.program(&notation.program(), &add);
    command.arg(data("valid/ts/root.crt")).assert().code(0);
    let verify = ["verify", "--oci-layout", "--scope", "local/e2e", reference.as_str()];
    notation.run(&verify).code(1).stdout_eq("").stderr_eq(str![[r#"
Warning: This feature is experimental and may not be fully tested or completed and may be deprecated. Report any issues to "https://github/notaryproject/notation"
Error: signature verification failed for all the signatures associated with lay@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]);
    let assert = notation.run(&[&verify[..], &["-d"]].concat()).code(1).stdout_eq("");
    let text = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(text.contains("is in none of the trust stores"), "{text}");
    assert!(text.lines().last().unwrap().starts_with("Error: signature verification failed"));
}

#[test]
fn references_that_lead_nowhere() {
    let notation = Notation::ready();
    for reference in ["lay", "lay:", ":v1", "lay:v2", "lay@sha256:12", "no:v1", "config:v1"] {
        notation.run(&["sign", "--oci-layout", reference]).code(1).stdout_eq("");
    }
    let text = ["lay", ":v1", "lay:v2", "lay@sha256:12", "no:v1"]
        .map(|reference| {
            let assert = notation.run(&["list", "--oci-layout", reference]).code(1);
            let stderr = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
            stderr.lines().last().unwrap().to_owned() + "\n"
        })
        .concat();
    snapbox::assert_data_eq!(
        text,
        str![[r#"
Error: "lay": invalid reference: missing tag or digest. Expecting <file_path>:<tag> or <file_path>@<digest>
Error: ":v1": invalid reference: missing oci-layout file path. Expecting <file_path>:<tag> or <file_path>@<digest>
Error: failed to get manifest descriptor: not found
Error: failed to get manifest descriptor: not found
Error: failed to create OCI store: stat no: no such file or directory

"#]]
    );
}

/// The pair errors of notation's specifications of `sign`, and what is wrong with a root.
#[test]
fn flags_for_timestamps() {
    let notation = Notation::ready();
    notation.host.write("empty.txt", "");
    notation.host.write(
        "two.pem",
        [
            std::fs::read(data("valid/ts/root.crt")).unwrap(),
            std::fs::read(data("valid/root.crt")).unwrap(),
        ]
        .concat(),
    );
    for (file, source) in [("inter.pem", "valid/inter.crt"), ("root.crt", "valid/ts/root.crt")] {
        notation.host.write(file, std::fs::read(data(source)).unwrap());
    }
    let mut text = String::new();
    for (url, root) in [
        (None, Some("root.crt")),
        (Some("http://tsa.invalid"), None),
        (Some(""), Some("root.crt")),
        (Some("dummy"), Some("")),
        (Some("http://tsa.invalid"), Some("no.crt")),
        (Some("http://tsa.invalid"), Some("empty.txt")),
        (Some("http://tsa.invalid"), Some("two.pem")),
        (Some("http://tsa.invalid"), Some("inter.pem")),
        (Some("http://127.0.0.1:1"), Some("root.crt")),
    ] {
        let mut arguments = vec!["sign", "--oci-layout", "lay:v1"];
        arguments.extend(url.iter().flat_map(|url| ["--timestamp-url", *url]));
        arguments.extend(root.iter().flat_map(|root| ["--timestamp-root-cert", *root]));
        let assert = notation.run(&arguments).code(1).stdout_eq("");
        let stderr = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        let errors: Vec<_> = stderr.lines().filter(|it| !it.starts_with("Warning")).collect();
        text.extend([format!("{url:?} {root:?}: "), errors.join("\n"), "\n".to_owned()]);
    }
    snapbox::assert_data_eq!(
        text,
        str![[r#"
None Some("root.crt"): Error: if any flags in the group [timestamp-url timestamp-root-cert] are set they must all be set; missing [timestamp-url]
Some("http://tsa.invalid") None: Error: if any flags in the group [timestamp-url timestamp-root-cert] are set they must all be set; missing [timestamp-root-cert]
Some("") Some("root.crt"): Error: timestamping: tsa url cannot be empty
Some("dummy") Some(""): Error: timestamping: tsa root certificate path cannot be empty
Some("http://tsa.invalid") Some("no.crt"): Error: open no.crt: no such file or directory
Some("http://tsa.invalid") Some("empty.txt"): Error: cannot find any certificate from "empty.txt". Expecting single x509 root certificate in PEM or DER format from the file
Some("http://tsa.invalid") Some("two.pem"): Error: found more than one certificates from "two.pem". Expecting single x509 root certificate in PEM or DER format from the file
Some("http://tsa.invalid") Some("inter.pem"): Error: failed to check root certificate with error: x509: ECDSA verification failure
Some("http://127.0.0.1:1") Some("root.crt"): Error: timestamp of http://127.0.0.1:1: io: Connection refused (os error 111)

"#]]
    );
}
