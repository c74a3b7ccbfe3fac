//! Detached signature files that the user names (spec/notation.md §10.3, "Signature files").
//!
//! What the name of such a file says about its format is for the reader of envelopes to compare.

use std::path::PathBuf;

use crate::fsutil;
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;

use super::{Added, MAX_ENVELOPE_BYTES, NewSignature, SignatureStore, StoreError, StoredSignature};

/// Files that hold one envelope each. All are taken to be candidates for every subject.
#[derive(Clone, Debug)]
pub struct DetachedFiles {
    paths: Vec<PathBuf>,
}

impl DetachedFiles {
    /// These files. The first one is where [`SignatureStore::add`] writes.
    pub fn new(first: PathBuf, others: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { paths: std::iter::once(first).chain(others).collect() }
    }
}

impl SignatureStore for DetachedFiles {
    fn list(&self, _subject: &Descriptor) -> Result<Vec<StoredSignature>, StoreError> {
        Ok(self
            .paths
            .iter()
            .map(|path| StoredSignature { location: path.clone(), ..StoredSignature::default() })
            .collect())
    }

    fn read(&self, signature: &StoredSignature) -> Result<Vec<u8>, StoreError> {
        Ok(fsutil::read_bounded(&signature.location, MAX_ENVELOPE_BYTES)?)
    }

    fn add(&self, _subject: &Descriptor, envelope: &NewSignature) -> Result<Added, StoreError> {
        let location = self.paths[0].clone();
        fsutil::write_atomic(&location, &envelope.bytes, fsutil::Mode::Private)?;
        Ok(Added { location, digest: Digest::sha256(&envelope.bytes) })
    }

    fn remove(&self, signature: &StoredSignature) -> Result<(), StoreError> {
        let path = signature.location.clone();
        std::fs::remove_file(&path).map_err(|source| StoreError::Io { path, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::digest::Algorithm;

    #[test]
    fn files_are_candidates_for_everything_and_the_first_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let subject = Descriptor::of("x/y", Algorithm::Sha256, b"");
        let [a, b] = ["a.sig", "b.sig"].map(|name| directory.path().join(name));
        let store = DetachedFiles::new(a.clone(), [b]);
        let envelope = NewSignature {
            bytes: b"{}".to_vec(),
            media_type: "application/jose+json",
            annotations: Default::default(),
        };
        assert_eq!(store.add(&subject, &envelope).unwrap().location, a);
        let listed = store.list(&subject).unwrap();
        assert_eq!(listed.len(), 2);
        assert_eq!(store.read(&listed[0]).unwrap(), b"{}");
        assert!(store.read(&listed[1]).unwrap_err().is_not_found());
        store.remove(&listed[0]).unwrap();
        assert!(store.remove(&listed[0]).unwrap_err().is_not_found());
    }
}
