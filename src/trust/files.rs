//! Where policy documents lie: which file is read, imported, and warned about.
//!
//! Implements the file table of spec/notation.md §5.2. OCI policies are read as notation main
//! does: `trustpolicy.oci.json`, else `trustpolicy.json`. notation 1.3 reads only the latter, so a
//! host where both exist and differ has two policies; that is a warning. A document must be a
//! regular file: links are refused, and so is a missing document (security.md S16).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::fsutil;

use super::identity::IdentityKinds;
use super::policy::{BlobPolicy, MAX_POLICY_BYTES, OciPolicy, PolicyError, PolicyKind};

/// The OCI document of notation main; read first.
const OCI_FILE: &str = "trustpolicy.oci.json";

/// The OCI document of notation 1.x; read when there is no [`OCI_FILE`].
const LEGACY_FILE: &str = "trustpolicy.json";

/// The blob document.
const BLOB_FILE: &str = "trustpolicy.blob.json";

/// A valid policy and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded<P> {
    /// The policy.
    pub policy: P,
    /// The file it was read from.
    pub path: PathBuf,
    /// What the operator should know about the files.
    pub warnings: Vec<FileWarning>,
}

/// A policy document as it stands in its file.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Something about a configuration file that is worth a warning.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FileWarning {
    /// Both OCI documents exist and differ.
    #[error(
        "{} is used, {} differs from it and is what notation 1.x would use", used.display(),
        ignored.display()
    )]
    TwoPolicies {
        /// The document that is read.
        used: PathBuf,
        /// The document that is not.
        ignored: PathBuf,
    },
    /// Others than the owner may write the file (rule N-26).
    #[error("{} can be changed by others than its owner (mode {mode:04o})", path.display())]
    WritableByOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// The policy documents of a configuration directory.
#[derive(Clone, Debug)]
pub struct PolicyFiles {
    config: PathBuf,
    identities: IdentityKinds,
}

impl PolicyFiles {
    /// The documents in the configuration directory `config`, which need not exist.
    pub fn new(config: &Path) -> Self {
        Self { config: config.to_owned(), identities: IdentityKinds::default() }
    }

    /// The same documents, which may list identities of these kinds.
    #[must_use]
    pub fn with(self, identities: IdentityKinds) -> Self {
        Self { identities, ..self }
    }

    /// Reads and validates the OCI policy.
    ///
    /// # Errors
    /// [`PolicyFileError`] when there is none or it is invalid.
    pub fn load_oci(&self) -> Result<Loaded<OciPolicy>, PolicyFileError> {
        let document = self.read(PolicyKind::Oci)?;
        let mut warnings = self.warnings(&document.path);
        let legacy = self.config.join(LEGACY_FILE);
        if document.path != legacy {
            // Only a readable, different document is worth the warning; it is not used.
            if let Ok(Some(other)) = read_regular(&legacy)
                && other != document.bytes
            {
                let used = document.path.clone();
                warnings.push(FileWarning::TwoPolicies { used, ignored: legacy });
            }
        }
        let policy = OciPolicy::parse_with(&document.bytes, self.identities).map_err(|source| {
            PolicyFileError::Invalid {
                kind: PolicyKind::Oci,
                path: document.path.clone(),
                source: Box::new(source),
            }
        })?;
        Ok(Loaded { policy, path: document.path, warnings })
    }

    /// Reads and validates the blob policy.
    ///
    /// # Errors
    /// [`PolicyFileError`] when there is none or it is invalid.
    pub fn load_blob(&self) -> Result<Loaded<BlobPolicy>, PolicyFileError> {
        let document = self.read(PolicyKind::Blob)?;
        let policy =
            BlobPolicy::parse_with(&document.bytes, self.identities).map_err(|source| {
                PolicyFileError::Invalid {
                    kind: PolicyKind::Blob,
                    path: document.path.clone(),
                    source: Box::new(source),
                }
            })?;
        let warnings = self.warnings(&document.path);
        Ok(Loaded { policy, path: document.path, warnings })
    }

    /// Who may write the directory may replace the document.
    fn warnings(&self, document: &Path) -> Vec<FileWarning> {
        [&*self.config, document].into_iter().filter_map(writable_by_others).collect()
    }

    /// Reads the document that [`Self::load_oci`] or [`Self::load_blob`] would use, unparsed.
    ///
    /// # Errors
    /// [`PolicyFileError`] when there is none or it can't be read.
    pub fn read(&self, kind: PolicyKind) -> Result<Document, PolicyFileError> {
        let names: &[&str] = match kind {
            PolicyKind::Oci => &[OCI_FILE, LEGACY_FILE],
            PolicyKind::Blob => &[BLOB_FILE],
        };
        for name in names {
            let path = self.config.join(name);
            if let Some(bytes) = read_regular(&path)? {
                return Ok(Document { path, bytes });
            }
        }
        Err(PolicyFileError::Missing { kind, path: self.path(kind) })
    }

    /// Whether `bytes` are a valid document.
    ///
    /// # Errors
    /// [`PolicyError`] for the first rule that is broken.
    pub fn check(&self, kind: PolicyKind, bytes: &[u8]) -> Result<(), PolicyError> {
        match kind {
            PolicyKind::Oci => OciPolicy::parse_with(bytes, self.identities).map(drop),
            PolicyKind::Blob => BlobPolicy::parse_with(bytes, self.identities).map(drop),
        }
    }

    /// The file that a new document is written to.
    pub fn path(&self, kind: PolicyKind) -> PathBuf {
        self.config.join(match kind {
            PolicyKind::Oci => OCI_FILE,
            PolicyKind::Blob => BLOB_FILE,
        })
    }

    /// Whether a document of this kind exists, valid or not.
    pub fn exists(&self, kind: PolicyKind) -> bool {
        !matches!(self.read(kind), Err(PolicyFileError::Missing { .. }))
    }

    /// Validates `bytes` and writes them as the document, replacing what was there.
    ///
    /// For OCI documents `legacy` says what becomes of `trustpolicy.json`.
    ///
    /// # Errors
    /// [`PolicyFileError`]; nothing is changed when `bytes` is no valid document.
    pub fn import(
        &self,
        kind: PolicyKind,
        bytes: &[u8],
        legacy: LegacyFile,
    ) -> Result<Imported, PolicyFileError> {
        self.check(kind, bytes)
            .map_err(|source| PolicyFileError::Rejected { source: Box::new(source) })?;
        fsutil::create_private_dir(&self.config)?;
        let path = self.path(kind);
        fsutil::write_atomic(&path, bytes, fsutil::Mode::Private)?;
        let legacy_path = self.config.join(LEGACY_FILE);
        let legacy = match (kind, legacy) {
            (PolicyKind::Oci, LegacyFile::Write) => {
                fsutil::write_atomic(&legacy_path, bytes, fsutil::Mode::Private)?;
                LegacyOutcome::Written
            }
            (PolicyKind::Oci, LegacyFile::Remove) => match fs::remove_file(&legacy_path) {
                Ok(()) => LegacyOutcome::Removed,
                Err(error) if error.kind() == io::ErrorKind::NotFound => LegacyOutcome::Absent,
                Err(source) => LegacyOutcome::Stays { path: legacy_path, source },
            },
            (PolicyKind::Blob, _) => LegacyOutcome::Absent,
        };
        Ok(Imported { path, legacy })
    }
}

/// What becomes of `trustpolicy.json` when an OCI document is imported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LegacyFile {
    /// It is removed, as notation main does: one policy, not two.
    Remove,
    /// The same document is written to it, for notation 1.x.
    Write,
}

/// What an import did.
#[derive(Debug)]
pub struct Imported {
    /// The document that was written.
    pub path: PathBuf,
    /// What became of `trustpolicy.json`.
    pub legacy: LegacyOutcome,
}

/// What became of `trustpolicy.json`.
#[derive(Debug)]
pub enum LegacyOutcome {
    /// There was none.
    Absent,
    /// It was removed.
    Removed,
    /// It could not be removed. The import stands; this is a warning.
    Stays {
        /// The file.
        path: PathBuf,
        /// Why it stays.
        source: io::Error,
    },
    /// It was written too.
    Written,
}

/// Reads a file that must not be a link; `None` when there is none.
fn read_regular(path: &Path) -> Result<Option<Vec<u8>>, PolicyFileError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Ok(metadata) if !metadata.is_file() => {
            Err(PolicyFileError::NotRegular { path: path.to_owned() })
        }
        _ => Ok(Some(fsutil::read_regular(path, MAX_POLICY_BYTES as u64)?)),
    }
}

/// Whether others than the owner may write `path` (rule N-26).
#[cfg(unix)]
pub fn writable_by_others(path: &Path) -> Option<FileWarning> {
    use std::os::unix::fs::PermissionsExt as _;

    const GROUP_OR_OTHERS_WRITE: u32 = 0o022;
    // A file that can't be looked at fails where it is read. The mode of a link says nothing.
    let metadata = fs::metadata(path).ok()?;
    let mode = metadata.permissions().mode() & 0o7777;
    let is_writable = mode & GROUP_OR_OTHERS_WRITE != 0;
    is_writable.then(|| FileWarning::WritableByOthers { path: path.to_owned(), mode })
}

/// There are no such modes here.
#[cfg(not(unix))]
pub fn writable_by_others(_path: &Path) -> Option<FileWarning> {
    None
}

/// Why there is no policy to verify with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyFileError {
    /// Reading or writing failed.
    #[error(transparent)]
    File(#[from] fsutil::FileError),
    /// The document breaks a rule.
    #[error("{source} (in {})", path.display())]
    Invalid {
        /// Which document.
        kind: PolicyKind,
        /// The document.
        path: PathBuf,
        /// The rule.
        source: Box<PolicyError>,
    },
    /// There is no document. Nothing is trusted then.
    #[error("{kind} trust policy is not present at {}", path.display())]
    Missing {
        /// Which document.
        kind: PolicyKind,
        /// Where it would be.
        path: PathBuf,
    },
    /// The document is a link, a directory or a device.
    #[error("{} is not a regular file (symlinks are not supported)", path.display())]
    NotRegular {
        /// The document.
        path: PathBuf,
    },
    /// The document that was to be imported breaks a rule.
    #[error(transparent)]
    Rejected {
        /// The rule.
        source: Box<PolicyError>,
    },
}

impl PolicyFileError {
    /// A command that helps, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { kind: PolicyKind::Oci, .. } => {
                Some("dockseal policy init --name NAME --trust-store ca:STORE".to_owned())
            }
            Self::Missing { kind: PolicyKind::Blob, .. } => {
                Some("dockseal blob policy init --name NAME --global --trust-store ca:STORE --trusted-identity ID".to_owned())
            }
            Self::Invalid { kind: PolicyKind::Oci, .. } => {
                Some("dockseal policy import POLICY.json".to_owned())
            }
            Self::Invalid { kind: PolicyKind::Blob, .. } => {
                Some("dockseal blob policy import POLICY.json".to_owned())
            }
            _ => None,
        }
    }
}
