//! `notation list`

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::inspect::SIGNATURE_TYPE;
use crate::cli::tree::Tree;
use crate::store::{SignatureStore as _, StoredSignature};

use super::flags::{RegistryFlags, gate, only};
use super::layout::{Target, Verb};
use super::offline::Reference;
use super::verify::max_signatures;

/// The command, as errors name it.
const NAME: &str = "notation list";

/// Arguments of `notation list`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "notation list [flags] <reference>",
    after_help = "Example:
  NOTATION_EXPERIMENTAL=1 notation list --oci-layout <path>@<digest>"
)]
pub(super) struct ListArgs {
    #[arg(value_name = "reference")]
    arguments: Vec<String>,
    /// Maximum number of signatures to evaluate or examine
    #[arg(long, value_name = "int", default_value = "100", value_parser = super::usage::parse_int)]
    max_signatures: i64,
    // A doc comment would make a link of it.
    #[arg(long, help = "[Experimental] List signatures stored in OCI image layout")]
    oci_layout: bool,
    #[command(flatten)]
    registry: RegistryFlags,
}

impl ListArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let missing = "missing reference to the artifact: use `notation list --help` to see what \
                       parameters are required";
        let reference = only(&self.arguments, missing)?;
        gate(context, NAME, &[("oci-layout", self.oci_layout)])?;
        let limit = max_signatures(self.max_signatures)?;
        self.registry.refuse(NAME, &[])?;
        let (printed, found) = if self.oci_layout {
            let target = Target::open(reference)?;
            let resolved = target.resolve(context, Verb::List)?;
            (resolved.printed, target.layout.list(&resolved.descriptor)?)
        } else {
            let parsed = Reference::parse(reference)?;
            let printed = format!("{}@{}", parsed.repository, parsed.digest()?);
            (printed, parsed.cached(context)?.signatures)
        };
        print(context, printed, &found, limit)
    }
}

/// The tree of signatures. In a layout one goes by its manifest, in the cache by its envelope.
fn print(
    context: &Context,
    printed: String,
    found: &[StoredSignature],
    limit: usize,
) -> Result<(), Failure> {
    let names = found.iter().filter_map(|each| each.manifest.as_ref().or(each.digest.as_ref()));
    let nodes: Vec<_> = names.map(|name| Tree::new(name, Vec::new())).take(limit).collect();
    if nodes.is_empty() {
        return Ok(context.printer.line(format_args!("{printed} has no associated signatures"))?);
    }
    let tree = Tree::new(printed, vec![Tree::new(SIGNATURE_TYPE, nodes)]);
    context.printer.data(tree.render().as_bytes())?;
    for each in found {
        let defect = each.defect.as_deref().unwrap_or_default();
        if !defect.is_empty() {
            context.printer.detail(format_args!("{}: {defect}", each.location.display()));
        }
    }
    warn_of_limit(context, found.len(), limit);
    Ok(())
}

/// Says that there are more signatures than were looked at.
pub(super) fn warn_of_limit(context: &Context, found: usize, limit: usize) {
    if found > limit {
        context.printer.warning(format_args!(
            "exceeded configured limit of max signatures {limit} to examine"
        ));
    }
}
