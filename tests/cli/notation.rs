//! dockseal under the name `notation`: the texts and exit codes of notation main
//! (spec/notation.md §10.1, and what its end-to-end specifications of Appendix A look for).

mod blob;
mod oci;
mod offline;
mod parity;
mod stores;

use std::path::PathBuf;

use snapbox::cmd::{Command, OutputAssert, cargo_bin};
use snapbox::str;

use crate::{Host, data};

/// The signed manifest of the layouts.
const DIGEST: &str = "sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707";

/// A host that has the program under the name notation, and the unsigned layout `lay`.
pub(crate) struct Notation {
    host: Host,
}

impl Notation {
    fn new(host: Host) -> Self {
        std::fs::create_dir_all(host.path("bin")).unwrap();
        std::os::unix::fs::symlink(cargo_bin!("dockseal"), host.path("bin/notation")).unwrap();
        crate::layout::copy(&host, "lay0");
        Self { host }
    }

    /// With a default key and a policy that trusts it.
    fn ready() -> Self {
        Self::new(Host::ready())
    }

    /// With nothing configured.
    fn empty() -> Self {
        Self::new(Host::empty())
    }

    fn program(&self) -> PathBuf {
        self.host.path("bin/notation")
    }

    /// A command with experimental features.
    fn command(&self, arguments: &[&str]) -> Command {
        self.host.program(&self.program(), arguments).env("NOTATION_EXPERIMENTAL", "1")
    }

    fn run(&self, arguments: &[&str]) -> OutputAssert {
        self.command(arguments).assert()
    }

    /// A command without experimental features.
    fn plain(&self, arguments: &[&str]) -> OutputAssert {
        self.host.program(&self.program(), arguments).assert()
    }
}

/// Notes which commands fail with which text.
fn errors(notation: &Notation, lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        let arguments: Vec<_> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let assert = notation.plain(&arguments).code(1).stdout_eq("");
        let stderr = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        assert!(stderr.starts_with("Error: ") && stderr.ends_with('\n'), "{line}: {stderr}");
        text.extend(["$ notation ", line, "\n", &stderr]);
    }
    text
}

#[test]
fn the_name_decides() {
    let notation = Notation::empty();
    notation.plain(&["sign"]).code(1).stdout_eq(str![]).stderr_eq(str![[r#"
Error: missing reference to the artifact: use `notation sign --help` to see what parameters are required

"#]]);
    notation.host.run(&["sign"]).code(2);
    std::os::unix::fs::symlink(cargo_bin!("dockseal"), notation.host.path("bin/notation2"))
        .unwrap();
    notation.host.program(&notation.host.path("bin/notation2"), &["sign"]).assert().code(2);
}

#[test]
fn wrong_arguments_are_told_as_cobra_does() {
    let notation = Notation::empty();
    let lines = [
        "bogus",
        "cert bogus",
        "sign",
        "sign a b",
        "sign --bogus a",
        "sign -x a",
        "sign --key",
        "sign -e 1d a",
        "sign --insecure-registry=maybe a",
        "sign --key a --plugin b --id c d",
        "sign --id a b",
        "verify",
        "verify a b",
        "verify --max-signatures 0 a",
        "verify --max-signatures x a",
        "list",
        "inspect",
        "inspect -o yaml a",
        "inspect --oci-layout a",
        "blob sign",
        "blob verify",
        "blob inspect",
        "blob policy show x",
        "cert add",
        "cert add a.crt",
        "cert add -t ca a.crt",
        "cert add -t x -s s a.crt",
        "cert list x",
        "cert show",
        "cert show a b",
        "cert delete",
        "cert delete --all a",
        "cert generate-test",
        "cert generate-test -b 1000 a",
        "cert cleanup-test",
        "key add",
        "key add a",
        "key add --plugin p a",
        "key update",
        "key delete",
        "policy import",
        "policy import a b",
        "plugin install",
        "plugin install --url",
        "plugin install --file",
        "plugin install --file --url a",
        "plugin uninstall",
        "login",
        "logout",
        "version x",
    ];
    snapbox::assert_data_eq!(
        errors(&notation, &lines),
        str![[r#"
$ notation bogus
Error: unknown command "bogus" for "notation"
Run 'notation --help' for usage.
$ notation cert bogus
Error: unknown command "bogus" for "notation certificate"
Run 'notation certificate --help' for usage.
$ notation sign
Error: missing reference to the artifact: use `notation sign --help` to see what parameters are required
$ notation sign a b
Error: accepts 1 arg(s), received 2
$ notation sign --bogus a
Error: unknown flag: --bogus
$ notation sign -x a
Error: unknown shorthand flag: 'x' in -x
$ notation sign --key
Error: flag needs an argument: --key
$ notation sign -e 1d a
Error: invalid argument "1d" for "-e, --expiry" flag: time: unknown unit "d" in duration "1d"
$ notation sign --insecure-registry=maybe a
Error: invalid argument "maybe" for "--insecure-registry" flag: strconv.ParseBool: parsing "maybe": invalid syntax
$ notation sign --key a --plugin b --id c d
Error: if any flags in the group [key id] are set none of the others can be; [id key] were all set
$ notation sign --id a b
Error: if any flags in the group [id plugin] are set they must all be set; missing [plugin]
$ notation verify
Error: missing reference to the artifact: use `notation verify --help` to see what parameters are required
$ notation verify a b
Error: accepts 1 arg(s), received 2
$ notation verify --max-signatures 0 a
Error: max-signatures value 0 must be a positive number
$ notation verify --max-signatures x a
Error: invalid argument "x" for "--max-signatures" flag: strconv.ParseInt: parsing "x": invalid syntax
$ notation list
Error: missing reference to the artifact: use `notation list --help` to see what parameters are required
$ notation inspect
Error: missing reference to the artifact: use `notation inspect --help` to see what parameters are required
$ notation inspect -o yaml a
Error: unrecognized output format yaml
$ notation inspect --oci-layout a
Error: unknown flag: --oci-layout
$ notation blob sign
Error: missing file path to the blob artifact: use `notation blob sign --help` to see what parameters are required
$ notation blob verify
Error: missing path to the blob artifact: use `notation blob verify --help` to see what parameters are required
$ notation blob inspect
Error: missing signature path: use `notation blob inspect --help` to see what parameters are required
$ notation blob policy show x
Error: accepts 0 arg(s), received 1
$ notation cert add
Error: missing certificate path
$ notation cert add a.crt
Error: required flag(s) "store", "type" not set
$ notation cert add -t ca a.crt
Error: required flag(s) "store" not set
$ notation cert add -t x -s s a.crt
Error: unsupported store type: x
$ notation cert list x
Error: accepts 0 arg(s), received 1
$ notation cert show
Error: missing certificate file name
$ notation cert show a b
Error: show only supports single certificate file
$ notation cert delete
Error: delete requires either the certificate file name that needs to be deleted or --all flag to delete all certificates in the given named trust store
$ notation cert delete --all a
Error: cannot delete a single certificate file when --all flag is set. use --help flag for more details
$ notation cert generate-test
Error: missing certificate common_name
$ notation cert generate-test -b 1000 a
Error: RSA key bits 1000 not supported, options: 2048, 3072, 4096
$ notation cert cleanup-test
Error: missing certificate common name
$ notation key add
Error: either missing key name or unnecessary parameters passed
$ notation key add a
Error: required flag(s) "plugin" not set
$ notation key add --plugin p a
Error: missing key id
$ notation key update
Error: missing key name
$ notation key delete
Error: missing key names
$ notation policy import
Error: requires 1 argument but received 0.
Usage: notation policy import <path-to-policy.json>
Please specify a trust policy file location as the argument
$ notation policy import a b
Error: requires 1 argument but received 2.
Usage: notation policy import <path-to-policy.json>
Please specify a trust policy file location as the argument
$ notation plugin install
Error: missing plugin source location
$ notation plugin install --url
Error: missing plugin URL
$ notation plugin install --file
Error: missing plugin file path
$ notation plugin install --file --url a
Error: if any flags in the group [file url] are set none of the others can be; [file url] were all set
$ notation plugin uninstall
Error: plugin name is required
$ notation login
Error: no hostname specified
$ notation logout
Error: no hostname specified
$ notation version x
Error: accepts 0 arg(s), received 1

"#]]
    );
}

#[test]
fn about_the_program() {
    let notation = Notation::empty();
    notation
        .plain(&["version"])
        .code(0)
        .stdout_eq(str![[r#"
Notation - a tool to sign and verify artifacts.

Version:     v0.1.0+dockseal

"#]])
        .stderr_eq("");
    for (arguments, part) in [
        (&[][..], "Usage: notation"),
        (&["--help"], "Commands:"),
        (&["help", "sign"], "notation sign [flags] <reference>"),
        (&["sign", "-h"], "--signature-format"),
        (&["cert"], "generate-test"),
        (&["blob", "policy", "-h"], "init"),
        (&["completion", "bash"], "complete -F _notation"),
        (&["completion", "zsh", "--no-descriptions"], "#compdef notation"),
    ] {
        let assert = notation.plain(arguments).code(0).stderr_eq("");
        let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
        assert!(text.contains(part), "{arguments:?}: {text}");
    }
}

#[test]
fn keys_and_test_certificates() {
    let notation = Notation::empty();
    notation.plain(&["cert", "generate-test", "--default", "e2e"]).code(0).stdout_eq(str![[r#"
generating RSA Key with 2048 bits
generated certificate expiring on [TIME]
wrote key: [HOST]/config/localkeys/e2e.key
wrote certificate: [HOST]/config/localkeys/e2e.crt
Successfully added e2e.crt to named store e2e of type ca
e2e: added to the key list
e2e: marked as default signing key

"#]]);
    notation.plain(&["key", "ls"]).code(0).stdout_eq(str![[r#"
NAME    KEY PATH                                   CERTIFICATE PATH                           ID   PLUGIN NAME   
* e2e   [HOST]/config/localkeys/e2e.key   [HOST]/config/localkeys/e2e.crt                      

"#]]);
    notation
        .plain(&["key", "set", "--default", "e2e"])
        .code(0)
        .stdout_eq(str![[r#"
e2e: marked as default

"#]])
        .stderr_eq("");
    notation.plain(&["key", "update", "e2e"]).code(0).stdout_eq("").stderr_eq("");
    notation.plain(&["cert", "generate-test", "e2e"]).code(1).stdout_eq("");
    notation.plain(&["cert", "cleanup-test", ""]).code(1).stderr_eq(str![[r#"
Error: certificate common name must follow [a-zA-Z0-9_.-]+ format

"#]]);
    notation.plain(&["cert", "cleanup-test", "e2e"]).code(0).stdout_eq(str![[r#"
The test key e2e and its corresponding certificate will be cleaned up with the following changes:
- Delete certificate e2e.crt from trust store e2e of type ca
- Remove key e2e from the key list
- Delete key file: [HOST]/config/localkeys/e2e.key
- Delete certificate file: [HOST]/config/localkeys/e2e.crt

Are you sure you want to continue? [y/N] 
"#]]);
    notation.plain(&["cert", "cleanup-test", "e2e", "-y"]).code(0).stdout_eq(str![[r#"
Successfully deleted e2e.crt from trust store e2e of type ca
Successfully removed key e2e from the key list
Successfully deleted key file: [HOST]/config/localkeys/e2e.key
Successfully deleted certificate file: [HOST]/config/localkeys/e2e.crt
Cleanup completed successfully

"#]]);
    notation.plain(&["cert", "cleanup-test", "e2e", "--yes"]).code(0).stdout_eq(str![[r#"
Certificate e2e.crt does not exist in trust store e2e of type ca
Key e2e does not exist in the key list
Key file [HOST]/config/localkeys/e2e.key does not exist
Certificate file [HOST]/config/localkeys/e2e.crt does not exist
Cleanup completed successfully

"#]]);
    notation.host.add_key("ec256", &["--default"]);
    notation.host.add_key("rsa2048", &[]);
    notation.plain(&["key", "delete", "nope"]).code(1).stdout_eq("").stderr_eq(str![[r#"
Error: signing key nope not found

"#]]);
    notation.plain(&["key", "delete", "ec256", "rsa2048"]).code(0).stdout_eq(str![[r#"
Removed default key ec256 from the key list. The source key still exists.
Removed rsa2048 from the key list. The source key still exists.

"#]]);
    notation.plain(&["sign", "a/b:v1"]).code(1).stdout_eq("").stderr_eq(str![[r#"
Error: default signing key not set. Please set default signing key or specify a key name

"#]]);
    let key = data("valid/ec256.key");
    assert!(key.exists(), "deleting a key from the list leaves its files");
}
