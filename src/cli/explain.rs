//! Why two digests of what should be one image differ.

use std::collections::BTreeMap;

use crate::generate::{Generated, Origin};
use crate::image::digest::Digest;
use crate::image::media_type;

/// The differences of two manifests that explain their digests; none if they are the same.
pub(super) fn differences(one: &Generated, other: &Generated) -> Vec<String> {
    let mut reasons = Vec::new();
    if one.bytes == other.bytes {
        return reasons;
    }
    let is_index = |it: &Generated| media_type::is_index(&it.descriptor.media_type);
    if is_index(one) != is_index(other) {
        reasons.push(
            "one is an index of several platforms, the other the manifest of one: --platform names it"
                .to_owned(),
        );
    } else if one.descriptor.media_type != other.descriptor.media_type {
        let (a, b) = (&one.descriptor.media_type, &other.descriptor.media_type);
        reasons.push(format!("their media types differ: {a} and {b}"));
    }
    reasons.extend(origins(one, other));
    let (configs, others) = (configs(one), configs(other));
    let is_same_image = configs.iter().any(|config| others.contains(config));
    if !is_same_image {
        reasons.push("their configs differ: they are different images".to_owned());
        return reasons;
    }
    let (layers, others) = (layers(one), layers(other));
    let different: Vec<String> = layers
        .iter()
        .filter_map(|(diff_id, digest)| {
            let found = others.get(diff_id).filter(|found| found != &digest)?;
            Some(format!("layer {diff_id} is {digest} in one and {found} in the other"))
        })
        .collect();
    match different.len() {
        0 if reasons.is_empty() => {
            reasons
                .push("config and layers are the same, the manifest is written otherwise".into());
        }
        0 => {}
        n if n < layers.len() => reasons.push(
            "some layers were pulled: registries have them as another tool compressed them".into(),
        ),
        _ if reasons.is_empty() => {
            reasons.push("the same layers were compressed by different tools".into());
        }
        _ => {}
    }
    reasons.extend(different);
    reasons
}

fn origins(one: &Generated, other: &Generated) -> Option<String> {
    match (&one.origin, &other.origin) {
        (Origin::Rendered(a), Origin::Rendered(b)) if a != b => Some(format!(
            "their engines were built with Go of different encoder generations, {a} and {b}"
        )),
        (Origin::Rendered(_), Origin::Stored | Origin::Imported)
        | (Origin::Stored | Origin::Imported, Origin::Rendered(_)) => Some(
            "one is of a graph-driver store, which compresses layers again, the other of a \
             containerd store, which keeps them"
                .to_owned(),
        ),
        (Origin::Stored, Origin::Imported) | (Origin::Imported, Origin::Stored) => Some(
            "one is an original manifest, the other is what containerd makes of an archive without"
                .to_owned(),
        ),
        _ => None,
    }
}

fn configs(generated: &Generated) -> Vec<&Digest> {
    let blobs = generated.blobs.iter();
    blobs
        .filter(|blob| media_type::is_config(&blob.descriptor.media_type))
        .map(|blob| &blob.descriptor.digest)
        .collect()
}

/// Digests of the layers by DiffID.
fn layers(generated: &Generated) -> BTreeMap<&Digest, &Digest> {
    generated
        .blobs
        .iter()
        .filter(|blob| media_type::is_layer(&blob.descriptor.media_type))
        .filter_map(|blob| Some((blob.diff_id.as_ref()?, &blob.descriptor.digest)))
        .collect()
}
