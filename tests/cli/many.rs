//! `dockseal verify` of several images.

use std::fs;
use std::path::Path;

use serde_json::Value;
use snapbox::str;

use crate::Host;

fn archive(case: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/docker");
    fs::read(root.join(case).join("image.tar")).unwrap()
}

/// A host with two signed images, one that is not, one whose content was changed, and one that is
/// no image.
fn host() -> Host {
    let host = Host::ready();
    for (name, case) in
        [("a", "containerd-28-gzl"), ("b", "containerd-28-dup"), ("c", "graph-20.10-build")]
    {
        host.write(&format!("images/{name}.tar"), archive(case));
    }
    host.run(&["sign", "images/a.tar"]).code(0);
    host.run(&["sign", "images/b.tar"]).code(0);
    let mut bad = archive("graph-20.10-build");
    let layer = tar::Archive::new(bad.as_slice())
        .entries()
        .unwrap()
        .map(Result::unwrap)
        .find(|entry| entry.size() > 1024 && entry.path().unwrap().ends_with("layer.tar"))
        .map(|entry| entry.raw_file_position())
        .unwrap();
    bad[usize::try_from(layer).unwrap() + 600] ^= 1;
    host.write("images/d.tar", bad);
    host.write("images/e.tar", "no image");
    host
}

fn stdout(host: &Host, code: i32, arguments: &[&str]) -> String {
    let output = host.run(arguments).code(code).get_output().stdout.clone();
    String::from_utf8(output).unwrap()
}

#[test]
fn verdicts_come_in_order_and_the_most_severe_failure_is_the_exit_code() {
    let host = host();
    let mut said = Vec::new();
    for jobs in ["1", "2", "7"] {
        let output = host.run(&["verify", "-j", jobs, "images/*.tar"]).code(13);
        let output = output.get_output();
        // Hints repeat the command.
        let stderr = String::from_utf8(output.stderr.clone()).unwrap();
        said.push((output.stdout.clone(), stderr.replace(&format!("-j {jobs} "), "")));
    }
    assert!(said.iter().all(|each| *each == said[0]), "threads make no difference");
    host.run(&["verify", "images/*.tar"])
        .code(13)
        .stdout_eq(str![[r#"
trusted   images/a.tar@sha256:f40b5316916e2918fb6662c6195f8e506c275fe09ec6aba3a7b433896d35815a
trusted   images/b.tar@sha256:21111d66fe15477330df761b1b8892df9e0047c4c14f3991e7812127bab3a259
denied    images/c.tar
denied    images/d.tar
error     images/e.tar
5 images: 2 trusted, 2 denied, 1 error

"#]])
        .stderr_eq(str![[r#"
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
error: images/c.tar: no signature is associated with sha256:1c6d26af62e206883e56c442ad0191ec429a1bad4344597153752e11d5da069a
hint: dockseal verify 'images/*.tar' --signature FILE
error: images/d.tar: layer 0fb2e72899cf9b4ee403f94166f8245407e1aec38e5fe1f46166f797e7950530/layer.tar does not match: expected sha256:0a04ce4149c1c169f6ea57d668f2f19692dd73f688813ca404d07cf1201a496e, found sha256:d4eae80a50ba0f1c90f9bfeb02647c3cb65726362f30785e0e298bc0cd4707c6
hint: the archive is damaged or was altered; save it anew: docker save IMAGE -o image.tar
error: images/e.tar: not an image archive: the data is not a tar archive
hint: docker export writes no image: docker save IMAGE -o image.tar
error: 3 of 5 images are not verified
hint: dockseal help digests

"#]]);
    host.run(&["-q", "verify", "images/a.tar", "images/c.tar"])
        .code(10)
        .stdout_eq(str![[r#"
denied    images/c.tar

"#]])
        .stderr_eq(str![[r#"
error: images/c.tar: no signature is associated with sha256:1c6d26af62e206883e56c442ad0191ec429a1bad4344597153752e11d5da069a
hint: dockseal -q verify images/a.tar images/c.tar --signature FILE
error: 1 of 2 images are not verified
hint: dockseal help signatures

"#]]);
    host.run(&["verify", "images/a.tar", "images/b.tar"])
        .code(0)
        .stdout_eq(str![[r#"
trusted   images/a.tar@sha256:f40b5316916e2918fb6662c6195f8e506c275fe09ec6aba3a7b433896d35815a
trusted   images/b.tar@sha256:21111d66fe15477330df761b1b8892df9e0047c4c14f3991e7812127bab3a259
2 images: 2 trusted

"#]])
        .stderr_eq(str![[r#"
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json

"#]]);
}

#[test]
fn after_the_first_failure_nothing_is_tried_if_that_is_wanted() {
    let host = host();
    for jobs in ["1", "5"] {
        let arguments =
            ["verify", "-j", jobs, "--fail-fast", "images/a.tar", "images/c.tar", "images/d.tar"];
        host.run(&arguments).code(10).stdout_eq(str![[r#"
trusted   images/a.tar@sha256:f40b5316916e2918fb6662c6195f8e506c275fe09ec6aba3a7b433896d35815a
denied    images/c.tar
not tried images/d.tar
3 images: 1 trusted, 1 denied, 1 not tried

"#]]).stderr_eq(str![[r#"
policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
error: images/c.tar: no signature is associated with sha256:1c6d26af62e206883e56c442ad0191ec429a1bad4344597153752e11d5da069a
hint: dockseal verify -j [..] --fail-fast images/a.tar images/c.tar images/d.tar --signature FILE
error: 2 of 3 images are not verified
hint: dockseal help signatures

"#]]);
    }
}

#[test]
fn lists_reports_and_junit() {
    let host = host();
    host.write("list.txt", "# what was delivered\n\nimages/[ab].tar\nimages/a.tar\nimages/e.tar\n");
    let arguments = ["--format", "json", "verify", "--from", "list.txt", "--junit", "junit.xml"];
    let report: Value = serde_json::from_str(&stdout(&host, 16, &arguments)).unwrap();
    assert_eq!(report["verdict"], "denied");
    assert_eq!(report["exitCode"], 16);
    assert_eq!(
        report["summary"],
        serde_json::json!({
            "images": 3, "trusted": 2, "skipped": 0, "denied": 0, "error": 1, "not-tried": 0
        })
    );
    let images = report["images"].as_array().unwrap();
    let verdicts: Vec<_> = images.iter().map(|it| (&it["source"], &it["verdict"])).collect();
    assert_eq!(
        serde_json::json!(verdicts),
        serde_json::json!([
            ["images/a.tar", "trusted"],
            ["images/b.tar", "trusted"],
            ["images/e.tar", "error"]
        ])
    );
    assert!(images[0]["signature"]["signer"].is_string(), "{}", images[0]);
    assert_eq!(images[0]["content"]["checked"], "full");
    assert_eq!(images[2]["exitCode"], 16);
    let junit = String::from_utf8(host.read("junit.xml")).unwrap();
    let junit = regex::Regex::new(r#"time="[0-9.]+""#).unwrap().replace_all(&junit, "time=\"0\"");
    snapbox::assert_data_eq!(
        junit.into_owned(),
        str![[r#"
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="dockseal verify" tests="3" failures="0" errors="1" skipped="0" time="0">
  <testsuite name="dockseal verify" tests="3" failures="0" errors="1" skipped="0" time="0">
    <testcase classname="dockseal.verify" name="images/a.tar" time="0">
      <system-out>sha256:f40b5316916e2918fb6662c6195f8e506c275fe09ec6aba3a7b433896d35815a</system-out>
    </testcase>
    <testcase classname="dockseal.verify" name="images/b.tar" time="0">
      <system-out>sha256:21111d66fe15477330df761b1b8892df9e0047c4c14f3991e7812127bab3a259</system-out>
    </testcase>
    <testcase classname="dockseal.verify" name="images/e.tar" time="0">
      <error type="exit code 16" message="images/e.tar: not an image archive: the data is not a tar archive">images/e.tar: not an image archive: the data is not a tar archive
hint: docker export writes no image: docker save IMAGE -o image.tar</error>
    </testcase>
  </testsuite>
</testsuites>

"#]]
    );

    let piped = host.command(&["verify", "--from", "-"]).stdin("images/a.tar\n").assert().code(0);
    assert!(piped.get_output().stdout.ends_with(b"1 image: 1 trusted\n"));
    host.write("empty.txt", "# nothing\n");
    host.run(&["verify", "--from", "empty.txt"]).code(20).stdout_eq(str![]).stderr_eq(str![[r#"
error: the lists name no image at all
hint: dockseal verify --help

"#]]);
    host.run(&["verify", "nowhere/*.tar"]).code(20);
    host.run(&["verify", "--from", "-", "-"]).code(2);
}

#[test]
fn images_of_manifests_are_found_in_a_directory() {
    let host = host();
    let names = |path: &str| {
        let report = stdout(&host, 0, &["--format", "json", "digest", path]);
        let report: Value = serde_json::from_str(&report).unwrap();
        let name = report["names"][0].as_str().unwrap().to_owned();
        (name, report["digest"].as_str().unwrap().to_owned())
    };
    fs::remove_file(host.path("images/d.tar")).unwrap();
    fs::remove_file(host.path("images/e.tar")).unwrap();
    let ((a, digest), (b, _)) = (names("images/a.tar"), names("images/b.tar"));
    let pod = |image: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: x\n    image: {image}\n"
        )
    };
    host.write(
        "compose.yaml",
        format!(
            "services:\n  one:\n    image: {a}\n  two:\n    image: {b}\n  three:\n    build: .\n"
        ),
    );
    let output = host.run(&["verify", "--from", "compose.yaml", "--store", "images"]).code(0);
    let output = output.get_output();
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(said.starts_with(&format!("trusted   {a}@{digest}\n")), "{said}");
    assert!(said.ends_with("2 images: 2 trusted\n"), "{said}");
    let talk = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(talk.contains(r#"service "three" names no image"#), "{talk}");

    let (name, _) = a.rsplit_once(':').unwrap();
    host.write("pinned.yaml", pod(&format!("{name}@{digest}")));
    host.run(&["verify", "--from", "pinned.yaml", "--store", "images"]).code(0);
    let other = format!("{a}@sha256:{}", "0".repeat(64));
    host.write("other.yaml", pod(&other));
    host.run(&["verify", "--from", "other.yaml", "--store", "images"]).code(13);
    host.write("absent.yaml", pod("nobody/knows:1"));
    let both = ["verify", "--from", "absent.yaml", "--from", "compose.yaml", "--store", "images"];
    let said = stdout(&host, 20, &both);
    assert!(said.ends_with("3 images: 2 trusted, 1 error\n"), "{said}");
    host.run(&["verify", "--from", "compose.yaml"]).code(2).stderr_eq(str![[r#"
warning: compose.yaml: service "three" names no image
error: compose.yaml: it names images, not where they are
hint: where the images are: dockseal verify --from compose.yaml --store docker-daemon

"#]]);
    host.write("twice/a.tar", archive("containerd-28-gzl"));
    host.write("twice/b.tar", archive("containerd-28-gzl"));
    host.write("one.yaml", pod(&a));
    host.run(&["verify", "--from", "one.yaml", "--store", "twice"]).code(16);
    host.write("vars.yaml", "services: {a: {image: 'a:${TAG}'}}\n");
    host.run(&["verify", "--from", "vars.yaml", "--store", "images"]).code(16).stderr_eq(str![[
        r#"
error: vars.yaml: the image of service "a" depends on variables
hint: docker compose config | dockseal verify --from - --store docker-daemon

"#
    ]]);
}

/// One changed byte of a layer that images share is found in each of them, also where its hash was
/// known from another one.
#[test]
fn s3_images_that_share_layers() {
    let host = Host::ready();
    host.write("image.tar", archive("containerd-28-multi-index"));
    tar::Archive::new(fs::File::open(host.path("image.tar")).unwrap())
        .unpack(host.path("lay"))
        .unwrap();
    let index: Value = serde_json::from_slice(&host.read("lay/index.json")).unwrap();
    let entry = index["manifests"][0].clone();
    let tagged = |tag: &str| {
        let mut entry = entry.clone();
        entry["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": tag});
        entry
    };
    let mut both = index;
    both["manifests"] = serde_json::json!([tagged("one"), tagged("two")]);
    host.write("lay/index.json", both.to_string());
    let _ = fs::remove_file(host.path("lay/manifest.json"));
    host.run(&["sign", "oci:lay:one"]).code(0);
    let sources = ["verify", "oci:lay:one", "oci:lay:two"];
    host.run(&sources).code(0);
    let blobs = fs::read_dir(host.path("lay/blobs/sha256")).unwrap().map(|it| it.unwrap().path());
    let mut layers: Vec<_> =
        blobs.filter(|path| fs::read(path).unwrap().starts_with(&[0x1f, 0x8b])).collect();
    layers.sort();
    // Another layer, whole and well: only its name is wrong.
    fs::remove_file(&layers[0]).unwrap();
    fs::copy(&layers[1], &layers[0]).unwrap();
    let said = stdout(&host, 13, &sources);
    assert!(said.ends_with("2 images: 2 denied\n"), "{said}");
}
