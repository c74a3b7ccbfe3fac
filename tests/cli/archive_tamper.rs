//! Archives with signatures inside, damaged in every way at every member: refused, with the blob named,
//! or what was changed had no part in what was verified.
//!
//! The cases are made, not listed: each member of an archive of each family, times each damage.

use std::fs;
use std::process::Command;
use std::sync::Mutex;

use serde_json::Value;
use snapbox::cmd::cargo_bin;

use crate::Host;
use crate::archive::{case, forget, members};

/// An archive of each family, and one of another image of the same family.
const FAMILIES: [(&str, &str); 6] = [
    ("graph-20.10-dup", "graph-20.10-gnu"),
    ("graph-26.1-dup", "graph-26.1-gzl"),
    ("other-podman5-docker-archive", "other-skopeo-docker-archive-dup"),
    ("containerd-28-dup", "containerd-28-gzl"),
    ("containerd-28-multi-index", "containerd-28-bx-index"),
    ("other-podman5-oci-archive", "other-ctr-nomj"),
];

/// A member: its name, and its header with its content.
type Member = (String, Vec<u8>);

/// What is done to one member of an archive.
struct Damage {
    what: String,
    members: Vec<Member>,
    /// The member whose content is no longer what it was.
    blob: Option<String>,
}

/// The same header for another name, size or content.
fn member(like: &Member, name: &str, content: &[u8]) -> Member {
    let mut header = tar::Header::from_byte_slice(&like.1[..512]).clone();
    header.set_path(name).unwrap();
    header.set_size(content.len() as u64);
    header.set_cksum();
    (name.to_owned(), [header.as_bytes().as_slice(), content].concat())
}

fn tar(members: &[Member]) -> Vec<u8> {
    let mut out = Vec::new();
    for (_, bytes) in members {
        out.extend(bytes);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn damages(members: &[Member], other: &[Member]) -> Vec<Damage> {
    let mut damages = Vec::new();
    for (at, own @ (name, bytes)) in members.iter().enumerate() {
        let mut add = |what: String, blob: bool, change: &dyn Fn(&mut Vec<Member>)| {
            let mut changed = members.to_vec();
            change(&mut changed);
            let blob = (blob && !is_link(own)).then(|| name.clone());
            damages.push(Damage { what: format!("{what} of {name}"), members: changed, blob });
        };
        let content = &bytes[512..];
        let length = content.len();
        for byte in [0, 107, 124, 130, 148, 156, 157, 257, 345] {
            add(format!("header byte {byte} flipped"), false, &|all| all[at].1[byte] ^= 1);
        }
        for part in 0..20 {
            let byte = length * part / 20;
            if byte < length {
                add(format!("byte {byte} flipped"), true, &|all| all[at].1[512 + byte] ^= 1);
            }
        }
        for cut in [length / 2, length.saturating_sub(1), 0] {
            if cut < length {
                let short = member(own, name, &content[..cut]);
                add(format!("cut to {cut} bytes"), true, &|all| all[at] = short.clone());
            }
        }
        // The content of other members, of this image and of another one.
        let near = members.iter().cycle().skip(at + 1).take(2);
        for from in near.chain(other.iter().filter(|it| !members.contains(it)).take(12)) {
            if from.1[512..] != *content {
                let swapped = member(own, name, &from.1[512..]);
                add(format!("content of {}", from.0), true, &|all| all[at] = swapped.clone());
            }
        }
        add("duplicate".to_owned(), false, &|all| all.push(own.clone()));
        let empty = member(own, name, b"");
        add("empty duplicate in front".to_owned(), false, &|all| all.insert(0, empty.clone()));
        let dotted = member(own, &format!("./{name}"), b"{}");
        add("dotted duplicate".to_owned(), false, &|all| all.push(dotted.clone()));
        add("removal".to_owned(), false, &|all| _ = all.remove(at));
        for new in [format!("x/{name}"), format!("{name}~"), format!("signatures/{name}")] {
            if new.len() <= 100 {
                let renamed = member(own, &new, content);
                add(format!("renaming to {new}"), false, &|all| all[at] = renamed.clone());
            }
        }
        let next = (at + 1) % members.len();
        if next != at {
            let one = member(own, &members[next].0, content);
            let two = member(&members[next], name, &members[next].1[512..]);
            add("name and next name exchanged".to_owned(), false, &|all| {
                (all[at], all[next]) = (one.clone(), two.clone());
            });
        }
        add("first place".to_owned(), false, &|all| {
            let moved = all.remove(at);
            all.insert(0, moved);
        });
        add("last place".to_owned(), false, &|all| {
            let moved = all.remove(at);
            all.push(moved);
        });
    }
    damages
}

/// What `verify` says of an archive: its exit code, its report, its messages.
fn verify(host: &Host, file: &str) -> (i32, Value, String) {
    let output = Command::new(cargo_bin!("dockseal"))
        .args(["--format", "json", "verify", "--no-progress", file])
        .current_dir(host.path(""))
        .env_clear()
        .env("NOTATION_CONFIG", "config")
        .env("NOTATION_CACHE", "cache")
        .output()
        .unwrap();
    let report = match output.stdout.as_slice() {
        b"" => Value::Null,
        bytes => serde_json::from_slice(bytes).unwrap(),
    };
    let error = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap_or(-1), report, error)
}

/// The image that a report is about: what is signed, and what ties every blob to it.
fn image(report: &Value) -> Value {
    let mut blobs: Vec<String> = report["content"]["blobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|blob| format!("{} {} {}", blob["digest"], blob["diffId"], blob["boundBy"]))
        .collect();
    blobs.sort();
    serde_json::json!({"verdict": report["verdict"], "subject": report["subject"], "blobs": blobs})
}

/// Whether a refusal names the member, by its name or the digest in it.
fn names(member: &str, text: &str) -> bool {
    let file = member.rsplit('/').next().unwrap();
    let hex = file.split('.').next().unwrap();
    text.contains(member) || hex.len() == 64 && text.contains(hex)
}

fn no_wrong_pass(family: usize) {
    let (name, other) = FAMILIES[family];
    let host = Host::ready();
    let archive = |name: &str| {
        host.write("image.tar", case(&format!("{name}/image.tar")));
        let output = host.run(&["sign", "--embed", "image.tar"]);
        assert_eq!(output.get_output().status.code(), Some(0), "{name}");
        members(&host.read("image.tar"))
    };
    let (other, good) = (archive(other), archive(name));
    let files: Vec<_> = good.into_iter().filter(|(name, _)| !name.ends_with('/')).collect();
    let links = |member: &&Member| matches!(member.1[156], b'1' | b'2');
    assert_eq!(
        files.iter().filter(links).count() > 0,
        name == "graph-20.10-dup" || name.contains("docker-archive")
    );
    forget(&host);
    host.write("image.tar", tar(&files));
    let (code, report, error) = verify(&host, "image.tar");
    assert_eq!(code, 0, "{name}: {error}");
    let expected = image(&report);
    let damages = damages(&files, &other);
    assert!(damages.len() > 400, "{name}: {}", damages.len());
    let queue = Mutex::new(damages.into_iter().enumerate());
    let (passed, refused) = (Mutex::new(0), Mutex::new(0));
    let work = || {
        while let Some((at, damage)) = { queue.lock().unwrap().next() } {
            let file = format!("{at}.tar");
            host.write(&file, tar(&damage.members));
            let (code, report, error) = verify(&host, &file);
            fs::remove_file(host.path(&file)).unwrap();
            let what = format!("{name}: {}: {code} {error}{report}", damage.what);
            if code == 0 {
                assert_eq!(image(&report), expected, "{what}");
                *passed.lock().unwrap() += 1;
                continue;
            }
            assert!(matches!(code, 10..=13 | 16 | 17 | 20), "{what}");
            assert!(report["verdict"] != "trusted", "{what}");
            if let Some(blob) = damage.blob.filter(|blob| !is_document(blob)) {
                assert!(names(&blob, &format!("{error}{report}")), "{what}");
            }
            *refused.lock().unwrap() += 1;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    let (passed, refused) = (passed.into_inner().unwrap(), refused.into_inner().unwrap());
    assert!(refused > passed && passed > 0, "{name}: {refused} refused, {passed} harmless");
}

fn is_link(member: &Member) -> bool {
    matches!(member.1[156], b'1' | b'2')
}

/// Members that name blobs: what is wrong with them shows in what they name.
fn is_document(member: &str) -> bool {
    let file = member.rsplit('/').next().unwrap();
    matches!(
        file,
        "manifest.json" | "index.json" | "oci-layout" | "repositories" | "json" | "VERSION"
    )
}

#[test]
fn s3_docker_before_25() {
    no_wrong_pass(0);
}

#[test]
fn s3_docker_since_25() {
    no_wrong_pass(1);
}

#[test]
fn s3_podman() {
    no_wrong_pass(2);
}

#[test]
fn s3_containerd() {
    no_wrong_pass(3);
}

#[test]
fn s3_an_index() {
    no_wrong_pass(4);
}

#[test]
fn s3_an_oci_archive() {
    no_wrong_pass(5);
}
