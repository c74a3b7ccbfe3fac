//! `dockseal kit`: trust from one host to another.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use snapbox::str;

use crate::{Host, MANIFEST, data};

const URL: &str = "http://crl.example/root.crl";

fn list(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/crl").join(name)
}

/// The host where kits are made: it trusts a root, and has a CRL.
pub(crate) fn sender() -> Host {
    let host = Host::ready();
    host.command(&["crl", "import", "--url", URL]).arg(list("good.crl")).assert().code(0);
    host
}

/// Makes a kit; its bytes.
pub(crate) fn export(host: &Host, version: &str, options: &[&str]) -> Vec<u8> {
    let common = ["kit", "export", "--name", "plant", "-o", "kit.tar", "--version", version];
    host.run(&[&common[..], options].concat()).code(0);
    host.read("kit.tar")
}

/// A host that trusts nobody, with a signature of the sender.
pub(crate) fn receiver(sender: &Host) -> Host {
    let host = Host::empty();
    sender.run(&["sign", "--local", "-o", "a.sig", MANIFEST]).code(0);
    host.write("a.sig", sender.read("a.sig"));
    fs::copy(data("valid/root.crt"), host.path("root.crt")).unwrap();
    host
}

pub(crate) const VERIFY: [&str; 5] = ["verify", "--local", "-s", "a.sig", MANIFEST];
pub(crate) const FIRST: [&str; 5] = ["kit", "import", "kit.tar", "--trust-root", "root.crt"];
pub(crate) const NEXT: [&str; 3] = ["kit", "import", "kit.tar"];

/// Names and bytes, in their order.
type Members = Vec<(String, Vec<u8>)>;

fn members(kit: &[u8]) -> Members {
    let mut members = Vec::new();
    for entry in tar::Archive::new(kit).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        members.push((entry.path().unwrap().display().to_string(), bytes));
    }
    members
}

fn tar(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn trust_arrives_on_an_empty_host() {
    let sender = sender();
    let host = receiver(&sender);
    host.write("kit.tar", export(&sender, "1", &[]));
    host.run(&VERIFY).code(12);
    host.run(&NEXT).code(12).stdout_eq(str![]).stderr_eq(str![[r#"
error: nothing says whose kits called "plant" are believed
hint: dockseal kit import kit.tar --trust-root CERT

"#]]);
    let dry = [&FIRST[..], &["--dry-run"]].concat();
    host.run(&dry).code(0).stdout_eq(str![[r#"
add          crl/3a6c7c43216426d6c40e2028dd4dda2d7a1144556aa08e95082925e8c5c31d45
    + CN=revoking root,O=Notary,ST=WA,C=US, issued [TIME]
add          truststore/x509/ca/notary/root.crt
    + CN=root,O=Notary,L=Seattle,ST=WA,C=US (sha256 c2f8b291fa2ccb697c659c4096f7d416c9fa9cb25e332df0ce91279e3dc62d65)
add          trustpolicy.oci.json
    + statement "all"
        registryScopes: ["*"]
        signatureVerification: {"level":"strict"}
        trustStores: ["ca:notary"]
        trustedIdentities: ["*"]
Would import kit "plant" version 1: 3 changes

"#]]).stderr_eq(str![[r#"
trust root: CN=root,O=Notary,L=Seattle,ST=WA,C=US (sha256 c2f8b291fa2ccb697c659c4096f7d416c9fa9cb25e332df0ce91279e3dc62d65)
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US

"#]]);
    host.run(&VERIFY).code(12);
    assert!(!host.path("config/truststore").exists(), "nothing is changed");
    host.run(&FIRST).code(0);
    host.run(&VERIFY).code(0);
    host.run(&["crl", "list"]).code(0);
    for path in [
        "config/trustpolicy.oci.json",
        "config/truststore/x509/ca/notary/root.crt",
        "cache/crl/3a6c7c43216426d6c40e2028dd4dda2d7a1144556aa08e95082925e8c5c31d45",
    ] {
        assert_eq!(host.read(path), sender.read(path), "{path}");
    }
    host.run(&NEXT)
        .code(0)
        .stdout_eq(str![[r#"
Successfully imported kit "plant" version 1: 0 changes

"#]])
        .stderr_eq(str![[r#"
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US

"#]]);
    host.run(&["kit", "show", "kit.tar"])
        .code(0)
        .stdout_eq(str![[r#"
kit "plant" version 1, made [TIME]
digest  sha256:[..]
signer  CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
expiry  none
  crl/3a6c7c43216426d6c40e2028dd4dda2d7a1144556aa08e95082925e8c5c31d45 (until [TIME])
  truststore/x509/ca/notary/root.crt
  trustpolicy.oci.json

"#]])
        .stderr_eq(str![[r#"
nothing was verified: this is what the kit says

"#]]);
}

#[test]
fn a_later_kit_replaces_what_an_earlier_one_put_there() {
    let sender = sender();
    let host = receiver(&sender);
    fs::copy(list("root.crt"), sender.path("other.crt")).unwrap();
    sender.run(&["cert", "add", "-t", "ca", "-s", "passing", "other.crt"]).code(0);
    sender.run(&["cert", "add", "-t", "ca", "-s", "common", "other.crt"]).code(0);
    let first = export(&sender, "1", &[]);
    host.write("kit.tar", &first);
    // It is here already, byte for byte, and not by a kit.
    host.write("config/truststore/x509/ca/common/other.crt", sender.read("other.crt"));
    host.run(&FIRST).code(0);
    // What the operator put there is not the kit's.
    host.write("other.crt", sender.read("other.crt"));
    host.run(&["cert", "add", "-t", "ca", "-s", "own", "other.crt"]).code(0);
    for name in ["passing", "common"] {
        sender.run(&["cert", "delete", "-y", "-t", "ca", "-s", name, "--all"]).code(0);
    }
    sender.policy(r#""permissive""#);
    sender.command(&["crl", "import", "--url", URL]).arg(list("revoked.crl")).assert().code(0);
    let second = export(&sender, "2", &[]);
    host.write("kit.tar", &second);
    host.run(&NEXT).code(0).stdout_eq(str![[r#"
change       crl/3a6c7c43216426d6c40e2028dd4dda2d7a1144556aa08e95082925e8c5c31d45
    - CN=revoking root,O=Notary,ST=WA,C=US, issued [TIME]
    + CN=revoking root,O=Notary,ST=WA,C=US, issued [TIME]
remove       truststore/x509/ca/passing/other.crt
    - CN=revoking root,O=Notary,ST=WA,C=US (sha256 47434ef15795eef6d98b2e1bd0592d14806d7c0aea4201b762198bb3a47ebb91)
change       trustpolicy.oci.json
    ~ statement "all"
        signatureVerification: {"level":"strict"} -> {"level":"permissive"}
Successfully imported kit "plant" version 2: 3 changes

"#]]).stderr_eq(str![[r#"
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US

"#]]);
    assert!(!host.path("config/truststore/x509/ca/passing").exists());
    assert!(host.path("config/truststore/x509/ca/own/other.crt").exists());
    assert!(host.path("config/truststore/x509/ca/common/other.crt").exists());

    host.write("kit.tar", &first);
    host.run(&NEXT).code(12).stdout_eq(str![]).stderr_eq(str![[r#"
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
error: kit "plant" version 2 is installed, this is version 1
hint: if that is what you want: dockseal kit import kit.tar --allow-rollback

"#]]);
    // Even then a CRL is never replaced by an older one.
    let forced = [&NEXT[..], &["--allow-rollback"]].concat();
    let output = host.run(&forced).code(0).get_output().stdout.clone();
    let said = String::from_utf8(output).unwrap();
    assert!(said.contains("keep-newer   crl/3a6c7c43"), "{said}");
    let crl = "cache/crl/3a6c7c43216426d6c40e2028dd4dda2d7a1144556aa08e95082925e8c5c31d45";
    assert_eq!(host.read(crl), sender.read(crl));

    sender.policy(r#""audit""#);
    host.write("kit.tar", export(&sender, "1", &[]));
    host.run(&NEXT).code(12).stderr_eq(str![[r#"
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
error: another kit "plant" of the same version 1 is installed
hint: if that is what you want: dockseal kit import kit.tar --allow-rollback

"#]]);
}

#[test]
fn what_was_changed_here_or_is_of_another_kit_stays() {
    let sender = sender();
    let host = receiver(&sender);
    fs::copy(list("root.crt"), sender.path("other.crt")).unwrap();
    for name in ["a", "b", "c"] {
        sender.run(&["cert", "add", "-t", "ca", "-s", name, "other.crt"]).code(0);
    }
    host.write("kit.tar", export(&sender, "1", &[]));
    host.run(&FIRST).code(0);
    sender.run(&["kit", "export", "--name", "second", "-o", "kit.tar", "--version", "1"]).code(0);
    host.write("kit.tar", sender.read("kit.tar"));
    host.run(&FIRST).code(0);
    host.write("config/truststore/x509/ca/a/other.crt", host.read("root.crt"));
    fs::remove_file(host.path("config/kits/installed/second.json")).unwrap();
    host.write(
        "config/kits/installed/second.json",
        r#"{"schemaVersion":1,"name":"second","version":1,"digest":"","created":"","files":{"truststore/x509/ca/b/other.crt":""}}"#,
    );
    for name in ["a", "b", "c"] {
        sender.run(&["cert", "delete", "-y", "-t", "ca", "-s", name, "--all"]).code(0);
    }
    host.write("kit.tar", export(&sender, "2", &[]));
    let output = host.run(&NEXT).code(0).get_output().stdout.clone();
    let said = String::from_utf8(output).unwrap();
    for line in [
        "keep-foreign truststore/x509/ca/a/other.crt",
        "keep-foreign truststore/x509/ca/b/other.crt",
        "remove       truststore/x509/ca/c/other.crt",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

/// The host's policy for files says whose kits are believed, before anything else.
#[test]
fn a_statement_called_kit_decides() {
    let sender = sender();
    let host = receiver(&sender);
    sender
        .run(&[
            "blob",
            "policy",
            "init",
            "--name",
            "kit",
            "--trust-store",
            "ca:notary",
            "--trusted-identity",
            "x509.subject: C=US, ST=WA, O=Notary, CN=leaf-ec256",
        ])
        .code(0);
    host.write("kit.tar", export(&sender, "1", &[]));
    host.run(&FIRST).code(0);
    host.write("kit.tar", export(&sender, "2", &[]));
    host.run(&NEXT).code(0);
    sender.add_key("rsa2048", &[]);
    host.write("kit.tar", export(&sender, "3", &["--key", "rsa2048"]));
    host.run(&NEXT).code(12);
    host.run(&["kit", "import", "kit.tar", "--policy-name", "nobody"]).code(12);
}

/// Without a statement, it is the signer of the first kit.
#[test]
fn another_signer_below_the_same_root_is_not_believed() {
    let sender = sender();
    let host = receiver(&sender);
    host.write("kit.tar", export(&sender, "1", &[]));
    host.run(&FIRST).code(0);
    sender.add_key("rsa2048", &[]);
    host.write("kit.tar", export(&sender, "2", &["--key", "rsa2048"]));
    host.run(&NEXT).code(12);
    // Of another name nothing is remembered.
    sender.run(&["kit", "export", "--name", "other", "-o", "kit.tar"]).code(0);
    host.write("kit.tar", sender.read("kit.tar"));
    host.run(&NEXT).code(12);
    fs::copy(list("root.crt"), host.path("root.crt")).unwrap();
    host.run(&FIRST).code(12);
}

#[test]
fn s1_s5_every_defect_is_refused() {
    let sender = sender();
    let host = receiver(&sender);
    let good = members(&export(&sender, "1", &[]));
    let names: Vec<_> = good.iter().map(|(name, _)| name.as_str()).collect();
    let crl = "crl/3a6c7c43216426d6c40e2028dd4dda2d7a1144556aa08e95082925e8c5c31d45";
    assert_eq!(
        names,
        [
            "kit.json",
            "kit.json.jws.sig",
            crl,
            "truststore/x509/ca/notary/root.crt",
            "trustpolicy.oci.json"
        ]
    );
    let extra = |name: &str| (name.to_owned(), b"x".to_vec());
    let with = |change: &dyn Fn(&mut Members)| {
        let mut kit = good.clone();
        change(&mut kit);
        tar(&kit)
    };
    for (bad, code) in [
        // The signed document is another one.
        (
            with(&|kit| {
                let text = String::from_utf8(kit[0].1.clone()).unwrap();
                kit[0].1 = text.replace("\"version\": 1,", "\"version\": 9,").into_bytes();
            }),
            13,
        ),
        (with(&|kit| kit[4].1.push(b' ')), 13),
        (with(&|kit| kit[3].1 = fs::read(list("root.crt")).unwrap()), 13),
        (with(&|kit| drop(kit.pop())), 16),
        (with(&|kit| kit.push(extra("more"))), 16),
        (with(&|kit| kit.push(kit[4].clone())), 16),
        (with(&|kit| kit.swap(3, 4)), 16),
        (with(&|kit| kit.swap(0, 1)), 16),
        (with(&|kit| drop(kit.remove(1))), 16),
        (with(&|kit| kit[1].1 = b"{}".to_vec()), 16),
        (with(&|kit| kit[1].0 = "kit.json.cose.sig".to_owned()), 16),
        ([tar(&good), b"more".to_vec()].concat(), 16),
        (b"no kit".to_vec(), 16),
    ] {
        host.write("kit.tar", bad);
        let output = host.run(&FIRST);
        let status = output.get_output().status.code();
        let talk = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert_eq!(status, Some(code), "{talk}");
        assert!(!host.path("config/truststore").exists(), "{talk}");
    }
    // A signature of the same bytes as something else is none of a kit.
    sender.write("kit.json", &good[0].1);
    sender.run(&["blob", "sign", "kit.json"]).code(0);
    host.write("kit.tar", with(&|kit| kit[1].1 = sender.read("kit.json.jws.sig")));
    host.run(&FIRST).code(13);
}

#[test]
fn keys_never_enter_a_kit() {
    let sender = sender();
    let mut both = fs::read(data("valid/root.crt")).unwrap();
    both.extend(fs::read(data("valid/ec256.key")).unwrap());
    sender.write("config/truststore/x509/ca/notary/both.pem", both);
    sender
        .run(&["kit", "export", "--name", "plant", "-o", "kit.tar"])
        .code(2)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: truststore/x509/ca/notary/both.pem holds a private key: those never enter a kit
hint: take it out of the trust store: mv truststore/x509/ca/notary/both.pem DIRECTORY

"#]]);
    assert!(!sender.path("kit.tar").exists());
}

#[test]
fn what_is_expired_is_told() {
    let sender = sender();
    let host = receiver(&sender);
    let crl = format!("{URL}={}", list("expired.crl").display());
    sender
        .run(&["kit", "export", "--name", "plant", "-o", "kit.tar", "--add-crl", &crl])
        .code(0)
        .stderr_eq(str![[r#"
warning: crl/3a6c7c43216426d6c40e2028dd4dda2d7a1144556aa08e95082925e8c5c31d45 expired at [TIME], it will not be believed

"#]]);
    host.write("kit.tar", sender.read("kit.tar"));
    host.run(&["kit", "show", "kit.tar"]).code(0).stderr_eq(str![[r#"
warning: crl/3a6c7c43216426d6c40e2028dd4dda2d7a1144556aa08e95082925e8c5c31d45 expired at [TIME], it will not be believed
nothing was verified: this is what the kit says

"#]]);
    host.write("kit.tar", export(&sender, "1", &["--expiry", "1s"]));
    std::thread::sleep(std::time::Duration::from_secs(2));
    host.run(&FIRST).code(14);
}

/// A journal that is left makes the host refuse until its import is complete.
#[test]
fn an_interrupted_import_is_resumed() {
    let sender = sender();
    let host = receiver(&sender);
    host.write("kit.tar", export(&sender, "1", &[]));
    host.run(&FIRST).code(0);
    let installed = String::from_utf8(host.read("config/kits/installed/plant.json")).unwrap();
    let path = "truststore/x509/ca/notary/root.crt";
    let journal = format!(r#"{{"steps": [{{"path": "{path}"}}], "installed": {installed}}}"#);
    host.write("config/kits/journal.json", journal);
    host.run(&VERIFY).code(12).stdout_eq(str![]).stderr_eq(str![[r#"
error: the import of a kit is under way or was interrupted: what is trusted is undecided
hint: dockseal kit resume

"#]]);
    let dry = [&FIRST[..], &["--dry-run"]].concat();
    for command in [&["kit", "export", "--name", "x", "-o", "x.tar"][..], &dry] {
        host.run(command).code(12);
    }
    host.run(&["kit", "resume"]).code(0).stdout_eq(str![]).stderr_eq(str![[r#"
completed the interrupted import of kit "plant" version 1

"#]]);
    assert!(!host.path("config/truststore/x509/ca/notary").exists());
    host.run(&VERIFY).code(12);
    host.run(&["kit", "resume"]).code(0).stderr_eq(str![[r#"
no import was interrupted

"#]]);
    host.run(&NEXT).code(0);
    host.run(&VERIFY).code(0);
}

/// What is in the way is found before anything is decided.
#[test]
fn a_host_that_can_not_take_a_kit_stays_as_it_is() {
    let sender = sender();
    let host = receiver(&sender);
    host.write("kit.tar", export(&sender, "1", &[]));
    host.write("config/truststore/x509/ca", "in the way");
    host.run(&FIRST).code(20);
    fs::remove_file(host.path("config/truststore/x509/ca")).unwrap();
    fs::create_dir_all(host.path("config/truststore/x509/ca/notary")).unwrap();
    std::os::unix::fs::symlink("/dev/null", host.path("config/truststore/x509/ca/notary/root.crt"))
        .unwrap();
    host.run(&FIRST).code(16);
    assert!(!host.path("config/kits/journal.json").exists());
    assert!(!host.path("config/trustpolicy.oci.json").exists());
}

/// Opt-in: `NOTATION_BIN` names a notation that knows blobs, which 1.3 does not yet.
#[test]
fn notation_verifies_the_signature_of_a_kit() {
    let Some(notation) = std::env::var_os("NOTATION_BIN") else { return };
    if !Command::new(&notation).args(["blob", "--help"]).output().unwrap().status.success() {
        eprintln!("skipped: {} has no `blob`", notation.display());
        return;
    }
    for format in ["jws", "cose"] {
        let sender = sender();
        sender
            .run(&[
                "blob",
                "policy",
                "init",
                "--name",
                "kit",
                "--global",
                "--trust-store",
                "ca:notary",
                "--trusted-identity",
                "*",
            ])
            .code(0);
        let kit = export(&sender, "1", &["--signature-format", format]);
        for (name, bytes) in members(&kit).into_iter().take(2) {
            sender.write(&name, bytes);
        }
        let signature = format!("kit.json.{format}.sig");
        let verify = |what: &str| {
            Command::new(&notation)
                .args(["blob", "verify", "--signature", &signature, what])
                .current_dir(sender.path(""))
                .env_clear()
                .env("XDG_CONFIG_HOME", sender.path("xdg"))
                .output()
                .unwrap()
        };
        fs::create_dir_all(sender.path("xdg")).unwrap();
        let _ = fs::rename(sender.path("config"), sender.path("xdg/notation"));
        let output = verify("kit.json");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        sender.write("other.json", "{}");
        assert!(!verify("other.json").status.success());
    }
}

#[test]
fn reports() {
    let sender = sender();
    let host = receiver(&sender);
    host.write("kit.tar", export(&sender, "1", &[]));
    let arguments = [&["--format", "json"], &FIRST[..]].concat();
    let output = host.run(&arguments).code(0).get_output().stdout.clone();
    let report: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(report["verdict"], "imported");
    assert_eq!(report["kit"]["name"], "plant");
    assert_eq!(report["kit"]["version"], 1);
    let changes = report["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 3);
    assert!(changes.iter().all(|change| change["action"] == "add"), "{report}");
}
