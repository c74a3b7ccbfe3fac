//! Completion: what the program answers, and that the shells' scripts show it.

use std::fs;

use crate::{Host, data};

/// Candidates for the last word, without their descriptions.
fn complete(host: &Host, words: &[&str]) -> Vec<String> {
    let number = words.len().to_string();
    let line = [&["__complete", &number], words].concat();
    let run = host.run(&line).code(0).stderr_eq("");
    let text = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn names_that_the_host_knows() {
    let host = Host::ready();
    host.add_key("rsa2048", &[]);
    host.run(&["sign", "--local", crate::MANIFEST]).code(0);
    for (words, expected) in [
        (&["sign", "--key", ""][..], &["ec256", "rsa2048"][..]),
        (&["sign", "--key", "r"], &["rsa2048"]),
        (&["key", "delete", "ec256", "rsa"], &["rsa2048"]),
        (&["key", "add", "e"], &[]),
        (&["cert", "list", "--store", ""], &["notary"]),
        (&["cert", "delete", "--type", "ca", "--store", "notary", "r"], &["root.crt"]),
        (&["policy", "init", "--trust-store", "ca"], &["ca:notary"]),
        (&["verify", "--policy-name", "a"], &["all"]),
        (&["sign", "net"], &["net-monitor_v1.json"]),
        (&["sign", "oci:con"], &["oci:config/"]),
    ] {
        assert_eq!(complete(&host, words), expected, "{words:?}");
    }
    let cached = complete(&host, &["cache", "remove", "sha256:"]);
    assert!(matches!(&cached[..], [digest] if digest.len() == 71), "{cached:?}");
    let run = host.run(&["__complete", "3", "sign", "--key", "e"]).code(0);
    let text = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    assert!(text.starts_with("ec256\tdefault, ") && text.ends_with("valid/ec256.key\n"), "{text}");
    // What is broken is not completed, and nobody is disturbed.
    host.write("config/signingkeys.json", "{");
    assert_eq!(complete(&host, &["sign", "--key", "e"]), [""; 0]);
}

/// No word makes another command of a question, nor a question of a command.
#[test]
fn questions_are_not_commands() {
    let host = Host::ready();
    host.run(&["__complete", "2", "key", "delete", "ec256"]).code(0);
    host.run(&["__complete"]).code(0).stdout_eq("");
    host.run(&["verify", "__complete"]).code(20).stdout_eq("");
    host.command(&["verify", "nothing"]).env("COMPLETE", "bash").assert().code(20).stdout_eq("");
    assert_eq!(complete(&host, &["sign", "--key", ""]), ["ec256"]);
}

#[cfg(feature = "docker")]
#[test]
fn images_of_the_engine() {
    use crate::engine::{self, Mock};

    let engine = engine::start(Mock::graph("go1.19.8", "graph-20.10-dup"));
    let host = Host::empty();
    let ask = |word: &str, docker: &str| {
        let run = host.command(&["__complete", "2", "manifest", word]).env("DOCKER_HOST", docker);
        String::from_utf8(run.assert().code(0).get_output().stdout.clone()).unwrap()
    };
    let names = "docker-daemon:busybox:1.36\ndocker-daemon:net-monitor:v1\n";
    assert_eq!(ask("docker-daemon:", &engine.host()), names);
    assert_eq!(ask("docker-daemon:b", &engine.host()), "docker-daemon:busybox:1.36\n");
    // An engine elsewhere is not asked, and nobody waits for one that does not answer.
    assert_eq!(ask("docker-daemon:", "tcp://127.0.0.1:1"), "");
    let silent = host.path("silent.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&silent).unwrap();
    assert_eq!(ask("docker-daemon:", &format!("unix://{}", silent.display())), "");
}

#[test]
fn scripts() {
    let host = Host::empty();
    for (shell, words) in [
        ("bash", "complete -o default -o bashdefault -F _dockseal dockseal"),
        ("zsh", "#compdef dockseal"),
        ("fish", "complete --command dockseal"),
        ("powershell", "Register-ArgumentCompleter -Native -CommandName dockseal"),
        ("elvish", "edit:completion:arg-completer[dockseal]"),
    ] {
        let run = host.run(&["completion", shell]).code(0).stderr_eq("");
        let script = String::from_utf8(run.get_output().stdout.clone()).unwrap();
        assert!(script.contains(words), "{shell}");
    }
}

/// A host with the program in its PATH, and a script for a shell.
fn with_script(shell: &str) -> Host {
    let host = Host::ready();
    for end in ["key", "chain.crt"] {
        fs::copy(data(&format!("valid/rsa2048.{end}")), host.path(end)).unwrap();
    }
    let line = ["key", "add", "a key", "--key-file", "key", "--cert-file", "chain.crt"];
    host.run(&line).code(0);
    fs::create_dir(host.path("bin")).unwrap();
    std::os::unix::fs::symlink(snapbox::cmd::cargo_bin!("dockseal"), host.path("bin/dockseal"))
        .unwrap();
    let script = host.run(&["completion", shell]).code(0).get_output().stdout.clone();
    host.write("script", script);
    host
}

fn shell(host: &Host, program: &str, options: &[&str], text: &str) -> String {
    host.write("test", text);
    let mut command = std::process::Command::new(program);
    let path = format!("{}:/usr/bin:/bin", host.path("bin").display());
    command.args(options).arg("test").current_dir(host.path("")).env_clear();
    command.env("PATH", path).env("NOTATION_CONFIG", "config").env("HOME", host.path(""));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{program}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn in_bash() {
    let host = with_script("bash");
    let text = r#"
compopt() { printf 'compopt %s\n' "$*"; }
ask() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _dockseal dockseal "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '<%s>\n' "${COMPREPLY[@]}"
}
. ./script
ask dockseal sign --key e
ask dockseal sign --key a
ask dockseal sign --key nothing
ask dockseal manifest oci
# As bash-completion does it: words with colons are one.
_get_comp_words_by_ref() { cur=oci:conf words=(dockseal manifest oci:conf) cword=2; }
ask dockseal manifest oci : conf
"#;
    let expected = "<ec256>\n<a\\ key>\n<>\n<oci-archive:>\n<oci:>\n<config/>\n";
    let said = shell(&host, "bash", &["--norc"], text);
    let (notes, candidates): (Vec<_>, Vec<_>) =
        said.lines().partition(|line| line.starts_with("compopt"));
    assert_eq!(candidates.join("\n") + "\n", expected);
    assert_eq!(notes, ["compopt -o nospace"; 2]);
}

#[test]
#[ignore = "needs fish; scripts/test installs and runs it"]
fn in_fish() {
    let host = with_script("fish");
    let text = "source script
complete --do-complete 'dockseal sign --key '
complete --do-complete 'dockseal manifest oci:conf'
complete --do-complete 'dockseal verify net'
complete --do-complete 'dockseal manifest ~/net'
";
    let said = shell(&host, "fish", &["--no-config"], text);
    let names: Vec<_> = said.lines().filter_map(|line| line.split('\t').next()).collect();
    let monitor = "net-monitor_v1.json";
    assert_eq!(names, ["ec256", "a key", "oci:config/", monitor, &format!("~/{monitor}")]);
}

#[test]
#[ignore = "needs zsh; scripts/test installs and runs it"]
fn in_zsh() {
    let host = with_script("zsh");
    // compadd belongs to the line editor; here it says what it is given.
    let text = r#"
compdef() { print -r -- "compdef $*" }
compadd() {
    local name=${@[-1]} suffix=''
    [[ $1 != -S ]] || suffix=' without a space'
    for value in ${(P)name}; do print -r -- "<$value>$suffix"; done
}
_files() { print -r -- files }
. ./script
ask() { words=("$@") CURRENT=$# PREFIX=${@[-1]}; _dockseal }
ask dockseal sign --key ''
ask dockseal manifest oci:conf
ask dockseal sign --key nothing
"#;
    let said = shell(&host, "zsh", &["-f"], text);
    let expected =
        "compdef _dockseal dockseal\n<ec256>\n<a key>\n<oci:config/> without a space\nfiles\n";
    assert_eq!(said, expected);
}
