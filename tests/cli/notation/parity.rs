//! dockseal under the name `notation` and the real notation 1.3, run alike.
//!
//! Opt-in: runs when `NOTATION_BIN` names a notation 1.3. Both run every line, each on a host of its
//! own; stdout, stderr and exit code are compared. Where they differ, the line names the reason, and
//! the difference must be there: a reason that is none any more is an error too.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{DIGEST, Notation};
use crate::{Host, data};

/// Why an answer differs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reason {
    /// It does not.
    Same,
    /// notation main says something else than 1.3, and main wins (D-5).
    Main,
    /// notation ignores surplus arguments, unknown subcommands and unknown types; here they are
    /// errors.
    Surplus,
    /// It needs a registry or a network.
    Offline,
    /// The text comes from beneath notation: Go's libraries, or the order of two checks.
    Beneath,
    /// A rule of spec/notation.md §12.2, or a key that is no good.
    Narrower,
}

use Reason::{Beneath, Main, Narrower, Offline, Same, Surplus};

/// What is done between lines.
enum Step {
    /// The arguments.
    Run(Reason, &'static str),
    /// The same without NOTATION_EXPERIMENTAL.
    Plain(Reason, &'static str),
    /// Writes the policy: level, and the name of the trust store.
    Policy(&'static str, &'static str),
    /// Writes the policy file.
    PolicyFile(&'static str),
}

use Step::{Plain, Policy, PolicyFile, Run};

/// The lines. `@DIGEST` is that of the layout's manifest.
const STEPS: &[Step] = &[
    // Arguments.
    Run(Same, "sign"),
    Run(Surplus, "sign a b"),
    Run(Same, "sign --x"),
    Run(Same, "sign -x"),
    Run(Same, "sign --key"),
    Run(Same, "sign -k"),
    Run(Same, "bogus"),
    Run(Surplus, "cert bogus"),
    Run(Same, "sign -e 1 a"),
    Run(Same, "sign -e 1d a"),
    Run(Same, "sign -e abc a"),
    Run(Same, "sign --key a --id b x"),
    Run(Same, "sign --plugin p x"),
    Run(Same, "sign --key a --id b --plugin c x"),
    Run(Same, "sign --timestamp-url u a"),
    Run(Same, "sign --timestamp-root-cert u a"),
    Run(Same, "verify"),
    Run(Same, "verify --max-signatures 0 a"),
    Run(Same, "verify --max-signatures x a"),
    Run(Same, "verify --insecure-registry=x a"),
    Run(Same, "list"),
    Run(Same, "list --max-signatures 0 a/b:v1"),
    Run(Same, "inspect"),
    Run(Same, "inspect -o x a"),
    Run(Same, "inspect --oci-layout a"),
    Run(Surplus, "version x"),
    Run(Main, "version"),
    // The gate.
    Plain(Same, "sign --oci-layout lay:v1"),
    Plain(Same, "verify --oci-layout lay:v1"),
    Plain(Same, "verify --oci-layout --scope a/b lay:v1"),
    Plain(Same, "ls --oci-layout lay:v1"),
    Run(Same, "verify --oci-layout lay:v1"),
    Run(Same, "verify --scope a/b lay:v1"),
    Run(Main, "sign --oci-layout --force-referrers-tag=false lay:v1"),
    // Trust stores.
    Run(Same, "cert add"),
    Run(Same, "cert add x"),
    Run(Same, "cert add -t ca x"),
    Run(Same, "cert add -t ca -s s"),
    Run(Same, "cert add -t ca -s s nofile"),
    Run(Same, "cert add -t bad -s s root.crt"),
    Run(Same, "cert add -t ca -s s/ root.crt"),
    Run(Same, "cert add -t ca -s s root.crt"),
    Run(Same, "cert add -t ca -s s root.crt"),
    Run(Same, "cert add -t ca -s s root.crt inter.crt"),
    Run(Same, "cert list"),
    Run(Same, "cert ls -t ca -s s"),
    Run(Surplus, "cert list -t bad"),
    Run(Surplus, "cert ls x"),
    Run(Same, "cert show"),
    Run(Same, "cert show -t ca -s s nofile"),
    Run(Same, "cert show -t ca -s s root.crt"),
    Run(Same, "cert show -t ca -s s root.crt more"),
    Run(Same, "cert delete"),
    Run(Same, "cert delete -t ca -s s"),
    Run(Same, "cert delete -t ca -s s --all x"),
    Run(Same, "cert delete -t ca -s s x -y"),
    Run(Same, "cert delete -t ca -s s root.crt"),
    Run(Same, "cert delete -t ca -s s --all"),
    Run(Main, "cert delete -t ca -s s root.crt -y"),
    Run(Same, "cert delete -t ca -s s --all -y"),
    Run(Beneath, "cert delete -t ca -s s --all -y"),
    // Keys.
    Run(Same, "sign lay:v1"),
    Run(Same, "cert generate-test"),
    Run(Same, "cert generate-test a/b"),
    Run(Same, "cert generate-test -b x w"),
    Run(Main, "cert generate-test --default w"),
    Run(Beneath, "cert generate-test w"),
    Run(Narrower, "cert generate-test -b 1000 v"),
    Run(Same, "cert generate-test -b 3072 u"),
    Run(Same, "key add"),
    Run(Same, "key add a"),
    Run(Same, "key add --plugin p a"),
    Run(Same, "key update"),
    Run(Surplus, "key update x"),
    Run(Same, "key set w"),
    Run(Same, "key set --default w"),
    Run(Same, "key delete"),
    Run(Same, "key delete nope"),
    Run(Main, "key delete u"),
    Run(Surplus, "key ls x"),
    // References.
    Run(Same, "sign a:v1"),
    Run(Same, "sign a/b"),
    Run(Same, "sign a/B:v1"),
    Run(Beneath, "sign a/b@sha256:12"),
    Run(Same, "sign --oci-layout lay:v2"),
    Run(Same, "sign --oci-layout lay"),
    Run(Same, "sign --oci-layout lay:"),
    Run(Same, "sign --oci-layout :v1"),
    Run(Same, "sign --oci-layout no:v1"),
    Run(Same, "sign --oci-layout root.crt:v1"),
    Run(Same, "sign --oci-layout lay@sha256:12"),
    // What is wrong with signing.
    Run(Same, "sign --oci-layout lay:v1 -m x"),
    Run(Same, "sign --oci-layout lay:v1 --plugin-config x"),
    Run(Same, "sign --oci-layout lay:v1 -m io.cncf.notary.x=y"),
    Run(Same, "sign --oci-layout lay:v1 --signature-format x"),
    Run(Same, "sign --oci-layout lay:v1 -e 1500ms"),
    Run(Same, "sign --oci-layout lay:v1 -e -1h"),
    Run(Same, "sign --oci-layout lay:v1 -k no"),
    Run(Same, "sign --timestamp-url= --timestamp-root-cert x --oci-layout lay:v1"),
    Run(Same, "sign --timestamp-url x --timestamp-root-cert= --oci-layout lay:v1"),
    Run(Same, "sign --timestamp-url http://tsa/ --timestamp-root-cert no --oci-layout lay:v1"),
    Run(Same, "sign --timestamp-url http://tsa/ --timestamp-root-cert two.pem --oci-layout lay:v1"),
    Run(Same, "sign --timestamp-url http://tsa/ --timestamp-root-cert empty --oci-layout lay:v1"),
    Run(
        Same,
        "sign --timestamp-url http://tsa/ --timestamp-root-cert inter.crt --oci-layout lay:v1",
    ),
    // Verifying.
    Run(Same, "verify --oci-layout --scope a/b lay:v1"),
    Policy("strict", "w"),
    Run(Same, "verify --oci-layout --scope a/b lay:v1"),
    Run(Same, "verify --oci-layout --scope a/b lay@DIGEST"),
    Run(Same, "verify a:v1"),
    Run(Same, "verify a/b"),
    Run(Same, "verify a/b@"),
    Run(Same, "verify a/b:"),
    Run(Main, "list --oci-layout lay@DIGEST"),
    Run(Same, "list --oci-layout lay@sha256:12"),
    Run(Main, "sign --oci-layout lay@DIGEST -m a=b"),
    Run(Same, "list --oci-layout lay@DIGEST"),
    Run(Same, "list --oci-layout lay:v1"),
    Run(Same, "verify --oci-layout --scope local/x lay@DIGEST"),
    Run(Same, "verify --oci-layout --scope local/x lay@DIGEST -m a=b"),
    Run(Same, "verify --oci-layout --scope local/x lay@DIGEST -m a=c"),
    Run(Same, "verify --oci-layout --scope local/x lay@DIGEST -m a"),
    Run(Same, "verify --oci-layout --scope local/x lay@DIGEST --plugin-config a"),
    Run(Same, "verify --oci-layout --scope local/x lay@sha256:12"),
    Run(Same, "verify --oci-layout --scope local lay@DIGEST"),
    // Main sets the answer apart from a warning by an empty line.
    Run(Main, "verify --oci-layout --scope local/x lay:v1"),
    Run(Main, "sign --oci-layout lay@DIGEST"),
    Run(Main, "list --max-signatures 1 --oci-layout lay@DIGEST"),
    Policy("audit", "none"),
    Run(Main, "verify --oci-layout --scope local/x lay@DIGEST -m a=b"),
    Policy("strict", "none"),
    Run(Same, "verify --oci-layout --scope local/x lay@DIGEST"),
    Run(Same, "cert add -t ca -s none root.crt"),
    Run(Same, "verify --oci-layout --scope local/x lay@DIGEST"),
    PolicyFile(
        r#"{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["a.b/c"],"signatureVerification":{"level":"skip"}}]}"#,
    ),
    Run(Same, "policy show"),
    Run(Same, "verify --oci-layout --scope a.b/c lay@DIGEST"),
    Run(Main, "verify --oci-layout --scope local/x lay@DIGEST"),
    PolicyFile(r#"{"version":"2"}"#),
    Run(Main, "verify --oci-layout --scope a.b/c lay@DIGEST"),
    Run(Main, "policy show"),
    PolicyFile("{"),
    Run(Same, "verify --oci-layout --scope a.b/c lay@DIGEST"),
    // Policies.
    Run(Same, "policy show x"),
    Run(Same, "policy import"),
    Run(Same, "policy import a b"),
    Run(Main, "policy import no"),
    // Registries and plugins.
    Run(Offline, "login a"),
    Run(Offline, "logout a"),
    Run(Same, "login"),
    Run(Same, "logout"),
    Run(Same, "plugin install"),
    Run(Same, "plugin install --url"),
    Run(Same, "plugin install --file"),
    Run(Same, "plugin install --file --url x"),
    Run(Offline, "plugin install --url http://x/y"),
    Run(Same, "plugin ls"),
    Run(Beneath, "plugin install --file nofile"),
    Run(Same, "plugin uninstall"),
    Run(Same, "plugin uninstall nope"),
];

/// A host with files to work on.
fn host() -> Notation {
    let notation = Notation::empty();
    let host = &notation.host;
    for (name, sources) in [
        ("root.crt", &["valid/root.crt"][..]),
        ("inter.crt", &["valid/inter.crt"]),
        ("two.pem", &["valid/root.crt", "valid/inter.crt"]),
        ("empty", &[]),
    ] {
        let content = sources.iter().flat_map(|source| fs::read(data(source)).unwrap());
        host.write(name, content.collect::<Vec<_>>());
    }
    fs::create_dir_all(host.path("xdg/notation")).unwrap();
    notation
}

fn answer(program: &Path, host: &Host, line: &str, experimental: bool) -> String {
    let line = line.replace("lay@DIGEST", &format!("lay@{DIGEST}"));
    let root = host.path("").canonicalize().unwrap();
    let output = Command::new(program)
        .args(line.split(' '))
        .current_dir(&root)
        .env_clear()
        .envs(experimental.then_some(("NOTATION_EXPERIMENTAL", "1")))
        .env("HOME", &root)
        .env("XDG_CONFIG_HOME", root.join("xdg"))
        .env("XDG_CACHE_HOME", root.join("cache"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = format!(
        "{}|{}|{:?}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code()
    );
    let text = text.replace(root.to_str().unwrap(), "[HOST]").replace(DIGEST, "[DIGEST]");
    let signature = regex::Regex::new("sha256:[0-9a-f]{64}").unwrap();
    let time = regex::Regex::new(crate::TIME).unwrap();
    time.replace_all(&signature.replace_all(&text, "[SIGNATURE]"), "[TIME]").into_owned()
}

#[test]
fn notation_and_dockseal_answer_alike() {
    let Some(real) = std::env::var_os("NOTATION_BIN") else { return };
    let (reference, own) = (host(), host());
    let both: [(PathBuf, &Host); 2] = [(real.into(), &reference.host), (own.program(), &own.host)];
    let mut surprises = Vec::new();
    let mut compare = |reason: Reason, line: &str, experimental| {
        let [theirs, ours] =
            both.each_ref().map(|(program, host)| answer(program, host, line, experimental));
        if (theirs == ours) != (reason == Same) {
            surprises.push(format!("{line} ({reason:?})\n1.3: {theirs}\nown: {ours}\n"));
        }
    };
    let write = |policy: &str| {
        for (_, host) in &both {
            host.write("xdg/notation/trustpolicy.json", policy);
        }
    };
    for step in STEPS {
        match step {
            Run(reason, line) => compare(*reason, line, true),
            Plain(reason, line) => compare(*reason, line, false),
            Policy(level, store) => write(&format!(
                r#"{{"version":"1.0","trustPolicies":[{{"name":"all","registryScopes":["*"],"signatureVerification":{{"level":"{level}"}},"trustStores":["ca:{store}"],"trustedIdentities":["*"]}}]}}"#
            )),
            PolicyFile(text) => write(text),
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    assert_eq!(own.program().file_name(), Some(OsStr::new("notation")));
}
