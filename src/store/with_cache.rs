//! Signatures inside an archive, and those in the signature cache.

use crate::image::descriptor::Descriptor;

use super::cache::SignatureCache;
use super::layout::OciLayout;
use super::{Added, NewSignature, SignatureStore, StoreError, StoredSignature};

/// The cache first, as nobody but this host's users writes there: signatures without end in an
/// archive can't push those of the cache behind the limit of what is evaluated.
#[derive(Clone, Debug)]
pub struct WithCache {
    cache: SignatureCache,
    layout: OciLayout,
}

impl WithCache {
    /// Both places; signatures are added to the layout.
    pub fn new(cache: SignatureCache, layout: OciLayout) -> Self {
        Self { cache, layout }
    }

    /// Where a signature is from: those in a layout have manifests.
    fn place(&self, signature: &StoredSignature) -> &dyn SignatureStore {
        if signature.manifest.is_some() { &self.layout } else { &self.cache }
    }
}

impl SignatureStore for WithCache {
    fn list(&self, subject: &Descriptor) -> Result<Vec<StoredSignature>, StoreError> {
        let mut listed = self.cache.list(subject)?;
        listed.extend(self.layout.list(subject)?);
        Ok(listed)
    }

    fn read(&self, signature: &StoredSignature) -> Result<Vec<u8>, StoreError> {
        self.place(signature).read(signature)
    }

    fn add(&self, subject: &Descriptor, envelope: &NewSignature) -> Result<Added, StoreError> {
        self.layout.add(subject, envelope)
    }

    fn remove(&self, signature: &StoredSignature) -> Result<(), StoreError> {
        self.place(signature).remove(signature)
    }
}
