//! The docker CLI plugin by its protocol, called as docker calls it.
//!
//! docker itself is a script, and its engine a mock, where answers matter that a real one does not
//! give; the engine lab has the real ones.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::io::Read as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

#[expect(dead_code, reason = "the plugin loads nothing")]
mod engine;

use engine::{End, Mock};

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
    let silent = Host::new("exec sleep 600");
    assert_eq!(text(&silent.run(&["__complete", "generate", "manifest", ""]).stdout), ":0\n");
    // The engine that the options name is asked.
    host.run(&["__complete", "generate", "manifest", "--context", "ctx", ""]);
    assert!(fs::read_to_string(host.log()).unwrap().contains("--context=ctx image ls"));
}

#[test]
fn an_image_of_the_engine_with_the_engines_encoder() {
    for (go, name) in [("go1.19.8", "graph-20.10-dup"), ("go1.27.1", "graph-28.5-go1.27-dup")] {
        let engine = engine::start(Mock::graph(go, name));
        // No docker is run: the engine is asked over its socket, as the options say.
        let host = Host::new("exit 1");
        let output = host.run(&["-H", &engine.host(), "generate", "manifest", "lab/dup:1"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(output.stdout, fs::read(case(name).join("pushed-manifest.json")).unwrap());
        assert_eq!(text(&output.stderr), "", "{go}: nothing was assumed");
        assert!(!host.log().exists());
        let requests = engine.requests().join(" ");
        let expected =
            "/version /v1.41/info /v1.41/images/lab/dup:1/json /v1.41/images/lab/dup:1/get";
        assert_eq!(requests, expected);
    }
}

#[test]
fn an_engine_that_fails_leaves_no_output() {
    let whole = || Mock::graph("go1.19.8", "graph-20.10-dup");
    let mut podman = whole();
    podman.version = serde_json::json!({
        "ApiVersion": "1.41", "Components": [{"Name": "Podman Engine", "Version": "5.4.2"}],
    });
    for (mock, what) in [
        (Mock { image: None, ..whole() }, "no such image: lab/dup:1"),
        (Mock { end: End::Broken(100_000), ..whole() }, "docker save: "),
        (Mock { end: End::Broken(0), ..whole() }, "docker save: "),
        (Mock { end: End::Short(5000), ..whole() }, "truncated"),
        (Mock::graph("go1.28.0", "graph-20.10-dup"), "go1.28"),
        (Mock::graph("devel", "graph-20.10-dup"), "devel"),
        (podman, "podman"),
    ] {
        let engine = engine::start(mock);
        let host = Host::new("exit 1");
        let line = ["-H", &engine.host(), "generate", "manifest", "lab/dup:1", "-o", "out.json"];
        let output = host.run(&line);
        assert_eq!(output.status.code(), Some(1), "{what}");
        assert!(text(&output.stderr).contains(what), "{what}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty());
        assert!(!Path::new("out.json").exists());
    }
}

/// Whatever is wrong, one line says how to go on, in docker's words.
#[test]
fn hints_are_command_lines_of_docker() {
    let engine = engine::start(Mock { image: None, ..Mock::graph("go1.19.8", "graph-20.10-dup") });
    let engine = engine.host();
    let help = "docker generate manifest --help";
    for (line, archive, said, hint) in [
        (&[][..], None, "Usage: docker ", help),
        (&["generate"], None, "manifest  Print", help),
        (&["generate", "manfest"], None, "a similar subcommand exists: 'manifest'", help),
        (&["generate", "manifest", "--bogus"], None, "unexpected argument '--bogus'", help),
        (&["generate", "manifest", "a", "b"], None, "unexpected argument 'b'", help),
        (&["generate", "manifest", "A B"], None, "invalid image reference \"A B\"", help),
        (
            &["generate", "manifest"],
            None,
            "the archive is empty",
            "the tool that wrote the archive failed; save it anew: docker save IMAGE -o image.tar",
        ),
        (
            &["-H", &engine, "generate", "manifest", "net-monitr:v1"],
            None,
            "no such image: net-monitr:v1\n  similar names: net-monitor:v1\n",
            &format!("docker -H {engine} generate manifest net-monitor:v1"),
        ),
        (
            &["-H", &engine, "generate", "manifest", "x"],
            None,
            "no such image: x",
            "docker image ls",
        ),
        (
            &["generate", "manifest", "--platform", "linux/s390x"],
            Some("containerd-28-gzl"),
            "no platform linux/s390x",
            "choose one: docker generate manifest --platform linux/amd64",
        ),
        (
            &["manifest"],
            Some("containerd-29-partial-index"),
            "can't be determined",
            "name the platform to push: docker-generate manifest --platform linux/amd64",
        ),
        (
            &["generate", "manifest", "-o", "none/m.json"],
            Some("containerd-28-gzl"),
            "none/m.json: No such file",
            "mkdir -p none",
        ),
        (&["generate", "manifest", "x", "--image", "y"], None, "the image is named twice", help),
    ] {
        let host = Host::new("exit 1");
        let mut command = host.command(line);
        if let Some(name) = archive {
            command.stdin(fs::File::open(case(name).join("image.tar")).unwrap());
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{line:?}");
        assert!(output.stdout.is_empty(), "{line:?}");
        let stderr = text(&output.stderr);
        assert!(stderr.contains(said), "{line:?}: {stderr}");
        assert_eq!(stderr.lines().last(), Some(&*format!("hint: {hint}")), "{line:?}: {stderr}");
        assert_eq!(stderr.matches("hint: ").count(), 1, "{line:?}: {stderr}");
        assert!(!stderr.contains("For more information"), "{line:?}: {stderr}");
    }
}

#[test]
fn docker_dials_where_the_plugin_can_not() {
    // The docker of this host connects with nothing, but it is asked as the options say.
    for (globals, dial) in [
        (&["-H", "npipe:////./pipe/docker_engine"][..], "--host=npipe:////./pipe/docker_engine"),
        (&["-D", "-H", "strange://x"], "--host=strange://x --debug=true"),
    ] {
        let host = Host::new("exit 1");
        let output = host.run(&[globals, &["generate", "manifest", "x"]].concat());
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        let log = fs::read_to_string(host.log()).unwrap();
        assert_eq!(log.trim(), format!("{dial} system dial-stdio"));
    }
    let host = Host::new("exit 1");
    let mut command = host.command(&["generate", "manifest", "x"]);
    command.env("DOCKER_CLI_PLUGIN_USE_DIAL_STDIO", "1").output().unwrap();
    assert_eq!(fs::read_to_string(host.log()).unwrap().trim(), "system dial-stdio");
}

#[test]
fn the_user_interrupts() {
    let name = format!("docker_cli_test_{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    let host = Host::new("exit 1");
    // An engine that never answers.
    let socket = host.0.path().join("docker.sock");
    let _engine = UnixListener::bind(&socket).unwrap();
    let url = format!("unix://{}", socket.display());
    let mut child = host
        .command(&["-H", &url, "generate", "manifest", "x"])
        .env("DOCKER_CLI_PLUGIN_SOCKET", format!("@{name}"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (socket, _) = listener.accept().unwrap();
    drop(socket);
    assert_eq!(child.wait().unwrap().code(), Some(1));
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
    assert!(said(&["__complete", "generate", "manifest", "--go"]).starts_with("--go-gzip\t"));
    assert_eq!(
        said(&["__complete", "generate", "manifest", "--go-gzip", ""]),
        "go1.8\ngo1.27\n:4\n"
    );
    let engine = engine::start(Mock::graph("go1.19.8", "graph-20.10-dup"));
    // docker leaves out options that stand before the plugin's name.
    assert_eq!(
        said(&["__complete", "generate", "manifest", "-H", &engine.host(), ""]),
        "busybox:1.36\nnet-monitor:v1\n:4\n"
    );
    // No engine, no names: the shell is left to itself.
    assert_eq!(said(&["__complete", "generate", "manifest", ""]), ":0\n");
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
    // DOCKER_HOST counts for the plugin too.
    let output = docker(&["generate", "manifest", "app:1"], Stdio::null());
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(
        text(&output.stderr).contains("unix:///nonexistent/docker.sock"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_socket_that_is_gone_is_no_reason_to_stop() {
    let engine = engine::start(Mock::graph("go1.19.8", "graph-20.10-dup"));
    let host = Host::new("exit 1");
    let output = host
        .command(&["manifest", "x"])
        .env("DOCKER_HOST", engine.host())
        .env("DOCKER_CLI_PLUGIN_SOCKET", "@nobody-listens-here")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}
