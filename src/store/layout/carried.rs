//! What an archive carries along for the sake of its signatures, as far as manifests go.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::content::limits::Limits;
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::image::manifest::{Document, MAX_BYTES, RawManifest};
use crate::image::media_type;

use super::archive::SIGNATURES;
use super::discover::{Node, is_node};
use super::files::Files;
use super::{LayoutError, OciLayout};

/// Most manifests that an archive carries along.
const MAX_CARRIED: usize = 100;

/// A manifest or an index that is carried along in an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CarriedManifest {
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// The documents below it that are carried along too, each once. Manifests share them.
    pub below: Vec<Arc<[u8]>>,
}

impl OciLayout {
    /// The manifests and indexes that are carried along in an archive because it does not hold them
    /// otherwise.
    ///
    /// # Errors
    /// [`LayoutError`] when one of them is missing, altered or malformed.
    pub fn carried_manifests(&self) -> Result<Vec<CarriedManifest>, LayoutError> {
        let Files::Archive(archive) = &self.files else { return Ok(Vec::new()) };
        if !archive.parts().contains(&SIGNATURES) {
            return Ok(Vec::new());
        }
        let mut documents = Documents::new(self, archive.limits());
        let mut carried = Vec::new();
        for entry in self.entries_of(SIGNATURES)? {
            if !is_node(&entry.media_type) {
                let (digest, media_type) = (entry.digest, entry.media_type);
                return Err(LayoutError::NoManifest { digest, media_type });
            }
            let bytes = documents.read(&entry)?;
            let malformed = |source| LayoutError::Json {
                path: self.blob_path(&entry.digest),
                source: Box::new(source),
            };
            if Node::parse(&bytes).map_err(malformed)?.is_signature() {
                continue;
            }
            if carried.len() == MAX_CARRIED {
                return Err(LayoutError::TooManyManifests { limit: MAX_CARRIED });
            }
            let below = documents.below(&entry, &bytes)?;
            carried.push(CarriedManifest { bytes, below });
        }
        Ok(carried)
    }
}

/// What is read for the manifests that are carried along. Each document is kept once, and what it
/// costs to read it counts as often as it is listed.
struct Documents<'a> {
    layout: &'a OciLayout,
    limits: &'a Limits,
    count: usize,
    bytes: u64,
    known: HashMap<Digest, Arc<[u8]>>,
}

impl<'a> Documents<'a> {
    fn new(layout: &'a OciLayout, limits: &'a Limits) -> Self {
        Self { layout, limits, count: 0, bytes: 0, known: HashMap::new() }
    }

    fn read(&mut self, descriptor: &Descriptor) -> Result<Arc<[u8]>, LayoutError> {
        self.count += 1;
        if self.count > self.limits.listed_documents {
            return Err(LayoutError::TooManyManifests { limit: self.limits.listed_documents });
        }
        let most = self.limits.document_bytes;
        let mut charge = |length: u64| {
            self.bytes = self.bytes.saturating_add(length);
            if self.bytes > most { Err(LayoutError::TooManyBytes { limit: most }) } else { Ok(()) }
        };
        if let Some(bytes) = self.known.get(&descriptor.digest)
            && bytes.len() as u64 == descriptor.size
        {
            charge(descriptor.size)?;
            return Ok(Arc::clone(bytes));
        }
        let bytes = self.layout.blob_within(descriptor, MAX_BYTES as u64, charge)?;
        let bytes: Arc<[u8]> = bytes.into();
        self.known.insert(descriptor.digest.clone(), Arc::clone(&bytes));
        Ok(bytes)
    }

    /// The manifests and indexes below a document that are in the archive, each once.
    fn below(
        &mut self,
        target: &Descriptor,
        bytes: &Arc<[u8]>,
    ) -> Result<Vec<Arc<[u8]>>, LayoutError> {
        let mut below = Vec::new();
        let mut seen = HashSet::from([target.digest.clone()]);
        let mut pending = children(target, bytes)?;
        while let Some(descriptor) = pending.pop() {
            let is_known = media_type::is_manifest(&descriptor.media_type)
                || media_type::is_index(&descriptor.media_type);
            if !is_known || !seen.insert(descriptor.digest.clone()) {
                continue;
            }
            let bytes = match self.read(&descriptor) {
                Err(error) if error.is_not_found() => continue,
                read => read?,
            };
            pending.extend(children(&descriptor, &bytes)?);
            below.push(bytes);
        }
        Ok(below)
    }
}

/// What an index lists; a manifest lists nothing.
fn children(own: &Descriptor, bytes: &[u8]) -> Result<Vec<Descriptor>, LayoutError> {
    if !media_type::is_index(&own.media_type) {
        return Ok(Vec::new());
    }
    match RawManifest::parse(bytes.to_vec(), Some(&own.media_type))?.document {
        Document::Index(index) => Ok(index.manifests),
        Document::Manifest(_) => Ok(Vec::new()),
    }
}
