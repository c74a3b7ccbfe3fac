//! Graph-driver semantics: a new schema 2 manifest over layers that are compressed again.

use std::collections::BTreeMap;

use super::encode::GzipLayers;
use super::error::GenerateError;
use super::select::select;
use super::views::bound;
use super::{BoundBlob, BoundBy, Context, Generated, Note, Origin};
use crate::content::archive::{ArchiveError, DockerImage, DockerView, Measured, NoEncoders};
use crate::gogzip::Generation;
use crate::image::config::ImageConfig;
use crate::image::descriptor::Descriptor;
use crate::image::digest::{Algorithm, Digest};
use crate::image::media_type;
use crate::image::schema2::{self, Blob};

/// What a graph-driver engine pushes.
pub(super) fn push(
    mut context: Context<'_>,
    view: &DockerView,
    encoders: &GzipLayers,
) -> Result<Generated, GenerateError> {
    let image = choose(&mut context, view)?;
    if image.config.platform.os == "windows" {
        return Err(GenerateError::Undeterminable {
            reason: "Windows engines before 28.0 push foreign layers by their original digests, \
                     later ones compress them; an archive does not tell which engine pushes"
                .to_owned(),
            hint: "push the image: docker push IMAGE".to_owned(),
        });
    }
    let known: Vec<Option<Blob>> =
        image.config.diff_ids.iter().map(|diff_id| encoders.known(diff_id)).collect();
    let wishes: BTreeMap<String, bool> = image
        .layers
        .iter()
        .zip(&known)
        .map(|(layer, known)| (layer.clone(), known.is_none()))
        .collect();
    let jobs = context.jobs(encoders);
    context.archive.measure(&wishes, &jobs)?;
    let mut layers = Vec::new();
    let mut blobs = vec![config_blob(image)];
    for (i, (name, known)) in image.layers.iter().zip(known).enumerate() {
        let measured = check_layer(&context, image, i)?;
        let encoded = match (&measured.encoded, known) {
            (Some(encoded), _) => {
                encoders.remember(&measured.diff_id, encoded);
                encoded.clone()
            }
            (None, Some(known)) => known,
            // Asked for above; a stream that could not give it has already failed.
            (None, None) => return Err(ArchiveError::Streamed { name: name.clone() }.into()),
        };
        blobs.push(BoundBlob {
            member: name.clone(),
            descriptor: Descriptor::new(
                media_type::DOCKER_LAYER_GZIP,
                encoded.digest.clone(),
                encoded.size,
            ),
            stored: measured.stored.clone(),
            diff_id: Some(measured.diff_id.clone()),
            by: BoundBy::Compression,
        });
        layers.push(encoded);
    }
    let bytes = schema2::render(&config(image), &layers);
    Ok(generated(context, image, bytes, blobs, Origin::Rendered(encoders.generation)))
}

/// An image that is only a config.
pub(super) fn without_layers(bytes: &[u8], id: &Digest) -> Result<Generated, GenerateError> {
    let member = format!("config {id}");
    let config = ImageConfig::parse(bytes)
        .map_err(|source| ArchiveError::Config { name: id.to_string(), source })?;
    bound(member.clone(), id, &config.digest)?;
    if !config.diff_ids.is_empty() {
        let (layers, diff_ids) = (0, config.diff_ids.len());
        return Err(ArchiveError::LayerCount { layers, diff_ids }.into());
    }
    let blob = Blob { digest: config.digest, size: config.size };
    let bytes = schema2::render(&blob, &[]);
    Ok(Generated {
        descriptor: Descriptor::of(media_type::DOCKER_MANIFEST, Algorithm::Sha256, &bytes),
        bytes,
        names: Vec::new(),
        // Nothing was compressed: every generation makes the same manifest.
        origin: Origin::Rendered(Generation::default()),
        blobs: vec![BoundBlob::as_described(
            member,
            Descriptor::new(media_type::DOCKER_CONFIG, blob.digest, blob.size),
        )],
        notes: Vec::new(),
    })
}

/// What a containerd-store engine pushes after it loaded an archive that has no OCI view: the
/// layers stay as they are in the archive.
pub(super) fn import(
    mut context: Context<'_>,
    view: &DockerView,
) -> Result<Generated, GenerateError> {
    let image = choose(&mut context, view)?;
    let wishes: BTreeMap<String, bool> =
        image.layers.iter().map(|layer| (layer.clone(), false)).collect();
    let jobs = context.jobs(&NoEncoders);
    context.archive.measure(&wishes, &jobs)?;
    let mut layers = Vec::new();
    let mut blobs = vec![config_blob(image)];
    for (i, name) in image.layers.iter().enumerate() {
        let measured = check_layer(&context, image, i)?;
        let media_type = if measured.compressed {
            media_type::DOCKER_LAYER_GZIP
        } else {
            media_type::DOCKER_LAYER
        };
        let Blob { digest, size } = measured.stored.clone();
        let descriptor = Descriptor::new(media_type, digest, size);
        blobs.push(BoundBlob {
            member: name.clone(),
            descriptor: descriptor.clone(),
            stored: measured.stored.clone(),
            diff_id: Some(measured.diff_id.clone()),
            by: BoundBy::Digest,
        });
        layers.push(descriptor);
    }
    let bytes = schema2::render_imported(&config(image), &layers);
    Ok(generated(context, image, bytes, blobs, Origin::Imported))
}

fn choose<'a>(
    context: &mut Context<'_>,
    view: &'a DockerView,
) -> Result<&'a DockerImage, GenerateError> {
    let image = select(&view.images, context.options.image.as_ref())?;
    if let Some(wanted) = &context.options.platform
        && !wanted.matches(&image.config.platform)
    {
        return Err(GenerateError::NoSuchPlatform {
            wanted: wanted.clone(),
            image: image.config.digest.clone(),
            available: vec![image.config.platform.to_string()],
        });
    }
    if view.images.len() > 1 {
        context.notes.push(Note::OtherImages(view.images.len() - 1));
    }
    Ok(image)
}

/// Layer `i` must be the one that the config names, and the blob that its own name claims.
fn check_layer<'a>(
    context: &'a Context<'_>,
    image: &DockerImage,
    i: usize,
) -> Result<&'a Measured, ArchiveError> {
    let name = &image.layers[i];
    let measured = context.archive.measured(name)?;
    bound(format!("layer {name}"), &image.config.diff_ids[i], &measured.diff_id)?;
    if let Some(hex) = name.strip_prefix("blobs/sha256/")
        && let Ok(expected) = Digest::from_hex(Algorithm::Sha256, hex)
    {
        bound(format!("blob {name}"), &expected, &measured.stored.digest)?;
    }
    Ok(measured)
}

fn config(image: &DockerImage) -> Blob {
    Blob { digest: image.config.digest.clone(), size: image.config.size }
}

fn config_blob(image: &DockerImage) -> BoundBlob {
    let Blob { digest, size } = config(image);
    let descriptor = Descriptor::new(media_type::DOCKER_CONFIG, digest, size);
    BoundBlob::as_described(image.config_name.clone(), descriptor)
}

fn generated(
    context: Context<'_>,
    image: &DockerImage,
    bytes: Vec<u8>,
    blobs: Vec<BoundBlob>,
    origin: Origin,
) -> Generated {
    Generated {
        descriptor: Descriptor::of(media_type::DOCKER_MANIFEST, Algorithm::Sha256, &bytes),
        bytes,
        names: image.tags.clone(),
        origin,
        blobs,
        notes: context.notes,
    }
}
