//! `dockseal list`

use serde_json::json;

use super::context::Context;
use super::failure::Failure;
use super::image_subject::Alternative;
use super::inspect::SIGNATURE_TYPE;
use super::subject::SubjectArgs;
use super::tree::Tree;

// Arguments of `dockseal list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal list image.tar
  dockseal list --oci-layout layout:v1")]
pub(super) struct ListArgs {
    #[command(flatten)]
    subject: SubjectArgs,
}

impl ListArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let subject = self.subject.resolve_to_list(context)?;
        let found = subject.signatures(context)?.list(&subject.descriptor)?;
        // In a layout a signature goes by its manifest, elsewhere by its envelope.
        let digests: Vec<_> = found
            .iter()
            .filter_map(|each| each.manifest.as_ref().or(each.digest.as_ref()))
            .collect();
        let printer = context.printer;
        printer.json(json!({"subject": subject.descriptor, "signatures": digests}))?;
        let reference = subject.reference();
        if digests.is_empty() {
            return Ok(printer.line(format_args!("{reference} has no associated signatures"))?);
        }
        let nodes = digests.into_iter().map(|digest| Tree::new(digest, Vec::new())).collect();
        let tree = Tree::new(reference, vec![Tree::new(SIGNATURE_TYPE, nodes)]);
        printer.text(&tree.render())?;
        for other in &subject.alternatives {
            if let (Alternative::Carried(other), Some(path)) = (other, &subject.path) {
                let reference = format!("{}@{}", path.display(), other.descriptor().digest);
                printer.note(format_args!("also carried along: --oci-layout {reference}"));
            }
        }
        for each in found.iter().filter(|each| each.defect.is_some()) {
            let defect = each.defect.as_deref().unwrap_or_default();
            printer.warning(format_args!("{}: {defect}", each.location.display()));
        }
        Ok(())
    }
}
