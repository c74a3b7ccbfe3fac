//! `dockseal verify` of several images: side by side, each shared layer hashed once, one summary.
//!
//! ```text
//! arguments, patterns ─┐
//! lists                ├─ targets ── threads ── outcomes in the order of the targets ── summary
//! Compose, Kubernetes ─┘              │
//!                                     └─ one memo of what was hashed (content::archive::Memo)
//! ```
//!
//! What is said does not depend on how many threads there are: outcomes are told in the order of
//! the targets, and after `--fail-fast` everything behind the first target that fails counts as not
//! tried, even if a thread had begun with it.

mod junit;
mod outcome;
mod shelf;
mod targets;
mod workloads;
mod yaml;

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::content::archive::Memo;
use crate::fsutil;
use crate::image::hint::Hint;
use crate::image::media_type;
use crate::trust::policy::Statement;
use crate::verify::{Verdict as Answer, Verifier};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Format, Verbosity};
use super::recursive::Reach;
use super::report;
use super::source::Shared;
use super::subject::Subject;
use super::verdict::{denied, warnings};
use super::verify::{Grounds, VerifyArgs};

use self::outcome::{Outcome, Verdict};
use self::targets::{Store, Target, targets};

// Arguments of `dockseal verify`: those of one image, and what goes with several.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("source", |arg| arg.index(1).required_unless_present("from")),
    after_help = "Examples:
  dockseal verify image.tar --signature image.sig
  dockseal verify 'images/*.tar' --junit report.xml
  dockseal verify --from images.txt --fail-fast -j 4
  dockseal verify --from compose.yaml --store docker-daemon
  kubectl get pods -A -o yaml | dockseal verify --from - --store containerd --namespace k8s.io
  dockseal verify --from deploy.yaml --store /media/usb/images --format json"
)]
pub(super) struct VerifyManyArgs {
    /// Further images; each may be a pattern such as 'images/*.tar'
    #[arg(value_name = "SOURCE", index = 2)]
    others: Vec<String>,
    #[command(flatten)]
    verify: VerifyArgs,
    #[command(flatten, next_help_heading = "Options for several images")]
    many: ManyArgs,
}

#[derive(Debug, clap::Args)]
struct ManyArgs {
    /// List of images, or - for standard input; repeatable. A SOURCE or pattern in each line, #
    /// begins a comment; or a Compose file or Kubernetes manifests, with --store
    #[arg(long, value_name = "FILE", conflicts_with = "descriptor")]
    from: Vec<PathBuf>,
    /// Where the images are that lists name: docker-daemon, containerd, or a directory of archives
    /// and layouts
    #[arg(long, value_name = "STORE", requires = "from")]
    store: Option<Store>,
    /// Stop at the first image that is not trusted [default: go on]
    #[arg(long)]
    fail_fast: bool,
    /// Write the verdicts as JUnit XML, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

impl VerifyManyArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let own = self.verify.source();
        let sources: Vec<&str> =
            own.into_iter().chain(self.others.iter().map(String::as_str)).collect();
        let is_one = self.many.from.is_empty() && self.others.is_empty();
        let is_plain = || own.is_none_or(|own| !own.contains(['*', '?', '[']));
        if is_one && self.many.junit.is_none() && is_plain() {
            return self.verify.run(context);
        }
        if own.is_none() && self.many.from.is_empty() {
            return Err(Failure::usage("--junit reports on images, not on a descriptor"));
        }
        let store = self.many.store.as_ref();
        let image = self.verify.image_args();
        let targets = targets(&sources, &self.many.from, store, image, context)?;
        let grounds = self.verify.grounds(context)?;
        let statement = self.verify.statement(&grounds.loaded.policy)?;
        context.printer.note(grounds.policy(statement).describe());
        let outcomes = self.verify_all(&targets, &grounds, context)?;
        self.report(&outcomes, context)
    }

    /// Verifies all targets, and tells of each as soon as those before it are done.
    fn verify_all(
        &self,
        targets: &[Target],
        grounds: &Grounds,
        context: &Context,
    ) -> Result<Vec<Outcome>, Failure> {
        let statement = self.verify.statement(&grounds.loaded.policy)?;
        let image = self.verify.image_args();
        let threads = image.threads().get();
        let workers = threads.min(targets.len());
        let share = NonZero::new(threads / workers).unwrap_or(NonZero::<usize>::MIN);
        let bar = image.bar(context);
        let shared = Shared { memo: Arc::new(Memo::default()), bar: Arc::new(bar.part()) };
        let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
        let (sender, receiver) = mpsc::channel();
        let silent = Context { printer: context.printer.muted(), ..context.clone() };
        let work = |sender: mpsc::Sender<(usize, Outcome)>| {
            let verifier = grounds.verifier(statement);
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(target) = targets.get(index) else { return };
                if self.many.fail_fast && failed.load(Ordering::Relaxed) < index {
                    return;
                }
                let begun = Instant::now();
                let mut outcome =
                    self.one(target, &shared, share, (grounds, statement, &verifier), &silent);
                outcome.seconds = begun.elapsed().as_secs_f64();
                if outcome.failure.is_some() {
                    failed.fetch_min(index, Ordering::Relaxed);
                }
                if sender.send((index, outcome)).is_err() {
                    return;
                }
            }
        };
        let mut done: Vec<Option<Outcome>> = targets.iter().map(|_| None).collect();
        let mut said = BTreeSet::new();
        thread::scope(|scope| -> Result<(), Failure> {
            for _ in 0..workers {
                let sender = sender.clone();
                scope.spawn(|| work(sender));
            }
            drop(sender);
            let (mut told, mut stopped) = (0, false);
            bar.say(format!("0/{} images", targets.len()));
            for (count, (index, outcome)) in receiver.iter().enumerate() {
                done[index] = Some(outcome);
                bar.say(format!("{}/{} images", count + 1, targets.len()));
                while let Some(Some(outcome)) = done.get(told).filter(|_| !stopped) {
                    bar.hidden(|| self.tell(outcome, &mut said, context))?;
                    stopped = self.many.fail_fast && outcome.failure.is_some();
                    told += 1;
                }
            }
            Ok(())
        })?;
        bar.clear();
        let mut stopped = false;
        let outcomes = done.into_iter().zip(targets).map(|(outcome, target)| {
            let outcome = outcome.filter(|_| !stopped);
            let outcome = outcome.unwrap_or_else(|| Outcome::not_tried(target.name.clone()));
            stopped |= self.many.fail_fast && outcome.failure.is_some();
            outcome
        });
        Ok(outcomes.collect())
    }

    fn one(
        &self,
        target: &Target,
        shared: &Shared,
        share: NonZero<usize>,
        by: (&Grounds, &Statement, &Verifier<'_>),
        context: &Context,
    ) -> Outcome {
        let outcome = self.judge(target, shared, share, by, context);
        outcome.unwrap_or_else(|failure| {
            Outcome::failed(target.name.clone(), failure.hinting("verify"))
        })
    }

    fn judge(
        &self,
        target: &Target,
        shared: &Shared,
        share: NonZero<usize>,
        (grounds, statement, verifier): (&Grounds, &Statement, &Verifier<'_>),
        context: &Context,
    ) -> Result<Outcome, Failure> {
        if let Some(failure) = &target.failure {
            return Err(failure.clone());
        }
        let mut image = self.verify.image_args().sharing(shared, share);
        if let Some(name) = &target.image {
            let choice = name.parse().map_err(|error| Failure::of(Exit::Malformed, &error))?;
            image.image = Some(choice);
        }
        let args = self.verify.of(&target.source, image);
        let policy = grounds.policy(statement);
        let mut outcome = Outcome::not_tried(target.name.clone());
        let reach = args.reach().filter(|_| !statement.level().is_skip());
        let mut vouched = None;
        let subject = if let Some(reach) = reach {
            let (subject, trusted) = args.verify_below(reach, verifier, &policy, context)?;
            let each = trusted.iter().map(|each| report::trusted(each, &policy));
            outcome.report = json!({"manifests": each.collect::<Vec<_>>()});
            outcome.warnings = trusted.iter().flat_map(|it| warnings(it, statement)).collect();
            outcome.verdict = Verdict::Trusted;
            // The one that was verified, if it is one.
            if let (Reach::Platforms, [only]) = (reach, &trusted[..]) {
                vouched = Some(only.content().payload().target().digest.clone());
            }
            subject
        } else {
            let (subject, answer) = args.judge(verifier, None, context)?;
            match answer {
                Ok(Answer::Trusted(trusted)) => {
                    outcome.report = report::trusted(&trusted, &policy);
                    outcome.warnings = warnings(&trusted, statement);
                    outcome.verdict = Verdict::Trusted;
                }
                Ok(Answer::Skipped) => {
                    outcome.report = report::skipped(&subject.descriptor, &policy);
                    outcome.verdict = Verdict::Skipped;
                }
                Err(error) => {
                    let report = report::denied(&subject.descriptor, &policy, &error);
                    let failure = denied(&subject, error).hinting("verify");
                    let digest = Some(subject.descriptor.digest);
                    let failed = Outcome::failed(target.name.clone(), failure);
                    return Ok(Outcome { report, digest, ..failed });
                }
            }
            subject
        };
        has_digest(target, &subject)?;
        outcome.report[reach.map_or("subject", |it| it.member(&subject.descriptor))] =
            json!(subject.descriptor);
        outcome.report["content"] = report::content(&subject);
        outcome.digest = match reach {
            Some(Reach::Platforms) => vouched,
            _ => Some(subject.descriptor.digest),
        };
        Ok(outcome)
    }

    /// The line of an image, and why it is not trusted.
    fn tell(
        &self,
        outcome: &Outcome,
        said: &mut BTreeSet<String>,
        context: &Context,
    ) -> Result<(), Failure> {
        let printer = context.printer;
        if printer.format() == Format::Text {
            let digest = outcome.digest.as_ref().filter(|_| outcome.failure.is_none());
            let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
            let verdict = format!("{:<9}", outcome.verdict.as_str());
            if printer.verbosity() > Verbosity::Quiet || outcome.failure.is_some() {
                let rest = format_args!(" {}{digest}", outcome.name);
                printer.verdict(outcome.verdict.tone(), &verdict, rest)?;
            }
        }
        if outcome.verdict != Verdict::Error {
            self.verify.explain(&outcome.name, &outcome.json(), context)?;
        }
        for warning in &outcome.warnings {
            // What a policy lets pass it lets pass for every image.
            if said.insert(warning.clone()) {
                printer.warning(format_args!("{}: {warning}", outcome.name));
            }
        }
        if let Some(failure) = &outcome.failure {
            let hint = failure.hint();
            let message = match failure.message.strip_prefix(&outcome.name) {
                Some(rest) if rest.starts_with(": ") => failure.message.clone(),
                _ => format!("{}: {}", outcome.name, failure.message),
            };
            printer.error(message, &failure.details, hint.as_deref());
        }
        Ok(())
    }

    /// The summary, in every form that is wanted, and the exit code.
    fn report(&self, outcomes: &[Outcome], context: &Context) -> Result<(), Failure> {
        let printer = context.printer;
        let count = |verdict| outcomes.iter().filter(|it| it.verdict == verdict).count();
        let exits = outcomes.iter().filter_map(|outcome| outcome.failure.as_ref());
        let exit = Exit::most_severe(exits.map(|failure| failure.exit));
        if let Some(path) = &self.many.junit {
            let mut file = fsutil::AtomicFile::create(path, fsutil::Mode::Public)?;
            junit::write(outcomes, &mut file)?;
            file.commit()?;
        }
        let mut report = Value::Null;
        if printer.format() == Format::Json {
            let mut summary = json!({"images": outcomes.len()});
            for verdict in Verdict::ALL {
                summary[verdict.as_str()] = json!(count(verdict));
            }
            let verdict = match exit {
                Exit::Ok if count(Verdict::Trusted) == 0 => Verdict::Skipped,
                Exit::Ok => Verdict::Trusted,
                _ => Verdict::Denied,
            };
            let images: Vec<_> = outcomes.iter().map(Outcome::json).collect();
            report = json!({
                "verdict": verdict.as_str(),
                "summary": summary,
                "images": images,
            });
        } else if printer.verbosity() > Verbosity::Quiet {
            for outcome in outcomes.iter().filter(|it| it.verdict == Verdict::NotTried) {
                let rest = format_args!(" {}", outcome.name);
                printer.verdict(outcome.verdict.tone(), "not tried", rest)?;
            }
            let counts = Verdict::ALL.map(|verdict| (count(verdict), verdict.as_str()));
            let counts = counts.iter().filter(|(count, _)| *count > 0);
            let counts: Vec<_> =
                counts.map(|(count, name)| format!("{count} {}", name.replace('-', " "))).collect();
            let images = if outcomes.len() == 1 { "image" } else { "images" };
            printer.line(format_args!("{} {images}: {}", outcomes.len(), counts.join(", ")))?;
        }
        let bad = outcomes.len() - count(Verdict::Trusted) - count(Verdict::Skipped);
        match exit {
            Exit::Ok => Ok(printer.json(report)?),
            exit => Err(Failure::new(
                exit,
                format!("{bad} of {} images are not verified", outcomes.len()),
            )
            .with_report(report)
            .with_hint(hint_of(outcomes, exit))),
        }
    }
}

/// What helps to have the images: what helps with the first that is not there.
fn hint_of(outcomes: &[Outcome], exit: Exit) -> Option<Hint> {
    let failures = outcomes.iter().filter_map(|outcome| outcome.failure.as_ref());
    let mut unavailable = failures.filter(|failure| failure.exit == exit);
    unavailable.find_map(|failure| failure.hint.clone()).filter(|_| exit == Exit::Unavailable)
}

/// An image that was asked for by digest is that one, or one in it (security.md S14).
fn has_digest(target: &Target, subject: &Subject) -> Result<(), Failure> {
    let Some(wanted) = &target.digest else { return Ok(()) };
    let own = &subject.descriptor;
    let below = subject.blobs().iter().map(|blob| &blob.descriptor).filter(|descriptor| {
        let kind = &descriptor.media_type;
        media_type::is_manifest(kind) || media_type::is_index(kind)
    });
    if std::iter::once(own).chain(below).any(|it| it.digest == *wanted) {
        return Ok(());
    }
    Err(Failure::new(Exit::ContentMismatch, "the store has another image by that name")
        .with_detail(format!("asked for: {wanted}"))
        .with_detail(format!("found:     {}", own.digest)))
}
