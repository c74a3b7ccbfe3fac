//! Signatures beside an image, and those in the signature cache.

use crate::image::descriptor::Descriptor;

use super::cache::SignatureCache;
use super::{Added, NewSignature, SignatureStore, StoreError, StoredSignature};

/// The cache first, as nobody but this host's users writes there: signatures without end in an
/// archive can't push those of the cache behind the limit of what is evaluated.
#[derive(Clone, Debug)]
pub struct WithCache<S> {
    cache: SignatureCache,
    beside: S,
}

impl<S: SignatureStore> WithCache<S> {
    /// Both places; signatures are added beside the image, each with a manifest.
    pub fn new(cache: SignatureCache, beside: S) -> Self {
        Self { cache, beside }
    }

    /// Where a signature is from: those beside the image have manifests.
    fn place(&self, signature: &StoredSignature) -> &dyn SignatureStore {
        if signature.manifest.is_some() { &self.beside } else { &self.cache }
    }
}

impl<S: SignatureStore> SignatureStore for WithCache<S> {
    fn list(&self, subject: &Descriptor) -> Result<Vec<StoredSignature>, StoreError> {
        let mut listed = self.cache.list(subject)?;
        listed.extend(self.beside.list(subject)?);
        Ok(listed)
    }

    fn read(&self, signature: &StoredSignature) -> Result<Vec<u8>, StoreError> {
        self.place(signature).read(signature)
    }

    fn add(&self, subject: &Descriptor, envelope: &NewSignature) -> Result<Added, StoreError> {
        self.beside.add(subject, envelope)
    }

    fn remove(&self, signature: &StoredSignature) -> Result<(), StoreError> {
        self.place(signature).remove(signature)
    }
}
