//! Archives: those of real engines, and those that nobody honest wrote.
//!
//! * [`fixtures`]: every case of testdata/docker, through the library and through the commands.
//! * [`content`], [`json`], [`tar`]: the rules S3 to S12 about what may be in an archive. A test
//!   is named after its rule: S3 and S1 digests, S4 two views, S5 duplicates, S6 JSON, S7 tar, S8
//!   manifest against index, S9 names and links, S10 and S11 bombs and limits, S12 descriptors.
//! * [`progress`]: what is told of the work while it is done.
//! * [`commands`]: the same cases through the programs.
//! * [`build`]: makes small archives, right or wrong.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests fail by panicking")]

mod build;
mod commands;
mod content;
mod fixtures;
mod given;
mod json;
mod load;
mod progress;
mod tar;
mod writers;

use std::path::PathBuf;

use dockseal::content::archive::{ArchiveError, Class, Source};
use dockseal::generate::{self, GenerateError, Generated, Options};

/// The exit codes that are public API, as `dockseal manifest` gives them.
pub(crate) const MISMATCH: u8 = 13;
pub(crate) const MALFORMED: u8 = 16;
pub(crate) const UNDETERMINABLE: u8 = 17;
pub(crate) const UNAVAILABLE: u8 = 20;

/// How an archive reaches the library: ways that must never give different answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    File,
    Stream,
    Spooled,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::File, Self::Stream, Self::Spooled];

    pub(crate) fn source(self, path: &std::path::Path) -> Source {
        let open = || Box::new(std::fs::File::open(path).unwrap());
        match self {
            Self::File => Source::Path(path.to_owned()),
            Self::Stream => Source::Stream(open()),
            Self::Spooled => Source::Spooled(open()),
        }
    }
}

/// Options for tests: everything small runs on one thread.
pub(crate) fn options() -> Options {
    Options { threads: std::num::NonZero::<usize>::MIN, ..Options::default() }
}

/// The manifest of an archive in memory, read as a stream and as a file, which must agree.
pub(crate) fn manifest(archive: &[u8]) -> Result<Generated, GenerateError> {
    manifest_with(archive, &options())
}

pub(crate) fn manifest_with(archive: &[u8], options: &Options) -> Result<Generated, GenerateError> {
    let stream = Source::Stream(Box::new(std::io::Cursor::new(archive.to_vec())));
    let streamed = generate::manifest(stream, options, &());
    let spooled = Source::Spooled(Box::new(std::io::Cursor::new(archive.to_vec())));
    let result = generate::manifest(spooled, options, &());
    match (&streamed, &result) {
        (Ok(one), Ok(two)) => assert_eq!(one.bytes, two.bytes, "stream and file differ"),
        (Err(one), Err(two)) => {
            assert_eq!(exit_code(one), exit_code(two), "stream: {one}; file: {two}");
        }
        (Ok(_), Err(error)) => panic!("accepted as a stream, refused as a file: {error}"),
        // A stream goes by once; `--spool` is the hint.
        (Err(GenerateError::Archive(ArchiveError::Streamed { .. })), Ok(_)) => {}
        (Err(error), Ok(_)) => panic!("refused as a stream ({error}), accepted as a file"),
    }
    result
}

/// The exit code and message of an archive that must be refused.
pub(crate) fn refusal(archive: &[u8]) -> (u8, String) {
    let error = manifest(archive).expect_err("must be refused");
    (exit_code(&error), error.to_string())
}

#[track_caller]
pub(crate) fn assert_refused(archive: &[u8], code: u8, message: &str) {
    let (found, text) = refusal(archive);
    assert!(found == code && text.contains(message), "{found} {text}\nexpected: {code} {message}");
}

/// What the commands make of an error. The commands' own tests compare with the real thing.
pub(crate) fn exit_code(error: &GenerateError) -> u8 {
    match error {
        GenerateError::Archive(error) => match error.class() {
            Class::Malformed => MALFORMED,
            Class::Mismatch => MISMATCH,
            Class::Unavailable => UNAVAILABLE,
            Class::Io => 1,
        },
        GenerateError::Undeterminable { .. } => UNDETERMINABLE,
        GenerateError::LayerCount { .. } => MALFORMED,
        GenerateError::OtherImage { .. } => MISMATCH,
        _ => UNAVAILABLE,
    }
}

pub(crate) fn testdata(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/docker").join(name)
}
