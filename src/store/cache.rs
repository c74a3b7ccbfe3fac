//! The signature cache of the original offline-signing design (spec/notation.md §10.3).
//!
//! ```text
//! {notation cache}/signature/
//!   <algorithm>/<hex>/             digest of the signed manifest
//!     <algorithm>/<hex>.sig        digest of the envelope
//! ```
//!
//! `sign` adds to it when it is told no other place, `verify` reads all of it when it is told no
//! other place. Files appear whole (temporary file in the same directory, then renamed), so
//! concurrent writers and readers need no lock; an envelope that is there already is the same one.
//! The cache is no trust anchor: its digests are checked, its envelopes are verified like any.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::fsutil;
use crate::image::descriptor::Descriptor;
use crate::image::digest::{Algorithm, Digest};

use super::{
    Added, MAX_ENVELOPE_BYTES, MAX_LISTED, NewSignature, SignatureStore, StoreError,
    StoredSignature,
};

/// Where signatures lie below notation's cache directory.
const CACHE_DIR: &str = "signature";

/// What the name of an envelope file ends with.
const EXTENSION: &str = "sig";

const ALGORITHMS: [Algorithm; 3] = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];

/// The signature cache.
#[derive(Clone, Debug)]
pub struct SignatureCache {
    root: PathBuf,
}

/// An envelope in the cache.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CachedSignature {
    /// The digest of what it claims to sign.
    pub subject: Digest,
    /// The digest its name gives it.
    pub digest: Digest,
    /// Its file.
    pub path: PathBuf,
}

impl SignatureCache {
    /// The cache below `cache`, notation's cache directory, which need not exist.
    pub fn new(cache: &Path) -> Self {
        Self::at(cache.join(CACHE_DIR))
    }

    /// A cache whose directory is `root` itself.
    pub(super) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The directory of the whole cache.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All envelopes for a subject, or for every subject, sorted by subject, then by digest.
    ///
    /// # Errors
    /// [`StoreError`] when a directory can't be read, or holds more than [`MAX_LISTED`] files.
    pub fn entries(&self, subject: Option<&Digest>) -> Result<Vec<CachedSignature>, StoreError> {
        let subjects = match subject {
            Some(subject) => vec![subject.clone()],
            None => self.subjects()?,
        };
        let mut entries = Vec::new();
        for subject in subjects {
            for algorithm in ALGORITHMS {
                let directory = self.subject_dir(&subject).join(algorithm.name());
                for name in file_names(&directory)? {
                    // Other names, such as temporary files of a running writer, are not ours.
                    let Some(hex) = name.strip_suffix(EXTENSION).and_then(|n| n.strip_suffix('.'))
                    else {
                        continue;
                    };
                    if let Ok(digest) = Digest::from_hex(algorithm, hex) {
                        let path = directory.join(&name);
                        entries.push(CachedSignature { subject: subject.clone(), digest, path });
                    }
                }
            }
        }
        Ok(entries)
    }

    /// Removes the file of one envelope, and directories that are empty then.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it is not there or can't be removed.
    pub fn remove_file(&self, file: &Path) -> Result<(), StoreError> {
        fs::remove_file(file).map_err(|source| StoreError::Io { path: file.to_owned(), source })?;
        let mut directory = file.parent();
        while let Some(path) = directory.filter(|path| *path != self.root) {
            // Not empty, or gone already: both are fine.
            if fs::remove_dir(path).is_err() {
                break;
            }
            directory = path.parent();
        }
        Ok(())
    }

    pub(super) fn subject_dir(&self, subject: &Digest) -> PathBuf {
        self.root.join(subject.algorithm().name()).join(subject.hex())
    }

    fn subjects(&self) -> Result<Vec<Digest>, StoreError> {
        let mut subjects = Vec::new();
        for algorithm in ALGORITHMS {
            for name in file_names(&self.root.join(algorithm.name()))? {
                subjects.extend(Digest::from_hex(algorithm, &name).ok());
            }
        }
        Ok(subjects)
    }
}

impl SignatureStore for SignatureCache {
    fn list(&self, subject: &Descriptor) -> Result<Vec<StoredSignature>, StoreError> {
        let entries = self.entries(Some(&subject.digest))?;
        Ok(entries
            .into_iter()
            .map(|entry| StoredSignature {
                location: entry.path,
                digest: Some(entry.digest),
                ..StoredSignature::default()
            })
            .collect())
    }

    fn read(&self, signature: &StoredSignature) -> Result<Vec<u8>, StoreError> {
        let bytes = fsutil::read_regular(&signature.location, MAX_ENVELOPE_BYTES)?;
        if let Some(expected) = &signature.digest {
            let found = Digest::of(expected.algorithm(), &bytes);
            if found != *expected {
                return Err(StoreError::Altered {
                    location: signature.location.clone(),
                    expected: expected.clone(),
                    found,
                });
            }
        }
        Ok(bytes)
    }

    fn add(&self, subject: &Descriptor, envelope: &NewSignature) -> Result<Added, StoreError> {
        let digest = Digest::sha256(&envelope.bytes);
        let directory = self.subject_dir(&subject.digest).join(digest.algorithm().name());
        fsutil::create_private_dir(&directory)?;
        let location = directory.join(format!("{}.{EXTENSION}", digest.hex()));
        fsutil::write_atomic(&location, &envelope.bytes, fsutil::Mode::Private)?;
        Ok(Added { location, digest })
    }

    fn remove(&self, signature: &StoredSignature) -> Result<(), StoreError> {
        self.remove_file(&signature.location)
    }
}

/// The names in a directory, sorted; none when it does not exist. Names that are no text can't be
/// ours.
pub(super) fn file_names(directory: &Path) -> Result<Vec<String>, StoreError> {
    let io = |source| StoreError::Io { path: directory.to_owned(), source };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        if names.len() == MAX_LISTED {
            return Err(StoreError::TooMany { path: directory.to_owned() });
        }
        names.extend(entry.map_err(io)?.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(content: &[u8]) -> Descriptor {
        Descriptor::of("application/vnd.oci.image.manifest.v1+json", Algorithm::Sha256, content)
    }

    fn envelope(bytes: &[u8]) -> NewSignature {
        NewSignature {
            bytes: bytes.to_vec(),
            media_type: "application/jose+json",
            annotations: Default::default(),
        }
    }

    #[test]
    fn envelopes_lie_where_the_original_design_put_them() {
        let directory = tempfile::tempdir().unwrap();
        let cache = SignatureCache::new(directory.path());
        let manifest = subject(b"manifest");
        assert_eq!(cache.list(&manifest).unwrap(), []);
        let added = cache.add(&manifest, &envelope(b"{}")).unwrap();
        let expected = directory.path().join(format!(
            "signature/sha256/{}/sha256/44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a.sig",
            manifest.digest.hex()
        ));
        assert_eq!(added.location, expected);
        // Once more is the same envelope, not another one.
        cache.add(&manifest, &envelope(b"{}")).unwrap();
        cache.add(&manifest, &envelope(b"{ }")).unwrap();
        cache.add(&subject(b"other"), &envelope(b"{}")).unwrap();
        let listed = cache.list(&manifest).unwrap();
        assert_eq!(listed.len(), 2);
        assert!(listed.iter().any(|each| cache.read(each).unwrap() == b"{}"));
        assert_eq!(cache.entries(None).unwrap().len(), 3);
    }

    /// security.md S3 and S12: the name of a file is a hint, its bytes are hashed.
    #[test]
    fn s3_an_altered_envelope_is_refused_and_strange_names_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let cache = SignatureCache::new(directory.path());
        let manifest = subject(b"manifest");
        let added = cache.add(&manifest, &envelope(b"{}")).unwrap();
        let beside = added.location.parent().unwrap();
        for name in ["x.sig", "..sig", ".tmp123", "44136f.sig", "README"] {
            fsutil::write_atomic(&beside.join(name), b"x", fsutil::Mode::Private).unwrap();
        }
        fsutil::write_atomic(&added.location, b"{ }", fsutil::Mode::Private).unwrap();
        let listed = cache.list(&manifest).unwrap();
        assert_eq!(listed.len(), 1);
        assert!(matches!(cache.read(&listed[0]), Err(StoreError::Altered { .. })));
    }

    #[test]
    fn removing_the_last_envelope_leaves_no_directories() {
        let directory = tempfile::tempdir().unwrap();
        let cache = SignatureCache::new(directory.path());
        cache.add(&subject(b"a"), &envelope(b"1")).unwrap();
        cache.add(&subject(b"a"), &envelope(b"2")).unwrap();
        let entries = cache.entries(None).unwrap();
        cache.remove_file(&entries[0].path).unwrap();
        assert_eq!(cache.entries(None).unwrap(), entries[1..]);
        cache.remove_file(&entries[1].path).unwrap();
        assert_eq!(fs::read_dir(cache.root()).unwrap().count(), 0);
        assert!(cache.remove_file(&entries[1].path).unwrap_err().is_not_found());
    }
}
