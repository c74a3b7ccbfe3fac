//! Verdicts of dockseal and of the real notation under the same policies (spec/notation.md §13.1).
//!
//! Opt-in: runs when `NOTATION_BIN` names a notation 1.3. The rule: where dockseal says yes,
//! notation says yes; where only notation does, a rule of §12.2 is the reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{Host, MANIFEST, data};

/// What a policy is made of; the first of each is the plain one.
const LEVELS: [&str; 6] =
    [r#""strict""#, r#""permissive""#, r#""audit""#, r#""skip""#, r#""Strict""#, r#""""#];
const REST: [&str; 11] = [
    "",
    r#","override":{"revocation":"skip"}"#,
    r#","override":{"expiry":"log","authenticTimestamp":"log"}"#,
    r#","override":{"authenticity":"log"}"#,
    r#","override":{"integrity":"log"}"#,
    r#","override":{"revocation":"log"}"#,
    r#","override":{"expiry":"skip"}"#,
    r#","override":{"x":"log"}"#,
    r#","verifyTimestamp":"always""#,
    r#","verifyTimestamp":"afterCertExpiry""#,
    r#","verifyTimestamp":"never""#,
];
const STORES: [&str; 10] = [
    r#"["ca:notary"]"#,
    r#"["ca:inter"]"#,
    r#"["ca:tsaroot"]"#,
    r#"["ca:none"]"#,
    r#"["ca:notary","tsa:t"]"#,
    r#"["signingAuthority:sa"]"#,
    r#"["ca:.."]"#,
    r#"["ca"]"#,
    "[]",
    r#"["ca:notary","ca:none"]"#,
];
const IDENTITIES: [&str; 16] = [
    r#"["*"]"#,
    r#"["x509.subject: C=US, ST=WA, O=Notary"]"#,
    r#"["x509.subject:C=US;ST=WA;O=Notary"]"#,
    r#"["x509.subject: C=US, ST=WA, O=notary"]"#,
    r#"["foo:bar"]"#,
    r#"["*","*"]"#,
    "[]",
    r#"["x509.subject: C=US, ST=WA, O=Notary","x509.subject: C=US, ST=WA, O=Notary, CN=x"]"#,
    r#"["x509.subject:C=US,ST=WA,O=Notary,"]"#,
    r#"["x509.subject:C=US,ST=WA,O=Not\\61ry"]"#,
    r#"["x509.subject:C=US,ST=WA,O=\"Notary\""]"#,
    r#"["x509.subject: C = US , S= WA ,O =Notary"]"#,
    r#"["x509.subject:C=US+ST=WA,O=Notary"]"#,
    r#"["x509.subject:C=US,ST=WA,O=Notary,OU="]"#,
    r#"["x509.subject:C=US,ST=WA,O=Notary\\ "]"#,
    r#"["x509.subject:C=US,ST=WA,O=Notary,CN=leaf-ec256"]"#,
];
const SCOPES: [&str; 9] = [
    r#"["*"]"#,
    r#"["local/x"]"#,
    r#"["local/y"]"#,
    r#"["local/x","local/y"]"#,
    r#"["*","local/x"]"#,
    "[]",
    r#"["local"]"#,
    r#"["local/X"]"#,
    r#"["local/x/"]"#,
];

/// What notation takes and dockseal refuses: the rule, the text of the policy it is about, and what
/// dockseal says. Nothing else is a reason for a difference.
const NARROWER: [(&str, &str, &str); 2] = [
    ("N-03", "ca:..", "uses an unsupported trust store name"),
    ("N-25", "foo:bar", "with an unknown prefix"),
];

/// Random combinations besides those that change one member only.
const COMBINATIONS: u64 = 150;

/// Random documents of several statements.
const DOCUMENTS: u64 = 300;

/// Names of statements; a document may have one twice.
const NAMES: [&str; 4] = ["p", "q", "r", ""];

/// A linear congruential generator: the same choices every time.
struct Choices(u64);

impl Choices {
    fn below(&mut self, size: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % size
    }

    /// The plain one, more often than any other.
    fn mostly_plain(&mut self, size: usize, others: usize) -> usize {
        if self.below(4) < 4 - others { 0 } else { self.below(size) }
    }
}

fn policies() -> Vec<String> {
    let sizes = [LEVELS.len(), REST.len(), STORES.len(), IDENTITIES.len(), SCOPES.len()];
    let mut choices = vec![[0; 5]];
    for (member, size) in sizes.into_iter().enumerate() {
        for value in 1..size {
            let mut choice = [0; 5];
            choice[member] = value;
            choices.push(choice);
        }
    }
    let mut random = Choices(1);
    for _ in 0..COMBINATIONS {
        choices.push(sizes.map(|size| random.mostly_plain(size, 2)));
    }
    let statement = |name: &str, [level, rest, stores, identities, scopes]: [usize; 5]| {
        format!(
            r#"{{"name":"{name}","registryScopes":{},"signatureVerification":{{"level":{}{}}},"trustStores":{},"trustedIdentities":{}}}"#,
            SCOPES[scopes], LEVELS[level], REST[rest], STORES[stores], IDENTITIES[identities]
        )
    };
    let document = |statements: &[String]| {
        format!(r#"{{"version":"1.0","trustPolicies":[{}]}}"#, statements.join(","))
    };
    let mut policies: Vec<_> =
        choices.into_iter().map(|choice| document(&[statement("p", choice)])).collect();
    for _ in 0..DOCUMENTS {
        // Few defects and different names, so that most are about which statement applies.
        let number = 2 + random.below(2);
        let first = random.below(4);
        let statements: Vec<_> = (0..number)
            .map(|at| {
                let name = if random.below(12) == 0 { random.below(4) } else { (first + at) % 3 };
                let mut choice = sizes.map(|size| random.mostly_plain(size, 1));
                choice[4] = if random.below(8) == 0 {
                    random.below(SCOPES.len())
                } else {
                    // Every image, this one, another one.
                    (first + at) % 3
                };
                statement(NAMES[name], choice)
            })
            .collect();
        policies.push(document(&statements));
    }
    policies
}

/// A host with three signed layouts: plain, timestamped with an expired leaf, revocable. The
/// reference's own are in the form that notation 1.3 does not see, so they are attached anew.
pub(crate) fn host() -> Host {
    let host = Host::ready();
    for (kind, name, file) in [
        ("ca", "inter", "valid/inter.crt"),
        ("ca", "tsaroot", "valid/ts/root.crt"),
        ("tsa", "t", "valid/ts/root.crt"),
        ("signingAuthority", "sa", "valid/root.crt"),
    ] {
        host.command(&["cert", "add", "-t", kind, "-s", name]).arg(data(file)).assert().code(0);
    }
    // The root of the other two signatures is in the chain of the blob's.
    host.command(&["cert", "add", "-t", "ca", "-s", "notary"])
        .arg(data("valid/ts/cs.root.crt"))
        .assert()
        .code(0);
    for (name, envelope) in [
        ("lay0", None),
        ("lt", Some("b4d9a9d16280438ef5ce653ef323a575705e1b1f9fa7947c70f2df5c3fcddcb7")),
        ("lc", Some("633f67a5f8c615096f296812b8101cab7c9f6e914e2e7da3e457d27c20189afa")),
    ] {
        copy_unsigned(&host, name);
        let reference = format!("{name}:v1");
        match envelope {
            None => host.run(&["sign", "--oci-layout", "-e", "24h", &reference]),
            Some(blob) => host
                .command(&["attach", "--oci-layout", &reference])
                .arg(data(&format!("{name}/blobs/sha256/{blob}")))
                .assert(),
        }
        .code(0);
    }
    host
}

pub(crate) fn copy_unsigned(host: &Host, name: &str) {
    for file in ["oci-layout", "index.json"] {
        host.write(&format!("{name}/{file}"), fs::read(data("lay0").join(file)).unwrap());
    }
    for blob in fs::read_dir(data("lay0/blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        let blob = path.file_name().unwrap().to_str().unwrap();
        host.write(&format!("{name}/blobs/sha256/{blob}"), fs::read(&path).unwrap());
    }
}

pub(crate) fn notation_accepts(binary: &Path, host: &Host, reference: &str) -> bool {
    let output = Command::new(binary)
        .args(["verify", "--oci-layout", "--scope", "local/x", reference])
        .current_dir(host.path(""))
        .env("NOTATION_EXPERIMENTAL", "1")
        .env("NOTATION_CONFIG", host.path("config"))
        .env("NOTATION_CACHE", host.path("cache"))
        .env("XDG_CONFIG_HOME", host.path(""))
        .output()
        .unwrap();
    output.status.success()
}

#[test]
fn what_dockseal_accepts_notation_accepts() {
    let Some(binary) = std::env::var_os("NOTATION_BIN") else { return };
    let host = host();
    fs::remove_file(host.path("config/trustpolicy.oci.json")).unwrap();
    assert!(host.path(MANIFEST).exists());
    let (mut accepted, mut of_several) = (0, 0);
    let mut reasons = BTreeSet::new();
    for policy in policies() {
        host.write("config/trustpolicy.json", &policy);
        for reference in ["lay0:v1", "lt:v1", "lc:v1"] {
            let verify = ["verify", "--oci-layout", "--scope", "local/x", reference];
            let run = host.run(&verify);
            let dockseal = run.get_output().status.success();
            let notation = notation_accepts(Path::new(&binary), &host, reference);
            assert!(!dockseal || notation, "only dockseal accepts {reference} under {policy}");
            if notation && !dockseal {
                let said = String::from_utf8_lossy(&run.get_output().stderr);
                let reason = NARROWER
                    .iter()
                    .find(|(_, text, words)| policy.contains(text) && said.contains(words));
                let Some((rule, ..)) = reason else {
                    panic!("only notation accepts {reference} under {policy}: {said}");
                };
                reasons.insert(*rule);
            }
            accepted += u32::from(dockseal);
            of_several += u32::from(dockseal && policy.matches("\"name\"").count() > 1);
        }
    }
    assert!(accepted > 50, "the policies must not all be refused: {accepted}");
    assert!(of_several > 50, "nor those of several statements: {of_several}");
    let expected: BTreeSet<_> = NARROWER.iter().map(|(rule, ..)| *rule).collect();
    assert_eq!(reasons, expected, "a reason for nothing");
}
