//! `dockseal digest`

use serde_json::{Value, json};

use crate::generate::Generated;

use super::context::Context;
use super::failure::Failure;
use super::output::{Format, Verbosity};
use super::progress_bar::human;
use super::report::{self, SCHEMA_VERSION};
use super::source::{ImageArgs, Source};

/// Arguments of `dockseal digest`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal digest image.tar
  dockseal digest image.tar --quiet
  dockseal digest *.tar --format json
  dockseal digest image.tar --explain")]
pub(super) struct DigestArgs {
    /// The images, as for `dockseal manifest`
    #[arg(value_name = "SOURCE", required = true)]
    sources: Vec<Source>,
    #[command(flatten)]
    image: ImageArgs,
    /// Say how the manifest came about and which bytes it speaks for
    #[arg(long)]
    explain: bool,
}

impl DigestArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let mut images = Vec::new();
        for source in &self.sources {
            images.push(self.image.generate(source, context)?);
        }
        let printer = context.printer;
        if printer.format() == Format::Json {
            return Ok(printer.json(&self.document(&images))?);
        }
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
        Ok(())
    }

    /// One image is the document itself; several are in its `images`.
    fn document(&self, images: &[Generated]) -> Value {
        let mut document = match images {
            [image] => self.json(image),
            images => json!({"images": images.iter().map(|i| self.json(i)).collect::<Vec<_>>()}),
        };
        document["schemaVersion"] = json!(SCHEMA_VERSION);
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
