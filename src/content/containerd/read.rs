//! Reading content of a store: whole documents, and layers as streams. Everything is hashed.

use std::io::Read;

use super::error::ContainerdError;
use super::find::Found;
use super::{ContentStore, Namespace};
use crate::content::archive::{Measured, measure};
use crate::content::limits::Limits;
use crate::fsutil;
use crate::image::config::{self, ImageConfig};
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::image::manifest::{self, RawManifest};
use crate::progress::{Counted, Progress, Step};

/// The content of one image, in its namespace.
#[derive(Clone, Copy)]
pub struct ImageContent<'a> {
    store: &'a dyn ContentStore,
    found: &'a Found,
}

impl std::fmt::Debug for ImageContent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageContent").field("found", self.found).finish_non_exhaustive()
    }
}

impl<'a> ImageContent<'a> {
    /// The content of an image that was found in `store`.
    pub fn new(store: &'a dyn ContentStore, found: &'a Found) -> Self {
        Self { store, found }
    }

    /// Whether the image's namespace has a record of some content.
    ///
    /// # Errors
    /// [`ContainerdError`] when the store can't be read.
    pub fn has(&self, digest: &Digest) -> Result<bool, ContainerdError> {
        Ok(self.store.info(self.namespace(), digest)?.is_some())
    }

    /// A manifest or index.
    ///
    /// # Errors
    /// [`ContainerdError`]: it is missing, altered or malformed.
    pub fn manifest(&self, own: &Descriptor) -> Result<RawManifest, ContainerdError> {
        let bytes = self.document("manifest", own, manifest::MAX_BYTES)?;
        let malformed = |source| ContainerdError::Manifest { digest: own.digest.clone(), source };
        let media_type = Some(own.media_type.as_str()).filter(|it| !it.is_empty());
        let mut raw = RawManifest::parse(bytes, media_type).map_err(malformed)?;
        // It is called by the digest that was asked for, whose algorithm need not be sha256.
        raw.descriptor.digest = own.digest.clone();
        Ok(raw)
    }

    /// An image config.
    ///
    /// # Errors
    /// [`ContainerdError`]: it is missing, altered or malformed.
    pub fn config(&self, own: &Descriptor) -> Result<ImageConfig, ContainerdError> {
        let bytes = self.document("config", own, config::MAX_BYTES)?;
        ImageConfig::parse(&bytes)
            .map_err(|source| ContainerdError::Config { digest: own.digest.clone(), source })
    }

    fn document(
        &self,
        what: &'static str,
        own: &Descriptor,
        limit: usize,
    ) -> Result<Vec<u8>, ContainerdError> {
        let limit = limit as u64;
        let name = format!("{what} {}", own.digest);
        if own.size > limit {
            return Err(ContainerdError::Limit { what: name, limit });
        }
        let reader = self.open(what, &own.digest)?;
        // One byte more than it should have tells that it is longer.
        let bytes = fsutil::read_to_limit(reader.take(own.size + 1), limit + 1)
            .map_err(|source| ContainerdError::Blob { digest: own.digest.clone(), source })?
            .unwrap_or_default();
        let found = Digest::of(own.digest.algorithm(), &bytes);
        matches(&name, own, &found, bytes.len() as u64)?;
        Ok(bytes)
    }

    /// Reads all of a blob and hashes it, as it is and decompressed.
    ///
    /// # Errors
    /// [`ContainerdError`]: it is missing or altered, or can't be decompressed.
    pub fn measure(
        &self,
        what: &'static str,
        own: &Descriptor,
        limits: &Limits,
        progress: &dyn Progress,
    ) -> Result<Measured, ContainerdError> {
        let reader = self.open(what, &own.digest)?;
        let name = format!("blobs/{}/{}", own.digest.algorithm(), own.digest.hex());
        let mut reader = reader.take(own.size.saturating_add(1));
        let step = progress.step(&name, Some(own.size));
        let measured = measure(&name, &mut reader, None, limits, &*step);
        let measured = match measured {
            Ok(measured) => measured,
            // What can't be decompressed because it was altered is named as altered.
            Err(error) => {
                self.hash(what, own, &())?;
                return Err(error.into());
            }
        };
        let stored = &measured.stored;
        matches(&format!("{what} {}", own.digest), own, &stored.digest, stored.size)?;
        Ok(measured)
    }

    /// Where content is kept: the store, and the image's namespace in it.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}, namespace {}", self.store.place(), self.namespace())
    }

    /// Compares the size of content that was hashed with the one it should have.
    ///
    /// # Errors
    /// [`ContainerdError`]: it has another one.
    pub fn has_size(
        &self,
        what: &'static str,
        own: &Descriptor,
        size: u64,
    ) -> Result<(), ContainerdError> {
        matches(&format!("{what} {}", own.digest), own, &own.digest, size)
    }

    /// Reads all of a blob and hashes it.
    ///
    /// # Errors
    /// [`ContainerdError`]: it is missing or altered.
    pub fn hash(
        &self,
        what: &'static str,
        own: &Descriptor,
        step: &dyn Step,
    ) -> Result<(), ContainerdError> {
        let reader = self.open(what, &own.digest)?.take(own.size.saturating_add(1));
        let mut reader = Counted::new(reader, step);
        let mut hasher = own.digest.algorithm().hasher();
        let size = std::io::copy(&mut reader, &mut hasher)
            .map_err(|source| ContainerdError::Blob { digest: own.digest.clone(), source })?;
        matches(&format!("{what} {}", own.digest), own, &hasher.finish(), size)
    }

    fn open(
        &self,
        what: &'static str,
        digest: &Digest,
    ) -> Result<Box<dyn Read + 'a>, ContainerdError> {
        // Bytes without a record wait for the next garbage collection: they are not the store's.
        if self.has(digest)?
            && let Some(reader) = self.store.open(self.namespace(), digest)?
        {
            return Ok(reader);
        }
        Err(self.missing(what, digest)?)
    }

    /// Says of content that is not there where it might be.
    ///
    /// # Errors
    /// [`ContainerdError`] when the store can't be read.
    pub fn missing(
        &self,
        what: &'static str,
        digest: &Digest,
    ) -> Result<ContainerdError, ContainerdError> {
        Ok(ContainerdError::Missing {
            what,
            digest: digest.clone(),
            image: self.found.record.name.as_str().into(),
            namespace: self.namespace().clone(),
            recorded: self.has(digest)?,
            elsewhere: self.elsewhere(digest)?,
        })
    }

    /// The other namespaces that have it.
    fn elsewhere(&self, digest: &Digest) -> Result<Vec<Namespace>, ContainerdError> {
        let mut others = Vec::new();
        for namespace in self.store.namespaces()? {
            if namespace != *self.namespace() && self.store.info(&namespace, digest)?.is_some() {
                others.push(namespace);
            }
        }
        Ok(others)
    }

    fn namespace(&self) -> &'a Namespace {
        &self.found.namespace
    }
}

/// Size first: a truncated blob is named as such.
fn matches(what: &str, own: &Descriptor, found: &Digest, size: u64) -> Result<(), ContainerdError> {
    let what = || what.to_owned();
    if size < own.size {
        return Err(ContainerdError::Size { what: what(), expected: own.size, found: size });
    }
    if *found != own.digest {
        let (expected, found) = (own.digest.clone(), found.clone());
        return Err(ContainerdError::Mismatch { what: what(), expected, found });
    }
    if size != own.size {
        return Err(ContainerdError::Size { what: what(), expected: own.size, found: size });
    }
    Ok(())
}

/// The bytes of a small blob by its digest alone; `None` where the namespace does not have it.
///
/// # Errors
/// [`ContainerdError`]: it is altered, or larger than the limit.
pub fn document(
    store: &dyn ContentStore,
    namespace: &Namespace,
    digest: &Digest,
    limit: u64,
) -> Result<Option<Vec<u8>>, ContainerdError> {
    let Some(info) = store.info(namespace, digest)? else { return Ok(None) };
    if info.size > limit {
        return Err(ContainerdError::Limit { what: digest.to_string(), limit });
    }
    let Some(reader) = store.open(namespace, digest)? else { return Ok(None) };
    let bytes = fsutil::read_to_limit(reader.take(info.size + 1), limit + 1)
        .map_err(|source| ContainerdError::Blob { digest: digest.clone(), source })?
        .unwrap_or_default();
    let own = Descriptor::new("", digest.clone(), info.size);
    let found = Digest::of(digest.algorithm(), &bytes);
    matches(&digest.to_string(), &own, &found, bytes.len() as u64)?;
    Ok(Some(bytes))
}
