//! What can be wrong with a layout.

use std::io;
use std::path::PathBuf;

use crate::content::archive::ArchiveError;
use crate::fsutil::FileError;
use crate::image::digest::Digest;
use crate::image::json::ReadError;
use crate::image::manifest::ManifestError;
use crate::image::one_line::OneLine;

use super::LAYOUT_VERSION;

/// Why a layout can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// An archive can't be read or amended.
    #[error("{}: {source}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        source: Box<ArchiveError>,
    },
    /// A blob is not what its descriptor says.
    #[error(
        "{} has digest {found} and {found_size} bytes, expected {expected} and {expected_size} \
         bytes", path.display()
    )]
    Altered {
        /// The blob.
        path: PathBuf,
        /// The digest it should have.
        expected: Digest,
        /// The size it should have.
        expected_size: u64,
        /// The digest it has.
        found: Digest,
        /// The size it has.
        found_size: u64,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not the JSON that is expected.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<ReadError>,
    },
    /// The lock can't be had.
    #[error("cannot lock {}: {source}", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A manifest or index is malformed.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Something to be signed is not in the archive, and nobody gave it.
    #[error("{} does not hold the manifest {digest}, which has to be put into it too", path.display())]
    NotCarried {
        /// The archive.
        path: PathBuf,
        /// The manifest.
        digest: Digest,
    },
    /// Nothing has the digest, or nothing says what it is.
    #[error("no manifest with digest {digest} is reachable through index.json")]
    NoDigest {
        /// The digest.
        digest: Digest,
    },
    /// No entry has the digest: an index below leads to it, which is not changed.
    #[error("index.json itself has no entry {digest}")]
    NoEntry {
        /// The digest.
        digest: Digest,
    },
    /// An entry among signatures and what they sign is neither.
    #[error(
        "the entry {digest} has media type {media_type:?}, expected that of a manifest or index"
    )]
    NoManifest {
        /// Its digest.
        digest: Digest,
        /// Its media type.
        media_type: String,
    },
    /// No entry has the tag.
    #[error("no entry of index.json has the tag {tag:?}; there are: {}", OneLine(&known.join(", ")))]
    NoTag {
        /// The tag.
        tag: String,
        /// The tags there are.
        known: Vec<String>,
    },
    /// The directory or archive is no layout.
    #[error("{} is not an OCI layout: it has no file \"oci-layout\"", path.display())]
    NotALayout {
        /// The directory.
        path: PathBuf,
    },
    /// Not `path:tag` or `path@digest`.
    #[error("expected a reference such as DIR:TAG or DIR@sha256:..., found {found:?}")]
    Reference {
        /// The text.
        found: String,
    },
    /// More than is read of manifests, each as often as it is listed.
    #[error("the manifests of the layout have more than {limit} bytes")]
    TooManyBytes {
        /// The limit.
        limit: u64,
    },
    /// More nodes than are looked at.
    #[error("the layout has more than {limit} manifests")]
    TooManyManifests {
        /// The limit.
        limit: usize,
    },
    /// Two different entries have the tag.
    #[error("the tag {tag:?} names two manifests: {first} and {second}")]
    TwoTags {
        /// The tag.
        tag: String,
        /// One of them.
        first: Digest,
        /// Another one.
        second: Digest,
    },
    /// The layout has another version.
    #[error("version {found:?} of OCI layouts is not supported, expected {LAYOUT_VERSION:?}")]
    Version {
        /// The version found.
        found: String,
    },
}

impl LayoutError {
    /// Whether something is not there, in contrast to being malformed.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::File(error) => error.is_not_found(),
            Self::NoDigest { .. }
            | Self::NoEntry { .. }
            | Self::NoTag { .. }
            | Self::NotALayout { .. } => true,
            _ => false,
        }
    }
}
