//! `dockseal timestamp`

use snapbox::str;

use crate::{Host, MANIFEST, data};

/// A host with the reference's timestamped signatures of a blob, and the authority's root.
fn host() -> Host {
    let host = Host::ready();
    for name in ["blob.txt.jws.sig", "blob.txt.cose.sig", "root.crt", "last.tsr"] {
        host.write(name, std::fs::read(data(&format!("valid/ts/{name}"))).unwrap());
    }
    host
}

#[test]
fn a_timestamp_is_verified_by_a_root_or_the_tsa_stores() {
    let host = host();
    let verify = ["timestamp", "verify", "blob.txt.jws.sig"];
    host.run(&verify).code(12).stdout_eq(str![]).stderr_eq(str![[r#"
error: no timestamping authority is trusted
hint: dockseal cert add --type tsa --store STORE ROOT.crt

"#]]);
    host.run(&[&verify[..], &["--timestamp-root-cert", "root.crt"]].concat())
        .code(0)
        .stdout_eq(str![[r#"
Successfully verified timestamp of blob.txt.jws.sig: [TIME] by CN=tsa,O=Notary,ST=WA,C=US

"#]])
        .stderr_eq(str![[r#"
who signed was not verified, only when

"#]]);
    host.run(&["cert", "add", "-t", "tsa", "-s", "t", "root.crt"]).code(0);
    host.run(&verify).code(0);
    let other = data("valid/root.crt");
    host.command(&verify)
        .arg("--timestamp-root-cert")
        .arg(other)
        .assert()
        .code(14)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: timestamp countersignature: certificate "CN=tsa,O=Notary,ST=WA,C=US" of the timestamping authority leads to no trusted root
hint: dockseal help policy

"#]]);
    host.run(&["sign", "--local", "-o", "a.sig", MANIFEST]).code(0);
    host.run(&["timestamp", "verify", "a.sig"]).code(10).stdout_eq("").stderr_eq(str![[r#"
error: no timestamp countersignature was found in the signature envelope
hint: dockseal help signatures

"#]]);
}

#[test]
fn a_request_is_der_and_new_every_time() {
    let host = host();
    host.run(&["timestamp", "request", "blob.txt.jws.sig", "-o", "a.tsq"]).code(0).stdout_eq("");
    host.run(&["timestamp", "request", "blob.txt.jws.sig", "-o", "b.tsq"]).code(0);
    let [a, b] = ["a.tsq", "b.tsq"].map(|name| host.read(name));
    assert_eq!(a[0], 0x30);
    assert_ne!(a, b, "the nonce is random");
    host.run(&["timestamp", "request", "blob.txt.jws.sig", "-o", "blob.txt.jws.sig"]).code(2);
}

/// An answer is attached to the signature it is about, and to no other one.
#[test]
fn s13_an_answer_is_bound_to_its_signature() {
    let host = host();
    host.run(&["sign", "--local", "-o", "other.sig", MANIFEST]).code(0);
    let before = host.read("other.sig");
    host.run(&[
        "timestamp",
        "attach",
        "other.sig",
        "last.tsr",
        "--timestamp-root-cert",
        "root.crt",
    ])
    .code(16)
    .stdout_eq("")
    .stderr_eq(str![[r#"
error: timestamp is not about this signature
hint: dockseal timestamp request SIGNATURE --output FILE.tsq

"#]]);
    assert_eq!(host.read("other.sig"), before);
    let attached = ["blob.txt.jws.sig", "blob.txt.cose.sig"].into_iter().filter(|name| {
        let root = ["--timestamp-root-cert", "root.crt"];
        let output = host.run(&[&["timestamp", "attach", name, "last.tsr"][..], &root].concat());
        output.get_output().status.success()
    });
    assert_eq!(attached.count(), 1, "the vectors hold the answer to one of them");
}
