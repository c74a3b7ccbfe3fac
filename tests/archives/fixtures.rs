//! Every case of testdata/docker: what a push of the image sent, byte for byte.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use dockseal::generate::{self, GenerateError, Generated, Options};
use dockseal::gogzip::Generation;
use dockseal::image::digest::Digest;

use crate::{Way, exit_code, options, testdata};

/// A row of `cases.tsv`.
pub(crate) struct Case {
    /// The directory.
    pub(crate) name: String,
    /// Options of the command.
    pub(crate) arguments: Vec<String>,
    /// What must come out.
    pub(crate) outcome: Outcome,
}

pub(crate) enum Outcome {
    /// A manifest of this digest.
    Manifest(Digest),
    /// Exit code and a part of the message.
    Refused(u8, String),
}

impl Case {
    pub(crate) fn all() -> Vec<Self> {
        let table = fs::read_to_string(testdata("cases.tsv")).unwrap();
        table.lines().filter(|line| !line.starts_with('#')).map(Self::parse).collect()
    }

    fn parse(line: &str) -> Self {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, arguments, outcome] = fields.as_slice() else { panic!("three fields: {line}") };
        let outcome = match outcome.split_once(' ') {
            None => Outcome::Manifest(outcome.parse().unwrap()),
            Some((code, text)) => Outcome::Refused(code.parse().unwrap(), text.to_owned()),
        };
        let arguments = arguments.split_whitespace().map(str::to_owned).collect();
        Self { name: (*name).to_owned(), arguments, outcome }
    }

    pub(crate) fn archive(&self) -> PathBuf {
        testdata(&self.name).join("image.tar")
    }

    /// What the registry received, where the image was pushed.
    pub(crate) fn pushed(&self) -> Option<Vec<u8>> {
        let path = testdata(&self.name).join("pushed-manifest.json");
        path.exists().then(|| fs::read(path).unwrap())
    }

    fn options(&self) -> Options {
        let mut options = options();
        for pair in self.arguments.chunks(2) {
            match pair[0].as_str() {
                "--go-gzip" => options.generation = Some(pair[1].parse().unwrap()),
                "--platform" => options.platform = Some(pair[1].parse().unwrap()),
                other => panic!("unknown option {other}"),
            }
        }
        options
    }

    #[track_caller]
    fn check(&self, result: Result<Generated, GenerateError>, way: Way) {
        let Self { name, arguments, .. } = self;
        match (&self.outcome, result) {
            (Outcome::Manifest(digest), Ok(generated)) => {
                assert_eq!(generated.descriptor.digest, *digest, "{name} {arguments:?} {way:?}");
                assert_eq!(Digest::sha256(&generated.bytes), *digest, "{name} {way:?}");
                assert_eq!(generated.bytes.len() as u64, generated.descriptor.size);
                if let Some(pushed) = self.pushed() {
                    assert_eq!(generated.bytes, pushed, "{name} {arguments:?} {way:?}");
                }
            }
            (Outcome::Refused(code, text), Err(error)) => {
                let message = error.to_string();
                assert_eq!(exit_code(&error), *code, "{name} {way:?}: {message}");
                assert!(message.contains(text), "{name} {way:?}: {message}\nexpected: {text}");
            }
            (Outcome::Manifest(_), Err(error)) => panic!("{name} {arguments:?} {way:?}: {error}"),
            (Outcome::Refused(_, text), Ok(generated)) => {
                panic!("{name} {way:?}: {}, expected: {text}", generated.descriptor.digest)
            }
        }
    }
}

#[test]
fn the_table_has_every_directory() {
    let table: BTreeSet<String> = Case::all().into_iter().map(|case| case.name).collect();
    let directories: BTreeSet<String> = fs::read_dir(testdata(""))
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(table, directories);
}

#[test]
fn every_pushed_manifest_is_expected_somewhere() {
    let cases = Case::all();
    for case in &cases {
        let Some(pushed) = case.pushed() else { continue };
        let digest = Digest::sha256(&pushed);
        let is_expected = |other: &&Case| {
            other.name == case.name
                && matches!(&other.outcome, Outcome::Manifest(expected) if *expected == digest)
        };
        assert!(cases.iter().any(|other| is_expected(&other)), "{}: {digest}", case.name);
    }
}

#[test]
fn the_library_gives_what_was_pushed() {
    for case in Case::all() {
        for way in Way::ALL {
            let source = way.source(&case.archive());
            case.check(generate::manifest(source, &case.options(), &()), way);
        }
    }
}

/// An archive does not tell the generation: the wrong one gives another manifest, and the
/// assumption is told.
#[test]
fn the_assumed_generation_is_told() {
    for case in Case::all().into_iter().filter(|case| case.name.contains("go1.27")) {
        let source = Way::File.source(&case.archive());
        let generated = generate::manifest(source, &options(), &()).unwrap();
        assert_ne!(generated.bytes, case.pushed().unwrap(), "{}", case.name);
        let note = generate::Note::AssumedGeneration(Generation::Go1_8);
        assert!(generated.notes.contains(&note), "{}: {:?}", case.name, generated.notes);
    }
}
