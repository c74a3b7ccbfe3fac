//! Archives of writers that no engine made, crossings between image stores, and choosing an image.

use std::io::Write as _;

use dockseal::generate::{self, Options, PushFrom};
use dockseal::image::digest::Digest;
use serde_json::json;

use crate::build::{Members, blob_name, config, docker, layers};
use crate::{
    MALFORMED, UNAVAILABLE, UNDETERMINABLE, Way, exit_code, manifest, manifest_with, options,
    testdata,
};

fn cases() -> std::path::PathBuf {
    testdata("")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// The manifest of the test image, whoever archived it.
fn expected() -> Vec<u8> {
    manifest(&docker().tar()).unwrap().bytes
}

/// Members for an image whose layers are gzipped, under names that a writer chooses.
fn gzipped(config_name: &str, layer_name: impl Fn(&Digest) -> String) -> Members {
    let config = config(&layers()).to_string();
    let hex = Digest::sha256(config.as_bytes()).hex().to_owned();
    let config_name = config_name.replace("HEX", &hex);
    let mut members = Members(Vec::new());
    let mut names = Vec::new();
    for layer in layers() {
        let layer = gzip(&layer);
        let name = layer_name(&Digest::sha256(&layer));
        members = members.with(&name, &layer);
        names.push(name);
    }
    let entry = json!([{"Config": config_name, "RepoTags": ["test:1"], "Layers": names}]);
    members
        .with(&config_name, config.as_bytes())
        .with("manifest.json", entry.to_string().as_bytes())
}

#[test]
fn f6_go_containerregistry_and_kaniko() {
    let archive = gzipped("sha256:HEX", |digest| format!("{}.tar.gz", digest.hex()));
    assert_eq!(manifest(&archive.tar()).unwrap().bytes, expected());
}

#[test]
fn f7_jib() {
    let archive = gzipped("config.json", |digest| format!("{}.tar.gz", digest.hex()));
    assert_eq!(manifest(&archive.tar()).unwrap().bytes, expected());
}

#[test]
fn f8_nix() {
    let archive = docker();
    let zstd = zstd::encode_all(&archive.tar()[..], 1).unwrap();
    assert_eq!(manifest(&zstd).unwrap().bytes, expected());
}

#[test]
fn f9_bazel_has_blobs_but_no_index() {
    let archive = gzipped("blobs/sha256/HEX", blob_name);
    assert_eq!(manifest(&archive.tar()).unwrap().bytes, expected());
}

#[test]
fn f11_directories_and_nested_roots() {
    let directory = tempfile::tempdir().unwrap();
    for member in &docker().0 {
        let path = directory.path().join(&member.name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &member.bytes).unwrap();
    }
    let source = Way::File.source(directory.path());
    assert_eq!(generate::manifest(source, &options(), &()).unwrap().bytes, expected());

    let mut nested = docker();
    for member in &mut nested.0 {
        member.name = format!("image/{}", member.name);
    }
    let error = manifest(&nested.tar()).unwrap_err();
    assert_eq!(exit_code(&error), MALFORMED);
    assert!(error.to_string().contains("inside the directory \"image\""), "{error}");
}

/// What was pushed of one image by engines of both stores (spec: dup is the same image everywhere).
#[test]
fn the_same_image_in_another_store() {
    let archive = |case: &str| cases().join(case).join("image.tar");
    let pushed = |case: &str| std::fs::read(cases().join(case).join("pushed-manifest.json"));
    for (from, push_from, generation, to) in [
        ("graph-20.10-dup", PushFrom::Containerd, None, "containerd-28-dup"),
        ("other-skopeo-docker-archive-dup", PushFrom::Containerd, None, "containerd-28-dup"),
        ("containerd-28-dup", PushFrom::Graph, None, "graph-20.10-dup"),
        ("containerd-28-dup", PushFrom::Graph, Some("go1.27"), "graph-28.5-go1.27-dup"),
        ("containerd-28-gzl", PushFrom::Graph, None, "graph-20.10-gzl"),
    ] {
        let generation = generation.map(|text| text.parse().unwrap());
        let options = Options { push_from, generation, ..options() };
        for way in Way::ALL {
            let generated = generate::manifest(way.source(&archive(from)), &options, &());
            let generated = generated.unwrap_or_else(|error| panic!("{from} {way:?}: {error}"));
            assert_eq!(generated.bytes, pushed(to).unwrap(), "{from} as {to}, {way:?}");
        }
    }
}

#[test]
fn a_platform_of_an_index() {
    let index = cases().join("containerd-28-multi-index/image.tar");
    let pushed =
        std::fs::read(cases().join("containerd-28-multi-platform-amd64/pushed-manifest.json"));
    let with = |platform: &str| {
        let options = Options { platform: Some(platform.parse().unwrap()), ..options() };
        generate::manifest(Way::File.source(&index), &options, &())
    };
    assert_eq!(with("linux/amd64").unwrap().bytes, pushed.unwrap());
    assert_eq!(with("linux/x86_64").unwrap().bytes, with("linux/amd64").unwrap().bytes);
    let error = with("linux/s390x").unwrap_err();
    assert_eq!(exit_code(&error), UNAVAILABLE);
    assert!(error.to_string().contains("linux/amd64"), "{error}");
}

/// Two images in one archive.
fn two() -> Members {
    let mut members = docker();
    let one = String::from_utf8(members.get("manifest.json").clone()).unwrap();
    let layer = layers().remove(0);
    let config = config(std::slice::from_ref(&layer)).to_string();
    let config_name = format!("{}.json", Digest::sha256(config.as_bytes()).hex());
    let other = json!({"Config": config_name, "RepoTags": ["other:1"], "Layers": ["l/layer.tar"]});
    let both = format!("{},{other}]", one.trim_end().trim_end_matches(']'));
    members
        .without("manifest.json")
        .with(&config_name, config.as_bytes())
        .with("l/layer.tar", &layer)
        .with("manifest.json", both.as_bytes())
}

#[test]
fn several_images_need_a_choice() {
    let archive = two().tar();
    let choose = |text: &str| {
        let image = Some(text.parse().unwrap());
        manifest_with(&archive, &Options { image, ..options() })
    };
    let error = manifest(&archive).unwrap_err();
    assert!(error.to_string().contains("test:1, other:1"), "{error}");
    assert_eq!(choose("test:1").unwrap().bytes, expected());
    assert_eq!(choose("docker.io/library/test:1").unwrap().bytes, expected());
    assert_ne!(choose("other:1").unwrap().bytes, expected());
    let id = choose("other:1").unwrap().blobs[0].descriptor.digest.to_string();
    assert_eq!(choose(&id).unwrap().bytes, choose("other:1").unwrap().bytes);
    assert_eq!(exit_code(&choose("test:2").unwrap_err()), UNAVAILABLE);
}

#[test]
fn remembered_layers_give_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let cache = generate::LayerCache::new(&directory.path().join("layers"));
    let options = Options { cache: Some(cache), ..options() };
    for case in ["graph-20.10-dup", "graph-26.1-dup", "other-skopeo-docker-archive-dup"] {
        let path = cases().join(case).join("image.tar");
        let pushed = std::fs::read(cases().join("graph-26.1-dup/pushed-manifest.json")).unwrap();
        for way in Way::ALL {
            let generated = generate::manifest(way.source(&path), &options, &()).unwrap();
            assert_eq!(generated.bytes, pushed, "{case} {way:?}");
        }
    }
}

/// A layer that is remembered is hashed all the same.
#[test]
fn a_remembered_layer_that_changed_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let cache = generate::LayerCache::new(&directory.path().join("layers"));
    let options = Options { cache: Some(cache), ..options() };
    manifest_with(&docker().tar(), &options).unwrap();
    let mut changed = docker();
    let name = changed.names().into_iter().find(|name| name.ends_with("layer.tar")).unwrap();
    changed.get(&name)[600] ^= 1;
    let error = manifest_with(&changed.tar(), &options).unwrap_err();
    assert!(error.to_string().contains(&name), "{error}");
}

/// A name is a hint for streams, and not even that for files.
#[test]
fn a_layer_named_after_another_one_that_is_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let cache = generate::LayerCache::new(&directory.path().join("layers"));
    let options = Options { cache: Some(cache), ..options() };
    manifest_with(&docker().tar(), &options).unwrap();
    let other = b"a layer that nobody remembers".to_vec();
    let remembered = format!("{}.tar", Digest::sha256(&layers()[0]).hex());
    let config = config(std::slice::from_ref(&other)).to_string();
    let entry = json!([{"Config": "c.json", "RepoTags": ["x:1"], "Layers": [remembered]}]);
    let archive = Members(Vec::new())
        .with("c.json", config.as_bytes())
        .with(&remembered, &other)
        .with("manifest.json", entry.to_string().as_bytes());
    assert_eq!(
        manifest_with(&archive.tar(), &options).unwrap().bytes,
        manifest(&archive.tar()).unwrap().bytes
    );
}

#[test]
fn windows_images_are_not_determinable() {
    let mut windows = config(&layers());
    windows["os"] = json!("windows");
    let archive = crate::build::docker_of(&layers(), &windows).tar();
    assert_eq!(exit_code(&manifest(&archive).unwrap_err()), UNDETERMINABLE);
}
