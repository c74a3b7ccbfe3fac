//! Adding, listing and deleting certificates of trust stores (spec/notation.md §5.1, §10.1).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::fsutil;
use crate::signature::x509::{self, Certificate};

use super::{
    MAX_STORE_FILE_BYTES, StoreRef, StoreType, TrustProblem, TrustStoreError, TrustStores, validate,
};

/// A certificate file in a store.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct StoreEntry {
    /// The store.
    pub store: StoreRef,
    /// The name of the file.
    pub file: String,
}

impl TrustStores {
    /// Copies a certificate file into a store, which is created if need be, and returns the name it
    /// has there: its own.
    ///
    /// # Errors
    /// [`ManageError`] when the file is unreadable, holds something the store would be refused
    /// for, or when a file of that name is there already. Nothing is ever overwritten.
    pub fn add(&self, store: &StoreRef, source: &Path) -> Result<String, ManageError> {
        let bytes = fsutil::read_bounded(source, MAX_STORE_FILE_BYTES)?;
        let file = source
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| ManageError::NoFileName { path: source.to_owned() })?;
        self.add_bytes(store, file, &bytes)?;
        Ok(file.to_owned())
    }

    /// Stores the bytes of a certificate file under a name.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn add_bytes(&self, store: &StoreRef, file: &str, bytes: &[u8]) -> Result<(), ManageError> {
        Self::check(store.kind(), bytes)?;
        let directory = self.directory(store);
        let target = directory.join(base_name(file)?);
        if fs::symlink_metadata(&target).is_ok() {
            return Err(ManageError::Exists);
        }
        fsutil::create_private_dir(&directory)?;
        fsutil::write_new(&target, bytes, fsutil::Mode::Private)?;
        Ok(())
    }

    /// Whether a store of a type may hold a file with these bytes.
    ///
    /// # Errors
    /// [`ManageError`] when they are no certificates, or none that may be trusted so.
    pub fn check(kind: StoreType, bytes: &[u8]) -> Result<(), ManageError> {
        Self::checked(kind, bytes).map(drop)
    }

    /// The certificates in bytes that a store of a type may hold.
    pub(super) fn checked(kind: StoreType, bytes: &[u8]) -> Result<Vec<Certificate>, ManageError> {
        let certificates = x509::certificates_from_bytes(bytes)
            .map_err(|error| ManageError::NoCertificate { reason: error.to_string() })?;
        validate(kind, &certificates)?;
        Ok(certificates)
    }

    /// All files of the stores of one type or all, with one name or any, sorted by type, store and
    /// file. Stores that don't exist are empty here.
    ///
    /// # Errors
    /// [`TrustStoreError`] when a directory can't be read.
    pub fn list(
        &self,
        kind: Option<StoreType>,
        name: Option<&str>,
    ) -> Result<Vec<StoreEntry>, TrustStoreError> {
        let mut entries = Vec::new();
        for kind in StoreType::ALL.into_iter().filter(|each| kind.is_none_or(|kind| kind == *each))
        {
            for store in self.stores_of(kind)? {
                if name.is_some_and(|name| name != store.name()) {
                    continue;
                }
                for file in self.files(&store)? {
                    entries.push(StoreEntry { store: store.clone(), file });
                }
            }
        }
        Ok(entries)
    }

    /// The stores of a type, sorted by name. Directory entries that can't be stores are left out.
    fn stores_of(&self, kind: StoreType) -> Result<Vec<StoreRef>, TrustStoreError> {
        let directory = self.root.join(kind.as_str());
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(TrustStoreError::Directory { path: directory, source }),
        };
        let mut stores = Vec::new();
        for entry in entries {
            let unreadable =
                |source| TrustStoreError::Directory { path: directory.clone(), source };
            let entry = entry.map_err(unreadable)?;
            if entry.file_type().map_err(unreadable)?.is_dir() {
                let name = entry.file_name();
                stores.extend(name.to_str().and_then(|name| StoreRef::new(kind, name)));
            }
        }
        stores.sort_unstable();
        Ok(stores)
    }

    /// Reads the certificates of one file for showing them; they need not be fit for trust.
    ///
    /// # Errors
    /// [`ManageError`] when `file` is no plain name, or the file is unreadable or no certificate.
    pub fn show(&self, store: &StoreRef, file: &str) -> Result<Vec<Certificate>, ManageError> {
        let path = self.directory(store).join(base_name(file)?);
        let bytes = fsutil::read_regular(&path, MAX_STORE_FILE_BYTES)?;
        x509::certificates_from_bytes(&bytes)
            .map_err(|error| ManageError::NoCertificate { reason: error.to_string() })
    }

    /// Deletes one file, and the store when that was its last.
    ///
    /// # Errors
    /// [`ManageError`] when `file` is no plain name or can't be deleted.
    pub fn delete(&self, store: &StoreRef, file: &str) -> Result<(), ManageError> {
        let directory = self.directory(store);
        let path = directory.join(base_name(file)?);
        fs::remove_file(&path).map_err(|source| ManageError::Delete { path, source })?;
        // An empty store is an error to everyone who refers to it; a store with other files stays,
        // which is the one reason why this can fail here.
        let _ = fs::remove_dir(&directory);
        Ok(())
    }

    /// Deletes a store with all its files.
    ///
    /// # Errors
    /// [`ManageError`] when it does not exist, is a link, or can't be deleted.
    pub fn delete_all(&self, store: &StoreRef) -> Result<(), ManageError> {
        let path = self.directory(store);
        self.files(store)?;
        fs::remove_dir_all(&path).map_err(|source| ManageError::Delete { path, source })
    }
}

/// A file name that stays in its directory (rule N-03).
fn base_name(file: &str) -> Result<&str, ManageError> {
    let is_plain = !matches!(file, "" | "." | "..") && !file.contains(['/', '\\', '\0']);
    is_plain.then_some(file).ok_or_else(|| ManageError::NotABaseName { file: file.to_owned() })
}

/// Why a trust store could not be changed or shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManageError {
    /// The operating system refuses to delete.
    #[error("failed to delete {}: {source}", path.display())]
    Delete {
        /// What was to be deleted.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// A file of that name is in the store already.
    #[error("certificate already exists in the Trust Store")]
    Exists,
    /// Reading or writing failed.
    #[error(transparent)]
    File(#[from] fsutil::FileError),
    /// The bytes are no certificates.
    #[error("{reason}")]
    NoCertificate {
        /// What is wrong with them.
        reason: String,
    },
    /// The path has no file name in UTF-8.
    #[error("{} has no file name that could be used in the trust store", path.display())]
    NoFileName {
        /// The path.
        path: PathBuf,
    },
    /// A file argument with directories in it.
    #[error("{file:?} is not the name of a file in the trust store")]
    NotABaseName {
        /// The argument.
        file: String,
    },
    /// The store itself is unusable.
    #[error(transparent)]
    Store(#[from] TrustStoreError),
    /// The certificates can't be trust anchors.
    #[error(transparent)]
    Untrustworthy(#[from] TrustProblem),
}

impl ManageError {
    /// Whether what was to be deleted or shown does not exist.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Delete { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::Store(TrustStoreError::Missing { .. }) => true,
            _ => false,
        }
    }
}
