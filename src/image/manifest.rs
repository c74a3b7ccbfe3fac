//! Manifests and indexes, read from their bytes. The bytes are the authority.
//!
//! One document must not be a manifest to one reader and an index to another (CVE-2021-41190,
//! `security.md` S8): `manifests` beside `layers` or `config`, or a `mediaType` that is not the
//! one the descriptor names, is refused.

use oci_spec::image as oci;
use serde::Deserialize;

use super::descriptor::Descriptor;
use super::digest::{Digest, DigestError};
use super::json;
use super::media_type;
use super::platform::Platform;

/// Largest manifest or index (OCI distribution specification: registries must accept 4 MiB).
pub const MAX_BYTES: usize = 4 << 20;
/// Most children of an index.
pub const MAX_CHILDREN: usize = 10_000;

const RULES: json::Rules = json::Rules {
    max_bytes: MAX_BYTES,
    max_depth: json::Rules::MAX_DEPTH,
    known: &[
        "architecture",
        "annotations",
        "artifactType",
        "blobs",
        "config",
        "data",
        "digest",
        "features",
        "layers",
        "manifests",
        "mediaType",
        "os",
        "os.features",
        "os.version",
        "platform",
        "schemaVersion",
        "size",
        "subject",
        "urls",
        "variant",
    ],
    free_maps: &["annotations"],
};

/// A manifest or an index together with the bytes it was read from.
#[derive(Clone, Debug)]
pub struct RawManifest {
    /// The received bytes.
    pub bytes: Vec<u8>,
    /// Media type, digest and size of those bytes.
    pub descriptor: Descriptor,
    /// What they say.
    pub document: Document,
}

/// What a manifest document is.
#[derive(Clone, Debug)]
pub enum Document {
    /// An image (or artifact) manifest.
    Manifest(Manifest),
    /// An image index or a docker manifest list.
    Index(Index),
}

/// An image manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The config's descriptor.
    pub config: Descriptor,
    /// The layers, base first.
    pub layers: Vec<Descriptor>,
    /// The manifest this one refers to, if any.
    pub subject: Option<Descriptor>,
    /// Type of the artifact, if it is one.
    pub artifact_type: Option<String>,
}

/// A list of manifests.
#[derive(Clone, Debug)]
pub struct Index {
    /// The children.
    pub manifests: Vec<Descriptor>,
    /// The manifest this one refers to, if any.
    pub subject: Option<Descriptor>,
}

/// The members that decide what a document is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    config: Option<serde::de::IgnoredAny>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

impl RawManifest {
    /// Reads a document that a descriptor of type `media_type` names. Without a media type the
    /// document's own one counts, or what its members say.
    ///
    /// # Errors
    /// When the bytes are not strict JSON, are ambiguous, contradict the media type, or hold a
    /// malformed descriptor.
    pub fn parse(bytes: Vec<u8>, media_type: Option<&str>) -> Result<Self, ManifestError> {
        json::check(&bytes, &RULES).map_err(json::ReadError::from)?;
        let shape: Shape = serde_json::from_slice(&bytes).map_err(json::ReadError::from)?;
        let media_type = shape.media_type(media_type)?;
        let document = if media_type::is_index(&media_type) {
            Document::Index(Index::read(&bytes)?)
        } else {
            Document::Manifest(Manifest::read(&bytes)?)
        };
        let descriptor = Descriptor::of(media_type, super::digest::Algorithm::Sha256, &bytes);
        Ok(Self { bytes, descriptor, document })
    }
}

impl Shape {
    /// The document's media type; refuses documents that two readers could take for two things.
    fn media_type(&self, named: Option<&str>) -> Result<String, ManifestError> {
        if self.fs_layers.is_some() || self.schema_version == Some(1) {
            return Err(ManifestError::Schema1);
        }
        if self.schema_version != Some(2) {
            return Err(ManifestError::SchemaVersion);
        }
        let image = self.layers.is_some() || self.config.is_some();
        if self.manifests.is_some() && image {
            return Err(ManifestError::Ambiguous);
        }
        if let (Some(named), Some(own)) = (named, &self.media_type)
            && named != own
        {
            let (expected, found) = (named.to_owned(), own.clone());
            return Err(ManifestError::MediaType { expected, found });
        }
        let inferred =
            if self.manifests.is_some() { media_type::OCI_INDEX } else { media_type::OCI_MANIFEST };
        let media_type = named.or(self.media_type.as_deref()).unwrap_or(inferred);
        if media_type::is_index(media_type) != self.manifests.is_some()
            || media_type::is_manifest(media_type) != image
        {
            return Err(ManifestError::Kind { media_type: media_type.to_owned() });
        }
        Ok(media_type.to_owned())
    }
}

impl Manifest {
    fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        let wire: oci::ImageManifest =
            serde_json::from_slice(bytes).map_err(json::ReadError::from)?;
        Ok(Self {
            config: convert(wire.config())?,
            layers: wire.layers().iter().map(convert).collect::<Result<_, _>>()?,
            subject: wire.subject().as_ref().map(convert).transpose()?,
            artifact_type: wire.artifact_type().as_ref().map(ToString::to_string),
        })
    }
}

impl Index {
    fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        let wire: oci::ImageIndex = serde_json::from_slice(bytes).map_err(json::ReadError::from)?;
        let found = wire.manifests().len();
        if found > MAX_CHILDREN {
            return Err(ManifestError::TooManyChildren { found, limit: MAX_CHILDREN });
        }
        Ok(Self {
            manifests: wire.manifests().iter().map(convert).collect::<Result<_, _>>()?,
            subject: wire.subject().as_ref().map(convert).transpose()?,
        })
    }

    /// Reads an `index.json` of an OCI layout: an index whose media type may be absent, and whose
    /// entries may be anything.
    ///
    /// # Errors
    /// As [`RawManifest::parse`].
    pub fn of_layout(bytes: &[u8]) -> Result<Self, ManifestError> {
        json::check(bytes, &RULES).map_err(json::ReadError::from)?;
        let shape: Shape = serde_json::from_slice(bytes).map_err(json::ReadError::from)?;
        if shape.layers.is_some() || shape.config.is_some() {
            return Err(ManifestError::Ambiguous);
        }
        if shape.manifests.is_none() {
            return Err(ManifestError::Kind { media_type: media_type::OCI_INDEX.to_owned() });
        }
        Self::read(bytes)
    }
}

fn convert(wire: &oci::Descriptor) -> Result<Descriptor, ManifestError> {
    let digest: Digest = wire.digest().to_string().parse()?;
    let mut descriptor = Descriptor::new(wire.media_type().to_string(), digest, wire.size());
    descriptor.artifact_type = wire.artifact_type().as_ref().map(ToString::to_string);
    if let Some(annotations) = wire.annotations() {
        descriptor.annotations = annotations.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    }
    descriptor.platform = wire.platform().as_ref().map(|platform| Platform {
        os: platform.os().to_string(),
        architecture: platform.architecture().to_string(),
        variant: platform.variant().clone().unwrap_or_default(),
    });
    Ok(descriptor)
}

/// Why bytes are not a manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Manifest and index at once.
    #[error("the document is a manifest and an index at once (CVE-2021-41190)")]
    Ambiguous,
    /// A malformed digest in a descriptor.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The members don't fit the media type.
    #[error("the document does not have the members of {media_type}")]
    Kind {
        /// The media type.
        media_type: String,
    },
    /// The document's media type is not the descriptor's.
    #[error("the document says it is {found}, its descriptor says {expected}")]
    MediaType {
        /// What the descriptor says.
        expected: String,
        /// What the document says.
        found: String,
    },
    /// A Docker schema 1 manifest.
    #[error("schema 1 manifests are not supported")]
    Schema1,
    /// `schemaVersion` is not 2.
    #[error("schemaVersion is not 2")]
    SchemaVersion,
    /// Too many children.
    #[error("an index of {found} manifests is larger than the limit of {limit}")]
    TooManyChildren {
        /// Their number.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Not the JSON that was expected.
    #[error(transparent)]
    Json(#[from] json::ReadError),
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = r#"{"mediaType":"a/b","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0}"#;

    fn parse(text: &str, media_type: Option<&str>) -> Result<RawManifest, ManifestError> {
        RawManifest::parse(text.as_bytes().to_vec(), media_type)
    }

    #[test]
    fn reads_manifests_and_indexes() {
        let manifest = format!(r#"{{"schemaVersion":2,"config":{D},"layers":[{D},{D}]}}"#);
        let raw = parse(&manifest, Some(media_type::DOCKER_MANIFEST)).unwrap();
        assert_eq!(raw.descriptor.media_type, media_type::DOCKER_MANIFEST);
        let Document::Manifest(read) = raw.document else { panic!("a manifest") };
        assert_eq!(read.layers.len(), 2);
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{D}]}}"#);
        let raw = parse(&index, None).unwrap();
        assert_eq!(raw.descriptor.media_type, media_type::OCI_INDEX);
    }

    #[test]
    fn s8_manifest_index_confusion() {
        for (text, media_type) in [
            (format!(r#"{{"schemaVersion":2,"config":{D},"layers":[],"manifests":[]}}"#), None),
            (format!(r#"{{"schemaVersion":2,"config":{D},"manifests":[]}}"#), None),
            (
                format!(r#"{{"schemaVersion":2,"config":{D},"layers":[]}}"#),
                Some(media_type::OCI_INDEX),
            ),
            (r#"{"schemaVersion":2,"manifests":[]}"#.to_owned(), Some(media_type::OCI_MANIFEST)),
            (
                format!(
                    r#"{{"schemaVersion":2,"mediaType":"{}","config":{D},"layers":[]}}"#,
                    media_type::OCI_MANIFEST
                ),
                Some(media_type::DOCKER_MANIFEST),
            ),
            (format!(r#"{{"schemaVersion":2,"config":{D},"Layers":[]}}"#), None),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned(), None),
            ("{}".to_owned(), None),
        ] {
            assert!(parse(&text, media_type).is_err(), "{text}");
        }
    }
}
