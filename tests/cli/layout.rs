//! Signatures in OCI layouts: `--oci-layout`, `list`, `attach`, `detach`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use snapbox::str;

use crate::tools::can_trace;
use crate::{Host, MANIFEST, data};

const DIGEST: &str = "sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707";

/// A host with the unsigned reference layout as `lay`.
fn host() -> Host {
    let host = Host::ready();
    copy(&host, "lay0");
    host
}

pub(crate) fn copy(host: &Host, name: &str) {
    fs::create_dir_all(host.path("lay/blobs/sha256")).unwrap();
    for file in ["oci-layout", "index.json"] {
        host.write(&format!("lay/{file}"), fs::read(data(name).join(file)).unwrap());
    }
    for blob in fs::read_dir(data(name).join("blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        let blob = path.file_name().unwrap().to_str().unwrap();
        host.write(&format!("lay/blobs/sha256/{blob}"), fs::read(&path).unwrap());
    }
}

#[test]
fn an_image_in_a_layout_is_signed_and_verified_there() {
    let host = host();
    host.run(&["list", "--oci-layout", "lay:v1"]).code(0).stdout_eq(str![[r#"
lay@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 has no associated signatures

"#]]).stderr_eq(str![]);
    host.run(&["verify", "--oci-layout", "lay:v1"]).code(10).stdout_eq(str![]).stderr_eq(str![[r#"
error: no signature is associated with sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal verify --oci-layout lay:v1 --signature FILE

"#]]);
    let at_digest = format!("lay@{DIGEST}");
    for (reference, format) in [("lay:v1", "jws"), (at_digest.as_str(), "cose")] {
        host.run(&["sign", "--oci-layout", "--signature-format", format, reference])
            .code(0)
            .stdout_eq(str![[r#"
Successfully signed lay@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]);
    }
    host.run(&["sign", "--oci-layout", "--signature-manifest", "oci1.1", "lay:v1"]).code(0);
    for reference in ["lay:v1", at_digest.as_str()] {
        host.run(&["verify", "--oci-layout", reference])
            .code(0)
            .stdout_eq(str![[r#"
Successfully verified signature for lay@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]])
            .stderr_eq(str![[r#"
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
checked: integrity, authenticity, expiry, authenticTimestamp, revocation, content, userMetadata

"#]]);
    }
    let output = host.run(&["--format", "json", "list", "--oci-layout", "lay:v1"]).code(0);
    let document: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(document["signatures"].as_array().unwrap().len(), 3);
}

#[test]
fn layouts_that_notation_signed_verify() {
    for (name, count) in [("lay", 2), ("lay1", 1)] {
        let host = Host::ready();
        copy(&host, name);
        let output = host.run(&["list", "--oci-layout", "lay:v1"]).code(0);
        let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        assert_eq!(text.lines().count(), 2 + count, "{text}");
        // Signed with test certificates that have expired, by signers that nobody here trusts.
        host.run(&["verify", "--oci-layout", "lay:v1"]).code(12).stdout_eq("");
    }
}

#[test]
fn signatures_move_between_files_and_layouts() {
    let host = host();
    host.run(&["sign", "--local", "-o", "a.jws.sig", MANIFEST]).code(0);
    host.run(&["attach", "a.jws.sig", "--oci-layout", "lay:v1"]).code(0).stdout_eq(str![[r#"
Attached 1 signatures to lay@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]);
    host.run(&["verify", "--oci-layout", "lay:v1"]).code(0);
    // The directory is made, for its owner only.
    let output = host.run(&["detach", "--oci-layout", "lay:v1", "-o", "new/out"]).code(0);
    let mode = fs::metadata(host.path("new/out")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let file = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert_eq!(host.read(file.trim_end()), host.read("a.jws.sig"));
    host.run(&["verify", "--local", "-s", file.trim_end(), MANIFEST]).code(0);
}

#[test]
fn detached_signatures_can_be_removed() {
    let host = host();
    let untouched = host.read("lay/index.json");
    host.write("out/.keep", "");
    let args = ["detach", "--oci-layout", "lay:v1", "-o", "out", "--remove"];
    host.run(&args).code(10).stdout_eq("");
    for format in ["jws", "cose"] {
        host.run(&["sign", "--oci-layout", "lay:v1", "--signature-format", format]).code(0);
    }
    let listed = |host: &Host| {
        let output = host.run(&["--format", "json", "list", "--oci-layout", "lay:v1"]).code(0);
        let listed: serde_json::Value =
            serde_json::from_slice(&output.get_output().stdout).unwrap();
        listed["signatures"].as_array().unwrap().clone()
    };
    let [first, second] = listed(&host).try_into().unwrap();
    let only = first.as_str().unwrap();
    let zeros = format!("sha256:{}", "0".repeat(64));
    host.run(&[&args[..], &["--only", &zeros]].concat()).code(10);
    host.run(&[&args[..], &["--only", only]].concat()).code(0).stderr_eq(str![[r#"
Signature removed from [..]

"#]]);
    assert_eq!(listed(&host), [second]);
    host.run(&["verify", "--oci-layout", "lay:v1"]).code(0);
    // What can't be written is not removed.
    host.write("file", "");
    host.run(&["detach", "--oci-layout", "lay:v1", "-o", "file", "--remove"]).code(20);
    assert_eq!(listed(&host).len(), 1);
    host.run(&args).code(0);
    assert_eq!(host.read("lay/index.json"), untouched);
    host.run(&["verify", "--oci-layout", "lay:v1"]).code(10);
    let files = fs::read_dir(host.path("out")).unwrap();
    let files = files.filter(|it| it.as_ref().unwrap().path().extension() == Some("sig".as_ref()));
    assert_eq!(files.count(), 2);
}

/// What leads to the files is on the disk before the signatures go.
#[test]
fn directories_of_detached_signatures_survive_a_power_failure() {
    if !can_trace() {
        return;
    }
    let host = host();
    host.run(&["sign", "--oci-layout", "lay:v1"]).code(0);
    let args = ["detach", "--oci-layout", "lay:v1", "-o", "new/sub", "--remove"];
    let calls = "trace=fsync,?mkdir,mkdirat,?rename,renameat,?unlink,unlinkat";
    let (status, trace) = host.trace(&["-y", "-e", calls], &args);
    assert_eq!(status, Some(0), "{trace:#?}");
    let root = host.path("").canonicalize().unwrap();
    let synced = |directory: &str| {
        let call = format!("<{}>)", root.join(directory).display());
        trace.iter().position(|line| line.contains("fsync(") && line.contains(&call)).unwrap()
    };
    let removed = trace.iter().position(|line| line.contains("lay/index.json")).unwrap();
    let root = root.to_str().unwrap().to_owned();
    for directory in [&*root, "new", "new/sub"] {
        assert!(synced(directory) < removed, "{directory}: {trace:#?}");
    }
}

/// A signature that can't be read is none that was detached.
#[test]
fn detached_is_all_or_said() {
    let host = host();
    for format in ["jws", "cose"] {
        host.run(&["sign", "--oci-layout", "lay:v1", "--signature-format", format]).code(0);
    }
    let blobs = fs::read_dir(host.path("lay/blobs/sha256")).unwrap();
    let cose = blobs.map(|it| it.unwrap().path()).find(|it| fs::read(it).unwrap()[0] == 0xd2);
    let cose = cose.unwrap();
    fs::remove_file(&cose).unwrap();
    fs::write(&cose, "other").unwrap();
    host.write("out/.keep", "");
    let before = host.read("lay/index.json");
    let args = ["detach", "--oci-layout", "lay:v1", "-o", "out", "--remove"];
    let said = host.run(&args).failure().get_output().clone();
    assert_eq!(String::from_utf8(said.stdout).unwrap().lines().count(), 1);
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("error: 1 of 2 signatures are not in files"), "{said}");
    assert_eq!(host.read("lay/index.json"), before, "nothing was removed");
}

/// Whoever made the layout has no other file made, and nobody wait.
#[test]
fn the_lock_is_no_link() {
    let host = host();
    std::os::unix::fs::symlink(host.path("victim"), host.path("lay/index.json.lock")).unwrap();
    host.run(&["sign", "--oci-layout", "lay:v1"]).code(20);
    assert!(!host.path("victim").exists());
    fs::remove_file(host.path("lay/index.json.lock")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        host.path("lay/index.json.lock"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    host.run(&["sign", "--oci-layout", "lay:v1"]).code(20);
}

/// security.md S1: a signature of something else is not attached.
#[test]
fn s1_only_signatures_of_the_image_are_attached() {
    let host = host();
    let index = host.read("lay/index.json");
    host.write("other.json", r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#);
    host.run(&["sign", "--local", "-o", "other.sig", "other.json"]).code(0);
    host.run(&["sign", "--local", "-o", "good.sig", MANIFEST]).code(0);
    host.run(&["attach", "good.sig", "other.sig", "--oci-layout", "lay:v1"])
        .code(13)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: other.sig: the signature is for sha256:0a1b17bf6d39f56897a7e8a056d930cf2bde38841a187aeb083d7487e2224573 (application/vnd.oci.image.manifest.v1+json, 58 bytes), not for sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 (application/vnd.oci.image.manifest.v1+json, 247 bytes)
hint: dockseal help digests

"#]]);
    let mut broken = host.read("good.sig");
    broken[60] ^= 1;
    host.write("broken.sig", broken);
    let code = host.run(&["attach", "broken.sig", "--oci-layout", "lay:v1"]);
    assert!(!code.get_output().status.success());
    assert_eq!(host.read("lay/index.json"), index, "nothing was written");
    host.run(&["detach", "--oci-layout", "lay:v1"]).code(10).stdout_eq(str![]).stderr_eq(str![[r#"
error: no signature is associated with lay@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707
hint: dockseal help signatures

"#]]);
}

/// Rule N-08, and what a user gets wrong.
#[test]
fn n08_damaged_layouts_are_refused() {
    let host = host();
    host.run(&["sign", "--oci-layout", "lay:v1"]).code(0);
    let no_tag = host.run(&["verify", "--oci-layout", "lay:v2"]).code(20).stdout_eq(str![]);
    no_tag.stderr_eq(str![[r#"
error: no entry of index.json has the tag "v2"; there are: v1
hint: dockseal verify --oci-layout lay:v1

"#]]);
    host.run(&["verify", "--oci-layout", "lay"]).code(2).stdout_eq(str![]).stderr_eq(str![[r#"
error: expected a reference such as DIR:TAG or DIR@sha256:..., found "lay"
hint: dockseal help sources

"#]]);
    let no_layout = host.run(&["verify", "--oci-layout", "config:v1"]).code(20).stdout_eq(str![]);
    no_layout.stderr_eq(str![[r#"
error: config is not an OCI layout: it has no file "oci-layout"
hint: dockseal help sources

"#]]);
    let blob = format!("lay/blobs/sha256/{}", &DIGEST[7..]);
    let mut manifest = host.read(&blob);
    manifest[100] ^= 1;
    host.write(&blob, manifest);
    host.run(&["verify", "--oci-layout", "lay:v1"]).code(13).stdout_eq(str![]).stderr_eq(str![[r#"
error: lay/blobs/sha256/09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 has digest sha256:91a12e757abb26a90175c14f6c66e7f5449c206a50f13a5ca534db7184056b16 and 247 bytes, expected sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 and 247 bytes
hint: dockseal help sources

"#]]);
    fs::remove_file(host.path(&blob)).unwrap();
    host.run(&["verify", "--oci-layout", "lay:v1"]).code(20).stdout_eq("");
}

/// Twenty processes at once.
#[test]
fn concurrent_signers_leave_all_signatures() {
    let host = host();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| host.run(&["sign", "--oci-layout", "lay:v1"]).code(0));
        }
    });
    let output = host.run(&["list", "--oci-layout", "lay:v1"]).code(0);
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert_eq!(text.lines().count(), 22);
    host.run(&["verify", "--oci-layout", "lay:v1"]).code(0);
}

/// Nobody ever writes into these pipes. A signature that the user names may come out of one.
#[test]
fn s11_pipes_in_a_layout_are_not_waited_for() {
    let blob = format!("lay/blobs/sha256/{}", &DIGEST[7..]);
    for name in ["lay/oci-layout", "lay/index.json", &blob] {
        let host = host();
        fs::remove_file(host.path(name)).unwrap();
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, host.path(name), mode).unwrap();
        let refused = host.run(&["verify", "--oci-layout", "lay:v1"]).code(20).stdout_eq("");
        let text = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        assert!(text.contains(&format!("{name}: it is no regular file")), "{text}");
        assert_ne!(host.run(&["verify", "lay"]).get_output().status.code(), Some(0), "{name}");
    }
    let host = host();
    host.run(&["sign", "--local", "-o", "a.jws.sig", MANIFEST]).code(0);
    let verify = host.command(&["verify", "--local", "-s", "/dev/stdin", MANIFEST]);
    verify.stdin(host.read("a.jws.sig")).assert().code(0);
}
