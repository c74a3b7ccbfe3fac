//! Rule N-27: what needs no network opens no socket. Proven twice: no system call of the network is
//! made, and everything works in a network namespace without an interface.

use std::path::Path;

use snapbox::cmd::cargo_bin;

use crate::tools::{UNSHARE, can_trace, can_unshare};
use crate::{Host, MANIFEST, parity};

/// Everything dockseal does with local data, with the exit code that shows that it was done.
const COMMANDS: [(i32, &[&str]); 20] = [
    (0, &["sign", "--local", "-o", "b.sig", MANIFEST]),
    (0, &["sign", "--local", "--signature-format", "cose", MANIFEST]),
    (0, &["sign", "--oci-layout", "lay0:v1"]),
    (0, &["sign", "-o", "image.sig", "image.tar"]),
    (0, &["verify", "image.tar", "-s", "image.sig"]),
    (0, &["verify", "--local", "-s", "a.sig", MANIFEST]),
    (0, &["verify", "--local", MANIFEST]),
    (0, &["verify", "--oci-layout", "--scope", "local/x", "lay0:v1"]),
    // The leaf has expired, the timestamp counts; then a policy that asks for no timestamp.
    (0, &["verify", "--oci-layout", "--scope", "stamped/x", "lt:v1"]),
    (14, &["verify", "--oci-layout", "--scope", "local/x", "lt:v1"]),
    // The leaf has a distribution point, which notation would ask: unknown here.
    (15, &["verify", "--oci-layout", "--scope", "local/x", "lc:v1"]),
    (0, &["timestamp", "request", "-o", "a.tsq", "a.sig"]),
    (0, &["list", "--oci-layout", "lc:v1"]),
    (0, &["inspect", "--oci-layout", "lt:v1"]),
    (0, &["inspect", "a.sig"]),
    (0, &["manifest", "image.tar", "-o", "m.json"]),
    (0, &["digest", "image.tar"]),
    (0, &["detach", "--oci-layout", "lc:v1"]),
    (0, &["cert", "list"]),
    (0, &["crl", "list"]),
];

fn host() -> Host {
    let host = parity::host();
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/docker/graph-20.10-build");
    host.write("image.tar", std::fs::read(case.join("image.tar")).unwrap());
    host.run(&["sign", "--local", "-o", "a.sig", MANIFEST]).code(0);
    // A statement of its own for what has a timestamp.
    let statement = |name: &str, scope: &str, stores: &str| {
        format!(
            r#"{{"name":"{name}","registryScopes":["{scope}"],"signatureVerification":{{"level":"strict"}},"trustStores":{stores},"trustedIdentities":["*"]}}"#
        )
    };
    host.write(
        "config/trustpolicy.oci.json",
        format!(
            r#"{{"version":"1.0","trustPolicies":[{},{}]}}"#,
            statement("all", "*", r#"["ca:notary"]"#),
            statement("stamped", "stamped/x", r#"["ca:notary","tsa:t"]"#),
        ),
    );
    host
}

#[test]
fn n27_no_system_call_of_the_network_is_made() {
    if !can_trace() {
        return;
    }
    let host = host();
    let filter = ["-e", "trace=%network"];
    // The trace would show one: bash opens a socket here and sends nothing.
    let (_, seen) = host.trace_program(
        &filter,
        Path::new("/bin/bash"),
        &["-c", "exec 3<>/dev/udp/127.0.0.1/9"],
    );
    assert!(seen.iter().any(|line| line.contains("socket(AF_INET")), "{seen:?}");
    for (code, arguments) in COMMANDS {
        let (status, calls) = host.trace(&filter, arguments);
        assert_eq!(status, Some(code), "{arguments:?}");
        assert!(calls.is_empty(), "{arguments:?}: {calls:#?}");
    }
}

#[test]
fn n27_no_network_is_needed() {
    if !can_unshare() {
        return;
    }
    let host = host();
    let output = host.below(&UNSHARE, Path::new("cat"), &["/proc/net/dev"]).output().unwrap();
    let interfaces = String::from_utf8(output.stdout).unwrap();
    let real = interfaces.lines().skip(2).filter(|line| !line.trim_start().starts_with("lo:"));
    assert_eq!(real.count(), 0, "{interfaces}");
    for (code, arguments) in COMMANDS {
        let output = host.below(&UNSHARE, cargo_bin!("dockseal"), arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    }
}
