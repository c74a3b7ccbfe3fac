//! The same cases through the commands: `dockseal manifest FILE`, `dockseal manifest -`, and
//! `docker-generate manifest` with the archive on standard input.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use dockseal::image::digest::Digest;

use crate::fixtures::{Case, Outcome};
use crate::{MALFORMED, build, testdata};

const DOCKSEAL: &str = env!("CARGO_BIN_EXE_dockseal");
const PLUGIN: &str = env!("CARGO_BIN_EXE_docker-generate");

/// Runs a command on an empty host, with this file as standard input.
fn run(program: &str, arguments: &[&str], stdin: Option<&Path>) -> Output {
    let host = tempfile::tempdir().unwrap();
    let stdin = stdin.map_or_else(Stdio::null, |path| File::open(path).unwrap().into());
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("HOME", host.path())
        .current_dir(host.path())
        .stdin(stdin)
        .output()
        .unwrap();
    let left: Vec<_> = fs::read_dir(host.path()).unwrap().map(|it| it.unwrap().path()).collect();
    let is_cache = |path: &Path| path.ends_with(".cache");
    assert!(left.iter().all(|path| is_cache(path)), "{arguments:?} left {left:?}");
    output
}

fn check(case: &Case, output: &Output, plugin: bool) {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    let code = output.status.code().unwrap();
    let name = &case.name;
    match &case.outcome {
        Outcome::Manifest(digest) => {
            assert_eq!(code, 0, "{name}: {stderr}");
            assert_eq!(Digest::sha256(&output.stdout), *digest, "{name}: {stderr}");
            if let Some(pushed) = case.pushed() {
                assert_eq!(output.stdout, pushed, "{name}");
            }
        }
        Outcome::Refused(expected, text) => {
            // docker passes on 0 or 1.
            let expected = if plugin { 1 } else { i32::from(*expected) };
            assert_eq!(code, expected, "{name}: {stderr}");
            assert!(output.stdout.is_empty(), "{name}: nothing on stdout");
            assert!(stderr.contains(text), "{name}: {stderr}");
            assert!(!stderr.contains("panicked"), "{name}: {stderr}");
        }
    }
}

#[test]
fn the_commands_give_what_was_pushed() {
    for case in Case::all() {
        let archive = case.archive();
        let more: Vec<&str> = case.arguments.iter().map(String::as_str).collect();
        let file = [&["manifest", archive.to_str().unwrap()], more.as_slice()].concat();
        check(&case, &run(DOCKSEAL, &file, None), false);
        let stdin = [&["manifest", "-"], more.as_slice()].concat();
        check(&case, &run(DOCKSEAL, &stdin, Some(&archive)), false);
        let plugin = [&["manifest"], more.as_slice()].concat();
        check(&case, &run(PLUGIN, &plugin, Some(&archive)), true);
    }
}

#[test]
fn an_output_file_appears_only_when_all_is_well() {
    let host = tempfile::tempdir().unwrap();
    let output = host.path().join("manifest.json");
    let to = ["--output", output.to_str().unwrap()];
    let good = testdata("graph-20.10-dup/image.tar");
    let run_to = |archive: &Path| {
        run(DOCKSEAL, &[&["manifest", archive.to_str().unwrap()], &to[..]].concat(), None)
    };
    assert_eq!(run_to(&testdata("malformed-diffid-mismatch/image.tar")).status.code(), Some(13));
    assert_eq!(fs::read_dir(host.path()).unwrap().count(), 0, "nothing is left");
    let done = run_to(&good);
    assert!(done.status.success() && done.stdout.is_empty());
    let pushed = fs::read(testdata("graph-20.10-dup/pushed-manifest.json")).unwrap();
    assert_eq!(fs::read(&output).unwrap(), pushed);
}

/// Refusals say what to do, where that is known.
#[test]
fn hints() {
    let host = tempfile::tempdir().unwrap();
    let root_filesystem = build::Tar::default()
        .file(".dockerenv", b"")
        .file("etc/hostname", b"x")
        .file("usr/bin/env", b"x")
        .finish();
    let whole = build::docker().tar();
    for (name, bytes, code, message) in [
        ("export.tar", &root_filesystem[..], MALFORMED, "a root filesystem, as `docker export`"),
        ("empty.tar", b"", MALFORMED, "the archive is empty"),
        ("truncated.tar", &whole[..2000], MALFORMED, "truncated"),
    ] {
        let path = host.path().join(name);
        fs::write(&path, bytes).unwrap();
        let output = run(DOCKSEAL, &["manifest", path.to_str().unwrap()], None);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(i32::from(code)), "{stderr}");
        assert!(output.stdout.is_empty());
        assert!(stderr.contains(message) && stderr.contains("hint:"), "{stderr}");
    }
    let missing = host.path().join("nothing.tar");
    let output = run(DOCKSEAL, &["manifest", missing.to_str().unwrap()], None);
    assert_eq!(output.status.code(), Some(i32::from(crate::UNAVAILABLE)));
    assert!(String::from_utf8(output.stderr).unwrap().contains("nothing.tar"));
}
