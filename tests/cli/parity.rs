//! Verdicts of dockseal and of the real notation under the same policies (spec/notation.md §13.1).
//!
//! Opt-in: runs when `NOTATION_BIN` names a notation 1.3. The rule: where dockseal says yes,
//! notation says yes; where only notation does, a rule of §12.2 is the reason.

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

/// Policies that notation takes and dockseal refuses, and why.
const NARROWER: [(&str, &str); 2] = [("ca:..", "N-03"), ("foo:bar", "N-25")];

/// Random combinations besides those that change one member only.
const COMBINATIONS: u64 = 150;

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
    // A linear congruential generator: the same combinations every time.
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for _ in 0..COMBINATIONS {
        choices.push(sizes.map(|size| if random(2) == 0 { 0 } else { random(size) }));
    }
    let text = |[level, rest, stores, identities, scopes]: [usize; 5]| {
        format!(
            r#"{{"version":"1.0","trustPolicies":[{{"name":"p","registryScopes":{},"signatureVerification":{{"level":{}{}}},"trustStores":{},"trustedIdentities":{}}}]}}"#,
            SCOPES[scopes], LEVELS[level], REST[rest], STORES[stores], IDENTITIES[identities]
        )
    };
    choices.into_iter().map(text).collect()
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
    let mut accepted = 0;
    for policy in policies() {
        host.write("config/trustpolicy.json", &policy);
        for reference in ["lay0:v1", "lt:v1", "lc:v1"] {
            let verify = ["verify", "--oci-layout", "--scope", "local/x", reference];
            let dockseal = host.run(&verify).get_output().status.success();
            let notation = notation_accepts(Path::new(&binary), &host, reference);
            assert!(!dockseal || notation, "only dockseal accepts {reference} under {policy}");
            let reason = NARROWER.iter().any(|(text, _)| policy.contains(text));
            assert!(
                dockseal || !notation || reason,
                "only notation accepts {reference} under {policy}"
            );
            accepted += u32::from(dockseal);
        }
    }
    assert!(accepted > 50, "the policies must not all be refused: {accepted}");
}
