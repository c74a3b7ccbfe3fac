//! The trust store: named sets of root (and intermediate) certificates.
//!
//! Implements spec/notation.md §5.1:
//!
//! ```text
//! {config}/truststore/x509/{ca|signingAuthority|tsa}/{store name}/{any file}
//! ```
//!
//! Every file holds PEM or DER certificates; every certificate is a CA or verifies under its own
//! key; `tsa` stores hold self-signed CAs only. Links, sub-directories, unreadable files and empty
//! stores are errors, never an empty set of roots (security.md S16).

mod manage;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::fsutil;
use crate::image::hint;
use crate::signature::x509::{self, Certificate};

pub use manage::{ManageError, StoreEntry};

/// Where the stores lie below the configuration directory.
const STORES_DIR: &str = "truststore/x509";

/// Largest file of a trust store. The bundle of all public web CAs has 0.3 MB.
pub const MAX_STORE_FILE_BYTES: u64 = 4 << 20;

/// Most files of one store that are looked at.
pub const MAX_STORE_FILES: usize = 1_000;

/// What the certificates of a store vouch for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum StoreType {
    /// Signatures of scheme `notary.x509`.
    Ca,
    /// Signatures of scheme `notary.x509.signingAuthority`.
    SigningAuthority,
    /// Timestamp countersignatures.
    Tsa,
}

impl StoreType {
    /// All types, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::Ca, Self::SigningAuthority, Self::Tsa];

    /// The name in policies and of the directory.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::SigningAuthority => "signingAuthority",
            Self::Tsa => "tsa",
        }
    }

    /// The type with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for StoreType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A named store, as a policy refers to it: `type:name`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StoreRef {
    kind: StoreType,
    name: String,
}

impl StoreRef {
    /// Parses `type:name`.
    ///
    /// # Errors
    /// [`StoreRefError`].
    pub fn parse(text: &str) -> Result<Self, StoreRefError> {
        let Some((kind, name)) = text.split_once(':') else {
            return Err(StoreRefError::Malformed { value: text.to_owned() });
        };
        let kind = StoreType::parse(kind).ok_or_else(|| StoreRefError::UnknownType {
            kind: kind.to_owned(),
            value: text.to_owned(),
        })?;
        Self::new(kind, name)
            .ok_or_else(|| StoreRefError::Name { name: name.to_owned(), value: text.to_owned() })
    }

    /// A store with this name; `None` when the name is not allowed ([`is_file_name`]).
    pub fn new(kind: StoreType, name: &str) -> Option<Self> {
        is_file_name(name).then(|| Self { kind, name: name.to_owned() })
    }

    /// Its type.
    pub fn kind(&self) -> StoreType {
        self.kind
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for StoreRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

/// Whether `name` may name a store: `[a-zA-Z0-9_.-]+`, and neither `.` nor `..`, which would leave
/// the directory of the stores (rule N-03).
pub fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Why a text does not refer to a store; the text continues "trust policy statement NAME ...".
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StoreRefError {
    /// There is no colon.
    #[error(
        "has malformed trust store value {value:?}. The required format is \
         <TrustStoreType>:<TrustStoreName>"
    )]
    Malformed {
        /// The text found.
        value: String,
    },
    /// The name has other characters, or is `.` or `..`.
    #[error(
        "uses an unsupported trust store name {name:?} in trust store value {value:?}. Named store \
         name needs to follow [a-zA-Z0-9_.-]+ format"
    )]
    Name {
        /// The name found.
        name: String,
        /// The whole text.
        value: String,
    },
    /// The type is none of the three.
    #[error("uses an unsupported trust store type {kind:?} in trust store value {value:?}")]
    UnknownType {
        /// The type found.
        kind: String,
        /// The whole text.
        value: String,
    },
}

/// All trust stores of a configuration directory.
#[derive(Clone, Debug)]
pub struct TrustStores {
    root: PathBuf,
    /// Where there is but one, and in no file.
    held: Option<(StoreRef, Vec<Certificate>)>,
}

impl TrustStores {
    /// The stores below the configuration directory `config`, which need not exist.
    pub fn new(config: &Path) -> Self {
        Self { root: config.join(STORES_DIR), held: None }
    }

    /// One store alone, which is in no file: what a file of it would hold.
    ///
    /// # Errors
    /// [`ManageError`] when the bytes are no certificates, or none that may be trusted so.
    pub fn holding(store: StoreRef, bytes: &[u8]) -> Result<Self, ManageError> {
        let certificates = Self::checked(store.kind, bytes)?;
        Ok(Self { root: PathBuf::new(), held: Some((store, certificates)) })
    }

    /// The directory of a store.
    pub fn directory(&self, store: &StoreRef) -> PathBuf {
        self.root.join(store.kind.as_str()).join(&store.name)
    }

    /// Every file and directory whose writers decide what is in a store (rule N-26).
    pub fn places(&self, store: &StoreRef) -> Vec<PathBuf> {
        let directory = self.directory(store);
        // What can't be listed fails where it is loaded.
        let files = self.files(store).unwrap_or_default();
        let parents = [self.root.parent(), Some(&self.root), directory.parent()];
        let parents = parents.into_iter().flatten().map(Path::to_owned).collect::<Vec<_>>();
        let files = files.iter().map(|file| directory.join(file)).collect::<Vec<_>>();
        [parents, vec![directory], files].concat()
    }

    /// Reads all certificates of a store, in the order of the file names.
    ///
    /// # Errors
    /// [`TrustStoreError`] when anything in the store is not as it must be. A store is trusted whole or
    /// not at all: one bad file is not left out.
    pub fn load(&self, store: &StoreRef) -> Result<Vec<Certificate>, TrustStoreError> {
        if let Some((held, certificates)) = &self.held {
            let missing = || TrustStoreError::Missing { store: store.clone() };
            return (held == store).then(|| certificates.clone()).ok_or_else(missing);
        }
        let mut certificates = Vec::new();
        for file in self.files(store)? {
            certificates.extend(self.load_file(store, &file)?);
        }
        if certificates.is_empty() {
            return Err(TrustStoreError::Empty { store: store.clone() });
        }
        Ok(certificates)
    }

    /// The names of the files of a store, sorted.
    ///
    /// # Errors
    /// [`TrustStoreError::Missing`], [`TrustStoreError::NotADirectory`], [`TrustStoreError::TooManyFiles`] and
    /// [`TrustStoreError::Io`].
    pub fn files(&self, store: &StoreRef) -> Result<Vec<String>, TrustStoreError> {
        let directory = self.directory(store);
        let io = |source| TrustStoreError::Io { store: store.clone(), source };
        match fs::symlink_metadata(&directory) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => {
                return Err(TrustStoreError::NotADirectory {
                    store: store.clone(),
                    path: directory,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(TrustStoreError::Missing { store: store.clone() });
            }
            Err(error) => return Err(io(error)),
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(&directory).map_err(io)? {
            if files.len() == MAX_STORE_FILES {
                return Err(TrustStoreError::TooManyFiles { store: store.clone() });
            }
            files.push(entry.map_err(io)?.file_name().to_string_lossy().into_owned());
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Reads one file of a store.
    ///
    /// # Errors
    /// [`TrustStoreError`] when it is no regular file or holds anything but trustworthy certificates.
    pub fn load_file(
        &self,
        store: &StoreRef,
        file: &str,
    ) -> Result<Vec<Certificate>, TrustStoreError> {
        let path = self.directory(store).join(file);
        let io = |source| TrustStoreError::Io { store: store.clone(), source };
        if !fs::symlink_metadata(&path).map_err(io)?.is_file() {
            return Err(TrustStoreError::NotAFile { store: store.clone(), file: file.to_owned() });
        }
        let unreadable = |reason: String| TrustStoreError::Unreadable {
            store: store.clone(),
            file: file.to_owned(),
            reason,
        };
        let bytes = fsutil::read_regular(&path, MAX_STORE_FILE_BYTES)
            .map_err(|error| unreadable(error.to_string()))?;
        let certificates =
            x509::certificates_from_bytes(&bytes).map_err(|error| unreadable(error.to_string()))?;
        validate(store.kind, &certificates).map_err(|problem| TrustStoreError::Untrustworthy {
            store: store.clone(),
            file: file.to_owned(),
            problem,
        })?;
        Ok(certificates)
    }
}

/// Judges the certificates of one file: at least one, each a CA or verifying under its own key; in
/// a `tsa` store each a self-signed CA.
fn validate(kind: StoreType, certificates: &[Certificate]) -> Result<(), TrustProblem> {
    if certificates.is_empty() {
        return Err(TrustProblem::NoCertificate);
    }
    for certificate in certificates {
        let subject = || certificate.subject().to_string();
        if !certificate.is_ca() && !certificate.is_signed_by_itself() {
            return Err(TrustProblem::NeitherCaNorSelfSigned { subject: subject() });
        }
        if kind == StoreType::Tsa && !is_root_ca(certificate) {
            return Err(TrustProblem::NotARootCa { subject: subject() });
        }
    }
    Ok(())
}

/// Whether a certificate is a CA that issued itself, and may issue: what a timestamping authority's
/// root has to be.
pub fn is_root_ca(certificate: &Certificate) -> bool {
    certificate.is_ca()
        && certificate.key_usage().is_none_or(|usage| usage.is_empty() || usage.cert_sign())
        && certificate.is_self_issued()
        && certificate.is_signed_by_itself()
}

/// Why certificates can't be trust anchors. The texts are notation's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TrustProblem {
    /// A certificate is neither a CA nor verifies under its own key.
    #[error(
        "certificate with subject {subject:?} is not a CA certificate or self-signed signing \
         certificate"
    )]
    NeitherCaNorSelfSigned {
        /// Its subject.
        subject: String,
    },
    /// The file holds no certificate.
    #[error("no valid certificate found in the file")]
    NoCertificate,
    /// A certificate of a `tsa` store is not a self-signed CA.
    #[error("certificate with subject {subject:?} is not a root CA certificate")]
    NotARootCa {
        /// Its subject.
        subject: String,
    },
}

/// Why a trust store can't be used. The texts are notation's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustStoreError {
    /// The directory of all stores of a type can't be read.
    #[error("failed to read {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The store has no certificates.
    #[error(
        "no x509 certificates were found in trust store {:?} of type \"{}\"", store.name, store.kind
    )]
    Empty {
        /// The store.
        store: StoreRef,
    },
    /// The operating system refuses.
    #[error("failed to access the trust store {:?} of type \"{}\": {source}", store.name, store.kind)]
    Io {
        /// The store.
        store: StoreRef,
        /// Its reason.
        source: io::Error,
    },
    /// The store does not exist.
    #[error("the trust store {:?} of type \"{}\" does not exist", store.name, store.kind)]
    Missing {
        /// The store.
        store: StoreRef,
    },
    /// The store is a link or a file.
    #[error(
        "the trust store {} of type {} with path {} is not a regular directory (symlinks are not \
         supported)", store.name, store.kind, path.display()
    )]
    NotADirectory {
        /// The store.
        store: StoreRef,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// An entry of the store is a link or a directory.
    #[error(
        "trusted certificate {file} in trust store {} of type {} is not a regular file (directories \
         or symlinks are not supported)", store.name, store.kind
    )]
    NotAFile {
        /// The store.
        store: StoreRef,
        /// The entry.
        file: String,
    },
    /// The store has more files than are looked at.
    #[error(
        "the trust store {:?} of type \"{}\" has more than {MAX_STORE_FILES} files", store.name,
        store.kind
    )]
    TooManyFiles {
        /// The store.
        store: StoreRef,
    },
    /// A file can't be read as certificates.
    #[error(
        "failed to read the trusted certificate {file} in trust store {} of type {}: {reason}",
        store.name, store.kind
    )]
    Unreadable {
        /// The store.
        store: StoreRef,
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file holds certificates that can't be trust anchors.
    #[error(
        "failed to validate the trusted certificate {file} in trust store {} of type {}: {problem}",
        store.name, store.kind
    )]
    Untrustworthy {
        /// The store.
        store: StoreRef,
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: TrustProblem,
    },
}

impl TrustStoreError {
    /// A command that helps, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { store } | Self::Empty { store } => Some(format!(
                "dockseal cert add --type {} --store {} ROOT.crt",
                store.kind, store.name
            )),
            Self::NotAFile { store, file } | Self::Unreadable { store, file, .. } => {
                let kind = store.kind.to_string();
                let mut words = vec!["dockseal", "cert", "delete", "--type", &kind];
                words.extend(["--store", &store.name]);
                words.extend(file.starts_with('-').then_some("--"));
                words.push(file);
                hint::shell(&words)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
