use std::io::Read as _;

use super::super::bolt::testing::{Item, Items};
use super::super::find::find;
use super::testing::{Store, text, varint};
use super::*;
use crate::image::descriptor::Descriptor;
use crate::image::media_type::OCI_MANIFEST;

fn namespace(name: &str) -> Namespace {
    name.parse().unwrap()
}

/// Two namespaces; `app` means the same image in both, `tool` does not.
fn store(version: i64) -> Store {
    let mut store = Store::new(version);
    for (namespace, content) in [("default", b"one" as &[u8]), ("k8s.io", b"two")] {
        let tool = store.content(namespace, content).to_string();
        let app = store.content(namespace, b"app").to_string();
        store.image(namespace, "docker.io/library/tool:latest", OCI_MANIFEST, &tool, 3);
        store.image(namespace, "docker.io/library/app:1", OCI_MANIFEST, &app, 3);
    }
    let odd = store.content("default", b"odd").to_string();
    store.image("default", "a b", OCI_MANIFEST, &odd, 3);
    let name = format!("registry.example/x@{odd}");
    store.image("k8s.io", &name, OCI_MANIFEST, &odd, 3);
    let config = format!("sha256:{}", "c".repeat(64));
    store.image("k8s.io", &config, OCI_MANIFEST, &odd, 3);
    store.raw(&["empty", "labels"], "a", text("b"));
    store
}

fn opened(store: &Store) -> (tempfile::TempDir, Files) {
    let directory = tempfile::tempdir().unwrap();
    store.write(directory.path());
    let files = Files::open(directory.path()).unwrap();
    (directory, files)
}

#[test]
fn both_schema_versions() {
    for (version, newer) in [(3, None), (4, None), (5, Some(5)), (-1, None)] {
        let (_directory, files) = opened(&store(version));
        assert_eq!(files.newer_schema().unwrap(), newer);
        let names: Vec<String> =
            files.namespaces().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["default", "empty", "k8s.io"]);
        assert_eq!(files.images(&namespace("default")).unwrap().len(), 3);
        assert!(files.images(&namespace("empty")).unwrap().is_empty());
        assert!(files.images(&namespace("none")).unwrap().is_empty());
    }
    let (_directory, files) = opened(&Store::new(4));
    assert!(files.namespaces().unwrap().is_empty());
}

#[test]
fn records_and_content() {
    let (_directory, files) = opened(&store(4));
    let default = namespace("default");
    let record = files.image(&default, "docker.io/library/app:1").unwrap().unwrap();
    assert_eq!(record.target, Descriptor::new(OCI_MANIFEST, Digest::sha256(b"app"), 3));
    assert!(files.image(&default, "").unwrap().is_none());
    assert!(files.image(&default, "app").unwrap().is_none(), "names are literal here");
    let info = files.info(&default, &record.target.digest).unwrap().unwrap();
    assert_eq!((info.size, info.labels["containerd.io/x"].as_str()), (3, "y"));
    let mut bytes = Vec::new();
    let mut reader = files.open(&default, &record.target.digest).unwrap().unwrap();
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"app");
    assert!(files.info(&default, &Digest::sha256(b"two")).unwrap().is_none());
    assert!(files.open(&default, &Digest::sha256(b"three")).unwrap().is_none());
}

/// Every row of "names" in spec/containerd.md §10.
#[test]
fn names() {
    let (_directory, files) = opened(&store(4));
    let odd = Digest::sha256(b"odd");
    let config = format!("sha256:{}", "c".repeat(64));
    for (name, within, expected) in [
        ("docker.io/library/app:1", None, Ok("docker.io/library/app:1")),
        ("app:1", None, Ok("docker.io/library/app:1")),
        ("app:1", Some("k8s.io"), Ok("docker.io/library/app:1")),
        ("tool", Some("default"), Ok("docker.io/library/tool:latest")),
        ("tool", None, Err("is another image in each")),
        ("a b", None, Ok("a b")),
        (&config, None, Ok(config.as_str())),
        (&odd.to_string(), Some("default"), Ok("a b")),
        (&format!("registry.example/x@{odd}"), None, Ok("registry.example/x@")),
        (&format!("registry.example/x:v1@{odd}"), None, Ok("registry.example/x@")),
        (&format!("registry.example/y@{odd}"), None, Err("no image")),
        ("app:2", None, Err("no image")),
        ("tool", Some("empty"), Err("no image")),
        ("tool", Some("wrong"), Err("no namespace wrong")),
        ("", None, Err("no image")),
        ("\u{0}", None, Err("no image")),
    ] {
        let within = within.map(namespace);
        match (find(&files, name, within.as_ref()), expected) {
            (Ok(found), Ok(name)) => {
                assert!(found.record.name.starts_with(name), "{name}: {found:?}");
            }
            (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{name}: {error}"),
            (found, _) => panic!("{name:?}: {found:?}"),
        }
    }
    assert_eq!(find(&files, "app:1", None).unwrap().also, [namespace("k8s.io")]);
}

#[test]
fn hints() {
    let (_directory, files) = opened(&store(4));
    for (name, within, expected) in [
        ("app:2", None, "containerd:docker.io/library/app:1 --namespace default"),
        ("registry.example/app:1", Some("k8s.io"), "docker.io/library/app:1 --namespace"),
        ("docker.io/library/tol", None, "docker.io/library/tool:latest --namespace default"),
        ("a b", Some("k8s.io"), "it is in another namespace: --namespace default"),
        ("app:1", Some("k8s.oi"), "another namespace: --namespace default"),
        ("nothing-like-it", Some("default"), "ctr -n default images ls -q"),
        ("tool", None, "--namespace default"),
    ] {
        let within = within.map(namespace);
        let hint = find(&files, name, within.as_ref()).unwrap_err().hint().unwrap();
        assert!(hint.contains(expected), "{name}: {hint}");
    }
}

/// A record that is called by one digest and names another.
#[test]
fn s1_a_name_with_a_digest_names_that_digest() {
    let mut store = store(4);
    let digest = Digest::sha256(b"other");
    let name = format!("docker.io/library/app@{digest}");
    store.image("default", &name, OCI_MANIFEST, &Digest::sha256(b"app").to_string(), 3);
    let (_directory, files) = opened(&store);
    let error = find(&files, &name, Some(&namespace("default"))).unwrap_err();
    assert!(matches!(error, ContainerdError::Mismatch { .. }), "{error}");
}

#[test]
fn malformed_records() {
    let digest = Digest::sha256(b"app").to_string();
    for (path, key, item, expected) in [
        (&["default", "images", "bad"][..], "target", text("x"), "has no target"),
        (&["default", "images", "bad", "target"], "digest", text("md5:1"), "has no legal digest"),
        (&["default", "images", "bad", "target"], "digest", text(&digest), "has no legal size"),
        (&["default", "images"], "bad", text("x"), "is no bucket"),
        (&["a b"], "x", text("x"), "has no legal name"),
    ] {
        let mut store = store(4);
        store.raw(path, key, item);
        let (_directory, files) = opened(&store);
        let error = files
            .namespaces()
            .and_then(|_| files.images(&namespace("default")))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
    for (what, size) in [("negative", varint(-1)), ("cut", vec![0x80]), ("none", Vec::new())] {
        let mut store = store(4);
        let target = ["default", "images", "docker.io/library/app:1", "target"];
        store.raw(&target, "size", Item::Bytes(size));
        let (_directory, files) = opened(&store);
        assert!(files.images(&namespace("default")).is_err(), "{what}");
    }
    let mut store = store(4);
    store.raw(
        &["default", "images", "docker.io/library/app:1"],
        "labels",
        Item::Bucket(Items::new()),
    );
    let (_directory, files) = opened(&store);
    assert_eq!(files.images(&namespace("default")).unwrap().len(), 3, "labels may be empty");
}

#[test]
fn no_containerd_there() {
    let directory = tempfile::tempdir().unwrap();
    let error = Files::open(directory.path()).unwrap_err();
    assert!(matches!(error, ContainerdError::Root { .. }), "{error}");
    assert!(error.hint().unwrap().contains("--containerd-root"));
    // Something that would never end, or begin.
    store(4).write(directory.path());
    let meta_db = directory.path().join(META_DB);
    std::fs::remove_file(&meta_db).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &meta_db).unwrap();
    assert!(Files::open(directory.path()).is_err());
}
