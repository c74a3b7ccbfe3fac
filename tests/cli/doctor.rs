//! `dockseal doctor`

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use snapbox::str;

use crate::{Host, data};

/// Without an engine, containerd and a verifier, whatever the machine has.
fn doctor(host: &Host, options: &[&str]) -> snapbox::cmd::OutputAssert {
    let nothing = ["--containerd-config", "c.toml", "--verifier-root", "verifier"];
    host.write("c.toml", "version = 3\nroot = '/nonexistent'\n[grpc]\naddress = '/nonexistent.sock'\n[plugins.'io.containerd.image-verifier.v1.bindir']\nbin_dir = '/nonexistent'\n");
    let line = [&["doctor"], &nothing[..], options].concat();
    host.command(&line).env("DOCKER_HOST", "unix:///nonexistent.sock").assert()
}

#[test]
fn a_host_that_is_ready() {
    let host = Host::ready();
    doctor(&host, &[]).code(0).stdout_eq(str![[r#"
ok       clock: [TIME]
ok       trust: [HOST]/config/trustpolicy.oci.json: 1 statement
note     trust: [HOST]/config/trustpolicy.oci.json:1: statement "all" trusts whoever has a certificate that ca:notary leads to
ok       trust: trust store ca:notary: 1 certificate
ok       keys: 1 signing key, ec256 is the default
warning  keys: key ec256: [DATA]valid/ec256.key can be read by others than its owner
         hint: chmod go= [DATA]valid/ec256.key
note     docker: can't connect to the Docker engine at unix:///nonexistent.sock: No such file or directory (os error 2)
         hint: docker context ls, and look at $DOCKER_HOST
note     containerd: there is none here
note     verifier: containerd's image verifier is not set up

"#]]).stderr_eq(str![[r#"
0 problems, 1 warning

"#]]);
    let output = doctor(&host, &["--format", "json"]).code(0);
    let report: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(report["verdict"], "healthy");
    assert_eq!(report["findings"][0]["area"], "clock");
}

/// Findings about a policy name the line.
#[test]
fn statements_of_a_policy_are_named_with_their_line() {
    let host = Host::ready();
    let statement = |name: &str, scope: &str, level: &str| {
        format!(
            "    {{\n      \"name\": {name:?}, \"registryScopes\": [{scope:?}],\n      \
             \"signatureVerification\": {{\"level\": {level:?}}},\n      \"trustStores\": \
             [\"ca:notary\"], \"trustedIdentities\": [\"x509.subject: C=US, ST=WA, O=x\"]\n    }}"
        )
    };
    let policy = |statements: &[String]| {
        let statements = statements.join(",\n");
        let text =
            format!("{{\n  \"version\": \"1.0\",\n  \"trustPolicies\": [\n{statements}\n  ]\n}}\n");
        host.write("config/trustpolicy.oci.json", text);
    };
    let said = |code: i32| {
        let output = doctor(&host, &[]).code(code);
        String::from_utf8_lossy(&output.get_output().stdout).into_owned()
    };
    let strict = statement("one", "registry.example/one", "strict");
    policy(&[strict.clone(), statement("two", "registry.example/two", "audit")]);
    let words = "trustpolicy.oci.json:9: statement \"two\" has level audit: authenticity, \
                 authenticTimestamp, expiry, revocation may fail";
    let text = said(0);
    assert!(text.contains(words) && !text.contains("statement \"one\""), "{text}");
    policy(&[strict.clone(), strict, statement("two", "registry.example/two", "lax")]);
    let text = said(12);
    assert!(text.contains("same name \"one\"") && text.contains("json), line 9\n"), "{text}");
    policy(&[statement("two", "registry.example/two", "lax")]);
    let text = said(12);
    assert!(text.contains("level \"lax\"") && text.contains("json), line 4\n"), "{text}");
}

/// What is wrong is said with what helps, and the exit status tells.
#[test]
fn what_is_wrong_is_found() {
    type Change = fn(&Host);
    let cases: [(Change, &str); 8] = [
        (
            |host| fs::remove_file(host.path("config/trustpolicy.oci.json")).unwrap(),
            "dockseal policy init",
        ),
        (|host| host.write("config/trustpolicy.oci.json", "{"), "problem  trust: "),
        (|host| fs::remove_dir_all(host.path("config/truststore")).unwrap(), "problem  trust: "),
        (|host| host.write("config/signingkeys.json", "[]"), "problem  keys: "),
        (
            |host| {
                let list = String::from_utf8(host.read("config/signingkeys.json")).unwrap();
                host.write("config/signingkeys.json", list.replace(".key\"", ".gone\""));
            },
            "No such file or directory",
        ),
        (|host| host.write("config/plugins/p/other", ""), "problem  keys: plugin p: "),
        (
            |host| {
                fs::create_dir(host.path("verifier")).unwrap();
            },
            "hint: NOTATION_CONFIG=verifier dockseal policy init",
        ),
        (
            |host| {
                fs::create_dir(host.path("verifier")).unwrap();
            },
            "problem  verifier: /nonexistent: No such file or directory (os error 2): every image is allowed",
        ),
    ];
    for (change, words) in cases {
        let host = Host::ready();
        change(&host);
        let output = doctor(&host, &[]).code(12);
        let said = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn what_will_be_wrong_is_a_warning() {
    let host = Host::ready();
    fs::set_permissions(host.path("config"), fs::Permissions::from_mode(0o777)).unwrap();
    host.policy(r#""skip""#);
    let policy = String::from_utf8(host.read("config/trustpolicy.oci.json")).unwrap();
    let policy = policy.replace(r#","trustStores":["ca:notary"],"trustedIdentities":["*"]"#, "");
    host.write("config/trustpolicy.oci.json", policy);
    fs::copy(data("valid/ec256.key"), host.path("a.key")).unwrap();
    fs::copy(data("valid/ec256.chain.crt"), host.path("a.crt")).unwrap();
    fs::set_permissions(host.path("a.key"), fs::Permissions::from_mode(0o644)).unwrap();
    host.run(&["key", "add", "a", "--key-file", "a.key", "--cert-file", "a.crt"]).code(0);
    let output = doctor(&host, &["--quiet"]).code(0);
    let said = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    for words in [
        "config can be changed by others than its owner (mode 0777)\n         hint: chmod go-w",
        "config/trustpolicy.oci.json:1: statement \"all\" has level skip: nothing is verified",
        "key a: [HOST]/a.key can be read by others than its owner\n         hint: chmod go= ",
    ] {
        let words =
            words.replace("[HOST]", host.path("").display().to_string().trim_end_matches('/'));
        assert!(said.contains(&words), "{words}: {said}");
    }
    assert!(!said.contains("ok  "), "{said}");
}
