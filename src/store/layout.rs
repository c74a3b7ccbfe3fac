//! Signatures in an OCI image layout directory (spec/notation.md §9).
//!
//! ```text
//! {layout}/oci-layout            {"imageLayoutVersion":"1.0.0"}
//! {layout}/index.json            entries: images, indexes, signature manifests
//! {layout}/index.json.lock       held while index.json is replaced
//! {layout}/blobs/<alg>/<hex>     manifests, configs, layers, envelopes
//! ```
//!
//! A signature is a manifest with the target as its `subject` and the envelope as its only layer.
//! Four forms are read (`discover`), the oldest one is written (`write`) because every notation
//! reads it (decision D-1). Every byte that is read is hashed; the target manifest has to be there
//! (rule N-08). Nothing is found but what `index.json` leads to.

mod discover;
mod write;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::fsutil::{self, FileError};
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::image::json::{self, ReadError, Rules};
use crate::image::manifest::{Index, MAX_BYTES, ManifestError, RawManifest};

use super::{Added, MAX_ENVELOPE_BYTES, NewSignature, SignatureStore, StoreError, StoredSignature};

/// Annotation of an index entry that names its tag.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The version of layouts.
const LAYOUT_VERSION: &str = "1.0.0";

/// Artifact type and config media type of signatures.
const SIGNATURE_TYPE: &str = "application/vnd.cncf.notary.signature";

/// Which form of signature manifest is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SignatureManifest {
    /// Form A: config of the signature's type. Every notation reads it.
    #[default]
    Legacy,
    /// Form B: OCI 1.1 with an artifact type. notation 1.3 does not see it.
    Oci11,
}

/// A reference to something in a layout: `path:tag` or `path@digest`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LayoutReference {
    /// The layout's directory.
    pub path: PathBuf,
    /// What in it.
    pub target: LayoutTarget,
}

/// What a reference names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LayoutTarget {
    /// A digest.
    Digest(Digest),
    /// A tag of an entry in `index.json`.
    Tag(String),
}

impl LayoutReference {
    /// Parses a reference: split at the last `@`, else at the last `:`.
    ///
    /// # Errors
    /// [`LayoutError::Reference`].
    pub fn parse(text: &str) -> Result<Self, LayoutError> {
        let refused = || LayoutError::Reference { found: text.to_owned() };
        let (path, target) = if let Some((path, digest)) = text.rsplit_once('@') {
            (path, LayoutTarget::Digest(digest.parse().map_err(|_| refused())?))
        } else {
            let (path, tag) = text.rsplit_once(':').ok_or_else(refused)?;
            if tag.is_empty() || tag.contains(['/', '\\']) {
                return Err(refused());
            }
            (path, LayoutTarget::Tag(tag.to_owned()))
        };
        if path.is_empty() {
            return Err(refused());
        }
        Ok(Self { path: path.into(), target })
    }
}

/// A layout directory.
#[derive(Clone, Debug)]
pub struct OciLayout {
    root: PathBuf,
    form: SignatureManifest,
}

#[derive(Deserialize)]
struct WireVersion {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

const VERSION_RULES: Rules =
    Rules { max_bytes: 4096, max_depth: 8, known: &["imageLayoutVersion"], free_maps: &[] };

impl OciLayout {
    /// Opens a directory that is a layout already.
    ///
    /// # Errors
    /// [`LayoutError`] when it is none.
    pub fn open(root: &Path) -> Result<Self, LayoutError> {
        let marker = root.join("oci-layout");
        let bytes = match fsutil::read_bounded(&marker, VERSION_RULES.max_bytes as u64) {
            Err(error) if error.is_not_found() => {
                return Err(LayoutError::NotALayout { path: root.to_owned() });
            }
            result => result?,
        };
        let wire: WireVersion = json::read(&bytes, &VERSION_RULES)
            .map_err(|source| LayoutError::Json { path: marker, source: Box::new(source) })?;
        if wire.version != LAYOUT_VERSION {
            return Err(LayoutError::Version { found: wire.version });
        }
        Ok(Self { root: root.to_owned(), form: SignatureManifest::Legacy })
    }

    /// The same layout, writing signatures in another form.
    #[must_use]
    pub fn writing(self, form: SignatureManifest) -> Self {
        Self { form, ..self }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Finds the manifest that a tag or a digest names, reads and hashes it.
    ///
    /// # Errors
    /// [`LayoutError`] when nothing or more than one thing has the name, or the manifest is missing
    /// or altered. A digest that `index.json` does not lead to is refused unless its blob says
    /// itself what it is (rule N-06: notation would sign a wrong media type).
    pub fn resolve(&self, target: &LayoutTarget) -> Result<RawManifest, LayoutError> {
        let descriptor = match target {
            LayoutTarget::Tag(tag) => self.tagged(tag)?,
            LayoutTarget::Digest(digest) => match self.reachable(digest)? {
                Some(descriptor) => descriptor,
                None => return self.unlisted(digest),
            },
        };
        self.manifest(&descriptor)
    }

    fn tagged(&self, tag: &str) -> Result<Descriptor, LayoutError> {
        let index = self.index()?;
        let mut named = index
            .manifests
            .into_iter()
            .filter(|entry| entry.annotations.get(REF_NAME).is_some_and(|name| name == tag));
        let Some(found) = named.next() else {
            return Err(LayoutError::NoTag { tag: tag.to_owned(), known: self.tags()? });
        };
        match named.find(|other| !other.same_content(&found)) {
            None => Ok(found),
            Some(other) => Err(LayoutError::TwoTags {
                tag: tag.to_owned(),
                first: found.digest,
                second: other.digest,
            }),
        }
    }

    fn tags(&self) -> Result<Vec<String>, LayoutError> {
        let index = self.index()?;
        let names =
            index.manifests.into_iter().filter_map(|mut it| it.annotations.remove(REF_NAME));
        Ok(names.collect())
    }

    /// A blob that no index leads to; its own `mediaType` has to say what it is.
    fn unlisted(&self, digest: &Digest) -> Result<RawManifest, LayoutError> {
        let path = self.blob_path(digest);
        let bytes = match fsutil::read_bounded(&path, MAX_BYTES as u64) {
            Err(error) if error.is_not_found() => {
                return Err(LayoutError::NoDigest { digest: digest.clone() });
            }
            result => result?,
        };
        check(&path, digest, bytes.len() as u64, &bytes)?;
        let wire: OwnMediaType = serde_json::from_slice(&bytes)
            .map_err(|_| LayoutError::NoDigest { digest: digest.clone() })?;
        let Some(media_type) = wire.media_type else {
            return Err(LayoutError::NoDigest { digest: digest.clone() });
        };
        let mut manifest = RawManifest::parse(bytes, Some(&media_type))?;
        manifest.descriptor.digest = digest.clone();
        Ok(manifest)
    }

    /// Reads a manifest and compares it with its descriptor: digest, size and media type.
    fn manifest(&self, descriptor: &Descriptor) -> Result<RawManifest, LayoutError> {
        let bytes = self.blob(descriptor, MAX_BYTES as u64)?;
        let mut manifest = RawManifest::parse(bytes, Some(&descriptor.media_type))?;
        // Parsing hashes with sha256; the layout may use another algorithm.
        manifest.descriptor.digest = descriptor.digest.clone();
        Ok(manifest)
    }

    /// Reads a blob of at most `limit` bytes, and compares size and digest.
    fn blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, LayoutError> {
        let path = self.blob_path(&descriptor.digest);
        if descriptor.size > limit {
            return Err(FileError::TooLarge { path, limit }.into());
        }
        let bytes = fsutil::read_bounded(&path, limit)?;
        check(&path, &descriptor.digest, descriptor.size, &bytes)?;
        Ok(bytes)
    }

    /// Digests have a strict grammar, so this stays in the directory of blobs.
    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.algorithm().name()).join(digest.hex())
    }

    fn index_path(&self) -> PathBuf {
        self.root.join("index.json")
    }

    fn index(&self) -> Result<Index, LayoutError> {
        let bytes = fsutil::read_bounded(&self.index_path(), MAX_BYTES as u64)?;
        Ok(Index::of_layout(&bytes)?)
    }
}

#[derive(Deserialize)]
struct OwnMediaType {
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
}

/// Compares bytes with what a descriptor says about them.
fn check(path: &Path, digest: &Digest, size: u64, bytes: &[u8]) -> Result<(), LayoutError> {
    let found = Digest::of(digest.algorithm(), bytes);
    if found == *digest && bytes.len() as u64 == size {
        return Ok(());
    }
    Err(LayoutError::Altered {
        path: path.to_owned(),
        expected: digest.clone(),
        expected_size: size,
        found,
        found_size: bytes.len() as u64,
    })
}

impl SignatureStore for OciLayout {
    fn list(&self, subject: &Descriptor) -> Result<Vec<StoredSignature>, StoreError> {
        Ok(self.signatures_of(subject)?)
    }

    fn read(&self, signature: &StoredSignature) -> Result<Vec<u8>, StoreError> {
        if let Some(problem) = &signature.defect {
            let (location, problem) = (signature.location.clone(), problem.clone());
            return Err(StoreError::Defective { location, problem });
        }
        let Some(digest) = &signature.digest else {
            let problem = "the envelope has no digest".to_owned();
            return Err(StoreError::Defective { location: signature.location.clone(), problem });
        };
        let path = self.blob_path(digest);
        let bytes = fsutil::read_bounded(&path, MAX_ENVELOPE_BYTES)?;
        let size = signature.size.unwrap_or(bytes.len() as u64);
        check(&path, digest, size, &bytes)?;
        Ok(bytes)
    }

    fn add(&self, subject: &Descriptor, envelope: &NewSignature) -> Result<Added, StoreError> {
        Ok(self.add_signature(subject, envelope)?)
    }

    fn remove(&self, signature: &StoredSignature) -> Result<(), StoreError> {
        match &signature.manifest {
            Some(manifest) => Ok(self.remove_entry(manifest)?),
            None => {
                let (location, problem) = (signature.location.clone(), "it has no manifest");
                Err(StoreError::Defective { location, problem: problem.to_owned() })
            }
        }
    }
}

/// Why a layout can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
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
    /// No entry has the tag.
    #[error("no entry of index.json has the tag {tag:?}; there are: {}", known.join(", "))]
    NoTag {
        /// The tag.
        tag: String,
        /// The tags there are.
        known: Vec<String>,
    },
    /// The directory is no layout.
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

/// Creates a directory of blobs with the usual mode.
fn create_dir(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(|source| FileError::io("create", path, source))
}

#[cfg(test)]
mod tests;
