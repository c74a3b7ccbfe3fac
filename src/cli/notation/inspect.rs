//! `notation inspect` and `notation blob inspect`. Nothing that is shown is verified.

use std::path::Path;

use serde_json::{Map, json};

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::inspect::{SIGNATURE_TYPE, View};
use crate::cli::tree::Tree;
use crate::fsutil;
use crate::signature::envelope::Envelope;
use crate::store::{MAX_ENVELOPE_BYTES, SignatureStore as _};

use super::flags::{RegistryFlags, envelope_format, only};
use super::list::warn_of_limit;
use super::offline::Reference;
use super::texts::{reworded, unreadable_file};
use super::verify::max_signatures;

/// The form of the output.
#[derive(Debug, clap::Args)]
struct OutputFlags {
    /// Output format, options: 'json', 'tree'
    #[arg(long, short, value_name = "string", default_value = "tree")]
    output: String,
}

impl OutputFlags {
    /// Whether it is JSON. notation 1.3 calls the tree `text`.
    fn is_json(&self) -> Result<bool, Failure> {
        match self.output.as_str() {
            "json" => Ok(true),
            "tree" | "text" => Ok(false),
            other => Err(Failure::usage(format!("unrecognized output format {other}"))),
        }
    }
}

/// Arguments of `notation inspect`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "notation inspect [reference] [flags]",
    after_help = "Example:
  notation inspect --output json <registry>/<repository>@<digest>

No registry is asked: the signatures are those of the signature cache."
)]
pub(super) struct InspectArgs {
    #[arg(value_name = "reference")]
    arguments: Vec<String>,
    #[command(flatten)]
    output: OutputFlags,
    /// Maximum number of signatures to evaluate or examine
    #[arg(long, value_name = "int", default_value = "100", value_parser = super::usage::parse_int)]
    max_signatures: i64,
    #[command(flatten)]
    registry: RegistryFlags,
}

impl InspectArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let missing = "missing reference to the artifact: use `notation inspect --help` to see \
                       what parameters are required";
        let reference = only(&self.arguments, missing)?;
        let limit = max_signatures(self.max_signatures)?;
        let is_json = self.output.is_json()?;
        self.registry.refuse("notation inspect", &[])?;
        let reference = Reference::parse(reference)?;
        let printed = format!("{}@{}", reference.repository, reference.digest()?);
        let cached = reference.cached(context)?;
        let mut views = Vec::new();
        for signature in cached.signatures.iter().take(limit) {
            let name = signature.digest.as_ref().map(ToString::to_string).unwrap_or_default();
            match cached.store.read(signature).map_err(Failure::from).and_then(|it| View::new(&it))
            {
                Ok(view) => views.push((name, view)),
                Err(failure) => {
                    context.printer.warning(format_args!("{name}: {}", failure.message))
                }
            }
        }
        let printer = context.printer;
        if is_json {
            let signatures: Vec<_> = views
                .iter()
                .map(|(name, view)| {
                    view.json([("digest".to_owned(), name.as_str().into())].into_iter().collect())
                })
                .collect();
            let media_type = cached.subjects().into_iter().next().map(|it| it.media_type);
            let document = json!({"mediaType": media_type, "signatures": signatures});
            printer.line(format_args!("{document:#}"))?;
        } else {
            let nodes = views.iter().map(|(name, view)| Tree::new(name, view.tree())).collect();
            let tree = Tree::new(printed, vec![Tree::new(SIGNATURE_TYPE, nodes)]);
            printer.line("Inspecting all signatures for signed artifact")?;
            printer.data(tree.render().as_bytes())?;
        }
        warn_of_limit(context, cached.signatures.len(), limit);
        Ok(())
    }
}

/// Arguments of `notation blob inspect`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "notation blob inspect [flags] <signature_path>",
    after_help = "Example:
  notation blob inspect blob.cose.sig"
)]
pub(super) struct InspectBlobArgs {
    #[arg(value_name = "signature_path")]
    arguments: Vec<String>,
    #[command(flatten)]
    output: OutputFlags,
}

impl InspectBlobArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let missing = "missing signature path: use `notation blob inspect --help` to see what \
                       parameters are required";
        let argument = only(&self.arguments, missing)?;
        let is_json = self.output.is_json()?;
        let path = Path::new(argument);
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let parts: Vec<_> = name.split('.').collect();
        let format = match parts.as_slice() {
            [_, .., format, "sig"] => envelope_format(&format.to_lowercase())?,
            _ => return Err(Failure::usage(format!("invalid signature filename: {name}"))),
        };
        let bytes = fsutil::read_bounded(path, MAX_ENVELOPE_BYTES)
            .map_err(|error| unreadable_file("failed to read signature file: ", error))?;
        let parsed = |failure: Failure| {
            let message = format!("failed to parse signature: {}", failure.message);
            Failure { exit: Exit::Malformed, ..reworded(failure, message) }
        };
        Envelope::decode(&bytes, format).map_err(|error| parsed(error.into()))?;
        let view = View::new(&bytes).map_err(parsed)?;
        if is_json {
            return Ok(context.printer.line(format_args!("{:#}", view.json(Map::new())))?);
        }
        let tree = Tree::new(argument, view.tree());
        Ok(context.printer.data(tree.render().as_bytes())?)
    }
}
