//! A manifest that is carried along: the image is checked against it, nothing is compressed.
//!
//! ```text
//! index ── its descriptor ──> manifest ── config digest ──> config ── DiffIDs ──> layers
//! ```
//!
//! Implements spec/docker.md §6. Decompression has one result, so the chain holds for layers that
//! any tool compressed, and no encoder is needed: images that were built by BuildKit, pulled,
//! loaded and saved again are bound to what was signed, byte for byte.

mod below;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::below::Below;
use super::error::GenerateError;
use super::select::{Choosable, matches, select};
use super::views::{bound, images_below};
use super::{BoundBlob, BoundBy, Content, Context, Generated, Note, Origin};
use crate::content::archive::{
    Archive, ArchiveError, DockerImage, DockerView, Measured, NoEncoders, OciEntry, OciView, Walk,
};
use crate::image::config::ImageConfig;
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::image::manifest::{Document, Manifest, ManifestError, RawManifest};
use crate::image::media_type;
use crate::image::platform::Platform;
use crate::image::reference::Reference;

/// Manifests that are carried along with an image.
#[derive(Clone, Debug)]
pub struct GivenManifest {
    target: RawManifest,
    /// Documents below the target, by their digest.
    below: BTreeMap<Digest, Arc<[u8]>>,
}

impl GivenManifest {
    /// The document that is signed, and documents below it if it is an index. Which of those an
    /// archive holds need not be given.
    ///
    /// # Errors
    /// When the first is no manifest or index.
    pub fn new(
        target: Vec<u8>,
        below: impl IntoIterator<Item = Arc<[u8]>>,
    ) -> Result<Self, ManifestError> {
        Ok(Self {
            target: RawManifest::parse(target, None)?,
            below: below.into_iter().map(|bytes| (Digest::sha256(&bytes), bytes)).collect(),
        })
    }

    /// Media type, digest and size of what is signed.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.target.descriptor
    }

    /// The document a descriptor names, if it was given or is in the archive.
    fn find(
        &self,
        archive: &Archive,
        descriptor: &Descriptor,
        walk: &mut Walk,
    ) -> Result<Option<RawManifest>, ArchiveError> {
        if let Some(bytes) = self.below.get(&descriptor.digest) {
            walk.read(bytes)?;
            let (expected, found) = (descriptor.size, bytes.len() as u64);
            if expected != found {
                let what = format!("manifest {}", descriptor.digest);
                return Err(ArchiveError::Size { what, expected, found });
            }
            let read = RawManifest::parse(bytes.to_vec(), Some(&descriptor.media_type));
            let name = descriptor.digest.to_string();
            return Ok(Some(read.map_err(|source| ArchiveError::Manifest { name, source })?));
        }
        match archive.blob(&descriptor.digest) {
            Some(_) => Ok(Some(archive.manifest(descriptor, walk)?)),
            None => Ok(None),
        }
    }
}

/// An image that is at hand: its config, and a member for each layer.
struct Held {
    names: Vec<Reference>,
    other_names: Vec<String>,
    config: ImageConfig,
    config_member: String,
    layers: Vec<String>,
}

impl Choosable for Held {
    fn names(&self) -> &[Reference] {
        &self.names
    }

    fn id(&self) -> &Digest {
        &self.config.digest
    }

    fn other_names(&self) -> &[String] {
        &self.other_names
    }
}

impl From<&DockerImage> for Held {
    fn from(image: &DockerImage) -> Self {
        Self {
            names: image.tags.clone(),
            other_names: Vec::new(),
            config: image.config.clone(),
            config_member: image.config_name.clone(),
            layers: image.layers.clone(),
        }
    }
}

impl Held {
    /// The image of a manifest, if config and layers are all there.
    fn of(
        archive: &Archive,
        entry: &OciEntry,
        manifest: &Manifest,
        walk: &mut Walk,
    ) -> Result<Option<Self>, ArchiveError> {
        let member = |digest: &Digest| archive.blob(digest).map(str::to_owned);
        let layers: Option<Vec<_>> =
            manifest.layers.iter().map(|layer| member(&layer.digest)).collect();
        let (Some(config_member), Some(layers), true) = (
            member(&manifest.config.digest),
            layers,
            media_type::is_config(&manifest.config.media_type),
        ) else {
            return Ok(None);
        };
        let config = archive.config(&config_member, walk)?;
        bound(format!("config {config_member}"), &manifest.config.digest, &config.digest)?;
        let mut other_names = entry.ref_names.clone();
        other_names.push(entry.descriptor.digest.to_string());
        let names = entry.names.clone();
        Ok(Some(Self { names, other_names, config, config_member, layers }))
    }
}

/// Every image that both views lead to, each once.
fn held(
    archive: &Archive,
    docker: Option<&DockerView>,
    oci: Option<&OciView>,
) -> Result<Vec<Held>, ArchiveError> {
    let mut images: Vec<Held> =
        docker.iter().flat_map(|view| &view.images).map(Held::from).collect();
    let mut walk = archive.walk();
    for entry in oci.iter().flat_map(|view| &view.entries) {
        for manifest in images_below(archive, &entry.descriptor, &mut walk)? {
            let held = Held::of(archive, entry, &manifest, &mut walk)?;
            let Some(image) = held else { continue };
            match images.iter_mut().find(|other| other.config.digest == image.config.digest) {
                Some(same) => same.other_names.extend(image.other_names),
                None => images.push(image),
            }
        }
    }
    Ok(images)
}

/// Which of the manifests that an archive carries along are of the image that is asked about. What
/// they say of config and layers is compared with the config; layers are not read.
pub(super) fn of_image(
    mut context: Context<'_>,
    docker: Option<&DockerView>,
    oci: Option<&OciView>,
    carried: Vec<GivenManifest>,
) -> Result<Vec<GivenManifest>, GenerateError> {
    let choice = context.options.image.as_ref();
    // What can't be chosen can't be verified, whatever is carried along.
    match (docker, oci) {
        (Some(docker), _) if choice.is_none() => _ = select(&docker.images, None)?,
        (None, Some(oci)) if choice.is_none() => _ = select(&oci.entries, None)?,
        _ => {}
    }
    let images = held(context.archive, docker, oci)?;
    let mut of_image = Vec::new();
    let mut walk = context.archive.walk();
    for given in carried {
        let below = Below::read(context.archive, &given, &mut walk)?;
        let mut of_any = false;
        for image in &images {
            let Some((_, manifest)) = below.path_to(&image.config) else { continue };
            of_any = true;
            bind(&mut context, image, manifest)?;
            let platform = context.options.platform.as_ref();
            let is_it = context.options.image.as_ref().is_none_or(|it| matches(image, it));
            if is_it && platform.is_none_or(|it| it.matches(&image.config.platform)) {
                of_image.push(given.clone());
                break;
            }
        }
        if !of_any {
            return Err(other_image(&given, &images));
        }
    }
    Ok(of_image)
}

fn other_image(given: &GivenManifest, images: &[Held]) -> GenerateError {
    GenerateError::OtherImage {
        manifest: given.target.descriptor.digest.clone(),
        is_index: matches!(given.target.document, Document::Index(_)),
        available: images.iter().map(|image| image.config.digest.to_string()).collect(),
    }
}

/// Checks the image against what was given, byte for byte.
pub(super) fn check(
    mut context: Context<'_>,
    docker: Option<&DockerView>,
    oci: Option<&OciView>,
    given: &GivenManifest,
) -> Result<Generated, GenerateError> {
    let images = held(context.archive, docker, oci)?;
    let candidates: Vec<&Held> = match &context.options.image {
        Some(_) => vec![select(&images, context.options.image.as_ref())?],
        None => images.iter().collect(),
    };
    let below = Below::read(context.archive, given, &mut context.archive.walk())?;
    let found = candidates
        .into_iter()
        .find_map(|image| below.path_to(&image.config).map(|path| (image, path)));
    let Some((image, (path, manifest))) = found else {
        return Err(other_image(given, &images));
    };
    if let Some(wanted) = &context.options.platform
        && !wanted.matches(&image.config.platform)
    {
        return Err(GenerateError::NoSuchPlatform {
            wanted: wanted.clone(),
            image: image.config.digest.clone(),
            available: vec![image.config.platform.to_string()],
        });
    }
    if images.len() > 1 {
        context.notes.push(Note::OtherImages(images.len() - 1));
    }
    let mut blobs: Vec<BoundBlob> = path
        .into_iter()
        .map(|descriptor| BoundBlob::as_described(descriptor.digest.to_string(), descriptor))
        .collect();
    blobs.extend(bind(&mut context, image, manifest)?);
    Ok(Generated {
        bytes: given.target.bytes.clone(),
        descriptor: given.target.descriptor.clone(),
        names: image.names.clone(),
        origin: Origin::Given,
        blobs,
        notes: context.notes,
    })
}

/// Whether the platform of a descriptor is the config's; variants count where both state one.
fn agrees(named: &Platform, config: &Platform) -> bool {
    let (mut named, mut config) = (named.clone(), config.clone());
    if named.variant.is_empty() || config.variant.is_empty() {
        (named.variant, config.variant) = (String::new(), String::new());
    }
    named.matches(&config)
}

/// Reads config and layers and binds them to the manifest.
fn bind(
    context: &mut Context<'_>,
    image: &Held,
    manifest: &Manifest,
) -> Result<Vec<BoundBlob>, GenerateError> {
    let config = &image.config;
    if manifest.config.size != config.size {
        return Err(ArchiveError::Size {
            what: format!("config {}", image.config_member),
            expected: manifest.config.size,
            found: config.size,
        }
        .into());
    }
    let (layers, diff_ids) = (manifest.layers.len(), config.diff_ids.len());
    if layers != diff_ids {
        return Err(GenerateError::LayerCount { layers, diff_ids });
    }
    let layers = image.layers.len();
    if layers != diff_ids {
        return Err(ArchiveError::LayerCount { layers, diff_ids }.into());
    }
    let mut blobs =
        vec![BoundBlob::as_described(image.config_member.clone(), manifest.config.clone())];
    if context.options.content == Content::Manifest {
        return Ok(blobs);
    }
    let wishes = image.layers.iter().map(|layer| (layer.clone(), false)).collect();
    let jobs = context.jobs(&NoEncoders);
    context.archive.measure(&wishes, &jobs)?;
    let layers = image.layers.iter().zip(&manifest.layers).zip(&config.diff_ids);
    for ((member, descriptor), diff_id) in layers {
        let measured = context.archive.measured(member)?;
        bound(format!("layer {member} (uncompressed)"), diff_id, &measured.diff_id)?;
        blobs.push(BoundBlob {
            member: member.clone(),
            descriptor: descriptor.clone(),
            stored: measured.stored.clone(),
            diff_id: Some(diff_id.clone()),
            by: stored_form(context.archive, member, measured, descriptor)?,
        });
    }
    Ok(blobs)
}

/// How a layer whose content is right is bound. Where the manifest's own blob is in the archive,
/// its compressed bytes must be right as well.
fn stored_form(
    archive: &Archive,
    member: &str,
    measured: &Measured,
    descriptor: &Descriptor,
) -> Result<BoundBy, ArchiveError> {
    if archive.blob(&descriptor.digest) == Some(member) {
        bound(format!("layer {member}"), &descriptor.digest, &measured.stored.digest)?;
    } else if measured.stored.digest != descriptor.digest {
        return Ok(BoundBy::DiffId);
    }
    if measured.stored.size != descriptor.size {
        return Err(ArchiveError::Size {
            what: format!("layer {member}"),
            expected: descriptor.size,
            found: measured.stored.size,
        });
    }
    Ok(BoundBy::Digest)
}
