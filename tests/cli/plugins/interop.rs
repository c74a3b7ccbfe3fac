//! The same plugins and directories for dockseal and the real notation, both ways.
//!
//! Opt-in: runs when `NOTATION_BIN` names a notation 1.3.

use std::ffi::OsString;
use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{ENVELOPE, IDENTITY, RAW, REVOCATION, key_id};
use crate::{Host, data};

const FORMATS: [&str; 2] = ["jws", "cose"];

/// A host with the real notation, and a policy that both read.
struct Both {
    host: Host,
    notation: OsString,
}

impl Both {
    fn new() -> Option<Self> {
        let notation = std::env::var_os("NOTATION_BIN")?;
        let host = Host::empty();
        host.trust_root();
        host.command(&["cert", "add", "-t", "signingAuthority", "-s", "notary"])
            .arg(data("valid/root.crt"))
            .assert()
            .success();
        let both = Self { host, notation };
        both.policy(r#"{"level":"strict"}"#);
        Some(both)
    }

    fn policy(&self, verification: &str) {
        self.host.write(
            "config/trustpolicy.json",
            format!(
                r#"{{"version":"1.0","trustPolicies":[{{"name":"p","registryScopes":["*"],"signatureVerification":{verification},"trustStores":["ca:notary","signingAuthority:notary"],"trustedIdentities":["x509.subject: C=US, ST=WA, O=Notary"]}}]}}"#
            ),
        );
    }

    /// A new unsigned layout.
    fn layout(&self, name: &str) -> String {
        for file in ["oci-layout", "index.json"] {
            self.host.write(&format!("{name}/{file}"), fs::read(data("lay0").join(file)).unwrap());
        }
        for blob in fs::read_dir(data("lay0/blobs/sha256")).unwrap() {
            let path = blob.unwrap().path();
            let blob = path.file_name().unwrap().to_str().unwrap();
            self.host.write(&format!("{name}/blobs/sha256/{blob}"), fs::read(&path).unwrap());
        }
        format!("{name}:v1")
    }

    fn notation(&self, arguments: &[&str]) -> Output {
        Command::new(&self.notation)
            .args(arguments)
            .current_dir(self.host.path(""))
            .env("NOTATION_EXPERIMENTAL", "1")
            .env("NOTATION_CONFIG", self.host.path("config"))
            .env("NOTATION_CACHE", self.host.path("cache"))
            .env("XDG_CONFIG_HOME", self.host.path(""))
            .output()
            .unwrap()
    }

    fn notation_signs(&self, layout: &str, options: &[&str]) {
        let output = self.notation(&[&["sign", "--oci-layout", layout], options].concat());
        assert!(output.status.success(), "{options:?}: {output:?}");
    }

    fn notation_verifies(&self, layout: &str) -> bool {
        let arguments = ["verify", "--oci-layout", "--scope", "local/x", layout];
        self.notation(&arguments).status.success()
    }

    fn dockseal_verifies(&self, layout: &str) -> bool {
        let arguments = ["verify", "--oci-layout", "--scope", "local/x", layout];
        self.host.run(&arguments).get_output().status.success()
    }

    /// What the plugin was asked since the last look, byte for byte; but notation lists the names
    /// of attributes in a random order.
    fn asked(&self, plugin: &str) -> String {
        let path = self.host.path(&format!("config/plugins/{plugin}/requests"));
        let log = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        let [other, own] =
            [r#"["example.noncrit","example.crit"]"#, r#"["example.crit","example.noncrit"]"#];
        log.replace(other, own)
    }
}

/// The requests with the payload of bare signatures, which holds the time, left out.
fn without_time(log: &str) -> Vec<(String, Value)> {
    let line = |line: &str| {
        let (command, request) = line.split_once(' ').unwrap();
        let mut request: Value = serde_json::from_str(request).unwrap();
        if command == "generate-signature" {
            request["payload"] = Value::Null;
        }
        (command.to_owned(), request)
    };
    log.lines().map(line).collect()
}

#[test]
fn what_one_signs_with_a_plugin_the_other_verifies() {
    let Some(both) = Both::new() else { return };
    for capability in [RAW, ENVELOPE] {
        both.host.plugin("p", &json!({"capabilities": [capability]}));
        for key in crate::KEYS {
            for format in FORMATS {
                let id = key_id(key);
                let options = [
                    "--plugin",
                    "p",
                    "--id",
                    &id,
                    "--signature-format",
                    format,
                    "-m",
                    "k=v",
                    "-e",
                    "1h",
                    "--plugin-config",
                    "a=b",
                ];
                let name = |by: &str| format!("{by}-{capability}-{key}-{format}");
                let layout = both.layout(&name("notation"));
                both.notation_signs(&layout, &options);
                let by_notation = both.asked("p");
                assert!(both.dockseal_verifies(&layout), "{layout}");
                let layout = both.layout(&name("dockseal"));
                both.host.run(&[&["sign", "--oci-layout", &layout], &options[..]].concat()).code(0);
                let by_dockseal = both.asked("p");
                assert!(both.notation_verifies(&layout), "{layout}");
                // Both ask the same, in the same order; whole envelopes byte for byte.
                assert_eq!(without_time(&by_notation), without_time(&by_dockseal), "{layout}");
                assert!(
                    capability == RAW || by_notation == by_dockseal,
                    "{by_notation}{by_dockseal}"
                );
            }
        }
    }
}

#[test]
fn both_ask_a_verifier_the_same_and_believe_it() {
    let Some(both) = Both::new() else { return };
    let attributes = [
        json!({}),
        json!({"example.crit": ["v", true], "example.noncrit": [{"b": 1, "a": [true]}, false]}),
        json!({"io.cncf.notary.verificationPluginMinVersion": ["1.0.0", true]}),
    ];
    for (number, extended) in attributes.iter().enumerate() {
        for format in FORMATS {
            for authority in [false, true] {
                let mut extended = extended.clone();
                extended["io.cncf.notary.verificationPlugin"] = json!(["v", true]);
                if format == "cose" && number == 1 {
                    // notation can't put a map of CBOR into a request.
                    extended["example.noncrit"] = json!([["x", 1], false]);
                }
                let behaviour = json!({"capabilities": [ENVELOPE], "extended": extended, "authority": authority});
                both.host.plugin("s", &behaviour);
                let layout = both.layout(&format!("{number}-{format}-{authority}"));
                let id = key_id("ec256");
                let mut options = vec!["--plugin", "s", "--id", &id, "--signature-format", format];
                if number > 0 {
                    options.extend(["-e", "24h"]);
                }
                both.host.run(&[&["sign", "--oci-layout", &layout], &options[..]].concat()).code(0);
                for (policy, behaviour, accepted) in [
                    (r#"{"level":"strict"}"#, json!({}), true),
                    (r#"{"level":"strict"}"#, json!({"capabilities": [IDENTITY]}), true),
                    (r#"{"level":"strict"}"#, json!({"capabilities": [REVOCATION]}), true),
                    (r#"{"level":"strict"}"#, json!({"capabilities": [RAW]}), false),
                    (r#"{"level":"strict"}"#, json!({"version": "0.9.0"}), number != 2),
                    (r#"{"level":"strict"}"#, json!({"results": {IDENTITY: [false, "x"]}}), false),
                    (
                        r#"{"level":"strict"}"#,
                        json!({"results": {REVOCATION: [false, "x"]}}),
                        false,
                    ),
                    (r#"{"level":"strict"}"#, json!({"results": {REVOCATION: "none"}}), false),
                    (r#"{"level":"audit"}"#, json!({"results": {IDENTITY: [false, "x"]}}), true),
                    (r#"{"level":"strict"}"#, json!({"processed": []}), number != 1),
                    (r#"{"level":"strict"}"#, json!({"processed": ["example.crit"]}), number != 1),
                    (
                        r#"{"level":"strict","override":{"revocation":"skip"}}"#,
                        json!({"results": {REVOCATION: [false, "x"]}}),
                        true,
                    ),
                ] {
                    both.policy(policy);
                    both.host.plugin("v", &behaviour);
                    let case = format!("{layout} {policy} {behaviour}");
                    assert_eq!(both.notation_verifies(&layout), accepted, "notation: {case}");
                    let by_notation = both.asked("v");
                    assert_eq!(both.dockseal_verifies(&layout), accepted, "dockseal: {case}");
                    assert_eq!(both.asked("v"), by_notation, "{case}");
                }
            }
        }
    }
}

/// N-01: critical attributes that nobody was asked about. notation takes them for processed.
#[test]
fn n01_only_notation_accepts_what_no_plugin_was_asked_about() {
    let Some(both) = Both::new() else { return };
    let extended = json!({
        "io.cncf.notary.verificationPlugin": ["v", true], "example.crit": ["v", true],
    });
    both.host.plugin("s", &json!({"capabilities": [ENVELOPE], "extended": extended}));
    both.host.plugin("v", &json!({"capabilities": [REVOCATION]}));
    let layout = both.layout("lay");
    let id = key_id("ec256");
    both.host.run(&["sign", "--oci-layout", &layout, "--plugin", "s", "--id", &id]).code(0);
    assert!(both.notation_verifies(&layout) && both.dockseal_verifies(&layout));
    both.policy(r#"{"level":"strict","override":{"revocation":"skip"}}"#);
    assert!(both.notation_verifies(&layout) && !both.dockseal_verifies(&layout));
}

#[test]
fn both_list_the_same_table_and_find_each_others_plugins() {
    let Some(both) = Both::new() else { return };
    both.host.plugin("p", &json!({}));
    both.host.plugin("q.r", &json!({"version": "2.0.0", "capabilities": [RAW, "OTHER"]}));
    let by_notation = both.notation(&["plugin", "list"]).stdout;
    let by_dockseal = both.host.run(&["plugin", "list"]).get_output().stdout.clone();
    assert_eq!(String::from_utf8(by_dockseal).unwrap(), String::from_utf8(by_notation).unwrap());
    for (installs, name) in [("notation", "x"), ("dockseal", "y")] {
        let program = both.host.path(&format!("notation-{name}"));
        fs::copy(super::program(), &program).unwrap();
        let install = ["plugin", "install", "--file", program.to_str().unwrap()];
        let installed = match installs {
            "notation" => both.notation(&install),
            _ => both.host.run(&install).get_output().clone(),
        };
        assert!(installed.status.success(), "{installed:?}");
        let remove = ["plugin", "uninstall", "-y", name];
        let removed = match installs {
            "notation" => both.host.run(&remove).get_output().clone(),
            _ => both.notation(&remove),
        };
        assert!(removed.status.success(), "{removed:?}");
    }
}
