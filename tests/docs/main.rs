//! The documents hold: every command block of README.md and docs/ is run, and shows what happens.
//!
//! What a reader sees is what is tested, with comments that a reader does not see for the rest:
//!
//! ````text
//! ```console                    commands behind `$ `, continued behind `> `, run in order in one
//! $ dockseal verify image.tar   shell for each document. Below a command is all that it says: `[..]`
//! Verified [..]                 stands for a part of a line, `...` for any lines, `~` for the home
//! ...                           directory. A command with nothing below it may say what it likes.
//! (exit code 13)                A command that has to fail says so; without this it has to succeed.
//! ```
//!
//! <!-- file: images.txt -->     the next block is a file of this name, which commands use. Blocks of
//!                               yaml, toml and json are parsed; others have to be such files
//! <!-- part of: FILE -->        the next block is a part of a file of this repository, word by word
//! <!-- needs: docker -->        the next block or preparation needs what not every host has (below)
//! <!-- test: ... -->            preparation: commands that have to succeed
//! ````
//!
//! In preparations `$REPOSITORY` is this repository and `$TESTDATA` its test data. A block that needs
//! something is left out unless `DOCKSEAL_DOCS_HAVE` names it, by a test that is ignored: scripts/test
//! and the engine lab run it with what they have, and say what was left out.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests fail by panicking")]

mod document;
mod links;
mod session;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use document::{Document, Item};

/// One test for each document.
macro_rules! documents {
    ($($test:ident $path:literal,)*) => {
        const DOCUMENTS: &[&str] = &[$($path),*];
        $(
            #[test]
            fn $test() {
                let outcome = session::run(&Document::read($path), &BTreeSet::new());
                outcome.unwrap_or_else(|reason| panic!("\n{reason}"));
            }
        )*
    };
}

documents! {
    readme "README.md",
    index "docs/README.md",
    air_gap "docs/air-gap.md",
    archives "docs/archives.md",
    containerd "docs/containerd.md",
    docker_trust "docs/docker-trust.md",
    install "docs/install.md",
    keys "docs/keys.md",
    kits "docs/kits.md",
    kubernetes "docs/kubernetes.md",
    many "docs/many.md",
    notation "docs/notation.md",
    push "docs/push.md",
    scripts "docs/scripts.md",
    threat_model "docs/threat-model.md",
    time "docs/time.md",
}

/// Who provides what blocks need: the script names them in `DOCKSEAL_DOCS_HAVE='...'`.
const PROVIDERS: [&str; 2] = ["scripts/test", "scripts/lab/documents.sh"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `directory` with this extension, by its path from the root.
fn files(directory: &str, extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![root().join(directory)];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_document_is_tested() {
    let mut expected = files("docs", "md");
    expected.push("README.md".to_owned());
    expected.sort();
    let mut found = DOCUMENTS.to_vec();
    found.sort_unstable();
    assert_eq!(expected, found);
}

/// The blocks that need something, with what this host has.
#[test]
#[ignore = "documents with engines, tokens and builds: DOCKSEAL_DOCS_HAVE says what is here"]
fn what_needs_more() {
    let have = words(&env::var("DOCKSEAL_DOCS_HAVE").unwrap_or_default());
    let (mut used, mut wrong) = (BTreeSet::new(), Vec::new());
    for document in DOCUMENTS.iter().map(|path| Document::read(path)) {
        let mut ran = 0;
        for item in document.items.iter().filter(|item| !item.needs.is_empty()) {
            let missing: Vec<_> = item.needs.difference(&have).map(String::as_str).collect();
            if missing.is_empty() {
                used.extend(item.needs.iter().cloned());
                ran += 1;
            } else {
                report(format!("skipped {item}: needs {}", missing.join(", ")));
            }
        }
        if ran > 0 {
            report(format!("running {}: {ran} blocks that need something", document.path));
            wrong.extend(session::run(&document, &have).err());
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n\n"));
    let unused: Vec<_> = have.difference(&used).collect();
    assert!(unused.is_empty(), "no document needs {unused:?}");
}

/// What is needed is there somewhere, and what is there is needed.
#[test]
fn somebody_provides_what_documents_need() {
    let provided: BTreeSet<String> = PROVIDERS
        .iter()
        .map(|path| fs::read_to_string(root().join(path)).unwrap())
        .flat_map(|text| {
            let after = text.split("DOCKSEAL_DOCS_HAVE='").skip(1);
            after.flat_map(|it| words(it.split('\'').next().unwrap())).collect::<Vec<_>>()
        })
        .collect();
    let needed: BTreeSet<String> = DOCUMENTS
        .iter()
        .flat_map(|path| Document::read(path).items)
        .flat_map(|item| item.needs)
        .collect();
    assert_eq!(provided, needed);
}

/// From the clone to a verified image with the README alone.
#[test]
fn the_quick_start_has_fewer_than_ten_commands() {
    let readme = Document::read("README.md");
    let commands: Vec<_> = readme
        .items
        .iter()
        .filter(|item| item.section == "Quick start")
        .flat_map(Item::commands)
        .flat_map(|command| command.text.split("&&"))
        .map(str::trim)
        .collect();
    assert!(commands.iter().any(|it| it.starts_with("git clone ")), "{commands:#?}");
    assert!(commands.last().unwrap().starts_with("dockseal verify "), "{commands:#?}");
    assert!(commands.len() < 10, "{commands:#?}");
}

#[test]
fn links_lead_somewhere() {
    let mut pages = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned()];
    for directory in ["docs", "scripts", "testdata"] {
        pages.extend(files(directory, "md"));
    }
    let broken: Vec<_> = pages.iter().flat_map(|path| links::broken(path)).collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// The threat model says which test holds which claim.
#[test]
fn the_tests_that_are_named_exist() {
    let mut code = String::new();
    for path in files("src", "rs").into_iter().chain(files("tests", "rs")) {
        code.push_str(&fs::read_to_string(root().join(path)).unwrap());
    }
    let text = fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let named: BTreeSet<_> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|it| it.contains('_') && it.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    assert!(named.len() > 30, "{named:#?}");
    let missing: Vec<_> = named.iter().filter(|it| !code.contains(&format!("fn {it}()"))).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[expect(clippy::print_stderr, reason = "what is left out is said")]
fn report(line: String) {
    eprintln!("{line}");
}

fn binaries() -> PathBuf {
    match env::var_os("DOCKSEAL_BIN_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => Path::new(env!("CARGO_BIN_EXE_dockseal")).parent().unwrap().to_owned(),
    }
}
