//! Signatures inside image archives: `sign --embed`, `attach --to`, `detach --from`, `oci-archive:`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;

use serde_json::{Value, json};
use snapbox::str;

use crate::Host;
use crate::parity::notation_accepts;

/// Archives of every family: docker before and after 25, containerd's exporter, podman.
const FAMILIES: [&str; 6] = [
    "graph-20.10-dup",
    "graph-26.1-dup",
    "other-podman5-docker-archive",
    "containerd-28-dup",
    "containerd-28-multi-index",
    "other-podman5-oci-archive",
];

pub(crate) fn case(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/docker");
    fs::read(root.join(name)).unwrap()
}

/// The members of a tar in their order: names, and headers with contents.
pub(crate) fn members(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut tar = tar::Archive::new(archive);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut bytes = entry.header().as_bytes().to_vec();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), bytes)
    };
    tar.entries().unwrap().map(read).collect()
}

/// Runs a command that succeeds and gives its standard output.
fn said(host: &Host, arguments: &[&str]) -> String {
    let output = host.run(arguments);
    let output = output.get_output();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn digest(said: &str) -> &str {
    said.trim_end().rsplit_once('@').unwrap().1
}

/// Forgets what the host itself knows: all there is is in the archive.
pub(crate) fn forget(host: &Host) {
    let _ = fs::remove_dir_all(host.path("cache"));
}

#[test]
fn an_archive_carries_its_signatures() {
    for name in FAMILIES {
        let host = Host::ready();
        let before = case(&format!("{name}/image.tar"));
        host.write("image.tar", &before);
        for format in ["jws", "cose"] {
            let sign = ["sign", "--embed", "--signature-format", format, "image.tar"];
            said(&host, &sign);
        }
        forget(&host);
        let verified = said(&host, &["verify", "image.tar"]);
        // The manifest that a push sends, whether the archive held it or not.
        let pushed = fs::read(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(format!("testdata/docker/{name}/pushed-manifest.json")),
        );
        if let Ok(pushed) = pushed {
            let pushed = dockseal::image::digest::Digest::sha256(&pushed).to_string();
            assert_eq!(digest(&verified), pushed, "{name}");
        }
        // Nothing but index.json was touched, and it has grown by kilobytes.
        let after = host.read("image.tar");
        assert!(after.len() - before.len() < 24 << 10, "{name}");
        let [old, new] = [&before, &after].map(|archive| members(archive));
        let kept: Vec<_> = old.iter().filter(|it| new.contains(it)).collect();
        let replaced = if name.starts_with("graph") || name.contains("docker") { 0 } else { 1 };
        assert_eq!(kept.len(), old.len() - replaced, "{name}");
        let listed = said(&host, &["--format", "json", "list", "image.tar"]);
        let listed: Value = serde_json::from_str(&listed).unwrap();
        assert_eq!(listed["signatures"].as_array().unwrap().len(), 2, "{name}");
        assert_eq!(listed["subject"]["digest"], digest(&verified), "{name}");
        for source in ["docker-archive:image.tar", "image.tar"] {
            let inspected = said(&host, &["--format", "json", "inspect", source]);
            let inspected: Value = serde_json::from_str(&inspected).unwrap();
            assert_eq!(inspected["signatures"].as_array().unwrap().len(), 2, "{name}");
        }
        // Out, and into the archive that never had them.
        host.write("out/.keep", "");
        let files = said(&host, &["detach", "--from", "image.tar", "-o", "out"]);
        let files: Vec<_> = files.lines().collect();
        assert_eq!(files.len(), 2);
        host.write("fresh.tar", &before);
        said(&host, &["attach", files[0], files[1], "--to", "fresh.tar"]);
        assert_eq!(digest(&said(&host, &["verify", "fresh.tar"])), digest(&verified));
        said(&host, &["load", "fresh.tar", "--output", "clean.tar"]);
        said(&host, &["detach", "--from", "fresh.tar", "-o", "out", "--remove"]);
        host.run(&["verify", "fresh.tar"]).code(10);
        host.run(&["detach", "--from", "fresh.tar"]).code(10);
        // Unpacked it is a layout to notation, too.
        let Some(binary) = std::env::var_os("NOTATION_BIN") else { continue };
        fs::copy(host.path("config/trustpolicy.oci.json"), host.path("config/trustpolicy.json"))
            .unwrap();
        tar::Archive::new(&*after).unpack(host.path("unpacked")).unwrap();
        let part = if host.path("unpacked/signatures").exists() { "/signatures" } else { "" };
        let reference = format!("unpacked{part}@{}", digest(&verified));
        assert!(notation_accepts(Path::new(&binary), &host, &reference), "{name}");
    }
}

#[test]
fn what_is_said() {
    let host = Host::ready();
    host.write("image.tar", case("graph-20.10-dup/image.tar"));
    host.run(&["sign", "--embed", "docker-archive:image.tar:lab/dup:1"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully signed image.tar@sha256:a396e62de3a778a2ea2b26c4602184997f81356fae79a854bd1e83eeab10a42b

"#]])
        .stderr_eq(str![[r#"
note: assuming an engine built with Go 1.8 to 1.26 (--go-gzip go1.8): an archive does not tell
Signature written to image.tar@sha256:[..]

"#]]);
    // Nothing is compressed, so nothing is assumed.
    host.run(&["verify", "image.tar"])
        .code(0)
        .stdout_eq(str![[r#"
Successfully verified signature for image.tar@sha256:a396e62de3a778a2ea2b26c4602184997f81356fae79a854bd1e83eeab10a42b

"#]])
        .stderr_eq(str![[r#"
signer: CN=leaf-ec256,O=Notary,L=Seattle,ST=WA,C=US
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
checked: integrity, authenticity, expiry, authenticTimestamp, revocation, content, userMetadata
content: every byte of the image was hashed and is what is signed (blobs by digest: 2, by DiffID: 3)

"#]]);
    let report = said(&host, &["--format", "json", "verify", "image.tar"]);
    let report: Value = serde_json::from_str(&report).unwrap();
    let blobs = report["content"]["blobs"].as_array().unwrap();
    let bound: Vec<_> = blobs.iter().map(|blob| &blob["boundBy"]).collect();
    assert_eq!(json!(bound), json!(["digest", "digest", "diff-id", "diff-id", "diff-id"]));
    for (arguments, message) in [
        (
            &["sign", "--embed", "-"][..],
            "signatures can be put into image archives and containerd only",
        ),
        (&["sign", "--embed", "config"], "config is no archive file"),
        (&["attach", "none.sig", "--to", "image.tar"], "none.sig"),
        (&["detach", "--from", "missing.tar"], "missing.tar"),
    ] {
        let output = host.run(arguments);
        let error = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert!(!output.get_output().status.success() && error.contains(message), "{error}");
    }
}

#[test]
fn an_oci_archive_is_a_signature_store() {
    let host = Host::ready();
    host.write("lay.tar", case("other-podman5-oci-archive/image.tar"));
    let name = "oci-archive:lay.tar";
    let signed = said(&host, &["sign", name]);
    let at_digest = format!("{name}@{}", digest(&signed));
    said(&host, &["sign", "--signature-format", "cose", &at_digest]);
    said(&host, &["sign", "--embed", "--signature-manifest", "oci1.1", &at_digest]);
    assert!(!host.path("cache").exists(), "nothing goes into the cache");
    for reference in [name, &at_digest] {
        said(&host, &["verify", reference]);
        let listed = said(&host, &["--format", "json", "list", reference]);
        let listed: Value = serde_json::from_str(&listed).unwrap();
        assert_eq!(listed["signatures"].as_array().unwrap().len(), 3);
    }
    // As a layout directory, and as the directory that it unpacks to.
    let reference = format!("lay.tar@{}", digest(&signed));
    said(&host, &["verify", "--oci-layout", &reference]);
    said(&host, &["sign", "--oci-layout", &reference]);
    tar::Archive::new(&*host.read("lay.tar")).unpack(host.path("lay")).unwrap();
    let listed = said(&host, &["list", "--oci-layout", &format!("lay@{}", digest(&signed))]);
    assert_eq!(listed.lines().count(), 6, "{listed}");
}

/// Two archives of engines before docker 25 in one.
fn two_images() -> Vec<u8> {
    let [one, two] = ["graph-20.10-dup", "graph-20.10-gnu"]
        .map(|name| members(&case(&format!("{name}/image.tar"))));
    let content = |members: &[(String, Vec<u8>)], name: &str| -> Vec<Value> {
        let found = members.iter().find(|(it, _)| it == name).unwrap();
        serde_json::from_slice(&found.1[512..]).unwrap()
    };
    let listed = [&one, &two].map(|members| content(members, "manifest.json")).concat();
    let mut all: BTreeMap<String, Vec<u8>> = two.into_iter().chain(one).collect();
    let mut header = tar::Header::from_byte_slice(&all["manifest.json"][..512]).clone();
    let bytes = json!(listed).to_string().into_bytes();
    header.set_size(bytes.len() as u64);
    header.set_cksum();
    all.insert("manifest.json".to_owned(), [header.as_bytes().to_vec(), bytes].concat());
    let mut out = Vec::new();
    for bytes in all.values() {
        out.extend(bytes);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// Each image has its own manifest and signatures; a manifest of no image is a contradiction.
#[test]
fn several_images_and_manifests_of_none() {
    let host = Host::ready();
    host.write("image.tar", two_images());
    let [one, two] = ["lab/dup:1", "lab/gnu:1"];
    let signed = said(&host, &["sign", "--embed", "--image", one, "image.tar"]);
    let output = host.run(&["verify", "--image", one, "image.tar"]).code(0);
    let warned = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(warned.contains("warning: 1 other images in the archive"), "{warned}");
    // What is carried for one is nothing to the other.
    host.run(&["verify", "--image", two, "image.tar"]).code(10).stdout_eq("");
    host.run(&["verify", "image.tar"]).code(16).stdout_eq("");
    let other = said(&host, &["sign", "--embed", "--image", two, "image.tar"]);
    assert_ne!(digest(&signed), digest(&other));
    for (image, signed) in [(one, &signed), (two, &other)] {
        let verified = said(&host, &["verify", "--image", image, "image.tar"]);
        assert_eq!(digest(&verified), digest(signed));
    }
    // The same manifests in an archive of one of them alone.
    let signatures = members(&host.read("image.tar"));
    let mut alone = case("graph-20.10-dup/image.tar");
    alone.truncate(alone.len() - alone.iter().rev().take_while(|it| **it == 0).count());
    alone.resize(alone.len().next_multiple_of(512), 0);
    for (_, bytes) in signatures.iter().filter(|(name, _)| name.starts_with("signatures/")) {
        alone.extend(bytes);
        alone.resize(alone.len().next_multiple_of(512), 0);
    }
    alone.resize(alone.len() + 1024, 0);
    host.write("alone.tar", alone);
    let output = host.run(&["verify", "alone.tar"]).code(13).stdout_eq("");
    let error = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    let expected = format!("manifest {} is not of an image in the archive", digest(&other));
    assert!(error.contains(&expected), "{error}");
}

/// A manifest whose layers another tool compressed is carried along when it is given, and signatures
/// of several manifests of one image each find theirs.
#[test]
fn the_same_image_pushed_by_several_engines() {
    let host = Host::ready();
    host.write("image.tar", case("graph-26.1-dup/image.tar"));
    for other in ["containerd-28-dup", "graph-28.5-go1.27-dup", "graph-26.1-dup"] {
        host.write(other, case(&format!("{other}/pushed-manifest.json")));
        said(&host, &["sign", "--local", "-o", &format!("{other}.sig"), other]);
    }
    forget(&host);
    // The first one would need its manifest, the others follow from the archive.
    let attach = ["attach", "containerd-28-dup.sig", "--to", "image.tar"];
    host.run(&attach).code(13).stdout_eq("");
    said(&host, &[&attach[..], &["--manifest", "containerd-28-dup"]].concat());
    for other in ["graph-28.5-go1.27-dup", "graph-26.1-dup"] {
        said(&host, &["attach", &format!("{other}.sig"), "--to", "image.tar"]);
    }
    let mut found = Vec::new();
    for other in ["containerd-28-dup", "graph-28.5-go1.27-dup", "graph-26.1-dup"] {
        let sig = format!("{other}.sig");
        let verified = said(&host, &["verify", "-s", &sig, "image.tar"]);
        let pushed = dockseal::image::digest::Digest::sha256(&host.read(other)).to_string();
        assert_eq!(digest(&verified), pushed);
        found.push(pushed);
    }
    assert_eq!(found.len(), 3);
    said(&host, &["verify", "image.tar"]);
}

/// What somebody puts in front does not hide what is trusted, nor does it become trusted.
#[test]
fn a_signature_of_nobody_hides_no_other() {
    let host = Host::ready();
    host.add_key("rsa2048", &[]);
    host.write(
        "config/trustpolicy.oci.json",
        r#"{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],"signatureVerification":{"level":"strict"},"trustStores":["ca:notary"],"trustedIdentities":["x509.subject: C=US, ST=WA, L=Seattle, O=Notary, CN=leaf-ec256"]}]}"#,
    );
    host.write("image.tar", case("graph-26.1-dup/image.tar"));
    host.write("other.json", case("containerd-28-dup/pushed-manifest.json"));
    let other = ["sign", "--embed", "--key", "rsa2048", "image.tar", "--manifest", "other.json"];
    let untrusted = said(&host, &other);
    host.run(&["verify", "image.tar"]).code(12).stdout_eq("");
    let trusted = said(&host, &["sign", "--embed", "image.tar"]);
    assert_ne!(digest(&untrusted), digest(&trusted));
    assert_eq!(digest(&said(&host, &["verify", "image.tar"])), digest(&trusted));
    // Each of them is there to be looked at.
    let output = host.run(&["list", "image.tar"]).code(0);
    let note = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    let reference = format!("image.tar@{}", digest(&trusted));
    assert_eq!(note, format!("also carried along: --oci-layout {reference}\n"));
    said(&host, &["inspect", "--oci-layout", &reference]);
    said(&host, &["verify", "--oci-layout", &reference]);
}

/// By the transports of layouts, images are signed where they are, never in a cache.
#[test]
fn layouts_that_do_not_hold_what_is_pushed() {
    let host = Host::ready();
    host.write("graph.tar", case("graph-26.1-dup/image.tar"));
    tar::Archive::new(&*host.read("graph.tar")).unpack(host.path("graph")).unwrap();
    let signed = said(&host, &["sign", "oci-archive:graph.tar"]);
    assert_eq!(digest(&said(&host, &["verify", "graph.tar"])), digest(&signed));
    // A directory has no place for it.
    let output = host.run(&["sign", "oci:graph"]).code(20).stdout_eq("");
    let error = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(error.contains("no manifest with digest"), "{error}");
    assert!(!host.path("cache/signature").exists());
    host.write("image.tar", case("containerd-28-dup/image.tar"));
    tar::Archive::new(&*host.read("image.tar")).unpack(host.path("lay")).unwrap();
    said(&host, &["sign", "oci:lay"]);
    said(&host, &["verify", "oci:lay"]);
    assert!(!host.path("cache/signature").exists());
}

/// What is loaded is what was verified, from a stream that came once, too.
#[test]
fn a_stream_is_loaded_by_its_own_signatures() {
    let host = Host::ready();
    host.write("image.tar", case("graph-20.10-dup/image.tar"));
    let signed = said(&host, &["sign", "--embed", "image.tar"]);
    forget(&host);
    let load = host.command(&["load", "-", "--output", "clean.tar"]);
    load.stdin(host.read("image.tar")).assert().code(0);
    let mut manifest = fs::File::create(host.path("signed.json")).unwrap();
    manifest.write_all(&case("graph-20.10-dup/pushed-manifest.json")).unwrap();
    host.write("out/.keep", "");
    let file = said(&host, &["detach", "--from", "image.tar", "-o", "out"]);
    let verify = ["verify", "clean.tar", "--manifest", "signed.json", "-s", file.trim_end()];
    assert_eq!(digest(&said(&host, &verify)), digest(&signed));
    // Where nothing is held, what is inside is not looked at, and nothing passes.
    let verify = host.command(&["verify", "-"]);
    verify.stdin(host.read("image.tar")).assert().code(10).stdout_eq("");
}

#[test]
fn compressed_archives_are_read_and_never_written() {
    let host = Host::ready();
    host.write("image.tar", case("graph-20.10-dup/image.tar"));
    for format in ["jws", "cose"] {
        said(&host, &["sign", "--embed", "--signature-format", format, "image.tar"]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&host.read("image.tar")).unwrap();
        host.write("image.tar.gz", gzip.finish().unwrap());
        forget(&host);
        said(&host, &["verify", "image.tar.gz"]);
        host.write("image.tar", case("graph-20.10-dup/image.tar"));
    }
    let before = host.read("image.tar.gz");
    host.run(&["sign", "--embed", "image.tar.gz"]).code(16).stdout_eq(str![]).stderr_eq(str![[
        r#"
note: assuming an engine built with Go 1.8 to 1.26 (--go-gzip go1.8): an archive does not tell
error: image.tar.gz: the archive is compressed, nothing can be put into it
hint: decompress it first, and compress the result again: unzstd FILE (or gunzip, unxz, bunzip2)

"#
    ]]);
    assert_eq!(host.read("image.tar.gz"), before);
}

/// An index, its platforms and attestations, in the archive and beside it.
#[test]
fn an_index_and_what_is_below_it() {
    let host = Host::ready();
    host.write("image.tar", case("containerd-28-multi-index/image.tar"));
    said(&host, &["sign", "--embed", "--recursive", "image.tar"]);
    forget(&host);
    let verified = said(&host, &["verify", "--recursive", "image.tar"]);
    assert_eq!(verified.lines().count(), 5, "{verified}");
    let platform = ["verify", "--platform", "linux/arm64", "image.tar"];
    said(&host, &platform);
}

#[test]
fn concurrent_signers_leave_all_signatures() {
    for name in ["graph-20.10-dup", "containerd-28-dup"] {
        let host = Host::ready();
        host.write("image.tar", case(&format!("{name}/image.tar")));
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| said(&host, &["sign", "--embed", "image.tar"]));
            }
        });
        forget(&host);
        let listed = said(&host, &["--format", "json", "list", "image.tar"]);
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let mut found: Vec<_> =
            listed["signatures"].as_array().unwrap().iter().map(ToString::to_string).collect();
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 20, "{name}");
        said(&host, &["verify", "image.tar"]);
    }
}

/// An archive of 160 MiB is signed and verified by a process that may have 48 MiB of data.
#[cfg(target_os = "linux")]
#[test]
fn large_archives_are_streamed() {
    const LAYER: usize = 160 << 20;
    let host = Host::ready();
    let mut hasher = dockseal::image::digest::Algorithm::Sha256.hasher();
    for _ in 0..LAYER >> 20 {
        hasher.update(&[0; 1 << 20]);
    }
    let config = json!({"architecture": "amd64", "os": "linux", "config": {},
                        "rootfs": {"type": "layers", "diff_ids": [hasher.finish()]}})
    .to_string();
    let config_digest = dockseal::image::digest::Digest::sha256(config.as_bytes());
    let name = format!("{}.json", config_digest.hex());
    let entry = json!([{"Config": name, "RepoTags": ["big:1"], "Layers": ["layer.tar"]}]);
    let file = fs::File::create(host.path("image.tar")).unwrap();
    let mut tar = tar::Builder::new(file);
    let mut add = |name: &str, size: usize, content: &mut dyn std::io::Read| {
        let mut header = tar::Header::new_ustar();
        header.set_size(size as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content).unwrap();
    };
    add("layer.tar", LAYER, &mut std::io::repeat(0).take(LAYER as u64));
    add(&name, config.len(), &mut config.as_bytes());
    let entry = entry.to_string();
    add("manifest.json", entry.len(), &mut entry.as_bytes());
    tar.into_inner().unwrap();
    let digest = format!("sha256:{}", "ab".repeat(32));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json",
                   "size": config.len(), "digest": config_digest},
        "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": 9,
                    "digest": digest}],
    });
    host.write("manifest.json", manifest.to_string());
    for arguments in [
        "sign --embed --manifest manifest.json",
        "sign --embed --manifest manifest.json",
        "list",
        "verify",
    ] {
        let script = format!("ulimit -d 49152; exec \"$0\" {arguments} image.tar");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script]).arg(snapbox::cmd::cargo_bin!("dockseal"));
        let output = command
            .current_dir(host.path(""))
            .env("NOTATION_CONFIG", "config")
            .env("NOTATION_CACHE", "cache")
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments}: {error}");
    }
}
