//! Finding what `index.json` leads to, and the signatures of a manifest among it.
//!
//! The four forms of spec/notation.md §9.1:
//!
//! | form | media type | artifactType | config.mediaType | envelope |
//! |---|---|---|---|---|
//! | A | OCI manifest | absent | signature | `layers[0]` |
//! | B | OCI manifest | signature | empty | `layers[0]` |
//! | C | OCI manifest | signature | signature | `layers[0]` |
//! | D | OCI artifact manifest | signature | absent | `blobs[0]` |
//!
//! A signature manifest that can't be used is listed with its defect, so that it is reported and
//! the others still count (rule F5).

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, OnceLock};

use serde::Deserialize;

use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::image::json::{self, ReadError, Rules};
use crate::image::manifest::{MAX_BYTES, MAX_CHILDREN};
use crate::image::media_type;
use crate::store::{MAX_ENVELOPE_BYTES, MAX_LISTED, StoredSignature};

use super::{LayoutError, OciLayout, SIGNATURE_TYPE};

/// Media type of artifact manifests (form D).
const ARTIFACT_MANIFEST: &str = "application/vnd.oci.artifact.manifest.v1+json";

/// Annotation of the entry of a signature in `index.json`.
const THUMBPRINT: &str = "io.cncf.notary.x509chain.thumbprint#S256";

/// Most manifests and indexes of a layout that are read.
const MAX_NODES: usize = MAX_CHILDREN;

/// Most bytes of them: many small ones, or some that are as large as one may be.
const MAX_NODE_BYTES: u64 = 256 << 20;

const RULES: Rules = Rules {
    max_bytes: MAX_BYTES,
    max_depth: 32,
    known: &[
        "artifactType",
        "blobs",
        "config",
        "digest",
        "layers",
        "manifests",
        "mediaType",
        "size",
        "subject",
    ],
    free_maps: &["annotations"],
};

/// A manifest or an index, as far as it leads on.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::store) struct Node {
    pub(in crate::store) media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    blobs: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    pub(in crate::store) subject: Option<Descriptor>,
    #[serde(default)]
    pub(in crate::store) annotations: Option<BTreeMap<String, String>>,
}

impl Node {
    pub(in crate::store) fn parse(bytes: &[u8]) -> Result<Self, ReadError> {
        json::read(bytes, &RULES)
    }

    pub(in crate::store) fn is_signature(&self) -> bool {
        let config = self.config.as_ref().map(|config| config.media_type.as_str());
        self.artifact_type.as_deref() == Some(SIGNATURE_TYPE) || config == Some(SIGNATURE_TYPE)
    }

    /// The one envelope, or why there is not one.
    pub(in crate::store) fn envelope(&self, media_type: &str) -> Result<&Descriptor, String> {
        if self.media_type.as_deref().is_some_and(|own| own != media_type) {
            return Err("its media type is not the one of its descriptor".to_owned());
        }
        let blobs = match media_type {
            ARTIFACT_MANIFEST => &self.blobs,
            _ => &self.layers,
        };
        match blobs.as_deref().unwrap_or_default() {
            [envelope] if envelope.size > MAX_ENVELOPE_BYTES => {
                Err(format!("its envelope is larger than {MAX_ENVELOPE_BYTES} bytes"))
            }
            [envelope] => Ok(envelope),
            others => Err(format!("it has {} layers, expected one", others.len())),
        }
    }
}

/// A signature, and whose it is. Of one that can't be read nobody knows, so it may be anybody's.
#[derive(Debug)]
pub(super) struct Signed {
    subject: Option<Descriptor>,
    signature: StoredSignature,
}

impl OciLayout {
    /// The signatures of `subject`, in the order in which `index.json` leads to them.
    pub(super) fn signatures_of(
        &self,
        subject: &Descriptor,
    ) -> Result<Vec<StoredSignature>, LayoutError> {
        let signatures = self.signatures()?;
        let is_of = |it: &&Signed| it.subject.as_ref().is_none_or(|it| it.same_content(subject));
        let found = signatures.iter().filter(is_of).take(MAX_LISTED);
        Ok(found.map(|it| it.signature.clone()).collect())
    }

    /// All signatures. An archive is read once, and is the same for every subject.
    fn signatures(&self) -> Result<Arc<[Signed]>, LayoutError> {
        let known = self.files.signatures();
        if let Some(signatures) = known.and_then(OnceLock::get) {
            return Ok(Arc::clone(signatures));
        }
        let mut found = Vec::new();
        self.walk(|descriptor, node| found.extend(self.signature(descriptor, node)))?;
        let found: Arc<[Signed]> = found.into();
        Ok(match known {
            Some(known) => Arc::clone(known.get_or_init(|| found)),
            None => found,
        })
    }

    fn signature(
        &self,
        descriptor: &Descriptor,
        node: Result<&Node, &LayoutError>,
    ) -> Option<Signed> {
        let stored = |envelope: Option<&Descriptor>, defect: Option<String>| StoredSignature {
            location: format!("{}@{}", self.root().display(), descriptor.digest).into(),
            manifest: Some(descriptor.digest.clone()),
            digest: envelope.map(|envelope| envelope.digest.clone()),
            size: envelope.map(|envelope| envelope.size),
            media_type: envelope.map(|envelope| envelope.media_type.clone()),
            annotations: node.ok().and_then(|node| node.annotations.clone()).unwrap_or_default(),
            defect,
        };
        match node {
            // Whose signature it is, only the manifest would say.
            Err(error) => looks_like_signature(descriptor).then(|| {
                let signature = stored(None, Some(error.to_string()));
                Signed { subject: None, signature }
            }),
            Ok(node) => {
                let subject = Some(node.subject.clone().filter(|_| node.is_signature())?);
                let signature = match node.envelope(&descriptor.media_type) {
                    Ok(envelope) => stored(Some(envelope), None),
                    Err(defect) => stored(None, Some(defect)),
                };
                Some(Signed { subject, signature })
            }
        }
    }

    /// The descriptor with which `index.json` leads to a digest.
    pub(super) fn reachable(&self, digest: &Digest) -> Result<Option<Descriptor>, LayoutError> {
        let mut found = None;
        self.walk(|descriptor, _| {
            if found.is_none() && descriptor.digest == *digest {
                found = Some(descriptor.clone());
            }
        })?;
        Ok(found)
    }

    /// Whether the `index.json` of one part has something as an entry, or below an index.
    pub(super) fn leads_to(&self, part: &str, subject: &Descriptor) -> Result<bool, LayoutError> {
        for entry in self.entries_of(part)? {
            let is_above = || match self.below(&entry) {
                Ok(below) => Ok(below.iter().any(|(it, here)| *here && it.same_content(subject))),
                Err(error) if error.is_not_found() => Ok(false),
                Err(error) => Err(error),
            };
            if entry.same_content(subject) || media_type::is_index(&entry.media_type) && is_above()?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The manifests and indexes below one, in order, each once; those that are not in the layout
    /// have no bytes to be altered, and are told apart by `false`.
    ///
    /// # Errors
    /// [`LayoutError`] when a document is there and altered or malformed.
    pub fn below(&self, target: &Descriptor) -> Result<Vec<(Descriptor, bool)>, LayoutError> {
        let mut below = Vec::new();
        // By its platform a manifest is chosen, so it counts for each that an index gives it.
        let key = |it: &Descriptor| (it.digest.clone(), it.platform.clone());
        let mut seen = HashSet::from([key(target)]);
        let mut budget = Budget(MAX_NODE_BYTES);
        let mut pending = self.node(target, &mut budget)?.manifests.unwrap_or_default();
        pending.reverse();
        while let Some(descriptor) = pending.pop() {
            if !is_node(&descriptor.media_type) || !seen.insert(key(&descriptor)) {
                continue;
            }
            if seen.len() > MAX_NODES {
                return Err(LayoutError::TooManyManifests { limit: MAX_NODES });
            }
            let node = match self.node(&descriptor, &mut budget) {
                Err(error) if error.is_not_found() => None,
                node => Some(node?),
            };
            let is_there = node.is_some();
            let children = node.and_then(|node| node.manifests).unwrap_or_default();
            pending.extend(children.into_iter().rev());
            below.push((descriptor, is_there));
        }
        Ok(below)
    }

    /// Visits every manifest and index that `index.json` leads to, each once: entries, children of
    /// indexes, subjects. What can't be read is visited with its error.
    fn walk(
        &self,
        mut visit: impl FnMut(&Descriptor, Result<&Node, &LayoutError>),
    ) -> Result<(), LayoutError> {
        let mut pending = self.entries()?;
        pending.reverse();
        let mut seen = HashSet::new();
        let mut budget = Budget(MAX_NODE_BYTES);
        while let Some(descriptor) = pending.pop() {
            if !is_node(&descriptor.media_type) || !seen.insert(descriptor.digest.clone()) {
                continue;
            }
            if seen.len() > MAX_NODES {
                return Err(LayoutError::TooManyManifests { limit: MAX_NODES });
            }
            let node = self.node(&descriptor, &mut budget);
            if let Err(error @ LayoutError::TooManyBytes { .. }) = node {
                return Err(error);
            }
            visit(&descriptor, node.as_ref());
            if let Ok(node) = node {
                let children = node.manifests.unwrap_or_default();
                pending.extend(node.subject);
                pending.extend(children.into_iter().rev());
            }
        }
        Ok(())
    }

    fn node(&self, descriptor: &Descriptor, budget: &mut Budget) -> Result<Node, LayoutError> {
        let bytes = self.blob_within(descriptor, MAX_BYTES as u64, |length| budget.take(length))?;
        Node::parse(&bytes).map_err(|source| LayoutError::Json {
            path: self.blob_path(&descriptor.digest),
            source: Box::new(source),
        })
    }
}

/// How many bytes a walk may still read.
struct Budget(u64);

impl Budget {
    fn take(&mut self, bytes: u64) -> Result<(), LayoutError> {
        let left = self.0.checked_sub(bytes);
        self.0 = left.ok_or(LayoutError::TooManyBytes { limit: MAX_NODE_BYTES })?;
        Ok(())
    }
}

/// Whether something of this media type may lead on.
pub(super) fn is_node(media_type: &str) -> bool {
    media_type::is_index(media_type)
        || media_type::is_manifest(media_type)
        || media_type == ARTIFACT_MANIFEST
}

/// Whether an entry says of itself that it is a signature. A hint, for reports only.
fn looks_like_signature(descriptor: &Descriptor) -> bool {
    descriptor.artifact_type.as_deref() == Some(SIGNATURE_TYPE)
        || descriptor.annotations.contains_key(THUMBPRINT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::layout::LayoutTarget;
    use crate::store::layout::tests::copy;

    /// What was read counts, whatever a descriptor says.
    #[test]
    fn s11_a_walk_reads_only_so_much() {
        let directory = copy("lay");
        let layout = OciLayout::open(directory.path()).unwrap();
        let target = layout.resolve(&LayoutTarget::Tag("v1".to_owned())).unwrap().descriptor;
        let other = Descriptor { size: 1, ..target.clone() };
        let mut budget = Budget(target.size * 2);
        assert!(layout.node(&target, &mut budget).is_ok());
        assert!(matches!(layout.node(&other, &mut budget), Err(LayoutError::Altered { .. })));
        let error = layout.node(&target, &mut budget).map(drop).unwrap_err();
        assert!(matches!(error, LayoutError::TooManyBytes { limit: MAX_NODE_BYTES }), "{error}");
    }
}
