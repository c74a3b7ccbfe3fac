//! `dockseal digest`

use serde_json::{Value, json};

use crate::generate::{Generated, Note};
use crate::image::reference::Reference;

use super::context::Context;
use super::exit::Exit;
use super::explain;
use super::failure::Failure;
use super::output::Verbosity;
use super::progress_bar::human;
use super::report;
use super::source::{ImageArgs, Question, Source};

// Arguments of `dockseal digest`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal digest image.tar
  dockseal digest image.tar --quiet
  dockseal digest *.tar --format json
  dockseal digest image.tar --explain
  dockseal digest docker-daemon:app:1 image.tar --explain
  dockseal digest docker-daemon:app:1 --pushed")]
pub(super) struct DigestArgs {
    /// The images, as for `dockseal manifest`
    #[arg(value_name = "SOURCE", required = true)]
    sources: Vec<Source>,
    #[command(flatten)]
    image: ImageArgs,
    /// Say how the manifest came about, which bytes it speaks for, and why the digests of several
    /// sources differ
    #[arg(long)]
    explain: bool,
    /// Compare with what the engine recorded when it pushed or pulled the image [of
    /// --target-repository, if that is named]
    #[arg(long)]
    pushed: bool,
}

impl DigestArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let mut images = Vec::new();
        for source in &self.sources {
            images.push(match self.explain {
                // What it speaks for is every byte.
                true => self.image.examine(source, &Question::default(), context)?,
                false => self.image.generate(source, context)?,
            });
        }
        if self.pushed {
            for (source, image) in self.sources.iter().zip(&images) {
                self.compare(source, image)?;
            }
        }
        let printer = context.printer;
        printer.json(self.document(&images))?;
        for image in &images {
            let descriptor = &image.descriptor;
            if printer.verbosity() == Verbosity::Quiet {
                printer.line(&descriptor.digest)?;
                continue;
            }
            let (media_type, digest) = (&descriptor.media_type, &descriptor.digest);
            printer.line(format_args!("{media_type}\t{digest}\t{}", descriptor.size))?;
            if self.explain {
                explain(image, context)?;
            }
        }
        if self.explain {
            for (source, reason) in self.differences(&images) {
                printer.line(format_args!("  differs from the first: {source}: {reason}"))?;
            }
        }
        if self.pushed {
            printer.note("this is what the engine recorded");
        }
        Ok(())
    }

    /// Why the digests of the others are not that of the first.
    fn differences(&self, images: &[Generated]) -> Vec<(&Source, String)> {
        let Some((first, others)) = images.split_first() else { return Vec::new() };
        let others = self.sources.iter().skip(1).zip(others);
        others
            .flat_map(|(source, other)| {
                explain::differences(first, other).into_iter().map(move |why| (source, why))
            })
            .collect()
    }

    /// Compares with the engine's record of a push or pull.
    fn compare(&self, source: &Source, image: &Generated) -> Result<(), Failure> {
        let target = self.image.push.target().map(Reference::repository);
        let in_target = |reference: &Reference| {
            target.as_ref().is_none_or(|target| *target == reference.repository())
        };
        let recorded: Vec<Reference> = image
            .notes
            .iter()
            .filter_map(|note| match note {
                Note::Recorded(reference) => reference.parse().ok(),
                _ => None,
            })
            .filter(in_target)
            .collect();
        let is_same = |it: &Reference| it.digest().is_some_and(|it| *it == image.descriptor.digest);
        if recorded.iter().any(is_same) {
            return Ok(());
        }
        if recorded.is_empty() {
            let message = format!("{source}: the engine has no record of a push");
            let hint = "only a graph-driver engine keeps one, of a push: docker push IMAGE";
            return Err(Failure::new(Exit::Unavailable, message).with_hint(Some(hint.to_owned())));
        }
        let message = format!("{source}: the engine recorded another manifest");
        let mut failure = Failure::new(Exit::ContentMismatch, message);
        failure.details.push(format!("generated: {}", image.descriptor.digest));
        failure.details.extend(recorded.iter().map(|it| format!("recorded:  {}", it.familiar())));
        let layers = image.notes.iter().filter(|note| matches!(note, Note::Layer(_)));
        failure.details.extend(layers.map(ToString::to_string));
        let hint = "layers that were pulled keep their digests: --target-repository REPOSITORY";
        Err(failure.with_hint(Some(hint.to_owned())))
    }

    /// One image is the document itself; several are in its `images`.
    fn document(&self, images: &[Generated]) -> Value {
        let mut document = match images {
            [image] => self.json(image),
            images => json!({"images": images.iter().map(|i| self.json(i)).collect::<Vec<_>>()}),
        };
        if self.explain && images.len() > 1 {
            let differences = self.differences(images).into_iter();
            document["differences"] = differences
                .map(|(source, reason)| json!({"source": source.to_string(), "reason": reason}))
                .collect();
        }
        document
    }

    fn json(&self, image: &Generated) -> Value {
        let names: Vec<String> = image.names.iter().map(|name| name.familiar()).collect();
        let mut document = json!({
            "mediaType": image.descriptor.media_type,
            "digest": image.descriptor.digest,
            "size": image.descriptor.size,
            "names": names,
        });
        if self.explain {
            document["origin"] = json!(image.origin.to_string());
            document["notes"] = image.notes.iter().map(ToString::to_string).collect();
            document["blobs"] = image.blobs.iter().map(report::blob).collect();
        }
        document
    }
}

fn explain(image: &Generated, context: &Context) -> Result<(), Failure> {
    let printer = context.printer;
    for name in &image.names {
        printer.line(format_args!("  name    {}", name.familiar()))?;
    }
    printer.line(format_args!("  origin  {}", image.origin))?;
    for note in &image.notes {
        printer.line(format_args!("  note    {note}"))?;
    }
    for blob in &image.blobs {
        let size = human(blob.descriptor.size);
        printer.line(format_args!("  blob    {} {size}", blob.descriptor.digest))?;
        printer.line(format_args!("            {}", blob.descriptor.media_type))?;
        printer.line(format_args!("            from {}", blob.member))?;
        if let Some(diff_id) = &blob.diff_id {
            printer.line(format_args!("            DiffID {diff_id}"))?;
        }
    }
    Ok(())
}
