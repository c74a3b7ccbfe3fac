//! `dockseal-containerd-verifier`: the image verifier that containerd (2.0 and newer) runs before it
//! pulls (spec/containerd.md §8).
//!
//! ```text
//! verifier -name NAME -digest DIGEST -stdin-media-type application/vnd.oci.descriptor.v1+json
//! ```
//!
//! The descriptor comes on standard input. Exit status 0 allows the pull; anything else refuses it,
//! with the one line on stdout as the reason that users and the kubelet see. There is no network, no
//! home directory and no terminal: policy, trust stores and signatures lie under one directory.
//!
//! ```text
//! /etc/dockseal/
//!   trustpolicy.oci.json   or trustpolicy.json
//!   truststore/x509/<type>/<store>/
//!   crl/                   a copy of the CRL cache
//!   signatures/            <algorithm>/<hex of the image's digest>/*.sig, or an OCI layout
//!   verifier.json          {"signatures": ["/other/directory", ...]}
//! ```

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Deserialize;

use crate::fsutil;
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::image::json::{self, Rules};
use crate::image::reference::Reference;
use crate::kit::install::pending;
use crate::store::SignatureStore;
use crate::store::directory::SignatureDirectory;
use crate::store::layout::OciLayout;
use crate::trust::crls::{CrlCache, RevocationData};
use crate::trust::files::PolicyFiles;
use crate::trust::policy::Statement;
use crate::trust::scope::Repository;
use crate::trust::store::TrustStores;
use crate::verify::{FailureClass, Verdict, Verifier, VerifyError, VerifyOptions};

use super::context;
use super::exit::Exit;
use super::host_trust::UNDECIDED;
use super::output::{Format, Printer, Verbosity};

/// Where everything lies unless [`ROOT_VARIABLE`] says otherwise.
const ROOT: &str = "/etc/dockseal";

/// Environment variable of containerd that names another directory.
const ROOT_VARIABLE: &str = "DOCKSEAL_VERIFIER_ROOT";

/// What containerd says standard input is.
const STDIN_TYPE: &str = "application/vnd.oci.descriptor.v1+json";

/// Largest descriptor. containerd sends a line of a few hundred bytes.
const MAX_STDIN: usize = 64 << 10;

/// Largest configuration file.
const MAX_CONFIG: usize = 64 << 10;

/// Longest reason. containerd takes 32 KiB, people read one line.
const MAX_REASON: usize = 2000;

/// Its manual page: the name of the file, and the text. Its flags are Go's, which clap has not.
pub(super) const MANUAL: (&str, &[u8]) =
    ("dockseal-containerd-verifier.1", include_bytes!("containerd_verifier.1"));

/// Runs the verifier on the process's own arguments.
pub fn main() -> ExitCode {
    let root = std::env::var_os(ROOT_VARIABLE).filter(|value| !value.is_empty());
    let root = root.map_or_else(|| PathBuf::from(ROOT), PathBuf::from);
    let answer = Call::parse(std::env::args_os().skip(1), io::stdin().lock())
        .and_then(|call| judge(&call, &root, context::now()));
    let (exit, text) = match answer {
        Ok(text) => (Exit::Ok, text),
        Err(text) => (Exit::Internal, text),
    };
    let printer = Printer::new(Verbosity::Normal, Format::Text);
    // Whatever happens to the reason, the status says it.
    let _ = printer.line(one_line(&text));
    exit.into()
}

/// Without control characters, and not longer than people read.
fn one_line(text: &str) -> String {
    let mut line = String::from("dockseal: ");
    for c in text.chars() {
        if line.len() >= MAX_REASON {
            line.push_str("...");
            break;
        }
        line.push(if c.is_control() { ' ' } else { c });
    }
    line
}

/// What containerd asks.
#[derive(Debug)]
struct Call {
    name: Reference,
    descriptor: Descriptor,
}

const DESCRIPTOR_RULES: Rules = Rules {
    max_bytes: MAX_STDIN,
    max_depth: 16,
    known: &["mediaType", "digest", "size"],
    free_maps: &["annotations"],
};

impl Call {
    /// Parses Go's flags: one or two dashes, the value behind `=` or as the next argument. What is
    /// not known is refused: a newer containerd may mean something by it.
    fn parse(
        arguments: impl IntoIterator<Item = OsString>,
        stdin: impl Read,
    ) -> Result<Self, String> {
        let (mut name, mut digest, mut stdin_type, mut operation) = (None, None, None, None);
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let text = |argument: OsString| {
                argument.into_string().map_err(|_| "an argument is not UTF-8".to_owned())
            };
            let argument = text(argument)?;
            let flag = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'));
            let flag = flag.ok_or_else(|| format!("unexpected argument {argument:?}"))?;
            let (flag, value) = match flag.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_owned())),
                None => (flag, None),
            };
            let slot = match flag {
                "name" => &mut name,
                "digest" => &mut digest,
                "stdin-media-type" => &mut stdin_type,
                "operation" => &mut operation,
                _ => return Err(format!("unknown flag {argument:?}")),
            };
            let value = match value {
                Some(value) => value,
                None => text(arguments.next().ok_or_else(|| format!("-{flag} has no value"))?)?,
            };
            if slot.replace(value).is_some() {
                return Err(format!("-{flag} is given twice"));
            }
        }
        let given = |value: Option<String>, flag: &str| {
            value.filter(|value| !value.is_empty()).ok_or_else(|| format!("-{flag} is missing"))
        };
        let name = given(name, "name")?;
        let digest = given(digest, "digest")?;
        let stdin_type = given(stdin_type, "stdin-media-type")?;
        if stdin_type != STDIN_TYPE {
            return Err(format!("-stdin-media-type is {stdin_type:?}, expected {STDIN_TYPE:?}"));
        }
        if let Some(operation) = operation.filter(|it| !matches!(it.as_str(), "pull" | "run")) {
            return Err(format!("unknown operation {operation:?}"));
        }
        Self::check(&name, &digest, stdin)
    }

    fn check(name: &str, digest: &str, stdin: impl Read) -> Result<Self, String> {
        let digest: Digest = digest.parse().map_err(|error| format!("-digest: {error}"))?;
        let bytes = fsutil::read_to_limit(stdin, MAX_STDIN as u64)
            .map_err(|error| format!("reading the descriptor: {error}"))?
            .ok_or_else(|| format!("the descriptor has more than {MAX_STDIN} bytes"))?;
        let read: Descriptor = json::read(&bytes, &DESCRIPTOR_RULES)
            .map_err(|error| format!("the descriptor on standard input: {error}"))?;
        if read.digest != digest {
            return Err(format!("-digest is {digest}, the descriptor says {}", read.digest));
        }
        let reference: Reference = name.parse().map_err(|error| format!("{name:?}: {error}"))?;
        if let Some(named) = reference.digest().filter(|named| **named != digest) {
            return Err(format!("{name} names {named}, containerd is about to pull {digest}"));
        }
        let descriptor = Descriptor::new(read.media_type, digest, read.size);
        Ok(Self { name: reference, descriptor })
    }
}

/// The verifier's own settings.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    signatures: Vec<PathBuf>,
}

const CONFIG_RULES: Rules =
    Rules { max_bytes: MAX_CONFIG, max_depth: 4, known: &["signatures"], free_maps: &[] };

impl Config {
    fn load(root: &Path) -> Result<Self, String> {
        let path = root.join("verifier.json");
        let bytes = match fsutil::read_bounded(&path, MAX_CONFIG as u64) {
            Err(error) if error.is_not_found() => {
                return Ok(Self { signatures: vec![root.join("signatures")] });
            }
            result => result.map_err(|error| error.to_string())?,
        };
        let config: Self = json::read(&bytes, &CONFIG_RULES)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        match config.signatures.iter().find(|directory| !directory.is_absolute()) {
            // containerd's working directory is not ours to know.
            Some(relative) => {
                Err(format!("{}: {} is not absolute", path.display(), relative.display()))
            }
            None => Ok(config),
        }
    }

    fn stores(&self) -> Result<Vec<Box<dyn SignatureStore>>, String> {
        let store = |directory: &PathBuf| -> Result<Box<dyn SignatureStore>, String> {
            if directory.join("oci-layout").exists() {
                let layout = OciLayout::open(directory);
                return Ok(Box::new(layout.map_err(|error| error.to_string())?));
            }
            Ok(Box::new(SignatureDirectory::new(directory)))
        };
        self.signatures.iter().map(store).collect()
    }
}

/// Why the image may be pulled, or why not.
fn judge(call: &Call, root: &Path, now: Timestamp) -> Result<String, String> {
    let image = format!("{}@{}", call.name.repository(), call.descriptor.digest);
    let refused = |reason: &dyn std::fmt::Display| format!("{image} is refused: {reason}");
    if pending(root).map_err(|error| refused(&error))? {
        return Err(refused(&format_args!(
            "{UNDECIDED}; NOTATION_CONFIG={} dockseal kit resume",
            root.display()
        )));
    }
    let loaded = PolicyFiles::new(root).load_oci().map_err(|error| refused(&error))?;
    let repository = Repository::parse(&call.name.repository()).map_err(|error| refused(&error))?;
    let statement = loaded.policy.select(Some(&repository)).map_err(|error| refused(&error))?;
    let stores = TrustStores::new(root);
    let revocation =
        RevocationData { cache: Some(CrlCache::new(root)), ..RevocationData::default() };
    let options = VerifyOptions { revocation, ..VerifyOptions::at(now) };
    let verifier = Verifier::new(statement, &stores, options);
    if statement.level().is_skip() {
        return Ok(format!("{image} is allowed: policy {:?} has level skip", statement.name()));
    }
    let signatures = Config::load(root).and_then(|config| config.stores());
    let mut best: Option<VerifyError> = None;
    for store in signatures.map_err(|error| refused(&error))? {
        match verifier.verify(&call.descriptor, &*store) {
            Ok(verdict) => return Ok(allowed(&image, statement, &verdict)),
            Err(error) => {
                let is_better =
                    best.as_ref().is_none_or(|best| best.class() == FailureClass::NoSignature);
                if is_better {
                    best = Some(error);
                }
            }
        }
    }
    let subject = Box::new(call.descriptor.clone());
    Err(refused(&best.unwrap_or(VerifyError::NoSignature { subject })))
}

fn allowed(image: &str, statement: &Statement, verdict: &Verdict) -> String {
    match verdict {
        Verdict::Trusted(trusted) => {
            let (signer, policy) = (trusted.signer(), statement.name());
            format!("{image} is allowed: signed by {signer}, policy {policy:?}")
        }
        Verdict::Skipped => {
            format!("{image} is allowed: policy {:?} has level skip", statement.name())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parse(line: &str, stdin: &str) -> Result<Call, String> {
        let line = line.replace("DIGEST", DIGEST).replace("TYPE", STDIN_TYPE);
        let stdin = stdin.replace("DIGEST", DIGEST);
        Call::parse(line.split_whitespace().map(OsString::from), stdin.as_bytes())
    }

    const STDIN: &str = r#"{"mediaType":"a/b","digest":"DIGEST","size":401}"#;

    #[test]
    fn calls_as_containerd_makes_them() {
        for line in [
            "-name docker.io/library/x:1 -digest DIGEST -stdin-media-type TYPE",
            "--name=docker.io/library/x:1 --digest=DIGEST -stdin-media-type=TYPE",
            "-operation pull -stdin-media-type TYPE -digest DIGEST -name x:1",
            "-operation=run -stdin-media-type TYPE -digest DIGEST -name x@DIGEST",
        ] {
            let call = parse(line, &format!("{STDIN}\n")).unwrap_or_else(|e| panic!("{line}: {e}"));
            assert_eq!(call.name.repository(), "docker.io/library/x", "{line}");
            assert_eq!(call.descriptor.size, 401);
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let good = "-name x:1 -digest DIGEST -stdin-media-type TYPE";
        for (line, stdin, reason) in [
            ("", STDIN, "-name is missing"),
            ("-name x:1 -digest DIGEST", STDIN, "-stdin-media-type is missing"),
            ("-name x:1 -digest DIGEST -stdin-media-type a/b", STDIN, "expected"),
            ("-name x:1 -digest md5:12 -stdin-media-type TYPE", STDIN, "-digest"),
            ("-name X -digest DIGEST -stdin-media-type TYPE", STDIN, "\"X\""),
            (&format!("{good} -name y"), STDIN, "twice"),
            (&format!("{good} -namespace k8s.io"), STDIN, "unknown flag"),
            (&format!("{good} -operation exec"), STDIN, "unknown operation"),
            (&format!("{good} more"), STDIN, "unexpected argument"),
            (&format!("{good} -operation"), STDIN, "has no value"),
            (good, "", "descriptor"),
            (good, "{}", "descriptor"),
            (good, r#"{"mediaType":"a/b","digest":"DIGEST","digest":"DIGEST","size":1}"#, "descr"),
            (good, r#"{"mediaType":"a/b","digest":"DIGEST","size":-1}"#, "descriptor"),
            (
                "-name x -digest sha256:0000000000000000000000000000000000000000000000000000000000000000 -stdin-media-type TYPE",
                STDIN,
                "the descriptor says",
            ),
            (
                "-name x@sha256:0000000000000000000000000000000000000000000000000000000000000000 -digest DIGEST -stdin-media-type TYPE",
                STDIN,
                "is about to pull",
            ),
            (good, &" ".repeat(MAX_STDIN + 1), "more than"),
        ] {
            let error = parse(line, stdin).expect_err(line);
            assert!(error.contains(reason), "{line}: {error}");
        }
    }

    #[test]
    fn the_reason_is_one_line() {
        let line = one_line("a\nb\u{1b}[31m\tc");
        assert_eq!(line, "dockseal: a b [31m c");
        assert!(one_line(&"x".repeat(100_000)).len() < MAX_REASON + 10);
    }
}
