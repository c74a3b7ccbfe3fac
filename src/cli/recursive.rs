//! An index and what is below it: platforms and attestations, each with signatures of its own.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::image::descriptor::Descriptor;
use crate::image::media_type;
use crate::store::{NewSignature, SignatureStore};
use crate::verify::{TrustedSignature, Verdict, Verifier, VerifyError};

use super::exit::Exit;
use super::failure::Failure;
use super::output::{Printer, Verbosity};
use super::report::{self, PolicyInfo};
use super::subject::Subject;
use super::verdict::print_verified;

/// Which manifests have to be signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(super) enum Reach {
    /// The index and everything below it that is here
    All,
    /// Every platform that is here, whether the index is signed or not
    Platforms,
}

impl Reach {
    /// What reports call the image itself: an index that may be anybody's is not what was verified.
    pub(super) fn member(self, image: &Descriptor) -> &'static str {
        if self.is_all(image) { "subject" } else { "index" }
    }

    /// Whether the image itself is verified, not only what is below it.
    pub(super) fn is_all(self, image: &Descriptor) -> bool {
        self == Self::All || !media_type::is_index(&image.media_type)
    }
}

/// A manifest or an index of an image.
#[derive(Clone, Debug)]
struct Part {
    /// Which one.
    descriptor: Descriptor,
    /// Whether it is here: images are often pulled for one platform only.
    is_here: bool,
}

impl Part {
    /// The parts of an image that have to be signed.
    fn of(subject: &Subject, reach: Reach) -> Result<Vec<Self>, Failure> {
        let below = subject.below()?;
        let top = Self { descriptor: subject.descriptor.clone(), is_here: true };
        let all = std::iter::once(top)
            .chain(below.into_iter().map(|(descriptor, is_here)| Self { descriptor, is_here }));
        let mut seen = HashSet::new();
        let reached = all.filter(|part| reach == Reach::All || part.is_platform());
        // An index may name one more than once; it is one all the same.
        Ok(reached.filter(|part| seen.insert(part.descriptor.digest.clone())).collect())
    }

    fn is_platform(&self) -> bool {
        media_type::is_manifest(&self.descriptor.media_type) && !self.descriptor.is_for_nobody()
    }

    /// What it is, for people.
    fn kind(&self) -> String {
        if media_type::is_index(&self.descriptor.media_type) {
            return "index".to_owned();
        }
        if self.descriptor.is_for_nobody() {
            return "attestation".to_owned();
        }
        match &self.descriptor.platform {
            Some(platform) => platform.to_string(),
            None => "manifest".to_owned(),
        }
    }
}

/// Signs every part that is here, with what `make` makes. Nothing is stored before all are signed.
pub(super) fn sign(
    subject: &Subject,
    make: &dyn Fn(&Descriptor) -> Result<NewSignature, Failure>,
    store: &dyn SignatureStore,
    printer: Printer,
) -> Result<(), Failure> {
    let mut signed = Vec::new();
    for part in Part::of(subject, Reach::All)? {
        if part.is_here {
            let envelope = make(&part.descriptor)?;
            signed.push((part, envelope));
        } else {
            let (kind, digest) = (part.kind(), &part.descriptor.digest);
            printer.warning(format_args!("{kind} {digest} is not here and was not signed"));
        }
    }
    let mut report = Vec::new();
    for (part, envelope) in &signed {
        let added = store.add(&part.descriptor, envelope)?;
        report.push(json!({
            "kind": part.kind(),
            "subject": part.descriptor,
            "signature": {"location": added.location, "digest": added.digest},
        }));
    }
    printer.json(json!({
        "verdict": "signed",
        "subject": subject.descriptor,
        "manifests": report,
    }))?;
    for (part, _) in &signed {
        if printer.verbosity() == Verbosity::Quiet {
            printer.line(&part.descriptor.digest)?;
        } else {
            let reference = subject.reference_of(&part.descriptor);
            printer.line(format_args!("Successfully signed {reference} ({})", part.kind()))?;
        }
    }
    Ok(())
}

/// Verifies every part. Nothing is called verified before all are.
pub(super) fn verify(
    verifier: &Verifier<'_>,
    subject: &Subject,
    reach: Reach,
    store: &dyn SignatureStore,
    policy: &PolicyInfo<'_>,
    printer: Printer,
) -> Result<Vec<TrustedSignature>, Failure> {
    let parts = Part::of(subject, reach)?;
    let mut answers = Vec::new();
    for part in parts {
        let answer = part.is_here.then(|| verifier.verify(&part.descriptor, store));
        answers.push((part, answer));
    }
    let failed = answers.iter().filter(|(_, answer)| matches!(answer, Some(Err(_)))).count();
    let verified = answers.iter().filter(|(_, answer)| matches!(answer, Some(Ok(_)))).count();
    let is_good = failed == 0 && verified > 0;
    let manifests: Vec<_> =
        answers.iter().map(|(part, answer)| json(part, answer, policy)).collect();
    let mut report = json!({
        "verdict": if is_good { "trusted" } else { "denied" },
        "content": report::content(subject),
        "manifests": manifests,
    });
    report[reach.member(&subject.descriptor)] = json!(subject.descriptor);
    if !is_good {
        return Err(failure(subject, answers, failed).with_report(report));
    }
    printer.json(report)?;
    let mut trusted = Vec::new();
    for (part, answer) in answers {
        let (kind, digest) = (part.kind(), &part.descriptor.digest);
        match answer {
            Some(Ok(Verdict::Trusted(signature))) => {
                if printer.verbosity() == Verbosity::Quiet {
                    printer.line(digest)?;
                } else {
                    let reference = subject.reference_of(&part.descriptor);
                    print_verified(printer, format_args!("{reference} ({kind})"))?;
                }
                trusted.push(*signature);
            }
            _ => printer.note(format_args!("{kind} {digest} is not here, nothing was verified")),
        }
    }
    Ok(trusted)
}

fn json(
    part: &Part,
    answer: &Option<Result<Verdict, VerifyError>>,
    policy: &PolicyInfo<'_>,
) -> Value {
    let mut report = match answer {
        Some(Ok(Verdict::Trusted(trusted))) => report::trusted(trusted, policy),
        Some(Ok(Verdict::Skipped)) => report::skipped(&part.descriptor, policy),
        Some(Err(error)) => report::denied(&part.descriptor, policy, error),
        None => json!({"verdict": "absent", "subject": part.descriptor}),
    };
    report["kind"] = json!(part.kind());
    report
}

/// Every part that failed, with the exit code of the first.
fn failure(
    subject: &Subject,
    answers: Vec<(Part, Option<Result<Verdict, VerifyError>>)>,
    failed: usize,
) -> Failure {
    let count = answers.iter().filter(|(part, _)| part.is_here).count();
    let mut details = Vec::new();
    let mut first: Option<VerifyError> = None;
    for (part, answer) in answers {
        let (kind, digest) = (part.kind(), &part.descriptor.digest);
        match answer {
            Some(Ok(_)) => details.push(format!("{kind} {digest}: verified")),
            None => details.push(format!("{kind} {digest}: not here")),
            Some(Err(error)) => {
                details.push(format!("{kind} {digest}: {error}"));
                first.get_or_insert(error);
            }
        }
    }
    let what = subject.reference();
    let mut failure = match first {
        Some(error) => {
            let mut failure = Failure::from(error);
            failure.message = format!("{failed} of {count} manifests of {what} are not verified");
            failure
        }
        None => Failure::new(
            Exit::NoSignature,
            format!("nothing of {what} that would have to be signed is here"),
        ),
    };
    failure.details = details;
    failure
}
