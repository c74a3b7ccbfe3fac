//! `docker-daemon:`: what the engine's answers lead to. Real engines are in the engine lab.

use std::fs;

use serde_json::json;
use snapbox::str;

use crate::Host;
use crate::engine::{self, End, Mock, Running};

fn dup() -> Mock {
    Mock::graph("go1.19.8", "graph-20.10-dup")
}

/// A containerd-store engine whose index has the manifest for linux/amd64 only.
fn partial(version: &str, api: &str) -> Mock {
    let case = "containerd-29-partial-index";
    let mut mock = Mock::graph("go1.26.10", case);
    let index = "sha256:".to_owned() + &partial_index();
    mock.version = json!({"Version": version, "ApiVersion": api, "GoVersion": "go1.26.10"});
    mock.info["Driver"] = json!("overlayfs");
    mock.info["DriverStatus"] = json!([["driver-type", "io.containerd.snapshotter.v1"]]);
    mock.image =
        Some(json!({"Id": index, "RepoTags": ["lab/dup:1"], "RootFS": {"Type": "layers"}}));
    mock
}

/// The digest of the index of the case, from its archive's index.json.
fn partial_index() -> String {
    let tar = format!(
        "{}/testdata/docker/containerd-29-partial-index/image.tar",
        env!("CARGO_MANIFEST_DIR")
    );
    let mut archive = tar::Archive::new(fs::File::open(tar).unwrap());
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let entry = entries.find(|entry| entry.path().unwrap().ends_with("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_reader(entry).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    digest.strip_prefix("sha256:").unwrap().to_owned()
}

fn run(host: &Host, engine: &Running, line: &[&str]) -> snapbox::cmd::OutputAssert {
    host.command(line).env("DOCKER_HOST", engine.host()).assert()
}

fn pushed(case: &str) -> Vec<u8> {
    let root = env!("CARGO_MANIFEST_DIR");
    fs::read(format!("{root}/testdata/docker/{case}/pushed-manifest.json")).unwrap()
}

#[test]
fn the_engine_says_which_encoder() {
    for (go, case) in [("go1.19.8", "graph-20.10-dup"), ("go1.27.1", "graph-28.5-go1.27-dup")] {
        let (host, engine) = (Host::empty(), engine::start(Mock::graph(go, case)));
        let run = run(&host, &engine, &["manifest", "docker-daemon:lab/dup:1"]);
        run.code(0).stdout_eq(pushed(case)).stderr_eq("");
    }
}

#[test]
fn a_name_without_tag_and_an_id() {
    let engine = engine::start(dup());
    let id = dup().image.unwrap()["Id"].as_str().unwrap().to_owned();
    for (name, exported) in [("lab/dup", "lab/dup:latest"), (&*id, &*id), ("e7dcb8677aaf", &*id)] {
        let host = Host::empty();
        let source = format!("docker-daemon:{name}");
        run(&host, &engine, &["manifest", &source]).code(0).stdout_eq(pushed("graph-20.10-dup"));
        let last = engine.requests().pop().unwrap();
        assert_eq!(last, format!("/v1.41/images/{exported}/get"), "{name}");
    }
    let host = Host::empty();
    run(&host, &engine, &["manifest", "docker-daemon:a?b"]).code(2).stdout_eq("");
    run(&host, &engine, &["manifest", "docker-daemon:x:1", "--image", "y"]).code(2).stdout_eq("");
}

/// The data of an engine that has the image `dup`, with these records of its layers: DiffID (one of
/// two), digest and repository.
fn data(host: &Host, records: &[(&str, &str, &str)]) -> Mock {
    let mut mock = dup();
    let id = mock.image.as_ref().unwrap()["Id"].as_str().unwrap().to_owned();
    let hex = id.strip_prefix("sha256:").unwrap();
    let mut archive = tar::Archive::new(mock.archive.as_slice());
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let is_config =
        |entry: &tar::Entry<'_, &[u8]>| entry.path().unwrap().starts_with(format!("{hex}.json"));
    let mut config = Vec::new();
    std::io::copy(&mut entries.find(is_config).unwrap(), &mut config).unwrap();
    let images = host.path("root/image/vfs");
    let write = |path: std::path::PathBuf, bytes: &[u8]| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    write(images.join("imagedb/content/sha256").join(hex), &config);
    fs::create_dir_all(images.join("distribution/v2metadata-by-diffid/sha256")).unwrap();
    for (diff_id, digest, repository) in records {
        let file = images.join("distribution/v2metadata-by-diffid/sha256").join(diff_id);
        let text = json!([{"Digest": digest, "SourceRepository": repository, "HMAC": ""}]);
        write(file, text.to_string().as_bytes());
    }
    mock.info["DockerRootDir"] = json!(host.path("root"));
    mock
}

/// DiffIDs of `dup`, and the digests of its layers by a case's pushed manifest.
fn layers(case: &str) -> Vec<(String, String)> {
    let mock = dup();
    let mut archive = tar::Archive::new(mock.archive.as_slice());
    let config = archive.entries().unwrap().map(Result::unwrap).find_map(|entry| {
        let value: serde_json::Value = serde_json::from_reader(entry).ok()?;
        value.get("rootfs").map(|rootfs| rootfs["diff_ids"].clone())
    });
    let pushed: serde_json::Value = serde_json::from_slice(&pushed(case)).unwrap();
    let diff_ids = config.unwrap();
    let pairs = diff_ids.as_array().unwrap().iter().zip(pushed["layers"].as_array().unwrap());
    pairs
        .map(|(diff_id, layer)| {
            let hex = diff_id.as_str().unwrap().strip_prefix("sha256:").unwrap();
            (hex.to_owned(), layer["digest"].as_str().unwrap().to_owned())
        })
        .collect()
}

const OLD: &str = "graph-20.10-dup";
const NEW: &str = "graph-28.5-go1.27-dup";

/// spec/docker.md §4.6: a base image that was pulled keeps its digests on its own registry.
#[test]
fn layers_that_were_pulled() {
    let (old, new) = (layers(OLD), layers(NEW));
    let (base, original) = (&*old[0].0, &*new[0].1);
    let host = Host::ready();
    let engine = engine::start(data(&host, &[(base, original, "registry.example/base")]));
    let source = "docker-daemon:lab/dup:1";
    // Which registry is not known: a signature would be a guess.
    run(&host, &engine, &["sign", source]).code(17).stdout_eq("").stderr_eq(str![[r#"
error: it is not certain what a push of this image sends
  layer sha256:[..] (DiffID sha256:[..]) is conflicting: registries have it as sha256:[..]; where the push goes decides
hint: say where the push goes: dockseal sign docker-daemon:lab/dup:1 --target-repository REPOSITORY

"#]]);
    run(&host, &engine, &["manifest", source]).code(0).stdout_eq(pushed(OLD));
    // Another registry gets what the engine compresses.
    let to = |repository| ["manifest", source, "--target-repository", repository];
    run(&host, &engine, &to("other.example/app")).code(0).stdout_eq(pushed(OLD));
    // The same one has the original; its size is that of the other encoder.
    let expected = {
        let bytes = String::from_utf8(pushed(OLD)).unwrap();
        let value = |case| serde_json::from_slice::<serde_json::Value>(&pushed(case)).unwrap();
        let entry = |layer: &serde_json::Value| {
            format!("\"size\": {},\n         \"digest\": {}", layer["size"], layer["digest"])
        };
        let (old, new) = (value(OLD), value(NEW));
        // Layers A, B, A: the first and the last are the pulled one.
        bytes.replace(&entry(&old["layers"][0]), &entry(&new["layers"][0]))
    };
    run(&host, &engine, &to("registry.example/app")).code(0).stdout_eq(&expected);
    let sign = |more: &[&str]| {
        let line =
            [&["sign", source, "--target-repository", "registry.example/app"], more].concat();
        run(&host, &engine, &line)
    };
    sign(&[]).code(17).stdout_eq("");
    sign(&["--strict=false"]).code(0);
    run(&host, &engine, &["sign", source, "--assume-fresh"]).code(0);
    run(&host, &engine, &["verify", source]).code(0);
}

#[test]
fn sizes_of_layers_that_no_encoder_here_makes() {
    let old = layers(OLD);
    let unknown = format!("sha256:{}", "12".repeat(32));
    let host = Host::ready();
    let engine = engine::start(data(&host, &[(&old[0].0, &unknown, "registry.example/base")]));
    let line =
        ["manifest", "docker-daemon:lab/dup:1", "--target-repository", "registry.example/app"];
    run(&host, &engine, &line).code(17).stdout_eq("").stderr_eq(str![[r#"
error: a push refers to layers by digests that registries have, and their sizes are not known
  sha256:1212121212121212121212121212121212121212121212121212121212121212
hint: where an archive has the original layers: dockseal manifest docker-daemon:lab/dup:1 --target-repository registry.example/app --layer-source ARCHIVE

"#]]);
    let known = String::from_utf8(pushed(OLD)).unwrap().replace(&old[0].1, &unknown);
    fs::write(host.path("known.json"), &known).unwrap();
    let line = [&line[..], &["--known-manifest", "known.json"]].concat();
    run(&host, &engine, &line).code(0).stdout_eq(&known);
}

#[test]
fn what_the_engine_recorded() {
    let host = Host::ready();
    let digest = dockseal::image::digest::Digest::sha256(&pushed(OLD));
    let source = "docker-daemon:lab/dup:1";
    let line = ["digest", source, "--pushed", "-q"];
    let engine = engine::start(data(&host, &[]));
    run(&host, &engine, &line).code(20).stdout_eq("");
    let mut mock = dup();
    let other = digest.to_string().replace('1', "2");
    for (recorded, code) in [(digest.to_string(), 0), (other, 13)] {
        mock.image.as_mut().unwrap()["RepoDigests"] =
            json!([format!("registry.example/a@{recorded}")]);
        let engine = engine::start(mock.clone());
        run(&host, &engine, &line).code(code);
        let line = [&line[..], &["--target-repository", "registry.example/b"]].concat();
        run(&host, &engine, &line).code(20).stdout_eq("");
        // The record proves what the engine's directory, which can't be read, does not.
        let expected = if code == 0 { 0 } else { 17 };
        run(&host, &engine, &["sign", source]).code(expected);
    }
}

#[test]
fn why_digests_differ() {
    let (host, engine) = (Host::empty(), engine::start(dup()));
    let root = env!("CARGO_MANIFEST_DIR");
    let archive = |case| format!("{root}/testdata/docker/{case}/image.tar");
    for (case, more, why) in [
        (OLD, &["--go-gzip", "go1.8"][..], ""),
        ("graph-20.10-gnu", &[], "their configs differ: they are different images"),
        ("containerd-28-dup", &[], "one is of a graph-driver store"),
    ] {
        let path = archive(case);
        let line = [&["digest", "docker-daemon:lab/dup:1", &path, "--explain"], more].concat();
        let output = run(&host, &engine, &line).code(0).get_output().stdout.clone();
        let output = String::from_utf8(output).unwrap();
        let lines: Vec<_> = output.lines().filter(|it| it.contains("differs from")).collect();
        assert_eq!(lines.is_empty(), why.is_empty(), "{case}: {lines:?}");
        assert!(lines.first().is_none_or(|line| line.contains(why)), "{case}: {lines:?}");
    }
    let newer = engine::start(Mock::graph("go1.27.1", NEW));
    let line = ["digest", "docker-daemon:lab/dup:1", &archive(OLD), "--explain"];
    let output = run(&host, &newer, &line).code(0).get_output().stdout.clone();
    let output = String::from_utf8(output).unwrap();
    assert!(output.contains("different encoder generations, go1.27 and go1.8"), "{output}");
}

#[test]
fn signed_here_and_verified_here() {
    let host = Host::ready();
    let engine = engine::start(data(&host, &[]));
    let source = "docker-daemon:lab/dup:1";
    // Only root can read what the engine pulled and pushed: without that a signature is refused.
    run(&host, &engine::start(dup()), &["sign", source]).code(17).stdout_eq("");
    run(&host, &engine, &["sign", source]).code(0);
    run(&host, &engine, &["verify", source]).code(0).stdout_eq(str![[r#"
Successfully verified signature for docker-daemon:lab/dup:1@sha256:[..]

"#]]);
    // The same image on an engine with the other encoder: what was signed is found all the same.
    let newer = engine::start(Mock::graph("go1.27.1", "graph-20.10-dup"));
    run(&host, &newer, &["verify", source]).code(0);
    // One byte of a layer is another one.
    let mut altered = dup();
    let at = altered.archive.len() / 2;
    altered.archive[at] ^= 1;
    let altered = engine::start(altered);
    run(&host, &altered, &["verify", source]).code(13).stdout_eq("");
}

#[test]
fn failures_of_the_engine() {
    let host = Host::empty();
    let absent = Mock { image: None, ..dup() };
    let engine = engine::start(absent);
    run(&host, &engine, &["manifest", "docker-daemon:net-monitr:v1"])
        .code(20)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: no such image: net-monitr:v1
  similar names: net-monitor:v1
hint: dockseal manifest docker-daemon:net-monitor:v1

"#]]);
    run(&host, &engine, &["manifest", "docker-daemon:other:v1"]).code(20).stderr_eq(str![[r#"
error: no such image: other:v1
hint: docker image ls

"#]]);
    for (end, code) in [(End::Broken(100_000), 20), (End::Broken(0), 20), (End::Short(100_000), 16)]
    {
        let engine = engine::start(Mock { end: end.clone(), ..dup() });
        let line = ["manifest", "docker-daemon:lab/dup:1", "-o", "out.json"];
        run(&host, &engine, &line).code(code).stdout_eq("");
        assert!(!host.path("out.json").exists(), "{end:?}");
    }
    let lying = engine::start(Mock { info: partial("29.7.2", "1.55").info, ..dup() });
    run(&host, &lying, &["manifest", "docker-daemon:lab/dup:1"]).stdout_eq("");
    let other = Mock { archive: Mock::graph("go1.19.8", "graph-20.10-gnu").archive, ..dup() };
    let other = engine::start(other);
    run(&host, &other, &["manifest", "docker-daemon:lab/dup:1"]).code(20).stdout_eq("");
}

#[test]
fn no_engine() {
    let host = Host::empty();
    let line = ["manifest", "docker-daemon:app:1"];
    let at = |url: &str| host.command(&line).env("DOCKER_HOST", url).assert();
    at("unix:///nonexistent/docker.sock").code(20).stdout_eq("").stderr_eq(str![[r#"
error: can't connect to the Docker engine at unix:///nonexistent/docker.sock: No such file or directory (os error 2)
hint: docker context ls, and look at $DOCKER_HOST

"#]]);
    at("tcp://127.0.0.1:1").code(20).stdout_eq("");
    at("tcp://127.0.0.1:x").code(2).stdout_eq("");
    host.command(&line).env("DOCKER_CONTEXT", "nowhere").assert().code(20).stderr_eq(str![[r#"
error: context "nowhere" not found: [..]/meta.json does not exist
hint: docker context ls

"#]]);
}

/// spec/docker.md §5.2: docker 27 falls back to the platform that is there, older ones refuse.
#[test]
fn an_index_of_which_one_platform_is_there() {
    let host = Host::empty();
    let line = ["manifest", "docker-daemon:lab/dup:1"];
    let newer = engine::start(partial("29.7.2", "1.55"));
    run(&host, &newer, &line).code(0).stdout_eq(pushed("containerd-29-partial-index")).stderr_eq(
        str![[r#"
note: not all platforms of sha256:[..] are here, so the engine pushes sha256:[..] alone

"#]],
    );
    let older = engine::start(partial("26.1.5", "1.45"));
    run(&host, &older, &line).code(17).stdout_eq("").stderr_eq(str![[r#"
error: docker-daemon:lab/dup:1: what a push would send can't be determined: sha256:[..] needs content that is not in the archive (sha256:[..], sha256:[..]); docker 26.1.5 pushes nothing then
hint: name the platform to push: dockseal manifest docker-daemon:lab/dup:1 --platform linux/amd64

"#]]);
}

#[test]
fn an_image_without_layers_is_only_its_config() {
    let host = Host::empty();
    let config = br#"{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#;
    fs::write(host.path("config.json"), config).unwrap();
    let id = dockseal::image::digest::Digest::sha256(config);
    let mut mock = dup();
    mock.info["DockerRootDir"] = json!(host.path("root"));
    mock.image = Some(json!({"Id": id, "RepoTags": ["zero:1"], "RootFS": {"Type": "layers"}}));
    let engine = engine::start(mock);
    let line = ["manifest", "docker-daemon:zero:1"];
    run(&host, &engine, &line).code(17).stdout_eq("").stderr_eq(str![[r#"
error: an image without layers can't be saved by a graph-driver engine, and its config can't be read: [..]
hint: as root on the host of the engine: sudo dockseal manifest docker-daemon:zero:1

"#]]);
    let directory = host.path("root/image/vfs/imagedb/content/sha256");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(id.hex()), config).unwrap();
    run(&host, &engine, &line).code(0).stdout_eq(format!(
        "{{\n   \"schemaVersion\": 2,\n   \"mediaType\": \"application/vnd.docker.distribution.manifest.v2+json\",\n   \
         \"config\": {{\n      \"mediaType\": \"application/vnd.docker.container.image.v1+json\",\n      \
         \"size\": {},\n      \"digest\": \"{id}\"\n   }},\n   \"layers\": []\n}}",
        config.len()
    ));
    fs::write(directory.join(id.hex()), b"{}").unwrap();
    run(&host, &engine, &line).stdout_eq("");
}
