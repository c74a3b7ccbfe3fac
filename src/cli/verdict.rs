//! What is said of verdicts: for people at a glance, and with `--explain` as a tree.
//!
//! The verdict comes first, and with it what it is about; then the signer, the policy, what was
//! checked and how the content is tied to what is signed.

use std::fmt::Display;
use std::path::PathBuf;

use serde_json::Value;

use crate::generate::{BoundBlob, BoundBy, Note, Origin};
use crate::image::descriptor::Descriptor;
use crate::image::hint::{self, Hint};
use crate::image::media_type;
use crate::trust::level::LevelName;
use crate::trust::policy::Statement;
use crate::verify::{CandidateError, CheckStatus, FailureClass, TrustedSignature, VerifyError};

use super::exit::Exit;
use super::failure::Failure;
use super::output::{Printer, Tone, Verbosity, table};
use super::report::{self, PolicyInfo};
use super::subject::{ContentSeen, Subject};
use super::tree::Tree;

/// No signature is trusted.
pub(super) fn denied(subject: &Subject, error: VerifyError) -> Failure {
    let class = error.class();
    let (signed, location) = match &error {
        VerifyError::NoneTrusted { best, .. } => {
            let signed = match &best.error {
                CandidateError::ContentMismatch { signed, .. } => Some(signed.clone()),
                _ => None,
            };
            (signed, Some(best.location.clone()))
        }
        _ => (None, None),
    };
    let failure = Failure::from(error);
    match class {
        FailureClass::ContentMismatch => {
            let why = signed.and_then(|signed| why_other(subject, &signed));
            // The same image may have been pushed with layers that another tool compressed.
            let (why, hint) = match why {
                Some((why, hint)) => (Some(why), Some(hint)),
                None => (None, (!subject.blobs().is_empty()).then(|| "--manifest FILE".to_owned())),
            };
            let failure = why.into_iter().fold(failure, Failure::with_detail);
            if hint.is_some() { failure.with_hint(hint) } else { failure }
        }
        FailureClass::NoSignature if failure.hint.is_none() => match location {
            Some(file) => failure.or_nearest_file(&file),
            None => failure.with_hint(Some("--signature FILE".to_owned())),
        },
        _ => showing(failure, location),
    }
}

/// No signature of a file is trusted.
pub(super) fn denied_file(error: VerifyError) -> Failure {
    let location = match &error {
        VerifyError::NoneTrusted { best, .. } => Some(best.location.clone()),
        _ => None,
    };
    let failure = Failure::from(error);
    let hint = failure.hint.clone().map(|hint| match hint {
        Hint::Text(text) => {
            Hint::Text(text.replace("dockseal sign SOURCE", "dockseal blob sign FILE"))
        }
        hint => hint,
    });
    match location {
        Some(file) if failure.exit == Exit::NoSignature => failure.or_nearest_file(&file),
        location => showing(failure.with_hint(hint), location),
    }
}

/// The same failure; where nothing else helps, what the signature says may.
fn showing(failure: Failure, signature: Option<PathBuf>) -> Failure {
    let file = signature.filter(|file| failure.hint.is_none() && file.exists());
    match file {
        Some(file) if file.is_dir() => {
            failure.with_hint(Hint::command("", &["ls", &hint::path(&file)]))
        }
        Some(file) => {
            failure.with_hint(Hint::command("", &["dockseal", "inspect", &hint::path(&file)]))
        }
        None => failure,
    }
}

/// Why an image is another manifest than the signed one, where that can be seen, and what helps.
fn why_other(subject: &Subject, signed: &Descriptor) -> Option<(String, String)> {
    let found = &subject.descriptor;
    let of = |descriptor: &Descriptor| media_type::is_index(&descriptor.media_type);
    if let Some(below) = subject.blobs().iter().find(|blob| blob.descriptor.digest == signed.digest)
    {
        let why = format!("the signature is for {} in this index, not for the index", below.member);
        return Some((why, "--platform OS/ARCH".to_owned()));
    }
    match (of(signed), of(found)) {
        (true, false) => {
            let why =
                "the signature is for an index of several platforms, this is the manifest of one";
            return Some((why.to_owned(), "--manifest INDEX --manifest MANIFEST".to_owned()));
        }
        (false, true) => {
            let why =
                "the signature is for the manifest of one platform, this is an index of several";
            return Some((why.to_owned(), "--platform OS/ARCH".to_owned()));
        }
        _ => {}
    }
    // Whether it is the same image only its blobs could tell, and they are not signed.
    match &subject.image.as_ref()?.origin {
        Origin::Rendered(_) => Some((
            "this manifest is what a graph-driver engine pushes; if the same image was signed in a \
             containerd store, that has another one of it"
                .to_owned(),
            "--manifest FILE".to_owned(),
        )),
        Origin::Stored | Origin::Imported if signed.media_type == media_type::DOCKER_MANIFEST => {
            Some((
                "this manifest is what a containerd store keeps; if the same image was signed for a \
                 graph-driver engine, that pushes another one of it"
                    .to_owned(),
                "--push-from graph".to_owned(),
            ))
        }
        _ => None,
    }
}

/// Says what the policy let pass (security.md S13).
pub(super) fn warn_about(trusted: &TrustedSignature, statement: &Statement, printer: Printer) {
    for warning in warnings(trusted, statement) {
        printer.warning(warning);
    }
    for rejected in trusted.rejected() {
        printer.detail(format_args!("{}: {}", rejected.location.display(), rejected.error));
    }
}

/// What the policy let pass.
pub(super) fn warnings(trusted: &TrustedSignature, statement: &Statement) -> Vec<String> {
    let mut warnings = Vec::new();
    for check in trusted.checks().iter().filter(|check| check.is_logged_failure()) {
        warnings.push(format!(
            "{} was set to \"log\" and failed with error: {}",
            check.id, check.evidence
        ));
    }
    if trusted.level() != LevelName::Strict {
        let names: Vec<_> = statement.level().unenforced().map(|kind| kind.as_str()).collect();
        if !names.is_empty() {
            warnings.push(format!(
                "trust policy statement {:?} has level {} and does not enforce {}",
                statement.name(),
                trusted.level(),
                names.join(", ")
            ));
        }
    }
    warnings.extend(trusted.content().chain().warnings().iter().map(ToString::to_string));
    warnings
}

/// Says that a signature is trusted: of what, whose it is, by which policy, and what was checked.
pub(super) fn print_trusted(
    printer: Printer,
    what: &str,
    trusted: &TrustedSignature,
    policy: &PolicyInfo<'_>,
) -> Result<(), Failure> {
    if printer.verbosity() == Verbosity::Quiet {
        return Ok(printer.line(&trusted.subject().digest)?);
    }
    for check in trusted.checks() {
        let status = check.status.as_str();
        printer.detail(format_args!("{}: {status}: {}", check.id, check.evidence));
    }
    print_verified(printer, what)?;
    print_metadata(printer, trusted)?;
    if trusted.cosigners().is_empty() {
        printer.note(format_args!("signer: {}", trusted.signer()));
    } else {
        let all = std::iter::once(trusted).chain(trusted.cosigners());
        for (i, each) in all.enumerate() {
            printer.note(format_args!("signer {}: {}", i + 1, each.signer()));
        }
    }
    printer.note(policy.describe());
    printer.note(format_args!("checked: {}", checked(trusted)));
    Ok(())
}

/// The verdict on what is trusted, in notation's words.
pub(super) fn print_verified(printer: Printer, what: impl Display) -> Result<(), Failure> {
    let verdict = "Successfully verified signature";
    Ok(printer.verdict(Tone::Good, verdict, format_args!(" for {what}"))?)
}

/// The checks that passed, and those that the policy left out or let fail.
fn checked(trusted: &TrustedSignature) -> String {
    let of = |status: CheckStatus| {
        let checks = trusted.checks().iter().filter(move |check| check.status == status);
        checks.map(|check| check.id.as_str()).collect::<Vec<_>>().join(", ")
    };
    let mut text = of(CheckStatus::Passed);
    for (status, words) in [(CheckStatus::Failed, "failed"), (CheckStatus::Skipped, "not checked")]
    {
        let names = of(status);
        if !names.is_empty() {
            text = format!("{text}; {words}: {names}");
        }
    }
    text
}

/// The signed metadata, if there is any, as notation shows it.
pub(super) fn print_metadata(printer: Printer, trusted: &TrustedSignature) -> Result<(), Failure> {
    let metadata = trusted.content().payload().annotations();
    if metadata.is_empty() {
        return Ok(());
    }
    let header = vec!["KEY".to_owned(), "VALUE".to_owned()];
    let pairs = metadata.iter().map(|(key, value)| vec![key.clone(), value.clone()]);
    let rows: Vec<_> = std::iter::once(header).chain(pairs).collect();
    Ok(printer.text(&format!(
        "\nThe artifact was signed with the following user metadata.\n\n{}",
        table(&rows)
    ))?)
}

/// Says that an archive holds more than what was verified.
pub(super) fn warn_about_others(subject: &Subject, printer: Printer) {
    let notes = subject.image.iter().flat_map(|image| &image.notes);
    for note in notes.filter(|note| matches!(note, Note::OtherImages(_))) {
        printer.warning(format_args!("{note}, nothing is known of them"));
    }
}

/// Says how far the verdict reaches: to all of the image, or only to the platforms in it.
pub(super) fn say_what_was_hashed(subject: &Subject, is_all: bool, printer: Printer) {
    for blob in subject.blobs() {
        let (digest, by) = (&blob.descriptor.digest, blob.by);
        printer.detail(format_args!("content: {digest}: {} by {by}", blob.member));
    }
    match subject.content {
        ContentSeen::Full if !is_all => {
            printer.note(
                "content: every byte of the platforms was hashed and is what is signed; \
                 the index and what else is in it was not verified",
            );
        }
        ContentSeen::Full => {
            let bound = bound(subject.blobs());
            printer.note(format_args!(
                "content: every byte of the image was hashed and is what is signed (blobs {bound})"
            ));
        }
        ContentSeen::Manifest if !subject.blobs().is_empty() => {
            printer.note("content: only the manifest was checked, the layers were not hashed");
        }
        ContentSeen::Manifest => {}
        ContentSeen::No => {
            printer.note("the descriptor was verified only, content was not hashed");
        }
    }
}

/// How many blobs there are, and what ties them to the manifest.
fn bound(blobs: &[BoundBlob]) -> String {
    let count = |by| blobs.iter().filter(|blob| blob.by == by).count();
    let parts = [
        ("digest", count(BoundBy::Digest)),
        ("digest once compressed", count(BoundBy::Compression)),
        ("DiffID", count(BoundBy::DiffId)),
    ];
    let parts = parts.iter().filter(|(_, count)| *count > 0);
    parts.map(|(by, count)| format!("by {by}: {count}")).collect::<Vec<_>>().join(", ")
}

pub(super) fn print_skipped(
    printer: Printer,
    what: &str,
    subject: &Descriptor,
    policy: &PolicyInfo<'_>,
) -> Result<(), Failure> {
    printer.warning(format_args!(
        "trust policy statement {:?} has level skip: nothing was verified",
        policy.statement
    ));
    printer.note(policy.describe());
    printer.json(report::skipped(subject, policy))?;
    let verdict = "Trust policy is configured to skip signature verification";
    Ok(printer.verdict(Tone::Warning, verdict, format_args!(" for {what}"))?)
}

/// Shows a report as a tree; its first word is the verdict.
pub(super) fn print_tree(printer: Printer, what: &str, report: &Value) -> Result<(), Failure> {
    let tree = tree(what, report).render();
    let verdict = text(&report["verdict"]);
    let tone = match verdict.as_str() {
        "trusted" => Tone::Good,
        "skipped" => Tone::Warning,
        _ => Tone::Bad,
    };
    let rest = tree.strip_prefix(&verdict).unwrap_or(&tree);
    Ok(printer.verdict_tree(tone, &verdict, rest.trim_end_matches('\n'))?)
}

/// A report as a tree.
fn tree(what: &str, report: &Value) -> Tree {
    let verdict = text(&report["verdict"]);
    let label = match what {
        "" => verdict,
        what => format!("{verdict}: {what}"),
    };
    let mut nodes = vec![];
    for (name, label) in [("mediaType", "media type"), ("size", "size")] {
        nodes.extend(report["subject"].get(name).map(|value| Tree::leaf(label, text(value))));
    }
    if let Some(reason) = report.get("reason") {
        nodes.push(Tree::leaf("reason", text(reason)));
    }
    let policy = &report["policy"];
    if policy.is_object() {
        nodes.push(Tree::new(
            format!("policy: statement {:?}", text(&policy["statement"])),
            vec![
                Tree::leaf("level", text(&policy["level"])),
                Tree::leaf("file", text(&policy["path"])),
            ],
        ));
    }
    let signatures = std::iter::once(&report["signature"]).chain(list(&report["cosigners"]));
    let mut signatures: Vec<_> = signatures.filter(|it| it.is_object()).map(signature).collect();
    if let Some(first) = signatures.first_mut() {
        list(&report["checks"]).map(check).for_each(|check| first.push(check));
    }
    nodes.extend(signatures);
    let rejected = list(&report["rejected"]);
    nodes.extend(rejected.map(|it| {
        let reason = vec![Tree::leaf("reason", text(&it["reason"]))];
        Tree::new(format!("signature, not counted: {}", text(&it["location"])), reason)
    }));
    let content = &report["content"];
    if content.is_object() {
        let blobs = list(&content["blobs"]).map(blob).collect();
        nodes.push(Tree::new(format!("content: {}", text(&content["checked"])), blobs));
    }
    nodes.extend(list(&report["manifests"]).map(|each| {
        let name = format!("{} {}", text(&each["kind"]), text(&each["subject"]["digest"]));
        tree(&name, each)
    }));
    Tree::new(label, nodes)
}

fn signature(signature: &Value) -> Tree {
    let leaf = |(name, label): (&str, &str)| {
        let value = signature.get(name).filter(|value| !value.is_null())?;
        Some(Tree::leaf(label, text(value)))
    };
    let mut nodes: Vec<_> = [
        ("signer", "signer"),
        ("signingScheme", "signing scheme"),
        ("signingTime", "signing time"),
        ("expiry", "expiry"),
    ]
    .into_iter()
    .filter_map(leaf)
    .collect();
    let metadata = signature["userMetadata"].as_object();
    nodes.extend(metadata.into_iter().flatten().map(|(key, value)| Tree::leaf(key, text(value))));
    Tree::new(format!("signature: {}", text(&signature["location"])), nodes)
}

fn check(check: &Value) -> Tree {
    let (status, action) = (text(&check["status"]), text(&check["action"]));
    Tree::leaf(format!("{} {status} ({action})", text(&check["id"])), text(&check["evidence"]))
}

fn blob(blob: &Value) -> Tree {
    let mut nodes = vec![
        Tree::leaf("media type", text(&blob["mediaType"])),
        Tree::leaf("size", text(&blob["size"])),
        Tree::leaf("read from", text(&blob["member"])),
    ];
    if !blob["diffId"].is_null() {
        nodes.push(Tree::leaf("DiffID", text(&blob["diffId"])));
    }
    nodes.push(Tree::leaf("bound by", text(&blob["boundBy"])));
    Tree::new(text(&blob["digest"]), nodes)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
