//! Signatures in an OCI image layout: a directory, or inside an archive (spec/notation.md §9).
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
//!
//! What differs between a directory and an archive is in `files`, `archive` and `carried`.

mod archive;
mod carried;
mod discover;
mod error;
mod files;
mod write;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::content::archive::Source;
use crate::content::limits::Limits;
use crate::fsutil::FileError;
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::image::json::{self, Rules};
use crate::image::manifest::{Index, MAX_BYTES, RawManifest};
use crate::progress::Progress;

use super::{Added, MAX_ENVELOPE_BYTES, NewSignature, SignatureStore, StoreError, StoredSignature};

use self::archive::{ArchiveFiles, Carried};
pub use self::carried::CarriedManifest;
pub(in crate::store) use self::discover::Node;
pub use self::error::LayoutError;
use self::files::{Files, blob_name};
pub(in crate::store) use self::write::{EMPTY_CONFIG, SignatureDocument};

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

/// A layout.
#[derive(Clone, Debug)]
pub struct OciLayout {
    files: Files,
    form: SignatureManifest,
    /// Documents to put into an archive that does not hold them.
    carried: Carried,
    /// Is told how far an archive is copied.
    progress: Arc<dyn Progress>,
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
        let layout = Self::of(Files::Directory(root.to_owned()));
        layout.check_version("")?;
        Ok(layout)
    }

    /// Opens a directory, or else an archive.
    ///
    /// # Errors
    /// As [`Self::open`] and [`Self::in_archive`].
    pub fn at(path: &Path, limits: Limits) -> Result<Self, LayoutError> {
        if path.is_file() {
            Self::in_archive(path, Source::Path(path.to_owned()), limits)
        } else {
            Self::open(path)
        }
    }

    /// The layout in an image archive, as the archive is now. `path` is where it will be replaced
    /// when a signature is added, `source` what is read.
    ///
    /// # Errors
    /// [`LayoutError`] when it is no image archive, or a layout in it is malformed.
    pub fn in_archive(path: &Path, source: Source, limits: Limits) -> Result<Self, LayoutError> {
        let files = ArchiveFiles::read(path, source, limits)?;
        let layout = Self::of(Files::Archive(Arc::new(files)));
        for part in layout.files.parts() {
            layout.check_version(part)?;
        }
        Ok(layout)
    }

    fn of(files: Files) -> Self {
        let (form, carried) = (SignatureManifest::Legacy, Carried::default());
        Self { files, form, carried, progress: Arc::new(()) }
    }

    fn check_version(&self, part: &str) -> Result<(), LayoutError> {
        let name = format!("{part}oci-layout");
        let bytes = match self.files.read(&name, VERSION_RULES.max_bytes as u64) {
            Err(error) if error.is_not_found() => {
                return Err(LayoutError::NotALayout { path: self.root().to_owned() });
            }
            result => result?,
        };
        let path = self.files.path(&name);
        let wire: WireVersion = json::read(&bytes, &VERSION_RULES)
            .map_err(|source| LayoutError::Json { path, source: Box::new(source) })?;
        if wire.version != LAYOUT_VERSION {
            return Err(LayoutError::Version { found: wire.version });
        }
        Ok(())
    }

    /// The same layout, writing signatures in another form.
    #[must_use]
    pub fn writing(self, form: SignatureManifest) -> Self {
        Self { form, ..self }
    }

    /// The same layout, which tells how far it is with an archive that is replaced.
    #[must_use]
    pub fn reporting(self, progress: Arc<dyn Progress>) -> Self {
        Self { progress, ..self }
    }

    /// The directory or the archive.
    pub fn root(&self) -> &Path {
        self.files.root()
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
        let mut named = self
            .entries()?
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
        let entries = self.entries()?.into_iter();
        Ok(entries.filter_map(|mut entry| entry.annotations.remove(REF_NAME)).collect())
    }

    /// A blob that no index leads to; its own `mediaType` has to say what it is.
    fn unlisted(&self, digest: &Digest) -> Result<RawManifest, LayoutError> {
        let (path, bytes) = match self.read_blob(digest, MAX_BYTES as u64) {
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
        self.blob_within(descriptor, limit, |_| Ok(()))
    }

    /// As [`Self::blob`], if `may_have` says that as many bytes as were read may be worked on.
    fn blob_within(
        &self,
        descriptor: &Descriptor,
        limit: u64,
        may_have: impl FnOnce(u64) -> Result<(), LayoutError>,
    ) -> Result<Vec<u8>, LayoutError> {
        if descriptor.size > limit {
            let path = self.blob_path(&descriptor.digest);
            return Err(FileError::TooLarge { path, limit }.into());
        }
        let (path, bytes) = self.read_blob(&descriptor.digest, limit)?;
        may_have(bytes.len() as u64)?;
        check(&path, &descriptor.digest, descriptor.size, &bytes)?;
        Ok(bytes)
    }

    /// The bytes in the place of a blob, from the first part of the layout that has it.
    fn read_blob(&self, digest: &Digest, limit: u64) -> Result<(PathBuf, Vec<u8>), LayoutError> {
        let mut missing = None;
        for part in self.files.parts() {
            let name = format!("{part}{}", blob_name(digest));
            match self.files.read(&name, limit) {
                Ok(bytes) => return Ok((self.files.path(&name), bytes)),
                Err(error) if error.is_not_found() => missing = missing.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Err(missing.unwrap_or_else(|| LayoutError::NoDigest { digest: digest.clone() }))
    }

    /// Digests have a strict grammar, so this stays in the directory of blobs.
    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.files.path(&blob_name(digest))
    }

    /// The entries of all parts.
    fn entries(&self) -> Result<Vec<Descriptor>, LayoutError> {
        let mut entries = Vec::new();
        for part in self.files.parts() {
            entries.extend(self.entries_of(part)?);
        }
        Ok(entries)
    }

    fn entries_of(&self, part: &str) -> Result<Vec<Descriptor>, LayoutError> {
        let bytes = self.files.read(&format!("{part}index.json"), MAX_BYTES as u64)?;
        Ok(Index::of_layout(&bytes)?.manifests)
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
        let (path, bytes) = self.read_blob(digest, MAX_ENVELOPE_BYTES)?;
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

/// Creates a directory of blobs with the usual mode.
fn create_dir(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(|source| FileError::io("create", path, source))
}

#[cfg(test)]
mod archive_tests;
#[cfg(test)]
mod tests;
