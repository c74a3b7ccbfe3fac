//! What is at and below a document that was given: read once, however many images are asked about.

use super::{GivenManifest, agrees};
use crate::content::archive::{Archive, ArchiveError, Walk};
use crate::image::config::ImageConfig;
use crate::image::descriptor::Descriptor;
use crate::image::manifest::{Document, Manifest};
use crate::image::media_type;

/// The manifests that an image may be of, and the indexes above them.
pub(super) struct Below {
    /// Each behind the one that names it.
    nodes: Vec<Node>,
}

struct Node {
    named: Descriptor,
    above: Option<usize>,
    /// Of an index there is none.
    manifest: Option<Manifest>,
}

impl Below {
    pub(super) fn read(
        archive: &Archive,
        given: &GivenManifest,
        walk: &mut Walk,
    ) -> Result<Self, ArchiveError> {
        let target = &given.target;
        walk.read(&target.bytes)?;
        let mut below = Self { nodes: Vec::new() };
        let named = target.descriptor.clone();
        let top = Node { named, above: None, manifest: None };
        below.add(top, target.document.clone(), 0, &Sources { archive, given }, walk)?;
        Ok(below)
    }

    fn add(
        &mut self,
        node: Node,
        document: Document,
        depth: usize,
        sources: &Sources<'_>,
        walk: &mut Walk,
    ) -> Result<(), ArchiveError> {
        walk.at_depth(depth)?;
        let own = self.nodes.len();
        match document {
            Document::Manifest(manifest) => {
                self.nodes.push(Node { manifest: Some(manifest), ..node });
            }
            Document::Index(index) => {
                self.nodes.push(node);
                for child in index.manifests {
                    let known = media_type::is_manifest(&child.media_type)
                        || media_type::is_index(&child.media_type);
                    if !known || child.artifact_type.is_some() || child.is_attestation() {
                        continue;
                    }
                    let found = sources.given.find(sources.archive, &child, walk)?;
                    let Some(raw) = found else { continue };
                    let node = Node { named: child, above: Some(own), manifest: None };
                    self.add(node, raw.document, depth + 1, sources, walk)?;
                }
            }
        }
        Ok(())
    }

    /// The descriptors from the top down to the manifest of the image with that config, and that
    /// manifest.
    pub(super) fn path_to(&self, config: &ImageConfig) -> Option<(Vec<Descriptor>, &Manifest)> {
        let found = self.nodes.iter().find_map(|node| {
            let manifest = node.manifest.as_ref()?;
            let is_it = manifest.config.digest == config.digest
                && media_type::is_config(&manifest.config.media_type)
                && node.named.platform.as_ref().is_none_or(|own| agrees(own, &config.platform));
            is_it.then_some((node, manifest))
        });
        let (node, manifest) = found?;
        let above = |node: &&Node| self.nodes.get(node.above?);
        let mut path: Vec<Descriptor> =
            std::iter::successors(Some(node), above).map(|node| node.named.clone()).collect();
        path.reverse();
        Some((path, manifest))
    }
}

/// Where documents come from.
struct Sources<'a> {
    archive: &'a Archive,
    given: &'a GivenManifest,
}
