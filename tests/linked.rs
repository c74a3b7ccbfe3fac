//! What is linked: which features bring network code, as `dockseal version` says.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::process::Command;

/// Crates that open connections, and those they need for it.
const NETWORK: [&str; 12] = [
    "bollard",
    "h2",
    "hyper",
    "hyper-util",
    "mio",
    "rustls",
    "rustls-native-certs",
    "socket2",
    "tokio",
    "tokio-rustls",
    "tonic",
    "ureq",
];

/// The crates of a build on any platform, without those that only build it.
fn linked(features: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "--edges",
            "normal,no-proc-macro",
            "--target",
            "all",
        ])
        .args(["--prefix", "none", "--format", "{p}", "--no-default-features"])
        .args(features)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn network_code_comes_with_features_only() {
    let network = |features: &[&str]| -> Vec<String> {
        let linked = linked(features);
        assert!(linked.contains("dockseal") && linked.contains("aws-lc-rs"), "{linked:?}");
        linked.into_iter().filter(|name| NETWORK.contains(&name.as_str())).collect()
    };
    assert_eq!(network(&[]), [""; 0]);
    assert_eq!(network(&["--features", "pkcs11"]), [""; 0]);
    let client = network(&["--features", "timestamp-client"]);
    assert_eq!(client, ["rustls", "rustls-native-certs", "ureq"]);
    for (feature, name) in [("docker", "bollard"), ("containerd-grpc", "tonic")] {
        let found = network(&["--features", feature]);
        assert!(found.iter().any(|it| it == name), "{feature}: {found:?}");
        assert!(!found.iter().any(|it| it == "ureq"), "{feature}: {found:?}");
    }
}
