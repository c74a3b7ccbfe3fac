//! What is left when a writer is killed, and when many write at once.
//!
//! strace kills dockseal on entering one system call after the other, so that every state that the
//! files go through is the last one of some run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use snapbox::cmd::cargo_bin;

use crate::parity::{copy_unsigned, notation_accepts};
use crate::tools::can_trace;
use crate::tsa::Tsa;
use crate::{Host, MANIFEST};

/// Calls that change files, or which one is changed. `?`: not every architecture has it.
const CALLS: &str = "?open,openat,?mkdir,mkdirat,write,?pwrite64,?writev,fchmod,?chmod,fchmodat,fsync,\
                     fdatasync,ftruncate,flock,?rename,renameat,?renameat2,?link,linkat,?unlink,\
                     unlinkat,close";

/// The calls of a run from the first file it creates on, name and the how manieth of that name, and
/// whether files have no name here while they are written.
fn calls(host: &Host, arguments: &[&str]) -> (Vec<(String, usize)>, bool) {
    let (status, trace) = host.trace(&["-e", &format!("trace={CALLS}")], arguments);
    assert_eq!(status, Some(0), "{trace:#?}");
    let mut counts = BTreeMap::new();
    let mut calls = Vec::new();
    for line in &trace {
        let call = line.split_whitespace().nth(1).unwrap().split('(').next().unwrap();
        let count = counts.entry(call).or_default();
        *count += 1;
        let creates = line.contains("O_CREAT") || line.contains("O_TMPFILE");
        if !calls.is_empty() || creates {
            calls.push((call.to_owned(), *count));
        }
    }
    (calls, trace.iter().any(|line| line.contains("O_TMPFILE") && !line.contains(" = -1")))
}

/// The temporary names in a directory and below it.
fn temporary(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        if entry.file_name().as_encoded_bytes().starts_with(b".dockseal-") {
            found.push(entry.path());
        }
        if entry.file_type().unwrap().is_dir() {
            found.extend(temporary(&entry.path()));
        }
    }
    found
}

/// Runs a command once for each of its calls, killed there. `prepare` lays the files out anew,
/// `check` looks at what is left.
fn killed_everywhere(host: &Host, arguments: &[&str], prepare: &dyn Fn(), check: &dyn Fn(&str)) {
    prepare();
    let (calls, are_unnamed) = calls(host, arguments);
    for needed in [&["open"][..], &["write"], &["fsync"], &["rename", "link"]] {
        let is_needed = |call: &str| needed.iter().any(|it| call.starts_with(it));
        assert!(calls.iter().any(|(call, _)| is_needed(call)), "{calls:?}");
    }
    for (call, number) in calls {
        temporary(&host.path("")).iter().for_each(|path| fs::remove_file(path).unwrap());
        prepare();
        let inject = format!("inject={call}:signal=SIGKILL:when={number}");
        let (status, _) = host.trace(&["-e", &inject], arguments);
        assert_eq!(status, None, "{call} {number}: not killed");
        // What replaces a file has a name for the time between two calls, the second a rename.
        if are_unnamed && !call.starts_with("rename") {
            assert_eq!(temporary(&host.path("")), [""; 0].map(PathBuf::from), "{call} {number}");
        }
        check(&format!("killed at {call} {number}"));
    }
}

/// Digests of the signatures in a layout, as it lists them.
fn signatures(host: &Host, layout: &str) -> Vec<String> {
    let output = host.run(&["--format", "json", "list", "--oci-layout", layout]).code(0);
    let document: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let list = document["signatures"].as_array().unwrap();
    list.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Makes `to` a copy of `from`, whatever was there.
fn restore(host: &Host, from: &str, to: &str) {
    let _ = fs::remove_dir_all(host.path(to));
    copy_tree(&host.path(from), &host.path(to));
}

#[test]
fn a_layout_survives_a_killed_writer() {
    if !can_trace() {
        return;
    }
    let host = Host::ready();
    copy_unsigned(&host, "before");
    for format in ["jws", "cose"] {
        let sign = ["sign", "--oci-layout", "--signature-format", format, "before:v1"];
        host.run(&sign).code(0);
    }
    let before = signatures(&host, "before:v1");
    assert_eq!(before.len(), 2);
    let oracle = std::env::var_os("NOTATION_BIN");
    // notation 1.3 knows but this name.
    fs::copy(host.path("config/trustpolicy.oci.json"), host.path("config/trustpolicy.json"))
        .unwrap();
    let sign = ["sign", "--oci-layout", "lay:v1"];
    killed_everywhere(&host, &sign, &|| restore(&host, "before", "lay"), &|point| {
        let left = signatures(&host, "lay:v1");
        assert!(before.iter().all(|it| left.contains(it)), "{point}: {left:?}");
        assert!(left.len() <= 3, "{point}: {left:?}");
        host.run(&["verify", "--oci-layout", "--scope", "local/x", "lay:v1"]).code(0);
        if let Some(binary) = &oracle {
            assert!(notation_accepts(Path::new(binary), &host, "lay:v1"), "{point}");
        }
        // What the killed one left behind does not disturb the next.
        host.run(&sign).code(0);
        assert_eq!(signatures(&host, "lay:v1").len(), left.len() + 1, "{point}");
    });
}

/// Containers may know files without a name and not let one name them.
#[test]
fn what_can_not_be_named_is_copied() {
    if !can_trace() {
        return;
    }
    let host = Host::ready();
    copy_unsigned(&host, "lay");
    for error in ["EPERM", "ENOENT", "EXDEV", "ENOSYS"] {
        let inject = format!("inject=linkat:error={error}");
        for sign in [&["sign", "--oci-layout", "lay:v1"][..], &["sign", "--local", MANIFEST]] {
            let (status, trace) = host.trace(&["-e", &inject], sign);
            assert_eq!(status, Some(0), "{error}: {trace:#?}");
        }
    }
    assert_eq!(signatures(&host, "lay:v1").len(), 4);
    host.run(&["verify", "--oci-layout", "lay:v1"]).code(0);
    host.run(&["verify", "--local", MANIFEST]).code(0);
    assert_eq!(temporary(&host.path("")), [""; 0].map(PathBuf::from));
}

/// Whenever a timestamp is attached and it stops, the signature is there with or without it.
#[test]
fn a_layout_survives_a_killed_timestamp() {
    if !can_trace() {
        return;
    }
    let host = Host::ready();
    let tsa = Tsa::new(&host);
    host.run(&["cert", "add", "-t", "tsa", "-s", "lab", "tsa/root.crt"]).code(0);
    copy_unsigned(&host, "before");
    host.run(&["sign", "--oci-layout", "before:v1"]).code(0);
    host.run(&["sign", "--oci-layout", "before:v1"]).code(0);
    let before = signatures(&host, "before:v1");
    let only = ["--only", &before[0]];
    let request = ["timestamp", "request", "--oci-layout", "before:v1", "-o", "a.tsq"];
    host.run(&[&request[..], &only].concat()).code(0);
    tsa.answer_file("a.tsq", "a.tsr");
    let attach = ["timestamp", "attach", "--oci-layout", "lay:v1", "a.tsr"];
    killed_everywhere(&host, &attach, &|| restore(&host, "before", "lay"), &|point| {
        let left = signatures(&host, "lay:v1");
        assert!(left.contains(&before[1]), "{point}: {left:?}");
        assert!((2..=3).contains(&left.len()), "{point}: {left:?}");
        let with = left.iter().find(|it| !before.contains(it));
        match with {
            Some(with) => {
                let verify = ["timestamp", "verify", "--oci-layout", "lay:v1", "--only", with];
                host.run(&verify).code(0);
            }
            None => assert_eq!(left, before, "{point}"),
        }
        host.run(&["verify", "--oci-layout", "lay:v1"]).code(0);
    });
}

#[test]
fn an_archive_survives_a_killed_writer() {
    if !can_trace() {
        return;
    }
    for name in ["graph-20.10-dup", "containerd-28-dup"] {
        let host = Host::ready();
        host.write("before.tar", crate::archive::case(&format!("{name}/image.tar")));
        host.run(&["sign", "--embed", "before.tar"]).code(0);
        let list = |point: &str| {
            let output = host.run(&["--format", "json", "list", "image.tar"]);
            let output = output.get_output();
            assert_eq!(output.status.code(), Some(0), "{point}");
            let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            document["signatures"].as_array().unwrap().len()
        };
        let before = host.read("before.tar");
        // One thread that remembers nothing: the calls are the same every time.
        let sign = ["sign", "--embed", "--no-cache", "--jobs", "1", "image.tar"];
        killed_everywhere(&host, &sign, &|| host.write("image.tar", &before), &|point| {
            let left = host.read("image.tar");
            // The old archive or the new one: nothing between them.
            let count = list(point);
            assert!(count == 1 && left == before || count == 2, "{name} {point}");
            host.run(&["verify", "image.tar"]).code(0);
            host.run(&sign).code(0);
            assert_eq!(list(point), count + 1, "{name} {point}");
            // What the killed writer left beside the archive is gone.
            let beside = fs::read_dir(host.path("")).unwrap().map(Result::unwrap);
            let is_left = |name: &str| name.starts_with(".dockseal-");
            assert!(!beside.into_iter().any(|it| is_left(it.file_name().to_str().unwrap())));
        });
    }
}

#[test]
fn a_signature_file_is_there_whole_or_not_at_all() {
    if !can_trace() {
        return;
    }
    let host = Host::ready();
    host.run(&["sign", "--local", "-o", "before.sig", MANIFEST]).code(0);
    let before = host.read("before.sig");
    let sign = ["sign", "--local", "-o", "a.sig", MANIFEST];
    killed_everywhere(&host, &sign, &|| host.write("a.sig", &before), &|point| {
        assert!(!host.read("a.sig").is_empty(), "{point}");
        host.run(&["verify", "--local", "-s", "a.sig", MANIFEST]).code(0);
    });
}

#[test]
fn the_cache_survives_a_killed_writer() {
    if !can_trace() {
        return;
    }
    let host = Host::ready();
    host.run(&["sign", "--local", MANIFEST]).code(0);
    copy_tree(&host.path("cache"), &host.path("before"));
    let sign = ["sign", "--local", MANIFEST];
    killed_everywhere(&host, &sign, &|| restore(&host, "before", "cache"), &|point| {
        let verify = host.run(&["verify", "--local", MANIFEST]);
        assert_eq!(verify.get_output().status.code(), Some(0), "{point}");
        host.run(&sign).code(0);
        host.run(&["verify", "--local", MANIFEST]).code(0);
    });
}

#[test]
fn twenty_concurrent_runs_leave_twenty_signatures() {
    let host = Host::ready();
    copy_unsigned(&host, "lay");
    let runs: Vec<_> = (0..20)
        .map(|_| {
            Command::new(cargo_bin!("dockseal"))
                .args(["sign", "--quiet", "--oci-layout", "lay:v1"])
                .current_dir(host.path(""))
                .env("NOTATION_CONFIG", "config")
                .env("NOTATION_CACHE", "cache")
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    let mut found = signatures(&host, "lay:v1");
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 20);
    host.run(&["verify", "--oci-layout", "lay:v1"]).code(0);
}

/// Whenever an import stops, verifying says what it said before, or what the kit makes of it, or
/// that it is undecided; and then it can be ended.
#[test]
fn a_host_survives_a_killed_import_of_a_kit() {
    use crate::kit::{FIRST, NEXT, VERIFY, export, receiver, sender};

    if !can_trace() {
        return;
    }
    let sender = sender();
    let host = receiver(&sender);
    sender.policy(r#""permissive""#);
    host.write("kit.tar", export(&sender, "1", &[]));
    host.run(&FIRST).code(0);
    restore(&host, "config", "before");
    sender.run(&["cert", "delete", "-y", "-t", "ca", "-s", "notary", "--all"]).code(0);
    fs::copy(crate::data("valid/root.crt"), sender.path("again.crt")).unwrap();
    sender.run(&["cert", "add", "-t", "ca", "-s", "notary", "again.crt"]).code(0);
    sender.policy(r#""strict""#);
    host.write("kit.tar", export(&sender, "2", &[]));
    let level = |host: &Host| {
        let output = host.run(&VERIFY);
        let output = output.get_output();
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        match (output.status.code(), talk.contains("undecided")) {
            (Some(0), _) if talk.contains("(permissive)") => "before",
            (Some(0), _) if talk.contains("(strict)") => "after",
            (Some(12), true) => "undecided",
            _ => panic!("{:?}: {talk}", output.status),
        }
    };
    let mut seen = std::collections::BTreeSet::new();
    // Each run is on its own state, so what was seen is collected outside.
    let seen = std::cell::RefCell::new(&mut seen);
    killed_everywhere(&host, &NEXT, &|| restore(&host, "before", "config"), &|point| {
        let found = level(&host);
        seen.borrow_mut().insert(found);
        if found == "undecided" {
            host.run(&["kit", "resume"]).code(0);
            assert_eq!(level(&host), "after", "{point}");
        }
        host.run(&NEXT).code(0);
        assert_eq!(level(&host), "after", "{point}");
        let store = fs::read_dir(host.path("config/truststore/x509/ca/notary")).unwrap();
        assert_eq!(store.count(), 1, "{point}");
    });
    let seen = seen.into_inner();
    assert_eq!(seen.iter().copied().collect::<Vec<_>>(), ["after", "before", "undecided"]);
}
