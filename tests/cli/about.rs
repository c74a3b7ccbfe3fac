//! What the program says about itself, wrong usage, and every exit code that archives can cause.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use snapbox::str;

use crate::{Host, MANIFEST};

fn archive(case: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/docker").join(case);
    path.join("image.tar").to_str().unwrap().to_owned()
}

#[test]
fn help_ends_with_the_exit_codes() {
    let host = Host::empty();
    let help = host.run(&["--help"]).code(0).stderr_eq("").get_output().stdout.clone();
    let help = String::from_utf8(help).unwrap();
    let (_, codes) = help.split_once("\n\nExit codes:\n").unwrap();
    snapbox::assert_data_eq!(
        codes,
        str![[r#"
   0  done, verified
   1  internal error; as a docker plugin or notation every failure
   2  wrong usage
  10  no signature
  11  signature invalid
  12  not trusted: policy, trust store, identity
  13  content does not match; the blob is named
  14  expired, or not yet valid
  15  revoked, or unknown where the policy insists
  16  archive, manifest or envelope malformed or ambiguous
  17  the pushed manifest can't be determined; the message says what would settle it
  20  store, file or image unavailable

"#]]
    );
    let manifest = host.run(&["help", "manifest"]).code(0).get_output().stdout.clone();
    assert!(String::from_utf8(manifest).unwrap().contains("dockseal manifest [OPTIONS] <SOURCE>"));
}

#[test]
fn version() {
    let host = Host::empty();
    host.run(&["version"]).code(0).stderr_eq("").stdout_eq(str![[r#"
dockseal [..]
gzip generations: go1.8 (Go 1.8 to 1.26), go1.27
network code: containerd-socket, docker-engine, timestamp-authority
features: [..]
build: [..]-linux-[..], [..], [..]

"#]]);
    host.run(&["version", "--format", "json"]).code(0).stderr_eq("").stdout_eq(str![[r#"
{
  "schemaVersion": 1,
  "version": "[..]",
  "goGzip": [
    "go1.8",
    "go1.27"
  ],
  "networkCode": [
    "containerd-socket",
    "docker-engine",
    "timestamp-authority"
  ],
  "features": [
...
  ],
  "target": "[..]-linux-[..]",
  "linking": "[..]",
  "profile": "[..]"
}

"#]]);
    let document = host.run(&["version", "--format", "json"]).get_output().stdout.clone();
    let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
    let listed = document["features"].as_array().unwrap();
    for (name, is_built_in) in [
        ("containerd-grpc", cfg!(feature = "containerd-grpc")),
        ("docker", cfg!(feature = "docker")),
        ("pkcs11", cfg!(feature = "pkcs11")),
        ("timestamp-client", cfg!(feature = "timestamp-client")),
    ] {
        assert_eq!(listed.iter().any(|it| it == name), is_built_in, "{name}");
    }
}

#[test]
fn wrong_usage() {
    let host = Host::empty();
    host.run(&["manfest"]).code(2).stdout_eq("").stderr_eq(str![[r#"
error: unrecognized subcommand 'manfest'

  tip: some similar subcommands exist: 'man', 'manifest'

Usage: dockseal [OPTIONS] <COMMAND>
hint: dockseal --help

"#]]);
    for line in [
        &[][..],
        &["manifest"],
        &["manifest", "--nonsense", "x"],
        &["manifest", "docker-archive:"],
        &["manifest", "--platform", "///", "x"],
        &["manifest", "--go-gzip", "go9", "x"],
        &["--color", "blue", "version"],
        &["-q", "-v", "version"],
        &["completion", "ksh"],
        &["manifest", "docker-archive:x.tar:a:1", "--image", "b:1"],
    ] {
        let run = host.run(line).code(2).stdout_eq("");
        assert!(!run.get_output().stderr.is_empty(), "{line:?}");
    }
}

/// Each of them says what, where, and how to go on; nothing is on stdout.
#[test]
fn exit_codes_of_archives() {
    let host = Host::empty();
    host.run(&["manifest", &archive("malformed-diffid-mismatch")])
        .code(13)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: [..]/malformed-diffid-mismatch/image.tar: layer [..] does not match: expected sha256:[..], found sha256:[..]
hint: the archive is damaged or was altered; save it anew: docker save IMAGE -o image.tar

"#]]);
    host.run(&["manifest", &archive("malformed-dup-manifest-json")])
        .code(16)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: [..]/malformed-dup-manifest-json/image.tar: two members of the archive are named "manifest.json"
hint: save it anew: docker save IMAGE -o image.tar

"#]]);
    host.run(&["manifest", &archive("containerd-29-partial-index")])
        .code(17)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: [..]/containerd-29-partial-index/image.tar: what a push would send can't be determined: sha256:[..] needs content that is not in the archive (sha256:[..], sha256:[..]); docker 27 and newer push the one complete platform instead, linux/amd64 (sha256:[..]), docker 24 to 26 refuse
hint: name the platform to push: dockseal manifest [REPO]/testdata/docker/containerd-29-partial-index/image.tar --platform linux/amd64

"#]]);
    host.run(&["manifest", "nothing.tar"]).code(20).stdout_eq("").stderr_eq(str![[r#"
error: nothing.tar: No such file or directory (os error 2)
hint: ls .

"#]]);
    host.run(&["manifest", "app:1.5"]).code(20).stdout_eq("").stderr_eq(str![[r#"
error: app:1.5: No such file or directory (os error 2)
hint: dockseal manifest docker-daemon:app:1.5

"#]]);
    let same = host.path("same.tar");
    fs::copy(archive("graph-20.10-dup"), &same).unwrap();
    host.run(&["manifest", "same.tar", "-o", "./same.tar"]).code(2).stdout_eq("");
    assert_eq!(fs::read(&same).unwrap(), fs::read(archive("graph-20.10-dup")).unwrap());
}

#[test]
fn a_reader_that_went_away_had_enough() {
    let host = Host::empty();
    for line in [&["manifest", &archive("graph-20.10-dup")][..], &["completion", "bash"]] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let output = Command::new(snapbox::cmd::cargo_bin!("dockseal"))
            .args(line)
            .env_clear()
            .current_dir(host.path(""))
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && !stderr.contains("error"), "{line:?}: {stderr}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = Command::new(snapbox::cmd::cargo_bin!("dockseal"))
        .arg("version")
        .stdout(full)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn colors_are_for_terminals_or_on_demand() {
    let host = Host::empty();
    let stderr = |more: &[&str]| {
        let line = [&["manifest", "app:1"], more].concat();
        let run = host.command(&line).env("TERM", "xterm").assert().code(20);
        String::from_utf8(run.get_output().stderr.clone()).unwrap()
    };
    assert!(stderr(&[]).starts_with("error: "));
    assert!(stderr(&["--color", "never"]).starts_with("error: "));
    let colored = stderr(&["--color", "always"]);
    assert!(colored.starts_with("\u{1b}[") && colored.contains("hint:\u{1b}[0m "), "{colored:?}");
}

/// The verdict can be seen at a glance, on stdout too; what is piped is plain.
#[test]
fn verdicts_are_colored() {
    const GREEN: &str = "\u{1b}[1m\u{1b}[32m";
    const YELLOW: &str = "\u{1b}[1m\u{1b}[33m";
    const RED: &str = "\u{1b}[1m\u{1b}[31m";
    const CYAN: &str = "\u{1b}[1m\u{1b}[36m";
    const END: &str = "\u{1b}[0m";
    let host = Host::ready();
    host.write("image.tar", fs::read(archive("containerd-28-gzl")).unwrap());
    host.write("other.tar", fs::read(archive("containerd-28-dup")).unwrap());
    host.run(&["sign", "image.tar", "-o", "a.sig"]).code(0);
    // Both streams as a terminal has them.
    let said = |line: &[&str], color: &str, code: i32| {
        let line = [line, &["--color", color]].concat();
        let run = host.command(&line).env("DOCKER_HOST", "unix:///nonexistent.sock");
        let run = run.env("TERM", "xterm").env("NO_COLOR", "1").stderr_to_stdout();
        String::from_utf8(run.assert().code(code).get_output().stdout.clone()).unwrap()
    };
    let verify = &["verify", "image.tar", "-s", "a.sig"][..];
    let denied = &["verify", "other.tar", "-s", "a.sig"][..];
    let many = &["verify", "image.tar", "other.tar", "-s", "a.sig"][..];
    for (line, code, parts) in [
        (verify, 0, vec![format!("{GREEN}Successfully verified signature{END} for image.tar@")]),
        (denied, 13, vec![format!("{RED}error:{END} content"), format!("{CYAN}hint:{END} ")]),
        (
            many,
            13,
            vec![
                format!("{GREEN}trusted  {END} image.tar@"),
                format!("{RED}denied   {END} other.tar\n"),
            ],
        ),
        (
            &["verify", "image.tar", "-s", "a.sig", "--explain"],
            0,
            vec![format!("{GREEN}trusted{END}: image.tar@")],
        ),
        (
            &["doctor"],
            0,
            vec![
                format!("{GREEN}ok      {END} clock: "),
                format!("{YELLOW}warning {END} keys: "),
                format!("{CYAN}         hint:{END} chmod "),
                "note     containerd: ".to_owned(),
            ],
        ),
        (&["version", "--help"], 0, vec!["\u{1b}[1m".to_owned()]),
    ] {
        let colored = said(line, "always", code);
        for part in parts {
            assert!(colored.contains(&part), "{line:?}: {part:?}: {colored:?}");
        }
        for when in ["never", "auto"] {
            let plain = said(line, when, code);
            assert!(!plain.contains('\u{1b}'), "{line:?} {when}: {plain:?}");
        }
    }
    host.policy(r#""permissive""#);
    assert!(said(verify, "always", 0).contains(&format!("{YELLOW}warning:{END} ")));
    // Programs get no colors.
    let json = said(&["-q", "verify", "image.tar", "-s", "a.sig", "--format=json"], "always", 0);
    assert!(json.ends_with("\n}\n") && !json.contains("\u{1b}[1m\u{1b}[32m"), "{json:?}");
}

#[test]
fn manual_pages() {
    use std::os::unix::fs::PermissionsExt as _;

    let host = Host::empty();
    host.run(&["man", "share/man1"]).code(0).stdout_eq("");
    let pages: BTreeSet<String> = fs::read_dir(host.path("share/man1"))
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    for page in ["dockseal.1", "dockseal-manifest.1", "dockseal-cert-generate-test.1"] {
        assert!(pages.contains(page), "{pages:?}");
    }
    let topics = fs::read_dir(host.path("share/man7")).unwrap();
    let topics: Vec<_> = topics.map(|page| page.unwrap().file_name()).collect();
    assert_eq!(topics.len(), 8, "{topics:?}");
    let page = fs::read_to_string(host.path("share/man7/dockseal-exit-codes.7")).unwrap();
    assert!(
        page.starts_with(".TH dockseal\\-exit\\-codes 7 ") && page.contains("  13  content"),
        "{page}"
    );
    let page = fs::read_to_string(host.path("share/man1/dockseal.1")).unwrap();
    assert!(page.contains("Exit codes:") && page.contains("content does not match"), "{page}");
    // Pages that root installs are for everybody.
    for (page, words) in [
        ("docker-generate.1", "docker generate"),
        ("docker-generate-manifest.1", "Image of the engine"),
        ("dockseal-containerd-verifier.1", "containerd"),
    ] {
        let text = fs::read_to_string(host.path("share/man1").join(page)).unwrap();
        assert!(text.contains(words), "{page}: {text}");
    }
    let mode = |name: &str| fs::metadata(host.path(name)).unwrap().permissions().mode();
    assert_eq!(mode("share/man1/dockseal.1") & 0o777, 0o644);
    assert_ne!(mode("share/man1") & 0o070, 0);
    host.run(&["man", MANIFEST]).code(20).stdout_eq("");
}
