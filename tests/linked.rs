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

/// What a command prints.
fn said(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_NET_OFFLINE", "true");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The crates of a build, without those that only build it: `name vVERSION ...` each.
fn tree(options: &[&str]) -> BTreeSet<String> {
    let line = ["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none"];
    let text = said(env!("CARGO"), &[&line[..], &["--format", "{p}"], options].concat());
    text.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

/// Their names, on any platform.
fn linked(features: &[&str]) -> BTreeSet<String> {
    let tree = tree(&[&["--target", "all", "--no-default-features"], features].concat());
    tree.iter().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
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

/// The bill of materials has each crate that is linked, and no other, with what is known of it.
#[test]
fn bill_of_materials() {
    for options in [&[][..], &["--features", "pkcs11"], &["--no-default-features"]] {
        let text = said("./scripts/sbom", options);
        assert_eq!(said("./scripts/sbom", options), text, "{options:?}");
        let bill: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(bill["bomFormat"], "CycloneDX");
        let mut found = BTreeSet::new();
        for crate_ in bill["components"].as_array().unwrap() {
            let value = |path: &str| crate_.pointer(path).and_then(|it| it.as_str()).unwrap();
            let (name, version) = (value("/name"), value("/version"));
            let purl = format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"));
            assert_eq!((value("/purl"), value("/bom-ref")), (&*purl, &*purl));
            assert!(!value("/licenses/0/expression").is_empty(), "{name}");
            assert_eq!(value("/hashes/0/content").len(), 64, "{name}");
            assert!(found.insert(format!("{name} v{version}")), "{name} {version}");
        }
        let mut expected = tree(options);
        expected.retain(|line| !line.starts_with("dockseal "));
        assert_eq!(found, expected, "{options:?}");
        let dependencies = bill["dependencies"].as_array().unwrap();
        assert_eq!(dependencies.len(), found.len() + 1);
        assert_eq!(dependencies[0]["ref"], bill["metadata"]["component"]["bom-ref"]);
    }
}
