//! References into OCI layouts, with notation's texts.

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::image::descriptor::Descriptor;
use crate::store::layout::{LayoutError, LayoutReference, LayoutTarget, OciLayout};

use super::texts::{go_error, reworded};

/// Something in a layout.
pub(super) struct Target {
    pub(super) layout: OciLayout,
    reference: LayoutReference,
}

/// What a reference in a layout stands for.
pub(super) struct Resolved {
    pub(super) descriptor: Descriptor,
    /// `path@digest`.
    pub(super) printed: String,
    /// Whether the reference was a tag, of which the user was warned.
    pub(super) warned: bool,
}

impl Target {
    /// Opens the layout of `path:tag` or `path@digest`.
    pub(super) fn open(text: &str) -> Result<Self, Failure> {
        let reference = LayoutReference::parse(text).map_err(|error| {
            let invalid = |reason: &str| {
                format!(
                    "{text:?}: invalid reference: {reason}. Expecting <file_path>:<tag> or \
                     <file_path>@<digest>"
                )
            };
            let message = match (text.contains('@'), text.starts_with([':', '@'])) {
                (_, true) => invalid("missing oci-layout file path"),
                // What no digest is can't be found.
                (true, _) => "failed to get manifest descriptor: not found".to_owned(),
                _ => invalid("missing tag or digest"),
            };
            reworded(error.into(), message)
        })?;
        let open = |error: LayoutError| {
            let reason = match std::fs::metadata(&reference.path) {
                Err(missing) => go_error("stat", &reference.path, &missing),
                Ok(found) if !found.is_dir() => "the input path is not a directory".to_owned(),
                Ok(_) => error.to_string(),
            };
            reworded(error.into(), format!("failed to create OCI store: {reason}"))
        };
        let layout = OciLayout::open(&reference.path).map_err(open)?;
        Ok(Self { layout, reference })
    }

    /// Finds the manifest; that a tag was used is warned of, with `verb` in the warning.
    pub(super) fn resolve(&self, context: &Context, verb: Verb) -> Result<Resolved, Failure> {
        let manifest = self.layout.resolve(&self.reference.target).map_err(|error| {
            let reason = match &error {
                LayoutError::NoTag { .. } | LayoutError::NoDigest { .. } => "not found".to_owned(),
                error => error.to_string(),
            };
            reworded(error.into(), format!("failed to get manifest descriptor: {reason}"))
        })?;
        let warned = match &self.reference.target {
            LayoutTarget::Tag(tag) => {
                context.printer.warning(verb.about_tag(tag));
                true
            }
            LayoutTarget::Digest(_) => false,
        };
        let descriptor = manifest.descriptor;
        let printed = format!("{}@{}", self.reference.path.display(), descriptor.digest);
        Ok(Resolved { descriptor, printed, warned })
    }
}

/// What is done with a reference.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verb {
    Sign,
    Verify,
    List,
}

impl Verb {
    fn about_tag(self, tag: &str) -> String {
        let what = match self {
            Self::Sign => {
                return format!(
                    "Always sign the artifact using digest(@sha256:...) rather than a tag(:{tag}) \
                     because tags are mutable and a tag reference can point to a different \
                     artifact than the one signed."
                );
            }
            Self::Verify => "verify",
            Self::List => "list",
        };
        format!(
            "Always {what} the artifact using digest(@sha256:...) rather than a tag(:{tag}) because \
             resolved digest may not point to the same signed artifact, as tags are mutable."
        )
    }
}
