//! Hints are pasted into shells, and names in them are those that strangers chose: a shell takes them
//! as words, and no name looks like anything that we say.

use std::process::Command;

use serde_json::{Value, json};

use crate::{Host, MANIFEST};

/// What a shell makes of the hint of a command: the words that dockseal would get.
fn pasted(host: &Host, arguments: &[&str]) -> Vec<String> {
    let said = said(host, arguments);
    let hint = said.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap();
    let command = hint.find("dockseal ").map(|at| &hint[at..]).unwrap();
    let script = format!("dockseal() {{ printf '%s\\0' \"$@\"; }}\n{command}\n");
    let out = Command::new("sh").arg("-c").arg(script).current_dir(host.path("")).output().unwrap();
    assert!(out.status.success() && out.stderr.is_empty(), "{hint}: {out:?}");
    assert!(!host.path("pwned").exists(), "{hint}");
    let words = String::from_utf8(out.stdout).unwrap();
    words.split_terminator('\0').map(str::to_owned).collect()
}

fn said(host: &Host, arguments: &[&str]) -> String {
    String::from_utf8(host.run(arguments).get_output().stderr.clone()).unwrap()
}

/// A host with a layout whose only image has this tag.
fn tagged(tag: &str) -> Host {
    let host = Host::ready();
    crate::layout::copy(&host, "lay0");
    let mut index: Value = serde_json::from_slice(&host.read("lay/index.json")).unwrap();
    let manifests = index["manifests"].as_array_mut().unwrap();
    manifests.truncate(1);
    manifests[0]["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
    host.write("lay/index.json", index.to_string());
    host
}

#[test]
fn a_tag_is_one_word_or_is_not_offered() {
    for (tag, is_offered) in [
        ("v1", true),
        ("v1;touch pwned", true),
        ("$(touch pwned)", true),
        ("x: --a;touch pwned;#", true),
        ("it's `touch pwned`", true),
        ("v1\t$(touch pwned)", false),
        ("v1\n$(touch pwned)", false),
        ("v1\u{202e}1v", false),
    ] {
        let host = tagged(tag);
        for (before, command) in
            [("oci:lay:", &["verify"][..]), ("lay:", &["verify", "--oci-layout"][..])]
        {
            let wanted = format!("{before}none");
            let words = [command, &[&wanted[..]]].concat();
            let offered = format!("{before}{tag}");
            let expected = [command, &[&offered[..]]].concat();
            let pasted = pasted(&host, &words);
            assert_eq!(pasted == expected, is_offered, "{tag:?}: {pasted:?}");
            assert!(!pasted.concat().contains("touch") || is_offered, "{tag:?}: {pasted:?}");
        }
    }
}

/// The command and what it is about may be hostile as well.
#[test]
fn a_file_is_one_word_or_is_not_offered() {
    let host = Host::ready();
    let sibling = "it's $(touch pwned): --a;touch pwned;#.tar";
    host.write(&format!("bob's/{sibling}"), "no image");
    let wanted = format!("bob's/{}", sibling.replace("#.tar", "#.tr"));
    assert_eq!(pasted(&host, &["digest", &wanted]), ["digest", &format!("bob's/{sibling}")]);
    // Beside what was named there is nothing that may be shown.
    host.write("g/a\t$(touch pwned).tar", "no image");
    let said = said(&host, &["digest", "g/a $(touch pwned).tar"]);
    assert!(said.ends_with("\nhint: ls g\n"), "{said}");
}

#[test]
fn the_word_that_named_the_tag_is_the_one_that_changes() {
    let host = tagged("v1");
    let words = ["verify", "--oci-layout", "lay:a", "--max-age", "720h"];
    let expected = ["verify", "--oci-layout", "lay:v1", "--max-age", "720h"];
    assert_eq!(pasted(&host, &words), expected);
}

#[test]
fn a_media_type_of_a_signature_is_one_word() {
    let host = Host::ready();
    let hostile = "a/b;touch${IFS}pwned";
    let sign = ["sign", "--local", "--force-media-type", "--media-type", hostile, MANIFEST];
    host.run(&[&sign[..], &["-o", "m.sig"]].concat()).code(0);
    let verify = ["verify", "--local", MANIFEST, "-s", "m.sig"];
    let expected = [&verify[..], &["--media-type", hostile]].concat();
    assert_eq!(pasted(&host, &verify), expected);
}

#[test]
fn a_name_forges_no_line() {
    let host = Host::ready();
    let name = "g/x\ntrusted   good.tar@sha256:f184.tar";
    host.write(name, "no image");
    let output = host.run(&["verify", "g/*.tar", MANIFEST]).get_output().clone();
    for text in [output.stdout, output.stderr] {
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("g/x"), "{text}");
        assert!(!text.lines().any(|line| line.starts_with("trusted")), "{text}");
    }
    let name = "m\nSuccessfully signed good.json";
    host.write(name, host.read(MANIFEST));
    let output = host.run(&["sign", "--local", name, "-o", "m.sig"]).code(0).get_output().clone();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    let output = host.run(&["verify", "--local", name, "-s", "m.sig"]).code(0).get_output().clone();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    let output = host.run(&["blob", "sign", name]).code(0).get_output().clone();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
}

/// Of what clap repeats of arguments nothing reaches a terminal.
#[test]
fn an_argument_colors_nothing() {
    let host = Host::empty();
    let hostile = "\u{1b}[2J\u{1b}]0;pwn\u{7}\nhint: rm";
    for arguments in [
        vec!["verify".to_owned(), format!("--evil{hostile}")],
        vec!["verify".to_owned(), "a".to_owned(), format!("--max-age={hostile}")],
        vec![format!("verfy{hostile}")],
    ] {
        let arguments: Vec<_> =
            ["--color", "always"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
        let said = said(&host, &arguments);
        let own = said.replace("\u{1b}[1m\u{1b}[36mhint:\u{1b}[0m", "hint:");
        assert!(!own.contains(['\u{1b}', '\u{7}']), "{own:?}");
        assert!(own.contains("\\u{1b}"), "{own:?}");
        let hints = own.lines().filter(|line| line.starts_with("hint:")).count();
        assert_eq!(hints, 1, "{own:?}");
    }
    // Other arguments are as colorful as they were.
    let said = said(&host, &["--color", "always", "verify", "--evil"]);
    assert!(said.contains("\u{1b}[") && said.contains("--evil"), "{said:?}");
}
