//! An image in containerd: a push sends what the store holds, byte for byte (spec/containerd.md §6).
//!
//! A record names the *top* object, an index for an image of several platforms. That some of an
//! index's manifests are not there is the normal state after a pull or an import, so it is told
//! and no error; that blobs of a manifest are not there is.

use std::collections::BTreeMap;

use super::error::GenerateError;
use super::{BoundBlob, Content, Generated, Note, Options, Origin};
use crate::content::archive::{Key, Measured, Place};
use crate::content::containerd::find::Found;
use crate::content::containerd::read::ImageContent;
use crate::content::containerd::{ContainerdError, ContentStore};
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::image::manifest::{Document, Manifest, RawManifest};
use crate::image::media_type;
use crate::image::platform::Platform;
use crate::progress::Progress;

/// Deepest nesting of indexes (§10).
const MAX_DEPTH: usize = 8;
/// Most manifests and indexes of one image (§10).
const MAX_NODES: usize = 1000;

/// The manifest of an image that was found in containerd.
///
/// # Errors
/// [`GenerateError`]: part of it is missing, altered or malformed.
pub fn in_containerd(
    store: &dyn ContentStore,
    found: &Found,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Generated, GenerateError> {
    let content = ImageContent::new(store, found);
    let walk = || Walk { nodes: 0, bytes: 0, limit: options.limits.document_bytes };
    let tree = Tree::read(&content, &found.record.target, 0, &mut walk())?;
    let chosen = match &options.platform {
        None => &tree,
        Some(wanted) => platform(&content, &tree, wanted)?,
    };
    let mut notes = vec![Note::Record(found.namespace.clone(), found.record.name.clone())];
    if !found.also.is_empty() {
        notes.push(Note::AlsoIn(found.also.clone()));
    }
    chosen.check(&content, options.content, &mut notes)?;
    let (bound, walk) = (Vec::new(), walk());
    let mut binder = Binder { content: &content, found, options, progress, bound, walk };
    binder.bind(chosen)?;
    Ok(Generated {
        bytes: chosen.raw.bytes.clone(),
        descriptor: chosen.raw.descriptor.clone(),
        names: found.record.name.parse().into_iter().collect(),
        origin: Origin::InContainerd,
        blobs: binder.bound,
        notes,
    })
}

/// What was read while indexes were followed. An index may list one manifest many times, and each time
/// counts.
struct Walk {
    nodes: usize,
    bytes: u64,
    /// Most bytes.
    limit: u64,
}

impl Walk {
    /// Counts a manifest or an index that is about to be read.
    fn node(&mut self, own: &Descriptor, depth: usize) -> Result<(), ContainerdError> {
        self.nodes += 1;
        let limit = |what: &str, limit: usize| {
            let what = format!("{what} below {}", own.digest);
            Err(ContainerdError::Limit { what, limit: limit as u64 })
        };
        if depth > MAX_DEPTH {
            return limit("the nesting of indexes", MAX_DEPTH);
        }
        if self.nodes > MAX_NODES {
            return limit("the number of manifests", MAX_NODES);
        }
        self.document(own)
    }

    /// Counts a document that is about to be read: no more is read than its descriptor says.
    fn document(&mut self, own: &Descriptor) -> Result<(), ContainerdError> {
        self.bytes = self.bytes.saturating_add(own.size);
        if self.bytes <= self.limit {
            return Ok(());
        }
        let what = "the sum of all manifests and configs of the image".to_owned();
        Err(ContainerdError::Limit { what, limit: self.limit })
    }
}

/// A manifest or index with what is below it.
struct Tree {
    raw: RawManifest,
    /// Descriptor in the parent.
    own: Descriptor,
    /// Platform, for image manifests.
    platform: Option<Platform>,
    children: Vec<Self>,
    /// Child manifests that are not there.
    missing_children: Vec<Descriptor>,
    /// Configs and layers that are not there.
    missing_blobs: Vec<(&'static str, Descriptor)>,
}

impl Tree {
    fn read(
        content: &ImageContent<'_>,
        own: &Descriptor,
        depth: usize,
        walk: &mut Walk,
    ) -> Result<Self, ContainerdError> {
        walk.node(own, depth)?;
        let raw = content.manifest(own)?;
        let (mut children, mut missing_children) = (Vec::new(), Vec::new());
        let (mut missing_blobs, mut platform) = (Vec::new(), own.platform.clone());
        match &raw.document {
            Document::Manifest(manifest) => {
                for (what, blob) in blobs(manifest) {
                    let may_lack = media_type::is_foreign_layer(&blob.media_type);
                    if !may_lack && !content.has(&blob.digest)? {
                        missing_blobs.push((what, blob.clone()));
                    }
                }
                let has_config =
                    || is_image(manifest) && missing_blobs.iter().all(|it| it.0 != CONFIG);
                if platform.is_none() && has_config() {
                    walk.document(&manifest.config)?;
                    let told = content.config(&manifest.config)?.platform;
                    platform = Some(told).filter(|it| !it.os.is_empty());
                }
            }
            Document::Index(index) => {
                for child in &index.manifests {
                    if content.has(&child.digest)? {
                        children.push(Self::read(content, child, depth + 1, walk)?);
                    } else {
                        missing_children.push(child.clone());
                    }
                }
            }
        }
        let own = own.clone();
        Ok(Self { raw, own, platform, children, missing_children, missing_blobs })
    }

    /// The image manifests at and below this document: attestations are none.
    fn images(&self) -> Vec<&Self> {
        if let Document::Index(_) = self.raw.document {
            return self.children.iter().flat_map(Self::images).collect();
        }
        let is_attestation = self.platform.as_ref().is_some_and(Platform::is_unknown);
        if is_attestation { Vec::new() } else { vec![self] }
    }

    fn all(&self) -> Vec<&Self> {
        let mut all = vec![self];
        all.extend(self.children.iter().flat_map(Self::all));
        all
    }

    fn missing_children(&self) -> impl Iterator<Item = &Descriptor> {
        self.all().into_iter().flat_map(|node| &node.missing_children)
    }

    /// Tells what is not there, and refuses what can't be checked or pushed at all.
    fn check(
        &self,
        content: &ImageContent<'_>,
        depth: Content,
        notes: &mut Vec<Note>,
    ) -> Result<(), GenerateError> {
        let missing = self.missing_children().count();
        if missing > 0 {
            let index = self.own.digest.clone();
            let present = self.all().len() - 1;
            notes.push(Note::AbsentManifests { index, missing, present });
        }
        let nodes = self.all();
        let partial =
            nodes.iter().filter_map(|node| node.missing_blobs.first().map(|it| (node, it)));
        let is_index = matches!(self.raw.document, Document::Index(_));
        // Of an index at least one image has to be whole.
        let is_fatal = depth == Content::Full
            && !self.images().iter().any(|image| image.missing_blobs.is_empty());
        for (node, (what, blob)) in partial {
            if depth == Content::Full && (is_fatal || !is_index) {
                return Err(content.missing(what, &blob.digest)?.into());
            }
            let (manifest, blob) = (node.own.digest.clone(), blob.digest.clone());
            notes.push(Note::AbsentBlob { manifest, what, blob });
        }
        if let Some(first) = self.missing_children().next().filter(|_| self.images().is_empty()) {
            return Err(content.missing(MANIFEST, &first.digest)?.into());
        }
        Ok(())
    }
}

const MANIFEST: &str = "manifest";
const CONFIG: &str = "config";
const LAYER: &str = "layer";

fn blobs(manifest: &Manifest) -> impl Iterator<Item = (&'static str, &Descriptor)> {
    let layers = manifest.layers.iter().map(|layer| (LAYER, layer));
    std::iter::once((CONFIG, &manifest.config)).chain(layers)
}

/// Those of them that are read as streams: configs of images are documents.
fn streamed(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    let config = (!is_image(manifest)).then_some(&manifest.config);
    config.into_iter().chain(&manifest.layers)
}

/// Whether it has a root filesystem that DiffIDs name: artifacts have none.
fn is_image(manifest: &Manifest) -> bool {
    manifest.layers.iter().all(|layer| media_type::is_layer(&layer.media_type))
        && media_type::is_config(&manifest.config.media_type)
}

/// The manifest of one platform.
fn platform<'t>(
    content: &ImageContent<'_>,
    tree: &'t Tree,
    wanted: &Platform,
) -> Result<&'t Tree, GenerateError> {
    let images = tree.images();
    let is_wanted = |platform: Option<&Platform>| platform.is_some_and(|it| wanted.matches(it));
    let matching: Vec<_> = images.iter().filter(|it| is_wanted(it.platform.as_ref())).collect();
    if let [first, rest @ ..] = matching.as_slice() {
        if rest.iter().any(|other| other.own.digest != first.own.digest) {
            return Err(GenerateError::Undeterminable {
                reason: format!("several manifests for {wanted}"),
                hint: format!("name one by its digest: containerd:{}", first.own.digest),
            });
        }
        return Ok(first);
    }
    if let Some(absent) = tree.missing_children().find(|it| is_wanted(it.platform.as_ref())) {
        return Err(content.missing(MANIFEST, &absent.digest)?.into());
    }
    let available = images.iter().filter_map(|it| it.platform.as_ref().map(ToString::to_string));
    Err(GenerateError::NoSuchPlatform {
        wanted: wanted.clone(),
        image: tree.own.digest.clone(),
        available: available.collect(),
    })
}

/// Reads everything that is there, and binds it to what names it.
struct Binder<'a> {
    content: &'a ImageContent<'a>,
    found: &'a Found,
    options: &'a Options,
    progress: &'a dyn Progress,
    bound: Vec<BoundBlob>,
    walk: Walk,
}

impl Binder<'_> {
    fn bind(&mut self, chosen: &Tree) -> Result<(), ContainerdError> {
        for node in chosen.all() {
            self.push(&node.raw.descriptor, None);
        }
        if self.options.content == Content::Manifest {
            return Ok(());
        }
        let whole = chosen.all().into_iter().filter(|node| node.missing_blobs.is_empty());
        let manifests: Vec<_> = whole
            .filter_map(|node| match &node.raw.document {
                Document::Manifest(manifest) => Some((node, manifest)),
                Document::Index(_) => None,
            })
            .collect();
        let streamed = manifests.iter().flat_map(|(_, manifest)| streamed(manifest));
        let streamed: BTreeMap<_, _> = streamed.map(|blob| (&blob.digest, blob.size)).collect();
        let total = streamed.values().fold(0_u64, |sum, size| sum.saturating_add(*size));
        self.progress.begin("layers", streamed.len(), total);
        let mut measured = BTreeMap::new();
        for (node, manifest) in manifests {
            self.manifest(&node.own, manifest, &mut measured)?;
        }
        Ok(())
    }

    /// `measured` has what was read already: platforms share layers.
    fn manifest(
        &mut self,
        own: &Descriptor,
        manifest: &Manifest,
        measured: &mut BTreeMap<Digest, Measured>,
    ) -> Result<(), ContainerdError> {
        if !is_image(manifest) {
            for (what, blob) in blobs(manifest) {
                let step = self.progress.step(blob.digest.hex(), Some(blob.size));
                self.content.hash(what, blob, &*step)?;
                self.push(blob, None);
            }
            return Ok(());
        }
        self.walk.document(&manifest.config)?;
        let config = self.content.config(&manifest.config)?;
        self.push(&manifest.config, None);
        if config.diff_ids.len() != manifest.layers.len() {
            let (layers, diff_ids) = (manifest.layers.len(), config.diff_ids.len());
            let manifest = own.digest.clone();
            return Err(ContainerdError::LayerCount { manifest, layers, diff_ids });
        }
        for (layer, diff_id) in manifest.layers.iter().zip(&config.diff_ids) {
            if media_type::is_foreign_layer(&layer.media_type)
                && !self.content.has(&layer.digest)?
            {
                continue;
            }
            let known = measured.get(&layer.digest).filter(|it| it.stored.size == layer.size);
            let found = match known {
                Some(known) => known.clone(),
                None => self.measure(layer)?,
            };
            // What is encrypted can't be compared with what it is for.
            if !layer.media_type.ends_with("+encrypted") && found.diff_id != *diff_id {
                let what = format!("layer {} (uncompressed)", layer.digest);
                let (expected, found) = (diff_id.clone(), found.diff_id);
                return Err(ContainerdError::Mismatch { what, expected, found });
            }
            self.push(layer, Some(found.diff_id.clone()));
            measured.insert(layer.digest.clone(), found);
        }
        Ok(())
    }

    /// Measures a layer, unless the run has done so in this namespace of this store.
    fn measure(&self, layer: &Descriptor) -> Result<Measured, ContainerdError> {
        let Options { limits, memo, .. } = self.options;
        let measure = || self.content.measure(LAYER, layer, limits, self.progress);
        let Some(memo) = memo else { return measure() };
        let place = Place::Store { store: self.content.place(), digest: layer.digest.clone() };
        let key = Key { place, algorithm: layer.digest.algorithm(), encoding: None };
        let (measured, known) = memo.get_or(key, measure)?;
        if known {
            self.content.has_size(LAYER, layer, measured.stored.size)?;
            self.progress.step(layer.digest.hex(), Some(layer.size)).advance(layer.size);
        }
        Ok(measured)
    }

    fn push(&mut self, descriptor: &Descriptor, diff_id: Option<Digest>) {
        let member = format!("namespace {}", self.found.namespace);
        let blob = BoundBlob::as_described(member, descriptor.clone());
        self.bound.push(BoundBlob { diff_id, ..blob });
    }
}
