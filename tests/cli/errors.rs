//! Every exit code, and what is said with it: what, where, expected and found, and one hint.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dockseal::cli::exit::Exit;

use crate::{Host, MANIFEST, data};

const DIGEST: &str = "sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707";

/// A command that fails: its line, its exit code, and parts of what it says.
type Case = (&'static str, i32, &'static [&'static str]);

const CASES: &[Case] = &[
    // Usage.
    ("verify", 2, &["required arguments", "<SOURCE", "hint: dockseal verify --help"]),
    ("sing image.tar", 2, &["'sing'", "'sign'", "hint: dockseal --help"]),
    ("cert frobnicate", 2, &["'frobnicate'", "hint: dockseal cert --help"]),
    ("help sorces", 2, &["\"sorces\"", "hint: dockseal help sources"]),
    (
        "cert delete -t ca -s notary root.crt",
        2,
        &["hint: dockseal cert delete -t ca -s notary root.crt --yes"],
    ),
    ("policy init --name all --trust-store ca:notary", 2, &["--trust-store ca:notary --force"]),
    ("verify --oci-layout lay", 2, &["expected a reference such as DIR:TAG", "found \"lay\""]),
    ("verify lay:v1 --max-age never", 2, &["'never'", "--max-age"]),
    (
        "attach image.sig",
        2,
        &["<--to <SOURCE>|--oci-layout <REFERENCE>>", "dockseal attach --help"],
    ),
    ("detach", 2, &["<--from <SOURCE>|--oci-layout <REFERENCE>>", "dockseal detach --help"]),
    ("load image.tar", 2, &["<--into <ENGINE>|--output <FILE>>", "dockseal load --help"]),
    (
        "crl import --url root revoked.crl",
        2,
        &["expected a URL such as http://..., found \"root\"", "hint: dockseal crl import --help"],
    ),
    (
        "crl import --url http://a/ revoked.crl --delta revoked.crl",
        2,
        &["--delta holds a complete CRL", "hint: dockseal crl import --help"],
    ),
    (
        "sign image.tar -o m.sig --expiry 99999999h",
        2,
        &["99999999h must be", "end before the year 10000", "hint: dockseal sign --help"],
    ),
    // No signature.
    (
        "verify image.tar",
        10,
        &[
            "no signature is associated with sha256:",
            "policy: statement \"all\" (strict)",
            "hint: dockseal verify image.tar --signature FILE",
        ],
    ),
    (
        "verify image.tar -s imge.sig",
        10,
        &["imge.sig", "No such file", "hint: dockseal verify image.tar -s image.sig"],
    ),
    (
        "detach --from image.tar",
        10,
        &["no signature is associated with image.tar@sha256:", "hint: dockseal"],
    ),
    ("timestamp verify image.sig", 10, &["no timestamp countersignature", "hint: dockseal"]),
    // Invalid.
    ("verify image.tar -s bad.sig", 11, &["bad.sig", "hint: dockseal inspect bad.sig"]),
    ("attach bad.sig --to image.tar", 11, &["bad.sig", "hint: dockseal"]),
    // Not trusted.
    (
        "verify image.tar -s image.sig --policy-name al",
        12,
        &[
            "\"al\"",
            "there are: all",
            "hint: dockseal verify image.tar -s image.sig --policy-name all",
        ],
    ),
    ("verify image.tar -s image.sig -m a=b", 12, &["\"a\"", "hint: dockseal inspect image.sig"]),
    (
        "blob verify notes.txt -s notes.txt.jws.sig",
        12,
        &["trustpolicy.blob.json", "hint: dockseal blob policy init"],
    ),
    (
        "timestamp verify blob.sig",
        12,
        &["no timestamping authority", "hint: dockseal cert add --type tsa"],
    ),
    (
        "verify image.tar -s image.sig --require 2",
        12,
        &[
            "2 distinct signers are required, trusted signatures are by 1: CN=leaf-ec256",
            "hint: dockseal verify image.tar -s image.sig --require 2 --signature FILE",
        ],
    ),
    (
        "policy import notes.txt --force",
        12,
        &["notes.txt: malformed oci trust policy", "hint: dockseal help policy"],
    ),
    (
        "policy init --name b --trust-store notary --force",
        12,
        &["malformed trust store value \"notary\"", "hint: dockseal help policy"],
    ),
    ("doctor --containerd-root nowhere", 2, &["hint: dockseal doctor --help"]),
    // Content.
    ("verify other.tar -s image.sig", 13, &["signed: sha256:", "found:  sha256:", "hint: "]),
    (
        "verify altered.tar -s image.sig",
        13,
        &["altered.tar: ", "expected sha256:", "found sha256:", "hint: the archive is damaged"],
    ),
    ("digest altered.tar", 13, &["altered.tar: ", "does not match: expected sha256:", "hint: "]),
    ("attach image.sig --to other.tar", 13, &["sha256:", "hint: "]),
    // Expired.
    (
        "verify image.tar -s image.sig --require-expiry",
        14,
        &[
            "no expiry",
            "--require-expiry",
            "hint: have it signed anew: dockseal sign SOURCE --expiry",
        ],
    ),
    (
        "verify --local net-monitor_v1.json -s expired.sig",
        14,
        &[
            "signature expired at 2026-01-01T13:00:00Z, it is 20",
            "hint: have it signed anew: dockseal sign SOURCE --expiry 720h",
        ],
    ),
    (
        "verify --local net-monitor_v1.json -s expired-certificate.sig",
        14,
        &[
            "certificate \"CN=short-lived,O=Notary,ST=WA,C=US\" is not valid at 20",
            "Z: it expired at 2026-01-02T00:00:00Z",
            "hint: have it signed anew, with a timestamp that outlives the certificate: dockseal sign",
        ],
    ),
    (
        "timestamp verify blob.sig --timestamp-root-cert root.crt",
        14,
        &["leads to no trusted root", "hint: dockseal"],
    ),
    // Revoked, or not known whether.
    (
        "verify --local net-monitor_v1.json -s revocable.sig",
        15,
        &[
            "\"CN=revocable,O=Notary,ST=WA,C=US\" revocation status is unknown",
            "hint: dockseal crl import --url http://crl.example/root.crl FILE.crl",
        ],
    ),
    (
        "verify --local net-monitor_v1.json -s revocable.sig --crl revoked.crl",
        15,
        &[
            "\"CN=revocable,O=Notary,ST=WA,C=US\" is revoked",
            "hint: dockseal inspect revocable.sig",
        ],
    ),
    // Malformed.
    (
        "digest notes.txt",
        16,
        &["notes.txt: not an image archive", "hint: docker export writes no image: docker save"],
    ),
    (
        "sign manifest.json -o m.sig",
        16,
        &["hint: a manifest is no image: dockseal sign manifest.json -o m.sig --local"],
    ),
    ("inspect notes.txt", 16, &["hint: dockseal help signatures"]),
    ("verify image.tar -s notes.txt", 16, &["notes.txt", "hint: dockseal inspect notes.txt"]),
    ("cache add notes.txt", 16, &["notes.txt: ", "hint: dockseal help signatures"]),
    ("crl import --url http://a/ notes.txt", 16, &["notes.txt", "hint: "]),
    (
        "verify image.tar -s image.sig --crl notes.txt",
        16,
        &["notes.txt: CRL is malformed", "hint: dockseal help policy"],
    ),
    (
        "verify image.tar -s image.sig --ocsp-response notes.txt",
        16,
        &["notes.txt: ", "hint: dockseal help policy"],
    ),
    (
        "verify --oci-layout broken:v1",
        16,
        &["broken: invalid JSON: ", "hint: dockseal help sources"],
    ),
    (
        "timestamp request notes.txt -o a.tsq",
        16,
        &["notes.txt: content is neither", "hint: dockseal help signatures"],
    ),
    ("kit show notes.txt", 16, &["notes.txt: not a kit", "hint: where it was made: dockseal kit"]),
    // Not determinable.
    (
        "digest partial.tar",
        17,
        &[
            "partial.tar: ",
            "can't be determined",
            "hint: name the platform to push: dockseal digest partial.tar --platform linux/amd64",
        ],
    ),
    // Not available: what is called alike.
    ("digest imge.tar", 20, &["imge.tar: No such file", "hint: dockseal digest image.tar"]),
    (
        "digest docker-archive:image.tar:lab/gzl:2",
        20,
        &["lab/gzl:2", "it holds ", "hint: dockseal digest docker-archive:image.tar:"],
    ),
    (
        "verify --oci-layout lay:v11",
        20,
        &["\"v11\"", "there are: v1", "hint: dockseal verify --oci-layout lay:v1"],
    ),
    (
        "sign image.tar --key ec265",
        20,
        &["ec265 not found", "hint: dockseal sign image.tar --key ec256"],
    ),
    (
        "key update ec2 --default",
        20,
        &["ec2 not found", "hint: dockseal key update ec256 --default"],
    ),
    (
        "cert show -t ca -s notary rot.crt",
        20,
        &["rot.crt", "hint: dockseal cert show -t ca -s notary root.crt"],
    ),
    (
        "cert show -t ca -s notari root.crt",
        20,
        &["notari", "hint: dockseal cert show -t ca -s notary root.crt"],
    ),
    (
        "cert delete -t ca -s notary rot.crt --yes",
        20,
        &["rot.crt", "hint: dockseal cert delete -t ca -s notary root.crt --yes"],
    ),
    (
        "cert add -t ca -s notary none.crt",
        20,
        &["none.crt", "No such file", "hint: dockseal cert list"],
    ),
    (
        "cert add -t ca -s notary expiring.crt",
        20,
        &["already exists", "hint: dockseal cert show --type ca --store notary expiring.crt\n"],
    ),
    (
        "cert add -t ca -s notary notes.txt",
        20,
        &["notes.txt, with error", "hint: openssl x509 -noout -text -in notes.txt"],
    ),
    (
        "key add x --key-file notes.txt --cert-file root.crt",
        20,
        &[
            "no private key found",
            "key: notes.txt",
            "certificates: root.crt",
            "PEM is expected, and the certificate of the key first: head -n 1 notes.txt root.crt",
        ],
    ),
    ("verify image.tar -s lay", 20, &["lay", "Is a directory", "hint: ls lay\n"]),
    ("verify *.none image.tar", 20, &["nothing matches *.none", "hint: ls .\n"]),
    (
        "verify image.tar -s image.sig --crl revokd.crl",
        20,
        &[
            "revokd.crl: No such file",
            "hint: dockseal verify image.tar -s image.sig --crl revoked.crl",
        ],
    ),
    ("crl import --url http://a/ revokd.crl", 20, &["revokd.crl", "http://a/ revoked.crl\n"]),
    (
        "plugin install --file imge.tar",
        20,
        &["imge.tar: No such file", "hint: dockseal plugin install --file image.tar"],
    ),
    ("sign image.tar -o none/m.sig", 20, &["none/m.sig", "No such file", "hint: mkdir -p none\n"]),
    ("sign image.tar -o lay", 20, &["lay: ", "s a directory", "hint: ls -ld lay\n"]),
    ("man notes.txt", 20, &["notes.txt: File exists", "hint: ls -ld notes.txt\n"]),
    ("plugin uninstall god --yes", 20, &["god", "hint: dockseal plugin uninstall good --yes"]),
    (
        "manifest image.tar -o none/m.json",
        20,
        &["none/m.json", "No such file", "hint: mkdir -p none"],
    ),
    ("digest image.tar --platform linux/s390x", 20, &["linux/s390x", "hint: "]),
    // A tag against a digest.
    (
        "digest docker-archive:other.tar:lab/build@sha256:\
         09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707",
        20,
        &[
            "it holds lab/build:1",
            "archives have tags and image IDs; only those of containerd stores have the digests",
            "hint: dockseal digest docker-archive:other.tar:lab/build:1\n",
        ],
    ),
    (
        "digest oci-archive:image.tar@sha256:\
         09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707",
        20,
        &[
            "archives have tags and image IDs; only those of containerd stores have the digests",
            "hint: choose one: dockseal digest oci-archive:image.tar:lab/gzl:1\n",
        ],
    ),
    ("digest oci:lay:v21", 20, &["it holds v1", "hint: choose one: dockseal digest oci:lay:v1\n"]),
    (
        "verify --oci-layout lay@v1",
        2,
        &["expected a reference such as DIR:TAG", "hint: dockseal verify --oci-layout lay:v1\n"],
    ),
    (
        "verify --oci-layout lay:sha256:\
         09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707",
        20,
        &[
            "lay:sha256 is not an OCI layout",
            "a digest stands behind @, a tag behind a colon",
            "hint: dockseal verify --oci-layout lay@sha256:09ade42f",
        ],
    ),
    ("list lay:v1", 20, &["lay:v1: No such file", "hint: dockseal list oci:lay:v1\n"]),
    (
        "verify docker://reg.example/app:v1",
        20,
        &["hint: no registry is read: docker pull reg.example/app:v1 && dockseal verify \
             docker-daemon:reg.example/app:v1\n"],
    ),
    ("digest app:1", 20, &["app:1", "hint: dockseal digest docker-daemon:app:1"]),
];

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

fn archive(case: &str) -> Vec<u8> {
    fs::read(testdata("docker").join(case).join("image.tar")).unwrap()
}

fn host() -> Host {
    let host = Host::ready();
    host.write("image.tar", archive("containerd-28-gzl"));
    host.write("other.tar", archive("graph-20.10-build"));
    host.write("partial.tar", archive("containerd-29-partial-index"));
    host.write("notes.txt", "notes");
    host.write("manifest.json", host.read(MANIFEST));
    host.write("broken/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    host.write("broken/index.json", "x");
    crate::layout::copy(&host, "lay0");
    host.run(&["sign", "image.tar", "-o", "image.sig"]).code(0);
    host.run(&["blob", "sign", "notes.txt"]).code(0);
    let signature = String::from_utf8(host.read("image.sig")).unwrap();
    let (before, value) = signature.split_once(r#""signature":""#).unwrap();
    let flipped = if value.starts_with('A') { "B" } else { "A" };
    host.write("bad.sig", format!(r#"{before}"signature":"{flipped}{}"#, &value[1..]));
    let mut altered = archive("containerd-28-gzl");
    let layer = tar::Archive::new(altered.as_slice())
        .entries()
        .unwrap()
        .map(Result::unwrap)
        .max_by_key(tar::Entry::size)
        .map(|entry| entry.raw_file_position())
        .unwrap();
    altered[usize::try_from(layer).unwrap() + 60] ^= 1;
    host.write("altered.tar", altered);
    fs::copy(data("valid/root.crt"), host.path("root.crt")).unwrap();
    fs::copy(data("valid/ts/blob.txt.jws.sig"), host.path("blob.sig")).unwrap();
    for (from, to) in [
        ("expired/expiring-root.crt", "expiring.crt"),
        ("expired/signature.jws.sig", "expired.sig"),
        ("expired/certificate.jws.sig", "expired-certificate.sig"),
        ("crl/root.crt", "revoking.crt"),
        ("crl/revoked.crl", "revoked.crl"),
        ("crl/leaf.key", "revocable.key"),
        ("crl/leaf.chain.crt", "revocable.crt"),
    ] {
        fs::copy(testdata(from), host.path(to)).unwrap();
    }
    host.run(&["cert", "add", "-t", "ca", "-s", "notary", "expiring.crt", "revoking.crt"]).code(0);
    let key = ["--key-file", "revocable.key", "--cert-file", "revocable.crt"];
    let sign = ["sign", "--local", MANIFEST, "-o", "revocable.sig"];
    host.run(&[&sign[..], &key].concat()).code(0);
    host.plugin("good", &serde_json::json!({"capabilities": [crate::plugins::RAW]}));
    host
}

#[test]
fn every_failure_says_what_and_where_and_what_helps() {
    let host = host();
    let mut codes = BTreeSet::new();
    for (line, code, parts) in CASES {
        let words: Vec<_> = line.split(' ').collect();
        let output = host.run(&words).get_output().clone();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(*code), "{line}: {said}");
        assert!(output.stdout.is_empty(), "{line}");
        assert!(said.lines().any(|it| it.starts_with("error: ")), "{line}: {said}");
        let hints: Vec<_> = said.lines().filter(|it| it.starts_with("hint: ")).collect();
        assert_eq!(hints.len(), 1, "{line}: {said}");
        for part in *parts {
            assert!(said.contains(part), "{line}: {part:?} is not in\n{said}");
        }
        codes.insert(*code);
    }
    codes.extend(outcomes_that_should_not_happen(&host));
    let all = Exit::ALL.map(|exit| i32::from(exit.code()));
    assert_eq!(codes, all.into_iter().filter(|code| *code != 0).collect());
}

/// What ends with 1: the result can't be written to where it is wanted.
fn outcomes_that_should_not_happen(host: &Host) -> [i32; 1] {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let run = std::process::Command::new(snapbox::cmd::cargo_bin!("dockseal"))
        .args(["digest", "image.tar"])
        .current_dir(host.path(""))
        .stdout(full)
        .output()
        .unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(
        said,
        "error: standard output can't be written: No space left on device (os error 28)\n\
         hint: df -h\n"
    );
    [run.status.code().unwrap()]
}

/// A hint that repeats the command can be pasted: with the files that are there, it works.
#[test]
fn hints_can_be_pasted() {
    let host = host();
    for line in [
        "verify --oci-layout lay:v11",
        "digest imge.tar",
        "key update ec2 --default",
        "cert show -t ca -s notari root.crt",
        "digest partial.tar",
        "help sorces",
    ] {
        let words: Vec<_> = line.split(' ').collect();
        let said = String::from_utf8(host.run(&words).get_output().stderr.clone()).unwrap();
        let hint = said.lines().find_map(|it| it.strip_prefix("hint: ")).unwrap();
        let (_, command) = hint.split_once("dockseal ").unwrap();
        let words: Vec<_> = command.split(' ').collect();
        let code = host.run(&words).get_output().status.code().unwrap();
        // The layout is not signed.
        assert!(
            code == 0 || (line.starts_with("verify") && code == 10),
            "{line}: {command}: {code}"
        );
    }
    let _ = DIGEST;
}

/// What differs is explained: an index and a manifest in it, the stores of two engines.
#[test]
fn why_it_is_another_manifest_is_said() {
    let host = Host::ready();
    host.write("index.tar", archive("containerd-28-multi-index"));
    host.run(&["sign", "index.tar", "--platform", "linux/amd64", "-o", "platform.sig"]).code(0);
    host.run(&["sign", "index.tar", "-o", "index.sig"]).code(0);
    let said = |arguments: &[&str]| {
        let output = host.run(arguments).code(13).get_output().stderr.clone();
        String::from_utf8(output).unwrap()
    };
    let index = said(&["verify", "index.tar", "-s", "platform.sig"]);
    assert!(index.contains("in this index, not for the index"), "{index}");
    assert!(
        index.contains("hint: dockseal verify index.tar -s platform.sig --platform "),
        "{index}"
    );
    let platform = said(&["verify", "index.tar", "--platform", "linux/amd64", "-s", "index.sig"]);
    assert!(platform.contains("for an index of several platforms"), "{platform}");
}

/// One image, built once and saved by a graph-driver engine and by one with a containerd store: what
/// a push sends differs, and the explanation leads to what is signed.
#[test]
fn stores_of_two_engines_have_two_manifests_of_an_image() {
    let host = Host::ready();
    for (name, case) in [("graph", "graph-20.10-dup"), ("store", "containerd-28-dup")] {
        host.write(&format!("{name}.tar"), archive(case));
        let manifest = fs::read(testdata("docker").join(case).join("pushed-manifest.json"));
        host.write(&format!("{name}.json"), manifest.unwrap());
        let [archive, signature] = ["tar", "sig"].map(|end| format!("{name}.{end}"));
        host.run(&["sign", &archive, "-o", &signature]).code(0);
    }
    let said = |arguments: &[&str]| {
        let output = host.run(arguments).code(13).stdout_eq("").get_output().stderr.clone();
        String::from_utf8(output).unwrap()
    };
    let store = said(&["verify", "store.tar", "-s", "graph.sig"]);
    for part in [
        "signed: sha256:a396e62de3a778a2ea2b26c4602184997f81356fae79a854bd1e83eeab10a42b",
        "found:  sha256:21111d66fe15477330df761b1b8892df9e0047c4c14f3991e7812127bab3a259",
        "this manifest is what a containerd store keeps; if the same image was signed for a \
         graph-driver engine, that pushes another one of it",
        "hint: dockseal verify store.tar -s graph.sig --push-from graph\n",
    ] {
        assert!(store.contains(part), "{part}: {store}");
    }
    host.run(&["verify", "store.tar", "-s", "graph.sig", "--push-from", "graph"]).code(0);
    let graph = said(&["verify", "graph.tar", "-s", "store.sig"]);
    for part in [
        "signed: sha256:21111d66fe15477330df761b1b8892df9e0047c4c14f3991e7812127bab3a259",
        "found:  sha256:a396e62de3a778a2ea2b26c4602184997f81356fae79a854bd1e83eeab10a42b",
        "this manifest is what a graph-driver engine pushes; if the same image was signed in a \
         containerd store, that has another one of it",
        "hint: dockseal verify graph.tar -s store.sig --manifest FILE\n",
    ] {
        assert!(graph.contains(part), "{part}: {graph}");
    }
    host.run(&["verify", "graph.tar", "-s", "store.sig", "--manifest", "store.json"]).code(0);
}
