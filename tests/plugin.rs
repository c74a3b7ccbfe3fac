//! The docker CLI plugin by its protocol, called as docker calls it.
//!
//! docker itself is a script where its answers matter; the engine lab has the real one.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::io::Read as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PLUGIN: &str = env!("CARGO_BIN_EXE_docker-generate");

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/docker").join(name)
}

/// A host whose `docker` is a script.
struct Host(tempfile::TempDir);

impl Host {
    fn new(docker: &str) -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        let path = host.0.path().join("docker");
        fs::write(&path, format!("#!/bin/sh\necho \"$@\" >> {}\n{docker}", host.log().display()))
            .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        host
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("log")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PLUGIN);
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.0.path())
            .env("PATH", format!("{}:/usr/bin:/bin", self.0.path().display()))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// An engine that was built with this Go and saves this case.
fn engine(go: &str, case_name: &str) -> String {
    let archive = case(case_name).join("image.tar");
    format!(
        r#"case "$*" in
*version*) echo '{{"Components":[{{"Name":"Engine","Details":{{"GoVersion":"{go}"}}}}]}}' ;;
*save*) cat {} ;;
esac
"#,
        archive.display()
    )
}

#[test]
fn metadata_touches_nothing() {
    let host = Host::new("exit 1");
    let output = host.run(&["docker-cli-plugin-metadata"]);
    assert!(output.status.success());
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(metadata["SchemaVersion"], "0.1.0");
    assert!(!host.log().exists(), "docker was asked");
}

#[test]
fn help_in_all_spellings() {
    let host = Host::new("exit 1");
    for arguments in [
        &["generate", "--help"][..],
        &["help", "generate"],
        &["generate", "manifest", "--help"],
        &["-D", "generate", "--help"],
    ] {
        let output = host.run(arguments);
        assert!(output.status.success(), "{arguments:?}");
        assert!(text(&output.stdout).contains("manifest"), "{arguments:?}");
    }
    assert_eq!(host.run(&["generate", "nonsense"]).status.code(), Some(1));
}

#[test]
fn version_in_all_places() {
    let host = Host::new("exit 1");
    let expected = format!("docker-generate {}\n", env!("CARGO_PKG_VERSION"));
    for arguments in [
        &["-v"][..],
        &["generate", "-v"],
        &["generate", "--version"],
        &["-D", "generate", "manifest", "--version"],
    ] {
        let output = host.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout), expected, "{arguments:?}");
    }
}

#[test]
fn completion_as_cobra() {
    let host = Host::new("printf 'app:1\\napp:2\\n<none>:<none>\\n'");
    let complete = |words: &[&str]| text(&host.run(words).stdout);
    assert!(complete(&["__complete", "generate", "ma"]).starts_with("manifest\t"));
    assert_eq!(complete(&["__completeNoDesc", "generate", ""]), "manifest\n:4\n");
    assert_eq!(complete(&["__complete", "generate", "manifest", "ap"]), "app:1\napp:2\n:4\n");
    let broken = Host::new("exit 1");
    assert_eq!(text(&broken.run(&["__complete", "generate", "manifest", ""]).stdout), ":0\n");
    // The engine that the options name is asked.
    host.run(&["__complete", "generate", "manifest", "--context", "ctx", ""]);
    assert!(fs::read_to_string(host.log()).unwrap().contains("--context=ctx image ls"));
}

#[test]
fn an_image_of_the_engine_with_the_engines_encoder() {
    for (go, name) in [("go1.19.8", "graph-20.10-dup"), ("go1.27.1", "graph-28.5-go1.27-dup")] {
        let host = Host::new(&engine(go, name));
        let output = host.run(&["-c", "ctx", "generate", "manifest", "lab/dup:1"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(output.stdout, fs::read(case(name).join("pushed-manifest.json")).unwrap());
        assert_eq!(text(&output.stderr), "", "{go}: nothing was assumed");
        let log = fs::read_to_string(host.log()).unwrap();
        assert!(log.contains("--context=ctx save lab/dup:1"), "globals are passed on: {log}");
    }
}

#[test]
fn an_engine_that_fails_leaves_no_output() {
    let whole = case("graph-20.10-dup").join("image.tar");
    for (script, what) in [
        ("echo 'no such image' >&2; exit 1".to_owned(), "docker save failed"),
        (format!("cat {}; exit 1", whole.display()), "docker save failed"),
        (format!("head -c 5000 {}", whole.display()), "truncated"),
        (engine("go1.28.0", "graph-20.10-dup"), "go1.28"),
        (engine("devel", "graph-20.10-dup"), "devel"),
        ("echo '{\"Components\":[{\"Name\":\"Podman Engine\"}]}'".to_owned(), "podman"),
    ] {
        let host = Host::new(&script);
        let output = host.run(&["generate", "manifest", "x", "-o", "out.json"]);
        assert_eq!(output.status.code(), Some(1), "{what}");
        assert!(text(&output.stderr).contains(what), "{what}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty());
        assert!(!Path::new("out.json").exists());
    }
}

#[test]
fn the_user_interrupts() {
    let name = format!("docker_cli_test_{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    // An engine that never answers.
    let host = Host::new("case \"$*\" in *save*) exec sleep 600 ;; esac");
    let mut child = host
        .command(&["generate", "manifest", "x"])
        .env("DOCKER_CLI_PLUGIN_SOCKET", format!("@{name}"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (socket, _) = listener.accept().unwrap();
    drop(socket);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    // Its docker may hold the pipe of stderr, but not that of stdout.
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!(out, "");
}

/// docker finds the plugin, lists it, passes on globals, stdin and exit status. The engine is one
/// that is not there: only the client's part is tested here.
#[test]
#[ignore = "needs the docker client; scripts/test runs it where there is one"]
fn the_real_docker_client() {
    let config = tempfile::tempdir().unwrap();
    let plugins = config.path().join("cli-plugins");
    fs::create_dir(&plugins).unwrap();
    std::os::unix::fs::symlink(PLUGIN, plugins.join("docker-generate")).unwrap();
    let docker = |arguments: &[&str], stdin: Stdio| {
        Command::new("docker")
            .args(arguments)
            .env("DOCKER_CONFIG", config.path())
            .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
            .env("HOME", config.path())
            .env_remove("DOCKER_CONTEXT")
            .stdin(stdin)
            .output()
            .unwrap()
    };
    let said = |arguments: &[&str]| {
        let output = docker(arguments, Stdio::null());
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    assert!(said(&["--help"]).contains("generate*"), "the plugin is listed");
    assert!(said(&["help", "generate"]).contains("manifest"));
    assert!(said(&["generate", "manifest", "--help"]).contains("--go-gzip"));
    assert!(said(&["generate", "--version"]).starts_with("docker-generate "));
    assert!(said(&["__complete", "generate", "ma"]).starts_with("manifest\t"));
    let archive = || fs::File::open(case("graph-20.10-dup").join("image.tar")).unwrap();
    let pushed = fs::read(case("graph-20.10-dup").join("pushed-manifest.json")).unwrap();
    for globals in [&[][..], &["-D", "--log-level", "warn"], &["--tls=false"]] {
        let line = [globals, &["generate", "manifest"]].concat();
        let output = docker(&line, archive().into());
        assert!(output.status.success(), "{globals:?}: {}", text(&output.stderr));
        assert_eq!(output.stdout, pushed, "{globals:?}");
    }
    let damaged = fs::File::open(case("malformed-diffid-mismatch").join("image.tar")).unwrap();
    let output = docker(&["generate", "manifest"], damaged.into());
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    // Without an engine docker's own message stands on stderr.
    let output = docker(&["generate", "manifest", "app:1"], Stdio::null());
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(text(&output.stderr).contains("docker save failed"), "{}", text(&output.stderr));
}

#[test]
fn a_socket_that_is_gone_is_no_reason_to_stop() {
    let host = Host::new(&engine("go1.19.8", "graph-20.10-dup"));
    let output = host
        .command(&["manifest", "x"])
        .env("DOCKER_CLI_PLUGIN_SOCKET", "@nobody-listens-here")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}
