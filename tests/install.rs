//! `scripts/install`: what it puts where, what it refuses, and that nothing of it stays behind.

#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const DOCKSEAL: &str = env!("CARGO_BIN_EXE_dockseal");

/// A directory to install into, `prefix`, and the home of a user.
struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        for name in ["prefix/share", "home", "bin"] {
            fs::create_dir_all(host.path(name)).unwrap();
        }
        // Small programs, for all that isn't about running the real ones: copying those takes long.
        for name in ["dockseal", "docker-generate", "dockseal-containerd-verifier"] {
            host.write(&format!("bin/{name}"), &format!("#!/bin/sh\nexec {DOCKSEAL} \"$@\"\n"));
            fs::set_permissions(host.path("bin").join(name), fs::Permissions::from_mode(0o755))
                .unwrap();
        }
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", std::env::var_os("PATH").unwrap())
            .current_dir(self.0.path());
        command
    }

    fn script(&self, arguments: &[&str]) -> Command {
        self.command(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/install"), arguments)
    }

    /// Installs into the prefix, and expects an exit status.
    fn install(&self, arguments: &[&str], status: i32) -> Output {
        let (prefix, bin) = (self.path("prefix"), self.path("bin"));
        let places = ["--prefix", prefix.to_str().unwrap(), "--bin-dir", bin.to_str().unwrap()];
        finish(&mut self.script(&[&places, arguments].concat()), status)
    }

    fn tree(&self) -> BTreeMap<PathBuf, String> {
        let mut tree = BTreeMap::new();
        entries(self.0.path(), &mut tree);
        tree
    }
}

/// What is below a directory: links, files and directories.
fn entries(directory: &Path, tree: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        let what = if kind.is_symlink() {
            format!("-> {}", fs::read_link(&path).unwrap().display())
        } else if kind.is_dir() {
            entries(&path, tree);
            "directory".to_owned()
        } else {
            String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()
        };
        tree.insert(path, what);
    }
}

fn finish(command: &mut Command, status: i32) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{command:?}: {}", text(&output.stderr));
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn nothing_stays_behind() {
    let host = Host::new();
    let before = host.tree();
    let said = text(&host.install(&["--dry-run"], 0).stdout);
    assert!(said.contains("would install ") && said.contains("/prefix/bin/dockseal\n"), "{said}");
    assert_eq!(host.tree(), before);

    host.install(&[], 0);
    for name in [
        "bin/dockseal",
        "bin/docker-generate",
        "bin/dockseal-containerd-verifier",
        "share/man/man1/dockseal.1",
        "share/man/man1/dockseal-verify.1",
        "share/man/man1/docker-generate-manifest.1",
        "share/man/man7/dockseal-sources.7",
        "share/bash-completion/completions/dockseal",
        "share/zsh/site-functions/_dockseal",
        "share/fish/vendor_completions.d/dockseal.fish",
        "share/doc/dockseal/LICENSE",
        "share/dockseal/installed",
    ] {
        let mode = fs::metadata(host.path("prefix").join(name)).unwrap().permissions().mode();
        let expected = if name.starts_with("bin/") { 0o755 } else { 0o644 };
        assert_eq!(mode & 0o777, expected, "{name}");
    }
    let plugin = host.path("prefix/libexec/docker/cli-plugins/docker-generate");
    let program = host.path("prefix/bin/docker-generate");
    assert_eq!(plugin.canonicalize().unwrap(), program.canonicalize().unwrap());
    // A second time changes nothing.
    let installed = host.tree();
    host.install(&[], 0);
    assert_eq!(host.tree(), installed);

    host.install(&["--uninstall", "--dry-run"], 0);
    assert_eq!(host.tree(), installed);
    host.install(&["--uninstall"], 0);
    assert_eq!(host.tree(), before);
    assert!(text(&host.install(&["--uninstall"], 1).stderr).contains("nothing to remove"));
}

/// Also what was installed by the script and replaced since is somebody else's.
#[test]
fn files_of_others_are_never_replaced() {
    let host = Host::new();
    let plugin = "prefix/libexec/docker/cli-plugins/docker-generate";
    host.write(plugin, "another plugin");
    let before = host.tree();
    let said = text(&host.install(&[], 1).stderr);
    assert!(said.contains("--force replaces them") && said.contains(plugin), "{said}");
    assert_eq!(host.tree(), before);
    host.install(&["--force"], 0);
    assert!(host.path(plugin).is_symlink());

    fs::remove_file(host.path(plugin)).unwrap();
    symlink("/nonexistent", host.path(plugin)).unwrap();
    host.write("prefix/share/man/man1/dockseal.1", "changed");
    host.write("prefix/share/zsh/site-functions/_other", "another");
    let before = host.tree();
    host.install(&[], 1);
    assert_eq!(host.tree(), before);
    let said = text(&host.install(&["--uninstall"], 0).stderr);
    assert_eq!(said.matches("left alone").count(), 2, "{said}");
    let left: Vec<_> = host.tree().into_keys().filter(|path| !path.is_dir()).collect();
    let prefix = left.iter().filter(|path| path.starts_with(host.path("prefix")));
    assert_eq!(
        prefix.collect::<Vec<_>>(),
        [
            &host.path(plugin),
            &host.path("prefix/share/man/man1/dockseal.1"),
            &host.path("prefix/share/zsh/site-functions/_other"),
        ]
    );
    // A file where a directory has to be, and the other way round.
    let host = Host::new();
    host.write("prefix/share/zsh", "");
    let before = host.tree();
    host.install(&["--force"], 1);
    assert_eq!(host.tree(), before);
    fs::create_dir_all(host.path("prefix/bin/dockseal")).unwrap();
    let said = text(&host.install(&["--force"], 1).stderr);
    assert!(said.contains("a directory: "), "{said}");
}

/// What a later version no longer has goes, and an interruption can be undone.
#[test]
fn an_earlier_installation_is_replaced() {
    let host = Host::new();
    let before = host.tree();
    host.install(&[], 0);
    let list = "prefix/share/dockseal/installed";
    let page = host.path("prefix/share/man/man1/dockseal-gone.1");
    fs::copy(host.path("prefix/share/man/man1/dockseal.1"), &page).unwrap();
    let text = fs::read_to_string(host.path(list)).unwrap();
    let line = text.lines().find(|line| line.ends_with("/dockseal.1")).unwrap();
    host.write(list, &format!("{}\n{text}", line.replace("dockseal.1", "dockseal-gone.1")));
    host.write("bin/dockseal", &format!("#!/bin/sh\n# newer\nexec {DOCKSEAL} \"$@\"\n"));
    host.install(&[], 0);
    assert!(!page.exists());
    assert!(fs::read_to_string(host.path("prefix/bin/dockseal")).unwrap().contains("# newer"));

    // The disk is full when the verifier is to be copied: it ends in the middle.
    host.write("bin/dockseal", &format!("#!/bin/sh\n# newest\nexec {DOCKSEAL} \"$@\"\n"));
    host.write("bin/dockseal-containerd-verifier", "#!/bin/sh\n# newest\n");
    let full = "#!/bin/sh\n/bin/cp \"$@\" || exit\ncase $* in *verifier*) exit 1 ;; esac\n";
    host.write("full/cp", full);
    fs::set_permissions(host.path("full/cp"), fs::Permissions::from_mode(0o755)).unwrap();
    let (prefix, bin) = (host.path("prefix"), host.path("bin"));
    let line = ["--prefix", prefix.to_str().unwrap(), "--bin-dir", bin.to_str().unwrap()];
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", host.path("full").display());
    finish(host.script(&line).env("PATH", path), 1);
    let read = |name: &str| fs::read_to_string(host.path(name)).unwrap();
    assert!(read("prefix/bin/dockseal").contains("# newest"));
    assert!(!read("prefix/bin/dockseal-containerd-verifier").contains("# newest"));
    fs::remove_dir_all(host.path("full")).unwrap();
    host.install(&["--uninstall"], 0);
    let mut after = host.tree();
    let mut expected = before;
    for tree in [&mut after, &mut expected] {
        tree.retain(|path, _| !path.starts_with(host.path("bin")));
    }
    assert_eq!(after, expected);
}

/// As packages are made: nothing knows of the directory in which it was put together.
#[test]
fn below_another_root() {
    let host = Host::new();
    let bin = host.path("bin");
    let line = ["--prefix", "/usr", "--bin-dir", bin.to_str().unwrap(), "--containerd-verifier"];
    let with = |arguments: &[&str]| {
        let mut command = host.script(arguments);
        command.env("DESTDIR", host.path("root"));
        finish(&mut command, 0)
    };
    with(&line);
    let list = fs::read_to_string(host.path("root/usr/share/dockseal/installed")).unwrap();
    assert!(!list.contains(host.0.path().to_str().unwrap()), "{list}");
    let plugin = host.path("root/usr/libexec/docker/cli-plugins/docker-generate");
    assert_eq!(fs::read_link(plugin).unwrap(), Path::new("../../../bin/docker-generate"));
    let verifiers = host.path("root/opt/containerd/image-verifier/bin");
    let names: Vec<_> =
        fs::read_dir(&verifiers).unwrap().map(|it| it.unwrap().file_name()).collect();
    // containerd runs whatever lies there.
    assert_eq!(names, ["dockseal-containerd-verifier"]);
    let said = text(&with(&["--prefix", "/usr", "--uninstall"]).stderr);
    assert!(said.contains("allows every image"), "{said}");
    assert!(!host.path("root").exists() || host.tree().keys().all(|it| !it.ends_with("usr")));
}

#[test]
fn wrong_usage() {
    let host = Host::new();
    for line in [&["--nonsense"][..], &["--prefix"], &["--user", "--prefix", "/x"]] {
        finish(&mut host.script(line), 2);
    }
    for line in [&["--prefix", "relative"][..], &["--user", "--containerd-verifier"]] {
        finish(&mut host.script(line), 1);
    }
    let said = text(&host.install(&["--bin-dir", "/nonexistent"], 1).stderr);
    assert!(said.contains("no program /nonexistent/dockseal"), "{said}");
}

/// The programs themselves, installed for a user, under docker's own client.
#[test]
#[ignore = "needs the docker client; scripts/test runs it where there is one"]
fn docker_finds_the_plugin() {
    let host = Host::new();
    let before = host.tree();
    let bin = Path::new(DOCKSEAL).parent().unwrap();
    let line = ["--user", "--bin-dir", bin.to_str().unwrap()];
    finish(&mut host.script(&line), 0);
    let program = host.path("home/.local/bin/dockseal");
    let said = finish(&mut host.command(program.to_str().unwrap(), &["version"]), 0).stdout;
    assert!(text(&said).starts_with("dockseal "));
    let docker = |arguments: &[&str]| {
        let mut command = host.command("docker", arguments);
        command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
        text(&finish(&mut command, 0).stdout)
    };
    assert!(docker(&["--help"]).contains("generate*"));
    assert!(docker(&["generate", "manifest", "--help"]).contains("--go-gzip"));
    finish(&mut host.script(&["--user", "--uninstall"]), 0);
    assert!(!docker(&["--help"]).contains("generate*"));
    assert_eq!(host.tree(), before);
}
