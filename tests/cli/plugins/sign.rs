//! Signing with plugins (spec/notation.md §8.2).

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use snapbox::str;

use super::{ENVELOPE, RAW, key_id};
use crate::{Host, KEYS, MANIFEST, data};

/// A host with the test plugin as `p`, which makes bare signatures or envelopes.
fn host(capability: &str) -> Host {
    let host = Host::empty();
    host.trust_root();
    host.policy(r#""strict""#);
    host.plugin("p", &json!({"capabilities": [capability]}));
    host
}

fn sign<'a>(id: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["sign", "--local", "--plugin", "p", "--id", id, "-o", "a.sig"];
    arguments.extend(more);
    arguments.push(MANIFEST);
    arguments
}

#[test]
fn every_key_signs_in_both_formats_and_both_ways() {
    for (capability, agent) in [(RAW, Some("p/1.0.0")), (ENVELOPE, None)] {
        let host = host(capability);
        for key in KEYS {
            for format in ["jws", "cose"] {
                let id = key_id(key);
                let options = ["--signature-format", format, "-m", "k=v", "-e", "1h"];
                host.run(&sign(&id, &options)).code(0).stdout_eq(str![[r#"
Successfully signed net-monitor_v1.json@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]);
                host.run(&["verify", "--local", "-s", "a.sig", "-m", "k=v", MANIFEST]).code(0);
                let shown = host.run(&["inspect", "--format", "json", "a.sig"]);
                let shown = String::from_utf8(shown.get_output().stdout.clone()).unwrap();
                let dockseal = format!("dockseal/{}", env!("CARGO_PKG_VERSION"));
                let agent = match agent {
                    Some(plugin) => format!("{dockseal} {plugin}"),
                    None => "p/test".to_owned(),
                };
                assert!(shown.contains(&format!("\"{agent}\"")), "{agent}: {shown}");
            }
        }
    }
}

/// Commands, members and their values, as the contract has them.
#[test]
fn requests_are_those_of_the_contract() {
    let id = key_id("ec384");
    let raw = host(RAW);
    raw.run(&sign(&id, &["--plugin-config", "a=b", "--signature-format", "jws"])).code(0);
    let requests = raw.requests("p");
    let commands: Vec<_> = requests.iter().map(|(command, _)| command.as_str()).collect();
    assert_eq!(commands, ["get-plugin-metadata", "describe-key", "generate-signature"]);
    let config = json!({"a": "b"});
    assert_eq!(requests[0].1, json!({"pluginConfig": config}));
    let describe = json!({"contractVersion": "1.0", "keyId": id, "pluginConfig": config});
    assert_eq!(requests[1].1, describe);
    let envelope: Value = serde_json::from_slice(&raw.read("a.sig")).unwrap();
    let to_be_signed = format!(
        "{}.{}",
        envelope["protected"].as_str().unwrap(),
        envelope["payload"].as_str().unwrap()
    );
    assert_eq!(
        requests[2].1,
        json!({
            "contractVersion": "1.0", "keyId": id, "keySpec": "EC-384", "hashAlgorithm": "SHA-384",
            "payload": STANDARD.encode(to_be_signed), "pluginConfig": config,
        })
    );
    let order = |request: &Value| request.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        order(&requests[2].1),
        ["contractVersion", "keyId", "keySpec", "hashAlgorithm", "payload", "pluginConfig"]
    );

    let whole = host(ENVELOPE);
    whole.run(&sign(&id, &["-m", "k=v", "-e", "90s", "--signature-format", "cose"])).code(0);
    let requests = whole.requests("p");
    let commands: Vec<_> = requests.iter().map(|(command, _)| command.as_str()).collect();
    assert_eq!(commands, ["get-plugin-metadata", "generate-envelope"]);
    assert_eq!(requests[0].1, json!({}));
    let payload = r#"{"targetArtifact":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707","size":247,"annotations":{"k":"v"}}}"#;
    let sent = STANDARD.decode(requests[1].1["payload"].as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(sent).unwrap(), payload);
    let mut request = requests[1].1.clone();
    request["payload"] = Value::Null;
    assert_eq!(
        request,
        json!({
            "contractVersion": "1.0", "keyId": id,
            "payloadType": "application/vnd.cncf.notary.payload.v1+json",
            "signatureEnvelopeType": "application/cose", "payload": null,
            "expiryDurationInSeconds": 90,
        })
    );
    assert_eq!(
        order(&request),
        [
            "contractVersion",
            "keyId",
            "payloadType",
            "signatureEnvelopeType",
            "payload",
            "expiryDurationInSeconds"
        ]
    );
}

#[test]
fn keys_of_the_list_are_with_plugins_too() {
    let host = host(RAW);
    let id = key_id("ec256");
    let add = ["key", "add", "hsm", "--plugin", "p", "--id", &id, "--default"];
    host.run(&[&add[..], &["--plugin-config", "a=key", "--plugin-config", "b=key"]].concat())
        .code(0)
        .stdout_eq("hsm: marked as default\n");
    host.run(&["sign", "--local", "--plugin-config", "b=option", MANIFEST]).code(0);
    host.run(&["verify", "--local", MANIFEST]).code(0);
    let (command, request) = host.requests("p").pop().unwrap();
    assert_eq!(command, "generate-signature");
    assert_eq!(request["pluginConfig"], json!({"a": "key", "b": "option"}));
    for wrong in [
        &["--plugin", "p"][..],
        &["--id", "x"],
        &["--plugin", "p", "--id", "x", "--key", "hsm"],
        &["--plugin-config", "x"],
        &["--plugin-timeout", "0s"],
    ] {
        host.run(&[&["sign", "--local"], wrong, &[MANIFEST]].concat()).code(2).stdout_eq(str![]);
    }
}

#[test]
fn annotations_of_a_plugin_stand_in_the_signature_manifest_below_ours() {
    let host = host(ENVELOPE);
    for file in ["oci-layout", "index.json"] {
        host.write(&format!("lay/{file}"), fs::read(data("lay0").join(file)).unwrap());
    }
    for blob in fs::read_dir(data("lay0/blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        host.write(&format!("lay/blobs/sha256/{name}"), fs::read(&path).unwrap());
    }
    let id = key_id("rsa2048");
    host.run(&["sign", "--oci-layout", "--plugin", "p", "--id", &id, "lay:v1"]).code(0);
    host.run(&["verify", "--oci-layout", "lay:v1"]).code(0);
    let manifests: Vec<Value> = fs::read_dir(host.path("lay/blobs/sha256"))
        .unwrap()
        .filter_map(|blob| serde_json::from_slice(&fs::read(blob.unwrap().path()).unwrap()).ok())
        .collect();
    let annotations = manifests.iter().find_map(|manifest| {
        let annotations = &manifest["annotations"];
        annotations["example.plugin"].is_string().then_some(annotations)
    });
    let annotations = annotations.unwrap();
    assert_eq!(annotations["example.plugin"], "p");
    let created = annotations["org.opencontainers.image.created"].as_str().unwrap();
    assert!(created.starts_with("20") && created.ends_with('Z'), "{created}");
}

#[test]
fn files_are_signed_with_bare_signatures_only() {
    let id = key_id("ec521");
    let blob = ["blob", "sign", "--plugin", "p", "--id", &id, MANIFEST];
    let raw = host(RAW);
    raw.run(&blob).code(0);
    let envelope: Value =
        serde_json::from_slice(&raw.read(&format!("{MANIFEST}.jws.sig"))).unwrap();
    let payload = URL_SAFE_NO_PAD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    assert!(String::from_utf8(payload).unwrap().contains("sha512:"), "hashed as the key wants it");
    host(ENVELOPE).run(&blob).code(20).stdout_eq(str![]).stderr_eq(str![[r#"
error: the plugin "p" lacks the signature generator capability required for blob signing
hint: dockseal doctor

"#]]);
}

/// Nothing of a wrong answer is stored: the plugin's result is verified first.
#[test]
fn wrong_answers_are_no_signatures() {
    for (capability, wrong, message) in [
        (RAW, "name", "plugin executable file name must be \"notation-../../evil\" instead of"),
        (RAW, "described keyId", "(describe-key) answers with keyId \"another\", expected"),
        (RAW, "keySpec", "(describe-key): keySpec \"RSA-1024\" is not a supported kind of key"),
        (RAW, "algorithm", "answers with signingAlgorithm \"none\", expected \"ECDSA-SHA-256\""),
        (RAW, "signature", "generated signature failed verification: "),
        (RAW, "chain", "certificate chain of the signer: "),
        (ENVELOPE, "type", "answers with signatureEnvelopeType \"text/plain\", expected"),
        (ENVELOPE, "descriptor", "generated signature has another payload than requested"),
        (ENVELOPE, "annotations", "generated signature has another payload than requested"),
        (ENVELOPE, "expiry", "generated signature has no expiry, although one was asked for"),
    ] {
        let host = host(capability);
        host.plugin("p", &json!({"capabilities": [capability], "wrong": wrong}));
        let id = key_id("ec256");
        let output = host.run(&sign(&id, &["-m", "k=v", "-e", "1h"])).code(20).stdout_eq(str![]);
        let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(error.contains(message), "{wrong}: {error}");
        assert!(!host.path("a.sig").exists(), "{wrong}");
    }
}

#[test]
fn plugins_that_are_none_sign_nothing() {
    let metadata = r#"{"name":"p","description":"d","version":"1","url":"u","supportedContractVersions":["1.0"],"capabilities":["SIGNATURE_GENERATOR.RAW"]}"#;
    for (script, message) in [
        ("echo hello", "response of plugin \"p\" (get-plugin-metadata): invalid JSON"),
        ("echo words >&2; echo hello", "at byte 0, and says on stderr: words"),
        ("exit 3", "ended with exit status: 3, and says nothing on stderr"),
        ("echo 'no\tkey' >&2; exit 1", "exit status: 1, and says on stderr: no key"),
        (
            r#"echo '{"errorCode":"ACCESS_DENIED","errorMessage":"no PIN"}' >&2; exit 1"#,
            "plugin \"p\" (get-plugin-metadata) failed: ACCESS_DENIED: no PIN\n",
        ),
        ("kill -9 $$", "ended with signal: 9"),
        ("exec cat /dev/zero", "has written more than 67108864 bytes to stdout and was killed"),
        ("exec cat /dev/zero >&2", "has written more than 67108864 bytes to stderr and was"),
        // Both it and its child are gone, or the pipe of the child would keep us waiting.
        ("sleep 600 & sleep 600", "has not ended after 1 seconds and was killed"),
        ("exec >&- 2>&-; sleep 600", "has not ended after 1 seconds and was killed"),
        (
            &format!("echo '{}'", metadata.replace(r#""url""#, r#""URL""#)),
            "member \"URL\" differs only in letter case from \"url\"",
        ),
        (&format!("echo '{metadata}{metadata}'"), "trailing data"),
        (
            &format!("echo '{}'", metadata.replace(r#""version":"1""#, r#""version":1"#)),
            "unexpected content: invalid type: integer",
        ),
        (
            &format!("echo '{}'", metadata.replace("SIGNATURE_GENERATOR.RAW", "SING")),
            "plugin \"p\" does not have signing capabilities, it has [SING]",
        ),
        (
            &format!("echo '{}'", metadata.replace(r#"["1.0"]"#, r#"["2.0"]"#)),
            "contract version \"1.0\" is not in the list of the plugin supported versions",
        ),
    ] {
        let host = Host::empty();
        host.script("p", script);
        let output = host.run(&sign("k", &["--plugin-timeout", "1s"])).code(20).stdout_eq(str![]);
        let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(error.contains(message), "{script}: {error}");
        assert!(!host.path("a.sig").exists(), "{script}");
    }
}

/// Members of a later contract do no harm; what the program says on stderr is its own matter.
#[test]
fn unknown_members_and_talk_are_ignored() {
    let host = Host::empty();
    host.script(
        "p",
        r#"echo talk >&2; echo '{"name":"p","description":"d","version":"1","url":"u","supportedContractVersions":["1.0"],"capabilities":["SIGNATURE_GENERATOR.RAW"],"more":{"a":[1]}}'"#,
    );
    // The second command gets the metadata too, which lack what it needs.
    let output = host.run(&sign("k", &[])).code(20);
    let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(error.contains("(describe-key): unexpected content: missing field `keyId`"), "{error}");
}

/// N-02: names are no paths, and nothing that others may change is run.
#[test]
fn n02_what_is_run_is_a_program_of_ours() {
    let host = Host::empty();
    host.executable("config/evil/notation-../../evil", "");
    host.executable("evil", "touch ran");
    host.script("p", "touch ran");
    for (name, exit) in [("../../evil", 2), ("..", 2), ("-p", 2), ("q", 20)] {
        let plugin = format!("--plugin={name}");
        host.run(&["sign", "--local", &plugin, "--id", "k", MANIFEST]).code(exit).stdout_eq("");
    }
    let program = host.path("config/plugins/p/notation-p");
    let mode = |mode| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o757);
    host.run(&sign("k", &[])).code(20).stdout_eq(str![]).stderr_eq(str![[r#"
error: [HOST]/config/plugins/p/notation-p can be changed by everybody, so it is not run
hint: chmod go-w [HOST]/config/plugins/p/notation-p

"#]]);
    mode(0o644);
    host.run(&sign("k", &[])).code(20).stderr_eq(str![[r#"
error: plugin file [HOST]/config/plugins/p/notation-p is not executable
hint: dockseal plugin install --file FILE

"#]]);
    fs::rename(&program, host.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(host.path("elsewhere"), &program).unwrap();
    host.run(&sign("k", &[])).code(20).stderr_eq(str![[r#"
error: [HOST]/config/plugins/p/notation-p is not a regular file; links are not followed
hint: dockseal doctor

"#]]);
    assert!(!host.path("ran").exists() && !host.path("config/ran").exists());
}

/// Credentials of a registry are not for plugins; the rest of the environment is.
#[test]
fn plugins_do_not_see_credentials() {
    let host = Host::empty();
    host.script(
        "p",
        r#"echo "${NOTATION_USERNAME-no} ${NOTATION_PASSWORD-no} $OTHER" >&2; exit 1"#,
    );
    let command = host.command(&sign("k", &[]));
    let command = command.env("NOTATION_USERNAME", "u").env("NOTATION_PASSWORD", "s");
    let output = command.env("OTHER", "yes").assert().code(20);
    let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(error.contains("stderr: no no yes"), "{error}");
}

/// `NOTATION_LIBEXEC` moves the directory of plugins.
#[test]
fn plugins_lie_where_notation_looks_for_them() {
    let host = host(RAW);
    fs::create_dir(host.path("libexec")).unwrap();
    fs::rename(host.path("config/plugins"), host.path("libexec/plugins")).unwrap();
    let id = key_id("ec256");
    host.run(&sign(&id, &[])).code(20);
    host.command(&sign(&id, &[])).env("NOTATION_LIBEXEC", "libexec").assert().code(0);
}
