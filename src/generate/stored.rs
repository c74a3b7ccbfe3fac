//! containerd semantics: a push sends the stored manifest or index, byte for byte.

mod partial;

use std::collections::BTreeMap;

use super::error::GenerateError;
use super::select::select;
use super::views::bound;
use super::{BoundBlob, BoundBy, Content, Context, Generated, Note, Origin};
use crate::content::archive::{Archive, ArchiveError, NoEncoders, OciEntry, OciView, Walk};
use crate::image::descriptor::Descriptor;
use crate::image::manifest::{Document, Manifest, RawManifest};
use crate::image::media_type;
use crate::image::platform::Platform;

/// What a containerd-store engine pushes.
pub(super) fn push(mut context: Context<'_>, view: &OciView) -> Result<Generated, GenerateError> {
    let entry = select(&view.entries, context.options.image.as_ref())?;
    if view.entries.len() > 1 {
        context.notes.push(Note::OtherImages(view.entries.len() - 1));
    }
    let tree = Tree::read(context.archive, &entry.descriptor, 0, &mut context.archive.walk())?;
    let chosen = match &context.options.platform {
        None => {
            let chosen = partial::pushed(&tree, context.options.engine.as_ref())?;
            if chosen.own.digest != tree.own.digest {
                let (index, manifest) = (tree.own.digest.clone(), chosen.own.digest.clone());
                context.notes.push(Note::InsteadOfIndex { index, manifest });
            }
            chosen
        }
        Some(wanted) => platform(&tree, wanted, entry)?,
    };
    let blobs = bind(&mut context, chosen)?;
    Ok(Generated {
        bytes: chosen.raw.bytes.clone(),
        descriptor: chosen.raw.descriptor.clone(),
        names: entry.names.clone(),
        origin: Origin::Stored,
        blobs,
        notes: context.notes,
    })
}

/// A manifest or index in the archive with what is below it.
struct Tree {
    raw: RawManifest,
    /// Descriptor in the parent.
    own: Descriptor,
    /// Platform, for image manifests.
    platform: Option<Platform>,
    children: Vec<Self>,
    /// Child manifests that are not in the archive.
    missing_children: Vec<Descriptor>,
    /// Configs and layers that are not in the archive.
    missing_blobs: Vec<Descriptor>,
}

impl Tree {
    fn read(
        archive: &Archive,
        own: &Descriptor,
        depth: usize,
        walk: &mut Walk,
    ) -> Result<Self, ArchiveError> {
        walk.at_depth(depth)?;
        let raw = archive.manifest(own, walk)?;
        let mut tree = Self {
            own: own.clone(),
            platform: None,
            children: Vec::new(),
            missing_children: Vec::new(),
            missing_blobs: Vec::new(),
            raw,
        };
        match tree.raw.document.clone() {
            Document::Manifest(manifest) => {
                tree.missing_blobs = blobs(&manifest)
                    .filter(|blob| archive.blob(&blob.digest).is_none())
                    .filter(|blob| !media_type::is_foreign_layer(&blob.media_type))
                    .cloned()
                    .collect();
                tree.platform = match &own.platform {
                    Some(platform) => Some(platform.clone()),
                    None => config_platform(archive, &manifest, walk)?,
                };
            }
            Document::Index(index) => {
                for child in &index.manifests {
                    if archive.blob(&child.digest).is_some() {
                        tree.children.push(Self::read(archive, child, depth + 1, walk)?);
                    } else {
                        tree.missing_children.push(child.clone());
                    }
                }
            }
        }
        Ok(tree)
    }

    /// Whether everything at and below this document is in the archive.
    fn is_complete(&self) -> bool {
        self.missing_children.is_empty()
            && self.missing_blobs.is_empty()
            && self.children.iter().all(Self::is_complete)
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
}

fn blobs(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    std::iter::once(&manifest.config).chain(&manifest.layers)
}

fn config_platform(
    archive: &Archive,
    manifest: &Manifest,
    walk: &mut Walk,
) -> Result<Option<Platform>, ArchiveError> {
    let Some(name) = archive.blob(&manifest.config.digest) else { return Ok(None) };
    // A config of another kind (an artifact's) has no platform; its digest is checked in `bind`.
    let config = archive.config(name, walk);
    let platform = walk.if_readable(config)?.map(|config| config.platform);
    Ok(platform.filter(|platform| !platform.os.is_empty()))
}

/// The manifest that `docker push --platform` sends.
fn platform<'a>(
    tree: &'a Tree,
    wanted: &Platform,
    entry: &OciEntry,
) -> Result<&'a Tree, GenerateError> {
    let images = tree.images();
    let is_wanted = |image: &&&Tree| image.platform.as_ref().is_some_and(|p| wanted.matches(p));
    let matching: Vec<&&Tree> = images.iter().filter(is_wanted).collect();
    let image = match matching.as_slice() {
        [] => {
            let available = images
                .iter()
                .filter_map(|image| image.platform.as_ref().map(ToString::to_string))
                .collect();
            let image = entry.descriptor.digest.clone();
            return Err(GenerateError::NoSuchPlatform { wanted: wanted.clone(), image, available });
        }
        [first, rest @ ..] => {
            if rest.iter().any(|other| other.own.digest != first.own.digest) {
                return Err(GenerateError::Undeterminable {
                    reason: format!("several manifests for {wanted}"),
                    hint: "choose one by its digest: --image sha256:...".to_owned(),
                });
            }
            **first
        }
    };
    match image.missing_blobs.first() {
        None => Ok(image),
        Some(missing) => {
            Err(ArchiveError::Missing { what: "blob", name: missing.digest.to_string() }.into())
        }
    }
}

/// Reads every blob at and below the chosen document, and binds it to what names it.
fn bind(context: &mut Context<'_>, chosen: &Tree) -> Result<Vec<BoundBlob>, GenerateError> {
    let mut bound: Vec<BoundBlob> = chosen
        .all()
        .into_iter()
        .map(|node| {
            let member = context.archive.blob(&node.own.digest).unwrap_or_default().to_owned();
            BoundBlob::as_described(member, node.own.clone())
        })
        .collect();
    if context.options.content == Content::Manifest {
        return Ok(bound);
    }
    let mut wishes = BTreeMap::new();
    let manifests: Vec<(&Tree, &Manifest)> = chosen
        .all()
        .into_iter()
        .filter_map(|node| match &node.raw.document {
            Document::Manifest(manifest) => Some((node, manifest)),
            Document::Index(_) => None,
        })
        .collect();
    for (_, manifest) in &manifests {
        for blob in blobs(manifest) {
            if let Some(name) = context.archive.blob(&blob.digest) {
                wishes.insert(name.to_owned(), false);
            }
        }
    }
    let jobs = context.jobs(&NoEncoders);
    context.archive.measure(&wishes, &jobs)?;
    let mut walk = context.archive.walk();
    for (_, manifest) in manifests {
        bound.extend(bind_manifest(context.archive, manifest, &mut walk)?);
    }
    Ok(bound)
}

fn bind_manifest(
    archive: &Archive,
    manifest: &Manifest,
    walk: &mut Walk,
) -> Result<Vec<BoundBlob>, ArchiveError> {
    let mut bound = vec![bind_blob(archive, "config", &manifest.config)?];
    let mut layers = Vec::new();
    for layer in &manifest.layers {
        let foreign = media_type::is_foreign_layer(&layer.media_type);
        if foreign && archive.blob(&layer.digest).is_none() {
            continue;
        }
        layers.push(bind_blob(archive, "layer", layer)?);
    }
    // Attestations and other artifacts have no root filesystem that DiffIDs could name.
    let is_image = manifest.layers.iter().all(|layer| media_type::is_layer(&layer.media_type))
        && media_type::is_config(&manifest.config.media_type);
    if is_image && layers.len() == manifest.layers.len() {
        check_diff_ids(archive, manifest, &layers, walk)?;
    }
    bound.extend(layers);
    Ok(bound)
}

fn check_diff_ids(
    archive: &Archive,
    manifest: &Manifest,
    layers: &[BoundBlob],
    walk: &mut Walk,
) -> Result<(), ArchiveError> {
    let name = archive.resolve("config", &bound_name(archive, &manifest.config))?;
    let config = archive.config(name, walk)?;
    if config.diff_ids.len() != layers.len() {
        let (layers, diff_ids) = (layers.len(), config.diff_ids.len());
        return Err(ArchiveError::LayerCount { layers, diff_ids });
    }
    for (layer, expected) in layers.iter().zip(&config.diff_ids) {
        if let Some(found) = &layer.diff_id {
            bound(format!("layer {} (uncompressed)", layer.member), expected, found)?;
        }
    }
    Ok(())
}

fn bound_name(archive: &Archive, descriptor: &Descriptor) -> String {
    archive.blob(&descriptor.digest).unwrap_or_default().to_owned()
}

fn bind_blob(
    archive: &Archive,
    what: &'static str,
    descriptor: &Descriptor,
) -> Result<BoundBlob, ArchiveError> {
    let missing = || ArchiveError::Missing { what, name: descriptor.digest.to_string() };
    let member = archive.blob(&descriptor.digest).ok_or_else(missing)?;
    let measured = archive.measured(member)?;
    bound(format!("{what} {member}"), &descriptor.digest, &measured.stored.digest)?;
    if measured.stored.size != descriptor.size {
        return Err(ArchiveError::Size {
            what: format!("{what} {member}"),
            expected: descriptor.size,
            found: measured.stored.size,
        });
    }
    Ok(BoundBlob {
        member: member.to_owned(),
        descriptor: descriptor.clone(),
        stored: measured.stored.clone(),
        diff_id: Some(measured.diff_id.clone()),
        by: BoundBy::Digest,
    })
}
