//! The docker-archive view: `manifest.json`, which `docker load` reads.

use serde::Deserialize;

use super::error::ArchiveError;
use super::scan::Archive;
use super::walk::Walk;
use crate::content::limits::MANIFEST_JSON_BYTES;
use crate::image::config::{ImageConfig, MAX_LAYERS};
use crate::image::digest::{Algorithm, Digest};
use crate::image::json;
use crate::image::reference::Reference;

const MANIFEST_JSON: &str = "manifest.json";

const RULES: json::Rules = json::Rules {
    max_bytes: MANIFEST_JSON_BYTES,
    max_depth: json::Rules::MAX_DEPTH,
    known: &[
        "Config",
        "LayerSources",
        "Layers",
        "Parent",
        "RepoTags",
        "digest",
        "mediaType",
        "size",
    ],
    free_maps: &["annotations"],
};

/// The images that `manifest.json` lists, merged by config.
#[derive(Clone, Debug)]
pub struct DockerView {
    /// The images, in the order of the file.
    pub images: Vec<DockerImage>,
    /// Whether every layer of every image has an entry in `LayerSources`: only graph-driver
    /// engines since 25.0 write those.
    pub has_layer_sources: bool,
    /// Whether the file ends with a newline, as graph-driver engines write it.
    pub ends_with_newline: bool,
}

/// One image of a docker-archive.
#[derive(Clone, Debug)]
pub struct DockerImage {
    /// Resolved name of the member that holds the config.
    pub config_name: String,
    /// The config, read from its bytes.
    pub config: ImageConfig,
    /// Resolved names of the layers' members, base layer first.
    pub layers: Vec<String>,
    /// Names of the image.
    pub tags: Vec<Reference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
    #[serde(default)]
    layer_sources: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Deserialize)]
struct LayerSource {
    digest: Option<Digest>,
}

impl DockerView {
    /// Reads the view; `None` if the archive has no `manifest.json`.
    ///
    /// # Errors
    /// When a document is malformed, a name escapes, a member is missing, or the numbers of layers
    /// and DiffIDs differ.
    pub fn read(archive: &Archive) -> Result<Option<Self>, ArchiveError> {
        if archive.get(MANIFEST_JSON).is_none() {
            return Ok(None);
        }
        let name = archive.resolve("document", MANIFEST_JSON)?;
        let bytes = archive.document("document", name)?;
        let document = |source| ArchiveError::Document { name: MANIFEST_JSON.to_owned(), source };
        let entries: Option<Vec<Entry>> = json::read(bytes, &RULES).map_err(document)?;
        let entries = entries.unwrap_or_default();
        if entries.is_empty() {
            return Err(ArchiveError::NoImage);
        }
        let mut has_layer_sources = true;
        let mut images: Vec<DockerImage> = Vec::new();
        let mut walk = archive.walk();
        for entry in &entries {
            if entry.is_artifact(archive)? {
                continue;
            }
            let image = DockerImage::read(archive, entry, &mut walk)?;
            has_layer_sources &= entry.check_sources(&image)?;
            match images.iter_mut().find(|other| other.config.digest == image.config.digest) {
                None => images.push(image),
                Some(same) if same.layers == image.layers => same.tags.extend(image.tags),
                Some(_) => {
                    return Err(ArchiveError::Ambiguous {
                        image: image.config.digest.to_string(),
                        what: "manifest.json lists one config with different layers".to_owned(),
                    });
                }
            }
        }
        if images.is_empty() {
            return Err(ArchiveError::NoImage);
        }
        let ends_with_newline = bytes.last() == Some(&b'\n');
        Ok(Some(Self { images, has_layer_sources, ends_with_newline }))
    }
}

impl Entry {
    /// Whether it is of a signature or the like: `ctr images export` lists whatever has an image
    /// record. No engine makes an image of the empty config that those have.
    fn is_artifact(&self, archive: &Archive) -> Result<bool, ArchiveError> {
        let name = archive.resolve("config", &self.config)?;
        Ok(archive.document("config", name)? == b"{}")
    }

    /// Whether every DiffID has a `LayerSources` entry; each must name the DiffID as its digest
    /// unless it is a foreign layer's.
    fn check_sources(&self, image: &DockerImage) -> Result<bool, ArchiveError> {
        let Some(sources) = &self.layer_sources else { return Ok(false) };
        let mut complete = !image.config.diff_ids.is_empty();
        for diff_id in &image.config.diff_ids {
            let Some(source) = sources.get(&diff_id.to_string()) else {
                complete = false;
                continue;
            };
            let document = |source: serde_json::Error| ArchiveError::Document {
                name: MANIFEST_JSON.to_owned(),
                source: source.into(),
            };
            let uncompressed = source.get("mediaType").and_then(serde_json::Value::as_str)
                == Some(crate::image::media_type::OCI_LAYER);
            let read: LayerSource = serde_json::from_value(source.clone()).map_err(document)?;
            match read.digest {
                Some(digest) if uncompressed && digest != *diff_id => {
                    let what = "a LayerSources entry of manifest.json".to_owned();
                    return Err(ArchiveError::Mismatch {
                        what,
                        expected: diff_id.clone(),
                        found: digest,
                    });
                }
                Some(_) if uncompressed => {}
                _ => complete = false,
            }
        }
        Ok(complete)
    }
}

impl DockerImage {
    fn read(archive: &Archive, entry: &Entry, walk: &mut Walk) -> Result<Self, ArchiveError> {
        let config_name = archive.resolve("config", &entry.config)?.to_owned();
        let config = archive.config(&config_name, walk)?;
        if let Some(expected) = named_digest(&entry.config)
            && expected != config.digest
        {
            let what = format!("config {:?}", entry.config);
            return Err(ArchiveError::Mismatch { what, expected, found: config.digest });
        }
        let listed = entry.layers.as_deref().unwrap_or_default();
        if listed.len() > MAX_LAYERS {
            let limit = MAX_LAYERS as u64;
            return Err(ArchiveError::Limit { what: "the number of layers".into(), limit });
        }
        let layers = listed
            .iter()
            .map(|layer| archive.resolve("layer", layer).map(str::to_owned))
            .collect::<Result<Vec<_>, _>>()?;
        if layers.len() != config.diff_ids.len() {
            let (layers, diff_ids) = (layers.len(), config.diff_ids.len());
            return Err(ArchiveError::LayerCount { layers, diff_ids });
        }
        let tags = entry
            .repo_tags
            .iter()
            .flatten()
            .map(|tag| read_tag(tag))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { config_name, config, layers, tags })
    }
}

fn read_tag(tag: &str) -> Result<Reference, ArchiveError> {
    let bad = |reason| ArchiveError::Name { name: tag.to_owned(), reason };
    let reference: Reference = tag.parse().map_err(|_| bad("in RepoTags is not a reference"))?;
    if reference.digest().is_some() {
        return Err(bad("in RepoTags holds a digest"));
    }
    Ok(reference.with_default_tag())
}

/// The digest that a config's name claims: `<64 hex>.json`, `blobs/sha256/<64 hex>` or
/// `sha256:<64 hex>`. Other names (jib's `config.json`) claim nothing.
fn named_digest(name: &str) -> Option<Digest> {
    let name = name.strip_prefix("./").unwrap_or(name);
    let hex = name
        .strip_suffix(".json")
        .or_else(|| name.strip_prefix("blobs/sha256/"))
        .or_else(|| name.strip_prefix("sha256:"))?;
    Digest::from_hex(Algorithm::Sha256, hex).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_claim_a_digest() {
        let hex = "ab".repeat(32);
        for name in [
            format!("{hex}.json"),
            format!("./{hex}.json"),
            format!("blobs/sha256/{hex}"),
            format!("sha256:{hex}"),
        ] {
            assert_eq!(named_digest(&name).unwrap().hex(), hex);
        }
        assert_eq!(named_digest("config.json"), None);
        assert_eq!(named_digest("c.json"), None);
    }
}
