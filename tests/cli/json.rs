//! `--format json`: one document per command, as the schema that `dockseal schema` prints says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::plugins::{RAW, key_id};
use crate::{Host, MANIFEST, data};

const DIGEST: &str = "sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707";
const CRL: &str = "http://crl.example/root.crl";

/// Commands whose result is data, which no format changes: only their failures are documents, and
/// where `-o` writes the data.
const DATA: [&str; 3] = ["completion", "help", "schema"];

fn testdata(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
    path.to_str().unwrap().to_owned()
}

/// The schema, and which definitions of it were used.
struct Schema {
    document: Value,
    seen: BTreeSet<(String, bool)>,
}

impl Schema {
    fn new(host: &Host) -> Self {
        let document = host.run(&["schema"]).code(0).get_output().stdout.clone();
        let document: Value = serde_json::from_slice(&document).unwrap();
        assert!(jsonschema::meta::is_valid(&document));
        Self { document, seen: BTreeSet::new() }
    }

    /// What a document of a command may be: each of its forms.
    fn forms(&self, command: &str) -> Vec<Validator> {
        let definition = &self.document["$defs"][command];
        let forms = definition["anyOf"].as_array().cloned();
        let forms = forms.unwrap_or_else(|| vec![definition.clone()]);
        let validator = |form: &Value| {
            let mut schema = form.clone();
            schema["$defs"] = self.document["$defs"].clone();
            jsonschema::draft202012::new(&schema).unwrap()
        };
        forms.iter().map(validator).collect()
    }

    fn check(&mut self, command: &str, document: &Value, is_failure: bool) {
        let failure = document.get("exitCode").is_some();
        assert_eq!(failure, is_failure, "{command}: {document:#}");
        let forms = self.forms(command);
        let wrong = |form: &Validator| {
            let errors = form.iter_errors(document);
            errors.map(|error| format!("{}: {error}", error.instance_path())).collect::<Vec<_>>()
        };
        let wrong: Vec<_> = forms.iter().map(wrong).collect();
        assert!(wrong.iter().any(Vec::is_empty), "{command}: {wrong:#?}\n{document:#}");
        assert!(
            jsonschema::draft202012::new(&self.document).unwrap().is_valid(document),
            "{command}: {document:#}"
        );
        self.seen.insert((command.to_owned(), is_failure));
    }

    /// Runs a command; stdout is one document that is as the schema says.
    fn run(&mut self, host: &Host, command: &str, arguments: &[&str], code: i32) -> Value {
        let line: Vec<_> = command
            .split(' ')
            .chain(arguments.iter().copied())
            .chain(["--format", "json"])
            .collect();
        let output = host.run(&line).get_output().clone();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{line:?}: {said}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{line:?}: {error}: {}", String::from_utf8_lossy(&output.stdout))
        });
        self.check(command, &document, code != 0);
        if code != 0 {
            assert_eq!(document["exitCode"], code, "{line:?}");
            let hint = document["hint"].as_str().unwrap();
            assert!(said.contains(&format!("hint: {hint}")), "{line:?}: {said}");
        }
        document
    }
}

/// All commands that do something, as the manual pages show them.
fn commands(host: &Host) -> BTreeSet<String> {
    host.run(&["man", "man"]).code(0);
    let pages: BTreeSet<String> = fs::read_dir(host.path("man"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".1")?.strip_prefix("dockseal-").map(str::to_owned))
        // Another program.
        .filter(|name| name != "containerd-verifier")
        .collect();
    let is_leaf = |page: &&String| {
        let below = format!("{page}-");
        !pages.iter().any(|other| other.starts_with(&below))
    };
    pages.iter().filter(is_leaf).cloned().collect()
}

#[test]
fn every_document_is_as_the_schema_says() {
    let host = Host::empty();
    let mut schema = Schema::new(&host);
    let all = commands(&host);
    about_the_program(&mut schema, &host);
    trust(&mut schema, &host);
    keys(&mut schema, &host);
    images(&mut schema, &host);
    signatures(&mut schema, &host);
    many_images(&mut schema, &Host::ready());
    blobs(&mut schema, &Host::ready());
    timestamps(&mut schema, &Host::ready());
    crls(&mut schema, &Host::ready());
    plugins(&mut schema, &Host::ready());
    kits(&mut schema);
    for command in all {
        let has = |is_failure: bool| {
            schema
                .seen
                .iter()
                .any(|(it, failed)| it.replace(' ', "-") == command && *failed == is_failure)
        };
        let is_data = DATA.iter().any(|it| it.replace(' ', "-") == command);
        assert!(has(false) || is_data, "no document of a success of {command} is checked");
        assert!(has(true), "no document of a failure of {command} is checked");
    }
}

fn about_the_program(schema: &mut Schema, host: &Host) {
    schema.run(host, "version", &[], 0);
    // All that can be wrong with these are the arguments.
    schema.run(host, "version", &["1"], 2);
    schema.run(host, "schema", &["verify"], 2);
    schema.run(host, "man", &["pages"], 0);
    host.write("file", "");
    schema.run(host, "man", &["file"], 20);
    schema.run(host, "completion", &["no-shell"], 2);
    schema.run(host, "help", &["sorces"], 2);
    schema.run(host, "doctor", &[], 12);
    let healthy = Host::ready();
    schema.run(&healthy, "doctor", &[], 0);
}

fn trust(schema: &mut Schema, host: &Host) {
    let root = testdata("notation/valid/root.crt");
    schema.run(host, "cert list", &[], 0);
    let store = ["--type", "ca", "--store", "notary"];
    let with = |more: &[&'static str]| [&store[..], more].concat();
    schema.run(host, "cert add", &[&store[..], &[&root]].concat(), 0);
    schema.run(host, "cert add", &with(&["none.crt"]), 20);
    schema.run(host, "cert list", &[], 0);
    schema.run(host, "cert list", &["--type", "so"], 2);
    let shown = schema.run(host, "cert show", &with(&["root.crt"]), 0);
    assert_eq!(shown["certificates"].as_array().unwrap().len(), 1);
    schema.run(host, "cert show", &with(&["rot.crt"]), 20);
    schema.run(host, "cert generate-test", &["--default", "test"], 0);
    schema.run(host, "cert generate-test", &["test"], 20);
    schema.run(host, "cert cleanup-test", &["test"], 2);
    schema.run(host, "cert cleanup-test", &["test", "--yes"], 0);
    schema.run(host, "cert delete", &with(&["root.crt"]), 2);
    schema.run(host, "cert delete", &with(&["root.crt", "--yes"]), 0);
    schema.run(host, "cert add", &[&store[..], &[&root]].concat(), 0);
    schema.run(host, "cert delete", &with(&["--all", "--yes"]), 0);
    schema.run(host, "cert add", &[&store[..], &[&root]].concat(), 0);
    schema.run(host, "policy show", &[], 12);
    let statement = ["--name", "all", "--trust-store", "ca:notary"];
    schema.run(host, "policy init", &statement, 0);
    schema.run(host, "policy init", &statement, 2);
    schema.run(host, "policy show", &[], 0);
    schema.run(host, "policy import", &["config/trustpolicy.oci.json", "--force"], 0);
    schema.run(host, "policy import", &["file", "--force"], 12);
}

fn keys(schema: &mut Schema, host: &Host) {
    let [key, chain] =
        ["key", "chain.crt"].map(|end| testdata(&format!("notation/valid/ec256.{end}")));
    let files = ["--key-file", &*key, "--cert-file", &*chain];
    schema.run(host, "key add", &[&["a"], &files[..]].concat(), 0);
    schema.run(host, "key add", &[&["a"], &files[..]].concat(), 20);
    schema.run(host, "key add", &["b", "--plugin", "p", "--id", "x"], 0);
    schema.run(host, "key update", &["a", "--default"], 0);
    schema.run(host, "key update", &["a"], 0);
    schema.run(host, "key update", &["c"], 20);
    let listed = schema.run(host, "key list", &[], 0);
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2);
    schema.run(host, "key delete", &["c"], 20);
    schema.run(host, "key delete", &["b"], 0);
    host.write("broken/signingkeys.json", "no JSON");
    let output =
        host.command(&["key", "list", "--format", "json"]).env("NOTATION_CONFIG", "broken");
    let output = output.assert().code(20).get_output().stdout.clone();
    schema.check("key list", &serde_json::from_slice(&output).unwrap(), true);
}

fn images(schema: &mut Schema, host: &Host) {
    let archive = testdata("docker/containerd-28-gzl/image.tar");
    fs::copy(&archive, host.path("image.tar")).unwrap();
    fs::copy(testdata("docker/graph-20.10-build/image.tar"), host.path("other.tar")).unwrap();
    schema.run(host, "manifest", &["image.tar", "-o", "manifest.json"], 0);
    schema.run(host, "manifest", &["none.tar"], 20);
    schema.run(host, "digest", &["image.tar"], 0);
    let two = schema.run(host, "digest", &["image.tar", "other.tar", "--explain"], 0);
    assert!(!two["differences"].as_array().unwrap().is_empty());
    schema.run(host, "digest", &["image.tar", "file"], 16);
    schema.run(host, "sign", &["image.tar"], 0);
    schema.run(host, "sign", &["image.tar", "--key", "none"], 20);
    schema.run(host, "verify", &["image.tar"], 0);
    schema.run(host, "verify", &["image.tar", "--explain"], 0);
    schema.run(host, "verify", &["other.tar"], 10);
    schema.run(host, "load", &["image.tar", "-o", "clean.tar"], 0);
    schema.run(host, "load", &["other.tar", "-o", "clean.tar"], 10);
    schema.run(host, "sign", &["image.tar", "-o", "a.sig"], 0);
    schema.run(host, "verify", &["other.tar", "-s", "a.sig"], 13);
    schema.run(host, "verify", &["image.tar", "-s", "file"], 16);
    schema.run(host, "attach", &["a.sig", "--to", "image.tar"], 0);
    schema.run(host, "attach", &["a.sig", "--to", "other.tar"], 13);
    fs::create_dir(host.path("detached")).unwrap();
    schema.run(host, "detach", &["--from", "image.tar", "-o", "detached"], 0);
    schema.run(host, "detach", &["--from", "other.tar"], 10);
    schema.run(host, "list", &["image.tar"], 0);
    schema.run(host, "list", &["none.tar"], 20);
    schema.run(host, "inspect", &["a.sig"], 0);
    schema.run(host, "inspect", &["docker-archive:image.tar"], 0);
    schema.run(host, "inspect", &["docker-archive:other.tar"], 10);
    schema.run(host, "inspect", &["file"], 16);
}

fn signatures(schema: &mut Schema, host: &Host) {
    schema.run(host, "sign", &["--local", "-o", "m.sig", MANIFEST], 0);
    schema.run(host, "cache add", &["m.sig"], 0);
    schema.run(host, "cache add", &["file"], 16);
    let listed = schema.run(host, "cache list", &[DIGEST], 0);
    let signature = listed["signatures"][0]["digest"].as_str().unwrap().to_owned();
    schema.run(host, "cache list", &["sha256:0"], 2);
    schema.run(host, "cache remove", &[DIGEST, DIGEST], 10);
    schema.run(host, "cache remove", &[DIGEST, &signature, "--yes"], 0);
    schema.run(host, "cache add", &["m.sig"], 0);
    schema.run(host, "cache prune", &["--all"], 2);
    schema.run(host, "cache prune", &["--all", "--yes"], 0);
    schema.run(host, "cache prune", &["--layers"], 0);
}

fn many_images(schema: &mut Schema, host: &Host) {
    for (name, case) in [("a", "containerd-28-gzl"), ("c", "graph-20.10-build")] {
        host.write(
            &format!("images/{name}.tar"),
            fs::read(testdata(&format!("docker/{case}/image.tar"))).unwrap(),
        );
    }
    host.write("images/e.tar", "no image");
    host.run(&["sign", "images/a.tar"]).code(0);
    schema.run(host, "verify", &["images/a.tar", "images/*.tar"], 16);
    schema.run(host, "verify", &["images/*.tar", "--fail-fast"], 10);
    schema.run(host, "verify", &["images/a*.tar"], 0);
    let lay = testdata("docker/containerd-28-multi-index/image.tar");
    tar::Archive::new(fs::File::open(lay).unwrap()).unpack(host.path("lay")).unwrap();
    schema.run(host, "sign", &["--recursive", "--oci-layout", "lay:1"], 0);
    schema.run(host, "verify", &["--recursive", "--oci-layout", "lay:1"], 0);
    schema.run(host, "verify", &["--recursive", "oci:lay:1", "oci:lay:1"], 0);
    host.policy(r#""skip""#);
    host.write("config/trustpolicy.oci.json", r#"{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],"signatureVerification":{"level":"skip"}}]}"#);
    schema.run(host, "verify", &["images/a.tar"], 0);
    schema.run(host, "verify", &["images/a*.tar", "images/c.tar"], 0);
    host.policy(r#""permissive""#);
    schema.run(host, "verify", &["images/a.tar"], 0);
    let policy = String::from_utf8(host.read("config/trustpolicy.oci.json")).unwrap();
    let policy = policy.replace(r#"["*"]}]"#, r#"["x509.subject: C=US, ST=WA, O=else"]}]"#);
    host.write("config/trustpolicy.oci.json", policy);
    schema.run(host, "verify", &["images/a.tar"], 12);
    schema.run(host, "verify", &["--recursive", "--oci-layout", "lay:1"], 12);
}

fn blobs(schema: &mut Schema, host: &Host) {
    host.write("notes.txt", "notes");
    schema.run(host, "blob policy show", &[], 12);
    let statement =
        ["--name", "a", "--trust-store", "ca:notary", "--trusted-identity", "*", "--global"];
    schema.run(host, "blob policy init", &statement, 0);
    schema.run(host, "blob policy init", &statement, 2);
    schema.run(host, "blob policy show", &[], 0);
    let file = "config/trustpolicy.blob.json";
    schema.run(host, "blob policy import", &[file, "--force"], 0);
    schema.run(host, "blob policy import", &["notes.txt", "--force"], 12);
    schema.run(host, "blob sign", &["notes.txt"], 0);
    schema.run(host, "blob sign", &["none.txt"], 20);
    schema.run(host, "blob verify", &["notes.txt", "-s", "notes.txt.jws.sig"], 0);
    schema.run(host, "blob verify", &[MANIFEST, "-s", "notes.txt.jws.sig"], 13);
    schema.run(host, "blob inspect", &["notes.txt.jws.sig"], 0);
    schema.run(host, "blob inspect", &["notes.txt"], 16);
}

fn timestamps(schema: &mut Schema, host: &Host) {
    for name in ["blob.txt.jws.sig", "root.crt", "last.tsr"] {
        host.write(name, fs::read(data(&format!("valid/ts/{name}"))).unwrap());
    }
    let root = ["--timestamp-root-cert", "root.crt"];
    let signature = "blob.txt.jws.sig";
    schema.run(host, "timestamp verify", &[&[signature], &root[..]].concat(), 0);
    schema.run(host, "timestamp verify", &[signature], 12);
    schema.run(host, "timestamp request", &[signature, "-o", "a.tsq"], 0);
    schema.run(host, "timestamp request", &["last.tsr"], 16);
    schema.run(host, "timestamp attach", &[signature, "root.crt"], 16);
    let tsa = crate::tsa::Tsa::new(host);
    host.run(&["sign", "--local", "-o", "b.sig", MANIFEST]).code(0);
    host.run(&["timestamp", "request", "b.sig", "-o", "b.tsq"]).code(0);
    tsa.answer_file("b.tsq", "b.tsr");
    let root = ["b.sig", "b.tsr", "--timestamp-root-cert", "tsa/root.crt"];
    schema.run(host, "timestamp attach", &root, 0);
    schema.run(host, "inspect", &["b.sig"], 0);
}

fn crls(schema: &mut Schema, host: &Host) {
    let list = testdata("crl/good.crl");
    schema.run(host, "crl list", &[], 0);
    schema.run(host, "crl import", &["--url", CRL, &list], 0);
    schema.run(host, "crl import", &["--url", CRL, MANIFEST], 16);
    schema.run(host, "crl list", &[], 0);
    let output = host.command(&["crl", "list", "--format", "json"]);
    let output = output.env_remove("NOTATION_CACHE").assert().code(20).get_output().stdout.clone();
    schema.check("crl list", &serde_json::from_slice(&output).unwrap(), true);
}

fn plugins(schema: &mut Schema, host: &Host) {
    host.plugin("good", &json!({"capabilities": [RAW]}));
    host.script("bad", "exit 1");
    let listed = schema.run(host, "plugin list", &[], 0);
    assert_eq!(listed["plugins"].as_array().unwrap().len(), 2);
    schema.run(host, "plugin list", &["--plugin-timeout", "0s"], 2);
    let id = key_id("ec256");
    schema.run(
        host,
        "sign",
        &["--local", MANIFEST, "-o", "p.sig", "--plugin", "good", "--id", &id],
        0,
    );
    schema.run(host, "plugin uninstall", &["good"], 2);
    schema.run(host, "plugin uninstall", &["good", "--yes"], 0);
    schema.run(host, "plugin uninstall", &["gone", "--yes"], 20);
    let metadata = json!({
        "name": "new", "description": "a test", "version": "1.0.0", "url": "u",
        "supportedContractVersions": ["1.0"], "capabilities": [RAW],
    });
    host.executable("notation-new", &format!("echo '{metadata}'"));
    schema.run(host, "plugin install", &["--file", "notation-new"], 0);
    schema.run(host, "plugin install", &["--file", "notation-new"], 20);
    schema.run(host, "plugin install", &["--file", "notation-new", "--force"], 0);
}

fn kits(schema: &mut Schema) {
    let sender = crate::kit::sender();
    let named = ["--name", "plant", "--version", "1", "-o", "kit.tar"];
    schema.run(&sender, "kit export", &named, 0);
    schema.run(&sender, "kit export", &["--name", "a/b", "-o", "kit.tar"], 2);
    let host = crate::kit::receiver(&sender);
    host.write("kit.tar", sender.read("kit.tar"));
    schema.run(&host, "kit show", &["kit.tar"], 0);
    schema.run(&host, "kit show", &[MANIFEST], 16);
    schema.run(&host, "kit import", &["kit.tar"], 12);
    let first = ["kit.tar", "--trust-root", "root.crt"];
    schema.run(&host, "kit import", &[&first[..], &["--dry-run"]].concat(), 0);
    schema.run(&host, "kit import", &first, 0);
    schema.run(&host, "kit resume", &[], 0);
    schema.run(&host, "kit resume", &["now"], 2);
}
