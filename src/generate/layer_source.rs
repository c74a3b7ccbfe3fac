//! Sizes of layers that a registry has, from where they are at hand: an archive with the original
//! blobs, or a manifest that names them (spec/docker.md §4.6).

use std::collections::BTreeMap;

use super::error::GenerateError;
use super::views::bound;
use super::{BoundBy, KnownSize, Options};
use crate::content::archive::{Archive, NoEncoders, Source, Work};
use crate::image::digest::Digest;
use crate::image::manifest::{Document, Manifest, ManifestError, RawManifest};
use crate::progress::Progress;

/// Sizes of wanted blobs (by digest, with the DiffID of the layer) that an archive holds. Each one
/// is read: it must have its digest, and be that layer.
///
/// # Errors
/// [`GenerateError`]: what is wrong with the archive or with a blob.
pub fn sizes_in_archive(
    source: Source,
    wanted: &BTreeMap<Digest, Digest>,
    options: &Options,
    progress: &dyn Progress,
) -> Result<BTreeMap<Digest, KnownSize>, GenerateError> {
    let encoders = &NoEncoders;
    let jobs = options.jobs(Work::Hash, encoders, progress);
    let mut archive = Archive::read(source, &jobs, options.limits)?;
    let held: BTreeMap<&Digest, String> = wanted
        .keys()
        .filter_map(|digest| Some((digest, archive.blob(digest)?.to_owned())))
        .collect();
    let wishes = held.values().map(|name| (name.clone(), false)).collect();
    archive.measure(&wishes, &jobs)?;
    let mut sizes = BTreeMap::new();
    for (digest, name) in held {
        let measured = archive.measured(&name)?;
        bound(format!("blob {name}"), digest, &measured.stored.digest)?;
        bound(format!("layer {name} (uncompressed)"), &wanted[digest], &measured.diff_id)?;
        let size = measured.stored.size;
        sizes.insert(digest.clone(), KnownSize { size, by: BoundBy::Digest });
    }
    Ok(sizes)
}

/// Sizes of wanted blobs that a manifest names. Only its word stands for them.
///
/// # Errors
/// When it is no image manifest.
pub fn sizes_in_manifest(
    bytes: Vec<u8>,
    wanted: &BTreeMap<Digest, Digest>,
) -> Result<BTreeMap<Digest, KnownSize>, ManifestError> {
    let Document::Manifest(Manifest { layers, .. }) = RawManifest::parse(bytes, None)?.document
    else {
        return Ok(BTreeMap::new());
    };
    let known = layers.into_iter().filter(|layer| wanted.contains_key(&layer.digest));
    Ok(known.map(|it| (it.digest, KnownSize { size: it.size, by: BoundBy::DiffId })).collect())
}
