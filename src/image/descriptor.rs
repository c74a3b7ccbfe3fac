//! The OCI content descriptor: media type, digest and size of some content.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::digest::{Algorithm, Digest};
use super::platform::Platform;

/// What identifies content (OCI image specification 1.1.1, "Content Descriptors").
///
/// Only the members that dockseal reads; what is signed is media type, digest and size.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the content.
    pub media_type: String,
    /// Digest of the content's bytes.
    pub digest: Digest,
    /// Length of the content in bytes.
    pub size: u64,
    /// Type of an artifact, on descriptors of its manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Annotations of the descriptor; never signed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Platform, on descriptors in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// Annotation that marks BuildKit's attestation manifests.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

impl Descriptor {
    /// A plain descriptor: media type, digest and size, nothing else.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            artifact_type: None,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }

    /// The descriptor of `bytes`, hashed here.
    #[must_use]
    pub fn of(media_type: impl Into<String>, algorithm: Algorithm, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(algorithm, bytes), bytes.len() as u64)
    }

    /// Whether it is marked as an attestation, which BuildKit puts into an index beside the image.
    /// An index that nobody signed may have that mark anywhere: see [`Self::is_for_nobody`].
    #[must_use]
    pub fn is_attestation(&self) -> bool {
        self.annotations.contains_key(REFERENCE_TYPE) || self.is_for_nobody()
    }

    /// Whether it is for the platform `unknown/unknown`: who looks for one never takes it. One
    /// without platform does not say that, its config may have any.
    #[must_use]
    pub fn is_for_nobody(&self) -> bool {
        self.platform.as_ref().is_some_and(Platform::is_unknown)
    }

    /// Whether both describe the same content: media type, digest **and** size
    /// (the comparison that `notation` and OCI referrers use).
    #[must_use]
    pub fn same_content(&self, other: &Self) -> bool {
        self.media_type == other.media_type
            && self.digest == other.digest
            && self.size == other.size
    }
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {} bytes)", self.digest, self.media_type, self.size)
    }
}
