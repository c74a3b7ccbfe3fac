//! The house of src/lib.rs holds: who may use whom, and which file alone names which crate.
//!
//! The sources are scanned, not compiled: comments and strings are left out, `use crate::{a, b}` is
//! taken apart, and `#[cfg(test)]` modules and files of tests (`tests.rs`, `*_tests.rs`,
//! `testing.rs`) are held to the rooms' rules only where their room is production code too.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each room may use, as in src/lib.rs. An entry with `::` allows only what is below it.
const ROOMS: [(&str, &[&str]); 15] = [
    ("gogzip", &[]),
    ("progress", &[]),
    ("fsutil", &[]),
    ("image", &[]),
    ("content", &["image", "progress", "fsutil"]),
    ("signature", &["image", "fsutil"]),
    ("plugin", &["signature", "image", "fsutil"]),
    ("trust", &["signature::x509", "fsutil", "image"]),
    ("store", &["image", "content", "progress", "fsutil"]),
    ("generate", &["content", "gogzip", "image", "progress", "fsutil"]),
    ("load", &["generate", "content", "gogzip", "image", "progress", "fsutil"]),
    ("doctor", &["content", "signature", "plugin", "trust", "image", "fsutil"]),
    ("kit", &["content", "signature::x509", "trust", "store", "image", "fsutil"]),
    ("sign", &["content", "signature", "store", "image", "progress", "fsutil"]),
    (
        "verify",
        &["content", "signature", "plugin", "trust", "store", "image", "progress", "fsutil"],
    ),
];

/// Crates that one file alone names, or one module, so that they can be replaced by rewriting it.
const ALONE: [(&str, &str); 18] = [
    ("glob", "cli/many/targets.rs"),
    ("quick_xml", "cli/many/junit.rs"),
    ("saphyr_parser", "cli/many/yaml.rs"),
    ("semver", "plugin/protocol.rs"),
    ("zip", "plugin/archive.rs"),
    ("containerd_client", "content/containerd/grpc.rs"),
    ("toml", "content/containerd/config.rs"),
    ("tonic", "content/containerd/grpc.rs"),
    ("aws_lc_rs", "signature/crypto.rs"),
    ("sha2", "image/digest.rs"),
    ("bollard", "content/docker/client.rs"),
    ("coset", "signature/envelope/cose.rs"),
    ("indicatif", "cli/progress_bar.rs"),
    ("flate2", "content/archive/compression.rs"),
    ("zstd", "content/archive/compression.rs"),
    ("liblzma", "content/archive/compression.rs"),
    ("bzip2", "content/archive/compression.rs"),
    ("ureq", "cli/tsa_client.rs"),
];

/// Exceptions in production code: file, what it names, and why.
const EXCEPTIONS: [(&str, &str, &str); 3] = [
    ("plugin/process.rs", "std::process", "plugins are programs"),
    ("plugin/error.rs", "std::process", "how a program ended"),
    ("plugin/archive.rs", "flate2", "plugins come in .tar.gz, which no limits of images fit"),
];

/// Printing and the process belong to the command line.
const CLI_ONLY: [&str; 9] = [
    "std::env",
    "std::process",
    "env::var",
    "env::args",
    "process::exit",
    "println!",
    "eprintln!",
    "print!",
    "eprint!",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All files below src: path from there, and the text without comments, strings and test modules.
fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut directories = vec![source()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let name = path.strip_prefix(source()).unwrap().to_str().unwrap().to_owned();
                if !is_test(&name) {
                    files.push((name, code(&fs::read_to_string(&path).unwrap())));
                }
            }
        }
    }
    files.sort();
    assert!(files.len() > 50, "{} files", files.len());
    files
}

/// Files that are compiled for tests only.
fn is_test(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap();
    matches!(file, "tests.rs" | "testing.rs") || file.ends_with("_tests.rs")
}

/// The room of a file: the first part of its path.
fn room(name: &str) -> &str {
    let first = name.split('/').next().unwrap();
    first.strip_suffix(".rs").unwrap_or(first)
}

/// The code without comments, string contents and `#[cfg(test)]` modules.
fn code(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if next == '"' {
            string(rest)
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\") {
            rest[2..].find('\'').map_or(rest.len(), |at| at + 3)
        } else {
            out.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        };
        out.push(' ');
        rest = &rest[skipped..];
    }
    match out.find("#[cfg(test)]\nmod tests {") {
        Some(at) => out[..at].to_owned(),
        None => out,
    }
}

/// Length of the raw string that `text` starts with.
fn raw_string(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('r')?;
    let hashes = inner.len() - inner.trim_start_matches('#').len();
    let body = inner[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(2 + hashes + body.find(&end)? + end.len())
}

/// Length of the string that `text` starts with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Paths from the crate's root that are named: `crate::a::{b, c}` is `a::b` and `a::c`.
fn crate_paths(code: &str) -> BTreeSet<String> {
    let compact: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let compact = compact.replace(" ::", "::").replace(":: ", "::");
    let mut paths = BTreeSet::new();
    for (at, _) in compact.match_indices("crate::") {
        let before = compact[..at].chars().next_back();
        if before.is_some_and(|it| it.is_alphanumeric() || it == '_') {
            continue;
        }
        expand("", &compact[at + "crate::".len()..], &mut paths);
    }
    paths
}

/// Expands a path and its braces; the rest of `text`.
fn expand<'a>(prefix: &str, text: &'a str, paths: &mut BTreeSet<String>) -> &'a str {
    let Some(mut rest) = text.trim_start().strip_prefix('{') else {
        let end = text.find(|it: char| !(it.is_alphanumeric() || it == '_')).unwrap_or(text.len());
        let path = if prefix.is_empty() {
            text[..end].to_owned()
        } else {
            format!("{prefix}::{}", &text[..end])
        };
        if let Some(deeper) = text[end..].strip_prefix("::") {
            return expand(&path, deeper, paths);
        }
        paths.insert(path);
        return &text[end..];
    };
    loop {
        rest = expand(prefix, rest.trim_start(), paths).trim_start();
        rest = match rest.chars().next() {
            Some(',') => rest[1..].trim_start(),
            Some('}') => return &rest[1..],
            // `as name`, or code that this reader doesn't know: go on behind the next separator.
            Some(_) => match rest.find([',', '}']) {
                Some(at) => &rest[at..],
                None => return "",
            },
            None => return "",
        };
        if let Some(after) = rest.strip_prefix('}') {
            return after;
        }
    }
}

/// What a file of a room must not name.
fn forbidden(file: &str, code: &str) -> Vec<String> {
    let room = room(file);
    let allowed = ROOMS.iter().find(|(name, _)| *name == room).map(|(_, allowed)| *allowed);
    let Some(allowed) = allowed else { return Vec::new() };
    let is_allowed = |path: &str| {
        let below = |it: &str| path == it || path.starts_with(&format!("{it}::"));
        below(room) || allowed.iter().any(|it| below(it))
    };
    crate_paths(code).into_iter().filter(|path| !is_allowed(path)).collect()
}

/// Whether `code` names the word, as a whole.
fn names(code: &str, word: &str) -> bool {
    let is_word = |it: Option<char>| it.is_some_and(|it| it.is_alphanumeric() || it == '_');
    code.match_indices(word).any(|(at, _)| {
        let after = &code[at + word.len()..];
        !is_word(code[..at].chars().next_back())
            && (word.ends_with('!') || !is_word(after.chars().next()))
    })
}

/// Whether `code` names the crate: in a path, or in a `use`.
fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        // `image::zstd::x` is a path of ours, `::zstd::x` is not.
        let is_part = |it: Option<char>| it.is_some_and(|it| it.is_alphanumeric() || it == '_');
        let inner = match code[..at].strip_suffix("::") {
            Some(parent) => is_part(parent.chars().next_back()),
            None => is_part(before),
        };
        let after = &code[at + name.len()..];
        let used =
            code[..at].ends_with("use ") && (after.starts_with(';') || after.starts_with(" as "));
        !inner && (after.starts_with("::") || used)
    })
}

fn is_exception(file: &str, what: &str) -> bool {
    EXCEPTIONS.iter().any(|(name, item, _)| *name == file && *item == what)
}

#[test]
fn rooms_use_only_what_the_table_allows() {
    let mut broken = Vec::new();
    for (file, code) in files() {
        for path in forbidden(&file, &code) {
            if !is_exception(&file, &path) {
                broken.push(format!("{file} uses crate::{path}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_room_is_in_the_table() {
    let rooms: BTreeSet<String> = files().iter().map(|(file, _)| room(file).to_owned()).collect();
    let outside = ["bin", "cli", "lib", "main"].map(str::to_owned);
    let known: BTreeSet<String> =
        ROOMS.iter().map(|(name, _)| (*name).to_owned()).chain(outside).collect();
    assert_eq!(rooms, known);
}

#[test]
fn one_file_alone_names_each_of_these_crates() {
    for (name, home) in ALONE {
        let found: Vec<String> = files()
            .into_iter()
            .filter(|(file, code)| names_crate(code, name) && !is_exception(file, name))
            .map(|(file, _)| match file.strip_prefix(home.trim_end_matches(".rs")) {
                Some(below) if below.starts_with('/') => home.to_owned(),
                _ => file,
            })
            .collect();
        let found: BTreeSet<_> = found.iter().map(String::as_str).collect();
        assert_eq!(found, BTreeSet::from([home]), "{name}");
    }
}

#[test]
fn environment_process_and_terminal_belong_to_the_command_line() {
    let mut broken = Vec::new();
    for (file, code) in files() {
        if matches!(room(&file), "cli" | "main" | "bin") {
            continue;
        }
        for word in CLI_ONLY {
            if names(&code, word) && !is_exception(&file, word) {
                broken.push(format!("{file} names {word}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn only_the_printer_prints() {
    for (file, code) in files() {
        for word in ["println!", "eprintln!", "print!", "eprint!"] {
            assert!(!names(&code, word) || file == "cli/output.rs", "{file} names {word}");
        }
    }
}

#[test]
fn the_clock_is_an_argument() {
    for (file, code) in files() {
        for word in ["Timestamp::now", "SystemTime::now", "Zoned::now"] {
            assert!(!names(&code, word) || room(&file) == "cli", "{file} names {word}");
        }
    }
}

#[test]
fn exceptions_are_needed() {
    for (file, what, reason) in EXCEPTIONS {
        let (_, code) = files().into_iter().find(|(name, _)| name == file).unwrap();
        let needed = forbidden(file, &code).contains(&what.to_owned())
            || names(&code, what)
            || names_crate(&code, what);
        assert!(needed && !reason.is_empty(), "{file}: {what}");
    }
}

/// The scanner can fail: each of these is found.
#[test]
fn the_scanner_finds_what_is_wrong() {
    for (file, bad, path) in [
        ("gogzip/mod.rs", "use crate::image::digest::Digest;", "image::digest::Digest"),
        ("gogzip.rs", "use  crate :: image ;", "image"),
        ("image/json.rs", "fn f() { crate::fsutil::read(); }", "fsutil::read"),
        ("content/mod.rs", "use crate::{image, gogzip as g};", "gogzip"),
        ("content/mod.rs", "use crate::{image::{a, b}, store::{self, c}};", "store::c"),
        (
            "content/mod.rs",
            "use crate::{\n    image,\n    cli::output::Printer,\n};",
            "cli::output::Printer",
        ),
        ("signature/mod.rs", "pub(in crate::signature) use crate::trust::x;", "trust::x"),
        ("trust/mod.rs", "use crate::signature::envelope;", "signature::envelope"),
        ("trust/mod.rs", "use crate::signature::x509_other;", "signature::x509_other"),
        ("store/cache.rs", "/* a */ use crate::signature::crypto; // b", "signature::crypto"),
        ("verify/report.rs", "use crate::cli::x;", "cli::x"),
        ("generate.rs", "let s = \"a // b\"; use crate::sign::y;", "sign::y"),
        ("generate.rs", "let s = r#\"a \" b\"#; use crate::sign::y;", "sign::y"),
        ("generate.rs", "let c = '\"'; use crate::sign::y;", "sign::y"),
    ] {
        assert!(forbidden(file, &code(bad)).contains(&path.to_owned()), "{file}: {bad}");
    }
    for (file, good) in [
        ("gogzip/mod.rs", "use crate::gogzip::crc32; use std::io;"),
        (
            "gogzip/mod.rs",
            "// use crate::image;\n/// crate::image\nconst A: &str = \"crate::image\";",
        ),
        ("trust/mod.rs", "use crate::signature::x509::{a, b};"),
        ("content/a.rs", "use crate::image::{self, digest::{Digest, Hasher}};"),
        ("content/a.rs", "#[cfg(test)]\nmod tests {\n use crate::gogzip;\n}"),
        ("cli/a.rs", "use crate::generate;"),
    ] {
        assert_eq!(forbidden(file, &code(good)), Vec::<String>::new(), "{file}: {good}");
    }
    for bad in
        ["use sha2::Digest;", "let x = sha2::y();", "use sha2;", "use sha2 as x;", "a(::sha2::b)"]
    {
        assert!(names_crate(&code(bad), "sha2"), "{bad}");
    }
    for good in ["// sha2::x", "\"sha2::x\"", "my_sha2::x", "crate::sha2::x", "let sha2 = 1;"] {
        assert!(!names_crate(&code(good), "sha2"), "{good}");
    }
    assert!(names("std::env::var(\"A\")", "std::env") && !names("std::envy", "std::env"));
    assert!(names("println!(\"a\")", "println!") && !names("eprintln!()", "println!"));
    assert!(is_test("a/tests.rs") && is_test("a/b_tests.rs") && !is_test("a/contests_of.rs"));
}
