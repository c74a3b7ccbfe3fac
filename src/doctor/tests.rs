use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::fsutil::{self, Mode};
use crate::plugin::{DEFAULT_TIMEOUT, PluginDirectory};
use crate::signature::signer::keys::SigningKeys;
use crate::signature::x509;

/// A node with the verifier in place.
struct Node {
    directory: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        let node = Self { directory: tempfile::tempdir().unwrap() };
        node.write("bin/dockseal-containerd-verifier", "#!/bin/sh\n", Mode::Executable);
        node.write("root/signatures/README", "", Mode::Public);
        node.settings("version = 3", "");
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: Mode) {
        fsutil::create_private_dir(self.path(name).parent().unwrap()).unwrap();
        fsutil::write_atomic(&self.path(name), text.as_bytes(), mode).unwrap();
    }

    fn settings(&self, top: &str, plugin: &str) {
        let text = format!(
            "{top}\n[plugins.'io.containerd.image-verifier.v1.bindir']\nbin_dir = '{}'\n{plugin}\n",
            self.path("bin").display()
        );
        self.write("config.toml", &text, Mode::Public);
    }

    fn problems(&self) -> Vec<String> {
        let places = VerifierPlaces { config: self.path("config.toml"), root: self.path("root") };
        assert!(places.is_set_up());
        let found = verifier(&places).into_iter();
        let here = self.directory.path().display().to_string();
        found
            .filter(|finding| finding.severity > Severity::Note)
            .map(|finding| finding.text.replace(&here, ""))
            .collect()
    }
}

fn is_about(problems: &[String], words: &str) -> bool {
    matches!(problems, [only] if only.contains(words))
}

/// Each way in which containerd allows everything, or nothing, and a node on which it does neither.
#[test]
fn what_keeps_the_verifier_from_judging() {
    assert_eq!(Node::new().problems(), [""; 0]);
    let cri = "[plugins.'io.containerd.cri.v1.images']\nmax_concurrent_downloads = 5";
    for (top, plugin, words) in [
        ("version = 1", "", "has version 1"),
        ("", "", "has version 1"),
        (
            "version = 3\ndisabled_plugins = ['io.containerd.image-verifier.v1.bindir']",
            "",
            "disables the image verifier plugin",
        ),
        ("version = 3", "max_verifiers = 0", "max_verifiers is 0: every image is allowed"),
        ("version = 3", "per_verifier_timeout = '0s'", "is 0s: every pull is refused"),
        ("version = 3", "per_verifier_timeout = '200ms'", "is 200ms: a busy node"),
        ("version = 3", "per_verifier_timeout = 10", "is no duration: containerd does not start"),
        ("version = 3", cri, "with max_concurrent_downloads = 5, CRI pulls by itself"),
    ] {
        let node = Node::new();
        node.settings(top, plugin);
        assert!(is_about(&node.problems(), words), "{words}: {:?}", node.problems());
    }
    for setting in ["mirrors.x]\nendpoint = []", "configs.x.auth]\nusername = 'x'", "auths.x]"] {
        let node = Node::new();
        let plugin = format!("[plugins.'io.containerd.cri.v1.images'.registry.{setting}");
        node.settings("version = 3", &plugin);
        let name = setting.split('.').next().unwrap();
        assert!(is_about(&node.problems(), &format!("with registry.{name}, CRI pulls")), "{name}");
    }
    let node = Node::new();
    node.settings("version = 3", "max_verifiers = 1");
    node.write("bin/zzz", "#!/bin/sh\n", Mode::Executable);
    assert!(is_about(&node.problems(), "max_verifiers is 1: zzz in /bin are not asked"));
    node.settings("version = 3", "max_verifiers = -1\nper_verifier_timeout = '1m'");
    assert_eq!(node.problems(), [""; 0]);
}

#[test]
fn what_lies_in_the_directory_of_verifiers() {
    type Change = fn(&Node);
    let cases: [(Change, &str); 7] = [
        (|node| fs::remove_dir_all(node.path("bin")).unwrap(), "every image is allowed"),
        (
            |node| fs::remove_file(node.path("bin/dockseal-containerd-verifier")).unwrap(),
            "/bin is empty: every image is allowed",
        ),
        (|node| node.write("bin/README", "", Mode::Public), "every pull is refused"),
        (|node| fs::create_dir(node.path("bin/x")).unwrap(), "/bin/x is no program"),
        (
            |node| std::os::unix::fs::symlink("/nonexistent", node.path("bin/x")).unwrap(),
            "every pull is refused",
        ),
        (
            |node| {
                let ours = node.path("bin/dockseal-containerd-verifier");
                fs::rename(ours, node.path("bin/other")).unwrap();
            },
            "none of other is dockseal-containerd-verifier",
        ),
        (
            |node| fs::remove_dir_all(node.path("root/signatures")).unwrap(),
            "every image is refused",
        ),
    ];
    for (change, words) in cases {
        let node = Node::new();
        change(&node);
        assert!(is_about(&node.problems(), words), "{words}: {:?}", node.problems());
    }
    // A link to the program is as good as itself.
    let node = Node::new();
    let ours = node.path("bin/dockseal-containerd-verifier");
    node.write("lib/dockseal-containerd-verifier", "#!/bin/sh\n", Mode::Executable);
    fs::remove_file(&ours).unwrap();
    std::os::unix::fs::symlink(
        node.path("lib/dockseal-containerd-verifier"),
        node.path("bin/10-signed"),
    )
    .unwrap();
    assert_eq!(node.problems(), [""; 0]);
}

#[test]
fn who_may_change_the_verifier() {
    use std::os::unix::fs::PermissionsExt as _;

    for (path, mode) in [("bin", 0o777), ("bin/dockseal-containerd-verifier", 0o775)] {
        let node = Node::new();
        fs::set_permissions(node.path(path), fs::Permissions::from_mode(mode)).unwrap();
        assert!(is_about(&node.problems(), "can be changed by others"), "{path}");
    }
    let places =
        VerifierPlaces { config: Path::new("/nonexistent").into(), root: "/nonexistent".into() };
    assert!(!places.is_set_up());
}

/// By the certificate of a key in testdata/notation, at several times.
#[test]
fn keys_whose_certificates_expire() {
    let config = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/notation/valid");
    let (key, chain) = (data.join("ec256.key"), data.join("ec256.chain.crt"));
    let list = serde_json::json!({
        "keys": [{"name": "k", "keyPath": key, "certPath": chain}],
    });
    fsutil::write_atomic(
        &SigningKeys::path(config.path()),
        list.to_string().as_bytes(),
        Mode::Private,
    )
    .unwrap();
    let chain = fsutil::read_bounded(&chain, 1 << 20).unwrap();
    let leaf = x509::certificates_from_bytes(&chain).unwrap().remove(0);
    let day = SignedDuration::from_hours(24);
    let plugins = PluginDirectory::new("/nonexistent".into(), DEFAULT_TIMEOUT);
    for (now, severity, words) in [
        (leaf.not_before() - day, Severity::Problem, "is not valid before"),
        (leaf.not_before() + day, Severity::Good, ""),
        (leaf.not_after() - 20 * day, Severity::Warning, "expires at"),
        (leaf.not_after() + day, Severity::Problem, "expired at"),
    ] {
        let found: Vec<_> = keys(config.path(), &plugins, now)
            .into_iter()
            .filter(|finding| finding.text.contains("certificate"))
            .collect();
        assert_eq!(found.is_empty(), severity == Severity::Good, "{now}: {found:?}");
        assert!(found.iter().any(|it| it.severity == severity) || found.is_empty(), "{found:?}");
        assert!(found.iter().all(|it| it.text.contains(words)), "{words}: {found:?}");
    }
}

#[test]
fn a_clock_that_can_not_be_right() {
    assert_eq!(built("1795651200"), "2026-11-26T00:00:00Z".parse().unwrap());
    for nothing in ["", "x", "-1", "1", "99999999999999999999"] {
        assert_eq!(built(nothing), FIRST, "{nothing}");
    }
    assert_eq!(clock(Timestamp::UNIX_EPOCH).severity, Severity::Problem);
    assert_eq!(clock("2026-11-26T00:00:00Z".parse().unwrap()).severity, Severity::Good);
}
