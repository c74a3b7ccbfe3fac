//! The commands of one document, run in one shell, and what came of them.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};

use snapbox::Data;

use super::document::{Command, Document, Kind};
use super::{binaries, root};

/// Each step is evaluated by the same shell, so that directories and variables stay.
const DRIVER: &str = r#"
for __step in "$STEPS"/*.sh; do
    exec >"${__step%.sh}.out" 2>&1
    eval "$(<"$__step")"
    echo "$?" >"${__step%.sh}.status"
done
"#;

/// Where a user's own settings would be, or where an engine would be found.
const FOREIGN: [&str; 16] = [
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "NOTATION_CACHE",
    "NOTATION_CONFIG",
    "NOTATION_LIBEXEC",
    "NOTATION_EXPERIMENTAL",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_TLS_VERIFY",
    "CONTAINERD_NAMESPACE",
    "CTR",
    "DOCKSEAL",
    "DOCKSEAL_BIN_DIR",
    "DOCKSEAL_VERIFIER_ROOT",
    "BASH_ENV",
];

/// A step that did not go as the document says.
struct Wrong<'a> {
    command: Option<&'a Command>,
    output: String,
    code: Option<i32>,
    reason: String,
}

/// Runs what needs no more than `have`; the error is what the document says otherwise. With
/// `DOCKSEAL_DOCS_UPDATE` set, what commands say is written into the document, too.
pub(crate) fn run(document: &Document, have: &BTreeSet<String>) -> Result<(), String> {
    let scratch = tempfile::tempdir().unwrap();
    let steps = scratch.path().join("steps");
    fs::create_dir(&steps).unwrap();
    let mut commands: Vec<(usize, Option<&Command>)> = Vec::new();
    for item in document.items.iter().filter(|item| item.needs.is_subset(have)) {
        let mut step = |text: &str, command| {
            let number = commands.len();
            fs::write(steps.join(format!("{number:04}.sh")), text).unwrap();
            commands.push((number, command));
        };
        match &item.kind {
            Kind::Preparation(text) => step(&format!("set -e\n{text}\nset +e"), None),
            Kind::File { name, content } => {
                let data = steps.join(format!("{}.data", name.replace('/', "_")));
                fs::write(&data, content).unwrap();
                step(&format!("cp '{}' '{name}'", data.display()), None);
            }
            Kind::Commands(all) => all.iter().for_each(|it| step(&it.text, Some(it))),
        }
    }
    shell(scratch.path(), have);
    let mut wrong = Vec::new();
    for (number, command) in commands {
        let result = |kind| fs::read_to_string(steps.join(format!("{number:04}.{kind}")));
        let home = scratch.path().join("home");
        let output = result("out").unwrap_or_default().replace(home.to_str().unwrap(), "~");
        let code = result("status").ok().and_then(|it| it.trim().parse::<i32>().ok());
        if let Err(reason) = judge(command, &output, code) {
            let line = command.map_or(0, |command| command.line);
            let text = result("sh").unwrap();
            let reason = format!("{}:{line}: {text}\n{reason}", document.path);
            wrong.push(Wrong { command, output, code, reason });
        }
    }
    if env::var_os("DOCKSEAL_DOCS_UPDATE").is_some_and(|it| !it.is_empty()) {
        update(document, &wrong);
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(wrong.iter().map(|it| it.reason.as_str()).collect::<Vec<_>>().join("\n\n"))
}

/// In a home and a working directory of its own, with these programs first on the path, and no engine
/// that was not asked for.
fn shell(scratch: &Path, have: &BTreeSet<String>) {
    let (home, work) = (scratch.join("home"), scratch.join("work"));
    fs::create_dir(&home).unwrap();
    fs::create_dir(&work).unwrap();
    let mut shell = process::Command::new("bash");
    shell.args(["-c", DRIVER]).current_dir(&work).stdin(Stdio::null());
    for name in FOREIGN {
        shell.env_remove(name);
    }
    let path = env::var("PATH").unwrap();
    shell
        .env("PATH", format!("{}:{path}", binaries().display()))
        .env("HOME", &home)
        .env("STEPS", scratch.join("steps"))
        .env("REPOSITORY", root())
        .env("TESTDATA", root().join("testdata"))
        .env("LC_ALL", "C.UTF-8");
    if !have.contains("docker") {
        shell.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    }
    if !have.contains("containerd") {
        shell.env("CONTAINERD_ADDRESS", "/nonexistent/containerd.sock");
    }
    // What is built is installed here, with the toolchain and the crates that are there.
    let own = |name| PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(name);
    for (name, directory) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        shell.env(name, env::var_os(name).map_or_else(|| own(directory), PathBuf::from));
    }
    if env::var_os("CARGO_TARGET_DIR").is_none() {
        shell.env("CARGO_TARGET_DIR", root().join("target"));
    }
    shell.env("CARGO_INSTALL_ROOT", home.join(".cargo"));
    // This repository may be somebody else's, and is cloned all the same.
    shell
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*");
    shell.stdout(Stdio::null()).status().unwrap();
}

/// Whether a step went as it should; one that is no command has to succeed.
fn judge(command: Option<&Command>, output: &str, code: Option<i32>) -> Result<(), String> {
    let expected = command.map_or(0, |command| command.code);
    let Some(code) = code else { return Err(format!("the shell ended here:\n{output}")) };
    if code != expected {
        return Err(format!("exit code {code} instead of {expected}:\n{output}"));
    }
    let shown = command.map_or_else(String::new, |command| command.output.join("\n"));
    if shown.is_empty() {
        return Ok(());
    }
    let (actual, shown) = (output.trim_end().to_owned(), shown.trim_end().to_owned());
    snapbox::Assert::new()
        .try_eq(Some(&"what it says"), Data::text(actual), Data::text(shown))
        .map_err(|difference| difference.to_string())
}

/// Puts what the commands say where the document says something else.
fn update(document: &Document, wrong: &[Wrong<'_>]) {
    let path = root().join(&document.path);
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    for Wrong { command, output, code, .. } in wrong.iter().rev() {
        let Some(command) = command else { continue };
        let begin = command.line - 1 + command.text.lines().count();
        let end = begin + command.output.len() + usize::from(command.code != 0);
        let said = output.trim_end().lines().map(str::to_owned);
        let code = code.filter(|&it| it != 0).map(|it| format!("(exit code {it})"));
        lines.splice(begin..end, said.chain(code));
    }
    fs::write(&path, lines.join("\n") + "\n").unwrap();
}
