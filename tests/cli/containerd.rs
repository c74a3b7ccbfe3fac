//! `containerd:NAME`, from the files of real containerds (testdata/containerd).

use std::fs;
use std::path::PathBuf;

use snapbox::cmd::OutputAssert;
use snapbox::str;

use crate::Host;

/// The stores, of every version whose schema differs.
const STORES: [&str; 3] = ["1.6.20", "1.7.24", "2.1.9"];
/// The index and its manifests.
const INDEX: &str = "sha256:0a302478f446d161eab2b7a23a0792d72ac6fa7e0ffc58637efc1026dc9a2add";
const AMD64: &str = "sha256:bd3ee4f95b5c7cfc63c13133632108d4c9a34f9117495567d2f42934d99981ff";
const ARM64: &str = "sha256:1ade88c51bc32fad9b6a445ce40fb586012ffc808144264c1526f292cb8e7cc0";
/// Config and layer of the first manifest; the second has the same layer.
const CONFIG: &str = "sha256:01cd1584a86249361568c15e0519ce433909d9bc2cc3985b2cb468569cb39bed";
const LAYER: &str = "sha256:cb87228fb3130458b2d0b51e5bc07de4e299a01f2de97f6ac65cd21223e5f789";
/// What `app:v1` is in the namespace `other`.
const OTHER: &str = "sha256:641153df78bb9277f8e6563b158d4fc7bf415ca72a3971f7b923a514f0ac1b67";
const NAME: &str = "containerd:docker.io/lab/oci-index:1";

/// A host with the files of a containerd in `root`.
fn host(version: &str) -> Host {
    let host = Host::ready();
    let packed = fs::File::open(
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(format!("testdata/containerd/{version}.tar.gz")),
    );
    let unpacked = flate2::read::GzDecoder::new(packed.unwrap());
    tar::Archive::new(unpacked).unpack(host.path("root")).unwrap();
    host
}

fn blob(host: &Host, digest: &str) -> PathBuf {
    let name = digest.replace(':', "/");
    host.path("root/io.containerd.content.v1.content/blobs").join(name)
}

fn run(host: &Host, command: &[&str]) -> OutputAssert {
    host.run(&[command, &["--containerd-root", "root"]].concat())
}

fn stdout(output: &OutputAssert) -> String {
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

fn stderr(output: &OutputAssert) -> String {
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

/// Fails with this code, naming `part` on stderr, and with nothing on stdout.
fn refused(host: &Host, command: &[&str], code: i32, part: &str) {
    let output = run(host, command).code(code);
    assert_eq!(stdout(&output), "", "{command:?}");
    assert!(stderr(&output).contains(part), "{command:?}: {}", stderr(&output));
}

#[test]
fn the_bytes_are_those_of_the_store() {
    for version in STORES {
        let host = host(version);
        for (name, options, digest) in [
            (NAME, &["--namespace", "whole"][..], INDEX),
            ("containerd:lab/oci-index:1", &[], INDEX),
            ("containerd:lab/oci-index", &["--namespace", "other", "--image", "x"], ""),
            (NAME, &["--namespace", "whole", "--platform", "linux/amd64"], AMD64),
            (NAME, &["--namespace", "whole", "--platform", "linux/arm64"], ARM64),
            (NAME, &["--namespace", "partial", "--platform", "linux/amd64"], AMD64),
            ("containerd:registry.example/app:v1", &["--namespace", "whole"], INDEX),
            ("containerd:registry.example/app:v1", &["--namespace", "other"], OTHER),
            (&format!("containerd:{OTHER}"), &[], OTHER),
            (&format!("containerd:registry.example/app@{OTHER}"), &[], OTHER),
        ] {
            let command = [&["manifest", name][..], options].concat();
            if digest.is_empty() {
                refused(&host, &command, 2, "--image is for archives");
                continue;
            }
            let output = run(&host, &command).code(0);
            let stored = fs::read(blob(&host, digest)).unwrap();
            assert!(output.get_output().stdout == stored, "{version}: {command:?}");
        }
    }
}

#[test]
fn what_is_not_there_is_said() {
    for version in STORES {
        let host = host(version);
        let digest = run(&host, &["digest", NAME, "--namespace", "partial"]).code(0);
        assert!(stdout(&digest).contains(INDEX), "{}", stdout(&digest));
        let said = stderr(&digest);
        // containerd 2.1 keeps the other platform's manifest until the next garbage collection.
        let absent = if version == "2.1.9" { "config sha256:" } else { "1 of 2 manifests below" };
        assert!(said.contains(absent), "{version}: {said}");
    }
    let host = host("1.6.20");
    run(&host, &["digest", NAME, "--namespace", "partial", "--platform", "linux/arm64"])
        .code(20)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: manifest sha256:1ade88c51bc32fad9b6a445ce40fb586012ffc808144264c1526f292cb8e7cc0 of docker.io/lab/oci-index:1 is not in namespace partial, but in other, whole
hint: dockseal digest containerd:docker.io/lab/oci-index:1 --namespace other --platform linux/arm64 --containerd-root root

"#]]);
    run(&host, &["digest", "containerd:registry.example/app:v1"])
        .code(16)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: registry.example/app:v1 is another image in each of several namespaces: sha256:641153df78bb9277f8e6563b158d4fc7bf415ca72a3971f7b923a514f0ac1b67 in other, sha256:0a302478f446d161eab2b7a23a0792d72ac6fa7e0ffc58637efc1026dc9a2add in whole
hint: choose one: dockseal digest containerd:registry.example/app:v1 --containerd-root root --namespace other

"#]]);
    run(&host, &["digest", "containerd:lab/oci-indx:1", "--namespace", "whole"])
        .code(20)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: no image lab/oci-indx:1 in namespace whole of the files in root
hint: there is containerd:docker.io/lab/oci-index:1 --namespace other, or containerd:docker.io/lab/oci-index:1 --namespace partial, or containerd:docker.io/lab/oci-index:1 --namespace whole

"#]]);
    run(&host, &["digest", NAME, "--namespace", "k8s.io"]).code(20).stdout_eq(str![]).stderr_eq(
        str![[r#"
error: no namespace k8s.io in the files in root; it has other, partial, whole
hint: it is in another namespace: dockseal digest containerd:docker.io/lab/oci-index:1 --namespace other --containerd-root root

"#]],
    );
    host.run(&["digest", NAME, "--containerd-root", "cache"])
        .code(20)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: cache is no root directory of containerd: cannot open cache/io.containerd.metadata.v1.bolt/meta.db: No such file or directory (os error 2)
hint: name the directory that holds io.containerd.metadata.v1.bolt: dockseal digest containerd:docker.io/lab/oci-index:1 --containerd-root DIR

"#]]);
    host.run(&["digest", NAME, "--namespace", "a b", "--containerd-root", "root"]).code(2);
    host.run(&["digest", "containerd:"]).code(2);
}

/// Nothing but the files is needed, and both signatures and content are checked.
#[test]
fn signed_and_verified() {
    for version in STORES {
        let host = host(version);
        run(&host, &["sign", NAME, "--namespace", "whole"]).code(0);
        let verified = run(&host, &["verify", NAME, "--format", "json"]).code(0);
        let report: serde_json::Value = serde_json::from_str(&stdout(&verified)).unwrap();
        assert_eq!(report["subject"]["digest"], INDEX);
        assert!(stdout(&verified).contains(LAYER), "{}", stdout(&verified));
        let list = run(&host, &["list", NAME, "--namespace", "partial"]).code(0);
        assert!(stdout(&list).starts_with(&format!("{NAME}@{INDEX}\n")), "{}", stdout(&list));
        refused(&host, &["verify", NAME, "--platform", "linux/amd64"], 10, AMD64);
    }
}

/// The index and the manifests that are there, each with a signature of its own.
#[test]
fn all_that_is_there_is_signed() {
    let host = host("1.7.24");
    run(&host, &["sign", NAME, "--namespace", "whole", "--recursive"]).code(0);
    for platform in ["linux/amd64", "linux/arm64"] {
        run(&host, &["verify", NAME, "--namespace", "whole", "--platform", platform]).code(0);
    }
}

/// containerd itself gives out altered blobs without a word.
#[test]
fn s3_damaged_blobs_are_named() {
    for (digest, digest_too) in [(INDEX, true), (AMD64, true), (CONFIG, false), (LAYER, false)] {
        for (damage, code) in [("altered", 13), ("truncated", 13), ("longer", 13), ("missing", 20)]
        {
            let host = host("2.1.9");
            let path = blob(&host, digest);
            let mut bytes = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            match damage {
                "altered" => *bytes.last_mut().unwrap() ^= 1,
                "truncated" => bytes.truncate(bytes.len() - 1),
                "longer" => bytes.push(b' '),
                _ => bytes.clear(),
            }
            if damage != "missing" {
                fs::write(&path, bytes).unwrap();
            }
            refused(&host, &["verify", NAME, "--namespace", "whole"], code, digest);
            refused(&host, &["sign", NAME, "--namespace", "whole"], code, digest);
            if digest_too {
                refused(&host, &["manifest", NAME, "--namespace", "whole"], code, digest);
            }
        }
    }
}

#[test]
fn a_damaged_database_is_refused() {
    let host = host("2.1.9");
    let path = host.path("root/io.containerd.metadata.v1.bolt/meta.db");
    let whole = fs::read(&path).unwrap();
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("cut", whole[..8192].to_vec()),
        ("no database", b"SQLite format 3\0".repeat(1000)),
    ] {
        fs::write(&path, bytes).unwrap();
        let output = run(&host, &["digest", NAME]).code(16);
        assert!(stderr(&output).contains("meta.db: "), "{what}: {}", stderr(&output));
    }
}

/// A socket that is not there, and one where nobody listens.
#[cfg(feature = "containerd-grpc")]
#[test]
fn no_containerd_at_the_socket() {
    let host = host("2.1.9");
    let refused = host.run(&["digest", NAME, "--address", "no.sock"]).code(20).stdout_eq(str![]);
    refused.stderr_eq(str![[r#"
error: no containerd answers at no.sock: No such file or directory (os error 2)
hint: name its socket, or with --containerd-root its files: dockseal digest containerd:docker.io/lab/oci-index:1 --address PATH

"#]]);
}

/// Files are only read: a signature goes into a running containerd, or elsewhere.
#[test]
fn signatures_are_not_written_into_files() {
    let host = host("2.1.9");
    host.run(&["cert", "generate-test", "--default", "lab.example"]).code(0);
    let scope = ["--namespace", "whole"];
    for command in [&["sign", NAME, "--embed"][..], &["sign", NAME, "--embed", "--record"]] {
        refused(&host, &[command, &scope].concat(), 20, "signatures can't be written into");
    }
    run(&host, &[&["sign", NAME, "-o", "x.jws.sig"][..], &scope].concat()).code(0);
    refused(
        &host,
        &[&["attach", "x.jws.sig", "--to", NAME][..], &scope].concat(),
        20,
        "hint: over",
    );
    refused(&host, &[&["sign", NAME, "--record"][..], &scope].concat(), 2, "--embed");
    host.run(&["attach", "x.jws.sig", "--to", "image.tar", "--record"]).code(2);
    let listed = run(&host, &[&["list", NAME][..], &scope].concat()).code(0);
    assert!(stdout(&listed).contains("has no associated signatures"), "{}", stdout(&listed));
    refused(&host, &[&["inspect", NAME][..], &scope].concat(), 10, "no signature is associated");
    refused(&host, &[&["detach", "--from", NAME][..], &scope].concat(), 10, "no signature");
}
