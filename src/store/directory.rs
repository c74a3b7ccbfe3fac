//! Signatures in a directory that an operator fills, as nodes of a cluster have it.
//!
//! ```text
//! {directory}/<algorithm>/<hex>/             digest of the signed manifest
//!     any.jws.sig  any.cose.sig  x.sig  x.jws  x.cose
//!     <algorithm>/<hex>.sig                  as the signature cache has it, which can be copied here
//! ```
//!
//! It is only read. Names are hints: envelopes are verified like any.

use std::path::{Path, PathBuf};

use crate::fsutil;
use crate::image::descriptor::Descriptor;

use super::cache::{SignatureCache, file_names};
use super::{Added, MAX_ENVELOPE_BYTES, NewSignature, SignatureStore, StoreError, StoredSignature};

/// How names of signature files end.
const ENDINGS: [&str; 3] = [".sig", ".jws", ".cose"];

/// A directory of signatures.
#[derive(Clone, Debug)]
pub struct SignatureDirectory {
    cache: SignatureCache,
}

impl SignatureDirectory {
    /// The directory, which need not exist: then it holds nothing.
    pub fn new(root: &Path) -> Self {
        Self { cache: SignatureCache::at(root.to_owned()) }
    }

    fn files(&self, subject: &Descriptor) -> Result<Vec<PathBuf>, StoreError> {
        let directory = self.cache.subject_dir(&subject.digest);
        let names = file_names(&directory)?;
        let is_signature = |name: &String| ENDINGS.iter().any(|ending| name.ends_with(ending));
        Ok(names.into_iter().filter(is_signature).map(|name| directory.join(name)).collect())
    }
}

impl SignatureStore for SignatureDirectory {
    fn list(&self, subject: &Descriptor) -> Result<Vec<StoredSignature>, StoreError> {
        let files = self.files(subject)?.into_iter();
        let mut listed: Vec<_> =
            files.map(|location| StoredSignature { location, ..Default::default() }).collect();
        listed.extend(self.cache.list(subject)?);
        Ok(listed)
    }

    fn read(&self, signature: &StoredSignature) -> Result<Vec<u8>, StoreError> {
        match &signature.digest {
            Some(_) => self.cache.read(signature),
            None => Ok(fsutil::read_regular(&signature.location, MAX_ENVELOPE_BYTES)?),
        }
    }

    fn add(&self, subject: &Descriptor, envelope: &NewSignature) -> Result<Added, StoreError> {
        self.cache.add(subject, envelope)
    }

    fn remove(&self, signature: &StoredSignature) -> Result<(), StoreError> {
        self.cache.remove(signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::digest::Algorithm;

    #[test]
    fn operators_files_and_copies_of_the_cache_are_found() {
        let root = tempfile::tempdir().unwrap();
        let store = SignatureDirectory::new(root.path());
        let subject = Descriptor::of("x/y", Algorithm::Sha256, b"");
        assert_eq!(store.list(&subject).unwrap(), []);
        let envelope = NewSignature {
            bytes: b"{}".to_vec(),
            media_type: "application/jose+json",
            annotations: Default::default(),
        };
        store.add(&subject, &envelope).unwrap();
        let beside = root.path().join("sha256").join(subject.digest.hex());
        for name in ["b.jws.sig", "a.cose", "README", ".hidden"] {
            fsutil::write_atomic(&beside.join(name), b"x", fsutil::Mode::Private).unwrap();
        }
        let listed = store.list(&subject).unwrap();
        let read: Vec<_> = listed.iter().map(|each| store.read(each).unwrap()).collect();
        assert_eq!(read, [&b"x"[..], b"x", b"{}"]);
    }
}
