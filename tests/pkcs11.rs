//! Keys on a token: SoftHSM in a directory of the test's own.
//!
//! Ignored unless asked for (`cargo test --features pkcs11 --test pkcs11 -- --ignored`): they need
//! `softhsm2-util`, its library and `pkcs11-tool` (Debian: softhsm2, opensc). scripts/test has them.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests fail where something is not as it must be"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use snapbox::cmd::cargo_bin;
use tempfile::TempDir;

/// The kinds of keys, in testdata/notation/valid. The id on the token is the position, from 1.
const KEYS: [&str; 6] = ["rsa2048", "rsa3072", "rsa4096", "ec256", "ec384", "ec521"];

const PIN: &str = "pin-5678";

/// Where Debian, Fedora and builds from source put the library.
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/notation").join(name)
}

fn chain(key: &str) -> String {
    data(&format!("valid/{key}.chain.crt")).to_str().unwrap().to_owned()
}

/// A host with tokens, a file to sign and a policy for its signatures.
struct Host {
    directory: TempDir,
    module: &'static str,
}

impl Host {
    fn new() -> Self {
        let module = MODULES.into_iter().find(|path| Path::new(path).exists());
        let host = Self { directory: tempfile::tempdir().unwrap(), module: module.unwrap() };
        fs::create_dir(host.path("tokens")).unwrap();
        host.write(
            "softhsm2.conf",
            &format!(
                "directories.tokendir = {}\nlog.level = ERROR\n",
                host.path("tokens").display()
            ),
        );
        host.write("pin", &format!("{PIN}\n"));
        host.write("data", "to be signed");
        host.dockseal(
            &["cert", "add", "--type", "ca", "--store", "notary"],
            &data("valid/root.crt"),
            0,
        );
        host.dockseal(
            &["blob", "policy", "init", "--name", "all", "--global", "--trust-store", "ca:notary"],
            Path::new("--trusted-identity=*"),
            0,
        );
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .current_dir(self.directory.path())
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
            .env("NOTATION_CONFIG", "config")
            .env("NOTATION_CACHE", "cache");
        command
    }

    /// Runs dockseal; what it says on stderr.
    fn dockseal(&self, arguments: &[&str], last: &Path, code: i32) -> String {
        let mut command = self.command(cargo_bin!("dockseal"));
        let output = command.args(arguments).arg(last).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(!stderr.contains(PIN), "{arguments:?}: {stderr}");
        stderr
    }

    /// Signs the file as a blob and verifies that.
    fn signs(&self, format: &str, uri: &str, more: &[&str]) {
        let output = format!("data.{format}.sig");
        let arguments =
            ["blob", "sign", "--signature-format", format, "-o", &output, "--key-uri", uri];
        self.dockseal(&[&arguments[..], more].concat(), Path::new("data"), 0);
        self.dockseal(&["blob", "verify", "-s", &output], Path::new("data"), 0);
        fs::remove_file(self.path(&output)).unwrap();
    }

    /// Signing fails: what it says on stderr. There is no signature.
    fn refuses(&self, uri: &str, more: &[&str], code: i32) -> String {
        let arguments = ["blob", "sign", "-o", "no.jws.sig", "--key-uri", uri];
        let said = self.dockseal(&[&arguments[..], more].concat(), Path::new("data"), code);
        assert!(!self.path("no.jws.sig").exists());
        said
    }

    fn uri(&self, path: &str) -> String {
        format!("pkcs11:{path}?module-path={}", self.module)
    }

    fn new_token(&self, label: &str) {
        self.softhsm(&["--init-token", "--free", "--so-pin", "so-pin-1234", "--label", label]);
    }

    fn import_key(&self, token: &str, key: &str, id: usize) {
        let file = data(&format!("valid/{key}.key"));
        let id = format!("{id:02x}");
        let arguments = ["--import", file.to_str().unwrap(), "--token", token, "--label", key];
        self.softhsm(&[&arguments[..], &["--id", &id]].concat());
    }

    /// A key with `CKA_ALWAYS_AUTHENTICATE`.
    fn write_guarded_key(&self, token: &str, key: &str, id: usize) {
        let pem = pem::parse(fs::read(data(&format!("valid/{key}.key"))).unwrap()).unwrap();
        fs::write(self.path("key.der"), pem.contents()).unwrap();
        let id = format!("{id:02x}");
        let arguments =
            ["--module", self.module, "--login", "--pin", PIN, "--token-label", token, "--id", &id];
        let mut command = self.command("pkcs11-tool");
        command.args(arguments).args(["--type", "privkey", "--write-object", "key.der"]);
        command.args(["--label", key, "--always-auth", "--usage-sign"]);
        done(&command.output().unwrap());
    }

    fn import_certificate(&self, token: &str, der: &[u8], id: usize) {
        fs::write(self.path("certificate.der"), der).unwrap();
        let id = format!("{id:02x}");
        let arguments =
            ["--module", self.module, "--login", "--pin", PIN, "--token-label", token, "--id", &id];
        let mut command = self.command("pkcs11-tool");
        command.args(arguments).args(["--type", "cert", "--write-object", "certificate.der"]);
        done(&command.output().unwrap());
    }

    fn softhsm(&self, arguments: &[&str]) {
        let mut command = self.command("softhsm2-util");
        done(&command.args(arguments).args(["--pin", PIN]).output().unwrap());
    }
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The certificates of a chain file, DER.
fn certificates(key: &str) -> Vec<Vec<u8>> {
    let blocks = pem::parse_many(fs::read(chain(key)).unwrap()).unwrap();
    blocks.into_iter().map(pem::Pem::into_contents).collect()
}

#[test]
#[ignore = "needs SoftHSM and pkcs11-tool"]
fn every_kind_of_key_signs_in_both_formats() {
    let host = Host::new();
    host.new_token("release keys");
    for (key, id) in KEYS.into_iter().zip(1..) {
        host.import_key("release keys", key, id);
        host.import_certificate("release keys", &certificates(key)[0], id);
    }
    let chain_only = certificates(KEYS[0]).split_off(1);
    for (certificate, id) in chain_only.iter().zip(0x40..) {
        host.import_certificate("release keys", certificate, id);
    }
    for (key, id) in KEYS.into_iter().zip(1..) {
        for format in ["jws", "cose"] {
            let by_label = host.uri(&format!("token=release%20keys;object={key};type=private"));
            host.signs(
                format,
                &by_label,
                &["--passphrase-file", "pin", "--cert-file", &chain(key)],
            );
            let by_id = host.uri(&format!("id=%{id:02x}"));
            let pin_source = format!("{by_id}&pin-source=file:{}", host.path("pin").display());
            host.signs(format, &pin_source, &[]);
        }
    }
    // An image's manifest, PIN from standard input.
    fs::copy(
        data("lay0/blobs/sha256/09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707"),
        host.path("manifest.json"),
    )
    .unwrap();
    host.write("config/trustpolicy.oci.json", POLICY);
    let mut sign = host.command(cargo_bin!("dockseal"));
    let output = sign
        .args(["sign", "--local", "-o", "m.sig", "--passphrase-file", "-", "--key-uri"])
        .args([&host.uri("object=ec256"), "manifest.json"])
        .stdin(fs::File::open(host.path("pin")).unwrap())
        .output()
        .unwrap();
    done(&output);
    host.dockseal(&["verify", "--local", "-s", "m.sig"], Path::new("manifest.json"), 0);
}

const POLICY: &str = r#"{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],
    "signatureVerification":{"level":"strict"},"trustStores":["ca:notary"],"trustedIdentities":["*"]}]}"#;

/// Keys of cards for signatures are unlocked by every one of them.
#[test]
#[ignore = "needs SoftHSM and pkcs11-tool"]
fn keys_that_want_their_pin_for_every_signature() {
    let host = Host::new();
    host.new_token("card");
    // Today's SoftHSM hashes for RSA keys only.
    let mut list = host.command("pkcs11-tool");
    list.args(["--module", host.module, "--token-label", "card", "--list-mechanisms"]);
    let listed = String::from_utf8(list.output().unwrap().stdout).unwrap();
    assert!(listed.contains("SHA256-RSA-PKCS-PSS"), "{listed}");
    let hashes_for_ec = listed.contains("ECDSA-SHA256");
    for (key, id) in KEYS.into_iter().zip(1..) {
        host.write_guarded_key("card", key, id);
        let uri = host.uri(&format!("token=card;object={key}"));
        let pin = ["--passphrase-file", "pin", "--cert-file", &chain(key)];
        if key.starts_with("rsa") || hashes_for_ec {
            for format in ["jws", "cose"] {
                host.signs(format, &uri, &pin);
            }
        } else {
            let said = host.refuses(&uri, &pin, 20);
            assert!(
                said.contains("(CKA_ALWAYS_AUTHENTICATE), but the token does not hash"),
                "{said}"
            );
        }
    }
}

/// SoftHSM, but it wants another PIN for signatures than for the token, as cards for qualified signatures
/// do: `C_Login` is the 19th function of the list, behind two bytes of version.
const CARD: &str = r#"
#include <dlfcn.h>
#include <string.h>
typedef unsigned long (*function)(void);
static struct { unsigned char version[2]; function functions[68]; } list;
static unsigned long (*log_in)(unsigned long, unsigned long, unsigned char *, unsigned long);
static unsigned long own_log_in(unsigned long session, unsigned long user, unsigned char *pin, unsigned long length) {
    return user == 2 ? REFUSAL : log_in(session, user, pin, length);
}
unsigned long C_GetFunctionList(void **out) {
    void *module = dlopen(MODULE, RTLD_NOW), *own;
    unsigned long (*get)(void **) = dlsym(module, "C_GetFunctionList");
    unsigned long result = get(&own);
    if (result) return result;
    memcpy(&list, own, sizeof list);
    log_in = (void *)list.functions[18];
    list.functions[18] = (function)own_log_in;
    *out = &list;
    return 0;
}
"#;

/// The PIN that was refused is named, not only the number of the error.
#[test]
#[ignore = "needs SoftHSM, pkcs11-tool and a C compiler"]
fn the_pin_of_a_signature_is_refused() {
    let host = Host::new();
    host.new_token("card");
    host.write_guarded_key("card", "rsa2048", 1);
    host.write("card.c", CARD);
    let uri = format!("pkcs11:object=rsa2048?module-path={}", host.path("card.so").display());
    let refuses = |refusal: &str| {
        let mut compiler = host.command("cc");
        compiler.args(["-shared", "-fPIC", "-o", "card.so", "card.c", "-ldl"]);
        compiler.arg(format!("-DMODULE=\"{}\"", host.module)).arg(format!("-DREFUSAL={refusal}"));
        done(&compiler.output().unwrap());
        host.refuses(&uri, &["--passphrase-file", "pin", "--cert-file", &chain("rsa2048")], 20)
    };
    let said = refuses("0xa0");
    assert!(said.contains("token \"card\" refuses the PIN for a signature"), "{said}");
    assert!(said.contains("hint: the PIN of the token was used; "), "{said}");
    let said = refuses("0xa4");
    assert!(said.contains("PIN of token \"card\" is locked"), "{said}");
    // Another failure is none of the PIN.
    let said = refuses("0x30");
    assert!(said.contains("error: token: ") && !said.contains("hint: the PIN"), "{said}");
}

#[test]
#[ignore = "needs SoftHSM and pkcs11-tool"]
fn whatever_is_missing_or_ambiguous_is_said() {
    let host = Host::new();
    let pin = ["--passphrase-file", "pin"];
    let with_chain = |key: &str| {
        [&pin[..], &["--cert-file", &chain(key)]]
            .concat()
            .iter()
            .map(|it| (*it).to_owned())
            .collect::<Vec<_>>()
    };
    let refuses = |path: &str, more: &[String], code: i32, expected: &[&str]| {
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let said = host.refuses(&host.uri(path), &more, code);
        for text in expected {
            assert!(said.contains(text), "{path}: {said}");
        }
    };
    refuses("token=a", &[], 20, &["error: no token fits the key URI"]);
    for token in ["a", "b"] {
        host.new_token(token);
    }
    host.import_key("a", "ec256", 1);
    host.import_key("a", "ec384", 2);
    let ec256 = with_chain("ec256");
    refuses(
        "token=c",
        &ec256,
        20,
        &["no token fits", "token \"a\", serial", "token \"b\", serial"],
    );
    refuses(
        "object=ec256",
        &ec256,
        20,
        &["2 tokens fit", "token \"a\", serial", "hint: add serial="],
    );
    refuses(
        "token=a;object=x",
        &ec256,
        20,
        &[
            "no private key on the token fits",
            "private key \"ec256\", id=%01",
            "private key \"ec384\", id=%02",
        ],
    );
    refuses("token=a", &ec256, 20, &["2 private keys", "\"ec384\", id=%02", "hint: add object="]);
    refuses(
        "token=a;object=ec256",
        &with_chain("ec384"),
        20,
        &["does not match the certificate \"CN="],
    );
    // The same curve, another key.
    refuses(
        "token=a;object=ec256",
        &with_chain("rsa2048"),
        20,
        &["does not match the certificate"],
    );
    let pin: Vec<String> = pin.iter().map(|it| (*it).to_owned()).collect();
    refuses(
        "token=a;object=ec256",
        &pin,
        20,
        &[
            "no certificate with the id",
            "hint: the chain of the key, leaf first: ",
            " --cert-file FILE\n",
        ],
    );
    for _ in 0..2 {
        host.import_certificate("a", &certificates("ec256")[0], 1);
    }
    refuses("token=a;object=ec256", &pin, 20, &["has 2 certificates", "certificate \"CN="]);
    refuses(
        "token=a;object=ec256",
        &[],
        20,
        &[
            "token \"a\" needs its PIN",
            "hint: the first line of a file is the PIN: ",
            " --passphrase-file FILE\n",
        ],
    );
    host.write("pin", "wrong-PIN\n");
    refuses("token=a;object=ec256", &ec256, 20, &["error: token \"a\" refuses the PIN"]);
    let said = host.refuses(&host.uri("token=a;object=ec256"), &["--passphrase-file", "pin"], 20);
    assert!(!said.contains("wrong-PIN"), "{said}");
}

#[test]
#[ignore = "needs SoftHSM and pkcs11-tool"]
fn uris_that_name_nothing_are_wrong_usage() {
    let host = Host::new();
    let with_pin = format!("{}&pin-value={PIN}", host.uri("token=a"));
    let said = host.refuses(&with_pin, &[], 2);
    // The command line that is repeated has no PIN.
    let hint =
        "hint: the first line of a file is the PIN: the same command with --passphrase-file FILE";
    assert!(said.contains(hint) && !said.contains(PIN), "{said}");
    host.refuses("pkcs11:token=a", &[], 2);
    host.refuses("file:/key", &[], 2);
    let two = format!("{}&pin-source=/pin", host.uri("token=a"));
    host.refuses(&two, &["--passphrase-file", "pin"], 2);
    host.refuses(&host.uri("token=a"), &["--key", "name"], 2);
    host.refuses(&host.uri("token=a"), &["--key-file", "k"], 2);
    let said = host.refuses("pkcs11:?module-path=/nowhere/lib.so", &[], 20);
    assert!(said.contains("PKCS#11 library /nowhere/lib.so: "), "{said}");
    let not_a_token = host.refuses("pkcs11:?module-path=/etc/passwd", &[], 20);
    assert!(not_a_token.contains("PKCS#11 library /etc/passwd: "), "{not_a_token}");
}
