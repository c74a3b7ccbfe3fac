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

#[test]
fn signed_here_and_verified_here() {
    let (host, engine) = (Host::ready(), engine::start(dup()));
    let source = "docker-daemon:lab/dup:1";
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
hint: similar names: net-monitor:v1; docker image ls

"#]]);
    run(&host, &engine, &["manifest", "docker-daemon:other:v1"]).code(20).stderr_eq(str![[r#"
error: no such image: other:v1
hint: docker image ls

"#]]);
    for (end, code) in [(End::Broken(100_000), 20), (End::Broken(0), 20), (End::Short(100_000), 16)]
    {
        let engine = engine::start(Mock { end, ..dup() });
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
hint: name the platform to push: --platform linux/amd64

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
hint: run this as root on the host of the engine

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
